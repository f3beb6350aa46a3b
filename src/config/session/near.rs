//! `cache_sessions`, `cache_bytes` and `outage_grace` of `[session]`.
//!
//! I own: the keys of the near cache. I may call: `cursor`, `amount`. I never decide whether a store has a feed.

use crate::config::NearSettings;
use crate::config::amount::{parse_size, show_size};
use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use std::time::Duration;

pub(super) const CACHE_SESSIONS: Key = Key::with_default(
    "cache_sessions",
    Kind::Number { least: 0, most: MOST_SESSIONS },
    "100000",
    "How many sessions a gateway keeps in memory, so that a request with one of them asks nobody; Redis tells of every change. 0 asks the store for each request.",
);

pub(super) const CACHE_BYTES: Key = Key::with_default(
    "cache_bytes",
    Kind::Size,
    r#""512MiB""#,
    "About how much memory they may take; whoever was not seen for longest is read again.",
);

pub(super) const OUTAGE_GRACE: Key = Key::with_default(
    "outage_grace",
    Kind::Duration,
    r#""30s""#,
    r#"While Redis does not answer, sessions that are in memory go on for so long after they were last known to be good. An ending elsewhere that this gateway could not hear of is in force that much later; "0s" lets nobody in without Redis."#,
);

const MOST_SESSIONS: u64 = 100_000_000;
const DEFAULT_SESSIONS: usize = 100_000;
const DEFAULT_BYTES: usize = 512 << 20;
/// So much that a session of any size fits into one of its parts.
const LEAST_BYTES: usize = 16 << 20;
const DEFAULT_GRACE: Duration = Duration::from_secs(30);
/// Longer than any failover; whoever needs more needs another Redis.
const LONGEST_GRACE: Duration = Duration::from_secs(600);

pub(super) fn read(section: &mut Section<'_>) -> Result<NearSettings, Reported> {
    let sessions = section.or(CACHE_SESSIONS.name, DEFAULT_SESSIONS, |entry| {
        let number = entry.number().filter(|number| *number <= MOST_SESSIONS);
        number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| {
            entry.wrong(
                format_args!("must be an integer from 0 to {MOST_SESSIONS}"),
                "leave the key out for the default; 0 asks the store for each request",
            )
        })
    });
    let bytes = section.or(CACHE_BYTES.name, DEFAULT_BYTES, size);
    let outage_grace = section.or(OUTAGE_GRACE.name, DEFAULT_GRACE, |entry| {
        let span = entry.duration()?;
        if span <= LONGEST_GRACE {
            return Ok(span);
        }
        Err(entry.wrong(
            "is longer than ten minutes",
            "so long nobody would notice an ending: write \"30s\", or \"0s\" to let nobody in without Redis",
        ))
    });
    Ok(NearSettings { sessions: sessions?, bytes: bytes?, outage_grace: outage_grace? })
}

fn size(entry: &Entry<'_>) -> Result<usize, Reported> {
    let bytes = match entry.number() {
        Some(bytes) => bytes,
        None => entry.parsed(parse_size, "is not a size", "write a string with a unit: \"512MiB\"")?,
    };
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    if bytes >= LEAST_BYTES {
        return Ok(bytes);
    }
    Err(entry.wrong(
        format_args!("must be at least {}", show_size(LEAST_BYTES as u64)),
        "to keep nothing in memory, write cache_sessions = 0",
    ))
}
