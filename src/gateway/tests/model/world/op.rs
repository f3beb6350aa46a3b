//! Something that is under way.
//!
//! I own: [`Op`], [`What`] it is, and how it begins. I may call: the oracle's words. I never judge what comes of it.

use super::super::oracle::{Must, Outcome};
use super::side::Side;
use super::{Meant, World};
use crate::domain::time::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Something that is under way.
pub(in super::super) struct Op {
    pub(in super::super) side: usize,
    pub(in super::super) what: What,
    /// When it began, by the time of day and by the stopwatch.
    pub(in super::super) began: Timestamp,
    pub(in super::super) since: Duration,
    /// How much had failed at this replica by then.
    pub(super) errors: u64,
    /// The store has forgotten writes meanwhile.
    pub(in super::super) is_disturbed: bool,
    /// It began with this step.
    pub(in super::super) is_fresh: bool,
    /// Nothing else was under way then.
    pub(super) is_alone: bool,
    /// The endings that were under way meanwhile and meant more than sessions that there were.
    pub(super) met: Vec<Meant>,
    /// How many other sign-ins of the same person were.
    pub(in super::super) met_logins: usize,
    pub(super) outcome: Arc<Mutex<Option<Outcome>>>,
}

impl Op {
    /// Something that has been done already, or is done at once.
    pub(in super::super) fn now(side: usize, what: What, (began, since): (Timestamp, Duration)) -> Self {
        let (met, outcome) = (Vec::new(), Arc::default());
        let (is_disturbed, is_fresh, is_alone) = (false, true, false);
        Self {
            side,
            what,
            began,
            since,
            errors: 0,
            is_disturbed,
            is_fresh,
            is_alone,
            met,
            met_logins: 0,
            outcome,
        }
    }

    fn person_coming_in(&self) -> Option<usize> {
        match &self.what {
            What::Login { person, .. } => Some(*person),
            What::Use { .. } | What::End { .. } => None,
        }
    }
}

pub(in super::super) enum What {
    /// A request; what has to become of it, and until when the session is certainly alive.
    Use {
        session: usize,
        must: Must,
        alive_until: Timestamp,
    },
    /// An ending of these sessions; and whom it may meet who signs in meanwhile, where it goes by more than a ticket.
    End {
        targets: Vec<usize>,
        meant: Option<Meant>,
        notice: Option<usize>,
    },
    Login {
        code: String,
        person: usize,
        sid: usize,
        over: Option<usize>,
    },
}

impl World {
    pub(super) fn begin(
        &mut self,
        side: usize,
        what: What,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) {
        let outcome = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&outcome);
        self.sides[side].runtime.spawn(async move {
            let done = work.await;
            *slot.lock().unwrap() = Some(done);
        });
        self.note(side, what, outcome);
    }

    /// Somebody has begun something.
    pub(super) fn note(&mut self, side: usize, what: What, outcome: Arc<Mutex<Option<Outcome>>>) {
        let meant = |what: &What| match what {
            What::End { meant, .. } => *meant,
            What::Use { .. } | What::Login { .. } => None,
        };
        let mut own = Op::now(side, what, self.now());
        own.errors = self.sides[side].errors();
        own.is_alone = self.ops.is_empty() && !self.sides.iter().any(Side::is_renewing);
        own.outcome = outcome;
        for op in &mut self.ops {
            own.met.extend(meant(&op.what));
            op.met.extend(meant(&own.what));
            if own.person_coming_in().is_some() && own.person_coming_in() == op.person_coming_in() {
                own.met_logins += 1;
                op.met_logins += 1;
            }
        }
        self.ops.push(own);
    }
}
