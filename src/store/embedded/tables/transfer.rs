//! Whole rows, out of the file and into it.
//!
//! I own: [`load`] and `Tables::place`. I may call: `domain`, `ports`, `tables`, the room's own types. I never replace a
//! row by one that is not newer.

use super::Tables;
use super::reading::walk;
use crate::domain::time::Timestamp;
use crate::ports::{Cursor, Updated};
use crate::store::Row;
use crate::store::transfer::{Load, Parcel};
use redb::{Database, ReadableTable as _};

/// Reads at most `limit` whole rows in the order of their keys.
pub(in crate::store::embedded) fn load(
    database: &Database,
    cursor: Option<&Cursor>,
    limit: usize,
    now: Timestamp,
) -> Result<Load, redb::Error> {
    walk(database, cursor, limit, now, |key, (version, expires, names, private, operator), last_seen| {
        let row = Row {
            version,
            private: private.to_vec(),
            operator: operator.to_vec(),
            indexes: names.as_chunks().0.to_vec(),
            expires: Timestamp::from_unix_millis(expires),
        };
        Parcel { key, row, last_seen }
    })
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
