//! What the renewal of tokens asks of every store (R45).
//!
//! I own: the tests of leases. I may call: `house`, and the helpers of the suite.

use super::house::{House, NOW};
use crate::domain::renewal::LeaseId;
use crate::domain::session::SessionKey;
use crate::keyring::{new_lease_id, new_ticket, session_key};
use futures_util::future::join_all;
use std::time::Duration;

const KEEP: Duration = Duration::from_secs(60);

fn some_key() -> SessionKey {
    session_key(&new_ticket().unwrap())
}

pub(super) async fn r45_a_lease_has_one_holder(house: House) {
    let store = house.store(&[1]);
    let (key, other) = (some_key(), some_key());
    let (one, two) = (new_lease_id().unwrap(), new_lease_id().unwrap());
    assert!(store.lease(&key, one, NOW, KEEP).await.unwrap());
    assert!(!store.lease(&key, two, NOW, KEEP).await.unwrap());
    assert!(store.lease(&key, one, NOW, KEEP).await.unwrap(), "renewed by its holder");
    assert!(store.lease(&other, two, NOW, KEEP).await.unwrap(), "of another session");
    // Nobody gives back what is not theirs.
    store.release(&key, two).await.unwrap();
    assert!(!store.lease(&key, two, NOW, KEEP).await.unwrap());
    store.release(&key, one).await.unwrap();
    store.release(&key, one).await.unwrap();
    assert!(store.lease(&key, two, NOW, KEEP).await.unwrap());
    // A late release of the one before does not cost the next one its lease.
    store.release(&key, one).await.unwrap();
    assert!(!store.lease(&key, one, NOW, KEEP).await.unwrap());
}

pub(super) async fn r45_of_many_at_once_one_gets_the_lease(house: House) {
    let store = house.store(&[1]);
    let key = some_key();
    let holders: Vec<LeaseId> = (0..50).map(|_| new_lease_id().unwrap()).collect();
    let taken = join_all(holders.iter().map(|holder| store.lease(&key, *holder, NOW, KEEP))).await;
    assert_eq!(taken.into_iter().filter(|taken| *taken.as_ref().unwrap()).count(), 1);
}

pub(super) async fn r45_a_lease_that_nobody_gives_back_ends_by_itself(house: House) {
    let store = house.store(&[1]);
    let key = some_key();
    let (one, two) = (new_lease_id().unwrap(), new_lease_id().unwrap());
    let short = Duration::from_millis(50);
    assert!(store.lease(&key, one, NOW, short).await.unwrap());
    // By the clock that is passed in, or by that of a server.
    let then = NOW.plus(short);
    for _ in 0..10_000 {
        if store.lease(&key, two, then, KEEP).await.unwrap() {
            assert!(!store.lease(&key, one, then, KEEP).await.unwrap());
            return;
        }
    }
    panic!("the lease does not end");
}
