//! What the embedded store tells of its index entries.
//!
//! I own: that answer. I may call: the room's own types. I never hold up an async thread: one page is one read on the
//! blocking pool.

use super::{Embedded, tables};
use crate::domain::session::SessionKey;
use crate::ports::Answer;
use crate::store::IndexName;
use crate::store::census::Entries;

impl Entries for Embedded {
    fn entries<'a>(&'a self, keys: &'a [SessionKey]) -> Answer<'a, Vec<Vec<IndexName>>> {
        let keys = keys.to_vec();
        Box::pin(self.read(move |database| tables::entries(database, &keys)))
    }
}
