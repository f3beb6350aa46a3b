//! `POST backchannel-logout`: the provider's word that somebody is gone (OpenID Connect Back-Channel Logout 1.0).
//!
//! I own: the form, its bounds, and the answers of section 2.8. I may call: `gateway`. I never look at a cookie or at
//! where a request comes from: the signature of the token is all the proof there is (R83). Nor do I say what was wrong
//! with a token, or whether there was a session (R84).

use super::answer::{json, noted};
use super::harden::harden;
use super::visit::Note;
use super::{Desk, unread};
use crate::domain::identity::ProviderId;
use crate::gateway::GatewayError;
use crate::gateway::notice::Heard;
use crate::ports::ProviderError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use url::form_urlencoded;

/// The longest form, in bytes. Logout tokens have one or two thousand.
const MAX_FORM: usize = 32 * 1024;

/// How long the form may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// When a provider may come back, in seconds.
const RETRY_AFTER: u32 = 5;

const FORM: &str = "application/x-www-form-urlencoded";

/// An error as section 2.8 wants it (RFC 6749 section 5.2).
#[derive(Serialize)]
struct Complaint {
    error: &'static str,
    error_description: &'static str,
}

/// `POST backchannel-logout` and `POST backchannel-logout/<provider>`.
pub async fn hear(
    provider: Option<ProviderId>,
    request: &HttpRequest,
    mut body: web::Payload,
    desk: &Desk,
) -> HttpResponse {
    let response = match read_token(request, &mut body).await {
        Ok(token) => answer(carry_out(provider, token, desk).await),
        Err(why) => refused("bad-form", why, why.to_owned()),
    };
    unread::hold(response, body.into_inner())
}

/// Any other method.
pub fn wrong_method() -> HttpResponse {
    let mut response = complain(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        Complaint { error: "invalid_request", error_description: "logout tokens are sent by POST" },
        String::new(),
    );
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The one `logout_token` of the form; other parameters mean nothing here (section 2.5).
async fn read_token(request: &HttpRequest, body: &mut web::Payload) -> Result<String, &'static str> {
    let mut kinds = request.headers().get_all(header::CONTENT_TYPE);
    let kind = kinds.next().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(FORM) || kinds.next().is_some() {
        return Err("the request is not a form");
    }
    // Form and token are read whole or not at all; a compressed body is not decoded, so it is not a form either.
    let form = tokio::time::timeout(PATIENCE, gather(body)).await.unwrap_or(Err("the form took too long"))?;
    let mut tokens = form_urlencoded::parse(&form).filter(|(name, _)| name == "logout_token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Ok(token.into_owned()),
        _ => Err("the form does not have exactly one logout_token"),
    }
}

async fn gather(body: &mut web::Payload) -> Result<Vec<u8>, &'static str> {
    let mut form = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| "the form did not arrive whole")?;
        if form.len() + piece.len() > MAX_FORM {
            return Err("the form is too long");
        }
        form.extend_from_slice(&piece);
    }
    Ok(form)
}

async fn carry_out(provider: Option<ProviderId>, token: String, desk: &Desk) -> Result<Heard, GatewayError> {
    let gateway = Arc::clone(&desk.gateway);
    // Once begun it is finished, even if the provider hangs up.
    let hearing = async move { gateway.hear_logout(provider.as_ref(), &token).await };
    actix_web::rt::spawn(hearing).await.unwrap_or(Err(GatewayError::TaskLost))
}

fn answer(heard: Result<Heard, GatewayError>) -> HttpResponse {
    match heard {
        // Section 2.8 says 200, and test suites mean it. One answer, whatever there was to end (R84).
        Ok(Heard::Ended(count)) => {
            let mut response = HttpResponse::Ok().finish();
            harden(&mut response);
            noted(response, note(if count > 0 { "ended" } else { "nobody" }, String::new()))
        }
        Ok(Heard::Again) => refused("replayed", "the logout token was used before", String::new()),
        Err(error @ (GatewayError::Provider(ProviderError::Rejected(_)) | GatewayError::NoSuchProvider)) => {
            refused("bad-token", "the logout token is not acceptable", error.to_string())
        }
        // It may be good: nobody could tell, or it could not be carried out.
        Err(error) => {
            let complaint = Complaint {
                error: "temporarily_unavailable",
                error_description: "the logout could not be carried out now",
            };
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let mut response = complain(status, error.code(), complaint, error.to_string());
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
            response
        }
    }
}

fn refused(outcome: &'static str, why: &'static str, cause: String) -> HttpResponse {
    let complaint = Complaint { error: "invalid_request", error_description: why };
    complain(StatusCode::BAD_REQUEST, outcome, complaint, cause)
}

fn complain(status: StatusCode, outcome: &'static str, complaint: Complaint, cause: String) -> HttpResponse {
    noted(json(status, "application/json", &complaint), note(outcome, cause))
}

fn note(outcome: &'static str, cause: String) -> Note {
    Note { route: "backchannel-logout".into(), outcome, cause, user: None }
}
