//! Table T3: what the browser carries back from the provider (R4, R7, R8, R10, A3, A5, A38).
//!
//! I own: rows that bend the parameters of the callback, and their judgement: no token call, no session, an error
//! page that repeats nothing.

use super::house::provider::script::Place;
use super::house::setting::Setting;
use serde_json::json;

type Pairs = Vec<(String, String)>;
type Row = (&'static str, fn(&mut Pairs));

fn set(pairs: &mut Pairs, name: &str, value: &str) {
    for pair in pairs.iter_mut().filter(|pair| pair.0 == name) {
        value.clone_into(&mut pair.1);
    }
}

fn remove(pairs: &mut Pairs, name: &str) {
    pairs.retain(|pair| pair.0 != name);
}

fn add(pairs: &mut Pairs, name: &str, value: &str) {
    pairs.push((name.to_owned(), value.to_owned()));
}

fn get(pairs: &Pairs, name: &str) -> String {
    pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.clone()).unwrap()
}

/// Changes the character at `at` of a text.
fn altered(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

fn alter_state(pairs: &mut Pairs, at: fn(usize) -> usize) {
    let state = get(pairs, "state");
    let changed = altered(&state, at(state.len()));
    set(pairs, "state", &changed);
}

const REFUSED: &[Row] = &[
    ("r4 ensure-authorization-response-with-invalid-missing-state-fails", |p| remove(p, "state")),
    ("r4 ensure-authorization-response-with-invalid-state-fails", |p| set(p, "state", "made-up")),
    ("r4 empty state", |p| set(p, "state", "")),
    ("r4 state changed at its first character", |p| alter_state(p, |_| 0)),
    ("r4 state changed in its middle", |p| alter_state(p, |length| length / 2)),
    ("r4 state changed near its end", |p| alter_state(p, |length| length - 3)),
    ("r4 state cut short", |p| {
        let state = get(p, "state");
        set(p, "state", &state[..state.len() - 1]);
    }),
    ("r4 state with more", |p| {
        let state = format!("{}A", get(p, "state"));
        set(p, "state", &state);
    }),
    ("r4 state with padding", |p| {
        let state = format!("{}=", get(p, "state"));
        set(p, "state", &state);
    }),
    ("r4 state of 100 KiB", |p| set(p, "state", &"A".repeat(30_000))),
    ("r7 state twice, the same", |p| {
        let state = get(p, "state");
        add(p, "state", &state);
    }),
    ("r7 state twice", |p| add(p, "state", "other")),
    ("r7 code twice, the same", |p| {
        let code = get(p, "code");
        add(p, "code", &code);
    }),
    ("r7 code twice", |p| add(p, "code", "other")),
    ("r7 iss twice, the same", |p| {
        let iss = get(p, "iss");
        add(p, "iss", &iss);
    }),
    ("r7 iss twice", |p| add(p, "iss", "https://evil.test")),
    ("r7 error twice", |p| {
        remove(p, "code");
        add(p, "error", "access_denied");
        add(p, "error", "login_required");
    }),
    ("r7 no code", |p| remove(p, "code")),
    ("r7 empty code", |p| set(p, "code", "")),
    ("r8 invalid-authorization-response-iss", |p| set(p, "iss", "https://evil.test")),
    ("r8 remove-authorization-response-iss", |p| remove(p, "iss")),
    ("a5 empty iss", |p| set(p, "iss", "")),
    ("a5 iss with a trailing slash", |p| {
        let iss = format!("{}/", get(p, "iss"));
        set(p, "iss", &iss);
    }),
    ("a5 iss in another case", |p| {
        let iss = get(p, "iss").replace("http", "HTTP");
        set(p, "iss", &iss);
    }),
    ("a5 iss with a default path", |p| {
        let iss = get(p, "iss").replace("127.0.0.1", "127.1");
        set(p, "iss", &iss);
    }),
    ("a38 error and code both", |p| add(p, "error", "access_denied")),
    ("r10 access_denied", |p| {
        remove(p, "code");
        add(p, "error", "access_denied");
    }),
    ("r10 login_required", |p| {
        remove(p, "code");
        add(p, "error", "login_required");
    }),
    ("r10 an unregistered error", |p| {
        remove(p, "code");
        add(p, "error", "<script>alert(1)</script>");
    }),
    ("r10 a description with a script", |p| {
        remove(p, "code");
        add(p, "error", "server_error");
        add(p, "error_description", "<script>alert(1)</script>");
        add(p, "error_uri", "https://evil.test/<script>alert(1)</script>");
    }),
    ("r8 an error from somebody else", |p| {
        remove(p, "code");
        add(p, "error", "access_denied");
        set(p, "iss", "https://evil.test");
    }),
    ("r8 an error without iss", |p| {
        p.clear();
        add(p, "error", "access_denied");
    }),
    ("r7 nothing at all", |p| p.clear()),
];

#[test]
fn r4_r7_r8_r10_bent_responses_never_reach_the_token_endpoint() {
    let setting = Setting::new();
    let mut wrong = Vec::new();
    for (name, bend) in REFUSED {
        setting.provider.bend_callback(*bend);
        let before = setting.provider.count(Place::Token);
        let mut browser = setting.browser();
        let page = browser.navigate("/");
        let text = page.answer.text();
        if let Err(why) = setting.refused(&browser, &page) {
            wrong.push(format!("{name}: {why}"));
        } else if setting.provider.count(Place::Token) != before {
            wrong.push(format!("{name}: a token call"));
        } else if text.contains("<script>alert") || text.contains("evil.test") {
            wrong.push(format!("{name}: the page repeats what a stranger said"));
        } else if !page.answer.header("cache-control").is_some_and(|value| value.contains("no-store")) {
            wrong.push(format!("{name}: the page may be stored"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), REFUSED.len(), wrong.join("\n"));
}

#[test]
fn r7_unknown_parameters_are_ignored() {
    let setting = Setting::new();
    setting.provider.bend_callback(|pairs| {
        add(pairs, "session_state", "x");
        add(pairs, "session_state", "y");
        add(pairs, "error_description", "<b>");
    });
    setting.signed_in();
}

#[test]
fn r8_without_the_promise_a_missing_iss_is_tolerated_and_a_wrong_one_is_not() {
    let quiet = || {
        Setting::bent(
            |provider| {
                provider.bend_discovery(|metadata| {
                    drop(
                        metadata
                            .as_object_mut()
                            .unwrap()
                            .remove("authorization_response_iss_parameter_supported"),
                    );
                });
            },
            |_| {},
        )
    };
    let setting = quiet();
    setting.provider.bend_callback(|pairs| remove(pairs, "iss"));
    setting.signed_in();
    let setting = quiet();
    setting.provider.bend_callback(|pairs| set(pairs, "iss", "https://evil.test"));
    let mut browser = setting.browser();
    let page = browser.navigate("/");
    assert_eq!(setting.refused(&browser, &page), Ok(()));
    assert_eq!(setting.provider.count(Place::Token), 0);
}

#[test]
fn r7_only_the_response_mode_that_was_asked_for_is_accepted() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/");
    let query = callback.query().unwrap().to_owned();
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    let url = browser.url(callback.path());
    let answer = browser.request("POST", &url, &headers, query.as_bytes());
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    assert_eq!(setting.provider.count(Place::Token), 0);
    assert!(!setting.has_session(&browser));
    // The parameters were in the wrong place, and so the login is still there to be finished.
    let page = browser.navigate(callback.as_str());
    setting.assert_signed_in(&browser, &page);
}

/// Answers of the token endpoint that lead to no session (R13, R32, A38).
#[test]
fn a38_unusable_token_responses_sign_nobody_in() {
    type TokenRow = (&'static str, fn(&mut serde_json::Value));
    fn without(answer: &mut serde_json::Value, name: &str) {
        answer.as_object_mut().unwrap().remove(name);
    }
    let refused: &[TokenRow] = &[
        ("missing id_token", |a| without(a, "id_token")),
        ("id_token as an object", |a| a["id_token"] = json!({"sub": "mallory"})),
        ("missing access_token", |a| without(a, "access_token")),
        ("missing token_type", |a| without(a, "token_type")),
        ("token_type mac", |a| a["token_type"] = json!("mac")),
        ("token_type DPoP", |a| a["token_type"] = json!("DPoP")),
        ("an error with status 200", |a| *a = json!({"error": "invalid_grant"})),
        ("an array", |a| *a = json!([a.clone()])),
    ];
    let accepted: &[TokenRow] = &[
        ("token-type-case-insensitivity", |a| a["token_type"] = json!("bEARER")),
        ("token-endpoint-response-without-expires_in", |a| without(a, "expires_in")),
        ("no-scope-in-token-endpoint-response", |a| without(a, "scope")),
        ("no refresh token", |a| without(a, "refresh_token")),
        ("unknown members", |a| a["x"] = json!({"y": 1})),
    ];
    let setting = Setting::new();
    for (name, bend) in refused {
        setting.provider.bend_token(*bend);
        let mut browser = setting.browser();
        let page = browser.navigate("/");
        assert_eq!(setting.refused(&browser, &page), Ok(()), "{name}");
    }
    for (name, bend) in accepted {
        setting.provider.bend_token(*bend);
        let mut browser = setting.browser();
        let page = browser.navigate("/");
        assert!(setting.is_signed_in(&browser, &page), "{name}: {}", page.way());
    }
}
