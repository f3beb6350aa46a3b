//! The session cookie's envelope: actix-session, and nothing of it anywhere else.
//!
//! I own: the cookie's signature and attributes, and the passage of a ticket into and out of it. I may call: `domain`,
//! `keyring`. I never keep state: the "store" behind actix-session is the ticket itself, so there is nothing that a
//! late request could write back (the stock Redis store revives a logged-out session that way).
//!
//! actix-session's key is fixed when a worker starts, and ours change. So the middleware keeps the key that was first then,
//! and never meets a cookie as the browser has it: what comes in is opened with the keys in force and signed for the
//! middleware, and what goes out is signed anew. While they are one and the same, nothing of that is to be done.
//!
//! The envelope is signed, not encrypted: a ticket is 256 random bits and says nothing, and the encrypted form can
//! grow past 128 bytes once percent-encoded.

use super::cookie::{CookieNames, MAX_VALUE};
use crate::domain::cookie_reach::CookieReach;
use crate::domain::session::Ticket;
use crate::keyring::{KeyRing, SignatureKey};
use actix_session::config::{BrowserSession, CookieContentSecurity};
use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::{Cookie, CookieJar, Key, SameSite, time};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;

const FIELD: &str = "ticket";

/// HMAC-SHA256 in base64, in front of what it signs.
const SIGNATURE_LENGTH: usize = 44;

/// The state of a request's envelope, as actix-session hands it about: JSON text by name.
type State = HashMap<String, String>;

/// A store that stores nothing: its key is the ticket.
pub struct TicketStore;

impl SessionStore for TicketStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        // What is signed but no ticket was signed for something else; it is nobody's session. A ticket is base64url: its JSON
        // text is itself in quotes.
        let is_ticket = Ticket::is_sound(key.as_ref());
        Ok(is_ticket.then(|| State::from([(FIELD.into(), ["\"", key.as_ref(), "\""].concat())])))
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

fn key_of(state: &State) -> Result<SessionKey, anyhow::Error> {
    let text = state.get(FIELD).map(|json| json.trim_matches('"').to_owned()).unwrap_or_default();
    Ok(SessionKey::try_from(text)?)
}

/// The keys of the envelope: the first signs, the others are still believed.
#[derive(Clone)]
pub struct EnvelopeKeys {
    first: EnvelopeKey,
    others: Vec<EnvelopeKey>,
    /// The middleware's. It is believed only as long as it is one of the others, or the first.
    inner: EnvelopeKey,
    /// Whether browsers and the middleware see the same value.
    settled: bool,
}

/// A key as the middleware takes it, and as every request needs it.
#[derive(Clone)]
struct EnvelopeKey {
    signing: Key,
    checking: SignatureKey,
}

/// What the value of our cookie is.
pub enum Shown {
    /// The `Cookie` header to show to the middleware: signed by one of our keys; or, where we have one only and it is the
    /// middleware's, not checked twice ([`unopened`]).
    Admissible(String),
    /// A ticket that none of our keys has signed. Somebody has made it up; or it is a gateway's that has other keys.
    Unproved(Ticket),
    /// Nothing of ours.
    Nothing,
}

impl EnvelopeKeys {
    /// Derives them from the key ring.
    pub fn new(ring: &KeyRing) -> Option<Self> {
        let (first, others) = derive(ring)?;
        Some(Self { inner: first.clone(), first, others, settled: true })
    }

    /// Those of another ring, for the middleware that is there already.
    pub fn renewed(&self, ring: &KeyRing) -> Option<Self> {
        let (first, others) = derive(ring)?;
        let settled = first.signing == self.inner.signing;
        Some(Self { inner: self.inner.clone(), first, others, settled })
    }

    /// The middleware that opens and closes envelopes. It sees one pair at most: ours, or none.
    pub fn middleware(&self, names: &CookieNames) -> SessionMiddleware<TicketStore> {
        SessionMiddleware::builder(TicketStore, self.inner.signing.clone())
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

    /// What to make of the value of our cookie.
    pub fn admissible(&self, names: &CookieNames, raw_value: &str) -> Shown {
        let mut room = [0; MAX_VALUE];
        let Some(value) = decoded(raw_value, &mut room) else { return Shown::Nothing };
        let is_the_only_key = self.settled && self.others.is_empty();
        let by_first = if is_the_only_key { None } else { opened(&self.first, value) };
        if is_the_only_key || (by_first.is_some() && self.settled) {
            // Decoded, so that nobody has to do that again.
            return Shown::Admissible([names.session.as_str(), "=", value].concat());
        }
        let Some(plain) = by_first.or_else(|| self.others.iter().find_map(|key| opened(key, value))) else {
            return unsigned(value).map_or(Shown::Nothing, Shown::Unproved);
        };
        signed(&self.inner, names, plain).map_or(Shown::Nothing, Shown::Admissible)
    }

    /// The pair that a browser would send for a ticket: for the benches, where nobody signs in.
    #[doc(hidden)]
    pub fn pair(&self, names: &CookieNames, ticket: &Ticket) -> Option<String> {
        signed(&self.first, names, ticket.expose())
    }

    /// Lets the session cookie of a response go out under the key in force.
    pub fn sign_anew(&self, headers: &mut HeaderMap, names: &CookieNames) {
        if self.settled || !headers.contains_key(header::SET_COOKIE) {
            return;
        }
        let lines: Vec<HeaderValue> = headers.remove(header::SET_COOKIE).collect();
        for line in lines {
            let anew = line.to_str().ok().and_then(|text| self.line_anew(names, text));
            headers.append(header::SET_COOKIE, anew.unwrap_or(line));
        }
    }

    /// `None` for a line that the middleware has not signed: an app's, or one that removes ours.
    fn line_anew(&self, names: &CookieNames, line: &str) -> Option<HeaderValue> {
        let (pair, attributes) = line.split_once(';')?;
        let cookie = Cookie::parse_encoded(pair.to_owned()).ok()?;
        let plain = (cookie.name() == names.session).then(|| opened(&self.inner, cookie.value()))??;
        let pair = signed(&self.first, names, plain)?;
        HeaderValue::from_str(&format!("{pair};{attributes}")).ok()
    }
}

fn derive(ring: &KeyRing) -> Option<(EnvelopeKey, Vec<EnvelopeKey>)> {
    let mut keys = ring.cookie_keys().into_iter().map(|bytes| {
        let signing = Key::from(bytes.as_slice());
        EnvelopeKey { checking: SignatureKey::new(signing.signing()), signing }
    });
    Some((keys.next()?, keys.collect()))
}

fn signed(key: &EnvelopeKey, names: &CookieNames, plain: &str) -> Option<String> {
    let mut jar = CookieJar::new();
    jar.signed_mut(&key.signing).add(Cookie::new(names.session.clone(), plain.to_owned()));
    jar.delta().next().map(|signed| signed.encoded().to_string())
}

/// The ticket behind a signature, whosever it is.
fn unsigned(value: &str) -> Option<Ticket> {
    let (signature, ticket) = value.split_at_checked(SIGNATURE_LENGTH)?;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if signature.bytes().all(is_base64) { Ticket::parse(ticket) } else { None }
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
fn opened<'v>(key: &EnvelopeKey, value: &'v str) -> Option<&'v str> {
    let (signature, plain) = value.split_at_checked(SIGNATURE_LENGTH)?;
    let mut tag = [0; 33];
    let length = STANDARD.decode_slice(signature, &mut tag).ok()?;
    key.checking.has_signed(plain.as_bytes(), &tag[..length]).then_some(plain)
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

/// A ticket whose signature the middleware did not believe: it was shown `headers`, and its envelope is empty.
pub fn unopened(session: &Session, headers: &HeaderMap) -> Option<Ticket> {
    // Asked of every request: a session that is open costs one look.
    let shown = if session.entries().is_empty() { headers.get(header::COOKIE) } else { None }?;
    unsigned(shown.to_str().ok()?.split_once('=')?.1)
}

/// The ticket that the request's envelope holds.
pub fn ticket(session: &Session) -> Option<Ticket> {
    // In its quotes, as `TicketStore` and `put` have it.
    session.entries().get(FIELD).and_then(|json| Ticket::parse(json.trim_matches('"')))
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

    fn pair_of(shown: Shown) -> Option<String> {
        match shown {
            Shown::Admissible(pair) => Some(pair),
            Shown::Unproved(_) | Shown::Nothing => None,
        }
    }

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
        let shown = pair_of(rotated.admissible(&names, &value)).unwrap();
        assert_eq!(shown, format!("{}={}", names.session, signed_by(&rotated, &names, &ticket)));
        let again = rotated.admissible(&names, shown.split_once('=').unwrap().1);
        let plain = |pair: &str| Cookie::parse_encoded(pair.to_owned()).unwrap().value().to_owned();
        assert_eq!(plain(&pair_of(again).unwrap()), plain(&shown));
        // By another ring's key: nobody's session, but perhaps another gateway's.
        let another = MasterKey::generate().unwrap();
        assert!(matches!(keys(vec![new, another]).admissible(&names, &value), Shown::Unproved(_)));
        let unsigned = rotated.admissible(&names, ticket.expose());
        assert!(matches!(unsigned, Shown::Nothing), "an unsigned ticket is nobody's");
    }

    #[test]
    fn r44_a_change_of_keys_reaches_the_cookie_and_not_the_middleware() {
        let (old, new) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let ring =
            |keys: &[&MasterKey]| KeyRing::new(keys.iter().map(|key| (*key).clone()).collect()).unwrap();
        let names = CookieNames::new(true);
        let ticket = new_ticket().unwrap();
        let at_start = EnvelopeKeys::new(&ring(&[&old])).unwrap();
        let changed = at_start.renewed(&ring(&[&new, &old])).unwrap();
        let line = |value: &str| format!("{}={value}; HttpOnly; Path=/", names.session);
        let out = |keys: &EnvelopeKeys, line: &str| {
            let mut headers = HeaderMap::new();
            headers.append(header::SET_COOKIE, HeaderValue::from_str(line).unwrap());
            headers.append(header::SET_COOKIE, HeaderValue::from_static("app=1; Path=/"));
            keys.sign_anew(&mut headers, &names);
            let lines = headers.get_all(header::SET_COOKIE);
            lines.map(|line| line.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let by_middleware = signed_by(&at_start, &names, &ticket);
        let by_new = signed_by(&EnvelopeKeys::new(&ring(&[&new])).unwrap(), &names, &ticket);
        assert_eq!(out(&changed, &line(&by_middleware)), [line(&by_new), "app=1; Path=/".to_owned()]);
        assert_eq!(out(&at_start, &line(&by_middleware)), [line(&by_middleware), "app=1; Path=/".to_owned()]);
        let removal = format!("{}=; Max-Age=0; Path=/", names.session);
        assert_eq!(out(&changed, &removal)[0], removal);
        // What comes in under either key is shown to the middleware under its own.
        let inner = format!("{}={by_middleware}", names.session);
        for value in [&by_middleware, &by_new] {
            assert_eq!(pair_of(changed.admissible(&names, value)).as_ref(), Some(&inner));
        }
        // Once the old key is gone, the middleware's own is not believed from outside.
        let alone = at_start.renewed(&ring(&[&new])).unwrap();
        assert!(matches!(alone.admissible(&names, &by_middleware), Shown::Unproved(_)));
        assert_eq!(pair_of(alone.admissible(&names, &by_new)), Some(inner));
    }

    #[test]
    fn r53_our_reading_of_a_cookie_is_that_of_the_cookie_crate() {
        // With one key alone, we leave the reading to the crate.
        let ring = vec![MasterKey::generate().unwrap(), MasterKey::generate().unwrap()];
        let keys = EnvelopeKeys::new(&KeyRing::new(ring).unwrap()).unwrap();
        let names = CookieNames::new(true);
        let theirs = |pair: &str| {
            let cookie = Cookie::parse_encoded(pair.to_owned()).ok()?.into_owned();
            let mut jar = CookieJar::new();
            jar.add_original(cookie);
            jar.signed(&keys.first.signing).get(&names.session).map(|plain| plain.value().to_owned())
        };
        for _ in 0..50 {
            let ticket = new_ticket().unwrap();
            let value = signed_by(&keys, &names, &ticket);
            let shown = pair_of(keys.admissible(&names, &value)).unwrap();
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
                assert_eq!(pair_of(keys.admissible(&names, &value)), None, "{what}");
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
