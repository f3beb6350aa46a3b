//! The door as the benches measure it: every layer that a request passes, up to where an app would be called.
//!
//! I own: [`application`], which nobody serves. I may call: `envelope`, `visit`, the gateway. I never forward: whoever
//! is admitted gets an empty answer.

use super::current::Current;
use super::visit::Visit;
use super::{Desk, Layers, envelope, layers};
use crate::gateway::Outcome;
use actix_session::Session;
use actix_web::http::StatusCode;
use actix_web::{App, HttpMessage as _, HttpRequest, HttpResponse, web};
use std::sync::Arc;

/// [`super::application`] without its apps: 204 for whoever would be forwarded, 403 for everybody else.
pub fn application(current: web::Data<Current>) -> App<impl Layers> {
    layers(current, web::to(stop_short))
}

/// What `dispatch` and `proxy::forward` do until there is a permit.
async fn stop_short(request: HttpRequest, session: Session) -> HttpResponse {
    let (Some(desk), Some(visit)) =
        (request.extensions().get::<Arc<Desk>>().cloned(), request.extensions().get::<Visit>().cloned())
    else {
        return HttpResponse::InternalServerError().finish();
    };
    if super::endpoint(&desk, &visit).is_some() {
        return HttpResponse::Forbidden().finish();
    }
    if visit.unproved.is_some() || envelope::unopened(&session, request.headers()).is_some() {
        return HttpResponse::Forbidden().finish();
    }
    let ticket = envelope::ticket(&session);
    let verdict = desk.gateway.admit(&visit.facts, ticket.as_ref()).await;
    let admitted = verdict.is_ok_and(|verdict| matches!(verdict.outcome, Outcome::Forward(_)));
    HttpResponse::new(if admitted { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN })
}
