//! ID tokens with the provider's own signature that nobody may accept all the same (A13, A14, R13, R15, R17).
//!
//! I own: rows, and nothing else.

use super::Row;
use crate::it::house::provider::forge::Forge;
use crate::it::house::provider::keys::b64;
use serde_json::{Value, json};

fn aud(f: &mut Forge, others: &[&str]) {
    let mut list = vec![json!(f.client_id)];
    list.extend(others.iter().map(|other| json!(other)));
    f.claims["aud"] = Value::Array(list);
}

pub(in crate::it) const CLAIMS: &[Row] = &[
    ("r13 oidcc-client-test-invalid-iss", |f| f.with("iss", json!("https://evil.test"))),
    ("r13 invalid-missing-iss", |f| f.without("iss")),
    ("a13 empty iss", |f| f.with("iss", json!(""))),
    ("a13 iss with a trailing slash", |f| {
        let iss = format!("{}/", f.claims["iss"].as_str().unwrap());
        f.with("iss", json!(iss))
    }),
    ("a13 iss in another case", |f| {
        let iss = f.claims["iss"].as_str().unwrap().to_uppercase();
        f.with("iss", json!(iss))
    }),
    ("r13 oidcc-client-test-missing-sub", |f| f.without("sub")),
    ("a13 empty sub", |f| f.with("sub", json!(""))),
    ("a13 sub of 256 characters", |f| f.with("sub", json!("s".repeat(256)))),
    ("a13 sub with NUL", |f| f.with("sub", json!("alice-0001\0"))),
    ("a13 sub with a look-alike", |f| f.with("sub", json!("\u{430}lice-0001"))),
    ("r13 oidcc-client-test-invalid-aud", |f| f.with("aud", json!("somebody-else"))),
    ("r13 oidcc-client-test-missing-aud", |f| f.without("aud")),
    ("a13 empty aud", |f| f.with("aud", json!(""))),
    ("a13 empty list of aud", |f| f.with("aud", json!([]))),
    ("a13 aud of others", |f| f.with("aud", json!(["one", "two"]))),
    ("r13 invalid-secondary-aud", |f| {
        aud(f, &["evil"]);
        f.sign()
    }),
    ("a13 untrusted second aud though azp is right", |f| {
        aud(f, &["evil"]);
        f.with("azp", json!(f.client_id))
    }),
    ("r13 azp of somebody else", |f| f.with("azp", json!("somebody-else"))),
    ("a13 aud list and azp of somebody else", |f| {
        aud(f, &[]);
        f.with("azp", json!("somebody-else"))
    }),
    ("r13 invalid-missing-exp", |f| f.without("exp")),
    ("r13 invalid-expired-exp", |f| f.with("exp", json!(f.now - 600))),
    ("a13 exp of zero", |f| f.with("exp", json!(0))),
    ("r13 oidcc-client-test-missing-iat", |f| f.without("iat")),
    ("r13 iat-is-week-in-past", |f| f.with("iat", json!(f.now - 7 * 86_400))),
    ("a13 iat in an hour", |f| f.with("iat", json!(f.now + 3600))),
    ("a13 nbf in an hour", |f| f.with("nbf", json!(f.now + 3600))),
    ("r5 oidcc-client-test-nonce-invalid", |f| f.with("nonce", json!("another nonce"))),
    ("r5 invalid-missing-nonce", |f| f.without("nonce")),
    ("r5 empty nonce", |f| f.with("nonce", json!(""))),
    ("r5 nonce in another case", |f| {
        let nonce = f.claims["nonce"].as_str().unwrap().to_owned();
        let swapped = if nonce == nonce.to_uppercase() { nonce.to_lowercase() } else { nonce.to_uppercase() };
        f.with("nonce", json!(swapped))
    }),
    ("a15 at_hash of another token", |f| f.with("at_hash", json!(b64([7; 16])))),
    ("a15 at_hash cut short", |f| {
        let hash = f.at_hash();
        f.with("at_hash", json!(hash[..8]))
    }),
    ("r13 auth_time in an hour", |f| f.with("auth_time", json!(f.now + 3600))),
    ("r17 events of a logout token", |f| {
        f.with("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}}))
    }),
    ("r17 empty events", |f| f.with("events", json!({}))),
    ("r17 typ of an access token", |f| f.with_header("typ", json!("at+jwt"))),
    ("r17 typ of a logout token", |f| f.with_header("typ", json!("logout+jwt"))),
];

pub(in crate::it) const TYPES: &[Row] = &[
    ("a13 iss as an array", |f| {
        let iss = f.claims["iss"].clone();
        f.with("iss", json!([iss]))
    }),
    ("a13 iss as a number", |f| f.with("iss", json!(1))),
    ("a13 sub as an array", |f| f.with("sub", json!(["alice-0001"]))),
    ("a13 sub as a number", |f| f.with("sub", json!(1))),
    ("a13 sub as null", |f| f.with("sub", json!(null))),
    ("a13 sub as an object", |f| f.with("sub", json!({"alice-0001": 1}))),
    ("a13 aud as an object", |f| f.with("aud", json!({f.client_id.clone(): true}))),
    ("a13 aud as a number", |f| f.with("aud", json!(1))),
    ("a13 aud with a number in it", |f| f.with("aud", json!([f.client_id, 1]))),
    ("a13 azp as a number", |f| f.with("azp", json!(1))),
    ("a13 exp as a string", |f| f.with("exp", json!((f.now + 300).to_string()))),
    ("a13 exp as null", |f| f.with("exp", json!(null))),
    ("a13 exp as an array", |f| f.with("exp", json!([f.now + 300]))),
    ("a13 exp as a boolean", |f| f.with("exp", json!(true))),
    ("a13 negative exp", |f| f.with("exp", json!(-1))),
    ("a13 exp of 1e400", |f| f.with_raw("exp", "1e400")),
    ("a13 exp of 2^63", |f| f.with_raw("exp", "9223372036854775808")),
    ("a13 iat as a string", |f| f.with("iat", json!(f.now.to_string()))),
    ("a13 iat of 1e400", |f| f.with_raw("iat", "1e400")),
    ("a13 nbf as a string", |f| f.with("nbf", json!(f.now.to_string()))),
    ("a13 nonce as an array", |f| {
        let nonce = f.claims["nonce"].clone();
        f.with("nonce", json!([nonce]))
    }),
    ("a13 nonce as null", |f| f.with("nonce", json!(null))),
    ("a15 at_hash as a number", |f| f.with("at_hash", json!(1))),
    ("r15 sub twice", |f| f.preceded("sub", "\"mallory\"")),
    ("r15 sub twice, the honest one first", |f| f.followed("sub", "\"mallory\"")),
    ("r15 sub twice, the same", |f| f.preceded("sub", "\"alice-0001\"")),
    ("r15 iss twice", |f| f.preceded("iss", "\"https://evil.test\"")),
    ("r15 iss twice, the honest one first", |f| f.followed("iss", "\"https://evil.test\"")),
    ("r15 aud twice", |f| f.preceded("aud", "\"evil\"")),
    ("r15 exp twice", |f| f.preceded("exp", "1")),
    ("r15 exp twice, the honest one first", |f| f.followed("exp", "9999999999")),
    ("r15 nonce twice", |f| f.preceded("nonce", "\"x\"")),
    ("r15 sub twice, once escaped", |f| f.preceded("s\\u0075b", "\"mallory\"")),
    ("r15 a claim that nobody asked for, twice", |f| {
        f.claims["example"] = json!(1);
        f.preceded("example", "1")
    }),
    ("r15 a member twice, deep inside", |f| f.with_raw("example", "[{\"a\":{\"b\":1,\"b\":1}}]")),
    ("r15 alg twice", |f| {
        let header = "{\"alg\":\"none\",\"kid\":\"rs256\",\"alg\":\"RS256\"}";
        f.sign_text(header, &f.claims.to_string())
    }),
    ("r15 kid twice", |f| {
        let header = "{\"alg\":\"RS256\",\"kid\":\"evil\",\"kid\":\"rs256\"}";
        f.sign_text(header, &f.claims.to_string())
    }),
];

/// An honest token, its text changed afterwards.
fn rewritten(f: &mut Forge, change: impl Fn(&str, &str, &str) -> String) -> String {
    let token = f.sign();
    let mut parts = token.split('.');
    let mut part = || parts.next().unwrap();
    let (header, claims, signature) = (part(), part(), part());
    change(header, claims, signature)
}

pub(in crate::it) const SHAPES: &[Row] = &[
    ("a14 crit with something unknown", |f| {
        f.header["x"] = json!(1);
        f.with_header("crit", json!(["x"]))
    }),
    ("a14 empty crit", |f| f.with_header("crit", json!([]))),
    ("a14 crit as a string", |f| f.with_header("crit", json!("exp"))),
    ("a14 b64 false", |f| {
        f.header["b64"] = json!(false);
        f.with_header("crit", json!(["b64"]))
    }),
    ("a14 b64 false, not critical", |f| f.with_header("b64", json!(false))),
    ("a14 zip", |f| f.with_header("zip", json!("DEF"))),
    ("a14 five parts", |_| {
        let header = b64(json!({"alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF"}).to_string());
        format!("{header}.{}.{}.{}.{}", b64([1; 256]), b64([2; 12]), b64([3; 4096]), b64([4; 16]))
    }),
    ("a14 JSON serialisation", |f| {
        rewritten(f, |h, c, s| json!({"protected": h, "payload": c, "signature": s}).to_string())
    }),
    ("a14 two parts", |f| rewritten(f, |h, c, _| format!("{h}.{c}"))),
    ("a14 four parts", |f| rewritten(f, |h, c, s| format!("{h}.{c}.{s}.{s}"))),
    ("a14 empty parts", |_| "..".to_owned()),
    ("a14 nothing", |_| String::new()),
    ("a14 no token at all", |_| "not a token".to_owned()),
    ("a14 padding", |f| rewritten(f, |h, c, s| format!("{h}.{c}.{s}=="))),
    ("a14 white space before", |f| rewritten(f, |h, c, s| format!(" {h}.{c}.{s}"))),
    ("a14 a line break after", |f| rewritten(f, |h, c, s| format!("{h}.{c}.{s}\n"))),
    ("a14 white space within", |f| rewritten(f, |h, c, s| format!("{h}. {c}.{s}"))),
    ("a14 characters of the other alphabet", |f| {
        rewritten(f, |h, c, s| format!("{h}.{c}.{}/+{}", &s[..4], &s[6..]))
    }),
    // Less than the provider's whole answer may have, more than a token may have.
    ("a14 claims of 100 KiB", |f| f.with("filler", json!("x".repeat(100 << 10)))),
    ("a14 depth of 10000", |f| f.with_raw("deep", &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)))),
    ("a14 claims that are an array", |f| f.sign_text(&f.header.to_string(), "[]")),
    ("a14 claims that are a string", |f| f.sign_text(&f.header.to_string(), "\"alice\"")),
    ("a14 claims that are no JSON", |f| f.sign_text(&f.header.to_string(), "{")),
    ("a14 something after the claims", |f| {
        let claims = format!("{} {{}}", f.claims);
        f.sign_text(&f.header.to_string(), &claims)
    }),
    ("a14 a header that is no JSON", |f| f.sign_text("RS256", &f.claims.to_string())),
    ("a14 a header that is an array", |f| f.sign_text("[\"RS256\"]", &f.claims.to_string())),
];
