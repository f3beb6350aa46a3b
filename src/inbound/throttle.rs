//! How often one sender has come to sign in.
//!
//! I own: [`Throttle`] and what it remembers. I may call: `domain` (the rate). I never hold more than `MOST` senders,
//! and never an address that has nothing to answer for.

use crate::domain::rate::{Rate, Sender};
use crate::domain::time::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Senders that are remembered; some 100 bytes each.
const MOST: usize = 65_536;

/// Judges how often one sender asks for one thing.
pub struct Throttle {
    rate: Option<Rate>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    spent: HashMap<(&'static str, Sender), Timestamp>,
    /// When those that have nothing to answer for were last forgotten.
    swept: Option<Timestamp>,
}

/// A sweep looks at everybody: a crowd must not cause one each time.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

impl Throttle {
    /// At this rate for each thing; `None` lets everything through.
    pub fn new(rate: Option<Rate>) -> Self {
        Self { rate, memory: Mutex::default() }
    }

    /// Once more the same thing, from the same address or its neighbours.
    ///
    /// # Errors
    /// How long to wait.
    pub fn admit(&self, what: &'static str, client: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let Some(rate) = self.rate else { return Ok(()) };
        let key = (what, Sender::of(client));
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Memory { spent, swept } = &mut *memory;
        let moment = rate.admit(spent.get(&key).copied(), now)?;
        if spent.len() >= MOST && !spent.contains_key(&key) {
            if swept.is_none_or(|last| now < last || now.since(last) >= SWEEP_EVERY) {
                spent.retain(|_, moment| *moment > now);
                *swept = Some(now);
            }
            // So many at once is no sender any more, but a crowd: whoever comes next is let through unremembered.
            if spent.len() >= MOST {
                return Ok(());
            }
        }
        spent.insert(key, moment);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r79_each_sender_and_each_thing_for_itself() {
        let throttle = Throttle::new(Rate::new(2, Duration::from_secs(60)));
        let now = Timestamp::from_unix_seconds(1000);
        let admit = |what, from: &str, now| throttle.admit(what, from.parse().unwrap(), now);
        assert_eq!(admit("login", "192.0.2.1", now), Ok(()));
        assert_eq!(admit("login", "192.0.2.1", now), Ok(()));
        assert_eq!(admit("login", "192.0.2.1", now), Err(Duration::from_secs(30)));
        assert_eq!(admit("callback", "192.0.2.1", now), Ok(()));
        assert_eq!(admit("login", "192.0.2.2", now), Ok(()));
        assert_eq!(admit("login", "192.0.2.1", now.plus(Duration::from_secs(30))), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::new(Rate::new(2, Duration::from_secs(60)));
        let now = Timestamp::from_unix_seconds(1000);
        for at in 0..MOST as u32 + 100 {
            throttle.admit("login", std::net::Ipv4Addr::from(at).into(), now).unwrap();
        }
        assert_eq!(throttle.memory.lock().unwrap().spent.len(), MOST);
        let later = now.plus(Duration::from_secs(60));
        throttle.admit("login", [255, 0, 0, 1].into(), later).unwrap();
        assert_eq!(throttle.memory.lock().unwrap().spent.len(), 1);
    }
}
