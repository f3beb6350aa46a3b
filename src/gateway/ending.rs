//! The one door through which sessions end.
//!
//! I own: [`Gateway::end`], [`Endings`] and the audit line of every ending; `owing` sees to the tokens. I may call:
//! `domain`, `ports`, `keyring`, and `gateway::revoking` to wake it.
//! I never bring a session back: an ending is not undone (R88).

mod owing;

pub(super) use owing::Tokens;

use super::revoking::Revoker;
use super::{Gateway, GatewayError};
use crate::domain::cap::Cap;
use crate::domain::ending::Ending;
use crate::domain::origin::Origin;
use crate::domain::session::{Session, SessionKey, Summary, Ticket};
use crate::domain::time::Timestamp;
use crate::keyring::{new_text, session_key};
use crate::ports::{Clearing, Entry, Listed, News as _, Outbox, Owed, StoreError, Updated};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long the old ticket of a person who has signed in again still works, at its old level, so that requests in
/// flight live.
pub const SUPERSEDED_FOR: Duration = Duration::from_secs(10);

/// What endings need besides the sessions.
pub struct Endings {
    /// What is owed to providers.
    pub outbox: Arc<dyn Outbox>,
    /// Who carries that out.
    pub revoker: Arc<Revoker>,
    /// The moment at which everybody was sent home.
    pub clearing: Arc<dyn Clearing>,
    /// How many sessions a person may have; `None` for any number.
    pub cap: Option<Cap>,
}

/// What to do with the browser after a sign-out.
pub struct Farewell {
    /// Where the provider ends its own session, if it has such a place and could be asked.
    pub end_session: Option<Url>,
}

/// Whether the ID token may go along to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// As `id_token_hint` in a redirect: the one exception of R43.
    InRedirect,
    /// Not where a script would read the answer.
    Withheld,
}

/// What the audit line says of a session, and what ends with it.
#[derive(Clone, Copy)]
pub(super) struct About<'s> {
    issuer: &'s str,
    subject: &'s str,
    provider: &'s str,
    started: Timestamp,
    /// Ends with it, without a line of its own: that was written when it was replaced.
    supersedes: Option<&'s SessionKey>,
}

impl<'s> From<&'s Session> for About<'s> {
    fn from(session: &'s Session) -> Self {
        Self {
            issuer: session.identity.issuer.as_str(),
            subject: session.identity.subject.as_str(),
            provider: session.provider.as_str(),
            started: session.started,
            supersedes: session.supersedes.as_ref(),
        }
    }
}

impl<'s> From<&'s Summary> for About<'s> {
    fn from(summary: &'s Summary) -> Self {
        Self {
            issuer: summary.issuer.as_str(),
            subject: summary.subject.as_str(),
            provider: summary.provider.as_str(),
            started: summary.started,
            supersedes: summary.supersedes.as_ref(),
        }
    }
}

impl Gateway {
    /// Signs a person out: first the record goes, then the provider is asked where the browser shall go (R56, R86).
    /// Idempotent: without a session in force there is only the record left that the store may still have, and the provider is
    /// not asked.
    ///
    /// # Errors
    /// [`GatewayError::Store`] when the ending was taken neither by the store nor by this process's memory of endings:
    /// then nobody is signed out, and the caller must not say so.
    pub async fn sign_out(
        &self,
        ticket: &Ticket,
        origin: &Origin,
        hint: Hint,
        now: Timestamp,
    ) -> Result<Farewell, GatewayError> {
        let session = match self.store.load(ticket, now).await {
            Ok(Some(live)) => live.session,
            // What nobody can read nobody needs; whoever holds its ticket may end it.
            Err(StoreError::Unreadable(why)) => {
                self.discard(ticket, why).await?;
                return Ok(Farewell { end_session: None });
            }
            // Whose it is nobody can say, so the provider is not asked; but it can be ended by its name. This process may know
            // that it is over and the store not, which is what everybody else asks; or the store does not answer, and is
            // told when it is back.
            Ok(None) | Err(StoreError::Unavailable(_)) => {
                self.end_record(&session_key(ticket), None, Ending::ByUser.code(), Tokens::Revoke(None))
                    .await?;
                return Ok(Farewell { end_session: None });
            }
        };
        self.end(ticket, &session, Ending::ByUser).await?;
        let end_session = self.end_session_url(&session, origin, hint).await;
        Ok(Farewell { end_session })
    }

    /// Ends one session.
    ///
    /// # Errors
    /// [`GatewayError::Store`].
    pub async fn end(&self, ticket: &Ticket, session: &Session, ending: Ending) -> Result<(), GatewayError> {
        let tokens = match ending {
            // The provider takes them no longer; what came in their place was given back.
            Ending::RefreshRefused | Ending::RefreshRejected => Tokens::Spent,
            Ending::Replaced => Tokens::Replaced(Some(session)),
            _ => Tokens::Revoke(Some(session)),
        };
        self.end_record(&session_key(ticket), Some(About::from(session)), ending.code(), tokens).await?;
        Ok(())
    }

    /// Ends a session that was found by its key; whether it was in force until now. One that does not open is ended
    /// without a word on whose it was.
    pub(super) async fn end_listed(
        &self,
        listed: &Listed,
        ending: Ending,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(summary) = &listed.summary else {
            return self.end_record(&listed.key, None, ending.code(), Tokens::Revoke(None)).await;
        };
        let about = Some(About::from(summary));
        match self.judge(summary, listed.last_seen.unwrap_or(summary.started), now) {
            Ok(()) => self.end_record(&listed.key, about, ending.code(), Tokens::Revoke(None)).await,
            // It was over before; only its record was left.
            Err(why) => {
                self.end_record(&listed.key, about, why.code(), Tokens::Revoke(None)).await.map(|_| false)
            }
        }
    }

    /// The door itself: removes a record; whether there was one. `about` is for the audit line, where it is known;
    /// `tokens` says what its provider is told.
    pub(super) async fn end_record(
        &self,
        key: &SessionKey,
        about: Option<About<'_>>,
        reason: &'static str,
        tokens: Tokens<'_>,
    ) -> Result<bool, StoreError> {
        if let Some(predecessor) = about.and_then(|about| about.supersedes) {
            self.live.ending(predecessor, reason);
            self.remove_and_owe(predecessor, Tokens::Revoke(None)).await?;
            self.live.ended(predecessor, reason);
        }
        self.live.ending(key, reason);
        let was_there = self.remove_and_owe(key, tokens).await?;
        // Also where there was none any more: whoever still waits here has not been told.
        self.live.ended(key, reason);
        if was_there {
            self.audit(about, reason);
        }
        Ok(was_there)
    }

    /// The audit line of an ending: who (under a pseudonym), why, and how old the session was.
    fn audit(&self, about: Option<About<'_>>, reason: &'static str) {
        self.ledger.enter(Entry::Ended(reason));
        tracing::info!(
            target: "keycard::audit",
            event = "session-ended",
            reason,
            user = about.map(|about| self.keys.log_name(about.issuer, about.subject)),
            provider = about.map(|about| about.provider),
            started = about.map(|about| about.started.unix_seconds()),
            "session ended"
        );
    }

    /// Ends the session that a login has just replaced: at once if the person is another one; a moment later if it
    /// is the same, so that requests in flight live.
    ///
    /// # Errors
    /// [`GatewayError::Store`].
    pub(super) async fn end_replaced(
        &self,
        old: &Ticket,
        new: &Session,
        now: Timestamp,
    ) -> Result<(), GatewayError> {
        let live = match self.store.load(old, now).await {
            Ok(Some(live)) => live,
            // As for a sign-out.
            Ok(None) => {
                let tokens = Tokens::Replaced(None);
                self.end_record(&session_key(old), None, Ending::Replaced.code(), tokens).await?;
                return Ok(());
            }
            // A record that does not open must not lock its browser out of a new sign-in.
            Err(StoreError::Unreadable(why)) => return self.discard(old, why).await,
            Err(error) => return Err(error.into()),
        };
        if !live.session.identity.is_same_person(&new.identity) {
            return self.end(old, &live.session, Ending::PersonChanged).await;
        }
        let mut last_moments = Session::clone(&live.session);
        last_moments.ends = last_moments.ends.min(now.plus(SUPERSEDED_FOR));
        // Due when its last moments are over, and its record with them.
        if let Some(owed) = Owed::of(&live.session).map(Owed::of_replaced) {
            self.endings.outbox.note(&live.key, &owed, last_moments.ends, now).await?;
        }
        match self.store.update(old, &last_moments, live.version, now).await? {
            Updated::Done(_) | Updated::Gone => {
                self.live.changed(&live.key);
                self.audit(Some(About::from(live.session.as_ref())), Ending::Replaced.code());
            }
            // Somebody is writing to it at this moment; what is certain is that it must not live on.
            Updated::Conflict => self.end(old, &live.session, Ending::Replaced).await?,
        }
        Ok(())
    }

    /// Removes a record that cannot be read.
    async fn discard(&self, ticket: &Ticket, why: &'static str) -> Result<(), GatewayError> {
        tracing::warn!(why, "a session record that cannot be read was removed");
        let key = session_key(ticket);
        self.store.remove(&key).await?;
        self.live.ended(&key, "unreadable");
        Ok(())
    }

    async fn end_session_url(&self, session: &Arc<Session>, origin: &Origin, hint: Hint) -> Option<Url> {
        let (_, provider) = self.providers.find(Some(session.provider.as_str()))?;
        let back = Url::parse(&format!("{}{}/signed-out", origin.as_str(), self.prefix.as_str())).ok()?;
        let state = new_text::<16>().ok()?;
        let id_token = match hint {
            Hint::InRedirect => Some(&session.tokens.id_token),
            Hint::Withheld => None,
        };
        match provider.end_session_url(id_token, &back, &state).await {
            Ok(url) => url,
            Err(error) => {
                // The session here is over whatever the provider says.
                tracing::warn!(%error, "the provider could not be asked for its sign-out");
                None
            }
        }
    }
}
