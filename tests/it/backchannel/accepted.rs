//! Logout tokens that a relying party has to accept.
//!
//! I own: rows, and nothing else. Every one of them means both browsers of the row.

use super::Row;
use serde_json::json;

pub(super) const ROWS: &[Row] = &[
    ("r83 oidcc-client-back-channel-logout-rp-basic", |f| f.with_header("typ", json!(null))),
    ("r83 oidcc-client-test-rp-backchannel-rpinitlogout", |f| f.with("ignored_claim", json!("x"))),
    ("r83 typ logout+jwt", |f| f.sign()),
    ("r83 typ in capitals", |f| f.with_header("typ", json!("LOGOUT+JWT"))),
    ("r84 sid alone", |f| f.without("sub")),
    ("r84 sub alone", |f| f.without("sid")),
    ("r83 no exp", |f| f.without("exp")),
    ("r83 aud as an array", |f| f.with("aud", json!([f.client_id]))),
    ("r83 no kid", |f| f.with_header("kid", json!(null))),
    ("r83 another event beside it", |f| {
        f.claims["events"]["https://example.test/event"] = json!("x");
        f.sign()
    }),
    ("r83 an event with members", |f| {
        f.claims["events"]["http://schemas.openid.net/event/backchannel-logout"] = json!({"why": "x"});
        f.sign()
    }),
    ("r83 issued four minutes ago", |f| f.with("iat", json!(f.now - 240))),
    ("r83 issued in five seconds", |f| f.with("iat", json!(f.now + 5))),
    ("r83 expired a second ago", |f| f.with("exp", json!(f.now - 1))),
    ("r83 nbf in the past", |f| f.with("nbf", json!(f.now - 60))),
    ("r83 iat with a fraction", |f| f.with_raw("iat", &format!("{}.5", f.now - 1))),
];
