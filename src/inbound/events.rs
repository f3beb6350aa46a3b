//! `GET events`: what happens to the session, for every open tab.
//!
//! I own: the event stream that says when a session is about to end, that it goes on after all, and that it has ended. I
//! may call: `gateway`, `user` (for the form of times). I never count as use of the session, and I tell nobody but its own
//! pages: the request is judged as one for `user` is.

use super::answer::noted;
use super::moment::rfc3339;
use super::visit::{Note, Visit};
use super::{Desk, error, turned_away};
use crate::domain::csrf::{self, CsrfMode};
use crate::domain::policy::WhySignIn;
use crate::domain::session::{Standing, Ticket};
use crate::domain::time::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::live::Vigil;
use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// How long before its end a session counts as expiring: time enough to notice and to click.
const WARNING: Duration = Duration::from_secs(120);

/// How often something is said so that nobody in between takes the stream for dead (WHATWG HTML, server-sent events:
/// "around every 15 seconds or so").
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The stream, or the 401 that every script gets.
pub async fn show(ticket: Option<Ticket>, visit: &Visit, desk: &Desk) -> HttpResponse {
    let gateway = &desk.gateway;
    // Before the record is read, so that no ending falls between the two.
    let place = ticket.as_ref().map(|ticket| gateway.place(ticket));
    let live = match gateway.standing(ticket.as_ref(), gateway.clock.now()).await {
        Ok(Standing::Live(live)) => live,
        Ok(Standing::Anonymous) => {
            return turned_away::challenge(WhySignIn::NoSession, "events", visit, desk);
        }
        Ok(Standing::Over(why)) => {
            return turned_away::challenge(WhySignIn::Over(why), "events", visit, desk);
        }
        Err(error) => return error::gateway(&error).respond(&desk.pages, &visit.voice, "events", None),
    };
    if let Err(refusal) = csrf::judge(&visit.facts, CsrfMode::FetchMetadata) {
        return error::csrf(&refusal).respond(&desk.pages, &visit.voice, "events", None);
    }
    let (Some(place), Some(ticket)) = (place, ticket) else {
        return turned_away::challenge(WhySignIn::NoSession, "events", visit, desk);
    };
    let identity = &live.session.identity;
    let user = gateway.keys.log_name(identity.issuer.as_str(), identity.subject.as_str());
    let vigil = Vigil::new(Arc::clone(gateway), place, ticket, live);
    let teller = Teller { gateway: Arc::clone(gateway), vigil, told: Told::Nothing, announced: None };
    let response = HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would keep it back otherwise.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(stream::unfold(teller, Teller::next));
    noted(response, Note { route: "events".into(), outcome: "shown", user: Some(user), ..Note::default() })
}

/// Tells one tab.
struct Teller {
    gateway: Arc<Gateway>,
    vigil: Vigil,
    told: Told,
    /// The end that was announced last.
    announced: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Session,
    Expiring,
    Ended,
}

impl Teller {
    /// The next event; `None` when the last one has been told, or when the gateway stops: then the page asks again.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let text = loop {
            if self.told == Told::Ended {
                return None;
            }
            if let Some(text) = self.due() {
                break text;
            }
            let warn_at = (self.told == Told::Session).then(|| self.vigil.ends().minus(WARNING));
            let live = Arc::clone(&self.gateway.live);
            let over = tokio::select! {
                over = self.vigil.turn(warn_at) => over,
                () = live.closing() => return None,
                () = tokio::time::sleep(HEARTBEAT) => break ":\n\n".to_owned(),
            };
            if let Some(reason) = over {
                self.told = Told::Ended;
                break format!("event: ended\ndata: {}\n\n", json!({ "reason": reason }));
            }
        };
        Some((Ok(Bytes::from(text)), self))
    }

    /// What has not been told yet.
    fn due(&mut self) -> Option<String> {
        let ends = self.vigil.ends();
        let expiring = self.gateway.clock.now() >= ends.minus(WARNING);
        let (event, told) = if expiring { ("expiring", Told::Expiring) } else { ("session", Told::Session) };
        // While a session is used its end moves all the time; that is told only to whoever was warned.
        if self.told == told && (told == Told::Session || self.announced == Some(ends)) {
            return None;
        }
        self.told = told;
        self.announced = Some(ends);
        let live = self.vigil.session();
        let limits = &self.gateway.limits;
        let lifetime = live.session.ends.min(live.session.started.plus(limits.lifetime));
        let data = json!({ "idle_until": rfc3339(ends), "ends": rfc3339(lifetime) });
        Some(format!("retry: 1000\nevent: {event}\ndata: {data}\n\n"))
    }
}
