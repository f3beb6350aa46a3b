//! The place of one server's feed in a cluster.
//!
//! I own: [`Home`]: in which slot its heartbeats lie; and how sessions are spread over slots. I may call: the cluster. I
//! never let a heartbeat lie with another server than the one whose feed it proves.

use crate::domain::session::SessionKey;
use crate::store::near::trust::{MOST_FEEDS, Spread};
use crate::store::redis::cluster::Cluster;
use crate::store::redis::cluster::map::Address;
use crate::store::redis::cluster::slot::{SLOTS, slot, tag_within};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;

/// A session's place is the slot of its keys.
pub(super) const SPREAD: Spread = Spread { places: SLOTS, feeds: MOST_FEEDS, place };

fn place(key: &SessionKey) -> u16 {
    // 32 bytes are 43 characters.
    let mut text = [0; 43];
    let written = URL_SAFE_NO_PAD.encode_slice(key.as_bytes(), &mut text).unwrap_or_default();
    slot(&text[..written])
}

/// A server of a cluster.
pub(super) struct Home {
    pub(super) cluster: Arc<Cluster>,
    pub(super) address: Address,
}

impl Home {
    /// A hash tag for keys that lie with this server; `None` when it has no slot that is not on its way.
    pub(super) fn tag(&self) -> Option<String> {
        let map = self.cluster.map();
        tag_within(|slot| map.settled(slot) == Some(&self.address))
    }

    /// Asks for the map anew.
    pub(super) fn look_again(&self) {
        drop(self.cluster.ask_anew(None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_session_is_the_slot_of_its_record() {
        for byte in 0..=255 {
            let key = SessionKey::from_digest([byte; 32]);
            let name = format!("keycard:s:{{{}}}", URL_SAFE_NO_PAD.encode([byte; 32]));
            assert_eq!(place(&key), slot(name.as_bytes()));
        }
    }
}
