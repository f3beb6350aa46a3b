//! Endings that a store does not take, or forgets: over stores in memory, one of which can be away or be put back to
//! what it was.

use super::*;
use crate::domain::session::tests::session;
use crate::keyring::new_ticket;
use crate::ports::{Answer, EndingStep, Entry, Ledger, Stopwatch};
use crate::store::around::{Around, Command};
use crate::store::contract::house::{NOW, ring};
use crate::store::memory::Memory as Shelf;
use crate::store::near::tests::Stage;
use crate::store::sealed::Sealed;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const HOUR: Duration = Duration::from_secs(3600);

/// For a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// A store that can be away.
struct Fickle {
    store: Arc<Sealed>,
    away: AtomicBool,
    removed: AtomicUsize,
}

impl Around for Fickle {
    fn inside(&self) -> &dyn SessionStore {
        self.store.as_ref()
    }

    fn pass<'a, T: Send + 'a>(
        &'a self,
        command: Command,
        ask: impl FnOnce(&'a dyn SessionStore) -> Answer<'a, T>,
    ) -> Answer<'a, T> {
        if self.away.load(Ordering::SeqCst) {
            return Box::pin(ready(Err(StoreError::Unavailable("away".into()))));
        }
        if command == Command::Remove {
            self.removed.fetch_add(1, Ordering::SeqCst);
        }
        ask(self.inside())
    }
}

/// What was entered into the ledger.
#[derive(Default)]
struct Steps(Mutex<Vec<EndingStep>>, tokio::sync::Notify);

impl Ledger for Steps {
    fn enter(&self, entry: Entry<'_>) {
        if let Entry::Endings(step) = entry {
            self.0.lock().unwrap().push(step);
            self.1.notify_one();
        }
    }

    fn read(&self) -> String {
        String::new()
    }
}

impl Steps {
    /// Waits for a step to be taken so often.
    async fn until(&self, step: EndingStep, times: usize) {
        let all = async {
            while self.0.lock().unwrap().iter().filter(|taken| **taken == step).count() < times {
                self.1.notified().await;
            }
        };
        tokio::time::timeout(LONG, all).await.unwrap_or_else(|_| panic!("not in time: {step:?}"));
    }
}

struct Scene {
    below: Arc<Fickle>,
    memory: Arc<Memory>,
    steps: Arc<Steps>,
    stage: Arc<Stage>,
    endings: Endings,
}

impl Scene {
    fn with_room_for(most: usize) -> Self {
        let store = Arc::new(Sealed::new(Arc::new(Shelf::new()), ring(&[1]), true));
        let below = Arc::new(Fickle { store, away: AtomicBool::new(false), removed: AtomicUsize::new(0) });
        let (steps, stage) = (Arc::new(Steps::default()), Arc::new(Stage::default()));
        let clock: Arc<dyn Stopwatch> = stage.clone();
        let memory = Arc::new(Memory::new(most, HOUR, clock, steps.clone(), stage.clone()));
        let endings = Endings::around(below.clone(), memory.clone());
        Self { below, memory, steps, stage, endings }
    }

    async fn signed_in(&self) -> (Ticket, SessionKey) {
        let ticket = new_ticket().unwrap();
        self.below.store.create(&ticket, &session(), NOW).await.unwrap();
        let key = session_key(&ticket);
        (ticket, key)
    }

    fn away(&self, away: bool) {
        self.below.away.store(away, Ordering::SeqCst);
    }

    async fn is_live_here(&self, ticket: &Ticket) -> bool {
        self.endings.load(ticket, NOW).await.unwrap().is_some()
    }

    async fn is_live_there(&self, ticket: &Ticket) -> bool {
        self.below.store.load(ticket, NOW).await.unwrap().is_some()
    }

    async fn until_gone_there(&self, ticket: &Ticket) {
        let gone = async {
            while self.is_live_there(ticket).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, gone).await.expect("it is gone in time");
    }
}

#[tokio::test]
async fn a34_whoever_waits_hears_through_it_whatever_the_feed_tells() {
    let scene = Scene::with_room_for(10);
    let (_, key) = scene.signed_in().await;
    let (_, other) = scene.signed_in().await;
    scene.memory.changed(&key);
    assert!(scene.stage.was_told(&key) && !scene.stage.was_told(&other));
    assert!(!scene.stage.was_told_everything());
    scene.memory.anything_changed();
    assert!(scene.stage.was_told_everything());
    scene.memory.ended(&key);
    assert!(scene.stage.was_told_of_end(&key) && !scene.stage.was_told_of_end(&other));
}

#[tokio::test]
async fn a34_an_ending_that_the_store_does_not_take_is_in_force_here_and_written_later() {
    let scene = Scene::with_room_for(10);
    let (ticket, key) = scene.signed_in().await;
    let (stays, _) = scene.signed_in().await;
    scene.away(true);
    assert!(scene.endings.remove(&key).await.unwrap());
    assert!(!scene.endings.remove(&key).await.unwrap(), "it is over already");
    // The store says nothing, and this process knows all the same; of others it does not.
    assert!(!scene.is_live_here(&ticket).await);
    assert!(scene.endings.reload(&ticket, NOW).await.unwrap().is_none());
    assert!(scene.endings.load(&stays, NOW).await.is_err());
    scene.steps.until(EndingStep::Deferred, 1).await;
    scene.away(false);
    // Before it is written, nobody brings it back.
    assert!(!scene.is_live_here(&ticket).await);
    assert_eq!(scene.endings.update(&ticket, &session(), 1, NOW).await.unwrap(), Updated::Gone);
    assert!(scene.endings.glance(&key, NOW).await.unwrap().is_none());
    scene.steps.until(EndingStep::Written, 1).await;
    assert!(!scene.is_live_there(&ticket).await);
    assert!(scene.is_live_here(&stays).await);
}

#[tokio::test]
async fn a34_what_was_owed_is_shown_nowhere() {
    let scene = Scene::with_room_for(10);
    let (_, key) = scene.signed_in().await;
    let (_, other) = scene.signed_in().await;
    scene.away(true);
    scene.endings.remove(&key).await.unwrap();
    scene.away(false);
    let who = session().identity;
    let listed = scene.endings.list(None, 10, NOW).await.unwrap().entries;
    assert_eq!(listed.iter().map(|listed| listed.key).collect::<Vec<_>>(), [other]);
    assert_eq!(scene.endings.of_subject(&who.issuer, &who.subject, NOW).await.unwrap(), [other]);
    assert_eq!(scene.endings.of_provider_sid(&who.issuer, "idp-session", NOW).await.unwrap(), [other]);
}

#[tokio::test]
async fn a34_an_ending_that_the_store_forgets_is_written_again_when_it_began_anew() {
    let scene = Scene::with_room_for(10);
    let (ticket, key) = scene.signed_in().await;
    assert!(scene.endings.remove(&key).await.unwrap());
    // A failover to a replica that had not heard of it.
    scene.below.store.create(&ticket, &session(), NOW).await.unwrap();
    assert!(!scene.is_live_here(&ticket).await, "refused here, whatever the store says");
    assert!(scene.is_live_there(&ticket).await);
    scene.memory.began_anew();
    scene.until_gone_there(&ticket).await;
    scene.steps.until(EndingStep::Forgotten, 1).await;
    // Those that it had not forgotten are written once more, and that is all.
    scene.memory.began_anew();
    let written = async {
        while scene.below.removed.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, written).await.expect("it is written once more");
    assert_eq!(scene.steps.0.lock().unwrap().len(), 1);
    // After ten minutes nothing is remembered.
    scene.stage.pass(Duration::from_secs(600));
    scene.below.store.create(&ticket, &session(), NOW).await.unwrap();
    scene.memory.began_anew();
    assert!(scene.is_live_here(&ticket).await);
}

#[tokio::test]
async fn a34_a_store_that_answers_again_may_be_another_one() {
    let scene = Scene::with_room_for(10);
    let (ticket, key) = scene.signed_in().await;
    assert!(scene.endings.remove(&key).await.unwrap());
    scene.below.store.create(&ticket, &session(), NOW).await.unwrap();
    scene.away(true);
    assert!(scene.endings.ping().await.is_err());
    scene.away(false);
    scene.endings.ping().await.unwrap();
    scene.until_gone_there(&ticket).await;
}

#[tokio::test]
async fn a34_where_there_is_no_room_nothing_is_claimed() {
    let scene = Scene::with_room_for(1);
    let ((one, first), (two, second)) = (scene.signed_in().await, scene.signed_in().await);
    scene.away(true);
    assert!(scene.endings.remove(&first).await.unwrap());
    assert!(scene.endings.remove(&second).await.is_err(), "neither the store nor memory has taken it");
    assert!(!scene.is_live_here(&one).await);
    scene.away(false);
    assert!(scene.is_live_here(&two).await);
    assert!(scene.endings.remove(&second).await.unwrap());
    scene.until_gone_there(&one).await;
}

#[tokio::test]
async fn a34_whoever_does_not_wait_for_the_answer_has_ended_it_all_the_same() {
    let scene = Scene::with_room_for(10);
    let (ticket, key) = scene.signed_in().await;
    let mut never = Asked { memory: &scene.memory, ask: None };
    let Noted::Here(ask) = scene.memory.note(Over::Session(key)) else { panic!() };
    never.ask = Some(ask);
    drop(never);
    scene.until_gone_there(&ticket).await;
}

#[tokio::test]
async fn a34_r85_a_mark_that_the_store_does_not_take_is_in_force_here_and_written_later() {
    let scene = Scene::with_room_for(10);
    let (ticket, _) = scene.signed_in().await;
    let who = session().identity;
    let mark = Mark::Person(&who.issuer, &who.subject);
    scene.away(true);
    let heard = Mark::Notice(&who.issuer, "token");
    assert!(scene.endings.mark(heard, NOW, HOUR).await.is_err(), "nothing was heard to the end");
    scene.endings.mark(mark, session().started, HOUR).await.unwrap();
    scene.away(false);
    assert!(!scene.is_live_here(&ticket).await);
    // A login that is completed now finds it, whether it is written or not.
    assert_eq!(scene.endings.marked(&[mark], NOW).await.unwrap(), Some(session().started));
    scene.steps.until(EndingStep::Written, 1).await;
    assert_eq!(scene.below.store.marked(&[mark], NOW).await.unwrap(), Some(session().started));
}

#[tokio::test]
async fn a34_the_last_attempt_is_made_when_the_gateway_stops() {
    let scene = Scene::with_room_for(10);
    let (ticket, key) = scene.signed_in().await;
    scene.away(true);
    scene.endings.writer.abort();
    scene.endings.remove(&key).await.unwrap();
    scene.endings.settle().await;
    assert_eq!(scene.memory.count_owed(), 1);
    scene.away(false);
    scene.endings.settle().await;
    assert_eq!(scene.memory.count_owed(), 0);
    assert!(!scene.is_live_there(&ticket).await);
}

#[tokio::test]
async fn what_somebody_else_has_ended_is_remembered_too() {
    let scene = Scene::with_room_for(10);
    let (ticket, key) = scene.signed_in().await;
    scene.memory.ended(&key);
    assert!(!scene.is_live_here(&ticket).await);
    assert_eq!(scene.below.removed.load(Ordering::SeqCst), 0, "they write it themselves");
    scene.memory.began_anew();
    scene.until_gone_there(&ticket).await;
}
