//! Whether what is in memory may be believed, and until when.
//!
//! I own: [`Trust`]: the deadline, the feed's epochs, and for how long an outage is bridged. I may call: `ports` (the
//! stopwatch's time is passed in). I never believe in silence: without a proof the deadline passes by itself.
//!
//! A proof is a heartbeat: something written to the store at a known moment, whose news came in on the feed. All news of
//! before came in before it, so what is held from this epoch was true at that moment; it is believed for one second
//! more. An epoch begins whenever news may have been lost: with each new connection of the feed, and when the store says
//! that everything has changed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a proof is believed, counted from when its heartbeat was sent.
pub(super) const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// Of how many epochs the last proof is remembered.
const EPOCHS: usize = 8;

/// What the feed has proved.
pub(super) struct Trust {
    epoch: AtomicU64,
    /// Nanoseconds of the stopwatch; 0 for never.
    deadline: AtomicU64,
    proofs: Mutex<VecDeque<Proof>>,
}

/// When an epoch was last proved.
#[derive(Clone, Copy)]
struct Proof {
    epoch: u64,
    sent: Duration,
}

impl Trust {
    /// Nothing is proved.
    pub(super) fn new() -> Self {
        Self { epoch: AtomicU64::new(0), deadline: AtomicU64::new(0), proofs: Mutex::default() }
    }

    /// The epoch that reads belong to which begin now.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Whether what was read in `epoch`, and was not struck since, holds at `now`.
    pub(super) fn holds(&self, epoch: u64, now: Duration) -> bool {
        epoch == self.epoch() && nanos(now) < self.deadline.load(Ordering::SeqCst)
    }

    /// News may have been lost: nothing of before is believed, until it is read again.
    pub(super) fn begin(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// A heartbeat that was sent at `sent` came back.
    pub(super) fn prove(&self, sent: Duration) {
        let mut proofs = self.lock();
        let epoch = self.epoch();
        match proofs.back_mut() {
            Some(proof) if proof.epoch == epoch => proof.sent = proof.sent.max(sent),
            _ => proofs.push_back(Proof { epoch, sent }),
        }
        if proofs.len() > EPOCHS {
            proofs.pop_front();
        }
        self.deadline.fetch_max(nanos(sent + BELIEVED_FOR), Ordering::SeqCst);
    }

    /// There is no feed, and nothing that it could tell.
    pub(super) fn always(&self) {
        self.deadline.store(u64::MAX, Ordering::SeqCst);
    }

    /// The feed is gone: from now on nothing is believed.
    pub(super) fn lose(&self) {
        let _proofs = self.lock();
        self.deadline.store(0, Ordering::SeqCst);
    }

    /// When the feed was last proved.
    pub(super) fn last_proof(&self) -> Option<Duration> {
        self.lock().iter().map(|proof| proof.sent).max()
    }

    /// The last moment at which what was read in `epoch`, at `at`, is known to have held.
    pub(super) fn last_known(&self, epoch: u64, at: Duration) -> Duration {
        let proofs = self.lock();
        let proof = proofs.iter().find(|proof| proof.epoch == epoch);
        proof.map_or(at, |proof| proof.sent.max(at))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Proof>> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    #[test]
    fn a_proof_is_believed_for_a_second_after_it_was_sent() {
        let trust = Trust::new();
        assert!(!trust.holds(0, at(0)));
        trust.begin();
        assert!(!trust.holds(1, at(0)));
        trust.prove(at(5000));
        assert!(trust.holds(1, at(5999)) && !trust.holds(1, at(6000)));
        // One that was sent before and comes later takes nothing away.
        trust.prove(at(4000));
        assert!(trust.holds(1, at(5999)));
        trust.lose();
        assert!(!trust.holds(1, at(5001)));
    }

    #[test]
    fn a_new_epoch_believes_nothing_of_before() {
        let trust = Trust::new();
        trust.begin();
        trust.prove(at(5000));
        trust.begin();
        assert!(!trust.holds(1, at(5001)));
        assert!(trust.holds(2, at(5001)));
        trust.prove(at(6000));
        assert_eq!(trust.last_known(1, at(4000)), at(5000));
        assert_eq!(trust.last_known(1, at(5500)), at(5500));
        assert_eq!(trust.last_known(2, at(100)), at(6000));
        assert_eq!(trust.last_known(0, at(100)), at(100));
        assert_eq!(trust.last_proof(), Some(at(6000)));
    }

    #[test]
    fn the_memory_of_epochs_is_bounded() {
        let trust = Trust::new();
        for round in 1..100 {
            trust.begin();
            trust.prove(at(round));
        }
        assert_eq!(trust.lock().len(), EPOCHS);
        assert_eq!(trust.last_known(1, at(0)), at(0));
    }
}
