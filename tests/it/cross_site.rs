//! The table T8: what a request says about where it comes from, and what becomes of it (R61, R62, R65, A23).
//!
//! I own: one row for each combination that matters, over a real gateway, on a route of each strictness. The browser's
//! cookie goes along in every row: SameSite is a second wall, not the first.

use super::house::setting::Setting;

/// What a row expects: on `csrf = "fetch-metadata"`, and on `"strict"` without and with `X-CSRF: 1`.
type Expected = (u16, u16, u16);
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], Expected);

const OWN: &str = "https://apps.example.test";

/// Passes, and asks for the header where the route is strict.
const PASSES: Expected = (200, 403, 200);
/// Passes everywhere: a navigation, or what cannot carry a header.
const EXEMPT: Expected = (200, 200, 200);
/// Passes nowhere.
const NEVER: Expected = (403, 403, 403);

const NAVIGATE: (&str, &str) = ("Sec-Fetch-Mode", "navigate");
const CORS: (&str, &str) = ("Sec-Fetch-Mode", "cors");
const NO_CORS: (&str, &str) = ("Sec-Fetch-Mode", "no-cors");
const DOCUMENT: (&str, &str) = ("Sec-Fetch-Dest", "document");
const IFRAME: (&str, &str) = ("Sec-Fetch-Dest", "iframe");
const EMPTY: (&str, &str) = ("Sec-Fetch-Dest", "empty");
const HERE: (&str, &str) = ("Sec-Fetch-Site", "same-origin");
const SIBLING: (&str, &str) = ("Sec-Fetch-Site", "same-site");
const CROSS: (&str, &str) = ("Sec-Fetch-Site", "cross-site");
const TYPED: (&str, &str) = ("Sec-Fetch-Site", "none");
const O_OWN: (&str, &str) = ("Origin", OWN);
const O_EVIL: (&str, &str) = ("Origin", "https://evil.test");
const O_NULL: (&str, &str) = ("Origin", "null");
const O_SIBLING: (&str, &str) = ("Origin", "https://other.example.test");
const R_OWN: (&str, &str) = ("Referer", "https://apps.example.test/page?x=1");
const R_EVIL: (&str, &str) = ("Referer", "https://evil.test/apps.example.test");
const HTML: (&str, &str) = ("Accept", "text/html,*/*;q=0.8");
const STREAM: (&str, &str) = ("Accept", "text/event-stream");
const XHR: (&str, &str) = ("X-Requested-With", "XMLHttpRequest");

const ROWS: &[Row] = &[
    // Our own pages.
    ("fetch GET", "GET", &[HERE, CORS, EMPTY], PASSES),
    ("fetch HEAD", "HEAD", &[HERE, CORS, EMPTY], PASSES),
    ("fetch POST", "POST", &[HERE, CORS, EMPTY, O_OWN], PASSES),
    ("fetch DELETE", "DELETE", &[HERE, CORS, EMPTY, O_OWN], PASSES),
    ("fetch no-cors", "GET", &[HERE, NO_CORS, EMPTY], PASSES),
    ("own image", "GET", &[HERE, NO_CORS, ("Sec-Fetch-Dest", "image")], PASSES),
    ("own script", "GET", &[HERE, NO_CORS, ("Sec-Fetch-Dest", "script")], PASSES),
    ("own beacon", "POST", &[HERE, NO_CORS, EMPTY, O_OWN], PASSES),
    ("own link", "GET", &[HERE, NAVIGATE, DOCUMENT, HTML], EXEMPT),
    ("own frame", "GET", &[HERE, NAVIGATE, IFRAME, HTML], EXEMPT),
    ("own form POST", "POST", &[HERE, NAVIGATE, DOCUMENT, O_OWN, HTML], PASSES),
    ("own form GET", "GET", &[HERE, NAVIGATE, DOCUMENT, HTML, R_OWN], EXEMPT),
    ("own EventSource", "GET", &[HERE, CORS, EMPTY, STREAM], EXEMPT),
    ("own EventSource by POST is none", "POST", &[HERE, CORS, EMPTY, STREAM, O_OWN], PASSES),
    ("same-origin but a foreign Origin", "POST", &[HERE, CORS, EMPTY, O_EVIL], NEVER),
    ("same-origin but Origin null", "POST", &[HERE, CORS, EMPTY, O_NULL], NEVER),
    ("same-origin, foreign Origin, GET", "GET", &[HERE, CORS, EMPTY, O_EVIL], NEVER),
    // The person.
    ("typed", "GET", &[TYPED, NAVIGATE, DOCUMENT, HTML], EXEMPT),
    ("typed HEAD", "HEAD", &[TYPED, NAVIGATE, DOCUMENT, HTML], EXEMPT),
    ("reloaded form", "POST", &[TYPED, NAVIGATE, DOCUMENT, O_OWN, HTML], PASSES),
    ("POST from nowhere", "POST", &[TYPED, NAVIGATE, DOCUMENT, HTML], NEVER),
    ("typed, with a foreign Origin", "GET", &[TYPED, NAVIGATE, DOCUMENT, HTML, O_EVIL], NEVER),
    ("POST from nowhere, Origin null", "POST", &[TYPED, NAVIGATE, DOCUMENT, O_NULL], NEVER),
    // Another site.
    ("link from another site", "GET", &[CROSS, NAVIGATE, DOCUMENT, HTML, R_EVIL], EXEMPT),
    ("link without Referer", "GET", &[CROSS, NAVIGATE, DOCUMENT, HTML], EXEMPT),
    ("HEAD from another site", "HEAD", &[CROSS, NAVIGATE, DOCUMENT, HTML], EXEMPT),
    ("form POST", "POST", &[CROSS, NAVIGATE, DOCUMENT, O_EVIL, HTML], NEVER),
    ("form POST of a sandbox", "POST", &[CROSS, NAVIGATE, DOCUMENT, O_NULL, HTML], NEVER),
    ("framed", "GET", &[CROSS, NAVIGATE, IFRAME, HTML], NEVER),
    ("object", "GET", &[CROSS, NAVIGATE, ("Sec-Fetch-Dest", "object"), HTML], NEVER),
    ("embed", "GET", &[CROSS, NAVIGATE, ("Sec-Fetch-Dest", "embed"), HTML], NEVER),
    ("portal without Dest", "GET", &[CROSS, NAVIGATE, HTML], NEVER),
    ("image", "GET", &[CROSS, NO_CORS, ("Sec-Fetch-Dest", "image")], NEVER),
    ("script", "GET", &[CROSS, NO_CORS, ("Sec-Fetch-Dest", "script")], NEVER),
    ("fetch cors GET", "GET", &[CROSS, CORS, EMPTY, O_EVIL], NEVER),
    ("fetch cors POST", "POST", &[CROSS, CORS, EMPTY, O_EVIL], NEVER),
    ("fetch no-cors POST", "POST", &[CROSS, NO_CORS, EMPTY, O_EVIL], NEVER),
    ("beacon", "POST", &[CROSS, NO_CORS, EMPTY, O_EVIL, ("Content-Type", "text/plain")], NEVER),
    ("EventSource", "GET", &[CROSS, CORS, EMPTY, STREAM, O_EVIL], NEVER),
    ("EventSource without Origin", "GET", &[CROSS, CORS, EMPTY, STREAM], NEVER),
    ("own Origin does not outweigh the site", "POST", &[CROSS, CORS, EMPTY, O_OWN], NEVER),
    ("own Referer does not outweigh the site", "POST", &[CROSS, CORS, EMPTY, R_OWN], NEVER),
    // A sibling host is an attacker as well.
    ("sibling link", "GET", &[SIBLING, NAVIGATE, DOCUMENT, HTML], EXEMPT),
    ("sibling form POST", "POST", &[SIBLING, NAVIGATE, DOCUMENT, O_SIBLING, HTML], NEVER),
    ("sibling fetch", "POST", &[SIBLING, CORS, EMPTY, O_SIBLING], NEVER),
    ("sibling fetch GET", "GET", &[SIBLING, CORS, EMPTY, O_SIBLING], NEVER),
    ("sibling image", "GET", &[SIBLING, NO_CORS, ("Sec-Fetch-Dest", "image")], NEVER),
    ("sibling frame", "GET", &[SIBLING, NAVIGATE, IFRAME, HTML], NEVER),
    // What no browser says.
    ("unknown site", "POST", &[("Sec-Fetch-Site", "same-planet"), CORS, O_OWN], NEVER),
    ("two sites", "POST", &[HERE, CROSS, CORS, O_OWN], NEVER),
    ("other case", "POST", &[("Sec-Fetch-Site", "Same-Origin"), CORS, O_OWN], NEVER),
    ("empty site", "POST", &[("Sec-Fetch-Site", ""), CORS, O_OWN], NEVER),
    // Browsers and programs without fetch metadata: Origin, then Referer, then the header.
    ("old, own Origin", "POST", &[O_OWN], PASSES),
    ("old, foreign Origin", "POST", &[O_EVIL], NEVER),
    ("old, Origin null", "POST", &[O_NULL, R_OWN], NEVER),
    ("old, sibling Origin", "POST", &[O_SIBLING], NEVER),
    ("old, own Referer", "POST", &[R_OWN], PASSES),
    ("old, foreign Referer", "POST", &[R_EVIL], NEVER),
    ("old, foreign Origin, own Referer", "POST", &[O_EVIL, R_OWN], NEVER),
    ("old, nothing", "POST", &[], (403, 403, 200)),
    ("old, nothing, GET", "GET", &[], (403, 403, 200)),
    ("old, a page", "GET", &[HTML], EXEMPT),
    ("old, a page by a link", "GET", &[HTML, R_EVIL], EXEMPT),
    ("old, XHR, own Referer", "GET", &[HTML, XHR, R_OWN], PASSES),
    ("old, XHR, foreign Referer", "GET", &[HTML, XHR, R_EVIL], NEVER),
    ("old, EventSource, own Origin", "GET", &[STREAM, O_OWN], EXEMPT),
    ("old, EventSource, own Referer", "GET", &[STREAM, R_OWN], PASSES),
    ("old, EventSource, foreign Origin", "GET", &[STREAM, O_EVIL], NEVER),
];

#[test]
fn t8_r61_r62_a23_where_a_request_comes_from_decides() {
    assert!(ROWS.len() >= 60, "{} rows", ROWS.len());
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let mut wrong = Vec::new();
    for (name, method, headers, (metadata, without, with)) in ROWS {
        // Where nothing else is said, the header alone is enough.
        let cases = [
            ("/inside", None, metadata),
            ("/strict/x", None, without),
            ("/strict/x", Some(("X-CSRF", "1")), with),
        ];
        for (path, header, expected) in cases {
            setting.upstream.forget();
            let all: Vec<(&str, &str)> = headers.iter().copied().chain(header).collect();
            let url = browser.url(path);
            let status = browser.request(method, &url, &all, b"").status;
            let reached = setting.upstream.count() > 0;
            if status != *expected || reached != (*expected == 200) {
                wrong.push(format!("{name} on {path}, {header:?}: {status}, reached the app: {reached}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(browser.open("/inside").status, 200, "the session is unharmed");
}

#[test]
fn r61_only_the_exact_header_counts() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    for (headers, expected) in [
        (&[("X-CSRF", "1")][..], 200),
        (&[("x-csrf", "1")], 200),
        (&[("X-CSRF", "0")], 403),
        (&[("X-CSRF", "true")], 403),
        (&[("X-CSRF", "1, 1")], 403),
        (&[("X-CSRF", "1"), ("X-CSRF", "1")], 403),
        (&[("X_CSRF", "1")], 403),
        (&[("X-CSRF-Token", "1")], 403),
        (&[("X-Requested-With", "XMLHttpRequest")], 403),
    ] {
        assert_eq!(browser.fetch("POST", "/strict/x", headers, b"").status, expected, "{headers:?}");
    }
}

/// What is refused differs by these headers, and a cache has to know (R62).
#[test]
fn r62_a_refusal_says_what_it_depends_on() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let url = browser.url("/inside");
    let refused = browser.request("GET", &url, &[CROSS, CORS, O_EVIL], b"");
    let vary = refused.all("vary").join(", ");
    assert!(refused.status == 403 && vary.contains("Sec-Fetch-Site") && vary.contains("Origin"), "{vary}");
    assert_eq!(refused.header("cache-control"), Some("no-store"));
}
