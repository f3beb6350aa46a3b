//! Links of the documents lead somewhere, and every chapter can be reached.
//!
//! I own: links and anchors. I never ask the network: an address of somebody else is only looked at.

use super::{Document, chapters, root};
use std::collections::BTreeSet;

/// The links of some Markdown: text in brackets, target in parentheses.
fn links(prose: &str) -> Vec<String> {
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The anchors that headings give: in lower case, words with dashes between, nothing else.
fn anchors(text: &str) -> BTreeSet<String> {
    let outside: String = text.split("```").step_by(2).collect();
    let headings = outside.lines().filter(|line| line.starts_with('#')).collect::<Vec<_>>();
    headings
        .into_iter()
        .map(|line| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

/// What is wrong with a link in the document `from`.
fn fault(from: &Document, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = root().join(&from.name).parent().unwrap().to_owned();
    let file = if path.is_empty() { root().join(&from.name) } else { folder.join(path) };
    // What lies outside of the handbook is not there once it has been built.
    if from.name.starts_with("docs/") && path.contains("..") {
        return Some(format!("{target} leaves the handbook"));
    }
    match std::fs::read_to_string(&file) {
        Err(_) => Some(format!("{target} leads nowhere")),
        Ok(text) if !anchor.is_empty() && !anchors(&text).contains(anchor) => {
            Some(format!("{target}: there is no such heading"))
        }
        Ok(_) => None,
    }
}

#[test]
fn every_link_leads_somewhere() {
    let faults: Vec<String> = Document::all()
        .iter()
        .flat_map(|document| {
            let fault =
                |target: String| fault(document, &target).map(|why| format!("{}: {why}", document.name));
            links(&document.prose()).into_iter().filter_map(fault).collect::<Vec<_>>()
        })
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_link_that_leads_nowhere_is_noticed() {
    let from = Document { name: "docs/endings.md".into(), text: "[x](y.md) and [z](#w)".into() };
    assert_eq!(links(&from.text), ["y.md", "#w"]);
    for target in ["y.md", "#nothing-of-the-kind", "troubleshooting.md#nothing", "../README.md"] {
        assert!(fault(&from, target).is_some(), "{target}");
    }
    for target in ["concepts.md", "configuration.md#routeaccess", "https://example.com/"] {
        assert_eq!(fault(&from, target), None);
    }
}

#[test]
fn every_chapter_is_in_the_table_of_contents_and_the_reverse() {
    let summary = std::fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let mut listed = links(&summary);
    listed.sort();
    assert_eq!(listed, chapters());
}
