//! Keys that sign tokens, and how they are published.
//!
//! I own: RSA signatures by any of JOSE's names, JWKs, and [`SigningKey`], the one key of an honest provider. I may
//! call: `keyring` for nothing but its digest. I never keep a key anywhere: who calls me does.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair as _, RsaEncoding, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text without padding.
pub fn from_b64(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The modulus of an RSA key.
pub fn modulus(key: &RsaKeyPair) -> Vec<u8> {
    key.public_key().modulus().big_endian_without_leading_zero().to_vec()
}

/// The public exponent of an RSA key.
pub fn exponent(key: &RsaKeyPair) -> Vec<u8> {
    key.public_key().exponent().big_endian_without_leading_zero().to_vec()
}

/// The JWK of an RSA key for signatures.
pub fn rsa_jwk(key: &RsaKeyPair, kid: &str, algorithm: &str) -> Value {
    json!({"kty": "RSA", "use": "sig", "kid": kid, "alg": algorithm, "n": b64(modulus(key)), "e": b64(exponent(key))})
}

/// The signature scheme that JOSE calls by this name, if it is one for RSA keys.
pub fn rsa_encoding(algorithm: &str) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        "RS256" => &signature::RSA_PKCS1_SHA256,
        "RS384" => &signature::RSA_PKCS1_SHA384,
        "RS512" => &signature::RSA_PKCS1_SHA512,
        "PS256" => &signature::RSA_PSS_SHA256,
        "PS384" => &signature::RSA_PSS_SHA384,
        "PS512" => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

/// Signs with an RSA key.
///
/// # Errors
/// When the key is too small for the scheme.
pub fn sign_rsa(
    key: &RsaKeyPair,
    encoding: &'static dyn RsaEncoding,
    input: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    let mut out = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), input, &mut out)?;
    Ok(out)
}

/// The key of a provider that signs by RS256.
pub struct SigningKey {
    pair: RsaKeyPair,
    kid: String,
}

impl SigningKey {
    /// A fresh key of 2048 bits.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, Unspecified> {
        RsaKeyPair::generate(KeySize::Rsa2048).map(Self::of)
    }

    /// A key that was kept as PKCS #8.
    pub fn from_pkcs8(der: &[u8]) -> Option<Self> {
        RsaKeyPair::from_pkcs8(der).ok().map(Self::of)
    }

    fn of(pair: RsaKeyPair) -> Self {
        // Named after what it is, so that another key has another name.
        let kid = b64(&crate::keyring::sha256(&modulus(&pair))[..9]);
        Self { pair, kid }
    }

    /// The key to be kept, as PKCS #8.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, Unspecified> {
        Ok(self.pair.as_der()?.as_ref().to_vec())
    }

    /// The name under which it is published.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What the provider publishes.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [rsa_jwk(&self.pair, &self.kid, "RS256")] })
    }

    /// Signs by RS256.
    ///
    /// # Errors
    /// Never with a key of this size; the library does not know.
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, Unspecified> {
        sign_rsa(&self.pair, &signature::RSA_PKCS1_SHA256, input)
    }

    /// Whether this key made the signature.
    pub fn verifies(&self, input: &[u8], signed: &[u8]) -> bool {
        let key = RsaPublicKeyComponents { n: modulus(&self.pair), e: exponent(&self.pair) };
        key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, input, signed).is_ok()
    }
}
