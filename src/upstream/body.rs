//! Request bodies on their way to an upstream.
//!
//! I own: [`UpstreamBody`] and its other end [`BodySender`]. I may call: nothing of the house. I never hold more than
//! a few chunks, and I never end a body as if it were complete when it is not: without [`BodySender::finish`] the
//! body fails, and hyper cuts the connection instead of ending the message.

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Chunks that wait between the door and the upstream; the sender waits when there are more.
const CHUNKS_IN_FLIGHT: usize = 8;

/// A request body: nothing, or chunks that arrive while they are forwarded.
pub struct UpstreamBody(Option<Streamed>);

/// The end of a body into which the door puts what the client sends.
pub struct BodySender {
    chunks: Option<mpsc::Sender<Bytes>>,
    wanted: oneshot::Receiver<()>,
    account: Arc<Account>,
    declared: Option<u64>,
    sent: u64,
}

/// Why no more of a body is taken. What went wrong as a whole, [`crate::upstream::Upstreams::send`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// More than `max_body` of the route.
    #[error("the request body is larger than the route allows")]
    TooLarge,
    /// More or less than the declared length (R74).
    #[error("the request body is not as long as it was declared")]
    LengthMismatch,
    /// The client is gone before the end.
    #[error("the request body was cut off")]
    CutOff,
    /// The upstream wants no more of it: it answered already, or it is gone.
    #[error("the upstream takes no more of the request body")]
    NotWanted,
}

impl UpstreamBody {
    /// No body.
    pub fn empty() -> Self {
        Self(None)
    }

    /// A body that is forwarded while it arrives. `declared_length` is the client's `Content-Length` in bytes; without
    /// one the upstream gets chunks.
    pub fn channel(declared_length: Option<u64>) -> (BodySender, Self) {
        let (sender, chunks) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let account = Arc::new(Account::default());
        let (guard, wanted) = oneshot::channel();
        let body = Streamed {
            chunks,
            account: Arc::clone(&account),
            declared: declared_length,
            passed: 0,
            max: None,
            stage: None,
            wanted: None,
            sender_guard: Some(guard),
        };
        let sender = BodySender { chunks: Some(sender), wanted, account, declared: declared_length, sent: 0 };
        (sender, Self(Some(body)))
    }

    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|body| body.declared == Some(0))
    }

    /// Adds what hyper does not say by itself about a body: hyper sends none with GET and HEAD unless it is told that
    /// it is chunked, and no length at all where it is zero.
    pub(super) fn frame(&self, method: &Method, headers: &mut HeaderMap) {
        let expected = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        match &self.0 {
            Some(Streamed { declared: None, .. }) => {
                headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            Some(Streamed { declared: Some(length), .. }) => {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(*length));
            }
            // RFC 9110 section 8.6: a method that means something by its content states that there is none.
            None if expected => {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            }
            None => {}
        }
    }

    /// Arms the limit and returns the eye on this body; `None` where there is nothing to watch.
    ///
    /// # Errors
    /// [`UploadError::TooLarge`] when the declared length alone is too much.
    pub(super) fn watch(&mut self, max: Option<u64>) -> Result<Option<Upload>, UploadError> {
        let Some(body) = &mut self.0 else { return Ok(None) };
        if let (Some(declared), Some(max)) = (body.declared, max)
            && declared > max
        {
            return Err(body.account.settle(UploadError::TooLarge));
        }
        if body.declared == Some(0) {
            return Ok(None);
        }
        let (stage, seen) = watch::channel(Stage::Untouched);
        let (guard, wanted) = oneshot::channel();
        (body.max, body.stage, body.wanted) = (max, Some(stage), Some(wanted));
        let guards = (guard, body.sender_guard.take());
        Ok(Some(Upload { stage: seen, account: Arc::clone(&body.account), _guards: guards }))
    }
}

impl BodySender {
    /// Waits until the connection to the upstream asks for the first of it; whether it does.
    pub async fn asked(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = &mut self.wanted => {
                self.chunks = None;
                false
            }
            () = self.account.asked.notified() => true,
        }
    }

    /// Hands over the next chunk, and waits while the upstream is slower than the client.
    ///
    /// # Errors
    /// See [`UploadError`]. After an error there is no use in sending more.
    pub async fn send(&mut self, chunk: Bytes) -> Result<(), UploadError> {
        if chunk.is_empty() {
            return Ok(());
        }
        let total = self.sent.saturating_add(chunk.len() as u64);
        if self.declared.is_some_and(|declared| total > declared) {
            self.chunks = None;
            return Err(self.account.settle(UploadError::LengthMismatch));
        }
        let Some(chunks) = &self.chunks else { return Err(self.account.settle(UploadError::NotWanted)) };
        // Not only the channel is watched: a connection that is being given up may hold its end for a long while.
        let taken = tokio::select! {
            biased;
            _ = &mut self.wanted => false,
            taken = chunks.send(chunk) => taken.is_ok(),
        };
        if !taken {
            self.chunks = None;
            return Err(self.account.settle(UploadError::NotWanted));
        }
        self.sent = total;
        Ok(())
    }

    /// Says that this was all. A sender that is dropped without it cuts the body off.
    ///
    /// # Errors
    /// [`UploadError::LengthMismatch`] when less came than was declared; the upstream gets no complete message then.
    pub fn finish(self) -> Result<(), UploadError> {
        if self.declared.is_some_and(|declared| self.sent < declared) {
            return Err(self.account.settle(UploadError::LengthMismatch));
        }
        self.account.complete.store(true, Ordering::Release);
        Ok(())
    }
}

/// What both ends know.
#[derive(Default)]
struct Account {
    complete: AtomicBool,
    fault: OnceLock<UploadError>,
    /// The connection has asked for some of it.
    asked: Notify,
}

impl Account {
    /// Notes a fault; the first one counts, and is returned.
    fn settle(&self, fault: UploadError) -> UploadError {
        *self.fault.get_or_init(|| fault)
    }
}

/// How far an upload is, as far as the connection to the upstream has taken it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The connection has not asked for anything yet.
    Untouched,
    /// A chunk was taken: the next word is the upstream's.
    Taken,
    /// The connection asks for more: the next word is the client's.
    Asking,
    /// Handed over whole.
    Complete,
}

/// The eye on an upload. When it is dropped, both ends of an upload that is not complete hear of it, and it is cut off.
pub(super) struct Upload {
    stage: watch::Receiver<Stage>,
    account: Arc<Account>,
    _guards: (oneshot::Sender<()>, Option<oneshot::Sender<()>>),
}

impl Upload {
    /// How far it is.
    pub(super) fn stage(&mut self) -> Stage {
        *self.stage.borrow_and_update()
    }

    /// Waits for any progress; `false` when there will be no more.
    pub(super) async fn progress(&mut self) -> bool {
        self.stage.changed().await.is_ok()
    }

    /// What went wrong, if anything did.
    pub(super) fn fault(&self) -> Option<UploadError> {
        self.account.fault.get().copied()
    }
}

struct Streamed {
    chunks: mpsc::Receiver<Bytes>,
    account: Arc<Account>,
    declared: Option<u64>,
    passed: u64,
    max: Option<u64>,
    stage: Option<watch::Sender<Stage>>,
    wanted: Option<oneshot::Receiver<()>>,
    sender_guard: Option<oneshot::Sender<()>>,
}

impl Streamed {
    fn enter(&self, stage: Stage) {
        if let Some(seen) = &self.stage {
            // Asking twice is no progress; taking twice is.
            seen.send_if_modified(|now| std::mem::replace(now, stage) != stage || stage == Stage::Taken);
        }
    }

    fn fail(&self, fault: UploadError) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        Poll::Ready(Some(Err(self.account.settle(fault))))
    }

    fn is_whole(&self) -> bool {
        self.declared.is_none_or(|declared| self.passed == declared)
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if self.wanted.as_mut().is_some_and(|wanted| Pin::new(wanted).poll(cx).is_ready()) {
            self.wanted = None;
            self.chunks.close();
            return self.fail(UploadError::NotWanted);
        }
        match self.chunks.poll_recv(cx) {
            Poll::Pending => {
                self.account.asked.notify_one();
                self.enter(Stage::Asking);
                Poll::Pending
            }
            Poll::Ready(Some(chunk)) => {
                self.passed = self.passed.saturating_add(chunk.len() as u64);
                if self.max.is_some_and(|max| self.passed > max) {
                    return self.fail(UploadError::TooLarge);
                }
                // With a declared length hyper asks no more once it has it all.
                let complete = self.declared.is_some() && self.is_whole();
                self.enter(if complete { Stage::Complete } else { Stage::Taken });
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Poll::Ready(None) if self.account.complete.load(Ordering::Acquire) && self.is_whole() => {
                self.enter(Stage::Complete);
                Poll::Ready(None)
            }
            Poll::Ready(None) => self.fail(UploadError::CutOff),
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match &mut self.0 {
            None => Poll::Ready(None),
            Some(body) => body.poll_chunk(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            None => SizeHint::with_exact(0),
            Some(body) => match body.declared {
                Some(declared) => SizeHint::with_exact(declared.saturating_sub(body.passed)),
                None => SizeHint::default(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn collected(body: UpstreamBody) -> Result<Bytes, UploadError> {
        body.collect().await.map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test]
    async fn r74_a_body_is_complete_only_when_somebody_says_so() {
        let (mut sender, body) = UpstreamBody::channel(None);
        sender.send(Bytes::from_static(b"half")).await.unwrap();
        drop(sender);
        assert_eq!(collected(body).await, Err(UploadError::CutOff));

        let (mut sender, body) = UpstreamBody::channel(None);
        sender.send(Bytes::from_static(b"who")).await.unwrap();
        sender.send(Bytes::new()).await.unwrap();
        sender.send(Bytes::from_static(b"le")).await.unwrap();
        sender.finish().unwrap();
        assert_eq!(collected(body).await, Ok(Bytes::from_static(b"whole")));
    }

    #[tokio::test]
    async fn r74_a_body_is_as_long_as_declared() {
        let (mut sender, body) = UpstreamBody::channel(Some(3));
        assert_eq!(body.size_hint().exact(), Some(3));
        sender.send(Bytes::from_static(b"ab")).await.unwrap();
        assert_eq!(sender.finish(), Err(UploadError::LengthMismatch));
        assert_eq!(collected(body).await, Err(UploadError::LengthMismatch));

        let (mut sender, body) = UpstreamBody::channel(Some(3));
        assert_eq!(sender.send(Bytes::from_static(b"abcd")).await, Err(UploadError::LengthMismatch));
        assert_eq!(sender.send(Bytes::from_static(b"abc")).await, Err(UploadError::LengthMismatch));
        assert_eq!(collected(body).await, Err(UploadError::LengthMismatch));
    }

    #[tokio::test]
    async fn r79_the_limit_is_counted_while_streaming() {
        let (mut sender, mut body) = UpstreamBody::channel(None);
        let upload = body.watch(Some(3)).unwrap().unwrap();
        sender.send(Bytes::from_static(b"abc")).await.unwrap();
        sender.send(Bytes::from_static(b"d")).await.unwrap();
        assert_eq!(collected(body).await, Err(UploadError::TooLarge));
        assert_eq!(sender.send(Bytes::from_static(b"e")).await, Err(UploadError::TooLarge));
        assert_eq!(upload.fault(), Some(UploadError::TooLarge));

        let (_sender, mut body) = UpstreamBody::channel(Some(4));
        assert_eq!(body.watch(Some(3)).err(), Some(UploadError::TooLarge));
    }

    #[tokio::test]
    async fn r79_a_sender_waits_for_the_upstream() {
        let (mut sender, body) = UpstreamBody::channel(None);
        for _ in 0..CHUNKS_IN_FLIGHT {
            sender.send(Bytes::from_static(b"x")).await.unwrap();
        }
        let mut waiting = Box::pin(sender.send(Bytes::from_static(b"x")));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(body);
        assert_eq!(waiting.await, Err(UploadError::NotWanted));
    }

    #[tokio::test]
    async fn an_upload_that_nobody_watches_any_more_is_cut_off() {
        let (mut sender, mut body) = UpstreamBody::channel(None);
        let upload = body.watch(None).unwrap();
        sender.send(Bytes::from_static(b"x")).await.unwrap();
        drop(upload);
        assert_eq!(collected(body).await, Err(UploadError::NotWanted));
    }
}
