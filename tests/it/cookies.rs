//! Cookies as they really come: raw bytes, in any order, from anybody (R53, R54, R55, A21, A22).
//!
//! I own: `Cookie` headers that no browser of ours would write, and `Set-Cookie` lines of hostile upstreams. Both of
//! the gateway's cookies are meant wherever one is.

use super::house::raw::{Answer, send};
use super::house::setting::Setting;

/// A script's GET for `/` with this very `Cookie` header value.
fn with_cookies(setting: &Setting, cookies: &[u8]) -> Answer {
    let host = setting.gateway.host();
    let head = format!(
        "GET /inside HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\n\
         Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nCookie: "
    );
    let request = [head.as_bytes(), cookies, b"\r\n\r\n"].concat();
    send(setting.gateway.address, &request).expect("an answer")
}

#[test]
fn r54_a21_two_session_cookies_are_refused_and_expired() {
    let setting = Setting::new();
    let own = setting.session_cookie(&setting.signed_in());
    let other = setting.session_cookie(&setting.signed_in());
    let name = "__Host-keycard";
    for cookies in [
        format!("{name}={own}; {name}={other}"),
        format!("{name}={other}; {name}={own}"),
        format!("{name}={own}; {name}={own}"),
        format!("{name}={own}; x=1; {name}="),
        format!("{name}={own};{name}={other}"),
        format!("{name}=junk; {name}={own}"),
    ] {
        setting.upstream.forget();
        let answer = with_cookies(&setting, cookies.as_bytes());
        assert_eq!(answer.status, 400, "{cookies}");
        let expired = answer.all("set-cookie").into_iter().any(|line| {
            line.starts_with("__Host-keycard=") && line.to_ascii_lowercase().contains("max-age=0")
        });
        assert!(expired, "{cookies}: {:?}", answer.headers);
        assert_eq!(setting.upstream.count(), 0);
    }
    // Two header lines are one header (RFC 9110 section 5.3).
    let host = setting.gateway.host();
    let request = format!(
        "GET /inside HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\n\
         Cookie: {name}={own}\r\nCookie: {name}={other}\r\n\r\n"
    );
    assert_eq!(send(setting.gateway.address, request.as_bytes()).unwrap().status, 400);
}

#[test]
fn r54_a21_two_binding_cookies_finish_no_login() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/");
    let own = browser.jar.get("__Host-keycard-login").unwrap().value.clone();
    for cookies in [
        format!("__Host-keycard-login={own}; __Host-keycard-login=attacker"),
        format!("__Host-keycard-login=attacker; __Host-keycard-login={own}"),
    ] {
        let mut other = setting.browser();
        other.extra.push(("Cookie".into(), cookies.clone()));
        let answer = other.open(callback.as_str());
        assert!(!setting.has_session(&other), "{cookies}: {}", answer.status);
        assert_eq!(answer.status, 400, "{cookies}");
    }
    // Nothing was used up by the refusals.
    let page = browser.navigate(callback.as_str());
    setting.assert_signed_in(&browser, &page);
}

#[test]
fn r54_a21_names_are_compared_byte_for_byte() {
    let setting = Setting::new();
    let own = setting.session_cookie(&setting.signed_in());
    for prefix in [
        "__host-keycard=",
        "__HOST-KEYCARD=",
        "__Host-Keycard=",
        "__%48ost-keycard=",
        "%5F%5FHost-keycard=",
        "\u{2000}__Host-keycard=",
        "\u{a0}__Host-keycard=",
        "\u{feff}__Host-keycard=",
        "__Host-keycard\u{2000}=",
        "=__Host-keycard=",
        "__Host-keycard",
        "keycard=",
        "__Secure-keycard=",
        "__Host-Http-keycard=",
        "$Version=1; $Path=/; x__Host-keycard=",
        "\"__Host-keycard\"=",
        "__Host-keycard%3d",
        "__Host-keycard-x=",
    ] {
        let answer = with_cookies(&setting, format!("{prefix}{own}").as_bytes());
        assert_eq!(answer.status, 401, "{prefix:?}");
    }
}

#[test]
fn r54_a21_values_are_not_unwrapped() {
    let setting = Setting::new();
    let own = setting.session_cookie(&setting.signed_in());
    for value in [format!("\"{own}\""), format!("{own}x"), own[..own.len() - 1].to_owned(), String::new()] {
        let answer = with_cookies(&setting, format!("__Host-keycard={value}").as_bytes());
        assert_eq!(answer.status, 401, "{value}");
    }
}

#[test]
fn r54_a21_neighbours_do_no_harm() {
    let setting = Setting::new();
    let own = setting.session_cookie(&setting.signed_in());
    let own = format!("__Host-keycard={own}");
    let many: String = (0..200).map(|n| format!("junk{n}=value{n}; ")).collect();
    for (name, cookies) in [
        ("alone", own.clone().into_bytes()),
        ("200 others before", format!("{many}{own}").into_bytes()),
        ("a Latin-1 neighbour", [b"caf\xe9=cr\xe8me; ", own.as_bytes()].concat()),
        ("a Latin-1 neighbour behind", [own.as_bytes(), b"; caf\xe9=cr\xe8me"].concat()),
        ("nameless", format!("=__Host-keycard=evil; {own}").into_bytes()),
        ("valueless", format!("evil; {own}").into_bytes()),
        ("legacy", format!("$Version=1; {own}; $Path=/").into_bytes()),
        ("quotes", format!("x=\"a; b\"; {own}").into_bytes()),
        ("other case", format!("__host-keycard=evil; {own}").into_bytes()),
        ("encoded name", format!("__%48ost-keycard=evil; {own}").into_bytes()),
        ("Unicode space", format!("\u{2000}__Host-keycard=evil; {own}").into_bytes()),
        ("no space", format!("a=1;{own};b=2").into_bytes()),
        ("empty pairs", format!("; ; {own}; ").into_bytes()),
    ] {
        setting.upstream.forget();
        assert_eq!(with_cookies(&setting, &cookies).status, 200, "{name}");
        assert_eq!(setting.upstream.last().head.header("remote-user"), Some("alice-0001"), "{name}");
    }
}

#[test]
fn a21_a_huge_cookie_header_is_refused_and_breaks_nothing() {
    let setting = Setting::new();
    let own = setting.session_cookie(&setting.signed_in());
    let huge = format!("x={}; __Host-keycard={own}", "y".repeat(200_000));
    let host = setting.gateway.host();
    let request =
        format!("GET /inside HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {huge}\r\n\r\n");
    if let Some(answer) = send(setting.gateway.address, request.as_bytes()) {
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    assert_eq!(with_cookies(&setting, format!("__Host-keycard={own}").as_bytes()).status, 200);
}

#[test]
fn r55_our_cookies_never_reach_an_upstream_and_others_do() {
    let setting = Setting::new();
    let own = setting.session_cookie(&setting.signed_in());
    let cookies = format!(
        "DokuWiki=abc; __Host-keycard={own}; __Host-keycard-login=binding-value; __host-keycard=x; \
         __%48ost-keycard=y; keycard2=z; caf\u{e9}=1"
    );
    for path in ["/inside", "/public/x", "/optional/x"] {
        setting.upstream.forget();
        let host = setting.gateway.host();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\n\
             Cookie: {cookies}\r\n\r\n"
        );
        assert_eq!(send(setting.gateway.address, request.as_bytes()).unwrap().status, 200, "{path}");
        let sent = setting.upstream.last().head.all("cookie").join("; ");
        assert!(sent.contains("DokuWiki=abc"), "{path}: {sent}");
        assert!(!sent.contains(&own) && !sent.contains("binding-value"), "{path}: {sent}");
        let named = sent.split("; ").any(|pair| pair.starts_with("__Host-keycard"));
        assert!(!named, "{path}: {sent}");
    }
}

#[test]
fn r55_a22_an_upstream_cannot_set_our_cookies() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let before = setting.session_cookie(&browser);
    setting.upstream.answer_raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: __Host-keycard=evil; Secure; Path=/\r\n\
          Set-Cookie: __host-keycard=evil; Secure; Path=/\r\nSet-Cookie: __HOST-KEYCARD=; Max-Age=0; Secure; Path=/\r\n\
          Set-Cookie: __Host-keycard-login=evil; Secure; Path=/\r\nSet-Cookie:  __Host-keycard =evil; Path=/\r\n\
          Set-Cookie: __Host-Http-keycard=evil; Path=/\r\nset-cookie: app=1; Path=/\r\nSet-Cookie: app2=2\r\n\
          Connection: close, set-cookie\r\n\r\nok",
    );
    for path in ["/inside", "/public/x", "/optional/x"] {
        let answer = browser.fetch("GET", path, &[], b"");
        let set = answer.all("set-cookie");
        let ours = set.iter().filter(|line| {
            let name = line.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
            matches!(name.as_str(), "__host-keycard" | "__host-keycard-login")
        });
        assert_eq!(ours.count(), 0, "{path}: {set:?}");
        assert!(set.iter().any(|line| line.starts_with("app=1")), "{path}: {set:?}");
        assert!(set.iter().any(|line| line.starts_with("app2=2")), "{path}: {set:?}");
        assert_eq!(setting.session_cookie(&browser), before);
    }
}

#[test]
fn a22_an_upstream_cannot_clear_or_split() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    setting.upstream.answer_raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nClear-Site-Data: \"cookies\"\r\nService-Worker-Allowed: /\r\n\r\nok",
    );
    let answer = browser.fetch("GET", "/inside", &[], b"");
    assert!(!answer.header("clear-site-data").is_some_and(|value| value.contains("cookies")));
    assert_eq!(answer.header("service-worker-allowed"), None);
    setting.upstream.answer_raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Split: a\rSet-Cookie: __Host-keycard=evil; Secure; Path=/\r\n\r\nok",
    );
    let answer = browser.fetch("GET", "/inside", &[], b"");
    assert!(!answer.all("set-cookie").iter().any(|line| line.contains("evil")), "{:?}", answer.headers);
}
