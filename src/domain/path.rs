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
mod tests;
