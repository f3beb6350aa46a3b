//! The gateway over Redis (R44, R47, R82, R88): what a dump shows, what a restart keeps, what an outage does.
//!
//! I own: a `redis-server` of my own on a free port. Where that program is missing these tests fail, they do not skip:
//! a check that cannot find its input must not pass.

use super::house::raw::Connection;
use super::house::setting::Setting;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// A Redis server that dies with the test.
pub(super) struct Redis {
    process: Child,
    address: SocketAddr,
}

impl Redis {
    pub(super) fn start() -> Self {
        // The port is free now, and nobody else takes it within the moment.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("redis-server")
            .args([
                "--port",
                &address.port().to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need the program redis-server");
        let redis = Self { process, address };
        for _ in 0..100_000 {
            if TcpStream::connect(address).is_ok() {
                return redis;
            }
            std::thread::yield_now();
        }
        panic!("redis-server does not listen");
    }

    pub(super) fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// Everything that the server would put into a dump, commands as it keeps them.
    fn dump(&self) -> Vec<u8> {
        let mut all = Vec::new();
        let script = "local o = {} for _, k in ipairs(redis.call('KEYS', '*')) do o[#o+1] = k \
                      local t = redis.call('TYPE', k).ok \
                      if t == 'string' then o[#o+1] = redis.call('GET', k) end \
                      if t == 'hash' then for _, v in ipairs(redis.call('HGETALL', k)) do o[#o+1] = v end end \
                      if t == 'set' then for _, v in ipairs(redis.call('SMEMBERS', k)) do o[#o+1] = v end end \
                      if t == 'zset' then for _, v in ipairs(redis.call('ZRANGE', k, 0, -1)) do o[#o+1] = v end end \
                      end return o";
        let mut connection = Connection::to_stranger(self.address);
        let request =
            format!("*3\r\n$4\r\nEVAL\r\n${}\r\n{script}\r\n$1\r\n0\r\n*1\r\n$4\r\nQUIT\r\n", script.len());
        connection.write(request.as_bytes());
        all.extend(connection.rest());
        all
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
    Setting::with(|plan| plan.store_redis(&url))
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn r44_a_dump_of_the_store_shows_nobody_and_opens_nothing() {
    let redis = Redis::start();
    let setting = setting(&redis);
    let browser = setting.signed_in();
    let dump = redis.dump();
    assert!(dump.len() > 200, "{} bytes", dump.len());
    let id_token = setting.provider.last_id_token();
    for (what, text) in [
        ("the cookie", setting.session_cookie(&browser)),
        ("the ID token", id_token.clone()),
        ("its signature", id_token.rsplit('.').next().unwrap()[..40].to_owned()),
        ("the person", "alice".to_owned()),
        ("the name", "Alice Example".to_owned()),
        ("a role", "editor".to_owned()),
        ("the issuer", setting.provider.issuer()),
        ("the provider's session", "provider-session-1".to_owned()),
    ] {
        assert!(!contains(&dump, &text), "the dump shows {what}");
    }
}

#[test]
fn r47_a_session_outlives_the_gateway_that_made_it() {
    let redis = Redis::start();
    let setting = setting(&redis);
    let browser = setting.signed_in();
    let mut plan = super::house::setting::usual_plan(&setting.upstream);
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
