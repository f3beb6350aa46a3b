//! JSON from strangers, into claims.
//!
//! I own: [`parse_object`], through which every JSON text of a provider comes: metadata, keys, tokens, answers.
//! I may call: `domain::claim`. I never let one member hide another of the same name (R15), never keep a number that
//! I would have to round to a neighbour, and never put a piece of the text into an error.

use crate::domain::claim::{ClaimValue, Claims};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

/// How deep objects and arrays may nest (A14). Real tokens and metadata stay under ten.
pub(crate) const MAX_DEPTH: u8 = 32;

/// Why a text is not an acceptable JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// The grammar of RFC 8259 is broken, or something follows the value.
    #[error("it is not well-formed JSON")]
    Malformed,
    /// It is JSON, but not an object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// A member occurs twice in one object.
    #[error("a member occurs twice in one object")]
    Duplicate,
    /// Nesting beyond [`MAX_DEPTH`].
    #[error("it is nested too deeply")]
    TooDeep,
    /// A number that no `i64` or double of that size can keep.
    #[error("a number in it is out of range")]
    Number,
}

/// Parses a JSON object. The caller has capped the size.
///
/// # Errors
/// See [`JsonError`].
pub(crate) fn parse_object(text: &[u8]) -> Result<Claims, JsonError> {
    let fault = Cell::new(JsonError::Malformed);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value =
        Value { depth: MAX_DEPTH, fault: &fault }.deserialize(&mut reader).map_err(|_| fault.get())?;
    reader.end().map_err(|_| JsonError::Malformed)?;
    match value {
        ClaimValue::Map(claims) => Ok(claims),
        _ => Err(JsonError::NotAnObject),
    }
}

/// One value, `depth` levels before too deep. The reason for a refusal leaves by `fault`: serde's own errors are texts.
#[derive(Clone, Copy)]
struct Value<'f> {
    depth: u8,
    fault: &'f Cell<JsonError>,
}

impl Value<'_> {
    fn refuse<E: Error>(self, fault: JsonError) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(self.refuse(JsonError::TooDeep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ClaimValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ClaimValue, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ClaimValue;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<ClaimValue, E> {
        Ok(ClaimValue::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<ClaimValue, E> {
        Ok(ClaimValue::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<ClaimValue, E> {
        Ok(ClaimValue::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<ClaimValue, E> {
        i64::try_from(value).map(ClaimValue::Integer).map_err(|_| self.refuse(JsonError::Number))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<ClaimValue, E> {
        // serde_json hands whole numbers beyond 64 bits over as doubles. Two ids that differ in the last digit would
        // become one, so nothing of that size is kept. (2^63 is exact as a double.)
        if value.abs() < 9_223_372_036_854_775_808.0 {
            Ok(ClaimValue::Float(value))
        } else {
            Err(self.refuse(JsonError::Number))
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<ClaimValue, E> {
        Ok(ClaimValue::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<ClaimValue, E> {
        Ok(ClaimValue::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ClaimValue, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(ClaimValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<ClaimValue, A::Error> {
        let inner = self.deeper()?;
        let mut map = BTreeMap::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if map.insert(name, value).is_some() {
                return Err(self.refuse(JsonError::Duplicate));
            }
        }
        Ok(ClaimValue::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn objects_become_claims() {
        let claims =
            parse_object(br#" {"a":[1,-2,1.5,"x",null,true,{"b":{}}],"e\u0061":"\u00e9"} "#).unwrap();
        let Some(ClaimValue::List(list)) = claims.get("a") else { panic!("{claims:?}") };
        assert_eq!(
            list[..6],
            [
                ClaimValue::Integer(1),
                ClaimValue::Integer(-2),
                ClaimValue::Float(1.5),
                ClaimValue::Text("x".into()),
                ClaimValue::Null,
                ClaimValue::Bool(true),
            ]
        );
        assert_eq!(claims["ea"].as_text(), Some("\u{e9}"));
    }

    #[test]
    fn r15_a13_a14_texts_that_are_refused() {
        let deep =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
        assert!(parse_object(&deep(31)).is_ok());
        for (name, text, expected) in [
            ("two subs", br#"{"sub":"a","sub":"b"}"#.to_vec(), JsonError::Duplicate),
            ("two equal subs", br#"{"sub":"a","sub":"a"}"#.to_vec(), JsonError::Duplicate),
            ("one of them escaped", br#"{"sub":"a","s\u0075b":"b"}"#.to_vec(), JsonError::Duplicate),
            ("deep duplicate", br#"{"a":[{"b":{"c":1,"c":2}}]}"#.to_vec(), JsonError::Duplicate),
            ("depth 33", deep(32), JsonError::TooDeep),
            ("depth 10000", deep(10_000), JsonError::TooDeep),
            ("1e400", br#"{"exp":1e400}"#.to_vec(), JsonError::Malformed),
            ("1e300", br#"{"exp":1e300}"#.to_vec(), JsonError::Number),
            ("2^63", br#"{"exp":9223372036854775808}"#.to_vec(), JsonError::Number),
            ("beyond 64 bits", br#"{"id":18446744073709551617}"#.to_vec(), JsonError::Number),
            ("NaN", br#"{"exp":NaN}"#.to_vec(), JsonError::Malformed),
            ("an array", b"[]".to_vec(), JsonError::NotAnObject),
            ("a string", b"\"{}\"".to_vec(), JsonError::NotAnObject),
            ("nothing", Vec::new(), JsonError::Malformed),
            ("something after", b"{}{}".to_vec(), JsonError::Malformed),
            ("not UTF-8", b"{\"a\":\"\xff\"}".to_vec(), JsonError::Malformed),
            ("lone surrogate", br#"{"a":"\ud800"}"#.to_vec(), JsonError::Malformed),
            ("byte order mark", b"\xef\xbb\xbf{}".to_vec(), JsonError::Malformed),
            ("HTML", b"<html>".to_vec(), JsonError::Malformed),
        ] {
            assert_eq!(parse_object(&text), Err(expected), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a46_arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_object(&bytes);
        }

        #[test]
        fn a46_arbitrary_punctuation_never_panics(text in r#"[\[\]{}:,"\\0-9eE.+a-]{0,120}"#) {
            let _ = parse_object(text.as_bytes());
        }
    }
}
