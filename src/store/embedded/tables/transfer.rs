//! Whole rows, out of the file and into it.
//!
//! I own: [`load`] and `Tables::place`. I may call: `domain`, `ports`, `tables`, the room's own types. I never replace a
//! row by one that is not newer.

use super::{SEEN, SESSIONS, Tables, last_seen};
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::{Cursor, Updated};
use crate::store::Row;
use crate::store::transfer::{Load, Parcel};
use redb::{Database, ReadableDatabase as _, ReadableTable as _};
use std::ops::Bound;

/// Reads at most `limit` rows in the order of their keys, as `page` does.
pub(in crate::store::embedded) fn load(
    database: &Database,
    cursor: Option<&Cursor>,
    limit: usize,
    now: Timestamp,
) -> Result<Load, redb::Error> {
    let after = match cursor.map(|cursor| <&[u8; 32]>::try_from(cursor.0.as_slice())) {
        None => Bound::Unbounded,
        Some(Ok(key)) => Bound::Excluded(key),
        Some(Err(_)) => return Ok((Vec::new(), None)),
    };
    let transaction = database.begin_read()?;
    let (sessions, seen) = (transaction.open_table(SESSIONS)?, transaction.open_table(SEEN)?);
    let mut rows = sessions.range::<&[u8; 32]>((after, Bound::Unbounded))?;
    let (mut parcels, mut last) = (Vec::new(), None);
    for row in rows.by_ref().take(limit) {
        let (key, row) = row?;
        let key = SessionKey::from_digest(*key.value());
        last = Some(Cursor(key.as_bytes().to_vec()));
        let (version, expires, names, private, operator) = row.value();
        if expires <= now.unix_millis() {
            continue;
        }
        let row = Row {
            version,
            private: private.to_vec(),
            operator: operator.to_vec(),
            indexes: names.as_chunks().0.to_vec(),
            expires: Timestamp::from_unix_millis(expires),
        };
        let last_seen = last_seen(seen.get(key.as_bytes())?.map(|seen| seen.value()), now);
        parcels.push(Parcel { key, row, last_seen });
    }
    let more = rows.next().transpose()?.is_some();
    Ok((parcels, last.filter(|_| more)))
}

impl Tables<'_> {
    /// [`Updated::Conflict`] when there is one that is no older.
    pub(in crate::store::embedded) fn place(
        &mut self,
        parcel: &Parcel,
        now: Timestamp,
    ) -> Result<Updated, redb::Error> {
        let Parcel { key, row, last_seen } = parcel;
        let there = self.standing(key, now)?.map(|there| there.version);
        let placed = match there {
            Some(there) if there >= row.version => return Ok(Updated::Conflict),
            Some(there) => self.replace(key, row, there, now)?,
            None => {
                let placed = self.insert(key, row, now)?;
                // It was not used now, but when it was.
                self.seen.remove(key.as_bytes())?;
                placed
            }
        };
        if let Some(at) = last_seen {
            let before = self.seen.get(key.as_bytes())?.map_or(0, |seen| seen.value().0);
            let seen = (at.unix_millis().max(before), row.expires.unix_millis());
            self.seen.insert(key.as_bytes(), seen)?;
        }
        Ok(placed)
    }
}
