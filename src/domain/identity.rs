//! Who a session belongs to, and how claims become that.
//!
//! I own: [`Identity`], [`IdentityRule`] and the ids in them. I may call: `claim`. I never trust an e-mail address
//! as an identity: a person is (issuer, subject) (R18, OpenID Connect Core section 5.7).

use super::claim::{ClaimPath, ClaimValue, Claims};

/// The configured name of an identity provider, such as `corp`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId(String);

impl ProviderId {
    /// 1 to 32 characters of `a-z`, `0-9`, `-` and `_`: it stands in callback paths and logs.
    pub fn parse(text: &str) -> Option<Self> {
        let sound = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        sound.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An issuer identifier (OpenID Connect Discovery section 3), compared as an exact string.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Issuer(String);

impl Issuer {
    /// Takes an issuer as configured or as a verified token states it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The issuer's exact text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A subject identifier: 1 to 255 ASCII characters, without control characters (OpenID Connect Core section 2, R13).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject(String);

impl Subject {
    /// Parses a `sub` claim; `None` when it is empty, too long, or not printable ASCII.
    pub fn parse(text: &str) -> Option<Self> {
        let sound = (1..=255).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        sound.then(|| Self(text.to_owned()))
    }

    /// The subject's exact text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A person as a session knows them.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Who vouches for this person.
    pub issuer: Issuer,
    /// Who they are to that issuer; with `issuer` the key of a person (R18).
    pub subject: Subject,
    /// The id that apps see (`identity.user_id`); the subject unless configured otherwise.
    pub user_id: String,
    /// A display name, if the provider gave one.
    pub name: Option<String>,
    /// An e-mail address, as an attribute only; absent when the provider says that it is not verified.
    pub email: Option<String>,
    /// Whether the provider says that it has verified `email`.
    pub email_verified: bool,
    /// The roles, in the order in which they were found, without repetition.
    pub roles: Vec<String>,
    /// The groups, in the same way.
    pub groups: Vec<String>,
    /// The top-level claims that the session keeps: for the `user` endpoint, identity headers and rules of access.
    pub claims: Claims,
}

impl Identity {
    /// Whether both are the same person: issuer and subject, nothing else (R18).
    pub fn is_same_person(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.subject == other.subject
    }
}

/// How claims become an [`Identity`]: the `[identity]` section.
#[derive(Clone, Debug)]
pub struct IdentityRule {
    /// Where the id comes from that apps see.
    pub user_id: ClaimPath,
    /// Where the display name comes from.
    pub name: ClaimPath,
    /// Where the e-mail address comes from.
    pub email: ClaimPath,
    /// Whether an address counts that the provider does not vouch for (`identity.trust_unverified_email`).
    pub trust_unverified_email: bool,
    /// Where roles come from; all that are found are joined.
    pub roles: Vec<ClaimPath>,
    /// Where groups come from, in the same way.
    pub groups: Vec<ClaimPath>,
    /// Names of top-level claims that the `user` endpoint shows: the allow-list of R59.
    pub shown: Vec<String>,
    /// Paths that identity headers read; the session keeps the top-level claims that they lead into.
    pub read_by_headers: Vec<ClaimPath>,
    /// Whether a route hands on every claim (`identity_headers = "oidc-claim"`): then the session keeps all but
    /// `OF_THE_LOGIN`.
    pub keeps_all: bool,
    /// Paths that rules of access read; the session keeps these claims too, so that no rule misses one for want of it.
    pub read_by_rules: Vec<ClaimPath>,
}

/// Claims that are about the login and not about the person; no session keeps them for an app.
const OF_THE_LOGIN: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "jti"];

/// Why claims do not make an identity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// The claim named by `identity.user_id` is missing, empty, too long or not a single printable value.
    #[error(
        "the claim `{0}` (identity.user_id) is missing or is not a single printable value of at most 255 bytes"
    )]
    UserId(String),
    /// The user id is an e-mail address, and the provider does not say that it has verified it.
    #[error("identity.user_id is an e-mail address, and the provider does not say that it is verified")]
    UnverifiedEmail,
}

impl IdentityRule {
    /// Maps verified claims to an identity.
    ///
    /// # Errors
    /// When the claim for the user id is not usable. Everything else is optional.
    pub fn identify(
        &self,
        issuer: Issuer,
        subject: Subject,
        claims: &Claims,
    ) -> Result<Identity, IdentityError> {
        let user_id = self
            .user_id
            .find(claims)
            .and_then(ClaimValue::to_scalar)
            .filter(|id| (1..=255).contains(&id.len()) && !id.chars().any(char::is_control))
            // A header's value loses the white space around it: " admin" would arrive as somebody else.
            .filter(|id| id.trim() == id.as_str())
            .ok_or_else(|| IdentityError::UserId(self.user_id.as_str().to_owned()))?;
        // The word is about the claim `email`; about an address from elsewhere it says nothing.
        let vouched = match self.email.as_str() {
            "email" => claims.get("email_verified").and_then(ClaimValue::as_bool),
            _ => None,
        };
        // Whoever may type an address into their profile must not become its owner to an app (R18).
        if self.user_id == self.email && vouched != Some(true) && !self.trust_unverified_email {
            return Err(IdentityError::UnverifiedEmail);
        }
        let email_counts = vouched != Some(false) || self.trust_unverified_email;
        let text = |path: &ClaimPath| path.find(claims).and_then(ClaimValue::as_text).map(str::to_owned);
        let is_kept = |name: &str| {
            (self.keeps_all && !OF_THE_LOGIN.contains(&name))
                || self.shown.iter().any(|shown| shown == name)
                || self.read_by_headers.iter().chain(&self.read_by_rules).any(|path| path.leads_into(name))
        };
        Ok(Identity {
            issuer,
            subject,
            user_id,
            name: text(&self.name),
            email: text(&self.email).filter(|_| email_counts),
            email_verified: vouched == Some(true),
            roles: collected(&self.roles, claims),
            groups: collected(&self.groups, claims),
            claims: claims
                .iter()
                .filter(|(name, _)| is_kept(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        })
    }

    /// The claims of a person that the `user` endpoint may show (R59).
    pub fn shown<'i>(&self, identity: &'i Identity) -> impl Iterator<Item = (&'i String, &'i ClaimValue)> {
        identity.claims.iter().filter(|(name, _)| self.shown.contains(name))
    }
}

/// All texts at these paths, without repetition.
fn collected(paths: &[ClaimPath], claims: &Claims) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in paths.iter().filter_map(|path| path.find(claims)).flat_map(ClaimValue::to_texts) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> IdentityRule {
        let path = |text: &str| ClaimPath::parse(text).unwrap();
        IdentityRule {
            user_id: path("sub"),
            name: path("name"),
            email: path("email"),
            trust_unverified_email: false,
            roles: vec![path("realm_access.roles"), path("groups")],
            groups: vec![path("groups")],
            shown: vec!["department".into()],
            read_by_headers: vec![path("realm_access.level")],
            keeps_all: false,
            read_by_rules: vec![path("org.unit")],
        }
    }

    fn identify(claims: Claims) -> Result<Identity, IdentityError> {
        rule().identify(Issuer::new("https://idp"), Subject::parse("alice").unwrap(), &claims)
    }

    #[test]
    fn r18_a_person_is_issuer_and_subject_never_an_address() {
        let claims = |mail: &str| {
            Claims::from([
                ("sub".into(), ClaimValue::Text("alice".into())),
                ("email".into(), ClaimValue::Text(mail.into())),
            ])
        };
        let one = identify(claims("a@example.com")).unwrap();
        let renamed = identify(claims("b@example.com")).unwrap();
        assert!(one.is_same_person(&renamed));
        let mut elsewhere = one.clone();
        elsewhere.issuer = Issuer::new("https://idp/");
        assert!(!one.is_same_person(&elsewhere));
    }

    #[test]
    fn everything_but_the_user_id_is_optional_and_roles_are_joined() {
        let list =
            |items: &[&str]| ClaimValue::List(items.iter().map(|i| ClaimValue::Text((*i).into())).collect());
        let claims = Claims::from([
            ("sub".into(), ClaimValue::Text("alice".into())),
            ("groups".into(), list(&["a", "b", "a"])),
            ("secret_claim".into(), ClaimValue::Bool(true)),
        ]);
        let identity = identify(claims).unwrap();
        assert_eq!(identity.roles, ["a", "b"]);
        assert_eq!(identity.groups, ["a", "b"]);
        assert!(identity.email.is_none() && !identity.email_verified && identity.claims.is_empty());
    }

    #[test]
    fn r59_keeps_what_is_named_and_shows_what_is_allowed() {
        let text = |value: &str| ClaimValue::Text(value.into());
        let claims = Claims::from([
            ("sub".into(), text("alice")),
            ("department".into(), text("ward 7")),
            ("salary".into(), text("much")),
            ("org".into(), ClaimValue::Map([("unit".to_owned(), text("a"))].into())),
            ("realm_access".into(), ClaimValue::Map([("level".to_owned(), text("3"))].into())),
        ]);
        let identity = identify(claims).unwrap();
        assert_eq!(identity.claims.keys().collect::<Vec<_>>(), ["department", "org", "realm_access"]);
        assert_eq!(rule().shown(&identity).map(|(name, _)| name).collect::<Vec<_>>(), ["department"]);
    }

    #[test]
    fn r59_a_rule_that_keeps_all_shows_no_more_and_keeps_nothing_of_the_login() {
        let text = |value: &str| ClaimValue::Text(value.into());
        let claims: Claims =
            ["sub", "salary", "nonce", "at_hash"].map(|name| (name.into(), text("x"))).into();
        let rule = IdentityRule { keeps_all: true, ..rule() };
        let identity = rule.identify(Issuer::new("i"), Subject::parse("x").unwrap(), &claims).unwrap();
        assert_eq!(identity.claims.keys().collect::<Vec<_>>(), ["salary", "sub"]);
        assert_eq!(rule.shown(&identity).count(), 0);
    }

    #[test]
    fn r18_an_address_that_nobody_vouches_for_is_nobodys() {
        let text = |value: &str| ClaimValue::Text(value.into());
        let claims = |verified: Option<bool>| {
            let mut claims = Claims::from([("sub".into(), text("mallory")), ("email".into(), text("ceo@x"))]);
            claims.extend(verified.map(|word| ("email_verified".to_owned(), ClaimValue::Bool(word))));
            claims
        };
        let of = |rule: &IdentityRule, verified| {
            rule.identify(Issuer::new("i"), Subject::parse("mallory").unwrap(), &claims(verified))
        };
        assert_eq!(of(&rule(), Some(false)).unwrap().email, None);
        assert_eq!(of(&rule(), None).unwrap().email.as_deref(), Some("ceo@x"));
        let by_mail = IdentityRule { user_id: ClaimPath::parse("email").unwrap(), ..rule() };
        for (verified, expected) in [(Some(true), true), (Some(false), false), (None, false)] {
            assert_eq!(of(&by_mail, verified).is_ok(), expected, "{verified:?}");
        }
        let trusting = IdentityRule { trust_unverified_email: true, ..by_mail };
        assert!(of(&trusting, Some(false)).is_ok());
        let elsewhere = IdentityRule { email: ClaimPath::parse("mail").unwrap(), ..rule() };
        assert!(!of(&elsewhere, Some(true)).unwrap().email_verified, "the word is about another claim");
    }

    #[test]
    fn r13_subjects_are_printable_ascii_of_1_to_255() {
        assert!(Subject::parse(&"a".repeat(255)).is_some());
        for bad in ["", "a\0b", "\u{430}lice", &"a".repeat(256)] {
            assert!(Subject::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_user_id_that_is_missing_or_no_scalar_is_an_error() {
        assert!(identify(Claims::new()).is_err());
        assert!(identify(Claims::from([("sub".into(), ClaimValue::List(vec![]))])).is_err());
        for id in ["a\nb", " admin", "admin ", "\u{a0}admin", ""] {
            assert!(identify(Claims::from([("sub".into(), ClaimValue::Text(id.into()))])).is_err(), "{id:?}");
        }
    }
}
