//! What stands behind the gateway: a single-page app, a legacy app, an API, a stream of events, a WebSocket.
//!
//! I own: these five, on one server, each at the path of its route. I may call: `idp` for the key that the API verifies
//! tokens with, `paper`. I never check who may come: that the gateway did is what the demo shows.

use super::chat::{self, Room};
use super::idp::keys::SigningKey;
use super::idp::token;
use super::paper::{self, Paper};
use crate::ports::Clock;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::{App, Error, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use minijinja::context;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// How often the stream says something.
const TICK: Duration = Duration::from_secs(1);

/// What the legacy app counts its visits in.
const OWN_COOKIE: &str = "legacy-visits";

/// What the apps know.
pub(super) struct Apps {
    key: Arc<SigningKey>,
    /// The audience that the API answers to.
    audience: String,
    clock: Arc<dyn Clock>,
    paper: Paper,
    /// The chat.
    pub(super) room: Room,
}

impl Apps {
    pub(super) fn new(
        key: Arc<SigningKey>,
        audience: String,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, minijinja::Error> {
        let paper = Paper::with(&[
            ("app.html", include_str!("pages/app.html")),
            ("legacy.html", include_str!("pages/legacy.html")),
        ])?;
        Ok(Self { key, audience, clock, paper, room: Room::default() })
    }
}

/// Every path of every app.
pub(super) fn application(
    apps: web::Data<Apps>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(apps)
        .wrap(paper::headers("'self'"))
        .route("/", web::get().to(page))
        .route("/app.js", web::get().to(script))
        .route(paper::STYLE_PATH, web::get().to(paper::style))
        .route(paper::ICON_PATH, web::get().to(paper::icon))
        .route("/legacy/", web::get().to(legacy))
        .route("/api/lessons", web::get().to(api))
        .route("/events-demo", web::get().to(events))
        .route("/chat", web::get().to(chat::open))
        .default_service(web::to(paper::nothing_here))
}

/// The single-page app: the same for everybody, it asks `/bff/user` who is there.
async fn page(apps: web::Data<Apps>) -> HttpResponse {
    apps.paper.page(StatusCode::OK, "app.html", context! {})
}

async fn script() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(include_str!("pages/app.js"))
}

/// The legacy app: it believes `Remote-User`, and shows everything that reached it.
async fn legacy(request: HttpRequest, apps: web::Data<Apps>) -> HttpResponse {
    let mut headers: Vec<(&str, String)> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    // What this is about comes first.
    headers.sort_by_key(|(name, _)| (!name.starts_with("remote-"), *name != "cookie", *name));
    let named = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    let cookies: Vec<(&str, &str)> = named("cookie")
        .unwrap_or_default()
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .collect();
    let names: Vec<&str> = cookies.iter().map(|(name, _)| *name).collect();
    let before =
        cookies.iter().find(|(name, _)| *name == OWN_COOKIE).and_then(|(_, value)| value.parse().ok());
    let visits = before.unwrap_or(0_u32).saturating_add(1);
    let content = context! {
        user => named("remote-user").map(str::to_owned),
        name => named("remote-name").map(str::to_owned),
        groups => named("remote-groups").map(str::to_owned),
        names => names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        headers => headers.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect::<Vec<_>>(),
        ours => names.iter().any(|name| name.contains("keycard")),
        visits,
    };
    let mut response = apps.paper.page(StatusCode::OK, "legacy.html", content);
    paper::set_cookie(
        &mut response,
        &format!("{OWN_COOKIE}={visits}; HttpOnly; SameSite=Lax; Path=/legacy/"),
    );
    response
}

/// The API: it believes nothing but a token that it can verify, and never shows it.
async fn api(request: HttpRequest, apps: web::Data<Apps>) -> HttpResponse {
    let now = i64::try_from(apps.clock.now().unix_millis() / 1000).unwrap_or(i64::MAX);
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let claims = bearer
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|token| token::verify(&apps.key, token, "at+jwt", &apps.audience, now));
    let cookies = request.headers().contains_key(header::COOKIE);
    match claims {
        Some(claims) => HttpResponse::Ok().json(json!({
            "lessons": ["Algebra", "Botany", "Chemistry"],
            "token": {"verified": true, "claims": claims},
            "cookies_that_came_along": cookies,
        })),
        None => HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))
            .json(json!({"error": "no token that this API can verify"})),
    }
}

/// A stream that says something every second, for as long as somebody listens.
async fn events() -> HttpResponse {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let stream = futures_util::stream::unfold((ticks, 0_u64), |(mut ticks, count)| async move {
        ticks.tick().await;
        let event = format!("id: {count}\nevent: tick\ndata: {count}\n\n");
        Some((Ok::<_, Infallible>(Bytes::from(event)), (ticks, count + 1)))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(stream)
}
