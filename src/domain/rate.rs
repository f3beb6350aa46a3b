//! How often somebody may do something.
//!
//! I own: [`Rate`], which judges by the generic cell rate algorithm (ITU-T I.371), and [`Sender`], who is judged. I may
//! call: `time`. I never remember anything: what is to be remembered is a moment, handed back.

use crate::domain::time::Timestamp;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// So many times within a span; all of them at once, or spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    times: u32,
    within: Duration,
}

impl Rate {
    /// `None` where that would be never, or more often than once in a millisecond.
    pub fn new(times: u32, within: Duration) -> Option<Self> {
        (times > 0 && within / times >= Duration::from_millis(1)).then_some(Self { times, within })
    }

    /// How often.
    pub fn times(self) -> u32 {
        self.times
    }

    /// Within which span.
    pub fn within(self) -> Duration {
        self.within
    }

    /// Judges one more time. `spent` is the moment that the last admission handed back, from when on nothing is spent
    /// any more.
    ///
    /// # Errors
    /// How long to wait, where it is too often.
    pub fn admit(self, spent: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Duration> {
        let full = now.plus(self.within);
        // Nobody has spent more than all: then the clock was set back, and what was before it does not count.
        let spent = spent.filter(|moment| *moment <= full).map_or(now, |moment| moment.max(now));
        let next = spent.plus(self.within / self.times);
        if next > full { Err(next.since(full)) } else { Ok(next) }
    }
}

/// Who sends, as far as an address tells: one of IPv4, or a network of IPv6, of which anybody has 2^64 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sender(IpAddr);

impl Sender {
    /// The sender behind an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            address => Self(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r79_all_at_once_and_then_one_by_one() {
        let rate = Rate::new(3, Duration::from_secs(30)).unwrap();
        let mut now = Timestamp::from_unix_seconds(1000);
        let mut spent = None;
        for _ in 0..3 {
            spent = Some(rate.admit(spent, now).unwrap());
        }
        assert_eq!(rate.admit(spent, now), Err(Duration::from_secs(10)));
        now = now.plus(Duration::from_secs(9));
        assert_eq!(rate.admit(spent, now), Err(Duration::from_secs(1)));
        now = now.plus(Duration::from_secs(1));
        spent = Some(rate.admit(spent, now).unwrap());
        assert!(rate.admit(spent, now).is_err());
        now = now.plus(Duration::from_secs(3600));
        for _ in 0..3 {
            spent = Some(rate.admit(spent, now).unwrap());
        }
        assert!(rate.admit(spent, now).is_err());
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let rate = Rate::new(1, Duration::from_secs(10)).unwrap();
        let later = rate.admit(None, Timestamp::from_unix_seconds(100_000)).unwrap();
        assert!(rate.admit(Some(later), Timestamp::from_unix_seconds(5)).is_ok());
    }

    #[test]
    fn senders() {
        let of = |text: &str| Sender::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::"));
        assert_ne!(of("2001:db8:1:3::"), of("2001:db8:1:2::"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[test]
    fn a_rate_is_one() {
        assert_eq!(Rate::new(0, Duration::from_secs(1)), None);
        assert_eq!(Rate::new(2000, Duration::from_secs(1)), None);
    }
}
