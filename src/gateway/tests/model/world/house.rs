//! How a gateway of the model is made, and what is asked of one.
//!
//! I own: [`gateway`], and the questions. I may call: the whole room. I never wait for an answer.

use super::super::oracle::{How, Outcome};
use super::super::provider::{self, Door};
use super::{Diary, GRACE, LIMITS};
use crate::domain::cap::Cap;
use crate::domain::login::{CallbackParams, LoginRefusal, Requested};
use crate::domain::origin::Origin;
use crate::domain::path::CanonicalPath;
use crate::domain::policy::WhySignIn;
use crate::domain::request::{self, RequestFacts};
use crate::domain::return_to::ReturnTo;
use crate::domain::route::tests::route;
use crate::domain::route::{Access, Relay, Route, RouteTable};
use crate::domain::session::{SignInPlace, Ticket, WhyOver};
use crate::gateway::ending::Endings;
use crate::gateway::live::{Live, Vigil};
use crate::gateway::login::{Callback, Held, LoginEnd, LoginWish};
use crate::gateway::refresh::Refreshes;
use crate::gateway::revoking::Revoker;
use crate::gateway::{Gateway, GatewayError, Outcome as Admitted, Providers, Verdict};
use crate::keyring::{KeyRing, session_key};
use crate::ports::{Clock, IdentityProvider, Ledger, SessionStore, Stopwatch};
use crate::store::tests::Beside;
use crate::store::{NearBounds, NearParts};
use std::sync::Arc;
use tokio::runtime::Handle;

/// A gateway over a store with its keys, whose renewals run on this runtime.
pub(in super::super) fn gateway(
    clock: Arc<dyn Clock>,
    (store, beside, keys, runtime): (Arc<dyn SessionStore>, Beside, Arc<KeyRing>, Handle),
    door: Door,
    (diary, live, cap): (&Arc<Diary>, Arc<Live>, Option<Cap>),
) -> Arc<Gateway> {
    let door: Arc<dyn IdentityProvider> = Arc::new(door);
    let Beside { outbox, clearing, transfer } = beside;
    let ledger = Arc::clone(diary) as Arc<dyn Ledger>;
    let revoker = Arc::new(Revoker::new(Arc::clone(&outbox), Arc::clone(&clock), Arc::clone(&ledger)));
    let relaying = Route { relay: Relay::AccessToken, ..route("/api/", Access::SignedIn) };
    Arc::new(Gateway {
        clock,
        store,
        keys,
        providers: Providers::new(vec![(provider::id(), door)]).unwrap(),
        routes: RouteTable::new(vec![route("/", Access::SignedIn), relaying]).unwrap(),
        limits: LIMITS,
        prefix: CanonicalPath::parse("/bff").unwrap(),
        ledger,
        live,
        refreshes: Arc::new(Refreshes::on(runtime)),
        transfer,
        endings: Arc::new(Endings { outbox, revoker, clearing, cap }),
    })
}

/// What a near cache is made with.
pub(in super::super) fn near_parts(
    stopwatch: Arc<dyn Stopwatch>,
    diary: &Arc<Diary>,
    live: &Arc<Live>,
) -> NearParts {
    NearParts {
        bounds: NearBounds { sessions: 1000, bytes: 16 << 20, outage_grace: GRACE },
        limits: LIMITS,
        stopwatch,
        ledger: Arc::clone(diary) as Arc<dyn Ledger>,
        news: Arc::clone(live) as Arc<dyn crate::ports::News>,
    }
}

pub(in super::super) fn facts(origin: &Arc<Origin>, path: &str) -> RequestFacts {
    let path = CanonicalPath::parse(path).unwrap();
    RequestFacts { origin: Arc::clone(origin), path, ..request::tests::facts() }
}

pub(in super::super) async fn asks(gateway: Arc<Gateway>, facts: RequestFacts, ticket: Ticket) -> Outcome {
    outcome_of(gateway.admit(&facts, Some(&ticket)).await)
}

/// As [`asks`]; and if it passes, what watches its session for as long as it is open.
pub(in super::super) async fn opens(
    gateway: Arc<Gateway>,
    facts: RequestFacts,
    ticket: Ticket,
) -> (Outcome, Option<Vigil>) {
    let mut answer = gateway.admit(&facts, Some(&ticket)).await;
    let place = answer.as_mut().ok().and_then(|verdict| verdict.subscription.take());
    let live = match &answer {
        Ok(Verdict { outcome: Admitted::Forward(permit), .. }) => permit.live().cloned(),
        _ => None,
    };
    let vigil = place.zip(live).map(|(place, live)| Vigil::new(gateway, place, ticket, live));
    (outcome_of(answer), vigil)
}

fn outcome_of(answer: Result<Verdict, GatewayError>) -> Outcome {
    match answer.map(|verdict| verdict.outcome) {
        Ok(Admitted::Forward(permit)) => {
            Outcome::Served(permit.relayed_token().map(|token| token.expose().to_owned()))
        }
        Ok(Admitted::Challenge(WhySignIn::Over(why))) => Outcome::Over(match why {
            WhyOver::Unknown => "unknown",
            WhyOver::Idle => "idle",
            WhyOver::Lifetime => "lifetime",
            WhyOver::Cleared => "cleared",
        }),
        Ok(Admitted::Challenge(WhySignIn::TokenExpired) | Admitted::Refused(_)) => Outcome::NoTokens,
        Ok(_) => Outcome::Strange("it was not even asked"),
        Err(GatewayError::Store(crate::ports::StoreError::Unavailable(_))) => Outcome::NoStore,
        Err(GatewayError::Provider(_)) => Outcome::NoProvider,
        Err(_) => Outcome::Strange("an error that cannot be"),
    }
}

/// What has come of an ending that may be in force in this replica alone.
pub(in super::super) fn ended<T, E>(gateway: &Gateway, answer: &Result<T, E>) -> Outcome {
    Outcome::Ended(match answer {
        Ok(_) if gateway.store.owed() == 0 => How::Done,
        Ok(_) => How::Here,
        Err(_) => How::Not,
    })
}

pub(in super::super) async fn signs_in(
    gateway: Arc<Gateway>,
    origin: Arc<Origin>,
    code: String,
    ticket: Option<Ticket>,
) -> Outcome {
    let wish = LoginWish {
        origin: Arc::clone(&origin),
        provider: None,
        return_to: ReturnTo::root(),
        prompt: None,
        login_hint: None,
        requested: Requested::default(),
    };
    let held = Held { binding: None, ticket };
    let Ok(begun) = gateway.begin_login(wish, &held).await else { return Outcome::NotIn };
    let answer = [("code".into(), code.into())];
    let Ok(params) = CallbackParams::read(begun.url.query_pairs().chain(answer)) else {
        return Outcome::Strange("the state does not come through");
    };
    let place = SignInPlace { address: "192.0.2.1".into(), user_agent: "Browser".into() };
    let held = Held { binding: begun.new_binding, ..held };
    let callback = Callback { origin, provider: None, params, held, place };
    match gateway.complete_login(callback).await {
        Ok(LoginEnd::SignedIn(ticket, _)) => {
            Outcome::In(session_key(&ticket), ticket, gateway.store.owed() == 0)
        }
        Ok(LoginEnd::Failed(LoginRefusal::TooMany, _)) => Outcome::TooMany,
        Ok(LoginEnd::Failed(..)) | Err(_) => Outcome::NotIn,
        Ok(LoginEnd::Already(_) | LoginEnd::Again(_)) => Outcome::Strange("a login that was used already"),
    }
}
