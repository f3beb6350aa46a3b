//! The sentry: what comes in at the public door is read here first, exactly, before the framework sees a byte of it.
//!
//! I own: the rules of framing and syntax (R74, R75), the limits of heads, connections and patience (R79), and the
//! wiring of the public server. I may call: `log` (for the line of a refusal), `facts`, `domain`, `ports`, `keyring`.
//! I never look into a body, never mend a request, and never decide who may pass: what is in order is passed on.
//!
//! Why not trust the framework's reader: it takes a bare LF for a line end, bounds only the first head of a
//! connection, waits for ever for slow bodies and slow readers, refuses without a line in the log, and reads pipelined
//! requests while earlier ones are being answered. Here a request is passed on when the one before has been answered
//! to its last byte.
//!
//! `guarded` is the connection; it feeds the `reader` (`head`, `body`, `grammar`: pure), watches what leaves
//! (`reply`), hears from the application through the `turn` that an answer is complete, and turns a `refusal`
//! into the connection's last answer. The `gate` counts connections.

mod body;
mod deadline;
mod gate;
mod grammar;
mod guarded;
mod head;
mod reader;
mod refusal;
mod reply;
mod turn;

pub use refusal::Refusal;
pub use turn::{Turn, fault, take_turns, turn, waits};

use super::{facts, log};
use crate::domain::door::DoorLimits;
use crate::ports::{Entry, Ledger};
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_server::ServerBuilder;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::AppConfig;
use gate::{Full, Gate, Pass};
use guarded::{Guarded, LINGER};
use head::HeadLimits;
use ipnet::IpNet;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// The framework would close an idle connection by itself while a request is on its way through the sentry, which
/// counts the idle time. Its own clock is only there for what nobody thought of.
const BESIDES: Duration = Duration::from_secs(60);

/// Connections at a time that are told that there is no room for them; more wait in the listener's queue.
const MOST_TURNED_AWAY: usize = 256;

/// What each connection needs to know.
pub struct Post {
    head: HeadLimits,
    header_timeout: Duration,
    keep_alive: Duration,
    body_stall: Duration,
    write_stall: Duration,
    ledger: Arc<dyn Ledger>,
}

/// The sentry of one door, for all its workers.
#[derive(Clone)]
pub struct Sentry {
    post: Arc<Post>,
    gate: Arc<Gate>,
    trusted_proxies: Arc<[IpNet]>,
    max_connections: usize,
}

impl Sentry {
    /// Takes up its post. `header_timeout` is for each head, `keep_alive` for the time between requests.
    pub fn new(
        limits: &DoorLimits,
        header_timeout: Duration,
        keep_alive: Duration,
        trusted_proxies: Vec<IpNet>,
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        let head =
            HeadLimits { bytes: limits.max_header_bytes, fields: limits.max_headers, uri: limits.max_uri };
        let (body_stall, write_stall) = (limits.body_stall_timeout, limits.write_stall_timeout);
        let post = Post { head, header_timeout, keep_alive, body_stall, write_stall, ledger };
        let gate = Gate::new(limits.max_connections, limits.max_connections_per_address);
        Self {
            post: Arc::new(post),
            gate: Arc::new(gate),
            trusted_proxies: trusted_proxies.into(),
            max_connections: limits.max_connections,
        }
    }

    /// Adds the public door to a server: `listener`, the sentry, and behind it what `application` makes for each
    /// worker.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn stand_at<Make, App, Factory>(
        self,
        server: ServerBuilder,
        listener: TcpListener,
        application: Make,
    ) -> io::Result<ServerBuilder>
    where
        Make: Fn() -> App + Clone + Send + 'static,
        App: IntoServiceFactory<Factory, Request> + 'static,
        Factory: ServiceFactory<Request, Config = AppConfig> + 'static,
        Factory::Error: Into<actix_web::Error> + 'static,
        Factory::InitError: Debug,
        Factory::Response: Into<Response<BoxBody>> + 'static,
        Factory::Service: 'static,
        <Factory::Service as actix_service::Service<Request>>::Future: 'static,
    {
        let address = listener.local_addr()?;
        let draining = server.graceful_shutdown_signal();
        // Those that are being turned away are counted by nobody else.
        let server = server.max_concurrent_connections(self.max_connections.saturating_add(MOST_TURNED_AWAY));
        server.listen("public", listener, move || {
            let (sentry, draining) = (self.clone(), draining.clone());
            let application = application().into_factory().map_err(|error| error.into().error_response());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let draining = draining.clone();
                    async move { draining.notified().await }
                })
                .keep_alive(KeepAlive::Timeout(sentry.post.keep_alive + sentry.post.header_timeout + BESIDES))
                // The sentry has a deadline for every head.
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(LINGER)
                .local_addr(address)
                .on_connect_ext(|connection: &Guarded<TcpStream>, data| {
                    data.insert(connection.turn());
                })
                .finish(map_config(application, |()| AppConfig::default()));
            fn_service(move |stream: TcpStream| {
                let sentry = sentry.clone();
                async move {
                    let peer = stream.peer_addr()?;
                    let connection = match sentry.admit(peer.ip()) {
                        Ok(pass) => Guarded::new(stream, Arc::clone(&sentry.post), pass),
                        Err(full) => {
                            sentry.turn_away(stream, full).await;
                            return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
                        }
                    };
                    Ok((connection, Protocol::Http1, Some(peer)))
                }
            })
            .and_then(http)
        })
    }

    fn admit(&self, peer: IpAddr) -> Result<Pass, Full> {
        let speaks_for_many = facts::is_trusted(peer, &self.trusted_proxies);
        self.gate.enter((!speaks_for_many).then_some(peer))
    }

    /// There is no room: says so, if the client listens at once.
    async fn turn_away(&self, mut stream: TcpStream, full: Full) {
        let (status, code) = match full {
            Full::Everywhere => (503, "too-many-connections"),
            Full::FromThere => (429, "too-many-connections-from-there"),
        };
        self.post.ledger.enter(Entry::Cut(code));
        let id = log::turned_away(&self.post.ledger, grammar::OTHER_METHOD, status, code, Instant::now());
        let answer = refusal::last_answer(status, code, "retry-after: 5\r\n", &id);
        // Errors and time-outs are all the same: the connection ends either way.
        let _ = timeout(LINGER / 2, async {
            stream.write_all(&answer).await?;
            stream.shutdown().await?;
            let mut dropped = [0; 4096];
            while stream.read(&mut dropped).await? > 0 {}
            io::Result::Ok(())
        })
        .await;
    }
}
