//! Where one is signed in: `GET sessions`, and ending one of one's own (issue 5, item 6; A44, R61, R62, R67, R82).
//!
//! I own: the list and its buttons as a script, a page and a stranger meet them. How the page looks is for the browser
//! tests.

use super::house::browser::{Browser, EVIL, SIBLING};
use super::house::patience::until;
use super::house::raw::Answer;
use super::house::setting::{Setting, usual_plan};
use super::stores::Redis;
use serde_json::{Value, json};
use std::time::Duration;

/// The list as a script gets it.
fn list(browser: &mut Browser) -> Vec<Value> {
    let answer = browser.fetch("GET", "/bff/sessions?slide=false", &[], b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    answer.json()["sessions"].as_array().unwrap().clone()
}

fn handle(session: &Value) -> &str {
    session["handle"].as_str().unwrap()
}

/// The handle of the session that is not this browser's, where there are two.
fn other(browser: &mut Browser) -> String {
    let sessions = list(browser);
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    handle(&sessions[1]).to_owned()
}

fn end(browser: &mut Browser, handle: &str) -> Answer {
    browser.fetch("DELETE", &format!("/bff/sessions/{handle}"), &[], b"")
}

fn status(browser: &mut Browser) -> u16 {
    browser.fetch("GET", "/", &[], b"").status
}

/// A body but for its correlation id.
fn body(answer: &Answer) -> Value {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("correlation_id").expect("no correlation id");
    body
}

/// Every header but those that differ from answer to answer.
fn headers(answer: &Answer) -> Vec<(String, String)> {
    let one = |name: &str| (name.to_owned(), answer.all(name).join("|"));
    ["content-type", "content-length", "cache-control", "vary", "set-cookie", "connection"].map(one).to_vec()
}

#[test]
fn the_list_says_where_i_am_signed_in_and_nobody_else() {
    let setting = Setting::new();
    let mut one = setting.signed_in();
    setting.clock.advance(Duration::from_secs(60));
    let mut two = setting.signed_in();
    let mut bob = setting.bob();
    let sessions = list(&mut two);
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    let mut mine = sessions[0].clone();
    let handle = mine.as_object_mut().unwrap().remove("handle").unwrap();
    assert_eq!(handle.as_str().unwrap().len(), 22);
    assert_eq!(
        mine,
        json!({
            "current": true, "started": "2026-01-01T00:01:00Z", "last_seen": "2026-01-01T00:01:00Z",
            "ends": "2026-01-01T10:01:00Z", "address": "127.0.0.1", "user_agent": "Keycard-Test-Browser/1",
            "provider": "corp"
        })
    );
    assert_eq!(
        (&sessions[1]["current"], &sessions[1]["started"]),
        (&json!(false), &json!("2026-01-01T00:00:00Z"))
    );
    assert_eq!(list(&mut one)[0]["current"], true);
    let theirs = list(&mut bob);
    assert_eq!(theirs.len(), 1);
    assert!(sessions.iter().all(|session| session["handle"] != theirs[0]["handle"]));
    // Neither the ticket nor what the store calls it.
    let text = two.fetch("GET", "/bff/sessions", &[], b"").text();
    let cookie = setting.session_cookie(&two);
    assert!(!text.contains(&cookie[cookie.len() - 20..]), "{text}");
    // Silence ends a session, and with it its line.
    setting.clock.advance(Duration::from_secs(29 * 60));
    assert_eq!(status(&mut two), 200);
    setting.clock.advance(Duration::from_secs(5 * 60));
    assert_eq!(list(&mut two).len(), 1);
}

#[test]
fn looking_at_the_list_is_use_unless_it_says_otherwise() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    for _ in 0..2 {
        setting.clock.advance(Duration::from_secs(20 * 60));
        assert_eq!(browser.fetch("GET", "/bff/sessions", &[], b"").status, 200);
    }
    setting.clock.advance(Duration::from_secs(20 * 60));
    assert_eq!(list(&mut browser).len(), 1);
    setting.clock.advance(Duration::from_secs(20 * 60));
    assert_eq!(browser.fetch("GET", "/bff/sessions", &[], b"").status, 401, "the last look was none");
}

#[test]
fn r56_i_end_another_session_of_mine_and_only_that_one() {
    for store in [None, Some(Redis::start())] {
        let setting = Setting::with(|plan| {
            plan.operating = true;
            if let Some(redis) = &store {
                plan.store_redis(&redis.url());
            }
        });
        let (mut one, mut two) = (setting.signed_in(), setting.signed_in());
        let mut bob = setting.bob();
        let there = other(&mut one);
        let answer = end(&mut one, &there);
        assert_eq!((answer.status, answer.json()), (200, json!({ "handle": there, "current": false })));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.all("set-cookie").is_empty());
        assert_eq!([status(&mut one), status(&mut two), status(&mut bob)], [200, 401, 200]);
        assert_eq!(list(&mut one).len(), 1);
        assert_eq!(end(&mut one, &there).status, 404, "once");
    }
}

#[test]
fn r65_an_ending_of_mine_is_in_force_at_the_other_gateway() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| plan.store_redis(&url));
    let mut plan = usual_plan(&setting.upstream);
    plan.provider("corp", &setting.provider, "userinfo = true");
    plan.store_redis(&url);
    let second = plan.start(&setting.clock);
    let (mut one, two) = (setting.signed_in(), setting.signed_in());
    let mut there = second.browser();
    there.jar = two.jar.clone();
    assert_eq!(status(&mut there), 200);
    let handle = other(&mut one);
    assert_eq!(end(&mut one, &handle).status, 200);
    // Its message takes as long as it takes; nobody waits for more than a second.
    until("nobody serves it any more", || status(&mut there) == 401);
}

#[test]
fn a44_a_handle_of_somebody_elses_is_one_of_nobodys() {
    let setting = Setting::new();
    let (mut alice, mut bob) = (setting.signed_in(), setting.bob());
    let theirs = handle(&list(&mut bob)[0]).to_owned();
    let foreign = end(&mut alice, &theirs);
    assert_eq!(foreign.json()["type"], "urn:keycard:problem:no-such-session");
    for unknown in ["AAAAAAAAAAAAAAAAAAAAAA", "x", "a%20b", &"y".repeat(300), "a/b"] {
        let answer = end(&mut alice, unknown);
        assert_eq!(answer.status, 404, "{unknown}");
        assert_eq!((body(&answer), headers(&answer)), (body(&foreign), headers(&foreign)), "{unknown}");
        let page = alice.post_form(&format!("/bff/sessions/{unknown}"), "");
        assert_eq!(page.status, 404, "{unknown}");
    }
    assert_eq!([status(&mut alice), status(&mut bob)], [200, 200]);
    assert_eq!(alice.post_form(&format!("/bff/sessions/{theirs}"), "").status, 404);
    assert_eq!(status(&mut bob), 200);
}

#[test]
fn r56_ending_the_session_that_asks_signs_out_here() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let thief = browser.clone();
    let mine = handle(&list(&mut browser)[0]).to_owned();
    let answer = end(&mut browser, &mine);
    assert_eq!((answer.status, answer.json()), (200, json!({ "handle": mine, "current": true })));
    assert!(!setting.has_session(&browser));
    assert_eq!(status(&mut thief.clone()), 401, "the record is gone, not just the cookie");
    // As a form: to our own page, not to the provider.
    let mut browser = setting.signed_in();
    let mine = handle(&list(&mut browser)[0]).to_owned();
    let answer = browser.post_form(&format!("/bff/sessions/{mine}"), "");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/bff/signed-out")));
    assert!(!setting.has_session(&browser));
}

#[test]
fn the_page_has_a_button_for_each_session_and_needs_no_script() {
    let setting = Setting::new();
    let (mut one, mut two) = (setting.signed_in(), setting.signed_in());
    let there = other(&mut one);
    let page = one.open("/bff/sessions");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    let text = page.text();
    assert_eq!(text.matches("<form method=\"post\"").count(), 2, "{text}");
    assert!(text.contains(&format!("action=\"&#x2f;bff&#x2f;sessions&#x2f;{there}\"")), "{text}");
    assert_eq!(text.matches("This browser").count(), 1);
    assert!(text.contains("Alice Example") && !text.contains("<script"));
    let answer = one.post_form(&format!("/bff/sessions/{there}"), "");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/bff/sessions")));
    assert_eq!([status(&mut one), status(&mut two)], [200, 401]);
    assert_eq!(one.open("/bff/sessions").text().matches("<form method=\"post\"").count(), 1);
    let asked = one.open("/bff/logout").text();
    assert!(asked.contains("href=\"&#x2f;bff&#x2f;sessions\""), "{asked}");
}

#[test]
fn the_page_speaks_the_language_of_its_reader() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    browser.extra.push(("Accept-Language".into(), "de".into()));
    browser.navigate("/");
    let page = browser.open("/bff/sessions").text();
    assert!(page.contains("Wo du angemeldet bist") && page.contains("Dieser Browser"), "{page}");
    assert!(page.contains("<time datetime=\"2026-01-01T00:00:00Z\">2026-01-01 00:00 UTC</time>"), "{page}");
}

#[test]
fn r67_without_a_session_a_script_gets_the_401_and_a_person_the_sign_in() {
    let setting = Setting::new();
    for (method, target) in
        [("GET", "/bff/sessions"), ("DELETE", "/bff/sessions/x"), ("POST", "/bff/sessions/x")]
    {
        let answer = setting.browser().fetch(method, target, &[], b"");
        assert_eq!(answer.status, 401, "{method}");
        assert_eq!(answer.json()["login_url"], "/bff/login", "{method}");
    }
    let mut browser = setting.browser();
    let sent = browser.open("/bff/sessions");
    let login = Some("/bff/login?return_to=%2Fbff%2Fsessions");
    assert_eq!((sent.status, sent.header("location")), (302, login));
    let page = browser.navigate("/bff/sessions");
    assert_eq!((page.answer.status, page.url.path()), (200, "/bff/sessions"), "{}", page.way());
    // A page that was left open for too long.
    setting.clock.advance(Duration::from_secs(60 * 60));
    let answer = browser.post_form("/bff/sessions/AAAAAAAAAAAAAAAAAAAAAA", "");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/bff/sessions")));
}

#[test]
fn r61_r62_a_foreign_page_sees_nothing_and_ends_nothing() {
    let setting = Setting::new();
    let (mut one, mut two) = (setting.signed_in(), setting.signed_in());
    let there = format!("/bff/sessions/{}", other(&mut one));
    for from in [EVIL, SIBLING] {
        for (mode, dest) in [("cors", "empty"), ("no-cors", "image"), ("navigate", "iframe")] {
            let answer = one.foreign(from, "GET", "/bff/sessions", mode, dest);
            assert_eq!(answer.status, 403, "{from:?} {mode}");
            assert!(!answer.text().contains("127.0.0.1"));
        }
        for method in ["DELETE", "POST"] {
            for (mode, dest) in [("cors", "empty"), ("navigate", "document")] {
                assert_eq!(
                    one.foreign(from, method, &there, mode, dest).status,
                    403,
                    "{from:?} {method} {mode}"
                );
            }
        }
    }
    let bare = one.request("POST", &one.url(&there), &[], b"");
    assert_eq!(bare.status, 403, "nothing says where it comes from");
    assert_eq!([status(&mut one), status(&mut two)], [200, 200]);
    // A link from elsewhere may show the page.
    assert_eq!(one.follow_link("https://evil.test", "/bff/sessions").answer.status, 200);
    let put = one.fetch("PUT", &there, &[], b"");
    assert_eq!((put.status, put.header("allow")), (405, Some("DELETE, POST")));
    assert_eq!(one.fetch("POST", "/bff/sessions", &[], b"").status, 405);
}

#[test]
fn r51_with_a_strict_cookie_a_link_from_elsewhere_shows_the_list() {
    let setting = Setting::with(|plan| plan.session_extra("same_site = \"strict\""));
    let mut browser = setting.browser();
    browser.navigate("/bff/sessions");
    let cookies = browser.jar.clone();
    browser.jar.clear();
    let page = browser.follow_link("https://evil.test", "/bff/sessions");
    assert_eq!(page.url.path(), "/bff/landing", "{}", page.way());
    let refresh = page.answer.header("refresh").unwrap().to_owned();
    assert_eq!(refresh, "0; url=/bff/sessions");
    browser.jar = cookies;
    assert_eq!(browser.open("/bff/sessions").status, 200);
}

#[test]
fn r82_a_store_that_fails_ends_nothing_and_clears_no_cookie() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| plan.store_redis_asked(&url));
    let mut browser = setting.signed_in();
    let mine = handle(&list(&mut browser)[0]).to_owned();
    drop(redis);
    for (method, target) in [("GET", "/bff/sessions".to_owned()), ("DELETE", format!("/bff/sessions/{mine}"))]
    {
        let answer = browser.fetch(method, &target, &[], b"");
        assert_eq!(answer.status, 503, "{method}");
        assert!(answer.header("retry-after").is_some() && answer.all("set-cookie").is_empty());
    }
    assert!(setting.has_session(&browser));
}

#[test]
fn a_sign_in_that_was_replaced_a_moment_ago_is_not_shown_twice() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    browser.navigate("/bff/login?return_to=/");
    let sessions = list(&mut browser);
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(sessions[0]["current"], true);
}
