//! What a backend is asked, said in the commands of Redis.
//!
//! I own: [`Backend`] for [`Redis`]: which commands, in which order, and which of them replicas have to confirm. I may call:
//! `domain`, `ports`, the room's own types. I never write a record whose index entries are not there yet, and never ask
//! again for a write that could bring back what was ended in between.

use super::connection::{IfBroken, Request};
use super::{DAMAGED, Redis, fault, millis_until, number};
use crate::domain::login::LoginId;
use crate::domain::renewal::LeaseId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::new_text;
use crate::ports::{Cursor, StoreError, Updated};
use crate::store::{Backend, Found, IndexName, Page, Row};
use futures_util::future::{BoxFuture, join, try_join_all};
use redis::{cmd, pipe};
use std::time::Duration;

impl Backend for Redis {
    fn insert<'a>(
        &'a self,
        key: &'a SessionKey,
        row: &'a Row,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            // Entries first: a record without them would escape an ending by subject or provider session.
            self.enter(key, row, now).await?;
            fault::point("create: indexes there").await;
            let mut call = self.scripts.insert.key(self.record(key));
            call.arg(row.version)
                .arg(row.private.as_slice())
                .arg(row.operator.as_slice())
                .arg(row.indexes.concat())
                .arg(millis_until(row.expires, now));
            // Not asked again: what was written may have been ended in between, and would come back.
            let is_new: bool = self.connection.ask_kept(Request::Script(&call), IfBroken::GiveUp).await?;
            fault::point("create: record there").await;
            if is_new {
                self.note_seen(key, now, millis_until(row.expires, now)).await?;
            }
            Ok(is_new)
        })
    }

    fn fetch<'a>(
        &'a self,
        key: &'a SessionKey,
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Found>, StoreError>> {
        Box::pin(async move {
            type Fields = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
            let mut commands = pipe();
            commands.cmd("HMGET").arg(self.record(key)).arg("v").arg("p").arg("o");
            commands.get(self.last_seen(key));
            let (fields, last_seen): (Fields, Option<Vec<u8>>) =
                self.connection.ask(Request::Pipeline(&commands)).await?;
            let (version, private, operator) = match fields {
                (None, None, None) => return Ok(None),
                (Some(version), Some(private), Some(operator)) => (number(&version)?, private, operator),
                _ => return Err(DAMAGED),
            };
            let last_seen = last_seen.map(|text| number(&text)).transpose()?;
            let last_seen = last_seen.map(Timestamp::from_unix_millis);
            Ok(Some(Found { version, private, operator, last_seen }))
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a SessionKey,
        row: &'a Row,
        expected: u64,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        Box::pin(async move {
            self.enter(key, row, now).await?;
            fault::point("update: indexes there").await;
            let mut call = self.scripts.replace.key(self.record(key));
            call.arg(expected)
                .arg(row.version)
                .arg(row.private.as_slice())
                .arg(row.operator.as_slice())
                .arg(row.indexes.concat())
                .arg(millis_until(row.expires, now));
            // Not asked again: a second run would take our own write for somebody else's.
            match self.connection.ask_kept::<i64>(Request::Script(&call), IfBroken::GiveUp).await? {
                1 => Ok(Updated::Done(row.version)),
                0 => Ok(Updated::Conflict),
                _ => {
                    self.leave(key, &row.indexes.concat()).await;
                    Ok(Updated::Gone)
                }
            }
        })
    }

    fn delete<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut command = cmd("HGET");
            command.arg(self.record(key)).arg("i");
            let indexes: Option<Vec<u8>> = match self.connection.ask(Request::Command(&command)).await {
                // Whatever lies there instead of a record, an ending clears it away.
                Err(StoreError::Unreadable(_)) => None,
                answer => answer?,
            };
            fault::point("end: indexes read").await;
            // The record first: from here on the session is over, whatever becomes of the rest.
            let mut commands = pipe();
            commands.del(self.record(key)).del(self.last_seen(key)).ignore();
            // Where the server was replaced meanwhile, either of the two may have been the one that had it.
            let request = Request::Pipeline(&commands);
            let ((removed,), again): ((u64,), Option<(u64,)>) =
                self.connection.ask_kept_everywhere(request, IfBroken::AskAgain).await?;
            let removed = removed + again.map_or(0, |(removed,)| removed);
            fault::point("end: record and last use gone").await;
            let indexes = indexes.unwrap_or_default();
            let leaving = self.leave(key, &indexes);
            if removed > 0 {
                join(leaving, self.tell_of_end(key)).await;
            } else {
                leaving.await;
            }
            Ok(removed > 0)
        })
    }

    fn seen<'a>(
        &'a self,
        key: &'a SessionKey,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.note_seen(key, now, millis_until(now.plus(keep), now)))
    }

    fn members<'a>(
        &'a self,
        names: &'a [IndexName],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<SessionKey>, StoreError>> {
        Box::pin(async move {
            let mut commands = pipe();
            for name in names {
                commands.zrangebyscore(self.index(name), format!("({}", now.unix_millis()), "+inf");
            }
            let answers: Vec<Vec<Vec<u8>>> = self.connection.ask(Request::Pipeline(&commands)).await?;
            let mut found = Vec::new();
            for member in answers.into_iter().flatten() {
                let key = SessionKey::from_digest(member.try_into().map_err(|_| DAMAGED)?);
                if !found.contains(&key) {
                    found.push(key);
                }
            }
            Ok(found)
        })
    }

    fn take_once(
        &self,
        login: LoginId,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            // The mark of this attempt makes asking again harmless: the script knows its own entry.
            let mark = new_text::<16>().map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let mut call = self.scripts.take.key(self.named('l', &login.0));
            call.arg(mark.as_str()).arg(millis_until(now.plus(keep), now));
            // A failover that forgets it would let the same login be taken twice; one in between makes no "yes" of a "no".
            let (first, again): (bool, Option<bool>) =
                self.connection.ask_kept_everywhere(Request::Script(&call), IfBroken::AskAgain).await?;
            Ok(first && again.unwrap_or(true))
        })
    }

    fn mark<'a>(
        &'a self,
        name: &'a IndexName,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut call = self.scripts.mark.key(self.named('m', name));
            call.arg(now.unix_millis()).arg(millis_until(now.plus(keep), now));
            self.connection.ask_kept::<()>(Request::Script(&call), IfBroken::AskAgain).await?;
            fault::point("mark: noted").await;
            Ok(())
        })
    }

    fn marked<'a>(
        &'a self,
        names: &'a [IndexName],
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, StoreError>> {
        Box::pin(async move {
            let mut commands = pipe();
            for name in names {
                commands.get(self.named('m', name));
            }
            let marks: Vec<Option<Vec<u8>>> = self.connection.ask(Request::Pipeline(&commands)).await?;
            let marks = marks.into_iter().flatten().map(|text| number(&text));
            let latest = marks.collect::<Result<Vec<u64>, _>>()?.into_iter().max();
            Ok(latest.map(Timestamp::from_unix_millis))
        })
    }

    fn lease<'a>(
        &'a self,
        key: &'a SessionKey,
        holder: LeaseId,
        now: Timestamp,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut call = self.scripts.lease.key(self.of_session('r', key));
            call.arg(holder.0.as_slice()).arg(millis_until(now.plus(keep), now));
            self.connection.ask_kept(Request::Script(&call), IfBroken::AskAgain).await
        })
    }

    fn release<'a>(&'a self, key: &'a SessionKey, holder: LeaseId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut call = self.scripts.release.key(self.of_session('r', key));
            call.arg(holder.0.as_slice());
            self.connection.ask::<()>(Request::Script(&call)).await
        })
    }

    fn page<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        limit: usize,
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async move {
            let (keys, next) = self.keys(cursor, limit).await?;
            let glances = try_join_all(keys.into_iter().map(|key| self.glance(key))).await?;
            Ok((glances.into_iter().flatten().collect(), next))
        })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.connection.ask(Request::Command(&cmd("PING"))).await })
    }
}
