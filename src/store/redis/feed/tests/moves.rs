//! The feed when the master changes: it follows, and what it leaves behind proves nothing.

use super::*;
use crate::store::redis::sentinel::tests::{behind, pair, someone_who_names};
use crate::store::redis::server::sentinel::{Plan, Watched, until};

/// How many connections are told of changes there.
fn told_at(server: &Server) -> usize {
    let text: String = server.tell(cmd("INFO").arg("clients"));
    let line = text.lines().find_map(|line| line.strip_prefix("tracking_clients:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_the_feed_follows_the_master() {
    let watched = Watched::start(Plan::default());
    let prefix = fresh_prefix();
    let replica = Replica::of(watched.settings(&prefix)).await;
    replica.until_up().await;
    let ticket = replica.signed_in().await;
    replica.holds(&ticket).await;
    assert_eq!(told_at(&watched.servers[0]), 1);
    replica.stage.forget_told();
    watched.servers[0].kill();
    replica.until_told_of_everything("the feed is lost").await;
    until("another one is the master", || watched.master().port() != watched.servers[0].port());
    replica.until_up().await;
    replica.holds(&ticket).await;
    replica.stage.forget_told();
    watched.tell::<i64>(watched.master(), cmd("DEL").arg(record(&prefix, &ticket)));
    replica.until_told(&ticket).await;
    assert_eq!(replica.load(&ticket).await, (false, "store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_a_feed_at_a_demoted_master_proves_nothing() {
    let (old, new) = pair();
    let (sentinel, named) = someone_who_names(old.port()).await;
    let replica = Replica::of(behind(&old, vec![sentinel])).await;
    replica.until_up().await;
    let ticket = replica.signed_in().await;
    replica.holds(&ticket).await;
    old.until_replicated(1);
    replica.stage.forget_told();
    // The old master becomes a replica of the new one. It keeps its connections, and hears all that is written there:
    // heartbeats too, only later.
    named.store(new.port(), Ordering::SeqCst);
    new.tell::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"));
    old.tell::<()>(cmd("REPLICAOF").arg("127.0.0.1").arg(new.port()));
    until("the feed is heard at the new master", || told_at(&new) == 1 && told_at(&old) == 0);
    replica.until_up().await;
    replica.holds(&ticket).await;
    replica.stage.forget_told();
    new.tell::<i64>(cmd("DEL").arg(record("keycard:", &ticket)));
    replica.until_told(&ticket).await;
    assert_eq!(replica.load(&ticket).await, (false, "store"));
}
