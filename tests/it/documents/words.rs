//! Names and messages in the documents are those of the program.
//!
//! I own: keys, variables, files, codes, reasons, causes, metrics and commands that stand in code spans. I never judge
//! what is said about them.

use super::{Document, Machine, root, spans};
use crate::it::house::setting::Setting;
use crate::it::stores::Redis;
use keycard::app::bounds::bounds;
use keycard::domain::login::LOGIN_TIMEOUT;
use keycard::gateway::live::RECHECK;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const TROUBLESHOOTING: &str = "docs/troubleshooting.md";

/// Every key of the reference, as `section.key`.
fn keys() -> BTreeSet<String> {
    let reference = Document::one("docs/configuration.md");
    let headings = reference.text.lines().filter_map(|line| line.strip_prefix("### "));
    headings.map(|heading| heading.trim_matches('`').to_owned()).collect()
}

/// Whether a `KEYCARD__` variable names a key, or something in it.
fn names_a_key(variable: &str) -> bool {
    let words: Vec<String> = variable.split("__").skip(1).map(str::to_lowercase).collect();
    let named = words.iter().map(String::as_str).filter(|word| word.parse::<usize>().is_err());
    keys().contains(&named.take(2).collect::<Vec<_>>().join("."))
}

#[test]
fn every_key_that_is_named_exists() {
    let keys = keys();
    let sections: BTreeSet<&str> =
        keys.iter().filter_map(|key| key.split_once('.')).map(|(name, _)| name).collect();
    assert!(keys.len() > 40 && sections.contains("route"), "{keys:?}");
    for document in Document::all() {
        for span in document.spans() {
            let Some((section, key)) = span.split_once('.') else { continue };
            let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let is_file =
                matches!(key, "md" | "rs" | "toml" | "yaml" | "json" | "key" | "redb" | "html" | "css");
            if sections.contains(section) && is_key && !is_file {
                assert!(keys.contains(&span), "{}: there is no key {span}", document.name);
            }
        }
    }
}

#[test]
fn every_variable_that_is_set_names_a_key() {
    let mut texts: Vec<(String, String)> =
        Document::all().into_iter().map(|document| (document.name, document.text)).collect();
    for file in ["config/compose.yaml", "config/keycard.service", "Dockerfile"] {
        texts.push((file.to_owned(), std::fs::read_to_string(root().join(file)).unwrap()));
    }
    let mut set = 0;
    for (name, text) in &texts {
        for (at, _) in text.match_indices("KEYCARD__") {
            let variable: String =
                text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            // The bare beginning stands for all of them.
            if variable != "KEYCARD__" {
                assert!(names_a_key(&variable), "{name}: {variable} names no key");
                set += 1;
            }
        }
    }
    assert!(set > 20, "{set}");
    assert!(!names_a_key("KEYCARD__SERVER__LISTENS"));
}

#[test]
fn every_span_of_time_in_the_chapter_on_endings_is_the_one_in_force() {
    let readme = Document::one("README.md");
    let block = readme.blocks().into_iter().find(|block| block.language == "toml").unwrap();
    let settings = keycard::config::parse("README.md", block.content, &Machine).unwrap();
    let (limits, provider) = (settings.session.limits, &settings.providers[0]);
    let fixed = |what: &str| bounds().into_iter().find(|bound| bound.what.contains(what)).unwrap().span;
    let chapter = Document::one("docs/endings.md").text;
    let row = |about: &str| {
        let line = chapter.lines().find(|line| line.contains(about));
        line.unwrap_or_else(|| panic!("no row about {about}")).to_owned()
    };
    for (about, spans) in [
        ("`session.idle_timeout`", vec![limits.idle, limits.idle + limits.touch_interval()]),
        ("`session.lifetime`", vec![limits.lifetime]),
        ("`replaced`", vec![fixed("the old ticket lives")]),
        ("`provider.timeout`", vec![provider.timeout]),
        ("`provider.clock_skew`", vec![provider.clock_skew]),
        ("first redirect", vec![LOGIN_TIMEOUT]),
        ("second look", vec![RECHECK]),
        (
            "`route.websocket_idle_timeout`",
            vec![settings.routes.iter().next().unwrap().websocket.idle_timeout],
        ),
    ] {
        for span in spans {
            assert!(row(about).contains(&spoken(span)), "{about}: {} in: {}", spoken(span), row(about));
        }
    }
    assert_eq!(spoken(Duration::from_secs(1890)), "31 min 30 s");
}

/// A span as the handbook writes it.
fn spoken(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    parts.join(" ")
}

#[test]
fn every_file_that_is_named_exists() {
    let folders = ["config/", "src/", "tests/", "docs/", ".ci/"];
    for document in Document::all() {
        for span in document.spans() {
            let is_path =
                folders.iter().any(|folder| span.starts_with(folder)) && !span.contains([' ', '*', '<']);
            assert!(!is_path || root().join(&span).exists(), "{}: there is no {span}", document.name);
        }
    }
}

/// Whether a text is one of our codes.
fn is_code(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    !text.is_empty() && text.split('-').all(is_word)
}

/// The codes among the literals of a source.
fn codes_in(source: &str) -> BTreeSet<&str> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(|text| is_code(text)).collect()
}

#[test]
fn every_code_of_an_error_is_in_troubleshooting_and_no_other() {
    let codes = codes_in(include_str!("../../../src/inbound/error.rs"));
    assert!(codes.len() > 25 && codes.contains("no-route"), "{codes:?}");
    let text = Document::one(TROUBLESHOOTING).text;
    let headings = text.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let explained: BTreeSet<&str> = headings.collect();
    assert_eq!(codes, explained);
}

/// Everything that the program may say: its sources, with lines that were broken for width put together.
fn sources() -> String {
    fn walk(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, text);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut text = String::new();
    walk(&root().join("src"), &mut text);
    let mut joined = String::new();
    for (at, piece) in text.split("\\\n").enumerate() {
        joined.push_str(if at == 0 { piece } else { piece.trim_start() });
    }
    joined.replace("\\\"", "\"")
}

/// Whether the program can say it; `…` stands for what differs from time to time.
fn is_said(sources: &str, message: &str) -> bool {
    message.split('…').map(str::trim).all(|piece| sources.contains(piece))
}

#[test]
fn every_message_in_troubleshooting_is_one_of_the_program() {
    let (text, sources) = (Document::one(TROUBLESHOOTING).text, sources());
    let mut messages = 0;
    let mut in_table = false;
    for line in text.lines() {
        let Some(first) = cells(line).first().cloned() else {
            in_table = false;
            continue;
        };
        if first.starts_with("`cause`") || first == "message" {
            in_table = true;
        } else if in_table {
            for message in spans(&first) {
                assert!(is_said(&sources, &message), "nobody says {message:?}");
                messages += 1;
            }
        }
    }
    assert!(messages > 50, "{messages}");
    assert!(!is_said(&sources, "a message that … nobody ever wrote down, except here"));
}

/// The cells of a row of a table.
fn cells(line: &str) -> Vec<String> {
    let Some(inner) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
        return Vec::new();
    };
    inner.split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn every_reason_for_which_a_session_ends_is_explained_and_no_other() {
    let mut reasons = codes_in(include_str!("../../../src/domain/ending.rs"));
    let session = include_str!("../../../src/domain/session.rs");
    reasons.extend(codes_in(session.split_once("impl WhyOver").unwrap().1.split_once("\n}\n").unwrap().0));
    // A record that cannot be read is removed without an ending of its own.
    reasons.insert("unreadable");
    let text = Document::one("docs/endings.md").text;
    let table = text.lines().map(cells).filter(|row| row.len() == 4).skip(1);
    let explained: Vec<String> = table.flat_map(|row| spans(&row[1])).collect();
    assert_eq!(reasons, explained.iter().map(String::as_str).collect());
}

#[test]
fn every_metric_that_is_named_is_there() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis_asked(&url);
    });
    // A number is shown once there is something to count.
    setting.signed_in().post_form("/bff/logout", "");
    let mut browser = setting.signed_in();
    setting.clock.advance(Duration::from_secs(301));
    assert_eq!(browser.fetch("GET", "/api/x", &[], b"").status, 200, "with a token that was renewed");
    drop(redis);
    assert_eq!(browser.open("/").status, 503);
    let metrics = setting.gateway.probe("/metrics").text();
    let mut named = 0;
    for document in Document::all() {
        for span in document.spans().iter().filter(|span| span.starts_with("keycard_")) {
            let family = span.trim_end_matches("_total");
            assert!(metrics.contains(&format!("# TYPE {family} ")), "{}: {span}\n{metrics}", document.name);
            named += 1;
        }
    }
    assert!(named > 3);
}

/// Whether `keycard` has such a command with such options, by its own help.
fn is_command(span: &str) -> bool {
    let words: Vec<&str> = span.split_whitespace().skip(1).collect();
    let is_name = |word: &&&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    // `keycard sessions list|end` names two.
    let names: Vec<&str> = words.iter().take_while(is_name).copied().collect();
    let help = Command::new(env!("CARGO_BIN_EXE_keycard")).args(&names).arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    let options = words.iter().filter(|word| word.starts_with("--"));
    help.status.success() && options.into_iter().all(|option| text.contains(option))
}

#[test]
fn every_command_in_the_prose_exists() {
    let mut spans: BTreeSet<String> = BTreeSet::new();
    for document in Document::all() {
        spans.extend(document.spans().into_iter().filter(|span| span.starts_with("keycard ")));
    }
    assert!(spans.len() > 4, "{spans:?}");
    for span in spans {
        assert!(is_command(&span), "there is no `{span}`");
    }
    for wrong in ["keycard frobnicate", "keycard check --everything", "keycard sessions begin"] {
        assert!(!is_command(wrong), "{wrong}");
    }
}
