//! Where ID tokens are made, honest and otherwise.
//!
//! I own: [`Forge`]. I may call: `keys`, and the demo provider's tokens for their form. I never repair what a test has
//! bent.

use super::keys::Keys;
use keycard::demo::idp::token;
use serde_json::Value;

/// One ID token about to be made: header and claims as an honest provider would write them, and what a forger needs.
pub struct Forge {
    pub header: Value,
    pub claims: Value,
    pub keys: &'static Keys,
    pub now: i64,
    pub client_id: String,
    pub client_secret: String,
    /// The access token that goes along.
    pub access_token: String,
    /// An address that nobody may ever call.
    pub canary: String,
    /// The ID token that this provider made before, if any.
    pub previous: Option<String>,
}

impl Forge {
    /// Header and claims as they stand, signed by the honest key for the header's `alg`, or RS256's where it names none.
    pub fn sign(&self) -> String {
        self.sign_text(&self.header.to_string(), &self.claims.to_string())
    }

    /// The same for JSON that is written out: duplicate members, numbers that serde would not write.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let input = token::signing_input(header, claims);
        let algorithm = self.header["alg"].as_str().unwrap_or("RS256");
        let secret = self.client_secret.as_bytes();
        let signed = self.keys.sign(algorithm, input.as_bytes(), secret);
        let signed = signed.or_else(|| self.keys.sign("RS256", input.as_bytes(), secret));
        token::compact(&input, &signed.unwrap_or_default())
    }

    /// Header and claims as they stand, with the signature that `signer` makes of them.
    pub fn sign_by(&self, signer: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let input = self.input();
        token::compact(&input, &signer(input.as_bytes()))
    }

    /// What is signed (RFC 7515 section 5.1).
    pub fn input(&self) -> String {
        token::signing_input(&self.header.to_string(), &self.claims.to_string())
    }

    /// With one claim set.
    pub fn with(&mut self, claim: &str, value: Value) -> String {
        self.claims[claim] = value;
        self.sign()
    }

    /// With one claim left out.
    pub fn without(&mut self, claim: &str) -> String {
        self.claims.as_object_mut().unwrap().remove(claim);
        self.sign()
    }

    /// With one header parameter set; `null` leaves it out.
    pub fn with_header(&mut self, parameter: &str, value: Value) -> String {
        if value.is_null() {
            self.header.as_object_mut().unwrap().remove(parameter);
        } else {
            self.header[parameter] = value;
        }
        self.sign()
    }

    /// By another algorithm, honestly: its own key, its own kid.
    pub fn by(&mut self, algorithm: &str) -> String {
        self.header["alg"] = algorithm.into();
        self.header["kid"] = algorithm.to_lowercase().into();
        self.sign()
    }

    /// With a raw JSON text for one claim, such as `1e400`.
    pub fn with_raw(&mut self, claim: &str, raw: &str) -> String {
        self.claims[claim] = "@raw@".into();
        let text = self.claims.to_string().replace("\"@raw@\"", raw);
        self.sign_text(&self.header.to_string(), &text)
    }

    /// With a claim written twice, this one first: a parser that lets the last one win never sees it.
    pub fn preceded(&mut self, claim: &str, raw: &str) -> String {
        let text = self.claims.to_string();
        let text = format!("{{\"{claim}\":{raw},{}", text.strip_prefix('{').unwrap());
        self.sign_text(&self.header.to_string(), &text)
    }

    /// With a claim written a second time, at the end: a parser that lets the first one win never sees it.
    pub fn followed(&mut self, claim: &str, raw: &str) -> String {
        let text = self.claims.to_string();
        let text = format!("{},\"{claim}\":{raw}}}", text.strip_suffix('}').unwrap());
        self.sign_text(&self.header.to_string(), &text)
    }

    /// `at_hash` of the access token for a SHA-256 algorithm (OpenID Connect Core section 3.1.3.6).
    pub fn at_hash(&self) -> String {
        token::at_hash(&self.access_token)
    }
}
