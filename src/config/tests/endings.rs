//! The keys of endings, each with what is refused.

use super::{accepted, refused};
use crate::config::EndingSettings;
use crate::domain::cap::{AtLimit, Cap};
use std::num::NonZeroUsize;

#[test]
fn tokens_can_be_revoked_and_sessions_are_not_counted_unless_somebody_says_so() {
    assert_eq!(accepted(&[]).session.endings, EndingSettings { revocable: true, cap: None });
    let capped = |at_limit| Some(Cap { most: NonZeroUsize::new(3).unwrap(), at_limit });
    let settings = accepted(&[("session", "max_per_user = 3"), ("session", "revocable = false")]);
    let expected = EndingSettings { revocable: false, cap: capped(AtLimit::EndOldest) };
    assert_eq!(settings.session.endings, expected);
    let settings = accepted(&[("session", "max_per_user = 3"), ("session", "at_limit = 'refuse'")]);
    assert_eq!(settings.session.endings.cap, capped(AtLimit::Refuse));
}

#[test]
fn a_limit_that_is_none_is_told() {
    refused(&[("session", "at_limit = 'refuse'")], "session.at_limit", "is never used");
    refused(&[("session", "max_per_user = -1")], "session.max_per_user", "must be an integer from 0");
    let both = [("session", "max_per_user = 1"), ("session", "at_limit = 'newest'")];
    refused(&both, "session.at_limit", "must be one of");
    refused(&[("session", "revocable = 'no'")], "session.revocable", "must be");
}
