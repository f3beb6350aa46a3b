//! `GET frontchannel-logout`: the provider's sign-out page loads it in a frame (OpenID Connect Front-Channel Logout 1.0).
//!
//! I own: the two parameters, and the one answer. I may call: `gateway`. I never look at a cookie or at where a request
//! comes from: in a frame of somebody else there are no cookies, and `sid` is all the proof there is (R87). Nor do I say
//! whether there was a session, and I neither set nor remove anything in the browser.

use super::answer::noted;
use super::harden::harden;
use super::visit::{Note, Visit};
use super::{Desk, error};
use crate::domain::identity::{Issuer, ProviderId};
use crate::gateway::GatewayError;
use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use std::sync::Arc;
use url::{Url, form_urlencoded};

const ROUTE: &str = "frontchannel-logout";

/// Nobody reads it: the frame is not shown.
const PAGE: &str = "<!doctype html><title>Sign-out</title>";

/// `GET frontchannel-logout` and `GET frontchannel-logout/<provider>`.
pub async fn hear(named: Option<ProviderId>, visit: &Visit, desk: &Desk) -> HttpResponse {
    let Some(provider) = desk.gateway.addressed(named.as_ref()) else {
        return answer(None, "no-such-provider");
    };
    let issuer = provider.issuer();
    let outcome = match read_pair(visit.facts.query.as_deref().unwrap_or_default()) {
        None => "no-pair",
        Some((iss, _)) if iss != issuer.as_str() => "other-issuer",
        Some((_, sid)) => match carry_out(issuer.clone(), sid, desk).await {
            Ok(0) => "nobody",
            Ok(_) => "ended",
            Err(error) => return error::gateway(&error).respond(&desk.pages, &visit.voice, ROUTE, None),
        },
    };
    answer(Some(issuer), outcome)
}

/// `iss` and `sid`. Section 3 lets a provider leave out both; without them the cookie would have to say who is meant.
fn read_pair(query: &str) -> Option<(String, String)> {
    let only = |wanted: &str| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value.into_owned()),
            _ => None,
        }
    };
    Some((only("iss")?, only("sid")?))
}

async fn carry_out(issuer: Issuer, sid: String, desk: &Desk) -> Result<usize, GatewayError> {
    let gateway = Arc::clone(&desk.gateway);
    // Once begun it is finished, even if the provider's page has gone on.
    let hearing = async move { gateway.hear_frame(&issuer, &sid).await };
    actix_web::rt::spawn(hearing).await.unwrap_or(Err(GatewayError::TaskLost))
}

/// The same to everybody, whatever there was to end.
fn answer(issuer: Option<&Issuer>, outcome: &'static str) -> HttpResponse {
    let mut response = HttpResponse::Ok().content_type("text/html; charset=utf-8").body(PAGE);
    harden(&mut response);
    let headers = response.headers_mut();
    let parent = issuer.and_then(origin).unwrap_or_else(|| "'none'".to_owned());
    let policy = format!("default-src 'none'; base-uri 'none'; frame-ancestors {parent}");
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        // It knows no origins; `frame-ancestors` does.
        headers.remove(header::X_FRAME_OPTIONS);
    }
    noted(response, Note { route: ROUTE.into(), outcome, ..Note::default() })
}

/// Whose pages may frame us.
fn origin(issuer: &Issuer) -> Option<String> {
    let origin = Url::parse(issuer.as_str()).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r87_a27_both_parameters_exactly_once() {
        let pair = |iss: &str, sid: &str| Some((iss.to_owned(), sid.to_owned()));
        assert_eq!(read_pair("iss=https%3A%2F%2Fa.test&x=1&sid=s+t"), pair("https://a.test", "s t"));
        for query in ["", "iss=a", "sid=s", "iss=a&sid=s&sid=s", "iss=a&iss=a&sid=s", "ISS=a&sid=s"] {
            assert_eq!(read_pair(query), None, "{query}");
        }
    }

    #[test]
    fn r87_the_origin_of_an_issuer_with_a_path() {
        let of = |text: &str| origin(&Issuer::new(text));
        assert_eq!(of("https://idp.test/realms/a").as_deref(), Some("https://idp.test"));
        assert_eq!(of("https://idp.test:8443/").as_deref(), Some("https://idp.test:8443"));
        assert_eq!((of("urn:idp"), of("nonsense")), (None, None));
    }
}
