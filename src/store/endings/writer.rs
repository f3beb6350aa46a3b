//! Writes down what the store has not taken, or may have forgotten.
//!
//! I own: [`run`], the one task that does, and [`settle`], the last attempt. I may call: `domain`, `ports`, the room's own
//! types. I never give up on an ending before its record is gone by itself, and never end what was not ended before.

use super::list::Over;
use super::memory::Memory;
use crate::ports::{EndingStep, SessionStore, StoreError};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Between two attempts: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// How many are written at once.
const AT_ONCE: usize = 64;

/// How long the last attempt may take, when the gateway stops.
const LAST_ATTEMPT: Duration = Duration::from_secs(2);

/// Runs for ever.
pub(super) async fn run(store: Arc<dyn SessionStore>, memory: Arc<Memory>) {
    let mut pause = PAUSES.0;
    loop {
        memory.stirred().await;
        while let Some(is_sound) = write(store.as_ref(), &memory).await {
            if is_sound {
                pause = PAUSES.0;
            } else {
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}

/// The gateway stops: what is owed is tried once more, and counted if it is lost.
pub(super) async fn settle(store: &dyn SessionStore, memory: &Memory) {
    let all = async { while write(store, memory).await == Some(true) {} };
    // Late or not: what counts is what is left.
    let _ = timeout(LAST_ATTEMPT, all).await;
    let lost = memory.count_owed();
    if lost > 0 {
        tracing::error!(
            lost,
            "endings that the session store did not take are lost: those sessions live on in it until their own limits"
        );
    }
}

/// Writes some of what is to be written; whether the store took all of it, `None` when there was nothing.
async fn write(store: &dyn SessionStore, memory: &Memory) -> Option<bool> {
    let owed = memory.owed(AT_ONCE);
    if owed.is_empty() {
        return None;
    }
    let written = join_all(owed.iter().map(|due| async move {
        let was_there = match &due.over {
            Over::Session(key) => store.remove(key).await,
            Over::Marked(mark, moment, keep) => {
                store.mark(mark.as_mark(), *moment, *keep).await.map(|()| false)
            }
        };
        match was_there {
            Ok(was_there) => {
                memory.settle(due.ask);
                if !due.was_taken {
                    memory.count(EndingStep::Written);
                } else if was_there {
                    memory.count(EndingStep::Forgotten);
                    tracing::warn!("the session store had forgotten an ending: it was ended again");
                }
                true
            }
            Err(StoreError::Unavailable(_)) => false,
            // Nobody can read it, so nobody can use it.
            Err(StoreError::Unreadable(why)) => {
                tracing::warn!(why, "an ending could not be written");
                memory.withdraw(due.ask.number);
                true
            }
        }
    }));
    Some(written.await.into_iter().all(|is_sound| is_sound))
}
