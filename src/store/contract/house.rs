//! A store under test that can be looked into and tampered with.
//!
//! I own: [`House`], the moment of the tests, and their keys. I may call: everything in this room.

use crate::app::SystemClock;
use crate::config::{EmbeddedSettings, KeySource};
use crate::domain::session::SessionKey;
use crate::domain::session::tests::session;
use crate::domain::time::Timestamp;
use crate::keyring::{KeyRing, MasterKey, new_text};
use crate::ports::{Outbox, SessionStore};
use crate::store::breaker::{Breaker, BreakerParts};
use crate::store::embedded::Embedded;
use crate::store::endings::{Endings, Memory as Memories};
use crate::store::measured::Measured;
use crate::store::memory::Memory;
use crate::store::near::Near;
use crate::store::near::tests::Stage;
use crate::store::outbox::Debts;
use crate::store::redis::Redis;
use crate::store::redis::server::cluster::Cluster;
use crate::store::redis::server::sentinel::Watched;
use crate::store::redis::server::{Entry, Server};
use crate::store::sealed::Sealed;
use crate::store::shelf::EndingShelf;
use crate::store::transfer::Haul;
use crate::store::{Backend, Found, Row};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Handle;

/// The moment at which the tests take place.
pub(in crate::store) const NOW: Timestamp = Timestamp::from_unix_seconds(1000);

/// Keys, each made of one repeated byte.
pub(in crate::store) fn keys(bytes: &[u8]) -> Vec<MasterKey> {
    bytes.iter().map(|byte| MasterKey::parse(&STANDARD.encode([*byte; 32])).unwrap()).collect()
}

/// A ring of such keys.
pub(in crate::store) fn ring(bytes: &[u8]) -> Arc<KeyRing> {
    Arc::new(KeyRing::new(keys(bytes)).unwrap())
}

/// A fresh prefix, so that tests that share a server do not meet.
pub(in crate::store) fn fresh_prefix() -> String {
    format!("{}:", new_text::<16>().unwrap().as_str())
}

async fn parts_of(server: &Server, prefix: &str) -> Vec<Vec<u8>> {
    parts(server.entries(prefix).await)
}

fn parts(entries: Vec<Entry>) -> Vec<Vec<u8>> {
    entries.into_iter().flat_map(|entry| std::iter::once(entry.key).chain(entry.parts)).collect()
}

/// A store under test, and all that is in it.
pub(in crate::store) struct House {
    pub(in crate::store) backend: Arc<dyn Backend>,
    pub(in crate::store) haul: Arc<dyn Haul>,
    shelf: Shelf,
    /// The near caches around it, where there are any: what goes past them is told to them.
    near: Option<Mutex<Vec<Arc<Near>>>>,
}

enum Shelf {
    Memory(Arc<Memory>),
    /// The directory goes after the store that has a file in it.
    Embedded(Arc<Embedded>, #[expect(dead_code, reason = "held until the end of the test")] TempDir),
    Redis(Arc<Redis>, Arc<Server>, String),
    Cluster(Arc<Redis>, Arc<Cluster>, String),
    Sentinel(Arc<Redis>, Arc<Watched>, String),
}

impl House {
    pub(in crate::store) fn memory() -> Self {
        let memory = Arc::new(Memory::new());
        Self { backend: memory.clone(), haul: memory.clone(), shelf: Shelf::Memory(memory), near: None }
    }

    pub(in crate::store) fn embedded() -> Self {
        let directory = TempDir::new().unwrap();
        let settings = EmbeddedSettings { path: directory.path().into(), dev: false };
        let (embedded, _) = Embedded::open(&settings, KeySource::BesideStore).unwrap();
        let embedded = Arc::new(embedded);
        let (backend, haul) = (embedded.clone(), embedded.clone());
        Self { backend, haul, shelf: Shelf::Embedded(embedded, directory), near: None }
    }

    /// A store in memory with all that a gateway puts around one, in the same order: what one of these does not pass on is
    /// missed here. The near caches answer whatever they can.
    pub(in crate::store) fn near() -> Self {
        Self { near: Some(Mutex::default()), ..Self::memory() }
    }

    pub(in crate::store) fn redis() -> Self {
        let (server, prefix) = (Server::shared(), fresh_prefix());
        let redis = Arc::new(Redis::open(&server.settings(&prefix)).unwrap());
        let shelf = Shelf::Redis(redis.clone(), server, prefix);
        Self { backend: redis.clone(), haul: redis, shelf, near: None }
    }

    pub(in crate::store) fn cluster() -> Self {
        let (cluster, prefix) = (Cluster::shared(), fresh_prefix());
        let redis = Arc::new(Redis::open(&cluster.settings(&prefix)).unwrap());
        let shelf = Shelf::Cluster(redis.clone(), cluster, prefix);
        Self { backend: redis.clone(), haul: redis, shelf, near: None }
    }

    pub(in crate::store) fn sentinel() -> Self {
        let (watched, prefix) = (Watched::shared(), fresh_prefix());
        let redis = Arc::new(Redis::open(&watched.settings(&prefix)).unwrap());
        let shelf = Shelf::Sentinel(redis.clone(), watched, prefix);
        Self { backend: redis.clone(), haul: redis, shelf, near: None }
    }

    pub(in crate::store) fn store(&self, keys: &[u8]) -> Arc<dyn SessionStore> {
        let sealed = Arc::new(Sealed::new(self.backend.clone(), ring(keys), true));
        let Some(all) = &self.near else { return sealed };
        let stage = Arc::new(Stage::default());
        let parts = BreakerParts {
            ledger: stage.clone(),
            clock: Arc::new(SystemClock),
            stopwatch: stage.clone(),
            runtime: Handle::current(),
            opinions: 0,
        };
        let measured = Arc::new(Measured::new(sealed, stage.clone()));
        let near = Arc::new(Near::proved(Arc::new(Breaker::new(measured, parts))));
        all.lock().unwrap().push(near.clone());
        let memory = Memories::new(100, Duration::from_secs(36_000), stage.clone(), stage.clone(), stage);
        Arc::new(Endings::around(near, Arc::new(memory)))
    }

    /// What is owed, as a process with these keys sees it.
    pub(in crate::store) fn outbox(&self, keys: &[u8]) -> Arc<dyn Outbox> {
        Arc::new(Debts { backend: self.backend.clone(), shelf: self.endings(), keys: ring(keys) })
    }

    pub(in crate::store) fn endings(&self) -> Arc<dyn EndingShelf> {
        match &self.shelf {
            Shelf::Memory(memory) => memory.clone(),
            Shelf::Embedded(embedded, _) => embedded.clone(),
            Shelf::Redis(redis, ..) | Shelf::Cluster(redis, ..) | Shelf::Sentinel(redis, ..) => redis.clone(),
        }
    }

    pub(in crate::store) async fn found(&self, key: &SessionKey) -> Found {
        self.backend.fetch(key, NOW).await.unwrap().unwrap()
    }

    /// Puts values under a key as somebody would who can write to the store.
    pub(in crate::store) async fn forge(
        &self,
        key: &SessionKey,
        version: u64,
        private: Vec<u8>,
        operator: Vec<u8>,
    ) {
        self.backend.delete(key).await.unwrap();
        let row = Row { version, private, operator, indexes: Vec::new(), expires: session().ends };
        assert!(self.backend.insert(key, &row, NOW).await.unwrap());
        for near in self.near.iter().flat_map(|all| all.lock().unwrap().clone()) {
            near.told(key);
        }
    }

    pub(in crate::store) async fn dump(&self) -> Vec<Vec<u8>> {
        match &self.shelf {
            Shelf::Memory(memory) => memory.dump(),
            Shelf::Embedded(embedded, _) => embedded.dump(),
            Shelf::Redis(_, server, prefix) => parts_of(server, prefix).await,
            Shelf::Sentinel(_, watched, prefix) => parts_of(watched.master(), prefix).await,
            Shelf::Cluster(_, cluster, prefix) => parts(cluster.entries(prefix).await),
        }
    }
}
