//! A code for tokens, and old tokens for new (RFC 6749 sections 4.1.3 and 6, OpenID Connect Core section 3.1.3).
//!
//! I own: the token request and the reading of its answer; the request that revokes (RFC 7009). I may call: `config`, `transport`, `json`, `domain`, `ports`
//! (the error). openidconnect builds the request; its reading of answers takes duplicate members and any token type,
//! and quotes bodies in errors, so the answer is read here. I never put a code, token, secret or verifier into an
//! error, nor the provider's own words.

use crate::config::{ClientAuth, ProviderSettings};
use crate::domain::claim::{ClaimValue, Claims};
use crate::domain::login::ProvenCallback;
use crate::domain::secret::{AccessToken, RawIdToken, RefreshToken};
use crate::domain::session::TokenSet;
use crate::domain::time::Timestamp;
use crate::oidc::json::parse_object;
use crate::oidc::transport::{Answer, Transport};
use crate::ports::ProviderError;
use openidconnect::core::CoreClient;
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IssuerUrl, JsonWebKeySet, PkceCodeVerifier, RedirectUrl, TokenUrl,
};
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use std::cell::Cell;
use std::time::Duration;
use url::{Url, form_urlencoded};

/// The longest `expires_in` that means anything: ten years. Beyond, nobody knows when the token expires.
const LONGEST_LIFE: u64 = 10 * 365 * 24 * 3600;

/// Redeems a code.
///
/// # Errors
/// See [`ProviderError`].
pub(crate) async fn redeem(
    transport: &Transport,
    settings: &ProviderSettings,
    endpoint: &Url,
    (proven, redirect_uri): (&ProvenCallback, &Url),
    now: Timestamp,
) -> Result<TokenSet, ProviderError> {
    let (head, body) = sensitive(prepare(settings, endpoint, proven, redirect_uri)?).into_parts();
    let answer = transport.post(endpoint, head.headers, body).await?;
    of_a_sign_in(read(&answer, now)?)
}

/// Without an ID token nobody has signed in (OpenID Connect Core section 3.1.3.3).
fn of_a_sign_in(issued: Issued) -> Result<TokenSet, ProviderError> {
    let Issued { access, access_expires, refresh, id_token } = issued;
    let id_token = id_token.ok_or_else(|| rejected("it has no `id_token`"))?;
    Ok(TokenSet { access, access_expires, refresh, id_token })
}

/// What a token endpoint has given out.
pub(crate) struct Issued {
    /// `access_token`.
    pub(crate) access: AccessToken,
    /// `expires_in`, counted from now, if it was there and makes sense.
    pub(crate) access_expires: Option<Timestamp>,
    /// `refresh_token`, if there is a new one.
    pub(crate) refresh: Option<RefreshToken>,
    /// `id_token`, not verified yet; a renewal may do without (OpenID Connect Core section 12.2).
    pub(crate) id_token: Option<RawIdToken>,
}

/// Fetches new tokens for a refresh token, for the scopes of before.
///
/// # Errors
/// See [`ProviderError`].
pub(crate) async fn renew(
    transport: &Transport,
    settings: &ProviderSettings,
    endpoint: &Url,
    token: &RefreshToken,
    now: Timestamp,
) -> Result<Issued, ProviderError> {
    let (head, body) = sensitive(prepare_renewal(settings, endpoint, token)?).into_parts();
    let answer = transport.post(endpoint, head.headers, body).await?;
    read(&answer, now)
}

/// Revokes a refresh token. That of an unknown one has worked (RFC 7009 section 2.2).
///
/// # Errors
/// See [`ProviderError`].
pub(crate) async fn revoke(
    transport: &Transport,
    settings: &ProviderSettings,
    endpoint: &Url,
    token: &RefreshToken,
) -> Result<(), ProviderError> {
    let (head, body) = sensitive(prepare_revocation(settings, endpoint, token)?).into_parts();
    let answer = transport.post(endpoint, head.headers, body).await?;
    match answer.status {
        StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
        status => {
            let text = format!("the revocation endpoint answers {}", status.as_u16());
            Err(ProviderError::Rejected(text))
        }
    }
}

fn sensitive(mut request: HttpRequest) -> HttpRequest {
    if let Some(value) = request.headers_mut().get_mut(AUTHORIZATION) {
        value.set_sensitive(true);
    }
    request
}

/// The library has no door to the request itself, so a client is handed in that takes the request and sends nothing.
#[derive(Debug, thiserror::Error)]
#[error("the request was taken")]
struct Taken;

fn client(settings: &ProviderSettings, endpoint: &Url) -> Result<TokenClient, ProviderError> {
    let issuer = IssuerUrl::new(settings.issuer.as_str().to_owned())
        .map_err(|_| ProviderError::Misconfigured("`issuer` is not a URL".into()))?;
    let auth = match settings.client_auth {
        ClientAuth::SecretBasic => AuthType::BasicAuth,
        ClientAuth::SecretPost => AuthType::RequestBody,
    };
    Ok(CoreClient::new(ClientId::new(settings.client_id.clone()), issuer, JsonWebKeySet::default())
        .set_client_secret(ClientSecret::new(settings.client_secret.expose().to_owned()))
        .set_auth_type(auth)
        .set_token_uri(TokenUrl::from_url(endpoint.clone())))
}

/// A client that knows nothing but its token endpoint.
type TokenClient =
    CoreClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointNotSet>;

fn prepare(
    settings: &ProviderSettings,
    endpoint: &Url,
    proven: &ProvenCallback,
    redirect_uri: &Url,
) -> Result<HttpRequest, ProviderError> {
    let client = client(settings, endpoint)?.set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
    // It always fails: that is how the request stays here.
    taken(|take| {
        let _ = client
            .exchange_code(AuthorizationCode::new(proven.code().expose().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(proven.verifier().expose().to_owned()))
            .request(&take);
    })
}

fn prepare_renewal(
    settings: &ProviderSettings,
    endpoint: &Url,
    token: &RefreshToken,
) -> Result<HttpRequest, ProviderError> {
    let client = client(settings, endpoint)?;
    let token = openidconnect::RefreshToken::new(token.expose().to_owned());
    taken(|take| {
        let _ = client.exchange_refresh_token(&token).request(&take);
    })
}

/// The library revokes at https only, not at a provider on this machine; the client proves itself as in a renewal.
fn prepare_revocation(
    settings: &ProviderSettings,
    endpoint: &Url,
    token: &RefreshToken,
) -> Result<HttpRequest, ProviderError> {
    let (head, body) = prepare_renewal(settings, endpoint, token)?.into_parts();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", token.expose()).append_pair("token_type_hint", "refresh_token");
    let proof = |name: &str| matches!(name, "client_id" | "client_secret");
    form.extend_pairs(form_urlencoded::parse(&body).filter(|(name, _)| proof(name)));
    Ok(HttpRequest::from_parts(head, form.finish().into_bytes()))
}

fn taken(
    ask: impl FnOnce(&dyn Fn(HttpRequest) -> Result<HttpResponse, Taken>),
) -> Result<HttpRequest, ProviderError> {
    let taken = Cell::new(None);
    ask(&|request: HttpRequest| {
        taken.set(Some(request));
        Err(Taken)
    });
    taken.take().ok_or_else(|| ProviderError::Misconfigured("no token request can be built".into()))
}

fn read(answer: &Answer, now: Timestamp) -> Result<Issued, ProviderError> {
    let is_ok = answer.status == StatusCode::OK;
    if answer.media_type.is_some() && !answer.is_json() {
        let status = answer.status.as_u16();
        return Err(rejected(&format!("it is not JSON (status {status})")));
    }
    let members = parse_object(&answer.body).map_err(|error| rejected(&error.to_string()))?;
    // Some providers report errors with status 200; tokens beside an error are not looked at (A38).
    match members.get("error") {
        Some(ClaimValue::Text(code)) => return Err(ProviderError::Refused(registered(code).into())),
        Some(_) => return Err(rejected("its `error` is not a string")),
        None if !is_ok => {
            let status = answer.status.as_u16();
            return Err(rejected(&format!("status {status} without an error code")));
        }
        None => {}
    }
    let token_type = text(&members, "token_type")?.ok_or_else(|| rejected("it has no `token_type`"))?;
    if !token_type.eq_ignore_ascii_case("Bearer") {
        return Err(rejected("its `token_type` is not Bearer"));
    }
    let access = text(&members, "access_token")?.ok_or_else(|| rejected("it has no `access_token`"))?;
    let id_token = text(&members, "id_token")?;
    let refresh = text(&members, "refresh_token")?;
    // RFC 6749 appendix A.12 and A.17: anything else could not be sent in a header or would end it early.
    if [Some(access), refresh]
        .into_iter()
        .flatten()
        .any(|token| !token.bytes().all(|b| (0x20..0x7f).contains(&b)))
    {
        return Err(rejected("a token in it has characters that no token has"));
    }
    Ok(Issued {
        access: AccessToken::new(access),
        access_expires: members.get("expires_in").and_then(seconds).map(|life| now.plus(life)),
        refresh: refresh.map(RefreshToken::new),
        id_token: id_token.map(RawIdToken::new),
    })
}

/// A member that is a string; an empty one counts as absent.
fn text<'m>(members: &'m Claims, name: &str) -> Result<Option<&'m str>, ProviderError> {
    match members.get(name) {
        None | Some(ClaimValue::Null) => Ok(None),
        Some(ClaimValue::Text(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(rejected(&format!("its `{name}` is not a string"))),
    }
}

/// `expires_in` is a hint, and missing often enough (R46): what makes no sense counts as missing. ADFS and old Azure
/// endpoints write the number as a string.
fn seconds(value: &ClaimValue) -> Option<Duration> {
    let seconds = match value {
        ClaimValue::Integer(seconds) => u64::try_from(*seconds).ok()?,
        ClaimValue::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        ClaimValue::Float(seconds) if (0.0..=LONGEST_LIFE as f64).contains(seconds) => *seconds as u64,
        _ => return None,
    };
    (seconds <= LONGEST_LIFE).then(|| Duration::from_secs(seconds))
}

/// The error codes of RFC 6749 section 5.2 and of the extensions that a token endpoint may speak. Whatever else it
/// says is not repeated.
fn registered(code: &str) -> &'static str {
    const CODES: [&str; 11] = [
        "invalid_grant",
        "invalid_client",
        "invalid_request",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "use_dpop_nonce",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
    ];
    CODES.into_iter().find(|known| *known == code).unwrap_or("other")
}

fn rejected(what: &str) -> ProviderError {
    ProviderError::Rejected(format!("the token endpoint's answer: {what}"))
}

#[cfg(test)]
mod tests;
