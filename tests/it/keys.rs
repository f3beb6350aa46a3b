//! The provider's keys come and go (R21, R23, R24, A16, A17, A18).
//!
//! I own: rotations and floods, counted at the provider. Time moves by hand, so "one interval" is exact.

use super::house::provider::keys::{keys, rs256, rsa_jwk};
use super::house::provider::script::{Canned, Place};
use super::house::setting::Setting;
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than any sensible minimum between two fetches.
const INTERVAL: Duration = Duration::from_secs(61);

/// The provider signs by its second key from now on, and publishes that one alone.
fn rotate_to_second(setting: &Setting) {
    setting.provider.bend_jwks(|set| set["keys"] = json!([rsa_jwk(&keys().second, "second", "RS256")]));
    setting.provider.make_id_token(|f| {
        f.header["kid"] = json!("second");
        f.sign_by(|input| rs256(&f.keys.second, input))
    });
}

fn rotate_to_third(setting: &Setting) {
    setting.provider.bend_jwks(|set| set["keys"] = json!([rsa_jwk(&keys().third, "third", "RS256")]));
    setting.provider.make_id_token(|f| {
        f.header["kid"] = json!("third");
        f.sign_by(|input| rs256(&f.keys.third, input))
    });
}

fn signs_in(setting: &Setting) -> bool {
    let mut browser = setting.browser();
    let page = browser.navigate("/");
    setting.is_signed_in(&browser, &page)
}

#[test]
fn r23_a16_signing_key_rotation_between_two_logins() {
    let setting = Setting::new();
    assert!(signs_in(&setting));
    setting.clock.advance(INTERVAL);
    rotate_to_second(&setting);
    let before = setting.provider.count(Place::Jwks);
    assert!(signs_in(&setting), "one refetch brings the new key");
    assert_eq!(setting.provider.count(Place::Jwks) - before, 1);
    assert!(signs_in(&setting));
    assert_eq!(setting.provider.count(Place::Jwks) - before, 1, "the new key is kept");
}

#[test]
fn r23_a16_signing_key_rotation_just_before_signing() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/");
    rotate_to_second(&setting);
    let page = browser.navigate(callback.as_str());
    setting.assert_signed_in(&browser, &page);
}

#[test]
fn r23_a16_two_rotations_within_one_instant() {
    let setting = Setting::new();
    assert!(signs_in(&setting));
    setting.clock.advance(INTERVAL);
    rotate_to_second(&setting);
    assert!(signs_in(&setting));
    rotate_to_third(&setting);
    // No time has passed: the second refetch may have to wait, but not for ever, and never by trusting an old key.
    if !signs_in(&setting) {
        setting.clock.advance(INTERVAL);
        assert!(signs_in(&setting), "after one interval the newest key is found");
    }
}

#[test]
fn a16_a_removed_key_is_not_trusted_for_ever() {
    let setting = Setting::new();
    assert!(signs_in(&setting));
    rotate_to_second(&setting);
    setting.clock.advance(INTERVAL);
    assert!(signs_in(&setting));
    setting.provider.make_id_token(|f| f.sign());
    setting.clock.advance(INTERVAL);
    assert!(!signs_in(&setting), "the old key is gone from the published set");
}

#[test]
fn r23_a17_a_flood_of_unknown_kids_makes_two_fetches_at_most() {
    let setting = Setting::new();
    assert!(signs_in(&setting));
    setting.clock.advance(INTERVAL);
    setting.provider.make_id_token(|f| {
        let kid = format!("random-{}", &f.access_token[..12]);
        f.with_header("kid", json!(kid))
    });
    let before = setting.provider.count(Place::Jwks);
    for _ in 0..200 {
        assert!(!signs_in(&setting));
    }
    let fetched = setting.provider.count(Place::Jwks) - before;
    // Two, not one: two rotations within a second must still work.
    assert!((1..=2).contains(&fetched), "{fetched} fetches in one instant");
    setting.provider.behave();
    assert!(signs_in(&setting), "other logins are unaffected");
}

#[test]
fn r23_a_bad_signature_under_a_known_kid_fetches_nothing() {
    let setting = Setting::new();
    assert!(signs_in(&setting));
    setting.clock.advance(INTERVAL);
    let before = setting.provider.count(Place::Jwks);
    setting.provider.make_id_token(|f| f.sign_by(|input| rs256(&f.keys.evil, input)));
    for _ in 0..20 {
        assert!(!signs_in(&setting));
    }
    assert!(setting.provider.count(Place::Jwks) - before <= 1);
}

#[test]
fn r23_one_fetch_serves_many_logins_at_once() {
    let setting = Setting::new();
    let callbacks: Vec<_> = (0..20)
        .map(|_| {
            let mut browser = setting.browser();
            let callback = browser.up_to_callback("/");
            (browser, callback)
        })
        .collect();
    std::thread::scope(|scope| {
        for (mut browser, callback) in callbacks {
            let setting = &setting;
            scope.spawn(move || {
                let page = browser.navigate(callback.as_str());
                setting.assert_signed_in(&browser, &page);
            });
        }
    });
    assert_eq!(setting.provider.count(Place::Jwks), 1);
    assert_eq!(setting.provider.count(Place::Discovery), 1);
}

#[test]
fn r23_r24_what_a_key_set_may_hold_beside_the_key() {
    type Row = (&'static str, bool, fn(&mut Value));
    fn only(set: &mut Value, list: Vec<Value>) {
        set["keys"] = Value::Array(list);
    }
    fn right() -> Value {
        rsa_jwk(&keys().rsa, "rs256", "RS256")
    }
    let rows: [Row; 10] = [
        ("the key alone", true, |set| only(set, vec![right()])),
        ("a key without use and alg", true, |set| {
            let mut key = right();
            key.as_object_mut().unwrap().retain(|name, _| name != "use" && name != "alg");
            only(set, vec![key]);
        }),
        ("key_ops verify", true, |set| {
            let mut key = right();
            key["key_ops"] = json!(["verify"]);
            only(set, vec![key]);
        }),
        ("key_ops encrypt", false, |set| {
            let mut key = right();
            key["key_ops"] = json!(["encrypt"]);
            key.as_object_mut().unwrap().remove("use");
            only(set, vec![key]);
        }),
        ("use enc", false, |set| {
            let mut key = right();
            key["use"] = json!("enc");
            only(set, vec![key]);
        }),
        ("alg of another family", false, |set| {
            let mut key = right();
            key["alg"] = json!("PS256");
            only(set, vec![key]);
        }),
        ("junk among the keys", true, |set| {
            let junk = vec![json!(null), json!("x"), json!({}), json!({"kty": 1}), json!([]), right()];
            only(set, junk);
        }),
        ("decoys of the same kid before it", true, |set| {
            let mut other = rsa_jwk(&keys().third, "rs256", "RS256");
            other["use"] = json!("enc");
            only(set, vec![other, right()]);
        }),
        ("no keys at all", false, |set| only(set, vec![])),
        ("the key under another kid", false, |set| only(set, vec![rsa_jwk(&keys().rsa, "other", "RS256")])),
    ];
    for (name, accept, bend) in rows {
        let setting = Setting::bent(|provider| provider.bend_jwks(bend), |_| {});
        assert_eq!(signs_in(&setting), accept, "{name}");
    }
}

#[test]
fn r23_kid_absent_multiple_jwks_verifies_or_refuses_and_never_trusts_a_wrong_key() {
    let several = |provider: &super::house::provider::Provider| {
        provider.bend_jwks(|set| {
            set["keys"] = json!([
                rsa_jwk(&keys().second, "a", "RS256"),
                rsa_jwk(&keys().rsa, "b", "RS256"),
                rsa_jwk(&keys().third, "c", "RS256"),
            ]);
        });
    };
    // Both outcomes pass for an honest token (oidcc-client-test-kid-absent-multiple-jwks).
    let setting = Setting::bent(several, |_| {});
    setting.provider.make_id_token(|f| f.with_header("kid", Value::Null));
    signs_in(&setting);
    let setting = Setting::bent(several, |_| {});
    setting.provider.make_id_token(|f| {
        f.header.as_object_mut().unwrap().remove("kid");
        f.sign_by(|input| rs256(&f.keys.evil, input))
    });
    assert!(!signs_in(&setting));
}

#[test]
fn r21_a18_the_last_good_keys_outlive_an_outage_of_the_provider() {
    let setting = Setting::new();
    assert!(signs_in(&setting));
    setting.clock.advance(Duration::from_secs(7200));
    for place in [Place::Discovery, Place::Jwks] {
        let body = b"<h1>out of order</h1>".to_vec();
        setting.provider.can(place, Canned::Reply(500, vec![("Content-Type", "text/html".into())], body));
    }
    assert!(signs_in(&setting), "keys that were good are good until the provider says otherwise");
}

#[test]
fn r23_a18_a_hundred_thousand_keys_do_not_help_an_attacker() {
    let setting = Setting::bent(
        |provider| {
            provider.bend_jwks(|set| {
                let many = (0..100_000)
                    .map(|n| json!({"kty": "RSA", "kid": format!("k{n}"), "n": "AQAB", "e": "AQAB"}));
                set["keys"] = many.collect();
            });
        },
        |_| {},
    );
    setting.provider.make_id_token(|f| f.with_header("kid", json!("k99999")));
    assert!(!signs_in(&setting));
    assert_eq!(setting.browser().fetch("GET", "/public/x", &[], b"").status, 200);
}

#[test]
fn r21_a18_an_empty_key_set_does_not_replace_keys_that_work() {
    for emptied in [json!({"keys": []}), json!({"keys": [{"kty": "XYZ", "kid": "rs256"}]})] {
        let setting = Setting::new();
        assert!(signs_in(&setting));
        let asked = setting.provider.count(Place::Jwks);
        let told = emptied.clone();
        setting.provider.bend_jwks(move |set| *set = told.clone());
        setting.clock.advance(Duration::from_secs(3601));
        assert!(signs_in(&setting), "{emptied}");
        assert_eq!(
            setting.provider.count(Place::Jwks) - asked,
            1,
            "{emptied}: the keys were asked for again"
        );
        // And the keys are renewed again once there are some.
        rotate_to_second(&setting);
        setting.clock.advance(INTERVAL);
        assert!(signs_in(&setting), "{emptied}: new keys are taken in");
    }
}

#[test]
fn r23_a16_a_clock_that_steps_back_does_not_stop_the_search_for_new_keys() {
    let setting = Setting::new();
    assert!(signs_in(&setting));
    setting.clock.advance(INTERVAL);
    // The whole allowance goes, then the clock is put right.
    setting.provider.make_id_token(|f| {
        let kid = format!("random-{}", &f.access_token[..12]);
        f.with_header("kid", json!(kid))
    });
    for _ in 0..4 {
        assert!(!signs_in(&setting));
    }
    setting.clock.set_back(Duration::from_secs(24 * 3600));
    rotate_to_second(&setting);
    if !signs_in(&setting) {
        setting.clock.advance(INTERVAL);
        assert!(signs_in(&setting), "a minute after the step, whatever the clock said before");
    }
}

#[test]
fn r22_a_clock_that_steps_back_does_not_make_a_failure_last() {
    let setting = Setting::bent(|provider| provider.can(Place::Discovery, Canned::HangUp), |_| {});
    assert!(!signs_in(&setting));
    setting.provider.behave();
    setting.clock.set_back(Duration::from_secs(24 * 3600));
    assert!(signs_in(&setting), "the failure is a day in the future now");
}
