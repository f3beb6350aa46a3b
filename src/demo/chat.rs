//! A chat over a WebSocket, with everybody who has the page open.
//!
//! I own: as much of RFC 6455 as a demo needs: short text frames, ping, close. I may call: `keyring` (the answer to a
//! handshake). I never check who may come: `Remote-Name` is whatever the gateway says.

use super::apps::Apps;
use crate::keyring;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use std::convert::Infallible;
use tokio::sync::{broadcast, mpsc};

/// The longest message, in bytes: what fits into a short frame together with a name.
const LONGEST: usize = 200;
/// How many messages a slow page may lag behind before it misses some.
const LAG: usize = 64;

/// Everybody's messages.
pub(super) struct Room(broadcast::Sender<String>);

impl Default for Room {
    fn default() -> Self {
        Self(broadcast::Sender::new(LAG))
    }
}

/// Opens the chat for one page.
pub(super) async fn open(request: HttpRequest, payload: web::Payload, apps: web::Data<Apps>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(key) = header("sec-websocket-key") else {
        return HttpResponse::UpgradeRequired().insert_header((header::UPGRADE, "websocket")).finish();
    };
    let accept = keyring::websocket_accept(key);
    let name = header("remote-name").or(header("remote-user")).unwrap_or("somebody").to_owned();
    let (own, answers) = mpsc::channel(8);
    let messages = apps.room.0.subscribe();
    say(&apps.room, &format!("{name} is here"));
    actix_web::rt::spawn(listen(payload, apps.clone(), name, own));
    HttpResponse::build(StatusCode::SWITCHING_PROTOCOLS)
        .upgrade("websocket")
        .insert_header(("sec-websocket-accept", accept))
        .streaming(stream::unfold((messages, answers, false), next))
}

fn say(room: &Room, text: &str) {
    // Nobody may be listening.
    let _ = room.0.send(text.to_owned());
}

type Sources = (broadcast::Receiver<String>, mpsc::Receiver<Frame>, bool);

/// The next frame for a page.
async fn next((mut messages, mut answers, over): Sources) -> Option<(Result<Bytes, Infallible>, Sources)> {
    if over {
        return None;
    }
    let frame = loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(text) => break Frame { opcode: TEXT, payload: text.into() },
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            },
            answer = answers.recv() => break answer?,
        }
    };
    let over = frame.opcode == CLOSE;
    Some((Ok(frame.into_bytes()), (messages, answers, over)))
}

/// Hears what a page says until it leaves.
async fn listen(
    mut payload: web::Payload,
    apps: web::Data<Apps>,
    name: String,
    answers: mpsc::Sender<Frame>,
) {
    let mut unread = BytesMut::new();
    while let Some(Ok(chunk)) = payload.next().await {
        unread.extend_from_slice(&chunk);
        while let Some(frame) = Frame::take(&mut unread) {
            match frame.opcode {
                TEXT => say(&apps.room, &format!("{name}: {}", String::from_utf8_lossy(&frame.payload))),
                PING => drop(answers.send(Frame { opcode: PONG, payload: frame.payload }).await),
                CLOSE => drop(answers.send(Frame { opcode: CLOSE, payload: frame.payload }).await),
                _ => {}
            }
        }
        if unread.len() > LONGEST + 14 {
            break;
        }
    }
    say(&apps.room, &format!("{name} has left"));
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

struct Frame {
    opcode: u8,
    payload: Vec<u8>,
}

impl Frame {
    /// The next whole frame of a page, unmasked; longer ones than a demo needs are none.
    fn take(unread: &mut BytesMut) -> Option<Self> {
        let (&first, &second) = (unread.first()?, unread.get(1)?);
        let (start, length) = match second & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes([*unread.get(2)?, *unread.get(3)?]))),
            127 => return None,
            short => (2, usize::from(short)),
        };
        if length > LONGEST || unread.len() < start + 4 + length {
            return None;
        }
        let mask = unread.get(start..start + 4)?.to_vec();
        let masked = unread.get(start + 4..start + 4 + length)?;
        let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        unread.advance(start + 4 + length);
        Some(Self { opcode: first & 0x0f, payload })
    }

    fn into_bytes(self) -> Bytes {
        let mut bytes = vec![0x80 | self.opcode];
        match u8::try_from(self.payload.len()) {
            Ok(short) if short < 126 => bytes.push(short),
            _ => {
                let length = u16::try_from(self.payload.len()).unwrap_or(u16::MAX);
                bytes.push(126);
                bytes.extend_from_slice(&length.to_be_bytes());
            }
        }
        bytes.extend_from_slice(&self.payload);
        bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_page_are_taken_whole() {
        let mut unread = BytesMut::from(&[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2, 0x88][..]);
        let frame = Frame::take(&mut unread).unwrap();
        assert_eq!((frame.opcode, frame.payload.as_slice()), (TEXT, &b"hi"[..]));
        assert!(Frame::take(&mut unread).is_none());
        assert_eq!(Frame { opcode: TEXT, payload: vec![b'x'; 130] }.into_bytes()[..4], [0x81, 126, 0, 130]);
    }
}
