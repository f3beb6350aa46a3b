//! Whom a logout token means (R84, R85).
//!
//! I own: several people, sessions and providers at once, and what the operators see of an ending.

use super::{FORM, PATH, accepts, form, is_in, post, refuses, say};
use crate::it::house::browser::Browser;
use crate::it::house::setting::{Setting, Two};
use serde_json::json;

/// A person signed in on a session of the provider's.
fn signed_in(setting: &Setting, subject: &'static str, sid: &'static str) -> Browser {
    setting.provider.person(json!({"sub": subject}));
    setting.provider.make_id_token(move |f| f.with("sid", json!(sid)));
    let browser = setting.signed_in();
    setting.provider.behave();
    browser
}

/// Alice twice on one session and once on another, bob on a third, and carol on one that bears the name of alice.
fn crowd(setting: &Setting) -> [Browser; 5] {
    [("alice", "A"), ("alice", "A"), ("alice", "B"), ("bob", "C"), ("carol", "alice")]
        .map(|(subject, sid)| signed_in(setting, subject, sid))
}

#[test]
fn r84_r85_sid_sub_or_both_mean_exactly_their_sessions() {
    type Meant = (Option<&'static str>, Option<&'static str>, [bool; 5]);
    let rows: [Meant; 9] = [
        (None, Some("A"), [true, true, false, false, false]),
        (None, Some("B"), [false, false, true, false, false]),
        (Some("alice"), None, [true, true, true, false, false]),
        (Some("alice"), Some("A"), [true, true, false, false, false]),
        (Some("bob"), None, [false, false, false, true, false]),
        // A26: both mismatching each other, and names that are of the other kind, or of nobody.
        (Some("bob"), Some("A"), [false; 5]),
        (None, Some("alice"), [false, false, false, false, true]),
        (Some("A"), None, [false; 5]),
        (Some("nobody"), Some("Z"), [false; 5]),
    ];
    for (sub, sid, meant) in rows {
        let setting = Setting::new();
        let mut crowd = crowd(&setting);
        let answer = say(&setting, |f| {
            for (name, value) in [("sub", sub), ("sid", sid)] {
                f.claims.as_object_mut().unwrap().remove(name);
                if let Some(value) = value {
                    f.claims[name] = json!(value);
                }
            }
            f.sign()
        });
        accepts(&answer).unwrap();
        assert_eq!(crowd.each_mut().map(|browser| !is_in(browser)), meant, "sub {sub:?}, sid {sid:?}");
    }
}

#[test]
fn r84_a_session_that_is_gone_already_is_a_200_too() {
    let setting = Setting::new();
    accepts(&say(&setting, |f| f.sign())).expect("nobody was ever here");
    setting.clock.advance(std::time::Duration::from_secs(1));
    let mut browser = setting.signed_in();
    let out = browser.post_form("/bff/logout", "");
    assert_eq!(out.status, 303);
    accepts(&say(&setting, |f| f.sign())).expect("signed out before");
}

#[test]
fn r84_a_session_without_a_sid_ends_by_its_person() {
    let setting = Setting::new();
    setting.provider.make_id_token(|f| f.without("sid"));
    let mut browser = setting.signed_in();
    accepts(&say(&setting, |f| f.without("sub"))).unwrap();
    assert!(is_in(&mut browser), "it stands on no session of the provider that is known");
    accepts(&say(&setting, |f| f.without("sid"))).unwrap();
    assert!(!is_in(&mut browser));
}

#[test]
fn r84_every_ending_has_its_reason_in_audit_and_metrics() {
    let setting = Setting::with(|plan| plan.operating = true);
    let mut browsers = super::two(&setting);
    accepts(&say(&setting, |f| f.sign())).unwrap();
    assert_eq!(browsers.each_mut().map(is_in), [false; 2]);
    refuses(&say(&setting, |f| f.without("jti"))).unwrap();
    let metrics = setting.gateway.probe("/metrics").text();
    for line in [
        "keycard_sessions_ended_total{reason=\"by-provider\"} 2",
        "keycard_requests_total{route=\"backchannel-logout\",outcome=\"ended\",status_class=\"2xx\"} 1",
        "keycard_requests_total{route=\"backchannel-logout\",outcome=\"bad-token\",status_class=\"4xx\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[test]
fn r83_a26_a_provider_speaks_for_its_own_people_only() {
    let two = Two::start();
    let (corp, other, gateway) = (&two.corp, &two.other, &two.gateway);
    let mut browser = gateway.browser();
    assert_eq!(browser.navigate("/").answer.status, 200);
    let tell =
        |path: &str, token: &str| post(gateway.address, gateway.host(), path, FORM, form(token).as_bytes());
    let at = |id: &str| format!("{PATH}/{id}");
    let (right, foreign) = (corp.logout_forge().sign(), other.logout_forge().sign());
    refuses(&tell(PATH, &right)).expect("with several providers the path names one");
    refuses(&tell(&at("other"), &right)).expect("at the address of another");
    refuses(&tell(&at("corp"), &foreign)).expect("by another, at the address of the right one");
    let mut posing = other.logout_forge();
    posing.claims["iss"] = json!(corp.issuer());
    posing.header["kid"] = json!("other");
    refuses(&tell(&at("other"), &posing.sign())).expect("another, posing as the right one");
    accepts(&tell(&at("other"), &other.logout_forge().sign()))
        .expect("the same sub and sid at another issuer");
    for alone in ["sub", "sid"] {
        accepts(&tell(&at("other"), &other.logout_forge().without(alone))).expect("one of them alone");
    }
    assert!(is_in(&mut browser));
    accepts(&tell(&at("corp"), &right)).unwrap();
    assert!(!is_in(&mut browser));
}

#[test]
fn r83_the_only_provider_may_be_named_too() {
    let setting = Setting::new();
    let mut browsers = super::two(&setting);
    let (address, host) = (setting.gateway.address, setting.gateway.host());
    let token = setting.provider.logout_forge().sign();
    accepts(&post(address, host, "/bff/backchannel-logout/corp", FORM, form(&token).as_bytes())).unwrap();
    assert_eq!(browsers.each_mut().map(is_in), [false; 2]);
}
