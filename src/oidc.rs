//! Identity providers over OpenID Connect.
//!
//! I own: [`OidcProvider`], which answers for the port `IdentityProvider`, and the crates openidconnect and reqwest.
//! I may call: `domain`, `ports`, `config` (the settings of one provider). I never touch a store, never log or quote a
//! token, and never sign anybody in on less than the whole of R13.
//!
//! A login passes through my files in this order: `authorization` sends the browser away; `token_endpoint` redeems the
//! code; `jwt` takes the ID token apart and `keys` finds what it is signed with; `id_token` judges it; `userinfo` adds
//! to it. `renewal` brings new tokens later on. `logout_token` judges what ends sessions. `discovery` says where all that is, `transport` brings it, `json` reads it.

mod authorization;
mod cached;
mod discovery;
#[cfg(test)]
mod forge;
mod id_token;
mod json;
mod jwks;
mod jwt;
mod keys;
mod logout_token;
#[doc(hidden)]
pub mod measured;
mod renewal;
mod token_endpoint;
mod transport;
mod userinfo;

use crate::config::ProviderSettings;
use crate::domain::claim::Claims;
use crate::domain::identity::{IdentityRule, Issuer, ProviderId};
use crate::domain::login::{ProvenCallback, Requested, ResponseRules};
use crate::domain::logout::LogoutNotice;
use crate::domain::renewal::RenewalRules;
use crate::domain::secret::{AccessToken, RawIdToken, RefreshToken};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;
use crate::oidc::cached::{Cached, Fetched};
use crate::oidc::discovery::Metadata;
use crate::oidc::id_token::Expected;
use crate::oidc::jwks::KeySet;
use crate::oidc::jwt::{Unverified, VerifiedClaims, Verifier};
use crate::oidc::keys::KeyCache;
use crate::oidc::transport::Transport;
use crate::ports::{
    AuthorizationRequest, Clock, IdentityProvider, ProviderError, RenewalError, Renewed, SignedIn,
};
use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long a provider's metadata are kept.
pub const METADATA_KEPT: Duration = discovery::KEEP;

/// How long its keys are kept where it does not say.
pub const KEYS_KEPT: Duration = keys::KEEP;

/// The bounds within which it may say how long (`Cache-Control: max-age`).
pub const KEYS_KEPT_WITHIN: (Duration, Duration) = (keys::KEEP_LEAST, keys::KEEP_MOST);

/// How often keys are fetched before their time, for tokens that name an unknown one.
pub const UNKNOWN_KEY_EVERY: Duration = keys::REFILL;

/// How soon a failed renewal of metadata or keys is tried again.
pub const RENEWAL_RETRY: Duration = cached::RENEWAL_RETRY;

/// What a provider publishes that could be reached.
pub struct Published {
    /// How many usable keys there are; `None` where all signatures are by the client secret.
    pub keys: Option<usize>,
}

/// One identity provider.
pub struct OidcProvider {
    settings: ProviderSettings,
    identity: IdentityRule,
    clock: Arc<dyn Clock>,
    transport: Transport,
    /// For calls that outlive the workers: a connection dies with the runtime that it was made on.
    detached: Transport,
    metadata: Arc<Cached<Metadata>>,
    keys: Arc<KeyCache>,
}

impl OidcProvider {
    /// Takes the settings and builds the HTTP client. No connection is opened: a provider that is down does not keep
    /// the gateway from starting (R22). A rustls provider must be installed for the process.
    ///
    /// # Errors
    /// [`ProviderError::Misconfigured`] for settings that can never work.
    pub fn new(
        settings: ProviderSettings,
        identity: IdentityRule,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        discovery::parse_issuer(&settings.issuer)?;
        authorization::check_extra_params(&settings)?;
        let symmetric = settings.algorithms.iter().filter(|algorithm| algorithm.is_symmetric()).count();
        // With both kinds allowed, a public key could be taken for a shared secret (R13, A10).
        if settings.algorithms.is_empty() || (symmetric != 0 && symmetric != settings.algorithms.len()) {
            let text = "`signing_algorithms` must be all symmetric or all asymmetric, and not empty";
            return Err(ProviderError::Misconfigured(text.into()));
        }
        let (transport, detached) = (Transport::new(&settings)?, Transport::new(&settings)?);
        let keys = Arc::new(KeyCache::new(Arc::clone(&clock)));
        Ok(Self { settings, identity, clock, transport, detached, metadata: Arc::new(Cached::new()), keys })
    }

    /// The id of the provider.
    pub fn id(&self) -> &ProviderId {
        &self.settings.id
    }

    /// The same provider under new settings. Its metadata and keys are kept where the new settings would have brought
    /// the same ones; else they are asked for again.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn renewed(&self, settings: ProviderSettings, identity: IdentityRule) -> Result<Self, ProviderError> {
        let same = discovery::would_be_the_same(&self.settings, &settings);
        let new = Self::new(settings, identity, Arc::clone(&self.clock))?;
        if !same {
            return Ok(new);
        }
        Ok(Self { metadata: Arc::clone(&self.metadata), keys: Arc::clone(&self.keys), ..new })
    }

    /// Asks the provider for its metadata and its keys, as the first login would, and for nothing else.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`], or [`ProviderError::Misconfigured`], also when there is no key for any of the
    /// allowed algorithms.
    pub async fn reach(&self) -> Result<Published, ProviderError> {
        let metadata = self.metadata().await?;
        let Some(place) = &metadata.keys else { return Ok(Published { keys: None }) };
        let keys = self.fetch_keys(place).await?.document;
        if keys.serves(&self.settings.algorithms) {
            return Ok(Published { keys: Some(keys.len()) });
        }
        let text = "none of the keys at `jwks_uri` is for any of `signing_algorithms`";
        Err(ProviderError::Misconfigured(text.into()))
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        self.metadata.get(self.clock.as_ref(), || discovery::discover(&self.transport, &self.settings)).await
    }

    async fn sign_in(
        &self,
        proven: ProvenCallback,
        redirect_uri: &Url,
        now: Timestamp,
    ) -> Result<SignedIn, ProviderError> {
        // A code of one provider must never travel to another (R9, A5).
        if proven.login().provider != self.settings.id {
            return Err(ProviderError::Rejected("the login was sent to another provider".into()));
        }
        let metadata = self.metadata().await?;
        let redemption = (&proven, redirect_uri);
        let tokens =
            token_endpoint::redeem(&self.transport, &self.settings, &metadata.token, redemption, now).await?;
        let verified = self.verify(tokens.id_token.expose(), &metadata, "ID token").await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: proven.nonce(),
            requested: &proven.login().requested,
            access_token: &tokens.access,
            skew: self.settings.clock_skew,
        };
        // The token was made while the call was on its way: it is judged by the time at which it is judged.
        let judged = self.clock.now();
        let id_token =
            id_token::judge(verified, &expected, judged).map_err(|error| rejected("ID token", error))?;
        let claims = match &metadata.userinfo {
            Some(endpoint) => {
                let more = self.userinfo(endpoint, &tokens.access, &metadata, judged).await?;
                userinfo::merge(id_token.claims, &id_token.subject, more)?
            }
            None => id_token.claims,
        };
        let identity = self
            .identity
            .identify(self.settings.issuer.clone(), id_token.subject, &claims)
            .map_err(|error| ProviderError::Rejected(error.to_string()))?;
        Ok(SignedIn {
            identity,
            tokens,
            authenticated: id_token.authenticated,
            acr: id_token.acr,
            provider_sid: id_token.provider_sid,
        })
    }

    async fn judge_logout(&self, token: &str) -> Result<LogoutNotice, ProviderError> {
        let what = "logout token";
        let metadata = self.metadata().await?;
        let verified = self.verify(token, &metadata, what).await?;
        logout_token::judge(&verified, &self.settings, self.clock.now())
            .map_err(|error| rejected(what, error))
    }

    async fn verify(
        &self,
        token: &str,
        metadata: &Metadata,
        what: &'static str,
    ) -> Result<VerifiedClaims, ProviderError> {
        let token =
            Unverified::parse(token, &self.settings.algorithms).map_err(|error| rejected(what, error))?;
        let verified = match &metadata.keys {
            Some(keys) => self.keys.verify(&token, || self.fetch_keys(keys)).await?,
            None => token.verify(&Verifier::Shared(&self.settings.client_secret)),
        };
        verified.map_err(|error| rejected(what, error))
    }

    async fn fetch_keys(&self, place: &Url) -> Result<Fetched<KeySet>, ProviderError> {
        let answer = self.transport.get_document(place).await?;
        if answer.status != StatusCode::OK {
            let text = format!("`jwks_uri` answers {}", answer.status.as_u16());
            return Err(ProviderError::Misconfigured(text));
        }
        let keys = KeySet::parse(&answer.body)
            .map_err(|error| ProviderError::Misconfigured(format!("the keys at `jwks_uri`: {error}")))?;
        // Keys that worked a moment ago are worth more than an empty list (A18).
        if keys.len() == 0 {
            let text = "the provider publishes no key that can be used".into();
            return Err(ProviderError::Misconfigured(text));
        }
        Ok(Fetched { document: keys, keep: keys::keep_for(answer.max_age) })
    }

    async fn userinfo(
        &self,
        endpoint: &Url,
        token: &AccessToken,
        metadata: &Metadata,
        now: Timestamp,
    ) -> Result<Claims, ProviderError> {
        let answer = self.transport.get_with_token(endpoint, token).await?;
        match userinfo::read(&answer)? {
            userinfo::Form::Plain(claims) => Ok(claims),
            userinfo::Form::Signed(token) => {
                let verified = self.verify(token, metadata, "UserInfo").await?;
                id_token::judge_statement(&verified, &self.settings, now)
                    .map_err(|error| rejected("UserInfo", error))?;
                Ok(verified.into_claims())
            }
        }
    }
}

impl IdentityProvider for OidcProvider {
    fn is_known(&self) -> bool {
        self.metadata.is_there()
    }

    fn issuer(&self) -> &Issuer {
        &self.settings.issuer
    }

    fn requested(&self) -> &Requested {
        &self.settings.requested
    }

    fn authorization_url<'a>(
        &'a self,
        request: AuthorizationRequest<'a>,
    ) -> BoxFuture<'a, Result<Url, ProviderError>> {
        Box::pin(async move {
            let metadata = self.metadata().await?;
            authorization::authorization_url(&self.settings, &metadata.authorization, &request)
        })
    }

    fn response_rules(&self) -> BoxFuture<'_, Result<ResponseRules, ProviderError>> {
        Box::pin(async move {
            let metadata = self.metadata().await?;
            Ok(ResponseRules { issuer: self.settings.issuer.clone(), iss_required: metadata.sends_issuer })
        })
    }

    fn redeem<'a>(
        &'a self,
        proven: ProvenCallback,
        redirect_uri: &'a Url,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<SignedIn, ProviderError>> {
        Box::pin(self.sign_in(proven, redirect_uri, now))
    }

    fn renewal_rules(&self) -> RenewalRules {
        RenewalRules::of(self.settings.refresh_before, self.settings.timeout)
    }

    fn renew<'a>(
        &'a self,
        session: &'a Session,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Renewed, RenewalError>> {
        Box::pin(self.new_tokens(session, now))
    }

    fn revoke<'a>(&'a self, token: &'a RefreshToken) -> BoxFuture<'a, Result<bool, ProviderError>> {
        Box::pin(self.revoke_token(token))
    }

    fn verify_logout<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<LogoutNotice, ProviderError>> {
        Box::pin(self.judge_logout(token))
    }

    fn end_session_url<'a>(
        &'a self,
        id_token: Option<&'a RawIdToken>,
        back: &'a Url,
        state: &'a str,
    ) -> BoxFuture<'a, Result<Option<Url>, ProviderError>> {
        Box::pin(async move {
            let metadata = self.metadata().await?;
            let endpoint = metadata.end_session.as_ref();
            Ok(endpoint.map(|endpoint| {
                authorization::end_session_url(&self.settings, endpoint, id_token, back, state)
            }))
        })
    }
}

fn rejected(what: &str, why: impl std::fmt::Display) -> ProviderError {
    ProviderError::Rejected(format!("{what}: {why}"))
}

#[cfg(test)]
mod tests;
