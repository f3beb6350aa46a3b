//! The door: what a stranger sends, made into facts, and outcomes, made into responses.
//!
//! I own: every endpoint, the layers around them and their order; actix lives here and in `app`. I may call: `domain`,
//! `gateway`, `keyring`, `upstream`. I never decide who may pass: that is `domain::policy`, asked through the gateway.
//!
//! A request passes, from the outside in: the `sentry` (its bytes, before the framework has them),
//! `log::access_line` (its id and its one line), `threshold` (host, path,
//! cookies, raw and exact), the cookie envelope (`envelope`), and then `dispatch`, which knows every endpoint.
//!
//! Two more doors, on addresses of their own, have none of these layers: [`health`] for probes and [`admin`] for
//! operators.

pub mod admin;
mod agent;
mod answer;
mod app_cookie;
mod app_logout;
mod backchannel;
mod call;
mod colour;
mod cookie;
mod cors;
mod current;
mod envelope;
mod error;
mod events;
mod facts;
mod frontchannel;
mod harden;
pub mod health;
mod keep;
mod landing;
mod language;
mod log;
mod login;
mod logout;
#[doc(hidden)]
pub mod measured;
mod moment;
mod pages;
mod proxy;
pub mod sentry;
mod sessions;
pub mod throttle;
mod tunnel;
mod turned_away;
mod unread;
mod user;
mod visit;
mod watched;
mod words;

pub use cookie::CookieNames;
pub use current::Current;
pub use envelope::EnvelopeKeys;
pub use pages::{Branding, BrokenPage, Pages};

use crate::domain::identity::{IdentityRule, ProviderId};
use crate::domain::origin::Origins;
use crate::domain::session::Ticket;
use crate::gateway::{Gateway, GatewayError};
use crate::upstream::Upstreams;
use crate::upstream::rules::HeaderRules;
use actix_session::Session;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, StatusCode, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpMessage as _, HttpRequest, HttpResponse, Route, web};
use admin::AdminToken;
use answer::Fault;
use envelope::Shown;
use http::Method;
use ipnet::IpNet;
use std::sync::Arc;
use std::time::Duration;
use throttle::Throttle;
use visit::{Visit, Voice};

/// What the people at the door need to know. A reload puts another one in its place ([`Current`]); each request keeps
/// the one that it began with, so that it sees one consistent whole.
pub struct Desk {
    /// Who decides.
    pub gateway: Arc<Gateway>,
    /// The origins under which we answer.
    pub origins: Origins,
    /// Whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Our two cookies.
    pub cookies: CookieNames,
    /// The envelope of the session cookie.
    pub envelope: EnvelopeKeys,
    /// What the `user` endpoint may show.
    pub identity: IdentityRule,
    /// The pages.
    pub pages: Pages,
    /// The header and cookie names that nobody but us may send on.
    pub rules: Arc<HeaderRules>,
    /// What operators have to show, where there is a door for them.
    pub admin_token: Option<AdminToken>,
    /// How often one sender may begin or finish a sign-in.
    pub throttle: Arc<Throttle>,
}

/// The layers of an application of ours, as the framework asks for them: its own name for that takes five lines.
pub trait Layers:
    ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    >
{
}

impl<L> Layers for L where
    L: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = Error,
            InitError = (),
        >
{
}

/// The whole application: every layer and every endpoint, in order. One for each worker.
pub fn application(current: web::Data<Current>, upstreams: Upstreams) -> App<impl Layers> {
    layers(current, web::to(dispatch)).app_data(web::Data::new(upstreams))
}

/// Every layer, in order, around `innermost`.
fn layers(current: web::Data<Current>, innermost: Route) -> App<impl Layers> {
    let envelope = {
        let desk = current.desk();
        desk.envelope.middleware(&desk.cookies)
    };
    App::new()
        .app_data(current)
        // One service for everything: the framework's router would match a decoded path, we match the canonical one.
        .default_service(innermost)
        // Innermost: opens the one cookie that `threshold` lets it see.
        .wrap(envelope)
        // Everything is read raw here; what is ambiguous goes no further.
        .wrap(from_fn(threshold))
        // Outermost: nothing happens without its line.
        .wrap(from_fn(log::access_line))
        // Around everything: the sentry hears when an answer is complete.
        .wrap(from_fn(sentry::take_turns))
}

/// Reads host, path and cookies of a request, and refuses what could be understood in two ways.
async fn threshold(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (Some(desk), Some(voice)) =
        (request.extensions().get::<Arc<Desk>>().cloned(), request.extensions().get::<Voice>().cloned())
    else {
        return Ok(request.into_response(HttpResponse::InternalServerError().finish()));
    };
    match read_visit(&request, &desk, voice.clone()) {
        Ok((visit, shown)) => {
            // The envelope sees our one pair, or no cookie at all.
            match shown.and_then(|pair| header::HeaderValue::try_from(pair).ok()) {
                Some(pair) => drop(request.headers_mut().insert(header::COOKIE, pair)),
                None => drop(request.headers_mut().remove(header::COOKIE)),
            }
            let handshake = visit.facts.websocket;
            request.extensions_mut().insert(visit);
            let mut response = next.call(request).await?;
            if handshake && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                // Nobody can tell any more what the client's next bytes are (R78).
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            desk.envelope.sign_anew(response.headers_mut(), &desk.cookies);
            envelope::partition(response.headers_mut(), &desk.cookies);
            Ok(response)
        }
        Err(turned_away) => {
            let mut response = turned_away.fault.respond(&desk.pages, &voice, "threshold", None);
            response.head_mut().set_connection_type(ConnectionType::Close);
            if let Some(line) = turned_away.removal.and_then(|line| header::HeaderValue::from_str(&line).ok())
            {
                response.headers_mut().append(header::SET_COOKIE, line);
            }
            let unread = request.take_payload();
            Ok(request.into_response(unread::hold(response, unread)))
        }
    }
}

/// A request that goes no further, and the cookie line that removes what was planted, if anything was.
struct TurnedAway {
    fault: Fault,
    removal: Option<String>,
}

/// The visit and the cookie to show to the envelope.
fn read_visit(
    request: &ServiceRequest,
    desk: &Desk,
    voice: Voice,
) -> Result<(Visit, Option<String>), Box<TurnedAway>> {
    let turned_away = |fault: Fault| Box::new(TurnedAway { fault, removal: None });
    let peer = request.peer_addr().map(|address| address.ip());
    let peer = peer.ok_or_else(|| turned_away(error::no_peer()))?;
    let view = facts::View {
        origins: &desk.origins,
        trusted: &desk.trusted_proxies,
        routes: &desk.gateway.routes,
        framed: !desk.cookies.reach.parents().is_empty(),
    };
    let facts =
        facts::read(request.head(), peer, &view).map_err(|bad| turned_away(error::bad_request(&bad)))?;
    let raw = request.headers().get_all(header::COOKIE).map(header::HeaderValue::as_bytes);
    let cookies = cookie::read(raw, &desk.cookies).map_err(|planted| TurnedAway {
        fault: error::planted(),
        removal: Some(desk.cookies.removal(&planted.0)),
    })?;
    let shown = cookies.session.map(|raw_value| desk.envelope.admissible(&desk.cookies, raw_value));
    let (shown, unproved) = match shown {
        Some(Shown::Admissible(pair)) => (Some(pair), None),
        Some(Shown::Unproved(ticket)) => (None, Some(ticket)),
        Some(Shown::Nothing) | None => (None, None),
    };
    let user_agent = facts::one(request.headers(), "user-agent").unwrap_or_default();
    let visit = Visit {
        facts,
        binding: cookies.binding,
        unproved,
        foreign_cookies: cookies.foreign,
        voice,
        user_agent: user_agent.chars().filter(|c| !c.is_control()).take(200).collect(),
    };
    Ok((visit, shown))
}

/// Our endpoints.
enum Endpoint {
    Login,
    Callback(Option<ProviderId>),
    BackChannelLogout(Option<ProviderId>),
    FrontChannelLogout(Option<ProviderId>),
    Logout,
    SignedOut,
    /// Where the session cookie is Strict; harmless where it is not.
    Landing,
    /// Where forms come back that waited for a sign-in.
    Replay,
    User,
    Events,
    /// Where one is signed in.
    Sessions,
    /// One of these sessions, by its handle.
    Session(String),
    /// Under the prefix, but nothing of ours.
    Unknown,
}

/// Every endpoint under the prefix; `None` is for the routes.
fn endpoint(desk: &Desk, visit: &Visit) -> Option<Endpoint> {
    let path = &visit.facts.path;
    let prefix = desk.gateway.prefix.as_str();
    if !path.is_under(prefix) {
        return None;
    }
    Some(match path.as_str().strip_prefix(prefix).unwrap_or_default() {
        "/login" => Endpoint::Login,
        "/callback" => Endpoint::Callback(None),
        "/backchannel-logout" => Endpoint::BackChannelLogout(None),
        "/frontchannel-logout" => Endpoint::FrontChannelLogout(None),
        "/logout" => Endpoint::Logout,
        "/signed-out" => Endpoint::SignedOut,
        "/landing" => Endpoint::Landing,
        "/replay" => Endpoint::Replay,
        "/user" => Endpoint::User,
        "/events" => Endpoint::Events,
        "/sessions" => Endpoint::Sessions,
        other => {
            if let Some(handle) = other.strip_prefix("/sessions/") {
                return Some(Endpoint::Session(handle.to_owned()));
            }
            let named = |endpoint: &str| other.strip_prefix(endpoint).and_then(ProviderId::parse);
            match (named("/callback/"), named("/backchannel-logout/"), named("/frontchannel-logout/")) {
                (Some(provider), _, _) => Endpoint::Callback(Some(provider)),
                (_, Some(provider), _) => Endpoint::BackChannelLogout(Some(provider)),
                (_, _, Some(provider)) => Endpoint::FrontChannelLogout(Some(provider)),
                (None, None, None) => Endpoint::Unknown,
            }
        }
    })
}

impl Endpoint {
    /// Its name in the log.
    fn name(&self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Callback(_) => "callback",
            Self::Logout => "logout",
            Self::SignedOut => "signed-out",
            Self::User => "user",
            Self::Events => "events",
            Self::Sessions | Self::Session(_) => "sessions",
            Self::Landing => "landing",
            Self::Replay => "replay",
            Self::BackChannelLogout(_) => "backchannel-logout",
            Self::FrontChannelLogout(_) => "frontchannel-logout",
            Self::Unknown => "endpoint",
        }
    }
}

/// What stands in the way of a cookie that none of our keys has signed: the record that its ticket leads to cannot be
/// opened here either. Then another gateway has keys that are missing here, and nobody is to lose their session over
/// that: neither is it passed over, nor is there another sign-in in its place (R82). Whoever makes up a cookie finds
/// no record, and is nobody, as before.
async fn of_other_keys(
    endpoint: Option<&Endpoint>,
    unproved: Option<&Ticket>,
    visit: &Visit,
    desk: &Desk,
) -> Result<(), GatewayError> {
    let Some(ticket) = unproved else { return Ok(()) };
    let asks_for_session = match endpoint {
        None => desk.gateway.asks_for_session(&visit.facts),
        Some(
            Endpoint::Login
            | Endpoint::Callback(_)
            | Endpoint::Logout
            | Endpoint::User
            | Endpoint::Sessions
            | Endpoint::Session(_)
            | Endpoint::Events
            | Endpoint::Replay,
        ) => true,
        Some(
            Endpoint::SignedOut
            | Endpoint::Landing
            | Endpoint::BackChannelLogout(_)
            | Endpoint::FrontChannelLogout(_)
            | Endpoint::Unknown,
        ) => false,
    };
    if asks_for_session { desk.gateway.must_be_readable(ticket).await } else { Ok(()) }
}

/// Sign-ins cost the provider something, too: one sender gets only so many (R79). The error is the time to wait.
fn throttle(endpoint: &Endpoint, visit: &Visit, desk: &Desk) -> Result<(), Duration> {
    match endpoint {
        Endpoint::Login | Endpoint::Callback(_) => {
            desk.throttle.admit(endpoint.name(), visit.facts.client.sender(), desk.gateway.clock.now())
        }
        Endpoint::Logout
        | Endpoint::SignedOut
        | Endpoint::User
        | Endpoint::Events
        | Endpoint::Sessions
        | Endpoint::Session(_)
        | Endpoint::Landing
        | Endpoint::Replay
        // From the provider, which is one sender and speaks for many.
        | Endpoint::BackChannelLogout(_)
        // One look at an index; a whole office may sit behind one address and sign out at once.
        | Endpoint::FrontChannelLogout(_)
        | Endpoint::Unknown => Ok(()),
    }
}

async fn dispatch(
    request: HttpRequest,
    session: Session,
    body: web::Payload,
    upstreams: web::Data<Upstreams>,
) -> HttpResponse {
    let (Some(desk), Some(visit)) =
        (request.extensions().get::<Arc<Desk>>().cloned(), request.extensions().get::<Visit>().cloned())
    else {
        return HttpResponse::InternalServerError().finish();
    };
    let endpoint = endpoint(&desk, &visit);
    let unopened = envelope::unopened(&session, request.headers());
    let unproved = visit.unproved.as_ref().or(unopened.as_ref());
    if let Err(failure) = of_other_keys(endpoint.as_ref(), unproved, &visit, &desk).await {
        let place = endpoint.as_ref().map_or("cookie", Endpoint::name);
        let response = error::gateway(&failure).respond(&desk.pages, &visit.voice, place, None);
        return unread::hold(response, body.into_inner());
    }
    let Some(endpoint) = endpoint else {
        return proxy::forward(&request, &session, body, &visit, &desk, &upstreams).await;
    };
    let ticket = envelope::ticket(&session);
    let (get, post) = (visit.facts.method == Method::GET, visit.facts.method == Method::POST);
    let delete = visit.facts.method == Method::DELETE;
    if let Err(wait) = throttle(&endpoint, &visit, &desk) {
        let response = error::too_often(wait).respond(&desk.pages, &visit.voice, endpoint.name(), None);
        return unread::hold(response, body.into_inner());
    }
    let response = match endpoint {
        // Reads its body itself.
        Endpoint::BackChannelLogout(provider) if post => {
            return backchannel::hear(provider, &request, body, &desk).await;
        }
        // So does this one.
        Endpoint::Replay if post => return keep::ask(&request, ticket, body, &visit, &desk).await,
        Endpoint::BackChannelLogout(_) => backchannel::wrong_method(),
        Endpoint::FrontChannelLogout(provider) if get => frontchannel::hear(provider, &visit, &desk).await,
        Endpoint::Login if get => login::begin(ticket, &visit, &desk).await,
        Endpoint::Callback(provider) if get => login::complete(provider, &session, &visit, &desk).await,
        Endpoint::Logout if get => logout::by_get(ticket, &session, &visit, &desk).await,
        Endpoint::Logout if post => logout::by_post(ticket, &session, &visit, &desk).await,
        Endpoint::SignedOut if get => logout::signed_out(&visit, &desk),
        Endpoint::Landing if get => landing::show(&visit, &desk),
        Endpoint::Replay if get => keep::fetch(&visit, &desk),
        Endpoint::User if get => user::show(ticket, &visit, &desk).await,
        Endpoint::Events if get => events::show(ticket, &visit, &desk).await,
        Endpoint::Sessions if get => sessions::list(ticket, &visit, &desk).await,
        Endpoint::Session(handle) if post || delete => {
            sessions::end(&handle, ticket, &session, &visit, &desk).await
        }
        Endpoint::Session(_) => {
            error::method("DELETE, POST").respond(&desk.pages, &visit.voice, "endpoint", None)
        }
        Endpoint::Unknown => error::no_such_endpoint().respond(&desk.pages, &visit.voice, "endpoint", None),
        Endpoint::Logout | Endpoint::Replay => {
            error::method("GET, POST").respond(&desk.pages, &visit.voice, "endpoint", None)
        }
        _ => error::method("GET").respond(&desk.pages, &visit.voice, "endpoint", None),
    };
    // No other endpoint of ours reads a body.
    unread::hold(response, body.into_inner())
}
