//! What a replica is told and tells: the time, and what is entered into its ledger.
//!
//! I own: [`Times`] and [`Diary`]. I may call: `ports`. I never let time pass by itself.

use crate::domain::time::Timestamp;
use crate::ports::{Clock, EndingStep, Entry, Ledger, Near, Stopwatch};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The time of day and the stopwatch.
pub(in super::super) struct Times {
    pub(super) wall: AtomicU64,
    pub(super) watch: AtomicU64,
}

impl Times {
    pub(super) fn pass(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap();
        self.wall.fetch_add(millis, Ordering::SeqCst);
        self.watch.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Times {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.wall.load(Ordering::SeqCst))
    }

    /// By the timers of the replica that asks, which the model moves along.
    fn until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(moment.since(self.now())))
    }
}

impl Stopwatch for Times {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.watch.load(Ordering::SeqCst))
    }
}

/// What is entered into the ledger of one replica.
#[derive(Default)]
pub(in super::super) struct Diary {
    pub(in super::super) renewals: Mutex<Vec<&'static str>>,
    pub(in super::super) events: Mutex<BTreeMap<&'static str, u64>>,
}

impl Diary {
    /// How often this has happened.
    pub(in super::super) fn counted(&self, what: &str) -> u64 {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.get(what).copied().unwrap_or_default()
    }

    pub(super) fn count(&self, what: &'static str) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }
}

impl Ledger for Diary {
    fn enter(&self, entry: Entry<'_>) {
        match entry {
            Entry::Renewal { result, .. } => {
                self.renewals.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                self.count(result);
            }
            Entry::Ended(reason) => self.count(reason),
            Entry::Near(Near::Hit) => self.count("near: hit"),
            Entry::Near(Near::Doubtful) => self.count("near: doubtful"),
            Entry::Near(Near::FellBack) => self.count("near: fell back"),
            Entry::Near(Near::FillRefused) => self.count("near: fill refused"),
            Entry::Near(Near::PutBack) => self.count("near: put back"),
            Entry::Breaker { open: true } => self.count("breaker: open"),
            Entry::Endings(EndingStep::Deferred) => self.count("endings: deferred"),
            Entry::Endings(EndingStep::Written) => self.count("endings: written"),
            Entry::Endings(EndingStep::Forgotten) => self.count("endings: forgotten"),
            _ => {}
        }
    }

    fn read(&self) -> String {
        String::new()
    }
}
