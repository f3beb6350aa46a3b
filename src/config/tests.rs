//! How a whole file is read, and what is said of its mistakes.
//!
//! I own: the bench that the other tests of this room work at. I never look at a single rule: the files
//! below me do, section by section.

mod access;
mod browser_apps;
mod endings;
mod example;
mod near;
mod overlay;
mod pages;
mod provider;
mod replicas;
mod route;
mod schema;
mod secrets;
mod server;
mod session;
mod slips;

use crate::config::environment::{Environment, ProcessEnvironment, Variable};
use crate::config::problem::{Place, Problems};
use crate::config::{KeySource, Settings, load, parse};
use crate::keyring::MasterKey;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECRET: &str = "s3cret-s3cret-s3cret";
const PEM: &str = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n";
const BASE: &str = r#"
[server]
public_url = "https://apps.example.com"
[session]
store = "memory"
[[provider]]
id = "corp"
issuer = "https://idp.example.com"
client_id = "keycard"
client_secret = "s3cret-s3cret-s3cret"
[identity]
[[route]]
path = "/wiki/"
upstream = "http://wiki:80"
access = "signed-in"
[pages]
[log]
"#;

#[derive(Default)]
struct FakeEnvironment {
    vars: HashMap<String, String>,
    files: HashMap<PathBuf, (String, u32)>,
}

impl Environment for FakeEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn variables(&self, prefix: &str) -> Vec<Variable> {
        let named = self.vars.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(name, value)| Variable { name: name.clone(), value: Some(value.clone()) }).collect()
    }

    fn read_file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        self.files.get(path).map(|(text, _)| text.clone().into_bytes()).ok_or_else(missing)
    }

    fn file_mode(&self, path: &Path) -> Option<u32> {
        self.files.get(path).map(|(_, mode)| *mode)
    }

    fn is_of_root(&self, path: &Path) -> bool {
        path.starts_with("/run/credentials")
    }
}

/// The environment that the example file expects.
fn environment() -> FakeEnvironment {
    let mut fake = FakeEnvironment::default();
    let key = format!("{}\n", MasterKey::generate().unwrap().to_text().as_str());
    for (path, text, mode) in [
        ("/run/secrets/keycard.key", key.as_str(), 0o400),
        ("/run/secrets/oidc", "s3cret-s3cret-s3cret\n", 0o600),
        ("/run/secrets/wiki", SECRET, 0o600),
        ("/run/secrets/sentinel", SECRET, 0o600),
        ("/run/secrets/admin", "s3cret-s3cret-s3cret-s3cret-s3cret", 0o600),
        ("/run/credentials/group", SECRET, 0o440),
        ("/run/credentials/open", SECRET, 0o444),
        ("/run/credentials/written", SECRET, 0o460),
        ("/group", SECRET, 0o440),
        ("/open", SECRET, 0o644),
        ("/empty", "\n", 0o600),
        ("/etc/keycard/pages/forbidden.html", "<p>{{ page.title }}", 0o644),
        ("/broken/page.html", "<p>\n{% if %}", 0o644),
        ("/broken/style.css", "p{}\n</style >", 0o644),
        ("/etc/ssl/redis-ca.pem", PEM, 0o644),
        ("/etc/ssl/corp-ca.pem", PEM, 0o644),
    ] {
        fake.files.insert(path.into(), (text.to_owned(), mode));
    }
    for (name, value) in [("KEYCARD_STORE", "rediss://:s3cret@redis:6379/0"), ("EMPTY", ""), ("K", &key)] {
        fake.vars.insert(name.into(), value.into());
    }
    fake
}

fn read(text: &str) -> Result<Settings, Problems> {
    parse("keycard.toml", text, &environment())
}

/// [`BASE`] with lines of sections set: a line takes the place of the line with its key; `-key` takes it away.
fn base_with(edits: &[(&str, &str)]) -> String {
    let mut lines: Vec<String> = BASE.trim().lines().map(str::to_owned).collect();
    for (section, line) in edits {
        let header = lines.iter().position(|l| l.trim_matches(['[', ']']) == *section).unwrap();
        let end = lines[header + 1..].iter().position(|l| l.starts_with('[')).map(|n| header + 1 + n);
        let end = end.unwrap_or(lines.len());
        let key = line.split('=').next().unwrap().trim().trim_start_matches('-');
        let own = (header + 1..end).find(|at| lines[*at].split('=').next().unwrap().trim() == key);
        match (own, line.starts_with('-')) {
            (Some(at), true) => drop(lines.remove(at)),
            (Some(at), false) => lines[at] = (*line).to_owned(),
            (None, _) => lines.insert(end, (*line).to_owned()),
        }
    }
    lines.join("\n")
}

fn accepted(edits: &[(&str, &str)]) -> Settings {
    read(&base_with(edits)).unwrap_or_else(|problems| panic!("{edits:?}\n{problems}"))
}

/// Exactly one mistake, with this key, whose message has these words; whatever is said, no secret is in it.
#[track_caller]
fn refused(edits: &[(&str, &str)], key: &str, words: &str) -> String {
    let Err(problems) = read(&base_with(edits)) else { panic!("accepted: {edits:?}") };
    let shown = problems.to_string();
    let found: Vec<_> = problems.iter().collect();
    assert_eq!(found.len(), 1, "{edits:?}\n{shown}");
    assert_eq!(found[0].key, key, "{edits:?}\n{shown}");
    assert!(found[0].message.contains(words), "{edits:?}\n{shown}");
    assert!(!found[0].remedy.is_empty(), "{edits:?}");
    assert!(!shown.contains("s3cret"), "{edits:?}\n{shown}");
    shown
}

#[test]
fn the_least_file_has_safe_defaults() {
    let settings = accepted(&[]);
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert!(!settings.server.dev && settings.server.trusted_proxies.is_empty());
    assert!(matches!(&settings.session.keys, KeySource::MadeUp(_)));
    assert_eq!(settings.session.limits.idle, Duration::from_secs(1800));
    assert_eq!(settings.identity.roles.len(), 3);
    assert_eq!(settings.routes.iter().count(), 1);
}

#[test]
fn ten_mistakes_are_told_at_once_each_at_its_place() {
    let text = r#"[server]
public_url = "http://apps.example.com"
header_timeout = 10
prefx = "/bff"

[session]
store = "postgres"
idle_timeout = "2h"
lifetime = "1h"

[[provider]]
id = "corp"
issuer = "http://idp.example.com"
client_id = "keycard"
client_secret = "s3cret"
scopes = ["email"]

[[route]]
path = "/bff/x"
upstream = "http://wiki/path"

[[route]]
path = "/api/"
upstream = "http://api"
access = "public"
token = "access"

[logs]
"#;
    let Err(problems) = read(text) else { panic!("accepted") };
    let found: Vec<(usize, &str)> =
        problems.iter().map(|p| (p.place.map_or(0, |place| place.line), p.key.as_str())).collect();
    let expected = [
        (2, "server.public_url"),
        (3, "server.header_timeout"),
        (4, "server.prefx"),
        (7, "session.store"),
        (8, "session.idle_timeout"),
        (13, "provider[0].issuer"),
        (15, "provider[0].client_secret"),
        (16, "provider[0].scopes"),
        (18, "route[0].access"),
        (19, "route[0].path"),
        (20, "route[0].upstream"),
        (26, "route[1].token"),
        (28, "logs"),
    ];
    assert_eq!(found, expected, "{problems}");
    assert!(problems.to_string().ends_with("keycard.toml: 13 mistakes"), "{problems}");
    assert!(!problems.to_string().contains("s3cret"), "{problems}");
}

#[test]
fn a_mistake_looks_like_one_of_rustc() {
    let shown = refused(&[("session", "idle_timeot = \"30m\"")], "session.idle_timeot", "unknown key");
    let expected = "\
error: unknown key `idle_timeot`
 --> keycard.toml:5:1
  |
5 | idle_timeot = \"30m\"
  | ^^^^^^^^^^^
  |
  = help: did you mean `idle_timeout`?

keycard.toml: 1 mistake";
    assert_eq!(shown, expected);
}

#[test]
fn unknown_keys_name_the_nearest_one_or_its_home() {
    for (section, line, key, help) in [
        ("server", "idle_timeout = \"1h\"", "server.idle_timeout", "it belongs into `[session]`"),
        ("route", "issuer = \"x\"", "route[0].issuer", "it belongs into `[[provider]]`"),
        ("log", "colour = true", "log.colour", "the keys here are `format`, `level`"),
        ("provider", "client-secret = \"s3cret\"", "provider[0].client-secret", "mean `client_secret`"),
        ("route", "redirect_password = 's3cret'", "route[0].redirect_password", "the keys here are"),
    ] {
        let shown = refused(&[(section, line)], key, "unknown key");
        assert!(shown.contains(help), "{shown}");
    }
}

#[test]
fn a_misspelt_key_is_one_mistake_and_not_a_missing_one_besides() {
    let edits = [("route", "-access"), ("route", "acces = 'public'")];
    assert!(refused(&edits, "route[0].acces", "unknown key").contains("did you mean `access`?"));
}

#[test]
fn in_colour_it_says_the_same() {
    let Err(problems) = read("[server]\nprefx = 1\n") else { panic!("accepted") };
    let painted = problems.painted().to_string();
    let bare: String = painted
        .split('\u{1b}')
        .enumerate()
        .map(|(at, part)| if at == 0 { part } else { part.split_once('m').unwrap().1 })
        .collect();
    assert!(painted.contains("\u{1b}[1;31merror\u{1b}[0m") && painted.contains("\u{1b}[1;31m^^^^^\u{1b}[0m"));
    assert_eq!(bare, problems.to_string());
}

#[test]
fn secrets_are_hidden_in_what_is_shown() {
    let line = "client_secret = \"s3cret\" # was s3cret2";
    let shown = refused(&[("provider", line)], "provider[0].client_secret", "shorter than 16");
    assert!(shown.contains("client_secret = <hidden>\n"), "{shown}");
    assert!(shown.contains("|                 ^^^^^^^^\n"), "{shown}");
    let shown = refused(&[("session", "keys = [\n  \"s3cret\",\n]")], "session.keys[0]", "32 bytes");
    assert!(shown.contains("6 |   <hidden>,\n"), "{shown}");
    refused(&[("session", "store = \"redis://:s3cret@\"")], "session.store", "not a Redis URL");
    refused(&[("provider", "http_proxy = \"socks5://u:s3cret@p\"")], "provider[0].http_proxy", "URL");
    refused(&[("route", "upstream = \"http://u:s3cret@wiki\"")], "route[0].upstream", "address");
    let text = BASE.replace("\"s3cret-s3cret-s3cret\"", "\"s3cret");
    let Err(problems) = read(&text) else { panic!("accepted") };
    assert!(!problems.to_string().contains("s3cret"), "{problems}");
    assert_eq!(problems.iter().next().unwrap().place.map(|place| place.line), Some(10));
}

#[test]
fn a_file_that_is_no_toml_is_one_mistake() {
    let Err(problems) = read("[server]\nlisten = \n") else { panic!("accepted") };
    let place = problems.iter().next().unwrap().place;
    assert_eq!(place.map(|Place { line, .. }| line), Some(2), "{problems}");
    assert!(problems.to_string().contains("listen ="), "{problems}");
    let Err(problems) = read("[server]\nlisten = 0.0.0.0:80\n") else { panic!("accepted") };
    assert!(problems.to_string().contains("a string goes in quotes"), "{problems}");
}

#[test]
fn missing_sections_and_wrong_shapes_are_told() {
    let Err(problems) = read("") else { panic!("accepted") };
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["server.public_url", "provider", "route"]);
    let single = BASE.replace("[[provider]]", "[provider]").replace("id = \"corp\"", "id = \"Corp\"");
    let Err(problems) = read(&single) else { panic!("accepted") };
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["provider", "provider.id"], "{problems}");
    let text = format!("server = 1\n{}", BASE.replace("[server]", "[log.x]"));
    assert!(read(&text).is_err());
    for key in ["id", "issuer", "client_id", "client_secret"] {
        refused(&[("provider", &format!("-{key}"))], &format!("provider[0].{key}"), "is missing");
    }
    for key in ["path", "upstream", "access"] {
        refused(&[("route", &format!("-{key}"))], &format!("route[0].{key}"), "is missing");
    }
}

#[test]
fn the_file_itself_may_be_unreadable() {
    let Err(problems) = load(Some(Path::new("/nonexistent.toml")), &ProcessEnvironment) else {
        panic!("loaded")
    };
    assert!(problems.to_string().contains("--> /nonexistent.toml"), "{problems}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keycard.toml");
    std::fs::write(&path, BASE).unwrap();
    assert!(load(Some(&path), &ProcessEnvironment).is_ok());
    std::fs::write(&path, b"\xff\xfe").unwrap();
    let Err(problems) = load(Some(&path), &ProcessEnvironment) else { panic!("loaded") };
    assert!(problems.to_string().contains("not UTF-8"), "{problems}");
}
