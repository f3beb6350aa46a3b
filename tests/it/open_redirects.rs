//! Open redirects (R12, A19, table T10): 624 payloads, raw, decoded once and double-encoded, as a return path and as a
//! request path.
//!
//! I own: the oracle. Whatever `Location` comes back, a WHATWG parser takes it to the gateway's own origin or to the
//! provider; and after a login the browser is on the gateway. I never ask that a payload is refused: many are harmless.

use super::house::raw::{Answer, send};
use super::house::setting::Setting;
use url::Url;

const PAYLOADS: &str = include_str!("data/open_redirects.txt");

/// The three spellings of a payload, as bytes.
fn spellings(line: &str) -> [Vec<u8>; 3] {
    let mut decoded = Vec::new();
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let triplet = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match triplet.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(octet) => {
                decoded.push(octet);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    [bytes.to_vec(), decoded, line.replace('%', "%25").into_bytes()]
}

/// Where an answer leads, if it leads anywhere but home or to the provider.
fn strays(answer: &Answer, home: &Url, provider: &Url) -> Option<String> {
    for location in answer.all("location") {
        let Ok(target) = home.join(location) else { return Some(format!("unreadable: {location}")) };
        let clean = target.username().is_empty() && target.password().is_none();
        if !clean || (target.origin() != home.origin() && target.origin() != provider.origin()) {
            return Some(format!("{location} is {target}"));
        }
    }
    // No other way out of a page: a refresh, a script, a link that was not there before.
    answer.header("refresh").map(|refresh| format!("Refresh: {refresh}"))
}

/// Without a rate of sign-ins: after its 300 a minute, nothing of the list would be looked at any more.
fn unhurried() -> Setting {
    Setting::with(|plan| plan.server_extra("login_rate = \"off\""))
}

fn get(setting: &Setting, target: &[u8], more: &str) -> Option<Answer> {
    let host = setting.gateway.host();
    let head = format!(
        " HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: text/html\r\nSec-Fetch-Site: none\r\n\
         Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n{more}\r\n"
    );
    send(setting.gateway.address, &[b"GET ", target, head.as_bytes()].concat())
}

#[test]
fn a19_the_list_is_complete() {
    assert_eq!(PAYLOADS.lines().count(), 624);
}

#[test]
fn r12_a19_no_return_path_leaves_the_origin() {
    let setting = unhurried();
    let home = Url::parse(&setting.gateway.origin).unwrap();
    let provider = Url::parse(&setting.provider.issuer()).unwrap();
    let mut strayed = Vec::new();
    for line in PAYLOADS.lines() {
        for payload in spellings(line) {
            let value: String = url::form_urlencoded::byte_serialize(&payload).collect();
            for name in ["return_to", "returnUrl"] {
                let target = format!("/bff/login?{name}={value}");
                let Some(answer) = get(&setting, target.as_bytes(), "") else { continue };
                if let Some(why) = strays(&answer, &home, &provider) {
                    strayed.push(format!("{name}={line}: {why}"));
                }
            }
        }
    }
    assert!(strayed.is_empty(), "{} strayed:\n{}", strayed.len(), strayed.join("\n"));
}

#[test]
fn r12_a19_after_the_login_the_browser_is_at_home() {
    let setting = unhurried();
    let home = Url::parse(&setting.gateway.origin).unwrap();
    let mut browser = setting.signed_in();
    let mut strayed = Vec::new();
    for line in PAYLOADS.lines() {
        for payload in spellings(line) {
            let value: String = url::form_urlencoded::byte_serialize(&payload).collect();
            let first = browser.open(&format!("/bff/login?return_to={value}"));
            let Some(to_provider) = first.header("location").filter(|_| first.status < 400) else { continue };
            let at_provider = browser.open(to_provider);
            let Some(callback) = at_provider.header("location") else { continue };
            let answer = browser.open(callback);
            if let Some(why) = strays(&answer, &home, &home) {
                strayed.push(format!("{line}: {why}"));
            }
        }
    }
    assert!(strayed.is_empty(), "{} strayed:\n{}", strayed.len(), strayed.join("\n"));
}

#[test]
fn r12_a19_no_request_path_leads_away() {
    let setting = unhurried();
    let home = Url::parse(&setting.gateway.origin).unwrap();
    let provider = Url::parse(&setting.provider.issuer()).unwrap();
    let mut strayed = Vec::new();
    for line in PAYLOADS.lines() {
        for payload in spellings(line) {
            // Bytes that cannot stand in a request line would end it: another test's concern (R75).
            let path: Vec<u8> =
                payload.into_iter().filter(|byte| !matches!(byte, 0 | b'\r' | b'\n' | b' ')).collect();
            for target in [[b"/", path.as_slice()].concat(), path.clone()] {
                if target.is_empty() {
                    continue;
                }
                let Some(answer) = get(&setting, &target, "") else { continue };
                if let Some(why) = strays(&answer, &home, &provider) {
                    strayed.push(format!("{line}: {why}"));
                    continue;
                }
                // One step further: what the login was told to remember.
                let next = answer.header("location").and_then(|to| home.join(to).ok());
                if let Some(next) = next.filter(|url| url.origin() == home.origin()) {
                    let target = next[url::Position::BeforePath..].to_owned();
                    let Some(answer) = get(&setting, target.as_bytes(), "") else { continue };
                    if let Some(why) = strays(&answer, &home, &provider) {
                        strayed.push(format!("{line}, then {target}: {why}"));
                    }
                }
            }
        }
    }
    assert!(strayed.is_empty(), "{} strayed:\n{}", strayed.len(), strayed.join("\n"));
    assert_eq!(setting.upstream.count(), 0, "an upstream was reached without a session");
}

#[test]
fn a19_a_logout_return_leads_nowhere_else() {
    let setting = unhurried();
    let home = Url::parse(&setting.gateway.origin).unwrap();
    let provider = Url::parse(&setting.provider.issuer()).unwrap();
    for line in PAYLOADS.lines().step_by(7) {
        let value: String = url::form_urlencoded::byte_serialize(line.as_bytes()).collect();
        for name in ["return_to", "post_logout_redirect_uri", "rd", "returnUrl", "state"] {
            let target = format!("/bff/logout?{name}={value}");
            let Some(answer) = get(&setting, target.as_bytes(), "") else { continue };
            assert_eq!(strays(&answer, &home, &provider), None, "{target}");
        }
    }
}
