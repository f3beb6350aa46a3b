//! The `state` of a login: sealed, so that nothing has to be kept on the server.
//!
//! I own: the wire form of a [`PendingLogin`] and its length. I may call: `domain`, `keyring`.
//! I never accept what does not open: a state is ours or it is nothing.

use crate::domain::identity::ProviderId;
use crate::domain::login::{BindingMark, LoginId, PendingLogin, Requested};
use crate::domain::return_to::ReturnTo;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::{KeyId, KeyRing, NoRandomness, Purpose};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// The longest `state` in characters. Providers and proxies differ in what they carry; this passes everywhere.
pub(super) const MAX_LENGTH: usize = 1024;

/// The wire form; short names, since it travels in a URL.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    p: String,
    o: String,
    r: String,
    t: u64,
    b: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    s: Option<String>,
    #[serde(skip_serializing_if = "is_zero", default)]
    n: u8,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    m: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    c: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Seals a login into a `state`. A return path that makes it too long loses its fragment, then its query, then becomes
/// `/`; the login that comes back says which.
///
/// # Errors
/// Without random numbers.
pub(super) fn seal(keys: &KeyRing, login: &PendingLogin) -> Result<String, NoRandomness> {
    let back = &login.return_to;
    for return_to in [back.clone(), back.without_fragment(), back.without_query()] {
        let state = seal_exactly(keys, &PendingLogin { return_to, ..login.clone() })?;
        if state.len() <= MAX_LENGTH {
            return Ok(state);
        }
    }
    seal_exactly(keys, &PendingLogin { return_to: ReturnTo::root(), ..login.clone() })
}

fn seal_exactly(keys: &KeyRing, login: &PendingLogin) -> Result<String, NoRandomness> {
    let wire = Wire {
        p: login.provider.as_str().to_owned(),
        o: login.origin.clone(),
        r: login.return_to.to_location(),
        t: login.started.unix_millis(),
        b: URL_SAFE_NO_PAD.encode(login.binding.0),
        s: login.started_from.map(|key| URL_SAFE_NO_PAD.encode(key.as_bytes())),
        n: login.attempt,
        m: login.requested.max_age,
        c: login.requested.acr_values.clone(),
    };
    let plain = serde_json::to_vec(&wire).map_err(|_| NoRandomness)?;
    // Strangers make us seal as often as they like: a key of its own for each, by the login's own random name.
    let salt = login.id.0;
    let sealed = keys.seal(Purpose::LoginState, &salt, b"", &plain)?;
    Ok(URL_SAFE_NO_PAD.encode([salt.as_slice(), &sealed].concat()))
}

/// Opens a `state`; `None` when it is not one of ours, whatever the reason. The key id says under which key its
/// secrets were derived.
pub(super) fn open(keys: &KeyRing, state: &str) -> Option<(KeyId, PendingLogin)> {
    if state.len() > 2 * MAX_LENGTH {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(state).ok()?;
    let (id, sealed) = bytes.split_first_chunk::<16>()?;
    let (key, plain) = keys.open(Purpose::LoginState, id, b"", sealed).ok()?;
    let wire: Wire = serde_json::from_slice(&plain).ok()?;
    let login = PendingLogin {
        id: LoginId(*id),
        provider: ProviderId::parse(&wire.p)?,
        origin: wire.o,
        return_to: ReturnTo::parse(&wire.r)?,
        started: Timestamp::from_unix_millis(wire.t),
        binding: BindingMark(digest(&wire.b)?),
        started_from: match wire.s {
            Some(text) => Some(SessionKey::from_digest(digest(&text)?)),
            None => None,
        },
        attempt: wire.n,
        requested: Requested { max_age: wire.m, acr_values: wire.c },
    };
    Some((key, login))
}

fn digest<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::MasterKey;

    fn keys() -> KeyRing {
        KeyRing::new(vec![MasterKey::generate().unwrap()]).unwrap()
    }

    fn login(return_to: &str) -> PendingLogin {
        PendingLogin {
            id: LoginId([1; 16]),
            provider: ProviderId::parse("corp").unwrap(),
            origin: "https://apps.example.com".into(),
            return_to: ReturnTo::parse(return_to).unwrap(),
            started: Timestamp::from_unix_seconds(5),
            binding: BindingMark([2; 16]),
            started_from: Some(SessionKey::from_digest([3; 32])),
            attempt: 2,
            requested: Requested { max_age: Some(60), acr_values: vec!["gold".into()] },
        }
    }

    #[test]
    fn what_is_sealed_comes_back() {
        let keys = keys();
        let state = seal(&keys, &login("/a?b=c")).unwrap();
        assert!(state.len() <= MAX_LENGTH);
        let (key, opened) = open(&keys, &state).unwrap();
        assert_eq!(key, keys.sealing_key());
        assert_eq!(opened.return_to.to_location(), "/a?b=c");
        assert_eq!(
            (opened.id, opened.attempt, opened.requested),
            (LoginId([1; 16]), 2, login("/").requested)
        );
        assert_eq!(opened.started_from, login("/").started_from);
    }

    #[test]
    fn a_long_way_back_is_shortened_not_refused() {
        let keys = keys();
        let back = |target: String| {
            let state = seal(&keys, &login(&target)).unwrap();
            assert!(state.len() <= MAX_LENGTH, "{}", state.len());
            open(&keys, &state).unwrap().1.return_to.to_location()
        };
        assert_eq!(back("/page?q#/a/b".to_owned()), "/page?q#/a/b");
        assert_eq!(back(format!("/page?q#{}", "f".repeat(1000))), "/page?q");
        assert_eq!(back(format!("/page?{}#f", "q".repeat(1000))), "/page");
        assert_eq!(back(format!("/{}?q", "p".repeat(1000))), "/");
    }

    #[test]
    fn r4_nothing_else_opens() {
        let keys = keys();
        let state = seal(&keys, &login("/")).unwrap();
        assert!(open(&self::keys(), &state).is_none());
        for bad in ["", "x", &state[1..], &format!("{state}A"), &"A".repeat(4000)] {
            assert!(open(&keys, bad).is_none());
        }
    }
}
