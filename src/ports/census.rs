//! Which of the server's keys the store still needs.
//!
//! I own: the trait [`KeyCensus`] and what it answers. I may call: `domain`, the port's error. I never know a key: a key is
//! called by its name here.

use super::Answer;
use crate::domain::time::Timestamp;

/// Counts what is sealed, and what is named, under which key.
pub trait KeyCensus: Send + Sync {
    /// Looks at all records, or in about as many places as `most` says, in pages; what it takes in memory does not grow with them. A
    /// record that is written meanwhile is counted as it was or as it is, and one may be counted twice; none that is there
    /// all the while is left out.
    ///
    /// # Errors
    /// See [`StoreError`](super::StoreError).
    fn take(&self, most: Option<u64>, now: Timestamp) -> Answer<'_, Census>;
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// The keys of the ring in its order, then those that are missing in it.
    pub keys: Vec<KeyUse>,
    /// Records that do not open although their key is there, or that name none.
    pub unreadable: u64,
    /// Whether all records were looked at.
    pub is_complete: bool,
}

/// What one key is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Its name, eight hexadecimal digits.
    pub id: String,
    /// What it does here.
    pub role: KeyRole,
    /// Records that it has sealed.
    pub records: u64,
    /// Entries of indexes that were made under it, of records that can be opened.
    pub index_entries: u64,
    /// Sessions with either. Their cookies may be signed with it, too.
    pub sessions: u64,
    /// When the last of these sessions ends, as far as they can be opened.
    pub last_end: Option<Timestamp>,
}

/// What a key does at this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// The first of `session.keys`.
    Seals,
    /// Another one.
    Opens,
    /// It is not among them: what it has sealed is out of reach.
    Missing,
}

impl KeyRole {
    /// The word for operators.
    pub fn word(self) -> &'static str {
        match self {
            Self::Seals => "seals",
            Self::Opens => "opens",
            Self::Missing => "missing",
        }
    }
}

impl KeyUse {
    /// Whether nobody would miss it: also not the browsers, since a session keeps the entries that it was made with as
    /// long as it lives, whoever has sealed it since.
    pub fn can_be_removed(&self) -> bool {
        self.role == KeyRole::Opens && self.sessions == 0
    }
}
