//! What this process remembers of endings, for all who ask at once.
//!
//! I own: [`Memory`]: the list under its lock, the clock of its ages, who is woken when something is owed, and what is
//! counted. I may call: `domain`, `ports`, the room's own types. I never ask a store: `writer` does.
//!
//! I stand in the way of news, between the near cache's feed and those who wait for endings: when the feed has begun
//! anew, the store may be another one than before, and what it had taken is doubted.

use super::list::{Ask, Bounds, Due, List, Noted, Over};
use crate::domain::logout::Mark;
use crate::domain::session::{LiveSession, SessionKey};
use crate::domain::time::Timestamp;
use crate::ports::{EndingStep, Entry, Ledger, News, Stopwatch};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::Notify;

/// How many endings are remembered: about 10 MB of them.
pub const MOST_ENDINGS: usize = 65_536;

/// The endings that this process has made or was told of. One for the whole process.
pub struct Memory {
    list: RwLock<List>,
    /// How many there are, to be looked at without the lock: mostly there are none.
    count: AtomicUsize,
    /// The store has failed somebody since it was last known to hold what it took.
    failed: AtomicBool,
    stirred: Notify,
    stopwatch: Arc<dyn Stopwatch>,
    ledger: Arc<dyn Ledger>,
    news: Arc<dyn News>,
}

impl Memory {
    /// Remembers up to `most` endings; what the store has not taken for up to `longest`, the longest life of a session.
    /// News go on to `news`.
    pub fn new(
        most: usize,
        longest: Duration,
        stopwatch: Arc<dyn Stopwatch>,
        ledger: Arc<dyn Ledger>,
        news: Arc<dyn News>,
    ) -> Self {
        let list = RwLock::new(List::new(Bounds { endings: most, longest }));
        let (count, failed, stirred) = (AtomicUsize::new(0), AtomicBool::new(false), Notify::new());
        Self { list, count, failed, stirred, stopwatch, ledger, news }
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Whether this session was ended by itself.
    pub(super) fn has(&self, key: &SessionKey) -> bool {
        !self.is_empty() && self.read().has(key)
    }

    /// Whether this session was ended, by itself or with others.
    pub(super) fn refuses(&self, live: &LiveSession) -> bool {
        !self.is_empty() && self.read().refuses(&live.key, &live.session)
    }

    /// The latest moment under any of these marks.
    pub(super) fn latest(&self, marks: &[Mark<'_>], now: Timestamp) -> Option<Timestamp> {
        self.read().latest(marks, now)
    }

    /// An ending is about to be written. From here on it is in force in this process.
    pub(super) fn note(&self, over: Over) -> Noted {
        self.change(|list, now| list.note(over, now))
    }

    /// The store has taken it. Where it may have been another store than that of now, it is written again.
    pub(super) fn settle(&self, ask: Ask) {
        if !self.change(|list, _| list.settle(ask)) {
            self.stirred.notify_one();
        }
    }

    /// It did not come about.
    pub(super) fn withdraw(&self, number: u64) {
        self.change(|list, _| list.withdraw(number));
    }

    /// The store did not take it: it is written later.
    pub(super) fn owe(&self, number: u64) {
        self.change(|list, _| list.owe(number));
        self.count(EndingStep::Deferred);
        self.stirred.notify_one();
    }

    /// What is to be written now, at most so much of it.
    pub(super) fn owed(&self, most: usize) -> Vec<Due> {
        self.change(|list, now| list.owed(most, now))
    }

    /// How many endings the store has not taken.
    pub(super) fn count_owed(&self) -> usize {
        if self.is_empty() { 0 } else { self.read().count_owed() }
    }

    /// The store has failed somebody: it may be another one when it is back, however late that is.
    pub(super) fn failed(&self) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            self.doubt();
        }
    }

    /// The store has answered somebody. If it had failed before, it may be another one now.
    pub(super) fn answered(&self) {
        if self.has_failed() && self.failed.swap(false, Ordering::SeqCst) {
            self.doubt();
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Completes when there may be something to write.
    pub(super) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    pub(super) fn count(&self, step: EndingStep) {
        self.ledger.enter(Entry::Endings(step));
    }

    /// What the store has taken in the last ten minutes is written again.
    fn doubt(&self) {
        if self.is_empty() {
            return;
        }
        self.change(List::doubt);
        self.stirred.notify_one();
    }

    fn change<T>(&self, change: impl FnOnce(&mut List, Duration) -> T) -> T {
        let mut list = self.write();
        let result = change(&mut list, self.stopwatch.elapsed());
        self.count.store(list.len(), Ordering::SeqCst);
        result
    }

    fn read(&self) -> RwLockReadGuard<'_, List> {
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, List> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl News for Memory {
    fn changed(&self, key: &SessionKey) {
        self.news.changed(key);
    }

    fn anything_changed(&self) {
        self.news.anything_changed();
    }

    fn began_anew(&self) {
        self.doubt();
        self.news.began_anew();
    }

    fn ended(&self, key: &SessionKey) {
        self.change(|list, now| list.learn(*key, now));
        self.news.ended(key);
    }
}
