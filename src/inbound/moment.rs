//! How a moment is written, in answers and on pages.
//!
//! I own: [`rfc3339`]. I may call: `domain`. I never ask what time it is.

use crate::domain::time::Timestamp;
use chrono::{DateTime, SecondsFormat};

/// RFC 3339 in UTC, to the second.
pub fn rfc3339(time: Timestamp) -> String {
    i64::try_from(time.unix_millis())
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(rfc3339(Timestamp::from_unix_seconds(1_767_225_600)), "2026-01-01T00:00:00Z");
        assert_eq!(rfc3339(Timestamp::from_unix_millis(u64::MAX)), "");
    }
}
