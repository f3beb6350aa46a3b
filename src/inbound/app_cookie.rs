//! An app's own session cookies, kept with the person that the app has set them for.
//!
//! I own: the seals on `app_cookies`, what of a request's cookies reaches an app, and the lines that expire the rest. I
//! may call: `domain`, `keyring`. I never let a cookie through for which this person's seal is missing: the app's
//! session of one person must not meet the next, however the first one's session ended here, and whether or not
//! anybody saw it end.
//!
//! The value that a browser keeps is the app's, `~kc.` and 22 characters: an HMAC over origin, person, name and value
//! under the key ring. The app sees its own value again. So nothing has to be remembered on the server, nothing has to happen at
//! the moment of an ending, parallel answers cannot undo each other, and a cookie that somebody planted is nobody's.
//! The person is (issuer, subject), or nobody; a second sign-in of the same person finds their app session again,
//! unless an ending has expired it.

use crate::domain::identity::Identity;
use crate::domain::legacy::SiteData;
use crate::domain::origin::Origin;
use crate::domain::path::CanonicalPath;
use crate::domain::route::{Route, RouteTable};
use crate::keyring::KeyRing;
use http::HeaderMap;
use http::header::{HeaderValue, SET_COOKIE};

const MARK: &[u8] = b"~kc.";
const SEAL_LENGTH: usize = 22;

/// So many paths of one cookie are expired; nobody nests deeper.
const DEEPEST: usize = 12;

/// Whose an app's cookie is: a person's, or nobody's, at one origin of ours. What a sibling origin has got is not theirs
/// here, even where the app and its cookies have the same names.
#[derive(Clone, Copy)]
pub struct Owner<'o> {
    /// Where the request came.
    pub origin: &'o Origin,
    /// Whose session came along.
    pub person: Option<&'o Identity>,
}

/// What becomes of a request's cookies.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// What the app gets, its own values without seals.
    pub kept: Vec<u8>,
    /// The names of those that are somebody else's, or nobody's.
    pub strangers: Vec<String>,
}

/// Takes from the cookies of a request (without ours, R55) what may not reach this route for this person. Of cookies
/// that other routes own, only those with a seal are taken: the name alone may be another app's, too.
pub fn sort(foreign: &[u8], route: &Route, routes: &RouteTable, owner: Owner<'_>, keys: &KeyRing) -> Sorted {
    let own = &route.legacy.app_cookies;
    let mut sorted = Sorted::default();
    for pair in pairs(foreign) {
        let (name, value) = split(pair);
        let mut keep = |name: Option<&[u8]>, value: &[u8]| {
            if !sorted.kept.is_empty() {
                sorted.kept.extend_from_slice(b"; ");
            }
            if let Some(name) = name {
                sorted.kept.extend_from_slice(name);
                sorted.kept.push(b'=');
            }
            sorted.kept.extend_from_slice(value);
        };
        match name {
            Some(name) if own.contains(name) => match unsealed(value) {
                Some((bare, seal))
                    if keys.is_app_cookie_seal(seal, owner.origin, owner.person, name, bare) =>
                {
                    keep(Some(name), bare);
                }
                _ => sorted.strangers.push(String::from_utf8_lossy(name).into_owned()),
            },
            // A more lenient reader behind us could take it for one of them (R54); a nameless pair is its own name.
            _ if own.may_be_read_from(name.unwrap_or(value)) => {}
            _ if pair.starts_with(b"=") && own.may_be_read_from(nameless(pair)) => {}
            Some(name) if unsealed(value).is_some() && is_app_cookie(routes, name) => {}
            _ => keep(None, pair),
        }
    }
    sorted
}

/// A `Set-Cookie` line of the route's app as the browser gets it: sealed for this person, and for this host alone. As
/// it was where the cookie is no app cookie of the route.
pub fn seal(line: &[u8], route: &Route, owner: Owner<'_>, keys: &KeyRing) -> Option<Vec<u8>> {
    let end = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
    let (pair, attributes) = line.split_at(end);
    let (Some(name), value) = split(trim(pair)) else { return None };
    if !route.legacy.app_cookies.contains(name) {
        return None;
    }
    let seal = keys.app_cookie_seal(owner.origin, owner.person, name, value);
    let mut out = [name, b"=", value, MARK, seal.as_bytes()].concat();
    for attribute in attributes.split(|byte| *byte == b';').skip(1) {
        // A cookie for several hosts could not be expired from here, and would be found there unsealed.
        let (name, _) = split(trim(attribute));
        if !name.unwrap_or(trim(attribute)).eq_ignore_ascii_case(b"domain") {
            out.push(b';');
            out.extend_from_slice(attribute);
        }
    }
    Some(out)
}

/// Does so with all lines of an app's answer. Before them come the lines that expire what did not reach the app: what
/// it has just set anew is not expired with it.
pub fn write_back(
    headers: &mut HeaderMap,
    expired: &[String],
    route: &Route,
    owner: Owner<'_>,
    keys: &KeyRing,
) {
    if route.legacy.app_cookies.is_empty() {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for line in expired.iter().filter_map(|line| HeaderValue::from_str(line).ok()) {
        headers.append(SET_COOKIE, line);
    }
    for line in lines {
        let line = match seal(line.as_bytes(), route, owner, keys) {
            None => Some(line),
            // A line that cannot be written goes to nobody.
            Some(sealed) => HeaderValue::from_bytes(&sealed).ok(),
        };
        if let Some(line) = line {
            headers.append(SET_COOKIE, line);
        }
    }
}

/// The lines that expire cookies of a request to `path`: a browser that sent them keeps them under that path or one
/// above it (RFC 6265 section 5.1.4).
pub fn expire(names: &[String], path: &CanonicalPath, secure: bool) -> Vec<String> {
    let path = path.as_str();
    let mut paths: Vec<&str> = vec!["/"];
    for (at, _) in path.match_indices('/').skip(1) {
        paths.extend([&path[..at], &path[..=at]]);
    }
    if !paths.contains(&path) {
        paths.push(path);
    }
    paths.truncate(2 * DEEPEST + 1);
    let mut distinct: Vec<&String> = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct.iter().flat_map(|name| paths.iter().map(move |path| line(name, path, secure))).collect()
}

/// The lines that expire, at the end of a session, what the apps of this host have set: where their names are known,
/// at the paths that apps use; where only a pattern is, what the browser has just sent. Whatever stays behind has lost
/// its person, and goes to no app any more.
pub fn expire_all<'r>(
    routes: impl Iterator<Item = &'r Route>,
    foreign: &[u8],
    path: &CanonicalPath,
    secure: bool,
) -> Vec<String> {
    let mut lines = Vec::new();
    for route in routes {
        let own = &route.legacy.app_cookies;
        let sent = pairs(foreign).filter_map(|pair| split(pair).0).filter(|name| own.contains(name));
        let sent: Vec<String> = sent.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        lines.extend(expire(&sent, path, secure));
        for name in own.exact() {
            let stem = route.prefix.stem();
            for path in ["/".to_owned(), stem.to_owned(), format!("{stem}/")] {
                if !path.is_empty() {
                    lines.push(line(name, &path, secure));
                }
            }
        }
    }
    lines.sort();
    lines.dedup();
    lines
}

/// The value of `Clear-Site-Data` at the end of a session, if a route asks for it.
pub fn clear_site_data<'r>(routes: impl Iterator<Item = &'r Route>) -> Option<String> {
    let asked: Vec<SiteData> =
        routes.flat_map(|route| route.legacy.clear_site_data.iter().copied()).collect();
    let all = [SiteData::Cache, SiteData::Cookies, SiteData::Storage];
    let words: Vec<&str> = all.iter().filter(|one| asked.contains(one)).map(|one| one.quoted()).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Whether a request holds any of the route's app cookies; their names.
pub fn sent(foreign: &[u8], route: &Route) -> Vec<String> {
    let own = &route.legacy.app_cookies;
    let names = pairs(foreign).filter_map(|pair| split(pair).0).filter(|name| own.contains(name));
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

fn line(name: &str, path: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}=; Path={path}{secure}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
}

fn is_app_cookie(routes: &RouteTable, name: &[u8]) -> bool {
    routes.iter().any(|route| route.legacy.app_cookies.contains(name))
}

fn pairs(cookies: &[u8]) -> impl Iterator<Item = &[u8]> {
    cookies.split(|byte| *byte == b';').map(trim).filter(|pair| !pair.is_empty())
}

/// Only SP and HTAB are white space here, as in `cookie`.
fn trim(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |at| at + 1);
    &text[start..end]
}

fn split(pair: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (Some(trim(&pair[..at])), trim(&pair[at + 1..])),
        None => (None, pair),
    }
}

/// `=name=value` without its first signs and blanks, up to the next: what some readers take for the name.
fn nameless(pair: &[u8]) -> &[u8] {
    let begins = |byte: &u8| !matches!(byte, b'=' | b' ' | b'\t');
    let rest = &pair[pair.iter().position(begins).unwrap_or(pair.len())..];
    &rest[..rest.iter().position(|byte| *byte == b'=').unwrap_or(rest.len())]
}

/// The app's value and the seal behind it.
fn unsealed(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, seal) = value.split_at_checked(value.len().checked_sub(SEAL_LENGTH)?)?;
    let is_seal = seal.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    rest.strip_suffix(MARK).filter(|_| is_seal).map(|bare| (bare, seal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::Subject;
    use crate::domain::legacy::{AppCookies, Legacy};
    use crate::domain::route::Access;
    use crate::domain::route::tests::route;
    use crate::domain::session::tests::session;
    use crate::keyring::MasterKey;

    fn keys() -> KeyRing {
        KeyRing::new(vec![MasterKey::generate().unwrap()]).unwrap()
    }

    fn person(subject: &str) -> Identity {
        Identity { subject: Subject::parse(subject).unwrap(), ..session().identity }
    }

    fn home() -> &'static Origin {
        static HOME: std::sync::OnceLock<Origin> = std::sync::OnceLock::new();
        HOME.get_or_init(|| Origin::parse("https://apps.example.com").unwrap())
    }

    fn here(person: Option<&Identity>) -> Owner<'_> {
        Owner { origin: home(), person }
    }

    fn app(prefix: &str, cookies: &[&str]) -> Route {
        let app_cookies = AppCookies::new(cookies.iter().map(|name| (*name).to_owned()).collect());
        let legacy = Legacy { app_cookies, ..Legacy::default() };
        Route { legacy, ..route(prefix, Access::Optional) }
    }

    fn table(routes: &[Route]) -> RouteTable {
        RouteTable::new(routes.to_vec()).unwrap()
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn an_app_cookie_comes_back_for_its_person_alone() {
        let (keys, wiki) = (keys(), app("/wiki/", &["sid", "DW*"]));
        let routes = table(std::slice::from_ref(&wiki));
        let (alice, bob) = (person("alice"), person("bob"));
        let set = |line: &str, person: Option<&Identity>| {
            text(&seal(line.as_bytes(), &wiki, here(person), &keys).unwrap())
                .split(';')
                .next()
                .unwrap()
                .to_owned()
        };
        let of_alice = set("sid=abc; Path=/", Some(&alice));
        let of_nobody = set("sid=abc; Path=/", None);
        assert_eq!(of_alice.len(), "sid=abc".len() + MARK.len() + SEAL_LENGTH);
        let reaches = |cookies: &str, person: Option<&Identity>| {
            let sorted = sort(cookies.as_bytes(), &wiki, &routes, here(person), &keys);
            (text(&sorted.kept), sorted.strangers.join(" "))
        };
        let passes = (String::from("sid=abc"), String::new());
        let stopped = (String::new(), String::from("sid"));
        assert_eq!(reaches(&of_alice, Some(&alice)), passes);
        assert_eq!(reaches(&of_alice, Some(&bob)), stopped);
        assert_eq!(reaches(&of_alice, None), stopped, "whoever is not signed in is not alice");
        assert_eq!(reaches(&of_nobody, None), passes);
        assert_eq!(reaches(&of_nobody, Some(&alice)), stopped, "and no cookie of nobody becomes hers");
        let moved =
            Identity { issuer: crate::domain::identity::Issuer::new("https://other"), ..alice.clone() };
        assert_eq!(reaches(&of_alice, Some(&moved)), stopped, "a subject means nothing without its issuer");
        for planted in [
            "sid=abc".to_owned(),
            "sid=".to_owned(),
            "sid=abc~kc.AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            of_alice.replace("abc", "abd"),
            of_alice.replace("~kc.", "~kc,"),
            format!("{of_alice}x"),
        ] {
            assert_eq!(reaches(&planted, Some(&alice)), stopped, "{planted}");
        }
        assert_eq!(reaches(&of_alice.replace("sid", "DW1"), Some(&alice)).1, "DW1", "the name is sealed too");
        let other_keys = KeyRing::new(vec![MasterKey::generate().unwrap()]).unwrap();
        assert_eq!(sort(of_alice.as_bytes(), &wiki, &routes, here(Some(&alice)), &other_keys).kept, b"");
        let both = format!("{of_alice}; theme=dark; {}; sid=planted", set("DW9=x", Some(&alice)));
        assert_eq!(reaches(&both, Some(&alice)), ("sid=abc; theme=dark; DW9=x".into(), "sid".into()));
    }

    #[test]
    fn r54_nothing_that_could_be_read_as_an_app_cookie_goes_around_the_seal() {
        let (keys, wiki) = (keys(), app("/wiki/", &["sid", "DW*"]));
        let routes = table(std::slice::from_ref(&wiki));
        let kept =
            |cookies: &[u8]| text(&sort(cookies, &wiki, &routes, here(Some(&person("alice"))), &keys).kept);
        for cookies in [
            &b"SID=x"[..],
            b"s%69d=x",
            b"=sid=x",
            b"sid",
            b"\"sid\"=x",
            b"sid[0]=x",
            "\u{2000}sid=x".as_bytes(),
            b"dw1=x",
            b"==DW1=x",
        ] {
            assert_eq!(kept(cookies), "", "{}", text(cookies));
        }
        for cookies in [&b"= sid=x"[..], b"= =sid = x", b"=\"DW1\"=x", b"sid =x", b" s%69d[]", b"=s%69d"] {
            assert_eq!(kept(cookies), "", "{}", text(cookies));
        }
        assert_eq!(kept(b"sids=x;a=sid; xsid=y;caf\xe9=1"), text(b"sids=x; a=sid; xsid=y; caf\xe9=1"));
    }

    #[test]
    fn a_seal_of_one_app_is_not_shown_to_another() {
        let keys = keys();
        let (wiki, forum) = (app("/wiki/", &["PHPSESSID"]), app("/forum/", &[]));
        let routes = table(&[wiki.clone(), forum.clone()]);
        let alice = person("alice");
        let sealed = text(&seal(b"PHPSESSID=abc", &wiki, here(Some(&alice)), &keys).unwrap());
        let cookies = format!("{sealed}; PHPSESSID=forum; x=y~kc.AAAAAAAAAAAAAAAAAAAAAA");
        let sorted = sort(cookies.as_bytes(), &forum, &routes, here(Some(&alice)), &keys);
        assert_eq!(text(&sorted.kept), "PHPSESSID=forum; x=y~kc.AAAAAAAAAAAAAAAAAAAAAA");
        assert!(sorted.strangers.is_empty());
        assert!(seal(b"PHPSESSID=abc", &forum, here(Some(&alice)), &keys).is_none());
    }

    #[test]
    fn r54_a_seal_of_one_origin_is_none_on_its_sibling() {
        let (keys, wiki, alice) = (keys(), app("/wiki/", &["sid"]), person("alice"));
        let routes = table(std::slice::from_ref(&wiki));
        let sealed = text(&seal(b"sid=abc", &wiki, here(Some(&alice)), &keys).unwrap());
        for (origin, kept, strangers) in [
            ("https://apps.example.com", "sid=abc", ""),
            ("https://other.example.com", "", "sid"),
            ("https://apps.example.com:8443", "", "sid"),
        ] {
            let origin = Origin::parse(origin).unwrap();
            let owner = Owner { origin: &origin, person: Some(&alice) };
            let sorted = sort(sealed.as_bytes(), &wiki, &routes, owner, &keys);
            assert_eq!((&*text(&sorted.kept), &*sorted.strangers.join(" ")), (kept, strangers), "{origin:?}");
        }
    }

    #[test]
    fn an_app_cookie_belongs_to_one_host() {
        let (keys, wiki) = (keys(), app("/wiki/", &["sid"]));
        let sealed = |line: &str| text(&seal(line.as_bytes(), &wiki, here(None), &keys).unwrap());
        let line = sealed("sid=a; Domain=example.com; Path=/wiki; domain=x; HttpOnly;Secure");
        assert!(line.starts_with("sid=a~kc.") && line.ends_with("; Path=/wiki; HttpOnly;Secure"), "{line}");
        assert!(sealed("sid = a ;Path=/").starts_with("sid=a~kc."));
        assert!(sealed("sid=; Max-Age=0").contains("; Max-Age=0"));
        assert!(seal(b"theme=dark; Domain=example.com", &wiki, here(None), &keys).is_none());
    }

    #[test]
    fn expired_wherever_the_browser_can_have_it_from() {
        let path = CanonicalPath::parse("/wiki/lib/x.php").unwrap();
        let lines = expire(&["sid".into(), "sid".into()], &path, true);
        let at: Vec<&str> =
            lines.iter().map(|l| l.split("Path=").nth(1).unwrap().split(';').next().unwrap()).collect();
        assert_eq!(at, ["/", "/wiki", "/wiki/", "/wiki/lib", "/wiki/lib/", "/wiki/lib/x.php"]);
        assert!(lines.iter().all(|l| l.starts_with("sid=; Path=/") && l.contains("; Secure; Max-Age=0")));
        let wiki = app("/wiki/", &["sid", "DW*"]);
        let out = CanonicalPath::parse("/bff/logout").unwrap();
        let lines = expire_all([&wiki].into_iter(), b"DW7=x; other=y", &out, false).join("\n");
        for expected in ["sid=; Path=/;", "sid=; Path=/wiki;", "sid=; Path=/wiki/;", "DW7=; Path=/;"] {
            assert!(lines.contains(expected), "{expected}\n{lines}");
        }
        assert!(!lines.contains("other") && !lines.contains("Secure"));
    }
}
