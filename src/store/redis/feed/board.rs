//! The feeds of a cluster: one for each server that owns slots.
//!
//! I own: [`Board`]: which feed speaks for which slot, and when feeds begin and end. I may call: the cluster, the near
//! cache's [`Held`]. I never let a slot change hands before the near cache knows: it is told under the lock of the map.
//!
//! A slot whose owner has no feed yet, and one that is on its way, is spoken for by nobody: its sessions are read from the
//! store. What a server had told of before a slot came to it says nothing, so each change begins an epoch for that slot.

use super::home::Home;
use super::{Following, Line};
use crate::store::clearing::Slate;
use crate::store::near::held::{Held, Told};
use crate::store::near::trust::MOST_FEEDS;
use crate::store::redis::cluster::Cluster;
use crate::store::redis::cluster::map::{Address, Map};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The feed that is nobody.
const NOBODY: u16 = 0;

/// How often the map is asked for when nothing calls for it: a slot that was on its way may have stayed.
const LOOK: Duration = Duration::from_secs(10);

/// The same, while no map is known.
const LOOK_IN_THE_DARK: Duration = Duration::from_secs(1);

/// Which feed tells of which server.
struct Board {
    held: Arc<Held>,
    feeds: Mutex<HashMap<Address, u16>>,
    stirred: Notify,
}

impl Board {
    fn apply(&self, map: &Map) {
        let feeds = self.feeds();
        let speaks_for = map.assigned(NOBODY, |address| feeds.get(address).copied().unwrap_or(NOBODY));
        self.held.assign(|slot| speaks_for.get(usize::from(slot)).copied().unwrap_or(NOBODY));
        self.stirred.notify_one();
    }

    fn feeds(&self) -> MutexGuard<'_, HashMap<Address, u16>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A feed that is listened to; it ends with this.
struct Running {
    feed: u16,
    task: JoinHandle<()>,
    _following: Following,
}

/// Follows the feeds of all servers, for ever.
pub(super) async fn run(
    cluster: Arc<Cluster>,
    held: Arc<Held>,
    records: String,
    refused_for: Duration,
    slate: Arc<Slate>,
) {
    let board = Arc::new(Board { held: Arc::clone(&held), feeds: Mutex::default(), stirred: Notify::new() });
    let told = Arc::clone(&board);
    cluster.observe(Box::new(move |map| told.apply(map)));
    let mut running: HashMap<Address, Running> = HashMap::new();
    let mut free: Vec<u16> = (NOBODY + 1..MOST_FEEDS).rev().collect();
    loop {
        let masters = cluster.map().masters();
        let is_master = |address: &Address| masters.iter().any(|node| node.address == *address);
        let gone: Vec<Address> = running.keys().filter(|address| !is_master(address)).cloned().collect();
        for address in gone {
            board.feeds().remove(&address);
            if let Some(Running { feed, task, _following }) = running.remove(&address) {
                task.abort();
                // Its number is given to another server once nothing of it can be heard any more.
                let _ = task.await;
                free.push(feed);
            }
        }
        let mut is_new = false;
        for node in masters.iter().filter(|node| !running.contains_key(&node.address)).collect::<Vec<_>>() {
            let Some(feed) = free.pop() else { break };
            let line = Line {
                connection: Arc::clone(&node.connection),
                timeout: cluster.timeout(),
                records: records.clone(),
                refused_for,
                home: Some(Home { cluster: Arc::clone(&cluster), address: node.address.clone() }),
                slate: Arc::clone(&slate),
            };
            let told = Told::by(&held, feed);
            let task = tokio::spawn(async move { line.run(&told).await });
            let _following = Following(task.abort_handle());
            board.feeds().insert(node.address.clone(), feed);
            running.insert(node.address.clone(), Running { feed, task, _following });
            is_new = true;
        }
        if is_new {
            cluster.tell();
        }
        held.tell_the_ledger();
        let pause = if masters.is_empty() { LOOK_IN_THE_DARK } else { LOOK };
        tokio::select! {
            () = board.stirred.notified() => {}
            () = sleep(pause) => drop(cluster.ask_anew(None)),
        }
    }
}
