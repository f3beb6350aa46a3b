//! `keycard sessions export` and `import`: files of sessions.
//!
//! I own: the file on this machine, and the count of what is in it. I may call: `door`. I never overwrite a file, never
//! leave one behind that is not whole, and never let anybody else read one.

use super::door::Door;
use super::{Failure, say};
use futures_util::stream;
use reqwest::Body;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file that stands still for so long on its way here is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much is read of a file at once.
const STEP: usize = 64 * 1024;

#[derive(Serialize)]
struct Exported {
    exported: u64,
    bytes: u64,
}

/// Writes all sessions into a file.
pub(super) async fn export(door: &Door, path: &Path, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let to_file = path != Path::new("-");
    if !to_file && io::stdout().is_terminal() {
        return Err(Failure::Usage("the file is not for terminals: name one, or lead the output on".into()));
    }
    let mut answer = door.fetch("/admin/sessions/export").await?;
    let mut sheet = if to_file { Some(Sheet::begin(path)?) } else { None };
    let (mut count, mut bytes) = (Count::default(), 0_u64);
    loop {
        let piece = match tokio::time::timeout(PATIENCE, answer.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None)) => break,
            Ok(Err(_)) => return Err(Failure::Failed("the gateway broke it off: see its log".into())),
            Err(_) => return Err(Failure::Failed("nothing more comes from the gateway".into())),
        };
        count.add(&piece);
        bytes += piece.len() as u64;
        match &mut sheet {
            Some(sheet) => sheet.file.write_all(&piece)?,
            None => out.write_all(&piece)?,
        }
    }
    let Some(exported) = count.sessions() else {
        return Err(Failure::Failed("the gateway broke it off: see its log".into()));
    };
    match sheet {
        None => Ok(out.flush()?),
        Some(sheet) => {
            sheet.keep()?;
            let sentence = format!("{exported} sessions written, {bytes} bytes");
            say(out, json, &Exported { exported, bytes }, &sentence)
        }
    }
}

/// A file in the making, which goes again unless it is kept.
struct Sheet {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Sheet {
    fn begin(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file =
            file.map_err(|error| Failure::Usage(format!("{} cannot be made: {error}", path.display())))?;
        Ok(Self { file, path: path.to_owned(), kept: false })
    }

    fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        if !self.kept {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Counts the frames of a file, as far as one can without its key: a line, then lengths and so many bytes.
#[derive(Default)]
struct Count {
    in_frames: bool,
    length: Vec<u8>,
    left: u32,
    frames: u64,
}

impl Count {
    fn add(&mut self, mut piece: &[u8]) {
        while let Some((first, rest)) = piece.split_first() {
            if !self.in_frames {
                self.in_frames = *first == b'\n';
                piece = rest;
            } else if self.left > 0 {
                let skipped = piece.len().min(self.left as usize);
                self.left -= u32::try_from(skipped).unwrap_or(self.left);
                self.frames += u64::from(self.left == 0);
                piece = &piece[skipped..];
            } else {
                self.length.push(*first);
                piece = rest;
                if let Ok(length) = <[u8; 4]>::try_from(self.length.as_slice()) {
                    self.length.clear();
                    self.left = u32::from_be_bytes(length);
                }
            }
        }
    }

    /// How many there are besides the last one; `None` where it is not whole.
    fn sessions(&self) -> Option<u64> {
        (self.left == 0 && self.length.is_empty()).then_some(())?;
        self.frames.checked_sub(1)
    }
}

#[derive(Deserialize, Serialize)]
struct TakenIn {
    imported: u64,
    already_there: u64,
    expired: u64,
    ended: u64,
    refused: u64,
    unknown_keys: Vec<String>,
}

/// Sends a file to the gateway.
pub(super) async fn import(
    door: &Door,
    path: &Path,
    again: bool,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let file: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let file = File::open(path);
        Box::new(file.map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))?)
    };
    let pieces = stream::unfold(file, async |mut file| {
        let mut piece = vec![0; STEP];
        match file.read(&mut piece) {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(piece), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    let query: &[(&str, &str)] = if again { &[("again", "true")] } else { &[] };
    let taken: TakenIn = door.post("/admin/sessions/import", query, Body::wrap_stream(pieces)).await?;
    let TakenIn { imported, already_there, expired, ended, refused, unknown_keys } = &taken;
    let sentence = format!(
        "{imported} sessions imported, {already_there} there already, {expired} expired, {ended} ended here since, \
         {refused} refused"
    );
    say(out, json, &taken, &sentence)?;
    if *refused == 0 {
        return Ok(());
    }
    let keys = match unknown_keys.as_slice() {
        [] => "they are damaged".to_owned(),
        keys => format!("these keys are missing in `session.keys`: {}", keys.join(", ")),
    };
    Err(Failure::Failed(format!("{refused} sessions could not be taken in: {keys}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_in_whatever_pieces_and_only_whole_ones() {
        let mut bytes = b"a line\n".to_vec();
        for length in [3_u8, 200, 9] {
            bytes.extend_from_slice(&[0, 0, 0, length]);
            bytes.extend(vec![b'\n'; usize::from(length)]);
        }
        for step in [1, 2, 5, 1000] {
            let mut count = Count::default();
            bytes.chunks(step).for_each(|piece| count.add(piece));
            assert_eq!(count.sessions(), Some(2), "pieces of {step}");
        }
        for cut in [0, 3, 7, 8, bytes.len() - 1, bytes.len() - 10] {
            let mut count = Count::default();
            count.add(&bytes[..cut]);
            assert_eq!(count.sessions(), None, "cut after {cut}");
        }
    }
}
