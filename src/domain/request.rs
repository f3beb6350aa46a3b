//! What a request says about itself, once the door has read it.
//!
//! I own: [`RequestFacts`] and its parts, [`Client`] among them. I may call: `cors`, `origin`, `path`, `http`. I never hold a cookie or a token.

use super::cors::CorsRequest;
use super::origin::Origin;
use super::path::CanonicalPath;
use http::Method;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Everything that policy may ask about a request.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// The origin of ours that `Host` selected.
    pub origin: Arc<Origin>,
    /// The method.
    pub method: Method,
    /// The canonical path, which is also what is forwarded.
    pub path: CanonicalPath,
    /// The query as received, without `?`.
    pub query: Option<String>,
    /// `Sec-Fetch-Site`.
    pub site: FetchSite,
    /// `Sec-Fetch-Mode: navigate`, or what stands in for it where a browser sends no fetch metadata.
    pub kind: RequestKind,
    /// `Sec-Fetch-Dest: document`; where our pages may be framed, `iframe` too.
    pub to_document: bool,
    /// `Origin`.
    pub origin_header: OriginHeader,
    /// The origin of `Referer`, where one can be read.
    pub referer: OriginHeader,
    /// Whether `X-CSRF: 1` is there.
    pub csrf_header: bool,
    /// Whether this is a WebSocket handshake.
    pub websocket: bool,
    /// Whether this is an `EventSource`, which cannot send a header of the page's choosing: a GET that accepts
    /// `text/event-stream` and nothing else.
    pub event_stream: bool,
    /// What it says to the CORS protocol.
    pub cors: CorsRequest,
    /// The address of the client, counted through trusted proxies only (R73).
    pub client: Client,
}

/// Who sent a request, as far as addresses tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// This address.
    Known(IpAddr),
    /// Somebody behind this proxy of ours, which did not name an address that can be read: in no network at all.
    Behind(IpAddr),
}

impl Client {
    /// The client's own address, where it is known.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Known(address) => Some(address),
            Self::Behind(_) => None,
        }
    }

    /// Who answers for the number of requests: the client, or the proxy that does not name it.
    pub fn sender(self) -> IpAddr {
        match self {
            Self::Known(address) | Self::Behind(address) => address,
        }
    }
}

impl<A: Into<IpAddr>> From<A> for Client {
    fn from(address: A) -> Self {
        Self::Known(address.into())
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(address) => address.fmt(f),
            Self::Behind(_) => f.write_str("unknown"),
        }
    }
}

/// `Sec-Fetch-Site` (W3C Fetch Metadata section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchSite {
    /// No such header: an old browser, or no browser at all.
    Absent,
    /// `same-origin`.
    SameOrigin,
    /// `same-site`: a sibling host, which counts as foreign (R61).
    SameSite,
    /// `cross-site`, or anything that is not one of the four words.
    CrossSite,
    /// `none`: the person typed it or opened a bookmark.
    None,
}

/// Whether somebody is looking at a page or a script is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A top-level GET or HEAD navigation: a redirect to the login makes sense.
    Navigation,
    /// Anything else: it gets a 401 and never starts a login (R67).
    Script,
}

/// An origin that a request claims for its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginHeader {
    /// No such header.
    Absent,
    /// One of the gateway's own: the very origin that `Host` selected.
    Own,
    /// Any other, `null`, several, or unreadable.
    Foreign,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A script's GET of `/` from a page of ours, on this machine.
    pub(crate) fn facts() -> RequestFacts {
        RequestFacts {
            origin: Arc::new(Origin::parse("https://apps.example.com").unwrap()),
            method: Method::GET,
            path: CanonicalPath::root(),
            query: None,
            site: FetchSite::SameOrigin,
            kind: RequestKind::Script,
            to_document: false,
            origin_header: OriginHeader::Absent,
            referer: OriginHeader::Absent,
            csrf_header: false,
            websocket: false,
            event_stream: false,
            cors: CorsRequest::default(),
            client: [127, 0, 0, 1].into(),
        }
    }
}
