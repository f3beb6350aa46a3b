//! Sessions: what a ticket leads to, and for how long.
//!
//! I own: [`Ticket`], [`SessionKey`], [`Session`], [`Summary`], [`Limits`], [`Standing`]. I may call: `identity`, `renewal`, `secret`, `time`.
//! I never judge a limit by anything but the data and the `now` that is passed in (R47).

use super::identity::{Identity, Issuer, ProviderId, Subject};
use super::renewal::Renewal;
use super::secret::{AccessToken, RawIdToken, RefreshToken};
use super::time::Timestamp;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use zeroize::Zeroizing;

/// Length of a ticket as text: 256 bits in base64url.
pub const TICKET_LENGTH: usize = 43;

/// What the browser's cookie carries: 256 random bits as 43 characters. Whoever holds it is the session; it is
/// neither printed nor compared.
#[derive(Clone)]
pub struct Ticket {
    text: Zeroizing<String>,
    /// The name of its record, once somebody has asked: a request asks more than once.
    key: OnceLock<SessionKey>,
}

impl Ticket {
    /// Whether this could be the text of a ticket: exactly 43 characters of base64url.
    pub fn is_sound(text: &str) -> bool {
        text.len() == TICKET_LENGTH
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }

    /// Parses the text of a ticket. Unknown tickets are found out by the store.
    pub fn parse(text: &str) -> Option<Self> {
        Self::is_sound(text).then(|| Self { text: Zeroizing::new(text.to_owned()), key: OnceLock::new() })
    }

    /// The text. Every call site is a place where a session can leak.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The name of its record: what `digest` makes of the text, which it is asked for once.
    pub fn key(&self, digest: impl FnOnce(&str) -> SessionKey) -> SessionKey {
        *self.key.get_or_init(|| digest(&self.text))
    }
}

/// The name of a session's record in the store: SHA-256 of the ticket. It opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// From the digest of a ticket; the key ring makes these.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The public name of a session, shown by the `user` endpoint and asked for by `GET logout?sid=`. 128 random bits,
/// 22 characters; it proves that a page of ours was read, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sid(String);

impl Sid {
    /// Takes the text of a sid.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tokens of a session. They never leave the server but on a route that relays one.
#[derive(Clone)]
pub struct TokenSet {
    /// The access token.
    pub access: AccessToken,
    /// When the access token expires, if the provider said so (`expires_in`, RFC 6749 section 5.1).
    pub access_expires: Option<Timestamp>,
    /// The refresh token, if one was issued.
    pub refresh: Option<RefreshToken>,
    /// The ID token as issued (R48).
    pub id_token: RawIdToken,
}

impl TokenSet {
    /// Whether the access token can still be presented at `now`. Without `expires_in` nobody can say otherwise.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.access_expires.is_none_or(|expires| now < expires)
    }
}

/// Where a sign-in came from, for the person's and the operator's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInPlace {
    /// The client's address.
    pub address: String,
    /// The browser's own description, cut to 200 bytes.
    pub user_agent: String,
}

/// A session.
#[derive(Clone)]
pub struct Session {
    /// The public name.
    pub sid: Sid,
    /// The person.
    pub identity: Identity,
    /// The provider that vouched for them.
    pub provider: ProviderId,
    /// When the session began.
    pub started: Timestamp,
    /// When it ends at the latest, whatever happens.
    pub ends: Timestamp,
    /// When the person last proved who they are (`auth_time`), if the provider said so.
    pub authenticated: Option<Timestamp>,
    /// The authentication context class that the provider reached (`acr`).
    pub acr: Option<String>,
    /// The provider's own name for its session (`sid` claim), for logouts that it announces.
    pub provider_sid: Option<String>,
    /// The tokens.
    pub tokens: TokenSet,
    /// What is remembered of their renewal.
    pub renewal: Renewal,
    /// Where it came from.
    pub place: SignInPlace,
    /// The session of the same person that this one took the place of, and that lives a moment longer: it ends with
    /// this one.
    pub supersedes: Option<SessionKey>,
}

/// What an operator may know of a session without its ticket: who, since when, from where. No token is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Who vouched for the person.
    pub issuer: Issuer,
    /// The person, as the provider knows them.
    pub subject: Subject,
    /// The person, as apps know them.
    pub user_id: String,
    /// The display name.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The provider.
    pub provider: ProviderId,
    /// As in [`Session`].
    pub started: Timestamp,
    /// As in [`Session`].
    pub ends: Timestamp,
    /// As in [`Session`].
    pub place: SignInPlace,
    /// As in [`Session`]: it ends along with this one.
    pub supersedes: Option<SessionKey>,
}

/// How long sessions live: `session.idle_timeout` and `session.lifetime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest silence.
    pub idle: Duration,
    /// The longest life.
    pub lifetime: Duration,
}

impl Limits {
    /// How often `last seen` is written at most: a twentieth of the idle timeout. A session may so end late by one
    /// interval, never early.
    pub fn touch_interval(&self) -> Duration {
        self.idle / 20
    }

    /// Judges both limits (R47).
    ///
    /// # Errors
    /// Which limit is over.
    pub fn judge(
        &self,
        started: Timestamp,
        ends: Timestamp,
        last_seen: Timestamp,
        now: Timestamp,
    ) -> Result<(), WhyOver> {
        // Whichever is shorter: a configuration that shortens lifetimes reaches sessions that exist already.
        if now >= ends.min(started.plus(self.lifetime)) {
            return Err(WhyOver::Lifetime);
        }
        if now >= self.idle_until(last_seen) {
            return Err(WhyOver::Idle);
        }
        Ok(())
    }

    /// The moment at which silence ends a session. Throttled touches make the stored value late by up to one
    /// interval, which is granted back here.
    pub fn idle_until(&self, last_seen: Timestamp) -> Timestamp {
        last_seen.plus(self.idle).plus(self.touch_interval())
    }
}

/// Why a ticket leads to no session any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyOver {
    /// The store knows no such session: it ended, or never was (one answer for both, A44).
    Unknown,
    /// Nobody used it for too long.
    Idle,
    /// Its life is over.
    Lifetime,
    /// An operator ended all that began before some moment, and this one did.
    Cleared,
}

impl WhyOver {
    /// The word for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Idle => "idle",
            Self::Lifetime => "lifetime",
            Self::Cleared => "by-operator",
        }
    }
}

/// A session that is in force, and what is known around it.
#[derive(Clone)]
pub struct LiveSession {
    /// Its name in the store.
    pub key: SessionKey,
    /// The version of the record that was read.
    pub version: u64,
    /// When it was last used, as far as the store knows.
    pub last_seen: Timestamp,
    /// The session.
    pub session: Arc<Session>,
}

impl LiveSession {
    /// Judges both limits (R47).
    ///
    /// # Errors
    /// Which limit is over.
    pub fn judge(&self, limits: &Limits, now: Timestamp) -> Result<(), WhyOver> {
        limits.judge(self.session.started, self.session.ends, self.last_seen, now)
    }
}

/// Who stands at the desk.
#[derive(Clone)]
pub enum Standing {
    /// Nobody that we know: no ticket was presented.
    Anonymous,
    /// Somebody whose session is over.
    Over(WhyOver),
    /// Somebody.
    Live(LiveSession),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::claim::Claims;
    use crate::domain::identity::{Issuer, Subject};

    /// A session for tests of other rooms: alice, an editor, signed in at second 1000, for ten hours.
    pub(crate) fn session() -> Session {
        let started = Timestamp::from_unix_seconds(1000);
        Session {
            sid: Sid::new("public-sid"),
            identity: Identity {
                issuer: Issuer::new("https://idp.example.com"),
                subject: Subject::parse("alice").unwrap(),
                user_id: "alice".into(),
                name: Some("Alice".into()),
                email: Some("alice@example.com".into()),
                email_verified: true,
                roles: vec!["editor".into()],
                groups: vec!["staff".into()],
                claims: Claims::new(),
            },
            provider: ProviderId::parse("corp").unwrap(),
            started,
            ends: started.plus(Duration::from_secs(36_000)),
            authenticated: Some(started),
            acr: None,
            provider_sid: Some("idp-session".into()),
            tokens: TokenSet {
                access: AccessToken::new("access"),
                access_expires: Some(started.plus(Duration::from_secs(300))),
                refresh: Some(RefreshToken::new("refresh")),
                id_token: RawIdToken::new("e30.e30.e30"),
            },
            renewal: Renewal::begun(started),
            place: SignInPlace { address: "192.0.2.1".into(), user_agent: "Browser".into() },
            supersedes: None,
        }
    }

    /// The same, live and just seen.
    pub(crate) fn live(session: Session) -> LiveSession {
        let last_seen = session.started;
        LiveSession {
            key: SessionKey::from_digest([1; 32]),
            version: 1,
            last_seen,
            session: Arc::new(session),
        }
    }

    #[test]
    fn r47_both_limits_end_a_session_and_not_a_moment_early() {
        let limits = Limits { idle: Duration::from_secs(600), lifetime: Duration::from_secs(36_000) };
        let mut live = live(session());
        let at = Timestamp::from_unix_seconds;
        assert_eq!(live.judge(&limits, at(1600)), Ok(()));
        assert_eq!(live.judge(&limits, at(1629)), Ok(()));
        assert_eq!(live.judge(&limits, at(1630)), Err(WhyOver::Idle));
        live.last_seen = at(36_900);
        assert_eq!(live.judge(&limits, at(36_999)), Ok(()));
        assert_eq!(live.judge(&limits, at(37_000)), Err(WhyOver::Lifetime));
        let shorter = Limits { lifetime: Duration::from_secs(60), ..limits };
        assert_eq!(live.judge(&shorter, at(1060)), Err(WhyOver::Lifetime));
    }

    #[test]
    fn r49_tickets_have_one_form() {
        assert!(Ticket::parse(&"A".repeat(43)).is_some());
        for bad in [
            "",
            &"A".repeat(42),
            &"A".repeat(44),
            &format!("{}=", "A".repeat(42)),
            &format!("{} ", "A".repeat(42)),
        ] {
            assert!(Ticket::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn tokens_without_expiry_count_as_fresh() {
        let mut tokens = session().tokens;
        assert!(!tokens.is_fresh(Timestamp::from_unix_seconds(1300)));
        assert!(tokens.is_fresh(Timestamp::from_unix_seconds(1299)));
        tokens.access_expires = None;
        assert!(tokens.is_fresh(Timestamp::from_unix_seconds(u64::MAX / 1000)));
    }
}
