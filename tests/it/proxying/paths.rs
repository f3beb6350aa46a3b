//! One path for policy and upstream, one host for the gateway (R70, A29, A30).
//!
//! I own: request lines and `Host` fields that no browser would write.

use crate::it::house::provider::script::Place;
use crate::it::house::raw::send;
use crate::it::house::setting::Setting;

fn ask(setting: &Setting, target: &str, host: &str, cookie: &str) -> Option<u16> {
    let request = format!(
        "GET {target} HTTP/1.1\r\n{host}Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\nCookie: __Host-keycard={cookie}\r\nConnection: close\r\n\r\n"
    );
    send(setting.gateway.address, request.as_bytes()).map(|answer| answer.status)
}

#[test]
fn r70_a29_ambiguous_paths_reach_nobody() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let host = format!("Host: {}\r\n", setting.gateway.host());
    setting.upstream.forget();
    for path in [
        "/public/..%2fadmin",
        "/public/..%2Fadmin/x",
        "/public/%2e%2e/admin/x",
        "/public/%2E%2E/admin/x",
        "/public/.%2e/admin/x",
        "/public/../admin/x",
        "/public/./x",
        "//admin/x",
        "/public//admin",
        "/admin;/x",
        "/public/x;a=b",
        "/admin%00",
        "/public/%252e%252e/admin",
        "/public/..%252fadmin",
        "/public\\..\\admin",
        "/public/%5c..%5cadmin",
        "/public/%c0%ae%c0%ae/admin",
        "/public/%ff",
        "/public/%",
        "/public/%zz",
        "/public/%2",
        "/public/a%0d%0aX: 1",
        "/public/%09",
        "*",
        "public/x",
        "/public/..",
        "/public/x/..;/admin",
    ] {
        if path.contains(' ') {
            continue;
        }
        let status = ask(&setting, path, &host, &cookie);
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{path}: {status:?}");
    }
    assert_eq!(setting.upstream.count(), 0, "{:?}", setting.upstream.arrived());
}

#[test]
fn r70_a29_a_delimiter_that_a_second_decoding_uncovers_is_refused() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let host = format!("Host: {}\r\n", setting.gateway.host());
    setting.upstream.forget();
    for path in [
        "/public/%25%32%65%25%32%65/admin/x",
        "/public/%25%32%45%25%32%45/admin/x",
        "/public/%2%35%32e/admin/x",
        "/public/%252e%252e/admin/x",
        "/public/%25%32e%252%65/admin/x",
        "/public/%25%32%66x",
        "/public/%25%32Fx",
        "/public/%25%35%63x",
        "/public/%25%30%30",
        "/public/%25%32%35%32%65",
        "/public/%25%32%35%32%35%32%65",
        "/public/%2525252525252525252541",
        "/%25%32%65%25%32%65/admin/x",
    ] {
        assert_eq!(ask(&setting, path, &host, &cookie), Some(400), "{path}");
        assert_eq!(ask(&setting, path, &host, "none"), Some(400), "{path}, by nobody");
    }
    assert_eq!(setting.upstream.count(), 0, "{:?}", setting.upstream.arrived());
    for path in ["/public/100%25", "/public/%2541", "/public/a%25%32%30b"] {
        assert_eq!(ask(&setting, path, &host, &cookie), Some(200), "{path} uncovers nothing");
    }
}

#[test]
fn r70_a29_what_was_judged_is_what_arrives() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let host = format!("Host: {}\r\n", setting.gateway.host());
    for (asked, arrived) in [
        ("/public/x", "/public/x"),
        ("/public/%61?q=%61&r=a%2fb&s=../..", "/public/a?q=%61&r=a%2fb&s=../.."),
        ("/public/caf%c3%a9", "/public/caf%C3%A9"),
        ("/public/a%20b", "/public/a%20b"),
        ("/public/x?", "/public/x?"),
        ("/public/x?a?b", "/public/x?a?b"),
        ("/public/...", "/public/..."),
    ] {
        setting.upstream.forget();
        assert_eq!(ask(&setting, asked, &host, &cookie), Some(200), "{asked}");
        let target = setting.upstream.last().head.target;
        assert_eq!(target.trim_end_matches('?'), arrived.trim_end_matches('?'), "{asked}");
    }
}

#[test]
fn r70_a29_case_and_encoding_do_not_open_a_guarded_path() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let host = format!("Host: {}\r\n", setting.gateway.host());
    setting.upstream.forget();
    for path in ["/admin/x", "/%61dmin/x", "/admi%6e/x", "/admin"] {
        assert_eq!(ask(&setting, path, &host, &cookie), Some(403), "{path}");
    }
    assert_eq!(setting.upstream.count(), 0);
    // Another case is another path: it lies under `/`, and the upstream is asked for exactly that.
    assert_eq!(ask(&setting, "/ADMIN/x", &host, &cookie), Some(200));
    assert_eq!(setting.upstream.last().head.target, "/ADMIN/x");
}

#[test]
fn r70_a30_unknown_hosts_are_misdirected() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let own = setting.gateway.host().to_owned();
    setting.upstream.forget();
    for host in [
        "evil.test".to_owned(),
        format!("{own}:8443"),
        format!("{own}.evil.test"),
        format!("{own}."),
        format!("evil.test@{own}"),
        format!("{own}@evil.test"),
        format!("{own}, evil.test"),
        format!("{own}/x"),
        "127.0.0.1".to_owned(),
        String::new(),
        "*".to_owned(),
        "[::1]".to_owned(),
    ] {
        for path in ["/inside", "/public/x", "/bff/login", "/bff/user"] {
            let status = ask(&setting, path, &format!("Host: {host}\r\n"), &cookie);
            assert!(matches!(status, None | Some(400 | 421)), "{host} {path}: {status:?}");
        }
    }
    let twice = format!("Host: {own}\r\nHost: evil.test\r\n");
    let again = format!("Host: evil.test\r\nHost: {own}\r\n");
    let same = format!("Host: {own}\r\nHost: {own}\r\n");
    for lines in [twice.as_str(), &again, &same, ""] {
        let status = ask(&setting, "/public/x", lines, &cookie);
        assert!(matches!(status, None | Some(400 | 421)), "{lines:?}: {status:?}");
    }
    assert_eq!(ask(&setting, "/public/x", "Host: evil.test\r\n", &cookie), Some(421));
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn r70_a30_absolute_form_names_no_other_host() {
    let setting = Setting::new();
    let cookie = setting.session_cookie(&setting.signed_in());
    let host = format!("Host: {}\r\n", setting.gateway.host());
    let canary = setting.provider.issuer() + "/canary";
    setting.upstream.forget();
    for target in
        ["http://evil.test/public/x", "https://evil.test/", canary.as_str(), "http://@evil.test/", "ftp://x/"]
    {
        let status = ask(&setting, target, &host, &cookie);
        assert!(matches!(status, None | Some(400 | 421)), "{target}: {status:?}");
    }
    assert_eq!(setting.upstream.count(), 0);
    assert_eq!(setting.provider.count(Place::Canary), 0);
}

#[test]
fn r73_a30_redirect_uri_and_cookies_do_not_follow_the_request() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    for (name, value) in [
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Port", "66"),
        ("Forwarded", "host=evil.test;proto=http"),
        ("X-Original-URL", "/evil"),
        ("X-Forwarded-Prefix", "/evil"),
    ] {
        browser.extra.push((name.into(), value.into()));
    }
    let page = browser.navigate("/");
    setting.assert_signed_in(&browser, &page);
    let asked = setting.provider.last(Place::Authorize);
    assert_eq!(asked.query("redirect_uri").as_deref(), Some("https://apps.example.test/bff/callback"));
    assert!(browser.jar.get("__Host-keycard").is_some_and(|cookie| cookie.secure));
}
