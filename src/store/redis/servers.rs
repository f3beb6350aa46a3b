//! Where keys lie: with one Redis server, or with those of a cluster.
//!
//! I own: [`Servers`], which is asked as one server is. I may call: `config`, `ports`, the room's own types. I never say
//! which kind it is but where names have to differ.

use super::cluster::slot::slot;
use super::cluster::{Cluster, Front, is_no_cluster};
use super::connection::{Connection, IfBroken, Keep, Request};
use super::failure::Failure;
use super::waits::Waits;
use crate::config::RedisSettings;
use crate::ports::StoreError;
use redis::{FromRedisValue, cmd};
use std::sync::Arc;

/// How many copies there are of what must be found whoever is away: their slots are spread over all masters, however
/// many those are, well enough that no one has them all.
const COPIES: u8 = 16;

/// One server or many.
#[derive(Clone)]
pub(super) enum Servers {
    One(Arc<Connection>),
    Cluster(Arc<Cluster>),
}

/// Some names, and where the next ones are.
pub(super) type Names = (Vec<Vec<u8>>, Option<Vec<u8>>);

impl Servers {
    /// Reads the settings; connects to nobody yet. Must be called on the tokio runtime on which connections will live.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for settings that can never work.
    pub(super) fn prepare(settings: &RedisSettings) -> Result<Self, StoreError> {
        Ok(match settings.is_cluster() {
            true => Self::Cluster(Cluster::prepare(settings)?),
            false => Self::One(Arc::new(Connection::prepare(settings)?)),
        })
    }

    /// The place of a key, as the near cache has it ([`crate::store::near::trust::Spread`]).
    pub(super) fn place(&self, key: &[u8]) -> u16 {
        match self {
            Self::One(_) => 0,
            Self::Cluster(_) => slot(key),
        }
    }

    /// The end of a name under which all that belongs to one session lies together.
    pub(super) fn together(&self, name: String) -> String {
        match self {
            Self::One(_) => name,
            Self::Cluster(_) => format!("{{{name}}}"),
        }
    }

    /// The names under which something is kept that must be found whoever of the servers is away.
    pub(super) fn copies(&self, name: String) -> Vec<String> {
        match self {
            Self::One(_) => vec![name],
            Self::Cluster(_) => (0..COPIES).map(|number| format!("{name}:{{{number}}}")).collect(),
        }
    }

    /// Asks whoever has the keys what does no harm when it is asked twice. Each command has one key at most, but for a
    /// script's text, which goes where it is missing.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub(super) async fn ask<T: FromRedisValue>(&self, request: Request<'_>) -> Result<T, StoreError> {
        match self {
            Self::One(connection) => connection.ask(request).await,
            Self::Cluster(cluster) => ask_cluster(cluster, &request, IfBroken::AskAgain, Keep::Usual).await,
        }
    }

    /// The same for what a failover must not forget.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn ask_kept<T: FromRedisValue>(
        &self,
        request: Request<'_>,
        if_broken: IfBroken,
    ) -> Result<T, StoreError> {
        match self {
            Self::One(connection) => connection.ask_kept(request, if_broken).await,
            Self::Cluster(cluster) => ask_cluster(cluster, &request, if_broken, Keep::Confirmed).await,
        }
    }

    /// The same for what is written before something that is kept: with one server, replicas that confirm the later have
    /// the earlier as well; in a cluster the two may lie with different ones.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn ask_before_kept<T: FromRedisValue>(
        &self,
        request: Request<'_>,
    ) -> Result<T, StoreError> {
        match self {
            Self::One(_) => self.ask(request).await,
            Self::Cluster(_) => self.ask_kept(request, IfBroken::AskAgain).await,
        }
    }

    /// The same with both answers, where it was done at a server that was given up, and then at its successor.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn ask_kept_everywhere<T: FromRedisValue>(
        &self,
        request: Request<'_>,
        if_broken: IfBroken,
    ) -> Result<(T, Option<T>), StoreError> {
        match self {
            Self::One(connection) => connection.ask_kept_everywhere(request, if_broken).await,
            Self::Cluster(_) => Ok((self.ask_kept(request, if_broken).await?, None)),
        }
    }

    /// What replicas have confirmed.
    pub(super) fn waits(&self) -> &Arc<Waits> {
        match self {
            Self::One(connection) => connection.waits(),
            Self::Cluster(cluster) => cluster.waits(),
        }
    }

    /// About `count` names that match, from a place on, and where the next ones are; `None` for a place that is not of our
    /// making. What is there during the whole walk is found, and may be found twice.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn names(
        &self,
        from: Option<&[u8]>,
        pattern: &str,
        count: usize,
    ) -> Result<Option<Names>, StoreError> {
        match self {
            Self::Cluster(cluster) => cluster.names(from, pattern, count).await.map_err(told),
            Self::One(_) => {
                let scan = from.map(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
                let Some(scan) = scan.unwrap_or(Some(0)) else { return Ok(None) };
                let mut command = cmd("SCAN");
                command.arg(scan).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
                let (next, names): (u64, Vec<Vec<u8>>) = self.ask(Request::Command(&command)).await?;
                Ok(Some((names, (next != 0).then(|| next.to_string().into_bytes()))))
            }
        }
    }
}

async fn ask_cluster<T: FromRedisValue>(
    cluster: &Arc<Cluster>,
    request: &Request<'_>,
    if_broken: IfBroken,
    keep: Keep,
) -> Result<T, StoreError> {
    let front = Front::new(cluster, if_broken, keep);
    let failure = front.failure();
    let answer = request.send(front).await;
    answer.map_err(|error| told(failure.take().unwrap_or(Failure::Other(error))))
}

fn told(failure: Failure) -> StoreError {
    if is_no_cluster(&failure) {
        return StoreError::Unavailable("Redis is no cluster: write redis:// in `session.store`".into());
    }
    failure.into_store_error()
}
