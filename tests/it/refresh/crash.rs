//! A gateway that is killed between the answer and the writing, and one that is stopped for too long (R45, A35).
//!
//! I own: the tests with real processes, on the clock of this machine; the provider's clock is set by it. The store is
//! frozen before the provider answers, so that the answer arrives and cannot be written down.

use super::{api, seconds};
use crate::it::house::browser::Browser;
use crate::it::house::clock::ManualClock;
use crate::it::house::gateway::{ORIGIN, TestGateway};
use crate::it::house::patience::until;
use crate::it::house::provider::Provider;
use crate::it::house::provider::script::{Canned, Place};
use crate::it::house::raw::Connection;
use crate::it::house::setting::usual_plan;
use crate::it::house::upstream::Upstream;
use crate::it::stores::Redis;
use keycard::app::SystemClock;
use keycard::ports::Clock as _;
use serde_json::json;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A gateway in a process of its own.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(config: &str, address: SocketAddr, folder: &TempDir) -> Self {
        let path = folder.path().join(format!("{}.toml", address.port()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
        std::io::Write::write_all(&mut file, config.as_bytes()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_keycard"))
            .args(["serve", "--config", path.to_str().unwrap()])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self { child, address };
        until("the gateway listens", || TcpStream::connect(address).is_ok());
        process
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Scene {
    /// The provider's `timeout`.
    timeout: &'static str,
    clock: ManualClock,
    provider: Provider,
    redis: Redis,
    upstream: Upstream,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self::with_timeout("3s")
    }

    fn with_timeout(timeout: &'static str) -> Self {
        let clock = ManualClock::new();
        // The processes have the clock of this machine; sign-ins are judged by it.
        let now = SystemClock.now();
        clock.advance(now.since(clock.now()));
        let provider = Provider::start(&clock);
        // Over when it comes: every request needs another one.
        provider.bend_token(|answer| answer["expires_in"] = json!(0));
        provider.bend_refreshed(|answer| answer["expires_in"] = json!(300));
        Self {
            timeout,
            clock,
            provider,
            redis: Redis::start(),
            upstream: Upstream::start(),
            folder: TempDir::new().unwrap(),
        }
    }

    fn process(&self) -> Process {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut plan = usual_plan(&self.upstream);
        plan.provider("corp", &self.provider, &format!("timeout = {:?}", self.timeout));
        plan.store_redis(&self.redis.url());
        Process::start(&plan.text_for(address), address, &self.folder)
    }

    /// Another gateway, at the moment at which the lease and the mark of the one before are over.
    fn heir(&self) -> TestGateway {
        let mut plan = usual_plan(&self.upstream);
        plan.provider("corp", &self.provider, "timeout = \"3s\"");
        plan.store_redis(&self.redis.url());
        self.clock.advance(SystemClock.now().since(self.clock.now()) + seconds(35));
        assert_eq!(self.redis.end_leases(), ":1");
        plan.start(&self.clock)
    }

    /// The time-out is short here, and the machine may be busy: a sign-in that takes too long is tried again.
    fn signed_in(process: &Process) -> Browser {
        let mut browser = Browser::new(ORIGIN, process.address);
        until("somebody is signed in", || browser.navigate("/").answer.status == 200);
        browser
    }
}

/// Two processes, and no clock but that of this machine: nobody ends a lease here but time.
#[test]
fn r45_two_processes_a_holder_stopped_past_its_lease_costs_nobody_anything() {
    let scene = Scene::with_timeout("1s");
    let (sleeper, heir) = (scene.process(), scene.process());
    let browser = Scene::signed_in(&sleeper);
    // Refresh tokens that are not rotated: the sleeper will come back with tokens as good as those of its heir.
    scene.provider.script(|script| script.keeps_refresh_tokens = true);
    let gate = scene.provider.hold(Place::Refresh);
    let mut connection = ask(&browser, &sleeper);
    gate.wait_for(1);
    sleeper.signal("STOP");
    scene.provider.script(|script| script.gates.clear());
    let mut there = Browser::new(ORIGIN, heir.address);
    there.jar = browser.jar.clone();
    assert_eq!(there.fetch("GET", "/x", &[], b"").status, 200);
    assert_eq!(api(&mut there).status, 503, "the lease is waited out");
    assert_eq!(scene.provider.count(Place::Refresh), 1);
    // 2 times 1 s for the call, 20 s for the writing, 5 s besides.
    until_slowly("the heir has taken over", || api(&mut there).status == 200);
    assert_eq!(scene.provider.count(Place::Refresh), 2);
    let token = || scene.upstream.last().head.header("authorization").unwrap_or_default().to_owned();
    let kept = token();
    gate.open();
    sleeper.signal("CONT");
    drop(connection.rest());
    for process in [&sleeper, &heir] {
        let mut browser = Browser::new(ORIGIN, process.address);
        browser.jar = there.jar.clone();
        assert_eq!(browser.fetch("GET", "/x", &[], b"").status, 200, "the person is still there");
        assert_eq!(api(&mut browser).status, 200);
        assert_eq!(token(), kept, "what the heir wrote stays");
    }
    assert_eq!(scene.provider.count(Place::Refresh), 2);
    assert_eq!(scene.provider.complaints(), Vec::<String>::new());
}

/// As [`until`], for what takes as long as a lease.
fn until_slowly(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + seconds(90);
    while !holds() {
        assert!(std::time::Instant::now() < end, "it never happened: {what}");
    }
}

/// Asks for something that needs a token, and does not wait for the answer.
fn ask(browser: &Browser, process: &Process) -> Connection {
    let url = browser.url("/api/x");
    let bytes = browser.write("GET", &url, &[("Sec-Fetch-Site", "same-origin")], b"", true);
    let mut connection = Connection::open(process.address);
    connection.write(&bytes);
    connection
}

#[test]
fn r45_a35_killed_between_the_answer_and_the_writing_the_person_stays_and_the_token_is_lost() {
    let scene = Scene::new();
    let victim = scene.process();
    let browser = Scene::signed_in(&victim);
    let gate = scene.provider.hold(Place::Refresh);
    let connection = ask(&browser, &victim);
    gate.wait_for(1);
    scene.redis.signal("STOP");
    gate.open();
    // Long enough for the answer to arrive, not for the store to be given up.
    let answered = std::time::Instant::now();
    until("a second has passed", || answered.elapsed() > seconds(1));
    victim.signal("KILL");
    drop(connection);
    drop(victim);
    scene.redis.signal("CONT");
    // Whoever comes next waits the mark out. The clock of the next gateway is the test's.
    let mut plan = usual_plan(&scene.upstream);
    plan.provider("corp", &scene.provider, "timeout = \"3s\"");
    plan.store_redis(&scene.redis.url());
    scene.clock.advance(SystemClock.now().since(scene.clock.now()));
    let heir = plan.start(&scene.clock);
    let mut there = heir.browser();
    there.jar = browser.jar.clone();
    assert_eq!(there.fetch("GET", "/x", &[], b"").status, 200);
    assert_eq!(scene.provider.count(Place::Refresh), 1);
    // 2 times 3 s for the call, 20 s for the writing, 5 s besides: that long it is waited out.
    assert_eq!(scene.redis.end_leases(), ":1");
    scene.clock.advance(seconds(20));
    assert_eq!(api(&mut there).status, 503, "the mark alone is waited out");
    assert_eq!(scene.provider.count(Place::Refresh), 1);
    scene.clock.advance(seconds(15));
    assert_eq!(api(&mut there).status, 401, "the token is lost");
    assert_eq!(scene.provider.complaints(), ["the refresh token was used before"]);
    assert_eq!(there.fetch("GET", "/x", &[], b"").status, 200, "the person is not");
    assert_eq!(scene.provider.count(Place::Refresh), 2);
    let page = there.navigate("/api/x");
    assert_eq!(page.answer.status, 200, "{}", page.way());
}

#[test]
fn r45_a_holder_that_was_stopped_past_its_lease_ends_nothing() {
    let scene = Scene::new();
    let sleeper = scene.process();
    let browser = Scene::signed_in(&sleeper);
    // What the sleeper is going to hear: that its token is used up.
    let json = vec![("Content-Type", "application/json".to_owned())];
    scene.provider.can(Place::Refresh, Canned::Reply(400, json, br#"{"error":"invalid_grant"}"#.to_vec()));
    let gate = scene.provider.hold(Place::Refresh);
    let mut connection = ask(&browser, &sleeper);
    gate.wait_for(1);
    sleeper.signal("STOP");
    scene.provider.script(|script| script.canned.clear());
    gate.open();
    let heir = scene.heir();
    let mut there = heir.browser();
    there.jar = browser.jar.clone();
    assert_eq!(api(&mut there).status, 200);
    sleeper.signal("CONT");
    drop(connection.rest());
    assert_eq!(there.fetch("GET", "/x", &[], b"").status, 200, "the person is still there");
    assert_eq!(api(&mut there).status, 200, "and so is the token");
    assert_eq!(scene.provider.count(Place::Refresh), 2);
}

#[test]
fn r45_a_holder_that_was_stopped_past_its_lease_overwrites_nothing() {
    let scene = Scene::new();
    let sleeper = scene.process();
    let browser = Scene::signed_in(&sleeper);
    // Refresh tokens that can be used twice: the one who comes later gets good tokens too.
    scene.provider.script(|script| script.keeps_refresh_tokens = true);
    let gate = scene.provider.hold(Place::Refresh);
    let mut connection = ask(&browser, &sleeper);
    gate.wait_for(1);
    sleeper.signal("STOP");
    gate.open();
    let heir = scene.heir();
    let mut there = heir.browser();
    there.jar = browser.jar.clone();
    assert_eq!(api(&mut there).status, 200);
    assert_eq!(scene.provider.count(Place::Refresh), 2);
    let token = || scene.upstream.last().head.header("authorization").unwrap_or_default().to_owned();
    let kept = token();
    sleeper.signal("CONT");
    // The sleeper answers its request one way or the other, after it has tried to write.
    drop(connection.rest());
    assert_eq!(api(&mut there).status, 200);
    assert_eq!(token(), kept, "what was written last stays");
    assert_eq!(scene.provider.count(Place::Refresh), 2);
    assert_eq!(scene.provider.complaints(), Vec::<String>::new());
}
