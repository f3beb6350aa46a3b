//! Any store, with every command entered into the ledger.
//!
//! I own: [`Measured`], a decorator. I may call: `domain`, `ports`. I never change an answer, and never enter anything
//! but the command's name, its time, and whether there was an answer.

use crate::domain::identity::{Issuer, Subject};
use crate::domain::login::LoginId;
use crate::domain::logout::Mark;
use crate::domain::renewal::LeaseId;
use crate::domain::session::{LiveSession, Session, SessionKey, Ticket};
use crate::domain::time::Timestamp;
use crate::ports::{Cursor, Entry, FeedState, Ledger, Listed, Listing, SessionStore, StoreError, Updated};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A store and the ledger that its commands are entered into.
pub struct Measured {
    store: Arc<dyn SessionStore>,
    ledger: Arc<dyn Ledger>,
}

impl Measured {
    /// Around `store`.
    pub fn new(store: Arc<dyn SessionStore>, ledger: Arc<dyn Ledger>) -> Self {
        Self { store, ledger }
    }

    fn timed<'a, T: 'a>(
        &'a self,
        command: &'static str,
        call: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move {
            let began = Instant::now();
            let answer = call.await;
            self.ledger.enter(Entry::Store { command, took: began.elapsed(), answered: answer.is_ok() });
            answer
        })
    }
}

impl SessionStore for Measured {
    fn create<'a>(
        &'a self,
        ticket: &'a Ticket,
        session: &'a Session,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.timed("create", self.store.create(ticket, session, now))
    }

    fn load<'a>(
        &'a self,
        ticket: &'a Ticket,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<LiveSession>, StoreError>> {
        self.timed("load", self.store.load(ticket, now))
    }

    fn update<'a>(
        &'a self,
        ticket: &'a Ticket,
        session: &'a Session,
        expected: u64,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        self.timed("update", self.store.update(ticket, session, expected, now))
    }

    fn restore<'a>(
        &'a self,
        ticket: &'a Ticket,
        later: &'a LiveSession,
        found: u64,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        self.timed("restore", self.store.restore(ticket, later, found, now))
    }

    fn touch<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.timed("touch", self.store.touch(key, now, keep))
    }

    fn remove<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.timed("remove", self.store.remove(key))
    }

    fn of_subject<'a>(
        &'a self,
        issuer: &'a Issuer,
        subject: &'a Subject,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<SessionKey>, StoreError>> {
        self.timed("of_subject", self.store.of_subject(issuer, subject, now))
    }

    fn of_provider_sid<'a>(
        &'a self,
        issuer: &'a Issuer,
        provider_sid: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<SessionKey>, StoreError>> {
        self.timed("of_provider_sid", self.store.of_provider_sid(issuer, provider_sid, now))
    }

    fn take_once<'a>(
        &'a self,
        login: LoginId,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.timed("take_once", self.store.take_once(login, now, keep))
    }

    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.timed("lease", self.store.lease(key, holder, now, keep))
    }

    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.timed("release", self.store.release(key, holder))
    }

    fn glance<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Listed>, StoreError>> {
        self.timed("glance", self.store.glance(key, now))
    }

    fn mark<'a>(
        &'a self,
        mark: Mark<'a>,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.timed("mark", self.store.mark(mark, now, keep))
    }

    fn marked<'a>(
        &'a self,
        marks: &'a [Mark<'a>],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, StoreError>> {
        self.timed("marked", self.store.marked(marks, now))
    }

    fn list<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Listing, StoreError>> {
        self.timed("list", self.store.list(cursor, limit, now))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.timed("ping", self.store.ping())
    }

    fn feed(&self) -> FeedState {
        self.store.feed()
    }
}
