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
fn r71_a_client_of_http_1_0_gets_no_chunks() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let host = setting.gateway.host();
    setting.upstream.answer_raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n",
    );
    for lines in ["", "Connection: keep-alive\r\n", "Connection: close\r\n", "TE: chunked\r\n"] {
        for path in ["/inside", "/public/x"] {
            let request = format!(
                "GET {path} HTTP/1.0\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\n\
                 Cookie: __Host-keycard={cookie}\r\n{lines}\r\n"
            );
            let mut connection = Connection::open(setting.gateway.address);
            connection.write(request.as_bytes());
            let answer = connection.answer(false).unwrap();
            assert_eq!(answer.status, 200, "{lines:?}");
            assert_eq!(answer.header("transfer-encoding"), None, "{lines:?}");
            assert_eq!(answer.header("content-length"), None, "{lines:?}");
            let kept = answer.all("connection").iter().any(|value| value.eq_ignore_ascii_case("keep-alive"));
            assert!(!kept, "{lines:?}: {:?}", answer.headers);
            // Read to the end of the connection, which is the end of the body.
            assert_eq!(answer.text(), "hello, world", "{lines:?}");
        }
    }
}

#[test]
fn r79_nobody_listens_for_ever_to_a_body_that_was_refused() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    setting.upstream.forget();
    let own = setting.gateway.host();
    let (same, cross) = ("same-origin", "cross-site");
    for (name, target, host, site, cookie, status) in [
        ("a forged request", "/inside", own, cross, cookie.as_str(), 403),
        ("nobody", "/inside", own, same, "none", 401),
        ("no role", "/admin/x", own, same, &cookie, 403),
        ("a forged sign-out", "/bff/logout", own, cross, &cookie, 403),
        ("no such endpoint", "/bff/nowhere", own, same, &cookie, 404),
        ("the wrong method", "/bff/user", own, same, &cookie, 405),
        ("another host", "/inside", "evil.test", same, &cookie, 421),
        ("an ambiguous path", "/a//b", own, same, &cookie, 400),
    ] {
        let mut connection = Connection::open(setting.gateway.address);
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: {site}\r\nSec-Fetch-Mode: cors\r\n\
             Sec-Fetch-Dest: empty\r\nCookie: __Host-keycard={cookie}\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n"
        );
        connection.write(request.as_bytes());
        let answer = connection.answer(false).unwrap();
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(answer.header("connection"), Some("close"), "{name}: {:?}", answer.headers);
        let ended = connection.ends_while_dripping(b"1\r\nx\r\n", Duration::from_millis(50), 60);
        assert!(ended, "{name}: the connection goes on");
    }
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn r79_nobody_listens_for_ever_to_a_body_that_the_upstream_does_not_want() {
    let setting = Setting::new();
    setting.upstream.script(|_| Some(After::Close));
    let host = setting.gateway.host();
    let mut connection = Connection::open(setting.gateway.address);
    let head = format!("POST /public/x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.write(head.as_bytes());
    // So much is on its way that the upstream is gone while some of it still wants to be passed on.
    connection.write(&format!("400\r\n{}\r\n", "x".repeat(1024)).repeat(512).into_bytes());
    let answer = connection.answer(false).unwrap();
    assert_eq!((answer.status, answer.header("connection")), (502, Some("close")), "{:?}", answer.headers);
    assert!(connection.ends_while_dripping(b"1\r\nx\r\n", Duration::from_millis(50), 60));
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
