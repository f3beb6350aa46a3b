//! A real master with two replicas, watched by three real sentinels, for tests.
//!
//! I own: [`Watched`], six child processes on free ports of the loopback, and what an operator does to them. I never wait
//! for a length of time: each of them says when it is so far.

use super::{Server, free_port};
use crate::config::{RedisSettings, SentinelSettings, WaitSettings};
use redis::{Cmd, FromRedisValue, Role, TlsCertificates, cmd};
use secrecy::SecretString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The name that the sentinels have for the master.
const NAME: &str = "mymaster";

/// For a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Servers and sentinels; all end when this is dropped.
pub(in crate::store) struct Watched {
    /// Before the servers: they would see those die.
    sentinels: Vec<Sentinel>,
    pub(in crate::store) servers: Vec<Server>,
    plan: Plan,
}

/// How they are set up.
#[derive(Default)]
pub(in crate::store) struct Plan {
    /// `ca.pem`, `cert.pem` and `key.pem` for all of them.
    pub(in crate::store) tls: Option<TempDir>,
    /// What users there are at the servers besides the default one, as ACL rules.
    pub(in crate::store) users: Vec<String>,
    /// User, password and rights at the sentinels, where the default user may do nothing then.
    pub(in crate::store) guard: Option<(&'static str, &'static str, &'static str)>,
}

struct Sentinel {
    port: u16,
    process: Mutex<Option<(Child, BufReader<ChildStdout>)>>,
    directory: TempDir,
}

impl Watched {
    /// The ones that all tests of this process share while any of them runs.
    pub(in crate::store) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Watched>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let watched = Arc::new(Self::start(Plan::default()));
            *shared = Arc::downgrade(&watched);
            watched
        })
    }

    /// Ones of one's own: the first server is the master.
    pub(in crate::store) fn start(plan: Plan) -> Self {
        let tls = || plan.tls.as_ref().map(|files| copied(files.path()));
        let servers: Vec<Server> = (0..3).map(|_| Server::start(tls())).collect();
        let mut watched = Self { sentinels: Vec::new(), servers, plan };
        for server in &watched.servers {
            watched.set_up(server);
        }
        let master = watched.servers[0].port();
        for replica in &watched.servers[1..] {
            watched.tell::<()>(replica, cmd("REPLICAOF").arg("127.0.0.1").arg(master));
        }
        until("the replicas are there", || watched.replicas(&watched.servers[0]) == Some(2));
        watched.sentinels = (0..3).map(|_| Sentinel::start(master, &watched.plan)).collect();
        until("the sentinels know each other", || {
            watched.sentinels.iter().all(|sentinel| {
                let known = |what: &str| {
                    let listed: Option<Vec<redis::Value>> =
                        sentinel.ask(&watched.plan, cmd("SENTINEL").arg(what).arg(NAME));
                    listed.map_or(0, |listed| listed.len())
                };
                known("sentinels") == 2 && known("replicas") == 2
            })
        });
        watched
    }

    fn set_up(&self, server: &Server) {
        let set =
            |key: &str, value: &str| self.tell::<()>(server, cmd("CONFIG").arg("SET").arg(key).arg(value));
        set("repl-diskless-sync-delay", "0");
        if self.plan.tls.is_some() {
            set("tls-replication", "yes");
        }
        for user in &self.plan.users {
            let mut command = cmd("ACL");
            command.arg("SETUSER");
            user.split_whitespace().for_each(|word| {
                command.arg(word);
            });
            self.tell::<()>(server, &command);
        }
    }

    pub(in crate::store) fn settings(&self, prefix: &str) -> RedisSettings {
        self.settings_at("", &self.addresses(), prefix)
    }

    /// Where the sentinels are.
    pub(in crate::store) fn addresses(&self) -> Vec<(String, u16)> {
        self.sentinels.iter().map(|sentinel| ("127.0.0.1".to_owned(), sentinel.port)).collect()
    }

    /// With a login (`user:password@`, or nothing) for the servers.
    pub(in crate::store) fn settings_at(
        &self,
        login: &str,
        addresses: &[(String, u16)],
        prefix: &str,
    ) -> RedisSettings {
        let scheme = if self.plan.tls.is_some() { "rediss" } else { "redis" };
        let settings = self.servers[0].settings_at(&format!("{scheme}://{login}master.invalid/0"), prefix);
        let (user, password) = self.plan.guard.map(|(user, password, _)| (user, password)).unzip();
        let sentinel = SentinelSettings {
            addresses: addresses.to_vec(),
            master: NAME.to_owned(),
            user: user.map(str::to_owned),
            password: password.map(SecretString::from),
        };
        // For a busy machine.
        let wait = WaitSettings { replicas: None, at_most: Duration::from_secs(1) };
        RedisSettings { sentinel: Some(sentinel), timeout: Duration::from_secs(2), wait, ..settings }
    }

    /// The server that this sentinel names.
    fn named_by(&self, sentinel: &Sentinel) -> Option<&Server> {
        let mut question = cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(NAME);
        let (_, port): (String, u16) = sentinel.ask(&self.plan, &question)?;
        self.servers.iter().find(|server| server.port() == port)
    }

    /// The master, once all sentinels that answer say the same and it says so too.
    pub(in crate::store) fn master(&self) -> &Server {
        let mut found = None;
        until("there is a master", || {
            let named: Vec<_> =
                self.sentinels.iter().filter_map(|sentinel| self.named_by(sentinel)).collect();
            found = named.first().copied();
            found.is_some_and(|first| {
                named.iter().all(|other| other.port() == first.port()) && self.replicas(first).is_some()
            })
        });
        found.unwrap()
    }

    /// How many replicas a server says that it has; `None` where it is no master, or down.
    fn replicas(&self, server: &Server) -> Option<usize> {
        replicas_in(self.try_tell(server, &cmd("ROLE"))?)
    }

    /// Kills the sentinel at this place.
    pub(in crate::store) fn kill_sentinel(&self, at: usize) {
        self.sentinels[at].kill();
    }

    /// Stops a sentinel in the middle of whatever it does: it takes connections, and says nothing.
    pub(in crate::store) fn freeze_sentinel(&self, at: usize) {
        let process = self.sentinels[at].process.lock().unwrap().as_ref().unwrap().0.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &process]).status().unwrap().success());
    }

    /// Has another server take over, without any being down; the old master becomes a replica.
    pub(in crate::store) fn hand_over(&self) {
        let before = self.master().port();
        let said: Option<()> = self.sentinels[0].ask(&self.plan, cmd("SENTINEL").arg("FAILOVER").arg(NAME));
        assert!(said.is_some());
        until("another one is the master", || self.master().port() != before);
    }

    /// Carries out a command at a server, as an operator.
    pub(in crate::store) fn tell<T: FromRedisValue>(&self, server: &Server, command: &Cmd) -> T {
        self.try_tell(server, command).unwrap()
    }

    fn try_tell<T: FromRedisValue>(&self, server: &Server, command: &Cmd) -> Option<T> {
        ask(server.port(), self.plan.tls.as_ref(), "", command)
    }
}

impl Server {
    /// Carries out a command, without TLS, before anything else goes on.
    pub(in crate::store) fn tell<T: FromRedisValue>(&self, command: &Cmd) -> T {
        ask(self.port, None, "", command).unwrap()
    }

    /// Waits until so many replicas are up to date.
    pub(in crate::store) fn until_replicated(&self, replicas: usize) {
        until("the replicas are there", || replicas_in(self.tell(&cmd("ROLE"))) == Some(replicas));
    }
}

fn replicas_in(role: Role) -> Option<usize> {
    match role {
        Role::Primary { replicas, .. } => Some(replicas.len()),
        _ => None,
    }
}

impl Sentinel {
    fn start(master: u16, plan: &Plan) -> Self {
        // Somebody may have taken the port in between.
        for _ in 0..5 {
            let (port, directory) = (free_port(), TempDir::new().unwrap());
            let file = directory.path().join("sentinel.conf");
            fs::write(&file, configuration(port, master, directory.path(), plan)).unwrap();
            let mut process = Command::new("redis-server")
                .arg(&file)
                .arg("--sentinel")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("these tests need redis-server (Debian: apt install redis-server)");
            let mut log = BufReader::new(process.stdout.take().unwrap());
            let mut line = String::new();
            while log.read_line(&mut line).unwrap() > 0 {
                if line.contains("+monitor master") {
                    let sentinel = Self { port, process: Mutex::new(Some((process, log))), directory };
                    // Sentinels find each other by what they publish, every two seconds unless told otherwise.
                    until("a sentinel answers", || {
                        let mut command = cmd("SENTINEL");
                        command.arg("DEBUG").arg("PUBLISH-PERIOD").arg(200);
                        sentinel.ask::<()>(plan, &command).is_some()
                    });
                    return sentinel;
                }
                line.clear();
            }
            process.wait().unwrap();
        }
        panic!("redis-server --sentinel does not start");
    }

    fn ask<T: FromRedisValue>(&self, plan: &Plan, command: &Cmd) -> Option<T> {
        // Whoever runs them has rights of their own.
        let login = if plan.guard.is_some() { "operator:operator@" } else { "" };
        ask(self.port, plan.tls.as_ref(), login, command)
    }

    fn kill(&self) {
        if let Some((mut process, _)) = self.process.lock().unwrap_or_else(PoisonError::into_inner).take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(self.directory.path());
    }
}

fn configuration(port: u16, master: u16, directory: &Path, plan: &Plan) -> String {
    let mut lines = vec![
        "bind 127.0.0.1".to_owned(),
        format!("dir {}", directory.display()),
        format!("sentinel monitor {NAME} 127.0.0.1 {master} 2"),
        format!("sentinel down-after-milliseconds {NAME} 500"),
        format!("sentinel failover-timeout {NAME} 3000"),
        format!("sentinel parallel-syncs {NAME} 2"),
    ];
    match &plan.tls {
        None => lines.push(format!("port {port}")),
        Some(files) => {
            let file = |name: &str| files.path().join(name).display().to_string();
            lines.extend([
                "port 0".to_owned(),
                format!("tls-port {port}"),
                "tls-auth-clients no".to_owned(),
                "tls-replication yes".to_owned(),
                format!("tls-ca-cert-file {}", file("ca.pem")),
                format!("tls-cert-file {}", file("cert.pem")),
                format!("tls-key-file {}", file("key.pem")),
            ]);
        }
    }
    if let Some((user, password, rights)) = plan.guard {
        lines.extend([
            "user operator on >operator allchannels +@all".to_owned(),
            format!("user {user} on >{password} {rights}"),
            "user default off".to_owned(),
            "sentinel sentinel-user operator".to_owned(),
            "sentinel sentinel-pass operator".to_owned(),
        ]);
    }
    lines.join("\n") + "\n"
}

/// The same files once more: each server removes its own.
fn copied(from: &Path) -> TempDir {
    let directory = TempDir::new().unwrap();
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(from.join(name), directory.path().join(name)).unwrap();
    }
    directory
}

/// One question on a connection of its own; `None` where there is no answer.
fn ask<T: FromRedisValue>(port: u16, tls: Option<&TempDir>, login: &str, command: &Cmd) -> Option<T> {
    let client = match tls {
        None => redis::Client::open(format!("redis://{login}127.0.0.1:{port}/0")),
        Some(files) => {
            let root_cert = Some(fs::read(files.path().join("ca.pem")).unwrap());
            let roots = TlsCertificates { client_tls: None, root_cert };
            redis::Client::build_with_tls(format!("rediss://{login}127.0.0.1:{port}"), roots)
        }
    };
    let mut connection = client.unwrap().get_connection_with_timeout(Duration::from_secs(1)).ok()?;
    connection.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    command.query(&mut connection).ok()
}

/// Looks until it is so.
pub(in crate::store) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < LONG, "not in time: {what}");
        thread::park_timeout(LOOK);
    }
}
