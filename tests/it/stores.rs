//! The gateway over Redis and over its own file (R44, R47, R82, R88, A34): what a dump shows, what a restart keeps, what
//! an outage does, and what becomes of a record that nobody can read.
//!
//! I own: a `redis-server` of my own on a free port. Where that program is missing these tests fail, they do not skip:
//! a check that cannot find its input must not pass.

use super::house::browser::Browser;
use super::house::raw::Connection;
use super::house::setting::{Setting, usual_plan};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A Redis server that dies with the test.
pub(super) struct Redis {
    process: Child,
    pub(super) address: SocketAddr,
    /// Where it saves to.
    directory: TempDir,
}

impl Redis {
    pub(super) fn start() -> Self {
        // The port is free now, and nobody else takes it within the moment.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let directory = TempDir::new().unwrap();
        Self { process: Self::start_at(address, &directory), address, directory }
    }

    #[expect(clippy::zombie_processes, reason = "where it does not listen, the test ends with its process")]
    fn start_at(address: SocketAddr, directory: &TempDir) -> Child {
        let port = address.port().to_string();
        let process = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need the program redis-server");
        for _ in 0..100_000 {
            if TcpStream::connect(address).is_ok() {
                return process;
            }
            std::thread::yield_now();
        }
        panic!("redis-server does not listen");
    }

    pub(super) fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// Carries out a command.
    pub(super) fn say(&self, words: &[&str]) {
        let mut connection = Connection::to_stranger(self.address);
        let command: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        connection.write(format!("*{}\r\n{command}*1\r\n$4\r\nQUIT\r\n", words.len()).as_bytes());
        let answer = connection.rest();
        assert!(!answer.starts_with(b"-"), "{words:?}: {}", String::from_utf8_lossy(&answer));
    }

    /// Stops it in the middle of whatever it does, its connections open; or lets it go on.
    pub(super) fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }

    /// Kills it, and starts another one at its address: empty, or with what was saved last (`SAVE`).
    pub(super) fn restart(&mut self) {
        self.kill();
        self.process = Self::start_at(self.address, &self.directory);
    }

    /// Kills it, without a word to anybody.
    pub(super) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Everything that the server would put into a dump, commands as it keeps them.
    fn dump(&self) -> Vec<u8> {
        let script = "local o = {} for _, k in ipairs(redis.call('KEYS', '*')) do o[#o+1] = k \
                      local t = redis.call('TYPE', k).ok \
                      if t == 'string' then o[#o+1] = redis.call('GET', k) end \
                      if t == 'hash' then for _, v in ipairs(redis.call('HGETALL', k)) do o[#o+1] = v end end \
                      if t == 'set' then for _, v in ipairs(redis.call('SMEMBERS', k)) do o[#o+1] = v end end \
                      if t == 'zset' then for _, v in ipairs(redis.call('ZRANGE', k, 0, -1)) do o[#o+1] = v end end \
                      end return o";
        self.eval(script)
    }

    /// Stops its clock and its answers, or lets it go on (`STOP`, `CONT`).
    pub(super) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Lets the leases on renewals run out at once, as the server's own clock would in time; how many there were.
    pub(super) fn end_leases(&self) -> String {
        let answer = self.eval(
            "local n = 0 for _, k in ipairs(redis.call('KEYS', '*r:*')) do \
             if #k > 40 and string.find(k, 'r:', 1, true) == #k - 44 then n = n + redis.call('DEL', k) end end return n",
        );
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }

    /// Takes a right away from everybody (`-del`), or gives it back (`+del`).
    pub(super) fn right(&self, right: &str) {
        let mut connection = Connection::to_stranger(self.address);
        let words = ["ACL", "SETUSER", "default", right];
        let command: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        connection.write(format!("*4\r\n{command}*1\r\n$4\r\nQUIT\r\n").as_bytes());
        assert!(connection.rest().starts_with(b"+OK"), "{right}");
    }

    /// What a script answers, as it comes over the wire.
    fn eval(&self, script: &str) -> Vec<u8> {
        let mut connection = Connection::to_stranger(self.address);
        let request =
            format!("*3\r\n$4\r\nEVAL\r\n${}\r\n{script}\r\n$1\r\n0\r\n*1\r\n$4\r\nQUIT\r\n", script.len());
        connection.write(request.as_bytes());
        connection.rest()
    }

    /// Makes every session record unreadable, and says how many there were.
    fn damage_records(&self) -> String {
        let answer = self.eval(
            "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do \
             if redis.call('TYPE', k).ok == 'hash' and redis.call('HEXISTS', k, 'p') == 1 then \
             redis.call('HSET', k, 'p', 'garbage') n = n + 1 end end return n",
        );
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }

    /// How many hashes there are: the session records.
    pub(super) fn records(&self) -> String {
        let answer = self.eval(
            "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do \
             if redis.call('TYPE', k).ok == 'hash' then n = n + 1 end end return n",
        );
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn setting(redis: &Redis) -> Setting {
    let url = redis.url();
    Setting::with(|plan| plan.store_redis_asked(&url))
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn r44_a_dump_of_the_store_shows_nobody_and_opens_nothing() {
    let redis = Redis::start();
    let setting = setting(&redis);
    let browser = setting.signed_in();
    assert_shows_nobody(&redis.dump(), &setting, &browser);
}

#[test]
fn r44_the_embedded_file_shows_nobody_and_opens_nothing() {
    let directory = TempDir::new().unwrap();
    let setting = Setting::with(|plan| plan.store_embedded(directory.path()));
    let browser = setting.signed_in();
    let dump = std::fs::read(directory.path().join("sessions.redb")).unwrap();
    let key = std::fs::read_to_string(directory.path().join("session.key")).unwrap();
    assert!(!contains(&dump, key.trim()));
    assert_shows_nobody(&dump, &setting, &browser);
}

fn assert_shows_nobody(dump: &[u8], setting: &Setting, browser: &Browser) {
    assert!(dump.len() > 200, "{} bytes", dump.len());
    let id_token = setting.provider.last_id_token();
    for (what, text) in [
        ("the cookie", setting.session_cookie(browser)),
        ("the ID token", id_token.clone()),
        ("its signature", id_token.rsplit('.').next().unwrap()[..40].to_owned()),
        ("the person", "alice".to_owned()),
        ("the name", "Alice Example".to_owned()),
        ("a role", "editor".to_owned()),
        ("the issuer", setting.provider.issuer()),
        ("the provider's session", "provider-session-1".to_owned()),
    ] {
        assert!(!contains(dump, &text), "the dump shows {what}");
    }
}

#[test]
fn r47_a_session_outlives_the_gateway_that_made_it() {
    let redis = Redis::start();
    let setting = setting(&redis);
    let browser = setting.signed_in();
    let mut plan = usual_plan(&setting.upstream);
    plan.provider("corp", &setting.provider, "");
    plan.store_redis(&redis.url());
    let second = plan.start(&setting.clock);
    assert!(second.config_text().contains(&redis.url()));
    let mut there = second.browser();
    there.jar = browser.jar.clone();
    setting.gateway.stop();
    assert_eq!(there.fetch("GET", "/", &[], b"").status, 200);
    assert!(there.fetch("POST", "/bff/logout", &[], b"").status < 400);
    let mut again = second.browser();
    again.jar = browser.jar;
    assert_eq!(again.fetch("GET", "/", &[], b"").status, 401);
}

#[test]
fn r47_r88_a_restart_over_the_embedded_store_keeps_who_is_in_in_and_who_is_out_out() {
    let directory = TempDir::new().unwrap();
    let setting = Setting::with(|plan| plan.store_embedded(directory.path()));
    let (stays, mut leaves) = (setting.signed_in(), setting.signed_in());
    let left = leaves.jar.clone();
    assert!(leaves.fetch("POST", "/bff/logout", &[], b"").status < 400);
    let mut plan = usual_plan(&setting.upstream);
    plan.provider("corp", &setting.provider, "");
    plan.store_embedded(directory.path());
    let why = plan.try_start(&setting.clock).err().expect("two gateways on one file");
    assert!(why.contains("sessions.redb is in use by another process"), "{why}");
    setting.gateway.stop();
    let second = plan.start(&setting.clock);
    let mut there = second.browser();
    there.jar = stays.jar.clone();
    assert_eq!(there.fetch("GET", "/", &[], b"").status, 200);
    let mut back = second.browser();
    back.jar = left;
    assert_eq!(back.fetch("GET", "/", &[], b"").status, 401);
}

#[test]
fn r82_without_its_store_the_gateway_fails_closed_and_keeps_the_cookie() {
    let redis = Redis::start();
    let setting = setting(&redis);
    let mut browser = setting.signed_in();
    drop(redis);
    setting.upstream.forget();
    for path in ["/inside", "/optional/x", "/bff/user"] {
        let answer = browser.fetch("GET", path, &[], b"");
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.header("retry-after").is_some(), "{path}");
        assert!(answer.all("set-cookie").is_empty(), "{path}: {:?}", answer.all("set-cookie"));
    }
    assert_eq!(setting.upstream.count(), 0);
    assert_eq!(
        browser.fetch("GET", "/public/x", &[], b"").status,
        200,
        "public routes never touch the store"
    );
    assert!(setting.has_session(&browser));
}

/// Somebody whose record was damaged in the store: it is there, and does not open.
fn damaged(redis: &Redis) -> (Setting, Browser) {
    let setting = setting(redis);
    let browser = setting.signed_in();
    assert_eq!(redis.damage_records(), ":1");
    setting.upstream.forget();
    (setting, browser)
}

#[test]
fn r82_a34_a_record_that_cannot_be_read_is_an_error_and_nobody_is_anonymous_by_it() {
    let redis = Redis::start();
    let (setting, mut browser) = damaged(&redis);
    let before = setting.session_cookie(&browser);
    for path in ["/inside", "/optional/x", "/bff/user"] {
        for answer in [browser.open(path), browser.fetch("GET", path, &[], b"")] {
            assert_eq!(answer.status, 503, "{path}");
            assert!(answer.all("set-cookie").is_empty(), "{path}: {:?}", answer.all("set-cookie"));
        }
    }
    assert_eq!(setting.upstream.count(), 0);
    assert_eq!(setting.session_cookie(&browser), before);
}

#[test]
fn r82_a34_a_new_login_replaces_a_record_that_cannot_be_read() {
    let redis = Redis::start();
    let (setting, mut browser) = damaged(&redis);
    let before = setting.session_cookie(&browser);
    let page = browser.navigate("/bff/login?return_to=/wiki/");
    setting.assert_signed_in(&browser, &page);
    assert_ne!(setting.session_cookie(&browser), before);
    assert_eq!(redis.records(), ":1", "the damaged record is gone");
    assert_eq!(browser.fetch("GET", "/inside", &[], b"").status, 200);
}

#[test]
fn r82_a34_a_record_that_cannot_be_read_can_be_signed_out_of() {
    let redis = Redis::start();
    let (setting, mut browser) = damaged(&redis);
    for target in ["/bff/logout", "/bff/logout?sid=guessed", "/bff/logout?sid="] {
        let page = browser.open(target);
        assert_eq!(page.status, 200, "{target}");
        assert!(page.text().contains("<form"), "{target}: a page with a button");
        assert!(setting.has_session(&browser), "{target}");
    }
    assert_eq!(redis.records(), ":1", "GET alone ends nothing");
    let page = browser.submit("/bff/logout", "");
    assert!(page.answer.status < 400, "{}", page.way());
    assert!(!setting.has_session(&browser));
    assert_eq!(redis.records(), ":0");
    assert_eq!(browser.fetch("GET", "/inside", &[], b"").status, 401);
}
