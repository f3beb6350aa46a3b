//! A permitted request on its way to an app.
//!
//! I own: [`Call`], the bridge between the two HTTP libraries (headers cross as bytes, bodies through a bounded channel),
//! and what becomes of the app's cookies on both ways. I may call: `domain`, `gateway`, `upstream`, `app_cookie`,
//! `tunnel`, `watched`. I never buffer a body whole, and never end a broken body as if it were complete.

use super::answer::noted;
use super::tunnel::{self, Handshake, Opened, read_handshake};
use super::visit::{Note, Visit};
use super::watched::{Watched, apart, watch};
use super::{Desk, app_cookie, app_logout, error, facts, sentry, turned_away, unread};
use crate::domain::origin::Origin;
use crate::domain::policy::{Permit, WhySignIn};
use crate::domain::route::Route;
use crate::domain::session::{Session, WhyOver};
use crate::gateway::live::Vigil;
use crate::ports::Entry;
use crate::upstream::body::{BodySender, UpstreamBody};
use crate::upstream::headers::{ForwardedFacts, PeerTrust, UpstreamHead};
use crate::upstream::reply::UpstreamReply;
use crate::upstream::{UpstreamError, Upstreams};
use actix_web::body::BodySize;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// A permitted request on its way to an app.
pub struct Call<'r> {
    /// As it was received.
    pub request: &'r HttpRequest,
    /// Who may pass, and where.
    pub permit: Permit,
    /// Its body.
    pub payload: web::Payload,
    /// Whether the permit names whoever is signed in: not where the route knows other providers' people alone.
    pub who_is_clear: bool,
    /// Over the session that it acts with.
    pub vigil: Option<Vigil>,
}

impl Call<'_> {
    /// Makes the call, as a WebSocket handshake where it is one.
    pub async fn make(self, visit: &Visit, desk: &Desk, upstreams: &Upstreams) -> HttpResponse {
        if visit.facts.websocket {
            self.switch(visit, desk, upstreams).await
        } else {
            self.pass(visit, desk, upstreams).await
        }
    }

    async fn pass(self, visit: &Visit, desk: &Desk, upstreams: &Upstreams) -> HttpResponse {
        let (head, jar) = self.head(visit, desk);
        let Self { request, permit, payload, mut vigil, .. } = self;
        let route = permit.route().name.clone();
        let (body, being_answered, upload) = bridge(request, payload);
        let began = Instant::now();
        let answer = {
            let sending = pin!(upstreams.send(permit, head, body));
            tokio::select! {
                biased;
                answer = sending => Ok(answer),
                _ = over(&mut vigil) => Err(WhyOver::Unknown),
            }
        };
        let response = match answer {
            // Long polls and uploads end with their session; what the app makes of half an upload is cut off. Its cookies
            // stay: by now they may be those of whoever has signed in meanwhile.
            Err(over) => turned_away::challenge(WhySignIn::Over(over), &route, visit, desk),
            Ok(Ok(mut reply)) => {
                desk.gateway.ledger.enter(Entry::Upstream { route: &route, took: began.elapsed() });
                jar.write_back(&mut reply.headers, desk);
                let response = respond(reply, request.version(), vigil, upload, desk);
                noted(response, Note { route, outcome: "forwarded", ..Note::default() })
            }
            Ok(Err(error)) => {
                let cut = sentry::fault(request).filter(|_| matches!(error, UpstreamError::ClientAborted));
                let fault = cut.map_or_else(|| error::upstream(&error), error::broken_body);
                fault.respond(&desk.pages, &visit.voice, &route, None)
            }
        };
        unread::hold(response, being_answered)
    }

    async fn switch(self, visit: &Visit, desk: &Desk, upstreams: &Upstreams) -> HttpResponse {
        let (head, jar) = self.head(visit, desk);
        let Self { request, permit, payload, vigil, .. } = self;
        let route = permit.route().name.clone();
        let accept = match read_handshake(request) {
            Ok(accept) => accept,
            Err(bad) => {
                let response = error::bad_handshake(bad).respond(&desk.pages, &visit.voice, &route, None);
                return unread::hold(response, payload.into_inner());
            }
        };
        let handshake = Handshake { permit, head, accept, turn: sentry::turn(request) };
        match tunnel::open(handshake, payload, vigil, desk, upstreams).await {
            Ok(Opened::Tunnel(mut response, mut headers)) => {
                jar.write_back(&mut headers, desk);
                append(&mut response, &headers);
                noted(response, Note { route, outcome: "tunnel", ..Note::default() })
            }
            Ok(Opened::Declined(mut reply, vigil)) => {
                jar.write_back(&mut reply.headers, desk);
                let response = respond(reply, request.version(), vigil.map(|vigil| *vigil), None, desk);
                noted(response, Note { route, outcome: "forwarded", ..Note::default() })
            }
            Err(error) => error::upstream(&error).respond(&desk.pages, &visit.voice, &route, None),
        }
    }

    /// What the app gets besides the body, and what its answer has to be held against.
    fn head(&self, visit: &Visit, desk: &Desk) -> (UpstreamHead, Jar) {
        let (route, session) = (Arc::clone(self.permit.route()), self.permit.session().cloned());
        let person = session.as_ref().map(|session| &session.identity);
        let gateway = &desk.gateway;
        let origin = Arc::clone(&visit.facts.origin);
        let owner = app_cookie::Owner { origin: &origin, person };
        let cookies = app_cookie::sort(&visit.foreign_cookies, &route, &gateway.routes, owner, &gateway.keys);
        let expired = match self.who_is_clear && app_logout::tells_who_is_there(visit, desk) {
            true => app_cookie::expire(&cookies.strangers, &visit.facts.path, desk.cookies.secure),
            false => Vec::new(),
        };
        (head(self.request, &cookies.kept, visit, desk), Jar { route, origin, session, expired })
    }
}

/// Whose an app's cookies are.
struct Jar {
    route: Arc<Route>,
    origin: Arc<Origin>,
    session: Option<Arc<Session>>,
    /// The lines that expire what did not reach the app.
    expired: Vec<String>,
}

impl Jar {
    /// Seals what the app sets, and expires what is not theirs who ask.
    fn write_back(&self, headers: &mut http::HeaderMap, desk: &Desk) {
        let person = self.session.as_ref().map(|session| &session.identity);
        let owner = app_cookie::Owner { origin: &self.origin, person };
        app_cookie::write_back(headers, &self.expired, &self.route, owner, &desk.gateway.keys);
    }
}

/// Completes when the session is over; never, where there is none.
async fn over(vigil: &mut Option<Vigil>) -> &'static str {
    match vigil {
        Some(vigil) => vigil.over().await,
        None => std::future::pending().await,
    }
}

/// The request head in the upstream's types; names and values cross as bytes.
fn head(request: &HttpRequest, cookies: &[u8], visit: &Visit, desk: &Desk) -> UpstreamHead {
    let mut headers = http::HeaderMap::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    let peer = request.peer_addr().map_or(visit.facts.client.sender(), |address| address.ip());
    let trust = if facts::is_trusted(peer, &desk.trusted_proxies) {
        let lists: Vec<&str> =
            request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok()).collect();
        PeerTrust::Proxy { chain: (!lists.is_empty()).then(|| lists.join(", ")) }
    } else {
        PeerTrust::Stranger
    };
    UpstreamHead {
        headers,
        cookies: (!cookies.is_empty()).then(|| http::HeaderValue::from_bytes(cookies).ok()).flatten(),
        forwarded: ForwardedFacts { peer, trust, request_id: visit.voice.request_id.to_string() },
        rules: Arc::clone(&desk.rules),
    }
}

/// The request's body, through a bounded channel: the framework's payload cannot leave its thread, and a full channel
/// is the back-pressure. What comes with it is to be kept until the answer is written.
fn bridge(
    request: &HttpRequest,
    payload: web::Payload,
) -> (UpstreamBody, Option<oneshot::Sender<Infallible>>, Option<Rc<Notify>>) {
    let headers = request.headers();
    let declared = facts::one(headers, "content-length").and_then(|length| length.parse().ok());
    if declared.is_none() && !headers.contains_key(header::TRANSFER_ENCODING) {
        return (UpstreamBody::empty(), None, None);
    }
    let (sender, body) = UpstreamBody::channel(declared);
    let (being_answered, answered) = oneshot::channel();
    let cut = Rc::new(Notify::new());
    let pump = pump(payload, sender, answered, sentry::waits(request));
    let (cutting, upload) = (Rc::clone(&cut), async move {
        tokio::select! {
            () = cut.notified() => {}
            () = pump => {}
        }
    });
    actix_web::rt::spawn(upload);
    (body, Some(being_answered), Some(cutting))
}

/// Ends early when the upstream wants no more, and cuts the body off when the client is gone: the sender is dropped
/// without `finish`.
///
/// Reading is asking: a client that `waits` is asked for the body when the upstream is there and wants it, and not before
/// (RFC 9110 section 10.1.1).
async fn pump(
    mut payload: web::Payload,
    mut sender: BodySender,
    answered: oneshot::Receiver<Infallible>,
    waits: bool,
) {
    if waits && !sender.asked().await {
        drop(sender);
        let Err(_over) = answered.await;
        return;
    }
    while let Some(chunk) = payload.next().await {
        let Ok(chunk) = chunk else { return };
        if sender.send(chunk).await.is_err() {
            // What the upstream does not want is held and not read, see `unread`.
            drop(sender);
            let Err(_over) = answered.await;
            return;
        }
    }
    // A length that was not kept is the upload's fault, and `send` has it already.
    let _ = sender.finish();
}

/// `upload` is what cuts off the request's body, where that may still be on its way.
fn respond(
    reply: UpstreamReply,
    version: Version,
    vigil: Option<Vigil>,
    upload: Option<Rc<Notify>>,
    desk: &Desk,
) -> HttpResponse {
    let UpstreamReply { status, headers, body } = reply;
    let status = StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let size = match (body.is_bodiless(), body.declared_length()) {
        (true, None) => BodySize::None,
        // What a GET would have had; no byte of it follows (RFC 9110 section 9.3.2).
        (_, Some(length)) if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED => {
            BodySize::Sized(length)
        }
        (true, Some(_)) => BodySize::None,
        (false, _) => BodySize::Stream,
    };
    let events = headers.get(http::header::CONTENT_TYPE).is_some_and(is_event_stream);
    // Only what can be asked for again ends when the gateway stops.
    let live = events.then(|| Arc::clone(&desk.gateway.live));
    // Without a session there is nothing that a task of its own could see end.
    let upload = upload.filter(|_| vigil.is_some());
    let watch = watch(vigil, live, Rc::new(Notify::new()));
    let watch: Pin<Box<dyn Future<Output = _>>> = match upload {
        Some(upload) => apart(watch, move || upload.notify_one()),
        None => Box::pin(watch),
    };
    // Not `streaming()`: it invents a Content-Type.
    let mut response = HttpResponse::build(status)
        .message_body(Watched::new(body, size, events, watch))
        .map_or_else(|_| HttpResponse::InternalServerError().finish(), HttpResponse::map_into_boxed_body);
    if size == BodySize::Stream && version < Version::HTTP_11 {
        // RFC 9112 section 6.1: an older client does not know chunks; the end of the connection is the end of the body.
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    append(&mut response, &headers);
    response
}

fn append(response: &mut HttpResponse, headers: &http::HeaderMap) {
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            response.headers_mut().append(name, value);
        }
    }
}

fn is_event_stream(content_type: &http::HeaderValue) -> bool {
    let kind = content_type.to_str().ok().and_then(|text| text.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}
