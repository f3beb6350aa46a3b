//! The client against upstreams of raw bytes.
//!
//! I own: the unit tests of `upstream`, and the helpers [`permit`] and [`facts`] for its other rooms. I may call:
//! `domain`'s test helpers. I never leave this machine.

use super::*;
use crate::domain::origin::Origin;
use crate::domain::path::CanonicalPath;
use crate::domain::policy::{Decision, decide};
use crate::domain::request::{FetchSite, OriginHeader, RequestFacts, RequestKind};
use crate::domain::route::tests::route;
use crate::domain::route::{Access, RouteTable, UpstreamAddress};
use crate::domain::session::tests::live;
use crate::domain::session::{Session, Standing};
use crate::domain::time::Timestamp;
use crate::upstream::headers::{ForwardedFacts, PeerTrust};
use crate::upstream::reply::ReplyError;
use bytes::Bytes;
use futures_util::StreamExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Facts of a GET from our own page.
pub(crate) fn facts(path: &str) -> RequestFacts {
    RequestFacts {
        origin: Arc::new(Origin::parse("https://apps.example.com").unwrap()),
        method: Method::GET,
        path: CanonicalPath::parse(path).unwrap(),
        query: None,
        site: FetchSite::SameOrigin,
        kind: RequestKind::Script,
        to_document: false,
        origin_header: OriginHeader::Own,
        referer: OriginHeader::Absent,
        csrf_header: false,
        websocket: false,
        client: [192, 0, 2, 7].into(),
    }
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
    Upstreams::new(Arc::new(HeaderRules::new(&RouteTable::default(), &["__Host-keycard".into()]))).unwrap()
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

#[tokio::test]
async fn r70_the_judged_bytes_are_the_forwarded_bytes() {
    let long = format!("/{}", "a".repeat(4000));
    for (path, query, line) in [
        ("/", None, "/"),
        ("/", Some(""), "/?"),
        ("/a/b%20c/caf%C3%A9", Some("q=%2e%2e/&b=a+b&c=[]"), "/a/b%20c/caf%C3%A9?q=%2e%2e/&b=a+b&c=[]"),
        ("/x%2541", Some("?//..\\|{}^`'"), "/x%2541???//..\\|{}^`'"),
        ("/a:b@c", Some("u=http://evil/"), "/a:b@c?u=http://evil/"),
        (long.as_str(), None, long.as_str()),
    ] {
        let house = House::open().await;
        let route = house.route();
        let received = house.answer(OK);
        let facts = RequestFacts { query: query.map(str::to_owned), ..facts(path) };
        let reply = upstreams().send(permit(route, facts, None), head(), UpstreamBody::empty()).await;
        assert_eq!(text(reply.unwrap().body).await.unwrap(), "ok");
        let received = received.await.unwrap();
        let expected = format!("GET {} HTTP/1.1\r\n", line.replacen("???", "??", 1));
        assert!(received.starts_with(&expected), "{received}");
        assert!(received.contains("\r\nhost: apps.example.com\r\n"), "{received}");
        assert!(
            !received.contains("content-length") && !received.contains("transfer-encoding"),
            "{received}"
        );
    }
}

#[tokio::test]
async fn r70_what_cannot_stand_in_a_request_line_is_refused() {
    let house = House::open().await;
    for query in ["a b", "a#b", "a\r\nX: y", "a\0"] {
        let facts = RequestFacts { query: Some(query.into()), ..facts("/") };
        let sent = upstreams().send(permit(house.route(), facts, None), head(), UpstreamBody::empty()).await;
        assert!(matches!(sent.err(), Some(UpstreamError::Unforwardable(_))), "{query:?}");
    }
    for method in [Method::CONNECT, Method::TRACE] {
        let sent = upstreams().send(by(method, house.route()), head(), UpstreamBody::empty()).await;
        assert!(matches!(sent.err(), Some(UpstreamError::Unforwardable(_))));
    }
}

#[tokio::test]
async fn r77_replies_without_a_body_have_none() {
    for (method, bytes, declared) in [
        (Method::HEAD, &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"[..], Some(9)),
        (Method::HEAD, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        (Method::GET, b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (Method::GET, b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody", None),
        (Method::GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: \"x\"\r\n\r\n", Some(9)),
        (Method::GET, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", None),
    ] {
        let house = House::open().await;
        let route = house.route();
        let received = house.answer(bytes);
        let reply = upstreams().send(by(method, route), head(), UpstreamBody::empty()).await.unwrap();
        assert!(reply.body.is_bodiless());
        assert_eq!(reply.body.declared_length(), declared);
        assert!(!reply.headers.contains_key("content-length"));
        assert_eq!(text(reply.body).await.unwrap(), "");
        received.await.unwrap();
    }
}

#[tokio::test]
async fn chunked_replies_arrive_whole_and_without_trailers() {
    let house = House::open().await;
    let route = house.route();
    house.answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nX-A: 1\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nX-T: 1\r\n\r\n",
    );
    let reply = get(&upstreams(), route).await.unwrap();
    assert_eq!(reply.headers.keys().collect::<Vec<_>>(), ["x-a"]);
    assert_eq!(reply.body.declared_length(), None);
    assert_eq!(text(reply.body).await.unwrap(), "abc");
}

#[tokio::test]
async fn r74_bodies_that_break_off_do_not_end() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n",
    ] {
        let house = House::open().await;
        let route = house.route();
        house.answer(bytes);
        let reply = get(&upstreams(), route).await.unwrap();
        assert_eq!(text(reply.body).await, Err(ReplyError::Broken));
    }
}

#[tokio::test]
async fn a28_responses_with_bad_framing_are_no_responses() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
        b"hello\r\n\r\n",
        b"",
    ] {
        let house = House::open().await;
        let route = house.route();
        house.answer(bytes);
        let error = get(&upstreams(), route).await.err();
        assert!(matches!(error, Some(UpstreamError::BadResponse(_))), "{error:?} {}", bytes.escape_ascii());
    }
}

#[tokio::test]
async fn a28_a_connection_with_bad_framing_is_not_used_again() {
    const ODD: [&[u8]; 3] = [
        b"HTTP/1.1 204 No Content\r\nContent-Length: 40\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    for odd in ODD {
        let (house, upstreams) = (House::open().await, upstreams());
        let route = house.route();
        let play = tokio::spawn(async move {
            let mut first = house.accept().await;
            first.head().await;
            first.stream.write_all(odd).await.unwrap();
            let mut second = house.accept().await;
            second.head().await;
            second.stream.write_all(OK).await.unwrap();
            first.rest().await
        });
        let _ = get(&upstreams, route.clone()).await;
        let reply = get(&upstreams, route).await.unwrap();
        assert_eq!(text(reply.body).await.unwrap(), "ok");
        assert_eq!(play.await.unwrap(), "", "no second request on {}", odd.escape_ascii());
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let (house, upstreams) = (House::open().await, upstreams());
    let route = house.route();
    let play = tokio::spawn(async move {
        let mut line = house.accept().await;
        for _ in 0..3 {
            line.head().await;
            line.stream.write_all(OK).await.unwrap();
        }
    });
    for _ in 0..3 {
        let reply = get(&upstreams, route.clone()).await.unwrap();
        assert_eq!(text(reply.body).await.unwrap(), "ok");
        tokio::task::yield_now().await;
    }
    play.await.unwrap();
}

#[tokio::test]
async fn uploads_are_framed_as_they_were_declared() {
    for (method, declared) in [
        (Method::POST, Some(5)),
        (Method::POST, None),
        (Method::GET, Some(5)),
        (Method::GET, None),
        (Method::DELETE, None),
    ] {
        let house = House::open().await;
        let route = house.route();
        let play = tokio::spawn(async move {
            let mut line = house.accept().await;
            let end = if declared.is_some() { "hello" } else { "0\r\n\r\n" };
            let received = line.until(end).await;
            line.stream.write_all(OK).await.unwrap();
            received
        });
        let (mut sender, body) = UpstreamBody::channel(declared);
        let feed = async {
            sender.send(Bytes::from_static(b"he")).await.unwrap();
            tokio::task::yield_now().await;
            sender.send(Bytes::from_static(b"llo")).await.unwrap();
            sender.finish().unwrap();
        };
        let upstreams = upstreams();
        let (reply, ()) = tokio::join!(upstreams.send(by(method, route), head(), body), feed);
        assert_eq!(text(reply.unwrap().body).await.unwrap(), "ok");
        let received = play.await.unwrap();
        let (framing, content) = match declared {
            Some(_) => ("\r\ncontent-length: 5\r\n", "hello"),
            None => ("\r\ntransfer-encoding: chunked\r\n", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        };
        let (head, sent) = received.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(framing), "{head}");
        assert_eq!(sent, content);
    }
}

#[tokio::test]
async fn an_empty_post_says_that_it_is_empty() {
    for body in [UpstreamBody::empty(), UpstreamBody::channel(Some(0)).1] {
        let house = House::open().await;
        let route = house.route();
        let received = house.answer(OK);
        upstreams().send(by(Method::POST, route), head(), body).await.unwrap();
        assert_eq!(received.await.unwrap().matches("content-length: 0\r\n").count(), 1);
    }
}

#[tokio::test]
async fn r74_an_upload_that_is_cut_off_never_looks_complete() {
    for declared in [None, Some(10)] {
        let house = House::open().await;
        let route = house.route();
        let play = tokio::spawn(async move { house.accept().await.rest().await });
        let (mut sender, body) = UpstreamBody::channel(declared);
        let upstreams = upstreams();
        let feed = async {
            sender.send(Bytes::from_static(b"hello")).await.unwrap();
            drop(sender);
        };
        let (reply, ()) = tokio::join!(upstreams.send(by(Method::POST, route), head(), body), feed);
        assert_eq!(reply.err(), Some(UpstreamError::ClientAborted));
        let received = play.await.unwrap();
        assert!(!received.contains("\r\n0\r\n") && !received.ends_with("hellohello"), "{received}");
    }
}

#[tokio::test]
async fn r79_a_body_over_the_limit_is_cut_off() {
    let house = House::open().await;
    let mut route = house.route();
    route.limits.max_body = Some(6);
    let (_sender, declared) = UpstreamBody::channel(Some(7));
    let upstreams = upstreams();
    let refused = upstreams.send(by(Method::POST, route.clone()), head(), declared).await;
    assert_eq!(refused.err(), Some(UpstreamError::BodyTooLarge));

    let play = tokio::spawn(async move { house.accept().await.rest().await });
    let (mut sender, body) = UpstreamBody::channel(None);
    let feed = async { while sender.send(Bytes::from_static(b"abcd")).await.is_ok() {} };
    let (reply, ()) = tokio::join!(upstreams.send(by(Method::POST, route), head(), body), feed);
    assert_eq!(reply.err(), Some(UpstreamError::BodyTooLarge));
    assert_eq!(sender.send(Bytes::from_static(b"x")).await, Err(UploadError::TooLarge));
    assert!(!play.await.unwrap().contains("0\r\n\r\n"));
}

#[tokio::test]
async fn r79_silence_has_an_end_on_every_side() {
    let (house, upstreams) = (House::open().await, upstreams());
    let mut route = house.route();
    (route.limits.response_timeout, route.limits.stall_timeout) = (SOON, SOON);
    // No answer at all.
    assert_eq!(get(&upstreams, route.clone()).await.err(), Some(UpstreamError::TimedOut));
    // A client that stops.
    let (mut sender, body) = UpstreamBody::channel(None);
    sender.send(Bytes::from_static(b"x")).await.unwrap();
    let reply = upstreams.send(by(Method::POST, route.clone()), head(), body).await;
    assert_eq!(reply.err(), Some(UpstreamError::ClientStalled));
    // An upstream that reads nothing.
    let (mut sender, body) = UpstreamBody::channel(None);
    let feed = async { while sender.send(Bytes::from(vec![0; 1 << 20])).await.is_ok() {} };
    let (reply, ()) = tokio::join!(upstreams.send(by(Method::POST, route.clone()), head(), body), feed);
    assert_eq!(reply.err(), Some(UpstreamError::TimedOut));
    // An upstream that stops in the middle of its reply.
    let house = House::open().await;
    route.upstreams = vec![house.address.clone()];
    let play = tokio::spawn(async move {
        let mut line = house.accept().await;
        line.head().await;
        line.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").await.unwrap();
        line.rest().await
    });
    let reply = get(&upstreams, route).await.unwrap();
    assert_eq!(text(reply.body).await, Err(ReplyError::Stalled));
    play.await.unwrap();
}

#[tokio::test]
async fn r79_a_reader_that_does_not_read_stops_the_upstream() {
    const WHOLE: usize = 64 << 20;
    let (house, upstreams) = (House::open().await, upstreams());
    let route = house.route();
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let play = tokio::spawn(async move {
        let mut line = house.accept().await;
        line.head().await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {WHOLE}\r\n\r\n");
        line.stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = vec![b'x'; 64 << 10];
        while count.load(Ordering::Relaxed) < WHOLE {
            let room = chunk.len().min(WHOLE - count.load(Ordering::Relaxed));
            count.fetch_add(line.stream.write(&chunk[..room]).await.unwrap(), Ordering::Relaxed);
        }
    });
    let reply = get(&upstreams, route).await.unwrap();
    // Both ends run on this one thread: when nothing moves for many turns of it, nothing will.
    let (mut before, mut quiet) = (0, 0);
    while quiet < 20_000 {
        tokio::task::yield_now().await;
        let now = written.load(Ordering::Relaxed);
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }
    assert!(before < WHOLE / 4, "{before} bytes were taken from the upstream");
    let mut body = reply.body;
    let mut read = 0;
    while let Some(chunk) = body.next().await {
        read += chunk.unwrap().len();
    }
    assert_eq!(read, WHOLE);
    play.await.unwrap();
}

#[tokio::test]
async fn a_reply_that_is_over_ends_the_upload() {
    let house = House::open().await;
    let route = house.route();
    let play = tokio::spawn(async move {
        let mut line = house.accept().await;
        line.head().await;
        line.stream.write_all(OK).await.unwrap();
        line.rest().await
    });
    let (mut sender, body) = UpstreamBody::channel(None);
    sender.send(Bytes::from_static(b"first")).await.unwrap();
    let reply = upstreams().send(by(Method::POST, route), head(), body).await.unwrap();
    sender.send(Bytes::from_static(b"more")).await.unwrap();
    assert_eq!(text(reply.body).await.unwrap(), "ok");
    while sender.send(Bytes::from_static(b"more")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!play.await.unwrap().contains("0\r\n\r\n"));
}

#[tokio::test]
async fn dropping_the_future_or_the_reply_cuts_the_connection() {
    let (house, upstreams) = (House::open().await, upstreams());
    let mut waiting = Box::pin(get(&upstreams, house.route()));
    let mut line = tokio::select! {
        line = house.accept() => line,
        _ = &mut waiting => panic!("no reply yet"),
    };
    drop(waiting);
    line.rest().await;

    let answer = async {
        let mut line = house.accept().await;
        line.head().await;
        line.stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nendless").await.unwrap();
        line
    };
    let (reply, mut line) = tokio::join!(get(&upstreams, house.route()), answer);
    drop(reply.unwrap());
    line.rest().await;
}

/// An address where nobody listens.
async fn nobody() -> UpstreamAddress {
    House::open().await.address
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unreachable() {
    let gone = Route { upstreams: vec![nobody().await], ..route("/", Access::Public) };
    let error = get(&upstreams(), gone).await.err().unwrap();
    assert_eq!(error, UpstreamError::Unreachable("it refused the connection"));
    let nameless = UpstreamAddress::parse("http://nobody.invalid:1").unwrap();
    let nameless = Route { upstreams: vec![nameless], ..route("/", Access::Public) };
    assert!(matches!(get(&upstreams(), nameless).await.err(), Some(UpstreamError::Unreachable(_))));
}

#[tokio::test]
async fn tls_that_fails_is_unreachable() {
    let house = House::open().await;
    let address = UpstreamAddress { secure: true, ..house.address.clone() };
    let secure = Route { upstreams: vec![address], ..route("/", Access::Public) };
    let play =
        tokio::spawn(async move { house.accept().await.stream.write_all(b"HTTP/1.1 400 No\r\n\r\n").await });
    let error = get(&upstreams(), secure).await.err();
    assert_eq!(error, Some(UpstreamError::Unreachable("the TLS handshake failed")));
    play.await.unwrap().unwrap();
}

#[tokio::test]
async fn r80_only_a_bodyless_idempotent_request_moves_on_to_the_next_upstream() {
    let (house, upstreams) = (House::open().await, upstreams());
    let both = Route { upstreams: vec![nobody().await, house.address.clone()], ..route("/", Access::Public) };
    let first = Route { name: "first".into(), ..both.clone() };
    let (reply, ()) = tokio::join!(get(&upstreams, both), async {
        let mut line = house.accept().await;
        line.head().await;
        line.stream.write_all(OK).await.unwrap();
    });
    assert_eq!(reply.unwrap().status, 200);
    for (name, method, body) in [
        ("empty post", Method::POST, UpstreamBody::empty()),
        ("put with a body", Method::PUT, UpstreamBody::channel(None).1),
    ] {
        let route = Route { name: name.into(), ..first.clone() };
        let error = upstreams.send(by(method, route), head(), body).await.err();
        assert!(matches!(error, Some(UpstreamError::Unreachable(_))), "{name} {error:?}");
    }
}

#[tokio::test]
async fn r80_nothing_is_sent_twice_once_a_byte_is_out() {
    let (house, upstreams) = (House::open().await, upstreams());
    let route = house.route();
    let play = tokio::spawn(async move {
        let mut line = house.accept().await;
        line.head().await;
        line.stream.write_all(OK).await.unwrap();
        // On the connection that is used again, the request arrives and the connection ends.
        line.head().await;
        drop(line);
        house
    });
    let reply = get(&upstreams, route.clone()).await.unwrap();
    assert_eq!(text(reply.body).await.unwrap(), "ok");
    let error = get(&upstreams, route).await.err();
    assert!(matches!(error, Some(UpstreamError::BadResponse(_))), "{error:?}");
    let house = play.await.unwrap();
    assert!(futures_util::poll!(Box::pin(house.accept())).is_pending(), "no second connection");
}

#[tokio::test]
async fn upstreams_take_turns_on_each_route() {
    let (one, two, upstreams) = (House::open().await, House::open().await, upstreams());
    let both = Route { upstreams: vec![one.address.clone(), two.address.clone()], ..one.route() };
    let other = Route { name: "other".into(), ..both.clone() };
    let mut turns = Vec::new();
    for route in [&both, &other, &both, &other, &both, &other] {
        turns.push(upstreams.turn(route));
    }
    assert_eq!(turns, [0, 0, 1, 1, 0, 0]);
}

#[tokio::test]
async fn what_crosses_threads_may_cross_threads() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let upstreams = upstreams();
    let another = is_send(upstreams.for_another_worker());
    let gone = Route { upstreams: vec![nobody().await], ..route("/", Access::Public) };
    let sent = is_send(another.send(permit(gone, facts("/"), None), head(), UpstreamBody::empty()));
    assert!(sent.await.is_err());
}
