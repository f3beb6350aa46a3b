//! The provider's pages.
//!
//! I own: the templates and what goes into them. I may call: `people`, `paper` for the sheet around them. I never put
//! markup together by hand: the templates escape.

use super::people::{PEOPLE, Person};
use crate::demo::paper::{self, Paper};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::context;

pub(super) struct Pages(Paper);

impl Pages {
    pub(super) fn new() -> Result<Self, minijinja::Error> {
        Ok(Self(Paper::with(&[
            ("login.html", include_str!("../pages/login.html")),
            ("consent.html", include_str!("../pages/consent.html")),
            ("end_session.html", include_str!("../pages/end_session.html")),
            ("notice.html", include_str!("../pages/notice.html")),
        ])?))
    }

    /// The people to pick from; `request` is the query to go on with.
    pub(super) fn login(&self, request: &str, picked: &str, wrong: bool) -> HttpResponse {
        let people: Vec<_> = PEOPLE
            .iter()
            .map(|person| {
                context! {
                    login => person.login, name => person.name, about => person.about,
                    initial => &person.name[..1], roles => person.roles.to_vec(), picked => person.login == picked,
                }
            })
            .collect();
        let status = if wrong { StatusCode::FORBIDDEN } else { StatusCode::OK };
        self.0.page(status, "login.html", context! { people, request, wrong })
    }

    pub(super) fn consent(&self, request: &str, person: &Person) -> HttpResponse {
        let page = context! { request, name => person.name, email => person.email(), roles => person.roles.to_vec() };
        self.0.page(StatusCode::OK, "consent.html", page)
    }

    pub(super) fn end_session(&self, request: &str, person: &Person) -> HttpResponse {
        self.0.page(StatusCode::OK, "end_session.html", context! { request, name => person.name })
    }

    pub(super) fn notice(
        &self,
        status: StatusCode,
        title: &str,
        text: &str,
        link: Option<&str>,
    ) -> HttpResponse {
        self.0.page(status, "notice.html", context! { title, text, link })
    }

    pub(super) fn out_of_order(&self) -> HttpResponse {
        paper::plain(StatusCode::INTERNAL_SERVER_ERROR, "The provider has no random numbers.")
    }
}
