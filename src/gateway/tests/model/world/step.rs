//! What can happen.
//!
//! I own: [`Step`] and [`Whose`]. I may call: the provider and the store's test doors, for their words. I never do anything.

use super::super::provider::Hold;
use crate::store::tests::{Command, Fault};
use std::time::Duration;

/// One thing that happens. Numbers choose among what is there, modulo how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// Somebody signs in, perhaps at a browser that shows a session.
    Login {
        side: usize,
        person: usize,
        sid: usize,
        over: Option<usize>,
    },
    /// A request with a session.
    Use {
        side: usize,
        session: usize,
    },
    /// A request that needs the access token.
    Relay {
        side: usize,
        session: usize,
    },
    SignOut {
        side: usize,
        session: usize,
    },
    /// Somebody ends another session of theirs, or the same, in the list of their own.
    Own {
        side: usize,
        session: usize,
        other: usize,
    },
    /// A request that stays open until its session is over.
    Stream {
        side: usize,
        session: usize,
    },
    /// An operator ends sessions.
    Operator {
        side: usize,
        whose: Whose,
    },
    /// An operator ends those of a person by the index, and keeps out whoever is coming in.
    Person {
        side: usize,
        person: usize,
    },
    /// The provider's sign-out page has our frame in it.
    Frame {
        side: usize,
        sid: usize,
    },
    /// The provider announces the end of sessions.
    Notice {
        side: usize,
        whose: Whose,
    },
    /// The provider takes the refresh token of a session no longer, and says nothing.
    Forget {
        session: usize,
    },
    Pass(Duration),
    /// A heartbeat is sent and heard, with everything before it.
    Heartbeat {
        side: usize,
    },
    Beat {
        side: usize,
    },
    Hear {
        side: usize,
        count: usize,
    },
    LoseFeed {
        side: usize,
    },
    BeginFeed {
        side: usize,
    },
    Deafen {
        side: usize,
    },
    Block {
        side: usize,
        blocked: bool,
    },
    /// The store answers nobody, or everybody again.
    Outage {
        down: bool,
    },
    Fault {
        side: usize,
        command: Command,
        fault: Fault,
    },
    /// The command that has been late for longest goes on.
    LetGo {
        side: usize,
    },
    HoldIdp {
        what: Hold,
        held: bool,
    },
    /// What has been held at the provider for longest goes on, well or badly.
    LetGoIdp {
        what: Hold,
        well: bool,
    },
    Crash {
        side: usize,
    },
    /// SIGSTOP, and SIGCONT.
    Stop {
        side: usize,
    },
    Continue {
        side: usize,
    },
    /// Another server takes over, which has not heard of the writes of the last steps.
    FailOver {
        steps: usize,
    },
}

/// Whose sessions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Whose {
    /// Everybody's; for a provider, those of the person of this session.
    All(usize),
    /// Those of a person.
    Person(usize),
    /// Those on a session of the provider; for an operator, the one with this number.
    Sid(usize),
    /// Those of a person on a session of the provider; for an operator, the one with this number.
    Both(usize, usize),
}
