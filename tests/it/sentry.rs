//! The sentry at the public door, from the client's side: framing and syntax (T9, A28, R74, R75), one request at a time.
//!
//! I own: requests that two readers could understand differently, each with a canary behind it. Limits and patience are
//! in `sentry/limits.rs`. I never wait longer than [`PATIENCE`].

mod limits;

use super::house::evidence;
use super::house::raw::{Answer, Connection, send};
use super::house::server::After;
use super::house::setting::Setting;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What must never arrive.
fn canary(setting: &Setting) -> String {
    format!("GET /public/canary HTTP/1.1\r\nHost: {}\r\n\r\n", setting.gateway.host())
}

fn assert_no_canary(setting: &Setting, what: &str) {
    let arrived: Vec<String> = setting.upstream.arrived().into_iter().map(|one| one.head.target).collect();
    assert!(!arrived.iter().any(|target| target.contains("canary")), "{what}: {arrived:?}");
}

/// The last answer of a connection, its one line, and nobody behind who heard of it.
fn assert_refused(setting: &Setting, answer: &Answer, status: u16, cause: &str, what: &str) {
    assert_eq!(answer.status, status, "{what}");
    assert_eq!(answer.header("connection"), Some("close"), "{what}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    let line = evidence::access_line(answer);
    let told = [&line["fields"]["route"], &line["fields"]["outcome"], &line["fields"]["cause"]];
    assert_eq!(told, ["sentry", "refused", cause], "{what}: {line}");
    assert_eq!(line["fields"]["status"], status, "{what}");
    assert_eq!(answer.json()["correlation_id"], line["fields"]["id"], "{what}");
    assert_no_canary(setting, what);
}

/// A request head to a public route with these lines in it.
fn post(setting: &Setting, lines: &str) -> String {
    format!("POST /public/x HTTP/1.1\r\nHost: {}\r\n{lines}\r\n", setting.gateway.host())
}

#[test]
fn t9_a28_r74_r75_a_refused_head_leaves_a_line_and_its_canary_goes_nowhere() {
    let setting = Setting::new();
    let host = setting.gateway.host();
    let canary = canary(&setting);
    for (request, status, cause) in [
        (
            post(&setting, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
            400,
            "two-framings",
        ),
        (
            post(&setting, "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n") + "0\r\n\r\n",
            400,
            "two-framings",
        ),
        (post(&setting, "Content-Length: 0\r\nContent-Length: 40\r\n"), 400, "content-length"),
        (post(&setting, "Content-Length: 40, 40\r\n"), 400, "content-length"),
        (post(&setting, "Content-Length: +40\r\n"), 400, "content-length"),
        (post(&setting, "Content-Length : 40\r\n"), 400, "field-name"),
        (post(&setting, "X: y\r\n Content-Length: 40\r\n"), 400, "folded-line"),
        (post(&setting, "X: y\nContent-Length: 40\r\n"), 400, "bare-lf"),
        (post(&setting, "X: y\rContent-Length: 40\r\n"), 400, "bare-cr"),
        (post(&setting, "X: y\0z\r\n"), 400, "control-character"),
        (post(&setting, "Transfer-Encoding: xchunked\r\n"), 400, "transfer-encoding"),
        (post(&setting, "Transfer-Encoding: chunked, identity\r\n"), 400, "transfer-encoding"),
        (post(&setting, "Transfer-Encoding: identity\r\n"), 400, "transfer-encoding"),
        (post(&setting, "Host: evil.test\r\n"), 400, "host"),
        (post(&setting, "Expect: something-else\r\n"), 417, "expectation"),
        ("GET /public/x HTTP/1.1\r\n\r\n".to_owned(), 400, "host"),
        (format!("GET /public/x HTTP/1.1\r\nHost: user@{host}\r\n\r\n"), 400, "host"),
        (format!("GET  /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400, "request-line"),
        (format!("GET /public/x HTTP/1.1\nHost: {host}\n\n"), 400, "bare-lf"),
        (format!("GET /public/x HTTP/3.0\r\nHost: {host}\r\n\r\n"), 505, "http-version"),
        (format!("TRACE /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n"), 501, "refused-method"),
        (format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n"), 501, "refused-method"),
        (
            format!("POST /public/x HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
            "transfer-encoding",
        ),
    ] {
        for first in [String::new(), format!("GET /public/first HTTP/1.1\r\nHost: {host}\r\n\r\n")] {
            setting.upstream.forget();
            let mut connection = Connection::open(setting.gateway.address);
            connection.write((first.clone() + &request + &canary).as_bytes());
            if !first.is_empty() {
                assert_eq!(connection.answer(false).expect("no first answer").status, 200, "{request:?}");
            }
            let answer = connection.answer(false).unwrap_or_else(|| panic!("no answer: {request:?}"));
            assert_refused(&setting, &answer, status, cause, &request);
            assert_eq!(connection.rest(), b"", "{request:?}");
            assert_eq!(setting.upstream.count(), usize::from(!first.is_empty()), "{request:?}");
        }
    }
}

/// What may stand behind a first chunk and is none.
const BROKEN: [(&str, &str); 6] = [
    ("g\r\n", "chunk-size"),
    ("5\nhello\r\n", "chunk-size"),
    ("5\r\nhelloX\r\n", "chunk-end"),
    ("5\r\nhello\n0\r\n\r\n", "chunk-end"),
    ("5;\n", "chunk-extension"),
    ("0\r\nContent-Length: 9\r\n\r\n", "trailer"),
];

#[test]
fn t9_a28_r74_a_broken_chunk_that_comes_with_its_head_reaches_nobody() {
    let setting = Setting::new();
    for (broken, cause) in BROKEN {
        let begun = post(&setting, "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n";
        let mut connection = Connection::open(setting.gateway.address);
        connection.write((begun + broken + &canary(&setting)).as_bytes());
        let answer = connection.answer(false).unwrap_or_else(|| panic!("no answer: {broken:?}"));
        assert_refused(&setting, &answer, 400, cause, broken);
        assert_eq!(connection.rest(), b"", "{broken:?}");
        assert_eq!(setting.upstream.count(), 0, "{broken:?}");
    }
}

#[test]
fn t9_a28_r74_a_broken_chunk_breaks_an_upload_off_and_never_ends_it() {
    let setting = Setting::new();
    let (begin, begun) = mpsc::channel::<()>();
    let (end, ended) = mpsc::channel::<Vec<u8>>();
    let (begin, end) = (Mutex::new(begin), Mutex::new(end));
    setting.upstream.script(move |exchange| {
        let mut all = exchange.piece().unwrap_or_default();
        begin.lock().unwrap().send(()).unwrap();
        all.extend(exchange.body());
        end.lock().unwrap().send(all).unwrap();
        Some(After::Close)
    });
    for (broken, cause) in BROKEN {
        let mut connection = Connection::open(setting.gateway.address);
        connection.write((post(&setting, "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n").as_bytes());
        begun.recv_timeout(PATIENCE).expect("the upload does not begin");
        connection.write((broken.to_owned() + &canary(&setting)).as_bytes());
        let answer = connection.answer(false).unwrap_or_else(|| panic!("no answer: {broken:?}"));
        assert_eq!(answer.status, 400, "{broken:?}");
        let line = evidence::access_line(&answer);
        assert_eq!(
            [&line["fields"]["outcome"], &line["fields"]["cause"]],
            ["bad-framing", cause],
            "{broken:?}: {line}"
        );
        assert_eq!(connection.rest(), b"", "{broken:?}");
        assert!(ended.recv_timeout(PATIENCE).expect("the upload goes on").starts_with(b"abc"));
        assert_no_canary(&setting, broken);
    }
}

#[test]
fn t9_a28_what_follows_a_last_answer_is_nobodys_request() {
    let setting = Setting::new();
    let host = setting.gateway.host();
    for request in [
        format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        format!("GET /public/x HTTP/1.0\r\nHost: {host}\r\n\r\n"),
        // Refused with its body unread.
        format!("POST /bff/user HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello"),
        format!(
            "POST /bff/user HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ),
        // A WebSocket where there is none.
        format!(
            "GET /bff/user HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        ),
    ] {
        setting.upstream.forget();
        let mut connection = Connection::open(setting.gateway.address);
        connection.write((request.clone() + &canary(&setting)).as_bytes());
        let answer = connection.answer(false).unwrap_or_else(|| panic!("no answer: {request:?}"));
        let rest = connection.rest();
        assert_eq!(String::from_utf8_lossy(&rest), "", "{}: {request:?}", answer.status);
        assert_no_canary(&setting, &request);
    }
}

#[test]
fn r74_a_request_waits_until_the_one_before_is_answered() {
    let setting = Setting::new();
    let host = setting.gateway.host();
    let (go, wait) = mpsc::channel::<()>();
    let (arrive, arrived) = mpsc::channel::<String>();
    let (wait, arrive) = (Mutex::new(wait), Mutex::new(arrive));
    setting.upstream.script(move |exchange| {
        let target = exchange.head.target.clone();
        arrive.lock().unwrap().send(target.clone()).unwrap();
        if target == "/public/1" {
            exchange.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n");
            wait.lock().unwrap().recv().unwrap();
            exchange.write(b"3\r\nend\r\n0\r\n\r\n");
            return Some(After::Keep);
        }
        None
    });
    let get = |at: u8| format!("GET /public/{at} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut connection = Connection::open(setting.gateway.address);
    connection.write((get(1) + &get(2) + &get(3)).as_bytes());
    assert_eq!(connection.head().unwrap().status, 200);
    assert_eq!(connection.chunk().as_deref(), Some(b"begin".as_slice()));
    assert_eq!(arrived.recv_timeout(PATIENCE).as_deref(), Ok("/public/1"));
    // Another client's whole request later, the second one still waits.
    assert_eq!(send(setting.gateway.address, get(9).as_bytes()).unwrap().status, 200);
    assert_eq!(arrived.recv_timeout(PATIENCE).as_deref(), Ok("/public/9"));
    assert!(arrived.try_recv().is_err());
    go.send(()).unwrap();
    assert_eq!(connection.chunk().as_deref(), Some(b"end".as_slice()));
    assert_eq!(connection.chunk(), None);
    for at in 2..=3 {
        assert_eq!(connection.answer(false).unwrap().text(), "scripted");
        assert_eq!(arrived.recv_timeout(PATIENCE), Ok(format!("/public/{at}")));
    }
}

#[test]
fn r77_pipelined_head_and_get_are_answered_each_in_its_own_way() {
    let setting = Setting::new();
    let host = setting.gateway.host();
    let ask = |method: &str, path: &str, more: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
    };
    let mut connection = Connection::open(setting.gateway.address);
    let mut all = String::new();
    for _ in 0..5 {
        all += &ask("HEAD", "/public/a", "");
        all += &ask("GET", "/public/b", "");
        all += &(ask("POST", "/public/c", "Content-Length: 3\r\n") + "abc");
        all += &ask("HEAD", "/bff/signed-out", "");
        all += &ask("GET", "/bff/user", "");
    }
    connection.write(all.as_bytes());
    for round in 0..5 {
        for (method, status, body) in [
            ("HEAD", 200, ""),
            ("GET", 200, "app /public/b"),
            ("POST", 200, "app /public/c"),
            ("HEAD", 405, ""),
            ("GET", 401, "sign-in-required"),
        ] {
            let answer = connection.answer(method == "HEAD").unwrap_or_else(|| panic!("{round}: {method}"));
            assert_eq!(answer.status, status, "{round}: {method}");
            assert!(answer.text().contains(body), "{round}: {method}: {}", answer.text());
        }
    }
    assert!(!connection.is_over_within(Duration::from_millis(50)), "the connection is kept");
}

#[test]
fn a_request_byte_by_byte_is_the_same_request() {
    let setting = Setting::new();
    let request =
        post(&setting, "Transfer-Encoding: chunked\r\n") + "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n";
    let mut connection = Connection::open(setting.gateway.address);
    for byte in request.as_bytes() {
        connection.write(&[*byte]);
    }
    assert_eq!(connection.answer(false).unwrap().status, 200);
    assert_eq!(setting.upstream.last().body, b"abcde");
}

#[test]
fn r77_who_waits_is_asked_only_when_the_body_is_wanted() {
    let setting = Setting::with(|plan| plan.guarded_routes_extra("max_body = 10"));
    let cookie = setting.session_cookie(&setting.signed_in());
    let ask = |path: &str, lines: &str| {
        let host = setting.gateway.host();
        let mut connection = Connection::open(setting.gateway.address);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\nExpect: 100-continue\r\n{lines}\r\n"
        );
        connection.write(head.as_bytes());
        connection
    };
    let with = |length: usize| format!("Cookie: __Host-keycard={cookie}\r\nContent-Length: {length}\r\n");
    setting.upstream.forget();
    // Nobody is signed in; it is too long; it may be forged; there is no such method: no body was invited.
    for (path, lines, status) in [
        ("/inside", "Content-Length: 3\r\n".to_owned(), 401),
        ("/inside", with(11), 413),
        ("/strict/inside", with(3), 403),
        ("/bff/user", with(3), 405),
    ] {
        let answer = ask(path, &lines).answer(false).unwrap();
        assert_eq!((answer.status, answer.interim.as_slice()), (status, &[][..]), "{path}");
    }
    assert_eq!(setting.upstream.count(), 0);
    // And here it is wanted: the invitation comes before a byte of the body was sent.
    let mut connection = ask("/inside", &with(3));
    assert_eq!(connection.bytes(25), b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.write(b"abc");
    assert_eq!(connection.answer(false).unwrap().status, 200);
    let arrived = setting.upstream.last();
    assert_eq!((arrived.body.as_slice(), arrived.head.header("expect")), (&b"abc"[..], None));
}

#[test]
fn r77_expect_is_answered_or_refused() {
    let setting = Setting::new();
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(post(&setting, "Content-Length: 3\r\nExpect: 100-continue\r\n").as_bytes());
    connection.write(b"abc");
    let answer = connection.answer(false).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(setting.upstream.last().body, b"abc");
    connection.write(canary(&setting).as_bytes());
    assert_eq!(connection.answer(false).unwrap().status, 200, "the connection goes on");
}
