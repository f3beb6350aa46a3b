//! The near cache: a session that was read once is answered from memory, for as long as the store's feed proves that
//! nothing has happened to it.
//!
//! I own: [`Near`], a decorator over any store that has a feed, or that this process alone writes to. I may call: `domain`, `ports`, `keyring`, the room's own
//! types. I never keep a ticket, never answer from memory what I was told has changed, and never take the silence of a
//! feed for peace.
//!
//! - **Sure**: the session was read in this epoch of the feed, nothing was told of it since, and the last heartbeat
//!   that came back was sent less than one second ago. It is answered from memory. So an ending anywhere is in force
//!   here when its news arrives, and after one second at the latest if no news can arrive.
//!   Over a store of one's own, there is no heartbeat: each change goes through here, or is told ([`Aside`]).
//! - **Doubtful**: the feed is down, late, refused, or began anew. The store is asked. Only if it does not answer,
//!   memory does, until `outage_grace` after the last moment at which the session was known to be good.
//! - **Struck**: a change was told, or is being made by this process. Nothing is kept, so that nothing of it can come
//!   back in an outage.
//!
//! Redis tells of an expiry when it comes across it, which may be late: when a session ends by itself is in the session,
//! and whoever asked judges that ([`Limits`]).
//!
//! What is presented is a ticket, and what is held goes by its SHA-256: nobody finds a session here without its ticket.
//!
//! A store may fall back to what it was before: a failover loses writes, an operator restores a dump. A session that is held
//! in a later version than the store has is put back, when its ticket is presented; one that the store does not have is
//! never made again, for it may have been ended.
//!
//! When somebody was last seen is written elsewhere, and nobody is told of it. A session of which this process has seen
//! nothing for half of its idle timeout is read again, so that nobody is signed out here who was busy elsewhere.

use self::held::{Found, Held, Parts};
use self::trust::Spread;
use crate::domain::identity::{Issuer, Subject};
use crate::domain::login::LoginId;
use crate::domain::logout::Mark;
use crate::domain::renewal::LeaseId;
use crate::domain::session::{Limits, LiveSession, Session, SessionKey, Ticket, WhyOver};
use crate::domain::time::Timestamp;
use crate::keyring::session_key;
use crate::ports::{self, Cursor, FeedState, Listed, Listing, SessionStore, StoreError, Updated};
use crate::ports::{Ledger, News, Stopwatch};
use crate::store::redis::feed::{Feed, Following};
use futures_util::future::BoxFuture;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::AbortHandle;

pub(in crate::store) mod held;
#[cfg(test)]
mod orders;
mod shard;
#[cfg(test)]
pub(in crate::store) mod tests;
pub(in crate::store) mod trust;
mod weight;

/// How often sizes are entered into the ledger, where there is no feed that does it.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How much is held, and for how long a store that does not answer is done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearBounds {
    /// Sessions.
    pub sessions: usize,
    /// About as many bytes.
    pub bytes: usize,
    /// `outage_grace`.
    pub outage_grace: Duration,
}

/// What the near cache works with.
pub struct NearParts {
    /// Its bounds.
    pub bounds: NearBounds,
    /// How long sessions live.
    pub limits: Limits,
    /// What its promises are timed by.
    pub stopwatch: Arc<dyn Stopwatch>,
    /// What happens is entered here.
    pub ledger: Arc<dyn Ledger>,
    /// Who wants to know of changes.
    pub news: Arc<dyn News>,
}

/// A store, and the sessions of it that are held in memory.
pub struct Near {
    store: Arc<dyn SessionStore>,
    held: Arc<Held>,
    limits: Limits,
    /// The feed ends with this.
    _following: Option<Following>,
    /// And so does the entering of sizes, where there is no feed that does it.
    _telling: Option<Telling>,
}

/// Enters sizes into the ledger until it is dropped.
struct Telling(AbortHandle);

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Near {
    /// Around `store`, whose changes `feed` tells. Must be called on the runtime that the store was opened on.
    pub fn new(store: Arc<dyn SessionStore>, feed: Feed, parts: NearParts) -> Self {
        let mut near = Self::around(store, parts, feed.spread());
        near._following = Some(feed.follow(Arc::clone(&near.held)));
        near
    }

    /// Around a store that nobody but this process writes to, and only by this: its own changes are all there are, so
    /// memory always answers; what is written past it comes with `aside`. Must be called on a tokio runtime.
    pub fn alone(store: Arc<dyn SessionStore>, parts: NearParts, aside: &Aside) -> Self {
        let mut near = Self::around(store, parts, Spread::ONE);
        near.held.trust_oneself();
        // A store has one near cache; a second one would change nothing.
        let _ = aside.0.set(Arc::clone(&near.held));
        let held = Arc::clone(&near.held);
        let telling = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TELL_EVERY);
            loop {
                ticks.tick().await;
                held.tell_the_ledger();
            }
        });
        near._telling = Some(Telling(telling.abort_handle()));
        near
    }

    fn around(store: Arc<dyn SessionStore>, parts: NearParts, spread: Spread) -> Self {
        let NearParts { bounds, limits, stopwatch, ledger, news } = parts;
        let NearBounds { sessions, bytes, outage_grace } = bounds;
        let held =
            Arc::new(Held::new(Parts { sessions, bytes, outage_grace, stopwatch, ledger, news, spread }));
        Self { store, held, limits, _following: None, _telling: None }
    }

    /// Whether the last use that is known here says enough.
    fn was_seen_lately(&self, live: &LiveSession, now: Timestamp) -> bool {
        now.since(live.last_seen) < self.limits.idle / 2
    }

    async fn read(
        &self,
        key: &SessionKey,
        ticket: &Ticket,
        now: Timestamp,
    ) -> Result<Option<LiveSession>, StoreError> {
        loop {
            let mark = self.held.mark(key);
            let answer = self.store.load(ticket, now).await;
            match &answer {
                Ok(Some(live)) => {
                    let Some(later) = self.held.later_than(live) else {
                        return Ok(Some(self.held.fill(live, mark)));
                    };
                    if let Some(restored) = self.put_back(ticket, later, live, now).await? {
                        return Ok(Some(restored));
                    }
                    // Nothing later is held any more: the next look is the last.
                    continue;
                }
                Ok(None) | Err(StoreError::Unreadable(_)) => self.held.forget(key),
                Err(StoreError::Unavailable(_)) => {}
            }
            return answer;
        }
    }

    /// The store has fallen back to an earlier version of a record than the one that is held here: what it has forgotten,
    /// tokens perhaps that no provider gives out twice, is put back. Only now, since it is sealed under the ticket.
    /// `None` where somebody else has written meanwhile, or ended it: then what was held is the past. Either way it is
    /// held no longer.
    async fn put_back(
        &self,
        ticket: &Ticket,
        later: LiveSession,
        found: &LiveSession,
        now: Timestamp,
    ) -> Result<Option<LiveSession>, StoreError> {
        let done = self.store.restore(ticket, &later, found.version, now).await?;
        self.held.strike(&later.key);
        if !matches!(done, Updated::Done(_)) {
            return Ok(None);
        }
        self.held.count(ports::Near::PutBack);
        tracing::warn!("the session store had forgotten the last version of a session: it was put back");
        let last_seen = later.last_seen.max(found.last_seen);
        Ok(Some(LiveSession { last_seen, ..later }))
    }

    /// What stands in for a store that does not answer. Not for a session that would count as idle: it may have been
    /// used elsewhere.
    fn fall_back(&self, key: &SessionKey, now: Timestamp) -> Option<LiveSession> {
        let kept = self.held.fall_back(key)?;
        (kept.judge(&self.limits, now) != Err(WhyOver::Idle)).then_some(kept)
    }

    /// A change that this process makes: nothing of before is kept once it has begun, nor once it is done, whatever
    /// was read in between, and whether or not it was answered.
    fn changing<'a, T: 'a>(
        &'a self,
        key: SessionKey,
        change: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move {
            self.held.strike(&key);
            // Also when whoever asked for the change does not wait for its end.
            let _afterwards = Strike { held: &self.held, key };
            change.await
        })
    }
}

/// What is written past the near cache of a store of one's own, where no feed tells of it: records that are moved here.
#[derive(Default)]
pub struct Aside(OnceLock<Arc<Held>>);

impl Aside {
    /// A record is being changed: as `Near::changing`, for as long as the answer is held.
    pub(in crate::store) fn changing(&self, key: &SessionKey) -> Option<Strike<'_>> {
        let held = self.0.get()?;
        held.strike(key);
        Some(Strike { held, key: *key })
    }
}

/// Strikes a session when it is dropped.
pub(in crate::store) struct Strike<'h> {
    held: &'h Held,
    key: SessionKey,
}

impl Drop for Strike<'_> {
    fn drop(&mut self) {
        self.held.strike(&self.key);
    }
}

impl SessionStore for Near {
    fn create<'a>(
        &'a self,
        ticket: &'a Ticket,
        session: &'a Session,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.create(ticket, session, now)
    }

    fn load<'a>(
        &'a self,
        ticket: &'a Ticket,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<LiveSession>, StoreError>> {
        let key = session_key(ticket);
        let event = match self.held.look(&key) {
            Found::Sure(live) if self.was_seen_lately(&live, now) => {
                self.held.count(ports::Near::Hit);
                return Box::pin(std::future::ready(Ok(Some(live))));
            }
            Found::Sure(_) | Found::Doubtful => ports::Near::Doubtful,
            Found::Nothing => ports::Near::Miss,
        };
        Box::pin(async move {
            self.held.count(event);
            match self.read(&key, ticket, now).await {
                Err(StoreError::Unavailable(why)) => match self.fall_back(&key, now) {
                    Some(kept) => {
                        self.held.count(ports::Near::FellBack);
                        Ok(Some(kept))
                    }
                    None => Err(StoreError::Unavailable(why)),
                },
                answer => answer,
            }
        })
    }

    fn reload<'a>(
        &'a self,
        ticket: &'a Ticket,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<LiveSession>, StoreError>> {
        let key = session_key(ticket);
        Box::pin(async move { self.read(&key, ticket, now).await })
    }

    fn update<'a>(
        &'a self,
        ticket: &'a Ticket,
        session: &'a Session,
        expected: u64,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        self.changing(session_key(ticket), self.store.update(ticket, session, expected, now))
    }

    fn restore<'a>(
        &'a self,
        ticket: &'a Ticket,
        later: &'a LiveSession,
        found: u64,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        self.changing(later.key, self.store.restore(ticket, later, found, now))
    }

    fn touch<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.store.touch(key, now, keep).await?;
            // Only now: a use that the store does not know has to be noted again.
            self.held.seen(key, now);
            Ok(())
        })
    }

    fn remove<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.changing(*key, self.store.remove(key))
    }

    fn of_subject<'a>(
        &'a self,
        issuer: &'a Issuer,
        subject: &'a Subject,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<SessionKey>, StoreError>> {
        self.store.of_subject(issuer, subject, now)
    }

    fn of_provider_sid<'a>(
        &'a self,
        issuer: &'a Issuer,
        provider_sid: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<SessionKey>, StoreError>> {
        self.store.of_provider_sid(issuer, provider_sid, now)
    }

    fn take_once<'a>(
        &'a self,
        login: LoginId,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.store.take_once(login, now, keep)
    }

    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.store.lease(key, holder, now, keep)
    }

    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.release(key, holder)
    }

    fn glance<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Listed>, StoreError>> {
        self.store.glance(key, now)
    }

    fn mark<'a>(
        &'a self,
        mark: Mark<'a>,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.mark(mark, now, keep)
    }

    fn marked<'a>(
        &'a self,
        marks: &'a [Mark<'a>],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, StoreError>> {
        self.store.marked(marks, now)
    }

    fn list<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Listing, StoreError>> {
        self.store.list(cursor, limit, now)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.ping()
    }

    fn feed(&self) -> FeedState {
        self.held.state()
    }
}
