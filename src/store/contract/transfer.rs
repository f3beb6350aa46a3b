//! Moving sessions out of any store and into any store (issue 5, item 4).
//!
//! I own: the tests of `Transfer`. I may call: `house`, and the helpers of the suite.

use super::house::{House, NOW, ring};
use super::{read, renewed, signed_in};
use crate::domain::logout::Mark;
use crate::domain::session::tests::session;
use crate::domain::session::{Limits, Session};
use crate::domain::time::Timestamp;
use crate::ports::{Imported, SessionStore as _, Terms, Transfer as _, TransferError, Updated};
use crate::store::near::tests::Stage;
use crate::store::record::tests::everything;
use crate::store::transfer::Carrier;
use crate::store::{Aside, Near};
use futures_util::{StreamExt as _, stream};
use std::sync::Arc;
use std::time::Duration;

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn terms(now: Timestamp) -> Terms {
    let limits = Limits { idle: Duration::from_secs(1800), lifetime: Duration::from_secs(36_000) };
    Terms { limits, now, again: false }
}

fn carrier(house: &House, keys: &[u8]) -> Carrier {
    Carrier::new(Arc::clone(&house.haul), house.endings(), house.store(keys), ring(keys))
}

async fn export(house: &House, keys: &[u8]) -> Vec<u8> {
    let pieces: Vec<_> = carrier(house, keys).export(NOW).collect().await;
    pieces.into_iter().flat_map(|piece| piece.unwrap().bytes).collect()
}

async fn import(house: &House, keys: &[u8], file: &[u8], terms: Terms) -> Result<Imported, TransferError> {
    let pieces: Vec<Result<Vec<u8>, String>> = file.chunks(1000).map(|piece| Ok(piece.to_vec())).collect();
    carrier(house, keys).import(stream::iter(pieces).boxed(), terms).await
}

fn imported(count: u64) -> Imported {
    Imported { imported: count, ..Imported::default() }
}

/// Out of one and into the other: what a ticket opens, and what leads to it, is the same on both sides.
async fn moved(from: &House, to: &House) {
    let (old, new) = (from.store(&[1]), to.store(&[1]));
    let (one, key) = signed_in(&old, &session()).await;
    let (two, _) = signed_in(&old, &session()).await;
    assert_eq!(old.update(&two, &renewed("two"), 1, NOW).await.unwrap(), Updated::Done(2));
    let (gone, _) = signed_in(&old, &session()).await;
    old.touch(&key, later(60), Duration::from_secs(1800)).await.unwrap();
    assert!(old.remove(&crate::keyring::session_key(&gone)).await.unwrap());
    let file = export(from, &[1]).await;
    assert_eq!(import(to, &[1], &file, terms(later(90))).await.unwrap(), imported(2));
    assert_eq!(read(&new, &one).await, Some(everything(&session())));
    let live = new.load(&two, NOW).await.unwrap().unwrap();
    assert_eq!((live.version, everything(&live.session)), (2, everything(&renewed("two"))));
    assert_eq!(new.load(&one, later(90)).await.unwrap().unwrap().last_seen, later(60), "used when it was");
    assert_eq!(live.last_seen, NOW, "and not when it was moved");
    assert!(read(&new, &gone).await.is_none());
    let who = session().identity;
    assert_eq!(new.of_subject(&who.issuer, &who.subject, NOW).await.unwrap().len(), 2);
    assert_eq!(new.of_provider_sid(&who.issuer, "idp-session", NOW).await.unwrap().len(), 2);
    assert_eq!(new.update(&two, &renewed("three"), 2, later(91)).await.unwrap(), Updated::Done(3));
    assert!(new.remove(&key).await.unwrap());
    assert!(new.remove(&live.key).await.unwrap());
    assert!(new.of_subject(&who.issuer, &who.subject, NOW).await.unwrap().is_empty());
}

pub(super) async fn r44_sessions_move_out_and_open_where_they_arrive(house: House) {
    moved(&house, &House::memory()).await;
}

pub(super) async fn r44_sessions_move_in_and_open_with_the_same_cookie(house: House) {
    moved(&House::memory(), &house).await;
}

pub(super) async fn r88_what_is_there_and_no_older_stays_as_it_is(house: House) {
    let from = House::memory();
    let (old, new) = (from.store(&[1]), house.store(&[1]));
    let (ticket, key) = signed_in(&old, &session()).await;
    let first = export(&from, &[1]).await;
    assert_eq!(old.update(&ticket, &renewed("two"), 1, NOW).await.unwrap(), Updated::Done(2));
    let second = export(&from, &[1]).await;
    assert_eq!(import(&house, &[1], &first, terms(NOW)).await.unwrap(), imported(1));
    // The older one is replaced; the last use here does not go back.
    new.touch(&key, later(50), Duration::from_secs(1800)).await.unwrap();
    assert_eq!(import(&house, &[1], &second, terms(NOW)).await.unwrap(), imported(1));
    let live = new.load(&ticket, NOW).await.unwrap().unwrap();
    assert_eq!((live.version, live.last_seen), (2, later(50)));
    // Once is enough, unless it is asked for; and then nothing that is newer suffers.
    for now in [NOW, later(35_999)] {
        assert!(matches!(import(&house, &[1], &first, terms(now)).await, Err(TransferError::Again)));
    }
    assert_eq!(new.update(&ticket, &renewed("here"), 2, NOW).await.unwrap(), Updated::Done(3));
    for file in [&first, &second] {
        let again = Terms { again: true, ..terms(NOW) };
        let there = Imported { there: 1, ..Imported::default() };
        assert_eq!(import(&house, &[1], file, again).await.unwrap(), there);
    }
    assert_eq!(read(&new, &ticket).await, Some(everything(&renewed("here"))));
}

pub(super) async fn r85_nobody_comes_back_who_is_over(house: House) {
    let from = House::memory();
    let (old, new) = (from.store(&[1]), house.store(&[1]));
    let (ticket, _) = signed_in(&old, &session()).await;
    let mut other = session();
    other.identity.subject = crate::domain::identity::Subject::parse("bob").unwrap();
    other.provider_sid = None;
    let (bob, _) = signed_in(&old, &other).await;
    let file = export(&from, &[1]).await;
    let who = session().identity;
    for mark in [Mark::ProviderSession(&who.issuer, "idp-session"), Mark::Person(&who.issuer, &who.subject)] {
        new.mark(mark, later(5), Duration::from_secs(600)).await.unwrap();
        let done = import(&house, &[1], &file, Terms { again: true, ..terms(later(6)) }).await.unwrap();
        assert_eq!((done.ended, done.imported + done.there), (1, 1), "{mark:?}");
        assert!(new.load(&ticket, NOW).await.unwrap().is_none());
    }
    assert!(new.load(&bob, NOW).await.unwrap().is_some());
    // Silence and age are judged by the limits of this house.
    let empty = House::memory();
    let expired = Imported { expired: 2, ..Imported::default() };
    assert_eq!(import(&empty, &[1], &file, terms(later(3600))).await.unwrap(), expired);
    let short = Limits { lifetime: Duration::from_secs(60), ..terms(NOW).limits };
    let again = Terms { limits: short, again: true, ..terms(later(60)) };
    assert_eq!(import(&empty, &[1], &file, again).await.unwrap(), expired);
    let left = Session { ends: later(10), ..other };
    let (last, _) = signed_in(&empty.store(&[1]), &left).await;
    let file = export(&empty, &[1]).await;
    assert_eq!(import(&house, &[1], &file, terms(later(9))).await.unwrap(), imported(1));
    assert!(new.load(&last, later(9)).await.unwrap().is_some());
}

pub(super) async fn r85_whoever_was_sent_home_with_everybody_comes_back_in_no_store(house: House) {
    let (keep, other) = (Duration::from_secs(36_000), House::memory());
    let (ticket, _) = signed_in(&house.store(&[1]), &session()).await;
    let before = export(&house, &[1]).await;
    // Written, but the records are not all gone yet; and one has come in since.
    house.endings().clear(session().started, keep).await.unwrap();
    let since = Session { started: session().started.plus(Duration::from_millis(1)), ..session() };
    let (young, _) = signed_in(&house.store(&[1]), &since).await;
    let after = export(&house, &[1]).await;
    assert_eq!(import(&other, &[1], &after, terms(NOW)).await.unwrap(), imported(1));
    assert!(other.store(&[1]).load(&ticket, NOW).await.unwrap().is_none());
    assert!(other.store(&[1]).load(&young, NOW).await.unwrap().is_some());
    // A file of before is judged where it arrives.
    assert!(house.store(&[1]).remove(&crate::keyring::session_key(&ticket)).await.unwrap());
    let ended = Imported { ended: 1, ..Imported::default() };
    assert_eq!(import(&house, &[1], &before, terms(NOW)).await.unwrap(), ended);
    assert!(house.store(&[1]).load(&ticket, NOW).await.unwrap().is_none());
}

pub(super) async fn r44_a_file_needs_the_keys_that_it_was_made_with(house: House) {
    let from = House::memory();
    let (ticket, _) = signed_in(&from.store(&[1]), &session()).await;
    let (young, _) = signed_in(&from.store(&[2, 1]), &session()).await;
    // Sealed by the first of these keys; one record needs the second.
    let file = export(&from, &[2, 1]).await;
    let id = |key: u8| ring(&[key]).sealing_key().as_bytes().map(|byte| format!("{byte:02x}")).concat();
    match import(&house, &[1], &file, terms(NOW)).await {
        Err(TransferError::UnknownKey(key)) => assert_eq!(key, id(2)),
        other => panic!("{other:?}"),
    }
    let done = import(&house, &[2], &file, terms(NOW)).await.unwrap();
    let expected = Imported { imported: 1, refused: 1, unknown_keys: vec![id(1)], ..Imported::default() };
    assert_eq!(done, expected);
    assert!(house.store(&[2]).load(&young, NOW).await.unwrap().is_some());
    assert!(house.store(&[2, 1]).load(&ticket, NOW).await.unwrap().is_none(), "none that nobody opens");
    let again = Terms { again: true, ..terms(NOW) };
    let done = import(&house, &[3, 2, 1], &file, again).await.unwrap();
    assert_eq!((done.imported, done.there), (1, 1));
    assert!(house.store(&[3, 2, 1]).load(&ticket, NOW).await.unwrap().is_some());
}

pub(super) async fn a_file_that_is_cut_off_is_noticed_and_can_follow_whole(house: House) {
    let from = House::memory();
    let store = from.store(&[1]);
    for _ in 0..10 {
        signed_in(&store, &session()).await;
    }
    let file = export(&from, &[1]).await;
    match import(&house, &[1], &file[..file.len() - 10], terms(NOW)).await {
        Err(TransferError::CutOff { done, .. }) => assert_eq!(done, imported(10)),
        other => panic!("{other:?}"),
    }
    let there = Imported { there: 10, ..Imported::default() };
    assert_eq!(import(&house, &[1], &file, terms(NOW)).await.unwrap(), there);
    assert!(matches!(import(&house, &[1], b"nonsense\n", terms(NOW)).await, Err(TransferError::NotOurs(_))));
    assert!(matches!(import(&house, &[1], b"", terms(NOW)).await, Err(TransferError::NotOurs(_))));
}

#[tokio::test]
async fn what_memory_holds_of_a_session_goes_when_a_later_version_is_moved_in() {
    let (from, house) = (House::memory(), House::memory());
    let old = from.store(&[1]);
    let (ticket, _) = signed_in(&old, &session()).await;
    let first = export(&from, &[1]).await;
    assert_eq!(old.update(&ticket, &renewed("two"), 1, NOW).await.unwrap(), Updated::Done(2));
    let second = export(&from, &[1]).await;
    let aside = Arc::new(Aside::default());
    let parts = Arc::new(Stage::default()).parts(Duration::from_secs(30));
    let near = Near::alone(house.store(&[1]), parts, &aside);
    let carrier = carrier(&house, &[1]).telling(aside);
    for (version, file) in [(1, first), (2, second)] {
        let pieces = stream::iter([Ok(file)]).boxed();
        assert_eq!(carrier.import(pieces, terms(NOW)).await.unwrap(), imported(1));
        for _ in 0..2 {
            assert_eq!(near.load(&ticket, NOW).await.unwrap().unwrap().version, version);
        }
    }
}
