//! How long a session lives (R47, R56, R61), with time moved by hand.
//!
//! I own: idle and absolute ends as a browser meets them, what counts as use, and the last moments of a ticket that a
//! new sign-in replaced.

use super::house::browser::{Browser, EVIL, SIBLING};
use super::house::setting::Setting;
use std::time::Duration;

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

fn setting() -> Setting {
    Setting::with(|plan| plan.session_extra("idle_timeout = \"30m\"\nlifetime = \"10h\""))
}

fn status(browser: &mut Browser) -> u16 {
    browser.fetch("GET", "/", &[], b"").status
}

#[test]
fn r47_silence_ends_a_session() {
    let setting = setting();
    let mut browser = setting.signed_in();
    setting.clock.advance(minutes(29));
    assert_eq!(status(&mut browser), 200);
    setting.clock.advance(minutes(29));
    assert_eq!(status(&mut browser), 200, "use keeps it alive");
    // Thirty minutes and the interval in which "last seen" is not written.
    setting.clock.advance(minutes(32));
    assert_eq!(status(&mut browser), 401);
}

#[test]
fn r47_a_life_ends_however_busy_it_is() {
    let setting = setting();
    let mut browser = setting.signed_in();
    for _ in 0..29 {
        setting.clock.advance(minutes(20));
        assert_eq!(status(&mut browser), 200);
    }
    setting.clock.advance(minutes(19));
    assert_eq!(status(&mut browser), 200);
    setting.clock.advance(minutes(1));
    assert_eq!(status(&mut browser), 401);
}

#[test]
fn r47_an_ended_session_stays_ended() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let mut late = browser.clone();
    setting.clock.advance(minutes(601));
    assert_eq!(status(&mut browser), 401);
    assert_eq!(status(&mut late), 401);
    assert_eq!(late.fetch("GET", "/bff/user", &[], b"").status, 401);
}

#[test]
fn r47_a_navigation_after_the_end_signs_in_again() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let before = setting.session_cookie(&browser);
    setting.clock.advance(minutes(601));
    let page = browser.navigate("/wiki/");
    setting.assert_signed_in(&browser, &page);
    assert_eq!(page.url.path(), "/wiki/");
    assert_ne!(setting.session_cookie(&browser), before);
}

#[test]
fn r47_looking_without_sliding_does_not_keep_a_session_alive() {
    let setting = setting();
    let mut browser = setting.signed_in();
    for _ in 0..3 {
        setting.clock.advance(minutes(10));
        assert_eq!(browser.fetch("GET", "/bff/user?slide=false", &[], b"").status, 200);
    }
    setting.clock.advance(minutes(3));
    assert_eq!(status(&mut browser), 401);
}

#[test]
fn r47_optional_and_public_routes_see_nobody_after_the_end() {
    let setting = setting();
    let mut browser = setting.signed_in();
    setting.clock.advance(minutes(601));
    for path in ["/optional/x", "/public/x"] {
        assert_eq!(browser.fetch("GET", path, &[], b"").status, 200, "{path}");
        assert_eq!(setting.upstream.last().head.header("remote-user"), None, "{path}");
    }
}

#[test]
fn r47_r61_what_is_refused_does_not_keep_a_session_alive() {
    let rows: [(&str, fn(&mut Browser) -> u16); 6] = [
        ("a picture on another site", |b| b.foreign(EVIL, "GET", "/x", "no-cors", "image").status),
        ("a form of a sibling", |b| b.foreign(SIBLING, "POST", "/x", "navigate", "document").status),
        ("a script of a sibling", |b| b.foreign(SIBLING, "GET", "/optional/x", "cors", "empty").status),
        ("user for another site", |b| b.foreign(EVIL, "GET", "/bff/user", "no-cors", "script").status),
        ("sign-out from elsewhere", |b| {
            b.foreign(EVIL, "POST", "/bff/logout", "navigate", "document").status
        }),
        ("a page that is not theirs", |b| b.fetch("GET", "/admin/x", &[], b"").status),
    ];
    for (name, request) in rows {
        let setting = setting();
        let mut browser = setting.signed_in();
        for _ in 0..3 {
            setting.clock.advance(minutes(10));
            assert_eq!(request(&mut browser), 403, "{name}");
        }
        setting.clock.advance(minutes(3));
        assert_eq!(status(&mut browser), 401, "{name} kept it alive");
    }
}

#[test]
fn r56_a_sign_out_ends_the_ticket_that_a_new_sign_in_replaced() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let mut old = browser.clone();
    browser.navigate("/bff/login?return_to=/");
    assert_ne!(setting.session_cookie(&browser), setting.session_cookie(&old));
    setting.clock.advance(Duration::from_secs(5));
    assert_eq!(status(&mut old), 200, "requests in flight live");
    assert!(browser.clone().fetch("POST", "/bff/logout", &[], b"").status < 400);
    assert_eq!((status(&mut old), status(&mut browser)), (401, 401));
    assert_eq!(old.open("/bff/user").status, 401);
}

#[test]
fn r56_a_replaced_ticket_lives_ten_seconds_and_no_more() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let mut old = browser.clone();
    browser.navigate("/bff/login?return_to=/");
    setting.clock.advance(Duration::from_secs(9));
    assert_eq!(status(&mut old), 200);
    setting.clock.advance(Duration::from_secs(1));
    assert_eq!((status(&mut old), status(&mut browser)), (401, 200));
}
