//! Routes: what lies where, and who may go there.
//!
//! I own: [`Route`], [`Access`], [`RouteTable`]. I may call: `access`, `claim`, `csrf`, `identity`, `origin`, `path`,
//! `websocket`.
//! I never open a connection: an upstream is an address here.

use super::access::Conditions;
use super::claim::ClaimPath;
use super::csrf::CsrfMode;
use super::identity::{Identity, ProviderId};
use super::origin::Origin;
use super::path::CanonicalPath;
use super::websocket::WebSocketRules;
use http::HeaderName;
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
    /// The upstreams, in turn; never empty.
    pub upstreams: Vec<UpstreamAddress>,
    /// The identity headers that the upstream receives.
    pub identity_headers: Vec<IdentityHeader>,
    /// Which token goes along.
    pub relay: Relay,
    /// The defence against forged requests.
    pub csrf: CsrfMode,
    /// WebSockets.
    pub websocket: WebSocketRules,
    /// Time-outs and sizes.
    pub limits: RouteLimits,
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

/// One header that tells an upstream who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeader {
    /// The header's name.
    pub name: HeaderName,
    /// Where its value comes from.
    pub source: IdentitySource,
}

/// A part of an [`Identity`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// [`Identity::user_id`].
    UserId,
    /// [`Identity::name`].
    Name,
    /// [`Identity::email`].
    Email,
    /// [`Identity::roles`], joined by commas.
    Roles,
    /// A kept claim; a list is joined by commas.
    Claim(ClaimPath),
}

impl IdentitySource {
    /// The text for the header; `None` when the person has no such thing, or when it holds a control character or
    /// white space at an end, which would arrive as another text; then the header is absent (R72).
    pub fn value(&self, identity: &Identity) -> Option<String> {
        let text = match self {
            Self::UserId => Some(identity.user_id.clone()),
            Self::Name => identity.name.clone(),
            Self::Email => identity.email.clone(),
            Self::Roles => Some(joined(identity.roles.iter().cloned())),
            Self::Claim(path) => path.find(&identity.claims).map(|value| joined(value.to_texts())),
        };
        text.filter(|text| {
            let whole = text.trim() == text.as_str();
            !text.is_empty() && whole && !text.chars().any(char::is_control)
        })
    }
}

/// A list in one header. An item with a comma would reach the app as two, the second of anybody's choosing; it is
/// left out.
fn joined(items: impl IntoIterator<Item = String>) -> String {
    let whole: Vec<String> =
        items.into_iter().filter(|item| !item.is_empty() && !item.contains(',')).collect();
    whole.join(",")
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
            identity_headers: vec![],
            relay: Relay::None,
            csrf: CsrfMode::FetchMetadata,
            websocket: WebSocketRules::default(),
            limits: RouteLimits {
                response_timeout: Duration::from_secs(30),
                stall_timeout: Duration::from_secs(60),
                max_body: None,
            },
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
    fn r72_an_item_with_a_comma_does_not_become_two() {
        assert_eq!(joined(["staff".into(), "dept,admin".into(), String::new(), "x".into()]), "staff,x");
    }

    #[test]
    fn r70_an_upstream_is_scheme_and_authority() {
        assert_eq!(UpstreamAddress::parse("http://wiki:8080").unwrap().authority, "wiki:8080");
        for bad in ["wiki", "http://wiki/path", "ftp://wiki", "http://u:p@wiki", "http://wiki?x"] {
            assert!(UpstreamAddress::parse(bad).is_none(), "{bad}");
        }
    }
}
