//! Attacks on the login (A1 to A6).
//!
//! I own: what an attacker does with the callbacks, codes and cookies of others.

use crate::it::house::provider::script::{Canned, Place};
use crate::it::house::setting::Setting;
use serde_json::json;
use std::thread;
use url::Url;

/// The codes that the provider was asked to redeem.
fn redeemed(setting: &Setting) -> Vec<String> {
    setting.provider.calls(Place::Token).iter().filter_map(|call| call.form("code")).collect()
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned()).unwrap()
}

fn with_parameter(url: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let mut changed = url.clone();
    changed
        .query_pairs_mut()
        .clear()
        .extend_pairs(pairs.iter().map(|(n, v)| (n.as_str(), if n == name { value } else { v.as_str() })));
    changed
}

#[test]
fn r4_r6_a1_an_attackers_callback_signs_no_victim_in() {
    let setting = Setting::new();
    setting.provider.person(json!({"sub": "mallory"}));
    let callback = setting.browser().up_to_callback("/");
    setting.provider.behave();
    let code = parameter(&callback, "code");

    let mut victim = setting.browser();
    let answer = victim.open(callback.as_str());
    assert!(!setting.has_session(&victim), "{}", answer.status);
    assert!(!redeemed(&setting).contains(&code));

    // A victim who has begun a login of their own, in the same browser, is no better target.
    let mut victim = setting.browser();
    victim.up_to_callback("/");
    victim.open(callback.as_str());
    assert!(!setting.has_session(&victim));
    assert!(!redeemed(&setting).contains(&code));

    // Nor is one who is signed in: the session stays theirs.
    let mut victim = setting.signed_in();
    let before = setting.session_cookie(&victim);
    victim.navigate(callback.as_str());
    assert!(!redeemed(&setting).contains(&code));
    assert_eq!(setting.session_cookie(&victim), before);
    victim.navigate("/");
    assert_eq!(setting.upstream.last().head.header("remote-user"), Some("alice-0001"));
}

#[test]
fn r50_a2_a_planted_session_does_not_survive_a_login() {
    let setting = Setting::new();
    setting.provider.person(json!({"sub": "mallory"}));
    let mut attacker = setting.browser();
    attacker.navigate("/");
    setting.provider.behave();

    let planted = setting.session_cookie(&attacker);
    let mut victim = setting.browser();
    victim.jar.plant("apps.example.test", "__Host-keycard", &planted);
    victim.navigate("/bff/login?return_to=/");
    assert_ne!(setting.session_cookie(&victim), planted);
    assert_eq!(setting.upstream.last().head.header("remote-user"), Some("alice-0001"));
    // Another person signed in over it, and so the old session is over at once.
    assert_eq!(attacker.fetch("GET", "/", &[], b"").status, 401);
}

#[test]
fn a2_a_planted_unknown_ticket_is_worthless_afterwards() {
    let setting = Setting::new();
    let planted = "p".repeat(43);
    let mut victim = setting.browser();
    victim.jar.plant("apps.example.test", "__Host-keycard", &planted);
    let page = victim.navigate("/");
    setting.assert_signed_in(&victim, &page);
    let mut attacker = setting.browser();
    attacker.jar.plant("apps.example.test", "__Host-keycard", &planted);
    assert_eq!(attacker.fetch("GET", "/", &[], b"").status, 401);
}

#[test]
fn r4_a3_a_callback_is_good_once() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/wiki/");
    let page = browser.navigate(callback.as_str());
    setting.assert_signed_in(&browser, &page);

    // The same browser, by its back button: on to the page.
    let before = setting.session_cookie(&browser);
    let page = browser.navigate(callback.as_str());
    setting.assert_signed_in(&browser, &page);
    assert_eq!(setting.session_cookie(&browser), before);
    assert_eq!(redeemed(&setting).len(), 1);

    // Another browser.
    let mut thief = setting.browser();
    thief.open(callback.as_str());
    assert!(!setting.has_session(&thief));
    assert_eq!(redeemed(&setting).len(), 1);

    // The same browser without its session, but with its binding.
    browser.jar.remove("__Host-keycard");
    browser.open(callback.as_str());
    assert!(!setting.has_session(&browser));
    assert_eq!(redeemed(&setting).len(), 1);
}

#[test]
fn r4_a3_a_failed_callback_is_used_up_too() {
    let setting = Setting::new();
    let refusal = br#"{"error":"invalid_grant"}"#.to_vec();
    let json = vec![("Content-Type", "application/json".to_owned())];
    setting.provider.can(Place::Token, Canned::Reply(400, json, refusal));
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/");
    let answer = browser.open(callback.as_str());
    assert!((400..600).contains(&answer.status), "{}", answer.status);
    setting.provider.behave();
    let code = parameter(&callback, "code");
    browser.open(callback.as_str());
    assert!(!setting.has_session(&browser));
    assert_eq!(redeemed(&setting).iter().filter(|one| **one == code).count(), 1);
}

#[test]
fn r4_a3_an_error_uses_a_login_up_as_well() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/");
    let mut refused = callback.clone();
    refused
        .query_pairs_mut()
        .clear()
        .append_pair("error", "access_denied")
        .append_pair("state", &parameter(&callback, "state"))
        .append_pair("iss", &parameter(&callback, "iss"));
    assert!((400..500).contains(&browser.open(refused.as_str()).status));
    browser.open(callback.as_str());
    assert!(!setting.has_session(&browser));
    assert_eq!(redeemed(&setting).len(), 0);
}

#[test]
fn r4_a3_fifty_at_once_make_one_exchange() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/");
    let sessions: usize = thread::scope(|scope| {
        let tries: Vec<_> = (0..50)
            .map(|_| {
                let (mut clone, callback) = (browser.clone(), callback.clone());
                scope.spawn(move || {
                    clone.open(callback.as_str());
                    usize::from(clone.jar.get("__Host-keycard").is_some())
                })
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!((redeemed(&setting).len(), sessions), (1, 1));
}

#[test]
fn r5_a4_an_id_token_of_an_earlier_login_is_rejected() {
    let setting = Setting::new();
    setting.signed_in();
    setting.upstream.forget();
    setting.provider.make_id_token(|f| f.previous.clone().unwrap());
    let mut browser = setting.browser();
    let page = browser.navigate("/");
    assert_eq!(setting.refused(&browser, &page), Ok(()));
}

#[test]
fn r3_a6_a_stolen_code_is_worthless_in_another_login() {
    for ignore_pkce in [false, true] {
        let setting = Setting::new();
        setting.provider.script(|script| script.ignore_pkce = ignore_pkce);
        let stolen = setting.browser().up_to_callback("/");
        let mut attacker = setting.browser();
        let own = attacker.up_to_callback("/");
        let injected = with_parameter(&own, "code", &parameter(&stolen, "code"));
        let page = attacker.navigate(injected.as_str());
        assert_eq!(setting.refused(&attacker, &page), Ok(()), "PKCE ignored: {ignore_pkce}");
        // Either the provider refused the verifier, or the nonce gave it away.
        assert_eq!(redeemed(&setting).len(), 1);
        assert_eq!(setting.provider.complaints().len(), usize::from(!ignore_pkce));
    }
}
