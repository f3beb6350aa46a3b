//! What a configuration was read from.
//!
//! I own: [`Sources`], the files that a reading has asked for and what it found, and [`read`]. I may call: `environment`,
//! `keyring` (digests). I never keep a content: two readings are compared by digests, so that no secret outlives the
//! settings that it is in.

use crate::config::environment::{Environment, Variable};
use crate::config::problem::Problems;
use crate::config::{Settings, load};
use crate::keyring::sha256;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// All that a reading has asked for, with the digests of the answers: whatever a key may point at, also files that are
/// not there. Two readings that are equal lead to the same settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    answers: BTreeMap<String, [u8; 32]>,
    files: BTreeSet<PathBuf>,
}

impl Sources {
    /// The files, those that are not there included.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }
}

/// One reading of a configuration.
pub struct Reading {
    /// What came of it.
    pub settings: Result<Settings, Problems>,
    /// What it was read from.
    pub sources: Sources,
}

/// Reads a configuration as [`load`] does, and takes note of its sources.
pub fn read(path: Option<&Path>, environment: &dyn Environment) -> Reading {
    noting(environment, b"", |environment| load(path, environment))
}

/// Lets `reader` read, and takes note of what it asks for, beside what it was given already.
pub fn noting(
    environment: &dyn Environment,
    given: &[u8],
    reader: impl FnOnce(&dyn Environment) -> Result<Settings, Problems>,
) -> Reading {
    let witness = Witness { environment, seen: RefCell::default() };
    witness.note("given".to_owned(), given);
    let settings = reader(&witness);
    Reading { settings, sources: witness.seen.into_inner() }
}

/// Passes every question on, and writes it down with a digest of the answer.
struct Witness<'e> {
    environment: &'e dyn Environment,
    seen: RefCell<Sources>,
}

impl Witness<'_> {
    fn note(&self, question: String, answer: &[u8]) {
        self.seen.borrow_mut().answers.insert(question, sha256(answer));
    }
}

impl Environment for Witness<'_> {
    fn var(&self, name: &str) -> Option<String> {
        let value = self.environment.var(name);
        let answer = Zeroizing::new(format!("{value:?}"));
        self.note(format!("var {name}"), answer.as_bytes());
        value
    }

    fn variables(&self, prefix: &str) -> Vec<Variable> {
        let found = self.environment.variables(prefix);
        for Variable { name, value } in &found {
            let answer = Zeroizing::new(format!("{value:?}"));
            self.note(format!("var {name}"), answer.as_bytes());
        }
        found
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let content = self.environment.read_file(path);
        self.seen.borrow_mut().files.insert(path.to_owned());
        match &content {
            Ok(content) => self.note(format!("file {}", path.display()), content),
            Err(error) => {
                self.note(format!("no file {}", path.display()), format!("{:?}", error.kind()).as_bytes())
            }
        }
        content
    }

    fn file_mode(&self, path: &Path) -> Option<u32> {
        let mode = self.environment.file_mode(path);
        self.note(format!("mode {}", path.display()), format!("{mode:?}").as_bytes());
        mode
    }

    fn is_of_root(&self, path: &Path) -> bool {
        let answer = self.environment.is_of_root(path);
        self.note(format!("root {}", path.display()), &[u8::from(answer)]);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::ProcessEnvironment;
    use std::fs;

    #[test]
    fn a_secret_in_a_file_is_a_source_and_so_is_a_template_that_is_not_there() {
        let folder = tempfile::TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let text = format!(
            "[server]\npublic_url = \"http://localhost:1\"\ndev = true\n[session]\nstore = \"memory\"\n\
             [pages]\nfolder = {:?}\n\
             [[provider]]\nid = \"corp\"\nissuer = \"http://localhost:1\"\nclient_id = \"keycard\"\n\
             client_secret = {{ file = {:?} }}\n\
             [[route]]\npath = \"/\"\nupstream = \"http://127.0.0.1:1\"\naccess = \"public\"\n",
            folder.path(),
            at("secret")
        );
        fs::write(at("keycard.toml"), text).unwrap();
        fs::write(at("secret"), "one").unwrap();
        fs::write(at("style.css"), "p{}").unwrap();
        let sources = || {
            let reading = read(Some(&at("keycard.toml")), &ProcessEnvironment);
            assert!(reading.settings.is_ok(), "{}", reading.settings.err().unwrap());
            reading.sources
        };
        let first = sources();
        let files: Vec<&Path> = first.files().collect();
        for name in ["keycard.toml", "secret", "style.css", "page.html"] {
            assert!(files.contains(&at(name).as_path()), "{name} in {files:?}");
        }
        assert_eq!(first, sources());
        fs::write(at("secret"), "two").unwrap();
        let second = sources();
        assert_ne!(first, second);
        fs::write(at("page.html"), "<p>").unwrap();
        assert_ne!(second, sources());
        assert!(!format!("{second:?}").contains("two"));
    }
}
