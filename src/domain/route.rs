//! Routes: what lies where, and who may go there.
//!
//! I own: [`Route`], [`Access`], [`RouteTable`]. I may call: `access`, `cors`, `csrf`, `files`, `identity`,
//! `identity_header`, `keep`, `legacy`,
//! `origin`, `path`, `websocket`.
//! I never open a connection: an upstream is an address here.

use super::access::Conditions;
use super::cors::Cors;
use super::csrf::CsrfMode;
use super::files::FileSite;
use super::identity::ProviderId;
use super::identity_header::IdentityHeader;
use super::keep::Keep;
use super::legacy::Legacy;
use super::origin::Origin;
use super::path::{CanonicalPath, PathRefusal};
use super::websocket::WebSocketRules;
use std::sync::Arc;
use std::time::Duration;

/// One route: a property list, all of it from the configuration.
#[derive(Clone, Debug)]
pub struct Route {
    /// What logs and messages call it: `apps.example.com/wiki/` or `/wiki/`.
    pub name: String,
    /// The origin that it belongs to; `None` for every origin.
    pub origin: Option<Origin>,
    /// The path prefix, canonical, matched by whole segments.
    pub prefix: CanonicalPath,
    /// Who may pass.
    pub access: Access,
    /// What else has to hold.
    pub conditions: Conditions,
    /// Whose people the route knows; empty for every provider's. Only with several providers does it matter: each
    /// could name the other's people.
    pub providers: Vec<ProviderId>,
    /// The upstreams, in turn; empty only where `files` stands in for them.
    pub upstreams: Vec<UpstreamAddress>,
    /// The folder that is served, where the upstream is one.
    pub files: Option<FileSite>,
    /// The identity headers that the upstream receives.
    pub identity_headers: Vec<IdentityHeader>,
    /// Which token goes along.
    pub relay: Relay,
    /// The defence against forged requests.
    pub csrf: CsrfMode,
    /// WebSockets.
    pub websocket: WebSocketRules,
    /// The pages of other origins that may call the route; `None` for none.
    pub cors: Option<Cors>,
    /// What is kept of a request while somebody signs in.
    pub keep: Keep,
    /// Time-outs and sizes.
    pub limits: RouteLimits,
    /// What an app needs that was not written for a gateway.
    pub legacy: Legacy,
}

/// Time-outs and sizes of one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLimits {
    /// From the sent request head to the upstream's response head.
    pub response_timeout: Duration,
    /// The longest silence within a body, either way.
    pub stall_timeout: Duration,
    /// The largest request body in bytes; `None` for no limit.
    pub max_body: Option<u64>,
}

/// Whether a route wants to know its people: the key `access`, or `access.who`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; the session is not even looked at.
    Public,
    /// Anybody; who is signed in is named to the upstream.
    Optional,
    /// Whoever is signed in.
    SignedIn,
}

/// Which token a route hands to its upstream: the key `token`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Relay {
    /// None.
    #[default]
    None,
    /// The access token, as `Authorization: Bearer`.
    AccessToken,
}

/// Where an upstream listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamAddress {
    /// Whether it is spoken to over TLS.
    pub secure: bool,
    /// Host and port, as in a URI authority.
    pub authority: String,
    /// Whether it is on this machine.
    pub loopback: bool,
}

impl UpstreamAddress {
    /// Parses `http://wiki:80` or `https://api.internal:8443`: scheme and authority, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let origin = Origin::parse(text)?;
        Some(Self {
            secure: origin.is_secure(),
            authority: origin.authority().to_owned(),
            loopback: origin.is_loopback(),
        })
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

/// All routes; for each request the longest matching prefix wins, and a route of one origin before one of all.
#[derive(Clone, Debug, Default)]
pub struct RouteTable(Vec<Arc<Route>>);

impl RouteTable {
    /// Takes the routes in any order.
    ///
    /// # Errors
    /// The names of two routes that claim the same origin and prefix.
    pub fn new(mut routes: Vec<Route>) -> Result<Self, (String, String)> {
        // Longest prefix first, and of two equal ones the more particular first.
        let rank = |route: &Route| (stem(&route.prefix).len(), route.origin.is_some());
        routes.sort_by_key(|route| std::cmp::Reverse(rank(route)));
        for (at, one) in routes.iter().enumerate() {
            let twin = |two: &&Route| one.origin == two.origin && stem(&one.prefix) == stem(&two.prefix);
            if let Some(two) = routes.iter().skip(at + 1).find(twin) {
                return Err((one.name.clone(), two.name.clone()));
            }
        }
        Ok(Self(routes.into_iter().map(Arc::new).collect()))
    }

    /// The route for a request, if there is one.
    pub fn find(&self, origin: &Origin, path: &CanonicalPath) -> Option<&Arc<Route>> {
        self.0.iter().find(|route| {
            route.origin.as_ref().is_none_or(|own| own == origin) && path.is_under(route.prefix.as_str())
        })
    }

    /// The canonical form of a raw path. An encoded slash is let through where the route asks for it, and only beyond
    /// the route's prefix: whoever decodes it must end at the same route, or `/app/admin%2Fx` would be judged as
    /// `/app/` and served as `/app/admin/` (A29). The same holds for marks: `/mw/Special%3AUserRights` is served as
    /// `/mw/Special:UserRights`, and must not be judged as `/mw/`.
    ///
    /// # Errors
    /// See [`PathRefusal`].
    pub fn canonical(&self, origin: &Origin, raw: &str) -> Result<CanonicalPath, PathRefusal> {
        let (path, asked) = match CanonicalPath::parse(raw) {
            Ok(path) => (path, None),
            Err(refusal @ PathRefusal::EncodedDelimiter) => {
                (CanonicalPath::parse_with_encoded_slashes(raw)?, Some(refusal))
            }
            Err(refusal) => return Err(refusal),
        };
        let (found, decoded) = (self.find(origin, &path), self.find(origin, &path.judged()));
        if let Some(refusal) = asked
            && !found.is_some_and(|route| route.legacy.allow_encoded_slash)
        {
            return Err(refusal);
        }
        match (found, decoded) {
            (Some(one), Some(other)) if Arc::ptr_eq(one, other) => Ok(path),
            (None, None) => Ok(path),
            _ => Err(asked.unwrap_or(PathRefusal::OtherRoute)),
        }
    }

    /// All routes, longest prefix first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.0.iter()
    }
}

fn stem(prefix: &CanonicalPath) -> &str {
    prefix.as_str().trim_end_matches('/')
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A route for tests of other rooms.
    pub(crate) fn route(prefix: &str, access: Access) -> Route {
        Route {
            name: prefix.to_owned(),
            origin: None,
            prefix: CanonicalPath::parse(prefix).unwrap(),
            access,
            conditions: Conditions::default(),
            providers: vec![],
            upstreams: vec![UpstreamAddress::parse("http://127.0.0.1:1").unwrap()],
            files: None,
            identity_headers: vec![],
            relay: Relay::None,
            csrf: CsrfMode::FetchMetadata,
            websocket: WebSocketRules::default(),
            cors: None,
            keep: Keep::default(),
            limits: RouteLimits {
                response_timeout: Duration::from_secs(30),
                stall_timeout: Duration::from_secs(60),
                max_body: None,
            },
            legacy: Legacy::default(),
        }
    }

    #[test]
    fn a29_encoded_slashes_pass_where_they_are_asked_for_and_never_to_another_route() {
        let lenient = |prefix: &str| Route {
            legacy: Legacy { allow_encoded_slash: true, ..Legacy::default() },
            ..route(prefix, Access::SignedIn)
        };
        let table = RouteTable::new(vec![
            route("/", Access::SignedIn),
            lenient("/app/"),
            route("/app/admin/", Access::SignedIn),
        ])
        .unwrap();
        let origin = Origin::parse("https://apps.example.com").unwrap();
        for (raw, expected) in [
            ("/app/group%2fproject", Some("/app/group%2Fproject")),
            ("/app/x/a%2Fb", Some("/app/x/a%2Fb")),
            ("/app/plain", Some("/app/plain")),
            ("/other/a%2Fb", None),
            ("/app%2Fx", None),
            ("/app/admin%2Fsecret", None),
            ("/app/admin%2F%2Fsecret", None),
            ("/app/admin/a%2Fb", None),
            ("/app/x%2f..%2fadmin", None),
            ("/app/..%2fadmin/x", None),
            ("/app/a%5cb", None),
            ("/app/a%252fb", None),
        ] {
            let path = table.canonical(&origin, raw);
            assert_eq!(path.as_ref().ok().map(CanonicalPath::as_str), expected, "{raw}");
        }
    }

    #[test]
    fn r70_no_spelling_of_a_mark_leads_past_the_route_that_is_named_with_it() {
        let table = RouteTable::new(vec![
            route("/mw/", Access::SignedIn),
            route("/mw/Special:UserRights", Access::SignedIn),
            route("/od/$batch", Access::SignedIn),
        ])
        .unwrap();
        let origin = Origin::parse("https://apps.example.com").unwrap();
        for (raw, expected) in [
            ("/mw/Special:UserRights/x", Ok("/mw/Special:UserRights/x")),
            ("/mw/Talk%3aMain", Ok("/mw/Talk%3AMain")),
            ("/mw/Special:UserRights/x%3ay", Ok("/mw/Special:UserRights/x%3Ay")),
            ("/elsewhere%3a", Ok("/elsewhere%3A")),
            ("/mw/Special%3aUserRights", Err(PathRefusal::OtherRoute)),
            ("/mw/%53pecial%3AUserRights/x", Err(PathRefusal::OtherRoute)),
            ("/od/%24batch", Err(PathRefusal::OtherRoute)),
        ] {
            let path = table.canonical(&origin, raw);
            assert_eq!(path.as_ref().map(CanonicalPath::as_str).map_err(|e| *e), expected, "{raw}");
        }
    }

    #[test]
    fn the_longest_prefix_wins_and_an_own_origin_before_all() {
        let here = Origin::parse("https://a.example.com").unwrap();
        let there = Origin::parse("https://b.example.com").unwrap();
        let only_here =
            Route { name: "here".into(), origin: Some(here.clone()), ..route("/api", Access::Public) };
        let table = RouteTable::new(vec![
            route("/", Access::SignedIn),
            route("/api/", Access::SignedIn),
            only_here,
            route("/api/admin", Access::SignedIn),
        ])
        .unwrap();
        let found = |origin: &Origin, path: &str| {
            table.find(origin, &CanonicalPath::parse(path).unwrap()).map(|route| route.name.clone())
        };
        assert_eq!(found(&here, "/api/x").as_deref(), Some("here"));
        assert_eq!(found(&there, "/api/x").as_deref(), Some("/api/"));
        assert_eq!(found(&here, "/api/admin/1").as_deref(), Some("/api/admin"));
        assert_eq!(found(&there, "/apix").as_deref(), Some("/"));
    }

    #[test]
    fn two_routes_for_one_place_are_refused() {
        assert!(
            RouteTable::new(vec![route("/api", Access::Public), route("/api/", Access::SignedIn)]).is_err()
        );
        assert!(
            RouteTable::default().find(&Origin::parse("http://a").unwrap(), &CanonicalPath::root()).is_none()
        );
    }

    #[test]
    fn r70_an_upstream_is_scheme_and_authority() {
        assert_eq!(UpstreamAddress::parse("http://wiki:8080").unwrap().authority, "wiki:8080");
        for bad in ["wiki", "http://wiki/path", "ftp://wiki", "http://u:p@wiki", "http://wiki?x"] {
            assert!(UpstreamAddress::parse(bad).is_none(), "{bad}");
        }
    }
}
