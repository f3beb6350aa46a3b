//! What endings ask of a backend besides the sessions themselves: a shelf for debts, and one moment for everybody.
//!
//! I own: the trait [`EndingShelf`], and the form of a debt's name. I may call: `domain`, `ports`. I never let a backend
//! see a token: what it keeps of a debt is the session's key, a moment, and sealed bytes.

use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::Answer;
use std::time::Duration;

/// On how many shelves debts lie, by the session's key: so that no one key of a Redis grows beyond measure, and in a
/// cluster no one server has them all.
pub(in crate::store) const SHELVES: u8 = 16;

/// How long a shelf lives after the last debt that was put on it: longer than any debt is tried.
pub(in crate::store) const SHELF_KEPT: Duration = Duration::from_secs(30 * 60 * 60);

/// What is at the front of a debt: the session's key, then the moment of the note in milliseconds (big-endian), then
/// sealed bytes.
pub(in crate::store) fn name_of(key: &SessionKey, noted: Timestamp, sealed: &[u8]) -> Vec<u8> {
    [key.as_bytes().as_slice(), &noted.unix_millis().to_be_bytes(), sealed].concat()
}

/// The parts of what [`name_of`] made.
pub(in crate::store) fn parts_of(name: &[u8]) -> Option<(SessionKey, Timestamp, &[u8])> {
    let (key, rest) = name.split_first_chunk::<32>()?;
    let (noted, sealed) = rest.split_first_chunk::<8>()?;
    let noted = Timestamp::from_unix_millis(u64::from_be_bytes(*noted));
    Some((SessionKey::from_digest(*key), noted, sealed))
}

/// What became of a removal that asks for a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum RemovedAt {
    /// It is removed.
    Done,
    /// It has another version.
    Other,
    /// There is none.
    Gone,
}

/// Debts by name, each with the moment from which it is due.
pub(in crate::store) trait EndingShelf: Send + Sync {
    /// Puts a debt there.
    fn owe<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> Answer<'a, ()>;

    /// At most `most` debts that are due at `now`, or a few more; all of them are due again at `until`, and until then
    /// nobody else is given them.
    fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Answer<'_, Vec<Vec<u8>>>;

    /// Takes a debt away.
    fn settle<'a>(&'a self, debt: &'a [u8]) -> Answer<'a, ()>;

    /// Makes a debt due at another moment, if it is still there.
    fn defer<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> Answer<'a, ()>;

    /// How many there are.
    fn debts(&self) -> Answer<'_, usize>;

    /// Deletes a record, then everything that leads to it, if it has this version.
    fn delete_at<'a>(&'a self, key: &'a SessionKey, version: u64) -> Answer<'a, RemovedAt>;

    /// Notes `now` for everybody, for as long as `keep`; the later moment and the longer life win.
    fn clear(&self, now: Timestamp, keep: Duration) -> Answer<'_, ()>;

    /// What is noted of that moment.
    ///
    /// # Errors
    /// [`StoreError`](crate::ports::StoreError), when not one note could be read.
    fn cleared(&self, now: Timestamp) -> Answer<'_, Notes>;

    /// As [`Self::clear`], where a note says less than `at` by these notes.
    fn mend<'a>(&'a self, at: Timestamp, keep: Duration, _notes: &'a Notes) -> Answer<'a, ()> {
        self.clear(at, keep)
    }
}

/// What each note of the moment for everybody says; [`Timestamp::NEVER`] where there is none, `None` for one that could
/// not be read. Each ending of all is written to all of them, so any one will do; several are kept where they lie with
/// several servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Notes(pub(in crate::store) Vec<Option<Timestamp>>);

impl Notes {
    /// The only note there is.
    pub(in crate::store) fn one(at: Timestamp) -> Self {
        Self(vec![Some(at)])
    }

    /// The latest of them.
    pub(in crate::store) fn latest(&self) -> Timestamp {
        self.0.iter().flatten().copied().max().unwrap_or(Timestamp::NEVER)
    }

    /// Whether one that was read says less.
    pub(in crate::store) fn are_behind(&self, at: Timestamp) -> bool {
        self.0.iter().flatten().any(|note| *note < at)
    }
}
