//! What is read of the file, each time in a read transaction of its own.
//!
//! I own: reading rows one by one, by index and by page; marks and debts. I may call: `domain`, `ports`, `tables`, the room's own
//! types. I never write, and never show what has expired.

use super::{DEBTS, INDEXES, MARKS, RowValue, SEEN, SESSIONS, entry};
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::Cursor;
use crate::store::{Found, Glance, IndexName, Page};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _};
use std::ops::Bound;

/// Reads a session.
pub(in crate::store::embedded) fn fetch(
    database: &Database,
    key: &SessionKey,
    now: Timestamp,
) -> Result<Option<Found>, redb::Error> {
    let transaction = database.begin_read()?;
    let sessions = transaction.open_table(SESSIONS)?;
    let Some(row) = sessions.get(key.as_bytes())? else { return Ok(None) };
    let (version, expires, _, private, operator) = row.value();
    if expires <= now.unix_millis() {
        return Ok(None);
    }
    let seen = transaction.open_table(SEEN)?.get(key.as_bytes())?.map(|seen| seen.value());
    Ok(Some(Found {
        version,
        private: private.to_vec(),
        operator: operator.to_vec(),
        last_seen: last_seen(seen, now),
    }))
}

/// Reads who is under some index names.
pub(in crate::store::embedded) fn members(
    database: &Database,
    names: &[IndexName],
    now: Timestamp,
) -> Result<Vec<SessionKey>, redb::Error> {
    let transaction = database.begin_read()?;
    let indexes = transaction.open_table(INDEXES)?;
    let mut found = Vec::new();
    for name in names {
        for entry in indexes.range::<&[u8; 64]>(&entry(name, &[0; 32])..=&entry(name, &[0xff; 32]))? {
            let (name_and_key, until) = entry?;
            let key = name_and_key.value().last_chunk().map(|digest| SessionKey::from_digest(*digest));
            if let Some(key) = key.filter(|key| now.unix_millis() < until.value() && !found.contains(key)) {
                found.push(key);
            }
        }
    }
    Ok(found)
}

/// Reads the index names in the rows of some sessions.
pub(in crate::store::embedded) fn entries(
    database: &Database,
    keys: &[SessionKey],
) -> Result<Vec<Vec<IndexName>>, redb::Error> {
    let transaction = database.begin_read()?;
    let sessions = transaction.open_table(SESSIONS)?;
    let mut entries = Vec::with_capacity(keys.len());
    for key in keys {
        let row = sessions.get(key.as_bytes())?;
        entries.push(row.map(|row| row.value().2.as_chunks().0.to_vec()).unwrap_or_default());
    }
    Ok(entries)
}

/// Reads the latest moment under some names.
pub(in crate::store::embedded) fn marked(
    database: &Database,
    names: &[IndexName],
    now: Timestamp,
) -> Result<Option<Timestamp>, redb::Error> {
    let transaction = database.begin_read()?;
    let marks = transaction.open_table(MARKS)?;
    let mut latest = None;
    for name in names {
        let mark = marks.get(name)?.map(|mark| mark.value());
        latest = latest.max(last_seen(mark, now));
    }
    Ok(latest)
}

/// Reads at most `limit` sessions in the order of their keys, as an operator's listing needs them.
pub(in crate::store::embedded) fn page(
    database: &Database,
    cursor: Option<&Cursor>,
    limit: usize,
    now: Timestamp,
) -> Result<Page, redb::Error> {
    walk(database, cursor, limit, now, |key, (version, _, _, _, operator), last_seen| Glance {
        key,
        version,
        operator: operator.to_vec(),
        last_seen,
    })
}

/// What `read` makes of at most `limit` rows in the order of their keys, given when each was last used; and where the next
/// page begins. A cursor is the last key of the page before; one that is no key leads to the end. What has expired counts
/// as read, so that no page reads more than its part of the table.
pub(super) fn walk<T>(
    database: &Database,
    cursor: Option<&Cursor>,
    limit: usize,
    now: Timestamp,
    read: impl Fn(SessionKey, RowValue<'_>, Option<Timestamp>) -> T,
) -> Result<(Vec<T>, Option<Cursor>), redb::Error> {
    let after = match cursor.map(|cursor| <&[u8; 32]>::try_from(cursor.0.as_slice())) {
        None => Bound::Unbounded,
        Some(Ok(key)) => Bound::Excluded(key),
        Some(Err(_)) => return Ok((Vec::new(), None)),
    };
    let transaction = database.begin_read()?;
    let (sessions, seen) = (transaction.open_table(SESSIONS)?, transaction.open_table(SEEN)?);
    let mut rows = sessions.range::<&[u8; 32]>((after, Bound::Unbounded))?;
    let (mut found, mut last) = (Vec::new(), None);
    for row in rows.by_ref().take(limit) {
        let (key, row) = row?;
        let key = SessionKey::from_digest(*key.value());
        last = Some(Cursor(key.as_bytes().to_vec()));
        let row = row.value();
        if row.1 <= now.unix_millis() {
            continue;
        }
        let seen = seen.get(key.as_bytes())?.map(|seen| seen.value());
        found.push(read(key, row, last_seen(seen, now)));
    }
    let more = rows.next().transpose()?.is_some();
    Ok((found, last.filter(|_| more)))
}

/// At most `most` debts that are due at `now`.
pub(in crate::store::embedded) fn due_debts(
    database: &Database,
    now: Timestamp,
    most: usize,
) -> Result<Vec<Vec<u8>>, redb::Error> {
    let debts = database.begin_read()?.open_table(DEBTS)?;
    let mut due = Vec::new();
    for debt in debts.iter()? {
        let (name, from) = debt?;
        if from.value() <= now.unix_millis() {
            due.push(name.value().to_vec());
        }
        if due.len() >= most {
            break;
        }
    }
    Ok(due)
}

/// How many debts there are.
pub(in crate::store::embedded) fn count_debts(database: &Database) -> Result<usize, redb::Error> {
    let count = database.begin_read()?.open_table(DEBTS)?.len()?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn last_seen(seen: Option<(u64, u64)>, now: Timestamp) -> Option<Timestamp> {
    seen.filter(|(_, until)| now.unix_millis() < *until).map(|(at, _)| Timestamp::from_unix_millis(at))
}

/// Every name and value in the file but for what it says about itself, and how many entries each table has.
#[cfg(test)]
pub(in crate::store::embedded) fn dump(database: &Database) -> (Vec<Vec<u8>>, [u64; 6]) {
    use super::{EXPIRY, TAKEN};
    let transaction = database.begin_read().unwrap();
    let sessions = transaction.open_table(SESSIONS).unwrap();
    let seen = transaction.open_table(SEEN).unwrap();
    let indexes = transaction.open_table(INDEXES).unwrap();
    let taken = transaction.open_table(TAKEN).unwrap();
    let marks = transaction.open_table(MARKS).unwrap();
    let expiry = transaction.open_table(EXPIRY).unwrap();
    assert_eq!(transaction.list_tables().unwrap().count(), 8, "a table that this dump leaves out");
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (key, row) in sessions.iter().unwrap().map(Result::unwrap) {
        let (_, _, names, private, operator) = row.value();
        all.extend([key.value().to_vec(), names.to_vec(), private.to_vec(), operator.to_vec()]);
    }
    all.extend(seen.iter().unwrap().map(|entry| entry.unwrap().0.value().to_vec()));
    all.extend(indexes.iter().unwrap().map(|entry| entry.unwrap().0.value().to_vec()));
    all.extend(taken.iter().unwrap().map(|entry| entry.unwrap().0.value().to_vec()));
    all.extend(marks.iter().unwrap().map(|entry| entry.unwrap().0.value().to_vec()));
    all.extend(expiry.iter().unwrap().map(|entry| entry.unwrap().0.value().to_vec()));
    let debts = transaction.open_table(DEBTS).unwrap();
    all.extend(debts.iter().unwrap().map(|entry| entry.unwrap().0.value().to_vec()));
    let count = [sessions.len(), seen.len(), indexes.len(), taken.len(), marks.len(), expiry.len()];
    (all, count.map(Result::unwrap))
}
