//! Secrets that cannot be printed or compared by accident.
//!
//! I own: one newtype for each kind of secret. I may call: `secrecy`, `subtle`.
//! I never implement `Debug`, `Display`, `PartialEq` or a wire format on them (style rule 13).

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Takes the secret in; the copy handed over is wiped when this is dropped.
            pub fn new(value: impl Into<String>) -> Self {
                Self(SecretString::from(value.into()))
            }

            /// The secret itself. Every call site is a place where it can leak.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }

            /// Equality whose time does not depend on where the first difference is.
            pub fn matches(&self, other: &str) -> bool {
                self.expose().as_bytes().ct_eq(other.as_bytes()).into()
            }
        }
    };
}

secret!(
    /// An OAuth access token (RFC 6749 section 1.4).
    AccessToken
);
secret!(
    /// An OAuth refresh token (RFC 6749 section 1.5).
    RefreshToken
);
secret!(
    /// An ID token exactly as it was issued, needed byte-identical as `id_token_hint` (R48).
    RawIdToken
);
secret!(
    /// An authorization code (RFC 6749 section 4.1.2).
    AuthorizationCode
);
secret!(
    /// The secret of a confidential client (RFC 6749 section 2.3.1).
    ClientSecret
);
secret!(
    /// The password that an app asks of us (RFC 7617).
    AppPassword
);
secret!(
    /// The PKCE code verifier of one login (RFC 7636 section 4.1).
    PkceVerifier
);
secret!(
    /// The nonce of one login (OpenID Connect Core section 15.5.2).
    Nonce
);
secret!(
    /// The value of the cookie that binds pending logins to one browser.
    Binding
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_is_exact() {
        let nonce = Nonce::new("abc");
        assert!(nonce.matches("abc"));
        assert!(!nonce.matches("abd"));
        assert!(!nonce.matches("ab"));
        assert!(!nonce.matches(""));
    }
}
