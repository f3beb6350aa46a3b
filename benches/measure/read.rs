//! A read from Redis, as a worker makes it whose memory has no answer: over its own connection, and over the shared one.
//!
//! I own: the rounds. I may call: `house`, `figures`, redis-cli for a user without the right that a connection of one's own
//! needs. I never compare figures of two runs: the two gateways take turns.

use super::figures::{Samples, figure, note};
use super::house::{Access, House, fresh_key, session};
use keycard::app::SystemClock;
use keycard::domain::session::Ticket;
use keycard::keyring::new_ticket;
use rustix::time::{ClockId, clock_gettime};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

/// How many reads one sample is made of, one after the other.
const BATCH: u32 = 50;

/// Measures and writes the table.
pub fn run(redis: u16, rounds: usize) {
    let user = ["ACL", "SETUSER", "shares", "on", "nopass", "~*", "&*", "+@all", "-info"];
    let port = redis.to_string();
    assert!(Command::new("redis-cli").args(["-p", &port]).args(user).output().unwrap().status.success());
    let key = fresh_key();
    let own = House::open(redis, &key, Arc::new(SystemClock));
    let shared = House::open_as("shares:x@", redis, &key, Arc::new(SystemClock));
    // One thread, as a worker has; the shared connections live on others.
    actix_web::rt::System::new().block_on(async {
        let (ticket, now) = (new_ticket().unwrap(), own.clock.now());
        let store = Arc::clone(&own.current.desk().gateway.store);
        store.create(&ticket, &session(1, Access::Opaque, now), now).await.unwrap();
        let mut all: [Vec<f64>; 4] = Default::default();
        for round in 0..rounds + 20 {
            let (own, shared) = (reading(&own, &ticket).await, reading(&shared, &ticket).await);
            if round >= 20 {
                let samples = [own.0, shared.0, own.1, shared.1];
                all.iter_mut().zip(samples).for_each(|(all, sample)| all.push(sample));
            }
        }
        let [own, shared, own_cpu, shared_cpu] = all.map(Samples::new);
        println!("\nMicroseconds for a read that Redis answers, and where eight of ten lie:");
        for (name, samples) in [
            ("over the worker's own connection", &own),
            ("over the shared one", &shared),
            ("CPU of the process, own", &own_cpu),
            ("CPU of the process, shared", &shared_cpu),
        ] {
            println!("  {name:<40} {}", samples.with_spread(1));
        }
        let ratio = own.median() / shared.median();
        let text = format!("{:.0} µs, {ratio:.2} of the shared one's", own.median());
        figure("a read from Redis over a worker's own connection", text, "less than the shared", ratio < 1.0);
        let ratio = own_cpu.median() / shared_cpu.median();
        note("  its CPU", format!("{:.0} µs, {ratio:.2} of the shared one's", own_cpu.median()));
    });
}

/// Microseconds of one read: as the clock has it, and the CPU of the whole process.
async fn reading(house: &House, ticket: &Ticket) -> (f64, f64) {
    let (store, now) = (Arc::clone(&house.current.desk().gateway.store), house.clock.now());
    let (began, busy) = (Instant::now(), cpu());
    for _ in 0..BATCH {
        assert!(store.reload(ticket, now).await.unwrap().is_some());
    }
    let each = 1e6 / f64::from(BATCH);
    (began.elapsed().as_secs_f64() * each, (cpu() - busy) * each)
}

/// Seconds for which this process has been running.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
