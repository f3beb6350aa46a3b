//! Where sessions are kept, and what seals them.
//!
//! I own: [`StoreSettings`], with what each kind of store has to know, and [`KeySource`]. I may call: `keyring` (for the form of
//! a key). I never look whether a place is there: the store does.

use crate::keyring::MasterKey;
use secrecy::SecretString;
use std::path::PathBuf;
use std::time::Duration;

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
    /// `redis://` or `rediss://`, or with `+cluster`.
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

/// A Redis server, the one that sentinels name, or a cluster of them.
#[derive(Clone)]
pub struct RedisSettings {
    /// The URL, with user and password if there are any. With sentinels, the host in it leads nowhere; a cluster's leads to
    /// [`cluster_seeds`](crate::config::cluster_seeds).
    pub url: SecretString,
    /// `store_prefix`: before every key, `keycard:` unless configured.
    pub prefix: String,
    /// `store_timeout`: for one command.
    pub timeout: Duration,
    /// `store_ca_file`: PEM certificates to trust instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Who knows the address of the server.
    pub sentinel: Option<SentinelSettings>,
    /// What its replicas have to confirm.
    pub wait: WaitSettings,
}

impl RedisSettings {
    /// One server, whose replicas are waited for where it has any.
    pub fn new(url: SecretString, prefix: String, timeout: Duration, ca_pem: Option<Vec<u8>>) -> Self {
        Self { url, prefix, timeout, ca_pem, sentinel: None, wait: WaitSettings::default() }
    }
}

/// Sentinels, and which master to ask them for. Whether they are spoken to over TLS is as with the master.
#[derive(Clone)]
pub struct SentinelSettings {
    /// Hosts and ports, at least one.
    pub addresses: Vec<(String, u16)>,
    /// The name under which they watch it.
    pub master: String,
    /// `store_sentinel_user`.
    pub user: Option<String>,
    /// `store_sentinel_password`.
    pub password: Option<SecretString>,
}

/// What replicas have to confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitSettings {
    /// `store_wait`: how many of them; `None` for one where there are any.
    pub replicas: Option<u8>,
    /// `store_wait_timeout`.
    pub at_most: Duration,
}

impl Default for WaitSettings {
    fn default() -> Self {
        Self { replicas: None, at_most: Duration::from_millis(100) }
    }
}
