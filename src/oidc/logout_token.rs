//! The rules for logout tokens (R83, OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6).
//!
//! I own: [`judge`]. I may call: `jwt` (verified claims), `id_token` for the rules that both kinds share, `config`,
//! `domain`. I never see a token before its signature held, and never take any other kind of token for a logout.

use crate::config::ProviderSettings;
use crate::domain::claim::{ClaimValue, Claims};
use crate::domain::identity::Subject;
use crate::domain::logout::{Departed, LogoutNotice};
use crate::domain::time::Timestamp;
use crate::oidc::id_token::{Refusal, date, judge_parties, judge_times, text};
use crate::oidc::jwt::VerifiedClaims;
use std::time::Duration;

/// What makes a token a logout token: the member of `events` with this name.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The oldest `iat`. Tokens are made to be delivered at once; the section on security asks for two minutes of `exp`.
/// This leaves room for a provider that tries again.
const MAX_AGE: Duration = Duration::from_secs(300);

/// The longest `jti` and `sid`, in bytes.
const MAX_NAME: usize = 512;

/// Judges a logout token.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn judge(
    token: &VerifiedClaims,
    settings: &ProviderSettings,
    now: Timestamp,
) -> Result<LogoutNotice, Refusal> {
    let claims = token.claims();
    if !token.may_be_logout_token(settings.strict_typ) || !is_logout(claims) {
        return Err(Refusal::OtherKind);
    }
    // An ID token has one, a logout token must not (section 2.4): whatever is in it.
    if claims.contains_key("nonce") {
        return Err(Refusal::OtherKind);
    }
    judge_parties(claims, &settings.issuer, &settings.client_id)?;
    let issued = date(claims, "iat")?.ok_or(Refusal::Missing("iat"))?;
    judge_times(claims, settings.clock_skew, now)?;
    let good_until = issued.plus(MAX_AGE).plus(settings.clock_skew);
    if good_until < now {
        return Err(Refusal::Stale);
    }
    let id = name(claims, "jti")?.ok_or(Refusal::Missing("jti"))?.to_owned();
    let subject = text(claims, "sub")?;
    let subject = subject.map(|text| Subject::parse(text).ok_or(Refusal::Form("sub"))).transpose()?;
    let departed = match (subject, name(claims, "sid")?.map(str::to_owned)) {
        (Some(subject), Some(sid)) => Departed::PersonInProviderSession(subject, sid),
        (Some(subject), None) => Departed::Person(subject),
        (None, Some(sid)) => Departed::ProviderSession(sid),
        (None, None) => return Err(Refusal::Missing("sub")),
    };
    Ok(LogoutNotice { issuer: settings.issuer.clone(), departed, id, good_until })
}

/// `events` is an object whose member [`EVENT`] is an object.
fn is_logout(claims: &Claims) -> bool {
    let Some(ClaimValue::Map(events)) = claims.get("events") else { return false };
    matches!(events.get(EVENT), Some(ClaimValue::Map(_)))
}

/// A text that names something: neither empty nor endless.
fn name<'c>(claims: &'c Claims, claim: &'static str) -> Result<Option<&'c str>, Refusal> {
    match text(claims, claim)? {
        Some(name) if name.is_empty() || name.len() > MAX_NAME => Err(Refusal::Form(claim)),
        name => Ok(name),
    }
}
