//! What Redis tells of the records: each change, by anybody, pushed to this process.
//!
//! I own: [`Feed`]: the connection that is told (`CLIENT TRACKING` in broadcasting mode, on the records' prefix only),
//! the heartbeat, and when to begin anew. I may call: `config`, `ports`, the near cache's [`Held`], the room's own types.
//! I never take an open connection for a live one: only a heartbeat that came back is a proof.
//!
//! The heartbeat is end to end: every 250 ms a key beside the records is written on the connection that requests use,
//! and its news has to come in on the feed. So it notices a feed that is frozen, a server that is, and requests that have
//! come to talk to another server than the feed. Each beat has a name of its own; one that comes late proves no more
//! than that it was sent when it was sent. With each beat the one before it is read back: where it is gone, the records
//! may be as well, and nobody told (SWAPDB, a failover that lost writes).
//!
//! The crate's own client-side cache is not used: after a killed connection it still served a deleted session, it has
//! no heartbeat, and no broadcasting mode. An ACL user needs `+client|tracking` beside the rights in [`super`].

use super::connection::{Connection, IfBroken, Request, client, code};
use super::link::Link;
use crate::config::RedisSettings;
use crate::keyring::new_text;
use crate::ports::StoreError;
use crate::store::clearing::Slate;
use crate::store::near::held::Held;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, ProtocolVersion, PushInfo, RedisError, ServerErrorKind, cmd,
    pipe,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Between two beats.
const BEAT: Duration = Duration::from_millis(250);

/// How long a beat is waited for, so that the next one is not late.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long the key of a beat lives: longer than [`SILENCE`], so that no beat expires before it is read back.
const BEAT_LIVES_MS: u64 = 5000;

/// Without a proof for so long, the feed begins anew: its connection may lead to a server that nobody writes to.
const SILENCE: Duration = Duration::from_secs(2);

/// After so long, those who wait for news are told to look for themselves, so that they too are late by a second at most.
const SUSPICIOUS: Duration = Duration::from_millis(700);

/// Between two attempts: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long a refusal stands: somebody has to mend something.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// The feed of a store, not listened to yet.
pub struct Feed {
    connection: Arc<Connection>,
    client: Client,
    timeout: Duration,
    /// What the names of records begin with.
    records: String,
    runtime: Handle,
    /// How long a refusal stands.
    refused_for: Duration,
    /// What is told of the moment for everybody.
    slate: Arc<Slate>,
}

/// A feed that is listened to, until this is dropped.
pub struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no feed.
enum Failure {
    /// It cannot be had now.
    Away,
    /// The server does not do that, or not for us.
    Refused(String),
}

impl Feed {
    pub(super) fn prepare(
        settings: &RedisSettings,
        connection: Arc<Connection>,
        records: String,
        slate: Arc<Slate>,
    ) -> Result<Self, StoreError> {
        let runtime = Handle::try_current()
            .map_err(|_| StoreError::Unavailable("there is no runtime to connect on".into()))?;
        let client = client(settings, ProtocolVersion::RESP3)?;
        let (timeout, refused_for) = (settings.timeout, REFUSED_FOR);
        Ok(Self { connection, client, timeout, records, runtime, refused_for, slate })
    }

    /// Tells `held` of every change from now on, over any number of connections.
    pub(in crate::store) fn follow(self, held: Arc<Held>) -> Following {
        self.slate.follow(&held);
        let runtime = self.runtime.clone();
        Following(runtime.spawn(async move { self.run(&held).await }).abort_handle())
    }

    async fn run(self, held: &Arc<Held>) {
        let mut pause = PAUSES.0;
        let mut refusal: Option<String> = None;
        loop {
            let wait = match self.begin(held).await {
                Ok((link, connection)) => {
                    tracing::info!("the feed of the session store is heard");
                    (refusal, pause) = (None, PAUSES.0);
                    let why = self.listen(&link, held).await;
                    // In this order: nothing that is still under way on this connection proves anything any more.
                    link.close();
                    held.lost();
                    drop(connection);
                    tracing::warn!(
                        why,
                        "the feed of the session store is lost: until it is back, requests ask the store"
                    );
                    pause
                }
                Err(Failure::Away) => {
                    held.away();
                    pause = (pause * 2).min(PAUSES.1);
                    pause
                }
                Err(Failure::Refused(code)) => {
                    held.refused();
                    if refusal.as_ref() != Some(&code) {
                        tracing::warn!(
                            code,
                            "Redis refuses to tell of changes (CLIENT TRACKING): each request asks it, and endings \
                             elsewhere reach open streams after seconds only. With a user of one's own: ACL SETUSER \
                             <user> +client|tracking; before Redis 6 and behind some proxies there is no such feed"
                        );
                        refusal = Some(code);
                    }
                    self.refused_for
                }
            };
            held.tell_the_ledger();
            sleep(wait).await;
        }
    }

    /// A new connection that is told of changes.
    async fn begin(&self, held: &Arc<Held>) -> Result<(Arc<Link>, MultiplexedConnection), Failure> {
        // Without random numbers there is more amiss than the feed.
        let name = new_text::<16>().map_err(|_| Failure::Away)?;
        let link = Arc::new(Link::new(
            Arc::clone(held),
            Arc::clone(&self.slate),
            self.records.clone(),
            name.as_str(),
        ));
        let ear = Arc::clone(&link);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout))
            .set_push_sender(move |info: PushInfo| {
                ear.hear(&info);
                Ok::<(), ()>(())
            });
        let connected = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connected.await.map_err(Failure::from)?;
        let mut tracking = cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(&self.records);
        tracking.query_async::<()>(&mut connection).await.map_err(Failure::from)?;
        // Only now: what is read from here on is told of.
        held.begun();
        Ok((link, connection))
    }

    /// Sends heartbeats until the connection is lost, or none has come back for too long; why it is over.
    async fn listen(&self, link: &Link, held: &Held) -> &'static str {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut proved = held.elapsed();
        let mut before: Option<String> = None;
        loop {
            tokio::select! {
                () = link.lost() => return "the connection is lost",
                _ = beats.tick() => {}
            }
            held.tell_the_ledger();
            proved = proved.max(link.last_proof().unwrap_or_default());
            // The time before the write, never after it.
            let now = held.elapsed();
            if now.saturating_sub(proved) > SILENCE {
                return "no heartbeat comes back";
            }
            if now.saturating_sub(proved) > SUSPICIOUS {
                held.suspected();
            }
            let beat = link.beat(now);
            let mut commands = pipe();
            commands.exists(before.as_ref().unwrap_or(&beat.name));
            commands.cmd("SET").arg(&beat.name).arg("").arg("PX").arg(BEAT_LIVES_MS).ignore();
            let sent = self.connection.ask::<(bool,)>(Request::Pipeline(&commands), IfBroken::AskAgain);
            match timeout(PATIENCE, sent).await {
                Ok(Ok((is_there,))) => {
                    if before.is_some() && !is_there {
                        tracing::warn!(
                            "the session store has forgotten a heartbeat: its records are read again"
                        );
                        held.everything_changed();
                    }
                    link.written(beat.number);
                    before = Some(beat.name);
                }
                // It proves nothing, and that is all there is to say about it.
                Ok(Err(error)) => tracing::debug!(%error, "a heartbeat could not be written"),
                Err(_) => {}
            }
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        let passing = matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ReadOnly
                    | ServerErrorKind::TryAgain
            )
        );
        let said = matches!(
            error.kind(),
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::RESP3NotSupported
        );
        if said && !passing { Self::Refused(code(error)) } else { Self::Away }
    }
}

#[cfg(test)]
mod tests;
