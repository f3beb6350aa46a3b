//! What a frame in the provider's sign-out page ends, and what it tells (R87, A27).
//!
//! I own: right and wrong pairs of `iss` and `sid`, with cookies and without. Every request here is what a browser sends
//! for a frame on a page of another site, unless the test is about another kind.

use super::house::browser::{Browser, EVIL};
use super::house::gateway::TestGateway;
use super::house::provider::Provider;
use super::house::raw::Answer;
use super::house::setting::{Setting, Two};
use super::stores::Redis;
use serde_json::json;
use std::time::{Duration, Instant};

const PATH: &str = "/bff/frontchannel-logout";

/// These parameters, encoded.
pub fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn in_frame(browser: &mut Browser, target: &str) -> Answer {
    browser.foreign(EVIL, "GET", target, "navigate", "iframe")
}

fn target(issuer: &str, sid: &str) -> String {
    format!("{PATH}?{}", query(&[("iss", issuer), ("sid", sid)]))
}

fn is_in(browser: &mut Browser) -> bool {
    let status = browser.fetch("GET", "/", &[], b"").status;
    assert!(matches!(status, 200 | 401), "{status}");
    status == 200
}

/// A browser of somebody who stands on this session of the provider.
fn signed_in(gateway: &TestGateway, provider: &Provider, sid: &'static str) -> Browser {
    provider.make_id_token(move |f| f.with("sid", json!(sid)));
    let mut browser = gateway.browser();
    let page = browser.navigate("/");
    assert_eq!(page.answer.status, 200, "{}", page.way());
    provider.behave();
    browser
}

fn with_sids<const N: usize>(setting: &Setting, sids: [&'static str; N]) -> [Browser; N] {
    // Later than every notice before: a login of the same moment would be one that it means.
    setting.clock.advance(Duration::from_secs(1));
    sids.map(|sid| signed_in(&setting.gateway, &setting.provider, sid))
}

/// All of an answer but what differs between any two.
fn essence(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| !["date", "x-request-id"].contains(&name.to_lowercase().as_str()));
    headers.sort();
    (answer.status, headers, answer.body.clone())
}

fn assert_sound(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.all("cache-control"), ["no-store"]);
    assert!(answer.all("set-cookie").is_empty(), "{:?}", answer.headers);
    assert!(answer.header("clear-site-data").is_none());
}

#[test]
fn r87_a27_the_right_pair_ends_exactly_the_sessions_of_its_sid_without_a_cookie() {
    let setting = Setting::new();
    let mut browsers = with_sids(&setting, ["A", "A", "B"]);
    let answer = in_frame(&mut setting.browser(), &target(&setting.provider.issuer(), "A"));
    assert_sound(&answer);
    assert_eq!(browsers.each_mut().map(is_in), [false, false, true]);
}

#[test]
fn r87_a27_it_acts_by_the_sid_and_never_by_the_cookie() {
    let setting = Setting::new();
    let mut browsers = with_sids(&setting, ["A", "B"]);
    let answer = in_frame(&mut browsers[1], &target(&setting.provider.issuer(), "A"));
    assert_sound(&answer);
    assert_eq!(browsers.each_mut().map(is_in), [false, true]);
    // One's own is no other case, and its cookie is left alone.
    let own = in_frame(&mut browsers[1], &target(&setting.provider.issuer(), "B"));
    assert_eq!(essence(&own), essence(&answer));
    assert!(setting.has_session(&browsers[1]));
    assert!(!is_in(&mut browsers[1]));
}

#[test]
fn r87_a27_whatever_is_not_the_right_pair_ends_nothing_and_is_answered_the_same() {
    let setting = Setting::new();
    let issuer = setting.provider.issuer();
    let [mut browser, _] = with_sids(&setting, ["A", "B"]);
    let right = essence(&in_frame(&mut setting.browser(), &target(&issuer, "B")));
    let (slash, upper) = (format!("{issuer}/"), issuer.to_uppercase());
    let rows: [(&str, &[(&str, &str)]); 15] = [
        ("a27 nothing", &[]),
        ("a27 no iss", &[("sid", "A")]),
        ("a27 no sid", &[("iss", &issuer)]),
        ("a27 empty iss", &[("iss", ""), ("sid", "A")]),
        ("a27 empty sid", &[("iss", &issuer), ("sid", "")]),
        ("a27 another iss", &[("iss", "https://evil.test"), ("sid", "A")]),
        ("a27 iss with a slash", &[("iss", &slash), ("sid", "A")]),
        ("a27 iss in capitals", &[("iss", &upper), ("sid", "A")]),
        ("a27 another sid", &[("iss", &issuer), ("sid", "Z")]),
        ("a27 sid in small letters", &[("iss", &issuer), ("sid", "a")]),
        ("a27 sid with a star", &[("iss", &issuer), ("sid", "*")]),
        ("a27 iss twice", &[("iss", &issuer), ("iss", &issuer), ("sid", "A")]),
        ("a27 another iss behind", &[("iss", &issuer), ("sid", "A"), ("iss", "https://evil.test")]),
        ("a27 sid twice", &[("iss", &issuer), ("sid", "A"), ("sid", "A")]),
        ("a27 another sid behind", &[("iss", &issuer), ("sid", "A"), ("sid", "Z")]),
    ];
    for (name, pairs) in rows {
        let target = format!("{PATH}?{}", query(pairs));
        for cookies in [true, false] {
            let mut stranger = setting.browser();
            let answer = in_frame(if cookies { &mut browser } else { &mut stranger }, &target);
            assert_eq!(essence(&answer), right, "{name}");
            assert!(is_in(&mut browser), "{name}");
        }
    }
    assert_eq!(essence(&in_frame(&mut browser, PATH)), right, "no query");
    assert_eq!(essence(&in_frame(&mut browser, &target(&issuer, "A"))), right);
    assert!(!is_in(&mut browser), "and the right one does end it");
}

#[test]
fn r87_a27_a_provider_speaks_for_its_own_sessions_only() {
    let two = Two::start();
    let (corp, other, gateway) = (&two.corp, &two.other, &two.gateway);
    let mut browser = signed_in(gateway, corp, "A");
    let at = |id: &str, issuer: &str| target(issuer, "A").replace('?', &format!("{id}?"));
    for (place, issuer) in [
        // With several providers the path names one.
        ("", corp.issuer()),
        ("", other.issuer()),
        ("/other", corp.issuer()),
        ("/corp", other.issuer()),
        ("/other", other.issuer()),
        ("/nobody", corp.issuer()),
    ] {
        assert_sound(&in_frame(&mut gateway.browser(), &at(place, &issuer)));
        assert!(is_in(&mut browser), "{place} {issuer}");
    }
    assert_sound(&in_frame(&mut gateway.browser(), &at("/corp", &corp.issuer())));
    assert!(!is_in(&mut browser));
}

#[test]
fn r87_the_provider_may_frame_this_page_and_no_other() {
    let setting = Setting::new();
    let issuer = setting.provider.issuer();
    let origin = url::Url::parse(&issuer).unwrap().origin().ascii_serialization();
    for target in [target(&issuer, "A"), PATH.to_owned(), format!("{PATH}/corp")] {
        let answer = in_frame(&mut setting.browser(), &target);
        let policy = format!("default-src 'none'; base-uri 'none'; frame-ancestors {origin}");
        assert_eq!(answer.all("content-security-policy"), [policy]);
        assert_eq!(answer.header("x-frame-options"), None);
    }
    for target in
        ["/bff/logout", "/bff/signed-out", "/bff/frontchannel-logout/x/y", "/bff/frontchannel-logoutx"]
    {
        let answer = setting.signed_in().open(target);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{target}: {policy}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{target}");
    }
    let stranger = in_frame(&mut setting.browser(), &format!("{PATH}/nobody"));
    assert!(stranger.header("content-security-policy").unwrap().ends_with("frame-ancestors 'none'"));
}

#[test]
fn r87_a27_only_get_is_heard() {
    let setting = Setting::new();
    let [mut browser] = with_sids(&setting, ["A"]);
    let target = target(&setting.provider.issuer(), "A");
    for method in ["HEAD", "POST", "PUT", "DELETE"] {
        let answer = browser.foreign(EVIL, method, &target, "navigate", "iframe");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{method}");
        assert!(answer.all("set-cookie").is_empty(), "{method}");
        assert!(is_in(&mut browser), "{method}");
    }
}

#[test]
fn r87_a_store_that_fails_is_a_503_and_the_same_address_stays_good() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| plan.store_redis(&url));
    let target = target(&setting.provider.issuer(), "A");
    for step in ["zrangebyscore", "set", "hmget", "del"] {
        let [mut browser] = with_sids(&setting, ["A"]);
        // A session that begins with the very moment of the notice is meant as well.
        setting.clock.advance(Duration::from_millis(1));
        redis.right(&format!("-{step}"));
        let answer = in_frame(&mut setting.browser(), &target);
        redis.right(&format!("+{step}"));
        assert_eq!((answer.status, answer.header("cache-control")), (503, Some("no-store")), "{step}");
        assert!(answer.header("retry-after").is_some() && answer.all("set-cookie").is_empty(), "{step}");
        // Once it is clear that somebody is meant, they are out at this gateway all the same.
        assert_eq!(is_in(&mut browser), step == "zrangebyscore", "{step}");
        let begun = Instant::now();
        // Until what the store did not take is written.
        while in_frame(&mut setting.browser(), &target).status == 503 {
            assert!(begun.elapsed() < Duration::from_secs(20), "{step}, once more");
        }
        assert_sound(&in_frame(&mut setting.browser(), &target));
        assert!(!is_in(&mut browser), "{step}");
        setting.clock.advance(Duration::from_millis(1));
    }
}

/// Anybody may send anything here: no record may come of it.
#[test]
fn r87_a_sid_of_nobodys_writes_nothing() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| plan.store_redis(&url));
    redis.right("-set");
    let issuer = setting.provider.issuer();
    assert_sound(&in_frame(&mut setting.browser(), &target(&issuer, "Z")));
    // Nor is the store asked for what cannot be right.
    drop(redis);
    for wrong in [target("https://evil.test", "A"), format!("{PATH}?sid=A")] {
        assert_sound(&in_frame(&mut setting.browser(), &wrong));
    }
    assert_eq!(in_frame(&mut setting.browser(), &target(&issuer, "Z")).status, 503);
}

#[test]
fn r87_the_ending_has_its_reason_in_the_metrics() {
    let setting = Setting::with(|plan| plan.operating = true);
    let _browsers = with_sids(&setting, ["A", "A"]);
    for sid in ["A", "Z"] {
        assert_sound(&in_frame(&mut setting.browser(), &target(&setting.provider.issuer(), sid)));
    }
    let metrics = setting.gateway.probe("/metrics").text();
    for line in [
        "keycard_sessions_ended_total{reason=\"by-provider\"} 2",
        "keycard_requests_total{route=\"frontchannel-logout\",outcome=\"ended\",status_class=\"2xx\"} 1",
        "keycard_requests_total{route=\"frontchannel-logout\",outcome=\"nobody\",status_class=\"2xx\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
