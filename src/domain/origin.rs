//! The origins under which Keycard answers.
//!
//! I own: [`Origin`] and [`Origins`]. I may call: `std`, `url`. I never take a scheme or a host from a request; a
//! request only selects one of the configured origins, by exact match (A30).

use url::Url;

/// A web origin: scheme, host and port, in the serialised form that browsers send (RFC 6454 section 6.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    serialised: String,
    authority: String,
    secure: bool,
    loopback: bool,
}

impl Origin {
    /// Parses `https://apps.example.com` or `http://localhost:8080`; nothing may follow the authority but one `/`.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let clean = url.username().is_empty() && url.password().is_none() && !text.contains(['@', '\\']);
        if !bare || !clean || !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let host = url.host_str()?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let loopback = match url.host()? {
            url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            url::Host::Ipv4(ip) => ip.is_loopback(),
            url::Host::Ipv6(ip) => ip.is_loopback(),
        };
        let secure = url.scheme() == "https";
        Some(Self { serialised: format!("{}://{authority}", url.scheme()), authority, secure, loopback })
    }

    /// The serialised origin, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.serialised
    }

    /// Host and port as a browser writes them into `Host`: the port is left out when it is the scheme's own.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &str {
        if self.secure { "https" } else { "http" }
    }

    /// Whether browsers reach this origin over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether this origin is this machine only.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    fn is_named_by(&self, host: &str) -> bool {
        if self.authority.eq_ignore_ascii_case(host) {
            return true;
        }
        // A client may spell out the default port (RFC 9110 section 4.2.3).
        let default_port = if self.secure { ":443" } else { ":80" };
        host.strip_suffix(default_port).is_some_and(|bare| self.authority.eq_ignore_ascii_case(bare))
    }
}

/// All origins of this gateway; never empty.
#[derive(Clone, Debug)]
pub struct Origins(Vec<Origin>);

impl Origins {
    /// Takes the configured origins; `None` for an empty list.
    pub fn new(origins: Vec<Origin>) -> Option<Self> {
        (!origins.is_empty()).then_some(Self(origins))
    }

    /// The origin that the `Host` of a request names, by exact match. Anything else deserves a 421.
    pub fn select(&self, host: &str) -> Option<&Origin> {
        self.0.iter().find(|origin| origin.is_named_by(host))
    }

    /// The origin with this serialised form.
    pub fn get(&self, serialised: &str) -> Option<&Origin> {
        self.0.iter().find(|origin| origin.as_str() == serialised)
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_origins_and_nothing_more() {
        let origin = Origin::parse("https://Apps.Example.com:443/").unwrap();
        assert_eq!((origin.as_str(), origin.authority()), ("https://apps.example.com", "apps.example.com"));
        for bad in
            ["https://a/b", "https://a?x", "https://u@a", "ftp://a", "a", "https://a/#x", "https://a\\b"]
        {
            assert!(Origin::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a30_hosts_select_by_exact_match_only() {
        let origins = Origins::new(vec![Origin::parse("https://apps.example.com").unwrap()]).unwrap();
        for good in ["apps.example.com", "APPS.example.com", "apps.example.com:443"] {
            assert!(origins.select(good).is_some(), "{good}");
        }
        let bad = ["", "apps.example.com.", "apps.example.com:80", "evil.com", "apps.example.com@evil.com"];
        for bad in bad {
            assert!(origins.select(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_recognised() {
        for (text, expected) in [
            ("http://localhost:1", true),
            ("http://127.9.0.1", true),
            ("http://[::1]:80", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(Origin::parse(text).unwrap().is_loopback(), expected, "{text}");
        }
    }
}
