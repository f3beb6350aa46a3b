//! Answers that may outlive the session they were given to.
//!
//! I own: [`Over`], [`watch`], and [`Watched`], a reply's body that stops when its session does. I may call: `gateway`,
//! `upstream`. I never end a body as if it were complete when it is not: an event stream may end anywhere, everything
//! else is cut off.

use crate::gateway::live::{Live, Vigil};
use crate::upstream::reply::{ReplyBody, ReplyError};
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_util::Stream as _;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{Notify, oneshot};

/// Why something that is open has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The session has ended, for this reason.
    Session(&'static str),
    /// The gateway stops.
    Closing,
}

/// Completes when what is open has to end. Each `used` counts as a use of the session.
///
/// `live` is for what shall also end when the gateway stops.
pub async fn watch(mut vigil: Option<Vigil>, live: Option<Arc<Live>>, used: Rc<Notify>) -> Over {
    loop {
        let over = async {
            match vigil.as_mut() {
                Some(vigil) => vigil.over().await,
                None => std::future::pending().await,
            }
        };
        let closing = async {
            match live.as_ref() {
                Some(live) => live.closing().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = over => return Over::Session(reason),
            () = closing => return Over::Closing,
            () = used.notified() => if let Some(vigil) = vigil.as_mut() { vigil.used().await },
        }
    }
}

/// The same, watched by a task of its own: a body whose reader has stopped is not polled, and its session ends all the
/// same. `then` is called at that moment.
pub fn apart(
    watch: impl Future<Output = Over> + 'static,
    then: impl FnOnce() + 'static,
) -> Pin<Box<dyn Future<Output = Over>>> {
    let (mut tell, heard) = oneshot::channel();
    actix_web::rt::spawn(async move {
        let over = tokio::select! {
            over = watch => Some(over),
            () = tell.closed() => None,
        };
        if let Some(over) = over {
            then();
            // Whoever has gone meanwhile needs no telling.
            let _ = tell.send(over);
        }
    });
    Box::pin(async move {
        match heard.await {
            Ok(over) => over,
            Err(_) => std::future::pending().await,
        }
    })
}

/// How many chunks may follow each other before the session is asked for, although none had to be waited for.
const PATIENCE: u32 = 16;

/// A reply's body in the framework's terms. An error cuts the connection to the browser.
pub struct Watched {
    body: ReplyBody,
    size: BodySize,
    /// Whether the body is one that may end anywhere: `text/event-stream`.
    events: bool,
    watch: Pin<Box<dyn Future<Output = Over>>>,
    at_once: u32,
}

impl Watched {
    /// A body that is sent as it comes, for as long as `watch` lets it.
    pub fn new(
        body: ReplyBody,
        size: BodySize,
        events: bool,
        watch: Pin<Box<dyn Future<Output = Over>>>,
    ) -> Self {
        Self { body, size, events, watch, at_once: 0 }
    }
}

impl MessageBody for Watched {
    type Error = ReplyError;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = &mut *self;
        let next = Pin::new(&mut this.body).poll_next(cx);
        // A short answer never gets as far as a look at its session.
        if next.is_ready() && this.at_once < PATIENCE {
            this.at_once += 1;
            return next;
        }
        this.at_once = 0;
        match this.watch.as_mut().poll(cx) {
            Poll::Pending => next,
            Poll::Ready(over) => {
                this.watch = Box::pin(std::future::pending());
                tracing::info!(?over, "an answer was ended before its end");
                // Whoever reads events asks again; anybody else must see that this is not the end.
                Poll::Ready((!this.events).then_some(Err(ReplyError::SessionOver)))
            }
        }
    }
}
