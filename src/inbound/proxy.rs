//! The catch-all: every request that is for an app.
//!
//! I own: the rendering of every [`Outcome`]. I may call: `domain`, `gateway`, `call`, `app_logout`, `logout`. I never
//! forward without a permit.

use super::answer::{Fault, noted, redirect};
use super::call::Call;
use super::visit::{Note, Visit};
use super::{Desk, app_logout, cors, envelope, error, keep, landing, logout, turned_away, unread};
use crate::domain::legacy::AppLogout;
use crate::domain::policy::{Refusal, WhySignIn};
use crate::domain::return_to::ReturnTo;
use crate::domain::route::{Access, Route};
use crate::domain::session::Session;
use crate::gateway::Outcome;
use crate::gateway::live::Vigil;
use crate::upstream::Upstreams;
use actix_session::Session as CookieSession;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::Arc;
use url::form_urlencoded;

/// Asks the gateway what shall happen, and lets it happen.
pub async fn forward(
    request: &HttpRequest,
    cookie: &CookieSession,
    mut body: web::Payload,
    visit: &Visit,
    desk: &Desk,
    upstreams: &Upstreams,
) -> HttpResponse {
    let ticket = envelope::ticket(cookie);
    let mut verdict = match desk.gateway.admit(&visit.facts, ticket.as_ref()).await {
        Ok(verdict) => verdict,
        Err(error) => {
            let response = error::gateway(&error).respond(&desk.pages, &visit.voice, "route", None);
            return unread::hold(response, body.into_inner());
        }
    };
    let route = verdict.route.as_ref().map_or("none", |route| route.name.as_str());
    let refused = |fault: Fault| fault.respond(&desk.pages, &visit.voice, route, None);
    let is_preflight = matches!(verdict.outcome, Outcome::Preflight);
    let response = match verdict.outcome {
        Outcome::Login(..) | Outcome::Forward(_)
            if landing::is_due(ticket.is_some(), verdict.route.as_deref(), visit, desk) =>
        {
            landing::send(route, visit, desk)
        }
        Outcome::Forward(permit) => {
            let session = verdict.session.as_deref();
            let told = permit.session().map(|_| app_logout::judge(request, permit.route(), visit));
            let who_is_clear = session.is_some() == told.is_some();
            let mut call = Call { request, permit, payload: body, who_is_clear, vigil: None };
            let response = match told {
                Some(AppLogout::Proven) => match logout::end(ticket, visit, desk).await {
                    Ok(farewell) => {
                        let farewell = logout::gone(&farewell, cookie, visit, desk);
                        // Without a vigil: the session is over already, and the app shall hear of it.
                        let app = call.make(visit, desk, upstreams);
                        app_logout::answer(farewell, app, cookie, visit, desk).await
                    }
                    // Not signed out, and the app is not told so either (R82).
                    Err(error) => {
                        let fault = error::gateway(&error);
                        let response = fault.respond(&desk.pages, &visit.voice, route, None);
                        unread::hold(response, call.payload.into_inner())
                    }
                },
                Some(AppLogout::Unproven) => {
                    unread::hold(app_logout::ask(route, desk), call.payload.into_inner())
                }
                Some(AppLogout::No) | None => {
                    call.vigil = match (verdict.subscription.take(), call.permit.live(), ticket) {
                        (Some(place), Some(live), Some(ticket)) => {
                            Some(Vigil::new(Arc::clone(&desk.gateway), place, ticket, live.clone()))
                        }
                        _ => None,
                    };
                    call.make(visit, desk, upstreams).await
                }
            };
            let mut response = response;
            cors::mark(&mut response, verdict.route.as_deref(), &visit.facts);
            frame(&mut response, verdict.route.as_deref(), desk);
            return signed(response, session, desk);
        }
        Outcome::Login(return_to, why) => {
            let found = verdict.route.as_deref();
            let told = found.map_or(AppLogout::No, |found| app_logout::judge(request, found, visit));
            match (told, &verdict.session) {
                (AppLogout::No, _) => {
                    let login = login_url(&return_to, why, found, desk);
                    let kept = keep::fragment(&login, found, visit, desk);
                    let response = kept.unwrap_or_else(|| to_login(&login, why, route));
                    app_logout::forgetting(response, why, found, visit, desk)
                }
                // Nobody signs in to sign out.
                (_, None) => logout::to_signed_out(cookie, visit, desk),
                (AppLogout::Unproven, Some(_)) => app_logout::ask(route, desk),
                (AppLogout::Proven, Some(_)) => logout::sign_out(ticket, cookie, visit, desk).await,
            }
        }
        Outcome::Challenge(why) => {
            let (found, session) = (verdict.route.as_deref(), verdict.session.as_deref());
            let login = |back: &ReturnTo| login_url(back, why, found, desk);
            let unsent = keep::Unsent { request, route: found, session, login: &login };
            let kept = keep::form(&unsent, &mut body, visit, desk).await;
            let response = kept.unwrap_or_else(|| turned_away::challenge(why, route, visit, desk));
            app_logout::forgetting(response, why, found, visit, desk)
        }
        Outcome::Preflight => cors::preflight(verdict.route.as_deref(), &visit.facts),
        Outcome::Refused(Refusal::Csrf(refusal)) => refused(error::csrf(&refusal)),
        Outcome::Refused(Refusal::NotAllowed(denial)) => {
            refused(turned_away::not_allowed(&denial, verdict.session.as_deref(), desk))
        }
        Outcome::Refused(Refusal::NoWebSockets) => refused(error::no_websockets()),
        Outcome::Refused(Refusal::TokensExpireAtOnce) => refused(error::tokens_expire_at_once()),
        Outcome::NoRoute => refused(error::no_route()),
    };
    let mut response = unread::hold(response, body.into_inner());
    if !is_preflight {
        cors::mark(&mut response, verdict.route.as_deref(), &visit.facts);
    }
    signed(response, verdict.session.as_deref(), desk)
}

/// Adds to the note of a response who was there.
fn signed(mut response: HttpResponse, session: Option<&Session>, desk: &Desk) -> HttpResponse {
    if let (Some(session), Some(note)) = (session, response.extensions_mut().get_mut::<Note>()) {
        let identity = &session.identity;
        note.user = Some(desk.gateway.keys.log_name(identity.issuer.as_str(), identity.subject.as_str()));
    }
    response
}

/// Our sign-in, on the way back to a target.
fn login_url(return_to: &ReturnTo, why: WhySignIn, route: Option<&Route>, desk: &Desk) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("return_to", &return_to.to_location());
    if let Some(provider) = route.and_then(|route| route.providers.first()) {
        query.append_pair("provider", provider.as_str());
    }
    if why == WhySignIn::NotAllowed {
        // The same account once more would be of no use, unless it was given something meanwhile.
        query.append_pair("prompt", "select_account");
    }
    format!("{}/login?{}", desk.gateway.prefix.as_str(), query.finish())
}

fn to_login(login: &str, why: WhySignIn, route: &str) -> HttpResponse {
    let note = Note { route: route.to_owned(), outcome: "to-login", cause: why.code().into(), user: None };
    noted(redirect(StatusCode::FOUND, login), note)
}

/// Where apps may be framed, a guarded page says by whom: the cookie comes along in frames, and with it the person
/// whom a foreign page could make click. A list beside the app's own only narrows (CSP3 section 8.1).
fn frame(response: &mut HttpResponse, route: Option<&Route>, desk: &Desk) {
    if route.is_some_and(|route| route.access != Access::Public)
        && let Some(ancestors) = desk.pages.ancestors()
    {
        response.headers_mut().append(header::CONTENT_SECURITY_POLICY, ancestors.clone());
    }
}
