//! Replies of every shape, whole, broken and never ending.
//!
//! I own: tests of the way back. I may call: the house of `upstream::tests`. I never leave this machine.

use super::*;

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
async fn a28_bytes_behind_a_response_never_answer_the_next_request() {
    const POISON: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    const REFUSED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n";
    const NOTHING: &[u8] = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 51\r\n\r\n";
    for first in [GOOD, CHUNKED, REFUSED, NOTHING] {
        let (house, upstreams) = (House::open().await, upstreams());
        let route = house.route();
        let play = tokio::spawn(async move {
            let mut odd = house.accept().await;
            odd.head().await;
            odd.stream.write_all(&[first, POISON].concat()).await.unwrap();
            let mut next = house.accept().await;
            next.head().await;
            next.stream.write_all(OK).await.unwrap();
            odd.rest().await
        });
        if let Ok(reply) = get(&upstreams, route.clone()).await {
            assert!(matches!(text(reply.body).await.unwrap().as_str(), "ok" | ""));
        }
        let reply = get(&upstreams, route).await.unwrap();
        assert_eq!(text(reply.body).await.unwrap(), "ok", "after {}", first.escape_ascii());
        assert_eq!(play.await.unwrap(), "", "no second request after {}", first.escape_ascii());
    }
}

#[tokio::test]
async fn a28_an_answer_before_the_body_leaves_no_body_for_the_next_request() {
    let (house, upstreams) = (House::open().await, upstreams());
    let route = house.route();
    let play = tokio::spawn(async move {
        let mut early = house.accept().await;
        early.head().await;
        early.stream.write_all(OK).await.unwrap();
        let mut next = house.accept().await;
        let head = next.head().await;
        next.stream.write_all(OK).await.unwrap();
        (early.rest().await, head)
    });
    let (mut sender, body) = UpstreamBody::channel(Some(40));
    let reply = upstreams.send(by(Method::POST, route.clone()), head(), body).await.unwrap();
    assert_eq!(text(reply.body).await.unwrap(), "ok");
    let smuggled = Bytes::from_static(b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n");
    let late = sender.send(smuggled).await;
    let reply = get(&upstreams, route).await.unwrap();
    assert_eq!(text(reply.body).await.unwrap(), "ok");
    let (rest, next) = play.await.unwrap();
    assert!(next.starts_with("GET / HTTP/1.1\r\n"), "{next}");
    assert!(rest.is_empty() || late.is_ok(), "{rest}");
}

#[tokio::test]
async fn a32_informational_answers_without_end_are_bounded_in_time() {
    let house = House::open().await;
    let limits = RouteLimits { response_timeout: SOON, ..house.route().limits };
    let route = Route { limits, ..house.route() };
    let play = tokio::spawn(async move {
        let mut line = house.accept().await;
        line.head().await;
        let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(100);
        // Until the other side cuts.
        while line.stream.write_all(&hint).await.is_ok() {}
    });
    assert_eq!(get(&upstreams(), route).await.err(), Some(UpstreamError::TimedOut));
    play.await.unwrap();
}

#[tokio::test]
async fn a32_a_head_without_end_is_bounded_in_size() {
    let house = House::open().await;
    let route = house.route();
    let play = tokio::spawn(async move {
        let mut line = house.accept().await;
        line.head().await;
        line.stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        while line.stream.write_all(&b"X: y\r\n".repeat(1000)).await.is_ok() {}
    });
    assert!(matches!(get(&upstreams(), route).await.err(), Some(UpstreamError::BadResponse(_))));
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
