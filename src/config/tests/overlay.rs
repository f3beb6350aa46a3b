//! Keys from the environment.
//!
//! I own: what a variable does to a file. I never look at the rules for values: those are the file's as well.

use super::{BASE, FakeEnvironment, base_with, environment};
use crate::config::keys::{KEYS, Kind};
use crate::config::problem::Problems;
use crate::config::{Settings, StoreSettings, load, parse};
use std::path::Path;
use std::time::Duration;

fn with(variables: &[(&str, &str)]) -> FakeEnvironment {
    let mut environment = environment();
    for (name, value) in variables {
        environment.vars.insert(format!("KEYCARD__{name}"), (*value).to_owned());
    }
    environment
}

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    parse("keycard.toml", text, &with(variables))
}

#[track_caller]
fn accepted(variables: &[(&str, &str)]) -> Settings {
    read(BASE, variables).unwrap_or_else(|problems| panic!("{variables:?}\n{problems}"))
}

/// Exactly one mistake, which is in this variable, says these words, and shows nothing of its value.
#[track_caller]
fn refused(variables: &[(&str, &str)], name: &str, words: &str) -> String {
    let Err(problems) = read(BASE, variables) else { panic!("accepted: {variables:?}") };
    let shown = problems.to_string();
    let found: Vec<_> = problems.iter().collect();
    assert_eq!(found.len(), 1, "{shown}");
    assert_eq!(found[0].variable.as_deref(), Some(format!("KEYCARD__{name}").as_str()), "{shown}");
    assert!(found[0].place.is_none() && shown.contains(words), "{shown}");
    assert!(shown.contains(&format!("--> environment variable KEYCARD__{name}\n")), "{shown}");
    assert!(shown.ends_with("environment: 1 mistake"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    shown
}

#[test]
fn the_environment_wins_over_the_file() {
    let text = base_with(&[("session", "idle_timeout = '5m'"), ("session", "lifetime = '1h'")]);
    let settings = read(&text, &[("SESSION__IDLE_TIMEOUT", "7m")]).ok().unwrap();
    assert_eq!(settings.session.limits.idle, Duration::from_secs(420));
    assert_eq!(settings.session.limits.lifetime, Duration::from_secs(3600));
    assert_eq!(settings.from_environment, ["KEYCARD__SESSION__IDLE_TIMEOUT"]);
}

#[test]
fn values_are_toml_where_the_key_wants_more_than_a_string() {
    let settings = accepted(&[
        ("SERVER__DEV", "true"),
        ("SERVER__WORKERS", " 4 "),
        ("SERVER__PUBLIC_URL", "['https://a.example', \"https://b.example\"]"),
        ("SERVER__TRUSTED_PROXIES__0", "10.0.0.0/8"),
        ("SERVER__TRUSTED_PROXIES__1", "fd00::/8"),
        ("SERVER__KEEP_ALIVE", "10s"),
        ("PROVIDER__0__CLIENT_ID", "12345"),
        ("PROVIDER__0__CLIENT_SECRET", "1234567890123456"),
        ("PROVIDER__0__AUTHORIZATION_PARAMS", "{ hd = 'example.com' }"),
        ("ROUTE__0__ACCESS__ROLES", "editor"),
        ("ROUTE__0__MAX_BODY", "1024"),
        ("IDENTITY__ROLES", "['a']"),
    ]);
    assert!(settings.server.dev);
    assert_eq!(settings.server.workers, Some(4));
    assert_eq!(settings.server.origins.iter().count(), 2);
    assert_eq!(settings.server.trusted_proxies.len(), 2);
    assert_eq!(settings.providers[0].client_id, "12345");
    assert_eq!(settings.providers[0].client_secret.expose(), "1234567890123456");
    assert_eq!(settings.providers[0].extra_params.len(), 1);
    assert_eq!(settings.identity.roles.len(), 1);
    assert_eq!(settings.routes.iter().next().unwrap().limits.max_body, Some(1024));
    assert_eq!(accepted(&[("ROUTE__0__MAX_BODY", "10MB")]).routes.iter().count(), 1);
    // One item of a list that stands without its brackets in the file.
    assert_eq!(accepted(&[("SERVER__PUBLIC_URL__1", "https://b.example")]).server.origins.iter().count(), 2);
}

#[test]
fn sections_in_lists_are_counted_from_nought() {
    let settings = accepted(&[
        ("ROUTE__0__UPSTREAM", "http://other:80"),
        ("ROUTE__0__PROVIDERS", "corp"),
        ("ROUTE__1__PATH", "/api/"),
        ("ROUTE__1__UPSTREAM__0", "http://api-1"),
        ("ROUTE__1__UPSTREAM__1", "http://api-2"),
        ("ROUTE__1__ACCESS", "public"),
        (
            "PROVIDER__1",
            "{ id = 'b', issuer = 'https://b.example', client_id = 'x', client_secret = { env = 'K' } }",
        ),
    ]);
    let upstreams: Vec<usize> = settings.routes.iter().map(|route| route.upstreams.len()).collect();
    assert_eq!((upstreams.iter().sum::<usize>(), settings.providers.len()), (3, 2));
    let many: Vec<(String, String)> = (1..12)
        .flat_map(|at| {
            let key = move |key: &str| format!("ROUTE__{at}__{key}");
            [
                (key("PATH"), format!("/{at}/")),
                (key("UPSTREAM"), "http://x".into()),
                (key("ACCESS"), "public".into()),
            ]
        })
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(accepted(&many).routes.iter().count(), 12, "10 comes after 9");
    let shown = refused(&[("ROUTE__2__PATH", "/x/")], "ROUTE__2__PATH", "leaves a gap");
    assert!(shown.contains("the next one here is 1"), "{shown}");
    refused(&[("ROUTE__99999999999999999999__PATH", "/x/")], "ROUTE__99999999999999999999__PATH", "a gap");
}

#[test]
fn a45_secrets_from_the_environment_come_in_every_form() {
    for variables in [
        &[("PROVIDER__0__CLIENT_SECRET", "{ file = '/run/secrets/oidc' }")][..],
        &[("PROVIDER__0__CLIENT_SECRET__FILE", "/run/secrets/oidc")],
        &[("PROVIDER__0__CLIENT_SECRET__ENV", "K")],
        &[("PROVIDER__0__CLIENT_SECRET", "{ this is no TOML, but long enough")],
    ] {
        accepted(variables);
    }
    let redis =
        [("SESSION__STORE", "redis://redis:6379/0"), ("SESSION__KEYS__0__FILE", "/run/secrets/keycard.key")];
    assert!(matches!(accepted(&redis).session.store, StoreSettings::Redis(_)));
    // A form of the file gives way as a whole.
    let text = base_with(&[("provider", "client_secret = { env = 'NOT_SET' }")]);
    assert!(read(&text, &[("PROVIDER__0__CLIENT_SECRET__FILE", "/run/secrets/oidc")]).is_ok());
    let both =
        [("PROVIDER__0__CLIENT_SECRET", "s3cret-s3cret-s3cret"), ("PROVIDER__0__CLIENT_SECRET__ENV", "K")];
    refused(&both, "PROVIDER__0__CLIENT_SECRET__ENV", "a shorter name sets");
}

#[test]
fn a45_mistakes_name_the_variable_and_never_its_value() {
    for (name, value, words) in [
        ("SESSION__IDLE_TIMEOUT", "s3cret", "not a span of time"),
        ("SESSION__IDLE_TIMEOUT", "30", "not a span of time"),
        ("SESSION__IDLE_TIMEOUT", "", "is empty"),
        ("SESSION__LIFETIME", "1m", "is longer than"),
        ("SESSION__KEYS", "s3cret", "must be a list in TOML"),
        ("SESSION__KEYS__0", "s3cret", "32 bytes"),
        ("SESSION__KEYS", "['s3cret']", "32 bytes"),
        ("SERVER__DEV", "s3cret", "true or false"),
        ("SERVER__WORKERS", "s3cret", "an integer from 1 to 1024"),
        ("SERVER__WORKERS", "0", "from 1"),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.0/8, s3cret", "a list in TOML"),
        ("SERVER__PUBLIC_URL", "https://a,https://s3cret", "not an origin"),
        ("SERVER__PUBLIC_URL", "http://apps.example.com", "plain http"),
        ("PROVIDER__0__ID", "Corp", "is no id"),
        ("PROVIDER__0__CLIENT_SECRET", "s3cret", "shorter than 16"),
        ("PROVIDER__0__AUTHORIZATION_PARAMS", "s3cret", "a table in TOML"),
        ("PROVIDER__0__CLIENT_AUTH", "s3cret", "must be one of"),
        ("ROUTE__0__ACCESS", "{ users = ['a'], roles = ['b'] }", "unknown key"),
        ("ROUTE__0__UPSTREAM", "http://u:s3cret@wiki", "not the address"),
        ("SERVER", "s3cret", "a table in TOML"),
        ("ROUTE", "s3cret", "a list of tables"),
    ] {
        refused(&[(name, value)], name, words);
    }
}

#[test]
fn unknown_variables_name_the_nearest_one() {
    for (name, near) in [
        ("SESSION__IDLE_TIMEOT", "SESSION__IDLE_TIMEOUT"),
        ("SESSION_IDLE_TIMEOUT", "SESSION__IDLE_TIMEOUT"),
        ("session__idle_timeout", "SESSION__IDLE_TIMEOUT"),
        ("SERVER__IDLE_TIMEOUT", "SESSION__IDLE_TIMEOUT"),
        ("PROVIDER__CLIENT_SECRET", "PROVIDER__0__CLIENT_SECRET"),
        ("PROVIDER__1__CLIENT_SECRE", "PROVIDER__1__CLIENT_SECRET"),
        ("PROVIDER__0__CLIENT_SECRET__FIL", "PROVIDER__0__CLIENT_SECRET__FILE"),
        ("ROUTES__1__UPSTREAM", "ROUTE__1__UPSTREAM"),
        ("ROUTE__01__UPSTREAM", "ROUTE__0__UPSTREAM"),
    ] {
        let shown = refused(&[(name, "s3cret")], name, "names no key");
        assert!(shown.contains(&format!("did you mean `KEYCARD__{near}`?")), "{shown}");
    }
    for name in ["", "_", "X", "SERVER__LISTEN__", "SERVER__LISTEN__0", "ROUTE__0__PATH__X__Y"] {
        refused(&[(name, "s3cret")], name, "names no key");
    }
}

#[test]
fn every_key_has_a_variable() {
    for (table, keys) in
        KEYS.iter().skip(1).filter(|(name, _)| !matches!(*name, "secret" | "access" | "rule" | "basic_auth"))
    {
        for key in *keys {
            let index = if ["provider", "route"].contains(table) { "__0" } else { "" };
            let name = format!("{table}{index}__{}", key.name).to_uppercase();
            if let Err(problems) = read(BASE, &[(&name, "s3cret")]) {
                assert!(!problems.to_string().contains("names no key"), "{problems}");
            } else {
                assert!(matches!(key.kind, Kind::Text | Kind::OneOrMore(_) | Kind::Either(_)), "{name}");
            }
        }
    }
}

#[test]
fn what_is_wrong_in_the_file_stays_at_its_line() {
    let text = format!("server = 1\n{}", BASE.replace("[server]", "[log.x]"));
    let Err(problems) = read(&text, &[("SERVER__LISTEN", "0.0.0.0:1")]) else { panic!("accepted") };
    assert!(problems.to_string().contains("keycard.toml:1:10"), "{problems}");
    let Err(problems) = read(&base_with(&[("server", "prefix = 'x'")]), &[("SERVER__DEV", "1")]) else {
        panic!("accepted")
    };
    assert!(problems.to_string().ends_with("keycard.toml: 1 mistake, environment: 1 mistake"), "{problems}");
}

#[test]
fn without_a_file_the_environment_will_do() {
    let all = [
        ("SERVER__PUBLIC_URL", "https://apps.example.com"),
        ("SESSION__STORE", "memory"),
        ("PROVIDER__0__ID", "corp"),
        ("PROVIDER__0__ISSUER", "https://idp.example.com"),
        ("PROVIDER__0__CLIENT_ID", "keycard"),
        ("PROVIDER__0__CLIENT_SECRET__FILE", "/run/secrets/oidc"),
        ("ROUTE__0__PATH", "/"),
        ("ROUTE__0__UPSTREAM", "http://wiki:80"),
        ("ROUTE__0__ACCESS", "signed-in"),
    ];
    assert!(load(None, &with(&all)).is_ok(), "{}", load(None, &with(&all)).err().unwrap());
    let Err(problems) = load(None, &with(&all[..8])) else { panic!("loaded") };
    assert!(problems.to_string().contains("`route[0].access` is missing"), "{problems}");
    let Err(problems) = load(None, &environment()) else { panic!("loaded") };
    assert!(problems.to_string().contains("there is no configuration"), "{problems}");
    let Err(problems) = load(Some(Path::new("keycard.toml")), &with(&all)) else { panic!("loaded") };
    assert!(problems.to_string().contains("cannot be read"), "a file that was named must be there");
}
