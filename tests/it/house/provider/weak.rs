//! Keys that a provider should not have, with signatures that hold under them: whoever accepts one has no rule
//! against the key (A12).
//!
//! I own: [`OpensslKey`] for RSA keys that aws-lc refuses to sign with, and Ed25519 points of small order. I may call:
//! the program `openssl`. Where it is missing the tests fail, they do not skip.

use super::keys::{Keys, b64, rsa_jwk};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// An RSA key in a file that only `openssl` reads.
pub struct OpensslKey {
    file: PathBuf,
    modulus: Vec<u8>,
    exponent: u8,
}

/// RSA with exponent 3, where one padding mistake is a forgery.
pub fn exponent_3() -> &'static OpensslKey {
    static KEY: OnceLock<OpensslKey> = OnceLock::new();
    KEY.get_or_init(|| OpensslKey::make("exponent-3", &["-3", "2048"], 3))
}

/// RSA that anybody can factor in a day.
pub fn bits_512() -> &'static OpensslKey {
    static KEY: OnceLock<OpensslKey> = OnceLock::new();
    KEY.get_or_init(|| OpensslKey::make("bits-512", &["512"], 0))
}

/// RSA that some can factor.
pub fn bits_1024() -> &'static OpensslKey {
    static KEY: OnceLock<OpensslKey> = OnceLock::new();
    KEY.get_or_init(|| OpensslKey::make("bits-1024", &["1024"], 0))
}

impl OpensslKey {
    /// `exponent` 0 is openssl's usual 65537.
    fn make(name: &str, arguments: &[&str], exponent: u8) -> Self {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("weak-{name}.pem"));
        let path = file.to_str().unwrap();
        openssl(&[&["genrsa", "-out", path], arguments].concat(), b"");
        let modulus = String::from_utf8(openssl(&["rsa", "-in", path, "-noout", "-modulus"], b"")).unwrap();
        let digits = modulus.trim().strip_prefix("Modulus=").unwrap().to_owned();
        let modulus = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let modulus = modulus.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        Self { file, modulus, exponent }
    }

    /// RS256.
    pub fn sign(&self, input: &[u8]) -> Vec<u8> {
        openssl(&["dgst", "-sha256", "-sign", self.file.to_str().unwrap()], input)
    }

    fn jwk(&self, kid: &str) -> Value {
        let exponent = if self.exponent == 0 { vec![1, 0, 1] } else { vec![self.exponent] };
        json!({"kty": "RSA", "use": "sig", "kid": kid, "alg": "RS256", "n": b64(&self.modulus), "e": b64(exponent)})
    }
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut process = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need the program openssl");
    process.stdin.take().unwrap().write_all(input).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}

/// Points of order 1 and 8 on the curve of Ed25519: "public keys" without a private one.
pub const SMALL_ORDER: [(&str, [u8; 32]); 2] = [("order-1", IDENTITY), ("order-8", ORDER_8)];

const IDENTITY: [u8; 32] = {
    let mut point = [0; 32];
    point[0] = 1;
    point
};

const ORDER_8: [u8; 32] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
    0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];

/// R is the neutral point and S zero: it holds for every message whose hash is a multiple of the key's order.
pub const NOBODYS_SIGNATURE: [u8; 64] = {
    let mut signature = [0; 64];
    signature[0] = 1;
    signature
};

/// Whether aws-lc, which does not look at the key's order, takes [`NOBODYS_SIGNATURE`] for this message.
pub fn holds(point: &[u8], input: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, point).verify(input, &NOBODYS_SIGNATURE).is_ok()
}

/// What a provider would publish of them, each under its own name.
pub fn published(keys: &Keys) -> Vec<Value> {
    let mut one = rsa_jwk(&keys.rsa, "exponent-1", "RS256");
    one["e"] = json!(b64([1]));
    let mut all =
        vec![one, exponent_3().jwk("exponent-3"), bits_512().jwk("bits-512"), bits_1024().jwk("bits-1024")];
    for (kid, point) in SMALL_ORDER {
        all.push(json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "EdDSA", "x": b64(point)}));
    }
    all
}
