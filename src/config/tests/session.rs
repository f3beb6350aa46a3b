//! `[session]`: stores and spans of time. Its other keys are in `endings`, `near`, `replicas` and `browser_apps`.

use super::{accepted, base_with, read, refused};
use crate::config::{KeySource, StoreSettings, describe};
use std::path::Path;

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
fn stores_that_nobody_has_are_refused() {
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
fn a_cluster_is_named_by_some_of_its_servers_and_all_mistakes_are_told() {
    let keys = ("session", "keys = [{ env = 'K' }]");
    for good in ["redis+cluster://a", "rediss+cluster://u:p%40@a:7000,b:7001,[::1]:7002"] {
        let line = format!("store = '{good}'");
        assert!(read(&base_with(&[("session", &line), keys])).is_ok(), "{good}");
    }
    for (bad, why) in [
        ("redis+cluster://a:7000/1", "has only one"),
        ("redis+cluster://", "no host"),
        ("redis+cluster://a:x", "cannot be read"),
        ("rediss+cluster://a#insecure", "means nothing to a Redis cluster"),
    ] {
        refused(&[("session", &format!("store = '{bad}'")), keys], "session.store", why);
    }
    let Err(problems) = read(&base_with(&[("session", "store = 'redis+cluster://u:s3cret@a,a/3'"), keys]))
    else {
        panic!("accepted")
    };
    let text = problems.to_string();
    assert!(
        text.contains("has only one") && text.contains("names a host twice") && !text.contains("s3cret"),
        "{text}"
    );
    let plain = ("session", "store = 'redis+cluster://a'");
    let ca = ("session", "store_ca_file = '/etc/ssl/redis-ca.pem'");
    refused(&[plain, ca, keys], "session.store_ca_file", "never used");
    refused(&[plain], "session.keys", "is missing");
    let Ok(settings) = read(&base_with(&[("session", "store = 'rediss+cluster://u:s3cret@a:7000,b'"), keys]))
    else {
        panic!("refused")
    };
    assert_eq!(settings.session.store.place(), "rediss+cluster://a:7000,b:6379 under keycard:");
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
