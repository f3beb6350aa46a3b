//! Pages of other origins that a route lists (R64, A24).
//!
//! I own: who may call, who may not, and what each is told. Everybody else is in `csrf`.

use super::house::browser::{Browser, Foreign};
use super::house::raw::{self, Answer};
use super::house::setting::Setting;

/// Listed, and of the same site, so that a real browser sends the cookie too.
const SISTER: Foreign = Foreign { origin: "https://app.example.test", site: "same-site" };

/// Everything that only looks like it.
const VARIANTS: [&str; 10] = [
    "https://evil.test",
    "null",
    "http://app.example.test",
    "https://app.example.test:8443",
    "https://app.example.test:443",
    "https://app.example.test.evil.test",
    "https://evilapp.example.test",
    "https://x.app.example.test",
    "https://APP.example.test",
    "https://app.example.test/",
];

fn setting() -> Setting {
    Setting::with(|plan| {
        let usual = "cors = { origins = [\"https://app.example.test\"], methods = [\"GET\", \"PUT\", \"POST\"], \
                     headers = [\"Content-Type\"], expose = [\"X-Total\"], max_age = \"5m\" }";
        let url = plan.upstream_url();
        for (path, access, more) in [
            ("/list/", "signed-in", ""),
            ("/list-strict/", "signed-in", "csrf = \"strict\""),
            ("/list-public/", "public", ""),
        ] {
            plan.route(&format!(
                "path = \"{path}\"\nupstream = \"{url}\"\naccess = \"{access}\"\n{usual}\n{more}"
            ));
        }
    })
}

fn preflight(setting: &Setting, path: &str, origin: &str, method: &str, headers: &str) -> Answer {
    let mut nobody = setting.browser();
    let url = nobody.url(path);
    let mut all = vec![
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Site", "same-site"),
    ];
    if !headers.is_empty() {
        all.push(("Access-Control-Request-Headers", headers));
    }
    nobody.request("OPTIONS", &url, &all, b"")
}

fn call(browser: &mut Browser, from: Foreign, method: &str, path: &str, more: &[(&str, &str)]) -> Answer {
    let url = browser.url(path);
    let mut headers = vec![
        ("Accept", "*/*"),
        ("Origin", from.origin),
        ("Sec-Fetch-Site", from.site),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Dest", "empty"),
    ];
    headers.extend_from_slice(more);
    browser.request(method, &url, &headers, b"")
}

fn permissions(answer: &Answer) -> Vec<&str> {
    let named = answer.headers.iter().map(|(name, _)| name.as_str());
    named.filter(|name| name.to_ascii_lowercase().starts_with("access-control-")).collect()
}

#[test]
fn r64_a_preflight_of_a_listed_origin_is_answered_and_never_forwarded() {
    let setting = setting();
    for path in ["/list/x", "/list-strict/x", "/list-public/x"] {
        let answer = preflight(&setting, path, SISTER.origin, "PUT", "content-type, x-csrf");
        assert_eq!(answer.status, 204, "{path}");
        for (name, value) in [
            ("access-control-allow-origin", SISTER.origin),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET, PUT, POST"),
            ("access-control-allow-headers", "content-type, x-csrf"),
            ("access-control-max-age", "300"),
        ] {
            assert_eq!(answer.all(name), [value], "{path} {name}");
        }
        assert!(answer.all("vary").join(", ").contains("Origin"), "{path}");
        assert!(answer.all("set-cookie").is_empty(), "{path}");
    }
    for (method, headers) in
        [("DELETE", ""), ("put", ""), ("PUT", "x-other"), ("PUT", "content-type, x other")]
    {
        let answer = preflight(&setting, "/list/x", SISTER.origin, method, headers);
        assert_eq!((answer.status, permissions(&answer)), (204, vec![]), "{method} {headers}");
    }
    assert_eq!(setting.upstream.count(), 0, "a preflight was forwarded");
}

#[test]
fn a24_what_only_looks_like_a_listed_origin_gets_nothing() {
    let setting = setting();
    let mut browser = setting.signed_in();
    setting.upstream.forget();
    for origin in VARIANTS {
        for path in ["/list/x", "/list-strict/x", "/list-public/x"] {
            let answer = preflight(&setting, path, origin, "PUT", "x-csrf");
            assert_eq!(permissions(&answer), Vec::<&str>::new(), "{origin} {path}");
            if path != "/list-public/x" {
                let from = Foreign { origin, site: "cross-site" };
                let answer = call(&mut browser, from, "PUT", path, &[("X-CSRF", "1")]);
                assert_eq!((answer.status, permissions(&answer)), (403, vec![]), "{origin} {path}");
                // Also from a browser that says nothing but where the page is from.
                let url = browser.url(path);
                let answer = browser.request("PUT", &url, &[("Origin", origin), ("X-CSRF", "1")], b"");
                assert_eq!((answer.status, permissions(&answer)), (403, vec![]), "{origin} {path}");
            }
        }
    }
    assert_eq!(setting.upstream.count(), 0);
    let two = [("Origin", SISTER.origin), ("Origin", "https://evil.test"), ("Sec-Fetch-Site", "same-site")];
    let url = browser.url("/list/x");
    assert_eq!(browser.request("PUT", &url, &two, b"").status, 403, "two origins are none");
}

#[test]
fn r64_a_listed_origin_acts_with_the_session_and_reads_the_answer() {
    let setting = setting();
    let mut browser = setting.signed_in();
    for (method, path, more) in [
        ("GET", "/list/x", &[][..]),
        ("PUT", "/list/x", &[]),
        ("POST", "/list-strict/x", &[("X-CSRF", "1")]),
        ("GET", "/list-strict/x", &[("X-CSRF", "1")]),
        ("GET", "/list-strict/x", &[("Accept", "text/event-stream")]),
    ] {
        let more: Vec<_> = more.to_vec();
        let url = browser.url(path);
        let mut headers =
            vec![("Origin", SISTER.origin), ("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors")];
        headers.extend(more);
        let answer = browser.request(method, &url, &headers, b"");
        assert_eq!(answer.status, 200, "{method} {path}");
        assert_eq!(answer.all("access-control-allow-origin"), [SISTER.origin]);
        assert_eq!(answer.all("access-control-allow-credentials"), ["true"]);
        assert_eq!(answer.all("access-control-expose-headers"), ["x-total"]);
        assert!(answer.all("vary").join(", ").contains("Origin"));
    }
    assert_eq!(
        call(&mut browser, SISTER, "PUT", "/list-strict/x", &[]).status,
        403,
        "strict asks it as well"
    );
    assert_eq!(
        call(&mut browser, SISTER, "DELETE", "/list/x", &[]).status,
        403,
        "no method that is not listed"
    );
    assert_eq!(
        call(&mut browser, SISTER, "GET", "/api/x", &[]).status,
        403,
        "no route that does not list it"
    );
    // Signed out, the script is told so, and can read it.
    let mut nobody = setting.browser();
    let answer = call(&mut nobody, SISTER, "GET", "/list/x", &[]);
    assert_eq!((answer.status, answer.all("access-control-allow-origin")), (401, vec![SISTER.origin]));
}

#[test]
fn r61_forms_and_images_of_a_listed_origin_are_still_foreign() {
    let setting = setting();
    let mut browser = setting.signed_in();
    setting.upstream.forget();
    for (method, mode, dest) in [
        ("POST", "navigate", "document"),
        ("POST", "no-cors", "empty"),
        ("GET", "no-cors", "image"),
        ("GET", "navigate", "iframe"),
    ] {
        for path in ["/list/x", "/list-strict/x"] {
            assert_eq!(
                browser.foreign(SISTER, method, path, mode, dest).status,
                403,
                "{method} {mode} {path}"
            );
        }
    }
    let url = browser.url("/list/x");
    let socket = [
        ("Origin", SISTER.origin),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let handshake = String::from_utf8(browser.write("GET", &url, &socket, b"", true)).unwrap();
    let handshake = handshake.replace("Connection: close", "Connection: Upgrade");
    let answer = raw::send(setting.gateway.address, handshake.as_bytes()).unwrap();
    assert_eq!(answer.status, 403, "a WebSocket is no CORS request");
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn r64_the_apps_own_access_control_headers_are_dropped() {
    let setting = setting();
    let mut browser = setting.signed_in();
    setting.upstream.script(|exchange| {
        let headers = [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Origin", "https://evil.test"),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", "X-Secret"),
            ("Access-Control-Allow-Private-Network", "true"),
        ];
        Some(exchange.reply(200, &headers, b"ok"))
    });
    let url = browser.url("/list/x");
    let own = browser.request("GET", &url, &[("Sec-Fetch-Site", "same-origin")], b"");
    assert_eq!((own.status, permissions(&own)), (200, vec![]));
    let sister = call(&mut browser, SISTER, "GET", "/list/x", &[]);
    assert_eq!(sister.all("access-control-allow-origin"), [SISTER.origin]);
    assert_eq!(sister.all("access-control-expose-headers"), ["x-total"]);
    assert_eq!(permissions(&sister).len(), 3);
    let public = call(
        &mut browser,
        Foreign { origin: "https://evil.test", site: "cross-site" },
        "GET",
        "/list-public/x",
        &[],
    );
    assert_eq!((public.status, permissions(&public)), (200, vec![]));
}
