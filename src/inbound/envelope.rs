//! The session cookie's envelope: actix-session, and nothing of it anywhere else.
//!
//! I own: the cookie's signature and attributes, and the passage of a ticket into and out of it. I may call: `domain`,
//! `keyring`. I never keep state: the "store" behind actix-session is the ticket itself, so there is nothing that a
//! late request could write back (the stock Redis store revives a logged-out session that way).
//!
//! The envelope is signed, not encrypted: a ticket is 256 random bits and says nothing, and the encrypted form can
//! grow past 128 bytes once percent-encoded.

use super::cookie::{CookieNames, MAX_VALUE};
use crate::domain::cookie_reach::CookieReach;
use crate::domain::session::Ticket;
use crate::keyring::{KeyRing, is_signed};
use actix_session::config::{BrowserSession, CookieContentSecurity};
use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::{Cookie, CookieJar, Key, SameSite, time};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;

const FIELD: &str = "ticket";

/// The characters of a signature.
const SIGNATURE_LENGTH: usize = 44;

/// The state of a request's envelope, as actix-session hands it about: JSON text by name.
type State = HashMap<String, String>;

/// A store that stores nothing: its key is the ticket.
pub struct TicketStore;

impl SessionStore for TicketStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        // What is signed but no ticket was signed for something else; it is nobody's session.
        Ok(Ticket::parse(key.as_ref()).map(|ticket| State::from([(FIELD.into(), quoted(&ticket))])))
    }

    async fn save(&self, state: State, _: &time::Duration) -> Result<SessionKey, SaveError> {
        key_of(&state).map_err(SaveError::Other)
    }

    async fn update(
        &self,
        _: SessionKey,
        state: State,
        _: &time::Duration,
    ) -> Result<SessionKey, UpdateError> {
        key_of(&state).map_err(UpdateError::Other)
    }

    async fn update_ttl(&self, _: &SessionKey, _: &time::Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, _: &SessionKey) -> Result<(), anyhow::Error> {
        Ok(())
    }
}

fn quoted(ticket: &Ticket) -> String {
    // A ticket is base64url: its JSON text is itself in quotes.
    format!("\"{}\"", ticket.expose())
}

fn key_of(state: &State) -> Result<SessionKey, anyhow::Error> {
    let text = state.get(FIELD).map(|json| json.trim_matches('"').to_owned()).unwrap_or_default();
    Ok(SessionKey::try_from(text)?)
}

/// The keys of the envelope: the first signs, the others are still believed.
#[derive(Clone)]
pub struct EnvelopeKeys {
    first: Key,
    others: Vec<Key>,
}

impl EnvelopeKeys {
    /// Derives them from the key ring.
    pub fn new(ring: &KeyRing) -> Option<Self> {
        let mut keys = ring.cookie_keys().into_iter().map(|bytes| Key::from(bytes.as_slice()));
        Some(Self { first: keys.next()?, others: keys.collect() })
    }

    /// The middleware that opens and closes envelopes. It sees one pair at most: ours, or none.
    pub fn middleware(&self, names: &CookieNames) -> SessionMiddleware<TicketStore> {
        SessionMiddleware::builder(TicketStore, self.first.clone())
            .cookie_name(names.session.clone())
            .cookie_content_security(CookieContentSecurity::Signed)
            .cookie_secure(names.secure)
            .cookie_http_only(true)
            .cookie_same_site(match names.reach {
                CookieReach::Lax => SameSite::Lax,
                CookieReach::Strict => SameSite::Strict,
                CookieReach::Framed(_) => SameSite::None,
            })
            .cookie_path("/".to_owned())
            .session_lifecycle(BrowserSession::default())
            .build()
    }

    /// The `Cookie` header to show to the middleware: its key is fixed, so a value signed by an older key of the ring
    /// is signed anew here. `None` when no key of ours has signed it.
    pub fn admissible(&self, names: &CookieNames, raw_value: &str) -> Option<String> {
        let mut room = [0; MAX_VALUE];
        let value = decoded(raw_value, &mut room)?;
        if opened(&self.first, value).is_some() {
            // Decoded, so that nobody has to do that again.
            return Some([names.session.as_str(), "=", value].concat());
        }
        let plain = self.others.iter().find_map(|key| opened(key, value))?;
        self.signed(names, plain)
    }

    /// The pair that a browser would send for a ticket: for the benches, where nobody signs in.
    #[doc(hidden)]
    pub fn pair(&self, names: &CookieNames, ticket: &Ticket) -> Option<String> {
        self.signed(names, ticket.expose())
    }

    fn signed(&self, names: &CookieNames, value: &str) -> Option<String> {
        let mut jar = CookieJar::new();
        jar.signed_mut(&self.first).add(Cookie::new(names.session.clone(), value.to_owned()));
        jar.delta().next().map(|signed| signed.encoded().to_string())
    }
}

/// The value without its percent signs, on the stack: this runs on every request. `None` for what is no text of ours.
fn decoded<'r>(raw_value: &str, room: &'r mut [u8; MAX_VALUE]) -> Option<&'r str> {
    let (mut rest, mut length) = (raw_value.as_bytes(), 0);
    while let Some((&first, behind)) = rest.split_first() {
        let (byte, behind) = match (first, behind) {
            (b'%', [high, low, behind @ ..]) => {
                let digit = |digit: u8| char::from(digit).to_digit(16);
                (u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?, behind)
            }
            (b'%', _) => return None,
            (plain, behind) => (plain, behind),
        };
        // Nothing but what stands in a value of ours: the middleware's parser must not find another pair in it.
        if !byte.is_ascii_alphanumeric() && !b"+/=-_".contains(&byte) {
            return None;
        }
        *room.get_mut(length)? = byte;
        (rest, length) = (behind, length + 1);
    }
    std::str::from_utf8(&room[..length]).ok()
}

/// What this key has signed: the value behind its signature, as the cookie crate writes it (HMAC-SHA256 in base64). Here on
/// every request, where the crate's own jar costs several times as much.
fn opened<'v>(key: &Key, value: &'v str) -> Option<&'v str> {
    let (signature, plain) = value.split_at_checked(SIGNATURE_LENGTH)?;
    let mut tag = [0; 33];
    let length = STANDARD.decode_slice(signature, &mut tag).ok()?;
    is_signed(key.signing(), plain.as_bytes(), &tag[..length]).then_some(plain)
}

/// Adds `Partitioned` to the session cookie's lines, where frames may hold it: actix-session does not know the word.
pub fn partition(headers: &mut HeaderMap, names: &CookieNames) {
    let Some(partition) = names.partition() else { return };
    let own = format!("{}=", names.session);
    let lines: Vec<HeaderValue> = headers.remove(header::SET_COOKIE).collect();
    for line in lines {
        let text = line.to_str().ok().filter(|text| text.starts_with(&own) && !text.ends_with(partition));
        let more = text.and_then(|text| HeaderValue::from_str(&format!("{text}{partition}")).ok());
        headers.append(header::SET_COOKIE, more.unwrap_or(line));
    }
}

/// The ticket that the request's envelope holds.
pub fn ticket(session: &Session) -> Option<Ticket> {
    session.get::<String>(FIELD).ok().flatten().and_then(|text| Ticket::parse(&text))
}

/// Puts a ticket into the envelope: the response sets the cookie.
///
/// # Errors
/// When the ticket cannot be written as JSON, which a ticket always can.
pub fn put(session: &Session, ticket: &Ticket) -> Result<(), anyhow::Error> {
    Ok(session.insert(FIELD, ticket.expose())?)
}

/// Empties the envelope: the response removes the cookie, if the request had one.
pub fn clear(session: &Session) {
    session.purge();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::{MasterKey, new_ticket};

    fn signed_by(keys: &EnvelopeKeys, names: &CookieNames, ticket: &Ticket) -> String {
        keys.pair(names, ticket).unwrap().split_once('=').unwrap().1.to_owned()
    }

    #[test]
    fn an_older_key_of_the_ring_is_believed_and_the_first_signs() {
        let (old, new) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let keys = |ring: Vec<MasterKey>| EnvelopeKeys::new(&KeyRing::new(ring).unwrap()).unwrap();
        let names = CookieNames::new(true);
        let ticket = new_ticket().unwrap();
        let value = signed_by(&keys(vec![old.clone()]), &names, &ticket);
        let rotated = keys(vec![new.clone(), old]);
        let shown = rotated.admissible(&names, &value).unwrap();
        assert_eq!(shown, format!("{}={}", names.session, signed_by(&rotated, &names, &ticket)));
        let again = rotated.admissible(&names, shown.split_once('=').unwrap().1).unwrap();
        let plain = |pair: &str| Cookie::parse_encoded(pair.to_owned()).unwrap().value().to_owned();
        assert_eq!(plain(&again), plain(&shown));
        assert!(keys(vec![new]).admissible(&names, &value).is_none());
        assert!(rotated.admissible(&names, ticket.expose()).is_none(), "an unsigned ticket is nobody's");
    }

    #[test]
    fn r53_our_reading_of_a_cookie_is_that_of_the_cookie_crate() {
        let keys = EnvelopeKeys::new(&KeyRing::new(vec![MasterKey::generate().unwrap()]).unwrap()).unwrap();
        let names = CookieNames::new(true);
        let theirs = |pair: &str| {
            let cookie = Cookie::parse_encoded(pair.to_owned()).ok()?.into_owned();
            let mut jar = CookieJar::new();
            jar.add_original(cookie);
            jar.signed(&keys.first).get(&names.session).map(|plain| plain.value().to_owned())
        };
        for _ in 0..50 {
            let ticket = new_ticket().unwrap();
            let value = signed_by(&keys, &names, &ticket);
            let shown = keys.admissible(&names, &value).unwrap();
            assert_eq!(theirs(&shown).as_deref(), Some(ticket.expose()));
            let flipped = |at: usize| {
                let mut bytes = value.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                String::from_utf8(bytes).unwrap()
            };
            for (what, value) in [
                ("another signature", flipped(0)),
                ("another ticket", flipped(value.len() - 1)),
                ("shorter", value[..value.len() - 1].to_owned()),
                ("longer", format!("{value}A")),
                ("no ticket", value[..value.len() - 43].to_owned()),
                ("nothing", String::new()),
                ("another pair", format!("{value}%3B%20a=b")),
                ("half a triplet", format!("{value}%4")),
                ("no triplet", format!("{value}%zz")),
                ("a sign", format!("{value}%+4")),
                ("endless", value.repeat(3)),
            ] {
                assert_eq!(keys.admissible(&names, &value), None, "{what}");
                assert_eq!(theirs(&format!("{}={value}", names.session)), None, "{what}");
            }
        }
    }

    #[test]
    fn r53_the_cookie_stays_under_128_bytes() {
        let keys = EnvelopeKeys::new(&KeyRing::new(vec![MasterKey::generate().unwrap()]).unwrap()).unwrap();
        let names = CookieNames::new(true);
        for _ in 0..200 {
            let value = signed_by(&keys, &names, &new_ticket().unwrap());
            assert!(names.session.len() + 1 + value.len() < 128, "{}", value.len());
        }
    }
}
