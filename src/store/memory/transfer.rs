//! Records in memory, on their way from one store to another.
//!
//! I own: `Haul` for memory. I may call: `domain`, `ports`, the room's own types. I never replace a record by one that is
//! not newer.

use super::{Memory, Seen, Shelves};
use crate::domain::time::Timestamp;
use crate::ports::{Answer, Cursor};
use crate::store::transfer::{Haul, Load, Parcel, Placed};
use futures_util::future::ready;

impl Shelves {
    fn load(&self, cursor: Option<&Cursor>, limit: usize, now: Timestamp) -> Load {
        let (glances, next) = self.page(cursor, limit, now);
        let parcel = |glance: crate::store::Glance| {
            let row = self.rows.get(&glance.key)?.clone();
            Some(Parcel { key: glance.key, row, last_seen: glance.last_seen })
        };
        (glances.into_iter().filter_map(parcel).collect(), next)
    }

    fn place(&mut self, parcel: &Parcel, now: Timestamp) -> Placed {
        let Parcel { key, row, last_seen } = parcel;
        let there = self.rows.get(key).filter(|there| now < there.expires).map(|there| there.version);
        let placed = match there {
            Some(there) if there >= row.version => return Placed::There,
            Some(there) => {
                self.replace(key, row, there, now);
                Placed::Newer
            }
            None => {
                self.seen.remove(key);
                self.insert(key, row, now);
                self.seen.remove(key);
                Placed::New
            }
        };
        if let Some(at) = *last_seen {
            let at = self.seen.get(key).map_or(at, |seen| seen.at.max(at));
            self.seen.insert(*key, Seen { at, until: row.expires });
        }
        placed
    }
}

impl Haul for Memory {
    fn load<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Load> {
        Box::pin(ready(Ok(self.shelves().load(cursor, limit, now))))
    }

    fn place<'a>(&'a self, parcel: &'a Parcel, now: Timestamp) -> Answer<'a, Placed> {
        Box::pin(ready(Ok(self.shelves().place(parcel, now))))
    }
}
