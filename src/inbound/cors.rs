//! What pages of other origins are told (R64, A24).
//!
//! I own: the answer to a preflight, and the Access-Control headers of every answer on a route with a list. I may call:
//! `domain::cors`. I never repeat an origin that is not listed, and never let an app's own Access-Control headers past
//! a list.

use super::answer::noted;
use super::visit::Note;
use crate::domain::request::RequestFacts;
use crate::domain::route::Route;
use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::fmt::Display;

/// A preflight is answered here, whoever asks: without any permission, unless the route's list gives one. The browser
/// draws the conclusion.
pub fn preflight(route: Option<&Route>, facts: &RequestFacts) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    let headers = response.headers_mut();
    let vary =
        HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    headers.insert(header::VARY, vary);
    if let Some(cors) = route.and_then(|route| route.cors.as_ref()).filter(|cors| cors.permits(&facts.cors)) {
        set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, list(&cors.methods));
        let names = cors.headers.iter().map(http::HeaderName::as_str).filter(|name| *name != "x-csrf");
        set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, list(names.chain(["x-csrf"])));
        set(headers, header::ACCESS_CONTROL_MAX_AGE, cors.max_age.as_secs().to_string());
        allow(headers, route, facts);
    }
    let route = route.map_or("none", |route| route.name.as_str()).to_owned();
    noted(response, Note { route, outcome: "preflight", ..Note::default() })
}

/// Makes an answer readable for a listed origin, refusals of ours included: a script must see its 401. Whatever the app
/// said about that is gone.
pub fn mark(response: &mut HttpResponse, route: Option<&Route>, facts: &RequestFacts) {
    let Some(cors) = route.and_then(|route| route.cors.as_ref()) else { return };
    let headers = response.headers_mut();
    let apps: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
    for name in apps {
        headers.remove(name);
    }
    // Also for those who get nothing: what one origin was answered must not be another's from a cache.
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if !cors.expose.is_empty() && cors.listed(&facts.cors).is_some() {
        set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, list(&cors.expose));
    }
    allow(headers, route, facts);
}

fn allow(headers: &mut HeaderMap, route: Option<&Route>, facts: &RequestFacts) {
    let listed = route.and_then(|route| route.cors.as_ref()?.listed(&facts.cors));
    if let Some(origin) = listed {
        set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.as_str().to_owned());
        set(headers, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true".to_owned());
    }
}

fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(name, value);
    }
}
