//! What a failure of one server means for the cluster.
//!
//! I own: what is read out of a [`Failure`]. I may call: the room's own types. I never decide where to go next.

use crate::store::redis::failure::Failure;
use crate::store::redis::way::NoWay;
use redis::RedisError;

impl Failure {
    /// What the crate says, where it says something.
    pub(super) fn error(&self) -> Option<&RedisError> {
        match self {
            Self::Broken(error) | Self::Elsewhere(error) | Self::Other(error) => Some(error),
            Self::NoWay(NoWay::Redis(error)) => Some(error),
            Self::NoWay(_) => None,
        }
    }

    /// Whether the server that was asked has certainly not done it, as it was not reached or is none that would.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self, Self::NoWay(_) | Self::Elsewhere(_))
    }
}
