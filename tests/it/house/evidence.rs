//! What was said: every byte that a gateway sent to a browser, every log line, and every secret that must be in
//! neither. The binary `leak_sweep` reads it afterwards (A37, R43).
//!
//! I own: the three files under `CARGO_TARGET_TMPDIR/evidence`, begun anew with each run, and the process's one
//! `tracing` subscriber. Tests may read back what the log says of one request; I never look for leaks myself.

use super::raw::Answer;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::Duration;

struct Files {
    browser: Mutex<File>,
    secrets: Mutex<File>,
}

/// The log, and a bell for those who wait for a line.
struct Log(File);

static LINES: Mutex<u64> = Mutex::new(0);
static BELL: Condvar = Condvar::new();

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes);
        *LINES.lock().unwrap() += 1;
        BELL.notify_all();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("evidence")
}

fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = folder();
        // What an earlier run said is not evidence of this one.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let open = |kind: &str| File::create(folder.join(format!("it.{kind}"))).unwrap();
        let filter = tracing_subscriber::EnvFilter::new("info,keycard=trace");
        tracing_subscriber::fmt()
            .json()
            .with_env_filter(filter)
            .with_writer(Mutex::new(Log(open("log"))))
            .init();
        Files { browser: Mutex::new(open("browser")), secrets: Mutex::new(open("secrets")) }
    })
}

/// Opens the files and installs the subscriber; every gateway does this before it starts.
pub fn begin() {
    files();
}

/// Something that a gateway sent to a browser.
pub fn to_browser(bytes: &[u8]) {
    let mut file = files().browser.lock().unwrap();
    file.write_all(bytes).unwrap();
    file.write_all(b"\r\n\r\n=====\r\n").unwrap();
}

/// Something that must reach neither a browser nor a log line. `kind` is one of `code`, `access`, `refresh`,
/// `id_token`, `verifier`, `client_secret`; and `cookie`, which browsers may see and logs may not.
pub fn secret(kind: &str, value: &str) {
    if value.is_empty() || value.contains(['\n', '\r']) {
        return;
    }
    writeln!(files().secrets.lock().unwrap(), "{kind}\t{value}").unwrap();
}

/// The one access line of an answer: written before the answer was sent.
pub fn access_line(answer: &Answer) -> Value {
    let id = answer.header("x-request-id").expect("no X-Request-Id");
    let mut lines = access_lines(id);
    assert_eq!(lines.len(), 1, "lines of {id}: {lines:?}");
    lines.remove(0)
}

/// Every access line of a request so far.
pub fn access_lines(id: &str) -> Vec<Value> {
    let log = fs::read(folder().join("it.log")).unwrap();
    let log = String::from_utf8_lossy(&log);
    let lines =
        log.lines().filter(|line| line.contains(id)).filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(|line: &Value| line["target"] == "keycard::access" && line["fields"]["id"] == id).collect()
}

/// The access line of a request that gets no answer, as soon as it is there.
pub fn wait_for_access_line(id: &str, patience: Duration) -> Value {
    let unheard = |_: &mut u64| access_lines(id).is_empty();
    let (lines, _) = BELL.wait_timeout_while(LINES.lock().unwrap(), patience, unheard).unwrap();
    drop(lines);
    let mut lines = access_lines(id);
    assert_eq!(lines.len(), 1, "lines of {id}: {lines:?}");
    lines.remove(0)
}
