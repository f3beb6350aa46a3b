//! The way to a Redis server that may be written to: its address, its TLS, its user.
//!
//! I own: [`Way`], [`Reached`], and what is wrong when there is no way ([`NoWay`]). I may call: `config`, `ports`, the
//! sentinels. I never take a server for the right one before it has said that it is a master, and I never read from a
//! replica: one that lags would show sessions that have ended.

use super::sentinel::Sentinels;
use crate::config::RedisSettings;
use crate::ports::StoreError;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisConnectionInfo, RedisError, TlsCertificates, Value, cmd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use std::io;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How many commands may wait for the socket. The crate's 50 makes requests queue in a burst.
const BUFFER: usize = 1000;

/// The least that a search lasts which finds nothing: whoever asks next shall not wear out the sentinels.
const PACE: Duration = Duration::from_millis(25);

/// Where the settings lead.
pub(super) struct Way {
    /// With sentinels, the address in it leads nowhere.
    info: ConnectionInfo,
    roots: Option<Vec<u8>>,
    sentinels: Option<Sentinels>,
    timeout: Duration,
}

/// A master that answers.
pub(super) struct Reached {
    pub(super) connection: MultiplexedConnection,
    pub(super) address: ConnectionAddr,
    /// How many replicas it has; `None` where it does not say.
    pub(super) replicas: Option<usize>,
    /// The `run_id` of its process, which no other process ever has; `None` where it does not say.
    pub(super) process: Option<String>,
}

/// Why no master was reached.
#[derive(Clone)]
pub(super) enum NoWay {
    /// What the connection says.
    Redis(RedisError),
    /// A replica answers.
    Replica,
    /// A sentinel answers where a server should.
    Sentinel,
    /// The sentinels answer, and watch nothing of that name.
    UnknownMaster,
    /// No sentinel answers.
    NoSentinel,
    /// The sentinels answer, but not us; what they do.
    Refused(String),
}

impl From<RedisError> for NoWay {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl Way {
    /// Reads the settings. The protocol is ours to choose: the URL's own wish is passed over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for a URL or certificates that cannot work.
    pub(super) fn prepare(settings: &RedisSettings) -> Result<Self, StoreError> {
        let unusable = |what: &str| StoreError::Unavailable(what.into());
        let info = settings
            .url
            .expose_secret()
            .into_connection_info()
            .map_err(|_| unusable("`session.store` is not the URL of a Redis server"))?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(unusable(
                "`session.store` must not switch off the check of certificates (`#insecure`)",
            ));
        }
        // Without its two CLIENT SETINFO, which most ACL users may not send and which then fill the ACL log.
        let bare = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true)).set_redis_settings(bare);
        // The crate takes a file without any certificate for the wish to trust nobody.
        let is_empty = |pem: &Vec<u8>| CertificateDer::pem_slice_iter(pem).next().is_none();
        if settings.ca_pem.as_ref().is_some_and(is_empty) {
            return Err(unusable("`session.store_ca_file` holds no certificate"));
        }
        let sentinels = settings.sentinel.as_ref().map(Sentinels::new);
        let way = Self { info, roots: settings.ca_pem.clone(), sentinels, timeout: settings.timeout };
        way.client(way.info.addr().clone(), ProtocolVersion::RESP2).map_err(|_| {
            unusable(
                "`session.store_ca_file` holds a certificate that is damaged, or the URL is not rediss://",
            )
        })?;
        Ok(way)
    }

    /// Whether somebody else knows the address.
    pub(super) fn is_watched(&self) -> bool {
        self.sentinels.is_some()
    }

    /// Finds a master and connects to it, within one time-out; with sentinels, within three.
    ///
    /// # Errors
    /// [`NoWay`].
    pub(super) async fn go(&self) -> Result<Reached, NoWay> {
        let Some(sentinels) = &self.sentinels else {
            return self.reach(self.info.addr().clone(), Duration::ZERO).await;
        };
        let found = match timeout(self.timeout * 3, sentinels.find(self)).await {
            Ok(found) => found,
            Err(_) => Err(late().into()),
        };
        if found.is_err() {
            sleep(PACE).await;
        }
        found
    }

    /// Connects to the master at this address. Its answers may take so much `longer` than elsewhere.
    ///
    /// # Errors
    /// [`NoWay`], also when a replica answers there.
    pub(super) async fn reach(&self, address: ConnectionAddr, longer: Duration) -> Result<Reached, NoWay> {
        timeout(self.timeout, async {
            let client = self.client(address.clone(), ProtocolVersion::RESP2)?;
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(self.timeout))
                .set_response_timeout(Some(self.timeout + longer))
                .set_pipeline_buffer_size(BUFFER);
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            let replicas = match role(&mut connection).await {
                Ok(replicas) => replicas,
                // Not every user may ask, and behind a proxy there may be nobody to tell. A sentinel's word alone is
                // not enough, though.
                Err(NoWay::Redis(error)) if said(&error) && !self.is_watched() => None,
                Err(other) => return Err(other),
            };
            let process = process(&mut connection).await?;
            Ok(Reached { connection, address, replicas, process })
        })
        .await
        .unwrap_or_else(|_| Err(late().into()))
    }

    /// What connects to a server at this address.
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub(super) fn client(
        &self,
        address: ConnectionAddr,
        protocol: ProtocolVersion,
    ) -> Result<Client, RedisError> {
        let bare = self.info.redis_settings().clone().set_protocol(protocol);
        self.trusting(self.info.clone().set_addr(address).set_redis_settings(bare))
    }

    /// Asks whoever is at the address of the settings.
    ///
    /// # Errors
    /// As the crate reports them.
    pub(super) async fn ask_anybody<T: redis::FromRedisValue>(
        &self,
        question: &redis::Cmd,
    ) -> Result<T, RedisError> {
        let asked = async {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(self.timeout))
                .set_response_timeout(Some(self.timeout));
            let client = self.client(self.info.addr().clone(), ProtocolVersion::RESP2)?;
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            question.query_async(&mut connection).await
        };
        timeout(self.timeout, asked).await.unwrap_or_else(|_| Err(late()))
    }

    /// Whether sentinels send those elsewhere who come now; if they are in doubt, they do not.
    pub(super) async fn leads_elsewhere(&self, from: &ConnectionAddr) -> bool {
        let Some(sentinels) = &self.sentinels else { return false };
        sentinels.named_by_most(self).await.is_some_and(|named| named != *from)
    }

    /// Connects to a sentinel: TLS as with the servers, but a user of its own. Half a time-out for that, and half for an
    /// answer.
    ///
    /// # Errors
    /// As the crate reports them.
    pub(super) async fn connect_to_sentinel(
        &self,
        (host, port): &(String, u16),
        user: RedisConnectionInfo,
    ) -> Result<MultiplexedConnection, RedisError> {
        let info = self.info.clone().set_addr(self.address(host, *port)).set_redis_settings(user);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout / 2))
            .set_response_timeout(Some(self.timeout / 2));
        self.trusting(info)?.get_multiplexed_async_connection_with_config(&config).await
    }

    /// An address, spoken to as the settings say.
    pub(super) fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        match self.info.addr() {
            ConnectionAddr::TcpTls { .. } => {
                ConnectionAddr::TcpTls { host: host.into(), port, insecure: false, tls_params: None }
            }
            _ => ConnectionAddr::Tcp(host.into(), port),
        }
    }

    fn trusting(&self, info: ConnectionInfo) -> Result<Client, RedisError> {
        match &self.roots {
            None => Client::open(info),
            Some(pem) => {
                let roots = TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) };
                Client::build_with_tls(info, roots)
            }
        }
    }
}

/// How many replicas the server at the other end has; `None` where it does not say. What is like Redis, and no Redis, has
/// forms of its own for that: the crate's reader refuses them.
///
/// # Errors
/// [`NoWay`], also when it is no master.
pub(super) async fn role(connection: &mut MultiplexedConnection) -> Result<Option<usize>, NoWay> {
    let said: Vec<Value> = cmd("ROLE").query_async(connection).await?;
    let word = match said.first() {
        Some(Value::BulkString(word)) => word.as_slice(),
        Some(Value::SimpleString(word)) => word.as_bytes(),
        _ => b"",
    };
    match (word, said.get(2)) {
        (b"master", Some(Value::Array(replicas))) => Ok(Some(replicas.len())),
        (b"master", _) => Ok(None),
        (b"sentinel", _) => Err(NoWay::Sentinel),
        _ => Err(NoWay::Replica),
    }
}

/// Which process is at the other end; `None` where it does not say so as Redis does, or the user may not ask.
///
/// # Errors
/// Those of the network and the clock.
async fn process(connection: &mut MultiplexedConnection) -> Result<Option<String>, RedisError> {
    let said = match cmd("INFO").arg("server").query_async(connection).await {
        Ok(Value::BulkString(text)) => text,
        Err(error) if error.is_io_error() => return Err(error),
        Ok(_) | Err(_) => return Ok(None),
    };
    let said = String::from_utf8_lossy(&said);
    let id = said.lines().find_map(|line| line.strip_prefix("run_id:"));
    Ok(id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()))
}

/// Whether a server answered, rather than the network or the clock.
fn said(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

fn late() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}
