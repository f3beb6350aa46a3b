//! One connection of the feed: what comes in on it, and what that proves.
//!
//! I own: [`Link`]: the reading of pushes and the heartbeats that are under way. I may call: the near cache, by [`Told`].
//! I never believe a heartbeat of another connection, and take what I do not understand for the worst.

use super::endings::is_all;
use super::key_in;
use super::message::ended_by;
use crate::store::clearing::Slate;
use crate::store::near::held::Told;
use redis::{PushInfo, PushKind, Value};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How many heartbeats are remembered; older ones prove nothing that matters.
const UNDER_WAY: usize = 16;

/// A connection of the feed.
pub(super) struct Link {
    held: Told,
    slate: Arc<Slate>,
    /// What the names of records begin with.
    records: String,
    /// What the names of this connection's heartbeats begin with. No session key has a colon in it.
    beats: String,
    state: Mutex<State>,
    lost: Notify,
}

struct State {
    open: bool,
    number: u64,
    /// The heartbeats that are under way, the oldest first.
    sent: VecDeque<Sent>,
    last_proof: Option<Duration>,
}

/// A heartbeat that is about to be written.
pub(super) struct Beat {
    pub(super) number: u64,
    /// The name of its key.
    pub(super) name: String,
}

/// A heartbeat that is under way: it proves something once it was written and has come back.
struct Sent {
    number: u64,
    /// When it was sent, or a little before.
    at: Duration,
    written: bool,
    came_back: bool,
}

impl Link {
    pub(super) fn new(held: Told, slate: Arc<Slate>, records: String, name: &str) -> Self {
        let state = State { open: true, number: 0, sent: VecDeque::new(), last_proof: None };
        let beats = format!("{records}beat:{name}:");
        Self { held, slate, records, beats, state: Mutex::new(state), lost: Notify::new() }
    }

    /// The next heartbeat, which is about to be written at `now`.
    pub(super) fn beat(&self, now: Duration) -> Beat {
        let mut state = self.lock();
        state.number += 1;
        let number = state.number;
        state.sent.push_back(Sent { number, at: now, written: false, came_back: false });
        if state.sent.len() > UNDER_WAY {
            state.sent.pop_front();
        }
        Beat { number, name: format!("{}{number}", self.beats) }
    }

    /// A heartbeat was written, and the one before it was still there or everything was doubted since.
    pub(super) fn written(&self, number: u64) {
        self.note(number, |sent| sent.written = true);
    }

    /// Completes when the connection is gone.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// When the last heartbeat was sent that came back.
    pub(super) fn last_proof(&self) -> Option<Duration> {
        self.lock().last_proof
    }

    /// Nothing on this connection proves anything any more.
    pub(super) fn close(&self) {
        self.lock().open = false;
    }

    /// Takes in what was pushed. Runs on the connection's own task: it must not wait.
    pub(super) fn hear(&self, info: &PushInfo) {
        match info.kind {
            PushKind::Disconnection => {
                self.close();
                self.lost.notify_one();
            }
            PushKind::Invalidate => match info.data.as_slice() {
                [Value::Array(names)] => names.iter().for_each(|name| self.told_of(name)),
                // FLUSHALL, FLUSHDB, SWAPDB, a replica that was loaded anew; and whatever else this may be.
                _ => self.held.everything_changed(),
            },
            _ => {}
        }
    }

    fn told_of(&self, name: &Value) {
        let name = match name {
            Value::BulkString(name) => name.as_slice(),
            Value::SimpleString(name) => name.as_bytes(),
            _ => return self.held.everything_changed(),
        };
        if let Some(number) = name.strip_prefix(self.beats.as_bytes()) {
            self.came_back(number);
        } else if let Some(name) = name.strip_prefix(self.records.as_bytes()) {
            if let Some(key) = ended_by(name) {
                self.held.ended(&key);
            } else if let Some(key) = key_in(name) {
                self.held.changed(&key);
            } else if is_all(name) {
                // Everybody may be out: first nothing of before holds, then whoever waits looks again.
                self.slate.struck();
                self.held.suspected();
            }
        }
        // The heartbeats of other processes, and what is none of ours.
    }

    fn came_back(&self, number: &[u8]) {
        if let Some(number) = std::str::from_utf8(number).ok().and_then(|text| text.parse::<u64>().ok()) {
            self.note(number, |sent| sent.came_back = true);
        }
    }

    fn note(&self, number: u64, what: impl FnOnce(&mut Sent)) {
        let mut state = self.lock();
        let Some(at) = state.sent.iter().position(|sent| sent.number == number) else { return };
        let sent = &mut state.sent[at];
        what(sent);
        if !(sent.written && sent.came_back) {
            return;
        }
        let sent = sent.at;
        state.sent.drain(..=at);
        if state.open {
            state.last_proof = Some(sent);
            // Under the lock: once this is closed, nothing is proved.
            self.held.proved(sent);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
