//! Where a request goes, on which connection, and how often.
//!
//! I own: tests of targets, turns, pools and retries. I may call: the house of `upstream::tests`. I never leave this
//! machine.

use super::*;

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
