//! A store around another one that passes every command on, and does something of its own about each.
//!
//! I own: [`Around`], for stores that treat commands by their kind, and the one list of what is passed on: a command that is
//! new in the port is passed on by all of them. I may call: `domain`, `ports`. I never answer anything myself. A store that
//! answers some commands otherwise than by asking (`near`, `endings`) has a list of its own.

use crate::domain::identity::{Issuer, Subject};
use crate::domain::login::LoginId;
use crate::domain::logout::Mark;
use crate::domain::renewal::LeaseId;
use crate::domain::session::{LiveSession, Session, SessionKey, Ticket};
use crate::domain::time::Timestamp;
use crate::ports::{Answer, Cursor, FeedState, Listed, Listing, SessionStore, Updated};
use std::time::Duration;

/// A method of `SessionStore` that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Command {
    Create,
    Load,
    Reload,
    Update,
    Restore,
    Touch,
    Remove,
    OfSubject,
    OfProviderSid,
    TakeOnce,
    Lease,
    Release,
    Glance,
    Mark,
    Marked,
    List,
    Ping,
}

/// A store with another one inside.
pub(in crate::store) trait Around: Send + Sync {
    /// The store inside.
    fn inside(&self) -> &dyn SessionStore;

    /// Puts a command to it by `ask`, or answers in its place.
    fn pass<'a, T: Send + 'a>(
        &'a self,
        command: Command,
        ask: impl FnOnce(&'a dyn SessionStore) -> Answer<'a, T>,
    ) -> Answer<'a, T>;
}

impl<A: Around> SessionStore for A {
    fn create<'a>(&'a self, ticket: &'a Ticket, session: &'a Session, now: Timestamp) -> Answer<'a, ()> {
        self.pass(Command::Create, move |store| store.create(ticket, session, now))
    }

    fn load<'a>(&'a self, ticket: &'a Ticket, now: Timestamp) -> Answer<'a, Option<LiveSession>> {
        self.pass(Command::Load, move |store| store.load(ticket, now))
    }

    fn reload<'a>(&'a self, ticket: &'a Ticket, now: Timestamp) -> Answer<'a, Option<LiveSession>> {
        self.pass(Command::Reload, move |store| store.reload(ticket, now))
    }

    fn update<'a>(
        &'a self,
        ticket: &'a Ticket,
        session: &'a Session,
        expected: u64,
        now: Timestamp,
    ) -> Answer<'a, Updated> {
        self.pass(Command::Update, move |store| store.update(ticket, session, expected, now))
    }

    fn restore<'a>(
        &'a self,
        ticket: &'a Ticket,
        later: &'a LiveSession,
        found: u64,
        now: Timestamp,
    ) -> Answer<'a, Updated> {
        self.pass(Command::Restore, move |store| store.restore(ticket, later, found, now))
    }

    fn touch<'a>(&'a self, key: &'a SessionKey, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        self.pass(Command::Touch, move |store| store.touch(key, now, keep))
    }

    fn remove<'a>(&'a self, key: &'a SessionKey) -> Answer<'a, bool> {
        self.pass(Command::Remove, move |store| store.remove(key))
    }

    fn of_subject<'a>(
        &'a self,
        issuer: &'a Issuer,
        subject: &'a Subject,
        now: Timestamp,
    ) -> Answer<'a, Vec<SessionKey>> {
        self.pass(Command::OfSubject, move |store| store.of_subject(issuer, subject, now))
    }

    fn of_provider_sid<'a>(
        &'a self,
        issuer: &'a Issuer,
        provider_sid: &'a str,
        now: Timestamp,
    ) -> Answer<'a, Vec<SessionKey>> {
        self.pass(Command::OfProviderSid, move |store| store.of_provider_sid(issuer, provider_sid, now))
    }

    fn take_once<'a>(&'a self, login: LoginId, now: Timestamp, keep: Duration) -> Answer<'a, bool> {
        self.pass(Command::TakeOnce, move |store| store.take_once(login, now, keep))
    }

    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> Answer<'a, bool> {
        self.pass(Command::Lease, move |store| store.lease(key, holder, now, keep))
    }

    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> Answer<'a, ()> {
        self.pass(Command::Release, move |store| store.release(key, holder))
    }

    fn glance<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> Answer<'a, Option<Listed>> {
        self.pass(Command::Glance, move |store| store.glance(key, now))
    }

    fn mark<'a>(&'a self, mark: Mark<'a>, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        self.pass(Command::Mark, move |store| store.mark(mark, now, keep))
    }

    fn marked<'a>(&'a self, marks: &'a [Mark<'a>], now: Timestamp) -> Answer<'a, Option<Timestamp>> {
        self.pass(Command::Marked, move |store| store.marked(marks, now))
    }

    fn list<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Listing> {
        self.pass(Command::List, move |store| store.list(cursor, limit, now))
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.pass(Command::Ping, |store| store.ping())
    }

    fn owed(&self) -> usize {
        self.inside().owed()
    }

    fn feed(&self) -> FeedState {
        self.inside().feed()
    }
}
