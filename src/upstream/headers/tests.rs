//! Tables of what passes, what does not, and what is added.
//!
//! I own: the unit tests of `upstream::headers`. I may call: `domain`'s test helpers. I never open a socket.

use super::*;
use crate::domain::identity_header::{HeaderStyle, IdentityHeader, IdentitySource};
use crate::domain::route::{RouteTable, tests::route};
use crate::domain::session::Session;
use crate::domain::session::tests::session;
use crate::upstream::tests::{facts, permit};

const COOKIES: &[&str] = &["__Host-keycard", "__Host-keycard-login"];

fn named(access: Access) -> Route {
    let header = |name: &'static str, source| IdentityHeader {
        name: HeaderName::from_static(name),
        source,
        style: HeaderStyle::default(),
    };
    Route {
        identity_headers: vec![
            header("x-user", IdentitySource::UserId),
            header("remote-email", IdentitySource::Email),
            header("remote-name", IdentitySource::Name),
        ],
        ..route("/", access)
    }
}

fn relaying() -> Route {
    Route { relay: Relay::AccessToken, ..named(Access::SignedIn) }
}

fn rules() -> HeaderRules {
    let table = RouteTable::new(vec![named(Access::SignedIn)]).unwrap();
    HeaderRules::new(&table, &COOKIES.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
}

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn head(lines: &[(&str, &str)], trust: PeerTrust) -> UpstreamHead {
    let forwarded = ForwardedFacts { peer: [192, 0, 2, 7].into(), trust, request_id: "rid-1".into() };
    let cookies = Some(HeaderValue::from_static("theme=dark"));
    UpstreamHead { headers: map(lines), cookies, forwarded, rules: Arc::new(rules()) }
}

fn sent(route: Route, person: Option<Session>, lines: &[(&str, &str)]) -> HeaderMap {
    request_headers(&head(lines, PeerTrust::Stranger), &permit(route, facts("/"), person), &rules())
}

fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes()).unwrap()).collect()
}

fn returned(access: Access, lines: &[(&str, &str)]) -> HeaderMap {
    response_headers(&map(lines), &permit(route("/", access), facts("/"), Some(session())), &rules())
}

#[test]
fn a20_no_spelling_of_a_managed_header_gets_through() {
    let managed = [
        "X-User",
        "Remote-User",
        "Remote-Groups",
        "Remote-Email",
        "X-Forwarded-User",
        "X-Forwarded-Groups",
        "X-Forwarded-Preferred-Username",
        "X-Forwarded-Access-Token",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Auth-Request-User",
        "X-Keycard-Assertion",
        "OIDC-Claim-Sub",
        "Forwarded",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-Request-Id",
        "Proxy",
        "traceparent",
        "Authorization",
    ];
    let people = [Some(session()), None];
    for (name, person) in managed.iter().flat_map(|name| people.iter().map(move |person| (name, person))) {
        for spelling in [
            (*name).to_owned(),
            name.to_lowercase(),
            name.to_uppercase(),
            name.replace('-', "_"),
            name.replace('-', "."),
            name.replace('-', "~"),
        ] {
            let lines = [(spelling.as_str(), "evil"), (spelling.as_str(), "evil2"), ("Connection", name)];
            let headers = sent(named(Access::Optional), person.clone(), &lines);
            let evil = headers.values().any(|value| value.as_bytes().starts_with(b"evil"));
            assert!(!evil, "{spelling} {headers:?}");
        }
    }
}

#[test]
fn a20_a_listed_header_of_ours_arrives_all_the_same() {
    let listed =
        "close, x-user, Remote-Email, x-forwarded-for, via, cookie, authorization, host, content-type";
    let headers = sent(
        relaying(),
        Some(session()),
        &[("Connection", listed), ("X-User", "mallory"), ("Content-Type", "text/plain")],
    );
    for (name, expected) in [
        ("x-user", "alice"),
        ("remote-email", "alice@example.com"),
        ("x-forwarded-for", "192.0.2.7"),
        ("via", "1.1 keycard"),
        ("cookie", "theme=dark"),
        ("authorization", "Bearer access"),
        ("host", "apps.example.com"),
        ("content-type", "text/plain"),
    ] {
        assert_eq!(values(&headers, name), [expected], "{name}");
    }
}

#[test]
fn r71_what_belongs_to_the_connection_stays_there() {
    let lines = [
        ("Connection", "Keep-Alive, X-Hop"),
        ("Connection", "x-hop-2,,"),
        ("X-Hop", "1"),
        ("X-Hop-2", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "trailers"),
        ("Transfer-Encoding", "chunked"),
        ("Transfer_Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authorization", "Basic eA=="),
        ("Trailer", "x"),
        ("Content-Length", "5"),
        ("Content_Length", "5"),
        ("Expect", "100-continue"),
        ("Accept", "text/html"),
    ];
    let headers = sent(route("/", Access::Public), None, &lines);
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let ours = [
        "accept",
        "cookie",
        "host",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
    ];
    assert_eq!(names, ours);
    let back = returned(Access::Public, &lines);
    assert_eq!(back.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["expect", "accept"]);
}

#[test]
fn r72_a_missing_or_unprintable_claim_is_an_absent_header() {
    let mut person = session();
    person.identity.name = Some("Eve\r\nX-Admin: 1".into());
    person.identity.email = None;
    let headers = sent(named(Access::SignedIn), Some(person.clone()), &[("Remote-Name", "x")]);
    assert!(!headers.contains_key("remote-name") && !headers.contains_key("remote-email"));
    person.identity.name = Some("Zo\u{eb}".into());
    let headers = sent(named(Access::SignedIn), Some(person), &[]);
    assert_eq!(values(&headers, "remote-name"), ["Zo\u{eb}"]);
    let headers = sent(named(Access::Optional), None, &[("X-User", "mallory")]);
    assert!(!headers.contains_key("x-user"));
}

#[test]
fn r73_where_a_request_came_from_is_ours_to_say() {
    let lines = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "gopher"), ("traceparent", "00-1")];
    let made = |trust| {
        let permit = permit(route("/", Access::Public), facts("/"), None);
        request_headers(&head(&lines, trust), &permit, &rules())
    };
    let chain = |text: &str| PeerTrust::Proxy { chain: Some(text.to_owned()) };
    for (trust, for_, trace) in [
        (PeerTrust::Stranger, "192.0.2.7", 0),
        (PeerTrust::Proxy { chain: None }, "192.0.2.7", 1),
        (chain("203.0.113.9, 10.0.0.1"), "203.0.113.9, 10.0.0.1, 192.0.2.7", 1),
        (chain("1.1.1.1\r\nX-User: x"), "192.0.2.7", 1),
    ] {
        let headers = made(trust);
        assert_eq!(values(&headers, "x-forwarded-for"), [for_]);
        assert_eq!(values(&headers, "traceparent").len(), trace);
        assert_eq!(values(&headers, "x-forwarded-proto"), ["https"]);
        assert_eq!(values(&headers, "x-forwarded-host"), ["apps.example.com"]);
        assert_eq!(values(&headers, "x-request-id"), ["rid-1"]);
    }
}

#[test]
fn r77_via_is_appended() {
    let headers = sent(route("/", Access::Public), None, &[("Via", "1.0 fred")]);
    assert_eq!(values(&headers, "via"), ["1.0 fred", "1.1 keycard"]);
}

#[test]
fn r81_the_clients_credentials_stop_where_ours_may_act() {
    let own = [("Authorization", "Basic eDp4")];
    for (route, person, expected) in [
        (route("/", Access::Public), None, &["Basic eDp4"][..]),
        (route("/", Access::Optional), None, &[]),
        (route("/", Access::SignedIn), Some(session()), &[]),
        (relaying(), Some(session()), &["Bearer access"]),
        (Route { relay: Relay::AccessToken, ..route("/", Access::Public) }, None, &[]),
    ] {
        let headers = sent(route, person, &own);
        assert_eq!(values(&headers, "authorization"), expected);
    }
    let relayed = sent(relaying(), Some(session()), &[]);
    assert!(relayed["authorization"].is_sensitive());
}

#[test]
fn r55_only_the_foreign_cookies_go_on() {
    let lines = [("Cookie", "__Host-keycard=secret; theme=dark"), ("Cookie", "b=c")];
    let headers = sent(route("/", Access::Public), None, &lines);
    assert_eq!(values(&headers, "cookie"), ["theme=dark"]);
    let mut without = head(&lines, PeerTrust::Stranger);
    without.cookies = None;
    let permit = permit(route("/", Access::Public), facts("/"), None);
    assert!(!request_headers(&without, &permit, &rules()).contains_key("cookie"));
}

#[test]
fn a22_an_upstream_touches_none_of_our_cookies() {
    let headers = returned(
        Access::SignedIn,
        &[
            ("Set-Cookie", "__Host-keycard=evil; Path=/; Secure"),
            ("Set-Cookie", "KEYCARD=evil"),
            ("Set-Cookie", "app=1"),
            ("Set-Cookie", "=keycard-login=evil"),
            ("Set-Cookie", "app2=2"),
            ("Connection", "set-cookie, content-security-policy, x-frame-options"),
            ("Content-Security-Policy", "default-src 'self'"),
            ("X-Frame-Options", "DENY"),
            ("Service-Worker-Allowed", "/"),
            ("Alt-Svc", "h3=\":443\""),
        ],
    );
    assert_eq!(values(&headers, "set-cookie"), ["app=1", "app2=2"]);
    assert_eq!(headers.len(), 5, "{headers:?}");
    for (value, kept) in [
        ("\"cookies\"", false),
        ("\"*\"", false),
        ("*", false),
        ("\"cache\", \"Cookies\"", false),
        ("\"executionContexts\"", false),
        ("\"cache\", \"storage\"", true),
    ] {
        let headers = returned(Access::Public, &[("Clear-Site-Data", value)]);
        assert_eq!(headers.contains_key("clear-site-data"), kept, "{value}");
        let split = returned(Access::Public, &[("Clear-Site-Data", "\"cache\""), ("Clear-Site-Data", value)]);
        assert_eq!(split.contains_key("clear-site-data"), kept, "{value}");
    }
}

#[test]
fn r58_what_depends_on_the_person_says_so_and_stays_as_cacheable_as_it_was() {
    let own = ("Cache-Control", "public, max-age=60");
    for (access, vary, expected) in [
        (Access::Public, None, &[][..]),
        (Access::SignedIn, None, &["Cookie"]),
        (Access::Optional, Some("Accept"), &["Accept", "Cookie"]),
        (Access::SignedIn, Some("accept, COOKIE"), &["accept, COOKIE"]),
        (Access::SignedIn, Some("*"), &["*"]),
    ] {
        let lines: Vec<_> = vary.map(|vary| ("Vary", vary)).into_iter().chain([own]).collect();
        let headers = returned(access, &lines);
        assert_eq!(values(&headers, "vary"), expected);
        assert_eq!(values(&headers, "cache-control"), ["public, max-age=60"]);
    }
}

#[test]
fn a_header_that_frames_messages_is_no_identity_header() {
    let header = |name: &'static str| IdentityHeader {
        name: HeaderName::from_static(name),
        source: IdentitySource::UserId,
        style: HeaderStyle::default(),
    };
    let names = ["content-length", "transfer-encoding", "connection", "host"];
    let odd = Route { identity_headers: names.map(header).to_vec(), ..route("/", Access::SignedIn) };
    let headers = sent(odd, Some(session()), &[]);
    assert!(!headers.values().any(|value| value == "alice"));
}
