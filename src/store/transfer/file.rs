//! The bytes of a file of sessions.
//!
//! I own: [`Writer`] and [`Reader`]. I may call: `domain`, `keyring`, `ports` (for errors), the room's own types. I never
//! believe a byte that does not open, and never hold more of a file than one session and what has just arrived.
//!
//! A line of text, for people: `keycard sessions 1 <name of the file> <keys>`; the first of these keys seals the file, and
//! the others are those of the ring that it came from. Then frames, each a length of four bytes and that many sealed ones.
//! A frame is bound to the file and to its place in it, so that none can be left out, moved, or brought from elsewhere.
//! The last one says how many sessions there are. Numbers are big-endian.

use super::{PURPOSE, Parcel};
use crate::domain::session::SessionKey;
use crate::domain::time::Timestamp;
use crate::keyring::{CannotOpen, KeyId, KeyRing, NoRandomness, new_text};
use crate::ports::{StoreError, TransferError};
use crate::store::{IndexName, Row};
use bytes::{Buf as _, BytesMut};

/// What the line begins with.
const OPENING: &str = "keycard sessions 1 ";

/// Longer lines are not read; a ring of a hundred keys has a shorter one.
const LONGEST_LINE: usize = 1024;

/// Longer frames are neither written nor read. A session has some thousand bytes.
const LONGEST_FRAME: usize = 8 << 20;

const SESSION: u8 = 1;
const END: u8 = 2;

/// The id of a key as people read it.
pub(super) fn shown(key: KeyId) -> String {
    key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn known(text: &str) -> Option<KeyId> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    KeyId::from_bytes(&bytes?)
}

/// Writes a file.
pub(super) struct Writer {
    name: String,
    /// How many frames there are.
    frames: u64,
}

impl Writer {
    /// Begins a file: its line.
    pub(super) fn begin(keys: &KeyRing) -> Result<(Self, Vec<u8>), StoreError> {
        let unavailable = |error: NoRandomness| StoreError::Unavailable(error.to_string());
        let name = new_text::<16>().map_err(unavailable)?.as_str().to_owned();
        let ids: Vec<String> = keys.ids().into_iter().map(shown).collect();
        let line = format!("{OPENING}{name} {}\n", ids.join(","));
        Ok((Self { name, frames: 0 }, line.into_bytes()))
    }

    /// Adds a session.
    pub(super) fn session(
        &mut self,
        keys: &KeyRing,
        parcel: &Parcel,
        bytes: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let Parcel { key, row, last_seen } = parcel;
        let mut plain = vec![SESSION];
        plain.extend_from_slice(key.as_bytes());
        plain.extend_from_slice(&row.version.to_be_bytes());
        plain.extend_from_slice(&last_seen.map_or(u64::MAX, Timestamp::unix_millis).to_be_bytes());
        put(&mut plain, &row.indexes.concat())?;
        put(&mut plain, &row.private)?;
        put(&mut plain, &row.operator)?;
        self.frame(keys, &plain, bytes)
    }

    /// The end of the file.
    pub(super) fn end(mut self, keys: &KeyRing) -> Result<Vec<u8>, StoreError> {
        let (mut plain, mut bytes) = (vec![END], Vec::new());
        plain.extend_from_slice(&self.frames.to_be_bytes());
        self.frame(keys, &plain, &mut bytes)?;
        Ok(bytes)
    }

    fn frame(&mut self, keys: &KeyRing, plain: &[u8], bytes: &mut Vec<u8>) -> Result<(), StoreError> {
        let sealed = keys
            .seal(PURPOSE, self.name.as_bytes(), &self.frames.to_be_bytes(), plain)
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        if sealed.len() > LONGEST_FRAME {
            return Err(StoreError::Unreadable("a session is too large to be moved"));
        }
        self.frames += 1;
        put(bytes, &sealed)
    }
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) -> Result<(), StoreError> {
    let length = u32::try_from(part.len()).map_err(|_| StoreError::Unreadable("a session is too large"))?;
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part);
    Ok(())
}

/// What a frame holds.
pub(super) enum Frame {
    Session(Box<Parcel>),
    /// The end, and how many sessions there are.
    End(u64),
}

/// Reads a file as it arrives.
#[derive(Default)]
pub(super) struct Reader {
    arrived: BytesMut,
    name: String,
    frames: u64,
}

impl Reader {
    /// What has arrived.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.arrived.extend_from_slice(piece);
    }

    /// Reads the line, once it is there; the name of the file.
    pub(super) fn begin(&mut self, keys: &KeyRing) -> Result<Option<String>, TransferError> {
        let no = Err(TransferError::NotOurs("it does not begin as one of ours"));
        let Some(end) = self.arrived.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
            let sound = self.arrived.iter().zip(OPENING.as_bytes()).all(|(one, other)| one == other);
            return if sound && self.arrived.len() < LONGEST_LINE { Ok(None) } else { no };
        };
        let line = self.arrived.split_to(end + 1);
        let line =
            std::str::from_utf8(&line).ok().map(str::trim_end).and_then(|line| line.strip_prefix(OPENING));
        let Some((name, ids)) = line.and_then(|line| line.split_once(' ')) else { return no };
        let first = ids.split(',').next().unwrap_or_default();
        match known(first) {
            None => return no,
            Some(key) if !keys.has(key) => return Err(TransferError::UnknownKey(shown(key))),
            Some(_) => {}
        }
        self.name = name.to_owned();
        Ok(Some(name.to_owned()))
    }

    /// The next frame, once it is there.
    pub(super) fn next(&mut self, keys: &KeyRing) -> Result<Option<Frame>, TransferError> {
        let Some(length) = self.arrived.first_chunk::<4>().map(|four| u32::from_be_bytes(*four) as usize)
        else {
            return Ok(None);
        };
        if length > LONGEST_FRAME {
            return Err(TransferError::NotOurs("it was changed"));
        }
        if self.arrived.len() < 4 + length {
            return Ok(None);
        }
        self.arrived.advance(4);
        let sealed = self.arrived.split_to(length);
        let context = self.frames.to_be_bytes();
        let plain = match keys.open(PURPOSE, self.name.as_bytes(), &context, &sealed) {
            Ok((_, plain)) => plain,
            Err(CannotOpen::NotAuthentic) => return Err(TransferError::NotOurs("it was changed")),
            Err(CannotOpen::UnknownKey) => {
                let id = sealed.get(..4).and_then(KeyId::from_bytes).map(shown);
                return Err(TransferError::UnknownKey(id.unwrap_or_default()));
            }
        };
        self.frames += 1;
        read(&plain)
            .map(Some)
            .ok_or(TransferError::NotOurs("a frame of it is of another version of this program"))
    }

    /// After the end there is nothing.
    pub(super) fn nothing_more(&self) -> Result<(), TransferError> {
        if self.arrived.is_empty() {
            Ok(())
        } else {
            Err(TransferError::NotOurs("something follows its end"))
        }
    }
}

fn read(plain: &[u8]) -> Option<Frame> {
    let (kind, rest) = plain.split_first()?;
    match *kind {
        END => Some(Frame::End(u64::from_be_bytes(rest.try_into().ok()?))),
        SESSION => {
            let (key, rest) = rest.split_first_chunk::<32>()?;
            let (version, rest) = rest.split_first_chunk::<8>()?;
            let (last_seen, rest) = rest.split_first_chunk::<8>()?;
            let (indexes, rest) = part(rest)?;
            let (private, rest) = part(rest)?;
            let (operator, rest) = part(rest)?;
            let (names, odd) = indexes.as_chunks::<{ size_of::<IndexName>() }>();
            if !odd.is_empty() || !rest.is_empty() {
                return None;
            }
            let last_seen = u64::from_be_bytes(*last_seen);
            let row = Row {
                version: u64::from_be_bytes(*version),
                private: private.to_vec(),
                operator: operator.to_vec(),
                indexes: names.to_vec(),
                // Known once the operator part is open.
                expires: Timestamp::from_unix_millis(0),
            };
            let last_seen = (last_seen != u64::MAX).then(|| Timestamp::from_unix_millis(last_seen));
            Some(Frame::Session(Box::new(Parcel { key: SessionKey::from_digest(*key), row, last_seen })))
        }
        _ => None,
    }
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::house::ring;

    fn parcel(byte: u8) -> Parcel {
        let row = Row {
            version: 3,
            private: vec![byte; 500],
            operator: vec![byte; 300],
            indexes: vec![[byte; 32], [7; 32]],
            expires: Timestamp::from_unix_millis(0),
        };
        let last_seen = (byte != 2).then(|| Timestamp::from_unix_millis(5));
        Parcel { key: SessionKey::from_digest([byte; 32]), row, last_seen }
    }

    /// A file of three sessions: its line, then each of its frames.
    fn file() -> Vec<Vec<u8>> {
        let keys = ring(&[1]);
        let (mut writer, line) = Writer::begin(&keys).unwrap();
        let mut pieces = vec![line];
        for byte in [1, 2, 3] {
            let mut bytes = Vec::new();
            writer.session(&keys, &parcel(byte), &mut bytes).unwrap();
            pieces.push(bytes);
        }
        pieces.push(writer.end(&keys).unwrap());
        pieces
    }

    /// How many sessions come out, and whether the file came to its end.
    fn reading(bytes: &[u8], step: usize) -> Result<(usize, bool), TransferError> {
        let keys = ring(&[9, 1]);
        let (mut reader, mut begun, mut sessions) = (Reader::default(), false, 0);
        for piece in bytes.chunks(step) {
            reader.push(piece);
            begun = begun || reader.begin(&keys)?.is_some();
            while let Some(frame) = begun.then(|| reader.next(&keys)).transpose()?.flatten() {
                match frame {
                    Frame::Session(read) => {
                        sessions += 1;
                        let expected = parcel(u8::try_from(sessions).unwrap());
                        assert_eq!((read.key, read.last_seen), (expected.key, expected.last_seen));
                        assert_eq!(
                            (read.row.version, read.row.private, read.row.operator, read.row.indexes),
                            (3, expected.row.private, expected.row.operator, expected.row.indexes)
                        );
                    }
                    Frame::End(count) => {
                        assert_eq!(count, sessions as u64);
                        reader.nothing_more()?;
                        return Ok((sessions, true));
                    }
                }
            }
        }
        Ok((sessions, false))
    }

    #[test]
    fn r44_a_file_comes_back_as_it_was_written_in_whatever_pieces() {
        let bytes = file().concat();
        for step in [1, 7, 1000, bytes.len()] {
            assert_eq!(reading(&bytes, step).unwrap(), (3, true), "pieces of {step}");
        }
        for part in [parcel(1).row.private, parcel(1).row.operator, vec![7; 16]] {
            assert!(!bytes.windows(16).any(|window| window == &part[..16]), "it says something");
        }
    }

    #[test]
    fn r44_nothing_is_left_out_moved_changed_or_added() {
        let whole = file();
        let bytes = whole.concat();
        for cut in 0..bytes.len() {
            let ended = reading(&bytes[..cut], 4096).map(|(_, ended)| ended);
            assert!(!ended.unwrap_or(false), "cut after {cut}");
        }
        let is_refused = |pieces: &[&Vec<u8>]| {
            let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
            matches!(reading(&bytes, 4096), Err(TransferError::NotOurs(_)))
        };
        let [line, one, two, three, end] = &whole[..] else { panic!("five pieces") };
        assert!(is_refused(&[line, two, three, end]) && is_refused(&[line, one, two, end]));
        assert!(is_refused(&[line, one, one, two, three, end]) && is_refused(&[line, two, one, three, end]));
        assert!(is_refused(&[line, one, two, three, end, one]) && is_refused(&[line, end]));
        let elsewhere = file();
        assert!(is_refused(&[line, one, &elsewhere[2], three, end]), "from another file");
        for at in (0..bytes.len()).step_by(37) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let ended = reading(&changed, 4096).map(|(_, ended)| ended);
            assert!(!ended.unwrap_or(false), "byte {at}");
        }
    }

    #[test]
    fn a_file_says_which_key_it_needs() {
        let bytes = file().concat();
        let mut reader = Reader::default();
        reader.push(&bytes);
        let id = shown(ring(&[1]).sealing_key());
        assert!(matches!(reader.begin(&ring(&[2])), Err(TransferError::UnknownKey(key)) if key == id));
        for strange in [
            "",
            "\n",
            "keycard sessions 2 x 00000000\n",
            "keycard sessions 1 x\n",
            "keycard sessions 1 x y\n",
        ] {
            let mut reader = Reader::default();
            reader.push(strange.as_bytes());
            let refused = matches!(reader.begin(&ring(&[1])), Err(TransferError::NotOurs(_)));
            assert_eq!(refused, !strange.is_empty(), "{strange:?}");
        }
        let mut endless = Reader::default();
        endless.push(&[b"keycard sessions 1 ".as_slice(), &[b'x'; 2000]].concat());
        assert!(matches!(endless.begin(&ring(&[1])), Err(TransferError::NotOurs(_))));
    }
}
