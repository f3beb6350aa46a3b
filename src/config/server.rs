//! `[server]`.
//!
//! I own: the keys of that section, and [`Premises`]; those that are limits of the door are in `limits`. I may call:
//! `cursor`, `secret`. I never bind a socket.

mod limits;

mod reload;

use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::config::secret::secret;
use crate::config::{AdminSettings, ServerSettings};
use crate::domain::origin::{Origin, Origins};
use crate::domain::path::CanonicalPath;
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The keys of `[server]`, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    Key::with_default("listen", Kind::Text, r#""127.0.0.1:8080""#, "Address and port of the public door."),
    Key::required(
        "public_url",
        Kind::OneOrMore(&Kind::Text),
        "The origin that browsers use, or a list of them; https everywhere, but for http://localhost. Required.",
    ),
    Key::with_default(
        "prefix",
        Kind::Text,
        r#""/bff""#,
        "The path under which Keycard's own endpoints are; no route may lie there.",
    ),
    Key::with_default(
        "trusted_proxies",
        Kind::List(&Kind::Text),
        "[]",
        "Networks of the proxies in front whose X-Forwarded-* headers are believed; none believes nobody.",
    ),
    Key::with_default(
        "dev",
        Kind::Boolean,
        "false",
        "Lets through plain http outside of this machine, short secrets and readable secret files: for development only.",
    ),
    Key::optional(
        "workers",
        Kind::Number { least: 1, most: 1024 },
        "Threads that serve requests; without it, one per core.",
    ),
    Key::with_default(
        "header_timeout",
        Kind::Duration,
        r#""10s""#,
        "How long a client may take to send a request head.",
    ),
    Key::with_default(
        "keep_alive",
        Kind::Duration,
        r#""75s""#,
        "How long an idle client connection is kept open.",
    ),
    limits::MAX_CONNECTIONS,
    limits::MAX_CONNECTIONS_PER_ADDRESS,
    limits::MAX_HEADER_BYTES,
    limits::MAX_HEADERS,
    limits::MAX_URI,
    limits::BODY_STALL_TIMEOUT,
    limits::WRITE_STALL_TIMEOUT,
    limits::LOGIN_RATE,
    Key::with_default(
        "drain_timeout",
        Kind::Duration,
        r#""30s""#,
        "How long requests in flight may go on after SIGTERM.",
    ),
    Key::optional(
        "health_listen",
        Kind::Text,
        "Address and port for probes and metrics: /livez, /readyz, /metrics. Nothing secret; without it, none.",
    ),
    Key::optional(
        "admin_listen",
        Kind::Text,
        "Address and port for operators: `keycard sessions` speaks to it, in clear, so keep it to this machine or a \
         network of its own; needs `admin_token`. Without it, none.",
    ),
    Key::optional(
        "admin_token",
        Kind::SECRET,
        "The token that operators show, at least 32 characters; without `admin_listen`, none.",
    ),
    reload::RELOAD,
];

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const DEFAULT_PREFIX: &str = "/bff";
const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(75);
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_WORKERS: usize = 1024;
const SHORTEST_ADMIN_TOKEN: usize = 32;
const NEW_TOKEN: &str = "make one with `keycard keys new`";

/// What other sections must know of this one to be judged; what is wrong here is not held against them.
pub(super) struct Premises {
    /// `dev`; where that is a mistake, lenient.
    pub(super) dev: bool,
    /// `public_url`, if it is right.
    pub(super) origins: Option<Origins>,
    /// `prefix`, if it is right.
    pub(super) prefix: Option<CanonicalPath>,
}

pub(super) fn read(mut section: Section<'_>) -> (Result<ServerSettings, Reported>, Premises) {
    let dev = section.or("dev", false, |entry| entry.boolean());
    let lenient = dev.unwrap_or(true);
    let listen = section.or("listen", DEFAULT_LISTEN, |entry| address(entry, 8080));
    let origins = section
        .must(
            "public_url",
            "write the address that browsers use: public_url = \"https://apps.example.com\"",
            |entry| entry.one_or_more(origin),
        )
        .and_then(|origins| judge_origins(&section, origins, lenient));
    let prefix = match section.may("prefix", prefix) {
        Ok(None) => CanonicalPath::parse(DEFAULT_PREFIX)
            .map_err(|_| section.wrong("prefix", "is no canonical path", "write a path")),
        Ok(Some(prefix)) => Ok(prefix),
        Err(reported) => Err(reported),
    };
    let trusted_proxies =
        section.or("trusted_proxies", Vec::new(), |entry| entry.each(|item| network(item, lenient)));
    let workers = section.may("workers", workers);
    let header_timeout = section.or("header_timeout", DEFAULT_HEADER_TIMEOUT, Entry::time_limit);
    let keep_alive = section.or("keep_alive", DEFAULT_KEEP_ALIVE, Entry::time_limit);
    let limits = limits::read(&mut section);
    let drain_timeout = section.or("drain_timeout", DEFAULT_DRAIN_TIMEOUT, Entry::duration);
    let health_listen = section.may("health_listen", |entry| address(entry, 9090));
    let admin_listen = section.may("admin_listen", |entry| address(entry, 9091));
    let admin_token = section.may("admin_token", |entry| admin_token(entry, lenient));
    let reload = reload::read(&mut section);
    section.finish();
    let admin = judge_admin(&section, admin_listen, admin_token);

    let premises = Premises {
        dev: lenient,
        origins: origins.as_ref().ok().cloned(),
        prefix: prefix.as_ref().ok().cloned(),
    };
    let settings = || {
        Ok(ServerSettings {
            listen: listen?,
            origins: origins?,
            prefix: prefix?,
            trusted_proxies: trusted_proxies?,
            dev: dev?,
            workers: workers?,
            header_timeout: header_timeout?,
            keep_alive: keep_alive?,
            limits: limits?,
            drain_timeout: drain_timeout?,
            health_listen: health_listen?,
            admin: admin?,
            reload: reload?,
        })
    };
    (settings(), premises)
}

fn address(entry: &Entry<'_>, port: u16) -> Result<SocketAddr, Reported> {
    let remedy = format!("write \"127.0.0.1:{port}\", \"0.0.0.0:{port}\" or \"[::]:{port}\"");
    entry.parsed(|text| text.parse().ok(), "is not an address with a port", &remedy)
}

fn admin_token(entry: &Entry<'_>, dev: bool) -> Result<SecretString, Reported> {
    let token = secret(entry, dev)?;
    let text = token.expose_secret();
    if text.len() < SHORTEST_ADMIN_TOKEN && !dev {
        return Err(entry.wrong(format_args!("is shorter than {SHORTEST_ADMIN_TOKEN} characters"), NEW_TOKEN));
    }
    // It travels in a header.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(entry.wrong("has characters that no header carries", NEW_TOKEN));
    }
    Ok(token)
}

/// Who reaches the door for operators without a token could end every session.
fn judge_admin(
    section: &Section<'_>,
    listen: Result<Option<SocketAddr>, Reported>,
    token: Result<Option<SecretString>, Reported>,
) -> Result<Option<AdminSettings>, Reported> {
    match (listen?, token?) {
        (None, None) => Ok(None),
        (Some(listen), Some(token)) => Ok(Some(AdminSettings { listen, token })),
        (Some(_), None) => Err(section.wrong(
            "admin_listen",
            "has no `admin_token`: whoever reached it could end every session",
            format!("{NEW_TOKEN}, keep it in a file, and write admin_token = {{ file = \"…\" }}"),
        )),
        (None, Some(_)) => Err(section.wrong(
            "admin_token",
            "is never used: there is no `admin_listen`",
            "write admin_listen = \"127.0.0.1:9091\", or remove this key",
        )),
    }
}

fn origin(entry: &Entry<'_>) -> Result<Origin, Reported> {
    let remedy = "write scheme, host and, if it is not the usual one, port: \"https://apps.example.com\"";
    let plain = |text: &str| Origin::parse(text).filter(|_| !text.contains('*'));
    entry.parsed(plain, "is not an origin", remedy)
}

/// All https, or all http and then only where nobody can listen in (R52, A45).
fn judge_origins(section: &Section<'_>, origins: Vec<Origin>, dev: bool) -> Result<Origins, Reported> {
    let key = "public_url";
    if origins.iter().any(|origin| origin.is_secure() != origins.iter().all(Origin::is_secure)) {
        return Err(section.wrong(
            key,
            "mixes https and http: the cookies of the two have different names and attributes",
            "make all of them https",
        ));
    }
    if !dev && origins.iter().any(|origin| !origin.is_secure() && !origin.is_loopback()) {
        return Err(section.wrong(
            key,
            "is plain http outside of this machine: whoever listens in could take over every session",
            "make it https, and let a proxy in front terminate TLS if need be; \
             `server.dev = true` allows http on a development machine only",
        ));
    }
    let twice = origins.iter().enumerate().find(|(at, origin)| origins[..*at].contains(origin));
    if let Some((_, origin)) = twice {
        return Err(section.wrong(
            key,
            format_args!("names {} twice", origin.as_str()),
            "remove one of the two",
        ));
    }
    Origins::new(origins).ok_or_else(|| section.wrong(key, "is empty", "name at least one"))
}

fn prefix(entry: &Entry<'_>) -> Result<CanonicalPath, Reported> {
    let text = entry.text()?;
    let remedy = "write a path of its own for Keycard's endpoints, such as \"/bff\"";
    match CanonicalPath::parse(text.trim_end_matches('/')) {
        _ if text == "/" => Err(entry.wrong("takes every path, and leaves none for the routes", remedy)),
        Ok(path) if !text.ends_with("//") => Ok(path),
        Ok(_) => Err(entry.wrong("has an empty segment", remedy)),
        Err(refusal) => Err(entry.wrong(format_args!("is no canonical path: {refusal}"), remedy)),
    }
}

/// A network, or a single address.
fn network(entry: &Entry<'_>, dev: bool) -> Result<IpNet, Reported> {
    let parse = |text: &str| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let remedy = "write a network such as \"10.0.0.0/8\", or an address";
    let network: IpNet = entry.parsed(parse, "is not a network in CIDR form", remedy)?;
    if network.prefix_len() == 0 && !dev {
        return Err(entry.wrong(
            "trusts everybody: anyone could then claim to come from any address",
            "name the addresses of the proxies that stand in front of Keycard",
        ));
    }
    if network != network.trunc() {
        let remedy = format!("write \"{}\", or the whole address without `/`", network.trunc());
        return Err(entry.wrong("has bits set behind its prefix", remedy));
    }
    Ok(network)
}

fn workers(entry: &Entry<'_>) -> Result<usize, Reported> {
    let number = entry.number().and_then(|number| usize::try_from(number).ok());
    number.filter(|number| (1..=MAX_WORKERS).contains(number)).ok_or_else(|| {
        entry.wrong(
            format_args!("must be an integer from 1 to {MAX_WORKERS}"),
            "leave the key out for one per core",
        )
    })
}
