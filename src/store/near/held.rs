//! The sessions in memory, and what the feed says of them.
//!
//! I own: [`Held`]: the shards, each under its own lock, their common trust, and what is counted. I may call: `domain`,
//! `ports`, the room's own types. I never ask a store: [`super::Near`] does, and the feed tells me.

use super::shard::{Bounds, Filled, Mark, Shard};
use super::trust::Trust;
use super::weight::weight;
use crate::domain::session::{LiveSession, SessionKey};
use crate::domain::time::Timestamp;
use crate::ports::{Entry, FeedState, Ledger, Near, News, Stopwatch};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many shards there are: enough that workers seldom meet, and that a change refuses few fills of others.
const SHARDS: usize = 64;

/// What is held of a session, and what it is worth.
pub(super) enum Found {
    /// It holds.
    Sure(LiveSession),
    /// It is there, but the store has to be asked.
    Doubtful,
    /// It is not there.
    Nothing,
}

/// What the feed does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Down = 0,
    Up = 1,
    Refused = 2,
    /// There is none, and none is needed.
    Own = 3,
}

/// The sessions that this process holds.
pub(in crate::store) struct Held {
    shards: Vec<Mutex<Shard>>,
    trust: Trust,
    line: AtomicU8,
    outage_grace: Duration,
    stopwatch: Arc<dyn Stopwatch>,
    ledger: Arc<dyn Ledger>,
    news: Arc<dyn News>,
}

/// What [`Held`] is made of.
pub(super) struct Parts {
    pub(super) sessions: usize,
    pub(super) bytes: usize,
    pub(super) outage_grace: Duration,
    pub(super) stopwatch: Arc<dyn Stopwatch>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) news: Arc<dyn News>,
}

impl Held {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { sessions, bytes, outage_grace, stopwatch, ledger, news } = parts;
        // A bound below the number of shards is one session in each.
        let bounds = Bounds { sessions: (sessions / SHARDS).max(1), bytes: bytes / SHARDS };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(bounds))).collect(),
            trust: Trust::new(),
            line: AtomicU8::new(Line::Down as u8),
            outage_grace,
            stopwatch,
            ledger,
            news,
        }
    }

    /// Nobody else writes to the store: what is held is always sure.
    pub(super) fn trust_oneself(&self) {
        self.line.store(Line::Own as u8, Ordering::SeqCst);
        self.trust.always();
    }

    /// What is held of a session now.
    pub(super) fn look(&self, key: &SessionKey) -> Found {
        let Some(kept) = self.shard(key).look(key) else { return Found::Nothing };
        // The time is read last: whatever happened on the way here, it counts.
        if self.trust.holds(kept.epoch, self.stopwatch.elapsed()) {
            Found::Sure(kept.live)
        } else {
            Found::Doubtful
        }
    }

    /// To be taken before the store is asked.
    pub(super) fn mark(&self, key: &SessionKey) -> Mark {
        let at = self.stopwatch.elapsed();
        let shard = self.shard(key);
        shard.mark(self.trust.epoch(), at)
    }

    /// Keeps what the store answered since `mark`; what is returned is that, with its last use as it is known here.
    pub(super) fn fill(&self, live: &LiveSession, mark: Mark) -> LiveSession {
        let bytes = weight(&live.session);
        let mut shard = self.shard(&live.key);
        let filled = shard.fill(live.clone(), mark, bytes);
        let known = shard.look(&live.key).filter(|kept| kept.live.version == live.version);
        drop(shard);
        match filled {
            Filled::Kept(evicted) => (0..evicted).for_each(|_| self.count(Near::Evicted)),
            Filled::Refused | Filled::TooLarge => self.count(Near::FillRefused),
        }
        known.map_or_else(|| live.clone(), |kept| kept.live)
    }

    /// A later version of this session than the one that the store has, if there is one here. Whatever tokens the store
    /// has that are newer, it keeps.
    pub(super) fn later_than(&self, found: &LiveSession) -> Option<LiveSession> {
        let kept = self.shard(&found.key).look(&found.key)?.live;
        let generation = |live: &LiveSession| live.session.renewal.generation;
        (kept.version > found.version && generation(&kept) >= generation(found)).then_some(kept)
    }

    /// What may stand in for a store that does not answer: a session that was known to be good not longer ago than
    /// `outage_grace`, and of which no change was heard.
    pub(super) fn fall_back(&self, key: &SessionKey) -> Option<LiveSession> {
        let kept = self.shard(key).look(key)?;
        let known = self.trust.last_known(kept.epoch, kept.at);
        (self.stopwatch.elapsed() < known.saturating_add(self.outage_grace)).then_some(kept.live)
    }

    /// The epoch that reads belong to which begin now.
    pub(in crate::store) fn epoch(&self) -> u64 {
        self.trust.epoch()
    }

    /// Whether what was read in this epoch, and of which nothing was told since, holds now.
    pub(in crate::store) fn believes(&self, epoch: u64) -> bool {
        self.trust.holds(epoch, self.stopwatch.elapsed())
    }

    /// Whether it may stand in for a store that does not answer; it was read at `at`.
    pub(in crate::store) fn may_still_hold(&self, epoch: u64, at: Duration) -> bool {
        let known = self.trust.last_known(epoch, at);
        self.stopwatch.elapsed() < known.saturating_add(self.outage_grace)
    }

    /// A record is being changed by this process.
    pub(super) fn strike(&self, key: &SessionKey) {
        self.shard(key).strike(key);
    }

    /// The store has no such record.
    pub(super) fn forget(&self, key: &SessionKey) {
        self.shard(key).forget(key);
    }

    /// A session was used, and the store knows.
    pub(super) fn seen(&self, key: &SessionKey, now: Timestamp) {
        self.shard(key).seen(key, now);
    }

    pub(super) fn count(&self, event: Near) {
        self.ledger.enter(Entry::Near(event));
    }

    /// What probes are told.
    pub(super) fn state(&self) -> FeedState {
        let now = self.stopwatch.elapsed();
        let age = self.trust.last_proof().map(|sent| now.saturating_sub(sent));
        match (self.line.load(Ordering::SeqCst), age) {
            (line, _) if line == Line::Own as u8 => FeedState::NotUsed,
            (line, _) if line == Line::Refused as u8 => FeedState::Refused,
            (line, Some(age)) if line == Line::Up as u8 && age < super::trust::BELIEVED_FOR => {
                FeedState::Up(age)
            }
            (_, age) => FeedState::Down(age),
        }
    }

    fn shard(&self, key: &SessionKey) -> MutexGuard<'_, Shard> {
        let at = usize::from(key.as_bytes()[0]) % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the feed says.
impl Held {
    /// The time, as heartbeats are to be dated.
    pub(in crate::store) fn elapsed(&self) -> Duration {
        self.stopwatch.elapsed()
    }

    /// From now on all changes are told; what happened before may have gone untold.
    pub(in crate::store) fn begun(&self) {
        self.line.store(Line::Up as u8, Ordering::SeqCst);
        self.everything_changed();
    }

    /// Everything may have changed.
    pub(in crate::store) fn everything_changed(&self) {
        self.trust.begin();
        self.count(Near::AllInvalidated);
        self.news.began_anew();
        self.news.anything_changed();
    }

    /// A record was changed by anybody, this process included. First nothing is held of it any more, then whoever waits
    /// for news looks again.
    pub(in crate::store) fn changed(&self, key: &SessionKey) {
        self.strike(key);
        self.count(Near::Invalidated);
        self.news.changed(key);
    }

    /// A session was ended, by anybody.
    pub(in crate::store) fn ended(&self, key: &SessionKey) {
        self.strike(key);
        self.news.ended(key);
    }

    /// A heartbeat that was sent at `sent` has come back on the connection that is in use.
    pub(in crate::store) fn proved(&self, sent: Duration) {
        self.trust.prove(sent);
    }

    /// It has been silent for suspiciously long: whoever waits for news had better look.
    pub(in crate::store) fn suspected(&self) {
        self.news.anything_changed();
    }

    /// No changes are told any more.
    pub(in crate::store) fn lost(&self) {
        self.away();
        self.news.anything_changed();
    }

    /// There is still no feed.
    pub(in crate::store) fn away(&self) {
        self.line.store(Line::Down as u8, Ordering::SeqCst);
        self.trust.lose();
    }

    /// The store will not tell of changes.
    pub(in crate::store) fn refused(&self) {
        self.line.store(Line::Refused as u8, Ordering::SeqCst);
        self.trust.lose();
    }

    /// Enters sizes and state into the ledger.
    pub(in crate::store) fn tell_the_ledger(&self) {
        let sizes =
            self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).size());
        let (sessions, bytes) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        self.ledger.enter(Entry::Held { sessions, bytes, feed: self.state() });
    }
}
