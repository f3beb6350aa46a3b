//! `GET login` and `GET callback`.
//!
//! I own: the parameters of a sign-in and the responses of both endpoints. I may call: `domain`, `gateway`.
//! I never redirect anywhere but to the provider or to a same-origin path (R12), and never repeat a parameter.

use super::answer::{Fault, Way, noted, redirect};
use super::visit::{Note, Visit};
use super::{Desk, envelope, error, keep, landing, sessions};
use crate::domain::identity::ProviderId;
use crate::domain::login::{CallbackParams, LoginRefusal, Requested};
use crate::domain::request::{FetchSite, RequestFacts, RequestKind};
use crate::domain::return_to::ReturnTo;
use crate::domain::session::Ticket;
use crate::gateway::login::{Callback, Held, LoginBegun, LoginEnd, LoginWish};
use actix_session::Session;
use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use http::Method;
use std::borrow::Cow;
use std::sync::Arc;
use url::form_urlencoded;

/// The longest parameter of `login` that is read, in bytes: a return path of ours, percent-encoded twice.
const MAX_PARAMETER: usize = 16 * 1024;

/// The longest `acr_values` that are passed on, in bytes.
const MAX_ACR_VALUES: usize = 256;

/// `GET login`: a navigation that leads to the provider.
pub async fn begin(ticket: Option<Ticket>, visit: &Visit, desk: &Desk) -> HttpResponse {
    let fault = |fault: Fault| fault.respond(&desk.pages, &visit.voice, "login", None);
    if visit.facts.kind != RequestKind::Navigation {
        return fault(error::not_a_navigation());
    }
    let Some(mut wish) = wish(visit) else {
        return fault(error::bad_login_request());
    };
    // Whoever is signed in must not be moved to an account or a provider of another site's choosing (R69).
    let foreign = matches!(visit.facts.site, FetchSite::CrossSite | FetchSite::SameSite);
    if foreign && ticket.is_some() {
        wish = LoginWish { provider: None, prompt: None, login_hint: None, ..wish };
    }
    wish.return_to = within_reach(wish.return_to, visit, desk);
    let held = Held { binding: visit.binding.clone(), ticket };
    match desk.gateway.begin_login(wish, &held).await {
        Ok(begun) => to_provider(begun, "begun", desk),
        Err(error) => fault(error::gateway(&error)),
    }
}

/// A target that no page load of this client may find, whoever signs in, is as good as none (R12).
fn within_reach(return_to: ReturnTo, visit: &Visit, desk: &Desk) -> ReturnTo {
    if keep::is_replay(return_to.path(), desk) || sessions::is_list(return_to.path(), desk) {
        return return_to;
    }
    let page = RequestFacts {
        method: Method::GET,
        path: return_to.path().clone(),
        query: None,
        ..visit.facts.clone()
    };
    match desk.gateway.may_be_visited(&page) {
        true if keep::keeps_fragment(return_to.path(), visit, desk) => return_to,
        true => return_to.without_fragment(),
        false => ReturnTo::root(),
    }
}

/// Reads the wish; `None` when a parameter occurs twice or is not what it should be.
fn wish(visit: &Visit) -> Option<LoginWish> {
    let mut wish = LoginWish {
        origin: Arc::clone(&visit.facts.origin),
        provider: None,
        return_to: ReturnTo::root(),
        prompt: None,
        login_hint: None,
        requested: Requested::default(),
    };
    let mut seen: Vec<Cow<'_, str>> = Vec::new();
    for (name, value) in form_urlencoded::parse(visit.facts.query.as_deref().unwrap_or_default().as_bytes()) {
        // Duende's BFF says returnUrl; people have habits.
        let name = if name == "returnUrl" { Cow::Borrowed("return_to") } else { name };
        if seen.contains(&name) || value.len() > MAX_PARAMETER || value.chars().any(char::is_control) {
            return None;
        }
        match &*name {
            // A target that cannot be trusted costs nobody the login; it leads to the front page (R12).
            "return_to" => wish.return_to = ReturnTo::parse(&value).unwrap_or_else(ReturnTo::root),
            "provider" => wish.provider = Some(value.into_owned()),
            "prompt" => wish.prompt = Some(prompt(&value)?.to_owned()),
            "login_hint" => wish.login_hint = Some(value.into_owned()),
            "max_age" => wish.requested.max_age = Some(value.parse().ok()?),
            // Sealed into `state`, which has to stay short.
            "acr_values" if value.len() > MAX_ACR_VALUES => return None,
            "acr_values" => wish.requested.acr_values = value.split_whitespace().map(str::to_owned).collect(),
            _ => {}
        }
        seen.push(name);
    }
    Some(wish)
}

/// The values that OpenID Connect Core section 3.1.2.1 registers, and `create`.
fn prompt(value: &str) -> Option<&str> {
    matches!(value, "none" | "login" | "consent" | "select_account" | "create").then_some(value)
}

fn to_provider(begun: LoginBegun, outcome: &'static str, desk: &Desk) -> HttpResponse {
    let mut response = redirect(StatusCode::FOUND, begun.url.as_str());
    let line = begun.new_binding.map(|binding| desk.cookies.set_binding(&binding));
    if let Some(line) = line.and_then(|line| header::HeaderValue::from_str(&line).ok()) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    noted(response, Note { route: "login".into(), outcome, ..Note::default() })
}

/// `GET callback`: the provider's answer.
pub async fn complete(
    provider: Option<ProviderId>,
    session: &Session,
    visit: &Visit,
    desk: &Desk,
) -> HttpResponse {
    let query = visit.facts.query.as_deref().unwrap_or_default();
    let params = match CallbackParams::read(form_urlencoded::parse(query.as_bytes())) {
        Ok(params) => params,
        Err(refusal) => return failed(&refusal, None, visit, desk),
    };
    let callback = Callback {
        origin: Arc::clone(&visit.facts.origin),
        provider,
        params,
        held: Held { binding: visit.binding.clone(), ticket: envelope::ticket(session) },
        place: visit.place(),
    };
    let there = |return_to: &ReturnTo, outcome| {
        // The provider led the browser here: a Strict cookie would stay behind if this were one more redirect (R51).
        let response = match landing::is_strict(desk) {
            true => landing::after_sign_in(return_to.clone(), visit, desk),
            false => redirect(StatusCode::SEE_OTHER, &return_to.to_location()),
        };
        noted(response, Note { route: "callback".into(), outcome, ..Note::default() })
    };
    match desk.gateway.complete_login(callback).await {
        Ok(LoginEnd::SignedIn(ticket, return_to)) => match envelope::put(session, &ticket) {
            Ok(()) => there(&keep::vouched(return_to, &ticket, desk), "signed-in"),
            Err(_) => error::internal("the envelope refused a ticket").respond(
                &desk.pages,
                &visit.voice,
                "callback",
                None,
            ),
        },
        Ok(LoginEnd::Already(return_to)) => there(&return_to, "already-signed-in"),
        Ok(LoginEnd::Again(begun)) => to_provider(begun, "begun-again", desk),
        Ok(LoginEnd::Failed(refusal, return_to)) => failed(&refusal, return_to.as_ref(), visit, desk),
        Err(error) => {
            // The answer of the provider is used up: what helps is another sign-in.
            let fault = Fault { way: Way::SignIn(sign_in(desk)), ..error::gateway(&error) };
            fault.respond(&desk.pages, &visit.voice, "callback", None)
        }
    }
}

/// The page after a failed login: what happened in plain words, and a way to try again that the person must take
/// themselves, so that nothing loops (R10).
fn failed(refusal: &LoginRefusal, return_to: Option<&ReturnTo>, visit: &Visit, desk: &Desk) -> HttpResponse {
    let again = return_to.map_or_else(
        || sign_in(desk),
        |target| {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("return_to", &target.to_location())
                .finish();
            format!("{}?{query}", sign_in(desk))
        },
    );
    let fault = Fault { way: Way::SignIn(again), ..error::login(refusal) };
    fault.respond(&desk.pages, &visit.voice, "callback", None)
}

fn sign_in(desk: &Desk) -> String {
    format!("{}/login", desk.gateway.prefix.as_str())
}
