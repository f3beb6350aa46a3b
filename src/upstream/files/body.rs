//! A file on its way to a browser.
//!
//! I own: [`FileBody`]. I may call: `reply` (its error). I never hold more than one piece, and I never end a body as
//! complete when the file has become shorter meanwhile.

use crate::upstream::reply::ReplyError;
use bytes::Bytes;
use futures_util::Stream;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::task::JoinHandle;

/// What is read at a time, in bytes: large enough that the change of threads costs little.
const PIECE: usize = 128 * 1024;

/// Some bytes of an open file. Reads when it is polled, one piece ahead of nobody.
pub(crate) struct FileBody {
    file: Arc<File>,
    at: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    /// `length` bytes from `at`.
    pub(super) fn new(file: Arc<File>, at: u64, length: u64) -> Self {
        Self { file, at, left: length, reading: None }
    }
}

impl Stream for FileBody {
    type Item = Result<Bytes, ReplyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let reading = this.reading.get_or_insert_with(|| {
            let (file, at) = (Arc::clone(&this.file), this.at);
            let length = usize::try_from(this.left).unwrap_or(PIECE).min(PIECE);
            tokio::task::spawn_blocking(move || read(&file, at, length))
        });
        let Poll::Ready(done) = Pin::new(reading).poll(cx) else { return Poll::Pending };
        this.reading = None;
        match done {
            Ok(Ok(piece)) if !piece.is_empty() => {
                this.at += piece.len() as u64;
                this.left = this.left.saturating_sub(piece.len() as u64);
                Poll::Ready(Some(Ok(piece)))
            }
            // Unreadable, or cut short by somebody who writes into it instead of putting a new one in its place.
            _ => {
                this.left = 0;
                Poll::Ready(Some(Err(ReplyError::Broken)))
            }
        }
    }
}

/// As much as there is in one reading; nothing at the end of the file.
fn read(file: &File, at: u64, length: usize) -> io::Result<Bytes> {
    let mut piece = vec![0; length];
    loop {
        match file.read_at(&mut piece, at) {
            Ok(count) => {
                piece.truncate(count);
                return Ok(Bytes::from(piece));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;

    async fn pieces(mut body: FileBody) -> Vec<Result<usize, ReplyError>> {
        let mut all = Vec::new();
        while let Some(piece) = body.next().await {
            all.push(piece.map(|piece| piece.len()));
        }
        all
    }

    #[tokio::test]
    async fn a_file_comes_in_pieces_and_a_file_that_shrinks_is_cut_off() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(2 * PIECE as u64 + 5).unwrap();
        let file = Arc::new(file);
        let body = |at, length| FileBody::new(Arc::clone(&file), at, length);
        assert_eq!(pieces(body(0, 2 * PIECE as u64 + 5)).await, [Ok(PIECE), Ok(PIECE), Ok(5)]);
        assert_eq!(pieces(body(7, 3)).await, [Ok(3)]);
        assert_eq!(pieces(body(0, 0)).await, []);
        let shrinking = body(0, 2 * PIECE as u64);
        file.set_len(PIECE as u64).unwrap();
        assert_eq!(pieces(shrinking).await, [Ok(PIECE), Err(ReplyError::Broken)]);
    }
}
