//! What is heard of changes that others make to the store.
//!
//! I own: [`FeedState`], and the trait [`News`] of whoever wants to know. I may call: `domain`. I never carry what was written:
//! whoever hears of a change reads.

use crate::domain::session::SessionKey;
use std::time::Duration;

/// How a store tells what others write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedState {
    /// Not at all: nobody else writes to it, or nothing is kept in memory.
    NotUsed,
    /// It is heard, and was proved this long ago.
    Up(Duration),
    /// It is not heard, and is tried again; the last proof, if there ever was one, is this old. Every request asks the
    /// store.
    Down(Option<Duration>),
    /// The store refuses it. Every request asks the store.
    Refused,
}

impl FeedState {
    /// The word for probes.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotUsed => "not-used",
            Self::Up(_) => "up",
            Self::Down(_) => "down",
            Self::Refused => "refused",
        }
    }

    /// How old the last proof is.
    pub fn age(self) -> Option<Duration> {
        match self {
            Self::Up(age) => Some(age),
            Self::Down(age) => age,
            Self::NotUsed | Self::Refused => None,
        }
    }
}

/// Who wants to know that records were changed, by anybody.
pub trait News: Send + Sync {
    /// The record of this session was written, removed or has expired. Never waits.
    fn changed(&self, key: &SessionKey);

    /// Any record may have been. Never waits.
    fn anything_changed(&self);

    /// The store may be another one than before: what it has taken in the last while may be forgotten. Never waits.
    fn began_anew(&self) {}

    /// This session was ended, by anybody. Its record may not be gone yet. Never waits.
    fn ended(&self, _key: &SessionKey) {}
}
