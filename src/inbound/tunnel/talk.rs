//! What a browser says into a tunnel, on its way to the app.
//!
//! I own: [`pump`], and [`Talk`], which the two directions of a tunnel share. I may call: `upstream`. I never open a
//! frame, and after a cut I pass nothing on.

use crate::upstream::tunnel::TunnelWriter;
use crate::upstream::tunnel::walker::Walker;
use actix_web::web;
use futures_util::StreamExt as _;
use std::cell::Cell;
use std::rc::Rc;
use tokio::sync::{Notify, watch as channel};
use tokio::time::Instant;

/// What the two directions know of each other.
pub struct Talk {
    /// When a byte last went either way.
    pub last: Cell<Instant>,
    /// Told when the browser sent data.
    pub used: Rc<Notify>,
    /// Set when nothing more may reach the app.
    pub cut: channel::Sender<bool>,
    /// Set when the browser has said its last: a Close frame, or the end of its side.
    pub silent: channel::Sender<bool>,
    /// Set when the app takes nothing more.
    pub deaf: channel::Sender<bool>,
}

impl Default for Talk {
    fn default() -> Self {
        let unset = || channel::Sender::new(false);
        Self {
            last: Cell::new(Instant::now()),
            used: Rc::default(),
            cut: unset(),
            silent: unset(),
            deaf: unset(),
        }
    }
}

/// From the browser to the app. After a cut, what comes is read and dropped, so that our Close frame arrives: a socket
/// that is closed with unread bytes in it takes back what was written.
pub async fn pump(mut payload: web::Payload, writer: TunnelWriter, talk: Rc<Talk>) {
    let (mut walker, mut writer) = (Walker::default(), Some(writer));
    let mut cut = talk.cut.subscribe();
    loop {
        let chunk = tokio::select! {
            biased;
            _ = cut.wait_for(|cut| *cut), if writer.is_some() => {
                // The app sees its end of the tunnel close at once.
                writer = None;
                continue;
            }
            chunk = payload.next() => chunk,
        };
        let Some(Ok(chunk)) = chunk else { break };
        talk.last.set(Instant::now());
        let before = walker.data_frames();
        walker.walk(&chunk);
        if walker.data_frames() > before {
            talk.used.notify_one();
        }
        if let Some(app) = writer.as_mut() {
            let sent = tokio::select! {
                sent = app.send(&chunk) => sent.is_ok(),
                _ = cut.wait_for(|cut| *cut) => false,
            };
            if !sent {
                writer = None;
                talk.deaf.send_replace(true);
            }
        }
        if walker.has_closed() {
            talk.silent.send_replace(true);
        }
    }
    if let Some(mut app) = writer {
        // One side has ended; the other may go on (R78).
        let _ = app.finish().await;
    }
    talk.silent.send_replace(true);
}

impl Talk {
    /// Completes when the browser has said its last, or the app takes nothing more of it.
    pub async fn silence(&self) {
        let (mut silent, mut deaf) = (self.silent.subscribe(), self.deaf.subscribe());
        // The senders are here: neither can be gone.
        tokio::select! {
            _ = silent.wait_for(|silent| *silent) => {}
            _ = deaf.wait_for(|deaf| *deaf) => {}
        }
    }
}
