//! The paper that every page of the demo is written on.
//!
//! I own: the sheet around all pages, the style, the headers that keep foreign script out, small answers. I may call:
//! nobody. I never let a page run a script that is not a file of ours.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::middleware::DefaultHeaders;
use minijinja::Environment;

/// Where the style is, on every server of the demo.
pub(super) const STYLE_PATH: &str = "/demo.css";

/// Where browsers look for an icon of their own accord: for pages that name none, as the gateway's are.
pub(super) const ICON_PATH: &str = "/favicon.ico";

/// Templates that extend the one sheet.
pub(super) struct Paper(Environment<'static>);

impl Paper {
    pub(super) fn with(templates: &[(&'static str, &'static str)]) -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.add_template("sheet.html", include_str!("pages/sheet.html"))?;
        for (name, text) in templates {
            environment.add_template(name, text)?;
        }
        Ok(Self(environment))
    }

    pub(super) fn page(&self, status: StatusCode, name: &str, content: minijinja::Value) -> HttpResponse {
        match self.0.get_template(name).and_then(|template| template.render(content)) {
            Ok(text) => HttpResponse::build(status).content_type("text/html; charset=utf-8").body(text),
            Err(error) => {
                tracing::error!(%error, page = name, "a page of the demo is broken");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "This page is broken.")
            }
        }
    }
}

/// The headers of every page; `form_targets` is where forms may lead.
pub(super) fn headers(form_targets: &str) -> DefaultHeaders {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
         form-action {form_targets}; base-uri 'none'; frame-ancestors 'none'"
    );
    DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, policy))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Not `no-referrer`: with it, browsers send `Origin: null` with forms.
        .add((header::REFERRER_POLICY, "same-origin"))
        .add((header::CACHE_CONTROL, "no-store"))
}

pub(super) async fn style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(include_str!("pages/demo.css"))
}

pub(super) async fn icon() -> HttpResponse {
    HttpResponse::Ok().content_type("image/svg+xml").body(include_str!("pages/icon.svg"))
}

pub(super) async fn nothing_here() -> HttpResponse {
    plain(StatusCode::NOT_FOUND, "There is nothing here.")
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(text)
}

pub(super) fn see_other(target: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, target)).finish()
}

pub(super) fn set_cookie(response: &mut HttpResponse, line: &str) {
    if let Ok(value) = header::HeaderValue::from_str(line) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
