//! The directory of the store: its files, who may read them, and the key that is made there.
//!
//! I own: [`Folder`]. I may call: `config`, `keyring`, `ports`. I never overwrite a key, never make one for a database
//! that has been sealed with another, and never put one into a message.
//!
//! What is made here is for this user alone: the directory 0700, the files 0600. What is there already keeps its mode;
//! but a key that others may read is refused.

use crate::config::EmbeddedSettings;
use crate::keyring::MasterKey;
use crate::ports::StoreError;
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageError};
use std::fmt::Display;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const DATABASE: &str = "sessions.redb";
const KEY: &str = "session.key";
/// The key under its first name: it takes the other when it is whole and on the disk.
const NEW_KEY: &str = "session.key.new";
/// Pages that are kept in memory. The system caches the file besides.
const CACHE: usize = 64 * 1024 * 1024;
/// A file smaller than this is not worth compacting.
const WORTH_COMPACTING: u64 = 16 * 1024 * 1024;

/// Whether others may read a file; where there are no such bits, nobody can tell.
#[cfg(unix)]
fn exposed_mode(file: &File) -> io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata()?.permissions().mode();
    Ok((mode & 0o077 != 0).then_some(mode & 0o7777))
}

#[cfg(not(unix))]
fn exposed_mode(_file: &File) -> io::Result<Option<u32>> {
    Ok(None)
}

#[cfg(unix)]
fn for_me_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn for_me_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path)
}

/// The directory of the store, which is there.
pub(super) struct Folder {
    path: PathBuf,
    /// A key that others may read will do.
    dev: bool,
}

impl Folder {
    /// Makes the directory if it is missing.
    pub(super) fn enter(settings: &EmbeddedSettings) -> Result<Self, StoreError> {
        // In full: whoever reads the message knows nothing of the directory that this process was started in.
        let path = std::path::absolute(&settings.path).unwrap_or_else(|_| settings.path.clone());
        make_directory(&path).map_err(|error| unusable(&path, &error))?;
        Ok(Self { path, dev: settings.dev })
    }

    /// Opens the database, or makes it, for this process alone.
    pub(super) fn open_database(&self) -> Result<Database, StoreError> {
        self.compacted().map_err(|error| {
            let path = self.path.join(DATABASE);
            match error {
                DatabaseError::DatabaseAlreadyOpen => StoreError::Unavailable(format!(
                    "{} is in use by another process: give each gateway a `session.store_path` of its own, or let \
                     them share sessions with `session.store = \"redis://…\"`",
                    path.display()
                )),
                // redb says with this kind that the content is none of its own.
                DatabaseError::Storage(StorageError::Io(error)) if error.kind() != ErrorKind::InvalidData => unusable(&self.path, &error),
                error => StoreError::Unavailable(format!(
                    "{} cannot be opened: {error}; to begin anew, and sign everybody out, move it away",
                    path.display()
                )),
            }
        })
    }

    /// Opens the database once more.
    pub(super) fn reopen_database(&self) -> Result<Database, DatabaseError> {
        let path = self.path.join(DATABASE);
        let file = for_me_alone(OpenOptions::new().read(true).write(true).create(true)).open(path)?;
        // Its name has to survive a power cut as well as its content.
        File::open(&self.path)?.sync_all()?;
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        // One pass over the file at the start, rather than a panic at the request that comes across a damaged page.
        builder.set_check_integrity_on_open(true);
        builder.create_with_backend(FileBackend::new(file)?)
    }

    /// The file never shrinks by itself: after a busy day it may be mostly free.
    fn compacted(&self) -> Result<Database, DatabaseError> {
        let mut database = self.reopen_database()?;
        let length = std::fs::metadata(self.path.join(DATABASE))?.len();
        if length < WORTH_COMPACTING {
            return Ok(database);
        }
        let used = used_bytes(&database).unwrap_or(u64::MAX);
        if used < length / 2 {
            match database.compact() {
                Ok(_) => tracing::info!(length, used, "the session store was compacted"),
                Err(error) => tracing::warn!(%error, "the session store could not be compacted"),
            }
        }
        Ok(database)
    }

    /// The key beside the database. `is_needed` says that the database has been sealed already: then a key that is
    /// missing is an error, not a reason to make another, which would lose every session in silence.
    pub(super) fn key(&self, is_needed: bool) -> Result<MasterKey, StoreError> {
        let path = self.path.join(KEY);
        match File::open(&path) {
            Ok(file) => self.read_key(&path, file),
            Err(error) if error.kind() == ErrorKind::NotFound && !is_needed => {
                let key = self.make_key().map_err(|error| unusable(&self.path, &error))?;
                tracing::info!(file = %path.display(), "made a new key for sessions; keep it with the store");
                Ok(key)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Err(StoreError::Unavailable(format!(
                "{} is missing, and the sessions beside it are sealed with it: put it back, or set `session.keys`; \
                 to sign everybody out and begin anew, move {DATABASE} away as well",
                path.display()
            ))),
            Err(error) => Err(StoreError::Unavailable(format!("{} cannot be read: {error}", path.display()))),
        }
    }

    fn read_key(&self, path: &Path, file: File) -> Result<MasterKey, StoreError> {
        let told = |what: &dyn Display| StoreError::Unavailable(format!("{} {what}", path.display()));
        let mode = exposed_mode(&file).map_err(|error| told(&format_args!("cannot be read: {error}")))?;
        if let Some(mode) = mode.filter(|_| !self.dev) {
            let others = format_args!(
                "may be read by others (mode {mode:04o}): chmod 600 it, and if others have read it, replace it"
            );
            return Err(told(&others));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(1024)
            .read_to_string(&mut text)
            .map_err(|error| told(&format_args!("cannot be read: {error}")))?;
        let key = MasterKey::parse(&text).filter(|key| !key.is_blank());
        key.ok_or_else(|| told(&"does not hold a key: base64 of exactly 32 bytes, not all of them zero"))
    }

    /// Only who has the database open comes here, so that nobody else makes one at the same time.
    fn make_key(&self) -> io::Result<MasterKey> {
        let key = MasterKey::generate().map_err(io::Error::other)?;
        let new = self.path.join(NEW_KEY);
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            // A start that was cut off before the key had its name has sealed nothing with it.
            Ok(()) | Err(_) => {}
        }
        let mut file = for_me_alone(OpenOptions::new().write(true).create_new(true)).open(&new)?;
        file.write_all(key.to_text().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&new, self.path.join(KEY))?;
        File::open(&self.path)?.sync_all()?;
        Ok(key)
    }

    /// The keys at hand do not open what is in the database.
    pub(super) fn sealed_with_another_key(&self) -> StoreError {
        let path = self.path.join(DATABASE);
        StoreError::Unavailable(format!(
            "{} is sealed with a key that is neither in `session.keys` nor in {KEY} beside it: put that key back, \
             after a new one if there is one; to sign everybody out and begin anew, move the file away",
            path.display()
        ))
    }
}

fn used_bytes(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let stats = transaction.stats()?;
    transaction.abort()?;
    Ok(stats.allocated_pages() * stats.page_size() as u64)
}

fn unusable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!(
        "the directory {} cannot be used: {error}; write a directory that this user may write to into \
         `session.store_path`, such as store_path = \"keycard-data\"",
        path.display()
    ))
}
