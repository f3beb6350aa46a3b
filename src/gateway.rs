//! What becomes of a request: the whole path, in one file.
//!
//! I own: [`Gateway`], its one question [`Gateway::admit`], and the answers [`Verdict`] and [`GatewayError`].
//! I may call: `domain`, `ports`, `keyring`. I never know HTTP responses, actix, Redis or a provider by name.
//!
//! A request comes in as facts and perhaps a ticket ([`crate::inbound`] has read them). It finds its route, its
//! ticket is turned into a standing, policy decides, and the outcome goes back: a permit to forward, a login to
//! begin, a challenge, a refusal. [`login`] begins and completes sign-ins; [`keep`] lets forms wait for them;
//! [`refresh`] renews tokens; [`ending`] is the one door for ends;
//! [`revoking`] tells providers of them, `cap` counts a person's sessions;
//! [`notice`] hears providers, [`operating`] answers operators, [`own`] people about themselves.

mod cap;
pub mod ending;
pub mod keep;
pub mod live;
pub mod login;
pub mod notice;
pub mod operating;
mod other_keys;
pub mod own;
pub mod refresh;
pub mod revoking;
mod state;
#[cfg(test)]
mod tests;

use crate::domain::identity::ProviderId;
use crate::domain::path::CanonicalPath;
use crate::domain::policy::{self, Decision, Permit, Refusal, WhySignIn};
use crate::domain::request::{RequestFacts, RequestKind};
use crate::domain::return_to::ReturnTo;
use crate::domain::route::{Access, Route, RouteTable};
use crate::domain::session::{Limits, LiveSession, Session, Standing, Ticket, WhyOver};
use crate::domain::time::Timestamp;
use crate::keyring::{CannotOpen, KeyRing, NoRandomness};
use crate::ports::{
    Clock, Entry, IdentityProvider, Ledger, ProviderError, SessionStore, StoreError, Transfer,
};
use ending::{Endings, Tokens};
use live::{Live, Subscription};
use refresh::Refreshes;
use std::sync::Arc;
use tokio::time::Instant;

/// The gateway: what decides. One for the whole process.
pub struct Gateway {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The sessions.
    pub store: Arc<dyn SessionStore>,
    /// The keys.
    pub keys: Arc<KeyRing>,
    /// The identity providers, the default one first.
    pub providers: Providers,
    /// The routes.
    pub routes: RouteTable,
    /// How long sessions live.
    pub limits: Limits,
    /// Where our own endpoints are.
    pub prefix: CanonicalPath,
    /// What happens is entered here.
    pub ledger: Arc<dyn Ledger>,
    /// Who is to be told when a session ends.
    pub live: Arc<Live>,
    /// The renewals of tokens that are under way.
    pub refreshes: Arc<Refreshes>,
    /// What endings need besides.
    pub endings: Arc<Endings>,
    /// Moves sessions to another store.
    pub transfer: Arc<dyn Transfer>,
}

/// The identity providers by id, in the order of the configuration.
pub struct Providers {
    first: (ProviderId, Arc<dyn IdentityProvider>),
    others: Vec<(ProviderId, Arc<dyn IdentityProvider>)>,
}

impl Providers {
    /// Takes the providers; `None` for an empty list.
    pub fn new(providers: Vec<(ProviderId, Arc<dyn IdentityProvider>)>) -> Option<Self> {
        let mut providers = providers.into_iter();
        Some(Self { first: providers.next()?, others: providers.collect() })
    }

    /// The provider with this id, or the default one when none is named.
    pub fn find(&self, id: Option<&str>) -> Option<(&ProviderId, &Arc<dyn IdentityProvider>)> {
        let mut all = std::iter::once(&self.first).chain(&self.others);
        match id {
            None => Some((&self.first.0, &self.first.1)),
            Some(id) => all.find(|(own, _)| own.as_str() == id).map(|(own, provider)| (own, provider)),
        }
    }

    /// All of them, the default one first.
    pub fn iter(&self) -> impl Iterator<Item = (&ProviderId, &Arc<dyn IdentityProvider>)> {
        std::iter::once(&self.first).chain(&self.others).map(|(id, provider)| (id, provider))
    }

    /// Whether callbacks must name their provider (R9).
    pub fn are_several(&self) -> bool {
        !self.others.is_empty()
    }
}

/// The answer to one request, with what the access line wants to know about it.
pub struct Verdict {
    /// The route, if one leads there.
    pub route: Option<Arc<Route>>,
    /// The session that the request showed, if it is in force and the route asked for it.
    pub session: Option<Arc<Session>>,
    /// The place of this request among those who are told of the session's end, taken before the record was read.
    pub subscription: Option<Subscription>,
    /// What shall happen.
    pub outcome: Outcome,
}

/// What shall happen to a request.
pub enum Outcome {
    /// It goes to its upstream.
    Forward(Permit),
    /// Somebody is looking: send them to the login, then back to this page.
    Login(ReturnTo, WhySignIn),
    /// A script is asking: a 401 that says where to sign in (R67).
    Challenge(WhySignIn),
    /// A CORS preflight on a guarded route (R64).
    Preflight,
    /// No, and why.
    Refused(Refusal),
    /// No route leads there.
    NoRoute,
}

/// What can go wrong behind the door. None of these ever means "anonymous" (R82).
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The session store did not answer, or with something unreadable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The identity provider did not do what was asked.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// No random numbers.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// A key that was there a moment ago is gone.
    #[error("a login could not be opened: {0}")]
    Keys(#[from] CannotOpen),
    /// A login names a provider that is not configured.
    #[error("there is no provider of that name")]
    NoSuchProvider,
    /// A task that had to finish did not.
    #[error("a task that had to finish was lost")]
    TaskLost,
}

impl GatewayError {
    /// The word for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(_) => "store-unavailable",
            Self::Provider(ProviderError::Unavailable(_)) => "provider-unavailable",
            Self::Provider(ProviderError::Misconfigured(_)) => "provider-misconfigured",
            Self::Provider(ProviderError::Refused(_)) => "code-refused",
            Self::Provider(ProviderError::Rejected(_)) => "answer-rejected",
            Self::NoSuchProvider => "no-such-provider",
            Self::Randomness(_) | Self::Keys(_) | Self::TaskLost => "internal",
        }
    }
}

impl Gateway {
    /// The whole path of a request. Ask once per request.
    ///
    /// # Errors
    /// [`GatewayError::Store`] when a ticket was presented on a guarded route and the store did not answer;
    /// [`GatewayError::Provider`] when a route relays a token and there is no good one to be had at the moment.
    pub async fn admit(
        self: &Arc<Self>,
        facts: &RequestFacts,
        presented: Option<&Ticket>,
    ) -> Result<Verdict, GatewayError> {
        let now = self.clock.now();
        let Some(route) = self.routes.find(&facts.origin, &facts.path) else {
            let (session, subscription) = (None, None);
            return Ok(Verdict { route: None, session, subscription, outcome: Outcome::NoRoute });
        };
        // Public routes never touch the store: they work while it is down.
        let presented = presented.filter(|_| route.access != Access::Public);
        // Before the record is read: an ending can fall only before the place is taken, and then the record is gone, or
        // after, and then this request is told.
        let subscription = presented.map(|ticket| self.place(ticket));
        let standing = self.standing(presented, now).await?;
        let live = match &standing {
            Standing::Live(live) => Some(live.clone()),
            Standing::Anonymous | Standing::Over(_) => None,
        };
        let mut decision = policy::decide(route, facts, standing, now);
        if let (Some(ticket), Some(live)) = (presented, &live) {
            decision = self.with_tokens(route, facts, (ticket, live), decision).await?;
        }
        let session = live.map(|live| live.session);
        let outcome = match decision {
            Decision::Admit(permit) => {
                // Only what passes counts as use: a forged request must not keep a session alive.
                if let Some(live) = permit.live() {
                    // By the time of now: where the store was late, or this process was stopped, others may have noted a use
                    // since this request came, and it must not be taken back.
                    self.seen(live, self.clock.now()).await;
                }
                Outcome::Forward(permit)
            }
            Decision::SignIn(why) => Self::ask_to_sign_in(facts, why),
            Decision::Preflight => Outcome::Preflight,
            Decision::Refuse(refusal) => Outcome::Refused(refusal),
        };
        Ok(Verdict { route: Some(Arc::clone(route)), session, subscription, outcome })
    }

    /// Whether a page load with these facts may find anything, whoever signs in for it (R12). Where no route leads, a
    /// page says so.
    pub fn may_be_visited(&self, facts: &RequestFacts) -> bool {
        let route = self.routes.find(&facts.origin, &facts.path);
        route.is_none_or(|route| policy::may_be_visited(route, facts, self.clock.now()))
    }

    fn ask_to_sign_in(facts: &RequestFacts, why: WhySignIn) -> Outcome {
        match facts.kind {
            RequestKind::Navigation => {
                let target = ReturnTo::from_parts(facts.path.clone(), facts.query.as_deref());
                Outcome::Login(target.unwrap_or_else(ReturnTo::root), why)
            }
            RequestKind::Script => Outcome::Challenge(why),
        }
    }

    /// Who stands behind a ticket, both limits judged from the data (R47).
    ///
    /// # Errors
    /// [`GatewayError::Store`]: an error is not a miss.
    pub async fn standing(
        &self,
        presented: Option<&Ticket>,
        now: Timestamp,
    ) -> Result<Standing, GatewayError> {
        let Some(ticket) = presented else {
            return Ok(Standing::Anonymous);
        };
        let began = Instant::now();
        let standing = self.standing_of(ticket, now).await;
        self.ledger.enter(Entry::Checked(began.elapsed()));
        standing
    }

    async fn standing_of(&self, ticket: &Ticket, now: Timestamp) -> Result<Standing, GatewayError> {
        let clearing = &self.endings.clearing;
        let (live, cleared) = match clearing.known() {
            // A moment that is written while the record is read ends this request if it lasts: it has its place by now.
            Some(cleared) => (self.store.load(ticket, now).await, Ok(cleared)),
            None => tokio::join!(self.store.load(ticket, now), clearing.ask(now, self.remembered())),
        };
        let Some(live) = live? else {
            return Ok(Standing::Over(WhyOver::Unknown));
        };
        let cleared = cleared?;
        let stands = if live.session.started <= cleared { Err(WhyOver::Cleared) } else { Ok(()) };
        if let Err(why) = stands.and_then(|()| live.judge(&self.limits, now)) {
            self.remove_expired(&live, why).await;
            return Ok(Standing::Over(why));
        }
        Ok(Standing::Live(live))
    }

    /// The moment at which everybody was sent home, from memory where that may answer.
    ///
    /// # Errors
    /// [`StoreError`]: then nobody knows who is in.
    async fn cleared(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        match self.endings.clearing.known() {
            Some(at) => Ok(at),
            None => self.endings.clearing.ask(now, self.remembered()).await,
        }
    }

    /// Notes that a session was used, if the last note is old enough; when it counts as last used then. A note that
    /// fails costs nobody the request: the session is known to be good, only its clock lags.
    pub async fn seen(&self, live: &LiveSession, now: Timestamp) -> Timestamp {
        if now.since(live.last_seen) < self.limits.touch_interval() {
            return live.last_seen;
        }
        let keep = self.limits.idle + 2 * self.limits.touch_interval();
        if let Err(error) = self.store.touch(&live.key, now, keep).await {
            tracing::warn!(%error, "the time of last use could not be written");
        }
        now
    }

    /// The record of a session that is over is of no use to anybody; if the store fails now, its TTL will do it.
    async fn remove_expired(&self, live: &LiveSession, why: WhyOver) {
        let about = ending::About::from(live.session.as_ref());
        let tokens = Tokens::Revoke(Some(&live.session));
        match self.end_record(&live.key, Some(about), why.code(), tokens).await {
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "an expired session could not be removed"),
        }
    }
}
