//! What must be: a map of sessions, and a few rules that are short enough to be seen to be right.
//!
//! I own: [`Oracle`], which knows of each session whether it is alive, over since some moment, or in a state that nobody
//! can be sure of. I may call: the model's provider, for what it says of tokens. I never look into a store or a cache.
//!
//! - Who has been told to be signed out is refused: at once where it was done and where the news of it was heard, after
//!   one second everywhere, and after `outage_grace` where the store does not answer.
//! - Who is signed in is never taken for signed out. An error is no such thing, but it needs a cause.
//! - A token that is handed on is good, and the person's own. There may be none only if one was lost in a way that
//!   nobody could help.

use super::provider::Idp;
use super::world::{GRACE, LIMITS, Meant, Op, What};
use crate::domain::logout::MARK_KEPT;
use crate::domain::session::{SessionKey, Ticket};
use crate::domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Whether a failover may bring back what was ended in the writes that it loses. The documents say that it may; once
/// each replica applies the endings of the last minutes again, it may not, and this becomes `false`.
const A_FAILOVER_FORGETS_ENDINGS: bool = true;

/// How long what is held may be believed without a proof.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// What has become of something that was asked.
pub(super) enum Outcome {
    /// It passed, with this access token where one is handed on.
    Served(Option<String>),
    /// There is no such session, and why.
    Over(&'static str),
    /// There is a session, and no token.
    NoTokens,
    NoStore,
    NoProvider,
    /// An ending was carried out, or not to its end.
    Ended(bool),
    In(SessionKey, Ticket),
    NotIn,
    Strange(&'static str),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Served(_) => "served",
            Self::Over(why) | Self::Strange(why) => why,
            Self::NoTokens => "no tokens",
            Self::NoStore => "no store",
            Self::NoProvider => "no provider",
            Self::Ended(true) => "ended",
            Self::Ended(false) => "not ended",
            Self::In(..) => "signed in",
            Self::NotIn => "not signed in",
        }
    }
}

/// What has to become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Must {
    /// It may pass.
    Nothing,
    /// It must not pass unless the store does not answer.
    RefuseWithStore,
    /// It must not pass.
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Live,
    Unsure,
    /// Since this moment of the stopwatch.
    Ended(Duration),
}

/// What is known of a session, as far as the store may forget it.
#[derive(Clone, Copy)]
pub(super) struct Knew {
    state: State,
    /// The last use that the store certainly knows.
    noted: Timestamp,
    /// The last use at all.
    used: Timestamp,
    /// Uses before this moment may be known to a replica that takes them for noted, and to no store.
    noted_from: Timestamp,
}

pub(super) struct Signed {
    pub(super) ticket: Ticket,
    pub(super) key: SessionKey,
    pub(super) person: usize,
    pub(super) sid: usize,
    /// When the provider was asked about it.
    redeemed: Timestamp,
    /// It began after the first and before the second of these.
    started: (Timestamp, Timestamp),
    /// The provider's name for its tokens.
    pub(super) family: usize,
    /// Endings under way.
    threats: usize,
    /// Which replicas have certainly nothing left of it.
    struck: [bool; 2],
    knew: Knew,
}

/// An announcement of the provider.
struct Announced {
    person: Option<usize>,
    sid: Option<usize>,
    at: Timestamp,
    /// It was carried out to its end.
    is_done: bool,
}

pub(super) struct Oracle {
    idp: Arc<Idp>,
    pub(super) sessions: Vec<Signed>,
    announced: Vec<Announced>,
    /// Nothing is amiss any more.
    pub(super) is_calm: bool,
}

impl Oracle {
    pub(super) fn new(idp: Arc<Idp>) -> Self {
        Self { idp, sessions: Vec::new(), announced: Vec::new(), is_calm: false }
    }

    /// A session by a number that may be too large.
    pub(super) fn choose(&self, number: usize) -> Option<usize> {
        number.checked_rem(self.sessions.len())
    }

    /// The sessions of a person, on a session of the provider.
    pub(super) fn of(&self, person: Option<usize>, sid: Option<usize>) -> Vec<usize> {
        let is_meant = |signed: &Signed| {
            person.is_none_or(|person| person == signed.person) && sid.is_none_or(|sid| sid == signed.sid)
        };
        (0..self.sessions.len()).filter(|at| is_meant(&self.sessions[*at])).collect()
    }

    pub(super) fn known(&self) -> Vec<Knew> {
        self.sessions.iter().map(|signed| signed.knew).collect()
    }

    /// An ending of these begins.
    pub(super) fn threaten(&mut self, targets: &[usize]) {
        for at in targets {
            self.sessions[*at].threats += 1;
        }
    }

    pub(super) fn announce(&mut self, person: Option<usize>, sid: Option<usize>, at: Timestamp) -> usize {
        self.announced.push(Announced { person, sid, at, is_done: false });
        self.announced.len() - 1
    }

    /// What has to become of a request at this replica that begins now, and until when its session is certainly alive.
    pub(super) fn expect(
        &self,
        session: usize,
        side: usize,
        (wall, watch): (Timestamp, Duration),
    ) -> (Must, Timestamp) {
        let signed = &self.sessions[session];
        let lifetime = (signed.started.0.plus(LIMITS.lifetime), signed.started.1.plus(LIMITS.lifetime));
        let alive_until = match signed.knew.state {
            State::Live => signed.knew.noted.plus(LIMITS.idle).min(lifetime.0),
            State::Unsure | State::Ended(_) => Timestamp::from_unix_millis(0),
        };
        let silent = LIMITS.idle_until(signed.knew.used);
        let must = match signed.knew.state {
            _ if wall >= lifetime.1 || wall >= silent => Must::Refuse,
            State::Ended(at) if at <= watch && signed.struck[side] => Must::Refuse,
            State::Ended(at) if at + GRACE <= watch => Must::Refuse,
            State::Ended(at) if at + BELIEVED_FOR <= watch => Must::RefuseWithStore,
            State::Live | State::Unsure | State::Ended(_) => Must::Nothing,
        };
        (must, alive_until)
    }

    /// The news of a removal were heard.
    pub(super) fn hears_of_removal(&mut self, side: usize, key: &SessionKey, watch: Duration) {
        if let Some(signed) = self.sessions.iter_mut().find(|signed| signed.key == *key) {
            signed.struck[side] = true;
            signed.end(watch);
        }
    }

    /// A replica begins anew, with nothing in memory.
    pub(super) fn crashed(&mut self, side: usize, gone: Vec<Op>, watch: Duration) {
        for op in gone {
            match op.what {
                What::End { targets, .. } => self.unsure(&targets),
                What::Login { over: Some(old), .. } => self.unsure(&[old]),
                What::Login { .. } | What::Use { .. } => {}
            }
        }
        for signed in &mut self.sessions {
            if matches!(signed.knew.state, State::Ended(at) if at <= watch) {
                signed.struck[side] = true;
            }
        }
    }

    /// The store has forgotten what was written since somebody knew this.
    pub(super) fn failed_over(&mut self, knew: &[Knew]) {
        for (at, signed) in self.sessions.iter_mut().enumerate() {
            let now = signed.knew;
            let before = knew.get(at).copied();
            signed.knew.state = match (before.map(|before| before.state), now.state) {
                (Some(State::Live), State::Live) => State::Live,
                (_, State::Ended(since)) if !A_FAILOVER_FORGETS_ENDINGS => State::Ended(since),
                (Some(State::Ended(before)), State::Ended(_)) => State::Ended(before),
                _ => State::Unsure,
            };
            if signed.knew.state != now.state {
                signed.struck = [false; 2];
            }
            if let Some(before) = before {
                signed.knew.noted = before.noted.min(now.noted);
                signed.knew.noted_from = now.used.plus(LIMITS.touch_interval());
            }
        }
        for announced in &mut self.announced {
            announced.is_done = false;
        }
    }

    fn unsure(&mut self, targets: &[usize]) {
        for at in targets {
            let signed = &mut self.sessions[*at];
            signed.threats -= 1;
            if signed.knew.state == State::Live {
                signed.knew.state = State::Unsure;
            }
        }
    }

    /// What has come of something.
    ///
    /// # Errors
    /// It must not have.
    pub(super) fn judge(
        &mut self,
        op: &Op,
        outcome: Outcome,
        had_errors: bool,
        (wall, watch): (Timestamp, Duration),
    ) -> Result<(), String> {
        if let Outcome::Strange(what) = outcome {
            return Err(what.to_owned());
        }
        match &op.what {
            What::Use { session, must, alive_until } => {
                let alive = wall < *alive_until;
                let verdict = self.judge_use(op, (*session, *must, alive), &outcome, had_errors, wall);
                verdict.map_err(|why| {
                    let word = outcome.word();
                    format!("session {session} at replica {}: {why} ({word}, {must:?})", op.side)
                })
            }
            What::End { targets, meant, notice } => {
                let is_done = matches!(outcome, Outcome::Ended(true)) && !op.is_disturbed;
                if !is_done {
                    self.unsure(targets);
                    // It is tried again; and a replica that was stopped has heard of it only now.
                    if let Some(announced) = notice.and_then(|at| self.announced.get_mut(at)) {
                        announced.at = announced.at.max(wall);
                    }
                    return Ok(());
                }
                for at in targets {
                    let signed = &mut self.sessions[*at];
                    // What another replica has removed, this one may not have come across.
                    let did_it = signed.knew.state == State::Live && signed.threats == 1;
                    signed.threats -= 1;
                    signed.struck[op.side] |= did_it || meant.is_none();
                    signed.end(watch);
                }
                // Who was let in meanwhile on what the provider had said before is out as well.
                if let Some(announced) = notice.and_then(|at| self.announced.get_mut(at)) {
                    announced.is_done = true;
                    let (person, sid, at) = (announced.person, announced.sid, announced.at);
                    for number in self.of(person, sid) {
                        let signed = &mut self.sessions[number];
                        // Whoever has come in long after it may have been let in: its mark is over.
                        let is_marked = signed.started.1.since(at) <= MARK_KEPT / 2;
                        if signed.redeemed <= at && is_marked {
                            signed.end(watch);
                        }
                    }
                }
                Ok(())
            }
            What::Login { code, person, sid, over } => {
                if let Some(old) = over {
                    self.replaced(*old, *person, op, &outcome, watch);
                }
                if let Outcome::In(key, ticket) = outcome {
                    let (redeemed, family) = self.idp.redeemed(code);
                    self.signed_in(op, (key, ticket), (*person, *sid), (redeemed, family), (wall, watch));
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
        had_errors: bool,
        wall: Timestamp,
    ) -> Result<(), &'static str> {
        let (idp, signed) = (&self.idp, &mut self.sessions[session]);
        let is_live = signed.knew.state == State::Live && signed.threats == 0 && alive;
        match outcome {
            Outcome::Served(_) if must == Must::Refuse => Err("it is over, and passed"),
            Outcome::Served(_) if must == Must::RefuseWithStore && !had_errors => {
                Err("it has been over for more than a second, and passed")
            }
            Outcome::Served(token) => {
                // A replica that was stopped meanwhile has dated it by the moment at which it went on.
                signed.knew.used = signed.knew.used.max(wall);
                if !had_errors && op.began >= signed.knew.noted_from {
                    signed.knew.noted = signed.knew.noted.max(op.began);
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
            Outcome::Ended(_) | Outcome::In(..) | Outcome::NotIn | Outcome::Strange(_) => {
                Err("an answer to another question")
            }
        }
    }

    /// Whoever has just signed in did so while these endings were under way, which may have met them or not.
    pub(super) fn may_have_met(&mut self, endings: &[Meant]) {
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
        if op.is_disturbed || !matches!(outcome, Outcome::In(..)) {
            return self.unsure(&[old]);
        }
        let signed = &mut self.sessions[old];
        signed.threats -= 1;
        if signed.person == person {
            signed.end(watch + crate::gateway::ending::SUPERSEDED_FOR);
        } else {
            signed.struck[op.side] = true;
            signed.end(watch);
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
        let is_meant = |announced: &&Announced| {
            announced.person.is_none_or(|one| one == person)
                && announced.sid.is_none_or(|one| one == sid)
                && redeemed <= announced.at
        };
        let state = if op.is_disturbed || wall.since(op.began) > MARK_KEPT / 2 {
            State::Unsure
        } else {
            match self.announced.iter().filter(is_meant).map(|announced| announced.is_done).max() {
                Some(true) => State::Ended(watch),
                Some(false) => State::Unsure,
                None => State::Live,
            }
        };
        let started = (op.began, wall);
        let knew = Knew { state, noted: op.began, used: wall, noted_from: op.began };
        let (threats, struck) = (0, [false; 2]);
        self.sessions.push(Signed {
            ticket,
            key,
            person,
            sid,
            redeemed,
            started,
            family,
            threats,
            struck,
            knew,
        });
    }
}

impl Signed {
    /// It is over since `at`, if it was not before.
    fn end(&mut self, at: Duration) {
        self.knew.state = match self.knew.state {
            State::Ended(before) => State::Ended(before.min(at)),
            State::Live | State::Unsure => State::Ended(at),
        };
    }
}
