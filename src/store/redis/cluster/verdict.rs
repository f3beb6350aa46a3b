//! What a failure of one server means for the cluster.
//!
//! I own: [`Turn`], and what is read out of a [`Failure`]. I may call: the room's own types. I never decide where to go next.

use super::map::Address;
use crate::store::redis::failure::Failure;
use crate::store::redis::way::NoWay;
use redis::{RedisError, ServerErrorKind};

/// What an error means for where to go.
pub(super) enum Turn {
    Moved(u16, Option<Address>),
    Ask(u16, Option<Address>),
    /// In a moment.
    Wait,
    /// The map may be old; whether the request was certainly not carried out.
    Lost {
        untouched: bool,
    },
    /// Nothing.
    None,
}

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

/// Where to go after this failure, of a server at an address.
pub(super) fn turn(failure: &Failure, said_by: &Address) -> Turn {
    let untouched = failure.is_untouched();
    let Some(error) = failure.error() else { return Turn::Lost { untouched } };
    // In a pipeline an error has its place beside it.
    let said = error.clone().into_server_errors();
    let kind = match said.as_deref().and_then(|errors| errors.first()).map(|(_, error)| error) {
        Some(server) => {
            let to = || {
                let mut words = server.details()?.split_ascii_whitespace();
                let slot: u16 = words.next()?.parse().ok()?;
                Some((slot, words.next().and_then(|address| Address::parse(address, said_by))))
            };
            match server.kind() {
                Some(ServerErrorKind::Moved) => {
                    return to().map_or(Turn::None, |(slot, address)| Turn::Moved(slot, address));
                }
                Some(ServerErrorKind::Ask) => {
                    return to().map_or(Turn::None, |(slot, address)| Turn::Ask(slot, address));
                }
                kind => kind,
            }
        }
        None => None,
    };
    match kind {
        Some(ServerErrorKind::TryAgain) => Turn::Wait,
        Some(
            ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::BusyLoading,
        ) => Turn::Lost { untouched: true },
        Some(_) | None if matches!(failure, Failure::Elsewhere(_)) => Turn::Lost { untouched },
        None if error.is_io_error() || error.is_unrecoverable_error() => Turn::Lost { untouched },
        Some(_) | None => Turn::None,
    }
}

/// Whether it is worth looking for another server.
pub(in crate::store::redis) fn leads_elsewhere(failure: &Failure) -> bool {
    let nowhere = Address { host: String::new(), port: 0 };
    !matches!(turn(failure, &nowhere), Turn::None)
}

/// Whether a server said that a key lies elsewhere, or that it is no master any more.
pub(in crate::store::redis) fn is_elsewhere(failure: &Failure) -> bool {
    let nowhere = Address { host: String::new(), port: 0 };
    matches!(turn(failure, &nowhere), Turn::Moved(..) | Turn::Ask(..))
}

/// Whether a server said that it belongs to no cluster.
pub(in crate::store::redis) fn is_no_cluster(failure: &Failure) -> bool {
    let detail = failure.error().and_then(|error| error.detail());
    detail.is_some_and(|detail| detail.contains("cluster support disabled"))
}
