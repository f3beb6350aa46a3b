//! The signature algorithms that Keycard knows.
//!
//! I own: [`SigningAlgorithm`]. I may call: nothing. I never know `none`: there is no such variant.

/// A JWS signature algorithm (RFC 7518 section 3.1, RFC 8037, RFC 9864).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the registered name")]
pub enum SigningAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    /// `EdDSA` with Ed25519, also under its fully-specified name `Ed25519` (RFC 9864).
    EdDsa,
    Hs256,
    Hs384,
    Hs512,
}

impl SigningAlgorithm {
    /// The algorithm that a registered name means, compared exactly.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            _ => return None,
        })
    }

    /// Whether this is keyed with a shared secret; such an algorithm is only ever used alone (R13).
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a10_none_is_no_algorithm_in_any_spelling() {
        for name in ["none", "None", "nOnE", "", "RS1", "rs256", "RS256 ", "HS256\0"] {
            assert_eq!(SigningAlgorithm::parse(name), None, "{name:?}");
        }
        assert_eq!(SigningAlgorithm::parse("Ed25519"), Some(SigningAlgorithm::EdDsa));
    }
}
