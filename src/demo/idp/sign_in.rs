//! The authorization endpoint, and the two pages on the way: who are you, and may they know?
//!
//! I own: a sign-in as the browser sees it. I may call: `authorization`, `people`, `sessions` and `server`. I never
//! send a browser anywhere but to the one registered address.

use super::form::Form;
use super::people;
use super::server::{Idp, text};
use super::sessions::SignedIn;
use super::{authorization, metadata};
use crate::demo::paper::{see_other, set_cookie};
use crate::keyring;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

/// The only address that codes are sent to, below the client's origin.
const CALLBACK: &str = "/bff/callback";

/// `GET /authorize`.
pub(super) async fn authorize(request: HttpRequest, idp: web::Data<Idp>) -> HttpResponse {
    let asked = Form::parse(request.query_string());
    if let Some(page) = stranger(&idp, &asked) {
        return page;
    }
    if !authorization::complaints(&asked, &idp.client.id).is_empty() {
        return back(&idp, &asked, &[("error", "invalid_request")]);
    }
    let now = idp.now();
    let cookies = text(&request, header::COOKIE);
    let there = idp.state().sessions.find(cookies, now);
    let silent = asked.has_word("prompt", "none");
    let Some(there) = there.filter(|there| !must_sign_in(&asked, there, now)) else {
        if silent {
            return back(&idp, &asked, &[("error", "login_required")]);
        }
        return idp.pages.login(request.query_string(), asked.text("login_hint"), false);
    };
    let agreed = idp.state().sessions.consents(there.person);
    if !agreed || asked.has_word("prompt", "consent") {
        if silent {
            return back(&idp, &asked, &[("error", "consent_required")]);
        }
        return idp.pages.consent(request.query_string(), there.person);
    }
    let Ok(code) = keyring::new_text::<32>() else { return idp.pages.out_of_order() };
    idp.state().codes.give(code.to_string(), authorization::grant(&asked, now, there));
    back(&idp, &asked, &[("code", &code)])
}

fn must_sign_in(asked: &Form, there: &SignedIn, now: i64) -> bool {
    let too_old = asked.text("max_age").parse().is_ok_and(|age: i64| now - there.auth_time > age);
    too_old || asked.has_word("prompt", "login") || asked.has_word("prompt", "select_account")
}

/// `POST /login`: the person that was picked, and the password.
pub(super) async fn login(request: HttpRequest, body: web::Bytes, idp: web::Data<Idp>) -> HttpResponse {
    let form = Form::parse(&body);
    let asked = Form::parse(form.text("request"));
    if let Some(page) = stranger(&idp, &asked).or_else(|| foreign_form(&idp, &request)) {
        return page;
    }
    let person = people::find(form.text("person")).filter(|_| form.text("password").trim() == idp.password);
    let Some(person) = person else {
        return idp.pages.login(form.text("request"), form.text("person"), true);
    };
    let begun = idp.state().sessions.begin(text(&request, header::COOKIE), person, idp.now());
    let Ok(cookie) = begun else { return idp.pages.out_of_order() };
    let mut response = on_with(&asked);
    set_cookie(&mut response, &cookie);
    response
}

/// `POST /consent`: yes or no.
pub(super) async fn consent(request: HttpRequest, body: web::Bytes, idp: web::Data<Idp>) -> HttpResponse {
    let form = Form::parse(&body);
    let asked = Form::parse(form.text("request"));
    if let Some(page) = stranger(&idp, &asked).or_else(|| foreign_form(&idp, &request)) {
        return page;
    }
    let there = idp.state().sessions.find(text(&request, header::COOKIE), idp.now());
    match there {
        Some(there) if form.text("decision") == "allow" => idp.state().sessions.consent(there.person),
        _ => return back(&idp, &asked, &[("error", "access_denied")]),
    }
    on_with(&asked)
}

/// `GET /`: who is signed in here.
pub(super) async fn home(request: HttpRequest, idp: web::Data<Idp>) -> HttpResponse {
    let there = idp.state().sessions.find(text(&request, header::COOKIE), idp.now());
    match there {
        Some(there) => idp.pages.end_session("", there.person),
        None => idp.pages.notice(
            StatusCode::OK,
            "Nobody is signed in here",
            "This is the identity provider of the demo. Apps send you here when they want to know who you are.",
            Some(&idp.home),
        ),
    }
}

/// A request of a stranger, or for an address that is not registered, is answered here and goes nowhere.
fn stranger(idp: &Idp, asked: &Form) -> Option<HttpResponse> {
    if asked.text("client_id") == idp.client.id && idp.knows(asked.text("redirect_uri"), CALLBACK) {
        return None;
    }
    let why = "The app that sent you here is not registered with this provider.";
    Some(idp.pages.notice(StatusCode::BAD_REQUEST, "Who is asking?", why, Some(&idp.home)))
}

/// A form that another site has sent does nothing.
fn foreign_form(idp: &Idp, request: &HttpRequest) -> Option<HttpResponse> {
    if idp.is_own_form(request) {
        return None;
    }
    let why = "This form was not sent from a page of this provider.";
    Some(idp.pages.notice(StatusCode::FORBIDDEN, "Not from here", why, Some(&idp.home)))
}

/// Back to the authorization endpoint. What the request asked the person to do has been done.
fn on_with(asked: &Form) -> HttpResponse {
    see_other(&format!("{}?{}", metadata::AUTHORIZE, asked.text_without("prompt")))
}

fn back(idp: &Idp, asked: &Form, own: &[(&str, &str)]) -> HttpResponse {
    see_other(&authorization::way_back(
        asked.text("redirect_uri"),
        &authorization::answer(asked, &idp.issuer, own),
    ))
}
