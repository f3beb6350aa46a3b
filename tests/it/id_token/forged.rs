//! ID tokens whose signature is not the provider's (A10, A11, A12).
//!
//! I own: rows, and nothing else. "SPKI" and "PKCS1" are the encodings of the provider's public RSA key, which a
//! verifier that mixes up key types would take for an HMAC secret.

use super::Row;
use crate::it::house::provider::forge::Forge;
use crate::it::house::provider::keys::{
    OCT_KEY, b64, exponent, hs256, modulus, padded_hash, pem, pkcs1, rs256, rsa_jwk, spki,
};
use crate::it::house::provider::weak;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn unsigned(f: &mut Forge, algorithm: Value) -> String {
    f.header["alg"] = algorithm;
    f.sign_by(|_| Vec::new())
}

fn hmac(f: &mut Forge, key: &[u8]) -> String {
    f.header["alg"] = json!("HS256");
    f.sign_by(|input| hs256(key, input))
}

fn evil(f: &mut Forge) -> String {
    f.sign_by(|input| rs256(&f.keys.evil, input))
}

/// Swaps in another signature for the one of an honest token.
fn resigned(token: &str, change: impl Fn(&str) -> String) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    format!("{input}.{}", change(signature))
}

pub(in crate::it) const SIGNATURES: &[Row] = &[
    ("a10 oidcc-client-test-idtoken-sig-none", |f| unsigned(f, json!("none"))),
    ("a10 invalid-null-alg None", |f| unsigned(f, json!("None"))),
    ("a10 nOnE", |f| unsigned(f, json!("nOnE"))),
    ("a10 empty alg", |f| unsigned(f, json!(""))),
    ("a10 alg null", |f| unsigned(f, Value::Null)),
    ("a10 alg number", |f| unsigned(f, json!(0))),
    ("a10 alg array", |f| unsigned(f, json!(["RS256"]))),
    ("a10 missing alg", |f| f.with_header("alg", json!(null))),
    ("a10 none with a signature", |f| {
        f.header["alg"] = json!("none");
        f.sign()
    }),
    ("a10 alg in lower case", |f| f.with_header("alg", json!("rs256"))),
    ("a10 oidcc-client-test-invalid-sig-rs256", |f| {
        resigned(&f.sign(), |s| format!("{}{}", if s.starts_with('A') { 'B' } else { 'A' }, &s[1..]))
    }),
    ("a10 empty signature", |f| resigned(&f.sign(), |_| String::new())),
    ("a10 truncated signature", |f| resigned(&f.sign(), |s| s[..s.len() - 8].to_owned())),
    ("a10 longer signature", |f| resigned(&f.sign(), |s| format!("{s}AAAA"))),
    ("a10 zeros for a signature", |f| f.sign_by(|_| vec![0; 256])),
    ("a10 signature of another token", |f| {
        let token = f.sign();
        let other = f.with("sub", json!("mallory"));
        resigned(&other, |_| token.rsplit_once('.').unwrap().1.to_owned())
    }),
    ("a10 signed by somebody else", evil),
    ("a10 signed by somebody else, no kid", |f| {
        f.header.as_object_mut().unwrap().remove("kid");
        evil(f)
    }),
    ("a10 oidcc-client-test-invalid-sig-hs256", |f| hmac(f, b"not the client secret, but as long as one")),
    ("a10 oidcc-client-test-invalid-sig-es256", |f| {
        resigned(&f.by("ES256"), |s| format!("{}{}", if s.starts_with('A') { 'B' } else { 'A' }, &s[1..]))
    }),
    ("a10 RS256 bytes under PS256", |f| {
        f.header["alg"] = json!("PS256");
        f.header["kid"] = json!("ps256");
        f.sign_by(|input| rs256(&f.keys.rsa, input))
    }),
    ("a10 RS256 bytes under RS512", |f| {
        f.header["alg"] = json!("RS512");
        f.header["kid"] = json!("rs512");
        f.sign_by(|input| rs256(&f.keys.rsa, input))
    }),
    ("r24 PS256 under a kid whose key is for RS256", |f| f.with_header("alg", json!("PS256"))),
    ("r24 RS256 under a kid whose key is for PS256", |f| f.with_header("kid", json!("ps256"))),
    ("a10 HS256 by SPKI PEM", |f| {
        let key = pem("PUBLIC KEY", &spki(&f.keys.rsa), "\n", true);
        hmac(f, &key)
    }),
    ("a10 HS256 by SPKI PEM, last newline missing", |f| {
        let key = pem("PUBLIC KEY", &spki(&f.keys.rsa), "\n", false);
        hmac(f, &key)
    }),
    ("a10 HS256 by SPKI PEM, CRLF", |f| {
        let key = pem("PUBLIC KEY", &spki(&f.keys.rsa), "\r\n", true);
        hmac(f, &key)
    }),
    ("a10 HS256 by PKCS1 PEM", |f| {
        let key = pem("RSA PUBLIC KEY", &pkcs1(&f.keys.rsa), "\n", true);
        hmac(f, &key)
    }),
    ("a10 HS256 by SPKI DER", |f| hmac(f, &spki(&f.keys.rsa))),
    ("a10 HS256 by PKCS1 DER", |f| hmac(f, &pkcs1(&f.keys.rsa))),
    ("a10 HS256 by the modulus", |f| hmac(f, &modulus(&f.keys.rsa))),
    ("a10 HS256 by the modulus in base64url", |f| hmac(f, b64(modulus(&f.keys.rsa)).as_bytes())),
    ("a10 HS256 by the exponent", |f| hmac(f, &exponent(&f.keys.rsa))),
    ("a10 HS256 by the JWK", |f| {
        let key = rsa_jwk(&f.keys.rsa, "rs256", "RS256").to_string();
        hmac(f, key.as_bytes())
    }),
    ("a10 HS256 by the kty", |f| hmac(f, b"RSA")),
    ("a10 HS256 by the alg", |f| hmac(f, b"RS256")),
    ("a10 HS256 by nothing", |f| hmac(f, b"")),
    ("a10 HS256 by the client secret", |f| {
        let key = f.client_secret.clone();
        hmac(f, key.as_bytes())
    }),
    ("a10 HS256 by a published symmetric key", |f| {
        f.header["kid"] = json!("oct");
        hmac(f, OCT_KEY)
    }),
];

pub(in crate::it) const HEADER_KEYS: &[Row] = &[
    ("a11 embedded jwk", |f| {
        f.header["jwk"] = rsa_jwk(&f.keys.evil, "rs256", "RS256");
        evil(f)
    }),
    ("a11 embedded jwk, no kid", |f| {
        f.header = json!({"alg": "RS256", "jwk": rsa_jwk(&f.keys.evil, "evil", "RS256")});
        evil(f)
    }),
    ("a11 embedded jwk as a URI", |f| {
        f.header["jwk"] = json!(f.canary);
        evil(f)
    }),
    ("a11 jku", |f| {
        f.header["jku"] = json!(f.canary);
        evil(f)
    }),
    ("a11 jku, unknown kid", |f| {
        f.header["jku"] = json!(f.canary);
        f.header["kid"] = json!("elsewhere");
        evil(f)
    }),
    ("a11 x5u", |f| {
        f.header["x5u"] = json!(f.canary);
        evil(f)
    }),
    ("a11 x5c", |f| {
        f.header["x5c"] = json!([STANDARD.encode(spki(&f.keys.evil))]);
        evil(f)
    }),
    ("a11 x5c, trusted before evil", |f| {
        let chain = [STANDARD.encode(spki(&f.keys.rsa)), STANDARD.encode(spki(&f.keys.evil))];
        f.header["x5c"] = json!(chain);
        evil(f)
    }),
    ("a11 x5c, evil before trusted", |f| {
        let chain = [STANDARD.encode(spki(&f.keys.evil)), STANDARD.encode(spki(&f.keys.rsa))];
        f.header["x5c"] = json!(chain);
        evil(f)
    }),
    ("a11 x5t", |f| {
        f.header["x5t"] = json!(b64([7; 20]));
        evil(f)
    }),
    ("a11 kid is a URL", |f| {
        f.header["kid"] = json!(f.canary);
        evil(f)
    }),
    ("a11 kid is a JWK", |f| {
        f.header["kid"] = json!(rsa_jwk(&f.keys.evil, "evil", "RS256").to_string());
        evil(f)
    }),
    ("a11 kid is a file, HMAC by nothing", |f| {
        f.header["kid"] = json!("../../../../dev/null");
        hmac(f, b"")
    }),
    ("a11 kid is SQL", |f| {
        f.header["kid"] = json!("x' UNION SELECT 'key'; --");
        hmac(f, b"key")
    }),
    // Published under that very name: only its length is wrong.
    ("a11 kid of 300 bytes", |f| f.with_header("kid", json!("k".repeat(300)))),
    ("a11 kid with NUL", |f| {
        f.header["kid"] = json!("rs256\0");
        evil(f)
    }),
    ("a11 kid is a number", |f| f.with_header("kid", json!(256))),
    ("a11 kid is an array", |f| f.with_header("kid", json!(["rs256"]))),
    ("a11 kid of an encryption key, which signs", |f| {
        f.header["kid"] = json!("enc");
        f.sign_by(|input| rs256(&f.keys.second, input))
    }),
    ("a11 the right kid, signed by the encryption key of the same name", |f| {
        f.sign_by(|input| rs256(&f.keys.third, input))
    }),
    ("a11 unknown kid", |f| f.with_header("kid", json!("nobody"))),
];

fn ecdsa(f: &mut Forge, algorithm: &str, signature: &[u8]) -> String {
    f.header["alg"] = json!(algorithm);
    f.header["kid"] = json!(algorithm.to_lowercase());
    f.sign_by(|_| signature.to_vec())
}

pub(in crate::it) const DEGENERATE: &[Row] = &[
    ("a12 ES256 of zeros", |f| ecdsa(f, "ES256", &[0; 64])),
    ("a12 ES384 of zeros", |f| ecdsa(f, "ES384", &[0; 96])),
    ("a12 ES512 of zeros", |f| ecdsa(f, "ES512", &[0; 132])),
    ("a12 ES256, r and s beyond the order", |f| ecdsa(f, "ES256", &[0xff; 64])),
    ("a12 ES256, r and s of one", |f| {
        let mut ones = [0; 64];
        (ones[31], ones[63]) = (1, 1);
        ecdsa(f, "ES256", &ones)
    }),
    ("a12 ES256 as DER", |f| {
        let token = f.by("ES256");
        resigned(&token, |signature| b64(der(&decoded(signature))))
    }),
    ("a12 ES256 truncated", |f| {
        let token = f.by("ES256");
        resigned(&token, |signature| b64(&decoded(signature)[..63]))
    }),
    ("a12 ES256 by the P-384 key", |f| {
        let token = f.by("ES384");
        let signature = decoded(token.rsplit_once('.').unwrap().1);
        f.header["alg"] = json!("ES256");
        f.sign_by(|_| signature.clone())
    }),
    ("a12 ES256 under the kid of the P-384 key", |f| {
        f.header["alg"] = json!("ES256");
        f.with_header("kid", json!("es384"))
    }),
    ("a12 ES384 under the kid of the P-256 key", |f| {
        f.header["alg"] = json!("ES384");
        f.with_header("kid", json!("es256"))
    }),
    ("a12 a key that is on no curve", |f| {
        f.header["alg"] = json!("ES256");
        f.with_header("kid", json!("off-curve"))
    }),
    ("a12 EdDSA of zeros", |f| ecdsa(f, "EdDSA", &[0; 64])),
    ("a12 EdDSA of a point of small order", |f| ecdsa(f, "EdDSA", &weak::NOBODYS_SIGNATURE)),
    ("a12 EdDSA by a key of order 1", |f| nobodys(f, weak::SMALL_ORDER[0])),
    ("a12 EdDSA by a key of order 8", |f| nobodys(f, weak::SMALL_ORDER[1])),
    ("a12 EdDSA, S beyond the order", |f| {
        let token = f.by("EdDSA");
        resigned(&token, |signature| b64(plus_order(decoded(signature))))
    }),
    ("a12 RSA with exponent 1", |f| {
        f.header["kid"] = json!("exponent-1");
        f.sign_by(|input| padded_hash(input, modulus(&f.keys.rsa).len()))
    }),
    ("a12 RSA with exponent 1, no kid", |f| {
        f.header.as_object_mut().unwrap().remove("kid");
        f.sign_by(|input| padded_hash(input, modulus(&f.keys.rsa).len()))
    }),
    ("a12 RSA with exponent 3", |f| {
        f.header["kid"] = json!("exponent-3");
        f.sign_by(|input| weak::exponent_3().sign(input))
    }),
    ("a12 RSA of 512 bits", |f| {
        f.header["kid"] = json!("bits-512");
        f.sign_by(|input| weak::bits_512().sign(input))
    }),
    ("a12 RSA of 1024 bits", |f| {
        f.header["kid"] = json!("bits-1024");
        f.sign_by(|input| weak::bits_1024().sign(input))
    }),
];

/// A token whose signature really holds under a key that nobody has: claims are varied until it does.
fn nobodys(f: &mut Forge, (kid, point): (&str, [u8; 32])) -> String {
    f.header["alg"] = json!("EdDSA");
    f.header["kid"] = json!(kid);
    for attempt in 0..10_000 {
        f.claims["jti"] = json!(attempt);
        if weak::holds(&point, f.input().as_bytes()) {
            return f.sign_by(|_| weak::NOBODYS_SIGNATURE.to_vec());
        }
    }
    panic!("{kid}: no message fits");
}

/// The same Ed25519 signature once more: S plus the order of the group, which a verifier has to refuse
/// (RFC 8032 section 5.1.7).
fn plus_order(mut signature: Vec<u8>) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert_eq!(carry, 0);
    signature
}

fn decoded(signature: &str) -> Vec<u8> {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap()
}

/// `ECDSA-Sig-Value` (RFC 3279 section 2.2.3) for what JWS writes as two numbers side by side.
fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let mut bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        if bytes.first().is_none_or(|first| first & 0x80 != 0) {
            bytes.insert(0, 0);
        }
        [&[2, u8::try_from(bytes.len()).unwrap()], bytes.as_slice()].concat()
    };
    let (r, s) = raw.split_at(raw.len() / 2);
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}
