//! The near cache under many orders of its steps: readers, a writer elsewhere and one here, and a feed that is lost and
//! begins anew, as threads that are run one at a time in thousands of different orders.
//!
//! I own: the model of a store and its feed, and the one promise that is checked: once a change was told, or was made by
//! this process, nothing older is answered from memory as sure. I may call: [`Held`] as it is. What it holds a lock for
//! is one step; in between, wherever it asks for the time or enters something, somebody else goes on.

use super::held::{Found, Held, Parts};
use crate::domain::session::tests::{live, session};
use crate::domain::session::{LiveSession, SessionKey};
use crate::ports::{Entry, Ledger, News, Stopwatch};
use shuttle::sync::mpsc::channel;
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

const KEY: SessionKey = SessionKey::from_digest([7; 32]);

/// Where a thread may have to stand back.
struct Steps;

impl Stopwatch for Steps {
    fn elapsed(&self) -> Duration {
        thread::yield_now();
        Duration::from_millis(10)
    }
}

impl Ledger for Steps {
    fn enter(&self, _: Entry<'_>) {
        thread::yield_now();
    }

    fn read(&self) -> String {
        String::new()
    }
}

impl News for Steps {
    fn changed(&self, _: &SessionKey) {
        thread::yield_now();
    }

    fn anything_changed(&self) {
        thread::yield_now();
    }
}

/// A near cache, the version that the store has, and the one that everybody here has to know.
struct World {
    held: Held,
    stored: AtomicU64,
    known: AtomicU64,
}

impl World {
    fn new() -> Self {
        let steps = Arc::new(Steps);
        let parts = Parts {
            sessions: 1000,
            bytes: 1 << 20,
            outage_grace: Duration::ZERO,
            stopwatch: steps.clone(),
            ledger: steps.clone(),
            news: steps,
        };
        let (stored, known) = (AtomicU64::new(1), AtomicU64::new(1));
        let world = Self { held: Held::new(parts), stored, known };
        world.held.begun();
        world.held.proved(Duration::ZERO);
        world
    }

    fn write(&self) -> u64 {
        thread::yield_now();
        let version = self.stored.fetch_add(1, Ordering::SeqCst) + 1;
        thread::yield_now();
        version
    }

    fn is_known(&self, version: u64) {
        self.known.fetch_max(version, Ordering::SeqCst);
    }

    /// A request: from memory if that is sure, else from the store. Whether memory answered.
    fn ask(&self, session: &LiveSession) -> bool {
        let known = self.known.load(Ordering::SeqCst);
        thread::yield_now();
        if let Found::Sure(live) = self.held.look(&KEY) {
            assert!(live.version >= known, "{} was answered, and {known} is known", live.version);
            return true;
        }
        let mark = self.held.mark(&KEY);
        thread::yield_now();
        let version = self.stored.load(Ordering::SeqCst);
        thread::yield_now();
        self.held.fill(&LiveSession { version, ..session.clone() }, mark);
        false
    }
}

/// One run; how often memory answered.
fn run(hits: &Arc<AtomicUsize>) {
    let world = Arc::new(World::new());
    let (tell, told) = channel();
    let there = {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            for _ in 0..3 {
                tell.send(world.write()).unwrap();
            }
        })
    };
    let here = {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            world.held.strike(&KEY);
            let version = world.write();
            world.held.strike(&KEY);
            world.is_known(version);
        })
    };
    let feed = {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            for number in 0..3 {
                let version = told.recv().unwrap();
                if number == 1 {
                    // This one is lost with the connection; what is written from the new one on is told.
                    world.held.lost();
                    let version = world.stored.load(Ordering::SeqCst);
                    world.held.begun();
                    world.is_known(version);
                    world.held.proved(Duration::ZERO);
                } else {
                    world.held.changed(&KEY);
                    world.is_known(version);
                }
            }
        })
    };
    let asking = (0..2).map(|_| {
        let (world, hits) = (Arc::clone(&world), Arc::clone(hits));
        thread::spawn(move || {
            let session = LiveSession { key: KEY, ..live(session()) };
            let found = (0..4).filter(|_| world.ask(&session)).count();
            hits.fetch_add(found, Ordering::SeqCst);
        })
    });
    let asking: Vec<_> = asking.collect();
    for thread in asking.into_iter().chain([there, here, feed]) {
        thread.join().unwrap();
    }
}

#[test]
fn a34_in_no_order_is_anything_answered_that_is_known_to_be_old() {
    let hits = Arc::new(AtomicUsize::new(0));
    let in_random_order = Arc::clone(&hits);
    shuttle::check_random(move || run(&in_random_order), 3000);
    let with_few_switches = Arc::clone(&hits);
    shuttle::check_pct(move || run(&with_few_switches), 2000, 4);
    // Or it would prove nothing.
    assert!(hits.load(Ordering::SeqCst) > 1000, "{hits:?}");
}
