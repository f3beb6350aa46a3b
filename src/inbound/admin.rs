//! The door for operators: which sessions there are, and ending them, on an address of its own.
//!
//! I own: [`Counter`], the token check, and the form of `/admin/sessions`; `keys` has `/admin/keys`, `transfer` the files. I may call: `gateway`,
//! `keyring` (for digests). I never answer without the token, never say what was wrong with one, never show a ticket or a key of the
//! store, and leave one audit line for each act.

mod keys;

use super::answer::{Fault, json};
use super::current::Current;
use super::language::Language;
use super::moment::rfc3339;
use super::{Layers, error, facts, unread};
use crate::gateway::operating::{Selection, SessionView};
use crate::gateway::{Gateway, GatewayError};
use crate::keyring::{new_text, sha256};
use crate::ports::{Cursor, KeyCensus};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

mod transfer;

/// How many sessions are listed unless asked otherwise, and at most.
const USUAL_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// The operators' counter.
pub struct Counter {
    current: Arc<Current>,
    census: Arc<dyn KeyCensus>,
}

impl Counter {
    /// Opens it to whoever has the token that is in force.
    pub fn new(current: Arc<Current>, census: Arc<dyn KeyCensus>) -> Self {
        Self { current, census }
    }
}

/// What an operator has to show: the digest of the token, of equal length whatever is presented, so that a comparison
/// tells nothing.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// Keeps the digest alone.
    pub fn new(token: &SecretString) -> Self {
        Self(sha256(token.expose_secret().as_bytes()))
    }

    fn admits(&self, request: &HttpRequest) -> bool {
        let header = facts::one(request.headers(), "authorization").unwrap_or_default();
        let (scheme, token) = header.split_once(' ').unwrap_or_default();
        let same = sha256(token.trim_start_matches(' ').as_bytes()).ct_eq(&self.0);
        scheme.eq_ignore_ascii_case("Bearer") & bool::from(same)
    }
}

/// The application for operators.
pub fn application(counter: web::Data<Counter>) -> App<impl Layers> {
    App::new().app_data(counter).default_service(web::to(dispatch))
}

async fn dispatch(request: HttpRequest, counter: web::Data<Counter>, body: web::Payload) -> HttpResponse {
    let mut act = Act::new(&request);
    // Before anything else: a stranger does not learn what there is.
    let desk = counter.current.desk();
    let admitted = desk.admin_token.as_ref().is_some_and(|token| token.admits(&request));
    let query = request.query_string();
    let response = match (request.path(), request.method()) {
        _ if !admitted => act.refuse(error::no_admin_token()),
        ("/admin/sessions", method) => match Asked::read(query) {
            None => act.refuse(error::bad_admin_request()),
            Some(asked) => {
                act.selection = asked.selection().map_or("none", Selection::code);
                match *method {
                    Method::GET => list(act, &asked, &desk.gateway).await,
                    Method::DELETE => end(act, asked, &desk.gateway).await,
                    _ => act.refuse(error::method("GET, DELETE")),
                }
            }
        },
        ("/admin/keys", _) => keys::status(act, &request, counter.census.as_ref(), &desk.gateway).await,
        ("/admin/sessions/export", &Method::GET) if query.is_empty() => {
            transfer::export(act, &desk.gateway).await
        }
        // Reads its body itself.
        ("/admin/sessions/import", &Method::POST) if matches!(query, "" | "again=true") => {
            return transfer::import(act, !query.is_empty(), &desk.gateway, body).await;
        }
        ("/admin/sessions/export", &Method::GET) | ("/admin/sessions/import", &Method::POST) => {
            act.refuse(error::bad_admin_request())
        }
        ("/admin/sessions/export", _) => act.refuse(error::method("GET")),
        ("/admin/sessions/import", _) => act.refuse(error::method("POST")),
        _ => act.refuse(error::no_such_endpoint()),
    };
    // A file that nobody wants.
    unread::hold(response, body.into_inner())
}

/// The parameters.
#[derive(Default)]
struct Asked {
    user: Option<String>,
    /// With `user`: that one is the subject at this issuer.
    issuer: Option<String>,
    handle: Option<String>,
    all: bool,
    limit: Option<usize>,
    cursor: Option<Cursor>,
}

impl Asked {
    /// `None` when one is unknown, occurs twice, or is not what it should be: an operator who mistypes must not end
    /// more than was meant.
    fn read(query: &str) -> Option<Self> {
        let mut asked = Self::default();
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.contains(&name) || value.is_empty() {
                return None;
            }
            match &*name {
                "user" => asked.user = Some(value.into_owned()),
                "issuer" => asked.issuer = Some(value.into_owned()),
                "handle" => asked.handle = Some(value.into_owned()),
                "all" if value == "true" => asked.all = true,
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    asked.limit = Some(limit?);
                }
                "cursor" => asked.cursor = Some(Cursor(URL_SAFE_NO_PAD.decode(&*value).ok()?)),
                _ => return None,
            }
            seen.push(name);
        }
        let selectors = [asked.user.is_some(), asked.handle.is_some(), asked.all];
        let one = selectors.iter().filter(|given| **given).count() <= 1;
        (one && (asked.issuer.is_none() || asked.user.is_some())).then_some(asked)
    }

    /// What was selected, if anything was.
    fn selection(&self) -> Option<Selection<'_>> {
        match (&self.user, &self.handle) {
            (Some(subject), _) if self.issuer.is_some() => {
                Some(Selection::Person(self.issuer.as_deref().unwrap_or_default(), subject))
            }
            (Some(user), _) => Some(Selection::User(user)),
            (_, Some(handle)) => Some(Selection::Handle(handle)),
            (None, None) => self.all.then_some(Selection::All),
        }
    }
}

#[derive(Serialize)]
struct List<'l> {
    sessions: Vec<Line<'l>>,
    /// Records that do not open: damaged, or sealed with a key that is gone.
    unreadable: usize,
    /// For `cursor`, when there is more.
    next: Option<String>,
}

#[derive(Serialize)]
struct Line<'l> {
    handle: &'l str,
    user: Person<'l>,
    provider: &'l str,
    started: String,
    ends: String,
    last_seen: String,
    address: &'l str,
    user_agent: &'l str,
}

#[derive(Serialize)]
struct Person<'l> {
    id: &'l str,
    subject: &'l str,
    issuer: &'l str,
    name: Option<&'l str>,
    email: Option<&'l str>,
}

async fn list(act: Act, asked: &Asked, gateway: &Gateway) -> HttpResponse {
    let now = gateway.clock.now();
    let limit = asked.limit.unwrap_or(USUAL_LIMIT);
    let selection = asked.selection().unwrap_or(Selection::All);
    let views = match gateway.sessions(selection, asked.cursor.clone(), limit, now).await {
        Ok(views) => views,
        Err(error) => return act.fail(&error),
    };
    let body = List {
        sessions: views.sessions.iter().map(line).collect(),
        unreadable: views.unreadable,
        next: views.next.map(|cursor| URL_SAFE_NO_PAD.encode(cursor.0)),
    };
    act.note("sessions-listed", views.sessions.len());
    json(StatusCode::OK, "application/json", &body)
}

fn line(view: &SessionView) -> Line<'_> {
    let summary = &view.summary;
    Line {
        handle: &view.handle,
        user: Person {
            id: &summary.user_id,
            subject: summary.subject.as_str(),
            issuer: summary.issuer.as_str(),
            name: summary.name.as_deref(),
            email: summary.email.as_deref(),
        },
        provider: summary.provider.as_str(),
        started: rfc3339(summary.started),
        ends: rfc3339(summary.ends),
        last_seen: rfc3339(view.last_seen),
        address: &summary.place.address,
        user_agent: &summary.place.user_agent,
    }
}

#[derive(Serialize)]
struct Ended {
    ended: usize,
}

async fn end(act: Act, asked: Asked, gateway: &Arc<Gateway>) -> HttpResponse {
    let (gateway, lost) = (Arc::clone(gateway), act.clone());
    let ending = async move {
        let Some(selection) = asked.selection().filter(|_| asked.limit.is_none() && asked.cursor.is_none())
        else {
            return act.refuse(error::bad_admin_request());
        };
        match gateway.end_sessions(selection, gateway.clock.now()).await {
            Ok(ended) => {
                act.note("sessions-ended", ended);
                json(StatusCode::OK, "application/json", &Ended { ended })
            }
            Err(error) => act.fail(&error),
        }
    };
    // Once begun it is finished, with its line in the log, even if the operator hangs up.
    actix_web::rt::spawn(ending).await.unwrap_or_else(|_| lost.fail(&GatewayError::TaskLost))
}

/// One request of an operator, and what its audit line says.
#[derive(Clone)]
struct Act {
    id: String,
    caller: String,
    method: String,
    selection: &'static str,
    /// The id of a key that would be needed.
    key: Option<String>,
}

#[derive(Serialize)]
struct Problem<'p> {
    r#type: String,
    title: &'p str,
    status: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'p str>,
    correlation_id: &'p str,
}

impl Act {
    fn new(request: &HttpRequest) -> Self {
        Self {
            id: new_text::<12>().map_or_else(|_| "unavailable".to_owned(), |id| id.as_str().to_owned()),
            caller: request.peer_addr().map_or_else(String::new, |address| address.ip().to_string()),
            method: match *request.method() {
                Method::GET | Method::DELETE | Method::POST => request.method().to_string(),
                _ => "other".to_owned(),
            },
            selection: "none",
            key: None,
        }
    }

    fn note(&self, act: &'static str, sessions: usize) {
        tracing::info!(
            target: "keycard::audit",
            event = "admin",
            act,
            selection = self.selection,
            sessions,
            caller = self.caller,
            id = self.id,
            "operator"
        );
    }

    fn fail(self, failure: &GatewayError) -> HttpResponse {
        self.refuse(error::gateway(failure))
    }

    /// Says no, in the same form as at the public door.
    fn refuse(self, fault: Fault) -> HttpResponse {
        tracing::warn!(
            target: "keycard::audit",
            event = "admin",
            act = "refused",
            method = self.method,
            selection = self.selection,
            outcome = fault.code,
            cause = (!fault.cause.is_empty()).then_some(fault.cause),
            caller = self.caller,
            id = self.id,
            "operator"
        );
        let words = fault.wording.spoken(Language::English);
        let problem = Problem {
            r#type: format!("urn:keycard:problem:{}", fault.code),
            title: words.title,
            status: fault.status.as_u16(),
            detail: words.detail(),
            key: self.key.as_deref(),
            correlation_id: &self.id,
        };
        let mut response = json(fault.status, "application/problem+json", &problem);
        if fault.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"keycard\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(methods) = fault.allow.and_then(|methods| HeaderValue::from_str(&methods).ok()) {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        if let Some(seconds) = fault.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_mean_exactly_one_thing_or_nothing() {
        for (query, expected) in [
            ("", Some(None)),
            ("user=alice%40example.com", Some(Some(Selection::User("alice@example.com")))),
            ("handle=abc&limit=1000", Some(Some(Selection::Handle("abc")))),
            ("all=true", Some(Some(Selection::All))),
            ("user=a&issuer=https%3A%2F%2Fi", Some(Some(Selection::Person("https://i", "a")))),
            ("issuer=https%3A%2F%2Fi", None),
            ("issuer=https%3A%2F%2Fi&all=true", None),
            ("all=1", None),
            ("all=", None),
            ("user=", None),
            ("user=a&user=b", None),
            ("user=a&all=true", None),
            ("users=a", None),
            ("limit=0", None),
            ("limit=1001", None),
            ("cursor=%ff", None),
        ] {
            let asked = Asked::read(query);
            assert_eq!(asked.as_ref().map(Asked::selection), expected, "{query}");
        }
    }
}
