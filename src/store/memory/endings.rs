//! Debts and the moment for everybody, in memory: gone with the process, as the sessions are.
//!
//! I own: [`Shelf`]. I may call: `domain`, `ports`, the room's own types. I never keep a debt that was settled.

use super::Memory;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::Answer;
use crate::store::shelf::{EndingShelf, Notes, RemovedAt};
use crate::store::{Backend as _, IndexName};
use futures_util::future::{FutureExt, ready};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The name of the moment for everybody; no HMAC is ever this.
const ALL: IndexName = [0; 32];

/// Debts by name, with the moment from which each is due.
#[derive(Default)]
pub(super) struct Shelf(Mutex<BTreeMap<Vec<u8>, Timestamp>>);

impl Shelf {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Shelf {
    pub(super) fn copy(&self) -> Self {
        Self(Mutex::new(self.lock().clone()))
    }

    pub(super) fn become_as(&self, other: &Self) {
        let debts = other.lock().clone();
        *self.lock() = debts;
    }
}

impl EndingShelf for Memory {
    fn owe<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> Answer<'a, ()> {
        self.debts.lock().insert(debt.to_vec(), due);
        ready(Ok(())).boxed()
    }

    fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Answer<'_, Vec<Vec<u8>>> {
        let mut claimed = Vec::new();
        for (debt, due) in self.debts.lock().iter_mut().filter(|(_, due)| **due <= now).take(most) {
            *due = until;
            claimed.push(debt.clone());
        }
        ready(Ok(claimed)).boxed()
    }

    fn settle<'a>(&'a self, debt: &'a [u8]) -> Answer<'a, ()> {
        self.debts.lock().remove(debt);
        ready(Ok(())).boxed()
    }

    fn defer<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> Answer<'a, ()> {
        if let Some(at) = self.debts.lock().get_mut(debt) {
            *at = due;
        }
        ready(Ok(())).boxed()
    }

    fn debts(&self) -> Answer<'_, usize> {
        let count = self.debts.lock().len();
        ready(Ok(count)).boxed()
    }

    fn delete_at<'a>(&'a self, key: &'a SessionKey, version: u64) -> Answer<'a, RemovedAt> {
        let mut shelves = self.shelves();
        let removed = match shelves.rows.get(key).map(|row| row.version) {
            None => RemovedAt::Gone,
            Some(there) if there != version => RemovedAt::Other,
            Some(_) => {
                shelves.delete(key);
                RemovedAt::Done
            }
        };
        ready(Ok(removed)).boxed()
    }

    fn clear(&self, now: Timestamp, keep: Duration) -> Answer<'_, ()> {
        self.mark(&ALL, now, keep)
    }

    fn cleared(&self, now: Timestamp) -> Answer<'_, Notes> {
        async move { Ok(Notes::one(self.marked(&[ALL], now).await?.unwrap_or(Timestamp::NEVER))) }.boxed()
    }
}
