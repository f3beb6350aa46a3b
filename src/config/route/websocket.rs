//! `websocket` and `websocket_idle_timeout` of `[[route]]`.
//!
//! I own: these two keys. I may call: `cursor`. I never let WebSockets through where nobody asked for them.

use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::domain::websocket::WebSocketRules;

pub(super) const WEBSOCKET: Key = Key::with_default(
    "websocket",
    Kind::Boolean,
    "false",
    "Whether WebSockets may pass. A tunnel is closed with code 4401 when its session ends.",
);

pub(super) const WEBSOCKET_IDLE_TIMEOUT: Key = Key::with_default(
    "websocket_idle_timeout",
    Kind::Duration,
    r#""1h""#,
    "The longest silence of a WebSocket, both ways together.",
);

pub(super) fn read(section: &mut Section<'_>) -> Result<WebSocketRules, Reported> {
    let unsaid = WebSocketRules::default();
    let allowed = section.or("websocket", unsaid.allowed, |entry| entry.boolean());
    let idle_timeout = section.or("websocket_idle_timeout", unsaid.idle_timeout, Entry::time_limit);
    Ok(WebSocketRules { allowed: allowed?, idle_timeout: idle_timeout? })
}
