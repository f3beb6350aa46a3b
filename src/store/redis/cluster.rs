//! A Redis Cluster: many servers, each with a part of the keys.
//!
//! I own: [`Cluster`]: which server is asked for a key, what a redirection changes, and when the map of slots is asked for
//! anew. I may call: `config`, `ports`, [`Connection`] (one server), the room's own types. I never carry out twice what does
//! harm twice, never follow redirections for ever, and never put the address of a server into an error (R43).
//!
//! The crate's own cluster client is not used: it repeats whatever it likes up to 16 times, where a write of ours says
//! whether it may be repeated; it has time-outs and certificates in another place than [`Connection`]; and the feed needs
//! the map of slots anyway, at the very moment at which a redirection changes it.
//!
//! - `MOVED` changes the map at once, and the map is asked for anew.
//! - `ASK` is followed once, and its slot counts as moving until the map is asked for again: nothing that is read of it is
//!   believed from memory, as two servers have its keys.
//! - A server that cannot be reached, or that says that it is none any more: the map is asked for anew, and the request
//!   goes to the new owner if there is one. Where there is none yet, it fails; those for other servers go on.
//!
//! An ACL user needs, beside the rights in [`super`]: `+cluster|slots +asking`, and for listings
//! `+cluster|nodes +cluster|getkeysinslot`.

use self::map::{Address, Map, Node, ranges};
use self::verdict::{Turn, turn};
use super::connection::{Connection, IfBroken, Keep, Request};
use super::failure::Failure;
use super::waits::Waits;
use crate::config::{RedisSettings, cluster_seeds};
use crate::ports::StoreError;
use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, Value, cmd, pipe};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::sleep;
use url::Url;

mod front;
mod listing;
pub(in crate::store::redis) mod map;
pub(in crate::store::redis) mod slot;
mod verdict;

pub(super) use self::front::Front;
pub(super) use self::verdict::{is_elsewhere, is_no_cluster, leads_elsewhere};

/// How often one request is sent on.
const HOPS: u32 = 5;

/// For so long after the map was asked for it is not asked for again: in an outage, each request would like to.
const REST: Duration = Duration::from_millis(100);

/// Between two attempts at a key that is just being moved.
const MOMENT: Duration = Duration::from_millis(20);

/// How a request is to be carried out.
#[derive(Clone, Copy)]
struct Manner {
    if_broken: IfBroken,
    keep: Keep,
}

/// The servers of a cluster.
pub(super) struct Cluster {
    seeds: Vec<Address>,
    settings: RedisSettings,
    waits: Arc<Waits>,
    runtime: Handle,
    state: Mutex<State>,
    /// Who is told of each change of the map, before anybody acts on it.
    observer: OnceLock<Observer>,
}

/// Somebody who is told of a map, and must not wait.
type Observer = Box<dyn Fn(&Map) + Send + Sync>;

struct State {
    map: Arc<Map>,
    /// All servers that were ever named, by their address.
    nodes: HashMap<Address, Arc<Node>>,
    asking: Option<Asking>,
}

/// The map is being asked for, or was just now.
type Asking = Shared<BoxFuture<'static, RedisResult<()>>>;

impl Cluster {
    /// Reads the settings; connects to nobody yet. Must be called on the tokio runtime on which connections will live.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for settings that can never work.
    pub(super) fn prepare(settings: &RedisSettings) -> Result<Arc<Self>, StoreError> {
        let unusable = |what: &str| StoreError::Unavailable(what.into());
        let urls = cluster_seeds(settings.url.expose_secret());
        let seeds: Vec<Address> = urls.iter().filter_map(|url| address(url.expose_secret())).collect();
        let first =
            urls.first().ok_or_else(|| unusable("`session.store` is not the URL of a Redis cluster"))?;
        let runtime = Handle::try_current().map_err(|_| unusable("there is no runtime to connect on"))?;
        let settings = RedisSettings { url: first.clone(), ..settings.clone() };
        let waits = Arc::new(Waits::new(settings.wait, false));
        // What is wrong with the certificates is said now.
        Connection::counting(&settings, Arc::clone(&waits))?;
        let state = State { map: Arc::new(Map::unknown()), nodes: HashMap::new(), asking: None };
        Ok(Arc::new(Self {
            seeds,
            settings,
            waits,
            runtime,
            state: Mutex::new(state),
            observer: OnceLock::new(),
        }))
    }

    /// Tells `observer` of the map as it is, and of each change from now on. The first observer is the only one.
    pub(super) fn observe(&self, observer: Observer) {
        let state = self.state();
        observer(&state.map);
        let _ = self.observer.set(observer);
    }

    /// Tells the observer of the map once more.
    pub(super) fn tell(&self) {
        let state = self.state();
        if let Some(observer) = self.observer.get() {
            observer(&state.map);
        }
    }

    /// The map of the moment.
    pub(super) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.state().map)
    }

    /// How long one command to one server may take.
    pub(super) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// What the replicas of all masters have confirmed.
    pub(super) fn waits(&self) -> &Arc<Waits> {
        &self.waits
    }

    /// Carries out a command for the key in `slot`; with the server that answered last.
    ///
    /// # Errors
    /// [`Failure`] of the last server that was asked.
    async fn carry_out(
        self: &Arc<Self>,
        command: &Cmd,
        slot: u16,
        manner: Manner,
    ) -> (Result<Value, Failure>, Option<Arc<Node>>) {
        let mut node = match self.owner(slot).await {
            Ok(node) => node,
            Err(failure) => return (Err(failure), None),
        };
        let mut asking = false;
        for _ in 0..HOPS {
            let failure = match send(&node, command, asking, manner).await {
                Ok(value) => return (Ok(value), Some(node)),
                Err(failure) => failure,
            };
            let next = match turn(&failure, &node.address) {
                Turn::Moved(slot, Some(address)) => {
                    asking = false;
                    self.moved(slot, &address)
                }
                Turn::Ask(slot, Some(address)) => {
                    asking = true;
                    self.parting(slot, &address)
                }
                Turn::Wait => {
                    sleep(MOMENT).await;
                    Some(Arc::clone(&node))
                }
                Turn::Lost { untouched } => {
                    asking = false;
                    let again = untouched || manner.if_broken == IfBroken::AskAgain;
                    self.successor(slot, &node, again).await
                }
                Turn::Moved(_, None) | Turn::Ask(_, None) | Turn::None => None,
            };
            match next {
                Some(next) => node = next,
                None => return (Err(failure), Some(node)),
            }
        }
        (Err(no_end()), Some(node))
    }

    /// Carries out a command that concerns no key: any server will do.
    ///
    /// # Errors
    /// [`Failure`] of the last server that was asked.
    async fn anywhere(self: &Arc<Self>, command: &Cmd, manner: Manner) -> Result<Value, Failure> {
        let mut failure = self.known().await.err();
        for node in self.map().masters() {
            match send(&node, command, false, manner).await {
                Ok(value) => return Ok(value),
                Err(error) => failure = Some(error),
            }
            drop(self.ask_anew(None));
        }
        Err(failure.unwrap_or_else(nobody))
    }

    /// Waits until the map is known.
    async fn known(self: &Arc<Self>) -> Result<(), Failure> {
        if self.map().masters().is_empty() {
            self.ask_anew(None).await.map_err(Failure::Other)
        } else {
            Ok(())
        }
    }

    async fn owner(self: &Arc<Self>, slot: u16) -> Result<Arc<Node>, Failure> {
        if let Some(node) = self.map().owner(slot) {
            return Ok(Arc::clone(node));
        }
        self.ask_anew(None).await.map_err(Failure::Other)?;
        self.map().owner(slot).cloned().ok_or_else(nobody)
    }

    /// Who owns the slot now that its owner has failed; `None` if that is the same one still. Whoever may not ask again
    /// does not wait for the answer.
    async fn successor(self: &Arc<Self>, slot: u16, failed: &Node, again: bool) -> Option<Arc<Node>> {
        let asking = self.ask_anew(None);
        if !again {
            return None;
        }
        asking.await.ok()?;
        self.map().owner(slot).filter(|node| node.address != failed.address).cloned()
    }

    /// A server says that another one owns a slot.
    fn moved(self: &Arc<Self>, slot: u16, address: &Address) -> Option<Arc<Node>> {
        let node = {
            let mut state = self.state();
            let node = self.node(&mut state, address)?;
            let map = state.map.moved(slot, Arc::clone(&node));
            self.publish(&mut state, map);
            node
        };
        drop(self.ask_anew(Some(Arc::clone(&node))));
        Some(node)
    }

    /// A server says that a key of a slot has left it, and the slot has not.
    fn parting(self: &Arc<Self>, slot: u16, address: &Address) -> Option<Arc<Node>> {
        let mut state = self.state();
        let node = self.node(&mut state, address)?;
        if !state.map.is_moving(slot) {
            let map = state.map.parting(slot);
            self.publish(&mut state, map);
        }
        Some(node)
    }

    /// Asks for the map anew, unless that is under way or was done a moment ago; completes with the answer. It goes on
    /// without being waited for. `first` is asked before the others.
    pub(super) fn ask_anew(self: &Arc<Self>, first: Option<Arc<Node>>) -> Asking {
        let mut state = self.state();
        if let Some(asking) = &state.asking {
            return asking.clone();
        }
        let cluster = Arc::clone(self);
        let task = self.runtime.spawn(async move { cluster.ask_around(first).await });
        let asking: Asking =
            async move { task.await.unwrap_or_else(|_| Err(nobody_answers())) }.boxed().shared();
        state.asking = Some(asking.clone());
        let (cluster, waiting) = (Arc::clone(self), asking.clone());
        self.runtime.spawn(async move {
            let _ = waiting.await;
            sleep(REST).await;
            cluster.state().asking = None;
        });
        asking
    }

    /// The map, as the first server has it that answers: of those who own slots, then of all others.
    async fn ask_around(self: &Arc<Self>, first: Option<Arc<Node>>) -> RedisResult<()> {
        let mut failure = nobody_answers();
        let (masters, others) = {
            let mut state = self.state();
            let masters = state.map.masters();
            let known: Vec<Address> = self.seeds.iter().chain(state.nodes.keys()).cloned().collect();
            let mut others: Vec<Arc<Node>> = Vec::new();
            for address in known {
                let is_new = |nodes: &[Arc<Node>]| nodes.iter().all(|node| node.address != address);
                if is_new(&masters) && is_new(&others) {
                    others.extend(self.node(&mut state, &address));
                }
            }
            (masters, others)
        };
        for candidates in [first.into_iter().collect(), masters, others] {
            let mut answers: FuturesUnordered<_> = candidates.into_iter().map(slots_of).collect();
            while let Some((said_by, answer)) = answers.next().await {
                match answer {
                    Ok(value) => match ranges(&value, &said_by.address) {
                        Some(ranges) => {
                            let mut state = self.state();
                            let nodes: HashMap<Address, Arc<Node>> = ranges
                                .iter()
                                .filter_map(|range| {
                                    Some((range.owner.clone(), self.node(&mut state, &range.owner)?))
                                })
                                .collect();
                            let map = Map::said(&ranges, |address| nodes.get(address).cloned());
                            self.publish(&mut state, map);
                            return Ok(());
                        }
                        None => failure = nobody_answers(),
                    },
                    Err(error) => failure = error,
                }
            }
        }
        Err(failure)
    }

    /// Under the lock: whoever asks next sees what the observer was told.
    fn publish(&self, state: &mut State, map: Map) {
        if let Some(observer) = self.observer.get() {
            observer(&map);
        }
        state.map = Arc::new(map);
    }

    fn node(&self, state: &mut State, address: &Address) -> Option<Arc<Node>> {
        if let Some(node) = state.nodes.get(address) {
            return Some(Arc::clone(node));
        }
        // Connections live on the runtime of the store, whoever's request it is that found the server.
        let _runtime = self.runtime.enter();
        let settings = RedisSettings { url: url_of(&self.settings.url, address), ..self.settings.clone() };
        let connection = Arc::new(Connection::counting(&settings, Arc::clone(&self.waits)).ok()?);
        let node = Arc::new(Node { address: address.clone(), connection });
        state.nodes.insert(address.clone(), Arc::clone(&node));
        Some(node)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn slots_of(node: Arc<Node>) -> (Arc<Node>, RedisResult<Value>) {
    let mut question = cmd("CLUSTER");
    question.arg("SLOTS");
    // Replicas know it as well, and are all that is left at a bad moment.
    let answer = node.connection.ask_anybody(&question).await;
    (node, answer)
}

/// Sends a command to one server; with the word that lets it answer for a slot that is not quite its own yet.
async fn send(node: &Node, command: &Cmd, asking: bool, manner: Manner) -> Result<Value, Failure> {
    let Manner { if_broken, keep } = manner;
    if !asking {
        return node.connection.try_ask(&Request::Command(command), if_broken, keep).await;
    }
    let mut commands = pipe();
    commands.cmd("ASKING").ignore().add_command(command.clone());
    let answers: Vec<Value> = node.connection.try_ask(&Request::Pipeline(&commands), if_broken, keep).await?;
    answers.into_iter().next().ok_or_else(nobody)
}

/// The host and port of a server's URL.
fn address(url: &str) -> Option<Address> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    Some(Address { host, port: url.port().unwrap_or(6379) })
}

/// The URL of a server of the cluster, after that of another one.
fn url_of(url: &SecretString, address: &Address) -> SecretString {
    let (scheme, rest) = url.expose_secret().split_once("://").unwrap_or_default();
    let user = rest.rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
    let host = match address.host.contains(':') {
        true => format!("[{}]", address.host),
        false => address.host.clone(),
    };
    SecretString::from(format!("{scheme}://{user}{host}:{}", address.port))
}

/// Nobody owns the slot.
fn nobody() -> Failure {
    Failure::Other(nobody_answers())
}

fn nobody_answers() -> RedisError {
    io::Error::from(io::ErrorKind::NotConnected).into()
}

fn no_end() -> Failure {
    Failure::Other((ErrorKind::Client, "sent on too often").into())
}
