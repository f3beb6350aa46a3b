//! How many sessions a person may have: what a sign-in does to the others of its person.
//!
//! I own: the rule of `session.max_per_user`, as far as the model can be sure of it. I may call: values. I never demand
//! anything where two sign-ins of one person overlap: then only who comes to no harm is certain.
//!
//! With `end-oldest` whoever has as many younger ones is over, and nobody else is. With `refuse` whoever finds as many older
//! ones does not come in, nobody is refused who finds fewer, and nobody who was there before is touched.

use super::super::world::Op;
use super::session::{Signed, State};
use super::{Oracle, Outcome};
use crate::domain::cap::{AtLimit, Cap};
use crate::domain::time::Timestamp;
use std::time::Duration;

/// Between which moments a session began.
type Began = (Timestamp, Timestamp);

/// The others of a person, as a sign-in may have seen them.
struct Others {
    /// They are in force.
    sure: Vec<Began>,
    /// They may be.
    perhaps: Vec<Began>,
    /// So many more may be, nobody knows since when.
    more: usize,
}

impl Others {
    fn surely(&self, is_meant: impl Fn(Began) -> bool) -> usize {
        self.sure.iter().filter(|began| is_meant(**began)).count()
    }

    fn perhaps(&self, is_meant: impl Fn(Began) -> bool) -> usize {
        self.sure.iter().chain(&self.perhaps).filter(|began| is_meant(**began)).count() + self.more
    }
}

fn surely_before(one: Began, other: Began) -> bool {
    one.1 < other.0
}

fn perhaps_before(one: Began, other: Began) -> bool {
    one.0 <= other.1
}

impl Oracle {
    /// A sign-in of this person begins, or has ended in whatever way.
    pub(in super::super) fn signing_in(&mut self, person: usize, begins: bool) {
        let count = &mut self.signing_in[person];
        *count = if begins { *count + 1 } else { *count - 1 };
    }

    /// Whether somebody may be ended at this moment by a sign-in of their own.
    pub(super) fn may_be_too_many(&self, person: usize) -> bool {
        self.cap.is_some() && self.signing_in[person] > 0
    }

    /// Whoever has just signed in may have been ended already by another sign-in of the same person.
    pub(super) fn may_have_been_too_many(&mut self, op: &Op) {
        if self.cap.is_some()
            && op.met_logins > 0
            && let Some(signed) = self.sessions.last_mut()
        {
            signed.doubt();
        }
    }

    /// A record may be left behind that nobody was given a ticket for.
    pub(super) fn left_behind(&mut self, person: usize) {
        self.ghosts[person] += 1;
    }

    /// A sign-in of this person, at the browser of the session `over`, has ended so.
    ///
    /// # Errors
    /// There was no room for it; or there was, and it was refused.
    pub(super) fn mind_the_cap(
        &mut self,
        op: &Op,
        (person, over): (usize, Option<usize>),
        outcome: &Outcome,
        (wall, watch): (Timestamp, Duration),
    ) -> Result<(), &'static str> {
        let Some(Cap { most, at_limit }) = self.cap else {
            return if matches!(outcome, Outcome::TooMany) {
                Err("there is no limit, and it was refused")
            } else {
                Ok(())
            };
        };
        let most = most.get();
        let is_precise = op.met_logins == 0 && !op.is_disturbed;
        let own: Began = (op.began, wall);
        let others = self.others(op, (person, over), wall);
        match (outcome, at_limit) {
            (Outcome::In(..), AtLimit::Refuse)
                if is_precise && others.surely(|one| surely_before(one, own)) >= most =>
            {
                return Err("there was no room for it, and it was let in");
            }
            (Outcome::TooMany, AtLimit::Refuse)
                if is_precise && others.perhaps(|one| perhaps_before(one, own)) < most =>
            {
                return Err("there was room for it, and it was refused");
            }
            (Outcome::TooMany, AtLimit::EndOldest)
                if is_precise && others.perhaps(|one| perhaps_before(own, one)) < most =>
            {
                return Err("it is not the oldest, and was refused");
            }
            (Outcome::TooMany, _) => return Ok(()),
            _ => {}
        }
        let is_in = matches!(outcome, Outcome::In(..));
        let is_written = matches!(outcome, Outcome::In(_, _, true));
        for at in (0..self.sessions.len()).filter(|at| Some(*at) != over) {
            let signed = &mut self.sessions[at];
            if signed.person != person || signed.knew.state != State::Live {
                continue;
            }
            let began = signed.started;
            // Not counting itself.
            let others = others.without(began);
            match at_limit {
                AtLimit::EndOldest => {
                    let younger = |one: Began| surely_before(began, one);
                    let sure = others.surely(younger) + usize::from(younger(own));
                    let is_alive = signed.threats == 0 && wall < signed.alive_until();
                    if is_in && is_precise && is_alive && sure >= most {
                        signed.first_threat.get_or_insert(op.since);
                        signed.ended_at(op.side, is_written.then_some(watch));
                    } else if others.perhaps(|one| perhaps_before(began, one)) + 1 >= most {
                        signed.doubt();
                    }
                }
                AtLimit::Refuse => {
                    let older = others.perhaps(|one| perhaps_before(one, began)) + 1;
                    if perhaps_before(own, began) && older >= most {
                        signed.doubt();
                    }
                }
            }
        }
        Ok(())
    }

    fn others(&self, op: &Op, (person, over): (usize, Option<usize>), wall: Timestamp) -> Others {
        let mut others =
            Others { sure: Vec::new(), perhaps: Vec::new(), more: self.ghosts[person] + op.met_logins };
        for (at, signed) in self.sessions.iter().enumerate() {
            // What it takes the place of does not count.
            if signed.person != person || Some(at) == over {
                continue;
            }
            match signed.knew.state {
                State::Live if signed.threats == 0 && wall < signed.alive_until() => {
                    others.sure.push(signed.started);
                }
                // It was over before this began.
                State::Ended(at) if at < op.since => {}
                State::Live | State::Unsure | State::Ended(_) => others.perhaps.push(signed.started),
            }
        }
        others
    }
}

impl Others {
    /// Without one that began so.
    fn without(&self, began: Began) -> Self {
        let (mut sure, mut perhaps) = (self.sure.clone(), self.perhaps.clone());
        if let Some(at) = sure.iter().position(|one| *one == began) {
            sure.remove(at);
        } else if let Some(at) = perhaps.iter().position(|one| *one == began) {
            perhaps.remove(at);
        }
        Self { sure, perhaps, more: self.more }
    }
}

impl Signed {
    /// This replica has ended it, and the store knows since `written`, or will.
    pub(super) fn ended_at(&mut self, side: usize, written: Option<Duration>) {
        self.remember(side);
        self.said[side] = true;
        match written {
            Some(at) => {
                self.struck[side] = true;
                self.end(at);
            }
            None => {
                self.owed[side] = true;
                self.doubt();
            }
        }
    }
}
