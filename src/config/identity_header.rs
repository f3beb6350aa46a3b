//! `identity_headers` of a route.
//!
//! I own: the forms of that key, and the list of header names that mean something else already. I may call: `cursor`.
//! I never fill a header.

use crate::config::cursor::{Entry, Reported, all_of};
use crate::config::keys::nearest;
use crate::domain::claim::ClaimPath;
use crate::domain::route::{IdentityHeader, IdentitySource};
use http::HeaderName;

const FORMS: &str =
    "write \"remote-user\", or a table such as { X-User = \"user_id\", X-Ward = \"claim:ward\" }";
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
];

/// Prefixes of such names.
const RESERVED_PREFIXES: [&str; 3] = ["proxy-", "sec-", "access-control-"];

pub(super) fn read(entry: &Entry<'_>) -> Result<Vec<IdentityHeader>, Reported> {
    let Some(members) = entry.members() else {
        return entry.parsed(|text| (text == "remote-user").then(remote_user), "is no set of headers", FORMS);
    };
    let mut names: Vec<String> = Vec::new();
    all_of(members.into_iter().map(|(name, source)| {
        let read = read_source(&source);
        let name = header_name(name, &source)?;
        let spelling = plain(name.as_str());
        if names.contains(&spelling) {
            // An upstream behind CGI or WSGI cannot tell them apart (R72).
            return Err(source.wrong("differs from another header in case or punctuation only", "keep one"));
        }
        names.push(spelling);
        Ok(IdentityHeader { name, source: read? })
    }))
}

/// The headers that many legacy apps know.
fn remote_user() -> Vec<IdentityHeader> {
    let header = |name: &'static str, source| IdentityHeader { name: HeaderName::from_static(name), source };
    vec![
        header("remote-user", IdentitySource::UserId),
        header("remote-name", IdentitySource::Name),
        header("remote-email", IdentitySource::Email),
        header("remote-groups", IdentitySource::Roles),
    ]
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
    let claim = given.strip_prefix("claim:");
    match (given, claim) {
        ("user_id", _) => Ok(IdentitySource::UserId),
        ("name", _) => Ok(IdentitySource::Name),
        ("email", _) => Ok(IdentitySource::Email),
        ("roles", _) => Ok(IdentitySource::Roles),
        (_, Some(path)) => ClaimPath::parse(path)
            .map(IdentitySource::Claim)
            .ok_or_else(|| entry.wrong("is no path to a claim", "write \"claim:department\"")),
        (_, None) => Err(entry.wrong(
            "has no source that Keycard knows",
            nearest(given, SOURCES).map_or_else(
                || format!("write \"user_id\", \"name\", \"email\", \"roles\" or \"claim:{}\"", "department"),
                |near| format!("did you mean `{near}`?"),
            ),
        )),
    }
}

/// One spelling for all names that some reader takes for the same (R72).
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}
