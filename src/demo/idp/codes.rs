//! Authorization codes: given out once, redeemed once.
//!
//! I own: [`Codes`] and the checks of a redemption (RFC 6749 section 4.1.3, RFC 7636 section 4.6). I may call: `form`,
//! `keys` for base64url. I never redeem a code twice, whatever the second request proves.

use super::Refusal;
use super::form::Form;
use super::keys::b64;
use std::collections::HashMap;

/// What a code stands for.
#[derive(Clone)]
pub struct Grant<P> {
    /// Where the code was sent.
    pub redirect_uri: String,
    /// The S256 challenge.
    pub challenge: String,
    /// The nonce for the ID token.
    pub nonce: String,
    /// When it was given out, in seconds since 1970.
    pub issued: i64,
    /// Whose code it is.
    pub holder: P,
}

/// Whether the proof of possession is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkce {
    /// As it has to be.
    Required,
    /// A provider that does not look: something for tests.
    Ignored,
}

/// The codes of a provider.
pub struct Codes<P> {
    lifetime: i64,
    grants: HashMap<String, (Grant<P>, bool)>,
}

impl<P: Clone> Codes<P> {
    /// Codes that are good for so many seconds.
    pub fn lasting(lifetime: i64) -> Self {
        Self { lifetime, grants: HashMap::new() }
    }

    /// Notes a code that is on its way to the client.
    pub fn give(&mut self, code: String, grant: Grant<P>) {
        let (lifetime, now) = (self.lifetime, grant.issued);
        // A used code is kept as long as an unused one: until then it is recognised.
        self.grants.retain(|_, (other, _)| now.saturating_sub(other.issued) <= lifetime);
        self.grants.insert(code, (grant, false));
    }

    /// Redeems the code of a token request.
    ///
    /// # Errors
    /// When the request breaks a rule.
    pub fn redeem(&mut self, form: &Form, pkce: Pkce, now: i64) -> Result<Grant<P>, Refusal> {
        let refused = |error, why| Err(Refusal { status: 400, error, why });
        if form.get("grant_type") != Some("authorization_code") {
            return refused("unsupported_grant_type", "not an authorization code");
        }
        let Some((grant, used)) = self.grants.get_mut(form.text("code")) else {
            return refused("invalid_grant", "unknown code");
        };
        if std::mem::replace(used, true) {
            return refused("invalid_grant", "the code was used before");
        }
        if now.saturating_sub(grant.issued) > self.lifetime {
            return refused("invalid_grant", "the code has expired");
        }
        if form.get("redirect_uri") != Some(&grant.redirect_uri) {
            return refused("invalid_grant", "another redirect_uri");
        }
        let verifier = form.text("code_verifier");
        let challenge = b64(crate::keyring::sha256(verifier.as_bytes()));
        if pkce == Pkce::Required && (verifier.len() < 43 || challenge != grant.challenge) {
            return refused("invalid_grant", "PKCE verification failed");
        }
        Ok(grant.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(issued: i64) -> Codes<()> {
        let mut codes = Codes::lasting(60);
        let challenge = b64(crate::keyring::sha256("v".repeat(43).as_bytes()));
        let grant = Grant { redirect_uri: "r".into(), challenge, nonce: "n".into(), issued, holder: () };
        codes.give("c".into(), grant);
        codes
    }

    #[test]
    fn a_code_is_good_once_in_time_at_its_own_address_with_its_own_verifier() {
        let right =
            format!("grant_type=authorization_code&code=c&redirect_uri=r&code_verifier={}", "v".repeat(43));
        for (form, now, outcome) in [
            (right.clone(), 160, None),
            (right.clone(), 161, Some("the code has expired")),
            (right.replace("code=c", "code=d"), 100, Some("unknown code")),
            (right.replace("=r&", "=s&"), 100, Some("another redirect_uri")),
            (right.replace("vv", "wv"), 100, Some("PKCE verification failed")),
            (right.replace("authorization_code", "password"), 100, Some("not an authorization code")),
        ] {
            let mut codes = code(100);
            let redeemed = codes.redeem(&Form::parse(&form), Pkce::Required, now);
            assert_eq!(redeemed.err().map(|refusal| refusal.why), outcome, "{form}");
            if form == right {
                let again = codes.redeem(&Form::parse(&form), Pkce::Required, now);
                assert_eq!(again.err().map(|refusal| refusal.why), Some("the code was used before"));
            }
        }
    }
}
