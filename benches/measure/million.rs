//! Many sessions: what they take in Redis and in memory, and what a request costs among them.
//!
//! I own: the steps from a thousand on. I may call: `house`, `figures`, redis-cli for what Redis says of itself. I never
//! estimate: sizes are differences of `used_memory` and of the resident set.

use super::figures::{figure, note};
use super::house::{Access, House, request, session, settings};
use actix_web::dev::Service;
use actix_web::test;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use keycard::app::SystemClock;
use keycard::domain::time::Timestamp;
use keycard::inbound::measured;
use keycard::keyring::new_ticket;
use keycard::ports::Clock;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of one session in Redis as measured for mod_auth_openidc, indexes included.
const OPAQUE_LIMIT: f64 = 2688.0;
const JWT_LIMIT: f64 = 3456.0;

/// How many are written at the same time.
const AT_ONCE: usize = 64;

/// How long requests are measured at each step.
const SPAN: Duration = Duration::from_secs(4);

/// Measures with sessions up to `count`, sealed under `key`; those with opaque tokens stay in Redis.
pub fn run(redis: u16, count: usize, key: &str) {
    size(redis, count.min(200_000), key);
    ask(redis, &["FLUSHALL"]);
    let clock = Arc::new(Turned(AtomicU64::new(SystemClock.now().unix_millis())));
    let house = House::open(redis, key, Arc::clone(&clock) as Arc<dyn Clock>);
    actix_web::rt::System::new().block_on(cost(&house, &clock, redis, count));
}

/// What so many sessions take in an empty Redis.
fn size(redis: u16, count: usize, key: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let session_settings = settings(redis, key).session;
        let opened =
            keycard::store::open(&session_settings.store, session_settings.keys, true).await.unwrap();
        let before = used_memory(redis);
        let now = SystemClock.now();
        stream::iter(0..count)
            .for_each_concurrent(AT_ONCE, |number| {
                let store = Arc::clone(&opened.store);
                async move {
                    let written = async move {
                        let ticket = new_ticket().unwrap();
                        store.create(&ticket, &session(number, Access::Jwt, now), now).await.unwrap();
                    };
                    tokio::spawn(written).await.unwrap();
                }
            })
            .await;
        let each = (used_memory(redis) - before) / count as f64;
        let wanted = format!("under {JWT_LIMIT:.0} bytes");
        figure(
            "a session in Redis, JWT as access token",
            format!("{each:.0} bytes"),
            &wanted,
            each < JWT_LIMIT,
        );
    });
}

/// From a thousand sessions on, tenfold each time: what each takes, and what a request costs.
async fn cost(house: &House, clock: &Turned, redis: u16, count: usize) {
    let app = test::init_service(measured::application(house.current.clone())).await;
    let empty = (used_memory(redis), resident());
    let mut cookies: Vec<String> = Vec::new();
    let mut costs = Vec::new();
    let steps = std::iter::successors(Some(1000), |step| Some(step * 10)).take_while(|step| *step < count);
    for step in steps.chain([count]) {
        let began = Instant::now();
        let fresh = stream::iter(cookies.len()..step)
            .map(|number| House::sign_in(&house.current, number, Access::Opaque, clock.now()))
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        let fresh = fresh.await;
        let (written, wrote) = (fresh.len(), began.elapsed());
        let began = Instant::now();
        stream::iter(&fresh)
            .for_each_concurrent(AT_ONCE, |cookie| async {
                let response = app.call(request("/page", Some(cookie))).await.unwrap();
                assert_eq!(response.status().as_u16(), 204);
            })
            .await;
        let read = began.elapsed();
        cookies.extend(fresh);
        let (mut done, mut touched) = (0_usize, Touched::default());
        let began = (Instant::now(), spent("self"), spent(&redis_process(redis)));
        while began.0.elapsed() < SPAN {
            // One turn is a second of the gateway's clock: a twentieth of all sessions, any of them.
            clock.turn();
            let turn = (step / 20).max(1);
            stream::iter((0..turn).map(|_| touched.next(step)))
                .for_each_concurrent(AT_ONCE, |at| {
                    let answer = app.call(request("/page", Some(&cookies[at])));
                    async move { assert_eq!(answer.await.unwrap().status().as_u16(), 204) }
                })
                .await;
            done += turn;
        }
        let each = |ticks: f64| ticks * 1e6 / done as f64;
        let (ours, theirs) = (each(spent("self") - began.1), each(spent(&redis_process(redis)) - began.2));
        costs.push(ours);
        println!(
            "{step:>8} sessions: written {:.0}/s, read {:.0}/s; {done} requests, CPU per request {ours:.1} µs here, {theirs:.1} µs in Redis",
            written as f64 / wrote.as_secs_f64(),
            written as f64 / read.as_secs_f64(),
        );
    }
    let each = (used_memory(redis) - empty.0) / count as f64;
    let wanted = format!("under {OPAQUE_LIMIT:.0} bytes");
    figure(
        "a session in Redis, opaque access token",
        format!("{each:.0} bytes"),
        &wanted,
        each < OPAQUE_LIMIT,
    );
    let (first, last) = (costs[0], costs[costs.len() - 1]);
    let growth = format!("{first:.1} µs to {last:.1} µs");
    figure(&format!("CPU per request, 1,000 to {count} sessions"), growth, "flat", last < first * 1.5);
    let own = cookies.iter().map(|cookie| cookie.capacity() + size_of::<String>()).sum::<usize>();
    let held = (resident() - empty.1 - own as f64) / count as f64;
    note("a session in the near cache, resident set", format!("{held:.0} bytes"));
    let text = house.current.desk().gateway.ledger.read();
    let counted = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
    };
    let weight = counted("keycard_near_cache_bytes") / counted("keycard_near_cache_sessions");
    note("  as the near cache counts it", format!("{weight:.0} bytes"));
}

/// Which session is next: the multiplicative generator of Park and Miller, so that every run asks for the same ones.
struct Touched(u64);

impl Default for Touched {
    fn default() -> Self {
        Self(1)
    }
}

impl Touched {
    fn next(&mut self, of: usize) -> usize {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        usize::try_from(self.0).unwrap() % of
    }
}

/// A clock that goes on by a second for each turn, however long it takes: uses are noted as often as in real life.
struct Turned(AtomicU64);

impl Turned {
    fn turn(&self) {
        self.0.fetch_add(1000, Ordering::SeqCst);
    }
}

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }

    fn until(&self, _moment: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

fn ask(redis: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &redis.to_string()]).args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn told(redis: u16, section: &str, name: &str) -> String {
    let text = ask(redis, &["INFO", section]);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().trim().to_owned()
}

/// What Redis has allocated for its data, in bytes.
fn used_memory(redis: u16) -> f64 {
    told(redis, "memory", "used_memory").parse().unwrap()
}

fn redis_process(redis: u16) -> String {
    told(redis, "server", "process_id")
}

/// Seconds of CPU that a process has spent, by `/proc`; a tick is a hundredth.
fn spent(process: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name of the program, in parentheses, may have any character.
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Bytes of this process in memory.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}
