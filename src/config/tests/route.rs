//! `[[route]]`: one test for each rule, named after the row that it defends. Who may pass is in `access`.

use super::{BASE, accepted, base_with, read, refused};
use crate::domain::identity_header::IdentitySource;

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
fn bodies_have_sizes_with_units() {
    for (value, bytes) in [("1024", 1024), ("'10MB'", 10_000_000), ("'64KiB'", 65_536)] {
        let settings = accepted(&[("route", &format!("max_body = {value}"))]);
        assert_eq!(settings.routes.iter().next().unwrap().limits.max_body, Some(bytes));
    }
    for bad in ["0", "-1", "'10'", "'ten'", "1.5"] {
        assert!(read(&base_with(&[("route", &format!("max_body = {bad}"))])).is_err(), "{bad}");
    }
}
