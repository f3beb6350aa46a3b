//! The rules for ID tokens (R13, OpenID Connect Core sections 2 and 3.1.3.7).
//!
//! I own: [`judge`], [`judge_renewed`] and, for other signed answers of the provider, [`judge_statement`], and the rules that logout
//! tokens share (`logout_token`). I may call: `jwt` (verified claims), `config`, `domain`. I never wait, and never see a token before its signature held.

use crate::config::ProviderSettings;
use crate::domain::algorithm::SigningAlgorithm;
use crate::domain::claim::{ClaimValue, Claims};
use crate::domain::identity::{Issuer, Subject};
use crate::domain::login::{LOGIN_TIMEOUT, Requested};
use crate::domain::secret::{AccessToken, Nonce};
use crate::domain::time::Timestamp;
use crate::oidc::jwt::VerifiedClaims;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

/// The oldest `iat` at a login. The token is made when the login is, so it cannot be older than a login may last.
pub(crate) const MAX_AGE_AT_LOGIN: Duration = LOGIN_TIMEOUT;

/// The end of the year 9999, in seconds: a NumericDate beyond it is a mistake or an attack.
const LAST_SECOND: u64 = 253_402_300_799;

/// Why a signed token is not accepted. Claims are named, never quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// `typ` or `events` says that this is another kind of token (R17).
    #[error("it is another kind of token")]
    OtherKind,
    /// A claim that must be there is not.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim has a type or form that it cannot have (R15).
    #[error("the claim `{0}` has the wrong form")]
    Form(&'static str),
    /// `iss` is not the configured issuer.
    #[error("it comes from another issuer")]
    Issuer,
    /// `aud` does not have our client id.
    #[error("it is for another client")]
    Audience,
    /// `aud` has somebody else besides us.
    #[error("it is also for a client that is not trusted")]
    SharedAudience,
    /// `azp` is somebody else, or is missing where `aud` has several values.
    #[error("it was issued to another client")]
    AuthorizedParty,
    /// `exp` is over.
    #[error("it has expired")]
    Expired,
    /// `iat`, `nbf` or `auth_time` lies in the future.
    #[error("the claim `{0}` lies in the future")]
    Future(&'static str),
    /// `iat` is older than [`MAX_AGE_AT_LOGIN`], or than a logout token may be, or than that of the ID token before.
    #[error("it was issued too long ago")]
    Stale,
    /// A claim of a renewed ID token is not that of the sign-in (R20).
    #[error("the claim `{0}` is not that of the sign-in")]
    Changed(&'static str),
    /// `nonce` belongs to another login.
    #[error("it belongs to another login")]
    Nonce,
    /// `acr` is none of those that were asked for.
    #[error("the authentication was not of the kind that was asked for")]
    AuthenticationClass,
    /// The authentication is older than `max_age` allows.
    #[error("the authentication is older than was asked for")]
    AuthenticationAge,
    /// `at_hash` is not that of the access token.
    #[error("it does not belong to the access token that came with it")]
    AccessTokenHash,
}

/// What an ID token is held against.
pub(crate) struct Expected<'e> {
    /// The configured issuer.
    pub(crate) issuer: &'e Issuer,
    /// Our client id.
    pub(crate) client_id: &'e str,
    /// The login's nonce.
    pub(crate) nonce: &'e Nonce,
    /// What the login asked for.
    pub(crate) requested: &'e Requested,
    /// The access token that came along.
    pub(crate) access_token: &'e AccessToken,
    /// The tolerated difference of clocks.
    pub(crate) skew: Duration,
}

/// An ID token that passed every rule.
#[derive(Debug)]
pub(crate) struct IdToken {
    /// `sub`.
    pub(crate) subject: Subject,
    /// `auth_time`.
    pub(crate) authenticated: Option<Timestamp>,
    /// `acr`.
    pub(crate) acr: Option<String>,
    /// `sid`.
    pub(crate) provider_sid: Option<String>,
    /// All claims.
    pub(crate) claims: Claims,
}

/// Judges an ID token, in the order of R13.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn judge(
    token: VerifiedClaims,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<IdToken, Refusal> {
    let claims = token.claims();
    // `events` is what makes a logout token (Back-Channel Logout section 2.4), typed or not.
    if !token.is_plain_jwt() || claims.contains_key("events") {
        return Err(Refusal::OtherKind);
    }
    judge_parties(claims, expected.issuer, expected.client_id)?;
    date(claims, "exp")?.ok_or(Refusal::Missing("exp"))?;
    let issued = date(claims, "iat")?.ok_or(Refusal::Missing("iat"))?;
    judge_times(claims, expected.skew, now)?;
    if issued.plus(MAX_AGE_AT_LOGIN).plus(expected.skew) < now {
        return Err(Refusal::Stale);
    }
    let nonce = text(claims, "nonce")?.ok_or(Refusal::Missing("nonce"))?;
    if !expected.nonce.matches(nonce) {
        return Err(Refusal::Nonce);
    }
    let acr = text(claims, "acr")?;
    let wanted = &expected.requested.acr_values;
    if !wanted.is_empty() {
        let reached = acr.ok_or(Refusal::Missing("acr"))?;
        if !wanted.iter().any(|value| value == reached) {
            return Err(Refusal::AuthenticationClass);
        }
    }
    let authenticated = judge_authentication(claims, expected, now)?;
    let subject = text(claims, "sub")?.ok_or(Refusal::Missing("sub"))?;
    let subject = Subject::parse(subject).ok_or(Refusal::Form("sub"))?;
    judge_access_token(&token, expected.access_token)?;
    let acr = acr.map(str::to_owned);
    let provider_sid = text(claims, "sid")?.filter(|sid| !sid.is_empty()).map(str::to_owned);
    Ok(IdToken { subject, authenticated, acr, provider_sid, claims: token.into_claims() })
}

/// What a renewed ID token is held against.
pub(crate) struct Original<'o> {
    /// The configured issuer, which is that of the sign-in.
    pub(crate) issuer: &'o Issuer,
    /// Our client id.
    pub(crate) client_id: &'o str,
    /// Who signed in.
    pub(crate) subject: &'o Subject,
    /// `auth_time` at the sign-in.
    pub(crate) authenticated: Option<Timestamp>,
    /// The claims of the ID token of before.
    pub(crate) kept: &'o Claims,
    /// The access token that came along.
    pub(crate) access_token: &'o AccessToken,
    /// The tolerated difference of clocks.
    pub(crate) skew: Duration,
}

/// Judges an ID token that came with a renewal (R20, Core section 12.2): one of the same issuer about the same person and
/// the same sign-in, and not older than the one of before.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn judge_renewed(
    token: &VerifiedClaims,
    original: &Original<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let claims = token.claims();
    if !token.is_plain_jwt() || claims.contains_key("events") {
        return Err(Refusal::OtherKind);
    }
    judge_parties(claims, original.issuer, original.client_id)?;
    date(claims, "exp")?.ok_or(Refusal::Missing("exp"))?;
    let issued = date(claims, "iat")?.ok_or(Refusal::Missing("iat"))?;
    judge_times(claims, original.skew, now)?;
    if date(original.kept, "iat")?.is_some_and(|before| issued < before) {
        return Err(Refusal::Stale);
    }
    if text(claims, "sub")?.ok_or(Refusal::Missing("sub"))? != original.subject.as_str() {
        return Err(Refusal::Changed("sub"));
    }
    if text(claims, "azp")? != text(original.kept, "azp")? {
        return Err(Refusal::Changed("azp"));
    }
    let authenticated = date(claims, "auth_time")?;
    if original.authenticated.is_some()
        && authenticated.is_some_and(|moment| Some(moment) != original.authenticated)
    {
        return Err(Refusal::Changed("auth_time"));
    }
    let nonce = text(claims, "nonce")?;
    if nonce.is_some() && nonce != text(original.kept, "nonce")? {
        return Err(Refusal::Nonce);
    }
    judge_access_token(token, original.access_token)
}

fn judge_access_token(token: &VerifiedClaims, access_token: &AccessToken) -> Result<(), Refusal> {
    match text(token.claims(), "at_hash")? {
        Some(hash) if hash != left_half_hash(token.algorithm(), access_token) => {
            Err(Refusal::AccessTokenHash)
        }
        Some(_) | None => Ok(()),
    }
}

/// Judges a signed answer of the provider that is no ID token, such as UserInfo (Core 5.3.2): kind, issuer, audience,
/// and whichever times it has.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn judge_statement(
    token: &VerifiedClaims,
    settings: &ProviderSettings,
    now: Timestamp,
) -> Result<(), Refusal> {
    if !token.is_plain_jwt() || token.claims().contains_key("events") {
        return Err(Refusal::OtherKind);
    }
    judge_parties(token.claims(), &settings.issuer, &settings.client_id)?;
    judge_times(token.claims(), settings.clock_skew, now)
}

/// Who says it, and to whom: `iss`, `aud`, `azp`.
pub(super) fn judge_parties(claims: &Claims, issuer: &Issuer, client_id: &str) -> Result<(), Refusal> {
    if text(claims, "iss")?.ok_or(Refusal::Missing("iss"))? != issuer.as_str() {
        return Err(Refusal::Issuer);
    }
    let audience = match claims.get("aud").ok_or(Refusal::Missing("aud"))? {
        ClaimValue::Text(one) => vec![one.as_str()],
        ClaimValue::List(several) => several
            .iter()
            .map(|one| one.as_text().ok_or(Refusal::Form("aud")))
            .collect::<Result<Vec<_>, _>>()?,
        _ => return Err(Refusal::Form("aud")),
    };
    if !audience.contains(&client_id) {
        return Err(Refusal::Audience);
    }
    // Whoever else may use the token could hand it to us; no audience besides ours is trusted.
    if audience.iter().any(|one| *one != client_id) {
        return Err(Refusal::SharedAudience);
    }
    match text(claims, "azp")? {
        Some(party) if party == client_id => Ok(()),
        None if audience.len() == 1 => Ok(()),
        Some(_) | None => Err(Refusal::AuthorizedParty),
    }
}

/// `exp`, `iat` and `nbf`, each if it is there.
pub(super) fn judge_times(claims: &Claims, skew: Duration, now: Timestamp) -> Result<(), Refusal> {
    if date(claims, "exp")?.is_some_and(|expires| expires.plus(skew) <= now) {
        return Err(Refusal::Expired);
    }
    for name in ["iat", "nbf"] {
        if date(claims, name)?.is_some_and(|moment| moment > now.plus(skew)) {
            return Err(Refusal::Future(name));
        }
    }
    Ok(())
}

fn judge_authentication(
    claims: &Claims,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    let authenticated = date(claims, "auth_time")?;
    // A moment to come would count as fresh for ever.
    if authenticated.is_some_and(|moment| moment > now.plus(expected.skew)) {
        return Err(Refusal::Future("auth_time"));
    }
    if let Some(max_age) = expected.requested.max_age {
        let moment = authenticated.ok_or(Refusal::Missing("auth_time"))?;
        if now.since(moment) > Duration::from_secs(max_age.into()) + expected.skew {
            return Err(Refusal::AuthenticationAge);
        }
    }
    Ok(authenticated)
}

pub(super) fn text<'c>(claims: &'c Claims, name: &'static str) -> Result<Option<&'c str>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(ClaimValue::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::Form(name)),
    }
}

/// A NumericDate (RFC 7519 section 2): whole seconds, or a fraction that is rounded down.
pub(super) fn date(claims: &Claims, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let seconds = match claims.get(name) {
        None => return Ok(None),
        Some(ClaimValue::Integer(seconds)) => u64::try_from(*seconds).ok(),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        Some(ClaimValue::Float(seconds)) => {
            (0.0..LAST_SECOND as f64).contains(seconds).then_some(*seconds as u64)
        }
        Some(_) => None,
    };
    let seconds = seconds.filter(|seconds| *seconds <= LAST_SECOND).ok_or(Refusal::Form(name))?;
    Ok(Some(Timestamp::from_unix_seconds(seconds)))
}

/// `at_hash`: the left half of the access token's hash, by the hash of the ID token's algorithm (Core 3.1.3.6).
fn left_half_hash(algorithm: SigningAlgorithm, token: &AccessToken) -> String {
    use SigningAlgorithm::{
        EdDsa, Es256, Es384, Es512, Hs256, Hs384, Hs512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512,
    };
    let hash = match algorithm {
        Rs256 | Ps256 | Es256 | Hs256 => &digest::SHA256,
        Rs384 | Ps384 | Es384 | Hs384 => &digest::SHA384,
        // Ed25519 hashes with SHA-512 (RFC 8032 section 5.1).
        Rs512 | Ps512 | Es512 | Hs512 | EdDsa => &digest::SHA512,
    };
    let digest = digest::digest(hash, token.expose().as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
}

#[cfg(test)]
mod tests;
