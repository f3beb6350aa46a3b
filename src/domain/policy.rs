//! The decision about one request.
//!
//! I own: [`decide`], [`Decision`] and [`Permit`], which nobody else can make. I may call: `csrf`, `request`, `route`,
//! `session`. I never admit by default: every `Admit` below names its reason.

use super::csrf::{self, CsrfRefusal};
use super::identity::Identity;
use super::request::RequestFacts;
use super::route::{Access, Relay, Route};
use super::secret::AccessToken;
use super::session::{LiveSession, Session, Standing, WhyOver};
use super::time::Timestamp;
use http::Method;
use std::sync::Arc;
use std::time::Duration;

/// What shall happen to a request.
pub enum Decision {
    /// It may pass.
    Admit(Permit),
    /// Somebody has to sign in first.
    SignIn(WhySignIn),
    /// A CORS preflight on a guarded route: answered here, without any permission (R64).
    Preflight,
    /// No.
    Refuse(Refusal),
}

/// Why somebody has to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhySignIn {
    /// No session.
    NoSession,
    /// A session that is over.
    Over(WhyOver),
    /// The route relays an access token and this one has expired.
    TokenExpired,
    /// The route knows only the people of other providers.
    OtherProvider,
}

impl WhySignIn {
    /// The word for logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoSession => "no-session",
            Self::Over(why) => why.code(),
            Self::TokenExpired => "token-expired",
            Self::OtherProvider => "other-provider",
        }
    }
}

/// Why a request is refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It may be forged.
    Csrf(CsrfRefusal),
    /// The person has none of the roles that the route asks for.
    MissingRole,
    /// The provider's access tokens have expired by the time they are here: another sign-in would change nothing.
    TokensExpireAtOnce,
}

/// The permission to call one upstream for one request. It exists only where [`decide`] said yes.
pub struct Permit {
    route: Arc<Route>,
    facts: RequestFacts,
    live: Option<LiveSession>,
}

impl Permit {
    /// The route.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The request as it was judged; its path is what is forwarded.
    pub fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    /// The session that the request acts with, if any.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.live.as_ref().map(|live| &live.session)
    }

    /// The session with what the store knows around it.
    pub fn live(&self) -> Option<&LiveSession> {
        self.live.as_ref()
    }

    /// The person, if any.
    pub fn identity(&self) -> Option<&Identity> {
        self.session().map(|session| &session.identity)
    }

    /// The token that the route relays, if it relays one and somebody is there.
    pub fn relayed_token(&self) -> Option<&AccessToken> {
        match self.route.relay {
            Relay::None => None,
            Relay::AccessToken => self.session().map(|session| &session.tokens.access),
        }
    }
}

/// A token that is over so soon after the sign-in was never of use.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Decides about one request. Pure: everything that counts is in the arguments.
pub fn decide(route: &Arc<Route>, facts: &RequestFacts, standing: Standing, now: Timestamp) -> Decision {
    // Where a route has a list of its own, we answer for it, public or not: the app is not asked, and nobody signs in.
    if route.cors.is_some() && facts.method == Method::OPTIONS && facts.cors.preflight.is_some() {
        return Decision::Preflight;
    }
    let admit = |live| Decision::Admit(Permit { route: Arc::clone(route), facts: facts.clone(), live });
    if route.access == Access::Public {
        return admit(None);
    }
    if facts.method == Method::OPTIONS && !matches!(standing, Standing::Live(_)) {
        // A preflight carries no cookies, so it never has a session (Fetch section 3.2.2).
        return Decision::Preflight;
    }
    let live = match standing {
        Standing::Live(live) => live,
        Standing::Anonymous | Standing::Over(_) if route.access == Access::Optional => return admit(None),
        Standing::Anonymous => return Decision::SignIn(WhySignIn::NoSession),
        Standing::Over(why) => return Decision::SignIn(WhySignIn::Over(why)),
    };
    // R18: a subject means nothing without its issuer. Roles and names count only from whom the route trusts.
    if !route.providers.is_empty() && !route.providers.contains(&live.session.provider) {
        return match route.access {
            Access::Optional => admit(None),
            Access::Public | Access::SignedIn | Access::Roles(_) => {
                Decision::SignIn(WhySignIn::OtherProvider)
            }
        };
    }
    if let Err(refusal) = csrf::judge_across(facts, route.csrf, route.cors.as_ref()) {
        return Decision::Refuse(Refusal::Csrf(refusal));
    }
    match &route.access {
        Access::Public | Access::Optional | Access::SignedIn => {}
        Access::Roles(wanted) => {
            if !wanted.iter().any(|role| live.session.identity.roles.contains(role)) {
                return Decision::Refuse(Refusal::MissingRole);
            }
        }
    }
    if route.relay == Relay::AccessToken && !live.session.tokens.is_fresh(now) {
        // A fresh session with an old token would go to the provider and back for ever (R10).
        if now.since(live.session.started) < AT_ONCE {
            return Decision::Refuse(Refusal::TokensExpireAtOnce);
        }
        return Decision::SignIn(WhySignIn::TokenExpired);
    }
    admit(Some(live))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cors::{self, CorsRequest, Preflight};
    use crate::domain::identity::ProviderId;
    use crate::domain::origin::Origin;
    use crate::domain::path::CanonicalPath;
    use crate::domain::request::{FetchSite, OriginHeader, RequestKind};
    use crate::domain::route::tests::route;
    use crate::domain::session::tests::{live, session};

    fn facts(method: Method, site: FetchSite) -> RequestFacts {
        RequestFacts {
            origin: Arc::new(Origin::parse("https://apps.example.com").unwrap()),
            method,
            path: CanonicalPath::root(),
            query: None,
            site,
            kind: RequestKind::Script,
            to_document: false,
            origin_header: OriginHeader::Absent,
            referer: OriginHeader::Absent,
            csrf_header: false,
            websocket: false,
            event_stream: false,
            cors: CorsRequest::default(),
            client: [127, 0, 0, 1].into(),
        }
    }

    fn verdict(route: Route, standing: Standing, facts: &RequestFacts) -> &'static str {
        match decide(&Arc::new(route), facts, standing, Timestamp::from_unix_seconds(1000)) {
            Decision::Admit(permit) if permit.identity().is_some() => "as a person",
            Decision::Admit(_) => "as nobody",
            Decision::SignIn(why) => why.code(),
            Decision::Preflight => "preflight",
            Decision::Refuse(Refusal::Csrf(_)) => "csrf",
            Decision::Refuse(Refusal::MissingRole) => "role",
            Decision::Refuse(Refusal::TokensExpireAtOnce) => "tokens expire at once",
        }
    }

    #[test]
    fn every_access_meets_every_standing() {
        let roles = |role: &str| Access::Roles(vec!["other".into(), role.into()]);
        let own = facts(Method::GET, FetchSite::SameOrigin);
        for (access, nobody, over, somebody) in [
            (Access::Public, "as nobody", "as nobody", "as nobody"),
            (Access::Optional, "as nobody", "as nobody", "as a person"),
            (Access::SignedIn, "no-session", "idle", "as a person"),
            (roles("editor"), "no-session", "idle", "as a person"),
            (roles("admin"), "no-session", "idle", "role"),
        ] {
            let here = || route("/", access.clone());
            assert_eq!(verdict(here(), Standing::Anonymous, &own), nobody, "{access:?}");
            assert_eq!(verdict(here(), Standing::Over(WhyOver::Idle), &own), over, "{access:?}");
            assert_eq!(verdict(here(), Standing::Live(live(session())), &own), somebody, "{access:?}");
        }
    }

    #[test]
    fn r61_a_forged_request_is_refused_wherever_a_session_acts() {
        let forged = facts(Method::POST, FetchSite::CrossSite);
        let somebody = || Standing::Live(live(session()));
        for access in [Access::Optional, Access::SignedIn, Access::Roles(vec!["editor".into()])] {
            assert_eq!(verdict(route("/", access), somebody(), &forged), "csrf");
        }
        assert_eq!(verdict(route("/", Access::Public), somebody(), &forged), "as nobody");
    }

    #[test]
    fn r64_preflights_are_answered_and_never_forwarded_on_guarded_routes() {
        let preflight = facts(Method::OPTIONS, FetchSite::CrossSite);
        assert_eq!(verdict(route("/", Access::SignedIn), Standing::Anonymous, &preflight), "preflight");
        assert_eq!(verdict(route("/", Access::Optional), Standing::Anonymous, &preflight), "preflight");
        assert_eq!(verdict(route("/", Access::Public), Standing::Anonymous, &preflight), "as nobody");
        // With a list of its own, a public route is ours to answer for, and so is one with a session.
        let asked = Preflight { method: "PUT".into(), headers: Some(vec![]) };
        let cors = CorsRequest { preflight: Some(Box::new(asked)), ..CorsRequest::default() };
        let preflight = RequestFacts { cors, ..preflight };
        let listing = |access| Route { cors: Some(cors::tests::cors()), ..route("/", access) };
        assert_eq!(verdict(listing(Access::Public), Standing::Anonymous, &preflight), "preflight");
        assert_eq!(
            verdict(listing(Access::SignedIn), Standing::Live(live(session())), &preflight),
            "preflight"
        );
    }

    #[test]
    fn r18_a_route_knows_only_the_people_of_its_providers() {
        let of = |provider: &str| ProviderId::parse(provider).unwrap();
        let own = facts(Method::GET, FetchSite::SameOrigin);
        let at =
            |access: Access, provider: &str| Route { providers: vec![of(provider)], ..route("/", access) };
        let somebody = || Standing::Live(live(session()));
        assert_eq!(verdict(at(Access::SignedIn, "corp"), somebody(), &own), "as a person");
        assert_eq!(verdict(at(Access::SignedIn, "other"), somebody(), &own), "other-provider");
        assert_eq!(
            verdict(at(Access::Roles(vec!["editor".into()]), "other"), somebody(), &own),
            "other-provider"
        );
        assert_eq!(verdict(at(Access::Optional, "other"), somebody(), &own), "as nobody");
    }

    #[test]
    fn an_expired_token_is_never_relayed() {
        let relaying = Route { relay: Relay::AccessToken, ..route("/", Access::SignedIn) };
        let mut old = session();
        old.tokens.access_expires = Some(Timestamp::from_unix_seconds(1000));
        let at_birth = session();
        let mut at_birth = Session { started: Timestamp::from_unix_seconds(990), ..at_birth };
        at_birth.tokens.access_expires = Some(Timestamp::from_unix_seconds(990));
        old.started = Timestamp::from_unix_seconds(900);
        let own = facts(Method::GET, FetchSite::SameOrigin);
        assert_eq!(verdict(relaying.clone(), Standing::Live(live(old)), &own), "token-expired");
        assert_eq!(verdict(relaying.clone(), Standing::Live(live(session())), &own), "as a person");
        assert_eq!(
            verdict(relaying, Standing::Live(live(at_birth)), &own),
            "tokens expire at once",
            "R10: no loop"
        );
    }
}
