//! A request head, read byte by byte.
//!
//! I own: [`HeadReader`], which turns bytes into a [`Head`] or a refusal, whatever pieces they arrive in. I may call:
//! `grammar`, `refusal`. I never pass on a line that was not judged, and never hold more than the limit.

use super::grammar::{self, OTHER_METHOD, RequestLine};
use super::refusal::Refusal;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// In bytes, with the request line.
    pub bytes: usize,
    /// Field lines.
    pub fields: usize,
    /// Bytes of the request target.
    pub uri: usize,
}

/// A head that was found in order.
#[derive(Debug)]
pub struct Head {
    /// What the framework gets: the lines as they came, but for `Connection` and `Upgrade`, which say the same in the
    /// only form that both readers understand alike.
    pub bytes: Vec<u8>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client waits to be asked for the body (RFC 9110 section 10.1.1).
    pub waits: bool,
}

/// How long a request is (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes, often none.
    Length(u64),
    /// Chunks.
    Chunked,
    /// It asks for a WebSocket: what follows belongs to it, or to nobody.
    Tunnel,
}

/// The most cookies in a head. Common browsers keep 180 for a site (RFC 6265 section 6.1 asks for 50), and each costs
/// every reader behind us something (R79).
const MAX_COOKIES: usize = 500;

/// Reads one head.
#[derive(Debug)]
pub struct HeadReader {
    limits: HeadLimits,
    line: Vec<u8>,
    after_cr: bool,
    seen: usize,
    skipped_empty: bool,
    /// Of the request line, so far.
    spaces: usize,
    /// Bytes of the request target, so far.
    target: usize,
    request: Option<RequestLine>,
    kept: Vec<u8>,
    fields: usize,
    cookies: usize,
    facts: Facts,
}

/// What the field lines say so far.
#[derive(Debug, Default)]
struct Facts {
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    /// The options of `Connection`, but for `upgrade`.
    options: Vec<u8>,
    wants_upgrade: bool,
    wants_close: bool,
    upgrades: usize,
    to_websocket: bool,
    /// What an expectation is worth depends on the version, and that is known.
    strange_expectation: bool,
    waits: bool,
}

impl HeadReader {
    /// At the first byte of a request.
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            line: Vec::new(),
            after_cr: false,
            seen: 0,
            skipped_empty: false,
            spaces: 0,
            target: 0,
            request: None,
            kept: Vec::new(),
            fields: 0,
            cookies: 0,
            facts: Facts::default(),
        }
    }

    /// Whether anything has come.
    pub fn has_begun(&self) -> bool {
        self.seen > 0
    }

    /// The method, as far as it may be told.
    pub fn method(&self) -> &'static str {
        self.request.map_or(OTHER_METHOD, |request| request.method)
    }

    /// Takes the next byte; a head when it was the last one.
    ///
    /// # Errors
    /// At the first byte that is wrong.
    pub fn take(&mut self, byte: u8) -> Result<Option<Head>, Refusal> {
        self.seen += 1;
        if self.seen > self.limits.bytes {
            return Err(self.too_large());
        }
        if self.after_cr && byte != b'\n' {
            return Err(Refusal::BareCr);
        }
        match byte {
            b'\n' if !self.after_cr => Err(Refusal::BareLf),
            b'\n' => {
                self.after_cr = false;
                self.end_line()
            }
            b'\r' => {
                self.after_cr = true;
                Ok(None)
            }
            byte if grammar::is_control(byte) => Err(Refusal::Control),
            byte => {
                self.line.push(byte);
                if self.request.is_none() { self.judge_beginning(byte).map(|()| None) } else { Ok(None) }
            }
        }
    }

    /// What is no request at all is not waited for. Constant work for each byte.
    fn judge_beginning(&mut self, byte: u8) -> Result<(), Refusal> {
        match (byte, self.spaces) {
            (b' ', _) if self.line.len() == 1 => Err(Refusal::RequestLine),
            (b' ', _) => {
                self.spaces += 1;
                Ok(())
            }
            (byte, 0) if !grammar::is_token_byte(byte) => Err(Refusal::RequestLine),
            (_, 0) if self.line.len() > grammar::LONGEST_METHOD => Err(Refusal::Method),
            (_, 1) => {
                self.target += 1;
                if self.target > self.limits.uri { Err(Refusal::UriTooLong) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn too_large(&self) -> Refusal {
        if self.request.is_none() { Refusal::UriTooLong } else { Refusal::HeadTooLarge }
    }

    fn end_line(&mut self) -> Result<Option<Head>, Refusal> {
        let line = std::mem::take(&mut self.line);
        match self.request {
            // RFC 9112 section 2.2: one empty line before a request is nothing.
            None if line.is_empty() && !self.skipped_empty => {
                self.skipped_empty = true;
                Ok(None)
            }
            None => {
                self.request = Some(grammar::request_line(&line, self.limits.uri)?);
                self.keep(&line);
                Ok(None)
            }
            Some(request) if line.is_empty() => self.finish(request).map(Some),
            Some(request) => {
                self.fields += 1;
                if self.fields > self.limits.fields {
                    return Err(Refusal::TooManyHeaders);
                }
                let (name, value) = grammar::field(&line)?;
                if name.eq_ignore_ascii_case(b"cookie") {
                    self.cookies += 1 + value.iter().filter(|byte| **byte == b';').count();
                    if self.cookies > MAX_COOKIES {
                        return Err(Refusal::TooManyHeaders);
                    }
                }
                if self.facts.note(request, name, value)? {
                    self.keep(&line);
                }
                Ok(None)
            }
        }
    }

    fn keep(&mut self, line: &[u8]) {
        self.kept.extend_from_slice(line);
        self.kept.extend_from_slice(b"\r\n");
    }

    fn finish(&mut self, request: RequestLine) -> Result<Head, Refusal> {
        let facts = &self.facts;
        if request.is_1_1 && facts.hosts == 0 {
            return Err(Refusal::Host);
        }
        if facts.chunked && facts.length.is_some() {
            return Err(Refusal::TwoFramings);
        }
        // RFC 1945 section 8.3; there are no chunks to say it otherwise.
        if !request.is_1_1 && request.method == "POST" && facts.length.is_none() {
            return Err(Refusal::ContentLength);
        }
        if facts.strange_expectation {
            return Err(Refusal::Expectation);
        }
        let framing = match facts.length {
            _ if facts.chunked => Framing::Chunked,
            Some(length) if length > 0 => Framing::Length(length),
            _ if facts.asks_for_websocket(request) => Framing::Tunnel,
            _ => Framing::Length(0),
        };
        let mut bytes = std::mem::take(&mut self.kept);
        let mut options = facts.options.clone();
        if framing == Framing::Tunnel {
            bytes.extend_from_slice(b"Upgrade: websocket\r\n");
            append_option(&mut options, b"Upgrade");
        }
        if !options.is_empty() {
            bytes.extend_from_slice(b"Connection: ");
            bytes.extend_from_slice(&options);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        let has_body = matches!(framing, Framing::Chunked | Framing::Length(1..));
        Ok(Head { bytes, framing, waits: facts.waits && has_body })
    }
}

impl Facts {
    /// Takes note of a field line; whether it is passed on as it is.
    fn note(&mut self, request: RequestLine, name: &[u8], value: &[u8]) -> Result<bool, Refusal> {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("host") {
            self.hosts += 1;
            if self.hosts > 1 || !grammar::is_host(value) {
                return Err(Refusal::Host);
            }
        } else if is("content-length") {
            let length = grammar::content_length(value).filter(|_| self.length.is_none());
            self.length = Some(length.ok_or(Refusal::ContentLength)?);
        } else if is("transfer-encoding") {
            if self.chunked || !request.is_1_1 || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::TransferEncoding);
            }
            self.chunked = true;
        } else if is("expect") {
            // RFC 9110 section 10.1.1: HTTP/1.0 has no expectations.
            self.waits |= request.is_1_1;
            self.strange_expectation |= request.is_1_1 && !value.eq_ignore_ascii_case(b"100-continue");
            // The invitation is the sentry's: the framework would send it before anybody has decided.
            return Ok(false);
        } else if is("connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                self.wants_close |= option.eq_ignore_ascii_case(b"close");
                if option.eq_ignore_ascii_case(b"upgrade") {
                    self.wants_upgrade = true;
                } else if !option.is_empty() {
                    append_option(&mut self.options, option);
                }
            }
            return Ok(false);
        } else if is("upgrade") {
            self.upgrades += 1;
            self.to_websocket = value.eq_ignore_ascii_case(b"websocket");
            return Ok(false);
        }
        Ok(true)
    }

    /// R78, RFC 6455 section 4.1. Any other wish to upgrade is passed over (RFC 9110 section 7.8).
    fn asks_for_websocket(&self, request: RequestLine) -> bool {
        let asks = self.wants_upgrade && self.upgrades == 1 && self.to_websocket;
        asks && request.is_1_1 && request.method == "GET" && !self.wants_close
    }
}

fn append_option(options: &mut Vec<u8>, option: &[u8]) {
    if !options.is_empty() {
        options.extend_from_slice(b", ");
    }
    options.extend_from_slice(option);
}
