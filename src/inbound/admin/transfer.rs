//! `GET /admin/sessions/export` and `POST /admin/sessions/import`: sessions on their way to another store.
//!
//! I own: both streams, and their audit lines. I may call: `gateway`, `ports`. I never hold more of a file than one piece,
//! and never say that one was written or taken in whole when it was not.

use super::{Act, error, json};
use crate::gateway::Gateway;
use crate::inbound::answer::Fault;
use crate::inbound::harden::harden;
use crate::inbound::unread;
use crate::ports::{Imported, Piece, StoreError, Terms, TransferError};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use futures_util::future::join;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a file may stand still on its way here.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many pieces of it may wait for the store.
const AHEAD: usize = 4;

/// After a refusal, as much of the file is let in unread, so that its sender gets to hear why.
const READ_OUT: Duration = Duration::from_secs(30);

/// `GET /admin/sessions/export`.
pub(super) async fn export(act: Act, gateway: &Gateway) -> HttpResponse {
    // While there is still a status to say it with.
    if let Err(error) = gateway.store.ping().await {
        return act.fail(&error.into());
    }
    let pieces = gateway.transfer.export(gateway.clock.now());
    let mut response =
        HttpResponse::Ok().content_type("application/octet-stream").streaming(Watched::over(pieces, act));
    harden(&mut response);
    response
}

/// An export on its way, which leaves its line in the log however it ends.
struct Watched {
    pieces: BoxStream<'static, Result<Piece, StoreError>>,
    act: Act,
    sessions: usize,
    /// How it ended, once it has.
    outcome: &'static str,
}

impl Watched {
    fn over(
        pieces: BoxStream<'static, Result<Piece, StoreError>>,
        act: Act,
    ) -> impl Stream<Item = Result<web::Bytes, StoreError>> {
        act.note("sessions-export", 0);
        let watched = Self { pieces, act, sessions: 0, outcome: "sessions-export-broken-off" };
        stream::unfold(watched, async |mut watched| {
            let piece = watched.pieces.next().await;
            match piece {
                Some(Ok(piece)) => {
                    watched.sessions += usize::try_from(piece.sessions).unwrap_or(usize::MAX);
                    Some((Ok(web::Bytes::from(piece.bytes)), watched))
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "an export of sessions was broken off");
                    Some((Err(error), watched))
                }
                None => {
                    watched.outcome = "sessions-exported";
                    None
                }
            }
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.act.note(self.outcome, self.sessions);
    }
}

/// What became of a file.
#[derive(Serialize)]
struct TakenIn<'t> {
    imported: u64,
    already_there: u64,
    expired: u64,
    ended: u64,
    refused: u64,
    unknown_keys: &'t [String],
}

/// `POST /admin/sessions/import`.
pub(super) async fn import(act: Act, again: bool, gateway: &Gateway, mut body: web::Payload) -> HttpResponse {
    let terms = Terms { limits: gateway.limits, now: gateway.clock.now(), again };
    act.note("sessions-import", 0);
    let taken_in = {
        // The body of a request cannot leave its thread; what takes it in does not care for threads.
        let (sender, receiver) = mpsc::channel(AHEAD);
        let pieces = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let forwarding = forward(&mut body, sender);
        let (taken_in, ()) = join(gateway.transfer.import(pieces.boxed(), terms), forwarding).await;
        taken_in
    };
    if taken_in.is_err() {
        let reading_out = async { while let Some(Ok(_)) = body.next().await {} };
        drop(tokio::time::timeout(READ_OUT, reading_out).await);
    }
    let response = match taken_in {
        Ok(done) => {
            act.note("sessions-imported", usize::try_from(done.imported).unwrap_or(usize::MAX));
            json(StatusCode::OK, "application/json", &taken(&done))
        }
        Err(failure) => refuse(act, failure),
    };
    unread::hold(response, body.into_inner())
}

/// Hands on what arrives, until nobody takes it any more.
async fn forward(body: &mut web::Payload, to: mpsc::Sender<Result<Vec<u8>, String>>) {
    loop {
        let (piece, last) = match tokio::time::timeout(PATIENCE, body.next()).await {
            Ok(None) => return,
            Ok(Some(Ok(piece))) => (Ok(piece.to_vec()), false),
            Ok(Some(Err(_))) => (Err("it did not arrive whole".to_owned()), true),
            Err(_) => (Err("it stood still on its way".to_owned()), true),
        };
        if to.send(piece).await.is_err() || last {
            return;
        }
    }
}

fn taken(done: &Imported) -> TakenIn<'_> {
    let Imported { imported, there, expired, ended, refused, unknown_keys } = done;
    TakenIn {
        imported: *imported,
        already_there: *there,
        expired: *expired,
        ended: *ended,
        refused: *refused,
        unknown_keys,
    }
}

fn refuse(mut act: Act, failure: TransferError) -> HttpResponse {
    let cause = failure.to_string();
    let fault: Fault = match failure {
        TransferError::Store(error) => error::gateway(&error.into()),
        TransferError::NotOurs(_) => error::bad_transfer(cause),
        TransferError::CutOff { done, .. } => {
            // Not in vain: the same file, whole, finds these there already.
            act.note("sessions-import-broken-off", usize::try_from(done.imported).unwrap_or(usize::MAX));
            error::transfer_cut_off(cause)
        }
        TransferError::Again => error::transfer_again(),
        TransferError::UnknownKey(key) => {
            act.key = Some(key);
            error::transfer_keys(cause)
        }
    };
    act.refuse(fault)
}
