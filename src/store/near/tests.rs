//! What is answered from memory, and what never is: over a store in memory, with the feed played by the test.

use super::*;
use crate::domain::session::tests::session;
use crate::keyring::new_ticket;
use crate::ports::Entry;
use crate::store::contract::house::{NOW, ring};
use crate::store::memory::Memory;
use crate::store::sealed::Sealed;
use std::sync::Mutex;
use tokio::sync::Notify;

/// A stopwatch that stands still until a test moves it, a ledger of events, and whoever waits for news.
#[derive(Default)]
pub(in crate::store) struct Stage {
    elapsed: Mutex<Duration>,
    entered: Mutex<Vec<ports::Near>>,
    told: Mutex<Vec<Option<SessionKey>>>,
    /// Something was told, or the feed has entered its state.
    stirred: Notify,
}

impl Stage {
    pub(in crate::store) fn pass(&self, span: Duration) {
        *self.elapsed.lock().unwrap() += span;
    }

    pub(in crate::store) fn parts(self: &Arc<Self>, outage_grace: Duration) -> NearParts {
        let limits = Limits { idle: Duration::from_secs(1800), lifetime: Duration::from_secs(36_000) };
        NearParts {
            bounds: NearBounds { sessions: 1000, bytes: 16 << 20, outage_grace },
            limits,
            stopwatch: self.clone(),
            ledger: self.clone(),
            news: self.clone(),
        }
    }

    /// Whether the store was asked for the session that was loaded last.
    pub(in crate::store) fn answered(&self) -> &'static str {
        let events = self.events();
        if events.contains(&ports::Near::FellBack) {
            "memory, for want of the store"
        } else if events.contains(&ports::Near::Hit) {
            "memory"
        } else {
            "store"
        }
    }

    pub(in crate::store) fn forget_told(&self) {
        self.told.lock().unwrap().clear();
    }

    pub(in crate::store) fn was_told(&self, key: &SessionKey) -> bool {
        self.told.lock().unwrap().contains(&Some(*key))
    }

    pub(in crate::store) fn was_told_everything(&self) -> bool {
        self.told.lock().unwrap().contains(&None)
    }

    /// Waits until something is so, and looks whenever the feed stirs.
    pub(in crate::store) async fn until(&self, what: &str, is: impl Fn() -> bool) {
        while !is() {
            let stirred = tokio::time::timeout(Duration::from_secs(20), self.stirred.notified()).await;
            stirred.unwrap_or_else(|_| panic!("not in time: {what}"));
        }
    }

    /// What happened since the last question.
    pub(in crate::store) fn events(&self) -> Vec<ports::Near> {
        std::mem::take(&mut *self.entered.lock().unwrap())
    }
}

impl Stopwatch for Stage {
    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap()
    }
}

impl Ledger for Stage {
    fn enter(&self, entry: Entry<'_>) {
        match entry {
            Entry::Near(event) => self.entered.lock().unwrap().push(event),
            _ => self.stirred.notify_one(),
        }
    }

    fn read(&self) -> String {
        String::new()
    }
}

impl News for Stage {
    fn changed(&self, key: &SessionKey) {
        self.told.lock().unwrap().push(Some(*key));
        self.stirred.notify_one();
    }

    fn anything_changed(&self) {
        self.told.lock().unwrap().push(None);
        self.stirred.notify_one();
    }
}

impl Near {
    /// With a feed that was just proved, on a stopwatch that stands still.
    pub(in crate::store) fn proved(store: Arc<dyn SessionStore>) -> Self {
        let near = Self::without_feed(store, Arc::new(Stage::default()).parts(Duration::ZERO));
        near.held.begun();
        near.held.proved(Duration::ZERO);
        near
    }

    /// With a feed that a test plays, by the handle that goes with it.
    pub(in crate::store) fn by_hand(store: Arc<dyn SessionStore>, parts: NearParts) -> (Self, Arc<Held>) {
        let near = Self::without_feed(store, parts);
        let held = Arc::clone(&near.held);
        (near, held)
    }

    /// As the feed tells of a change.
    pub(in crate::store) fn told(&self, key: &SessionKey) {
        self.held.changed(key);
    }
}

const GRACE: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(250);

/// A near cache, the store below it as somebody else sees it, and one session.
struct Scene {
    stage: Arc<Stage>,
    below: Arc<Sealed>,
    near: Near,
    ticket: Ticket,
    key: SessionKey,
}

impl Scene {
    async fn new() -> Self {
        let stage = Arc::new(Stage::default());
        stage.pass(Duration::from_secs(100));
        let below = Arc::new(Sealed::new(Arc::new(Memory::new()), ring(&[1])));
        let near = Near::without_feed(below.clone(), stage.parts(GRACE));
        let ticket = new_ticket().unwrap();
        near.create(&ticket, &session(), NOW).await.unwrap();
        let key = session_key(&ticket);
        Self { stage, below, near, ticket, key }
    }

    /// With a feed that was just proved.
    async fn proved() -> Self {
        let scene = Self::new().await;
        scene.near.held.begun();
        scene.beat();
        assert_eq!(scene.loads().await, [ports::Near::Miss]);
        scene
    }

    fn beat(&self) {
        self.near.held.proved(self.stage.elapsed());
    }

    /// What happens when the session is asked for, which has to be there.
    async fn loads(&self) -> Vec<ports::Near> {
        self.stage.events();
        assert!(self.near.load(&self.ticket, NOW).await.unwrap().is_some());
        self.stage.events()
    }
}

#[tokio::test]
async fn a_session_that_was_read_is_answered_from_memory_while_the_feed_is_proved() {
    let scene = Scene::proved().await;
    for _ in 0..20 {
        assert_eq!(scene.loads().await, [ports::Near::Hit]);
        scene.stage.pass(MOMENT);
        scene.beat();
    }
    // Even where the store knows better: it would have said so.
    scene.below.remove(&scene.key).await.unwrap();
    assert_eq!(scene.loads().await, [ports::Near::Hit]);
}

#[tokio::test]
async fn another_ticket_finds_nothing() {
    let scene = Scene::proved().await;
    assert!(scene.near.load(&new_ticket().unwrap(), NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn a34_an_ending_elsewhere_is_in_force_with_its_news() {
    let scene = Scene::proved().await;
    scene.below.remove(&scene.key).await.unwrap();
    scene.near.held.changed(&scene.key);
    assert_eq!(*scene.stage.told.lock().unwrap().last().unwrap(), Some(scene.key));
    assert!(scene.near.load(&scene.ticket, NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn a34_without_a_proof_nothing_is_believed_for_longer_than_a_second() {
    let scene = Scene::proved().await;
    scene.stage.pass(Duration::from_millis(999));
    assert_eq!(scene.loads().await, [ports::Near::Hit]);
    scene.below.remove(&scene.key).await.unwrap();
    scene.stage.pass(Duration::from_millis(1));
    assert!(scene.near.load(&scene.ticket, NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn a34_a_feed_that_is_lost_or_refused_or_new_or_says_that_everything_changed_is_not_believed() {
    let losses: [fn(&Scene); 4] = [
        |scene| scene.near.held.lost(),
        |scene| scene.near.held.refused(),
        |scene| {
            scene.near.held.lost();
            scene.near.held.begun();
            scene.beat();
        },
        |scene| scene.near.held.everything_changed(),
    ];
    let looks = [true, false, true, true];
    for (lose, looks) in losses.into_iter().zip(looks) {
        let scene = Scene::proved().await;
        assert_eq!(scene.loads().await, [ports::Near::Hit]);
        scene.stage.forget_told();
        lose(&scene);
        assert_eq!(scene.loads().await, [ports::Near::Doubtful]);
        // Whoever waits for news looks for themselves.
        assert_eq!(scene.stage.was_told_everything(), looks);
    }
}

#[tokio::test]
async fn what_was_read_before_the_feed_began_is_read_again() {
    let scene = Scene::new().await;
    assert_eq!(scene.loads().await, [ports::Near::Miss]);
    scene.near.held.begun();
    scene.beat();
    assert_eq!(scene.loads().await, [ports::Near::Doubtful]);
    assert_eq!(scene.loads().await, [ports::Near::Hit]);
}

#[tokio::test]
async fn a_change_made_here_is_seen_here_at_once() {
    let scene = Scene::proved().await;
    let mut renewed = session();
    renewed.acr = Some("gold".into());
    assert_eq!(scene.near.update(&scene.ticket, &renewed, 1, NOW).await.unwrap(), Updated::Done(2));
    let live = scene.near.load(&scene.ticket, NOW).await.unwrap().unwrap();
    assert_eq!((live.version, live.session.acr.as_deref()), (2, Some("gold")));
    // A conflict says that what is held is old.
    scene.below.update(&scene.ticket, &session(), 2, NOW).await.unwrap();
    assert_eq!(scene.near.update(&scene.ticket, &renewed, 2, NOW).await.unwrap(), Updated::Conflict);
    assert_eq!(scene.near.load(&scene.ticket, NOW).await.unwrap().unwrap().version, 3);
    assert!(scene.near.remove(&scene.key).await.unwrap());
    assert!(scene.near.load(&scene.ticket, NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn a_reload_asks_the_store_and_is_kept() {
    let scene = Scene::proved().await;
    scene.below.update(&scene.ticket, &session(), 1, NOW).await.unwrap();
    assert_eq!(scene.near.load(&scene.ticket, NOW).await.unwrap().unwrap().version, 1);
    assert_eq!(scene.near.reload(&scene.ticket, NOW).await.unwrap().unwrap().version, 2);
    assert_eq!(scene.near.load(&scene.ticket, NOW).await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn r47_a_use_elsewhere_keeps_a_session_alive_here() {
    let scene = Scene::proved().await;
    let keep = Duration::from_secs(3600);
    let busy_there = NOW.plus(Duration::from_secs(800));
    scene.below.touch(&scene.key, busy_there, keep).await.unwrap();
    let (near_half, past_half) = (NOW.plus(Duration::from_secs(899)), NOW.plus(Duration::from_secs(900)));
    let live = scene.near.load(&scene.ticket, near_half).await.unwrap().unwrap();
    assert_eq!(live.last_seen, NOW);
    let live = scene.near.load(&scene.ticket, past_half).await.unwrap().unwrap();
    assert_eq!(live.last_seen, busy_there);
    // A use here is known here, without a read.
    let busy_here = NOW.plus(Duration::from_secs(1600));
    scene.near.touch(&scene.key, busy_here, keep).await.unwrap();
    scene.stage.events();
    let live = scene.near.load(&scene.ticket, NOW.plus(Duration::from_secs(2400))).await.unwrap().unwrap();
    assert_eq!((live.last_seen, scene.stage.events()), (busy_here, vec![ports::Near::Hit]));
}
