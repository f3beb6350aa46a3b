//! What leaves on a connection, watched just closely enough.
//!
//! I own: [`ReplyWatch`], which knows the status of the answer that is being written and whether it is the last one. I
//! may call: nothing. I never change a byte, and never read a body.

/// A head of our own that is longer is not watched to its end, and the connection is not used again.
const LONGEST_HEAD: usize = 256 * 1024;

/// Watches the answers of a connection, one at a time.
#[derive(Debug, Default)]
pub struct ReplyWatch {
    head: Vec<u8>,
    seen: Option<Seen>,
}

/// An answer's head, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its status; no interim one but 101.
    pub status: u16,
    /// Whether it says that no other follows on this connection.
    pub is_last: bool,
}

impl ReplyWatch {
    /// Takes note of bytes that were written.
    pub fn saw(&mut self, bytes: &[u8]) {
        if self.seen.is_some() {
            return;
        }
        self.head.extend_from_slice(bytes);
        while self.seen.is_none() {
            let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else {
                if self.head.len() > LONGEST_HEAD {
                    self.seen = Some(Seen { status: 0, is_last: true });
                    self.head = Vec::new();
                }
                return;
            };
            let head: Vec<u8> = self.head.drain(..end + 4).collect();
            self.seen = read(&head).filter(|seen| !(100..200).contains(&seen.status) || seen.status == 101);
        }
        self.head = Vec::new();
    }

    /// Whether not a byte of the answer was written.
    pub fn is_untouched(&self) -> bool {
        self.seen.is_none() && self.head.is_empty()
    }

    /// The head of the answer, once it was written whole.
    pub fn seen(&self) -> Option<Seen> {
        self.seen
    }

    /// Waits for the next answer.
    pub fn next(&mut self) {
        *self = Self::default();
    }
}

fn read(head: &[u8]) -> Option<Seen> {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.split(|byte| *byte == b' ').nth(1);
    let status =
        status.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|text| text.parse().ok());
    let (mut close, mut keep) = (false, false);
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        if !line[..colon].eq_ignore_ascii_case(b"connection") {
            continue;
        }
        for option in line[colon + 1..].split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            close |= option.eq_ignore_ascii_case(b"close");
            keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    // RFC 9112 section 9.3: before HTTP/1.1 a connection is kept only where that is said.
    let is_last = close || (status_line.starts_with(b"HTTP/1.0") && !keep) || status.is_none();
    Some(Seen { status: status.unwrap_or(0), is_last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_in_any_pieces() {
        for (bytes, status, is_last) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, false),
            ("HTTP/1.1 404 Not Found\r\nConnection: Close\r\n\r\nbody", 404, true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, false),
            ("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n", 101, false),
            ("HTTP/1.0 200 OK\r\n\r\n", 200, true),
            ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n", 200, false),
        ] {
            for size in [1, 7, 1000] {
                let mut watch = ReplyWatch::default();
                for piece in bytes.as_bytes().chunks(size) {
                    watch.saw(piece);
                }
                assert_eq!(watch.seen(), Some(Seen { status, is_last }), "{bytes:?}");
            }
        }
        let mut watch = ReplyWatch::default();
        watch.saw(b"HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(watch.seen(), None);
    }
}
