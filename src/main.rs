//! The edge of the process: arguments, exit codes, signals.
//!
//! I own: the command line. I may call: `config`, `telemetry`, `app`, `cli`, `keyring` (for a new key), `demo` where it
//! is built in. I never do the work.
//!
//! Exit codes: 0 done, 1 cannot start, serve or reach what is needed, 2 wrong arguments, 64 the configuration has
//! mistakes.

use clap::{Parser, Subcommand};
use keycard::app::bounds::bounds;
use keycard::app::connect::connect;
use keycard::app::{App, SystemClock, reload};
use keycard::cli::sessions::{self, Failure};
use keycard::cli::{health, keys};
use keycard::config::environment::{Environment as _, ProcessEnvironment};
use keycard::config::problem::Problems;
use keycard::config::sources::{self, Reading, Sources};
use keycard::config::{self, Settings};
use keycard::keyring::MasterKey;
use keycard::telemetry;
use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
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
    /// Everything in one process, to be tried out: an identity provider, three apps and the gateway.
    #[cfg(feature = "demo")]
    Demo {
        /// The port to open in a browser; the next free one if it is taken, any free one if it is 0.
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
    /// Run the gateway.
    Serve {
        /// The configuration file [default: keycard.toml, or none where KEYCARD__ variables say everything].
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Check a configuration file: every mistake at once, or a summary with all time limits.
    Check {
        /// Also try to reach the providers, the store and the apps; exits with 1 if one of them cannot be reached.
        #[arg(long)]
        connect: bool,
        /// The configuration file [default: keycard.toml, or none where KEYCARD__ variables say everything].
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Ask a running gateway whether it is alive: exit code 0 or 1. For health checks of containers.
    Health {
        /// What to ask [default: /livez on KEYCARD__SERVER__HEALTH_LISTEN, or on 127.0.0.1:9090].
        #[arg(long)]
        url: Option<String>,
    },
    /// Print the JSON Schema of the configuration file, for editors.
    Schema {
        /// Print the reference of all keys instead, as Markdown for people.
        #[arg(long)]
        markdown: bool,
    },
    /// Keys for `session.keys`: a fresh one, and which are still needed.
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
    /// Show which keys the sessions of a running gateway still need, through its `server.admin_listen`.
    Status {
        /// How to reach the gateway.
        #[command(flatten)]
        reach: sessions::Reach,
    },
}

fn main() -> ExitCode {
    // Before anything opens a connection: one cryptography for every TLS client in the process.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return fail(&"another TLS provider is installed already");
    }
    match Arguments::parse().command {
        #[cfg(feature = "demo")]
        Command::Demo { port } => demo(port),
        Command::Serve { config } => {
            let Reading { settings, sources } = sources::read(config.as_deref(), &ProcessEnvironment);
            match settings {
                Ok(settings) => serve(config, settings, sources),
                Err(problems) => refuse(&problems),
            }
        }
        Command::Check { config, connect } => match load(config.as_deref()) {
            Ok(settings) => {
                say(&config::describe(&settings, &bounds()));
                say("no mistakes");
                if connect { reach(settings) } else { ExitCode::SUCCESS }
            }
            Err(code) => code,
        },
        Command::Health { url } => match health::run(url.as_deref(), &ProcessEnvironment) {
            Ok(()) => ExitCode::SUCCESS,
            Err(ill) => fail(&ill),
        },
        Command::Schema { markdown } => {
            say(if markdown { config::reference() } else { config::schema() }.trim_end());
            ExitCode::SUCCESS
        }
        Command::Keys { command: KeysCommand::New } => match MasterKey::generate() {
            Ok(key) => {
                say(key.to_text().as_str());
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        Command::Keys { command: KeysCommand::Status { reach } } => {
            operate(async |out| keys::status(&reach, &ProcessEnvironment, out).await)
        }
        Command::Sessions { command } => {
            operate(async |out| sessions::run(&command, &ProcessEnvironment, out).await)
        }
    }
}

/// What became of a command to a running gateway.
fn operate(command: impl AsyncFnOnce(&mut dyn io::Write) -> Result<(), Failure>) -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout());
    let ended = actix_web::rt::System::new().block_on(command(&mut out));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(why)) => fail(&why),
        Err(Failure::Unread(why)) => fail(&why),
        Err(Failure::Usage(why)) => {
            fail(&why);
            ExitCode::from(BAD_ARGUMENTS)
        }
    }
}

fn load(path: Option<&Path>) -> Result<Settings, ExitCode> {
    config::load(path, &ProcessEnvironment).map_err(|problems| refuse(&problems))
}

fn refuse(problems: &Problems) -> ExitCode {
    if colours() {
        complain(&problems.painted());
    } else {
        complain(problems);
    }
    ExitCode::from(BAD_CONFIG)
}

/// Whether standard error is a terminal that wants colours (<https://no-color.org>).
fn colours() -> bool {
    let variable = |name| ProcessEnvironment.var(name).unwrap_or_default();
    io::stderr().is_terminal() && variable("NO_COLOR").is_empty() && variable("TERM") != "dumb"
}

fn reach(settings: Settings) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let findings = runtime.block_on(connect(settings, Arc::new(SystemClock)));
    // A name server that does not answer may keep a thread of it busy for longer than anybody waits.
    runtime.shutdown_background();
    match findings {
        Ok(findings) => {
            say(&format!("\n{findings}"));
            if findings.all_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => fail(&error),
    }
}

fn serve(config: Option<PathBuf>, settings: Settings, sources: Sources) -> ExitCode {
    if let Err(error) = telemetry::install(settings.log) {
        return fail(&error);
    }
    match actix_web::rt::System::new().block_on(run(config, settings, sources)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[cfg(feature = "demo")]
fn demo(port: u16) -> ExitCode {
    let prepared = keycard::demo::Demo::prepare(port, &ProcessEnvironment, Arc::new(SystemClock));
    let demo = match prepared {
        Ok(demo) => demo,
        Err(error) => return fail(&error),
    };
    if let Err(error) = telemetry::install(demo.log()) {
        return fail(&error);
    }
    let served = actix_web::rt::System::new().block_on(async move {
        let stop = stop_signal()?;
        demo.serve(stop, say).await
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn run(
    config: Option<PathBuf>,
    settings: Settings,
    sources: Sources,
) -> Result<(), Box<dyn std::error::Error>> {
    let (address, health) = (settings.server.listen, settings.server.health_listen);
    let admin = settings.server.admin.as_ref().map(|admin| admin.listen);
    let origins: Vec<String> =
        settings.server.origins.iter().map(|origin| origin.as_str().to_owned()).collect();
    let when = settings.server.reload;
    let (stop, hangups) = (stop_signal()?, reload::hangups()?);
    let app = App::build(settings, Arc::new(SystemClock)).await?;
    let doors = app.open_doors()?;
    let (health, admin) = (health.map(tracing::field::display), admin.map(tracing::field::display));
    tracing::info!(%address, health, admin, origins = origins.join(", "), "keycard is serving");
    let reloader = app.reloader(sources, move || sources::read(config.as_deref(), &ProcessEnvironment));
    actix_web::rt::spawn(reload::follow(reloader, when, hangups));
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

/// The answer of a command. Whoever stops reading it has read enough (`keycard sessions list | head`).
fn say(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

/// To the terminal: there may be no log yet.
fn complain(error: &dyn std::fmt::Display) {
    drop(writeln!(io::stderr(), "{error}"));
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    complain(&format!("keycard: {error}"));
    ExitCode::FAILURE
}
