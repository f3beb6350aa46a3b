//! One shelf of the near cache: what it holds, and what may be put on it.
//!
//! I own: [`Shard`], its bounds, and the rule of fills. I may call: `domain`. I know neither time nor trust, and do nothing
//! by myself: whoever calls me holds the lock. I never keep a ticket: what opens a record stays with its browser.
//!
//! **The rule of fills.** A session is read on one connection, and its changes are told on another: a read may have been
//! answered before a change and arrive after the news of it. So whoever reads takes a [`Mark`] first, each change moves
//! the shard's generation on, and what was read is kept only if the generation is still that of the mark.

use crate::domain::session::{LiveSession, SessionKey};
use crate::domain::time::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// What a shard may hold.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) sessions: usize,
    pub(super) bytes: usize,
}

/// How the world was before a read.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    /// The shard's generation.
    generation: u64,
    /// The feed's epoch: what was read in one is not believed in another.
    epoch: u64,
    /// When the read began, by the stopwatch.
    at: Duration,
}

/// A session that is held.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) live: LiveSession,
    /// As in [`Mark`].
    pub(super) epoch: u64,
    /// As in [`Mark`].
    pub(super) at: Duration,
}

/// What became of a fill.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// It is kept, and so many others had to go.
    Kept(usize),
    /// Something was changed since the mark.
    Refused,
    /// It is larger than the whole shard.
    TooLarge,
}

struct Slot {
    kept: Kept,
    bytes: usize,
    /// The place in the order that is its own; others with its key are left from before.
    place: u64,
    /// Asked for since it last stood at the front.
    used: bool,
}

/// Some of the sessions.
pub(super) struct Shard {
    bounds: Bounds,
    slots: HashMap<SessionKey, Slot>,
    /// Who goes next, the oldest first. Who was asked for meanwhile gets a second chance.
    order: VecDeque<(SessionKey, u64)>,
    places: u64,
    generation: u64,
    bytes: usize,
}

impl Shard {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, slots: HashMap::new(), order: VecDeque::new(), places: 0, generation: 0, bytes: 0 }
    }

    /// To be taken before the store is asked.
    pub(super) fn mark(&self, epoch: u64, at: Duration) -> Mark {
        Mark { generation: self.generation, epoch, at }
    }

    /// What is held of a session.
    pub(super) fn look(&mut self, key: &SessionKey) -> Option<Kept> {
        let slot = self.slots.get_mut(key)?;
        slot.used = true;
        Some(slot.kept.clone())
    }

    /// Keeps what was read since `mark`, `bytes` large. What is held is never older afterwards than what was read, whether
    /// that is kept or not: whoever reads again finds what they have seen, or something newer.
    pub(super) fn fill(&mut self, mut live: LiveSession, mark: Mark, bytes: usize) -> Filled {
        let held = self.slots.get(&live.key).map(|slot| (slot.kept.epoch, slot.kept.live.version));
        let (is_refused, is_too_large) = (self.generation != mark.generation, bytes > self.bounds.bytes);
        if is_refused || is_too_large {
            if held.is_some_and(|(_, version)| version < live.version) {
                self.take(&live.key);
            }
            return if is_refused { Filled::Refused } else { Filled::TooLarge };
        }
        // Of two reads at once the one that was answered first came last. In a new epoch versions may have gone back.
        if held.is_some_and(|(epoch, version)| epoch == mark.epoch && version > live.version) {
            return Filled::Refused;
        }
        if let Some(before) = self.take(&live.key) {
            // Its use may have been noted here while the store was read.
            live.last_seen = live.last_seen.max(before.kept.live.last_seen);
        }
        let key = live.key;
        self.places += 1;
        let (place, kept) = (self.places, Kept { live, epoch: mark.epoch, at: mark.at });
        self.slots.insert(key, Slot { kept, bytes, place, used: false });
        self.order.push_back((key, place));
        self.bytes += bytes;
        let evicted = self.make_room();
        self.sweep();
        Filled::Kept(evicted)
    }

    /// A record was changed, or is about to be: nothing of before is kept, nor put back by a read that is under way.
    pub(super) fn strike(&mut self, key: &SessionKey) {
        self.generation += 1;
        self.take(key);
    }

    /// The store has no such record.
    pub(super) fn forget(&mut self, key: &SessionKey) {
        self.take(key);
    }

    /// A session was used.
    pub(super) fn seen(&mut self, key: &SessionKey, now: Timestamp) {
        if let Some(slot) = self.slots.get_mut(key) {
            let live = &mut slot.kept.live;
            live.last_seen = live.last_seen.max(now);
        }
    }

    /// How many sessions there are, and how large they are.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.slots.len(), self.bytes)
    }

    fn take(&mut self, key: &SessionKey) -> Option<Slot> {
        let slot = self.slots.remove(key)?;
        self.bytes -= slot.bytes;
        Some(slot)
    }

    fn make_room(&mut self) -> usize {
        let mut evicted = 0;
        while self.slots.len() > self.bounds.sessions || self.bytes > self.bounds.bytes {
            let Some((key, place)) = self.order.pop_front() else { break };
            let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.place == place) else { continue };
            if std::mem::take(&mut slot.used) {
                self.order.push_back((key, place));
                continue;
            }
            self.take(&key);
            evicted += 1;
        }
        evicted
    }

    /// Places whose session has gone are swept out now and then, so that they stay fewer than the sessions.
    fn sweep(&mut self) {
        if self.order.len() > 2 * self.slots.len() + 16 {
            let slots = &self.slots;
            self.order.retain(|(key, place)| slots.get(key).is_some_and(|slot| slot.place == *place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::tests::{live, session};

    const WIDE: Bounds = Bounds { sessions: 100, bytes: 1_000_000 };
    const AT: Duration = Duration::from_secs(1);

    fn key(byte: u8) -> SessionKey {
        SessionKey::from_digest([byte; 32])
    }

    fn of(byte: u8, version: u64) -> LiveSession {
        LiveSession { key: key(byte), version, ..live(session()) }
    }

    fn kept(shard: &mut Shard, byte: u8) -> Option<u64> {
        shard.slots.get(&key(byte)).map(|slot| slot.kept.live.version)
    }

    fn fill(shard: &mut Shard, byte: u8) -> Filled {
        let mark = shard.mark(1, AT);
        shard.fill(of(byte, 1), mark, 100)
    }

    /// Two readers, a writer and its news, in every order that keeps each one's own steps in order: whatever is kept at
    /// the end is what the store holds.
    #[test]
    fn a34_no_order_of_reads_writes_and_news_keeps_what_was_overwritten() {
        #[derive(Clone, Copy, PartialEq)]
        enum Step {
            Mark(usize),
            Read(usize),
            Fill(usize),
            Write,
            Remove,
            News,
        }
        use Step::{Fill, Mark as Take, News, Read, Remove, Write};
        let mut orders = 0;
        let mut refused = 0;
        for last in [Write, Remove] {
            // News of a write is told after it, by another road than the answers.
            let people: [&[Step]; 5] = [
                &[Take(0), Read(0), Fill(0)],
                &[Take(1), Read(1), Fill(1)],
                &[Write, News],
                &[last, News],
                &[],
            ];
            let mut pending = vec![(Vec::new(), [0usize; 5])];
            while let Some((order, at)) = pending.pop() {
                let mut is_whole = true;
                for (who, steps) in people.iter().enumerate() {
                    if at[who] < steps.len() {
                        is_whole = false;
                        let (mut longer, mut next) = (order.clone(), at);
                        longer.push(steps[at[who]]);
                        next[who] += 1;
                        pending.push((longer, next));
                    }
                }
                if !is_whole {
                    continue;
                }
                orders += 1;
                let mut shard = Shard::new(WIDE);
                let mut store = Some(1);
                let mut marks = [None; 2];
                let mut reads = [None; 2];
                for step in order {
                    match step {
                        Take(who) => marks[who] = Some(shard.mark(1, AT)),
                        Read(who) => reads[who] = store,
                        Fill(who) => match reads[who] {
                            Some(version) => {
                                let filled = shard.fill(of(7, version), marks[who].unwrap(), 100);
                                refused += usize::from(filled == Filled::Refused);
                            }
                            None => shard.forget(&key(7)),
                        },
                        Write => store = store.map(|version| version + 1),
                        Remove => store = None,
                        News => shard.strike(&key(7)),
                    }
                }
                let held = kept(&mut shard, 7);
                assert!(held.is_none() || held == store, "{held:?} {store:?}");
            }
        }
        // 10! / (3! 3! 2! 2!) for each of the two.
        assert_eq!(orders, 2 * 25_200);
        assert!(refused > 1000);
    }

    #[test]
    fn r45_what_is_held_is_never_older_than_what_was_read() {
        let mut shard = Shard::new(WIDE);
        // The news of the second version are under way, and those of another session refuse the fill.
        fill(&mut shard, 1);
        let mark = shard.mark(1, AT);
        shard.strike(&key(2));
        assert_eq!(shard.fill(of(1, 2), mark, 100), Filled::Refused);
        assert_eq!(kept(&mut shard, 1), None);
        // It has grown out of the shard.
        fill(&mut shard, 1);
        let mark = shard.mark(1, AT);
        assert_eq!(shard.fill(of(1, 2), mark, WIDE.bytes + 1), Filled::TooLarge);
        assert_eq!(kept(&mut shard, 1), None);
        // A read that was answered before another one, and comes after it.
        let slow = shard.mark(1, AT);
        let mark = shard.mark(1, AT);
        assert_eq!(shard.fill(of(1, 2), mark, 100), Filled::Kept(0));
        assert_eq!(shard.fill(of(1, 1), slow, 100), Filled::Refused);
        assert_eq!(kept(&mut shard, 1), Some(2));
        // A failover has lost the second version.
        let mark = shard.mark(2, AT);
        assert_eq!(shard.fill(of(1, 1), mark, 100), Filled::Kept(0));
        assert_eq!((kept(&mut shard, 1), shard.size()), (Some(1), (1, 100)));
    }

    #[test]
    fn what_was_not_asked_for_goes_first() {
        let mut shard = Shard::new(Bounds { sessions: 3, ..WIDE });
        for byte in 1..=3 {
            assert_eq!(fill(&mut shard, byte), Filled::Kept(0));
        }
        assert!(shard.look(&key(1)).is_some());
        assert_eq!(fill(&mut shard, 4), Filled::Kept(1));
        assert_eq!(kept(&mut shard, 1), Some(1));
        assert_eq!(kept(&mut shard, 2), None);
        assert_eq!(shard.size(), (3, 300));
    }

    #[test]
    fn bytes_are_a_bound_too() {
        let mut shard = Shard::new(Bounds { sessions: 100, bytes: 250 });
        for byte in 1..=3 {
            fill(&mut shard, byte);
        }
        assert_eq!(shard.size(), (2, 200));
        let mark = shard.mark(1, AT);
        assert_eq!(shard.fill(of(9, 1), mark, 251), Filled::TooLarge);
    }

    #[test]
    fn those_who_come_and_go_leave_nothing_behind() {
        let mut shard = Shard::new(WIDE);
        for _ in 0..10_000 {
            fill(&mut shard, 1);
            shard.strike(&key(1));
            fill(&mut shard, 2);
        }
        assert_eq!(shard.size(), (1, 100));
        assert!(shard.order.len() < 32, "{}", shard.order.len());
    }

    #[test]
    fn a_use_that_was_noted_during_a_read_is_not_lost() {
        let mut shard = Shard::new(WIDE);
        fill(&mut shard, 1);
        let mark = shard.mark(1, AT);
        let now = Timestamp::from_unix_seconds(5000);
        shard.seen(&key(1), now);
        assert_eq!(shard.fill(of(1, 1), mark, 100), Filled::Kept(0));
        assert_eq!(shard.look(&key(1)).unwrap().live.last_seen, now);
    }
}
