//! A real Redis server for tests, and a look at everything in it.
//!
//! I own: [`Server`], a child process on a free port of the loopback. I never wait for a length of time: the server
//! says when it is ready. A missing `redis-server` fails the tests (style rule 32).

use crate::config::RedisSettings;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, cmd};
use secrecy::SecretString;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tempfile::TempDir;

pub(in crate::store) mod cluster;
pub(in crate::store) mod sentinel;

/// For tests on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A Redis server; it ends when this is dropped.
pub(in crate::store) struct Server {
    port: u16,
    tls: Option<TempDir>,
    directory: TempDir,
    running: Mutex<Option<Running>>,
}

struct Running {
    process: Child,
    /// Kept open: the server goes on logging.
    _log: BufReader<ChildStdout>,
}

/// A key as Redis holds it.
pub(in crate::store) struct Entry {
    pub(in crate::store) key: Vec<u8>,
    /// Its parts: fields and values, members, or the value.
    pub(in crate::store) parts: Vec<Vec<u8>>,
    /// Its time to live in milliseconds; negative for none.
    pub(in crate::store) ttl: i64,
}

impl Server {
    /// The server that all tests of this process share while any of them runs.
    pub(in crate::store) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(None));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A server of one's own; with a directory that holds `ca.pem`, `cert.pem` and `key.pem`, over TLS only.
    pub(in crate::store) fn start(tls: Option<TempDir>) -> Self {
        let mut server = Self::reserved(tls);
        // Somebody may have taken the port in between.
        for _ in 0..5 {
            if server.resume() {
                return server;
            }
            server.port = free_port();
        }
        panic!("redis-server does not start");
    }

    /// A server that is down, with a port.
    pub(in crate::store) fn reserved(tls: Option<TempDir>) -> Self {
        Self { port: free_port(), tls, directory: TempDir::new().unwrap(), running: Mutex::new(None) }
    }

    /// Starts it on its port, empty, or with what was last saved (`SAVE`); whether that worked.
    pub(in crate::store) fn resume(&self) -> bool {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "notice"]);
        command.arg("--dir").arg(self.directory.path());
        match &self.tls {
            None => command.args(["--port", &port]),
            Some(files) => command
                .args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"])
                .arg("--tls-ca-cert-file")
                .arg(files.path().join("ca.pem"))
                .arg("--tls-cert-file")
                .arg(files.path().join("cert.pem"))
                .arg("--tls-key-file")
                .arg(files.path().join("key.pem")),
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
                *self.running.lock().unwrap() = Some(Running { process, _log: log });
                return true;
            }
            line.clear();
        }
        process.wait().unwrap();
        false
    }

    /// Kills it; everything in it is lost.
    pub(in crate::store) fn kill(&self) {
        if let Some(mut running) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take() {
            running.process.kill().unwrap();
            running.process.wait().unwrap();
        }
    }

    /// Stops it in the middle of whatever it does; its connections stay open, and nobody answers on them.
    pub(in crate::store) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(in crate::store) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let running = self.running.lock().unwrap();
        let process = running.as_ref().unwrap().process.id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }

    pub(in crate::store) fn port(&self) -> u16 {
        self.port
    }

    pub(in crate::store) fn settings(&self, prefix: &str) -> RedisSettings {
        self.settings_at(&format!("redis://127.0.0.1:{}/0", self.port), prefix)
    }

    /// For a process that did not start it.
    pub(in crate::store) fn settings_on(port: u16, prefix: &str) -> RedisSettings {
        let url = SecretString::from(format!("redis://127.0.0.1:{port}/0"));
        RedisSettings::new(url, prefix.into(), TIMEOUT, None)
    }

    pub(in crate::store) fn settings_at(&self, url: &str, prefix: &str) -> RedisSettings {
        let ca_pem = self.tls.as_ref().map(|files| std::fs::read(files.path().join("ca.pem")).unwrap());
        RedisSettings::new(SecretString::from(url), prefix.into(), TIMEOUT, ca_pem)
    }

    /// An operator's connection.
    async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/0", self.port)).unwrap();
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
    }

    /// Carries out a command as an operator.
    pub(in crate::store) async fn say<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut self.connection().await).await.unwrap()
    }

    /// Carries out several.
    pub(in crate::store) async fn say_all<T: FromRedisValue>(&self, commands: &redis::Pipeline) -> T {
        commands.query_async(&mut self.connection().await).await.unwrap()
    }

    /// Everything under a prefix.
    pub(in crate::store) async fn entries(&self, prefix: &str) -> Vec<Entry> {
        entries_of(&mut self.connection().await, prefix).await
    }
}

/// Everything under a prefix, on one server.
async fn entries_of(connection: &mut MultiplexedConnection, prefix: &str) -> Vec<Entry> {
    let keys: Vec<Vec<u8>> = cmd("KEYS").arg(format!("{prefix}*")).query_async(connection).await.unwrap();
    let mut entries = Vec::new();
    for key in keys {
        let kind: String = cmd("TYPE").arg(&key).query_async(connection).await.unwrap();
        let mut read = match kind.as_str() {
            "hash" => cmd("HGETALL"),
            "zset" => cmd("ZRANGE"),
            _ => cmd("GET"),
        };
        read.arg(&key);
        let parts = if kind == "zset" {
            read.arg(0).arg(-1).arg("WITHSCORES").query_async(connection).await.unwrap()
        } else if kind == "hash" {
            read.query_async(connection).await.unwrap()
        } else {
            vec![read.query_async::<Vec<u8>>(connection).await.unwrap()]
        };
        let ttl = cmd("PTTL").arg(&key).query_async(connection).await.unwrap();
        entries.push(Entry { key, parts, ttl });
    }
    entries
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
