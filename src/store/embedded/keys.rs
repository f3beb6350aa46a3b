//! Other keys for the embedded store, while it is open.
//!
//! I own: when they are acceptable, and the note in the file of which one seals. I may call: `config`, `keyring`, `ports`,
//! `folder`, `tables`. I never take keys that would not open what is in the file: the next start would refuse them, too.

use super::folder::Folder;
use super::writer::unavailable;
use super::{Embedded, tables};
use crate::config::EmbeddedSettings;
use crate::keyring::{KeyRing, MasterKey};
use crate::ports::StoreError;

impl Embedded {
    /// Notes, durably, which key seals from now on. Waits for the commit that is under way.
    pub(in crate::store) fn seal_with(&self, keys: &KeyRing) -> Result<(), StoreError> {
        let database = self.writer.database()?;
        tables::mark(&database, keys.sealing_key()).map_err(|error| unavailable(&error))
    }
}

/// The key in the file beside the store, as it is now.
pub(in crate::store) fn beside(settings: &EmbeddedSettings) -> Result<MasterKey, StoreError> {
    Folder::enter(settings)?.key(true)
}

/// Why keys without the one that seals now are refused.
pub(in crate::store) fn refused(settings: &EmbeddedSettings) -> Result<StoreError, StoreError> {
    Ok(Folder::enter(settings)?.sealed_with_another_key())
}
