//! One line for each request, whatever becomes of it (R60).
//!
//! I own: the lines of requests that end before their answer. The lines of all tests share one file: mine are known by
//! a request id that a trusted proxy may choose.

use super::house::evidence;
use super::house::raw::Connection;
use super::house::setting::Setting;
use serde_json::Value;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// The access lines of a request, once there is one.
fn lines(from: u64, id: &str) -> Vec<Value> {
    for _ in 0..100_000 {
        let lines: Vec<Value> = evidence::log_lines(from, id)
            .into_iter()
            .filter(|line| line["target"] == "keycard::access" && line["fields"]["id"] == id)
            .collect();
        if !lines.is_empty() {
            return lines;
        }
        std::thread::yield_now();
    }
    panic!("no line for {id}");
}

#[test]
fn r60_a_request_whose_client_is_gone_leaves_its_line() {
    let setting = Setting::with(|plan| plan.server_extra("trusted_proxies = [\"127.0.0.0/8\"]"));
    let cookie = setting.session_cookie(&setting.signed_in());
    let (reached, is_reached) = mpsc::channel::<()>();
    let (go, wait) = mpsc::channel::<()>();
    let (reached, wait) = (Mutex::new(reached), Mutex::new(wait));
    setting.upstream.script(move |exchange| {
        if exchange.head.path() == "/inside" {
            let _ = reached.lock().unwrap().send(());
            let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
        }
        None
    });
    let from = evidence::log_length();
    let host = setting.gateway.host();
    let request = |path: &str, id: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Request-Id: {id}\r\nSec-Fetch-Site: same-origin\r\n\
             Cookie: __Host-keycard={cookie}\r\n\r\n"
        )
    };
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(request("/public/x", "answered-4711").as_bytes());
    assert!(connection.has_unread());
    connection.write(request("/inside", "gone-4711").as_bytes());
    is_reached.recv_timeout(PATIENCE).expect("the upstream was reached");
    assert_eq!(evidence::log_lines(from, "\"gone-4711\"").len(), 0, "it is still under way");
    // With an answer unread this is a reset.
    drop(connection);
    let gone = lines(from, "gone-4711");
    assert_eq!(gone.len(), 1, "{gone:?}");
    let fields = &gone[0]["fields"];
    assert_eq!((&fields["outcome"], &fields["method"]), (&"client-gone".into(), &"GET".into()), "{gone:?}");
    assert!(fields["status"].is_null(), "nobody was answered: {gone:?}");
    // What the upstream says afterwards adds nothing.
    go.send(()).unwrap();
    let mut browser = setting.browser();
    browser.extra.push(("X-Request-Id".into(), "after-4711".into()));
    assert_eq!(browser.fetch("GET", "/public/x", &[], b"").status, 200);
    assert_eq!(lines(from, "after-4711").len(), 1);
    assert_eq!((lines(from, "gone-4711").len(), lines(from, "answered-4711").len()), (1, 1));
    assert_eq!(lines(from, "answered-4711")[0]["fields"]["outcome"], "forwarded");
}
