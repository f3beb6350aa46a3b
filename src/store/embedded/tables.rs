//! What lies in the database file, and each operation on it within one transaction.
//!
//! I own: the tables and their keys, and every change to them; `reading` reads. I may call: `domain`, `ports`, `keyring`
//! (the name of a key), the room's own types. I never commit: `writer` does, for many operations at once; and I judge
//! expiry by the `now` that is passed in only.
//!
//! Everything that leads to a session lies in the row of that session, so that deleting it, or its expiry, leaves
//! nothing behind. The expiry table is ordered by time: what is due is at its front.

use crate::domain::login::LoginId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::KeyId;
use crate::ports::Updated;
use crate::store::{IndexName, Row};
use redb::{Database, ReadableTable as _, Table, TableDefinition, WriteTransaction};

mod reading;
pub(super) mod transfer;

#[cfg(test)]
pub(super) use reading::dump;
pub(super) use reading::{count_debts, due_debts, entries, fetch, marked, members, page};

type Digest = &'static [u8; 32];
/// Version, expiry, index names one after the other, the private part, the operator part.
type RowValue<'r> = (u64, u64, &'r [u8], &'r [u8], &'r [u8]);

const SESSIONS: TableDefinition<Digest, RowValue<'static>> = TableDefinition::new("sessions");
/// When a session was last used, and until when that counts.
const SEEN: TableDefinition<Digest, (u64, u64)> = TableDefinition::new("seen");
/// Index name and session, one after the other, and until when the entry counts.
const INDEXES: TableDefinition<&[u8; 64], u64> = TableDefinition::new("indexes");
/// Logins that were taken, and until when.
const TAKEN: TableDefinition<&[u8; 16], u64> = TableDefinition::new("taken");
/// What moments are remembered for, the moment, and until when that counts.
const MARKS: TableDefinition<Digest, (u64, u64)> = TableDefinition::new("marks");
/// When (big-endian, so that bytes sort as time does), then [`SESSION`], [`LOGIN`] or [`MARK`], then whose expiry it is.
const EXPIRY: TableDefinition<&[u8], ()> = TableDefinition::new("expiry");
/// Debts, and the moments from which they are due.
const DEBTS: TableDefinition<&[u8], u64> = TableDefinition::new("debts");
/// What the file says about itself.
const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");

const SEALING_KEY: &str = "sealing key";
const SESSION: u8 = 1;
const LOGIN: u8 = 2;
const MARK: u8 = 3;
/// An expiry begins with eight bytes of time and one of kind.
const EXPIRY_HEAD: usize = 9;

/// Makes the tables that are missing; says which key sealed here when the store was last opened.
pub(super) fn prepare(database: &Database) -> Result<Option<KeyId>, redb::Error> {
    let transaction = database.begin_write()?;
    Tables::of(&transaction)?;
    let sealed_with = {
        let about = transaction.open_table(ABOUT)?;
        about.get(SEALING_KEY)?.and_then(|id| KeyId::from_bytes(id.value()))
    };
    transaction.commit()?;
    Ok(sealed_with)
}

/// Writes down, durably, which key seals from now on.
pub(super) fn mark(database: &Database, key: KeyId) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(ABOUT)?.insert(SEALING_KEY, key.as_bytes().as_slice())?;
    transaction.commit()?;
    Ok(())
}

/// The tables of one write transaction.
pub(super) struct Tables<'t> {
    sessions: Table<'t, Digest, RowValue<'static>>,
    seen: Table<'t, Digest, (u64, u64)>,
    indexes: Table<'t, &'static [u8; 64], u64>,
    taken: Table<'t, &'static [u8; 16], u64>,
    marks: Table<'t, Digest, (u64, u64)>,
    expiry: Table<'t, &'static [u8], ()>,
    debts: Table<'t, &'static [u8], u64>,
}

impl<'t> Tables<'t> {
    pub(super) fn of(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            sessions: transaction.open_table(SESSIONS)?,
            seen: transaction.open_table(SEEN)?,
            indexes: transaction.open_table(INDEXES)?,
            taken: transaction.open_table(TAKEN)?,
            marks: transaction.open_table(MARKS)?,
            expiry: transaction.open_table(EXPIRY)?,
            debts: transaction.open_table(DEBTS)?,
        })
    }

    /// [`Updated::Conflict`] when there is such a session already.
    pub(super) fn insert(
        &mut self,
        key: &SessionKey,
        row: &Row,
        now: Timestamp,
    ) -> Result<Updated, redb::Error> {
        if self.standing(key, now)?.is_some() {
            return Ok(Updated::Conflict);
        }
        // What is left of an expired one must not lead to the new one.
        self.delete(key)?;
        self.put(key, row, &row.indexes)?;
        self.seen.insert(key.as_bytes(), (now.unix_millis(), row.expires.unix_millis()))?;
        Ok(Updated::Done(row.version))
    }

    pub(super) fn replace(
        &mut self,
        key: &SessionKey,
        row: &Row,
        expected: u64,
        now: Timestamp,
    ) -> Result<Updated, redb::Error> {
        let Some(old) = self.standing(key, now)? else { return Ok(Updated::Gone) };
        if old.version != expected {
            return Ok(Updated::Conflict);
        }
        let mut indexes = row.indexes.clone();
        indexes.extend(old.indexes.iter().filter(|name| !row.indexes.contains(name)));
        self.expiry.remove(due(old.expires, SESSION, key.as_bytes()).as_slice())?;
        self.put(key, row, &indexes)?;
        Ok(Updated::Done(row.version))
    }

    /// [`Updated::Gone`] when there was none.
    pub(super) fn delete(&mut self, key: &SessionKey) -> Result<Updated, redb::Error> {
        let Some(old) = self.row(key)? else { return Ok(Updated::Gone) };
        self.sessions.remove(key.as_bytes())?;
        self.seen.remove(key.as_bytes())?;
        for name in &old.indexes {
            self.indexes.remove(&entry(name, key.as_bytes()))?;
        }
        self.expiry.remove(due(old.expires, SESSION, key.as_bytes()).as_slice())?;
        Ok(Updated::Done(old.version))
    }

    /// [`Updated::Conflict`] when it has another version.
    pub(super) fn delete_at(&mut self, key: &SessionKey, version: u64) -> Result<Updated, redb::Error> {
        match self.row(key)? {
            Some(old) if old.version != version => Ok(Updated::Conflict),
            _ => self.delete(key),
        }
    }

    pub(super) fn owe(&mut self, debt: &[u8], due: Timestamp) -> Result<Updated, redb::Error> {
        self.debts.insert(debt, due.unix_millis())?;
        Ok(Updated::Done(0))
    }

    pub(super) fn defer(&mut self, debts: &[Vec<u8>], due: Timestamp) -> Result<Updated, redb::Error> {
        for debt in debts {
            if self.debts.get(debt.as_slice())?.is_some() {
                self.debts.insert(debt.as_slice(), due.unix_millis())?;
            }
        }
        Ok(Updated::Done(0))
    }

    pub(super) fn settle(&mut self, debt: &[u8]) -> Result<Updated, redb::Error> {
        self.debts.remove(debt)?;
        Ok(Updated::Done(0))
    }

    /// [`Updated::Gone`] when there is no such session.
    pub(super) fn note_seen(
        &mut self,
        key: &SessionKey,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Updated, redb::Error> {
        let Some(row) = self.standing(key, now)? else { return Ok(Updated::Gone) };
        self.seen.insert(key.as_bytes(), (now.unix_millis(), until.unix_millis()))?;
        Ok(Updated::Done(row.version))
    }

    /// [`Updated::Conflict`] when it is taken already.
    pub(super) fn take(
        &mut self,
        login: LoginId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Updated, redb::Error> {
        let before = self.taken.get(&login.0)?.map(|until| until.value());
        if before.is_some_and(|until| now.unix_millis() < until) {
            return Ok(Updated::Conflict);
        }
        if let Some(before) = before {
            self.expiry.remove(due(before, LOGIN, &login.0).as_slice())?;
        }
        self.taken.insert(&login.0, until.unix_millis())?;
        self.expiry.insert(due(until.unix_millis(), LOGIN, &login.0).as_slice(), ())?;
        Ok(Updated::Done(0))
    }

    pub(super) fn mark(
        &mut self,
        name: &IndexName,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Updated, redb::Error> {
        let (mut at, mut until) = (now.unix_millis(), until.unix_millis());
        let before = self.marks.get(name)?.map(|mark| mark.value());
        if let Some((earlier, kept)) = before {
            (at, until) = (at.max(earlier), until.max(kept));
            self.expiry.remove(due(kept, MARK, name).as_slice())?;
        }
        self.marks.insert(name, (at, until))?;
        self.expiry.insert(due(until, MARK, name).as_slice(), ())?;
        Ok(Updated::Done(0))
    }

    /// Removes at most `most` of what has expired; how many those were.
    pub(super) fn purge(&mut self, now: Timestamp, most: usize) -> Result<usize, redb::Error> {
        // Up to the last millisecond that is over: the end of an expiry is its first moment without the session.
        let first_to_stay = now.unix_millis().saturating_add(1).to_be_bytes();
        let mut over: Vec<Vec<u8>> = Vec::new();
        for expiry in self.expiry.range(..first_to_stay.as_slice())?.take(most) {
            over.push(expiry?.0.value().to_vec());
        }
        for expiry in &over {
            match expiry.split_at_checked(EXPIRY_HEAD) {
                Some((head, whose)) if head.last() == Some(&SESSION) => {
                    if let Ok(digest) = <[u8; 32]>::try_from(whose) {
                        self.delete(&SessionKey::from_digest(digest))?;
                    }
                }
                Some((head, whose)) if head.last() == Some(&MARK) => {
                    if let Ok(name) = <&IndexName>::try_from(whose) {
                        self.marks.remove(name)?;
                    }
                }
                Some((_, whose)) => {
                    if let Ok(login) = <&[u8; 16]>::try_from(whose) {
                        self.taken.remove(login)?;
                    }
                }
                None => {}
            }
            self.expiry.remove(expiry.as_slice())?;
        }
        Ok(over.len())
    }

    fn put(&mut self, key: &SessionKey, row: &Row, indexes: &[IndexName]) -> Result<(), redb::Error> {
        let expires = row.expires.unix_millis();
        for name in indexes {
            self.indexes.insert(&entry(name, key.as_bytes()), expires)?;
        }
        let names = indexes.concat();
        let value = (row.version, expires, names.as_slice(), row.private.as_slice(), row.operator.as_slice());
        self.sessions.insert(key.as_bytes(), value)?;
        self.expiry.insert(due(expires, SESSION, key.as_bytes()).as_slice(), ())?;
        Ok(())
    }

    /// A session that has not expired.
    fn standing(&self, key: &SessionKey, now: Timestamp) -> Result<Option<Standing>, redb::Error> {
        Ok(self.row(key)?.filter(|row| now.unix_millis() < row.expires))
    }

    fn row(&self, key: &SessionKey) -> Result<Option<Standing>, redb::Error> {
        Ok(self.sessions.get(key.as_bytes())?.map(|row| {
            let (version, expires, names, ..) = row.value();
            Standing { version, expires, indexes: names.as_chunks().0.to_vec() }
        }))
    }
}

/// What a write has to know of the row that is there.
struct Standing {
    version: u64,
    expires: u64,
    indexes: Vec<IndexName>,
}

fn entry(name: &IndexName, digest: &[u8; 32]) -> [u8; 64] {
    let mut entry = [0; 64];
    let (first, second) = entry.split_at_mut(32);
    first.copy_from_slice(name);
    second.copy_from_slice(digest);
    entry
}

fn due(expires: u64, kind: u8, whose: &[u8]) -> Vec<u8> {
    [expires.to_be_bytes().as_slice(), &[kind], whose].concat()
}
