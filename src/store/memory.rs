//! Sessions in this process: for one replica that may forget everybody at a restart, and for tests.
//!
//! I own: [`Memory`]. I may call: `domain`, `ports`, the room's own types.
//! I never judge an expiry by anything but the `now` that is passed in, and I never grow without bound: what has
//! expired is swept out as writes come by.

use crate::domain::login::LoginId;
use crate::domain::renewal::LeaseId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::{Answer, Cursor, Updated};
use crate::store::leases::Leases;
use crate::store::{Backend, Found, Glance, IndexName, Page, Row};
use futures_util::future::{FutureExt, ready};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod census;
mod endings;
mod transfer;

/// At most this often are all entries looked at for expiry.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// A backend in memory.
pub struct Memory {
    shelves: Mutex<Shelves>,
    leases: Leases,
    debts: endings::Shelf,
}

#[cfg_attr(test, derive(Clone))]
struct Shelves {
    rows: HashMap<SessionKey, Row>,
    seen: HashMap<SessionKey, Seen>,
    indexes: HashMap<IndexName, HashMap<SessionKey, Timestamp>>,
    taken: HashMap<LoginId, Timestamp>,
    marks: HashMap<IndexName, Seen>,
    swept: Timestamp,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Timestamp,
    until: Timestamp,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        let shelves = Mutex::new(Shelves {
            rows: HashMap::new(),
            seen: HashMap::new(),
            indexes: HashMap::new(),
            taken: HashMap::new(),
            marks: HashMap::new(),
            swept: Timestamp::from_unix_millis(0),
        });
        Self { shelves, leases: Leases::default(), debts: endings::Shelf::default() }
    }

    /// No operation stops halfway with the lock held, so a poisoned lock still guards sound shelves.
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn sweep(&mut self, now: Timestamp) {
        if now < self.swept.plus(SWEEP_INTERVAL) {
            return;
        }
        self.swept = now;
        self.rows.retain(|_, row| now < row.expires);
        let rows = &self.rows;
        self.seen.retain(|key, seen| now < seen.until && rows.contains_key(key));
        self.indexes.retain(|_, members| {
            members.retain(|_, until| now < *until);
            !members.is_empty()
        });
        self.taken.retain(|_, until| now < *until);
        self.marks.retain(|_, mark| now < mark.until);
    }

    fn has(&self, key: &SessionKey, now: Timestamp) -> bool {
        self.rows.get(key).is_some_and(|row| now < row.expires)
    }

    fn enter(&mut self, key: &SessionKey, row: &Row) {
        for name in &row.indexes {
            self.indexes.entry(*name).or_default().insert(*key, row.expires);
        }
    }

    fn insert(&mut self, key: &SessionKey, row: &Row, now: Timestamp) -> bool {
        self.sweep(now);
        if self.has(key, now) {
            return false;
        }
        self.enter(key, row);
        self.rows.insert(*key, row.clone());
        self.seen.insert(*key, Seen { at: now, until: row.expires });
        true
    }

    fn fetch(&self, key: &SessionKey, now: Timestamp) -> Option<Found> {
        let row = self.rows.get(key).filter(|row| now < row.expires)?;
        Some(Found {
            version: row.version,
            private: row.private.clone(),
            operator: row.operator.clone(),
            last_seen: self.seen.get(key).filter(|seen| now < seen.until).map(|seen| seen.at),
        })
    }

    fn replace(&mut self, key: &SessionKey, row: &Row, expected: u64, now: Timestamp) -> Updated {
        self.sweep(now);
        let Some(old) = self.rows.get(key).filter(|old| now < old.expires) else { return Updated::Gone };
        if old.version != expected {
            return Updated::Conflict;
        }
        let mut row = row.clone();
        for name in &old.indexes {
            if !row.indexes.contains(name) {
                row.indexes.push(*name);
            }
        }
        self.enter(key, &row);
        let version = row.version;
        self.rows.insert(*key, row);
        Updated::Done(version)
    }

    fn delete(&mut self, key: &SessionKey) -> bool {
        self.seen.remove(key);
        let Some(row) = self.rows.remove(key) else { return false };
        for name in &row.indexes {
            if let Some(members) = self.indexes.get_mut(name) {
                members.remove(key);
                if members.is_empty() {
                    self.indexes.remove(name);
                }
            }
        }
        true
    }

    fn members(&self, names: &[IndexName], now: Timestamp) -> Vec<SessionKey> {
        let mut found = Vec::new();
        for (key, until) in names.iter().filter_map(|name| self.indexes.get(name)).flatten() {
            if now < *until && !found.contains(key) {
                found.push(*key);
            }
        }
        found
    }

    /// In the order of the keys; a cursor is the last key of the page before. All keys are looked at for each page: a
    /// store in memory is small.
    fn page(&self, cursor: Option<&Cursor>, limit: usize, now: Timestamp) -> Page {
        let after =
            |key: &SessionKey| cursor.is_none_or(|cursor| key.as_bytes().as_slice() > cursor.0.as_slice());
        let live = self.rows.iter().filter(|(key, row)| now < row.expires && after(key));
        let mut live: Vec<(&SessionKey, &Row)> = live.collect();
        live.sort_unstable_by_key(|(key, _)| *key.as_bytes());
        let more = live.len() > limit;
        live.truncate(limit);
        let next = live.last().filter(|_| more).map(|(key, _)| Cursor(key.as_bytes().to_vec()));
        let glance = |(key, row): (&SessionKey, &Row)| Glance {
            key: *key,
            version: row.version,
            operator: row.operator.clone(),
            last_seen: self.seen.get(key).filter(|seen| now < seen.until).map(|seen| seen.at),
        };
        (live.into_iter().map(glance).collect(), next)
    }

    fn mark(&mut self, name: &IndexName, now: Timestamp, until: Timestamp) {
        self.sweep(now);
        let mark = self.marks.entry(*name).or_insert(Seen { at: now, until });
        mark.at = mark.at.max(now);
        mark.until = mark.until.max(until);
    }

    fn marked(&self, names: &[IndexName], now: Timestamp) -> Option<Timestamp> {
        let marks = names.iter().filter_map(|name| self.marks.get(name));
        marks.filter(|mark| now < mark.until).map(|mark| mark.at).max()
    }

    fn take(&mut self, login: LoginId, now: Timestamp, until: Timestamp) -> bool {
        self.sweep(now);
        if self.taken.get(&login).is_some_and(|until| now < *until) {
            return false;
        }
        self.taken.insert(login, until);
        true
    }
}

impl Backend for Memory {
    fn insert<'a>(&'a self, key: &'a SessionKey, row: &'a Row, now: Timestamp) -> Answer<'a, bool> {
        async move { Ok(self.shelves().insert(key, row, now)) }.boxed()
    }

    fn fetch<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> Answer<'a, Option<Found>> {
        async move { Ok(self.shelves().fetch(key, now)) }.boxed()
    }

    fn replace<'a>(
        &'a self,
        key: &'a SessionKey,
        row: &'a Row,
        expected: u64,
        now: Timestamp,
    ) -> Answer<'a, Updated> {
        async move { Ok(self.shelves().replace(key, row, expected, now)) }.boxed()
    }

    fn delete<'a>(&'a self, key: &'a SessionKey) -> Answer<'a, bool> {
        async move { Ok(self.shelves().delete(key)) }.boxed()
    }

    fn seen<'a>(&'a self, key: &'a SessionKey, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        async move {
            let mut shelves = self.shelves();
            // One that comes late takes nothing back.
            let is_known = shelves.seen.get(key).is_some_and(|seen| seen.at > now && now < seen.until);
            if shelves.has(key, now) && !is_known {
                shelves.seen.insert(*key, Seen { at: now, until: now.plus(keep) });
            }
            Ok(())
        }
        .boxed()
    }

    fn members<'a>(&'a self, names: &'a [IndexName], now: Timestamp) -> Answer<'a, Vec<SessionKey>> {
        async move { Ok(self.shelves().members(names, now)) }.boxed()
    }

    fn take_once(&self, login: LoginId, now: Timestamp, keep: Duration) -> Answer<'_, bool> {
        async move { Ok(self.shelves().take(login, now, now.plus(keep))) }.boxed()
    }

    fn mark<'a>(&'a self, name: &'a IndexName, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        async move {
            self.shelves().mark(name, now, now.plus(keep));
            Ok(())
        }
        .boxed()
    }

    fn marked<'a>(&'a self, names: &'a [IndexName], now: Timestamp) -> Answer<'a, Option<Timestamp>> {
        async move { Ok(self.shelves().marked(names, now)) }.boxed()
    }

    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> Answer<'a, bool> {
        let taken = self.leases.take(key, holder, now, now.plus(keep));
        Box::pin(ready(Ok(taken)))
    }

    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> Answer<'a, ()> {
        self.leases.release(key, holder);
        Box::pin(ready(Ok(())))
    }

    fn page<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Page> {
        async move { Ok(self.shelves().page(cursor, limit, now)) }.boxed()
    }

    fn ping(&self) -> Answer<'_, ()> {
        ready(Ok(())).boxed()
    }
}

#[cfg(test)]
impl Memory {
    /// All that is in it, in a store of its own.
    pub(in crate::store) fn copy(&self) -> Self {
        Self {
            shelves: Mutex::new(self.shelves().clone()),
            leases: self.leases.copy(),
            debts: self.debts.copy(),
        }
    }

    /// Forgets what it has, and has what the other one has.
    pub(in crate::store) fn become_as(&self, other: &Self) {
        *self.shelves() = other.shelves().clone();
        self.leases.become_as(&other.leases);
        self.debts.become_as(&other.debts);
    }

    /// Every name and value that is kept, as bytes.
    pub(in crate::store) fn dump(&self) -> Vec<Vec<u8>> {
        let shelves = self.shelves();
        let mut all = Vec::new();
        for (key, row) in &shelves.rows {
            all.extend([key.as_bytes().to_vec(), row.private.clone(), row.operator.clone()]);
            all.extend(row.indexes.iter().map(|name| name.to_vec()));
        }
        all.extend(shelves.seen.keys().map(|key| key.as_bytes().to_vec()));
        for (name, members) in &shelves.indexes {
            all.push(name.to_vec());
            all.extend(members.keys().map(|key| key.as_bytes().to_vec()));
        }
        all.extend(shelves.taken.keys().map(|login| login.0.to_vec()));
        all.extend(shelves.marks.keys().map(|name| name.to_vec()));
        all.extend(self.debts.lock().keys().cloned());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn row(expires: u64) -> Row {
        Row { version: 1, private: vec![1], operator: vec![2], indexes: vec![[7; 32]], expires: at(expires) }
    }

    #[tokio::test]
    async fn r47_everything_expires_by_the_clock_that_is_passed_in() {
        let memory = Memory::new();
        let key = SessionKey::from_digest([1; 32]);
        let login = LoginId([1; 16]);
        assert!(memory.insert(&key, &row(1100), at(1000)).await.unwrap());
        memory.seen(&key, at(1010), Duration::from_secs(10)).await.unwrap();
        assert!(memory.take_once(login, at(1000), Duration::from_secs(10)).await.unwrap());
        assert!(!memory.take_once(login, at(1009), Duration::from_secs(10)).await.unwrap());
        assert!(memory.take_once(login, at(1010), Duration::from_secs(10)).await.unwrap());
        assert_eq!(memory.fetch(&key, at(1019)).await.unwrap().unwrap().last_seen, Some(at(1010)));
        assert_eq!(memory.fetch(&key, at(1020)).await.unwrap().unwrap().last_seen, None);
        assert!(memory.fetch(&key, at(1099)).await.unwrap().is_some());
        assert_eq!(memory.members(&[[7; 32]], at(1099)).await.unwrap(), [key]);
        assert!(memory.fetch(&key, at(1100)).await.unwrap().is_none());
        assert!(memory.members(&[[7; 32]], at(1100)).await.unwrap().is_empty());
        assert_eq!(memory.replace(&key, &row(1200), 1, at(1100)).await.unwrap(), Updated::Gone);
        memory.seen(&key, at(1100), Duration::from_secs(10)).await.unwrap();
        assert!(memory.fetch(&key, at(1100)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_has_expired_is_swept_out() {
        let memory = Memory::new();
        for number in 0..=255 {
            let now = at(1000 + u64::from(number));
            let key = SessionKey::from_digest([number; 32]);
            let row = Row { indexes: vec![[number; 32]], ..row(1001 + u64::from(number)) };
            memory.insert(&key, &row, now).await.unwrap();
            memory.take_once(LoginId([number; 16]), now, Duration::from_secs(1)).await.unwrap();
            memory.mark(&[number; 32], now, Duration::from_secs(1)).await.unwrap();
        }
        let shelves = memory.shelves();
        let sizes = [
            shelves.rows.len(),
            shelves.seen.len(),
            shelves.indexes.len(),
            shelves.taken.len(),
            shelves.marks.len(),
        ];
        assert!(sizes.iter().all(|size| *size <= 32), "{sizes:?}");
    }
}
