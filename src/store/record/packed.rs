//! A record's JSON in fewer bytes.
//!
//! I own: [`pack`] and [`unpack`], which is its exact inverse. I may call: `ports` (for its error). I never read what the JSON
//! means: it comes back byte for byte.
//!
//! Most of a record is base64url that was made of bytes: tokens, and names that are random. JSON has no raw control
//! character (RFC 8259 section 7), so such a byte can stand for what follows it: the bytes themselves. What would not come
//! back exactly, or not get smaller, stays as it is.

use crate::ports::StoreError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// A text of one to [`MOST_PARTS`] parts of base64url with dots between them: their number, then each with its length.
const PARTS: u8 = 1;
/// A UUID in small letters: its 16 bytes.
const UUID: u8 = 2;
/// A whole number: how many bytes, and they, the first one not 0.
const NUMBER: u8 = 3;

/// A comma and the name of the next member, of one small letter or of two, up to its colon: the letters.
const NAME: u8 = 4;
const LONGER_NAME: u8 = 5;

/// A token has three.
const MOST_PARTS: usize = 3;

/// Shorter texts stay.
const SHORTEST_TEXT: usize = 12;
/// So do shorter numbers, in digits.
const SHORTEST_NUMBER: usize = 6;

const NOT_OURS: StoreError = StoreError::Unreadable("its content is not packed as it should be");

/// Packs JSON.
pub(super) fn pack(json: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(json.len()));
    let mut rest = json;
    while let Some((&first, _)) = rest.split_first() {
        let (length, done) = match first {
            b'"' => {
                let length = text_length(rest);
                (length, length > SHORTEST_TEXT && pack_text(&rest[1..length.max(2) - 1], &mut packed))
            }
            b'0'..=b'9' => {
                let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                // A fraction or an exponent would begin here, and a number that is preceded by one is none of its own.
                let alone = !matches!(rest.get(length), Some(b'.' | b'e' | b'E'));
                let whole = alone && !matches!(packed.last(), Some(b'-' | b'+' | b'.' | b'e' | b'E'));
                (length, whole && length >= SHORTEST_NUMBER && pack_number(&rest[..length], &mut packed))
            }
            // Within a text nobody looks: this one stands between members.
            b',' => match rest {
                [_, b'"', one @ b'a'..=b'z', b'"', b':', ..] => {
                    packed.extend_from_slice(&[NAME, *one]);
                    (5, true)
                }
                [_, b'"', one @ b'a'..=b'z', two @ b'a'..=b'z', b'"', b':', ..] => {
                    packed.extend_from_slice(&[LONGER_NAME, *one, *two]);
                    (6, true)
                }
                _ => (1, false),
            },
            _ => (1, false),
        };
        if !done {
            packed.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
    }
    packed
}

/// The length of the text that `rest` begins with, with its quotes.
fn text_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Whether it could be packed.
fn pack_text(text: &[u8], packed: &mut Vec<u8>) -> bool {
    if let Some(bytes) = uuid(text) {
        packed.push(UUID);
        packed.extend_from_slice(&bytes);
        return true;
    }
    let before = packed.len();
    let count = text.split(|byte| *byte == b'.').count();
    let parts = || text.split(|byte| *byte == b'.');
    let fits = count <= MOST_PARTS && parts().all(|part| part.len() < 4 * usize::from(u16::MAX) / 3);
    if !fits {
        return false;
    }
    packed.extend_from_slice(&[PARTS, count as u8]);
    for part in parts() {
        let at = packed.len() + 2;
        packed.resize(at + 3 * part.len().div_ceil(4), 0);
        // Strict: no padding and no stray bits, so that there is one text for these bytes.
        let Ok(length) = URL_SAFE_NO_PAD.decode_slice(part, &mut packed[at..]) else {
            packed.truncate(before);
            return false;
        };
        packed[at - 2..at].copy_from_slice(&(length as u16).to_be_bytes());
        packed.truncate(at + length);
    }
    let smaller = packed.len() - before < text.len() + 2;
    if !smaller {
        packed.truncate(before);
    }
    smaller
}

fn pack_number(digits: &[u8], packed: &mut Vec<u8>) -> bool {
    let Some(number) = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok()) else {
        return false;
    };
    // Only what is written like this comes back like this.
    if digits.first() == Some(&b'0') {
        return false;
    }
    let bytes = number.to_be_bytes();
    let bytes = &bytes[number.leading_zeros() as usize / 8..];
    packed.extend_from_slice(&[NUMBER, bytes.len() as u8]);
    packed.extend_from_slice(bytes);
    true
}

/// The bytes of a UUID as it is usually written (RFC 9562 section 4), in small letters.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 || [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut digits =
        text.iter().enumerate().filter(|(at, _)| ![8, 13, 18, 23].contains(at)).map(|(_, byte)| *byte);
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = digit(digits.next()?)? << 4 | digit(digits.next()?)?;
    }
    Some(bytes)
}

/// The JSON that was packed.
///
/// # Errors
/// [`StoreError::Unreadable`] for what no [`pack`] has made.
pub(super) fn unpack(packed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut json = Zeroizing::new(Vec::with_capacity(packed.len() * 3 / 2 + 64));
    let mut rest = packed;
    while let Some((&first, behind)) = rest.split_first() {
        rest = match first {
            PARTS => unpack_parts(behind, &mut json)?,
            UUID => {
                let (bytes, behind) = behind.split_first_chunk::<16>().ok_or(NOT_OURS)?;
                json.push(b'"');
                for (at, byte) in bytes.iter().enumerate() {
                    if [4, 6, 8, 10].contains(&at) {
                        json.push(b'-');
                    }
                    json.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
                }
                json.push(b'"');
                behind
            }
            NUMBER => {
                let (bytes, behind) =
                    sized(behind.split_first().map(|(length, rest)| (usize::from(*length), rest)))?;
                let mut number = [0; 8];
                let start = number.len().checked_sub(bytes.len()).ok_or(NOT_OURS)?;
                number[start..].copy_from_slice(bytes);
                json.extend_from_slice(u64::from_be_bytes(number).to_string().as_bytes());
                behind
            }
            NAME => name(behind.split_at_checked(1), &mut json)?,
            LONGER_NAME => name(behind.split_at_checked(2), &mut json)?,
            plain => {
                json.push(plain);
                behind
            }
        };
    }
    Ok(json)
}

fn name<'p>(of: Option<(&'p [u8], &'p [u8])>, json: &mut Vec<u8>) -> Result<&'p [u8], StoreError> {
    let (letters, behind) = of.ok_or(NOT_OURS)?;
    json.extend_from_slice(b",\"");
    json.extend_from_slice(letters);
    json.extend_from_slice(b"\":");
    Ok(behind)
}

fn unpack_parts<'p>(packed: &'p [u8], json: &mut Vec<u8>) -> Result<&'p [u8], StoreError> {
    let (&count, mut rest) = packed.split_first().ok_or(NOT_OURS)?;
    json.push(b'"');
    for part in 0..count {
        if part > 0 {
            json.push(b'.');
        }
        let length =
            rest.split_first_chunk().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest));
        let (bytes, behind) = sized(length)?;
        let at = json.len();
        json.resize(at + bytes.len().div_ceil(3) * 4, 0);
        let length = URL_SAFE_NO_PAD.encode_slice(bytes, &mut json[at..]).map_err(|_| NOT_OURS)?;
        json.truncate(at + length);
        rest = behind;
    }
    json.push(b'"');
    Ok(rest)
}

/// So many bytes, and what is behind them.
fn sized(of: Option<(usize, &[u8])>) -> Result<(&[u8], &[u8]), StoreError> {
    of.and_then(|(length, rest)| rest.split_at_checked(length)).ok_or(NOT_OURS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn comes_back(json: &str) -> usize {
        let packed = pack(json.as_bytes());
        assert_eq!(std::str::from_utf8(&unpack(&packed).unwrap()).unwrap(), json);
        packed.len()
    }

    #[test]
    fn what_is_made_of_bytes_is_kept_as_bytes() {
        let part = |length: usize| URL_SAFE_NO_PAD.encode(vec![7; length]);
        let token = format!("{}.{}.{}", part(60), part(300), part(256));
        assert_eq!(comes_back(&json!(token).to_string()), 2 + 3 * 2 + 616);
        assert_eq!(comes_back("\"8d1f4c1e-3b52-4f6a-9a57-0123456789ab\""), 17);
        assert_eq!(comes_back("{\"b\":1795000000000}"), 19 - 13 + 8);
        assert_eq!(comes_back(&json!(part(32)).to_string()), 2 + 2 + 32);
        assert_eq!(comes_back("{\"a\":1,\"b\":2,\"cd\":3,\"efg\":4,\"h\",\"i\":5}"), 38 - 3 - 3 - 3);
    }

    #[test]
    fn what_would_not_come_back_stays() {
        for text in [
            // Not base64url, stray bits, four parts, an impossible length, too short.
            "\"per.son@example.com\"",
            "\"AAAAAAAAAAAAAAAB\\n\"",
            "\"AAAAAAAAAAAAAAAAAB\"",
            "\"AAAA.AAAA.AAAA.AAAA\"",
            "\"AAAAAAAAAAAAAAAAA\"",
            "\"8D1F4C1E-3B52-4F6A-9A57-0123456789AB\"",
            "\"\\\"\"",
            "[0.1234567,1e1234567,01234567,-12345678901234567890,123456789012345678901234567890,1234567.5]",
        ] {
            comes_back(text);
        }
        assert_eq!(comes_back("\"AAAAAAAAAAAAAAAAAB\""), 20, "stray bits");
        assert_eq!(comes_back("[0.1234567,-1234567]"), 20);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(|number| json!(number)),
            any::<String>().prop_map(Value::String),
            "[A-Za-z0-9_-]{0,60}(\\.[A-Za-z0-9_-]{0,60}){0,4}".prop_map(Value::String),
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_comes_back_byte_for_byte(value in value()) {
            let json = value.to_string();
            prop_assert!(comes_back(&json) <= json.len());
        }

        #[test]
        fn arbitrary_bytes_are_an_error_or_something_and_never_a_panic(bytes: Vec<u8>) {
            let _ = unpack(&bytes);
            let _ = pack(&bytes);
        }
    }
}
