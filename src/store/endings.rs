//! Endings that outlive an outage: any store, in front of a memory of what has ended.
//!
//! I own: [`Endings`], a decorator, which stands outermost: what is remembered here is refused whatever memory or store
//! would answer. I may call: `domain`, `ports`, `keyring`, the room's own types. I never bring a session back, never
//! remember what did not come about, and never call an ending done that neither the store nor I have taken.
//!
//! - **The store does not answer**: an ending is in force in this process at once, and is owed. `writer` brings it to the
//!   store when that is back. If this process is killed before, it is lost: the record lives on until its limits.
//! - **The store has taken it**: it is remembered for ten minutes all the same, refused here, and written once more
//!   whenever the store may be another one than before. A failover can forget what a master has acknowledged.
//! - **There is no room**: of what the store has taken the oldest is forgotten. What is owed is not; where there is
//!   nothing else left, an ending that the store does not take is an error, as it would be without me.
//!
//! An ending by mark refuses here all sessions that are meant and not younger. In the store it keeps out logins; its
//! sessions there are ended by whoever has made the mark.

pub use self::memory::{MOST_ENDINGS, Memory};

use self::list::{Ask, Noted, Over, OwnMark};
use crate::domain::identity::{Issuer, Subject};
use crate::domain::login::LoginId;
use crate::domain::logout::Mark;
use crate::domain::renewal::LeaseId;
use crate::domain::session::{LiveSession, Session, SessionKey, Ticket};
use crate::domain::time::Timestamp;
use crate::keyring::session_key;
use crate::ports::{
    Answer, Cursor, FeedState, Listed, Listing, News as _, SessionStore, StoreError, Updated,
};
use futures_util::future::ready;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

mod list;
mod memory;
#[cfg(test)]
mod tests;
mod writer;

/// A store, and what this process remembers of endings.
pub struct Endings {
    store: Arc<dyn SessionStore>,
    memory: Arc<Memory>,
    writer: AbortHandle,
}

impl Endings {
    /// Around `store`. Must be called on the runtime that the store was opened on: what is owed is written there.
    pub fn around(store: Arc<dyn SessionStore>, memory: Arc<Memory>) -> Self {
        let task = tokio::spawn(writer::run(Arc::clone(&store), Arc::clone(&memory)));
        Self { store, memory, writer: task.abort_handle() }
    }

    /// Tries once more to write what is owed, for two seconds at most; what is left is lost, and said so.
    pub async fn settle(&self) {
        writer::settle(self.store.as_ref(), &self.memory).await;
    }

    /// What the store answered, unless it is over by what is remembered here.
    fn judged(
        &self,
        key: impl FnOnce() -> SessionKey,
        answer: Result<Option<LiveSession>, StoreError>,
    ) -> Result<Option<LiveSession>, StoreError> {
        match &answer {
            Err(StoreError::Unavailable(_)) => self.memory.failed(),
            // While the feed is down it may be memory that answered.
            _ if self.memory.has_failed() && !matches!(self.store.feed(), FeedState::Down(_)) => {
                self.memory.answered();
            }
            _ => {}
        }
        match answer {
            Ok(Some(live)) if self.memory.refuses(&live) => Ok(None),
            Err(_) if self.memory.has(&key()) => Ok(None),
            answer => answer,
        }
    }

    /// Passes on what the store answered.
    fn heard<'a, T: Send + 'a>(&'a self, call: Answer<'a, T>) -> Answer<'a, T> {
        Box::pin(async move {
            let answer = call.await;
            self.take_note(&answer);
            answer
        })
    }

    /// Whether the store answered.
    fn take_note<T>(&self, answer: &Result<T, StoreError>) {
        match answer {
            Err(StoreError::Unavailable(_)) => self.memory.failed(),
            Ok(_) | Err(StoreError::Unreadable(_)) => self.memory.answered(),
        }
    }

    fn without_ended(&self, keys: Vec<SessionKey>) -> Vec<SessionKey> {
        keys.into_iter().filter(|key| !self.memory.has(key)).collect()
    }
}

impl Drop for Endings {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// An ending that the store is being asked to take. If nobody waits for the answer it is owed.
struct Asked<'m> {
    memory: &'m Memory,
    ask: Option<Ask>,
}

impl Asked<'_> {
    fn settle(mut self) {
        if let Some(ask) = self.ask.take() {
            self.memory.settle(ask);
        }
    }

    fn withdraw(mut self) {
        if let Some(ask) = self.ask.take() {
            self.memory.withdraw(ask.number);
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(ask) = self.ask {
            self.memory.owe(ask.number);
        }
    }
}

impl SessionStore for Endings {
    fn create<'a>(&'a self, ticket: &'a Ticket, session: &'a Session, now: Timestamp) -> Answer<'a, ()> {
        self.heard(self.store.create(ticket, session, now))
    }

    fn load<'a>(&'a self, ticket: &'a Ticket, now: Timestamp) -> Answer<'a, Option<LiveSession>> {
        let call = self.store.load(ticket, now);
        Box::pin(async move { self.judged(|| session_key(ticket), call.await) })
    }

    fn reload<'a>(&'a self, ticket: &'a Ticket, now: Timestamp) -> Answer<'a, Option<LiveSession>> {
        let call = self.store.reload(ticket, now);
        Box::pin(async move { self.judged(|| session_key(ticket), call.await) })
    }

    fn update<'a>(
        &'a self,
        ticket: &'a Ticket,
        session: &'a Session,
        expected: u64,
        now: Timestamp,
    ) -> Answer<'a, Updated> {
        if self.memory.has(&session_key(ticket)) {
            return Box::pin(ready(Ok(Updated::Gone)));
        }
        self.heard(self.store.update(ticket, session, expected, now))
    }

    fn restore<'a>(
        &'a self,
        ticket: &'a Ticket,
        later: &'a LiveSession,
        found: u64,
        now: Timestamp,
    ) -> Answer<'a, Updated> {
        if self.memory.has(&later.key) {
            return Box::pin(ready(Ok(Updated::Gone)));
        }
        self.heard(self.store.restore(ticket, later, found, now))
    }

    fn touch<'a>(&'a self, key: &'a SessionKey, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        self.heard(self.store.touch(key, now, keep))
    }

    /// Where the store does not take it, this process has: then it counts as having been there.
    fn remove<'a>(&'a self, key: &'a SessionKey) -> Answer<'a, bool> {
        Box::pin(async move {
            let asked = match self.memory.note(Over::Session(*key)) {
                Noted::Here(ask) => Asked { memory: &self.memory, ask: Some(ask) },
                Noted::Owed => return Ok(false),
                Noted::Full => Asked { memory: &self.memory, ask: None },
            };
            let is_noted = asked.ask.is_some();
            let answer = self.store.remove(key).await;
            self.take_note(&answer);
            match answer {
                Ok(was_there) => {
                    asked.settle();
                    Ok(was_there)
                }
                Err(StoreError::Unavailable(why)) if is_noted => {
                    tracing::warn!(
                        cause = why,
                        "an ending is in force here, and written when the store is back"
                    );
                    Ok(true)
                }
                Err(error) => {
                    asked.withdraw();
                    Err(error)
                }
            }
        })
    }

    fn of_subject<'a>(
        &'a self,
        issuer: &'a Issuer,
        subject: &'a Subject,
        now: Timestamp,
    ) -> Answer<'a, Vec<SessionKey>> {
        let call = self.heard(self.store.of_subject(issuer, subject, now));
        Box::pin(async move { Ok(self.without_ended(call.await?)) })
    }

    fn of_provider_sid<'a>(
        &'a self,
        issuer: &'a Issuer,
        provider_sid: &'a str,
        now: Timestamp,
    ) -> Answer<'a, Vec<SessionKey>> {
        let call = self.heard(self.store.of_provider_sid(issuer, provider_sid, now));
        Box::pin(async move { Ok(self.without_ended(call.await?)) })
    }

    fn take_once<'a>(&'a self, login: LoginId, now: Timestamp, keep: Duration) -> Answer<'a, bool> {
        self.heard(self.store.take_once(login, now, keep))
    }

    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> Answer<'a, bool> {
        self.heard(self.store.lease(key, holder, now, keep))
    }

    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> Answer<'a, ()> {
        self.heard(self.store.release(key, holder))
    }

    fn glance<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> Answer<'a, Option<Listed>> {
        if self.memory.has(key) {
            return Box::pin(ready(Ok(None)));
        }
        self.heard(self.store.glance(key, now))
    }

    /// A mark that ends sessions is in force here at once, and owed where the store does not take it.
    fn mark<'a>(&'a self, mark: Mark<'a>, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        let Some(own) = OwnMark::of(mark) else { return self.heard(self.store.mark(mark, now, keep)) };
        Box::pin(async move {
            let ask = match self.memory.note(Over::Marked(own, now, keep)) {
                Noted::Here(ask) => Some(ask),
                Noted::Owed | Noted::Full => None,
            };
            let asked = Asked { memory: &self.memory, ask };
            let answer = self.store.mark(mark, now, keep).await;
            self.take_note(&answer);
            match answer {
                Ok(()) => {
                    asked.settle();
                    Ok(())
                }
                Err(StoreError::Unavailable(_)) if ask.is_some() => {
                    // Nobody knows by name who is meant: whoever is open here looks.
                    self.memory.anything_changed();
                    Ok(())
                }
                Err(error) => {
                    asked.withdraw();
                    Err(error)
                }
            }
        })
    }

    fn marked<'a>(&'a self, marks: &'a [Mark<'a>], now: Timestamp) -> Answer<'a, Option<Timestamp>> {
        let call = self.heard(self.store.marked(marks, now));
        Box::pin(async move { Ok(call.await?.max(self.memory.latest(marks, now))) })
    }

    fn list<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Listing> {
        let call = self.heard(self.store.list(cursor, limit, now));
        Box::pin(async move {
            let mut page = call.await?;
            page.entries.retain(|listed| !self.memory.has(&listed.key));
            Ok(page)
        })
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.heard(self.store.ping())
    }

    fn owed(&self) -> usize {
        self.memory.count_owed()
    }

    fn feed(&self) -> FeedState {
        self.store.feed()
    }
}
