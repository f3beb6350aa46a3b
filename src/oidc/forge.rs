//! Test props: keys that sign, tokens good and bad, settings, a clock with a hand on it.
//!
//! I own: what the tests of this room share. I may call: everything in it. I am never part of the program.

use crate::config::{ClientAuth, ProviderSettings};
use crate::domain::algorithm::SigningAlgorithm;
use crate::domain::identity::{Issuer, ProviderId};
use crate::domain::login::{
    BindingMark, CallbackParams, LoginId, PendingLogin, ProvenCallback, Requested, ResponseRules,
};
use crate::domain::return_to::ReturnTo;
use crate::domain::secret::{ClientSecret, Nonce, PkceVerifier};
use crate::domain::time::Timestamp;
use crate::ports::Clock;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The second at which these tests play.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn at(second: u64) -> Self {
        Self(AtomicU64::new(second * 1000))
    }

    pub(crate) fn set(&self, second: u64) {
        self.0.store(second * 1000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }

    fn until(&self, _moment: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

pub(crate) fn settings(issuer: &str) -> ProviderSettings {
    ProviderSettings {
        id: ProviderId::parse("corp").unwrap(),
        issuer: Issuer::new(issuer),
        client_id: "keycard".into(),
        client_secret: ClientSecret::new("a client secret"),
        client_auth: ClientAuth::SecretBasic,
        scopes: vec!["openid".into(), "email".into()],
        algorithms: vec![SigningAlgorithm::Rs256],
        endpoint_hosts: Vec::new(),
        userinfo: false,
        requested: Requested::default(),
        extra_params: Vec::new(),
        clock_skew: Duration::from_secs(30),
        timeout: Duration::from_secs(5),
        refresh_before: Duration::from_secs(60),
        ca_pem: None,
        http_proxy: None,
        id_token_hint: true,
        strict_typ: false,
    }
}

pub(crate) fn pending() -> PendingLogin {
    PendingLogin {
        id: LoginId([1; 16]),
        provider: ProviderId::parse("corp").unwrap(),
        origin: "https://apps.example.com".into(),
        return_to: ReturnTo::root(),
        started: Timestamp::from_unix_seconds(NOW),
        binding: BindingMark([7; 16]),
        started_from: None,
        attempt: 0,
        requested: Requested::default(),
    }
}

/// A callback that went through every step of the domain.
pub(crate) fn proven(code: &str, nonce: &str) -> ProvenCallback {
    let params = CallbackParams::read([("code".into(), code.to_owned().into())].into_iter()).unwrap();
    let rules = ResponseRules { issuer: Issuer::new("https://idp.example.com"), iss_required: false };
    let bound = pending().bind(Some(BindingMark([7; 16])), Timestamp::from_unix_seconds(NOW)).unwrap();
    let verifier = PkceVerifier::new("v".repeat(43));
    bound.claim(true).unwrap().prove(params, &rules, Nonce::new(nonce), verifier).unwrap()
}

/// A key pair that signs tokens.
pub(crate) enum Signer {
    Rsa(Arc<RsaKeyPair>),
    Ec(EcdsaKeyPair, &'static str),
    Ed25519(Ed25519KeyPair),
}

static RSA: LazyLock<[Arc<RsaKeyPair>; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| Arc::new(RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap()))
});

impl Signer {
    /// One of two RSA keys of 2048 bits, made once.
    pub(crate) fn rsa(which: usize) -> Self {
        Self::Rsa(Arc::clone(&RSA[which]))
    }

    pub(crate) fn p256() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), "P-256")
    }

    pub(crate) fn p384() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(), "P-384")
    }

    pub(crate) fn p521() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING).unwrap(), "P-521")
    }

    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    /// The public key as a JWK, with further members such as `"kid":"a"`.
    pub(crate) fn jwk(&self, more: &str) -> String {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let comma = if more.is_empty() { "" } else { "," };
        let key = match self {
            Self::Rsa(key) => {
                let n = b64(key.public_key().modulus().big_endian_without_leading_zero());
                let e = b64(key.public_key().exponent().big_endian_without_leading_zero());
                format!(r#""kty":"RSA","n":"{n}","e":"{e}""#)
            }
            Self::Ec(key, curve) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                format!(r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#, b64(x), b64(y))
            }
            Self::Ed25519(key) => {
                format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, b64(key.public_key().as_ref()))
            }
        };
        format!("{{{key}{comma}{more}}}")
    }

    /// A compact token over these very bytes.
    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        let signed = signed_part(header, claims);
        let signature = self.sign(header, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn sign(&self, header: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let padding: &'static dyn RsaEncoding = match header {
                    header if header.contains("RS384") => &signature::RSA_PKCS1_SHA384,
                    header if header.contains("RS512") => &signature::RSA_PKCS1_SHA512,
                    header if header.contains("PS256") => &signature::RSA_PSS_SHA256,
                    header if header.contains("PS384") => &signature::RSA_PSS_SHA384,
                    header if header.contains("PS512") => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(key, _) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

/// Header and claims, encoded and joined: what a signature is over.
pub(crate) fn signed_part(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// A JWK set.
pub(crate) fn jwks(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}
