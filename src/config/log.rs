//! `[log]`.
//!
//! I own: the keys of that section. I may call: `cursor`. I never set up logging.

use crate::config::cursor::{Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::config::{LogFormat, LogSettings};
use tracing::Level;

/// The keys of `[log]`, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    Key::with_default(
        "format",
        Kind::Choice(&["human", "json"]),
        r#""human""#,
        r#"The form of log lines: "human" or "json"."#,
    ),
    Key::with_default(
        "level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        r#""info""#,
        r#"The least level that is logged: "error", "warn", "info", "debug" or "trace"."#,
    ),
];

pub(super) fn read(mut section: Section<'_>) -> Result<LogSettings, Reported> {
    let format = section.or("format", LogFormat::Human, |entry| {
        entry.choice(&[("human", LogFormat::Human), ("json", LogFormat::Json)])
    });
    let level = section.or("level", Level::INFO, |entry| {
        entry.choice(&[
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
        ])
    });
    section.finish();
    Ok(LogSettings { format: format?, level: level? })
}
