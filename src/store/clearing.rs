//! The moment at which everybody was sent home, in memory and in the store.
//!
//! I own: [`Board`], the port, and [`Slate`], what memory knows of that moment. I may call: `domain`, `ports`, the near
//! cache's [`Held`], the room's own types. I never take what was read before some news for what holds after them, and
//! where memory may not answer, the store is asked or nobody gets an answer.
//!
//! Its key lies under the prefix that the feed tells of. So what memory knows of it is worth exactly what memory knows of
//! a session: it holds while the feed is proved and nothing was told of it since it was read ([`super::near`]). A store
//! that is this process's alone needs no feed: what was read once holds until it is written here.
//!
//! A store of several servers has a copy with each of several places. Each ending of all is written to every copy, and news
//! of one are news of all: so one copy that is believed is enough, and a server that is silent makes nobody doubt.
//!
//! What a failover forgets, memory does not: the latest moment that was ever known is written again.

use super::near::held::Held;
use super::shelf::{EndingShelf, Notes};
use crate::domain::time::Timestamp;
use crate::ports::{Answer, Clearing, StoreError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// No epoch of any feed: nothing is known.
const UNKNOWN: u64 = u64::MAX;

/// What memory knows.
pub(in crate::store) struct Slate {
    /// Milliseconds of Unix time; 0 for never.
    at: AtomicU64,
    /// For each copy, the epoch of the feed in which it was read; [`UNKNOWN`] where it was not since there was news.
    epochs: Box<[AtomicU64]>,
    /// Counts what was told and written, so that nothing is kept that was read before; and when the last was read.
    news: Mutex<News>,
    /// One at a time writes again what was forgotten.
    mending: tokio::sync::Mutex<()>,
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
    /// Others do; once a feed is followed, it tells. With the places where the moment is kept.
    Shared(Box<[u16]>, OnceLock<Arc<Held>>),
}

/// To be taken before the store is asked.
struct Mark {
    number: u64,
    /// Of each copy.
    epochs: Vec<u64>,
    at: Duration,
}

impl Slate {
    /// For a store that others write to, and keep a copy of the moment at each of these places
    /// ([`super::near::trust::Spread`]).
    pub(in crate::store) fn shared(places: Box<[u16]>) -> Self {
        Self::of(places.len(), Source::Shared(places, OnceLock::new()))
    }

    /// For a store of this process alone.
    pub(in crate::store) fn alone() -> Self {
        Self::of(1, Source::Alone)
    }

    fn of(copies: usize, source: Source) -> Self {
        let epochs = (0..copies).map(|_| AtomicU64::new(UNKNOWN)).collect();
        let (news, mending) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { at: AtomicU64::new(0), epochs, news, mending, source }
    }

    /// From now on what `held` is told is told to this as well.
    pub(in crate::store) fn follow(&self, held: &Arc<Held>) {
        if let Source::Shared(_, followed) = &self.source {
            // A store has one feed; a second one would change nothing.
            let _ = followed.set(Arc::clone(held));
        }
    }

    /// Somebody has written to a copy, and so to all: nothing of before holds, not even in an outage.
    pub(in crate::store) fn struck(&self) {
        let mut news = self.lock();
        news.number += 1;
        self.epochs.iter().for_each(|epoch| epoch.store(UNKNOWN, Ordering::SeqCst));
    }

    fn held(&self) -> Option<(&[u16], &Arc<Held>)> {
        match &self.source {
            Source::Alone => None,
            Source::Shared(places, followed) => Some((places, followed.get()?)),
        }
    }

    fn known(&self) -> Option<Timestamp> {
        let holds = |epoch: u64| match &self.source {
            Source::Alone => epoch != UNKNOWN,
            Source::Shared(_, followed) => followed.get().is_some_and(|held| held.believes(epoch)),
        };
        // The epochs first: a moment that is written in between is a later one.
        let is_known = self.epochs.iter().any(|epoch| holds(epoch.load(Ordering::SeqCst)));
        is_known.then(|| self.moment())
    }

    fn moment(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.at.load(Ordering::SeqCst))
    }

    fn mark(&self) -> Mark {
        let (epochs, at) = match self.held() {
            Some((places, held)) => (places.iter().map(|place| held.epoch(*place)).collect(), held.elapsed()),
            None => (vec![0; self.epochs.len()], Duration::ZERO),
        };
        Mark { number: self.lock().number, epochs, at }
    }

    /// Keeps what was read since `mark`; the latest moment that is known now.
    fn fill(&self, notes: &Notes, mark: &Mark, now: Timestamp, keep: Duration) -> Timestamp {
        let mut news = self.lock();
        let (known, read) = (self.moment(), notes.latest());
        // What is too old to matter may be forgotten; and a moment that has not come yet is some clock's mistake, which is
        // not to outlive the store's own memory of it.
        let matters = known <= now && now.since(known) < keep;
        let is_fresh = news.number == mark.number;
        // Nor does what was read before some news take back what was read after them.
        let latest = if matters || !is_fresh { known.max(read) } else { read };
        self.at.store(latest.unix_millis(), Ordering::SeqCst);
        if is_fresh {
            news.read_at = mark.at;
            for ((epoch, note), read_in) in self.epochs.iter().zip(&notes.0).zip(&mark.epochs) {
                epoch.store(note.map_or(UNKNOWN, |_| *read_in), Ordering::SeqCst);
            }
        }
        latest
    }

    /// This moment was written.
    fn wrote(&self, at: Timestamp) {
        let _news = self.lock();
        self.at.fetch_max(at.unix_millis(), Ordering::SeqCst);
    }

    /// What may stand in for a store that does not answer, for as long as a session in memory may.
    fn fall_back(&self) -> Option<Timestamp> {
        let news = self.lock();
        let (_, held) = self.held()?;
        let epochs = self.epochs.iter().map(|epoch| epoch.load(Ordering::SeqCst));
        let may =
            epochs.filter(|epoch| *epoch != UNKNOWN).any(|epoch| held.may_still_hold(epoch, news.read_at));
        may.then(|| self.moment())
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
    fn clear(&self, now: Timestamp, keep: Duration) -> Answer<'_, ()> {
        Box::pin(async move {
            self.slate.struck();
            let written = self.shelf.clear(now, keep).await;
            // Also what was read while it was being written, and whether or not it was answered.
            self.slate.struck();
            if written.is_ok() {
                self.slate.wrote(now);
            }
            written
        })
    }

    fn known(&self) -> Option<Timestamp> {
        self.slate.known()
    }

    fn kept(&self) -> Option<Timestamp> {
        self.slate.fall_back()
    }

    fn ask(&self, now: Timestamp, keep: Duration) -> Answer<'_, Timestamp> {
        Box::pin(async move {
            let mark = self.slate.mark();
            match self.shelf.cleared(now).await {
                Ok(notes) => {
                    let at = self.slate.fill(&notes, &mark, now, keep);
                    if notes.are_behind(at) {
                        self.mend(at, &notes, keep).await;
                    }
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

impl Board {
    /// Writes again what a failover has forgotten, or an outage has kept from a copy. Whoever asks has the answer anyway.
    async fn mend(&self, at: Timestamp, notes: &Notes, keep: Duration) {
        // By whoever comes first: the others need not wait for it.
        let Ok(_mending) = self.slate.mending.try_lock() else { return };
        match self.shelf.mend(at, keep, notes).await {
            Ok(()) => tracing::warn!("the store had forgotten that all were sent home: it is noted again"),
            Err(error) => tracing::warn!(%error, "the store has forgotten that all were sent home"),
        }
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
        assert_eq!(board.ask(at(10), KEEP).await.unwrap(), Timestamp::NEVER);
        assert_eq!(board.known(), Some(Timestamp::NEVER));
        board.clear(at(11), KEEP).await.unwrap();
        assert_eq!(board.known(), None);
        assert_eq!(board.ask(at(12), KEEP).await.unwrap(), at(11));
        assert_eq!(board.known(), Some(at(11)));
        // A slow clock takes nothing back.
        board.clear(at(9), KEEP).await.unwrap();
        assert_eq!(board.ask(at(12), KEEP).await.unwrap(), at(11));
    }

    #[tokio::test]
    async fn a34_what_the_store_forgets_is_noted_again_for_as_long_as_it_matters() {
        let slate = Arc::new(Slate::alone());
        let over = |memory: &Arc<Memory>| Board { shelf: memory.clone(), slate: Arc::clone(&slate) };
        over(&Arc::new(Memory::new())).clear(at(11), KEEP).await.unwrap();
        // A successor that has heard of nothing.
        let next = Arc::new(Memory::new());
        assert_eq!(over(&next).ask(at(12), KEEP).await.unwrap(), at(11));
        assert_eq!(next.cleared(at(12)).await.unwrap(), Notes::one(at(11)));
        assert_eq!(slate.known(), Some(at(11)));
        assert_eq!(
            next.cleared(at(11 + 3600)).await.unwrap(),
            Notes::one(Timestamp::NEVER),
            "no longer than else"
        );
        // Nobody is in any more who came in before.
        let last = Arc::new(Memory::new());
        assert_eq!(over(&last).ask(at(11 + 3600), KEEP).await.unwrap(), Timestamp::NEVER);
        assert_eq!(slate.known(), Some(Timestamp::NEVER));
        // What some clock put into the future ends with the store's memory of it.
        over(&last).clear(at(90_000), KEEP).await.unwrap();
        let forgetful = Arc::new(Memory::new());
        assert_eq!(over(&forgetful).ask(at(20_000), KEEP).await.unwrap(), Timestamp::NEVER);
    }

    #[test]
    fn a34_a_later_moment_is_not_replaced_by_an_earlier_one() {
        let slate = Slate::alone();
        let fill = |moment| slate.fill(&Notes::one(at(moment)), &slate.mark(), at(20), KEEP);
        assert_eq!((fill(12), fill(11)), (at(12), at(12)));
        assert_eq!(slate.known(), Some(at(12)));
    }

    #[test]
    fn what_was_read_before_the_news_is_not_kept() {
        let slate = Slate::alone();
        let before = slate.mark();
        slate.struck();
        slate.fill(&Notes::one(at(1)), &before, at(9), KEEP);
        assert_eq!(slate.known(), None);
        slate.fill(&Notes::one(at(2)), &slate.mark(), at(9), KEEP);
        assert_eq!(slate.known(), Some(at(2)));
    }

    #[test]
    fn a_shared_store_without_a_feed_is_asked_each_time() {
        let slate = Slate::shared(Box::new([0]));
        slate.fill(&Notes::one(at(2)), &slate.mark(), at(9), KEEP);
        assert_eq!((slate.known(), slate.fall_back()), (None, None));
    }
}
