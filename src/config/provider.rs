//! `[[provider]]`.
//!
//! I own: the keys of that section. I may call: `cursor`, `secret`, `certificate`. I never speak to a provider.

use crate::config::certificate::certificates;
use crate::config::cursor::{Entry, Reported, Section, all_of};
use crate::config::keys::{Key, Kind};
use crate::config::secret::long_secret;
use crate::config::server::Premises;
use crate::config::{ClientAuth, ProviderSettings};
use crate::domain::algorithm::SigningAlgorithm;
use crate::domain::identity::{Issuer, ProviderId};
use crate::domain::login::Requested;
use crate::domain::origin::Origin;
use crate::domain::secret::ClientSecret;
use secrecy::ExposeSecret as _;
use std::time::Duration;
use url::Url;

/// The keys of `[[provider]]`, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    Key::required(
        "id",
        Kind::Text,
        "A short name for logs and callback paths: 1 to 32 of a-z, 0-9, `-` and `_`. Required.",
    ),
    Key::required(
        "issuer",
        Kind::Text,
        "The issuer, exactly as the provider's discovery document has it. Required.",
    ),
    Key::required("client_id", Kind::Text, "The client id that the provider knows Keycard by. Required."),
    Key::required("client_secret", Kind::SECRET, "The client secret, at least 16 characters. Required."),
    Key::with_default(
        "client_auth",
        Kind::Choice(&["client_secret_basic", "client_secret_post"]),
        r#""client_secret_basic""#,
        r#"How the secret is sent to the token endpoint: "client_secret_basic" or "client_secret_post"."#,
    ),
    Key::with_default(
        "scopes",
        Kind::List(&Kind::Text),
        r#"["openid", "profile", "email"]"#,
        r#"The scopes to ask for; "openid" must be among them, "offline_access" brings a refresh token."#,
    ),
    Key::with_default(
        "signing_algorithms",
        Kind::OneOrMore(&Kind::Choice(ALGORITHMS)),
        r#"["RS256"]"#,
        "The algorithms that ID tokens may be signed with; HS256, HS384 and HS512 never together with others.",
    ),
    Key::with_default(
        "endpoint_hosts",
        Kind::List(&Kind::Text),
        "[]",
        "Hosts besides the issuer's at which the provider's endpoints may be.",
    ),
    Key::with_default(
        "userinfo",
        Kind::Boolean,
        "false",
        "Whether to fetch further claims from the UserInfo endpoint at login.",
    ),
    Key::optional(
        "max_age",
        Kind::Duration,
        "How old a sign-in at the provider may be when a session begins; without it, any age.",
    ),
    Key::with_default(
        "acr_values",
        Kind::List(&Kind::Text),
        "[]",
        "Authentication levels of which the provider must confirm one.",
    ),
    Key::with_default(
        "authorization_params",
        Kind::Free(&Kind::Text),
        "{}",
        "Further parameters of the authorization request.",
    ),
    Key::with_default(
        "clock_skew",
        Kind::Duration,
        r#""30s""#,
        "The tolerated difference between the provider's clock and ours, at most 60s.",
    ),
    Key::with_default(
        "timeout",
        Kind::Duration,
        r#""10s""#,
        "How long one request to the provider may take.",
    ),
    Key::with_default(
        "refresh_before",
        Kind::Duration,
        r#""60s""#,
        "How long before its end an access token that a route relays is renewed, if there is a refresh token; never more than a quarter of its life.",
    ),
    Key::optional(
        "ca_file",
        Kind::Text,
        "PEM certificates that are trusted for this provider besides the system's roots; without it, the system's roots alone.",
    ),
    Key::optional(
        "http_proxy",
        Kind::Text,
        "An HTTP proxy on the way to the provider; without it, a direct connection.",
    ),
    Key::with_default(
        "id_token_hint",
        Kind::Boolean,
        "true",
        "Whether logout hands the ID token back to the provider, as some providers need to end the right session.",
    ),
    Key::with_default(
        "strict_typ",
        Kind::Boolean,
        "false",
        "Whether a logout token has to name its kind (`typ` is `logout+jwt`); without it, no `typ` will do as well.",
    ),
];

/// The names that [`SigningAlgorithm::parse`] knows.
const ALGORITHMS: &[&str] = &[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
    "HS256", "HS384", "HS512",
];

const DEFAULT_SCOPES: [&str; 3] = ["openid", "profile", "email"];
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(30);
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_REFRESH_BEFORE: Duration = Duration::from_secs(60);
const MIN_SECRET_LENGTH: usize = 16;

/// Parameters of the authorization request that are never free.
const OWN_PARAMS: &[&str] = &[
    "acr_values",
    "client_assertion",
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "id_token_hint",
    "login_hint",
    "max_age",
    "nonce",
    "prompt",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// Reads all providers: at least one, each with an id of its own.
pub(super) fn read_all(
    file: &mut Section<'_>,
    premises: &Premises,
) -> Result<Vec<ProviderSettings>, Reported> {
    let remedy = "add one: [[provider]] with id, issuer, client_id and client_secret";
    let mut ids: Vec<ProviderId> = Vec::new();
    all_of(file.sections("provider", remedy)?.into_iter().map(|section| read(section, premises, &mut ids)))
}

fn read(
    mut section: Section<'_>,
    premises: &Premises,
    ids: &mut Vec<ProviderId>,
) -> Result<ProviderSettings, Reported> {
    let dev = premises.dev;
    let id = section.must("id", "give it a short name: id = \"corp\"", |entry| provider_id(entry, ids));
    let issuer =
        section.must("issuer", "write the provider's issuer, as its discovery document has it", |entry| {
            issuer(entry, dev)
        });
    let client_id =
        section.must("client_id", "write the client id that the provider gave you", |e| visible(e));
    // The shortest secret depends on the algorithms, so these come first.
    let algorithms = section.or("signing_algorithms", vec![SigningAlgorithm::Rs256], algorithms);
    let shortest = shortest_secret(algorithms.as_deref().unwrap_or_default());
    let client_secret = section.must(
        "client_secret",
        "write client_secret = { file = \"…\" } or { env = \"…\" }",
        |entry| long_secret(entry, shortest, dev),
    );
    let client_auth = section.or("client_auth", ClientAuth::SecretBasic, |entry| {
        entry.choice(&[
            ("client_secret_basic", ClientAuth::SecretBasic),
            ("client_secret_post", ClientAuth::SecretPost),
        ])
    });
    let scopes = section.or("scopes", DEFAULT_SCOPES.map(str::to_owned).to_vec(), scopes);
    let endpoint_hosts = section.or("endpoint_hosts", Vec::new(), |entry| entry.each(host));
    let userinfo = section.or("userinfo", false, |entry| entry.boolean());
    let max_age = section.may("max_age", max_age);
    let acr_values = section.or("acr_values", Vec::new(), |entry| entry.each(visible));
    let extra_params = section.or("authorization_params", Vec::new(), extra_params);
    let clock_skew = section.or("clock_skew", DEFAULT_CLOCK_SKEW, clock_skew);
    let timeout = section.or("timeout", DEFAULT_TIMEOUT, Entry::time_limit);
    let refresh_before = section.or("refresh_before", DEFAULT_REFRESH_BEFORE, |entry| entry.duration());
    let ca_pem = section.may("ca_file", certificates);
    let http_proxy = section.may("http_proxy", http_proxy);
    let id_token_hint = section.or("id_token_hint", true, |entry| entry.boolean());
    let strict_typ = section.or("strict_typ", false, |entry| entry.boolean());
    section.finish();
    Ok(ProviderSettings {
        id: id?,
        issuer: issuer?,
        client_id: client_id?,
        client_secret: ClientSecret::new(client_secret?.expose_secret()),
        client_auth: client_auth?,
        scopes: scopes?,
        algorithms: algorithms?,
        endpoint_hosts: endpoint_hosts?,
        userinfo: userinfo?,
        requested: Requested { max_age: max_age?, acr_values: acr_values? },
        extra_params: extra_params?,
        clock_skew: clock_skew?,
        timeout: timeout?,
        refresh_before: refresh_before?,
        ca_pem: ca_pem?,
        http_proxy: http_proxy?,
        id_token_hint: id_token_hint?,
        strict_typ: strict_typ?,
    })
}

fn provider_id(entry: &Entry<'_>, ids: &mut Vec<ProviderId>) -> Result<ProviderId, Reported> {
    let remedy = "use 1 to 32 of a-z, 0-9, `-` and `_`: it stands in callback paths";
    let id = entry.parsed(ProviderId::parse, "is no id", remedy)?;
    if ids.contains(&id) {
        let what = format!("is `{}`, and so is the id of another provider", id.as_str());
        return Err(entry.wrong(what, "give each provider an id of its own"));
    }
    ids.push(id.clone());
    Ok(id)
}

/// The exact text is kept: it is compared as a string (R21, OpenID Connect Discovery section 4.3).
fn issuer(entry: &Entry<'_>, dev: bool) -> Result<Issuer, Reported> {
    let text = entry.text()?;
    let shape = "write it exactly as the provider's discovery document has it: https, a host, perhaps a path";
    let url = Url::parse(text).ok().filter(|url| {
        let bare = url.query().is_none() && url.fragment().is_none() && !text.contains(['@', '\\', '*']);
        url.has_host() && bare && text.trim() == text
    });
    let Some(url) = url else { return Err(entry.wrong("is not an issuer URL", shape)) };
    if let Some(issuer) = text.strip_suffix("/.well-known/openid-configuration") {
        let remedy =
            format!("leave that part out: issuer = \"{issuer}\", or as the document's own `issuer` has it");
        return Err(entry.wrong("is the address of the discovery document, not the issuer", remedy));
    }
    let origin = Origin::parse(&url.origin().ascii_serialization());
    match origin {
        Some(origin) if origin.is_secure() || origin.is_loopback() || dev => Ok(Issuer::new(text)),
        Some(_) => Err(entry.wrong(
            "is plain http: whoever sits in between could sign in as anybody",
            "use the https address of the provider",
        )),
        None => Err(entry.wrong("is not an issuer URL", shape)),
    }
}

/// Printable ASCII without spaces (RFC 6749 appendix A).
fn visible(entry: &Entry<'_>) -> Result<String, Reported> {
    let sound = |text: &str| text.bytes().all(|b| b.is_ascii_graphic()).then(|| text.to_owned());
    entry.parsed(sound, "has a space or a character that is not ASCII", "copy it from the provider exactly")
}

fn scopes(entry: &Entry<'_>) -> Result<Vec<String>, Reported> {
    let remedy = "one scope for each item, without spaces: [\"openid\", \"profile\"]";
    let scope = |item: &Entry<'_>| {
        // RFC 6749 section 3.3: no quote and no backslash either.
        let sound = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        item.parsed(|text| text.bytes().all(sound).then(|| text.to_owned()), "is no scope", remedy)
    };
    let scopes = entry.each(scope)?;
    if scopes.iter().any(|scope| scope == "openid") {
        Ok(scopes)
    } else {
        Err(entry.wrong("lacks `openid`: without it there is no ID token", "add \"openid\" to the list"))
    }
}

/// Never empty, never `none`, and a shared secret never beside a public key (R13, A10).
fn algorithms(entry: &Entry<'_>) -> Result<Vec<SigningAlgorithm>, Reported> {
    let remedy = "use registered names: RS256, PS256, ES256, EdDSA, … as the provider signs";
    let list = entry
        .one_or_more(|item| item.parsed(SigningAlgorithm::parse, "is no algorithm that is safe", remedy))?;
    if list.iter().any(|one| one.is_symmetric()) && !list.iter().all(|one| one.is_symmetric()) {
        return Err(entry.wrong(
            "mixes HS algorithms with others: a public key could then pass for a shared secret",
            "keep the one kind that the provider uses",
        ));
    }
    Ok(list)
}

/// A secret that keys a MAC is at least as long as the MAC (RFC 7518 section 3.2).
fn shortest_secret(algorithms: &[SigningAlgorithm]) -> usize {
    let for_one = |algorithm: &SigningAlgorithm| match algorithm {
        SigningAlgorithm::Hs256 => 32,
        SigningAlgorithm::Hs384 => 48,
        SigningAlgorithm::Hs512 => 64,
        _ => MIN_SECRET_LENGTH,
    };
    algorithms.iter().map(for_one).max().unwrap_or(MIN_SECRET_LENGTH)
}

fn host(entry: &Entry<'_>) -> Result<String, Reported> {
    let parse = |text: &str| {
        let url = Url::parse(&format!("https://{text}/")).ok()?;
        let name = url.host_str()?;
        (!text.contains('*') && name.eq_ignore_ascii_case(text)).then(|| name.to_owned())
    };
    entry.parsed(parse, "is not a host name", "write a host alone: \"login.example.com\"")
}

fn max_age(entry: &Entry<'_>) -> Result<u32, Reported> {
    let span = entry.duration()?;
    match u32::try_from(span.as_secs()) {
        Ok(seconds) if span.subsec_nanos() == 0 => Ok(seconds),
        _ => Err(entry.wrong("must be whole seconds", "write it like \"1h\"")),
    }
}

fn clock_skew(entry: &Entry<'_>) -> Result<Duration, Reported> {
    match entry.duration()? {
        span if span <= MAX_CLOCK_SKEW => Ok(span),
        _ => Err(entry.wrong("is more than 60 s", "let both machines keep their clocks with NTP instead")),
    }
}

fn extra_params(entry: &Entry<'_>) -> Result<Vec<(String, String)>, Reported> {
    let remedy = "write { hd = \"example.com\" }";
    let members = entry
        .members()
        .ok_or_else(|| entry.wrong(format_args!("must be a table, not {}", entry.kind()), remedy))?;
    all_of(members.into_iter().map(|(name, value)| {
        if OWN_PARAMS.contains(&name) {
            return Err(value.wrong(
                "is a parameter that Keycard sets itself",
                "remove it; scopes, max_age and acr_values are keys of the provider",
            ));
        }
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(value.wrong("is no name of a parameter", "use letters, digits and `_`"));
        }
        Ok((name.to_owned(), value.text()?.to_owned()))
    }))
}

fn http_proxy(entry: &Entry<'_>) -> Result<Url, Reported> {
    let parse = |text: &str| {
        let url = Url::parse(text).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
    };
    entry.parsed(parse, "is not the URL of an HTTP proxy", "write \"http://proxy.example.com:3128\"")
}
