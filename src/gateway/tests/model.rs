//! The session engine against a model: two replicas, one store, one provider, and everything that can befall them, in
//! random order.
//!
//! I own: what came of it: a failure that was found here once is a test with a name below. `chance` chooses the steps, the rules
//! are in `oracle`, the replicas in `world`, the provider in `provider`; `real` is the same over Redis. I may call: everything.
//!
//! `PROPTEST_CASES=20000 cargo test --release --lib gateway::tests::model` looks longer. A failure prints the fewest
//! steps that lead there.

mod chance;
mod oracle;
mod provider;
mod real;
mod world;

use self::chance::{cap, forgotten_tokens, millis, real_step, story};
use self::provider::Hold;
use self::real::Town;
use self::world::{Step, Whose, World};
use crate::domain::cap::Cap;
use crate::store::tests::{Command, Fault, RealShelf};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many cases are tried unless somebody asks for more.
const CASES: u32 = 400;

/// Alice signs in at the first replica and Bob at the second, some things happen, everything gets well again, and
/// everybody is looked after once more. What was counted.
fn run(cap: Option<Cap>, steps: &[Step]) -> Result<BTreeMap<&'static str, u64>, String> {
    let mut world = World::new(cap);
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
    run(None, steps).unwrap_or_else(|why| panic!("{why}"));
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
    let seen = run(
        None,
        &[
            millis(301_000),
            Step::HoldIdp { what, held: true },
            Step::Relay { side: 0, session: 0 },
            // Back to before the renewal began: no mark, and no lease.
            Step::FailOver { steps: 1 },
            Step::HoldIdp { what, held: false },
            Step::LetGoIdp { what, well: true },
        ],
    );
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

#[test]
fn r45_tokens_that_a_failover_has_forgotten_are_back_after_a_request_where_they_are_in_memory() {
    let mut steps = forgotten_tokens(0, 0);
    steps.push(Step::Relay { side: 1, session: 0 });
    let seen = run(None, &steps).unwrap();
    assert_eq!(seen.get("near: put back"), Some(&1), "{seen:?}");
    // The other session was renewed when all was well again.
    assert_eq!(seen.get("renewed"), Some(&2), "{seen:?}");
}

#[test]
fn a34_an_ending_whose_answer_came_after_the_failover_that_has_forgotten_it_is_written_again() {
    found(&[
        // The first way to remove it does not get through, and the answer on the second is late.
        Step::Fault { side: 0, command: Command::Remove, fault: Fault::RequestLost },
        Step::Fault { side: 0, command: Command::Remove, fault: Fault::AnswerLate },
        Step::SignOut { side: 0, session: 0 },
        // Back to before it was asked for; the feed is silent, and begins anew.
        Step::FailOver { steps: 1 },
        millis(6000),
        Step::LetGo { side: 0 },
        millis(1000),
        millis(1000),
        Step::Use { side: 1, session: 0 },
    ]);
}

#[test]
fn a34_whoever_signs_out_while_a_logout_of_the_provider_is_under_way_is_signed_out_everywhere() {
    found(&[
        Step::Fault { side: 0, command: Command::Remove, fault: Fault::RequestLate },
        Step::Notice { side: 0, whose: Whose::Person(0) },
        Step::SignOut { side: 0, session: 0 },
        millis(1000),
        Step::Use { side: 1, session: 0 },
    ]);
}

#[test]
fn a34_whoever_signs_out_where_an_operator_came_to_half_of_an_ending_is_signed_out_everywhere() {
    found(&[
        Step::Fault { side: 0, command: Command::Read, fault: Fault::RequestLost },
        Step::Person { side: 0, person: 0 },
        Step::SignOut { side: 0, session: 0 },
        millis(1000),
        Step::Use { side: 1, session: 0 },
    ]);
}

#[test]
fn a34_a_session_that_is_over_by_half_is_not_left_to_the_next_person_at_its_browser() {
    found(&[
        Step::Fault { side: 0, command: Command::Read, fault: Fault::RequestLost },
        Step::Person { side: 0, person: 0 },
        millis(50),
        Step::Login { side: 0, person: 1, sid: 1, over: Some(0) },
        millis(1000),
        Step::Use { side: 1, session: 0 },
    ]);
}

#[test]
fn a34_an_ending_in_an_outage_is_in_force_where_it_was_asked_for_and_written_afterwards() {
    let seen = run(
        None,
        &[
            Step::Use { side: 0, session: 0 },
            Step::Stream { side: 0, session: 0 },
            Step::Outage { down: true },
            millis(1000),
            Step::SignOut { side: 0, session: 0 },
            Step::Use { side: 0, session: 0 },
            Step::Outage { down: false },
            millis(1000),
            millis(1000),
            Step::Use { side: 1, session: 0 },
        ],
    );
    let seen = seen.unwrap();
    assert!(seen.contains_key("endings: deferred") && seen.contains_key("endings: written"), "{seen:?}");
}

#[test]
fn r47_a_request_that_the_store_was_late_for_takes_no_later_use_back() {
    found(&[
        millis(301_000),
        Step::Fault { side: 0, command: Command::Read, fault: Fault::AnswerLate },
        Step::Use { side: 0, session: 0 },
        millis(1_000_000),
        // Elsewhere: the one that waits knows nothing of it.
        Step::Use { side: 1, session: 0 },
        Step::LetGo { side: 0 },
        millis(1_000_000),
        Step::Use { side: 0, session: 0 },
    ]);
}

#[test]
fn r45_nobody_else_presents_a_token_while_an_answer_may_still_come() {
    found(&[
        millis(301_000),
        Step::HoldIdp { what: Hold::Answers, held: true },
        Step::Relay { side: 0, session: 0 },
        millis(6000),
        Step::Relay { side: 1, session: 0 },
        Step::LetGoIdp { what: Hold::Answers, well: true },
    ]);
}

/// What has to have happened for a silence to mean anything.
const SEEN: [&str; 22] = [
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
    "near: put back",
    "breaker: open",
    "endings: deferred",
    "endings: written",
    "endings: forgotten",
    "cap",
    "too many",
    "person-changed",
    "replaced",
    "refresh-refused",
    "idle",
    "stream: over",
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
    let strategy = (cap(), story());
    let (tried, has_failed) = (AtomicU32::new(0), AtomicBool::new(false));
    let outcome = runner(config, cases, asked_for).run(&strategy, |(cap, steps)| {
        if !has_failed.load(Ordering::SeqCst) {
            tried.fetch_add(1, Ordering::SeqCst);
        }
        let seen = run(cap, &steps).map_err(|why| {
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
        Err(TestError::Fail(why, (cap, steps))) => {
            let steps: Vec<String> = steps.iter().map(|step| format!("    {step:?},\n")).collect();
            let tried = tried.load(Ordering::SeqCst);
            panic!("case {tried}: {why}\nafter two sign-ins, with {cap:?}, and\n{}", steps.concat());
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
    let events = events.into_inner().unwrap();
    let unseen: Vec<_> = SEEN.iter().filter(|name| !events.contains_key(**name)).collect();
    assert!(unseen.is_empty() || cases < CASES, "it never happened: {unseen:?}; what did: {events:?}");
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
