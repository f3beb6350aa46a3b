//! What thieves and forgers get out of a store, and what they get into it.
//!
//! I own: the tests that have the backend in their hands. I may call: `house`, the key ring, and the helpers of the suite.

use super::house::{House, NOW, ring};
use super::{is_unreadable, read, renewed, signed_in};
use crate::domain::claim::ClaimValue;
use crate::domain::login::LoginId;
use crate::domain::session::Session;
use crate::domain::session::tests::session;
use crate::keyring::{Purpose, new_ticket};
use crate::ports::Updated;
use crate::store::record::tests::everything;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::time::Duration;

pub(super) async fn a34_values_swapped_between_keys_do_not_open(house: House) {
    let store = house.store(&[1]);
    let (one, one_key) = signed_in(&store, &session()).await;
    let (two, two_key) = signed_in(&store, &renewed("two")).await;
    let (first, second) = (house.found(&one_key).await, house.found(&two_key).await);
    house.forge(&one_key, 1, second.private.clone(), second.operator.clone()).await;
    house.forge(&two_key, 1, first.private.clone(), first.operator.clone()).await;
    assert!(is_unreadable(&store, &one).await && is_unreadable(&store, &two).await);
    // One part alone, or the parts for each other, is no better.
    house.forge(&one_key, 1, first.private.clone(), second.operator).await;
    house.forge(&two_key, 1, second.private, first.operator.clone()).await;
    assert!(is_unreadable(&store, &one).await && is_unreadable(&store, &two).await);
    house.forge(&one_key, 1, first.operator.clone(), first.private.clone()).await;
    assert!(is_unreadable(&store, &one).await);
    house.forge(&one_key, 1, first.private, first.operator).await;
    assert_eq!(read(&store, &one).await, Some(everything(&session())));
}

pub(super) async fn a34_an_old_value_under_a_new_version_does_not_open(house: House) {
    let store = house.store(&[1]);
    let (ticket, key) = signed_in(&store, &session()).await;
    let old = house.found(&key).await;
    assert_eq!(store.update(&ticket, &renewed("new"), 1, NOW).await.unwrap(), Updated::Done(2));
    house.forge(&key, 2, old.private.clone(), old.operator.clone()).await;
    assert!(is_unreadable(&store, &ticket).await);
    let new = house.found(&key).await;
    house.forge(&key, 1, old.private, new.operator).await;
    assert!(store.load(&ticket, NOW).await.is_ok());
}

pub(super) async fn a34_no_changed_byte_opens(house: House) {
    let store = house.store(&[1]);
    let (ticket, key) = signed_in(&store, &session()).await;
    let sound = house.found(&key).await;
    let flip = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x40;
        bytes
    };
    for at in (0..sound.private.len()).step_by(13).chain([sound.private.len() - 1]) {
        house.forge(&key, 1, flip(&sound.private, at), sound.operator.clone()).await;
        assert!(is_unreadable(&store, &ticket).await, "private byte {at}");
    }
    for at in (0..sound.operator.len()).step_by(13).chain([sound.operator.len() - 1]) {
        house.forge(&key, 1, sound.private.clone(), flip(&sound.operator, at)).await;
        assert!(is_unreadable(&store, &ticket).await, "operator byte {at}");
    }
    house.forge(&key, 1, sound.private[..20].to_vec(), sound.operator.clone()).await;
    assert!(is_unreadable(&store, &ticket).await);
    house.forge(&key, 1, sound.private, Vec::new()).await;
    assert!(is_unreadable(&store, &ticket).await);
}

pub(super) async fn r44_a_dump_of_the_store_says_nothing(house: House) {
    let store = house.store(&[1]);
    let mut session = renewed("a-long-one");
    session.identity.claims.insert("department".into(), ClaimValue::Text("ward-seven".into()));
    session.acr = Some("acr-gold".into());
    let (ticket, key) = signed_in(&store, &session).await;
    store.touch(&key, NOW, Duration::from_secs(60)).await.unwrap();
    store.take_once(LoginId([9; 16]), NOW, Duration::from_secs(60)).await.unwrap();
    assert_eq!(store.update(&ticket, &session, 1, NOW).await.unwrap(), Updated::Done(2));
    let dump = house.dump().await.concat();
    let holds = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
    assert!(holds(key.as_bytes()), "the dump is one of this store");
    let Session { identity, tokens, .. } = &session;
    for secret in [
        ticket.expose(),
        tokens.access.expose(),
        tokens.refresh.as_ref().unwrap().expose(),
        tokens.id_token.expose(),
        identity.issuer.as_str(),
        identity.subject.as_str(),
        identity.name.as_deref().unwrap(),
        identity.email.as_deref().unwrap(),
        session.sid.as_str(),
        session.provider_sid.as_deref().unwrap(),
        session.acr.as_deref().unwrap(),
        &session.place.address,
        &session.place.user_agent,
        "ward-seven",
        "editor",
    ] {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let bytes = secret.as_bytes();
        for form in [
            secret.to_owned(),
            hex.to_uppercase(),
            hex,
            STANDARD_NO_PAD.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
        ] {
            assert!(!holds(form.as_bytes()), "{secret} as {form}");
        }
    }
    let raw_ticket = URL_SAFE_NO_PAD.decode(ticket.expose()).unwrap_or_default();
    assert!(raw_ticket.is_empty() || !holds(&raw_ticket));
}

pub(super) async fn r44_the_private_part_needs_the_ticket_besides_the_keys(house: House) {
    let (ticket, key) = signed_in(&house.store(&[1]), &session()).await;
    let sealed = house.found(&key).await.private;
    let context = [&[1], key.as_bytes().as_slice(), &1_u64.to_be_bytes()].concat();
    let opens = |salt: &[u8]| ring(&[1]).open(Purpose::SessionRecord, salt, &context, &sealed).is_ok();
    // A thief of store and keys knows the session key, and can make any ticket but the right one.
    for salt in [key.as_bytes().as_slice(), b"", new_ticket().unwrap().expose().as_bytes()] {
        assert!(!opens(salt));
    }
    assert!(opens(ticket.expose().as_bytes()));
}

pub(super) async fn r44_rotated_keys_open_what_the_old_one_sealed(house: House) {
    let (old, rotated, new) = (house.store(&[1]), house.store(&[2, 1]), house.store(&[2]));
    let who = session().identity;
    let (ticket, key) = signed_in(&old, &session()).await;
    assert_eq!(read(&rotated, &ticket).await, Some(everything(&session())));
    assert_eq!(rotated.of_subject(&who.issuer, &who.subject, NOW).await.unwrap(), [key]);
    assert_eq!(rotated.of_provider_sid(&who.issuer, "idp-session", NOW).await.unwrap(), [key]);
    assert!(is_unreadable(&new, &ticket).await);
    assert!(new.of_subject(&who.issuer, &who.subject, NOW).await.unwrap().is_empty());
    // An update moves everything under the new key, the index entries too, and each session is still found once.
    assert_eq!(rotated.update(&ticket, &renewed("two"), 1, NOW).await.unwrap(), Updated::Done(2));
    assert_eq!(read(&new, &ticket).await, Some(everything(&renewed("two"))));
    assert_eq!(new.of_subject(&who.issuer, &who.subject, NOW).await.unwrap(), [key]);
    assert_eq!(rotated.of_subject(&who.issuer, &who.subject, NOW).await.unwrap(), [key]);
    assert!(is_unreadable(&old, &ticket).await);
    assert!(new.remove(&key).await.unwrap());
    assert_eq!(house.dump().await, Vec::<Vec<u8>>::new());
}
