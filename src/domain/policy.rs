//! The decision about one request.
//!
//! I own: [`decide`], [`Decision`] and [`Permit`], which nobody else can make. I may call: `access`, `csrf`, `request`, `route`,
//! `session`. I never admit by default: every `Admit` below names its reason.

use super::access::{Conditions, Denial, Judgement, Otherwise, Question};
use super::csrf::{self, CsrfRefusal};
use super::identity::Identity;
use super::request::{RequestFacts, RequestKind};
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
    /// The person may not go there, and the route sends such people to the sign-in once more.
    NotAllowed,
}

impl WhySignIn {
    /// The word for logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoSession => "no-session",
            Self::Over(why) => why.code(),
            Self::TokenExpired => "token-expired",
            Self::OtherProvider => "other-provider",
            Self::NotAllowed => "not-allowed",
        }
    }
}

/// Why a request is refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It may be forged.
    Csrf(CsrfRefusal),
    /// Something is missing that the route asks for.
    NotAllowed(Denial),
    /// It is a WebSocket handshake, and the route lets none through (R78).
    NoWebSockets,
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

/// A token that is over so soon after the sign-in was never of use, and whoever is refused so soon after it was refused
/// with what the provider says now: another sign-in would change nothing.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Decides about one request. Pure: everything that counts is in the arguments.
pub fn decide(route: &Arc<Route>, facts: &RequestFacts, standing: Standing, now: Timestamp) -> Decision {
    if facts.websocket && !route.websocket.allowed {
        return Decision::Refuse(Refusal::NoWebSockets);
    }
    // Where a route has a list of its own, we answer for it, public or not: the app is not asked, and nobody signs in.
    if route.cors.is_some() && facts.method == Method::OPTIONS && facts.cors.preflight.is_some() {
        return Decision::Preflight;
    }
    let admit = |live| Decision::Admit(Permit { route: Arc::clone(route), facts: facts.clone(), live });
    // What holds or misses without anybody: networks and methods. It comes before everything that follows from a
    // session, so that nobody is sent to sign in for nothing.
    let before = route.conditions.rule.judge(&Question { facts, session: None, now });
    if route.access == Access::Public {
        return match before {
            Judgement::Holds => admit(None),
            Judgement::Misses(denial) => refuse(denial),
            // No configuration leads here: on a public route no rule may ask for a person.
            Judgement::NeedsPerson => Decision::SignIn(WhySignIn::NoSession),
        };
    }
    if facts.method == Method::OPTIONS && !matches!(standing, Standing::Live(_)) {
        // A preflight carries no cookies, so it never has a session (Fetch section 3.2.2).
        return Decision::Preflight;
    }
    let before = match before {
        Judgement::Misses(denial) => return refuse(denial),
        open => open,
    };
    // Where people are optional, nobody passes if all holds without one.
    let nobody = |why| match before {
        Judgement::Holds if route.access == Access::Optional => admit(None),
        _ => Decision::SignIn(why),
    };
    let live = match standing {
        Standing::Live(live) => live,
        Standing::Anonymous => return nobody(WhySignIn::NoSession),
        Standing::Over(why) => return nobody(WhySignIn::Over(why)),
    };
    // R18: a subject means nothing without its issuer. Roles and names count only from whom the route trusts.
    if !route.providers.is_empty() && !route.providers.contains(&live.session.provider) {
        return nobody(WhySignIn::OtherProvider);
    }
    if let Err(refusal) = csrf::judge_across(facts, route.csrf, route.cors.as_ref()) {
        return Decision::Refuse(Refusal::Csrf(refusal));
    }
    let fresh = now.since(live.session.started) < AT_ONCE;
    match route.conditions.rule.judge(&Question { facts, session: Some(&live.session), now }) {
        Judgement::Holds => {}
        Judgement::Misses(denial) => return refuse_person(&route.conditions, denial, facts, fresh),
        // With a session every requirement has an answer.
        Judgement::NeedsPerson => return Decision::SignIn(WhySignIn::NoSession),
    }
    if route.relay == Relay::AccessToken && !live.session.tokens.is_fresh(now) {
        // A fresh session with an old token would go to the provider and back for ever (R10).
        if fresh {
            return Decision::Refuse(Refusal::TokensExpireAtOnce);
        }
        return Decision::SignIn(WhySignIn::TokenExpired);
    }
    admit(Some(live))
}

fn refuse(denial: Denial) -> Decision {
    Decision::Refuse(Refusal::NotAllowed(denial))
}

/// Another sign-in is for somebody who looks at the page; a script that polls would go round in circles, and so would
/// whoever has just come from there (R10).
fn refuse_person(conditions: &Conditions, denial: Denial, facts: &RequestFacts, fresh: bool) -> Decision {
    let looking = facts.kind == RequestKind::Navigation && facts.to_document;
    match conditions.otherwise {
        Otherwise::SignInAgain if denial.missing.is_personal() && looking && !fresh => {
            Decision::SignIn(WhySignIn::NotAllowed)
        }
        Otherwise::SignInAgain | Otherwise::Deny => refuse(denial),
    }
}

/// Whether a page load of the same client may find anything there, whoever signs in: where a sign-in may lead back to
/// (R12). `facts` are those of the page load.
pub fn may_be_visited(route: &Route, facts: &RequestFacts, now: Timestamp) -> bool {
    let question = Question { facts, session: None, now };
    !matches!(route.conditions.rule.judge(&question), Judgement::Misses(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Rule;
    use crate::domain::cors::{self, CorsRequest, Preflight};
    use crate::domain::identity::ProviderId;
    use crate::domain::request::{self, FetchSite, OriginHeader, RequestKind};
    use crate::domain::route::tests::route;
    use crate::domain::session::tests::{live, session};

    fn asking(rule: Rule, access: Access) -> Route {
        let conditions = Conditions { rule, otherwise: Otherwise::Deny };
        Route { conditions, ..route("/", access) }
    }

    fn role(role: &str) -> Rule {
        Rule::Roles(vec!["other".into(), role.into()])
    }

    fn facts(method: Method, site: FetchSite) -> RequestFacts {
        RequestFacts { method, site, ..request::tests::facts() }
    }

    fn verdict(route: Route, standing: Standing, facts: &RequestFacts) -> &'static str {
        match decide(&Arc::new(route), facts, standing, Timestamp::from_unix_seconds(1000)) {
            Decision::Admit(permit) if permit.identity().is_some() => "as a person",
            Decision::Admit(_) => "as nobody",
            Decision::SignIn(why) => why.code(),
            Decision::Preflight => "preflight",
            Decision::Refuse(Refusal::Csrf(_)) => "csrf",
            Decision::Refuse(Refusal::NotAllowed(denial)) => denial.missing.code(),
            Decision::Refuse(Refusal::NoWebSockets) => "no websockets",
            Decision::Refuse(Refusal::TokensExpireAtOnce) => "tokens expire at once",
        }
    }

    #[test]
    fn every_access_meets_every_standing() {
        let own = facts(Method::GET, FetchSite::SameOrigin);
        let none = Rule::default;
        let from = |net: &str| Rule::Networks(vec![net.parse().unwrap()]);
        let (here, away) = (|| from("127.0.0.0/8"), || from("192.0.2.0/24"));
        let post = || Rule::methods(vec![Method::POST]);
        for (access, rule, nobody, over, somebody) in [
            (Access::Public, none(), "as nobody", "as nobody", "as nobody"),
            (Access::Public, here(), "as nobody", "as nobody", "as nobody"),
            (Access::Public, away(), "network", "network", "network"),
            (Access::Public, post(), "method", "method", "method"),
            (Access::Optional, none(), "as nobody", "as nobody", "as a person"),
            (Access::Optional, here(), "as nobody", "as nobody", "as a person"),
            (Access::Optional, away(), "network", "network", "network"),
            (Access::Optional, role("editor"), "no-session", "idle", "as a person"),
            (Access::Optional, role("admin"), "no-session", "idle", "role"),
            (
                Access::Optional,
                Rule::Any(vec![here(), role("admin")]),
                "as nobody",
                "as nobody",
                "as a person",
            ),
            (Access::Optional, Rule::Any(vec![away(), role("admin")]), "no-session", "idle", "role"),
            (Access::SignedIn, none(), "no-session", "idle", "as a person"),
            (Access::SignedIn, here(), "no-session", "idle", "as a person"),
            (Access::SignedIn, away(), "network", "network", "network"),
            (Access::SignedIn, post(), "method", "method", "method"),
            (Access::SignedIn, role("editor"), "no-session", "idle", "as a person"),
            (Access::SignedIn, role("admin"), "no-session", "idle", "role"),
            (Access::SignedIn, Rule::All(vec![role("admin"), away()]), "network", "network", "network"),
        ] {
            let there = || asking(rule.clone(), access);
            assert_eq!(verdict(there(), Standing::Anonymous, &own), nobody, "{access:?} {rule}");
            assert_eq!(verdict(there(), Standing::Over(WhyOver::Idle), &own), over, "{access:?} {rule}");
            assert_eq!(
                verdict(there(), Standing::Live(live(session())), &own),
                somebody,
                "{access:?} {rule}"
            );
        }
    }

    #[test]
    fn r10_another_sign_in_is_offered_to_whoever_looks_and_has_not_just_come_from_one() {
        let started = |seconds: u64| {
            let started = Timestamp::from_unix_seconds(1000 - seconds);
            Standing::Live(live(Session { started, ..session() }))
        };
        let page = || RequestFacts {
            kind: RequestKind::Navigation,
            to_document: true,
            ..facts(Method::GET, FetchSite::SameOrigin)
        };
        let frame = RequestFacts { to_document: false, ..page() };
        let again = |rule| {
            let conditions = Conditions { rule, otherwise: Otherwise::SignInAgain };
            Route { conditions, ..route("/", Access::SignedIn) }
        };
        let away = || Rule::Networks(vec!["192.0.2.0/24".parse().unwrap()]);
        let there = || again(role("admin"));
        assert_eq!(verdict(there(), started(20), &page()), "not-allowed");
        assert_eq!(verdict(there(), started(19), &page()), "role", "just signed in: no loop");
        assert_eq!(verdict(there(), started(20), &frame), "role", "nobody signs in within a frame");
        assert_eq!(
            verdict(there(), started(20), &facts(Method::GET, FetchSite::SameOrigin)),
            "role",
            "scripts"
        );
        assert_eq!(verdict(again(away()), started(20), &page()), "network", "nobody's account would help");
        assert_eq!(verdict(again(role("editor")), started(20), &page()), "as a person");
    }

    #[test]
    fn r12_a_sign_in_leads_back_to_what_a_page_load_may_find() {
        let page = facts(Method::GET, FetchSite::SameOrigin);
        let now = Timestamp::from_unix_seconds(1000);
        let away = Rule::Networks(vec!["192.0.2.0/24".parse().unwrap()]);
        for (rule, may) in [
            (Rule::default(), true),
            (role("admin"), true),
            (Rule::methods(vec![Method::GET]), true),
            (Rule::methods(vec![Method::POST]), false),
            (Rule::Any(vec![Rule::methods(vec![Method::POST]), role("admin")]), true),
            (away, false),
        ] {
            let words = rule.to_string();
            assert_eq!(may_be_visited(&asking(rule, Access::SignedIn), &page, now), may, "{words}");
        }
    }

    #[test]
    fn r61_a_forged_request_is_refused_wherever_a_session_acts() {
        let forged = facts(Method::POST, FetchSite::CrossSite);
        let somebody = || Standing::Live(live(session()));
        for access in [Access::Optional, Access::SignedIn] {
            assert_eq!(verdict(route("/", access), somebody(), &forged), "csrf");
            for held in ["editor", "admin"] {
                assert_eq!(verdict(asking(role(held), access), somebody(), &forged), "csrf");
            }
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
        for (access, expected) in [(Access::SignedIn, "other-provider"), (Access::Optional, "other-provider")]
        {
            // A role that another provider speaks of is none.
            let asking = Route { providers: vec![of("other")], ..asking(role("editor"), access) };
            assert_eq!(verdict(asking, somebody(), &own), expected);
        }
        assert_eq!(verdict(at(Access::Optional, "other"), somebody(), &own), "as nobody");
    }

    #[test]
    fn r78_a_handshake_passes_only_where_the_route_says_so() {
        let mut handshake = facts(Method::GET, FetchSite::SameOrigin);
        handshake.websocket = true;
        handshake.origin_header = OriginHeader::Own;
        let somebody = || Standing::Live(live(session()));
        let mut marked = route("/", Access::SignedIn);
        assert_eq!(verdict(marked.clone(), somebody(), &handshake), "no websockets");
        assert_eq!(verdict(route("/", Access::Public), Standing::Anonymous, &handshake), "no websockets");
        marked.websocket.allowed = true;
        assert_eq!(verdict(marked.clone(), somebody(), &handshake), "as a person");
        assert_eq!(verdict(marked.clone(), Standing::Anonymous, &handshake), "no-session");
        // R65: another page may not open one with this person's cookie, whatever else it says.
        handshake.origin_header = OriginHeader::Foreign;
        assert_eq!(verdict(marked.clone(), somebody(), &handshake), "csrf");
        handshake.origin_header = OriginHeader::Absent;
        assert_eq!(verdict(marked, somebody(), &handshake), "csrf");
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
