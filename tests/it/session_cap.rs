//! How many sessions one person may have (`session.max_per_user`): which of them ends, or who is refused, also when two
//! sign in at the same moment at two gateways.
//!
//! I own: the tests. Everybody here is the same person unless a test says otherwise.

use super::house::browser::Browser;
use super::house::gateway::TestGateway;
use super::house::patience::until;
use super::house::provider::script::Place;
use super::house::setting::{Setting, usual_plan};
use super::stores::Redis;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn setting(session: &str) -> Setting {
    Setting::with(|plan| {
        plan.operating = true;
        plan.session_extra(session);
    })
}

/// Signs in a moment after everybody else.
fn next(setting: &Setting) -> Browser {
    setting.clock.advance(Duration::from_secs(1));
    setting.signed_in()
}

fn is_in(browser: &Browser) -> bool {
    let status = browser.clone().fetch("GET", "/", &[], b"").status;
    assert!(matches!(status, 200 | 401), "{status}");
    status == 200
}

fn count(gateway: &TestGateway) -> usize {
    gateway.operate("GET", "/admin/sessions").json()["sessions"].as_array().unwrap().len()
}

#[test]
fn the_oldest_session_ends_where_one_is_too_many() {
    let setting = setting("max_per_user = 2");
    // Each has a session of its own at the provider.
    let sid = AtomicU32::new(0);
    setting.provider.make_id_token(move |forge| {
        forge.claims["sid"] = format!("session-{}", sid.fetch_add(1, Ordering::SeqCst)).into();
        forge.sign()
    });
    let (one, two) = (next(&setting), next(&setting));
    assert_eq!([&one, &two].map(is_in), [true, true]);
    let three = next(&setting);
    assert_eq!([&one, &two, &three].map(is_in), [false, true, true]);
    let text = setting.gateway.probe("/metrics").text();
    assert!(text.contains("keycard_sessions_ended_total{reason=\"cap\"} 1"), "{text}");
    until("its token is revoked", || setting.provider.count(Place::Revoke) >= 1);
    // Somebody else is counted apart.
    setting.provider.person(serde_json::json!({ "sub": "bob-0002" }));
    let bob = next(&setting);
    assert_eq!([&two, &three, &bob].map(is_in), [true, true, true]);
}

#[test]
fn signing_in_again_in_one_browser_takes_no_place_of_another() {
    for at_limit in ["end-oldest", "refuse"] {
        let setting = setting(&format!("max_per_user = 2\nat_limit = \"{at_limit}\""));
        let (one, mut two) = (next(&setting), next(&setting));
        for _ in 0..3 {
            setting.clock.advance(Duration::from_secs(1));
            let page = two.navigate("/bff/login?return_to=/");
            setting.assert_signed_in(&two, &page);
        }
        assert_eq!([&one, &two].map(is_in), [true, true], "{at_limit}");
        setting.clock.advance(Duration::from_secs(11));
        assert_eq!(count(&setting.gateway), 2, "{at_limit}");
    }
}

#[test]
fn a_sign_in_that_is_one_too_many_is_refused_with_a_page_that_says_what_to_do() {
    let setting = setting("max_per_user = 2\nat_limit = \"refuse\"");
    let (mut one, two) = (next(&setting), next(&setting));
    setting.clock.advance(Duration::from_secs(1));
    let mut third = setting.browser();
    let page = third.navigate("/");
    let text = page.answer.text();
    assert_eq!(page.answer.status, 403, "{text}");
    assert!(text.contains("Sign out on one of them"), "{text}");
    assert!(!setting.has_session(&third));
    assert_eq!([&one, &two].map(is_in), [true, true]);
    let text = setting.gateway.probe("/metrics").text();
    assert!(
        text.contains("keycard_logins_total{provider=\"corp\",result=\"too-many-sessions\"} 1"),
        "{text}"
    );
    assert_eq!(count(&setting.gateway), 2);
    // One has gone: there is a place.
    assert_eq!(one.fetch("POST", "/bff/logout", &[], b"").status, 200);
    setting.clock.advance(Duration::from_secs(1));
    let page = third.navigate("/");
    setting.assert_signed_in(&third, &page);
    // One that is idle takes none.
    setting.clock.advance(Duration::from_secs(2 * 60 * 60));
    let (four, five) = (next(&setting), next(&setting));
    assert_eq!([&two, &third, &four, &five].map(is_in), [false, false, true, true]);
}

#[test]
fn two_that_sign_in_at_once_at_two_gateways_come_to_the_same_end() {
    for at_limit in ["end-oldest", "refuse"] {
        let redis = Redis::start();
        let url = redis.url();
        let session = format!("max_per_user = 1\nat_limit = \"{at_limit}\"");
        let setting = Setting::with(|plan| {
            plan.operating = true;
            plan.store_redis_asked(&url);
            plan.session_extra(&session);
        });
        let mut plan = usual_plan(&setting.upstream);
        plan.provider("corp", &setting.provider, "userinfo = true");
        plan.store_redis_asked(&url);
        plan.session_extra(&session);
        let other = plan.start(&setting.clock);
        for round in 0..5 {
            setting.clock.advance(Duration::from_secs(40_000));
            // Both codes are redeemed, and nobody has his tokens yet.
            let gate = setting.provider.hold(Place::Token);
            let signs_in = |mut browser: Browser| {
                std::thread::spawn(move || {
                    let page = browser.navigate("/");
                    (browser, page.answer.status)
                })
            };
            let (one, two) = (signs_in(setting.browser()), signs_in(other.browser()));
            gate.wait_for(2);
            gate.open();
            setting.provider.behave();
            let ends = [one.join().unwrap(), two.join().unwrap()];
            let inside = ends.iter().filter(|(browser, status)| *status == 200 && is_in(browser)).count();
            let statuses = ends.each_ref().map(|(_, status)| *status);
            assert_eq!((inside, count(&setting.gateway)), (1, 1), "{at_limit}, round {round}: {statuses:?}");
        }
    }
}
