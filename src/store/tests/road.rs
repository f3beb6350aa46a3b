//! The way of one replica to the shelf, on which commands can be lost and be late.
//!
//! I own: [`Road`], and which [`Fault`] befalls which [`Command`]. I may call: everything in this room. I never change what
//! a command does: it is carried out as it is in memory, and whoever listens is told.

use super::{News, Shelf, lock};
use crate::domain::login::LoginId;
use crate::domain::renewal::LeaseId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::{Answer, Cursor, StoreError, Updated};
use crate::store::census::Entries;
use crate::store::shelf::{EndingShelf, Notes, RemovedAt};
use crate::store::transfer::{Haul, Load, Parcel, Placed};
use crate::store::{Backend, Found, IndexName, Page, Row};
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// A command to the store, as far as faults tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Read,
    Create,
    Update,
    Remove,
    Touch,
    /// Leases, marks, indexes, listings.
    Other,
}

/// What befalls one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never arrives.
    RequestLost,
    /// It is carried out, and its answer never arrives.
    AnswerLost,
    /// It arrives when [`Replica::let_go`] says so.
    RequestLate,
    /// It is carried out, and its answer arrives when [`Replica::let_go`] says so.
    AnswerLate,
}

/// The way of one replica to the store.
pub(super) struct Road {
    shelf: Arc<Shelf>,
    pub(super) blocked: AtomicBool,
    pub(super) faults: Mutex<Vec<(Command, Fault)>>,
    pub(super) late: Mutex<VecDeque<oneshot::Sender<()>>>,
    pub(super) errors: AtomicUsize,
}

impl Road {
    pub(super) fn to(shelf: &Arc<Shelf>) -> Arc<Self> {
        Arc::new(Self {
            shelf: Arc::clone(shelf),
            blocked: AtomicBool::new(false),
            faults: Mutex::default(),
            late: Mutex::default(),
            errors: AtomicUsize::new(0),
        })
    }

    async fn go<'a, T: Send>(
        &'a self,
        command: Command,
        act: impl FnOnce() -> Answer<'a, T> + Send + 'a,
    ) -> Result<T, StoreError> {
        let fault = self.next(command);
        if fault == Some(Fault::RequestLate) {
            self.wait().await;
        }
        if fault == Some(Fault::RequestLost) || self.blocked.load(Ordering::SeqCst) {
            return Err(self.error());
        }
        let answer = act().await;
        if fault == Some(Fault::AnswerLate) {
            self.wait().await;
        }
        if fault == Some(Fault::AnswerLost) { Err(self.error()) } else { answer }
    }

    fn next(&self, command: Command) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let at = faults.iter().position(|(about, _)| *about == command)?;
        Some(faults.remove(at).1)
    }

    async fn wait(&self) {
        let (sender, receiver) = oneshot::channel();
        lock(&self.late).push_back(sender);
        let _ = receiver.await;
    }

    fn error(&self) -> StoreError {
        self.errors.fetch_add(1, Ordering::SeqCst);
        StoreError::Unavailable("the road is blocked".into())
    }
}

impl Backend for Road {
    fn insert<'a>(&'a self, key: &'a SessionKey, row: &'a Row, now: Timestamp) -> Answer<'a, bool> {
        let act = move || -> BoxFuture<'a, _> {
            Box::pin(async move {
                let made = self.shelf.memory.insert(key, row, now).await?;
                if made {
                    self.shelf.tell(&News::Written(*key));
                }
                Ok(made)
            })
        };
        Box::pin(self.go(Command::Create, act))
    }

    fn fetch<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> Answer<'a, Option<Found>> {
        Box::pin(self.go(Command::Read, move || self.shelf.memory.fetch(key, now)))
    }

    fn replace<'a>(
        &'a self,
        key: &'a SessionKey,
        row: &'a Row,
        expected: u64,
        now: Timestamp,
    ) -> Answer<'a, Updated> {
        let act = move || -> BoxFuture<'a, _> {
            Box::pin(async move {
                let updated = self.shelf.memory.replace(key, row, expected, now).await?;
                if matches!(updated, Updated::Done(_)) {
                    self.shelf.tell(&News::Written(*key));
                }
                Ok(updated)
            })
        };
        Box::pin(self.go(Command::Update, act))
    }

    fn delete<'a>(&'a self, key: &'a SessionKey) -> Answer<'a, bool> {
        let act = move || -> BoxFuture<'a, _> {
            Box::pin(async move {
                let was_there = self.shelf.memory.delete(key).await?;
                if was_there {
                    self.shelf.tell(&News::Removed(*key));
                    self.shelf.tell(&News::Ended(*key));
                }
                Ok(was_there)
            })
        };
        Box::pin(self.go(Command::Remove, act))
    }

    fn seen<'a>(&'a self, key: &'a SessionKey, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        Box::pin(self.go(Command::Touch, move || self.shelf.memory.seen(key, now, keep)))
    }

    fn members<'a>(&'a self, names: &'a [IndexName], now: Timestamp) -> Answer<'a, Vec<SessionKey>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.members(names, now)))
    }

    fn mark<'a>(&'a self, name: &'a IndexName, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.mark(name, now, keep)))
    }

    fn marked<'a>(&'a self, names: &'a [IndexName], now: Timestamp) -> Answer<'a, Option<Timestamp>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.marked(names, now)))
    }

    fn take_once(&self, login: LoginId, now: Timestamp, keep: Duration) -> Answer<'_, bool> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.take_once(login, now, keep)))
    }

    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> Answer<'a, bool> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.lease(key, holder, now, keep)))
    }

    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> Answer<'a, ()> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.release(key, holder)))
    }

    fn page<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Page> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.page(cursor, limit, now)))
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.ping()))
    }
}

impl Entries for Road {
    fn entries<'a>(&'a self, keys: &'a [SessionKey]) -> Answer<'a, Vec<Vec<IndexName>>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.entries(keys)))
    }
}

impl EndingShelf for Road {
    fn owe<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> Answer<'a, ()> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.owe(debt, due)))
    }

    fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.claim(now, until, most)))
    }

    fn settle<'a>(&'a self, debt: &'a [u8]) -> Answer<'a, ()> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.settle(debt)))
    }

    fn defer<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> Answer<'a, ()> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.defer(debt, due)))
    }

    fn debts(&self) -> Answer<'_, usize> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.debts()))
    }

    fn delete_at<'a>(&'a self, key: &'a SessionKey, version: u64) -> Answer<'a, RemovedAt> {
        let act = move || -> BoxFuture<'a, _> {
            Box::pin(async move {
                let removed = self.shelf.memory.delete_at(key, version).await?;
                if removed == RemovedAt::Done {
                    self.shelf.tell(&News::Removed(*key));
                    self.shelf.tell(&News::Ended(*key));
                }
                Ok(removed)
            })
        };
        Box::pin(self.go(Command::Remove, act))
    }

    fn clear(&self, now: Timestamp, keep: Duration) -> Answer<'_, ()> {
        let act = move || -> BoxFuture<'_, _> {
            Box::pin(async move {
                self.shelf.memory.clear(now, keep).await?;
                self.shelf.tell(&News::Cleared);
                Ok(())
            })
        };
        Box::pin(self.go(Command::Other, act))
    }

    fn cleared(&self, now: Timestamp) -> Answer<'_, Notes> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.cleared(now)))
    }
}

impl Haul for Road {
    fn load<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Load> {
        Box::pin(self.go(Command::Other, move || self.shelf.memory.load(cursor, limit, now)))
    }

    fn place<'a>(&'a self, parcel: &'a Parcel, now: Timestamp) -> Answer<'a, Placed> {
        let act = move || -> BoxFuture<'a, _> {
            Box::pin(async move {
                let placed = self.shelf.memory.place(parcel, now).await?;
                if placed != Placed::There {
                    self.shelf.tell(&News::Written(parcel.key));
                }
                Ok(placed)
            })
        };
        Box::pin(self.go(Command::Create, act))
    }
}
