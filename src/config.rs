//! What the house was told, already true.
//!
//! I own: [`Settings`] and everything that turns a file and an environment into it; the process environment is read
//! here and nowhere else. I may call: `domain`, `keyring` (for the form of a key). I never open a socket, and I never
//! stop at the first mistake.

use crate::domain::algorithm::SigningAlgorithm;
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
use std::net::SocketAddr;
use std::time::Duration;
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
