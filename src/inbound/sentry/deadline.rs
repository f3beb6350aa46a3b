//! A moment after which nobody waits any longer.
//!
//! I own: [`Deadline`]. I may call: tokio's timers. I never keep a timer for a moment that was not asked for.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// At most one moment, and the timer for it.
#[derive(Default)]
pub struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// From now on so long.
    pub fn set(&mut self, span: Duration) {
        self.at = Some(Instant::now() + span);
    }

    /// The same, unless it runs already.
    pub fn start(&mut self, span: Duration) {
        if self.at.is_none() {
            self.set(span);
        }
    }

    /// Nobody waits.
    pub fn clear(&mut self) {
        self.at = None;
    }

    /// Whether it has passed; else the task is woken when it does.
    pub fn has_passed(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.at else { return false };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx).is_ready()
    }
}
