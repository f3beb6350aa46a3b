//! Tables of what an app says, and what browsers hear.
//!
//! I own: the tests of `upstream::rewrite`, hostile rows among them. I may call: `domain`'s test helpers. I never open
//! a socket.

use super::*;
use crate::domain::legacy::Legacy;
use crate::domain::path::CanonicalPath;
use crate::domain::route::tests::route;
use crate::domain::route::{Access, UpstreamAddress};

fn app(prefix: &str, base: Option<&str>, host: HostPolicy) -> Route {
    let upstreams = ["http://wiki:8080", "http://wiki2"].map(|at| UpstreamAddress::parse(at).unwrap());
    let base = base.map(|base| CanonicalPath::parse(base).unwrap());
    Route {
        upstreams: upstreams.into(),
        legacy: Legacy { base, host, ..Legacy::default() },
        ..route(prefix, Access::SignedIn)
    }
}

fn public() -> Origin {
    Origin::parse("https://apps.example.com").unwrap()
}

/// `None` in a row: left as it is.
fn assert_locations(route: &Route, rows: &[(&str, Option<&str>)]) {
    for (given, expected) in rows {
        let found = Rewriter::new(route, &public()).location(given);
        assert_eq!(found.as_deref(), *expected, "{given} on {} {:?}", route.name, route.legacy.base);
    }
}

#[test]
fn r70_what_points_at_the_upstream_points_at_the_public_origin() {
    assert_locations(
        &app("/wiki/", None, HostPolicy::Upstream),
        &[
            ("http://wiki:8080/wiki/x?y#z", Some("https://apps.example.com/wiki/x?y#z")),
            ("HTTP://WIKI:8080/wiki/", Some("https://apps.example.com/wiki/")),
            ("https://wiki:8080/wiki/", Some("https://apps.example.com/wiki/")),
            ("//wiki:8080/wiki/", Some("https://apps.example.com/wiki/")),
            ("http://wiki:8080", Some("https://apps.example.com/")),
            ("http://wiki:8080?x", Some("https://apps.example.com/?x")),
            ("http://wiki2/wiki/", Some("https://apps.example.com/wiki/")),
            ("http://wiki2:80/wiki/", Some("https://apps.example.com/wiki/")),
            ("http://wiki:8080//evil.test/x", Some("https://apps.example.com//evil.test/x")),
            ("/wiki/x", None),
            ("x/y", None),
            ("?x", None),
            ("", None),
            ("https://apps.example.com/wiki/x", None),
            ("http://apps.example.com/wiki/x", None),
        ],
    );
}

#[test]
fn a19_a_redirect_to_elsewhere_stays_what_it_is() {
    for (prefix, base) in
        [("/wiki/", None), ("/wiki/", Some("/")), ("/", Some("/base/")), ("/a/", Some("/b/"))]
    {
        for host in [HostPolicy::Public, HostPolicy::Upstream, HostPolicy::Literal("wiki.internal".into())] {
            for given in [
                "https://evil.test/",
                "http://evil.test/wiki/",
                "//evil.test/wiki/",
                "///evil.test/",
                "/\\evil.test/",
                "\\\\evil.test/",
                "http:\\\\wiki:8080/",
                "http:/wiki:8080/",
                "http:wiki:8080/",
                "http://wiki:8080@evil.test/",
                "http://wiki:8080\\@evil.test/",
                "http://user@wiki:8080/",
                "http://user:pass@wiki:8080/",
                "http://wiki:8080.evil.test/",
                "http://wiki:80801/",
                "http://wiki:/",
                "http://wiki/",
                "http://wiki:8080%2f@evil.test/",
                "http://wi\tki:8080/",
                "http://wiki:8080/ x",
                "ftp://wiki:8080/",
                "javascript://wiki:8080/%0aalert(1)",
                "data:text/html,x",
                "/base//evil.test/",
                "http://apps.example.com.evil.test/",
                "https://apps.example.com:8443/",
                "https://apps.example.com@evil.test/",
            ] {
                let route = app(prefix, base, host.clone());
                let found = Rewriter::new(&route, &public()).location(given);
                // A path may get its prefix back; nothing else changes, and no other host comes out.
                let harmless = found.as_ref().is_none_or(|new| {
                    given.starts_with("/base/") && new.starts_with("/wiki/base//evil.test/")
                });
                assert!(harmless, "{given} on {prefix} {base:?}: {found:?}");
            }
        }
    }
}

#[test]
fn r70_prefixes_come_back() {
    assert_locations(
        &app("/wiki/", Some("/"), HostPolicy::Public),
        &[
            ("/login?x=/y", Some("/wiki/login?x=/y")),
            ("/", Some("/wiki/")),
            ("/?x", Some("/wiki/?x")),
            ("/wikipedia", Some("/wiki/wikipedia")),
            ("/wiki/login", None),
            ("/wiki", None),
            ("login", None),
            ("http://wiki:8080/login", Some("https://apps.example.com/wiki/login")),
            ("http://wiki:8080/wiki/login", Some("https://apps.example.com/wiki/login")),
            ("http://apps.example.com/login", Some("https://apps.example.com/wiki/login")),
            ("https://apps.example.com/login", Some("https://apps.example.com/wiki/login")),
            ("https://apps.example.com:443/login", Some("https://apps.example.com/wiki/login")),
            ("https://apps.example.com/wiki/login", None),
        ],
    );
    assert_locations(
        &app("/wiki/", Some("/base/"), HostPolicy::Public),
        &[
            ("/base/login", Some("/wiki/login")),
            ("/base", Some("/wiki/")),
            ("/base/", Some("/wiki/")),
            ("/baseball", None),
            ("/other", None),
            ("/wiki/login", None),
            ("http://wiki:8080/other", None),
            ("http://wiki:8080/base/x", Some("https://apps.example.com/wiki/x")),
        ],
    );
    assert_locations(
        &app("/wiki/", Some("/wiki/inner/"), HostPolicy::Public),
        &[("/wiki/inner/x", Some("/wiki/x")), ("/wiki/x", None)],
    );
    assert_locations(
        &app("/", Some("/base/"), HostPolicy::Public),
        &[("/base/x", Some("/x")), ("/base", Some("/")), ("/base//evil.test", None), ("/x", None)],
    );
}

#[test]
fn r70_the_name_that_we_gave_an_app_is_its_own() {
    let literal = |name: &str| app("/", None, HostPolicy::Literal(name.into()));
    assert_locations(
        &literal("wiki.internal"),
        &[
            ("http://wiki.internal/x", Some("https://apps.example.com/x")),
            ("https://wiki.internal/x", Some("https://apps.example.com/x")),
            ("http://wiki.internal:8080/x", Some("https://apps.example.com/x")),
            ("http://wiki.internal:8081/x", None),
            ("http://apps.example.com/x", None),
        ],
    );
    assert_locations(
        &literal("wiki.internal:81"),
        &[("http://wiki.internal:81/", Some("https://apps.example.com/")), ("http://wiki.internal/", None)],
    );
    // An app that does not know of the TLS in front.
    let plain = app("/", None, HostPolicy::Public);
    assert_locations(&plain, &[("http://apps.example.com/x", Some("https://apps.example.com/x"))]);
    // nginx redirects to the host that it was told and the port that it listens on.
    assert_locations(
        &plain,
        &[
            ("http://apps.example.com:8080/x/", Some("https://apps.example.com/x/")),
            ("//APPS.example.com:8080/x/", Some("https://apps.example.com/x/")),
            ("http://apps.example.com:8081/x/", None),
            ("http://evil.test:8080/x/", None),
        ],
    );
    let inner = app("/", None, HostPolicy::Upstream);
    assert_locations(&inner, &[("http://apps.example.com:8080/x/", None)]);
    let insecure = Origin::parse("http://apps.example.com").unwrap();
    assert_eq!(Rewriter::new(&plain, &insecure).location("https://apps.example.com/x"), None, "no downgrade");
}

#[test]
fn r70_refresh_is_a_redirect_too() {
    let route = app("/wiki/", Some("/"), HostPolicy::Public);
    for (given, expected) in [
        ("0;url=http://wiki:8080/x", Some("0; url=https://apps.example.com/wiki/x")),
        ("5; URL='/x'", Some("5; url='/wiki/x'")),
        ("5, url = \"/x?a=b;c\"", Some("5, url=\"/wiki/x?a=b;c\"")),
        ("5;/x", Some("5; url=/wiki/x")),
        ("5", None),
        ("5; url=https://evil.test/", None),
        ("5; url=//evil.test/", None),
        ("5; url='http://wiki:8080@evil.test/'", None),
        ("5; url=\"/x'", None),
        ("5; url='/x' y'", None),
        ("\u{e9}; u", None),
    ] {
        assert_eq!(Rewriter::new(&route, &public()).refresh(given).as_deref(), expected, "{given}");
    }
}

#[test]
fn r55_cookies_follow_their_app_and_nobody_else() {
    let stripped = app("/wiki/", Some("/"), HostPolicy::Literal("wiki.internal".into()));
    let replaced = app("/wiki/", Some("/base/"), HostPolicy::Upstream);
    let plain = app("/wiki/", None, HostPolicy::Upstream);
    for (route, given, expected) in [
        (&plain, "a=b; Domain=wiki; Path=/; HttpOnly", Some("a=b; Path=/; HttpOnly")),
        (&plain, "a=b; domain=.WIKI", Some("a=b")),
        (&plain, "a=b; Path=/wiki/x", None),
        (&plain, "a=b; Domain=apps.example.com", None),
        (&plain, "a=b; Domain=other.example.com", None),
        (&plain, "a=b; Domain=example.com", None),
        (&plain, "a=b; Domain=com", None),
        (&plain, "a=b; Domain=xwiki", None),
        (&plain, "a=b; Domain=wiki.internal", None),
        (&stripped, "a=b; Domain=wiki.internal; Secure", Some("a=b; Secure")),
        (&stripped, "a=b; Path=/", Some("a=b; Path=/wiki")),
        (&stripped, "a=b; path = /sub/; Secure", Some("a=b; Path=/wiki/sub/; Secure")),
        (&stripped, "a=b; Path=/wiki/sub", None),
        (&stripped, "a=b; Path=sub", None),
        (&stripped, "a=b; Path=", None),
        (&stripped, "a=b", None),
        (&stripped, "__Host-a=b; Path=/; Secure", None),
        (&stripped, "__hOST-a=b; Path=/; Secure", None),
        (&stripped, "a=Path=/; Max-Age=1", None),
        (&replaced, "a=b; Path=/base", Some("a=b; Path=/wiki")),
        (&replaced, "a=b; Path=/base/x", Some("a=b; Path=/wiki/x")),
        (&replaced, "a=b; Path=/", None),
        (&replaced, "a=b; Path=/other", None),
    ] {
        let found = Rewriter::new(route, &public()).set_cookie(given);
        assert_eq!(found.as_deref(), expected, "{given} {:?}", route.legacy.base);
    }
}
