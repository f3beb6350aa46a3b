//! Many requests, two gateways, one session; and a store that does not answer (R45, A35).
//!
//! I own: the races. Two real gateways share a real Redis; the provider's answers are held where the order matters.

use super::{api, assert_no_reuse, expired, handed, seconds};
use crate::it::house::browser::Browser;
use crate::it::house::gateway::TestGateway;
use crate::it::house::patience::until;
use crate::it::house::provider::script::Place;
use crate::it::house::setting::{Setting, usual_plan};
use crate::it::stores::Redis;
use std::thread;

/// The usual setting over a Redis, and a second gateway beside the first.
pub(super) fn pair(redis: &Redis, extra: &str) -> (Setting, TestGateway) {
    let url = redis.url();
    let setting = Setting::with(|plan| {
        plan.store_redis(&url);
        plan.provider_extra(extra);
    });
    let mut plan = usual_plan(&setting.upstream);
    plan.provider("corp", &setting.provider, &format!("userinfo = true\n{extra}"));
    plan.store_redis(&url);
    let second = plan.start(&setting.clock);
    (setting, second)
}

/// The same browser at another gateway.
pub(super) fn at(gateway: &TestGateway, browser: &Browser) -> Browser {
    let mut there = gateway.browser();
    there.jar = browser.jar.clone();
    there
}

#[test]
fn r45_a35_fifty_requests_at_two_gateways_make_one_refresh() {
    let redis = Redis::start();
    let (setting, second) = pair(&redis, "");
    let browser = expired(&setting);
    for round in 1..=3 {
        let asks: Vec<_> = (0..50)
            .map(|number| {
                let mut one = if number % 2 == 0 { browser.clone() } else { at(&second, &browser) };
                thread::spawn(move || api(&mut one).status)
            })
            .collect();
        let answers: Vec<u16> = asks.into_iter().map(|ask| ask.join().unwrap()).collect();
        assert_eq!(answers, vec![200; 50]);
        assert_eq!(setting.provider.count(Place::Refresh), round);
        setting.clock.advance(seconds(301));
    }
    assert_no_reuse(&setting);
    let sent: Vec<_> =
        setting.provider.calls(Place::Refresh).iter().map(|call| call.form("refresh_token")).collect();
    assert!(sent[0] != sent[1] && sent[1] != sent[2] && sent[0] != sent[2], "no token twice");
}

#[test]
fn r45_a_slow_provider_is_asked_once_and_everybody_waits() {
    let redis = Redis::start();
    let (setting, second) = pair(&redis, "");
    let browser = expired(&setting);
    let gate = setting.provider.hold(Place::Refresh);
    let asks: Vec<_> = (0..20)
        .map(|number| {
            let mut one = if number % 2 == 0 { browser.clone() } else { at(&second, &browser) };
            thread::spawn(move || api(&mut one).status)
        })
        .collect();
    gate.wait_for(1);
    // Three seconds, and nobody has gone to the provider a second time.
    let held = std::time::Instant::now();
    until("three seconds have passed", || held.elapsed() > seconds(3));
    assert_eq!(setting.provider.count(Place::Refresh), 1);
    gate.open();
    assert!(asks.into_iter().all(|ask| ask.join().unwrap() == 200));
    assert_eq!(setting.provider.count(Place::Refresh), 1);
    assert_no_reuse(&setting);
}

#[test]
fn r45_a35_a_store_that_is_frozen_for_ten_seconds_loses_no_token() {
    let redis = Redis::start();
    let (setting, second) = pair(&redis, "");
    let mut browser = expired(&setting);
    let mut waiting = browser.clone();
    let gate = setting.provider.hold(Place::Refresh);
    let asks = thread::spawn(move || api(&mut waiting).status);
    gate.wait_for(1);
    redis.signal("STOP");
    gate.open();
    let frozen = std::time::Instant::now();
    until("ten seconds have passed", || frozen.elapsed() > seconds(10));
    redis.signal("CONT");
    assert_eq!(asks.join().unwrap(), 200, "kept, and handed on");
    assert_eq!(api(&mut browser).status, 200);
    assert_eq!(api(&mut at(&second, &browser)).status, 200);
    assert_eq!(setting.provider.count(Place::Refresh), 1);
    setting.clock.advance(seconds(301));
    assert_eq!(api(&mut at(&second, &browser)).status, 200, "with the token that was kept");
    assert_no_reuse(&setting);
}

#[test]
fn r45_what_one_gateway_has_fetched_the_other_hands_on() {
    let redis = Redis::start();
    let (setting, second) = pair(&redis, "");
    let mut browser = expired(&setting);
    assert_eq!(api(&mut browser).status, 200);
    let token = handed(&setting);
    assert_eq!(api(&mut at(&second, &browser)).status, 200);
    assert_eq!(handed(&setting), token);
    assert_eq!(setting.provider.count(Place::Refresh), 1);
}

#[test]
fn r45_the_drain_waits_for_a_refresh() {
    let redis = Redis::start();
    let (mut setting, second) = pair(&redis, "");
    // One that gives its workers no time: what is left then is the renewal alone.
    let mut plan = usual_plan(&setting.upstream);
    plan.server_extra("drain_timeout = \"1s\"");
    plan.provider("corp", &setting.provider, "userinfo = true");
    plan.store_redis(&redis.url());
    setting.gateway = plan.start(&setting.clock);
    let browser = expired(&setting);
    let gate = setting.provider.hold(Place::Refresh);
    // The one who asked has gone before the gateway is told to stop: nothing else holds it.
    let url = browser.url("/api/x");
    let bytes = browser.write("GET", &url, &[("Sec-Fetch-Site", "same-origin")], b"", true);
    let mut connection = crate::it::house::raw::Connection::open(setting.gateway.address);
    connection.write(&bytes);
    gate.wait_for(1);
    drop(connection);
    setting.gateway.tell_to_stop();
    let told = std::time::Instant::now();
    until("three seconds have passed", || told.elapsed() > seconds(3));
    gate.open();
    assert!(setting.gateway.stops_within(seconds(20)));
    assert_eq!(api(&mut at(&second, &browser)).status, 200);
    assert_eq!(setting.provider.count(Place::Refresh), 1, "kept by the gateway that is gone");
    assert_no_reuse_at(&setting.provider.complaints());
}

fn assert_no_reuse_at(complaints: &[String]) {
    assert!(complaints.is_empty(), "{complaints:?}");
}
