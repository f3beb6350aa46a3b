//! UserInfo may add to a person, and never make one (R19, A15).
//!
//! I own: the judgement that a hostile UserInfo answer was discarded: either nobody is signed in, or the person is
//! still the one of the ID token.

use crate::it::house::provider::script::{Canned, Place};
use crate::it::house::setting::Setting;
use serde_json::{Value, json};

/// Signs in and reports what the upstream was told, if anybody got that far.
fn told(setting: &Setting) -> Option<(Option<String>, Option<String>)> {
    setting.upstream.forget();
    let mut browser = setting.browser();
    let page = browser.navigate("/");
    if !setting.is_signed_in(&browser, &page) {
        assert_eq!(setting.refused(&browser, &page), Ok(()));
        return None;
    }
    let head = setting.upstream.last().head;
    let header = |name: &str| head.header(name).map(str::to_owned);
    Some((header("remote-user"), header("remote-name")))
}

#[test]
fn r19_a15_userinfo_of_somebody_else_is_discarded() {
    type Row = (&'static str, fn(&mut Value));
    let rows: [Row; 7] = [
        ("oidcc-client-test-userinfo-invalid-sub", |claims| claims["sub"] = json!("mallory")),
        ("sub in another case", |claims| claims["sub"] = json!("ALICE-0001")),
        ("sub as an array", |claims| claims["sub"] = json!(["alice-0001"])),
        ("sub as a number", |claims| claims["sub"] = json!(1)),
        ("empty sub", |claims| claims["sub"] = json!("")),
        ("missing sub", |claims| drop(claims.as_object_mut().unwrap().remove("sub"))),
        ("an array", |claims| *claims = json!([claims.clone()])),
    ];
    for (name, bend) in rows {
        let setting = Setting::new();
        setting.provider.make_id_token(|f| f.sign());
        setting.provider.bend_userinfo(move |claims| {
            claims["name"] = json!("Mallory");
            bend(claims);
        });
        if let Some((user, name_told)) = told(&setting) {
            assert_eq!(user.as_deref(), Some("alice-0001"), "{name}");
            assert_ne!(name_told.as_deref(), Some("Mallory"), "{name}");
        }
    }
}

#[test]
fn r18_r19_a15_userinfo_never_overrides_the_id_token() {
    let setting = Setting::new();
    setting.provider.bend_userinfo(|claims| {
        claims["name"] = json!("Mallory");
        claims["iss"] = json!("https://evil.test");
        claims["acr"] = json!("gold");
    });
    let (user, name) = told(&setting).expect("the subject is right: the login goes on");
    assert_eq!((user.as_deref(), name.as_deref()), (Some("alice-0001"), Some("Alice Example")));
}

#[test]
fn a15_a_dotted_claim_of_userinfo_does_not_speak_over_the_id_token() {
    let setting =
        Setting::with(|plan| plan.identity_extra("user_id = \"profile.uid\"\nname = \"profile.call.name\""));
    setting.provider.person(json!({"profile": {"uid": "alice", "call": {"name": "Alice"}}}));
    setting.provider.bend_userinfo(|claims| {
        for name in ["profile.uid", "profile.call.name", "profile.call"] {
            claims[name] = json!("root");
        }
    });
    let (user, name) = told(&setting).expect("a login");
    assert_eq!((user.as_deref(), name.as_deref()), (Some("alice"), Some("Alice")));
    // What shadows nothing is an honest claim, dots or not.
    let setting = Setting::with(|plan| plan.identity_extra("name = \"https://corp.example/name\""));
    setting.provider.bend_userinfo(|claims| claims["https://corp.example/name"] = json!("Alice"));
    let (_, name) = told(&setting).expect("a login");
    assert_eq!(name.as_deref(), Some("Alice"));
}

#[test]
fn r19_userinfo_adds_what_the_id_token_leaves_out() {
    let setting = Setting::new();
    setting.provider.make_id_token(|f| {
        f.without("name");
        f.without("email")
    });
    let (_, name) = told(&setting).expect("a login");
    assert_eq!(name.as_deref(), Some("Alice Example"));
}

#[test]
fn r19_a15_userinfo_that_is_no_answer_is_discarded() {
    let html = vec![("Content-Type", "text/html".to_owned())];
    let json = vec![("Content-Type", "application/json".to_owned())];
    let twice = br#"{"sub":"mallory","name":"Mallory","sub":"alice-0001"}"#.to_vec();
    let fine = br#"{"sub":"alice-0001","name":"Mallory"}"#.to_vec();
    let huge = format!("{{\"sub\":\"alice-0001\",\"name\":\"Mallory\",\"x\":\"{}\"}}", "x".repeat(20 << 20));
    let away = vec![("Location", "http://localhost:9/canary".to_owned())];
    for (name, canned) in [
        ("two subs", Canned::Reply(200, json.clone(), twice)),
        ("HTML", Canned::Reply(200, html, fine.clone())),
        ("20 MiB", Canned::Reply(200, json.clone(), huge.into_bytes())),
        ("no JSON", Canned::Reply(200, json.clone(), b"{".to_vec())),
        ("401", Canned::Reply(401, json.clone(), fine.clone())),
        ("500", Canned::Reply(500, json, fine)),
        ("a redirect", Canned::Reply(302, away, Vec::new())),
        ("silence", Canned::HangUp),
    ] {
        let setting = Setting::new();
        setting.provider.can(Place::UserInfo, canned);
        if let Some((user, name_told)) = told(&setting) {
            assert_eq!(user.as_deref(), Some("alice-0001"), "{name}");
            assert_ne!(name_told.as_deref(), Some("Mallory"), "{name}");
        }
    }
}

#[test]
fn r19_the_access_token_goes_in_the_header_and_nowhere_else() {
    let setting = Setting::new();
    setting.signed_in();
    let call = setting.provider.last(Place::UserInfo);
    assert!(call.head.header("authorization").is_some_and(|value| value.starts_with("Bearer ")));
    assert_eq!((call.head.target.as_str(), call.body.as_str()), ("/userinfo", ""));
}
