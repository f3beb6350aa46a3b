//! The example file and the code say the same, and `keycard check` says it in words.

use super::{accepted, read};
use crate::config::keys::{INLINE, KEYS, Presence, keys_of};
use crate::config::{Settings, StoreSettings, describe};
use std::fmt::Write as _;

pub(super) const EXAMPLE: &str = include_str!("../../../config/keycard.example.toml");

/// The example with those of its commented keys set that `choose` picks by their line.
pub(super) fn uncommented(choose: impl Fn(&str) -> bool) -> String {
    let line = |line: &'static str| match commented_key(line) {
        Some(_) if choose(line) => line.trim_start_matches("# "),
        _ => line,
    };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A text made of the example, with Redis in place of the store that is the default.
fn over_redis(text: &str) -> String {
    let redis = "store = { env = \"KEYCARD_STORE\" }\nkeys = [{ file = \"/run/secrets/keycard.key\" }]";
    let line = |line| match line {
        "# store = \"embedded\"" | "store = \"embedded\"" => Some(redis),
        line if line.starts_with("store_path = ") || line.starts_with("keys = ") => None,
        line => Some(line),
    };
    text.lines().filter_map(line).collect::<Vec<_>>().join("\n")
}

fn commented_key(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix("# ")?.split_once(" = ")?;
    key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_').then_some(key)
}

/// Sections and keys of the example, set or commented, in its order.
fn keys_of_example() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in EXAMPLE.lines() {
        if line.starts_with('[') {
            sections.push((line.trim_matches(['[', ']']), Vec::new()));
        }
        let set = || line.split_once(" = ").map(|(key, _)| key).filter(|_| !line.starts_with('#'));
        if let (Some(key), Some((_, keys))) = (commented_key(line).or_else(set), sections.last_mut()) {
            keys.push(key);
        }
    }
    sections
}

#[test]
fn the_example_has_every_key_and_no_other() {
    let sections = keys_of_example();
    let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    assert!(names.iter().copied().eq(keys_of("")), "{names:?}");
    for (name, keys) in sections {
        assert!(keys.iter().copied().eq(keys_of(name)), "[{name}] {keys:?}");
    }
    for (name, keys) in KEYS.iter().filter(|(name, _)| INLINE.contains(name)) {
        let shown =
            |key: &str| ["{ ", ", "].iter().any(|before| EXAMPLE.contains(&format!("{before}{key} = ")));
        assert!(keys.iter().all(|key| shown(key.name)), "{name}");
    }
}

#[test]
fn every_table_of_access_in_the_example_is_accepted() {
    let tables = EXAMPLE.lines().filter_map(|line| line.strip_prefix("#   { "));
    let tables: Vec<&str> = tables.filter_map(|line| line.split("   ").next()).collect();
    assert!(tables.len() > 8, "{tables:?}");
    for table in tables {
        let end = table.rfind('}').unwrap();
        accepted(&[("route", &format!("access = {{ {}", &table[..=end]))]);
    }
}

#[test]
fn the_example_explains_each_key_in_the_words_of_the_table() {
    let blocks: Vec<&str> = EXAMPLE.split("\n\n").collect();
    let explained = |about: &str, line: &str| {
        blocks.iter().any(|block| {
            let lines: Vec<&str> = block.lines().collect();
            let at = lines.iter().position(|one| *one == line || one.starts_with(&format!("{line} = ")));
            let comment = |line: &&str| line.strip_prefix("# ").map(str::to_owned);
            let Some(comments) = at.map(|at| lines[..at].iter().rev().map_while(comment)) else {
                return false;
            };
            let mut comments: Vec<String> = comments.collect();
            comments.reverse();
            comments.join(" ") == about
        })
    };
    for (table, keys) in KEYS.iter().filter(|(name, _)| !INLINE.contains(name)) {
        for key in *keys {
            let line = match (*table, &key.presence) {
                ("", _) if ["provider", "route"].contains(&key.name) => format!("[[{}]]", key.name),
                ("", _) => format!("[{}]", key.name),
                (_, Presence::Default(default)) => {
                    let line = format!("# {} = {default}", key.name);
                    assert!(EXAMPLE.lines().any(|one| one == line), "{line}");
                    format!("# {}", key.name)
                }
                _ if EXAMPLE.contains(&format!("\n{} = ", key.name)) => key.name.to_owned(),
                _ => format!("# {}", key.name),
            };
            assert!(explained(key.about, &line), "{table}: {line}: {}", key.about);
        }
    }
}

#[test]
fn the_example_parses_with_and_without_its_commented_keys() {
    let all = uncommented(|_| true);
    for text in [EXAMPLE.to_owned(), over_redis(EXAMPLE), over_redis(&all), all] {
        assert!(read(&text).is_ok(), "{}", read(&text).err().unwrap());
    }
}

#[test]
fn the_example_tells_the_true_defaults() {
    let defaults = uncommented(|line| !line.ends_with("# example"));
    for (plain, set) in [(EXAMPLE.to_owned(), defaults.clone()), (over_redis(EXAMPLE), over_redis(&defaults))]
    {
        let read = |text| read(text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(fingerprint(&read(&plain)), fingerprint(&read(&set)));
    }
}

/// Everything in the settings that has a default.
fn fingerprint(settings: &Settings) -> String {
    let Settings { server, session, providers, identity, routes, log, .. } = settings;
    let mut text = format!("{:?} {} {:?}", server.listen, server.prefix.as_str(), server.trusted_proxies);
    let times = (server.header_timeout, server.keep_alive, server.drain_timeout);
    write!(text, "{} {:?} {times:?} {:?}", server.dev, server.workers, (session.limits, &session.reach))
        .unwrap();
    write!(text, "{:?}", server.limits).unwrap();
    match &session.store {
        StoreSettings::Embedded(embedded) => write!(text, "{:?} {}", embedded.path, embedded.dev).unwrap(),
        StoreSettings::Redis(redis) => {
            write!(text, "{} {:?} {:?}", redis.prefix, redis.timeout, redis.ca_pem).unwrap();
        }
        StoreSettings::Memory => text.push_str("memory"),
    }
    for one in providers {
        write!(text, "{:?} {:?} {:?}", one.client_auth, one.scopes, one.algorithms).unwrap();
        write!(text, "{:?} {} {:?}", one.endpoint_hosts, one.userinfo, one.requested).unwrap();
        write!(text, "{:?} {:?} {:?}", one.extra_params, one.clock_skew, one.timeout).unwrap();
        write!(text, "{:?} {:?} {}", one.ca_pem, one.http_proxy, one.id_token_hint).unwrap();
        write!(text, " {}", one.strict_typ).unwrap();
    }
    write!(text, "{identity:?} {:?} {log:?}", routes.iter().collect::<Vec<_>>()).unwrap();
    text
}

#[test]
fn the_description_has_every_bound_and_no_secret() {
    let mut text = over_redis(&uncommented(|_| true));
    text.push_str("\n[[route]]\npath = '/api/'\nupstream = 'http://api'\naccess = { roles = ['a'] }\n");
    text.push_str("token = 'access'\nallow_cleartext_token = true\ncsrf = 'off'\n");
    let shown = describe(&read(&text).unwrap_or_else(|problems| panic!("{problems}")), &[]);
    for expected in [
        "https://apps.example.com",
        "rediss://redis:6379 under keycard:, sealed with key ",
        "an old key of `session.keys` stays for",
        "every gateway has to have a new one last before any has it first",
        "apps.example.com/wiki/",
        "signed-in, role a",
        "30m    at the latest 31m30s, never early",
        "use of a session is noted every",
        "500ms",
        "1s with connecting",
        "2s",
        "4s",
        "finishing a login at `corp` takes at most",
        "50s",
        "5 requests",
        "a login takes at most",
        "its clock may differ by 30s",
        "4096, of which 512 from one address",
        "32KiB in 96 lines, its path 8KiB",
        "300 within 1m, from one address",
        "/api/: csrf = \"off\"",
        "/api/: access tokens go in clear to http://api",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    assert!(!shown.contains("s3cret"), "{shown}");
    let warned = describe(&accepted(&[("server", "dev = true")]), &[]);
    assert!(warned.contains("dev = true") && warned.contains("a restart signs everybody out"), "{warned}");
}
