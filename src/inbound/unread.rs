//! Request bodies that nobody wants.
//!
//! I own: [`hold`]. I may call: actix. I never read such a body.
//!
//! The framework ends a connection after an answer if the request's body is still held by somebody: it lingers for its
//! disconnect time-out, so that the answer arrives, and closes (R79). A chunked body that was dropped before, it would
//! read to its end instead, which may never come.

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Keeps an unread request body, or what keeps it, as long as the answer is being written.
pub fn hold<Unread: Unpin + 'static>(response: HttpResponse, unread: Unread) -> HttpResponse {
    response.map_body(|_, answer| BoxBody::new(Held { answer, _unread: unread }))
}

struct Held<Unread> {
    answer: BoxBody,
    _unread: Unread,
}

impl<Unread: Unpin> MessageBody for Held<Unread> {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.answer.as_pin_mut().poll_next(cx)
    }
}
