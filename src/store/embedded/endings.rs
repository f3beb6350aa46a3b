//! Debts and the moment for everybody, in the file.
//!
//! I own: what [`Embedded`] does of that. I may call: `domain`, `ports`, `tables`, `writer`, the room's own types. I never
//! give a debt to two: the file is this process's alone, and within it one task asks.

use super::writer::Write;
use super::{Embedded, tables};
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::{Answer, Updated};
use crate::store::shelf::{EndingShelf, Notes, RemovedAt};
use crate::store::{Backend as _, IndexName};
use futures_util::future::FutureExt;
use std::time::Duration;

/// The name of the moment for everybody; no HMAC is ever this.
const ALL: IndexName = [0; 32];

impl EndingShelf for Embedded {
    fn owe<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> Answer<'a, ()> {
        let write = Write::Owe(debt.to_vec(), due);
        async move { self.write(write).await.map(drop) }.boxed()
    }

    fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Answer<'_, Vec<Vec<u8>>> {
        async move {
            let due = self.read(move |database| tables::due_debts(database, now, most)).await?;
            if !due.is_empty() {
                self.write(Write::Defer(due.clone(), until)).await?;
            }
            Ok(due)
        }
        .boxed()
    }

    fn settle<'a>(&'a self, debt: &'a [u8]) -> Answer<'a, ()> {
        let write = Write::Settle(debt.to_vec());
        async move { self.write(write).await.map(drop) }.boxed()
    }

    fn defer<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> Answer<'a, ()> {
        let write = Write::Defer(vec![debt.to_vec()], due);
        async move { self.write(write).await.map(drop) }.boxed()
    }

    fn debts(&self) -> Answer<'_, usize> {
        self.read(tables::count_debts).boxed()
    }

    fn delete_at<'a>(&'a self, key: &'a SessionKey, version: u64) -> Answer<'a, RemovedAt> {
        let write = Write::DeleteAt(*key, version);
        async move {
            Ok(match self.write(write).await? {
                Updated::Done(_) => RemovedAt::Done,
                Updated::Conflict => RemovedAt::Other,
                Updated::Gone => RemovedAt::Gone,
            })
        }
        .boxed()
    }

    fn clear(&self, now: Timestamp, keep: Duration) -> Answer<'_, ()> {
        self.mark(&ALL, now, keep)
    }

    fn cleared(&self, now: Timestamp) -> Answer<'_, Notes> {
        async move { Ok(Notes::one(self.marked(&[ALL], now).await?.unwrap_or(Timestamp::NEVER))) }.boxed()
    }
}
