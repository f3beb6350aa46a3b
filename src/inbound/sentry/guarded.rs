//! A connection with the sentry on it: what the framework reads and writes goes through here.
//!
//! I own: [`Guarded`]: when bytes are read, judged, passed on or held back, and when a connection has waited long
//! enough. I may call: the rest of the sentry. I never give the framework a byte of a request before its head is found
//! in order, nor one of the next request before the answer to this one has left.

use super::deadline::Deadline;
use super::gate::Pass;
use super::reader::{At, Reader};
use super::refusal::Refusal;
use super::reply::ReplyWatch;
use super::turn::Turn;
use super::{Post, log};
use crate::ports::Entry;
use bytes::{Buf as _, BytesMut};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What is read at once of a body; also how much of a next request is held while this one is answered.
const PIECE: usize = 32 * 1024;

/// What is read at once of anything else: an idle connection costs little.
const HEAD_PIECE: usize = 4 * 1024;

/// What a client that waits with its body is told (RFC 9110 section 15.2.1).
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How long a client that is being sent away may take to hear it.
pub const LINGER: Duration = Duration::from_secs(1);

/// A connection of the public door.
pub struct Guarded<Io> {
    io: Io,
    post: Arc<Post>,
    turn: Rc<Turn>,
    reader: Reader,
    /// Not judged yet.
    came: BytesMut,
    /// For the framework.
    judged: BytesMut,
    stage: Stage,
    /// A request is with the application; its answer has left, up to the last byte.
    busy: bool,
    replied: bool,
    /// Nothing more will come.
    ended: bool,
    reply: ReplyWatch,
    /// What is left to say of [`GO_ON`].
    go_on: &'static [u8],
    reading: Deadline,
    writing: Deadline,
    parked: Option<Waker>,
    half_closed: bool,
    /// When the head of this request began to arrive.
    began: Instant,
    _pass: Pass,
}

/// What is done with what a client sends.
enum Stage {
    /// It is judged.
    Open,
    /// It is passed on as it is: a WebSocket.
    Tunnel,
    /// It is dropped: the last answer has been given.
    Deaf,
    /// The same, while an answer of the sentry's own is written.
    Refusing { answer: BytesMut },
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Guarded<Io> {
    /// At the beginning of a connection.
    pub fn new(io: Io, post: Arc<Post>, pass: Pass) -> Self {
        let mut reading = Deadline::default();
        reading.set(post.header_timeout);
        Self {
            io,
            turn: Rc::default(),
            reader: Reader::new(post.head),
            post,
            came: BytesMut::new(),
            judged: BytesMut::new(),
            stage: Stage::Open,
            busy: false,
            replied: false,
            ended: false,
            reply: ReplyWatch::default(),
            go_on: &[],
            reading,
            writing: Deadline::default(),
            parked: None,
            half_closed: false,
            began: Instant::now(),
            _pass: pass,
        }
    }

    /// What the application's outermost layer shares with this connection.
    pub fn turn(&self) -> Rc<Turn> {
        Rc::clone(&self.turn)
    }

    /// Judges what has come, as far as it belongs to the request whose turn it is.
    fn judge(&mut self) {
        let before = self.reader.at();
        if let Err(refusal) = self.reader.advance(&mut self.came, &mut self.judged) {
            self.refuse(before, refusal);
            return;
        }
        let at = self.reader.at();
        match (before, at) {
            (At::Start, At::Head) => {
                // From the first byte on; until then the connection was idle, or new.
                self.reading.set(self.post.header_timeout);
                self.began = Instant::now();
            }
            (At::Start | At::Head, At::Body | At::End | At::Tunnel) => {
                self.busy = true;
                self.turn.begin();
                // Who has sent some of it does not wait.
                self.turn.wait(at == At::Body && self.reader.waits() && self.came.is_empty());
                self.reading.clear();
            }
            _ => {}
        }
        if at == At::End && self.replied {
            self.take_next();
        }
    }

    /// Both the request and its answer are over.
    fn take_next(&mut self) {
        self.reader.next();
        self.reply.next();
        (self.busy, self.replied) = (false, false);
        self.began = Instant::now();
        self.judged = BytesMut::new();
        if self.came.is_empty() {
            self.came = BytesMut::new();
        }
        let idle = if self.came.is_empty() { self.post.keep_alive } else { self.post.header_timeout };
        self.reading.set(idle);
    }

    /// The answer has left.
    fn conclude(&mut self) {
        self.replied = true;
        let is_last = self.reply.seen().is_none_or(|seen| seen.is_last);
        match self.reader.at() {
            _ if is_last => self.turn_deaf(),
            At::Tunnel | At::Refused => self.turn_deaf(),
            At::End => self.take_next(),
            At::Start | At::Head | At::Body => {}
        }
        self.wake_reader();
    }

    /// Whatever comes now was sent before the last answer was read.
    fn turn_deaf(&mut self) {
        self.stage = Stage::Deaf;
        self.came.clear();
        self.judged.clear();
        self.reading.set(LINGER);
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.parked.take() {
            waker.wake();
        }
    }

    /// Before the application has heard of a request, the sentry answers it; from then on the application does.
    fn refuse(&mut self, at: At, refusal: Refusal) {
        if matches!(at, At::Start | At::Head) {
            let id = log::turned_away(
                &self.post.ledger,
                self.reader.method(),
                refusal.status(),
                refusal.code(),
                self.began,
            );
            // A head in order whose body is wrong from the first byte is not passed on, either.
            self.judged.clear();
            self.stage = Stage::Refusing { answer: BytesMut::from(&refusal.answer(&id)[..]) };
            self.reading.set(LINGER);
        } else {
            self.post.ledger.enter(Entry::Cut(refusal.code()));
            self.turn.blame(refusal);
            self.ended = true;
        }
        self.reader.stop();
        self.came.clear();
    }

    /// Asks for the body where the client waits for that, unless the answer has begun.
    fn poll_ask(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.turn.has_to_ask() && self.reader.at() == At::Body && self.reply.is_untouched() {
            self.go_on = GO_ON;
        }
        while !self.go_on.is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, self.go_on))?;
            self.go_on = self.go_on.get(count.max(1)..).unwrap_or_default();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads some more, or finds out that it was waited for long enough.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.came.reserve(if self.reader.at() == At::Body { PIECE } else { HEAD_PIECE });
        match tokio_util::io::poll_read_buf(Pin::new(&mut self.io), cx, &mut self.came) {
            Poll::Ready(Ok(0)) => {
                self.ended = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(_)) => {
                if self.reader.at() == At::Body {
                    self.turn.wait(false);
                    self.reading.clear();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if self.turn.is_waiting() {
                    self.turn.wake_when_wanted(cx.waker());
                } else if self.reader.at() == At::Body {
                    self.reading.start(self.post.body_stall);
                }
                if !self.reading.has_passed(cx) {
                    return Poll::Pending;
                }
                match self.reader.at() {
                    At::Head => self.refuse(At::Head, Refusal::HeadTimeout),
                    At::Body => self.refuse(At::Body, Refusal::BodyTimeout),
                    // Nobody has asked for anything: there is nothing to answer.
                    At::Start | At::End | At::Tunnel | At::Refused => self.ended = true,
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Reads and drops, until the client has closed or should have.
    fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut scratch = [0; 8192];
            let mut scratch = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(())) if scratch.filled().is_empty() => return Poll::Ready(()),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                // Whoever never stops sending is not listened to for ever.
                Poll::Ready(Ok(())) if self.reading.has_passed(cx) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {}
                Poll::Pending if self.reading.has_passed(cx) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Writes the sentry's own answer; then the client hears that no other follows.
    fn poll_refusing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Stage::Refusing { answer } = &mut self.stage {
            while !answer.is_empty() {
                match Pin::new(&mut self.io).poll_write(cx, answer) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(count)) => answer.advance(count),
                    Poll::Pending if self.reading.has_passed(cx) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
        if !self.half_closed {
            if ready!(Pin::new(&mut self.io).poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            self.half_closed = true;
        }
        self.poll_drop(cx)
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.judged.is_empty() {
                let count = this.judged.len().min(buffer.remaining());
                buffer.put_slice(&this.judged[..count]);
                this.judged.advance(count);
                return Poll::Ready(Ok(()));
            }
            match this.stage {
                Stage::Refusing { .. } => return this.poll_refusing(cx).map(Ok),
                Stage::Deaf => return this.poll_drop(cx).map(Ok),
                Stage::Tunnel if this.came.is_empty() => return Pin::new(&mut this.io).poll_read(cx, buffer),
                Stage::Tunnel => {
                    std::mem::swap(&mut this.came, &mut this.judged);
                    continue;
                }
                Stage::Open => {}
            }
            if !this.came.is_empty() {
                this.judge();
                if !this.judged.is_empty() || !matches!(this.stage, Stage::Open) {
                    continue;
                }
            }
            // The next request waits for its turn; but that its sender is gone is heard at once.
            let is_waiting = this.busy && !this.came.is_empty();
            if this.ended && !is_waiting {
                return Poll::Ready(Ok(()));
            }
            if is_waiting && (this.ended || this.came.len() >= PIECE) {
                this.parked = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if let Poll::Ready(Err(error)) = this.poll_ask(cx) {
                return Poll::Ready(Err(error));
            }
            match this.poll_more(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.parked = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        // Half an invitation would be the beginning of this answer.
        if !this.go_on.is_empty() {
            ready!(this.poll_ask(cx))?;
        }
        match Pin::new(&mut this.io).poll_write(cx, bytes) {
            Poll::Ready(Ok(count)) => {
                this.writing.clear();
                this.reply.saw(&bytes[..count]);
                let switched = this.reply.seen().is_some_and(|seen| seen.status == 101);
                if switched && this.reader.at() == At::Tunnel && matches!(this.stage, Stage::Open) {
                    // The seam: from here on both sides speak WebSocket, and the application watches over it.
                    this.stage = Stage::Tunnel;
                    this.wake_reader();
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                this.writing.start(this.post.write_stall);
                if !this.writing.has_passed(cx) {
                    return Poll::Pending;
                }
                this.post.ledger.enter(Entry::Cut("write-stall"));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    /// The framework calls this when it has nothing more to write for now.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        if this.turn.is_finished() && !this.half_closed && matches!(this.stage, Stage::Tunnel) {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.half_closed = true;
        }
        let is_over = this.turn.is_answered() && this.reply.seen().is_some();
        if this.busy && !this.replied && is_over && matches!(this.stage, Stage::Open) {
            this.conclude();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.half_closed {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.half_closed = true;
            this.reading.set(LINGER);
        }
        // With unread bytes in it, a closed socket takes back the answer (RFC 9112 section 9.6).
        let is_clean = matches!(this.reader.at(), At::Start | At::End) && this.came.is_empty();
        if is_clean || matches!(this.stage, Stage::Tunnel) || (this.ended && this.reader.at() != At::Refused)
        {
            return Poll::Ready(Ok(()));
        }
        this.poll_drop(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests;
