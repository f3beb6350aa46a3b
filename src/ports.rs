//! Every socket in the wall: what the house asks of the world outside.
//!
//! I own: the traits [`Clock`], [`Stopwatch`] and [`SessionStore`]; below me, a file each, [`IdentityProvider`], [`Ledger`],
//! [`News`], [`Outbox`], [`Clearing`], [`Transfer`], [`KeyCensus`] and [`Breaking`], with their errors. I may call: `domain`.
//! I never say how: adapters hang on from outside, and no one here knows their names.

mod breaker;
mod census;
mod clearing;
mod feed;
mod ledger;
mod outbox;
mod provider;
mod transfer;

pub use breaker::*;
pub use census::*;
pub use clearing::Clearing;
pub use feed::{FeedState, News};
pub use ledger::*;
pub use outbox::{Debt, GIVEN_UP_AFTER, Outbox, Owed, Standing, StandsOn, Taken};
pub use provider::*;
pub use transfer::*;

use crate::domain::identity::{Issuer, Subject};
use crate::domain::login::LoginId;
use crate::domain::logout::Mark;
use crate::domain::renewal::LeaseId;
use crate::domain::session::{LiveSession, Session, SessionKey, Summary, Ticket};
use crate::domain::time::Timestamp;
use futures_util::future::BoxFuture;
use std::time::Duration;

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

/// What a store says, sooner or later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

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
    fn create<'a>(&'a self, ticket: &'a Ticket, session: &'a Session, now: Timestamp) -> Answer<'a, ()>;

    /// Reads a session; `Ok(None)` when there is no such record. Limits are for the caller to judge.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn load<'a>(&'a self, ticket: &'a Ticket, now: Timestamp) -> Answer<'a, Option<LiveSession>>;

    /// As [`Self::load`], but past any memory of this process: what is in the store once this is called. For whoever
    /// has just been given a lease, and must see what its last holder wrote.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn reload<'a>(&'a self, ticket: &'a Ticket, now: Timestamp) -> Answer<'a, Option<LiveSession>> {
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
    ) -> Answer<'a, Updated>;

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
    ) -> Answer<'a, Updated> {
        Box::pin(std::future::ready(Ok(Updated::Conflict)))
    }

    /// Notes that a session was used at `now`, in a key of its own that lives for `keep`. Never creates a session.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn touch<'a>(&'a self, key: &'a SessionKey, now: Timestamp, keep: Duration) -> Answer<'a, ()>;

    /// Removes a record with its index entries; whether there was one. Also true where the store does not answer, and
    /// this process has taken note: see [`Self::owed`].
    ///
    /// # Errors
    /// See [`StoreError`].
    fn remove<'a>(&'a self, key: &'a SessionKey) -> Answer<'a, bool>;

    /// The sessions of a person, by the index; some may have ended since.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn of_subject<'a>(
        &'a self,
        issuer: &'a Issuer,
        subject: &'a Subject,
        now: Timestamp,
    ) -> Answer<'a, Vec<SessionKey>>;

    /// The sessions that stand on one session of a provider, by the index; some may have ended since.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn of_provider_sid<'a>(
        &'a self,
        issuer: &'a Issuer,
        provider_sid: &'a str,
        now: Timestamp,
    ) -> Answer<'a, Vec<SessionKey>>;

    /// Takes a login's name: `true` for the first taker only, for as long as `keep` (R4).
    ///
    /// # Errors
    /// See [`StoreError`].
    fn take_once<'a>(&'a self, login: LoginId, now: Timestamp, keep: Duration) -> Answer<'a, bool>;

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
    ) -> Answer<'a, bool>;

    /// Gives a lease back, if it is still this holder's.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> Answer<'a, ()>;

    /// What an operator may know of one session; `Ok(None)` when there is no such record.
    ///
    /// # Errors
    /// See [`StoreError`]. A record that does not open is no error, but an entry without a summary.
    fn glance<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> Answer<'a, Option<Listed>>;

    /// Notes `now` under a mark, for as long as `keep`. A later moment is never replaced by an earlier one, and no mark
    /// lives shorter than it was to live before. Whoever ends sessions by person or provider session writes the mark
    /// first, then asks the index, then removes; whoever creates a session asks for its marks afterwards. So each
    /// session is seen by the one or sees the other, in any order of these steps.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn mark<'a>(&'a self, mark: Mark<'a>, now: Timestamp, keep: Duration) -> Answer<'a, ()>;

    /// The latest moment under any of these marks.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn marked<'a>(&'a self, marks: &'a [Mark<'a>], now: Timestamp) -> Answer<'a, Option<Timestamp>>;

    /// About `limit` sessions, from where `cursor` points or from the beginning, as their operator parts have them.
    /// One that is there from the first page to the last is on at least one page; one may be on several.
    ///
    /// # Errors
    /// See [`StoreError`]. A single record that cannot be read is no error, but an entry without a summary.
    fn list<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Listing>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn ping(&self) -> Answer<'_, ()>;

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
