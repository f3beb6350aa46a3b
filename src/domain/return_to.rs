//! Where a login may send the browser afterwards (R12, A19).
//!
//! I own: [`ReturnTo`]. I may call: `path`, `url`. I never hold anything but a path of our own origin.

use super::path::CanonicalPath;
use url::Url;

/// The longest target kept in bytes; what is longer falls back to its path, and a longer path to `/`.
const MAX_LENGTH: usize = 2048;

/// A same-origin target: a canonical path and perhaps a query. Whatever a WHATWG URL parser makes of it against an
/// http(s) origin stays on that origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo {
    path: CanonicalPath,
    query: Option<String>,
}

impl ReturnTo {
    /// The front page.
    pub fn root() -> Self {
        Self { path: CanonicalPath::root(), query: None }
    }

    /// Parses a target that a stranger handed over. `None` when it is not certain to stay on this origin.
    pub fn parse(text: &str) -> Option<Self> {
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return None;
        }
        // A fragment never reaches a server; it is dropped rather than carried through the provider.
        let text = text.split('#').next().unwrap_or_default();
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        Self::from_parts(CanonicalPath::parse(path).ok()?, query)
    }

    /// From the parts of a request that has passed the canonical-path rule.
    pub fn from_parts(path: CanonicalPath, query: Option<&str>) -> Option<Self> {
        let query = query.map(encode_query);
        let mut target = Self { path, query };
        if target.to_location().len() > MAX_LENGTH {
            target.query = None;
        }
        (target.path.as_str().len() <= MAX_LENGTH && target.stays_home()).then_some(target)
    }

    /// The same target without its query: what remains when the whole does not fit into the login state.
    #[must_use]
    pub fn without_query(&self) -> Self {
        Self { path: self.path.clone(), query: None }
    }

    /// The path alone.
    pub fn path(&self) -> &CanonicalPath {
        &self.path
    }

    /// The text for a `Location` header.
    pub fn to_location(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path.as_str()),
            None => self.path.as_str().to_owned(),
        }
    }

    // Judged on what will be emitted, by the parser that browsers use (R12).
    fn stays_home(&self) -> bool {
        let base = "https://keycard.invalid";
        let parsed = Url::parse(base).and_then(|url| url.join(&self.to_location()));
        parsed.is_ok_and(|url| url.origin().ascii_serialization() == base && url.username().is_empty())
    }
}

/// Everything that is not plain printable ASCII, and the characters that HTML and header writers trip over, encoded.
fn encode_query(raw: &str) -> String {
    raw.bytes().fold(String::with_capacity(raw.len()), |mut out, byte| {
        match byte {
            0..=0x20 | 0x7f.. | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                out.push_str(&format!("%{byte:02X}"));
            }
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
            ("/a#frag", "/a"),
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
        ] {
            assert!(ReturnTo::parse(text).is_none(), "{text:?}");
        }
        assert!(ReturnTo::parse(&format!("/{}", "a".repeat(MAX_LENGTH))).is_none());
    }
}
