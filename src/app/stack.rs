//! What stands around the store, from within to without.
//!
//! I own: the order of the layers. I may call: `config`, `gateway` (the list of those who wait), `ports`, `stopwatch`, and
//! `store`, whose layers they are. I never ask the store anything.

use crate::app::stopwatch::BootClock;
use crate::config::{NearSettings, StoreSettings};
use crate::domain::session::Limits;
use crate::gateway::live::Live;
use crate::ports::{Clearing, Clock, Ledger, News, SessionStore};
use crate::store::{
    Aside, Breaker, BreakerParts, Endings, EndingsMemory, Feed, MOST_ENDINGS, Measured, Near, NearBounds,
    NearParts, OPINIONS, Spared,
};
use std::sync::Arc;
use tokio::runtime::Handle;

/// What the layers are made with.
pub(super) struct Layers<'a> {
    pub(super) store: &'a StoreSettings,
    pub(super) near: NearSettings,
    pub(super) limits: Limits,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) ledger: &'a Arc<dyn Ledger>,
    pub(super) live: &'a Arc<Live>,
}

/// What is asked in the place of the store.
pub(super) struct Stack {
    /// The outermost layer.
    pub(super) endings: Arc<Endings>,
    pub(super) clearing: Arc<dyn Clearing>,
    /// Over a store that is a server.
    pub(super) breaker: Option<Arc<Breaker>>,
}

impl Layers<'_> {
    /// Around a store that is open, on its runtime. `aside` is told of sessions that are moved, where there is no `feed`.
    pub(super) fn around(
        self,
        store: Arc<dyn SessionStore>,
        clearing: Arc<dyn Clearing>,
        feed: Option<Feed>,
        aside: &Aside,
    ) -> Stack {
        // Measured within the near cache: what the store itself is asked.
        let store: Arc<dyn SessionStore> = Arc::new(Measured::new(store, Arc::clone(self.ledger)));
        let breaker = self.breaker(&store);
        let (store, clearing) = match &breaker {
            Some(breaker) => {
                let clearing: Arc<dyn Clearing> = Arc::new(Spared::new(clearing, Arc::clone(breaker)));
                (Arc::clone(breaker) as Arc<dyn SessionStore>, clearing)
            }
            None => (store, clearing),
        };
        // The near cache tells it of news, and it tells those who wait.
        let memory = Arc::new(EndingsMemory::new(
            MOST_ENDINGS,
            self.limits.lifetime,
            Arc::new(BootClock),
            Arc::clone(self.ledger),
            Arc::clone(self.live) as Arc<dyn News>,
        ));
        let store = self.near(store, feed, aside, &memory);
        Stack { endings: Arc::new(Endings::around(store, memory)), clearing, breaker }
    }

    /// Over a store that is a server: one that does not answer is not asked.
    fn breaker(&self, store: &Arc<dyn SessionStore>) -> Option<Arc<Breaker>> {
        let redis = match self.store {
            StoreSettings::Redis(redis) => redis,
            StoreSettings::Embedded(_) | StoreSettings::Memory => return None,
        };
        let parts = BreakerParts {
            ledger: Arc::clone(self.ledger),
            clock: Arc::clone(self.clock),
            stopwatch: Arc::new(BootClock),
            runtime: Handle::current(),
            opinions: if redis.is_cluster() { OPINIONS } else { 0 },
        };
        Some(Arc::new(Breaker::new(Arc::clone(store), parts)))
    }

    /// The near cache, unless it is switched off.
    fn near(
        &self,
        store: Arc<dyn SessionStore>,
        feed: Option<Feed>,
        aside: &Aside,
        news: &Arc<EndingsMemory>,
    ) -> Arc<dyn SessionStore> {
        let NearSettings { sessions, bytes, outage_grace } = self.near;
        if sessions == 0 {
            return store;
        }
        let parts = NearParts {
            bounds: NearBounds { sessions, bytes, outage_grace },
            limits: self.limits,
            stopwatch: Arc::new(BootClock),
            ledger: Arc::clone(self.ledger),
            news: Arc::clone(news) as Arc<dyn News>,
        };
        Arc::new(match feed {
            Some(feed) => Near::new(store, feed, parts),
            None => Near::alone(store, parts, aside),
        })
    }
}
