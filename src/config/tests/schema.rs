//! The schema says what the table, the example file and the readers say.
//!
//! I own: a small judge of the part of JSON Schema that we write. I never know a key by name.

use super::example::{EXAMPLE, uncommented};
use super::{base_with, read};
use crate::config::keys::{INLINE, KEYS, Key, Kind, Presence, SECRET_KEYS};
use crate::config::schema;
use crate::domain::algorithm::SigningAlgorithm;
use serde_json::{Value, json};

const WRITTEN: &str = include_str!("../../../config/keycard.schema.json");

/// Whether a value has the shape that a schema asks for. Knows what we write, and refuses to judge by anything else.
fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{value} is not {what} {schema}"));
    // The type first: the other rules take it for granted.
    let mut rules: Vec<(&String, &Value)> = schema.as_object().unwrap().iter().collect();
    rules.sort_by_key(|(rule, _)| rule.as_str() != "type");
    for (rule, asked) in rules {
        match rule.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "pattern" => {}
            "$ref" => {
                let name = asked.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                fits(root, &root["$defs"][name], value)?;
            }
            "type" => {
                let is = match asked.as_str().unwrap() {
                    "string" => value.is_string(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "boolean" => value.is_boolean(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("type {other}"),
                };
                if !is {
                    return wrong("of the type of");
                }
            }
            "enum" if !asked.as_array().unwrap().contains(value) => return wrong("among"),
            "anyOf" if !asked.as_array().unwrap().iter().any(|one| fits(root, one, value).is_ok()) => {
                return wrong("any of");
            }
            "minimum" if value.as_u64() < asked.as_u64() => return wrong("as much as"),
            "maximum" if value.as_u64() > asked.as_u64() => return wrong("as little as"),
            "minLength" if (value.as_str().unwrap().len() as u64) < asked.as_u64().unwrap() => {
                return wrong("as long as");
            }
            "minItems" if (value.as_array().unwrap().len() as u64) < asked.as_u64().unwrap() => {
                return wrong("as many as");
            }
            "items" => value.as_array().unwrap().iter().try_for_each(|item| fits(root, asked, item))?,
            "required" => {
                for name in asked.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        return Err(format!("{name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, inner) in value.as_object().unwrap() {
                    match asked.get(name) {
                        Some(schema) => fits(root, schema, inner).map_err(|why| format!("{name}: {why}"))?,
                        None if schema["additionalProperties"] == json!(false) => {
                            return Err(format!("{name} is unknown"));
                        }
                        None => {}
                    }
                }
            }
            "additionalProperties" if asked.is_object() => {
                value.as_object().unwrap().values().try_for_each(|inner| fits(root, asked, inner))?;
            }
            "enum" | "anyOf" | "minimum" | "maximum" | "minLength" | "minItems" | "additionalProperties" => {}
            other => panic!("a rule that is not judged: {other}"),
        }
    }
    Ok(())
}

fn judge(toml: &str) -> Result<(), String> {
    let schema = schema::document();
    let file: toml::Table = toml.parse().unwrap();
    fits(&schema, &schema, &serde_json::to_value(file).unwrap())
}

fn all_keys() -> impl Iterator<Item = (&'static str, &'static Key)> {
    KEYS.iter().flat_map(|(table, keys)| keys.iter().map(move |key| (*table, key)))
}

#[test]
fn the_schema_in_the_repository_is_the_one_that_is_printed() {
    assert!(
        WRITTEN == super::super::schema(),
        "write it anew: cargo run -- schema > config/keycard.schema.json"
    );
}

#[test]
fn the_example_fits_the_schema_with_and_without_its_commented_keys() {
    for text in [EXAMPLE.to_owned(), uncommented(|_| true), super::BASE.to_owned()] {
        judge(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    }
    assert_eq!(EXAMPLE.lines().next(), Some("#:schema ./keycard.schema.json"));
}

#[test]
fn every_key_of_the_schema_is_in_the_example_and_the_other_way_round() {
    let schema = schema::document();
    let file: toml::Table = uncommented(|_| true).parse().unwrap();
    let example = serde_json::to_value(file).unwrap();
    for (table, _) in KEYS {
        let described = match *table {
            "" => &schema,
            table => &schema["$defs"][table],
        };
        let shown = match *table {
            "" => &example,
            inline if INLINE.contains(&inline) => continue,
            table => example[table].get(0).unwrap_or(&example[table]),
        };
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&described["properties"]), names(shown), "[{table}]");
    }
}

#[test]
fn what_the_schema_refuses_the_reader_refuses_as_well() {
    for (section, line) in [
        ("server", "-public_url"),
        ("server", "public_url = []"),
        ("server", "dev = 'true'"),
        ("server", "workers = 0"),
        ("server", "workers = 2000"),
        ("server", "prefx = '/x'"),
        ("session", "keys = 'x'"),
        ("session", "store = 7"),
        ("provider", "client_secret = { var = 'X' }"),
        ("provider", "client_auth = 'none'"),
        ("provider", "signing_algorithms = 'none'"),
        ("provider", "scopes = 'openid'"),
        ("provider", "authorization_params = { hd = 1 }"),
        ("route", "access = 'signed_in'"),
        ("route", "access = { roles = [] }"),
        ("route", "access = { who = 'nobody' }"),
        ("route", "access = { any = [{ role = 'x' }] }"),
        ("route", "-upstream"),
        ("route", "identity_headers = 'all'"),
        ("route", "max_body = 0"),
        ("log", "level = 'verbose'"),
    ] {
        let text = base_with(&[(section, line)]);
        assert!(judge(&text).is_err(), "{line}");
        assert!(read(&text).is_err(), "{line}");
    }
}

#[test]
fn the_words_of_a_choice_are_those_that_its_reader_knows() {
    for (table, key) in all_keys() {
        let mut choices = Vec::new();
        collect(&key.kind, &mut choices);
        for words in choices {
            if key.name == "signing_algorithms" {
                assert!(words.iter().all(|word| SigningAlgorithm::parse(word).is_some()));
                continue;
            }
            let value = if matches!(key.kind, Kind::List(_)) { "['zzz']" } else { "'zzz'" };
            let line = format!("{} = {value}", key.name);
            let edit = match table {
                "access" => ("route", format!("access = {{ {line} }}")),
                table => (table, line),
            };
            let Err(problems) = read(&base_with(&[(edit.0, &edit.1)])) else {
                panic!("{} = {value} is accepted", key.name)
            };
            let listed: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            let message = &problems.iter().next().unwrap().message;
            let known = message.ends_with(&format!("must be one of {}", listed.join(", ")));
            assert!(known || key.name == "identity_headers", "{message}");
        }
    }
}

fn collect(kind: &'static Kind, found: &mut Vec<&'static [&'static str]>) {
    match kind {
        Kind::Choice(words) => found.push(words),
        Kind::OneOrMore(kind) | Kind::List(kind) => collect(kind, found),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| collect(kind, found)),
        _ => {}
    }
}

#[test]
fn what_may_be_a_secret_is_hidden() {
    for (_, key) in all_keys() {
        let secret = |kind: &Kind| kind.table() == Some("secret");
        let holds = key.kind.any(&secret) || matches!(key.kind, Kind::List(kind) if secret(kind));
        assert!(!holds || SECRET_KEYS.contains(&key.name), "{}", key.name);
    }
}

#[test]
fn required_is_what_is_missed_and_nothing_else() {
    // A key of the base file that is taken away is missed exactly when the table calls it required.
    for (table, key) in
        all_keys().filter(|(table, _)| ["server", "session", "provider", "route"].contains(table))
    {
        let present = super::BASE.lines().any(|line| line.starts_with(&format!("{} = ", key.name)));
        let required = matches!(key.presence, Presence::Required);
        assert!(present || !required, "{table}.{}", key.name);
        if present && !required {
            assert!(read(&base_with(&[(table, &format!("-{}", key.name))])).is_ok(), "{table}.{}", key.name);
        }
        if required {
            assert!(read(&base_with(&[(table, &format!("-{}", key.name))])).is_err(), "{table}.{}", key.name);
        }
    }
}
