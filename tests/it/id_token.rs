//! Table T1: ID tokens, honest and forged, each carried through a whole login (R13 to R17, A4, A10 to A15).
//!
//! I own: the judgement of a row. The rows are in `id_token/`, named after the OIDF module, requirement or attack that
//! they come from. A row is accepted when the browser ends signed in and UserInfo was called; rejected when the
//! callback ends on the page for an answer that cannot be believed, without a session, and neither UserInfo nor an
//! upstream was called.

pub(super) mod accepted;
pub(super) mod forged;
pub(super) mod malformed;
mod userinfo;

use super::house::browser::Page;
use super::house::provider::forge::Forge;
use super::house::provider::keys::{keys, rsa_jwk};
use super::house::provider::script::Place;
use super::house::provider::weak;
use super::house::setting::Setting;
use serde_json::{Value, json};

/// A name and a way to make the token.
pub(super) type Row = (&'static str, fn(&mut Forge) -> String);

/// Runs every row in a browser of its own and reports all that went wrong.
fn run(setting: &Setting, rows: &[Row], accept: bool) {
    let mut wrong = Vec::new();
    for (name, make) in rows {
        setting.provider.make_id_token(*make);
        setting.upstream.forget();
        let (tokens, infos) = (setting.provider.count(Place::Token), setting.provider.count(Place::UserInfo));
        let mut browser = setting.browser();
        let page = browser.navigate("/");
        let verdict = if accept {
            let signed_in = setting.is_signed_in(&browser, &page);
            signed_in.then_some(()).ok_or_else(|| format!("rejected: {}", page.way()))
        } else {
            setting.refused(&browser, &page).and_then(|()| blamed_on_the_provider(&page))
        };
        let called =
            (setting.provider.count(Place::Token) - tokens, setting.provider.count(Place::UserInfo) - infos);
        if let Err(why) = verdict {
            wrong.push(format!("{name}: {why}"));
        } else if called != (1, usize::from(accept)) {
            wrong.push(format!("{name}: token and UserInfo were called {called:?} times"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// Whether the callback itself ended on the page for an answer that cannot be believed, and not on another error.
fn blamed_on_the_provider(page: &Page) -> Result<(), String> {
    let told = (page.url.path(), page.answer.status);
    (told == ("/bff/callback", 502)).then_some(()).ok_or_else(|| format!("another error: {}", page.way()))
}

/// All algorithms that a provider may be registered with, at once.
pub(super) const WIDE: &str = "signing_algorithms = [\"RS256\", \"RS384\", \"RS512\", \"PS256\", \"PS384\", \"PS512\", \
                    \"ES256\", \"ES384\", \"ES512\", \"EdDSA\"]";

/// Adds keys to those that the provider publishes.
pub(super) fn publish(setting: &Setting, more: Vec<Value>) {
    setting.provider.bend_jwks(move |set| set["keys"].as_array_mut().unwrap().extend(more.clone()));
}

#[test]
fn r13_honest_id_tokens_are_accepted() {
    run(&Setting::new(), accepted::ROWS, true);
}

#[test]
fn r13_every_registered_algorithm_is_accepted_where_configured() {
    run(&Setting::with(|plan| plan.provider_extra(WIDE)), accepted::ALGORITHMS, true);
}

#[test]
fn r13_a10_other_algorithms_than_the_configured_are_rejected() {
    run(&Setting::new(), &accepted::ALGORITHMS[1..], false);
}

#[test]
fn a10_forged_signatures_are_rejected() {
    run(&Setting::new(), forged::SIGNATURES, false);
    run(&Setting::with(|plan| plan.provider_extra(WIDE)), forged::SIGNATURES, false);
}

#[test]
fn r14_a11_keys_in_the_header_are_never_used_nor_fetched() {
    let setting = Setting::with(|plan| plan.provider_extra(WIDE));
    publish(&setting, vec![rsa_jwk(&keys().rsa, &"k".repeat(300), "RS256")]);
    run(&setting, forged::HEADER_KEYS, false);
    assert_eq!(setting.provider.count(Place::Canary), 0);
}

#[test]
fn a12_degenerate_curve_and_rsa_signatures_are_rejected() {
    let setting = Setting::with(|plan| plan.provider_extra(WIDE));
    publish(&setting, weak::published(keys()));
    run(&setting, forged::DEGENERATE, false);
}

#[test]
fn r13_a13_wrong_claims_are_rejected() {
    run(&Setting::new(), malformed::CLAIMS, false);
}

#[test]
fn r15_a13_wrong_types_and_duplicates_are_rejected() {
    run(&Setting::new(), malformed::TYPES, false);
}

#[test]
fn r14_a14_strange_serialisations_are_rejected() {
    run(&Setting::new(), malformed::SHAPES, false);
}

#[test]
fn r13_a_symmetric_algorithm_only_where_configured_and_then_alone() {
    let setting = Setting::with(|plan| plan.provider_extra("signing_algorithms = [\"HS256\"]"));
    run(&setting, &[("r13 HS256 by the client secret", |f| f.with_header("alg", json!("HS256")))], true);
    run(
        &setting,
        &[
            ("r13 RS256 where HS256 is registered", |f| f.sign()),
            ("a10 none where HS256 is registered", |f| {
                f.header["alg"] = json!("none");
                f.sign_by(|_| Vec::new())
            }),
            ("a10 HS384 where HS256 is registered", |f| f.with_header("alg", json!("HS384"))),
        ],
        false,
    );
}

#[test]
fn r13_auth_time_is_required_and_fresh_where_max_age_was_sent() {
    let setting = Setting::with(|plan| plan.provider_extra("max_age = \"5m\""));
    run(&setting, &[("r13 fresh auth_time", |f| f.sign())], true);
    run(
        &setting,
        &[
            ("r13 missing auth_time", |f| f.without("auth_time")),
            ("r13 old auth_time", |f| f.with("auth_time", json!(f.now - 1000))),
            ("r15 auth_time as a string", |f| f.with("auth_time", json!(f.now.to_string()))),
        ],
        false,
    );
    assert_eq!(setting.provider.last(Place::Authorize).query("max_age").as_deref(), Some("300"));
}

#[test]
fn r13_acr_is_required_where_it_was_asked_for() {
    let setting = Setting::with(|plan| plan.provider_extra("acr_values = [\"gold\", \"silver\"]"));
    run(&setting, &[("r13 an acr that was asked for", |f| f.with("acr", json!("silver")))], true);
    run(
        &setting,
        &[
            ("r13 missing acr", |f| f.sign()),
            ("r13 another acr", |f| f.with("acr", json!("bronze"))),
            ("r15 acr as an array", |f| f.with("acr", json!(["gold"]))),
        ],
        false,
    );
}

#[test]
fn r13_the_skew_is_bounded_both_ways() {
    let rows: &[Row] = &[
        ("r13 expired a second ago", |f| f.with("exp", json!(f.now - 1))),
        ("r13 issued in five seconds", |f| f.with("iat", json!(f.now + 5))),
        ("r13 not before five seconds", |f| f.with("nbf", json!(f.now + 5))),
    ];
    run(&Setting::new(), rows, true);
    let rows: &[Row] = &[
        ("r13 expired two minutes ago", |f| f.with("exp", json!(f.now - 120))),
        ("r13 issued in two minutes", |f| f.with("iat", json!(f.now + 120))),
        ("r13 not before two minutes", |f| f.with("nbf", json!(f.now + 120))),
    ];
    run(&Setting::new(), rows, false);
}
