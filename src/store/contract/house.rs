//! A store under test that can be looked into and tampered with.
//!
//! I own: [`House`], the moment of the tests, and their keys. I may call: everything in this room.

use crate::config::{EmbeddedSettings, KeySource};
use crate::domain::session::SessionKey;
use crate::domain::session::tests::session;
use crate::domain::time::Timestamp;
use crate::keyring::{KeyRing, MasterKey, new_text};
use crate::ports::SessionStore;
use crate::store::embedded::Embedded;
use crate::store::memory::Memory;
use crate::store::near::Near;
use crate::store::redis::Redis;
use crate::store::redis::server::cluster::Cluster;
use crate::store::redis::server::sentinel::Watched;
use crate::store::redis::server::{Entry, Server};
use crate::store::sealed::Sealed;
use crate::store::{Backend, Found, Row};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

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
    shelf: Shelf,
    /// The near caches around it, where there are any: what goes past them is told to them.
    near: Option<Mutex<Vec<Arc<Near>>>>,
}

enum Shelf {
    Memory(Arc<Memory>),
    /// The directory goes after the store that has a file in it.
    Embedded(Arc<Embedded>, #[expect(dead_code, reason = "held until the end of the test")] TempDir),
    Redis(Arc<Server>, String),
    Cluster(Arc<Cluster>, String),
    Sentinel(Arc<Watched>, String),
}

impl House {
    pub(in crate::store) fn memory() -> Self {
        let memory = Arc::new(Memory::new());
        Self { backend: memory.clone(), shelf: Shelf::Memory(memory), near: None }
    }

    pub(in crate::store) fn embedded() -> Self {
        let directory = TempDir::new().unwrap();
        let settings = EmbeddedSettings { path: directory.path().into(), dev: false };
        let (embedded, _) = Embedded::open(&settings, KeySource::BesideStore).unwrap();
        let embedded = Arc::new(embedded);
        Self { backend: embedded.clone(), shelf: Shelf::Embedded(embedded, directory), near: None }
    }

    /// A store in memory, with near caches that answer whatever they can.
    pub(in crate::store) fn near() -> Self {
        Self { near: Some(Mutex::default()), ..Self::memory() }
    }

    pub(in crate::store) fn redis() -> Self {
        let (server, prefix) = (Server::shared(), fresh_prefix());
        let redis = Redis::open(&server.settings(&prefix)).unwrap();
        Self { backend: Arc::new(redis), shelf: Shelf::Redis(server, prefix), near: None }
    }

    pub(in crate::store) fn cluster() -> Self {
        let (cluster, prefix) = (Cluster::shared(), fresh_prefix());
        let redis = Redis::open(&cluster.settings(&prefix)).unwrap();
        Self { backend: Arc::new(redis), shelf: Shelf::Cluster(cluster, prefix), near: None }
    }

    pub(in crate::store) fn sentinel() -> Self {
        let (watched, prefix) = (Watched::shared(), fresh_prefix());
        let redis = Redis::open(&watched.settings(&prefix)).unwrap();
        Self { backend: Arc::new(redis), shelf: Shelf::Sentinel(watched, prefix), near: None }
    }

    pub(in crate::store) fn store(&self, keys: &[u8]) -> Arc<dyn SessionStore> {
        let sealed = Arc::new(Sealed::new(self.backend.clone(), ring(keys)));
        let Some(all) = &self.near else { return sealed };
        let near = Arc::new(Near::proved(sealed));
        all.lock().unwrap().push(near.clone());
        near
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
            Shelf::Redis(server, prefix) => parts_of(server, prefix).await,
            Shelf::Sentinel(watched, prefix) => parts_of(watched.master(), prefix).await,
            Shelf::Cluster(cluster, prefix) => parts(cluster.entries(prefix).await),
        }
    }
}
