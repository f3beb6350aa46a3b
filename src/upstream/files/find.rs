//! From a name to an open file.
//!
//! I own: the walk below a folder, index files, the fallback, and siblings that were compressed beforehand. I may call:
//! `domain::files`, `coding`. I never open what lies outside of the folder once every link is resolved, nor what is
//! hidden, nor anything but a plain file. I block: call me on a thread that may.

use crate::domain::files::Wanted;
use crate::upstream::files::coding::Coding;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// What a directory shows of itself.
const INDEX: &str = "index.html";

/// What a path led to.
pub(super) enum Served {
    /// A file.
    File(Box<Found>),
    /// A directory with an index, asked for without its slash.
    MissingSlash,
    /// Nothing that anybody may see.
    Nothing,
}

/// An open file.
pub(super) struct Found {
    pub(super) file: File,
    /// Its name below the folder, without the ending of a coding.
    pub(super) name: String,
    /// How it is compressed.
    pub(super) coding: Option<Coding>,
    /// Whether it stands in for a file that is not there.
    pub(super) is_fallback: bool,
    /// In bytes.
    pub(super) size: u64,
    /// In seconds since 1970.
    pub(super) modified: i64,
    stamp: (i64, i64, i64),
}

impl Found {
    /// A strong validator (RFC 9110 section 8.8.1). The change time is in it, which nobody can set: builds that give
    /// every file the same date would otherwise make two versions of one length look like one.
    pub(super) fn tag(&self) -> String {
        let (modified, changed, nanos) = self.stamp;
        let coding = self.coding.map_or("", Coding::name);
        format!("\"{:x}-{modified:x}-{changed:x}-{nanos:x}{coding}\"", self.size)
    }
}

/// What to serve for a path; `wanted` is `None` for a path that can mean no file.
///
/// # Errors
/// When the folder, or a file that is there, cannot be read. That is not the same as a file that is not there.
pub(super) fn serve(
    root: &Path,
    wanted: Option<Wanted>,
    fallback: Option<Wanted>,
    codings: &[Coding],
) -> io::Result<Served> {
    // Anew each time: a folder may be a link that a deployment moves.
    let root = fs::canonicalize(root)?;
    if let Some(wanted) = wanted {
        match named(&root, &wanted, codings)? {
            Served::Nothing => {}
            served => return Ok(served),
        }
    }
    let Some(fallback) = fallback else { return Ok(Served::Nothing) };
    Ok(match named(&root, &fallback, codings)? {
        Served::File(found) => Served::File(Box::new(Found { is_fallback: true, ..*found })),
        Served::MissingSlash | Served::Nothing => Served::Nothing,
    })
}

fn named(root: &Path, wanted: &Wanted, codings: &[Coding]) -> io::Result<Served> {
    // Name by name: a link that leads out is a dead end even where another one leads back.
    let Some(mut at) = resolve(root, root)? else { return Ok(Served::Nothing) };
    for name in wanted.names() {
        let Some(next) = resolve(root, &at.0.join(name))? else { return Ok(Served::Nothing) };
        at = next;
    }
    let (real, about) = at;
    if about.is_dir() {
        let Some((index, _)) = resolve(root, &real.join(INDEX))?.filter(|(_, about)| about.is_file()) else {
            return Ok(Served::Nothing);
        };
        if !wanted.directory {
            return Ok(Served::MissingSlash);
        }
        return open(root, &index, codings);
    }
    if wanted.directory {
        return Ok(Served::Nothing);
    }
    open(root, &real, codings)
}

/// The place behind every link, if it lies below `root` and nothing on the way is hidden.
fn resolve(root: &Path, path: &Path) -> io::Result<Option<(PathBuf, Metadata)>> {
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !is_inside(root, &real) {
        return Ok(None);
    }
    let about = fs::metadata(&real)?;
    Ok((about.is_dir() || about.is_file()).then_some((real, about)))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename)
}

fn is_inside(root: &Path, real: &Path) -> bool {
    let hidden = |part: Component<'_>| match part {
        Component::Normal(name) => name.as_bytes().starts_with(b"."),
        _ => true,
    };
    real.strip_prefix(root).is_ok_and(|below| !below.components().any(hidden))
}

/// Opens a resolved file, or the compressed sibling that the client likes best.
fn open(root: &Path, real: &Path, codings: &[Coding]) -> io::Result<Served> {
    let Some(plain) = opened(root, real, None)? else { return Ok(Served::Nothing) };
    for coding in codings {
        let mut sibling = real.as_os_str().to_owned();
        sibling.push(OsStr::new(coding.ending()));
        let Some((sibling, about)) = resolve(root, Path::new(&sibling))? else { continue };
        // One that was left behind by an earlier build is older than what it was made of.
        if !about.is_file() || about.mtime() < plain.modified {
            continue;
        }
        if let Some(found) = opened(root, &sibling, Some(*coding))? {
            return Ok(Served::File(Box::new(Found { name: plain.name, ..found })));
        }
    }
    Ok(Served::File(Box::new(plain)))
}

fn opened(root: &Path, real: &Path, coding: Option<Coding>) -> io::Result<Option<Found>> {
    let file = match File::open(real) {
        Ok(file) => file,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    if !about.is_file() || !is_still_inside(root, &file)? {
        return Ok(None);
    }
    let below = real.strip_prefix(root).unwrap_or(real);
    Ok(Some(Found {
        name: below.to_string_lossy().into_owned(),
        coding,
        is_fallback: false,
        size: about.len(),
        modified: about.mtime(),
        stamp: (about.mtime() * 1_000_000_000 + about.mtime_nsec(), about.ctime(), about.ctime_nsec()),
        file,
    }))
}

/// Between the look and the opening somebody may have put a link there; the kernel knows what was opened.
#[cfg(target_os = "linux")]
fn is_still_inside(root: &Path, file: &File) -> io::Result<bool> {
    use std::os::fd::AsRawFd as _;
    let opened = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok(is_inside(root, &opened))
}

#[cfg(not(target_os = "linux"))]
fn is_still_inside(_: &Path, _: &File) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn found(root: &Path, path: &str, codings: &[Coding]) -> String {
        match serve(root, Wanted::parse(path), None, codings) {
            Ok(Served::File(found)) => {
                format!("{}{}", found.name, found.coding.map_or("", Coding::ending))
            }
            Ok(Served::MissingSlash) => "slash".to_owned(),
            Ok(Served::Nothing) => "nothing".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    /// A folder with everything in it that must not be seen.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for directory in ["dist/docs", "dist/.git", "dist/empty", "other"] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        for file in ["dist/index.html", "dist/docs/index.html", "dist/a.js", "dist/.git/config", "dist/.env"]
        {
            fs::write(at(file), file).unwrap();
        }
        fs::write(at("other/secret"), "secret").unwrap();
        for (target, link) in [
            (at("other/secret"), "dist/link"),
            (at("other"), "dist/dir"),
            (folder.path().to_owned(), "dist/out"),
            (at("dist/a.js"), "dist/inner.js"),
            (at("dist/.env"), "dist/env"),
            (at("dist/loop"), "dist/loop"),
            (PathBuf::from("../other/secret"), "dist/up"),
        ] {
            symlink(target, at(link)).unwrap();
        }
        folder
    }

    #[test]
    fn a29_nothing_outside_and_nothing_hidden_is_ever_found() {
        let folder = folder();
        let root = folder.path().join("dist");
        for (path, expected) in [
            ("/", "index.html"),
            ("/docs/", "docs/index.html"),
            ("/docs", "slash"),
            ("/a.js", "a.js"),
            ("/inner.js", "a.js"),
            ("/a.js/", "nothing"),
            ("/a.js/b", "nothing"),
            ("/empty/", "nothing"),
            ("/empty", "nothing"),
            ("/gone", "nothing"),
            ("/.env", "nothing"),
            ("/.git/config", "nothing"),
            ("/env", "nothing"),
            ("/link", "nothing"),
            ("/up", "nothing"),
            ("/dir/secret", "nothing"),
            ("/out/dist/a.js", "nothing"),
        ] {
            assert_eq!(found(&root, path, &[]), expected, "{path}");
        }
        assert_eq!(found(&root, &format!("/{}", "x".repeat(300)), &[]), "nothing");
        assert_ne!(found(&root, "/loop", &[]), "loop");
        assert_eq!(
            found(&root.join("gone"), "/", &[]),
            "NotFound",
            "a folder that is gone is no missing file"
        );
    }

    #[test]
    fn a_folder_may_be_a_link_that_moves() {
        let folder = folder();
        let current = folder.path().join("current");
        symlink(folder.path().join("dist"), &current).unwrap();
        assert_eq!(found(&current, "/a.js", &[]), "a.js");
        fs::remove_file(&current).unwrap();
        symlink(folder.path().join("other"), &current).unwrap();
        assert_eq!(found(&current, "/a.js", &[]), "nothing");
    }

    #[test]
    fn compressed_siblings_are_taken_in_the_clients_order_unless_they_are_stale() {
        let folder = folder();
        let root = folder.path().join("dist");
        for sibling in ["a.js.gz", "a.js.br"] {
            fs::write(root.join(sibling), sibling).unwrap();
        }
        assert_eq!(found(&root, "/a.js", &[Coding::Zstd, Coding::Gzip, Coding::Brotli]), "a.js.gz");
        assert_eq!(found(&root, "/a.js", &[Coding::Brotli]), "a.js.br");
        assert_eq!(found(&root, "/a.js", &[]), "a.js");
        let sibling = File::options().write(true).open(root.join("a.js.br")).unwrap();
        let plain = fs::metadata(root.join("a.js")).unwrap().modified().unwrap();
        sibling.set_modified(plain - std::time::Duration::from_secs(60)).unwrap();
        assert_eq!(found(&root, "/a.js", &[Coding::Brotli]), "a.js");
        symlink(folder.path().join("other/secret"), root.join("a.js.zst")).unwrap();
        assert_eq!(found(&root, "/a.js", &[Coding::Zstd]), "a.js", "a sibling is no way out either");
    }

    #[test]
    fn the_fallback_stands_in_and_is_told_apart() {
        let folder = folder();
        let root = folder.path().join("dist");
        let serve = |path: Option<&str>| {
            serve(&root, path.and_then(Wanted::parse), Wanted::parse("index.html"), &[]).unwrap()
        };
        for (path, expected) in [(Some("/a.js"), false), (Some("/people/7"), true), (None, true)] {
            let Served::File(found) = serve(path) else { panic!("{path:?}") };
            assert_eq!(found.is_fallback, expected, "{path:?}");
        }
    }
}
