//! ID tokens that a relying party has to accept.
//!
//! I own: rows, and nothing else.

use super::Row;
use serde_json::json;

/// Under the default configuration: RS256.
pub(in crate::it) const ROWS: &[Row] = &[
    ("r13 oidcc-client-test", |f| f.sign()),
    ("r13 oidcc-client-test-idtoken-sig-rs256", |f| f.by("RS256")),
    ("r23 oidcc-client-test-kid-absent-single-jwks", |f| f.with_header("kid", json!(null))),
    ("r13 valid-aud-as-array", |f| f.with("aud", json!([f.client_id]))),
    ("r13 azp is the client", |f| f.with("azp", json!(f.client_id))),
    ("r13 aud array and azp", |f| {
        f.claims["aud"] = json!([f.client_id]);
        f.with("azp", json!(f.client_id))
    }),
    ("a13 iat as a float", |f| f.with_raw("iat", &format!("{}.5", f.now - 1))),
    ("r13 no typ", |f| f.with_header("typ", json!(null))),
    ("r15 unknown claims", |f| f.with("https://example.test/x", json!({"a": [1, {"b": null}]}))),
    ("r13 unknown header parameters", |f| f.with_header("example", json!("x"))),
    ("r13 no auth_time where none was asked for", |f| f.without("auth_time")),
    ("r13 no sid", |f| f.without("sid")),
    ("a15 at_hash that is right", |f| f.with("at_hash", json!(f.at_hash()))),
    ("r13 nbf in the past", |f| f.with("nbf", json!(f.now - 60))),
    ("r13 issued a minute ago", |f| f.with("iat", json!(f.now - 60))),
];

/// One honest token for each algorithm, RS256 first.
pub(super) const ALGORITHMS: &[Row] = &[
    ("r13 RS256", |f| f.by("RS256")),
    ("r13 RS384", |f| f.by("RS384")),
    ("r13 RS512", |f| f.by("RS512")),
    ("r13 PS256", |f| f.by("PS256")),
    ("r13 PS384", |f| f.by("PS384")),
    ("r13 PS512", |f| f.by("PS512")),
    ("r13 ES256", |f| f.by("ES256")),
    ("r13 ES384", |f| f.by("ES384")),
    ("r13 ES512", |f| f.by("ES512")),
    ("r13 EdDSA", |f| f.by("EdDSA")),
];
