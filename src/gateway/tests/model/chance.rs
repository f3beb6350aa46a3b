//! What happens, by chance.
//!
//! I own: how steps are chosen, and how often each. I may call: `proptest`, and the steps. I never look at what comes of it.

use super::provider::Hold;
use super::real;
use super::world::{Step, Whose};
use crate::domain::cap::{AtLimit, Cap};
use crate::store::tests::{Command, Fault};
use proptest::prelude::*;
use std::num::NonZeroUsize;
use std::time::Duration;

pub(super) const fn millis(count: u64) -> Step {
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
        4 => (side(), session()).prop_map(|(side, session)| Step::Stream { side, session }),
        6 => (side(), session()).prop_map(|(side, session)| Step::SignOut { side, session }),
        2 => (side(), session(), session())
            .prop_map(|(side, session, other)| Step::Own { side, session, other }),
        1 => (side(), side()).prop_map(|(side, person)| Step::Person { side, person }),
        1 => (side(), side()).prop_map(|(side, sid)| Step::Frame { side, sid }),
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
        1 => Just(Step::Outage { down: true }),
        3 => Just(Step::Outage { down: false }),
        12 => fault(),
        9 => side().prop_map(|side| Step::LetGo { side }),
        2 => hold().prop_map(|what| Step::HoldIdp { what, held: true }),
        2 => hold().prop_map(|what| Step::HoldIdp { what, held: false }),
        4 => (hold(), prop::bool::weighted(0.8)).prop_map(|(what, well)| Step::LetGoIdp { what, well }),
        1 => side().prop_map(|side| Step::Crash { side }),
        2 => side().prop_map(|side| Step::Stop { side }),
        4 => side().prop_map(|side| Step::Continue { side }),
        2 => (0..6_usize).prop_map(|steps| Step::FailOver { steps }),
    ]
}

/// What happens in a row: mostly one thing, and now and then several that come to something together.
fn phrase() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        60 => step().prop_map(|step| vec![step]),
        1 => (side(), session()).prop_map(|(side, session)| forgotten_tokens(side, session)),
        1 => (side(), session(), 1..3_usize).prop_map(|(side, session, steps)| {
            let ending = Step::SignOut { side, session };
            vec![Step::Heartbeat { side }, ending, Step::FailOver { steps }, millis(6000), millis(1000)]
        }),
        // The provider has answered, and whoever asked is killed before anything is written.
        1 => (side(), session()).prop_map(|(side, session)| {
            let hold = |held| Step::HoldIdp { what: Hold::Answers, held };
            vec![millis(301_000), hold(true), Step::Relay { side, session }, Step::Crash { side }, hold(false)]
        }),
        1 => (side(), session(), fault()).prop_map(|(side, session, fault)| {
            vec![Step::Use { side, session }, fault, Step::Outage { down: true }, Step::SignOut { side, session }]
        }),
    ]
}

/// New tokens, which a replica has in memory and the store forgets.
pub(super) fn forgotten_tokens(side: usize, session: usize) -> Vec<Step> {
    vec![
        millis(301_000),
        Step::Relay { side, session },
        Step::Heartbeat { side },
        Step::Relay { side, session },
        Step::FailOver { steps: 3 },
        millis(1000),
        Step::Use { side, session },
    ]
}

/// All that happens in one case.
pub(super) fn story() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(phrase(), 0..90).prop_map(|phrases| phrases.concat())
}

/// How many sessions a person may have.
pub(super) fn cap() -> impl Strategy<Value = Option<Cap>> {
    let two = |at_limit| Some(Cap { most: NonZeroUsize::MIN.saturating_add(1), at_limit });
    prop_oneof![2 => Just(None), 1 => Just(two(AtLimit::EndOldest)), 1 => Just(two(AtLimit::Refuse))]
}

pub(super) fn real_step() -> impl Strategy<Value = real::Step> {
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
