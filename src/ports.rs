//! Every socket in the wall: what the house asks of the world outside.
//!
//! I own: the traits [`Clock`], [`Stopwatch`], [`SessionStore`], [`News`], [`IdentityProvider`], [`Ledger`], [`Outbox`], [`Clearing`], [`Transfer`] and their errors. I may call: `domain`.
//! I never say how: adapters hang on from outside, and no one here knows their names.

mod breaker;
mod census;
mod clearing;
mod ledger;
mod outbox;
mod transfer;

pub use breaker::*;
pub use census::*;
pub use clearing::Clearing;
pub use ledger::*;
pub use outbox::{Debt, GIVEN_UP_AFTER, Outbox, Owed, Standing, StandsOn, Taken};
pub use transfer::*;

use crate::domain::identity::{Identity, Issuer, Subject};
use crate::domain::login::{LoginId, PendingLogin, ProvenCallback, Requested, ResponseRules};
use crate::domain::logout::{LogoutNotice, Mark};
use crate::domain::renewal::{LeaseId, RenewalRules};
use crate::domain::secret::{Nonce, PkceVerifier, RawIdToken, RefreshToken};
use crate::domain::session::{LiveSession, Session, SessionKey, Summary, Ticket, TokenSet};
use crate::domain::time::Timestamp;
use futures_util::future::BoxFuture;
use std::time::Duration;
use url::Url;

/// The time of day.
pub trait Clock: Send + Sync {
    /// Now. Asked once per request, then passed on.
    fn now(&self) -> Timestamp;

    /// Completes when it is `moment`, or a little before: whoever waits looks at [`Self::now`] again.
    fn until(&self, moment: Timestamp) -> BoxFuture<'static, ()>;
}

/// How much time has passed. Unlike [`Clock`], nobody sets it, and it runs while the machine sleeps: for promises such
/// as "believed for one second".
pub trait Stopwatch: Send + Sync {
    /// Time since a moment that stays the same as long as the process lives.
    fn elapsed(&self) -> Duration;
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

    /// As [`Self::load`], but past any memory of this process: what is in the store once this is called. For whoever
    /// has just been given a lease, and must see what its last holder wrote.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn reload<'a>(
        &'a self,
        ticket: &'a Ticket,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<LiveSession>, StoreError>> {
        self.load(ticket, now)
    }

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

    /// Puts a later version of a record back over the earlier one, `found`, that a store has fallen back to: after a failover
    /// that lost writes, or a restore. Never creates, and never replaces anything but that earlier one. A store that
    /// cannot do this reports a conflict.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn restore<'a>(
        &'a self,
        _ticket: &'a Ticket,
        _later: &'a LiveSession,
        _found: u64,
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        Box::pin(std::future::ready(Ok(Updated::Conflict)))
    }

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

    /// Removes a record with its index entries; whether there was one. Also true where the store does not answer, and
    /// this process has taken note: see [`Self::owed`].
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

    /// Takes the lease on a session's renewal for `keep`, or renews it for whoever holds it; `false` while somebody else
    /// does. A lease holds nobody back from writing: what counts in the end is the record (R45).
    ///
    /// # Errors
    /// See [`StoreError`].
    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Gives a lease back, if it is still this holder's.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> BoxFuture<'a, Result<(), StoreError>>;

    /// What an operator may know of one session; `Ok(None)` when there is no such record.
    ///
    /// # Errors
    /// See [`StoreError`]. A record that does not open is no error, but an entry without a summary.
    fn glance<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Listed>, StoreError>>;

    /// Notes `now` under a mark, for as long as `keep`. A later moment is never replaced by an earlier one, and no mark
    /// lives shorter than it was to live before. Whoever ends sessions by person or provider session writes the mark
    /// first, then asks the index, then removes; whoever creates a session asks for its marks afterwards. So each
    /// session is seen by the one or sees the other, in any order of these steps.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn mark<'a>(
        &'a self,
        mark: Mark<'a>,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The latest moment under any of these marks.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn marked<'a>(
        &'a self,
        marks: &'a [Mark<'a>],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, StoreError>>;

    /// About `limit` sessions, from where `cursor` points or from the beginning, as their operator parts have them.
    /// One that is there from the first page to the last is on at least one page; one may be on several.
    ///
    /// # Errors
    /// See [`StoreError`]. A single record that cannot be read is no error, but an entry without a summary.
    fn list<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Listing, StoreError>>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// How many endings are in force in this process that the store has not taken yet. Whoever has to say that an ending
    /// is done, to somebody who would come back otherwise, asks this first. Asks nobody.
    fn owed(&self) -> usize {
        0
    }

    /// What is known of the store's feed. Asks nobody.
    fn feed(&self) -> FeedState {
        FeedState::NotUsed
    }
}

/// How a store tells what others write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedState {
    /// Not at all: nobody else writes to it, or nothing is kept in memory.
    NotUsed,
    /// It is heard, and was proved this long ago.
    Up(Duration),
    /// It is not heard, and is tried again; the last proof, if there ever was one, is this old. Every request asks the
    /// store.
    Down(Option<Duration>),
    /// The store refuses it. Every request asks the store.
    Refused,
}

impl FeedState {
    /// The word for probes.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotUsed => "not-used",
            Self::Up(_) => "up",
            Self::Down(_) => "down",
            Self::Refused => "refused",
        }
    }

    /// How old the last proof is.
    pub fn age(self) -> Option<Duration> {
        match self {
            Self::Up(age) => Some(age),
            Self::Down(age) => age,
            Self::NotUsed | Self::Refused => None,
        }
    }
}

/// Who wants to know that records were changed, by anybody.
pub trait News: Send + Sync {
    /// The record of this session was written, removed or has expired. Never waits.
    fn changed(&self, key: &SessionKey);

    /// Any record may have been. Never waits.
    fn anything_changed(&self);

    /// The store may be another one than before: what it has taken in the last while may be forgotten. Never waits.
    fn began_anew(&self) {}

    /// This session was ended, by anybody. Its record may not be gone yet. Never waits.
    fn ended(&self, _key: &SessionKey) {}
}

/// Where a listing goes on. Only the store that made it can read it, so it may travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// One page of a listing.
pub struct Listing {
    /// The sessions, in no particular order.
    pub entries: Vec<Listed>,
    /// Where the next page begins; `None` after the last one. An empty page may have a next one.
    pub next: Option<Cursor>,
}

/// One session of a listing.
pub struct Listed {
    /// Its name in the store.
    pub key: SessionKey,
    /// Its last use, if that is still known.
    pub last_seen: Option<Timestamp>,
    /// What is known of it; `None` when the record does not open.
    pub summary: Option<Summary>,
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
