//! Where sessions live: the port `SessionStore` over a backend that knows only bytes.
//!
//! I own: [`open`], [`Keeper`], and what a backend owes (`Backend`). I may call: `domain`, `ports`, `keyring`, `config`.
//! I never let a backend see a session, a ticket or a name: it gets digests, keyed names and sealed bytes (R44).
//!
//! Two layers: `sealed` is the port, and seals and opens records; below it `memory`, `embedded`
//! or `redis` keeps the bytes. Around them, `measured` enters every command into the ledger, and where others write to the store
//! as well, `breaker` spares it while it does not answer (both are built with `around`), and `near` answers from memory what
//! its feed proves unchanged.
//! `endings`, outermost, remembers what has ended: it is in force here also while a store does not take it, or has
//! forgotten it. `census` counts what each key is needed for, and `locksmith` changes the keys.
//! One contract suite (`contract`) runs on all of them.

pub use self::breaker::{Breaker, BreakerParts, OPINIONS, Spared};
pub use self::endings::{Endings, MOST_ENDINGS, Memory as EndingsMemory};
pub use self::locksmith::Locksmith;
pub use self::measured::Measured;
pub use self::near::{Aside, Near, NearBounds, NearParts};
pub use self::redis::feed::Feed;
pub use self::redis::waits::{Outcome as Confirmation, Waits};

use self::census::{Census, Entries};
use self::clearing::{Board, Slate};
use self::embedded::Embedded;
use self::memory::Memory;
use self::outbox::Debts;
use self::redis::Redis;
use self::sealed::Sealed;
use self::shelf::EndingShelf;
use self::transfer::{Carrier, Haul};
use crate::config::{KeySource, StoreSettings};
use crate::domain::login::LoginId;
use crate::domain::renewal::LeaseId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::KeyRing;
use crate::ports::{
    Answer, Clearing, Cursor, KeyCensus, Outbox, SessionStore, StoreError, Transfer, Updated,
};
use std::sync::Arc;
use std::time::Duration;

mod around;
mod breaker;
mod census;
mod clearing;
#[cfg(test)]
pub mod contract;
mod embedded;
mod endings;
mod leases;
mod locksmith;
mod measured;
mod memory;
mod near;
mod outbox;
mod record;
mod redis;
mod sealed;
mod shelf;
#[cfg(test)]
pub(crate) mod tests;
mod transfer;

/// A store that is open.
pub struct Opened {
    /// The port.
    pub store: Arc<dyn SessionStore>,
    /// What tells of changes that others make; `None` where there are no others.
    pub feed: Option<Feed>,
    /// What tells of sessions that are moved into it, where there is no feed.
    pub aside: Arc<Aside>,
    /// What is owed to providers.
    pub outbox: Arc<dyn Outbox>,
    /// The moment at which everybody was sent home.
    pub clearing: Arc<dyn Clearing>,
    /// Moves sessions into it and out of it.
    pub transfer: Arc<dyn Transfer>,
    /// What its replicas have confirmed; `None` where there cannot be any.
    pub waits: Option<Arc<Waits>>,
    /// The keys that seal what is in it: one ring for all who use it, so that a change reaches everybody.
    pub keys: Arc<KeyRing>,
    /// Changes them.
    pub locksmith: Locksmith,
    /// Says which of them are still needed.
    pub census: Arc<dyn KeyCensus>,
    /// To be dropped when no request is served any more.
    pub keeper: Keeper,
}

/// Closes the store when it is dropped, whoever still holds the port: what is not on the disk yet is written then.
pub struct Keeper(Option<Arc<Embedded>>);

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(embedded) = &self.0 {
            embedded.close();
        }
    }
}

/// Opens the store. A Redis server is not connected to yet: one that is down makes requests fail, never the start, and
/// its connections live on the runtime that this is called on. `revocable`: whether
/// the operator parts of records hold refresh tokens, so that every ending can revoke them. The file of the embedded store is opened, or made, and
/// so is its key.
///
/// # Errors
/// [`StoreError::Unavailable`] when the settings can never work (a malformed URL, certificates that are none), and when
/// the file of the embedded store or its key cannot be used.
pub async fn open(settings: &StoreSettings, keys: KeySource, revocable: bool) -> Result<Opened, StoreError> {
    type Parts = (Arc<dyn Backend>, Arc<dyn EndingShelf>, Arc<dyn Haul>, Arc<Slate>);
    let mut waits = None;
    let ((backend, shelf, haul, slate), keys, embedded, feed): (Parts, _, _, _) = match settings {
        StoreSettings::Memory => {
            let memory = Arc::new(Memory::new());
            let parts: Parts = (memory.clone(), memory.clone(), memory, Arc::new(Slate::alone()));
            (parts, given(keys)?, None, None)
        }
        StoreSettings::Redis(settings) => {
            let redis = Redis::open(settings)?;
            let feed = redis.feed(settings)?;
            waits = Some(redis.waits());
            let (slate, redis) = (redis.slate(), Arc::new(redis));
            ((redis.clone(), redis.clone(), redis, slate), given(keys)?, None, Some(feed))
        }
        StoreSettings::Embedded(settings) => {
            let (embedded, keys) = Embedded::open(settings, keys)?;
            let embedded = Arc::new(embedded);
            let slate = Arc::new(Slate::alone());
            let parts: Parts = (embedded.clone(), embedded.clone(), embedded.clone(), slate);
            (parts, keys, Some((embedded, settings.clone())), None)
        }
    };
    let keeper = Keeper(embedded.as_ref().map(|(embedded, _)| Arc::clone(embedded)));
    let census = Arc::new(Census::new(Arc::clone(&backend), Arc::clone(&keys)));
    let locksmith = Locksmith::new(Arc::clone(&keys), embedded);
    let store = Arc::new(Sealed::new(Arc::clone(&backend), Arc::clone(&keys), revocable));
    let outbox = Arc::new(Debts { backend, shelf: Arc::clone(&shelf), keys: Arc::clone(&keys) });
    let aside = Arc::new(Aside::default());
    let transfer = Carrier::new(haul, Arc::clone(&shelf), store.clone(), Arc::clone(&keys));
    let transfer = Arc::new(transfer.telling(Arc::clone(&aside)));
    let clearing = Arc::new(Board { shelf, slate });
    Ok(Opened { store, feed, aside, outbox, clearing, transfer, waits, keys, locksmith, census, keeper })
}

/// The keys where there is no place beside the store.
fn given(keys: KeySource) -> Result<Arc<KeyRing>, StoreError> {
    let ring = match keys {
        KeySource::Given(keys) => KeyRing::new(keys),
        KeySource::MadeUp(key) => KeyRing::new(vec![key]),
        KeySource::BesideStore => None,
    };
    ring.map(Arc::new).ok_or_else(|| StoreError::Unavailable("there is no key to seal sessions with".into()))
}

/// The name of an index entry or of a mark: an HMAC under the key ring.
type IndexName = [u8; 32];

/// What is written of one session.
#[derive(Clone)]
struct Row {
    /// Counts the writes of this record, from 1.
    version: u64,
    /// Sealed for the holder of the ticket.
    private: Vec<u8>,
    /// Sealed for the server.
    operator: Vec<u8>,
    /// The indexes that lead to this session.
    indexes: Vec<IndexName>,
    /// When the record is gone by itself.
    expires: Timestamp,
}

/// What is read of one session.
struct Found {
    /// As in [`Row`].
    version: u64,
    /// As in [`Row`].
    private: Vec<u8>,
    /// As in [`Row`].
    operator: Vec<u8>,
    /// The last use; `None` when its entry is gone.
    last_seen: Option<Timestamp>,
}

/// What an operator's listing needs of one session.
struct Glance {
    key: SessionKey,
    /// As in [`Row`].
    version: u64,
    /// As in [`Row`]; empty for an entry that is not of our making.
    operator: Vec<u8>,
    /// As in [`Found`].
    last_seen: Option<Timestamp>,
}

/// One page of a listing, and where the next one begins.
type Page = (Vec<Glance>, Option<Cursor>);

/// What a place for bytes owes. Every expiry is a point on the clock whose `now` is passed in; every entry has one.
trait Backend: Entries + Send + Sync {
    /// Makes the index entries, then the record, then notes it as seen at `now`. Never overwrites: `false` when there
    /// is such a record already.
    fn insert<'a>(&'a self, key: &'a SessionKey, row: &'a Row, now: Timestamp) -> Answer<'a, bool>;

    /// Reads a record and when it was last seen.
    fn fetch<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> Answer<'a, Option<Found>>;

    /// Replaces the record if its version is `expected`; never creates. Index entries are added where they are new,
    /// and those of before stay until the record is deleted: after a change of keys both lead here.
    fn replace<'a>(
        &'a self,
        key: &'a SessionKey,
        row: &'a Row,
        expected: u64,
        now: Timestamp,
    ) -> Answer<'a, Updated>;

    /// Deletes the record, then everything that leads to it; whether there was one.
    fn delete<'a>(&'a self, key: &'a SessionKey) -> Answer<'a, bool>;

    /// Notes that a session was used at `now`, for as long as `keep`. Never creates a record.
    fn seen<'a>(&'a self, key: &'a SessionKey, now: Timestamp, keep: Duration) -> Answer<'a, ()>;

    /// The sessions under any of the index names, each once.
    fn members<'a>(&'a self, names: &'a [IndexName], now: Timestamp) -> Answer<'a, Vec<SessionKey>>;

    /// Notes `now` under this name, for as long as `keep`; the later moment and the longer life win.
    fn mark<'a>(&'a self, name: &'a IndexName, now: Timestamp, keep: Duration) -> Answer<'a, ()>;

    /// The latest moment under any of these names.
    fn marked<'a>(&'a self, names: &'a [IndexName], now: Timestamp) -> Answer<'a, Option<Timestamp>>;

    /// `true` for the first to take this name within `keep`.
    fn take_once(&self, login: LoginId, now: Timestamp, keep: Duration) -> Answer<'_, bool>;

    /// Takes the lease on this session for `keep`, or renews it for its holder; `false` while it is somebody else's.
    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> Answer<'a, bool>;

    /// Gives a lease back, if it is this holder's.
    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> Answer<'a, ()>;

    /// About `limit` records that have not expired, from `cursor` on (`None`: from the beginning), and where the next
    /// page begins (`None`: there is none). A record that is there during the whole walk is on at least one page, however
    /// many others come and go meanwhile. What the bytes of a cursor mean is the backend's own affair; foreign ones are
    /// an error or another place, never a panic.
    fn page<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Page>;

    /// Whether it answers.
    fn ping(&self) -> Answer<'_, ()>;
}
