//! Sessions in Redis, shared by all replicas. Redis 6 and Valkey 7 or newer.
//!
//! I own: the keys and what lies under them. I may call: `domain`, `ports`, `config`, the room's own types.
//! I never send an absolute time, only how long from the `now` that is passed in; I leave no key without an expiry
//! (R47), and I let no URL, password or key into an error text (R43, R60).
//!
//! Under the configured prefix, names in base64url:
//! - `s:<session key>`: the record, a hash of version `v`, private part `p`, operator part `o`, index names `i`;
//! - `u:<session key>`: when it was last seen, in milliseconds of Unix time; apart from the record, so that a touch
//!   does not push the record out of anybody's cache. A touch of a session that is gone leaves such a key behind: it
//!   makes no session, and expires by itself;
//! - `i:<index name>`: sorted set of session keys, by the time at which they end;
//! - `l:<login id>`: a login that was taken;
//! - `s:beat:<connection>:<number>`: a heartbeat of the `feed`, for five seconds; no session key has a colon in it.
//! - `s:end:<session key>`: says that this session was ended, to all who hear the `feed`; deleted at once;
//! - `r:<session key>`: who holds the lease on the renewal of its tokens;
//! - `d:<shelf>` and `s:all`, in a cluster `s:all:{<number>}`: see `endings`.
//!
//! In a cluster, what follows the kind stands in braces for a session's own keys (`s`, `u`, `r`): they lie together. No command
//! has two keys, and a pipeline may be split.
//!
//! Each script touches one key. An ACL user needs, on `~<prefix>*`: `+ping +hmget +hget +hset +exists +get +set +del
//! +scan +pexpire +pttl +zadd +zscore +zcard +zrem +zremrangebyscore +zrangebyscore +evalsha +script|load`, and `+select` where the URL names
//! a database other than 0; `+info`, without which all workers share one connection; `+client|tracking` for the feed.
//! Where there are replicas, `+role` and `+wait` besides; with Sentinel, `+role` in any case, and at the
//! sentinels `+sentinel|get-master-addr-by-name`.

use crate::config::RedisSettings;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::{Cursor, StoreError};
use crate::store::clearing::Slate;
use crate::store::redis::connection::Request;
use crate::store::redis::endings::EndingScripts;
use crate::store::redis::feed::Feed;
use crate::store::redis::scripts::Scripts;
use crate::store::redis::servers::Servers;
use crate::store::redis::waits::Waits;
use crate::store::{Glance, IndexName, Row};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::try_join_all;
use redis::{cmd, pipe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod backend;
mod census;
mod cluster;
mod connection;
mod endings;
mod failure;
mod fault;
pub(in crate::store) mod feed;
mod link;
mod local;
mod message;
mod scripts;
mod sentinel;
#[cfg(test)]
pub(in crate::store) mod server;
mod servers;
#[cfg(test)]
pub(in crate::store) mod tests;
mod transfer;
pub(in crate::store) mod waits;
mod way;

/// Nothing that is locked here is ever left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Longer expiries are cut to this, some 142,000 years: Redis adds them to its own clock in 63 bits.
const LONGEST: u64 = 1 << 52;

const DAMAGED: StoreError = StoreError::Unreadable("its entry in Redis is not of our making");

const NO_CURSOR: StoreError = StoreError::Unreadable("the cursor of a listing is not of our making");

/// A backend in Redis.
pub struct Redis {
    prefix: String,
    /// Where the moment for everybody is kept.
    all: Vec<String>,
    connection: Servers,
    scripts: Scripts,
    endings: EndingScripts,
    /// What memory knows of the moment for everybody; the feed tells it as well.
    slate: Arc<Slate>,
}

impl Redis {
    /// Prepares connections; none is made yet. Must be called on a tokio runtime, on which they will live.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for settings that can never work.
    pub fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        let connection = Servers::prepare(settings)?;
        let all = connection.copies(endings::name_of_all(&settings.prefix));
        let places = all.iter().map(|name| connection.place(name.as_bytes())).collect();
        Ok(Self {
            prefix: settings.prefix.clone(),
            slate: Arc::new(Slate::shared(places)),
            all,
            connection,
            scripts: Scripts::new(),
            endings: EndingScripts::new(),
        })
    }

    /// What tells of changes to the records, on a connection of its own.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn feed(&self, settings: &RedisSettings) -> Result<Feed, StoreError> {
        let records = format!("{}s:", self.prefix);
        Feed::prepare(settings, &self.connection, records, Arc::clone(&self.slate))
    }

    /// What memory knows of the moment for everybody.
    pub fn slate(&self) -> Arc<Slate> {
        Arc::clone(&self.slate)
    }

    /// What its replicas have confirmed.
    pub fn waits(&self) -> Arc<Waits> {
        Arc::clone(self.connection.waits())
    }

    fn record(&self, key: &SessionKey) -> String {
        self.of_session('s', key)
    }

    fn last_seen(&self, key: &SessionKey) -> String {
        self.of_session('u', key)
    }

    fn index(&self, name: &[u8]) -> String {
        self.named('i', name)
    }

    /// A name that lies where all lie of this session.
    fn of_session(&self, kind: char, key: &SessionKey) -> String {
        let name = self.connection.together(URL_SAFE_NO_PAD.encode(key.as_bytes()));
        format!("{}{kind}:{name}", self.prefix)
    }

    fn named(&self, kind: char, name: &[u8]) -> String {
        format!("{}{kind}:{}", self.prefix, URL_SAFE_NO_PAD.encode(name))
    }

    /// Makes the index entries of a row; entries that have died are swept out on the way.
    async fn enter(&self, key: &SessionKey, row: &Row, now: Timestamp) -> Result<(), StoreError> {
        let entries = row.indexes.iter().map(|name| async move {
            let mut call = self.scripts.enter.key(self.index(name));
            call.arg(key.as_bytes().as_slice())
                .arg(row.expires.unix_millis())
                .arg(now.unix_millis())
                .arg(millis_until(row.expires, now));
            // A failover that forgets an entry would let its session escape an ending by subject or provider session.
            self.connection.ask_before_kept::<()>(Request::Script(&call)).await
        });
        try_join_all(entries).await.map(drop)
    }

    /// Takes a session out of its indexes. What cannot be taken out now expires by itself.
    async fn leave(&self, key: &SessionKey, indexes: &[u8]) {
        let mut commands = pipe();
        for name in indexes.chunks_exact(size_of::<IndexName>()) {
            commands.zrem(self.index(name), key.as_bytes().as_slice()).ignore();
        }
        if commands.is_empty() {
            return;
        }
        if let Err(error) = self.connection.ask::<()>(Request::Pipeline(&commands)).await {
            tracing::warn!(cause = %error, "index entries of an ended session stay until they expire");
        }
    }

    /// What a listing needs of one record; `None` when it is gone. One that is not of our making shows nothing.
    async fn glance(&self, key: SessionKey) -> Result<Option<Glance>, StoreError> {
        type Fields = (Option<Vec<u8>>, Option<Vec<u8>>);
        let mut commands = pipe();
        commands.cmd("HMGET").arg(self.record(&key)).arg("v").arg("o");
        commands.get(self.last_seen(&key));
        let unreadable = Glance { key, version: 0, operator: Vec::new(), last_seen: None };
        let answer = self.connection.ask(Request::Pipeline(&commands)).await;
        let (fields, last_seen): (Fields, Option<Vec<u8>>) = match answer {
            Err(StoreError::Unreadable(_)) => return Ok(Some(unreadable)),
            answer => answer?,
        };
        let last_seen = last_seen.and_then(|text| number(&text).ok()).map(Timestamp::from_unix_millis);
        Ok(match fields {
            (None, None) => None,
            (Some(version), Some(operator)) => match number(&version) {
                Ok(version) => Some(Glance { key, version, operator, last_seen }),
                Err(_) => Some(unreadable),
            },
            _ => Some(unreadable),
        })
    }

    /// The keys of some sessions from a place on, and where the next ones are. A cursor is SCAN's own, as text, in a cluster
    /// with the server that it belongs to. SCAN promises what the port does: what is there during the whole walk is found, and
    /// may be found twice.
    async fn keys(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<(Vec<SessionKey>, Option<Cursor>), StoreError> {
        // The prefix has no character that means something in a pattern: the configuration sees to that.
        let pattern = format!("{}s:*", self.prefix);
        let from = cursor.map(|cursor| cursor.0.as_slice());
        let (names, next) = self.connection.names(from, &pattern, limit).await?.ok_or(NO_CURSOR)?;
        Ok((names.iter().filter_map(|name| self.key_in(name)).collect(), next.map(Cursor)))
    }

    /// The session key in the name of a record.
    fn key_in(&self, name: &[u8]) -> Option<SessionKey> {
        key_in(name.strip_prefix(self.prefix.as_bytes())?.strip_prefix(b"s:")?)
    }

    async fn note_seen(&self, key: &SessionKey, now: Timestamp, keep: u64) -> Result<(), StoreError> {
        let mut command = cmd("SET");
        command.arg(self.last_seen(key)).arg(now.unix_millis()).arg("PX").arg(keep);
        self.connection.ask(Request::Command(&command)).await
    }
}

/// The session key in what follows the prefix of records; in a cluster it stands in braces.
fn key_in(name: &[u8]) -> Option<SessionKey> {
    let name = name.strip_prefix(b"{").and_then(|name| name.strip_suffix(b"}")).unwrap_or(name);
    Some(SessionKey::from_digest(URL_SAFE_NO_PAD.decode(name).ok()?.try_into().ok()?))
}

/// How long from `now`, in milliseconds, as Redis accepts it: at least one.
fn millis_until(expires: Timestamp, now: Timestamp) -> u64 {
    expires.unix_millis().saturating_sub(now.unix_millis()).clamp(1, LONGEST)
}

fn number(text: &[u8]) -> Result<u64, StoreError> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(DAMAGED)
}
