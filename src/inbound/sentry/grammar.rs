//! The lines of a request head, judged one by one.
//!
//! I own: the grammar of RFC 9112 sections 3 and 5, without its leniencies. I may call: `refusal`. I never correct a
//! line, and never see one with its line end.

use super::refusal::Refusal;
use actix_web::http::{Method, Uri};

/// No method in use is longer.
pub const LONGEST_METHOD: usize = 32;

/// What a request line says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The method, if it is one of the usual ones.
    pub method: &'static str,
    /// HTTP/1.1 rather than HTTP/1.0.
    pub is_1_1: bool,
}

/// The word for a method that is none of the usual ones: what a stranger writes stays out of the log.
pub const OTHER_METHOD: &str = "-";

const USUAL: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"];

/// The request line.
///
/// # Errors
/// Whatever is not exactly `method SP target SP HTTP/1.x`.
pub fn request_line(line: &[u8], max_uri: usize) -> Result<RequestLine, Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::RequestLine);
    };
    if !is_token(method) {
        return Err(Refusal::RequestLine);
    }
    if method.len() > LONGEST_METHOD || method == b"TRACE" || method == b"CONNECT" {
        return Err(Refusal::Method);
    }
    if target.len() > max_uri {
        return Err(Refusal::UriTooLong);
    }
    let is_1_1 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Refusal::Version);
        }
        _ => return Err(Refusal::RequestLine),
    };
    // The framework's own readers have the last word, so that it refuses nothing later, without a line in the log.
    let is_uri = target.iter().all(u8::is_ascii_graphic) && Uri::try_from(target).is_ok();
    if !is_uri || !(target.starts_with(b"/") || is_absolute(target) || target == b"*") {
        return Err(Refusal::Target);
    }
    if Method::from_bytes(method).is_err() {
        return Err(Refusal::RequestLine);
    }
    let method = USUAL.iter().find(|usual| usual.as_bytes() == method).copied().unwrap_or(OTHER_METHOD);
    Ok(RequestLine { method, is_1_1 })
}

/// A field line: its name, and its value without the white space around it.
///
/// # Errors
/// [`Refusal::Fold`] for a line that goes on, [`Refusal::FieldName`] for any other name that is no token, and
/// [`Refusal::Control`].
pub fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Refusal::Fold);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Refusal::FieldName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(Refusal::FieldName);
    }
    if value.iter().any(|byte| is_control(*byte)) {
        return Err(Refusal::Control);
    }
    Ok((name, trimmed(value)))
}

/// RFC 9110 section 5.6.2.
pub fn is_token(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|byte| is_token_byte(*byte))
}

/// One character of a token.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A control character that no field value has: all but the tab.
pub fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// Digits, and nothing else, that fit.
pub fn content_length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.len() <= 19 && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// A host with an optional port (RFC 3986 section 3.2.2), without user information.
pub fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.strip_prefix(b"[") {
        Some(rest) => match rest.iter().position(|byte| *byte == b']') {
            Some(end) => {
                let (inside, port) = (&rest[..end], &rest[end + 1..]);
                let literal = inside.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte));
                return literal && !inside.is_empty() && (port.is_empty() || is_port(port));
            }
            None => return false,
        },
        None => value.split_at(value.iter().position(|byte| *byte == b':').unwrap_or(value.len())),
    };
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(byte);
    !host.is_empty() && host.iter().all(in_name) && (port.is_empty() || is_port(port))
}

fn is_port(port: &[u8]) -> bool {
    port.strip_prefix(b":").is_some_and(|digits| digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit))
}

fn is_absolute(target: &[u8]) -> bool {
    let begins = |scheme: &str| {
        target.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    begins("http://") || begins("https://")
}

fn trimmed(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let to = value.iter().rposition(|byte| !blank(byte)).map_or(from, |last| last + 1);
    &value[from..to]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r75_request_lines() {
        for (line, method, is_1_1) in [
            ("GET / HTTP/1.1", "GET", true),
            ("POST /a?b=c HTTP/1.0", "POST", false),
            ("OPTIONS * HTTP/1.1", "OPTIONS", true),
            ("BREW /pot HTTP/1.1", OTHER_METHOD, true),
            ("GET http://a.example/x HTTP/1.1", "GET", true),
        ] {
            assert_eq!(request_line(line.as_bytes(), 100), Ok(RequestLine { method, is_1_1 }), "{line}");
        }
        for (line, refusal) in [
            ("", Refusal::RequestLine),
            ("GET", Refusal::RequestLine),
            ("GET /", Refusal::RequestLine),
            ("GET  / HTTP/1.1", Refusal::RequestLine),
            ("GET /  HTTP/1.1", Refusal::RequestLine),
            ("GET / HTTP/1.1 ", Refusal::RequestLine),
            (" GET / HTTP/1.1", Refusal::RequestLine),
            ("GET\t/ HTTP/1.1", Refusal::RequestLine),
            ("GET / x HTTP/1.1", Refusal::RequestLine),
            ("G(T / HTTP/1.1", Refusal::RequestLine),
            ("GET / http/1.1", Refusal::RequestLine),
            ("GET / HTTP/1.10", Refusal::RequestLine),
            ("GET / HTTP/1", Refusal::RequestLine),
            ("GET / HTTP/1.2", Refusal::Version),
            ("GET / HTTP/2.0", Refusal::Version),
            ("PRI * HTTP/2.0", Refusal::Version),
            ("GET / HTTP/0.9", Refusal::Version),
            ("TRACE / HTTP/1.1", Refusal::Method),
            ("CONNECT a:1 HTTP/1.1", Refusal::Method),
            ("GET a HTTP/1.1", Refusal::Target),
            ("GET ftp://a/ HTTP/1.1", Refusal::Target),
            ("GET /\u{e4} HTTP/1.1", Refusal::Target),
            ("GET /\t HTTP/1.1", Refusal::Target),
            ("GET /\" HTTP/1.1", Refusal::Target),
        ] {
            let verdict = request_line(line.as_bytes(), 100);
            // Whether a quote is in order is for the framework's own reader.
            if line.contains('"') && verdict.is_ok() {
                continue;
            }
            assert_eq!(verdict, Err(refusal), "{line:?}");
        }
        let long = format!("GET /{} HTTP/1.1", "x".repeat(100));
        assert_eq!(request_line(long.as_bytes(), 100), Err(Refusal::UriTooLong));
        assert_eq!(
            request_line(format!("{} / HTTP/1.1", "A".repeat(33)).as_bytes(), 100),
            Err(Refusal::Method)
        );
    }

    #[test]
    fn r75_field_lines() {
        assert_eq!(field(b"Host: a"), Ok((b"Host".as_slice(), b"a".as_slice())));
        assert_eq!(field(b"x:\t a b \t"), Ok((b"x".as_slice(), b"a b".as_slice())));
        assert_eq!(field(b"x: "), Ok((b"x".as_slice(), b"".as_slice())));
        assert_eq!(field("x: \u{e4}".as_bytes()).map(|(_, value)| value.len()), Ok(2));
        for (line, refusal) in [
            (&b" Host: a"[..], Refusal::Fold),
            (b"\tx", Refusal::Fold),
            (b"Host : a", Refusal::FieldName),
            (b"Host\t: a", Refusal::FieldName),
            (b": a", Refusal::FieldName),
            (b"Host", Refusal::FieldName),
            (b"Ho st: a", Refusal::FieldName),
            (b"H\x80st: a", Refusal::FieldName),
            (b"(x): a", Refusal::FieldName),
            (b"x: a\0b", Refusal::Control),
            (b"x: a\x7fb", Refusal::Control),
            (b"x: a\rb", Refusal::Control),
        ] {
            assert_eq!(field(line).map(|_| ()), Err(refusal), "{line:?}");
        }
    }

    #[test]
    fn r74_lengths() {
        for (value, length) in [("0", 0), ("5", 5), ("007", 7), ("9223372036854775807", i64::MAX as u64)] {
            assert_eq!(content_length(value.as_bytes()), Some(length), "{value}");
        }
        for bad in ["", "+5", "-5", "5,5", "5, 5", "0x5", "5 5", "5a", "1e3", "5;", "99999999999999999999"] {
            assert_eq!(content_length(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a30_hosts() {
        for good in ["a", "a.example:443", "127.0.0.1:80", "[::1]:80", "[::1]", "a_b", "xn--a", "a:"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "u@a", "a/b", "a,b", "a:b", "a:1:2", "[::1", "[]", "[::1]x", "a:123456",
            "a\\b", "a?b", "a#b",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
