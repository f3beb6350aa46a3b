//! All names of a cluster, page by page, while slots move between its servers.
//!
//! I own: the walk over the servers, and its cursor. I may call: the cluster. I never end a walk in which a name may have
//! been missed: what is there during the whole walk is found, and may be found twice.
//!
//! The servers are walked one after the other (SCAN). A slot that has another owner than before may have gone from one that
//! was not walked yet to one that was: then the walk begins again, a few times at most. A slot that is still moving has
//! keys with two servers; at the end, what has arrived with its next owner is named as well.

use super::map::{Map, own};
use super::{Cluster, no_end};
use crate::store::redis::connection::{IfBroken, Keep, Request};
use crate::store::redis::failure::Failure;
use redis::cmd;
use std::sync::Arc;

/// How often a walk begins again.
const ROUNDS: u32 = 8;

/// The most names that are asked for of one moving slot.
const IN_ONE_SLOT: u32 = 100_000;

/// Where a walk stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    /// By which map.
    fingerprint: u64,
    /// How often it began.
    round: u32,
    /// Which of its servers.
    node: usize,
    /// SCAN's own.
    scan: u64,
}

impl Place {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(text).ok()?.split('.');
        let fingerprint = u64::from_str_radix(parts.next()?, 16).ok()?;
        let (round, node) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let scan = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { fingerprint, round, node, scan })
    }

    fn text(self) -> Vec<u8> {
        format!("{:x}.{}.{}.{}", self.fingerprint, self.round, self.node, self.scan).into_bytes()
    }
}

/// Some names, and where the next ones are.
pub(in crate::store::redis) type Names = (Vec<Vec<u8>>, Option<Vec<u8>>);

impl Cluster {
    /// About `count` names that match, from a place on; `None` for a place that is not of our making.
    ///
    /// # Errors
    /// As any request.
    pub(in crate::store::redis) async fn names(
        self: &Arc<Self>,
        from: Option<&[u8]>,
        pattern: &str,
        count: usize,
    ) -> Result<Option<Names>, Failure> {
        self.known().await?;
        let map = self.map();
        let fingerprint = map.fingerprint();
        let beginning = Place { fingerprint, round: 0, node: 0, scan: 0 };
        let mut place = match from.map(Place::parse) {
            None => beginning,
            Some(None) => return Ok(None),
            Some(Some(place)) => place,
        };
        if place.fingerprint != fingerprint {
            place = Place { round: place.round.saturating_add(1), ..beginning };
        }
        if place.round > ROUNDS {
            return Err(no_end());
        }
        let masters = map.masters();
        let Some(node) = masters.get(place.node) else { return Ok(None) };
        let mut command = cmd("SCAN");
        command.arg(place.scan).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
        let answer =
            node.connection.try_ask(&Request::Command(&command), IfBroken::AskAgain, Keep::Usual).await;
        let (scan, mut names): (u64, Vec<Vec<u8>>) = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                // Whoever asks again finds another map, if this server was replaced.
                drop(self.ask_anew(None));
                return Err(failure);
            }
        };
        let next = if scan != 0 {
            Some(Place { scan, ..place })
        } else if place.node + 1 < masters.len() {
            Some(Place { node: place.node + 1, scan: 0, ..place })
        } else {
            let again = Place { round: place.round + 1, ..beginning };
            match arrived(&map, pattern).await? {
                Some(arrived) => {
                    names.extend(arrived);
                    None
                }
                None => {
                    drop(self.ask_anew(None));
                    Some(again)
                }
            }
        };
        Ok(Some((names, next.map(Place::text))))
    }
}

/// The names in slots that are on their way, where they have arrived; `None` when a server says that the map is not, or
/// no longer, what the walk took it for.
async fn arrived(map: &Map, pattern: &str) -> Result<Option<Vec<Vec<u8>>>, Failure> {
    let prefix = pattern.trim_end_matches('*').as_bytes();
    let mut found = Vec::new();
    for node in map.masters() {
        let mut question = cmd("CLUSTER");
        question.arg("NODES");
        let nodes: String =
            node.connection.try_ask(&Request::Command(&question), IfBroken::AskAgain, Keep::Usual).await?;
        let own = own(&nodes);
        if !map.agrees(&node.address, &own.slots) {
            return Ok(None);
        }
        for slot in own.arriving {
            let mut question = cmd("CLUSTER");
            question.arg("GETKEYSINSLOT").arg(slot).arg(IN_ONE_SLOT);
            let names: Vec<Vec<u8>> = node
                .connection
                .try_ask(&Request::Command(&question), IfBroken::AskAgain, Keep::Usual)
                .await?;
            found.extend(names.into_iter().filter(|name| name.starts_with(prefix)));
        }
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_way_through_a_cursor_and_nonsense_does_not() {
        let place = Place { fingerprint: 0xfeed, round: 2, node: 1, scan: 77 };
        assert_eq!(Place::parse(&place.text()), Some(place));
        for foreign in ["", "0", "1.2.3", "1.2.3.4.5", "x.0.0.0", "1.-1.0.0", "\u{fffd}"] {
            assert_eq!(Place::parse(foreign.as_bytes()), None, "{foreign}");
        }
    }
}
