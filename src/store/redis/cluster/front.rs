//! A cluster that is spoken to as if it were one server.
//!
//! I own: [`Front`]: each command goes where its key lies, and the commands of a pipeline to as many servers as they have
//! keys with. I may call: the cluster. I never send two keys in one command, and never a transaction.

use super::map::Node;
use super::slot::slot;
use super::{Cluster, Manner, leads_elsewhere, nobody, nobody_answers};
use crate::store::redis::connection::{IfBroken, Keep, Request};
use crate::store::redis::failure::Failure;
use futures_util::future::{FutureExt as _, join_all};
use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisFuture, RedisResult, Value, pipe};
use std::sync::{Arc, Mutex, PoisonError};

/// One request's view of a cluster.
pub(in crate::store::redis) struct Front<'c> {
    cluster: &'c Arc<Cluster>,
    manner: Manner,
    /// Who answered last: a script that is unknown there is sent there.
    last: Option<Arc<Node>>,
    /// Why the request failed, which says more than the crate's error.
    failure: Why,
}

/// Why a request failed, for whoever has given its front away.
#[derive(Clone, Default)]
pub(in crate::store::redis) struct Why(Arc<Mutex<Option<Failure>>>);

impl Why {
    pub(in crate::store::redis) fn take(&self) -> Option<Failure> {
        self.note(None)
    }

    fn note(&self, failure: Option<Failure>) -> Option<Failure> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), failure)
    }
}

impl<'c> Front<'c> {
    pub(in crate::store::redis) fn new(cluster: &'c Arc<Cluster>, if_broken: IfBroken, keep: Keep) -> Self {
        Self { cluster, manner: Manner { if_broken, keep }, last: None, failure: Why::default() }
    }

    /// Why the last command failed, if it did.
    pub(in crate::store::redis) fn failure(&self) -> Why {
        self.failure.clone()
    }

    async fn one(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = match (key_of(command), &self.last) {
            (Some(key), _) => {
                let (answer, last) = self.cluster.carry_out(command, slot(key), self.manner).await;
                self.last = last;
                answer
            }
            // What is said to one server in particular: SCRIPT LOAD, after that one did not know the script.
            (None, Some(node)) => {
                let Manner { if_broken, keep } = self.manner;
                node.connection.try_ask(&Request::Command(command), if_broken, keep).await
            }
            (None, None) => self.cluster.anywhere(command, self.manner).await,
        };
        self.note(answer)
    }

    async fn several(&mut self, commands: &[&Cmd]) -> RedisResult<Vec<Value>> {
        let mut groups: Vec<(Option<u16>, Vec<usize>)> = Vec::new();
        for (at, command) in commands.iter().enumerate() {
            let slot = key_of(command).map(slot);
            match groups.iter_mut().find(|(other, _)| *other == slot) {
                Some((_, places)) => places.push(at),
                None => groups.push((slot, vec![at])),
            }
        }
        let (cluster, manner) = (self.cluster, self.manner);
        let group = |(slot, places): (Option<u16>, Vec<usize>)| async move {
            let of_group: Vec<&Cmd> = places.iter().filter_map(|at| commands.get(*at).copied()).collect();
            let answers = together(cluster, slot, &of_group, manner).await;
            answers.map(|answers| places.into_iter().zip(answers).collect::<Vec<_>>())
        };
        let mut all = Vec::with_capacity(commands.len());
        for answers in join_all(groups.into_iter().map(group)).await {
            all.extend(self.note(answers)?);
        }
        all.sort_unstable_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, value)| value).collect())
    }

    fn note<T>(&mut self, answer: Result<T, Failure>) -> RedisResult<T> {
        self.failure.take();
        answer.map_err(|failure| {
            let error = failure.error().cloned().unwrap_or_else(nobody_answers);
            self.failure.note(Some(failure));
            error
        })
    }
}

/// Commands for one slot: in one round trip where nothing stands in the way, else one after the other.
async fn together(
    cluster: &Arc<Cluster>,
    slot: Option<u16>,
    commands: &[&Cmd],
    manner: Manner,
) -> Result<Vec<Value>, Failure> {
    // What may not be carried out twice cannot be tried together first.
    if let (Some(slot), 2.., IfBroken::AskAgain) = (slot, commands.len(), manner.if_broken) {
        let mut at_once = pipe();
        for command in commands {
            at_once.add_command((*command).clone());
        }
        let node = cluster.owner(slot).await?;
        match node.connection.try_ask(&Request::Pipeline(&at_once), manner.if_broken, manner.keep).await {
            Ok(answers) => return Ok(answers),
            Err(failure) if leads_elsewhere(&failure) => {}
            Err(failure) => return Err(failure),
        }
    }
    let mut answers = Vec::with_capacity(commands.len());
    for command in commands {
        answers.push(match slot {
            Some(slot) => cluster.carry_out(command, slot, manner).await.0?,
            None => cluster.anywhere(command, manner).await?,
        });
    }
    Ok(answers)
}

/// The key of a command: its first word, or the first one behind the number of a script's keys.
fn key_of(command: &Cmd) -> Option<&[u8]> {
    let mut words = command.args_iter().map(|word| match word {
        Arg::Simple(word) => word,
        _ => b"0".as_slice(),
    });
    let name = words.next()?;
    let is = |names: &[&str]| names.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()));
    if is(&["PING", "SCRIPT", "TIME", "ROLE", "INFO", "WAIT"]) {
        None
    } else if is(&["EVALSHA", "EVAL"]) {
        words.nth(2)
    } else {
        words.next()
    }
}

impl ConnectionLike for Front<'_> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.one(command).boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        _count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        async move {
            if offset > 0 {
                self.failure.note(Some(nobody()));
                return Err((ErrorKind::Client, "no transaction in a cluster").into());
            }
            let commands: Vec<&Cmd> = pipeline.cmd_iter().collect();
            self.several(&commands).await
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::cmd;

    #[test]
    fn the_key_is_where_redis_looks_for_it() {
        assert_eq!(key_of(cmd("HMGET").arg("k").arg("v")), Some(b"k".as_slice()));
        assert_eq!(key_of(cmd("evalsha").arg("digest").arg(1).arg("k").arg("a")), Some(b"k".as_slice()));
        for none in [&cmd("PING"), cmd("SCRIPT").arg("LOAD").arg("return 1")] {
            assert_eq!(key_of(none), None);
        }
    }
}
