//! A process that writes is killed, again and again (R88, A35): what it had answered holds, and its file opens.
//!
//! I own: the child, which is this very test binary told by [`DIRECTORY`] to play it, and the ledger that reads what
//! it says. A kill leaves the cache of the system whole; what a power cut does is for `disk`.

use super::{Embedded, key, lasting, open};
use crate::domain::login::LoginId;
use crate::ports::Updated;
use crate::store::Backend as _;
use crate::store::contract::house::NOW;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Where the child finds its store. Without it, it is not a child.
const DIRECTORY: &str = "KEYCARD_TEST_CRASH_DIRECTORY";
/// The first number of the child's keys.
const FIRST: &str = "KEYCARD_TEST_CRASH_FIRST";
const NAME: &str = "store::embedded::tests::crash::the_child_that_is_killed";
const PATIENCE: Duration = Duration::from_secs(600);

/// Says one line at once, so that it is in the pipe before anything else happens.
fn say(word: &str, number: u32) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("@{word} {number}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Writes without end: each task signs in, renews, and ends every other one.
async fn write_forever(store: &Embedded, task: u32, first: u32) {
    for round in 0_u32.. {
        let number = first + round * 8 + task;
        let login = LoginId(*key(number).as_bytes().first_chunk().unwrap());
        assert!(store.take_once(login, NOW, PATIENCE).await.unwrap());
        say("taken", number);
        assert!(store.insert(&key(number), &lasting(1), NOW).await.unwrap());
        say("inserted", number);
        store.seen(&key(number), NOW, PATIENCE).await.unwrap();
        assert_eq!(store.replace(&key(number), &lasting(2), 1, NOW).await.unwrap(), Updated::Done(2));
        say("replaced", number);
        if number.is_multiple_of(2) {
            say("deleting", number);
            assert!(store.delete(&key(number)).await.unwrap());
            say("deleted", number);
            // An update that comes late.
            assert_eq!(store.replace(&key(number), &lasting(3), 2, NOW).await.unwrap(), Updated::Gone);
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the parent has no other way to tell its child")]
fn the_child_that_is_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = open(Path::new(&directory));
        join_all((0..8).map(|task| write_forever(&store, task, first))).await;
    });
}

/// The last thing that is known of each session.
#[derive(Default)]
struct Ledger(BTreeMap<u32, String>);

impl Ledger {
    /// Lets a child write until it has said `lines` lines, kills it, and reads what it has said by then.
    fn record(&mut self, directory: &Path, first: u32, lines: usize) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory)
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = 0;
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = Vec::new();
        // A line without its end was cut off by the kill.
        while reader.read_until(b'\n', &mut line).unwrap() > 0 && line.ends_with(b"\n") {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            // The test harness may have said something in front of the first one.
            let Some((word, number)) = text.split_once('@').and_then(|(_, rest)| rest.split_once(' ')) else {
                continue;
            };
            self.0.insert(number.trim().parse().unwrap(), word.to_owned());
            said += 1;
            if said == lines {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(said >= lines, "the child stopped by itself after {said} lines");
    }

    async fn check(&self, store: &Embedded) {
        let members = store.members(&[[7; 32]], NOW).await.unwrap();
        for (number, word) in &self.0 {
            let version = store.fetch(&key(*number), NOW).await.unwrap().map(|found| found.version);
            let allowed: &[Option<u64>] = match word.as_str() {
                "taken" => &[None, Some(1)],
                "inserted" => &[Some(1), Some(2)],
                "replaced" => &[Some(2)],
                "deleting" => &[Some(2), None],
                _ => &[None],
            };
            assert!(allowed.contains(&version), "{number} was {word} and has {version:?}");
            assert_eq!(members.contains(&key(*number)), version.is_some(), "{number} and its index");
            let login = LoginId(*key(*number).as_bytes().first_chunk().unwrap());
            assert!(!store.take_once(login, NOW, PATIENCE).await.unwrap(), "{number} is taken twice");
        }
    }
}

#[tokio::test]
async fn r88_a35_a_killed_process_loses_nothing_that_it_answered_and_revives_nothing() {
    let root = TempDir::new().unwrap();
    let mut ledger = Ledger::default();
    // Anywhere: at once, amid its first writes, and after many.
    for (round, lines) in [1, 7, 38, 111, 260, 523].into_iter().enumerate() {
        ledger.record(root.path(), u32::try_from(round).unwrap() * 1_000_000, lines);
        let store = open(root.path());
        ledger.check(&store).await;
        store.close();
    }
    let count = |word: &str| ledger.0.values().filter(|last| *last == word).count();
    assert!(count("deleted") > 50 && count("replaced") > 50, "too little happened");
}
