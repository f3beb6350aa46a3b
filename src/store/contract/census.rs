//! What every store must tell of its keys, and that they can be changed while it is open.
//!
//! I own: the tests of the census and of a change of keys. I may call: `house`, and the helpers of the suite.

use super::house::{House, NOW, keys, ring};
use super::{read, renewed, signed_in};
use crate::domain::session::Session;
use crate::domain::session::tests::session;
use crate::domain::time::Timestamp;
use crate::ports::{self, KeyCensus as _, KeyRole, KeyUse, SessionStore, Updated};
use crate::store::census::Census;
use crate::store::record::tests::everything;
use crate::store::sealed::Sealed;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;

async fn census(house: &House, bytes: &[u8]) -> ports::Census {
    Census::new(house.backend.clone(), ring(bytes)).take(None, NOW).await.unwrap()
}

fn name(byte: u8) -> String {
    keys(&[byte])[0].id().to_string()
}

/// The counts of one key: records, index entries, sessions.
fn of(census: &ports::Census, byte: u8) -> (KeyRole, u64, u64, u64) {
    let key = census.keys.iter().find(|key| key.id == name(byte)).unwrap();
    (key.role, key.records, key.index_entries, key.sessions)
}

fn last_end(census: &ports::Census, byte: u8) -> Option<Timestamp> {
    census.keys.iter().find(|key| key.id == name(byte)).unwrap().last_end
}

/// Sealed under the old key, then under the new one: until the session is over, its first index entries and its cookie
/// are those of the old key.
pub(super) async fn r44_a_key_is_needed_as_long_as_a_session_began_with_it(house: House) {
    let (old, rotated) = (house.store(&[1]), house.store(&[2, 1]));
    let late = Session { ends: session().ends.plus(Duration::from_secs(60)), ..session() };
    let (ticket, key) = signed_in(&old, &late).await;
    let (_, untouched) = signed_in(&old, &session()).await;
    let before = census(&house, &[2, 1]).await;
    assert!(before.is_complete && before.unreadable == 0);
    assert_eq!(before.keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>(), [name(2), name(1)]);
    assert_eq!(of(&before, 2), (KeyRole::Seals, 0, 0, 0));
    assert_eq!(of(&before, 1), (KeyRole::Opens, 2, 4, 2));
    assert_eq!((last_end(&before, 1), last_end(&before, 2)), (Some(late.ends), None));
    assert_eq!(rotated.update(&ticket, &late, 1, NOW).await.unwrap(), Updated::Done(2));
    let between = census(&house, &[2, 1]).await;
    assert_eq!(of(&between, 2), (KeyRole::Seals, 1, 2, 1));
    assert_eq!(of(&between, 1), (KeyRole::Opens, 1, 4, 2));
    assert!(rotated.remove(&untouched).await.unwrap());
    let almost = census(&house, &[2, 1]).await;
    assert_eq!(of(&almost, 1), (KeyRole::Opens, 0, 2, 1));
    assert!(almost.keys.iter().all(|key| !key.can_be_removed()), "a cookie may still be signed with it");
    assert!(rotated.remove(&key).await.unwrap());
    let (_, key) = signed_in(&rotated, &session()).await;
    let after = census(&house, &[2, 1]).await;
    assert_eq!((of(&after, 2), of(&after, 1)), ((KeyRole::Seals, 1, 2, 1), (KeyRole::Opens, 0, 0, 0)));
    let free = |key: &KeyUse| key.can_be_removed();
    assert_eq!(after.keys.iter().map(free).collect::<Vec<_>>(), [false, true]);
    assert!(rotated.remove(&key).await.unwrap());
}

pub(super) async fn r44_a_key_that_is_missing_is_told_with_what_it_has_sealed(house: House) {
    let old = house.store(&[1]);
    for _ in 0..3 {
        signed_in(&old, &session()).await;
    }
    let (_, forged) = signed_in(&old, &session()).await;
    let found = house.found(&forged).await;
    house.forge(&forged, 1, found.private, b"x".to_vec()).await;
    let after = census(&house, &[2]).await;
    assert_eq!((of(&after, 1), after.unreadable), ((KeyRole::Missing, 3, 0, 3), 1));
    assert_eq!(of(&after, 2), (KeyRole::Seals, 0, 0, 0));
    assert!(after.keys.iter().all(|key| !key.can_be_removed()));
}

/// More than a page, and a store that is only looked into.
pub(super) async fn a_census_walks_through_all_pages_or_stops_early(house: House) {
    let store = house.store(&[1]);
    let session = session();
    join_all((0..1100).map(|_| signed_in(&store, &session))).await;
    let all = census(&house, &[1]).await;
    assert!(all.is_complete);
    assert_eq!(of(&all, 1), (KeyRole::Seals, 1100, 2200, 1100));
    let some = Census::new(house.backend.clone(), ring(&[1])).take(Some(10), NOW).await.unwrap();
    assert!(!some.is_complete);
    assert!((1..1100).contains(&some.keys[0].records), "{}", some.keys[0].records);
}

/// The ring is changed under a store that is open.
pub(super) async fn r44_a_store_seals_with_a_new_key_from_one_moment_to_the_next(house: House) {
    let shared = ring(&[1]);
    let store: Arc<dyn SessionStore> = Arc::new(Sealed::new(house.backend.clone(), shared.clone(), true));
    let (before, _) = signed_in(&store, &session()).await;
    shared.change_to(&ring(&[2, 1]));
    let (after, _) = signed_in(&store, &renewed("after")).await;
    assert_eq!(read(&store, &before).await, Some(everything(&session())));
    assert_eq!(read(&house.store(&[2]), &after).await, Some(everything(&renewed("after"))));
    let who = session().identity;
    assert_eq!(store.of_subject(&who.issuer, &who.subject, NOW).await.unwrap().len(), 2);
    assert_eq!(of(&census(&house, &[2, 1]).await, 1), (KeyRole::Opens, 1, 2, 1));
}
