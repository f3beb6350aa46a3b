//! `keycard keys status`: which keys the sessions of a running gateway still need.
//!
//! I own: the table and its sentences. I may call: `sessions` (the way to the operators' door), `config` (for variables and
//! files). I never print a key, which the gateway does not tell either.

use super::sessions::{Door, Failure, Reach, say};
use crate::config::environment::Environment;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// Asks, waits until all records are counted, and says it.
///
/// # Errors
/// See [`Failure`].
pub async fn status(
    reach: &Reach,
    environment: &dyn Environment,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let status: Status = Door::open(reach, environment)?.ask(Method::GET, "/admin/keys", &[]).await?;
    say(out, reach.json, &status, &table(&status))
}

/// As the gateway sends it, and as `--json` shows it.
#[derive(Deserialize, Serialize)]
struct Status {
    keys: Vec<Line>,
    unreadable: u64,
}

#[derive(Deserialize, Serialize)]
struct Line {
    id: String,
    role: String,
    records: u64,
    index_entries: u64,
    sessions: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    needed_until: Option<String>,
    can_be_removed: bool,
}

fn table(status: &Status) -> String {
    let mut text = format!(
        "{:<8}  {:<7}  {:>9}  {:>13}  {:>9}  {}\n",
        "KEY", "ROLE", "RECORDS", "INDEX ENTRIES", "SESSIONS", "NEEDED UNTIL"
    );
    for Line { id, role, records, index_entries, sessions, needed_until, .. } in &status.keys {
        let until = needed_until.as_deref().unwrap_or("-");
        text.push_str(&format!(
            "{id:<8}  {role:<7}  {records:>9}  {index_entries:>13}  {sessions:>9}  {until}\n"
        ));
    }
    for line in &status.keys {
        if let Some(sentence) = sentence(line) {
            text.push_str(&format!("{sentence}\n"));
        }
    }
    if status.unreadable > 0 {
        text.push_str(&format!("{} records do not open although their key is there\n", status.unreadable));
    }
    text.trim_end().to_owned()
}

/// What follows from the numbers.
fn sentence(line: &Line) -> Option<String> {
    let Line { id, sessions, needed_until, .. } = line;
    match line.role.as_str() {
        _ if line.can_be_removed => Some(format!(
            "{id} can be removed now, if no gateway has it as its first key and has not had for ten minutes"
        )),
        "opens" => Some(match needed_until {
            Some(until) => format!("{id} can be removed after {until}, or when its sessions are over"),
            None => format!("{id} is still needed"),
        }),
        "missing" => Some(format!(
            "{id} is missing: {sessions} sessions cannot be read until it is put back as the last of `session.keys`"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_gets_its_line_and_what_follows_from_it() {
        let line = |id: &str, role: &str, sessions: u64, until: Option<&str>, can_be_removed: bool| Line {
            id: id.into(),
            role: role.into(),
            records: sessions,
            index_entries: 2 * sessions,
            sessions,
            needed_until: until.map(str::to_owned),
            can_be_removed,
        };
        let until = "2026-01-01T10:00:00Z";
        let status = Status {
            keys: vec![
                line("11111111", "seals", 1_000_000, Some(until), false),
                line("22222222", "opens", 3, Some(until), false),
                line("33333333", "opens", 0, None, true),
                line("44444444", "missing", 2, None, false),
            ],
            unreadable: 1,
        };
        let text = table(&status);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 4 + 3 + 1, "{text}");
        assert_eq!(lines[1], "11111111  seals      1000000        2000000    1000000  2026-01-01T10:00:00Z");
        assert!(lines[5].contains("22222222 can be removed after 2026-01-01T10:00:00Z"), "{text}");
        assert!(lines[6].contains("33333333 can be removed now"), "{text}");
        assert!(lines[7].contains("2 sessions cannot be read"), "{text}");
        assert_eq!(lines[8], "1 records do not open although their key is there");
    }
}
