//! One connection to Redis, shared by all requests, and made anew whenever it is lost.
//!
//! I own: [`Connection`], time-outs, the one retry, and what an error may say. I may call: `config`, `ports`.
//! I never connect before somebody asks, never keep a failure for the next one who asks, and never put the text of a
//! Redis error into ours: it may quote keys, users and addresses (R43, R60).
//!
//! The crate's own `ConnectionManager` is not used: it keeps a first failure that is not an I/O error (a refused
//! password, a server that is still loading) for ever, and it stays on a connection that only times out.

use crate::config::RedisSettings;
use crate::ports::StoreError;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo,
    Pipeline, ProtocolVersion, RedisError, RedisResult, ScriptInvocation, ServerErrorKind, TlsCertificates,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;

/// How many commands may wait for the socket. The crate's 50 makes requests queue in a burst.
const BUFFER: usize = 1000;

const FOREIGN: StoreError = StoreError::Unreadable("something else is stored under its key");

/// What can be asked, any number of times.
pub(super) enum Request<'a> {
    /// One command.
    Command(&'a Cmd),
    /// Several in one round trip.
    Pipeline(&'a Pipeline),
    /// A script, by its digest; its text is sent when Redis does not know it.
    Script(&'a ScriptInvocation<'a>),
}

impl Request<'_> {
    /// Asks whatever takes commands: a connection, or a whole cluster.
    pub(super) async fn send<T: FromRedisValue>(&self, connection: &mut impl ConnectionLike) -> RedisResult<T> {
        match self {
            Self::Command(command) => command.query_async(connection).await,
            Self::Pipeline(commands) => commands.query_async(connection).await,
            Self::Script(call) => call.invoke_async(connection).await,
        }
    }
}

/// What to do when the connection turns out to be broken, and nobody knows how far the request got.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IfBroken {
    /// Ask once more on a new connection: for requests that do no harm when they are carried out twice.
    AskAgain,
    /// Report it.
    GiveUp,
}

/// A connection that comes into being when it is first used.
pub(super) struct Connection {
    client: Client,
    config: AsyncConnectionConfig,
    runtime: Handle,
    slot: Mutex<Slot>,
}

/// A connection or the attempt to make one, which everybody who asks meanwhile waits for together.
type Link = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

struct Slot {
    /// Counts the links, so that late bad news about an old one does not cost the new one.
    number: u64,
    link: Option<Link>,
}

impl Connection {
    /// Reads the settings. Must be called on a tokio runtime: the connection lives there, however short-lived the
    /// runtimes are of those who ask.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for a URL or certificates that cannot work.
    pub(super) fn prepare(settings: &RedisSettings) -> Result<Self, StoreError> {
        let unusable = |what: &str| StoreError::Unavailable(what.into());
        let client = client(settings, ProtocolVersion::RESP2)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.timeout))
            .set_response_timeout(Some(settings.timeout))
            .set_pipeline_buffer_size(BUFFER);
        let runtime = Handle::try_current().map_err(|_| unusable("there is no runtime to connect on"))?;
        Ok(Self { client, config, runtime, slot: Mutex::new(Slot { number: 0, link: None }) })
    }

    /// Asks Redis; connects first where there is no connection.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when the answer has another shape than what we write, else
    /// [`StoreError::Unavailable`].
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        request: Request<'_>,
        if_broken: IfBroken,
    ) -> Result<T, StoreError> {
        self.try_ask(&request, if_broken).await.map_err(Failure::into_store_error)
    }

    /// As [`Self::ask`], for whoever can do more about a failure than report it.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn try_ask<T: FromRedisValue>(
        &self,
        request: &Request<'_>,
        if_broken: IfBroken,
    ) -> Result<T, Failure> {
        let answer = self.ask_once(request).await;
        if if_broken == IfBroken::AskAgain && matches!(answer, Err(Failure::Broken(_))) {
            // The first request after a break meets the dead connection; it is not the one who should pay for that.
            return self.ask_once(request).await;
        }
        answer
    }

    async fn ask_once<T: FromRedisValue>(&self, request: &Request<'_>) -> Result<T, Failure> {
        let (number, link) = self.link();
        let mut connection = match link.await {
            Ok(connection) => connection,
            Err(error) => {
                self.discard(number);
                return Err(Failure::Other(error));
            }
        };
        request.send(&mut connection).await.map_err(|error| {
            if is_worn_out(&error) {
                self.discard(number);
            }
            if error.is_connection_dropped() { Failure::Broken(error) } else { Failure::Other(error) }
        })
    }

    fn link(&self) -> (u64, Link) {
        let mut slot = self.slot();
        if let Some(link) = &slot.link {
            return (slot.number, link.clone());
        }
        let (client, config) = (self.client.clone(), self.config.clone());
        // A task of its own: whoever asked first may hang up, and the others still wait.
        let attempt = self
            .runtime
            .spawn(async move { client.get_multiplexed_async_connection_with_config(&config).await });
        let link = attempt
            .map(|made| made.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::Interrupted).into())))
            .boxed()
            .shared();
        slot.number += 1;
        slot.link = Some(link.clone());
        (slot.number, link)
    }

    fn discard(&self, number: u64) {
        let mut slot = self.slot();
        if slot.number == number {
            slot.link = None;
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the settings lead. The protocol is ours to choose: the URL's own wish is passed over.
///
/// # Errors
/// [`StoreError::Unavailable`] for a URL or certificates that cannot work.
pub(super) fn client(settings: &RedisSettings, protocol: ProtocolVersion) -> Result<Client, StoreError> {
    let unusable = |what: &str| StoreError::Unavailable(what.into());
    let info = settings
        .url
        .expose_secret()
        .into_connection_info()
        .map_err(|_| unusable("`session.store` is not the URL of a Redis server"))?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(unusable("`session.store` must not switch off the check of certificates (`#insecure`)"));
    }
    // Without its two CLIENT SETINFO, which most ACL users may not send and which then fill the ACL log.
    let bare = info.redis_settings().clone().set_skip_set_lib_name().set_protocol(protocol);
    let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true)).set_redis_settings(bare);
    match &settings.ca_pem {
        None => Client::open(info),
        // The crate takes a file without any certificate for the wish to trust nobody.
        Some(pem) if CertificateDer::pem_slice_iter(pem).next().is_none() => {
            return Err(unusable("`session.store_ca_file` holds no certificate"));
        }
        Some(pem) => {
            let roots = TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) };
            Client::build_with_tls(info, roots)
        }
    }
    .map_err(|_| {
        unusable("`session.store_ca_file` holds a certificate that is damaged, or the URL is not rediss://")
    })
}

/// Whether a connection should not be used again. A time-out counts: behind it there may be a peer that vanished
/// without a word, and the next request should not wait for that one. So does the answer of a server that has become
/// a replica: the address may lead to its successor by now.
fn is_worn_out(error: &RedisError) -> bool {
    let demoted =
        matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown));
    demoted || error.is_io_error() || error.is_unrecoverable_error()
}

/// Why there is no answer.
pub(super) enum Failure {
    /// A connection that had been made broke.
    Broken(RedisError),
    /// Anything else, also that there is no connection.
    Other(RedisError),
}

impl Failure {
    pub(super) fn into_store_error(self) -> StoreError {
        let (Self::Broken(error) | Self::Other(error)) = self;
        if error.is_timeout() {
            return StoreError::Unavailable("Redis did not answer in time".into());
        }
        let said = match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => return FOREIGN,
            ErrorKind::AuthenticationFailed => "Redis refused the user or the password".into(),
            ErrorKind::Io if error.is_connection_refusal() => "Redis refused the connection".into(),
            ErrorKind::Io => "the connection to Redis failed".into(),
            ErrorKind::Server(_) | ErrorKind::Extension => {
                let code = code(error);
                if code == "WRONGTYPE" {
                    return FOREIGN;
                }
                format!("Redis answered {code}")
            }
            ErrorKind::Client | ErrorKind::InvalidClientConfig => {
                "the connection to Redis cannot be made".into()
            }
            _ => "Redis cannot be used".into(),
        };
        StoreError::Unavailable(said)
    }
}

/// The first word of what a server answered, such as `OOM`; everything after it may be a secret.
pub(super) fn code(error: RedisError) -> String {
    let errors = error.into_server_errors();
    let code = errors.as_deref().and_then(|errors| errors.first()).map_or("", |(_, error)| error.code());
    if (1..=20).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return code.to_owned();
    }
    "with an error".into()
}
