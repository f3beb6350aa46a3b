//! An app's own sign-out, made into ours, and what browsers forget of apps when a session ends.
//!
//! I own: the answer to a request for one of a route's `logout_paths`, and the lines that every ending adds to its
//! answer. I may call: `domain`, `app_cookie`. I never end a session for a request that
//! a foreign page could have caused (R63, A25): the person is asked instead.
//!
//! Our session ends first, with its line in the log, whatever the app does. Then the app gets the request, so that its
//! own session ends too, and a few seconds to answer. A page goes on to the provider, a script gets the app's answer.

use super::answer::{noted, redirect};
use super::visit::{Note, Visit};
use super::{Desk, app_cookie, envelope};
use crate::domain::cookie_reach::CookieReach;
use crate::domain::csrf::{self, CsrfMode};
use crate::domain::legacy::AppLogout;
use crate::domain::policy::WhySignIn;
use crate::domain::request::{FetchSite, OriginHeader, RequestKind};
use crate::domain::route::Route;
use actix_session::Session;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How long the app may take to sign its person out; then it is left behind.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a request is the app's own sign-out.
pub fn judge(request: &HttpRequest, route: &Route, visit: &Visit) -> AppLogout {
    // Speculation rules and old prefetching; nobody has clicked yet.
    let ahead = ["sec-purpose", "purpose", "x-moz", "x-purpose"];
    let prefetched = ahead.iter().any(|name| request.headers().contains_key(*name));
    route.legacy.app_logout(&visit.facts, prefetched)
}

/// The page that asks: opened by a link from elsewhere, or ahead of a click.
pub fn ask(route: &str, desk: &Desk) -> HttpResponse {
    let page = format!("{}/logout", desk.gateway.prefix.as_str());
    let note = Note { route: route.to_owned(), outcome: "app-logout-asked", ..Note::default() };
    noted(redirect(StatusCode::SEE_OTHER, &page), note)
}

/// The answer once the session is over: `farewell` for a page, the app's own for a script; with the app's cookies.
pub async fn answer(
    farewell: HttpResponse,
    app: impl Future<Output = HttpResponse>,
    session: &Session,
    visit: &Visit,
    desk: &Desk,
) -> HttpResponse {
    let theirs = tokio::time::timeout(PATIENCE, app).await.ok();
    envelope::clear(session);
    match theirs {
        Some(theirs) if !visit.voice.wants_page => {
            let until = Box::pin(sleep(PATIENCE));
            let theirs = theirs.map_body(|_, body| BoxBody::new(Brief { body, until }));
            forget_apps(theirs, visit, desk)
        }
        theirs => {
            // Ours come last: what the app sets in saying goodbye is expired with the rest.
            let mut farewell = farewell;
            let ours: Vec<HeaderValue> = farewell.headers_mut().remove(header::SET_COOKIE).collect();
            let lines = theirs.iter().flat_map(|theirs| theirs.headers().get_all(header::SET_COOKIE));
            for line in lines.cloned().chain(ours).collect::<Vec<_>>() {
                farewell.headers_mut().append(header::SET_COOKIE, line);
            }
            farewell
        }
    }
}

/// An answer after the end of its session: nothing watches over it any more, so it is over soon or cut off.
struct Brief {
    body: BoxBody,
    until: Pin<Box<Sleep>>,
}

impl MessageBody for Brief {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err("the app's goodbye took too long".into())));
        }
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// Adds to the answer of an ending: every app cookie of this origin expires, and what the routes let browsers forget.
pub fn forget_apps(mut response: HttpResponse, visit: &Visit, desk: &Desk) -> HttpResponse {
    let facts = &visit.facts;
    let here = || {
        let routes = desk.gateway.routes.iter().map(AsRef::as_ref);
        routes.filter(|route: &&Route| route.origin.as_ref().is_none_or(|own| *own == *facts.origin))
    };
    let lines = app_cookie::expire_all(here(), &visit.foreign_cookies, &facts.path, desk.cookies.secure);
    append(&mut response, &lines);
    clear_site_data(&mut response, here());
    response
}

/// An answer to somebody whose session is gone: the app's cookies go with it. One that only has to be renewed keeps them.
pub fn forgetting(
    response: HttpResponse,
    why: WhySignIn,
    route: Option<&Route>,
    visit: &Visit,
    desk: &Desk,
) -> HttpResponse {
    match (why, route) {
        (WhySignIn::NoSession, Some(route)) => forget_app(response, route, visit, desk, false),
        (WhySignIn::Over(_), Some(route)) => forget_app(response, route, visit, desk, true),
        _ => response,
    }
}

/// Whoever was here is gone, and so are the app's cookies that the browser has just sent. `over` where a session's end
/// shows here, and not just its absence.
fn forget_app(
    mut response: HttpResponse,
    route: &Route,
    visit: &Visit,
    desk: &Desk,
    over: bool,
) -> HttpResponse {
    if !tells_who_is_there(visit, desk) {
        return response;
    }
    let sent = app_cookie::sent(&visit.foreign_cookies, route);
    append(&mut response, &app_cookie::expire(&sent, &visit.facts.path, desk.cookies.secure));
    if over {
        clear_site_data(&mut response, std::iter::once(route));
    }
    response
}

/// Whether a request without our cookie means that nobody is here, so that its answer may make the browser forget.
///
/// What a foreign page fetches or frames comes without a `Lax` cookie, and says nothing; a link that it opens comes
/// with it, but without a `Strict` one. In frames each parent has a jar of its own, so that nothing foreign counts.
pub fn tells_who_is_there(visit: &Visit, desk: &Desk) -> bool {
    let facts = &visit.facts;
    let opened = facts.kind == RequestKind::Navigation && facts.to_document;
    match (facts.site, &desk.cookies.reach) {
        (FetchSite::SameOrigin | FetchSite::None, _) => facts.origin_header != OriginHeader::Foreign,
        (FetchSite::CrossSite, CookieReach::Lax) => opened,
        // Siblings are one site for `SameSite`.
        (FetchSite::SameSite, CookieReach::Lax | CookieReach::Strict) => opened,
        (FetchSite::CrossSite | FetchSite::SameSite, _) => false,
        // Old browsers do not say whether it is a frame: what names a foreign page does not count.
        (FetchSite::Absent, _) => {
            let named = facts.origin_header == OriginHeader::Absent && facts.referer == OriginHeader::Foreign;
            !named && csrf::judge(facts, CsrfMode::FetchMetadata).is_ok()
        }
    }
}

fn append(response: &mut HttpResponse, lines: &[String]) {
    for line in lines.iter().filter_map(|line| HeaderValue::from_str(line).ok()) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
}

fn clear_site_data<'r>(response: &mut HttpResponse, routes: impl Iterator<Item = &'r Route>) {
    if let Some(value) = app_cookie::clear_site_data(routes).and_then(|v| HeaderValue::from_str(&v).ok()) {
        response.headers_mut().insert(HeaderName::from_static("clear-site-data"), value);
    }
}
