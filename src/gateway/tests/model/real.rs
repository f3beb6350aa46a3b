//! The same model over a real Redis, with feeds that run in real time; fewer steps, and fewer cases.
//!
//! I own: [`Town`], two replicas over one server. I may call: the model's oracle and provider, the store's test doors. The
//! time of day stands still unless a step moves it; the stopwatch is that of this machine. When an error is in order
//! cannot be told from outside on a busy machine: here only what is answered is judged.

use super::oracle::{Around, Knew, Oracle, Outcome};
use super::provider::{Door, Idp};
use super::world::{Diary, Op, What, asks, ended, facts, gateway, near_parts, signs_in};
use crate::domain::origin::Origin;
use crate::domain::time::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::ending::Hint;
use crate::gateway::live::Live;
use crate::ports::{Clock, FeedState, Stopwatch};
use crate::store::tests::{Around as Stack, RealCopy, RealShelf};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::time::Instant;

/// For a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// How often the time of day moves at most: nobody may come near the idle timeout here.
const LATER: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Login {
        side: usize,
        person: usize,
    },
    Use {
        side: usize,
        session: usize,
    },
    /// Eight requests that need a token, at both replicas at once.
    Relay {
        session: usize,
    },
    SignOut {
        side: usize,
        session: usize,
    },
    /// Eight requests while somebody signs out at one of the replicas.
    Race {
        side: usize,
        session: usize,
    },
    /// Real time.
    Pass(Duration),
    /// The tokens are over.
    Later,
    /// Both feeds are heard.
    Settle,
    Cut,
    Freeze(Duration),
    FailOver {
        steps: usize,
    },
}

struct Times {
    wall: AtomicU64,
    began: Instant,
}

impl Clock for Times {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.wall.load(Ordering::SeqCst))
    }

    fn until(&self, _moment: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

impl Stopwatch for Times {
    fn elapsed(&self) -> Duration {
        self.began.elapsed() + Duration::from_secs(500)
    }
}

/// Two replicas.
pub(super) struct Town<'s> {
    shelf: &'s RealShelf,
    runtime: Runtime,
    times: Arc<Times>,
    idp: Arc<Idp>,
    sides: Vec<(Arc<Gateway>, Arc<Diary>)>,
    oracle: Oracle,
    past: VecDeque<(RealCopy, Vec<Knew>, Timestamp)>,
    origin: Arc<Origin>,
    serial: usize,
    later: u8,
}

impl<'s> Town<'s> {
    pub(super) fn new(shelf: &'s RealShelf) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        let times = Arc::new(Times { wall: AtomicU64::new(1_000_000_000), began: Instant::now() });
        let idp = Idp::new(Arc::clone(&times) as Arc<dyn Clock>);
        let open = |side| runtime.block_on(open(side, shelf, &times, &idp));
        let sides = (0..2).map(open).collect();
        let (oracle, past) = (Oracle::new(Arc::clone(&idp), None), VecDeque::new());
        let origin = Arc::new(Origin::parse("https://apps.example.com").unwrap());
        let town = Self { shelf, runtime, times, idp, sides, oracle, past, origin, serial: 0, later: 0 };
        town.settle();
        town
    }

    /// # Errors
    /// What has happened that must never be.
    pub(super) fn step(&mut self, step: Step) -> Result<(), String> {
        let copy = self.runtime.block_on(self.shelf.copy());
        self.past.push_front((copy, self.oracle.known(), self.times.now()));
        self.past.truncate(4);
        match step {
            Step::Login { side, person } => self.login(side, person)?,
            Step::Use { side, session } => self.requests(session, &[(side, "/x")], None)?,
            Step::Relay { session } => {
                let asked: Vec<_> = (0..8).map(|number| (number % 2, "/api/x")).collect();
                self.requests(session, &asked, None)?;
            }
            Step::SignOut { side, session } => self.requests(session, &[], Some(side))?,
            Step::Race { side, session } => {
                let asked: Vec<_> =
                    (0..8).map(|number| (number % 2, if number < 4 { "/x" } else { "/api/x" })).collect();
                self.requests(session, &asked, Some(side))?;
            }
            Step::Pass(span) => self.runtime.block_on(async { tokio::time::sleep(span).await }),
            Step::Later if self.later < LATER => {
                self.later += 1;
                self.times.wall.fetch_add(301_000, Ordering::SeqCst);
            }
            Step::Later => {}
            Step::Settle => self.settle(),
            Step::Cut => self.runtime.block_on(self.shelf.cut()),
            Step::Freeze(span) => {
                self.shelf.freeze();
                // Whoever is asked now answers from memory, or not at all.
                let asked: Vec<usize> = (0..self.oracle.sessions.len()).collect();
                let begun = Instant::now();
                let mut judged = Ok(());
                while judged.is_ok() && begun.elapsed() < span {
                    judged = asked
                        .iter()
                        .try_for_each(|session| self.requests(*session, &[(0, "/x"), (1, "/x")], None));
                }
                self.shelf.thaw();
                judged?;
            }
            Step::FailOver { steps } => {
                let (copy, known, since) = self.past[steps.min(self.past.len() - 1)].clone();
                let under_way = self.sides.iter().any(|(gateway, _)| is_renewing(gateway));
                self.runtime.block_on(self.shelf.fail_over_to(&copy));
                self.idp.forgotten(since, under_way);
                self.oracle.failed_over(&known);
            }
        }
        self.idp.wrongs().first().map_or(Ok(()), |wrong| Err(wrong.clone()))
    }

    /// The server is well, and everybody is looked after once more.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub(super) fn rest(&mut self) -> Result<BTreeMap<&'static str, u64>, String> {
        let a_second = Duration::from_millis(1001);
        self.settle();
        self.runtime.block_on(async { tokio::time::sleep(a_second).await });
        self.settle();
        // Whatever had happened before, both feeds have begun anew since, and what was forgotten is written again.
        let watch = self.times.elapsed();
        for side in 0..2 {
            self.oracle.applied_again(side, watch, watch);
        }
        self.runtime.block_on(async { tokio::time::sleep(a_second).await });
        for session in 0..self.oracle.sessions.len() {
            self.requests(session, &[(0, "/x"), (1, "/x")], None)?;
            self.requests(session, &[(0, "/api/x"), (1, "/api/x")], None)?;
        }
        let mut all = BTreeMap::new();
        for (_, diary) in &self.sides {
            for (name, count) in diary.events.lock().unwrap().iter() {
                *all.entry(*name).or_default() += count;
            }
        }
        Ok(all)
    }

    fn now(&self) -> (Timestamp, Duration) {
        (self.times.now(), self.times.elapsed())
    }

    /// Waits until both feeds are heard.
    fn settle(&self) {
        let begun = Instant::now();
        while !self.sides.iter().all(|(gateway, _)| matches!(gateway.store.feed(), FeedState::Up(_))) {
            assert!(begun.elapsed() < LONG, "the feeds are not heard");
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
        }
    }

    fn login(&mut self, side: usize, person: usize) -> Result<(), String> {
        self.serial += 1;
        self.oracle.signing_in(person, true);
        let code = format!("{} sid-{} {}", ["alice", "bob"][person], self.serial, self.serial);
        let (gateway, origin) = (Arc::clone(&self.sides[side].0), Arc::clone(&self.origin));
        let op = Op::now(
            side,
            What::Login { code: code.clone(), person, sid: self.serial, over: None },
            self.now(),
        );
        let signed_in = self.runtime.spawn(signs_in(gateway, origin, code, None));
        let outcome = self.runtime.block_on(signed_in).unwrap();
        self.oracle.judge(&op, outcome, self.around(false))
    }

    fn around(&self, had_errors: bool) -> Around {
        let (wall, watch) = self.now();
        Around { wall, watch, had_errors, is_alone: false, asks: false, gave_back: false }
    }

    /// Requests with one session, all at once; perhaps while it is signed out at one of the replicas.
    fn requests(
        &mut self,
        session: usize,
        asked: &[(usize, &str)],
        signed_out_at: Option<usize>,
    ) -> Result<(), String> {
        let Some(session) = self.oracle.choose(session) else { return Ok(()) };
        let ticket = self.oracle.sessions[session].ticket.clone();
        let fallen_back = |sides: &[(Arc<Gateway>, Arc<Diary>)], side: usize| {
            sides[side].1.events.lock().unwrap().get("near: fell back").copied().unwrap_or_default()
        };
        let before = [fallen_back(&self.sides, 0), fallen_back(&self.sides, 1)];
        let mut ops = Vec::new();
        let mut tasks = Vec::new();
        for (side, path) in asked {
            let (must, alive_until) = self.oracle.expect(session, *side, self.now());
            ops.push(Op::now(*side, What::Use { session, must, alive_until }, self.now()));
            let gateway = Arc::clone(&self.sides[*side].0);
            tasks.push(self.runtime.spawn(asks(gateway, facts(&self.origin, path), ticket.clone())));
        }
        let farewell = signed_out_at.map(|side| {
            self.oracle.threaten(&[session], self.times.elapsed());
            let (gateway, origin) = (Arc::clone(&self.sides[side].0), Arc::clone(&self.origin));
            let (ticket, now) = (ticket.clone(), self.times.now());
            self.runtime.spawn(async move {
                let farewell = gateway.sign_out(&ticket, &origin, Hint::Withheld, now).await;
                ended(&gateway, &farewell)
            })
        });
        let outcomes = self.runtime.block_on(join_all(tasks));
        for (number, (gateway, diary)) in self.sides.iter().enumerate() {
            let renewals = std::mem::take(&mut *diary.renewals.lock().unwrap());
            if renewals.iter().any(|result| matches!(*result, "not-kept" | "unanswered")) {
                self.idp.lost(number);
            }
            if !is_renewing(gateway) {
                self.idp.settled(number);
            }
        }
        for (op, outcome) in ops.iter().zip(outcomes) {
            let outcome = outcome.unwrap();
            let fell_back = fallen_back(&self.sides, op.side) > before[op.side];
            // The store may have been late, whatever the reason.
            if !matches!(outcome, Outcome::NoStore | Outcome::NoProvider) {
                self.oracle.judge(op, outcome, self.around(fell_back))?;
            }
        }
        if let (Some(farewell), Some(side)) = (farewell, signed_out_at) {
            let outcome = self.runtime.block_on(farewell).unwrap();
            let what = What::End { targets: vec![session], meant: None, notice: None };
            let op = Op::now(side, what, self.now());
            self.oracle.judge(&op, outcome, self.around(false))?;
        }
        Ok(())
    }
}

fn is_renewing(gateway: &Gateway) -> bool {
    gateway.refreshes.ended().now_or_never().is_none()
}

async fn open(
    side: usize,
    shelf: &RealShelf,
    times: &Arc<Times>,
    idp: &Arc<Idp>,
) -> (Arc<Gateway>, Arc<Diary>) {
    let (live, diary) = (Arc::new(Live::default()), Arc::new(Diary::default()));
    let clock = Arc::clone(times) as Arc<dyn Clock>;
    let around = Stack {
        near: near_parts(Arc::clone(times) as Arc<dyn Stopwatch>, &diary, &live),
        clock: Arc::clone(&clock),
        runtime: Handle::current(),
    };
    let (store, beside) = shelf.open(around).await;
    let house = (store, beside, shelf.keys(), Handle::current());
    let door = Door { idp: Arc::clone(idp), side };
    (gateway(clock, house, door, (&diary, live, None)), diary)
}
