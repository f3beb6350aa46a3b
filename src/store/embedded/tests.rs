//! What only a file can get wrong: who may open it and its key, what a restart keeps, how large it grows.
//!
//! I own: the rows and keys that the tests of this room work with. `crash` kills a process that writes, `disk` cuts
//! the power of a disk that lies in memory.

mod crash;
mod disk;

use super::folder::Folder;
use super::{Embedded, tables};
use crate::config::{EmbeddedSettings, KeySource};
use crate::domain::login::LoginId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::{StoreError, Updated};
use crate::store::contract::house::{NOW, keys};
use crate::store::{Backend as _, Row};
use futures_util::future::join_all;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

fn at(path: &Path) -> EmbeddedSettings {
    EmbeddedSettings { path: path.to_owned(), dev: false }
}

fn open(path: &Path) -> Embedded {
    Embedded::open(&at(path), KeySource::BesideStore).unwrap().0
}

/// Why it does not open.
fn refusal(path: &Path, keys: KeySource) -> String {
    match Embedded::open(&at(path), keys) {
        Err(StoreError::Unavailable(text)) => text,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it opened"),
    }
}

fn key(number: u32) -> SessionKey {
    let mut digest = [7; 32];
    digest[..4].copy_from_slice(&number.to_be_bytes());
    SessionKey::from_digest(digest)
}

fn row(version: u64, expires: Timestamp) -> Row {
    Row { version, private: vec![1; 700], operator: vec![2; 300], indexes: vec![[7; 32]], expires }
}

/// Not over at any time of the tests.
fn lasting(version: u64) -> Row {
    row(version, NOW.plus(Duration::from_secs(36_000)))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test]
async fn r44_what_is_made_is_for_one_user_alone_and_found_again() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("var/lib/keycard");
    let (store, ring) = Embedded::open(&at(&path), KeySource::BesideStore).unwrap();
    let first = ring.sealing_key();
    assert_eq!(mode(&path), 0o700);
    assert_eq!((mode(&path.join("sessions.redb")), mode(&path.join("session.key"))), (0o600, 0o600));
    assert!(store.insert(&key(1), &lasting(1), NOW).await.unwrap());
    store.seen(&key(1), NOW.plus(seconds(5)), seconds(60)).await.unwrap();
    store.ping().await.unwrap();
    drop(store);
    let text = fs::read_to_string(path.join("session.key")).unwrap();
    let (store, ring) = Embedded::open(&at(&path), KeySource::BesideStore).unwrap();
    assert_eq!(ring.sealing_key(), first);
    let found = store.fetch(&key(1), NOW).await.unwrap().unwrap();
    assert_eq!(
        (found.version, found.last_seen),
        (1, Some(NOW.plus(seconds(5)))),
        "touches too, after a stop"
    );
    assert_eq!(fs::read_to_string(path.join("session.key")).unwrap(), text);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
}

#[test]
fn r44_a_database_without_its_key_is_an_error_and_no_new_key_is_made() {
    let root = TempDir::new().unwrap();
    drop(open(root.path()));
    let (file, away) = (root.path().join("session.key"), root.path().join("away"));
    fs::rename(&file, &away).unwrap();
    let text = refusal(root.path(), KeySource::BesideStore);
    assert!(text.contains(&format!("{} is missing", file.display())), "{text}");
    assert!(!file.exists());
    // Another key is as bad as none, wherever it comes from; and the right one may come from anywhere.
    let text = refusal(root.path(), KeySource::Given(keys(&[1])));
    assert!(text.contains("is sealed with a key that is neither"), "{text}");
    fs::write(&file, keys(&[1])[0].to_text().as_bytes()).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    assert!(refusal(root.path(), KeySource::BesideStore).contains("is sealed with a key that is neither"));
    let old = crate::keyring::MasterKey::parse(&fs::read_to_string(&away).unwrap()).unwrap();
    let rotated = vec![keys(&[1]).remove(0), old];
    drop(Embedded::open(&at(root.path()), KeySource::Given(rotated)).unwrap());
    // From that start on the new key is the one that has to be there.
    drop(open(root.path()));
    fs::rename(&away, &file).unwrap();
    assert!(refusal(root.path(), KeySource::BesideStore).contains("is sealed with a key"));
}

#[test]
fn r44_a_key_that_others_may_read_or_that_is_none_is_refused_without_being_quoted() {
    let root = TempDir::new().unwrap();
    drop(open(root.path()));
    let file = root.path().join("session.key");
    let key = fs::read_to_string(&file).unwrap();
    for open_to_others in [0o640, 0o604, 0o620] {
        fs::set_permissions(&file, Permissions::from_mode(open_to_others)).unwrap();
        let text = refusal(root.path(), KeySource::BesideStore);
        assert!(text.contains("may be read by others") && !text.contains(key.trim()), "{text}");
        let lenient = EmbeddedSettings { dev: true, ..at(root.path()) };
        drop(Embedded::open(&lenient, KeySource::BesideStore).unwrap());
    }
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    for damaged in ["", &key[..20], &"A".repeat(5000)] {
        fs::write(&file, damaged).unwrap();
        let text = refusal(root.path(), KeySource::BesideStore);
        assert!(text.contains("does not hold a key"), "{text}");
        assert!(damaged.is_empty() || !text.contains(damaged), "{text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), damaged, "never overwritten");
    }
}

#[test]
fn r44_a_first_start_that_was_cut_off_is_begun_again() {
    let root = TempDir::new().unwrap();
    // The database is there and not sealed yet; the key does not have its name yet.
    let folder = Folder::enter(&at(root.path())).unwrap();
    tables::prepare(&folder.open_database().unwrap()).unwrap();
    fs::write(root.path().join("session.key.new"), "half a k").unwrap();
    drop(open(root.path()));
    assert!(!root.path().join("session.key.new").exists());
    // The key has its name, and the database does not know of it yet.
    fs::remove_file(root.path().join("sessions.redb")).unwrap();
    drop(open(root.path()));
}

#[test]
fn a34_a_second_gateway_on_the_same_file_is_told_so() {
    let root = TempDir::new().unwrap();
    let first = open(root.path());
    let text = refusal(root.path(), KeySource::BesideStore);
    let file = root.path().join("sessions.redb");
    assert!(text.contains(&format!("{} is in use by another process", file.display())), "{text}");
    assert!(text.contains("`session.store_path`"), "{text}");
    first.close();
    drop(open(root.path()));
}

#[test]
fn a34_a_place_that_cannot_be_used_is_named_with_its_key() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below"), Path::new("/proc/keycard").to_owned()] {
        let text = refusal(&path, KeySource::BesideStore);
        assert!(text.contains(&path.display().to_string()), "{text}");
        assert!(text.contains("`session.store_path`"), "{text}");
    }
    let foreign = root.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("sessions.redb"), "this is no database".repeat(1000)).unwrap();
    let text = refusal(&foreign, KeySource::BesideStore);
    assert!(text.contains("sessions.redb cannot be opened"), "{text}");
}

#[tokio::test]
async fn a34_a_damaged_page_is_an_error_at_the_start_and_never_a_panic() {
    let root = TempDir::new().unwrap();
    let store = open(root.path());
    for number in 0..50 {
        store.insert(&key(number), &lasting(1), NOW).await.unwrap();
    }
    drop(store);
    let file = root.path().join("sessions.redb");
    let sound = fs::read(&file).unwrap();
    for place in (0..sound.len()).step_by(sound.len() / 40) {
        let mut damaged = sound.clone();
        for byte in damaged.iter_mut().skip(place).take(512) {
            *byte ^= 0x5a;
        }
        fs::write(&file, &damaged).unwrap();
        // Where it hits a free page nothing is lost; where it does not, that is said.
        if let Ok((store, _)) = Embedded::open(&at(root.path()), KeySource::BesideStore) {
            for number in 0..50 {
                let found = store.fetch(&key(number), NOW).await.unwrap();
                assert!(found.is_some_and(|found| found.private == vec![1; 700]), "damage at {place}");
            }
        }
    }
}

#[tokio::test]
async fn r47_everything_expires_by_the_clock_that_is_passed_in() {
    let root = TempDir::new().unwrap();
    let store = open(root.path());
    let later = |count| NOW.plus(seconds(count));
    let login = LoginId([1; 16]);
    assert!(store.insert(&key(1), &row(1, later(100)), NOW).await.unwrap());
    store.seen(&key(1), later(10), seconds(10)).await.unwrap();
    assert!(store.take_once(login, NOW, seconds(10)).await.unwrap());
    assert!(!store.take_once(login, later(9), seconds(10)).await.unwrap());
    assert!(store.take_once(login, later(10), seconds(10)).await.unwrap());
    assert!(!store.take_once(login, later(19), seconds(10)).await.unwrap(), "the old expiry is void");
    assert_eq!(store.fetch(&key(1), later(19)).await.unwrap().unwrap().last_seen, Some(later(10)));
    assert_eq!(store.fetch(&key(1), later(20)).await.unwrap().unwrap().last_seen, None);
    assert_eq!(store.members(&[[7; 32]], later(99)).await.unwrap(), [key(1)]);
    assert!(store.members(&[[7; 32]], later(100)).await.unwrap().is_empty());
    assert!(store.fetch(&key(1), later(100)).await.unwrap().is_none());
    assert_eq!(store.replace(&key(1), &row(2, later(200)), 1, later(100)).await.unwrap(), Updated::Gone);
    store.seen(&key(1), later(100), seconds(10)).await.unwrap();
    assert!(store.fetch(&key(1), later(100)).await.unwrap().is_none());
    // What has expired is as good as gone: its place can be taken.
    assert!(store.insert(&key(1), &row(1, later(300)), later(100)).await.unwrap());
    assert_eq!(store.replace(&key(1), &row(2, later(400)), 1, later(101)).await.unwrap(), Updated::Done(2));
    assert!(store.insert(&key(2), &row(1, later(900)), later(300)).await.unwrap());
    assert!(store.fetch(&key(1), later(399)).await.unwrap().is_some(), "a longer life is not purged early");
}

#[tokio::test]
async fn r47_the_file_is_as_large_as_what_is_alive() {
    let root = TempDir::new().unwrap();
    let store = open(root.path());
    let mut largest = 0;
    for hour in 0..40_u32 {
        let now = NOW.plus(seconds(3600 * u64::from(hour)));
        let people = (0..50).map(|person| {
            let (store, key) = (&store, key(hour * 50 + person));
            async move {
                let mut row = row(1, now.plus(seconds(7200)));
                row.indexes = vec![[7; 32], *key.as_bytes()];
                assert!(store.insert(&key, &row, now).await.unwrap());
                let login = LoginId(*key.as_bytes().first_chunk().unwrap());
                assert!(store.take_once(login, now, seconds(600)).await.unwrap());
                // Twice, as when a second notice comes: one mark, and one expiry.
                store.mark(key.as_bytes(), now, seconds(300)).await.unwrap();
                store.mark(key.as_bytes(), now, seconds(600)).await.unwrap();
                store.seen(&key, now, seconds(1800)).await.unwrap();
            }
        });
        join_all(people).await;
        let [sessions, seen, indexes, taken, marks, expiry] =
            tables::dump(&store.writer.database().unwrap()).1;
        assert!(
            sessions <= 150 && seen == sessions && indexes == 2 * sessions,
            "{sessions} {seen} {indexes}"
        );
        assert!(taken <= 100 && marks <= 100, "{taken} {marks}");
        assert_eq!(expiry, sessions + taken + marks);
        let length = fs::metadata(root.path().join("sessions.redb")).unwrap().len();
        if hour == 10 {
            largest = length;
        }
        assert!(hour < 10 || length <= largest * 2, "{length} bytes in hour {hour}, {largest} in hour 10");
    }
}

#[tokio::test]
async fn r88_after_the_stop_nothing_is_written_and_nothing_hangs() {
    let root = TempDir::new().unwrap();
    let store = open(root.path());
    assert!(store.insert(&key(1), &lasting(1), NOW).await.unwrap());
    store.close();
    store.close();
    let failed = |answer: Result<bool, StoreError>| matches!(answer, Err(StoreError::Unavailable(_)));
    assert!(failed(store.insert(&key(2), &lasting(1), NOW).await));
    assert!(failed(store.delete(&key(1)).await));
    assert!(failed(store.fetch(&key(1), NOW).await.map(|found| found.is_some())), "an error, never a miss");
    assert!(store.ping().await.is_err());
}
