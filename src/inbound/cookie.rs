//! Cookies, byte for byte (R54, R55, A21).
//!
//! I own: the reading of the raw `Cookie` header, and the `Set-Cookie` lines of the binding cookie and of removals.
//! I may call: `domain`. I never decode a name, never trim anything but SP and HTAB, never parse a foreign pair: the
//! parser of the framework does all three, and one Latin-1 byte in a neighbour makes it give up on the whole header.

use crate::domain::cookie_reach::CookieReach;
use crate::domain::secret::Binding;

/// The longest value of ours that is looked at, in bytes: a signed ticket has 87 and some percent signs.
pub const MAX_VALUE: usize = 200;

/// The names of our two cookies.
#[derive(Clone, Debug)]
pub struct CookieNames {
    /// The session cookie.
    pub session: String,
    /// The cookie that binds logins to a browser.
    pub binding: String,
    /// Whether they carry `Secure`.
    pub secure: bool,
    /// On which requests the session cookie goes along.
    pub reach: CookieReach,
}

impl CookieNames {
    /// `__Host-` names over https (R51); on plain http there is neither prefix nor `Secure`, which browsers would
    /// refuse to store there.
    pub fn new(secure: bool) -> Self {
        let prefix = if secure { "__Host-" } else { "" };
        let (session, binding) = (format!("{prefix}keycard"), format!("{prefix}keycard-login"));
        Self { session, binding, secure, reach: CookieReach::Lax }
    }

    /// The same names, with another reach.
    #[must_use]
    pub fn reaching(self, reach: CookieReach) -> Self {
        Self { reach, ..self }
    }

    /// What follows `SameSite=None`, so that a cookie that goes along in frames has a jar for each site around them.
    pub fn partition(&self) -> Option<&'static str> {
        matches!(self.reach, CookieReach::Framed(_)).then_some("; Partitioned")
    }

    /// The `Set-Cookie` line of the binding cookie: gone with the browser session.
    pub fn set_binding(&self, binding: &Binding) -> String {
        self.line(&self.binding, binding.expose(), "")
    }

    /// The `Set-Cookie` line that removes a cookie of ours: same attributes, no life (R56).
    pub fn removal(&self, name: &str) -> String {
        self.line(name, "", "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    }

    fn line(&self, name: &str, value: &str, life: &str) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        let same_site = match self.reach {
            CookieReach::Strict if name == self.session => "Strict",
            // The binding comes back with the provider's redirect, which is never a request of our own.
            CookieReach::Lax | CookieReach::Strict => "Lax",
            CookieReach::Framed(_) => "None",
        };
        let partition = self.partition().unwrap_or_default();
        format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}{partition}{life}")
    }
}

/// What the `Cookie` headers of a request hold.
#[derive(Default)]
pub struct CookiesRead<'h> {
    /// The raw value of our session cookie, if there is exactly one and it could be one of ours.
    pub session: Option<&'h str>,
    /// The binding, likewise.
    pub binding: Option<Binding>,
    /// Every foreign pair, byte for byte as it came, for the upstream.
    pub foreign: Vec<u8>,
}

/// One of our cookies occurs more than once: somebody else has planted one (R54).
#[derive(Debug, PartialEq, Eq)]
pub struct Planted(pub String);

/// Reads the raw `Cookie` headers.
///
/// # Errors
/// [`Planted`] when one of our cookies occurs twice; the request deserves a 400, and the cookie is expired.
pub fn read<'h>(
    headers: impl Iterator<Item = &'h [u8]>,
    names: &CookieNames,
) -> Result<CookiesRead<'h>, Planted> {
    let (mut session, mut binding, mut read) = (None, None, CookiesRead::default());
    for pair in headers.flat_map(|header| header.split(|byte| *byte == b';')).map(trim) {
        let (name, value) = split(pair);
        if name == Some(names.session.as_bytes()) {
            if session.replace(value).is_some() {
                return Err(Planted(names.session.clone()));
            }
        } else if name == Some(names.binding.as_bytes()) {
            if binding.replace(value).is_some() {
                return Err(Planted(names.binding.clone()));
            }
        } else if !pair.is_empty() && !looks_like_ours(pair, names) {
            if !read.foreign.is_empty() {
                read.foreign.extend_from_slice(b"; ");
            }
            read.foreign.extend_from_slice(pair);
        }
    }
    read.session = session.and_then(session_value);
    read.binding = binding.and_then(binding_value);
    Ok(read)
}

/// Only SP and HTAB are white space here (RFC 6265 section 5.2): no Unicode space makes a foreign name ours.
fn trim(pair: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = pair.iter().position(|byte| !blank(byte)).unwrap_or(pair.len());
    let end = pair.iter().rposition(|byte| !blank(byte)).map_or(start, |at| at + 1);
    &pair[start..end]
}

/// Name and value of a pair, both trimmed like the pair; a pair without `=` has no name.
fn split(pair: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (Some(trim(&pair[..at])), trim(&pair[at + 1..])),
        None => (None, pair),
    }
}

fn session_value(value: &[u8]) -> Option<&str> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'%' | b'-' | b'_');
    let sound = (1..=MAX_VALUE).contains(&value.len()) && value.iter().all(plain);
    if sound { std::str::from_utf8(value).ok() } else { None }
}

fn binding_value(value: &[u8]) -> Option<Binding> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let sound = value.len() == 43 && value.iter().all(plain);
    sound.then(|| Binding::new(String::from_utf8_lossy(value).into_owned()))
}

/// Whether a more lenient reader behind us could take a foreign pair for one of our cookies: other case, percent
/// signs, quotes, strange spaces, or a nameless pair that spells `name=value`. Such a pair goes nowhere.
fn looks_like_ours(pair: &[u8], names: &CookieNames) -> bool {
    let text = String::from_utf8_lossy(pair);
    let decoded: String = url::form_urlencoded::parse(text.as_bytes())
        .next()
        .map(|(name, value)| format!("{name}={value}"))
        .unwrap_or_default();
    [text.as_ref(), decoded.as_str()].into_iter().any(|spelling| {
        let bare = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\u{fffd}');
        let name = spelling.trim_start_matches(bare).split('=').next().unwrap_or_default();
        let name = name.trim_matches(bare).to_ascii_lowercase();
        name == names.session.to_ascii_lowercase() || name == names.binding.to_ascii_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> CookieNames {
        CookieNames::new(true)
    }

    fn session_of(header: &[u8]) -> Option<String> {
        read([header].into_iter(), &names()).unwrap().session.map(str::to_owned)
    }

    fn foreign_of(header: &[u8]) -> Vec<u8> {
        read([header].into_iter(), &names()).unwrap().foreign
    }

    #[test]
    fn r54_a21_only_the_exact_name_counts() {
        assert_eq!(session_of(b"__Host-keycard=abc").as_deref(), Some("abc"));
        assert_eq!(session_of(b"a=b;\t__Host-keycard=abc ; c=d").as_deref(), Some("abc"));
        for (what, header) in [
            ("percent-encoded name", b"__%48ost-keycard=x".as_slice()),
            ("other case", b"__host-keycard=x"),
            ("U+2000 before the name", "\u{2000}__Host-keycard=x".as_bytes()),
            ("U+00A0 before the name", "\u{a0}__Host-keycard=x".as_bytes()),
            ("Latin-1 NBSP before the name", b"\xa0__Host-keycard=x"),
            ("vertical tab before the name", b"\x0b__Host-keycard=x"),
            ("quoted name", b"\"__Host-keycard\"=x"),
            ("nameless", b"=__Host-keycard=x"),
            ("nameless without sign", b"__Host-keycard"),
            ("value in quotes", b"__Host-keycard=\"x\""),
            ("comma", b"a=b,__Host-keycard=x"),
            ("too long", &[b"__Host-keycard=".as_slice(), &[b'a'; 201]].concat()),
            ("empty", b"__Host-keycard="),
        ] {
            assert_eq!(session_of(header), None, "{what}");
        }
    }

    #[test]
    fn a21_neighbours_neither_help_nor_hinder() {
        for (what, header) in [
            ("Latin-1 neighbour", b"name=caf\xe9; __Host-keycard=x; z=\xff".as_slice()),
            ("$Version", b"$Version=1; __Host-keycard=x; $Path=/"),
            ("nameless neighbour", b"=y; __Host-keycard=x"),
            ("broken percent", b"%=%; __Host-keycard=x"),
            ("stray semicolons", b";;; __Host-keycard=x;;"),
        ] {
            assert_eq!(session_of(header).as_deref(), Some("x"), "{what}");
        }
    }

    #[test]
    fn r54_a21_two_of_ours_are_refused_for_both_cookies() {
        let refused = |headers: &[&[u8]]| read(headers.iter().copied(), &names()).err();
        for name in ["__Host-keycard", "__Host-keycard-login"] {
            let twice = format!("{name}=a; x=y; {name}=b");
            assert_eq!(refused(&[twice.as_bytes()]), Some(Planted(name.into())));
            let same = format!("{name}=a; {name}=a");
            assert_eq!(refused(&[same.as_bytes()]), Some(Planted(name.into())));
            let one = format!("{name}=a");
            assert_eq!(refused(&[one.as_bytes(), one.as_bytes()]), Some(Planted(name.into())), "two headers");
        }
    }

    #[test]
    fn r55_foreign_pairs_pass_byte_for_byte_and_ours_never() {
        let binding = "b".repeat(43);
        let header = format!("a=1; __Host-keycard=x; b=\"q;  __Host-keycard-login={binding}; c = d");
        assert_eq!(foreign_of(header.as_bytes()), b"a=1; b=\"q; c = d");
        assert_eq!(foreign_of(b"caf\xe9=\xff; a"), b"caf\xe9=\xff; a");
        for (what, header) in [
            ("percent-encoded name", b"__%48ost-keycard=x".as_slice()),
            ("other case", b"__HOST-Keycard=x"),
            ("U+2000", "\u{2000}__Host-keycard=x".as_bytes()),
            ("nameless", b"=__Host-keycard=x"),
            ("quoted", b"\"__Host-keycard\"=x"),
            ("binding, other case", b"__host-keycard-LOGIN=x"),
        ] {
            assert_eq!(foreign_of(header), b"", "{what}");
        }
        assert_eq!(foreign_of(b"__Host-keycards=x; xkeycard=y"), b"__Host-keycards=x; xkeycard=y");
    }

    #[test]
    fn a_malformed_binding_counts_as_none() {
        let binding = |value: &str| {
            read([format!("__Host-keycard-login={value}").as_bytes()].into_iter(), &names()).unwrap().binding
        };
        assert!(binding(&"a".repeat(43)).is_some());
        for bad in [&"a".repeat(42), &"a".repeat(44), &"+".repeat(43)] {
            assert!(binding(bad).is_none());
        }
    }

    #[test]
    fn r51_r56_attributes_of_what_we_set() {
        let line = names().set_binding(&Binding::new("v"));
        assert_eq!(line, "__Host-keycard-login=v; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert!(
            names()
                .removal("__Host-keycard")
                .starts_with("__Host-keycard=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0")
        );
        assert_eq!(
            CookieNames::new(false).set_binding(&Binding::new("v")),
            "keycard-login=v; Path=/; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn r51_the_reach_decides_and_the_binding_is_never_strict() {
        let line = |reach: CookieReach, session: bool| {
            let names = names().reaching(reach);
            if session { names.removal(&names.session) } else { names.set_binding(&Binding::new("v")) }
        };
        let framed = CookieReach::Framed(vec![]);
        assert!(line(CookieReach::Strict, true).contains("; SameSite=Strict; Secure"));
        assert!(line(CookieReach::Strict, false).contains("; SameSite=Lax; Secure"));
        for session in [true, false] {
            assert!(line(framed.clone(), session).contains("; SameSite=None; Secure; Partitioned"));
        }
    }
}
