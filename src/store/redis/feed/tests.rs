//! The feed over a real Redis: what is told, what is proved, and every way to lose it.
//!
//! The stopwatch stands still unless a test moves it, so that a proof holds as long as the test needs.

use super::*;
use crate::config::{KeySource, StoreSettings};
use crate::domain::session::Ticket;
use crate::domain::session::tests::session;
use crate::keyring::{new_ticket, session_key};
use crate::ports::{Clearing, FeedState, SessionStore};
use crate::store::contract::house::{NOW, fresh_prefix, keys};
use crate::store::near::tests::Stage;
use crate::store::near::{Near, NearParts};
use crate::store::redis::server::Server;
use crate::store::redis::tests::certificates;
use crate::store::{Opened, open};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

mod cluster;
mod everybody;
mod moves;

const GRACE: Duration = Duration::from_secs(30);

/// For a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// A replica: its near cache over its own connections.
struct Replica {
    stage: Arc<Stage>,
    near: Near,
    clearing: Arc<dyn Clearing>,
}

impl Replica {
    async fn of(settings: RedisSettings) -> Self {
        Self::with(settings, |parts| parts).await
    }

    async fn with(settings: RedisSettings, change: impl FnOnce(NearParts) -> NearParts) -> Self {
        let given = KeySource::Given(keys(&[1]));
        let Opened { store, feed, clearing, .. } =
            open(&StoreSettings::Redis(settings), given, true).await.unwrap();
        let stage = Arc::new(Stage::default());
        let mut feed = feed.unwrap();
        feed.refused_for = Duration::from_millis(50);
        stage.pass(Duration::from_secs(100));
        Self { near: Near::new(store, feed, change(stage.parts(GRACE))), stage, clearing }
    }

    /// Waits until the feed is as it should be.
    async fn until(&self, what: &str, is: impl Fn(FeedState) -> bool) {
        self.stage.until(what, || is(self.near.feed())).await;
    }

    async fn until_up(&self) {
        self.until("up", |state| matches!(state, FeedState::Up(_))).await;
    }

    async fn until_down(&self) {
        self.until("down", |state| matches!(state, FeedState::Down(_))).await;
    }

    /// Whether the session is there, and whether memory said so.
    async fn load(&self, ticket: &Ticket) -> (bool, &'static str) {
        self.stage.events();
        let found = self.near.load(ticket, NOW).await.unwrap().is_some();
        (found, self.stage.answered())
    }

    /// Reads until memory answers.
    async fn holds(&self, ticket: &Ticket) {
        let begun = Instant::now();
        while self.load(ticket).await != (true, "memory") {
            assert!(begun.elapsed() < LONG, "it is never held");
        }
    }

    /// Waits for the news of a change to this session.
    async fn until_told(&self, ticket: &Ticket) {
        let key = session_key(ticket);
        self.stage.until("the news of a change", || self.stage.was_told(&key)).await;
    }

    /// Waits for the news that everything may have changed.
    async fn until_told_of_everything(&self, what: &str) {
        self.stage.until(what, || self.stage.was_told_everything()).await;
    }

    async fn signed_in(&self) -> Ticket {
        let ticket = new_ticket().unwrap();
        self.near.create(&ticket, &session(), NOW).await.unwrap();
        ticket
    }
}

fn record(prefix: &str, ticket: &Ticket) -> String {
    format!("{prefix}s:{}", URL_SAFE_NO_PAD.encode(session_key(ticket).as_bytes()))
}

#[tokio::test]
async fn a34_whatever_happens_to_a_record_is_told() {
    let (server, prefix) = (Server::shared(), fresh_prefix());
    let replica = Replica::of(server.settings(&prefix)).await;
    replica.until_up().await;
    let words: [&[&str]; 4] = [&["DEL"], &["PEXPIRE", "0"], &["UNLINK"], &["SET", "foreign"]];
    for words in words {
        let ticket = replica.signed_in().await;
        replica.holds(&ticket).await;
        replica.stage.forget_told();
        let mut command = cmd(words[0]);
        command.arg(record(&prefix, &ticket));
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        server.say::<redis::Value>(&command).await;
        replica.until_told(&ticket).await;
        let answer = replica.near.load(&ticket, NOW).await;
        assert!(!matches!(answer, Ok(Some(_))), "{words:?}");
    }
}

#[tokio::test]
async fn a34_an_ending_in_one_replica_reaches_the_others() {
    let (server, prefix) = (Server::shared(), fresh_prefix());
    let here = Replica::of(server.settings(&prefix)).await;
    let there = Replica::of(server.settings(&prefix)).await;
    here.until_up().await;
    there.until_up().await;
    let ticket = here.signed_in().await;
    here.holds(&ticket).await;
    there.holds(&ticket).await;
    there.stage.forget_told();
    assert!(here.near.remove(&session_key(&ticket)).await.unwrap());
    assert_eq!(here.load(&ticket).await, (false, "store"));
    there.until_told(&ticket).await;
    assert_eq!(there.load(&ticket).await, (false, "store"));
}

#[tokio::test]
async fn a_touch_pushes_nothing_out_of_any_replica() {
    let (server, prefix) = (Server::shared(), fresh_prefix());
    let here = Replica::of(server.settings(&prefix)).await;
    let there = Replica::of(server.settings(&prefix)).await;
    here.until_up().await;
    there.until_up().await;
    let (ticket, other) = (here.signed_in().await, here.signed_in().await);
    there.holds(&ticket).await;
    there.holds(&other).await;
    there.stage.forget_told();
    here.near.touch(&session_key(&ticket), NOW.plus(Duration::from_secs(60)), LONG).await.unwrap();
    // The feed is in order: once the second is told, the first would have been.
    here.near.remove(&session_key(&other)).await.unwrap();
    there.until_told(&other).await;
    assert_eq!(there.load(&ticket).await, (true, "memory"));
}

#[tokio::test]
async fn a34_flushall_and_swapdb_make_everything_doubtful() {
    let server = Server::start(None);
    let prefix = fresh_prefix();
    let replica = Replica::of(server.settings(&prefix)).await;
    replica.until_up().await;
    for words in [&["FLUSHALL"][..], &["SWAPDB", "0", "1"], &["FLUSHDB"]] {
        let ticket = replica.signed_in().await;
        replica.holds(&ticket).await;
        let mut command = cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        replica.stage.forget_told();
        server.say::<()>(&command).await;
        replica.until_told_of_everything(words[0]).await;
        assert_eq!(replica.load(&ticket).await, (false, "store"), "{words:?}");
        replica.until_up().await;
    }
}

#[tokio::test]
async fn a34_a_killed_feed_is_not_believed_and_begins_anew() {
    let server = Server::start(None);
    let prefix = fresh_prefix();
    let replica = Replica::of(server.settings(&prefix)).await;
    replica.until_up().await;
    let ticket = replica.signed_in().await;
    for round in 0..5 {
        replica.holds(&ticket).await;
        replica.stage.forget_told();
        // Every connection of that user but the one that says so.
        server.say::<i64>(cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes")).await;
        replica.until_told_of_everything("the feed is lost").await;
        assert_eq!(replica.load(&ticket).await, (true, "store"), "round {round}");
    }
}

#[tokio::test]
async fn a34_without_heartbeats_the_deadline_passes_and_the_store_is_asked() {
    let (server, prefix) = (Server::shared(), fresh_prefix());
    let replica = Replica::of(server.settings(&prefix)).await;
    replica.until_up().await;
    let ticket = replica.signed_in().await;
    replica.holds(&ticket).await;
    // As after a sleep of the whole machine, or of this process.
    replica.stage.pass(Duration::from_secs(1));
    assert_eq!(replica.load(&ticket).await, (true, "store"));
    replica.until_up().await;
    replica.holds(&ticket).await;
}

/// A way to a server on which the answers to whoever tracks can be held up, and nothing else.
async fn way_to(server: u16, frozen: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let frozen = frozen.clone();
            let (mut from, mut back) = client.into_split();
            let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            let (mut answers, mut to) = server.into_split();
            let tracks = Arc::new(AtomicBool::new(false));
            let knows = tracks.clone();
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = from.read(&mut bytes).await {
                    if bytes[..length].windows(8).any(|word| word == b"TRACKING") {
                        knows.store(true, Ordering::SeqCst);
                    }
                    to.write_all(&bytes[..length]).await.unwrap();
                }
            });
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = answers.read(&mut bytes).await {
                    if tracks.load(Ordering::SeqCst) && frozen.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                    if back.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a34_a_frozen_feed_beside_a_server_that_answers_is_not_believed() {
    let server = Server::start(None);
    let prefix = fresh_prefix();
    let frozen = Arc::new(AtomicBool::new(false));
    let port = way_to(server.port(), frozen.clone()).await;
    let settings = server.settings_at(&format!("redis://127.0.0.1:{port}/0"), &prefix);
    let replica = Replica::of(RedisSettings { timeout: Duration::from_millis(300), ..settings }).await;
    replica.until_up().await;
    let ticket = replica.signed_in().await;
    replica.holds(&ticket).await;
    frozen.store(true, Ordering::SeqCst);
    replica.stage.forget_told();
    server.say::<i64>(cmd("DEL").arg(record(&prefix, &ticket))).await;
    // Those who wait for news look before the second is over.
    replica.stage.pass(Duration::from_millis(800));
    replica.until_told_of_everything("the silence is suspicious").await;
    assert!(!replica.stage.was_told(&session_key(&ticket)));
    replica.stage.pass(Duration::from_millis(201));
    assert_eq!(replica.load(&ticket).await, (false, "store"));
    replica.stage.pass(Duration::from_secs(2));
    replica.until_down().await;
    frozen.store(false, Ordering::SeqCst);
    // The frozen connection is given up, and a new one is heard.
    replica.until_up().await;
    let ticket = replica.signed_in().await;
    replica.holds(&ticket).await;
}

#[tokio::test]
async fn a34_a_frozen_server_is_bridged_for_outage_grace_and_no_longer() {
    let server = Server::start(None);
    let prefix = fresh_prefix();
    let settings = RedisSettings { timeout: Duration::from_millis(200), ..server.settings(&prefix) };
    let replica = Replica::of(settings).await;
    replica.until_up().await;
    let (ticket, ended) = (replica.signed_in().await, replica.signed_in().await);
    replica.holds(&ticket).await;
    replica.holds(&ended).await;
    replica.stage.forget_told();
    server.say::<i64>(cmd("DEL").arg(record(&prefix, &ended))).await;
    replica.until_told(&ended).await;
    server.freeze();
    replica.stage.pass(Duration::from_millis(1001));
    replica.until_down().await;
    assert_eq!(replica.load(&ticket).await, (true, "memory, for want of the store"));
    // Of which an ending was heard, nothing is left to fall back on.
    assert!(replica.near.load(&ended, NOW).await.is_err());
    replica.stage.pass(Duration::from_secs(28));
    assert_eq!(replica.load(&ticket).await, (true, "memory, for want of the store"));
    replica.stage.pass(Duration::from_secs(1));
    assert!(replica.near.load(&ticket, NOW).await.is_err());
    // An ending that cannot be written is in force here all the same.
    server.thaw();
    replica.until_up().await;
    replica.holds(&ticket).await;
    assert!(replica.near.load(&ended, NOW).await.unwrap().is_none());
    server.freeze();
    assert!(replica.near.remove(&session_key(&ticket)).await.is_err());
    assert!(replica.near.load(&ticket, NOW).await.is_err());
    server.thaw();
}

#[tokio::test]
async fn a34_a_server_that_comes_back_empty_has_ended_everything() {
    let server = Server::start(None);
    let prefix = fresh_prefix();
    let replica = Replica::of(server.settings(&prefix)).await;
    replica.until_up().await;
    let ticket = replica.signed_in().await;
    replica.holds(&ticket).await;
    server.kill();
    replica.until_down().await;
    assert_eq!(replica.load(&ticket).await, (true, "memory, for want of the store"));
    assert!(server.resume());
    replica.until_up().await;
    assert_eq!(replica.load(&ticket).await, (false, "store"));
}

#[tokio::test]
async fn a34_new_tokens_that_a_server_comes_back_without_are_put_back_and_no_session_is_made_again() {
    let server = Server::start(None);
    let prefix = fresh_prefix();
    let here = Replica::of(server.settings(&prefix)).await;
    let there = Replica::of(server.settings(&prefix)).await;
    here.until_up().await;
    there.until_up().await;
    let ticket = here.signed_in().await;
    // What it comes back with.
    server.say::<()>(&cmd("SAVE")).await;
    let lost = here.signed_in().await;
    let mut renewed = session();
    renewed.acr = Some("gold".into());
    renewed.renewal.generation += 1;
    for expected in 1..4 {
        here.near.update(&ticket, &renewed, expected, NOW).await.unwrap();
    }
    for ticket in [&ticket, &lost] {
        here.holds(ticket).await;
        there.holds(ticket).await;
    }
    server.kill();
    here.until_down().await;
    there.until_down().await;
    assert!(server.resume());
    here.until_up().await;
    there.until_up().await;
    let gold = |live: Option<crate::domain::session::LiveSession>| {
        live.map(|live| (live.version, live.session.acr.clone().unwrap_or_default()))
    };
    // Both hold it, and both are asked at once.
    let (one, two) = tokio::join!(here.near.load(&ticket, NOW), there.near.load(&ticket, NOW));
    for answer in [one, two, here.near.reload(&ticket, NOW).await, there.near.reload(&ticket, NOW).await] {
        assert_eq!(gold(answer.unwrap()), Some((4, "gold".to_owned())));
    }
    assert!(here.near.load(&lost, NOW).await.unwrap().is_none());
    assert!(there.near.load(&lost, NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn a34_an_ending_is_told_apart_from_an_expiry() {
    let (server, prefix) = (Server::shared(), fresh_prefix());
    let here = Replica::of(server.settings(&prefix)).await;
    let there = Replica::of(server.settings(&prefix)).await;
    here.until_up().await;
    there.until_up().await;
    let (expires, ends) = (here.signed_in().await, here.signed_in().await);
    let name = record(&prefix, &expires);
    server.say::<i64>(cmd("PEXPIRE").arg(name).arg(0)).await;
    here.near.remove(&session_key(&ends)).await.unwrap();
    let key = session_key(&ends);
    there.stage.until("the news of an ending", || there.stage.was_told_of_end(&key)).await;
    // The feed is in order.
    assert!(there.stage.was_told(&session_key(&expires)));
    assert!(!there.stage.was_told_of_end(&session_key(&expires)));
}

#[tokio::test]
async fn a_user_who_may_not_track_reads_through_and_is_followed_once_mended() {
    let server = Server::start(None);
    let prefix = fresh_prefix();
    server.say::<()>(cmd("ACL").arg("SETUSER").arg("default").arg("-client|tracking")).await;
    let replica = Replica::of(server.settings(&prefix)).await;
    replica.until("refused", |state| state == FeedState::Refused).await;
    let ticket = replica.signed_in().await;
    for _ in 0..3 {
        assert_eq!(replica.load(&ticket).await, (true, "store"));
    }
    server.say::<i64>(cmd("DEL").arg(record(&prefix, &ticket))).await;
    assert_eq!(replica.load(&ticket).await, (false, "store"));
    server.say::<()>(cmd("ACL").arg("SETUSER").arg("default").arg("+client|tracking")).await;
    replica.until_up().await;
    let ticket = replica.signed_in().await;
    replica.holds(&ticket).await;
}

#[tokio::test]
async fn the_rights_in_the_note_are_enough_for_the_feed() {
    let (server, prefix) = (Server::start(None), fresh_prefix());
    let mut user = cmd("ACL");
    user.arg("SETUSER").arg("desk").arg("on").arg(">secret").arg(format!("~{prefix}*"));
    let note = include_str!("../../redis.rs").split("An ACL user needs").nth(1).unwrap();
    let rights = note.split("feed.").next().unwrap().replace("//!", " ").replace('`', " ");
    for right in rights.split_whitespace().filter(|word| word.starts_with('+')) {
        user.arg(right.trim_end_matches([',', ';']));
    }
    server.say::<()>(&user).await;
    let url = format!("redis://desk:secret@127.0.0.1:{}/0", server.port());
    let replica = Replica::of(server.settings_at(&url, &prefix)).await;
    replica.until_up().await;
    let ticket = replica.signed_in().await;
    replica.holds(&ticket).await;
    replica.stage.forget_told();
    server.say::<i64>(cmd("DEL").arg(record(&prefix, &ticket))).await;
    replica.until_told(&ticket).await;
}

#[tokio::test]
async fn heartbeats_are_no_sessions_and_leave_nothing_behind() {
    let (server, prefix) = (Server::start(None), fresh_prefix());
    let replica = Replica::of(server.settings(&prefix)).await;
    replica.until_up().await;
    let listing = replica.near.list(None, 100, NOW).await.unwrap();
    assert!(listing.entries.is_empty());
    let entries = server.entries(&prefix).await;
    assert!(entries.iter().all(|entry| entry.ttl > 0 && entry.ttl <= 5000));
}

#[tokio::test]
async fn the_feed_is_heard_over_tls() {
    let server = Server::start(Some(certificates()));
    let prefix = fresh_prefix();
    let url = format!("rediss://127.0.0.1:{}/0", server.port());
    let replica = Replica::of(server.settings_at(&url, &prefix)).await;
    replica.until_up().await;
    let ticket = replica.signed_in().await;
    replica.holds(&ticket).await;
    let other = Replica::of(server.settings_at(&url, &prefix)).await;
    replica.stage.forget_told();
    other.near.remove(&session_key(&ticket)).await.unwrap();
    replica.until_told(&ticket).await;
}
