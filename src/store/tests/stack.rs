//! A store with all that `app` puts around one, in the same order.
//!
//! I own: [`Stack`]. I may call: everything in this room. I never leave out what stands between a gateway and its store: what
//! a test finds out with me is true of the whole.

use crate::ports::{Clock, News, SessionStore};
use crate::store::near::{Near, NearParts};
use crate::store::{Breaker, BreakerParts, Endings, EndingsMemory, MOST_ENDINGS, Measured};
use std::sync::Arc;
use tokio::runtime::Handle;

/// What it is made with.
pub(crate) struct Around {
    /// Of the near cache. Its stopwatch, ledger and news are those of all.
    pub(crate) near: NearParts,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where what it owes is written, and the store asked whether it is back.
    pub(crate) runtime: Handle,
}

/// Endings over a near cache over a breaker over what is measured.
pub(super) struct Stack {
    pub(super) endings: Arc<Endings>,
    pub(super) breaker: Arc<Breaker>,
}

impl Stack {
    /// Around `store`, with the near cache that `near` makes, and whatever else comes of that.
    pub(super) fn over<T>(
        store: Arc<dyn SessionStore>,
        around: Around,
        near: impl FnOnce(Arc<dyn SessionStore>, NearParts) -> (Near, T),
    ) -> (Self, T) {
        let Around { near: parts, clock, runtime } = around;
        let _here = runtime.enter();
        let (stopwatch, ledger) = (Arc::clone(&parts.stopwatch), Arc::clone(&parts.ledger));
        let measured = Arc::new(Measured::new(store, Arc::clone(&ledger)));
        let breaking = BreakerParts {
            ledger: Arc::clone(&ledger),
            clock,
            stopwatch: Arc::clone(&stopwatch),
            runtime: runtime.clone(),
            opinions: 0,
        };
        let breaker = Arc::new(Breaker::new(measured, breaking));
        let lifetime = parts.limits.lifetime;
        let memory = EndingsMemory::new(MOST_ENDINGS, lifetime, stopwatch, ledger, Arc::clone(&parts.news));
        let memory = Arc::new(memory);
        let news = Arc::clone(&memory) as Arc<dyn News>;
        let (near, beside) = near(Arc::clone(&breaker) as Arc<dyn SessionStore>, NearParts { news, ..parts });
        (Self { endings: Arc::new(Endings::around(Arc::new(near), memory)), breaker }, beside)
    }
}
