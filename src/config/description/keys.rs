//! What `keycard check` says of the keys.
//!
//! I own: those lines. I may call: `amount`, `keyring` (the names of keys). I never print a key: its name is derived from
//! it, and nothing leads back.

use super::{Row, row};
use crate::config::amount::show_duration;
use crate::config::{KeySource, SessionSettings, StoreSettings};

/// What sessions are sealed with.
pub(super) fn sealed_with(keys: &KeySource) -> String {
    match keys {
        KeySource::BesideStore => "the key beside it".to_owned(),
        KeySource::MadeUp(_) => "a key made up at the start".to_owned(),
        KeySource::Given(keys) => {
            let names: Vec<String> = keys.iter().map(|key| key.id().to_string()).collect();
            match names.split_first() {
                None => "no key".to_owned(),
                Some((first, [])) => format!("key {first}"),
                Some((first, others)) => format!("key {first}; opened by {} as well", others.join(", ")),
            }
        }
    }
}

/// How keys are changed without a sign-out: the order of the steps matters where several gateways share a store.
pub(super) fn rows(session: &SessionSettings) -> Vec<Row> {
    if !matches!(session.keys, KeySource::Given(_)) {
        return Vec::new();
    }
    let note = if matches!(session.store, StoreSettings::Redis(_)) {
        "behind the new one; and every gateway has to have a new one last before any has it first"
    } else {
        "behind the new one, or until `keycard keys status` says that it can be removed"
    };
    vec![row(["an old key of `session.keys` stays for", &show_duration(session.limits.lifetime), note])]
}
