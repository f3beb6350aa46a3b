//! What the public door takes of one client, and of all.
//!
//! I own: [`DoorLimits`]. I may call: `rate`. I never count anything.

use crate::domain::rate::Rate;
use std::time::Duration;

/// The limits of the public door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorLimits {
    /// `max_connections`: in all.
    pub max_connections: usize,
    /// `max_connections_per_address`: from one address of IPv4 or one /64 of IPv6; trusted proxies are not counted.
    pub max_connections_per_address: usize,
    /// `max_header_bytes`: a request head, with its first line; also the trailers of a body.
    pub max_header_bytes: usize,
    /// `max_headers`: lines of a head; the framework reads no more than 96.
    pub max_headers: usize,
    /// `max_uri`: bytes of a request target.
    pub max_uri: usize,
    /// `body_stall_timeout`: how long a client may send nothing of a body that is being read.
    pub body_stall_timeout: Duration,
    /// `write_stall_timeout`: how long a client may take nothing of an answer.
    pub write_stall_timeout: Duration,
    /// `login_rate`: how often one sender may ask for `login`, and as often for `callback`; `None` for any number.
    pub login_rate: Option<Rate>,
}
