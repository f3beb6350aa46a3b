//! The arguments, the token and the table of `keycard sessions`; the requests are in `tests/it/operating.rs`.

use super::door::{Line, Person, TOKEN_VARIABLE, token};
use super::*;
use crate::config::environment::Variable;
use clap::Parser;
use std::io;
use std::path::Path;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

struct Only(Option<&'static str>);

impl Environment for Only {
    fn var(&self, name: &str) -> Option<String> {
        self.0.filter(|_| name == TOKEN_VARIABLE).map(str::to_owned)
    }

    fn variables(&self, _prefix: &str) -> Vec<Variable> {
        Vec::new()
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new("/token") {
            Ok(b"from-file\n".to_vec())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn file_mode(&self, _path: &Path) -> Option<u32> {
        None
    }
}

fn reach(arguments: &[&str]) -> Reach {
    let all = ["x", "list"].iter().chain(arguments);
    match Arguments::try_parse_from(all).unwrap().command {
        Command::List { reach, .. } => reach,
        _ => unreachable!("it was a list"),
    }
}

fn line(user_agent: &str) -> Line {
    let text = |text: &str| text.to_owned();
    Line {
        handle: text("abc"),
        user: Person { id: text("alice"), subject: text("s"), issuer: text("i"), name: None, email: None },
        provider: text("corp"),
        started: text("2026-01-01T00:00:00Z"),
        ends: text("2026-01-01T10:00:00Z"),
        last_seen: text("2026-01-01T00:01:00Z"),
        address: text("192.0.2.1"),
        user_agent: text(user_agent),
    }
}

#[test]
fn end_takes_exactly_one_selector() {
    let good = |arguments: &[&str]| Arguments::try_parse_from(["x", "end"].iter().chain(arguments)).is_ok();
    assert!(good(&["--all"]) && good(&["--user", "alice"]) && good(&["--id", "abc"]));
    assert!(
        good(&["--user", "alice", "--issuer", "https://idp"]) && !good(&["--all", "--issuer", "https://idp"])
    );
    assert!(!good(&[]) && !good(&["--all", "--user", "alice"]) && !good(&["--id", "a", "--user", "b"]));
}

#[test]
fn the_token_comes_from_a_file_or_a_variable() {
    let read = |arguments: &[&str], variable| token(&reach(arguments), &Only(variable));
    assert_eq!(read(&["--token-file", "/token"], Some("x")).unwrap().as_str(), "from-file");
    assert_eq!(read(&[], Some("from-variable")).unwrap().as_str(), "from-variable");
    for (arguments, variable) in
        [(&[][..], None), (&["--token-file", "/nowhere"], Some("x")), (&[], Some("")), (&[], Some("a b"))]
    {
        assert!(matches!(read(arguments, variable), Err(Failure::Usage(_))));
    }
}

fn written(form: Form, pages: &[&[Line]], unreadable: usize) -> String {
    let mut bytes = Vec::new();
    let mut paper = Paper::new(form, &mut bytes);
    pages.iter().for_each(|page| paper.lines(page).unwrap());
    paper.end(unreadable).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_table_is_aligned_and_obeys_nobody() {
    let mut lines = [line("Fire\u{1b}[2Jfox\u{202e}"), line("b")];
    lines[1].user.id = "somebody-longer".into();
    let text = written(Form::Table, &[&lines], 2);
    let lines: Vec<&str> = text.lines().collect();
    let column = lines[0].find("E-MAIL").unwrap();
    assert!(lines[1..3].iter().all(|line| line[column..].starts_with("-  ")), "{text}");
    assert!(lines[1].ends_with("Fire?[2Jfox?"), "{text}");
    assert_eq!(lines[3], "and 2 that do not open with the gateway's keys");
    assert_eq!(written(Form::Table, &[], 0).lines().count(), 1);
    assert_eq!(
        written(Form::Table, &[&[], &[line("a")], &[]], 0).lines().count(),
        2,
        "one head for all pages"
    );
}

#[test]
fn json_is_one_document_or_one_for_each_session() {
    for (pages, count) in [(vec![], 0), (vec![1], 1), (vec![2, 0, 3], 5)] {
        let pages: Vec<Vec<Line>> =
            pages.into_iter().map(|count| (0..count).map(|_| line("a\nb")).collect()).collect();
        let pages: Vec<&[Line]> = pages.iter().map(Vec::as_slice).collect();
        let whole: serde_json::Value = serde_json::from_str(&written(Form::Document, &pages, 4)).unwrap();
        assert_eq!(whole["sessions"].as_array().unwrap().len(), count);
        assert_eq!(whole["unreadable"], 4);
        let lines = written(Form::Lines, &pages, 4);
        assert_eq!(lines.lines().count(), count);
        for one in lines.lines() {
            let one: serde_json::Value = serde_json::from_str(one).unwrap();
            assert_eq!(one["user"]["id"], "alice");
        }
    }
}

#[test]
fn a_session_that_comes_again_is_not_shown_again_and_what_is_remembered_is_bounded() {
    let mut shown = Shown::default();
    assert!(shown.is_new("a") && !shown.is_new("a"));
    for number in 0..3 * REMEMBERED {
        assert!(shown.is_new(&number.to_string()));
        assert!(!shown.is_new(&number.saturating_sub(5000).to_string()));
    }
    assert!(shown.handles.len() <= REMEMBERED && shown.order.len() <= REMEMBERED);
}

#[tokio::test]
async fn a_url_that_leads_nowhere_is_told_apart_from_one_that_is_none() {
    for (url, usage) in [("nonsense", true), ("ftp://a", true), ("http://127.0.0.1:1", false)] {
        let command = Command::List {
            user: Some("alice".into()),
            issuer: None,
            id: None,
            json_lines: false,
            reach: reach(&["--url", url]),
        };
        let failure = run(&command, &Only(Some("token")), &mut Vec::new()).await.unwrap_err();
        assert_eq!(matches!(failure, Failure::Usage(_)), usage, "{failure}");
        assert!(!failure.to_string().contains("alice"), "{failure}");
    }
}
