//! WebSocket tunnels to upstreams.
//!
//! I own: [`Upstreams::switch`], which asks an upstream to speak WebSocket, and [`Tunnel`], the raw bytes of both
//! directions (R78; RFC 6455 section 4, RFC 9110 section 7.8). I may call: `domain`, `client`, `headers`, `reply`,
//! `walker`. I never open a frame, I never try a second upstream, and I never take another protocol than the one that
//! was asked for.

pub mod walker;

use crate::domain::policy::Permit;
use crate::upstream::body::UpstreamBody;
use crate::upstream::headers::{self, UpstreamHead};
use crate::upstream::reply::{Framing, UpstreamReply};
use crate::upstream::rules::HeaderRules;
use crate::upstream::{UpstreamError, Upstreams, aim, client, reply_of};
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf};

const SEC_WEBSOCKET_ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");
const SEC_WEBSOCKET_PROTOCOL: HeaderName = HeaderName::from_static("sec-websocket-protocol");

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// What came of the question.
pub enum Switched {
    /// The upstream speaks WebSocket.
    Tunnel(Tunnel),
    /// It answered something else: an answer like any other.
    Declined(UpstreamReply),
}

/// A connection that has become a tunnel.
pub struct Tunnel {
    /// The headers of the 101, cleaned; `Upgrade` and `Connection` are for the door to set.
    pub headers: HeaderMap,
    /// What comes from the upstream.
    pub reader: TunnelReader,
    /// What goes to it.
    pub writer: TunnelWriter,
}

/// The bytes that come from the upstream. Dropping both halves closes the connection.
pub struct TunnelReader(ReadHalf<TokioIo<Upgraded>>);

/// The bytes that go to the upstream.
pub struct TunnelWriter(WriteHalf<TokioIo<Upgraded>>);

impl TunnelReader {
    /// The next bytes; `None` when the upstream has closed its side.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let mut room = BytesMut::zeroed(CHUNK);
        let mut buffer = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        let filled = buffer.filled().len();
        room.truncate(filled);
        Poll::Ready(Ok((filled > 0).then(|| room.freeze())))
    }
}

impl TunnelWriter {
    /// Sends these bytes on; completes when the kernel has them.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Closes this direction and leaves the other one open.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

impl Upstreams {
    /// Asks the next upstream of the permit's route for a WebSocket. `accept` is the one right answer to the client's
    /// `Sec-WebSocket-Key`.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn switch(
        &self,
        permit: Permit,
        head: UpstreamHead,
        accept: &str,
    ) -> Result<Switched, UpstreamError> {
        let route = permit.route();
        let mut request = Request::new(UpstreamBody::empty());
        *request.headers_mut() = headers::request_headers(&head, &permit, &head.rules);
        let address = route.upstreams.get(self.turn(route));
        let address = address.ok_or(UpstreamError::Unreachable("the route has no upstream"))?;
        aim(&mut request, &permit, address)?;
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        request.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let asked_for =
            request.headers().get_all(&SEC_WEBSOCKET_PROTOCOL).iter().cloned().collect::<Vec<_>>();
        let answered =
            tokio::time::timeout(route.limits.response_timeout, self.client.request(request)).await;
        let mut response =
            answered.map_err(|_| UpstreamError::TimedOut)?.map_err(|error| client::reading(&error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return decline(response, &permit, &head.rules).map(Switched::Declined);
        }
        judge(response.headers(), accept, &asked_for)?;
        let headers = headers::response_headers(response.headers(), &permit, &head.rules);
        let upgraded = hyper::upgrade::on(&mut response)
            .await
            .map_err(|_| UpstreamError::BadResponse("it switched protocols and closed the connection"))?;
        let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
        Ok(Switched::Tunnel(Tunnel { headers, reader: TunnelReader(reader), writer: TunnelWriter(writer) }))
    }
}

fn decline(
    response: Response<Incoming>,
    permit: &Permit,
    rules: &HeaderRules,
) -> Result<UpstreamReply, UpstreamError> {
    let method = &permit.facts().method;
    let framing = Framing::judge(method, response.status(), response.version(), response.headers())?;
    Ok(reply_of(response, framing, (permit, rules), None))
}

/// Whether a 101 is the answer to what was asked (RFC 6455 section 4.1, client requirements 2 to 6; the extensions are
/// between the browser and the app).
fn judge(headers: &HeaderMap, accept: &str, asked_for: &[HeaderValue]) -> Result<(), UpstreamError> {
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    if !one(&header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Err(UpstreamError::BadResponse("it switched to another protocol than was asked for"));
    }
    if one(&SEC_WEBSOCKET_ACCEPT) != Some(accept) {
        return Err(UpstreamError::BadResponse("its Sec-WebSocket-Accept is wrong"));
    }
    let chosen = headers.get_all(&SEC_WEBSOCKET_PROTOCOL).iter().count();
    let was_asked_for = one(&SEC_WEBSOCKET_PROTOCOL).is_some_and(|chosen| {
        let offers = asked_for.iter().filter_map(|offers| offers.to_str().ok());
        offers.flat_map(|offers| offers.split(',')).any(|offer| offer.trim() == chosen)
    });
    if chosen > 0 && !was_asked_for {
        return Err(UpstreamError::BadResponse("it chose a subprotocol that nobody asked for"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 section 1.3.
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn verdict(lines: &[(&'static str, &'static str)]) -> Result<(), UpstreamError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        judge(&headers, ACCEPT, &[HeaderValue::from_static("chat, superchat")])
    }

    #[test]
    fn r78_a_101_is_the_answer_to_what_was_asked() {
        let good = [("upgrade", "WebSocket"), ("sec-websocket-accept", ACCEPT)];
        assert_eq!(verdict(&good), Ok(()));
        assert_eq!(verdict(&[good[0], good[1], ("sec-websocket-protocol", "superchat")]), Ok(()));
        let bad: [&[(&str, &str)]; 7] = [
            &[good[1]],
            &[("upgrade", "h2c"), good[1]],
            &[good[0], ("upgrade", "h2c"), good[1]],
            &[good[0]],
            &[good[0], ("sec-websocket-accept", "AAAA")],
            &[good[0], good[1], ("sec-websocket-protocol", "other")],
            &[good[0], good[1], ("sec-websocket-protocol", "chat"), ("sec-websocket-protocol", "superchat")],
        ];
        for lines in bad {
            assert!(verdict(lines).is_err(), "{lines:?}");
        }
    }
}
