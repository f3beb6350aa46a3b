//! Where a demo keeps what outlives it.
//!
//! I own: one folder for each port, readable by its owner alone, and where the program itself lies. I may call: `config`
//! for the environment. I never write outside of it, and what I cannot keep the demo does without.

use crate::config::environment::Environment;
use crate::keyring;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The folder of a demo.
pub(super) struct Folder {
    path: PathBuf,
    /// Made for this run alone, and gone with it.
    passing: bool,
}

impl Folder {
    /// The folder of the demo on this port: `keycard-demo/<port>` among the user's data. A demo on just any port, or of a
    /// user without a home, gets a folder that goes when it ends.
    pub(super) fn open(environment: &dyn Environment, port: Option<u16>) -> io::Result<Self> {
        let data = environment
            .var("XDG_DATA_HOME")
            .filter(|path| Path::new(path).is_absolute())
            .map(PathBuf::from)
            .or_else(|| Some(Path::new(&environment.var("HOME")?).join(".local/share")));
        if let Some((data, port)) = data.zip(port) {
            let path = data.join("keycard-demo").join(port.to_string());
            if make(&path).is_ok() {
                return Ok(Self { path, passing: false });
            }
        }
        let name = keyring::new_text::<12>().map_err(io::Error::other)?;
        let path = std::env::temp_dir().join(format!("keycard-demo-{}", *name));
        make(&path)?;
        Ok(Self { path, passing: true })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A file that an earlier run has written.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path.join(name)).ok()
    }

    /// Writes a file for the owner's eyes only.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.path.join(name))?.write_all(content)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.passing {
            // What is left behind in a folder for passing things is swept by the system.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

/// Where the program that runs here is; by its name alone where the system does not tell.
pub(super) fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("keycard"))
}

fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
