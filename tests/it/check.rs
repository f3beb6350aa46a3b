//! The program at its command line: `keycard check` with its exit codes, and `--connect` against real parts.
//!
//! I own: a file and an environment for one run of the binary. I never parse what it says, I look for words.

use super::house::clock::ManualClock;
use super::house::provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use super::house::raw::Connection;
use super::house::upstream::Upstream;
use super::stores::Redis;
use std::process::Command;

/// What the program said on both streams, and its exit code.
pub(super) fn keycard(arguments: &[&str], file: Option<&str>, variables: &[(&str, &str)]) -> (String, i32) {
    let folder = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        std::fs::write(folder.path().join("keycard.toml"), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_keycard"));
    command.current_dir(folder.path()).args(arguments).env_clear().envs(variables.iter().copied());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.code().unwrap())
}

pub(super) fn config(provider: &Provider, store: &str, upstreams: &str) -> String {
    let issuer = provider.issuer();
    format!(
        "[server]\npublic_url = \"https://apps.example.test\"\n[session]\nstore = \"{store}\"\n\
         keys = [\"a2V5Y2FyZC10ZXN0LXNlYWxpbmcta2V5LTMyLWJ5dGU=\"]\nstore_timeout = \"5s\"\n\
         [[provider]]\nid = \"corp\"\nissuer = \"{issuer}\"\nclient_id = \"{CLIENT_ID}\"\n\
         client_secret = \"{CLIENT_SECRET}\"\n[[route]]\npath = \"/\"\nupstream = [{upstreams}]\naccess = \"signed-in\"\n"
    )
}

#[test]
fn everything_that_is_there_is_reached_and_asked_for_nothing() {
    let (provider, upstream, redis) =
        (Provider::start(&ManualClock::new()), Upstream::start(), Redis::start());
    let text = config(&provider, &redis.url(), &format!("\"{}\"", upstream.url()));
    let (said, code) = keycard(&["check", "--connect"], Some(&text), &[]);
    assert_eq!(code, 0, "{said}");
    for words in ["ok      provider `corp`", "ok      store", "ok      upstream", "everything can be reached"]
    {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert!(!said.contains("FAILED") && !said.contains('\u{1b}'), "{said}");
    assert_eq!(upstream.count(), 0, "a request reached the app");
    assert!(provider.complaints().is_empty());
    let (said, code) = keycard(&["check"], Some(&text), &[]);
    assert!(code == 0 && said.contains("no mistakes") && !said.contains("Reaching out"), "{said}");
}

#[test]
fn everything_that_is_not_there_is_told_at_once_with_a_remedy() {
    let (provider, upstream) = (Provider::start(&ManualClock::new()), Upstream::start());
    provider.bend_jwks(|keys| keys["keys"] = serde_json::json!([]));
    let gone = format!("\"http://127.0.0.1:1\", \"https://nobody.invalid\", \"{}\"", upstream.url());
    let text = config(&provider, "redis://:s3cret-of-redis@127.0.0.1:1/0", &gone);
    let (said, code) = keycard(&["check", "--connect"], Some(&text), &[]);
    assert_eq!(code, 1, "{said}");
    for words in [
        "the provider publishes no key that can be used",
        "Redis refused the connection",
        "it refused the connection",
        "its name cannot be resolved",
        "= help: check host, port, user and password",
        "ok      upstream",
        "4 of 5 cannot be reached",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn a_store_that_answers_but_refuses_is_not_well() {
    let (provider, upstream, redis) =
        (Provider::start(&ManualClock::new()), Upstream::start(), Redis::start());
    let mut admin = Connection::to_stranger(redis.address);
    admin.write(b"ACL SETUSER desk on >pw-of-desk ~other:* +ping +@all\r\nQUIT\r\n");
    assert!(admin.rest().starts_with(b"+OK"));
    let store = redis.url().replace("redis://", "redis://desk:pw-of-desk@");
    let text = config(&provider, &store, &format!("\"{}\"", upstream.url()));
    let (said, code) = keycard(&["check", "--connect"], Some(&text), &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("FAILED  store") && said.contains("does not let Keycard do its work"), "{said}");
    assert!(!said.contains("pw-of-desk"), "{said}");
}

#[test]
fn a_place_for_sessions_that_cannot_be_written_is_found_out_before_the_start() {
    let (provider, upstream) = (Provider::start(&ManualClock::new()), Upstream::start());
    let text = config(&provider, "embedded", &format!("\"{}\"", upstream.url()));
    // Not even root makes a directory there.
    for (place, good) in [("sessions", true), ("new/sessions", true), ("/proc/sessions", false)] {
        let (said, code) =
            keycard(&["check", "--connect"], Some(&text), &[("KEYCARD__SESSION__STORE_PATH", place)]);
        assert_eq!((code == 0, said.contains("FAILED  store")), (good, !good), "{place}: {said}");
    }
}

#[test]
fn a45_mistakes_exit_with_64_and_name_the_variable() {
    let provider = Provider::start(&ManualClock::new());
    let text = config(&provider, "memory", "\"http://wiki\"");
    let (said, code) = keycard(&["check"], Some(&text), &[("KEYCARD__SESSION__LIFETIME", "s3cret")]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("--> environment variable KEYCARD__SESSION__LIFETIME"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    let (said, code) = keycard(&["check"], Some(&text), &[("KEYCARD__SESSION__LIFETIME", "2h")]);
    assert!(code == 0 && said.contains("KEYCARD__SESSION__LIFETIME"), "{said}");
    let (said, code) = keycard(&["check"], None, &[]);
    assert!(code == 64 && said.contains("there is no configuration"), "{said}");
    let whole = [
        ("KEYCARD__SERVER__PUBLIC_URL", "https://apps.example.test"),
        ("KEYCARD__SESSION__STORE", "memory"),
        (
            "KEYCARD__PROVIDER",
            "[{ id = 'corp', issuer = 'https://idp.example.test', client_id = 'x', client_secret = '0123456789abcdef' }]",
        ),
        ("KEYCARD__ROUTE__0__PATH", "/"),
        ("KEYCARD__ROUTE__0__UPSTREAM", "http://wiki"),
        ("KEYCARD__ROUTE__0__ACCESS", "signed-in"),
    ];
    let (said, code) = keycard(&["check"], None, &whole);
    assert_eq!(code, 0, "{said}");
    let (said, code) = keycard(&["check", "--config", "keycard.toml"], None, &whole);
    assert!(code == 64 && said.contains("cannot be read"), "{said}");
}

#[test]
fn the_schema_is_printed_as_it_lies_in_the_repository() {
    let (said, code) = keycard(&["schema"], None, &[]);
    let written = include_str!("../../config/keycard.schema.json");
    assert!(code == 0 && said == written, "cargo run -- schema > config/keycard.schema.json");
}

#[test]
fn a_folder_that_is_not_there_or_has_no_fallback_is_told() {
    let provider = Provider::start(&ManualClock::new());
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    let text = config(&provider, "memory", &format!("\"file://{}\"", dist.display()));
    let text = format!("{text}fallback = \"index.html\"\n");
    let check = || keycard(&["check", "--connect"], Some(&text), &[]);
    let (said, code) = check();
    assert!(code == 1 && said.contains("FAILED  folder") && said.contains("no such folder"), "{said}");
    std::fs::create_dir(&dist).unwrap();
    let (said, code) = check();
    assert!(
        code == 1 && said.contains("its `fallback` is not there") && said.contains("= help: build"),
        "{said}"
    );
    std::fs::write(dist.join("index.html"), "x").unwrap();
    let (said, code) = check();
    assert!(code == 0 && said.contains("a folder with its fallback"), "{said}");
}
