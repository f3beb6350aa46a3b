//! A provider says that somebody is gone: by a signed token (OpenID Connect Back-Channel Logout 1.0), or by a browser
//! that it sends here with the name of its session (Front-Channel Logout 1.0).
//!
//! I own: [`Gateway::hear_logout`], [`Gateway::hear_frame`] and the order of their steps. I may call: `domain`, `ports`,
//! and `gateway::ending` for every end. I never end anything on a token that the provider did not sign, nor without one
//! for whoever cannot name the provider's session; and I never say that I heard a notice before all that it means is
//! done.
//!
//! Where the store does not answer, the provider is told to come back; but many never do. So the notice is in force in this
//! process by its mark, and is carried out when the store is back, whether or not it comes again.
//!
//! The mark comes first, so that a login which is being completed at this moment finds it; the name of the token is
//! noted last, so that a provider which was told to come back can do so with the same token. Two deliveries at once are
//! both carried out, which is the same as one.

use super::{Gateway, GatewayError};
use crate::domain::ending::Ending;
use crate::domain::identity::{Issuer, ProviderId};
use crate::domain::logout::{Departed, LogoutNotice, MARK_KEPT};
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::{IdentityProvider, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How soon a notice is carried out again that the store was away for.
const CARRIED_OUT_AGAIN: Duration = Duration::from_secs(1);

/// By how much the clocks of two gateways may differ before one of them hears a token again that the other has heard.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// How a notice has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    ByToken,
    /// It has no name to be used up.
    ByFrame,
}

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
    /// [`GatewayError::NoSuchProvider`], [`GatewayError::Provider`], and [`GatewayError::Store`]: then it is in force in
    /// this process at most, and the same token is good for another time.
    pub async fn hear_logout(
        self: &Arc<Self>,
        named: Option<&ProviderId>,
        token: &str,
    ) -> Result<Heard, GatewayError> {
        let provider = self.addressed(named).ok_or(GatewayError::NoSuchProvider)?;
        let notice = provider.verify_logout(token).await?;
        let now = self.clock.now();
        let done = match self.store.marked(&[notice.mark()], now).await {
            Ok(Some(_)) => return Ok(Heard::Again),
            Ok(None) => self.carry_out(&notice, now, now).await,
            // It may have been heard before, and is not the less true for that. The mark is in force here at least.
            Err(error) => self.store.mark(notice.not_before(), now, MARK_KEPT).await.and(Err(error)),
        };
        if let Err(StoreError::Unavailable(_)) = &done {
            self.carry_out_later(notice, Told::ByToken, now);
        }
        Ok(Heard::Ended(done?))
    }

    /// Does what a token says that was heard at `heard`, and uses it up; how many sessions it ended.
    async fn carry_out(
        &self,
        notice: &LogoutNotice,
        heard: Timestamp,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let ended = self.end_meant(notice, heard, now).await?;
        let keep = notice.good_until.since(now) + CLOCKS_DIFFER;
        self.store.mark(notice.mark(), now, keep).await?;
        Ok(ended)
    }

    /// Ends whom a notice means that was heard at `heard`; how many sessions there were. When this is asked for later,
    /// those stay who have come since.
    async fn end_meant(
        &self,
        notice: &LogoutNotice,
        heard: Timestamp,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.store.mark(notice.not_before(), heard, MARK_KEPT).await?;
        let stay = (now > heard).then_some(heard);
        let ended = self.end_departed(&self.departed(notice, now).await?, stay, now).await?;
        self.settled(ended)
    }

    /// Carries a notice out when the store is back; at the latest when everybody whom it means is gone by themselves.
    fn carry_out_later(self: &Arc<Self>, notice: LogoutNotice, told: Told, heard: Timestamp) {
        let gateway = Arc::clone(self);
        let later = async move {
            loop {
                sleep(CARRIED_OUT_AGAIN).await;
                let now = gateway.clock.now();
                let done = match told {
                    Told::ByToken => gateway.carry_out(&notice, heard, now).await,
                    Told::ByFrame => gateway.end_meant(&notice, heard, now).await,
                };
                match done {
                    Err(StoreError::Unavailable(_)) if now < heard.plus(gateway.limits.lifetime) => {}
                    Err(error) => return tracing::warn!(%error, "a logout notice was not carried out"),
                    Ok(_) => return tracing::info!("a logout notice was carried out late"),
                }
            }
        };
        if !self.refreshes.beside(later) {
            tracing::warn!(
                "too many logout notices wait for the store: this one is good only if it comes again"
            );
        }
    }

    /// Ends the sessions that stand on this session of the provider; how many there were (R87). Nobody has signed
    /// this: `sid` is the proof, which only the provider and whoever was signed in there know.
    ///
    /// A `sid` of nobody's costs one look at the index and writes nothing: what anybody may send must not fill the
    /// store. So, unlike a logout token, it does not stop a login that is under way, unless somebody is in by that `sid`.
    ///
    /// # Errors
    /// [`GatewayError::Store`]: then it is in force in this process at most, and may be tried again.
    pub async fn hear_frame(self: &Arc<Self>, issuer: &Issuer, sid: &str) -> Result<usize, GatewayError> {
        let now = self.clock.now();
        if self.store.of_provider_sid(issuer, sid, now).await?.is_empty() {
            return Ok(0);
        }
        let departed = Departed::ProviderSession(sid.to_owned());
        let notice = LogoutNotice { issuer: issuer.clone(), departed, id: String::new(), good_until: now };
        // They are looked for once more: from the mark on, no login escapes.
        let ended = self.end_meant(&notice, now, now).await;
        if let Err(StoreError::Unavailable(_)) = &ended {
            self.carry_out_later(notice, Told::ByFrame, now);
        }
        Ok(ended?)
    }

    /// The provider that a notice is from: the one in its path; without one there has to be exactly one.
    pub fn addressed(&self, named: Option<&ProviderId>) -> Option<&Arc<dyn IdentityProvider>> {
        let found = match named {
            None if self.providers.are_several() => None,
            named => self.providers.find(named.map(ProviderId::as_str)),
        };
        found.map(|(_, provider)| provider)
    }

    /// Ends these sessions, but for those that began after `stay`.
    async fn end_departed(
        &self,
        there: &[SessionKey],
        stay: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut ended = 0;
        for key in there {
            if let Some(listed) = self.store.glance(key, now).await? {
                let began = listed.summary.as_ref().map(|summary| summary.started);
                if stay.is_some_and(|stay| began.is_some_and(|began| stay < began)) {
                    continue;
                }
                ended += usize::from(self.end_listed(&listed, Ending::ByProvider, now).await?);
            }
        }
        Ok(ended)
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
