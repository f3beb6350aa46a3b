//! What every store owes, tested on each of them (style rule 32).
//!
//! I own: the suite. Everything goes through the port but for the tests that play a thief or a forger, who have the
//! backend in their hands.

use crate::domain::claim::ClaimValue;
use crate::domain::identity::{Issuer, Subject};
use crate::domain::login::LoginId;
use crate::domain::secret::{AccessToken, RefreshToken};
use crate::domain::session::tests::session;
use crate::domain::session::{Session, SessionKey, Ticket};
use crate::keyring::{Purpose, new_ticket, session_key};
use crate::ports::{Cursor, Listed, Listing, SessionStore, StoreError, Updated};
use crate::store::contract::house::{House, NOW, ring};
use crate::store::record::tests::everything;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;

mod census;
mod endings;
pub(in crate::store) mod house;
mod leases;
mod marks;
mod transfer;

async fn signed_in(store: &Arc<dyn SessionStore>, session: &Session) -> (Ticket, SessionKey) {
    let ticket = new_ticket().unwrap();
    store.create(&ticket, session, NOW).await.unwrap();
    let key = session_key(&ticket);
    (ticket, key)
}

async fn read(store: &Arc<dyn SessionStore>, ticket: &Ticket) -> Option<String> {
    store.load(ticket, NOW).await.unwrap().map(|live| everything(&live.session))
}

async fn is_unreadable(store: &Arc<dyn SessionStore>, ticket: &Ticket) -> bool {
    matches!(store.load(ticket, NOW).await, Err(StoreError::Unreadable(_)))
}

fn renewed(token: &str) -> Session {
    let mut session = session();
    session.tokens.access = AccessToken::new(format!("{token}-access"));
    session.tokens.refresh = Some(RefreshToken::new(format!("{token}-refresh")));
    session
}

async fn r48_a_session_comes_back_as_it_went_in(house: House) {
    let store = house.store(&[1]);
    let (ticket, key) = signed_in(&store, &session()).await;
    let live = store.load(&ticket, NOW).await.unwrap().unwrap();
    assert_eq!(everything(&live.session), everything(&session()));
    assert_eq!(live.session.tokens.id_token.expose(), "e30.e30.e30");
    assert_eq!((live.key, live.version, live.last_seen), (key, 1, NOW));
    store.ping().await.unwrap();
}

async fn r82_an_unknown_ticket_is_a_miss_and_not_an_error(house: House) {
    let store = house.store(&[1]);
    let ticket = new_ticket().unwrap();
    assert!(store.load(&ticket, NOW).await.unwrap().is_none());
    assert!(!store.remove(&session_key(&ticket)).await.unwrap());
}

async fn r49_a_ticket_is_never_given_twice(house: House) {
    let store = house.store(&[1]);
    let (ticket, _) = signed_in(&store, &session()).await;
    let again = store.create(&ticket, &renewed("other"), NOW).await;
    assert!(matches!(again, Err(StoreError::Unavailable(_))));
    assert_eq!(read(&store, &ticket).await, Some(everything(&session())));
}

async fn a34_values_swapped_between_keys_do_not_open(house: House) {
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

async fn a34_an_old_value_under_a_new_version_does_not_open(house: House) {
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

async fn a34_no_changed_byte_opens(house: House) {
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

async fn r88_an_update_is_compare_and_set(house: House) {
    let store = house.store(&[1]);
    let (ticket, key) = signed_in(&store, &session()).await;
    assert_eq!(store.update(&ticket, &renewed("two"), 1, NOW).await.unwrap(), Updated::Done(2));
    assert_eq!(store.update(&ticket, &renewed("late"), 1, NOW).await.unwrap(), Updated::Conflict);
    assert_eq!(store.update(&ticket, &renewed("early"), 3, NOW).await.unwrap(), Updated::Conflict);
    assert_eq!(store.update(&ticket, &renewed("three"), 2, NOW).await.unwrap(), Updated::Done(3));
    let live = store.load(&ticket, NOW).await.unwrap().unwrap();
    assert_eq!((live.version, everything(&live.session)), (3, everything(&renewed("three"))));
    let session = renewed("race");
    let racers = (0..20).map(|_| store.update(&ticket, &session, 3, NOW));
    let outcomes: Vec<Updated> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Updated::Done(4)).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Updated::Conflict).count(), 19);
    assert!(store.remove(&key).await.unwrap());
}

async fn r88_an_update_never_brings_a_session_back(house: House) {
    let store = house.store(&[1]);
    let (ticket, key) = signed_in(&store, &session()).await;
    assert!(store.remove(&key).await.unwrap());
    assert_eq!(store.update(&ticket, &renewed("late"), 1, NOW).await.unwrap(), Updated::Gone);
    store.touch(&key, NOW, Duration::from_secs(60)).await.unwrap();
    assert!(store.load(&ticket, NOW).await.unwrap().is_none());
    let who = session().identity;
    assert!(store.of_subject(&who.issuer, &who.subject, NOW).await.unwrap().is_empty());
    let never = new_ticket().unwrap();
    assert_eq!(store.update(&never, &session(), 0, NOW).await.unwrap(), Updated::Gone);
    assert!(store.load(&never, NOW).await.unwrap().is_none());
}

async fn r56_removal_removes_the_record_and_what_leads_to_it(house: House) {
    let store = house.store(&[1]);
    let (ticket, key) = signed_in(&store, &session()).await;
    store.touch(&key, NOW, Duration::from_secs(60)).await.unwrap();
    assert!(!house.dump().await.is_empty());
    assert!(store.remove(&key).await.unwrap());
    assert!(!store.remove(&key).await.unwrap());
    assert!(store.load(&ticket, NOW).await.unwrap().is_none());
    assert_eq!(house.dump().await, Vec::<Vec<u8>>::new());
}

async fn r47_last_seen_is_kept_apart_from_the_record(house: House) {
    let store = house.store(&[1]);
    let (ticket, key) = signed_in(&store, &session()).await;
    let before = house.found(&key).await;
    let later = NOW.plus(Duration::from_millis(90_500));
    store.touch(&key, later, Duration::from_secs(1890)).await.unwrap();
    let live = store.load(&ticket, later).await.unwrap().unwrap();
    assert_eq!((live.version, live.last_seen), (1, later));
    let after = house.found(&key).await;
    assert_eq!((before.private, before.operator), (after.private, after.operator));
    assert_eq!(store.update(&ticket, &renewed("two"), 1, later).await.unwrap(), Updated::Done(2));
    assert_eq!(store.load(&ticket, later).await.unwrap().unwrap().last_seen, later);
}

async fn r4_a_login_is_taken_once(house: House) {
    let store = house.store(&[1]);
    let keep = Duration::from_secs(600);
    let login = |byte| LoginId([byte; 16]);
    assert!(store.take_once(login(1), NOW, keep).await.unwrap());
    assert!(!store.take_once(login(1), NOW, keep).await.unwrap());
    assert!(store.take_once(login(2), NOW, keep).await.unwrap());
    let takers = (0..50).map(|_| store.take_once(login(3), NOW, keep));
    let won = join_all(takers).await.into_iter().filter(|taken| *taken.as_ref().unwrap()).count();
    assert_eq!(won, 1);
}

async fn r56_sessions_are_found_by_person_and_by_provider_session(house: House) {
    let store = house.store(&[1]);
    let who = session().identity;
    let mut other = session();
    other.provider_sid = Some("another".into());
    let mut silent = session();
    silent.provider_sid = None;
    let mut bob = session();
    bob.identity.subject = Subject::parse("bob").unwrap();
    let (_, one) = signed_in(&store, &session()).await;
    let (_, two) = signed_in(&store, &session()).await;
    let (_, three) = signed_in(&store, &other).await;
    let (_, four) = signed_in(&store, &silent).await;
    let (_, bobs) = signed_in(&store, &bob).await;
    let sorted = |mut keys: Vec<SessionKey>| {
        keys.sort_by_key(|key| *key.as_bytes());
        keys
    };
    let of_alice = || async { sorted(store.of_subject(&who.issuer, &who.subject, NOW).await.unwrap()) };
    let of_sid =
        |sid: &'static str| async { sorted(store.of_provider_sid(&who.issuer, sid, NOW).await.unwrap()) };
    assert_eq!(of_alice().await, sorted(vec![one, two, three, four]));
    assert_eq!(of_sid("idp-session").await, sorted(vec![one, two, bobs]));
    assert_eq!(of_sid("another").await, [three]);
    assert!(of_sid("alice").await.is_empty());
    let elsewhere = Issuer::new("https://idp.example.com/");
    assert!(store.of_subject(&elsewhere, &who.subject, NOW).await.unwrap().is_empty());
    assert!(store.remove(&one).await.unwrap() && store.remove(&three).await.unwrap());
    assert_eq!(of_alice().await, sorted(vec![two, four]));
    assert_eq!(of_sid("idp-session").await, sorted(vec![two, bobs]));
    assert!(of_sid("another").await.is_empty());
    let over = session().ends;
    assert!(store.of_subject(&who.issuer, &who.subject, over).await.unwrap().is_empty());
}

async fn r44_a_dump_of_the_store_says_nothing(house: House) {
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

async fn r44_the_private_part_needs_the_ticket_besides_the_keys(house: House) {
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

async fn r44_rotated_keys_open_what_the_old_one_sealed(house: House) {
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

/// All that a walk in pages of `limit` comes by, each session once.
async fn walk(store: &Arc<dyn SessionStore>, limit: usize) -> Vec<Listed> {
    let (mut found, mut cursor): (Vec<Listed>, _) = (Vec::new(), None);
    loop {
        let Listing { entries, next } = store.list(cursor.as_ref(), limit, NOW).await.unwrap();
        for entry in entries {
            if found.iter().all(|other| other.key != entry.key) {
                found.push(entry);
            }
        }
        match next {
            Some(next) => cursor = Some(next),
            None => return found,
        }
    }
}

async fn operators_see_every_session_and_no_secret(house: House) {
    let store = house.store(&[1]);
    assert!(walk(&store, 10).await.is_empty());
    let mut keys = Vec::new();
    for _ in 0..25 {
        keys.push(signed_in(&store, &session()).await.1);
    }
    let later = NOW.plus(Duration::from_secs(90));
    store.touch(&keys[0], later, Duration::from_secs(1890)).await.unwrap();
    store.take_once(LoginId([9; 16]), NOW, Duration::from_secs(60)).await.unwrap();
    for limit in [1, 7, 1000] {
        let found = walk(&store, limit).await;
        assert_eq!(found.len(), 25, "pages of {limit}");
        for entry in &found {
            let expected = if entry.key == keys[0] { later } else { NOW };
            assert!(keys.contains(&entry.key) && entry.last_seen == Some(expected));
            let summary = entry.summary.as_ref().unwrap();
            let identity = session().identity;
            assert_eq!((&summary.issuer, &summary.subject), (&identity.issuer, &identity.subject));
            assert_eq!(summary.email, identity.email);
            assert_eq!((summary.started, summary.ends), (session().started, session().ends));
            assert_eq!(summary.place, session().place);
        }
    }
    // Ended while the walk goes on: nothing else is lost.
    let Listing { entries, next } = store.list(None, 10, NOW).await.unwrap();
    for entry in &entries {
        assert!(store.remove(&entry.key).await.unwrap());
    }
    let mut rest = 0;
    let mut cursor = next;
    while let Some(here) = cursor {
        let page = store.list(Some(&here), 10, NOW).await.unwrap();
        rest += page.entries.iter().filter(|entry| keys.contains(&entry.key)).count();
        cursor = page.next;
    }
    assert_eq!((entries.len() + rest, walk(&store, 10).await.len()), (25, 25 - entries.len()));
}

async fn what_does_not_open_is_listed_without_a_word(house: House) {
    let store = house.store(&[1]);
    let (_, one) = signed_in(&store, &session()).await;
    let (_, two) = signed_in(&store, &session()).await;
    let (first, second) = (house.found(&one).await, house.found(&two).await);
    house.forge(&one, 1, first.private, second.operator).await;
    let found = walk(&store, 10).await;
    assert_eq!(found.len(), 2);
    for entry in found {
        assert_eq!(entry.summary.is_some(), entry.key == two);
    }
    assert!(walk(&house.store(&[2]), 10).await.iter().all(|entry| entry.summary.is_none()));
    let foreign = store.list(Some(&Cursor(b"\xff nonsense".to_vec())), 10, NOW).await;
    assert!(foreign.is_err() || foreign.is_ok_and(|page| page.entries.len() <= 2));
}

use census::*;
use endings::*;
use leases::*;
use marks::*;
use transfer::*;

macro_rules! on_every_store {
    ($($name:ident,)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::memory()).await;
            })*
        }

        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::embedded()).await;
            })*
        }

        mod near {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::near()).await;
            })*
        }

        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::redis()).await;
            })*
        }

        mod cluster {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::cluster()).await;
            })*
        }

        mod sentinel {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::sentinel()).await;
            })*
        }
    };
}

on_every_store! {
    r48_a_session_comes_back_as_it_went_in,
    r82_an_unknown_ticket_is_a_miss_and_not_an_error,
    r49_a_ticket_is_never_given_twice,
    a34_values_swapped_between_keys_do_not_open,
    a34_an_old_value_under_a_new_version_does_not_open,
    a34_no_changed_byte_opens,
    r88_an_update_is_compare_and_set,
    r88_an_update_never_brings_a_session_back,
    r56_removal_removes_the_record_and_what_leads_to_it,
    r47_last_seen_is_kept_apart_from_the_record,
    r4_a_login_is_taken_once,
    r56_sessions_are_found_by_person_and_by_provider_session,
    r44_a_dump_of_the_store_says_nothing,
    r44_the_private_part_needs_the_ticket_besides_the_keys,
    r44_rotated_keys_open_what_the_old_one_sealed,
    r44_a_key_is_needed_as_long_as_a_session_began_with_it,
    r44_a_key_that_is_missing_is_told_with_what_it_has_sealed,
    a_census_walks_through_all_pages_or_stops_early,
    r44_a_store_seals_with_a_new_key_from_one_moment_to_the_next,
    operators_see_every_session_and_no_secret,
    what_does_not_open_is_listed_without_a_word,
    r85_an_index_entry_lives_as_long_as_its_record,
    r85_a_mark_keeps_its_latest_moment_and_its_longest_life,
    r85_a_login_and_a_logout_at_once_leave_no_session,
    one_session_is_shown_by_its_key,
    r45_a_lease_has_one_holder,
    r45_of_many_at_once_one_gets_the_lease,
    r45_a_lease_that_nobody_gives_back_ends_by_itself,
    r56_a_debt_is_given_to_one_and_comes_back_when_its_lease_is_over,
    r56_a_debt_names_what_its_record_held_and_its_record_goes_in_that_version_only,
    r56_a_token_is_needed_as_long_as_anybody_stands_on_it,
    r56_without_a_sid_what_was_replaced_is_spared_for_any_session_of_the_person,
    r56_a_debt_waits_for_its_key_for_a_day,
    r44_a_debt_is_noise_without_the_keys,
    a_moment_for_everybody_is_kept_and_only_moves_on,
    r44_sessions_move_out_and_open_where_they_arrive,
    r44_sessions_move_in_and_open_with_the_same_cookie,
    r88_what_is_there_and_no_older_stays_as_it_is,
    r85_nobody_comes_back_who_is_over,
    r85_whoever_was_sent_home_with_everybody_comes_back_in_no_store,
    r44_a_file_needs_the_keys_that_it_was_made_with,
    a_file_that_is_cut_off_is_noticed_and_can_follow_whole,
}
