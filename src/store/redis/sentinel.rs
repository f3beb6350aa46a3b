//! Who the master is: what the sentinels say, and whether it is true.
//!
//! I own: [`Sentinels`]. I may call: `config`, the way to a server. I never believe a sentinel: one that was cut off
//! names a master of former times, so the server itself has to say that it is one.
//!
//! All are asked at once. What more than half of them name is tried as soon as they have said so; the rest, the most often
//! named first, when that fails. So one that does not answer costs nothing, one with old news does no harm while the
//! others know better, and while a failover is going round the first to know of it is enough.
//!
//! Sentinels tell nobody who does not ask, and a master that was replaced while it was well goes on for seconds as if
//! nothing had happened. So whoever is connected asks them every second, and goes where more than half of them say.

use super::failure::code;
use super::lock;
use super::way::{NoWay, Reached, Way};
use crate::config::SentinelSettings;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, ErrorKind, RedisConnectionInfo, RedisError, cmd};
use secrecy::ExposeSecret as _;
use std::sync::Mutex;
use std::time::Duration;

/// The sentinels of one master.
pub(super) struct Sentinels {
    addresses: Vec<(String, u16)>,
    master: String,
    user: RedisConnectionInfo,
    /// For each of them, the connection over which it answered last.
    links: Vec<Mutex<Option<MultiplexedConnection>>>,
}

/// An address that sentinels have named.
struct Candidate {
    host: String,
    port: u16,
    votes: usize,
    was_tried: bool,
}

/// What a sentinel says: the master's host and port, or that it knows none of that name.
type Word = Result<Option<(String, u16)>, RedisError>;

impl Sentinels {
    pub(super) fn new(settings: &SentinelSettings) -> Self {
        let SentinelSettings { addresses, master, user, password } = settings;
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(user) = user {
            info = info.set_username(user);
        }
        if let Some(password) = password {
            info = info.set_password(password.expose_secret());
        }
        let links = addresses.iter().map(|_| Mutex::default()).collect();
        Self { addresses: addresses.clone(), master: master.clone(), user: info, links }
    }

    /// Connects to the master.
    ///
    /// # Errors
    /// [`NoWay`]: what the likeliest server says, or the sentinels if they name none.
    pub(super) async fn find(&self, way: &Way) -> Result<Reached, NoWay> {
        let mut words = self.words(way);
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut failure: Option<NoWay> = None;
        let mut no_name = NoWay::NoSentinel;
        loop {
            let most = candidates.iter_mut().filter(|one| !one.was_tried).max_by_key(|one| one.votes);
            let next = most.filter(|one| words.is_empty() || self.is_most(one));
            if let Some(candidate) = next {
                candidate.was_tried = true;
                let address = way.address(&candidate.host, candidate.port);
                match way.reach(address, Duration::ZERO).await {
                    Ok(reached) => return Ok(reached),
                    Err(why) => failure = failure.or(Some(why)),
                }
                continue;
            }
            match words.next().await {
                Some(Ok(Some(named))) => count(&mut candidates, named),
                Some(Ok(None)) => no_name = NoWay::UnknownMaster,
                Some(Err(error)) => no_name = no_name.or_refused(error),
                None => return Err(failure.unwrap_or(no_name)),
            }
        }
    }

    /// The address that more than half of the sentinels name, if there is one.
    pub(super) async fn named_by_most(&self, way: &Way) -> Option<ConnectionAddr> {
        let mut words = self.words(way);
        let mut candidates: Vec<Candidate> = Vec::new();
        while let Some(word) = words.next().await {
            if let Ok(Some(named)) = word {
                count(&mut candidates, named);
            }
            if let Some(most) = candidates.iter().find(|one| self.is_most(one)) {
                return Some(way.address(&most.host, most.port));
            }
        }
        None
    }

    fn is_most(&self, candidate: &Candidate) -> bool {
        candidate.votes * 2 > self.addresses.len()
    }

    /// All of them are asked at once.
    fn words<'s>(&'s self, way: &'s Way) -> FuturesUnordered<impl Future<Output = Word> + 's> {
        (0..self.addresses.len()).map(|at| self.ask(way, at)).collect()
    }

    /// Asks one of them, over the connection of the last time if that still leads there.
    async fn ask(&self, way: &Way, at: usize) -> Word {
        let mut question = cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(&self.master);
        let known = lock(&self.links[at]).take();
        if let Some(mut link) = known {
            let answer = question.query_async(&mut link).await;
            if answer.as_ref().err().is_none_or(RedisError::is_timeout) {
                // One that is silent is not asked twice.
                *lock(&self.links[at]) = answer.is_ok().then_some(link);
                return answer;
            }
        }
        let mut link = way.connect_to_sentinel(&self.addresses[at], self.user.clone()).await?;
        let answer = question.query_async(&mut link).await;
        *lock(&self.links[at]) = answer.is_ok().then_some(link);
        answer
    }
}

impl NoWay {
    /// What a sentinel says beats that another one says nothing.
    fn or_refused(self, error: RedisError) -> Self {
        match (self, error.kind()) {
            (Self::NoSentinel, ErrorKind::AuthenticationFailed) => {
                Self::Refused("refused the user or the password".into())
            }
            (Self::NoSentinel, ErrorKind::Server(_) | ErrorKind::Extension) => {
                Self::Refused(format!("answered {}", code(error)))
            }
            (known, _) => known,
        }
    }
}

fn count(candidates: &mut Vec<Candidate>, (host, port): (String, u16)) {
    match candidates.iter_mut().find(|one| one.host == host && one.port == port) {
        Some(known) => known.votes += 1,
        None => candidates.push(Candidate { host, port, votes: 1, was_tried: false }),
    }
}

#[cfg(test)]
pub(in crate::store::redis) mod tests;
