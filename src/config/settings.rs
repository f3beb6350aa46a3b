//! What comes of a file and an environment: values that cannot be wrong.
//!
//! I own: [`Settings`] and what is in it, section by section; where sessions are kept is in `store`. I may call: `domain`.
//! I never read anything: each section has a file that makes its part of me.

pub use self::store::{
    EmbeddedSettings, KeySource, RedisSettings, SentinelSettings, StoreSettings, WaitSettings,
};

use crate::domain::algorithm::SigningAlgorithm;
use crate::domain::cap::Cap;
use crate::domain::cookie_reach::CookieReach;
use crate::domain::door::DoorLimits;
use crate::domain::identity::{IdentityRule, Issuer, ProviderId};
use crate::domain::login::Requested;
use crate::domain::origin::Origins;
use crate::domain::path::CanonicalPath;
use crate::domain::route::RouteTable;
use crate::domain::secret::ClientSecret;
use crate::domain::session::Limits;
use ipnet::IpNet;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

mod store;

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
