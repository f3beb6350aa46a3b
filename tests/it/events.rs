//! `GET events`: what open tabs are told of their session (A40's neighbour for pages, R59, R63).
//!
//! I own: the order of the events, and who may hear them. Time is moved by hand.

use super::house::browser::{Browser, EVIL, SIBLING};
use super::house::contract::Contract;
use super::house::raw::{self, Connection};
use super::house::setting::Setting;
use std::time::Duration;

fn setting() -> Setting {
    Setting::with(|plan| plan.session_extra("idle_timeout = \"30m\"\nlifetime = \"10h\""))
}

/// An open stream, its head read.
fn listen(setting: &Setting, browser: &Browser) -> Connection {
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(&request(browser));
    let head = connection.head().unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    connection
}

fn request(browser: &Browser) -> Vec<u8> {
    let url = browser.url("/bff/events");
    let headers =
        [("Accept", "text/event-stream"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")];
    browser.write("GET", &url, &headers, b"", true)
}

/// The next event, without heartbeats: its name and its data.
fn event(connection: &mut Connection) -> Option<(String, serde_json::Value)> {
    loop {
        let text = String::from_utf8(connection.chunk()?).unwrap();
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        if let (Some(name), Some(data)) = (line("event: "), line("data: ")) {
            let data = serde_json::from_str(&data).unwrap();
            Contract::read().tells(&name, &data).unwrap();
            return Some((name, data));
        }
    }
}

#[test]
fn r57_every_tab_hears_of_the_end_and_then_no_more() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let (mut one, mut two) = (listen(&setting, &browser), listen(&setting, &browser));
    for tab in [&mut one, &mut two] {
        let (name, data) = event(tab).unwrap();
        assert_eq!(name, "session");
        assert_eq!(data["ends"], "2026-01-01T10:00:00Z");
    }
    assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
    for tab in [&mut one, &mut two] {
        assert_eq!(event(tab), Some(("ended".into(), serde_json::json!({ "reason": "by-user" }))));
        assert_eq!(event(tab), None);
    }
    assert_eq!(raw::send(setting.gateway.address, &request(&browser)).unwrap().status, 401);
}

#[test]
fn r47_who_is_about_to_end_is_told_and_so_is_who_goes_on() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let mut tab = listen(&setting, &browser);
    assert_eq!(event(&mut tab).unwrap().0, "session");
    // Listening is no use of the session.
    setting.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(event(&mut tab).unwrap().0, "expiring");
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200);
    setting.clock.advance(Duration::from_secs(6));
    assert_eq!(event(&mut tab).unwrap().0, "session");
    setting.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(event(&mut tab).unwrap().0, "expiring");
    setting.clock.advance(Duration::from_secs(2 * 60));
    assert_eq!(event(&mut tab), Some(("ended".into(), serde_json::json!({ "reason": "idle" }))));
}

#[test]
fn r59_nobody_else_hears_anything() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let stranger = setting.browser();
    assert_eq!(raw::send(setting.gateway.address, &request(&stranger)).unwrap().status, 401);
    for from in [EVIL, SIBLING] {
        assert_eq!(browser.foreign(from, "GET", "/bff/events", "cors", "empty").status, 403);
    }
    assert_eq!(browser.fetch("POST", "/bff/events", &[], b"").status, 405);
}
