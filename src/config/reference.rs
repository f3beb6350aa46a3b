//! The configuration as a chapter of the handbook: `keycard schema --markdown`.
//!
//! I own: the translation of `KEYS` into Markdown. I may call: `keys`. I never explain a key in words of my own: what
//! its table says is what `docs/configuration.md` says, and a test compares the two.

use crate::config::keys::{KEYS, Key, Kind, Presence, table};

/// What stands before the keys.
const OPENING: &str = "\
# Configuration reference

<!-- Made from the program's own table of keys by `keycard schema --markdown`. Do not edit: a test compares the two. -->

One TOML file, `keycard.toml` unless `--config` names another. Every key that there is stands on this page. A key that
is not here is refused, with the nearest one that is. A key that is not set has the safe value.

- **Spans of time** have a unit: `500ms`, `30s`, `5m`, `1h30m`, `7d`.
- **Secrets** are text, `{ env = \"NAME\" }` or `{ file = \"path\" }`. A file of secrets must be readable by its owner alone.
- **Variables** beat the file. Each key has one, named below it. `0` counts sections and items of lists from the first one
  on. Lists and tables are written as TOML; text stands without quotes.
- **Checking**: `keycard check` reports every mistake at once, with its line and what to do.
- **Editors** complete the keys with the JSON Schema that `keycard schema` prints.
";

/// The whole chapter.
pub(super) fn document() -> String {
    let mut text = OPENING.to_owned();
    for (name, keys) in KEYS.iter().filter(|(name, _)| !name.is_empty()) {
        let section = table("").iter().find(|key| key.name == *name);
        let heading = match section.map(|key| &key.kind) {
            Some(Kind::Tables(_)) => format!("`[[{name}]]`"),
            Some(_) => format!("`[{name}]`"),
            None => format!("A table for `{name}`"),
        };
        let about = section.map_or_else(|| inline_use(name), |key| key.about.to_owned());
        text.push_str(&format!("\n## {heading}\n\n{about}\n"));
        for key in *keys {
            text.push_str(&entry(name, section, key));
        }
    }
    text
}

/// Where a table stands that is no section.
fn inline_use(name: &str) -> String {
    let uses: Vec<String> = KEYS
        .iter()
        .flat_map(|(home, keys)| keys.iter().map(move |key| (home, key)))
        .filter(|(_, key)| mentions(&key.kind, name))
        .map(|(home, key)| format!("`{home}.{}`", key.name))
        .collect();
    format!("Written inline, as the value of {}.", uses.join(", "))
}

fn mentions(kind: &Kind, name: &str) -> bool {
    let is_it = |kind: &Kind| kind.table() == Some(name);
    kind.any(&is_it) || kind.item().is_some_and(|item| mentions(item, name))
}

fn entry(name: &str, section: Option<&Key>, key: &Key) -> String {
    let presence = match &key.presence {
        // Its table says so itself.
        Presence::Required => String::new(),
        Presence::Optional => " No default.".to_owned(),
        Presence::Default(default) => format!(" Default: `{default}`."),
    };
    let variable = section.map_or_else(String::new, |section| {
        let place = if matches!(section.kind, Kind::Tables(_)) { "__0" } else { "" };
        let variable = format!("KEYCARD__{name}{place}__{}", key.name).to_uppercase();
        format!(" Variable: `{variable}`.")
    });
    format!(
        "\n### `{name}.{}`\n\n{}\n\nTakes {}.{presence}{variable}\n",
        key.name,
        key.about,
        shape(&key.kind)
    )
}

fn shape(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Duration => "a span of time".to_owned(),
        Kind::Size => "a number of bytes, or text such as `\"10MB\"`".to_owned(),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::Number { least, most: u64::MAX } => format!("a whole number from {least} on"),
        Kind::Number { least, most } => format!("a whole number from {least} to {most}"),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            match words.as_slice() {
                [one] => one.clone(),
                words => format!("one of {}", words.join(", ")),
            }
        }
        Kind::List(item) => format!("a list of: {}", shape(item)),
        Kind::OneOrMore(item) => format!("{}, or a list of such", shape(item)),
        Kind::Either(kinds) => kinds.iter().map(shape).collect::<Vec<_>>().join(", or "),
        Kind::Free(value) => format!("a table of names of your own, each with {}", shape(value)),
        Kind::Table(name) => format!("a [table for `{name}`](#a-table-for-{name})"),
        Kind::Tables(section) => format!("a list of sections, each {}", shape(section)),
    }
}
