//! One access line for each request, and one entry in the ledger.
//!
//! I own: the request id, the access line and the count of open requests. I may call: `current`, `visit`, `facts`, `ports` (the
//! ledger), `language`, `keyring` (for an id).
//! I never write a path, a query, a cookie, a token, a code or a name: the route, the outcome and the id lead to
//! whatever else is needed (R60, R43).

use super::Desk;
use super::current::Current;
use super::facts;
use super::language::Language;
use super::visit::{Note, Voice};
use crate::keyring;
use crate::ports::{Entry, Ledger};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// The outermost layer: gives the request its id, and writes its line when the response head is ready, or when the
/// client is gone before that.
///
/// # Errors
/// Whatever the layers within let through; there should be none.
pub async fn access_line(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // The whole request goes by what is in force now, whatever is reloaded meanwhile.
    let desk = request.app_data::<web::Data<Current>>().map(|current| current.desk());
    if let Some(desk) = &desk {
        request.extensions_mut().insert(Arc::clone(desk));
    }
    let open = desk.as_ref().map(|desk| Open::new(Arc::clone(&desk.gateway.ledger)));
    let request_id = request_id(&request, desk.as_deref());
    let voice = Voice {
        wants_page: facts::wants_page(request.headers()),
        language: Language::of(request.headers()),
        request_id: Arc::clone(&request_id),
    };
    request.extensions_mut().insert(voice);
    let mut line = Line {
        began: Instant::now(),
        request_id,
        method: request.method().clone(),
        status: None,
        note: Note { outcome: "client-gone", ..Note::default() },
        ledger: desk.as_ref().map(|desk| Arc::clone(&desk.gateway.ledger)),
        open,
    };
    let mut response = next.call(request).await?;
    if let Ok(value) = HeaderValue::from_str(&line.request_id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    line.status = Some(response.status().as_u16());
    line.note = response.response().extensions().get::<Note>().cloned().unwrap_or_default();
    // From here on the body keeps the request open.
    let open = line.open.take();
    Ok(response.map_body(|_, body| BoxBody::new(Counted { body, _open: open })))
}

/// The line of a request that no layer ever saw, and its id. `method` and `cause` are words of ours.
pub fn turned_away(
    ledger: &Arc<dyn Ledger>,
    method: &'static str,
    status: u16,
    cause: &'static str,
    began: Instant,
) -> Arc<str> {
    let request_id = fresh_id();
    drop(Line {
        began,
        request_id: Arc::clone(&request_id),
        method: Method::from_bytes(method.as_bytes()).unwrap_or_default(),
        status: Some(status),
        note: Note { route: "sentry".to_owned(), outcome: "refused", cause: cause.to_owned(), user: None },
        ledger: Some(Arc::clone(ledger)),
        open: None,
    });
    request_id
}

/// Keeps a request in the count of open ones until it is dropped.
struct Open(Arc<dyn Ledger>);

impl Open {
    fn new(ledger: Arc<dyn Ledger>) -> Self {
        ledger.enter(Entry::Opened);
        Self(ledger)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.enter(Entry::Closed);
    }
}

/// A body that counts as open until it has been sent or dropped; otherwise just as it was.
struct Counted {
    body: BoxBody,
    _open: Option<Open>,
}

impl MessageBody for Counted {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let Self { body, _open } = self;
        body.try_into_bytes().map_err(|body| Self { body, _open })
    }
}

/// A line in the making, and the entry in the ledger. Both are written when it is dropped, so that no request goes by
/// without them.
struct Line {
    began: Instant,
    request_id: Arc<str>,
    method: Method,
    status: Option<u16>,
    note: Note,
    ledger: Option<Arc<dyn Ledger>>,
    /// Until the body has it.
    open: Option<Open>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let note = &self.note;
        tracing::info!(
            target: "keycard::access",
            id = &*self.request_id,
            method = self.method.as_str(),
            route = note.route,
            status = self.status,
            outcome = note.outcome,
            cause = (!note.cause.is_empty()).then_some(note.cause.as_str()),
            user = note.user,
            ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        if let Some(ledger) = &self.ledger {
            let route = if note.route.is_empty() { "none" } else { note.route.as_str() };
            ledger.enter(Entry::Request { route, outcome: note.outcome, status: self.status });
        }
    }
}

/// The id of a trusted proxy, if it sent one that is harmless; a fresh one otherwise (R73).
fn request_id(request: &ServiceRequest, desk: Option<&Desk>) -> Arc<str> {
    let peer = request.peer_addr().map(|address| address.ip());
    let trusted = desk.zip(peer).is_some_and(|(desk, peer)| facts::is_trusted(peer, &desk.trusted_proxies));
    let harmless = |id: &&str| {
        (8..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let given = facts::one(request.headers(), "x-request-id").filter(harmless).filter(|_| trusted);
    match given {
        Some(id) => Arc::from(id),
        None => fresh_id(),
    }
}

fn fresh_id() -> Arc<str> {
    keyring::new_text::<12>().map_or_else(|_| Arc::from("unavailable"), |id| Arc::from(id.as_str()))
}
