//! WebSockets through the gateway (R65, R78, A40).
//!
//! I own: handshakes and what becomes of them, and the bytes of a tunnel; how it ends is in `endings`. Frames are written and
//! read here by hand: what a browser would make of them is asked in a browser.

mod endings;

use super::house::browser::Browser;
use super::house::raw::{self, Answer, Connection};
use super::house::server::{After, Exchange};
use super::house::setting::Setting;
use keycard::keyring::websocket_accept;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn setting() -> Setting {
    Setting::with(|plan| {
        plan.session_extra("idle_timeout = \"30m\"\nlifetime = \"10h\"");
        plan.guarded_routes_extra("websocket = true\nresponse_timeout = \"2s\"");
    })
}

/// A handshake as a browser sends it, from a page of this origin.
pub(super) fn handshake(browser: &Browser, target: &str, origin: Option<&str>) -> Vec<u8> {
    let url = browser.url(target);
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut head = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-Fetch-Mode: websocket\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
         Sec-WebSocket-Protocol: chat, superchat\r\n"
    );
    if let Some(origin) = origin {
        head.push_str(&format!("Origin: {origin}\r\n"));
    }
    if let Some(cookies) = browser.jar.header(&url) {
        head.push_str(&format!("Cookie: {cookies}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// A handshake from a page of the gateway's own origin.
fn own(setting: &Setting, browser: &Browser) -> Vec<u8> {
    handshake(browser, "/live", Some(&setting.gateway.origin))
}

/// The app's side of a good handshake.
fn accept(exchange: &mut Exchange) {
    let key = exchange.head.header("sec-websocket-key").unwrap().to_owned();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: superchat\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        websocket_accept(&key)
    );
    exchange.write(answer.as_bytes());
}

/// An app that sends back every byte that it gets.
pub(super) fn echo(setting: &Setting) {
    setting.upstream.script(|exchange| {
        accept(exchange);
        while let Some(bytes) = exchange.raw() {
            exchange.write(&bytes);
        }
        Some(After::Close)
    });
}

/// A tunnel to the app, open.
fn tunnel(setting: &Setting, browser: &Browser) -> Connection {
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(&own(setting, browser));
    assert_eq!(connection.head().expect("no answer").status, 101);
    connection
}

/// A frame as a browser sends it; the mask is no secret here.
pub(super) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap()];
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Our Close frame: its code and text.
pub(super) fn assert_closed(frame: &[u8], code: u16) {
    assert_eq!(frame.first(), Some(&0x88), "no Close frame: {frame:?}");
    assert_eq!(usize::from(frame[1]) + 2, frame.len(), "more than a Close frame: {frame:?}");
    assert_eq!(u16::from_be_bytes([frame[2], frame[3]]), code);
}

#[test]
fn r78_a_tunnel_carries_every_byte_as_it_is() {
    let setting = setting();
    let browser = setting.signed_in();
    echo(&setting);
    let mut connection = Connection::open(setting.gateway.address);
    // The first frame may follow the handshake without a pause.
    let first = masked(0xc1, b"\x01\x02 deflated, for all we know");
    connection.write(&[own(&setting, &browser), first.clone()].concat());
    let answer = connection.head().unwrap();
    assert_eq!(answer.status, 101);
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-accept", &websocket_accept(KEY)),
        ("sec-websocket-protocol", "superchat"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ] {
        assert_eq!(
            answer.header(name).map(str::to_lowercase).as_deref(),
            Some(&*value.to_lowercase()),
            "{name}"
        );
    }
    assert_eq!(connection.bytes(first.len()), first);
    for size in [1, 125, 20_000] {
        let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        connection.write(&bytes);
        assert_eq!(connection.bytes(size), bytes);
    }
    let arrived = setting.upstream.last().head;
    assert_eq!(arrived.header("upgrade"), Some("websocket"));
    assert_eq!(arrived.header("connection"), Some("Upgrade"));
    assert!(arrived.header("remote-user").is_some(), "the app knows who is there");
    assert!(arrived.header("cookie").is_none_or(|cookies| !cookies.contains("keycard")), "R55");
}

#[test]
fn r78_one_side_may_end_before_the_other() {
    let setting = setting();
    let browser = setting.signed_in();
    setting.upstream.script(|exchange| {
        accept(exchange);
        while exchange.raw().is_some() {}
        exchange.write(b"still here");
        Some(After::Close)
    });
    let mut connection = tunnel(&setting, &browser);
    connection.finish();
    assert_eq!(connection.rest(), b"still here");
}

#[test]
fn r78_the_app_may_end_its_side_first() {
    let setting = setting();
    let browser = setting.signed_in();
    let (sender, heard) = mpsc::channel();
    let sender = Mutex::new(sender);
    setting.upstream.script(move |exchange| {
        accept(exchange);
        exchange.write(b"my last");
        exchange.finish();
        let said: Vec<u8> = std::iter::from_fn(|| exchange.raw()).flatten().collect();
        sender.lock().unwrap().send(said).unwrap();
        Some(After::Close)
    });
    let mut connection = tunnel(&setting, &browser);
    // To the end: what follows is said when the app's side is known to be over.
    assert_eq!(connection.rest(), b"my last");
    for piece in [&b"but I "[..], b"still ", b"go on"] {
        connection.write(piece);
    }
    connection.finish();
    assert_eq!(heard.recv_timeout(Duration::from_secs(10)).unwrap(), b"but I still go on");
}

#[test]
fn a40_r65_nobody_else_opens_a_tunnel() {
    let setting = setting();
    let browser = setting.signed_in();
    echo(&setting);
    setting.upstream.forget();
    let stranger = setting.browser();
    let own_origin = setting.gateway.origin.clone();
    let suffix = format!("{own_origin}.evil.test");
    for (who, origin, status) in [
        (&browser, Some("https://evil.test"), 403),
        (&browser, Some("null"), 403),
        (&browser, Some(suffix.as_str()), 403),
        (&browser, None, 403),
        (&stranger, Some(own_origin.as_str()), 401),
    ] {
        let answer = raw::send(setting.gateway.address, &handshake(who, "/live", origin)).unwrap();
        assert_eq!(answer.status, status, "{origin:?}");
    }
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn a40_r78_a_route_that_is_not_marked_takes_none() {
    let setting = Setting::new();
    let browser = setting.signed_in();
    setting.upstream.forget();
    let answer = raw::send(setting.gateway.address, &own(&setting, &browser)).unwrap();
    assert_eq!((answer.status, &answer.json()["type"]), (403, &"urn:keycard:problem:no-websockets".into()));
    let public = handshake(&browser, "/public/live", Some(&setting.gateway.origin));
    assert_eq!(raw::send(setting.gateway.address, &public).unwrap().status, 403);
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn a40_r78_half_a_handshake_is_none() {
    let setting = setting();
    let browser = setting.signed_in();
    setting.upstream.forget();
    let good = String::from_utf8(own(&setting, &browser)).unwrap();
    for (from, to, status) in [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        (&*format!("Sec-WebSocket-Key: {KEY}\r\n"), "", 400),
        (&*format!("Sec-WebSocket-Key: {KEY}"), "Sec-WebSocket-Key: c2hvcnQ=", 400),
        (
            &*format!("Sec-WebSocket-Key: {KEY}"),
            &*format!("Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Key: {KEY}"),
            400,
        ),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert_eq!(
            raw::send(setting.gateway.address, bad.as_bytes()).map(|answer| answer.status),
            Some(status),
            "{to}"
        );
    }
    assert_eq!(setting.upstream.count(), 0);
    // These ask for no upgrade (RFC 9110 section 7.8): plain requests, which end as such.
    for (from, to) in
        [("Connection: keep-alive, Upgrade", "Connection: keep-alive"), ("GET /live", "POST /live")]
    {
        let plain = good.replacen(from, to, 1);
        let answer = raw::send(setting.gateway.address, plain.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{to}");
        assert!(setting.upstream.last().head.header("upgrade").is_none());
    }
}

#[test]
fn a40_r78_what_the_app_answers_instead_is_an_answer_like_any_other() {
    let setting = setting();
    let browser = setting.signed_in();
    setting.upstream.script(|exchange| Some(exchange.reply(418, &[("X-App", "tea")], b"no sockets here")));
    let mut connection = Connection::open(setting.gateway.address);
    // What follows is meant for a tunnel; it must never become a request.
    let smuggled = "GET /public/smuggled HTTP/1.1\r\nHost: apps.example.test\r\n\r\n";
    connection.write(&[own(&setting, &browser), smuggled.into()].concat());
    let answer: Answer = connection.answer(false).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (418, "no sockets here"));
    assert_eq!(answer.header("x-app"), Some("tea"));
    assert!(connection.is_over(), "nobody can tell what the next bytes are");
    assert!(setting.upstream.arrived().iter().all(|arrived| !arrived.head.path().contains("smuggled")));
}

#[test]
fn a40_r78_a_101_that_is_not_the_answer_is_a_502() {
    let setting = setting();
    let browser = setting.signed_in();
    for bad in [
        "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: other\r\n",
    ] {
        setting.upstream.script(move |exchange| {
            exchange.write(format!("HTTP/1.1 101 Switching\r\n{bad}\r\nframes?").as_bytes());
            Some(After::Close)
        });
        let answer = raw::send(setting.gateway.address, &own(&setting, &browser)).unwrap();
        assert_eq!(answer.status, 502, "{bad}");
    }
}

#[test]
fn a40_an_upgrade_to_anything_else_is_not_passed_on() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let answer = browser.fetch(
        "GET",
        "/page",
        &[("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")],
        b"",
    );
    assert_eq!(answer.status, 200);
    assert!(setting.upstream.last().head.header("upgrade").is_none());
}
