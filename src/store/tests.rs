//! A store that several replicas share within one test, each over a road of its own that can fail, and each told of
//! changes what and when the test wants.
//!
//! I own: [`Shelf`], which all share, and [`Replica`], all that stands before it in one process; for tests of this room and
//! of those below. `road` is the way there, `stack` what `app` puts around a store, `real` has the same over Redis.
//! I may call: everything in this room. I never decide when something happens: whoever tests does.
//!
//! A feed is a queue: the news of a change stand in it behind everything that was told before, and so does a heartbeat.
//! So a heartbeat that is heard proves what it proves over Redis. A feed that is deaf looks well and hears nothing, as
//! one does that has stayed with a server which nobody writes to any more.

mod real;
mod road;
mod stack;

pub(crate) use real::{Copy as RealCopy, RealShelf};
pub(crate) use road::{Command, Fault};
pub(crate) use stack::Around;

use self::road::Road;
use self::stack::Stack;

use super::Backend;
use super::breaker::Spared;
use super::clearing::{Board, Slate};
use super::contract::house::ring;
use super::memory::Memory;
use super::near::Near;
use super::near::held::Told;
use super::outbox::Debts;
use super::sealed::Sealed;
use super::transfer::Carrier;
use crate::domain::session::SessionKey;
use crate::keyring::KeyRing;
use crate::ports::{Breaking as _, Clearing, Outbox, SessionStore, Transfer};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What a store has besides the port itself.
#[derive(Clone)]
pub(crate) struct Beside {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) clearing: Arc<dyn Clearing>,
    pub(crate) transfer: Arc<dyn Transfer>,
}

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
    /// It was ended: Redis says so with a message of its own.
    Ended(SessionKey),
    /// Everybody was sent home.
    Cleared,
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

/// How long the feed's own task bears silence: until those who wait are told to look, and until it begins anew. As in
/// `redis::feed`.
const SUSPICIOUS: Duration = Duration::from_millis(700);
const SILENCE: Duration = Duration::from_secs(2);

/// All that stands before the shelf in one process, and the threads that a test pulls.
pub(crate) struct Replica {
    stack: Stack,
    told: Told,
    slate: Arc<Slate>,
    beside: Beside,
    road: Arc<Road>,
    ear: Arc<Ear>,
}

impl Replica {
    /// With a feed that has just begun, and proves nothing yet.
    pub(crate) fn of(shelf: &Arc<Shelf>, around: Around) -> Self {
        let road = Road::to(shelf);
        let keys = shelf.keys();
        let backend = Arc::clone(&road) as Arc<dyn Backend>;
        let sealed: Arc<dyn SessionStore> = Arc::new(Sealed::new(Arc::clone(&backend), shelf.keys(), true));
        let outbox = Arc::new(Debts { backend, shelf: road.clone(), keys: Arc::clone(&keys) });
        let transfer = Arc::new(Carrier::new(road.clone(), road.clone(), Arc::clone(&sealed), keys));
        let slate = Arc::new(Slate::shared([0].into()));
        let (stack, told) = Stack::over(sealed, around, |store, parts| {
            let (near, told) = Near::by_hand(store, parts);
            near.tells(&slate);
            (near, told)
        });
        let board = Arc::new(Board { shelf: road.clone(), slate: Arc::clone(&slate) });
        let clearing = Arc::new(Spared::new(board, Arc::clone(&stack.breaker)));
        let ear = Arc::new(Ear { line: Mutex::new((Line::Up, VecDeque::new())) });
        lock(&shelf.ears).push(Arc::clone(&ear));
        told.begun();
        let beside = Beside { outbox, clearing, transfer };
        Self { stack, told, slate, beside, road, ear }
    }

    /// What the store has besides the port itself.
    pub(crate) fn beside(&self) -> Beside {
        self.beside.clone()
    }

    pub(crate) fn store(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.stack.endings) as Arc<dyn SessionStore>
    }

    /// Whether the store is not asked for now.
    pub(crate) fn is_open(&self) -> bool {
        self.stack.breaker.is_open()
    }

    /// Whether nothing is late, nothing that ends or looks for a session will fail, and everything is asked.
    pub(crate) fn is_unhindered(&self) -> bool {
        let nothing_is_late = lock(&self.road.late).iter().all(oneshot::Sender::is_closed);
        let matters = |command: Command| matches!(command, Command::Read | Command::Remove | Command::Other);
        let nothing_fails = lock(&self.road.faults).iter().all(|(command, _)| !matters(*command));
        nothing_is_late && nothing_fails && !self.is_blocked() && !self.is_open()
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
            self.ear.queue(News::Beat(self.told.elapsed()));
        }
    }

    /// Hears what was told next.
    pub(crate) fn hear(&self) -> Option<News> {
        let news = lock(&self.ear.line).1.pop_front()?;
        match &news {
            News::Written(key) | News::Removed(key) => self.told.changed(key),
            News::Ended(key) => self.told.ended(key),
            News::Cleared => {
                self.slate.struck();
                self.told.suspected();
            }
            News::Beat(sent) => self.told.proved(*sent),
        }
        Some(news)
    }

    /// What the feed's own task does when time has passed: those who wait look for themselves once nothing was proved for a
    /// while, and a feed that hears nothing begins anew; whether it did.
    pub(crate) fn tend(&self) -> bool {
        let line = lock(&self.ear.line).0;
        let silent = self.stack.endings.feed().age().unwrap_or(Duration::MAX);
        if line == Line::Down || silent <= SUSPICIOUS {
            return false;
        }
        self.told.suspected();
        if line == Line::Up || silent <= SILENCE || self.is_blocked() {
            return false;
        }
        self.lose_feed();
        self.begin_feed()
    }

    /// The feed goes on to look well, and hears nothing more.
    pub(crate) fn deafen(&self) {
        self.ear.deafen();
    }

    /// The feed is lost, and so is what it has not told yet.
    pub(crate) fn lose_feed(&self) {
        self.ear.set(Line::Down);
        self.told.lost();
    }

    /// A new feed; whether there was none.
    pub(crate) fn begin_feed(&self) -> bool {
        let was_down = lock(&self.ear.line).0 == Line::Down;
        if was_down {
            self.ear.set(Line::Up);
            self.told.begun();
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
