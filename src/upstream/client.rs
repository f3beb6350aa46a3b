//! The HTTP client under [`crate::upstream::Upstreams`].
//!
//! I own: its settings, the TLS trust, the request target, and the reading of its errors. I may call: `domain`,
//! `body`. I never follow a redirect, speak through a proxy of the environment, or rewrite a path (R70).

use crate::domain::request::RequestFacts;
use crate::domain::route::{Route, UpstreamAddress};
use crate::upstream::UpstreamError;
use crate::upstream::body::UpstreamBody;
use http::Uri;
use http::uri::PathAndQuery;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The client type, named once.
pub(super) type HttpClient = Client<HttpsConnector<HttpConnector>, UpstreamBody>;

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An abandoned connection whose upstream reads nothing cannot be flushed, and hyper waits for that before it closes.
/// After this long without an acknowledgement or an open window, the kernel cuts it (tcp(7), `TCP_USER_TIMEOUT`).
#[cfg(target_os = "linux")]
const DEAD_AFTER: Duration = Duration::from_secs(300);
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_IDLE_PER_HOST: usize = 64;
/// The largest response head, and what is held of a body that nobody reads (R79).
const BUFFER: usize = 128 * 1024;

/// TLS 1.2 and 1.3 with the roots of this machine. On a machine without any, as in a bare container, nobody is
/// trusted: https upstreams fail their handshake, and http ones do not care.
pub(super) fn trust() -> Result<ClientConfig, rustls::Error> {
    let versions = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?;
    let rooted = versions.clone().with_native_roots().unwrap_or_else(|_| {
        tracing::warn!("this machine has no root certificates: upstreams over https cannot be reached");
        versions.with_root_certificates(RootCertStore::empty())
    });
    Ok(rooted.with_no_client_auth())
}

/// A client with an empty pool.
pub(super) fn client(trust: ClientConfig) -> HttpClient {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(DEAD_AFTER));
    // No ALPN is offered, so that HTTP/1.1 is all that can be spoken.
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(trust)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http1_max_buf_size(BUFFER)
        // R80. "Canceled" means that a pooled connection was found closed while the request still lay in its queue:
        // hyper hands the request back whole, its body never polled, and only then is it put on another connection
        // (hyper `proto::h1::dispatch`, `recv_msg`; hyper-util `TrySendError::Retryable`). Nothing was sent, so this
        // is no retry for the upstream. Once the first byte could be out, the error is final, for every method.
        .retry_canceled_requests(true)
        .build(connector)
}

/// The URI of a request at one upstream: the judged path, with what the route has in place of its prefix, and the
/// received query, byte for byte (R70).
///
/// # Errors
/// [`UpstreamError::Unforwardable`] when these bytes cannot stand in a request line as they are.
pub(super) fn target(
    route: &Route,
    facts: &RequestFacts,
    address: &UpstreamAddress,
) -> Result<Uri, UpstreamError> {
    let path = match &route.legacy.base {
        Some(base) => Cow::Owned(facts.path.moved(&route.prefix, base)),
        None => Cow::Borrowed(&facts.path),
    };
    let text = match &facts.query {
        Some(query) => format!("{}?{query}", path.as_str()),
        None => path.as_str().to_owned(),
    };
    let path = PathAndQuery::try_from(text.as_str())
        .ok()
        // A `#` would have been cut off with all that follows.
        .filter(|path| path.as_str() == text)
        .ok_or(UpstreamError::Unforwardable("its target has bytes that no request line may have"))?;
    Uri::builder()
        .scheme(address.scheme())
        .authority(address.authority.as_str())
        .path_and_query(path)
        .build()
        .map_err(|_| UpstreamError::Unreachable("its address is not one"))
}

/// What a failed call means. hyper's own texts are left out: they may quote what was received.
pub(super) fn reading(error: &ClientError) -> UpstreamError {
    if error.is_connect() {
        return UpstreamError::Unreachable(why_unconnected(error));
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref::<hyper::Error>());
    UpstreamError::BadResponse(match cause {
        Some(cause) if cause.is_parse() => "its head is malformed or too large",
        _ => "it closed the connection before it answered",
    })
}

/// What the chain of causes names first; decided by types and kinds, never by texts.
pub(super) fn why_unconnected(error: &(dyn Error + 'static)) -> &'static str {
    if error.is::<rustls::Error>() {
        return "the TLS handshake failed";
    }
    let io = error.downcast_ref::<io::Error>();
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => return "it refused the connection",
        Some(io::ErrorKind::TimedOut) => return "it did not take the connection in time",
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            return "there is no way to its network";
        }
        _ => {}
    }
    // An io::Error hides the error that it wraps from `source`.
    let wrapped = io.and_then(io::Error::get_ref).map(|inner| inner as &(dyn Error + 'static));
    match wrapped.or_else(|| error.source()) {
        Some(cause) => why_unconnected(cause),
        None => "its name cannot be resolved, or the connection failed",
    }
}
