//! What a route says about WebSockets.
//!
//! I own: [`WebSocketRules`]. I may call: nothing. I never open one.

use std::time::Duration;

/// The keys `websocket` and `websocket_idle_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocketRules {
    /// Whether handshakes may pass at all (R78).
    pub allowed: bool,
    /// The longest silence in both directions together.
    pub idle_timeout: Duration,
}

impl Default for WebSocketRules {
    fn default() -> Self {
        Self { allowed: false, idle_timeout: Duration::from_secs(3600) }
    }
}
