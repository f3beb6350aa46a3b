//! Points in time, as values.
//!
//! I own: [`Timestamp`]. I may call: `std`. I never read a clock; whoever holds the clock passes `now` in.

use std::time::Duration;

/// A point in time: whole milliseconds since the Unix epoch, never before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Before everything that happens.
    pub const NEVER: Self = Self(0);

    /// From milliseconds since the Unix epoch.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the Unix epoch, as JWT NumericDates count them (RFC 7519 section 2).
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This moment and a span more; stops at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This moment less a span; stops at the epoch.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let epoch = Timestamp::from_unix_millis(0);
        assert_eq!(epoch.minus(Duration::from_secs(1)), epoch);
        assert_eq!(epoch.plus(Duration::MAX).unix_millis(), u64::MAX);
        assert_eq!(Timestamp::from_unix_seconds(u64::MAX).unix_millis(), u64::MAX);
        assert_eq!(epoch.since(Timestamp::from_unix_seconds(5)), Duration::ZERO);
    }
}
