//! `POST logout`, `GET logout`, `GET signed-out`.
//!
//! I own: the sign-out as a person or a script meets it. I may call: `domain`, `gateway`. I never end a session on a
//! request that a foreign page could have made (R63, A25), and never say "signed out" when neither the store
//! nor this process's memory of endings has taken it.

use super::answer::{json, noted, redirect};
use super::pages::extra::Extra;
use super::pages::{Kind, Link, Page};
use super::visit::{Note, Visit};
use super::{Desk, app_logout, envelope, error, landing, sessions, words};
use crate::domain::csrf::{self, CsrfMode};
use crate::domain::session::{Standing, Ticket};
use crate::gateway::GatewayError;
use crate::gateway::ending::{Farewell, Hint};
use crate::ports::StoreError;
use actix_session::Session;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use url::form_urlencoded;

/// `GET logout`: with the session's own `sid` it ends the session; without, it shows a page with one button.
pub async fn by_get(ticket: Option<Ticket>, session: &Session, visit: &Visit, desk: &Desk) -> HttpResponse {
    // With a Strict cookie nobody can tell who has followed a link from elsewhere.
    if landing::may_have_stayed(ticket.is_some(), visit, desk) {
        return landing::send("logout", visit, desk);
    }
    let now = desk.gateway.clock.now();
    let sid = match desk.gateway.standing(ticket.as_ref(), now).await {
        Ok(Standing::Live(live)) => Some(live.session.sid.clone()),
        Ok(Standing::Anonymous | Standing::Over(_)) => return to_signed_out(session, visit, desk),
        // A session that cannot be read can still be ended, by the button.
        Err(GatewayError::Store(StoreError::Unreadable(_))) => None,
        Err(error) => return error::gateway(&error).respond(&desk.pages, &visit.voice, "logout", None),
    };
    let query = visit.facts.query.as_deref().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "sid");
    if let (Some((_, named)), Some(sid)) = (named, &sid)
        && named == sid.as_str()
    {
        return sign_out(ticket, session, visit, desk).await;
    }
    let action = format!("{}/logout", desk.gateway.prefix.as_str());
    let page = Page {
        kind: Kind::SignOut,
        wording: words::ASK_TO_SIGN_OUT,
        button: Some(Link { href: &action, label: words::SIGN_OUT }),
        link: Some(Link { href: "/", label: words::STAY }),
        account: None,
        correlation_id: None,
    };
    let note = Note { route: "logout".into(), outcome: "asked", ..Note::default() };
    // What somebody who means to sign out everywhere is looking for.
    let list = sessions::path(desk);
    let also = Extra::Also(Link { href: &list, label: words::WHERE_SIGNED_IN });
    noted(desk.pages.page_with(StatusCode::OK, &page, Some(&also), visit.voice.language), note)
}

/// `POST logout`: ends the session, if the request comes from our own origin.
pub async fn by_post(ticket: Option<Ticket>, session: &Session, visit: &Visit, desk: &Desk) -> HttpResponse {
    if let Err(refusal) = csrf::judge(&visit.facts, CsrfMode::FetchMetadata) {
        return error::csrf(&refusal).respond(&desk.pages, &visit.voice, "logout", None);
    }
    sign_out(ticket, session, visit, desk).await
}

/// What a script learns: where to send the browser, if anywhere. Without `id_token_hint`, since a script reads it.
#[derive(Serialize)]
struct SignedOut {
    end_session_url: Option<String>,
}

/// Ends the session and says so.
pub async fn sign_out(ticket: Option<Ticket>, session: &Session, visit: &Visit, desk: &Desk) -> HttpResponse {
    match end(ticket, visit, desk).await {
        Ok(farewell) => gone(&farewell, session, visit, desk),
        // Not signed out: the cookie stays, and the person is told (R82).
        Err(error) => error::gateway(&error).respond(&desk.pages, &visit.voice, "logout", None),
    }
}

/// Ends the session itself, and asks the provider where the browser shall go.
///
/// # Errors
/// When neither the store nor this process has taken it: then nobody is signed out.
pub async fn end(ticket: Option<Ticket>, visit: &Visit, desk: &Desk) -> Result<Farewell, GatewayError> {
    let now = desk.gateway.clock.now();
    let hint = if visit.voice.wants_page { Hint::InRedirect } else { Hint::Withheld };
    match ticket {
        Some(ticket) => {
            let (gateway, origin) = (Arc::clone(&desk.gateway), Arc::clone(&visit.facts.origin));
            // Once begun it is finished, with its line in the log, even if the browser is gone.
            let signing_out = async move { gateway.sign_out(&ticket, &origin, hint, now).await };
            actix_web::rt::spawn(signing_out).await.unwrap_or(Err(GatewayError::TaskLost))
        }
        None => Ok(Farewell { end_session: None }),
    }
}

/// The answer to a sign-out that is done: the cookies go, and the browser goes to the provider.
pub fn gone(farewell: &Farewell, session: &Session, visit: &Visit, desk: &Desk) -> HttpResponse {
    envelope::clear(session);
    let response = match (&farewell.end_session, visit.voice.wants_page) {
        (Some(url), true) => redirect(StatusCode::SEE_OTHER, url.as_str()),
        (None, true) => redirect(StatusCode::SEE_OTHER, &signed_out_path(desk)),
        (url, false) => {
            let body = SignedOut { end_session_url: url.as_ref().map(|url| url.as_str().to_owned()) };
            json(StatusCode::OK, "application/json", &body)
        }
    };
    let response = noted(response, Note { route: "logout".into(), outcome: "signed-out", ..Note::default() });
    app_logout::forget_apps(response, visit, desk)
}

/// Where whoever has no session any more is led. The browser forgets only where it is certain that nobody is here: an
/// image or a frame of a foreign page comes without our cookie, whoever is signed in (R63, A25).
pub fn to_signed_out(session: &Session, visit: &Visit, desk: &Desk) -> HttpResponse {
    let note = Note { route: "logout".into(), outcome: "nobody", ..Note::default() };
    let response = noted(redirect(StatusCode::SEE_OTHER, &signed_out_path(desk)), note);
    if !app_logout::tells_who_is_there(visit, desk) {
        return response;
    }
    envelope::clear(session);
    app_logout::forget_apps(response, visit, desk)
}

fn signed_out_path(desk: &Desk) -> String {
    format!("{}/signed-out", desk.gateway.prefix.as_str())
}

/// `GET signed-out`: where the provider sends the browser back. Whatever `state` comes along, right, wrong or none,
/// the session here was over before the browser left, and the page is the same (R86).
pub fn signed_out(visit: &Visit, desk: &Desk) -> HttpResponse {
    let note = Note { route: "signed-out".into(), outcome: "shown", ..Note::default() };
    let page = Page {
        kind: Kind::SignedOut,
        wording: words::SIGNED_OUT,
        button: None,
        link: Some(Link { href: "/", label: words::SIGN_IN_AGAIN }),
        account: None,
        correlation_id: None,
    };
    noted(desk.pages.page(StatusCode::OK, &page, visit.voice.language), note)
}
