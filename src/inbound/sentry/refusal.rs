//! Why the sentry lets a request go no further, and what its sender hears.
//!
//! I own: [`Refusal`], its status and code, and the bytes of the answer. I may call: nothing. I never repeat anything
//! that a stranger sent.

/// Why. The code is the cause in the access line and the last part of the problem's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A CR without its LF (RFC 9112 section 2.2).
    BareCr,
    /// A LF without its CR.
    BareLf,
    /// A control character, NUL included, where text belongs.
    Control,
    /// No `method SP target SP version` (RFC 9112 section 3).
    RequestLine,
    /// TRACE, CONNECT, or a method longer than any (R77).
    Method,
    /// A target that is no URI reference.
    Target,
    /// A target longer than `max_uri`.
    UriTooLong,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// A line that goes on with white space (RFC 9112 section 5.2).
    Fold,
    /// A field name that is no token, or white space before the colon (RFC 9112 section 5.1).
    FieldName,
    /// More than `max_header_bytes`.
    HeadTooLarge,
    /// More lines than `max_headers`, or more cookies than browsers keep for one site.
    TooManyHeaders,
    /// No `Host` in HTTP/1.1, several, or one that is no host (RFC 9112 section 3.2).
    Host,
    /// A length that is not one number (RFC 9112 section 6.3).
    ContentLength,
    /// Anything but one `chunked`, or in HTTP/1.0 (RFC 9112 section 6.1).
    TransferEncoding,
    /// Both framings at once.
    TwoFramings,
    /// An expectation other than `100-continue` (RFC 9110 section 10.1.1).
    Expectation,
    /// The head did not arrive in time.
    HeadTimeout,
    /// A chunk size that is none (RFC 9112 section 7.1).
    ChunkSize,
    /// Too much, or nonsense, behind a chunk size.
    ChunkExtension,
    /// A chunk that does not end where it said.
    ChunkEnd,
    /// A trailer section that is too large or has framing in it.
    Trailer,
    /// Nothing more of a body within `body_stall_timeout`.
    BodyTimeout,
}

impl Refusal {
    /// Every one of them.
    #[cfg(test)]
    pub const ALL: [Self; 23] = [
        Self::BareCr,
        Self::BareLf,
        Self::Control,
        Self::RequestLine,
        Self::Method,
        Self::Target,
        Self::UriTooLong,
        Self::Version,
        Self::Fold,
        Self::FieldName,
        Self::HeadTooLarge,
        Self::TooManyHeaders,
        Self::Host,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::TwoFramings,
        Self::Expectation,
        Self::HeadTimeout,
        Self::ChunkSize,
        Self::ChunkExtension,
        Self::ChunkEnd,
        Self::Trailer,
        Self::BodyTimeout,
    ];

    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::HeadTimeout | Self::BodyTimeout => 408,
            Self::UriTooLong => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::Method => 501,
            Self::Version => 505,
            Self::BareCr
            | Self::BareLf
            | Self::Control
            | Self::RequestLine
            | Self::Target
            | Self::Fold
            | Self::FieldName
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::TwoFramings
            | Self::ChunkSize
            | Self::ChunkExtension
            | Self::ChunkEnd
            | Self::Trailer => 400,
        }
    }

    /// The cause, in one word.
    pub fn code(self) -> &'static str {
        match self {
            Self::BareCr => "bare-cr",
            Self::BareLf => "bare-lf",
            Self::Control => "control-character",
            Self::RequestLine => "request-line",
            Self::Method => "refused-method",
            Self::Target => "request-target",
            Self::UriTooLong => "uri-too-long",
            Self::Version => "http-version",
            Self::Fold => "folded-line",
            Self::FieldName => "field-name",
            Self::HeadTooLarge => "head-too-large",
            Self::TooManyHeaders => "too-many-headers",
            Self::Host => "host",
            Self::ContentLength => "content-length",
            Self::TransferEncoding => "transfer-encoding",
            Self::TwoFramings => "two-framings",
            Self::Expectation => "expectation",
            Self::HeadTimeout => "head-timeout",
            Self::ChunkSize => "chunk-size",
            Self::ChunkExtension => "chunk-extension",
            Self::ChunkEnd => "chunk-end",
            Self::Trailer => "trailer",
            Self::BodyTimeout => "body-timeout",
        }
    }

    /// The whole answer, framing included. It is the last one of its connection.
    pub fn answer(self, request_id: &str) -> Vec<u8> {
        last_answer(self.status(), self.code(), "", request_id)
    }
}

/// A problem document (RFC 9457) as the last answer of a connection; `lines` are further header lines.
pub fn last_answer(status: u16, code: &str, lines: &str, request_id: &str) -> Vec<u8> {
    let (reason, detail) = wording(status);
    // None of these has a character that JSON would escape.
    let body = format!(
        "{{\"type\":\"urn:keycard:problem:{code}\",\"title\":\"{reason}\",\"status\":{status},\
         \"detail\":\"{detail}\",\"correlation_id\":\"{request_id}\"}}"
    );
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         connection: close\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n{lines}\
         x-request-id: {request_id}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn wording(status: u16) -> (&'static str, &'static str) {
    match status {
        408 => ("Request Timeout", "The request did not arrive in time."),
        414 => ("URI Too Long", "The address is longer than this server takes."),
        417 => ("Expectation Failed", "This server meets no such expectation."),
        429 => ("Too Many Requests", "There are too many connections from this address. Try again later."),
        431 => (
            "Request Header Fields Too Large",
            "The request has more or longer headers than this server takes.",
        ),
        501 => ("Not Implemented", "This server does not know that method."),
        503 => ("Service Unavailable", "This server has no room for another connection. Try again later."),
        505 => ("HTTP Version Not Supported", "This server speaks HTTP/1.1."),
        _ => ("Bad Request", "The form of this request is not acceptable here."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_refusal_has_a_code_of_its_own_and_an_answer_that_is_its_last() {
        let codes: BTreeSet<&str> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            let answer = String::from_utf8(refusal.answer("abcdefgh")).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {} ", refusal.status())), "{head}");
            assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
            assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
            let problem: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(problem["status"], refusal.status());
            assert_eq!(problem["correlation_id"], "abcdefgh");
        }
    }
}
