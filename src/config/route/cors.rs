//! `cors` of a route.
//!
//! I own: the keys of that table. I may call: `cursor`, `server` (its premises). I never let a pattern, `*` or `null`
//! stand for an origin (R64).

use crate::config::cursor::{Entry, Reported};
use crate::config::keys::{Key, Kind};
use crate::config::server::Premises;
use crate::domain::cors::Cors;
use crate::domain::origin::Origin;
use http::{HeaderName, Method};
use std::time::Duration;

pub(super) const CORS: Key = Key::optional(
    "cors",
    Kind::Either(&[Kind::Table("cors")]),
    "Pages of other origins whose scripts may call the route, by their exact origins, with the session; Keycard answers their preflights, and the app's own Access-Control headers are dropped. The cookie goes along only from the same site (https://app.example.com to https://api.example.com), never from another one. Without it, none.",
);

/// The keys of `cors`.
pub(in crate::config) const CORS_KEYS: &[Key] = &[
    Key::required("origins", Kind::OneOrMore(&Kind::Text), "The origins, each in full."),
    Key::with_default(
        "methods",
        Kind::List(&Kind::Text),
        r#"["GET", "HEAD", "POST"]"#,
        "The methods that they may use.",
    ),
    Key::with_default(
        "headers",
        Kind::List(&Kind::Text),
        r#"["Content-Type"]"#,
        "The headers that they may send besides X-CSRF.",
    ),
    Key::with_default("expose", Kind::List(&Kind::Text), "[]", "The headers of answers that they may read."),
    Key::with_default(
        "max_age",
        Kind::Duration,
        r#""10m""#,
        "How long a browser may remember the answer to a preflight.",
    ),
];

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(600);

pub(super) fn read(entry: &Entry<'_>, premises: &Premises) -> Result<Cors, Reported> {
    let remedy = "write { origins = [\"https://app.example.com\"] }";
    let Some(mut table) = entry.table("cors") else {
        return Err(entry.wrong(format_args!("must be a table, not {}", entry.kind()), remedy));
    };
    let origins = table.must("origins", remedy, |origins| origins.one_or_more(|one| origin(one, premises)));
    let methods = table.or("methods", vec![Method::GET, Method::HEAD, Method::POST], |methods| {
        let methods = methods.each(method)?;
        if methods.is_empty() { Err(entry.wrong("allows no method", remedy)) } else { Ok(methods) }
    });
    let headers = table.or("headers", vec![http::header::CONTENT_TYPE], |headers| headers.each(header));
    let expose = table.or("expose", Vec::new(), |headers| headers.each(header));
    let max_age = table.or("max_age", DEFAULT_MAX_AGE, |entry| entry.duration());
    table.finish();
    Ok(Cors { origins: origins?, methods: methods?, headers: headers?, expose: expose?, max_age: max_age? })
}

fn origin(entry: &Entry<'_>, premises: &Premises) -> Result<Origin, Reported> {
    let remedy =
        "write scheme, host and port of one origin: \"https://app.example.com\"; there are no patterns";
    let plain = |text: &str| Origin::parse(text).filter(|_| !text.contains('*'));
    let origin = entry.parsed(plain, "is not an origin", remedy)?;
    if !origin.is_secure() && !origin.is_loopback() && !premises.dev {
        let what =
            "is plain http outside of this machine: whoever listens in could put a script into its pages";
        return Err(entry.wrong(what, "make it https"));
    }
    Ok(origin)
}

fn method(entry: &Entry<'_>) -> Result<Method, Reported> {
    let known = |text: &str| {
        let method = Method::from_bytes(text.as_bytes()).ok()?;
        let odd = matches!(method, Method::OPTIONS | Method::TRACE | Method::CONNECT);
        (!odd && text.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(method)
    };
    entry.parsed(known, "is no method that a page may use", "write it in capitals: \"PUT\"")
}

fn header(entry: &Entry<'_>) -> Result<HeaderName, Reported> {
    let name = |text: &str| HeaderName::from_bytes(text.as_bytes()).ok().filter(|_| text != "*");
    entry.parsed(name, "is no name of a header", "write each by its name: \"Content-Type\"; `*` is none")
}
