//! A store that does not answer is not asked, so that an outage costs no request its time.
//!
//! I own: [`Breaker`], a decorator over any store: below the near cache, above what is measured. I may call: `domain`,
//! `ports`, `keyring` (a session that is nobody's, to ask for). I never change an answer, never let a request find out
//! whether the store is back, and never keep an ending from being tried.
//!
//! - **Closed**: everything is asked. Reads that fail one after the other open it ([`FAILURES`] of them, or two that are
//!   [`WINDOW`] apart: where few ask, few wait). An answer in between, to whatever, begins the count anew. Writes that
//!   fail count for nothing: a full or read-only server still answers reads.
//!   Where the sessions lie with several servers, one that is silent says nothing of the others: sessions that nobody has
//!   are asked for first, wherever they may lie, and a single answer keeps it closed.
//! - **Open**: everything is answered at once with [`StoreError::Unavailable`]; who is in the near cache goes on by its
//!   rules, at once, too. One task asks the store every [`INTERVAL`] for a session that nobody has, which takes the same
//!   rights as a real one. Its first answer closes the breaker, and the task ends. No request is let through to try, so
//!   nothing is stampeded that has just come up.
//!
//! Endings (`remove`, `mark`) and leases that are given back pass even when it is open: what the breaker knows is up to an
//! interval old, somebody is waiting to hear whether they are signed out, and a time-out is a small price for not telling
//! them "no" when the answer was "yes". If one is answered, that closes the breaker as well.

pub use spared::Spared;

use crate::keyring::{new_ticket, session_key};
use crate::ports::{Answer, Breaking, Clock, Entry, Ledger, SessionStore, Stopwatch, StoreError};
use crate::store::around::{Around, Command};
use futures_util::future::ready;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

mod spared;

/// How many reads in a row may fail.
pub const FAILURES: u32 = 5;

/// How long reads may fail without an answer in between, if there are two at least.
pub const WINDOW: Duration = Duration::from_secs(1);

/// How often the store is asked whether it is back. So long it takes at most until it is used again, and as long as that
/// one question takes.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// How many sessions that nobody has are asked for, before a store of several servers counts as silent: where one of three
/// is, all of these lie there once in 6,500 times.
pub const OPINIONS: usize = 8;

/// A store, and the breaker before it.
pub struct Breaker(Arc<Inner>);

/// What a breaker works with.
pub struct BreakerParts {
    /// What happens is entered here.
    pub ledger: Arc<dyn Ledger>,
    /// The time of day, for the one question.
    pub clock: Arc<dyn Clock>,
    /// What `WINDOW` is timed by.
    pub stopwatch: Arc<dyn Stopwatch>,
    /// The store's runtime, on which the one question is asked.
    pub runtime: Handle,
    /// How many sessions are asked for before it opens: 0 for a store that is one server, [`OPINIONS`] for several.
    pub opinions: usize,
}

struct Inner {
    store: Arc<dyn SessionStore>,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    stopwatch: Arc<dyn Stopwatch>,
    runtime: Handle,
    opinions: usize,
    /// What the state says, for whoever only passes.
    open: AtomicBool,
    /// Failures in a row, likewise.
    failing: AtomicU32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Counts the turns. What was asked before one says nothing after it.
    round: u64,
    /// When the first of the failures in a row was, by the stopwatch.
    since: Option<Duration>,
    /// What the store said last.
    cause: Arc<str>,
    /// Whether others are being asked for.
    inquires: bool,
    /// Whether a request was answered since they are.
    answered: bool,
    /// When some of those who were asked for were answered, by the stopwatch: not asked for again within [`WINDOW`].
    partly: Option<Duration>,
}

/// What an answer says about the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It has to answer this one.
    Read,
    /// It may refuse this one and answer all others.
    Write,
}

impl Kind {
    fn of(command: Command) -> Self {
        match command {
            Command::Load
            | Command::Reload
            | Command::OfSubject
            | Command::OfProviderSid
            | Command::Glance
            | Command::Marked
            | Command::List
            | Command::Ping => Self::Read,
            Command::Create
            | Command::Update
            | Command::Restore
            | Command::Touch
            | Command::Remove
            | Command::TakeOnce
            | Command::Lease
            | Command::Release
            | Command::Mark => Self::Write,
        }
    }
}

/// Whether it is tried even of a store that is not asked for now.
fn is_always_tried(command: Command) -> bool {
    matches!(command, Command::Remove | Command::Mark | Command::Release)
}

impl Breaker {
    /// Around `store`, closed.
    pub fn new(store: Arc<dyn SessionStore>, parts: BreakerParts) -> Self {
        let BreakerParts { ledger, clock, stopwatch, runtime, opinions } = parts;
        let (open, failing) = (AtomicBool::new(false), AtomicU32::new(0));
        let state = Mutex::default();
        Self(Arc::new(Inner { store, ledger, clock, stopwatch, runtime, opinions, open, failing, state }))
    }
}

impl Around for Breaker {
    fn inside(&self) -> &dyn SessionStore {
        self.0.store.as_ref()
    }

    /// While it is open `ask` is not called but for what is always tried.
    fn pass<'a, T: Send + 'a>(
        &'a self,
        command: Command,
        ask: impl FnOnce(&'a dyn SessionStore) -> Answer<'a, T>,
    ) -> Answer<'a, T> {
        if self.is_open() && !is_always_tried(command) {
            let cause = Arc::clone(&self.0.lock().cause);
            return Box::pin(ready(Err(StoreError::Unavailable(format!(
                "not asked for now, since {cause}"
            )))));
        }
        let (kind, round) = (Kind::of(command), self.0.lock().round);
        let answer = ask(self.inside());
        Box::pin(async move {
            let answer = answer.await;
            match &answer {
                Err(StoreError::Unavailable(why)) if kind == Kind::Read => Inner::failed(&self.0, why, round),
                Err(StoreError::Unavailable(_)) => {}
                Ok(_) | Err(StoreError::Unreadable(_)) => self.0.answered(round),
            }
            answer
        })
    }
}

impl Breaking for Breaker {
    fn is_open(&self) -> bool {
        self.0.open.load(Ordering::SeqCst)
    }
}

impl Inner {
    fn answered(&self, round: u64) {
        if self.failing.load(Ordering::SeqCst) == 0 && !self.open.load(Ordering::SeqCst) {
            return;
        }
        let mut state = self.lock();
        if state.round != round {
            return;
        }
        self.failing.store(0, Ordering::SeqCst);
        state.since = None;
        state.answered = true;
        if self.open.swap(false, Ordering::SeqCst) {
            state.round += 1;
            drop(state);
            tracing::info!("the session store answers again");
            self.ledger.enter(Entry::Breaker { open: false });
        }
    }

    fn failed(this: &Arc<Self>, why: &str, round: u64) {
        let mut state = this.lock();
        if state.round != round || this.open.load(Ordering::SeqCst) {
            return;
        }
        let now = this.stopwatch.elapsed();
        let failures = this.failing.fetch_add(1, Ordering::SeqCst) + 1;
        let since = *state.since.get_or_insert(now);
        if failures < FAILURES && now.saturating_sub(since) < WINDOW {
            return;
        }
        state.cause = why.into();
        if this.opinions == 0 {
            return Self::turn_to_open(this, state);
        }
        let lately = state.partly.is_some_and(|then| now.saturating_sub(then) < WINDOW);
        if !lately && !std::mem::replace(&mut state.inquires, true) {
            state.answered = false;
            this.runtime.spawn(inquire(Arc::downgrade(this), round));
        }
    }

    fn turn_to_open(this: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        this.open.store(true, Ordering::SeqCst);
        state.round += 1;
        let (round, cause) = (state.round, Arc::clone(&state.cause));
        drop(state);
        tracing::warn!(
            %cause,
            failures = this.failing.load(Ordering::SeqCst),
            "the session store does not answer, and is not asked but every {} ms",
            INTERVAL.as_millis()
        );
        this.ledger.enter(Entry::Breaker { open: true });
        this.runtime.spawn(probe(Arc::downgrade(this), round));
    }

    /// Whether a session that nobody has can be asked for. Without random numbers nobody could sign in either.
    async fn answers(&self) -> bool {
        let Ok(nobody) = new_ticket() else { return false };
        let answer = self.store.glance(&session_key(&nobody), self.clock.now()).await;
        !matches!(answer, Err(StoreError::Unavailable(_)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks until there is an answer, or nobody wants to know any more.
async fn probe(inner: Weak<Inner>, round: u64) {
    loop {
        sleep(INTERVAL).await;
        let Some(inner) = inner.upgrade() else { return };
        if inner.lock().round != round {
            return;
        }
        if inner.answers().await {
            inner.answered(round);
            return;
        }
    }
}

/// Asks for as many sessions as it takes to say that nobody answers, all at once. No answer for a [`WINDOW`] is none.
async fn inquire(inner: Weak<Inner>, round: u64) {
    let Some(inner) = inner.upgrade() else { return };
    let mut asked: FuturesUnordered<_> = (0..inner.opinions).map(|_| inner.answers()).collect();
    let somebody = async {
        while let Some(answers) = asked.next().await {
            if answers {
                return true;
            }
        }
        false
    };
    let is_silent = !timeout(WINDOW, somebody).await.unwrap_or(false);
    drop(asked);
    let mut state = inner.lock();
    state.inquires = false;
    if state.round != round {
        return;
    }
    if is_silent && !state.answered {
        return Inner::turn_to_open(&inner, state);
    }
    inner.failing.store(0, Ordering::SeqCst);
    state.since = None;
    state.partly = Some(inner.stopwatch.elapsed());
}

#[cfg(test)]
mod tests;
