//! For whom a form is kept, and for how long (A2, R50).
//!
//! I own: everybody else, each of whom asks for it in vain.

use super::{FORM, MINUTE, asked, between, is_lost, keep, replay, setting, sign_in};
use serde_json::json;
use std::time::Duration;

#[test]
fn a2_another_browser_cannot_open_a_kept_form() {
    let setting = setting();
    let mut browser = setting.browser();
    let kept = keep(&mut browser, "/keep/x", FORM);
    // The same login, the same person, another binding.
    let mut other = setting.browser();
    let own = keep(&mut other, "/keep/y", "a=1");
    let pass = sign_in(&mut other, &own);
    assert!(is_lost(&setting, &replay(&mut other, &kept.sealed, &pass)));
    // Not even with both passes in hand.
    let pass = sign_in(&mut browser, &kept);
    assert!(is_lost(&setting, &replay(&mut other, &kept.sealed, &pass)));
    other.jar.clear();
    assert!(is_lost(&setting, &replay(&mut other, &kept.sealed, &pass)), "without any cookie");
    assert!(asked(&replay(&mut browser, &kept.sealed, &pass)).is_some());
}

#[test]
fn r50_another_session_in_the_same_browser_cannot_open_a_kept_form() {
    let setting = setting();
    let mut browser = setting.browser();
    let kept = keep(&mut browser, "/keep/x", FORM);
    let pass = sign_in(&mut browser, &kept);
    browser.post_form("/bff/logout", "");
    assert!(is_lost(&setting, &replay(&mut browser, &kept.sealed, &pass)), "signed out");
    setting.provider.person(json!({ "sub": "bob-9" }));
    assert_eq!(browser.navigate("/bff/user").answer.status, 401);
    let page = browser.navigate("/bff/login?return_to=/bff/signed-out");
    assert_eq!(page.answer.status, 200);
    assert!(is_lost(&setting, &replay(&mut browser, &kept.sealed, &pass)), "bob's session, alice's pass");
    // The way back to a finished sign-in gives no pass.
    let id = between(&format!("{}&", kept.login), "form%253D", "&")
        .or_else(|| between(&format!("{}&", kept.login), "form%3D", "&"));
    let page = browser.navigate(&format!("/bff/replay?form={}", id.unwrap()));
    assert_eq!(page.answer.status, 400);
}

#[test]
fn another_person_is_not_shown_what_a_known_one_has_sent() {
    let setting = setting();
    // Nothing to renew the token with.
    setting.provider.bend_token(|answer| drop(answer.as_object_mut().unwrap().remove("refresh_token")));
    let mut browser = setting.signed_in();
    setting.upstream.forget();
    // The session lives, its access token is over: the sender is known.
    setting.clock.advance(Duration::from_secs(600));
    let kept = keep(&mut browser, "/keep-relay/x", FORM);
    setting.provider.person(json!({ "sub": "bob-9" }));
    let pass = sign_in(&mut browser, &kept);
    assert!(is_lost(&setting, &replay(&mut browser, &kept.sealed, &pass)));

    let mut browser = setting.browser();
    setting.provider.person(json!({ "sub": "carol-3" }));
    browser.navigate("/bff/login?return_to=/bff/signed-out");
    setting.clock.advance(Duration::from_secs(600));
    let kept = keep(&mut browser, "/keep-relay/x", FORM);
    let pass = sign_in(&mut browser, &kept);
    assert!(asked(&replay(&mut browser, &kept.sealed, &pass)).is_some(), "the same person");
}

#[test]
fn a_kept_form_is_good_for_ten_minutes() {
    let setting = setting();
    for (wait, good) in [(10 * MINUTE - Duration::from_secs(1), true), (10 * MINUTE, false)] {
        let mut browser = setting.browser();
        let kept = keep(&mut browser, "/keep/x", FORM);
        let pass = sign_in(&mut browser, &kept);
        setting.clock.advance(wait);
        let answer = replay(&mut browser, &kept.sealed, &pass);
        assert_eq!(asked(&answer).is_some(), good, "{}", answer.text());
        assert_eq!(is_lost(&setting, &answer), !good);
    }
}

#[test]
fn a_form_that_was_tampered_with_does_not_open() {
    let setting = setting();
    let mut browser = setting.browser();
    let kept = keep(&mut browser, "/keep/x", FORM);
    let other = keep(&mut browser, "/keep/y", "a=1");
    let pass = sign_in(&mut browser, &kept);
    let flipped = |at: usize| {
        let mut bytes = kept.sealed.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let last = kept.sealed.len() - 2;
    for at in [0, 20, 24, 40, 60, last / 2, last] {
        assert!(is_lost(&setting, &replay(&mut browser, &flipped(at), &pass)), "character {at}");
    }
    let mut moved = other.sealed.clone();
    moved.replace_range(..20, &kept.sealed[..20]);
    for bad in [
        String::new(),
        "x".into(),
        kept.sealed[..60].into(),
        format!("{}AAAA", kept.sealed),
        moved,
        other.sealed,
    ] {
        assert!(is_lost(&setting, &replay(&mut browser, &bad, &pass)));
    }
    for bad in ["", "x", &"A".repeat(22), &pass[1..]] {
        assert!(is_lost(&setting, &replay(&mut browser, &kept.sealed, bad)), "pass {bad:?}");
    }
    let huge = "A".repeat(64 * 1024);
    assert!(is_lost(&setting, &replay(&mut browser, &huge, &pass)));
    assert!(asked(&replay(&mut browser, &kept.sealed, &pass)).is_some());
}

#[test]
fn a_form_is_shown_to_those_only_who_may_send_it() {
    let setting = setting();
    let mut browser = setting.browser();
    let kept = keep(&mut browser, "/keep-admin/x", FORM);
    let pass = sign_in(&mut browser, &kept);
    let answer = replay(&mut browser, &kept.sealed, &pass);
    assert!(answer.status == 403 && asked(&answer).is_none(), "{}", answer.text());
    assert_eq!(setting.upstream.count(), 0);
}
