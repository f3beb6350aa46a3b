//! What is open when a session ends: downloads, uploads, long polls, event streams.
//!
//! I own: the rule that an ending aborts an open answer and never completes it, and the one exception. Nothing here is
//! timed: the app goes on when the test says so.

use super::house::browser::Browser;
use super::house::raw::Connection;
use super::house::server::After;
use super::house::setting::Setting;
use std::sync::{Arc, Mutex, mpsc};

/// Lets the app write when the test says so; ends when the sender is dropped.
fn app_that_waits(setting: &Setting, head: &'static str) -> mpsc::Sender<Vec<u8>> {
    let (more, go_on) = mpsc::channel::<Vec<u8>>();
    let go_on = Arc::new(Mutex::new(go_on));
    setting.upstream.script(move |exchange| {
        exchange.write(head.as_bytes());
        while let Ok(bytes) = go_on.lock().unwrap().recv() {
            if !exchange.write(&bytes) {
                break;
            }
        }
        Some(After::Close)
    });
    more
}

fn ask(setting: &Setting, browser: &Browser, method: &str, more: &str) -> Connection {
    let url = browser.url("/stream");
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let cookies = browser.jar.header(&url).unwrap();
    let mut connection = Connection::open(setting.gateway.address);
    let head = format!(
        "{method} /stream HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\
         Cookie: {cookies}\r\n{more}\r\n"
    );
    connection.write(head.as_bytes());
    connection
}

fn sign_out(browser: &mut Browser) {
    assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
}

#[test]
fn r65_an_open_download_is_cut_off_and_never_completed() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let more = app_that_waits(
        &setting,
        "HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    );
    let mut connection = ask(&setting, &browser, "GET", "");
    assert_eq!(connection.head().unwrap().status, 200);
    assert_eq!(connection.chunk().as_deref(), Some(&b"half"[..]));
    sign_out(&mut browser);
    // No last chunk: whoever reads this knows that it is not all.
    assert_eq!(connection.rest(), b"");
    drop(more);

    let mut browser = {
        setting.upstream.behave();
        setting.signed_in()
    };
    let more = app_that_waits(&setting, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf");
    let mut connection = ask(&setting, &browser, "GET", "");
    assert_eq!(connection.head().unwrap().status, 200);
    assert_eq!(connection.bytes(4), b"half");
    sign_out(&mut browser);
    assert_eq!(connection.rest(), b"");
    drop(more);
}

#[test]
fn r65_an_event_stream_ends_cleanly() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let more = app_that_waits(
        &setting,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
    );
    let mut connection = ask(&setting, &browser, "GET", "");
    assert_eq!(connection.head().unwrap().status, 200);
    assert_eq!(connection.chunk().as_deref(), Some(&b"data: 1\n\n"[..]));
    sign_out(&mut browser);
    // The reader asks again, and is told.
    assert_eq!(connection.chunk(), None);
    assert_eq!(ask(&setting, &browser, "GET", "").answer(false).map(|answer| answer.status), Some(401));
    drop(more);
}

#[test]
fn r65_a_long_poll_is_told_to_sign_in() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let before = setting.upstream.count();
    let more = app_that_waits(&setting, "");
    let mut connection = ask(&setting, &browser, "GET", "");
    setting.upstream.wait_for(before + 1);
    sign_out(&mut browser);
    let answer = connection.answer(false).unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["type"], "urn:keycard:problem:sign-in-required");
    drop(more);
}

#[test]
fn r65_an_upload_is_cut_off() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let before = setting.upstream.count();
    let (told, ended) = mpsc::channel();
    let told = Mutex::new(told);
    setting.upstream.script(move |exchange| {
        let body = exchange.body();
        told.lock().unwrap().send(body).unwrap();
        Some(After::Close)
    });
    let mut connection = ask(&setting, &browser, "POST", "Content-Length: 100000\r\n");
    connection.write(b"half");
    setting.upstream.wait_for(before + 1);
    sign_out(&mut browser);
    assert_eq!(connection.answer(false).map(|answer| answer.status), Some(401));
    // The app sees the connection end, and not an upload of another length.
    assert!(ended.recv().unwrap().len() < 100_000);
}
