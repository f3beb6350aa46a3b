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
mod tests {
    use super::*;
    use crate::oidc::forge::{proven, settings};
    use base64::Engine as _;

    fn answer(status: u16, media_type: &str, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            media_type: (!media_type.is_empty()).then(|| media_type.to_owned()),
            max_age: None,
            body: body.as_bytes().to_vec(),
        }
    }

    fn read_json(body: &str) -> Result<Issued, ProviderError> {
        read(&answer(200, "application/json", body), Timestamp::from_unix_seconds(1000))
    }

    fn pairs(request: &HttpRequest) -> std::collections::BTreeMap<String, String> {
        url::form_urlencoded::parse(request.body()).into_owned().collect()
    }

    fn request(auth: ClientAuth) -> HttpRequest {
        let mut settings = settings("https://idp.example.com");
        settings.client_id = "key card".into();
        settings.client_secret = crate::domain::secret::ClientSecret::new("s:e/c+r&t");
        settings.client_auth = auth;
        let endpoint = Url::parse("https://idp.example.com/token?tenant=a").unwrap();
        let back = Url::parse("https://apps.example.com/bff/callback").unwrap();
        prepare(&settings, &endpoint, &proven("code&x", "nonce"), &back).unwrap()
    }

    #[test]
    fn r25_client_secret_basic_encodes_both_parts() {
        let request = request(ClientAuth::SecretBasic);
        let expected = base64::engine::general_purpose::STANDARD.encode("key+card:s%3Ae%2Fc%2Br%26t");
        assert_eq!(request.headers()[AUTHORIZATION].to_str().unwrap(), format!("Basic {expected}"));
        assert!(!pairs(&request).contains_key("client_secret"));
    }

    #[test]
    fn r3_r25_the_request_carries_code_verifier_and_redirect_uri() {
        let request = request(ClientAuth::SecretPost);
        assert!(!request.headers().contains_key(AUTHORIZATION));
        assert_eq!(request.method(), "POST");
        let pairs = pairs(&request);
        for (name, value) in [
            ("grant_type", "authorization_code"),
            ("code", "code&x"),
            ("code_verifier", &"v".repeat(43)),
            ("redirect_uri", "https://apps.example.com/bff/callback"),
            ("client_id", "key card"),
            ("client_secret", "s:e/c+r&t"),
        ] {
            assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert_eq!(pairs.len(), 6);
    }

    #[test]
    fn r48_the_id_token_stays_as_it_was_issued() {
        let tokens = read_json(
            r#"{"access_token":"a","token_type":"bEARER","id_token":"e30.e30.e30","refresh_token":"r"}"#,
        )
        .unwrap();
        assert_eq!(tokens.id_token.unwrap().expose(), "e30.e30.e30");
        assert!(tokens.access_expires.is_none());
    }

    #[test]
    fn r32_a38_answers_that_sign_nobody_in() {
        for (name, body) in [
            ("token_type missing", r#"{"access_token":"secret","id_token":"secret"}"#),
            ("DPoP", r#"{"access_token":"secret","id_token":"secret","token_type":"DPoP"}"#),
            ("mac", r#"{"access_token":"secret","id_token":"secret","token_type":"mac"}"#),
            ("no access_token", r#"{"id_token":"secret","token_type":"Bearer"}"#),
            ("id_token is an object", r#"{"access_token":"secret","id_token":{},"token_type":"Bearer"}"#),
            (
                "two access tokens",
                r#"{"access_token":"secret","access_token":"b","id_token":"c","token_type":"Bearer"}"#,
            ),
            ("line break", r#"{"access_token":"secret\r\nX: y","id_token":"c","token_type":"Bearer"}"#),
            ("error of another type", r#"{"error":7,"access_token":"secret"}"#),
            ("HTML", "<html>secret</html>"),
            ("nothing", ""),
        ] {
            match read_json(body) {
                Err(ProviderError::Rejected(text)) => assert!(!text.contains("secret"), "{name}: {text}"),
                Err(other) => panic!("{name}: {other}"),
                Ok(_) => panic!("{name} was accepted"),
            }
        }
        assert!(matches!(
            read(&answer(200, "text/html", "{}"), Timestamp::from_unix_seconds(0)),
            Err(ProviderError::Rejected(_))
        ));
        assert!(matches!(
            read(&answer(404, "", "{}"), Timestamp::from_unix_seconds(0)),
            Err(ProviderError::Rejected(_))
        ));
    }

    #[test]
    fn r32_a_sign_in_brings_an_id_token_and_a_renewal_may_do_without() {
        for body in [
            r#"{"access_token":"secret","token_type":"Bearer"}"#,
            r#"{"access_token":"secret","id_token":"","token_type":"Bearer"}"#,
        ] {
            let issued = read_json(body).unwrap();
            assert!(issued.id_token.is_none() && issued.refresh.is_none());
            assert!(matches!(of_a_sign_in(issued), Err(ProviderError::Rejected(_))), "{body}");
        }
    }

    fn forms(auth: ClientAuth) -> [(HttpRequest, std::collections::BTreeMap<String, String>); 2] {
        let mut settings = settings("https://idp.example.com");
        settings.client_secret = crate::domain::secret::ClientSecret::new("s:e/c+r&t");
        settings.client_auth = auth;
        let endpoint = Url::parse("https://idp.example.com/x").unwrap();
        let token = RefreshToken::new("re&fresh");
        [
            prepare_renewal(&settings, &endpoint, &token).unwrap(),
            prepare_revocation(&settings, &endpoint, &token).unwrap(),
        ]
        .map(|request| {
            let pairs = pairs(&request);
            (request, pairs)
        })
    }

    #[test]
    fn r25_r36_renewals_and_revocations_carry_the_token_and_the_proof_of_the_client() {
        let names = |pairs: &std::collections::BTreeMap<String, String>| {
            pairs.keys().cloned().collect::<Vec<_>>().join(" ")
        };
        let [(renewal, renewed), (revocation, revoked)] = forms(ClientAuth::SecretBasic);
        assert_eq!(names(&renewed), "grant_type refresh_token");
        assert_eq!(names(&revoked), "token token_type_hint");
        assert_eq!(
            (renewed["grant_type"].as_str(), renewed["refresh_token"].as_str()),
            ("refresh_token", "re&fresh")
        );
        assert_eq!(
            (revoked["token"].as_str(), revoked["token_type_hint"].as_str()),
            ("re&fresh", "refresh_token")
        );
        assert!([renewal, revocation].iter().all(|request| request.headers().contains_key(AUTHORIZATION)));
        let [(_, renewed), (_, revoked)] = forms(ClientAuth::SecretPost);
        assert_eq!(names(&renewed), "client_id client_secret grant_type refresh_token");
        assert_eq!(names(&revoked), "client_id client_secret token token_type_hint");
        assert_eq!(revoked["client_secret"], "s:e/c+r&t");
    }

    #[test]
    fn r10_refusals_keep_only_the_registered_code() {
        for (status, body, expected) in [
            (400, r#"{"error":"invalid_grant","error_description":"<script>"}"#, "invalid_grant"),
            (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
            (400, r#"{"error":"<script>"}"#, "other"),
            (200, r#"{"error":"invalid_grant","access_token":"a"}"#, "invalid_grant"),
        ] {
            match read(&answer(status, "application/json", body), Timestamp::from_unix_seconds(0)) {
                Err(ProviderError::Refused(text)) => assert_eq!(text, expected),
                _ => panic!("{body}"),
            }
        }
    }

    #[test]
    fn a38_expires_in_never_breaks_a_login() {
        for (value, expected) in [
            ("300", Some(1300)),
            ("\"300\"", Some(1300)),
            ("300.9", Some(1300)),
            ("0", Some(1000)),
            ("-1", None),
            ("\"-1\"", None),
            ("\"\"", None),
            ("9223372036854775807", None),
            ("\"99999999999999999999999\"", None),
            ("null", None),
            ("[]", None),
        ] {
            let body = format!(
                r#"{{"access_token":"a","token_type":"Bearer","id_token":"i","expires_in":{value}}}"#
            );
            let expires = read_json(&body).unwrap().access_expires.map(Timestamp::unix_seconds);
            assert_eq!(expires, expected, "{value}");
        }
    }
}
