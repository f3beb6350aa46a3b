//! What browsers lose on their way through a sign-in, kept: the fragment of an address, and a form (issue 4, item 6).
//!
//! I own: which forms are kept, and how often they are handed out, each rule with a request that must not get through; for
//! whom is in `whose`, and addresses are in `fragments`. I do by hand what the script of the pages does; that it does so is for
//! `tests/browser/keep.mjs`.

mod fragments;
mod whose;

use super::house::browser::{Browser, EVIL, Foreign, SANDBOX, SIBLING};
use super::house::evidence;
use super::house::gateway::Plan;
use super::house::raw::Answer;
use super::house::setting::Setting;
use std::time::Duration;

const FORM: &str = "title=Caf%C3%A9+%26+Co&text=one%0D%0Atwo&text=%3C%2Fform%3E%22&empty=";
const MINUTE: Duration = Duration::from_secs(60);

fn setting() -> Setting {
    Setting::with(routes)
}

pub fn routes(plan: &mut Plan) {
    let upstream = plan.upstream_url();
    for (path, access, more) in [
        ("/keep/", "\"signed-in\"", "keep_post = \"4KiB\"\nkeep_fragment = true"),
        ("/keep-relay/", "\"signed-in\"", "keep_post = \"4KiB\"\ntoken = \"access\""),
        ("/keep-admin/", "{ roles = [\"admin\"] }", "keep_post = \"4KiB\""),
        // What an app may be told to put up with is none of a kept form's concern.
        ("/keep-off/", "\"signed-in\"", "keep_post = \"4KiB\"\ncsrf = \"off\""),
    ] {
        plan.route(&format!("path = \"{path}\"\nupstream = \"{upstream}\"\naccess = {access}\n{more}"));
    }
}

/// The value of an attribute or of a field, as HTML has it.
fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let value = text.split_once(before)?.1.split_once(after)?.0;
    let plain =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")];
    Some(plain.iter().fold(value.to_owned(), |text, (escaped, raw)| text.replace(escaped, raw)))
}

/// What the script of a page works with: its step, and where to.
fn step(answer: &Answer) -> Option<(String, String)> {
    let text = answer.text();
    Some((between(&text, "data-step=\"", "\"")?, between(&text, "data-to=\"", "\"")?))
}

/// A form that a page has kept.
#[derive(Clone)]
pub struct Kept {
    pub sealed: String,
    login: String,
}

/// Sends a form without a session, and takes what the script would keep.
pub fn keep(browser: &mut Browser, target: &str, body: &str) -> Kept {
    let answer = browser.post_form(target, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (name, login) = step(&answer).unwrap();
    assert_eq!(name, "put");
    let sealed = between(&answer.text(), "name=\"form\" value=\"", "\"").unwrap();
    Kept { sealed, login }
}

/// Signs in where the script would go, and hands back the pass.
pub fn sign_in(browser: &mut Browser, kept: &Kept) -> String {
    let page = browser.navigate(&kept.login);
    assert_eq!(page.url.path(), "/bff/replay", "{}", page.way());
    assert_eq!(step(&page.answer).unwrap(), ("take".into(), "/bff/replay".into()), "{}", page.answer.text());
    between(&page.answer.text(), "name=\"pass\" value=\"", "\"").unwrap()
}

/// What the script posts after the sign-in.
fn replay(browser: &mut Browser, sealed: &str, pass: &str) -> Answer {
    browser.post_form("/bff/replay", &format!("form={sealed}&pass={pass}"))
}

/// Whether the answer asks to send the form, and how a browser would send it then.
fn asked(answer: &Answer) -> Option<(String, String)> {
    let text = answer.text();
    let form = text.split_once("<form method=\"post\" action=\"").filter(|_| answer.status == 200)?.1;
    let action = between(&format!("\"{form}"), "\"", "\"")?;
    let mut again = url::form_urlencoded::Serializer::new(String::new());
    for field in form.split("<input ").skip(1) {
        let (name, value) = (between(field, "name=\"", "\"")?, between(field, "value=\"", "\"")?);
        again.append_pair(&name, &value);
    }
    Some((action, again.finish()))
}

fn is_lost(setting: &Setting, answer: &Answer) -> bool {
    let text = answer.text();
    answer.status == 400
        && text.contains("no longer there")
        && asked(answer).is_none()
        && setting.upstream.count() == 0
}

#[test]
fn a_form_waits_for_the_sign_in_and_arrives_once_with_the_same_bytes() {
    let setting = setting();
    let mut browser = setting.browser();
    let kept = keep(&mut browser, "/keep/edit?page=a%20b", FORM);
    assert_eq!(setting.upstream.count(), 0);
    let pass = sign_in(&mut browser, &kept);
    assert_eq!(setting.upstream.count(), 0, "nothing is sent by itself");
    let page = replay(&mut browser, &kept.sealed, &pass);
    assert_eq!(setting.upstream.count(), 0, "nothing is sent by itself");
    let (action, body) = asked(&page).unwrap();
    assert_eq!((action.as_str(), body.as_str()), ("/keep/edit?page=a%20b", FORM));
    let text = page.text();
    assert!(text.contains("POST &#x2f;keep&#x2f;edit<") || text.contains("POST /keep/edit<"), "{text}");
    assert!(text.contains("<strong>title, text, empty</strong>"), "{text}");
    assert!(!text.contains("<script"), "the page with the form runs none");
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(browser.post_form(&action, &body).status, 200);
    let arrived = setting.upstream.last();
    assert_eq!((arrived.head.method.as_str(), arrived.body), ("POST", FORM.as_bytes().to_vec()));
    assert_eq!(setting.upstream.count(), 1);
}

#[test]
fn r4_a_kept_form_is_handed_out_once() {
    let setting = setting();
    let mut browser = setting.browser();
    let kept = keep(&mut browser, "/keep/x", FORM);
    let pass = sign_in(&mut browser, &kept);
    assert!(asked(&replay(&mut browser, &kept.sealed, &pass)).is_some());
    for _ in 0..2 {
        assert!(is_lost(&setting, &replay(&mut browser, &kept.sealed, &pass)));
    }
}

#[test]
fn r58_every_page_of_it_is_for_nobody_else_and_without_scripts_of_others() {
    let setting = setting();
    let mut browser = setting.browser();
    let first = browser.open("/keep/x");
    let second = browser.post_form("/keep/x", FORM);
    let (_, login) = step(&second).unwrap();
    let third = browser.navigate(&login).answer;
    for answer in [&first, &second, &third] {
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("; script-src 'sha256-") && policy.ends_with("; form-action 'self'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("script-src 'self'"), "{policy}");
        assert_eq!(answer.text().matches("<script").count(), 1);
    }
    assert!(!second.text().contains("Caf") && !second.text().contains("empty="), "the form is sealed");
}

#[test]
fn a23_r62_a_form_of_another_site_is_not_kept() {
    let setting = setting();
    let mut browser = setting.browser();
    for from in [EVIL, SIBLING, SANDBOX, Foreign { origin: "https://evil.test", site: "same-origin" }] {
        for target in ["/keep/x", "/keep-off/x"] {
            let answer = browser.foreign(from, "POST", target, "navigate", "document");
            assert_eq!(answer.status, 401, "{from:?}");
            assert!(step(&answer).is_none() && answer.header("set-cookie").is_none(), "{from:?}");
        }
    }
    // Nothing says where it comes from.
    let url = browser.url("/keep/x");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let html = ("Accept", "text/html");
    assert_eq!(browser.request("POST", &url, &[form, html], b"a=1").status, 401);
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn a23_r62_only_a_page_of_our_own_takes_a_form_out() {
    let setting = setting();
    let mut browser = setting.browser();
    let kept = keep(&mut browser, "/keep-off/x", FORM);
    let pass = sign_in(&mut browser, &kept);
    let body = format!("form={}&pass={pass}", kept.sealed);
    let headers = |site, origin| {
        [
            ("Accept", "text/html"),
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
            ("Origin", origin),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ]
    };
    let url = browser.url("/bff/replay");
    for (site, origin) in [
        ("cross-site", "https://evil.test"),
        ("same-site", "https://other.example.test"),
        ("cross-site", "null"),
    ] {
        assert_eq!(browser.request("POST", &url, &headers(site, origin), body.as_bytes()).status, 403);
    }
    assert!(asked(&replay(&mut browser, &kept.sealed, &pass)).is_some(), "it is not used up by that");
}

#[test]
fn r67_what_is_no_form_of_a_window_gets_the_401() {
    let setting = setting();
    let mut browser = setting.browser();
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(browser.fetch("POST", "/keep/x", &[form], b"a=1").status, 401);
    assert_eq!(browser.fetch("PUT", "/keep/x", &[form], b"a=1").status, 401);
    let url = browser.url("/keep/x");
    for (dest, kind, expected) in [
        ("iframe", "application/x-www-form-urlencoded", 401),
        ("document", "text/plain", 401),
        ("document", "application/json", 401),
        ("document", "application/x-www-form-urlencoded; charset=utf-8", 200),
        ("document", "APPLICATION/X-WWW-Form-URLEncoded", 200),
    ] {
        let headers = [
            ("Accept", "text/html"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", dest),
            ("Origin", "https://apps.example.test"),
            ("Content-Type", kind),
        ];
        assert_eq!(browser.request("POST", &url, &headers, b"a=1").status, expected, "{dest} {kind}");
    }
}

#[test]
fn what_cannot_be_kept_is_refused_with_a_page_that_says_what_to_do() {
    let setting = setting();
    let mut browser = setting.browser();
    let long = format!("a={}", "x".repeat(4096));
    let exact = format!("a={}", "x".repeat(4094));
    let many = vec!["a="; 1001].join("&");
    let url = browser.url("/keep/x");
    let mut send = |kind: &str, body: &str| {
        let headers = [
            ("Accept", "text/html"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
            ("Origin", "https://apps.example.test"),
            ("Content-Type", kind),
        ];
        browser.request("POST", &url, &headers, body.as_bytes())
    };
    let plain = "application/x-www-form-urlencoded";
    for (kind, body, status, word) in [
        ("multipart/form-data; boundary=x", "--x--", 415, "with files"),
        (plain, long.as_str(), 413, "too large"),
        (plain, "a=%E4", 422, "unchanged"),
        (plain, many.as_str(), 413, "too large"),
    ] {
        let answer = send(kind, body);
        assert_eq!(answer.status, status, "{}", answer.text());
        let text = answer.text();
        assert!(text.contains(word) && text.contains("sign in in another tab"), "{text}");
        assert!(step(&answer).is_none());
    }
    assert_eq!(send(plain, &exact).status, 200);
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn a_form_without_a_length_is_bounded_as_well() {
    let setting = setting();
    let host = setting.gateway.host();
    let head = format!(
        "POST /keep/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: text/html\r\n\
         Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
         Origin: https://{host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let chunks = |count: usize| format!("400\r\na={}\r\n", "x".repeat(1022)).repeat(count) + "0\r\n\r\n";
    let send =
        |count| super::house::raw::send(setting.gateway.address, (head.clone() + &chunks(count)).as_bytes());
    // Four of 1,024 bytes make a form of one field with odd letters in it; five are too many.
    assert_eq!(send(5).unwrap().status, 413);
    assert_ne!(send(4).unwrap().status, 413);
}

#[test]
fn nothing_is_kept_where_no_route_asks() {
    let usual = Setting::new();
    let mut browser = usual.browser();
    assert_eq!(browser.post_form("/x", FORM).status, 401);
    assert_eq!(browser.open("/x").status, 302);
    for answer in [browser.open("/bff/replay?form=a&pass=b"), replay(&mut browser, "a", "b")] {
        assert_eq!(answer.status, 404);
    }
    let setting = setting();
    let mut browser = setting.browser();
    assert_eq!(browser.post_form("/x", FORM).status, 401);
    assert_eq!(browser.open("/x").status, 302);
    assert_eq!(browser.open("/keep-relay/x").status, 302);
    let page = browser.navigate("/bff/login?return_to=/x%23/route");
    assert_eq!(page.trail[page.trail.len() - 2].1.header("location"), Some("/x"), "{}", page.way());
}

#[test]
fn r60_no_value_of_a_form_is_in_the_log() {
    let setting = setting();
    let mut browser = setting.browser();
    let word = "Zw4nzigLangeWorteDieNiemandSonstSchreibt";
    evidence::secret("form_value", word);
    let answer = browser.post_form("/keep/x", &format!("a={word}"));
    assert!(!answer.text().contains(word));
    let kept = keep(&mut browser, "/keep/x", &format!("a={word}-2"));
    let _pass = sign_in(&mut browser, &kept);
}
