//! ID tokens that come with new tokens (R20; OIDF `oidcc-client-refreshtoken-test-plan`).
//!
//! I own: the rows and their judgement. Accepted: the app gets the new access token. Rejected: the session is over, the
//! app got nothing, and what came was given back.

use super::{api, expired, seconds};
use crate::it::house::patience::until;
use crate::it::house::provider::keys::{keys, rs256, rsa_jwk};
use crate::it::house::provider::script::Place;
use crate::it::house::provider::weak;
use crate::it::house::setting::Setting;
use crate::it::id_token::{Row, WIDE, forged, malformed, publish};
use serde_json::{Value, json};

/// What is wrong at a sign-in only: a renewal needs no nonce, and no ID token.
const OF_A_SIGN_IN: &[&str] = &["r5 invalid-missing-nonce", "a14 nothing"];

fn run(rows: &[Row], accept: bool) {
    run_in(&Setting::new(), rows, accept);
}

fn run_in(setting: &Setting, rows: &[Row], accept: bool) {
    let mut wrong = Vec::new();
    for (name, make) in rows {
        setting.provider.script(|script| script.id_token = None);
        let mut browser = expired(setting);
        setting.provider.make_id_token(*make);
        let (refreshed, revoked) =
            (setting.provider.count(Place::Refresh), setting.provider.count(Place::Revoke));
        setting.upstream.forget();
        let first = api(&mut browser).status;
        let second = browser.fetch("GET", "/x", &[], b"").status;
        let expected = if accept { 200 } else { 401 };
        if (first, second) != (expected, expected) {
            wrong.push(format!("{name}: {first}, {second}"));
        }
        if !accept && setting.upstream.count() != 0 {
            wrong.push(format!("{name}: the app was reached"));
        }
        let calls = (
            setting.provider.count(Place::Refresh) - refreshed,
            setting.provider.count(Place::Revoke) - revoked,
        );
        if calls != (1, usize::from(!accept)) {
            wrong.push(format!("{name}: refreshed and revoked {calls:?} times"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn r20_honest_renewed_id_tokens_are_accepted() {
    run(
        &[
            ("r20 oidcc-client-test-refresh-token, with the nonce of before", |f| f.sign()),
            ("r20 nonce absent", |f| f.without("nonce")),
            ("r20 auth_time absent", |f| f.without("auth_time")),
            ("r20 sid absent", |f| f.without("sid")),
            ("r20 aud as a list", |f| f.with("aud", json!([f.client_id]))),
            ("r20 issued at the second of the one before", |f| f.with("iat", json!(f.now - 301))),
            ("r20 at_hash of the new access token", |f| f.with("at_hash", json!(f.at_hash()))),
            ("r20 other claims have changed", |f| f.with("name", json!("Alice Other"))),
        ],
        true,
    );
}

#[test]
fn r20_renewed_id_tokens_of_somebody_else_end_the_session() {
    run(
        &[
            ("r20 oidcc-client-test-refresh-token-invalid-issuer", |f| {
                f.with("iss", json!("https://other.example.test"))
            }),
            ("r20 oidcc-client-test-refresh-token-invalid-sub", |f| f.with("sub", json!("mallory"))),
            ("r20 missing iss", |f| f.without("iss")),
            ("r20 missing sub", |f| f.without("sub")),
            ("r20 missing aud", |f| f.without("aud")),
            ("r20 missing exp", |f| f.without("exp")),
            ("r20 missing iat", |f| f.without("iat")),
            ("r20 aud without us", |f| f.with("aud", json!("another"))),
            ("r20 aud with another", |f| f.with("aud", json!([f.client_id, "another"]))),
            ("r20 azp that was not there", |f| f.with("azp", json!(f.client_id))),
            ("r20 azp of another", |f| f.with("azp", json!("another"))),
            ("r20 another auth_time", |f| f.with("auth_time", json!(f.now))),
            ("r20 auth_time as text", |f| f.with("auth_time", json!("now"))),
            ("r20 another nonce", |f| f.with("nonce", json!("another"))),
            ("r20 nonce null", |f| f.with("nonce", Value::Null)),
            ("r20 older than the one before", |f| f.with("iat", json!(f.now - 302))),
            ("r20 issued in two minutes", |f| f.with("iat", json!(f.now + 120))),
            ("r20 expired", |f| f.with("exp", json!(f.now - 120))),
            ("r20 at_hash of another access token", |f| f.with("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"))),
            ("r20 a logout token", |f| f.with("events", json!({}))),
            ("r17 typ at+jwt", |f| f.with_header("typ", json!("at+jwt"))),
            ("a10 alg none", |f| {
                f.header["alg"] = json!("none");
                f.sign_by(|_| Vec::new())
            }),
            ("a10 signed by somebody else", |f| f.sign_by(|input| rs256(&f.keys.evil, input))),
            ("a14 not a token", |_| "nonsense".to_owned()),
        ],
        false,
    );
}

#[test]
fn r13_a10_the_table_of_the_sign_in_holds_for_renewals() {
    for rows in [forged::SIGNATURES, malformed::CLAIMS, malformed::TYPES, malformed::SHAPES] {
        let rows: Vec<Row> = rows.iter().filter(|(name, _)| !OF_A_SIGN_IN.contains(name)).copied().collect();
        run(&rows, false);
    }
}

#[test]
fn r13_a10_no_algorithm_makes_a_forged_renewal_good() {
    run_in(&Setting::with(|plan| plan.provider_extra(WIDE)), forged::SIGNATURES, false);
}

#[test]
fn r14_a11_keys_in_the_header_of_a_renewed_id_token_are_never_used_nor_fetched() {
    let setting = Setting::with(|plan| plan.provider_extra(WIDE));
    publish(&setting, vec![rsa_jwk(&keys().rsa, &"k".repeat(300), "RS256")]);
    run_in(&setting, forged::HEADER_KEYS, false);
    assert_eq!(setting.provider.count(Place::Canary), 0);
}

#[test]
fn a12_degenerate_signatures_of_renewed_id_tokens_are_rejected() {
    let setting = Setting::with(|plan| plan.provider_extra(WIDE));
    publish(&setting, weak::published(keys()));
    run_in(&setting, forged::DEGENERATE, false);
}

#[test]
fn r20_an_answer_without_an_id_token_keeps_the_one_before() {
    let setting = Setting::new();
    setting.provider.bend_refreshed(|answer| drop(answer.as_object_mut().unwrap().remove("id_token")));
    let mut browser = expired(&setting);
    for _ in 0..2 {
        assert_eq!(api(&mut browser).status, 200);
        setting.clock.advance(seconds(301));
    }
    assert_eq!(setting.provider.count(Place::Refresh), 2);
}

#[test]
fn r20_a_new_id_token_says_who_somebody_is_now_where_it_is_all_there_is() {
    let setting = Setting::with(|plan| plan.provider_extra(""));
    // With UserInfo as a source people stay as they were at the sign-in.
    let mut browser = expired(&setting);
    setting.provider.person(json!({"groups": ["admin"]}));
    assert_eq!(api(&mut browser).status, 200);
    assert_eq!(browser.fetch("GET", "/admin/x", &[], b"").status, 403);
    let mut plan = crate::it::house::setting::usual_plan(&setting.upstream);
    plan.provider("corp", &setting.provider, "");
    setting.provider.person(json!({"groups": ["editor"]}));
    let gateway = plan.start(&setting.clock);
    let mut browser = gateway.browser();
    browser.navigate("/");
    assert_eq!(browser.fetch("GET", "/editor/x", &[], b"").status, 200);
    setting.provider.person(json!({"groups": ["admin"]}));
    setting.clock.advance(seconds(301));
    assert_eq!(api(&mut browser).status, 200);
    until("the new role counts", || browser.fetch("GET", "/admin/x", &[], b"").status == 200);
    assert_eq!(browser.fetch("GET", "/editor/x", &[], b"").status, 403);
}
