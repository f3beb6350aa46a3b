//! `[session]`.
//!
//! I own: the keys of that section. I may call: `cursor`, `secret`, `certificate`, `keyring` (the form of a key). I
//! never open a store.

use crate::config::amount::show_duration;
use crate::config::certificate::certificates;
use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::config::secret::secret;
use crate::config::server::Premises;
use crate::config::{RedisSettings, SessionSettings, StoreSettings};
use crate::domain::session::Limits;
use crate::keyring::MasterKey;
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use url::Url;

/// The keys of `[session]`, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    Key::required(
        "store",
        Kind::SECRET,
        r#"Where sessions live: "redis://…", "rediss://…" (TLS), or "memory" for a single process that may forget. Required; a secret, as it may hold a password."#,
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
        "PEM certificates that a rediss:// server is checked against, instead of the system's roots; without it, these.",
    ),
    Key::optional(
        "keys",
        Kind::List(&Kind::SECRET),
        r#"Secrets of 32 bytes in base64 (`openssl rand -base64 32`): the first seals sessions, all of them open; required with Redis, made up at each start with "memory"."#,
    ),
    Key::with_default(
        "idle_timeout",
        Kind::Duration,
        r#""30m""#,
        "The longest silence before a session ends.",
    ),
    Key::with_default("lifetime", Kind::Duration, r#""10h""#, "The longest life of a session, however busy."),
];

const DEFAULT_IDLE: Duration = Duration::from_secs(30 * 60);
const DEFAULT_LIFETIME: Duration = Duration::from_secs(10 * 60 * 60);
const DEFAULT_STORE_PREFIX: &str = "keycard:";
const DEFAULT_STORE_TIMEOUT: Duration = Duration::from_millis(500);
const NEW_KEY: &str = "make one with `openssl rand -base64 32`";
const STORES: &str =
    "write store = \"redis://host:6379/0\", or \"memory\" for a single process that may forget";

/// What `store` says.
enum Store {
    Memory,
    Redis { url: SecretString, secure: bool },
}

pub(super) fn read(mut section: Section<'_>, premises: &Premises) -> Result<SessionSettings, Reported> {
    let store = section.must("store", STORES, |entry| store(entry, premises.dev));
    let prefix = section.or("store_prefix", DEFAULT_STORE_PREFIX.to_owned(), store_prefix);
    let timeout = section.or("store_timeout", DEFAULT_STORE_TIMEOUT, Entry::time_limit);
    let ca_pem = section.may("store_ca_file", certificates);
    let keys = section.may("keys", |entry| {
        let keys = entry.each(|item| key(item, premises.dev))?;
        if keys.is_empty() { Err(entry.wrong("is empty", NEW_KEY)) } else { Ok(keys) }
    });
    let idle = section.or("idle_timeout", DEFAULT_IDLE, Entry::time_limit);
    let lifetime = section.or("lifetime", DEFAULT_LIFETIME, Entry::time_limit);
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
    let (prefix, timeout, ca_pem) = (prefix?, timeout?, ca_pem?);
    let store = match store? {
        Store::Memory => StoreSettings::Memory,
        Store::Redis { url, .. } => StoreSettings::Redis(RedisSettings { url, prefix, timeout, ca_pem }),
    };
    Ok(SessionSettings { store, keys: keys?, limits: limits? })
}

fn store(entry: &Entry<'_>, dev: bool) -> Result<Store, Reported> {
    let text = secret(entry, dev)?;
    let scheme = text.expose_secret().split_once("://").map_or(text.expose_secret(), |(scheme, _)| scheme);
    let secure = match scheme {
        "memory" if text.expose_secret() == "memory" => return Ok(Store::Memory),
        "redis" => false,
        "rediss" => true,
        "embedded" | "redis+sentinel" | "redis+cluster" => {
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

fn store_prefix(entry: &Entry<'_>) -> Result<String, Reported> {
    let printable = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !b"{}*?[]\\".contains(&b));
    let text = |text: &str| (text.len() <= 64 && printable(text)).then(|| text.to_owned());
    // Braces would be a hash tag to a Redis cluster, the others a pattern to an ACL.
    entry.parsed(text, "is no prefix", "use letters, digits and `:`, at most 64, such as \"keycard:\"")
}

fn key(entry: &Entry<'_>, dev: bool) -> Result<MasterKey, Reported> {
    MasterKey::parse(secret(entry, dev)?.expose_secret())
        .ok_or_else(|| entry.wrong("is not base64 of exactly 32 bytes", NEW_KEY))
}

/// With Redis the keys must be given, or sessions would end with the process and replicas could not share them.
fn judge_keys(
    section: &Section<'_>,
    store: &Result<Store, Reported>,
    keys: Result<Option<Vec<MasterKey>>, Reported>,
) -> Result<Vec<MasterKey>, Reported> {
    match (keys?, store) {
        (Some(keys), _) => Ok(keys),
        (None, Err(reported)) => Err(*reported),
        (None, Ok(Store::Redis { .. })) => Err(section.wrong(
            "keys",
            "is missing: what is kept in Redis is sealed",
            format!("{NEW_KEY}, keep it in a file, and write keys = [{{ file = \"…\" }}]"),
        )),
        (None, Ok(Store::Memory)) => match MasterKey::generate() {
            Ok(key) => Ok(vec![key]),
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
