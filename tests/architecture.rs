//! Checks the house against its plan: who imports whom, which crate lives where, how long a file may be, that every
//! file opens with its note, and that `ARCHITECTURE.md` draws the same ladder as this file.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the source has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may import, in ladder order: a room imports only from above itself.
const PLAN: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("keyring", &["domain"]),
    ("ports", &["domain"]),
    ("rules", &["domain"]),
    ("gateway", &["domain", "keyring", "ports"]),
    ("config", &["domain", "keyring", "rules"]),
    ("oidc", &["config", "domain", "ports"]),
    ("store", &["config", "domain", "keyring", "ports"]),
    ("upstream", &["domain"]),
    ("inbound", &["domain", "gateway", "keyring", "ports", "upstream"]),
    ("telemetry", &["config", "ports"]),
    ("cli", &["config"]),
    (
        "app",
        &[
            "config",
            "domain",
            "gateway",
            "inbound",
            "keyring",
            "oidc",
            "ports",
            "store",
            "telemetry",
            "upstream",
        ],
    ),
    ("demo", &["app", "config", "keyring", "ports"]),
    ("main", &["app", "cli", "config", "demo", "keyring", "telemetry"]),
];

/// What is used in some places only: the token, and the path prefixes under `src/` that may name it.
const FENCES: &[(&str, &[&str])] = &[
    ("actix_web", &["inbound", "app", "demo", "main"]),
    ("actix_http", &["inbound/sentry"]),
    ("actix_server", &["app", "inbound/sentry"]),
    ("actix_service", &["inbound/sentry"]),
    ("actix_session", &["inbound"]),
    ("openidconnect", &["oidc"]),
    ("reqwest", &["cli", "oidc"]),
    ("prometheus_client", &["telemetry/metrics"]),
    ("redis::", &["store/redis"]),
    ("redb", &["store/embedded"]),
    ("rustix", &["app/stopwatch"]),
    ("notify::", &["app/reload/files"]),
    ("arc_swap", &["inbound/current", "keyring"]),
    ("cel::", &["rules"]),
    ("minijinja", &["config/pages", "demo", "inbound/pages"]),
    ("hyper", &["upstream"]),
    ("hyper_util", &["upstream"]),
    ("aws_lc_rs", &["demo/idp/", "keyring", "oidc", "main", "upstream/client"]),
    ("std::env", &["config", "demo/folder"]),
    ("SystemTime", &["app"]),
    ("serde", &["cli", "config", "gateway/state", "inbound", "oidc", "store"]),
    ("serde_json", &["cli", "config/schema", "demo", "gateway/state", "inbound", "oidc", "store"]),
];

const LONGEST_FILE: usize = 500;
const LONGEST_TEST_MODULE: usize = 700;
const BANNED_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];

struct Source {
    /// Below `src/`, with slashes.
    path: String,
    lines: usize,
    opens_with_note: bool,
    is_test: bool,
    /// Without comments, texts and the test module.
    code: String,
}

impl Source {
    fn room(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let base = root().join("src");
    let mut paths = Vec::new();
    walk(&base, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(&base).unwrap().to_string_lossy().replace('\\', "/");
            let is_test = ["/tests/", "/contract/"].iter().any(|folder| path.contains(folder))
                || path.ends_with("/tests.rs")
                || path.ends_with("/contract.rs");
            Source {
                path,
                lines: text.lines().count(),
                opens_with_note: text.starts_with("//!"),
                is_test,
                code: if is_test { String::new() } else { code_of(&text) },
            }
        })
        .collect()
}

/// The code that runs: without line comments, string literals and what follows `#[cfg(test)]` at the margin.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        if line.starts_with("#[cfg(test)]") && next.contains("mod ") && next.trim_end().ends_with('{') {
            break;
        }
        let line = line.split("//").next().unwrap_or_default();
        // A literal is cut at its quotes: good enough for `"…"` on one line, and nothing else hides an import.
        code.extend(line.split('"').step_by(2).map(|piece| format!("{piece} ")));
        code.push('\n');
    }
    code
}

/// Every `prefix::name` in some code.
fn names_after<'c>(code: &'c str, prefix: &str) -> Vec<&'c str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(prefix)
        .filter(|(at, _)| !code[..*at].ends_with(is_word))
        .map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
        })
        .collect()
}

fn edges(sources: &[Source]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.room() != "lib") {
        let own = edges.entry(source.room()).or_default();
        let prefix = if source.room() == "main" { "keycard::" } else { "crate::" };
        own.extend(names_after(&source.code, prefix).into_iter().filter(|name| *name != source.room()));
    }
    edges
}

#[test]
fn imports_follow_the_plan_and_the_plan_has_no_idle_edge() {
    let sources = sources();
    let edges = edges(&sources);
    let plan: BTreeMap<&str, BTreeSet<&str>> =
        PLAN.iter().map(|(room, may)| (*room, may.iter().copied().collect())).collect();
    assert_eq!(
        edges.keys().collect::<Vec<_>>(),
        plan.keys().collect::<Vec<_>>(),
        "rooms on disk and in the plan"
    );
    assert_eq!(edges, plan, "imports on disk (left) and in the plan (right)");
}

#[test]
fn the_plan_is_a_ladder() {
    for (at, (room, may)) in PLAN.iter().enumerate() {
        for other in *may {
            assert!(
                PLAN[..at].iter().any(|(above, _)| above == other),
                "{room} imports {other}, which is below it"
            );
        }
    }
}

#[test]
fn imports_name_the_owner() {
    for source in sources() {
        for name in names_after(&source.code, "crate::") {
            let first = name.chars().next();
            assert!(
                first.is_some_and(char::is_lowercase),
                "{}: crate::{name} hides where it comes from",
                source.path
            );
        }
        assert!(!source.code.contains("super::super"), "{}: super::super", source.path);
        assert!(!source.code.contains("super::*"), "{}: super::* outside tests", source.path);
    }
}

#[test]
fn crates_stay_within_their_fences() {
    let sources = sources();
    for (token, places) in FENCES {
        let users: Vec<&Source> = sources
            .iter()
            .filter(|source| {
                let is_word = |c: char| c.is_alphanumeric() || c == '_';
                source.code.match_indices(token).any(|(at, _)| {
                    // A name after `::` is somebody's module, not the crate.
                    let (before, after) = (&source.code[..at], &source.code[at + token.len()..]);
                    let stands_alone = !before.ends_with(is_word) && !before.ends_with("::");
                    stands_alone && (token.ends_with("::") || !after.starts_with(is_word))
                })
            })
            .collect();
        assert!(!users.is_empty(), "nobody uses {token}: drop its fence");
        for source in users {
            let inside = places.iter().any(|place| source.path.starts_with(place));
            assert!(inside, "{} names {token}, which belongs to {places:?}", source.path);
        }
    }
}

#[test]
fn files_are_short_named_well_and_open_with_their_note() {
    let sources = sources();
    assert!(sources.len() > PLAN.len(), "found only {} files", sources.len());
    for source in &sources {
        assert!(source.opens_with_note, "{} does not open with a note", source.path);
        let longest = if source.is_test { LONGEST_TEST_MODULE } else { LONGEST_FILE };
        assert!(source.lines <= longest, "{} has {} lines", source.path, source.lines);
        for part in source.path.trim_end_matches(".rs").split('/') {
            assert!(!BANNED_NAMES.contains(&part), "{}: `{part}` is no name", source.path);
        }
    }
}

#[test]
fn architecture_md_draws_the_same_ladder() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let block = text
        .split("```ladder\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a ```ladder block");
    let drawn: Vec<(String, BTreeSet<String>)> = block
        .lines()
        .map(|line| {
            let (room, may) = line.split_once(" <- ").unwrap_or((line, ""));
            (room.trim().to_owned(), may.split_whitespace().map(str::to_owned).collect())
        })
        .collect();
    let plan: Vec<(String, BTreeSet<String>)> = PLAN
        .iter()
        .map(|(room, may)| ((*room).to_owned(), may.iter().map(|other| (*other).to_owned()).collect()))
        .collect();
    assert_eq!(drawn, plan);
}
