//! Who is to be told when a session ends.
//!
//! I own: [`Vigil`], which watches one session for one long request. I may call: `domain`, `ports`, `keyring`, the list of
//! those who wait ([`Live`]), and the gateway for a second look. I never end a session, and I never say that one is over
//! because the store did not answer.
//!
//! A request subscribes before its record is read ([`Gateway::admit`]), so that no ending can fall between the two. What
//! ends a session in this process tells the list at once; idle and absolute limits are local timers; what is changed
//! elsewhere is told by the store's feed ([`crate::ports::News`]), and where there is none, found by a second look every
//! [`RECHECK`].

use super::Gateway;
use crate::domain::session::{LiveSession, Standing, Ticket};
use crate::domain::time::Timestamp;
use crate::keyring::session_key;
use crate::ports::FeedState;
use std::sync::Arc;
use std::time::Duration;

mod list;

pub use list::{Live, Subscription};

/// How often a long request looks whether its session is still there: the bound for endings that this process was not
/// told of.
pub const RECHECK: Duration = Duration::from_secs(5);

/// The same, while the store's feed is down and nothing is told.
const RECHECK_UNTOLD: Duration = Duration::from_secs(1);

/// How long there is between two looks at least, unless there is news.
const LEAST: Duration = Duration::from_millis(10);

impl Gateway {
    /// A place among those who are told when the session of `ticket` ends. Take it before the record is read.
    pub fn place(&self, ticket: &Ticket) -> Subscription {
        self.live.subscribe(session_key(ticket))
    }
}

/// Watches one session for one long request.
pub struct Vigil {
    gateway: Arc<Gateway>,
    subscription: Subscription,
    ticket: Ticket,
    seen: LiveSession,
}

impl Vigil {
    /// Watches the session that `ticket` leads to, as it was when it was admitted.
    pub fn new(
        gateway: Arc<Gateway>,
        subscription: Subscription,
        ticket: Ticket,
        admitted: LiveSession,
    ) -> Self {
        Self { gateway, subscription, ticket, seen: admitted }
    }

    /// Completes when the session is over, with the reason. May be dropped and called again.
    pub async fn over(&mut self) -> &'static str {
        loop {
            if let Some(reason) = self.turn(None).await {
                return reason;
            }
        }
    }

    /// Waits until there may be something to see, at `at_latest` if that is given, and looks: why the session is over, or
    /// `None` and [`Self::session`] as it is now. May be dropped and called again.
    pub async fn turn(&mut self, at_latest: Option<Timestamp>) -> Option<&'static str> {
        if let Some(reason) = self.subscription.ended() {
            return Some(reason);
        }
        let clock = Arc::clone(&self.gateway.clock);
        let due = self.due(clock.now());
        tokio::select! {
            () = self.subscription.changed() => {}
            () = clock.until(at_latest.map_or(due, |moment| moment.min(due))) => {}
        }
        if let Some(reason) = self.subscription.ended() {
            return Some(reason);
        }
        let now = clock.now();
        match self.gateway.standing_of(&self.ticket, now).await {
            Ok(Standing::Live(live)) => {
                self.seen = live;
                None
            }
            // This process may know better why.
            Ok(Standing::Over(why)) => Some(self.subscription.reason().unwrap_or(why.code())),
            Ok(Standing::Anonymous) => Some("unknown"),
            // An error is not an ending; but what was known before has its limits, and they need no store.
            Err(error) => {
                tracing::warn!(%error, "an open request could not look after its session");
                match now {
                    now if now >= self.lifetime_until() => Some("lifetime"),
                    now if now >= self.ends() => Some("idle"),
                    _ => None,
                }
            }
        }
    }

    /// The session as it was at the last look.
    pub fn session(&self) -> &LiveSession {
        &self.seen
    }

    /// Counts as a use of the session, as a request does.
    pub async fn used(&mut self) {
        let now = self.gateway.clock.now();
        self.seen.last_seen = self.gateway.seen(&self.seen, now).await;
    }

    /// When to look again.
    fn due(&self, now: Timestamp) -> Timestamp {
        // An error at a limit must not make this spin: it is asked again a little later.
        let recheck = match self.gateway.store.feed() {
            FeedState::Down(_) => RECHECK_UNTOLD,
            FeedState::Up(_) | FeedState::Refused | FeedState::NotUsed => RECHECK,
        };
        self.ends().min(now.plus(recheck)).max(now.plus(LEAST))
    }

    /// When the session ends if nobody uses it.
    pub fn ends(&self) -> Timestamp {
        self.lifetime_until().min(self.gateway.limits.idle_until(self.seen.last_seen))
    }

    fn lifetime_until(&self) -> Timestamp {
        let session = &self.seen.session;
        session.ends.min(session.started.plus(self.gateway.limits.lifetime))
    }
}
