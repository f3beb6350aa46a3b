//! The edge of the process: arguments, exit codes, signals.
//!
//! I own: the command line. I may call: `config`, `telemetry`, `app`, `cli`, `keyring` (for a new key). I never do the
//! work.
//!
//! Exit codes: 0 done, 1 cannot start or serve, 2 wrong arguments, 64 the configuration has mistakes.

use clap::{Parser, Subcommand};
use keycard::app::{App, SystemClock};
use keycard::cli::sessions::{self, Failure};
use keycard::config::environment::ProcessEnvironment;
use keycard::config::{self, Settings};
use keycard::keyring::MasterKey;
use keycard::telemetry;
use std::future::Future;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The configuration has mistakes (`EX_USAGE` of sysexits).
const BAD_CONFIG: u8 = 64;

/// The arguments cannot work; what clap says for those that it can judge itself.
const BAD_ARGUMENTS: u8 = 2;

#[derive(Parser)]
#[command(
    name = "keycard",
    version,
    about = "A front desk for web apps: OpenID Connect sign-in, server-side sessions, one cookie."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Serve {
        /// The configuration file.
        #[arg(long, default_value = "keycard.toml")]
        config: PathBuf,
    },
    /// Check a configuration file: every mistake at once, or a summary with all time limits.
    Check {
        /// The configuration file.
        #[arg(long, default_value = "keycard.toml")]
        config: PathBuf,
    },
    /// Keys for `session.keys`.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// The sessions of a running gateway, through its `server.admin_listen`.
    Sessions {
        #[command(subcommand)]
        command: sessions::Command,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Print a fresh key.
    New,
}

fn main() -> ExitCode {
    // Before anything opens a connection: one cryptography for every TLS client in the process.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return fail(&"another TLS provider is installed already");
    }
    match Arguments::parse().command {
        Command::Serve { config } => match load(&config) {
            Ok(settings) => serve(settings),
            Err(code) => code,
        },
        Command::Check { config } => match load(&config) {
            Ok(settings) => {
                say(&config::describe(&settings));
                ExitCode::SUCCESS
            }
            Err(code) => code,
        },
        Command::Keys { command: KeysCommand::New } => match MasterKey::generate() {
            Ok(key) => {
                say(key.to_text().as_str());
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        Command::Sessions { command } => operate(&command),
    }
}

fn operate(command: &sessions::Command) -> ExitCode {
    match actix_web::rt::System::new().block_on(sessions::run(command, &ProcessEnvironment)) {
        Ok(answer) => {
            say(&answer);
            ExitCode::SUCCESS
        }
        Err(Failure::Failed(why)) => fail(&why),
        Err(Failure::Usage(why)) => {
            fail(&why);
            ExitCode::from(BAD_ARGUMENTS)
        }
    }
}

fn load(path: &Path) -> Result<Settings, ExitCode> {
    config::load(path, &ProcessEnvironment).map_err(|problems| {
        complain(&problems);
        ExitCode::from(BAD_CONFIG)
    })
}

fn serve(settings: Settings) -> ExitCode {
    if let Err(error) = telemetry::install(settings.log) {
        return fail(&error);
    }
    match actix_web::rt::System::new().block_on(run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn run(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
    let (address, health) = (settings.server.listen, settings.server.health_listen);
    let admin = settings.server.admin.as_ref().map(|admin| admin.listen);
    let origins: Vec<String> =
        settings.server.origins.iter().map(|origin| origin.as_str().to_owned()).collect();
    let stop = stop_signal()?;
    let app = App::build(settings, Arc::new(SystemClock)).await?;
    let doors = app.open_doors()?;
    let (health, admin) = (health.map(tracing::field::display), admin.map(tracing::field::display));
    tracing::info!(%address, health, admin, origins = origins.join(", "), "keycard is serving");
    app.serve(doors, stop).await?;
    tracing::info!("keycard has stopped");
    Ok(())
}

/// Completes at the first SIGTERM or SIGINT; a second one ends the process at once.
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new requests; a second signal stops at once");
        actix_web::rt::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    })
}

/// The answer of a command. Whoever reads it may stop early (`keycard sessions list | head`): that is no failure.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

#[expect(clippy::print_stderr, reason = "there may be no log yet")]
fn complain(error: &dyn std::fmt::Display) {
    eprintln!("{error}");
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    complain(&format!("keycard: {error}"));
    ExitCode::FAILURE
}
