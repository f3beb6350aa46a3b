//! The port for debts: seals what goes onto a shelf and opens what comes off it.
//!
//! I own: [`Debts`]. I may call: `domain`, `ports`, `keyring`, the room's own types. I never keep a debt that is none,
//! never throw one away for the want of a key that may be on its way, and never let one be read that was moved to another
//! session or moment.
//!
//! A debt is sealed under the server's keys alone: it has to be carried out by a process that has no ticket. It holds
//! nothing that the operator part of its record did not hold, for as long as the revocation takes.

use super::shelf::{EndingShelf, RemovedAt, name_of, parts_of};
use super::{Backend, record, sealed};
use crate::domain::identity::{Issuer, ProviderId, Subject};
use crate::domain::secret::RefreshToken;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::{CannotOpen, KeyRing, NoRandomness, Purpose};
use crate::ports::{Answer, Debt, GIVEN_UP_AFTER, Outbox, Owed, Standing, StandsOn, StoreError, Taken};
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
    fn open(&self, name: Vec<u8>, now: Timestamp) -> Opened {
        let Some((session, noted, sealed)) = parts_of(&name) else { return Opened::Never };
        let context = context(&session, noted);
        match self.keys.open(Purpose::Debt, session.as_bytes(), &context, sealed) {
            Ok((_, plain)) => match read(&plain) {
                Some(owed) => Opened::Now(Debt { session, owed, noted, name }),
                None => Opened::Never,
            },
            // While keys are changed, gateway after gateway, one has a key that another one is about to get. A moment
            // that lies so far ahead was not noted by any of them.
            Err(CannotOpen::UnknownKey) if now.since(noted).max(noted.since(now)) < GIVEN_UP_AFTER => {
                Opened::Later
            }
            Err(CannotOpen::UnknownKey | CannotOpen::NotAuthentic) => Opened::Never,
        }
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
        let StandsOn { issuer, subject, provider_sid } = &debt.owed.stands_on;
        let names = match provider_sid {
            Some(sid) => sealed::provider_sid_names(&self.keys, issuer, sid),
            None if debt.owed.replaced => sealed::subject_names(&self.keys, issuer, subject),
            None => return Ok(false),
        };
        for key in self.backend.members(&names, now).await? {
            if key == debt.session {
                continue;
            }
            let found = match self.backend.fetch(&key, now).await {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                // The index says that it stands there, and nobody can tell otherwise.
                Err(StoreError::Unreadable(_)) => return Ok(true),
                Err(error) => return Err(error),
            };
            let summary = sealed::summary(&self.keys, &key, found.version, &found.operator);
            let Some(summary) = summary else { return Ok(true) };
            // Grants are a client's: what another provider entry has there is not touched.
            let is_there = provider_sid.is_some() || summary.provider == debt.owed.provider;
            if is_there && summary.subject == *subject {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What came of opening a debt.
enum Opened {
    Now(Debt),
    /// Its key is not here, or not yet.
    Later,
    Never,
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
    stands_on: (Cow<'a, str>, Cow<'a, str>, Option<Cow<'a, str>>),
    #[serde(rename = "re")]
    replaced: bool,
}

fn write(owed: &Owed) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let StandsOn { issuer, subject, provider_sid } = &owed.stands_on;
    let mirror = Mirror {
        provider: owed.provider.as_str().into(),
        token: owed.token.expose().into(),
        stands_on: (issuer.as_str().into(), subject.as_str().into(), provider_sid.as_deref().map(Cow::from)),
        replaced: owed.replaced,
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    serde_json::to_writer(&mut *bytes, &mirror)
        .map_err(|_| StoreError::Unreadable("what is owed cannot be written"))?;
    Ok(bytes)
}

fn read(plain: &[u8]) -> Option<Owed> {
    let mirror: Mirror<'_> = serde_json::from_slice(plain).ok()?;
    let (issuer, subject, sid) = mirror.stands_on;
    let stands_on = StandsOn {
        issuer: Issuer::new(issuer),
        subject: Subject::parse(&subject)?,
        provider_sid: sid.map(Cow::into_owned),
    };
    let provider = ProviderId::parse(&mirror.provider)?;
    Some(Owed { provider, token: RefreshToken::new(mirror.token), stands_on, replaced: mirror.replaced })
}

impl Outbox for Debts {
    fn look<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> Answer<'a, Option<Standing>> {
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
    ) -> Answer<'a, Vec<u8>> {
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
    ) -> Answer<'a, Option<bool>> {
        Box::pin(async move {
            Ok(match self.shelf.delete_at(key, version).await? {
                RemovedAt::Done => Some(true),
                RemovedAt::Gone => Some(false),
                RemovedAt::Other => None,
            })
        })
    }

    fn take(&self, now: Timestamp, lease: Duration, most: usize) -> Answer<'_, Taken> {
        Box::pin(async move {
            let mut taken = Taken::default();
            for name in self.shelf.claim(now, now.plus(lease), most).await? {
                match self.open(name.clone(), now) {
                    Opened::Now(debt) => taken.debts.push(debt),
                    Opened::Later => taken.waiting += 1,
                    Opened::Never => {
                        taken.unreadable += 1;
                        self.shelf.settle(&name).await?;
                    }
                }
            }
            Ok(taken)
        })
    }

    fn is_needless<'a>(&'a self, debt: &'a Debt, now: Timestamp) -> Answer<'a, bool> {
        Box::pin(
            async move { Ok(self.is_over(&debt.session, now).await? && !self.is_shared(debt, now).await?) },
        )
    }

    fn settle<'a>(&'a self, name: &'a [u8]) -> Answer<'a, ()> {
        self.shelf.settle(name)
    }

    fn defer<'a>(&'a self, debt: &'a Debt, until: Timestamp) -> Answer<'a, ()> {
        self.shelf.defer(&debt.name, until)
    }

    fn count(&self) -> Answer<'_, usize> {
        self.shelf.debts()
    }
}
