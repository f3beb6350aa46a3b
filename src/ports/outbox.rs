//! What is owed to providers: refresh tokens of sessions that have ended, to be revoked there (RFC 7009).
//!
//! I own: the trait [`Outbox`], [`Owed`], [`StandsOn`] and [`Debt`]. I may call: `domain`. I never revoke anything: whoever takes a debt
//! does, and tells me what became of it.
//!
//! Whoever ends a session notes the debt first and removes the record then, and removes it only in the version that the
//! debt was noted for. A debt is carried out when its record is gone, and not before. So, wherever a process dies: before
//! the note, nothing has happened; between the two, there is a debt whose session lives on, and whose token is left alone
//! until that session ends, too; after the removal, the debt is there for whoever looks next. And since a record is never
//! made again under a name of before, what is gone once is gone for good.

use super::Answer;
use crate::domain::identity::{Issuer, ProviderId, Subject};
use crate::domain::secret::RefreshToken;
use crate::domain::session::{Session, SessionKey};
use crate::domain::time::Timestamp;
use std::time::Duration;

/// After so long nobody tries any more.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What a session owes when it ends.
pub struct Owed {
    /// Who issued the token.
    pub provider: ProviderId,
    /// The token.
    pub token: RefreshToken,
    /// What it stands on.
    pub stands_on: StandsOn,
    /// Whether the same person has signed in again in the place of its session.
    pub replaced: bool,
}

/// A person's session at a provider. There are providers where to revoke one of its refresh tokens is to revoke all: so no
/// debt is carried out while another session of ours stands on the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandsOn {
    /// The provider.
    pub issuer: Issuer,
    /// The person.
    pub subject: Subject,
    /// The provider's own name for its session (`sid`), where it gives one. Without it nobody can tell which sessions
    /// of the person share one there. Then any may, for a session that was replaced: what ends it nobody has asked to
    /// take anything away, and at a provider that revokes a whole grant the next one would end with it. Whoever ends
    /// one on purpose is told that its token is worth nothing now, and that does not wait for another browser.
    pub provider_sid: Option<String>,
}

impl Owed {
    /// What this session owes; `None` where it has no refresh token.
    pub fn of(session: &Session) -> Option<Self> {
        let identity = &session.identity;
        let stands_on = StandsOn {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            provider_sid: session.provider_sid.clone(),
        };
        let token = session.tokens.refresh.clone()?;
        Some(Self { provider: session.provider.clone(), token, stands_on, replaced: false })
    }

    /// The same, of a session that another sign-in of the same person has taken the place of.
    pub fn of_replaced(self) -> Self {
        Self { replaced: true, ..self }
    }
}

/// A record as whoever ends it without its ticket finds it.
pub struct Standing {
    /// The version that was read.
    pub version: u64,
    /// What is owed by it; `None` where the server cannot know, or there is nothing.
    pub owed: Option<Owed>,
}

/// A debt that was taken, and is this taker's for a while.
pub struct Debt {
    /// The session that has ended, or was about to.
    pub session: SessionKey,
    /// What is owed.
    pub owed: Owed,
    /// When it was noted.
    pub noted: Timestamp,
    /// What the store calls it.
    pub name: Vec<u8>,
}

/// What was taken at once.
#[derive(Default)]
pub struct Taken {
    /// The debts.
    pub debts: Vec<Debt>,
    /// How many did not open, and were thrown away: damaged, or older than anybody tries and sealed with a key that is
    /// not here.
    pub unreadable: usize,
    /// How many wait for their key, which others may have, or this process later; they come back when their lease is
    /// over.
    pub waiting: usize,
}

/// Debts, kept beside the sessions and as safely as they are.
pub trait Outbox: Send + Sync {
    /// What the record of a session says of its debt, past any memory of this process; `None` when there is none.
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError).
    fn look<'a>(&'a self, key: &'a SessionKey, now: Timestamp) -> Answer<'a, Option<Standing>>;

    /// Notes a debt, which is due from `due` on; its name.
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError). Nobody knows then whether it is noted.
    fn note<'a>(
        &'a self,
        key: &'a SessionKey,
        owed: &'a Owed,
        due: Timestamp,
        now: Timestamp,
    ) -> Answer<'a, Vec<u8>>;

    /// Removes a record with its index entries, if it still has this version: `None` when it has another, else whether
    /// there was one.
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError).
    fn remove_at<'a>(&'a self, key: &'a SessionKey, version: u64, now: Timestamp)
    -> Answer<'a, Option<bool>>;

    /// Takes about `most` debts that are due, for as long as `lease`: nobody else is given them meanwhile.
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError).
    fn take(&self, now: Timestamp, lease: Duration, most: usize) -> Answer<'_, Taken>;

    /// Whether nobody needs the token any more: the record is gone, and no other session of the person stands on the
    /// same session of the provider, or may ([`StandsOn::provider_sid`]).
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError).
    fn is_needless<'a>(&'a self, debt: &'a Debt, now: Timestamp) -> Answer<'a, bool>;

    /// Forgets a debt, by its name.
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError).
    fn settle<'a>(&'a self, name: &'a [u8]) -> Answer<'a, ()>;

    /// Gives a debt back, due again at `until`.
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError).
    fn defer<'a>(&'a self, debt: &'a Debt, until: Timestamp) -> Answer<'a, ()>;

    /// How many debts there are.
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError).
    fn count(&self) -> Answer<'_, usize>;
}
