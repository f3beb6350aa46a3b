//! The client against upstreams of raw bytes.
//!
//! I own: a house of raw bytes to call, and the helpers [`permit`] and [`facts`] for its other rooms. I may call:
//! `domain`'s test helpers. I never leave this machine.

mod paths;
mod replies;
mod uploads;

use super::*;
use crate::domain::path::CanonicalPath;
use crate::domain::policy::{Decision, decide};
use crate::domain::request::{self, OriginHeader, RequestFacts};
use crate::domain::route::tests::route;
use crate::domain::route::{Access, RouteTable, UpstreamAddress};
use crate::domain::session::tests::live;
use crate::domain::session::{Session, Standing};
use crate::domain::time::Timestamp;
use crate::upstream::headers::{ForwardedFacts, PeerTrust};
use crate::upstream::reply::ReplyError;
use bytes::Bytes;
use futures_util::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Facts of a GET from our own page.
pub(crate) fn facts(path: &str) -> RequestFacts {
    let path = CanonicalPath::parse(path).unwrap();
    let (origin_header, client) = (OriginHeader::Own, [192, 0, 2, 7].into());
    RequestFacts { path, origin_header, client, ..request::tests::facts() }
}

/// The permit that policy gives for these facts.
pub(crate) fn permit(route: Route, facts: RequestFacts, person: Option<Session>) -> Permit {
    let standing = person.map_or(Standing::Anonymous, |session| Standing::Live(live(session)));
    match decide(&Arc::new(route), &facts, standing, Timestamp::from_unix_seconds(1000)) {
        Decision::Admit(permit) => permit,
        _ => panic!("not admitted"),
    }
}

/// A listener whose connections a test plays by hand.
struct House {
    listener: TcpListener,
    address: UpstreamAddress,
}

impl House {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = UpstreamAddress::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        Self { listener, address }
    }

    fn route(&self) -> Route {
        Route { upstreams: vec![self.address.clone()], ..route("/", Access::Public) }
    }

    async fn accept(&self) -> Line {
        Line { stream: self.listener.accept().await.unwrap().0, read: Vec::new() }
    }

    /// Answers the first request with these bytes, closes, and tells what it had received.
    fn answer(self, bytes: &'static [u8]) -> JoinHandle<String> {
        tokio::spawn(async move {
            let mut line = self.accept().await;
            let head = line.head().await;
            line.stream.write_all(bytes).await.unwrap();
            head
        })
    }
}

struct Line {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Line {
    /// Reads until what was read ends with `end`.
    async fn until(&mut self, end: &str) -> String {
        while !self.read.ends_with(end.as_bytes()) {
            assert_ne!(self.stream.read_buf(&mut self.read).await.unwrap(), 0, "closed before {end:?}");
        }
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }

    /// Reads a request head, and no further.
    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// Everything until the other side closes or cuts.
    async fn rest(&mut self) -> String {
        let _cut = self.stream.read_to_end(&mut self.read).await;
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }
}

fn upstreams() -> Upstreams {
    Upstreams::new().unwrap()
}

fn head() -> UpstreamHead {
    UpstreamHead {
        headers: HeaderMap::new(),
        cookies: None,
        forwarded: ForwardedFacts {
            peer: [192, 0, 2, 7].into(),
            trust: PeerTrust::Stranger,
            request_id: "rid".into(),
        },
        rules: Arc::new(HeaderRules::new(&RouteTable::default(), &["__Host-keycard".into()])),
    }
}

async fn get(upstreams: &Upstreams, route: Route) -> Result<UpstreamReply, UpstreamError> {
    upstreams.send(permit(route, facts("/"), None), head(), UpstreamBody::empty()).await
}

fn by(method: Method, route: Route) -> Permit {
    permit(route, RequestFacts { method, ..facts("/up") }, None)
}

async fn text(body: ReplyBody) -> Result<String, ReplyError> {
    let chunks: Vec<_> = body.collect().await;
    let chunks: Result<Vec<_>, _> = chunks.into_iter().collect();
    chunks.map(|chunks| String::from_utf8(chunks.concat()).unwrap())
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SOON: Duration = Duration::from_millis(100);

/// An address where nobody listens.
async fn nobody() -> UpstreamAddress {
    House::open().await.address
}
