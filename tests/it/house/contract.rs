//! The OpenAPI description, and a small judge of answers by it.
//!
//! I own: [`Contract`], which reads `docs/openapi.yaml`, and the part of JSON Schema that this file uses. I may call:
//! `raw` for answers. I never pass over a keyword that I do not know: a rule that nobody applies is worse than none.

use super::raw::Answer;
use serde_json::{Map, Number, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// Parses YAML that can be said in JSON.
///
/// # Errors
/// What is wrong with it.
pub fn yaml(text: &str) -> Result<Value, String> {
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    match documents.as_slice() {
        [one] => json(one),
        _ => Err(format!("{} documents", documents.len())),
    }
}

fn json(yaml: &Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::String(text) => Value::String(text.clone()),
        Yaml::Integer(number) => Value::Number((*number).into()),
        Yaml::Real(text) => {
            let number = text.parse().ok().and_then(Number::from_f64);
            Value::Number(number.ok_or_else(|| format!("{text} is no number"))?)
        }
        Yaml::Boolean(truth) => Value::Bool(*truth),
        Yaml::Null => Value::Null,
        Yaml::Array(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Yaml::Hash(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                let name = name.as_str().ok_or_else(|| format!("{name:?} is no name"))?;
                object.insert(name.to_owned(), json(value)?);
            }
            Value::Object(object)
        }
        Yaml::Alias(_) | Yaml::BadValue => return Err("an alias that leads nowhere".to_owned()),
    })
}

/// `docs/openapi.yaml`.
pub struct Contract(Value);

impl Contract {
    pub fn read() -> Self {
        Self(yaml(include_str!("../../../docs/openapi.yaml")).unwrap())
    }

    /// Every path with its methods in capitals.
    pub fn endpoints(&self) -> Vec<(&str, Vec<String>)> {
        let is_method = |name: &&String| {
            ["get", "put", "post", "delete", "options", "head", "patch"].contains(&name.as_str())
        };
        let paths = self.0["paths"].as_object().unwrap();
        let methods = |item: &Value| {
            item.as_object().unwrap().keys().filter(is_method).map(|m| m.to_uppercase()).collect()
        };
        paths.iter().map(|(path, item)| (path.as_str(), methods(item))).collect()
    }

    /// Every reference in the file.
    pub fn references(&self) -> Vec<&str> {
        fn walk<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|member| walk(member, found));
                }
                Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        walk(&self.0, &mut found);
        found
    }

    /// What a reference leads to.
    pub fn find(&self, reference: &str) -> Option<&Value> {
        self.0.pointer(reference.strip_prefix('#')?)
    }

    /// Holds an answer against what the file says of `method path`.
    ///
    /// # Errors
    /// The difference.
    pub fn judge(&self, method: &str, path: &str, answer: &Answer) -> Result<(), String> {
        let place = format!("{method} {path} -> {}", answer.status);
        let operation = &self.0["paths"][path][method.to_lowercase()];
        let response = self.follow(&operation["responses"][answer.status.to_string()])?;
        if !response.is_object() {
            return Err(format!("{place}: no such status is described"));
        }
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let header = self.follow(header)?;
            match answer.header(name) {
                None if header["required"] == true => return Err(format!("{place}: no {name}")),
                None => {}
                Some(value) => {
                    let value = Value::String(value.to_owned());
                    self.fits(&header["schema"], &value).map_err(|why| format!("{place}: {name}: {why}"))?;
                }
            }
        }
        let media = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
        match (response["content"].as_object(), media) {
            (None, "") if answer.body.is_empty() => Ok(()),
            (None, _) => Err(format!("{place}: a body that is not described, of {media:?}")),
            (Some(content), media) => {
                let described =
                    content.get(media).ok_or_else(|| format!("{place}: {media:?} is not described"))?;
                match described.get("schema") {
                    None => Ok(()),
                    Some(schema) => {
                        self.fits(schema, &answer.json()).map_err(|why| format!("{place}: {why}"))
                    }
                }
            }
        }
    }

    /// Holds the data of an event against what the file says of `GET events`.
    ///
    /// # Errors
    /// The difference, or that there is no such event.
    pub fn tells(&self, event: &str, data: &Value) -> Result<(), String> {
        let stream =
            &self.0["paths"]["/bff/events"]["get"]["responses"]["200"]["content"]["text/event-stream"];
        self.fits(&stream["x-events"][event], data).map_err(|why| format!("{event}: {why}"))
    }

    fn follow<'v>(&'v self, value: &'v Value) -> Result<&'v Value, String> {
        match value.get("$ref").and_then(Value::as_str) {
            None => Ok(value),
            Some(reference) => self.find(reference).ok_or_else(|| format!("{reference} leads nowhere")),
        }
    }

    /// Whether a value is what a schema describes.
    ///
    /// # Errors
    /// The difference, or a keyword that this judge does not know.
    pub fn fits(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let rules = schema.as_object().ok_or_else(|| format!("{schema} is no schema"))?;
        let wrong = |what: String| Err(format!("{value} {what}"));
        for (rule, asked) in rules {
            match (rule.as_str(), asked) {
                ("description", _) => {}
                ("$ref", _) => self.fits(self.follow(schema)?, value)?,
                ("const", _) if asked == value => {}
                ("enum", Value::Array(words)) if words.contains(value) => {}
                ("const" | "enum", _) => return wrong(format!("is not {asked}")),
                ("type", _) => {
                    let types = asked.as_array().map_or_else(|| vec![asked], |types| types.iter().collect());
                    if !types
                        .into_iter()
                        .map(|name| is_a(name, value))
                        .collect::<Result<Vec<_>, _>>()?
                        .contains(&true)
                    {
                        return wrong(format!("is no {asked}"));
                    }
                }
                ("format", Value::String(format)) if format == "date-time" => {
                    if value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_err())
                    {
                        return wrong("is no time".to_owned());
                    }
                }
                ("minLength", Value::Number(least)) => {
                    let length = value.as_str().map(|text| text.chars().count() as u64);
                    if length.is_some_and(|length| Some(length) < least.as_u64()) {
                        return wrong(format!("is shorter than {least}"));
                    }
                }
                ("minimum", Value::Number(least)) if value.as_f64() < least.as_f64() => {
                    return wrong(format!("is less than {least}"));
                }
                ("maximum", Value::Number(most)) if value.as_f64() > most.as_f64() => {
                    return wrong(format!("is more than {most}"));
                }
                ("minimum" | "maximum", Value::Number(_)) => {}
                ("items", _) => {
                    value.as_array().into_iter().flatten().try_for_each(|item| self.fits(asked, item))?;
                }
                ("required", Value::Array(names)) => {
                    let missing =
                        names.iter().find(|name| value.get(name.as_str().unwrap_or_default()).is_none());
                    if let (Some(name), true) = (missing, value.is_object()) {
                        return wrong(format!("lacks {name}"));
                    }
                }
                ("properties", Value::Object(properties)) => {
                    for (name, schema) in properties {
                        value.get(name).map_or(Ok(()), |member| self.fits(schema, member))?;
                    }
                }
                ("additionalProperties", _) => {
                    let known =
                        |name: &String| rules.get("properties").is_some_and(|all| all.get(name).is_some());
                    for (name, member) in
                        value.as_object().into_iter().flatten().filter(|(name, _)| !known(name))
                    {
                        match asked {
                            Value::Bool(false) => return wrong(format!("has {name:?} besides")),
                            schema => self.fits(schema, member)?,
                        }
                    }
                }
                _ => return Err(format!("{rule}: {asked} is a rule that nobody applies")),
            }
        }
        Ok(())
    }
}

fn is_a(name: &Value, value: &Value) -> Result<bool, String> {
    Ok(match name.as_str().unwrap_or_default() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => return Err(format!("{name} is a type that nobody knows")),
    })
}
