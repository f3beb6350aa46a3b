//! What may be said of a Redis that does not do as it is asked.
//!
//! I own: [`Failure`], which failures wear out a connection, and every word of an error text. I may call: `ports`. I
//! never put the text of a Redis error into ours: it may quote keys, users and addresses (R43, R60).

use super::way::NoWay;
use crate::ports::StoreError;
use redis::{ErrorKind, RedisError, ServerErrorKind};

const FOREIGN: StoreError = StoreError::Unreadable("something else is stored under its key");

/// Why a request has no answer.
pub(super) enum Failure {
    /// A connection that had been made broke: nobody knows how far the request got.
    Broken(RedisError),
    /// The server that answers is not, or not yet, one that does this: nothing was done.
    Elsewhere(RedisError),
    /// There is no connection.
    NoWay(NoWay),
    /// Anything else.
    Other(RedisError),
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        if is_elsewhere(&error) {
            Self::Elsewhere(error)
        } else if error.is_connection_dropped() {
            Self::Broken(error)
        } else {
            Self::Other(error)
        }
    }
}

impl Failure {
    /// Whether the connection should not be used again. A time-out counts: behind it there may be a peer that vanished
    /// without a word, and the next request should not wait for that one. So does the answer of a server that has become
    /// a replica, or that has lost its own: its successor may be elsewhere by now.
    pub(super) fn wears_out(&self) -> bool {
        match self {
            Self::Broken(_) | Self::Elsewhere(_) => true,
            Self::NoWay(_) => false,
            Self::Other(error) => {
                error.is_io_error() || error.is_unrecoverable_error() || error.code() == Some("NOREPLICAS")
            }
        }
    }

    pub(super) fn into_store_error(self) -> StoreError {
        let unavailable = |said: &str| StoreError::Unavailable(said.into());
        let error = match self {
            Self::Broken(error) | Self::Other(error) => error,
            Self::Elsewhere(error) => match code(error).as_str() {
                "LOADING" => return unavailable("Redis answered LOADING: it is still reading its data"),
                "MASTERDOWN" => {
                    return unavailable("Redis answered MASTERDOWN: it is a replica without a master");
                }
                _ => return unavailable(REPLICA),
            },
            Self::NoWay(NoWay::Redis(error)) => error,
            Self::NoWay(NoWay::Replica) => return unavailable(REPLICA),
            Self::NoWay(NoWay::Sentinel) => {
                return unavailable("a sentinel answers there: `session.store` needs redis+sentinel://");
            }
            Self::NoWay(NoWay::UnknownMaster) => {
                return unavailable("the sentinels watch no master of that name");
            }
            Self::NoWay(NoWay::NoSentinel) => return unavailable("no sentinel answers"),
            Self::NoWay(NoWay::Refused(what)) => {
                return StoreError::Unavailable(format!("a sentinel {what}"));
            }
        };
        if error.is_timeout() {
            return unavailable("Redis did not answer in time");
        }
        let said = match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => return FOREIGN,
            ErrorKind::AuthenticationFailed => "Redis refused the user or the password".into(),
            ErrorKind::Io if error.is_connection_refusal() => "Redis refused the connection".into(),
            ErrorKind::Io => "the connection to Redis failed".into(),
            ErrorKind::Server(_) | ErrorKind::Extension => {
                let code = code(error);
                if code == "WRONGTYPE" {
                    return FOREIGN;
                }
                format!("Redis answered {code}")
            }
            ErrorKind::Client | ErrorKind::InvalidClientConfig => {
                "the connection to Redis cannot be made".into()
            }
            _ => "Redis cannot be used".into(),
        };
        StoreError::Unavailable(said)
    }
}

const REPLICA: &str = "Redis answered READONLY: it is a replica, and nothing was written";

/// The first word of what a server answered, such as `OOM`; everything after it may be a secret.
pub(super) fn code(error: RedisError) -> String {
    let errors = error.into_server_errors();
    let code = errors.as_deref().and_then(|errors| errors.first()).map_or("", |(_, error)| error.code());
    if (1..=20).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return code.to_owned();
    }
    "with an error".into()
}

fn is_elsewhere(error: &RedisError) -> bool {
    let kind = match error.kind() {
        ErrorKind::Server(kind) => kind,
        _ => return false,
    };
    // Redis 6 wraps what a script was told.
    let wrapped = || error.detail().is_some_and(|detail| detail.contains("-READONLY "));
    match kind {
        ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading => true,
        ServerErrorKind::ResponseError => wrapped(),
        _ => false,
    }
}
