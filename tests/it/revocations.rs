//! What a provider is told of sessions that have ended: their refresh tokens are revoked (RFC 7009), whatever ends them,
//! and whatever happens in between.
//!
//! I own: the tests. The provider counts what it is told; its complaints show a token that was revoked in vain.

use super::backchannel::{FORM, form, post};
use super::binary::{Run, file};
use super::house::browser::Browser;
use super::house::gateway::Plan;
use super::house::patience::{LONG, until};
use super::house::provider::Provider;
use super::house::provider::script::{Canned, Place};
use super::house::setting::{Setting, usual_plan};
use super::stores::Redis;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tempfile::TempDir;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn result(word: &str) -> String {
    format!("keycard_token_revocations_total{{provider=\"corp\",result=\"{word}\"}}")
}

/// Waits until the provider was told of so many, and of nothing in vain.
fn revoked(setting: &Setting, count: usize) {
    until("the token is revoked", || setting.provider.count(Place::Revoke) == count);
    let complaints = setting.provider.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}

fn operating() -> Setting {
    Setting::with(|plan| plan.operating = true)
}

fn sign_out(browser: &mut Browser) {
    assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
}

#[test]
fn r56_every_ending_revokes_the_refresh_token_at_the_provider() {
    let setting = operating();
    sign_out(&mut setting.signed_in());
    revoked(&setting, 1);

    // An operator, who has no ticket.
    drop(setting.signed_in());
    assert_eq!(setting.gateway.operate("DELETE", "/admin/sessions?user=alice-0001").json()["ended"], 1);
    revoked(&setting, 2);
    drop((setting.signed_in(), setting.signed_in()));
    assert_eq!(setting.gateway.operate("DELETE", "/admin/sessions?all=true").json()["ended"], 2);
    revoked(&setting, 4);

    // The provider itself.
    setting.clock.advance(seconds(1));
    drop(setting.signed_in());
    let gateway = &setting.gateway;
    let token = setting.provider.logout_forge().sign();
    let told =
        post(gateway.address, gateway.host(), "/bff/backchannel-logout", FORM, form(&token).as_bytes());
    assert_eq!(told.status, 200);
    revoked(&setting, 5);

    // Another person at the same browser.
    setting.clock.advance(seconds(1));
    let mut browser = setting.signed_in();
    setting.provider.person(serde_json::json!({ "sub": "bob-0002" }));
    browser.navigate("/bff/login?return_to=/");
    revoked(&setting, 6);

    // Silence, as soon as anybody comes by.
    setting.clock.advance(seconds(2 * 60 * 60));
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 401);
    revoked(&setting, 7);
    until("it is counted", || setting.gateway.metric(&result("revoked")) == 7);
    until("nothing is left", || setting.gateway.metric("keycard_token_revocations_owed") == 0);
}

#[test]
fn r46_what_the_provider_has_refused_is_not_revoked() {
    let setting = operating();
    let mut browser = setting.signed_in();
    setting.clock.advance(seconds(3600));
    setting.provider.forget_everybody();
    // The clock has passed the idle timeout: a use keeps the session.
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 401);
    let before = setting.provider.count(Place::Revoke);
    let mut browser = setting.signed_in();
    setting.clock.advance(seconds(600));
    setting.provider.forget_everybody();
    assert_eq!(browser.fetch("GET", "/api/x", &[], b"").status, 401);
    sign_out(&mut setting.signed_in());
    until("what came afterwards is revoked", || setting.provider.count(Place::Revoke) > before);
}

#[test]
fn r56_a_sign_in_in_its_place_spares_the_provider_session_that_both_stand_on() {
    let setting = operating();
    let mut browser = setting.signed_in();
    // The same session of the provider: its tokens are the new session's as well, at some providers.
    setting.clock.advance(seconds(1));
    browser.navigate("/bff/login?return_to=/");
    for _ in 0..6 {
        setting.clock.advance(seconds(10));
        assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200);
    }
    assert_eq!(setting.provider.count(Place::Revoke), 0);
    // Another one.
    setting.provider.make_id_token(|forge| {
        forge.claims["sid"] = "another".into();
        forge.sign()
    });
    browser.navigate("/bff/login?return_to=/");
    // The old ticket works for ten seconds more, and so does its token; then nobody needs that, nor the one before it.
    setting.clock.advance(seconds(9));
    assert_eq!(setting.provider.count(Place::Revoke), 0);
    until("its moments are over", || {
        setting.clock.advance(seconds(5));
        assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200);
        setting.provider.count(Place::Revoke) == 2
    });
}

#[test]
fn r56_without_a_sid_a_sign_in_in_its_place_spares_all_that_the_person_has_at_the_provider() {
    let setting = operating();
    setting.provider.make_id_token(|forge| {
        forge.claims.as_object_mut().unwrap().remove("sid");
        forge.sign()
    });
    let mut browser = setting.signed_in();
    setting.clock.advance(seconds(1));
    browser.navigate("/bff/login?return_to=/");
    for _ in 0..6 {
        setting.clock.advance(seconds(10));
        assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200);
    }
    assert_eq!(setting.provider.count(Place::Revoke), 0);
    // A sign-out waits for no other browser; and then nobody needs the token of before.
    let mut other = setting.signed_in();
    sign_out(&mut browser);
    until("the token is revoked", || setting.provider.count(Place::Revoke) == 1);
    sign_out(&mut other);
    until("nothing is left", || {
        setting.clock.advance(seconds(60));
        setting.provider.count(Place::Revoke) == 3
    });
}

#[test]
fn r56_a_provider_that_is_down_is_asked_again_and_holds_up_no_ending() {
    let setting = operating();
    let mut browser = setting.signed_in();
    setting.provider.can(Place::Revoke, Canned::Reply(503, Vec::new(), Vec::new()));
    sign_out(&mut browser);
    until("it was asked", || setting.provider.count(Place::Revoke) == 1);
    until("it is written down", || setting.gateway.metric("keycard_token_revocations_owed") == 1);
    until("it is asked again", || {
        setting.clock.advance(seconds(5));
        setting.provider.count(Place::Revoke) >= 3
    });
    let asked = setting.provider.count(Place::Revoke);
    setting.provider.behave();
    until("it is told at last", || {
        setting.clock.advance(seconds(60));
        setting.gateway.metric(&result("revoked")) == 1
    });
    assert!(asked < 10, "asked {asked} times");
    let told = setting.provider.count(Place::Revoke);
    setting.clock.advance(seconds(3600));
    assert_eq!(setting.provider.count(Place::Revoke), told);
}

#[test]
fn r56_a_provider_that_refuses_is_not_asked_again() {
    for (status, error) in [(400, "unsupported_token_type"), (401, "invalid_client")] {
        let setting = operating();
        let body = format!("{{\"error\":\"{error}\"}}").into_bytes();
        let headers = vec![("Content-Type", "application/json".to_owned())];
        setting.provider.can(Place::Revoke, Canned::Reply(status, headers, body));
        sign_out(&mut setting.signed_in());
        until("it is counted", || setting.gateway.metric(&result("refused")) == 1);
        until("it is forgotten", || setting.gateway.metric("keycard_token_revocations_owed") == 0);
        setting.clock.advance(seconds(3600));
        assert_eq!(setting.provider.count(Place::Revoke), 1, "{error}");
    }
}

#[test]
fn r56_after_a_day_nobody_tries_any_more() {
    let setting = operating();
    setting.provider.can(Place::Revoke, Canned::HangUp);
    sign_out(&mut setting.signed_in());
    until("it was asked", || setting.gateway.metric(&result("unanswered")) >= 1);
    setting.clock.advance(seconds(25 * 60 * 60));
    until("it is given up", || setting.gateway.metric(&result("given-up")) == 1);
    until("it is forgotten", || setting.gateway.metric("keycard_token_revocations_owed") == 0);
}

#[test]
fn r44_without_revocable_only_the_browser_can_revoke() {
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.session_extra("revocable = false");
    });
    drop(setting.signed_in());
    assert_eq!(setting.gateway.operate("DELETE", "/admin/sessions?user=alice-0001").json()["ended"], 1);
    let mut browser = setting.signed_in();
    // The tokens are all there for the browser that holds the ticket.
    setting.clock.advance(seconds(600));
    assert_eq!(browser.fetch("GET", "/api/x", &[], b"").status, 200);
    sign_out(&mut browser);
    revoked(&setting, 1);
    // By its line in the list it ends with the cookie at hand, too.
    let mut browser = setting.signed_in();
    let list = browser.fetch("GET", "/bff/sessions", &[], b"").json();
    let mine = format!("/bff/sessions/{}", list["sessions"][0]["handle"].as_str().unwrap());
    assert_eq!(browser.fetch("DELETE", &mine, &[], b"").json()["current"], true);
    revoked(&setting, 2);
}

#[test]
fn r56_a_provider_that_never_answers_holds_up_no_stop() {
    let setting = operating();
    let gate = setting.provider.hold(Place::Revoke);
    sign_out(&mut setting.signed_in());
    gate.wait_for(1);
    let Setting { gateway, provider, .. } = setting;
    assert!(gateway.stops_within(LONG), "it waits for the provider");
    gate.open();
    drop(provider);
}

/// A gateway over this Redis, and the same provider.
fn plan_over(redis: &Redis, setting: (&Provider, &super::house::upstream::Upstream)) -> Plan {
    let mut plan = usual_plan(setting.1);
    plan.operating = true;
    plan.provider("corp", setting.0, "userinfo = true");
    plan.store_redis(&redis.url());
    plan
}

#[test]
fn r56_a_gateway_that_is_killed_leaves_its_debts_to_another() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis(&url);
    });
    let browser = setting.signed_in();
    // The provider is down while the process lives that ends the session.
    setting.provider.can(Place::Revoke, Canned::Reply(503, Vec::new(), Vec::new()));
    let folder = TempDir::new().unwrap();
    let address = free();
    let plan = plan_over(&redis, (&setting.provider, &setting.upstream));
    let path = file(&folder, "keycard.toml", &plan.text_for(address));
    let mut process = Run::start(&["serve", "--config", path.to_str().unwrap()], &[]);
    process.wait_for("keycard is serving");
    // By the time of that process everybody has been idle for long: it sees that, and ends the session.
    let mut there = Browser::new(&setting.gateway.origin, address);
    there.jar = browser.jar.clone();
    assert_eq!(there.fetch("GET", "/", &[], b"").status, 401);
    until("it has tried", || setting.provider.count(Place::Revoke) >= 1);
    process.signal("KILL");
    process.end();
    assert_eq!(setting.gateway.metric(&result("revoked")), 0);
    setting.provider.behave();
    let told = setting.provider.count(Place::Revoke);
    // To the time of that process, and until its lease is over.
    let ahead = unix_now() - setting.clock.unix() + 120;
    setting.clock.advance(seconds(u64::try_from(ahead).unwrap()));
    until("another gateway tells", || setting.gateway.metric(&result("revoked")) == 1);
    assert_eq!(setting.provider.count(Place::Revoke), told + 1);
}

#[expect(clippy::disallowed_methods, reason = "the process that is killed has the machine's clock")]
fn unix_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
