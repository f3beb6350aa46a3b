//! ID tokens that break one rule each (R13, R15, R17, A13, A15).

use super::*;
use crate::oidc::forge::{NOW, Signer, jwks, settings};
use crate::oidc::jwks::KeySet;
use crate::oidc::jwt::{Unverified, Verifier};
use std::collections::BTreeMap;
use std::sync::LazyLock;

static KEYS: LazyLock<KeySet> =
    LazyLock::new(|| KeySet::parse(jwks(&[Signer::rsa(0).jwk("")]).as_bytes()).unwrap());

const PLAIN: &str = r#"{"alg":"RS256"}"#;

fn verified(header: &str, claims: &str) -> VerifiedClaims {
    let token = Signer::rsa(0).token(header, claims);
    let algorithms = [SigningAlgorithm::Rs256, SigningAlgorithm::Rs384];
    Unverified::parse(&token, &algorithms).unwrap().verify(&Verifier::Published(&KEYS)).unwrap()
}

/// Sound claims with some replaced (or, by an empty value, left out), as JSON.
fn claims(changes: &[(&str, &str)]) -> String {
    let mut members = BTreeMap::from([
        ("iss", "\"https://idp.example.com\"".to_owned()),
        ("aud", "\"keycard\"".to_owned()),
        ("sub", "\"alice\"".to_owned()),
        ("nonce", "\"a nonce\"".to_owned()),
        ("exp", (NOW + 300).to_string()),
        ("iat", NOW.to_string()),
    ]);
    for (name, value) in changes {
        members.insert(name, (*value).to_owned());
    }
    members.retain(|_, value| !value.is_empty());
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn judge_with(header: &str, claims: &str, requested: &Requested) -> Result<IdToken, Refusal> {
    let expected = Expected {
        issuer: &Issuer::new("https://idp.example.com"),
        client_id: "keycard",
        nonce: &Nonce::new("a nonce"),
        requested,
        access_token: &AccessToken::new("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
        skew: Duration::from_secs(30),
    };
    judge(verified(header, claims), &expected, Timestamp::from_unix_seconds(NOW))
}

fn refusal(changes: &[(&str, &str)]) -> Option<Refusal> {
    judge_with(PLAIN, &claims(changes), &Requested::default()).err()
}

#[test]
fn a_sound_token_passes_and_is_read() {
    let changes =
        [("auth_time", "1799999990"), ("acr", "\"gold\""), ("sid", "\"s\""), ("azp", "\"keycard\"")];
    let token = judge_with(PLAIN, &claims(&changes), &Requested::default()).unwrap();
    assert_eq!(token.subject.as_str(), "alice");
    assert_eq!(token.authenticated.map(Timestamp::unix_seconds), Some(NOW - 10));
    assert_eq!((token.acr.as_deref(), token.provider_sid.as_deref()), (Some("gold"), Some("s")));
    assert!(token.claims.contains_key("nonce"));
}

#[test]
fn r13_a13_issuer_audience_and_party() {
    use Refusal::{Audience, AuthorizedParty, Form, Issuer, Missing, SharedAudience};
    for (name, changes, expected) in [
        ("oidcc-client-test-invalid-iss", vec![("iss", "\"https://evil.example.com\"")], Some(Issuer)),
        ("iss with a slash", vec![("iss", "\"https://idp.example.com/\"")], Some(Issuer)),
        ("iss in capitals", vec![("iss", "\"https://IDP.example.com\"")], Some(Issuer)),
        ("empty iss", vec![("iss", "\"\"")], Some(Issuer)),
        ("missing iss", vec![("iss", "")], Some(Missing("iss"))),
        ("iss array", vec![("iss", "[\"https://idp.example.com\"]")], Some(Form("iss"))),
        ("oidcc-client-test-invalid-aud", vec![("aud", "\"evil\"")], Some(Audience)),
        ("oidcc-client-test-missing-aud", vec![("aud", "")], Some(Missing("aud"))),
        ("empty aud", vec![("aud", "[]")], Some(Audience)),
        ("aud object", vec![("aud", "{\"keycard\":1}")], Some(Form("aud"))),
        ("aud number", vec![("aud", "7")], Some(Form("aud"))),
        ("aud with a number", vec![("aud", "[\"keycard\",7]")], Some(Form("aud"))),
        ("aud prefix", vec![("aud", "\"keycard2\"")], Some(Audience)),
        ("valid-aud-as-array", vec![("aud", "[\"keycard\"]")], None),
        ("invalid-secondary-aud", vec![("aud", "[\"keycard\",\"evil\"]")], Some(SharedAudience)),
        (
            "secondary aud with azp",
            vec![("aud", "[\"keycard\",\"evil\"]"), ("azp", "\"keycard\"")],
            Some(SharedAudience),
        ),
        ("aud twice, no azp", vec![("aud", "[\"keycard\",\"keycard\"]")], Some(AuthorizedParty)),
        ("aud twice, azp", vec![("aud", "[\"keycard\",\"keycard\"]"), ("azp", "\"keycard\"")], None),
        ("azp somebody else", vec![("azp", "\"evil\"")], Some(AuthorizedParty)),
        ("azp array", vec![("azp", "[\"keycard\"]")], Some(Form("azp"))),
        ("empty azp", vec![("azp", "\"\"")], Some(AuthorizedParty)),
    ] {
        assert_eq!(refusal(&changes), expected, "{name}");
    }
}

#[test]
fn r13_a13_times() {
    use Refusal::{Expired, Form, Future, Missing, Stale};
    let at = |offset: i64| (NOW as i64 + offset).to_string();
    for (name, claim, value, expected) in [
        ("missing exp", "exp", String::new(), Some(Missing("exp"))),
        ("oidcc-client-test-missing-iat", "iat", String::new(), Some(Missing("iat"))),
        ("exp just over", "exp", at(-30), Some(Expired)),
        ("exp within the skew", "exp", at(-29), None),
        ("invalid-expired-exp", "exp", at(-301), Some(Expired)),
        ("exp zero", "exp", "0".into(), Some(Expired)),
        ("exp string", "exp", format!("\"{}\"", at(300)), Some(Form("exp"))),
        ("exp negative", "exp", "-1".into(), Some(Form("exp"))),
        ("exp null", "exp", "null".into(), Some(Form("exp"))),
        ("exp true", "exp", "true".into(), Some(Form("exp"))),
        ("exp in milliseconds", "exp", at(300) + "000", Some(Form("exp"))),
        ("exp huge", "exp", "9223372036854775807".into(), Some(Form("exp"))),
        ("exp huge float", "exp", "1e18".into(), Some(Form("exp"))),
        ("exp negative float", "exp", "-0.5".into(), Some(Form("exp"))),
        ("exp float", "exp", at(300) + ".5", None),
        ("iat float", "iat", at(0) + ".0", None),
        ("iat as exponent", "iat", "1.8e9".into(), None),
        ("iat string", "iat", format!("\"{NOW}\""), Some(Form("iat"))),
        ("iat within the skew", "iat", at(30), None),
        ("iat in the future", "iat", at(31), Some(Future("iat"))),
        ("iat at the start of the login", "iat", at(-630), None),
        ("iat too old", "iat", at(-631), Some(Stale)),
        ("iat-is-week-in-past", "iat", at(-604_800), Some(Stale)),
        ("nbf past", "nbf", at(-10), None),
        ("nbf in the future", "nbf", at(31), Some(Future("nbf"))),
        ("nbf string", "nbf", "\"0\"".into(), Some(Form("nbf"))),
        ("auth_time string", "auth_time", "\"0\"".into(), Some(Form("auth_time"))),
        ("auth_time in the future", "auth_time", at(31), Some(Future("auth_time"))),
    ] {
        assert_eq!(refusal(&[(claim, &value)]), expected, "{name}");
    }
}

#[test]
fn r5_r13_nonce_and_subject() {
    use Refusal::{Form, Missing, Nonce};
    let long = format!("\"{}\"", "a".repeat(256));
    let longest = format!("\"{}\"", "a".repeat(255));
    for (name, claim, value, expected) in [
        ("oidcc-client-test-nonce-invalid", "nonce", "\"another\"", Some(Nonce)),
        ("invalid-missing-nonce", "nonce", "", Some(Missing("nonce"))),
        ("empty nonce", "nonce", "\"\"", Some(Nonce)),
        ("nonce array", "nonce", "[\"a nonce\"]", Some(Form("nonce"))),
        ("nonce with more", "nonce", "\"a nonce \"", Some(Nonce)),
        ("oidcc-client-test-missing-sub", "sub", "", Some(Missing("sub"))),
        ("empty sub", "sub", "\"\"", Some(Form("sub"))),
        ("sub of 255", "sub", &longest, None),
        ("sub of 256", "sub", &long, Some(Form("sub"))),
        ("sub with NUL", "sub", "\"alice\\u0000\"", Some(Form("sub"))),
        ("sub look-alike", "sub", "\"\\u0430lice\"", Some(Form("sub"))),
        ("sub array", "sub", "[\"alice\"]", Some(Form("sub"))),
        ("sub number", "sub", "7", Some(Form("sub"))),
        ("sid number", "sid", "7", Some(Form("sid"))),
        ("acr array", "acr", "[\"gold\"]", Some(Form("acr"))),
    ] {
        assert_eq!(refusal(&[(claim, value)]), expected, "{name}");
    }
}

#[test]
fn a43_what_was_asked_for_must_come_back() {
    let judge = |requested: &Requested, changes: &[(&str, &str)]| {
        judge_with(PLAIN, &claims(changes), requested).err()
    };
    let classes = Requested { max_age: None, acr_values: vec!["gold".into(), "silver".into()] };
    assert_eq!(judge(&classes, &[("acr", "\"silver\"")]), None);
    assert_eq!(judge(&classes, &[("acr", "\"bronze\"")]), Some(Refusal::AuthenticationClass));
    assert_eq!(judge(&classes, &[("acr", "\"gold silver\"")]), Some(Refusal::AuthenticationClass));
    assert_eq!(judge(&classes, &[]), Some(Refusal::Missing("acr")));
    let fresh = Requested { max_age: Some(60), acr_values: Vec::new() };
    let at = |offset: u64| (NOW - offset).to_string();
    assert_eq!(judge(&fresh, &[("auth_time", &at(90))]), None);
    assert_eq!(judge(&fresh, &[("auth_time", &at(91))]), Some(Refusal::AuthenticationAge));
    assert_eq!(judge(&fresh, &[]), Some(Refusal::Missing("auth_time")));
    assert_eq!(judge(&Requested { max_age: Some(0), ..fresh }, &[("auth_time", &at(0))]), None);
}

#[test]
fn r17_other_kinds_of_tokens_are_no_id_tokens() {
    let typed = |typ: &str| {
        let header = format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#);
        judge_with(&header, &claims(&[]), &Requested::default()).err()
    };
    for good in ["JWT", "jwt"] {
        assert_eq!(typed(good), None, "{good}");
    }
    for bad in ["at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", ""] {
        assert_eq!(typed(bad), Some(Refusal::OtherKind), "{bad}");
    }
    let events = r#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#;
    assert_eq!(refusal(&[("events", events)]), Some(Refusal::OtherKind));
}

#[test]
fn a15_at_hash_is_right_or_absent() {
    // The example of OpenID Connect Core, appendix A.3.
    assert_eq!(refusal(&[("at_hash", "\"77QmUPtjPfzWtF2AnpK9RQ\"")]), None);
    for (wrong, expected) in [
        ("\"77QmUPtjPfzWtF2AnpK9RA\"", Refusal::AccessTokenHash),
        ("\"77QmUPtjPfzWtF2AnpK9RQ==\"", Refusal::AccessTokenHash),
        ("\"\"", Refusal::AccessTokenHash),
        ("7", Refusal::Form("at_hash")),
        ("null", Refusal::Form("at_hash")),
    ] {
        assert_eq!(refusal(&[("at_hash", wrong)]), Some(expected), "{wrong}");
    }
    let token = AccessToken::new("token");
    let lengths = [SigningAlgorithm::Es256, SigningAlgorithm::Ps384, SigningAlgorithm::EdDsa]
        .map(|algorithm| left_half_hash(algorithm, &token).len());
    assert_eq!(lengths, [22, 32, 43]);
    assert_eq!(
        judge_with(
            r#"{"alg":"RS384"}"#,
            &claims(&[("at_hash", "\"77QmUPtjPfzWtF2AnpK9RQ\"")]),
            &Requested::default()
        )
        .err(),
        Some(Refusal::AccessTokenHash),
        "the hash of another algorithm"
    );
}

#[test]
fn r19_signed_userinfo_is_for_us_and_from_the_issuer() {
    let settings = settings("https://idp.example.com");
    let judge = |header: &str, changes: &[(&str, &str)]| {
        let mut all = vec![("exp", ""), ("iat", ""), ("nonce", "")];
        all.extend_from_slice(changes);
        judge_statement(&verified(header, &claims(&all)), &settings, Timestamp::from_unix_seconds(NOW)).err()
    };
    assert_eq!(judge(PLAIN, &[]), None);
    assert_eq!(judge(PLAIN, &[("iss", "\"https://evil\"")]), Some(Refusal::Issuer));
    assert_eq!(judge(PLAIN, &[("aud", "\"evil\"")]), Some(Refusal::Audience));
    assert_eq!(judge(PLAIN, &[("aud", "")]), Some(Refusal::Missing("aud")));
    assert_eq!(judge(PLAIN, &[("exp", "1")]), Some(Refusal::Expired));
    assert_eq!(judge(r#"{"alg":"RS256","typ":"at+jwt"}"#, &[]), Some(Refusal::OtherKind));
    assert_eq!(judge(PLAIN, &[("events", "{}")]), Some(Refusal::OtherKind));
}
