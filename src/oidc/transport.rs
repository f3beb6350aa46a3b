//! The line to one identity provider.
//!
//! I own: [`Transport`], and reqwest. I may call: `config` (how to reach the provider), `domain`, `ports` (the error).
//! I never follow a redirect, retry, read the environment for a proxy, or take more of a body than I was told to; and
//! I never speak plain http to anything but this machine.

use crate::config::ProviderSettings;
use crate::domain::secret::AccessToken;
use crate::ports::ProviderError;
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, Proxy, StatusCode, redirect, retry};
use std::time::Duration;
use url::{Host, Url};

/// The largest metadata document or key set, in bytes (A18).
pub(crate) const DOCUMENT_CAP: usize = 1024 * 1024;

/// The largest answer of the token endpoint and of UserInfo, in bytes (A15).
pub(crate) const ANSWER_CAP: usize = 256 * 1024;

/// A whole answer of the provider: any status but 5xx and 429, which are [`ProviderError::Unavailable`].
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The media type in lower case, without parameters.
    pub(crate) media_type: Option<String>,
    /// `Cache-Control: max-age`.
    pub(crate) max_age: Option<Duration>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Whether the body calls itself JSON: `application/json`, or a type with the suffix `+json` (RFC 6839).
    pub(crate) fn is_json(&self) -> bool {
        self.media_type.as_deref().is_some_and(|media| {
            media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
        })
    }
}

/// The HTTP client of one provider.
pub(crate) struct Transport {
    client: Client,
}

impl Transport {
    /// Builds the client; opens no connection.
    ///
    /// # Errors
    /// [`ProviderError::Misconfigured`] for certificates or a proxy that cannot be used.
    pub(crate) fn new(settings: &ProviderSettings) -> Result<Self, ProviderError> {
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .no_proxy()
            .connect_timeout(settings.timeout)
            .timeout(settings.timeout)
            .user_agent(concat!("keycard/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &settings.ca_pem {
            let certificates = Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| ProviderError::Misconfigured("`ca_file` holds no PEM certificates".into()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(proxy) = &settings.http_proxy {
            let proxy = Proxy::all(proxy.clone())
                .map_err(|_| ProviderError::Misconfigured("`http_proxy` cannot be used".into()))?;
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| {
            ProviderError::Misconfigured(format!("the HTTP client cannot be built: {}", causes(&error)))
        })?;
        Ok(Self { client })
    }

    /// Fetches a public document: metadata or keys.
    ///
    /// # Errors
    /// See [`Self::send`].
    pub(crate) async fn get_document(&self, url: &Url) -> Result<Answer, ProviderError> {
        let request = self.client.get(url.clone()).header(ACCEPT, "application/json");
        self.send(url, request, DOCUMENT_CAP).await
    }

    /// Fetches something with an access token in the `Authorization` header (RFC 6750 section 2.1).
    ///
    /// # Errors
    /// See [`Self::send`].
    pub(crate) async fn get_with_token(
        &self,
        url: &Url,
        token: &AccessToken,
    ) -> Result<Answer, ProviderError> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| ProviderError::Rejected("the access token does not fit into a header".into()))?;
        value.set_sensitive(true);
        let request = self
            .client
            .get(url.clone())
            .header(ACCEPT, "application/json, application/jwt")
            .header(AUTHORIZATION, value);
        self.send(url, request, ANSWER_CAP).await
    }

    /// Posts a prepared form, as the token endpoint wants it.
    ///
    /// # Errors
    /// See [`Self::send`].
    pub(crate) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, ProviderError> {
        let request = self.client.post(url.clone()).headers(headers).body(body);
        self.send(url, request, ANSWER_CAP).await
    }

    /// Sends and reads to the end.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] when nobody answers in time, or with 5xx or 429;
    /// [`ProviderError::Misconfigured`] for a URL that must not be called, a redirect, or a body over `cap`.
    async fn send(
        &self,
        url: &Url,
        request: reqwest::RequestBuilder,
        cap: usize,
    ) -> Result<Answer, ProviderError> {
        if !may_be_called(url) {
            return Err(ProviderError::Misconfigured(format!(
                "{} is neither https nor loopback",
                place(url)
            )));
        }
        let broken = |error: reqwest::Error| {
            ProviderError::Unavailable(format!("{}: {}", place(url), causes(&error.without_url())))
        };
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(ProviderError::Unavailable(format!("{} answers {}", place(url), status.as_u16())));
        }
        if status.is_redirection() {
            let text = format!("{} answers with a redirect, and none is followed", place(url));
            return Err(ProviderError::Misconfigured(text));
        }
        let media_type = media_type(response.headers());
        let max_age = max_age(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > cap {
                let text = format!("{} answers with more than {} KiB", place(url), cap / 1024);
                return Err(ProviderError::Misconfigured(text));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, media_type, max_age, body })
    }
}

/// Whether a URL names this machine only.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// https, or http on this machine (R21).
pub(crate) fn may_be_called(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// Host and path of a URL, for messages. A query stays out: it may say more than a log should.
fn place(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// The whole chain of causes: reqwest's own text stops at "error sending request".
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    directives.flat_map(|value| value.split(',')).find_map(|directive| {
        let (name, seconds) = directive.trim().split_once('=')?;
        let seconds = seconds.trim_matches('"').parse().ok()?;
        name.eq_ignore_ascii_case("max-age").then(|| Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r21_plain_http_only_to_this_machine() {
        for (text, expected) in [
            ("https://idp.example.com/", true),
            ("http://127.0.0.1:9/", true),
            ("http://127.1/", true),
            ("http://[::1]:9/", true),
            ("http://localhost/", true),
            ("http://idp.localhost/", true),
            ("http://idp.example.com/", false),
            ("http://localhost.example.com/", false),
            ("http://127.0.0.1.example.com/", false),
            ("http://169.254.169.254/", false),
            ("file:///etc/passwd", false),
            ("ftp://127.0.0.1/", false),
        ] {
            assert_eq!(may_be_called(&Url::parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn headers_are_read_leniently() {
        let headers = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        for (value, expected) in [
            ("public, max-age=300", Some(300)),
            ("MAX-AGE=\"5\"", Some(5)),
            ("no-store", None),
            ("max-age=x", None),
            ("max-age=-1", None),
            ("s-maxage=9", None),
        ] {
            let age = max_age(&headers(CACHE_CONTROL, value));
            assert_eq!(age, expected.map(Duration::from_secs), "{value}");
        }
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/jwk-set+json", true),
            ("text/html", false),
            ("application/jsonp", false),
            ("text/json+json", false),
        ] {
            let answer = Answer {
                status: StatusCode::OK,
                media_type: media_type(&headers(CONTENT_TYPE, value)),
                max_age: None,
                body: Vec::new(),
            };
            assert_eq!(answer.is_json(), expected, "{value}");
        }
    }

    #[test]
    fn r43_messages_name_the_place_without_its_query() {
        let url = Url::parse("https://u:p@idp.example.com:8443/token?code=secret#x").unwrap();
        assert_eq!(place(&url), "https://idp.example.com:8443/token");
    }
}
