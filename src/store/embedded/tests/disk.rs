//! A disk whose power can be cut, and which can fail (R88, A34).
//!
//! I own: [`Disk`], which keeps what was synced apart from what was only written. After a cut some of what was only
//! written is there and some is not, in no order: that is all that a real disk promises.

use super::{Embedded, key, lasting, tables};
use crate::domain::login::LoginId;
use crate::domain::session::SessionKey;
use crate::ports::{StoreError, Updated};
use crate::store::Backend as _;
use crate::store::contract::house::NOW;
use futures_util::future::join_all;
use redb::{Database, DatabaseError, StorageBackend};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Default)]
struct Disk {
    platter: Mutex<Platter>,
    fails: AtomicBool,
    syncs: AtomicUsize,
    /// How many operations of the test have been answered.
    answered: AtomicUsize,
    /// Pictures of the moment after a power cut, each with how many operations had been answered by then.
    pictures: Mutex<Vec<(usize, Vec<u8>)>>,
    /// After how many writes the next picture is taken; 0 for never.
    every: AtomicUsize,
    writes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Platter {
    live: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl Disk {
    fn from(content: Vec<u8>) -> Arc<Self> {
        let disk = Self::default();
        *disk.platter.lock().unwrap() =
            Platter { live: content.clone(), synced: content, unsynced: Vec::new() };
        Arc::new(disk)
    }

    fn open(self: &Arc<Self>) -> Result<Database, DatabaseError> {
        Database::builder().create_with_backend(Handle(Arc::clone(self)))
    }

    fn store(self: &Arc<Self>) -> Embedded {
        let database = self.open().unwrap();
        tables::prepare(&database).unwrap();
        let disk = Arc::clone(self);
        Embedded::over(database, Box::new(move || disk.open())).unwrap()
    }

    /// What is there after a power cut; the bits of `luck` decide about what was not synced.
    fn cut(&self, luck: u64) -> Vec<u8> {
        let platter = self.platter.lock().unwrap();
        let mut content = platter.synced.clone();
        content.resize(platter.live.len().max(content.len()), 0);
        for (at, (offset, bytes)) in platter.unsynced.iter().enumerate() {
            if luck.rotate_right(at as u32 * 7) & 1 == 1 {
                content[*offset..*offset + bytes.len()].copy_from_slice(bytes);
            }
        }
        content
    }

    fn works(&self) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) { Err(io::Error::other("the disk is broken")) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct Handle(Arc<Disk>);

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.0.works()?;
        Ok(self.0.platter.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.works()?;
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.0.platter.lock().unwrap().live[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.works()?;
        let mut platter = self.0.platter.lock().unwrap();
        let len = usize::try_from(len).unwrap();
        platter.live.resize(len, 0);
        platter.unsynced.retain(|(offset, bytes)| offset + bytes.len() <= len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.works()?;
        let mut platter = self.0.platter.lock().unwrap();
        platter.synced = platter.live.clone();
        platter.unsynced.clear();
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.works()?;
        let offset = usize::try_from(offset).unwrap();
        {
            let mut platter = self.0.platter.lock().unwrap();
            platter.live[offset..offset + data.len()].copy_from_slice(data);
            platter.unsynced.push((offset, data.to_vec()));
        }
        let count = self.0.writes.fetch_add(1, Ordering::SeqCst);
        if count.checked_rem(self.0.every.load(Ordering::SeqCst)) == Some(0) {
            let answered = self.0.answered.load(Ordering::SeqCst);
            // A different luck each time, the same in every run.
            let picture = self.0.cut((count as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            self.0.pictures.lock().unwrap().push((answered, picture));
        }
        Ok(())
    }
}

/// What the test does, in order.
fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    for number in 0..24 {
        steps.extend([Step::Insert(number), Step::Seen(number), Step::Replace(number)]);
        if number % 3 == 2 {
            steps.extend([Step::Delete(number - 1), Step::Seen(number)]);
        }
    }
    steps
}

#[derive(Clone, Copy)]
enum Step {
    Insert(u32),
    Seen(u32),
    Replace(u32),
    Delete(u32),
}

/// The versions of the sessions that are there after so many steps.
fn versions(steps: &[Step]) -> Vec<Option<u64>> {
    let mut versions = vec![None; 24];
    for step in steps {
        match *step {
            Step::Insert(number) => versions[number as usize] = Some(1),
            Step::Replace(number) => versions[number as usize] = Some(2),
            Step::Delete(number) => versions[number as usize] = None,
            Step::Seen(_) => {}
        }
    }
    versions
}

#[tokio::test]
async fn r88_a_power_cut_at_any_write_loses_nothing_that_was_answered() {
    let disk = Disk::from(Vec::new());
    let store = disk.store();
    disk.every.store(17, Ordering::SeqCst);
    let steps = steps();
    for step in &steps {
        match *step {
            Step::Insert(number) => assert!(store.insert(&key(number), &lasting(1), NOW).await.unwrap()),
            Step::Seen(number) => store.seen(&key(number), NOW, Duration::from_secs(60)).await.unwrap(),
            Step::Replace(number) => {
                let done = store.replace(&key(number), &lasting(2), 1, NOW).await.unwrap();
                assert_eq!(done, Updated::Done(2));
            }
            Step::Delete(number) => assert!(store.delete(&key(number)).await.unwrap()),
        }
        disk.answered.fetch_add(1, Ordering::SeqCst);
    }
    let pictures = std::mem::take(&mut *disk.pictures.lock().unwrap());
    assert!(pictures.len() > 20, "{} pictures", pictures.len());
    for (answered, picture) in pictures {
        let after = Disk::from(picture).store();
        let mut found = Vec::new();
        for number in 0..24 {
            found.push(after.fetch(&key(number), NOW).await.unwrap().map(|found| found.version));
        }
        // The one that was under way may have happened or not.
        let allowed = [versions(&steps[..answered]), versions(&steps[..(answered + 1).min(steps.len())])];
        assert!(allowed.contains(&found), "after {answered} answers: {found:?}");
    }
}

#[tokio::test]
async fn r47_touches_alone_do_not_wait_for_the_disk_and_reach_it_with_the_stop() {
    let disk = Disk::from(Vec::new());
    let store = disk.store();
    let keys: Vec<SessionKey> = (0..40).map(key).collect();
    let before = disk.syncs.load(Ordering::SeqCst);
    let rows: Vec<_> = keys.iter().map(|key| (key, lasting(1))).collect();
    join_all(rows.iter().map(|(key, row)| store.insert(key, row, NOW))).await;
    let inserted = disk.syncs.load(Ordering::SeqCst);
    assert!((before + 1..before + 40).contains(&inserted), "those that come together share a commit");
    let later = NOW.plus(Duration::from_secs(5));
    join_all(keys.iter().map(|key| store.seen(key, later, Duration::from_secs(60)))).await;
    assert_eq!(disk.syncs.load(Ordering::SeqCst), inserted);
    // What changes nothing costs nothing.
    assert!(!store.insert(&keys[0], &lasting(1), NOW).await.unwrap());
    assert!(!store.delete(&key(99)).await.unwrap());
    assert_eq!(store.replace(&keys[0], &lasting(9), 8, NOW).await.unwrap(), Updated::Conflict);
    store.ping().await.unwrap();
    assert_eq!(disk.syncs.load(Ordering::SeqCst), inserted);
    // Read back at once, and after the stop from what was synced alone.
    for again in [store, { Disk::from(disk.cut(0)).store() }] {
        for key in &keys {
            assert!(again.fetch(key, NOW).await.unwrap().is_some());
        }
    }
    let kept = Disk::from(disk.cut(0)).store();
    assert_eq!(kept.fetch(&keys[0], later).await.unwrap().unwrap().last_seen, Some(later));
}

#[tokio::test]
async fn a34_a_disk_that_fails_is_an_error_and_works_again_without_a_restart() {
    let disk = Disk::from(Vec::new());
    let store = disk.store();
    assert!(store.insert(&key(1), &lasting(1), NOW).await.unwrap());
    disk.fails.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let answer = store.insert(&key(2), &lasting(1), NOW).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        assert!(store.delete(&key(1)).await.is_err());
        assert!(store.take_once(LoginId([1; 16]), NOW, Duration::from_secs(60)).await.is_err());
        assert!(store.ping().await.is_err());
        let read = store.fetch(&key(1), NOW).await;
        assert!(!matches!(read, Ok(None)), "an error is never a miss");
    }
    disk.fails.store(false, Ordering::SeqCst);
    store.ping().await.unwrap();
    assert!(store.fetch(&key(1), NOW).await.unwrap().is_some(), "an ending that failed did not happen");
    assert!(store.fetch(&key(2), NOW).await.unwrap().is_none());
    assert!(store.insert(&key(2), &lasting(1), NOW).await.unwrap());
}
