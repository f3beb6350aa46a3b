//! What lies outside of the configuration file: variables and files that it points at.
//!
//! I own: [`Environment`] and [`ProcessEnvironment`], the one reader of the process environment. I may call: `std`.
//! I never keep what I read, and I never write.

use std::io::Read as _;
use std::path::Path;

/// No file that a configuration points at is larger than this.
const MAX_FILE_LENGTH: u64 = 4 * 1024 * 1024;

/// Where a configuration finds what it only points at. Tests bring their own.
pub trait Environment {
    /// The value of an environment variable; `None` when it is not set or is not Unicode.
    fn var(&self, name: &str) -> Option<String>;

    /// All environment variables whose names begin with `prefix`, in any order.
    fn variables(&self, prefix: &str) -> Vec<Variable>;

    /// The content of a file.
    ///
    /// # Errors
    /// When it cannot be read, or is too large to be meant.
    fn read_file(&self, path: &Path) -> std::io::Result<Vec<u8>>;

    /// The permission bits of a file (`0o600`); `None` where there are none, or no such file.
    fn file_mode(&self, path: &Path) -> Option<u32>;

    /// Whether a file belongs to root, who could read it anyway. Where nobody can tell, it does not.
    fn is_of_root(&self, _path: &Path) -> bool {
        false
    }
}

/// An environment variable.
#[derive(Clone)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, which may be a secret; `None` when it is not Unicode.
    pub value: Option<String>,
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the process environment")]
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the process environment")]
    fn variables(&self, prefix: &str) -> Vec<Variable> {
        // Not `vars`, which panics at the first one that is not Unicode.
        let all = std::env::vars_os();
        let named = all.map(|(name, value)| (name.to_string_lossy().into_owned(), value));
        let wanted = named.filter(|(name, _)| name.starts_with(prefix));
        wanted.map(|(name, value)| Variable { name, value: value.into_string().ok() }).collect()
    }

    fn read_file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let length = std::fs::File::open(path)?.take(MAX_FILE_LENGTH + 1).read_to_end(&mut content)?;
        // A device or a pipe never ends.
        if length as u64 > MAX_FILE_LENGTH {
            return Err(std::io::Error::other("it is larger than 4 MiB"));
        }
        Ok(content)
    }

    #[cfg(unix)]
    fn file_mode(&self, path: &Path) -> Option<u32> {
        use std::os::unix::fs::PermissionsExt as _;
        Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o7777)
    }

    #[cfg(unix)]
    fn is_of_root(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(path).is_ok_and(|file| file.uid() == 0)
    }

    #[cfg(not(unix))]
    fn file_mode(&self, _path: &Path) -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_with_their_mode() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "x").unwrap();
        assert_eq!(ProcessEnvironment.read_file(file.path()).unwrap(), b"x");
        assert_eq!(ProcessEnvironment.file_mode(file.path()).map(|mode| mode & 0o077), Some(0));
        assert!(ProcessEnvironment.read_file(Path::new("/nonexistent/file")).is_err());
        assert_eq!(ProcessEnvironment.file_mode(Path::new("/nonexistent/file")), None);
        assert!(ProcessEnvironment.is_of_root(Path::new("/etc/passwd")));
        assert!(!ProcessEnvironment.is_of_root(Path::new("/nonexistent/file")));
        assert_eq!(ProcessEnvironment.var("KEYCARD_NOBODY_SETS_THIS"), None);
        assert!(ProcessEnvironment.variables("KEYCARD_NOBODY_SETS_THIS").is_empty());
        assert!(ProcessEnvironment.variables("CARGO_").iter().any(|one| one.name == "CARGO_PKG_NAME"));
    }

    #[test]
    fn a_file_without_end_is_refused() {
        assert!(ProcessEnvironment.read_file(Path::new("/dev/zero")).is_err());
    }
}
