//! Workers, and the connections of their own.

use crate::config::{KeySource, RedisSettings, StoreSettings};
use crate::domain::session::Ticket;
use crate::domain::session::tests::session;
use crate::keyring::{new_ticket, session_key};
use crate::ports::SessionStore;
use crate::store::contract::house::{NOW, keys};
use crate::store::open;
use crate::store::redis::sentinel::tests::{behind, pair, someone_who_names};
use crate::store::redis::server::Server;
use redis::cmd;
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A thread with a runtime of its own, as those have that answer requests.
struct Worker {
    handle: Handle,
    _until: oneshot::Sender<()>,
}

impl Worker {
    fn start() -> Self {
        let (until, ended) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(ended));
        Self { handle, _until: until }
    }

    async fn does<T: Send + 'static>(&self, what: impl Future<Output = T> + Send + 'static) -> T {
        self.handle.spawn(what).await.unwrap()
    }

    async fn pings(&self, store: &Arc<dyn SessionStore>) {
        let store = store.clone();
        self.does(async move { store.ping().await }).await.unwrap();
    }

    async fn finds(&self, store: &Arc<dyn SessionStore>, ticket: &Ticket) -> bool {
        let (store, ticket) = (store.clone(), ticket.clone());
        self.does(async move { store.load(&ticket, NOW).await }).await.unwrap().is_some()
    }
}

async fn opened(settings: RedisSettings) -> Arc<dyn SessionStore> {
    open(&StoreSettings::Redis(settings), KeySource::Given(keys(&[1])), true).await.unwrap().store
}

async fn signed_in(store: &Arc<dyn SessionStore>) -> Ticket {
    let ticket = new_ticket().unwrap();
    store.create(&ticket, &session(), NOW).await.unwrap();
    ticket
}

/// A client of a server: its number, and the last command that came from it.
async fn clients(server: &Server) -> Vec<(u64, String)> {
    let list: String = server.say(cmd("CLIENT").arg("LIST")).await;
    let field = |line: &str, name: &str| {
        let mut words = line.split(' ');
        words.find_map(|word| word.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    let all = list.lines().map(|line| (field(line, "id=").parse().unwrap(), field(line, "cmd=")));
    all.filter(|(_, command)| !command.starts_with("client")).collect()
}

/// Lets the worker ask until one more connection than `before` is there, which has carried what it asked.
async fn has_its_own(worker: &Worker, store: &Arc<dyn SessionStore>, server: &Server, before: usize) {
    let begun = Instant::now();
    loop {
        worker.pings(store).await;
        let clients = clients(server).await;
        if clients.len() > before && clients.iter().filter(|(_, command)| command == "ping").count() > before
        {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it never has a connection of its own: {clients:?}"
        );
    }
}

#[tokio::test]
async fn each_worker_asks_over_a_connection_of_its_own() {
    let server = Server::start(None);
    let store = opened(server.settings("keycard:")).await;
    store.ping().await.unwrap();
    let (one, other) = (Worker::start(), Worker::start());
    has_its_own(&one, &store, &server, 1).await;
    has_its_own(&other, &store, &server, 2).await;
    let ticket = signed_in(&store).await;
    assert!(one.finds(&store, &ticket).await);
    let (touching, key) = (store.clone(), session_key(&ticket));
    other.does(async move { touching.touch(&key, NOW, Duration::from_secs(60)).await }).await.unwrap();
    store.ping().await.unwrap();
    let mut last: Vec<String> = clients(&server).await.into_iter().map(|(_, command)| command).collect();
    last.sort_unstable();
    assert_eq!(last, ["get", "ping", "set"], "one each, and the one that is shared");
}

#[tokio::test]
async fn a34_a_workers_connection_that_was_closed_costs_nobody_anything() {
    let server = Server::start(None);
    let store = opened(server.settings("keycard:")).await;
    let ticket = signed_in(&store).await;
    store.ping().await.unwrap();
    let shared = clients(&server).await;
    let worker = Worker::start();
    has_its_own(&worker, &store, &server, 1).await;
    for (id, _) in clients(&server).await.iter().filter(|client| client.0 != shared[0].0) {
        server.say::<i64>(cmd("CLIENT").arg("KILL").arg("ID").arg(id)).await;
    }
    assert!(worker.finds(&store, &ticket).await);
    let now = clients(&server).await;
    assert!(now.iter().any(|client| client.0 == shared[0].0), "the shared one is none the worse: {now:?}");
}

#[tokio::test]
async fn a_worker_never_asks_another_server_than_the_rest_of_the_house() {
    let (one, other) = (Server::start(None), Server::start(None));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let leads = Arc::new(AtomicU16::new(one.port()));
    let now = leads.clone();
    // An address that somebody else moves, as a balancer or a service of a cluster does; what is open stays.
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(("127.0.0.1", now.load(Ordering::SeqCst))).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let store = opened(one.settings_at(&url, "keycard:")).await;
    let ticket = signed_in(&store).await;
    leads.store(other.port(), Ordering::SeqCst);
    let worker = Worker::start();
    let came = || async {
        let stats: String = other.say(cmd("INFO").arg("commandstats")).await;
        stats.contains("cmdstat_role")
    };
    let begun = Instant::now();
    while !came().await {
        assert!(worker.finds(&store, &ticket).await);
        assert!(begun.elapsed() < Duration::from_secs(20), "it has not even tried");
    }
    for _ in 0..100 {
        assert!(worker.finds(&store, &ticket).await, "there is no such session at the other server");
    }
    let stats: String = other.say(cmd("INFO").arg("commandstats")).await;
    assert!(!stats.contains("cmdstat_hmget"), "{stats}");
}

#[tokio::test]
async fn a34_a_worker_leaves_a_master_that_was_replaced_though_it_answers() {
    let (old, new) = pair();
    let (sentinel, named) = someone_who_names(old.port()).await;
    let store = opened(behind(&old, vec![sentinel])).await;
    let ticket = signed_in(&store).await;
    store.ping().await.unwrap();
    let before = clients(&old).await.len();
    let worker = Worker::start();
    let begun = Instant::now();
    while clients(&old).await.len() == before {
        worker.pings(&store).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "it never has a connection of its own");
    }
    new.tell::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"));
    new.tell::<i64>(cmd("DEL").arg(new.entries("keycard:s:").await.remove(0).key));
    named.store(new.port(), Ordering::SeqCst);
    let begun = Instant::now();
    // Its connection is as good as ever: nothing is written on it, and nobody closes it.
    while worker.finds(&store, &ticket).await {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is never left");
    }
}

#[tokio::test]
async fn without_the_right_to_ask_who_answers_all_share_one_connection() {
    let server = Server::start(None);
    server
        .say::<()>(
            cmd("ACL")
                .arg("SETUSER")
                .arg("desk")
                .arg("on")
                .arg(">s3cret")
                .arg("~*")
                .arg("+@all")
                .arg("-info"),
        )
        .await;
    let url = format!("redis://desk:s3cret@127.0.0.1:{}/0", server.port());
    let store = opened(server.settings_at(&url, "keycard:")).await;
    let ticket = signed_in(&store).await;
    let worker = Worker::start();
    for _ in 0..50 {
        assert!(worker.finds(&store, &ticket).await);
    }
    assert_eq!(clients(&server).await.len(), 1);
}

#[tokio::test]
async fn a34_nobody_pays_when_all_connections_are_closed_at_once() {
    let server = Server::start(None);
    let store = opened(server.settings("keycard:")).await;
    let ticket = signed_in(&store).await;
    store.ping().await.unwrap();
    let worker = Worker::start();
    has_its_own(&worker, &store, &server, 1).await;
    for (id, _) in clients(&server).await {
        server.say::<i64>(cmd("CLIENT").arg("KILL").arg("ID").arg(id)).await;
    }
    assert!(worker.finds(&store, &ticket).await);
}

#[tokio::test]
async fn a34_a_workers_connection_that_was_forgotten_without_a_word_costs_neither_a_request_nor_the_shared_one()
 {
    let server = Server::start(None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (hush, hushed) = tokio::sync::watch::channel(false);
    let port = server.port();
    // The second one that comes is the worker's. When told to, nothing passes on it, and nobody hangs up.
    tokio::spawn(async move {
        for number in 1.. {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let mut hushed = hushed.clone();
            tokio::spawn(async move {
                let told = async {
                    if number == 2 { drop(hushed.wait_for(|told| *told).await) } else { pending().await }
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    () = told => pending().await,
                }
            });
        }
    });
    let settings = RedisSettings { timeout: Duration::from_secs(1), ..server.settings_at(&url, "keycard:") };
    let store = opened(settings).await;
    store.ping().await.unwrap();
    let shared = clients(&server).await;
    let worker = Worker::start();
    has_its_own(&worker, &store, &server, 1).await;
    hush.send_replace(true);
    worker.pings(&store).await;
    store.ping().await.unwrap();
    let now = clients(&server).await;
    assert!(now.iter().any(|client| client.0 == shared[0].0), "the shared one is none the worse: {now:?}");
}

#[tokio::test]
async fn a_workers_connection_that_was_idle_for_long_is_made_anew() {
    let server = Server::start(None);
    let store = opened(server.settings("keycard:")).await;
    store.ping().await.unwrap();
    let shared = clients(&server).await[0].0;
    let worker = Worker::start();
    has_its_own(&worker, &store, &server, 1).await;
    let own = || async { clients(&server).await.into_iter().map(|client| client.0).find(|id| *id != shared) };
    let before = own().await;
    worker.pings(&store).await;
    assert_eq!(own().await, before);
    worker
        .does(async {
            tokio::time::pause();
            tokio::time::advance(super::IDLE).await;
            tokio::time::resume();
        })
        .await;
    let begun = Instant::now();
    while own().await.is_none_or(|id| Some(id) == before) {
        worker.pings(&store).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "it is never made anew");
    }
}

#[tokio::test]
async fn a_server_that_tells_of_itself_in_its_own_way_is_used_over_one_connection() {
    for says in
        [b"*1\r\n$6\r\nserver\r\n".as_slice(), b"$4\r\n\xff\xfe\xfd\xfc\r\n", b"$12\r\nrun_id:     \r\n"]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/0", listener.local_addr().unwrap());
        let came = Arc::new(AtomicU16::new(0));
        let counted = came.clone();
        // No Redis, but like one: it has no ROLE, its own idea of INFO, and answers PING.
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut question = [0; 1024];
                    while let Ok(length @ 1..) = stream.read(&mut question).await {
                        let asked = String::from_utf8_lossy(&question[..length]).to_ascii_uppercase();
                        let answer = match () {
                            () if asked.contains("INFO") => says,
                            () if asked.contains("PING") => b"+PONG\r\n",
                            () => b"-ERR unknown command\r\n",
                        };
                        if stream.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let store = opened(Server::reserved(None).settings_at(&url, "keycard:")).await;
        store.ping().await.unwrap();
        let worker = Worker::start();
        for _ in 0..20 {
            worker.pings(&store).await;
        }
        assert_eq!(came.load(Ordering::SeqCst), 1);
    }
}
