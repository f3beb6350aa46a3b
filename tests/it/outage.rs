//! Endings while Redis is away, and endings that it forgets: two gateways over one Redis that is frozen, killed, brought
//! back empty, or brought back with what it held before (A34, R82, R88).
//!
//! I own: nothing. The clocks of these gateways stand still; Redis, the feed and whoever writes down what is owed run in
//! real time, and what they bring is waited for.

use super::house::browser::Browser;
use super::house::setting::Setting;
use super::near::{HITS, Pair, feed, holds, number, status, until};
use super::stores::Redis;
use tempfile::TempDir;

const DEFERRED: &str = "keycard_endings_remembered_total{event=\"deferred\"}";
const FORGOTTEN: &str = "keycard_endings_remembered_total{event=\"forgotten\"}";

/// Signs out; the answer has to say so, and the browser to have lost its cookie.
fn sign_out(setting: &Setting, browser: &mut Browser) {
    let answer = browser.fetch("POST", "/bff/logout", &[], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!setting.has_session(browser));
}

#[test]
fn a34_a_sign_out_while_redis_is_frozen_is_in_force_here_and_written_when_it_goes_on() {
    let redis = Redis::start();
    let pair = Pair::over(&redis, "outage_grace = \"5m\"");
    let (mut here, mut there) = pair.signed_in();
    let (mut stays, _) = pair.signed_in();
    let mut copy = here.clone();
    holds(&pair.setting.gateway, &mut here);
    holds(&pair.setting.gateway, &mut stays);
    holds(&pair.other, &mut there);
    redis.freeze(true);
    until("the feed is down", || feed(&pair.setting.gateway) == "down" && feed(&pair.other) == "down");
    sign_out(&pair.setting, &mut here);
    assert_eq!(status(&mut copy), 401, "at once where it ended, whoever has the cookie");
    assert_eq!(status(&mut there), 200, "the other gateway cannot know, for as long as outage_grace");
    assert_eq!(status(&mut stays), 200);
    assert_eq!(number(&pair.setting.gateway, DEFERRED), 1);
    redis.freeze(false);
    until("the other gateway refuses", || status(&mut there) == 401);
    assert_eq!(redis.records(), ":1");
    assert_eq!(status(&mut copy), 401);
    until("people go on", || status(&mut stays) == 200);
}

#[test]
fn a34_a_sign_out_of_whom_nobody_here_remembers_works_while_redis_is_killed() {
    let mut redis = Redis::start();
    let pair = Pair::over(&redis, "outage_grace = \"0s\"");
    let (mut here, mut there) = pair.signed_in();
    holds(&pair.other, &mut there);
    redis.say(&["SAVE"]);
    redis.kill();
    // It asks in vain, and ends the session by its name alone.
    let mut copy = here.clone();
    sign_out(&pair.setting, &mut here);
    assert_eq!(status(&mut copy), 401);
    redis.restart();
    until("the other gateway refuses", || status(&mut there) == 401);
    assert_eq!(redis.records(), ":0");
}

#[test]
fn a34_r88_an_ending_that_redis_forgets_is_written_again() {
    let mut redis = Redis::start();
    let pair = Pair::over(&redis, "");
    let (mut here, mut there) = pair.signed_in();
    let (mut stays, _) = pair.signed_in();
    let mut copy = here.clone();
    holds(&pair.other, &mut there);
    redis.say(&["SAVE"]);
    sign_out(&pair.setting, &mut here);
    until("the other gateway refuses", || status(&mut there) == 401);
    // It comes back with what it held before, as after a failover to a replica that had not heard of it.
    redis.restart();
    let forgotten = || number(&pair.setting.gateway, FORGOTTEN) + number(&pair.other, FORGOTTEN);
    until("it is ended again", || forgotten() == 1);
    assert_eq!(redis.records(), ":1");
    for _ in 0..20 {
        assert!([401, 503].contains(&status(&mut copy)) && [401, 503].contains(&status(&mut there)));
    }
    until("people go on", || status(&mut stays) == 200);
}

#[test]
fn a34_r88_a_gateway_that_only_heard_of_the_ending_writes_it_again() {
    let mut redis = Redis::start();
    let pair = Pair::over(&redis, "");
    let (mut here, mut there) = pair.signed_in();
    holds(&pair.other, &mut there);
    redis.say(&["SAVE"]);
    sign_out(&pair.setting, &mut here);
    until("the other gateway refuses", || status(&mut there) == 401);
    let Pair { setting, other } = pair;
    // The one that made it is gone when Redis comes back.
    setting.gateway.stop();
    redis.restart();
    until("it is ended again", || number(&other, FORGOTTEN) == 1);
    until("it is refused", || status(&mut there) == 401);
}

#[test]
fn a34_a_server_that_comes_back_empty_has_signed_everybody_out() {
    let mut redis = Redis::start();
    let pair = Pair::over(&redis, "outage_grace = \"5m\"");
    let (mut here, _) = pair.signed_in();
    holds(&pair.setting.gateway, &mut here);
    redis.kill();
    until("the feed is down", || feed(&pair.setting.gateway) == "down");
    assert_eq!(status(&mut here), 200);
    redis.restart();
    until("the empty store is believed", || status(&mut here) == 401);
    assert_eq!(redis.records(), ":0", "what is missing may have been ended: nobody makes it again");
}

#[test]
fn over_its_own_file_a_request_with_a_session_reads_nothing() {
    let directory = TempDir::new().unwrap();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_embedded(directory.path());
    });
    let mut browser = setting.signed_in();
    assert_eq!(status(&mut browser), 200);
    let loads = "keycard_store_seconds_count{command=\"load\"}";
    let count = || (number(&setting.gateway, loads), number(&setting.gateway, HITS));
    let before = count();
    for _ in 0..50 {
        assert_eq!(status(&mut browser), 200);
    }
    assert_eq!(count(), (before.0, before.1 + 50));
    assert_eq!(feed(&setting.gateway), "not-used");
    let held = || number(&setting.gateway, "keycard_near_cache_sessions");
    until("sizes are told", || held() == 1);
    let mut copy = browser.clone();
    sign_out(&setting, &mut browser);
    assert_eq!(status(&mut copy), 401);
    until("sizes are told", || held() == 0);
}
