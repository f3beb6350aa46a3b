//! The moment at which everybody was sent home, in memory and in the store.
//!
//! I own: [`Board`], the port, and [`Slate`], what memory knows of that moment. I may call: `domain`, `ports`, the near
//! cache's [`Held`], the room's own types. I never take what was read before some news for what holds after them, and
//! where memory may not answer, the store is asked or nobody gets an answer.
//!
//! Its key lies under the prefix that the feed tells of. So what memory knows of it is worth exactly what memory knows of
//! a session: it holds while the feed is proved and nothing was told of it since it was read ([`super::near`]). A store
//! that is this process's alone needs no feed: what was read once holds until it is written here.

use super::near::held::Held;
use super::shelf::EndingShelf;
use crate::domain::time::Timestamp;
use crate::ports::{Clearing, StoreError};
use futures_util::future::BoxFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// No epoch of any feed: nothing is known.
const UNKNOWN: u64 = u64::MAX;

/// What memory knows.
pub(in crate::store) struct Slate {
    /// Milliseconds of Unix time; 0 for never.
    at: AtomicU64,
    /// The epoch of the feed in which it was read; [`UNKNOWN`] since there was news.
    epoch: AtomicU64,
    /// Counts what was told and written, so that nothing is kept that was read before; and when the last was read.
    news: Mutex<News>,
    source: Source,
}

#[derive(Clone, Copy, Default)]
struct News {
    number: u64,
    read_at: Duration,
}

enum Source {
    /// Nobody else writes to the store.
    Alone,
    /// Others do; once a feed is followed, it tells.
    Shared(OnceLock<Arc<Held>>),
}

/// To be taken before the store is asked.
#[derive(Clone, Copy)]
struct Mark {
    number: u64,
    epoch: u64,
    at: Duration,
}

impl Slate {
    /// For a store that others write to.
    pub(in crate::store) fn shared() -> Self {
        Self::of(Source::Shared(OnceLock::new()))
    }

    /// For a store of this process alone.
    pub(in crate::store) fn alone() -> Self {
        Self::of(Source::Alone)
    }

    fn of(source: Source) -> Self {
        Self { at: AtomicU64::new(0), epoch: AtomicU64::new(UNKNOWN), news: Mutex::default(), source }
    }

    /// From now on what `held` is told is told to this as well.
    pub(in crate::store) fn follow(&self, held: &Arc<Held>) {
        if let Source::Shared(followed) = &self.source {
            // A store has one feed; a second one would change nothing.
            let _ = followed.set(Arc::clone(held));
        }
    }

    /// Somebody has written to it: nothing of before holds, not even in an outage.
    pub(in crate::store) fn struck(&self) {
        let mut news = self.lock();
        news.number += 1;
        self.epoch.store(UNKNOWN, Ordering::SeqCst);
    }

    fn held(&self) -> Option<&Arc<Held>> {
        match &self.source {
            Source::Alone => None,
            Source::Shared(followed) => followed.get(),
        }
    }

    fn known(&self) -> Option<Timestamp> {
        // The epoch first: a moment that is written in between is a later one.
        let epoch = self.epoch.load(Ordering::SeqCst);
        let holds = match &self.source {
            Source::Alone => epoch != UNKNOWN,
            Source::Shared(followed) => followed.get().is_some_and(|held| held.believes(epoch)),
        };
        holds.then(|| Timestamp::from_unix_millis(self.at.load(Ordering::SeqCst)))
    }

    fn mark(&self) -> Mark {
        let (epoch, at) = match self.held() {
            Some(held) => (held.epoch(), held.elapsed()),
            None => (0, Duration::ZERO),
        };
        Mark { number: self.lock().number, epoch, at }
    }

    fn fill(&self, at: Timestamp, mark: Mark) {
        let mut news = self.lock();
        if news.number == mark.number {
            news.read_at = mark.at;
            self.at.store(at.unix_millis(), Ordering::SeqCst);
            self.epoch.store(mark.epoch, Ordering::SeqCst);
        }
    }

    /// What may stand in for a store that does not answer, for as long as a session in memory may.
    fn fall_back(&self) -> Option<Timestamp> {
        let news = self.lock();
        let epoch = self.epoch.load(Ordering::SeqCst);
        let held = self.held().filter(|_| epoch != UNKNOWN)?;
        let may = held.may_still_hold(epoch, news.read_at);
        may.then(|| Timestamp::from_unix_millis(self.at.load(Ordering::SeqCst)))
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The port.
pub(super) struct Board {
    pub(super) shelf: Arc<dyn EndingShelf>,
    pub(super) slate: Arc<Slate>,
}

impl Clearing for Board {
    fn clear(&self, now: Timestamp, keep: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.slate.struck();
            let written = self.shelf.clear(now, keep).await;
            // Also what was read while it was being written, and whether or not it was answered.
            self.slate.struck();
            written
        })
    }

    fn known(&self) -> Option<Timestamp> {
        self.slate.known()
    }

    fn kept(&self) -> Option<Timestamp> {
        self.slate.fall_back()
    }

    fn ask(&self, now: Timestamp) -> BoxFuture<'_, Result<Timestamp, StoreError>> {
        Box::pin(async move {
            let mark = self.slate.mark();
            match self.shelf.cleared(now).await {
                Ok(at) => {
                    self.slate.fill(at, mark);
                    Ok(at)
                }
                Err(StoreError::Unavailable(why)) => {
                    self.slate.fall_back().ok_or(StoreError::Unavailable(why))
                }
                Err(error) => Err(error),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;

    const KEEP: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[tokio::test]
    async fn a_store_of_ones_own_is_asked_once_and_after_each_writing() {
        let board = Board { shelf: Arc::new(Memory::new()), slate: Arc::new(Slate::alone()) };
        assert_eq!(board.known(), None);
        assert_eq!(board.ask(at(10)).await.unwrap(), Timestamp::NEVER);
        assert_eq!(board.known(), Some(Timestamp::NEVER));
        board.clear(at(11), KEEP).await.unwrap();
        assert_eq!(board.known(), None);
        assert_eq!(board.ask(at(12)).await.unwrap(), at(11));
        assert_eq!(board.known(), Some(at(11)));
        // A slow clock takes nothing back.
        board.clear(at(9), KEEP).await.unwrap();
        assert_eq!(board.ask(at(12)).await.unwrap(), at(11));
    }

    #[test]
    fn what_was_read_before_the_news_is_not_kept() {
        let slate = Slate::alone();
        let before = slate.mark();
        slate.struck();
        slate.fill(at(1), before);
        assert_eq!(slate.known(), None);
        slate.fill(at(2), slate.mark());
        assert_eq!(slate.known(), Some(at(2)));
    }

    #[test]
    fn a_shared_store_without_a_feed_is_asked_each_time() {
        let slate = Slate::shared();
        slate.fill(at(2), slate.mark());
        assert_eq!((slate.known(), slate.fall_back()), (None, None));
    }
}
