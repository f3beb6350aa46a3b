//! The page between a link from elsewhere and the app, where the session cookie is `SameSite=Strict` (R51).
//!
//! I own: `GET landing`, and who is sent there. I may call: `domain`, `pages`. I never lead anywhere but to a path of
//! our own, never to one that acts at a page of ours asking for it (R63, R69), and never run a script of mine: the
//! browser is told to go on by a header, or by `keep` where a fragment is to come along.
//!
//! A Strict cookie stays at home when somebody else's page, or the provider, leads the browser here, redirects
//! included. What this page leads to is asked for by our own origin, and then the cookie comes along.

use super::answer::{noted, redirect};
use super::pages::{Kind, Link, Page};
use super::visit::{Note, Visit};
use super::words;
use super::{Desk, keep, sessions};
use crate::domain::cookie_reach::CookieReach;
use crate::domain::path::CanonicalPath;
use crate::domain::request::{FetchSite, RequestKind};
use crate::domain::return_to::ReturnTo;
use crate::domain::route::{Access, Route};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use url::form_urlencoded;

/// Whether the session may have stayed behind, and the same address, asked for by ourselves, would show it. Never
/// twice: what comes from the page is not cross-site.
pub fn is_due(has_ticket: bool, route: Option<&Route>, visit: &Visit, desk: &Desk) -> bool {
    may_have_stayed(has_ticket, visit, desk) && route.is_some_and(|route| route.access != Access::Public)
}

/// The same for an address of our own.
pub fn may_have_stayed(has_ticket: bool, visit: &Visit, desk: &Desk) -> bool {
    is_strict(desk)
        && !has_ticket
        && visit.facts.kind == RequestKind::Navigation
        && visit.facts.site == FetchSite::CrossSite
        && visit.facts.to_document
}

/// Whether the session cookie is `Strict` here.
pub fn is_strict(desk: &Desk) -> bool {
    desk.cookies.reach == CookieReach::Strict
}

/// Sends a navigation to the page. Not the page at once: a page that leads to its own address is a reload, which
/// browsers take for the same foreign request once more.
pub fn send(route: &str, visit: &Visit, desk: &Desk) -> HttpResponse {
    let here = ReturnTo::from_parts(visit.facts.path.clone(), visit.facts.query.as_deref());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", &here.unwrap_or_else(ReturnTo::root).to_location())
        .finish();
    let location = format!("{}/landing?{query}", desk.gateway.prefix.as_str());
    let note = Note { route: route.to_owned(), outcome: "to-landing", ..Note::default() };
    noted(redirect(StatusCode::FOUND, &location), note)
}

/// `GET landing`.
pub fn show(visit: &Visit, desk: &Desk) -> HttpResponse {
    let query = visit.facts.query.as_deref().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "return_to");
    let target = named.and_then(|(_, text)| ReturnTo::parse(&text)).unwrap_or_else(ReturnTo::root);
    let note = Note { route: "landing".into(), outcome: "shown", ..Note::default() };
    // Where the cookie comes along with a link, nobody needs the page, and a link stays the link from elsewhere that it
    // is: browsers call a redirect cross-site when its beginning was.
    if !is_strict(desk) {
        return noted(redirect(StatusCode::SEE_OTHER, &target.to_location()), note);
    }
    let target = harmless(target, visit, desk);
    let response = match keep::keeps_fragment(target.path(), visit, desk) {
        true => keep::land(&target, visit, desk),
        false => page(&target, visit, desk),
    };
    noted(response, note)
}

/// The page after a sign-in. A form that has waited for it comes back from here, and from nowhere else.
pub fn after_sign_in(target: ReturnTo, visit: &Visit, desk: &Desk) -> HttpResponse {
    match keep::is_replay(target.path(), desk) {
        true => page(&target, visit, desk),
        false => page(&harmless(target, visit, desk), visit, desk),
    }
}

/// A target that the page may lead to, whoever chose it. What follows is asked for by our own origin, so the page must
/// not lend its name to what an address of ours, or an app's sign-out, does for our own pages alone (R63, R69, A25).
fn harmless(target: ReturnTo, visit: &Visit, desk: &Desk) -> ReturnTo {
    let prefix = desk.gateway.prefix.as_str();
    let asks = CanonicalPath::parse(&format!("{prefix}/logout")).ok();
    let asking =
        || asks.clone().and_then(|path| ReturnTo::from_parts(path, None)).unwrap_or_else(ReturnTo::root);
    // A page that shows, and acts at the press of a button only.
    if sessions::is_list(target.path(), desk) {
        return target.without_query();
    }
    if target.path().is_under(prefix) {
        return if Some(target.path()) == asks.as_ref() { asking() } else { ReturnTo::root() };
    }
    let route = desk.gateway.routes.find(&visit.facts.origin, target.path());
    match route.is_some_and(|route| route.legacy.is_logout(target.path(), target.query())) {
        true => asking(),
        false => target,
    }
}

/// The page that leads on to a path of ours. The link is for browsers that do not go by themselves.
fn page(target: &ReturnTo, visit: &Visit, desk: &Desk) -> HttpResponse {
    let location = target.to_location();
    let page = Page {
        kind: Kind::Landing,
        wording: words::LANDING,
        button: None,
        link: Some(Link { href: &location, label: words::GO_ON }),
        account: None,
        correlation_id: None,
    };
    let mut response = desk.pages.page(StatusCode::OK, &page, visit.voice.language);
    // A location is a path of visible ASCII. A semicolon or a quote in it changes nothing: what follows `url=` is all
    // of it (HTML Standard, "shared declarative refresh steps").
    if let Ok(value) = HeaderValue::from_str(&format!("0; url={location}")) {
        response.headers_mut().insert(HeaderName::from_static("refresh"), value);
    }
    response
}
