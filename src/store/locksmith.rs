//! Other keys for a store that is open.
//!
//! I own: [`Locksmith`]. I may call: `config`, `keyring`, `ports`, the room's own types. I never put keys in force that
//! were not found acceptable as a whole first, and never change them by halves.

use crate::config::{EmbeddedSettings, KeySource};
use crate::keyring::KeyRing;
use crate::ports::StoreError;
use crate::store::embedded::{self, Embedded};
use std::sync::Arc;

/// Changes the keys of one store, for everything that shares its ring.
pub struct Locksmith {
    keys: Arc<KeyRing>,
    embedded: Option<(Arc<Embedded>, EmbeddedSettings)>,
}

impl Locksmith {
    pub(in crate::store) fn new(
        keys: Arc<KeyRing>,
        embedded: Option<(Arc<Embedded>, EmbeddedSettings)>,
    ) -> Self {
        Self { keys, embedded }
    }

    /// The ring that these keys make, which is not in force yet; `None` where it is the same. Reads the file beside an
    /// embedded store.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store could not go on with them; nothing has changed.
    pub fn prepare(&self, source: KeySource) -> Result<Option<KeyRing>, StoreError> {
        let keys = match (source, &self.embedded) {
            (KeySource::Given(keys), _) => keys,
            (KeySource::BesideStore, Some((_, settings))) => vec![embedded::keys::beside(settings)?],
            // Another one at each reading; the one of the start stays.
            (KeySource::MadeUp(_) | KeySource::BesideStore, _) => return Ok(None),
        };
        let ring = KeyRing::new(keys).ok_or_else(|| StoreError::Unavailable("there is no key".into()))?;
        if let Some((_, settings)) = &self.embedded
            && !ring.has(self.keys.sealing_key())
        {
            return Err(embedded::keys::refused(settings)?);
        }
        Ok((ring.ids() != self.keys.ids()).then_some(ring))
    }

    /// Puts a ring in force that was prepared. May wait for a disk.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when that cannot be noted in the store; nothing has changed.
    pub fn change(&self, ring: &KeyRing) -> Result<(), StoreError> {
        if let Some((embedded, _)) = &self.embedded
            && ring.sealing_key() != self.keys.sealing_key()
        {
            embedded.seal_with(ring)?;
        }
        self.keys.change_to(ring);
        Ok(())
    }
}
