//! Whether a client has the file already, or wants a part of it.
//!
//! I own: the order of preconditions (RFC 9110 section 13.2.2) and the reading of a range (section 14). I may call:
//! `http`. I never send several ranges in one answer: their overlaps have been used to exhaust servers, and nobody's
//! player needs them.

use chrono::{DateTime, NaiveDateTime};
use http::Method;
use http::header::{self, HeaderMap, HeaderName};

/// The one form that is written, and the only one that is read (RFC 9110 section 5.6.7).
const DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// What tells one version of a file from the next.
pub(super) struct Validators {
    /// The strong tag, in its quotes.
    pub(super) tag: String,
    /// In seconds since 1970.
    pub(super) modified: i64,
    /// In bytes.
    pub(super) size: u64,
}

/// What to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it.
    Whole,
    /// These bytes; never none.
    Part { from: u64, length: u64 },
    /// Nothing: the client has it.
    NotModified,
    /// Nothing: the client wants another version.
    Failed,
    /// Nothing: there are no such bytes.
    OutOfRange,
}

/// Seconds since 1970 as an HTTP date; empty for a time that has none.
pub(super) fn date(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).map(|time| time.format(DATE).to_string()).unwrap_or_default()
}

/// Judges a GET or HEAD.
pub(super) fn judge(asked: &HeaderMap, method: &Method, now: &Validators) -> Verdict {
    let has = |name: HeaderName| asked.contains_key(name);
    if has(header::IF_MATCH) {
        if !names(asked, header::IF_MATCH, &now.tag, false) {
            return Verdict::Failed;
        }
    } else if dated(asked, header::IF_UNMODIFIED_SINCE).is_some_and(|since| now.modified > since) {
        return Verdict::Failed;
    }
    if has(header::IF_NONE_MATCH) {
        if names(asked, header::IF_NONE_MATCH, &now.tag, true) {
            return Verdict::NotModified;
        }
    } else if dated(asked, header::IF_MODIFIED_SINCE).is_some_and(|since| now.modified <= since) {
        return Verdict::NotModified;
    }
    if *method != Method::GET || !is_same_version(asked, now) {
        return Verdict::Whole;
    }
    let mut ranges = asked.get_all(header::RANGE).iter();
    match (ranges.next().and_then(|value| value.to_str().ok()), ranges.next()) {
        (Some(range), None) => part(range, now.size),
        _ => Verdict::Whole,
    }
}

/// Whether a list of tags has this one. `weakly` takes `W/"x"` for `"x"`.
fn names(asked: &HeaderMap, name: HeaderName, tag: &str, weakly: bool) -> bool {
    let texts = asked.get_all(name).iter().filter_map(|value| value.to_str().ok());
    // Our tags have no comma.
    texts.flat_map(|text| text.split(',')).map(str::trim).any(|given| {
        given == "*" || given == tag || (weakly && given.strip_prefix("W/").is_some_and(|given| given == tag))
    })
}

/// A date that can be read; any other condition counts as none.
fn dated(asked: &HeaderMap, name: HeaderName) -> Option<i64> {
    let text = asked.get(name)?.to_str().ok()?;
    NaiveDateTime::parse_from_str(text, DATE).ok().map(|time| time.and_utc().timestamp())
}

/// `If-Range`: a strong tag or nothing. A date cannot tell two versions of one second apart, so it never counts, and
/// the whole file is sent, which is always right.
fn is_same_version(asked: &HeaderMap, now: &Validators) -> bool {
    asked.get(header::IF_RANGE).is_none_or(|given| given.as_bytes() == now.tag.as_bytes())
}

fn part(range: &str, size: u64) -> Verdict {
    let Some((unit, spec)) = range.split_once('=') else { return Verdict::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return Verdict::Whole;
    }
    let Some((first, last)) = spec.trim().split_once('-') else { return Verdict::Whole };
    match (number(first), number(last)) {
        (Some(from), None) if last.is_empty() && from < size => Verdict::Part { from, length: size - from },
        (Some(from), Some(last)) if from <= last && from < size => {
            Verdict::Part { from, length: last.min(size - 1) - from + 1 }
        }
        (None, Some(tail)) if first.is_empty() && tail > 0 && size > 0 => {
            let length = tail.min(size);
            Verdict::Part { from: size - length, length }
        }
        (Some(_), None) if last.is_empty() => Verdict::OutOfRange,
        (Some(from), Some(last)) if from <= last => Verdict::OutOfRange,
        (None, Some(_)) if first.is_empty() => Verdict::OutOfRange,
        // Not a range at all (RFC 9110 section 14.2).
        _ => Verdict::Whole,
    }
}

/// Digits and nothing else; a number that is too large for anything is as large as can be.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const THEN: i64 = 784_111_777;

    fn judged(method: Method, headers: &[(&'static str, &'static str)]) -> Verdict {
        let mut asked = HeaderMap::new();
        for (name, value) in headers {
            asked.append(*name, HeaderValue::from_static(value));
        }
        judge(&asked, &method, &Validators { tag: "\"t\"".into(), modified: THEN, size: 10 })
    }

    fn get(headers: &[(&'static str, &'static str)]) -> Verdict {
        judged(Method::GET, headers)
    }

    #[test]
    fn dates_are_written_as_they_are_read() {
        assert_eq!(date(THEN), "Sun, 06 Nov 1994 08:49:37 GMT");
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, date(THEN).parse().unwrap());
        assert_eq!(dated(&headers, header::DATE), Some(THEN));
    }

    #[test]
    fn preconditions_come_in_their_order() {
        const OLDER: (&str, &str) = ("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT");
        const SAME: (&str, &str) = ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (headers, expected) in [
            (&[][..], Verdict::Whole),
            (&[("if-none-match", "\"t\"")], Verdict::NotModified),
            (&[("if-none-match", "W/\"t\"")], Verdict::NotModified),
            (&[("if-none-match", "\"a\", \"t\"")], Verdict::NotModified),
            (&[("if-none-match", "*")], Verdict::NotModified),
            (&[("if-none-match", "\"a\"")], Verdict::Whole),
            (&[SAME], Verdict::NotModified),
            (&[OLDER], Verdict::Whole),
            (&[("if-modified-since", "yesterday")], Verdict::Whole),
            // The tag alone counts where there is one.
            (&[("if-none-match", "\"a\""), SAME], Verdict::Whole),
            (&[("if-match", "\"t\"")], Verdict::Whole),
            (&[("if-match", "W/\"t\"")], Verdict::Failed),
            (&[("if-match", "\"a\"")], Verdict::Failed),
            (&[("if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT")], Verdict::Failed),
            (&[("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")], Verdict::Whole),
        ] {
            assert_eq!(get(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn ranges_are_single_and_exact() {
        let part = |from, length| Verdict::Part { from, length };
        for (range, expected) in [
            ("bytes=0-3", part(0, 4)),
            ("bytes=4-", part(4, 6)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-99", part(0, 10)),
            ("bytes=9-9", part(9, 1)),
            ("bytes=5-99", part(5, 5)),
            ("bytes=5-99999999999999999999999", part(5, 5)),
            ("Bytes=0-0", part(0, 1)),
            ("bytes=10-", Verdict::OutOfRange),
            ("bytes=10-12", Verdict::OutOfRange),
            ("bytes=-0", Verdict::OutOfRange),
            ("bytes=3-1", Verdict::Whole),
            ("bytes=0-1,3-4", Verdict::Whole),
            ("bytes=", Verdict::Whole),
            ("bytes=-", Verdict::Whole),
            ("bytes=+1-2", Verdict::Whole),
            ("lines=0-1", Verdict::Whole),
        ] {
            assert_eq!(get(&[("range", range)]), expected, "{range}");
        }
        assert_eq!(judged(Method::HEAD, &[("range", "bytes=0-3")]), Verdict::Whole);
        assert_eq!(get(&[("range", "bytes=0-1"), ("range", "bytes=2-3")]), Verdict::Whole);
        for (given, expected) in [
            ("\"t\"", part(0, 4)),
            ("\"a\"", Verdict::Whole),
            ("W/\"t\"", Verdict::Whole),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Verdict::Whole),
        ] {
            assert_eq!(get(&[("range", "bytes=0-3"), ("if-range", given)]), expected, "{given}");
        }
        assert_eq!(
            judge(
                &HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=-5"))]),
                &Method::GET,
                &Validators { tag: String::new(), modified: 0, size: 0 }
            ),
            Verdict::OutOfRange
        );
    }
}
