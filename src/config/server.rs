//! `[server]`.
//!
//! I own: the keys of that section, and [`Premises`]. I may call: `cursor`. I never bind a socket.

use crate::config::ServerSettings;
use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::domain::origin::{Origin, Origins};
use crate::domain::path::CanonicalPath;
use ipnet::IpNet;
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
        "How long a client may take to send the first request head on a connection.",
    ),
    Key::with_default(
        "keep_alive",
        Kind::Duration,
        r#""75s""#,
        "How long an idle client connection is kept open.",
    ),
    Key::with_default(
        "drain_timeout",
        Kind::Duration,
        r#""30s""#,
        "How long requests in flight may go on after SIGTERM.",
    ),
];

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const DEFAULT_PREFIX: &str = "/bff";
const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(75);
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_WORKERS: usize = 1024;

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
    let listen = section.or("listen", DEFAULT_LISTEN, |entry| {
        let remedy = "write \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::]:8080\"";
        entry.parsed(|text| text.parse().ok(), "is not an address with a port", remedy)
    });
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
    let drain_timeout = section.or("drain_timeout", DEFAULT_DRAIN_TIMEOUT, Entry::duration);
    section.finish();

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
            drain_timeout: drain_timeout?,
        })
    };
    (settings(), premises)
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
