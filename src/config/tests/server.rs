//! `[server]`: one test for each rule, named after the row that it defends.

use super::{accepted, refused};
use crate::config::describe;
use std::time::Duration;

#[test]
fn r52_public_urls_are_https_or_local() {
    for good in ["'http://localhost:8080'", "['https://a.example', 'https://b.example:8443/']"] {
        accepted(&[("server", &format!("public_url = {good}"))]);
    }
    for (bad, words) in [
        ("'http://apps.example.com'", "plain http"),
        ("['https://a.example', 'http://localhost']", "mixes"),
        ("['https://a.example', 'https://A.example/']", "twice"),
        ("[]", "is empty"),
    ] {
        let shown = refused(&[("server", &format!("public_url = {bad}"))], "server.public_url", words);
        assert!(!bad.contains("http://apps") || shown.contains("server.dev = true"), "{shown}");
    }
    for bad in ["https://apps.example.com/x", "apps.example.com", "https://*.example.com", "ftp://a"] {
        refused(&[("server", &format!("public_url = '{bad}'"))], "server.public_url", "not an origin");
    }
}

#[test]
fn r73_trusted_proxies_are_networks_and_never_everybody() {
    let line = "trusted_proxies = ['10.0.0.0/8', '192.0.2.7', 'fd00::/8']";
    assert_eq!(accepted(&[("server", line)]).server.trusted_proxies.len(), 3);
    for (bad, words) in [
        ("0.0.0.0/0", "everybody"),
        ("::/0", "everybody"),
        ("10.1.2.3/8", "bits set"),
        ("10.0.0.0/40", "CIDR"),
        ("proxy", "CIDR"),
    ] {
        let line = format!("trusted_proxies = ['{bad}']");
        refused(&[("server", &line)], "server.trusted_proxies[0]", words);
    }
}

#[test]
fn server_keys_are_judged() {
    for (line, key, words) in [
        ("listen = ':8080'", "listen", "not an address"),
        ("listen = 'localhost:8080'", "listen", "not an address"),
        ("prefix = '/'", "prefix", "every path"),
        ("prefix = 'bff'", "prefix", "slash"),
        ("prefix = '/a//b'", "prefix", "empty segment"),
        ("prefix = '/a//'", "prefix", "empty segment"),
        ("prefix = '/a/../b'", "prefix", "dot segment"),
        ("workers = 0", "workers", "from 1"),
        ("workers = '4'", "workers", "from 1"),
        ("workers = -1", "workers", "from 1"),
        ("dev = 'true'", "dev", "true or false"),
        ("keep_alive = '0s'", "keep_alive", "longer than zero"),
        ("drain_timeout = '30'", "drain_timeout", "span of time"),
        ("header_timeout = 10", "header_timeout", "with a unit"),
    ] {
        refused(&[("server", line)], &format!("server.{key}"), words);
    }
    assert_eq!(accepted(&[("server", "prefix = '/auth/'")]).server.prefix.as_str(), "/auth");
    assert_eq!(accepted(&[("server", "drain_timeout = '0s'")]).server.drain_timeout, Duration::ZERO);
}

#[test]
fn the_door_for_operators_needs_a_token() {
    let listen = ("server", "admin_listen = '127.0.0.1:9091'");
    let shown = refused(&[listen], "server.admin_listen", "has no `admin_token`");
    assert!(shown.contains("keycard keys new"), "{shown}");
    let token = |value: &str| format!("admin_token = {value}");
    let good = token("{ file = '/run/secrets/admin' }");
    assert!(accepted(&[listen, ("server", &good)]).server.admin.is_some());
    refused(&[("server", &good)], "server.admin_token", "never used");
    for (value, key, words) in [
        ("'s3cret-s3cret-s3cret'", "", "shorter than 32"),
        ("'s3cret s3cret s3cret s3cret s3cret'", "", "no header"),
        ("{ file = '/open' }", ".file", "which others may read"),
    ] {
        refused(&[listen, ("server", &token(value))], &format!("server.admin_token{key}"), words);
    }
    let wide = [("server", "admin_listen = '0.0.0.0:9091'"), ("server", good.as_str())];
    assert!(describe(&accepted(&wide), &[]).contains("travel in clear there"));
    assert!(!describe(&accepted(&[listen, wide[1]]), &[]).contains("travel in clear there"));
    for line in ["health_listen = '9090'", "admin_listen = 'localhost:9091'"] {
        let key = line.split(' ').next().unwrap();
        refused(&[("server", line)], &format!("server.{key}"), "not an address");
    }
}
