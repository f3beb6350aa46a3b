//! From a raw request to facts.
//!
//! I own: the reading of `Host`, path, fetch metadata, origins and client addresses. I may call: `domain`, `cookie`.
//! I never believe a forwarding header of a peer that is not a trusted proxy (R73), and never take a scheme or a host
//! from a request: `Host` only selects a configured origin (A30).

use crate::domain::cors::{CorsRequest, Preflight};
use crate::domain::origin::{Origin, Origins};
use crate::domain::path::PathRefusal;
use crate::domain::request::{Client, FetchSite, OriginHeader, RequestFacts, RequestKind};
use crate::domain::route::RouteTable;
use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderMap};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use url::Url;

/// Why a request is refused before anybody asks whose it is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// No `Host`, several, or one that contradicts the request target.
    #[error("the request does not name exactly one host")]
    Host,
    /// A host that is none of ours.
    #[error("this host is not served here")]
    Misdirected,
    /// A path that two readers could understand differently.
    #[error(transparent)]
    Path(#[from] PathRefusal),
    /// TRACE, CONNECT, or a method that no app knows.
    #[error("this method is not allowed")]
    Method,
    /// A query with characters that have no place in a request line.
    #[error("the query has characters that do not belong there")]
    Query,
}

/// What the facts of a request are seen against.
pub struct View<'v> {
    /// Our origins.
    pub origins: &'v Origins,
    /// Whose forwarding headers count.
    pub trusted: &'v [IpNet],
    /// They say where a path may have an encoded slash.
    pub routes: &'v RouteTable,
    /// Whether apps may be framed: then a frame is a place for a page like a tab.
    pub framed: bool,
}

/// Reads the facts of a request. `peer` is the address at the other end of the connection.
///
/// # Errors
/// See [`BadRequest`].
pub fn read(head: &RequestHead, peer: IpAddr, view: &View<'_>) -> Result<RequestFacts, BadRequest> {
    let &View { origins, trusted, routes, framed } = view;
    let method = http::Method::from_bytes(head.method.as_str().as_bytes()).map_err(|_| BadRequest::Method)?;
    // R77: neither is ever forwarded.
    if method == http::Method::TRACE || method == http::Method::CONNECT {
        return Err(BadRequest::Method);
    }
    let origin = origin(head, origins)?;
    let path = routes.canonical(&origin, head.uri.path())?;
    let query = match head.uri.query() {
        Some(query) if query.bytes().any(|b| b <= 0x20 || b == 0x7f) => return Err(BadRequest::Query),
        query => query.map(str::to_owned),
    };
    let headers = &head.headers;
    let websocket = has_word(headers, "upgrade", "websocket");
    let site = fetch_site(headers);
    let kind = kind(&method, headers, websocket);
    Ok(RequestFacts {
        to_document: match one(headers, "sec-fetch-dest") {
            Some(dest) => dest == "document" || (framed && dest == "iframe"),
            None => site == FetchSite::Absent && kind == RequestKind::Navigation,
        },
        origin_header: claimed(headers, "origin", &origin, |text| text.to_owned()),
        referer: claimed(headers, "referer", &origin, |text| {
            Url::parse(text).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
        }),
        csrf_header: one(headers, "x-csrf") == Some("1"),
        client: client(headers, peer, trusted),
        origin,
        method,
        path,
        query,
        site,
        kind,
        websocket,
        event_stream: head.method == actix_web::http::Method::GET
            && one(headers, "accept").is_some_and(|accept| accept.trim() == "text/event-stream"),
        cors: cors(head),
    })
}

/// Whether the sender wants to read a page rather than data: decides the form of an error, never its substance.
pub fn wants_page(headers: &HeaderMap) -> bool {
    match one(headers, "sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => accepts_html(headers) && one(headers, "x-requested-with").is_none(),
    }
}

/// Whether the peer is a proxy whose forwarding headers count.
pub fn is_trusted(peer: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&peer.to_canonical()))
}

/// RFC 9112 section 3.2: exactly one `Host`; in absolute form the target's authority wins and must agree here.
fn origin(head: &RequestHead, origins: &Origins) -> Result<Arc<Origin>, BadRequest> {
    let mut hosts = head.headers.get_all(header::HOST);
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(BadRequest::Host);
    };
    let host = host.to_str().map_err(|_| BadRequest::Host)?;
    if head.uri.authority().is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host)) {
        return Err(BadRequest::Host);
    }
    origins.select(host).map(|origin| Arc::new(origin.clone())).ok_or(BadRequest::Misdirected)
}

/// The value of a header that occurs exactly once and is readable.
pub fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// What a request says to the CORS protocol. An origin counts as it is written or not at all (A24).
fn cors(head: &RequestHead) -> CorsRequest {
    let headers = &head.headers;
    let origin = one(headers, "origin")
        .and_then(|text| Origin::parse(text).filter(|origin| origin.as_str() == text))
        .map(Arc::new);
    let preflight = match one(headers, "access-control-request-method") {
        Some(method) if head.method == actix_web::http::Method::OPTIONS => {
            Some(Box::new(Preflight { method: method.to_owned(), headers: requested_headers(headers) }))
        }
        _ => None,
    };
    let may_be_read = match one(headers, "sec-fetch-mode") {
        Some(mode) => mode == "cors",
        None => !headers.contains_key("sec-fetch-mode"),
    };
    CorsRequest { origin, may_be_read, preflight }
}

fn requested_headers(headers: &HeaderMap) -> Option<Vec<http::HeaderName>> {
    let mut names = Vec::new();
    for value in headers.get_all("access-control-request-headers") {
        for name in value.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            names.push(http::HeaderName::from_bytes(name.as_bytes()).ok()?);
        }
    }
    Some(names)
}

/// Whether a comma-separated header has this word, in any case.
pub fn has_word(headers: &HeaderMap, name: &str, word: &str) -> bool {
    let words = headers.get_all(name).filter_map(|value| value.to_str().ok());
    words.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

fn accepts_html(headers: &HeaderMap) -> bool {
    one(headers, "accept").is_some_and(|accept| accept.contains("text/html"))
}

fn fetch_site(headers: &HeaderMap) -> FetchSite {
    match one(headers, "sec-fetch-site") {
        None if !headers.contains_key("sec-fetch-site") => FetchSite::Absent,
        Some("same-origin") => FetchSite::SameOrigin,
        Some("same-site") => FetchSite::SameSite,
        Some("none") => FetchSite::None,
        // An unknown word, or several: as foreign as can be.
        Some(_) | None => FetchSite::CrossSite,
    }
}

/// Sec-Fetch-Mode first, then `Accept` and `X-Requested-With` (R67).
fn kind(method: &http::Method, headers: &HeaderMap, websocket: bool) -> RequestKind {
    let safe = matches!(*method, http::Method::GET | http::Method::HEAD);
    if safe && !websocket && wants_page(headers) { RequestKind::Navigation } else { RequestKind::Script }
}

fn claimed(headers: &HeaderMap, name: &str, own: &Origin, read: impl Fn(&str) -> String) -> OriginHeader {
    if !headers.contains_key(name) {
        return OriginHeader::Absent;
    }
    match one(headers, name) {
        Some(text) if read(text) == own.as_str() => OriginHeader::Own,
        _ => OriginHeader::Foreign,
    }
}

/// The client: the peer, or behind trusted proxies the first address from the right that is none of them (R73). What
/// stands left of that was written by a stranger. A hop that cannot be read hides who comes before it: then nobody is
/// named, for the proxy's own address would open what is open to the proxy's network.
fn client(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> Client {
    let peer = peer.to_canonical();
    let mut client = peer;
    let mut lists: Vec<_> = headers.get_all("x-forwarded-for").collect();
    while is_trusted(client, trusted)
        && let Some(list) = lists.pop()
    {
        let Ok(list) = list.to_str() else { return Client::Behind(peer) };
        for hop in list.rsplit(',') {
            let Some(address) = hop_address(hop.trim()) else { return Client::Behind(peer) };
            client = address.to_canonical();
            if !is_trusted(client, trusted) {
                break;
            }
        }
    }
    Client::Known(client)
}

/// An address, also with a port (some load balancers add it) or in the brackets of RFC 3986 section 3.2.2.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port).or_else(|| bracketed().map(IpAddr::V6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn facts(request: TestRequest) -> Result<RequestFacts, BadRequest> {
        let origins = Origins::new(vec![Origin::parse("https://apps.example.com").unwrap()]).unwrap();
        let request = request.to_http_request();
        read(
            request.head(),
            [192, 0, 2, 9].into(),
            &View {
                origins: &origins,
                trusted: &["10.0.0.0/8".parse().unwrap()],
                routes: &RouteTable::default(),
                framed: false,
            },
        )
    }

    fn get() -> TestRequest {
        TestRequest::get().uri("/x").insert_header(("host", "apps.example.com"))
    }

    #[test]
    fn a30_the_host_selects_an_origin_or_the_request_ends() {
        assert_eq!(facts(get()).unwrap().origin.as_str(), "https://apps.example.com");
        for (request, refusal) in [
            (TestRequest::get(), BadRequest::Host),
            (get().append_header(("host", "apps.example.com")), BadRequest::Host),
            (TestRequest::get().insert_header(("host", "evil.com")), BadRequest::Misdirected),
            (TestRequest::get().insert_header(("host", "apps.example.com:444")), BadRequest::Misdirected),
            (get().uri("http://evil.com/"), BadRequest::Host),
        ] {
            assert_eq!(facts(request).map(|_| ()), Err(refusal));
        }
        let spoofed = get()
            .insert_header(("x-forwarded-host", "evil.com"))
            .insert_header(("x-forwarded-proto", "http"));
        assert_eq!(facts(spoofed).unwrap().origin.as_str(), "https://apps.example.com");
    }

    #[test]
    fn r77_trace_and_connect_go_no_further() {
        for method in [actix_web::http::Method::TRACE, actix_web::http::Method::CONNECT] {
            let request =
                TestRequest::with_uri("/").method(method).insert_header(("host", "apps.example.com"));
            assert_eq!(facts(request).map(|_| ()), Err(BadRequest::Method));
        }
    }

    #[test]
    fn r67_fetch_metadata_decide_then_accept() {
        let html = ("accept", "text/html,*/*");
        for (request, expected) in [
            (get().insert_header(("sec-fetch-mode", "navigate")), RequestKind::Navigation),
            (get().insert_header(("sec-fetch-mode", "cors")).insert_header(html), RequestKind::Script),
            (get().insert_header(html), RequestKind::Navigation),
            (
                get().insert_header(html).insert_header(("x-requested-with", "XMLHttpRequest")),
                RequestKind::Script,
            ),
            (get().insert_header(("accept", "application/json")), RequestKind::Script),
            (get(), RequestKind::Script),
            (get().insert_header(html).insert_header(("upgrade", "websocket")), RequestKind::Script),
            (
                TestRequest::post().uri("/").insert_header(("host", "apps.example.com")).insert_header(html),
                RequestKind::Script,
            ),
        ] {
            assert_eq!(facts(request).unwrap().kind, expected);
        }
    }

    #[test]
    fn r62_claims_of_origin_are_exact() {
        for (value, expected) in [
            ("https://apps.example.com", OriginHeader::Own),
            ("https://apps.example.com.evil.com", OriginHeader::Foreign),
            ("http://apps.example.com", OriginHeader::Foreign),
            ("https://apps.example.com:8443", OriginHeader::Foreign),
            ("null", OriginHeader::Foreign),
            ("", OriginHeader::Foreign),
        ] {
            assert_eq!(
                facts(get().insert_header(("origin", value))).unwrap().origin_header,
                expected,
                "{value}"
            );
        }
        let twice = get()
            .append_header(("origin", "https://apps.example.com"))
            .append_header(("origin", "https://evil"));
        assert_eq!(facts(twice).unwrap().origin_header, OriginHeader::Foreign);
        let referer = get().insert_header(("referer", "https://apps.example.com/a?b"));
        assert_eq!(facts(referer).unwrap().referer, OriginHeader::Own);
        let site = get().append_header(("sec-fetch-site", "none")).append_header(("sec-fetch-site", "none"));
        assert_eq!(facts(site).unwrap().site, FetchSite::CrossSite);
    }

    #[test]
    fn r73_addresses_are_counted_from_the_right_through_trusted_proxies_only() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let address = |peer: &str, chain: &[&str]| {
            let mut request = TestRequest::get();
            for value in chain {
                request = request.append_header(("x-forwarded-for", *value));
            }
            client(request.to_http_request().headers(), peer.parse().unwrap(), &trusted).to_string()
        };
        assert_eq!(address("192.0.2.9", &["1.1.1.1"]), "192.0.2.9", "a stranger's word");
        assert_eq!(address("10.0.0.1", &["6.6.6.6, 1.1.1.1"]), "1.1.1.1");
        assert_eq!(address("10.0.0.1", &["6.6.6.6", "1.1.1.1, 10.0.0.2"]), "1.1.1.1", "two headers");
        assert_eq!(address("10.0.0.1", &["6.6.6.6", "10.0.0.2", "10.0.0.3"]), "6.6.6.6", "several headers");
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(address("::ffff:10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
    }

    #[test]
    fn r73_a_hop_that_cannot_be_read_names_nobody_and_one_with_a_port_is_read() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let told = |chain: &[&[u8]]| {
            let mut request = TestRequest::get();
            for value in chain {
                let value = header::HeaderValue::from_bytes(value).unwrap();
                request = request.append_header((header::X_FORWARDED_FOR, value));
            }
            client(request.to_http_request().headers(), [10, 0, 0, 1].into(), &trusted)
        };
        for hop in [
            "rubbish",
            "unknown",
            "",
            "_hidden",
            "1.1.1",
            "1.1.1.1:",
            "1.1.1.1:99999",
            "1.1.1.1 2.2.2.2",
            "[1.1.1.1]",
            "[2001:db8::1",
            "2001:db8::1]:1",
            "[]",
            "\"1.1.1.1\"",
            "for=1.1.1.1",
            "1.1.1.1,",
            "unix:",
        ] {
            let behind = Client::Behind([10, 0, 0, 1].into());
            assert_eq!(told(&[hop.as_bytes()]), behind, "{hop}");
            assert_eq!(told(&[format!("1.1.1.1, {hop}, 10.0.0.2").as_bytes()]), behind, "{hop}");
            assert_eq!(told(&[b"1.1.1.1", hop.as_bytes()]), behind, "{hop}");
        }
        assert_eq!(told(&[b"1.1.1.1", b"caf\xe9"]), Client::Behind([10, 0, 0, 1].into()));
        for (hop, address) in [
            ("1.1.1.1:443", "1.1.1.1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[::ffff:1.1.1.1]:9", "1.1.1.1"),
            ("rubbish, 1.1.1.1", "1.1.1.1"),
            ("1.1.1.1, 10.0.0.2:7", "1.1.1.1"),
        ] {
            assert_eq!(told(&[hop.as_bytes()]), Client::Known(address.parse().unwrap()), "{hop}");
        }
    }
}
