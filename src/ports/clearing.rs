//! The moment at which everybody was sent home: whoever came in before it is out.
//!
//! I own: the trait [`Clearing`]. I may call: `domain`. I never end a session: whoever judges one asks me.

use super::Answer;
use crate::domain::time::Timestamp;
use std::time::Duration;

/// One moment for everybody, kept beside the sessions. It is written once, and holds in every gateway as soon as its news
/// are there; records go later.
pub trait Clearing: Send + Sync {
    /// Notes `now` as that moment, for as long as `keep`. A later moment is never replaced by an earlier one.
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError).
    fn clear(&self, now: Timestamp, keep: Duration) -> Answer<'_, ()>;

    /// That moment from memory, where memory may answer; [`Timestamp::NEVER`] where there was none. Asks nobody.
    fn known(&self) -> Option<Timestamp>;

    /// What may stand in for a store that does not answer, for as long as a session in memory may. Asks nobody.
    fn kept(&self) -> Option<Timestamp>;

    /// That moment from the store; where that does not answer, [`Self::kept`]. One that the store has forgotten within
    /// `keep`, and memory has not, is written again.
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError).
    fn ask(&self, now: Timestamp, keep: Duration) -> Answer<'_, Timestamp>;
}
