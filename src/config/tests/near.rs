//! The keys of the near cache, each with what is refused.

use super::{accepted, refused};
use crate::config::NearSettings;
use std::time::Duration;

#[test]
fn what_is_kept_in_memory_and_for_how_long_it_stands_in() {
    let usual = NearSettings { sessions: 100_000, bytes: 512 << 20, outage_grace: Duration::from_secs(30) };
    assert_eq!(accepted(&[]).session.near, usual);
    let settings = accepted(&[
        ("session", "cache_sessions = 0"),
        ("session", "cache_bytes = '16MiB'"),
        ("session", "outage_grace = '0s'"),
    ]);
    let none = NearSettings { sessions: 0, bytes: 16 << 20, outage_grace: Duration::ZERO };
    assert_eq!(settings.session.near, none);
}

#[test]
fn a34_nobody_bridges_an_outage_for_longer_than_ten_minutes() {
    refused(&[("session", "outage_grace = '11m'")], "session.outage_grace", "longer than ten minutes");
    refused(&[("session", "outage_grace = 30")], "session.outage_grace", "must be a string with a unit");
    refused(&[("session", "cache_bytes = '1MiB'")], "session.cache_bytes", "must be at least 16MiB");
    refused(&[("session", "cache_bytes = 'much'")], "session.cache_bytes", "is not a size");
    refused(&[("session", "cache_sessions = -1")], "session.cache_sessions", "must be an integer from 0");
}
