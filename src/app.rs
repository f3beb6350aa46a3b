//! The composition root: settings become a running gateway.
//!
//! I own: the choice of adapters, the one clock, the listener and the drain; `connect` tries what the gateway depends
//! on, `bounds` lists the time limits of the rooms, `stack` puts the layers around the store, `furnish` makes the desk and
//! `reload` another one, `stopwatch` is what sleep does not stop. I may call: every room; nobody calls me but `main` and
//! the tests. I never decide anything about a request.

pub mod bounds;
pub mod connect;
mod furnish;
pub mod reload;
mod stack;
pub mod stopwatch;

use crate::app::furnish::{Furniture, House};
use crate::app::reload::keys::Keys;
use crate::app::reload::{Changing, Reloader};
use crate::app::stack::{Layers, Stack};
use crate::config::Settings;
use crate::config::fixed::Fixed;
use crate::config::sources::{Reading, Sources};
use crate::domain::identity::ProviderId;
use crate::domain::time::Timestamp;
use crate::gateway::ending;
use crate::gateway::live::Live;
use crate::gateway::refresh::Refreshes;
use crate::gateway::revoking::Revoker;
use crate::inbound::admin::{self, AdminToken, Counter};
use crate::inbound::health::{self, Watch};
use crate::inbound::sentry::Sentry;
use crate::inbound::throttle::Throttle;
use crate::inbound::{self, BrokenPage, CookieNames, Current, EnvelopeKeys};
use crate::ports::{Clock, Entry, Ledger, ProviderError, SessionStore, StoreError};
use crate::store::{self, Endings, Keeper, Opened};
use crate::telemetry::metrics::Metrics;
use crate::upstream::{TrustError, Upstreams};
use actix_web::dev::{Server, ServerHandle};
use actix_web::{HttpServer, web};
use futures_util::future::BoxFuture;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The clock of this machine: the only one in the house.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        // In short steps: the time of day can be set, and a timer does not run while the machine sleeps.
        let step = moment.since(self.now()).min(LONGEST_STEP);
        Box::pin(tokio::time::sleep(step))
    }
}

/// How long a gateway that stops goes on telling providers what has ended: another one, or its next start, does the rest.
const LAST_REVOCATIONS: Duration = Duration::from_secs(3);

/// How long the clock waits before it looks at the time of day again.
const LONGEST_STEP: Duration = Duration::from_secs(30);

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The session store cannot be used as configured.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A provider cannot be used as configured.
    #[error("provider `{0}`: {1}")]
    Provider(String, ProviderError),
    /// TLS towards upstreams cannot be set up.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A template of a page is broken.
    #[error(transparent)]
    Page(#[from] BrokenPage),
    /// Something that the configuration guarantees is missing.
    #[error("the configuration has no {0}")]
    Missing(&'static str),
}

/// The listeners that a gateway serves on.
pub struct Doors {
    /// For browsers.
    pub public: TcpListener,
    /// For probes.
    pub health: Option<TcpListener>,
    /// For operators; needs `server.admin_token`.
    pub admin: Option<TcpListener>,
}

impl From<TcpListener> for Doors {
    fn from(public: TcpListener) -> Self {
        Self { public, health: None, admin: None }
    }
}

/// A gateway, put together and ready to serve.
pub struct App {
    current: web::Data<Current>,
    changing: Arc<Changing>,
    live: Arc<Live>,
    refreshes: Arc<Refreshes>,
    endings: Arc<Endings>,
    revoker: Arc<Revoker>,
    watch: web::Data<Watch>,
    draining: Arc<AtomicBool>,
    counter: Option<web::Data<Counter>>,
    listen: SocketAddr,
    health_listen: Option<SocketAddr>,
    admin_listen: Option<SocketAddr>,
    workers: Option<usize>,
    header_timeout: Duration,
    sentry: Sentry,
    drain_timeout: Duration,
    keeper: Keeper,
}

impl App {
    /// Puts the gateway together. Opens no port; neither the provider nor a store's server has to be up
    /// (R22). Must be called on the runtime that outlives the workers: tokens are renewed there. The embedded store is
    /// opened, and made if it is not there yet.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn build(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let fixed = Fixed::of(&settings);
        let Settings { server, session, providers, identity, routes, pages, log: _, from_environment: _ } =
            settings;
        let ledger: Arc<dyn Ledger> = Arc::new(Metrics::new());
        let revocable = session.endings.revocable;
        let opened = store::open(&session.store, session.keys, revocable).await?;
        let Opened { store, feed, aside, outbox, clearing, transfer, waits, keys, locksmith, census, keeper } =
            opened;
        if let Some(waits) = waits {
            waits.report_to(Arc::clone(&ledger));
        }
        let live = Arc::<Live>::default();
        let layers = Layers {
            store: &session.store,
            near: session.near,
            limits: session.limits,
            clock: &clock,
            ledger: &ledger,
            live: &live,
        };
        let Stack { endings, clearing, breaker } = layers.around(store, clearing, feed, &aside);
        let sentry = Sentry::new(
            &server.limits,
            server.header_timeout,
            server.keep_alive,
            server.trusted_proxies.clone(),
            Arc::clone(&ledger),
        );
        let revoker = Revoker::new(Arc::clone(&outbox), Arc::clone(&clock), Arc::clone(&ledger));
        let revoker = Arc::new(revoker);
        let ending =
            ending::Endings { outbox, revoker: Arc::clone(&revoker), clearing, cap: session.endings.cap };
        let secure = server.origins.iter().all(|origin| origin.is_secure());
        let envelope = EnvelopeKeys::new(&keys).ok_or(StartError::Missing("session keys"))?;
        let house = House {
            clock,
            store: Arc::clone(&endings) as Arc<dyn SessionStore>,
            keys,
            ledger,
            live,
            refreshes: Arc::new(Refreshes::on(Handle::current())),
            endings: Arc::new(ending),
            transfer,
            limits: session.limits,
            prefix: server.prefix,
            throttle: Arc::new(Throttle::new(server.limits.login_rate)),
            trusted_proxies: server.trusted_proxies,
            cookies: CookieNames::new(secure).reaching(session.reach),
            origins: server.origins,
            has_counter: server.admin.is_some(),
        };
        let furniture = Furniture {
            providers,
            identity,
            routes,
            pages,
            admin_token: server.admin.as_ref().map(|admin| AdminToken::new(&admin.token)),
            envelope,
        };
        let (desk, adapters) = house.furnish(furniture, &[])?;
        house.ledger.enter(Entry::Configured(house.clock.now()));
        let current = Arc::new(Current::new(desk));
        let draining = Arc::new(AtomicBool::new(false));
        let watch = Watch::new(Arc::clone(&current), Arc::clone(&draining), breaker.map(|it| it as _));
        let counter = server.admin.as_ref().map(|_| Counter::new(Arc::clone(&current), Arc::clone(&census)));
        let keys = Keys { locksmith, census, runtime: Handle::current() };
        let (live, refreshes) = (Arc::clone(&house.live), Arc::clone(&house.refreshes));
        Ok(Self {
            changing: Arc::new(Changing::new(house, Arc::clone(&current), fixed, adapters, keys)),
            current: web::Data::from(current),
            live,
            refreshes,
            endings,
            revoker,
            watch: web::Data::new(watch),
            draining,
            counter: counter.map(web::Data::new),
            listen: server.listen,
            health_listen: server.health_listen,
            admin_listen: server.admin.map(|admin| admin.listen),
            workers: server.workers,
            header_timeout: server.header_timeout,
            sentry,
            drain_timeout: server.drain_timeout,
            keeper,
        })
    }

    /// What can read the configuration again, by `read`, while the gateway serves. `sources` is what it was read from
    /// so far.
    pub fn reloader(
        &self,
        sources: Sources,
        read: impl Fn() -> Reading + Send + Sync + 'static,
    ) -> Arc<Reloader> {
        Arc::new(Reloader::new(Arc::clone(&self.changing), sources, Box::new(read)))
    }

    /// What is in force, without a listener in front of it: for the benches.
    #[doc(hidden)]
    pub fn current(&self) -> web::Data<Current> {
        self.current.clone()
    }

    /// Opens the listeners that the configuration names.
    ///
    /// # Errors
    /// When one of the addresses cannot be had; the text says which.
    pub fn open_doors(&self) -> io::Result<Doors> {
        let open = |address: SocketAddr| {
            TcpListener::bind(address)
                .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
        };
        Ok(Doors {
            public: open(self.listen)?,
            health: self.health_listen.map(open).transpose()?,
            admin: self.admin_listen.map(open).transpose()?,
        })
    }

    /// Serves on `doors` until `shutdown` completes; then takes no new request, lets those in flight finish, and
    /// returns at the latest after the drain time-out. Probes are answered until then, and told at once.
    ///
    /// # Errors
    /// When a listener cannot be used, or TLS towards upstreams cannot be set up.
    pub async fn serve(
        self,
        doors: impl Into<Doors>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let Doors { public, health, admin } = doors.into();
        let Self { current, live, refreshes, revoker, endings, workers, header_timeout, sentry, .. } = self;
        let (watch, draining, drain_timeout, keeper) =
            (self.watch, self.draining, self.drain_timeout, self.keeper);
        let revoking = carry_out_debts(&revoker, &current);
        let mut side_doors: Vec<ServerHandle> = Vec::new();
        if let Some(listener) = health {
            let server = HttpServer::new(move || health::application(watch.clone()))
                .client_request_timeout(header_timeout)
                .workers(1)
                .disable_signals();
            side_doors.push(beside(server.listen(listener)?.run()));
        }
        if let (Some(listener), Some(counter)) = (admin, self.counter) {
            let server = HttpServer::new(move || admin::application(counter.clone()))
                .client_request_timeout(header_timeout)
                .workers(1)
                .disable_signals();
            side_doors.push(beside(server.listen(listener)?.run()));
        }
        let template = Upstreams::new().map_err(io::Error::other)?;
        let template = Arc::new(template);
        let server = Server::build()
            .shutdown_timeout(drain_timeout.as_secs().max(1))
            .disable_signals()
            .shutdown_signal(async move {
                shutdown.await;
                // Probes know before the listener closes.
                draining.store(true, Ordering::SeqCst);
                live.close();
            });
        let server = match workers {
            Some(count) => server.workers(count),
            None => server,
        };
        let application = move || inbound::application(current.clone(), template.for_another_worker());
        let served = sentry.stand_at(server, public, application)?.run().await;
        for door in side_doors {
            door.stop(false).await;
        }
        // Tokens that are on their way are used up at the provider: they are waited for, whoever has gone meanwhile.
        // Each renewal has limits of its own.
        refreshes.ended().await;
        revoker.end(LAST_REVOCATIONS).await;
        revoking.abort();
        endings.settle().await;
        // The last request has been answered: what the store has not written yet, it writes now.
        drop(keeper);
        served
    }
}

/// Tells providers of what has ended, from now on; by whatever configuration is in force then.
fn carry_out_debts(revoker: &Arc<Revoker>, current: &web::Data<Current>) -> JoinHandle<()> {
    let (revoker, current) = (Arc::clone(revoker), current.clone());
    let find = move |id: &ProviderId| {
        let desk = current.desk();
        desk.gateway.providers.find(Some(id.as_str())).map(|(_, provider)| Arc::clone(provider))
    };
    tokio::spawn(async move { revoker.run(Box::new(find)).await })
}

/// Lets a server run beside the public one.
fn beside(server: Server) -> ServerHandle {
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "a listener beside the public one has failed");
        }
    });
    handle
}
