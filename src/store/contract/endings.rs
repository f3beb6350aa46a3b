//! What endings ask of every store: debts, and one moment for everybody.
//!
//! I own: the tests of `ports::Outbox` and of the shelf behind `ports::Clearing`. I may call: `house`, and the helpers of
//! the suite.

use super::house::{House, NOW};
use super::{renewed, signed_in};
use crate::domain::identity::{ProviderId, Subject};
use crate::domain::session::Session;
use crate::domain::session::tests::session;
use crate::domain::time::Timestamp;
use crate::ports::{Debt, GIVEN_UP_AFTER, Outbox, Owed, Taken, Updated};
use crate::store::Row;
use std::sync::Arc;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(60);

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

async fn taken(outbox: &Arc<dyn Outbox>, now: Timestamp) -> Vec<Debt> {
    let taken = outbox.take(now, LEASE, 100).await.unwrap();
    assert_eq!(taken.unreadable, 0);
    taken.debts
}

pub(super) async fn r56_a_debt_is_given_to_one_and_comes_back_when_its_lease_is_over(house: House) {
    let (one, other) = (house.outbox(&[1]), house.outbox(&[2, 1]));
    let (_, key) = signed_in(&house.store(&[1]), &session()).await;
    let owed = Owed::of(&session()).unwrap();
    one.note(&key, &owed, later(5), NOW).await.unwrap();
    assert_eq!((taken(&one, later(4)).await.len(), one.count().await.unwrap()), (0, 1));
    let debts = taken(&one, later(5)).await;
    let [debt] = debts.as_slice() else { panic!("{} debts", debts.len()) };
    assert_eq!((debt.session, debt.owed.provider.as_str(), debt.noted), (key, "corp", NOW));
    assert_eq!(debt.owed.token.expose(), "refresh");
    // Until then it is nobody else's; then it is whoever's comes, also after a change of keys.
    assert!(taken(&other, later(64)).await.is_empty());
    let debts = taken(&other, later(65)).await;
    assert_eq!(debts.len(), 1);
    other.defer(&debts[0], later(70)).await.unwrap();
    assert!(taken(&one, later(69)).await.is_empty());
    let debts = taken(&one, later(70)).await;
    one.settle(&debts[0].name).await.unwrap();
    assert_eq!(one.count().await.unwrap(), 0);
    // What is settled does not come back.
    one.defer(&debts[0], later(70)).await.unwrap();
    assert_eq!(one.count().await.unwrap(), 0);
}

pub(super) async fn r56_a_debt_names_what_its_record_held_and_its_record_goes_in_that_version_only(
    house: House,
) {
    let (store, outbox) = (house.store(&[1]), house.outbox(&[1]));
    let (ticket, key) = signed_in(&store, &session()).await;
    let standing = outbox.look(&key, NOW).await.unwrap().unwrap();
    let owed = standing.owed.unwrap();
    assert_eq!((standing.version, owed.provider.as_str(), owed.token.expose()), (1, "corp", "refresh"));
    let stands_on = owed.stands_on;
    assert_eq!(stands_on.issuer.as_str(), "https://idp.example.com");
    assert_eq!(
        (stands_on.subject.as_str(), stands_on.provider_sid.as_deref()),
        ("alice", Some("idp-session"))
    );
    // Other tokens have come meanwhile.
    assert_eq!(store.update(&ticket, &renewed("two"), 1, NOW).await.unwrap(), Updated::Done(2));
    assert_eq!(outbox.remove_at(&key, 1, NOW).await.unwrap(), None);
    let standing = outbox.look(&key, NOW).await.unwrap().unwrap();
    assert_eq!(standing.owed.unwrap().token.expose(), "two-refresh");
    assert_eq!(outbox.remove_at(&key, 2, NOW).await.unwrap(), Some(true));
    assert_eq!(outbox.remove_at(&key, 2, NOW).await.unwrap(), Some(false));
    assert!(outbox.look(&key, NOW).await.unwrap().is_none());
    // Nothing leads there, and nothing brings it back (R88).
    let who = session().identity;
    assert!(store.of_subject(&who.issuer, &who.subject, NOW).await.unwrap().is_empty());
    assert!(store.of_provider_sid(&who.issuer, "idp-session", NOW).await.unwrap().is_empty());
    assert_eq!(store.update(&ticket, &session(), 2, NOW).await.unwrap(), Updated::Gone);
}

pub(super) async fn r56_a_token_is_needed_as_long_as_anybody_stands_on_it(house: House) {
    let (store, outbox) = (house.store(&[1]), house.outbox(&[1]));
    let (_, key) = signed_in(&store, &session()).await;
    let (_, other) = signed_in(&store, &renewed("two")).await;
    // Another person's, and one that stands on nothing.
    let mut foreign = session();
    foreign.identity.subject = Subject::parse("bob").unwrap();
    signed_in(&store, &foreign).await;
    signed_in(&store, &Session { provider_sid: None, ..session() }).await;
    outbox.note(&key, &Owed::of(&session()).unwrap(), NOW, NOW).await.unwrap();
    let debts = taken(&outbox, NOW).await;
    assert!(!outbox.is_needless(&debts[0], NOW).await.unwrap(), "its record is there");
    assert!(store.remove(&key).await.unwrap());
    assert!(!outbox.is_needless(&debts[0], NOW).await.unwrap(), "the other one stands on the same");
    assert!(store.remove(&other).await.unwrap());
    assert!(outbox.is_needless(&debts[0], NOW).await.unwrap());
    // One that is found there and cannot be read may stand on it.
    let (_, unknown) = signed_in(&store, &session()).await;
    let operator = b"damaged".to_vec();
    let row = Row { version: 2, private: Vec::new(), operator, indexes: Vec::new(), expires: session().ends };
    assert_eq!(house.backend.replace(&unknown, &row, 1, NOW).await.unwrap(), Updated::Done(2));
    assert!(!outbox.is_needless(&debts[0], NOW).await.unwrap(), "whatever it is");
    assert!(store.remove(&unknown).await.unwrap());
    assert!(outbox.is_needless(&debts[0], NOW).await.unwrap());
    // One whose record cannot be read may be anybody's.
    house.forge(&key, 1, Vec::new(), b"damaged".to_vec()).await;
    assert!(!outbox.is_needless(&debts[0], NOW).await.unwrap());
}

pub(super) async fn r56_without_a_sid_what_was_replaced_is_spared_for_any_session_of_the_person(
    house: House,
) {
    let (store, outbox) = (house.store(&[1]), house.outbox(&[1]));
    let nameless = || Session { provider_sid: None, ..session() };
    let (_, key) = signed_in(&store, &nameless()).await;
    assert!(store.remove(&key).await.unwrap());
    let mut foreign = nameless();
    foreign.identity.subject = Subject::parse("bob").unwrap();
    signed_in(&store, &foreign).await;
    signed_in(&store, &Session { provider: ProviderId::parse("other").unwrap(), ..nameless() }).await;
    let owed = || Owed::of(&nameless()).unwrap();
    outbox.note(&key, &owed().of_replaced(), NOW, NOW).await.unwrap();
    outbox.note(&key, &owed(), NOW, NOW).await.unwrap();
    let debts = taken(&outbox, NOW).await;
    assert_eq!(debts.len(), 2);
    for debt in &debts {
        assert!(outbox.is_needless(debt, NOW).await.unwrap(), "others have nothing to do with it");
    }
    let (_, next) = signed_in(&store, &nameless()).await;
    for debt in &debts {
        assert_eq!(
            outbox.is_needless(debt, NOW).await.unwrap(),
            !debt.owed.replaced,
            "an ending on purpose does not wait"
        );
    }
    assert!(store.remove(&next).await.unwrap());
    for debt in &debts {
        assert!(outbox.is_needless(debt, NOW).await.unwrap());
    }
}

pub(super) async fn r56_a_debt_waits_for_its_key_for_a_day(house: House) {
    let (one, other) = (house.outbox(&[1]), house.outbox(&[2]));
    let (_, key) = signed_in(&house.store(&[1]), &session()).await;
    one.note(&key, &Owed::of(&session()).unwrap(), NOW, NOW).await.unwrap();
    let look = |taken: Taken| (taken.debts.len(), taken.waiting, taken.unreadable);
    assert_eq!(look(other.take(NOW, LEASE, 100).await.unwrap()), (0, 1, 0));
    assert_eq!(look(other.take(NOW, LEASE, 100).await.unwrap()), (0, 0, 0));
    // Whoever has the key, or gets it, carries it out.
    assert_eq!(taken(&one, later(60)).await.len(), 1);
    let end = NOW.plus(GIVEN_UP_AFTER);
    assert_eq!(look(other.take(end, LEASE, 100).await.unwrap()), (0, 0, 1));
    assert_eq!(one.count().await.unwrap(), 0);
}

pub(super) async fn r44_a_debt_is_noise_without_the_keys(house: House) {
    let outbox = house.outbox(&[1]);
    let (_, key) = signed_in(&house.store(&[1]), &session()).await;
    let mut owed = Owed::of(&session()).unwrap();
    owed.token = crate::domain::secret::RefreshToken::new("a-token-of-its-own");
    outbox.note(&key, &owed, NOW, NOW).await.unwrap();
    for value in house.dump().await {
        let has = |word: &[u8]| value.windows(word.len()).any(|window| window == word);
        assert!(!has(b"a-token-of-its-own") && !has(b"corp"));
    }
    // Moved to another session, it opens for nobody, and is thrown away.
    let shelf = house.endings();
    let name = shelf.claim(NOW, NOW, 100).await.unwrap().remove(0);
    shelf.settle(&name).await.unwrap();
    let mut moved = name;
    moved[3] ^= 1;
    shelf.owe(&moved, NOW).await.unwrap();
    let taken = outbox.take(NOW, LEASE, 100).await.unwrap();
    assert_eq!((taken.debts.len(), taken.unreadable, outbox.count().await.unwrap()), (0, 1, 0));
}

pub(super) async fn a_moment_for_everybody_is_kept_and_only_moves_on(house: House) {
    let shelf = house.endings();
    let keep = Duration::from_secs(600);
    assert_eq!(shelf.cleared(NOW).await.unwrap().latest(), Timestamp::NEVER);
    shelf.clear(later(5), keep).await.unwrap();
    shelf.clear(later(3), keep).await.unwrap();
    assert_eq!(shelf.cleared(later(6)).await.unwrap().latest(), later(5));
    shelf.clear(later(7), keep).await.unwrap();
    assert_eq!(shelf.cleared(later(600)).await.unwrap().latest(), later(7));
    // It is no session to anybody who lists them.
    assert!(house.store(&[1]).list(None, 100, NOW).await.unwrap().entries.is_empty());
}
