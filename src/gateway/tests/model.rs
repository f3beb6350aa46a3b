//! The session engine against a model: two replicas, one store, one provider, and everything that can befall them, in
//! random order.
//!
//! I own: how steps are chosen, and what came of it: a failure that was found here once is a test with a name below. The
//! rules are in `oracle`, the replicas in `world`, the provider in `provider`. I may call: everything.
//!
//! `PROPTEST_CASES=20000 cargo test --release --lib gateway::tests::model` looks longer. A failure prints the fewest
//! steps that lead there.

mod oracle;
mod provider;
mod real;
mod world;

use self::provider::Hold;
use self::real::Town;
use self::world::{Step, Whose, World};
use crate::store::tests::{Command, Fault, RealShelf};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many cases are tried unless somebody asks for more.
const CASES: u32 = 400;

const fn millis(count: u64) -> Step {
    Step::Pass(Duration::from_millis(count))
}

fn side() -> impl Strategy<Value = usize> {
    0..2_usize
}

fn session() -> impl Strategy<Value = usize> {
    0..3_usize
}

fn whose() -> impl Strategy<Value = Whose> {
    prop_oneof![
        2 => session().prop_map(Whose::All),
        2 => side().prop_map(Whose::Person),
        3 => session().prop_map(Whose::Sid),
        1 => (side(), session()).prop_map(|(person, sid)| Whose::Both(person, sid)),
    ]
}

fn span() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(millis(50)),
        4 => Just(millis(400)),
        4 => Just(millis(1000)),
        2 => Just(millis(6000)),
        2 => Just(millis(11_000)),
        2 => Just(millis(36_000)),
        2 => Just(millis(280_000)),
        2 => Just(millis(301_000)),
        1 => Just(millis(1_000_000)),
        1 => Just(millis(1_900_000)),
    ]
}

fn fault() -> impl Strategy<Value = Step> {
    let command = prop_oneof![
        9 => Just(Command::Read),
        1 => Just(Command::Create),
        4 => Just(Command::Update),
        3 => Just(Command::Remove),
        1 => Just(Command::Touch),
        2 => Just(Command::Other),
    ];
    let fault = prop_oneof![
        1 => Just(Fault::RequestLost),
        2 => Just(Fault::AnswerLost),
        1 => Just(Fault::RequestLate),
        5 => Just(Fault::AnswerLate),
    ];
    (side(), command, fault).prop_map(|(side, command, fault)| Step::Fault { side, command, fault })
}

fn hold() -> impl Strategy<Value = Hold> {
    prop_oneof![3 => Just(Hold::Answers), 2 => Just(Hold::Connections), 1 => Just(Hold::Codes)]
}

/// Simpler ones first: that is what a failure shrinks to.
fn step() -> impl Strategy<Value = Step> {
    let login = (side(), side(), side(), proptest::option::weighted(0.2, session()))
        .prop_map(|(side, person, sid, over)| Step::Login { side, person, sid, over });
    prop_oneof![
        16 => (side(), session()).prop_map(|(side, session)| Step::Use { side, session }),
        14 => (side(), session()).prop_map(|(side, session)| Step::Relay { side, session }),
        6 => login,
        6 => (side(), session()).prop_map(|(side, session)| Step::SignOut { side, session }),
        2 => (side(), whose()).prop_map(|(side, whose)| Step::Operator { side, whose }),
        3 => (side(), whose()).prop_map(|(side, whose)| Step::Notice { side, whose }),
        1 => session().prop_map(|session| Step::Forget { session }),
        14 => span(),
        14 => side().prop_map(|side| Step::Heartbeat { side }),
        2 => side().prop_map(|side| Step::Beat { side }),
        3 => (side(), 1..4_usize).prop_map(|(side, count)| Step::Hear { side, count }),
        1 => side().prop_map(|side| Step::LoseFeed { side }),
        2 => side().prop_map(|side| Step::BeginFeed { side }),
        1 => side().prop_map(|side| Step::Deafen { side }),
        1 => side().prop_map(|side| Step::Block { side, blocked: true }),
        3 => side().prop_map(|side| Step::Block { side, blocked: false }),
        12 => fault(),
        9 => side().prop_map(|side| Step::LetGo { side }),
        2 => hold().prop_map(|what| Step::HoldIdp { what, held: true }),
        2 => hold().prop_map(|what| Step::HoldIdp { what, held: false }),
        4 => (hold(), prop::bool::weighted(0.8)).prop_map(|(what, well)| Step::LetGoIdp { what, well }),
        1 => side().prop_map(|side| Step::Crash { side }),
        2 => side().prop_map(|side| Step::Stop { side }),
        4 => side().prop_map(|side| Step::Continue { side }),
        1 => (0..6_usize).prop_map(|steps| Step::FailOver { steps }),
    ]
}

/// Alice signs in at the first replica and Bob at the second, some things happen, everything gets well again, and
/// everybody is looked after once more. What was counted.
fn run(steps: &[Step]) -> Result<BTreeMap<&'static str, u64>, String> {
    let mut world = World::new();
    for who in 0..2 {
        world.step(Step::Login { side: who, person: who, sid: who, over: None })?;
    }
    for (at, step) in steps.iter().enumerate() {
        world.step(*step).map_err(|why| format!("after step {at}, {step:?}: {why}"))?;
    }
    world.rest().map_err(|why| format!("when all is well again: {why}"))?;
    Ok(world.events())
}

/// `PROPTEST_CASES`, if it says anything: `proptest` reads it.
fn asked_for(config: &Config) -> Option<u32> {
    const NOBODY_ASKS: u32 = 256;
    (config.cases != NOBODY_ASKS).then_some(config.cases)
}

/// The same steps each time, unless somebody asks for more cases.
fn runner(config: Config, cases: u32, asked_for: Option<u32>) -> TestRunner {
    let config = Config { cases, ..config };
    match asked_for {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    }
}

/// Steps after which something was once found.
fn found(steps: &[Step]) {
    run(steps).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn r45_whoever_hears_late_that_the_mark_is_written_does_not_present_the_token() {
    found(&[
        millis(301_000),
        Step::Fault { side: 1, command: Command::Update, fault: Fault::AnswerLate },
        Step::Relay { side: 1, session: 1 },
        Step::Relay { side: 0, session: 1 },
        millis(36_000),
        Step::LetGo { side: 1 },
    ]);
}

#[test]
fn r45_whoever_is_stopped_on_the_way_to_the_provider_does_not_present_the_token_on_waking_up() {
    found(&[
        millis(301_000),
        Step::HoldIdp { what: Hold::Connections, held: true },
        Step::Relay { side: 0, session: 0 },
        Step::Stop { side: 0 },
        Step::HoldIdp { what: Hold::Connections, held: false },
        Step::Relay { side: 1, session: 0 },
        millis(36_000),
        Step::Relay { side: 1, session: 0 },
        Step::LetGoIdp { what: Hold::Connections, well: true },
        Step::Continue { side: 0 },
    ]);
}

#[test]
fn r45_a_mark_that_a_failover_has_lost_does_not_cost_the_tokens() {
    let what = Hold::Answers;
    let seen = run(&[
        millis(301_000),
        Step::HoldIdp { what, held: true },
        Step::Relay { side: 0, session: 0 },
        // Back to before the renewal began: no mark, and no lease.
        Step::FailOver { steps: 1 },
        Step::HoldIdp { what, held: false },
        Step::LetGoIdp { what, well: true },
    ]);
    let seen = seen.unwrap();
    // That of the other session, too, when all was well again.
    assert_eq!(seen.get("renewed"), Some(&2), "{seen:?}");
    assert!(!seen.contains_key("superseded") && !seen.contains_key("refresh-refused"), "{seen:?}");
}

#[test]
fn r45_tokens_that_came_and_went_while_a_request_waited_are_fetched_once_more() {
    found(&[
        millis(301_000),
        Step::Fault { side: 1, command: Command::Read, fault: Fault::AnswerLate },
        Step::Relay { side: 1, session: 0 },
        Step::Relay { side: 0, session: 0 },
        millis(301_000),
        Step::LetGo { side: 1 },
    ]);
}

/// What has to have happened for a silence to mean anything.
const SEEN: [&str; 10] = [
    "near: hit",
    "near: doubtful",
    "near: fell back",
    "near: fill refused",
    "renewed",
    "unanswered",
    "ended-meanwhile",
    "by-user",
    "by-operator",
    "by-provider",
];

#[test]
fn r45_r88_a34_whatever_happens_to_two_replicas_nobody_stays_who_is_out_and_nobody_goes_who_is_in() {
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 20_000,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let asked_for = asked_for(&config);
    let cases = asked_for.unwrap_or(CASES);
    let events = Mutex::new(BTreeMap::new());
    let strategy = prop::collection::vec(step(), 0..90);
    let (tried, has_failed) = (AtomicU32::new(0), AtomicBool::new(false));
    let outcome = runner(config, cases, asked_for).run(&strategy, |steps| {
        if !has_failed.load(Ordering::SeqCst) {
            tried.fetch_add(1, Ordering::SeqCst);
        }
        let seen = run(&steps).map_err(|why| {
            has_failed.store(true, Ordering::SeqCst);
            TestCaseError::fail(why)
        })?;
        let mut events = events.lock().unwrap();
        for (name, count) in seen {
            *events.entry(name).or_insert(0) += count;
        }
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => {
            let steps: Vec<String> = steps.iter().map(|step| format!("    {step:?},\n")).collect();
            let tried = tried.load(Ordering::SeqCst);
            panic!("case {tried}: {why}\nafter two sign-ins and\n{}", steps.concat());
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
    let events = events.into_inner().unwrap();
    let unseen: Vec<_> = SEEN.iter().filter(|name| !events.contains_key(**name)).collect();
    assert!(unseen.is_empty() || cases < CASES, "it never happened: {unseen:?}; what did: {events:?}");
}

fn real_step() -> impl Strategy<Value = real::Step> {
    use real::Step;
    prop_oneof![
        8 => (side(), session()).prop_map(|(side, session)| Step::Use { side, session }),
        6 => session().prop_map(|session| Step::Relay { session }),
        4 => (side(), session()).prop_map(|(side, session)| Step::SignOut { side, session }),
        3 => (side(), session()).prop_map(|(side, session)| Step::Race { side, session }),
        5 => (side(), side()).prop_map(|(side, person)| Step::Login { side, person }),
        4 => Just(Step::Settle),
        3 => Just(Step::Later),
        2 => Just(Step::Pass(Duration::from_millis(20))),
        1 => Just(Step::Pass(Duration::from_millis(1000))),
        2 => Just(Step::Cut),
        1 => Just(Step::Freeze(Duration::from_millis(1500))),
        2 => (0..3_usize).prop_map(|steps| Step::FailOver { steps }),
    ]
}

/// How many cases are tried over Redis, which takes real time.
const REAL_CASES: u32 = 6;

#[test]
fn r45_r88_a34_and_so_it_is_over_a_real_redis() {
    let config = Config { failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let asked_for = asked_for(&config);
    let cases = asked_for.unwrap_or(REAL_CASES);
    let shelf = Mutex::new(RealShelf::start());
    let events = Mutex::new(BTreeMap::new());
    let strategy = prop::collection::vec(real_step(), 10..40);
    let outcome = runner(config, cases, asked_for).run(&strategy, |steps| {
        let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.begin_anew();
        let mut town = Town::new(&shelf);
        for who in 0..2 {
            town.step(real::Step::Login { side: who, person: who }).map_err(TestCaseError::fail)?;
        }
        for (at, step) in steps.iter().enumerate() {
            let judged = town.step(*step);
            judged.map_err(|why| TestCaseError::fail(format!("after step {at}, {step:?}: {why}")))?;
        }
        let seen = town.rest().map_err(TestCaseError::fail)?;
        for (name, count) in seen {
            *events.lock().unwrap().entry(name).or_insert(0) += count;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let events = events.into_inner().unwrap();
    for name in ["near: hit", "near: doubtful", "renewed", "by-user"] {
        assert!(events.contains_key(name), "it never happened: {name}; what did: {events:?}");
    }
}
