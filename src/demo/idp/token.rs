//! What a provider says about a person, as tokens.
//!
//! I own: the compact form (RFC 7515), the claims of an ID token (OpenID Connect Core section 2), of an access token
//! (RFC 9068) and the answer of the token endpoint. I may call: `keys`. I never look at a clock: `now` comes with
//! every call.

use super::keys::{SigningKey, b64, from_b64};
use aws_lc_rs::error::Unspecified;
use serde_json::{Value, json};

/// How long tokens live, in seconds.
pub const LIFETIME: i64 = 300;

/// One issue of tokens: to whom, from whom, when.
pub struct Issue<'i> {
    /// The issuer identifier.
    pub issuer: &'i str,
    /// Whom the token is for.
    pub audience: &'i str,
    /// Now, in seconds since 1970.
    pub now: i64,
    /// When the person signed in, likewise.
    pub auth_time: i64,
    /// The provider's own session.
    pub sid: &'i str,
}

impl Issue<'_> {
    /// The claims of an ID token: what is known about the person, and what the protocol adds.
    pub fn id_claims(&self, person: &Value, nonce: &str) -> Value {
        let mut claims = self.with_times(person.clone(), LIFETIME);
        claims["auth_time"] = json!(self.auth_time);
        claims["nonce"] = json!(nonce);
        claims["sid"] = json!(self.sid);
        claims
    }

    /// The claims of an access token that an API can check by itself.
    pub fn access_claims(&self, person: &Value, client_id: &str, jti: &str, lifetime: i64) -> Value {
        let mut claims = json!({"client_id": client_id, "jti": jti, "scope": "openid profile email"});
        for name in ["sub", "roles"] {
            claims[name] = person[name].clone();
        }
        self.with_times(claims, lifetime)
    }

    fn with_times(&self, mut claims: Value, lifetime: i64) -> Value {
        claims["iss"] = json!(self.issuer);
        claims["aud"] = json!(self.audience);
        claims["iat"] = json!(self.now);
        claims["exp"] = json!(self.now + lifetime);
        claims
    }
}

/// What is signed (RFC 7515 section 5.1).
pub fn signing_input(header: &str, claims: &str) -> String {
    format!("{}.{}", b64(header), b64(claims))
}

/// The token of an input and its signature.
pub fn compact(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", b64(signature))
}

/// A token, signed by RS256.
///
/// # Errors
/// When the key cannot sign.
pub fn sign(key: &SigningKey, kind: &str, claims: &Value) -> Result<String, Unspecified> {
    let header = json!({"alg": "RS256", "kid": key.kid(), "typ": kind});
    let input = signing_input(&header.to_string(), &claims.to_string());
    let signature = key.sign(input.as_bytes())?;
    Ok(compact(&input, &signature))
}

/// The claims of a token of this kind that `key` signed for `audience` and that has not expired.
pub fn verify(key: &SigningKey, token: &str, kind: &str, audience: &str, now: i64) -> Option<Value> {
    let (input, signature) = token.rsplit_once('.')?;
    let (header, claims) = input.split_once('.')?;
    let header: Value = serde_json::from_slice(&from_b64(header)?).ok()?;
    // The algorithm is ours, not the token's to choose.
    if header["alg"] != "RS256"
        || header["typ"] != kind
        || !key.verifies(input.as_bytes(), &from_b64(signature)?)
    {
        return None;
    }
    let claims: Value = serde_json::from_slice(&from_b64(claims)?).ok()?;
    (claims["aud"] == audience && claims["exp"].as_i64()? > now).then_some(claims)
}

/// `at_hash` of an access token beside a SHA-256 algorithm (OpenID Connect Core section 3.1.3.6).
pub fn at_hash(access_token: &str) -> String {
    b64(&crate::keyring::sha256(access_token.as_bytes())[..16])
}

/// The answer of the token endpoint.
pub fn answer(access_token: &str, id_token: &str, expires_in: i64) -> Value {
    json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": expires_in,
        "id_token": id_token,
        "scope": "openid profile email",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_verifies_by_its_own_key_kind_audience_and_time_only() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let issue = Issue { issuer: "i", audience: "api", now: 1000, auth_time: 900, sid: "s" };
        let claims = issue.access_claims(&json!({"sub": "anna", "roles": ["teacher"]}), "c", "1", 60);
        let token = sign(&key, "at+jwt", &claims).unwrap();
        assert_eq!(verify(&key, &token, "at+jwt", "api", 1059).unwrap()["roles"], json!(["teacher"]));
        for (what, found) in [
            ("another key", verify(&other, &token, "at+jwt", "api", 1000)),
            ("another kind", verify(&key, &token, "JWT", "api", 1000)),
            ("another audience", verify(&key, &token, "at+jwt", "app", 1000)),
            ("too late", verify(&key, &token, "at+jwt", "api", 1060)),
            ("cut short", verify(&key, &token[..token.len() - 4], "at+jwt", "api", 1000)),
            ("no token", verify(&key, "a.b", "at+jwt", "api", 1000)),
        ] {
            assert!(found.is_none(), "{what}");
        }
    }
}
