//! A real cluster of three masters and three replicas: what is told by whom, slots that move, servers that die or freeze.
//!
//! Here the stopwatch runs: what counts is how long an ended session is served, and for how long a live one is not. What was
//! measured is printed (`--nocapture`).

#![expect(clippy::print_stderr, reason = "the figures are what some of these tests are for")]

use super::*;
use crate::ports::{Stopwatch, StoreError};
use crate::store::near::NearBounds;
use crate::store::redis::cluster::slot::slot;
use crate::store::redis::server::cluster::Cluster;
use redis::Value;

struct Running(Instant);

impl Stopwatch for Running {
    fn elapsed(&self) -> Duration {
        self.0.elapsed() + Duration::from_secs(100)
    }
}

/// A replica whose stopwatch runs, and that lets nobody in without the store.
pub(super) async fn replica(settings: RedisSettings) -> Replica {
    let settings = RedisSettings { timeout: Duration::from_millis(800), ..settings };
    Replica::with(settings, |parts| NearParts {
        stopwatch: Arc::new(Running(Instant::now())),
        bounds: NearBounds { outage_grace: Duration::ZERO, ..parts.bounds },
        ..parts
    })
    .await
}

pub(super) fn in_cluster(prefix: &str, kind: &str, ticket: &Ticket) -> String {
    format!("{prefix}{kind}:{{{}}}", URL_SAFE_NO_PAD.encode(session_key(ticket).as_bytes()))
}

impl Replica {
    /// As `load`, by a patient one: `None` while the store does not answer.
    async fn tries(&self, ticket: &Ticket) -> Option<bool> {
        match self.near.load(ticket, NOW).await {
            Ok(live) => Some(live.is_some()),
            Err(StoreError::Unavailable(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    async fn comes_to_hold(&self, ticket: &Ticket) {
        let begun = Instant::now();
        loop {
            self.stage.events();
            if self.tries(ticket).await == Some(true) && self.stage.answered() == "memory" {
                return;
            }
            assert!(begun.elapsed() < 3 * LONG, "it is never held");
            tokio::task::yield_now().await;
        }
    }

    /// So many sessions that each server has some.
    async fn signed_in_everywhere(&self) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        for _ in 0..24 {
            tickets.push(self.signed_in().await);
        }
        tickets
    }
}

/// Waits until what was written to this server before has reached its replica.
async fn replicated(cluster: &Cluster, at: usize, prefix: &str, ticket: &Ticket) {
    let mark = in_cluster(prefix, "waited", ticket);
    let mut commands = pipe();
    commands.cmd("SET").arg(mark).arg("").arg("PX").arg(60_000).ignore();
    commands.cmd("WAIT").arg(1).arg(10_000);
    let (replicas,): (i64,) = cluster.say_all(&cluster.nodes[at], &commands).await.unwrap();
    assert_eq!(replicas, 1);
}

/// Begins to move the slot of a session to another master, and moves the session's keys; from where to where.
async fn part(cluster: &Cluster, prefix: &str, ticket: &Ticket, to: Option<usize>) -> (usize, usize) {
    let name = in_cluster(prefix, "s", ticket);
    let from = cluster.owner(&name).await;
    let masters = cluster.masters().await;
    let to = to.unwrap_or_else(|| masters.into_iter().find(|at| *at != from).unwrap());
    let (from_id, to_id) = (cluster.id(from).await, cluster.id(to).await);
    let setslot = |word: &str, id: &str| {
        let mut command = cmd("CLUSTER");
        command.arg("SETSLOT").arg(slot(name.as_bytes())).arg(word).arg(id);
        command
    };
    cluster.say::<()>(&cluster.nodes[to], &setslot("IMPORTING", &from_id)).await.unwrap();
    cluster.say::<()>(&cluster.nodes[from], &setslot("MIGRATING", &to_id)).await.unwrap();
    let mut migrate = cmd("MIGRATE");
    migrate.arg("127.0.0.1").arg(cluster.nodes[to].port).arg("").arg(0).arg(10_000).arg("KEYS");
    migrate.arg(&name).arg(in_cluster(prefix, "u", ticket));
    cluster.say::<Value>(&cluster.nodes[from], &migrate).await.unwrap();
    (from, to)
}

/// Gives the slot to its new owner.
async fn settle(cluster: &Cluster, prefix: &str, ticket: &Ticket, (from, to): (usize, usize)) {
    let mut command = cmd("CLUSTER");
    command.arg("SETSLOT").arg(slot(in_cluster(prefix, "s", ticket).as_bytes()));
    command.arg("NODE").arg(cluster.id(to).await);
    for at in [to, from] {
        cluster.say::<()>(&cluster.nodes[at], &command).await.unwrap();
    }
}

#[tokio::test]
async fn a34_each_server_of_a_cluster_tells_of_its_own_sessions() {
    let (cluster, prefix) = (Cluster::shared(), fresh_prefix());
    let (here, there) = (replica(cluster.settings(&prefix)).await, replica(cluster.settings(&prefix)).await);
    here.until_up().await;
    there.until_up().await;
    let tickets = here.signed_in_everywhere().await;
    let mut owners = Vec::new();
    for (at, ticket) in tickets.iter().enumerate() {
        here.comes_to_hold(ticket).await;
        here.stage.forget_told();
        owners.push(cluster.owner(&in_cluster(&prefix, "s", ticket)).await);
        if at % 2 == 0 {
            there.near.remove(&session_key(ticket)).await.unwrap();
        } else {
            // Somebody who knows nothing of us, with another client.
            let port = cluster.nodes[0].port.to_string();
            let words = ["-c", "-p", &port, "DEL", &in_cluster(&prefix, "s", ticket)].map(String::from);
            assert_eq!(cluster.cli(&words).trim(), "1");
        }
        here.until_told(ticket).await;
        assert_eq!(here.tries(ticket).await, Some(false));
    }
    owners.sort_unstable();
    owners.dedup();
    assert_eq!(owners.len(), 3, "every master had some of them");
}

#[tokio::test]
async fn a34_a_slot_on_its_way_is_never_believed_and_arrives_with_its_sessions() {
    let (cluster, prefix) = (Cluster::patient(None), fresh_prefix());
    let (here, there) = (replica(cluster.settings(&prefix)).await, replica(cluster.settings(&prefix)).await);
    here.until_up().await;
    there.until_up().await;
    let (stays, ends) = (here.signed_in().await, here.signed_in().await);
    for ticket in [&stays, &ends] {
        here.comes_to_hold(ticket).await;
        here.stage.forget_told();
        let way = part(&cluster, &prefix, ticket, None).await;
        // The old owner tells that the record left it.
        here.until_told(ticket).await;
        // Two servers have its keys: it is there, and only the store says so.
        for _ in 0..20 {
            assert_eq!(here.load(ticket).await, (true, "store"));
        }
        if std::ptr::eq(ticket, &ends) {
            here.stage.forget_told();
            assert!(there.near.remove(&session_key(ticket)).await.unwrap());
            here.until_told(ticket).await;
            assert_eq!(here.tries(ticket).await, Some(false));
        }
        settle(&cluster, &prefix, ticket, way).await;
    }
    assert_eq!(here.tries(&ends).await, Some(false));
    // With its new owner it is as before.
    here.comes_to_hold(&stays).await;
    here.stage.forget_told();
    let owner = cluster.owner(&in_cluster(&prefix, "s", &stays)).await;
    let deleted: i64 =
        cluster.say(&cluster.nodes[owner], cmd("DEL").arg(in_cluster(&prefix, "s", &stays))).await.unwrap();
    assert_eq!(deleted, 1);
    here.until_told(&stays).await;
    assert_eq!(here.tries(&stays).await, Some(false));
}

#[tokio::test]
async fn a_listing_loses_nobody_whose_slot_moves_meanwhile() {
    let (cluster, prefix) = (Cluster::patient(None), fresh_prefix());
    let here = replica(cluster.settings(&prefix)).await;
    let tickets = here.signed_in_everywhere().await;
    // The walk goes by address.
    let mut masters = cluster.masters().await;
    masters.sort_by_key(|at| cluster.nodes[*at].port);
    for settles in [false, true] {
        let mut late = None;
        for ticket in &tickets {
            if cluster.owner(&in_cluster(&prefix, "s", ticket)).await == masters[2] {
                late = Some(ticket);
            }
        }
        let late = late.unwrap();
        let mut seen = Vec::new();
        let mut cursor = None;
        let mut moved = None;
        let mut pages = 0;
        loop {
            let listing = here.near.list(cursor.as_ref(), 4, NOW).await.unwrap();
            seen.extend(listing.entries.into_iter().map(|entry| entry.key));
            cursor = listing.next;
            pages += 1;
            let Some(next) = &cursor else { break };
            // As soon as the first server was walked, the session goes there.
            let node = String::from_utf8_lossy(&next.0).split('.').nth(2).unwrap().to_owned();
            if moved.is_none() && node != "0" {
                let way = part(&cluster, &prefix, late, Some(masters[0])).await;
                if settles {
                    settle(&cluster, &prefix, late, way).await;
                }
                moved = Some(way);
            }
            assert!(pages < 1000, "the walk has no end");
        }
        let moved = moved.expect("the walk has more than one page");
        for ticket in &tickets {
            assert!(seen.contains(&session_key(ticket)), "settled: {settles}");
        }
        if !settles {
            settle(&cluster, &prefix, late, moved).await;
        }
    }
}

/// What befell a session under load.
#[derive(Default)]
struct Seen {
    /// The longest time between two good answers with a bad one in between: from, to.
    out: Option<(Duration, Duration)>,
    answers: u64,
    refused: u64,
    lost: u64,
}

/// Reads all sessions all the time, until told to stop.
async fn load(here: Arc<Replica>, tickets: Vec<Ticket>, begun: Instant, stop: Arc<AtomicBool>) -> Vec<Seen> {
    let readers = tickets.into_iter().map(|ticket| {
        let (here, stop) = (here.clone(), stop.clone());
        async move {
            let mut seen = Seen::default();
            let (mut last, mut was_refused) = (Duration::ZERO, false);
            while !stop.load(Ordering::SeqCst) {
                match here.tries(&ticket).await {
                    Some(true) => {
                        let now = begun.elapsed();
                        let longest = seen.out.map_or(Duration::ZERO, |(from, to)| to - from);
                        if std::mem::take(&mut was_refused) && now - last > longest {
                            seen.out = Some((last, now));
                        }
                        (seen.answers, last) = (seen.answers + 1, now);
                    }
                    Some(false) => seen.lost += 1,
                    None => (seen.refused, was_refused) = (seen.refused + 1, true),
                }
                tokio::task::yield_now().await;
            }
            seen
        }
    });
    futures_util::future::join_all(readers).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_slots_that_move_under_load_cost_nobody_an_answer() {
    let (cluster, prefix) = (Cluster::patient(None), fresh_prefix());
    let here = Arc::new(replica(cluster.settings(&prefix)).await);
    let there = replica(cluster.settings(&prefix)).await;
    here.until_up().await;
    let tickets = here.signed_in_everywhere().await;
    let ended = here.signed_in().await;
    for ticket in tickets.iter().chain([&ended]) {
        here.comes_to_hold(ticket).await;
    }
    let (begun, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let load = tokio::spawn(load(here.clone(), tickets.clone(), begun, stop.clone()));
    for ticket in tickets.iter().take(6) {
        let way = part(&cluster, &prefix, ticket, None).await;
        settle(&cluster, &prefix, ticket, way).await;
        here.comes_to_hold(ticket).await;
    }
    let way = part(&cluster, &prefix, &ended, None).await;
    assert!(there.near.remove(&session_key(&ended)).await.unwrap());
    let acknowledged = Instant::now();
    let mut served_for = Duration::ZERO;
    while acknowledged.elapsed() < Duration::from_millis(1200) {
        if here.tries(&ended).await == Some(true) {
            served_for = acknowledged.elapsed();
        }
        tokio::task::yield_now().await;
    }
    settle(&cluster, &prefix, &ended, way).await;
    stop.store(true, Ordering::SeqCst);
    let seen = load.await.unwrap();
    let answers: u64 = seen.iter().map(|seen| seen.answers).sum();
    eprintln!("cluster, 7 slots moved: {answers} answers; ended on its way, served {served_for:?} after");
    assert!(seen.iter().all(|seen| seen.refused == 0 && seen.lost == 0 && seen.answers > 0));
    assert!(served_for < Duration::from_secs(1));
}

/// Under load, a master goes: nobody is lost, who ended stays ended, and the others notice nothing.
async fn a_master_goes(what: &'static str, go: impl Fn(&Cluster, usize), back: impl Fn(&Cluster, usize)) {
    let (cluster, prefix) = (Cluster::start(), fresh_prefix());
    let here = Arc::new(replica(cluster.settings(&prefix)).await);
    let there = replica(cluster.settings(&prefix)).await;
    here.until_up().await;
    there.until_up().await;
    let tickets = here.signed_in_everywhere().await;
    let mut owners = Vec::new();
    for ticket in &tickets {
        here.comes_to_hold(ticket).await;
        owners.push(cluster.owner(&in_cluster(&prefix, "s", ticket)).await);
    }
    let gone = owners[0];
    let name = in_cluster(&prefix, "s", &tickets[0]);
    // Two more of the server that goes: one that has ended before, and one that is ended meanwhile.
    let mut of_gone = Vec::new();
    while of_gone.len() < 2 {
        let ticket = here.signed_in().await;
        if cluster.owner(&in_cluster(&prefix, "s", &ticket)).await == gone {
            here.comes_to_hold(&ticket).await;
            of_gone.push(ticket);
        }
    }
    let [ended_before, ended_meanwhile] = <[Ticket; 2]>::try_from(of_gone).ok().unwrap();
    assert!(there.near.remove(&session_key(&ended_before)).await.unwrap());
    replicated(&cluster, gone, &prefix, &tickets[0]).await;

    let begun = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(load(here.clone(), tickets.clone(), begun, stop.clone()));
    go(&cluster, gone);
    let successor = cluster.successor(&name, gone).await;
    let taken_over = begun.elapsed();
    // Ended with the new owner, by somebody who has found it.
    let removed = loop {
        match there.near.remove(&session_key(&ended_meanwhile)).await {
            Ok(removed) => break removed,
            Err(_) => tokio::task::yield_now().await,
        }
        assert!(begun.elapsed() < 4 * LONG);
    };
    let acknowledged = Instant::now();
    assert!(removed, "it had reached the replica");
    let mut served_for = Duration::ZERO;
    while acknowledged.elapsed() < Duration::from_millis(1500) {
        if here.tries(&ended_meanwhile).await == Some(true) {
            served_for = acknowledged.elapsed();
        }
        tokio::task::yield_now().await;
    }
    back(&cluster, gone);
    for ticket in &tickets {
        here.comes_to_hold(ticket).await;
    }
    here.until_up().await;
    let recovered = begun.elapsed();
    assert_eq!(here.tries(&ended_before).await, Some(false));
    assert_eq!(here.tries(&ended_meanwhile).await, Some(false));
    stop.store(true, Ordering::SeqCst);
    let seen = load.await.unwrap();
    let mut window = (Duration::MAX, Duration::ZERO);
    for (owner, seen) in owners.iter().zip(&seen) {
        assert_eq!(seen.lost, 0, "a live session was called gone");
        assert!(seen.answers > 0);
        match seen.out {
            Some((from, to)) if *owner == gone => window = (window.0.min(from), window.1.max(to)),
            Some((from, to)) => panic!("a session of another server was not served from {from:?} to {to:?}"),
            None => assert_eq!(seen.refused, 0),
        }
    }
    let all: u64 = seen.iter().map(|seen| seen.answers).sum();
    let refused: u64 = seen.iter().map(|seen| seen.refused).sum();
    eprintln!(
        "cluster, {what}: promoted after {taken_over:?} (server {gone} -> {successor}, node timeout \
         {} ms), no answer for its sessions from {:?} to {:?}, all held again after {recovered:?}; ended meanwhile, served \
         {served_for:?} after the acknowledgement; {all} answers, {refused} refused, none lost",
        crate::store::redis::server::cluster::NODE_TIMEOUT_MS,
        window.0,
        window.1
    );
    assert!(served_for < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_a_killed_master_of_a_cluster_loses_nobody() {
    a_master_goes("kill -9", |cluster, at| cluster.nodes[at].kill(), |_, _| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a34_a_frozen_master_of_a_cluster_loses_nobody_and_comes_back_as_a_replica() {
    a_master_goes(
        "SIGSTOP",
        |cluster, at| cluster.nodes[at].signal("-STOP"),
        |cluster, at| cluster.nodes[at].signal("-CONT"),
    )
    .await;
}

#[tokio::test]
async fn r44_a_cluster_is_spoken_to_over_tls() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (cluster, prefix) = (Cluster::patient(Some(certificates())), fresh_prefix());
    let (here, there) = (replica(cluster.settings(&prefix)).await, replica(cluster.settings(&prefix)).await);
    here.until_up().await;
    for ticket in here.signed_in_everywhere().await {
        here.comes_to_hold(&ticket).await;
        here.stage.forget_told();
        assert!(there.near.remove(&session_key(&ticket)).await.unwrap());
        here.until_told(&ticket).await;
        assert_eq!(here.tries(&ticket).await, Some(false));
    }
}

#[tokio::test]
async fn r43_the_rights_in_the_notes_are_enough_for_a_cluster() {
    let (cluster, prefix) = (Cluster::shared(), fresh_prefix());
    let mut user = cmd("ACL");
    user.arg("SETUSER").arg("desk").arg("on").arg(">sec/ret").arg(format!("~{prefix}*"));
    for note in [include_str!("../../../redis.rs"), include_str!("../../cluster.rs")] {
        let note = note.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join(" ");
        let rights = note.split("An ACL user needs").nth(1).unwrap().replace(['`', ',', ';', '.'], " ");
        for right in
            rights.split_whitespace().filter(|word| word.starts_with('+') && !word.contains("sentinel"))
        {
            user.arg(right);
        }
    }
    cluster.say_to_all(&user).await;
    let here = replica(cluster.settings_for("desk:sec%2Fret@", &prefix)).await;
    here.until_up().await;
    let tickets = here.signed_in_everywhere().await;
    let mut cursor = None;
    let mut listed = 0;
    loop {
        let listing = here.near.list(cursor.as_ref(), 5, NOW).await.unwrap();
        listed += listing.entries.len();
        cursor = listing.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(listed >= tickets.len());
    for ticket in &tickets {
        here.comes_to_hold(ticket).await;
        assert!(here.near.remove(&session_key(ticket)).await.unwrap());
    }
    let refused = replica(cluster.settings_for("desk:second@", &prefix)).await;
    let Err(error) = refused.near.load(&tickets[0], NOW).await else { panic!("let in") };
    let text = error.to_string();
    assert!(text.ends_with("Redis refused the user or the password"), "{text}");
    assert!(!text.contains("second") && !text.contains("127.0.0.1"));
}

#[tokio::test]
async fn a_server_that_is_no_cluster_is_named_as_such() {
    let server = Server::shared();
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    let here = replica(server.settings_at(&url, &fresh_prefix())).await;
    let error = here.near.ping().await.unwrap_err().to_string();
    assert!(error.ends_with("Redis is no cluster: write redis:// in `session.store`"), "{error}");
}
