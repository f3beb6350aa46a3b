//! How the house speaks of itself.
//!
//! I own: the set-up of log lines, and the metrics (`metrics`). I may call: `config`, `ports`. I never decide what is said: each room says what it did, and
//! none of them says a secret.

pub mod metrics;

use crate::config::{LogFormat, LogSettings};
use std::io::{self, IsTerminal as _};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Sends log lines to standard error, in the configured form. Lines of libraries are kept only from `warn` upwards:
/// at finer levels some of them print headers.
///
/// # Errors
/// When a subscriber is set already.
pub fn install(settings: LogSettings) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let levels = Targets::new()
        .with_default(tracing::Level::WARN)
        // It reports each cookie that is not ours at `warn`, with nothing that helps.
        .with_target("actix_session", tracing::Level::ERROR)
        // One line at `error` for every malformed request of a stranger, with nothing to find them by.
        .with_target("actix_http", LevelFilter::OFF)
        .with_target("keycard", settings.level);
    let layer = match settings.format {
        LogFormat::Json => {
            fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(io::stderr).boxed()
        }
        LogFormat::Human => {
            fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).boxed()
        }
    };
    tracing_subscriber::registry().with(layer.with_filter(levels)).try_init()?;
    Ok(())
}
