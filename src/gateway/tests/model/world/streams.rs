//! Requests that stay open: a stream, a tunnel, a long download.
//!
//! I own: [`Stream`], how one is opened, and the looks at those that there are. I may call: the gateway, the oracle. I never
//! close one.

use super::super::oracle::Must;
use super::house::opens;
use super::{What, World, facts};
use crate::domain::time::Timestamp;
use std::sync::{Arc, Mutex};

/// Something that stays open.
pub(super) struct Stream {
    pub(super) side: usize,
    session: usize,
    state: Arc<Mutex<Open>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// It waits to be let in.
    NotYet,
    Now,
    /// It was not let in.
    Never,
    /// Its session is over.
    Over,
}

impl Stream {
    fn is(&self, state: Open) -> bool {
        *self.state.lock().unwrap() == state
    }
}

impl World {
    pub(super) fn stream(&mut self, side: usize, session: usize) {
        let Some(session) = self.oracle.choose(session) else { return };
        let (must, alive_until) = self.oracle.expect(session, side, self.now());
        self.oracle.opens(session, side);
        let ticket = self.oracle.sessions[session].ticket.clone();
        let work = opens(self.gateway(side), facts(&self.origin, "/x"), ticket);
        let (outcome, state) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Open::NotYet)));
        let (answer, now) = (Arc::clone(&outcome), Arc::clone(&state));
        self.sides[side].runtime.spawn(async move {
            let (outcome, vigil) = work.await;
            *answer.lock().unwrap() = Some(outcome);
            *now.lock().unwrap() = if vigil.is_some() { Open::Now } else { Open::Never };
            if let Some(mut vigil) = vigil {
                vigil.over().await;
                *now.lock().unwrap() = Open::Over;
            }
        });
        self.note(side, What::Use { session, must, alive_until }, outcome);
        self.streams.push(Stream { side, session, state });
    }

    /// Streams that were closed, and those that should have been: their replica has said itself that it is over.
    pub(super) fn judge_streams(&mut self, wall: Timestamp) -> Result<(), String> {
        for stream in self.streams.iter().filter(|stream| stream.is(Open::Over)) {
            self.sides[stream.side].diary.count("stream: over");
            self.oracle.judge_stream(stream.session, wall)?;
        }
        self.streams.retain(|stream| stream.is(Open::NotYet) || stream.is(Open::Now));
        let late = self.streams.iter().filter(|stream| stream.is(Open::Now)).find(|stream| {
            let side = &self.sides[stream.side];
            let is_told = self.oracle.was_said(stream.session, stream.side);
            is_told && side.stopped.is_none() && side.replica.is_unhindered()
        });
        match late {
            Some(Stream { side, session, .. }) => {
                Err(format!("replica {side} has ended session {session}, and a stream goes on"))
            }
            None => Ok(()),
        }
    }

    /// Those that are open at this replica, where all has been well for a second: whose session is over goes on no longer.
    pub(super) fn none_outlives_its_session(&self, number: usize) -> Result<(), String> {
        let now = self.now();
        let open = self.streams.iter().filter(|stream| stream.side == number && stream.is(Open::Now));
        for Stream { session, .. } in open {
            let must = self.oracle.expect(*session, number, now).0;
            if must != Must::Nothing {
                return Err(format!("a stream with session {session} goes on at {number} ({must:?})"));
            }
        }
        Ok(())
    }
}
