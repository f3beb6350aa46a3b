//! Sessions in one file on this machine: for a single gateway that needs no other server.
//!
//! I own: [`Embedded`]. I may call: `config`, `domain`, `keyring`, `ports`, the room's own types.
//! I never let a disk hold up an async thread: `writer` has a thread of its own, and reads go to the blocking pool.
//!
//! `tables` knows what lies in the file, `writer` when it is on the disk, `folder` the files and who may read them.
//!
//! Sign-ins, endings and replacements are on the disk when they are answered. Reads take a snapshot and never wait for
//! a commit. They go to the blocking pool all the same: that costs about as much again as the read (measured without
//! optimisation: 20 µs in place, 50 µs by the pool), but a page that is in no cache is a read from the disk, and in
//! place that would hold up every request of its thread.

use self::folder::Folder;
use self::writer::{Opener, Write, Writer, unavailable};
use crate::config::{EmbeddedSettings, KeySource};
use crate::domain::login::LoginId;
use crate::domain::renewal::LeaseId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::KeyRing;
use crate::ports::{Answer, Cursor, StoreError, Updated};
use crate::store::leases::Leases;
use crate::store::{Backend, Found, IndexName, Page, Row};
use futures_util::future::ready;
use redb::Database;
use std::sync::Arc;
use std::time::Duration;

mod census;
mod endings;
mod folder;
pub(in crate::store) mod keys;
mod tables;
#[cfg(test)]
mod tests;
mod transfer;
mod writer;

/// A read or a write that takes longer than this is given up; a write may still happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A backend in one file.
pub struct Embedded {
    writer: Arc<Writer>,
    /// The file is this process's alone: a lease that it forgets with its own end is nobody's.
    leases: Leases,
}

impl Embedded {
    /// Opens the file, or makes it, and finds its keys.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be used, another process has the file open, or what is in it is
    /// sealed with a key that is not there.
    pub fn open(settings: &EmbeddedSettings, keys: KeySource) -> Result<(Self, Arc<KeyRing>), StoreError> {
        let folder = Folder::enter(settings)?;
        // From here on this process has the file for itself, and with it the right to make a key.
        let database = folder.open_database()?;
        let sealed_with = tables::prepare(&database).map_err(|error| unavailable(&error))?;
        let keys = match keys {
            KeySource::Given(keys) => keys,
            KeySource::MadeUp(key) => vec![key],
            KeySource::BesideStore => vec![folder.key(sealed_with.is_some())?],
        };
        let keys = KeyRing::new(keys).ok_or_else(|| StoreError::Unavailable("there is no key".into()))?;
        if sealed_with.is_some_and(|id| !keys.has(id)) {
            return Err(folder.sealed_with_another_key());
        }
        if sealed_with != Some(keys.sealing_key()) {
            tables::mark(&database, keys.sealing_key()).map_err(|error| unavailable(&error))?;
        }
        let opener = Box::new(move || folder.reopen_database());
        Ok((Self::over(database, opener)?, Arc::new(keys)))
    }

    fn over(database: Database, opener: Opener) -> Result<Self, StoreError> {
        let writer = Writer::start(database, opener)
            .map_err(|error| StoreError::Unavailable(format!("no thread for the store: {error}")))?;
        Ok(Self { writer: Arc::new(writer), leases: Leases::default() })
    }

    /// Writes what is not on the disk yet and closes the file. Every operation fails from here on.
    pub fn close(&self) {
        self.writer.close();
    }

    async fn write(&self, write: Write) -> Result<Updated, StoreError> {
        let answered = self.writer.send(write)?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Unavailable("the database was closed".into())),
            Err(_) => Err(too_slow()),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let writer = Arc::clone(&self.writer);
        let reading = tokio::task::spawn_blocking(move || {
            read(&*writer.database()?).map_err(|error| {
                // The writer finds out whether the file has to be opened again; nobody waits for that.
                drop(writer.send(Write::Check));
                unavailable(&error)
            })
        });
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Unreadable("the database file is damaged")),
            Err(_) => Err(too_slow()),
        }
    }
}

fn too_slow() -> StoreError {
    StoreError::Unavailable(format!("the disk did not answer within {} s", PATIENCE.as_secs()))
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

impl Backend for Embedded {
    fn insert<'a>(&'a self, key: &'a SessionKey, row: &'a Row, now: Timestamp) -> Answer<'a, bool> {
        Box::pin(async move { is_done(self.write(Write::Insert(*key, row.clone(), now)).await) })
    }

    fn fetch<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> Answer<'a, Option<Found>> {
        let key = *key;
        Box::pin(self.read(move |database| tables::fetch(database, &key, now)))
    }

    fn replace<'a>(
        &'a self,
        key: &'a SessionKey,
        row: &'a Row,
        expected: u64,
        now: Timestamp,
    ) -> Answer<'a, Updated> {
        Box::pin(self.write(Write::Replace(*key, row.clone(), expected, now)))
    }

    fn delete<'a>(&'a self, key: &'a SessionKey) -> Answer<'a, bool> {
        Box::pin(async move { is_done(self.write(Write::Delete(*key)).await) })
    }

    fn seen<'a>(&'a self, key: &'a SessionKey, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        Box::pin(async move { self.write(Write::Seen(*key, now, now.plus(keep))).await.map(drop) })
    }

    fn members<'a>(&'a self, names: &'a [IndexName], now: Timestamp) -> Answer<'a, Vec<SessionKey>> {
        let names = names.to_vec();
        Box::pin(self.read(move |database| tables::members(database, &names, now)))
    }

    fn take_once(&self, login: LoginId, now: Timestamp, keep: Duration) -> Answer<'_, bool> {
        Box::pin(async move { is_done(self.write(Write::Take(login, now, now.plus(keep))).await) })
    }

    fn mark<'a>(&'a self, name: &'a IndexName, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        Box::pin(async move { self.write(Write::Mark(*name, now, now.plus(keep))).await.map(drop) })
    }

    fn marked<'a>(&'a self, names: &'a [IndexName], now: Timestamp) -> Answer<'a, Option<Timestamp>> {
        let names = names.to_vec();
        Box::pin(self.read(move |database| tables::marked(database, &names, now)))
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
        let cursor = cursor.cloned();
        Box::pin(self.read(move |database| tables::page(database, cursor.as_ref(), limit, now)))
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.write(Write::Check).await.map(drop) })
    }
}

fn is_done(answer: Result<Updated, StoreError>) -> Result<bool, StoreError> {
    Ok(matches!(answer?, Updated::Done(_)))
}

#[cfg(test)]
impl Embedded {
    /// Every name and value that is kept, as bytes.
    pub(in crate::store) fn dump(&self) -> Vec<Vec<u8>> {
        tables::dump(&self.writer.database().unwrap()).0
    }
}
