//! Records in a file, on their way from one store to another.
//!
//! I own: `Haul` for the embedded store. I may call: `domain`, `ports`, `tables`, `writer`, the room's own types. I never
//! replace a record by one that is not newer.

use super::Embedded;
use crate::domain::time::Timestamp;
use crate::ports::{Answer, Cursor, Updated};
use crate::store::embedded::tables;
use crate::store::embedded::writer::Write;
use crate::store::transfer::{Haul, Load, Parcel, Placed};

impl Haul for Embedded {
    fn load<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Load> {
        let cursor = cursor.cloned();
        Box::pin(self.read(move |database| tables::transfer::load(database, cursor.as_ref(), limit, now)))
    }

    fn place<'a>(&'a self, parcel: &'a Parcel, now: Timestamp) -> Answer<'a, Placed> {
        Box::pin(async move {
            Ok(match self.write(Write::Place(Box::new(parcel.clone()), now)).await? {
                Updated::Done(_) => Placed::New,
                Updated::Conflict | Updated::Gone => Placed::There,
            })
        })
    }
}
