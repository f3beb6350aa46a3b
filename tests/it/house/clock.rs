//! A clock that stands still until a test moves it.
//!
//! I own: [`ManualClock`], shared by the gateway and the provider. I never read the time of day.

use keycard::domain::time::Timestamp;
use keycard::ports::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600;

/// The time of day, in milliseconds; clones are the same clock.
#[derive(Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(START * 1000)))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(u64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Steps back, as a clock does that is put right.
    pub fn set_back(&self, span: Duration) {
        self.0.fetch_sub(u64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Whole seconds since the Unix epoch, as a NumericDate counts them.
    pub fn unix(&self) -> i64 {
        i64::try_from(self.0.load(Ordering::SeqCst) / 1000).unwrap()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}
