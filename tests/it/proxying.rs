//! What passes through (R70 to R73, R77, R81, A20, A29, A30).
//!
//! I own: requests that try to look like the gateway's own words, to name another host or another path. Bodies and
//! streams are in `proxying/bodies.rs`.

mod bodies;
mod paths;

use super::house::raw::{Answer, send};
use super::house::setting::Setting;

/// A same-origin GET of a signed-in script with further header lines, written out.
pub(super) fn get(setting: &Setting, cookie: &str, path: &str, lines: &str) -> Answer {
    let host = setting.gateway.host();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\nCookie: __Host-keycard={cookie}\r\n{lines}Connection: close\r\n\r\n"
    );
    send(setting.gateway.address, request.as_bytes()).expect("an answer")
}

/// A name as a careless upstream would read it: lower case, everything else a dash (R72).
fn folded(name: &str) -> String {
    name.trim()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect()
}

#[test]
fn r72_a20_nobody_can_speak_for_the_gateway() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let names = [
        "Remote-User",
        "remote-user",
        "REMOTE-USER",
        "Remote_User",
        "Remote.User",
        "remote_user",
        "REMOTE_USER",
        "Remote~User",
        "Remote-Name",
        "Remote_Name",
        "Remote-Email",
        "Remote.Email",
        "Remote-Groups",
        "Remote_Groups",
        "remote!groups",
    ];
    for path in ["/inside", "/public/x", "/optional/x"] {
        for cookie in [cookie.as_str(), "none"] {
            if cookie == "none" && path == "/inside" {
                continue;
            }
            for name in names {
                setting.upstream.forget();
                let answer = get(&setting, cookie, path, &format!("{name}: mallory\r\n{name}: mallory2\r\n"));
                if answer.status == 400 {
                    continue;
                }
                let head = setting.upstream.last().head;
                let spoofed = head.headers.iter().any(|(_, value)| value.contains("mallory"));
                assert!(!spoofed, "{name} on {path}: {:?}", head.headers);
                let named: Vec<&str> = head
                    .headers
                    .iter()
                    .filter(|(n, _)| folded(n) == "remote-user")
                    .map(|(_, value)| value.as_str())
                    .collect();
                let expected: &[&str] =
                    if cookie == "none" || path == "/public/x" { &[] } else { &["alice-0001"] };
                assert_eq!(named, expected, "{name} on {path}");
            }
        }
    }
}

#[test]
fn r72_a20_what_other_gateways_tell_their_apps_nobody_tells_ours() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    for name in [
        "Client-IP",
        "CF-Connecting-IP",
        "True-Client-IP",
        "SSL_CLIENT_S_DN",
        "SSL-Client-Verify",
        "X-SSL-Client-CN",
        "SM_USER",
        "SM-Universal-ID",
        "IV-User",
        "IV-Groups",
        "X-Authentik-Username",
        "X-Original-Host",
        "X-Forwarded",
        "X-Authenticated-User",
    ] {
        let disguised =
            [name.to_owned(), name.to_uppercase(), name.replace('-', "_"), name.replace(['-', '_'], "!")];
        for (path, name) in
            ["/inside", "/public/x"].into_iter().flat_map(|p| disguised.iter().map(move |n| (p, n)))
        {
            setting.upstream.forget();
            assert_eq!(get(&setting, &cookie, path, &format!("{name}: mallory\r\n")).status, 200, "{name}");
            let head = setting.upstream.last().head;
            assert!(!head.headers.iter().any(|(_, value)| value.contains("mallory")), "{name} on {path}");
        }
    }
    // The test can fail: what is nobody's passes.
    get(&setting, &cookie, "/inside", "X-Favourite: mallory\r\n");
    assert_eq!(setting.upstream.last().head.header("x-favourite"), Some("mallory"));
}

#[test]
fn r72_a20_a_missing_claim_is_an_absent_header() {
    let setting = Setting::new();
    setting.provider.make_id_token(|f| {
        f.without("name");
        f.without("email")
    });
    setting.provider.bend_userinfo(|claims| {
        for name in ["name", "email"] {
            claims.as_object_mut().unwrap().remove(name);
        }
    });
    let cookie = setting.session_cookie(&setting.signed_in());
    get(&setting, &cookie, "/inside", "Remote-Name: mallory\r\nRemote_Email: mallory@evil.test\r\n");
    let head = setting.upstream.last().head;
    assert_eq!(head.header("remote-user"), Some("alice-0001"));
    for name in ["remote-name", "remote-email"] {
        assert!(!head.headers.iter().any(|(n, _)| folded(n) == name), "{name}: {:?}", head.headers);
    }
}

#[test]
fn r72_values_cannot_break_out_of_their_header() {
    let setting = Setting::new();
    for name in ["Alice\r\nX-Admin: 1", "Alice\nX-Admin: 1", "Alice\0", "Al\u{ef}ce \u{4e2d}\u{6587}"] {
        setting.provider.person(serde_json::json!({ "name": name }));
        let cookie = setting.session_cookie(&setting.signed_in());
        setting.upstream.forget();
        assert_eq!(get(&setting, &cookie, "/inside", "").status, 200);
        let head = setting.upstream.last().head;
        assert_eq!(head.header("x-admin"), None, "{name:?}");
        assert_eq!(head.header("remote-user"), Some("alice-0001"), "{name:?}");
        // The house reads headers as Latin-1, so that every byte shows.
        let told: Vec<u8> = head.header("remote-name").unwrap_or_default().chars().map(|c| c as u8).collect();
        let told = String::from_utf8(told).expect("UTF-8");
        assert!(!told.chars().any(char::is_control), "{told:?}");
        assert!(told.is_empty() || told == name, "{told:?}");
    }
}

#[test]
fn r71_a20_connection_options_are_obeyed_before_our_headers_are_added() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let host = setting.gateway.host();
    let request = format!(
        "GET /inside HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\nCookie: __Host-keycard={cookie}\r\n\
         X-Mine: 1\r\nX-Kept: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers, gzip\r\n\
         Proxy-Authorization: Basic eDp5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\
         Connection: close, X-Mine, Remote-User, Host, X-Forwarded-For, Cookie, Upgrade, HTTP2-Settings\r\n\r\n"
    );
    let answer = send(setting.gateway.address, request.as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
    let head = setting.upstream.last().head;
    assert_eq!(head.header("remote-user"), Some("alice-0001"));
    assert_eq!(head.header("x-kept"), Some("2"));
    assert!(head.header("x-forwarded-for").is_some());
    for gone in [
        "x-mine",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "upgrade",
        "http2-settings",
        "transfer-encoding",
    ] {
        assert_eq!(head.header(gone), None, "{gone}");
    }
    assert!(head.header("te").is_none_or(|value| value == "trailers"));
}

#[test]
fn r71_hop_by_hop_fields_of_an_answer_stay_behind() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    setting.upstream.answer_raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Private, close\r\nX-Private: 1\r\nX-Public: 2\r\n\
          Keep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n\r\nok",
    );
    let answer = browser.fetch("GET", "/inside", &[], b"");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(answer.header("x-public"), Some("2"));
    for gone in ["x-private", "keep-alive", "proxy-authenticate", "upgrade"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
}

#[test]
fn r73_a20_forwarded_headers_of_strangers_are_overwritten() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let lies = "Forwarded: for=6.6.6.6;host=evil.test;proto=http\r\nX-Forwarded-For: 6.6.6.6\r\n\
                X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 66\r\n\
                X-Forwarded-Prefix: /evil\r\nX-Real-IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\
                X-Forwarded-User: mallory\r\nX-Original-URL: /evil\r\nX-Rewrite-URL: /evil\r\nX-Request-Id: evil-id\r\n";
    for path in ["/inside", "/public/x"] {
        setting.upstream.forget();
        assert_eq!(get(&setting, &cookie, path, lies).status, 200);
        let head = setting.upstream.last().head;
        let lie = head.headers.iter().find(|(_, v)| {
            ["6.6.6.6", "evil.test", "/evil", "mallory", "evil-id"].iter().any(|lie| v.contains(lie))
        });
        assert_eq!(lie, None, "{path}");
        assert_eq!(head.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(head.header("x-forwarded-proto"), Some("https"));
        assert_eq!(head.header("x-forwarded-host"), Some("apps.example.test"));
    }
}

#[test]
fn r73_a_trusted_proxy_is_believed_from_the_right() {
    let setting =
        Setting::with(|plan| plan.server_extra("trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]"));
    let cookie = setting.session_cookie(&setting.signed_in());
    get(&setting, &cookie, "/inside", "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.2\r\n");
    let head = setting.upstream.last().head;
    let chain = head.header("x-forwarded-for").unwrap_or_default().to_owned();
    // Whether the chain or the client alone goes on, the client counted from the right is 203.0.113.7.
    let client =
        chain.split(',').map(str::trim).rfind(|ip| !ip.starts_with("10.") && !ip.starts_with("127."));
    assert_eq!(client, Some("203.0.113.7"), "{chain}");
    assert_eq!(
        head.header("x-forwarded-host"),
        Some("apps.example.test"),
        "the host comes from the configuration"
    );
}

#[test]
fn r81_the_clients_authorization_goes_no_further_and_a_token_only_where_configured() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    for (path, token) in [("/inside", false), ("/optional/x", false), ("/api/x", true)] {
        setting.upstream.forget();
        let answer =
            get(&setting, &cookie, path, "Authorization: Bearer of-the-client\r\nProxy-Authorization: x\r\n");
        assert_eq!(answer.status, 200, "{path}");
        let head = setting.upstream.last().head;
        let sent = head.all("authorization");
        assert_eq!(sent.len(), usize::from(token), "{path}: {sent:?}");
        assert!(!sent.iter().any(|value| value.contains("of-the-client")), "{path}");
        assert!(!token || sent[0].starts_with("Bearer "), "{path}: {sent:?}");
    }
}

#[test]
fn r77_via_is_added_and_trace_is_refused() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    get(&setting, &cookie, "/inside", "Via: 1.0 before\r\n");
    let via = setting.upstream.last().head.all("via").join(", ");
    assert!(via.starts_with("1.0 before, ") && via.contains("1.1 "), "{via}");
    let host = setting.gateway.host();
    for (method, target) in [("TRACE", "/inside"), ("TRACE", "/public/x"), ("CONNECT", "evil.test:443")] {
        setting.upstream.forget();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\nOrigin: https://{host}\r\n\
             Cookie: __Host-keycard={cookie}\r\nConnection: close\r\n\r\n"
        );
        if let Some(answer) = send(setting.gateway.address, request.as_bytes()) {
            assert!((400..600).contains(&answer.status), "{method}: {}", answer.status);
        }
        assert_eq!(setting.upstream.count(), 0, "{method}");
    }
}

#[test]
fn r70_redirects_of_an_upstream_are_passed_on_and_not_followed() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let canary = setting.provider.issuer() + "/canary";
    let location = canary.clone();
    setting.upstream.script(move |exchange| Some(exchange.reply(302, &[("Location", &location)], b"")));
    setting.upstream.forget();
    let answer = browser.fetch("GET", "/inside", &[], b"");
    assert_eq!((answer.status, answer.header("location")), (302, Some(canary.as_str())));
    assert_eq!(setting.upstream.count(), 1);
    assert_eq!(setting.provider.count(super::house::provider::script::Place::Canary), 0);
}
