//! The one table: every error, and what a stranger hears of it.
//!
//! I own: status, title and text of each refusal. I may call: `domain`, `gateway`, `upstream`, for their error types.
//! I never tell a stranger the cause of a 5xx, never have a `_` arm over an error, and never put a secret in a cause.

use super::answer::Fault;
use super::facts::BadRequest;
use crate::domain::csrf::CsrfRefusal;
use crate::domain::login::LoginRefusal;
use crate::domain::policy::WhySignIn;
use crate::gateway::GatewayError;
use crate::ports::ProviderError;
use crate::upstream::UpstreamError;
use actix_web::http::StatusCode;

const LATER: &str = "Please try again in a moment. If it goes on, tell the people who run this service.";

fn fault(status: StatusCode, code: &'static str, title: &'static str, text: &'static str) -> Fault {
    Fault { status, code, title, text, retry_after: None, allow: None, cause: String::new() }
}

fn unavailable(code: &'static str, title: &'static str, cause: String) -> Fault {
    Fault { retry_after: Some(5), cause, ..fault(StatusCode::SERVICE_UNAVAILABLE, code, title, LATER) }
}

/// What is wrong with a request before anybody asks whose it is.
pub fn bad_request(bad: &BadRequest) -> Fault {
    let text = "The address or the form of this request is not acceptable here.";
    let fault = match bad {
        BadRequest::Host | BadRequest::Path(_) | BadRequest::Query => {
            fault(StatusCode::BAD_REQUEST, "bad-request", "Bad request", text)
        }
        BadRequest::Misdirected => fault(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            "Unknown host",
            "This host name is not served here. Check `public_url` if you run this service.",
        ),
        BadRequest::Method => fault(StatusCode::METHOD_NOT_ALLOWED, "method", "Method not allowed", text),
    };
    Fault { cause: bad.to_string(), ..fault }
}

/// Two cookies of one name, of which one is not ours (R54).
pub fn planted() -> Fault {
    let text = "Your browser sent one of our cookies twice. It has been removed; please load the page again.";
    fault(StatusCode::BAD_REQUEST, "duplicate-cookie", "Duplicate cookie", text)
}

/// A connection without an address.
pub fn no_peer() -> Fault {
    fault(StatusCode::BAD_REQUEST, "bad-request", "Bad request", LATER)
}

/// Under the prefix, but nothing of ours.
pub fn no_such_endpoint() -> Fault {
    fault(StatusCode::NOT_FOUND, "not-found", "Not found", "There is nothing at this address.")
}

/// No route leads there.
pub fn no_route() -> Fault {
    Fault { code: "no-route", ..no_such_endpoint() }
}

/// A method that an endpoint does not have.
pub fn method(allowed: &'static str) -> Fault {
    let title = "Method not allowed";
    let fault = fault(StatusCode::METHOD_NOT_ALLOWED, "method", title, "This address is not used that way.");
    Fault { allow: Some(allowed), ..fault }
}

/// At the operators' door, without its token or with another one: one answer for both.
pub fn no_admin_token() -> Fault {
    fault(StatusCode::UNAUTHORIZED, "unauthorized", "Not authorised", "")
}

/// At the operators' door, with parameters that do not say exactly which sessions are meant.
pub fn bad_admin_request() -> Fault {
    let text = "Name the sessions by exactly one of `user=…`, `handle=…` and `all=true`; a list also takes none of them, \
                and `limit=1…1000` and `cursor=…`.";
    fault(StatusCode::BAD_REQUEST, "bad-admin-request", "Unclear which sessions are meant", text)
}

/// `GET login` by a script.
pub fn not_a_navigation() -> Fault {
    let text = "Signing in is a navigation: send the browser to this address instead of fetching it.";
    fault(StatusCode::BAD_REQUEST, "not-a-navigation", "Signing in is a navigation", text)
}

/// `GET login` with parameters that are not acceptable.
pub fn bad_login_request() -> Fault {
    let text = "The link that led here is damaged. Please go back and try again.";
    fault(StatusCode::BAD_REQUEST, "bad-login-request", "This link is damaged", text)
}

/// The one 401 (R67): its body is the same wherever it comes from.
pub fn sign_in_required(why: WhySignIn) -> Fault {
    let fault = fault(StatusCode::UNAUTHORIZED, "sign-in-required", "Sign-in required", "");
    Fault { cause: why.code().to_owned(), ..fault }
}

/// The person may not go there.
pub fn missing_role() -> Fault {
    let text = "You are signed in, but your account is not allowed to open this page.";
    fault(StatusCode::FORBIDDEN, "forbidden", "Not allowed", text)
}

/// Tokens that have expired by the time they arrive.
pub fn tokens_expire_at_once() -> Fault {
    let title = "The identity provider's tokens have expired already";
    fault(StatusCode::BAD_GATEWAY, "tokens-expire-at-once", title, LATER)
}

/// A request that may be forged.
pub fn csrf(refusal: &CsrfRefusal) -> Fault {
    let text = match refusal {
        CsrfRefusal::ForeignOrigin => {
            "This request seems to come from another site. Open the page itself and try again there."
        }
        CsrfRefusal::NoEvidence => {
            "Nothing in this request says where it came from. A program that is no browser may send `X-CSRF: 1`."
        }
        CsrfRefusal::NoHeader => "Requests that are not navigations need the header `X-CSRF: 1` here.",
    };
    let fault = fault(StatusCode::FORBIDDEN, "csrf", "Refused: possible cross-site request", text);
    Fault { cause: refusal.to_string(), ..fault }
}

/// Something that cannot happen did.
pub fn internal(cause: &str) -> Fault {
    let title = "Something went wrong";
    Fault { cause: cause.to_owned(), ..fault(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, LATER) }
}

/// A callback that leads to no session.
pub fn login(refusal: &LoginRefusal) -> Fault {
    let bad = |code, title, text| fault(StatusCode::BAD_REQUEST, code, title, text);
    let fault = match refusal {
        LoginRefusal::Duplicate | LoginRefusal::NotOurs | LoginRefusal::NoAnswer => bad(
            "bad-callback",
            "This sign-in link is not valid",
            "It may be damaged, or it was not made for you. Nobody has been signed in.",
        ),
        LoginRefusal::Elsewhere | LoginRefusal::WrongIssuer => bad(
            "wrong-provider",
            "The answer came from the wrong place",
            "The answer to your sign-in did not come from where you were sent. Nobody has been signed in.",
        ),
        LoginRefusal::Expired => bad(
            "login-expired",
            "The sign-in took too long",
            "For your safety a sign-in is valid for ten minutes only.",
        ),
        LoginRefusal::Unbound => bad(
            "cookie-lost",
            "The sign-in could not be completed",
            "Your browser did not send back the cookie that belongs to this sign-in. Are cookies blocked, or was the \
             link opened in another browser?",
        ),
        LoginRefusal::AlreadyUsed => bad(
            "login-used",
            "This sign-in was already completed",
            "Each sign-in works once, and this one was used several times. Your browser may not be keeping our cookies.",
        ),
        LoginRefusal::Denied("access_denied") => fault(
            StatusCode::FORBIDDEN,
            "access-denied",
            "The sign-in was refused",
            "The identity provider did not let you in, or you cancelled.",
        ),
        LoginRefusal::Denied("temporarily_unavailable" | "server_error") => {
            unavailable("provider-error", "The identity provider has a problem", String::new())
        }
        LoginRefusal::Denied(_) => bad(
            "provider-refused",
            "The identity provider did not complete the sign-in",
            "Please try again. If it goes on, tell the people who run this service.",
        ),
    };
    Fault { cause: refusal.to_string(), ..fault }
}

/// What went wrong behind the door. Never "anonymous", never a cleared cookie (R82).
pub fn gateway(error: &GatewayError) -> Fault {
    let cause = error.to_string();
    let bad_gateway = |title| Fault {
        cause: error.to_string(),
        ..fault(
            StatusCode::BAD_GATEWAY,
            "provider-rejected",
            title,
            "Nobody has been signed in. Please try again.",
        )
    };
    match error {
        GatewayError::Store(_) => {
            unavailable("store-unavailable", "Sessions cannot be read at the moment", cause)
        }
        GatewayError::Provider(ProviderError::Unavailable(_)) => {
            unavailable("provider-unavailable", "The identity provider cannot be reached", cause)
        }
        GatewayError::Provider(ProviderError::Misconfigured(_)) => {
            unavailable("provider-misconfigured", "The identity provider cannot be used at the moment", cause)
        }
        GatewayError::Provider(ProviderError::Refused(_)) => {
            bad_gateway("The identity provider refused the sign-in")
        }
        GatewayError::Provider(ProviderError::Rejected(_)) => {
            bad_gateway("The identity provider's answer was not acceptable")
        }
        GatewayError::NoSuchProvider => Fault { cause, ..bad_login_request() },
        GatewayError::Randomness(_) | GatewayError::Keys(_) | GatewayError::TaskLost => internal(&cause),
    }
}

/// What went wrong on the way to an upstream.
pub fn upstream(error: &UpstreamError) -> Fault {
    let cause = error.to_string();
    let gone = |status, code, title| Fault { cause: error.to_string(), ..fault(status, code, title, LATER) };
    match error {
        UpstreamError::Unreachable(_) => gone(
            StatusCode::BAD_GATEWAY,
            "upstream-unreachable",
            "The app behind this page cannot be reached",
        ),
        UpstreamError::BadResponse(_) => gone(
            StatusCode::BAD_GATEWAY,
            "upstream-bad-response",
            "The app behind this page gave a broken answer",
        ),
        UpstreamError::TimedOut => {
            gone(StatusCode::GATEWAY_TIMEOUT, "upstream-timeout", "The app behind this page takes too long")
        }
        UpstreamError::BodyTooLarge => {
            let text = "What you sent is larger than this app accepts.";
            Fault { cause, ..fault(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Too large", text) }
        }
        UpstreamError::ClientStalled => {
            let text = "The request stopped before it was complete.";
            Fault { cause, ..fault(StatusCode::REQUEST_TIMEOUT, "client-stalled", "Request timed out", text) }
        }
        UpstreamError::Unforwardable(_) => {
            let text = "This request cannot be passed on as it is.";
            Fault { cause, ..fault(StatusCode::BAD_REQUEST, "unforwardable", "Bad request", text) }
        }
        UpstreamError::ClientAborted => {
            let text = "The request ended before it was complete.";
            Fault { cause, ..fault(StatusCode::BAD_REQUEST, "client-aborted", "Incomplete request", text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::StoreError;

    #[test]
    fn r82_errors_behind_the_door_are_503_with_a_word_on_when_to_come_back() {
        for error in [
            GatewayError::Store(StoreError::Unavailable("x".into())),
            GatewayError::Store(StoreError::Unreadable("x")),
            GatewayError::Provider(ProviderError::Unavailable("x".into())),
            GatewayError::Provider(ProviderError::Misconfigured("x".into())),
        ] {
            let fault = gateway(&error);
            assert_eq!(fault.status, StatusCode::SERVICE_UNAVAILABLE, "{error}");
            assert!(fault.retry_after.is_some());
            assert!(!fault.text.contains('x') || fault.text == LATER);
        }
    }
}
