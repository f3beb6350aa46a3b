//! The responses that are ours.
//!
//! I own: refusals as pages and as problem JSON, and redirects. I may call: `pages`, `words`, `visit`, `harden`. I never repeat what a stranger sent, and never tell them what went wrong inside.

use super::harden::harden;
use super::language::Language;
use super::pages::{Kind, Link, Page, Pages};
use super::visit::{Note, Voice};
use super::words::{self, Wording};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde::Serialize;
use std::borrow::Cow;

/// Says no: what to tell the stranger, what to tell the log.
pub struct Fault {
    /// The status.
    pub status: StatusCode,
    /// The last part of the problem's `type`, and the outcome in the log.
    pub code: &'static str,
    /// What it means for a person, and what to do; the title is the same for every occurrence (RFC 9457 section 3.1.3).
    pub wording: &'static Wording,
    /// What kind of page tells of it.
    pub kind: Kind,
    /// How a person goes on from there.
    pub way: Way,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
    /// The methods that the address has (RFC 9110 section 15.5.6).
    pub allow: Option<Cow<'static, str>>,
    /// The kind of what a route asks for and the person does not have, for programs.
    pub missing: Option<&'static str>,
    /// For the log only.
    pub cause: String,
}

/// How a person goes on after a refusal.
pub enum Way {
    /// To `/`.
    FrontPage,
    /// The same address once more: a reference without anything leads to it, and nothing of it has to be repeated.
    Retry,
    /// To the sign-in at this path.
    SignIn(String),
    /// To the list of one's own sessions at this path.
    Sessions(String),
    /// Out, and in again as somebody else. That works with any provider.
    OtherAccount {
        /// Who is signed in.
        who: String,
        /// The path that ends the session.
        sign_out: String,
    },
}

/// A problem document (RFC 9457).
#[derive(Serialize)]
struct Problem<'p> {
    r#type: String,
    title: &'p str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<&'p str>,
    correlation_id: &'p str,
}

impl Fault {
    /// The response, as a page or as problem JSON, with its note for the access line. `login_url` belongs to a 401,
    /// whose body is the same wherever it comes from.
    pub fn respond(self, pages: &Pages, voice: &Voice, route: &str, login_url: Option<&str>) -> HttpResponse {
        let is_challenge = self.status == StatusCode::UNAUTHORIZED;
        let mut response = if voice.wants_page && !is_challenge {
            pages.page(self.status, &self.page(&voice.request_id), voice.language)
        } else {
            // What programs read is English, whatever their user speaks.
            let words = self.wording.spoken(Language::English);
            json(
                self.status,
                "application/problem+json",
                &Problem {
                    r#type: format!("urn:keycard:problem:{}", self.code),
                    title: words.title,
                    status: self.status.as_u16(),
                    detail: (!is_challenge).then(|| words.detail()),
                    missing: self.missing,
                    login_url,
                    correlation_id: &voice.request_id,
                },
            )
        };
        if is_challenge {
            // RFC 9110 section 11.6.1 asks for a challenge with every 401; browsers pass over schemes that they do
            // not know.
            let challenge = HeaderValue::from_static("Cookie realm=\"keycard\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = self.allow.and_then(|methods| HeaderValue::from_str(&methods).ok()) {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        noted(response, Note { route: route.to_owned(), outcome: self.code, cause: self.cause, user: None })
    }

    fn page<'p>(&'p self, correlation_id: &'p str) -> Page<'p> {
        let link = |href, label| Some(Link { href, label });
        let (button, link, account) = match &self.way {
            Way::FrontPage => (None, link("/", words::FRONT_PAGE), None),
            Way::Retry => (None, link("", words::RETRY), None),
            Way::SignIn(path) => (None, link(path, words::SIGN_IN_AGAIN), None),
            Way::Sessions(path) => (None, link(path, words::WHERE_SIGNED_IN), None),
            Way::OtherAccount { who, sign_out } => {
                (link(sign_out, words::OTHER_ACCOUNT), link("/", words::FRONT_PAGE), Some(who.as_str()))
            }
        };
        let correlation_id = Some(correlation_id);
        Page { kind: self.kind, wording: self.wording, button, link, account, correlation_id }
    }
}

/// A JSON response.
pub fn json(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> HttpResponse {
    let text = serde_json::to_string(body).unwrap_or_else(|_| "{}".to_owned());
    let mut response = HttpResponse::build(status).content_type(content_type).body(text);
    harden(&mut response);
    response
}

/// A redirect that leaves no trace in a `Referer` (R11).
pub fn redirect(status: StatusCode, location: &str) -> HttpResponse {
    let mut response = match HeaderValue::from_str(location) {
        Ok(value) => HttpResponse::build(status).insert_header((header::LOCATION, value)).finish(),
        Err(error) => {
            tracing::error!(%error, "a location could not be written");
            HttpResponse::InternalServerError().finish()
        }
    };
    harden(&mut response);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Attaches the note for the access line.
pub fn noted(mut response: HttpResponse, note: Note) -> HttpResponse {
    response.extensions_mut().insert(note);
    response
}
