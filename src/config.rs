//! What the house was told, already true.
//!
//! I own: [`Settings`] and everything that turns a file and an environment into it; the process environment is read
//! here and nowhere else. I may call: `domain`, `keyring` (for the form of a key). I never open a socket, and I never
//! stop at the first mistake.
//!
//! Two tiers: the file as the TOML parser left it, walked by `cursor`, and [`Settings`], which cannot be wrong. Each
//! section has a file that takes one to the other.

pub mod environment;
pub mod problem;

mod amount;
mod certificate;
mod cursor;
mod description;
mod identity;
mod identity_header;
mod keys;
mod log;
mod mask;
mod provider;
mod route;
mod secret;
mod server;
mod session;
#[cfg(test)]
mod tests;

use crate::config::cursor::{Reader, Reported, Section};
use crate::config::environment::Environment;
use crate::config::problem::Problems;
use crate::domain::algorithm::SigningAlgorithm;
use crate::domain::claim::ClaimPath;
use crate::domain::identity::{IdentityRule, Issuer, ProviderId};
use crate::domain::login::Requested;
use crate::domain::origin::Origins;
use crate::domain::path::CanonicalPath;
use crate::domain::route::{IdentitySource, RouteTable};
use crate::domain::secret::ClientSecret;
use crate::domain::session::Limits;
use crate::keyring::MasterKey;
use ipnet::IpNet;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::Path;
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
    /// `[log]`.
    pub log: LogSettings,
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
    /// `drain_timeout`: how long requests in flight may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// `health_listen`: the door for probes, if there is one.
    pub health_listen: Option<SocketAddr>,
    /// `admin_listen` and `admin_token`: the door for operators, if there is one.
    pub admin: Option<AdminSettings>,
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
    /// `keys`: the first seals, all open; never empty.
    pub keys: Vec<MasterKey>,
    /// `idle_timeout` and `lifetime`.
    pub limits: Limits,
}

/// The store of sessions.
pub enum StoreSettings {
    /// `memory`: gone with the process.
    Memory,
    /// `redis://` or `rediss://`.
    Redis(RedisSettings),
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
    /// `ca_file`: PEM certificates, trusted beside the system's roots.
    pub ca_pem: Option<Vec<u8>>,
    /// `http_proxy`.
    pub http_proxy: Option<Url>,
    /// `id_token_hint`: whether logout hands the ID token back to the provider.
    pub id_token_hint: bool,
}

/// How the client proves itself at the token endpoint (OpenID Connect Core section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic`.
    SecretBasic,
    /// `client_secret_post`.
    SecretPost,
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

/// Reads the file at `path`, and what it points at.
///
/// # Errors
/// Every mistake in it; or one, when it cannot be read or is no TOML.
pub fn load(path: &Path, environment: &dyn Environment) -> Result<Settings, Problems> {
    let name = path.display().to_string();
    let bytes =
        environment.read_file(path).map_err(|error| Problems::unreadable(&name, &error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| Problems::unreadable(&name, "it is not UTF-8 text"))?;
    parse(&name, &text, environment)
}

/// Reads `text` as if it were a file called `name`, and what it points at.
///
/// # Errors
/// Every mistake in it; or one, when it is no TOML.
pub fn parse(name: &str, text: &str, environment: &dyn Environment) -> Result<Settings, Problems> {
    let tree = DeTable::parse(text).map_err(|error| Problems::syntax(name, text, &error))?;
    let reader = Reader::new(environment);
    let settings = resolve(Section::root(&reader, tree.get_ref()));
    match (settings, reader.into_faults()) {
        (Ok(settings), faults) if faults.is_empty() => Ok(settings),
        (_, faults) => Err(Problems::new(name, text, &mask::hidden_spans(tree.get_ref()), faults)),
    }
}

/// What `keycard check` says of a file without mistakes: what is served where and to whom, every bound as a number,
/// and what deserves a second look. Holds no secret.
pub fn describe(settings: &Settings) -> String {
    description::write(settings)
}

fn resolve(mut file: Section<'_>) -> Result<Settings, Reported> {
    let (server, premises) = server::read(file.section("server"));
    let session = session::read(file.section("session"), &premises);
    let providers = provider::read_all(&mut file, &premises);
    let identity = identity::read(file.section("identity"));
    let routes = route::read_all(&mut file, &premises);
    let log = log::read(file.section("log"));
    file.finish();
    let routes = routes?;
    let identity = IdentityRule { read_by_headers: claims_in_headers(&routes), ..identity? };
    Ok(Settings { server: server?, session: session?, providers: providers?, identity, routes, log: log? })
}

fn claims_in_headers(routes: &RouteTable) -> Vec<ClaimPath> {
    let mut paths: Vec<ClaimPath> = Vec::new();
    for header in routes.iter().flat_map(|route| &route.identity_headers) {
        match &header.source {
            IdentitySource::Claim(path) if !paths.contains(path) => paths.push(path.clone()),
            _ => {}
        }
    }
    paths
}
