//! The provider's keys over time: kept, renewed, and asked for again when a token names an unknown one.
//!
//! I own: [`KeyCache`] and its throttle. I may call: `cached`, `jwks`, `jwt`, `ports`. I never let tokens decide how
//! often the provider is asked: unknown keys share one small allowance, whoever names them (R23, A16, A17).

use crate::domain::time::Timestamp;
use crate::oidc::cached::{Cached, Fetched};
use crate::oidc::jwks::KeySet;
use crate::oidc::jwt::{JwtError, Unverified, VerifiedClaims, Verifier};
use crate::ports::{Clock, ProviderError};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long keys are kept where the provider does not say.
pub(crate) const KEEP: Duration = Duration::from_secs(3600);

/// The bounds within which `Cache-Control: max-age` is believed.
pub(crate) const KEEP_LEAST: Duration = Duration::from_secs(60);
pub(crate) const KEEP_MOST: Duration = Duration::from_secs(24 * 3600);

/// Refetches that may follow each other at once: two, so that two rotations in one second are both noticed.
const BURST: u32 = 2;

/// How long it takes to earn one more.
pub(crate) const REFILL: Duration = Duration::from_secs(15);

/// How long to keep keys that came with this `max-age`.
pub(crate) fn keep_for(max_age: Option<Duration>) -> Duration {
    max_age.map_or(KEEP, |age| age.clamp(KEEP_LEAST, KEEP_MOST))
}

/// The keys of one provider.
pub(crate) struct KeyCache {
    clock: Arc<dyn Clock>,
    cached: Cached<KeySet>,
    throttle: Mutex<Throttle>,
}

impl KeyCache {
    /// No keys yet.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let throttle = Throttle { allowed: BURST, counted: clock.now(), asked: BTreeMap::new() };
        Self { clock, cached: Cached::new(), throttle: Mutex::new(throttle) }
    }

    /// Checks a token's signature. A key that is not known is looked for at the provider, if the throttle allows.
    ///
    /// # Errors
    /// Outside: the keys cannot be had. Inside: the token is not to be believed.
    pub(crate) async fn verify<F, Answer>(
        &self,
        token: &Unverified<'_>,
        fetch: F,
    ) -> Result<Result<VerifiedClaims, JwtError>, ProviderError>
    where
        F: Fn() -> Answer,
        Answer: Future<Output = Result<Fetched<KeySet>, ProviderError>>,
    {
        let clock = self.clock.as_ref();
        let mut keys = self.cached.get(clock, &fetch).await?;
        // A second round for those who only got what somebody else had been fetching: it may already be too old.
        // The throttle sees to it that nobody fetches twice for one `kid`.
        let mut rounds = if token.key_id().is_some() { 2 } else { 1 };
        loop {
            let error = match token.verify(&Verifier::Published(&keys)) {
                Err(error) if rounds > 0 && token.may_need_newer_keys(error) => error,
                done => return Ok(done),
            };
            rounds -= 1;
            let may_fetch = |now| self.throttle().allow(token.key_id(), now);
            match self.cached.other_than(&keys, clock, may_fetch, &fetch).await? {
                Some(newer) => keys = newer,
                None => return Ok(Err(error)),
            }
        }
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token bucket for refetches, and the key ids that were asked for in vain a moment ago.
struct Throttle {
    allowed: u32,
    counted: Timestamp,
    asked: BTreeMap<String, Timestamp>,
}

impl Throttle {
    /// Whether the provider may be asked now for this `kid`; counts it if so.
    fn allow(&mut self, key_id: Option<&str>, now: Timestamp) -> bool {
        // A clock that was set back would otherwise stop refetches until it has caught up.
        if now < self.counted {
            self.counted = now;
            self.asked.clear();
        }
        let earned = now.since(self.counted).as_millis() / REFILL.as_millis();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        self.allowed = self.allowed.saturating_add(earned).min(BURST);
        // A full bucket earns nothing; else what was waited towards the next one still counts.
        self.counted = if self.allowed == BURST { now } else { self.counted.plus(REFILL * earned) };
        // An entry is made only with a refetch, so there are never more than a handful.
        self.asked.retain(|_, until| now < *until);
        if self.allowed == 0 || key_id.is_some_and(|key_id| self.asked.contains_key(key_id)) {
            return false;
        }
        self.allowed -= 1;
        if let Some(key_id) = key_id {
            self.asked.insert(key_id.to_owned(), now.plus(REFILL));
        }
        true
    }
}

#[cfg(test)]
mod tests;
