//! A gateway is killed between any two commands to Redis, and another one looks at what it left (R56, R88, A35).
//!
//! I own: the list of points, each run with a real `kill -9`; the child, which is this very test binary told by [`POINT`]
//! where to stop; and the gateway that it runs. I never count on the order of anything that the child did after it said
//! where it is: it does nothing after that.

use crate::config::{KeySource, StoreSettings};
use crate::domain::identity::{Issuer, ProviderId};
use crate::domain::login::{ProvenCallback, Requested, ResponseRules};
use crate::domain::logout::LogoutNotice;
use crate::domain::origin::Origin;
use crate::domain::path::CanonicalPath;
use crate::domain::renewal::RenewalRules;
use crate::domain::route::RouteTable;
use crate::domain::secret::{RawIdToken, RefreshToken};
use crate::domain::session::tests::session;
use crate::domain::session::{Limits, Session, Ticket};
use crate::domain::time::Timestamp;
use crate::gateway::ending::{Endings, Hint};
use crate::gateway::operating::Selection;
use crate::gateway::refresh::Refreshes;
use crate::gateway::revoking::Revoker;
use crate::gateway::{Gateway, Providers};
use crate::keyring::{new_ticket, session_key};
use crate::ports::{
    AuthorizationRequest, Clock, Entry, IdentityProvider, Ledger, ProviderError, RenewalError, Renewed,
    SignedIn, StoreError, Updated,
};
use crate::store::contract::house::{NOW, fresh_prefix, keys};
use crate::store::redis::server::Server;
use crate::store::{Opened, open};
use futures_util::future::BoxFuture;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use url::Url;

/// Where the child stops. Without it, it is not a child.
const POINT: &str = "KEYCARD_TEST_FAULT_POINT";
/// What it does until then, on which server, under which prefix, with which ticket.
const TASK: &str = "KEYCARD_TEST_FAULT_TASK";
const PORT: &str = "KEYCARD_TEST_FAULT_PORT";
const PREFIX: &str = "KEYCARD_TEST_FAULT_PREFIX";
const TICKET: &str = "KEYCARD_TEST_FAULT_TICKET";
const NAME: &str = "store::redis::tests::crash::the_gateway_that_is_killed";

/// Every point between two commands, by what is done there.
const POINTS: &[(&str, &[&str])] = &[
    ("create", &["create: indexes there", "create: record there"]),
    ("update", &["update: indexes there"]),
    ("sign-out", &["owe: noted", "end: record gone", "end: indexes read", "end: record and last use gone"]),
    ("plain-end", &["end: indexes read", "end: record and last use gone"]),
    ("frame", &["mark: noted", "owe: noted", "end: record gone"]),
    ("end-all", &["clear: noted", "owe: noted", "end: record gone"]),
    ("revoke", &["claim: taken"]),
];

static ARMED: AtomicBool = AtomicBool::new(false);

/// Called at each point: stops for good where the parent said so.
#[expect(clippy::disallowed_methods, reason = "the parent has no other way to tell its child")]
pub(in crate::store::redis) async fn reached(name: &'static str) {
    static STOP_AT: OnceLock<Option<String>> = OnceLock::new();
    let stop_at = STOP_AT.get_or_init(|| std::env::var(POINT).ok());
    if stop_at.as_deref() == Some(name) && ARMED.load(Ordering::SeqCst) {
        say_that_it_stopped();
        std::future::pending::<()>().await;
    }
}

fn say_that_it_stopped() {
    let mut out = std::io::stdout().lock();
    out.write_all(b"@stopped\n").unwrap();
    out.flush().unwrap();
}

struct Then;

impl Clock for Then {
    fn now(&self) -> Timestamp {
        NOW.plus(Duration::from_secs(10))
    }

    fn until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

impl Ledger for Then {
    fn enter(&self, _: Entry<'_>) {}

    fn read(&self) -> String {
        String::new()
    }
}

/// A provider that nobody can reach.
struct Away(Issuer, Requested);

fn away<T: Send + 'static>() -> BoxFuture<'static, Result<T, ProviderError>> {
    Box::pin(std::future::ready(Err(ProviderError::Unavailable("it is away".into()))))
}

impl IdentityProvider for Away {
    fn is_known(&self) -> bool {
        false
    }

    fn issuer(&self) -> &Issuer {
        &self.0
    }

    fn requested(&self) -> &Requested {
        &self.1
    }

    fn authorization_url<'a>(
        &'a self,
        _: AuthorizationRequest<'a>,
    ) -> BoxFuture<'a, Result<Url, ProviderError>> {
        away()
    }

    fn response_rules(&self) -> BoxFuture<'_, Result<ResponseRules, ProviderError>> {
        away()
    }

    fn redeem<'a>(
        &'a self,
        _: ProvenCallback,
        _: &'a Url,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<SignedIn, ProviderError>> {
        away()
    }

    fn renewal_rules(&self) -> RenewalRules {
        RenewalRules::of(Duration::from_secs(30), Duration::from_secs(10))
    }

    fn renew<'a>(&'a self, _: &'a Session, _: Timestamp) -> BoxFuture<'a, Result<Renewed, RenewalError>> {
        Box::pin(async { Err(away::<Renewed>().await.err().unwrap().into()) })
    }

    fn revoke<'a>(&'a self, _: &'a RefreshToken) -> BoxFuture<'a, Result<bool, ProviderError>> {
        away()
    }

    fn verify_logout<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<LogoutNotice, ProviderError>> {
        away()
    }

    fn end_session_url<'a>(
        &'a self,
        _: Option<&'a RawIdToken>,
        _: &'a Url,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Url>, ProviderError>> {
        away()
    }
}

async fn opened(server: u16, prefix: &str) -> Opened {
    let settings = Server::settings_on(server, prefix);
    open(&StoreSettings::Redis(settings), KeySource::Given(keys(&[1])), true).await.unwrap()
}

/// A gateway over this store, whose provider nobody can reach.
pub(in crate::store) fn gateway(opened: Opened) -> Arc<Gateway> {
    let Opened { store, outbox, clearing, transfer, keys, .. } = opened;
    let (clock, ledger) = (Arc::new(Then) as Arc<dyn Clock>, Arc::new(Then) as Arc<dyn Ledger>);
    let revoker = Arc::new(Revoker::new(Arc::clone(&outbox), Arc::clone(&clock), Arc::clone(&ledger)));
    let provider: Arc<dyn IdentityProvider> = Arc::new(Away(session().identity.issuer, Requested::default()));
    Arc::new(Gateway {
        clock,
        store,
        keys,
        providers: Providers::new(vec![(ProviderId::parse("corp").unwrap(), provider)]).unwrap(),
        routes: RouteTable::default(),
        limits: Limits { idle: Duration::from_secs(1800), lifetime: Duration::from_secs(36_000) },
        prefix: CanonicalPath::parse("/bff").unwrap(),
        ledger,
        live: Arc::default(),
        refreshes: Arc::new(Refreshes::on(tokio::runtime::Handle::current())),
        transfer,
        endings: Arc::new(Endings { outbox, revoker, clearing, cap: None }),
    })
}

fn of_task(task: &str) -> Session {
    let mut session = session();
    if task == "plain-end" {
        session.tokens.refresh = None;
    }
    session
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the parent has no other way to tell its child")]
async fn the_gateway_that_is_killed() {
    let told = |name: &str| std::env::var(name);
    let Ok(task) = told(TASK) else { return };
    let (port, prefix) = (told(PORT).unwrap().parse().unwrap(), told(PREFIX).unwrap());
    let ticket = Ticket::parse(&told(TICKET).unwrap()).unwrap();
    let gateway = gateway(opened(port, &prefix).await);
    let (session, now) = (of_task(&task), gateway.clock.now());
    ARMED.store(true, Ordering::SeqCst);
    match task.as_str() {
        "create" => gateway.store.create(&ticket, &session, now).await.unwrap(),
        "update" => drop(gateway.store.update(&ticket, &session, 1, now).await.unwrap()),
        "sign-out" | "plain-end" => {
            let origin = Origin::parse("https://apps.example.com").unwrap();
            drop(gateway.sign_out(&ticket, &origin, Hint::Withheld, now).await.unwrap());
        }
        "frame" => {
            gateway.hear_frame(&session.identity.issuer, "idp-session").await.unwrap();
        }
        "end-all" => {
            gateway.end_sessions(Selection::All, now).await.unwrap();
        }
        _ => {
            drop(gateway.endings.outbox.take(now, Duration::from_secs(60), 16).await.unwrap());
        }
    }
    panic!("{task} was done without coming by");
}

/// Lets a child do its task up to the point, and kills it there.
fn kill_at(point: &str, task: &str, server: &Server, prefix: &str, ticket: &Ticket) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(POINT, point)
        .env(TASK, task)
        .env(PORT, server.port().to_string())
        .env(PREFIX, prefix)
        .env(TICKET, ticket.expose())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let stopped = lines.map_while(Result::ok).any(|line| line.contains("@stopped"));
    // SIGKILL: nothing of it runs any more.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(stopped, "{task} never came to {point:?}");
}

/// Every session that is there is found by its person and by its session at the provider.
async fn every_session_is_found(opened: &Opened, now: Timestamp, place: &str) {
    let page = opened.store.list(None, 1000, now).await.unwrap();
    for entry in page.entries {
        let summary = entry.summary.unwrap();
        let theirs = opened.store.of_subject(&summary.issuer, &summary.subject, now).await.unwrap();
        let mut stands = opened.store.of_provider_sid(&summary.issuer, "idp-session", now).await.unwrap();
        stands.extend(opened.store.of_provider_sid(&summary.issuer, "idp-other", now).await.unwrap());
        assert!(theirs.contains(&entry.key) && stands.contains(&entry.key), "{place}: lost by its indexes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r56_r88_a35_a_kill_between_any_two_commands_loses_no_session_no_ending_and_no_debt() {
    let server = Server::shared();
    for (task, point) in POINTS.iter().flat_map(|(task, points)| points.iter().map(move |at| (*task, *at))) {
        let (prefix, place) = (fresh_prefix(), format!("{task}, killed at {point:?}"));
        let after = opened(server.port(), &prefix).await;
        let (ticket, session, now) = (new_ticket().unwrap(), of_task(task), Then.now());
        let key = session_key(&ticket);
        // Somebody else's session, which nothing may happen to but what happens to all.
        let bystander = new_ticket().unwrap();
        let mut theirs = session.clone();
        theirs.started = now.plus(Duration::from_secs(60));
        theirs.provider_sid = Some("idp-other".into());
        after.store.create(&bystander, &theirs, now).await.unwrap();
        if task != "create" {
            after.store.create(&ticket, &session, now).await.unwrap();
        }
        if task == "revoke" {
            let owed = after.outbox.look(&key, now).await.unwrap().unwrap().owed.unwrap();
            after.outbox.note(&key, &owed, now, now).await.unwrap();
            after.store.remove(&key).await.unwrap();
        }
        kill_at(point, task, &server, &prefix, &ticket);

        every_session_is_found(&after, now, &place).await;
        let left = after.store.load(&ticket, now).await.unwrap();
        // When every lease is over.
        let late = now.plus(Duration::from_secs(61));
        let debts = after.outbox.take(late, Duration::from_secs(60), 100).await.unwrap().debts;
        let owes = debts.iter().any(|debt| debt.session == key && debt.owed.token.expose() == "refresh");
        match &left {
            // It lives on: whatever is noted of it waits.
            Some(live) => {
                for debt in debts.iter().filter(|debt| debt.session == key) {
                    assert!(!after.outbox.is_needless(debt, late).await.unwrap(), "{place}");
                }
                assert_eq!(
                    live.session.tokens.refresh.is_some(),
                    session.tokens.refresh.is_some(),
                    "{place}"
                );
                let goes_on = after.store.update(&ticket, &live.session, live.version, now).await.unwrap();
                assert_eq!(goes_on, Updated::Done(live.version + 1), "{place}");
            }
            None => {
                for debt in debts.iter().filter(|debt| debt.session == key) {
                    assert!(after.outbox.is_needless(debt, late).await.unwrap(), "{place}");
                }
                let revived = after.store.update(&ticket, &session, 1, now).await.unwrap();
                assert_eq!(revived, Updated::Gone, "{place}: an ended session was revived");
                let had_token = session.tokens.refresh.is_some() && task != "create";
                assert_eq!(owes, had_token, "{place}: what is owed");
            }
        }
        let ended = matches!(point, "end: record gone" | "end: record and last use gone" | "claim: taken");
        if ended {
            assert!(left.is_none(), "{place}: it was over by then");
        }
        if point == "clear: noted" {
            // One write is the whole ending: it holds although nothing else was done.
            assert!(
                after.clearing.ask(now, Duration::from_secs(3600)).await.unwrap() >= session.started,
                "{place}"
            );
        }
        assert!(is_there(after.store.load(&bystander, now).await), "{place}: the bystander");
    }
}

fn is_there<T>(answer: Result<Option<T>, StoreError>) -> bool {
    answer.unwrap().is_some()
}
