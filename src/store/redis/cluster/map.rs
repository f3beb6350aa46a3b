//! Which server of a cluster owns which slot, as far as this process knows.
//!
//! I own: [`Map`], and the reading of what `CLUSTER SLOTS` and a redirection say. I may call: the room's own types. I
//! never ask a server, and take what I do not understand for a slot that nobody owns.

use super::slot::SLOTS;
use crate::store::redis::connection::Connection;
use redis::Value;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::store::redis) struct Address {
    pub(in crate::store::redis) host: String,
    pub(in crate::store::redis) port: u16,
}

impl Address {
    /// `host:port`, as redirections have it: an IPv6 address is bare, and no host means whoever said it.
    pub(super) fn parse(text: &str, said_by: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { &said_by.host } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

/// A server that owns slots, and the one connection to it.
pub(in crate::store::redis) struct Node {
    pub(in crate::store::redis) address: Address,
    pub(in crate::store::redis) connection: Arc<Connection>,
}

/// A range of slots, and who owns it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) owner: Address,
}

/// Who owns which slot.
#[derive(Clone)]
pub(in crate::store::redis) struct Map {
    /// For each slot the place of its owner in `nodes`; a place that is not there for nobody.
    owners: Box<[u16]>,
    nodes: Vec<Arc<Node>>,
    /// Slots that are on their way: their keys lie with two servers.
    moving: Box<[bool]>,
}

const NOBODY: u16 = u16::MAX;

impl Map {
    /// Nothing is known.
    pub(super) fn unknown() -> Self {
        let slots = usize::from(SLOTS);
        Self { owners: vec![NOBODY; slots].into(), nodes: Vec::new(), moving: vec![false; slots].into() }
    }

    /// What a server said.
    pub(super) fn said(ranges: &[Range], node: impl Fn(&Address) -> Option<Arc<Node>>) -> Self {
        let mut next = Self::unknown();
        let mut places: HashMap<&Address, u16> = HashMap::new();
        for range in ranges {
            let place = *places.entry(&range.owner).or_insert_with(|| match node(&range.owner) {
                Some(node) => next.place(node),
                None => NOBODY,
            });
            let slots = usize::from(range.first)..=usize::from(range.last.min(SLOTS - 1));
            if let Some(owners) = next.owners.get_mut(slots) {
                owners.fill(place);
            }
        }
        next
    }

    /// One slot has another owner.
    pub(super) fn moved(&self, slot: u16, node: Arc<Node>) -> Self {
        let mut next = self.clone();
        let place = next.place(node);
        if let Some(owner) = next.owners.get_mut(usize::from(slot)) {
            *owner = place;
        }
        next.note(slot, false);
        next
    }

    /// One slot is on its way.
    pub(super) fn parting(&self, slot: u16) -> Self {
        let mut next = self.clone();
        next.note(slot, true);
        next
    }

    pub(in crate::store::redis) fn owner(&self, slot: u16) -> Option<&Arc<Node>> {
        let place = self.owners.get(usize::from(slot))?;
        self.nodes.get(usize::from(*place))
    }

    /// Who owns a slot, whose keys are all there.
    pub(in crate::store::redis) fn settled(&self, slot: u16) -> Option<&Address> {
        if self.is_moving(slot) { None } else { self.address(slot) }
    }

    /// For each slot the number that its owner has, or `nobody` where there is none, or it is on its way.
    pub(in crate::store::redis) fn assigned(
        &self,
        nobody: u16,
        number: impl Fn(&Address) -> u16,
    ) -> Vec<u16> {
        let numbers: Vec<u16> = self.nodes.iter().map(|node| number(&node.address)).collect();
        let of = |(place, moving): (&u16, &bool)| match (moving, numbers.get(usize::from(*place))) {
            (false, Some(number)) => *number,
            _ => nobody,
        };
        self.owners.iter().zip(&self.moving).map(of).collect()
    }

    pub(super) fn is_moving(&self, slot: u16) -> bool {
        self.moving.get(usize::from(slot)).is_some_and(|moving| *moving)
    }

    /// Whether two maps, of any process, agree on who owns what.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for slot in 0..SLOTS {
            self.address(slot).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Whether a server owns just those slots that it says it does.
    pub(super) fn agrees(&self, address: &Address, own: &[(u16, u16)]) -> bool {
        (0..SLOTS).all(|slot| {
            let says = own.iter().any(|(first, last)| (*first..=*last).contains(&slot));
            says == (self.address(slot) == Some(address))
        })
    }

    /// Those who own slots, in an order that all maps agree on.
    pub(in crate::store::redis) fn masters(&self) -> Vec<Arc<Node>> {
        let mut owns = vec![false; self.nodes.len()];
        for place in &self.owners {
            if let Some(owns) = owns.get_mut(usize::from(*place)) {
                *owns = true;
            }
        }
        let mut masters: Vec<Arc<Node>> =
            self.nodes.iter().zip(owns).filter(|(_, owns)| *owns).map(|(node, _)| Arc::clone(node)).collect();
        masters.sort_by(|one, other| {
            (&one.address.host, one.address.port).cmp(&(&other.address.host, other.address.port))
        });
        masters
    }

    fn address(&self, slot: u16) -> Option<&Address> {
        self.owner(slot).map(|node| &node.address)
    }

    fn place(&mut self, node: Arc<Node>) -> u16 {
        let at = self.nodes.iter().position(|known| known.address == node.address).unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        });
        u16::try_from(at).unwrap_or(NOBODY)
    }

    fn note(&mut self, slot: u16, moving: bool) {
        if let Some(is) = self.moving.get_mut(usize::from(slot)) {
            *is = moving;
        }
    }
}

/// The answer of `CLUSTER SLOTS`: ranges with their owner first, then its replicas, which are passed over. A server that
/// does not know its own name is at the address where it was asked. `None` for an answer that names no owner at all.
pub(super) fn ranges(answer: &Value, said_by: &Address) -> Option<Vec<Range>> {
    let Value::Array(rows) = answer else { return None };
    let ranges: Vec<Range> = rows.iter().filter_map(|row| range(row, said_by)).collect();
    (!ranges.is_empty()).then_some(ranges)
}

fn range(row: &Value, said_by: &Address) -> Option<Range> {
    let Value::Array(parts) = row else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(owner), ..] = parts.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = owner.as_slice() else { return None };
    let host = match host {
        Value::Nil => said_by.host.clone(),
        Value::BulkString(host) if host.is_empty() => said_by.host.clone(),
        // One that nobody can reach (`?`).
        Value::BulkString(host) if host == b"?" => return None,
        Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
        Value::SimpleString(host) => host.clone(),
        _ => return None,
    };
    let owner = Address { host, port: u16::try_from(*port).ok()? };
    Some(Range { first: u16::try_from(*first).ok()?, last: u16::try_from(*last).ok()?, owner })
}

/// What a server says of itself in the line of its own.
pub(in crate::store::redis) struct Own {
    /// What it owns, from and to.
    pub(in crate::store::redis) slots: Vec<(u16, u16)>,
    /// What is on its way to it: `[93-<-…]`.
    pub(in crate::store::redis) arriving: Vec<u16>,
}

/// The answer of `CLUSTER NODES`.
pub(in crate::store::redis) fn own(nodes: &str) -> Own {
    let mut lines = nodes.lines().map(|line| line.split(' '));
    let line = lines.find(|words| words.clone().nth(2).is_some_and(|flags| flags.contains("myself")));
    let mut own = Own { slots: Vec::new(), arriving: Vec::new() };
    // Before the slots: id, address, flags, master, two times, epoch, link.
    for word in line.into_iter().flatten().skip(8) {
        if let Some(moving) = word.strip_prefix('[') {
            own.arriving.extend(moving.split_once("-<-").and_then(|(slot, _)| slot.parse::<u16>().ok()));
        } else {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            own.slots.extend(first.parse().ok().zip(last.parse().ok()));
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> Address {
        Address { host: host.into(), port }
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn ranges_are_read_with_their_first_server_and_nothing_is_made_of_nonsense() {
        let asked = address("asked", 7);
        let server =
            |host: Value, port| Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(vec![])]);
        let row = |first, last, host| {
            Value::Array(vec![
                Value::Int(first),
                Value::Int(last),
                server(host, 1),
                server(text("replica"), 2),
            ])
        };
        let rows =
            vec![row(0, 5, text("one")), row(6, 6, Value::Nil), row(7, 7, text("")), row(8, 9, text("?"))];
        let read = ranges(&Value::Array(rows), &asked).unwrap();
        let read: Vec<_> = read.iter().map(|r| (r.first, r.last, r.owner.host.as_str())).collect();
        assert_eq!(read, [(0, 5, "one"), (6, 6, "asked"), (7, 7, "asked")]);
        for foreign in
            [Value::Nil, Value::Array(vec![]), Value::Array(vec![Value::Int(1)]), row(0, 1, Value::Int(1))]
        {
            assert!(ranges(&foreign, &asked).is_none());
        }
        assert!(ranges(&Value::Array(vec![row(-1, 5, text("one"))]), &asked).is_none());
    }

    #[test]
    fn redirections_may_leave_out_the_host() {
        let asked = address("asked", 7);
        assert!(Address::parse("10.0.0.1:6381", &asked) == Some(address("10.0.0.1", 6381)));
        assert!(Address::parse("::1:6381", &asked) == Some(address("::1", 6381)));
        assert!(Address::parse(":6381", &asked) == Some(address("asked", 6381)));
        assert!(Address::parse("nowhere", &asked).is_none() && Address::parse("a:x", &asked).is_none());
    }

    #[test]
    fn a_server_says_what_is_its_own_and_what_is_on_its_way() {
        let nodes = "a 127.0.0.1:1@11 master - 0 0 1 connected 0-10 [3->-b]\n\
                     b 127.0.0.1:2@12 myself,master - 0 0 2 connected 11-20 22 [93-<-a] [7-<-a] [12->-a]\n";
        let own = own(nodes);
        assert_eq!((own.slots, own.arriving), (vec![(11, 20), (22, 22)], vec![93, 7]));
        assert!(super::own("").slots.is_empty());
    }

    #[test]
    fn a_map_agrees_with_who_says_the_same() {
        let map = Map::unknown();
        assert!(map.agrees(&address("a", 1), &[]) && !map.agrees(&address("a", 1), &[(5, 6)]));
        assert_eq!(map.fingerprint(), Map::unknown().fingerprint());
        assert!(map.masters().is_empty() && map.owner(5).is_none());
    }
}
