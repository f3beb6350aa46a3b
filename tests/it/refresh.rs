//! The renewal of tokens, from the browser's side (R20, R45, R46, R88, A35).
//!
//! I own: what becomes of one gateway's sessions when their tokens end; `refresh/races` has several gateways and stores
//! that fail, `refresh/crash` a process that is killed, `refresh/id_token` what may come along. The provider rotates
//! refresh tokens and ends a whole family when one is used twice, so that a second use is never without a trace. Tokens
//! live for 300 s here.

mod crash;
mod id_token;
mod races;

use super::house::browser::Browser;
use super::house::patience::until;
use super::house::provider::script::{Canned, Place};
use super::house::raw::Answer;
use super::house::setting::Setting;
use serde_json::json;
use std::time::Duration;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A page of the app that is handed the access token.
fn api(browser: &mut Browser) -> Answer {
    browser.fetch("GET", "/api/x", &[], b"")
}

/// The token that the app was handed last.
fn handed(setting: &Setting) -> String {
    setting.upstream.last().head.header("authorization").unwrap_or_default().to_owned()
}

/// The rule that was broken is a second use of a refresh token, or none was.
fn assert_no_reuse(setting: &Setting) {
    assert_eq!(setting.provider.complaints(), Vec::<String>::new());
}

/// Somebody whose token was over a moment ago.
fn expired(setting: &Setting) -> Browser {
    let mut browser = setting.signed_in();
    assert_eq!(api(&mut browser).status, 200);
    setting.clock.advance(seconds(301));
    browser
}

#[test]
fn r46_a_token_that_has_expired_is_renewed_and_the_app_gets_the_new_one() {
    let setting = Setting::new();
    let mut browser = expired(&setting);
    let (cookie, before) = (setting.session_cookie(&browser), handed(&setting));
    for _ in 0..3 {
        let answer = api(&mut browser);
        assert_eq!((answer.status, answer.all("set-cookie").len()), (200, 0));
        assert_ne!(handed(&setting), before);
    }
    assert_eq!(setting.provider.count(Place::Refresh), 1);
    assert_eq!(setting.session_cookie(&browser), cookie);
    let call = setting.provider.last(Place::Refresh);
    assert!(call.form("refresh_token").is_some() && call.form("scope").is_none());
    // And again, with the token that came with the first one.
    setting.clock.advance(seconds(301));
    assert_eq!(api(&mut browser).status, 200);
    assert_eq!(setting.provider.count(Place::Refresh), 2);
    assert_no_reuse(&setting);
}

#[test]
fn r46_ahead_of_the_end_nobody_waits() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    assert_eq!(api(&mut browser).status, 200);
    let old = handed(&setting);
    setting.clock.advance(seconds(239));
    assert_eq!(api(&mut browser).status, 200);
    assert_eq!(setting.provider.count(Place::Refresh), 0, "too early");
    let gate = setting.provider.hold(Place::Refresh);
    setting.clock.advance(seconds(40));
    for _ in 0..5 {
        assert_eq!(api(&mut browser).status, 200);
        assert_eq!(handed(&setting), old);
    }
    gate.wait_for(1);
    gate.open();
    until("the app gets the new token", || {
        assert_eq!(api(&mut browser).status, 200);
        handed(&setting) != old
    });
    assert_eq!(setting.provider.count(Place::Refresh), 1);
    assert_no_reuse(&setting);
}

#[test]
fn r46_refresh_before_says_how_long_ahead() {
    let setting = Setting::with(|plan| plan.provider_extra("refresh_before = \"0s\""));
    let mut browser = setting.signed_in();
    setting.clock.advance(seconds(299));
    assert_eq!(api(&mut browser).status, 200);
    setting.clock.advance(seconds(1));
    assert_eq!(api(&mut browser).status, 200);
    assert_eq!(setting.provider.count(Place::Refresh), 1);
}

#[test]
fn r46_routes_that_relay_no_token_renew_none() {
    let setting = Setting::new();
    let mut browser = expired(&setting);
    assert_eq!(browser.fetch("GET", "/x", &[], b"").status, 200);
    assert_eq!(browser.fetch("GET", "/bff/user", &[], b"").status, 200);
    // Nor does a request that is refused for another reason.
    let forged = browser.foreign(super::house::browser::EVIL, "POST", "/api/x", "navigate", "document");
    assert_eq!(forged.status, 403);
    assert_eq!(setting.provider.count(Place::Refresh), 0);
}

#[test]
fn r46_without_a_refresh_token_it_is_the_sign_in() {
    let setting = Setting::new();
    setting.provider.bend_token(|answer| drop(answer.as_object_mut().unwrap().remove("refresh_token")));
    let mut browser = expired(&setting);
    assert_eq!(api(&mut browser).status, 401);
    let page = browser.navigate("/api/x");
    setting.assert_signed_in(&browser, &page);
    assert_eq!(setting.provider.count(Place::Refresh), 0);
}

#[test]
fn r46_invalid_grant_ends_the_session() {
    let setting = Setting::new();
    let mut browser = expired(&setting);
    setting.provider.forget_everybody();
    assert_eq!(api(&mut browser).status, 401);
    assert_eq!(browser.fetch("GET", "/x", &[], b"").status, 401, "the session is over, not only its token");
    assert_eq!(setting.provider.count(Place::Refresh), 1);
    let page = browser.navigate("/api/x");
    setting.assert_signed_in(&browser, &page);
}

#[test]
fn r46_a35_a_provider_that_fails_costs_the_token_and_not_the_session() {
    let json = vec![("Content-Type", "application/json".to_owned())];
    let client = br#"{"error":"invalid_client"}"#.to_vec();
    for (name, canned) in [
        ("500", Canned::Reply(500, Vec::new(), Vec::new())),
        ("429", Canned::Reply(429, Vec::new(), Vec::new())),
        ("no answer", Canned::HangUp),
        ("nonsense", Canned::Reply(200, json.clone(), b"{".to_vec())),
        ("not for this client", Canned::Reply(401, json, client)),
    ] {
        let setting = Setting::new();
        let mut browser = setting.signed_in();
        setting.provider.can(Place::Refresh, canned);
        // As long as the old one is good nobody notices.
        setting.clock.advance(seconds(280));
        assert_eq!(api(&mut browser).status, 200, "{name}");
        until("somebody has tried", || setting.provider.count(Place::Refresh) == 1);
        setting.clock.advance(seconds(60));
        let answer = api(&mut browser);
        assert_eq!(answer.status, 503, "{name}");
        assert!(answer.header("retry-after").is_some() && answer.all("set-cookie").is_empty(), "{name}");
        assert_eq!(browser.open("/api/x").status, 503, "{name}: a page is not sent to the sign-in");
        assert_eq!(browser.fetch("GET", "/x", &[], b"").status, 200, "{name}: other routes go on");
        let tries = setting.provider.count(Place::Refresh);
        assert_eq!(api(&mut browser).status, 503, "{name}");
        assert_eq!(setting.provider.count(Place::Refresh), tries, "{name}: not for every request");
        setting.provider.behave();
        setting.clock.advance(seconds(5));
        assert_eq!(api(&mut browser).status, 200, "{name}: afterwards it goes on");
        assert_no_reuse(&setting);
    }
}

#[test]
fn a35_a_provider_that_hangs_is_given_up() {
    let setting = Setting::with(|plan| plan.provider_extra("timeout = \"5s\""));
    let mut browser = expired(&setting);
    let gate = setting.provider.hold(Place::Refresh);
    assert_eq!(api(&mut browser).status, 503);
    assert_eq!(browser.fetch("GET", "/x", &[], b"").status, 200);
    // What the provider has given out meanwhile is lost, and so is what came before it: the person is still there.
    gate.open();
    setting.clock.advance(seconds(5));
    assert_eq!(api(&mut browser).status, 401);
    assert_eq!(browser.fetch("GET", "/x", &[], b"").status, 200, "routes without a token go on");
    assert_eq!(api(&mut browser).status, 401);
    assert_eq!(setting.provider.count(Place::Refresh), 2, "and nobody asks again");
    let page = browser.navigate("/api/x");
    setting.assert_signed_in(&browser, &page);
}

#[test]
fn r46_missing_expires_in_and_no_new_refresh_token_are_fine() {
    let setting = Setting::new();
    setting.provider.script(|script| script.keeps_refresh_tokens = true);
    setting.provider.bend_refreshed(|answer| drop(answer.as_object_mut().unwrap().remove("expires_in")));
    let mut browser = expired(&setting);
    assert_eq!(api(&mut browser).status, 200);
    // Taken to live as long as the one of before.
    setting.clock.advance(seconds(230));
    assert_eq!(api(&mut browser).status, 200);
    assert_eq!(setting.provider.count(Place::Refresh), 1);
    setting.clock.advance(seconds(80));
    assert_eq!(api(&mut browser).status, 200);
    assert_eq!(setting.provider.count(Place::Refresh), 2);
    let sent: Vec<_> =
        setting.provider.calls(Place::Refresh).iter().map(|c| c.form("refresh_token")).collect();
    assert_eq!(sent[0], sent[1]);
    assert_no_reuse(&setting);
    // Where nobody has ever said when a token ends, nobody renews it.
    let setting = Setting::new();
    setting.provider.bend_token(|answer| drop(answer.as_object_mut().unwrap().remove("expires_in")));
    let mut browser = expired(&setting);
    assert_eq!(api(&mut browser).status, 200);
    assert_eq!(setting.provider.count(Place::Refresh), 0);
}

#[test]
fn r45_tokens_that_are_over_when_they_come_are_renewed_at_once() {
    let setting = Setting::new();
    setting.provider.bend_token(|answer| answer["expires_in"] = json!(0));
    setting.provider.bend_refreshed(|answer| answer["expires_in"] = json!(300));
    let mut browser = setting.signed_in();
    assert_eq!(api(&mut browser).status, 200);
    assert_eq!(setting.provider.count(Place::Refresh), 1);
    assert_no_reuse(&setting);
}

#[test]
fn r88_a_sign_out_during_a_refresh_stays_one_and_what_came_is_revoked() {
    let setting = Setting::new();
    let mut browser = expired(&setting);
    let (mut waiting, mut back) = (browser.clone(), browser.clone());
    let gate = setting.provider.hold(Place::Refresh);
    let asks = std::thread::spawn(move || api(&mut waiting).status);
    gate.wait_for(1);
    // A use that is noted in between, before and after.
    setting.clock.advance(seconds(200));
    let mut late = browser.clone();
    assert_eq!(browser.fetch("GET", "/x", &[], b"").status, 200);
    assert!(browser.fetch("POST", "/bff/logout", &[], b"").status < 400);
    assert_eq!(late.fetch("GET", "/x", &[], b"").status, 401);
    gate.open();
    assert_eq!(asks.join().unwrap(), 401);
    until("what was there and what came is revoked", || setting.provider.count(Place::Revoke) == 2);
    assert_eq!(api(&mut back).status, 401, "nobody is brought back");
    assert_eq!(back.fetch("GET", "/x", &[], b"").status, 401);
    // The family of both was over with the first of them.
    assert!(setting.provider.complaints().iter().all(|complaint| complaint == "revoke: nothing to revoke"));
    let used = setting.provider.last(Place::Refresh).form("refresh_token");
    let revoked = setting.provider.calls(Place::Revoke);
    let [first, second] = [0, 1].map(|at| revoked[at].form("token"));
    assert_eq!(first, used, "that of the session");
    assert!(second.is_some() && second != used, "the new one");
}

#[test]
fn r45_a_use_that_is_noted_meanwhile_does_not_make_a_refresh_lose() {
    let setting = Setting::new();
    let mut browser = expired(&setting);
    let mut waiting = browser.clone();
    let gate = setting.provider.hold(Place::Refresh);
    let asks = std::thread::spawn(move || api(&mut waiting).status);
    gate.wait_for(1);
    // Far enough for another note of the last use.
    setting.clock.advance(seconds(200));
    assert_eq!(browser.fetch("GET", "/x", &[], b"").status, 200);
    gate.open();
    assert_eq!(asks.join().unwrap(), 200);
    assert_eq!(setting.provider.count(Place::Refresh), 1);
    assert_no_reuse(&setting);
}

#[test]
fn r45_a_browser_that_hangs_up_loses_no_token() {
    let setting = Setting::new();
    let mut browser = expired(&setting);
    let gate = setting.provider.hold(Place::Refresh);
    let url = browser.url("/api/x");
    let bytes = browser.write("GET", &url, &[("Sec-Fetch-Site", "same-origin")], b"", true);
    let mut connection = super::house::raw::Connection::open(setting.gateway.address);
    connection.write(&bytes);
    gate.wait_for(1);
    drop(connection);
    gate.open();
    assert_eq!(api(&mut browser).status, 200);
    assert_eq!(setting.provider.count(Place::Refresh), 1);
    assert_no_reuse(&setting);
}
