//! The arguments, the token and the table of `keycard sessions`; the requests are in `tests/it/operating.rs`.

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
        Command::List { reach, .. } | Command::End { reach, .. } => reach,
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

#[test]
fn the_table_is_aligned_and_obeys_nobody() {
    let mut list =
        List { sessions: vec![line("Fire\u{1b}[2Jfox\u{202e}"), line("b")], unreadable: 2, next: None };
    list.sessions[1].user.id = "somebody-longer".into();
    let text = table(&list);
    let lines: Vec<&str> = text.lines().collect();
    let column = lines[0].find("E-MAIL").unwrap();
    assert!(lines[1..3].iter().all(|line| line[column..].starts_with("-  ")), "{text}");
    assert!(lines[1].ends_with("Fire?[2Jfox?"), "{text}");
    assert_eq!(lines[3], "and 2 that do not open with the gateway's keys");
    assert_eq!(table(&List::default()).lines().count(), 1);
}

#[tokio::test]
async fn a_url_that_leads_nowhere_is_told_apart_from_one_that_is_none() {
    for (url, usage) in [("nonsense", true), ("ftp://a", true), ("http://127.0.0.1:1", false)] {
        let command = Command::List { user: Some("alice".into()), reach: reach(&["--url", url]) };
        let failure = run(&command, &Only(Some("token"))).await.unwrap_err();
        assert_eq!(matches!(failure, Failure::Usage(_)), usage, "{failure}");
        assert!(!failure.to_string().contains("alice"), "{failure}");
    }
}
