//! The keys of the scripted provider, and of those who pretend to be it.
//!
//! I own: [`Keys`], drawn once for the process (drawing RSA keys is slow), and signing by every registered algorithm. I
//! may call: the demo provider's keys, for RSA and JWKs. I never check whether a signature makes sense: hostile ones are
//! what I am for.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
pub use keycard::demo::idp::keys::{b64, exponent, modulus, rsa_jwk};
use keycard::demo::idp::keys::{rsa_encoding, sign_rsa};
use serde_json::{Value, json};
use std::sync::OnceLock;

/// All keys. `rsa` signs unless a test says otherwise; `second` and `third` are for rotations; `evil` is nobody's.
pub struct Keys {
    pub rsa: RsaKeyPair,
    pub second: RsaKeyPair,
    pub third: RsaKeyPair,
    pub evil: RsaKeyPair,
    pub p256: EcdsaKeyPair,
    pub p384: EcdsaKeyPair,
    pub p521: EcdsaKeyPair,
    pub ed25519: Ed25519KeyPair,
}

pub fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let rsa = || RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        Keys {
            rsa: rsa(),
            second: rsa(),
            third: rsa(),
            evil: rsa(),
            p256: EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            p384: EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
            p521: EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
        }
    })
}

impl Keys {
    /// Signs by the honest key of `algorithm`; HMAC is keyed with `secret`. `None` for names that mean nothing.
    pub fn sign(&self, algorithm: &str, input: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        Some(match algorithm {
            "ES256" => self.p256.sign(&random, input).unwrap().as_ref().to_vec(),
            "ES384" => self.p384.sign(&random, input).unwrap().as_ref().to_vec(),
            "ES512" => self.p521.sign(&random, input).unwrap().as_ref().to_vec(),
            "EdDSA" | "Ed25519" => self.ed25519.sign(input).as_ref().to_vec(),
            "HS256" => mac(hmac::HMAC_SHA256, secret, input),
            "HS384" => mac(hmac::HMAC_SHA384, secret, input),
            "HS512" => mac(hmac::HMAC_SHA512, secret, input),
            rsa => return rsa_encoding(rsa).map(|encoding| sign_rsa(&self.rsa, encoding, input).unwrap()),
        })
    }

    /// The key set that the provider publishes: a key for each algorithm, and beside them what a careful reader has
    /// to skip: an encryption key, a symmetric key, a kind of key that nobody knows.
    pub fn published(&self) -> Value {
        // Decoys first: other kinds of key under the name of the one that signs (R24). Encryption keys have no `alg`
        // here: only their `use` tells what they are for.
        let encryption = |key, kid| {
            let mut jwk = rsa_jwk(key, kid, "");
            jwk.as_object_mut().unwrap().remove("alg");
            jwk["use"] = json!("enc");
            jwk
        };
        let mut keys = vec![encryption(&self.third, "rs256"), ec_jwk(&self.p384, "rs256", "P-384", "ES384")];
        keys.push(rsa_jwk(&self.rsa, "rs256", "RS256"));
        for algorithm in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
            keys.push(rsa_jwk(&self.rsa, &algorithm.to_lowercase(), algorithm));
        }
        keys.push(ec_jwk(&self.p256, "es256", "P-256", "ES256"));
        keys.push(ec_jwk(&self.p384, "es384", "P-384", "ES384"));
        keys.push(ec_jwk(&self.p521, "es512", "P-521", "ES512"));
        let x = b64(self.ed25519.public_key());
        keys.push(
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "eddsa", "use": "sig", "alg": "EdDSA", "x": x}),
        );
        keys.push(encryption(&self.second, "enc"));
        keys.push(
            json!({"kty": "EC", "crv": "P-256", "kid": "off-curve", "x": b64([1; 32]), "y": b64([1; 32])}),
        );
        keys.push(json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": b64(OCT_KEY)}));
        keys.push(json!({"kty": "XYZ", "kid": "unknown", "what": [1, 2]}));
        json!({ "keys": keys })
    }
}

/// The symmetric key that a careless provider publishes.
pub const OCT_KEY: &[u8] = b"published-symmetric-key-published";

fn ec_jwk(key: &EcdsaKeyPair, kid: &str, curve: &str, algorithm: &str) -> Value {
    let point = key.public_key().as_ref();
    let half = (point.len() - 1) / 2;
    let (x, y) = (b64(&point[1..=half]), b64(&point[1 + half..]));
    json!({"kty": "EC", "crv": curve, "use": "sig", "kid": kid, "alg": algorithm, "x": x, "y": y})
}

/// SubjectPublicKeyInfo in DER.
pub fn spki(key: &RsaKeyPair) -> Vec<u8> {
    AsDer::as_der(key.public_key()).unwrap().as_ref().to_vec()
}

/// RSAPublicKey of PKCS #1 in DER.
pub fn pkcs1(key: &RsaKeyPair) -> Vec<u8> {
    key.public_key().as_ref().to_vec()
}

/// PEM with lines of 64 characters, each ended by `newline`, the last one only if `closed`.
pub fn pem(label: &str, der: &[u8], newline: &str, closed: bool) -> Vec<u8> {
    let text = STANDARD.encode(der);
    let mut lines = vec![format!("-----BEGIN {label}-----")];
    lines.extend(text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()));
    lines.push(format!("-----END {label}-----"));
    let mut pem = lines.join(newline);
    if closed {
        pem.push_str(newline);
    }
    pem.into_bytes()
}

/// RS256 by any RSA key.
pub fn rs256(key: &RsaKeyPair, input: &[u8]) -> Vec<u8> {
    sign_rsa(key, &signature::RSA_PKCS1_SHA256, input).unwrap()
}

/// HS256 by any bytes.
pub fn hs256(key: &[u8], input: &[u8]) -> Vec<u8> {
    mac(hmac::HMAC_SHA256, key, input)
}

/// The padded hash of EMSA-PKCS1-v1_5 (RFC 8017 section 9.2): a "signature" for an RSA key whose exponent is 1.
pub fn padded_hash(input: &[u8], length: usize) -> Vec<u8> {
    let info: [u8; 19] = *b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
    let hash = digest::digest(&digest::SHA256, input);
    let filler = vec![0xff; length - 3 - info.len() - 32];
    [&[0, 1], filler.as_slice(), &[0], &info, hash.as_ref()].concat()
}

fn mac(algorithm: hmac::Algorithm, key: &[u8], input: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), input).as_ref().to_vec()
}
