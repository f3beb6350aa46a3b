//! WebSockets of apps that nobody here wrote (R54, R55, R65, R70, R78).
//!
//! I own: a handshake to such an app, and an app that answers it. What a tunnel carries is in `websockets.rs`.

use super::{SIGNED_IN, with_app};
use crate::it::house::browser::Browser;
use crate::it::house::raw::Connection;
use crate::it::house::server::{After, Exchange};
use crate::it::house::setting::Setting;
use keycard::keyring::websocket_accept;

const LINES: &str = "access = \"signed-in\"\nwebsocket = true\nhost = \"upstream\"\nreplace_prefix = \"/base/\"\n\
                     app_cookies = [\"PHPSESSID\"]\nlogout_paths = [\"/wiki/logout\"]\n";

/// A handshake from a page of the gateway's own origin; the answer's head, taken into the browser's jar.
fn handshake(setting: &Setting, browser: &mut Browser, target: &str) -> (Connection, u16) {
    let url = browser.url(target);
    let cookies = browser.jar.header(&url).unwrap();
    let (host, origin) = (setting.gateway.host(), &setting.gateway.origin);
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: {origin}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: {cookies}\r\n\r\n"
    );
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(head.as_bytes());
    let answer = connection.head().expect("an answer");
    for line in answer.all("set-cookie") {
        browser.jar.receive(&url, line);
    }
    (connection, answer.status)
}

/// The app's side: a session for whoever has none, and every byte back.
fn accept(exchange: &mut Exchange) -> After {
    let accept = websocket_accept(exchange.head.header("sec-websocket-key").unwrap());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSet-Cookie: PHPSESSID=app0; Path=/base/; HttpOnly\r\n\r\n"
    );
    exchange.write(answer.as_bytes());
    while let Some(bytes) = exchange.raw() {
        exchange.write(&bytes);
    }
    After::Close
}

#[test]
fn r54_r70_a_handshake_is_made_as_any_other_request_to_such_an_app() {
    let (setting, app) = with_app(LINES);
    app.script(|exchange| exchange.head.header("upgrade").is_some().then(|| accept(exchange)));
    let mut browser = setting.signed_in();
    let (mut tunnel, status) = handshake(&setting, &mut browser, "/wiki/live?x=y");
    assert_eq!(status, 101);
    tunnel.write(b"bytes");
    assert_eq!(tunnel.bytes(5), b"bytes");
    let arrived = app.last().head;
    assert_eq!(arrived.target, "/base/live?x=y");
    assert_eq!(arrived.header("host"), app.url().strip_prefix("http://"));
    assert_eq!(arrived.header("x-forwarded-prefix"), Some("/wiki"));
    let sealed = browser.jar.get("PHPSESSID").unwrap().clone();
    assert!(sealed.value.starts_with("app0~kc."), "what a 101 sets is sealed, too: {}", sealed.value);

    let (_tunnel, status) = handshake(&setting, &mut browser, "/wiki/live");
    assert_eq!((status, app.last().head.header("cookie")), (101, Some("PHPSESSID=app0")));

    let mut other = setting.signed_in();
    other.jar.plant("apps.example.test", "PHPSESSID", "evil");
    let (_tunnel, status) = handshake(&setting, &mut other, "/wiki/live");
    assert_eq!((status, app.last().head.header("cookie")), (101, None), "nobody's seal");
}

#[test]
fn r54_what_declines_a_handshake_is_heard_as_any_other_answer() {
    let (setting, app) = with_app(LINES);
    app.script(|exchange| {
        let headers = [("Location", "/base/login"), ("Set-Cookie", "PHPSESSID=app0; Path=/base/")];
        Some(exchange.reply(302, &headers, b""))
    });
    let mut browser = setting.signed_in();
    let (_connection, status) = handshake(&setting, &mut browser, "/wiki/live");
    assert_eq!(status, 302);
    assert!(browser.jar.get("PHPSESSID").unwrap().value.starts_with("app0~kc."));
}

#[test]
fn r65_an_apps_own_sign_out_ends_its_tunnels_and_is_no_tunnel_itself() {
    let (setting, app) = with_app(LINES);
    app.script(|exchange| exchange.head.header("upgrade").is_some().then(|| accept(exchange)));
    let mut browser = setting.signed_in();
    let (mut tunnel, _) = handshake(&setting, &mut browser, "/wiki/logout");
    assert_eq!(browser.fetch("GET", "/bff/user", &[], b"").status, 200, "a handshake signs nobody out");
    let answer = browser.fetch("POST", "/wiki/logout", &[], b"");
    assert_eq!(answer.status, 200, "the app is told, and answers");
    assert_eq!((app.count(), &*app.last().head.target), (2, "/base/logout"));
    let close = tunnel.rest_after_answering_close();
    assert_eq!(close[..4], [0x88, close[1], 0x11, 0x31], "4401");
    let (_, status) = handshake(&setting, &mut browser, "/wiki/live");
    assert_eq!(status, 401);
}

#[test]
fn r65_a_slow_answer_to_the_apps_own_sign_out_is_not_cut_off() {
    let (setting, app) = with_app(&format!("{SIGNED_IN}logout_paths = [\"/wiki/logout\"]"));
    app.script(|exchange| {
        exchange.body();
        exchange.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        // More pieces than a short answer has.
        for _ in 0..100 {
            exchange.write(b"4\r\nbye\n\r\n");
        }
        exchange.write(b"0\r\n\r\n");
        Some(After::Close)
    });
    let mut browser = setting.signed_in();
    let answer = browser.fetch("POST", "/wiki/logout", &[], b"");
    assert_eq!((answer.status, answer.body.len()), (200, 400));
    assert!(!setting.has_session(&browser));
}
