//! Endings while Redis is away, and endings that it forgets: two gateways over one Redis that is frozen, killed, brought
//! back empty, or brought back with what it held before (A34, R82, R88).
//!
//! I own: nothing. The clocks of these gateways stand still; Redis, the feed and whoever writes down what is owed run in
//! real time, and what they bring is waited for.

use super::house::browser::Browser;
use super::house::gateway::TestGateway;
use super::house::patience::until;
use super::house::setting::{Setting, usual_plan};
use super::near::{HITS, Pair, feed, holds, status};
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
    assert_eq!(pair.setting.gateway.metric(DEFERRED), 1);
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
    let forgotten = || pair.setting.gateway.metric(FORGOTTEN) + pair.other.metric(FORGOTTEN);
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
    until("it is ended again", || other.metric(FORGOTTEN) == 1);
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

/// Those of alice, by the index.
fn of_alice(setting: &Setting) -> String {
    format!("/admin/sessions?user=alice-0001&issuer={}", setting.provider.issuer())
}

/// Where the session of this browser can be ended, and where another one.
fn own_and_other(browser: &mut Browser) -> [String; 2] {
    let list = browser.fetch("GET", "/bff/sessions", &[], b"").json();
    [0, 1].map(|which| format!("/bff/sessions/{}", list["sessions"][which]["handle"].as_str().unwrap()))
}

#[test]
fn r56_r82_what_a_store_that_takes_no_writes_was_not_told_has_not_ended() {
    let redis = Redis::start();
    let pair = Pair::over(&redis, "");
    let gateway = &pair.setting.gateway;
    let (mut asks, _) = pair.signed_in();
    let (mut lost, mut lost_there) = pair.signed_in();
    let [mine, other] = own_and_other(&mut asks);
    redis.say(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    // In force here, and the other gateway cannot know.
    assert_eq!(asks.fetch("DELETE", &other, &[], b"").status, 503);
    assert_eq!([status(&mut lost), status(&mut lost_there)], [401, 200]);
    assert_eq!(
        asks.fetch("DELETE", &other, &[], b"").status,
        503,
        "nor is it gone when it is asked for again"
    );
    // The session that asks is a sign-out.
    let mut copy = asks.clone();
    assert_eq!(asks.fetch("DELETE", &mine, &[], b"").status, 200);
    assert!(!pair.setting.has_session(&asks));
    assert_eq!(status(&mut copy), 401);
    assert_eq!(gateway.operate("DELETE", &of_alice(&pair.setting)).status, 503);
    redis.say(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    until("the operator hears that it is done", || {
        gateway.operate("DELETE", &of_alice(&pair.setting)).status == 200
    });
    until("the other gateway refuses", || status(&mut lost_there) == 401);
}

#[test]
fn r56_records_from_before_all_ended_are_shown_to_nobody() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis(&url);
    });
    drop(setting.signed_in());
    // What is put back afterwards stands for what is not removed yet.
    let each = |doing: &str| format!("for _, key in ipairs(redis.call('KEYS', '*')) do {doing} end");
    redis.say(&["EVAL", &each("redis.call('COPY', key, 'copy of ' .. key)"), "0"]);
    assert_eq!(setting.gateway.operate("DELETE", "/admin/sessions?all=true").status, 200);
    let back = "if key:sub(1, 8) == 'copy of ' then redis.call('RENAME', key, key:sub(9)) end";
    redis.say(&["EVAL", &each(back), "0"]);
    // One that does not remember whom it has ended.
    setting.clock.advance(std::time::Duration::from_secs(1));
    let mut plan = usual_plan(&setting.upstream);
    plan.operating = true;
    plan.provider("corp", &setting.provider, "userinfo = true");
    plan.store_redis(&url);
    let fresh = plan.start(&setting.clock);
    assert_eq!(redis.records(), ":1");
    let shown = |gateway: &TestGateway| {
        gateway.operate("GET", &of_alice(&setting)).json()["sessions"].as_array().unwrap().len()
    };
    assert_eq!(shown(&fresh), 0);
    let mut browser = fresh.browser();
    assert_eq!(browser.navigate("/").answer.status, 200);
    assert_eq!(shown(&fresh), 1);
    let own = browser.fetch("GET", "/bff/sessions", &[], b"").json();
    assert_eq!(own["sessions"].as_array().unwrap().len(), 1, "{own}");
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
    let count = || (setting.gateway.metric(loads), setting.gateway.metric(HITS));
    let before = count();
    for _ in 0..50 {
        assert_eq!(status(&mut browser), 200);
    }
    assert_eq!(count(), (before.0, before.1 + 50));
    assert_eq!(feed(&setting.gateway), "not-used");
    let held = || setting.gateway.metric("keycard_near_cache_sessions");
    until("sizes are told", || held() == 1);
    let mut copy = browser.clone();
    sign_out(&setting, &mut browser);
    assert_eq!(status(&mut copy), 401);
    until("sizes are told", || held() == 0);
}
