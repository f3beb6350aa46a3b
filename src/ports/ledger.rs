//! The ledger of what happens, for the people who run the house.
//!
//! I own: the trait [`Ledger`] and what is entered into it. I may call: `domain`, the feed's state. I never hold a word of a request.

use super::FeedState;
use crate::domain::time::Timestamp;
use std::time::Duration;

/// The ledger: counts and times of what happens, for the people who run the house.
pub trait Ledger: Send + Sync {
    /// Takes note of one event. Never fails, never waits.
    fn enter(&self, entry: Entry<'_>);

    /// Everything so far, in the text form of OpenMetrics.
    fn read(&self) -> String;
}

/// An event for the ledger. Every word in it comes from the configuration or from this source, never from a request: the
/// number of different ones is bounded, and none of them is a secret or a name of a person.
#[derive(Clone, Copy)]
pub enum Entry<'e> {
    /// A request has come in.
    Opened,
    /// The last byte of its response has left, or never will.
    Closed,
    /// A response head is ready, or the client was gone before that.
    Request {
        /// The route or endpoint.
        route: &'e str,
        /// What became of it.
        outcome: &'static str,
        /// The status, if there was a head.
        status: Option<u16>,
    },
    /// A connection was not let in, or not waited for any longer, and why.
    Cut(&'static str),
    /// A step of a login.
    Login {
        /// The id of the provider.
        provider: &'e str,
        /// What became of it.
        result: &'static str,
    },
    /// The tokens of a session were to be renewed.
    Renewal {
        /// The id of the provider.
        provider: &'e str,
        /// What became of it.
        result: &'static str,
    },
    /// A refresh token of a session that has ended was to be revoked.
    Revocation {
        /// The id of the provider.
        provider: &'e str,
        /// What became of it.
        result: &'static str,
    },
    /// So many refresh tokens wait for that.
    Owed(usize),
    /// A session has ended, and why.
    Ended(&'static str),
    /// A ticket was turned into a standing in this time.
    Checked(Duration),
    /// An upstream has answered with a response head.
    Upstream {
        /// The route.
        route: &'e str,
        /// How long it took.
        took: Duration,
    },
    /// The store was asked.
    Store {
        /// The method of `SessionStore`.
        command: &'static str,
        /// How long it took.
        took: Duration,
        /// Whether it answered.
        answered: bool,
    },
    /// The breaker before the store has turned.
    Breaker {
        /// Whether the store is not asked from now on.
        open: bool,
    },
    /// The near cache was asked for a session, or told of one.
    Near(Near),
    /// An ending that this process remembers has come a step further.
    Endings(EndingStep),
    /// What the near cache holds now, and how its feed does.
    Held {
        /// Sessions.
        sessions: usize,
        /// About as many bytes.
        bytes: usize,
        /// The feed.
        feed: FeedState,
    },
    /// The configuration was read for the first time, and is in force.
    Configured(Timestamp),
    /// The configuration was read again.
    Reloaded {
        /// What became of it: `applied`, `refused` or `unchanged`.
        result: &'static str,
        /// When.
        at: Timestamp,
    },
}

/// What became of an ending that this process remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndingStep {
    /// The store did not take it: it is in force here, and is written later.
    Deferred,
    /// The store has taken it at last.
    Written,
    /// The store had taken it and forgotten it: it was written once more.
    Forgotten,
}

/// What happened in the near cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Near {
    /// A session was answered from memory.
    Hit,
    /// It was not there: the store was asked.
    Miss,
    /// It was there, but nobody could say whether it still holds: the store was asked.
    Doubtful,
    /// The store did not answer either, and memory did, within `outage_grace`.
    FellBack,
    /// What the store answered was not kept: something was changed meanwhile.
    FillRefused,
    /// The store told of a change.
    Invalidated,
    /// The store told that everything may have changed, or the feed began anew.
    AllInvalidated,
    /// A session made room for another one.
    Evicted,
    /// The store had forgotten the last version of a session, and was given it back.
    PutBack,
}
