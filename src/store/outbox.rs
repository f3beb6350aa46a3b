//! The port for debts: seals what goes onto a shelf and opens what comes off it.
//!
//! I own: [`Debts`]. I may call: `domain`, `ports`, `keyring`, the room's own types. I never keep a debt that nobody can
//! open, and never let one be read that was moved to another session or moment.
//!
//! A debt is sealed under the server's keys alone: it has to be carried out by a process that has no ticket. It holds
//! nothing that the operator part of its record did not hold, for as long as the revocation takes.

use super::shelf::{EndingShelf, RemovedAt, name_of, parts_of};
use super::{Backend, record, sealed};
use crate::domain::identity::ProviderId;
use crate::domain::secret::RefreshToken;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::{KeyRing, NoRandomness, Purpose};
use crate::ports::{Debt, Outbox, Owed, Standing, StoreError, Taken};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The type that is sealed into every debt, beside the types of a record's parts.
const DEBT: u8 = 3;

/// Between the provider's id, which has no such byte, and the token.
const BETWEEN: u8 = 0;

/// Debts, sealed, over any backend.
pub(super) struct Debts {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) shelf: Arc<dyn EndingShelf>,
    pub(super) keys: Arc<KeyRing>,
}

impl Debts {
    fn open(&self, name: Vec<u8>) -> Option<Debt> {
        let (session, noted, sealed) = parts_of(&name)?;
        let context = context(&session, noted);
        let opened = self.keys.open(Purpose::Debt, session.as_bytes(), &context, sealed).ok()?.1;
        let (provider, token) = read(&opened)?;
        Some(Debt { session, provider, token, noted, name })
    }
}

fn context(session: &SessionKey, noted: Timestamp) -> Vec<u8> {
    [&[DEBT], session.as_bytes().as_slice(), &noted.unix_millis().to_be_bytes()].concat()
}

fn write(owed: &Owed) -> Zeroizing<Vec<u8>> {
    let token = owed.token.expose().as_bytes();
    Zeroizing::new([owed.provider.as_str().as_bytes(), &[BETWEEN], token].concat())
}

fn read(plain: &[u8]) -> Option<(ProviderId, RefreshToken)> {
    let (provider, token) = std::str::from_utf8(plain).ok()?.split_once(char::from(BETWEEN))?;
    Some((ProviderId::parse(provider)?, RefreshToken::new(token)))
}

impl Outbox for Debts {
    fn look<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Standing>, StoreError>> {
        Box::pin(async move {
            match self.backend.fetch(key, now).await {
                Ok(None) => Ok(None),
                Ok(Some(found)) => {
                    let opened = sealed::open_operator(&self.keys, key, found.version, &found.operator);
                    let owed = opened.and_then(|plain| record::decode_owed(&plain).ok().flatten());
                    Ok(Some(Standing { version: found.version, owed }))
                }
                // What nobody can read owes nothing that anybody could tell.
                Err(StoreError::Unreadable(_)) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn note<'a>(
        &'a self,
        key: &'a SessionKey,
        owed: &'a Owed,
        due: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let context = context(key, now);
            let sealed = self.keys.seal(Purpose::Debt, key.as_bytes(), &context, &write(owed));
            let sealed = sealed.map_err(|error: NoRandomness| StoreError::Unavailable(error.to_string()))?;
            self.shelf.owe(&name_of(key, now, &sealed), due).await
        })
    }

    fn remove_at<'a>(
        &'a self,
        key: &'a SessionKey,
        version: u64,
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<bool>, StoreError>> {
        Box::pin(async move {
            Ok(match self.shelf.delete_at(key, version).await? {
                RemovedAt::Done => Some(true),
                RemovedAt::Gone => Some(false),
                RemovedAt::Other => None,
            })
        })
    }

    fn take(&self, now: Timestamp, lease: Duration, most: usize) -> BoxFuture<'_, Result<Taken, StoreError>> {
        Box::pin(async move {
            let mut taken = Taken::default();
            for name in self.shelf.claim(now, now.plus(lease), most).await? {
                match self.open(name.clone()) {
                    Some(debt) => taken.debts.push(debt),
                    None => {
                        taken.unreadable += 1;
                        self.shelf.settle(&name).await?;
                    }
                }
            }
            Ok(taken)
        })
    }

    fn is_over<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            match self.backend.fetch(key, now).await {
                Ok(found) => Ok(found.is_none()),
                // Something is there, and whose it is nobody can tell.
                Err(StoreError::Unreadable(_)) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn settle<'a>(&'a self, debt: &'a Debt) -> BoxFuture<'a, Result<(), StoreError>> {
        self.shelf.settle(&debt.name)
    }

    fn defer<'a>(&'a self, debt: &'a Debt, until: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        self.shelf.defer(&debt.name, until)
    }

    fn count(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.shelf.debts()
    }
}
