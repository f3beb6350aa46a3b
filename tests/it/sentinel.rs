//! The gateway over a Redis that Sentinel watches: a master that is killed signs nobody out (A34), and `keycard check`
//! knows the way.
//!
//! I own: two servers and a sentinel on free ports. Where `redis-server` is missing these tests fail.

use super::check::{config, keycard};
use super::house::clock::ManualClock;
use super::house::patience::until;
use super::house::provider::Provider;
use super::house::raw::Connection;
use super::house::setting::Setting;
use super::house::upstream::Upstream;
use super::stores::Redis;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// A master with one replica, and a sentinel that decides alone.
struct Watched {
    sentinel: Child,
    _log: BufReader<ChildStdout>,
    _directory: TempDir,
    address: SocketAddr,
    master: Option<Redis>,
    replica: Redis,
}

impl Watched {
    fn start() -> Self {
        let (master, replica) = (Redis::start(), Redis::start());
        let port = master.address.port().to_string();
        master.say(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
        replica.say(&["REPLICAOF", "127.0.0.1", &port]);
        until("the replica is there", || {
            let has_all = ask(replica.address, &["INFO", "replication"]).contains("master_link_status:up");
            has_all && ask(master.address, &["ROLE"]).contains("127.0.0.1")
        });
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("sentinel.conf");
        let text = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n",
            address.port(),
            directory.path().display()
        );
        std::fs::write(&file, text).unwrap();
        let mut sentinel = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need the program redis-server");
        let mut log = BufReader::new(sentinel.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("+slave slave") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the sentinel does not start");
        }
        Self { sentinel, _log: log, _directory: directory, address, master: Some(master), replica }
    }

    fn url(&self) -> String {
        format!("redis+sentinel://{}/mymaster/0", self.address)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.sentinel.kill();
        let _ = self.sentinel.wait();
    }
}

/// What a server answers, as it comes over the wire.
fn ask(address: SocketAddr, words: &[&str]) -> String {
    let mut connection = Connection::to_stranger(address);
    let command: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    connection.write(format!("*{}\r\n{command}*1\r\n$4\r\nQUIT\r\n", words.len()).as_bytes());
    String::from_utf8_lossy(&connection.rest()).into_owned()
}

#[test]
fn a34_a_master_that_is_killed_signs_nobody_out() {
    let mut watched = Watched::start();
    let url = watched.url();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis_asked(&url);
        // For a busy machine: what is confirmed later than that may be lost.
        plan.session_extra("store_wait_timeout = \"5s\"");
    });
    let mut browser = setting.signed_in();
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200);
    assert_eq!(
        (counted(&setting, "confirmed"), counted(&setting, "short")),
        (2, 0),
        "the login that was taken, and the session"
    );
    drop(watched.master.take());
    let mut refused = 0;
    until("somebody is served again", || match browser.fetch("GET", "/", &[], b"").status {
        200 => true,
        // Nobody knows who that is; and nobody is told to sign in again.
        503 => {
            refused += 1;
            false
        }
        other => panic!("a {other} in a failover"),
    });
    assert!(ask(watched.replica.address, &["ROLE"]).contains("master"));
    assert!(refused > 0, "the master was asked when it was dead");
    // Those who come now are written down there.
    let mut next = setting.signed_in();
    assert_eq!(next.fetch("GET", "/", &[], b"").status, 200);
    assert!(counted(&setting, "short") >= 1, "nobody was left to confirm the second sign-in");
}

/// How many writes were confirmed, or not.
fn counted(setting: &Setting, result: &str) -> u64 {
    let metrics = setting.gateway.probe("/metrics").text();
    let name = format!("keycard_store_waits_total{{result=\"{result}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

#[test]
fn a_check_finds_the_master_and_says_what_replicas_confirm() {
    let watched = Watched::start();
    let (provider, upstream) = (Provider::start(&ManualClock::new()), Upstream::start());
    let app = format!("\"{}\"", upstream.url());
    let text = config(&provider, &watched.url(), &app);
    let text = text.replace("store_timeout = ", "store_wait_timeout = \"5s\"\nstore_timeout = ");
    let (said, code) = keycard(&["check", "--connect"], Some(&text), &[]);
    assert_eq!(code, 0, "{said}");
    let place = format!("redis+sentinel://{}/mymaster under keycard:", watched.address);
    assert!(said.contains(&place) && said.contains("replicas confirmed it"), "{said}");
    let text = config(&provider, &watched.url().replace("mymaster", "nobody"), &app);
    let (said, code) = keycard(&["check", "--connect"], Some(&text), &[]);
    assert!(code == 1 && said.contains("the sentinels watch no master of that name"), "{said}");
}
