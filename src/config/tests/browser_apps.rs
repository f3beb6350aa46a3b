//! The keys that single-page apps need, each with what is refused.

use super::{accepted, base_with, read, refused};
use crate::domain::cookie_reach::CookieReach;
use crate::domain::keep::Keep;

#[test]
fn a_folder_is_an_upstream_alone() {
    let settings = accepted(&[
        ("route", "upstream = 'file:///srv/app/dist'"),
        ("route", "fallback = 'index.html'"),
        ("route", "cache_control = { '*.pdf' = 'max-age=60', 'assets/*' = 'no-store' }"),
    ]);
    let route = settings.routes.iter().next().unwrap();
    let site = route.files.as_ref().unwrap();
    assert!(route.upstreams.is_empty());
    assert_eq!(site.root.to_str(), Some("/srv/app/dist"));
    assert_eq!(site.fallback.as_ref().unwrap().names(), ["index.html"]);
    assert_eq!(site.cache[0].pattern, "assets/*", "the longer pattern first");
    for bad in
        ["file://srv/app", "file:srv", "file:///", "file:///srv/../etc", "file:///srv?x", "file:///srv#x"]
    {
        refused(&[("route", &format!("upstream = '{bad}'"))], "route[0].upstream", "not the folder");
    }
    for mixed in ["['file:///a', 'http://b']", "['file:///a', 'file:///b']"] {
        refused(&[("route", &format!("upstream = {mixed}"))], "route[0].upstream", "mixes");
    }
}

#[test]
fn a29_a_fallback_lies_in_the_folder() {
    for bad in ["/etc/passwd", "../x", "a/../b", ".env", "docs/", "%2e", "a//b"] {
        let edits = [("route", "upstream = 'file:///srv'"), ("route", &format!("fallback = '{bad}'"))];
        refused(&edits, "route[0].fallback", "no name of a file");
    }
}

#[test]
fn r58_what_does_not_fit_a_folder_is_told() {
    const FOLDER: (&str, &str) = ("route", "upstream = 'file:///srv'");
    for (line, key, words) in [
        ("csrf = 'strict'", "csrf", "scripts and images"),
        ("identity_headers = 'remote-user'", "identity_headers", "no effect on a folder"),
        ("token = 'access'", "token", "no effect on a folder"),
        ("cache_control = { '*' = 'public, max-age=1' }", "cache_control", "shared caches"),
        ("cache_control = { '*' = 's-maxage=1' }", "cache_control", "shared caches"),
        ("cache_control = 'no-cache'", "cache_control", "must be a table"),
    ] {
        refused(&[FOLDER, ("route", line)], &format!("route[0].{key}"), words);
    }
    accepted(&[FOLDER, ("route", "access = 'public'"), ("route", "cache_control = { '*' = 'public' }")]);
    let lines = base_with(&[FOLDER, ("route", "cache_control = { '*' = \"a\\nb\" }")]);
    assert!(read(&lines).is_err());
}

#[test]
fn r64_a24_cors_lists_whole_origins() {
    let cors = |value: &str| format!("cors = {value}");
    let settings = accepted(&[("route", &cors("{ origins = 'https://app.example.com' }"))]);
    let cors_of = settings.routes.iter().next().unwrap().cors.clone().unwrap();
    assert_eq!(cors_of.methods.len(), 3);
    assert_eq!(cors_of.max_age.as_secs(), 600);
    for bad in ["*", "null", "https://*.example.com", "https://app.example.com/x", "app.example.com"] {
        let line = cors(&format!("{{ origins = ['{bad}'] }}"));
        refused(&[("route", &line)], "route[0].cors.origins[0]", "not an origin");
    }
    for (value, key, words) in [
        ("{ origins = ['http://app.example.com'] }", "cors.origins[0]", "plain http"),
        ("{ origins = [] }", "cors.origins", "is empty"),
        ("{}", "cors.origins", "is missing"),
        ("{ origins = 'https://a', methods = ['*'] }", "cors.methods[0]", "no method"),
        ("{ origins = 'https://a', methods = ['put'] }", "cors.methods[0]", "no method"),
        ("{ origins = 'https://a', methods = ['OPTIONS'] }", "cors.methods[0]", "no method"),
        ("{ origins = 'https://a', methods = [] }", "cors", "no method"),
        ("{ origins = 'https://a', headers = ['*'] }", "cors.headers[0]", "no name"),
        ("{ origins = 'https://a', credentials = false }", "cors.credentials", "unknown key"),
        ("true", "cors", "must be a table"),
    ] {
        refused(&[("route", &cors(value))], &format!("route[0].{key}"), words);
    }
}

#[test]
fn r51_same_site_and_embed() {
    assert_eq!(accepted(&[]).session.reach, CookieReach::Lax);
    assert_eq!(accepted(&[("session", "same_site = 'strict'")]).session.reach, CookieReach::Strict);
    let embed = ("session", "embed = { parents = ['https://portal.example.com'] }");
    assert_eq!(accepted(&[embed]).session.reach.parents().len(), 1);
    refused(&[embed, ("session", "same_site = 'strict'")], "session.same_site", "contradicts");
    refused(&[("session", "same_site = 'none'")], "session.same_site", "must be one of");
    let local = [embed, ("server", "public_url = 'http://localhost:8080'")];
    refused(&local, "session.embed", "needs https");
    for bad in ["*", "null", "http://portal.example.com", "https://*.example.com", "https://a/b"] {
        let line = format!("embed = {{ parents = ['{bad}'] }}");
        refused(&[("session", &line)], "session.embed.parents[0]", "not an https origin");
    }
}

#[test]
fn what_a_sign_in_takes_is_kept_only_where_a_route_asks() {
    let keep = |edits: &[(&str, &str)]| accepted(edits).routes.iter().next().unwrap().keep;
    assert_eq!(keep(&[]), Keep::default());
    let edits = [("route", "keep_fragment = true"), ("route", "keep_post = '64KiB'")];
    assert_eq!(keep(&edits), Keep { fragment: true, form: Some(65_536) });
    assert_eq!(keep(&[("route", "keep_post = '1MiB'")]).form, Some(1_048_576));
    for (line, key, words) in [
        ("keep_fragment = 'yes'", "keep_fragment", "true or false"),
        ("keep_post = '64 apples'", "keep_post", "not a size"),
        ("keep_post = 0", "keep_post", "would refuse every body"),
        ("keep_post = '1025KiB'", "keep_post", "more than 1MiB"),
    ] {
        refused(&[("route", line)], &format!("route[0].{key}"), words);
    }
    for (other, key, words) in [
        ("access = 'public'", "keep_fragment = true", "public route"),
        ("access = 'public'", "keep_post = '1KiB'", "public route"),
        ("csrf = 'strict'", "keep_post = '1KiB'", "X-CSRF"),
        ("upstream = 'file:///srv'", "keep_post = '1KiB'", "only read"),
        ("max_body = '1KiB'", "keep_post = '2KiB'", "more than `max_body`"),
    ] {
        let name = key.split(' ').next().unwrap();
        refused(&[("route", other), ("route", key)], &format!("route[0].{name}"), words);
    }
}
