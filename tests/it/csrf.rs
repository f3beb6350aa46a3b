//! Requests that other pages cause (R61, R62, R64, R67, A23, A24).
//!
//! I own: the matrix of who causes what, by headers. The browser here sends its cookies cross-site: SameSite is a
//! second wall, not the first.

use super::house::browser::{Browser, EVIL, Foreign, SANDBOX, SIBLING};
use super::house::setting::Setting;

const FOREIGNERS: [Foreign; 3] = [EVIL, SIBLING, SANDBOX];

/// Method, mode and destination of everything a foreign page can do but open a page.
const FORGERIES: [(&str, &str, &str); 9] = [
    ("POST", "navigate", "document"),
    ("POST", "no-cors", "empty"),
    ("POST", "cors", "empty"),
    ("GET", "no-cors", "image"),
    ("GET", "no-cors", "script"),
    ("GET", "cors", "empty"),
    ("GET", "navigate", "iframe"),
    ("GET", "navigate", "object"),
    ("DELETE", "cors", "empty"),
];

#[test]
fn r61_r62_a23_forged_requests_reach_no_upstream() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    setting.upstream.forget();
    let mut wrong = Vec::new();
    for from in FOREIGNERS {
        for (method, mode, dest) in FORGERIES {
            for path in ["/inside", "/api/x", "/strict/x", "/optional/x", "/editor/x"] {
                let answer = browser.foreign(from, method, path, mode, dest);
                if answer.status != 403 || setting.upstream.count() > 0 {
                    wrong.push(format!(
                        "{method} {path} as {mode}/{dest} from {}: {}",
                        from.origin, answer.status
                    ));
                    setting.upstream.forget();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200, "the session is unharmed");
}

#[test]
fn r62_a23_a_link_from_elsewhere_opens_a_page() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    for from in FOREIGNERS {
        let answer = browser.foreign(from, "GET", "/inside", "navigate", "document");
        assert_eq!(answer.status, 200, "{}", from.origin);
    }
}

#[test]
fn r62_own_pages_may_act() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(browser.fetch(method, "/inside", &[], b"").status, 200, "{method}");
    }
    let page = browser.submit("/inside", "a=1");
    assert_eq!(page.answer.status, 200);
    assert_eq!(setting.upstream.last().body, b"a=1");
}

/// Requests of browsers and programs that send no fetch metadata.
#[test]
fn r62_without_fetch_metadata_origin_then_referer_then_a_header() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let own = "https://apps.example.test";
    let rows: [(&[(&str, &str)], u16); 14] = [
        (&[("Origin", own)], 200),
        (&[("Origin", "https://evil.test")], 403),
        (&[("Origin", "null")], 403),
        (&[("Origin", "https://other.example.test")], 403),
        (&[("Origin", "http://apps.example.test")], 403),
        (&[("Origin", "https://apps.example.test:8443")], 403),
        (&[("Origin", "https://apps.example.test.evil.test")], 403),
        (&[("Origin", own), ("Origin", "https://evil.test")], 403),
        (&[("Referer", "https://apps.example.test/page")], 200),
        (&[("Referer", "https://evil.test/https://apps.example.test/")], 403),
        (&[("Referer", "https://apps.example.test@evil.test/")], 403),
        (&[("X-CSRF", "1")], 200),
        (&[], 403),
        (&[("Origin", "https://evil.test"), ("X-CSRF", "1")], 403),
    ];
    for (headers, status) in rows {
        let url = browser.url("/inside");
        assert_eq!(browser.request("POST", &url, headers, b"a=1").status, status, "{headers:?}");
    }
}

#[test]
fn r61_strict_routes_ask_for_a_header() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    for (method, headers, status) in [
        ("GET", &[][..], 403),
        ("POST", &[], 403),
        ("GET", &[("X-CSRF", "1")], 200),
        ("POST", &[("X-CSRF", "1")], 200),
        ("POST", &[("X-CSRF", "0")], 403),
        ("POST", &[("X-CSRF", "")], 403),
    ] {
        assert_eq!(browser.fetch(method, "/strict/x", headers, b"").status, status, "{method} {headers:?}");
    }
    assert_eq!(browser.open("/strict/x").status, 200, "a navigation needs none");
}

#[test]
fn r61_off_is_off() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    assert_eq!(browser.foreign(EVIL, "POST", "/off/x", "no-cors", "empty").status, 200);
}

#[test]
fn r61_public_routes_carry_no_identity_whoever_asks() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    assert_eq!(browser.foreign(EVIL, "POST", "/public/x", "no-cors", "empty").status, 200);
    assert_eq!(setting.upstream.last().head.header("remote-user"), None);
}

#[test]
fn r64_a24_no_foreign_origin_is_ever_allowed() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let origins = [
        "https://evil.test",
        "null",
        "https://other.example.test",
        "http://apps.example.test",
        "https://apps.example.test.evil.test",
        "https://evilapps.example.test",
        "https://apps.example.test:444",
    ];
    for origin in origins {
        for path in ["/inside", "/api/x", "/optional/x", "/bff/user", "/bff/login", "/bff/logout"] {
            setting.upstream.forget();
            let preflight = [
                ("Origin", origin),
                ("Access-Control-Request-Method", "PUT"),
                ("Access-Control-Request-Headers", "x-csrf"),
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Mode", "cors"),
                ("Sec-Fetch-Dest", "empty"),
            ];
            let url = browser.url(path);
            let mut nobody = setting.browser();
            let answer = nobody.request("OPTIONS", &url, &preflight, b"");
            let allowed = answer
                .headers
                .iter()
                .any(|(n, _)| n.to_ascii_lowercase().starts_with("access-control-allow"));
            assert!(!allowed, "{origin} {path}: {:?}", answer.headers);
            assert_eq!(setting.upstream.count(), 0, "{origin} {path}: the preflight was forwarded");
            assert!(
                answer.status < 500
                    && !answer.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("location"))
            );
            let get = browser.request("GET", &url, &preflight[..1], b"");
            assert_eq!(get.header("access-control-allow-origin"), None, "{origin} {path}");
        }
    }
}

fn nobody_asks(browser: &mut Browser, method: &str, headers: &[(&str, &str)]) -> (u16, bool) {
    let url = browser.url("/inside?x=1");
    let answer = browser.request(method, &url, headers, b"");
    (answer.status, answer.header("location").is_some())
}

#[test]
fn r67_navigations_are_sent_to_the_login_and_scripts_are_told() {
    let setting = Setting::new();
    let document =
        &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "none")];
    let script =
        &[("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Site", "same-origin")];
    let html = &[("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let both = &[("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"), ("Accept", "text/html")];
    let xhr = &[("Accept", "text/html"), ("X-Requested-With", "XMLHttpRequest")];
    type Row = (&'static str, &'static [(&'static str, &'static str)], (u16, bool));
    let rows: [Row; 10] = [
        ("GET", document, (302, true)),
        ("HEAD", document, (302, true)),
        ("GET", script, (401, false)),
        ("POST", document, (401, false)),
        ("POST", script, (401, false)),
        ("GET", html, (302, true)),
        ("GET", &[("Accept", "application/json")], (401, false)),
        ("GET", both, (401, false)),
        ("GET", xhr, (401, false)),
        ("GET", &[], (401, false)),
    ];
    for (method, headers, expected) in rows {
        let mut browser = setting.browser();
        assert_eq!(nobody_asks(&mut browser, method, headers), expected, "{method} {headers:?}");
    }
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn r67_the_401_says_where_to_sign_in() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let answer = browser.fetch("GET", "/inside", &[], b"");
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.header("cache-control").is_some_and(|value| value.contains("no-store")));
    let body = answer.json();
    let names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["correlation_id", "login_url", "status", "title", "type"]);
    assert_eq!(body["status"], 401);
    assert!(body["login_url"].as_str().is_some_and(|url| url.ends_with("/bff/login")), "{body}");
    assert!(answer.all("set-cookie").is_empty(), "a script starts no login");
}

#[test]
fn r67_roles_that_are_missing_are_a_403_and_no_login() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    setting.upstream.forget();
    assert_eq!(browser.fetch("GET", "/admin/x", &[], b"").status, 403);
    assert_eq!(browser.open("/admin/x").status, 403);
    assert_eq!(setting.upstream.count(), 0);
    assert_eq!(browser.open("/editor/x").status, 200);
}
