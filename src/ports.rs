//! Every socket in the wall: what the house asks of the world outside.
//!
//! I own: the traits [`Clock`], [`SessionStore`], [`IdentityProvider`] and their errors. I may call: `domain`.
//! I never say how: adapters hang on from outside, and no one here knows their names.

use crate::domain::identity::{Identity, Issuer, Subject};
use crate::domain::login::{LoginId, PendingLogin, ProvenCallback, Requested, ResponseRules};
use crate::domain::secret::{Nonce, PkceVerifier, RawIdToken};
use crate::domain::session::{LiveSession, Session, SessionKey, Ticket, TokenSet};
use crate::domain::time::Timestamp;
use futures_util::future::BoxFuture;
use std::time::Duration;
use url::Url;

/// The time of day.
pub trait Clock: Send + Sync {
    /// Now. Asked once per request, then passed on.
    fn now(&self) -> Timestamp;
}

/// Why the store did not answer. An error is never a miss: callers must not take it for "no such session" (R82).
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is too slow, or is refusing. Trying again later makes sense.
    #[error("the session store is unavailable: {0}")]
    Unavailable(String),
    /// It answered with something that does not open: a foreign or damaged record, or a key that is gone.
    #[error("a session record cannot be read: {0}")]
    Unreadable(&'static str),
}

/// What became of a compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// It is written, under this new version.
    Done(u64),
    /// Somebody else was faster: read again.
    Conflict,
    /// There is no such record, and none was made: an ending is never undone (R88).
    Gone,
}

/// Keeps sessions. Records expire by themselves at [`Session::ends`].
pub trait SessionStore: Send + Sync {
    /// Writes the record of a new session, its index entries first; `last seen` starts at `now`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also when the ticket is taken already.
    fn create<'a>(
        &'a self,
        ticket: &'a Ticket,
        session: &'a Session,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Reads a session; `Ok(None)` when there is no such record. Limits are for the caller to judge.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn load<'a>(
        &'a self,
        ticket: &'a Ticket,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<LiveSession>, StoreError>>;

    /// Replaces a record if it still has the version `expected`. Never creates.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn update<'a>(
        &'a self,
        ticket: &'a Ticket,
        session: &'a Session,
        expected: u64,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Updated, StoreError>>;

    /// Notes that a session was used at `now`, in a key of its own that lives for `keep`. Never creates a session.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn touch<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Removes a record with its index entries; whether there was one.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn remove<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// The sessions of a person, by the index; some may have ended since.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn of_subject<'a>(
        &'a self,
        issuer: &'a Issuer,
        subject: &'a Subject,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<SessionKey>, StoreError>>;

    /// The sessions that stand on one session of a provider, by the index; some may have ended since.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn of_provider_sid<'a>(
        &'a self,
        issuer: &'a Issuer,
        provider_sid: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<SessionKey>, StoreError>>;

    /// Takes a login's name: `true` for the first taker only, for as long as `keep` (R4).
    ///
    /// # Errors
    /// See [`StoreError`].
    fn take_once<'a>(
        &'a self,
        login: LoginId,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

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

/// An identity provider (OpenID Connect Core: OP), seen from its relying party.
pub trait IdentityProvider: Send + Sync {
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
