//! The reader of a connection: one request after the other, each to its last byte.
//!
//! I own: [`Reader`], which goes from head to body to the end, and stops there until it is told to go on. I may call:
//! `head`, `body`, `refusal`. I never do any I/O and never read a clock: the same bytes get the same verdict, however
//! they are cut.

use super::body::BodyReader;
use super::grammar::OTHER_METHOD;
use super::head::{Framing, HeadLimits, HeadReader};
use super::refusal::Refusal;
use bytes::{Buf as _, BytesMut};

/// Reads what a client sends on one connection.
#[derive(Debug)]
pub struct Reader {
    limits: HeadLimits,
    state: State,
    method: &'static str,
    waits: bool,
}

#[derive(Debug)]
enum State {
    Head(Box<HeadReader>),
    Body(BodyReader),
    End,
    Tunnel,
    Refused,
}

/// Where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before the first byte of a request.
    Start,
    /// Within its head.
    Head,
    /// Within its body.
    Body,
    /// Behind its last byte.
    End,
    /// Behind a head that asks for a WebSocket.
    Tunnel,
    /// Something was wrong: nothing more is read.
    Refused,
}

impl Reader {
    /// At the beginning of a connection.
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            state: State::Head(Box::new(HeadReader::new(limits))),
            method: OTHER_METHOD,
            waits: false,
        }
    }

    /// Where it is.
    pub fn at(&self) -> At {
        match &self.state {
            State::Head(head) if head.has_begun() => At::Head,
            State::Head(_) => At::Start,
            State::Body(_) => At::Body,
            State::End => At::End,
            State::Tunnel => At::Tunnel,
            State::Refused => At::Refused,
        }
    }

    /// The method of the request, as far as it is known and one of the usual ones.
    pub fn method(&self) -> &'static str {
        match &self.state {
            State::Head(head) => head.method(),
            _ => self.method,
        }
    }

    /// Whether the client of this request waits to be asked for the body.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// Goes on to the next request.
    pub fn next(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Reads no more.
    pub fn stop(&mut self) {
        self.method = self.method();
        self.state = State::Refused;
    }

    /// Takes from `came` what belongs to this request, and puts into `judged` what the framework gets of it. A head is
    /// passed on whole or not at all.
    ///
    /// # Errors
    /// At the first byte that is wrong; from then on nothing is read.
    pub fn advance(&mut self, came: &mut BytesMut, judged: &mut BytesMut) -> Result<(), Refusal> {
        let verdict = self.walk(came, judged);
        if verdict.is_err() {
            self.stop();
        }
        verdict
    }

    fn walk(&mut self, came: &mut BytesMut, judged: &mut BytesMut) -> Result<(), Refusal> {
        if let State::Head(head) = &mut self.state {
            let mut found = None;
            while found.is_none() && !came.is_empty() {
                found = head.take(came.get_u8())?;
            }
            let Some(found) = found else { return Ok(()) };
            judged.extend_from_slice(&found.bytes);
            self.method = head.method();
            self.waits = found.waits;
            self.state = match found.framing {
                Framing::Length(0) => State::End,
                Framing::Length(length) => State::Body(BodyReader::Length(length)),
                Framing::Chunked => State::Body(BodyReader::chunked(self.limits.bytes)),
                Framing::Tunnel => State::Tunnel,
            };
        }
        if let State::Body(body) = &mut self.state
            && body.advance(came, judged)?
        {
            self.state = State::End;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
