//! What the house was told, already true.
//!
//! I own: [`Settings`] and everything that turns a file and an environment into it; the process environment is read
//! here and nowhere else. I may call: `domain`, `keyring` (for the form of a key), `rules` (to parse
//! expressions). I never open a socket, and I never
//! stop at the first mistake.
//!
//! Two tiers: the file as the TOML parser left it, with the environment laid over it by `overlay` and walked by
//! `cursor`; and [`Settings`], which cannot be wrong. Each section has a file that takes one to the other, and says in
//! a table which keys it has.

pub mod environment;
pub mod fixed;
pub mod problem;
pub mod sources;

mod amount;
mod certificate;
mod cursor;
mod description;
mod identity;
mod identity_header;
mod keys;
mod log;
mod mask;
mod overlay;
mod pages;
mod provider;
mod reference;
mod route;
mod schema;
mod secret;
mod server;
mod session;
#[cfg(test)]
mod tests;

use crate::config::cursor::{Reader, Reported, Section};
use crate::config::environment::Environment;
use crate::config::problem::Problems;
use crate::domain::algorithm::SigningAlgorithm;
use crate::domain::cap::Cap;
use crate::domain::claim::ClaimPath;
use crate::domain::cookie_reach::CookieReach;
use crate::domain::door::DoorLimits;
use crate::domain::identity::{IdentityRule, Issuer, ProviderId};
use crate::domain::login::Requested;
use crate::domain::origin::Origins;
use crate::domain::path::CanonicalPath;
use crate::domain::route::RouteTable;
use crate::domain::secret::ClientSecret;
use crate::domain::session::Limits;
use crate::keyring::MasterKey;
use ipnet::IpNet;
use secrecy::SecretString;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::DeTable;
use url::Url;

/// Everything that `keycard serve` needs to know.
pub struct Settings {
    /// `[server]`.
    pub server: ServerSettings,
    /// `[session]`.
    pub session: SessionSettings,
    /// `[[provider]]`, never empty, ids unique; the first one is the default.
    pub providers: Vec<ProviderSettings>,
    /// `[identity]`.
    pub identity: IdentityRule,
    /// `[[route]]`.
    pub routes: RouteTable,
    /// `[pages]`.
    pub pages: PageSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// The names of the environment variables that took part as keys.
    pub from_environment: Vec<String>,
}

/// The public door.
pub struct ServerSettings {
    /// `listen`.
    pub listen: SocketAddr,
    /// `public_url`: one origin or several, all https or all http.
    pub origins: Origins,
    /// `prefix`, without a trailing slash.
    pub prefix: CanonicalPath,
    /// `trusted_proxies`; empty trusts nobody.
    pub trusted_proxies: Vec<IpNet>,
    /// `dev`: plain http outside loopback and short secrets are let through, loudly.
    pub dev: bool,
    /// `workers`: threads that serve requests; `None` for one per core.
    pub workers: Option<usize>,
    /// `header_timeout`: how long a client may take to send a request head.
    pub header_timeout: Duration,
    /// `keep_alive`: how long an idle client connection is kept.
    pub keep_alive: Duration,
    /// The limits of the public door.
    pub limits: DoorLimits,
    /// `drain_timeout`: how long requests in flight may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// `health_listen`: the door for probes, if there is one.
    pub health_listen: Option<SocketAddr>,
    /// `admin_listen` and `admin_token`: the door for operators, if there is one.
    pub admin: Option<AdminSettings>,
    /// `reload`: when the configuration is read again.
    pub reload: Reload,
}

/// When the configuration is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// At SIGHUP.
    Signal,
    /// At SIGHUP, and when a file changes.
    Watch,
    /// Never.
    Off,
}

/// The door for operators.
pub struct AdminSettings {
    /// `admin_listen`.
    pub listen: SocketAddr,
    /// `admin_token`.
    pub token: SecretString,
}

/// Where sessions live and for how long.
pub struct SessionSettings {
    /// `store`.
    pub store: StoreSettings,
    /// `keys`.
    pub keys: KeySource,
    /// `idle_timeout` and `lifetime`.
    pub limits: Limits,
    /// `revocable`, `max_per_user` and `at_limit`.
    pub endings: EndingSettings,
    /// `cache_sessions`, `cache_bytes` and `outage_grace`.
    pub near: NearSettings,
    /// `same_site` and `embed`.
    pub reach: CookieReach,
}

/// What endings do besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndingSettings {
    /// `revocable`: whether the server reaches refresh tokens without the browser's ticket.
    pub revocable: bool,
    /// `max_per_user` and `at_limit`; `None` for any number of sessions.
    pub cap: Option<Cap>,
}

/// What is kept in memory of a store that others write to as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearSettings {
    /// `cache_sessions`; 0 for nothing.
    pub sessions: usize,
    /// `cache_bytes`.
    pub bytes: usize,
    /// `outage_grace`; zero for none.
    pub outage_grace: Duration,
}

/// Where the keys come from.
pub enum KeySource {
    /// From the configuration: the first seals, all open; never empty.
    Given(Vec<MasterKey>),
    /// Made up for this process: with a store that forgets as it does.
    MadeUp(MasterKey),
    /// From a file beside the embedded store, which makes it at its first start.
    BesideStore,
}

/// The store of sessions.
pub enum StoreSettings {
    /// `embedded`: a file on this machine.
    Embedded(EmbeddedSettings),
    /// `memory`: gone with the process.
    Memory,
    /// `redis://` or `rediss://`.
    Redis(RedisSettings),
}

/// A directory with the sessions of one gateway.
#[derive(Clone)]
pub struct EmbeddedSettings {
    /// `store_path`: the directory; whether it is there is for the store to find out.
    pub path: PathBuf,
    /// `server.dev`: a key in it that others may read will do.
    pub dev: bool,
}

/// A Redis server.
pub struct RedisSettings {
    /// The URL, with user and password if there are any.
    pub url: SecretString,
    /// `store_prefix`: before every key, `keycard:` unless configured.
    pub prefix: String,
    /// `store_timeout`: for one command.
    pub timeout: Duration,
    /// `store_ca_file`: PEM certificates to trust instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// One identity provider.
pub struct ProviderSettings {
    /// `id`.
    pub id: ProviderId,
    /// `issuer`.
    pub issuer: Issuer,
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`.
    pub client_secret: ClientSecret,
    /// `client_auth`.
    pub client_auth: ClientAuth,
    /// `scopes`; has `openid`.
    pub scopes: Vec<String>,
    /// `signing_algorithms`: never empty; symmetric ones only alone.
    pub algorithms: Vec<SigningAlgorithm>,
    /// `endpoint_hosts`: hosts, besides the issuer's, at which endpoints may be.
    pub endpoint_hosts: Vec<String>,
    /// `userinfo`: fetch UserInfo at login.
    pub userinfo: bool,
    /// `max_age` and `acr_values` that every login asks for.
    pub requested: Requested,
    /// `authorization_params`: further parameters of the authorization request.
    pub extra_params: Vec<(String, String)>,
    /// `clock_skew`: tolerated difference between the provider's clock and ours, at most 60 s.
    pub clock_skew: Duration,
    /// `timeout`: for one request to the provider, connection included.
    pub timeout: Duration,
    /// `refresh_before`.
    pub refresh_before: Duration,
    /// `ca_file`: PEM certificates, trusted beside the system's roots.
    pub ca_pem: Option<Vec<u8>>,
    /// `http_proxy`.
    pub http_proxy: Option<Url>,
    /// `id_token_hint`: whether logout hands the ID token back to the provider.
    pub id_token_hint: bool,
    /// `strict_typ`: whether a logout token has to name its kind (ASVS 10.5.5).
    pub strict_typ: bool,
}

/// How the client proves itself at the token endpoint (OpenID Connect Core section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic`.
    SecretBasic,
    /// `client_secret_post`.
    SecretPost,
}

/// The look of our own pages.
#[derive(Debug, Default)]
pub struct PageSettings {
    /// `folder`.
    pub folder: Option<PathBuf>,
    /// The templates and the style in it, by their names.
    pub templates: Vec<(String, String)>,
    /// `name`.
    pub name: Option<String>,
    /// `logo`: a path.
    pub logo: Option<String>,
    /// `accent`: red, green and blue.
    pub accent: Option<[u8; 3]>,
    /// `footer`.
    pub footer: Option<String>,
}

/// Logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// `format`.
    pub format: LogFormat,
    /// `level`.
    pub level: tracing::Level,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For machines.
    Json,
    /// For people.
    Human,
}

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "keycard.toml";

/// Reads the file at `path`, or [`DEFAULT_FILE`], what it points at, and the environment over it.
///
/// A container may have no file at all: where none was named and the default one does not exist, the environment
/// alone will do, if it has any key. A file that was named must be there.
///
/// # Errors
/// Every mistake; or one, when the file cannot be read or is no TOML.
pub fn load(path: Option<&Path>, environment: &dyn Environment) -> Result<Settings, Problems> {
    let file = path.unwrap_or(Path::new(DEFAULT_FILE));
    let name = file.display().to_string();
    let bytes = match environment.read_file(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_none() => {
            if overlay::variables(environment).is_empty() {
                return Err(Problems::nothing(&name));
            }
            return parse(&format!("{name} (not there)"), "", environment);
        }
        Err(error) => return Err(Problems::unreadable(&name, &error.to_string())),
    };
    let text = String::from_utf8(bytes).map_err(|_| Problems::unreadable(&name, "it is not UTF-8 text"))?;
    parse(&name, &text, environment)
}

/// Reads `text` as if it were a file called `name`, what it points at, and the environment over it.
///
/// # Errors
/// Every mistake; or one, when the text is no TOML.
pub fn parse(name: &str, text: &str, environment: &dyn Environment) -> Result<Settings, Problems> {
    let variables = overlay::variables(environment);
    let tree = DeTable::parse(text).map_err(|error| Problems::syntax(name, text, &error))?;
    let mut tree = tree.into_inner();
    let hidden = mask::hidden_spans(&tree);
    let misfits = overlay::lay_over(&mut tree, text, &variables);
    let reader = Reader::new(environment, misfits);
    let settings = resolve(Section::root(&reader, &tree));
    match (settings, reader.into_faults()) {
        (Ok(settings), faults) if faults.is_empty() => {
            let from_environment = variables.iter().map(|variable| variable.name.clone()).collect();
            Ok(Settings { from_environment, ..settings })
        }
        (_, faults) => {
            let variable = |span: &Range<usize>| {
                overlay::variable_at(&variables, text, span).map(|variable| variable.name.clone())
            };
            Err(Problems::new(name, text, &hidden, &variable, faults))
        }
    }
}

/// A time limit that is fixed in another room, for `keycard check` to print.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// What is limited.
    pub what: &'static str,
    /// How long.
    pub span: Duration,
    /// What else there is to say.
    pub note: &'static str,
}

/// What `keycard check` says of a configuration without mistakes: what is served where and to whom, every bound as a
/// number, the `fixed` ones too, and what deserves a second look. Holds no secret.
pub fn describe(settings: &Settings, fixed: &[Bound]) -> String {
    description::write(settings, fixed)
}

/// The JSON Schema of the file (draft 2020-12), for editors: what `keycard schema` prints.
pub fn schema() -> String {
    format!("{:#}\n", schema::document())
}

/// Every key explained, as Markdown: what `keycard schema --markdown` prints, and `docs/configuration.md` is.
pub fn reference() -> String {
    reference::document()
}

fn resolve(mut file: Section<'_>) -> Result<Settings, Reported> {
    let (server, premises) = server::read(file.section("server"));
    let session = session::read(file.section("session"), &premises);
    let providers = provider::read_all(&mut file, &premises);
    let identity = identity::read(file.section("identity"));
    let ids = providers.as_ref().ok().map(|all| all.iter().map(|one| one.id.clone()).collect());
    let routes = route::read_all(&mut file, &premises, ids);
    let pages = pages::read(file.section("pages"));
    let log = log::read(file.section("log"));
    file.finish();
    let routes = routes?;
    let identity = identity?;
    if identity.email.as_str() != "email" && routes.iter().any(|route| route.conditions.rule.asks_for_email())
    {
        return Err(file.wrong(
            "identity",
            "takes e-mail addresses from another claim than `email`, so nobody's counts as verified, and `email_domains` lets nobody in",
            "leave out `identity.email`, or ask for something else than email_domains",
        ));
    }
    let keeps_all = routes.iter().any(|route| route.legacy.claim_headers);
    let identity = IdentityRule {
        read_by_headers: claims_in_headers(&routes),
        read_by_rules: claims_in_rules(&routes),
        keeps_all,
        ..identity
    };
    Ok(Settings {
        server: server?,
        session: session?,
        providers: providers?,
        identity,
        routes,
        pages: pages?,
        log: log?,
        from_environment: Vec::new(),
    })
}

fn claims_in_headers(routes: &RouteTable) -> Vec<ClaimPath> {
    let mut paths: Vec<ClaimPath> = Vec::new();
    for route in routes.iter() {
        let user = route.legacy.basic_auth.as_ref().map(|auth| auth.user.claims()).unwrap_or_default();
        let named = route.identity_headers.iter().flat_map(|header| header.source.claims());
        for path in named.chain(user) {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
    }
    paths
}

fn claims_in_rules(routes: &RouteTable) -> Vec<ClaimPath> {
    let mut paths: Vec<ClaimPath> = Vec::new();
    for path in routes.iter().flat_map(|route| route.conditions.rule.claims()) {
        if !paths.contains(path) {
            paths.push(path.clone());
        }
    }
    paths
}
