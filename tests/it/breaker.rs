//! A Redis that does not answer costs no request its time (A34, R82; issue 5, circuit breaker).
//!
//! I own: a Redis that is frozen, and the count of what it was asked. Time is real here; what happens is waited for.

use super::house::browser::Browser;
use super::house::gateway::TestGateway;
use super::house::patience::{LONG, until};
use super::house::setting::Setting;
use super::stores::Redis;
use std::time::{Duration, Instant};

/// So long a command to a frozen Redis is waited for. Far longer than a request may take that asks nobody.
const TIMEOUT: Duration = Duration::from_secs(2);

const OPENED: &str = "keycard_store_breaker_transitions_total{to=\"open\"}";
const CLOSED: &str = "keycard_store_breaker_transitions_total{to=\"closed\"}";

fn setting(redis: &Redis, session: &str) -> Setting {
    let (url, lines) = (redis.url(), format!("store_timeout = \"{}s\"\n{session}", TIMEOUT.as_secs()));
    Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis(&url);
        plan.session_extra(&lines);
    })
}

/// Every command that the store was asked, but for the one question of the breaker.
fn asked(gateway: &TestGateway) -> u64 {
    let text = gateway.probe("/metrics").text();
    let counts = text.lines().filter_map(|line| line.strip_prefix("keycard_store_seconds_count{command=\""));
    let counts = counts.filter_map(|line| line.split_once("\"} "));
    counts.filter(|(command, _)| *command != "glance").map(|(_, count)| count.parse::<u64>().unwrap()).sum()
}

fn word(gateway: &TestGateway) -> String {
    gateway.probe("/readyz").json()["breaker"].as_str().unwrap().to_owned()
}

fn status(browser: &mut Browser, path: &str) -> u16 {
    browser.fetch("GET", path, &[], b"").status
}

/// Lets requests find out that the store does not answer.
fn open(setting: &Setting, browser: &Browser) {
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let mut browser = browser.clone();
            scope.spawn(move || assert_eq!(status(&mut browser, "/"), 503));
        }
    });
    assert_eq!((word(&setting.gateway).as_str(), setting.gateway.metric(OPENED)), ("open", 1));
    assert_eq!(setting.gateway.metric("keycard_store_breaker_open"), 1);
}

#[test]
fn a34_r82_a_frozen_redis_is_asked_for_nobody_and_used_again_without_a_restart() {
    let redis = Redis::start();
    let setting = setting(&redis, "cache_sessions = 0");
    let gateway = &setting.gateway;
    let (mut browser, mut stays) = (setting.signed_in(), setting.signed_in());
    let mut stranger = setting.browser();
    assert_eq!((word(gateway).as_str(), gateway.metric(OPENED), gateway.metric(CLOSED)), ("closed", 0, 0));
    redis.freeze(true);
    open(&setting, &browser);
    let before = asked(gateway);
    let begun = Instant::now();
    for _ in 0..200 {
        let answer = browser.fetch("GET", "/", &[], b"");
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").is_some() && answer.all("set-cookie").is_empty());
    }
    let refused = begun.elapsed();
    assert_eq!(asked(gateway), before, "not one of them asked the store");
    // What else they cost is the cookie, whose signature is checked on a public route as well.
    let timed = |browser: &mut Browser, path: &str, expected: u16| {
        let begun = Instant::now();
        for _ in 0..200 {
            assert_eq!(status(browser, path), expected);
        }
        begun.elapsed()
    };
    let (anonymous, public) = (timed(&mut stranger, "/", 401), timed(&mut browser, "/public/x", 200));
    println!(
        "200 requests while it is open: {refused:?}; anonymous: {anonymous:?}; public, with a cookie: {public:?}"
    );
    assert!(refused < TIMEOUT, "{refused:?}: somebody has waited");
    // A sign-out is tried all the same, and in force here whatever comes of that.
    let (mut copy, begun) = (browser.clone(), Instant::now());
    assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
    assert!(begun.elapsed() < LONG && !setting.has_session(&browser));
    assert_eq!(status(&mut copy, "/"), 401);
    redis.freeze(false);
    until("it is used again", || word(gateway) == "closed");
    assert_eq!((status(&mut stays, "/"), status(&mut copy, "/")), (200, 401));
    assert_eq!((gateway.metric(OPENED), gateway.metric(CLOSED)), (1, 1));
    assert_eq!(gateway.metric("keycard_store_breaker_open"), 0);
}

#[test]
fn a34_who_is_in_memory_goes_on_at_once_while_it_is_open() {
    let redis = Redis::start();
    let setting = setting(&redis, "outage_grace = \"5m\"");
    let gateway = &setting.gateway;
    let mut held = setting.signed_in();
    let feed = || gateway.probe("/readyz").json()["feed"].as_str().unwrap().to_owned();
    until("the feed is up", || feed() == "up");
    let hits = "keycard_near_cache_events_total{event=\"hit\"}";
    until("a session is held", || status(&mut held, "/") == 200 && gateway.metric(hits) > 0);
    // One that memory has nothing of: its browser has asked for nothing yet.
    let mut other = setting.browser();
    let callback = other.up_to_callback("/");
    assert_eq!(other.open(callback.as_str()).status, 303);
    redis.freeze(true);
    until("the feed is down", || feed() == "down");
    open(&setting, &other);
    let (before, begun) = (asked(gateway), Instant::now());
    for _ in 0..50 {
        assert_eq!(status(&mut held, "/"), 200);
    }
    assert!(begun.elapsed() < TIMEOUT, "a doubtful session waited for the store");
    assert_eq!(asked(gateway), before);
    redis.freeze(false);
    until("it is used again", || word(gateway) == "closed");
    assert_eq!(status(&mut held, "/"), 200);
}

#[test]
fn a34_a_redis_that_refuses_writes_is_still_read() {
    let redis = Redis::start();
    let setting = setting(&redis, "cache_sessions = 0");
    let mut browser = setting.signed_in();
    for right in ["-set", "-evalsha"] {
        redis.right(right);
    }
    // Each of these wants to note the use, and cannot.
    for _ in 0..10 {
        setting.clock.advance(Duration::from_secs(120));
        assert_eq!(status(&mut browser, "/"), 200);
    }
    for _ in 0..10 {
        assert_eq!(setting.browser().navigate("/").answer.status, 503);
    }
    assert_eq!((word(&setting.gateway).as_str(), status(&mut browser, "/")), ("closed", 200));
}

#[test]
fn only_a_store_that_is_a_server_has_a_breaker() {
    let setting = Setting::with(|plan| plan.operating = true);
    assert!(setting.gateway.probe("/readyz").json().get("breaker").is_none());
    assert_eq!(setting.gateway.metric(OPENED), 0);
}
