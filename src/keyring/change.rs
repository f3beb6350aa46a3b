//! Other keys, while the old ones are in use.
//!
//! I own: how the keys of a ring are changed and told apart. I may call: `domain`, my parent. I never leave half of a
//! change: all keys are another ring's from one moment to the next, for every place that shares this one.

use super::{KeyId, KeyRing, Purpose, to_log_name};
use arc_swap::ArcSwap;
use std::fmt;

impl KeyRing {
    /// The keys as they are now, which stay as they are: for steps that fit together only under the same keys.
    pub fn held(&self) -> Self {
        Self(ArcSwap::new(self.0.load_full()))
    }

    /// Takes the keys of another ring in place of its own, in one step.
    pub fn change_to(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    /// The names of the keys, the sealing one first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.0.load().keys().map(|key| key.id).collect()
    }

    /// Whether this is the pseudonym of a person, under whichever key of the ring it was made. For comparisons; in the
    /// log there is only the first.
    pub fn is_log_name(&self, name: &str, issuer: &str, subject: &str) -> bool {
        let names = self.names(Purpose::LogName, &[issuer.as_bytes(), subject.as_bytes()]);
        names.iter().any(|own| to_log_name(own) == name)
    }
}

/// For operators: eight hexadecimal digits. They are derived from the key, and nothing leads back.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::keyring::{CannotOpen, KeyRing, MasterKey, Purpose};

    fn ring(keys: &[&MasterKey]) -> KeyRing {
        KeyRing::new(keys.iter().map(|key| (*key).clone()).collect()).unwrap()
    }

    #[test]
    fn r44_a_change_is_seen_by_all_who_share_the_ring_and_not_by_who_holds_the_old_keys() {
        let (old, new) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let shared = ring(&[&old]);
        let held = shared.held();
        let sealed = shared.seal(Purpose::LoginState, b"s", b"c", b"plain").unwrap();
        shared.change_to(&ring(&[&new, &old]));
        assert_eq!(shared.ids(), [new.id(), old.id()]);
        assert_eq!((shared.sealing_key(), held.sealing_key()), (new.id(), old.id()));
        assert_eq!(shared.open(Purpose::LoginState, b"s", b"c", &sealed).unwrap().0, old.id());
        let fresh = shared.seal(Purpose::LoginState, b"s", b"c", b"plain").unwrap();
        assert_eq!(held.open(Purpose::LoginState, b"s", b"c", &fresh), Err(CannotOpen::UnknownKey));
        shared.change_to(&ring(&[&new]));
        assert!(!shared.has(old.id()) && held.has(old.id()));
    }

    #[test]
    fn r60_a_pseudonym_changes_with_the_first_key_and_is_still_known_under_the_others() {
        let (old, new) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let before = ring(&[&old]).log_name("i", "s");
        let after = ring(&[&new, &old]);
        assert_ne!(after.log_name("i", "s"), before);
        assert!(after.is_log_name(&before, "i", "s") && !after.is_log_name(&before, "i", "t"));
        assert!(!ring(&[&new]).is_log_name(&before, "i", "s"));
    }

    #[test]
    fn the_name_of_a_key_is_hexadecimal_and_no_part_of_it() {
        let key = MasterKey::parse(&"A".repeat(43)).unwrap();
        assert!(key.is_blank() && !MasterKey::generate().unwrap().is_blank());
        let name = key.id().to_string();
        assert!(name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) && name != "00000000");
    }
}
