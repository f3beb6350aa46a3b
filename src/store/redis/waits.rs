//! What replicas confirm, so that a failover does not forget it: `WAIT`.
//!
//! I own: [`Waits`], the count of what was confirmed and what was not; [`Kept`], the connection for writes that are waited
//! for, beside the one for everything else. I may call: `config`, `ports`, the way to a server. I never let a request fail
//! for want of a replica, never count as confirmed what no replica has confirmed, and never wait twice in a second for
//! replicas that do not keep up.
//!
//! `WAIT` counts what was written before it on its own connection, and holds that connection until it is done. So these
//! writes have one of their own, on which no read queues behind them; and one `WAIT` serves all writes that were answered
//! before it was sent, so that many at once wait no longer than one.

use super::lock;
use super::way::{NoWay, Way, role};
use crate::config::WaitSettings;
use crate::ports::{Entry, Ledger};
use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, cmd};
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// For so long replicas that were missing, or late, are not waited for.
const MISSED_FOR: Duration = Duration::from_secs(1);

/// What was confirmed so far, over all connections of a store.
pub struct Waits {
    settings: WaitSettings,
    /// Whether there ought to be replicas, whatever the server says.
    expected: bool,
    ledger: OnceLock<Arc<dyn Ledger>>,
    last: AtomicU8,
}

/// What became of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// There is nobody to confirm anything.
    Alone = 0,
    /// Enough replicas have it.
    Confirmed = 1,
    /// Not enough of them, or not in time.
    Short = 2,
    /// The user may not ask.
    Refused = 3,
}

impl Waits {
    pub(super) fn new(settings: WaitSettings, is_watched: bool) -> Self {
        let expected = is_watched || settings.replicas.is_some();
        Self { settings, expected, ledger: OnceLock::new(), last: AtomicU8::new(Outcome::Alone as u8) }
    }

    /// From now on, what happens is entered here. The first one counts.
    pub fn report_to(&self, ledger: Arc<dyn Ledger>) {
        let _ = self.ledger.set(ledger);
    }

    /// What became of the last write.
    pub fn last(&self) -> Outcome {
        match self.last.load(Ordering::SeqCst) {
            1 => Outcome::Confirmed,
            2 => Outcome::Short,
            3 => Outcome::Refused,
            _ => Outcome::Alone,
        }
    }

    /// How many replicas have to confirm a write.
    fn needed(&self) -> usize {
        self.settings.replicas.unwrap_or(1).into()
    }

    fn note(&self, outcome: Outcome) {
        let before = self.last.swap(outcome as u8, Ordering::SeqCst);
        if outcome == Outcome::Alone {
            return;
        }
        if let Some(ledger) = self.ledger.get() {
            ledger.enter(Entry::Waited { confirmed: outcome == Outcome::Confirmed });
        }
        match outcome {
            _ if before == outcome as u8 => {}
            Outcome::Short => tracing::warn!(
                "the replicas of the session store do not confirm writes in time: a failover now could forget the \
                 last sign-ins and endings"
            ),
            Outcome::Refused => tracing::warn!(
                "Redis refuses WAIT: a failover could forget the last sign-ins and endings. With a user of one's own: \
                 ACL SETUSER <user> +wait; without replicas: store_wait = 0"
            ),
            Outcome::Confirmed if before != Outcome::Alone as u8 => {
                tracing::info!("the replicas of the session store confirm writes again");
            }
            Outcome::Confirmed | Outcome::Alone => {}
        }
    }
}

/// The connection to one server for writes that are waited for; made when the first of them comes.
pub(super) struct Kept {
    way: Arc<Way>,
    address: ConnectionAddr,
    runtime: Handle,
    waits: Arc<Waits>,
    known: Mutex<Known>,
    link: Mutex<Option<Link>>,
    rounds: Mutex<Rounds>,
}

type Link = Shared<BoxFuture<'static, Result<MultiplexedConnection, NoWay>>>;

/// What is known of the replicas.
struct Known {
    /// How many would confirm.
    replicas: usize,
    /// Since when.
    at: Instant,
    /// Whether there was ever one.
    any: bool,
    /// Whether the server says how many there are.
    is_told: bool,
}

/// The `WAIT` that was sent last, and the one that is sent after it.
#[derive(Default)]
struct Rounds {
    sent: Option<Round>,
    next: Option<Round>,
}

type Round = Shared<BoxFuture<'static, Answer>>;

/// What `WAIT` said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Confirmed,
    Short,
    Refused,
    /// Nothing; the connection is of no use any more.
    Broken,
}

impl Kept {
    /// For a server that said to have so many replicas.
    pub(super) fn new(
        way: &Arc<Way>,
        address: ConnectionAddr,
        replicas: Option<usize>,
        runtime: &Handle,
        waits: &Arc<Waits>,
    ) -> Self {
        let is_told = replicas.is_some();
        // Where nobody says how many there are, they are asked to confirm if somebody counts on them.
        let replicas = replicas.unwrap_or(if waits.expected { usize::MAX } else { 0 });
        Self {
            way: Arc::clone(way),
            address,
            runtime: runtime.clone(),
            waits: Arc::clone(waits),
            known: Mutex::new(Known { replicas, at: Instant::now(), any: replicas > 0, is_told }),
            link: Mutex::new(None),
            rounds: Mutex::default(),
        }
    }

    /// Where a write goes that is to be confirmed; `None`: where everything goes, as nobody would confirm it now.
    pub(super) async fn connection(&self) -> Option<MultiplexedConnection> {
        let needed = self.waits.needed();
        if needed == 0 || self.known().replicas < needed {
            return None;
        }
        let connected = self.link().await;
        if connected.is_err() {
            *lock(&self.link) = None;
            self.missed();
        }
        connected.ok()
    }

    /// Waits for those who confirm what was just answered on `connection`.
    pub(super) async fn confirm(self: &Arc<Self>, connection: MultiplexedConnection) -> Answer {
        let answer = self.round(connection).await;
        let outcome = match answer {
            Answer::Confirmed => Outcome::Confirmed,
            Answer::Short | Answer::Broken => Outcome::Short,
            Answer::Refused => Outcome::Refused,
        };
        if outcome != Outcome::Confirmed {
            self.missed();
        }
        self.waits.note(outcome);
        answer
    }

    /// Takes note of a write that was waited for by nobody. Now and then the server is asked whether that has to stay
    /// so.
    pub(super) async fn unconfirmed(&self, mut usual: MultiplexedConnection) {
        if self.waits.needed() == 0 {
            return;
        }
        let (due, any) = self.is_due();
        self.waits.note(match self.waits.last() {
            Outcome::Refused => Outcome::Refused,
            _ if any || self.waits.expected => Outcome::Short,
            _ => Outcome::Alone,
        });
        if due && let Ok(replicas) = role(&mut usual).await {
            let mut known = self.known();
            known.replicas = replicas;
            known.any |= replicas > 0;
        }
    }

    /// Whether it is time to ask the server again, which is for one only; and whether there was ever a replica.
    fn is_due(&self) -> (bool, bool) {
        let mut known = self.known();
        let due = known.at.elapsed() >= MISSED_FOR;
        if due {
            known.at = Instant::now();
        }
        if due && !known.is_told && self.waits.expected {
            // The next write finds out.
            known.replicas = usize::MAX;
        }
        (due && known.is_told, known.any)
    }

    fn missed(&self) {
        let mut known = self.known();
        known.replicas = 0;
        known.at = Instant::now();
    }

    fn link(&self) -> Link {
        let mut link = lock(&self.link);
        if let Some(link) = link.as_ref() {
            return link.clone();
        }
        let (way, address) = (Arc::clone(&self.way), self.address.clone());
        // A write may come behind one WAIT, and its own comes behind it.
        let longer = self.waits.settings.at_most * 2;
        let attempt = self.runtime.spawn(async move { way.reach(address, longer).await });
        let made = attempt
            .map(|made| match made {
                Ok(reached) => reached.map(|reached| reached.connection),
                Err(_) => Err(NoWay::Redis(io::Error::from(io::ErrorKind::Interrupted).into())),
            })
            .boxed()
            .shared();
        *link = Some(made.clone());
        made
    }

    /// The next `WAIT`: not sent yet, so that it counts what was answered before.
    fn round(self: &Arc<Self>, connection: MultiplexedConnection) -> Round {
        let mut rounds = lock(&self.rounds);
        if let Some(next) = &rounds.next {
            return next.clone();
        }
        let (kept, before) = (Arc::clone(self), rounds.sent.clone());
        // A task of its own: whoever asked first may hang up, and the others still wait.
        let attempt = self.runtime.spawn(async move {
            if let Some(before) = before {
                before.await;
            }
            kept.send(connection).await
        });
        let next = attempt.map(|said| said.unwrap_or(Answer::Broken)).boxed().shared();
        rounds.next = Some(next.clone());
        next
    }

    async fn send(&self, mut connection: MultiplexedConnection) -> Answer {
        {
            let mut rounds = lock(&self.rounds);
            rounds.sent = rounds.next.take();
        }
        let (needed, span) = (self.waits.needed(), self.waits.settings.at_most);
        let mut wait = cmd("WAIT");
        wait.arg(needed).arg(u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1));
        match wait.query_async::<usize>(&mut connection).await {
            Ok(confirmed) if confirmed >= needed => Answer::Confirmed,
            Ok(_) => Answer::Short,
            Err(error) if error.code() == Some("NOPERM") => Answer::Refused,
            Err(_) => Answer::Broken,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}
