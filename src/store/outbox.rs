//! The port for debts: seals what goes onto a shelf and opens what comes off it.
//!
//! I own: [`Debts`]. I may call: `domain`, `ports`, `keyring`, the room's own types. I never keep a debt that nobody can
//! open, and never let one be read that was moved to another session or moment.
//!
//! A debt is sealed under the server's keys alone: it has to be carried out by a process that has no ticket. It holds
//! nothing that the operator part of its record did not hold, for as long as the revocation takes.

use super::shelf::{EndingShelf, RemovedAt, name_of, parts_of};
use super::{Backend, Found, record, sealed};
use crate::domain::identity::{Issuer, ProviderId, Subject};
use crate::domain::secret::RefreshToken;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::{KeyRing, NoRandomness, Purpose};
use crate::ports::{Debt, Outbox, Owed, Standing, StandsOn, StoreError, Taken};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The type that is sealed into every debt, beside the types of a record's parts.
const DEBT: u8 = 3;

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
        Some(Debt { session, owed: read(&opened)?, noted, name })
    }

    fn open_operator(&self, key: &SessionKey, found: &Found) -> Option<Zeroizing<Vec<u8>>> {
        sealed::open_operator(&self.keys, key, found.version, &found.operator)
    }

    /// Whether there is no record of this session (any more).
    async fn is_over(&self, key: &SessionKey, now: Timestamp) -> Result<bool, StoreError> {
        match self.backend.fetch(key, now).await {
            Ok(found) => Ok(found.is_none()),
            // Something is there, and whose it is nobody can tell.
            Err(StoreError::Unreadable(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether another session of the person stands there.
    async fn is_shared(&self, debt: &Debt, now: Timestamp) -> Result<bool, StoreError> {
        let Some(StandsOn { issuer, subject, provider_sid }) = &debt.owed.stands_on else { return Ok(false) };
        let names = sealed::provider_sid_names(&self.keys, issuer, provider_sid);
        for key in self.backend.members(&names, now).await? {
            if key == debt.session {
                continue;
            }
            let found = match self.backend.fetch(&key, now).await {
                Ok(Some(found)) => found,
                Ok(None) | Err(StoreError::Unreadable(_)) => continue,
                Err(error) => return Err(error),
            };
            let summary =
                self.open_operator(&key, &found).and_then(|plain| record::decode_summary(&plain).ok());
            if summary.is_some_and(|summary| summary.subject == *subject) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn context(session: &SessionKey, noted: Timestamp) -> Vec<u8> {
    [&[DEBT], session.as_bytes().as_slice(), &noted.unix_millis().to_be_bytes()].concat()
}

/// What a debt holds, before it is sealed.
#[derive(Serialize, Deserialize)]
struct Mirror<'a> {
    #[serde(rename = "p", borrow)]
    provider: Cow<'a, str>,
    #[serde(rename = "rt", borrow)]
    token: Cow<'a, str>,
    /// Issuer, subject and `sid`.
    #[serde(rename = "on", borrow)]
    stands_on: Option<(Cow<'a, str>, Cow<'a, str>, Cow<'a, str>)>,
}

fn write(owed: &Owed) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let stands_on = owed
        .stands_on
        .as_ref()
        .map(|on| (on.issuer.as_str().into(), on.subject.as_str().into(), on.provider_sid.as_str().into()));
    let provider = owed.provider.as_str().into();
    let mirror = Mirror { provider, token: owed.token.expose().into(), stands_on };
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    serde_json::to_writer(&mut *bytes, &mirror)
        .map_err(|_| StoreError::Unreadable("what is owed cannot be written"))?;
    Ok(bytes)
}

fn read(plain: &[u8]) -> Option<Owed> {
    let mirror: Mirror<'_> = serde_json::from_slice(plain).ok()?;
    let stands_on = match mirror.stands_on {
        None => None,
        Some((issuer, subject, sid)) => Some(StandsOn {
            issuer: Issuer::new(issuer),
            subject: Subject::parse(&subject)?,
            provider_sid: sid.into_owned(),
        }),
    };
    let provider = ProviderId::parse(&mirror.provider)?;
    Some(Owed { provider, token: RefreshToken::new(mirror.token), stands_on })
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
                    let opened = self.open_operator(key, &found);
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
    ) -> BoxFuture<'a, Result<Vec<u8>, StoreError>> {
        Box::pin(async move {
            let context = context(key, now);
            let sealed = self.keys.seal(Purpose::Debt, key.as_bytes(), &context, &write(owed)?);
            let sealed = sealed.map_err(|error: NoRandomness| StoreError::Unavailable(error.to_string()))?;
            let name = name_of(key, now, &sealed);
            self.shelf.owe(&name, due).await?;
            Ok(name)
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

    fn is_needless<'a>(&'a self, debt: &'a Debt, now: Timestamp) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(
            async move { Ok(self.is_over(&debt.session, now).await? && !self.is_shared(debt, now).await?) },
        )
    }

    fn settle<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.shelf.settle(name)
    }

    fn defer<'a>(&'a self, debt: &'a Debt, until: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        self.shelf.defer(&debt.name, until)
    }

    fn count(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.shelf.debts()
    }
}
