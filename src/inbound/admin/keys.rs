//! `/admin/keys`: which of the server's keys are still needed, and by how much.
//!
//! I own: the form of that answer. I may call: `ports` (the census), `gateway` (the clock), my parent's audit line. I
//! never show a key, nor anything that leads to one: keys are called by their ids.

use super::Act;
use crate::gateway::{Gateway, GatewayError};
use crate::inbound::answer::json;
use crate::inbound::error;
use crate::inbound::moment::rfc3339;
use crate::ports::{Census, KeyCensus, KeyUse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

#[derive(Serialize)]
struct Status<'s> {
    keys: Vec<Line<'s>>,
    /// Records that do not open although their key is there.
    unreadable: u64,
}

#[derive(Serialize)]
struct Line<'s> {
    id: &'s str,
    role: &'static str,
    records: u64,
    index_entries: u64,
    sessions: u64,
    /// When nothing needs it any more at the latest, unless it is the first of some gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    needed_until: Option<String>,
    can_be_removed: bool,
}

/// Counts, and answers when all is counted.
pub(super) async fn status(
    mut act: Act,
    request: &HttpRequest,
    census: &dyn KeyCensus,
    gateway: &Gateway,
) -> HttpResponse {
    act.selection = "all";
    if request.method() != Method::GET {
        let mut response = act.refuse(error::method("GET"));
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    if !request.query_string().is_empty() {
        return act.refuse(error::bad_admin_request());
    }
    let Census { keys, unreadable, .. } = match census.take(None, gateway.clock.now()).await {
        Ok(census) => census,
        Err(failure) => return act.fail(&GatewayError::Store(failure)),
    };
    let records = keys.iter().map(|key| key.records).sum::<u64>().saturating_add(unreadable);
    act.note("keys-counted", usize::try_from(records).unwrap_or(usize::MAX));
    json(StatusCode::OK, "application/json", &Status { keys: keys.iter().map(line).collect(), unreadable })
}

fn line(key: &KeyUse) -> Line<'_> {
    Line {
        id: &key.id,
        role: key.role.word(),
        records: key.records,
        index_entries: key.index_entries,
        sessions: key.sessions,
        needed_until: key.last_end.map(rfc3339),
        can_be_removed: key.can_be_removed(),
    }
}
