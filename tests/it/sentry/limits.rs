//! How much and how long a client may take (R79, A32, A33).
//!
//! I own: slow heads, slow bodies, slow readers, hoards of connections, and too many sign-ins. Time-outs are real and
//! short; I never wait longer than [`PATIENCE`].

use super::{PATIENCE, assert_refused, post};
use crate::it::house::evidence;
use crate::it::house::raw::{Answer, Connection, send};
use crate::it::house::server::After;
use crate::it::house::setting::Setting;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn get(setting: &Setting, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", setting.gateway.host())
}

#[test]
fn r79_a33_every_head_has_its_time_and_not_only_the_first() {
    let setting = Setting::with(|plan| plan.server_extra("header_timeout = \"300ms\""));
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(get(&setting, "/public/x").as_bytes());
    assert_eq!(connection.answer(false).unwrap().status, 200);
    let since = Instant::now();
    let head = get(&setting, "/public/second");
    connection.write(&head.as_bytes()[..head.len() - 2]);
    let answer = connection.answer(false).expect("an answer");
    assert_refused(&setting, &answer, 408, "head-timeout", "second head");
    assert!(since.elapsed() < PATIENCE);
    assert_eq!(setting.upstream.count(), 1);
}

#[test]
fn r79_a33_an_idle_connection_ends_without_a_word() {
    let setting = Setting::with(|plan| plan.server_extra("keep_alive = \"300ms\""));
    let mut connection = Connection::open(setting.gateway.address);
    for _ in 0..3 {
        connection.write(get(&setting, "/public/x").as_bytes());
        assert_eq!(connection.answer(false).unwrap().status, 200);
    }
    assert_eq!(connection.rest(), b"");
}

#[test]
fn r79_a33_a_body_that_stops_is_a_408() {
    let setting = Setting::with(|plan| plan.server_extra("body_stall_timeout = \"300ms\""));
    for (lines, begun) in [("Content-Length: 100\r\n", "abc"), ("Transfer-Encoding: chunked\r\n", "5\r\nab")]
    {
        let mut connection = Connection::open(setting.gateway.address);
        let since = Instant::now();
        connection.write((post(&setting, lines) + begun).as_bytes());
        let answer = connection.answer(false).expect("an answer");
        assert_eq!(answer.status, 408, "{lines}");
        let line = evidence::access_line(&answer);
        assert_eq!(line["fields"]["outcome"], "client-stalled", "{line}");
        assert_eq!(line["fields"]["cause"], "body-timeout", "{line}");
        assert!(connection.is_over_within(PATIENCE), "{lines}");
        assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    }
}

/// An app that sends without an end, and says when nobody takes it any more.
fn endless(setting: &Setting) -> mpsc::Receiver<()> {
    let (over, is_over) = mpsc::channel();
    let over = Mutex::new(over);
    setting.upstream.script(move |exchange| {
        exchange.body();
        exchange.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let piece = format!("10000\r\n{}\r\n", "x".repeat(65_536));
        while exchange.write(piece.as_bytes()) {}
        over.lock().unwrap().send(()).unwrap();
        Some(After::Close)
    });
    is_over
}

fn metrics(setting: &Setting) -> String {
    let head = "GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    let mut connection = Connection::to_stranger(setting.gateway.health.unwrap());
    connection.write(head.as_bytes());
    connection.answer(false).unwrap().text()
}

#[test]
fn r79_a33_a_reader_that_stops_is_cut_off_and_others_are_served() {
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.server_extra("write_stall_timeout = \"300ms\"");
    });
    let is_over = endless(&setting);
    let mut reader = Connection::open(setting.gateway.address);
    reader.write(get(&setting, "/public/large").as_bytes());
    assert_eq!(reader.head().unwrap().status, 200);
    assert_eq!(
        send(setting.gateway.address, get(&setting, "/bff/signed-out").as_bytes()).unwrap().status,
        200
    );
    is_over.recv_timeout(PATIENCE).expect("still sending to a client that takes nothing");
    let text = metrics(&setting);
    assert!(text.contains("keycard_connections_cut_total{reason=\"write-stall\"} 1"), "{text}");
}

/// A connection on which nothing has been asked, and that was let in.
fn silent(setting: &Setting, from: Ipv4Addr) -> Connection {
    let mut connection = Connection::from(from, setting.gateway.address);
    connection.write(get(setting, "/bff/signed-out").as_bytes());
    assert_eq!(connection.answer(false).expect("no answer").status, 200);
    connection
}

fn asks(setting: &Setting, from: Ipv4Addr) -> Answer {
    let mut connection = Connection::from(from, setting.gateway.address);
    connection.write(get(setting, "/bff/signed-out").as_bytes());
    connection.answer(false).expect("no answer")
}

const HOARDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

#[test]
fn r79_a33_one_address_gets_its_share_of_connections_and_no_more() {
    let setting = Setting::with(|plan| plan.server_extra("max_connections_per_address = 3"));
    let mut hoard: Vec<Connection> = (0..3).map(|_| silent(&setting, HOARDER)).collect();
    let refused = asks(&setting, HOARDER);
    assert_refused(&setting, &refused, 429, "too-many-connections-from-there", "the fourth");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(asks(&setting, OTHER).status, 200);
    drop(hoard.pop());
    let since = Instant::now();
    while asks(&setting, HOARDER).status != 200 {
        assert!(since.elapsed() < PATIENCE, "a place that is free again is not given");
    }
}

#[test]
fn r79_a33_there_is_a_limit_in_all_and_proxies_have_only_that() {
    let setting = Setting::with(|plan| {
        plan.server_extra(
            "max_connections = 5\nmax_connections_per_address = 2\ntrusted_proxies = [\"127.0.0.2\"]",
        );
    });
    let hoard: Vec<Connection> = (0..5).map(|_| silent(&setting, HOARDER)).collect();
    let refused = asks(&setting, OTHER);
    assert_refused(&setting, &refused, 503, "too-many-connections", "the sixth");
    drop(hoard);
}

#[test]
fn r79_too_many_sign_ins_from_one_address_are_a_429() {
    let setting = Setting::with(|plan| {
        plan.server_extra("login_rate = \"2/1m\"\ntrusted_proxies = [\"127.0.0.1\"]");
    });
    let login = |client: &str, path: &str| {
        let host = setting.gateway.host();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Mode: navigate\r\nX-Forwarded-For: {client}\r\n\r\n"
        );
        send(setting.gateway.address, head.as_bytes()).unwrap()
    };
    for _ in 0..2 {
        assert_eq!(login("192.0.2.1", "/bff/login").status, 302);
    }
    let refused = login("192.0.2.1", "/bff/login");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("30")));
    let line = evidence::access_line(&refused);
    assert_eq!(
        [&line["fields"]["route"], &line["fields"]["outcome"]],
        ["login", "too-many-sign-ins"],
        "{line}"
    );
    assert_eq!(login("192.0.2.2", "/bff/login").status, 302, "somebody else");
    for status in [400, 400, 429] {
        assert_eq!(login("192.0.2.1", "/bff/callback?state=x").status, status);
    }
    assert_eq!(login("192.0.2.1", "/bff/signed-out").status, 200);
    setting.clock.advance(Duration::from_secs(30));
    assert_eq!(login("192.0.2.1", "/bff/login").status, 302);
    assert_eq!(login("192.0.2.1", "/bff/login").status, 429);
}

#[test]
fn a32_what_is_too_large_is_refused_before_it_is_complete() {
    let setting = Setting::new();
    let host = setting.gateway.host();
    let begun = format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\n");
    let many: String = (0..10_000).map(|at| format!("x-{at}: y\r\n")).collect();
    for (request, status, cause) in [
        (format!("{begun}X: {}", "y".repeat(64 * 1024)), 431, "head-too-large"),
        (begun.clone() + &many, 431, "too-many-headers"),
        (format!("{begun}Cookie: {}\r\n", "a;".repeat(15_872)), 431, "too-many-headers"),
        (format!("GET /public/{}", "x".repeat(1024 * 1024)), 414, "uri-too-long"),
    ] {
        let answer = send(setting.gateway.address, request.as_bytes()).expect("an answer");
        assert_refused(&setting, &answer, status, cause, cause);
    }
    let endless = post(&setting, "Transfer-Encoding: chunked\r\n") + "1;" + &"x".repeat(100_000);
    assert_eq!(send(setting.gateway.address, endless.as_bytes()).expect("an answer").status, 400);
    let tiny = post(&setting, "Transfer-Encoding: chunked\r\n") + &"1\r\nx\r\n".repeat(20_000) + "0\r\n\r\n";
    assert_eq!(send(setting.gateway.address, tiny.as_bytes()).expect("an answer").status, 200);
    assert_eq!(setting.upstream.last().body.len(), 20_000);
}

#[test]
fn a_large_body_goes_both_ways_through_the_sentry() {
    let setting = Setting::new();
    let body: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
    let echoed = body.clone();
    setting.upstream.script(move |exchange| {
        let body = exchange.body();
        assert_eq!(body.len(), echoed.len());
        Some(exchange.reply(200, &[], &body))
    });
    let mut connection = Connection::open(setting.gateway.address);
    for _ in 0..2 {
        connection.write(post(&setting, &format!("Content-Length: {}\r\n", body.len())).as_bytes());
        connection.write(&body);
        let answer = connection.answer(false).expect("an answer");
        assert_eq!(answer.status, 200);
        assert!(answer.body == body, "{} bytes came back", answer.body.len());
    }
}
