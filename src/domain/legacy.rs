//! What a route does for an app that was not written for a gateway.
//!
//! I own: [`Legacy`] and its parts: under which name and path an app is called, what it is told of the way to it, which
//! of its cookies belong to a person, and which of its addresses sign people out. I may call: `identity_header`, `path`,
//! `request`, `csrf`, `secret`. I never touch a message: `upstream` and `inbound` do what is written here.

use super::csrf::{self, CsrfMode};
use super::identity_header::Template;
use super::path::CanonicalPath;
use super::request::{FetchSite, OriginHeader, RequestFacts, RequestKind};
use super::secret::AppPassword;
use http::Method;
use std::fmt;

/// The needs of an old app; none by default.
#[derive(Clone, Debug, Default)]
pub struct Legacy {
    /// The `Host` that the app sees.
    pub host: HostPolicy,
    /// Which headers say where a request came from.
    pub forwarded: ForwardedHeaders,
    /// What stands in place of the route's prefix when a request is forwarded; `None` forwards the path as it is.
    pub base: Option<CanonicalPath>,
    /// Whether the app gets every claim as `OIDC_CLAIM_…`, as from `mod_auth_openidc`.
    pub claim_headers: bool,
    /// The name and password that the app asks for.
    pub basic_auth: Option<BasicAuth>,
    /// What becomes of the client's own `Authorization`; `None` lets it pass on public routes alone.
    pub client_authorization: Option<ClientAuthorization>,
    /// The app's cookies that belong to one person.
    pub app_cookies: AppCookies,
    /// What the browser forgets of this origin when a session ends: `Clear-Site-Data`.
    pub clear_site_data: Vec<SiteData>,
    /// The app's own addresses for signing out.
    pub logout_paths: Vec<LogoutPath>,
    /// Whether `%2F` may stand in the path, beyond the prefix.
    pub allow_encoded_slash: bool,
}

/// The `Host` that an app sees: the key `host`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostPolicy {
    /// The public one: apps build absolute links from it, and most peers do so (oauth2-proxy's `pass_host_header`).
    #[default]
    Public,
    /// The one of the upstream's address.
    Upstream,
    /// Always this one.
    Literal(String),
}

/// Which headers say where a request came from: the key `forwarded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardedHeaders {
    /// `X-Forwarded-For`, `-Host`, `-Proto`, and `-Prefix` where the path changes.
    pub x_forwarded: bool,
    /// `Forwarded` (RFC 7239).
    pub forwarded: bool,
    /// `X-Script-Name` where the path changes: the prefix as apps of the WSGI world ask for it, Radicale among them.
    pub script_name: bool,
}

impl Default for ForwardedHeaders {
    fn default() -> Self {
        Self { x_forwarded: true, forwarded: false, script_name: false }
    }
}

/// Name and password for an app (RFC 7617).
#[derive(Clone)]
pub struct BasicAuth {
    /// The name, made of the person.
    pub user: Template,
    /// The password, the same for everybody.
    pub password: AppPassword,
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What becomes of the client's own `Authorization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthorization {
    /// It ends here.
    Strip,
    /// It goes on to the app.
    Pass,
}

/// What `Clear-Site-Data` names (W3C Clear Site Data section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteData {
    /// `"cache"`.
    Cache,
    /// `"cookies"`.
    Cookies,
    /// `"storage"`.
    Storage,
}

impl SiteData {
    /// The item as the header writes it.
    pub fn quoted(self) -> &'static str {
        match self {
            Self::Cache => "\"cache\"",
            Self::Cookies => "\"cookies\"",
            Self::Storage => "\"storage\"",
        }
    }
}

/// Names of cookies; one with `*` at its end stands for all that begin so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppCookies {
    names: Vec<String>,
    /// What lenient readers make of each, and whether it is a pattern: made once, not for every pair of every request.
    folded: Vec<(String, bool)>,
}

impl AppCookies {
    /// Reads one name or pattern: characters of a token (RFC 6265 section 4.1.1), at least two of them before a `*`.
    pub fn parse_name(text: &str) -> Option<String> {
        let stem = text.strip_suffix('*').unwrap_or(text);
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&b);
        let long_enough = if stem.len() < text.len() { stem.len() >= 2 } else { !stem.is_empty() };
        (long_enough && stem.bytes().all(is_token)).then(|| text.to_owned())
    }

    /// Takes the names and patterns.
    pub fn new(names: Vec<String>) -> Self {
        let fold_own = |own: &String| match own.strip_suffix('*') {
            Some(stem) => (fold(stem.as_bytes()), true),
            None => (fold(own.as_bytes()), false),
        };
        Self { folded: names.iter().map(fold_own).collect(), names }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether a cookie of this very name is one of them.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.names.iter().any(|own| match own.strip_suffix('*') {
            Some(stem) => name.starts_with(stem.as_bytes()),
            None => name == own.as_bytes(),
        })
    }

    /// Whether some reader could take this name for one of them: in other case, percent-encoded, with an index, or with
    /// other punctuation (PHP makes `_` of `.` and of white space, and an array of `name[x]`).
    pub fn may_be_read_from(&self, name: &[u8]) -> bool {
        if self.is_empty() {
            return false;
        }
        let read = fold(name);
        self.folded.iter().any(|(own, is_pattern)| match is_pattern {
            true => read.starts_with(own),
            false => read == *own,
        })
    }

    /// The names that are no patterns.
    pub fn exact(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| !name.ends_with('*'))
    }
}

fn fold(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let decoded: String = percent_decoded(&text);
    let bare = decoded.trim_matches(|c: char| !c.is_ascii_graphic() || matches!(c, '"' | '=' | '+'));
    let name = bare.split('[').next().unwrap_or_default();
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let octet = bytes.get(at + 1..at + 3).filter(|_| byte == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
            u8::from_str_radix(digits, 16).ok()
        });
        out.push(octet.unwrap_or(byte));
        at += if octet.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An address of an app that signs people out there: a path, and perhaps parameters that must be in the query
/// (`/doku.php?do=logout`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutPath {
    path: CanonicalPath,
    query: Vec<String>,
}

impl LogoutPath {
    /// Reads a path with or without a query; `None` when it is no canonical path.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(str::to_owned).collect();
        Some(Self { path: CanonicalPath::parse(path).ok()?, query })
    }

    /// The path.
    pub fn path(&self) -> &CanonicalPath {
        &self.path
    }

    fn is_meant_by(&self, path: &CanonicalPath, query: Option<&str>) -> bool {
        let query = query.unwrap_or_default();
        path.judged() == self.path.judged()
            && self.query.iter().all(|wanted| query.split('&').any(|pair| pair == wanted))
    }
}

/// What a request to an app's own address for signing out means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppLogout {
    /// Nothing: another address, or a script that reads it.
    No,
    /// The person wants to go: our session ends.
    Proven,
    /// A page is opened there, and nothing proves that the person meant it: they are asked (R63, A25).
    Unproven,
}

impl Legacy {
    /// Whether an address, whoever asks for it, is one where the app signs people out.
    pub fn is_logout(&self, path: &CanonicalPath, query: Option<&str>) -> bool {
        self.logout_paths.iter().any(|own| own.is_meant_by(path, query))
    }

    /// Whether a request is the app's own sign-out, and is to be believed (R63, A25).
    ///
    /// By GET only a navigation counts that our own page caused, or the person who typed it; by POST, whatever the
    /// forgery rules let through, in every mode of `csrf`. `prefetched` is for what a browser fetches ahead of a click.
    pub fn app_logout(&self, facts: &RequestFacts, prefetched: bool) -> AppLogout {
        // A tunnel would outlive the session that it begins with.
        if facts.websocket || !self.is_logout(&facts.path, facts.query.as_deref()) {
            return AppLogout::No;
        }
        match facts.method {
            Method::POST if csrf::judge(facts, CsrfMode::FetchMetadata).is_ok() => AppLogout::Proven,
            Method::GET if facts.kind == RequestKind::Navigation => {
                if !prefetched && facts.to_document && is_own_navigation(facts) {
                    AppLogout::Proven
                } else {
                    AppLogout::Unproven
                }
            }
            _ => AppLogout::No,
        }
    }
}

/// Stricter than the rule for opening a page: a link from elsewhere opens pages and ends nothing.
fn is_own_navigation(facts: &RequestFacts) -> bool {
    match facts.site {
        FetchSite::SameOrigin | FetchSite::None => facts.origin_header != OriginHeader::Foreign,
        FetchSite::CrossSite | FetchSite::SameSite => false,
        FetchSite::Absent => match facts.origin_header {
            OriginHeader::Own => true,
            OriginHeader::Foreign => false,
            OriginHeader::Absent => facts.referer == OriginHeader::Own,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::origin::Origin;
    use std::sync::Arc;

    #[test]
    fn r54_app_cookies_are_known_by_their_very_names_and_shunned_in_disguise() {
        let cookies = AppCookies::new(vec!["PHPSESSID".into(), "DW*".into(), "__Host-app".into()]);
        for (name, own, read) in [
            ("PHPSESSID", true, true),
            ("phpsessid", false, true),
            ("PHPSESS%49D", false, true),
            (" PHPSESSID", false, true),
            ("\"PHPSESSID\"", false, true),
            ("PHPSESSID[0]", false, true),
            ("\u{a0}PHPSESSID", false, true),
            ("PHPSESSID2", false, false),
            ("XPHPSESSID", false, false),
            ("DW68700bfd", true, true),
            ("dw1", false, true),
            ("%44W1", false, true),
            ("D", false, false),
            ("__Host.app", false, true),
            ("", false, false),
        ] {
            assert_eq!(cookies.contains(name.as_bytes()), own, "{name:?}");
            assert_eq!(cookies.may_be_read_from(name.as_bytes()), read, "{name:?}");
        }
        for bad in ["", "*", "a*", "a b", "a=b", "a;b", "a*b", "caf\u{e9}"] {
            assert_eq!(AppCookies::parse_name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a25_who_signs_out_by_the_apps_own_address() {
        use AppLogout::*;
        use OriginHeader::{Absent, Foreign, Own};
        let legacy = Legacy {
            logout_paths: ["/wiki/logout", "/wiki/special:logout", "/wiki/a%40out", "/doku.php?do=logout"]
                .map(|p| LogoutPath::parse(p).unwrap())
                .into(),
            ..Legacy::default()
        };
        let facts = |target: &str| {
            let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
            RequestFacts {
                origin: Arc::new(Origin::parse("https://apps.example.com").unwrap()),
                method: Method::GET,
                path: CanonicalPath::parse(path).unwrap(),
                query: query.map(str::to_owned),
                site: FetchSite::SameOrigin,
                kind: RequestKind::Navigation,
                to_document: true,
                origin_header: Absent,
                referer: Own,
                csrf_header: false,
                event_stream: false,
                cors: crate::domain::cors::CorsRequest::default(),
                websocket: false,
                client: [127, 0, 0, 1].into(),
            }
        };
        for (target, expected) in [
            ("/wiki/logout", Proven),
            ("/wiki/logout?x=y", Proven),
            ("/wiki/logout/", No),
            ("/wiki/special%3Alogout", Proven),
            ("/wiki/special:logout", Proven),
            ("/wiki/a@out", Proven),
            ("/wiki/log", No),
            ("/doku.php?id=start&do=logout&sectok=1", Proven),
            ("/doku.php?do=logout2", No),
            ("/doku.php?xdo=logout", No),
            ("/doku.php", No),
        ] {
            assert_eq!(legacy.app_logout(&facts(target), false), expected, "{target}");
        }
        let here = || facts("/wiki/logout");
        assert_eq!(legacy.app_logout(&here(), true), Unproven, "fetched ahead of a click");
        for (site, origin_header, referer, expected) in [
            (FetchSite::None, Absent, Absent, Proven),
            (FetchSite::CrossSite, Absent, Foreign, Unproven),
            (FetchSite::CrossSite, Absent, Own, Unproven),
            (FetchSite::SameSite, Absent, Foreign, Unproven),
            (FetchSite::SameOrigin, Foreign, Own, Unproven),
            (FetchSite::Absent, Absent, Own, Proven),
            (FetchSite::Absent, Absent, Absent, Unproven),
            (FetchSite::Absent, Absent, Foreign, Unproven),
            (FetchSite::Absent, Foreign, Own, Unproven),
        ] {
            let facts = RequestFacts { site, origin_header, referer, ..here() };
            assert_eq!(legacy.app_logout(&facts, false), expected, "GET {facts:?}");
        }
        let framed = RequestFacts { to_document: false, ..here() };
        assert_eq!(legacy.app_logout(&framed, false), Unproven);
        let script = RequestFacts { kind: RequestKind::Script, ..here() };
        assert_eq!(legacy.app_logout(&script, false), No);
        let handshake = RequestFacts { websocket: true, ..here() };
        assert_eq!(legacy.app_logout(&handshake, false), No);
        let post = |site, origin_header: OriginHeader| RequestFacts {
            method: Method::POST,
            kind: RequestKind::Script,
            site,
            origin_header,
            ..here()
        };
        assert_eq!(legacy.app_logout(&post(FetchSite::SameOrigin, Own), false), Proven);
        assert_eq!(legacy.app_logout(&post(FetchSite::CrossSite, Foreign), false), No);
        assert_eq!(legacy.app_logout(&post(FetchSite::SameSite, Foreign), false), No);
        assert_eq!(legacy.app_logout(&post(FetchSite::None, Absent), false), No);
    }
}
