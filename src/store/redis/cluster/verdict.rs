//! What a failure of one server means for the cluster.
//!
//! I own: what is read out of a [`Failure`]. I may call: the room's own types. I never decide where to go next.

use super::nobody_answers;
use crate::store::redis::connection::Failure;
use redis::RedisError;

impl Failure {
    /// What the crate says, where it says something.
    pub(super) fn error(&self) -> Option<&RedisError> {
        match self {
            Self::Broken(error) | Self::Other(error) => Some(error),
        }
    }

    /// The same, for whoever needs an error of the crate's.
    pub(super) fn into_error(self) -> RedisError {
        self.error().cloned().unwrap_or_else(nobody_answers)
    }
}
