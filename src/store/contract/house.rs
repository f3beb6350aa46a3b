//! A store under test that can be looked into and tampered with.
//!
//! I own: [`House`], the moment of the tests, and their keys. I may call: everything in this room.

use crate::config::{EmbeddedSettings, KeySource};
use crate::domain::session::SessionKey;
use crate::domain::session::tests::session;
use crate::domain::time::Timestamp;
use crate::keyring::{KeyRing, MasterKey, new_text};
use crate::store::embedded::Embedded;
use crate::store::memory::Memory;
use crate::store::redis::Redis;
use crate::store::redis::server::Server;
use crate::store::sealed::Sealed;
use crate::store::{Backend, Found, Row};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
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

/// A store under test, and all that is in it.
pub(in crate::store) struct House {
    pub(in crate::store) backend: Arc<dyn Backend>,
    shelf: Shelf,
}

enum Shelf {
    Memory(Arc<Memory>),
    /// The directory goes after the store that has a file in it.
    Embedded(Arc<Embedded>, #[expect(dead_code, reason = "held until the end of the test")] TempDir),
    Redis(Arc<Server>, String),
}

impl House {
    pub(in crate::store) fn memory() -> Self {
        let memory = Arc::new(Memory::new());
        Self { backend: memory.clone(), shelf: Shelf::Memory(memory) }
    }

    pub(in crate::store) fn embedded() -> Self {
        let directory = TempDir::new().unwrap();
        let settings = EmbeddedSettings { path: directory.path().into(), dev: false };
        let (embedded, _) = Embedded::open(&settings, KeySource::BesideStore).unwrap();
        let embedded = Arc::new(embedded);
        Self { backend: embedded.clone(), shelf: Shelf::Embedded(embedded, directory) }
    }

    pub(in crate::store) fn redis() -> Self {
        let (server, prefix) = (Server::shared(), fresh_prefix());
        let redis = Redis::open(&server.settings(&prefix)).unwrap();
        Self { backend: Arc::new(redis), shelf: Shelf::Redis(server, prefix) }
    }

    pub(in crate::store) fn store(&self, keys: &[u8]) -> Sealed {
        Sealed::new(self.backend.clone(), ring(keys))
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
    }

    pub(in crate::store) async fn dump(&self) -> Vec<Vec<u8>> {
        match &self.shelf {
            Shelf::Memory(memory) => memory.dump(),
            Shelf::Embedded(embedded, _) => embedded.dump(),
            Shelf::Redis(server, prefix) => {
                let entries = server.entries(prefix).await;
                entries.into_iter().flat_map(|entry| std::iter::once(entry.key).chain(entry.parts)).collect()
            }
        }
    }
}
