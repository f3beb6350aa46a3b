//! The verifier as the benches measure it.
//!
//! I own: [`Published`], a provider's keys and what is asked of every token by them. I may call: `jwt`, `jwks`,
//! `id_token`, `domain`. I never fetch anything, and nobody is signed in by me.

use super::id_token::{judge_parties, judge_times};
use super::jwks::KeySet;
use super::jwt::{Unverified, Verifier};
use crate::domain::algorithm::SigningAlgorithm;
use crate::domain::identity::Issuer;
use crate::domain::time::Timestamp;
use std::time::Duration;

/// The keys of a provider, as they are kept between two tokens.
pub struct Published {
    keys: KeySet,
    issuer: Issuer,
    client_id: String,
}

impl Published {
    /// From a JWK set; `None` when it is none.
    pub fn new(jwks: &str, issuer: &str, client_id: &str) -> Option<Self> {
        let keys = KeySet::parse(jwks.as_bytes()).ok()?;
        Some(Self { keys, issuer: Issuer::new(issuer), client_id: client_id.to_owned() })
    }

    /// Whether a token is signed by one of the keys, for this client, now: what a service does that is shown one.
    pub fn accepts(&self, token: &str, now: Timestamp) -> bool {
        let allowed = [SigningAlgorithm::Rs256, SigningAlgorithm::Es256];
        let Ok(unverified) = Unverified::parse(token, &allowed) else { return false };
        let Ok(token) = unverified.verify(&Verifier::Published(&self.keys)) else { return false };
        judge_parties(token.claims(), &self.issuer, &self.client_id).is_ok()
            && judge_times(token.claims(), Duration::from_secs(60), now).is_ok()
    }
}
