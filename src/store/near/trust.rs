//! Whether what is in memory may be believed, and until when.
//!
//! I own: [`Trust`]: the deadlines, the epochs, and for how long an outage is bridged. I may call: `domain` (the
//! stopwatch's time is passed in). I never believe in silence: without a proof the deadline passes by itself.
//!
//! A proof is a heartbeat: something written to the store at a known moment, whose news came in on the feed. All news of
//! before came in before it, so what is held from this epoch was true at that moment; it is believed for one second
//! more. An epoch begins whenever news may have been lost: with each new connection of the feed, and when the store says
//! that everything has changed.
//!
//! A store of several servers has a feed for each. Sessions are spread over places (the slots of a cluster), and for each
//! place one feed speaks. An epoch is that of a place: another one begins when another feed speaks for it. With one server
//! there is one place and one feed.

use crate::domain::session::SessionKey;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a proof is believed, counted from when its heartbeat was sent.
pub(super) const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// Of how many stretches between two changes of a feed the last proof is remembered.
const STRETCHES: usize = 8;

/// An epoch's number is made of a place, the feed that speaks for it, and a count that never repeats.
const COUNT_BITS: u32 = 40;
const FEED_BITS: u32 = 10;

/// The most feeds.
pub(in crate::store) const MOST_FEEDS: u16 = 1 << FEED_BITS;

/// How sessions are spread over feeds.
#[derive(Clone, Copy)]
pub(in crate::store) struct Spread {
    /// How many places there are; at most 16,384.
    pub(in crate::store) places: u16,
    /// How many feeds there may be. With one, it speaks for all places; with more, the first (0) is nobody, and speaks for
    /// all until somebody else does.
    pub(in crate::store) feeds: u16,
    /// The place of a session.
    pub(in crate::store) place: fn(&SessionKey) -> u16,
}

impl Spread {
    /// One feed speaks for everything.
    pub(in crate::store) const ONE: Self = Self { places: 1, feeds: 1, place: |_| 0 };
}

/// What the feeds have proved.
pub(super) struct Trust {
    /// The epoch of each place.
    places: Box<[AtomicU64]>,
    feeds: Box<[Feed]>,
    /// Counts the epochs. Held while they change.
    count: Mutex<u64>,
}

/// What one feed has proved.
#[derive(Default)]
struct Feed {
    /// Whether it speaks for any place.
    speaks: AtomicBool,
    /// Nanoseconds of the stopwatch; 0 for never.
    deadline: AtomicU64,
    proofs: Mutex<Proofs>,
}

#[derive(Default)]
struct Proofs {
    /// The count of the last change that concerned this feed.
    since: u64,
    /// The last proof of each stretch between two changes, the oldest first.
    last: VecDeque<Proof>,
}

/// When a stretch was last proved.
#[derive(Clone, Copy)]
struct Proof {
    since: u64,
    sent: Duration,
}

impl Trust {
    /// Nothing is proved.
    pub(super) fn new(spread: Spread) -> Self {
        let trust = Self {
            places: (0..spread.places).map(|place| AtomicU64::new(epoch(place, 0, 0))).collect(),
            feeds: (0..spread.feeds).map(|_| Feed::default()).collect(),
            count: Mutex::new(0),
        };
        if let [only] = &*trust.feeds {
            only.speaks.store(true, Ordering::SeqCst);
        }
        trust
    }

    /// The epoch that reads of this place belong to which begin now.
    pub(super) fn epoch(&self, place: u16) -> u64 {
        self.places.get(usize::from(place)).map_or(0, |epoch| epoch.load(Ordering::SeqCst))
    }

    /// Whether what was read in `epoch`, and was not struck since, holds at `now`: the place has no later epoch, and the
    /// feed that speaks for it is proved.
    pub(super) fn holds(&self, epoch: u64, now: Duration) -> bool {
        epoch == self.epoch(place_in(epoch))
            && nanos(now) < self.feed_in(epoch).deadline.load(Ordering::SeqCst)
    }

    /// News of this feed may have been lost: nothing of before is believed, until it is read again.
    pub(super) fn begin(&self, feed: u16) {
        let mut count = lock(&self.count);
        *count += 1;
        lock(&self.feed(feed).proofs).since = *count;
        for (place, current) in (0..).zip(&self.places) {
            if feed_of(current.load(Ordering::SeqCst)) == feed {
                current.store(epoch(place, feed, *count), Ordering::SeqCst);
            }
        }
    }

    /// Who speaks for each place from now on. Where that is somebody else than before, nothing of before is believed;
    /// whether there is such a place.
    pub(super) fn assign(&self, speaks_for: impl Fn(u16) -> u16) -> bool {
        let mut count = lock(&self.count);
        *count += 1;
        let mut speaking = vec![false; self.feeds.len()];
        let mut concerned = vec![false; self.feeds.len()];
        let mark = |feeds: &mut [bool], feed: u16| {
            if let Some(is) = feeds.get_mut(usize::from(feed)) {
                *is = true;
            }
        };
        for (place, current) in (0..).zip(&self.places) {
            let (before, feed) = (feed_of(current.load(Ordering::SeqCst)), speaks_for(place));
            mark(&mut speaking, feed);
            if before != feed {
                mark(&mut concerned, before);
                mark(&mut concerned, feed);
                current.store(epoch(place, feed, *count), Ordering::SeqCst);
            }
        }
        for (at, feed) in self.feeds.iter().enumerate() {
            if concerned[at] {
                lock(&feed.proofs).since = *count;
            }
            feed.speaks.store(at > 0 && speaking[at], Ordering::SeqCst);
        }
        concerned.contains(&true)
    }

    /// There is no feed, and nothing that it could tell.
    pub(super) fn always(&self) {
        self.feed(0).deadline.store(u64::MAX, Ordering::SeqCst);
    }

    /// A heartbeat of this feed that was sent at `sent` came back.
    pub(super) fn prove(&self, feed: u16, sent: Duration) {
        let feed = self.feed(feed);
        let mut proofs = lock(&feed.proofs);
        let since = proofs.since;
        match proofs.last.back_mut() {
            Some(proof) if proof.since == since => proof.sent = proof.sent.max(sent),
            _ => proofs.last.push_back(Proof { since, sent }),
        }
        if proofs.last.len() > STRETCHES {
            proofs.last.pop_front();
        }
        feed.deadline.fetch_max(nanos(sent + BELIEVED_FOR), Ordering::SeqCst);
    }

    /// The feed is gone: from now on nothing is believed that it speaks for.
    pub(super) fn lose(&self, feed: u16) {
        let feed = self.feed(feed);
        let _proofs = lock(&feed.proofs);
        feed.deadline.store(0, Ordering::SeqCst);
    }

    /// When a feed was last proved.
    pub(super) fn last_proof(&self, feed: u16) -> Option<Duration> {
        lock(&self.feed(feed).proofs).last.iter().map(|proof| proof.sent).max()
    }

    /// The feeds that speak for any place.
    pub(super) fn speaking(&self) -> impl Iterator<Item = u16> {
        (0..).zip(&self.feeds).filter(|(_, feed)| feed.speaks.load(Ordering::SeqCst)).map(|(at, _)| at)
    }

    /// The last moment at which what was read in `epoch`, at `at`, is known to have held. Where the place has a later
    /// epoch, only the stretch counts in which the epoch began: it was over with the next change at the latest.
    pub(super) fn last_known(&self, epoch: u64, at: Duration) -> Duration {
        let proofs = lock(&self.feed_in(epoch).proofs);
        let is_current = epoch == self.epoch(place_in(epoch));
        let mut of_before = proofs.last.iter().rev().skip_while(|proof| proof.since > count_of(epoch));
        let proof = if is_current { proofs.last.back() } else { of_before.next() };
        proof.map_or(at, |proof| proof.sent.max(at))
    }

    fn feed(&self, feed: u16) -> &Feed {
        // One that is not there is nobody.
        self.feeds.get(usize::from(feed)).unwrap_or(&self.feeds[0])
    }

    fn feed_in(&self, epoch: u64) -> &Feed {
        self.feed(feed_of(epoch))
    }
}

fn epoch(place: u16, feed: u16, count: u64) -> u64 {
    u64::from(place) << (COUNT_BITS + FEED_BITS) | u64::from(feed) << COUNT_BITS | count
}

fn place_in(epoch: u64) -> u16 {
    (epoch >> (COUNT_BITS + FEED_BITS)) as u16
}

fn feed_of(epoch: u64) -> u16 {
    (epoch >> COUNT_BITS) as u16 % MOST_FEEDS
}

fn count_of(epoch: u64) -> u64 {
    epoch & ((1 << COUNT_BITS) - 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Three places, and two feeds beside nobody.
    const SPREAD: Spread = Spread { places: 3, feeds: 3, place: |key| u16::from(key.as_bytes()[0]) % 3 };

    #[test]
    fn a_proof_is_believed_for_a_second_after_it_was_sent() {
        let trust = Trust::new(Spread::ONE);
        assert!(!trust.holds(0, at(0)));
        trust.begin(0);
        assert!(!trust.holds(1, at(0)));
        trust.prove(0, at(5000));
        assert!(trust.holds(1, at(5999)) && !trust.holds(1, at(6000)));
        // One that was sent before and comes later takes nothing away.
        trust.prove(0, at(4000));
        assert!(trust.holds(1, at(5999)));
        trust.lose(0);
        assert!(!trust.holds(1, at(5001)));
    }

    #[test]
    fn a_new_epoch_believes_nothing_of_before() {
        let trust = Trust::new(Spread::ONE);
        trust.begin(0);
        trust.prove(0, at(5000));
        trust.begin(0);
        assert!(!trust.holds(1, at(5001)));
        assert!(trust.holds(2, at(5001)));
        trust.prove(0, at(6000));
        assert_eq!(trust.last_known(1, at(4000)), at(5000));
        assert_eq!(trust.last_known(1, at(5500)), at(5500));
        assert_eq!(trust.last_known(2, at(100)), at(6000));
        assert_eq!(trust.last_known(0, at(100)), at(100));
        assert_eq!(trust.last_proof(0), Some(at(6000)));
        assert!(trust.speaking().eq([0]));
    }

    #[test]
    fn the_memory_of_epochs_is_bounded() {
        let trust = Trust::new(Spread::ONE);
        for round in 1..100 {
            trust.begin(0);
            trust.prove(0, at(round));
        }
        assert_eq!(lock(&trust.feed(0).proofs).last.len(), STRETCHES);
        assert_eq!(trust.last_known(1, at(0)), at(0));
    }

    #[test]
    fn a_place_is_believed_on_the_word_of_the_feed_that_speaks_for_it() {
        let trust = Trust::new(SPREAD);
        assert!(trust.speaking().next().is_none());
        // Nobody proves nothing, whatever is said in that name.
        assert!(!trust.holds(trust.epoch(0), at(0)));
        assert!(trust.assign(|place| [1, 1, 2][usize::from(place)]));
        assert!(!trust.assign(|place| [1, 1, 2][usize::from(place)]), "nothing is new");
        assert!(trust.speaking().eq([1, 2]));
        let read: Vec<u64> = (0..3).map(|place| trust.epoch(place)).collect();
        trust.prove(1, at(5000));
        let held = |now| read.iter().map(|epoch| trust.holds(*epoch, at(now))).collect::<Vec<_>>();
        assert_eq!(held(5500), [true, true, false]);
        trust.prove(2, at(5400));
        assert_eq!(held(5500), [true, true, true]);
        trust.lose(1);
        assert_eq!(held(5500), [false, false, true]);
        trust.prove(1, at(5500));
        trust.begin(2);
        assert_eq!(held(5600), [true, true, false]);
    }

    #[test]
    fn a_place_that_went_to_another_feed_and_back_is_read_again() {
        let trust = Trust::new(SPREAD);
        trust.assign(|_| 1);
        let read: Vec<u64> = (0..3).map(|place| trust.epoch(place)).collect();
        trust.prove(1, at(5000));
        trust.prove(2, at(5000));
        assert!(trust.assign(|place| if place == 1 { 2 } else { 1 }));
        let held = || read.iter().map(|epoch| trust.holds(*epoch, at(5100))).collect::<Vec<_>>();
        assert_eq!(held(), [true, false, true], "the others stay where they are");
        assert!(trust.holds(trust.epoch(1), at(5100)), "what is read from the new owner counts");
        assert!(trust.assign(|_| 1));
        assert_eq!(held(), [true, false, true]);
        // What a feed proves later says nothing of a place that it lost, and goes on for those that it kept.
        trust.prove(1, at(9000));
        assert_eq!(trust.last_known(read[1], at(100)), at(5000));
        assert_eq!(trust.last_known(read[0], at(100)), at(9000));
    }
}
