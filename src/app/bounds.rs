//! The time limits that nobody can configure, for `keycard check`.
//!
//! I own: the list. I may call: the rooms that own the numbers. I never state a number myself.

use crate::config::Bound;
use crate::gateway::ending::SUPERSEDED_FOR;
use crate::gateway::revoking::LOOK_EVERY;
use crate::oidc;
use crate::ports::GIVEN_UP_AFTER;
use crate::upstream;
use std::time::Duration;

/// All of them.
pub fn bounds() -> Vec<Bound> {
    let bound = |what, span: Duration, note| Bound { what, span, note };
    let (least, most) = oidc::KEYS_KEPT_WITHIN;
    vec![
        bound(
            "after a new sign-in the old ticket lives for",
            SUPERSEDED_FOR,
            "for requests in flight of the same person",
        ),
        bound("a provider's metadata are kept for", oidc::METADATA_KEPT, ""),
        bound("a provider's keys are kept for", oidc::KEYS_KEPT, "unless it says otherwise"),
        bound("  at least", least, "whatever it says"),
        bound("  at most", most, "whatever it says"),
        bound("keys are fetched early at most every", oidc::UNKNOWN_KEY_EVERY, "twice in a row if need be"),
        bound("a failed renewal is tried again after", oidc::RENEWAL_RETRY, "with the old ones meanwhile"),
        bound(
            "a token of an ended session is tried to be revoked for",
            GIVEN_UP_AFTER,
            "then the provider has it",
        ),
        bound("what another gateway left to revoke is looked for every", LOOK_EVERY, ""),
        bound("connecting to an app takes at most", upstream::CONNECT_TIMEOUT, ""),
        bound("an idle connection to an app is kept for", upstream::IDLE_TIMEOUT, ""),
    ]
}
