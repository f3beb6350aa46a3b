//! A provider's published keys, and signatures checked with them.
//!
//! I own: [`KeySet`], the choice of a key, and the signature primitives. I may call: `json`, `jwt` (its errors),
//! `domain`. I never let one bad key spoil a set, and never use a weak one (R23, R24, A12).

use crate::domain::algorithm::SigningAlgorithm;
use crate::domain::claim::{ClaimValue, Claims};
use crate::oidc::json::{JsonError, parse_object};
use crate::oidc::jwt::{JwtError, decode};
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};

/// How many keys of a set are kept. A provider that publishes more is rotating very fast, or is not itself (A18).
const MAX_KEYS: usize = 100;

/// How many keys one token is tried with. Several fit only where the token names none (R23).
const MAX_TRIES: usize = 8;

/// Moduli that are used, in bits. Below, they can be factored; above, checking them is a denial of service.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The usable keys of a JWK set (RFC 7517 section 5).
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// `alg`, if the key is tied to one; `Some(None)` when it is tied to something that is no signature of ours.
    tied_to: Option<Option<SigningAlgorithm>>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(ParsedPublicKey),
    P384(ParsedPublicKey),
    P521(ParsedPublicKey),
    Ed25519(ParsedPublicKey),
}

impl KeySet {
    /// Parses a JWK set. Keys that cannot be used are left out; private members are not looked at.
    ///
    /// # Errors
    /// [`JsonError`] when it is no JSON object with an array `keys` of objects.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, JsonError> {
        let set = parse_object(text)?;
        let Some(ClaimValue::List(keys)) = set.get("keys") else { return Err(JsonError::NotAnObject) };
        let usable = keys.iter().filter_map(|key| match key {
            ClaimValue::Map(members) => Key::parse(members),
            _ => None,
        });
        Ok(Self { keys: usable.take(MAX_KEYS).collect() })
    }

    /// How many keys can be used.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is a key for any of these algorithms.
    pub(crate) fn serves(&self, algorithms: &[SigningAlgorithm]) -> bool {
        algorithms.iter().any(|algorithm| self.keys.iter().any(|key| key.fits(*algorithm)))
    }

    /// Checks a signature with the keys that fit: by `kid` if the token names one, and by type, curve, use and
    /// algorithm always, so that decoys with the same `kid` are passed over (R24).
    ///
    /// # Errors
    /// [`JwtError::NoKey`] when none fits, [`JwtError::Signature`] when it holds under none that does.
    pub(crate) fn verify(
        &self,
        key_id: Option<&str>,
        algorithm: SigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), JwtError> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key_id.is_none() || key.id.as_deref() == key_id)
            .filter(|key| key.fits(algorithm))
            .take(MAX_TRIES)
            .peekable();
        if fitting.peek().is_none() {
            return Err(JwtError::NoKey);
        }
        let holds = fitting.any(|key| key.material.verify(algorithm, message, signature));
        if holds { Ok(()) } else { Err(JwtError::Signature) }
    }
}

impl Key {
    fn parse(members: &Claims) -> Option<Self> {
        let for_signatures = match members.get("use") {
            None => true,
            Some(purpose) => purpose.as_text() == Some("sig"),
        };
        let for_verifying = match members.get("key_ops") {
            None => true,
            Some(ClaimValue::List(uses)) => uses.iter().any(|one| one.as_text() == Some("verify")),
            Some(_) => false,
        };
        if !for_signatures || !for_verifying {
            return None;
        }
        let id = match members.get("kid") {
            None => None,
            Some(id) => Some(id.as_text()?.to_owned()),
        };
        let tied_to = match members.get("alg") {
            None => None,
            Some(name) => Some(SigningAlgorithm::parse(name.as_text()?)),
        };
        Some(Self { id, tied_to, material: Material::parse(members)? })
    }

    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        self.tied_to.is_none_or(|tied_to| tied_to == Some(algorithm)) && self.material.fits(algorithm)
    }
}

impl Material {
    fn parse(members: &Claims) -> Option<Self> {
        let text = |name: &str| members.get(name).and_then(ClaimValue::as_text);
        let bytes = |name: &str| decode(text(name)?).ok();
        match (text("kty")?, text("crv")) {
            ("RSA", _) => Self::rsa(&bytes("n")?, &bytes("e")?),
            ("EC", Some("P-256")) => {
                ec_key(&signature::ECDSA_P256_SHA256_FIXED, 32, bytes("x")?, bytes("y")?).map(Self::P256)
            }
            ("EC", Some("P-384")) => {
                ec_key(&signature::ECDSA_P384_SHA384_FIXED, 48, bytes("x")?, bytes("y")?).map(Self::P384)
            }
            ("EC", Some("P-521")) => {
                ec_key(&signature::ECDSA_P521_SHA512_FIXED, 66, bytes("x")?, bytes("y")?).map(Self::P521)
            }
            ("OKP", Some("Ed25519")) => ed25519_key(&bytes("x")?).map(Self::Ed25519),
            _ => None,
        }
    }

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
        let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        // Exponents 1 and 3 make forging easy or padding mistakes fatal (A12); beyond 32 bits they only cost time.
        let large_enough = exponent.len() > 1 || exponent.first().is_some_and(|e| *e > 3);
        let sound =
            RSA_BITS.contains(&bits) && odd(modulus) && odd(exponent) && large_enough && exponent.len() <= 4;
        sound.then(|| Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        use SigningAlgorithm::{EdDsa, Es256, Es384, Es512};
        match self {
            Self::Rsa { .. } => rsa_parameters(algorithm).is_some(),
            Self::P256(_) => algorithm == Es256,
            Self::P384(_) => algorithm == Es384,
            Self::P521(_) => algorithm == Es512,
            Self::Ed25519(_) => algorithm == EdDsa,
        }
    }

    /// Only called with an algorithm that fits: each curve's key is bound to its one algorithm.
    fn verify(&self, algorithm: SigningAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { modulus, exponent } => rsa_parameters(algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n: modulus, e: exponent }
                    .verify(parameters, message, signature)
                    .is_ok()
            }),
            Self::P256(key) | Self::P384(key) | Self::P521(key) | Self::Ed25519(key) => {
                key.verify_sig(message, signature).is_ok()
            }
        }
    }
}

fn rsa_parameters(algorithm: SigningAlgorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        SigningAlgorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SigningAlgorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        SigningAlgorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        SigningAlgorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        SigningAlgorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        SigningAlgorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// Some providers write a sign byte before the modulus, against RFC 7518 section 6.3.1.1; it changes nothing.
fn without_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

/// A point in the uncompressed form of SEC 1. Parsing checks that it lies on the curve.
fn ec_key(
    algorithm: &'static signature::EcdsaVerificationAlgorithm,
    size: usize,
    x: Vec<u8>,
    y: Vec<u8>,
) -> Option<ParsedPublicKey> {
    if x.len() != size || y.len() != size {
        return None;
    }
    ParsedPublicKey::new(algorithm, [[4].as_slice(), &x, &y].concat()).ok()
}

/// A key of small order verifies signatures that nobody made, and aws-lc does not ask (A12). These are all of them,
/// without the sign bit, with the two spellings beyond the field's prime.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    with_ends(1, 0, 0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    with_ends(0xec, 0xff, 0x7f),
    with_ends(0xed, 0xff, 0x7f),
    with_ends(0xee, 0xff, 0x7f),
];

const fn with_ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut point = [middle; 32];
    point[0] = first;
    point[31] = last;
    point
}

fn ed25519_key(point: &[u8]) -> Option<ParsedPublicKey> {
    let mut unsigned: [u8; 32] = point.try_into().ok()?;
    unsigned[31] &= 0x7f;
    if SMALL_ORDER.contains(&unsigned) {
        return None;
    }
    ParsedPublicKey::new(&signature::ED25519, point).ok()
}

#[cfg(test)]
mod tests;
