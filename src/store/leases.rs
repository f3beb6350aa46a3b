//! Leases within one process.
//!
//! I own: [`Leases`], for backends that no other process shares. I may call: `domain`. I never judge an expiry by
//! anything but the `now` that is passed in, and never keep what has expired.

use crate::domain::renewal::LeaseId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who holds what, and until when.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<SessionKey, (LeaseId, Timestamp)>>);

impl Leases {
    /// Takes a lease, or renews it for its holder; `false` while it is somebody else's.
    pub(super) fn take(&self, key: &SessionKey, holder: LeaseId, now: Timestamp, until: Timestamp) -> bool {
        let mut leases = self.leases();
        // There are as many as there are renewals under way: few enough to look at all of them.
        leases.retain(|_, (_, until)| now < *until);
        if leases.get(key).is_some_and(|(other, _)| *other != holder) {
            return false;
        }
        leases.insert(*key, (holder, until));
        true
    }

    /// Gives a lease back, if it is this holder's.
    pub(super) fn release(&self, key: &SessionKey, holder: LeaseId) {
        let mut leases = self.leases();
        if leases.get(key).is_some_and(|(other, _)| *other == holder) {
            leases.remove(key);
        }
    }

    /// No operation stops halfway with the lock held, so a poisoned lock still guards a sound map.
    fn leases(&self) -> MutexGuard<'_, HashMap<SessionKey, (LeaseId, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Leases {
    pub(super) fn copy(&self) -> Self {
        Self(Mutex::new(self.leases().clone()))
    }

    pub(super) fn become_as(&self, other: &Self) {
        *self.leases() = other.leases().clone();
    }
}
