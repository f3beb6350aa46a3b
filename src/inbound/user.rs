//! `GET user`: who is signed in, and for how long.
//!
//! I own: the body of that answer, which is a contract (design: endpoints). I may call: `domain`, `gateway`.
//! I never show a claim that is not on the allow-list (R59), and never a token (R43).

use super::answer::{json, noted};
use super::moment::rfc3339;
use super::visit::{Note, Visit};
use super::{Desk, error, turned_away};
use crate::domain::claim::ClaimValue;
use crate::domain::csrf::{self, CsrfMode};
use crate::domain::policy::WhySignIn;
use crate::domain::session::{LiveSession, Standing, Ticket};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Number, Value};
use url::form_urlencoded;

#[derive(Serialize)]
struct Body<'b> {
    user: Person<'b>,
    session: Life<'b>,
    logout_url: String,
}

#[derive(Serialize)]
struct Person<'b> {
    id: &'b str,
    name: Option<&'b str>,
    email: Option<&'b str>,
    roles: &'b [String],
    claims: Map<String, Value>,
}

#[derive(Serialize)]
struct Life<'b> {
    started: String,
    idle_until: String,
    ends: String,
    provider: &'b str,
    acr: Option<&'b str>,
}

/// The person and the session, or the 401 that every script gets.
pub async fn show(ticket: Option<Ticket>, visit: &Visit, desk: &Desk) -> HttpResponse {
    let query = visit.facts.query.as_deref().unwrap_or_default();
    let quiet =
        form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "slide" && value == "false");
    let now = desk.gateway.clock.now();
    let mut live = match desk.gateway.standing(ticket.as_ref(), now).await {
        Ok(Standing::Live(live)) => live,
        Ok(Standing::Anonymous) => return turned_away::challenge(WhySignIn::NoSession, "user", visit, desk),
        Ok(Standing::Over(why)) => return turned_away::challenge(WhySignIn::Over(why), "user", visit, desk),
        Err(error) => return error::gateway(&error).respond(&desk.pages, &visit.voice, "user", None),
    };
    if let Err(refusal) = csrf::judge(&visit.facts, CsrfMode::FetchMetadata) {
        return error::csrf(&refusal).respond(&desk.pages, &visit.voice, "user", None);
    }
    if !quiet {
        live.last_seen = desk.gateway.seen(&live, now).await;
    }
    let identity = &live.session.identity;
    let user = desk.gateway.keys.log_name(identity.issuer.as_str(), identity.subject.as_str());
    let note = Note { route: "user".into(), outcome: "shown", user: Some(user), ..Note::default() };
    noted(json(StatusCode::OK, "application/json", &body(&live, desk)), note)
}

fn body<'b>(live: &'b LiveSession, desk: &Desk) -> Body<'b> {
    let session = &live.session;
    let identity = &session.identity;
    let ends = session.ends.min(session.started.plus(desk.gateway.limits.lifetime));
    let claims = desk.identity.shown(identity).map(|(name, value)| (name.clone(), to_json(value)));
    Body {
        user: Person {
            id: &identity.user_id,
            name: identity.name.as_deref(),
            email: identity.email.as_deref(),
            roles: &identity.roles,
            claims: claims.collect(),
        },
        session: Life {
            started: rfc3339(session.started),
            idle_until: rfc3339(desk.gateway.limits.idle_until(live.last_seen).min(ends)),
            ends: rfc3339(ends),
            provider: session.provider.as_str(),
            acr: session.acr.as_deref(),
        },
        logout_url: format!("{}/logout?sid={}", desk.gateway.prefix.as_str(), session.sid.as_str()),
    }
}

fn to_json(value: &ClaimValue) -> Value {
    match value {
        ClaimValue::Null => Value::Null,
        ClaimValue::Bool(value) => Value::Bool(*value),
        ClaimValue::Integer(number) => Value::Number((*number).into()),
        ClaimValue::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        ClaimValue::Text(text) => Value::String(text.clone()),
        ClaimValue::List(items) => Value::Array(items.iter().map(to_json).collect()),
        ClaimValue::Map(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), to_json(v))).collect()),
    }
}
