//! The two addresses at the provider to which a browser is sent: for a login and for a logout.
//!
//! I own: the parameters in them. I may call: `config`, `domain`, `ports` (request and error). I never let a configured
//! parameter stand in for one of ours, and never leave PKCE out or weaken it, whatever the metadata say (R3, A7).

use crate::config::ProviderSettings;
use crate::domain::secret::RawIdToken;
use crate::ports::{AuthorizationRequest, ProviderError};
use openidconnect::core::{CoreClient, CoreResponseType};
use openidconnect::{
    AuthUrl, AuthenticationFlow, ClientId, CsrfToken, IssuerUrl, JsonWebKeySet, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope,
};
use url::Url;

/// Parameters that `authorization_params` may not set: they are ours, or would change how the answer comes or what it
/// must be checked for. `prompt` and `login_hint` are only defaults, and a login's own win.
const OURS: [&str; 15] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "max_age",
    "acr_values",
    "id_token_hint",
];

/// The lengths that a verifier may have (RFC 7636 section 4.1).
const VERIFIER_LENGTH: std::ops::RangeInclusive<usize> = 43..=128;

/// Looks for parameters in the configuration that are not its to set.
///
/// # Errors
/// [`ProviderError::Misconfigured`], naming the first.
pub(crate) fn check_extra_params(settings: &ProviderSettings) -> Result<(), ProviderError> {
    match settings.extra_params.iter().find(|(name, _)| OURS.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, _)) => Err(ProviderError::Misconfigured(format!(
            "`authorization_params` cannot set `{name}`; `scopes`, `max_age` and `acr_values` are keys of their own"
        ))),
    }
}

/// The URL of the authorization request (OpenID Connect Core section 3.1.2.1).
///
/// # Errors
/// [`ProviderError::Misconfigured`] for an issuer that is no URL; [`ProviderError::Rejected`] for a verifier that
/// RFC 7636 does not allow.
pub(crate) fn authorization_url(
    settings: &ProviderSettings,
    endpoint: &Url,
    request: &AuthorizationRequest<'_>,
) -> Result<Url, ProviderError> {
    let issuer = IssuerUrl::new(settings.issuer.as_str().to_owned())
        .map_err(|_| ProviderError::Misconfigured("`issuer` is not a URL".into()))?;
    // The library panics on any other length.
    if !VERIFIER_LENGTH.contains(&request.verifier.expose().len()) {
        return Err(ProviderError::Rejected("the code verifier has the wrong length".into()));
    }
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(
        request.verifier.expose().to_owned(),
    ));
    let client = CoreClient::new(ClientId::new(settings.client_id.clone()), issuer, JsonWebKeySet::default())
        .disable_openid_scope()
        .set_auth_uri(AuthUrl::from_url(endpoint.clone()))
        .set_redirect_uri(RedirectUrl::from_url(request.redirect_uri.clone()));
    let state = CsrfToken::new(request.state.to_owned());
    let nonce = Nonce::new(request.nonce.expose().to_owned());
    let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
    let mut authorization = client
        .authorize_url(flow, move || state, move || nonce)
        .add_scopes(settings.scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(challenge);
    let requested = &request.login.requested;
    let own = [
        ("prompt", request.prompt.map(str::to_owned)),
        ("login_hint", request.login_hint.map(str::to_owned)),
        ("max_age", requested.max_age.map(|seconds| seconds.to_string())),
        ("acr_values", (!requested.acr_values.is_empty()).then(|| requested.acr_values.join(" "))),
    ];
    for (name, value) in &settings.extra_params {
        let taken = own.iter().any(|(own, value)| own == name && value.is_some());
        if !taken && !OURS.contains(&name.as_str()) {
            authorization = authorization.add_extra_param(name.clone(), value.clone());
        }
    }
    for (name, value) in own {
        if let Some(value) = value {
            authorization = authorization.add_extra_param(name, value);
        }
    }
    Ok(authorization.url().0)
}

/// The URL of the logout request (OpenID Connect RP-Initiated Logout section 2, R86).
pub(crate) fn end_session_url(
    settings: &ProviderSettings,
    endpoint: &Url,
    id_token: Option<&RawIdToken>,
    back: &Url,
    state: &str,
) -> Url {
    let mut url = endpoint.clone();
    let mut query = url.query_pairs_mut();
    if let Some(id_token) = id_token.filter(|_| settings.id_token_hint) {
        query.append_pair("id_token_hint", id_token.expose());
    }
    query.append_pair("client_id", &settings.client_id);
    query.append_pair("post_logout_redirect_uri", back.as_str());
    query.append_pair("state", state);
    drop(query);
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::login::{PendingLogin, Requested};
    use crate::domain::secret;
    use crate::oidc::forge::{pending, settings};

    fn url(settings: &ProviderSettings, login: &PendingLogin, prompt: Option<&str>) -> Vec<(String, String)> {
        let endpoint = Url::parse("https://idp.example.com/auth?tenant=a").unwrap();
        let request = AuthorizationRequest {
            login,
            state: "sealed.state",
            nonce: &secret::Nonce::new("nonce"),
            // RFC 7636 appendix B.
            verifier: &secret::PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            redirect_uri: &Url::parse("https://apps.example.com/bff/callback").unwrap(),
            prompt,
            login_hint: None,
        };
        let url = authorization_url(settings, &endpoint, &request).unwrap();
        assert!(url.as_str().starts_with("https://idp.example.com/auth?tenant=a&"), "{url}");
        let mut pairs: Vec<_> = url.query_pairs().into_owned().skip(1).collect();
        pairs.sort();
        pairs
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const PLAIN: [(&str, &str); 8] = [
        ("client_id", "keycard"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("nonce", "nonce"),
        ("redirect_uri", "https://apps.example.com/bff/callback"),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "sealed.state"),
    ];

    #[test]
    fn r1_r3_a7_code_flow_with_s256_and_nothing_else() {
        assert_eq!(url(&settings("https://idp.example.com"), &pending(), None), owned(&PLAIN));
    }

    #[test]
    fn what_a_login_asks_for_is_sent_and_wins_over_defaults() {
        let mut settings = settings("https://idp.example.com");
        settings.extra_params = owned(&[("prompt", "login"), ("audience", "api"), ("state", "mine")]);
        let mut login = pending();
        login.requested = Requested { max_age: Some(0), acr_values: vec!["gold".into(), "silver".into()] };
        let with = |prompt: &'static str| {
            let mut pairs = PLAIN.to_vec();
            pairs.extend([
                ("acr_values", "gold silver"),
                ("audience", "api"),
                ("max_age", "0"),
                ("prompt", prompt),
            ]);
            pairs.sort_unstable();
            owned(&pairs)
        };
        assert_eq!(url(&settings, &login, None), with("login"));
        assert_eq!(url(&settings, &login, Some("none")), with("none"));
    }

    #[test]
    fn a45_parameters_of_ours_are_refused_in_the_configuration() {
        for name in OURS {
            let mut settings = settings("https://idp.example.com");
            settings.extra_params = owned(&[("audience", "x"), (name, "x")]);
            assert!(check_extra_params(&settings).is_err_and(|error| error.to_string().contains(name)));
        }
    }

    #[test]
    fn r86_logout_carries_the_hint_only_where_it_may() {
        let mut settings = settings("https://idp.example.com");
        let endpoint = Url::parse("https://idp.example.com/logout").unwrap();
        let back = Url::parse("https://apps.example.com/bff/logged-out").unwrap();
        let hint = RawIdToken::new("e30.e30.e30");
        let url = |settings: &ProviderSettings, hint| {
            end_session_url(settings, &endpoint, hint, &back, "s&t").to_string()
        };
        let rest = "client_id=keycard&post_logout_redirect_uri=https%3A%2F%2Fapps.example.com%2Fbff%2Flogged-out\
            &state=s%26t";
        assert_eq!(
            url(&settings, Some(&hint)),
            format!("https://idp.example.com/logout?id_token_hint=e30.e30.e30&{rest}")
        );
        assert_eq!(url(&settings, None), format!("https://idp.example.com/logout?{rest}"));
        settings.id_token_hint = false;
        assert_eq!(url(&settings, Some(&hint)), format!("https://idp.example.com/logout?{rest}"));
    }
}
