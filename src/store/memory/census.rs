//! What the store in memory tells of its index entries.
//!
//! I own: that answer. I may call: the room's own types. I never judge an expiry: whoever asks has a page of what lives.

use super::Memory;
use crate::domain::session::SessionKey;
use crate::ports::Answer;
use crate::store::IndexName;
use crate::store::census::Entries;
use futures_util::future::ready;

impl Entries for Memory {
    fn entries<'a>(&'a self, keys: &'a [SessionKey]) -> Answer<'a, Vec<Vec<IndexName>>> {
        let shelves = self.shelves();
        let of = |key| shelves.rows.get(key).map(|row| row.indexes.clone()).unwrap_or_default();
        Box::pin(ready(Ok(keys.iter().map(of).collect())))
    }
}
