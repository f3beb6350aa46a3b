//! Whose turn it is on a connection: the client's, or ours.
//!
//! I own: [`Turn`], which the two ends of a connection share: the sentry, which reads and writes, and the outermost
//! layer of the application. I may call: `refusal`, actix. I never hold anything of a request.

use super::refusal::Refusal;
use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use bytes::Bytes;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// What is known of the one request of a connection that is being answered.
#[derive(Debug, Default)]
pub struct Turn {
    answered: Cell<bool>,
    fault: Cell<Option<Refusal>>,
}

impl Turn {
    /// The next request goes to the application.
    pub fn begin(&self) {
        self.answered.set(false);
        self.fault.set(None);
    }

    /// Whether the framework has the whole answer.
    pub fn is_answered(&self) -> bool {
        self.answered.get()
    }

    /// To be held until the whole answer is made.
    pub fn answering(self: &Rc<Self>) -> Answering {
        Answering(Rc::clone(self))
    }

    /// The body broke a rule: the application sees it break off, and can say why.
    pub fn blame(&self, refusal: Refusal) {
        self.fault.set(Some(refusal));
    }
}

/// Why the body of this request broke off, if it was the sentry that cut it.
pub fn fault(request: &HttpRequest) -> Option<Refusal> {
    request.conn_data::<Rc<Turn>>().and_then(|turn| turn.fault.get())
}

/// The outermost layer of all: tells the sentry when the last byte of an answer was made.
///
/// # Errors
/// Whatever the layers within let through; there should be none.
pub async fn take_turns(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let answering = request.conn_data::<Rc<Turn>>().map(Turn::answering);
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| BoxBody::new(Turned { body, _answering: answering })))
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
