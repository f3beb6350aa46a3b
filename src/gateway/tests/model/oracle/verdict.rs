//! What has come of something, and whether it may have.
//!
//! I own: [`Outcome`], and [`Oracle::judge`]. I may call: the model's provider, for what it says of tokens. I never forgive what
//! has no cause.

use super::super::world::{Meant, Op, What};
use super::session::{Must, Signed, State};
use super::{Knew, Oracle};
use crate::domain::logout::MARK_KEPT;
use crate::domain::session::{SessionKey, Ticket};
use crate::domain::time::Timestamp;
use std::time::Duration;

/// What has become of something that was asked.
pub(in super::super) enum Outcome {
    /// It passed, with this access token where one is handed on.
    Served(Option<String>),
    /// There is no such session, and why.
    Over(&'static str),
    /// There is a session, and no token.
    NoTokens,
    NoStore,
    NoProvider,
    Ended(How),
    /// Somebody is in; and whether the store knows all that it has to.
    In(SessionKey, Ticket, bool),
    /// They have too many sessions.
    TooMany,
    NotIn,
    Strange(&'static str),
}

/// How far an ending has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum How {
    /// The store knows.
    Done,
    /// It is in force in this replica, which may still have to tell the store.
    Here,
    /// As the last, and it is carried out later.
    Later,
    /// Nobody knows.
    Not,
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Served(_) => "served",
            Self::Over(why) | Self::Strange(why) => why,
            Self::NoTokens => "no tokens",
            Self::NoStore => "no store",
            Self::NoProvider => "no provider",
            Self::Ended(_) => "an ending",
            Self::In(..) => "signed in",
            Self::TooMany => "too many",
            Self::NotIn => "not signed in",
        }
    }
}

/// What is known around something that has come to an end.
#[derive(Clone, Copy)]
pub(in super::super) struct Around {
    pub(in super::super) wall: Timestamp,
    pub(in super::super) watch: Duration,
    /// Something has failed that may be why.
    pub(in super::super) had_errors: bool,
    /// Nothing else went on at any replica, and it took no time.
    pub(in super::super) is_alone: bool,
    /// The store may have forgotten something, and what this replica has in memory is doubtful to it since.
    pub(in super::super) asks: bool,
    /// This replica has just given something back to the store, and has it in memory no longer.
    pub(in super::super) gave_back: bool,
}

impl Oracle {
    /// What has come of something.
    ///
    /// # Errors
    /// It must not have.
    pub(in super::super) fn judge(
        &mut self,
        op: &Op,
        outcome: Outcome,
        around: Around,
    ) -> Result<(), String> {
        let Around { wall, watch, .. } = around;
        if let Outcome::Strange(what) = outcome {
            return Err(what.to_owned());
        }
        match &op.what {
            What::Use { session, must, alive_until } => {
                let alive = wall < *alive_until;
                let verdict = self.judge_use(op, (*session, *must, alive), &outcome, around);
                verdict.map_err(|why| {
                    let word = outcome.word();
                    format!("session {session} at replica {}: {why} ({word}, {must:?})", op.side)
                })
            }
            What::End { targets, meant, notice } => {
                let Outcome::Ended(how) = outcome else { return Err("an answer to another question".into()) };
                self.ended(op, (targets, *meant, *notice), how, (wall, watch));
                Ok(())
            }
            What::Login { code, person, sid, over } => {
                self.signing_in(*person, false);
                let minded = self.mind_the_cap(op, (*person, *over), &outcome, (wall, watch));
                minded.map_err(|why| format!("a sign-in at replica {}: {why}", op.side))?;
                if let Some(old) = over {
                    self.replaced(*old, *person, op, &outcome, watch);
                }
                if let Outcome::In(key, ticket, _) = outcome {
                    let (redeemed, family) = self.idp().redeemed(code);
                    self.signed_in(op, (key, ticket), (*person, *sid), (redeemed, family), (wall, watch));
                    self.may_have_been_too_many(op);
                } else if around.had_errors || op.is_disturbed || !op.is_fresh {
                    self.left_behind(*person);
                }
                Ok(())
            }
        }
    }

    fn judge_use(
        &mut self,
        op: &Op,
        (session, must, alive): (usize, Must, bool),
        outcome: &Outcome,
        around: Around,
    ) -> Result<(), &'static str> {
        let Around { wall, watch, had_errors, is_alone, asks, gave_back } = around;
        let may_be_too_many = self.may_be_too_many(self.sessions[session].person);
        let idp = self.idp();
        let signed = &mut self.sessions[session];
        let is_live = signed.is_live() && alive && !may_be_too_many;
        match outcome {
            Outcome::Served(_) if must == Must::Refuse => Err("it is over, and passed"),
            Outcome::Served(_) if must == Must::RefuseHere && signed.is_remembered(op.side, watch) => {
                Err("this replica has known that it is over, and it passed")
            }
            Outcome::Served(_) if must == Must::RefuseWithStore && !had_errors => {
                Err("it has been over for more than a second, and passed")
            }
            Outcome::Served(token) => {
                // A replica that was stopped meanwhile has dated it by the moment at which it went on.
                signed.knew.used = signed.knew.used.max(wall);
                if !had_errors && op.began >= signed.knew.noted_from {
                    signed.knew.noted = signed.knew.noted.max(op.began);
                }
                if is_alone && !had_errors {
                    let held = &mut signed.held[op.side];
                    if held.is_some_and(|number| asks && number == idp.newest(signed.family)) {
                        // Whatever the store had forgotten of its tokens was put back, and is no longer held by that.
                        idp.put_back(signed.family);
                        *held = None;
                    } else if let Some(token) = token
                        && !gave_back
                        && idp.is_newest(signed.family, token)
                    {
                        *held = Some(idp.newest(signed.family));
                    }
                }
                match token {
                    // What was decided a while ago was decided by the time of then.
                    Some(token) if wall == op.began && idp.good(token) != Some(signed.family) => {
                        Err("the token is not good, or not theirs")
                    }
                    _ => Ok(()),
                }
            }
            Outcome::Over(_) if is_live && idp.has_refused(signed.family) => {
                signed.knew.state = State::Unsure;
                Ok(())
            }
            Outcome::Over(_) if is_live => Err("it is alive, and was taken for signed out"),
            Outcome::Over(_) => Ok(()),
            Outcome::NoTokens if is_live && !idp.may_have_lost_tokens(signed.family) => {
                Err("its tokens are good, and were taken for lost")
            }
            Outcome::NoTokens => Ok(()),
            Outcome::NoStore if !had_errors => Err("an error without a cause"),
            Outcome::NoProvider if self.is_calm => Err("there is no token, and nothing is amiss"),
            Outcome::NoStore | Outcome::NoProvider => Ok(()),
            Outcome::Ended(_) | Outcome::In(..) | Outcome::TooMany | Outcome::NotIn | Outcome::Strange(_) => {
                Err("an answer to another question")
            }
        }
    }

    fn ended(
        &mut self,
        op: &Op,
        (targets, meant, notice): (&[usize], Option<Meant>, Option<usize>),
        how: How,
        (wall, watch): (Timestamp, Duration),
    ) {
        let is_done = how == How::Done && !op.is_disturbed;
        for at in targets {
            let signed = &mut self.sessions[*at];
            // What another replica has removed, this one may not have come across.
            let did_it = signed.is_live_but_for_one();
            signed.threats -= 1;
            match how {
                How::Done | How::Here if did_it => {
                    signed.ended_at(op.side, is_done.then_some(watch));
                    signed.owed[op.side] &= !op.is_disturbed;
                }
                // A sign-out looks for it in the store itself; whoever looks for others does not see what is hidden.
                How::Done if is_done && (meant.is_none() || !signed.may_be_hidden) => {
                    signed.struck[op.side] |= meant.is_none();
                    signed.end(watch);
                }
                How::Later => {
                    signed.marked[op.side] = signed.marked[op.side].or(signed.first_threat);
                    signed.doubt();
                }
                How::Done | How::Here | How::Not => signed.doubt(),
            }
        }
        let Some(announced) = notice.and_then(|at| self.announced.get_mut(at)) else { return };
        if !is_done {
            // It is tried again; and a replica that was stopped has heard of it only now.
            announced.at = announced.at.max(wall);
            if how == How::Later && !op.is_disturbed {
                announced.later = Some((op.side, targets.to_vec()));
            }
            return;
        }
        announced.is_done = true;
        if !announced.binds {
            return;
        }
        // Who was let in meanwhile on what the provider had said before is out as well.
        let (person, sid, at) = (announced.person, announced.sid, announced.at);
        for number in self.of(person, sid) {
            let signed = &mut self.sessions[number];
            // Whoever has come in long after it may have been let in: its mark is over.
            let is_marked = signed.started.1.since(at) <= MARK_KEPT / 2;
            if signed.redeemed <= at && is_marked && !signed.may_be_hidden {
                signed.end(watch);
            }
        }
    }

    /// Whoever has just signed in did so while these endings were under way, which may have met them or not.
    pub(in super::super) fn may_have_met(&mut self, endings: &[Meant]) {
        let Some(signed) = self.sessions.last_mut().filter(|signed| signed.knew.state == State::Live) else {
            return;
        };
        let meets = |(person, sid): &Meant| {
            person.is_none_or(|one| one == signed.person) && sid.is_none_or(|one| one == signed.sid)
        };
        if endings.iter().any(meets) {
            signed.knew.state = State::Unsure;
        }
    }

    /// A login at the browser of this session has ended.
    fn replaced(&mut self, old: usize, person: usize, op: &Op, outcome: &Outcome, watch: Duration) {
        let Outcome::In(_, _, is_written) = outcome else { return self.unsure(&[old]) };
        let signed = &mut self.sessions[old];
        let is_another = signed.person != person;
        let did_it = signed.is_live_but_for_one();
        if is_another && did_it {
            signed.threats -= 1;
            signed.ended_at(op.side, (*is_written && !op.is_disturbed).then_some(watch));
            signed.owed[op.side] &= !op.is_disturbed;
        } else if op.is_disturbed || !is_written {
            self.unsure(&[old]);
        } else {
            signed.threats -= 1;
            if is_another {
                signed.struck[op.side] = true;
                signed.end(watch);
            } else {
                signed.end(watch + crate::gateway::ending::SUPERSEDED_FOR);
            }
        }
    }

    fn signed_in(
        &mut self,
        op: &Op,
        (key, ticket): (SessionKey, Ticket),
        (person, sid): (usize, usize),
        (redeemed, family): (Timestamp, usize),
        (wall, watch): (Timestamp, Duration),
    ) {
        // Who was announced to be gone after the provider vouched for them is out, whoever came first; or may be at any time
        // where that could not be carried out yet.
        let is_meant = |announced: &&super::Announced| {
            announced.person.is_none_or(|one| one == person)
                && announced.sid.is_none_or(|one| one == sid)
                && redeemed <= announced.at
        };
        let state = if op.is_disturbed || wall.since(op.began) > MARK_KEPT / 2 {
            State::Unsure
        } else {
            let meant = self.announced.iter().filter(is_meant);
            match meant.map(|announced| announced.is_done && announced.binds).max() {
                Some(true) => State::Ended(watch),
                Some(false) => State::Unsure,
                None => State::Live,
            }
        };
        let started = (op.began, wall);
        let knew = Knew { state, noted: op.began, used: wall, noted_from: op.began };
        self.sessions.push(Signed {
            ticket,
            key,
            person,
            sid,
            redeemed,
            started,
            family,
            threats: 0,
            first_threat: None,
            struck: [false; 2],
            remembered: [None; 2],
            marked: [None; 2],
            owed: [false; 2],
            may_be_hidden: false,
            said: [false; 2],
            held: [None; 2],
            knew,
        });
    }
}

impl Signed {
    /// Whether nobody but the one who asks is about to end it.
    fn is_live_but_for_one(&self) -> bool {
        self.knew.state == State::Live && self.threats == 1
    }
}
