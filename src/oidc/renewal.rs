//! New tokens for old (RFC 6749 section 6, OpenID Connect Core section 12, RFC 7009).
//!
//! I own: what a renewal brings, made of the token endpoint's answer and of what was there before; the rules for the
//! ID token that may come along (R20). I may call: `token_endpoint`, `id_token`, `jwt` (verified and kept claims), the
//! room's provider, `domain`, `ports`. I never hand on tokens whose ID token is not about the same sign-in.

use crate::domain::claim::Claims;
use crate::domain::identity::Identity;
use crate::domain::secret::{AccessToken, RefreshToken};
use crate::domain::session::{Session, TokenSet};
use crate::domain::time::Timestamp;
use crate::oidc::OidcProvider;
use crate::oidc::discovery::Metadata;
use crate::oidc::id_token::{self, Original, Refusal};
use crate::oidc::jwt;
use crate::oidc::token_endpoint::{self, Issued};
use crate::ports::{ProviderError, RenewalError, Renewed};

impl OidcProvider {
    /// Fetches new tokens and verifies them. What cannot be believed is given back at once.
    ///
    /// # Errors
    /// See [`RenewalError`].
    pub(super) async fn new_tokens(
        &self,
        session: &Session,
        now: Timestamp,
    ) -> Result<Renewed, RenewalError> {
        let Some(refresh) = &session.tokens.refresh else { return Err(RenewalError::Refused) };
        // A refresh token of one provider must never travel to another (R9).
        if session.provider != self.settings.id || session.identity.issuer != self.settings.issuer {
            let text = "the session was begun at another provider".into();
            return Err(RenewalError::Unanswered(ProviderError::Rejected(text)));
        }
        let metadata = self.metadata().await?;
        let issued =
            token_endpoint::renew(&self.detached, &self.settings, &metadata.token, refresh, now).await;
        let issued = match issued {
            Ok(issued) => issued,
            Err(ProviderError::Refused(code)) if code == "invalid_grant" => {
                return Err(RenewalError::Refused);
            }
            Err(error) => return Err(error.into()),
        };
        let identity = match &issued.id_token {
            None => None,
            Some(token) => match self.judge_renewed(token.expose(), &issued.access, session, &metadata).await
            {
                Ok(claims) => self.identity_of(session, &claims, &metadata),
                Err(ProviderError::Rejected(why)) => {
                    self.give_back(issued.refresh.as_ref().unwrap_or(refresh)).await;
                    return Err(RenewalError::Rejected(why));
                }
                Err(error) => return Err(error.into()),
            },
        };
        Ok(Renewed { tokens: merged(issued, session, now), identity })
    }

    async fn judge_renewed(
        &self,
        token: &str,
        access_token: &AccessToken,
        session: &Session,
        metadata: &Metadata,
    ) -> Result<Claims, ProviderError> {
        let verified = self.verify(token, metadata, "ID token").await?;
        let kept = jwt::kept_claims(session.tokens.id_token.expose());
        let original = Original {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            subject: &session.identity.subject,
            authenticated: session.authenticated,
            kept: &kept,
            access_token,
            skew: self.settings.clock_skew,
        };
        id_token::judge_renewed(&verified, &original, self.clock.now())
            .map_err(|why: Refusal| ProviderError::Rejected(format!("ID token: {why}")))?;
        Ok(verified.into_claims())
    }

    /// The person as the new ID token has them. Where UserInfo is a part of them, they stay as they were: half of
    /// somebody is nobody.
    fn identity_of(&self, session: &Session, claims: &Claims, metadata: &Metadata) -> Option<Identity> {
        if metadata.userinfo.is_some() {
            return None;
        }
        let (issuer, subject) = (self.settings.issuer.clone(), session.identity.subject.clone());
        match self.identity.identify(issuer, subject, claims) {
            Ok(identity) => Some(identity),
            Err(error) => {
                tracing::warn!(%error, "a new ID token does not describe the person; they stay as they were");
                None
            }
        }
    }

    async fn give_back(&self, token: &RefreshToken) {
        if let Err(error) = self.revoke_token(token).await {
            tracing::warn!(%error, "tokens that were rejected could not be given back");
        }
    }

    /// Revokes a refresh token; whether there is a place for that.
    ///
    /// # Errors
    /// See [`ProviderError`].
    pub(super) async fn revoke_token(&self, token: &RefreshToken) -> Result<bool, ProviderError> {
        let metadata = self.metadata().await?;
        let Some(endpoint) = &metadata.revocation else { return Ok(false) };
        token_endpoint::revoke(&self.detached, &self.settings, endpoint, token).await?;
        Ok(true)
    }
}

/// A new token where one came, else the one of before: providers that do not rotate send none (RFC 6749 section 6). Where
/// `expires_in` is missing, the new access token is taken to live as long as the one of before (R46).
fn merged(issued: Issued, session: &Session, now: Timestamp) -> TokenSet {
    let old = &session.tokens;
    let life = old.access_expires.map(|expires| expires.since(session.renewal.obtained));
    TokenSet {
        access: issued.access,
        access_expires: issued.access_expires.or_else(|| life.map(|life| now.plus(life))),
        refresh: issued.refresh.or_else(|| old.refresh.clone()),
        id_token: issued.id_token.unwrap_or_else(|| old.id_token.clone()),
    }
}
