//! Which rows of the conformance checklist have a test.
//!
//! I own: the list of rows in scope. A row is covered by a test function or a table row whose name begins with its id
//! (`r13_…`, `"a10 …"`), in `src` or `tests`, the tables in JavaScript among them. A row without any is a failure, and so is an input that cannot be found.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const REQUIREMENTS: &str = "1-15 18-25 43-56 58 60-65 67 68 70-75 77-79 81 83-85 87 88";
const ATTACKS: &str = "1-15 19-33 35 39 40";

fn rows(kind: char, list: &str) -> Vec<String> {
    let range = |item: &str| {
        let (from, to) = item.split_once('-').unwrap_or((item, item));
        from.parse::<u32>().unwrap()..=to.parse::<u32>().unwrap()
    };
    list.split(' ').flat_map(range).map(|number| format!("{kind}{number}")).collect()
}

/// The ids at the beginning of a name: `r4_a3_twice` has two.
fn ids(name: &str) -> impl Iterator<Item = &str> {
    name.split(['_', ' ']).take_while(|word| {
        let number = word.strip_prefix(['r', 'a']);
        number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// The names in a source file: of functions, and of table rows, which are strings that begin with an id.
fn names<'s>(path: &str, source: &'s str) -> Vec<&'s str> {
    let quote = if path.ends_with(".mjs") { '\'' } else { '"' };
    let functions = source.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
    let rows = source.split(quote).skip(1).filter(|text| text.len() < 120 && !text.contains('\n'));
    functions.chain(rows).filter(|name| ids(name).next().is_some()).collect()
}

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "mjs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn coverage_of_the_conformance_checklist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &mut found);
    }
    assert!(found.len() > 20, "only {} source files", found.len());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let lists = ["coverage.rs", "mutations/list.mjs"];
    for (path, source) in found.iter().filter(|(path, _)| !lists.iter().any(|list| path.ends_with(list))) {
        for name in names(path, source) {
            for id in ids(name) {
                *counts.entry(id).or_default() += 1;
            }
        }
    }
    let wanted = [rows('r', REQUIREMENTS), rows('a', ATTACKS)].concat();
    let count = |id: &String| counts.get(id.as_str()).copied().unwrap_or(0);
    for line in wanted.chunks(8) {
        let cells: Vec<String> = line.iter().map(|id| format!("{id:>4} {:>3}", count(id))).collect();
        println!("{}", cells.join(" |"));
    }
    let missing: Vec<&String> = wanted.iter().filter(|id| count(id) == 0).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}

#[test]
fn names_are_read_as_they_are_meant() {
    assert_eq!(ids("r4_a3_a_callback_is_good_once").collect::<Vec<_>>(), ["r4", "a3"]);
    assert_eq!(ids("a10 HS256 by nothing").collect::<Vec<_>>(), ["a10"]);
    assert_eq!(ids("rotate_to_second").count() + ids("a_download").count() + ids("r_4").count(), 0);
}
