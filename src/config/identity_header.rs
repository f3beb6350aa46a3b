//! `identity_headers` of a route.
//!
//! I own: the forms of that key, and the list of header names that mean something else already. I may call: `cursor`.
//! I never fill a header.

use crate::config::cursor::{Entry, Reported, all_of};
use crate::config::keys::nearest;
use crate::domain::claim::ClaimPath;
use crate::domain::identity_header::{HeaderStyle, IdentityHeader, IdentitySource, Template};
use http::HeaderName;

const FORMS: &str =
    "write \"remote-user\", or a table such as { X-User = \"user_id\", X-Ward = \"claim:ward\" }";
const PRESETS: [&str; 4] = ["remote-user", "x-forwarded", "x-auth-request", "oidc-claim"];
const SOURCES: [&str; 4] = ["user_id", "name", "email", "roles"];

/// Names that the protocol, the proxy or the browser owns, in the spelling of [`plain`] (R71, R73).
const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "origin",
    "range",
    "referer",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-csrf",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "x-script-name",
];

/// Prefixes of such names.
const RESERVED_PREFIXES: [&str; 3] = ["proxy-", "sec-", "access-control-"];

/// What the key says.
#[derive(Default)]
pub(super) struct IdentityHeaders {
    headers: Vec<IdentityHeader>,
    /// Every claim besides, as `mod_auth_openidc` hands them on.
    pub(super) all_claims: bool,
}

impl IdentityHeaders {
    /// Whether the app is told nothing.
    pub(super) fn are_none(&self) -> bool {
        self.headers.is_empty() && !self.all_claims
    }

    /// The headers, in the style of their route.
    pub(super) fn in_style(self, style: &HeaderStyle) -> Vec<IdentityHeader> {
        self.headers.into_iter().map(|header| IdentityHeader { style: style.clone(), ..header }).collect()
    }
}

pub(super) fn read(entry: &Entry<'_>) -> Result<IdentityHeaders, Reported> {
    let Some(members) = entry.members() else {
        let presets = entry.one_or_more(|one| {
            one.parsed(|text| PRESETS.iter().find(|preset| **preset == text), "is no set of headers", FORMS)
        })?;
        let all_claims = presets.contains(&&"oidc-claim");
        let headers = presets.iter().flat_map(|preset| preset_headers(preset)).collect();
        return Ok(IdentityHeaders { headers, all_claims });
    };
    let mut names: Vec<String> = Vec::new();
    let headers = all_of(members.into_iter().map(|(name, source)| {
        let read = read_source(&source);
        let name = header_name(name, &source)?;
        let spelling = plain(name.as_str());
        if names.contains(&spelling) {
            // An upstream behind CGI or WSGI cannot tell them apart (R72).
            return Err(source.wrong("differs from another header in case or punctuation only", "keep one"));
        }
        names.push(spelling);
        Ok(IdentityHeader { name, source: read?, style: HeaderStyle::default() })
    }))?;
    Ok(IdentityHeaders { headers, all_claims: false })
}

/// The headers that many legacy apps know. The second and the third set are those of oauth2-proxy.
fn preset_headers(preset: &str) -> Vec<IdentityHeader> {
    let names: [(&'static str, IdentitySource); 4] = match preset {
        "remote-user" => [
            ("remote-user", IdentitySource::UserId),
            ("remote-name", IdentitySource::Name),
            ("remote-email", IdentitySource::Email),
            ("remote-groups", IdentitySource::Roles),
        ],
        "x-forwarded" => [
            ("x-forwarded-user", IdentitySource::UserId),
            ("x-forwarded-email", IdentitySource::Email),
            ("x-forwarded-groups", IdentitySource::Roles),
            ("x-forwarded-preferred-username", preferred_username()),
        ],
        "x-auth-request" => [
            ("x-auth-request-user", IdentitySource::UserId),
            ("x-auth-request-email", IdentitySource::Email),
            ("x-auth-request-groups", IdentitySource::Roles),
            ("x-auth-request-preferred-username", preferred_username()),
        ],
        _ => return Vec::new(),
    };
    let header = |(name, source)| IdentityHeader {
        name: HeaderName::from_static(name),
        source,
        style: HeaderStyle::default(),
    };
    names.into_iter().map(header).collect()
}

fn preferred_username() -> IdentitySource {
    // Always a path; and a name of the person would do where it were none.
    ClaimPath::parse("preferred_username").map_or(IdentitySource::Name, IdentitySource::Claim)
}

fn header_name(name: &str, entry: &Entry<'_>) -> Result<HeaderName, Reported> {
    let header = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| entry.wrong("is no name of a header", "use letters, digits and `-`"))?;
    let spelling = plain(name);
    let prefixed = RESERVED_PREFIXES.iter().any(|prefix| spelling.starts_with(prefix));
    if prefixed || RESERVED.contains(&spelling.as_str()) {
        return Err(entry.wrong(
            "is a header with another meaning",
            "take a name of your own, such as `X-User`; an access token goes along by `token = \"access\"`",
        ));
    }
    Ok(header)
}

fn read_source(entry: &Entry<'_>) -> Result<IdentitySource, Reported> {
    let given = entry.text()?;
    if given.contains(['{', '}']) {
        let remedy =
            "write values in braces: \"{email}\", \"CORP\\\\{claim:account}\"; braces themselves twice";
        return Template::parse(given).map(IdentitySource::Template).map_err(|bad| entry.wrong(bad, remedy));
    }
    IdentitySource::parse(given).ok_or_else(|| match given.strip_prefix("claim:") {
        Some(_) => entry.wrong("is no path to a claim", "write \"claim:department\""),
        None => entry.wrong(
            "has no source that Keycard knows",
            nearest(given, SOURCES).map_or_else(
                || "write \"user_id\", \"name\", \"email\", \"roles\" or \"claim:department\"".to_owned(),
                |near| format!("did you mean `{near}`?"),
            ),
        ),
    })
}

/// One spelling for all names that some reader takes for the same (R72).
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}
