//! Which keys the records of a store still need (issue 5, key rotation).
//!
//! I own: [`Census`], the port `KeyCensus` over any backend, and what a backend owes it ([`Entries`]). I may call:
//! `domain`, `keyring`, `ports`, the room's own types. I never keep more than one page of a store, and never open the part
//! of a record that is its person's alone.
//!
//! A record says in its first bytes which key has sealed it. The name of an index entry does not: it is an HMAC, and a
//! word beside it would tell a thief how old it is. So the names are made again under each key, from the part of the
//! record that operators see, and compared; some microseconds for each record, and records of older versions are
//! counted like new ones.

use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::{KeyId, KeyRing, Purpose};
use crate::ports::{self, Answer, Cursor, KeyCensus, KeyRole, KeyUse};
use crate::store::record::Whose;
use crate::store::{Backend, Glance, IndexName, sealed};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records that are looked at at once.
const PAGE: usize = 500;

/// Keys that are missing and still told apart. Whoever can write to a store can make up any number.
const MOST_MISSING: usize = 32;

/// What a backend owes.
pub(in crate::store) trait Entries: Send + Sync {
    /// The names that lead to each of these sessions, in their order; none for one that is gone.
    fn entries<'a>(&'a self, keys: &'a [SessionKey]) -> Answer<'a, Vec<Vec<IndexName>>>;
}

/// Counts over a backend.
pub(in crate::store) struct Census {
    backend: Arc<dyn Backend>,
    keys: Arc<KeyRing>,
}

impl Census {
    pub(in crate::store) fn new(backend: Arc<dyn Backend>, keys: Arc<KeyRing>) -> Self {
        Self { backend, keys }
    }
}

impl KeyCensus for Census {
    fn take(&self, most: Option<u64>, now: Timestamp) -> Answer<'_, ports::Census> {
        Box::pin(async move {
            let mut count = Count::under(self.keys.held());
            let (mut cursor, mut seen): (Option<Cursor>, u64) = (None, 0);
            // By pages, not by what is found on them: others may keep any number of things in the same store.
            loop {
                let (glances, next) = self.backend.page(cursor.as_ref(), PAGE, now).await?;
                let keys: Vec<SessionKey> = glances.iter().map(|glance| glance.key).collect();
                let entries = self.backend.entries(&keys).await?;
                for (glance, names) in glances.iter().zip(&entries) {
                    count.add(glance, names);
                }
                seen = seen.saturating_add(PAGE as u64);
                match next {
                    Some(next) if most.is_none_or(|most| seen < most) => cursor = Some(next),
                    next => return Ok(count.told(next.is_none())),
                }
            }
        })
    }
}

/// What was counted so far.
struct Count {
    keys: KeyRing,
    known: Vec<(KeyId, Tally)>,
    missing: BTreeMap<[u8; 4], Tally>,
    unreadable: u64,
}

#[derive(Default)]
struct Tally {
    records: u64,
    index_entries: u64,
    sessions: u64,
    last_end: Option<Timestamp>,
}

impl Count {
    fn under(keys: KeyRing) -> Self {
        let known = keys.ids().into_iter().map(|id| (id, Tally::default())).collect();
        Self { keys, known, missing: BTreeMap::new(), unreadable: 0 }
    }

    fn add(&mut self, glance: &Glance, names: &[IndexName]) {
        let Some(sealed_with) = KeyId::of(&glance.operator) else {
            self.unreadable += 1;
            return;
        };
        if !self.keys.has(sealed_with) {
            let id = *sealed_with.as_bytes();
            if self.missing.len() < MOST_MISSING || self.missing.contains_key(&id) {
                let tally = self.missing.entry(id).or_default();
                tally.records += 1;
                tally.sessions += 1;
            } else {
                self.unreadable += 1;
            }
            return;
        }
        let Some(whose) = sealed::whose(&self.keys, glance) else {
            self.unreadable += 1;
            return;
        };
        let made_under = entries_by_key(&self.keys, &whose, names);
        for ((id, tally), entries) in self.known.iter_mut().zip(made_under) {
            let is_sealed = *id == sealed_with;
            tally.records += u64::from(is_sealed);
            tally.index_entries += entries;
            if is_sealed || entries > 0 {
                tally.sessions += 1;
                tally.last_end = tally.last_end.max(Some(whose.ends));
            }
        }
    }

    fn told(self, is_complete: bool) -> ports::Census {
        let told = |id: String, role: KeyRole, tally: Tally| {
            let Tally { records, index_entries, sessions, last_end } = tally;
            KeyUse { id, role, records, index_entries, sessions, last_end }
        };
        let known = self.known.into_iter().enumerate().map(|(at, (id, tally))| {
            told(id.to_string(), if at == 0 { KeyRole::Seals } else { KeyRole::Opens }, tally)
        });
        let missing = self.missing.into_iter().filter_map(|(id, tally)| {
            Some(told(KeyId::from_bytes(&id)?.to_string(), KeyRole::Missing, tally))
        });
        ports::Census { keys: known.chain(missing).collect(), unreadable: self.unreadable, is_complete }
    }
}

/// For each key of the ring, in its order, how many of these names were made under it.
fn entries_by_key(keys: &KeyRing, whose: &Whose, names: &[IndexName]) -> Vec<u64> {
    let mut counts = Vec::new();
    for parts in whose.index_parts() {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        for (at, name) in keys.names(Purpose::Index, &parts).iter().enumerate() {
            if counts.len() <= at {
                counts.push(0);
            }
            counts[at] += u64::from(names.contains(name));
        }
    }
    counts
}
