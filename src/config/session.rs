//! `[session]`.
//!
//! I own: the keys of that section. I may call: `cursor`, `secret`, `certificate`, `keyring` (the form of a key). I
//! never open a store.

mod endings;
mod near;
mod reach;

use crate::config::amount::show_duration;
use crate::config::certificate::certificates;
use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::config::secret::secret;
use crate::config::server::Premises;
use crate::config::{EmbeddedSettings, KeySource, RedisSettings, SessionSettings, StoreSettings};
use crate::domain::origin::{Origin, Origins};
use crate::domain::session::Limits;
use crate::keyring::MasterKey;
use secrecy::{ExposeSecret as _, SecretString};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The keys of `[session]`, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    Key::with_default(
        "store",
        Kind::SECRET,
        r#""embedded""#,
        r#"Where sessions live: "embedded" (a file, for one gateway), "redis://…" or "rediss://…" (TLS, for several that share them), or "memory" (gone at a restart). A secret, as it may hold a password: { env = "KEYCARD_STORE" }."#,
    ),
    Key::with_default(
        "store_path",
        Kind::Text,
        r#""/var/lib/keycard""#,
        r#"The directory of the embedded store, for this gateway alone; made with mode 0700. Where `public_url` is on this machine, the default is "keycard-data" in the directory that Keycard is started in."#,
    ),
    Key::with_default("store_prefix", Kind::Text, r#""keycard:""#, "What every key in Redis begins with."),
    Key::with_default(
        "store_timeout",
        Kind::Duration,
        r#""500ms""#,
        "How long one command to the store may take.",
    ),
    Key::optional(
        "store_ca_file",
        Kind::Text,
        "PEM certificates that a rediss:// server is checked against; without it, the system's roots.",
    ),
    Key::optional(
        "keys",
        Kind::List(&Kind::SECRET),
        r#"Secrets of 32 bytes in base64 (`keycard keys new`): the first seals sessions, all of them open. Required with Redis; without it, "embedded" makes one at its first start and keeps it in `store_path` as `session.key` (back it up with the store), and "memory" makes one up at each start."#,
    ),
    Key::with_default(
        "idle_timeout",
        Kind::Duration,
        r#""30m""#,
        "The longest silence before a session ends; it may end up to a twentieth later, never earlier.",
    ),
    Key::with_default("lifetime", Kind::Duration, r#""10h""#, "The longest life of a session, however busy."),
    endings::REVOCABLE,
    endings::MAX_PER_USER,
    endings::AT_LIMIT,
    near::CACHE_SESSIONS,
    near::CACHE_BYTES,
    near::OUTAGE_GRACE,
    reach::SAME_SITE,
    reach::EMBED,
];

pub(super) use reach::EMBED_KEYS;

const DEFAULT_IDLE: Duration = Duration::from_secs(30 * 60);
const DEFAULT_LIFETIME: Duration = Duration::from_secs(10 * 60 * 60);
/// Where packages keep their state.
const DEFAULT_STORE_PATH: &str = "/var/lib/keycard";
/// Where whoever tries it on their own machine needs no other user's rights.
const LOCAL_STORE_PATH: &str = "keycard-data";
const DEFAULT_STORE_PREFIX: &str = "keycard:";
const DEFAULT_STORE_TIMEOUT: Duration = Duration::from_millis(500);
const NEW_KEY: &str = "make one with `keycard keys new`";
const STORES: &str = "write store = \"embedded\" for a single gateway, \"redis://host:6379/0\" for several, or \"memory\" to forget";

/// What `store` says.
enum Store {
    Embedded,
    Memory,
    Redis { url: SecretString, secure: bool },
}

pub(super) fn read(mut section: Section<'_>, premises: &Premises) -> Result<SessionSettings, Reported> {
    let store = section.or("store", Store::Embedded, |entry| store(entry, premises.dev));
    let path = section.may("store_path", store_path);
    let prefix = section.or("store_prefix", DEFAULT_STORE_PREFIX.to_owned(), store_prefix);
    let timeout = section.or("store_timeout", DEFAULT_STORE_TIMEOUT, Entry::time_limit);
    let ca_pem = section.may("store_ca_file", certificates);
    let keys = section.may("keys", |entry| {
        let keys = entry.each(|item| key(item, premises.dev))?;
        if keys.is_empty() { Err(entry.wrong("is empty", NEW_KEY)) } else { Ok(keys) }
    });
    let idle = section.or("idle_timeout", DEFAULT_IDLE, Entry::time_limit);
    let lifetime = section.or("lifetime", DEFAULT_LIFETIME, Entry::time_limit);
    let endings = endings::read(&mut section);
    let near = near::read(&mut section);
    let reach = reach::read(&mut section, premises);
    section.finish();

    let limits = judge_limits(&section, idle, lifetime);
    let keys = judge_keys(&section, &store, keys);
    if let (Ok(Store::Redis { secure: false, .. }), Ok(Some(_))) = (&store, &ca_pem) {
        section.wrong(
            "store_ca_file",
            "is never used: the connection to `session.store` is not encrypted",
            "write rediss:// in `store`, or remove this key",
        );
    }
    if let (Ok(Store::Memory | Store::Redis { .. }), Ok(Some(_))) = (&store, &path) {
        section.wrong(
            "store_path",
            "is never used: `session.store` is not \"embedded\"",
            "write store = \"embedded\", or remove this key",
        );
    }
    let (path, prefix, timeout, ca_pem) = (path?, prefix?, timeout?, ca_pem?);
    let store = match store? {
        Store::Embedded => StoreSettings::Embedded(EmbeddedSettings {
            path: path.unwrap_or_else(|| default_store_path(premises)),
            dev: premises.dev,
        }),
        Store::Memory => StoreSettings::Memory,
        Store::Redis { url, .. } => StoreSettings::Redis(RedisSettings { url, prefix, timeout, ca_pem }),
    };
    let (limits, endings) = (limits?, endings?);
    Ok(SessionSettings { store, keys: keys?, limits, endings, near: near?, reach: reach? })
}

fn store(entry: &Entry<'_>, dev: bool) -> Result<Store, Reported> {
    let text = secret(entry, dev)?;
    let scheme = text.expose_secret().split_once("://").map_or(text.expose_secret(), |(scheme, _)| scheme);
    let secure = match scheme {
        "embedded" if text.expose_secret() == "embedded" => return Ok(Store::Embedded),
        "memory" if text.expose_secret() == "memory" => return Ok(Store::Memory),
        "redis" => false,
        "rediss" => true,
        "redis+sentinel" | "redis+cluster" => {
            return Err(entry.wrong("names a kind of store that this version does not have yet", STORES));
        }
        _ => return Err(entry.wrong("names no store that Keycard knows", STORES)),
    };
    let sound = Url::parse(text.expose_secret()).is_ok_and(|url| {
        let database = url.path().trim_start_matches('/');
        url.has_host() && (database.is_empty() || database.parse::<u16>().is_ok()) && url.fragment().is_none()
    });
    if sound {
        Ok(Store::Redis { url: text, secure })
    } else {
        Err(entry.wrong("is not a Redis URL", "write redis://user:password@host:6379/0; encode `@`, `/` and `#` in the password as %40, %2F and %23"))
    }
}

fn store_path(entry: &Entry<'_>) -> Result<PathBuf, Reported> {
    let path = |text: &str| (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text));
    entry.parsed(path, "is no path", "name a directory that this process may write to")
}

/// Told by the configuration alone, never by what happens to be on the disk.
fn default_store_path(premises: &Premises) -> PathBuf {
    let local = |origins: &Origins| origins.iter().all(Origin::is_loopback);
    let path =
        if premises.origins.as_ref().is_some_and(local) { LOCAL_STORE_PATH } else { DEFAULT_STORE_PATH };
    PathBuf::from(path)
}

fn store_prefix(entry: &Entry<'_>) -> Result<String, Reported> {
    let printable = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !b"{}*?[]\\".contains(&b));
    let text = |text: &str| (text.len() <= 64 && printable(text)).then(|| text.to_owned());
    // Braces would be a hash tag to a Redis cluster, the others a pattern to an ACL.
    entry.parsed(text, "is no prefix", "use letters, digits and `:`, at most 64, such as \"keycard:\"")
}

fn key(entry: &Entry<'_>, dev: bool) -> Result<MasterKey, Reported> {
    let key = MasterKey::parse(secret(entry, dev)?.expose_secret())
        .ok_or_else(|| entry.wrong("is not base64 of exactly 32 bytes", NEW_KEY))?;
    if key.is_blank() {
        return Err(entry.wrong("is nothing but zeros, which anybody can guess", NEW_KEY));
    }
    Ok(key)
}

/// With Redis the keys must be given, or sessions would end with the process and replicas could not share them. The
/// embedded store keeps its own.
fn judge_keys(
    section: &Section<'_>,
    store: &Result<Store, Reported>,
    keys: Result<Option<Vec<MasterKey>>, Reported>,
) -> Result<KeySource, Reported> {
    match (keys?, store) {
        (Some(keys), _) => Ok(KeySource::Given(keys)),
        (None, Ok(Store::Embedded)) => Ok(KeySource::BesideStore),
        (None, Err(reported)) => Err(*reported),
        (None, Ok(Store::Redis { .. })) => Err(section.wrong(
            "keys",
            "is missing: what is kept in Redis is sealed",
            format!("{NEW_KEY}, keep it in a file, and write keys = [{{ file = \"…\" }}]"),
        )),
        (None, Ok(Store::Memory)) => match MasterKey::generate() {
            Ok(key) => Ok(KeySource::MadeUp(key)),
            Err(error) => Err(section.wrong("keys", format_args!("cannot be made up: {error}"), NEW_KEY)),
        },
    }
}

fn judge_limits(
    section: &Section<'_>,
    idle: Result<Duration, Reported>,
    lifetime: Result<Duration, Reported>,
) -> Result<Limits, Reported> {
    let (idle, lifetime) = (idle?, lifetime?);
    if idle > lifetime {
        return Err(section.wrong(
            // Whoever set only one of the two is told at that one.
            if idle == DEFAULT_IDLE { "lifetime" } else { "idle_timeout" },
            format_args!(
                "does not fit: `idle_timeout` ({}) is longer than `lifetime` ({})",
                show_duration(idle),
                show_duration(lifetime)
            ),
            "a session ends at the end of its lifetime in any case: make `idle_timeout` the shorter one",
        ));
    }
    Ok(Limits { idle, lifetime })
}
