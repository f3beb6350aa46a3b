//! The gateway's own endpoints (R43, R56, R58, R59, R63, R67, R86, R88, A25).
//!
//! I own: `user`, `logout`, `login` as a page sees them. What a login does is in `login.rs`.

use super::house::browser::{EVIL, SIBLING};
use super::house::provider::script::Place;
use super::house::setting::Setting;
use serde_json::{Value, json};

fn no_store(answer: &super::house::raw::Answer) -> bool {
    answer.header("cache-control").is_some_and(|value| value.contains("no-store"))
}

/// The members of an object, in alphabetical order.
fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn r43_r58_r59_user_says_who_is_there_and_nothing_more() {
    let setting = Setting::with(|plan| plan.session_extra("idle_timeout = \"30m\"\nlifetime = \"10h\""));
    let mut browser = setting.signed_in();
    let answer = browser.fetch("GET", "/bff/user", &[], b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert!(no_store(&answer));
    let body = answer.json();
    assert_eq!(names(&body), ["logout_url", "session", "user"]);
    assert_eq!(
        body["user"],
        json!({
            "id": "alice-0001",
            "name": "Alice Example",
            "email": "alice@example.test",
            "roles": ["editor", "staff"],
            "claims": {"department": "ward 7"},
        })
    );
    assert_eq!(names(&body["session"]), ["acr", "ends", "idle_until", "provider", "started"]);
    assert_eq!((&body["session"]["provider"], &body["session"]["acr"]), (&json!("corp"), &Value::Null));
    let moment = |name: &str| {
        let text = body["session"][name].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(text)
            .unwrap_or_else(|e| panic!("{name} {text}: {e}"))
            .timestamp()
    };
    let now = setting.clock.unix();
    assert_eq!((moment("started"), moment("ends")), (now, now + 36_000));
    assert!((1800..=1900).contains(&(moment("idle_until") - now)));
    let logout = body["logout_url"].as_str().unwrap();
    assert!(logout.contains("/bff/logout?sid="), "{logout}");
}

#[test]
fn r59_r67_user_without_a_session_is_a_401() {
    let setting = Setting::new();
    for mut browser in [setting.browser(), {
        let mut browser = setting.browser();
        browser.jar.plant("apps.example.test", "__Host-keycard", &"x".repeat(43));
        browser
    }] {
        let answer = browser.fetch("GET", "/bff/user", &[], b"");
        assert_eq!((answer.status, answer.header("content-type")), (401, Some("application/problem+json")));
        assert_eq!(names(&answer.json()), ["correlation_id", "login_url", "status", "title", "type"]);
        assert!(no_store(&answer));
        // Even a navigation is told, not sent away: this is an endpoint for scripts.
        assert_eq!(browser.open("/bff/user").status, 401);
    }
}

#[test]
fn r61_r62_user_is_not_for_other_sites() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    for from in [EVIL, SIBLING] {
        for (mode, dest) in [("cors", "empty"), ("no-cors", "script"), ("no-cors", "image")] {
            let answer = browser.foreign(from, "GET", "/bff/user", mode, dest);
            assert!((400..500).contains(&answer.status), "{from:?} {mode}: {}", answer.status);
            assert!(!answer.text().contains("alice"));
        }
    }
}

#[test]
fn r56_r58_r86_logout_ends_the_session_first_and_goes_to_the_provider() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let thief = browser.clone();
    let answer = browser.post_form("/bff/logout", "");
    assert!(answer.status < 400, "{} {}", answer.status, answer.text());
    assert!(no_store(&answer));
    let line = answer.all("set-cookie").into_iter().find(|line| line.starts_with("__Host-keycard=")).unwrap();
    let line = line.to_ascii_lowercase();
    for attribute in ["__host-keycard=;", "max-age=0", "path=/", "secure", "httponly", "samesite=lax"] {
        assert!(line.contains(attribute), "{attribute} in {line}");
    }
    assert!(!setting.has_session(&browser));
    assert_eq!(
        thief.clone().fetch("GET", "/", &[], b"").status,
        401,
        "the record is gone, not just the cookie"
    );

    let to = url::Url::parse(answer.header("location").unwrap()).unwrap();
    assert!(to.as_str().starts_with(&format!("{}/end_session?", setting.provider.issuer())), "{to}");
    let back = to.query_pairs().find(|(name, _)| name == "post_logout_redirect_uri").unwrap().1.into_owned();
    assert!(back.starts_with("https://apps.example.test/"), "{back}");

    // The way back: right state, wrong state, none; always a page, never an error, never a way out.
    let state = to.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned());
    let joint = if back.contains('?') { '&' } else { '?' };
    let right = format!("{back}{joint}state={}", state.unwrap_or_default());
    for target in [right.clone(), right, format!("{back}{joint}state=wrong"), back] {
        let page = browser.navigate(&target);
        assert!(page.answer.status < 400, "{target}: {}", page.way());
        assert_eq!(page.url.origin(), browser.url("/").origin());
    }
    assert!(!setting.has_session(&browser));
}

#[test]
fn r43_a_script_that_signs_out_reads_no_token() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let answer = browser.fetch("POST", "/bff/logout", &[], b"");
    assert_eq!(answer.status, 200);
    let body: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    let to = url::Url::parse(body["end_session_url"].as_str().unwrap()).unwrap();
    assert!(!to.query_pairs().any(|(name, _)| name == "id_token_hint"), "{to}");
    assert!(to.query_pairs().any(|(name, _)| name == "client_id"));
    assert!(!setting.has_session(&browser));
}

#[test]
fn r56_id_token_hint_can_be_left_out() {
    let setting = Setting::with(|plan| plan.provider_extra("id_token_hint = false"));
    let mut browser = setting.signed_in();
    let answer = browser.post_form("/bff/logout", "");
    let to = url::Url::parse(answer.header("location").unwrap()).unwrap();
    assert!(!to.query_pairs().any(|(name, _)| name == "id_token_hint"));
    assert!(to.query_pairs().any(|(name, value)| name == "client_id" && value == "keycard+rp:1%x"));
}

#[test]
fn r86_without_an_end_session_endpoint_logout_is_local() {
    let setting = Setting::bent(
        |provider| {
            provider.bend_discovery(|metadata| {
                drop(metadata.as_object_mut().unwrap().remove("end_session_endpoint"));
            });
        },
        |_| {},
    );
    let mut browser = setting.signed_in();
    let page = browser.submit("/bff/logout", "");
    assert!(page.answer.status < 400, "{}", page.way());
    assert_eq!(page.url.origin(), browser.url("/").origin());
    assert!(!setting.has_session(&browser));
}

#[test]
fn r88_logout_is_idempotent() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let mut again = browser.clone();
    assert!(browser.fetch("POST", "/bff/logout", &[], b"").status < 400);
    let second = again.fetch("POST", "/bff/logout", &[], b"");
    assert!(second.status < 500, "{}", second.status);
    assert!(!setting.has_session(&again));
    assert!(setting.browser().fetch("POST", "/bff/logout", &[], b"").status < 500);
}

#[test]
fn r61_r63_a25_nobody_else_can_sign_a_person_out() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    for from in [EVIL, SIBLING] {
        for (method, mode, dest) in [
            ("POST", "navigate", "document"),
            ("POST", "no-cors", "empty"),
            ("POST", "cors", "empty"),
            ("GET", "no-cors", "image"),
            ("GET", "navigate", "iframe"),
            ("GET", "navigate", "document"),
        ] {
            for path in ["/bff/logout", "/bff/logout?sid=guessed", "/bff/logout?sid="] {
                let mut clone = browser.clone();
                clone.foreign(from, method, path, mode, dest);
                assert_eq!(
                    browser.fetch("GET", "/", &[], b"").status,
                    200,
                    "{method} {mode} {path} from {from:?}"
                );
            }
        }
    }
}

#[test]
fn r63_get_logout_asks_unless_it_shows_the_sid() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let page = browser.open("/bff/logout");
    assert_eq!(page.status, 200, "a page with a button");
    assert!(page.text().contains("<form") && no_store(&page));
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200, "GET alone ends nothing");
    let url = browser.fetch("GET", "/bff/user", &[], b"").json()["logout_url"].as_str().unwrap().to_owned();
    let page = browser.follow_link("https://apps.example.test", &url);
    assert!(page.answer.status < 400, "{}", page.way());
    assert_eq!(setting.provider.count(Place::EndSession), 1);
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 401);
}

#[test]
fn r63_login_by_get_changes_nothing_for_who_is_signed_in() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let before = setting.session_cookie(&browser);
    for from in [EVIL, SIBLING] {
        browser.foreign(from, "GET", "/bff/login?return_to=/", "navigate", "document");
        browser.foreign(from, "GET", "/bff/login?return_to=/", "no-cors", "image");
    }
    assert_eq!(setting.session_cookie(&browser), before);
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200);
}

#[test]
fn r58_everything_under_the_prefix_is_not_to_be_stored() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/");
    for target in
        ["/bff/login", "/bff/login?return_to=/x", "/bff/logout", "/bff/user", "/bff/callback", "/bff/nowhere"]
    {
        assert!(no_store(&browser.clone().open(target)), "{target}");
    }
    assert!(no_store(&browser.open(callback.as_str())));
    for target in ["/bff/login", "/bff/logout", "/bff/user"] {
        assert!(no_store(&browser.clone().open(target)), "{target}, signed in");
    }
}

#[test]
fn r58_an_upstreams_caching_is_never_widened() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    setting
        .upstream
        .answer_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: private, max-age=5\r\n\r\nok");
    let answer = browser.fetch("GET", "/inside", &[], b"");
    let control = answer.all("cache-control").join(", ");
    assert!(control.contains("private") || control.contains("no-store"), "{control}");
    assert!(!control.contains("public"), "{control}");
}

#[test]
fn r68_own_pages_cannot_be_framed_or_sniffed() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    for answer in
        [browser.open("/bff/logout"), browser.open("/bff/callback?state=x"), browser.open("/admin/x")]
    {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", answer.status);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
    }
}

#[test]
fn r58_a_path_under_the_prefix_never_reaches_an_upstream() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    setting.upstream.forget();
    for target in ["/bff", "/bff/", "/bff/nowhere", "/bff/user/x", "/bff/login/x"] {
        let answer = browser.fetch("GET", target, &[], b"");
        assert!((400..500).contains(&answer.status), "{target}: {}", answer.status);
    }
    assert_eq!(setting.upstream.count(), 0);
}
