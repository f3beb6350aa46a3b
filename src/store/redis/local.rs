//! A connection of each worker's own, to the server that all of them use: it lives where its requests are made.
//!
//! I own: [`Locals`]. I may call: the way to a server. I never let a request wait for one: until a worker's own connection
//! is there, and where there can be none, requests go over the shared one. I never lead elsewhere than the shared one
//! does: what answers must be the very same process, and all of them are given up together with it.
//!
//! Over a connection that lives on another thread, a request changes threads twice, and all workers queue for that one
//! thread. A worker is known by its runtime, which has one thread.
//!
//! Why the same process: the near cache believes what was read because the feed and the heartbeat of the *shared*
//! connection prove that nothing has changed there. A worker that went on reading from a server which was replaced, or
//! that an address in the network meanwhile leads away from, would put into memory what no news will ever strike out.

use super::lock;
use super::way::Way;
use redis::ConnectionAddr;
use redis::aio::MultiplexedConnection;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Handle, Id, RuntimeFlavor};
use tokio::time::Instant;

/// For so long a worker does without, once its own connection could not be made or broke.
const WITHOUT: Duration = Duration::from_secs(1);

/// An own connection that was not used for so long is made anew: what stands in between may have forgotten it without a word, and
/// nobody sends heartbeats over it.
const IDLE: Duration = Duration::from_secs(10);

/// The workers' connections to one server.
pub(super) struct Locals {
    way: Arc<Way>,
    address: ConnectionAddr,
    /// The process that answers there ([`super::way::Reached::process`]); unknown, there are no connections.
    process: Option<String>,
    /// Where the shared connection lives, which needs no other.
    home: Id,
    all: Mutex<HashMap<Id, Local>>,
}

enum Local {
    UnderWay,
    /// And when it was last used.
    There(MultiplexedConnection, Instant),
    /// Since when.
    Without(Instant),
}

impl Locals {
    /// Beside a shared connection to `process` at this address, which lives on the runtime `home`.
    pub(super) fn beside(
        way: &Arc<Way>,
        address: ConnectionAddr,
        process: Option<String>,
        home: &Handle,
    ) -> Arc<Self> {
        let all = Mutex::default();
        Arc::new(Self { way: Arc::clone(way), address, process, home: home.id(), all })
    }

    /// The connection of whoever asks, if that is a worker, and has one by now. If not, it will soon.
    pub(super) fn here(self: &Arc<Self>) -> Option<MultiplexedConnection> {
        self.process.as_ref()?;
        let here = Handle::try_current().ok()?;
        if here.id() == self.home || here.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return None;
        }
        let mut all = lock(&self.all);
        match all.get_mut(&here.id()) {
            Some(Local::There(connection, used)) if used.elapsed() < IDLE => {
                *used = Instant::now();
                return Some(connection.clone());
            }
            Some(Local::UnderWay) => return None,
            Some(Local::Without(since)) if since.elapsed() < WITHOUT => return None,
            Some(Local::There(..) | Local::Without(_)) | None => {}
        }
        all.insert(here.id(), Local::UnderWay);
        let (id, locals) = (here.id(), Arc::downgrade(self));
        // On this runtime: what reads the answers is where the connection is made.
        here.spawn(async move {
            let Some((way, address)) =
                locals.upgrade().map(|locals| (Arc::clone(&locals.way), locals.address.clone()))
            else {
                return;
            };
            let reached = way.reach(address, Duration::ZERO).await;
            if let Some(locals) = locals.upgrade() {
                let local = match reached {
                    Ok(reached) if reached.process == locals.process => {
                        Local::There(reached.connection, Instant::now())
                    }
                    Ok(_) | Err(_) => Local::Without(Instant::now()),
                };
                lock(&locals.all).insert(id, local);
            }
        });
        None
    }

    /// The connection of whoever asks has broken, or an answer is late on it: servers close those that they have not heard of
    /// for long, and what stands in between forgets them.
    pub(super) fn broke(&self) {
        if let Ok(here) = Handle::try_current() {
            lock(&self.all).insert(here.id(), Local::Without(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests;
