//! Debts and the moment for everybody, in Redis.
//!
//! I own: the keys `d:<shelf>` and `s:all` under the prefix, and their scripts. I may call: `domain`, `ports`, the room's
//! own types. I never touch two keys in one step, and leave no key without an expiry.
//!
//! - `d:<shelf>`, a hexadecimal digit: sorted set of debts, by the moment from which they are due; the shelf is the first
//!   digit of the session's key;
//! - `s:all`: the moment in milliseconds of Unix time. It lies beside the records because that is what the feed tells of.

use super::connection::{IfBroken, Request};
use super::{Redis, fault, millis_until, number};
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use crate::store::shelf::{EndingShelf, RemovedAt, SHELF_KEPT, SHELVES};
use futures_util::future::{BoxFuture, join, try_join_all};
use redis::{Script, cmd, pipe};
use std::time::Duration;

/// What the name of the moment ends with, after the prefix of records.
pub(in crate::store) const ALL: &str = "all";

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

    fn all(&self) -> String {
        format!("{}s:{ALL}", self.prefix)
    }
}

impl EndingShelf for Redis {
    fn owe<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut call = self.endings.owe.key(self.shelf_of(debt));
            call.arg(debt).arg(due.unix_millis()).arg(millis(SHELF_KEPT));
            self.connection.ask::<()>(Request::Script(&call), IfBroken::AskAgain).await?;
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
                let claimed: Vec<Vec<u8>> =
                    self.connection.ask(Request::Script(&call), IfBroken::AskAgain).await?;
                Ok::<_, StoreError>(claimed)
            });
            let claimed = try_join_all(shelves).await?.into_iter().flatten().collect::<Vec<_>>();
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
            self.connection.ask(Request::Command(&command), IfBroken::AskAgain).await
        })
    }

    fn defer<'a>(&'a self, debt: &'a [u8], due: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut call = self.endings.defer.key(self.shelf_of(debt));
            call.arg(debt).arg(due.unix_millis());
            self.connection.ask::<()>(Request::Script(&call), IfBroken::AskAgain).await
        })
    }

    fn debts(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            let shelves = (0..SHELVES).map(|number| async move {
                let mut command = cmd("ZCARD");
                command.arg(self.shelf(number));
                self.connection.ask::<usize>(Request::Command(&command), IfBroken::AskAgain).await
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
            let answer: redis::Value = self.connection.ask(Request::Script(&call), IfBroken::GiveUp).await?;
            let indexes = match answer {
                redis::Value::Int(0) => return Ok(RemovedAt::Other),
                redis::Value::Int(_) => return Ok(RemovedAt::Gone),
                redis::Value::BulkString(indexes) => indexes,
                _ => Vec::new(),
            };
            fault::point("end: record gone").await;
            let mut commands = pipe();
            commands.del(self.last_seen(key)).ignore();
            if let Err(error) =
                self.connection.ask::<()>(Request::Pipeline(&commands), IfBroken::AskAgain).await
            {
                tracing::warn!(cause = %error, "the last use of an ended session stays until it expires");
            }
            join(self.leave(key, &indexes), self.tell_of_end(key)).await;
            Ok(RemovedAt::Done)
        })
    }

    fn clear(&self, now: Timestamp, keep: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut call = self.scripts.mark.key(self.all());
            call.arg(now.unix_millis()).arg(millis_until(now.plus(keep), now));
            self.connection.ask::<()>(Request::Script(&call), IfBroken::AskAgain).await?;
            fault::point("clear: noted").await;
            Ok(())
        })
    }

    fn cleared(&self, _now: Timestamp) -> BoxFuture<'_, Result<Timestamp, StoreError>> {
        Box::pin(async move {
            let mut command = cmd("GET");
            command.arg(self.all());
            let at: Option<Vec<u8>> =
                self.connection.ask(Request::Command(&command), IfBroken::AskAgain).await?;
            match at {
                None => Ok(Timestamp::NEVER),
                Some(text) => number(&text).map(Timestamp::from_unix_millis),
            }
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
