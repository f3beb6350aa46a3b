//! A request body, found in order or not.
//!
//! I own: [`BodyReader`]: how far a body reaches, and chunks without anything but their data. I may call: `grammar`,
//! `refusal`. I never look into the data, and never pass on a chunk extension or a trailer.

use super::grammar;
use super::refusal::Refusal;
use bytes::{Buf as _, BytesMut};

/// All extensions of a body together, in bytes (RFC 9112 section 7.1.1).
const MOST_EXTENSIONS: usize = 4096;

/// Sixteen hexadecimal digits would still fit, but no body is that large.
const MOST_SIZE_DIGITS: usize = 15;

/// Reads one body.
#[derive(Debug)]
pub enum BodyReader {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
}

/// Where in a chunked body.
#[derive(Debug)]
pub struct Chunks {
    at: At,
    /// What is left of the chunk, or the size so far.
    size: u64,
    digits: usize,
    extensions: usize,
    trailer: Vec<u8>,
    trailers: usize,
    most_trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    End,
}

impl BodyReader {
    /// A chunked body whose trailer section has at most `most_trailers` bytes.
    pub fn chunked(most_trailers: usize) -> Self {
        Self::Chunked(Chunks {
            at: At::Size,
            size: 0,
            digits: 0,
            extensions: 0,
            trailer: Vec::new(),
            trailers: 0,
            most_trailers,
        })
    }

    /// Takes from `came` what belongs to the body and puts into `judged` what the framework gets of it; whether that
    /// was the end.
    ///
    /// # Errors
    /// At the first byte that is wrong.
    pub fn advance(&mut self, came: &mut BytesMut, judged: &mut BytesMut) -> Result<bool, Refusal> {
        match self {
            Self::Length(left) => {
                *left -= pass(came, judged, *left);
                Ok(*left == 0)
            }
            Self::Chunked(chunks) => chunks.advance(came, judged),
        }
    }
}

/// Moves at most `most` bytes; how many.
fn pass(came: &mut BytesMut, judged: &mut BytesMut, most: u64) -> u64 {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(came.len());
    judged.extend_from_slice(&came[..count]);
    came.advance(count);
    count as u64
}

impl Chunks {
    fn advance(&mut self, came: &mut BytesMut, judged: &mut BytesMut) -> Result<bool, Refusal> {
        while self.at != At::End && !came.is_empty() {
            if self.at == At::Data {
                self.size -= pass(came, judged, self.size);
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            let byte = came.get_u8();
            self.at = self.step(byte, judged)?;
        }
        Ok(self.at == At::End)
    }

    fn step(&mut self, byte: u8, judged: &mut BytesMut) -> Result<At, Refusal> {
        match (self.at, byte) {
            (At::Size, b'\r' | b';' | b' ' | b'\t') if self.digits == 0 => Err(Refusal::ChunkSize),
            (At::Size | At::Extension, b'\r') => Ok(At::SizeLf),
            (At::Size, b';') => Ok(At::Extension),
            (At::Size, byte) => {
                let digit = char::from(byte).to_digit(16).ok_or(Refusal::ChunkSize)?;
                self.digits += 1;
                if self.digits > MOST_SIZE_DIGITS {
                    return Err(Refusal::ChunkSize);
                }
                self.size = (self.size << 4) | u64::from(digit);
                Ok(At::Size)
            }
            (At::Extension, byte) => {
                self.extensions += 1;
                if self.extensions > MOST_EXTENSIONS || grammar::is_control(byte) {
                    return Err(Refusal::ChunkExtension);
                }
                Ok(At::Extension)
            }
            (At::SizeLf, b'\n') => {
                self.digits = 0;
                if self.size == 0 {
                    return Ok(At::Trailer);
                }
                judged.extend_from_slice(format!("{:x}\r\n", self.size).as_bytes());
                Ok(At::Data)
            }
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => {
                judged.extend_from_slice(b"\r\n");
                Ok(At::Size)
            }
            (At::SizeLf, _) => Err(Refusal::ChunkSize),
            (At::Trailer, b'\r') => Ok(At::TrailerLf),
            (At::Trailer, byte) => self.trailer(byte),
            (At::TrailerLf, b'\n') => self.end_of_trailer(judged),
            (At::TrailerLf, _) => Err(Refusal::Trailer),
            (At::DataCr | At::DataLf | At::Data | At::End, _) => Err(Refusal::ChunkEnd),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<At, Refusal> {
        self.trailers += 1;
        if self.trailers > self.most_trailers || grammar::is_control(byte) {
            return Err(Refusal::Trailer);
        }
        self.trailer.push(byte);
        Ok(At::Trailer)
    }

    /// A field line is dropped, the empty one is the end.
    fn end_of_trailer(&mut self, judged: &mut BytesMut) -> Result<At, Refusal> {
        if self.trailer.is_empty() {
            judged.extend_from_slice(b"0\r\n\r\n");
            return Ok(At::End);
        }
        let (name, _) = grammar::field(&self.trailer).map_err(|_| Refusal::Trailer)?;
        // RFC 9110 section 6.5.1.
        let framing = [&b"content-length"[..], b"transfer-encoding", b"host", b"trailer", b"connection"];
        if framing.iter().any(|field| name.eq_ignore_ascii_case(field)) {
            return Err(Refusal::Trailer);
        }
        self.trailer.clear();
        Ok(At::Trailer)
    }
}
