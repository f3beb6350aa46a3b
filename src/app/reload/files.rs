//! When a file of the configuration has changed.
//!
//! I own: [`Files`], and the crate notify. I may call: `std`. I never say what has changed, and never read a file: I
//! watch folders, since Kubernetes swaps a link in one and editors put a new file in the old one's place, and whoever
//! asked reads again and compares.

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// How long it has to be quiet before anybody is told: a change has several steps.
const QUIET: Duration = Duration::from_millis(200);

/// How long that is waited for where it is never quiet, such as beside a log file.
const LONGEST_NOISE: Duration = Duration::from_secs(2);

/// When to look without having been told: file systems of other machines do not tell.
const LOOK_ANYWAY: Duration = Duration::from_secs(30);

/// How many links are followed from a file to what it really is.
const MOST_LINKS: usize = 8;

/// A watch over the folders of some files.
pub(super) struct Files {
    news: Arc<Notify>,
    folders: BTreeSet<PathBuf>,
    /// `None` where there is none to be had: then there are only the looks without having been told.
    watcher: Option<RecommendedWatcher>,
}

impl Files {
    /// Watches the folders of these files.
    pub(super) fn watch(paths: &[PathBuf]) -> Self {
        let mut files = Self { news: Arc::default(), folders: BTreeSet::new(), watcher: None };
        files.watch_again(paths);
        files
    }

    /// Watches the folders of these files, as they are now: one of the same name may be another one. Whether they have
    /// other names than before.
    pub(super) fn watch_again(&mut self, paths: &[PathBuf]) -> bool {
        let folders: BTreeSet<PathBuf> = paths.iter().flat_map(|path| folders_of(path)).collect();
        let new = watcher(&folders, &self.news);
        // The old one is dropped when the new one listens already.
        self.watcher = match new {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(%error, "changes of files are noticed late: they cannot be watched");
                None
            }
        };
        let others = folders != self.folders;
        self.folders = folders;
        others
    }

    /// Completes when something in the folders has changed and it is quiet again, or when it is time to look anyway.
    pub(super) async fn changed(&self) {
        if timeout(LOOK_ANYWAY, self.news.notified()).await.is_err() {
            return;
        }
        let noise_until = Instant::now() + LONGEST_NOISE;
        while Instant::now() < noise_until && timeout(QUIET, self.news.notified()).await.is_ok() {}
    }
}

fn watcher(folders: &BTreeSet<PathBuf>, news: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let news = Arc::clone(news);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // An error is a reason to look, too.
        if event.map_or(true, |event| is_change(&event)) {
            news.notify_one();
        }
    })?;
    for folder in folders {
        // One that is not there, or not readable, must not keep the others from being watched.
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::warn!(folder = %folder.display(), %error, "changes in a folder are noticed late: it cannot be watched");
        }
    }
    Ok(watcher)
}

/// Our own reading is none.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// The folder of a file, and of everything that it is a link to.
fn folders_of(path: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let target = path.read_link();
        let next = target.map(|target| folder.join(target));
        folders.insert(folder);
        match next {
            Ok(next) => path = next,
            Err(_) => break,
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// Far less than [`LOOK_ANYWAY`], so that being told is what is tested.
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn every_folder_on_the_way_to_a_file_is_watched() {
        let root = TempDir::new().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("one")).unwrap();
        fs::create_dir(at("two")).unwrap();
        symlink("../two/real.toml", at("one/keycard.toml")).unwrap();
        let expected = BTreeSet::from([at("one"), at("one/../two")]);
        assert_eq!(folders_of(&at("one/keycard.toml")), expected);
        assert_eq!(folders_of(Path::new("keycard.toml")), BTreeSet::from([PathBuf::from(".")]));
        symlink("loop", at("loop")).unwrap();
        assert_eq!(folders_of(&at("loop")), BTreeSet::from([root.path().to_owned()]));
    }

    #[tokio::test]
    async fn a_link_that_is_swapped_is_told_and_a_reading_is_not() {
        let root = TempDir::new().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("1")).unwrap();
        fs::create_dir(at("2")).unwrap();
        for version in ["1", "2"] {
            fs::write(at(&format!("{version}/keycard.toml")), version).unwrap();
        }
        symlink("1", at("..data")).unwrap();
        symlink("..data/keycard.toml", at("keycard.toml")).unwrap();
        let files = Files::watch(&[at("keycard.toml")]);
        assert_eq!(fs::read(at("keycard.toml")).unwrap(), b"1");
        assert!(timeout(QUIET * 2, files.changed()).await.is_err());
        symlink("2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(timeout(PATIENCE, files.changed()).await.is_ok());
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_does_not_hide_the_others() {
        let root = TempDir::new().unwrap();
        let files = Files::watch(&[root.path().join("gone/secret"), root.path().join("keycard.toml")]);
        fs::write(root.path().join("keycard.toml"), "").unwrap();
        assert!(timeout(PATIENCE, files.changed()).await.is_ok());
    }
}
