//! What befalls a replica: time, its feed, crashes, and a store that is another one.
//!
//! I own: these steps. I may call: the store's test doors, the provider, the oracle. I never ask a gateway for anything.

use super::World;
use super::side::Side;
use crate::ports::{Clock as _, Stopwatch as _};
use crate::store::tests::News;
use std::time::Duration;

impl World {
    pub(super) fn pass(&mut self, span: Duration) {
        self.times.pass(span);
        let watch = self.times.elapsed();
        for side in &mut self.sides {
            match &mut side.stopped {
                Some(stopped) => *stopped += span,
                None => {
                    side.runtime.block_on(tokio::time::advance(span));
                    if side.replica.tend() {
                        side.begun = Some(watch);
                    }
                }
            }
        }
    }

    pub(super) fn heartbeat(&mut self, side: usize) {
        if self.runs(side) {
            self.sides[side].replica.beat();
            self.hear(side, usize::MAX);
        }
    }

    pub(super) fn hear(&mut self, side: usize, count: usize) {
        if !self.runs(side) {
            return;
        }
        for _ in 0..count {
            match self.sides[side].replica.hear() {
                None => break,
                Some(News::Removed(key)) => self.oracle.hears_of_removal(side, &key, self.times.elapsed()),
                Some(News::Ended(key)) => self.oracle.hears_of_ending(side, &key),
                Some(News::Written(key)) => self.oracle.hears_of_change(side, &key),
                Some(News::Cleared | News::Beat(_)) => {}
            }
        }
    }

    pub(super) fn begin_feed(&mut self, side: usize) {
        let watch = self.times.elapsed();
        let Some(side) = self.sides.get_mut(side).filter(|side| side.stopped.is_none()) else { return };
        if !side.replica.is_blocked() && side.replica.begin_feed() {
            side.begun = Some(watch);
        }
    }

    pub(super) fn crash(&mut self, side: usize) {
        let (times, shelf, idp) = (&self.times, &self.shelf, &self.idp);
        self.sides[side].replica.leave(shelf);
        let fresh = Side::open(side, times, shelf, idp, self.cap);
        let old = std::mem::replace(&mut self.sides[side], fresh);
        let events = old.diary.events.lock().unwrap().clone();
        for (name, count) in events {
            *self.sides[side].diary.events.lock().unwrap().entry(name).or_default() += count;
        }
        // What it was doing stops wherever it was.
        drop(old);
        self.idp.lost(side);
        let (gone, others) = std::mem::take(&mut self.ops).into_iter().partition(|op| op.side == side);
        self.ops = others;
        self.streams.retain(|stream| stream.side != side);
        self.oracle.crashed(side, gone, (self.times.now(), self.times.elapsed()));
    }

    pub(super) fn go_on(&mut self, side: usize) {
        if let Some(stopped) = self.sides[side].stopped.take() {
            // The timers of a process that was stopped are over when it wakes.
            self.sides[side].runtime.block_on(tokio::time::advance(stopped));
        }
    }

    pub(super) fn fail_over(&mut self, steps: usize) {
        let at = steps.min(self.past.len() - 1);
        let (copy, known, since) = self.past[at].clone();
        self.shelf.fail_over_to(&copy);
        self.idp.forgotten(since, self.sides.iter().any(Side::is_renewing));
        for op in &mut self.ops {
            op.is_disturbed = true;
        }
        if !self.ops.is_empty() {
            (0..2).for_each(|side| self.oracle.holds_nothing(side, None));
        }
        self.sides.iter_mut().for_each(|side| side.begun = None);
        self.failed_over = Some(self.times.elapsed());
        self.oracle.failed_over(&known);
    }
}
