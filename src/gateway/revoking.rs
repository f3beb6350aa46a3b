//! Debts are carried out: refresh tokens of sessions that have ended are revoked at their providers (RFC 7009).
//!
//! I own: [`Revoker`], the one task that does it in this process. I may call: `domain`, `ports`. I never revoke the token of
//! a session whose record is still there, nor one that another session stands on, never hold up an ending, and never try
//! for ever.
//!
//! Several gateways share the debts: each takes some with a lease, and what one of them has taken no other is given until
//! that is over. A provider that cannot be reached is asked again, after as long as the debt has waited already, ten
//! minutes at most. What it refuses is not asked again: a second time says the same.

use crate::domain::identity::ProviderId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::{Clock, Debt, Entry, GIVEN_UP_AFTER, IdentityProvider, Ledger};
use crate::ports::{Outbox, Owed, ProviderError, StoreError};
use futures_util::future::join_all;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How often somebody looks for what others have left behind.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a debt that was taken is nobody else's: longer than [`PATIENCE`].
const LEASE: Duration = Duration::from_secs(60);

/// How long one attempt may take, metadata included.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many are carried out at once.
const AT_ONCE: usize = 16;

/// Between two attempts, at least and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// How long an ending may take from its note to the removal, before others look at it less often.
const ENDING_TAKES: Duration = Duration::from_secs(1);

/// How many debts that the store did not take are remembered until it does.
const UNNOTED: usize = 10_000;

/// Finds a provider of the configuration that is in force.
pub type FindProvider = Box<dyn Fn(&ProviderId) -> Option<Arc<dyn IdentityProvider>> + Send + Sync>;

/// Carries out debts. One for the whole process.
pub struct Revoker {
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    ledger: Arc<dyn Ledger>,
    wake: Notify,
    unnoted: Mutex<Vec<(SessionKey, Owed)>>,
    closing: watch::Sender<bool>,
    done: watch::Sender<bool>,
}

impl Revoker {
    /// Does nothing yet: see [`Self::run`].
    pub fn new(outbox: Arc<dyn Outbox>, clock: Arc<dyn Clock>, ledger: Arc<dyn Ledger>) -> Self {
        Self {
            outbox,
            clock,
            ledger,
            wake: Notify::new(),
            unnoted: Mutex::default(),
            closing: watch::Sender::new(false),
            done: watch::Sender::new(false),
        }
    }

    /// There may be something to do. Never waits.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Remembers a debt that the store did not take. Never waits.
    pub(super) fn remember(&self, key: &SessionKey, owed: Owed) {
        self.enter(&owed.provider, "not-noted");
        let mut unnoted = self.unnoted.lock().unwrap_or_else(PoisonError::into_inner);
        if unnoted.len() < UNNOTED {
            unnoted.push((*key, owed));
        }
    }

    /// Works until [`Self::end`] is called, and then once more.
    pub async fn run(&self, find: FindProvider) {
        let mut closing = self.closing.subscribe();
        loop {
            let last = *closing.borrow_and_update();
            if let Err(error) = self.round(&find).await {
                tracing::debug!(%error, "what is owed to providers cannot be read");
            }
            if last {
                break;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = self.clock.until(self.clock.now().plus(LOOK_EVERY)) => {}
                _ = closing.changed() => {}
            }
        }
        self.done.send_replace(true);
    }

    /// Lets [`Self::run`] finish what is due, for as long as `patience`. What is left is there for whoever comes next.
    pub async fn end(&self, patience: Duration) {
        self.closing.send_replace(true);
        let mut done = self.done.subscribe();
        let _ = timeout(patience, done.wait_for(|done| *done)).await;
    }

    /// Carries out what is due, until nothing is.
    async fn round(&self, find: &FindProvider) -> Result<(), StoreError> {
        self.note_the_unnoted().await;
        loop {
            let taken = self.outbox.take(self.clock.now(), LEASE, AT_ONCE).await?;
            if taken.unreadable > 0 {
                tracing::warn!(
                    debts = taken.unreadable,
                    "tokens that were to be revoked cannot be opened, and live until the provider ends them"
                );
            }
            let settled = join_all(taken.debts.iter().map(|debt| self.carry_out(debt, find))).await;
            // Behind those that wait for their key there may be others.
            if !settled.into_iter().any(|settled| settled) && taken.unreadable + taken.waiting == 0 {
                break;
            }
        }
        self.ledger.enter(Entry::Owed(self.outbox.count().await?));
        Ok(())
    }

    /// Whether it is settled now.
    async fn carry_out(&self, debt: &Debt, find: &FindProvider) -> bool {
        let done = self.attempt(debt, find).await;
        let now = self.clock.now();
        let stored = match done {
            Done::Settled(result) => {
                self.enter(&debt.owed.provider, result);
                self.outbox.settle(&debt.name).await
            }
            Done::Later(until) => self.outbox.defer(debt, until.max(now)).await,
        };
        if let Err(error) = stored {
            tracing::debug!(%error, "what became of a debt cannot be written: it is tried again");
            return false;
        }
        matches!(done, Done::Settled(_))
    }

    async fn attempt(&self, debt: &Debt, find: &FindProvider) -> Done {
        let now = self.clock.now();
        let age = now.since(debt.noted);
        match self.outbox.is_needless(debt, now).await {
            Ok(true) => {}
            // Its ending is under way, or was cut short: then the session goes on, and the token with it. Or another one
            // needs what both have at the provider.
            Ok(false) if age < ENDING_TAKES => return Done::Later(now),
            Ok(false) if age < GIVEN_UP_AFTER => return Done::Later(next(now, age)),
            // Whatever ends those one day notes a debt of its own.
            Ok(false) => return Done::Settled("still-needed"),
            Err(_) => return Done::Later(next(now, age)),
        }
        let Some(provider) = find(&debt.owed.provider) else {
            tracing::warn!(
                provider = debt.owed.provider.as_str(),
                "a token stays: its provider is not configured"
            );
            return Done::Settled("no-such-provider");
        };
        let answer = timeout(PATIENCE, provider.revoke(&debt.owed.token)).await;
        let answer = answer
            .unwrap_or_else(|_| Err(ProviderError::Unavailable("it took longer than anybody waits".into())));
        match answer {
            Ok(true) => Done::Settled("revoked"),
            Ok(false) => Done::Settled("no-endpoint"),
            Err(ProviderError::Rejected(why) | ProviderError::Refused(why)) => {
                tracing::warn!(
                    provider = debt.owed.provider.as_str(),
                    cause = why,
                    "the provider revokes no token"
                );
                Done::Settled("refused")
            }
            Err(error) if age >= GIVEN_UP_AFTER => {
                tracing::warn!(
                    provider = debt.owed.provider.as_str(),
                    %error,
                    "a token could not be revoked within a day, and lives until the provider ends it"
                );
                Done::Settled("given-up")
            }
            Err(error) => {
                tracing::info!(provider = debt.owed.provider.as_str(), %error, "a token is revoked later");
                self.enter(&debt.owed.provider, "unanswered");
                Done::Later(next(now, age))
            }
        }
    }

    async fn note_the_unnoted(&self) {
        let unnoted = std::mem::take(&mut *self.unnoted.lock().unwrap_or_else(PoisonError::into_inner));
        for (key, owed) in unnoted {
            let now = self.clock.now();
            if self.outbox.note(&key, &owed, now, now).await.is_err() {
                self.unnoted.lock().unwrap_or_else(PoisonError::into_inner).push((key, owed));
            }
        }
    }

    fn enter(&self, provider: &ProviderId, result: &'static str) {
        self.ledger.enter(Entry::Revocation { provider: provider.as_str(), result });
    }
}

/// What became of an attempt.
#[derive(Clone, Copy)]
enum Done {
    /// There is nothing left to do; the word for the ledger.
    Settled(&'static str),
    /// It is due again then.
    Later(Timestamp),
}

/// When a debt of this age is tried again.
fn next(now: Timestamp, age: Duration) -> Timestamp {
    now.plus(age.clamp(PAUSES.0, PAUSES.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_with_the_age_and_are_bounded() {
        let now = Timestamp::from_unix_seconds(1000);
        let pause = |age| next(now, Duration::from_secs(age)).since(now).as_secs();
        assert_eq!([0, 1, 2, 60, 600, 80_000].map(pause), [1, 1, 2, 60, 600, 600]);
        assert!(LEASE > PATIENCE);
    }
}
