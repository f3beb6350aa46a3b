//! A real Redis Cluster for tests: three masters, each with a replica.
//!
//! I own: [`Cluster`], child processes on free ports of the loopback, and what an operator does to them. I never wait for
//! a length of time: each wait is for an answer that a server gives, and has a bound.

use super::{Entry, entries_of};
use crate::config::RedisSettings;
use crate::store::redis::cluster::map::own;
use crate::store::redis::cluster::slot::slot;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisResult, cmd};
use secrecy::SecretString;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For tests on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(90);

/// After so long without an answer, servers take another one for dead.
pub(in crate::store) const NODE_TIMEOUT_MS: u32 = 2000;

/// The same where nobody dies, on a machine that is too busy to answer.
const PATIENT_MS: u32 = 15_000;

/// A Redis Cluster; its servers end when this is dropped.
pub(in crate::store) struct Cluster {
    pub(in crate::store) nodes: Vec<Server>,
    tls: Option<TempDir>,
    _directory: TempDir,
}

/// One server of it.
pub(in crate::store) struct Server {
    pub(in crate::store) port: u16,
    running: Mutex<Option<(Child, BufReader<ChildStdout>)>>,
}

impl Server {
    fn start(port: u16, node_timeout_ms: u32, directory: &Path, tls: Option<&Path>) -> Option<Self> {
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--cluster-enabled", "yes"])
            .args(["--cluster-node-timeout", &node_timeout_ms.to_string()])
            .args(["--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0"])
            .args(["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"])
            .args(["--cluster-port", &bus(port).to_string()])
            .args(["--cluster-config-file", &format!("nodes-{port}.conf")])
            .arg("--dir")
            .arg(directory);
        match tls {
            None => command.args(["--port", &port.to_string()]),
            Some(files) => command
                .args(["--port", "0", "--tls-port", &port.to_string(), "--tls-auth-clients", "no"])
                .args(["--tls-cluster", "yes", "--tls-replication", "yes"])
                .arg("--tls-ca-cert-file")
                .arg(files.join("ca.pem"))
                .arg("--tls-cert-file")
                .arg(files.join("cert.pem"))
                .arg("--tls-key-file")
                .arg(files.join("key.pem")),
        };
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need redis-server (Debian: apt install redis-server)");
        let mut log = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while log.read_line(&mut line).unwrap() > 0 {
            if line.contains("Ready to accept connections") {
                return Some(Self { port, running: Mutex::new(Some((process, log))) });
            }
            line.clear();
        }
        process.wait().unwrap();
        None
    }

    /// Kills it as `kill -9` does.
    pub(in crate::store) fn kill(&self) {
        if let Some((mut process, _)) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops it in the middle of whatever it does (`-STOP`), or lets it go on (`-CONT`).
    pub(in crate::store) fn signal(&self, signal: &str) {
        let running = self.running.lock().unwrap();
        let process = running.as_ref().unwrap().0.id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Cluster {
    /// The cluster that all tests of this process share while any of them runs. Nobody may kill its servers.
    pub(in crate::store) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::patient(None));
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    /// A cluster of one's own in which servers may die.
    pub(in crate::store) fn start() -> Self {
        Self::of(NODE_TIMEOUT_MS, None)
    }

    /// A cluster of one's own; with a directory that holds `ca.pem`, `cert.pem` and `key.pem`, over TLS only.
    pub(in crate::store) fn patient(tls: Option<TempDir>) -> Self {
        Self::of(PATIENT_MS, tls)
    }

    fn of(node_timeout_ms: u32, tls: Option<TempDir>) -> Self {
        let directory = TempDir::new().unwrap();
        let files = tls.as_ref().map(TempDir::path);
        let mut nodes: Vec<Server> = Vec::new();
        for _ in 0..30 {
            if nodes.len() == 6 {
                break;
            }
            // Somebody may take the port in between.
            nodes.extend(Server::start(free_port(), node_timeout_ms, directory.path(), files));
        }
        assert_eq!(nodes.len(), 6, "the servers do not start");
        let cluster = Self { nodes, tls, _directory: directory };
        let addresses = cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let mut words: Vec<String> = vec!["--cluster".into(), "create".into()];
        words.extend(addresses);
        words.extend(["--cluster-replicas", "1", "--cluster-yes"].map(String::from));
        cluster.cli(&words);
        let begun = Instant::now();
        for node in &cluster.nodes {
            let info = ["-p", &node.port.to_string(), "CLUSTER", "INFO"].map(String::from);
            while !cluster.cli(&info).contains("cluster_state:ok") {
                assert!(begun.elapsed() < LONG, "the cluster does not come up");
            }
        }
        cluster
    }

    /// `redis-cli`, with the certificates where there are any.
    pub(in crate::store) fn cli(&self, words: &[String]) -> String {
        let mut command = Command::new("redis-cli");
        if let Some(files) = &self.tls {
            command.arg("--tls").arg("--cacert").arg(files.path().join("ca.pem"));
        }
        let output = command.args(words).stdin(Stdio::null()).output().expect("these tests need redis-cli");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "redis-cli {words:?}: {said}");
        said
    }

    /// The settings of whoever knows two of the servers.
    pub(in crate::store) fn settings(&self, prefix: &str) -> RedisSettings {
        self.settings_for("", prefix)
    }

    /// The same for a user, `name:password@`.
    pub(in crate::store) fn settings_for(&self, user: &str, prefix: &str) -> RedisSettings {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let [one, two] = [0, 1].map(|at| format!("127.0.0.1:{}", self.nodes[at].port));
        let url = SecretString::from(format!("{scheme}+cluster://{user}{one},{two}"));
        let ca_pem = self.tls.as_ref().map(|files| std::fs::read(files.path().join("ca.pem")).unwrap());
        RedisSettings::new(url, prefix.into(), TIMEOUT, ca_pem)
    }

    async fn connection(&self, node: &Server) -> RedisResult<MultiplexedConnection> {
        assert!(self.tls.is_none(), "an operator of these tests speaks in clear");
        let client = Client::open(format!("redis://127.0.0.1:{}", node.port))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(TIMEOUT));
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Carries out a command on one server.
    pub(in crate::store) async fn say<T: FromRedisValue>(
        &self,
        node: &Server,
        command: &Cmd,
    ) -> RedisResult<T> {
        command.query_async(&mut self.connection(node).await?).await
    }

    /// Carries out several on one connection.
    pub(in crate::store) async fn say_all<T: FromRedisValue>(
        &self,
        node: &Server,
        commands: &Pipeline,
    ) -> RedisResult<T> {
        commands.query_async(&mut self.connection(node).await?).await
    }

    /// Those that own slots.
    pub(in crate::store) async fn masters(&self) -> Vec<usize> {
        let mut masters = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let nodes: String = self.say(node, cmd("CLUSTER").arg("NODES")).await.unwrap();
            if !own(&nodes).slots.is_empty() {
                masters.push(at);
            }
        }
        masters
    }

    /// Carries out a command on all servers.
    pub(in crate::store) async fn say_to_all(&self, command: &Cmd) {
        for node in &self.nodes {
            self.say::<redis::Value>(node, command).await.unwrap();
        }
    }

    /// The server that owns the slot of this key, as itself and the others say.
    pub(in crate::store) async fn owner(&self, key: &str) -> usize {
        let begun = Instant::now();
        let slot = slot(key.as_bytes());
        loop {
            for (at, node) in self.nodes.iter().enumerate() {
                if self.is_running(at) && self.owns(node, slot).await {
                    return at;
                }
            }
            assert!(begun.elapsed() < LONG, "nobody owns slot {slot}");
            tokio::task::yield_now().await;
        }
    }

    fn is_running(&self, at: usize) -> bool {
        self.nodes[at].running.lock().unwrap().is_some()
    }

    async fn owns(&self, node: &Server, slot: u16) -> bool {
        let Ok(nodes) = self.say::<String>(node, cmd("CLUSTER").arg("NODES")).await else { return false };
        own(&nodes).slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }

    /// The name that the servers have for each other.
    pub(in crate::store) async fn id(&self, at: usize) -> String {
        self.say(&self.nodes[at], cmd("CLUSTER").arg("MYID")).await.unwrap()
    }

    /// Waits until another server than this one owns the slot of the key; which one.
    pub(in crate::store) async fn successor(&self, key: &str, of: usize) -> usize {
        let begun = Instant::now();
        let slot = slot(key.as_bytes());
        loop {
            for (at, node) in self.nodes.iter().enumerate().filter(|(at, _)| *at != of) {
                if self.is_running(at) && self.owns(node, slot).await {
                    return at;
                }
            }
            assert!(begun.elapsed() < LONG, "nobody takes over slot {slot}");
            tokio::task::yield_now().await;
        }
    }

    /// Everything under a prefix, on all masters.
    pub(in crate::store) async fn entries(&self, prefix: &str) -> Vec<Entry> {
        let mut all = Vec::new();
        for node in &self.nodes {
            let mut connection = self.connection(node).await.unwrap();
            let role: redis::Value = cmd("ROLE").query_async(&mut connection).await.unwrap();
            let redis::Value::Array(role) = role else { continue };
            if role.first() == Some(&redis::Value::BulkString(b"master".to_vec())) {
                all.extend(entries_of(&mut connection, prefix).await);
            }
        }
        all
    }
}

fn bus(port: u16) -> u16 {
    port + 1
}

/// A port that is free, and the one behind it.
fn free_port() -> u16 {
    loop {
        let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = one.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind((Ipv4Addr::LOCALHOST, bus(port))).is_ok() {
            return port;
        }
    }
}
