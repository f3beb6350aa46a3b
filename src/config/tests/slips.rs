//! No text makes the reader panic (A46).

use super::environment;
use super::example::uncommented;
use crate::config::problem::Place;
use crate::config::{describe, parse};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Edit {
    Drop(prop::sample::Index),
    Double(prop::sample::Index),
    Put(prop::sample::Index, char),
    DropLine(prop::sample::Index),
    DoubleLine(prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    // Characters that mean something to TOML, to a rule, or to a terminal; and any.
    let telling =
        prop::sample::select("[]{}=\"'.,#\n\r\t \\0-:/@*%é\u{202e}\u{0}".chars().collect::<Vec<_>>());
    prop_oneof![
        at().prop_map(Edit::Drop),
        at().prop_map(Edit::Double),
        (at(), prop_oneof![telling, any::<char>()]).prop_map(|(at, c)| Edit::Put(at, c)),
        at().prop_map(Edit::DropLine),
        at().prop_map(Edit::DoubleLine),
    ]
}

fn apply(text: &str, edit: &Edit) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let mut lines: Vec<&str> = text.lines().collect();
    if chars.is_empty() || lines.is_empty() {
        return "x".to_owned();
    }
    match edit {
        Edit::Drop(at) => drop(chars.remove(at.index(chars.len()))),
        Edit::Double(at) => chars.insert(at.index(chars.len()), chars[at.index(chars.len())]),
        Edit::Put(at, c) => chars[at.index(text.chars().count())] = *c,
        Edit::DropLine(at) => drop(lines.remove(at.index(lines.len()))),
        Edit::DoubleLine(at) => lines.insert(at.index(lines.len()), lines[at.index(lines.len())]),
    }
    match edit {
        Edit::DropLine(_) | Edit::DoubleLine(_) => lines.join("\n"),
        _ => chars.into_iter().collect(),
    }
}

/// Neither it nor what it says panics, and every place lies within the text.
fn survives(text: &str) -> Result<(), TestCaseError> {
    survives_with(text, &[])
}

fn survives_with(text: &str, variables: &[(String, String)]) -> Result<(), TestCaseError> {
    let mut environment = environment();
    for (name, value) in variables {
        environment.vars.insert(format!("KEYCARD__{name}"), value.clone());
    }
    match parse("keycard.toml", text, &environment) {
        Ok(settings) => drop(describe(&settings, &[])),
        Err(problems) => {
            prop_assert!(problems.iter().count() > 0);
            let lines = text.matches('\n').count() + 1;
            for Place { line, column } in problems.iter().filter_map(|problem| problem.place) {
                prop_assert!((1..=lines).contains(&line) && column >= 1);
            }
            let shown = problems.to_string();
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        }
    }
    Ok(())
}

/// A file full of literal secrets, each of them a row of the same letter.
const OPEN_SECRETS: &str = r#"[server]
public_url = "https://apps.example.com"
[session]
store = "redis://user:QQQQQQQQQQQQ@redis:6379/0"
keys = [
  "QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ=", # QQQQQQQQ
  "QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ=",
]
[[provider]]
id = "corp"
issuer = "https://idp.example.com"
client_id = "keycard"
client_secret = "QQQQQQQQQQQQQQQQQQQ"
http_proxy = "http://user:QQQQQQQQQQ@proxy"
[[provider]]
id = "other"
issuer = "https://idp.example.com"
client_id = "keycard"
client_secret = """
QQQQQQQQQQQQQQQQQQQ
"""
[[route]]
path = "/wiki/"
upstream = "http://wiki:80"
access = "signed-in"
"#;

/// Names that are keys, nearly so, or anything; values that are TOML, nearly so, or anything.
fn variable() -> impl Strategy<Value = (String, String)> {
    let section = prop::sample::select(vec![
        "SERVER",
        "SESSION",
        "PROVIDER__0",
        "PROVIDER__1",
        "ROUTE__0",
        "ROUTE__2",
        "X",
    ]);
    let keys: Vec<String> = crate::config::keys::all_names().map(str::to_uppercase).collect();
    let known = (section, prop::sample::select(keys), "(__[0-9]{1,3}|__ENV|__FILE|__ROLES|_|__)?");
    let name = prop_oneof![
        8 => known.prop_map(|(section, key, end)| format!("{section}__{key}{end}")),
        1 => "[A-Z0-9_]{0,30}",
        1 => any::<String>(),
    ];
    let value = prop_oneof![
        "[\\[{\"]?[a-zA-Z0-9 ='\",.:/@-]{0,20}[\\]}\"]?",
        any::<String>(),
        prop::sample::select(vec![
            "[]",
            "{}",
            "{ env = 'K' }",
            "true",
            "1",
            "[[1]]",
            "[{ id = 'x' }]",
            "\"\"",
            "30m"
        ])
        .prop_map(str::to_owned),
    ];
    (name, value)
}

proptest! {
    #[test]
    fn a46_any_environment_over_any_slips(
        variables in prop::collection::vec(variable(), 0..8),
        edits in prop::collection::vec(edit(), 0..3),
    ) {
        let text = edits.iter().fold(uncommented(|_| true), |text, edit| apply(&text, edit));
        survives_with(&text, &variables)?;
        survives_with("", &variables)?;
    }

    #[test]
    fn a37_variables_bring_no_secret_to_light(
        names in prop::collection::vec(variable(), 1..5),
        shape in prop::sample::select(vec!["*", "[\"*\"]", "{ env = \"*\" }", "{ x = \"*\" }", "[*", "redis://u:*@r"]),
    ) {
        let value = shape.replace('*', "QQQQQQQQQQQQQQQQQQQQ");
        let variables: Vec<_> = names.into_iter().map(|(name, _)| (name, value.clone())).collect();
        let mut environment = environment();
        for (name, value) in &variables {
            environment.vars.insert(format!("KEYCARD__{name}"), value.clone());
        }
        if let Err(problems) = parse("keycard.toml", OPEN_SECRETS, &environment) {
            let shown = problems.to_string();
            let path = shown.contains("names the file");
            prop_assert!(path || !shown.contains("QQQQQ"), "{shown}");
        }
    }

    #[test]
    fn a46_any_text(text in "(?s).{0,200}") {
        survives(&text)?;
    }

    #[test]
    fn a46_anything_that_looks_like_toml(text in "(\\[{0,2}[a-z.\"]{0,6}\\]{0,2}|[a-z_]{1,8} ?= ?[\\[{\"'a-z0-9#, ]{0,12}|\n){0,20}") {
        survives(&text)?;
    }

    #[test]
    fn a46_the_example_with_a_few_slips(edits in prop::collection::vec(edit(), 1..6)) {
        survives(&edits.iter().fold(uncommented(|_| true), |text, edit| apply(&text, edit)))?;
    }

    #[test]
    fn a37_slips_bring_no_secret_to_light(edits in prop::collection::vec(edit(), 1..6)) {
        let text = edits.iter().fold(OPEN_SECRETS.to_owned(), |text, edit| apply(&text, edit));
        survives(&text)?;
        if let Err(problems) = parse("keycard.toml", &text, &environment()) {
            let shown = problems.to_string();
            prop_assert!(!shown.contains("QQQ"), "{shown}");
        }
    }
}
