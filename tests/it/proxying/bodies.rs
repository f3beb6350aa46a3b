//! Bodies both ways, streamed (R77, R79).
//!
//! I own: uploads and downloads that are looked at while they run, and answers that have no body. Nothing here waits
//! for a clock: each side goes on only when it has seen what the other side did.

use crate::it::house::raw::Connection;
use crate::it::house::server::After;
use crate::it::house::setting::Setting;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn head(setting: &Setting, method: &str, cookie: &str, lines: &str) -> String {
    let host = setting.gateway.host();
    format!(
        "{method} /inside HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\nOrigin: https://{host}\r\nCookie: __Host-keycard={cookie}\r\n{lines}\r\n"
    )
}

#[test]
fn r77_a_download_arrives_piece_by_piece() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    setting.upstream.script(move |exchange| {
        exchange.body();
        exchange.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
            exchange.write(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
            // The next event only when the browser has this one: a gateway that buffers would never get it.
            if wait.lock().unwrap().recv_timeout(PATIENCE).is_err() {
                return Some(After::Close);
            }
        }
        exchange.write(b"0\r\n\r\n");
        Some(After::Keep)
    });
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(head(&setting, "GET", &cookie, "").as_bytes());
    let answer = connection.head().unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        assert_eq!(connection.chunk().as_deref(), Some(event.as_bytes()));
        go.send(()).unwrap();
    }
    assert_eq!(connection.chunk(), None);
}

#[test]
fn r77_an_upload_arrives_piece_by_piece() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let (seen, is_seen) = mpsc::channel::<Vec<u8>>();
    let seen = Mutex::new(seen);
    setting.upstream.script(move |exchange| {
        while let Some(piece) = exchange.piece() {
            let _ = seen.lock().unwrap().send(piece);
        }
        None
    });
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(head(&setting, "POST", &cookie, "Transfer-Encoding: chunked\r\n").as_bytes());
    for piece in ["first", "second", "third"] {
        connection.write(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
        assert_eq!(is_seen.recv_timeout(PATIENCE).as_deref(), Ok(piece.as_bytes()));
    }
    connection.write(b"0\r\n\r\n");
    assert_eq!(connection.answer(false).unwrap().status, 200);
}

#[test]
fn r77_large_bodies_pass_both_ways_unchanged() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    setting.upstream.script(|exchange| {
        let body = exchange.body();
        Some(exchange.reply(200, &[("Content-Type", "application/octet-stream")], &body))
    });
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let answer = browser.fetch("POST", "/inside", &[("Content-Type", "application/octet-stream")], &body);
    assert_eq!((answer.status, answer.body.len()), (200, body.len()));
    assert!(answer.body == body, "the body changed on its way");
}

#[test]
fn r77_answers_without_a_body_have_none() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let rows: [(&str, &'static [u8], u16); 5] = [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", 200),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", 304),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
    ];
    for (method, raw, status) in rows {
        setting.upstream.answer_raw(raw);
        let mut connection = Connection::open(setting.gateway.address);
        connection.write(head(&setting, method, &cookie, "Connection: close\r\n").as_bytes());
        let answer = connection.answer(method == "HEAD").unwrap();
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{method} {status}");
        assert!(connection.is_over(), "{method} {status}: bytes after the end");
        if status == 204 {
            assert_eq!(answer.header("transfer-encoding"), None);
            assert!(answer.header("content-length").is_none());
        }
    }
}

#[test]
fn r77_expect_100_continue_is_answered() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let mut connection = Connection::open(setting.gateway.address);
    let lines = "Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n";
    connection.write(head(&setting, "POST", &cookie, lines).as_bytes());
    connection.write(b"hi");
    let answer = connection.answer(false).unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.interim.iter().all(|status| *status == 100), "{:?}", answer.interim);
    assert_eq!(setting.upstream.last().body, b"hi");
}

#[test]
fn r77_an_upstream_that_breaks_off_is_not_made_to_look_complete() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    setting.upstream.answer_raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(head(&setting, "GET", &cookie, "").as_bytes());
    let Some(answer) = connection.head() else { return };
    assert!(answer.status == 502 || answer.header("transfer-encoding").is_some(), "{}", answer.status);
    if answer.status == 200 {
        let rest = String::from_utf8_lossy(&connection.rest()).into_owned();
        assert!(!rest.ends_with("0\r\n\r\n"), "{rest:?}");
    }
}

#[test]
fn r77_an_upstream_that_is_gone_is_a_502() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    setting.upstream.script(|_| Some(After::Close));
    let answer = browser.fetch("POST", "/inside", &[], b"x");
    assert_eq!(answer.status, 502);
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
    setting.upstream.behave();
    assert_eq!(browser.fetch("GET", "/inside", &[], b"").status, 200);
}
