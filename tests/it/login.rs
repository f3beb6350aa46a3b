//! Signing in, from the browser's side (R1 to R6, R10 to R12, R25, R48 to R53, R60).
//!
//! I own: the honest path and what may be seen on it. Attacks on it are in `login/attacks.rs`, wishes in
//! `login/asking.rs`, tabs in
//! `login/tabs.rs`, hostile metadata in `login/metadata.rs`.

mod asking;
mod attacks;
mod metadata;
mod mix_up;
mod tabs;

use super::house::provider::script::{Canned, Place};
use super::house::provider::{CLIENT_ID, CLIENT_SECRET};
use super::house::setting::Setting;
use std::collections::HashSet;
use std::time::Duration;

/// The attributes of a cookie; their order means nothing (RFC 6265 section 5.2).
fn words(attributes: &str) -> HashSet<&str> {
    attributes.split("; ").collect()
}

#[test]
fn r1_r2_r11_a_login_goes_there_and_back_again() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let page = browser.navigate("/wiki/start?do=edit&x=1");
    setting.assert_signed_in(&browser, &page);
    assert_eq!(page.url.as_str(), "https://apps.example.test/wiki/start?do=edit&x=1");
    assert_eq!(setting.provider.complaints(), Vec::<String>::new());

    let asked = setting.provider.last(Place::Authorize);
    assert_eq!(asked.query("response_type").as_deref(), Some("code"));
    assert_eq!(asked.query("client_id").as_deref(), Some(CLIENT_ID));
    assert_eq!(asked.query("redirect_uri").as_deref(), Some("https://apps.example.test/bff/callback"));
    assert!(asked.query("scope").is_some_and(|scope| scope.split(' ').any(|one| one == "openid")));
    assert!(asked.query("response_mode").is_none_or(|mode| mode == "query"));
    assert_eq!(asked.head.method, "GET");
    assert!(asked.head.header("referer").is_none(), "{:?}", asked.head);

    let redeemed = setting.provider.last(Place::Token);
    assert_eq!(redeemed.form("grant_type").as_deref(), Some("authorization_code"));
    assert_eq!(redeemed.form("redirect_uri"), asked.query("redirect_uri"));

    let arrived = setting.upstream.last().head;
    assert_eq!(arrived.header("remote-user"), Some("alice-0001"));
    assert_eq!(arrived.header("remote-name"), Some("Alice Example"));
    assert_eq!(arrived.header("remote-email"), Some("alice@example.test"));
    assert_eq!(arrived.header("remote-groups"), Some("editor,staff"));
    assert_eq!(arrived.header("cookie"), None);
    assert_eq!(arrived.header("authorization"), None);
}

#[test]
fn r25_both_ways_to_show_the_client_secret() {
    for (extra, header, form) in [
        ("client_auth = \"client_secret_basic\"", true, None),
        ("client_auth = \"client_secret_post\"", false, Some(CLIENT_SECRET)),
    ] {
        let setting = Setting::with(|plan| plan.provider_extra(extra));
        setting.signed_in();
        let call = setting.provider.last(Place::Token);
        assert_eq!(call.head.header("authorization").is_some(), header, "{extra}");
        assert_eq!(call.form("client_secret").as_deref(), form, "{extra}");
        assert_eq!(call.head.query(), [], "{extra}: a secret in a query");
        assert_eq!(setting.provider.complaints(), Vec::<String>::new(), "{extra}");
    }
}

#[test]
fn r3_r4_r5_every_login_has_its_own_verifier_state_and_nonce() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    for _ in 0..5 {
        browser.navigate("/bff/login?return_to=/");
    }
    setting.browser().navigate("/");
    let asked = setting.provider.calls(Place::Authorize);
    let redeemed = setting.provider.calls(Place::Token);
    assert_eq!((asked.len(), redeemed.len()), (6, 6));
    for name in ["state", "nonce", "code_challenge"] {
        let values: HashSet<String> = asked.iter().map(|call| call.query(name).unwrap()).collect();
        assert_eq!(values.len(), 6, "{name} repeats");
        assert!(values.iter().all(|value| value.len() >= 22), "{name} is too short for 128 bits");
    }
    assert!(asked.iter().all(|call| call.query("code_challenge_method").as_deref() == Some("S256")));
    let verifiers: HashSet<String> =
        redeemed.iter().map(|call| call.form("code_verifier").unwrap()).collect();
    assert_eq!(verifiers.len(), 6);
    for verifier in verifiers {
        assert!((43..=128).contains(&verifier.len()));
        assert!(verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)));
    }
}

#[test]
fn r4_a_login_ends_after_ten_minutes() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/");
    setting.clock.advance(Duration::from_secs(601));
    let answer = browser.open(callback.as_str());
    assert!(!setting.has_session(&browser), "{}", answer.status);
    assert_eq!(setting.provider.count(Place::Token), 0);
}

#[test]
fn r11_r58_the_callback_leaves_no_trace_of_the_code() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/wiki/");
    let answer = browser.open(callback.as_str());
    assert!(matches!(answer.status, 302 | 303), "{}", answer.status);
    let location = answer.header("location").unwrap();
    assert!(location == "/wiki/" || location == "https://apps.example.test/wiki/", "{location}");
    assert!(answer.header("cache-control").is_some_and(|value| value.contains("no-store")));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}

#[test]
fn r12_a_return_path_survives_and_a_stranger_does_not() {
    for (asked, landed) in [("/wiki/a%20b?q=%C3%A9&r=a%2Fb", "/wiki/a%20b?q=%C3%A9&r=a%2Fb"), ("/", "/")] {
        let setting = Setting::new();
        let mut browser = setting.browser();
        let page = browser.navigate(asked);
        assert_eq!(page.url.as_str(), format!("https://apps.example.test{landed}"), "{}", page.way());
    }
    let setting = Setting::new();
    let mut browser = setting.browser();
    let page = browser.navigate(&format!("/wiki/?q={}", "x".repeat(1500)));
    setting.assert_signed_in(&browser, &page);
    assert_eq!(page.url.path(), "/wiki/", "a return path that does not fit falls back to the path");
    let page = setting.browser().navigate(&format!("/wiki/?q={}", "x".repeat(5000)));
    assert_eq!((page.url.host_str(), page.answer.status), (Some("apps.example.test"), 200), "{}", page.way());
}

#[test]
fn r49_r51_r53_the_cookie_byte_for_byte() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/");
    let login = browser.jar.get("__Host-keycard-login").expect("no binding cookie").clone();
    let answer = browser.open(callback.as_str());
    let lines: Vec<&str> =
        answer.all("set-cookie").into_iter().filter(|line| line.starts_with("__Host-keycard=")).collect();
    assert_eq!(lines.len(), 1, "{:?}", answer.headers);
    assert!(!lines[0].to_ascii_lowercase().contains("domain"), "{}", lines[0]);
    let cookie = browser.jar.get("__Host-keycard").expect("no session cookie");
    assert_eq!(words(&cookie.attributes), words("HttpOnly; Secure; SameSite=Lax; Path=/"));
    for word in ["HttpOnly", "Secure", "Path=/"] {
        assert!(
            words(&login.attributes).contains(word),
            "the binding cookie lacks {word}: {}",
            login.attributes
        );
    }
}

#[test]
fn r49_r53_the_session_cookie_is_under_128_bytes() {
    let setting = Setting::new();
    let browser = setting.signed_in();
    let cookie = browser.jar.get("__Host-keycard").unwrap();
    let length = cookie.name.len() + 1 + cookie.value.len();
    assert!(length < 128, "{length} bytes");
    assert!(cookie.value.len() >= 22, "too short for 128 bits");
}

#[test]
fn r52_on_plain_http_the_cookie_is_plain_and_only_on_loopback() {
    let setting = Setting::with(|plan| plan.public_url = "http://localhost".into());
    let browser = setting.signed_in();
    let cookie = browser.jar.get("keycard").expect("no session cookie");
    assert_eq!(words(&cookie.attributes), words("HttpOnly; SameSite=Lax; Path=/"));
    let setting = Setting::new();
    let mut plan = super::house::setting::usual_plan(&setting.upstream);
    plan.provider("corp", &setting.provider, "");
    plan.public_url = "http://apps.example.test".into();
    assert!(plan.try_start(&setting.clock).is_err(), "plain http outside loopback needs `dev`");
}

#[test]
fn r50_a_new_cookie_at_every_login() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let mut seen = HashSet::new();
    for _ in 0..4 {
        browser.navigate("/bff/login?return_to=/");
        assert!(seen.insert(setting.session_cookie(&browser)), "a session cookie repeats");
    }
}

#[test]
fn r49_unknown_tickets_are_never_adopted() {
    let setting = Setting::new();
    for value in ["A".repeat(43), "A".repeat(64), "0".repeat(118)] {
        let mut browser = setting.browser();
        browser.jar.plant("apps.example.test", "__Host-keycard", &value);
        assert_eq!(browser.fetch("GET", "/", &[], b"").status, 401, "{value}");
        browser.jar.plant("apps.example.test", "__Host-keycard", &value);
        let page = browser.navigate("/");
        setting.assert_signed_in(&browser, &page);
        assert_ne!(setting.session_cookie(&browser), value);
    }
}

#[test]
fn r10_a_browser_without_cookies_gets_a_page_and_no_loop() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    browser.forgetful = true;
    let page = browser.navigate("/");
    assert!((400..500).contains(&page.answer.status), "{}", page.way());
    assert!(setting.provider.count(Place::Authorize) <= 5, "{}", page.way());
    assert_eq!(setting.provider.count(Place::Token), 0);
}

#[test]
fn r22_a_provider_that_is_down_stops_logins_and_nothing_else() {
    let setting = Setting::bent(|provider| provider.can(Place::Discovery, Canned::HangUp), |_| {});
    let mut browser = setting.browser();
    let page = browser.navigate("/");
    assert_eq!(page.answer.status, 503, "{}", page.way());
    assert_eq!(browser.fetch("GET", "/public/x", &[], b"").status, 200);
    setting.provider.behave();
    setting.clock.advance(Duration::from_secs(120));
    let page = browser.navigate("/");
    setting.assert_signed_in(&browser, &page);
    for place in [Place::Discovery, Place::Jwks, Place::Token, Place::UserInfo] {
        setting.provider.can(place, Canned::HangUp);
    }
    setting.clock.advance(Duration::from_secs(120));
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200, "a session goes on without its provider");
}

#[test]
fn r48_the_id_token_is_kept_byte_for_byte() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let answer = browser.post_form("/bff/logout", "");
    let location = answer.header("location").map(str::to_owned);
    let target = location.unwrap_or_else(|| panic!("{} {}", answer.status, answer.text()));
    let url = url::Url::parse(&target).unwrap();
    let hint =
        url.query_pairs().find(|(name, _)| name == "id_token_hint").map(|(_, value)| value.into_owned());
    assert_eq!(hint, Some(setting.provider.last_id_token()));
}
