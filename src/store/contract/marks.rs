//! What logouts that a provider announces ask of every store (R84, R85).
//!
//! I own: the tests of marks and of what the indexes keep. I may call: `house`, and the helpers of the suite.

use super::house::{House, NOW};
use super::{renewed, signed_in};
use crate::domain::identity::Issuer;
use crate::domain::logout::Mark;
use crate::domain::session::tests::session;
use crate::domain::session::{Session, SessionKey};
use crate::domain::time::Timestamp;
use crate::keyring::{new_ticket, session_key};
use crate::ports::{SessionStore, Updated};
use std::sync::Arc;
use std::time::Duration;

const KEEP: Duration = Duration::from_secs(600);

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// A replacement that did not come about must not shorten what leads to the record.
pub(super) async fn r85_an_index_entry_lives_as_long_as_its_record(house: House) {
    let store = house.store(&[1]);
    let (ticket, key) = signed_in(&store, &session()).await;
    let who = session().identity;
    let last_moments = Session { ends: later(10), ..session() };
    assert_eq!(store.update(&ticket, &last_moments, 7, NOW).await.unwrap(), Updated::Conflict);
    // By the clock that is passed in, beyond the end that was not written.
    let then = later(11);
    assert!(store.load(&ticket, then).await.unwrap().is_some());
    assert_eq!(store.of_subject(&who.issuer, &who.subject, then).await.unwrap(), [key]);
    assert_eq!(store.of_provider_sid(&who.issuer, "idp-session", then).await.unwrap(), [key]);
    // One that did come about may leave an entry behind, never a session without one.
    assert_eq!(store.update(&ticket, &renewed("two"), 1, NOW).await.unwrap(), Updated::Done(2));
    assert_eq!(store.of_subject(&who.issuer, &who.subject, then).await.unwrap(), [key]);
}

pub(super) async fn r85_a_mark_keeps_its_latest_moment_and_its_longest_life(house: House) {
    let store = house.store(&[1]);
    let who = session().identity;
    let all = Mark::not_before(&who.issuer, &who.subject, Some("idp-session"));
    let elsewhere = Issuer::new("https://idp.example.com/");
    assert_eq!(store.marked(&all, NOW).await.unwrap(), None);
    for (mark, at) in all.iter().zip([3, 1, 2]) {
        assert_eq!(store.marked(&[*mark], NOW).await.unwrap(), None, "{mark:?}");
        store.mark(*mark, later(at), KEEP).await.unwrap();
        assert_eq!(store.marked(&[*mark], later(at)).await.unwrap(), Some(later(at)), "{mark:?}");
    }
    assert_eq!(store.marked(&all, later(3)).await.unwrap(), Some(later(3)));
    // No later moment gives way to an earlier one, whose clock was slow, and no long life to a short one.
    store.mark(all[0], later(2), Duration::from_secs(1)).await.unwrap();
    assert_eq!(store.marked(&all[..1], later(500)).await.unwrap(), Some(later(3)));
    store.mark(all[0], later(9), KEEP).await.unwrap();
    assert_eq!(store.marked(&all[..1], later(600)).await.unwrap(), Some(later(9)));
    // Names of one kind are not those of another, nor those of another issuer.
    for other in [
        Mark::Person(&elsewhere, &who.subject),
        Mark::ProviderSession(&elsewhere, "idp-session"),
        Mark::ProviderSession(&who.issuer, who.subject.as_str()),
        Mark::Notice(&who.issuer, "idp-session"),
    ] {
        assert_eq!(store.marked(&[other], later(3)).await.unwrap(), None, "{other:?}");
    }
    // After a change of keys too.
    assert_eq!(house.store(&[2, 1]).marked(&all, later(10)).await.unwrap(), Some(later(9)));
}

/// Every order in which the steps of a login (`create` writes index and record, then it looks for marks) and those of a
/// logout (mark, index, removal) can fall between each other leaves no session of the one who is gone.
pub(super) async fn r85_a_login_and_a_logout_at_once_leave_no_session(house: House) {
    let store = house.store(&[1]);
    // The login has two steps, the logout three: at which of its three does each step of the login happen?
    for (create_before, look_before) in
        [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3)]
    {
        let mut session = session();
        session.provider_sid = Some(format!("{create_before}-{look_before}"));
        let sid = session.provider_sid.clone().unwrap();
        let issuer = session.identity.issuer.clone();
        let ticket = new_ticket().unwrap();
        let (began, mark) = (NOW, Mark::ProviderSession(&issuer, &sid));
        let mut members: Vec<SessionKey> = Vec::new();
        for step in 0..=3 {
            if create_before == step {
                store.create(&ticket, &session, NOW).await.unwrap();
            }
            if look_before == step {
                look(&store, &session, &session_key(&ticket), began).await;
            }
            match step {
                0 => store.mark(mark, NOW, KEEP).await.unwrap(),
                1 => members = store.of_provider_sid(&issuer, &sid, NOW).await.unwrap(),
                2 => {
                    for key in &members {
                        store.remove(key).await.unwrap();
                    }
                }
                _ => {}
            }
        }
        let left = store.load(&ticket, NOW).await.unwrap();
        assert!(left.is_none(), "created before step {create_before}, looked before step {look_before}");
        assert!(store.of_provider_sid(&issuer, &sid, NOW).await.unwrap().is_empty());
    }
}

/// The last step of a login.
async fn look(store: &Arc<dyn SessionStore>, session: &Session, key: &SessionKey, began: Timestamp) {
    let who = &session.identity;
    let marks = Mark::not_before(&who.issuer, &who.subject, session.provider_sid.as_deref());
    if store.marked(&marks, NOW).await.unwrap().is_some_and(|ended| began <= ended) {
        store.remove(key).await.unwrap();
    }
}
