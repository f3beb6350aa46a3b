//! Spans of time and sizes, as they are written in a configuration.
//!
//! I own: the grammar of `1h30m` and `10MB`, both ways. I may call: `std`. I never take a number without a unit for a
//! span of time: whether it meant seconds or milliseconds is nobody's guess.

use std::time::Duration;

/// No span of time is longer than this: ten years. Sums of a few of them cannot overflow a clock.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// Units of time in milliseconds, the largest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Units of size in bytes: decimal ones by their SI names, binary ones by their IEC names.
const SIZE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("KB", 1000),
    ("B", 1),
];

/// Parses `500ms`, `30s`, `5m`, `10h`, `7d`, and larger units before smaller ones: `1h30m`. At most ten years.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut millis, mut units) = (text, 0u64, TIME_UNITS.as_slice());
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let at = units.iter().position(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.checked_mul(units[at].1)?)?;
        units = &units[at + 1..];
        rest = next;
    }
    let span = Duration::from_millis(millis);
    (!text.is_empty() && span <= LONGEST).then_some(span)
}

/// Writes what [`parse_duration`] reads; what is below a millisecond is left out.
pub(super) fn show_duration(span: Duration) -> String {
    let mut millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, length) in TIME_UNITS {
        if millis >= length {
            text.push_str(&format!("{}{unit}", millis / length));
            millis %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Parses `10MB`, `64KiB` or `512B`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text)?;
    let (_, length) = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.checked_mul(*length)
}

/// Writes what [`parse_size`] reads, in the largest unit that leaves a whole number.
pub(super) fn show_size(bytes: u64) -> String {
    let fits = |(_, length): &&(&str, u64)| bytes >= *length && bytes.is_multiple_of(*length);
    match SIZE_UNITS.iter().find(fits) {
        Some((unit, length)) => format!("{}{unit}", bytes / length),
        None => format!("{bytes}B"),
    }
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("10h", 36_000_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("1m500ms", 60_500),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        let bad = [
            "",
            "30",
            "s",
            "30 s",
            "30S",
            "-1s",
            "1.5h",
            "30m1h",
            "1h1h",
            "1w",
            "4000d",
            "99999999999999999999d",
            "18446744073709551615d",
        ];
        for bad in bad {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("10MB", 10_000_000), ("64KiB", 65_536), ("1 GiB", 1 << 30), ("512B", 512)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "10", "MB", "10mb", "1.5MB", "99999999999GiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_size(1), "1B");
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0u64..315_360_000_000) {
            let span = Duration::from_millis(millis);
            proptest::prop_assert_eq!(parse_duration(&show_duration(span)), Some(span));
        }

        #[test]
        fn sizes_are_read_back(bytes: u64) {
            proptest::prop_assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
    }
}
