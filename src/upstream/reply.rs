//! An upstream's answer on its way back.
//!
//! I own: [`UpstreamReply`], [`ReplyBody`] and the rules of framing that hyper leaves open (R74). I may call: `body`, `files`.
//! I never read ahead of the browser, and I never take a body that broke off for one that ended.

use crate::upstream::UpstreamError;
use crate::upstream::body::Upload;
use crate::upstream::files::body::FileBody;
use bytes::Bytes;
use futures_util::Stream;
use http::header::{self, HeaderMap};
use http::{Method, StatusCode, Version};
use hyper::body::{Body, Incoming};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// What an upstream answered.
pub struct UpstreamReply {
    /// The status; never 1xx.
    pub status: StatusCode,
    /// The headers, cleaned, without any about framing.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
}

/// A reply's body: a stream of chunks that reads from the upstream only when it is polled. Dropping it before the end
/// cuts the connection to the upstream. It ends with `None` only when the upstream's message is complete.
pub struct ReplyBody {
    incoming: Option<Incoming>,
    file: Option<FileBody>,
    declared: Option<u64>,
    bodiless: bool,
    stall: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    upload: Option<Upload>,
}

/// Why a body did not arrive whole. The message to the browser must be aborted, never ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The connection broke off, or the upstream's framing did.
    #[error("the upstream's reply broke off")]
    Broken,
    /// Nothing came for longer than `stall_timeout`.
    #[error("the upstream's reply stalled")]
    Stalled,
    /// The session that asked for it has ended.
    #[error("the session ended before the reply did")]
    SessionOver,
}

impl ReplyBody {
    pub(super) fn new(incoming: Incoming, framing: Framing, stall: Duration, upload: Option<Upload>) -> Self {
        let Framing { declared, bodiless, .. } = framing;
        let incoming = (!bodiless).then_some(incoming);
        // An upload may outlast the reply's head; a reply that is over already ends it.
        let upload = upload.filter(|_| incoming.is_some());
        Self { incoming, file: None, declared, bodiless, stall, timer: None, waiting: false, upload }
    }

    /// Bytes of a file; `declared` is their number, and of a reply to HEAD what a GET would have had. A disk does not
    /// stall, it fails.
    pub(super) fn of_file(file: Option<FileBody>, declared: u64, bodiless: bool) -> Self {
        let stall = Duration::MAX;
        Self {
            incoming: None,
            file,
            declared: Some(declared),
            bodiless,
            stall,
            timer: None,
            waiting: false,
            upload: None,
        }
    }

    /// The upstream's `Content-Length` in bytes. Where [`Self::is_bodiless`], it is what a GET would have had
    /// (RFC 9110 section 8.6).
    pub fn declared_length(&self) -> Option<u64> {
        self.declared
    }

    /// Whether there is no body by the rules, whatever the headers say: HEAD, 204, 304 (R77).
    pub fn is_bodiless(&self) -> bool {
        self.bodiless
    }

    fn end(&mut self) {
        self.incoming = None;
        self.upload = None;
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stall = self.stall;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        if !self.waiting {
            timer.as_mut().reset(Instant::now() + stall);
            self.waiting = true;
        }
        timer.as_mut().poll(cx)
    }
}

impl Stream for ReplyBody {
    type Item = Result<Bytes, ReplyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(file) = &mut this.file {
            return Pin::new(file).poll_next(cx);
        }
        loop {
            let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
            match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.waiting = false;
                    match frame.into_data() {
                        Ok(chunk) if !chunk.is_empty() => return Poll::Ready(Some(Ok(chunk))),
                        // Trailers end here (R77).
                        Ok(_) | Err(_) => {}
                    }
                }
                Poll::Ready(None) => {
                    this.end();
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(_))) => {
                    this.end();
                    return Poll::Ready(Some(Err(ReplyError::Broken)));
                }
                Poll::Pending => {
                    if this.poll_stall(cx).is_ready() {
                        this.end();
                        return Poll::Ready(Some(Err(ReplyError::Stalled)));
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

/// How a reply is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    declared: Option<u64>,
    bodiless: bool,
    /// Whether the connection can be trusted with another request.
    pub(super) reusable: bool,
}

impl Framing {
    /// Judges a reply's head more strictly than hyper, which takes `Transfer-Encoding` beside `Content-Length`,
    /// codings other than `chunked`, and repeated lengths (R74; RFC 9112 section 6.3).
    ///
    /// # Errors
    /// [`UpstreamError::BadResponse`] when two readers could see two different messages.
    pub(super) fn judge(
        method: &Method,
        status: StatusCode,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, UpstreamError> {
        if status.is_informational() {
            // hyper skips all but 101, and nobody asked for an upgrade.
            return Err(UpstreamError::BadResponse("it switched protocols without being asked"));
        }
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        let coded = match (codings.next(), codings.next()) {
            (None, _) => false,
            (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
            _ => return Err(UpstreamError::BadResponse("its transfer coding is not just chunked")),
        };
        if coded && version != Version::HTTP_11 {
            return Err(UpstreamError::BadResponse("it has a transfer coding in HTTP/1.0"));
        }
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let declared = match (lengths.next(), lengths.next()) {
            (None, _) => None,
            (Some(length), None) => Some(digits(length.as_bytes())?),
            _ => return Err(UpstreamError::BadResponse("it has several lengths")),
        };
        if coded && declared.is_some() {
            return Err(UpstreamError::BadResponse("it has a length and a transfer coding"));
        }
        let contentless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        // RFC 9112 section 6.3: such a reply ends with its head. One that announces content all the same may be
        // followed by it, and that must not become the next reply on the connection.
        let lies = match status {
            StatusCode::NO_CONTENT => coded || declared.is_some_and(|length| length > 0),
            StatusCode::NOT_MODIFIED => coded,
            _ => false,
        };
        Ok(Self {
            declared: declared.filter(|_| status != StatusCode::NO_CONTENT),
            bodiless: contentless || *method == Method::HEAD,
            reusable: !lies,
        })
    }
}

fn digits(text: &[u8]) -> Result<u64, UpstreamError> {
    let plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.filter(|_| plain).ok_or(UpstreamError::BadResponse("its length is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{HeaderName, HeaderValue};

    fn judge(
        method: &Method,
        status: u16,
        version: Version,
        headers: &[(&'static str, &'static str)],
    ) -> Result<(Option<u64>, bool, bool), ()> {
        let map = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        map.for_each(|(name, value)| {
            headers.append(name, value);
        });
        Framing::judge(method, StatusCode::from_u16(status).unwrap(), version, &headers)
            .map(|framing| (framing.declared, framing.bodiless, framing.reusable))
            .map_err(|_| ())
    }

    #[test]
    fn r74_a28_a_reply_with_two_readings_is_refused() {
        const CL: &str = "content-length";
        const TE: &str = "transfer-encoding";
        let get = |status, headers| judge(&Method::GET, status, Version::HTTP_11, headers);
        for headers in [
            &[(CL, "5"), (TE, "chunked")][..],
            &[(TE, "gzip, chunked")],
            &[(TE, "chunked, identity")],
            &[(TE, "identity")],
            &[(TE, "chunked"), (TE, "chunked")],
            &[(TE, "xchunked")],
            &[(CL, "5"), (CL, "6")],
            &[(CL, "5"), (CL, "5")],
            &[(CL, "5, 5")],
            &[(CL, "+5")],
            &[(CL, "-5")],
            &[(CL, "0x5")],
            &[(CL, "")],
            &[(CL, "18446744073709551616")],
        ] {
            assert!(get(200, headers).is_err(), "{headers:?}");
            assert!(judge(&Method::HEAD, 200, Version::HTTP_11, headers).is_err(), "{headers:?}");
        }
        assert!(get(101, &[]).is_err());
        assert!(judge(&Method::GET, 200, Version::HTTP_10, &[(TE, "chunked")]).is_err());
        assert_eq!(get(200, &[(TE, "Chunked")]), Ok((None, false, true)));
        assert_eq!(get(200, &[(CL, "5")]), Ok((Some(5), false, true)));
        assert_eq!(get(200, &[]), Ok((None, false, true)));
    }

    #[test]
    fn r77_head_204_and_304_have_no_body_whatever_they_say() {
        let with = [("content-length", "5")];
        let judge = |method, status, headers| judge(&method, status, Version::HTTP_11, headers);
        assert_eq!(judge(Method::HEAD, 200, &with), Ok((Some(5), true, true)));
        assert_eq!(judge(Method::GET, 304, &with), Ok((Some(5), true, true)));
        assert_eq!(judge(Method::GET, 204, &with), Ok((None, true, false)));
        assert_eq!(judge(Method::GET, 204, &[("content-length", "0")]), Ok((None, true, true)));
        assert_eq!(judge(Method::GET, 304, &[("transfer-encoding", "chunked")]), Ok((None, true, false)));
    }
}
