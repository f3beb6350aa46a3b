//! Two replicas over one store, and everything that can befall them.
//!
//! I own: [`World`]: the clocks, the replicas, what is under way, and [`World::step`]. I may call: the whole room, the
//! store's test doors. I never judge: `oracle` does, and is told of everything.
//!
//! Each replica has a runtime of its own, whose timers the test moves: a replica that is stopped is one whose runtime
//! does not run, and one that crashes is one whose runtime is dropped. Nothing here takes any time of this machine.

mod diary;
mod house;
mod step;

pub(super) use self::diary::Diary;
pub(super) use self::house::{asks, facts, gateway, near_parts, signs_in};
pub(super) use self::step::{Step, Whose};

use self::diary::Times;
use super::oracle::{Knew, Must, Oracle, Outcome};
use super::provider::{Door, Hold, Idp};
use crate::domain::origin::Origin;
use crate::domain::session::Limits;
use crate::domain::time::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::ending::Hint;
use crate::gateway::live::Live;
use crate::gateway::operating::Selection;
use crate::ports::{Clock, Stopwatch};
use crate::store::tests::{News, Replica, Shelf, Snapshot};
use futures_util::FutureExt as _;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;

pub(super) const LIMITS: Limits =
    Limits { idle: Duration::from_secs(1800), lifetime: Duration::from_secs(36_000) };
pub(super) const GRACE: Duration = Duration::from_secs(30);
const PEOPLE: [&str; 2] = ["alice", "bob"];
const SIDS: [&str; 2] = ["one", "two"];

/// How far back a server may be that takes over, in steps.
const PAST: usize = 6;

/// One replica.
struct Side {
    runtime: Runtime,
    gateway: Arc<Gateway>,
    replica: Replica,
    diary: Arc<Diary>,
    /// For how long it has been stopped.
    stopped: Option<Duration>,
}

/// A person and a session of the provider, where they matter.
pub(super) type Meant = (Option<usize>, Option<usize>);

/// Something that is under way.
pub(super) struct Op {
    pub(super) side: usize,
    pub(super) what: What,
    pub(super) began: Timestamp,
    /// How many commands of this replica had failed by then.
    pub(super) errors: usize,
    /// The store has forgotten writes meanwhile.
    pub(super) is_disturbed: bool,
    /// The endings that were under way meanwhile and meant more than sessions that there were.
    met: Vec<Meant>,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

impl Op {
    /// Something that has been done already, or is done at once.
    pub(super) fn now(side: usize, what: What, began: Timestamp) -> Self {
        let (met, outcome) = (Vec::new(), Arc::default());
        Self { side, what, began, errors: 0, is_disturbed: false, met, outcome }
    }
}

pub(super) enum What {
    /// A request; what has to become of it, and until when the session is certainly alive.
    Use {
        session: usize,
        must: Must,
        alive_until: Timestamp,
    },
    /// An ending of these sessions; and whom it may meet who signs in meanwhile, where it goes by more than a ticket.
    End {
        targets: Vec<usize>,
        meant: Option<Meant>,
        notice: Option<usize>,
    },
    Login {
        code: String,
        person: usize,
        sid: usize,
        over: Option<usize>,
    },
}

/// Everything.
pub(super) struct World {
    times: Arc<Times>,
    shelf: Arc<Shelf>,
    idp: Arc<Idp>,
    sides: Vec<Side>,
    ops: Vec<Op>,
    past: VecDeque<(Snapshot, Vec<Knew>, Timestamp)>,
    serial: usize,
    origin: Arc<Origin>,
    pub(super) oracle: Oracle,
}

impl World {
    /// Two replicas whose feeds are proved.
    pub(super) fn new() -> Self {
        // Long after the beginning of either clock.
        let times = Arc::new(Times { wall: AtomicU64::new(1_000_000_000), watch: AtomicU64::new(500_000) });
        let (shelf, idp) = (Shelf::new(), Idp::new(Arc::clone(&times) as Arc<dyn Clock>));
        let origin = Arc::new(Origin::parse("https://apps.example.com").unwrap());
        let sides = (0..2).map(|side| open(side, &times, &shelf, &idp)).collect();
        let (oracle, past) = (Oracle::new(Arc::clone(&idp)), VecDeque::new());
        let mut world = Self { times, shelf, idp, sides, ops: Vec::new(), past, serial: 0, origin, oracle };
        for side in 0..2 {
            world.heartbeat(side);
        }
        world
    }

    /// What has happened at both replicas, counted.
    pub(super) fn events(&self) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        for side in &self.sides {
            for (name, count) in side.diary.events.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                *all.entry(*name).or_default() += count;
            }
        }
        all
    }

    /// One step, and all that follows of itself from it.
    ///
    /// # Errors
    /// What has happened that must never be.
    pub(super) fn step(&mut self, step: Step) -> Result<(), String> {
        self.past.push_front((self.shelf.snapshot(), self.oracle.known(), self.times.now()));
        self.past.truncate(PAST);
        self.act(step);
        self.settle()
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Login { side, person, sid, over } => self.login(side, person, sid, over),
            Step::Use { side, session } => self.request(side, session, "/x"),
            Step::Relay { side, session } => self.request(side, session, "/api/x"),
            Step::SignOut { side, session } => self.sign_out(side, session),
            Step::Operator { side, whose } => self.operator(side, whose),
            Step::Notice { side, whose } => self.notice(side, whose),
            Step::Forget { session } => {
                if let Some(session) = self.oracle.choose(session) {
                    self.idp.end_family(self.oracle.sessions[session].family);
                }
            }
            Step::Pass(span) => self.pass(span),
            Step::Heartbeat { side } => self.heartbeat(side),
            Step::Beat { side } => {
                if self.runs(side) {
                    self.sides[side].replica.beat();
                }
            }
            Step::Hear { side, count } => self.hear(side, count),
            Step::LoseFeed { side } => {
                if self.runs(side) {
                    self.sides[side].replica.lose_feed();
                }
            }
            Step::BeginFeed { side } => {
                if self.runs(side) && !self.sides[side].replica.is_blocked() {
                    self.sides[side].replica.begin_feed();
                }
            }
            Step::Deafen { side } => self.sides[side].replica.deafen(),
            Step::Block { side, blocked } => self.sides[side].replica.block(blocked),
            Step::Fault { side, command, fault } => self.sides[side].replica.fault(command, fault),
            Step::LetGo { side } => {
                self.sides[side].replica.let_go();
            }
            Step::HoldIdp { what, held } => self.idp.hold(what, held),
            Step::LetGoIdp { what, well } => {
                self.idp.let_go(what, well);
            }
            Step::Crash { side } => self.crash(side),
            Step::Stop { side } => {
                self.sides[side].stopped.get_or_insert(Duration::ZERO);
            }
            Step::Continue { side } => self.go_on(side),
            Step::FailOver { steps } => self.fail_over(steps),
        }
    }

    /// Everything is well again, and a minute passes: then all that was begun has ended, who is signed in passes
    /// everywhere, with a token that is good, and nobody else does.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub(super) fn rest(&mut self) -> Result<(), String> {
        for side in 0..2 {
            let replica = &self.sides[side].replica;
            replica.forget_faults();
            replica.block(false);
            self.go_on(side);
        }
        for what in [Hold::Connections, Hold::Answers, Hold::Codes] {
            self.idp.hold(what, false);
        }
        for _ in 0..3 {
            for what in [Hold::Connections, Hold::Answers, Hold::Codes] {
                while self.idp.let_go(what, true) {}
            }
            for side in &self.sides {
                while side.replica.let_go() {}
            }
            self.settle()?;
        }
        for side in 0..2 {
            self.sides[side].replica.lose_feed();
            self.act(Step::BeginFeed { side });
        }
        for span in [0, 100, 400, 5000, 10_000, 40_000, 6000] {
            self.pass(Duration::from_millis(span));
            (0..2).for_each(|side| self.heartbeat(side));
            self.settle()?;
        }
        if let Some(op) = self.ops.first() {
            let kind = match &op.what {
                What::Use { session, .. } => format!("a request with session {session}"),
                What::End { targets, .. } => format!("an ending of {targets:?}"),
                What::Login { code, .. } => format!("the login of {code}"),
            };
            return Err(format!("{kind} at {} was never answered", op.side));
        }
        self.oracle.is_calm = true;
        for path in ["/x", "/api/x"] {
            for session in 0..self.oracle.sessions.len() {
                for side in 0..2 {
                    self.request(side, session, path);
                    self.settle()?;
                }
            }
        }
        Ok(())
    }

    fn runs(&self, side: usize) -> bool {
        self.sides[side].stopped.is_none()
    }

    /// Lets everybody run who can, and judges what has come of it.
    fn settle(&mut self) -> Result<(), String> {
        for round in 0..2 {
            for side in self.sides.iter().filter(|side| side.stopped.is_none()) {
                side.runtime.block_on(async {
                    for _ in 0..8 {
                        tokio::task::yield_now().await;
                    }
                });
            }
            if round == 0 && self.ops.iter().all(|op| op.outcome.lock().unwrap().is_some()) {
                break;
            }
        }
        for number in 0..2 {
            let side = &self.sides[number];
            let renewals = std::mem::take(&mut *side.diary.renewals.lock().unwrap());
            if renewals.iter().any(|result| matches!(*result, "not-kept" | "unanswered")) {
                self.idp.lost(number);
            }
            if side.gateway.refreshes.ended().now_or_never().is_some() {
                self.idp.settled(number);
            }
        }
        let (done, under_way): (Vec<Op>, Vec<Op>) =
            std::mem::take(&mut self.ops).into_iter().partition(|op| op.outcome.lock().unwrap().is_some());
        self.ops = under_way;
        let (wall, watch) = (self.times.now(), self.times.elapsed());
        for op in done {
            let outcome = op.outcome.lock().unwrap().take().unwrap();
            let replica = &self.sides[op.side].replica;
            let had_errors = replica.errors() > op.errors || replica.is_blocked();
            self.oracle.judge(&op, outcome, had_errors, (wall, watch))?;
            if let What::Login { .. } = op.what {
                self.oracle.may_have_met(&op.met);
            }
        }
        match self.idp.wrongs().first() {
            Some(wrong) => Err(wrong.clone()),
            None => Ok(()),
        }
    }

    fn begin(&mut self, side: usize, what: What, work: impl Future<Output = Outcome> + Send + 'static) {
        let outcome = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&outcome);
        self.sides[side].runtime.spawn(async move {
            let done = work.await;
            *slot.lock().unwrap() = Some(done);
        });
        let errors = self.sides[side].replica.errors();
        let meant = |what: &What| match what {
            What::End { meant, .. } => *meant,
            What::Use { .. } | What::Login { .. } => None,
        };
        let met = self.ops.iter().filter_map(|op| meant(&op.what)).collect();
        for op in &mut self.ops {
            op.met.extend(meant(&what));
        }
        let is_disturbed = false;
        self.ops.push(Op { side, what, began: self.times.now(), errors, is_disturbed, met, outcome });
    }

    fn login(&mut self, side: usize, person: usize, sid: usize, over: Option<usize>) {
        let over = over.and_then(|number| self.oracle.choose(number));
        let ticket = over.map(|session| self.oracle.sessions[session].ticket.clone());
        self.serial += 1;
        let code = format!("{} {} {}", PEOPLE[person], SIDS[sid], self.serial);
        let gateway = Arc::clone(&self.sides[side].gateway);
        let work = signs_in(gateway, Arc::clone(&self.origin), code.clone(), ticket);
        if let Some(session) = over {
            self.oracle.threaten(&[session]);
        }
        self.begin(side, What::Login { code, person, sid, over }, work);
    }

    fn request(&mut self, side: usize, session: usize, path: &str) {
        let Some(session) = self.oracle.choose(session) else { return };
        let (must, alive_until) = self.oracle.expect(session, side, (self.times.now(), self.times.elapsed()));
        let ticket = self.oracle.sessions[session].ticket.clone();
        let gateway = Arc::clone(&self.sides[side].gateway);
        let facts = facts(&self.origin, path);
        self.begin(side, What::Use { session, must, alive_until }, asks(gateway, facts, ticket));
    }

    fn sign_out(&mut self, side: usize, session: usize) {
        let Some(session) = self.oracle.choose(session) else { return };
        let ticket = self.oracle.sessions[session].ticket.clone();
        let (gateway, origin) = (Arc::clone(&self.sides[side].gateway), Arc::clone(&self.origin));
        let targets = vec![session];
        self.oracle.threaten(&targets);
        self.begin(side, What::End { targets, meant: None, notice: None }, async move {
            let now = gateway.clock.now();
            Outcome::Ended(gateway.sign_out(&ticket, &origin, Hint::Withheld, now).await.is_ok())
        });
    }

    fn operator(&mut self, side: usize, whose: Whose) {
        let gateway = Arc::clone(&self.sides[side].gateway);
        let (targets, meant, name) = match whose {
            Whose::All(_) => (self.oracle.of(None, None), Some((None, None)), None),
            Whose::Person(person) => {
                let name = PEOPLE[person].to_owned();
                (self.oracle.of(Some(person), None), Some((Some(person), None)), Some(name))
            }
            Whose::Sid(session) | Whose::Both(_, session) => {
                let Some(session) = self.oracle.choose(session) else { return };
                let signed = &self.oracle.sessions[session];
                let meant = Some((Some(signed.person), Some(signed.sid)));
                (vec![session], meant, Some(gateway.keys.handle(&self.oracle.sessions[session].key)))
            }
        };
        self.oracle.threaten(&targets);
        self.begin(side, What::End { targets, meant, notice: None }, async move {
            let selection = match (&name, whose) {
                (None, _) => Selection::All,
                (Some(name), Whose::Person(_)) => Selection::User(name),
                (Some(name), _) => Selection::Handle(name),
            };
            Outcome::Ended(gateway.end_sessions(selection, gateway.clock.now()).await.is_ok())
        });
    }

    fn notice(&mut self, side: usize, whose: Whose) {
        self.serial += 1;
        let (person, sid) = match whose {
            Whose::All(session) => match self.oracle.choose(session) {
                Some(session) => (Some(self.oracle.sessions[session].person), None),
                None => return,
            },
            Whose::Person(person) => (Some(person), None),
            Whose::Sid(sid) => (None, Some(sid % 2)),
            Whose::Both(person, sid) => (Some(person), Some(sid % 2)),
        };
        let token = match (person, sid) {
            (Some(person), None) => format!("sub {} {}", PEOPLE[person], self.serial),
            (None, Some(sid)) => format!("sid {} {}", SIDS[sid], self.serial),
            (Some(person), Some(sid)) => format!("both {} {} {}", PEOPLE[person], SIDS[sid], self.serial),
            (None, None) => return,
        };
        let targets = self.oracle.of(person, sid);
        let notice = self.oracle.announce(person, sid, self.times.now());
        self.oracle.threaten(&targets);
        let gateway = Arc::clone(&self.sides[side].gateway);
        let meant = Some((person, sid));
        self.begin(side, What::End { targets, meant, notice: Some(notice) }, async move {
            Outcome::Ended(gateway.hear_logout(None, &token).await.is_ok())
        });
    }

    fn pass(&mut self, span: Duration) {
        self.times.pass(span);
        for side in &mut self.sides {
            match &mut side.stopped {
                Some(stopped) => *stopped += span,
                None => side.runtime.block_on(tokio::time::advance(span)),
            }
        }
    }

    fn heartbeat(&mut self, side: usize) {
        if self.runs(side) {
            self.sides[side].replica.beat();
            self.hear(side, usize::MAX);
        }
    }

    fn hear(&mut self, side: usize, count: usize) {
        if !self.runs(side) {
            return;
        }
        for _ in 0..count {
            match self.sides[side].replica.hear() {
                None => break,
                Some(News::Removed(key)) => self.oracle.hears_of_removal(side, &key, self.times.elapsed()),
                Some(News::Written(_) | News::Cleared | News::Beat(_)) => {}
            }
        }
    }

    fn crash(&mut self, side: usize) {
        let (times, shelf, idp) = (&self.times, &self.shelf, &self.idp);
        self.sides[side].replica.leave(shelf);
        let fresh = open(side, times, shelf, idp);
        let old = std::mem::replace(&mut self.sides[side], fresh);
        let events = old.diary.events.lock().unwrap().clone();
        for (name, count) in events {
            *self.sides[side].diary.events.lock().unwrap().entry(name).or_default() += count;
        }
        // What it was doing stops wherever it was.
        drop(old);
        self.idp.lost(side);
        let (gone, others) = std::mem::take(&mut self.ops).into_iter().partition(|op| op.side == side);
        self.ops = others;
        self.oracle.crashed(side, gone, self.times.elapsed());
    }

    fn go_on(&mut self, side: usize) {
        if let Some(stopped) = self.sides[side].stopped.take() {
            // The timers of a process that was stopped are over when it wakes.
            self.sides[side].runtime.block_on(tokio::time::advance(stopped));
        }
    }

    fn fail_over(&mut self, steps: usize) {
        let at = steps.min(self.past.len() - 1);
        let (copy, known, since) = self.past[at].clone();
        self.shelf.fail_over_to(&copy);
        let renews = |side: &Side| side.gateway.refreshes.ended().now_or_never().is_none();
        self.idp.forgotten(since, self.sides.iter().any(renews));
        for op in &mut self.ops {
            op.is_disturbed = true;
        }
        self.oracle.failed_over(&known);
    }
}

fn open(number: usize, times: &Arc<Times>, shelf: &Arc<Shelf>, idp: &Arc<Idp>) -> Side {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (live, diary) = (Arc::new(Live::default()), Arc::new(Diary::default()));
    let stopwatch = Arc::clone(times) as Arc<dyn Stopwatch>;
    let replica = Replica::of(shelf, near_parts(stopwatch, &diary, &live));
    let house = (replica.store(), replica.beside(), shelf.keys(), runtime.handle().clone());
    let clock = Arc::clone(times) as Arc<dyn Clock>;
    let gateway = gateway(clock, house, Door { idp: Arc::clone(idp), side: number }, &diary, live);
    Side { runtime, gateway, replica, diary, stopped: None }
}
