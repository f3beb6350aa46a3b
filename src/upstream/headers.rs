//! What becomes of headers on the way in and on the way out.
//!
//! I own: [`request_headers`] and [`response_headers`], pure functions on header maps. I may call: `domain`, `rules`,
//! `forwarded`, `identity`, `rewrite`.
//! I never add anything before everything that could pass for it is gone, and I never let a `Connection` header
//! decide about a header of ours (R71, R72, A20).

use crate::domain::legacy::{ClientAuthorization, HostPolicy};
use crate::domain::policy::Permit;
use crate::domain::route::{Access, Relay, Route};
use crate::domain::secret::AccessToken;
use crate::upstream::rewrite::Rewriter;
use crate::upstream::rules::{self, HeaderRules, MappedName};
use crate::upstream::{forwarded, identity};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::net::IpAddr;
use std::sync::Arc;

/// What the door hands over of a request, besides its permit and its body.
pub struct UpstreamHead {
    /// The client's headers as they were received.
    pub headers: HeaderMap,
    /// The client's cookies without ours, byte for byte (R55); replaces whatever `Cookie` is in `headers`.
    pub cookies: Option<HeaderValue>,
    /// Where the request came from.
    pub forwarded: ForwardedFacts,
    /// Which names are ours: those of the routes that the request was judged by.
    pub rules: Arc<HeaderRules>,
}

/// Where a request came from (R73).
pub struct ForwardedFacts {
    /// The address at the other end of our socket.
    pub peer: IpAddr,
    /// Whether that is to be believed.
    pub trust: PeerTrust,
    /// Our name for the request.
    pub request_id: String,
}

/// What we think of the peer: the key `trusted_proxies`.
pub enum PeerTrust {
    /// Anybody. What it says about where a request came from, or about traces, is dropped.
    Stranger,
    /// A proxy of ours.
    Proxy {
        /// Its `X-Forwarded-For` as received, if it sent one.
        chain: Option<String>,
    },
}

/// More room than this is not made in advance: the map refuses capacities that are too large by a panic.
const MANY: usize = 256;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The headers for the upstream: the client's without what is not theirs to send, then ours.
///
/// The order is the point: the client's `Connection` list is obeyed before anything of ours is there (R71).
/// `Content-Length` and `Transfer-Encoding` are left out; the body decides (R74).
pub fn request_headers(head: &UpstreamHead, permit: &Permit, rules: &HeaderRules) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(head.headers.len().min(MANY) + 12);
    let listed = connection_list(&head.headers);
    let mut mapped = MappedName::default();
    for (name, value) in &head.headers {
        if is_listed(&listed, name) || !may_pass(mapped.map(name.as_str()), head, permit, rules) {
            continue;
        }
        headers.append(name, value.clone());
    }
    add_transport(&mut headers, head, permit);
    add_person(&mut headers, permit);
    headers
}

/// The headers for the browser: the upstream's without what it must not tell a browser of ours.
///
/// `Content-Length` is left out; [`crate::upstream::reply::ReplyBody::declared_length`] has it. Cacheability is never
/// touched, but on a route that is not public a reply depends on who asks, so `Vary` says so (R58).
pub fn response_headers(upstream: &HeaderMap, permit: &Permit, rules: &HeaderRules) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(upstream.len().min(MANY) + 1);
    let listed = connection_list(upstream);
    let clears = clears_too_much(upstream);
    let rewriter = Rewriter::new(permit.route(), &permit.facts().origin);
    let mut mapped = MappedName::default();
    for (name, value) in upstream {
        let dropped = match mapped.map(name.as_str()) {
            "content-length" | "alt-svc" | "service-worker-allowed" => true,
            "clear-site-data" => clears,
            "set-cookie" => rules.is_own_cookie(value.as_bytes()),
            other => rules::is_connection_bound(other),
        };
        if !dropped && !is_listed(&listed, name) {
            headers.append(name, rewritten(name, value, &rewriter).unwrap_or_else(|| value.clone()));
        }
    }
    if permit.route().access != Access::Public && !varies_by_cookie(&headers) {
        headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    }
    headers
}

/// What browsers hear of an address of the upstream's own; `None` where nothing changes.
fn rewritten(name: &HeaderName, value: &HeaderValue, rewriter: &Rewriter<'_>) -> Option<HeaderValue> {
    let text = || std::str::from_utf8(value.as_bytes()).ok();
    let new = match name.as_str() {
        "location" | "content-location" => rewriter.location(text()?),
        "refresh" => rewriter.refresh(text()?),
        "set-cookie" => rewriter.set_cookie(text()?),
        _ => None,
    };
    HeaderValue::from_bytes(new?.as_bytes()).ok()
}

/// Whether a client's header goes on under this mapped name.
fn may_pass(mapped: &str, head: &UpstreamHead, permit: &Permit, rules: &HeaderRules) -> bool {
    match mapped {
        // Set anew, or decided by the body, or answered by the door.
        "host" | "cookie" | "content-length" | "expect" => false,
        // R81: where a session or a token of ours may act, the client's own credentials never do.
        "authorization" => own_credentials_pass(permit.route()),
        "traceparent" | "tracestate" | "baggage" => matches!(head.forwarded.trust, PeerTrust::Proxy { .. }),
        other => !rules::is_connection_bound(other) && !rules.is_managed(other),
    }
}

/// The client's own `Authorization` passes where nothing of ours fills it, and where the route says so, or is public.
fn own_credentials_pass(route: &Route) -> bool {
    let ours = route.relay != Relay::None || route.legacy.basic_auth.is_some();
    let wanted = match route.legacy.client_authorization {
        Some(ClientAuthorization::Pass) => true,
        Some(ClientAuthorization::Strip) => false,
        None => route.access == Access::Public,
    };
    wanted && !ours
}

/// Who speaks, for whom, and from where. An app that is to see its own address as `Host` gets it with the address.
fn add_transport(headers: &mut HeaderMap, head: &UpstreamHead, permit: &Permit) {
    match &permit.route().legacy.host {
        // Legacy apps build absolute links from it, so it is the public name unless they cannot bear it.
        HostPolicy::Public => set(headers, header::HOST, permit.facts().origin.authority()),
        HostPolicy::Literal(name) => set(headers, header::HOST, name),
        HostPolicy::Upstream => {}
    }
    forwarded::add(headers, &head.forwarded, permit);
    set(headers, X_REQUEST_ID, &head.forwarded.request_id);
    headers.append(header::VIA, HeaderValue::from_static("1.1 keycard"));
    if let Some(cookies) = &head.cookies {
        headers.insert(header::COOKIE, cookies.clone());
    }
}

/// Who it is, and their token where the route relays one.
fn add_person(headers: &mut HeaderMap, permit: &Permit) {
    identity::add(headers, permit);
    if let Some(bearer) = permit.relayed_token().and_then(bearer) {
        headers.insert(header::AUTHORIZATION, bearer);
    }
}

fn bearer(token: &AccessToken) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Sets a header, or leaves it out where the text cannot be one: absent is safe, half is not.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
        headers.insert(name, value);
    }
}

/// The names in a message's `Connection` headers, lower-cased.
fn connection_list(headers: &HeaderMap) -> Vec<String> {
    items(headers, &header::CONNECTION).map(|name| name.to_ascii_lowercase()).collect()
}

fn is_listed(listed: &[String], name: &HeaderName) -> bool {
    listed.iter().any(|item| item == name.as_str()) && !rules::is_end_to_end(name.as_str())
}

/// Whether `Clear-Site-Data` would end our session with this browser (A22). Such a header is dropped whole: an
/// upstream signs its person out of itself by its own cookies.
fn clears_too_much(headers: &HeaderMap) -> bool {
    items(headers, &HeaderName::from_static("clear-site-data")).any(|item| {
        let item = item.trim_matches('"').trim();
        item == "*" || item.eq_ignore_ascii_case("cookies") || item.eq_ignore_ascii_case("executioncontexts")
    })
}

fn varies_by_cookie(headers: &HeaderMap) -> bool {
    items(headers, &header::VARY).any(|item| item == "*" || item.eq_ignore_ascii_case("cookie"))
}

/// The items of a comma-separated header, over all its lines; what is not ASCII text is nobody's item.
fn items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let texts =
        headers.get_all(name).into_iter().filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests;
