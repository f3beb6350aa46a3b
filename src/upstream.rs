//! The way to the upstreams.
//!
//! I own: [`Upstreams`], [`UpstreamError`] and everything that speaks HTTP to an upstream; hyper stays in here. I may
//! call: `domain`. I never call anybody without a [`Permit`], and nobody whom the permit's route does not name: method,
//! path and query come from the permit too, so that what was judged is what is sent (R70), or what the route makes of
//! it. [`reach`] opens a connection for `keycard check`, and sends no request on it. [`files`] stands in for an upstream
//! that is a folder.

pub mod body;
mod client;
pub mod files;
mod forwarded;
pub mod headers;
mod identity;
pub mod reach;
pub mod reply;
mod rewrite;
pub mod rules;
pub mod tunnel;

use crate::domain::legacy::HostPolicy;
use crate::domain::policy::Permit;
use crate::domain::route::{Route, RouteLimits, UpstreamAddress};
use crate::upstream::body::{Stage, Upload, UploadError, UpstreamBody};
use crate::upstream::client::HttpClient;
use crate::upstream::headers::UpstreamHead;
use crate::upstream::reply::{Framing, ReplyBody, UpstreamReply};
use crate::upstream::rules::HeaderRules;
use http::{HeaderMap, Method, Request, Response, header};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use rustls::ClientConfig;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a connection to an upstream may take.
pub const CONNECT_TIMEOUT: Duration = client::CONNECT_TIMEOUT;

/// How long an idle connection to an upstream is kept.
pub const IDLE_TIMEOUT: Duration = client::IDLE_TIMEOUT;

/// The upstreams as one worker sees them: its own pool of connections, its own turn in the round.
pub struct Upstreams {
    client: HttpClient,
    trust: ClientConfig,
    turns: Mutex<HashMap<String, usize>>,
}

/// Why no reply came, split by what the stranger gets. The texts hold no URL and no header; the log adds the route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// No connection: 502.
    #[error("the upstream cannot be reached: {0}")]
    Unreachable(&'static str),
    /// No answer within `response_timeout`, or no room for more of the body within `stall_timeout`: 504.
    #[error("the upstream did not answer in time")]
    TimedOut,
    /// The request's body is larger than `max_body`: 413.
    #[error("the request body is larger than the route allows")]
    BodyTooLarge,
    /// The request's body broke off, or was not as long as declared: there is hardly anybody left to answer; else 400.
    #[error("the client cut its request off")]
    ClientAborted,
    /// Nothing more of the request's body came within `stall_timeout`: 408.
    #[error("the client stopped sending its request")]
    ClientStalled,
    /// What came back is not an acceptable message: 502.
    #[error("the upstream's response was rejected: {0}")]
    BadResponse(&'static str),
    /// The request itself cannot be sent on as it is: 400.
    #[error("the request cannot be forwarded: {0}")]
    Unforwardable(&'static str),
    /// The upstream is a folder, and there is no such file: 404.
    #[error("there is no such file")]
    NoSuchFile,
    /// The upstream is a folder, which takes nothing but GET and HEAD: 405.
    #[error("files are only read")]
    OnlyRead,
}

/// Why no upstream could ever be called.
#[derive(Debug, thiserror::Error)]
#[error("TLS towards upstreams cannot be set up: {0}")]
pub struct TrustError(#[from] rustls::Error);

impl Upstreams {
    /// For the first worker: reads the root certificates of this machine, which takes some milliseconds.
    ///
    /// # Errors
    /// When the cryptography offers no version of TLS.
    pub fn new() -> Result<Self, TrustError> {
        Ok(Self::with_trust(client::trust()?))
    }

    /// For each further worker: the same roots, connections of its own.
    #[must_use]
    pub fn for_another_worker(&self) -> Self {
        Self::with_trust(self.trust.clone())
    }

    fn with_trust(trust: ClientConfig) -> Self {
        let client = client::client(trust.clone());
        Self { client, trust, turns: Mutex::default() }
    }

    /// Sends a permitted request to the next upstream of its route and returns as soon as the reply's head is there.
    /// The body goes on meanwhile; keep feeding its [`body::BodySender`].
    ///
    /// `response_timeout` runs from here, or from the end of the request's body where there is one. Until then
    /// `stall_timeout` bounds every silence. Dropping this future, or the reply before its end, cuts the connection.
    ///
    /// Another upstream of the route is tried only when this one took no connection, so that not a byte was sent, and
    /// the request is idempotent and has no body (R80).
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn send(
        &self,
        permit: Permit,
        head: UpstreamHead,
        mut body: UpstreamBody,
    ) -> Result<UpstreamReply, UpstreamError> {
        let (route, facts) = (permit.route(), permit.facts());
        if matches!(facts.method, Method::CONNECT | Method::TRACE) {
            return Err(UpstreamError::Unforwardable("its method ends at a proxy"));
        }
        if let Some(site) = &route.files {
            // A file reads no body: dropped here, so that whoever sends one hears of it.
            drop(body);
            return files::serve(site, &head, &permit, &head.rules).await;
        }
        let mut headers = headers::request_headers(&head, &permit, &head.rules);
        body.frame(&facts.method, &mut headers);
        let again = body.is_empty() && facts.method.is_idempotent();
        let mut upload = body.watch(route.limits.max_body).map_err(from_upload)?;
        let mut body = Some(body);
        let mut last = UpstreamError::Unreachable("the route has no upstream");
        let attempts = if again { route.upstreams.len() } else { 1 };
        for address in route.upstreams.iter().cycle().skip(self.turn(route)).take(attempts) {
            let mut request = Request::new(body.take().unwrap_or_else(UpstreamBody::empty));
            *request.headers_mut() =
                if attempts == 1 { std::mem::take(&mut headers) } else { headers.clone() };
            aim(&mut request, &permit, address)?;
            match self.call(request, &route.limits, &mut upload).await {
                Ok((response, framing)) => {
                    return Ok(reply_of(response, framing, (&permit, &head.rules), upload));
                }
                Err(UpstreamError::Unreachable(why)) => last = UpstreamError::Unreachable(why),
                Err(other) => return Err(other),
            }
        }
        Err(last)
    }

    /// Whose turn it is, per route: one counter for all would let two routes that alternate starve an upstream.
    fn turn(&self, route: &Route) -> usize {
        if route.upstreams.len() < 2 {
            return 0;
        }
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(route.name.clone()).or_default();
        let now = *turn;
        *turn = (now + 1) % route.upstreams.len();
        now
    }

    async fn call(
        &self,
        mut request: Request<UpstreamBody>,
        limits: &RouteLimits,
        upload: &mut Option<Upload>,
    ) -> Result<(Response<Incoming>, Framing), UpstreamError> {
        let method = request.method().clone();
        let connection = capture_connection(&mut request);
        let answered = head_in_time(self.client.request(request), limits, upload.as_mut()).await?;
        let response = answered.map_err(|error| match upload.as_ref().and_then(Upload::fault) {
            Some(fault) if fault != UploadError::NotWanted => from_upload(fault),
            _ => client::reading(&error),
        })?;
        let framing = Framing::judge(&method, response.status(), response.version(), response.headers());
        if !framing.as_ref().is_ok_and(|framing| framing.reusable)
            && let Some(connected) = connection.connection_metadata().as_ref()
        {
            connected.poison();
        }
        Ok((response, framing?))
    }
}

fn reply_of(
    response: Response<Incoming>,
    framing: Framing,
    (permit, rules): (&Permit, &HeaderRules),
    upload: Option<Upload>,
) -> UpstreamReply {
    let (head, incoming) = response.into_parts();
    let headers: HeaderMap = headers::response_headers(&head.headers, permit, rules);
    let body = ReplyBody::new(incoming, framing, permit.route().limits.stall_timeout, upload);
    UpstreamReply { status: head.status, headers, body }
}

/// What a request, whose headers are there already, says at this address: method, target, and the name it goes by.
fn aim(
    request: &mut Request<UpstreamBody>,
    permit: &Permit,
    address: &UpstreamAddress,
) -> Result<(), UpstreamError> {
    let (route, facts) = (permit.route(), permit.facts());
    *request.uri_mut() = client::target(route, facts, address)?;
    request.method_mut().clone_from(&facts.method);
    if route.legacy.host == HostPolicy::Upstream {
        headers::set(request.headers_mut(), header::HOST, &address.authority);
    }
    Ok(())
}

/// Waits for a reply's head as long as it may take, and while the request's body makes progress.
async fn head_in_time<T>(
    response: impl Future<Output = T>,
    limits: &RouteLimits,
    mut upload: Option<&mut Upload>,
) -> Result<T, UpstreamError> {
    let mut response = pin!(response);
    loop {
        let stage = upload.as_mut().map_or(Stage::Complete, |upload| upload.stage());
        let patience: Duration = match stage {
            Stage::Untouched | Stage::Complete => limits.response_timeout,
            Stage::Taken | Stage::Asking => limits.stall_timeout,
        };
        let progress = async {
            match upload.as_mut() {
                Some(upload) => upload.progress().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            head = &mut response => return Ok(head),
            more = progress => if !more {
                // The connection has let go of the body: from here only the reply is waited for.
                upload = None;
            },
            () = tokio::time::sleep(patience) => return Err(match stage {
                Stage::Asking => UpstreamError::ClientStalled,
                Stage::Untouched | Stage::Taken | Stage::Complete => UpstreamError::TimedOut,
            }),
        }
    }
}

fn from_upload(fault: UploadError) -> UpstreamError {
    match fault {
        UploadError::TooLarge => UpstreamError::BodyTooLarge,
        UploadError::LengthMismatch | UploadError::CutOff | UploadError::NotWanted => {
            UpstreamError::ClientAborted
        }
    }
}

#[cfg(test)]
mod tests;
