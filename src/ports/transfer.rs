//! Moving sessions from one store to another, so that whoever outgrows a machine signs nobody out.
//!
//! I own: the trait [`Transfer`], what it answers, and its errors. I may call: `domain`.
//! I never say what a file looks like, nor which store is behind it.

use super::StoreError;
use crate::domain::session::Limits;
use crate::domain::time::Timestamp;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

/// Writes all sessions into one file, and takes in such a file. The file is sealed under the server's keys, and the
/// private part of each session in it under its ticket as well.
pub trait Transfer: Send + Sync {
    /// All sessions that are in the store from the first piece to the last, and perhaps some of those that come or go
    /// meanwhile. A file without its last piece is not taken for whole by [`Self::import`].
    ///
    /// # Errors
    /// The stream ends with the first error.
    fn export(&self, now: Timestamp) -> BoxStream<'static, Result<Piece, StoreError>>;

    /// Takes in what [`Self::export`] wrote, cut into whatever pieces. What is there already and is not older stays as it
    /// is; what is over by its own limits, or was ended here by a mark that is still remembered, does not come back. What
    /// was ended here one by one is not remembered: a file that was taken in whole is not taken in `again`, unless that
    /// is asked for.
    ///
    /// # Errors
    /// See [`TransferError`]. What was taken in before the error stays.
    fn import<'a>(
        &'a self,
        pieces: BoxStream<'a, Result<Vec<u8>, String>>,
        terms: Terms,
    ) -> BoxFuture<'a, Result<Imported, TransferError>>;
}

/// Under which terms a file is taken in.
#[derive(Clone, Copy)]
pub struct Terms {
    /// How long sessions live here.
    pub limits: Limits,
    /// Now.
    pub now: Timestamp,
    /// Whether a file that was taken in before may be once more.
    pub again: bool,
}

/// A piece of a file.
pub struct Piece {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many sessions are in it.
    pub sessions: u64,
}

/// What became of the sessions of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Taken in; those that took the place of an older version among them.
    pub imported: u64,
    /// There already, no older.
    pub there: u64,
    /// Over by their own limits.
    pub expired: u64,
    /// Ended here after they had begun.
    pub ended: u64,
    /// Not to be opened by the keys that are here, or damaged.
    pub refused: u64,
    /// The keys that would be needed for those, by their ids.
    pub unknown_keys: Vec<String>,
}

impl Imported {
    /// How many sessions were looked at.
    pub fn all(&self) -> u64 {
        self.imported + self.there + self.expired + self.ended + self.refused
    }
}

/// Why a file was not, or not wholly, taken in.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is no such file, one of another version of this program, or was changed.
    #[error("the file is not acceptable: {0}")]
    NotOurs(&'static str),
    /// It is sealed with a key that is not here; its id.
    #[error("the file is sealed with key {0}, which is not in `session.keys`")]
    UnknownKey(String),
    /// Its end is missing; what comes before it was taken in.
    #[error("the file is cut off: {why}")]
    CutOff {
        /// What became of the sessions before that.
        done: Imported,
        /// What is missing, or what went wrong on the way.
        why: String,
    },
    /// It was taken in before.
    #[error("the file was taken in before")]
    Again,
}
