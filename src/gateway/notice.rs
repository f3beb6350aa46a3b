//! A provider says that somebody is gone (OpenID Connect Back-Channel Logout 1.0).
//!
//! I own: [`Gateway::hear_logout`] and the order of its steps. I may call: `domain`, `ports`, and `gateway::ending` for
//! every end. I never end anything on a notice that the provider did not sign, and never say that I heard one before all
//! that it means is done.
//!
//! The mark comes first, so that a login which is being completed at this moment finds it; the name of the token is
//! noted last, so that a provider which was told to come back can do so with the same token. Two deliveries at once are
//! both carried out, which is the same as one.

use super::{Gateway, GatewayError};
use crate::domain::ending::Ending;
use crate::domain::identity::ProviderId;
use crate::domain::logout::{Departed, LogoutNotice, MARK_KEPT};
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use std::time::Duration;

/// By how much the clocks of two gateways may differ before one of them hears a token again that the other has heard.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is carried out; so many sessions were there to end.
    Ended(usize),
    /// It was carried out before.
    Again,
}

impl Gateway {
    /// Verifies a logout token and does what it says. `named` is the provider in the path; without one there has to be
    /// exactly one provider, as for callbacks.
    ///
    /// # Errors
    /// [`GatewayError::NoSuchProvider`], [`GatewayError::Provider`], and [`GatewayError::Store`]: then it is not, or not
    /// wholly, carried out, and the same token is good for another time.
    pub async fn hear_logout(&self, named: Option<&ProviderId>, token: &str) -> Result<Heard, GatewayError> {
        let found = match named {
            None if self.providers.are_several() => None,
            named => self.providers.find(named.map(ProviderId::as_str)),
        };
        let (_, provider) = found.ok_or(GatewayError::NoSuchProvider)?;
        let notice = provider.verify_logout(token).await?;
        let now = self.clock.now();
        if self.store.marked(&[notice.mark()], now).await?.is_some() {
            return Ok(Heard::Again);
        }
        self.store.mark(notice.not_before(), now, MARK_KEPT).await?;
        let mut ended = 0;
        for key in self.departed(&notice, now).await? {
            if let Some(listed) = self.store.glance(&key, now).await? {
                ended += usize::from(self.end_listed(&listed, Ending::ByProvider, now).await?);
            }
        }
        let keep = notice.good_until.since(now) + CLOCKS_DIFFER;
        self.store.mark(notice.mark(), now, keep).await?;
        Ok(Heard::Ended(ended))
    }

    async fn departed(&self, notice: &LogoutNotice, now: Timestamp) -> Result<Vec<SessionKey>, StoreError> {
        let issuer = &notice.issuer;
        match &notice.departed {
            Departed::ProviderSession(sid) => self.store.of_provider_sid(issuer, sid, now).await,
            Departed::Person(subject) => self.store.of_subject(issuer, subject, now).await,
            Departed::PersonInProviderSession(subject, sid) => {
                let theirs = self.store.of_subject(issuer, subject, now).await?;
                let mut there = self.store.of_provider_sid(issuer, sid, now).await?;
                there.retain(|key| theirs.contains(key));
                Ok(there)
            }
        }
    }
}
