//! What Redis tells of the index entries of its records.
//!
//! I own: that answer. I may call: the room's own types. I never name two keys in one command: they may lie on two servers.

use super::Redis;
use super::connection::Request;
use crate::domain::session::SessionKey;
use crate::ports::StoreError;
use crate::store::IndexName;
use crate::store::census::Entries;
use futures_util::future::{BoxFuture, try_join_all};
use redis::cmd;

impl Redis {
    async fn entries_of(&self, key: &SessionKey) -> Result<Vec<IndexName>, StoreError> {
        let mut command = cmd("HGET");
        command.arg(self.record(key)).arg("i");
        match self.connection.ask::<Option<Vec<u8>>>(Request::Command(&command)).await {
            Ok(names) => Ok(names.unwrap_or_default().as_chunks().0.to_vec()),
            // Something else lies there; the page has said so already.
            Err(StoreError::Unreadable(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

impl Entries for Redis {
    fn entries<'a>(
        &'a self,
        keys: &'a [SessionKey],
    ) -> BoxFuture<'a, Result<Vec<Vec<IndexName>>, StoreError>> {
        Box::pin(try_join_all(keys.iter().map(|key| self.entries_of(key))))
    }
}
