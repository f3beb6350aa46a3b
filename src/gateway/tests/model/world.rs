//! Two replicas over one store, and everything that can befall them.
//!
//! I own: [`World`], and [`World::step`]. `side` is one replica, `wishes` what people, operators and the provider want of it,
//! `op` something that is under way, `streams` what stays open, `weather` what befalls it, `rest` the end. I may call: the whole room, the store's test doors. I never judge:
//! `oracle` does, and is told of everything.
//!
//! Each replica has a runtime of its own, whose timers the test moves: a replica that is stopped is one whose runtime
//! does not run, and one that crashes is one whose runtime is dropped. Nothing here takes any time of this machine.

mod diary;
mod house;
mod op;
mod rest;
mod side;
mod step;
mod streams;
mod weather;
mod wishes;

pub(super) use self::diary::Diary;
pub(super) use self::house::{asks, ended, facts, gateway, near_parts, signs_in};
pub(super) use self::op::{Op, What};
pub(super) use self::step::{Step, Whose};

use self::diary::Times;
use self::side::Side;
use self::streams::Stream;
use super::oracle::{Around, Knew, Oracle, Outcome};
use super::provider::Idp;
use crate::domain::cap::Cap;
use crate::domain::origin::Origin;
use crate::domain::session::Limits;
use crate::domain::time::Timestamp;
use crate::ports::{Clock, Stopwatch as _};
use crate::store::tests::{Shelf, Snapshot};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub(super) const LIMITS: Limits =
    Limits { idle: Duration::from_secs(1800), lifetime: Duration::from_secs(3600) };
pub(super) const GRACE: Duration = Duration::from_secs(30);
const PEOPLE: [&str; 2] = ["alice", "bob"];
const SIDS: [&str; 2] = ["one", "two"];

/// How far back a server may be that takes over, in steps.
const PAST: usize = 6;

/// A person and a session of the provider, where they matter.
pub(super) type Meant = (Option<usize>, Option<usize>);

/// Everything.
pub(super) struct World {
    times: Arc<Times>,
    shelf: Arc<Shelf>,
    idp: Arc<Idp>,
    sides: Vec<Side>,
    cap: Option<Cap>,
    ops: Vec<Op>,
    streams: Vec<Stream>,
    past: VecDeque<(Snapshot, Vec<Knew>, Timestamp)>,
    /// When another server took over.
    failed_over: Option<Duration>,
    serial: usize,
    origin: Arc<Origin>,
    pub(super) oracle: Oracle,
}

impl World {
    /// Two replicas whose feeds are proved, with so many sessions for each person.
    pub(super) fn new(cap: Option<Cap>) -> Self {
        // Long after the beginning of either clock.
        let times = Arc::new(Times { wall: AtomicU64::new(1_000_000_000), watch: AtomicU64::new(500_000) });
        let (shelf, idp) = (Shelf::new(), Idp::new(Arc::clone(&times) as Arc<dyn Clock>));
        let origin = Arc::new(Origin::parse("https://apps.example.com").unwrap());
        let sides = (0..2).map(|side| Side::open(side, &times, &shelf, &idp, cap)).collect();
        let oracle = Oracle::new(Arc::clone(&idp), cap);
        let (ops, streams, past) = (Vec::new(), Vec::new(), VecDeque::new());
        let (failed_over, serial) = (None, 0);
        let mut world =
            Self { times, shelf, idp, sides, cap, ops, streams, past, failed_over, serial, origin, oracle };
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

    fn now(&self) -> (Timestamp, Duration) {
        (self.times.now(), self.times.elapsed())
    }

    /// One step, and all that follows of itself from it.
    ///
    /// # Errors
    /// What has happened that must never be.
    pub(super) fn step(&mut self, step: Step) -> Result<(), String> {
        self.past.push_front((self.shelf.snapshot(), self.oracle.known(), self.times.now()));
        self.past.truncate(PAST);
        self.ops.iter_mut().for_each(|op| op.is_fresh = false);
        self.sides.iter_mut().for_each(Side::begin_step);
        self.act(step);
        self.settle()?;
        match step {
            Step::Pass(span) => self.look_after(span),
            _ => Ok(()),
        }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Login { side, person, sid, over } => self.login(side, person, sid, over),
            Step::Use { side, session } => self.request(side, session, "/x"),
            Step::Relay { side, session } => self.request(side, session, "/api/x"),
            Step::Stream { side, session } => self.stream(side, session),
            Step::SignOut { side, session } => self.sign_out(side, session),
            Step::Own { side, session, other } => self.own(side, session, other),
            Step::Operator { side, whose } => self.operator(side, whose),
            Step::Person { side, person } => self.person(side, person),
            Step::Notice { side, whose } => self.notice(side, whose),
            Step::Frame { side, sid } => self.frame(side, sid),
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
            Step::BeginFeed { side } => self.begin_feed(side),
            Step::Deafen { side } => self.sides[side].replica.deafen(),
            Step::Block { side, blocked } => self.sides[side].replica.block(blocked),
            Step::Outage { down } => self.sides.iter().for_each(|side| side.replica.block(down)),
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

    fn runs(&self, side: usize) -> bool {
        self.sides[side].stopped.is_none()
    }

    /// Lets everybody run who can, and judges what has come of it.
    fn settle(&mut self) -> Result<(), String> {
        for round in 0..2 {
            self.sides.iter().for_each(Side::run);
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
            if !side.is_renewing() {
                self.idp.settled(number);
            }
        }
        let is_renewing = self.sides.iter().any(Side::is_renewing);
        let (done, under_way): (Vec<Op>, Vec<Op>) =
            std::mem::take(&mut self.ops).into_iter().partition(|op| op.outcome.lock().unwrap().is_some());
        self.ops = under_way;
        let (wall, watch) = self.now();
        for op in done {
            let outcome = op.outcome.lock().unwrap().take().unwrap();
            let side = &self.sides[op.side];
            let since_failover = self.failed_over.is_some_and(|at| at + Duration::from_secs(1) <= watch);
            let around = Around {
                wall,
                watch,
                had_errors: side.errors() > op.errors || side.replica.is_blocked() || side.was_open(),
                is_alone: op.is_alone && op.is_fresh && !is_renewing,
                asks: since_failover || (self.failed_over.is_some() && side.begun.is_some()),
                gave_back: side.gave_back(),
            };
            match outcome {
                Outcome::Over(why) => side.diary.count(why),
                Outcome::TooMany => side.diary.count("too many"),
                _ => {}
            }
            let before = self.oracle.sessions.len();
            self.oracle.judge(&op, outcome, around)?;
            if self.oracle.sessions.len() > before {
                self.oracle.may_have_met(&op.met);
            }
        }
        if is_renewing {
            (0..2).for_each(|side| self.oracle.holds_nothing(side, None));
        }
        for number in 0..2 {
            if self.runs(number) && self.sides[number].gateway.store.owed() == 0 {
                self.oracle.nothing_is_owed(number, watch);
            }
        }
        self.judge_streams(wall)?;
        match self.idp.wrongs().first() {
            Some(wrong) => Err(wrong.clone()),
            None => Ok(()),
        }
    }

    /// What must have followed when some time has passed.
    fn look_after(&mut self, span: Duration) -> Result<(), String> {
        let watch = self.times.elapsed();
        for number in 0..2 {
            let side = &self.sides[number];
            if !side.was_well_all_along() {
                continue;
            }
            if span >= side::WRITES_WITHIN
                && let Some(begun) = side.begun
            {
                self.oracle.applied_again(number, begun, watch);
            }
            if span >= Duration::from_secs(1) {
                self.none_outlives_its_session(number)?;
            }
        }
        Ok(())
    }
}
