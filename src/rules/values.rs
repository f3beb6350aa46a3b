//! What an expression sees of a request and its sender.
//!
//! I own: the values behind the names. I may call: `domain`, `cel` (its values), `check` (which names are asked for). I
//! never show a token, and nothing that the expression does not name.

use super::check::Found;
use crate::domain::access::Question;
use crate::domain::claim::ClaimValue;
use crate::domain::session::Session;
use cel::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// The most values that one person may bring along: loops run over them.
pub(super) const MOST_VALUES: usize = 2000;

type Fields = HashMap<String, Value>;

/// The names that the expression asks for.
///
/// # Errors
/// When somebody's data is more than an expression is meant for.
pub(super) fn of(found: &Found, question: &Question<'_>) -> Result<Vec<(&'static str, Value)>, &'static str> {
    let mut room = MOST_VALUES;
    let mut values = Vec::new();
    if found.names("request") {
        values.push(("request", request(question)));
    }
    let Some(session) = question.session else { return Ok(values) };
    if found.names("user") {
        values.push(("user", user(session, &mut room)?));
    }
    if found.names("session") {
        values.push(("session", life(session, question)));
    }
    if found.names("claims") {
        let mut claims = Fields::new();
        for (name, value) in session.identity.claims.iter().filter(|(name, _)| found.claims.contains(*name)) {
            claims.insert(name.clone(), of_claim(value, &mut room)?);
        }
        values.push(("claims", claims.into()));
    }
    Ok(values)
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields_of(fields).into()
}

fn fields_of<const N: usize>(fields: [(&str, Value); N]) -> Fields {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn request(question: &Question<'_>) -> Value {
    let facts = question.facts;
    let mut values = fields_of([
        ("method", facts.method.as_str().into()),
        // As the most lenient app reads it: no spelling gets around a rule (R70).
        ("path", facts.path.judged().as_str().into()),
        ("host", facts.origin.authority().into()),
    ]);
    // Of a client that nobody can name there is no address to ask for: such an expression has no answer, and an error
    // refuses, also where the rule is a `!=` (R73).
    if let Some(address) = facts.client.address() {
        values.insert("client".to_owned(), address.to_string().into());
    }
    values.into()
}

fn user(session: &Session, room: &mut usize) -> Result<Value, &'static str> {
    let identity = &session.identity;
    let mut list = |items: &[String]| {
        items
            .iter()
            .map(|item| take(room).map(|()| item.as_str().into()))
            .collect::<Result<Vec<Value>, _>>()
            .map(|items| Value::List(Arc::new(items)))
    };
    Ok(fields([
        ("id", identity.user_id.as_str().into()),
        ("name", maybe(identity.name.as_deref())),
        ("email", maybe(identity.email.as_deref())),
        ("email_verified", Value::Bool(identity.email_verified)),
        ("roles", list(&identity.roles)?),
        ("groups", list(&identity.groups)?),
    ]))
}

fn life(session: &Session, question: &Question<'_>) -> Value {
    let age = question.now.since(session.started).as_secs();
    fields([
        ("acr", maybe(session.acr.as_deref())),
        ("provider", session.provider.as_str().into()),
        ("age", Value::Int(i64::try_from(age).unwrap_or(i64::MAX))),
    ])
}

fn maybe(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

fn take(room: &mut usize) -> Result<(), &'static str> {
    *room = room.checked_sub(1).ok_or("the person has more roles, groups and claims than it may read")?;
    Ok(())
}

fn of_claim(value: &ClaimValue, room: &mut usize) -> Result<Value, &'static str> {
    take(room)?;
    Ok(match value {
        ClaimValue::Null => Value::Null,
        ClaimValue::Bool(value) => Value::Bool(*value),
        ClaimValue::Integer(number) => Value::Int(*number),
        ClaimValue::Float(number) => Value::Float(*number),
        ClaimValue::Text(text) => text.as_str().into(),
        ClaimValue::List(items) => {
            let items = items.iter().map(|item| of_claim(item, room));
            Value::List(Arc::new(items.collect::<Result<Vec<_>, _>>()?))
        }
        ClaimValue::Map(map) => {
            let members = map.iter().map(|(name, value)| Ok((name.clone(), of_claim(value, room)?)));
            members.collect::<Result<Fields, &'static str>>()?.into()
        }
    })
}
