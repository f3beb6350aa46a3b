//! Gateways over a real Redis Cluster (A34, R65): what `check --connect` says of one, and that an ending in one gateway is in
//! force in the other, wherever the session lies.
//!
//! I own: a cluster of three masters and three replicas. Where `redis-server` or `redis-cli` is missing these tests fail.

use super::check::{config, keycard};
use super::house::clock::ManualClock;
use super::house::patience::{LONG, until};
use super::house::provider::Provider;
use super::house::setting::{Setting, usual_plan};
use super::house::upstream::Upstream;
use super::near::{feed, holds, status};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// A Redis Cluster that dies with the test.
struct Cluster {
    nodes: Vec<(u16, Child)>,
    _folder: TempDir,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nodes: Vec<(u16, Child)> = (0..6).map(|_| node(&folder)).collect();
        let cluster = Self { nodes, _folder: folder };
        let begun = Instant::now();
        for (port, _) in &cluster.nodes {
            while !cluster.cli(*port, &["PING"]).contains("PONG") {
                assert!(begun.elapsed() < LONG, "redis-server does not listen");
            }
        }
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(cluster.nodes.iter().map(|(port, _)| format!("127.0.0.1:{port}")));
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        let said = create.output().expect("these tests need the program redis-cli");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
        for (port, _) in &cluster.nodes {
            while !cluster.cli(*port, &["CLUSTER", "INFO"]).contains("cluster_state:ok") {
                assert!(begun.elapsed() < 3 * LONG, "the cluster does not come up");
            }
            let is_replicated =
                |info: &str| info.contains("state=online") || info.contains("master_link_status:up");
            while !is_replicated(&cluster.cli(*port, &["INFO", "replication"])) {
                assert!(begun.elapsed() < 3 * LONG, "the replicas do not come up");
            }
        }
        cluster
    }

    fn cli(&self, port: u16, words: &[&str]) -> String {
        let said = Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output();
        String::from_utf8(said.expect("these tests need the program redis-cli").stdout).unwrap()
    }

    fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[0].0, self.nodes[5].0)
    }

    /// On how many servers there are session records.
    fn masters_with_records(&self) -> usize {
        let is_record = |line: &str| line.contains("s:{") && !line.contains("beat");
        let records =
            |port: u16| self.cli(port, &["KEYS", "*"]).lines().filter(|line| is_record(line)).count();
        let is_master = |port: u16| self.cli(port, &["ROLE"]).starts_with("master");
        self.nodes.iter().filter(|(port, _)| is_master(*port) && records(*port) > 0).count()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (_, process) in &mut self.nodes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn node(folder: &TempDir) -> (u16, Child) {
    // Free now, with the one behind it for the servers among themselves.
    let port = loop {
        let one = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = one.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            break port;
        }
    };
    let process = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--cluster-port", &(port + 1).to_string(), "--bind", "127.0.0.1"])
        .args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "15000",
        ])
        .args(["--cluster-config-file", &format!("nodes-{port}.conf")])
        .arg("--dir")
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("these tests need the program redis-server");
    (port, process)
}

#[test]
fn a34_r65_an_ending_reaches_the_other_gateway_wherever_the_session_lies() {
    let cluster = Cluster::start();
    let url = cluster.url();

    let (provider, upstream) = (Provider::start(&ManualClock::new()), Upstream::start());
    let app = format!("\"{}\"", upstream.url());
    // A replica that is late on a busy machine says so, and is asked again.
    until("a replica confirms", || {
        let (said, code) = keycard(&["check", "--connect"], Some(&config(&provider, &url, &app)), &[]);
        assert!(code == 0 && said.contains("ok      store") && said.contains(&url), "{said}");
        said.contains("and replicas confirmed it")
    });
    let numbered = config(&provider, &format!("{url}/1"), &app);
    let (said, code) = keycard(&["check", "--connect"], Some(&numbered), &[]);
    assert!(code == 64 && said.contains("a Redis cluster has only one"), "{said}");
    let alone = config(&provider, &format!("redis://127.0.0.1:{}", cluster.nodes[0].0), &app);
    let (said, code) = keycard(&["check", "--connect"], Some(&alone), &[]);
    assert!(code == 1 && said.contains("FAILED  store"), "{said}");

    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis(&url);
    });
    let mut plan = usual_plan(&setting.upstream);
    plan.operating = true;
    plan.provider("corp", &setting.provider, "userinfo = true");
    plan.store_redis(&url);
    let other = plan.start(&setting.clock);
    for gateway in [&setting.gateway, &other] {
        until("the feeds are up", || feed(gateway) == "up");
    }
    let mut people = Vec::new();
    while people.len() < 12 || cluster.masters_with_records() < 3 {
        assert!(people.len() < 60, "all sessions lie together");
        let here = setting.signed_in();
        let mut there = other.browser();
        there.jar = here.jar.clone();
        holds(&other, &mut there);
        people.push((here, there));
    }
    for (here, there) in &mut people {
        assert_eq!(here.fetch("POST", "/bff/logout", &[], b"").status, 200);
        until("the ending is in force", || status(there) != 200);
    }
}
