//! A clock that stands still until a test moves it.
//!
//! I own: [`ManualClock`], shared by the gateway and the provider. I never read the time of day.

use futures_util::future::BoxFuture;
use keycard::domain::time::Timestamp;
use keycard::ports::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600;

/// The time of day, in milliseconds; clones are the same clock.
#[derive(Clone)]
pub struct ManualClock(Arc<watch::Sender<u64>>);

impl ManualClock {
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(START * 1000)))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap();
        self.0.send_modify(|now| *now += millis);
    }

    /// Steps back, as a clock does that is put right.
    pub fn set_back(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap();
        self.0.send_modify(|now| *now -= millis);
    }

    /// Whole seconds since the Unix epoch, as a NumericDate counts them.
    pub fn unix(&self) -> i64 {
        i64::try_from(*self.0.borrow() / 1000).unwrap()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(*self.0.borrow())
    }

    fn until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let mut time = self.0.subscribe();
        Box::pin(async move {
            let _ = time.wait_for(|now| *now >= moment.unix_millis()).await;
        })
    }
}
