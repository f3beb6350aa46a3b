//! A login from its start to the moment when its code may be redeemed.
//!
//! I own: [`PendingLogin`] and the steps that consume it, one type a step: [`BoundLogin`], [`ClaimedLogin`],
//! [`ProvenCallback`]. I may call: `identity`, `return_to`, `secret`, `session`, `time`.
//! I never let a step be skipped: the fields of each type are private, and only the step before makes it. A code is
//! redeemed from a [`ProvenCallback`] and from nothing else (R4 to R8, A1, A3, A5, A9).

use super::identity::{Issuer, ProviderId};
use super::return_to::ReturnTo;
use super::secret::{AuthorizationCode, Nonce, PkceVerifier};
use super::session::SessionKey;
use super::time::Timestamp;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How long a login may take from its start to its callback (R4).
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(600);

/// After so many logins for one page without success, an error page instead of another one (R10).
pub const MAX_ATTEMPTS: u8 = 3;

/// The name of one login: 128 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoginId(pub [u8; 16]);

/// A keyed digest of the binding cookie: what the state says about the browser that it belongs to.
#[derive(Clone, Copy)]
pub struct BindingMark(pub [u8; 16]);

/// What the login asks of the provider beyond a plain sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requested {
    /// `max_age` in seconds; then `auth_time` must come back and be fresh.
    pub max_age: Option<u32>,
    /// `acr_values`; then `acr` must come back as one of them.
    pub acr_values: Vec<String>,
}

impl Requested {
    /// What a login asks for when an operator demands `self` and a visitor wishes `wish`: a visitor can ask for more,
    /// never for less.
    #[must_use]
    pub fn joined(&self, wish: Self) -> Self {
        let max_age = match (self.max_age, wish.max_age) {
            (Some(demanded), Some(wished)) => Some(demanded.min(wished)),
            (demanded, wished) => demanded.or(wished),
        };
        if self.acr_values.is_empty() {
            return Self { max_age, acr_values: wish.acr_values };
        }
        let narrowed: Vec<String> =
            wish.acr_values.into_iter().filter(|wished| self.acr_values.contains(wished)).collect();
        let acr_values = if narrowed.is_empty() { self.acr_values.clone() } else { narrowed };
        Self { max_age, acr_values }
    }
}

/// A login that has begun: what is sealed into `state`.
#[derive(Clone)]
pub struct PendingLogin {
    /// Its name, taken once from the store when it ends.
    pub id: LoginId,
    /// The provider that it went to (R9).
    pub provider: ProviderId,
    /// The origin that it started on, serialised.
    pub origin: String,
    /// Where it goes afterwards.
    pub return_to: ReturnTo,
    /// When it began.
    pub started: Timestamp,
    /// The browser that began it.
    pub binding: BindingMark,
    /// The session that the browser had then; it ends when this login succeeds.
    pub started_from: Option<SessionKey>,
    /// How many logins for this page came before this one, each ended by a lost cookie or a used state.
    pub attempt: u8,
    /// What was asked for.
    pub requested: Requested,
}

/// The parameters of a callback, each at most once (R7).
#[derive(Clone, Default)]
pub struct CallbackParams {
    code: Option<AuthorizationCode>,
    state: Option<String>,
    issuer: Option<String>,
    error: Option<String>,
}

impl CallbackParams {
    /// Reads the decoded pairs of a query. Unknown parameters are ignored (RFC 6749 section 4.1.2).
    ///
    /// # Errors
    /// When `code`, `state`, `iss` or `error` occurs twice (RFC 6749 section 3.1, R7).
    pub fn read<'p>(
        pairs: impl Iterator<Item = (std::borrow::Cow<'p, str>, std::borrow::Cow<'p, str>)>,
    ) -> Result<Self, LoginRefusal> {
        let mut params = Self::default();
        for (name, value) in pairs {
            let value = value.into_owned();
            let twice = match &*name {
                "code" => params.code.replace(AuthorizationCode::new(value)).is_some(),
                "state" => params.state.replace(value).is_some(),
                "iss" => params.issuer.replace(value).is_some(),
                "error" => params.error.replace(value).is_some(),
                _ => false,
            };
            if twice {
                return Err(LoginRefusal::Duplicate);
            }
        }
        Ok(params)
    }

    /// The sealed state, if there is one.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// What the provider's metadata say about authorization responses (RFC 9207).
#[derive(Clone, Debug)]
pub struct ResponseRules {
    /// The issuer to compare `iss` with.
    pub issuer: Issuer,
    /// `authorization_response_iss_parameter_supported`: a response without `iss` is refused.
    pub iss_required: bool,
}

/// Why a callback leads to no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefusal {
    /// A parameter that may occur once occurs twice.
    #[error("a parameter of the callback occurs twice")]
    Duplicate,
    /// There is no state, or it is not one of ours.
    #[error("the callback carries no state of ours")]
    NotOurs,
    /// The state belongs to another provider or origin than the callback that received it (R9, A9).
    #[error("the callback arrived at another address than the one that its login was sent to")]
    Elsewhere,
    /// The login took longer than [`LOGIN_TIMEOUT`].
    #[error("the login took too long")]
    Expired,
    /// The browser does not show the cookie that the login was bound to.
    #[error("the login was started by another browser, or its cookie is lost")]
    Unbound,
    /// The login was already finished once.
    #[error("the login was already finished")]
    AlreadyUsed,
    /// `iss` is not the provider's issuer, or is missing where the provider promised it (RFC 9207).
    #[error("the response does not come from the provider that the login was sent to")]
    WrongIssuer,
    /// The provider said no. Only registered error codes are kept; anything else is `other` (R10).
    #[error("the provider refused the login: {0}")]
    Denied(&'static str),
    /// The provider announced the person's sign-out while the login was being completed (R85).
    #[error("the provider has signed the person out meanwhile")]
    SignedOut,
    /// The person is signed in as often as `session.max_per_user` allows.
    #[error("the person is signed in as often as `session.max_per_user` allows")]
    TooMany,
    /// Neither a code nor an error, or both.
    #[error("the callback carries neither exactly a code nor exactly an error")]
    NoAnswer,
}

impl LoginRefusal {
    /// The word for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::NotOurs => "not-ours",
            Self::Elsewhere => "elsewhere",
            Self::Expired => "expired",
            Self::Unbound => "unbound",
            Self::AlreadyUsed => "already-used",
            Self::WrongIssuer => "wrong-issuer",
            Self::Denied(_) => "denied",
            Self::SignedOut => "signed-out-meanwhile",
            Self::TooMany => "too-many-sessions",
            Self::NoAnswer => "no-answer",
        }
    }
}

impl PendingLogin {
    /// First step: is this the browser that began the login, and is it still in time? (R4, R6, A1)
    ///
    /// # Errors
    /// [`LoginRefusal::Expired`] before [`LoginRefusal::Unbound`].
    pub fn bind(self, shown: Option<BindingMark>, now: Timestamp) -> Result<BoundLogin, LoginRefusal> {
        if now >= self.started.plus(LOGIN_TIMEOUT) {
            return Err(LoginRefusal::Expired);
        }
        let same = shown.is_some_and(|mark| bool::from(mark.0.ct_eq(&self.binding.0)));
        if same { Ok(BoundLogin(self)) } else { Err(LoginRefusal::Unbound) }
    }
}

/// A login that belongs to the browser at hand.
pub struct BoundLogin(PendingLogin);

impl BoundLogin {
    /// The name to take once from the store.
    pub fn id(&self) -> LoginId {
        self.0.id
    }

    /// Second step: with the store's word whether this was the first taking (R4, A3).
    ///
    /// # Errors
    /// [`LoginRefusal::AlreadyUsed`].
    pub fn claim(self, first: bool) -> Result<ClaimedLogin, LoginRefusal> {
        if first { Ok(ClaimedLogin(self.0)) } else { Err(LoginRefusal::AlreadyUsed) }
    }
}

/// A login that nobody else can finish any more.
pub struct ClaimedLogin(PendingLogin);

impl ClaimedLogin {
    /// The login, for looking up its secrets.
    pub fn pending(&self) -> &PendingLogin {
        &self.0
    }

    /// Third step: does the answer come from the right issuer (R8, A5), and is it a code?
    ///
    /// # Errors
    /// [`LoginRefusal::WrongIssuer`] before everything else, then the provider's own refusal.
    pub fn prove(
        self,
        params: CallbackParams,
        rules: &ResponseRules,
        nonce: Nonce,
        verifier: PkceVerifier,
    ) -> Result<ProvenCallback, LoginRefusal> {
        match &params.issuer {
            Some(issuer) if issuer == rules.issuer.as_str() => {}
            None if !rules.iss_required => {}
            Some(_) | None => return Err(LoginRefusal::WrongIssuer),
        }
        match (params.code, params.error) {
            (Some(code), None) if !code.expose().is_empty() => {
                Ok(ProvenCallback { login: self.0, code, nonce, verifier })
            }
            (None, Some(error)) => Err(LoginRefusal::Denied(registered(&error))),
            _ => Err(LoginRefusal::NoAnswer),
        }
    }
}

/// A code that may be redeemed: the only thing that a provider accepts for redemption.
pub struct ProvenCallback {
    login: PendingLogin,
    code: AuthorizationCode,
    nonce: Nonce,
    verifier: PkceVerifier,
}

impl ProvenCallback {
    /// The login that this finishes.
    pub fn login(&self) -> &PendingLogin {
        &self.login
    }

    /// The code.
    pub fn code(&self) -> &AuthorizationCode {
        &self.code
    }

    /// The nonce that the ID token must carry.
    pub fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// The verifier of the code challenge.
    pub fn verifier(&self) -> &PkceVerifier {
        &self.verifier
    }
}

/// The registered error codes of RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6. Whatever else a
/// provider says is not repeated.
fn registered(error: &str) -> &'static str {
    const CODES: [&str; 16] = [
        "access_denied",
        "invalid_request",
        "unauthorized_client",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "login_required",
        "interaction_required",
        "consent_required",
        "account_selection_required",
        "invalid_request_uri",
        "invalid_request_object",
        "request_not_supported",
        "request_uri_not_supported",
        "registration_not_supported",
    ];
    CODES.into_iter().find(|code| *code == error).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1000);

    fn pending() -> PendingLogin {
        PendingLogin {
            id: LoginId([1; 16]),
            provider: ProviderId::parse("corp").unwrap(),
            origin: "https://apps.example.com".into(),
            return_to: ReturnTo::root(),
            started: START,
            binding: BindingMark([7; 16]),
            started_from: None,
            attempt: 0,
            requested: Requested::default(),
        }
    }

    fn params(query: &str) -> Result<CallbackParams, LoginRefusal> {
        CallbackParams::read(url::form_urlencoded::parse(query.as_bytes()))
    }

    fn prove(query: &str, iss_required: bool) -> Result<ProvenCallback, LoginRefusal> {
        let claimed = pending().bind(Some(BindingMark([7; 16])), START)?.claim(true)?;
        let rules = ResponseRules { issuer: Issuer::new("https://idp"), iss_required };
        claimed.prove(params(query)?, &rules, Nonce::new("n"), PkceVerifier::new("v"))
    }

    #[test]
    fn r13_a_visitor_can_ask_for_more_than_the_operator_never_for_less() {
        let of = |max_age, acr: &[&str]| Requested {
            max_age,
            acr_values: acr.iter().map(|value| (*value).to_owned()).collect(),
        };
        let demanded = of(Some(300), &["gold", "silver"]);
        assert_eq!(demanded.joined(of(None, &[])), demanded);
        assert_eq!(demanded.joined(of(Some(9999), &["tin"])), demanded);
        assert_eq!(demanded.joined(of(Some(0), &["tin", "gold"])), of(Some(0), &["gold"]));
        assert_eq!(of(None, &[]).joined(of(Some(5), &["tin"])), of(Some(5), &["tin"]));
    }

    #[test]
    fn r4_a1_only_the_browser_that_began_it_and_only_in_time() {
        let bind = |mark, now| pending().bind(mark, now).map(|_| ());
        assert_eq!(bind(Some(BindingMark([7; 16])), START), Ok(()));
        assert_eq!(bind(Some(BindingMark([8; 16])), START), Err(LoginRefusal::Unbound));
        assert_eq!(bind(None, START), Err(LoginRefusal::Unbound));
        let late = START.plus(LOGIN_TIMEOUT);
        assert_eq!(bind(Some(BindingMark([7; 16])), late), Err(LoginRefusal::Expired));
    }

    #[test]
    fn r4_a3_a_login_is_claimed_once() {
        let bound = pending().bind(Some(BindingMark([7; 16])), START).unwrap();
        assert_eq!(bound.claim(false).map(|_| ()), Err(LoginRefusal::AlreadyUsed));
    }

    #[test]
    fn r8_a5_the_issuer_is_compared_before_anything_else() {
        for (query, required, expected) in [
            ("code=c&iss=https://idp", true, Ok(())),
            ("code=c&iss=https://idp", false, Ok(())),
            ("code=c", false, Ok(())),
            ("code=c", true, Err(LoginRefusal::WrongIssuer)),
            ("code=c&iss=", false, Err(LoginRefusal::WrongIssuer)),
            ("code=c&iss=https://idp/", false, Err(LoginRefusal::WrongIssuer)),
            ("code=c&iss=https://IDP", false, Err(LoginRefusal::WrongIssuer)),
            ("code=c&iss=https://evil", false, Err(LoginRefusal::WrongIssuer)),
            ("error=access_denied&iss=https://evil", false, Err(LoginRefusal::WrongIssuer)),
            ("error=access_denied", true, Err(LoginRefusal::WrongIssuer)),
        ] {
            assert_eq!(prove(query, required).map(|_| ()), expected, "{query}");
        }
    }

    #[test]
    fn r7_duplicates_are_refused_and_unknown_parameters_ignored() {
        for query in [
            "code=a&code=b",
            "code=a&code=a",
            "state=a&state=b",
            "iss=a&iss=a",
            "error=a&error=b",
            "code=a&%63ode=b",
        ] {
            assert!(matches!(params(query), Err(LoginRefusal::Duplicate)), "{query}");
        }
        assert!(prove("code=c&session_state=1&session_state=2", false).is_ok());
    }

    #[test]
    fn r10_only_registered_errors_are_repeated() {
        for (query, expected) in [
            ("error=access_denied", LoginRefusal::Denied("access_denied")),
            ("error=%3Cscript%3E", LoginRefusal::Denied("other")),
            ("error=access_denied&code=c", LoginRefusal::NoAnswer),
            ("code=", LoginRefusal::NoAnswer),
            ("", LoginRefusal::NoAnswer),
        ] {
            assert_eq!(prove(query, false).map(|_| ()), Err(expected), "{query}");
        }
    }
}
