//! One server, however its address is found: a connection that is shared, one of each worker's own, one for the writes
//! that replicas have to confirm; all made anew whenever they are lost.
//!
//! I own: [`Connection`], and the one retry. I may call: `config`, `ports`, the way to the server.
//! I never connect before somebody asks, never keep a failure for the next one who asks, and never mix servers: whatever
//! goes over a connection goes to the one that it was made to.
//!
//! The crate's own `ConnectionManager` is not used: it keeps a first failure that is not an I/O error (a refused
//! password, a server that is still loading) for ever, and it stays on a connection that only times out.

use super::failure::Failure;
use super::local::Locals;
use super::lock;
use super::waits::{Answer, Kept, Waits};
use super::way::{NoWay, Reached, Way};
use crate::config::RedisSettings;
use crate::ports::StoreError;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    Client, Cmd, ConnectionAddr, FromRedisValue, Pipeline, ProtocolVersion, RedisResult, ScriptInvocation,
    cmd,
};
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

/// How often sentinels are asked whether their master is still the one that is spoken to.
const WATCH: Duration = Duration::from_secs(1);

/// What can be asked, any number of times.
pub(super) enum Request<'a> {
    /// One command.
    Command(&'a Cmd),
    /// Several in one round trip.
    Pipeline(&'a Pipeline),
    /// A script, by its digest; its text is sent when Redis does not know it.
    Script(&'a ScriptInvocation<'a>),
}

impl Request<'_> {
    /// Asks whatever takes commands: a connection, or a whole cluster.
    pub(super) async fn send<T: FromRedisValue>(&self, mut to: impl ConnectionLike) -> RedisResult<T> {
        match self {
            Self::Command(command) => command.query_async(&mut to).await,
            Self::Pipeline(commands) => commands.query_async(&mut to).await,
            Self::Script(call) => call.invoke_async(&mut to).await,
        }
    }
}

/// What to do when the connection turns out to be broken, and nobody knows how far the request got.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IfBroken {
    /// Ask once more on a new connection: for requests that do no harm when they are carried out twice.
    AskAgain,
    /// Report it.
    GiveUp,
}

/// Whether a failover may forget it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// As any request.
    Usual,
    /// It must not: replicas confirm it.
    Confirmed,
}

/// A connection that comes into being when it is first used.
pub(super) struct Connection {
    way: Arc<Way>,
    waits: Arc<Waits>,
    runtime: Handle,
    slot: Arc<Mutex<Slot>>,
}

/// A server that was reached, or the attempt, which everybody who asks meanwhile waits for together.
type Link = Shared<BoxFuture<'static, Result<Arc<Line>, NoWay>>>;

struct Slot {
    /// Counts the links, so that late bad news about an old one does not cost the new one.
    number: u64,
    link: Option<Link>,
}

/// What leads to one server: all of it is given up together, so that all of it leads to the same one.
struct Line {
    address: ConnectionAddr,
    /// Shared by whoever has none of his own. The heartbeat goes over it, so it is never idle.
    usual: MultiplexedConnection,
    locals: Arc<Locals>,
    kept: Arc<Kept>,
}

impl Connection {
    /// Reads the settings. Must be called on a tokio runtime: the connection lives there, however short-lived the
    /// runtimes are of those who ask.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for a URL or certificates that cannot work.
    pub(super) fn prepare(settings: &RedisSettings) -> Result<Self, StoreError> {
        Self::counting(settings, Arc::new(Waits::new(settings.wait, settings.sentinel.is_some())))
    }

    /// As [`Self::prepare`], where several servers count together what their replicas confirm.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub(super) fn counting(settings: &RedisSettings, waits: Arc<Waits>) -> Result<Self, StoreError> {
        let way = Arc::new(Way::prepare(settings)?);
        let runtime = Handle::try_current()
            .map_err(|_| StoreError::Unavailable("there is no runtime to connect on".into()))?;
        Ok(Self { way, waits, runtime, slot: Arc::new(Mutex::new(Slot { number: 0, link: None })) })
    }

    /// What replicas have confirmed.
    pub(super) fn waits(&self) -> &Arc<Waits> {
        &self.waits
    }

    /// Asks Redis what does no harm when it is asked twice; connects first where there is no connection.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when the answer has another shape than what we write, else
    /// [`StoreError::Unavailable`].
    pub(super) async fn ask<T: FromRedisValue>(&self, request: Request<'_>) -> Result<T, StoreError> {
        self.try_ask(&request, IfBroken::AskAgain, Keep::Usual).await.map_err(Failure::into_store_error)
    }

    /// The same for what a failover must not forget: waits until replicas have it, where there are any, and no longer
    /// than configured. What they do not confirm is counted, and no error.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn ask_kept<T: FromRedisValue>(
        &self,
        request: Request<'_>,
        if_broken: IfBroken,
    ) -> Result<T, StoreError> {
        self.try_ask(&request, if_broken, Keep::Confirmed).await.map_err(Failure::into_store_error)
    }

    /// As [`Self::ask`] and [`Self::ask_kept`], for whoever can do more about a failure than report it.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn try_ask<T: FromRedisValue>(
        &self,
        request: &Request<'_>,
        if_broken: IfBroken,
        keep: Keep,
    ) -> Result<T, Failure> {
        let once = || async {
            match keep {
                Keep::Usual => self.ask_once(request, if_broken).await.map(|answer| (answer, Standing::Done)),
                Keep::Confirmed => self.keep_once(request).await,
            }
        };
        let mut answer = once().await;
        let is_elsewhere = matches!(answer, Ok((_, Standing::Elsewhere))) && if_broken == IfBroken::AskAgain;
        // The first request after a break meets the dead connection; it is not the one who should pay for that.
        if is_elsewhere || is_worth_another(&answer, if_broken) {
            answer = once().await;
        }
        answer.map(|(answer, _)| answer)
    }

    /// Asks whoever is at the address of the settings, a replica too, on a connection for this one question.
    ///
    /// # Errors
    /// As the crate reports them.
    pub(super) async fn ask_anybody<T: FromRedisValue>(&self, question: &Cmd) -> RedisResult<T> {
        self.way.ask_anybody(question).await
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
        let mut answer = self.keep_once(&request).await;
        if is_worth_another(&answer, if_broken) {
            answer = self.keep_once(&request).await;
        }
        let (first, standing) = answer.map_err(Failure::into_store_error)?;
        if standing == Standing::Done || if_broken == IfBroken::GiveUp {
            return Ok((first, None));
        }
        let (again, _) = self.keep_once(&request).await.map_err(Failure::into_store_error)?;
        Ok((first, Some(again)))
    }

    /// Where requests go now, and what connects there as well.
    ///
    /// # Errors
    /// [`NoWay`].
    pub(super) async fn server(&self, protocol: ProtocolVersion) -> Result<(ConnectionAddr, Client), NoWay> {
        // One that was lost while nobody asked is noticed only now. What else is wrong shows below.
        let _ = self.ask::<()>(Request::Command(&cmd("PING"))).await;
        let (number, link) = self.link();
        match link.await {
            Ok(line) => Ok((line.address.clone(), self.way.client(line.address.clone(), protocol)?)),
            Err(no_way) => {
                self.discard(number);
                Err(no_way)
            }
        }
    }

    /// Whether requests may go to another server than this one by now.
    pub(super) fn has_moved(&self, from: &ConnectionAddr) -> bool {
        let slot = lock(&self.slot);
        let line = slot.link.as_ref().and_then(|link| link.peek());
        matches!(line, Some(Ok(line)) if line.address != *from)
    }

    async fn ask_once<T: FromRedisValue>(
        &self,
        request: &Request<'_>,
        if_broken: IfBroken,
    ) -> Result<T, Failure> {
        let (number, line) = self.line().await?;
        // What may not be asked twice does not go over a worker's own connection: that may be idle, and closed for it.
        let local = if if_broken == IfBroken::AskAgain { line.locals.here() } else { None };
        if let Some(local) = local {
            match request.send(local).await.map_err(Failure::from) {
                // Broken or too late: that says something of this connection, or of a worker that was busy, and nothing yet of
                // the server. So it costs neither the line nor the one retry.
                Err(Failure::Broken(_)) => line.locals.broke(),
                Err(Failure::Other(error)) if error.is_io_error() => line.locals.broke(),
                answer => return answer.inspect_err(|failure| self.give_up_if(failure, number)),
            }
        }
        self.judged(number, request.send(line.usual.clone()).await)
    }

    async fn keep_once<T: FromRedisValue>(&self, request: &Request<'_>) -> Result<(T, Standing), Failure> {
        let (number, line) = self.line().await?;
        let Some(kept) = line.kept.connection().await else {
            let answer = self.judged(number, request.send(line.usual.clone()).await)?;
            line.kept.unconfirmed(line.usual.clone()).await;
            return Ok((answer, Standing::Done));
        };
        let answer = self.judged(number, request.send(kept.clone()).await)?;
        match line.kept.confirm(kept).await {
            Answer::Confirmed | Answer::Refused => return Ok((answer, Standing::Done)),
            Answer::Broken => self.discard(number),
            // Its replicas may follow another master by now, and what was written here will be forgotten.
            Answer::Short if self.leads_elsewhere(&line.address).await => self.discard(number),
            Answer::Short => return Ok((answer, Standing::Done)),
        }
        Ok((answer, Standing::Elsewhere))
    }

    async fn leads_elsewhere(&self, from: &ConnectionAddr) -> bool {
        let (way, from) = (Arc::clone(&self.way), from.clone());
        self.runtime.spawn(async move { way.leads_elsewhere(&from).await }).await.unwrap_or(false)
    }

    fn judged<T>(&self, number: u64, answer: RedisResult<T>) -> Result<T, Failure> {
        answer.map_err(Failure::from).inspect_err(|failure| self.give_up_if(failure, number))
    }

    fn give_up_if(&self, failure: &Failure, number: u64) {
        if failure.wears_out() {
            self.discard(number);
        }
    }

    async fn line(&self) -> Result<(u64, Arc<Line>), Failure> {
        let (number, link) = self.link();
        match link.await {
            Ok(line) => Ok((number, line)),
            Err(no_way) => {
                self.discard(number);
                Err(Failure::NoWay(no_way))
            }
        }
    }

    fn link(&self) -> (u64, Link) {
        let mut slot = lock(&self.slot);
        if let Some(link) = &slot.link {
            return (slot.number, link.clone());
        }
        slot.number += 1;
        let (number, watched) = (slot.number, Arc::downgrade(&self.slot));
        let (way, waits, runtime) = (Arc::clone(&self.way), Arc::clone(&self.waits), self.runtime.clone());
        // A task of its own: whoever asked first may hang up, and the others still wait.
        let attempt = self.runtime.spawn(async move {
            let reached = way.go().await?;
            if way.is_watched() {
                runtime.spawn(watch(Arc::clone(&way), reached.address.clone(), watched, number));
            }
            let Reached { connection, address, replicas, process } = reached;
            let kept = Arc::new(Kept::new(&way, address.clone(), replicas, &runtime, &waits));
            let locals = Locals::beside(&way, address.clone(), process, &runtime);
            Ok(Arc::new(Line { address, usual: connection, locals, kept }))
        });
        let stopped = || NoWay::Redis(io::Error::from(io::ErrorKind::Interrupted).into());
        let link = attempt.map(move |made| made.unwrap_or_else(|_| Err(stopped()))).boxed().shared();
        slot.link = Some(link.clone());
        (number, link)
    }

    fn discard(&self, number: u64) {
        lock(&self.slot).discard(number);
    }
}

impl Slot {
    fn discard(&mut self, number: u64) {
        if self.number == number {
            self.link = None;
        }
    }

    fn has(&self, number: u64) -> bool {
        self.number == number && self.link.is_some()
    }
}

/// Gives a link up when the sentinels have another master; ends with it.
async fn watch(way: Arc<Way>, address: ConnectionAddr, slot: Weak<Mutex<Slot>>, number: u64) {
    let mut looks = interval(WATCH);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if !slot.upgrade().is_some_and(|slot| lock(&slot).has(number)) {
            return;
        }
        if way.leads_elsewhere(&address).await
            && let Some(slot) = slot.upgrade()
        {
            lock(&slot).discard(number);
        }
    }
}

/// What a write that was answered is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Done,
    /// It was done at a server that is given up: whether its successor knows of it, nobody can say.
    Elsewhere,
}

/// What was not done can be asked for again; what may have been done, if that does no harm.
fn is_worth_another<T>(answer: &Result<T, Failure>, if_broken: IfBroken) -> bool {
    match answer {
        Err(Failure::Elsewhere(_)) => true,
        Err(Failure::Broken(_)) => if_broken == IfBroken::AskAgain,
        _ => false,
    }
}
