//! What a provider says about itself, and how much of it is believed (OpenID Connect Discovery 1.0).
//!
//! I own: [`Metadata`]. I may call: `config`, `transport`, `json`, `cached`, `domain`, `ports` (the error). I never
//! take an endpoint at a host that neither the issuer nor the configuration names: secrets, codes and tokens go there
//! (R21, A8).

use crate::config::ProviderSettings;
use crate::domain::claim::{ClaimValue, Claims};
use crate::domain::identity::Issuer;
use crate::oidc::cached::Fetched;
use crate::oidc::json::parse_object;
use crate::oidc::transport::{Transport, is_loopback, may_be_called};
use crate::ports::ProviderError;
use reqwest::StatusCode;
use std::time::Duration;
use url::Url;

/// How long metadata are kept.
pub(crate) const KEEP: Duration = Duration::from_secs(3600);

/// The part of a provider's metadata that is used, every URL checked.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// `authorization_endpoint`.
    pub(crate) authorization: Url,
    /// `token_endpoint`.
    pub(crate) token: Url,
    /// `jwks_uri`; absent only where every allowed algorithm is symmetric.
    pub(crate) keys: Option<Url>,
    /// `userinfo_endpoint`; present where the configuration asks for UserInfo, and only there.
    pub(crate) userinfo: Option<Url>,
    /// `end_session_endpoint`, if there is one.
    pub(crate) end_session: Option<Url>,
    /// `revocation_endpoint` (RFC 8414 section 2), if there is one that may be called: nothing depends on it.
    pub(crate) revocation: Option<Url>,
    /// `authorization_response_iss_parameter_supported` (RFC 9207 section 3).
    pub(crate) sends_issuer: bool,
}

/// Checks the form of a configured issuer.
///
/// # Errors
/// [`ProviderError::Misconfigured`] unless it is https, or http on this machine, without query, fragment or user.
pub(crate) fn parse_issuer(issuer: &Issuer) -> Result<Url, ProviderError> {
    let url = Url::parse(issuer.as_str()).ok().filter(|url| {
        may_be_called(url) && is_clean(url) && url.query().is_none() && url.host_str().is_some()
    });
    url.ok_or_else(|| {
        let text = format!(
            "`issuer` {:?} must be an https URL (http only on loopback) without user, query and fragment",
            issuer.as_str()
        );
        ProviderError::Misconfigured(text)
    })
}

/// Fetches and checks the metadata.
///
/// # Errors
/// [`ProviderError::Unavailable`] or [`ProviderError::Misconfigured`].
pub(crate) async fn discover(
    transport: &Transport,
    settings: &ProviderSettings,
) -> Result<Fetched<Metadata>, ProviderError> {
    let url = metadata_url(&settings.issuer)?;
    let answer = transport.get_document(&url).await?;
    if answer.status != StatusCode::OK {
        let text = format!("{url} answers {}: is `issuer` right?", answer.status.as_u16());
        return Err(ProviderError::Misconfigured(text));
    }
    if !answer.is_json() {
        return Err(ProviderError::Misconfigured(format!("{url} does not answer with JSON")));
    }
    let document = parse_object(&answer.body)
        .map_err(|error| ProviderError::Misconfigured(format!("the document at {url}: {error}")))?;
    Ok(Fetched { document: Metadata::read(&document, settings)?, keep: KEEP })
}

/// Whether both settings lead to the same metadata and keys, fetched on the same trust: all that [`discover`] and the
/// transport read of them.
pub(crate) fn would_be_the_same(one: &ProviderSettings, other: &ProviderSettings) -> bool {
    one.issuer == other.issuer
        && one.endpoint_hosts == other.endpoint_hosts
        && one.algorithms == other.algorithms
        && one.userinfo == other.userinfo
        && one.ca_pem == other.ca_pem
        && one.http_proxy == other.http_proxy
}

fn metadata_url(issuer: &Issuer) -> Result<Url, ProviderError> {
    let mut url = parse_issuer(issuer)?;
    let path = format!("{}/.well-known/openid-configuration", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

impl Metadata {
    fn read(document: &Claims, settings: &ProviderSettings) -> Result<Self, ProviderError> {
        let stated = text(document, "issuer")?.unwrap_or_default();
        if stated != settings.issuer.as_str() {
            let stated = short(stated);
            let text = format!(
                "they are for the issuer {stated:?}, and `issuer` is {:?}; both must be the same to the letter",
                settings.issuer.as_str()
            );
            return Err(ProviderError::Misconfigured(text));
        }
        let issuer = parse_issuer(&settings.issuer)?;
        let optional = |name| -> Result<Option<Url>, ProviderError> {
            let stated = text(document, name)?;
            stated.map(|stated| endpoint(name, stated, &issuer, &settings.endpoint_hosts)).transpose()
        };
        let required = |name| optional(name)?.ok_or_else(|| misconfigured(name, "is missing"));
        let needs_keys = !settings.algorithms.iter().all(|algorithm| algorithm.is_symmetric());
        let sends_issuer = match document.get("authorization_response_iss_parameter_supported") {
            None => false,
            Some(ClaimValue::Bool(sends)) => *sends,
            Some(_) => {
                let name = "authorization_response_iss_parameter_supported";
                return Err(misconfigured(name, "is neither true nor false"));
            }
        };
        Ok(Self {
            authorization: required("authorization_endpoint")?,
            token: required("token_endpoint")?,
            keys: if needs_keys { Some(required("jwks_uri")?) } else { None },
            userinfo: if settings.userinfo { Some(required("userinfo_endpoint")?) } else { None },
            end_session: optional("end_session_endpoint")?,
            revocation: optional("revocation_endpoint").ok().flatten(),
            sends_issuer,
        })
    }
}

/// An endpoint is believed at the issuer's host, or at one that the configuration names.
fn endpoint(
    name: &'static str,
    stated: &str,
    issuer: &Url,
    further_hosts: &[String],
) -> Result<Url, ProviderError> {
    let url =
        Url::parse(stated).ok().filter(is_clean).ok_or_else(|| misconfigured(name, "is no plain URL"))?;
    let plain = url.scheme() == "http" && issuer.scheme() == "http" && is_loopback(&url);
    if url.scheme() != "https" && !plain {
        return Err(misconfigured(name, "is not https"));
    }
    let host = url.host_str().ok_or_else(|| misconfigured(name, "has no host"))?;
    let own = issuer.host_str() == Some(host);
    if !own && !further_hosts.iter().any(|further| further.eq_ignore_ascii_case(host)) {
        let host = short(host);
        let text = format!(
            "`{name}` is at the host {host:?}, which is not the issuer's; if that is right, set `endpoint_hosts = [{host:?}]`"
        );
        return Err(ProviderError::Misconfigured(text));
    }
    Ok(url)
}

fn is_clean(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

fn text<'d>(document: &'d Claims, name: &'static str) -> Result<Option<&'d str>, ProviderError> {
    match document.get(name) {
        None | Some(ClaimValue::Null) => Ok(None),
        Some(ClaimValue::Text(text)) => Ok(Some(text)),
        Some(_) => Err(misconfigured(name, "is not a string")),
    }
}

/// What a stranger wrote, for a message: no longer than a host name may be.
fn short(text: &str) -> String {
    text.chars().take(253).collect()
}

fn misconfigured(name: &str, what: &str) -> ProviderError {
    ProviderError::Misconfigured(format!("`{name}` {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::algorithm::SigningAlgorithm;
    use crate::oidc::forge::settings;

    fn read(document: &str, change: impl FnOnce(&mut ProviderSettings)) -> Result<Metadata, String> {
        let mut settings = settings("https://idp.example.com/realms/corp");
        change(&mut settings);
        let document = parse_object(document.as_bytes()).unwrap();
        Metadata::read(&document, &settings).map_err(|error| error.to_string())
    }

    fn document(name: &str, value: &str) -> String {
        let mut members = std::collections::BTreeMap::from([
            ("issuer", "\"https://idp.example.com/realms/corp\"".to_owned()),
            ("authorization_endpoint", "\"https://idp.example.com/auth?p=x\"".to_owned()),
            ("token_endpoint", "\"https://idp.example.com:8443/token\"".to_owned()),
            ("jwks_uri", "\"https://idp.example.com/keys\"".to_owned()),
            ("userinfo_endpoint", "\"https://idp.example.com/userinfo\"".to_owned()),
            ("end_session_endpoint", "\"https://idp.example.com/logout\"".to_owned()),
        ]);
        members.insert(name, value.to_owned());
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }

    #[test]
    fn r21_the_document_is_at_the_issuers_path() {
        for (issuer, expected) in [
            ("https://idp.example.com", "https://idp.example.com/.well-known/openid-configuration"),
            ("https://idp.example.com/", "https://idp.example.com/.well-known/openid-configuration"),
            ("https://idp.example.com/a/b", "https://idp.example.com/a/b/.well-known/openid-configuration"),
            ("https://idp.example.com/a/", "https://idp.example.com/a/.well-known/openid-configuration"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/.well-known/openid-configuration"),
        ] {
            assert_eq!(metadata_url(&Issuer::new(issuer)).unwrap().as_str(), expected);
        }
        for bad in
            ["http://idp.example.com", "https://u@idp", "https://idp?x", "https://idp#x", "idp", "file:///x"]
        {
            assert!(metadata_url(&Issuer::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn r21_the_issuer_is_identical_to_the_letter() {
        for wrong in [
            "\"https://idp.example.com/realms/corp/\"",
            "\"https://idp.example.com/realms/Corp\"",
            "\"https://IDP.example.com/realms/corp\"",
            "\"\"",
            "null",
            "[\"https://idp.example.com/realms/corp\"]",
        ] {
            assert!(read(&document("issuer", wrong), |_| {}).is_err(), "{wrong}");
        }
        assert!(read(&document("x", "1"), |_| {}).is_ok());
    }

    #[test]
    fn a8_endpoints_are_https_at_known_hosts() {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"] {
            for wrong in [
                "\"https://evil.example.com/x\"",
                "\"https://sub.idp.example.com/x\"",
                "\"https://idp.example.com.evil.com/x\"",
                "\"http://idp.example.com/x\"",
                "\"http://127.0.0.1/x\"",
                "\"http://169.254.169.254/x\"",
                "\"file:///etc/passwd\"",
                "\"https://idp.example.com@evil.com/x\"",
                "\"https://u:p@idp.example.com/x\"",
                "\"https://idp.example.com/x#y\"",
                "\"/token\"",
                "\"\"",
                "7",
            ] {
                assert!(read(&document(name, wrong), |_| {}).is_err(), "{name}: {wrong}");
            }
        }
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert!(read(&document(name, "null"), |_| {}).is_err(), "{name}");
        }
    }

    #[test]
    fn a8_the_message_names_endpoint_host_and_remedy() {
        let foreign = document("token_endpoint", "\"https://oauth2.example.net/token\"");
        let error = read(&foreign, |_| {}).unwrap_err();
        assert!(error.contains("`token_endpoint`"), "{error}");
        assert!(error.contains("`endpoint_hosts = [\"oauth2.example.net\"]`"), "{error}");
        let allow = |settings: &mut ProviderSettings| {
            settings.endpoint_hosts = vec!["OAuth2.example.net".into()];
        };
        assert_eq!(read(&foreign, allow).unwrap().token.host_str(), Some("oauth2.example.net"));
    }

    #[test]
    fn what_is_not_used_need_not_be_right() {
        let foreign = document("userinfo_endpoint", "\"https://evil.example.com/\"");
        assert!(read(&foreign, |settings| settings.userinfo = false).unwrap().userinfo.is_none());
        assert!(read(&foreign, |settings| settings.userinfo = true).is_err());
        let shared = |settings: &mut ProviderSettings| settings.algorithms = vec![SigningAlgorithm::Hs256];
        assert!(read(&document("jwks_uri", "null"), shared).unwrap().keys.is_none());
        assert!(read(&document("end_session_endpoint", "null"), |_| {}).unwrap().end_session.is_none());
    }

    #[test]
    fn r8_the_promise_of_iss_is_read() {
        let name = "authorization_response_iss_parameter_supported";
        assert!(read(&document(name, "true"), |_| {}).unwrap().sends_issuer);
        assert!(!read(&document(name, "false"), |_| {}).unwrap().sends_issuer);
        assert!(!read(&document("x", "1"), |_| {}).unwrap().sends_issuer);
        assert!(read(&document(name, "\"true\""), |_| {}).is_err());
    }

    #[test]
    fn a7_metadata_without_s256_change_nothing() {
        assert!(read(&document("code_challenge_methods_supported", "[\"plain\"]"), |_| {}).is_ok());
    }
}
