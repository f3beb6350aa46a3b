//! Signed tokens: from text to verified claims, for every kind of JWT.
//!
//! I own: the states [`Unverified`] and [`VerifiedClaims`], and the way from one to the other. I may call: `jwks`,
//! `json`, `domain`. I never read a claim before the signature holds, never take an algorithm from a header that the
//! configuration does not name, and never look at a key that a token brings along (R13, R14, A10, A11).

use crate::domain::algorithm::SigningAlgorithm;
use crate::domain::claim::{ClaimValue, Claims};
use crate::domain::secret::ClientSecret;
use crate::oidc::json::{JsonError, parse_object};
use crate::oidc::jwks::KeySet;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The largest token that is looked at, in bytes. Keycloak's with hundreds of roles reach some 20 KiB.
pub(crate) const MAX_TOKEN: usize = 64 * 1024;

/// The longest `kid`, in bytes.
const MAX_KEY_ID: usize = 256;

/// Header parameters that change what the rest means; a token with one of them is not understood here
/// (RFC 7515 section 4.1.11, RFC 7797, RFC 7516 sections 4.1.2 and 4.1.3).
const NOT_UNDERSTOOD: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwtError {
    /// Longer than [`MAX_TOKEN`].
    #[error("it is too long")]
    TooLong,
    /// Not three parts of strict base64url (RFC 7515 section 7.1).
    #[error("it is not a compact signed token")]
    NotCompact,
    /// The header is not an acceptable object.
    #[error("its header is not acceptable: {0}")]
    Header(JsonError),
    /// A header parameter has the wrong type or length.
    #[error("its header has an unusable `{0}`")]
    Parameter(&'static str),
    /// One of the parameters that are not understood.
    #[error("its header has `{0}`, which is not supported")]
    NotUnderstood(&'static str),
    /// The algorithm is not one that the configuration allows.
    #[error("its algorithm is not one of `signing_algorithms`")]
    Algorithm,
    /// No key fits its `kid` and algorithm.
    #[error("it is signed with a key that the provider does not publish")]
    NoKey,
    /// The signature does not hold.
    #[error("its signature is not valid")]
    Signature,
    /// Signed, and still not an acceptable object.
    #[error("its claims are not acceptable: {0}")]
    Claims(JsonError),
}

/// What a signature may be checked with. The two kinds never mix: a public key is no shared secret (R13).
pub(crate) enum Verifier<'k> {
    /// The provider's published keys.
    Published(&'k KeySet),
    /// The client's secret, where the configuration allows symmetric algorithms, and then nothing else.
    Shared(&'k ClientSecret),
}

/// A token whose header was read, and of which nothing is believed yet.
pub(crate) struct Unverified<'t> {
    algorithm: SigningAlgorithm,
    key_id: Option<String>,
    media_type: Option<String>,
    signed: &'t str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The claims of a token whose signature holds. Nothing is said about whom they are for, or when.
#[derive(Debug)]
pub(crate) struct VerifiedClaims {
    claims: Claims,
    algorithm: SigningAlgorithm,
    media_type: Option<String>,
}

impl<'t> Unverified<'t> {
    /// Takes a compact token apart.
    ///
    /// # Errors
    /// Everything in [`JwtError`] that comes before the key.
    pub(crate) fn parse(token: &'t str, allowed: &[SigningAlgorithm]) -> Result<Self, JwtError> {
        if token.len() > MAX_TOKEN {
            return Err(JwtError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::NotCompact)?;
        let (header, payload) = signed.split_once('.').ok_or(JwtError::NotCompact)?;
        let header = parse_object(&decode(header)?).map_err(JwtError::Header)?;
        if let Some(name) = NOT_UNDERSTOOD.into_iter().find(|name| header.contains_key(*name)) {
            return Err(JwtError::NotUnderstood(name));
        }
        let algorithm = text(&header, "alg")?
            .and_then(SigningAlgorithm::parse)
            .filter(|algorithm| allowed.contains(algorithm))
            .ok_or(JwtError::Algorithm)?;
        let key_id = text(&header, "kid")?;
        if key_id.is_some_and(|key_id| key_id.len() > MAX_KEY_ID) {
            return Err(JwtError::Parameter("kid"));
        }
        Ok(Self {
            algorithm,
            key_id: key_id.map(str::to_owned),
            media_type: text(&header, "typ")?.map(str::to_owned),
            signed,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// The `kid` that it names.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Whether newer keys could make a difference after `error`. A bad signature under a known `kid` is final: it
    /// must not make us ask the provider again (R23).
    pub(crate) fn may_need_newer_keys(&self, error: JwtError) -> bool {
        error == JwtError::NoKey || (error == JwtError::Signature && self.key_id.is_none())
    }

    /// Checks the signature, then reads the claims.
    ///
    /// # Errors
    /// [`JwtError::NoKey`], [`JwtError::Signature`], [`JwtError::Claims`].
    pub(crate) fn verify(&self, verifier: &Verifier<'_>) -> Result<VerifiedClaims, JwtError> {
        match verifier {
            Verifier::Published(keys) if !self.algorithm.is_symmetric() => {
                keys.verify(self.key_id(), self.algorithm, self.signed.as_bytes(), &self.signature)?;
            }
            Verifier::Shared(secret) => self.verify_shared(secret)?,
            Verifier::Published(_) => return Err(JwtError::Algorithm),
        }
        let claims = parse_object(&self.payload).map_err(JwtError::Claims)?;
        Ok(VerifiedClaims { claims, algorithm: self.algorithm, media_type: self.media_type.clone() })
    }

    fn verify_shared(&self, secret: &ClientSecret) -> Result<(), JwtError> {
        let algorithm = match self.algorithm {
            SigningAlgorithm::Hs256 => hmac::HMAC_SHA256,
            SigningAlgorithm::Hs384 => hmac::HMAC_SHA384,
            SigningAlgorithm::Hs512 => hmac::HMAC_SHA512,
            _ => return Err(JwtError::Algorithm),
        };
        // An empty key would let anybody sign.
        if secret.expose().is_empty() {
            return Err(JwtError::NoKey);
        }
        let key = hmac::Key::new(algorithm, secret.expose().as_bytes());
        hmac::verify(&key, self.signed.as_bytes(), &self.signature).map_err(|_| JwtError::Signature)
    }
}

impl VerifiedClaims {
    /// The claims.
    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The claims, for keeping.
    pub(crate) fn into_claims(self) -> Claims {
        self.claims
    }

    /// The algorithm of the signature, which also names the hash of `at_hash`.
    pub(crate) fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Whether the header leaves `typ` out or says plain `JWT`. Access and logout tokens have types of their own
    /// (RFC 9068, Back-Channel Logout section 2.4) and are not to be taken for anything else (R17).
    pub(crate) fn is_plain_jwt(&self) -> bool {
        self.media_type.as_deref().is_none_or(|name| name.eq_ignore_ascii_case("JWT"))
    }

    /// Whether the header says `logout+jwt` or, unless that is too little, leaves `typ` out, as providers did before it
    /// was recommended. Not plain `JWT`: that is what ID tokens say.
    pub(crate) fn may_be_logout_token(&self, strict: bool) -> bool {
        match self.media_type.as_deref() {
            Some(name) => name.eq_ignore_ascii_case("logout+jwt"),
            None => !strict,
        }
    }
}

/// The claims of a token that was verified when it was kept, to hold a later one against. Nothing that the signature of
/// the later one does not prove follows from them; where they cannot be read there are none.
pub(crate) fn kept_claims(token: &str) -> Claims {
    let payload = token.split('.').nth(1).and_then(|payload| decode(payload).ok());
    payload.and_then(|payload| parse_object(&payload).ok()).unwrap_or_default()
}

/// Strict base64url: no padding, no white space, no stray bits in the last character. One value has one text.
pub(crate) fn decode(part: &str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::NotCompact)
}

fn text<'h>(header: &'h Claims, name: &'static str) -> Result<Option<&'h str>, JwtError> {
    match header.get(name) {
        None => Ok(None),
        Some(ClaimValue::Text(text)) => Ok(Some(text)),
        Some(_) => Err(JwtError::Parameter(name)),
    }
}

#[cfg(test)]
mod tests;
