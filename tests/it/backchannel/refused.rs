//! Logout tokens that nobody may act on.
//!
//! I own: rows, and nothing else.

use super::Row;
use crate::it::house::provider::forge::Forge;
use crate::it::house::provider::keys::{hs256, pem, rs256, rsa_jwk, spki};
use serde_json::{Value, json};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn event(f: &mut Forge, value: Value) -> String {
    f.claims["events"][EVENT] = value;
    f.sign()
}

pub(super) const SIGNATURES: &[Row] = &[
    ("r83 oidcc-client-back-channel-logout-rp-alg-none", |f| {
        f.header["alg"] = json!("none");
        f.sign_by(|_| Vec::new())
    }),
    ("r83 oidcc-client-back-channel-logout-rp-wrong-alg", |f| f.by("ES256")),
    ("a26 alg switch: PS256 by the right key", |f| f.by("PS256")),
    ("a26 alg switch: HS256 by the public key", |f| {
        let key = pem("PUBLIC KEY", &spki(&f.keys.rsa), "\n", true);
        f.header["alg"] = json!("HS256");
        f.sign_by(|input| hs256(&key, input))
    }),
    ("a26 alg switch: HS256 by the client secret", |f| {
        let key = f.client_secret.clone();
        f.header["alg"] = json!("HS256");
        f.sign_by(|input| hs256(key.as_bytes(), input))
    }),
    ("a26 none with a signature", |f| {
        f.header["alg"] = json!("none");
        f.sign()
    }),
    ("a26 no alg", |f| f.with_header("alg", json!(null))),
    ("a26 signed by somebody else", |f| f.sign_by(|input| rs256(&f.keys.evil, input))),
    ("a26 zeros for a signature", |f| f.sign_by(|_| vec![0; 256])),
    ("a26 no signature", |f| f.sign_by(|_| Vec::new())),
    ("a26 signature of another token", |f| {
        let signature = f.sign();
        let other = f.with("sub", json!("bob-0002"));
        let (input, _) = other.rsplit_once('.').unwrap();
        format!("{input}.{}", signature.rsplit_once('.').unwrap().1)
    }),
    ("a11 embedded jwk", |f| {
        f.header["jwk"] = rsa_jwk(&f.keys.evil, "rs256", "RS256");
        f.sign_by(|input| rs256(&f.keys.evil, input))
    }),
    ("a11 jku", |f| {
        f.header["jku"] = json!(f.canary);
        f.sign_by(|input| rs256(&f.keys.evil, input))
    }),
    ("a26 crit", |f| f.with_header("crit", json!(["exp"]))),
    ("a26 unknown kid", |f| f.with_header("kid", json!("nobody"))),
    ("a26 no token at all", |_| "not.a.token".to_owned()),
    ("a26 empty", |_| String::new()),
    ("a26 five parts", |f| format!("{}.e30.e30", f.sign())),
    ("a26 white space after it", |f| format!("{} ", f.sign())),
    ("a26 longer than any token", |f| f.with("filler", json!("x".repeat(70_000)))),
];

pub(super) const CLAIMS: &[Row] = &[
    ("r83 oidcc-client-back-channel-logout-rp-no-event", |f| f.without("events")),
    ("r83 oidcc-client-back-channel-logout-rp-with-nonce", |f| f.with("nonce", json!("n"))),
    ("r83 oidcc-client-back-channel-logout-rp-wrong-aud", |f| f.with("aud", json!("another-client"))),
    ("r83 oidcc-client-back-channel-logout-rp-wrong-event", |f| {
        f.with("events", json!({"http://schemas.openid.net/event/other": {}}))
    }),
    ("r83 oidcc-client-back-channel-logout-rp-wrong-iss", |f| f.with("iss", json!("https://evil.test"))),
    ("a26 expired", |f| f.with("exp", json!(f.now - 120))),
    ("a26 iat old", |f| {
        f.claims["exp"] = json!(f.now + 600);
        f.with("iat", json!(f.now - 600))
    }),
    ("a26 iat future", |f| f.with("iat", json!(f.now + 600))),
    ("a26 nbf future", |f| f.with("nbf", json!(f.now + 600))),
    ("a26 an ID token", |f| f.previous.clone().unwrap()),
    ("a26 an ID token's typ", |f| f.with_header("typ", json!("JWT"))),
    ("a26 an access token's typ", |f| f.with_header("typ", json!("at+jwt"))),
    ("a26 an access token", |f| {
        f.claims.as_object_mut().unwrap().remove("events");
        f.with_header("typ", json!("at+jwt"))
    }),
    ("a26 another typ", |f| f.with_header("typ", json!("secevent+jwt"))),
    ("a26 typ empty", |f| f.with_header("typ", json!(""))),
    ("a26 typ a number", |f| f.with_header("typ", json!(1))),
    ("a26 foreign iss with the same sid", |f| {
        let issuer = format!("{}/", f.claims["iss"].as_str().unwrap());
        f.with("iss", json!(issuer))
    }),
    ("a26 no iss", |f| f.without("iss")),
    ("a26 no aud", |f| f.without("aud")),
    ("a26 also for somebody else", |f| f.with("aud", json!([f.client_id, "another-client"]))),
    ("a26 issued to somebody else", |f| f.with("azp", json!("another-client"))),
    ("a26 no iat", |f| f.without("iat")),
    ("r15 iat as a string", |f| f.with("iat", json!(f.now.to_string()))),
    ("r15 exp as a string", |f| f.with("exp", json!((f.now + 60).to_string()))),
    ("r15 exp null", |f| f.with("exp", json!(null))),
    ("a26 no jti", |f| f.without("jti")),
    ("r15 jti empty", |f| f.with("jti", json!(""))),
    ("r15 jti a number", |f| f.with("jti", json!(7))),
    ("a26 jti without end", |f| f.with("jti", json!("j".repeat(5000)))),
    ("r83 neither sub nor sid", |f| {
        f.claims.as_object_mut().unwrap().remove("sub");
        f.without("sid")
    }),
    ("r15 sub empty", |f| f.with("sub", json!(""))),
    ("r15 sub a number", |f| f.with("sub", json!(1))),
    ("r15 sub null beside a sid", |f| f.with("sub", json!(null))),
    ("r15 sid empty beside a sub", |f| f.with("sid", json!(""))),
    ("r15 sid an array", |f| f.with("sid", json!(["provider-session-1"]))),
    ("r15 sid null beside a sub", |f| f.with("sid", json!(null))),
    ("a26 events a string", |f| f.with("events", json!(EVENT))),
    ("a26 events an array", |f| f.with("events", json!([EVENT]))),
    ("a26 events null", |f| f.with("events", json!(null))),
    ("a26 events empty", |f| f.with("events", json!({}))),
    ("a26 the event a string", |f| event(f, json!("x"))),
    ("a26 the event null", |f| event(f, json!(null))),
    ("a26 the event true", |f| event(f, json!(true))),
    ("a26 the event an array", |f| event(f, json!([{}]))),
    ("a26 the event under https", |f| {
        f.with("events", json!({"https://schemas.openid.net/event/backchannel-logout": {}}))
    }),
    ("a26 the event beside events", |f| {
        f.claims[EVENT] = json!({});
        f.with("events", json!({}))
    }),
    ("a26 nonce null", |f| f.with("nonce", json!(null))),
    ("a26 nonce empty", |f| f.with("nonce", json!(""))),
    ("r15 sid twice", |f| f.followed("sid", "\"other\"")),
    ("r15 events twice", |f| f.preceded("events", "{}")),
];
