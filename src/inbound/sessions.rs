//! `GET sessions`, `DELETE sessions/<handle>`, `POST sessions/<handle>`: where one is signed in, and ending that.
//!
//! I own: the list as a script and as a person meet it, and the answers to an ending. I may call: `domain`, `gateway`,
//! `pages`. I never show or end a session but of the one who asks, never tell a handle of somebody else's from one of
//! nobody's (A44), and never end one on a request that a foreign page could have made (R61, R62).
//!
//! A form knows GET and POST only, so the page's buttons POST to the very address that a script sends its DELETE to.
//! Both are judged as `POST logout` is: by fetch metadata, else `Origin`, else `Referer`. There is no token in the form:
//! a page that could read one could also act.

use super::answer::{json, noted, redirect};
use super::moment::rfc3339;
use super::pages::extra::{Extra, Row};
use super::pages::{Kind, Link, Page};
use super::visit::{Note, Visit};
use super::{Desk, agent, app_logout, envelope, error, landing, turned_away, words};
use crate::domain::csrf::{self, CsrfMode};
use crate::domain::path::CanonicalPath;
use crate::domain::policy::WhySignIn;
use crate::domain::request::RequestKind;
use crate::domain::session::{LiveSession, Standing, Ticket};
use crate::gateway::GatewayError;
use crate::gateway::own::{EndedOwn, OwnSession, OwnSessions};
use actix_session::Session;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use url::form_urlencoded;

const ROUTE: &str = "sessions";

/// What a script gets.
#[derive(Serialize)]
struct List<'l> {
    sessions: Vec<Line<'l>>,
    /// There are more than are shown.
    more: bool,
}

#[derive(Serialize)]
struct Line<'l> {
    handle: &'l str,
    current: bool,
    started: String,
    last_seen: String,
    ends: String,
    address: &'l str,
    user_agent: &'l str,
    provider: &'l str,
}

/// What a script learns of an ending.
#[derive(Serialize)]
struct Ended<'e> {
    handle: &'e str,
    /// Whether the session that asked is over: then nobody is signed in here any more.
    current: bool,
}

/// `GET sessions`.
pub async fn list(ticket: Option<Ticket>, visit: &Visit, desk: &Desk) -> HttpResponse {
    if landing::may_have_stayed(ticket.is_some(), visit, desk) {
        return landing::send(ROUTE, visit, desk);
    }
    let now = desk.gateway.clock.now();
    let live = match desk.gateway.standing(ticket.as_ref(), now).await {
        Ok(Standing::Live(live)) => live,
        Ok(Standing::Anonymous) => return nobody(WhySignIn::NoSession, visit, desk),
        Ok(Standing::Over(why)) => return nobody(WhySignIn::Over(why), visit, desk),
        Err(error) => return failed(&error, visit, desk),
    };
    if let Err(refusal) = csrf::judge(&visit.facts, CsrfMode::FetchMetadata) {
        return error::csrf(&refusal).respond(&desk.pages, &visit.voice, ROUTE, None);
    }
    if !is_quiet(visit) {
        desk.gateway.seen(&live, now).await;
    }
    let own = match desk.gateway.own_sessions(&live, now).await {
        Ok(own) => own,
        Err(error) => return failed(&error, visit, desk),
    };
    let response = if visit.voice.wants_page { page(&own, &live, visit, desk) } else { script(&own) };
    noted(response, note("shown", &live, desk))
}

/// `DELETE sessions/<handle>` and `POST sessions/<handle>`.
pub async fn end(
    handle: &str,
    ticket: Option<Ticket>,
    session: &Session,
    visit: &Visit,
    desk: &Desk,
) -> HttpResponse {
    if let Err(refusal) = csrf::judge(&visit.facts, CsrfMode::FetchMetadata) {
        return error::csrf(&refusal).respond(&desk.pages, &visit.voice, ROUTE, None);
    }
    let now = desk.gateway.clock.now();
    let live = match desk.gateway.standing(ticket.as_ref(), now).await {
        Ok(Standing::Live(live)) => live,
        // The page was left open for too long: what it shows is to be seen again first.
        Ok(Standing::Anonymous | Standing::Over(_)) if visit.voice.wants_page => return to_list(desk),
        Ok(Standing::Anonymous) => return turned_away::challenge(WhySignIn::NoSession, ROUTE, visit, desk),
        Ok(Standing::Over(why)) => return turned_away::challenge(WhySignIn::Over(why), ROUTE, visit, desk),
        Err(error) => return failed(&error, visit, desk),
    };
    match carry_out(handle, &live, desk).await {
        Ok(EndedOwn::Current) => {
            envelope::clear(session);
            let response = ended(handle, true, visit, desk);
            app_logout::forget_apps(noted(response, note("signed-out", &live, desk)), visit, desk)
        }
        Ok(EndedOwn::Other) => noted(ended(handle, false, visit, desk), note("ended", &live, desk)),
        Ok(EndedOwn::NotThere) => {
            let fault = error::no_such_session(path(desk));
            fault.respond(&desk.pages, &visit.voice, ROUTE, None)
        }
        // Not ended: no cookie goes, and nobody is told otherwise (R82).
        Err(error) => failed(&error, visit, desk),
    }
}

/// The path of the list.
pub fn path(desk: &Desk) -> String {
    format!("{}/sessions", desk.gateway.prefix.as_str())
}

/// Whether this is the list, which is a page like any other: a sign-in may lead back to it.
pub fn is_list(candidate: &CanonicalPath, desk: &Desk) -> bool {
    candidate.as_str().strip_prefix(desk.gateway.prefix.as_str()) == Some("/sessions")
}

async fn carry_out(handle: &str, live: &LiveSession, desk: &Desk) -> Result<EndedOwn, GatewayError> {
    let now = desk.gateway.clock.now();
    let (gateway, live, handle) = (Arc::clone(&desk.gateway), live.clone(), handle.to_owned());
    // Once begun it is finished, with its line in the log, even if the browser is gone.
    let ending = async move { gateway.end_own(&live, &handle, now).await };
    actix_web::rt::spawn(ending).await.unwrap_or(Err(GatewayError::TaskLost))
}

fn ended(handle: &str, current: bool, visit: &Visit, desk: &Desk) -> HttpResponse {
    match (visit.voice.wants_page, current) {
        (true, true) => {
            redirect(StatusCode::SEE_OTHER, &format!("{}/signed-out", desk.gateway.prefix.as_str()))
        }
        (true, false) => to_list(desk),
        (false, _) => json(StatusCode::OK, "application/json", &Ended { handle, current }),
    }
}

fn to_list(desk: &Desk) -> HttpResponse {
    redirect(StatusCode::SEE_OTHER, &path(desk))
}

/// A person is led to the sign-in and back, a script gets the 401 (R67).
fn nobody(why: WhySignIn, visit: &Visit, desk: &Desk) -> HttpResponse {
    if visit.facts.kind != RequestKind::Navigation || !visit.voice.wants_page {
        return turned_away::challenge(why, ROUTE, visit, desk);
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("return_to", &path(desk));
    let login = format!("{}/login?{}", desk.gateway.prefix.as_str(), query.finish());
    let note = Note { route: ROUTE.into(), outcome: "to-login", cause: why.code().into(), user: None };
    noted(redirect(StatusCode::FOUND, &login), note)
}

fn failed(error: &GatewayError, visit: &Visit, desk: &Desk) -> HttpResponse {
    error::gateway(error).respond(&desk.pages, &visit.voice, ROUTE, None)
}

fn is_quiet(visit: &Visit) -> bool {
    let query = visit.facts.query.as_deref().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "slide" && value == "false")
}

fn note(outcome: &'static str, live: &LiveSession, desk: &Desk) -> Note {
    let identity = &live.session.identity;
    let user = desk.gateway.keys.log_name(identity.issuer.as_str(), identity.subject.as_str());
    Note { route: ROUTE.into(), outcome, user: Some(user), ..Note::default() }
}

fn script(own: &OwnSessions) -> HttpResponse {
    let list = List { sessions: own.sessions.iter().map(line).collect(), more: own.more };
    json(StatusCode::OK, "application/json", &list)
}

fn line(one: &OwnSession) -> Line<'_> {
    let summary = &one.summary;
    Line {
        handle: &one.handle,
        current: one.current,
        started: rfc3339(summary.started),
        last_seen: rfc3339(one.last_seen),
        ends: rfc3339(one.ends),
        address: &summary.place.address,
        user_agent: &summary.place.user_agent,
        provider: summary.provider.as_str(),
    }
}

fn page(own: &OwnSessions, live: &LiveSession, visit: &Visit, desk: &Desk) -> HttpResponse {
    let identity = &live.session.identity;
    let account = identity.name.as_deref().or(identity.email.as_deref()).unwrap_or(&identity.user_id);
    let rows: Vec<Row> = own
        .sessions
        .iter()
        .map(|one| Row {
            action: format!("{}/{}", path(desk), one.handle),
            browser: agent::name(&one.summary.place.user_agent),
            current: one.current,
            started: one.summary.started,
            last_seen: one.last_seen,
            address: one.summary.place.address.clone(),
            provider: one.summary.provider.as_str().to_owned(),
        })
        .collect();
    let page = Page {
        kind: Kind::Sessions,
        wording: words::SESSIONS,
        button: None,
        link: Some(Link { href: "/", label: words::FRONT_PAGE }),
        account: Some(account),
        correlation_id: None,
    };
    let extra = Extra::Sessions { rows: &rows, more: own.more };
    desk.pages.page_with(StatusCode::OK, &page, Some(&extra), visit.voice.language)
}
