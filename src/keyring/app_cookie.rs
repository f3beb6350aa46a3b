//! The seals on an app's cookies.
//!
//! I own: what such a seal is made of. I may call: `domain`, and my parent's keyed names. I never compare seals with `==`.

use super::{KeyRing, Purpose, to_handle};
use crate::domain::identity::Identity;
use crate::domain::origin::Origin;
use subtle::ConstantTimeEq as _;

impl KeyRing {
    /// The seal on an app's cookie: it says for whom, and at which origin of ours, the app has set this very value, and
    /// says it to nobody but us. 128 bits in base64url.
    pub fn app_cookie_seal(
        &self,
        origin: &Origin,
        person: Option<&Identity>,
        name: &[u8],
        value: &[u8],
    ) -> String {
        let [whose, issuer, subject] = whose(person);
        let here = origin.authority().as_bytes();
        to_handle(&self.name(Purpose::AppCookie, &[here, whose, issuer, subject, name, value]))
    }

    /// Whether a seal is the one of this person at this origin, under whichever key of the ring it was made.
    pub fn is_app_cookie_seal(
        &self,
        seal: &[u8],
        origin: &Origin,
        person: Option<&Identity>,
        name: &[u8],
        value: &[u8],
    ) -> bool {
        let [whose, issuer, subject] = whose(person);
        let here = origin.authority().as_bytes();
        let names = self.names(Purpose::AppCookie, &[here, whose, issuer, subject, name, value]);
        // All of them are compared, each in constant time.
        names.iter().fold(false, |found, name| found | bool::from(to_handle(name).as_bytes().ct_eq(seal)))
    }
}

/// A person for a seal; somebody whose issuer and subject are empty is still not nobody.
fn whose(person: Option<&Identity>) -> [&[u8]; 3] {
    match person {
        Some(person) => [b"person", person.issuer.as_str().as_bytes(), person.subject.as_str().as_bytes()],
        None => [b"nobody", b"", b""],
    }
}
