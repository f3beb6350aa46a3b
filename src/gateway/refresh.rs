//! New tokens for a session, fetched once whoever asks.
//!
//! I own: when a request needs them (`Gateway::with_tokens`), and [`Refreshes`], the renewals that run in this process.
//! I may call: `domain`, `ports`, `keyring`, `gateway::ending`; `renewing` has the steps of one renewal. I never make
//! anybody wait whose token is still good, and I never end a session because a provider does not answer (R46).
//!
//! A renewal is a task of its own on a runtime that no worker takes with it: a browser that hangs up, or a worker that
//! stops, must not lose a token that the provider has given out. The drain waits for it ([`Refreshes::ended`]).

mod renewing;

use self::renewing::Renewing;
use super::{Gateway, GatewayError};
use crate::domain::policy::{self, Decision, Refusal, WhySignIn};
use crate::domain::renewal::RenewalRules;
use crate::domain::request::RequestFacts;
use crate::domain::route::Route;
use crate::domain::session::{LiveSession, SessionKey, Standing, Ticket};
use crate::domain::time::Timestamp;
use crate::keyring::new_lease_id;
use crate::ports::{IdentityProvider, ProviderError};
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How a renewal has ended, for those who wait.
#[derive(Clone)]
enum End {
    /// The record says what there is now: new tokens, none, or no session.
    Settled,
    /// There are no new tokens, and they may be asked for again; why, for the log.
    Failed(String),
}

type Awaited = watch::Receiver<Option<End>>;

/// How many other things may run beside the renewals.
const MOST_OTHERS: usize = 1000;

/// The renewals under way in this process.
pub struct Refreshes {
    runtime: Handle,
    running: Mutex<HashMap<SessionKey, Awaited>>,
    /// How many other things run, which nobody waits for.
    others: Arc<AtomicUsize>,
    count: watch::Sender<usize>,
}

impl Refreshes {
    /// Renewals run on `runtime`, which outlives the workers.
    pub fn on(runtime: Handle) -> Self {
        Self { runtime, running: Mutex::default(), others: Arc::default(), count: watch::Sender::new(0) }
    }

    /// Completes when none is under way.
    pub async fn ended(&self) {
        // Cannot fail: the sender is here.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Runs what must not be lost with the worker that it came to, at the side of the renewals; whether there was room.
    pub(super) fn beside(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        // Given back in whatever way the task ends, and where there is none.
        let room = Room(Arc::clone(&self.others));
        if room.0.fetch_add(1, Ordering::SeqCst) >= MOST_OTHERS {
            return false;
        }
        self.runtime.spawn(async move {
            let _room = room;
            task.await;
        });
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Awaited>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of [`MOST_OTHERS`].
struct Room(Arc<AtomicUsize>);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place in the list, given back when the renewal ends in whatever way.
struct Place {
    gateway: Arc<Gateway>,
    key: SessionKey,
}

impl Drop for Place {
    fn drop(&mut self) {
        let refreshes = &self.gateway.refreshes;
        let mut running = refreshes.lock();
        running.remove(&self.key);
        refreshes.count.send_replace(running.len());
    }
}

/// What a decision asks of a session's tokens.
enum Need {
    Nothing,
    /// The token still passes, and will not for long.
    Soon,
    /// Without a new token nobody passes.
    First,
}

impl Gateway {
    /// The decision about a request, made again with new tokens where it failed for want of them, and what the standing
    /// is by then. The policy is asked at most three times.
    ///
    /// # Errors
    /// [`GatewayError::Provider`] when the token is over and the provider gives no other at the moment: that is no
    /// reason to send anybody to it. [`GatewayError::Store`].
    pub(super) async fn with_tokens(
        self: &Arc<Self>,
        route: &Arc<Route>,
        facts: &RequestFacts,
        (ticket, live): (&Ticket, &LiveSession),
        decision: Decision,
    ) -> Result<Decision, GatewayError> {
        let Some((_, provider)) = self.providers.find(Some(live.session.provider.as_str())) else {
            return Ok(decision);
        };
        let rules = provider.renewal_rules();
        match need(&decision, live, &rules, self.clock.now()) {
            Need::Nothing => Ok(decision),
            Need::Soon => {
                drop(self.refresh(ticket, live, provider));
                Ok(decision)
            }
            Need::First => {
                self.fetched(ticket, live, provider, &rules).await?;
                let (decision, found) = self.decide_anew(route, facts, ticket).await?;
                // A process that was stopped may find tokens that came meanwhile, and are over.
                match found.filter(|found| is_over_again(&decision, live, found)) {
                    None => Ok(decision),
                    Some(found) => {
                        self.fetched(ticket, &found, provider, &rules).await?;
                        Ok(self.decide_anew(route, facts, ticket).await?.0)
                    }
                }
            }
        }
    }

    /// Waits until a renewal has ended, for as long as anybody waits.
    async fn fetched(
        self: &Arc<Self>,
        ticket: &Ticket,
        live: &LiveSession,
        provider: &Arc<dyn IdentityProvider>,
        rules: &RenewalRules,
    ) -> Result<(), GatewayError> {
        let mut awaited = self.refresh(ticket, live, provider);
        let ended = awaited.wait_for(Option::is_some);
        match tokio::time::timeout(rules.wait(), ended).await {
            Ok(Ok(end)) => match &*end {
                Some(End::Failed(why)) => Err(no_tokens(why)),
                Some(End::Settled) | None => Ok(()),
            },
            Ok(Err(_)) => Err(GatewayError::TaskLost),
            Err(_) => Err(no_tokens("they are still being fetched")),
        }
    }

    /// The decision by the standing of now, and whom it was about.
    async fn decide_anew(
        &self,
        route: &Arc<Route>,
        facts: &RequestFacts,
        ticket: &Ticket,
    ) -> Result<(Decision, Option<LiveSession>), GatewayError> {
        let now = self.clock.now();
        let standing = self.standing(Some(ticket), now).await?;
        let found = match &standing {
            Standing::Live(live) => Some(live.clone()),
            Standing::Anonymous | Standing::Over(_) => None,
        };
        Ok((policy::decide(route, facts, standing, now), found))
    }

    /// Begins the renewal of a session's tokens, or joins the one that runs.
    fn refresh(
        self: &Arc<Self>,
        ticket: &Ticket,
        live: &LiveSession,
        provider: &Arc<dyn IdentityProvider>,
    ) -> Awaited {
        let mut running = self.refreshes.lock();
        if let Some(awaited) = running.get(&live.key) {
            return awaited.clone();
        }
        let (ended, awaited) = watch::channel(None);
        running.insert(live.key, awaited.clone());
        self.refreshes.count.send_replace(running.len());
        drop(running);
        let place = Place { gateway: Arc::clone(self), key: live.key };
        let (ticket, provider) = (ticket.clone(), Arc::clone(provider));
        let generation = live.session.renewal.generation;
        self.refreshes.runtime.spawn(async move {
            let end = match new_lease_id() {
                Ok(holder) => {
                    let key = place.key;
                    Renewing { gateway: &place.gateway, provider, ticket, key, generation, holder }
                        .run()
                        .await
                }
                Err(error) => End::Failed(error.to_string()),
            };
            // First off the list: whoever comes now and still has the old record begins anew, and finds that it is done.
            drop(place);
            ended.send_replace(Some(end));
        });
        awaited
    }
}

fn need(decision: &Decision, live: &LiveSession, rules: &RenewalRules, now: Timestamp) -> Need {
    let session = &live.session;
    if session.tokens.refresh.is_none() {
        return Need::Nothing;
    }
    match decision {
        Decision::Admit(permit) if permit.relayed_token().is_some() => {
            let due = session.renewal.due(&session.tokens, &live.key, rules.ahead);
            // While an attempt is under way, or has just failed, nobody needs another one yet.
            let idle = !session.renewal.is_under_way(rules, now) && !session.renewal.has_just_failed(now);
            if idle && due.is_some_and(|due| due <= now) { Need::Soon } else { Need::Nothing }
        }
        Decision::SignIn(WhySignIn::TokenExpired) | Decision::Refuse(Refusal::TokensExpireAtOnce) => {
            Need::First
        }
        Decision::Admit(_) | Decision::SignIn(_) | Decision::Preflight | Decision::Refuse(_) => Need::Nothing,
    }
}

/// Whether tokens were found in the place of those of before that were good when they came, and are over already.
fn is_over_again(decision: &Decision, before: &LiveSession, found: &LiveSession) -> bool {
    let (then, session) = (&before.session.renewal, &found.session);
    matches!(decision, Decision::SignIn(WhySignIn::TokenExpired))
        && session.renewal.generation != then.generation
        && session.tokens.refresh.is_some()
        && session.tokens.is_fresh(session.renewal.obtained)
}

fn no_tokens(why: &str) -> GatewayError {
    let text = format!("the access token has expired, and there is no new one: {why}");
    GatewayError::Provider(ProviderError::Unavailable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_at_the_side_is_limited_and_given_back_in_whatever_way_a_task_ends() {
        let refreshes = Refreshes::on(Handle::current());
        // None of them runs before this test waits.
        assert!(refreshes.beside(async { panic!("a task that fails") }));
        for _ in 1..MOST_OTHERS {
            assert!(refreshes.beside(async {}));
        }
        assert!(!refreshes.beside(async {}));
        while refreshes.others.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        assert!(refreshes.beside(async {}));
    }
}
