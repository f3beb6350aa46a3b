//! The one form of a path that is judged and forwarded (R70, A29).
//!
//! I own: [`CanonicalPath`]. I may call: `std`. I never guess what a strange path means: where two readers could
//! differ, the path is refused.

/// A request path on which policy and upstream cannot disagree: absolute, valid UTF-8 once decoded, without dot
/// segments, empty segments, `\`, `;`, control characters or their encodings; unreserved characters are plain and
/// the remaining percent triplets upper-case (RFC 3986 section 6.2.2). These very bytes are forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CanonicalPath(String);

/// Why a path is refused. The stranger gets a 400 that names the rule, never the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathRefusal {
    /// Does not begin with `/` (asterisk form, authority form).
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// A `%` that two hexadecimal digits do not follow.
    #[error("the path has a malformed percent encoding")]
    BadEncoding,
    /// `%2f`, `%5c`, `%2e` or a control character, encoded once or several times.
    #[error("the path has an encoded slash, backslash, dot or control character")]
    EncodedDelimiter,
    /// Decoded, it belongs to another route. Only [`super::route::RouteTable::canonical`] can tell.
    #[error("the path leads elsewhere once it is decoded")]
    OtherRoute,
    /// `\`, `;` or a raw control character.
    #[error("the path has a backslash, semicolon or control character")]
    Delimiter,
    /// `//`.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..` as a segment, also with parameters behind an encoded `;`, which some readers cut off.
    #[error("the path has a dot segment")]
    DotSegment,
    /// Not UTF-8 once decoded; overlong forms are among these.
    #[error("the path is not valid UTF-8")]
    NotUtf8,
}

/// How many further decodings are tried for what they would uncover.
const DEEPEST: usize = 8;

impl CanonicalPath {
    /// Brings a raw request path (without query) into canonical form.
    ///
    /// # Errors
    /// When the path is not unambiguous; see [`PathRefusal`].
    pub fn parse(raw: &str) -> Result<Self, PathRefusal> {
        Self::read(raw, false)
    }

    /// The same for the routes that ask for `%2F` (`allow_encoded_slash`): it stays as it is, inside of a segment, for
    /// the app to make sense of. Whoever takes it for a slash finds no dot segment either (`..%2f`), and no other
    /// beginning or end of a segment. Only [`super::route::RouteTable::canonical`] knows whether it is asked for.
    ///
    /// # Errors
    /// See [`PathRefusal`].
    pub(super) fn parse_with_encoded_slashes(raw: &str) -> Result<Self, PathRefusal> {
        Self::read(raw, true)
    }

    fn read(raw: &str, slashes: bool) -> Result<Self, PathRefusal> {
        if !raw.starts_with('/') {
            return Err(PathRefusal::NotAbsolute);
        }
        let bytes = raw.as_bytes();
        let (mut canonical, mut decoded) = (String::with_capacity(raw.len()), Vec::with_capacity(raw.len()));
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'%' => {
                    let octet = triplet(bytes, at).ok_or(PathRefusal::BadEncoding)?;
                    if is_delimiter(octet) && !(slashes && octet == b'/') {
                        return Err(PathRefusal::EncodedDelimiter);
                    }
                    if is_unreserved(octet) {
                        canonical.push(char::from(octet));
                    } else {
                        canonical.push_str(&format!("%{octet:02X}"));
                    }
                    decoded.push(octet);
                    at += 3;
                }
                b'\\' | b';' | 0..=0x20 | 0x7f => return Err(PathRefusal::Delimiter),
                0x80.. => {
                    canonical.push_str(&format!("%{byte:02X}"));
                    decoded.push(byte);
                    at += 1;
                }
                // Not allowed in a path by RFC 3986, yet sent by some clients: one spelling, encoded.
                b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                    canonical.push_str(&format!("%{byte:02X}"));
                    decoded.push(byte);
                    at += 1;
                }
                b'?' | b'#' => return Err(PathRefusal::Delimiter),
                plain => {
                    canonical.push(char::from(plain));
                    decoded.push(plain);
                    at += 1;
                }
            }
        }
        if std::str::from_utf8(&decoded).is_err() {
            return Err(PathRefusal::NotUtf8);
        }
        let dotted = has_dot_segment(&decoded);
        if hides_delimiter(decoded) {
            return Err(PathRefusal::EncodedDelimiter);
        }
        if ["//", "/%2F", "%2F/"].iter().any(|empty| canonical.contains(empty)) || canonical.ends_with("%2F")
        {
            return Err(PathRefusal::EmptySegment);
        }
        if dotted {
            return Err(PathRefusal::DotSegment);
        }
        Ok(Self(canonical))
    }

    /// The path as the most lenient reader sees it: encoded slashes decoded, runs of them merged.
    pub(super) fn with_plain_slashes(&self) -> Self {
        let mut plain = self.0.replace("%2F", "/");
        while plain.contains("//") {
            plain = plain.replace("//", "/");
        }
        Self(plain)
    }

    /// The path with its marks decoded: `%3A` is `:` to every app, though RFC 3986 (section 2.2) keeps the two apart.
    /// Only for judging: what is forwarded keeps its spelling, because a mark may be data.
    #[must_use]
    pub fn with_plain_marks(&self) -> Self {
        let (bytes, mut plain) = (self.0.as_bytes(), String::with_capacity(self.0.len()));
        let mut rest = self.0.char_indices();
        while let Some((at, char)) = rest.next() {
            match triplet(bytes, at).filter(|octet| char == '%' && is_mark(*octet)) {
                Some(octet) => {
                    plain.push(char::from(octet));
                    rest.nth(1);
                }
                None => plain.push(char),
            }
        }
        Self(plain)
    }

    /// The one form for all who could read the path differently: encoded slashes and marks decoded. Rules are asked
    /// about this one, and it is never forwarded.
    #[must_use]
    pub fn judged(&self) -> Self {
        self.with_plain_slashes().with_plain_marks()
    }

    /// The path with `from` at its beginning replaced by `to`: what is forwarded where a route strips or replaces its
    /// prefix (R70). Made of canonical parts, it is canonical. A path that is not under `from` stays as it is.
    #[must_use]
    pub fn moved(&self, from: &Self, to: &Self) -> Self {
        if !self.is_under(from.as_str()) {
            return self.clone();
        }
        match self.0.strip_prefix(from.stem()) {
            Some("") => to.clone(),
            Some(rest) => Self(format!("{}{rest}", to.stem())),
            None => self.clone(),
        }
    }

    /// The path without a slash at its end: empty for `/`.
    pub fn stem(&self) -> &str {
        self.0.strip_suffix('/').unwrap_or(&self.0)
    }

    /// `/`.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The canonical path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this path is `prefix` or lies below it, by whole segments: `/api` holds `/api` and `/api/x`, not
    /// `/apix`; `/wiki/` holds `/wiki` too.
    pub fn is_under(&self, prefix: &str) -> bool {
        let stem = prefix.strip_suffix('/').unwrap_or(prefix);
        self.0.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn triplet(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |index: usize| bytes.get(index).and_then(|b| char::from(*b).to_digit(16));
    let (high, low) = (digit(at + 1)?, digit(at + 2)?);
    u8::try_from(high * 16 + low).ok()
}

/// `/`, `\`, `.` and control characters: encoded, they mean one thing to one reader and another to the next.
fn is_delimiter(octet: u8) -> bool {
    matches!(octet, b'/' | b'\\' | b'.' | 0..=0x1f | 0x7f)
}

/// A segment that is `.` or `..` once its parameters are cut off: `..;` climbs where servlets are served, and a proxy in
/// between may have decoded its `;` (A29).
fn has_dot_segment(decoded: &[u8]) -> bool {
    decoded.split(|byte| *byte == b'/').any(|segment| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        matches!(name, b"." | b"..")
    })
}

/// Whether a reader that decodes what is decoded already would find a delimiter, however often it does so. Deeper than
/// [`DEEPEST`] nobody means anything honest.
fn hides_delimiter(mut decoded: Vec<u8>) -> bool {
    for _ in 0..DEEPEST {
        let mut next = Vec::with_capacity(decoded.len());
        let mut at = 0;
        while let Some(&byte) = decoded.get(at) {
            match triplet(&decoded, at).filter(|_| byte == b'%') {
                Some(octet) if is_delimiter(octet) => return true,
                Some(octet) => {
                    next.push(octet);
                    at += 3;
                }
                None => {
                    next.push(byte);
                    at += 1;
                }
            }
        }
        if next.len() == decoded.len() {
            return false;
        }
        if has_dot_segment(&next) {
            return true;
        }
        decoded = next;
    }
    true
}

fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'~')
}

/// What may stand in a path plain and encoded (RFC 3986 section 3.3, without `;`), and the brackets, which some
/// clients send plain.
fn is_mark(octet: u8) -> bool {
    matches!(octet, b'!' | b'$' | b'&'..=b',' | b':' | b'=' | b'@' | b'[' | b']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> Result<String, PathRefusal> {
        CanonicalPath::parse(raw).map(|path| path.0)
    }

    #[test]
    fn a29_ambiguous_paths_are_refused() {
        use PathRefusal::*;
        for (raw, refusal) in [
            ("/public/..%2fadmin", EncodedDelimiter),
            ("/public/..%2Fadmin", EncodedDelimiter),
            ("/a%5cb", EncodedDelimiter),
            ("/%2e%2e/admin", EncodedDelimiter),
            ("/%2e/admin", EncodedDelimiter),
            ("/admin%00", EncodedDelimiter),
            ("/admin%0a", EncodedDelimiter),
            ("/a%252e%252e/b", EncodedDelimiter),
            ("/a%25252fb", EncodedDelimiter),
            ("/public/%25%32%65%25%32%65/admin", EncodedDelimiter),
            ("/a%25%32%66b", EncodedDelimiter),
            ("/%2525252525252525252525252541", EncodedDelimiter),
            ("//admin", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a/../b", DotSegment),
            ("/a/.", DotSegment),
            ("/public/..%3b/admin", DotSegment),
            ("/public/..%3Bx=y/admin", DotSegment),
            ("/public/.%3b/admin", DotSegment),
            ("/public/..%253b/admin", EncodedDelimiter),
            ("/admin;/x", Delimiter),
            ("/a\\b", Delimiter),
            ("/a b", Delimiter),
            ("/a#b", Delimiter),
            ("*", NotAbsolute),
            ("", NotAbsolute),
            ("http://evil/", NotAbsolute),
            ("/%", BadEncoding),
            ("/%4", BadEncoding),
            ("/%zz", BadEncoding),
            ("/%+1", BadEncoding),
            ("/%c0%af", NotUtf8),
            ("/%e0%80%af", NotUtf8),
            ("/%ff", NotUtf8),
        ] {
            assert_eq!(canonical(raw), Err(refusal), "{raw}");
        }
    }

    #[test]
    fn r70_one_spelling_for_one_path() {
        for (raw, expected) in [
            ("/", "/"),
            ("/%61dmin", "/admin"),
            ("/%7euser", "/~user"),
            ("/a%3ab", "/a%3Ab"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/a%20b", "/a%20b"),
            ("/50%25", "/50%25"),
            ("/x%2541", "/x%2541"),
            ("/a/", "/a/"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/a..%3bb", "/a..%3Bb"),
            ("/..a%3b", "/..a%3B"),
            ("/{id}", "/%7Bid%7D"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn r70_plain_or_encoded_a_path_is_judged_in_one_form() {
        for byte in 0x21..0x7f_u8 {
            // A slash is not one of two spellings: plain it parts segments, encoded it is refused.
            let Ok(plain) = CanonicalPath::parse(&format!("/a{}b", char::from(byte))) else { continue };
            if matches!(byte, b'/' | b'.' | b'%') {
                continue;
            }
            let encoded = CanonicalPath::parse(&format!("/a%{byte:02x}b")).unwrap();
            assert_eq!(encoded.judged(), plain.judged(), "{:?}", char::from(byte));
        }
        for (raw, expected) in [
            ("/mw/Special%3aUserRights", "/mw/Special:UserRights"),
            ("/od/%24batch", "/od/$batch"),
            ("/%7E%5Bx%5d%2c%2B", "/~[x],+"),
            ("/a%253Ab", "/a%253Ab"),
            ("/a%3Bb%20c", "/a%3Bb%20c"),
            ("/%C3%A9%3A", "/%C3%A9:"),
        ] {
            assert_eq!(CanonicalPath::parse(raw).unwrap().judged().as_str(), expected, "{raw}");
        }
        let slashes = CanonicalPath::parse_with_encoded_slashes("/od/admin%2Fx%3ay").unwrap();
        assert_eq!(slashes.judged().as_str(), "/od/admin/x:y");
    }

    #[test]
    fn prefixes_match_whole_segments() {
        let path = |raw: &str| CanonicalPath::parse(raw).unwrap();
        for (raw, prefix, expected) in [
            ("/api", "/api", true),
            ("/api/x", "/api", true),
            ("/apix", "/api", false),
            ("/wiki", "/wiki/", true),
            ("/wiki/", "/wiki/", true),
            ("/", "/", true),
            ("/x", "/", true),
            ("/API", "/api", false),
        ] {
            assert_eq!(path(raw).is_under(prefix), expected, "{raw} {prefix}");
        }
    }

    #[test]
    fn r70_a_prefix_is_stripped_and_replaced_by_whole_segments() {
        for (path, from, to, expected) in [
            ("/app/x", "/app/", "/", "/x"),
            ("/app/", "/app/", "/", "/"),
            ("/app", "/app/", "/", "/"),
            ("/app/x/", "/app", "/", "/x/"),
            ("/apple", "/app", "/", "/apple"),
            ("/app/x", "/app/", "/base/", "/base/x"),
            ("/app", "/app", "/base/", "/base/"),
            ("/app", "/app", "/base", "/base"),
            ("/app/x", "/app", "/base", "/base/x"),
            ("/x", "/", "/base", "/base/x"),
            ("/", "/", "/base/", "/base/"),
            ("/app/app/x", "/app/", "/", "/app/x"),
            ("/app/a%20b%C3%A9", "/app/", "/", "/a%20b%C3%A9"),
        ] {
            let parse = |text: &str| CanonicalPath::parse(text).unwrap();
            let moved = parse(path).moved(&parse(from), &parse(to));
            assert_eq!(moved.as_str(), expected, "{path}: {from} -> {to}");
            assert_eq!(CanonicalPath::parse(moved.as_str()), Ok(moved), "{path} stays canonical");
        }
    }

    #[test]
    fn a29_an_encoded_slash_never_traverses() {
        use PathRefusal::*;
        let lenient = |raw: &str| CanonicalPath::parse_with_encoded_slashes(raw).map(|path| path.0);
        for (raw, refusal) in [
            ("/app/..%2fadmin", DotSegment),
            ("/app/x%2f..%2fadmin", DotSegment),
            ("/app/x%2F..", DotSegment),
            ("/app/x%2F.%2Fy", DotSegment),
            ("/app/%2e%2e%2fadmin", EncodedDelimiter),
            ("/app/x%2f%2e%2e", EncodedDelimiter),
            ("/app/x%252fy", EncodedDelimiter),
            ("/app/x%25252fy", EncodedDelimiter),
            ("/app/x%2fy%5cz", EncodedDelimiter),
            ("/app/x%2fy%00", EncodedDelimiter),
            ("/app/%2fevil.test", EmptySegment),
            ("/app/x%2f/y", EmptySegment),
            ("/app/x%2f", EmptySegment),
            ("/%2fevil.test", EmptySegment),
            ("/app/x%2fy;z", Delimiter),
            ("%2fapp", NotAbsolute),
        ] {
            assert_eq!(lenient(raw), Err(refusal), "{raw}");
        }
        for (raw, expected, plain) in [
            ("/api/group%2fproject", "/api/group%2Fproject", "/api/group/project"),
            ("/get/https%3a%2f%2Fx.test%2fy", "/get/https%3A%2F%2Fx%2Etest%2Fy", ""),
            ("/a/x%2F%2Fy", "/a/x%2F%2Fy", "/a/x/y"),
        ] {
            let expected = expected.replace("%2E", ".");
            assert_eq!(lenient(raw).as_ref(), Ok(&expected), "{raw}");
            let path = CanonicalPath(expected);
            assert!(plain.is_empty() || path.with_plain_slashes().as_str() == plain, "{raw}");
        }
        assert_eq!(
            canonical("/api/group%2fproject"),
            Err(EncodedDelimiter),
            "and only where it is asked for"
        );
    }

    proptest::proptest! {
        #[test]
        fn r70_what_is_moved_is_canonical_and_what_lenient_readers_see_too(
            raw in "/(a|b|%2F|%2f|/|\\.|%25){0,12}",
            from in "/(a|b)?/?", to in "/(c|d)?/?",
        ) {
            let parse = |text: &str| CanonicalPath::parse(text);
            if let (Ok(path), Ok(from), Ok(to)) =
                (CanonicalPath::parse_with_encoded_slashes(&raw), parse(&from), parse(&to))
            {
                let moved = path.moved(&from, &to);
                proptest::prop_assert_eq!(
                    CanonicalPath::parse_with_encoded_slashes(moved.as_str()), Ok(moved.clone()));
                let plain = path.with_plain_slashes();
                proptest::prop_assert_eq!(parse(plain.as_str()), Ok(plain.clone()));
            }
        }

        #[test]
        fn r70_canonical_paths_are_fixed_points(raw in "/([ -~]|%25|%32|%65|%66|2|e|f){0,30}") {
            if let Ok(once) = CanonicalPath::parse(&raw) {
                proptest::prop_assert_eq!(CanonicalPath::parse(once.as_str()), Ok(once.clone()));
            }
        }
    }
}
