//! Where secrets come from, what they have to be, and what `server.dev` lets through.

use super::{SECRET, accepted, base_with, read, refused};
use crate::config::{KeySource, StoreSettings, describe};

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
