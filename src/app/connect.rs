//! Whether everything that the gateway depends on can be reached: `keycard check --connect`.
//!
//! I own: the list of dependencies, the bound of each, and how the findings look. I may call: every room that has one.
//! I never sign anybody in, and leave nothing behind: a made-up session is removed at once, and the name of a made-up
//! login is gone after a second.

mod keys;

use crate::app::StartError;
use crate::config::{KeySource, ProviderSettings, RedisSettings, Settings, StoreSettings, is_cluster_url};
use crate::domain::claim::Claims;
use crate::domain::files::FileSite;
use crate::domain::identity::{Identity, IdentityRule, Issuer, ProviderId, Subject};
use crate::domain::renewal::Renewal;
use crate::domain::route::UpstreamAddress;
use crate::domain::secret::{AccessToken, RawIdToken};
use crate::domain::session::{Session, SignInPlace, TokenSet};
use crate::keyring::{NoRandomness, new_lease_id, new_login_id, new_sid, new_text, new_ticket, session_key};
use crate::oidc::OidcProvider;
use crate::ports::{Clock, ProviderError, SessionStore, StoreError, Updated};
use crate::store::{self, Confirmation};
use crate::upstream::reach::Reach;
use crate::upstream::{self, UpstreamError, files};
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use secrecy::ExposeSecret as _;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use tokio::time::{Instant, timeout};

/// How long a made-up session would live if it could not be removed.
const REHEARSAL: Duration = Duration::from_secs(60);

/// What became of one dependency.
pub struct Finding {
    /// What it is: a provider, the store, an app.
    pub what: String,
    /// Where it is, without anything secret.
    pub place: String,
    /// How long it was waited for at most.
    pub bound: Duration,
    /// How long it took.
    pub took: Duration,
    /// What was found there, or what is wrong.
    pub result: Result<String, Failure>,
}

/// What is wrong with a dependency.
pub struct Failure {
    /// What happened.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

/// All findings, in the order of the configuration. `Display` is a table for a terminal.
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// Whether everything was reached.
    pub fn all_well(&self) -> bool {
        self.0.iter().all(|finding| finding.result.is_ok())
    }
}

/// Tries everything at the same time, each within its bound.
///
/// # Errors
/// When there is nothing to try with: settings that can never work, as at the start of the gateway.
pub async fn connect(settings: Settings, clock: Arc<dyn Clock>) -> Result<Findings, StartError> {
    let Settings { session, providers, identity, routes, .. } = settings;
    let mut attempts: Vec<BoxFuture<'_, Finding>> = Vec::new();
    for provider in providers {
        attempts.push(try_provider(provider, identity.clone(), Arc::clone(&clock)).boxed());
    }
    attempts.push(try_store(session.store, session.keys, clock).boxed());
    let reach = Arc::new(Reach::new()?);
    let mut seen: Vec<&UpstreamAddress> = Vec::new();
    for address in routes.iter().flat_map(|route| &route.upstreams) {
        if !seen.contains(&address) {
            seen.push(address);
            attempts.push(try_upstream(address.clone(), Arc::clone(&reach)).boxed());
        }
    }
    for site in routes.iter().filter_map(|route| route.files.clone()) {
        attempts.push(try_folder(site).boxed());
    }
    Ok(Findings(join_all(attempts).await))
}

async fn within(
    what: String,
    place: String,
    bound: Duration,
    attempt: impl Future<Output = Result<String, Failure>>,
) -> Finding {
    let begun = Instant::now();
    let result = timeout(bound, attempt).await.unwrap_or_else(|_| {
        let why = "no answer in time".to_owned();
        Err(Failure {
            why,
            remedy: format!("check the way to {place} from this machine: name, port, firewall"),
        })
    });
    Finding { what, place, bound, took: begun.elapsed(), result }
}

async fn try_provider(settings: ProviderSettings, identity: IdentityRule, clock: Arc<dyn Clock>) -> Finding {
    let what = format!("provider `{}`", settings.id.as_str());
    let place = settings.issuer.as_str().to_owned();
    // Metadata, then keys.
    let bound = settings.timeout.saturating_mul(2);
    let attempt = async {
        let published = match OidcProvider::new(settings, identity, clock) {
            Ok(provider) => provider.reach().await,
            Err(error) => Err(error),
        };
        match published.map_err(provider_failure)?.keys {
            Some(1) => Ok("metadata and 1 key".to_owned()),
            Some(count) => Ok(format!("metadata and {count} keys")),
            None => Ok("metadata".to_owned()),
        }
    };
    within(what, place, bound, attempt).await
}

fn provider_failure(error: ProviderError) -> Failure {
    let remedy = match &error {
        ProviderError::Unavailable(_) => {
            "check `issuer`, and the way there from this machine: name, firewall, `http_proxy`, `ca_file`"
        }
        ProviderError::Misconfigured(_) | ProviderError::Refused(_) | ProviderError::Rejected(_) => {
            "compare the keys of the provider's section with its discovery document"
        }
    };
    Failure { why: error.to_string(), remedy: remedy.to_owned() }
}

async fn try_store(settings: StoreSettings, keys: KeySource, clock: Arc<dyn Clock>) -> Finding {
    let place = settings.place();
    // A ping that has to connect, breaks and is asked again takes four time-outs; as much again for the rehearsal.
    let bound = match &settings {
        StoreSettings::Memory => Duration::from_secs(1),
        StoreSettings::Embedded(_) => Duration::from_secs(1),
        // A master that has to be found takes two more for each of the four connections; the masters of a cluster, of which
        // most have something of the rehearsal, one each.
        StoreSettings::Redis(RedisSettings { timeout, sentinel, url, .. }) => {
            let is_found = sentinel.is_some() || is_cluster_url(url.expose_secret());
            timeout.saturating_mul(if is_found { 16 } else { 8 })
        }
    };
    let attempt = async {
        // A check must not make the store, whose owner it would become, nor ask for it while a gateway holds it.
        if let StoreSettings::Embedded(embedded) = &settings {
            let there = embedded.path.try_exists().map_err(|error| hidden(&error))?;
            try_writing(&embedded.path).map_err(|error| hidden(&error))?;
            return Ok(match there {
                true => "its directory is there; it was not opened".to_owned(),
                false => "its directory is made at the first start".to_owned(),
            });
        }
        let opened = store::open(&settings, keys, true).await.map_err(|error| unreached(&error))?;
        opened.store.ping().await.map_err(|error| unreached(&error))?;
        rehearse(opened.store.as_ref(), clock.as_ref()).await?;
        let missing = keys::missing(opened.census.as_ref(), clock.as_ref()).await.unwrap_or_default();
        let done = "a made-up session was written, read and removed";
        Ok(match opened.waits.map(|waits| waits.last()) {
            None | Some(Confirmation::Alone) => format!("{done}{missing}"),
            Some(Confirmation::Confirmed) => format!("{done}, and replicas confirmed it{missing}"),
            Some(Confirmation::Short) => format!("{done}; not enough replicas confirmed it in time{missing}"),
            Some(Confirmation::Refused) => {
                format!("{done}; nobody confirmed it: its user needs +wait{missing}")
            }
        })
    };
    within("store".to_owned(), place, bound, attempt).await
}

/// Whether this user may write into a directory, or make it where it is not there yet: an empty file is made at the
/// nearest place that is there, and removed.
fn try_writing(directory: &Path) -> io::Result<()> {
    let place = directory.ancestors().find(|place| place.is_dir()).unwrap_or(Path::new("."));
    let name = new_text::<12>().map_err(io::Error::other)?;
    let trial = place.join(format!(".keycard-check-{}", name.as_str()));
    OpenOptions::new().write(true).create_new(true).open(&trial)?;
    fs::remove_file(&trial)
}

fn hidden(error: &io::Error) -> Failure {
    let remedy = "let the user that Keycard runs as make and write `session.store_path`";
    Failure { why: error.to_string(), remedy: remedy.to_owned() }
}

/// What a user of Redis has to be allowed, as its ACL has it; docs/operating.md shows the same.
const RIGHTS: &str = "+ping +select +hmget +hget +hset +exists +get +set +del +pexpire +pttl +zadd +zscore +zcard +zrem \
                      +zremrangebyscore +zrangebyscore +scan +evalsha +script|load +client|tracking +info +role +wait";

fn unreached(error: &StoreError) -> Failure {
    let remedy = format!(
        "check host, port, user and password of `session.store`; TLS wants rediss:// and, for a CA of your own, \
         `store_ca_file`; where Redis answers NOPERM, its user needs, on `~<store_prefix>*`, {RIGHTS}; that of \
         `store_sentinel_user` needs +sentinel|get-master-addr-by-name; in a cluster the user \
         needs +cluster|slots +cluster|nodes +cluster|getkeysinslot +asking, too"
    );
    Failure { why: error.to_string(), remedy }
}

/// Everything that a session needs of the store. It answers already, so what fails here it does not allow.
async fn rehearse(store: &dyn SessionStore, clock: &dyn Clock) -> Result<(), Failure> {
    let remedy = format!(
        "the store answers, but does not let Keycard do its work: its user needs, on `~<store_prefix>*`, {RIGHTS}; and it \
         must not be a replica or full"
    );
    let failed = |why: String| Failure { why, remedy: remedy.clone() };
    rehearsal(store, clock).await.map_err(|error| match error {
        Stumble::Store(error) => failed(error.to_string()),
        Stumble::Random(error) => failed(error.to_string()),
        Stumble::Forgotten => failed("a session that was just written cannot be read".to_owned()),
    })
}

enum Stumble {
    Store(StoreError),
    Random(NoRandomness),
    Forgotten,
}

impl From<StoreError> for Stumble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<NoRandomness> for Stumble {
    fn from(error: NoRandomness) -> Self {
        Self::Random(error)
    }
}

async fn rehearsal(store: &dyn SessionStore, clock: &dyn Clock) -> Result<(), Stumble> {
    let now = clock.now();
    let ticket = new_ticket()?;
    let key = session_key(&ticket);
    let (provider, subject) = (ProviderId::parse("check"), Subject::parse("keycard check"));
    let (Some(provider), Some(subject)) = (provider, subject) else { return Err(Stumble::Forgotten) };
    let session = Session {
        sid: new_sid()?,
        identity: Identity {
            issuer: Issuer::new("keycard check"),
            subject: subject.clone(),
            user_id: "keycard check".to_owned(),
            name: None,
            email: None,
            email_verified: false,
            roles: Vec::new(),
            groups: Vec::new(),
            claims: Claims::default(),
        },
        provider,
        started: now,
        ends: now.plus(REHEARSAL),
        authenticated: None,
        acr: None,
        provider_sid: None,
        tokens: TokenSet {
            access: AccessToken::new("none"),
            access_expires: None,
            refresh: None,
            id_token: RawIdToken::new("none"),
        },
        renewal: Renewal::begun(now),
        supersedes: None,
        place: SignInPlace { address: String::new(), user_agent: String::new() },
    };
    store.take_once(new_login_id()?, now, Duration::from_secs(1)).await?;
    store.create(&ticket, &session, now).await?;
    let steps = async {
        let Some(live) = store.load(&ticket, now).await? else { return Err(Stumble::Forgotten) };
        store.touch(&key, now, REHEARSAL).await?;
        let holder = new_lease_id()?;
        store.lease(&key, holder, now, REHEARSAL).await?;
        store.release(&key, holder).await?;
        let updated = store.update(&ticket, &session, live.version, now).await?;
        store.list(None, 1, now).await?;
        let listed = store.of_subject(&session.identity.issuer, &subject, now).await?;
        match updated {
            Updated::Done(_) if listed.contains(&key) => Ok(()),
            _ => Err(Stumble::Forgotten),
        }
    };
    let done = steps.await;
    let removed = store.remove(&key).await;
    done?;
    if removed? { Ok(()) } else { Err(Stumble::Forgotten) }
}

async fn try_upstream(address: UpstreamAddress, reach: Arc<Reach>) -> Finding {
    let place = format!("{}://{}", address.scheme(), address.authority);
    let attempt = async {
        let found = if address.secure { "TCP and TLS" } else { "TCP" };
        reach
            .connect(&address)
            .await
            .map(|()| found.to_owned())
            .map_err(|error| upstream_failure(&error, &address))
    };
    within("upstream".to_owned(), place.clone(), upstream::CONNECT_TIMEOUT, attempt).await
}

async fn try_folder(site: FileSite) -> Finding {
    let place = format!("file://{}", site.root.display());
    let attempt = async {
        let looked = tokio::task::spawn_blocking(move || files::reach(&site)).await;
        let found = looked.unwrap_or(Err("it could not be looked at"));
        found.map(str::to_owned).map_err(|why| Failure {
            why: why.to_owned(),
            remedy: "build the app there, let the user that Keycard runs as read it, or mend `upstream` and `fallback`"
                .to_owned(),
        })
    };
    within("folder".to_owned(), place, upstream::CONNECT_TIMEOUT, attempt).await
}

fn upstream_failure(error: &UpstreamError, address: &UpstreamAddress) -> Failure {
    let mut remedy = "start the app, or mend `upstream`: host and port as this machine sees them".to_owned();
    if address.secure {
        remedy.push_str("; its certificate must be for that name, and signed by a root of this machine");
    }
    Failure { why: error.to_string(), remedy }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Reaching out, all at once, each within its bound")?;
        let width = |text: fn(&Finding) -> &str| {
            self.0.iter().map(|finding| text(finding).chars().count()).max().unwrap_or_default()
        };
        let (what, place) = (width(|finding| &finding.what), width(|finding| &finding.place));
        for finding in &self.0 {
            let (mark, text) = match &finding.result {
                Ok(found) => ("\u{2713} ok    ", found),
                Err(failure) => ("\u{2717} FAILED", &failure.why),
            };
            let times = format!("{:>5}ms of {:>4}s", finding.took.as_millis(), finding.bound.as_secs_f32());
            writeln!(f, "  {mark}  {:what$}  {:place$}  {times}  {text}", finding.what, finding.place)?;
            if let Err(failure) = &finding.result {
                writeln!(f, "            = help: {}", failure.remedy)?;
            }
        }
        let failed = self.0.iter().filter(|finding| finding.result.is_err()).count();
        match failed {
            0 => write!(f, "everything can be reached"),
            1 => write!(f, "1 of {} cannot be reached", self.0.len()),
            _ => write!(f, "{failed} of {} cannot be reached", self.0.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RIGHTS;

    #[test]
    fn the_handbook_and_the_store_name_the_rights_that_are_printed() {
        let handbook = include_str!("../../docs/operating.md");
        let line =
            handbook.lines().find(|line| line.starts_with("ACL SETUSER keycard on >… ~keycard:* ")).unwrap();
        let shown: Vec<&str> = line.split(' ').filter(|word| word.starts_with('+')).collect();
        assert_eq!(shown, RIGHTS.split_whitespace().collect::<Vec<_>>());
        // The tests of the store allow a user what its note names, and no more.
        let note = include_str!("../store/redis.rs").split("use crate::").next().unwrap();
        for right in shown {
            assert!(note.contains(right), "{right}");
        }
    }
}
