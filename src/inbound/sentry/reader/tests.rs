//! Tables of what a request may not be (R74, R75, A32), and that no cut changes a verdict.

use super::*;
use proptest::prelude::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 600, fields: 8, uri: 100 };

/// What is passed on, and where it ended: the whole connection, one request after the other.
fn read(pieces: &[&[u8]]) -> (Vec<u8>, Result<At, Refusal>) {
    read_within(LIMITS, pieces)
}

fn read_within(limits: HeadLimits, pieces: &[&[u8]]) -> (Vec<u8>, Result<At, Refusal>) {
    let (mut reader, mut came, mut judged) = (Reader::new(limits), BytesMut::new(), BytesMut::new());
    for piece in pieces {
        came.extend_from_slice(piece);
        loop {
            if let Err(refusal) = reader.advance(&mut came, &mut judged) {
                return (judged.to_vec(), Err(refusal));
            }
            match reader.at() {
                At::End => reader.next(),
                _ => break,
            }
            if came.is_empty() {
                break;
            }
        }
    }
    (judged.to_vec(), Ok(reader.at()))
}

fn verdict(bytes: &[u8]) -> Result<At, Refusal> {
    read(&[bytes]).1
}

fn passed(bytes: &str) -> String {
    let (judged, verdict) = read(&[bytes.as_bytes()]);
    assert!(verdict.is_ok(), "{verdict:?}: {bytes:?}");
    String::from_utf8(judged).unwrap()
}

/// A request with these field lines behind its `Host`.
fn with(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

#[test]
fn r74_framings() {
    for (lines, refusal) in [
        ("Content-Length: 5, 5\r\n", Refusal::ContentLength),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Refusal::ContentLength),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", Refusal::ContentLength),
        ("Content-Length: +5\r\n", Refusal::ContentLength),
        ("Content-Length: -5\r\n", Refusal::ContentLength),
        ("Content-Length: 0x5\r\n", Refusal::ContentLength),
        ("Content-Length: 5 5\r\n", Refusal::ContentLength),
        ("Content-Length:\r\n", Refusal::ContentLength),
        ("Content-Length: 99999999999999999999\r\n", Refusal::ContentLength),
        ("Content-Length : 5\r\n", Refusal::FieldName),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Refusal::TwoFramings),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", Refusal::TwoFramings),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: gzip, chunked\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: chunked, identity\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: identity\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: xchunked\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: \"chunked\"\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: chunked;q=1\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding:\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding:\u{b}chunked\r\n", Refusal::Control),
        ("Transfer-Encoding\u{b}: chunked\r\n", Refusal::Control),
        ("Transfer-Encoding:\r\n chunked\r\n", Refusal::TransferEncoding),
        ("X: y\r\n Transfer-Encoding: chunked\r\n", Refusal::Fold),
        ("Expect: 200-ok\r\n", Refusal::Expectation),
    ] {
        assert_eq!(verdict(with(lines).as_bytes()), Err(refusal), "{lines:?}");
    }
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(verdict(old.as_bytes()), Err(Refusal::TransferEncoding));
    assert_eq!(verdict(b"POST / HTTP/1.0\r\n\r\n"), Err(Refusal::ContentLength));
    for good in
        ["Content-Length: 0\r\n", "Transfer-Encoding: Chunked\r\n", "Expect: 100-Continue\r\n", "X:y\r\n"]
    {
        assert!(verdict(with(good).as_bytes()).is_ok(), "{good:?}");
    }
}

#[test]
fn r75_syntax() {
    for (bytes, refusal) in [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Refusal::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Refusal::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Refusal::BareLf),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BareLf),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", Refusal::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Refusal::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", Refusal::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Refusal::Control),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Control),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Refusal::Fold),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\n\r\n", Refusal::Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refusal::Host),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Refusal::Host),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Refusal::Host),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Refusal::Host),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Refusal::Version),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Method),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Method),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::RequestLine),
        ("\u{16}\u{3}\u{1}", Refusal::Control),
        ("{", Refusal::RequestLine),
    ] {
        assert_eq!(verdict(bytes.as_bytes()), Err(refusal), "{bytes:?}");
    }
    assert_eq!(verdict(b"GET / HTTP/1.0\r\n\r\n"), Ok(At::Start));
    assert_eq!(verdict(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(At::Start));
}

#[test]
fn r79_a32_sizes() {
    let many = "x: y\r\n".repeat(8);
    for (bytes, refusal) in [
        (format!("GET /{} HTTP/1.1\r\n", "x".repeat(100)), Refusal::UriTooLong),
        // It is not waited for the end.
        (format!("GET /{}", "x".repeat(100)), Refusal::UriTooLong),
        ("x".repeat(33), Refusal::Method),
        (with(&format!("x: {}", "y".repeat(600))), Refusal::HeadTooLarge),
        (with(&many), Refusal::TooManyHeaders),
    ] {
        assert_eq!(verdict(bytes.as_bytes()), Err(refusal), "{bytes}");
    }
    assert!(verdict(with(&many[..42]).as_bytes()).is_ok());
}

#[test]
fn r79_more_cookies_than_a_browser_keeps_are_refused_in_one_line_or_several() {
    let limits = HeadLimits { bytes: 60_000, ..LIMITS };
    let judge = |lines: &[&str]| {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", lines.concat());
        read_within(limits, &[head.as_bytes()]).1
    };
    let pairs = |count: usize| format!("cOOkie: {}a\r\n", "a;".repeat(count - 1));
    assert_eq!(judge(&[&pairs(500)]), Ok(At::Start));
    for lines in [[pairs(501), String::new()], [pairs(300), pairs(201)]] {
        assert_eq!(judge(&[&lines[0], &lines[1]]), Err(Refusal::TooManyHeaders));
    }
    assert_eq!(judge(&[&format!("x: {}\r\n", ";".repeat(5000))]), Ok(At::Start), "another header");
}

#[test]
fn r74_chunks() {
    for (body, refusal) in [
        ("\r\n", Refusal::ChunkSize),
        ("g\r\n", Refusal::ChunkSize),
        ("0x5\r\n", Refusal::ChunkSize),
        (" 5\r\n", Refusal::ChunkSize),
        ("5 \r\n", Refusal::ChunkSize),
        ("-5\r\n", Refusal::ChunkSize),
        ("+5\r\n", Refusal::ChunkSize),
        ("5\n", Refusal::ChunkSize),
        ("5\rx", Refusal::ChunkSize),
        (";x\r\n", Refusal::ChunkSize),
        ("0000000000000005\r\n", Refusal::ChunkSize),
        ("fffffffffffffffff\r\n", Refusal::ChunkSize),
        ("5;a\nb\r\n", Refusal::ChunkExtension),
        ("5;a\0\r\n", Refusal::ChunkExtension),
        ("2\r\nabc\r\n", Refusal::ChunkEnd),
        ("2\r\nab\n", Refusal::ChunkEnd),
        ("2\r\nab\rx", Refusal::ChunkEnd),
        ("2\r\nab0\r\n", Refusal::ChunkEnd),
        ("0\r\nx y: z\r\n", Refusal::Trailer),
        ("0\r\nContent-Length: 3\r\n", Refusal::Trailer),
        ("0\r\nTransfer-Encoding: chunked\r\n", Refusal::Trailer),
        ("0\r\nx\n", Refusal::Trailer),
        ("0\r\n\n", Refusal::Trailer),
        ("0\r\n\rx", Refusal::Trailer),
    ] {
        let bytes = with("Transfer-Encoding: chunked\r\n") + body;
        assert_eq!(verdict(bytes.as_bytes()), Err(refusal), "{body:?}");
    }
    let endless = with("Transfer-Encoding: chunked\r\n") + "5;" + &"x".repeat(5000);
    assert_eq!(verdict(endless.as_bytes()), Err(Refusal::ChunkExtension));
    let endless = with("Transfer-Encoding: chunked\r\n") + "0\r\n" + &"x: y\r\n".repeat(500);
    assert_eq!(verdict(endless.as_bytes()), Err(Refusal::Trailer));
}

#[test]
fn r77_extensions_and_trailers_are_dropped_and_data_is_not() {
    let head = with("Transfer-Encoding: chunked\r\n");
    let chunks = "3;a=\"b\"\r\nabc\r\n00A\r\n0123456789\r\n0;x\r\nDigest: z\r\nX: y\r\n\r\n";
    assert_eq!(passed(&(head.clone() + chunks)), head + "3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n");
}

#[test]
fn r78_only_a_websocket_is_a_tunnel_and_other_upgrades_are_nothing() {
    let get = |lines: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let asks = get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    assert_eq!(verdict(asks.as_bytes()), Ok(At::Tunnel));
    assert!(passed(&asks).ends_with("Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n"));
    for other in [
        get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"),
        get("Upgrade: websocket\r\n"),
        get("Connection: Upgrade\r\n"),
        get("Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n"),
        get("Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n"),
        get("Connection: Upgrade, close\r\nUpgrade: websocket\r\n"),
        with("Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(),
    ] {
        let passed = passed(&other).to_lowercase();
        assert!(!passed.contains("upgrade"), "{passed}");
        assert_eq!(verdict(other.as_bytes()), Ok(At::Start), "{other}");
    }
    let body = with("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n") + "abc";
    assert!(!passed(&body).to_lowercase().contains("upgrade"));
}

#[test]
fn a_request_ends_where_it_said_and_the_next_one_waits() {
    let (mut reader, mut judged) = (Reader::new(LIMITS), BytesMut::new());
    let first = with("Content-Length: 3\r\n") + "abc";
    let mut came = BytesMut::from((first.clone() + "GET /canary HTTP/1.1\r\n").as_bytes());
    reader.advance(&mut came, &mut judged).unwrap();
    assert_eq!((reader.at(), &judged[..]), (At::End, first.as_bytes()));
    reader.advance(&mut came, &mut judged).unwrap();
    assert_eq!((judged.len(), &came[..5]), (first.len(), &b"GET /"[..]));
}

/// Pieces of requests, good and bad, from which a stream is put together.
const PIECES: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\n",
    "Host: a\r\n",
    "Content-Length: 4\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "X: y\r\n",
    "\r\n",
    "4\r\nabcd\r\n",
    "2;x=y\r\nab\r\n",
    "0\r\n",
    "T: u\r\n",
    "abcd",
    "\n",
    "\r",
    " ",
    "\0",
    "\u{e4}",
    ":",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn r74_no_cut_changes_a_verdict(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 1..14),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let stream = pieces.concat().into_bytes();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let cut: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        let whole = read(&[&stream]);
        prop_assert_eq!(&read(&cut), &whole);
        prop_assert_eq!(&read(&single), &whole);
    }
}
