//! Which header and cookie names are nobody's but ours.
//!
//! I own: [`HeaderRules`] and the lists behind it. I may call: `domain::route`. I never look at a header's value,
//! except for the name in a `Set-Cookie`, and I never compare the names of managed headers as they were spelt: an
//! upstream that turns `X-User` into a CGI variable cannot tell it from `X_User` (R72).

use crate::domain::route::RouteTable;
use std::collections::HashSet;

/// The names that a gateway keeps to itself: headers that a client must not send, cookies that an upstream must not
/// set. One for all routes: a name that any route manages is managed everywhere.
#[derive(Clone, Debug)]
pub struct HeaderRules {
    managed: HashSet<String>,
    cookies: HashSet<String>,
}

/// Fields that belong to one connection (RFC 9110 section 7.6.1), mapped.
const CONNECTION_BOUND: &[&str] = &[
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Managed whether or not a route names them, mapped.
const MANAGED: &[&str] = &[
    "cf-connecting-ip",
    "client-ip",
    "forwarded",
    // CGI makes it HTTP_PROXY, which many HTTP clients obey (CVE-2016-5385).
    "proxy",
    "true-client-ip",
    "x-authenticated-user",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-forwarded",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
    "x-script-name",
];

/// Every name that begins like this is managed, mapped: what gateways of all makes tell their upstreams.
const MANAGED_PREFIXES: &[&str] = &[
    "iv-",
    "oidc-",
    "remote-",
    "sm-",
    "ssl-client-",
    "x-auth-request-",
    "x-authentik-",
    "x-forwarded-",
    "x-keycard-",
    "x-remote-",
    "x-ssl-",
    "x-webauth-",
];

/// Fields for the other end: listing one in `Connection` is a mistake or an attack, and changes nothing
/// (RFC 9110 section 7.6.1: a connection option must not name a field for all recipients).
const END_TO_END: &[&str] = &[
    "age",
    "allow",
    "authorization",
    "cache-control",
    "cookie",
    "date",
    "etag",
    "expires",
    "host",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "permissions-policy",
    "pragma",
    "range",
    "referer",
    "referrer-policy",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-csrf",
    "x-requested-with",
    "x-robots-tag",
];

/// The same by family.
const END_TO_END_PREFIXES: &[&str] =
    &["accept", "access-control-", "content-", "cross-origin-", "if-", "sec-", "x-content-", "x-frame-"];

/// What browsers read as a promise at the beginning of a cookie's name (RFC 6265bis section 4.1.3, and the newer
/// `__Http-`), lower-cased.
const COOKIE_PREFIXES: &[&str] = &["__host-http-", "__http-", "__host-", "__secure-"];

impl HeaderRules {
    /// The rules for these routes and for cookies of these names, with or without a prefix such as `__Host-`.
    pub fn new(routes: &RouteTable, cookie_names: &[String]) -> Self {
        let named = routes.iter().flat_map(|route| route.identity_headers.iter());
        let managed = named
            .map(|header| MappedName::default().map(header.name.as_str()).to_owned())
            .chain(MANAGED.iter().map(|name| (*name).to_owned()))
            .collect();
        let cookies = cookie_names.iter().map(|name| bare(&name.to_ascii_lowercase()).to_owned()).collect();
        Self { managed, cookies }
    }

    /// Whether a mapped name is one that only we may send to an upstream (R72).
    pub(super) fn is_managed(&self, mapped: &str) -> bool {
        self.managed.contains(mapped) || begins_with_one_of(mapped, MANAGED_PREFIXES)
    }

    /// Whether a `Set-Cookie` would set, shadow or clear one of our cookies in any browser (R55, A22): compared in
    /// any case, with any prefix, without what browsers trim, and also where the name hides in the value of a
    /// nameless cookie, which is sent back without its `=`.
    pub(super) fn is_own_cookie(&self, set_cookie: &[u8]) -> bool {
        let pair = set_cookie.split(|byte| *byte == b';').next().unwrap_or_default();
        let visible = pair.iter().copied().filter(u8::is_ascii_graphic).skip_while(|byte| *byte == b'=');
        let name: String = visible
            .take_while(|byte| *byte != b'=')
            .map(|byte| char::from(byte.to_ascii_lowercase()))
            .collect();
        self.cookies.contains(bare(&name))
    }
}

/// Whether a mapped name belongs to one connection only (R71).
pub(super) fn is_connection_bound(mapped: &str) -> bool {
    CONNECTION_BOUND.contains(&mapped)
}

/// Whether a lower-case name is for the other end, whatever a `Connection` header says about it (R71).
pub(super) fn is_end_to_end(name: &str) -> bool {
    END_TO_END.contains(&name) || begins_with_one_of(name, END_TO_END_PREFIXES)
}

/// A header name as the least careful reader sees it: lower-case, and every non-alphanumeric a `-`. Keeps its buffer,
/// so that a whole message is mapped with one allocation.
#[derive(Default)]
pub(super) struct MappedName(String);

impl MappedName {
    /// Maps the next name.
    pub(super) fn map(&mut self, name: &str) -> &str {
        self.0.clear();
        self.0.extend(
            name.bytes()
                .map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' })
                .map(char::from),
        );
        &self.0
    }
}

fn begins_with_one_of(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

fn bare(mut name: &str) -> &str {
    while let Some(rest) = COOKIE_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r55_our_cookies_are_known_in_every_disguise() {
        let rules =
            HeaderRules::new(&RouteTable::default(), &["__Host-keycard".into(), "keycard-login".into()]);
        for (set_cookie, expected) in [
            ("__Host-keycard=x; Path=/", true),
            ("keycard=x", true),
            ("KEYCARD=x", true),
            ("__host-KeyCard=; Max-Age=0", true),
            ("__Secure-keycard=x", true),
            ("__Http-keycard=x", true),
            ("__Host-Http-keycard=x", true),
            ("__Secure-__Host-keycard=x", true),
            ("__Host-keycard-login=x", true),
            (" \t__Host-keycard \t=x", true),
            ("keycard", true),
            ("keycard ;Path=/", true),
            ("=__Host-keycard=x", true),
            (" = = keycard=x", true),
            ("\u{2000}keycard=x", true),
            ("keycard2=x", false),
            ("my-keycard=x", false),
            ("PHPSESSID=keycard", false),
            ("a=b; keycard=x", false),
            ("", false),
        ] {
            assert_eq!(rules.is_own_cookie(set_cookie.as_bytes()), expected, "{set_cookie:?}");
        }
    }

    #[test]
    fn r72_names_are_mapped_before_they_are_compared() {
        let rules = HeaderRules::new(&RouteTable::default(), &[]);
        for (name, expected) in [
            ("Remote-User", true),
            ("REMOTE_USER", true),
            ("remote.user", true),
            ("X!Forwarded*User", true),
            ("X-Auth-Request-Groups", true),
            ("OIDC_CLAIM_sub", true),
            ("x-keycard-anything", true),
            ("Proxy", true),
            ("X-Forwardedness", false),
            ("User-Agent", false),
        ] {
            assert_eq!(rules.is_managed(MappedName::default().map(name)), expected, "{name}");
        }
    }
}
