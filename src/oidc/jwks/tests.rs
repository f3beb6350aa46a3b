//! Keys good, bad and confusing (R23, R24, A12, A18).

use super::*;
use crate::oidc::forge::{Signer, jwks};
use crate::oidc::jwt::{Unverified, Verifier};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

const ALL: [SigningAlgorithm; 10] = [
    SigningAlgorithm::Rs256,
    SigningAlgorithm::Rs384,
    SigningAlgorithm::Rs512,
    SigningAlgorithm::Ps256,
    SigningAlgorithm::Ps384,
    SigningAlgorithm::Ps512,
    SigningAlgorithm::Es256,
    SigningAlgorithm::Es384,
    SigningAlgorithm::Es512,
    SigningAlgorithm::EdDsa,
];

fn set(keys: &[String]) -> KeySet {
    KeySet::parse(jwks(keys).as_bytes()).unwrap()
}

fn check(keys: &KeySet, token: &str) -> Result<(), JwtError> {
    Unverified::parse(token, &ALL)?.verify(&Verifier::Published(keys)).map(drop)
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn every_algorithm_verifies_with_its_own_kind_of_key_only() {
    let keys = set(&[
        Signer::rsa(0).jwk(r#""kid":"k""#),
        Signer::rsa(1).jwk(r#""kid":"other""#),
        Signer::p256().jwk(r#""kid":"k""#),
    ]);
    for name in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let header = format!(r#"{{"alg":"{name}","kid":"k"}}"#);
        assert_eq!(check(&keys, &Signer::rsa(0).token(&header, "{}")), Ok(()), "{name}");
        assert_eq!(check(&keys, &Signer::rsa(1).token(&header, "{}")), Err(JwtError::Signature), "{name}");
    }
    for (name, signer) in [
        ("ES256", Signer::p256()),
        ("ES384", Signer::p384()),
        ("ES512", Signer::p521()),
        ("EdDSA", Signer::ed25519()),
        ("Ed25519", Signer::ed25519()),
    ] {
        let token = signer.token(&format!(r#"{{"alg":"{name}","kid":"k"}}"#), "{}");
        assert_eq!(check(&set(&[signer.jwk(r#""kid":"k""#)]), &token), Ok(()), "{name}");
        let tied = signer.jwk(&format!(r#""kid":"k","alg":"{name}","use":"sig","key_ops":["verify"]"#));
        assert_eq!(check(&set(&[tied]), &token), Ok(()), "{name}");
        assert_eq!(
            check(&set(&[Signer::rsa(0).jwk(r#""kid":"k""#)]), &token),
            Err(JwtError::NoKey),
            "{name}"
        );
    }
    let eddsa = Signer::ed25519();
    let token = eddsa.token(r#"{"alg":"EdDSA"}"#, "{}");
    assert_eq!(check(&set(&[eddsa.jwk(r#""alg":"Ed25519""#)]), &token), Ok(()), "RFC 9864");
}

#[test]
fn r24_equal_kids_are_told_apart() {
    let (rsa, p256, p384) = (Signer::rsa(0), Signer::p256(), Signer::p384());
    let keys = set(&[
        Signer::rsa(1).jwk(r#""kid":"k","use":"enc""#),
        Signer::rsa(1).jwk(r#""kid":"k","alg":"RS512""#),
        Signer::rsa(1).jwk(r#""kid":"k","alg":"RSA-OAEP""#),
        Signer::rsa(1).jwk(r#""kid":"k","key_ops":["encrypt"]"#),
        p384.jwk(r#""kid":"k""#),
        p256.jwk(r#""kid":"k","alg":"ES256""#),
        rsa.jwk(r#""kid":"k","alg":"RS256""#),
    ]);
    for (signer, name) in [(&rsa, "RS256"), (&p256, "ES256"), (&p384, "ES384")] {
        assert_eq!(
            check(&keys, &signer.token(&format!(r#"{{"alg":"{name}","kid":"k"}}"#), "{}")),
            Ok(()),
            "{name}"
        );
    }
    let token = Signer::rsa(1).token(r#"{"alg":"RS256","kid":"k"}"#, "{}");
    assert_eq!(check(&keys, &token), Err(JwtError::Signature), "decoys are not tried");
}

#[test]
fn r23_without_kid_all_that_fit_are_tried_up_to_eight() {
    let token = Signer::rsa(0).token(r#"{"alg":"RS256"}"#, "{}");
    let own = Signer::rsa(0).jwk(r#""kid":"k""#);
    let decoy = Signer::rsa(1).jwk(r#""kid":"d""#);
    let before = |count: usize| {
        let mut keys = vec![Signer::p256().jwk(""); 20];
        keys.extend(vec![decoy.clone(); count]);
        keys.push(own.clone());
        set(&keys)
    };
    assert_eq!(check(&before(0), &token), Ok(()));
    assert_eq!(check(&before(7), &token), Ok(()));
    assert_eq!(check(&before(8), &token), Err(JwtError::Signature));
    let named = Signer::rsa(0).token(r#"{"alg":"RS256","kid":"k"}"#, "{}");
    assert_eq!(check(&set(&[Signer::rsa(0).jwk("")]), &named), Err(JwtError::NoKey), "a key without kid");
}

#[test]
fn r23_unusable_keys_are_passed_over() {
    let good = Signer::rsa(0).jwk(r#""kid":"k""#);
    let token = Signer::rsa(0).token(r#"{"alg":"RS256","kid":"k"}"#, "{}");
    for bad in [
        "7",
        "null",
        "{}",
        r#"{"kty":"oct","k":"AAAA","kid":"k"}"#,
        r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"k"}"#,
        r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","kid":"k"}"#,
        r#"{"kty":"OKP","crv":"Ed448","x":"AA","kid":"k"}"#,
        r#"{"kty":"RSA","kid":"k"}"#,
        r#"{"kty":"RSA","n":"!","e":"AQAB","kid":"k"}"#,
        r#"{"kty":["RSA"],"kid":"k"}"#,
        r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#,
    ] {
        let keys = set(&[bad.to_owned(), good.clone()]);
        assert_eq!((keys.len(), check(&keys, &token)), (1, Ok(())), "{bad}");
    }
    let private = Signer::rsa(0).jwk(r#""kid":"k","d":"AA","p":7"#);
    assert_eq!(check(&set(&[private]), &token), Ok(()), "private members are not looked at");
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "<html>"] {
        assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a18_a_hundred_keys_are_enough() {
    let keys = set(&vec![Signer::rsa(0).jwk(""); 5000]);
    assert_eq!(keys.len(), 100);
}

#[test]
fn a12_weak_rsa_keys_are_not_used() {
    let key = |bytes: usize, first: u8, last: u8, e: &[u8]| {
        let mut n = vec![0xff; bytes];
        n[0] = first;
        n[bytes - 1] = last;
        set(&[format!(r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#, b64(&n), b64(e))]).len()
    };
    let f4 = [1, 0, 1];
    assert_eq!(key(256, 0x80, 1, &f4), 1, "2048 bits");
    assert_eq!(key(1024, 0xff, 1, &f4), 1, "8192 bits");
    assert_eq!(key(257, 0, 1, &[0, 1, 0, 1]), 1, "leading zeros count for nothing");
    for (name, usable) in [
        ("512 bits", key(64, 0xff, 1, &f4)),
        ("2047 bits", key(256, 0x7f, 1, &f4)),
        ("2040 bits with a zero before", key(256, 0, 1, &f4)),
        ("8193 bits", key(1025, 1, 1, &f4)),
        ("even modulus", key(256, 0xff, 2, &f4)),
        ("e = 0", key(256, 0xff, 1, &[0])),
        ("e = 1", key(256, 0xff, 1, &[1])),
        ("e = 2", key(256, 0xff, 1, &[2])),
        ("e = 3", key(256, 0xff, 1, &[3])),
        ("e = 3 with zeros before", key(256, 0xff, 1, &[0, 0, 3])),
        ("even e", key(256, 0xff, 1, &[1, 0, 0])),
        ("e beyond 32 bits", key(256, 0xff, 1, &[1, 0, 0, 0, 1])),
        ("no e", key(256, 0xff, 1, &[])),
    ] {
        assert_eq!(usable, 0, "{name}");
    }
}

/// The order of P-256's group.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn a12_ecdsa_signatures_that_are_no_numbers() {
    let signer = Signer::p256();
    let keys = set(&[signer.jwk(r#""kid":"k""#)]);
    let good = signer.token(r#"{"alg":"ES256","kid":"k"}"#, "{}");
    assert_eq!(check(&keys, &good), Ok(()));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let raw = decode(signature).unwrap();
    let (r, s) = raw.split_at(32);
    let der = [[0x30, 68, 0x02, 32].as_slice(), r, &[0x02, 32], s].concat();
    for (name, signature) in [
        ("r = s = 0", vec![0; 64]),
        ("r = 0", [&[0; 32], s].concat()),
        ("s = 0", [r, &[0; 32]].concat()),
        ("r = n", [&P256_ORDER, s].concat()),
        ("s = n", [r, &P256_ORDER].concat()),
        ("r and s all ones", vec![0xff; 64]),
        ("DER", der),
        ("too short", raw[..63].to_vec()),
        ("too long", [raw.as_slice(), &[0]].concat()),
        ("nothing", Vec::new()),
    ] {
        assert_eq!(
            check(&keys, &format!("{signed}.{}", b64(&signature))),
            Err(JwtError::Signature),
            "{name}"
        );
    }
}

#[test]
fn a12_points_off_the_curve_and_of_small_order_are_not_used() {
    let ec = |x: &[u8], y: &[u8]| {
        set(&[format!(r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#, b64(x), b64(y))]).len()
    };
    assert_eq!(ec(&[1; 32], &[1; 32]), 0, "off the curve");
    assert_eq!(ec(&[0; 32], &[0; 32]), 0, "zero");
    assert_eq!(ec(&[1; 31], &[1; 33]), 0, "sizes");
    let p384 = Signer::p384().jwk("").replace("P-384", "P-256");
    assert_eq!(set(&[p384]).len(), 0, "a point of another curve");
    let okp = |x: &[u8]| set(&[format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, b64(x))]).len();
    for point in SMALL_ORDER {
        let mut negative = point;
        negative[31] |= 0x80;
        assert_eq!((okp(&point), okp(&negative)), (0, 0), "{point:02x?}");
    }
    assert_eq!(okp(&[9; 31]), 0, "too short");
}

proptest! {
    #[test]
    fn a46_arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = KeySet::parse(&bytes);
    }

    #[test]
    fn a46_arbitrary_members_never_panic(
        kty in "(RSA|EC|OKP|oct|.{0,3})",
        crv in "(P-256|P-384|P-521|Ed25519|.{0,3})",
        one in "[A-Za-z0-9_-]{0,90}",
        two in "[A-Za-z0-9_-]{0,90}",
    ) {
        let members = serde_json::json!({"kty": kty, "crv": crv, "x": one, "y": two, "n": one, "e": two});
        let keys = KeySet::parse(format!(r#"{{"keys":[{members}]}}"#).as_bytes()).unwrap();
        prop_assert!(keys.len() <= 1);
    }
}
