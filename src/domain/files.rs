//! A folder of files as an upstream: what may be asked for, and how long a browser may keep it.
//!
//! I own: [`FileSite`], [`Wanted`], [`CacheRule`]. I may call: `path`. I never touch a disk: `upstream::files` does,
//! with the names that I have let through.

use super::path::CanonicalPath;
use std::path::PathBuf;

/// The folder of a route: `upstream = "file:///srv/app/dist"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSite {
    /// The folder; absolute.
    pub root: PathBuf,
    /// What a navigation gets where there is no file: a name below the folder.
    pub fallback: Option<Wanted>,
    /// The operator's rules, the more particular ones first.
    pub cache: Vec<CacheRule>,
}

/// What a browser may keep, and how long: one line of `cache_control`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRule {
    /// A name below the folder in which `*` stands for any characters; without a slash, the last part alone counts.
    pub pattern: String,
    /// The value of `Cache-Control`.
    pub value: String,
}

/// A file below a folder, by names that are nothing but names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    names: Vec<String>,
    /// Whether the path ends with a slash, so that only a directory can be meant.
    pub directory: bool,
}

/// A year: the longest that `max-age` means anything (RFC 9111 section 1.2.2 names no bound; caches do).
const FOR_A_YEAR: &str = "max-age=31536000, immutable";

impl Wanted {
    /// The file that a path means below a route's prefix. Decoded once, strictly: `None` for what is no plain name, for
    /// hidden files, and for paths that are not below the prefix (R70, A29).
    ///
    /// [`CanonicalPath`] lets none of this through today; a route that is more lenient must not open the folder.
    pub fn below(prefix: &CanonicalPath, path: &CanonicalPath) -> Option<Self> {
        if !path.is_under(prefix.as_str()) {
            return None;
        }
        let stem = prefix.as_str().trim_end_matches('/');
        Self::parse(path.as_str().strip_prefix(stem)?)
    }

    /// Reads `/a/b.js` or `a/b.js`.
    pub fn parse(text: &str) -> Option<Self> {
        let directory = text.ends_with('/');
        let bare = text.strip_prefix('/').unwrap_or(text);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        // Where nothing is left, the folder itself is meant.
        let names = match bare {
            "" => Vec::new(),
            bare => bare.split('/').map(plain_name).collect::<Option<Vec<_>>>()?,
        };
        Some(Self { names, directory })
    }

    /// The names, from the folder down; empty for the folder itself.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// One segment, decoded once. A name that begins with a dot is hidden; one with a delimiter is several.
fn plain_name(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            plain => plain,
        });
    }
    let name = String::from_utf8(bytes).ok()?;
    let hidden = name.is_empty() || name.starts_with('.');
    let several = name.contains(['/', '\\']) || name.chars().any(char::is_control);
    (!hidden && !several).then_some(name)
}

impl FileSite {
    /// The `Cache-Control` of a file, by its name below the folder. `guarded` is a route that not everybody may pass:
    /// what it serves is for one browser's own cache and no other (R58).
    pub fn cache_control(&self, name: &str, is_page: bool, guarded: bool) -> String {
        let own = self.cache.iter().find(|rule| rule.matches(name)).map(|rule| rule.value.as_str());
        let value = own.unwrap_or(match (is_page, is_hashed(name)) {
            (false, true) => FOR_A_YEAR,
            (true, _) | (false, false) => "no-cache",
        });
        let says = |word: &str| directives(value).any(|directive| directive.eq_ignore_ascii_case(word));
        match guarded {
            // The configuration lets no `public` through for such a route.
            true if !says("private") && !says("no-store") => format!("private, {value}"),
            false if own.is_none() => format!("public, {value}"),
            true | false => value.to_owned(),
        }
    }
}

impl CacheRule {
    /// Whether the rule is for this name.
    pub fn matches(&self, name: &str) -> bool {
        let last = name.rsplit('/').next().unwrap_or(name);
        let subject = if self.pattern.contains('/') { name } else { last };
        glob(self.pattern.as_bytes(), subject.as_bytes())
    }

    /// Whether a shared cache could keep what this rule is about.
    pub fn is_shared(&self) -> bool {
        directives(&self.value).any(|directive| {
            let name = directive.split('=').next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case("public") || name.eq_ignore_ascii_case("s-maxage")
        })
    }
}

fn directives(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

/// `*` stands for any characters. Linear: only the last star is ever taken back.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if Some(byte) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p.min(pattern.len())..].iter().all(|byte| *byte == b'*')
}

/// Whether a name carries a hash of its content, as bundlers write it: `main.8f3a9c1b.js`, `index-DiwrgT2a.js`,
/// `main-5QXJZ6N4.js`. A word that only looks like one would be kept for a year, so what could be a word or a date is
/// taken for one: such a file is asked for again each time, which is slower and never wrong.
fn is_hashed(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    let Some((stem, _)) = last.split_once('.').filter(|(stem, _)| !stem.is_empty()) else { return false };
    let middle = last.split('.').skip(1);
    let count = last.split('.').count();
    let dotted = middle.take(count.saturating_sub(2)).any(is_hash);
    dotted || tails(stem).any(is_hash)
}

/// What follows each dash; a base64url hash may itself hold one.
fn tails(stem: &str) -> impl Iterator<Item = &str> {
    stem.match_indices(['-', '_']).map(|(at, _)| &stem[at + 1..])
}

fn is_hash(part: &str) -> bool {
    let has = |test: fn(&u8) -> bool| part.bytes().any(|byte| test(&byte));
    let all = |test: fn(&u8) -> bool| part.bytes().all(|byte| test(&byte));
    let digit = has(u8::is_ascii_digit);
    let (upper, lower) = (has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase));
    let hexadecimal = all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    let base64url = all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let base32 = all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(b));
    match part.len() {
        8 if digit && upper && (base32 || (lower && base64url)) => true,
        8.. => hexadecimal && digit && lower,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(prefix: &str, path: &str) -> Option<(String, bool)> {
        let parse = |text: &str| CanonicalPath::parse(text).unwrap();
        let wanted = Wanted::below(&parse(prefix), &parse(path))?;
        Some((wanted.names.join("/"), wanted.directory))
    }

    #[test]
    fn a29_a_path_is_decoded_once_into_plain_names() {
        for (prefix, path, expected) in [
            ("/", "/", Some(("", true))),
            ("/", "/a/b.js", Some(("a/b.js", false))),
            ("/app/", "/app", Some(("", false))),
            ("/app", "/app/", Some(("", true))),
            ("/app/", "/app/x/", Some(("x", true))),
            ("/app/", "/other", None),
            ("/", "/caf%C3%A9.html", Some(("caf\u{e9}.html", false))),
            ("/", "/a%20b", Some(("a b", false))),
            // Once: the percent sign of a name stays one.
            ("/", "/x%2541", Some(("x%41", false))),
            ("/", "/.env", None),
            ("/", "/.git/config", None),
            ("/", "/a/.htaccess", None),
            ("/", "/...", None),
        ] {
            let expected = expected.map(|(names, directory)| (names.to_owned(), directory));
            assert_eq!(wanted(prefix, path), expected, "{prefix} {path}");
        }
    }

    #[test]
    fn a29_what_a_lenient_route_might_let_through_is_no_name() {
        for bad in ["/a%2fb", "/a%5Cb", "/%2e%2e/x", "/..", "/a%00b", "/a%0Ab", "//a", "/a//b", "/%zz", "/%4"]
        {
            assert_eq!(Wanted::parse(bad), None, "{bad}");
        }
    }

    fn site(rules: &[(&str, &str)]) -> FileSite {
        let rule = |(pattern, value): &(&str, &str)| CacheRule {
            pattern: (*pattern).to_owned(),
            value: (*value).to_owned(),
        };
        FileSite { root: "/srv".into(), fallback: None, cache: rules.iter().map(rule).collect() }
    }

    #[test]
    fn hashed_names_are_kept_for_a_year_and_nothing_else() {
        for name in [
            "main.8f3a9c1b2d.js",
            "static/js/main.073c9b0a.chunk.js",
            "assets/index-DiwrgT2a.js",
            "assets/index-B_w-gT2a.css",
            "chunk-5QXJZ6N4.js",
            "font.0a1b2c3d4e5f60718293a4b5c6d7e8f9.woff2",
        ] {
            assert!(site(&[]).cache_control(name, false, false).contains("immutable"), "{name}");
        }
        for name in [
            "index.html",
            "sw.js",
            "favicon.ico",
            "app-settings.js",
            "chart-JavaScript.js",
            "ui-DataGrid.js",
            "report-20240101.pdf",
            "vendor-version2.js",
            "jquery.min.js",
            "deadbeef.js",
            "a1b2c3d4",
        ] {
            assert_eq!(site(&[]).cache_control(name, false, false), "public, no-cache", "{name}");
        }
        // A page is asked for each time whatever it is called.
        assert_eq!(site(&[]).cache_control("page.8f3a9c1b2d.html", true, false), "public, no-cache");
    }

    #[test]
    fn r58_on_a_guarded_route_no_shared_cache_keeps_anything() {
        let own =
            site(&[("*.pdf", "max-age=60"), ("secret/*", "no-store"), ("mine/*", "private, max-age=9")]);
        for (name, expected) in [
            ("main.8f3a9c1b2d.js", "private, max-age=31536000, immutable"),
            ("index.html", "private, no-cache"),
            ("a/b.pdf", "private, max-age=60"),
            ("secret/x", "no-store"),
            ("mine/x", "private, max-age=9"),
        ] {
            assert_eq!(own.cache_control(name, false, true), expected, "{name}");
        }
        let shared = |value: &str| CacheRule { pattern: "*".into(), value: value.into() }.is_shared();
        assert!(shared("max-age=1, Public") && shared("s-maxage=5") && !shared("private, max-age=1"));
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("*.js", "a/b/c.js", true),
            ("*.js", "c.js.map", false),
            ("assets/*", "assets/a/b", true),
            ("assets/*", "x/assets/a", false),
            ("*/a*b*c", "x/a1b2b3c", true),
            ("index.html", "docs/index.html", true),
            ("", "", true),
            ("a", "", false),
        ] {
            let rule = CacheRule { pattern: pattern.into(), value: String::new() };
            assert_eq!(rule.matches(name), expected, "{pattern} {name}");
        }
    }
}
