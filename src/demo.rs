//! `keycard demo`: everything in one process, to be seen working before anything is set up.
//!
//! I own: the demo's provider ([`idp`]), its apps, its sockets, its configuration and its tour. I may call: `config` and
//! `app`, by the same two doors as `keycard serve`, and `keyring`, `ports`. I never give the gateway a way that an
//! operator does not have, and I am not part of production images (cargo feature `demo`).

pub mod idp;

mod apps;
mod chat;
mod configuration;
mod doors;
mod folder;
mod paper;
mod tour;

use crate::app::{self, App, StartError};
use crate::config::environment::Environment;
use crate::config::problem::Problems;
use crate::config::{self, LogSettings, Settings};
use crate::keyring::{self, NoRandomness};
use crate::ports::Clock;
use actix_web::{HttpServer, web};
use apps::Apps;
use doors::Doors;
use folder::Folder;
use idp::Idp;
use idp::client::Client;
use idp::keys::SigningKey;
use std::future::Future;
use std::io;
use std::sync::Arc;
use tokio::sync::watch;
use tour::Run;

/// The name of the provider's key in the folder: tokens of yesterday are good today.
const KEY_FILE: &str = "provider-key.pkcs8";
/// The name of the generated configuration there.
const CONFIG_FILE: &str = "keycard.toml";

/// How long requests in flight at the provider and the apps may go on after the end, in seconds.
const PATIENCE: u64 = 1;

/// Why a demo cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No port, no folder, no socket.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The generated configuration is wrong.
    #[error("the demo's own configuration has mistakes:\n{0}")]
    Configuration(Problems),
    /// The gateway does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A page is broken.
    #[error("a page of the demo is broken: {0}")]
    Page(#[from] minijinja::Error),
    /// No random numbers.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// No key for the provider.
    #[error("the demo's provider cannot make its key")]
    NoKey,
}

/// A demo whose sockets are open and whose gateway has a configuration.
pub struct Demo {
    doors: Doors,
    settings: Settings,
    clock: Arc<dyn Clock>,
    idp: web::Data<Idp>,
    apps: web::Data<Apps>,
    tour: String,
    /// Kept until the end: a passing folder goes with it.
    _folder: Folder,
}

impl Demo {
    /// Opens the sockets, the gateway's on `port` if it is free, and prepares everything.
    ///
    /// # Errors
    /// See [`DemoError`].
    pub fn prepare(
        port: u16,
        environment: &dyn Environment,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DemoError> {
        let (doors, ports) = Doors::open(port)?;
        let folder = Folder::open(environment, (port != 0).then_some(ports.gateway))?;
        let home = format!("http://localhost:{}", ports.gateway);
        // Another host than the gateway's, as providers are: cookies know hosts, but no ports.
        let issuer = format!("http://127.0.0.1:{}", ports.idp);
        let (secret, password) = (keyring::new_text::<32>()?, password()?);
        folder.write(configuration::ADMIN_TOKEN_FILE, keyring::new_text::<32>()?.as_bytes())?;
        let text = configuration::text(ports, &issuer, &home, &secret, folder.path());
        let settings = config::parse(CONFIG_FILE, &text, environment).map_err(DemoError::Configuration)?;
        let config = folder.path().join(CONFIG_FILE).display().to_string();
        let kept = folder.write(CONFIG_FILE, text.as_bytes()).is_ok();
        let tour = tour::text(&Run {
            home: &home,
            issuer: &issuer,
            password: &password,
            admin: &format!("http://127.0.0.1:{}", ports.admin),
            program: &folder::program(),
            token_file: &folder.path().join(configuration::ADMIN_TOKEN_FILE),
            taken: (port != 0 && port != ports.gateway).then_some(port),
            config: kept.then_some(config.as_str()),
        });
        let key = Arc::new(key(&folder)?);
        let client = Client {
            id: configuration::CLIENT_ID.to_owned(),
            secret: secret.to_string(),
            logout_path: Some(configuration::LOGOUT_PATH.to_owned()),
        };
        let idp = Idp::new(&issuer, &home, client, &password, Arc::clone(&key), Arc::clone(&clock))?;
        let apps = Apps::new(key, idp.api_audience(), Arc::clone(&clock))?;
        let (idp, apps) = (web::Data::new(idp), web::Data::new(apps));
        Ok(Self { doors, settings, clock, idp, apps, tour, _folder: folder })
    }

    /// How to log.
    pub fn log(&self) -> LogSettings {
        self.settings.log
    }

    /// Runs until `stop` completes. `ready` gets the tour as soon as there is something to open.
    ///
    /// # Errors
    /// See [`DemoError`].
    pub async fn serve(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
        ready: impl FnOnce(&str),
    ) -> Result<(), DemoError> {
        let Self { doors, settings, clock, idp, apps, tour, _folder } = self;
        let gateway = App::build(settings, clock).await?;
        let (stopping, stopped) = watch::channel(());
        actix_web::rt::spawn(async move {
            stop.await;
            drop(stopping);
        });
        ready(&tour);
        let provider = HttpServer::new(move || idp::application(idp.clone()))
            .workers(1)
            .disable_signals()
            .shutdown_timeout(PATIENCE)
            .shutdown_signal(over(stopped.clone()))
            .listen(doors.idp)?;
        let behind = HttpServer::new(move || apps::application(apps.clone()))
            .workers(1)
            .disable_signals()
            .shutdown_timeout(PATIENCE)
            .shutdown_signal(over(stopped.clone()))
            .listen(doors.apps)?;
        let public_and_admin = app::Doors { public: doors.gateway, health: None, admin: Some(doors.admin) };
        tokio::try_join!(gateway.serve(public_and_admin, over(stopped)), provider.run(), behind.run())?;
        Ok(())
    }
}

/// The key of the provider: the one of last time, or a new one.
fn key(folder: &Folder) -> Result<SigningKey, DemoError> {
    if let Some(key) = folder.read(KEY_FILE).and_then(|der| SigningKey::from_pkcs8(&der)) {
        return Ok(key);
    }
    let key = SigningKey::generate().map_err(|_| DemoError::NoKey)?;
    if let Ok(der) = key.to_pkcs8() {
        // Not kept is only inconvenient: tokens of this run are no good in the next.
        let _ = folder.write(KEY_FILE, &der);
    }
    Ok(key)
}

/// Two times four letters, to be typed by hand: none that could be taken for another.
fn password() -> Result<String, NoRandomness> {
    let noise = keyring::new_text::<96>()?;
    let clear = |letter: &char| letter.is_ascii_lowercase() && !matches!(letter, 'i' | 'l' | 'o');
    let letters: String = noise.chars().filter(clear).take(8).collect();
    let (first, second) = letters.split_at(letters.len() / 2);
    Ok(format!("{first}-{second}"))
}

/// Completes when the sender is gone.
async fn over(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}
