//! The binary as an operator meets it: arguments in, exit code and a few lines out.
//!
//! I own: end-to-end tests of `keycard` as a process, and [`Run`], which ends every process that it starts. I never
//! reach inside.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest that a process may take to do what it was asked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process; it ends with its test at the latest.
pub(super) struct Run {
    child: Child,
    lines: Receiver<String>,
    complaints: String,
    stdout: Option<thread::JoinHandle<String>>,
}

/// How a process ended, and what it said.
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Run {
    pub(super) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keycard"))
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stderr, mut out) = (child.stderr.take().unwrap(), child.stdout.take().unwrap());
        let (said, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| said.send(line))
        });
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, lines, complaints: String::new(), stdout: Some(stdout) }
    }

    /// Waits for a line on standard error.
    pub(super) fn wait_for(&mut self, words: &str) {
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.complaints.push_str(&format!("{line}\n"));
            if line.contains(words) {
                return;
            }
        }
        panic!("never said {words:?}, but: {}", self.complaints);
    }

    /// Asks this very process to stop.
    pub(super) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Waits for its end: standard error is closed then.
    pub(super) fn end(mut self) -> Ended {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.complaints.push_str(&format!("{line}\n")),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("still running; said: {}", self.complaints),
            }
        }
        let stdout = self.stdout.take().unwrap().join().unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, stdout, stderr: std::mem::take(&mut self.complaints) }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs to the end.
pub(super) fn keycard(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    Run::start(arguments, variables).end()
}

/// A file of this content, readable by its owner alone.
pub(super) fn file(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
    std::io::Write::write_all(&mut file, content.as_bytes()).unwrap();
    path
}

fn check(path: &Path, variables: &[(&str, &str)]) -> Ended {
    keycard(&["check", "--config", path.to_str().unwrap()], variables)
}

/// A configuration that is right, for a gateway that listens there.
pub(super) fn sound(listen: &str) -> String {
    format!(
        "[server]\nlisten = \"{listen}\"\npublic_url = \"http://localhost:8080\"\nworkers = 1\n\
         [session]\nstore = \"memory\"\n\
         [[provider]]\nid = \"corp\"\nissuer = \"http://localhost:1\"\nclient_id = \"keycard\"\n\
         client_secret = \"a-secret-of-the-relying-party\"\n\
         [[route]]\npath = \"/\"\nupstream = \"http://127.0.0.1:1\"\naccess = \"signed-in\"\n"
    )
}

/// Each line with what must be said of it; an empty word is for lines that are right.
const TEN_MISTAKES: &[(&str, &str)] = &[
    ("[server]", ""),
    ("public_url = \"http://apps.example.com\"", "server.public_url"),
    ("wrokers = 4", "wrokers"),
    ("header_timeout = \"10\"", "server.header_timeout"),
    ("[session]", ""),
    ("store = \"postgres://desk:hunter2-hunter2@db/0\"", "session.store"),
    ("keys = [\"c2hvcnQta2V5LXNlY3JldA==\"]", "session.keys"),
    ("[[provider]]", ""),
    ("id = \"corp\"", ""),
    ("issuer = \"http://idp.example.com\"", "issuer"),
    ("client_id = \"keycard\"", ""),
    ("client_secret = \"hunter3\"", "client_secret"),
    ("signing_algorithms = [\"none\"]", "signing_algorithms"),
    ("[[route]]", ""),
    ("path = \"/wiki/\"", ""),
    ("upstream = \"dokuwiki\"", "upstream"),
    ("access = \"everybody\"", "access"),
];

const PASSWORDS: [&str; 5] = ["hunter2", "hunter3", "c2hvcnQta2V5", "short-key-secret", "a-secret-of"];

#[test]
fn every_mistake_is_named_at_once_with_its_line_and_no_secret() {
    let folder = TempDir::new().unwrap();
    let text: String = TEN_MISTAKES.iter().map(|(line, _)| format!("{line}\n")).collect();
    let path = file(&folder, "keycard.toml", &text);
    for command in ["check", "serve"] {
        let ended = keycard(&[command, "--config", path.to_str().unwrap()], &[]);
        assert_eq!(ended.code, Some(64), "{command}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{command}");
        let wrong = TEN_MISTAKES.iter().enumerate().filter(|(_, (_, key))| !key.is_empty());
        let reports: Vec<&str> = ended.stderr.split("error: ").skip(1).collect();
        assert_eq!((wrong.clone().count(), reports.len()), (10, 10), "{command}:\n{}", ended.stderr);
        for ((at, (_, key)), report) in wrong.zip(reports) {
            let (what, place) = report.split_once('\n').unwrap();
            assert!(what.contains(key), "{command}: no {key} in: {report}");
            assert!(
                place.contains(&format!("keycard.toml:{}:", at + 1)),
                "{command}: not line {}: {report}",
                at + 1
            );
            assert!(place.contains("= help: "), "{command}: no remedy in: {report}");
        }
        for password in PASSWORDS {
            assert!(!ended.stderr.contains(password), "{command}: {password} in:\n{}", ended.stderr);
        }
    }
}

#[test]
fn the_example_is_right_once_its_secrets_are_there() {
    let folder = TempDir::new().unwrap();
    let key = file(&folder, "keycard.key", &format!("{}\n", keycard(&["keys", "new"], &[]).stdout.trim()));
    let secret = file(&folder, "oidc", "a-secret-of-the-relying-party\n");
    let example = include_str!("../../config/keycard.example.toml");
    let text = example
        .replace("/run/secrets/keycard.key", key.to_str().unwrap())
        .replace("/run/secrets/oidc", secret.to_str().unwrap());
    assert_ne!(text, example);
    let path = file(&folder, "keycard.toml", &text);
    let store = ("KEYCARD_STORE", "rediss://desk:hunter2-hunter2@redis.example.com:6379/0");
    let ended = check(&path, &[store]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for told in ["/wiki/", "https://dokuwiki", "30m"] {
        assert!(ended.stdout.contains(told), "no {told} in:\n{}", ended.stdout);
    }
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let key = fs::read_to_string(&key).unwrap();
    for password in PASSWORDS.iter().copied().chain([key.trim()]) {
        assert!(!said.contains(password), "{password} in:\n{said}");
    }
    // With a variable that is not there it is one mistake, with its line.
    let elsewhere = text
        .replace("# store = \"embedded\"", "store = { env = \"KEYCARD_STORE\" }")
        .replace("# keys = ", "keys = ");
    assert_ne!(elsewhere, text);
    let path = file(&folder, "elsewhere.toml", &elsewhere);
    assert_eq!(check(&path, &[store]).code, Some(0));
    let ended = check(&path, &[]);
    assert_eq!(ended.code, Some(64));
    assert!(ended.stderr.contains("KEYCARD_STORE"), "{}", ended.stderr);
}

#[test]
fn a_file_that_is_not_there_is_a_mistake_in_the_configuration() {
    let folder = TempDir::new().unwrap();
    let ended = check(&folder.path().join("missing.toml"), &[]);
    assert_eq!(ended.code, Some(64));
    assert!(ended.stderr.contains("missing.toml"), "{}", ended.stderr);
}

#[test]
fn a_port_in_use_is_told_plainly() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let path = file(&folder, "keycard.toml", &sound(&address));
    let ended = keycard(&["serve", "--config", path.to_str().unwrap()], &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("cannot listen on {address}")), "{}", ended.stderr);
    assert!(ended.stderr.to_lowercase().contains("in use"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("keycard is serving"), "{}", ended.stderr);
}

#[test]
fn sigterm_and_sigint_end_it_in_order() {
    for signal in ["TERM", "INT"] {
        let folder = TempDir::new().unwrap();
        let path = file(&folder, "keycard.toml", &sound("127.0.0.1:0"));
        let mut run = Run::start(&["serve", "--config", path.to_str().unwrap()], &[]);
        run.wait_for("keycard is serving");
        run.signal(signal);
        let ended = run.end();
        assert_eq!(ended.code, Some(0), "{signal}: {}", ended.stderr);
        assert!(ended.stderr.contains("keycard has stopped"), "{signal}: {}", ended.stderr);
        for password in PASSWORDS {
            assert!(!ended.stderr.contains(password), "{signal}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_new_key_has_44_characters_and_is_another_each_time() {
    let (one, two) = (keycard(&["keys", "new"], &[]), keycard(&["keys", "new"], &[]));
    for ended in [&one, &two] {
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let key = ended.stdout.strip_suffix('\n').expect("no newline");
        assert_eq!(key.len(), 44, "{}", key.len());
        assert!(key.ends_with('=') && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)));
    }
    assert_ne!(one.stdout, two.stdout);
}

#[test]
fn arguments_that_mean_nothing_exit_with_2() {
    for arguments in [
        ["frobnicate"].as_slice(),
        &["check", "--confg", "x"],
        &["serve", "--config"],
        &["keys", "old"],
        &["keys"],
        &[],
        &["check", "one", "two"],
    ] {
        let ended = keycard(arguments, &[]);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("--help") || ended.stderr.contains("Usage"),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    for arguments in [["--help"], ["--version"]] {
        let ended = keycard(&arguments, &[]);
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.to_lowercase().contains("keycard"), "{}", ended.stdout);
    }
}
