//! Forged tokens (A10, A11, A14), row by row.

use super::*;
use crate::oidc::forge::{Signer, jwks, signed_part};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::KeyPair as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use std::sync::LazyLock;

const RS256: [SigningAlgorithm; 1] = [SigningAlgorithm::Rs256];
const GOOD: &str = r#"{"alg":"RS256","kid":"a"}"#;
const CLAIMS: &str = r#"{"sub":"alice"}"#;

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let encryption = Signer::rsa(1).jwk(r#""kid":"enc","use":"enc""#);
    KeySet::parse(jwks(&[Signer::rsa(0).jwk(r#""kid":"a","alg":"RS256""#), encryption]).as_bytes()).unwrap()
});

fn check(token: &str, allowed: &[SigningAlgorithm]) -> Result<Claims, JwtError> {
    let token = Unverified::parse(token, allowed)?;
    token.verify(&Verifier::Published(&KEYS)).map(VerifiedClaims::into_claims)
}

fn mac(header: &str, key: &[u8]) -> String {
    let signed = signed_part(header, CLAIMS);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[test]
fn a_sound_token_is_believed() {
    assert!(check(&Signer::rsa(0).token(GOOD, CLAIMS), &RS256).unwrap().contains_key("sub"));
}

#[test]
fn a10_forged_algorithms_and_signatures() {
    let good = Signer::rsa(0).token(GOOD, CLAIMS);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let none = |name: &str| format!("{}.", signed_part(&format!(r#"{{"alg":"{name}","kid":"a"}}"#), CLAIMS));
    let other = Signer::rsa(0).token(GOOD, r#"{"sub":"bob"}"#);
    let swapped = |name: &str| {
        let header = format!(r#"{{"alg":"{name}","kid":"a"}}"#);
        format!("{}.{signature}", signed_part(&header, CLAIMS))
    };
    let truncated = &signature[..signature.len() - 2];
    for (name, token, expected) in [
        ("none", none("none"), JwtError::Algorithm),
        ("None", none("None"), JwtError::Algorithm),
        ("nOnE", none("nOnE"), JwtError::Algorithm),
        ("empty alg", none(""), JwtError::Algorithm),
        ("missing alg", Signer::rsa(0).token(r#"{"kid":"a"}"#, CLAIMS), JwtError::Algorithm),
        ("alg is an array", Signer::rsa(0).token(r#"{"alg":["RS256"]}"#, CLAIMS), JwtError::Parameter("alg")),
        (
            "two algs",
            Signer::rsa(0).token(r#"{"alg":"none","alg":"RS256"}"#, CLAIMS),
            JwtError::Header(JsonError::Duplicate),
        ),
        ("none with a signature", swapped("none"), JwtError::Algorithm),
        ("empty signature", format!("{signed}."), JwtError::Signature),
        ("truncated signature", format!("{signed}.{truncated}"), JwtError::Signature),
        (
            "signature of another token",
            format!("{signed}.{}", other.rsplit_once('.').unwrap().1),
            JwtError::Signature,
        ),
        ("RS256 to PS256", swapped("PS256"), JwtError::Algorithm),
        ("RS256 to ES256", swapped("ES256"), JwtError::Algorithm),
        ("RS256 to RS512", swapped("RS512"), JwtError::Algorithm),
        ("another key, same kid", Signer::rsa(1).token(GOOD, CLAIMS), JwtError::Signature),
    ] {
        assert_eq!(check(&token, &RS256), Err(expected), "{name}");
    }
    let both = [SigningAlgorithm::Rs256, SigningAlgorithm::Ps256];
    assert_eq!(check(&swapped("PS256"), &both), Err(JwtError::NoKey), "the key is tied to RS256");
}

#[test]
fn a10_public_material_is_no_shared_secret() {
    let Signer::Rsa(key) = Signer::rsa(0) else { unreachable!() };
    let public = key.public_key();
    let pkcs1 = public.as_ref().to_vec();
    let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(public).unwrap().as_ref().to_vec();
    let pem = |label: &str, der: &[u8], end: &str| {
        let text = STANDARD.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----{end}{}{end}-----END {label}-----", lines.join(end)).into_bytes()
    };
    let with = |mut text: Vec<u8>, end: &str| {
        text.extend_from_slice(end.as_bytes());
        text
    };
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("SPKI PEM", pem("PUBLIC KEY", &spki, "\n")),
        ("SPKI PEM, newline", with(pem("PUBLIC KEY", &spki, "\n"), "\n")),
        ("SPKI PEM, CRLF", with(pem("PUBLIC KEY", &spki, "\r\n"), "\r\n")),
        ("PKCS1 PEM", pem("RSA PUBLIC KEY", &pkcs1, "\n")),
        ("SPKI DER", spki),
        ("PKCS1 DER", pkcs1),
        ("modulus", public.modulus().big_endian_without_leading_zero().to_vec()),
        ("exponent", public.exponent().big_endian_without_leading_zero().to_vec()),
        ("JWK text", Signer::rsa(0).jwk(r#""kid":"a","alg":"RS256""#).into_bytes()),
        ("kty", b"RSA".to_vec()),
        ("alg", b"RS256".to_vec()),
        ("empty", Vec::new()),
        ("client secret", b"a client secret".to_vec()),
    ];
    let secret = ClientSecret::new("a client secret");
    for (name, key) in rows {
        let token = mac(r#"{"alg":"HS256","kid":"a"}"#, &key);
        assert_eq!(check(&token, &RS256), Err(JwtError::Algorithm), "{name}");
        // Not even where a mistake elsewhere would allow both kinds.
        let both = [SigningAlgorithm::Rs256, SigningAlgorithm::Hs256];
        assert_eq!(check(&token, &both), Err(JwtError::Algorithm), "{name}");
        let shared = Unverified::parse(&token, &both).unwrap().verify(&Verifier::Shared(&secret));
        assert_eq!(shared.is_ok(), name == "client secret", "{name}");
    }
    let empty = mac(r#"{"alg":"HS256"}"#, b"");
    let token = Unverified::parse(&empty, &[SigningAlgorithm::Hs256]).unwrap();
    assert_eq!(token.verify(&Verifier::Shared(&ClientSecret::new(""))).err(), Some(JwtError::NoKey));
    let public = Signer::rsa(0).token(GOOD, CLAIMS);
    let token = Unverified::parse(&public, &RS256).unwrap();
    assert_eq!(token.verify(&Verifier::Shared(&secret)).err(), Some(JwtError::Algorithm));
}

#[test]
fn a11_keys_and_places_in_the_header_are_not_looked_at() {
    let evil = Signer::rsa(1);
    let jwk = evil.jwk("");
    for more in [
        format!(r#""jwk":{jwk}"#),
        r#""jwk":"https://evil.example.com/key""#.to_owned(),
        r#""jku":"https://evil.example.com/keys""#.to_owned(),
        r#""x5u":"https://evil.example.com/cert""#.to_owned(),
        r#""x5c":["dHJ1c3RlZA","ZXZpbA"]"#.to_owned(),
        r#""x5t":"ZXZpbA","x5t#S256":"ZXZpbA""#.to_owned(),
    ] {
        let header = format!(r#"{{"alg":"RS256","kid":"a",{more}}}"#);
        assert_eq!(check(&evil.token(&header, CLAIMS), &RS256), Err(JwtError::Signature), "{more}");
        assert!(check(&Signer::rsa(0).token(&header, CLAIMS), &RS256).is_ok(), "{more}");
    }
}

#[test]
fn a11_key_ids_are_names_and_nothing_else() {
    let long = "a".repeat(32 * 1024);
    for (kid, expected) in [
        (r#""https://evil.example.com/keys""#, JwtError::NoKey),
        (r#""{\"kty\":\"oct\",\"k\":\"AA\"}""#, JwtError::NoKey),
        (r#""../../dev/null""#, JwtError::NoKey),
        (r#""' OR 1=1 --""#, JwtError::NoKey),
        (r#""a\u0000""#, JwtError::NoKey),
        (r#""A""#, JwtError::NoKey),
        (r#""""#, JwtError::NoKey),
        (r#""enc""#, JwtError::NoKey),
        ("7", JwtError::Parameter("kid")),
        ("null", JwtError::Parameter("kid")),
        (&format!("\"{long}\""), JwtError::Parameter("kid")),
    ] {
        let header = format!(r#"{{"alg":"RS256","kid":{kid}}}"#);
        for signer in [Signer::rsa(0), Signer::rsa(1)] {
            assert_eq!(check(&signer.token(&header, CLAIMS), &RS256), Err(expected), "{kid:.40}");
        }
    }
}

#[test]
fn r14_a14_headers_that_are_not_understood() {
    for (more, expected) in [
        (r#""crit":["x"],"x":1"#, JwtError::NotUnderstood("crit")),
        (r#""crit":[]"#, JwtError::NotUnderstood("crit")),
        (r#""b64":false,"crit":["b64"]"#, JwtError::NotUnderstood("crit")),
        (r#""b64":false"#, JwtError::NotUnderstood("b64")),
        (r#""b64":true"#, JwtError::NotUnderstood("b64")),
        (r#""zip":"DEF""#, JwtError::NotUnderstood("zip")),
        (r#""enc":"A256GCM""#, JwtError::NotUnderstood("enc")),
        (r#""typ":7"#, JwtError::Parameter("typ")),
    ] {
        let header = format!(r#"{{"alg":"RS256","kid":"a",{more}}}"#);
        assert_eq!(check(&Signer::rsa(0).token(&header, CLAIMS), &RS256), Err(expected), "{more}");
    }
}

#[test]
fn r13_a14_only_one_text_is_a_token() {
    let good = Signer::rsa(0).token(GOOD, CLAIMS);
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    // 256 bytes leave four bits over in the last character; any of them set is another text for the same bytes.
    let stray = format!("{header}.{claims}.{}{}", &signature[..signature.len() - 1], "_");
    for (name, token, expected) in [
        ("nothing", String::new(), JwtError::NotCompact),
        ("two parts", format!("{header}.{claims}"), JwtError::NotCompact),
        ("four parts", format!("{good}.x"), JwtError::NotCompact),
        ("five parts", format!("{header}.a.b.c.d"), JwtError::NotCompact),
        ("padding", format!("{good}=="), JwtError::NotCompact),
        ("line break after", format!("{good}\n"), JwtError::NotCompact),
        ("blank before", format!(" {good}"), JwtError::NotCompact),
        ("standard alphabet", format!("{header}.{claims}.+/+/"), JwtError::NotCompact),
        ("stray bits", stray, JwtError::NotCompact),
        (
            "JSON serialisation",
            format!(r#"{{"payload":"{claims}","signature":"{signature}"}}"#),
            JwtError::NotCompact,
        ),
        ("1 MiB", "a".repeat(1024 * 1024), JwtError::TooLong),
        ("empty header", format!(".{claims}.{signature}"), JwtError::Header(JsonError::Malformed)),
        ("deep header", signed_part(&"[".repeat(10_000), "{}") + ".", JwtError::Header(JsonError::TooDeep)),
        (
            "claims twice",
            Signer::rsa(0).token(GOOD, r#"{"sub":"a","sub":"b"}"#),
            JwtError::Claims(JsonError::Duplicate),
        ),
        ("no claims", Signer::rsa(0).token(GOOD, ""), JwtError::Claims(JsonError::Malformed)),
        ("claims are an array", Signer::rsa(0).token(GOOD, "[]"), JwtError::Claims(JsonError::NotAnObject)),
        (
            "deep claims",
            Signer::rsa(0).token(GOOD, &"[".repeat(10_000)),
            JwtError::Claims(JsonError::TooDeep),
        ),
    ] {
        assert_eq!(check(&token, &RS256), Err(expected), "{name}");
    }
}

#[test]
fn r23_only_unknown_keys_are_worth_asking_for() {
    let named = Signer::rsa(1).token(GOOD, CLAIMS);
    let named = Unverified::parse(&named, &RS256).unwrap();
    assert!(named.may_need_newer_keys(JwtError::NoKey));
    assert!(!named.may_need_newer_keys(JwtError::Signature));
    let nameless = Signer::rsa(1).token(r#"{"alg":"RS256"}"#, CLAIMS);
    let nameless = Unverified::parse(&nameless, &RS256).unwrap();
    assert!(nameless.may_need_newer_keys(JwtError::Signature));
    assert!(!nameless.may_need_newer_keys(JwtError::Claims(JsonError::Malformed)));
}

#[test]
fn symmetric_tokens_of_all_sizes() {
    let secret = ClientSecret::new("a client secret");
    for (name, algorithm, method) in [
        ("HS256", SigningAlgorithm::Hs256, hmac::HMAC_SHA256),
        ("HS384", SigningAlgorithm::Hs384, hmac::HMAC_SHA384),
        ("HS512", SigningAlgorithm::Hs512, hmac::HMAC_SHA512),
    ] {
        let signed = signed_part(&format!(r#"{{"alg":"{name}"}}"#), CLAIMS);
        let tag = hmac::sign(&hmac::Key::new(method, secret.expose().as_bytes()), signed.as_bytes());
        let good = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
        let token = Unverified::parse(&good, &[algorithm]).unwrap();
        assert!(token.verify(&Verifier::Shared(&secret)).is_ok(), "{name}");
        assert!(token.verify(&Verifier::Shared(&ClientSecret::new("another"))).is_err(), "{name}");
    }
}

proptest! {
    #[test]
    fn a46_arbitrary_text_never_panics(text in "[A-Za-z0-9_.=-]{0,200}", bytes in ".{0,60}") {
        prop_assert!(check(&text, &RS256).is_err());
        prop_assert!(check(&bytes, &RS256).is_err());
    }

    #[test]
    fn a46_arbitrary_parts_never_panic(header in ".{0,60}", claims in ".{0,60}", signature in proptest::collection::vec(any::<u8>(), 0..300)) {
        let token = format!("{}.{}", signed_part(&header, &claims), URL_SAFE_NO_PAD.encode(&signature));
        prop_assert!(check(&token, &RS256).is_err());
        let token = format!("{}.{}", signed_part(GOOD, &claims), URL_SAFE_NO_PAD.encode(&signature));
        prop_assert!(check(&token, &RS256).is_err());
    }

    #[test]
    fn a10_no_changed_character_is_believed(at in 0usize..400, to in "[A-Za-z0-9_-]") {
        let good = Signer::rsa(0).token(GOOD, CLAIMS);
        let at = at % good.len();
        let mut changed = good.clone();
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != good);
        prop_assert!(check(&changed, &RS256).is_err());
    }
}
