//! A store that several replicas share within one test, each over a road of its own that can fail, and each told of
//! changes what and when the test wants.
//!
//! I own: [`Shelf`], which all share, and [`Replica`], a near cache over it; for tests of this room and of those below.
//! `real` has the same over Redis.
//! I may call: everything in this room. I never decide when something happens: whoever tests does.
//!
//! A feed is a queue: the news of a change stand in it behind everything that was told before, and so does a heartbeat.
//! So a heartbeat that is heard proves what it proves over Redis. A feed that is deaf looks well and hears nothing, as
//! one does that has stayed with a server which nobody writes to any more.

mod real;

pub(crate) use real::{Copy as RealCopy, RealShelf};

use super::contract::house::ring;
use super::memory::Memory;
use super::near::held::Held;
use super::near::{Near, NearParts};
use super::sealed::Sealed;
use super::{Backend, Found, IndexName, Page, Row};
use crate::domain::login::LoginId;
use crate::domain::renewal::LeaseId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::KeyRing;
use crate::ports::{Cursor, SessionStore, StoreError, Updated};
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What the replicas share.
pub(crate) struct Shelf {
    memory: Memory,
    keys: Arc<KeyRing>,
    ears: Mutex<Vec<Arc<Ear>>>,
}

impl Shelf {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { memory: Memory::new(), keys: ring(&[1]), ears: Mutex::default() })
    }

    pub(crate) fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys)
    }

    /// What is in the store now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(Arc::new(self.memory.copy()))
    }

    /// Another server takes over that has not heard of the last writes; no feed leads to it yet.
    pub(crate) fn fail_over_to(&self, copy: &Snapshot) {
        self.memory.become_as(&copy.0);
        for ear in lock(&self.ears).iter() {
            ear.deafen();
            // What was removed may be there again: that something happened to it is all that is left to tell.
            for news in &mut lock(&ear.line).1 {
                if let News::Removed(key) = *news {
                    *news = News::Written(key);
                }
            }
        }
    }

    fn tell(&self, news: &News) {
        for ear in lock(&self.ears).iter() {
            ear.queue(news.clone());
        }
    }
}

/// What was in the store at some moment.
#[derive(Clone)]
pub(crate) struct Snapshot(Arc<Memory>);

/// What a feed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Written(SessionKey),
    Removed(SessionKey),
    /// A heartbeat that was sent at this moment of the stopwatch.
    Beat(Duration),
}

/// How a feed does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Up,
    /// It looks well, and hears nothing.
    Deaf,
    Down,
}

struct Ear {
    line: Mutex<(Line, VecDeque<News>)>,
}

impl Ear {
    fn queue(&self, news: News) {
        let mut line = lock(&self.line);
        if line.0 == Line::Up {
            line.1.push_back(news);
        }
    }

    fn deafen(&self) {
        let mut line = lock(&self.line);
        if line.0 == Line::Up {
            line.0 = Line::Deaf;
        }
    }

    fn set(&self, to: Line) {
        *lock(&self.line) = (to, VecDeque::new());
    }
}

/// A command to the store, as far as faults tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Read,
    Create,
    Update,
    Remove,
    Touch,
    /// Leases, marks, indexes, listings.
    Other,
}

/// What befalls one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never arrives.
    RequestLost,
    /// It is carried out, and its answer never arrives.
    AnswerLost,
    /// It arrives when [`Replica::let_go`] says so.
    RequestLate,
    /// It is carried out, and its answer arrives when [`Replica::let_go`] says so.
    AnswerLate,
}

/// The way of one replica to the store.
struct Road {
    shelf: Arc<Shelf>,
    blocked: AtomicBool,
    faults: Mutex<Vec<(Command, Fault)>>,
    late: Mutex<VecDeque<oneshot::Sender<()>>>,
    errors: AtomicUsize,
}

impl Road {
    async fn go<'a, T: Send>(
        &'a self,
        command: Command,
        act: impl FnOnce() -> BoxFuture<'a, Result<T, StoreError>> + Send + 'a,
    ) -> Result<T, StoreError> {
        let fault = self.next(command);
        if fault == Some(Fault::RequestLate) {
            self.wait().await;
        }
        if fault == Some(Fault::RequestLost) || self.blocked.load(Ordering::SeqCst) {
            return Err(self.error());
        }
        let answer = act().await;
        if fault == Some(Fault::AnswerLate) {
            self.wait().await;
        }
        if fault == Some(Fault::AnswerLost) { Err(self.error()) } else { answer }
    }

    fn next(&self, command: Command) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let at = faults.iter().position(|(about, _)| *about == command)?;
        Some(faults.remove(at).1)
    }

    async fn wait(&self) {
        let (sender, receiver) = oneshot::channel();
        lock(&self.late).push_back(sender);
        let _ = receiver.await;
    }

    fn error(&self) -> StoreError {
        self.errors.fetch_add(1, Ordering::SeqCst);
        StoreError::Unavailable("the road is blocked".into())
    }
}

impl Backend for Road {
    fn insert<'a>(
        &'a self,
        key: &'a SessionKey,
        row: &'a Row,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let act = move || -> BoxFuture<'a, _> {
            Box::pin(async move {
                let made = self.shelf.memory.insert(key, row, now).await?;
                if made {
                    self.shelf.tell(&News::Written(*key));
                }
                Ok(made)
            })
        };
        Box::pin(self.go(Command::Create, act))
    }

    fn fetch<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Found>, StoreError>> {
        Box::pin(self.go(Command::Read, move || self.shelf.memory.fetch(key, now)))
    }

    fn replace<'a>(
        &'a self,
        key: &'a SessionKey,
        row: &'a Row,
        expected: u64,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        let act = move || -> BoxFuture<'a, _> {
            Box::pin(async move {
                let updated = self.shelf.memory.replace(key, row, expected, now).await?;
                if matches!(updated, Updated::Done(_)) {
                    self.shelf.tell(&News::Written(*key));
                }
                Ok(updated)
            })
        };
        Box::pin(self.go(Command::Update, act))
    }

    fn delete<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<bool, StoreError>> {
        let act = move || -> BoxFuture<'a, _> {
            Box::pin(async move {
                let was_there = self.shelf.memory.delete(key).await?;
                if was_there {
                    self.shelf.tell(&News::Removed(*key));
                }
                Ok(was_there)
            })
        };
        Box::pin(self.go(Command::Remove, act))
    }

    fn seen<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.go(Command::Touch, move || self.shelf.memory.seen(key, now, keep)))
    }

    fn members<'a>(
        &'a self,
        names: &'a [IndexName],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<SessionKey>, StoreError>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.members(names, now)))
    }

    fn mark<'a>(
        &'a self,
        name: &'a IndexName,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.mark(name, now, keep)))
    }

    fn marked<'a>(
        &'a self,
        names: &'a [IndexName],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, StoreError>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.marked(names, now)))
    }

    fn take_once(
        &self,
        login: LoginId,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.take_once(login, now, keep)))
    }

    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.lease(key, holder, now, keep)))
    }

    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.release(key, holder)))
    }

    fn page<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.page(cursor, limit, now)))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.ping()))
    }
}

/// A near cache over the shelf, and the threads that a test pulls.
pub(crate) struct Replica {
    near: Arc<Near>,
    held: Arc<Held>,
    road: Arc<Road>,
    ear: Arc<Ear>,
}

impl Replica {
    /// With a feed that has just begun, and proves nothing yet.
    pub(crate) fn of(shelf: &Arc<Shelf>, parts: NearParts) -> Self {
        let road = Arc::new(Road {
            shelf: Arc::clone(shelf),
            blocked: AtomicBool::new(false),
            faults: Mutex::default(),
            late: Mutex::default(),
            errors: AtomicUsize::new(0),
        });
        let sealed = Sealed::new(Arc::clone(&road) as Arc<dyn Backend>, shelf.keys());
        let (near, held) = Near::by_hand(Arc::new(sealed), parts);
        let ear = Arc::new(Ear { line: Mutex::new((Line::Up, VecDeque::new())) });
        lock(&shelf.ears).push(Arc::clone(&ear));
        held.begun();
        Self { near: Arc::new(near), held, road, ear }
    }

    pub(crate) fn store(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.near) as Arc<dyn SessionStore>
    }

    /// Every command fails from now on, or no longer.
    pub(crate) fn block(&self, blocked: bool) {
        self.road.blocked.store(blocked, Ordering::SeqCst);
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.road.blocked.load(Ordering::SeqCst)
    }

    /// Befalls the next such command.
    pub(crate) fn fault(&self, command: Command, fault: Fault) {
        lock(&self.road.faults).push((command, fault));
    }

    /// No fault waits for its command any more.
    pub(crate) fn forget_faults(&self) {
        lock(&self.road.faults).clear();
    }

    /// How many commands have failed so far.
    pub(crate) fn errors(&self) -> usize {
        self.road.errors.load(Ordering::SeqCst)
    }

    /// The command that has been late for longest goes on; whether there was one.
    pub(crate) fn let_go(&self) -> bool {
        let late = lock(&self.road.late).pop_front();
        late.is_some_and(|sender| sender.send(()).is_ok())
    }

    /// Sends a heartbeat: written on the road, told by the feed.
    pub(crate) fn beat(&self) {
        if !self.is_blocked() {
            self.ear.queue(News::Beat(self.held.elapsed()));
        }
    }

    /// Hears what was told next.
    pub(crate) fn hear(&self) -> Option<News> {
        let news = lock(&self.ear.line).1.pop_front()?;
        match &news {
            News::Written(key) | News::Removed(key) => self.held.changed(key),
            News::Beat(sent) => self.held.proved(*sent),
        }
        Some(news)
    }

    /// The feed goes on to look well, and hears nothing more.
    pub(crate) fn deafen(&self) {
        self.ear.deafen();
    }

    /// The feed is lost, and so is what it has not told yet.
    pub(crate) fn lose_feed(&self) {
        self.ear.set(Line::Down);
        self.held.lost();
    }

    /// A new feed; whether there was none.
    pub(crate) fn begin_feed(&self) -> bool {
        let was_down = lock(&self.ear.line).0 == Line::Down;
        if was_down {
            self.ear.set(Line::Up);
            self.held.begun();
        }
        was_down
    }

    /// Nothing reaches this replica any more: it is gone.
    pub(crate) fn leave(&self, shelf: &Shelf) {
        lock(&shelf.ears).retain(|ear| !Arc::ptr_eq(ear, &self.ear));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
