//! An identity provider: who signs people in, and issues, renews and revokes their tokens.
//!
//! I own: the trait [`IdentityProvider`], what it answers, and its errors. I may call: `domain`. I never see a code that was
//! not proven first: whoever wants one redeemed brings a [`ProvenCallback`].

use crate::domain::identity::{Identity, Issuer};
use crate::domain::login::{PendingLogin, ProvenCallback, Requested, ResponseRules};
use crate::domain::logout::LogoutNotice;
use crate::domain::renewal::RenewalRules;
use crate::domain::secret::{Nonce, PkceVerifier, RawIdToken, RefreshToken};
use crate::domain::session::{Session, TokenSet};
use crate::domain::time::Timestamp;
use futures_util::future::BoxFuture;
use url::Url;

/// What a redeemed code brought.
pub struct SignedIn {
    /// The person, from verified claims.
    pub identity: Identity,
    /// The tokens.
    pub tokens: TokenSet,
    /// `auth_time`.
    pub authenticated: Option<Timestamp>,
    /// `acr`.
    pub acr: Option<String>,
    /// The `sid` claim.
    pub provider_sid: Option<String>,
}

/// Why a provider did not do what was asked. The text is for the log; no token or code is ever in it.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It cannot be reached or answers with an error of its own (5xx, time-out): try again later.
    #[error("the identity provider is unavailable: {0}")]
    Unavailable(String),
    /// Its metadata, keys or configuration are not acceptable: somebody has to mend something.
    #[error("the identity provider's metadata are not acceptable: {0}")]
    Misconfigured(String),
    /// It refused the code (`invalid_grant` and its kin).
    #[error("the identity provider refused the code: {0}")]
    Refused(String),
    /// What it answered broke a rule: nobody is signed in.
    #[error("the identity provider's answer was rejected: {0}")]
    Rejected(String),
}

/// What a renewal brought: the tokens to keep from now on, with those of before where no new one came.
pub struct Renewed {
    /// The tokens.
    pub tokens: TokenSet,
    /// The person as a new ID token describes them; `None` where they stay as they were.
    pub identity: Option<Identity>,
}

/// Why there are no new tokens. The text is for the log; no token is ever in it.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The refresh token is not taken (`invalid_grant`, RFC 6749 section 5.2).
    #[error("the identity provider refused the refresh token")]
    Refused,
    /// The ID token that came along is not about this sign-in (R20). What came with it was given back.
    #[error("what came with the new tokens was rejected: {0}")]
    Rejected(String),
    /// No answer, or none that is of use; nobody knows whether the refresh token is used up.
    #[error(transparent)]
    Unanswered(#[from] ProviderError),
}

/// An identity provider (OpenID Connect Core: OP), seen from its relying party.
pub trait IdentityProvider: Send + Sync {
    /// Whether acceptable metadata were had at least once. Asks nobody.
    fn is_known(&self) -> bool;

    /// Who it is, as configured. Asks nobody.
    fn issuer(&self) -> &Issuer;

    /// What every login at this provider asks for, whatever its visitor wishes.
    fn requested(&self) -> &Requested;

    /// The URL that a browser is sent to for a login. `redirect_uri` is the callback on the login's origin.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] or [`ProviderError::Misconfigured`] when there are no acceptable metadata.
    fn authorization_url<'a>(
        &'a self,
        request: AuthorizationRequest<'a>,
    ) -> BoxFuture<'a, Result<Url, ProviderError>>;

    /// How the answers of this provider are to be judged (RFC 9207).
    ///
    /// # Errors
    /// As [`Self::authorization_url`].
    fn response_rules(&self) -> BoxFuture<'_, Result<ResponseRules, ProviderError>>;

    /// Redeems a proven code and verifies everything that comes back.
    ///
    /// # Errors
    /// See [`ProviderError`].
    fn redeem<'a>(
        &'a self,
        proven: ProvenCallback,
        redirect_uri: &'a Url,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<SignedIn, ProviderError>>;

    /// How tokens are renewed here.
    fn renewal_rules(&self) -> RenewalRules;

    /// Fetches new tokens for a session, which must have a refresh token, and verifies what comes along (R20).
    ///
    /// # Errors
    /// See [`RenewalError`].
    fn renew<'a>(
        &'a self,
        session: &'a Session,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Renewed, RenewalError>>;

    /// Tells the provider that a refresh token is of no use any more (RFC 7009); whether it has a place for that.
    ///
    /// # Errors
    /// See [`ProviderError`].
    fn revoke<'a>(&'a self, token: &'a RefreshToken) -> BoxFuture<'a, Result<bool, ProviderError>>;

    /// Verifies a logout token that somebody has brought (R83).
    ///
    /// # Errors
    /// [`ProviderError::Rejected`] for a token that is not to be believed; otherwise nobody can say whether it is.
    fn verify_logout<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<LogoutNotice, ProviderError>>;

    /// The URL of RP-initiated logout, or `None` where the provider has none (R86).
    ///
    /// # Errors
    /// As [`Self::authorization_url`].
    fn end_session_url<'a>(
        &'a self,
        id_token: Option<&'a RawIdToken>,
        back: &'a Url,
        state: &'a str,
    ) -> BoxFuture<'a, Result<Option<Url>, ProviderError>>;
}

/// What goes into an authorization request.
pub struct AuthorizationRequest<'a> {
    /// The login.
    pub login: &'a PendingLogin,
    /// The sealed state.
    pub state: &'a str,
    /// The nonce.
    pub nonce: &'a Nonce,
    /// The verifier, of which only the challenge leaves.
    pub verifier: &'a PkceVerifier,
    /// Our callback.
    pub redirect_uri: &'a Url,
    /// `prompt`, if asked for.
    pub prompt: Option<&'a str>,
    /// `login_hint`, if asked for.
    pub login_hint: Option<&'a str>,
}
