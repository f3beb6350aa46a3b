//! The catch-all: every request that is for an app.
//!
//! I own: the bridge between the two HTTP libraries (headers cross as bytes, bodies through a bounded channel) and the
//! rendering of every [`Outcome`]. I may call: `domain`, `gateway`, `upstream`. I never forward without a permit, never
//! buffer a body whole, and never end a broken body as if it were complete.

use super::answer::{Fault, Way, noted, redirect};
use super::visit::{Note, Visit};
use super::{Desk, app_cookie, app_logout, envelope, error, facts, logout, unread};
use crate::domain::legacy::AppLogout;
use crate::domain::policy::{Permit, Refusal, WhySignIn};
use crate::domain::return_to::ReturnTo;
use crate::domain::route::Route;
use crate::domain::session::Session;
use crate::gateway::Outcome;
use crate::ports::Entry;
use crate::upstream::Upstreams;
use crate::upstream::body::{BodySender, UpstreamBody};
use crate::upstream::headers::{ForwardedFacts, PeerTrust, UpstreamHead};
use crate::upstream::reply::{ReplyBody, ReplyError, UpstreamReply};
use actix_session::Session as CookieSession;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tokio::time::Instant;
use url::form_urlencoded;

/// Asks the gateway what shall happen, and lets it happen.
pub async fn forward(
    request: &HttpRequest,
    cookie: &CookieSession,
    body: web::Payload,
    visit: &Visit,
    desk: &Desk,
    upstreams: &Upstreams,
) -> HttpResponse {
    let ticket = envelope::ticket(cookie);
    let verdict = match desk.gateway.admit(&visit.facts, ticket.as_ref()).await {
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
            let session = verdict.session.as_deref();
            let told = permit.session().map(|_| app_logout::judge(request, permit.route(), visit));
            let goes_on = Passage { permit, who_is_clear: session.is_some() == told.is_some() };
            let response = match told {
                Some(AppLogout::Proven) => match logout::end(ticket, visit, desk).await {
                    Ok(farewell) => {
                        let farewell = logout::gone(&farewell, cookie, visit, desk);
                        let app = pass(request, goes_on, body, visit, desk, upstreams);
                        app_logout::answer(farewell, app, cookie, visit, desk).await
                    }
                    // Not signed out, and the app is not told so either (R82).
                    Err(error) => {
                        let fault = error::gateway(&error);
                        let response = fault.respond(&desk.pages, &visit.voice, route, None);
                        unread::hold(response, body.into_inner())
                    }
                },
                Some(AppLogout::Unproven) => unread::hold(app_logout::ask(route, desk), body.into_inner()),
                Some(AppLogout::No) | None => pass(request, goes_on, body, visit, desk, upstreams).await,
            };
            return signed(response, session, desk);
        }
        Outcome::Login(return_to, why) => {
            let found = verdict.route.as_deref();
            let told = found.map_or(AppLogout::No, |found| app_logout::judge(request, found, visit));
            match (told, &verdict.session) {
                (AppLogout::No, _) => {
                    forgetting(to_login(&return_to, why, found, desk), why, found, visit, desk)
                }
                // Nobody signs in to sign out.
                (_, None) => logout::to_signed_out(cookie, visit, desk),
                (AppLogout::Unproven, Some(_)) => app_logout::ask(route, desk),
                (AppLogout::Proven, Some(_)) => logout::sign_out(ticket, cookie, visit, desk).await,
            }
        }
        Outcome::Challenge(why) => {
            let response = challenge(why, route, visit, desk);
            forgetting(response, why, verdict.route.as_deref(), visit, desk)
        }
        Outcome::Preflight => preflight(route),
        Outcome::Refused(Refusal::Csrf(refusal)) => refused(error::csrf(&refusal)),
        Outcome::Refused(Refusal::MissingRole) => refused(forbidden(verdict.session.as_deref(), desk)),
        Outcome::Refused(Refusal::TokensExpireAtOnce) => refused(error::tokens_expire_at_once()),
        Outcome::NoRoute => refused(error::no_route()),
    };
    let response = unread::hold(response, body.into_inner());
    signed(response, verdict.session.as_deref(), desk)
}

/// An answer to somebody whose session is gone: the app's cookies go with it. One that only has to be renewed keeps them.
fn forgetting(
    response: HttpResponse,
    why: WhySignIn,
    route: Option<&Route>,
    visit: &Visit,
    desk: &Desk,
) -> HttpResponse {
    match (why, route) {
        (WhySignIn::NoSession, Some(route)) => app_logout::forget_app(response, route, visit, desk, false),
        (WhySignIn::Over(_), Some(route)) => app_logout::forget_app(response, route, visit, desk, true),
        _ => response,
    }
}

/// Says which account is not enough, and how to take another one.
fn forbidden(session: Option<&Session>, desk: &Desk) -> Fault {
    let fault = error::missing_role();
    let Some(session) = session else { return fault };
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

/// A permit on its way.
struct Passage {
    permit: Permit,
    /// Whether the permit names whoever is signed in: not where the route knows other providers' people alone.
    who_is_clear: bool,
}

async fn pass(
    request: &HttpRequest,
    Passage { permit, who_is_clear }: Passage,
    payload: web::Payload,
    visit: &Visit,
    desk: &Desk,
    upstreams: &Upstreams,
) -> HttpResponse {
    let (found, session) = (Arc::clone(permit.route()), permit.session().cloned());
    let route = found.name.clone();
    let person = session.as_ref().map(|session| &session.identity);
    let (routes, keys) = (&desk.gateway.routes, &desk.gateway.keys);
    let cookies = app_cookie::sort(&visit.foreign_cookies, &found, routes, person, keys);
    let expired = match who_is_clear && app_logout::tells_who_is_there(visit) {
        true => app_cookie::expire(&cookies.strangers, &visit.facts.path, desk.cookies.secure),
        false => Vec::new(),
    };
    let head = head(request, &cookies.kept, visit, desk);
    let (body, being_answered) = bridge(request, payload);
    let began = Instant::now();
    let answer = upstreams.send(permit, head, body).await;
    if answer.is_ok() {
        desk.gateway.ledger.enter(Entry::Upstream { route: &route, took: began.elapsed() });
    }
    let response = match answer {
        Ok(mut reply) => {
            app_cookie::write_back(&mut reply.headers, &expired, &found, person, keys);
            noted(respond(reply, request.version()), Note { route, outcome: "forwarded", ..Note::default() })
        }
        Err(error) => error::upstream(&error).respond(&desk.pages, &visit.voice, &route, None),
    };
    unread::hold(response, being_answered)
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
    let peer = request.peer_addr().map_or(visit.facts.client, |address| address.ip());
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

fn respond(reply: UpstreamReply, version: Version) -> HttpResponse {
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
    // Not `streaming()`: it invents a Content-Type.
    let mut response = HttpResponse::build(status)
        .message_body(Reply { body, size })
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

/// The reply's body in the framework's terms. An error cuts the connection to the browser.
struct Reply {
    body: ReplyBody,
    size: BodySize,
}

impl MessageBody for Reply {
    type Error = ReplyError;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
