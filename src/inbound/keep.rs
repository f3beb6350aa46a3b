//! What browsers lose on their way through a sign-in: the fragment of an address, and a form that was being sent.
//!
//! I own: the pages in between, `GET replay` and `POST replay`. I may call: `domain`, `gateway`, `pages`. I never keep
//! anything on the server, never keep what a page of another origin has sent, never show or log a value of a form, and
//! never send one again by myself: that takes a press of a button.
//!
//! A form goes: sealed into a page, by its script into the storage of that one tab, through the sign-in, out again by
//! `GET replay`, to `POST replay`, which opens it once, and from the page that this gives to where it was to go. Only
//! the session that the sign-in has made gets a pass for it ([`vouched`]), only the same browser can open it.

use super::answer::{Fault, noted};
use super::pages::extra::{Extra, Form, Step};
use super::pages::{Kind, Link, Page};
use super::visit::{Note, Visit};
use super::words::{self, Wording};
use super::{Desk, app_logout, error, facts, turned_away, unread};
use crate::domain::csrf::{self, CsrfMode};
use crate::domain::keep::{FORM_TIMEOUT, KeptForm, NotKept, judge};
use crate::domain::legacy::AppLogout;
use crate::domain::path::CanonicalPath;
use crate::domain::policy::Refusal;
use crate::domain::request::FetchSite;
use crate::domain::return_to::ReturnTo;
use crate::domain::route::Route;
use crate::domain::session::{Session, Ticket};
use crate::gateway::keep::{Lost, NAME_LENGTH, Replay};
use crate::gateway::login::Held;
use crate::gateway::{Outcome, Verdict};
use crate::upstream::UpstreamError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use http::Method;
use std::time::Duration;
use url::form_urlencoded;

const PLAIN: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

/// How long a form may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a sealed form has besides its bytes: target, origin, time, seal.
const AROUND: usize = 4096;

/// Instead of the redirect to `login`, where the route keeps fragments: a page whose script takes the fragment along.
pub fn fragment(login: &str, route: Option<&Route>, visit: &Visit, desk: &Desk) -> Option<HttpResponse> {
    let route = route.filter(|route| route.keep.fragment)?;
    // Only what is shown in a window has a fragment.
    if visit.facts.method != Method::GET || !visit.facts.to_document {
        return None;
    }
    let page =
        Sheet { kind: Kind::Keep, wording: words::LANDING, link: Link { href: login, label: words::GO_ON } };
    let response = page.show(&Extra::Step(Step::Fragment(login)), visit, desk);
    let note = Note { route: route.name.clone(), outcome: "fragment-kept", ..Note::default() };
    Some(noted(response, note))
}

/// On from the landing page, where the route keeps fragments: a redirect by header would lose this one.
pub fn land(target: &ReturnTo, visit: &Visit, desk: &Desk) -> HttpResponse {
    let to = target.without_fragment().to_location();
    let link = Link { href: &to, label: words::GO_ON };
    Sheet { kind: Kind::Landing, wording: words::LANDING, link }.show(
        &Extra::Step(Step::Land(&to)),
        visit,
        desk,
    )
}

/// Whether a page load of this address keeps its fragment.
pub fn keeps_fragment(path: &CanonicalPath, visit: &Visit, desk: &Desk) -> bool {
    let route = desk.gateway.routes.find(&visit.facts.origin, path);
    route.is_some_and(|route| route.keep.fragment)
}

/// A request that would get the 401, and what is known around it.
pub struct Unsent<'r> {
    /// The request.
    pub request: &'r HttpRequest,
    /// Its route.
    pub route: Option<&'r Route>,
    /// Its session, where that is in force and something else is missing.
    pub session: Option<&'r Session>,
    /// Makes the address of the sign-in that leads back to a target.
    pub login: &'r dyn Fn(&ReturnTo) -> String,
}

/// Instead of the 401, where the route keeps forms, and this is one that a page of ours sends: a page whose script keeps
/// it, or one that says why it cannot be kept.
pub async fn form(
    unsent: &Unsent<'_>,
    body: &mut web::Payload,
    visit: &Visit,
    desk: &Desk,
) -> Option<HttpResponse> {
    let facts = &visit.facts;
    let (route, bound) = unsent.route.and_then(|route| Some((route, route.keep.form?)))?;
    let in_window = facts.to_document || facts.site == FetchSite::Absent;
    if facts.method != Method::POST || !visit.voice.wants_page || !in_window {
        return None;
    }
    // Nobody signs in to sign out.
    if app_logout::judge(unsent.request, route, visit) != AppLogout::No {
        return None;
    }
    // Another site's form gets nothing, not even a page that says so.
    csrf::judge(facts, CsrfMode::FetchMetadata).ok()?;
    let refused = |fault: Fault| Some(fault.respond(&desk.pages, &visit.voice, &route.name, None));
    match media_type(unsent.request).as_deref() {
        Some(PLAIN) => {}
        Some(MULTIPART) => return refused(error::form_not_kept(NotKept::Multipart)),
        _ => return None,
    }
    // Reading and sealing cost something, for people whom nobody knows.
    if let Err(wait) = desk.throttle.admit("keep", facts.client.sender(), desk.gateway.clock.now()) {
        return refused(error::too_often(wait));
    }
    let declared = facts::one(unsent.request.headers(), "content-length").and_then(|text| text.parse().ok());
    if declared.is_some_and(|length: usize| length > bound) {
        return refused(error::form_not_kept(NotKept::TooLarge));
    }
    let gathered = match gather(body, bound).await {
        Ok(gathered) => gathered,
        Err(Unread::TooLarge) => return refused(error::form_not_kept(NotKept::TooLarge)),
        Err(Unread::Broken(error)) => return refused(error::upstream(&error)),
    };
    let text = match judge(gathered) {
        Ok(text) => text,
        Err(why) => return refused(error::form_not_kept(why)),
    };
    let target = ReturnTo::from_parts(facts.path.clone(), facts.query.as_deref());
    let Some(target) = target.filter(|target| target.query().is_some() == facts.query.is_some()) else {
        return refused(error::form_not_kept(NotKept::TooLarge));
    };
    // A path that only this one route takes (`allow_encoded_slash`) is no way back.
    if ReturnTo::parse(&target.to_location()).as_ref() != Some(&target) {
        return refused(error::form_not_kept(NotKept::Inexact));
    }
    let page = target.without_query();
    match desk.gateway.keep_form(facts, target, text, unsent.session, visit.binding.as_ref()) {
        Ok(kept) => {
            let back = replay_path(desk, &[("form", &kept.id)]);
            let to = (unsent.login)(&back.unwrap_or_else(ReturnTo::root));
            let plain = (unsent.login)(&page);
            let link = Link { href: &plain, label: words::SIGN_IN_WITHOUT_FORM };
            let sheet = Sheet { kind: Kind::Keep, wording: words::KEEPING_FORM, link };
            let step = Step::Put { id: &kept.id, sealed: &kept.sealed, to: &to };
            let mut response = sheet.show(&Extra::Step(step), visit, desk);
            let line = kept.new_binding.map(|binding| desk.cookies.set_binding(&binding));
            if let Some(line) = line.and_then(|line| HeaderValue::from_str(&line).ok()) {
                response.headers_mut().append(header::SET_COOKIE, line);
            }
            let note = Note { route: route.name.clone(), outcome: "form-kept", ..Note::default() };
            Some(noted(response, note))
        }
        Err(error) => refused(error::gateway(&error)),
    }
}

/// Where a sign-in leads: if a form has waited for it, with the pass for the session that it has made.
pub fn vouched(return_to: ReturnTo, ticket: &Ticket, desk: &Desk) -> ReturnTo {
    if !is_replay(return_to.path(), desk) {
        return return_to;
    }
    let Some(id) = parameter(return_to.query(), "form") else { return return_to };
    let pass = desk.gateway.form_pass(&id, ticket);
    replay_path(desk, &[("form", &id), ("pass", &pass)]).unwrap_or(return_to)
}

/// Whether a path is that of the endpoint: no route's rules say who may come back to it.
pub fn is_replay(path: &CanonicalPath, desk: &Desk) -> bool {
    path.as_str().strip_prefix(desk.gateway.prefix.as_str()) == Some("/replay")
}

fn replay_path(desk: &Desk, parameters: &[(&str, &str)]) -> Option<ReturnTo> {
    let path = CanonicalPath::parse(&format!("{}/replay", desk.gateway.prefix.as_str())).ok()?;
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    ReturnTo::from_parts(path, Some(&query))
}

/// A parameter of ours: the name of a form, or a pass.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut found = form_urlencoded::parse(query?.as_bytes()).filter(|(own, _)| own == name);
    let (Some((_, value)), None) = (found.next(), found.next()) else { return None };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (value.len() == NAME_LENGTH && value.bytes().all(plain)).then(|| value.into_owned())
}

/// The largest body of `POST replay`; `None` where no route keeps forms.
fn bound(desk: &Desk) -> Option<usize> {
    let largest = desk.gateway.routes.iter().filter_map(|route| route.keep.form).max()?;
    Some((largest + AROUND).div_ceil(3) * 4 + AROUND)
}

/// `GET replay`: the page that takes the form out of the tab's storage. It shows nothing, so anybody may see it.
pub fn fetch(visit: &Visit, desk: &Desk) -> HttpResponse {
    if bound(desk).is_none() {
        return error::no_such_endpoint().respond(&desk.pages, &visit.voice, "replay", None);
    }
    let query = visit.facts.query.as_deref();
    let (Some(id), Some(pass)) = (parameter(query, "form"), parameter(query, "pass")) else {
        return lost(Lost::OtherSession, visit, desk);
    };
    let to = format!("{}/replay", desk.gateway.prefix.as_str());
    let link = Link { href: "/", label: words::FRONT_PAGE };
    let sheet = Sheet { kind: Kind::Keep, wording: words::FETCHING_FORM, link };
    let response = sheet.show(&Extra::Step(Step::Take { id: &id, pass: &pass, to: &to }), visit, desk);
    noted(response, Note { route: "replay".into(), outcome: "fetched", ..Note::default() })
}

/// `POST replay`: opens the form, once, and asks whether to send it.
pub async fn ask(
    request: &HttpRequest,
    ticket: Option<Ticket>,
    mut body: web::Payload,
    visit: &Visit,
    desk: &Desk,
) -> HttpResponse {
    let response = opened(request, ticket, &mut body, visit, desk).await;
    unread::hold(response, body.into_inner())
}

async fn opened(
    request: &HttpRequest,
    ticket: Option<Ticket>,
    body: &mut web::Payload,
    visit: &Visit,
    desk: &Desk,
) -> HttpResponse {
    let refused = |fault: Fault| fault.respond(&desk.pages, &visit.voice, "replay", None);
    let Some(bound) = bound(desk) else { return refused(error::no_such_endpoint()) };
    if let Err(refusal) = csrf::judge(&visit.facts, CsrfMode::FetchMetadata) {
        return refused(error::csrf(&refusal));
    }
    if media_type(request).as_deref() != Some(PLAIN) {
        return lost(Lost::NotOurs, visit, desk);
    }
    let brought = match gather(body, bound).await {
        Ok(brought) => brought,
        Err(Unread::TooLarge) => return lost(Lost::NotOurs, visit, desk),
        Err(Unread::Broken(error)) => return refused(error::upstream(&error)),
    };
    let field =
        |name: &str| form_urlencoded::parse(&brought).find(|(own, _)| own == name).map(|(_, value)| value);
    let (Some(sealed), Some(pass)) = (field("form"), field("pass")) else {
        return lost(Lost::NotOurs, visit, desk);
    };
    let held = Held { binding: visit.binding.clone(), ticket };
    match desk.gateway.replay(&visit.facts, &sealed, &pass, &held).await {
        Ok(Replay::Ask(form, route)) => confirm(&form, &route, visit, desk),
        Ok(Replay::Lost(why)) => lost(why, visit, desk),
        Ok(Replay::Stopped(verdict)) => stopped(&verdict, visit, desk),
        Err(error) => refused(error::gateway(&error)),
    }
}

/// The page with the form in it. It says where the form goes and what its fields are called.
fn confirm(form: &KeptForm, route: &Route, visit: &Visit, desk: &Desk) -> HttpResponse {
    let action = form.target.to_location();
    let path = format!("POST {}", form.target.path().as_str());
    let link = Link { href: route.prefix.as_str(), label: words::DO_NOT_SEND };
    let sheet = Sheet { kind: Kind::Replay, wording: words::ASK_TO_SEND, link };
    let extra = Extra::Form(Form { action: &action, path: &path, body: &form.body });
    let response = sheet.show(&extra, visit, desk);
    noted(response, Note { route: "replay".into(), outcome: "asked", ..Note::default() })
}

fn lost(why: Lost, visit: &Visit, desk: &Desk) -> HttpResponse {
    error::form_lost(why).respond(&desk.pages, &visit.voice, "replay", None)
}

/// Whoever is here may not send it, or is not signed in any more.
fn stopped(verdict: &Verdict, visit: &Visit, desk: &Desk) -> HttpResponse {
    let fault = match &verdict.outcome {
        Outcome::Refused(Refusal::NotAllowed(denial)) => {
            turned_away::not_allowed(denial, verdict.session.as_deref(), desk)
        }
        Outcome::Refused(Refusal::Csrf(refusal)) => error::csrf(refusal),
        _ => error::form_lost(Lost::OtherSession),
    };
    fault.respond(&desk.pages, &visit.voice, "replay", None)
}

/// A page of this room: words, one way on, and what it is for.
struct Sheet<'p> {
    kind: Kind,
    wording: &'static Wording,
    link: Link<'p>,
}

impl Sheet<'_> {
    fn show(self, extra: &Extra<'_>, visit: &Visit, desk: &Desk) -> HttpResponse {
        let Self { kind, wording, link } = self;
        let page =
            Page { kind, wording, button: None, link: Some(link), account: None, correlation_id: None };
        desk.pages.page_with(StatusCode::OK, &page, Some(extra), visit.voice.language)
    }
}

/// The one media type of a request, in lower case, without parameters.
fn media_type(request: &HttpRequest) -> Option<String> {
    let named = facts::one(request.headers(), "content-type")?;
    Some(named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Why a body was not read to its end.
enum Unread {
    TooLarge,
    Broken(UpstreamError),
}

async fn gather(body: &mut web::Payload, bound: usize) -> Result<Vec<u8>, Unread> {
    let reading = async {
        let mut gathered = Vec::new();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| Unread::Broken(UpstreamError::ClientAborted))?;
            if gathered.len() + piece.len() > bound {
                return Err(Unread::TooLarge);
            }
            gathered.extend_from_slice(&piece);
        }
        Ok(gathered)
    };
    let late = |_| Err(Unread::Broken(UpstreamError::ClientStalled));
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(late)
}

// What the pages say in words.
const _: () = assert!(FORM_TIMEOUT.as_secs() == 600, "the pages say ten minutes");
