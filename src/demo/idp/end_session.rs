//! Signing out at the provider (OpenID Connect RP-Initiated Logout), and telling the client (Back-Channel Logout).
//!
//! I own: the question, the answer, the way back. I may call: `sessions`, `back_channel`, `server`. I never end a
//! session on a GET: the person is asked.

use super::form::Form;
use super::server::{Idp, text};
use super::{authorization, back_channel, sessions};
use crate::demo::paper::{see_other, set_cookie};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

/// The only address to come back to, below the client's origin.
const SIGNED_OUT: &str = "/bff/signed-out";

/// `GET /end_session`.
pub(super) async fn ask(request: HttpRequest, idp: web::Data<Idp>) -> HttpResponse {
    let there = idp.state().sessions.find(text(&request, header::COOKIE), idp.now());
    match there {
        Some(there) => idp.pages.end_session(request.query_string(), there.person),
        None => leave(&idp, &Form::parse(request.query_string())),
    }
}

/// `POST /end_session`: yes or no. Either way the browser goes back to where it came from.
pub(super) async fn answer(request: HttpRequest, body: web::Bytes, idp: web::Data<Idp>) -> HttpResponse {
    let form = Form::parse(&body);
    let asked = Form::parse(form.text("request"));
    if form.text("decision") != "yes" || !idp.is_own_form(&request) {
        return leave(&idp, &asked);
    }
    let ended = idp.state().sessions.end(text(&request, header::COOKIE));
    if let Some(ended) = ended {
        back_channel::tell(&idp, &ended);
    }
    let mut response = leave(&idp, &asked);
    set_cookie(&mut response, &sessions::removal());
    response
}

fn leave(idp: &Idp, asked: &Form) -> HttpResponse {
    let target = asked.text("post_logout_redirect_uri");
    if !idp.knows(target, SIGNED_OUT) {
        let text = "You can close this window. Apps that know you from here are told when you sign out here.";
        return idp.pages.notice(StatusCode::OK, "That was all", text, Some(&idp.home));
    }
    match asked.get("state") {
        Some(state) => see_other(&authorization::way_back(target, &[("state".to_owned(), state.to_owned())])),
        None => see_other(target),
    }
}
