//! What only Redis can get wrong: expiries, breaks, users, certificates, foreign values.

use super::server::Server;
use crate::config::{KeySource, RedisSettings, StoreSettings};
use crate::domain::login::LoginId;
use crate::domain::logout::Mark;
use crate::domain::session::tests::session;
use crate::domain::session::{Session, Ticket};
use crate::keyring::{new_ticket, session_key};
use crate::ports::{SessionStore, StoreError, Updated};
use crate::store::contract::house::{NOW, fresh_prefix, keys};
use crate::store::open;
use redis::cmd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub(in crate::store) mod crash;

fn given() -> KeySource {
    KeySource::Given(keys(&[1]))
}

async fn opened(settings: RedisSettings) -> Arc<dyn SessionStore> {
    open(&StoreSettings::Redis(settings), given(), true).await.unwrap().store
}

async fn signed_in(store: &Arc<dyn SessionStore>, session: &Session) -> Ticket {
    let ticket = new_ticket().unwrap();
    store.create(&ticket, session, NOW).await.unwrap();
    ticket
}

/// The text of an `Unavailable`; anything else fails the test.
fn unavailable<T>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(error @ StoreError::Unavailable(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the store answered"),
    }
}

#[tokio::test]
async fn r47_every_key_expires_and_none_later_than_it_should() {
    let (server, prefix) = (Server::shared(), fresh_prefix());
    let store = opened(server.settings(&prefix)).await;
    let mut long = session();
    long.ends = NOW.plus(Duration::from_secs(3600));
    let mut short = session();
    short.ends = NOW.plus(Duration::from_secs(1800));
    let ticket = signed_in(&store, &long).await;
    assert_eq!(store.update(&ticket, &long, 1, NOW).await.unwrap(), Updated::Done(2));
    signed_in(&store, &short).await;
    store.touch(&session_key(&ticket), NOW, Duration::from_secs(600)).await.unwrap();
    store.take_once(LoginId([1; 16]), NOW, Duration::from_secs(500)).await.unwrap();
    let entries = server.entries(&prefix).await;
    let mut ttls: Vec<(char, i64)> =
        entries.iter().map(|entry| (char::from(entry.key[prefix.len()]), entry.ttl)).collect();
    ttls.sort_unstable();
    let expected = [
        // Both sessions are in both indexes, which live as long as the longer one.
        ('i', 3_600_000),
        ('i', 3_600_000),
        ('l', 500_000),
        ('s', 1_800_000),
        ('s', 3_600_000),
        ('u', 600_000),
        ('u', 1_800_000),
    ];
    assert_eq!(ttls.len(), expected.len(), "{ttls:?}");
    for ((kind, ttl), (expected_kind, most)) in ttls.iter().zip(expected) {
        assert_eq!(*kind, expected_kind);
        assert!(*ttl > most - 60_000 && *ttl <= most, "{kind}: {ttl} of {most}");
    }
}

#[tokio::test]
async fn r47_expiries_follow_the_clock_that_is_passed_in_and_dead_entries_are_swept() {
    let (server, prefix) = (Server::shared(), fresh_prefix());
    let store = opened(server.settings(&prefix)).await;
    signed_in(&store, &session()).await;
    let later = session().ends.plus(Duration::from_secs(1));
    let mut next = session();
    next.ends = later.plus(Duration::from_secs(60));
    let ticket = new_ticket().unwrap();
    store.create(&ticket, &next, later).await.unwrap();
    let who = next.identity;
    let found = store.of_subject(&who.issuer, &who.subject, later).await.unwrap();
    assert_eq!(found, [session_key(&ticket)]);
    for entry in server.entries(&format!("{prefix}i:")).await {
        assert_eq!(entry.parts.len(), 2, "one member and its score");
    }
    for entry in server.entries(&format!("{prefix}s:")).await {
        assert!(entry.ttl > 0 && entry.ttl <= 36_000_000);
    }
}

#[tokio::test]
async fn r47_a_touch_that_comes_late_leaves_nothing_but_a_key_that_expires() {
    let (server, prefix) = (Server::shared(), fresh_prefix());
    let store = opened(server.settings(&prefix)).await;
    let ticket = signed_in(&store, &session()).await;
    let key = session_key(&ticket);
    assert!(store.remove(&key).await.unwrap());
    store.touch(&key, NOW, Duration::from_secs(60)).await.unwrap();
    let entries = server.entries(&prefix).await;
    assert_eq!(entries.len(), 1);
    assert!(entries[0].ttl > 0 && entries[0].ttl <= 60_000);
    assert!(store.load(&ticket, NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn a_lost_last_seen_counts_from_the_start() {
    let (server, prefix) = (Server::shared(), fresh_prefix());
    let store = opened(server.settings(&prefix)).await;
    let ticket = new_ticket().unwrap();
    let later = NOW.plus(Duration::from_secs(60));
    store.create(&ticket, &session(), later).await.unwrap();
    assert_eq!(store.load(&ticket, later).await.unwrap().unwrap().last_seen, later);
    for entry in server.entries(&format!("{prefix}u:")).await {
        server.say::<()>(cmd("DEL").arg(entry.key)).await;
    }
    assert_eq!(store.load(&ticket, later).await.unwrap().unwrap().last_seen, session().started);
}

#[tokio::test]
async fn a34_down_at_start_then_killed_then_back() {
    let server = Server::reserved(None);
    let store = opened(server.settings("keycard:")).await;
    let ticket = new_ticket().unwrap();
    assert!(unavailable(store.load(&ticket, NOW).await).ends_with("Redis refused the connection"));
    unavailable(store.ping().await);
    assert!(server.resume());
    store.ping().await.unwrap();
    let ticket = signed_in(&store, &session()).await;
    assert!(store.load(&ticket, NOW).await.unwrap().is_some());
    server.kill();
    let key = session_key(&ticket);
    let who = session().identity;
    for text in [
        unavailable(store.load(&ticket, NOW).await),
        unavailable(store.update(&ticket, &session(), 1, NOW).await),
        unavailable(store.create(&new_ticket().unwrap(), &session(), NOW).await),
        unavailable(store.touch(&key, NOW, Duration::from_secs(60)).await),
        unavailable(store.remove(&key).await),
        unavailable(store.of_subject(&who.issuer, &who.subject, NOW).await),
        unavailable(store.take_once(LoginId([1; 16]), NOW, Duration::from_secs(60)).await),
    ] {
        assert!(!text.contains("127.0.0.1") && !text.contains(&server.port().to_string()), "{text}");
    }
    assert!(server.resume());
    assert!(store.load(&ticket, NOW).await.unwrap().is_none(), "it came back empty");
    let ticket = signed_in(&store, &session()).await;
    assert!(store.load(&ticket, NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn a34_nobody_pays_for_a_connection_that_was_cut_while_idle() {
    let server = Server::start(None);
    let store = opened(server.settings("keycard:")).await;
    let ticket = signed_in(&store, &session()).await;
    let key = session_key(&ticket);
    let cut = || async { server.say::<()>(cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal")).await };
    cut().await;
    assert!(store.load(&ticket, NOW).await.unwrap().is_some());
    cut().await;
    store.touch(&key, NOW, Duration::from_secs(60)).await.unwrap();
    cut().await;
    assert!(store.take_once(LoginId([1; 16]), NOW, Duration::from_secs(60)).await.unwrap());
    cut().await;
    assert_eq!(store.update(&ticket, &session(), 1, NOW).await.unwrap(), Updated::Done(2));
    cut().await;
    signed_in(&store, &session()).await;
    cut().await;
    assert!(store.remove(&key).await.unwrap());
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_connection() {
    let server = Server::start(None);
    let store = opened(server.settings("keycard:")).await;
    let asked = futures_util::future::join_all((0..50).map(|_| store.ping())).await;
    assert!(asked.iter().all(Result::is_ok));
    let clients: String = server.say(cmd("CLIENT").arg("LIST")).await;
    assert_eq!(clients.lines().count(), 2, "ours and the one that looks");
}

#[tokio::test]
async fn a_connection_outlives_the_runtime_of_whoever_asked_first() {
    let server = Server::shared();
    let store = opened(server.settings(&fresh_prefix())).await;
    let asking = store.clone();
    let worker = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(signed_in(&asking, &session()))
    };
    let ticket = tokio::task::spawn_blocking(worker).await.unwrap();
    assert!(matches!(store.update(&ticket, &session(), 1, NOW).await, Ok(Updated::Done(2))));
}

#[tokio::test]
async fn a34_a_server_that_does_not_answer_is_given_up_in_time() {
    let server = Server::start(None);
    let store = opened(RedisSettings { timeout: Duration::from_secs(1), ..server.settings("k:") }).await;
    let ticket = signed_in(&store, &session()).await;
    server.say::<()>(cmd("CLIENT").arg("PAUSE").arg(60_000).arg("ALL")).await;
    let waiting = tokio::time::timeout(Duration::from_secs(10), store.load(&ticket, NOW));
    assert!(unavailable(waiting.await.unwrap()).ends_with("did not answer in time"));
    server.kill();
    assert!(server.resume());
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a34_a_peer_that_vanished_without_a_word_costs_one_time_out() {
    let server = Server::start(None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let hush = Arc::new(Notify::new());
    let (port, hushed) = (server.port(), hush.clone());
    // A line that goes dead when told to: nothing passes any more, and nobody hangs up.
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let hushed = hushed.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    () = hushed.notified() => std::future::pending().await,
                }
            });
        }
    });
    let settings = RedisSettings { timeout: Duration::from_secs(1), ..server.settings_at(&url, "keycard:") };
    let store = opened(settings).await;
    let ticket = signed_in(&store, &session()).await;
    hush.notify_waiters();
    assert!(unavailable(store.load(&ticket, NOW).await).ends_with("did not answer in time"));
    assert!(store.load(&ticket, NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn a34_foreign_values_and_refusals_are_errors_and_never_a_miss() {
    let server = Server::start(None);
    let store = opened(server.settings("keycard:")).await;
    let ticket = signed_in(&store, &session()).await;
    let record = server.entries("keycard:s:").await.remove(0).key;
    server.say::<()>(cmd("HDEL").arg(&record).arg("o")).await;
    assert!(matches!(store.load(&ticket, NOW).await, Err(StoreError::Unreadable(_))));
    server.say::<()>(cmd("HSET").arg(&record).arg("o").arg("x").arg("v").arg("one")).await;
    assert!(matches!(store.load(&ticket, NOW).await, Err(StoreError::Unreadable(_))));
    server.say::<()>(cmd("SET").arg(&record).arg("a string")).await;
    assert!(matches!(store.load(&ticket, NOW).await, Err(StoreError::Unreadable(_))));
    assert!(matches!(store.update(&ticket, &session(), 1, NOW).await, Err(StoreError::Unreadable(_))));
    assert!(store.remove(&session_key(&ticket)).await.unwrap(), "an ending clears it away");
    server.say::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg("1")).await;
    let full = store.create(&new_ticket().unwrap(), &session(), NOW).await;
    assert!(unavailable(full).ends_with("Redis answered OOM"));
    server.say::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg("0")).await;
    let ticket = signed_in(&store, &session()).await;
    server.say::<()>(&cmd("FLUSHALL")).await;
    assert!(store.load(&ticket, NOW).await.unwrap().is_none());
    server.say::<()>(&cmd("SCRIPT").arg("FLUSH").to_owned()).await;
    signed_in(&store, &session()).await;
}

#[tokio::test]
async fn r43_a_user_with_a_password_works_and_a_refused_one_is_not_told_in_errors() {
    let server = Server::start(None);
    let rights = "+ping +hmget +hget +hset +exists +get +set +del +scan +pexpire +pttl +zadd +zscore +zrem \
                  +zremrangebyscore +zrangebyscore +evalsha +script|load";
    let set_user = |password: &str| {
        let mut command = cmd("ACL");
        command.arg("SETUSER").arg("desk").arg("reset").arg("on").arg(format!(">{password}"));
        command.arg("~keycard:*");
        rights.split(' ').filter(|right| !right.is_empty()).for_each(|right| {
            command.arg(right);
        });
        command
    };
    server.say::<()>(&set_user("first/secret")).await;
    let url = |password: &str| format!("redis://desk:{password}@127.0.0.1:{}/0", server.port());
    let store = opened(server.settings_at(&url("first%2Fsecret"), "keycard:")).await;
    let ticket = signed_in(&store, &session()).await;
    assert!(store.load(&ticket, NOW).await.unwrap().is_some());
    assert_eq!(store.update(&ticket, &session(), 1, NOW).await.unwrap(), Updated::Done(2));
    store.touch(&session_key(&ticket), NOW, Duration::from_secs(60)).await.unwrap();
    assert!(store.take_once(LoginId([1; 16]), NOW, Duration::from_secs(60)).await.unwrap());
    assert!(!store.take_once(LoginId([1; 16]), NOW, Duration::from_secs(60)).await.unwrap());
    let who = session().identity;
    assert_eq!(store.of_subject(&who.issuer, &who.subject, NOW).await.unwrap().len(), 1);
    let mark = Mark::Person(&who.issuer, &who.subject);
    for _ in 0..2 {
        store.mark(mark, NOW, Duration::from_secs(60)).await.unwrap();
    }
    assert_eq!(store.marked(&[mark], NOW).await.unwrap(), Some(NOW));
    assert!(store.remove(&session_key(&ticket)).await.unwrap());

    let says_nothing = |text: &str| {
        for word in ["secret", "desk", "keycard:", "127.0.0.1", &server.port().to_string()] {
            assert!(!text.contains(word), "{text}");
        }
    };
    let refused = opened(server.settings_at(&url("second-secret"), "keycard:")).await;
    let text = unavailable(refused.load(&ticket, NOW).await);
    assert!(text.ends_with("Redis refused the user or the password"), "{text}");
    says_nothing(&text);
    let elsewhere = opened(server.settings_at(&url("first%2Fsecret"), "other:")).await;
    let text = unavailable(elsewhere.load(&ticket, NOW).await);
    assert!(text.ends_with("Redis answered NOPERM"), "{text}");
    says_nothing(&text);
    // Mended on the server: it works without being opened again.
    server.say::<()>(&set_user("second-secret")).await;
    assert!(refused.load(&ticket, NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn r43_settings_that_can_never_work_are_refused_without_being_quoted() {
    let server = Server::reserved(None);
    for url in ["http://desk:secret@127.0.0.1", "rediss://desk:secret@127.0.0.1/#insecure", "secret"] {
        let settings = StoreSettings::Redis(server.settings_at(url, "keycard:"));
        let text = unavailable(open(&settings, given(), true).await);
        assert!(!text.contains("secret") && !text.contains("127.0.0.1"), "{text}");
    }
    for pem in ["", "no certificate"] {
        let settings =
            RedisSettings { ca_pem: Some(pem.into()), ..server.settings_at("rediss://127.0.0.1", "k:") };
        unavailable(open(&StoreSettings::Redis(settings), given(), true).await);
    }
}

/// A CA and a certificate from it for 127.0.0.1.
pub(super) fn certificates() -> TempDir {
    let directory = TempDir::new().unwrap();
    let openssl = |arguments: &[&str]| {
        let status = Command::new("openssl")
            .args(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("this test needs openssl");
        assert!(status.success(), "openssl {arguments:?}");
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    std::fs::write(directory.path().join("leaf.ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let ca = ["req", "-x509", "-days", "2", "-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(&[ca.as_slice(), &key].concat());
    let leaf = ["req", "-new", "-subj", "/CN=redis", "-keyout", "key.pem", "-out", "leaf.csr"];
    openssl(&[leaf.as_slice(), &key].concat());
    openssl(&[
        "x509",
        "-req",
        "-in",
        "leaf.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "leaf.ext",
        "-out",
        "cert.pem",
    ]);
    directory
}

#[tokio::test]
async fn r44_rediss_trusts_the_configured_ca_and_no_other() {
    // Only the first one in the process can be installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let server = Server::start(Some(certificates()));
    let url = format!("rediss://127.0.0.1:{}/0", server.port());
    let store = opened(server.settings_at(&url, "keycard:")).await;
    let ticket = signed_in(&store, &session()).await;
    assert!(store.load(&ticket, NOW).await.unwrap().is_some());
    let other = certificates();
    let pem = |directory: &Path| std::fs::read(directory.join("ca.pem")).unwrap();
    for ca_pem in [None, Some(pem(other.path()))] {
        let settings = RedisSettings { ca_pem, ..server.settings_at(&url, "keycard:") };
        let text = unavailable(opened(settings).await.load(&ticket, NOW).await);
        assert!(!text.contains("127.0.0.1"), "{text}");
    }
    let plain = server.settings_at(&url.replace("rediss", "redis"), "keycard:");
    let plain = RedisSettings { ca_pem: None, ..plain };
    unavailable(opened(plain).await.load(&ticket, NOW).await);
}
