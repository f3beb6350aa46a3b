//! The port: seals what goes into a backend and opens what comes out (R44).
//!
//! I own: [`Sealed`]: which key seals what, bound to what, and under which names a session is found again.
//! I may call: `domain`, `ports`, `keyring`, the room's own types.
//! I never take what does not open for absent: that is an error, and a different one from a store that is away (R82).
//!
//! A record has two parts. The private one is sealed under server key and ticket, and the ticket is in the browser
//! only: a dump of the store is noise, and still is with the server's keys. The operator one is sealed under the
//! server's key and the session key. Both are bound to their kind, session key and version, so that an old, a moved
//! or an exchanged value does not open (A34).

use crate::domain::identity::{Issuer, Subject};
use crate::domain::login::LoginId;
use crate::domain::logout::Mark;
use crate::domain::renewal::LeaseId;
use crate::domain::session::{LiveSession, Session, SessionKey, Summary, Ticket};
use crate::domain::time::Timestamp;
use crate::keyring::{CannotOpen, KeyRing, NoRandomness, Purpose, session_key};
use crate::ports::{Answer, Cursor, Listed, Listing, SessionStore, StoreError, Updated};
use crate::store::record::{self, Whose};
use crate::store::{Backend, Glance, IndexName, Row};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Sessions, sealed, over any backend.
pub struct Sealed {
    backend: Arc<dyn Backend>,
    keys: Arc<KeyRing>,
    /// Whether the operator part holds the refresh token.
    revocable: bool,
}

/// A part of a record; the numbers are sealed in.
#[derive(Clone, Copy)]
enum Part {
    Private = 1,
    Operator = 2,
}

impl Part {
    fn purpose(self) -> Purpose {
        match self {
            Self::Private => Purpose::SessionRecord,
            Self::Operator => Purpose::OperatorRecord,
        }
    }

    fn salt<'a>(self, ticket: &'a Ticket, key: &'a SessionKey) -> &'a [u8] {
        match self {
            Self::Private => ticket.expose().as_bytes(),
            Self::Operator => key.as_bytes(),
        }
    }

    fn context(self, key: &SessionKey, version: u64) -> Vec<u8> {
        [&[self as u8], key.as_bytes().as_slice(), &version.to_be_bytes()].concat()
    }
}

impl Sealed {
    /// Over `backend`: the first key of the ring seals, all of them open.
    /// `revocable`: the server can reach refresh tokens without the browser's ticket.
    pub fn new(backend: Arc<dyn Backend>, keys: Arc<KeyRing>, revocable: bool) -> Self {
        Self { backend, keys, revocable }
    }

    fn row(&self, ticket: &Ticket, session: &Session, version: u64) -> Result<(SessionKey, Row), StoreError> {
        let key = session_key(ticket);
        // Both parts and the names under one key: what is counted for a key is then all or nothing of a record.
        let keys = self.keys.held();
        let seal = |part: Part, plain: &[u8]| {
            let context = part.context(&key, version);
            keys.seal(part.purpose(), part.salt(ticket, &key), &context, plain)
                .map_err(|error: NoRandomness| StoreError::Unavailable(error.to_string()))
        };
        let private = seal(Part::Private, &record::encode_private(session, self.revocable)?)?;
        let operator = seal(Part::Operator, &record::encode_operator(session, self.revocable)?)?;
        let identity = &session.identity;
        let mut indexes =
            vec![keys.name(Purpose::Index, &subject_parts(&identity.issuer, &identity.subject))];
        if let Some(sid) = &session.provider_sid {
            indexes.push(keys.name(Purpose::Index, &provider_sid_parts(&identity.issuer, sid)));
        }
        Ok((key, Row { version, private, operator, indexes, expires: session.ends }))
    }

    fn summary(&self, glance: &Glance) -> Option<Summary> {
        summary(&self.keys, &glance.key, glance.version, &glance.operator)
    }

    async fn members(&self, parts: &[&[u8]], now: Timestamp) -> Result<Vec<SessionKey>, StoreError> {
        // Under every key of the ring: the entry was made under the one that sealed then.
        let names: Vec<IndexName> = self.keys.names(Purpose::Index, parts);
        self.backend.members(&names, now).await
    }
}

/// The names of the index entries of one session of a provider, under every key of the ring.
pub(super) fn provider_sid_names(keys: &KeyRing, issuer: &Issuer, provider_sid: &str) -> Vec<IndexName> {
    keys.names(Purpose::Index, &provider_sid_parts(issuer, provider_sid))
}

/// The names of the index entries of one person, under every key of the ring.
pub(super) fn subject_names(keys: &KeyRing, issuer: &Issuer, subject: &Subject) -> Vec<IndexName> {
    keys.names(Purpose::Index, &subject_parts(issuer, subject))
}

/// Opens an operator part; `None` when it does not open.
pub(super) fn open_operator(
    keys: &KeyRing,
    key: &SessionKey,
    version: u64,
    operator: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let part = Part::Operator;
    let context = part.context(key, version);
    keys.open(part.purpose(), key.as_bytes(), &context, operator).ok().map(|(_, plain)| plain)
}

/// What an operator part says; `None` when it does not open or is of another version of this program.
pub(super) fn summary(keys: &KeyRing, key: &SessionKey, version: u64, operator: &[u8]) -> Option<Summary> {
    record::decode_summary(&open_operator(keys, key, version, operator)?).ok()
}

/// Marks have labels of their own: no name of one is ever that of an index entry.
fn mark_parts(mark: Mark<'_>) -> Vec<&[u8]> {
    match mark {
        Mark::Person(issuer, subject) => {
            vec![b"ended sub", issuer.as_str().as_bytes(), subject.as_str().as_bytes()]
        }
        Mark::ProviderSession(issuer, sid) => vec![b"ended sid", issuer.as_str().as_bytes(), sid.as_bytes()],
        Mark::PersonInProviderSession(issuer, subject, sid) => {
            let subject = subject.as_str().as_bytes();
            vec![b"ended sub sid", issuer.as_str().as_bytes(), subject, sid.as_bytes()]
        }
        Mark::Notice(issuer, id) => vec![b"heard jti", issuer.as_str().as_bytes(), id.as_bytes()],
    }
}

fn subject_parts<'a>(issuer: &'a Issuer, subject: &'a Subject) -> [&'a [u8]; 3] {
    [b"sub", issuer.as_str().as_bytes(), subject.as_str().as_bytes()]
}

fn provider_sid_parts<'a>(issuer: &'a Issuer, provider_sid: &'a str) -> [&'a [u8]; 3] {
    [b"sid", issuer.as_str().as_bytes(), provider_sid.as_bytes()]
}

/// Whose a record is, and until when, from the part that the server opens alone; `None` when it does not open.
pub(in crate::store) fn whose(keys: &KeyRing, glance: &Glance) -> Option<Whose> {
    let opened = open_operator(keys, &glance.key, glance.version, &glance.operator)?;
    record::decode_whose(&opened).ok()
}

impl Whose {
    /// The parts of each entry's name.
    pub(in crate::store) fn index_parts(&self) -> Vec<Vec<Vec<u8>>> {
        let owned = |parts: [&[u8]; 3]| parts.iter().map(|part| part.to_vec()).collect();
        let mut all: Vec<Vec<Vec<u8>>> = vec![owned(subject_parts(&self.issuer, &self.subject))];
        all.extend(self.provider_sid.as_deref().map(|sid| owned(provider_sid_parts(&self.issuer, sid))));
        all
    }
}

impl SessionStore for Sealed {
    fn create<'a>(&'a self, ticket: &'a Ticket, session: &'a Session, now: Timestamp) -> Answer<'a, ()> {
        Box::pin(async move {
            let (key, row) = self.row(ticket, session, 1)?;
            if self.backend.insert(&key, &row, now).await? {
                return Ok(());
            }
            Err(StoreError::Unavailable("the ticket is taken already".into()))
        })
    }

    fn load<'a>(&'a self, ticket: &'a Ticket, now: Timestamp) -> Answer<'a, Option<LiveSession>> {
        Box::pin(async move {
            let key = session_key(ticket);
            let Some(found) = self.backend.fetch(&key, now).await? else { return Ok(None) };
            let open = |part: Part, sealed: &[u8]| {
                let context = part.context(&key, found.version);
                match self.keys.open(part.purpose(), part.salt(ticket, &key), &context, sealed) {
                    Ok((_, plain)) => Ok(plain),
                    Err(CannotOpen::NotAuthentic) => {
                        Err(StoreError::Unreadable("it was changed, moved, or sealed for somebody else"))
                    }
                    Err(CannotOpen::UnknownKey) => {
                        Err(StoreError::Unreadable("its key is not in `session.keys`"))
                    }
                }
            };
            let private = open(Part::Private, &found.private)?;
            let operator = open(Part::Operator, &found.operator)?;
            let session = record::decode(&private, &operator)?;
            Ok(Some(LiveSession {
                key,
                version: found.version,
                // The entry outlives the idle timeout from each touch on; if it is gone, nobody came for that long.
                last_seen: found.last_seen.unwrap_or(session.started),
                session: Arc::new(session),
            }))
        })
    }

    fn update<'a>(
        &'a self,
        ticket: &'a Ticket,
        session: &'a Session,
        expected: u64,
        now: Timestamp,
    ) -> Answer<'a, Updated> {
        Box::pin(async move {
            let (key, row) = self.row(ticket, session, expected.saturating_add(1))?;
            self.backend.replace(&key, &row, expected, now).await
        })
    }

    fn restore<'a>(
        &'a self,
        ticket: &'a Ticket,
        later: &'a LiveSession,
        found: u64,
        now: Timestamp,
    ) -> Answer<'a, Updated> {
        Box::pin(async move {
            // Under its own number, not the next one: whoever else holds it sees that it is there.
            if later.version <= found {
                return Ok(Updated::Conflict);
            }
            let (key, row) = self.row(ticket, &later.session, later.version)?;
            self.backend.replace(&key, &row, found, now).await
        })
    }

    fn touch<'a>(&'a self, key: &'a SessionKey, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        self.backend.seen(key, now, keep)
    }

    fn remove<'a>(&'a self, key: &'a SessionKey) -> Answer<'a, bool> {
        self.backend.delete(key)
    }

    fn of_subject<'a>(
        &'a self,
        issuer: &'a Issuer,
        subject: &'a Subject,
        now: Timestamp,
    ) -> Answer<'a, Vec<SessionKey>> {
        Box::pin(async move { self.members(&subject_parts(issuer, subject), now).await })
    }

    fn of_provider_sid<'a>(
        &'a self,
        issuer: &'a Issuer,
        provider_sid: &'a str,
        now: Timestamp,
    ) -> Answer<'a, Vec<SessionKey>> {
        Box::pin(async move { self.members(&provider_sid_parts(issuer, provider_sid), now).await })
    }

    fn take_once<'a>(&'a self, login: LoginId, now: Timestamp, keep: Duration) -> Answer<'a, bool> {
        self.backend.take_once(login, now, keep)
    }

    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> Answer<'a, bool> {
        self.backend.lease(key, holder, now, keep)
    }

    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> Answer<'a, ()> {
        self.backend.release(key, holder)
    }

    fn glance<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> Answer<'a, Option<Listed>> {
        Box::pin(async move {
            let (version, operator, last_seen) = match self.backend.fetch(key, now).await {
                Ok(Some(found)) => (found.version, found.operator, found.last_seen),
                Ok(None) => return Ok(None),
                Err(StoreError::Unreadable(_)) => (0, Vec::new(), None),
                Err(error) => return Err(error),
            };
            let glance = Glance { key: *key, version, operator, last_seen };
            Ok(Some(Listed { key: *key, last_seen, summary: self.summary(&glance) }))
        })
    }

    fn mark<'a>(&'a self, mark: Mark<'a>, now: Timestamp, keep: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            let name = self.keys.name(Purpose::Index, &mark_parts(mark));
            self.backend.mark(&name, now, keep).await
        })
    }

    fn marked<'a>(&'a self, marks: &'a [Mark<'a>], now: Timestamp) -> Answer<'a, Option<Timestamp>> {
        Box::pin(async move {
            let names = marks.iter().flat_map(|mark| self.keys.names(Purpose::Index, &mark_parts(*mark)));
            let names: Vec<IndexName> = names.collect();
            self.backend.marked(&names, now).await
        })
    }

    fn list<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Listing> {
        Box::pin(async move {
            let (glances, next) = self.backend.page(cursor, limit.max(1), now).await?;
            let listed = |glance: Glance| Listed {
                key: glance.key,
                last_seen: glance.last_seen,
                summary: self.summary(&glance),
            };
            Ok(Listing { entries: glances.into_iter().map(listed).collect(), next })
        })
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.backend.ping()
    }
}
