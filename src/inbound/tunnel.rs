//! WebSockets: a raw tunnel between a browser and an app, for as long as the session lives.
//!
//! I own: the judgement of a handshake, the pump towards the app, and [`Tube`], which carries the app's bytes to the
//! browser and puts our Close frame between two frames. I may call: `gateway`, `keyring`, `upstream`, `watched`. I never
//! open a frame, and I never put a byte of ours inside one of theirs (R65, R78).

use super::sentry::Turn;
use super::watched::{Over, apart, watch};
use super::{Desk, facts};
use crate::domain::policy::Permit;
use crate::gateway::live::Vigil;
use crate::keyring;
use crate::upstream::headers::UpstreamHead;
use crate::upstream::reply::UpstreamReply;
use crate::upstream::tunnel::walker::{Walker, close_frame};
use crate::upstream::tunnel::{Switched, Tunnel, TunnelReader};
use crate::upstream::{UpstreamError, Upstreams};
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::{StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use talk::{Talk, pump};
use tokio::time::{Instant, Sleep, sleep};

mod talk;

/// The session has ended (4000 to 4999 are for private use, RFC 6455 section 7.4.2).
const SESSION_ENDED: u16 = 4401;
/// Nobody has said anything for too long.
const GOING_AWAY: u16 = 1001;
/// The gateway stops; another one may be there (IANA registry of close codes).
const SERVICE_RESTART: u16 = 1012;

/// How long the end of a frame is waited for before the connection is cut.
const BOUNDARY_WITHIN: Duration = Duration::from_millis(100);
/// How long the last bytes of a tunnel that both sides have closed may take to leave.
const LAST_BYTES_WITHIN: Duration = Duration::from_millis(20);
/// How long a browser that has heard the app's last may say nothing, before nobody believes any more that the app listens.
const ALONE_WITHIN: Duration = Duration::from_secs(60);
/// How long the browser may take to answer our Close frame before the connection is closed under it.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);

/// Why a handshake is none (RFC 6455 section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHandshake {
    /// Not a GET, not HTTP/1.1, no `Connection: upgrade`, or a key that is none.
    Malformed,
    /// Another version than 13.
    Version,
}

/// The answer that the app has to give to this handshake.
///
/// # Errors
/// Why there is none.
pub fn read_handshake(request: &HttpRequest) -> Result<String, BadHandshake> {
    let headers = request.headers();
    let upgrades = facts::has_word(headers, "connection", "upgrade");
    let key = facts::one(headers, "sec-websocket-key")
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16));
    let sound = request.method() == actix_web::http::Method::GET && request.version() == Version::HTTP_11;
    let key = key.filter(|_| sound && upgrades).ok_or(BadHandshake::Malformed)?;
    if facts::one(headers, "sec-websocket-version") != Some("13") {
        return Err(BadHandshake::Version);
    }
    Ok(keyring::websocket_accept(key))
}

/// What became of a handshake with an app.
pub enum Opened {
    /// The tunnel is the body of this response; the app's headers have yet to be put into it.
    Tunnel(HttpResponse, http::HeaderMap),
    /// The app answered something else. The connection ends with it: nobody can tell any more what the client's next
    /// bytes are.
    Declined(UpstreamReply, Option<Box<Vigil>>),
}

/// A permitted handshake.
pub struct Handshake {
    /// Who may pass, and where.
    pub permit: Permit,
    /// Its headers.
    pub head: UpstreamHead,
    /// What [`read_handshake`] made of it.
    pub accept: String,
    /// The connection of the browser, which is to hear the end of the app's side.
    pub turn: Option<Rc<Turn>>,
}

/// Asks the app, and opens the tunnel.
///
/// # Errors
/// See [`UpstreamError`].
pub async fn open(
    handshake: Handshake,
    payload: web::Payload,
    vigil: Option<Vigil>,
    desk: &Desk,
    upstreams: &Upstreams,
) -> Result<Opened, UpstreamError> {
    let Handshake { permit, head, accept, turn } = handshake;
    let quiet = permit.route().websocket.idle_timeout;
    let Tunnel { headers, reader, writer } = match upstreams.switch(permit, head, &accept).await? {
        Switched::Tunnel(tunnel) => tunnel,
        Switched::Declined(reply) => return Ok(Opened::Declined(reply, vigil.map(Box::new))),
    };
    let talk = Rc::new(Talk::default());
    actix_web::rt::spawn(pump(payload, writer, Rc::clone(&talk)));
    let reader = Rc::new(RefCell::new(Some(reader)));
    let watch = watch(vigil, Some(Arc::clone(&desk.gateway.live)), Rc::clone(&talk.used));
    let (over, wire) = (Rc::clone(&talk), Rc::clone(&reader));
    let watch = apart(watch, move || {
        // The app hears no more of this browser from now on, whatever the browser reads.
        over.cut.send_replace(true);
        actix_web::rt::spawn(async move {
            sleep(BOUNDARY_WITHIN + FAREWELL_WITHIN).await;
            wire.borrow_mut().take();
        });
    });
    let tube = Tube {
        reader,
        walker: Walker::default(),
        watch,
        talk,
        turn,
        quiet,
        timer: Box::pin(sleep(quiet)),
        stage: Stage::Open,
    };
    let response = HttpResponse::build(StatusCode::SWITCHING_PROTOCOLS)
        .upgrade("websocket")
        .message_body(tube)
        .map_or_else(|_| HttpResponse::InternalServerError().finish(), HttpResponse::map_into_boxed_body);
    Ok(Opened::Tunnel(response, headers))
}

/// From the app to the browser.
struct Tube {
    /// Gone when a browser that does not read has kept it too long.
    reader: Rc<RefCell<Option<TunnelReader>>>,
    walker: Walker,
    watch: Pin<Box<dyn Future<Output = Over>>>,
    talk: Rc<Talk>,
    turn: Option<Rc<Turn>>,
    quiet: Duration,
    timer: Pin<Box<Sleep>>,
    stage: Stage,
}

enum Stage {
    /// Bytes go through.
    Open,
    /// The app has closed its side, and the browser knows; it may go on until it has said its last, too.
    Alone(Pin<Box<dyn Future<Output = ()>>>),
    /// It has to end with this Close frame, as soon as the frame under way is through.
    Ending(u16, &'static str),
    /// The last frame is out; the browser may answer it.
    Farewell(Pin<Box<dyn Future<Output = ()>>>),
    /// Nothing more comes.
    Over,
}

impl Tube {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        match self.reader.borrow_mut().as_mut() {
            Some(reader) => reader.poll_chunk(cx),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn begin_to_end(&mut self, code: u16, reason: &'static str) {
        self.talk.cut.send_replace(true);
        self.timer = Box::pin(sleep(BOUNDARY_WITHIN));
        self.stage = Stage::Ending(code, reason);
    }

    fn begin_farewell(&mut self) {
        let mut silent = self.talk.silent.subscribe();
        let said = async move { drop(silent.wait_for(|silent| *silent).await) };
        self.stage = Stage::Farewell(Box::pin(async move {
            // Too long is as good as said.
            let _ = tokio::time::timeout(FAREWELL_WITHIN, said).await;
        }));
    }

    /// The app has closed its side. Where the browser has said its last too, both wait for nothing but the end.
    fn begin_to_leave(&mut self) -> bool {
        let both = *self.talk.silent.borrow();
        if both {
            self.stage = Stage::Farewell(Box::pin(sleep(LAST_BYTES_WITHIN)));
        }
        both
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Poll::Ready(over) = self.watch.as_mut().poll(cx) {
            let (code, reason) = match over {
                Over::Session(reason) => {
                    tracing::info!(reason, "a WebSocket was closed because its session ended");
                    (SESSION_ENDED, "session ended")
                }
                Over::Closing => (SERVICE_RESTART, "the gateway is stopping"),
            };
            self.begin_to_end(code, reason);
            return self.poll_ending(cx);
        }
        match self.poll_chunk(cx) {
            Poll::Ready(Ok(Some(chunk))) => {
                self.talk.last.set(Instant::now());
                self.walker.walk(&chunk);
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(Ok(None)) if self.begin_to_leave() => self.poll_farewell(cx),
            Poll::Ready(Ok(None)) => {
                self.begin_to_listen();
                self.poll_alone(cx)
            }
            Poll::Ready(Err(error)) => {
                self.stage = Stage::Over;
                Poll::Ready(Some(Err(error)))
            }
            Poll::Pending => self.poll_quiet(cx),
        }
    }

    /// The app has closed its side only: the browser hears that at once, and may go on (R78).
    fn begin_to_listen(&mut self) {
        if let Some(turn) = &self.turn {
            turn.finish();
        }
        self.quiet = self.quiet.min(ALONE_WITHIN);
        self.timer.as_mut().reset(self.talk.last.get() + self.quiet);
        let talk = Rc::clone(&self.talk);
        self.stage = Stage::Alone(Box::pin(async move { talk.silence().await }));
    }

    /// No Close frame of ours can follow the end of the app's side: whatever ends the tunnel now cuts it.
    fn poll_alone(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Stage::Alone(silence) = &mut self.stage else { return Poll::Ready(None) };
        if silence.as_mut().poll(cx).is_ready() {
            self.stage = Stage::Farewell(Box::pin(sleep(LAST_BYTES_WITHIN)));
            return self.poll_farewell(cx);
        }
        if self.watch.as_mut().poll(cx).is_ready() {
            return self.cut();
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let until = self.talk.last.get() + self.quiet;
            if until <= Instant::now() {
                return self.cut();
            }
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
    }

    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let until = self.talk.last.get() + self.quiet;
            if until <= Instant::now() {
                self.begin_to_end(GOING_AWAY, "nobody spoke for too long");
                return self.poll_ending(cx);
            }
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
    }

    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Stage::Ending(code, reason) = self.stage else { return Poll::Ready(None) };
        if self.walker.has_closed() && self.walker.is_between_frames() {
            // The app has said goodbye itself.
            self.begin_farewell();
            return self.poll_farewell(cx);
        }
        if self.walker.is_between_frames() {
            self.begin_farewell();
            return Poll::Ready(Some(Ok(Bytes::from(close_frame(code, reason)))));
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            return self.cut();
        }
        match self.poll_chunk(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Some(chunk))) => {
                let end = self.walker.walk_to_boundary(&chunk).unwrap_or(chunk.len());
                Poll::Ready(Some(Ok(chunk.slice(..end))))
            }
            Poll::Ready(Ok(None) | Err(_)) => self.cut(),
        }
    }

    fn cut(&mut self) -> Poll<Option<io::Result<Bytes>>> {
        self.stage = Stage::Over;
        Poll::Ready(Some(Err(io::Error::other("the tunnel is cut"))))
    }

    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Stage::Farewell(said) = &mut self.stage else { return Poll::Ready(None) };
        std::task::ready!(said.as_mut().poll(cx));
        self.stage = Stage::Over;
        // Not `None`: the framework would then wait for a request that never ends, and the browser for us.
        Poll::Ready(Some(Err(io::Error::other("the tunnel is closed"))))
    }
}

impl MessageBody for Tube {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match self.stage {
            Stage::Open => self.poll_open(cx),
            Stage::Alone(_) => self.poll_alone(cx),
            Stage::Ending(..) => self.poll_ending(cx),
            Stage::Farewell(_) => self.poll_farewell(cx),
            Stage::Over => Poll::Ready(None),
        }
    }
}

impl Drop for Tube {
    fn drop(&mut self) {
        self.talk.cut.send_replace(true);
    }
}
