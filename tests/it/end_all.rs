//! `end --all` is one write: it is in force on every gateway at once, whatever each of them has in memory (A34, R65).
//!
//! I own: the tests. The clock of these gateways stands still: whatever reaches the other one was told by the feed.

use super::house::browser::Browser;
use super::house::gateway::TestGateway;
use super::house::patience::until;
use super::house::provider::script::Place;
use super::house::raw::Connection;
use super::house::setting::{Setting, usual_plan};
use super::stores::Redis;
use super::websockets::{assert_closed, echo, handshake, masked};
use std::collections::BTreeSet;
use std::time::Duration;

fn status(browser: &mut Browser) -> u16 {
    browser.fetch("GET", "/", &[], b"").status
}

/// Two gateways over one Redis.
fn pair(redis: &Redis, session: &str) -> (Setting, TestGateway) {
    let url = redis.url();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis(&url);
        plan.session_extra(session);
        plan.guarded_routes_extra("websocket = true");
    });
    let mut plan = usual_plan(&setting.upstream);
    plan.operating = true;
    plan.provider("corp", &setting.provider, "userinfo = true");
    plan.store_redis(&url);
    plan.session_extra(session);
    plan.guarded_routes_extra("websocket = true");
    let other = plan.start(&setting.clock);
    if !session.contains("cache_sessions = 0") {
        for gateway in [&setting.gateway, &other] {
            until("the feed is up", || gateway.probe("/readyz").json()["feed"] == "up");
        }
    }
    (setting, other)
}

fn at(browser: &Browser, gateway: &TestGateway) -> Browser {
    let mut there = gateway.browser();
    there.jar = browser.jar.clone();
    there
}

/// Asks until memory has answered.
fn holds(gateway: &TestGateway, browser: &mut Browser) {
    let hits = || {
        let text = gateway.probe("/metrics").text();
        let line = "keycard_near_cache_events_total{event=\"hit\"} ";
        text.lines().find_map(|found| found.strip_prefix(line)?.parse::<u64>().ok()).unwrap_or(0)
    };
    let before = hits();
    until("a session is held", || {
        assert_eq!(status(browser), 200);
        hits() > before
    });
}

/// An open event stream, its head and first event read.
fn listen(gateway: &TestGateway, browser: &Browser) -> Connection {
    let url = browser.url("/bff/events");
    let headers =
        [("Accept", "text/event-stream"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")];
    let mut connection = Connection::open(gateway.address);
    connection.write(&browser.write("GET", &url, &headers, b"", true));
    assert_eq!(connection.head().unwrap().status, 200);
    assert!(String::from_utf8(connection.chunk().unwrap()).unwrap().contains("event: session"));
    connection
}

#[test]
fn a34_r65_all_end_everywhere_at_once_with_what_they_have_open() {
    let redis = Redis::start();
    let (setting, other) = pair(&redis, "");
    let (mut here, bystander) = (setting.signed_in(), setting.signed_in());
    let mut there = at(&here, &other);
    holds(&setting.gateway, &mut here);
    holds(&other, &mut there);
    let mut stream = listen(&other, &there);
    echo(&setting);
    let mut tunnel = Connection::open(other.address);
    tunnel.write(&handshake(&at(&bystander, &other), "/live", Some(&other.origin)));
    assert_eq!(tunnel.head().expect("no answer").status, 101);
    let hello = masked(0x81, b"hello");
    tunnel.write(&hello);
    tunnel.bytes(hello.len());

    setting.clock.advance(Duration::from_secs(1));
    let ended = setting.gateway.operate("DELETE", "/admin/sessions?all=true");
    assert_eq!(ended.status, 200);
    assert_eq!(status(&mut here), 401, "at once where it was said");
    until("the other gateway refuses", || status(&mut there) == 401);
    let told = String::from_utf8(stream.chunk().unwrap()).unwrap();
    assert!(told.contains("event: ended") && told.contains("by-operator"), "{told}");
    assert_closed(&tunnel.bytes(2 + 2 + "session ended".len()), 4401);
    // One that both gateways saw ending may be revoked by both, which is the same as by one.
    until("their tokens are revoked", || {
        let calls = setting.provider.calls(Place::Revoke);
        let tokens: BTreeSet<_> = calls.iter().map(|call| call.form("token")).collect();
        tokens.len() == 2
    });
    // Whoever comes in now is in, everywhere.
    setting.upstream.behave();
    setting.clock.advance(Duration::from_secs(1));
    let mut again = setting.signed_in();
    assert_eq!(status(&mut again), 200);
    assert_eq!(status(&mut at(&again, &other)), 200);
}

/// As if the command had been cut off after its one write: no record was removed.
#[test]
fn a34_the_mark_alone_ends_everybody() {
    for session in ["", "cache_sessions = 0"] {
        let redis = Redis::start();
        let (setting, other) = pair(&redis, session);
        let mut here = setting.signed_in();
        let mut there = at(&here, &other);
        assert_eq!((status(&mut here), status(&mut there)), (200, 200));
        let moment = (setting.clock.unix() * 1000).to_string();
        redis.say(&["SET", "keycard:s:all", &moment, "PX", "60000"]);
        until("everybody is out", || status(&mut here) == 401);
        until("everybody is out there", || status(&mut there) == 401);
        // It has gone, and nobody is brought back by that: their records went with the first look.
        redis.say(&["DEL", "keycard:s:all"]);
        assert_eq!(status(&mut at(&here, &other)), 401);
        setting.clock.advance(Duration::from_secs(1));
        let mut again = setting.signed_in();
        assert_eq!(status(&mut again), 200);
    }
}

#[test]
fn r85_a_login_that_was_under_way_comes_to_nothing() {
    let redis = Redis::start();
    let (setting, other) = pair(&redis, "");
    let gate = setting.provider.hold(Place::Token);
    let mut late = setting.browser();
    let signs_in = std::thread::spawn(move || {
        let page = late.navigate("/");
        (late, page.answer.status)
    });
    gate.wait_for(1);
    setting.clock.advance(Duration::from_secs(1));
    assert_eq!(other.operate("DELETE", "/admin/sessions?all=true").json()["ended"], 0);
    setting.clock.advance(Duration::from_secs(1));
    gate.open();
    let (late, status) = signs_in.join().unwrap();
    assert_eq!(status, 400);
    assert!(!setting.has_session(&late));
}

#[test]
fn a34_what_is_open_ends_on_time_though_memory_answers() {
    let redis = Redis::start();
    let (setting, other) = pair(&redis, "idle_timeout = \"10m\"\nlifetime = \"20m\"");
    let here = setting.signed_in();
    let mut there = at(&here, &other);
    holds(&other, &mut there);
    let mut stream = listen(&other, &there);
    setting.clock.advance(Duration::from_secs(9 * 60));
    assert_eq!(status(&mut there), 200);
    setting.clock.advance(Duration::from_secs(9 * 60));
    assert_eq!(status(&mut there), 200);
    // The twentieth minute: however busy it was.
    setting.clock.advance(Duration::from_secs(2 * 60));
    let mut told = String::new();
    while !told.contains("event: ended") {
        told = String::from_utf8(stream.chunk().expect("it ended without a word")).unwrap();
    }
    assert!(told.contains("lifetime"), "{told}");
    assert_eq!(status(&mut there), 401);
}
