//! Moving sessions between stores: rows travel as they lie there.
//!
//! I own: [`Carrier`], which is the port `Transfer` over any backend, and what a backend owes for it ([`Haul`]). I may
//! call: `domain`, `ports`, `keyring`, the room's own types. I never open the private part of a session: its ticket is in
//! a browser. And I never bring back what was ended here, as far as this store remembers it.
//!
//! `file` knows the bytes of the file.

use self::file::{Frame, Reader, Writer};
use crate::domain::identity::Issuer;
use crate::domain::logout::Mark;
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::{KeyId, KeyRing, Purpose};
use crate::ports::{
    Answer, Cursor, Imported, Piece, SessionStore, StoreError, Terms, Transfer, TransferError,
};
use crate::store::near::Aside;
use crate::store::shelf::EndingShelf;
use crate::store::{Row, record, sealed};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::sync::Arc;
use std::time::Duration;

mod file;

/// How many records are read at once for a file.
const PAGE: usize = 200;

/// How often a page is asked for again, and after how long.
const TRIES: usize = 3;
const BETWEEN: Duration = Duration::from_secs(1);

/// How many records are written at once from a file.
const AT_ONCE: usize = 64;

/// What seals a file.
const PURPOSE: Purpose = Purpose::Transfer;

/// The issuer under which files are remembered that were taken in. No provider has this name: it is no URL.
const FILES: &str = "keycard sessions import";

/// A record as it travels. When it expires is in its operator part.
#[derive(Clone)]
pub(in crate::store) struct Parcel {
    pub(in crate::store) key: SessionKey,
    pub(in crate::store) row: Row,
    pub(in crate::store) last_seen: Option<Timestamp>,
}

/// One page of records, and where the next one begins.
pub(in crate::store) type Load = (Vec<Parcel>, Option<Cursor>);

/// What became of a record that was to be put into a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Placed {
    /// It is there now.
    New,
    /// It took the place of an older version.
    Newer,
    /// There was one already, no older; nothing has changed.
    There,
}

/// What a backend owes, so that its sessions can be moved.
pub(in crate::store) trait Haul: Send + Sync {
    /// About `limit` whole records from `cursor` on, as `Backend::page` walks.
    fn load<'a>(&'a self, cursor: Option<&'a Cursor>, limit: usize, now: Timestamp) -> Answer<'a, Load>;

    /// Puts a record where there is none, or an older version, its index entries first. Last seen never goes back.
    fn place<'a>(&'a self, parcel: &'a Parcel, now: Timestamp) -> Answer<'a, Placed>;
}

/// Moves sessions out of a store and into it.
pub(super) struct Carrier {
    haul: Arc<dyn Haul>,
    /// For the moment at which everybody was sent home: there may be records yet of who was in before it.
    shelf: Arc<dyn EndingShelf>,
    /// For marks.
    store: Arc<dyn SessionStore>,
    keys: Arc<KeyRing>,
    aside: Arc<Aside>,
}

/// Why a parcel is not put into the store.
enum Unwanted {
    Expired,
    Ended,
    /// It does not open, perhaps for want of this key.
    Unreadable(Option<KeyId>),
}

impl Carrier {
    pub(super) fn new(
        haul: Arc<dyn Haul>,
        shelf: Arc<dyn EndingShelf>,
        store: Arc<dyn SessionStore>,
        keys: Arc<KeyRing>,
    ) -> Self {
        Self { haul, shelf, store, keys, aside: Arc::default() }
    }

    /// The same; whoever has sessions in memory hears of what is put into the store.
    pub(super) fn telling(self, aside: Arc<Aside>) -> Self {
        Self { aside, ..self }
    }

    async fn place(&self, parcel: &Parcel, now: Timestamp) -> Result<Placed, StoreError> {
        // Until its end: what is read before it may be the older version.
        let _afterwards = self.aside.changing(&parcel.key);
        self.haul.place(parcel, now).await
    }

    async fn take_in(
        &self,
        mut pieces: BoxStream<'_, Result<Vec<u8>, String>>,
        terms: Terms,
    ) -> Result<Imported, TransferError> {
        let mut reader = Reader::default();
        let mut imported = Imported::default();
        let mut known = None;
        while known.is_none() {
            let Some(piece) = pieces.next().await else {
                return Err(TransferError::NotOurs("it does not begin as one of ours"));
            };
            reader.push(&piece.map_err(|why| TransferError::CutOff { done: Imported::default(), why })?);
            known = reader.begin(&self.keys)?;
        }
        let name = known.unwrap_or_default();
        let issuer = Issuer::new(FILES);
        let mark = Mark::Notice(&issuer, &name);
        if !terms.again && self.store.marked(&[mark], terms.now).await?.is_some() {
            return Err(TransferError::Again);
        }
        loop {
            // As many as have arrived, some at once: a store that writes to a disk writes them together.
            let (parcels, end) = batch(&mut reader, &self.keys)?;
            self.sort(parcels, terms, &mut imported).await?;
            match end {
                Batch::Ended(count) if count != imported.all() => {
                    return Err(TransferError::NotOurs("it does not hold as many sessions as it says"));
                }
                Batch::Ended(_) => break,
                Batch::More => {}
                Batch::Hungry => match pieces.next().await {
                    Some(Ok(piece)) => reader.push(&piece),
                    Some(Err(why)) => return Err(TransferError::CutOff { done: imported, why }),
                    None => {
                        let why = "its end mark is missing".to_owned();
                        return Err(TransferError::CutOff { done: imported, why });
                    }
                },
            }
        }
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|why| TransferError::CutOff { done: imported.clone(), why })?;
            reader.push(&piece);
            reader.nothing_more()?;
        }
        reader.nothing_more()?;
        // As long as any session of it might come back: none lives longer than that from now on.
        self.store.mark(mark, terms.now, terms.limits.lifetime).await?;
        Ok(imported)
    }

    /// Puts into the store what may be.
    async fn sort(
        &self,
        parcels: Vec<Parcel>,
        terms: Terms,
        imported: &mut Imported,
    ) -> Result<(), TransferError> {
        if parcels.is_empty() {
            return Ok(());
        }
        // Once for all of them: whoever is put there and was sent home meanwhile is refused by that moment itself.
        let cleared = self.shelf.cleared(terms.now).await?.latest();
        let all = parcels.into_iter().map(|parcel| async move {
            Ok::<_, StoreError>(match self.judge(parcel, terms, cleared).await? {
                Ok(parcel) => Ok(self.place(&parcel, terms.now).await?),
                Err(unwanted) => Err(unwanted),
            })
        });
        let mut all = stream::iter(all).buffer_unordered(AT_ONCE);
        while let Some(placed) = all.try_next().await? {
            match placed {
                Ok(Placed::New | Placed::Newer) => imported.imported += 1,
                Ok(Placed::There) => imported.there += 1,
                Err(Unwanted::Expired) => imported.expired += 1,
                Err(Unwanted::Ended) => imported.ended += 1,
                Err(Unwanted::Unreadable(key)) => {
                    imported.refused += 1;
                    let key = key.map(file::shown);
                    if let Some(key) = key.filter(|key| !imported.unknown_keys.contains(key)) {
                        imported.unknown_keys.push(key);
                    }
                }
            }
        }
        Ok(())
    }

    /// The parcel, with the end that its record has; or why it is not for this store.
    async fn judge(
        &self,
        mut parcel: Parcel,
        terms: Terms,
        cleared: Timestamp,
    ) -> Result<Result<Parcel, Unwanted>, StoreError> {
        // The private part does not open here, but it says which key it would need.
        let unknown = |sealed: &[u8]| {
            let id = sealed.get(..size_of::<KeyId>()).and_then(KeyId::from_bytes);
            id.filter(|id| !self.keys.has(*id))
        };
        if let Some(key) = unknown(&parcel.row.private).or_else(|| unknown(&parcel.row.operator)) {
            return Ok(Err(Unwanted::Unreadable(Some(key))));
        }
        let Parcel { key, row, .. } = &parcel;
        let opened = sealed::open_operator(&self.keys, key, row.version, &row.operator);
        let read = opened.and_then(|plain| {
            let sid = record::decode_provider_sid(&plain).ok()?;
            Some((record::decode_summary(&plain).ok()?, sid))
        });
        let Some((summary, sid)) = read else { return Ok(Err(Unwanted::Unreadable(None))) };
        let last_seen = parcel.last_seen.unwrap_or(summary.started);
        if terms.limits.judge(summary.started, summary.ends, last_seen, terms.now).is_err() {
            return Ok(Err(Unwanted::Expired));
        }
        let started = summary.started;
        if started <= cleared {
            return Ok(Err(Unwanted::Ended));
        }
        parcel.row.expires = summary.ends;
        let marks = Mark::not_before(&summary.issuer, &summary.subject, sid.as_deref());
        let ended = self.store.marked(&marks, terms.now).await?;
        if ended.is_some_and(|moment| started <= moment) {
            return Ok(Err(Unwanted::Ended));
        }
        Ok(Ok(parcel))
    }
}

/// How a batch came to its end.
enum Batch {
    /// With the file's own end, which says how many sessions there are.
    Ended(u64),
    /// It is large enough.
    More,
    /// Nothing more has arrived.
    Hungry,
}

fn batch(reader: &mut Reader, keys: &KeyRing) -> Result<(Vec<Parcel>, Batch), TransferError> {
    let mut parcels = Vec::new();
    while parcels.len() < 4 * AT_ONCE {
        match reader.next(keys)? {
            Some(Frame::Session(parcel)) => parcels.push(*parcel),
            Some(Frame::End(count)) => return Ok((parcels, Batch::Ended(count))),
            None => return Ok((parcels, Batch::Hungry)),
        }
    }
    Ok((parcels, Batch::More))
}

/// What an export reads from.
#[derive(Clone)]
struct Source {
    haul: Arc<dyn Haul>,
    shelf: Arc<dyn EndingShelf>,
    keys: Arc<KeyRing>,
}

impl Source {
    /// One page, without those who are out. A long file is not lost for a store that is slow for a moment.
    async fn patient(&self, cursor: Option<&Cursor>, now: Timestamp) -> Result<Load, StoreError> {
        for _ in 0..TRIES {
            match self.page(cursor, now).await {
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(BETWEEN).await,
                answer => return answer,
            }
        }
        self.page(cursor, now).await
    }

    async fn page(&self, cursor: Option<&Cursor>, now: Timestamp) -> Result<Load, StoreError> {
        let (mut parcels, next) = self.haul.load(cursor, PAGE, now).await?;
        // After the page, and for each: everybody may be sent home while the file is written.
        let cleared = self.shelf.cleared(now).await?.latest();
        if Timestamp::NEVER < cleared {
            parcels.retain(|parcel| !self.is_out(parcel, cleared));
        }
        Ok((parcels, next))
    }

    /// Whether only the moment for everybody still keeps this one out: no other store knows of it. What does not open
    /// travels as it is, and is refused where it arrives.
    fn is_out(&self, parcel: &Parcel, cleared: Timestamp) -> bool {
        let Parcel { key, row, .. } = parcel;
        let summary = sealed::summary(&self.keys, key, row.version, &row.operator);
        summary.is_some_and(|summary| summary.started <= cleared)
    }
}

/// Where an export is.
enum Stage {
    Begin,
    At(Writer, Option<Cursor>),
    End(Writer),
    Over,
}

impl Transfer for Carrier {
    fn export(&self, now: Timestamp) -> BoxStream<'static, Result<Piece, StoreError>> {
        let (haul, shelf, keys) = (Arc::clone(&self.haul), Arc::clone(&self.shelf), Arc::clone(&self.keys));
        let source = Source { haul, shelf, keys };
        let step = move |stage: Stage| {
            let source = source.clone();
            async move {
                let keys = &source.keys;
                Ok::<_, StoreError>(match stage {
                    Stage::Begin => {
                        let (writer, bytes) = Writer::begin(keys)?;
                        Some((Piece { bytes, sessions: 0 }, Stage::At(writer, None)))
                    }
                    Stage::At(mut writer, cursor) => {
                        let (parcels, next) = source.patient(cursor.as_ref(), now).await?;
                        let (mut bytes, mut sessions) = (Vec::new(), 0);
                        for parcel in &parcels {
                            writer.session(keys, parcel, &mut bytes)?;
                            sessions += 1;
                        }
                        let stage = match next {
                            Some(next) => Stage::At(writer, Some(next)),
                            None => Stage::End(writer),
                        };
                        Some((Piece { bytes, sessions }, stage))
                    }
                    Stage::End(writer) => {
                        let bytes = writer.end(keys)?;
                        Some((Piece { bytes, sessions: 0 }, Stage::Over))
                    }
                    Stage::Over => None,
                })
            }
        };
        stream::try_unfold(Stage::Begin, step).boxed()
    }

    fn import<'a>(
        &'a self,
        pieces: BoxStream<'a, Result<Vec<u8>, String>>,
        terms: Terms,
    ) -> BoxFuture<'a, Result<Imported, TransferError>> {
        Box::pin(self.take_in(pieces, terms))
    }
}
