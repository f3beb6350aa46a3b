//! Debts and the moment for everybody, in Redis.
//!
//! I own: the keys `d:<shelf>`, `s:all` and `s:all:{…}` under the prefix, and their scripts. I may call: `domain`, `ports`, the room's
//! own types. I never touch two keys in one step, and leave no key without an expiry.
//!
//! - `d:<shelf>`, a hexadecimal digit: sorted set of debts, by the moment from which they are due; the shelf is the first
//!   digit of the session's key;
//! - `s:all`: the moment in milliseconds of Unix time. It lies beside the records because that is what the feed tells of.
//!   In a cluster every request of every session would hang on the one master that has it: there it is kept several times,
//!   as `s:all:{0}` and so on. An ending of all is written to each copy, and is in force with the first; any copy answers.

use super::connection::{IfBroken, Request};
use super::{Redis, fault, millis_until, number};
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use crate::store::shelf::{EndingShelf, Notes, RemovedAt, SHELF_KEPT, SHELVES};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, join, join_all, try_join_all};
use futures_util::stream::FuturesUnordered;
use redis::{Script, cmd, pipe};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What the name of the moment begins with, after the prefix of records.
const ALL: &str = "all";

/// Once most copies of the moment were read, how long the others are waited for: a frozen server is not worth a time-out
/// to everybody. What was written has been written to all of them.
const STRAGGLERS: Duration = Duration::from_millis(200);

/// The scripts of this file.
pub(super) struct EndingScripts {
    /// Debt, moment from which it is due, milliseconds to keep the shelf, which never lives shorter than before.
    owe: Script,
    /// Now, until, how many: those that are due at `now` are due at `until`, and are given out.
    claim: Script,
    /// Debt, moment: due then, if it is still there.
    defer: Script,
    /// Version: the record goes, if it has that. Its index names, or 0 for another version, or -1 when there is none.
    delete_at: Script,
}

impl EndingScripts {
    pub(super) fn new() -> Self {
        Self {
            owe: Script::new(OWE),
            claim: Script::new(CLAIM),
            defer: Script::new(DEFER),
            delete_at: Script::new(DELETE_AT),
        }
    }
}

const OWE: &str = r"
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
";

const CLAIM: &str = r"
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, debt in ipairs(due) do
  redis.call('ZADD', KEYS[1], ARGV[2], debt)
end
return due
";

const DEFER: &str = r"
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
end
return 1
";

const DELETE_AT: &str = r"
local old = redis.call('HMGET', KEYS[1], 'v', 'i')
if not old[1] then return -1 end
if old[1] ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return old[2] or ''
";

impl Redis {
    fn shelf(&self, number: u8) -> String {
        format!("{}d:{number:x}", self.prefix)
    }

    /// Where a debt lies: by the first digit of its session's key.
    fn shelf_of(&self, debt: &[u8]) -> String {
        self.shelf(debt.first().map_or(0, |byte| byte % SHELVES))
    }

    /// Notes the moment under these names, all at once; how many failed, and the last reason.
    async fn note_all(
        &self,
        names: &[&String],
        at: Timestamp,
        keep: Duration,
    ) -> Option<(usize, StoreError)> {
        let notes = names.iter().map(|name| async move {
            let mut call = self.scripts.mark.key(name.as_str());
            call.arg(at.unix_millis()).arg(millis_until(at.plus(keep), at));
            self.connection.ask_kept::<()>(Request::Script(&call), IfBroken::AskAgain).await
        });
        let failed: Vec<_> = join_all(notes).await.into_iter().filter_map(Result::err).collect();
        let count = failed.len();
        failed.into_iter().last().map(|error| (count, error))
    }

    async fn read_all(&self, name: &str) -> Result<Timestamp, StoreError> {
        let mut command = cmd("GET");
        command.arg(name);
        let at: Option<Vec<u8>> = self.connection.ask(Request::Command(&command)).await?;
        at.map_or(Ok(Timestamp::NEVER), |text| number(&text).map(Timestamp::from_unix_millis))
    }
}

/// What the moment for everybody is called under a prefix.
pub(super) fn name_of_all(prefix: &str) -> String {
    format!("{prefix}s:{ALL}")
}

/// Whether this, after the prefix of records, is where the moment for everybody is kept, or a copy of it.
pub(super) fn is_all(name: &[u8]) -> bool {
    let rest = name.strip_prefix(ALL.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b":{"))
}

impl EndingShelf for Redis {
    fn owe<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut call = self.endings.owe.key(self.shelf_of(debt));
            call.arg(debt).arg(due.unix_millis()).arg(millis(SHELF_KEPT));
            self.connection.ask_kept::<()>(Request::Script(&call), IfBroken::AskAgain).await?;
            fault::point("owe: noted").await;
            Ok(())
        })
    }

    fn claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            // Asked again, those of the first time are claimed for nobody; they are due again when the lease is over.
            let shelves = (0..SHELVES).map(|number| async move {
                let mut call = self.endings.claim.key(self.shelf(number));
                call.arg(now.unix_millis()).arg(until.unix_millis()).arg(most.div_ceil(usize::from(SHELVES)));
                let claimed: Vec<Vec<u8>> = self.connection.ask(Request::Script(&call)).await?;
                Ok::<_, StoreError>(claimed)
            });
            // What was given out is leased: one server that is away does not make it wait for nothing.
            let mut claimed = Vec::new();
            let (mut answered, mut failed) = (false, None);
            for shelf in join_all(shelves).await {
                match shelf {
                    Ok(debts) => {
                        answered = true;
                        claimed.extend(debts);
                    }
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                Some(error) if !answered => return Err(error),
                Some(error) => tracing::warn!(%error, "some debts could not be looked for"),
                None => {}
            }
            if !claimed.is_empty() {
                fault::point("claim: taken").await;
            }
            Ok(claimed)
        })
    }

    fn settle<'a>(&'a self, debt: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut command = cmd("ZREM");
            command.arg(self.shelf_of(debt)).arg(debt);
            self.connection.ask(Request::Command(&command)).await
        })
    }

    fn defer<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut call = self.endings.defer.key(self.shelf_of(debt));
            call.arg(debt).arg(due.unix_millis());
            self.connection.ask::<()>(Request::Script(&call)).await
        })
    }

    fn debts(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            let shelves = (0..SHELVES).map(|number| async move {
                let mut command = cmd("ZCARD");
                command.arg(self.shelf(number));
                self.connection.ask::<usize>(Request::Command(&command)).await
            });
            Ok(try_join_all(shelves).await?.into_iter().sum())
        })
    }

    fn delete_at<'a>(
        &'a self,
        key: &'a SessionKey,
        version: u64,
    ) -> BoxFuture<'a, Result<RemovedAt, StoreError>> {
        Box::pin(async move {
            let mut call = self.endings.delete_at.key(self.record(key));
            call.arg(version);
            // Not asked again: it would find nothing, and whoever hears that somebody else was faster withdraws the debt.
            let answer: redis::Value =
                self.connection.ask_kept(Request::Script(&call), IfBroken::GiveUp).await?;
            let indexes = match answer {
                redis::Value::Int(0) => return Ok(RemovedAt::Other),
                redis::Value::Int(_) => return Ok(RemovedAt::Gone),
                redis::Value::BulkString(indexes) => indexes,
                _ => Vec::new(),
            };
            fault::point("end: record gone").await;
            let mut commands = pipe();
            commands.del(self.last_seen(key)).ignore();
            if let Err(error) = self.connection.ask::<()>(Request::Pipeline(&commands)).await {
                tracing::warn!(cause = %error, "the last use of an ended session stays until it expires");
            }
            join(self.leave(key, &indexes), self.tell_of_end(key)).await;
            Ok(RemovedAt::Done)
        })
    }

    fn clear(&self, now: Timestamp, keep: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let names: Vec<_> = self.all.iter().collect();
            match self.note_all(&names, now, keep).await {
                None => {}
                // What was written is in force; but whoever has only a copy that is behind would not know of it.
                Some((failed, StoreError::Unavailable(why))) if failed < names.len() => {
                    let of = names.len();
                    let why = format!("an ending of all is missing in {failed} of {of} places: {why}");
                    return Err(StoreError::Unavailable(why));
                }
                Some((_, error)) => return Err(error),
            }
            fault::point("clear: noted").await;
            Ok(())
        })
    }

    fn cleared(&self, _now: Timestamp) -> BoxFuture<'_, Result<Notes, StoreError>> {
        Box::pin(async move {
            let asked = self.all.iter().enumerate();
            let mut asked: FuturesUnordered<_> =
                asked.map(|(at, name)| async move { (at, self.read_all(name).await) }).collect();
            let mut notes = vec![None; self.all.len()];
            let (mut read, mut failed, mut until) = (0, None, None);
            loop {
                let next = match until {
                    None => asked.next().await,
                    Some(until) => timeout_at(until, asked.next()).await.unwrap_or_default(),
                };
                match next {
                    None => break,
                    Some((at, Ok(moment))) => {
                        (notes[at], read) = (Some(moment), read + 1);
                        if 2 * read > notes.len() && until.is_none() {
                            until = Some(Instant::now() + STRAGGLERS);
                        }
                    }
                    Some((_, Err(error))) => failed = Some(error),
                }
            }
            match failed {
                Some(error) if read == 0 => Err(error),
                _ => Ok(Notes(notes)),
            }
        })
    }

    fn mend<'a>(
        &'a self,
        at: Timestamp,
        keep: Duration,
        notes: &'a Notes,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            // Only those: each writing makes everybody read again.
            let notes = self.all.iter().zip(&notes.0);
            let behind: Vec<_> =
                notes.filter(|(_, note)| note.is_some_and(|note| note < at)).map(|(name, _)| name).collect();
            self.note_all(&behind, at, keep).await.map_or(Ok(()), |(_, error)| Err(error))
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
