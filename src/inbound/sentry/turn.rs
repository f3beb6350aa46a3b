//! Whose turn it is on a connection: the client's, or ours.
//!
//! I own: [`Turn`], which the two ends of a connection share: the sentry, which reads and writes, and the outermost
//! layer of the application. I may call: `refusal`, actix. I never hold anything of a request.

use super::refusal::Refusal;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest};
use bytes::Bytes;
use futures_util::Stream;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What is known of the one request of a connection that is being answered.
#[derive(Default)]
pub struct Turn {
    answered: Cell<bool>,
    /// The client waits to be asked for the body.
    waits: Cell<bool>,
    /// Somebody wants to read it.
    wanted: Cell<bool>,
    /// Who is to be woken then.
    reader: Cell<Option<Waker>>,
    fault: Cell<Option<Refusal>>,
    /// Nothing more is said to the client.
    finished: Cell<bool>,
}

impl Turn {
    /// The next request goes to the application.
    pub fn begin(&self) {
        self.answered.set(false);
        self.waits.set(false);
        self.wanted.set(false);
        self.fault.set(None);
    }

    /// The client waits to be asked for the body, or does so no longer.
    pub fn wait(&self, waits: bool) {
        self.waits.set(waits);
    }

    /// Whether the client waits and nobody has asked.
    pub fn is_waiting(&self) -> bool {
        self.waits.get() && !self.wanted.get()
    }

    /// Whether the client has to be asked now. Says so once.
    pub fn has_to_ask(&self) -> bool {
        self.wanted.get() && self.waits.replace(false)
    }

    /// Somebody wants to read the body.
    fn want(&self) {
        self.wanted.set(true);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// To be woken when somebody wants to read the body.
    pub fn wake_when_wanted(&self, reader: &Waker) {
        self.reader.set(Some(reader.clone()));
    }

    /// Whether the framework has the whole answer.
    pub fn is_answered(&self) -> bool {
        self.answered.get()
    }

    /// To be held until the whole answer is made.
    pub fn answering(self: &Rc<Self>) -> Answering {
        Answering(Rc::clone(self))
    }

    /// Nothing more is said on this connection, but the client may go on: half of a tunnel is closed.
    pub fn finish(&self) {
        self.finished.set(true);
    }

    /// Whether nothing more is said to the client.
    pub fn is_finished(&self) -> bool {
        self.finished.get()
    }

    /// The body broke a rule: the application sees it break off, and can say why.
    pub fn blame(&self, refusal: Refusal) {
        self.fault.set(Some(refusal));
    }
}

/// What the application shares with the connection of this request.
pub fn turn(request: &HttpRequest) -> Option<Rc<Turn>> {
    request.conn_data::<Rc<Turn>>().cloned()
}

/// Why the body of this request broke off, if it was the sentry that cut it.
pub fn fault(request: &HttpRequest) -> Option<Refusal> {
    request.conn_data::<Rc<Turn>>().and_then(|turn| turn.fault.get())
}

/// Whether the client of this request waits to be asked for its body, which reading it does.
pub fn waits(request: &HttpRequest) -> bool {
    request.conn_data::<Rc<Turn>>().is_some_and(|turn| turn.is_waiting())
}

/// The outermost layer of all: tells the sentry when the last byte of an answer was made, and when somebody begins to
/// read a body that a client waits to be asked for.
///
/// # Errors
/// Whatever the layers within let through; there should be none.
pub async fn take_turns(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if let Some(turn) = request.conn_data::<Rc<Turn>>().filter(|turn| turn.is_waiting()).cloned() {
        let body = request.take_payload();
        request.set_payload(Payload::Stream { payload: Box::pin(Asking { body, turn }) });
    }
    let answering = request.conn_data::<Rc<Turn>>().map(Turn::answering);
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| BoxBody::new(Turned { body, _answering: answering })))
}

/// A body that asks the client for itself as soon as somebody wants to read it.
struct Asking {
    body: Payload,
    turn: Rc<Turn>,
}

impl Stream for Asking {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.turn.want();
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// An answer in the making.
pub struct Answering(Rc<Turn>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered.set(true);
    }
}

/// A body that is never taken out in one piece: the turn ends when the framework is done with it, and not before.
struct Turned {
    body: BoxBody,
    _answering: Option<Answering>,
}

impl MessageBody for Turned {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
