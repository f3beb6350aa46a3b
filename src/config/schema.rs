//! The configuration as a JSON Schema, for editors (draft 2020-12).
//!
//! I own: the translation of `KEYS`. I may call: `keys`. I never add a rule that the table does not have: what is more
//! than shape, `keycard check` says, and better.

use crate::config::keys::{KEYS, Key, Kind, Presence, table};
use serde_json::{Map, Value, json};

/// The grammar of `amount::parse_duration`, without its bound.
const DURATION: &str = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// The grammar of `amount::parse_size`.
const SIZE: &str = "^[0-9]+ *(GiB|GB|MiB|MB|KiB|kB|KB|B)$";

/// The whole document.
pub(super) fn document() -> Value {
    let mut schema = object("");
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!("keycard.toml"));
    schema.insert(
        "description".into(),
        json!("The configuration of Keycard. `keycard check` judges the values."),
    );
    let tables = KEYS.iter().filter(|(name, _)| !name.is_empty());
    let tables = tables.map(|(name, _)| ((*name).to_owned(), Value::Object(object(name))));
    schema.insert("$defs".into(), Value::Object(tables.collect()));
    Value::Object(schema)
}

fn object(name: &str) -> Map<String, Value> {
    let keys = table(name);
    let properties: Map<String, Value> =
        keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> = keys.iter().filter(|key| is_required(key)).map(|key| key.name).collect();
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("properties".into(), Value::Object(properties));
    object.insert("additionalProperties".into(), json!(false));
    if !required.is_empty() {
        object.insert("required".into(), json!(required));
    }
    object
}

/// A section is required when something in it is.
fn is_required(key: &Key) -> bool {
    match (&key.presence, &key.kind) {
        (Presence::Required, _) | (_, Kind::Tables(_)) => true,
        (_, Kind::Table(name)) => table(name).iter().any(is_required),
        _ => false,
    }
}

fn property(key: &Key) -> Value {
    let mut schema = shape(&key.kind);
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".into(), json!(key.about));
        if let Presence::Default(text) = key.presence
            && let Some(default) = as_json(text)
        {
            members.insert("default".into(), default);
        }
    }
    schema
}

fn shape(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Duration => json!({ "type": "string", "minLength": 2, "pattern": DURATION }),
        Kind::Size => json!({ "anyOf": [
            { "type": "integer", "minimum": 1 },
            { "type": "string", "pattern": SIZE },
        ] }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Number { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
        Kind::List(item) => json!({ "type": "array", "items": shape(item) }),
        Kind::OneOrMore(item) => json!({ "anyOf": [
            shape(item),
            { "type": "array", "items": shape(item), "minItems": 1 },
        ] }),
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(shape).collect::<Vec<_>>() }),
        Kind::Free(value) => json!({ "type": "object", "additionalProperties": shape(value) }),
        Kind::Table(name) => json!({ "$ref": format!("#/$defs/{name}") }),
        Kind::Tables(section) => json!({ "type": "array", "items": shape(section), "minItems": 1 }),
    }
}

/// A default of the table; a test sees to it that each of them is TOML.
fn as_json(toml: &str) -> Option<Value> {
    let document: toml::Table = format!("value = {toml}").parse().ok()?;
    serde_json::to_value(document.get("value")?).ok()
}
