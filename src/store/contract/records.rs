//! Records: as they went in, one version after the other, and gone when they are gone.
//!
//! I own: the tests of what a session is read and written by, and of the indexes that lead to it. I may call: `house`, and
//! the helpers of the suite.

use super::house::{House, NOW};
use super::{read, renewed, signed_in};
use crate::domain::identity::{Issuer, Subject};
use crate::domain::login::LoginId;
use crate::domain::session::SessionKey;
use crate::domain::session::tests::session;
use crate::keyring::{new_ticket, session_key};
use crate::ports::{StoreError, Updated};
use crate::store::record::tests::everything;
use futures_util::future::join_all;
use std::time::Duration;

pub(super) async fn r48_a_session_comes_back_as_it_went_in(house: House) {
    let store = house.store(&[1]);
    let (ticket, key) = signed_in(&store, &session()).await;
    let live = store.load(&ticket, NOW).await.unwrap().unwrap();
    assert_eq!(everything(&live.session), everything(&session()));
    assert_eq!(live.session.tokens.id_token.expose(), "e30.e30.e30");
    assert_eq!((live.key, live.version, live.last_seen), (key, 1, NOW));
    store.ping().await.unwrap();
}

pub(super) async fn r82_an_unknown_ticket_is_a_miss_and_not_an_error(house: House) {
    let store = house.store(&[1]);
    let ticket = new_ticket().unwrap();
    assert!(store.load(&ticket, NOW).await.unwrap().is_none());
    assert!(!store.remove(&session_key(&ticket)).await.unwrap());
}

pub(super) async fn r49_a_ticket_is_never_given_twice(house: House) {
    let store = house.store(&[1]);
    let (ticket, _) = signed_in(&store, &session()).await;
    let again = store.create(&ticket, &renewed("other"), NOW).await;
    assert!(matches!(again, Err(StoreError::Unavailable(_))));
    assert_eq!(read(&store, &ticket).await, Some(everything(&session())));
}

pub(super) async fn r88_an_update_is_compare_and_set(house: House) {
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

pub(super) async fn r88_an_update_never_brings_a_session_back(house: House) {
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

pub(super) async fn r56_removal_removes_the_record_and_what_leads_to_it(house: House) {
    let store = house.store(&[1]);
    let (ticket, key) = signed_in(&store, &session()).await;
    store.touch(&key, NOW, Duration::from_secs(60)).await.unwrap();
    assert!(!house.dump().await.is_empty());
    assert!(store.remove(&key).await.unwrap());
    assert!(!store.remove(&key).await.unwrap());
    assert!(store.load(&ticket, NOW).await.unwrap().is_none());
    assert_eq!(house.dump().await, Vec::<Vec<u8>>::new());
}

pub(super) async fn r47_last_seen_is_kept_apart_from_the_record(house: House) {
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

pub(super) async fn r4_a_login_is_taken_once(house: House) {
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

pub(super) async fn r56_sessions_are_found_by_person_and_by_provider_session(house: House) {
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
