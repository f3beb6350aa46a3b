//! A gateway under test: the real app, on a free port, with the clock of the test.
//!
//! I own: [`Plan`], which writes a configuration, and [`TestGateway`], which runs it. I may call: `keycard`'s two doors,
//! `config::parse` and `app::App`, in [`run`] and nowhere else. I never reach inside the app.

use super::browser::Browser;
use super::clock::ManualClock;
use super::evidence;
use super::provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use keycard::app::Doors;
use keycard::app::reload::{Outcome, Reloader, Trigger};
use keycard::config::sources::{Reading, noting};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The public origin unless a test asks for another: https, as if TLS ended in front of the gateway, so that the
/// cookie under test is the real one.
pub const ORIGIN: &str = "https://apps.example.test";

/// What opens the door for operators.
pub const ADMIN_TOKEN: &str = "Qm7xT2vK9pLw4RzN8sYd6HcJ3bFgUe5a";

/// A configuration in the making.
#[derive(Clone, Default)]
pub struct Plan {
    /// `public_url`; empty is [`ORIGIN`]; `http://localhost` gets the port.
    pub public_url: String,
    /// `session.store`; empty is `memory`.
    pub store: String,
    /// Whether there are doors for probes and operators.
    pub operating: bool,
    key: Option<String>,
    server: String,
    session: String,
    identity: String,
    providers: Vec<String>,
    routes: Vec<String>,
}

impl Plan {
    /// Further lines of `[server]`.
    pub fn server_extra(&mut self, toml: &str) {
        self.server.push_str(&format!("{toml}\n"));
    }

    /// Further lines of `[session]`.
    pub fn session_extra(&mut self, toml: &str) {
        self.session.push_str(&format!("{toml}\n"));
    }

    /// Further lines of `[identity]`.
    pub fn identity_extra(&mut self, toml: &str) {
        self.identity.push_str(&format!("{toml}\n"));
    }

    /// A Redis server in place of memory.
    pub fn store_redis(&mut self, url: &str) {
        self.store = url.to_owned();
    }

    /// A Redis that is asked for each request: for tests of what the store itself says.
    pub fn store_redis_asked(&mut self, url: &str) {
        self.store_redis(url);
        self.session_extra("cache_sessions = 0");
    }

    /// One file in a directory in place of memory, with the key that is made beside it.
    pub fn store_embedded(&mut self, directory: &Path) {
        self.store = "embedded".to_owned();
        self.session_extra(&format!("store_path = {:?}", directory.display().to_string()));
    }

    /// The key in this file in place of the usual one.
    pub fn key_file(&mut self, file: &Path) {
        self.key = Some(format!("keys = [{{ file = {:?} }}]", file.display().to_string()));
    }

    /// A provider, with further lines of its table.
    pub fn provider(&mut self, id: &str, provider: &Provider, extra: &str) {
        let issuer = provider.issuer();
        self.providers.push(format!(
            "[[provider]]\nid = \"{id}\"\nissuer = \"{issuer}\"\nclient_id = \"{CLIENT_ID}\"\n\
             client_secret = \"{CLIENT_SECRET}\"\nscopes = [\"openid\", \"profile\", \"email\"]\n{extra}\n"
        ));
    }

    /// Further lines for the provider added last.
    pub fn provider_extra(&mut self, toml: &str) {
        let last = self.providers.last_mut().expect("no provider yet");
        last.push_str(&format!("{toml}\n"));
    }

    /// A whole route table, without its `[[route]]`.
    pub fn route(&mut self, toml: &str) {
        self.routes.push(format!("[[route]]\n{toml}\n"));
    }

    /// The upstream of the route added first.
    pub fn upstream_url(&self) -> String {
        let lines = self.routes.first().into_iter().flat_map(|route| route.lines());
        let value = lines.filter_map(|line| line.strip_prefix("upstream = ")).next().expect("no route yet");
        value.trim_matches('"').to_owned()
    }

    /// Further lines for every route that is not public.
    pub fn guarded_routes_extra(&mut self, toml: &str) {
        for route in self.routes.iter_mut().filter(|route| !route.contains("access = \"public\"")) {
            route.push_str(&format!("{toml}\n"));
        }
    }

    /// The configuration for a gateway that listens there.
    pub fn text_for(&self, address: SocketAddr) -> String {
        self.text(address, ORIGIN)
    }

    fn text(&self, address: SocketAddr, origin: &str) -> String {
        let store = if self.store.is_empty() { "memory" } else { &self.store };
        // 32 bytes in base64, the same for every gateway: two of them can share a store.
        let key = "keys = [\"a2V5Y2FyZC10ZXN0LXNlYWxpbmcta2V5LTMyLWJ5dGU=\"]";
        let key = if store == "embedded" { "" } else { self.key.as_deref().unwrap_or(key) };
        format!(
            "[server]\nlisten = \"{address}\"\npublic_url = \"{origin}\"\nworkers = 1\n{}\n\
             [session]\nstore = \"{store}\"\n{key}\n{}\n[identity]\n{}\n{}\n{}",
            self.server,
            self.session,
            self.identity,
            self.providers.join("\n"),
            self.routes.join("\n"),
        )
    }

    /// Starts it.
    pub fn start(&self, clock: &ManualClock) -> TestGateway {
        self.try_start(clock).unwrap_or_else(|why| panic!("the gateway does not start: {why}"))
    }

    /// Starts it, or says why it does not start.
    pub fn try_start(&self, clock: &ManualClock) -> Result<TestGateway, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let origin = match self.public_url.as_str() {
            "" => ORIGIN.to_owned(),
            "http://localhost" => format!("http://localhost:{}", address.port()),
            other => other.to_owned(),
        };
        let (mut plan, mut doors) = (self.clone(), Doors::from(listener));
        let (mut health, mut admin) = (None, None);
        if self.operating {
            let open = || TcpListener::bind("127.0.0.1:0").unwrap();
            (doors.health, doors.admin) = (Some(open()), Some(open()));
            let address = |door: &Option<TcpListener>| door.as_ref().map(|door| door.local_addr().unwrap());
            (health, admin) = (address(&doors.health), address(&doors.admin));
            plan.server_extra(&format!(
                "health_listen = \"{}\"\nadmin_listen = \"{}\"\nadmin_token = \"{ADMIN_TOKEN}\"",
                health.unwrap(),
                admin.unwrap()
            ));
        }
        let config = plan.text(address, &origin);
        evidence::begin();
        evidence::secret("client_secret", ADMIN_TOKEN);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let text = Arc::new(Mutex::new(config.clone()));
        let (told, clock) = (Arc::clone(&text), clock.clone());
        let thread = thread::spawn(move || run(told, clock, doors, stopped, &ready));
        let reloader = match is_ready.recv() {
            Ok(Ok(reloader)) => reloader,
            Ok(Err(why)) => return Err(format!("{why}\n{config}")),
            Err(_) => return Err(format!("its thread ended before it was ready\n{config}")),
        };
        let (stop, thread) = (Some(stop), Some(thread));
        Ok(TestGateway { address, health, admin, origin, config, text, reloader, stop, thread })
    }
}

/// A gateway that runs until it is stopped or dropped.
pub struct TestGateway {
    pub address: SocketAddr,
    /// The door for probes, in an operating plan.
    pub health: Option<SocketAddr>,
    /// The door for operators, in an operating plan.
    pub admin: Option<SocketAddr>,
    pub origin: String,
    config: String,
    /// What a reload reads.
    text: Arc<Mutex<String>>,
    reloader: Arc<Reloader>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestGateway {
    /// A browser that knows the way here and has no cookies yet.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.origin, self.address)
    }

    /// The configuration that it runs on.
    pub fn config_text(&self) -> &str {
        &self.config
    }

    /// Lets it read this configuration instead, as at SIGHUP.
    pub fn reload(&self, config: &str) -> Outcome {
        config.clone_into(&mut self.text.lock().unwrap());
        self.reloader.reload(Trigger::Signal)
    }

    /// The host that a browser names.
    pub fn host(&self) -> &str {
        self.origin.split("://").nth(1).unwrap()
    }

    /// The names of the two cookies: session and login binding.
    pub fn cookie_names(&self) -> (&'static str, &'static str) {
        if self.origin.starts_with("https:") {
            ("__Host-keycard", "__Host-keycard-login")
        } else {
            ("keycard", "keycard-login")
        }
    }

    /// Asks it to stop, and does not wait.
    pub fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Whether it stops within `limit`, having been told to.
    pub fn stops_within(mut self, limit: Duration) -> bool {
        self.tell_to_stop();
        let thread = self.thread.take().unwrap();
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || done.send(thread.join().is_ok()));
        is_done.recv_timeout(limit).unwrap_or(false)
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        // The thread finds the sender gone and drains by itself.
        drop(self.stop.take());
    }
}

/// Nothing of the machine that the tests run on.
struct NoEnvironment;

impl keycard::config::environment::Environment for NoEnvironment {
    fn var(&self, _name: &str) -> Option<String> {
        None
    }

    fn variables(&self, _prefix: &str) -> Vec<keycard::config::environment::Variable> {
        Vec::new()
    }

    fn read_file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn file_mode(&self, _path: &Path) -> Option<u32> {
        Some(0o600)
    }
}

/// Runs the app on this thread until `stopped` says so or its sender is gone; says on `ready` how the start went.
fn run(
    text: Arc<Mutex<String>>,
    clock: ManualClock,
    doors: Doors,
    stopped: tokio::sync::oneshot::Receiver<()>,
    ready: &mpsc::Sender<Result<Arc<Reloader>, String>>,
) {
    let read = move || {
        let text = text.lock().unwrap().clone();
        noting(&NoEnvironment, text.as_bytes(), |all| keycard::config::parse("keycard.toml", &text, all))
    };
    let Reading { settings, sources } = read();
    let settings = match settings {
        Ok(settings) => settings,
        Err(problems) => return ready.send(Err(problems.to_string())).unwrap(),
    };
    actix_web::rt::System::new().block_on(async move {
        match keycard::app::App::build(settings, Arc::new(clock)).await {
            Ok(app) => {
                // The listener is open already: whoever connects from now on waits in its queue.
                ready.send(Ok(app.reloader(sources, read))).unwrap();
                app.serve(doors, async move { drop(stopped.await) }).await.unwrap();
            }
            Err(why) => ready.send(Err(why.to_string())).unwrap(),
        }
    });
}
