//! Hostile metadata (R21, A7, A8, A18).
//!
//! I own: discovery documents that point elsewhere or promise too little, and the judgement that no secret and no
//! code follows them.

use crate::it::house::clock::ManualClock;
use crate::it::house::provider::Provider;
use crate::it::house::provider::script::{Canned, Place};
use crate::it::house::setting::Setting;
use serde_json::{Value, json};

/// Signs in against bent metadata; the login has to fail, and nobody may have been told a secret.
fn refused(name: &str, stranger: &Provider, bend: impl Fn(&mut Value) + Send + Sync + 'static) -> Setting {
    let setting = Setting::bent(|provider| provider.bend_discovery(bend), |_| {});
    let mut browser = setting.browser();
    let page = browser.navigate("/");
    assert_eq!(setting.refused(&browser, &page), Ok(()), "{name}");
    assert_eq!(stranger.count(Place::Canary), 0, "{name}: the stranger was called");
    setting
}

#[test]
fn r21_discovery_issuer_mismatch_stops_before_the_authorization_request() {
    let clock = ManualClock::new();
    let stranger = Provider::start(&clock);
    for issuer in ["https://evil.test", "", "http://127.0.0.1"] {
        let setting = refused(issuer, &stranger, move |metadata| metadata["issuer"] = json!(issuer));
        assert_eq!(setting.provider.count(Place::Authorize), 0, "{issuer}");
    }
    for (name, bend) in [
        (
            "a trailing slash",
            (|m| m["issuer"] = json!(format!("{}/", m["issuer"].as_str().unwrap()))) as fn(&mut Value),
        ),
        ("no issuer", |m| drop(m.as_object_mut().unwrap().remove("issuer"))),
        ("an array", |m| m["issuer"] = json!([m["issuer"].clone()])),
    ] {
        let setting = refused(name, &stranger, bend);
        assert_eq!(setting.provider.count(Place::Authorize), 0, "{name}");
    }
}

#[test]
fn r21_a8_endpoints_elsewhere_are_never_called() {
    let clock = ManualClock::new();
    let stranger = Provider::start(&clock);
    // Another host, though the same machine.
    let elsewhere = stranger.issuer().replace("127.0.0.1", "localhost") + "/canary";
    for endpoint in ["token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        for url in [
            elsewhere.as_str(),
            "http://169.254.169.254/latest/meta-data",
            "http://idp.example.test/canary",
            "file:///etc/passwd",
            "ftp://127.0.0.1/x",
            "javascript:alert(1)",
            "not a url",
            "",
        ] {
            let target = url.to_owned();
            let setting = Setting::bent(|p| p.bend_discovery(move |m| m[endpoint] = json!(target)), |_| {});
            let mut browser = setting.browser();
            let page = browser.navigate("/");
            let verdict = setting.refused(&browser, &page);
            // A login may go on without a UserInfo endpoint that nobody can use.
            let spared = endpoint == "userinfo_endpoint" && setting.is_signed_in(&browser, &page);
            assert!(spared || verdict.is_ok(), "{endpoint} at {url}: {verdict:?}");
            assert_eq!(stranger.count(Place::Canary), 0, "{endpoint} at {url}");
        }
    }
}

#[test]
fn r21_a8_the_browser_is_not_sent_to_a_strange_authorization_endpoint() {
    let clock = ManualClock::new();
    let stranger = Provider::start(&clock);
    for url in ["javascript:alert(1)", "file:///etc/passwd", "", "/relative", "data:text/html,x"] {
        refused(url, &stranger, move |metadata| metadata["authorization_endpoint"] = json!(url));
    }
}

#[test]
fn r21_a8_redirects_are_not_followed() {
    let clock = ManualClock::new();
    let stranger = Provider::start(&clock);
    for place in [Place::Discovery, Place::Jwks, Place::Token] {
        for status in [301, 302, 307, 308] {
            let away = vec![("Location", format!("{}/canary", stranger.issuer()))];
            let setting = Setting::bent(|p| p.can(place, Canned::Reply(status, away, Vec::new())), |_| {});
            let mut browser = setting.browser();
            let page = browser.navigate("/");
            assert_eq!(setting.refused(&browser, &page), Ok(()), "{place:?} {status}");
            assert_eq!(stranger.count(Place::Canary), 0, "{place:?} {status}");
        }
    }
}

#[test]
fn r21_a18_documents_that_are_none_are_refused() {
    let json = || vec![("Content-Type", "application/json".to_owned())];
    let huge = format!("{{\"issuer\":\"{}\"}}", "x".repeat(20 << 20)).into_bytes();
    for place in [Place::Discovery, Place::Jwks] {
        for (name, canned) in [
            ("20 MiB", Canned::Reply(200, json(), huge.clone())),
            ("no JSON", Canned::Reply(200, json(), b"<html>".to_vec())),
            ("an array", Canned::Reply(200, json(), b"[]".to_vec())),
            ("empty", Canned::Reply(200, json(), Vec::new())),
            ("500", Canned::Reply(500, json(), b"{}".to_vec())),
            ("404", Canned::Reply(404, json(), b"{}".to_vec())),
            ("silence", Canned::HangUp),
        ] {
            let setting = Setting::bent(|provider| provider.can(place, canned), |_| {});
            let mut browser = setting.browser();
            let page = browser.navigate("/");
            assert_eq!(setting.refused(&browser, &page), Ok(()), "{place:?}: {name}");
        }
    }
}

#[test]
fn r3_a7_pkce_is_s256_whatever_the_metadata_say() {
    for (name, methods) in [
        ("none named", None),
        ("plain only", Some(json!(["plain"]))),
        ("an empty list", Some(json!([]))),
        ("a string", Some(json!("plain"))),
    ] {
        let setting = Setting::bent(
            |provider| {
                provider.bend_discovery(move |metadata| match &methods {
                    Some(methods) => metadata["code_challenge_methods_supported"] = methods.clone(),
                    None => {
                        drop(metadata.as_object_mut().unwrap().remove("code_challenge_methods_supported"))
                    }
                });
            },
            |_| {},
        );
        let mut browser = setting.browser();
        let page = browser.navigate("/");
        if !setting.is_signed_in(&browser, &page) {
            // A gateway may also refuse to work with such a provider.
            assert_eq!(setting.refused(&browser, &page), Ok(()), "{name}");
            continue;
        }
        let asked = setting.provider.last(Place::Authorize);
        assert_eq!(asked.query("code_challenge_method").as_deref(), Some("S256"), "{name}");
        assert!(setting.provider.last(Place::Token).form("code_verifier").is_some(), "{name}");
        assert_eq!(setting.provider.complaints(), Vec::<String>::new(), "{name}");
    }
}
