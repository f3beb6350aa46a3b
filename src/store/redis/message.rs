//! The message that a session was ended, to all gateways that hear the feed.
//!
//! I own: its name, and the sending of it. I may call: `domain`, the room's own types. I never say it before the record is
//! gone, and never make anybody wait for who hears it.
//!
//! Redis tells of a record that is gone, and not why: it may have been ended, have expired, been evicted, or been lost. Only
//! what was ended may be written again after a failover that forgot it, so endings have a message of their own: a key
//! beside the records, written and deleted at once. Its news goes to whoever is told of the records.

use super::connection::Request;
use super::{Redis, key_in};
use crate::domain::session::SessionKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::pipe;

/// What stands before a session key in the name. No session key has a colon in it.
const ENDED: &str = "end:";

/// How long a message lives at most, in milliseconds, where it is not deleted at once.
const TOLD_FOR_MS: u64 = 5000;

/// The session that a message of this name, without the records' prefix, says was ended.
pub(super) fn ended_by(name: &[u8]) -> Option<SessionKey> {
    key_in(name.strip_prefix(ENDED.as_bytes())?)
}

impl Redis {
    /// Tells all gateways: they remember it. That some are not told costs no more than that.
    pub(super) async fn tell_of_end(&self, key: &SessionKey) {
        let name = format!("{}s:{ENDED}{}", self.prefix, URL_SAFE_NO_PAD.encode(key.as_bytes()));
        // It is told when it is written, and leaves nothing behind.
        let mut commands = pipe();
        commands.cmd("SET").arg(&name).arg("").arg("PX").arg(TOLD_FOR_MS).ignore().del(&name).ignore();
        if let Err(error) = self.connection.ask::<()>(Request::Pipeline(&commands)).await {
            tracing::debug!(%error, "other gateways are not told of an ending");
        }
    }
}
