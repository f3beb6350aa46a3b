//! `[[route]]`.
//!
//! I own: the keys of that section, and how they fit each other. I may call: `cursor`, `identity_header`, and the files
//! beside me. I never let a route through that does not say who may pass it.

mod cors;
mod files;
mod keep;

pub(super) mod access;
mod legacy;
mod websocket;

pub(super) use legacy::BASIC_AUTH_KEYS;

use crate::config::amount::parse_size;
use crate::config::cursor::{Entry, Reported, Section};
use crate::config::identity_header::{self, IdentityHeaders};
use crate::config::keys::{Key, Kind};
use crate::config::route::files::Upstream;
use crate::config::server::Premises;
use crate::domain::csrf::CsrfMode;
use crate::domain::identity::ProviderId;
use crate::domain::origin::Origin;
use crate::domain::path::CanonicalPath;
use crate::domain::route::{Access, Relay, Route, RouteLimits, RouteTable, UpstreamAddress};
use std::time::Duration;

/// The keys of `[[route]]`, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    Key::required("path", Kind::Text, "The path prefix. Required."),
    Key::optional(
        "origin",
        Kind::Text,
        "The one origin of `server.public_url` that the route belongs to; without it, all of them.",
    ),
    files::UPSTREAM,
    files::FALLBACK,
    files::CACHE_CONTROL,
    access::ACCESS,
    Key::optional(
        "providers",
        Kind::OneOrMore(&Kind::Text),
        "Whose people the route knows, by the `id` of their provider. Required where there are several providers, since each of them could name the other's people; a page sends whoever is not signed in to the first.",
    ),
    Key::optional(
        "identity_headers",
        Kind::Either(&[
            Kind::OneOrMore(&Kind::Choice(&["remote-user", "x-forwarded", "x-auth-request", "oidc-claim"])),
            Kind::Free(&Kind::Text),
        ]),
        r#"Headers that tell the app who is there: "remote-user" (Remote-User, -Name, -Email, -Groups), "x-forwarded" (X-Forwarded-User, -Email, -Groups, -Preferred-Username), "x-auth-request" (the same as X-Auth-Request-…), "oidc-claim" (every claim as OIDC_CLAIM_…, as mod_auth_openidc does), a list of these, or a table of names with "user_id", "name", "email", "roles", "claim:…" or a template such as "CORP\\{claim:account}"; without it, none."#,
    ),
    legacy::HEADER_ENCODING,
    legacy::HEADER_SEPARATOR,
    Key::with_default(
        "token",
        Kind::Choice(&["none", "access"]),
        r#""none""#,
        r#"Which token goes along as `Authorization: Bearer`: "none" or "access"."#,
    ),
    Key::with_default(
        "allow_cleartext_token",
        Kind::Boolean,
        "false",
        "Whether a token or the password of `basic_auth` may go to another machine over plain http.",
    ),
    legacy::BASIC_AUTH,
    legacy::CLIENT_AUTHORIZATION,
    Key::with_default(
        "csrf",
        Kind::Choice(&["fetch-metadata", "strict", "off"]),
        r#""fetch-metadata""#,
        r#"The defence against forged requests: "fetch-metadata", "strict" (and `X-CSRF: 1` on scripts' requests) or "off"."#,
    ),
    websocket::WEBSOCKET,
    websocket::WEBSOCKET_IDLE_TIMEOUT,
    cors::CORS,
    keep::KEEP_FRAGMENT,
    keep::KEEP_POST,
    Key::with_default(
        "response_timeout",
        Kind::Duration,
        r#""30s""#,
        "How long the app may take to begin its answer.",
    ),
    Key::with_default(
        "stall_timeout",
        Kind::Duration,
        r#""60s""#,
        "The longest silence within a body, either way.",
    ),
    Key::optional(
        "max_body",
        Kind::Size,
        "The largest request body, in bytes or with a unit; without it, no limit.",
    ),
    legacy::HOST,
    legacy::FORWARDED,
    legacy::STRIP_PREFIX,
    legacy::REPLACE_PREFIX,
    legacy::ALLOW_ENCODED_SLASH,
    legacy::APP_COOKIES,
    legacy::CLEAR_SITE_DATA,
    legacy::LOGOUT_PATHS,
];

pub(super) use cors::CORS_KEYS;

const DEFAULT_RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads all routes: at least one, no two for one place.
///
/// `ids` are the providers, if their sections are right.
pub(super) fn read_all(
    file: &mut Section<'_>,
    premises: &Premises,
    ids: Option<Vec<ProviderId>>,
) -> Result<RouteTable, Reported> {
    let remedy = "add one: [[route]] with path, upstream and access";
    let (mut routes, mut failed) = (Vec::new(), None);
    for mut section in file.sections("route", remedy)? {
        match read(&mut section, premises, ids.as_deref()) {
            Ok(route) => {
                // The table itself judges, each route against those before it.
                let mut so_far: Vec<Route> = routes.clone();
                so_far.push(route.clone());
                match RouteTable::new(so_far) {
                    Ok(_) => routes.push(route),
                    Err((one, other)) => failed = Some(twins(&section, &one, &other)),
                }
            }
            Err(reported) => failed = Some(reported),
        }
    }
    if let Some(reported) = failed {
        return Err(reported);
    }
    RouteTable::new(routes).map_err(|(one, other)| {
        file.wrong("route", format_args!("has twins: {one} and {other}"), "keep one of them")
    })
}

fn twins(section: &Section<'_>, one: &str, other: &str) -> Reported {
    section.wrong(
        "path",
        format_args!("claims the place of another route: {one} and {other}"),
        "keep one of the two; a slash at the end makes no difference",
    )
}

fn read(
    section: &mut Section<'_>,
    premises: &Premises,
    ids: Option<&[ProviderId]>,
) -> Result<Route, Reported> {
    let path = section.must("path", "write the path prefix that the route serves: path = \"/wiki/\"", |e| {
        path(e, premises)
    });
    let origin = section.may("origin", |entry| origin(entry, premises));
    let upstream = files::read(section);
    let access = section.must("access", access::REMEDY, access::read);
    let providers = section.may("providers", |entry| entry.one_or_more(|one| provider(one, ids)));
    let identity_headers = section.or("identity_headers", IdentityHeaders::default(), identity_header::read);
    let relay = section.or("token", Relay::None, |entry| {
        entry.choice(&[("none", Relay::None), ("access", Relay::AccessToken)])
    });
    let cleartext = section.or("allow_cleartext_token", false, |entry| entry.boolean());
    let csrf = section.or("csrf", CsrfMode::FetchMetadata, |entry| {
        entry.choice(&[
            ("fetch-metadata", CsrfMode::FetchMetadata),
            ("strict", CsrfMode::Strict),
            ("off", CsrfMode::Off),
        ])
    });
    let websocket = websocket::read(section);
    let cors = section.may("cors", |entry| cors::read(entry, premises));
    let keep = keep::read(section);
    let response_timeout = section.or("response_timeout", DEFAULT_RESPONSE_TIMEOUT, Entry::time_limit);
    let stall_timeout = section.or("stall_timeout", DEFAULT_STALL_TIMEOUT, Entry::time_limit);
    let max_body = section.may("max_body", size);
    let legacy = legacy::take(section, premises);
    section.finish();

    let public = matches!(access, Ok((Access::Public, _)));
    let folder = files::judge(
        section,
        &upstream,
        public,
        matches!(csrf, Ok(CsrfMode::Strict)),
        identity_headers.as_ref().is_ok_and(|headers| !headers.are_none()),
        matches!(relay, Ok(Relay::AccessToken)),
    );
    let around = legacy::Around {
        prefix: path.as_ref().ok(),
        public,
        folder: upstream.as_ref().is_ok_and(|upstream| upstream.files.is_some()),
        relays: matches!(relay, Ok(Relay::AccessToken)),
        in_clear: goes_in_clear(&upstream) && cleartext.is_ok_and(|allowed| !allowed),
    };
    let all_claims = identity_headers.as_ref().is_ok_and(|headers| headers.all_claims);
    let legacy = legacy::judge(section, legacy, &around, all_claims);
    let kept = keep::Around {
        public,
        strict: matches!(csrf, Ok(CsrfMode::Strict)),
        folder: upstream.as_ref().is_ok_and(|upstream| upstream.files.is_some()),
        max_body: max_body.as_ref().ok().copied().flatten(),
    };
    let keep = keep::judge(section, keep, &kept);
    let relay = match relay {
        Ok(Relay::AccessToken) if public => Err(nobody_is_known(section, "token")),
        Ok(Relay::AccessToken) => judge_cleartext(section, &upstream, &cleartext),
        other => other,
    };
    let identity_headers = match identity_headers {
        Ok(headers) if public && !headers.are_none() => Err(nobody_is_known(section, "identity_headers")),
        other => other,
    };
    let providers = match providers {
        Ok(None) if !public && ids.is_some_and(|ids| ids.len() > 1) => Err(section.wrong(
            "providers",
            "is missing: with several providers, a route must say whose people it knows",
            "write providers = [\"corp\"]; two providers on one route can each name the other's people",
        )),
        other => other,
    };
    let (prefix, origin) = (path?, origin?);
    let authority = origin.as_ref().map(Origin::authority).unwrap_or_default();
    cleartext?;
    let (legacy, style) = legacy?;
    let (access, conditions) = access?;
    folder?;
    let Upstream { addresses, files } = upstream?;
    Ok(Route {
        name: format!("{authority}{}", prefix.as_str()),
        origin,
        prefix,
        access,
        conditions,
        providers: providers?.unwrap_or_default(),
        upstreams: addresses,
        files,
        identity_headers: identity_headers?.in_style(&style),
        relay: relay?,
        csrf: csrf?,
        websocket: websocket?,
        cors: cors?,
        keep: keep?,
        limits: RouteLimits {
            response_timeout: response_timeout?,
            stall_timeout: stall_timeout?,
            max_body: max_body?,
        },
        legacy,
    })
}

fn nobody_is_known(section: &Section<'_>, key: &'static str) -> Reported {
    section.wrong(
        key,
        "has no effect on a public route: the session is not looked at, so nobody is known",
        "remove it, or make access = \"optional\"",
    )
}

/// A token in clear on a network is anybody's who listens in (R81).
fn judge_cleartext(
    section: &Section<'_>,
    upstream: &Result<Upstream, Reported>,
    allowed: &Result<bool, Reported>,
) -> Result<Relay, Reported> {
    if goes_in_clear(upstream) && allowed.is_ok_and(|allowed| !allowed) {
        return Err(section.wrong(
            "token",
            "would send access tokens over plain http to another machine",
            "make the upstream https; or, if that network is yours alone, set allow_cleartext_token = true",
        ));
    }
    Ok(Relay::AccessToken)
}

fn goes_in_clear(upstream: &Result<Upstream, Reported>) -> bool {
    let in_clear = |upstream: &UpstreamAddress| !upstream.secure && !upstream.loopback;
    upstream.as_ref().is_ok_and(|upstream| upstream.addresses.iter().any(in_clear))
}

fn path(entry: &Entry<'_>, premises: &Premises) -> Result<CanonicalPath, Reported> {
    let path = CanonicalPath::parse(entry.text()?).map_err(|refusal| {
        let remedy = "write a plain path prefix, such as \"/wiki/\"; there are no patterns";
        entry.wrong(format_args!("is no canonical path: {refusal}"), remedy)
    })?;
    let plain = path.with_plain_marks();
    if plain != path {
        let remedy = format!("write the plain character: \"{}\"", plain.as_str());
        return Err(entry.wrong("has an encoded character, which apps take for the plain one", &remedy));
    }
    match &premises.prefix {
        Some(prefix) if path.is_under(prefix.as_str()) => Err(entry.wrong(
            format_args!("lies under `server.prefix` ({}), where Keycard itself answers", prefix.as_str()),
            "choose another path, or another `server.prefix`",
        )),
        _ => Ok(path),
    }
}

fn origin(entry: &Entry<'_>, premises: &Premises) -> Result<Origin, Reported> {
    let remedy = "write it as in `server.public_url`, such as \"https://apps.example.com\"";
    let origin = entry.parsed(Origin::parse, "is not an origin", remedy)?;
    match &premises.origins {
        Some(origins) if origins.get(origin.as_str()).is_none() => {
            Err(entry.wrong("is not among `server.public_url`", "add it there, or leave the key out"))
        }
        _ => Ok(origin),
    }
}

fn provider(entry: &Entry<'_>, ids: Option<&[ProviderId]>) -> Result<ProviderId, Reported> {
    let id = entry.parsed(ProviderId::parse, "is no id of a provider", "write the `id` of a [[provider]]")?;
    match ids {
        Some(ids) if !ids.contains(&id) => Err(entry.wrong("is no [[provider]]", "write the `id` of one")),
        _ => Ok(id),
    }
}

fn size(entry: &Entry<'_>) -> Result<u64, Reported> {
    let bytes = match entry.number() {
        Some(bytes) => bytes,
        None => entry.parsed(
            parse_size,
            "is not a size",
            "write bytes, or a string with a unit: \"10MB\", \"64KiB\"",
        )?,
    };
    match bytes {
        0 => Err(entry.wrong("would refuse every body", "leave the key out for no limit")),
        bytes => Ok(bytes),
    }
}
