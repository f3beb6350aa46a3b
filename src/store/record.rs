//! What a session looks like as bytes, before it is sealed.
//!
//! I own: the two mirrors of `Session` and their format version. I may call: `domain`, `ports` (for its error).
//! I never put a derive on a domain type, and I never guess at bytes of a version that I do not know.
//!
//! The operator part holds what the server must reach without the browser: who, since when, from where, and, where
//! `session.revocable` says so, the refresh token, so that every ending can revoke it. The private part is the rest of the
//! session, and holds the refresh token otherwise: nothing is kept twice.
//! Both begin with one byte of format version; JSON follows, packed by [`packed`]. A member that is added needs
//! `#[serde(default)]`, and one that changes its meaning a new version. In the version before this one JSON stood as it
//! is, and the private part repeated what is in the operator part; it is still read.

use crate::domain::claim::{ClaimValue, Claims};
use crate::domain::identity::{Identity, Issuer, ProviderId, Subject};
use crate::domain::renewal::{Attempt, LeaseId, Renewal};
use crate::domain::secret::{AccessToken, RawIdToken, RefreshToken};
use crate::domain::session::{Session, SessionKey, Sid, SignInPlace, Summary, TokenSet};
use crate::domain::time::Timestamp;
use crate::ports::{Owed, StandsOn, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

mod packed;

/// What is written.
const FORMAT: u8 = 2;

/// What was written before, and is read.
const UNPACKED: u8 = 1;

/// Deeper claims than this would not be read back: serde_json stops at 128 levels, and the mirror takes some.
const MAX_DEPTH: usize = 120;

const NOT_OURS: StoreError = StoreError::Unreadable("its content is not a session");

#[derive(Serialize, Deserialize)]
struct Private<'a> {
    #[serde(rename = "ev")]
    email_verified: bool,
    #[serde(rename = "r")]
    roles: Vec<Cow<'a, str>>,
    #[serde(rename = "g", default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Cow<'a, str>>,
    #[serde(rename = "c")]
    claims: BTreeMap<Cow<'a, str>, Value>,
    #[serde(rename = "at")]
    authenticated: Option<u64>,
    #[serde(rename = "ac")]
    acr: Option<Cow<'a, str>>,
    #[serde(rename = "t", borrow)]
    access: Cow<'a, str>,
    #[serde(rename = "tx")]
    access_expires: Option<u64>,
    #[serde(rename = "it", borrow)]
    id_token: Cow<'a, str>,
    #[serde(rename = "tn", default, skip_serializing_if = "Option::is_none")]
    renewal: Option<Renewed>,
    /// Only where it is not in the operator part.
    #[serde(rename = "rt", default, skip_serializing_if = "Option::is_none")]
    refresh: Option<Cow<'a, str>>,
}

/// Absent for tokens that came with the sign-in and that nobody has tried to renew.
#[derive(Serialize, Deserialize)]
struct Renewed {
    #[serde(rename = "g")]
    generation: u64,
    #[serde(rename = "o")]
    obtained: u64,
    /// Whose attempt, since when, and whether it failed.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    attempt: Option<(String, u64, bool)>,
}

#[derive(Serialize, Deserialize)]
struct Operator<'a> {
    #[serde(rename = "s", borrow)]
    sid: Cow<'a, str>,
    #[serde(rename = "i", borrow)]
    issuer: Cow<'a, str>,
    #[serde(rename = "u", borrow)]
    subject: Cow<'a, str>,
    /// Absent where it is the subject.
    #[serde(rename = "id", default, skip_serializing_if = "Option::is_none")]
    user_id: Option<Cow<'a, str>>,
    #[serde(rename = "n")]
    name: Option<Cow<'a, str>>,
    #[serde(rename = "e")]
    email: Option<Cow<'a, str>>,
    #[serde(rename = "p", borrow)]
    provider: Cow<'a, str>,
    #[serde(rename = "b")]
    started: u64,
    #[serde(rename = "x")]
    ends: u64,
    #[serde(rename = "ps")]
    provider_sid: Option<Cow<'a, str>>,
    #[serde(rename = "a", borrow)]
    address: Cow<'a, str>,
    #[serde(rename = "ua", borrow)]
    user_agent: Cow<'a, str>,
    #[serde(rename = "rt")]
    refresh: Option<Cow<'a, str>>,
    #[serde(rename = "su", default, skip_serializing_if = "Option::is_none")]
    supersedes: Option<String>,
}

/// The part of a session that only the ticket's holder opens.
///
/// # Errors
/// [`StoreError::Unreadable`] for claims so deep that they could not be read back.
pub fn encode_private(session: &Session, revocable: bool) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let Session { identity, tokens, .. } = session;
    let mut claims = BTreeMap::new();
    for (name, value) in &identity.claims {
        claims.insert(Cow::from(name), claim_to_json(value, MAX_DEPTH)?);
    }
    to_bytes(&Private {
        email_verified: identity.email_verified,
        roles: identity.roles.iter().map(Cow::from).collect(),
        groups: identity.groups.iter().map(Cow::from).collect(),
        claims,
        authenticated: session.authenticated.map(Timestamp::unix_millis),
        acr: session.acr.as_deref().map(Cow::from),
        access: tokens.access.expose().into(),
        access_expires: tokens.access_expires.map(Timestamp::unix_millis),
        id_token: tokens.id_token.expose().into(),
        renewal: (session.renewal != Renewal::begun(session.started)).then(|| Renewed {
            generation: session.renewal.generation,
            obtained: session.renewal.obtained.unix_millis(),
            attempt: session.renewal.attempt.map(|attempt| {
                (URL_SAFE_NO_PAD.encode(attempt.by.0), attempt.since.unix_millis(), attempt.failed)
            }),
        }),
        refresh: if revocable { None } else { refresh(session) },
    })
}

/// The part of a session that the server opens alone.
///
/// # Errors
/// None in practice; see [`encode_private`].
pub fn encode_operator(session: &Session, revocable: bool) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let Session { identity, .. } = session;
    to_bytes(&Operator {
        sid: session.sid.as_str().into(),
        issuer: identity.issuer.as_str().into(),
        subject: identity.subject.as_str().into(),
        user_id: (identity.user_id != identity.subject.as_str()).then(|| identity.user_id.as_str().into()),
        name: identity.name.as_deref().map(Cow::from),
        email: identity.email.as_deref().map(Cow::from),
        provider: session.provider.as_str().into(),
        started: session.started.unix_millis(),
        ends: session.ends.unix_millis(),
        provider_sid: session.provider_sid.as_deref().map(Cow::from),
        address: session.place.address.as_str().into(),
        user_agent: session.place.user_agent.as_str().into(),
        refresh: if revocable { refresh(session) } else { None },
        supersedes: session.supersedes.map(|key| URL_SAFE_NO_PAD.encode(key.as_bytes())),
    })
}

/// A session from both its parts; the refresh token comes from the one that has it. What was written before this version
/// says some things in both.
///
/// # Errors
/// [`StoreError::Unreadable`] for another format version or anything that is not a session.
pub fn decode(private: &[u8], operator: &[u8]) -> Result<Session, StoreError> {
    let (private, operator) = (unpacked(private)?, unpacked(operator)?);
    let private: Private<'_> = from_json(&private)?;
    let operator: Operator<'_> = from_json(&operator)?;
    let mut claims = Claims::new();
    for (name, value) in private.claims {
        claims.insert(name.into_owned(), claim_from_json(value)?);
    }
    let started = Timestamp::from_unix_millis(operator.started);
    Ok(Session {
        sid: Sid::new(operator.sid),
        identity: Identity {
            issuer: Issuer::new(operator.issuer),
            user_id: operator.user_id.unwrap_or_else(|| operator.subject.clone()).into_owned(),
            subject: Subject::parse(&operator.subject).ok_or(NOT_OURS)?,
            name: operator.name.map(Cow::into_owned),
            email: operator.email.map(Cow::into_owned),
            email_verified: private.email_verified,
            roles: private.roles.into_iter().map(Cow::into_owned).collect(),
            groups: private.groups.into_iter().map(Cow::into_owned).collect(),
            claims,
        },
        provider: ProviderId::parse(&operator.provider).ok_or(NOT_OURS)?,
        started,
        ends: Timestamp::from_unix_millis(operator.ends),
        authenticated: private.authenticated.map(Timestamp::from_unix_millis),
        acr: private.acr.map(Cow::into_owned),
        provider_sid: operator.provider_sid.map(Cow::into_owned),
        tokens: TokenSet {
            access: AccessToken::new(private.access),
            access_expires: private.access_expires.map(Timestamp::from_unix_millis),
            // One of them has it; both could only where `session.revocable` was changed, and then they agree.
            refresh: operator.refresh.or(private.refresh).map(RefreshToken::new),
            id_token: RawIdToken::new(private.id_token),
        },
        renewal: private.renewal.map_or(Ok(Renewal::begun(started)), renewal)?,
        place: SignInPlace {
            address: operator.address.into_owned(),
            user_agent: operator.user_agent.into_owned(),
        },
        supersedes: match operator.supersedes {
            Some(text) => Some(session_key(&text)?),
            None => None,
        },
    })
}

/// What an operator may know, from the operator part alone.
///
/// # Errors
/// As [`decode`].
pub fn decode_summary(operator: &[u8]) -> Result<Summary, StoreError> {
    let operator = unpacked(operator)?;
    let operator: Operator<'_> = from_json(&operator)?;
    Ok(Summary {
        issuer: Issuer::new(operator.issuer),
        user_id: operator.user_id.unwrap_or_else(|| operator.subject.clone()).into_owned(),
        subject: Subject::parse(&operator.subject).ok_or(NOT_OURS)?,
        name: operator.name.map(Cow::into_owned),
        email: operator.email.map(Cow::into_owned),
        provider: ProviderId::parse(&operator.provider).ok_or(NOT_OURS)?,
        started: Timestamp::from_unix_millis(operator.started),
        ends: Timestamp::from_unix_millis(operator.ends),
        place: SignInPlace {
            address: operator.address.into_owned(),
            user_agent: operator.user_agent.into_owned(),
        },
        supersedes: operator.supersedes.as_deref().map(session_key).transpose()?,
    })
}

/// The provider's own name for its session, from the operator part alone.
///
/// # Errors
/// As [`decode`].
pub fn decode_provider_sid(operator: &[u8]) -> Result<Option<String>, StoreError> {
    let operator = unpacked(operator)?;
    let operator: Operator<'_> = from_json(&operator)?;
    Ok(operator.provider_sid.map(Cow::into_owned))
}

/// What a session owes when it ends, from the operator part alone; `None` where that holds no refresh token.
///
/// # Errors
/// As [`decode`].
pub fn decode_owed(operator: &[u8]) -> Result<Option<Owed>, StoreError> {
    let operator = unpacked(operator)?;
    let operator: Operator<'_> = from_json(&operator)?;
    let Some(token) = operator.refresh.map(RefreshToken::new) else { return Ok(None) };
    let provider = ProviderId::parse(&operator.provider).ok_or(NOT_OURS)?;
    let stands_on = StandsOn {
        issuer: Issuer::new(operator.issuer),
        subject: Subject::parse(&operator.subject).ok_or(NOT_OURS)?,
        provider_sid: operator.provider_sid.map(Cow::into_owned),
    };
    Ok(Some(Owed { provider, token, stands_on, replaced: false }))
}

/// What the index entries of a record are made of, and until when they are of use.
pub(in crate::store) struct Whose {
    pub(in crate::store) issuer: Issuer,
    pub(in crate::store) subject: Subject,
    pub(in crate::store) provider_sid: Option<String>,
    pub(in crate::store) ends: Timestamp,
}

/// What index entries are made of, from the operator part alone.
///
/// # Errors
/// As [`decode`].
pub fn decode_whose(operator: &[u8]) -> Result<Whose, StoreError> {
    let operator = unpacked(operator)?;
    let operator: Operator<'_> = from_json(&operator)?;
    Ok(Whose {
        issuer: Issuer::new(operator.issuer),
        subject: Subject::parse(&operator.subject).ok_or(NOT_OURS)?,
        provider_sid: operator.provider_sid.map(Cow::into_owned),
        ends: Timestamp::from_unix_millis(operator.ends),
    })
}

fn refresh(session: &Session) -> Option<Cow<'_, str>> {
    session.tokens.refresh.as_ref().map(|token| token.expose().into())
}

fn renewal(mirror: Renewed) -> Result<Renewal, StoreError> {
    let attempt = |(by, since, failed): (String, u64, bool)| {
        let bytes = URL_SAFE_NO_PAD.decode(by).map_err(|_| NOT_OURS)?;
        let by = LeaseId(bytes.try_into().map_err(|_| NOT_OURS)?);
        Ok(Attempt { by, since: Timestamp::from_unix_millis(since), failed })
    };
    Ok(Renewal {
        generation: mirror.generation,
        obtained: Timestamp::from_unix_millis(mirror.obtained),
        attempt: mirror.attempt.map(attempt).transpose()?,
    })
}

fn session_key(text: &str) -> Result<SessionKey, StoreError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NOT_OURS)?;
    Ok(SessionKey::from_digest(bytes.try_into().map_err(|_| NOT_OURS)?))
}

fn to_bytes(mirror: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut json = Zeroizing::new(Vec::with_capacity(8192));
    serde_json::to_writer(&mut *json, mirror).map_err(|_| NOT_OURS)?;
    let packed = packed::pack(&json);
    let mut bytes = Zeroizing::new(Vec::with_capacity(packed.len() + 1));
    bytes.push(FORMAT);
    bytes.extend_from_slice(&packed);
    Ok(bytes)
}

/// The JSON of a part.
fn unpacked(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    match bytes.split_first() {
        Some((&FORMAT, packed)) => packed::unpack(packed),
        Some((&UNPACKED, json)) => Ok(Zeroizing::new(json.to_vec())),
        _ => Err(StoreError::Unreadable("its format is of another version of this program")),
    }
}

fn from_json<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, StoreError> {
    // The parser's own message would quote the content.
    serde_json::from_slice(json).map_err(|_| NOT_OURS)
}

/// Claims keep their JSON form, but for numbers with a fraction: their bits travel as text, since a JSON parser may
/// be off in the last one. To tell them apart every text carries one letter of tag.
fn claim_to_json(value: &ClaimValue, depth: usize) -> Result<Value, StoreError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(StoreError::Unreadable("a claim is nested too deeply to be kept"));
    };
    Ok(match value {
        ClaimValue::Null => Value::Null,
        ClaimValue::Bool(value) => Value::Bool(*value),
        ClaimValue::Integer(number) => Value::from(*number),
        ClaimValue::Float(number) => Value::String(format!("f{:x}", number.to_bits())),
        ClaimValue::Text(text) => Value::String(format!("t{text}")),
        ClaimValue::List(items) => {
            Value::Array(items.iter().map(|item| claim_to_json(item, depth)).collect::<Result<_, _>>()?)
        }
        ClaimValue::Map(map) => Value::Object(
            map.iter()
                .map(|(name, value)| Ok((name.clone(), claim_to_json(value, depth)?)))
                .collect::<Result<_, StoreError>>()?,
        ),
    })
}

fn claim_from_json(value: Value) -> Result<ClaimValue, StoreError> {
    Ok(match value {
        Value::Null => ClaimValue::Null,
        Value::Bool(value) => ClaimValue::Bool(value),
        Value::Number(number) => ClaimValue::Integer(number.as_i64().ok_or(NOT_OURS)?),
        Value::String(tagged) => match (tagged.strip_prefix('t'), tagged.strip_prefix('f')) {
            (Some(text), _) => ClaimValue::Text(text.to_owned()),
            (_, Some(bits)) => {
                ClaimValue::Float(f64::from_bits(u64::from_str_radix(bits, 16).map_err(|_| NOT_OURS)?))
            }
            (None, None) => return Err(NOT_OURS),
        },
        Value::Array(items) => {
            ClaimValue::List(items.into_iter().map(claim_from_json).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => ClaimValue::Map(
            map.into_iter()
                .map(|(name, value)| Ok((name, claim_from_json(value)?)))
                .collect::<Result<_, StoreError>>()?,
        ),
    })
}

#[cfg(test)]
pub(in crate::store) mod tests;
