//! The door for probes: `/livez`, `/readyz`, `/metrics`, on an address of its own.
//!
//! I own: [`Watch`] and the answers to probes. I may call: `current`, `gateway` (for its store, providers, ledger and clock),
//! `ports` (the breaker).
//! I never show anything secret, never ask a provider, and never let probes reach the store more than once a second.

use super::Layers;
use super::answer::json;
use super::current::Current;
use crate::domain::time::Timestamp;
use crate::ports::Breaking;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{App, HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the store's last answer stands.
const STANDS_FOR: Duration = Duration::from_secs(1);

/// How long a probe waits for the store. Shorter than the patience of most probes, whatever `store_timeout` is.
const PATIENCE: Duration = Duration::from_millis(900);

/// The media type of the metrics (OpenMetrics 1.0, section "Overall Structure").
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What probes are told about.
pub struct Watch {
    current: Arc<Current>,
    draining: Arc<AtomicBool>,
    /// What spares the store, where there is such a thing.
    breaker: Option<Arc<dyn Breaking>>,
    /// The store's last answer and its time. Whoever holds the lock asks for all who wait.
    store: Mutex<Option<(Timestamp, bool)>>,
}

impl Watch {
    /// Over what is in force; `draining` is set from outside once no new requests are wanted.
    pub fn new(current: Arc<Current>, draining: Arc<AtomicBool>, breaker: Option<Arc<dyn Breaking>>) -> Self {
        Self { current, draining, breaker, store: Mutex::new(None) }
    }

    async fn store_answers(&self) -> bool {
        let mut last = self.store.lock().await;
        let desk = self.current.desk();
        let now = desk.gateway.clock.now();
        if let Some((at, answer)) = *last
            && at <= now
            && now < at.plus(STANDS_FOR)
        {
            return answer;
        }
        let answer = tokio::time::timeout(PATIENCE, desk.gateway.store.ping()).await;
        let answers = matches!(answer, Ok(Ok(())));
        *last = Some((now, answers));
        answers
    }

    async fn readiness(&self) -> Readiness {
        let draining = self.draining.load(Ordering::SeqCst);
        let store = self.store_answers().await;
        let word = |known: bool| if known { "known" } else { "not-yet" };
        let desk = self.current.desk();
        let feed = desk.gateway.store.feed();
        let providers = desk.gateway.providers.iter();
        Readiness {
            ready: store && !draining,
            draining,
            store: if store { "ok" } else { "unavailable" },
            breaker: self.breaker.as_ref().map(|it| if it.is_open() { "open" } else { "closed" }),
            feed: feed.word(),
            feed_age_ms: feed.age().map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            providers: providers
                .map(|(id, provider)| (id.as_str().to_owned(), word(provider.is_known())))
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    draining: bool,
    store: &'static str,
    /// Whether the store is asked by requests, where that is a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<&'static str>,
    /// Whether changes by others are told. None of its states makes us unready: without it, each request asks the store.
    feed: &'static str,
    /// How old its last proof is; none where there never was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    feed_age_ms: Option<u64>,
    /// Whether metadata of each provider were had. None of them makes us unready: sessions go on without it (R22).
    providers: BTreeMap<String, &'static str>,
}

/// The application for probes.
pub fn application(watch: web::Data<Watch>) -> App<impl Layers> {
    App::new().app_data(watch).default_service(web::to(dispatch))
}

async fn dispatch(request: HttpRequest, watch: web::Data<Watch>) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "GET, HEAD")).finish();
    }
    match request.path() {
        "/livez" => text("text/plain; charset=utf-8", "ok\n".to_owned()),
        "/readyz" => {
            let readiness = watch.readiness().await;
            let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            json(status, "application/json", &readiness)
        }
        "/metrics" => text(OPENMETRICS, watch.current.desk().gateway.ledger.read()),
        _ => HttpResponse::NotFound().finish(),
    }
}

fn text(content_type: &'static str, body: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(body)
}
