//! What operators see of a store.
//!
//! I own: the tests of listings and of a look at one session. I may call: `house`, and the helpers of the suite.

use super::house::{House, NOW};
use super::signed_in;
use crate::domain::login::LoginId;
use crate::domain::session::tests::session;
use crate::ports::{Cursor, Listed, Listing, SessionStore};
use std::sync::Arc;
use std::time::Duration;

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

pub(super) async fn operators_see_every_session_and_no_secret(house: House) {
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

pub(super) async fn what_does_not_open_is_listed_without_a_word(house: House) {
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
    let unread = walk(&house.store(&[2]), 10).await;
    assert!(unread.len() == 2 && unread.iter().all(|entry| entry.summary.is_none()));
    let foreign = store.list(Some(&Cursor(b"\xff nonsense".to_vec())), 10, NOW).await;
    assert!(foreign.is_err() || foreign.is_ok_and(|page| page.entries.len() <= 2));
}

pub(super) async fn one_session_is_shown_by_its_key(house: House) {
    let store = house.store(&[1]);
    let (_, key) = signed_in(&store, &session()).await;
    let shown = store.glance(&key, NOW).await.unwrap().unwrap();
    assert_eq!((shown.key, shown.last_seen), (key, Some(NOW)));
    assert_eq!(shown.summary.unwrap().subject, session().identity.subject);
    let found = house.found(&key).await;
    house.forge(&key, 1, found.private, b"damaged".to_vec()).await;
    assert!(store.glance(&key, NOW).await.unwrap().unwrap().summary.is_none());
    assert!(store.remove(&key).await.unwrap());
    assert!(store.glance(&key, NOW).await.unwrap().is_none());
}
