//! The catch-all: every request that is for an app.
//!
//! I own: the bridge between the two HTTP libraries (headers cross as bytes, bodies through a bounded channel) and the
//! rendering of every [`Outcome`]. I may call: `domain`, `gateway`, `upstream`. I never forward without a permit, never
//! buffer a body whole, and never end a broken body as if it were complete.

use super::answer::{Fault, Way, noted, redirect};
use super::tunnel::{self, Handshake, Opened, read_handshake};
use super::visit::{Note, Visit};
use super::watched::{Watched, watch};
use super::{Desk, error, facts, sentry, unread};
use crate::domain::access::Denial;
use crate::domain::policy::{Permit, Refusal, WhySignIn};
use crate::domain::return_to::ReturnTo;
use crate::domain::route::Route;
use crate::domain::session::{Session, Ticket, WhyOver};
use crate::gateway::Outcome;
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
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use url::form_urlencoded;

/// Asks the gateway what shall happen, and lets it happen.
pub async fn forward(
    request: &HttpRequest,
    ticket: Option<Ticket>,
    body: web::Payload,
    visit: &Visit,
    desk: &Desk,
    upstreams: &Upstreams,
) -> HttpResponse {
    let mut verdict = match desk.gateway.admit(&visit.facts, ticket.as_ref()).await {
        Ok(verdict) => verdict,
        Err(error) => {
            let response = error::gateway(&error).respond(&desk.pages, &visit.voice, "route", None);
            return unread::hold(response, body.into_inner());
        }
    };
    let route = verdict.route.as_ref().map_or("none", |route| route.name.as_str());
    let refused = |fault: Fault| fault.respond(&desk.pages, &visit.voice, route, None);
    let response = match verdict.outcome {
        Outcome::Forward(permit) => {
            let vigil = match (verdict.subscription.take(), permit.live(), ticket) {
                (Some(place), Some(live), Some(ticket)) => {
                    Some(Vigil::new(Arc::clone(&desk.gateway), place, ticket, live.clone()))
                }
                _ => None,
            };
            let call = Call { request, permit, payload: body, vigil };
            let response = if visit.facts.websocket {
                call.switch(visit, desk, upstreams).await
            } else {
                call.pass(visit, desk, upstreams).await
            };
            return signed(response, verdict.session.as_deref(), desk);
        }
        Outcome::Login(return_to, why) => to_login(&return_to, why, verdict.route.as_deref(), desk),
        Outcome::Challenge(why) => challenge(why, route, visit, desk),
        Outcome::Preflight => preflight(route),
        Outcome::Refused(Refusal::Csrf(refusal)) => refused(error::csrf(&refusal)),
        Outcome::Refused(Refusal::NotAllowed(denial)) => {
            refused(not_allowed(&denial, verdict.session.as_deref(), desk))
        }
        Outcome::Refused(Refusal::NoWebSockets) => refused(error::no_websockets()),
        Outcome::Refused(Refusal::TokensExpireAtOnce) => refused(error::tokens_expire_at_once()),
        Outcome::NoRoute => refused(error::no_route()),
    };
    let response = unread::hold(response, body.into_inner());
    signed(response, verdict.session.as_deref(), desk)
}

/// Where another account could help, says which one is not enough, and how to take another.
fn not_allowed(denial: &Denial, session: Option<&Session>, desk: &Desk) -> Fault {
    let fault = error::not_allowed(denial);
    let Some(session) = session.filter(|_| denial.missing.is_personal()) else { return fault };
    let identity = &session.identity;
    // Two accounts of one person often have one name.
    let account = identity.email.as_ref().unwrap_or(&identity.user_id);
    let who = match &identity.name {
        Some(name) if name != account => format!("{name} ({account})"),
        _ => account.clone(),
    };
    let sign_out = format!("{}/logout", desk.gateway.prefix.as_str());
    Fault { way: Way::OtherAccount { who, sign_out }, ..fault }
}

/// Adds to the note of a response who was there.
fn signed(mut response: HttpResponse, session: Option<&Session>, desk: &Desk) -> HttpResponse {
    if let (Some(session), Some(note)) = (session, response.extensions_mut().get_mut::<Note>()) {
        let identity = &session.identity;
        note.user = Some(desk.gateway.keys.log_name(identity.issuer.as_str(), identity.subject.as_str()));
    }
    response
}

/// The 401 that every script gets, with the way to the login (R67).
pub fn challenge(why: WhySignIn, route: &str, visit: &Visit, desk: &Desk) -> HttpResponse {
    let login_url = format!("{}/login", desk.gateway.prefix.as_str());
    error::sign_in_required(why).respond(&desk.pages, &visit.voice, route, Some(&login_url))
}

fn to_login(return_to: &ReturnTo, why: WhySignIn, route: Option<&Route>, desk: &Desk) -> HttpResponse {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("return_to", &return_to.to_location());
    if let Some(provider) = route.and_then(|route| route.providers.first()) {
        query.append_pair("provider", provider.as_str());
    }
    if why == WhySignIn::NotAllowed {
        // The same account once more would be of no use, unless it was given something meanwhile.
        query.append_pair("prompt", "select_account");
    }
    let query = query.finish();
    let route = route.map_or("none", |route| route.name.as_str());
    let location = format!("{}/login?{query}", desk.gateway.prefix.as_str());
    let note = Note { route: route.to_owned(), outcome: "to-login", cause: why.code().into(), user: None };
    noted(redirect(StatusCode::FOUND, &location), note)
}

/// A preflight on a guarded route is answered without any permission: the browser draws the conclusion (R64).
fn preflight(route: &str) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    let vary =
        HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    response.headers_mut().insert(header::VARY, vary);
    noted(response, Note { route: route.to_owned(), outcome: "preflight", ..Note::default() })
}

/// A permitted request on its way to an app.
struct Call<'r> {
    request: &'r HttpRequest,
    permit: Permit,
    payload: web::Payload,
    /// Over the session that it acts with.
    vigil: Option<Vigil>,
}

impl Call<'_> {
    async fn pass(self, visit: &Visit, desk: &Desk, upstreams: &Upstreams) -> HttpResponse {
        let Self { request, permit, payload, mut vigil } = self;
        let route = permit.route().name.clone();
        let head = head(request, visit, desk);
        let (body, being_answered) = bridge(request, payload);
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
            // Long polls and uploads end with their session; what the app makes of half an upload is cut off.
            Err(over) => challenge(WhySignIn::Over(over), &route, visit, desk),
            Ok(Ok(reply)) => {
                desk.gateway.ledger.enter(Entry::Upstream { route: &route, took: began.elapsed() });
                let response = respond(reply, request.version(), vigil, desk);
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
        let Self { request, permit, payload, vigil } = self;
        let route = permit.route().name.clone();
        let accept = match read_handshake(request) {
            Ok(accept) => accept,
            Err(bad) => {
                let response = error::bad_handshake(bad).respond(&desk.pages, &visit.voice, &route, None);
                return last(unread::hold(response, payload.into_inner()));
            }
        };
        let handshake = Handshake { permit, head: head(request, visit, desk), accept };
        match tunnel::open(handshake, payload, vigil, desk, upstreams).await {
            Ok(Opened::Tunnel(response)) => {
                noted(response, Note { route, outcome: "tunnel", ..Note::default() })
            }
            Ok(Opened::Declined(reply)) => {
                let response = respond(reply, request.version(), None, desk);
                last(noted(response, Note { route, outcome: "forwarded", ..Note::default() }))
            }
            Err(error) => last(error::upstream(&error).respond(&desk.pages, &visit.voice, &route, None)),
        }
    }
}

/// Completes when the session is over; never, where there is none.
async fn over(vigil: &mut Option<Vigil>) -> &'static str {
    match vigil {
        Some(vigil) => vigil.over().await,
        None => std::future::pending().await,
    }
}

/// The last answer on its connection.
fn last(mut response: HttpResponse) -> HttpResponse {
    response.head_mut().set_connection_type(ConnectionType::Close);
    response
}

/// The request head in the upstream's types; names and values cross as bytes.
fn head(request: &HttpRequest, visit: &Visit, desk: &Desk) -> UpstreamHead {
    let mut headers = http::HeaderMap::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    let peer = request.peer_addr().map_or(visit.facts.client, |address| address.ip());
    let trust = if facts::is_trusted(peer, &desk.trusted_proxies) {
        let lists: Vec<&str> =
            request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok()).collect();
        PeerTrust::Proxy { chain: (!lists.is_empty()).then(|| lists.join(", ")) }
    } else {
        PeerTrust::Stranger
    };
    let cookies = &visit.foreign_cookies;
    UpstreamHead {
        headers,
        cookies: (!cookies.is_empty()).then(|| http::HeaderValue::from_bytes(cookies).ok()).flatten(),
        forwarded: ForwardedFacts { peer, trust, request_id: visit.voice.request_id.to_string() },
    }
}

/// The request's body, through a bounded channel: the framework's payload cannot leave its thread, and a full channel
/// is the back-pressure. What comes with it is to be kept until the answer is written.
fn bridge(
    request: &HttpRequest,
    payload: web::Payload,
) -> (UpstreamBody, Option<oneshot::Sender<Infallible>>) {
    let headers = request.headers();
    let declared = facts::one(headers, "content-length").and_then(|length| length.parse().ok());
    if declared.is_none() && !headers.contains_key(header::TRANSFER_ENCODING) {
        return (UpstreamBody::empty(), None);
    }
    let (sender, body) = UpstreamBody::channel(declared);
    let (being_answered, answered) = oneshot::channel();
    actix_web::rt::spawn(pump(payload, sender, answered));
    (body, Some(being_answered))
}

/// Ends early when the upstream wants no more, and cuts the body off when the client is gone: the sender is dropped
/// without `finish`.
async fn pump(mut payload: web::Payload, mut sender: BodySender, answered: oneshot::Receiver<Infallible>) {
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

fn respond(reply: UpstreamReply, version: Version, vigil: Option<Vigil>, desk: &Desk) -> HttpResponse {
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
    let watch = Box::pin(watch(vigil, live, Rc::new(Notify::new())));
    // Not `streaming()`: it invents a Content-Type.
    let mut response = HttpResponse::build(status)
        .message_body(Watched::new(body, size, events, watch))
        .map_or_else(|_| HttpResponse::InternalServerError().finish(), HttpResponse::map_into_boxed_body);
    if size == BodySize::Stream && version < Version::HTTP_11 {
        // RFC 9112 section 6.1: an older client does not know chunks; the end of the connection is the end of the body.
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    for (name, value) in &headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn is_event_stream(content_type: &http::HeaderValue) -> bool {
    let kind = content_type.to_str().ok().and_then(|text| text.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}
