//! What concerns a Redis with replicas: `redis+sentinel://` in `store`, `store_sentinel_*` and `store_wait*` of
//! `[session]`.
//!
//! I own: the form of that URL, and those keys. I may call: `cursor`, `secret`. I never quote a URL: it may hold a
//! password.

use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::config::secret::secret;
use crate::config::{RedisSettings, SentinelSettings, WaitSettings};
use secrecy::SecretString;
use std::time::Duration;
use url::{Host, Url};

pub(super) const SENTINEL_USER: Key = Key::optional(
    "store_sentinel_user",
    Kind::Text,
    "The user at the sentinels themselves; without it, the default one. User and password in `store` are for the servers that they watch.",
);

pub(super) const SENTINEL_PASSWORD: Key = Key::optional(
    "store_sentinel_password",
    Kind::SECRET,
    "The password at the sentinels themselves; without it, they are asked without one.",
);

pub(super) const WAIT: Key = Key::optional(
    "store_wait",
    Kind::Number { least: 0, most: MOST_REPLICAS },
    "How many replicas have to confirm a sign-in, an ending, a lease or renewed tokens, so that a failover does not forget it; 0 waits for none. Without it, one where the server has any. What is not confirmed in time counts all the same: `keycard_store_waits_total` tells how often.",
);

pub(super) const WAIT_TIMEOUT: Key = Key::with_default(
    "store_wait_timeout",
    Kind::Duration,
    r#""100ms""#,
    "How long such a confirmation is waited for.",
);

const MOST_REPLICAS: u64 = 16;
/// Longer, and a request would rather fail.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Where sentinels listen unless told otherwise.
const SENTINEL_PORT: u16 = 26379;
/// Stands in the URL for the server, whose address the sentinels know. Reserved by RFC 6761: it leads nowhere.
const NOWHERE: &str = "master.invalid";
const FORM: &str = "write redis+sentinel://user:password@sentinel-1:26379,sentinel-2:26379/mymaster/0; encode `@`, `/` and `#` in the password as %40, %2F and %23";

/// Whom to ask for the master, as `store` says it.
pub(super) struct Watch {
    addresses: Vec<(String, u16)>,
    master: String,
}

/// What the keys besides `store` say.
pub(super) struct Replicas {
    user: Option<String>,
    password: Option<SecretString>,
    wait: WaitSettings,
}

pub(super) fn read(section: &mut Section<'_>, dev: bool) -> Result<Replicas, Reported> {
    let user = section.may(SENTINEL_USER.name, |entry| entry.text().map(str::to_owned));
    let password = section.may(SENTINEL_PASSWORD.name, |entry| secret(entry, dev));
    let replicas = section.may(WAIT.name, |entry| {
        let number = entry.number().filter(|number| *number <= MOST_REPLICAS);
        number.and_then(|number| u8::try_from(number).ok()).ok_or_else(|| {
            entry.wrong(
                format_args!("must be an integer from 0 to {MOST_REPLICAS}"),
                "leave the key out to wait for one where there are any; 0 waits for none",
            )
        })
    });
    let at_most = section.or(WAIT_TIMEOUT.name, WaitSettings::default().at_most, |entry| {
        let span = entry.time_limit()?;
        if span <= LONGEST_WAIT {
            return Ok(span);
        }
        Err(entry.wrong("is longer than 5 s", "every sign-in and sign-out may have to wait for so long"))
    });
    let (user, password) = (user?, password?);
    if user.is_some() && password.is_none() {
        return Err(section.wrong(
            SENTINEL_USER.name,
            "has no password",
            "add `store_sentinel_password`, or remove this key",
        ));
    }
    Ok(Replicas { user, password, wait: WaitSettings { replicas: replicas?, at_most: at_most? } })
}

/// Keys for sentinels mean something else than was written where nobody asks any.
pub(super) fn judge_without_sentinels(section: &Section<'_>, replicas: &Result<Replicas, Reported>) {
    let Ok(Replicas { user, password, .. }) = replicas else { return };
    for (key, is_there) in
        [(SENTINEL_USER.name, user.is_some()), (SENTINEL_PASSWORD.name, password.is_some())]
    {
        if is_there {
            section.wrong(
                key,
                "is never used: `session.store` is not redis+sentinel:// nor rediss+sentinel://",
                "remove this key",
            );
        }
    }
}

impl Replicas {
    /// The settings of the store, with what was read besides.
    pub(super) fn enter(self, settings: RedisSettings, watch: Option<Watch>) -> RedisSettings {
        let Self { user, password, wait } = self;
        let sentinel =
            watch.map(|Watch { addresses, master }| SentinelSettings { addresses, master, user, password });
        RedisSettings { sentinel, wait, ..settings }
    }
}

/// A URL as for a server of its own, with a host that leads nowhere, and whom to ask for the right one. Every mistake is
/// reported.
pub(super) fn watched(
    entry: &Entry<'_>,
    text: &str,
    secure: bool,
) -> Result<(SecretString, Watch), Reported> {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    if rest.contains(['?', '#']) {
        return Err(entry.wrong("has a `?` or `#`, which means nothing here", FORM));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (name, database) = path.split_once('/').unwrap_or((path, ""));

    // Everything is looked at before anything is given up.
    let addresses = sentinels(entry, hosts);
    let master = match name {
        "" => Err(entry.wrong("does not name the master that the sentinels watch", FORM)),
        name if is_name(name) => Ok(name.to_owned()),
        _ => Err(entry.wrong(
            "has a name of a master that no sentinel accepts",
            "use letters, digits, `.`, `-` and `_`",
        )),
    };
    let database = match database {
        "" => Ok(0),
        number => {
            number.parse::<u16>().map_err(|_| entry.wrong("ends with a database that is no number", FORM))
        }
    };
    let (scheme, at) = (if secure { "rediss" } else { "redis" }, if login.is_empty() { "" } else { "@" });
    let server = format!("{scheme}://{login}{at}{NOWHERE}");
    let sound = match Url::parse(&server).is_ok_and(|url| url.host_str() == Some(NOWHERE)) {
        true => Ok(()),
        false => Err(entry.wrong("has a user or password that is not well-formed", FORM)),
    };
    let (addresses, master, database) = (addresses?, master?, database?);
    sound?;
    Ok((SecretString::from(format!("{server}/{database}")), Watch { addresses, master }))
}

fn sentinels(entry: &Entry<'_>, hosts: &str) -> Result<Vec<(String, u16)>, Reported> {
    let all: Vec<_> = hosts
        .split(',')
        .map(|host| match sentinel(host) {
            _ if hosts.is_empty() => Err(entry.wrong("names no sentinel", FORM)),
            Ok(sentinel) => Ok(sentinel),
            Err(what) => Err(entry.wrong(what, FORM)),
        })
        .collect();
    let mut found = Vec::new();
    for sentinel in all {
        let sentinel = sentinel?;
        if found.contains(&sentinel) {
            return Err(entry.wrong("names a sentinel twice", "name each of them once"));
        }
        found.push(sentinel);
    }
    Ok(found)
}

/// One `host`, `host:port`, `[v6]` or `[v6]:port`; or what is wrong with it.
fn sentinel(text: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port.map(str::parse) {
        None => SENTINEL_PORT,
        Some(Ok(port @ 1..)) => port,
        Some(_) => return Err("has a sentinel whose port is none"),
    };
    match Host::parse(host) {
        Ok(Host::Ipv6(address)) => Ok((address.to_string(), port)),
        Ok(host) => Ok((host.to_string(), port)),
        Err(_) => Err("has a sentinel without a host, or with one that is none"),
    }
}

/// As sentinels check it.
fn is_name(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}
