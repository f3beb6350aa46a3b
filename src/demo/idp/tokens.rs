//! What clients ask the provider for: metadata, keys, tokens, UserInfo.
//!
//! I own: these answers. I may call: `metadata`, `token`, `server`. I never give tokens to who is not the client.

use super::codes::Pkce;
use super::form::Form;
use super::server::{Idp, text};
use super::token::{self, Issue};
use super::{Refusal, metadata};
use crate::keyring;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

/// How long an access token opens the API, in seconds. There are no refresh tokens here: long enough to look around.
const ACCESS_LIFETIME: i64 = 3600;

pub(super) async fn discovery(idp: web::Data<Idp>) -> HttpResponse {
    let mut document = metadata::document(&idp.issuer, &["RS256"]);
    document["backchannel_logout_supported"] = json!(true);
    document["backchannel_logout_session_supported"] = json!(true);
    answer(StatusCode::OK, &document)
}

pub(super) async fn jwks(idp: web::Data<Idp>) -> HttpResponse {
    answer(StatusCode::OK, &idp.key.jwks())
}

/// `POST /token`.
pub(super) async fn token(request: HttpRequest, body: web::Bytes, idp: web::Data<Idp>) -> HttpResponse {
    let form = Form::parse(&body);
    match redeem(&idp, text(&request, header::AUTHORIZATION), &form) {
        Ok(tokens) => answer(StatusCode::OK, &tokens),
        Err(Refusal { status, error, why }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            answer(status, &json!({"error": error, "error_description": why}))
        }
    }
}

fn redeem(idp: &Idp, authorization: Option<&str>, form: &Form) -> Result<Value, Refusal> {
    idp.client.authenticate(authorization, form)?;
    let now = idp.now();
    let grant = idp.state().codes.redeem(form, Pkce::Required, now)?;
    let there = &grant.holder;
    let claims = there.person.claims();
    let failed = || Refusal { status: 500, error: "server_error", why: "the provider cannot sign" };
    let jti = keyring::new_text::<16>().map_err(|_| failed())?;
    let audience = idp.api_audience();
    let (auth_time, sid) = (there.auth_time, there.sid.as_str());
    let issue = |audience| Issue { issuer: &idp.issuer, audience, now, auth_time, sid };
    let access = issue(&audience).access_claims(&claims, &idp.client.id, &jti, ACCESS_LIFETIME);
    let access = token::sign(&idp.key, "at+jwt", &access).map_err(|_| failed())?;
    let mut id = issue(&idp.client.id).id_claims(&claims, &grant.nonce);
    id["at_hash"] = json!(token::at_hash(&access));
    let id = token::sign(&idp.key, "JWT", &id).map_err(|_| failed())?;
    let mut state = idp.state();
    state.tokens.retain(|_, (_, until)| *until > now);
    state.tokens.insert(access.clone(), (claims, now + ACCESS_LIFETIME));
    Ok(token::answer(&access, &id, ACCESS_LIFETIME))
}

/// `GET /userinfo`.
pub(super) async fn userinfo(request: HttpRequest, idp: web::Data<Idp>) -> HttpResponse {
    let now = idp.now();
    let bearer = text(&request, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let state = idp.state();
    match bearer.and_then(|token| state.tokens.get(token)).filter(|(_, until)| *until > now) {
        Some((claims, _)) => answer(StatusCode::OK, claims),
        None => answer(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_token"})),
    }
}

fn answer(status: StatusCode, value: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(value.to_string())
}
