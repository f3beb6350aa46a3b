//! A master that others know of: who is believed, what a failover costs, and what is not lost in one.

use crate::config::{KeySource, RedisSettings, StoreSettings, WaitSettings};
use crate::domain::login::LoginId;
use crate::domain::session::Ticket;
use crate::domain::session::tests::session;
use crate::keyring::{new_ticket, session_key};
use crate::ports::{Entry, Ledger, SessionStore, StoreError};
use crate::store::contract::house::{NOW, keys};
use crate::store::redis::server::Server;
use crate::store::redis::server::sentinel::{Plan, Watched, until};
use crate::store::redis::tests::certificates;
use crate::store::{Confirmation, Opened, Waits, open};
use redis::cmd;
use secrecy::SecretString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

mod load;
mod waiting;

/// A gateway's store, and what replicas have confirmed of it.
struct Desk {
    store: Arc<dyn SessionStore>,
    waits: Arc<Waits>,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    confirmed: AtomicU64,
    short: AtomicU64,
}

impl Ledger for Counted {
    fn enter(&self, entry: Entry<'_>) {
        match entry {
            Entry::Waited { confirmed: true } => self.confirmed.fetch_add(1, Ordering::SeqCst),
            Entry::Waited { confirmed: false } => self.short.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
    }

    fn read(&self) -> String {
        String::new()
    }
}

impl Desk {
    async fn of(settings: RedisSettings) -> Self {
        let given = KeySource::Given(keys(&[1]));
        let Opened { store, waits, .. } = open(&StoreSettings::Redis(settings), given, true).await.unwrap();
        let (waits, counted) = (waits.unwrap(), Arc::new(Counted::default()));
        waits.report_to(counted.clone());
        Self { store, waits, counted }
    }

    /// Confirmed and not, since the beginning.
    fn counts(&self) -> (u64, u64) {
        (self.counted.confirmed.load(Ordering::SeqCst), self.counted.short.load(Ordering::SeqCst))
    }

    async fn create(&self) -> Result<Ticket, StoreError> {
        let ticket = new_ticket().unwrap();
        self.store.create(&ticket, &session(), NOW).await.map(|()| ticket)
    }

    async fn has(&self, ticket: &Ticket) -> bool {
        self.store.load(ticket, NOW).await.unwrap().is_some()
    }

    /// Asks until there is an answer; how long that took.
    async fn until_served(&self) -> Duration {
        let begun = Instant::now();
        while self.store.ping().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "no service");
        }
        begun.elapsed()
    }
}

fn unavailable<T>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(error @ StoreError::Unavailable(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the store answered"),
    }
}

/// Somebody who names whatever master a test wants; port 0 for none of that name.
pub(in crate::store::redis) async fn someone_who_names(port: u16) -> ((String, u16), Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let named = Arc::new(AtomicU16::new(port));
    let says = named.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let says = says.clone();
            tokio::spawn(async move {
                let mut question = [0; 1024];
                while let Ok(1..) = stream.read(&mut question).await {
                    let port = says.load(Ordering::SeqCst).to_string();
                    let answer = match port.as_str() {
                        "0" => "*-1\r\n".to_owned(),
                        _ => format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len()),
                    };
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (("127.0.0.1".to_owned(), own), named)
}

/// The settings of a store behind these sentinels.
pub(in crate::store::redis) fn behind(server: &Server, addresses: Vec<(String, u16)>) -> RedisSettings {
    let settings = server.settings_at("redis://master.invalid/0", "keycard:");
    let sentinel =
        crate::config::SentinelSettings { addresses, master: "mymaster".into(), user: None, password: None };
    // Long enough for a busy machine.
    let wait = WaitSettings { replicas: None, at_most: Duration::from_secs(1) };
    RedisSettings { sentinel: Some(sentinel), timeout: Duration::from_secs(2), wait, ..settings }
}

/// A master and a replica of it.
pub(in crate::store::redis) fn pair() -> (Server, Server) {
    let (master, replica) = (Server::start(None), Server::start(None));
    master.tell::<()>(cmd("CONFIG").arg("SET").arg("repl-diskless-sync-delay").arg(0));
    replica.tell::<()>(cmd("REPLICAOF").arg("127.0.0.1").arg(master.port()));
    until("it has everything", || {
        replica.tell::<String>(cmd("INFO").arg("replication")).contains("master_link_status:up")
    });
    master.until_replicated(1);
    (master, replica)
}

#[tokio::test]
async fn a34_a_sentinel_with_old_news_is_not_believed() {
    let (master, replica) = pair();
    // Both answers are in, and neither has more than half of the votes.
    let (stale, _) = someone_who_names(replica.port()).await;
    let (right, _) = someone_who_names(master.port()).await;
    for addresses in [vec![stale.clone(), right.clone()], vec![right, stale.clone()]] {
        let desk = Desk::of(behind(&master, addresses)).await;
        let ticket = desk.create().await.unwrap();
        assert!(desk.has(&ticket).await);
    }
    // Alone with it, there is no service: a replica is never read.
    let misled = Desk::of(behind(&master, vec![stale])).await;
    let text = unavailable(misled.store.ping().await);
    assert!(text.contains("Redis answered READONLY: it is a replica"), "{text}");
}

#[tokio::test]
async fn a34_what_most_sentinels_name_is_tried_without_waiting_for_the_rest() {
    let (one, other) = (Server::start(None), Server::start(None));
    // Another master, cut off from the rest; and one who takes the question and says nothing.
    let (stale, _) = someone_who_names(other.port()).await;
    let (right, _) = someone_who_names(one.port()).await;
    let (also_right, _) = someone_who_names(one.port()).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = ("127.0.0.1".to_owned(), silent.local_addr().unwrap().port());
    let (third, _) = someone_who_names(one.port()).await;
    let addresses = vec![stale, silent, right, also_right, third];
    let desk = Desk::of(behind(&one, addresses)).await;
    let ticket = desk.create().await.unwrap();
    assert!(desk.has(&ticket).await);
    assert_eq!(one.entries("keycard:s:").await.len(), 1);
    assert!(other.entries("keycard:").await.is_empty());
}

#[tokio::test]
async fn r43_what_is_wrong_with_sentinels_is_told_without_secrets() {
    let server = Server::start(None);
    let nobody = Server::reserved(None).port();
    let down = Desk::of(behind(&server, vec![("127.0.0.1".into(), nobody)])).await;
    assert!(unavailable(down.store.ping().await).ends_with("no sentinel answers"));
    let (ignorant, _) = someone_who_names(0).await;
    let unknown = Desk::of(behind(&server, vec![ignorant])).await;
    assert!(unavailable(unknown.store.ping().await).ends_with("the sentinels watch no master of that name"));
    let guarded = Server::start(None);
    guarded.tell::<()>(cmd("CONFIG").arg("SET").arg("requirepass").arg("s3cret-of-sentinels"));
    for password in [None, Some("s3cret-of-nobody")] {
        let mut settings = behind(&server, vec![("127.0.0.1".into(), guarded.port())]);
        settings.sentinel.as_mut().unwrap().password = password.map(SecretString::from);
        let text = unavailable(Desk::of(settings).await.store.ping().await);
        assert!(text.contains("a sentinel "), "{text}");
        assert!(!text.contains("s3cret") && !text.contains("127.0.0.1"), "{text}");
    }
}

#[tokio::test]
async fn a34_a_sentinel_taken_for_a_server_is_told() {
    let watched = Watched::shared();
    let (_, port) = watched.addresses()[0].clone();
    let settings = Server::reserved(None).settings_at(&format!("redis://127.0.0.1:{port}/0"), "keycard:");
    let text = unavailable(Desk::of(settings).await.store.ping().await);
    assert!(text.contains("redis+sentinel://"), "{text}");
}

#[tokio::test]
async fn a34_a_write_to_a_server_that_became_a_replica_is_an_error_and_never_done() {
    let (server, elsewhere) = (Server::start(None), Server::start(None));
    let desk = Desk::of(server.settings("keycard:")).await;
    let ticket = desk.create().await.unwrap();
    server.tell::<()>(cmd("REPLICAOF").arg("127.0.0.1").arg(elsewhere.port()));
    for text in [
        unavailable(desk.create().await),
        unavailable(desk.store.remove(&session_key(&ticket)).await),
        unavailable(desk.store.touch(&session_key(&ticket), NOW, Duration::from_secs(60)).await),
        // Nor is anything read there: what ended at its master might still be seen.
        unavailable(desk.store.load(&ticket, NOW).await),
    ] {
        assert!(text.contains("READONLY"), "{text}");
    }
    server.tell::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"));
    let ticket = desk.create().await.unwrap();
    assert!(desk.has(&ticket).await);
}

#[tokio::test]
async fn a34_sentinels_that_are_down_or_silent_are_done_without() {
    let watched = Watched::start(Plan::default());
    watched.kill_sentinel(0);
    watched.freeze_sentinel(1);
    let desk = Desk::of(watched.settings("keycard:")).await;
    let begun = Instant::now();
    let ticket = desk.create().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(6), "one time-out of two seconds, and no more");
    assert!(desk.has(&ticket).await);
    watched.kill_sentinel(2);
    // Who is connected needs none of them.
    assert!(desk.has(&ticket).await);
}

#[tokio::test]
async fn a34_a_planned_failover_loses_nothing_and_fails_nothing() {
    let watched = Watched::start(Plan::default());
    let desk = Desk::of(watched.settings("keycard:")).await;
    let ticket = desk.create().await.unwrap();
    assert_eq!(desk.waits.last(), Confirmation::Confirmed);
    watched.hand_over();
    // The old master goes on as if nothing had happened, until a sentinel finds the time to tell it; so it is up to us.
    let master = watched.master();
    assert!(desk.store.remove(&session_key(&ticket)).await.unwrap());
    assert!(master.entries("keycard:s:").await.is_empty(), "an ending that would come to nothing");
    assert!(!desk.has(&ticket).await);
    let ticket = desk.create().await.unwrap();
    assert_eq!(master.entries("keycard:s:").await.len(), 1);
    assert!(desk.has(&ticket).await);
}

#[tokio::test]
async fn a34_a_master_that_was_replaced_is_left_within_a_second_though_it_answers() {
    let (old, new) = pair();
    let (sentinel, named) = someone_who_names(old.port()).await;
    let desk = Desk::of(behind(&old, vec![sentinel])).await;
    let ticket = desk.create().await.unwrap();
    new.tell::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"));
    new.tell::<i64>(cmd("DEL").arg(new.entries("keycard:s:").await.remove(0).key));
    named.store(new.port(), Ordering::SeqCst);
    let begun = Instant::now();
    // Nothing is written, nothing breaks: the sentinels alone know.
    while desk.has(&ticket).await {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is never left");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a34_what_was_written_to_a_master_that_was_replaced_is_written_again() {
    let (old, new) = pair();
    let (sentinel, named) = someone_who_names(old.port()).await;
    let desk = Desk::of(behind(&old, vec![sentinel])).await;
    let ticket = desk.create().await.unwrap();
    new.tell::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"));
    named.store(new.port(), Ordering::SeqCst);
    // The old one is still there, takes it, and has nobody any more who would confirm it.
    assert!(desk.store.remove(&session_key(&ticket)).await.unwrap());
    assert!(new.entries("keycard:s:").await.is_empty(), "an ending that would come to nothing");
}

#[tokio::test]
async fn r4_a_login_that_was_taken_is_not_taken_again_at_a_master_that_has_forgotten_it() {
    let (old, new) = pair();
    let (sentinel, named) = someone_who_names(old.port()).await;
    let desk = Desk::of(behind(&old, vec![sentinel])).await;
    let take = || desk.store.take_once(LoginId([7; 16]), NOW, Duration::from_secs(60));
    assert!(take().await.unwrap());
    new.tell::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"));
    new.tell::<i64>(cmd("DEL").arg(new.entries("keycard:l:").await.remove(0).key));
    named.store(new.port(), Ordering::SeqCst);
    // The old one knows of it and says no; nobody confirms that, and so its successor is asked as well.
    assert!(!take().await.unwrap(), "whoever comes second with a login gets in");
    assert_eq!(new.entries("keycard:l:").await.len(), 1, "the successor was asked");
}

const RIGHTS: &str = "+ping +hmget +hget +hset +exists +get +set +del +scan +pexpire +pttl +zadd +zscore +zrem \
                      +zremrangebyscore +zrangebyscore +evalsha +script|load +role +wait";

#[tokio::test]
async fn r44_r43_tls_and_users_at_servers_and_sentinels() {
    // Only the first one in the process can be installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let rights = |password: &str, rights: &str| format!("desk reset on >{password} ~keycard:* {rights}");
    let watched = Watched::start(Plan {
        tls: Some(certificates()),
        users: vec![rights("s3cret", RIGHTS)],
        guard: Some(("watch", "s3cret-too", "+sentinel|get-master-addr-by-name")),
    });
    let addresses = watched.addresses();
    let settings = watched.settings_at("desk:s3cret@", &addresses, "keycard:");
    let desk = Desk::of(settings.clone()).await;
    let ticket = desk.create().await.unwrap();
    assert!(desk.has(&ticket).await);
    assert_eq!(desk.waits.last(), Confirmation::Confirmed);

    let wrong = |change: &dyn Fn(&mut RedisSettings)| {
        let mut settings = settings.clone();
        change(&mut settings);
        async move { unavailable(Desk::of(settings).await.store.ping().await) }
    };
    let login = watched.settings_at("desk:s3cret-no@", &addresses, "keycard:").url;
    for (change, expected) in [
        (
            &(|settings: &mut RedisSettings| settings.url = login.clone()) as &dyn Fn(&mut RedisSettings),
            "Redis refused the user or the password",
        ),
        (
            &|settings| settings.sentinel.as_mut().unwrap().password = Some(SecretString::from("s3cret-no")),
            "a sentinel refused the user or the password",
        ),
        (&|settings| settings.ca_pem = None, "no sentinel answers"),
    ] {
        let text = wrong(change).await;
        assert!(text.ends_with(expected) && !text.contains("s3cret"), "{text}");
    }
    // Followed as well.
    watched.hand_over();
    desk.until_served().await;
    assert!(desk.has(&ticket).await);

    // Who may not ask for the role cannot know that it is the master.
    for server in &watched.servers {
        watched.tell::<()>(server, cmd("ACL").arg("SETUSER").arg("desk").arg("-role"));
    }
    let blind = Desk::of(settings).await;
    assert!(unavailable(blind.store.ping().await).ends_with("Redis answered NOPERM"));
}
