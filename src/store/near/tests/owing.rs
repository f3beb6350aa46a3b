//! An ending whose removal goes past the near cache: what it owes, and that memory learns of it whatever happens to
//! whoever asked.

use super::Stage;
use super::*;
use crate::config::{KeySource, StoreSettings};
use crate::domain::ending::Ending;
use crate::domain::session::tests::session;
use crate::gateway::operating::Selection;
use crate::keyring::new_ticket;
use crate::ports::{Debt, Outbox, Owed, Standing, Taken};
use crate::store::contract::house::{NOW, keys};
use crate::store::redis::tests::crash::gateway;
use crate::store::{Opened, open};
use futures_util::FutureExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// An outbox with one fault.
struct Faulty {
    outbox: Arc<dyn Outbox>,
    fault: Fault,
    happened: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The first look is not answered.
    SlowLook,
    /// Somebody else removes the record first, and notes nothing.
    OtherFaster,
    /// The record goes, and the answer never comes.
    LostAnswer,
}

impl Outbox for Faulty {
    fn look<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Standing>, StoreError>> {
        if self.fault == Fault::SlowLook && !self.happened.swap(true, Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(StoreError::Unavailable("slow".into()))));
        }
        self.outbox.look(key, now)
    }

    fn note<'a>(
        &'a self,
        key: &'a SessionKey,
        owed: &'a Owed,
        due: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<u8>, StoreError>> {
        self.outbox.note(key, owed, due, now)
    }

    fn remove_at<'a>(
        &'a self,
        key: &'a SessionKey,
        version: u64,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<bool>, StoreError>> {
        Box::pin(async move {
            match self.fault {
                Fault::SlowLook => {}
                Fault::OtherFaster => assert!(self.outbox.remove_at(key, version, now).await?.unwrap()),
                Fault::LostAnswer => {
                    assert!(self.outbox.remove_at(key, version, now).await?.unwrap());
                    std::future::pending::<()>().await;
                }
            }
            self.outbox.remove_at(key, version, now).await
        })
    }

    fn take(&self, now: Timestamp, lease: Duration, most: usize) -> BoxFuture<'_, Result<Taken, StoreError>> {
        self.outbox.take(now, lease, most)
    }

    fn is_needless<'a>(&'a self, debt: &'a Debt, now: Timestamp) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.outbox.is_needless(debt, now)
    }

    fn settle<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.outbox.settle(name)
    }

    fn defer<'a>(&'a self, debt: &'a Debt, until: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        self.outbox.defer(debt, until)
    }

    fn count(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.outbox.count()
    }
}

/// A store of one's own with its near cache, and an outbox with this fault.
async fn opened(fault: Fault) -> Opened {
    let opened = open(&StoreSettings::Memory, KeySource::Given(keys(&[1])), true).await.unwrap();
    let store = Near::alone(opened.store, Arc::new(Stage::default()).parts(Duration::ZERO), &opened.aside);
    let outbox = Faulty { outbox: opened.outbox, fault, happened: AtomicBool::new(false) };
    Opened { store: Arc::new(store), outbox: Arc::new(outbox), ..opened }
}

#[tokio::test]
async fn r56_neither_a_slow_read_nor_a_faster_other_costs_the_debt() {
    for fault in [Fault::SlowLook, Fault::OtherFaster] {
        let gateway = gateway(opened(fault).await);
        let session = session();
        gateway.store.create(&new_ticket().unwrap(), &session, NOW).await.unwrap();
        let identity = &session.identity;
        let person = Selection::Person(identity.issuer.as_str(), identity.subject.as_str());
        let ended = gateway.end_sessions(person, gateway.clock.now()).await.unwrap();
        assert_eq!(ended, usize::from(fault == Fault::SlowLook));
        assert_eq!(gateway.endings.outbox.count().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn r56_memory_learns_of_an_ending_that_nobody_waited_for() {
    let gateway = gateway(opened(Fault::LostAnswer).await);
    let (ticket, session) = (new_ticket().unwrap(), session());
    gateway.store.create(&ticket, &session, NOW).await.unwrap();
    assert!(gateway.store.load(&ticket, NOW).await.unwrap().is_some());
    assert!(gateway.end(&ticket, &session, Ending::ByUser).now_or_never().is_none(), "it waits");
    let gone = async {
        while gateway.store.load(&ticket, NOW).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it is still in memory");
}
