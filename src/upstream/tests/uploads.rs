//! Request bodies of every framing, whole, cut off, stalled and too large.
//!
//! I own: tests of the way in. I may call: the house of `upstream::tests`. I never leave this machine.

use super::*;

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
            Some(_) => ("\r\ncontent-length: 5", "hello"),
            None => ("\r\ntransfer-encoding: chunked", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
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
