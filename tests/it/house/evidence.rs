//! What was said: every byte that a gateway sent to a browser, every log line, and every secret that must be in
//! neither. The binary `leak_sweep` reads it afterwards (A37, R43).
//!
//! I own: the three files under `CARGO_TARGET_TMPDIR/evidence`, begun anew with each run, and the process's one
//! `tracing` subscriber. I never look for leaks myself.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

struct Files {
    browser: Mutex<File>,
    secrets: Mutex<File>,
}

fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("evidence");
        // What an earlier run said is not evidence of this one.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let open = |kind: &str| File::create(folder.join(format!("it.{kind}"))).unwrap();
        let filter = tracing_subscriber::EnvFilter::new("info,keycard=trace");
        tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(Mutex::new(open("log"))).init();
        Files { browser: Mutex::new(open("browser")), secrets: Mutex::new(open("secrets")) }
    })
}

/// Opens the files and installs the subscriber; every gateway does this before it starts.
pub fn begin() {
    files();
}

/// How long the log is at the moment.
pub fn log_length() -> u64 {
    fs::metadata(log()).unwrap().len()
}

/// The log lines after `from` that have `text` in them, parsed.
pub fn log_lines(from: u64, text: &str) -> Vec<serde_json::Value> {
    let mut file = File::open(log()).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).unwrap();
    let tail = String::from_utf8_lossy(&tail);
    // The last line may be in the making.
    tail.split_inclusive('\n')
        .filter(|line| line.ends_with('\n') && line.contains(text))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}")))
        .collect()
}

fn log() -> PathBuf {
    files();
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("evidence").join("it.log")
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
