//! The renewal of a session's tokens, as values.
//!
//! I own: [`Renewal`], what a record remembers of it, [`RenewalRules`], [`LeaseId`]. I may call: `session` (tokens and
//! keys), `time`. I never renew anything: `gateway::refresh` does.

use super::session::{SessionKey, TokenSet};
use super::time::Timestamp;
use std::time::Duration;

/// How soon a renewal is tried again that the provider did not answer as it should.
pub const RETRY: Duration = Duration::from_secs(5);

/// How long the holder of a lease goes on trying to write down what it was given.
pub const SAVE_FOR: Duration = Duration::from_secs(20);

/// How long after its mark somebody asks the provider at the latest.
pub const ASK_WITHIN: Duration = Duration::from_secs(2);

/// What the holder of a lease needs besides the call and the writing: [`ASK_WITHIN`], and by how much clocks may differ.
const MARGIN: Duration = Duration::from_secs(5);

/// Who holds a lease: 128 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId(pub [u8; 16]);

/// What a session's record remembers of the renewal of its tokens. It is apart from the version of the record: whoever
/// writes to the record for another reason does not make a renewal lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// How often the tokens were replaced or given up.
    pub generation: u64,
    /// When the present tokens came.
    pub obtained: Timestamp,
    /// An attempt that has not ended well, or not yet. The refresh token may have been used up by it.
    pub attempt: Option<Attempt>,
}

/// An attempt at a renewal, noted before the provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whose it is.
    pub by: LeaseId,
    /// When it began; when it failed, if it did.
    pub since: Timestamp,
    /// Whether it is known that the provider gave no answer that is of use.
    pub failed: bool,
}

/// How tokens of one provider are renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalRules {
    /// How long before their end at the earliest.
    pub ahead: Duration,
    /// After how long a call is given up, whatever it is doing.
    pub patience: Duration,
}

impl RenewalRules {
    /// By how long ahead and how long one request to the provider may take: there may be two, the call itself and the
    /// keys, where the new ID token is signed by one that is not known yet.
    pub fn of(ahead: Duration, timeout: Duration) -> Self {
        Self { ahead, patience: timeout * 2 }
    }

    /// How long a lease lives, and a mark that nobody has taken back: longer than the call and the writing together.
    pub fn lease(&self) -> Duration {
        self.patience + SAVE_FOR + MARGIN
    }

    /// How long a request waits whose token is over.
    pub fn wait(&self) -> Duration {
        self.patience + MARGIN
    }
}

impl Renewal {
    /// The renewal of tokens that have just come with a sign-in.
    pub fn begun(now: Timestamp) -> Self {
        Self { generation: 0, obtained: now, attempt: None }
    }

    /// From when on new tokens are fetched; `None` when nobody knows when the present ones end. At most `ahead` and a
    /// quarter of their life before that, and up to half of that later by a number that every session has of its own:
    /// sessions that began together must not come to the provider together (R46).
    pub fn due(&self, tokens: &TokenSet, key: &SessionKey, ahead: Duration) -> Option<Timestamp> {
        let expires = tokens.access_expires?;
        let ahead = ahead.min(expires.since(self.obtained) / 4);
        let jitter = ahead * u32::from(key.as_bytes()[0]) / 510;
        Some(expires.minus(ahead - jitter))
    }

    /// Whether an attempt is under way, or its holder was lost a moment ago: whoever finds it waits.
    pub fn is_under_way(&self, rules: &RenewalRules, now: Timestamp) -> bool {
        self.attempt.is_some_and(|attempt| !attempt.failed && now < attempt.since.plus(rules.lease()))
    }

    /// Whether an attempt failed so short a time ago that it is not repeated yet.
    pub fn has_just_failed(&self, now: Timestamp) -> bool {
        self.attempt.is_some_and(|attempt| attempt.failed && now < attempt.since.plus(RETRY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::tests::session;

    const RULES: RenewalRules =
        RenewalRules { ahead: Duration::from_secs(60), patience: Duration::from_secs(20) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn r46_new_tokens_are_fetched_ahead_of_the_end_with_jitter() {
        let mut session = session();
        let due = |session: &crate::domain::session::Session, first: u8| {
            let key = SessionKey::from_digest([first; 32]);
            session.renewal.due(&session.tokens, &key, RULES.ahead)
        };
        // Good for 300 s from second 1000 on.
        assert_eq!(due(&session, 0), Some(at(1240)));
        assert_eq!(due(&session, 255), Some(at(1270)));
        assert!((1240..1270).contains(&due(&session, 100).unwrap().unix_seconds()));
        // Short ones: a quarter of their life, so that not every request finds them due.
        session.tokens.access_expires = Some(at(1040));
        assert_eq!(due(&session, 0), Some(at(1030)));
        // Over before they came.
        session.tokens.access_expires = Some(at(900));
        assert_eq!(due(&session, 9), Some(at(900)));
        session.tokens.access_expires = None;
        assert_eq!(due(&session, 9), None);
    }

    #[test]
    fn r45_a_mark_is_waited_out_and_a_failure_is_repeated_soon() {
        let mut renewal = Renewal::begun(at(1000));
        assert!(!renewal.is_under_way(&RULES, at(1000)) && !renewal.has_just_failed(at(1000)));
        let attempt = Attempt { by: LeaseId([1; 16]), since: at(2000), failed: false };
        renewal.attempt = Some(attempt);
        assert!(renewal.is_under_way(&RULES, at(2044)) && !renewal.is_under_way(&RULES, at(2045)));
        assert!(!renewal.has_just_failed(at(2001)));
        renewal.attempt = Some(Attempt { failed: true, ..attempt });
        assert!(!renewal.is_under_way(&RULES, at(2001)));
        assert!(renewal.has_just_failed(at(2004)) && !renewal.has_just_failed(at(2005)));
        assert!(RULES.lease() > ASK_WITHIN + RULES.patience + SAVE_FOR);
    }
}
