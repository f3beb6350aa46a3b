//! Where a login may send the browser afterwards (R12, A19).
//!
//! I own: [`ReturnTo`]. I may call: `path`, `url`. I never hold anything but a path of our own origin.

use super::path::CanonicalPath;
use url::Url;

/// The longest target kept in bytes; what is longer falls back to its path, and a longer path to `/`.
const MAX_LENGTH: usize = 2048;

/// The longest fragment kept in bytes.
const MAX_FRAGMENT: usize = 1024;

/// A same-origin target: a canonical path, perhaps a query, perhaps a fragment. Whatever a WHATWG URL parser makes of it
/// against an http(s) origin stays on that origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo {
    path: CanonicalPath,
    query: Option<String>,
    fragment: Option<String>,
}

impl ReturnTo {
    /// The front page.
    pub fn root() -> Self {
        Self { path: CanonicalPath::root(), query: None, fragment: None }
    }

    /// Parses a target that a stranger handed over. `None` when it is not certain to stay on this origin.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, fragment) = match text.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (text, None),
        };
        // Behind `#` a backslash separates nothing; it is encoded like anything odd.
        if text.chars().any(char::is_control) || address.contains('\\') {
            return None;
        }
        let (path, query) = match address.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (address, None),
        };
        Self::from_parts(CanonicalPath::parse(path).ok()?, query)?.with_fragment(fragment)
    }

    /// From the parts of a request that has passed the canonical-path rule.
    pub fn from_parts(path: CanonicalPath, query: Option<&str>) -> Option<Self> {
        let query = query.map(|raw| encode(raw, ODD_IN_QUERY));
        let mut target = Self { path, query, fragment: None };
        if target.to_location().len() > MAX_LENGTH {
            target.query = None;
        }
        (target.path.as_str().len() <= MAX_LENGTH && target.stays_home()).then_some(target)
    }

    /// With this fragment, unless it is too long: a page that opens at its beginning is better than none.
    fn with_fragment(self, fragment: Option<&str>) -> Option<Self> {
        let fragment = fragment.filter(|text| !text.is_empty()).map(|raw| encode(raw, ODD));
        let target = Self { fragment: fragment.filter(|text| text.len() <= MAX_FRAGMENT), ..self };
        if target.to_location().len() > MAX_LENGTH {
            return Some(target.without_fragment());
        }
        target.stays_home().then_some(target)
    }

    /// The same target without what stands behind `#`.
    #[must_use]
    pub fn without_fragment(&self) -> Self {
        Self { fragment: None, ..self.clone() }
    }

    /// The path alone: what remains when the whole does not fit into the login state.
    #[must_use]
    pub fn without_query(&self) -> Self {
        Self { path: self.path.clone(), query: None, fragment: None }
    }

    /// The path alone.
    pub fn path(&self) -> &CanonicalPath {
        &self.path
    }

    /// The query, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The text for a `Location` header.
    pub fn to_location(&self) -> String {
        let mut location = self.path.as_str().to_owned();
        for (sign, part) in [('?', &self.query), ('#', &self.fragment)] {
            if let Some(part) = part {
                location.push(sign);
                location.push_str(part);
            }
        }
        location
    }

    // Judged on what will be emitted, by the parser that browsers use (R12).
    fn stays_home(&self) -> bool {
        let base = "https://keycard.invalid";
        let parsed = Url::parse(base).and_then(|url| url.join(&self.to_location()));
        parsed.is_ok_and(|url| url.origin().ascii_serialization() == base && url.username().is_empty())
    }
}

/// What HTML and header writers trip over, beside everything that is not plain printable ASCII.
const ODD: &[u8] = b"\"<>\\`";

/// In a query, what RFC 3986 does not know besides. In a fragment browsers leave these as they are, and apps compare.
const ODD_IN_QUERY: &[u8] = b"\"<>\\`^{|}";

fn encode(raw: &str, odd: &[u8]) -> String {
    raw.bytes().fold(String::with_capacity(raw.len()), |mut out, byte| {
        match byte {
            0..=0x20 | 0x7f.. => out.push_str(&format!("%{byte:02X}")),
            byte if odd.contains(&byte) => out.push_str(&format!("%{byte:02X}")),
            plain => out.push(char::from(plain)),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_paths_and_queries() {
        for (text, location) in [
            ("/", "/"),
            ("/wiki/start?do=edit&x=1", "/wiki/start?do=edit&x=1"),
            ("/a#frag", "/a#frag"),
            ("/a?b=c#/d?e=f&g#h", "/a?b=c#/d?e=f&g#h"),
            ("/a?{b|c}#{b|c}^", "/a?%7Bb%7Cc%7D#{b|c}^"),
            ("/a#", "/a"),
            ("/a#\u{e9} \"<b>`\\x", "/a#%C3%A9%20%22%3Cb%3E%60%5Cx"),
            ("/a?q=//evil.com", "/a?q=//evil.com"),
            ("/%61?q=\u{e9}\"", "/a?q=%C3%A9%22"),
        ] {
            assert_eq!(ReturnTo::parse(text).unwrap().to_location(), location, "{text}");
        }
        assert_eq!(ReturnTo::root(), ReturnTo::parse("/").unwrap());
        let long = format!("/wiki/?q={}", "x".repeat(MAX_LENGTH));
        assert_eq!(ReturnTo::parse(&long).unwrap().to_location(), "/wiki/");
    }

    #[test]
    fn a_long_fragment_costs_nobody_the_rest() {
        let located = |text: String| ReturnTo::parse(&text).unwrap().to_location();
        assert_eq!(located(format!("/a?b#{}", "x".repeat(MAX_FRAGMENT))).len(), 5 + MAX_FRAGMENT);
        assert_eq!(located(format!("/a?b#{}", "x".repeat(MAX_FRAGMENT + 1))), "/a?b");
        // Encoded, it is three times as long.
        assert_eq!(located(format!("/a?b#{}", "<".repeat(MAX_FRAGMENT / 2))), "/a?b");
        let query = "q".repeat(MAX_LENGTH - 100);
        assert_eq!(located(format!("/a?{query}#{}", "x".repeat(200))), format!("/a?{query}"));
        let target = ReturnTo::parse("/a?b#c").unwrap();
        assert_eq!(target.without_fragment().to_location(), "/a?b");
        assert_eq!(target.without_query().to_location(), "/a");
    }

    #[test]
    fn r12_refuses_what_could_leave_the_origin() {
        for text in [
            "",
            "evil",
            "//evil.com",
            "/\\evil.com",
            "\\/evil",
            "https://evil.com",
            "javascript:x",
            "/\t/evil.com",
            "/a#\r\nSet-Cookie: x",
            "#/a",
            "//evil.com#/a",
            "/\\evil.com#/a",
            "https://evil.com#/a",
        ] {
            assert!(ReturnTo::parse(text).is_none(), "{text:?}");
        }
        assert!(ReturnTo::parse(&format!("/{}", "a".repeat(MAX_LENGTH))).is_none());
    }
}
