//! What a person may ask about themselves: where they are signed in, and that one of these sessions no longer be.
//!
//! I own: [`Gateway::own_sessions`] and [`Gateway::end_own`]. I may call: `domain`, `ports`, `keyring`, and
//! `gateway::ending` for every end. I never look for a session anywhere but in the index of the one who asks: a handle
//! of somebody else's is looked for, and not found, exactly as one of nobody's (A44).

use super::ending::{About, Tokens};
use super::{Gateway, GatewayError};
use crate::domain::ending::Ending;
use crate::domain::session::{LiveSession, SessionKey, Summary};
use crate::domain::time::Timestamp;
use crate::ports::{Listed, StoreError};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

/// The most sessions of one person that are looked at: a thousand browsers are no person, and no page shows them.
const MOST: usize = 500;

/// How many of them are read at once.
const AT_ONCE: usize = 32;

/// One of a person's sessions, as they see it.
pub struct OwnSession {
    /// Its name: an HMAC, neither the ticket nor the key of the store.
    pub handle: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// Its last use.
    pub last_seen: Timestamp,
    /// When it ends at the latest.
    pub ends: Timestamp,
    /// Since when, from where, by which provider.
    pub summary: Summary,
}

/// A person's sessions.
pub struct OwnSessions {
    /// Those in force: the one that asks first, then those used last.
    pub sessions: Vec<OwnSession>,
    /// Whether there may be more than were looked at.
    pub more: bool,
}

/// What has become of a wish to end one of one's own sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedOwn {
    /// The session that asked is over.
    Current,
    /// Another one is.
    Other,
    /// There is no such session among one's own.
    NotThere,
}

impl Gateway {
    /// Where the person of this session is signed in: all sessions in force of the same subject at the same issuer.
    ///
    /// # Errors
    /// [`GatewayError::Store`].
    pub async fn own_sessions(&self, own: &LiveSession, now: Timestamp) -> Result<OwnSessions, GatewayError> {
        let cleared = self.cleared(now).await?;
        let keys = self.own_keys(own, now).await?;
        let more = keys.len() > MOST;
        let looks = keys.into_iter().take(MOST).map(|key| async move { self.store.glance(&key, now).await });
        let found: Vec<Option<Listed>> = stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await?;
        let in_force = |listed: Listed| self.own_view(own, listed, cleared, now);
        let mut sessions: Vec<OwnSession> = found.into_iter().flatten().filter_map(in_force).collect();
        // One that was replaced a moment ago ends by itself, and along with its successor.
        let replaced: Vec<String> = sessions
            .iter()
            .filter_map(|one| one.summary.supersedes)
            .map(|key| self.keys.handle(&key))
            .collect();
        sessions.retain(|one| one.current || !replaced.contains(&one.handle));
        sessions
            .sort_by(|one, other| other.current.cmp(&one.current).then(other.last_seen.cmp(&one.last_seen)));
        Ok(OwnSessions { sessions, more })
    }

    /// Ends one of the sessions of the person of this one. The one that asks ends as by a sign-out, which is done when it is
    /// in force here: its browser has no cookie any more. Another one is in a browser that may ask another gateway, so that
    /// one has ended when the store knows.
    ///
    /// # Errors
    /// [`GatewayError::Store`]: then it has not ended, or in this gateway only.
    pub async fn end_own(
        &self,
        own: &LiveSession,
        handle: &str,
        now: Timestamp,
    ) -> Result<EndedOwn, GatewayError> {
        let keys = self.own_keys(own, now).await?;
        let Some(key) = keys.into_iter().find(|key| self.keys.is_handle_of(handle, key)) else {
            // Nor is one there that has ended in this gateway only, whatever somebody else wants to know.
            return Ok(self.settled(EndedOwn::NotThere)?);
        };
        if key == own.key {
            // Its ticket is at hand, and with it a token that the server alone may not know.
            let session = &own.session;
            let (about, tokens) = (About::from(session.as_ref()), Tokens::Revoke(Some(session)));
            self.end_record(&key, Some(about), Ending::ByUser.code(), tokens).await?;
            return Ok(EndedOwn::Current);
        }
        let ended = match self.store.glance(&key, now).await? {
            Some(listed) => self.end_listed(&listed, Ending::ByUser, now).await?,
            None => false,
        };
        Ok(self.settled(if ended { EndedOwn::Other } else { EndedOwn::NotThere })?)
    }

    /// The keys of a person's sessions, the one that asks first: it is there, whatever the index says.
    async fn own_keys(&self, own: &LiveSession, now: Timestamp) -> Result<Vec<SessionKey>, StoreError> {
        let who = &own.session.identity;
        let mut keys = self.store.of_subject(&who.issuer, &who.subject, now).await?;
        keys.retain(|key| *key != own.key);
        keys.insert(0, own.key);
        Ok(keys)
    }

    /// `None` for one that is over, or somebody else's.
    fn own_view(
        &self,
        own: &LiveSession,
        listed: Listed,
        cleared: Timestamp,
        now: Timestamp,
    ) -> Option<OwnSession> {
        let summary = listed.summary?;
        let who = &own.session.identity;
        // The index says so already; what is shown to a person is worth a second look.
        if summary.issuer != who.issuer || summary.subject != who.subject {
            return None;
        }
        let last_seen = self.in_force(&summary, listed.last_seen, cleared, now)?;
        Some(OwnSession {
            handle: self.keys.handle(&listed.key),
            current: listed.key == own.key,
            last_seen,
            ends: summary.ends.min(summary.started.plus(self.limits.lifetime)),
            summary,
        })
    }
}
