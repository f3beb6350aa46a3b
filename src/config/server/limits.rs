//! What the public door takes: the keys of `[server]` that are limits.
//!
//! I own: those keys, and their reader. I may call: `amount`, `cursor`. I never count anything.

use crate::config::amount::{parse_duration, parse_size, show_size};
use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::domain::door::DoorLimits;
use crate::domain::rate::Rate;
use std::time::Duration;

pub(super) const MAX_CONNECTIONS: Key = Key::with_default(
    "max_connections",
    Kind::Number { least: 1, most: MOST_CONNECTIONS },
    "4096",
    "Connections at a time, in all; one more gets a 503. The process needs about twice as many file descriptors.",
);
pub(super) const MAX_CONNECTIONS_PER_ADDRESS: Key = Key::with_default(
    "max_connections_per_address",
    Kind::Number { least: 1, most: MOST_CONNECTIONS },
    "512",
    "The same from one address, or one /64 of IPv6: a 429. The `trusted_proxies` are not counted.",
);
pub(super) const MAX_HEADER_BYTES: Key = Key::with_default(
    "max_header_bytes",
    Kind::Size,
    r#""32KiB""#,
    "How large a request head may be, from 1KiB to 120KiB; else a 431.",
);
pub(super) const MAX_HEADERS: Key = Key::with_default(
    "max_headers",
    Kind::Number { least: 8, most: MOST_HEADERS },
    "96",
    "How many lines a request head may have, at most 96; else a 431.",
);
pub(super) const MAX_URI: Key = Key::with_default(
    "max_uri",
    Kind::Size,
    r#""8KiB""#,
    "How long a path with its query may be, from 1KiB to 60KiB; else a 414.",
);
pub(super) const BODY_STALL_TIMEOUT: Key = Key::with_default(
    "body_stall_timeout",
    Kind::Duration,
    r#""30s""#,
    "How long a client may send nothing of a request body.",
);
pub(super) const WRITE_STALL_TIMEOUT: Key = Key::with_default(
    "write_stall_timeout",
    Kind::Duration,
    r#""60s""#,
    "How long a client may take nothing of a response.",
);
pub(super) const LOGIN_RATE: Key = Key::with_default(
    "login_rate",
    Kind::Text,
    r#""300/1m""#,
    "How often one address, or one /64 of IPv6, may begin a sign-in, and as often finish one; else a 429. Or \"off\".",
);

const MOST_CONNECTIONS: u64 = 1_000_000;
/// What the framework's own reader takes.
const MOST_HEADERS: u64 = 96;
const DEFAULT_CONNECTIONS: usize = 4096;
const DEFAULT_CONNECTIONS_PER_ADDRESS: usize = 512;
/// A cookie of each app, and Kerberos in `Authorization`, have room; the framework takes 128 KiB.
const DEFAULT_HEADER_BYTES: usize = 32 * 1024;
const HEADER_BYTES: (usize, usize) = (1024, 120 * 1024);
/// What most servers behind take.
const DEFAULT_URI: usize = 8 * 1024;
const URI: (usize, usize) = (1024, 60 * 1024);
const DEFAULT_BODY_STALL: Duration = Duration::from_secs(30);
const DEFAULT_WRITE_STALL: Duration = Duration::from_secs(60);
/// An office behind one address that comes in at nine.
const DEFAULT_LOGINS: (u32, Duration) = (300, Duration::from_secs(60));

pub(super) fn read(section: &mut Section<'_>) -> Result<DoorLimits, Reported> {
    let connections = |entry: &Entry<'_>| number(entry, 1, MOST_CONNECTIONS);
    let max_connections = section.or(MAX_CONNECTIONS.name, DEFAULT_CONNECTIONS, connections);
    let per_address = MAX_CONNECTIONS_PER_ADDRESS.name;
    let max_connections_per_address = section.or(per_address, DEFAULT_CONNECTIONS_PER_ADDRESS, connections);
    let max_header_bytes =
        section.or(MAX_HEADER_BYTES.name, DEFAULT_HEADER_BYTES, |entry| size(entry, HEADER_BYTES));
    let max_headers = section.or(MAX_HEADERS.name, 96, |entry| number(entry, 8, MOST_HEADERS));
    let max_uri = section.or(MAX_URI.name, DEFAULT_URI, |entry| size(entry, URI));
    let body_stall_timeout = section.or(BODY_STALL_TIMEOUT.name, DEFAULT_BODY_STALL, Entry::time_limit);
    let write_stall_timeout = section.or(WRITE_STALL_TIMEOUT.name, DEFAULT_WRITE_STALL, Entry::time_limit);
    let (times, within) = DEFAULT_LOGINS;
    let login_rate = section.or(LOGIN_RATE.name, Rate::new(times, within), rate);
    let max_uri = match (max_uri, &max_header_bytes) {
        (Ok(uri), Ok(head)) if uri >= *head => Err(section.wrong(
            MAX_URI.name,
            "does not fit into `max_header_bytes`",
            "make it smaller, or raise `max_header_bytes`",
        )),
        (uri, _) => uri,
    };
    Ok(DoorLimits {
        max_connections: max_connections?,
        max_connections_per_address: max_connections_per_address?,
        max_header_bytes: max_header_bytes?,
        max_headers: max_headers?,
        max_uri: max_uri?,
        body_stall_timeout: body_stall_timeout?,
        write_stall_timeout: write_stall_timeout?,
        login_rate: login_rate?,
    })
}

fn number(entry: &Entry<'_>, least: u64, most: u64) -> Result<usize, Reported> {
    let number = entry.number().filter(|number| (least..=most).contains(number));
    number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| {
        entry.wrong(
            format_args!("must be an integer from {least} to {most}"),
            "leave the key out for the default",
        )
    })
}

fn size(entry: &Entry<'_>, (least, most): (usize, usize)) -> Result<usize, Reported> {
    let bytes = match entry.number() {
        Some(bytes) => bytes,
        None => {
            entry.parsed(parse_size, "is not a size", "write bytes, or a string with a unit: \"16KiB\"")?
        }
    };
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    if (least..=most).contains(&bytes) {
        return Ok(bytes);
    }
    let shown = |bytes: usize| show_size(bytes as u64);
    Err(entry.wrong(
        format_args!("must be from {} to {}", shown(least), shown(most)),
        "leave the key out for the default",
    ))
}

/// `300/1m`, or `off`.
fn rate(entry: &Entry<'_>) -> Result<Option<Rate>, Reported> {
    let parse = |text: &str| match text {
        "off" => Some(None),
        text => {
            let (times, within) = text.split_once('/')?;
            let times = times.parse().ok().filter(|_| times.bytes().all(|byte| byte.is_ascii_digit()))?;
            let within = parse_duration(within).filter(|span| *span <= Duration::from_secs(86_400))?;
            Rate::new(times, within).map(Some)
        }
    };
    entry.parsed(
        parse,
        "is not a rate",
        "write how often in which time, at most a day: \"300/1m\"; or \"off\"",
    )
}
