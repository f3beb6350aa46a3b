//! The one table: every error, and what a stranger hears of it.
//!
//! I own: status, code, wording and way on of each refusal. I may call: `words`, and `domain`, `gateway`, `upstream` for
//! their error types.
//! I never tell a stranger the cause of a 5xx, never have a `_` arm over an error, and never put a secret in a cause.

use super::answer::{Fault, Way};
use super::facts::BadRequest;
use super::pages::Kind;
use super::sentry::Refusal;
use super::tunnel::BadHandshake;
use super::words::{self, Wording};
use crate::domain::access::{Denial, Missing};
use crate::domain::csrf::CsrfRefusal;
use crate::domain::keep::NotKept;
use crate::domain::login::LoginRefusal;
use crate::domain::policy::WhySignIn;
use crate::gateway::GatewayError;
use crate::gateway::keep::Lost;
use crate::ports::ProviderError;
use crate::upstream::UpstreamError;
use actix_web::http::StatusCode;
use std::borrow::Cow;
use std::time::Duration;

fn fault(status: StatusCode, code: &'static str, wording: &'static Wording) -> Fault {
    let (kind, way, cause) = (Kind::Error, Way::FrontPage, String::new());
    Fault { status, code, wording, kind, way, retry_after: None, allow: None, missing: None, cause }
}

/// Something behind the door does not answer as it should; the same request may do later.
fn out_of_order(status: StatusCode, code: &'static str, wording: &'static Wording, cause: String) -> Fault {
    Fault { kind: Kind::Unavailable, way: Way::Retry, cause, ..fault(status, code, wording) }
}

fn unavailable(code: &'static str, wording: &'static Wording, cause: String) -> Fault {
    Fault { retry_after: Some(5), ..out_of_order(StatusCode::SERVICE_UNAVAILABLE, code, wording, cause) }
}

/// What is wrong with a request before anybody asks whose it is.
pub fn bad_request(bad: &BadRequest) -> Fault {
    let fault = match bad {
        BadRequest::Host | BadRequest::Path(_) | BadRequest::Query => {
            fault(StatusCode::BAD_REQUEST, "bad-request", words::BAD_REQUEST)
        }
        BadRequest::Misdirected => fault(StatusCode::MISDIRECTED_REQUEST, "misdirected", words::UNKNOWN_HOST),
        BadRequest::Method => fault(StatusCode::METHOD_NOT_ALLOWED, "method", words::REFUSED_METHOD),
    };
    Fault { cause: bad.to_string(), ..fault }
}

/// Two cookies of one name, of which one is not ours (R54).
pub fn planted() -> Fault {
    let fault = fault(StatusCode::BAD_REQUEST, "duplicate-cookie", words::DUPLICATE_COOKIE);
    Fault { way: Way::Retry, ..fault }
}

/// A connection without an address.
pub fn no_peer() -> Fault {
    fault(StatusCode::BAD_REQUEST, "bad-request", words::NO_PEER)
}

/// Under the prefix, but nothing of ours.
pub fn no_such_endpoint() -> Fault {
    fault(StatusCode::NOT_FOUND, "not-found", words::NOT_FOUND)
}

/// No session of one's own has this handle. One answer, whoever's it may be (A44).
pub fn no_such_session(list: String) -> Fault {
    let fault = fault(StatusCode::NOT_FOUND, "no-such-session", words::NO_SUCH_SESSION);
    Fault { way: Way::Sessions(list), ..fault }
}

/// No route leads there.
pub fn no_route() -> Fault {
    Fault { code: "no-route", ..no_such_endpoint() }
}

/// A method that an endpoint does not have.
pub fn method(allowed: impl Into<Cow<'static, str>>) -> Fault {
    Fault { allow: Some(allowed.into()), ..fault(StatusCode::METHOD_NOT_ALLOWED, "method", words::METHOD) }
}

/// At the operators' door, without its token or with another one: one answer for both.
pub fn no_admin_token() -> Fault {
    fault(StatusCode::UNAUTHORIZED, "unauthorized", words::UNAUTHORIZED)
}

/// At the operators' door, with parameters that do not say exactly which sessions are meant.
pub fn bad_admin_request() -> Fault {
    fault(StatusCode::BAD_REQUEST, "bad-admin-request", words::BAD_ADMIN_REQUEST)
}

/// At the operators' door: a file of sessions that is none, or was changed.
pub fn bad_transfer(cause: String) -> Fault {
    Fault { cause, ..fault(StatusCode::BAD_REQUEST, "bad-transfer", words::BAD_TRANSFER) }
}

/// A file of sessions without its end.
pub fn transfer_cut_off(cause: String) -> Fault {
    Fault { cause, ..fault(StatusCode::BAD_REQUEST, "transfer-cut-off", words::TRANSFER_CUT_OFF) }
}

/// A file of sessions that is sealed with a key that is not here.
pub fn transfer_keys(cause: String) -> Fault {
    Fault { cause, ..fault(StatusCode::CONFLICT, "transfer-keys", words::TRANSFER_KEYS) }
}

/// A file of sessions that was taken in before.
pub fn transfer_again() -> Fault {
    fault(StatusCode::CONFLICT, "transfer-again", words::TRANSFER_AGAIN)
}

/// Too many sign-ins from one address.
pub fn too_often(wait: Duration) -> Fault {
    let fault = fault(StatusCode::TOO_MANY_REQUESTS, "too-many-sign-ins", words::TOO_OFTEN);
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    Fault { way: Way::Retry, retry_after: Some(seconds), ..fault }
}

/// A request body that the sentry cut off.
pub fn broken_body(refusal: Refusal) -> Fault {
    let cause = refusal.code().to_owned();
    match refusal {
        Refusal::BodyTimeout => {
            Fault { cause, ..fault(StatusCode::REQUEST_TIMEOUT, "client-stalled", words::STALLED) }
        }
        _ => Fault { cause, ..fault(StatusCode::BAD_REQUEST, "bad-framing", words::BAD_REQUEST) },
    }
}

/// `GET login` by a script.
pub fn not_a_navigation() -> Fault {
    fault(StatusCode::BAD_REQUEST, "not-a-navigation", words::NOT_A_NAVIGATION)
}

/// `GET login` with parameters that are not acceptable.
pub fn bad_login_request() -> Fault {
    fault(StatusCode::BAD_REQUEST, "bad-login-request", words::BAD_LOGIN_REQUEST)
}

/// The one 401 (R67): its body is the same wherever it comes from.
pub fn sign_in_required(why: WhySignIn) -> Fault {
    let fault = fault(StatusCode::UNAUTHORIZED, "sign-in-required", words::SIGN_IN_REQUIRED);
    Fault { cause: why.code().to_owned(), ..fault }
}

/// Something is missing that the route asks for: its kind is told, never what would have done.
pub fn not_allowed(denial: &Denial) -> Fault {
    let forbidden = |wording| {
        let fault = fault(StatusCode::FORBIDDEN, "forbidden", wording);
        let missing = Some(denial.missing.code());
        Fault { kind: Kind::Forbidden, missing, cause: denial.missing.code().to_owned(), ..fault }
    };
    let refused = match &denial.missing {
        Missing::Network => forbidden(words::FORBIDDEN_NETWORK),
        Missing::Role => forbidden(words::FORBIDDEN_ROLE),
        Missing::Group => forbidden(words::FORBIDDEN_GROUP),
        Missing::Claim => forbidden(words::FORBIDDEN_CLAIM),
        Missing::EmailDomain => forbidden(words::FORBIDDEN_EMAIL),
        Missing::Rule => forbidden(words::FORBIDDEN),
        Missing::Method(allowed) => {
            let allowed: Vec<&str> = allowed.iter().map(http::Method::as_str).collect();
            method(allowed.join(", "))
        }
    };
    match denial.failed {
        Some(why) => Fault { cause: format!("{}: {why}", denial.missing.code()), ..refused },
        None => refused,
    }
}

/// A WebSocket handshake on a route that lets none through (R78).
pub fn no_websockets() -> Fault {
    fault(StatusCode::FORBIDDEN, "no-websockets", words::NO_WEBSOCKETS)
}

/// A WebSocket handshake that is none (RFC 6455 section 4.2.1), or of another version than 13 (section 4.4).
pub fn bad_handshake(bad: BadHandshake) -> Fault {
    let status = match bad {
        BadHandshake::Malformed => StatusCode::BAD_REQUEST,
        BadHandshake::Version => StatusCode::UPGRADE_REQUIRED,
    };
    fault(status, "bad-handshake", words::BAD_HANDSHAKE)
}

/// Tokens that have expired by the time they arrive.
pub fn tokens_expire_at_once() -> Fault {
    let (code, wording) = ("tokens-expire-at-once", words::TOKENS_EXPIRE_AT_ONCE);
    out_of_order(StatusCode::BAD_GATEWAY, code, wording, String::new())
}

/// A request that may be forged.
pub fn csrf(refusal: &CsrfRefusal) -> Fault {
    let wording = match refusal {
        CsrfRefusal::ForeignOrigin => words::CSRF_FOREIGN,
        CsrfRefusal::NoEvidence => words::CSRF_NO_EVIDENCE,
        CsrfRefusal::NoHeader => words::CSRF_NO_HEADER,
    };
    Fault { cause: refusal.to_string(), ..fault(StatusCode::FORBIDDEN, "csrf", wording) }
}

/// A form that was sent without a session, on a route that keeps forms, and that cannot be kept. The browser still has
/// it: going back shows it.
pub fn form_not_kept(why: NotKept) -> Fault {
    let (status, wording) = match why {
        NotKept::Multipart => (StatusCode::UNSUPPORTED_MEDIA_TYPE, words::FORM_WITH_FILES),
        NotKept::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, words::FORM_TOO_LARGE),
        NotKept::Inexact => (StatusCode::UNPROCESSABLE_ENTITY, words::FORM_INEXACT),
    };
    Fault { cause: why.to_string(), ..fault(status, "form-not-kept", wording) }
}

/// A kept form that is not handed out.
pub fn form_lost(why: Lost) -> Fault {
    // What was shown may have been sent: nobody is told that it was not.
    let wording = if why == Lost::Used { words::FORM_USED } else { words::FORM_LOST };
    Fault { cause: why.to_string(), ..fault(StatusCode::BAD_REQUEST, "form-lost", wording) }
}

/// Something that cannot happen did.
pub fn internal(cause: &str) -> Fault {
    let fault = fault(StatusCode::INTERNAL_SERVER_ERROR, "internal", words::INTERNAL);
    Fault { cause: cause.to_owned(), way: Way::Retry, ..fault }
}

/// A callback that leads to no session.
pub fn login(refusal: &LoginRefusal) -> Fault {
    let bad = |code, wording| fault(StatusCode::BAD_REQUEST, code, wording);
    let fault = match refusal {
        LoginRefusal::Duplicate | LoginRefusal::NotOurs | LoginRefusal::NoAnswer => {
            bad("bad-callback", words::BAD_CALLBACK)
        }
        LoginRefusal::Elsewhere | LoginRefusal::WrongIssuer => bad("wrong-provider", words::WRONG_PROVIDER),
        LoginRefusal::SignedOut => bad("signed-out-meanwhile", words::SIGNED_OUT_MEANWHILE),
        LoginRefusal::TooMany => fault(StatusCode::FORBIDDEN, "too-many-sessions", words::TOO_MANY_SESSIONS),
        LoginRefusal::Expired => bad("login-expired", words::LOGIN_EXPIRED),
        LoginRefusal::Unbound => Fault { kind: Kind::Loop, ..bad("cookie-lost", words::COOKIE_LOST) },
        LoginRefusal::AlreadyUsed => Fault { kind: Kind::Loop, ..bad("login-used", words::LOGIN_USED) },
        LoginRefusal::Denied("access_denied") => {
            fault(StatusCode::FORBIDDEN, "access-denied", words::ACCESS_DENIED)
        }
        LoginRefusal::Denied("temporarily_unavailable" | "server_error") => {
            unavailable("provider-error", words::PROVIDER_ERROR, String::new())
        }
        LoginRefusal::Denied(_) => bad("provider-refused", words::PROVIDER_STOPPED),
    };
    Fault { cause: refusal.to_string(), ..fault }
}

/// What went wrong behind the door. Never "anonymous", never a cleared cookie (R82).
pub fn gateway(error: &GatewayError) -> Fault {
    let cause = error.to_string();
    let bad_gateway = |wording, cause| Fault {
        cause,
        way: Way::Retry,
        ..fault(StatusCode::BAD_GATEWAY, "provider-rejected", wording)
    };
    match error {
        GatewayError::Store(_) => unavailable("store-unavailable", words::STORE_UNAVAILABLE, cause),
        GatewayError::Provider(ProviderError::Unavailable(_)) => {
            unavailable("provider-unavailable", words::PROVIDER_UNAVAILABLE, cause)
        }
        GatewayError::Provider(ProviderError::Misconfigured(_)) => {
            unavailable("provider-misconfigured", words::PROVIDER_MISCONFIGURED, cause)
        }
        GatewayError::Provider(ProviderError::Refused(_)) => bad_gateway(words::PROVIDER_REFUSED, cause),
        GatewayError::Provider(ProviderError::Rejected(_)) => bad_gateway(words::PROVIDER_REJECTED, cause),
        GatewayError::NoSuchProvider => Fault { cause, ..bad_login_request() },
        GatewayError::Randomness(_) | GatewayError::Keys(_) | GatewayError::TaskLost => internal(&cause),
    }
}

/// What went wrong on the way to an upstream.
pub fn upstream(error: &UpstreamError) -> Fault {
    let cause = error.to_string();
    let refused = |status, code, wording, cause| Fault { cause, ..fault(status, code, wording) };
    match error {
        UpstreamError::Unreachable(_) => {
            out_of_order(StatusCode::BAD_GATEWAY, "upstream-unreachable", words::UPSTREAM_UNREACHABLE, cause)
        }
        UpstreamError::BadResponse(_) => out_of_order(
            StatusCode::BAD_GATEWAY,
            "upstream-bad-response",
            words::UPSTREAM_BAD_RESPONSE,
            cause,
        ),
        UpstreamError::TimedOut => {
            out_of_order(StatusCode::GATEWAY_TIMEOUT, "upstream-timeout", words::UPSTREAM_TIMEOUT, cause)
        }
        UpstreamError::BodyTooLarge => {
            refused(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", words::TOO_LARGE, cause)
        }
        UpstreamError::ClientStalled => {
            refused(StatusCode::REQUEST_TIMEOUT, "client-stalled", words::STALLED, cause)
        }
        UpstreamError::Unforwardable(_) => {
            refused(StatusCode::BAD_REQUEST, "unforwardable", words::UNFORWARDABLE, cause)
        }
        UpstreamError::NoSuchFile => Fault { code: "no-such-file", ..no_such_endpoint() },
        UpstreamError::OnlyRead => method("GET, HEAD"),
        UpstreamError::ClientAborted => {
            refused(StatusCode::BAD_REQUEST, "client-aborted", words::INCOMPLETE, cause)
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
            assert!(matches!((fault.kind, fault.way), (Kind::Unavailable, Way::Retry)), "{error}");
        }
    }
}
