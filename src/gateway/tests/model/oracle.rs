//! What must be: a map of sessions, and a few rules that are short enough to be seen to be right.
//!
//! I own: [`Oracle`], which knows of each session whether it is alive, over since some moment, or in a state that nobody
//! can be sure of. `verdict` judges what has come of something, `cap` how many sessions a person has. I may call: the model's
//! provider, for what it says of tokens. I never look into a store or a cache.
//!
//! - Who has been told to be signed out is refused: at once where it was done and where the news of it was heard, after
//!   one second everywhere, and after `outage_grace` where the store does not answer.
//! - Whoever has ended a session, or heard that it was, remembers it for ten minutes, and refuses it whatever the store says: it
//!   may be another one, which has forgotten the ending. When the feed of a replica that remembers has begun anew, the
//!   ending is in the store again, and the bounds above hold from then on.
//! - An ending that the store did not take is in force where it was asked for, and in the store when that is back.
//! - Who is signed in is never taken for signed out. An error is no such thing, but it needs a cause.
//! - A token that is handed on is good, and the person's own. There may be none only if one was lost in a way that
//!   nobody could help. Where a replica has the newest tokens in memory, and nobody else has written meanwhile, a store that
//!   has forgotten them has them back after the first request there.
//! - A stream is over when its session is, by the same bounds, and not before.

mod cap;
mod session;
mod verdict;

pub(super) use self::session::{Knew, Must, Signed};
pub(super) use self::verdict::{Around, How, Outcome};

use self::session::{REMEMBERED_FOR, State};
use super::provider::Idp;
use super::world::{GRACE, LIMITS, Meant, Op, What};
use crate::domain::cap::Cap;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long what is held may be believed without a proof.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// An announcement of the provider, or of an operator by the index.
struct Announced {
    person: Option<usize>,
    sid: Option<usize>,
    at: Timestamp,
    /// It was carried out to its end.
    is_done: bool,
    /// It keeps those out whom the provider vouched for before it.
    binds: bool,
    /// This replica has yet to carry it out, on these sessions.
    later: Option<(usize, Vec<usize>)>,
}

pub(super) struct Oracle {
    idp: Arc<Idp>,
    pub(super) sessions: Vec<Signed>,
    announced: Vec<Announced>,
    cap: Option<Cap>,
    /// How many sign-ins of each person are under way.
    signing_in: [usize; 2],
    /// How many records of each person there may be that nobody was given a ticket for.
    ghosts: [usize; 2],
    /// Nothing is amiss any more.
    pub(super) is_calm: bool,
}

impl Oracle {
    pub(super) fn new(idp: Arc<Idp>, cap: Option<Cap>) -> Self {
        let (sessions, announced) = (Vec::new(), Vec::new());
        Self { idp, sessions, announced, cap, signing_in: [0; 2], ghosts: [0; 2], is_calm: false }
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
    pub(super) fn threaten(&mut self, targets: &[usize], watch: Duration) {
        for at in targets {
            self.sessions[*at].threaten(watch);
        }
    }

    /// Somebody says that these are gone. With `binds`, so is whoever the provider vouched for before it.
    pub(super) fn announce(&mut self, (person, sid): Meant, at: Timestamp, binds: bool) -> usize {
        self.announced.push(Announced { person, sid, at, is_done: false, binds, later: None });
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
        let lifetime = signed.started.1.plus(LIMITS.lifetime);
        let silent = LIMITS.idle_until(signed.knew.used);
        let must = match signed.knew.state {
            _ if wall >= lifetime || wall >= silent => Must::Refuse,
            State::Ended(at) if at <= watch && signed.struck[side] => Must::Refuse,
            _ if signed.is_remembered(side, watch) => Must::RefuseHere,
            State::Ended(at) if at + GRACE <= watch => Must::Refuse,
            State::Ended(at) if at + BELIEVED_FOR <= watch => Must::RefuseWithStore,
            State::Live | State::Unsure | State::Ended(_) => Must::Nothing,
        };
        (must, signed.alive_until())
    }

    /// The news of a change were heard: this replica has nothing in memory of it.
    pub(super) fn hears_of_change(&mut self, side: usize, key: &SessionKey) {
        if let Some(signed) = self.find(key) {
            signed.held[side] = None;
        }
    }

    /// The news of a removal were heard.
    pub(super) fn hears_of_removal(&mut self, side: usize, key: &SessionKey, watch: Duration) {
        if let Some(signed) = self.find(key) {
            signed.held[side] = None;
            signed.struck[side] = true;
            signed.end(watch);
        }
    }

    /// It was heard that somebody has ended it, perhaps in a store that was another one.
    pub(super) fn hears_of_ending(&mut self, side: usize, key: &SessionKey) {
        if let Some(signed) = self.find(key) {
            signed.held[side] = None;
            signed.remember(side);
        }
    }

    /// Nothing certain is in the memory of a replica: of all sessions, or of one.
    pub(super) fn holds_nothing(&mut self, side: usize, of: Option<usize>) {
        let all = self.sessions.iter_mut().enumerate();
        for (_, signed) in all.filter(|(at, _)| of.is_none_or(|of| of == *at)) {
            signed.held[side] = None;
        }
    }

    /// A replica begins anew, with nothing in memory.
    pub(super) fn crashed(&mut self, side: usize, gone: Vec<Op>, (wall, watch): (Timestamp, Duration)) {
        for op in gone {
            match &op.what {
                What::End { targets, .. } => self.unsure(targets),
                What::Login { person, over, .. } => {
                    self.unsure(over.as_slice());
                    self.signing_in(*person, false);
                    // Nobody was let in, so nothing can be wrong with that.
                    let _ = self.mind_the_cap(&op, (*person, *over), &Outcome::NotIn, (wall, watch));
                    self.left_behind(*person);
                }
                What::Use { .. } => {}
            }
        }
        for signed in &mut self.sessions {
            if matches!(signed.knew.state, State::Ended(at) if at <= watch) {
                signed.struck[side] = true;
            }
            (signed.remembered[side], signed.marked[side], signed.held[side]) = (None, None, None);
            (signed.owed[side], signed.said[side]) = (false, false);
        }
        for announced in &mut self.announced {
            announced.later.take_if(|(by, _)| *by == side);
        }
    }

    /// The store has forgotten what was written since somebody knew this.
    pub(super) fn failed_over(&mut self, knew: &[Knew]) {
        for (at, signed) in self.sessions.iter_mut().enumerate() {
            let now = signed.knew;
            let before = knew.get(at).copied();
            signed.knew.state = match (before.map(|before| before.state), now.state) {
                (Some(State::Live), State::Live) => State::Live,
                (Some(State::Ended(before)), State::Ended(_)) => State::Ended(before),
                _ => State::Unsure,
            };
            if signed.knew.state != now.state {
                signed.struck = [false; 2];
            }
            signed.may_be_hidden |= signed.knew.state == State::Unsure;
            // It may have been written, and forgotten: then it is doubted, and written again.
            signed.owed = [false; 2];
            if let Some(before) = before {
                signed.knew.noted = before.noted.min(now.noted);
                signed.knew.noted_from = now.used.plus(LIMITS.touch_interval());
            }
        }
        for announced in &mut self.announced {
            announced.is_done = false;
            announced.later = None;
        }
    }

    /// A replica whose feed has begun anew at this moment has had the time to tell the store of all endings that it
    /// remembers.
    pub(super) fn applied_again(&mut self, side: usize, begun: Duration, watch: Duration) {
        for signed in self.sessions.iter_mut().filter(|signed| signed.knew.state == State::Unsure) {
            if signed.remembered[side].is_some_and(|since| begun < since + REMEMBERED_FOR) {
                signed.end(watch);
            }
        }
    }

    /// Nothing is owed to the store by this replica.
    pub(super) fn nothing_is_owed(&mut self, side: usize, watch: Duration) {
        for signed in &mut self.sessions {
            if std::mem::take(&mut signed.owed[side]) {
                signed.end(watch);
            }
        }
    }

    /// All is well, and has been for some seconds: what was announced is carried out.
    pub(super) fn carried_out(&mut self, watch: Duration) {
        let later: Vec<_> =
            self.announced.iter_mut().filter_map(|announced| announced.later.take()).collect();
        for at in later.into_iter().flat_map(|(_, targets)| targets) {
            self.sessions[at].end(watch);
        }
    }

    /// A stream at this replica has ended for its session's sake.
    ///
    /// # Errors
    /// That is alive.
    pub(super) fn judge_stream(&mut self, session: usize, wall: Timestamp) -> Result<(), String> {
        let (signed, idp) = (&self.sessions[session], &self.idp);
        let is_alive = signed.is_live() && wall < signed.alive_until();
        if !is_alive || self.may_be_too_many(signed.person) {
            return Ok(());
        }
        if idp.has_refused(signed.family) {
            self.sessions[session].knew.state = State::Unsure;
            return Ok(());
        }
        Err(format!("session {session} is alive, and a stream was ended for it"))
    }

    /// A stream is about to be opened at this replica, which was told nothing yet.
    pub(super) fn opens(&mut self, session: usize, side: usize) {
        self.sessions[session].said[side] = false;
    }

    /// Whether a stream at this replica has been told.
    pub(super) fn was_said(&self, session: usize, side: usize) -> bool {
        self.sessions[session].said[side]
    }

    fn idp(&self) -> Arc<Idp> {
        Arc::clone(&self.idp)
    }

    fn find(&mut self, key: &SessionKey) -> Option<&mut Signed> {
        self.sessions.iter_mut().find(|signed| signed.key == *key)
    }

    fn unsure(&mut self, targets: &[usize]) {
        for at in targets {
            let signed = &mut self.sessions[*at];
            signed.threats -= 1;
            signed.doubt();
        }
    }
}
