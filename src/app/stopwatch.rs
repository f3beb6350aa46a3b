//! The stopwatch of this machine.
//!
//! I own: [`BootClock`]. I may call: `ports`. I never read the time of day: that can be set.

use crate::ports::Stopwatch;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A clock that runs while the machine sleeps. Linux's monotonic one, which is behind `std::time::Instant`, stands still
/// then: a gateway that wakes up would believe for another second what was true an hour ago.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;

/// Elsewhere the monotonic clock counts sleep.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

/// Time since the machine was started.
pub struct BootClock;

impl Stopwatch for BootClock {
    fn elapsed(&self) -> Duration {
        let now = clock_gettime(CLOCK);
        // Neither can be negative, nor the second larger than a second.
        Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs() {
        let before = BootClock.elapsed();
        assert!(before > Duration::ZERO);
        while BootClock.elapsed() == before {
            std::thread::yield_now();
        }
        assert!(BootClock.elapsed() > before);
    }
}
