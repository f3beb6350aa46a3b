//! One renewal, step by step (R45, R46, R88).
//!
//! I own: [`Renewing`]. I may call: `domain`, `ports`, and the gateway for the end of a session. I never present a
//! refresh token before the record says that I do, I never write to a record that is not marked as mine, and I never
//! bring back a session that has ended meanwhile: what came for it is revoked.
//!
//! The order is: lease, read, look again, mark, ask, write, give the lease back. The mark in the record decides; the lease
//! only keeps others from trying. Both live long enough for an attempt that asks soon; one that comes to asking too late,
//! because its process was stopped or the store was slow, does not ask. A process that dies between the answer and the
//! writing leaves its mark behind, and with it a refresh token that is perhaps used up: whoever finds it waits until the
//! lease would be over, tries the token all the same, and takes a refusal then for lost tokens, not for the end of the
//! session.

use super::End;
use crate::domain::ending::Ending;
use crate::domain::renewal::{ASK_WITHIN, Attempt, LeaseId, RenewalRules, SAVE_FOR};
use crate::domain::session::{LiveSession, Session, SessionKey, Ticket, TokenSet};
use crate::gateway::{Gateway, GatewayError};
use crate::ports::{
    Entry, IdentityProvider, News as _, Owed, ProviderError, RenewalError, Renewed, StoreError, Updated,
};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How often somebody looks who waits for another process.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How soon a writing that failed is tried again.
const WRITE_AGAIN: Duration = Duration::from_millis(200);

/// One attempt.
pub(super) struct Renewing<'g> {
    pub(super) gateway: &'g Arc<Gateway>,
    pub(super) provider: Arc<dyn IdentityProvider>,
    pub(super) ticket: Ticket,
    pub(super) key: SessionKey,
    /// That of the tokens that are to be replaced.
    pub(super) generation: u64,
    pub(super) holder: LeaseId,
}

/// What a look at the record says.
enum Turn {
    Over(End),
    /// Somebody else is at it.
    Wait,
    /// It is ours to do.
    Go(LiveSession),
}

/// What became of a writing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Done,
    /// The session has ended.
    Gone,
    /// The mark is somebody else's by now: we have been too slow.
    Superseded,
    /// The store does not answer, and has not for a long time.
    Failed,
}

impl Renewing<'_> {
    /// Runs until there is nothing left to do or to wait for.
    pub(super) async fn run(&self) -> End {
        let rules = self.provider.renewal_rules();
        let give_up = Instant::now() + rules.wait();
        loop {
            match self.turn(&rules).await {
                Ok(Turn::Over(end)) => return end,
                Ok(Turn::Wait | Turn::Go(_)) if Instant::now() < give_up => sleep(LOOK_EVERY).await,
                Ok(Turn::Wait | Turn::Go(_)) => {
                    return End::Failed("somebody else fetches them, and has not come back".into());
                }
                Err(error) => return End::Failed(error.to_string()),
            }
        }
    }

    async fn turn(&self, rules: &RenewalRules) -> Result<Turn, StoreError> {
        let (store, now) = (&self.gateway.store, self.gateway.clock.now());
        if !store.lease(&self.key, self.holder, now, rules.lease()).await? {
            return self.look(rules).await;
        }
        let turn = match self.look(rules).await {
            Ok(Turn::Go(live)) => self.attempt(live, rules).await,
            other => other,
        };
        if let Err(error) = store.release(&self.key, self.holder).await {
            tracing::warn!(%error, "the lease on a session's tokens stays until it expires");
        }
        turn
    }

    /// Reads the record and finds out whether there is anything to do.
    async fn look(&self, rules: &RenewalRules) -> Result<Turn, StoreError> {
        let now = self.gateway.clock.now();
        let Some(live) = self.gateway.store.reload(&self.ticket, now).await? else {
            return Ok(Turn::Over(End::Settled));
        };
        let renewal = &live.session.renewal;
        Ok(if renewal.generation != self.generation || live.session.tokens.refresh.is_none() {
            Turn::Over(End::Settled)
        } else if renewal.has_just_failed(now) {
            Turn::Over(End::Failed("the provider did not answer a moment ago".into()))
        } else if renewal.is_under_way(rules, now) {
            Turn::Wait
        } else {
            Turn::Go(live)
        })
    }

    /// Marks the record, asks, and sees to what comes of it. Asks soon after the mark or not at all: whoever was stopped in
    /// between, or waited for the store, may find on waking up that the mark is over and the token another's (R45).
    async fn attempt(&self, live: LiveSession, rules: &RenewalRules) -> Result<Turn, StoreError> {
        let (store, clock) = (&self.gateway.store, &self.gateway.clock);
        // What cannot even be asked leaves no mark.
        if let Err(error) = self.provider.response_rules().await {
            return Ok(Turn::Over(self.failed("unanswered", &error)));
        }
        let (now, marked) = (clock.now(), Instant::now());
        let before = live.session.renewal.attempt;
        let mut session = Session::clone(&live.session);
        session.renewal.attempt = Some(Attempt { by: self.holder, since: now, failed: false });
        match store.update(&self.ticket, &session, live.version, now).await {
            Ok(Updated::Done(_)) => {}
            Ok(Updated::Conflict) => return Ok(Turn::Wait),
            Ok(Updated::Gone) => return Ok(Turn::Over(End::Settled)),
            // It may have been written all the same, and others would wait for somebody who never asks.
            Err(error) => {
                self.write(before, |session| session.renewal.attempt = before).await;
                return Err(error);
            }
        }
        // The clock of the timers stands still while the machine sleeps, and that of the day may be put right.
        if marked.elapsed().max(clock.now().since(now)) > ASK_WITHIN {
            self.write(before, |session| session.renewal.attempt = before).await;
            self.note("too-late");
            // Once more from the beginning, if there is time.
            return Ok(Turn::Wait);
        }
        let answer = within(rules.patience, self.provider.renew(&session, now)).await.unwrap_or_else(|| {
            let text = "it took longer than anybody waits".into();
            Err(RenewalError::Unanswered(ProviderError::Unavailable(text)))
        });
        Ok(Turn::Over(match answer {
            Ok(renewed) => self.keep(&session, before, renewed).await,
            Err(RenewalError::Refused) if before.is_some() => self.give_up(before).await,
            Err(RenewalError::Refused) => self.end(&session, before, Ending::RefreshRefused).await,
            Err(RenewalError::Rejected(why)) => {
                tracing::warn!(cause = why, "new tokens were rejected");
                self.end(&session, before, Ending::RefreshRejected).await
            }
            Err(RenewalError::Unanswered(error)) => {
                let now = clock.now();
                self.write(before, |session| {
                    session.renewal.attempt = Some(Attempt { by: self.holder, since: now, failed: true });
                })
                .await;
                self.failed("unanswered", &error)
            }
        }))
    }

    /// Writes down new tokens. Until that is done nobody gets to see them (R45).
    async fn keep(&self, session: &Session, before: Option<Attempt>, renewed: Renewed) -> End {
        let Renewed { tokens, identity } = renewed;
        let obtained = self.gateway.clock.now();
        let written = self.write(before, |session| {
            session.tokens = tokens.clone();
            session.renewal.generation = session.renewal.generation.saturating_add(1);
            session.renewal.obtained = obtained;
            session.renewal.attempt = None;
            if let Some(identity) = &identity {
                session.identity = identity.clone();
            }
        });
        match written.await {
            Written::Done => self.note("renewed"),
            // Whoever has taken over knows better by now; what came last may have cost them theirs, or not.
            Written::Superseded => self.note("superseded"),
            // R88: the session is over, and so is what came for it.
            Written::Gone => {
                self.note("ended-meanwhile");
                let over = Session { tokens, ..session.clone() };
                if let Some(owed) = Owed::of(&over) {
                    self.gateway.owe(&self.key, owed).await;
                }
            }
            Written::Failed => {
                self.note("not-kept");
                self.revoke(&tokens, session).await;
                return End::Failed("they could not be kept".into());
            }
        }
        End::Settled
    }

    /// The refresh token was refused after an attempt whose outcome nobody knows: that one used it up, and what came for
    /// it is lost. The person is still who they are; only the tokens are gone.
    async fn give_up(&self, before: Option<Attempt>) -> End {
        self.note("lost");
        let written = self.write(before, |session| {
            session.tokens.refresh = None;
            session.renewal.generation = session.renewal.generation.saturating_add(1);
            session.renewal.attempt = None;
        });
        match written.await {
            Written::Done | Written::Gone | Written::Superseded => End::Settled,
            Written::Failed => End::Failed("that they are lost could not be written down".into()),
        }
    }

    /// Ends the session, unless somebody has taken over meanwhile: a refusal of a token that they have used up says
    /// nothing about the session.
    async fn end(&self, session: &Session, before: Option<Attempt>, ending: Ending) -> End {
        match self.write(before, |_| {}).await {
            Written::Done => self.note(ending.code()),
            Written::Gone => return End::Settled,
            Written::Superseded => {
                self.note("superseded");
                return End::Settled;
            }
            Written::Failed => {
                return End::Failed("that the session is over could not be written down".into());
            }
        }
        let deadline = Instant::now() + SAVE_FOR;
        loop {
            match self.gateway.end(&self.ticket, session, ending).await {
                Ok(()) => return End::Settled,
                Err(GatewayError::Store(StoreError::Unavailable(_))) if Instant::now() < deadline => {
                    sleep(WRITE_AGAIN).await;
                }
                Err(error) => return self.failed("not-ended", &error),
            }
        }
    }

    /// Writes to the record as long as the mark in it is ours, however often others write meanwhile, and for a while
    /// also while the store does not answer; the lease is kept up meanwhile. A write whose answer is lost is found to be
    /// done by the next look.
    ///
    /// A record as it was `before` our mark is ours too: a failover has lost the mark, or it never arrived, and nobody has
    /// marked it since.
    async fn write(&self, before: Option<Attempt>, change: impl Fn(&mut Session)) -> Written {
        let rules = self.provider.renewal_rules();
        let deadline = Instant::now() + SAVE_FOR;
        loop {
            match self.write_once(before, &change).await {
                Ok(Some(written)) => return written,
                Ok(None) => {}
                Err(StoreError::Unavailable(_)) if Instant::now() < deadline => {
                    sleep(WRITE_AGAIN).await;
                    let now = self.gateway.clock.now();
                    // Whether it holds or not: the mark decides.
                    let _ = self.gateway.store.lease(&self.key, self.holder, now, rules.lease()).await;
                }
                Err(error) => {
                    tracing::error!(%error, "what came of a renewal of tokens could not be written down");
                    return Written::Failed;
                }
            }
        }
    }

    /// `None` when somebody else was faster.
    async fn write_once(
        &self,
        before: Option<Attempt>,
        change: &impl Fn(&mut Session),
    ) -> Result<Option<Written>, StoreError> {
        let (store, now) = (&self.gateway.store, self.gateway.clock.now());
        let Some(live) = store.reload(&self.ticket, now).await? else { return Ok(Some(Written::Gone)) };
        let renewal = &live.session.renewal;
        let is_ours = renewal.attempt.is_some_and(|attempt| attempt.by == self.holder);
        if !is_ours && (renewal.generation != self.generation || renewal.attempt != before) {
            return Ok(Some(Written::Superseded));
        }
        let mut session = Session::clone(&live.session);
        change(&mut session);
        Ok(match store.update(&self.ticket, &session, live.version, now).await? {
            Updated::Done(_) => {
                self.gateway.live.changed(&self.key);
                Some(Written::Done)
            }
            Updated::Gone => Some(Written::Gone),
            Updated::Conflict => None,
        })
    }

    /// Gives back tokens that nobody will use. That the provider does not hear it costs nobody anything here.
    async fn revoke(&self, tokens: &TokenSet, session: &Session) {
        let Some(token) = tokens.refresh.as_ref().or(session.tokens.refresh.as_ref()) else { return };
        match self.provider.revoke(token).await {
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "tokens that nobody will use could not be revoked"),
        }
    }

    fn failed(&self, result: &'static str, error: &dyn std::error::Error) -> End {
        self.note(result);
        tracing::warn!(%error, "there are no new tokens");
        End::Failed(error.to_string())
    }

    fn note(&self, result: &'static str) {
        if let Some((id, _)) = self.gateway.providers.iter().find(|(_, one)| Arc::ptr_eq(one, &self.provider))
        {
            self.gateway.ledger.enter(Entry::Renewal { provider: id.as_str(), result });
        }
    }
}

/// What comes of `work` if it takes no longer than `span`; `None` otherwise. The time is looked at before each step of the
/// work, not after it as by a timer of the runtime: a process that was stopped on the way to the provider must not
/// present the token first on waking up.
async fn within<T>(span: Duration, work: impl Future<Output = T>) -> Option<T> {
    let end = Instant::now() + span;
    let mut work = pin!(work);
    let in_time = poll_fn(|context| {
        if Instant::now() >= end { Poll::Ready(None) } else { work.as_mut().poll(context).map(Some) }
    });
    timeout_at(end, in_time).await.ok().flatten()
}
