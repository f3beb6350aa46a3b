//! One replica.
//!
//! I own: [`Side`], and what is remembered of it from one step to the next. I may call: the whole room, the store's test doors.
//! I never decide what befalls it.

use super::super::provider::{Door, Idp};
use super::diary::{Diary, Times};
use super::{gateway, near_parts};
use crate::domain::cap::Cap;
use crate::gateway::Gateway;
use crate::gateway::live::Live;
use crate::ports::{Clock, Stopwatch};
use crate::store::tests::{Around, Replica, Shelf};
use futures_util::FutureExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long it takes at most until what is owed is tried again, where it was tried in vain.
pub(super) const WRITES_WITHIN: Duration = Duration::from_millis(500);

pub(super) struct Side {
    pub(super) runtime: Runtime,
    pub(super) gateway: Arc<Gateway>,
    pub(super) replica: Replica,
    pub(super) diary: Arc<Diary>,
    /// For how long it has been stopped.
    pub(super) stopped: Option<Duration>,
    /// When its feed began anew, if it did since another server took over.
    pub(super) begun: Option<Duration>,
    /// At the beginning of this step: whether it ran and nothing was in its way; whether the store was not asked; and how
    /// often it had given something back.
    was_well: bool,
    was_open: bool,
    had_given_back: u64,
}

impl Side {
    pub(super) fn open(
        number: usize,
        times: &Arc<Times>,
        shelf: &Arc<Shelf>,
        idp: &Arc<Idp>,
        cap: Option<Cap>,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (live, diary) = (Arc::new(Live::default()), Arc::new(Diary::default()));
        let stopwatch = Arc::clone(times) as Arc<dyn Stopwatch>;
        let clock = Arc::clone(times) as Arc<dyn Clock>;
        let around = Around {
            near: near_parts(stopwatch, &diary, &live),
            clock: Arc::clone(&clock),
            runtime: runtime.handle().clone(),
        };
        let replica = Replica::of(shelf, around);
        let house = (replica.store(), replica.beside(), shelf.keys(), runtime.handle().clone());
        let door = Door { idp: Arc::clone(idp), side: number };
        let gateway = gateway(clock, house, door, (&diary, live, cap));
        let (stopped, begun, was_well, was_open, had_given_back) = (None, None, false, false, 0);
        Self { runtime, gateway, replica, diary, stopped, begun, was_well, was_open, had_given_back }
    }

    /// Runs until nothing is left to do, unless it is stopped.
    pub(super) fn run(&self) {
        if self.stopped.is_none() {
            self.runtime.block_on(async {
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
            });
        }
    }

    pub(super) fn begin_step(&mut self) {
        self.was_well = self.is_well();
        self.was_open = self.replica.is_open();
        self.had_given_back = self.diary.counted("near: put back");
    }

    fn is_well(&self) -> bool {
        self.stopped.is_none() && self.replica.is_unhindered()
    }

    pub(super) fn was_well_all_along(&self) -> bool {
        self.was_well && self.is_well()
    }

    /// Whether the store was not asked at some moment of this step.
    pub(super) fn was_open(&self) -> bool {
        self.was_open || self.replica.is_open()
    }

    /// Whether it has put a session back in this step.
    pub(super) fn gave_back(&self) -> bool {
        self.diary.counted("near: put back") > self.had_given_back
    }

    /// How much has failed so far.
    pub(super) fn errors(&self) -> u64 {
        self.replica.errors() as u64 + self.diary.counted("breaker: open")
    }

    pub(super) fn is_renewing(&self) -> bool {
        self.gateway.refreshes.ended().now_or_never().is_none()
    }
}
