//! Two gateways over one Redis: what is answered from memory, how fast an ending elsewhere is in force, and what an
//! outage does (A34, R65, R82).
//!
//! I own: nothing. The clock of these gateways stands still, so the second look of open tunnels never comes by itself:
//! whatever reaches them was told by the feed. The feed itself runs in real time; what it brings is waited for.

use super::house::browser::Browser;
use super::house::gateway::TestGateway;
use super::house::patience::until;
use super::house::raw::Connection;
use super::house::setting::{Setting, usual_plan};
use super::stores::Redis;
use super::websockets::{assert_closed, echo, handshake, masked};
use std::time::{Duration, Instant};

/// Two gateways, the second one with its own connections and memory.
pub(super) struct Pair {
    pub(super) setting: Setting,
    pub(super) other: TestGateway,
}

impl Pair {
    pub(super) fn over(redis: &Redis, session: &str) -> Self {
        let (url, session) = (redis.url(), format!("store_timeout = \"250ms\"\n{session}"));
        let setting = Setting::with(|plan| {
            plan.operating = true;
            plan.store_redis(&url);
            plan.session_extra(&session);
            plan.guarded_routes_extra("websocket = true");
        });
        let mut plan = usual_plan(&setting.upstream);
        plan.operating = true;
        plan.provider("corp", &setting.provider, "userinfo = true");
        plan.store_redis(&url);
        plan.session_extra(&session);
        plan.guarded_routes_extra("websocket = true");
        let other = plan.start(&setting.clock);
        let pair = Self { setting, other };
        for gateway in [&pair.setting.gateway, &pair.other] {
            until("the feed is up", || feed(gateway) == "up");
        }
        pair
    }

    /// Somebody who signed in at the first gateway; and the same browser at the second.
    pub(super) fn signed_in(&self) -> (Browser, Browser) {
        let here = self.setting.signed_in();
        let mut there = self.other.browser();
        there.jar = here.jar.clone();
        (here, there)
    }
}

pub(super) fn feed(gateway: &TestGateway) -> String {
    gateway.probe("/readyz").json()["feed"].as_str().unwrap().to_owned()
}

pub(super) const HITS: &str = "keycard_near_cache_events_total{event=\"hit\"}";

pub(super) fn status(browser: &mut Browser) -> u16 {
    browser.fetch("GET", "/", &[], b"").status
}

/// Asks until memory has answered.
pub(super) fn holds(gateway: &TestGateway, browser: &mut Browser) {
    let before = gateway.metric(HITS);
    until("a session is held", || {
        assert_eq!(status(browser), 200);
        gateway.metric(HITS) > before
    });
}

#[test]
fn a_request_with_a_session_that_is_held_asks_nobody() {
    let redis = Redis::start();
    let pair = Pair::over(&redis, "");
    let (mut here, _) = pair.signed_in();
    holds(&pair.setting.gateway, &mut here);
    let loads = "keycard_store_seconds_count{command=\"load\"}";
    let count = || (pair.setting.gateway.metric(loads), pair.setting.gateway.metric(HITS));
    // On a busy machine the feed is late now and then.
    until("fifty requests ask nobody", || {
        let before = count();
        for _ in 0..50 {
            assert_eq!(status(&mut here), 200);
        }
        count() == (before.0, before.1 + 50)
    });
    until("it is counted", || pair.setting.gateway.metric("keycard_near_cache_sessions") >= 1);
}

#[test]
fn a34_a_sign_out_at_one_gateway_is_in_force_at_the_other() {
    let redis = Redis::start();
    let pair = Pair::over(&redis, "");
    let (mut here, mut there) = pair.signed_in();
    let mut back = here.clone();
    holds(&pair.setting.gateway, &mut here);
    holds(&pair.other, &mut there);
    assert_eq!(here.fetch("POST", "/bff/logout", &[], b"").status, 200);
    assert_eq!(status(&mut back), 401, "at once where it ended");
    until("the other gateway refuses", || status(&mut there) == 401);
}

#[test]
fn a34_a_record_that_an_operator_deletes_is_gone_everywhere() {
    let redis = Redis::start();
    let pair = Pair::over(&redis, "");
    for command in [&["FLUSHALL"][..], &["SWAPDB", "0", "1"]] {
        let (mut here, mut there) = pair.signed_in();
        holds(&pair.setting.gateway, &mut here);
        holds(&pair.other, &mut there);
        redis.say(command);
        until("both refuse", || status(&mut here) == 401 && status(&mut there) == 401);
    }
}

#[test]
fn a40_r65_an_ending_at_another_gateway_closes_the_tunnel_with_4401() {
    let redis = Redis::start();
    let pair = Pair::over(&redis, "");
    let (mut here, there) = pair.signed_in();
    echo(&pair.setting);
    let mut tunnel = Connection::open(pair.other.address);
    tunnel.write(&handshake(&there, "/live", Some(&pair.other.origin)));
    assert_eq!(tunnel.head().expect("no answer").status, 101);
    let hello = masked(0x81, b"hello");
    tunnel.write(&hello);
    tunnel.bytes(hello.len());
    assert_eq!(here.fetch("POST", "/bff/logout", &[], b"").status, 200);
    assert_closed(&tunnel.bytes(2 + 2 + "session ended".len()), 4401);
}

#[test]
fn a34_r82_an_outage_is_bridged_and_ends_with_it() {
    let mut redis = Redis::start();
    let pair = Pair::over(&redis, "outage_grace = \"5m\"");
    let (mut here, _) = pair.signed_in();
    let mut late = here.clone();
    holds(&pair.setting.gateway, &mut here);
    redis.freeze(true);
    until("the feed is down", || feed(&pair.setting.gateway) == "down");
    for _ in 0..3 {
        assert_eq!(status(&mut here), 200);
    }
    assert!(pair.setting.gateway.metric("keycard_near_cache_events_total{event=\"fell-back\"}") >= 3);
    // Nothing is left in memory of whom somebody tried to end.
    assert_eq!(here.fetch("POST", "/bff/logout", &[], b"").status, 200);
    assert_eq!(status(&mut late), 401);
    redis.freeze(false);
    until("the feed is up again", || feed(&pair.setting.gateway) == "up");
    until("the store is asked again", || pair.setting.gateway.probe("/readyz").json()["breaker"] == "closed");
    assert_eq!(status(&mut pair.setting.signed_in()), 200);
    let (mut here, _) = pair.signed_in();
    holds(&pair.setting.gateway, &mut here);
    redis.restart();
    // It came back empty: everybody is signed out, and told so by the store.
    until("the empty store is believed", || status(&mut here) == 401);
}

#[test]
fn a34_r82_without_grace_a_frozen_store_lets_nobody_in_and_clears_no_cookie() {
    let redis = Redis::start();
    let pair = Pair::over(&redis, "outage_grace = \"0s\"");
    let (mut here, _) = pair.signed_in();
    holds(&pair.setting.gateway, &mut here);
    redis.freeze(true);
    let frozen = Instant::now();
    loop {
        let asked = frozen.elapsed();
        let answer = here.fetch("GET", "/", &[], b"");
        assert!(answer.all("set-cookie").is_empty());
        if answer.status == 503 {
            break;
        }
        assert_eq!(answer.status, 200);
        assert!(asked <= Duration::from_secs(1), "served from memory after {asked:?}");
    }
    redis.freeze(false);
    until("people go on", || status(&mut here) == 200);
}

#[test]
fn a34_a_feed_that_is_cut_off_is_not_believed() {
    let redis = Redis::start();
    let pair = Pair::over(&redis, "");
    for _ in 0..5 {
        let (mut here, mut there) = pair.signed_in();
        holds(&pair.other, &mut there);
        redis.say(&["CLIENT", "KILL", "TYPE", "normal"]);
        until("signed out", || here.fetch("POST", "/bff/logout", &[], b"").status == 200);
        until("the other gateway refuses", || status(&mut there) == 401);
    }
}

#[test]
fn a34_a_store_that_refuses_tracking_is_asked_for_each_request() {
    let redis = Redis::start();
    redis.right("-client|tracking");
    let url = redis.url();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis(&url);
    });
    until("the feed is refused", || feed(&setting.gateway) == "refused");
    let mut browser = setting.signed_in();
    for _ in 0..5 {
        assert_eq!(status(&mut browser), 200);
    }
    assert_eq!(setting.gateway.metric(HITS), 0);
    redis.say(&["FLUSHALL"]);
    assert_eq!(status(&mut browser), 401);
}
