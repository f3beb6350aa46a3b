//! A small HTTP/1.1 server for the parts that a gateway calls: it records heads exactly as they came and lets its
//! handler answer with any bytes at all, which a well-behaved library would not.
//!
//! I own: [`Server`], [`Exchange`], [`Head`]. One thread per connection, in the clear or over TLS. I never repair what a
//! peer sent.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The head of a request, header names and values exactly as they came (Latin-1) and in order.
#[derive(Clone, Debug)]
pub struct Head {
    pub method: String,
    /// The request target, raw.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The decoded pairs of the query.
    pub fn query(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum After {
    Keep,
    Close,
}

/// A connection from a peer, whatever protects it.
trait Wire: Read + Write + Send {
    /// The bare connection, where nothing protects it.
    fn bare(&self) -> Option<TcpStream> {
        None
    }
}

impl Wire for TcpStream {
    fn bare(&self) -> Option<TcpStream> {
        self.try_clone().ok()
    }
}

impl Wire for StreamOwned<ServerConnection, TcpStream> {}

/// One request and the way to answer it.
pub struct Exchange {
    pub head: Head,
    stream: BufReader<Box<dyn Wire>>,
    body_left: Left,
}

/// How much of the request body is still on the wire.
#[derive(Clone, Copy)]
enum Left {
    Bytes(usize),
    Chunks,
}

impl Exchange {
    /// The next piece of the request body; `None` at its end.
    pub fn piece(&mut self) -> Option<Vec<u8>> {
        match self.body_left {
            Left::Bytes(0) => None,
            Left::Bytes(left) => {
                let mut buffer = vec![0; left.min(65_536)];
                let read = self.stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
                self.body_left = Left::Bytes(left - read);
                buffer.truncate(read);
                Some(buffer)
            }
            Left::Chunks => {
                let mut line = String::new();
                self.stream.read_line(&mut line).ok()?;
                let size = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
                let mut buffer = vec![0; size + 2];
                self.stream.read_exact(&mut buffer).ok()?;
                buffer.truncate(size);
                if size == 0 {
                    self.body_left = Left::Bytes(0);
                    return None;
                }
                Some(buffer)
            }
        }
    }

    /// What is left of the request body.
    pub fn body(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.piece()).flatten().collect()
    }

    /// Writes these very bytes; whether the peer still took them.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).and_then(|()| stream.flush()).is_ok()
    }

    /// Answers with a length, after reading what is left of the request.
    pub fn reply(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> After {
        self.body();
        let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let bodiless = status == 204 || status == 304;
        if !bodiless {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes: Vec<u8> = head.chars().map(|c| c as u8).collect();
        if self.head.method != "HEAD" && !bodiless {
            bytes.extend_from_slice(body);
        }
        if self.write(&bytes) { After::Keep } else { After::Close }
    }
}

impl Exchange {
    /// Closes our side and leaves theirs open.
    pub fn finish(&mut self) {
        let bare = self.stream.get_ref().bare().unwrap();
        bare.shutdown(Shutdown::Write).unwrap();
    }

    /// Writes these bytes unless nobody takes them for this long; whether all of them were taken.
    pub fn write_for(&mut self, bytes: &[u8], patience: std::time::Duration) -> bool {
        let Some(bare) = self.stream.get_ref().bare() else { return false };
        bare.set_write_timeout(Some(patience)).unwrap();
        let taken = self.write(bytes);
        bare.set_write_timeout(None).unwrap();
        taken
    }

    /// Whatever comes next on the wire; `None` at its end.
    pub fn raw(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        let read = self.stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        buffer.truncate(read);
        Some(buffer)
    }

    /// Passes everything on to `other` and back until one of the two is done, as a proxy does after a CONNECT.
    pub fn tunnel(&mut self, other: &TcpStream) -> After {
        let bare = self.stream.get_ref().bare();
        let (Some(peer), Ok(mut forth)) = (bare, other.try_clone()) else { return After::Close };
        let _ = forth.write_all(self.stream.buffer());
        let pipe = |mut from: &TcpStream, mut to: &TcpStream| {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        };
        thread::scope(|scope| {
            scope.spawn(|| pipe(&peer, other));
            pipe(other, &peer);
        });
        After::Close
    }
}

/// A server that runs until it is dropped.
pub struct Server {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Server {
    /// Listens on a free port of the loopback.
    pub fn start(handler: impl Fn(&mut Exchange) -> After + Send + Sync + 'static) -> Self {
        Self::listen(|stream| Some(Box::new(stream)), handler)
    }

    /// The same over TLS. A handshake that fails is a connection on which nothing is asked.
    pub fn start_tls(
        config: Arc<ServerConfig>,
        handler: impl Fn(&mut Exchange) -> After + Send + Sync + 'static,
    ) -> Self {
        let protect = move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).ok()?;
            let wire: Box<dyn Wire> = Box::new(StreamOwned::new(connection, stream));
            Some(wire)
        };
        Self::listen(protect, handler)
    }

    fn listen(
        protect: impl Fn(TcpStream) -> Option<Box<dyn Wire>> + Send + 'static,
        handler: impl Fn(&mut Exchange) -> After + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (handler, ending) = (Arc::new(handler), Arc::clone(&over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ending.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), handler) = (stream, Arc::clone(&handler)) else { continue };
                let _ = stream.set_nodelay(true);
                if let Some(wire) = protect(stream) {
                    thread::spawn(move || converse(wire, &*handler));
                }
            }
        });
        Self { address, over }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn converse(wire: Box<dyn Wire>, handler: &dyn Fn(&mut Exchange) -> After) {
    let mut stream = BufReader::new(wire);
    while let Some(head) = read_head(&mut stream) {
        let length = head.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let body_left =
            if head.header("transfer-encoding").is_some() { Left::Chunks } else { Left::Bytes(length) };
        let mut exchange = Exchange { head, stream, body_left };
        if handler(&mut exchange) == After::Close {
            return;
        }
        stream = exchange.stream;
    }
}

fn read_head(stream: &mut impl BufRead) -> Option<Head> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        stream.read_until(b'\n', &mut line).ok().filter(|read| *read > 0)?;
        let line: String = line.iter().map(|byte| char::from(*byte)).collect();
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut request = lines.first()?.split(' ');
    let (method, target) = (request.next()?.to_owned(), request.next()?.to_owned());
    let pair = |line: &String| line.split_once(':').map(|(n, v)| (n.to_owned(), v.trim_start().to_owned()));
    Some(Head { method, target, headers: lines[1..].iter().filter_map(pair).collect() })
}
