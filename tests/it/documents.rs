//! What README and the documents show is what the program takes.
//!
//! I own: the configuration blocks of every document. I never judge prose.

use keycard::config::environment::{Environment, Variable};
use std::io;
use std::path::Path;

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
fn every_configuration_block_of_a_document_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![root.join("README.md")];
    documents.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let mut blocks = 0;
    for document in documents.iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let text = std::fs::read_to_string(document).unwrap();
        for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let parsed = keycard::config::parse("block", block, &Machine);
            assert!(parsed.is_ok(), "{}:\n{block}\n{}", document.display(), parsed.err().unwrap());
            blocks += 1;
        }
    }
    assert!(blocks > 0, "no document shows a configuration");
}
