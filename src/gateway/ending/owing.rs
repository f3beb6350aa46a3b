//! What a session owes its provider when it ends.
//!
//! I own: [`Tokens`], and the order of note and removal ([`Gateway::remove_and_owe`]). I may call: `domain`, `ports`. I
//! never remove a record whose debt could be noted and is not, and never fail an ending for the sake of a debt.
//!
//! The note comes first, and the removal asks for the version that the note was taken from: a renewal that has put other
//! tokens into the record meanwhile makes it fail, and the debt is noted anew. `ports::outbox` says what a process that
//! dies in between leaves behind.

use crate::domain::session::{Session, SessionKey};
use crate::gateway::Gateway;
use crate::ports::{Owed, SessionStore, StoreError};
use std::sync::Arc;
use tokio::runtime::Handle;

/// How often a record that is being changed is read again, before it is removed whatever it holds.
const TRIES: usize = 8;

/// What becomes of a session's refresh token when it ends.
#[derive(Clone, Copy)]
pub(in crate::gateway) enum Tokens<'s> {
    /// Nothing: the provider takes it no longer, or was given it back.
    Spent,
    /// It is revoked. With the session, where its ticket is at hand and the server alone may not know the token.
    Revoke(Option<&'s Session>),
    /// The same, where another sign-in of the same person has taken the place of this session: what the next one may
    /// stand on is spared.
    Replaced(Option<&'s Session>),
}

impl Tokens<'_> {
    fn own(&self) -> Option<Owed> {
        match self {
            Self::Revoke(session) | Self::Replaced(session) => session.and_then(Owed::of),
            Self::Spent => None,
        }
    }

    /// What is owed: as its record says, or else as whoever ends it does.
    fn owed(&self, recorded: Option<Owed>) -> Option<Owed> {
        let owed = recorded.or_else(|| self.own())?;
        Some(if matches!(self, Self::Replaced(_)) { owed.of_replaced() } else { owed })
    }
}

/// A record that is being removed past whatever this process has of it in memory. Where nobody waits for the answer, the
/// removal is done over by the way that reaches memory as well: the store may have taken it, and over a store of one's own
/// no news would ever say so.
struct Removing<'g> {
    store: &'g Arc<dyn SessionStore>,
    key: Option<SessionKey>,
}

impl Removing<'_> {
    /// Whoever asked is there to go on.
    fn answered(mut self) {
        self.key = None;
    }
}

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        // Without a runtime the process is at its end, and its memory with it.
        if let (Some(key), Ok(runtime)) = (self.key, Handle::try_current()) {
            let store = Arc::clone(self.store);
            runtime.spawn(async move {
                if let Err(error) = store.remove(&key).await {
                    tracing::warn!(%error, "an ending that nobody waited for could not be finished");
                }
            });
        }
    }
}

impl Gateway {
    /// Notes what a session owes, then removes its record; whether there was one.
    pub(in crate::gateway) async fn remove_and_owe(
        &self,
        key: &SessionKey,
        tokens: Tokens<'_>,
    ) -> Result<bool, StoreError> {
        if matches!(tokens, Tokens::Spent) {
            return self.store.remove(key).await;
        }
        let (outbox, revoker) = (&self.endings.outbox, &self.endings.revoker);
        let (mut unnoted, mut looked_in_vain) = (None, false);
        for _ in 0..TRIES {
            let now = self.clock.now();
            let standing = match outbox.look(key, now).await {
                Ok(Some(standing)) => standing,
                Ok(None) => break,
                // Nobody here has the token but the record, and that is about to go: one slow read shall not cost it.
                Err(StoreError::Unavailable(_))
                    if matches!(tokens, Tokens::Revoke(None)) && !looked_in_vain =>
                {
                    looked_in_vain = true;
                    continue;
                }
                // It is tried all the same, so that at least nothing of it is left in memory here.
                Err(error) => {
                    tracing::warn!(%error, "what an ended session owes could not be read");
                    unnoted = tokens.owed(None);
                    break;
                }
            };
            let Some(owed) = tokens.owed(standing.owed) else { break };
            match outbox.note(key, &owed, now, now).await {
                Ok(_) => {}
                // A store that takes nothing more may still forget: the ending goes on.
                Err(error) => {
                    tracing::warn!(%error, "that a token is to be revoked could not be written down");
                    unnoted = Some(owed);
                    break;
                }
            }
            let removing = Removing { store: &self.store, key: Some(*key) };
            let removed = outbox.remove_at(key, standing.version, now).await;
            removing.answered();
            match removed {
                Ok(None) => {}
                // Whether or not it is gone: the debt is there, and waits until it is.
                Err(_) => break,
                Ok(Some(was_there)) => {
                    // It is over; what this process has of it in memory goes now, and not when the news come in.
                    let _ = self.store.remove(key).await;
                    // The note stays where somebody else was faster, who may have noted nothing: twice is as good as once.
                    revoker.wake();
                    return Ok(was_there);
                }
            }
        }
        let was_there = self.store.remove(key).await?;
        if let Some(owed) = unnoted {
            revoker.remember(key, owed);
        }
        revoker.wake();
        Ok(was_there)
    }

    /// Notes that a token of a session which has ended is to be revoked.
    pub(in crate::gateway) async fn owe(&self, key: &SessionKey, owed: Owed) {
        let now = self.clock.now();
        if let Err(error) = self.endings.outbox.note(key, &owed, now, now).await {
            tracing::warn!(%error, "that a token is to be revoked could not be written down");
            self.endings.revoker.remember(key, owed);
        }
        self.endings.revoker.wake();
    }
}
