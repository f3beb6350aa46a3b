//! The page between a link from elsewhere and the app, where the session cookie is `SameSite=Strict` (R51).
//!
//! I own: `GET landing`, and who is sent there. I may call: `domain`, `pages`. I never lead anywhere but to a path of
//! our own, and never run a script of mine: the browser is told to go on by a header, or by `keep` where a fragment is
//! to come along.
//!
//! A Strict cookie stays at home when somebody else's page, or the provider, leads the browser here, redirects
//! included. What this page leads to is asked for by our own origin, and then the cookie comes along.

use super::answer::{noted, redirect};
use super::pages::{Kind, Link, Page};
use super::visit::{Note, Visit};
use super::words;
use super::{Desk, keep};
use crate::domain::cookie_reach::CookieReach;
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
    is_strict(desk)
        && !has_ticket
        && visit.facts.kind == RequestKind::Navigation
        && visit.facts.site == FetchSite::CrossSite
        && visit.facts.to_document
        && route.is_some_and(|route| route.access != Access::Public)
}

/// Whether the session cookie is `Strict` here.
pub fn is_strict(desk: &Desk) -> bool {
    desk.cookies.reach == CookieReach::Strict
}

/// Sends a navigation to the page. Not the page at once: a page that leads to its own address is a reload, which
/// browsers take for the same foreign request once more.
pub fn send(route: Option<&Route>, visit: &Visit, desk: &Desk) -> HttpResponse {
    let here = ReturnTo::from_parts(visit.facts.path.clone(), visit.facts.query.as_deref());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", &here.unwrap_or_else(ReturnTo::root).to_location())
        .finish();
    let location = format!("{}/landing?{query}", desk.gateway.prefix.as_str());
    let route = route.map_or("none", |route| route.name.as_str()).to_owned();
    noted(redirect(StatusCode::FOUND, &location), Note { route, outcome: "to-landing", ..Note::default() })
}

/// `GET landing`.
pub fn show(visit: &Visit, desk: &Desk) -> HttpResponse {
    let query = visit.facts.query.as_deref().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "return_to");
    let target = named.and_then(|(_, text)| ReturnTo::parse(&text)).unwrap_or_else(ReturnTo::root);
    let note = Note { route: "landing".into(), outcome: "shown", ..Note::default() };
    let response = match keep::keeps_fragment(target.path(), visit, desk) {
        true => keep::land(&target, visit, desk),
        false => page(&target, visit, desk),
    };
    noted(response, note)
}

/// The page that leads on to a path of ours. The link is for browsers that do not go by themselves.
pub fn page(target: &ReturnTo, visit: &Visit, desk: &Desk) -> HttpResponse {
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
