//! When all is well again.
//!
//! I own: [`World::rest`], and what must be then. I may call: all that a step does. I never leave anything amiss.

use super::super::provider::Hold;
use super::side::Side;
use super::{What, World};
use crate::ports::Stopwatch as _;
use std::time::Duration;

impl World {
    /// Everything is well again, and a minute passes: then all that was begun has ended, what was owed is written, who is
    /// signed in passes everywhere, with a token that is good, and nobody else does.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub(in super::super) fn rest(&mut self) -> Result<(), String> {
        self.ops.iter_mut().for_each(|op| op.is_fresh = false);
        for side in 0..2 {
            let replica = &self.sides[side].replica;
            replica.forget_faults();
            replica.block(false);
            self.go_on(side);
        }
        for what in [Hold::Connections, Hold::Answers, Hold::Codes] {
            self.idp.hold(what, false);
        }
        for _ in 0..3 {
            for what in [Hold::Connections, Hold::Answers, Hold::Codes] {
                while self.idp.let_go(what, true) {}
            }
            for side in &self.sides {
                while side.replica.let_go() {}
            }
            self.settle()?;
        }
        for side in 0..2 {
            self.sides[side].replica.lose_feed();
            self.begin_feed(side);
        }
        for (at, span) in [0, 100, 400, 5000, 10_000, 40_000, 6000].into_iter().enumerate() {
            let span = Duration::from_millis(span);
            self.sides.iter_mut().for_each(Side::begin_step);
            self.pass(span);
            self.settle()?;
            self.look_after(span)?;
            (0..2).for_each(|side| self.heartbeat(side));
            self.settle()?;
            if at == 4 {
                self.all_is_written()?;
            }
        }
        if let Some(op) = self.ops.first() {
            let kind = match &op.what {
                What::Use { session, .. } => format!("a request with session {session}"),
                What::End { targets, .. } => format!("an ending of {targets:?}"),
                What::Login { code, .. } => format!("the login of {code}"),
            };
            return Err(format!("{kind} at {} was never answered", op.side));
        }
        self.oracle.is_calm = true;
        for path in ["/x", "/api/x"] {
            for session in 0..self.oracle.sessions.len() {
                for side in 0..2 {
                    self.sides.iter_mut().for_each(Side::begin_step);
                    self.request(side, session, path);
                    self.settle()?;
                }
            }
        }
        Ok(())
    }

    /// What was to be made up for has been.
    fn all_is_written(&mut self) -> Result<(), String> {
        for (number, side) in self.sides.iter().enumerate() {
            if side.gateway.store.owed() > 0 {
                return Err(format!("replica {number} never wrote an ending that it owed"));
            }
            if side.replica.is_open() {
                return Err(format!("replica {number} never found out that the store is back"));
            }
        }
        self.oracle.carried_out(self.times.elapsed());
        Ok(())
    }
}
