//! What a login may be asked for, and by whom (R4, R10, R69).
//!
//! I own: the parameters of `login` as they arrive at the provider, and the size of what carries them.

use crate::it::house::browser::Browser;
use crate::it::house::provider::script::Place;
use crate::it::house::setting::{Setting, Two};
use serde_json::json;
use std::time::Duration;

const WISH: &str = "/bff/login?prompt=login&login_hint=mallory&provider=other&return_to=/";

fn signed_in(two: &Two) -> Browser {
    let mut browser = two.gateway.browser();
    assert_eq!(browser.navigate("/").answer.status, 200);
    assert_eq!((two.corp.count(Place::Authorize), two.other.count(Place::Authorize)), (1, 0));
    browser
}

#[test]
fn r69_another_site_does_not_choose_the_account_of_who_is_signed_in() {
    for from in ["https://evil.test", "https://other.example.test"] {
        let two = Two::start();
        let mut browser = signed_in(&two);
        let page = browser.follow_link(from, WISH);
        assert_eq!(two.other.count(Place::Authorize), 0, "{from} chose the provider: {}", page.way());
        assert_eq!(two.corp.count(Place::Authorize), 2, "{from}: {}", page.way());
        let asked = two.corp.last(Place::Authorize);
        assert_eq!((asked.query("prompt"), asked.query("login_hint")), (None, None), "{from}");
    }
}

#[test]
fn r69_a_page_of_ours_and_the_address_bar_choose_freely() {
    for from in [Some("https://apps.example.test"), None] {
        let two = Two::start();
        let mut browser = signed_in(&two);
        match from {
            Some(from) => browser.follow_link(from, WISH),
            None => browser.navigate(WISH),
        };
        assert_eq!(two.other.count(Place::Authorize), 1, "{from:?}");
        let asked = two.other.last(Place::Authorize);
        assert_eq!(asked.query("prompt").as_deref(), Some("login"), "{from:?}");
        assert_eq!(asked.query("login_hint").as_deref(), Some("mallory"), "{from:?}");
    }
}

#[test]
fn r69_who_is_not_signed_in_may_be_sent_to_a_provider_by_a_portal() {
    let two = Two::start();
    two.gateway.browser().follow_link("https://portal.test", WISH);
    let asked = two.other.last(Place::Authorize);
    assert_eq!(asked.query("login_hint").as_deref(), Some("mallory"));
}

#[test]
fn r4_acr_values_that_are_too_long_are_refused_before_the_provider() {
    let setting = Setting::new();
    let words: Vec<String> = (0..60).map(|n| format!("level{n}")).collect();
    for (values, status) in [
        ("a".repeat(256), 302),
        ("a".repeat(257), 400),
        ("a".repeat(3000), 400),
        (words[..32].join("+"), 302),
        (words.join("+"), 400),
        ("%20".repeat(257), 400),
    ] {
        let answer = setting.browser().open(&format!("/bff/login?acr_values={values}"));
        assert_eq!(answer.status, status, "{} bytes: {}", values.len(), answer.text());
    }
    assert_eq!(setting.provider.count(Place::Authorize), 0);
    // The longest that is let through comes all the way back.
    setting.provider.make_id_token(|f| f.with("acr", json!("a".repeat(256))));
    let mut browser = setting.browser();
    let page = browser.navigate(&format!("/bff/login?acr_values={}&return_to=/", "a".repeat(256)));
    setting.assert_signed_in(&browser, &page);
}

#[test]
fn r4_state_is_never_longer_than_1024_characters() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    // What grows when it is written down, and what does not.
    let pieces = ["x", "%20", "%C3%A9", "%22", "'", "/y", "~", "%25"];
    let mut longest = 0;
    for (round, acr) in ["", "&acr_values="].into_iter().enumerate() {
        let acr = if acr.is_empty() { String::new() } else { format!("{acr}{}", "b+".repeat(127)) };
        for step in 0..48_usize {
            // A walk over all lengths up to far beyond the limit, dense where `state` fills up.
            let length = if step < 32 { 380 + step * 9 + round } else { (step - 31) * 173 };
            let piece = pieces[step % pieces.len()];
            let text = piece.repeat(length / piece.len());
            let target = if step % 2 == 0 { format!("/w/?q={text}") } else { format!("/w{text}") };
            let wish: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
            let before = setting.provider.count(Place::Authorize);
            browser.up_to_callback(&format!("/bff/login?return_to={wish}{acr}&max_age=99999"));
            assert_eq!(setting.provider.count(Place::Authorize), before + 1);
            let state = setting.provider.last(Place::Authorize).query("state").unwrap();
            assert!(state.len() <= 1024, "{} characters for {length} of {piece:?}", state.len());
            longest = longest.max(state.len());
        }
    }
    assert!(longest > 900, "the limit was never near: {longest}");
}

#[test]
fn r10_tokens_that_have_expired_at_birth_end_on_a_page() {
    let setting = Setting::new();
    setting.provider.bend_token(|answer| answer["expires_in"] = json!(0));
    let mut browser = setting.browser();
    let page = browser.navigate("/api/x");
    assert_eq!(page.answer.status, 502, "{}", page.way());
    assert_eq!(page.url.path(), "/api/x", "{}", page.way());
    assert_eq!(setting.provider.count(Place::Token), 1, "{}", page.way());
    assert_eq!(setting.upstream.count(), 0);
    // Pages without a token go on, and asking again is no loop either.
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200);
    assert_eq!(browser.open("/api/x").status, 502);
    assert_eq!(setting.provider.count(Place::Token), 1);
    setting.clock.advance(Duration::from_secs(60));
    let page = browser.navigate("/api/x");
    assert_eq!(page.answer.status, 502, "{}", page.way());
    assert_eq!(setting.provider.count(Place::Token), 2, "{}", page.way());
    // A provider that has been mended is found mended.
    setting.provider.behave();
    setting.clock.advance(Duration::from_secs(60));
    assert_eq!(browser.navigate("/api/x").answer.status, 200);
}
