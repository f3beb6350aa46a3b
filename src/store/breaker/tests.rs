//! The breaker over a store that fails when it is told to. The stopwatch moves by hand; the one question is asked in real
//! time, and what comes of it is waited for.

use super::*;
use crate::app::SystemClock;
use crate::domain::identity::{Issuer, Subject};
use crate::domain::login::LoginId;
use crate::domain::logout::Mark;
use crate::domain::renewal::LeaseId;
use crate::domain::session::{LiveSession, Session, SessionKey, Ticket};
use crate::domain::time::Timestamp;
use crate::ports::{Answer, Cursor, Listed, Listing, Updated};
use crate::store::contract::house::NOW;
use std::sync::atomic::AtomicUsize;
use tokio::sync::Notify;
use tokio::time::timeout;

/// For a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// A store that counts what it is asked, and answers nothing while it is down.
#[derive(Default)]
struct Patient {
    down: AtomicBool,
    /// While it is down, so many of those who ask for a session that nobody has get an answer.
    elsewhere: AtomicUsize,
    /// Whoever asks for a session that nobody has hears nothing.
    mute: AtomicBool,
    /// Writes are refused, reads answered.
    read_only: AtomicBool,
    asked: AtomicUsize,
    glances: AtomicUsize,
    entered: Mutex<Vec<bool>>,
    turned: Notify,
    questioned: Notify,
    elapsed: Mutex<Duration>,
}

impl Patient {
    fn answer<'a, T: Send + 'a>(&self, kind: Kind, answer: T) -> Answer<'a, T> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let refused = kind == Kind::Write && self.read_only.load(Ordering::SeqCst);
        let down = self.down.load(Ordering::SeqCst) || refused;
        Box::pin(ready(if down { Err(StoreError::Unavailable("gone".into())) } else { Ok(answer) }))
    }

    fn is(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn advance(&self, span: Duration) {
        *self.elapsed.lock().unwrap() += span;
    }

    fn glances(&self) -> usize {
        self.glances.load(Ordering::SeqCst)
    }

    /// What was asked but for the one question.
    fn asked_by_requests(&self) -> usize {
        self.asked() - self.glances()
    }

    fn turns(&self) -> Vec<bool> {
        self.entered.lock().unwrap().clone()
    }
}

impl Ledger for Patient {
    fn enter(&self, entry: Entry<'_>) {
        if let Entry::Breaker { open } = entry {
            self.entered.lock().unwrap().push(open);
            self.turned.notify_one();
        }
    }

    fn read(&self) -> String {
        String::new()
    }
}

impl Stopwatch for Patient {
    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap()
    }
}

impl SessionStore for Patient {
    fn create<'a>(&'a self, _: &'a Ticket, _: &'a Session, _: Timestamp) -> Answer<'a, ()> {
        self.answer(Kind::Write, ())
    }

    fn load<'a>(&'a self, _: &'a Ticket, _: Timestamp) -> Answer<'a, Option<LiveSession>> {
        self.answer(Kind::Read, None)
    }

    fn update<'a>(&'a self, _: &'a Ticket, _: &'a Session, _: u64, _: Timestamp) -> Answer<'a, Updated> {
        self.answer(Kind::Write, Updated::Gone)
    }

    fn touch<'a>(&'a self, _: &'a SessionKey, _: Timestamp, _: Duration) -> Answer<'a, ()> {
        self.answer(Kind::Write, ())
    }

    fn remove<'a>(&'a self, _: &'a SessionKey) -> Answer<'a, bool> {
        self.answer(Kind::Write, true)
    }

    fn of_subject<'a>(&'a self, _: &'a Issuer, _: &'a Subject, _: Timestamp) -> Answer<'a, Vec<SessionKey>> {
        self.answer(Kind::Read, Vec::new())
    }

    fn of_provider_sid<'a>(&'a self, _: &'a Issuer, _: &'a str, _: Timestamp) -> Answer<'a, Vec<SessionKey>> {
        self.answer(Kind::Read, Vec::new())
    }

    fn take_once<'a>(&'a self, _: LoginId, _: Timestamp, _: Duration) -> Answer<'a, bool> {
        self.answer(Kind::Write, true)
    }

    fn lease<'a>(&'a self, _: &'a SessionKey, _: LeaseId, _: Timestamp, _: Duration) -> Answer<'a, bool> {
        self.answer(Kind::Write, true)
    }

    fn release<'a>(&'a self, _: &'a SessionKey, _: LeaseId) -> Answer<'a, ()> {
        self.answer(Kind::Write, ())
    }

    fn glance<'a>(&'a self, _: &'a SessionKey, _: Timestamp) -> Answer<'a, Option<Listed>> {
        self.glances.fetch_add(1, Ordering::SeqCst);
        self.questioned.notify_one();
        if self.mute.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        let left = |left: usize| left.checked_sub(1);
        if self.elsewhere.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
            return Box::pin(ready(Ok(None)));
        }
        self.answer(Kind::Read, None)
    }

    fn mark<'a>(&'a self, _: Mark<'a>, _: Timestamp, _: Duration) -> Answer<'a, ()> {
        self.answer(Kind::Write, ())
    }

    fn marked<'a>(&'a self, _: &'a [Mark<'a>], _: Timestamp) -> Answer<'a, Option<Timestamp>> {
        self.answer(Kind::Read, None)
    }

    fn list<'a>(&'a self, _: Option<&'a Cursor>, _: usize, _: Timestamp) -> Answer<'a, Listing> {
        self.answer(Kind::Read, Listing { entries: Vec::new(), next: None })
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.answer(Kind::Read, ())
    }
}

struct Ward {
    patient: Arc<Patient>,
    breaker: Breaker,
    ticket: Ticket,
    key: SessionKey,
}

impl Ward {
    fn new() -> Self {
        Self::of_servers(0)
    }

    fn of_servers(opinions: usize) -> Self {
        let patient = Arc::new(Patient::default());
        let parts = BreakerParts {
            ledger: patient.clone(),
            clock: Arc::new(SystemClock),
            stopwatch: patient.clone(),
            runtime: Handle::current(),
            opinions,
        };
        let breaker = Breaker::new(patient.clone(), parts);
        let ticket = new_ticket().unwrap();
        let key = session_key(&ticket);
        Self { patient, breaker, ticket, key }
    }

    async fn loads(&self) -> bool {
        self.breaker.load(&self.ticket, NOW).await.is_ok()
    }

    /// As often as is needed at once.
    async fn opened() -> Self {
        let ward = Self::new();
        ward.patient.is(true);
        for _ in 0..FAILURES {
            assert!(!ward.breaker.is_open() && !ward.loads().await);
        }
        assert!(ward.breaker.is_open());
        ward
    }

    /// Lets time pass until the breaker turns.
    async fn turns(&self) {
        timeout(LONG, self.patient.turned.notified()).await.expect("it does not turn");
    }
}

#[tokio::test]
async fn a34_an_open_breaker_asks_nobody_and_says_unavailable_at_once() {
    let ward = Ward::opened().await;
    let asked = ward.patient.asked_by_requests();
    for _ in 0..1000 {
        assert!(!ward.loads().await);
    }
    let answers = [
        ward.breaker.create(&ward.ticket, &crate::domain::session::tests::session(), NOW).await,
        ward.breaker.touch(&ward.key, NOW, INTERVAL).await,
        ward.breaker.ping().await,
        ward.breaker.glance(&ward.key, NOW).await.map(drop),
        ward.breaker.list(None, 1, NOW).await.map(drop),
    ];
    for answer in answers {
        let Err(StoreError::Unavailable(why)) = answer else { panic!("an answer out of nowhere") };
        assert_eq!(why, "not asked for now, since gone");
    }
    assert_eq!(ward.patient.asked_by_requests(), asked);
}

#[tokio::test]
async fn a34_it_closes_at_the_first_answer_one_interval_after_the_store_is_back() {
    let ward = Ward::opened().await;
    // The turn to open was told already.
    ward.turns().await;
    for _ in 0..3 {
        timeout(LONG, ward.patient.questioned.notified()).await.expect("nobody asks");
        assert!(!ward.loads().await, "one question, and nobody else's");
    }
    assert_eq!(ward.patient.asked_by_requests(), FAILURES as usize);
    let glances = ward.patient.glances();
    ward.patient.is(false);
    ward.turns().await;
    assert_eq!(ward.patient.glances(), glances + 1, "the first question after that");
    assert!(!ward.breaker.is_open() && ward.loads().await);
    assert_eq!(ward.patient.turns(), [true, false], "one line and one count for each turn");
}

#[tokio::test]
async fn a34_an_answer_in_between_begins_the_count_anew() {
    let ward = Ward::new();
    for _ in 0..3 {
        ward.patient.is(true);
        for _ in 1..FAILURES {
            assert!(!ward.loads().await);
        }
        ward.patient.is(false);
        assert!(ward.loads().await);
    }
    assert!(!ward.breaker.is_open() && ward.patient.turns().is_empty());
}

#[tokio::test]
async fn a34_where_few_ask_a_second_of_failures_is_enough() {
    let ward = Ward::new();
    ward.patient.is(true);
    assert!(!ward.loads().await);
    ward.patient.advance(WINDOW - Duration::from_millis(1));
    assert!(!ward.loads().await && !ward.breaker.is_open());
    ward.patient.advance(Duration::from_millis(1));
    assert!(!ward.loads().await && ward.breaker.is_open());
    // One alone says nothing, however long ago the last one was.
    let ward = Ward::new();
    ward.patient.is(true);
    ward.patient.advance(WINDOW * 10);
    assert!(!ward.loads().await && !ward.breaker.is_open());
}

#[tokio::test]
async fn a34_a_store_that_refuses_writes_is_still_read() {
    let ward = Ward::new();
    ward.patient.read_only.store(true, Ordering::SeqCst);
    for _ in 0..10 * FAILURES {
        assert!(ward.breaker.touch(&ward.key, NOW, INTERVAL).await.is_err());
    }
    assert!(!ward.breaker.is_open() && ward.loads().await);
}

#[tokio::test]
async fn a34_r56_an_ending_is_tried_while_it_is_open_and_its_answer_closes_it() {
    let ward = Ward::opened().await;
    let asked = ward.patient.asked_by_requests();
    assert!(ward.breaker.remove(&ward.key).await.is_err() && ward.breaker.is_open());
    assert_eq!(ward.patient.asked_by_requests(), asked + 1);
    ward.patient.is(false);
    assert!(ward.breaker.remove(&ward.key).await.unwrap());
    assert!(!ward.breaker.is_open() && ward.loads().await);
}

#[tokio::test]
async fn a34_what_was_asked_before_a_turn_says_nothing_after_it() {
    let ward = Ward::new();
    // Asked while it was up, and held up on the way.
    let late = ward.breaker.load(&ward.ticket, NOW);
    ward.patient.is(true);
    let lost: Vec<_> = (0..FAILURES).map(|_| ward.breaker.load(&ward.ticket, NOW)).collect();
    for _ in 0..FAILURES {
        assert!(!ward.loads().await);
    }
    assert!(ward.breaker.is_open());
    assert!(late.await.is_ok() && ward.breaker.is_open(), "an old answer closes nothing");
    ward.turns().await;
    ward.patient.is(false);
    ward.turns().await;
    for answer in lost {
        assert!(answer.await.is_err());
    }
    assert!(!ward.breaker.is_open(), "old failures open nothing");
}

#[tokio::test]
async fn a34_nobody_asks_for_a_breaker_that_is_gone() {
    let ward = Ward::opened().await;
    let inner = Arc::downgrade(&ward.breaker.0);
    drop(ward.breaker);
    assert!(inner.upgrade().is_none(), "its task must not keep it");
}

#[tokio::test]
async fn a34_one_silent_server_of_several_says_nothing_of_the_others() {
    let ward = Ward::of_servers(OPINIONS);
    ward.patient.is(true);
    ward.patient.elsewhere.store(1, Ordering::SeqCst);
    for _ in 0..FAILURES {
        assert!(!ward.loads().await);
    }
    // One of those who were asked for lies where somebody answers.
    while ward.breaker.0.lock().inquires || ward.patient.glances() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!ward.breaker.is_open() && ward.patient.turns().is_empty());
    assert_eq!(ward.breaker.0.failing.load(Ordering::SeqCst), 0, "it counts anew");
    let asked = ward.patient.asked_by_requests();
    assert!(!ward.loads().await);
    assert_eq!(ward.patient.asked_by_requests(), asked + 1, "it is asked as before");
    // So soon after that nobody is asked for again.
    for _ in 1..FAILURES {
        assert!(!ward.loads().await);
    }
    assert!(!ward.breaker.0.lock().inquires && !ward.breaker.is_open());
    ward.patient.advance(WINDOW);
    // Nobody answers anywhere.
    for _ in 1..FAILURES {
        assert!(!ward.loads().await);
    }
    ward.turns().await;
    assert!(ward.breaker.is_open() && ward.patient.turns() == [true]);
    ward.patient.is(false);
    ward.turns().await;
    assert!(!ward.breaker.is_open() && ward.loads().await);
}

/// Fails until others are asked for, of whom nothing is heard.
async fn inquiring() -> Ward {
    let ward = Ward::of_servers(OPINIONS);
    ward.patient.is(true);
    ward.patient.mute.store(true, Ordering::SeqCst);
    for _ in 0..FAILURES {
        assert!(!ward.loads().await);
    }
    while ward.patient.glances() < OPINIONS {
        tokio::task::yield_now().await;
    }
    ward
}

#[tokio::test(start_paused = true)]
async fn a34_of_whom_nothing_is_heard_for_a_second_does_not_answer() {
    let ward = inquiring().await;
    let begun = tokio::time::Instant::now();
    assert!(!ward.breaker.is_open());
    ward.turns().await;
    assert!(ward.breaker.is_open());
    assert_eq!(begun.elapsed().as_secs(), WINDOW.as_secs(), "not as long as commands may take");
}

#[tokio::test(start_paused = true)]
async fn a34_a_request_that_was_answered_meanwhile_counts_whatever_failed_after_it() {
    let ward = inquiring().await;
    ward.patient.is(false);
    assert!(ward.loads().await);
    ward.patient.is(true);
    assert!(!ward.loads().await, "failures are counted again");
    tokio::time::sleep(WINDOW * 2).await;
    assert!(!ward.breaker.0.lock().inquires, "the inquiry is over");
    assert!(!ward.breaker.is_open() && ward.patient.turns().is_empty());
}
