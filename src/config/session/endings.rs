//! `revocable`, `max_per_user` and `at_limit` of `[session]`.
//!
//! I own: the keys of what endings do beyond the session. I may call: `cursor`, the vocabulary. I never know whether a
//! provider can revoke.

use crate::config::EndingSettings;
use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::domain::cap::{AtLimit, Cap};
use std::num::NonZeroUsize;

pub(super) const REVOCABLE: Key = Key::with_default(
    "revocable",
    Kind::Boolean,
    "true",
    "Whether the server can reach a session's refresh token without its browser, so that an ending by an operator or the provider revokes it, too. With false that token opens with the browser's cookie only, and such endings leave it to the provider.",
);

pub(super) const MAX_PER_USER: Key = Key::with_default(
    "max_per_user",
    Kind::Number { least: 0, most: MOST },
    "0",
    "How many sessions one person may have at a time; 0 is any number.",
);

pub(super) const AT_LIMIT: Key = Key::with_default(
    "at_limit",
    Kind::Choice(&["end-oldest", "refuse"]),
    r#""end-oldest""#,
    "What becomes of one sign-in more: the oldest session ends, or the sign-in is refused, with a page that says what to do.",
);

const MOST: u64 = 10_000;

pub(super) fn read(section: &mut Section<'_>) -> Result<EndingSettings, Reported> {
    let revocable = section.or(REVOCABLE.name, true, Entry::boolean);
    let most = section.may(MAX_PER_USER.name, |entry| {
        let number = entry.number().filter(|number| *number <= MOST);
        number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| {
            entry.wrong(
                format_args!("must be an integer from 0 to {MOST}"),
                "leave the key out, or write 0, for any number of sessions",
            )
        })
    });
    let at_limit = section.may(AT_LIMIT.name, |entry| {
        entry.choice(&[("end-oldest", AtLimit::EndOldest), ("refuse", AtLimit::Refuse)])
    });
    if let (Ok(None), Ok(Some(_))) = (&most, &at_limit) {
        section.wrong(
            AT_LIMIT.name,
            "is never used: `max_per_user` sets no limit",
            "write max_per_user = 5, or remove this key",
        );
    }
    let at_limit = at_limit?.unwrap_or(AtLimit::EndOldest);
    let cap = NonZeroUsize::new(most?.unwrap_or(0)).map(|most| Cap { most, at_limit });
    Ok(EndingSettings { revocable: revocable?, cap })
}
