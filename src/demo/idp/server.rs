//! The provider as a server: its state and its endpoints.
//!
//! I own: [`Idp`] and the table of its endpoints. I may call: every file beside me. I never listen: `demo` has the
//! sockets.

use super::client::Client;
use super::codes::Codes;
use super::keys::SigningKey;
use super::metadata;
use super::pages::Pages;
use super::sessions::{Sessions, SignedIn};
use super::{end_session, sign_in, tokens};
use crate::demo::paper;
use crate::ports::Clock;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::{App, Error, HttpRequest, web};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long a code is good for, in seconds.
const CODE_LIFETIME: i64 = 60;

/// The provider.
pub struct Idp {
    /// The issuer identifier, and the origin of all pages.
    pub(super) issuer: String,
    /// The origin of the only client.
    pub(super) home: String,
    pub(super) client: Client,
    pub(super) password: String,
    pub(super) key: Arc<SigningKey>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pages: Pages,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) sessions: Sessions,
    pub(super) codes: Codes<SignedIn>,
    /// Access tokens that are good for UserInfo: the claims that they open, and until when.
    pub(super) tokens: HashMap<String, (Value, i64)>,
}

impl Idp {
    /// A provider at `issuer` for the gateway at `home`.
    ///
    /// # Errors
    /// When a page is broken.
    pub fn new(
        issuer: &str,
        home: &str,
        client: Client,
        password: &str,
        key: Arc<SigningKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, minijinja::Error> {
        Ok(Self {
            issuer: issuer.to_owned(),
            home: home.to_owned(),
            client,
            password: password.to_owned(),
            key,
            clock,
            pages: Pages::new()?,
            state: Mutex::new(State {
                sessions: Sessions::default(),
                codes: Codes::lasting(CODE_LIFETIME),
                tokens: HashMap::new(),
            }),
        })
    }

    /// Whom access tokens are for: the API behind the client.
    pub fn api_audience(&self) -> String {
        format!("{}/api/", self.home)
    }

    /// Now, in seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        i64::try_from(self.clock.now().unix_millis() / 1000).unwrap_or(i64::MAX)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No step leaves it half done, so what a panicking thread held is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is one of the two addresses that a browser may be sent to.
    pub(super) fn knows(&self, address: &str, path: &str) -> bool {
        address.strip_prefix(self.home.as_str()) == Some(path)
    }

    /// Whether a form was sent from a page of ours.
    pub(super) fn is_own_form(&self, request: &HttpRequest) -> bool {
        text(request, header::ORIGIN).is_none_or(|origin| origin == self.issuer)
    }
}

/// A header, if it is text.
pub(super) fn text(request: &HttpRequest, name: header::HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}

/// Every endpoint.
pub fn application(
    idp: web::Data<Idp>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    // A form may end at the gateway: browsers count the redirects after it.
    let headers = paper::headers(&format!("'self' {}", idp.home));
    App::new()
        .app_data(idp)
        .wrap(headers)
        .route(metadata::DISCOVERY, web::get().to(tokens::discovery))
        .route(metadata::JWKS, web::get().to(tokens::jwks))
        .route(metadata::AUTHORIZE, web::get().to(sign_in::authorize))
        .route(metadata::TOKEN, web::post().to(tokens::token))
        .route(metadata::USERINFO, web::get().to(tokens::userinfo))
        .route(metadata::END_SESSION, web::get().to(end_session::ask))
        .route(metadata::END_SESSION, web::post().to(end_session::answer))
        .route("/login", web::post().to(sign_in::login))
        .route("/consent", web::post().to(sign_in::consent))
        .route("/", web::get().to(sign_in::home))
        .route(paper::STYLE_PATH, web::get().to(paper::style))
        .route(paper::ICON_PATH, web::get().to(paper::icon))
        .default_service(web::to(paper::nothing_here))
}
