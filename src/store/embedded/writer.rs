//! The one thread that writes: many operations, one commit.
//!
//! I own: the queue, the thread, and when a commit is durable. I may call: `domain`, `ports`, `tables`, the room's own
//! types. I never answer an operation before the commit that holds it has returned.
//!
//! While a commit runs, operations gather in the queue; the next commit takes all of them, so that a slow disk makes
//! commits larger, not the queue longer. A commit that holds anything but touches is durable when it returns. Touches
//! alone are committed to memory, readable at once, and reach the disk with the next durable commit or after
//! [`SAVE_AFTER`]: a crash may forget the last few seconds of use, and nothing else.

use crate::domain::login::LoginId;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::ports::{StoreError, Updated};
use crate::store::embedded::tables::Tables;
use crate::store::transfer::Parcel;
use crate::store::{IndexName, Row};
use redb::{Database, DatabaseError, Durability};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Touches that no durable commit took along are written after this long.
const SAVE_AFTER: Duration = Duration::from_secs(3);
/// Operations that may wait; who comes then is told that the store is busy.
const LONGEST_QUEUE: usize = 4096;
const LARGEST_BATCH: usize = 512;
/// Besides twice the size of the batch: expiries are always cleared faster than new ones are made.
const PURGE_STEP: usize = 64;

/// One operation that may change something.
pub(super) enum Write {
    Insert(SessionKey, Row, Timestamp),
    Replace(SessionKey, Row, u64, Timestamp),
    Delete(SessionKey),
    /// Only in this version.
    DeleteAt(SessionKey, u64),
    /// A debt that is due from then on.
    Owe(Vec<u8>, Timestamp),
    /// Debts that are due then, if they are still there.
    Defer(Vec<Vec<u8>>, Timestamp),
    Settle(Vec<u8>),
    /// Used at the first moment; that counts until the second.
    Seen(SessionKey, Timestamp, Timestamp),
    /// Taken at the first moment, until the second.
    Take(LoginId, Timestamp, Timestamp),
    /// Noted at the first moment, until the second.
    Mark(IndexName, Timestamp, Timestamp),
    /// A row of another store, at this moment.
    Place(Box<Parcel>, Timestamp),
    /// Changes nothing; finds out whether the database can be written to, and opens it again if it cannot.
    Check,
}

impl Write {
    fn apply(&self, tables: &mut Tables<'_>) -> Result<Updated, redb::Error> {
        match self {
            Self::Insert(key, row, now) => tables.insert(key, row, *now),
            Self::Replace(key, row, expected, now) => tables.replace(key, row, *expected, *now),
            Self::Delete(key) => tables.delete(key),
            Self::DeleteAt(key, version) => tables.delete_at(key, *version),
            Self::Owe(debt, due) => tables.owe(debt, *due),
            Self::Defer(debts, due) => tables.defer(debts, *due),
            Self::Settle(debt) => tables.settle(debt),
            Self::Seen(key, now, until) => tables.note_seen(key, *now, *until),
            Self::Take(login, now, until) => tables.take(*login, *now, *until),
            Self::Mark(name, now, until) => tables.mark(name, *now, *until),
            Self::Place(parcel, now) => tables.place(parcel, *now),
            Self::Check => Ok(Updated::Gone),
        }
    }

    fn now(&self) -> Option<Timestamp> {
        match self {
            Self::Insert(_, _, now) | Self::Replace(_, _, _, now) => Some(*now),
            Self::Seen(_, now, _) | Self::Take(_, now, _) | Self::Mark(_, now, _) => Some(*now),
            Self::Delete(_) | Self::DeleteAt(..) | Self::Check => None,
            Self::Owe(..) | Self::Defer(..) | Self::Settle(_) => None,
            Self::Place(_, now) => Some(*now),
        }
    }
}

type Answer = Result<Updated, StoreError>;

struct Job {
    write: Write,
    answer: oneshot::Sender<Answer>,
}

/// How the database is opened: also again, after a disk has failed.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// The database, as long as it is open.
struct Shelf {
    opener: Opener,
    database: Mutex<Option<Arc<Database>>>,
}

impl Shelf {
    /// Nothing panics with the lock held, so a poisoned one still guards a sound value.
    fn slot(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> Option<Arc<Database>> {
        self.slot().clone()
    }
}

/// The door to the writing thread.
pub(super) struct Writer {
    shelf: Arc<Shelf>,
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(super) fn start(database: Database, opener: Opener) -> std::io::Result<Self> {
        let shelf = Arc::new(Shelf { opener, database: Mutex::new(Some(Arc::new(database))) });
        let (queue, jobs) = sync_channel(LONGEST_QUEUE);
        let inside = Arc::clone(&shelf);
        let thread =
            std::thread::Builder::new().name("keycard-store".into()).spawn(move || run(&inside, &jobs))?;
        Ok(Self { shelf, queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    /// The database, to read from. Not to be kept: it closes with the last of these.
    pub(super) fn database(&self) -> Result<Arc<Database>, StoreError> {
        self.shelf.database().ok_or_else(|| StoreError::Unavailable("the database is not open".into()))
    }

    /// Queues an operation; its answer comes after its commit.
    pub(super) fn send(&self, write: Write) -> Result<oneshot::Receiver<Answer>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || StoreError::Unavailable("the database is closed".into());
        match queue.as_ref().ok_or_else(closed)?.try_send(Job { write, answer }) {
            Ok(()) => Ok(answered),
            Err(TrySendError::Full(_)) => {
                Err(StoreError::Unavailable("too many writes are waiting for the disk".into()))
            }
            Err(TrySendError::Disconnected(_)) => Err(closed()),
        }
    }

    /// Writes what is queued and what is not durable yet, and closes the file.
    pub(super) fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the session store has failed");
        }
        drop(self.shelf.slot().take());
    }
}

fn run(shelf: &Shelf, jobs: &Receiver<Job>) {
    let mut unsaved: Option<Instant> = None;
    loop {
        let first = match unsaved {
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => jobs.recv_timeout(SAVE_AFTER.saturating_sub(since.elapsed())),
        };
        let batch: Vec<Job> = match first {
            Ok(job) => std::iter::once(job).chain(jobs.try_iter().take(LARGEST_BATCH - 1)).collect(),
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let save = unsaved.is_some_and(|since| since.elapsed() >= SAVE_AFTER);
        if shelf.database().is_none() {
            reopen(shelf);
        }
        match write_batch(shelf, &batch, save) {
            Ok((outcomes, saved)) => {
                unsaved = match saved {
                    Saved::Durably => None,
                    Saved::InMemory => unsaved.or_else(|| Some(Instant::now())),
                    Saved::Nothing => unsaved,
                };
                for (job, outcome) in batch.into_iter().zip(outcomes) {
                    // Who has gone away meanwhile does not need the answer.
                    let _ = job.answer.send(Ok(outcome));
                }
            }
            Err(error) => {
                unsaved = None;
                reopen(shelf);
                for job in batch {
                    let _ = job.answer.send(Err(unavailable(&error)));
                }
            }
        }
    }
    if unsaved.is_some()
        && let Err(error) = write_batch(shelf, &[], true)
    {
        tracing::warn!(%error, "the last uses of sessions could not be written");
    }
}

/// What a batch left on the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saved {
    /// Everything up to here.
    Durably,
    /// It can be read, and is not on the disk yet.
    InMemory,
    /// It changed nothing.
    Nothing,
}

fn write_batch(shelf: &Shelf, batch: &[Job], save: bool) -> Result<(Vec<Updated>, Saved), redb::Error> {
    let database = shelf.database().ok_or(redb::Error::DatabaseClosed)?;
    let mut transaction = database.begin_write()?;
    let mut saved = if save { Saved::Durably } else { Saved::Nothing };
    let mut outcomes = Vec::with_capacity(batch.len());
    {
        let mut tables = Tables::of(&transaction)?;
        for job in batch {
            let outcome = job.write.apply(&mut tables)?;
            saved = match (&job.write, outcome) {
                (Write::Seen(..), Updated::Done(_)) if saved == Saved::Nothing => Saved::InMemory,
                (Write::Seen(..), _) | (_, Updated::Conflict | Updated::Gone) => saved,
                (_, Updated::Done(_)) => Saved::Durably,
            };
            outcomes.push(outcome);
        }
        // Only along with something durable: to forget what has expired is worth no commit of its own.
        if saved == Saved::Durably
            && let Some(now) = batch.iter().filter_map(|job| job.write.now()).max()
        {
            tables.purge(now, PURGE_STEP + 2 * batch.len())?;
        }
    }
    transaction.set_durability(match saved {
        Saved::Durably => Durability::Immediate,
        Saved::InMemory | Saved::Nothing => Durability::None,
    })?;
    match saved {
        Saved::Nothing => transaction.abort()?,
        Saved::Durably | Saved::InMemory => transaction.commit()?,
    }
    Ok((outcomes, saved))
}

/// After an error of the disk redb answers nothing more until the file is opened again, which brings it back to its
/// last durable commit. What fails here is tried again with the next operation.
fn reopen(shelf: &Shelf) {
    drop(shelf.slot().take());
    match (shelf.opener)() {
        Ok(database) => {
            *shelf.slot() = Some(Arc::new(database));
            tracing::warn!("the session store has failed and was opened again");
        }
        Err(error) => tracing::error!(%error, "the session store has failed and cannot be opened again"),
    }
}

/// What a failure of the database means for who asked.
pub(super) fn unavailable(error: &redb::Error) -> StoreError {
    match error {
        redb::Error::Corrupted(_) => StoreError::Unreadable("the database file is damaged"),
        error => StoreError::Unavailable(error.to_string()),
    }
}
