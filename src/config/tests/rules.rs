//! One test for each rule, named after the row that it defends.

use super::{BASE, SECRET, accepted, base_with, read, refused};
use crate::config::{KeySource, StoreSettings, describe};
use crate::domain::identity_header::IdentitySource;
use std::path::Path;
use std::time::Duration;

#[test]
fn a45_secrets_come_from_literals_variables_and_files() {
    let secret = |value: &str| {
        let line = format!("client_secret = {value}");
        accepted(&[("provider", &line)]).providers[0].client_secret.expose().to_owned()
    };
    assert_eq!(secret("'s3cret-s3cret-s3cret'"), SECRET);
    assert_eq!(secret("{ file = '/run/secrets/oidc' }"), SECRET);
    // What systemd and Kubernetes make of root's secrets: the group reads, nobody else.
    assert_eq!(secret("{ file = '/run/credentials/group' }"), SECRET);
    assert_eq!(secret("{ env = 'K' }").len(), 44);
    for (value, key, words) in [
        ("{ file = '/open' }", ".file", "which others may read (mode 0644)"),
        ("{ file = '/group' }", ".file", "which others may read (mode 0440)"),
        ("{ file = '/run/credentials/open' }", ".file", "which others may read (mode 0444)"),
        ("{ file = '/run/credentials/written' }", ".file", "which others may read (mode 0460)"),
        ("{ file = '/nowhere' }", ".file", "cannot be read"),
        ("{ file = '/empty' }", ".file", "empty secret"),
        ("{ env = 'EMPTY' }", ".env", "leads to an empty secret"),
        ("{ env = 'NOT_SET' }", ".env", "NOT_SET, which is not set"),
        ("{ env = 's3cret' }", ".env", "an environment variable that is not set"),
        ("{ env = 'K', file = '/run/secrets/oidc' }", "", "both"),
        ("{}", "", "nowhere"),
        ("{ var = 'K', env = 'K' }", ".var", "unknown key"),
        ("17", "", "not an integer"),
        ("''", "", "is empty"),
        ("\"\\n\"", "", "is empty"),
        ("'s3cret'", "", "shorter than 16 characters"),
    ] {
        let line = format!("client_secret = {value}");
        refused(&[("provider", &line)], &format!("provider[0].client_secret{key}"), words);
    }
}

#[test]
fn a45_dev_lets_through_what_it_says_and_nothing_more() {
    let dev = ("server", "dev = true");
    for edit in [
        ("provider", "client_secret = 'short'"),
        ("provider", "client_secret = { file = '/open' }"),
        ("provider", "issuer = 'http://idp:8080'"),
        ("server", "public_url = 'http://apps.example.com'"),
        ("server", "trusted_proxies = ['0.0.0.0/0']"),
    ] {
        accepted(&[dev, edit]);
        assert!(read(&base_with(&[edit])).is_err(), "{edit:?}");
    }
    refused(&[dev, ("session", "keys = ['short']")], "session.keys[0]", "32 bytes");
    let api = [("route", "token = 'access'"), dev];
    refused(&api, "route[0].token", "plain http");
}

#[test]
fn a45_keys_are_32_bytes_in_base64() {
    for bad in ["'AAAA'", "'not base64 at all'", "{ env = 'KEYCARD_STORE' }"] {
        let shown = refused(&[("session", &format!("keys = [{bad}]"))], "session.keys[0]", "32 bytes");
        assert!(shown.contains("keycard keys new"), "{shown}");
    }
    let zeros = format!("keys = ['{}=']", "A".repeat(43));
    refused(&[("session", &zeros)], "session.keys[0]", "zeros");
    refused(&[("session", "keys = []")], "session.keys", "is empty");
    refused(&[("session", "store = 'redis://redis'")], "session.keys", "is missing");
    let settings = accepted(&[
        ("session", "store = 'redis://redis:6379/1'"),
        ("session", "keys = [{ file = '/run/secrets/keycard.key' }, { env = 'K' }]"),
    ]);
    assert!(matches!(&settings.session.keys, KeySource::Given(keys) if keys.len() == 2));
    assert!(matches!(settings.session.store, StoreSettings::Redis(_)));
}

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
fn r44_without_a_store_it_is_the_embedded_one_with_a_key_of_its_own() {
    for (edits, expected) in [
        (vec![("session", "-store")], "/var/lib/keycard"),
        (vec![("session", "store = 'embedded'")], "/var/lib/keycard"),
        (vec![("session", "-store"), ("server", "public_url = 'http://localhost:8080'")], "keycard-data"),
        (vec![("session", "-store"), ("session", "store_path = 'a/b'")], "a/b"),
    ] {
        let settings = accepted(&edits);
        assert!(matches!(settings.session.keys, KeySource::BesideStore), "{edits:?}");
        let StoreSettings::Embedded(embedded) = &settings.session.store else { panic!("{edits:?}") };
        assert_eq!((embedded.path.as_path(), embedded.dev), (Path::new(expected), false), "{edits:?}");
        let shown = describe(&settings, &[]);
        assert!(
            shown.contains(&format!("the directory {expected}, sealed with the key beside it")),
            "{shown}"
        );
    }
    let given = accepted(&[("session", "-store"), ("session", "keys = [{ env = 'K' }]")]);
    assert!(matches!(&given.session.keys, KeySource::Given(keys) if keys.len() == 1));
    refused(&[("session", "store_path = 'x'")], "session.store_path", "never used");
    for bad in ["''", "\"a\\u0000b\"", "1"] {
        let line = format!("store_path = {bad}");
        let edits = [("session", "store = 'embedded'"), ("session", line.as_str())];
        assert!(read(&base_with(&edits)).is_err(), "{bad}");
    }
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

#[test]
fn stores_that_do_not_exist_yet_are_named_as_such() {
    for later in ["redis+sentinel://a", "redis+cluster://a"] {
        let line = format!("store = '{later}'");
        refused(&[("session", &line)], "session.store", "does not have yet");
    }
    for bad in ["postgres://a", "Memory", "memory://", "unix:///run/redis.sock", "redis"] {
        let line = format!("store = '{bad}'");
        assert!(read(&base_with(&[("session", &line)])).is_err(), "{bad}");
    }
    for bad in ["redis://", "redis:///0", "redis://a/x", "rediss://a/0#x"] {
        let line = format!("store = '{bad}'");
        refused(&[("session", &line)], "session.store", "not a Redis URL");
    }
    let plain = [("session", "store = 'redis://a'"), ("session", "store_ca_file = '/etc/ssl/redis-ca.pem'")];
    let keys = ("session", "keys = [{ env = 'K' }]");
    refused(&[plain[0], plain[1], keys], "session.store_ca_file", "never used");
    refused(&[("session", "store_prefix = 'a{b}'")], "session.store_prefix", "no prefix");
    refused(&[("session", "store_ca_file = '/run/secrets/oidc'")], "session.store_ca_file", "certificate");
}

#[test]
fn r47_silence_is_never_longer_than_life() {
    let edits = [("session", "idle_timeout = '2h'"), ("session", "lifetime = '1h'")];
    refused(&edits, "session.idle_timeout", "(2h) is longer than `lifetime` (1h)");
    refused(&[("session", "lifetime = '10m'")], "session.lifetime", "(30m) is longer");
    refused(&[("session", "idle_timeout = '11h'")], "session.idle_timeout", "longer than");
    for key in ["idle_timeout", "lifetime", "store_timeout"] {
        refused(&[("session", &format!("{key} = '0s'"))], &format!("session.{key}"), "longer than zero");
    }
}

#[test]
fn r21_issuers_are_https_or_on_this_machine_and_kept_exactly() {
    for good in ["https://idp.example.com/realms/Corp/", "http://localhost:8080", "http://127.0.0.1/x"] {
        let settings = accepted(&[("provider", &format!("issuer = '{good}'"))]);
        assert_eq!(settings.providers[0].issuer.as_str(), good);
    }
    for (bad, words) in [
        ("http://idp.example.com", "plain http"),
        ("idp.example.com", "not an issuer"),
        ("https://idp.example.com?x", "not an issuer"),
        ("https://idp.example.com/a/.well-known/openid-configuration", "discovery document"),
        ("https://idp.example.com#x", "not an issuer"),
        ("https://u:s3cret@idp.example.com", "not an issuer"),
        ("https://*.example.com", "not an issuer"),
        (" https://idp.example.com", "not an issuer"),
        ("ftp://idp.example.com", "not an issuer"),
        ("file:///idp", "not an issuer"),
    ] {
        refused(&[("provider", &format!("issuer = '{bad}'"))], "provider[0].issuer", words);
    }
}

#[test]
fn r13_algorithms_are_known_and_never_mixed() {
    for (bad, key, words) in [
        ("['none']", "[0]", "no algorithm that is safe"),
        ("['RS256', 'RS1']", "[1]", "no algorithm that is safe"),
        ("['RS256', 'HS256']", "", "mixes"),
        ("[]", "", "is empty"),
    ] {
        let line = format!("signing_algorithms = {bad}");
        refused(&[("provider", &line)], &format!("provider[0].signing_algorithms{key}"), words);
    }
    let shared = ("provider", "signing_algorithms = ['HS256']");
    refused(&[shared], "provider[0].client_secret", "shorter than 32");
    accepted(&[shared, ("provider", "client_secret = { env = 'K' }")]);
    refused(&[("provider", "clock_skew = '61s'")], "provider[0].clock_skew", "more than 60 s");
}

#[test]
fn r9_provider_ids_are_unique() {
    let second = BASE.split("[[provider]]").nth(1).unwrap().split("[identity]").next().unwrap();
    let Err(problems) = read(&format!("{BASE}\n[[provider]]{second}")) else { panic!("accepted") };
    let found: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(found, ["provider[1].id"], "{problems}");
    let other = second.replace("\"corp\"", "\"other\"");
    let named = BASE.replace("[[route]]", "[[route]]\nproviders = ['corp']");
    assert_eq!(read(&format!("{named}\n[[provider]]{other}")).map(|s| s.providers.len()).ok(), Some(2));
}

#[test]
fn r18_with_several_providers_a_route_says_whose_people_it_knows() {
    let second = BASE.split("[[provider]]").nth(1).unwrap().split("[identity]").next().unwrap();
    let other = second.replace("\"corp\"", "\"other\"");
    let keys = |text: &str| -> Vec<String> {
        let Err(problems) = read(text) else { panic!("accepted") };
        problems.iter().map(|problem| problem.key.clone()).collect()
    };
    assert_eq!(keys(&format!("{BASE}\n[[provider]]{other}")), ["route[0].providers"]);
    refused(&[("route", "providers = ['nobody']")], "route[0].providers[0]", "no [[provider]]");
    accepted(&[("route", "providers = ['corp']")]);
}

#[test]
fn provider_keys_are_judged() {
    for (line, key, words) in [
        ("id = 'Corp'", "id", "no id"),
        ("client_id = 'a b'", "client_id", "space"),
        ("client_auth = 'client_secret_jwt'", "client_auth", "must be one of"),
        ("scopes = ['profile']", "scopes", "openid"),
        ("scopes = ['openid email']", "scopes[0]", "no scope"),
        ("scopes = 'openid'", "scopes", "must be a list"),
        ("endpoint_hosts = ['https://a']", "endpoint_hosts[0]", "host name"),
        ("endpoint_hosts = ['a/b']", "endpoint_hosts[0]", "host name"),
        ("endpoint_hosts = ['*.a.example']", "endpoint_hosts[0]", "host name"),
        ("userinfo = 1", "userinfo", "true or false"),
        ("max_age = '1500ms'", "max_age", "whole seconds"),
        ("max_age = 60", "max_age", "with a unit"),
        ("acr_values = ['a b']", "acr_values[0]", "space"),
        ("authorization_params = { state = 'x' }", "authorization_params.state", "sets itself"),
        ("authorization_params = { hd = 1 }", "authorization_params.hd", "must be a string"),
        ("authorization_params = 'x'", "authorization_params", "must be a table"),
        ("timeout = '0s'", "timeout", "longer than zero"),
        ("ca_file = '/nowhere'", "ca_file", "cannot be read"),
        ("ca_file = '/run/secrets/oidc'", "ca_file", "no PEM certificate"),
    ] {
        refused(&[("provider", line)], &format!("provider[0].{key}"), words);
    }
    for own in ["client_id", "redirect_uri", "response_type", "nonce", "code_challenge", "scope", "prompt"] {
        let line = format!("authorization_params = {{ {own} = 'x' }}");
        refused(&[("provider", &line)], &format!("provider[0].authorization_params.{own}"), "sets itself");
    }
}

#[test]
fn identity_paths_are_judged() {
    for (line, key) in [("user_id = 'a..b'", "user_id"), ("roles = ['', 'x']", "roles[0]")] {
        assert!(read(&base_with(&[("identity", line)])).is_err(), "{key}");
    }
    refused(&[("identity", "email = 'a.'")], "identity.email", "no path to a claim");
    refused(&[("identity", "claims = 'department'")], "identity.claims", "must be a list");
    let line = "identity_headers = { X-Ward = 'claim:ward.name', X-User = 'user_id' }";
    let settings = accepted(&[("route", line)]);
    let read: Vec<&str> = settings.identity.read_by_headers.iter().map(|path| path.as_str()).collect();
    assert_eq!(read, ["ward.name"]);
}

#[test]
fn r70_routes_are_canonical_and_upstreams_bare() {
    for bad in ["wiki", "/a/../b", "/a//b", "/a%2fb", "/a;b", "/a?b"] {
        refused(&[("route", &format!("path = '{bad}'"))], "route[0].path", "no canonical path");
    }
    for bad in ["/mw/Special%3aX/", "/od/%24batch"] {
        refused(&[("route", &format!("path = '{bad}'"))], "route[0].path", "apps take for the plain one");
    }
    for bad in ["/bff", "/bff/login"] {
        refused(&[("route", &format!("path = '{bad}'"))], "route[0].path", "lies under");
    }
    for bad in ["wiki:80", "http://wiki/x", "http://wiki?x", "unix:/run/x"] {
        refused(&[("route", &format!("upstream = '{bad}'"))], "route[0].upstream", "not the address");
    }
    refused(&[("route", "upstream = []")], "route[0].upstream", "is empty");
    let mixed = accepted(&[("route", "upstream = ['http://a', 'https://b']")]);
    assert_eq!(mixed.routes.iter().next().unwrap().upstreams.len(), 2);
    refused(&[("route", "origin = 'https://other.example'")], "route[0].origin", "not among");
    accepted(&[("route", "origin = 'https://apps.example.com/'")]);
}

#[test]
fn two_routes_for_one_place_name_each_other() {
    let twin = "\n[[route]]\npath = '/wiki'\nupstream = 'http://other'\naccess = 'public'\n";
    let Err(problems) = read(&format!("{BASE}{twin}{twin}")) else { panic!("accepted") };
    let found: Vec<_> = problems.iter().map(|p| (p.key.as_str(), p.place.map(|at| at.line))).collect();
    assert_eq!(found, [("route[1].path", Some(20)), ("route[2].path", Some(25))], "{problems}");
    let message = &problems.iter().next().unwrap().message;
    assert!(message.contains("/wiki/") && message.contains("/wiki\u{20}") || message.ends_with("/wiki"));
}

#[test]
fn r82_access_has_no_default_and_no_empty_list() {
    for (bad, key, words) in [
        ("'signed_in'", "", "must be one of"),
        ("{ roles = [] }", ".roles", "is empty"),
        ("{ roles = [''] }", ".roles[0]", "is empty"),
        ("{}", "", "asks for nothing"),
        ("{ roles = ['a'], users = ['b'] }", ".users", "unknown key"),
        ("true", "", "must be a string"),
    ] {
        refused(&[("route", &format!("access = {bad}"))], &format!("route[0].access{key}"), words);
    }
}

#[test]
fn r81_tokens_go_in_clear_only_when_told_so() {
    let token = ("route", "token = 'access'");
    refused(&[token], "route[0].token", "plain http");
    refused(&[token, ("route", "upstream = ['https://a', 'http://b']")], "route[0].token", "plain http");
    for edit in [
        ("route", "upstream = 'https://api'"),
        ("route", "upstream = 'http://127.0.0.1:3000'"),
        ("route", "allow_cleartext_token = true"),
    ] {
        accepted(&[token, edit]);
    }
    refused(&[("route", "token = 'id'")], "route[0].token", "must be one of");
}

#[test]
fn a_public_route_names_nobody() {
    let public = ("route", "access = 'public'");
    refused(&[public, ("route", "token = 'access'")], "route[0].token", "public route");
    let headers = ("route", "identity_headers = 'remote-user'");
    refused(&[public, headers], "route[0].identity_headers", "public route");
    accepted(&[public]);
}

#[test]
fn r72_identity_headers_have_names_of_their_own() {
    for (bad, words) in [
        ("Cookie", "another meaning"),
        ("Content_Length", "another meaning"),
        ("Authorization", "another meaning"),
        ("Transfer-Encoding", "another meaning"),
        ("Proxy-Anything", "another meaning"),
        ("X-Forwarded-For", "another meaning"),
        ("X User", "no name of a header"),
        ("", "no name of a header"),
    ] {
        let line = format!("identity_headers = {{ '{bad}' = 'user_id' }}");
        let Err(problems) = read(&base_with(&[("route", &line)])) else { panic!("accepted: {bad}") };
        assert!(problems.iter().all(|p| p.message.contains(words)), "{problems}");
    }
    let line = "identity_headers = { X-User = 'user_id', x_user = 'name' }";
    refused(&[("route", line)], "route[0].identity_headers.x_user", "differs");
    let line = "identity_headers = { X-User = 'usr_id' }";
    let shown = refused(&[("route", line)], "route[0].identity_headers.X-User", "no source");
    assert!(shown.contains("did you mean `user_id`?"), "{shown}");
    refused(&[("route", "identity_headers = 'none'")], "route[0].identity_headers", "no set of headers");
    let settings = accepted(&[("route", "identity_headers = 'remote-user'")]);
    let route = settings.routes.iter().next().unwrap();
    assert_eq!(route.identity_headers[3].name.as_str(), "remote-groups");
    assert_eq!(route.identity_headers[3].source, IdentitySource::Roles);
}

#[test]
fn bodies_have_sizes_with_units() {
    for (value, bytes) in [("1024", 1024), ("'10MB'", 10_000_000), ("'64KiB'", 65_536)] {
        let settings = accepted(&[("route", &format!("max_body = {value}"))]);
        assert_eq!(settings.routes.iter().next().unwrap().limits.max_body, Some(bytes));
    }
    for bad in ["0", "-1", "'10'", "'ten'", "1.5"] {
        assert!(read(&base_with(&[("route", &format!("max_body = {bad}"))])).is_err(), "{bad}");
    }
    refused(&[("log", "level = 'verbose'")], "log.level", "must be one of");
    refused(&[("log", "format = 'jsn'")], "log.format", "must be one of");
}

#[test]
fn pages_are_branded_with_what_is_safe_to_show() {
    let pages = |line: &str| accepted(&[("pages", line)]).pages;
    assert_eq!(pages("accent = '#1a56B0'").accent, Some([0x1a, 0x56, 0xb0]));
    assert_eq!(pages("accent = '#15b'").accent, Some([0x11, 0x55, 0xbb]));
    assert_eq!(pages("logo = '/static/logo.svg'").logo.as_deref(), Some("/static/logo.svg"));
    assert_eq!(pages("name = ' Häuschen '").name.as_deref(), Some("Häuschen"));
    let own = pages("folder = '/etc/keycard/pages'");
    assert_eq!(own.templates.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["forbidden.html"]);
    for bad in ["1a56b0", "#1a56b", "#gggggg", "red", "#1a56b0;}", "#é1"] {
        refused(&[("pages", &format!("accent = '{bad}'"))], "pages.accent", "not a colour");
    }
    for bad in
        ["https://evil.test/x.png", "//evil.test/x.png", "logo.svg", "data:image/png;base64,AAAA", "/a/../b"]
    {
        refused(&[("pages", &format!("logo = '{bad}'"))], "pages.logo", "not a path of this origin");
    }
    refused(&[("pages", "name = \"a\\nb\"")], "pages.name", "not one line");
    refused(&[("pages", &format!("footer = '{}'", "x".repeat(501)))], "pages.footer", "not one line");
    refused(&[("pages", "folder = '/nowhere'")], "pages.folder", "holds none of our templates");
}

#[test]
fn a_broken_template_is_a_mistake_with_file_and_line() {
    let Err(problems) = read(&base_with(&[("pages", "folder = '/broken'")])) else { panic!("accepted") };
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("\"/broken/page.html\", which is broken in line 2: "), "{messages:?}");
    assert!(messages[1].contains("\"/broken/style.css\", which holds `</style` in line 2"), "{messages:?}");
}

#[test]
fn r72_presets_tables_and_templates_name_the_person() {
    let headers = |value: &str| {
        let settings = accepted(&[("route", &format!("identity_headers = {value}"))]);
        let route = settings.routes.iter().next().unwrap().clone();
        let names: Vec<String> = route.identity_headers.iter().map(|h| h.name.as_str().to_owned()).collect();
        let read: Vec<String> =
            settings.identity.read_by_headers.iter().map(|path| path.as_str().to_owned()).collect();
        (names.join(" "), read.join(" "), route.legacy.claim_headers && settings.identity.keeps_all)
    };
    for (value, names, read, all) in [
        (
            "'x-forwarded'",
            "x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-preferred-username",
            "preferred_username",
            false,
        ),
        (
            "['x-auth-request']",
            "x-auth-request-user x-auth-request-email x-auth-request-groups x-auth-request-preferred-username",
            "preferred_username",
            false,
        ),
        ("'oidc-claim'", "", "", true),
        ("['oidc-claim', 'remote-user']", "remote-user remote-name remote-email remote-groups", "", true),
        (r"{ X-A = 'CORP\{claim:a.b}/{name}', X-B = '{email}' }", "x-a x-b", "a.b", false),
    ] {
        assert_eq!(headers(value), (names.into(), read.into(), all), "{value}");
    }
    for (value, words) in [
        ("{ X-A = '{mail}' }", "`{mail}`, which is no source"),
        ("{ X-A = '{email' }", "brace without its partner"),
        ("{ X-A = ' {email}' }", "white space at an end"),
    ] {
        refused(&[("route", &format!("identity_headers = {value}"))], "route[0].identity_headers.X-A", words);
    }
    refused(
        &[("route", "identity_headers = ['remote-user', 'all']")],
        "route[0].identity_headers[1]",
        "no set",
    );
}

#[test]
fn r70_r81_what_legacy_apps_need_is_judged_as_a_whole() {
    let signed_in = |lines: &str| accepted(&[("route", lines)]).routes.iter().next().unwrap().legacy.clone();
    assert_eq!(signed_in("strip_prefix = true").base.unwrap().as_str(), "/");
    assert_eq!(signed_in("replace_prefix = '/app/'").base.unwrap().as_str(), "/app/");
    assert_eq!(signed_in("replace_prefix = '/wiki'").base, None, "replaced by itself");
    for (line, key, words) in [
        ("replace_prefix = '/a/../b'", "replace_prefix", "no canonical path"),
        ("replace_prefix = '/a'\nstrip_prefix = true", "replace_prefix", "both"),
        ("host = 'a/b'", "host", "no host"),
        ("host = 'user@a'", "host", "no host"),
        ("forwarded = ['via']", "forwarded[0]", "must be one of"),
        ("header_separator = ''", "header_separator", "no separator"),
        ("header_separator = \"a\\nb\"", "header_separator", "no separator"),
        ("header_encoding = 'latin1'", "header_encoding", "must be one of"),
        ("basic_auth = { user = '{user_id}', password = 'p' }", "basic_auth", "over plain http"),
        ("basic_auth = { user = 'a:b', password = 'p' }", "basic_auth.user", "colon"),
        ("basic_auth = { user = '{usr}', password = 'p' }", "basic_auth.user", "no source"),
        ("basic_auth = { user = '{user_id}' }", "basic_auth.password", "is missing"),
        ("basic_auth = 'x'", "basic_auth", "must be a table"),
        ("app_cookies = ['*']", "app_cookies[0]", "no name of a cookie"),
        ("app_cookies = ['a=b']", "app_cookies[0]", "no name of a cookie"),
        ("app_cookies = ['keycard']", "app_cookies[0]", "Keycard's own"),
        ("app_cookies = ['__Host-*']", "app_cookies[0]", "Keycard's own"),
        ("logout_paths = ['/other']", "logout_paths", "not under `path`"),
        ("logout_paths = ['logout']", "logout_paths[0]", "no canonical path"),
        ("clear_site_data = ['all']", "clear_site_data[0]", "must be one of"),
    ] {
        refused(&[("route", line)], &format!("route[0].{key}"), words);
    }
    let cleartext = ("route", "allow_cleartext_token = true");
    let basic = ("route", "basic_auth = { user = '{user_id}', password = { env = 'K' } }");
    accepted(&[cleartext, basic]);
    refused(&[cleartext, basic, ("route", "token = 'access'")], "route[0].basic_auth", "both fill");
    let pass = ("route", "client_authorization = 'pass'");
    accepted(&[pass]);
    refused(&[cleartext, basic, pass], "route[0].client_authorization", "cannot be");
    refused(&[cleartext, pass, ("route", "token = 'access'")], "route[0].client_authorization", "cannot be");
    for line in ["app_cookies = ['a']", "logout_paths = ['/wiki/x']", "clear_site_data = ['cookies']"] {
        let key = line.split(' ').next().unwrap();
        refused(
            &[("route", "access = 'public'"), ("route", line)],
            &format!("route[0].{key}"),
            "public route",
        );
    }
}

#[test]
fn a45_the_password_for_an_app_is_shown_nowhere() {
    let line = "basic_auth = { user = '{usr}', password = 'hunter2-hunter2' }";
    let Err(problems) = read(&base_with(&[("route", line)])) else { panic!("accepted") };
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
    let line =
        "allow_cleartext_token = true\nbasic_auth = { user = '{user_id}', password = 'hunter2-hunter2' }";
    let settings = accepted(&[("route", line)]);
    assert!(
        !format!("{:?}", settings.routes).contains("hunter2")
            && !describe(&settings, &[]).contains("hunter2")
    );
}
