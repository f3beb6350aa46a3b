//! Table T2: logout tokens, honest and forged, and what they end (R83, R84, R85, A17, A26).
//!
//! I own: the judgement of a row. The rows are in `backchannel/`, named after the OIDF module, requirement or attack that
//! they come from. Two browsers are signed in at every row; after an accepted one both are out, after a refused one both
//! are in.

mod accepted;
mod forms;
mod meant;
mod refused;
mod timing;

use super::house::browser::Browser;
use super::house::provider::forge::Forge;
use super::house::provider::keys::{keys, rs256, rsa_jwk};
use super::house::provider::script::Place;
use super::house::raw::{Answer, send};
use super::house::setting::Setting;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;

/// A name and a way to make the token.
type Row = (&'static str, fn(&mut Forge) -> String);

const PATH: &str = "/bff/backchannel-logout";
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A POST as a provider makes it: no cookie, no origin, no fetch metadata.
pub fn post(address: SocketAddr, host: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    send(address, &[head.as_bytes(), body].concat()).expect("an answer")
}

/// The form around a token.
pub fn form(token: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("ignored_parameter", "x")
        .append_pair("logout_token", token)
        .finish()
}

/// Delivers a logout token.
fn tell(setting: &Setting, token: &str) -> Answer {
    let gateway = &setting.gateway;
    post(gateway.address, gateway.host(), PATH, FORM, form(token).as_bytes())
}

/// Delivers an honest one with these changes.
fn say(setting: &Setting, make: impl FnOnce(&mut Forge) -> String) -> Answer {
    let mut forge = setting.provider.logout_forge();
    tell(setting, &make(&mut forge))
}

fn is_in(browser: &mut Browser) -> bool {
    let status = browser.fetch("GET", "/", &[], b"").status;
    assert!(matches!(status, 200 | 401), "{status}");
    status == 200
}

/// Whether an answer is the 200 of section 2.8.
fn accepts(answer: &Answer) -> Result<(), String> {
    let sound = answer.status == 200
        && answer.header("cache-control") == Some("no-store")
        && answer.all("set-cookie").is_empty()
        && answer.body.is_empty();
    sound.then_some(()).ok_or_else(|| format!("{} {:?} {}", answer.status, answer.headers, answer.text()))
}

/// Whether an answer is the 400 of section 2.8, and says nothing of what was sent.
fn refuses(answer: &Answer) -> Result<(), String> {
    let wrong = || format!("{} {:?} {}", answer.status, answer.headers, answer.text());
    if answer.status != 400 || answer.header("cache-control") != Some("no-store") {
        return Err(wrong());
    }
    let body: serde_json::Value = serde_json::from_slice(&answer.body).map_err(|_| wrong())?;
    let sound = body["error"] == "invalid_request"
        && answer.header("content-type") == Some("application/json")
        && body.as_object().is_some_and(|members| members.len() == 2)
        && answer.all("set-cookie").is_empty();
    sound.then_some(()).ok_or_else(wrong)
}

/// Two browsers of one person.
fn two(setting: &Setting) -> [Browser; 2] {
    // Later than every notice before: a login of the same moment would be one that it means.
    setting.clock.advance(Duration::from_secs(1));
    [setting.signed_in(), setting.signed_in()]
}

/// Runs every row and reports all that went wrong.
fn run(setting: &Setting, rows: &[Row], accept: bool) {
    let mut wrong = Vec::new();
    let mut browsers = two(setting);
    for (name, make) in rows {
        let answer = say(setting, make);
        if let Err(why) = if accept { accepts(&answer) } else { refuses(&answer) } {
            wrong.push(format!("{name}: {why}"));
        }
        let inside = browsers.each_mut().map(is_in);
        if inside != [!accept; 2] {
            wrong.push(format!("{name}: signed in afterwards: {inside:?}"));
        }
        if inside != [true; 2] {
            browsers = two(setting);
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn r83_r84_honest_logout_tokens_end_every_session_that_they_mean() {
    run(&Setting::new(), accepted::ROWS, true);
}

#[test]
fn r83_a26_forged_logout_tokens_end_nothing() {
    let setting = Setting::new();
    run(&setting, refused::SIGNATURES, false);
    assert_eq!(setting.provider.count(Place::Canary), 0);
}

#[test]
fn r83_a26_logout_tokens_that_break_a_rule_end_nothing() {
    run(&Setting::new(), refused::CLAIMS, false);
}

#[test]
fn r83_the_algorithm_is_the_one_of_id_tokens() {
    let setting = Setting::with(|plan| plan.provider_extra("signing_algorithms = [\"ES256\"]"));
    setting.provider.make_id_token(|f| f.by("ES256"));
    run(&setting, &[("r83 ES256 where it is registered", |f| f.by("ES256"))], true);
    run(&setting, &[("a26 RS256 where ES256 is registered", |f| f.sign())], false);
}

#[test]
fn r83_no_typ_is_too_little_where_the_configuration_says_so() {
    let setting = Setting::with(|plan| plan.provider_extra("strict_typ = true"));
    run(&setting, &[("r83 no typ", |f| f.with_header("typ", json!(null)))], false);
    run(&setting, &[("r83 typ logout+jwt", |f| f.sign())], true);
}

#[test]
fn r83_a_key_that_is_new_is_fetched_for_a_logout_token_too() {
    let setting = Setting::new();
    let mut browsers = two(&setting);
    setting.clock.advance(Duration::from_secs(61));
    let before = setting.provider.count(Place::Jwks);
    setting.provider.bend_jwks(|set| set["keys"] = json!([rsa_jwk(&keys().second, "second", "RS256")]));
    let second = |f: &mut Forge| {
        f.header["kid"] = json!("second");
        f.sign_by(|input| rs256(&f.keys.second, input))
    };
    accepts(&say(&setting, second)).unwrap();
    assert_eq!(browsers.each_mut().map(is_in), [false; 2]);
    assert_eq!(setting.provider.count(Place::Jwks) - before, 1);
    refuses(&say(&setting, |f| f.sign())).expect("the old key is gone");
}

#[test]
fn r23_a17_a_flood_of_logout_tokens_with_unknown_kids_makes_two_fetches_at_most() {
    let setting = Setting::new();
    let mut browsers = two(&setting);
    setting.clock.advance(Duration::from_secs(61));
    let before = setting.provider.count(Place::Jwks);
    for number in 0..1000 {
        let answer = say(&setting, |f| {
            f.header["kid"] = json!(format!("random-{number}"));
            f.sign_by(|_| vec![0; 256])
        });
        refuses(&answer).unwrap();
    }
    let fetched = setting.provider.count(Place::Jwks) - before;
    assert!((1..=2).contains(&fetched), "{fetched} fetches in one instant");
    assert_eq!(browsers.each_mut().map(is_in), [true; 2]);
    drop(setting.signed_in());
    accepts(&say(&setting, |f| f.sign())).expect("other tokens are unaffected");
}
