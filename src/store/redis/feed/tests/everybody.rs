//! What everybody hangs on, where one master of a cluster is silent: the moment at which all were sent home, and the debts.

use super::cluster::{in_cluster, replica};
use super::*;
use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use crate::store::redis::Redis;
use crate::store::redis::server::cluster::Cluster;
use crate::store::shelf::{EndingShelf as _, Notes, SHELVES};
use std::collections::BTreeSet;

const KEEP: Duration = Duration::from_secs(3600);

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

impl Replica {
    /// Asks until memory knows the moment for everybody.
    async fn knows(&self, moment: Timestamp) {
        let begun = Instant::now();
        while self.clearing.known() != Some(moment) {
            let _ = self.clearing.ask(later(60), KEEP).await;
            assert!(begun.elapsed() < LONG, "it is never known");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_a_frozen_master_costs_nobody_else_the_moment_for_everybody_or_the_debts() {
    let (cluster, prefix) = (Cluster::patient(None), fresh_prefix());
    let (here, there) = (replica(cluster.settings(&prefix)).await, replica(cluster.settings(&prefix)).await);
    here.until_up().await;
    there.until_up().await;
    let short = RedisSettings { timeout: Duration::from_millis(800), ..cluster.settings(&prefix) };
    let redis = Redis::open(&short).unwrap();
    let debts = (0..SHELVES).map(|shelf| [shelf; 48]);
    for debt in debts.clone() {
        redis.owe(&debt, NOW).await.unwrap();
    }
    let mut owners = Vec::new();
    for number in 0..16 {
        owners.push(cluster.owner(&format!("{prefix}s:all:{{{number}}}")).await);
    }
    assert_eq!(owners.iter().collect::<BTreeSet<_>>().len(), 3, "every master has a copy");
    here.knows(Timestamp::NEVER).await;
    there.knows(Timestamp::NEVER).await;

    let frozen = &cluster.nodes[owners[0]];
    frozen.signal("-STOP");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(here.clearing.known(), Some(Timestamp::NEVER), "after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // One more who comes in asks the store, and does not wait for a time-out either.
    let asked = Instant::now();
    assert_eq!(here.clearing.ask(later(1), KEEP).await.unwrap(), Timestamp::NEVER);
    assert!(asked.elapsed() < Duration::from_millis(700), "{:?}", asked.elapsed());
    assert_eq!(here.clearing.known(), Some(Timestamp::NEVER));
    // An ending of all that not every copy has is in force, though whoever made it is told to make it again.
    let Err(StoreError::Unavailable(why)) = there.clearing.clear(later(5), KEEP).await else {
        panic!("a copy is missing")
    };
    assert!(why.contains("is missing in"), "{why}");
    here.knows(later(5)).await;
    // What the others owe is given out.
    let claimed: BTreeSet<_> = redis.claim(later(1), later(9), 100).await.unwrap().into_iter().collect();
    let mut expected = BTreeSet::new();
    frozen.signal("-CONT");
    for debt in debts {
        if cluster.owner(&format!("{prefix}d:{:x}", debt[0])).await != owners[0] {
            expected.insert(debt.to_vec());
        }
    }
    assert!(!expected.is_empty() && expected.is_subset(&claimed), "{} of {}", claimed.len(), expected.len());

    // The copies of the one that was away are brought up to date by whoever asks.
    let begun = Instant::now();
    while redis.cleared(later(6)).await.unwrap() != Notes(vec![Some(later(5)); owners.len()]) {
        let _ = there.clearing.ask(later(6), KEEP).await;
        assert!(begun.elapsed() < LONG, "a copy stays behind");
    }
    there.clearing.clear(later(7), KEEP).await.unwrap();
    here.knows(later(7)).await;
    // And so are those that forget it.
    for number in 0..16 {
        let name = format!("{prefix}s:all:{{{number}}}");
        let _: i64 =
            cluster.say(&cluster.nodes[cluster.owner(&name).await], cmd("DEL").arg(&name)).await.unwrap();
    }
    assert_eq!(here.clearing.ask(later(8), KEEP).await.unwrap(), later(7));
    assert_eq!(redis.cleared(later(8)).await.unwrap().latest(), later(7));
}

/// How often replicas were waited for, at all servers.
async fn waited(cluster: &Cluster) -> u64 {
    let mut calls = 0;
    for node in &cluster.nodes {
        let text: String = cluster.say(node, cmd("INFO").arg("commandstats")).await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("cmdstat_wait:calls="));
        calls += line.map_or(0, |line| line.split(',').next().unwrap().parse::<u64>().unwrap());
    }
    calls
}

#[tokio::test]
async fn r56_index_entries_with_other_masters_than_the_record_are_confirmed_as_well() {
    let (cluster, prefix) = (Cluster::patient(None), fresh_prefix());
    let here = replica(cluster.settings(&prefix)).await;
    let begun = Instant::now();
    // Until the replicas are there to confirm anything.
    while waited(&cluster).await == 0 {
        here.signed_in().await;
        assert!(begun.elapsed() < LONG, "no replica is ever waited for");
    }
    // A replica that was late once is not waited for during a second: then it is tried again.
    loop {
        let before = waited(&cluster).await;
        let ticket = here.signed_in().await;
        assert!(cluster.owner(&in_cluster(&prefix, "s", &ticket)).await < cluster.nodes.len());
        if waited(&cluster).await > before + 1 {
            break;
        }
        assert!(begun.elapsed() < LONG, "never for the record, and for what leads to it");
    }
}
