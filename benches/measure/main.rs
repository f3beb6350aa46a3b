//! What Keycard costs, as figures. `benches/run` runs this and explains it; `docs/measured.md` shows what came out.
//!
//! I own: the choice of what is measured. I may call: the crate's own doors, and those marked as made for me. I never
//! test anything: a figure is a figure, and whoever reads it judges.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot measure has to stop")]
#![expect(clippy::print_stdout, reason = "figures are for the eye and for `benches/run`")]

mod check;
mod figures;
mod house;
mod million;
mod read;

const USAGE: &str = "\
measure check REDIS_PORT [ROUNDS]     a session check beside the verification of a JWT
measure count REDIS_PORT WHAT TIMES   WHAT (anonymous, session, admit, load, rs256, es256) so often, for counters
measure read REDIS_PORT ROUNDS        a read that Redis answers, over a worker's own connection and the shared one
measure million REDIS_PORT COUNT KEY  so many sessions, sealed under KEY, and what requests with them cost";

fn main() {
    // `cargo bench` adds words of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["check", port] => check::run(port.parse().unwrap(), 2000),
        ["check", port, rounds] => check::run(port.parse().unwrap(), rounds.parse().unwrap()),
        ["count", port, what, times] => check::count(port.parse().unwrap(), what, times.parse().unwrap()),
        ["read", port, rounds] => read::run(port.parse().unwrap(), rounds.parse().unwrap()),
        ["million", port, count, key] => million::run(port.parse().unwrap(), count.parse().unwrap(), key),
        _ => println!("{USAGE}"),
    }
}
