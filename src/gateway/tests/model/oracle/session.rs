//! What is known of one session.
//!
//! I own: [`Signed`], its [`State`], and [`Knew`], what of it a failover takes back. I may call: nothing but values. I never
//! guess: what is not certain is [`State::Unsure`].

use super::super::world::LIMITS;
use crate::domain::session::{SessionKey, Ticket};
use crate::domain::time::Timestamp;
use std::time::Duration;

/// For how long a replica remembers an ending that the store has taken.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// What has to become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Must {
    /// It may pass.
    Nothing,
    /// It must not pass unless the store does not answer.
    RefuseWithStore,
    /// It must not pass as long as this replica remembers that it is over, whatever the store says.
    RefuseHere,
    /// It must not pass.
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Unsure,
    /// Since this moment of the stopwatch.
    Ended(Duration),
}

/// What is known of a session, as far as the store may forget it.
#[derive(Clone, Copy)]
pub(in super::super) struct Knew {
    pub(super) state: State,
    /// The last use that the store certainly knows.
    pub(super) noted: Timestamp,
    /// The last use at all.
    pub(super) used: Timestamp,
    /// Uses before this moment may be known to a replica that takes them for noted, and to no store.
    pub(super) noted_from: Timestamp,
}

pub(in super::super) struct Signed {
    pub(in super::super) ticket: Ticket,
    pub(in super::super) key: SessionKey,
    pub(in super::super) person: usize,
    pub(in super::super) sid: usize,
    /// When the provider was asked about it.
    pub(super) redeemed: Timestamp,
    /// It began after the first and before the second of these.
    pub(super) started: (Timestamp, Timestamp),
    /// The provider's name for its tokens.
    pub(in super::super) family: usize,
    /// Endings under way.
    pub(super) threats: usize,
    /// When the first of them began.
    pub(super) first_threat: Option<Duration>,
    /// Which replicas have certainly nothing left of it.
    pub(super) struck: [bool; 2],
    /// Since when each replica remembers that it is over.
    pub(super) remembered: [Option<Duration>; 2],
    /// Since when each replica remembers that somebody announced the end of it, at least.
    pub(super) marked: [Option<Duration>; 2],
    /// Which replicas have yet to tell the store that it is over.
    pub(super) owed: [bool; 2],
    /// The store may have it again, and a replica that remembers the end of it would not see it there.
    pub(super) may_be_hidden: bool,
    /// Which replicas have told those who wait that it is over.
    pub(super) said: [bool; 2],
    /// The number of its tokens in the memory of each replica, where that is certain.
    pub(super) held: [Option<u64>; 2],
    pub(super) knew: Knew,
}

impl Signed {
    /// It is over since `at`, if it was not before.
    pub(super) fn end(&mut self, at: Duration) {
        self.may_be_hidden = false;
        self.knew.state = match self.knew.state {
            State::Ended(before) => State::Ended(before.min(at)),
            State::Live | State::Unsure => State::Ended(at),
        };
    }

    pub(super) fn is_live(&self) -> bool {
        self.knew.state == State::Live && self.threats == 0
    }

    /// Somebody begins to end it.
    pub(super) fn threaten(&mut self, watch: Duration) {
        self.threats += 1;
        self.first_threat.get_or_insert(watch);
    }

    /// This replica has it on its list of endings; since when is not certain, but no sooner than somebody tried.
    pub(super) fn remember(&mut self, side: usize) {
        self.remembered[side] = self.remembered[side].or(self.first_threat);
    }

    /// Whether this replica certainly remembers at this moment that it is over.
    pub(super) fn is_remembered(&self, side: usize, watch: Duration) -> bool {
        let lasts = |since: Option<Duration>| since.is_some_and(|since| watch < since + REMEMBERED_FOR);
        self.owed[side] || lasts(self.remembered[side]) || lasts(self.marked[side])
    }

    /// Until when it is certainly alive.
    pub(super) fn alive_until(&self) -> Timestamp {
        match self.knew.state {
            State::Live => self.knew.noted.plus(LIMITS.idle).min(self.started.0.plus(LIMITS.lifetime)),
            State::Unsure | State::Ended(_) => Timestamp::from_unix_millis(0),
        }
    }

    /// It may be over, or not.
    pub(super) fn doubt(&mut self) {
        if self.knew.state == State::Live {
            self.knew.state = State::Unsure;
        }
    }
}
