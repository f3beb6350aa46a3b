//! `[[provider]]` and `[identity]`: one test for each rule, named after the row that it defends.

use super::{BASE, accepted, base_with, read, refused};

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
