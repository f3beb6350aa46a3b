//! Patience for what happens beside the requests, in real time: a feed, a store that comes back, a task.
//!
//! I own: how long anybody waits, and [`until`]. I never sleep: what is waited for is looked for again and again.

use std::thread;
use std::time::{Duration, Instant};

/// For a busy machine. What is bound by a promise is measured by the benches.
pub const LONG: Duration = Duration::from_secs(30);

/// Waits until something is so.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < LONG, "not in time: {what}");
        thread::yield_now();
    }
}
