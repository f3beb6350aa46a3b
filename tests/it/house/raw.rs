//! HTTP/1.1 by hand: exactly these bytes out, exactly those bytes in.
//!
//! I own: [`Connection`], [`Answer`], [`send`]. The browser speaks through me too, so that what a gateway said is
//! recorded byte for byte. I never add, fold, sort or decode a header.

use super::evidence;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a test waits for bytes that never come.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer: status, headers in order and as sent (Latin-1), body without its framing.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The statuses of the 1xx answers that came before.
    pub interim: Vec<u16>,
}

impl Answer {
    /// The values of one header, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The first value of one header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.text()))
    }
}

/// A connection to a gateway, for one request after another.
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    recorded: bool,
}

/// How an answer's body is framed.
enum Framing {
    Nothing,
    Length(usize),
    Chunked,
    ToTheEnd,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::connect(address, true)
    }

    /// A connection to somebody else, whose answers are not evidence.
    pub fn to_stranger(address: SocketAddr) -> Self {
        Self::connect(address, false)
    }

    /// A connection from one of the addresses of this machine, as from another client.
    pub fn from(source: Ipv4Addr, address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((source, 0).into()).unwrap();
            socket.connect(address).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        Self::over(stream, true)
    }

    /// A connection to a gateway, unless it lets nobody in.
    pub fn try_open(address: SocketAddr) -> Option<Self> {
        TcpStream::connect(address).ok().map(|stream| Self::over(stream, true))
    }

    fn connect(address: SocketAddr, recorded: bool) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), recorded)
    }

    fn over(stream: TcpStream, recorded: bool) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new(), recorded }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        // A gateway may refuse and close before it has read everything; its answer says more than the error.
        let _ = self.stream.write_all(bytes);
    }

    /// Reads an answer's head and leaves its body on the wire.
    pub fn head(&mut self) -> Option<Answer> {
        let mut interim = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                    break at + 4;
                }
                if self.more() == 0 {
                    self.record(&self.unread);
                    return None;
                }
            };
            let head: Vec<u8> = self.unread.drain(..end).collect();
            self.record(&head);
            let answer = parse_head(&head);
            if (100..200).contains(&answer.status) && answer.status != 101 {
                interim.push(answer.status);
                continue;
            }
            return Some(Answer { interim, ..answer });
        }
    }

    /// Reads a whole answer; `None` when the connection ends without one. `to_head` says that HEAD was asked.
    pub fn answer(&mut self, to_head: bool) -> Option<Answer> {
        let mut answer = self.head()?;
        answer.body = match framing(&answer, to_head) {
            Framing::Nothing => Vec::new(),
            Framing::Length(length) => {
                while self.unread.len() < length && self.more() > 0 {}
                self.unread.drain(..length.min(self.unread.len())).collect()
            }
            Framing::Chunked => std::iter::from_fn(|| self.next_chunk()).flatten().collect(),
            Framing::ToTheEnd => self.until_closed(),
        };
        self.record(&answer.body);
        Some(answer)
    }

    /// The next chunk of a chunked body; `None` after the last one.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let chunk = self.next_chunk();
        self.record(chunk.as_deref().unwrap_or_default());
        chunk
    }

    /// The next `length` bytes, whatever they are; fewer when the other side closes before.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length && self.more() > 0 {}
        let bytes: Vec<u8> = self.unread.drain(..length.min(self.unread.len())).collect();
        self.record(&bytes);
        bytes
    }

    /// Everything until the other side closes, as a browser's WebSocket reads it: a Close frame is answered at once.
    pub fn rest_after_answering_close(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.unread);
        let mut answered = false;
        loop {
            if !answered && ends_with_close(&rest) {
                answered = true;
                self.write(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
            }
            if self.more() == 0 {
                self.record(&rest);
                return rest;
            }
            rest.append(&mut self.unread);
        }
    }

    /// Closes our side and leaves theirs open.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Everything until the other side closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let rest = self.until_closed();
        self.record(&rest);
        rest
    }

    fn next_chunk(&mut self) -> Option<Vec<u8>> {
        let line = loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                break self.unread.drain(..at + 2).collect::<Vec<_>>();
            }
            if self.more() == 0 {
                return None;
            }
        };
        let size = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(size.trim().split(';').next()?, 16).ok()?;
        while self.unread.len() < size + 2 && self.more() > 0 {}
        let chunk: Vec<u8> = self.unread.drain(..size.min(self.unread.len())).collect();
        self.unread.drain(..2.min(self.unread.len()));
        (size > 0).then_some(chunk)
    }

    fn until_closed(&mut self) -> Vec<u8> {
        while self.more() > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// Whether the other side has closed, with nothing more to say.
    pub fn is_over(&mut self) -> bool {
        self.unread.is_empty() && self.more() == 0
    }

    /// Whether the other side ends the connection while these bytes go on dripping, at most `times`, in each pause between
    /// which it may say so.
    pub fn ends_while_dripping(&mut self, drip: &[u8], pause: Duration, times: usize) -> bool {
        self.stream.set_read_timeout(Some(pause)).unwrap();
        (0..times).any(|_| {
            let _ = self.stream.write_all(drip);
            match self.stream.read(&mut [0; 1024]) {
                Ok(read) => read == 0,
                Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        })
    }

    /// Whether the other side closes within `span`; what it says before is read and dropped.
    pub fn is_over_within(&mut self, span: Duration) -> bool {
        let end = Instant::now() + span;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; 65_536];
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(read) => self.record(&buffer[..read]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return false,
                    _ => return true,
                },
            }
        }
    }

    fn record(&self, bytes: &[u8]) {
        if self.recorded {
            evidence::to_browser(bytes);
        }
    }

    fn more(&mut self) -> usize {
        let mut buffer = [0; 65_536];
        let read = self.stream.read(&mut buffer).unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..read]);
        read
    }
}

/// Whether the last bytes are a whole Close frame of a server, with a code and a text.
fn ends_with_close(bytes: &[u8]) -> bool {
    (2..=60).any(|length| {
        let frame = bytes.len().checked_sub(length + 2).and_then(|at| bytes.get(at..));
        frame.is_some_and(|frame| frame[0] == 0x88 && usize::from(frame[1]) == length)
    })
}

/// Sends these very bytes on a connection of their own and reads one answer.
pub fn send(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut connection = Connection::open(address);
    connection.write(bytes);
    connection.answer(bytes.starts_with(b"HEAD "))
}

fn parse_head(head: &[u8]) -> Answer {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n").take_while(|line| !line.is_empty());
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let split = |line: &str| line.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
    Answer {
        status: status.unwrap_or_else(|| panic!("no status line: {text}")),
        headers: lines.map(|line| split(line).unwrap_or_else(|| panic!("no header: {line}"))).collect(),
        body: Vec::new(),
        interim: Vec::new(),
    }
}

fn framing(answer: &Answer, to_head: bool) -> Framing {
    if to_head || matches!(answer.status, 101 | 204 | 304) {
        return Framing::Nothing;
    }
    if answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Framing::Chunked;
    }
    match answer.header("content-length").and_then(|value| value.parse().ok()) {
        Some(length) => Framing::Length(length),
        None => Framing::ToTheEnd,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
