//! Requests that never begin, or never stop beginning.
//!
//! I own: end-to-end tests of `header_timeout` and of the limit of a request head. I never wait longer than
//! [`PATIENCE`].

use super::house::raw::{Connection, send};
use super::house::setting::Setting;
use std::time::{Duration, Instant};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(3);

fn setting() -> Setting {
    Setting::with(|plan| plan.server_extra("header_timeout = \"300ms\""))
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let setting = setting();
    let host = setting.gateway.host();
    for part in [
        String::new(),
        "GET".to_owned(),
        "GET /public/ HTTP/1.1\r\n".to_owned(),
        format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\nX-More: "),
        format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\n"),
    ] {
        let since = Instant::now();
        let answer = send(setting.gateway.address, part.as_bytes());
        assert!(answer.is_none_or(|answer| answer.status == 408), "{part:?}");
        assert!(since.elapsed() < PATIENCE, "{part:?}: {:?}", since.elapsed());
    }
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn a_head_in_single_bytes_gets_no_more_time() {
    let setting = setting();
    let mut connection = Connection::open(setting.gateway.address);
    let since = Instant::now();
    let host = setting.gateway.host();
    connection.write(format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\nX-More: ").as_bytes());
    // A byte each time that nothing has come for a while.
    while !connection.is_over_within(Duration::from_millis(50)) {
        assert!(since.elapsed() < PATIENCE, "still open after {:?}", since.elapsed());
        connection.write(b"x");
    }
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn a_head_that_is_too_large_gets_an_error() {
    let setting = Setting::new();
    let host = setting.gateway.host();
    let large = "x".repeat(200_000);
    let many: String = (0..500).map(|at| format!("X-{at}: y\r\n")).collect();
    for (what, status, head) in [
        ("one header", 431, format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\nX-Large: {large}\r\n\r\n")),
        ("one without an end", 431, format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\nX-Large: {large}")),
        ("many headers", 431, format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\n{many}\r\n")),
        ("the target", 414, format!("GET /public/{large} HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        ("the method", 501, format!("{large} / HTTP/1.1\r\nHost: {host}\r\n\r\n")),
    ] {
        let since = Instant::now();
        let answer = send(setting.gateway.address, head.as_bytes());
        assert_eq!(answer.map(|answer| answer.status), Some(status), "{what}");
        assert!(since.elapsed() < PATIENCE, "{what}: {:?}", since.elapsed());
    }
    assert_eq!(setting.upstream.count(), 0);
}
