//! What is answered from memory, and what never is: over a store in memory, with the feed played by the test.

mod owing;

use super::held::Told;
use super::*;
use crate::domain::session::tests::session;
use crate::keyring::new_ticket;
use crate::ports::Entry;
use crate::store::clearing::Slate;
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
    ends: Mutex<Vec<SessionKey>>,
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

    pub(in crate::store) fn was_told_of_end(&self, key: &SessionKey) -> bool {
        self.ends.lock().unwrap().contains(key)
    }

    pub(in crate::store) fn was_told_everything(&self) -> bool {
        self.told.lock().unwrap().contains(&None)
    }

    /// Waits until something is so, and looks whenever the feed stirs.
    pub(in crate::store) async fn until(&self, what: &str, is: impl Fn() -> bool) {
        // Heartbeats stir it for ever: the bound is on the whole.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !is() {
            let stirred = tokio::time::timeout_at(deadline, self.stirred.notified()).await;
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

    fn ended(&self, key: &SessionKey) {
        self.ends.lock().unwrap().push(*key);
        self.stirred.notify_one();
    }
}

impl Near {
    /// With a feed that was just proved, on a stopwatch that stands still.
    pub(in crate::store) fn proved(store: Arc<dyn SessionStore>) -> Self {
        let near = Self::without_feed(store, Arc::new(Stage::default()).parts(Duration::ZERO));
        near.told_by_the_feed().begun();
        near.told_by_the_feed().proved(Duration::ZERO);
        near
    }

    fn without_feed(store: Arc<dyn SessionStore>, parts: NearParts) -> Self {
        Self::around(store, parts, Spread::ONE)
    }

    /// With a feed that a test plays, by what the feed speaks through.
    pub(in crate::store) fn by_hand(store: Arc<dyn SessionStore>, parts: NearParts) -> (Self, Told) {
        let near = Self::without_feed(store, parts);
        let told = near.told_by_the_feed();
        (near, told)
    }

    /// What the feed tells is told to this as well.
    pub(in crate::store) fn tells(&self, slate: &Slate) {
        slate.follow(&self.held);
    }

    /// As the one feed tells it.
    fn told_by_the_feed(&self) -> Told {
        Told::by(&self.held, 0)
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
        let below = Arc::new(Sealed::new(Arc::new(Memory::new()), ring(&[1]), true));
        let near = Near::without_feed(below.clone(), stage.parts(GRACE));
        let ticket = new_ticket().unwrap();
        near.create(&ticket, &session(), NOW).await.unwrap();
        let key = session_key(&ticket);
        Self { stage, below, near, ticket, key }
    }

    /// With a feed that was just proved.
    async fn proved() -> Self {
        let scene = Self::new().await;
        scene.near.told_by_the_feed().begun();
        scene.beat();
        assert_eq!(scene.loads().await, [ports::Near::Miss]);
        scene
    }

    fn beat(&self) {
        self.near.told_by_the_feed().proved(self.stage.elapsed());
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
        |scene| scene.near.told_by_the_feed().lost(),
        |scene| scene.near.told_by_the_feed().refused(),
        |scene| {
            scene.near.told_by_the_feed().lost();
            scene.near.told_by_the_feed().begun();
            scene.beat();
        },
        |scene| scene.near.told_by_the_feed().everything_changed(),
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
    scene.near.told_by_the_feed().begun();
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

/// The record is what it was when it was made, as after a failover that lost what was written since.
async fn fall_back(scene: &Scene) {
    scene.below.remove(&scene.key).await.unwrap();
    scene.below.create(&scene.ticket, &session(), NOW).await.unwrap();
    Told::by(&scene.near.held, 0).everything_changed();
}

/// The session as it is after new tokens have come, held here.
async fn renewed(scene: &Scene) {
    let mut renewed = session();
    renewed.acr = Some("gold".into());
    renewed.renewal.generation += 1;
    for expected in 1..4 {
        assert_eq!(
            scene.near.update(&scene.ticket, &renewed, expected, NOW).await.unwrap(),
            Updated::Done(expected + 1)
        );
    }
    scene.loads().await;
}

async fn acr(store: &dyn SessionStore, ticket: &Ticket) -> (u64, Option<String>) {
    let live = store.load(ticket, NOW).await.unwrap().unwrap();
    (live.version, live.session.acr.clone())
}

#[tokio::test]
async fn a34_a_later_version_that_the_store_has_forgotten_is_put_back() {
    let scene = Scene::proved().await;
    renewed(&scene).await;
    fall_back(&scene).await;
    let gold = (4, Some("gold".to_owned()));
    assert_eq!(acr(scene.below.as_ref(), &scene.ticket).await, (1, None));
    assert_eq!(acr(&scene.near, &scene.ticket).await, gold);
    assert!(scene.stage.events().contains(&ports::Near::PutBack));
    // Under its own number: another gateway that holds it too finds it there, and leaves it alone.
    assert_eq!(acr(scene.below.as_ref(), &scene.ticket).await, gold);
    let other = Near::proved(scene.below.clone());
    assert_eq!(acr(&other, &scene.ticket).await, gold);
    assert_eq!(acr(&scene.near, &scene.ticket).await, gold);
    assert_eq!(scene.loads().await, [ports::Near::Hit]);
}

#[tokio::test]
async fn a34_r88_what_the_store_does_not_have_is_not_made_again() {
    let scene = Scene::proved().await;
    renewed(&scene).await;
    scene.below.remove(&scene.key).await.unwrap();
    Told::by(&scene.near.held, 0).everything_changed();
    assert!(scene.near.load(&scene.ticket, NOW).await.unwrap().is_none());
    assert!(scene.below.load(&scene.ticket, NOW).await.unwrap().is_none());
    let (live, version) = (live_of(&scene), 1);
    assert_eq!(scene.below.restore(&scene.ticket, &live, version, NOW).await.unwrap(), Updated::Gone);
}

fn live_of(scene: &Scene) -> LiveSession {
    LiveSession { key: scene.key, version: 9, last_seen: NOW, session: Arc::new(session()) }
}

#[tokio::test]
async fn a34_what_was_written_since_is_not_overwritten_by_what_is_held() {
    let scene = Scene::proved().await;
    renewed(&scene).await;
    fall_back(&scene).await;
    // Somebody has new tokens on what the store had fallen back to.
    let mut elsewhere = session();
    elsewhere.renewal.generation += 2;
    scene.below.update(&scene.ticket, &elsewhere, 1, NOW).await.unwrap();
    assert_eq!(acr(&scene.near, &scene.ticket).await, (2, None));
    // No earlier version replaces a later one, nor anything but what was found.
    for found in [1, 2, 9, 10] {
        let done = scene.below.restore(&scene.ticket, &live_of(&scene), found, NOW).await.unwrap();
        assert_eq!(done, if found == 2 { Updated::Done(9) } else { Updated::Conflict });
    }
}

#[tokio::test]
async fn over_a_store_of_its_own_memory_answers_without_a_heartbeat_and_never_late() {
    let stage = Arc::new(Stage::default());
    let below = Arc::new(Sealed::new(Arc::new(Memory::new()), ring(&[1]), true));
    let near = Near::alone(below.clone(), stage.parts(GRACE), &Aside::default());
    let ticket = new_ticket().unwrap();
    near.create(&ticket, &session(), NOW).await.unwrap();
    assert_eq!(acr(&near, &ticket).await, (1, None));
    stage.events();
    stage.pass(Duration::from_secs(100_000));
    assert_eq!(acr(&near, &ticket).await, (1, None));
    assert_eq!(stage.events(), [ports::Near::Hit]);
    assert_eq!(near.feed(), FeedState::NotUsed);
    let mut changed = session();
    changed.acr = Some("gold".into());
    near.update(&ticket, &changed, 1, NOW).await.unwrap();
    assert_eq!(acr(&near, &ticket).await, (2, Some("gold".into())));
    assert!(near.remove(&session_key(&ticket)).await.unwrap());
    assert!(near.load(&ticket, NOW).await.unwrap().is_none());
}
