//! Records in Redis, on their way from one store to another.
//!
//! I own: `Haul` for Redis. I may call: `domain`, `ports`, the room's own types. I never replace a record by one that is
//! not newer.

use super::{Redis, millis_until, number};
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::{Cursor, StoreError, Updated};
use crate::store::redis::connection::{IfBroken, Request};
use crate::store::transfer::{Haul, Load, Parcel, Placed};
use crate::store::{Backend as _, IndexName, Row};
use futures_util::future::{BoxFuture, try_join_all};
use redis::{cmd, pipe};

impl Redis {
    /// A whole record; `None` when it is gone, or none of ours.
    async fn parcel(&self, key: SessionKey) -> Result<Option<Parcel>, StoreError> {
        type Fields = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
        let mut commands = pipe();
        commands.cmd("HMGET").arg(self.record(&key)).arg("v").arg("p").arg("o").arg("i");
        commands.get(self.last_seen(&key));
        let answer = self.connection.ask(Request::Pipeline(&commands)).await;
        let (fields, last_seen): (Fields, Option<Vec<u8>>) = match answer {
            Err(StoreError::Unreadable(_)) => return Ok(None),
            answer => answer?,
        };
        let (Some(version), Some(private), Some(operator), Some(indexes)) = fields else { return Ok(None) };
        let Ok(version) = number(&version) else { return Ok(None) };
        let indexes = indexes.as_chunks::<{ size_of::<IndexName>() }>().0.to_vec();
        let last_seen = last_seen.and_then(|text| number(&text).ok()).map(Timestamp::from_unix_millis);
        let row = Row { version, private, operator, indexes, expires: Timestamp::from_unix_millis(0) };
        Ok(Some(Parcel { key, row, last_seen }))
    }

    /// The version of what is there.
    async fn version(&self, key: &SessionKey) -> Result<Option<u64>, StoreError> {
        let mut command = cmd("HGET");
        command.arg(self.record(key)).arg("v");
        let version: Option<Vec<u8>> = self.connection.ask(Request::Command(&command)).await?;
        version.map(|text| number(&text)).transpose()
    }

    /// Notes a last use, unless a later one is known.
    async fn note_moved(&self, parcel: &Parcel, now: Timestamp) -> Result<(), StoreError> {
        let Some(seen) = parcel.last_seen else { return Ok(()) };
        let mut command = cmd("GET");
        command.arg(self.last_seen(&parcel.key));
        let before: Option<Vec<u8>> = self.connection.ask(Request::Command(&command)).await?;
        let before = before.and_then(|text| number(&text).ok());
        if before.is_some_and(|before| seen.unix_millis() <= before) {
            return Ok(());
        }
        self.note_seen(&parcel.key, seen, millis_until(parcel.row.expires, now)).await
    }
}

impl Haul for Redis {
    fn load<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        limit: usize,
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Load, StoreError>> {
        Box::pin(async move {
            let (keys, next) = self.keys(cursor, limit).await?;
            let parcels = try_join_all(keys.into_iter().map(|key| self.parcel(key))).await?;
            Ok((parcels.into_iter().flatten().collect(), next))
        })
    }

    fn place<'a>(&'a self, parcel: &'a Parcel, now: Timestamp) -> BoxFuture<'a, Result<Placed, StoreError>> {
        Box::pin(async move {
            let Parcel { key, row, .. } = parcel;
            let placed = match self.version(key).await? {
                Some(there) if there >= row.version => return Ok(Placed::There),
                Some(there) => match self.replace(key, row, there, now).await? {
                    Updated::Done(_) => Placed::Newer,
                    // Somebody uses it here, and is ahead; or has just ended it here, and it does not come back.
                    Updated::Conflict | Updated::Gone => return Ok(Placed::There),
                },
                None => {
                    // Before the record, so that nobody finds it unused; `insert` notes `now`, which is too late.
                    self.enter(key, row, now).await?;
                    self.note_moved(parcel, now).await?;
                    let mut call = self.scripts.insert.key(self.record(key));
                    call.arg(row.version)
                        .arg(row.private.as_slice())
                        .arg(row.operator.as_slice())
                        .arg(row.indexes.concat())
                        .arg(millis_until(row.expires, now));
                    match self.connection.ask_kept::<bool>(Request::Script(&call), IfBroken::GiveUp).await? {
                        true => return Ok(Placed::New),
                        false => return Ok(Placed::There),
                    }
                }
            };
            self.note_moved(parcel, now).await?;
            Ok(placed)
        })
    }
}
