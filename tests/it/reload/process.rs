//! Reloads of the binary: SIGHUP, and files that change.
//!
//! I own: `keycard serve` under a changing folder. I never reach inside; I wait for its log.

use crate::it::binary::{Run, file, keycard, sound};
use crate::it::house::raw::send;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use tempfile::TempDir;

const APPLIED: &str = "the configuration was read again and is in force";
const REFUSED: &str = "the configuration was read again and is refused; the old one stays in force";

/// A free port, most likely.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn serve(path: &Path) -> Run {
    let mut run = Run::start(&["serve", "--config", path.to_str().unwrap()], &[]);
    run.wait_for("keycard is serving");
    run
}

/// Whether the signed-out page has these words.
fn shows(address: SocketAddr, words: &str) -> bool {
    let head = "GET /bff/signed-out HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n";
    let answer = send(address, head.as_bytes()).expect("no answer");
    assert_eq!(answer.status, 200);
    answer.text().contains(words)
}

fn config(address: SocketAddr, server: &str, footer: &str) -> String {
    let sound = sound(&address.to_string()).replace("workers = 1", &format!("workers = 1\n{server}"));
    format!("{sound}[pages]\nfooter = \"{footer}\"\n")
}

#[test]
fn sighup_reads_it_again_and_a_bad_file_is_told_as_check_tells_it() {
    let (folder, address) = (TempDir::new().unwrap(), free());
    let path = file(&folder, "keycard.toml", &config(address, "", "words of the first"));
    let mut run = serve(&path);
    assert!(shows(address, "words of the first"));
    fs::write(&path, config(address, "header_timeout = \"9s\"", "words of the second")).unwrap();
    run.signal("HUP");
    run.wait_for(APPLIED);
    run.wait_for("needs a restart: server.header_timeout");
    assert!(shows(address, "words of the second"));

    let bad = config(address, "wrokers = 3", "words of the third").replace("\"signed-in\"", "\"everybody\"");
    fs::write(&path, bad).unwrap();
    let check = keycard(&["check", "--config", path.to_str().unwrap()], &[]);
    run.signal("HUP");
    // Line by line, in the same order.
    for line in check.stderr.lines().filter(|line| !line.is_empty()) {
        run.wait_for(line);
    }
    run.wait_for(REFUSED);
    assert!(check.stderr.contains("2 mistakes"), "{}", check.stderr);
    assert!(shows(address, "words of the second"));

    // A folder in its place cannot be read, not even by root.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    run.signal("HUP");
    run.wait_for("the configuration cannot be read");
    run.wait_for(REFUSED);
    fs::remove_dir(&path).unwrap();
    run.signal("HUP");
    run.wait_for("the configuration cannot be read");
    run.wait_for(REFUSED);
    assert!(shows(address, "words of the second"));

    fs::write(&path, config(address, "", "words of the fourth")).unwrap();
    run.signal("HUP");
    run.wait_for(APPLIED);
    assert!(shows(address, "words of the fourth"));
    run.signal("HUP");
    run.wait_for("nothing has changed");
    run.signal("TERM");
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("a-secret-of"), "{}", ended.stderr);
}

#[test]
fn a_link_is_swapped_as_kubernetes_does_it() {
    let (folder, address) = (TempDir::new().unwrap(), free());
    let at = |name: &str| folder.path().join(name);
    let version = |name: &str, footer: &str| {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("keycard.toml"), config(address, "reload = \"watch\"", footer)).unwrap();
    };
    let swap = |name: &str| {
        symlink(name, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    version("..1", "words of the first");
    swap("..1");
    symlink("..data/keycard.toml", at("keycard.toml")).unwrap();
    let mut run = serve(&at("keycard.toml"));
    for (old, new, words) in [("..1", "..2", "words of the second"), ("..2", "..3", "words of the third")] {
        version(new, words);
        swap(new);
        fs::remove_dir_all(at(old)).unwrap();
        run.wait_for(APPLIED);
        assert!(shows(address, words));
    }
    run.signal("TERM");
    assert_eq!(run.end().code, Some(0));
}

#[test]
fn a_secret_in_another_folder_is_watched_too() {
    let (folder, secrets, address) = (TempDir::new().unwrap(), TempDir::new().unwrap(), free());
    let secret = file(&secrets, "oidc", "a-secret-of-the-relying-party");
    let text = config(address, "reload = \"watch\"", "words")
        .replace("\"a-secret-of-the-relying-party\"", &format!("{{ file = {secret:?} }}"));
    let mut run = serve(&file(&folder, "keycard.toml", &text));
    // As an editor saves: another file takes its place.
    let other = file(&secrets, "oidc.new", "another-secret-of-the-relying-party");
    fs::rename(other, &secret).unwrap();
    run.wait_for(APPLIED);
    // Whom others could read it: refused, and told once.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    run.wait_for("which others may read");
    run.wait_for(REFUSED);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o400)).unwrap();
    run.wait_for(APPLIED);
    run.signal("TERM");
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches(REFUSED).count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("secret-of-the"), "{}", ended.stderr);
}

#[test]
fn without_a_watch_a_changed_file_waits_for_the_signal_and_off_ignores_both() {
    for (reload, said) in [("signal", APPLIED), ("off", "nothing is read again")] {
        let (folder, address) = (TempDir::new().unwrap(), free());
        let server = format!("reload = \"{reload}\"");
        let path = file(&folder, "keycard.toml", &config(address, &server, "words of the first"));
        let mut run = serve(&path);
        fs::write(&path, config(address, &server, "words of the second")).unwrap();
        assert!(shows(address, "words of the first"), "{reload}");
        run.signal("HUP");
        run.wait_for(said);
        assert_eq!(shows(address, "words of the second"), reload == "signal", "{reload}");
        run.signal("TERM");
        let ended = run.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(
            ended.stderr.matches(APPLIED).count(),
            usize::from(reload == "signal"),
            "{}",
            ended.stderr
        );
    }
}
