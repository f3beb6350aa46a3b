//! Who is there, as an app hears it (R72).
//!
//! I own: the bytes of identity headers, `OIDC_CLAIM_…` as `mod_auth_openidc` writes them, and basic authentication. I
//! may call: `domain`, `headers`, `rules`. I never write half a value: what cannot be written makes the header absent.

use crate::domain::claim::ClaimValue;
use crate::domain::identity::Identity;
use crate::domain::identity_header::{Encoding, HeaderStyle, is_sound, joined};
use crate::domain::legacy::BasicAuth;
use crate::domain::policy::Permit;
use crate::upstream::headers::set;
use crate::upstream::rules::{self, MappedName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write as _;

/// Before the names of claims (`OIDCClaimPrefix` of `mod_auth_openidc`, its default).
const CLAIM_PREFIX: &str = "OIDC_CLAIM_";

/// The longest encoded word, and what is left of it for the text: a multiple of 3 bytes (RFC 2047 section 2).
const WORD_BYTES: usize = 45;

/// Adds the headers that tell an app who is there, if somebody is.
pub(super) fn add(headers: &mut HeaderMap, permit: &Permit) {
    let (route, Some(identity)) = (permit.route(), permit.identity()) else { return };
    if route.legacy.claim_headers {
        add_claims(headers, identity);
    }
    let mut mapped = MappedName::default();
    for header in &route.identity_headers {
        // A configuration that names a framing header gets no header rather than a broken message.
        let mapped = mapped.map(header.name.as_str());
        if rules::is_connection_bound(mapped) || matches!(mapped, "content-length" | "host") {
            continue;
        }
        if let Some(value) = header.source.value(identity, &header.style.separator) {
            set(headers, header.name.clone(), &encoded(&value, header.style.encoding));
        }
    }
    if let Some(credentials) = route.legacy.basic_auth.as_ref().and_then(|auth| basic(auth, identity)) {
        headers.insert(header::AUTHORIZATION, credentials);
    }
}

fn basic(auth: &BasicAuth, identity: &Identity) -> Option<HeaderValue> {
    // RFC 7617 section 2: the first colon ends the name, and the rest would be taken for the password.
    let user =
        auth.user.value(identity, &HeaderStyle::default().separator).filter(|user| !user.contains(':'))?;
    let text = STANDARD.encode(format!("{user}:{}", auth.password.expose()));
    let mut value = HeaderValue::from_str(&format!("Basic {text}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Every kept claim under its own name: texts as they are, truth as `1` and `0`, the texts and truths of a list joined
/// by commas, an object as compact JSON; null and empty lists are absent (`oidc_util_appinfo_set_all`). One thing is
/// stricter: an item that holds a comma is left out, as everywhere here.
fn add_claims(headers: &mut HeaderMap, identity: &Identity) {
    for (name, value) in &identity.claims {
        let text = claim_text(value).filter(|text| is_sound(text));
        // What is no character of a header's name becomes a dash.
        let name: String = name.chars().map(|c| if is_token(c) { c } else { '-' }).collect();
        if let (Some(text), Ok(name)) =
            (text, HeaderName::from_bytes(format!("{CLAIM_PREFIX}{name}").as_bytes()))
        {
            set(headers, name, &text);
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn claim_text(value: &ClaimValue) -> Option<String> {
    match value {
        ClaimValue::Null => None,
        ClaimValue::List(items) => {
            let item = |item: &ClaimValue| match item {
                ClaimValue::Text(_) | ClaimValue::Bool(_) => claim_text(item),
                _ => None,
            };
            Some(joined(items.iter().filter_map(item), ","))
        }
        ClaimValue::Bool(value) => Some(u8::from(*value).to_string()),
        ClaimValue::Map(_) => {
            let mut json = String::new();
            write_json(&mut json, value);
            Some(json)
        }
        ClaimValue::Text(_) | ClaimValue::Integer(_) | ClaimValue::Float(_) => value.to_scalar(),
    }
}

/// Compact JSON (RFC 8259).
fn write_json(out: &mut String, value: &ClaimValue) {
    match value {
        ClaimValue::Null => out.push_str("null"),
        ClaimValue::Text(text) => write_text(out, text),
        ClaimValue::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write_json(out, item);
            }
            out.push(']');
        }
        ClaimValue::Map(members) => {
            out.push('{');
            for (at, (name, member)) in members.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write_text(out, name);
                out.push(':');
                write_json(out, member);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_scalar().unwrap_or_default()),
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                // Control characters lie below U+FFFF; a String takes every text.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The text in the encoding that the route asks for.
fn encoded(text: &str, encoding: Encoding) -> String {
    match encoding {
        Encoding::Utf8 => text.to_owned(),
        Encoding::Percent => text.bytes().fold(String::new(), |mut out, byte| {
            if (0x20..0x7f).contains(&byte) && byte != b'%' {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
            out
        }),
        Encoding::Base64 => STANDARD.encode(text),
        // What looks like an encoded word must not be decoded into another text.
        Encoding::Rfc2047 if text.is_ascii() && !text.contains("=?") => text.to_owned(),
        Encoding::Rfc2047 => {
            let mut words = vec![String::new()];
            for c in text.chars() {
                match words.last_mut() {
                    Some(word) if word.len() + c.len_utf8() <= WORD_BYTES => word.push(c),
                    _ => words.push(c.to_string()),
                }
            }
            let word = |word: &String| format!("=?UTF-8?B?{}?=", STANDARD.encode(word));
            words.iter().map(word).collect::<Vec<_>>().join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity_header::Template;
    use crate::domain::secret::AppPassword;
    use crate::domain::session::tests::session;

    #[test]
    fn r72_encodings_round_trip_and_stay_ascii() {
        use Encoding::{Base64, Percent, Rfc2047, Utf8};
        for (text, encoding, expected) in [
            ("Zo\u{eb}", Utf8, "Zo\u{eb}"),
            ("Zo\u{eb} 100%, a@b", Percent, "Zo%C3%AB 100%25, a@b"),
            ("Zo\u{eb}", Base64, "Wm/Dqw=="),
            ("Zoe", Base64, "Wm9l"),
            ("Zo\u{eb}", Rfc2047, "=?UTF-8?B?Wm/Dqw==?="),
            ("Zoe", Rfc2047, "Zoe"),
            ("=?UTF-8?B?YWRtaW4=?=", Rfc2047, "=?UTF-8?B?PT9VVEYtOD9CP1lXUnRhVzQ9Pz0=?="),
        ] {
            assert_eq!(encoded(text, encoding), expected, "{text} {encoding:?}");
        }
        let long = encoded(&"\u{4e2d}".repeat(40), Rfc2047);
        assert!(long.split(' ').all(|word| word.len() <= 75), "{long}");
        assert_eq!(long.split(' ').count(), 3);
    }

    #[test]
    fn r72_claims_are_written_as_mod_auth_openidc_writes_them() {
        let text = |value: &str| ClaimValue::Text(value.into());
        let inner = ClaimValue::Map([("a\"\\\n".into(), text("b")), ("n".into(), ClaimValue::Null)].into());
        let mixed =
            vec![ClaimValue::Bool(false), text("hans"), text("p,iet"), ClaimValue::Bool(true), inner.clone()];
        for (value, expected) in [
            (text("hans"), Some("hans")),
            (ClaimValue::Bool(true), Some("1")),
            (ClaimValue::Bool(false), Some("0")),
            (ClaimValue::Integer(5), Some("5")),
            (ClaimValue::Float(1.5), Some("1.5")),
            (ClaimValue::List(mixed), Some("0,hans,1")),
            (inner, Some(r#"{"a\"\\\u000a":"b","n":null}"#)),
            (ClaimValue::Null, None),
        ] {
            assert_eq!(claim_text(&value).as_deref(), expected, "{value:?}");
        }
        let mut identity = session().identity;
        identity.claims = [("email", "a@b"), ("https://x/y z", "v"), ("evil", "a\r\nX: y")]
            .map(|(name, value)| (name.to_owned(), text(value)))
            .into();
        identity.claims.insert("none".into(), ClaimValue::List(vec![]));
        let mut headers = HeaderMap::new();
        add_claims(&mut headers, &identity);
        assert_eq!(headers["OIDC_CLAIM_email"], "a@b");
        assert_eq!(headers["OIDC_CLAIM_https---x-y-z"], "v");
        assert_eq!(headers.len(), 2, "{headers:?}");
    }

    #[test]
    fn basic_authentication_names_the_person_and_nobody_else() {
        let of = |user: &str, id: &str| {
            let auth = BasicAuth { user: Template::parse(user).unwrap(), password: AppPassword::new("p:w") };
            assert!(!format!("{auth:?}").contains("p:w"));
            let mut identity = session().identity;
            identity.user_id = id.into();
            basic(&auth, &identity)
        };
        let value = of("{user_id}", "alice").unwrap();
        assert!(value.is_sensitive());
        assert_eq!(value, format!("Basic {}", STANDARD.encode("alice:p:w")).as_str());
        assert_eq!(of("{user_id}", "admin:x"), None, "a colon ends the name");
        assert_eq!(of("{claim:nobody}", "alice"), None);
    }
}
