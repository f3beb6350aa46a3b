//! The responses that are ours.
//!
//! I own: pages, problem JSON and redirects, with the headers that all of them carry. I may call: `visit`, `keyring`
//! (for the hash of the style). I never repeat what a stranger sent, and never tell them what went wrong inside.

use super::visit::{Note, Voice};
use crate::keyring::sha256;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Environment, Value, context};
use serde::Serialize;

const STYLE: &str = include_str!("pages/style.css");
const PAGE: &str = include_str!("pages/page.html");

/// The pages, ready to be filled in.
pub struct Pages {
    templates: Environment<'static>,
    policy: HeaderValue,
}

/// What a page says.
#[derive(Default)]
pub struct Page<'p> {
    /// The heading.
    pub title: &'p str,
    /// What happened and what to do, in plain words.
    pub text: &'p str,
    /// A way on, if there is one.
    pub link: Option<Link<'p>>,
    /// The action of the page's one button, a POST, if there is one.
    pub button: Option<Link<'p>>,
    /// The correlation id, on errors.
    pub correlation_id: Option<&'p str>,
}

/// A labelled target of our own origin.
pub struct Link<'p> {
    /// Where it leads.
    pub href: &'p str,
    /// What it says.
    pub label: &'p str,
}

impl Page<'_> {
    fn to_context(&self) -> Value {
        let link = |link: &Option<Link<'_>>| {
            link.as_ref().map(|link| context! { href => link.href, label => link.label })
        };
        context! {
            title => self.title,
            text => self.text,
            link => link(&self.link),
            button => link(&self.button),
            correlation_id => self.correlation_id,
        }
    }
}

/// Why the built-in pages could not be prepared: a defect of this build.
#[derive(Debug, thiserror::Error)]
#[error("a built-in page is broken: {0}")]
pub struct BrokenPage(String);

impl Pages {
    /// Reads the built-in pages.
    ///
    /// # Errors
    /// [`BrokenPage`].
    pub fn new() -> Result<Self, BrokenPage> {
        let broken = |error: &dyn std::fmt::Display| BrokenPage(error.to_string());
        let mut templates = Environment::new();
        templates.add_template("page.html", PAGE).map_err(|error| broken(&error))?;
        let hash = STANDARD.encode(sha256(STYLE.as_bytes()));
        // No form-action: browsers apply it to the redirect that follows the sign-out form, which leads to the provider.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'; img-src 'self'"
        );
        let policy = HeaderValue::from_str(&policy).map_err(|error| broken(&error))?;
        Ok(Self { templates, policy })
    }

    /// A page.
    pub fn page(&self, status: StatusCode, page: &Page<'_>) -> HttpResponse {
        let rendered = self
            .templates
            .get_template("page.html")
            .and_then(|template| template.render(context! { page => page.to_context(), style => STYLE }));
        let mut response = match rendered {
            Ok(html) => HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html),
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                HttpResponse::build(status)
                    .content_type("text/plain; charset=utf-8")
                    .body(page.title.to_owned())
            }
        };
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        harden(&mut response);
        response
    }
}

/// Says no: what to tell the stranger, what to tell the log.
pub struct Fault {
    /// The status.
    pub status: StatusCode,
    /// The last part of the problem's `type`, and the outcome in the log.
    pub code: &'static str,
    /// A short title, the same for every occurrence (RFC 9457 section 3.1.3).
    pub title: &'static str,
    /// What it means for a person, and what to do.
    pub text: &'static str,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
    /// The methods that the address has (RFC 9110 section 15.5.6).
    pub allow: Option<&'static str>,
    /// For the log only.
    pub cause: String,
}

/// A problem document (RFC 9457).
#[derive(Serialize)]
struct Problem<'p> {
    r#type: String,
    title: &'p str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<&'p str>,
    correlation_id: &'p str,
}

impl Fault {
    /// The response, as a page or as problem JSON, with its note for the access line. `login_url` belongs to a 401,
    /// whose body is the same wherever it comes from.
    pub fn respond(self, pages: &Pages, voice: &Voice, route: &str, login_url: Option<&str>) -> HttpResponse {
        let is_challenge = self.status == StatusCode::UNAUTHORIZED;
        let mut response = if voice.wants_page && !is_challenge {
            let link = Link { href: "/", label: "Go to the front page" };
            let page = Page {
                title: self.title,
                text: self.text,
                link: Some(link),
                button: None,
                correlation_id: Some(&voice.request_id),
            };
            pages.page(self.status, &page)
        } else {
            json(
                self.status,
                "application/problem+json",
                &Problem {
                    r#type: format!("urn:keycard:problem:{}", self.code),
                    title: self.title,
                    status: self.status.as_u16(),
                    detail: (!is_challenge).then_some(self.text),
                    login_url,
                    correlation_id: &voice.request_id,
                },
            )
        };
        if is_challenge {
            // RFC 9110 section 11.6.1 asks for a challenge with every 401; browsers pass over schemes that they do
            // not know.
            let challenge = HeaderValue::from_static("Cookie realm=\"keycard\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        noted(response, Note { route: route.to_owned(), outcome: self.code, cause: self.cause, user: None })
    }
}

/// A JSON response.
pub fn json(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> HttpResponse {
    let text = serde_json::to_string(body).unwrap_or_else(|_| "{}".to_owned());
    let mut response = HttpResponse::build(status).content_type(content_type).body(text);
    harden(&mut response);
    response
}

/// A redirect that leaves no trace in a `Referer` (R11).
pub fn redirect(status: StatusCode, location: &str) -> HttpResponse {
    let mut response = match HeaderValue::from_str(location) {
        Ok(value) => HttpResponse::build(status).insert_header((header::LOCATION, value)).finish(),
        Err(error) => {
            tracing::error!(%error, "a location could not be written");
            HttpResponse::InternalServerError().finish()
        }
    };
    harden(&mut response);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Attaches the note for the access line.
pub fn noted(mut response: HttpResponse, note: Note) -> HttpResponse {
    response.extensions_mut().insert(note);
    response
}

/// What every response of ours carries (R58, R68).
fn harden(response: &mut HttpResponse) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Cookie, Origin, Sec-Fetch-Site, Sec-Fetch-Mode, Accept"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: it would make the browser send `Origin: null` with our own sign-out form.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r10_pages_escape_whatever_they_are_given() {
        let pages = Pages::new().unwrap();
        let page = Page { title: "<script>x</script>", text: "a & b", ..Page::default() };
        let response = pages.page(StatusCode::BAD_REQUEST, &page);
        let policy =
            response.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(response.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
        let body = actix_web::body::MessageBody::try_into_bytes(response.into_body()).unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("&lt;script&gt;") && !text.contains("<script>"));
    }
}
