//! Other keys for sessions, without a restart.
//!
//! I own: [`Keys`]: when a reload changes them, and how that is told. I may call: `config`, `keyring`, `store`, `ports`. I
//! never name a key but by its id.

use crate::app::furnish::House;
use crate::config::KeySource;
use crate::keyring::KeyRing;
use crate::ports::{KeyCensus, KeyRole, StoreError};
use crate::store::Locksmith;
use std::sync::Arc;
use tokio::runtime::Handle;

/// How many records are looked at for the warning that a key was removed too early. Enough to see that it was, and
/// quick with any number of them.
const SAMPLE: u64 = 10_000;

/// Who changes keys, and who knows what they are needed for.
pub(in crate::app) struct Keys {
    pub(in crate::app) locksmith: Locksmith,
    pub(in crate::app) census: Arc<dyn KeyCensus>,
    /// The store's.
    pub(in crate::app) runtime: Handle,
}

impl Keys {
    /// The ring to change to; `None` where it stays. Keys that belong to another store wait for the restart with it.
    pub(super) fn prepare(
        &self,
        source: KeySource,
        needs_restart: &[&str],
    ) -> Result<Option<KeyRing>, StoreError> {
        if needs_restart.iter().any(|key| *key == "session.keys" || key.starts_with("session.store")) {
            return Ok(None);
        }
        self.locksmith.prepare(source)
    }

    /// Puts a ring in force that was prepared.
    pub(super) fn change(&self, house: &House, ring: &KeyRing) -> Result<(), StoreError> {
        let before = house.keys.ids();
        self.locksmith.change(ring)?;
        let names: Vec<String> = ring.ids().iter().map(ToString::to_string).collect();
        tracing::info!(
            keys = names.join(", "),
            "the keys of sessions were changed; the first seals from now on"
        );
        for id in before.into_iter().filter(|id| !ring.has(*id)) {
            tracing::warn!(
                key = %id,
                "a key was removed: what it has sealed cannot be read until it is put back, behind the first"
            );
            self.count_what_is_lost(house, id.to_string());
        }
        Ok(())
    }

    /// In the background: a store may be large, or away.
    fn count_what_is_lost(&self, house: &House, id: String) {
        let (census, now) = (Arc::clone(&self.census), house.clock.now());
        self.runtime.spawn(async move {
            match census.take(Some(SAMPLE), now).await {
                Ok(census) => {
                    let lost = census.keys.iter().find(|key| key.role == KeyRole::Missing && key.id == id);
                    if let Some(records) = lost.map(|key| key.records) {
                        let all = census.is_complete;
                        tracing::error!(
                            key = id,
                            records,
                            all,
                            "sessions are sealed with a key that was removed: put it back as the last of `session.keys`"
                        );
                    }
                }
                Err(error) => tracing::warn!(%error, "nobody can say whether a key is missed that was removed"),
            }
        });
    }
}
