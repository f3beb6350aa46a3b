//! The moment at which everybody was sent home, while the store is not asked.
//!
//! I own: [`Spared`], a decorator over that port. I may call: `domain`, `ports`. I never ask a store that the breaker
//! spares, but for a writing: whoever sends everybody home is waiting to hear whether they are gone.

use super::Breaker;
use crate::domain::time::Timestamp;
use crate::ports::{Answer, Breaking as _, Clearing, StoreError};
use futures_util::future::ready;
use std::sync::Arc;
use std::time::Duration;

/// The port, and the breaker before it.
pub struct Spared {
    clearing: Arc<dyn Clearing>,
    breaker: Arc<Breaker>,
}

impl Spared {
    /// Around `clearing`, whose store `breaker` spares.
    pub fn new(clearing: Arc<dyn Clearing>, breaker: Arc<Breaker>) -> Self {
        Self { clearing, breaker }
    }
}

impl Clearing for Spared {
    fn clear(&self, now: Timestamp, keep: Duration) -> Answer<'_, ()> {
        self.clearing.clear(now, keep)
    }

    fn known(&self) -> Option<Timestamp> {
        self.clearing.known()
    }

    fn kept(&self) -> Option<Timestamp> {
        self.clearing.kept()
    }

    fn ask(&self, now: Timestamp, keep: Duration) -> Answer<'_, Timestamp> {
        if !self.breaker.is_open() {
            return self.clearing.ask(now, keep);
        }
        let kept = self.clearing.kept();
        Box::pin(ready(kept.ok_or_else(|| StoreError::Unavailable("not asked for now".to_owned()))))
    }
}
