//! Who is to be told when a session ends.
//!
//! I own: [`Live`], the list of those who wait for the end of a session here; [`Subscription`], a place in it; and
//! [`Vigil`], which watches one session for one long request. I may call: `domain`, `ports`, `keyring`, and the gateway
//! for a second look. I never end a session, and I never say that one is over because the store did not answer.
//!
//! A request subscribes before its record is read ([`Gateway::admit`]), so that no ending can fall between the two. What
//! ends a session in this process tells the list at once; idle and absolute limits are local timers; what is changed
//! elsewhere is told by the store's feed ([`ports::News`]), and where there is none, found by a second look every
//! [`RECHECK`].

use super::Gateway;
use crate::domain::session::{LiveSession, SessionKey, Standing, Ticket};
use crate::domain::time::Timestamp;
use crate::keyring::session_key;
use crate::ports::{self, FeedState};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often a long request looks whether its session is still there: the bound for endings that this process was not
/// told of.
pub const RECHECK: Duration = Duration::from_secs(5);

/// The same, while the store's feed is down and nothing is told.
const RECHECK_UNTOLD: Duration = Duration::from_secs(1);

/// How long there is between two looks at least, unless there is news.
const LEAST: Duration = Duration::from_millis(10);

/// What has become of a session, as far as those who wait need to know.
#[derive(Clone, Copy)]
enum News {
    /// Nothing.
    Nothing,
    /// Its record was changed: look again.
    Changed,
    /// It is about to be ended here, and why: whoever finds it gone knows the reason.
    Ending(&'static str),
    /// It is over, and why.
    Ended(&'static str),
}

/// Everybody who waits for the end of a session, by session. One for the whole process.
#[derive(Default)]
pub struct Live {
    waiting: Mutex<HashMap<SessionKey, watch::Sender<News>>>,
    closing: watch::Sender<bool>,
}

impl Live {
    /// Takes a place in the list; dropping it gives the place back.
    fn subscribe(self: &Arc<Self>, key: SessionKey) -> Subscription {
        let news = match self.lock().entry(key) {
            Entry::Occupied(place) => place.get().subscribe(),
            Entry::Vacant(place) => place.insert(watch::Sender::new(News::Nothing)).subscribe(),
        };
        Subscription { live: Arc::clone(self), key, news }
    }

    /// The gateway stops: what would stay open for ever has to end.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Completes when the gateway stops.
    pub async fn closing(&self) {
        if self.closing.subscribe().wait_for(|closing| *closing).await.is_err() {
            // Cannot be: the sender is here.
            std::future::pending().await
        }
    }

    /// A session is about to be removed: the news of that may come in before [`Self::ended`] is called.
    pub(super) fn ending(&self, key: &SessionKey, reason: &'static str) {
        self.tell(key, News::Ending(reason));
    }

    /// Tells everybody that a session is over.
    pub(super) fn ended(&self, key: &SessionKey, reason: &'static str) {
        self.tell(key, News::Ended(reason));
    }

    fn tell(&self, key: &SessionKey, news: News) {
        if let Some(sender) = self.lock().get(key) {
            send(sender, news);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, watch::Sender<News>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ports::News for Live {
    fn changed(&self, key: &SessionKey) {
        self.tell(key, News::Changed);
    }

    fn anything_changed(&self) {
        for sender in self.lock().values() {
            send(sender, News::Changed);
        }
    }
}

/// Wakes everybody, unless there is nothing to see yet; a reason that was told is not forgotten over news that say less.
fn send(sender: &watch::Sender<News>, news: News) {
    sender.send_if_modified(|told| {
        if matches!(news, News::Ended(_)) || !matches!(told, News::Ending(_) | News::Ended(_)) {
            *told = news;
        }
        !matches!(news, News::Ending(_))
    });
}

impl Gateway {
    /// A place among those who are told when the session of `ticket` ends. Take it before the record is read.
    pub fn place(&self, ticket: &Ticket) -> Subscription {
        self.live.subscribe(session_key(ticket))
    }
}

/// A place in the list.
pub struct Subscription {
    live: Arc<Live>,
    key: SessionKey,
    news: watch::Receiver<News>,
}

impl Subscription {
    /// Why the session is over, if it was told.
    pub fn ended(&self) -> Option<&'static str> {
        match *self.news.borrow() {
            News::Ended(reason) => Some(reason),
            News::Nothing | News::Changed | News::Ending(_) => None,
        }
    }

    /// Why it is over, if it is.
    fn reason(&self) -> Option<&'static str> {
        match *self.news.borrow() {
            News::Ending(reason) | News::Ended(reason) => Some(reason),
            News::Nothing | News::Changed => None,
        }
    }

    async fn changed(&mut self) {
        if self.news.changed().await.is_err() {
            // Cannot be: the list holds the sender as long as there is a receiver.
            std::future::pending().await
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiting = self.live.lock();
        // This receiver is still counted.
        if waiting.get(&self.key).is_some_and(|sender| sender.receiver_count() <= 1) {
            waiting.remove(&self.key);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::News as _;

    const KEY: SessionKey = SessionKey::from_digest([7; 32]);

    #[tokio::test]
    async fn everybody_who_waits_is_told_and_nobody_else() {
        let live = Arc::new(Live::default());
        let (mut one, two) = (live.subscribe(KEY), live.subscribe(KEY));
        let other = live.subscribe(SessionKey::from_digest([8; 32]));
        live.changed(&KEY);
        one.changed().await;
        assert_eq!(one.ended(), None);
        live.ended(&KEY, "by-user");
        one.changed().await;
        assert_eq!((one.ended(), two.ended(), other.ended()), (Some("by-user"), Some("by-user"), None));
    }

    #[tokio::test]
    async fn news_from_the_store_wake_those_who_wait_and_hide_no_reason() {
        let live = Arc::new(Live::default());
        let mut one = live.subscribe(KEY);
        live.anything_changed();
        one.changed().await;
        assert_eq!((one.ended(), one.reason()), (None, None));
        live.ending(&KEY, "by-user");
        live.changed(&KEY);
        one.changed().await;
        assert_eq!((one.ended(), one.reason()), (None, Some("by-user")));
        live.ended(&KEY, "by-user");
        live.changed(&KEY);
        live.anything_changed();
        assert_eq!(one.ended(), Some("by-user"));
    }

    #[test]
    fn the_list_forgets_who_has_gone() {
        let live = Arc::new(Live::default());
        let (one, two) = (live.subscribe(KEY), live.subscribe(KEY));
        drop(one);
        assert_eq!(live.lock().len(), 1);
        drop(two);
        assert_eq!(live.lock().len(), 0);
        // Nobody is told, and nothing is kept.
        live.ended(&KEY, "by-user");
        assert_eq!(live.subscribe(KEY).ended(), None);
    }
}
