//! What is sealed opens where it should and nowhere else; names, handles and derived secrets.

use super::*;

fn key(byte: u8) -> MasterKey {
    MasterKey::parse(&STANDARD.encode([byte; 32])).unwrap()
}

fn ring(bytes: &[u8]) -> KeyRing {
    KeyRing::new(bytes.iter().map(|byte| key(*byte)).collect()).unwrap()
}

#[test]
fn r44_the_first_key_seals_and_all_open() {
    let old = ring(&[1]);
    let sealed = old.seal(Purpose::SessionRecord, b"salt", b"ctx", b"plain").unwrap();
    let rotated = ring(&[2, 1]);
    let (used, plain) = rotated.open(Purpose::SessionRecord, b"salt", b"ctx", &sealed).unwrap();
    assert_eq!((used, plain.as_slice()), (old.sealing_key(), b"plain".as_slice()));
    assert_eq!(
        ring(&[2]).open(Purpose::SessionRecord, b"salt", b"ctx", &sealed),
        Err(CannotOpen::UnknownKey)
    );
    let fresh = rotated.seal(Purpose::SessionRecord, b"salt", b"ctx", b"plain").unwrap();
    assert!(ring(&[2]).open(Purpose::SessionRecord, b"salt", b"ctx", &fresh).is_ok());
}

#[test]
fn r44_nothing_opens_elsewhere_or_changed() {
    let ring = ring(&[1]);
    let sealed = ring.seal(Purpose::SessionRecord, b"salt", b"ctx", b"plain").unwrap();
    let no = Err(CannotOpen::NotAuthentic);
    assert_eq!(ring.open(Purpose::SessionRecord, b"other", b"ctx", &sealed), no);
    assert_eq!(ring.open(Purpose::SessionRecord, b"salt", b"moved", &sealed), no);
    assert_eq!(ring.open(Purpose::OperatorRecord, b"salt", b"ctx", &sealed), no);
    for at in KEY_ID_LENGTH..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(ring.open(Purpose::SessionRecord, b"salt", b"ctx", &changed), no, "byte {at}");
    }
    for length in 0..sealed.len() {
        assert!(ring.open(Purpose::SessionRecord, b"salt", b"ctx", &sealed[..length]).is_err());
    }
}

#[test]
fn r3_verifiers_are_43_unreserved_characters_and_differ_by_browser_and_login() {
    let ring = ring(&[1]);
    let of = |binding: &str, login: u8| {
        let secrets =
            ring.login_secrets(ring.sealing_key(), &Binding::new(binding), LoginId([login; 16])).unwrap();
        (secrets.0.expose().to_owned(), secrets.1.expose().to_owned())
    };
    let (nonce, verifier) = of("a", 1);
    assert_eq!(verifier.len(), 43);
    assert!(verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)));
    assert_ne!(nonce, verifier);
    assert_eq!(of("a", 1), (nonce.clone(), verifier.clone()));
    for other in [of("b", 1), of("a", 2)] {
        assert_ne!(other.0, nonce);
        assert_ne!(other.1, verifier);
    }
}

#[test]
fn keys_are_32_bytes_in_either_alphabet() {
    let text = STANDARD.encode([0xfb; 32]);
    for good in
        [text.clone(), format!(" {text}\n"), text.replace('+', "-").replace('/', "_"), text.replace('=', "")]
    {
        assert!(MasterKey::parse(&good).is_some(), "{good:?}");
    }
    for bad in ["", "short", &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33]), &"!".repeat(44)] {
        assert!(MasterKey::parse(bad).is_none(), "{bad:?}");
    }
}

#[test]
fn handles_outlive_a_rotation_and_say_nothing() {
    let session = session_key(&new_ticket().unwrap());
    let handle = ring(&[1]).handle(&session);
    assert_eq!(handle.len(), 22);
    assert!(ring(&[2, 1]).is_handle_of(&handle, &session) && !ring(&[2]).is_handle_of(&handle, &session));
    assert_ne!(ring(&[2, 1]).handle(&session), handle);
    assert!(!URL_SAFE_NO_PAD.encode(session.as_bytes()).contains(&handle));
}

#[test]
fn names_do_not_run_into_each_other() {
    let ring = ring(&[1, 2]);
    let name = |parts: &[&[u8]]| ring.name(Purpose::Index, parts);
    assert_ne!(name(&[b"ab", b"c"]), name(&[b"a", b"bc"]));
    assert_eq!(ring.names(Purpose::Index, &[b"a"])[0], name(&[b"a"]));
    assert_eq!(ring.names(Purpose::Index, &[b"a"]).len(), 2);
    assert_eq!(ring.log_name("i", "s").len(), 16);
}
