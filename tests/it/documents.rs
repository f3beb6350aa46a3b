//! What README and the handbook show is what the program takes.
//!
//! I own: the reading of documents, and every block in them; `commands` runs what they say to type, `links` follows
//! where they point, `words` holds names and messages against the source. I never judge prose.

mod commands;
mod links;
mod words;

use super::house::contract::{Contract, yaml};
use keycard::config::environment::{Environment, Variable};
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file with Markdown in it.
struct Document {
    /// Below the repository.
    name: String,
    text: String,
}

/// A fenced block.
struct Block<'d> {
    language: &'d str,
    content: &'d str,
}

impl Document {
    /// README, how to contribute, and each chapter of the handbook.
    fn all() -> Vec<Self> {
        let mut names = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
        names.extend(chapters().into_iter().map(|chapter| format!("docs/{chapter}")));
        names
            .into_iter()
            .map(|name| Self { text: std::fs::read_to_string(root().join(&name)).unwrap(), name })
            .collect()
    }

    fn one(name: &str) -> Self {
        Self::all().into_iter().find(|document| document.name == name).unwrap()
    }

    /// Its fenced blocks, in order.
    fn blocks(&self) -> Vec<Block<'_>> {
        let pieces: Vec<&str> = self.text.split("```").collect();
        assert!(pieces.len() % 2 == 1, "{}: a block is not closed", self.name);
        let fenced = pieces.into_iter().skip(1).step_by(2).filter_map(|piece| piece.split_once('\n'));
        fenced.map(|(language, content)| Block { language: language.trim(), content }).collect()
    }

    /// Its text without blocks.
    fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }

    /// What stands between backticks in its prose, line by line.
    fn spans(&self) -> Vec<String> {
        self.prose().lines().flat_map(spans).collect()
    }
}

/// The code spans of a line (CommonMark 6.1): between equal runs of backticks.
fn spans(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let run: String = rest[start..].chars().take_while(|c| *c == '`').collect();
        let inside = &rest[start + run.len()..];
        let Some(end) = inside.find(&run) else { break };
        found.push(inside[..end].trim().to_owned());
        rest = &inside[end + run.len()..];
    }
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the handbook, its table of contents apart.
fn chapters() -> Vec<String> {
    let names = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names
        .map(|name| name.into_string().unwrap())
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect();
    names.sort();
    names
}

/// A machine on which every secret that a document names is there, and private.
struct Machine;

impl Environment for Machine {
    fn var(&self, _: &str) -> Option<String> {
        Some("a-secret-of-some-length-that-a-document-names".into())
    }

    fn variables(&self, _: &str) -> Vec<Variable> {
        Vec::new()
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let key = path.to_string_lossy().ends_with(".key");
        Ok(if key {
            b"a2V5Y2FyZC10ZXN0LXNlYWxpbmcta2V5LTMyLWJ5dGU=".to_vec()
        } else {
            b"a-secret-of-some-length".to_vec()
        })
    }

    fn file_mode(&self, _: &Path) -> Option<u32> {
        Some(0o600)
    }
}

#[test]
fn every_block_of_a_document_is_right() {
    for document in Document::all() {
        for block in document.blocks() {
            if let Err(why) = judge(&block) {
                panic!("{}: {why}\n{}", document.name, block.content);
            }
        }
    }
}

fn judge(block: &Block<'_>) -> Result<(), String> {
    match block.language {
        "toml" => match keycard::config::parse("block", block.content, &Machine) {
            Ok(_) => Ok(()),
            Err(problems) => Err(problems.to_string()),
        },
        "yaml" => yaml(block.content).map(drop),
        "json" => {
            let value: Value = serde_json::from_str(block.content).map_err(|error| error.to_string())?;
            Contract::read().fits(&json!({ "$ref": "#/components/schemas/Problem" }), &value)
        }
        "js" => script(block.content),
        // `commands` runs these.
        "console" => Ok(()),
        // Pictures, and grammars that another test reads.
        "text" => Ok(()),
        other => Err(format!("nobody checks blocks of {other:?}")),
    }
}

fn script(code: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("block.mjs");
    std::fs::write(&file, code).unwrap();
    let checked = Command::new("node").arg("--check").arg(&file).output();
    let checked = checked.map_err(|error| format!("these tests need node: {error}"))?;
    if checked.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&checked.stderr).into_owned()) }
}

#[test]
fn a_block_that_is_wrong_is_noticed() {
    for (language, content) in [
        ("toml", "[server]\npublic_irl = 1"),
        ("yaml", "a: [1"),
        ("yaml", "a: *nowhere"),
        ("json", "{}"),
        ("js", "const = 1"),
        ("sh", "true"),
    ] {
        assert!(judge(&Block { language, content }).is_err(), "{language}: {content}");
    }
}

#[test]
fn compose_is_yaml_and_has_what_the_documents_say() {
    let compose = yaml(include_str!("../../config/compose.yaml")).unwrap();
    for service in ["keycard", "redis", "demo"] {
        assert!(compose["services"][service].is_object(), "{service}");
    }
    assert_eq!(compose["services"]["demo"]["profiles"], json!(["demo"]));
}

#[test]
fn the_reference_of_all_keys_is_what_the_program_prints() {
    let written = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    assert!(
        written == keycard::config::reference(),
        "docs/configuration.md: cargo run -q -- schema --markdown > docs/configuration.md"
    );
}
