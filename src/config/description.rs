//! What a right configuration means, in words and numbers.
//!
//! I own: the text of `keycard check`. I may call: `amount`, and the settings. I never write a secret: of a store's
//! URL only scheme, host and port, of keys only how many. Limits that are fixed in other rooms are handed to me as
//! [`Bound`]s.

mod keys;

use crate::config::amount::{show_duration, show_size};
use crate::config::{Bound, ClientAuth, LogFormat, ProviderSettings, Settings, StoreSettings};
use crate::domain::access::Otherwise;
use crate::domain::csrf::CsrfMode;
use crate::domain::door::DoorLimits;
use crate::domain::login::LOGIN_TIMEOUT;
use crate::domain::origin::Origin;
use crate::domain::renewal::{RETRY, RenewalRules};
use crate::domain::route::{Access, Relay, Route, UpstreamAddress};
use secrecy::ExposeSecret as _;
use std::net::{IpAddr, SocketAddr};
use url::Url;

pub(super) fn write(settings: &Settings, fixed: &[Bound]) -> String {
    let mut text = String::new();
    for (title, rows) in [
        ("Server", server(settings)),
        ("Providers", settings.providers.iter().enumerate().map(provider).collect()),
        ("Routes, in the order in which they are tried", routes(settings)),
        ("Limits of the public door", door(&settings.server.limits)),
        ("Time limits", limits(settings)),
        ("Time limits that are not configured", fixed.iter().map(fixed_row).collect()),
        ("Worth a second look", warnings(settings)),
    ] {
        if !rows.is_empty() {
            text.push_str(&format!("{title}\n{}\n", table(&rows)));
        }
    }
    text
}

type Row = Vec<String>;

/// Rows with columns below each other.
fn table(rows: &[Row]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let length = |row: &Row, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| length(row, column)).max().unwrap_or(0)).collect();
    let line = |row: &Row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn row<const N: usize>(cells: [&str; N]) -> Row {
    cells.map(str::to_owned).to_vec()
}

fn server(settings: &Settings) -> Vec<Row> {
    let Settings { server, session, .. } = settings;
    let list = |items: Vec<String>, none: &str| {
        if items.is_empty() { none.to_owned() } else { items.join(", ") }
    };
    let origins = list(server.origins.iter().map(|origin| origin.as_str().to_owned()).collect(), "");
    let proxies = list(server.trusted_proxies.iter().map(ToString::to_string).collect(), "nobody");
    let keys = keys::sealed_with(&session.keys);
    let own = settings.pages.templates.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    let templates = match &settings.pages.folder {
        Some(folder) => format!("{} of {}", own.join(", "), folder.display()),
        None => "built in".to_owned(),
    };
    let format = match settings.log.format {
        LogFormat::Human => "human",
        LogFormat::Json => "json",
    };
    let door =
        |address: Option<SocketAddr>| address.map_or("nowhere".to_owned(), |address| address.to_string());
    vec![
        row(["origins", &origins]),
        row(["listens on", &server.listen.to_string()]),
        row(["probes and metrics on", &door(server.health_listen)]),
        row(["operators on", &door(server.admin.as_ref().map(|admin| admin.listen))]),
        row(["own endpoints", &format!("{}/", server.prefix.as_str())]),
        row(["believes X-Forwarded-* of", &proxies]),
        row(["sessions in", &format!("{}, sealed with {keys}", session.store.place())]),
        row(["pages", &templates]),
        row(["log", &format!("{format}, {}", settings.log.level.to_string().to_lowercase())]),
        row(["set by the environment", &list(settings.from_environment.clone(), "none")]),
    ]
}

impl StoreSettings {
    /// Where the store is, without user, password and parameters.
    pub fn place(&self) -> String {
        match self {
            Self::Embedded(embedded) => format!("the directory {}", embedded.path.display()),
            Self::Memory => "memory".to_owned(),
            Self::Redis(redis) => match Url::parse(redis.url.expose_secret()) {
                Ok(url) => {
                    let port = url.port().unwrap_or(6379);
                    let host = url.host_str().unwrap_or_default();
                    format!("{}://{host}:{port} under {}", url.scheme(), redis.prefix)
                }
                Err(_) => "Redis".to_owned(),
            },
        }
    }
}

fn provider((at, provider): (usize, &ProviderSettings)) -> Row {
    let auth = match provider.client_auth {
        ClientAuth::SecretBasic => "client_secret_basic",
        ClientAuth::SecretPost => "client_secret_post",
    };
    let default = if at == 0 { "default" } else { "" };
    row([
        provider.id.as_str(),
        provider.issuer.as_str(),
        &provider.client_id,
        auth,
        &provider.scopes.join(" "),
        default,
    ])
}

fn routes(settings: &Settings) -> Vec<Row> {
    let head = row([
        "path",
        "access",
        "upstream",
        "identity headers",
        "token",
        "csrf",
        "answers in",
        "silence",
        "max body",
    ]);
    std::iter::once(head).chain(settings.routes.iter().map(|route| route_row(route))).collect()
}

fn route_row(route: &Route) -> Row {
    let folder = route.files.iter().map(|site| format!("file://{}", site.root.display()));
    let upstreams: Vec<String> = route.upstreams.iter().map(address).chain(folder).collect();
    let headers: Vec<&str> = route.identity_headers.iter().map(|header| header.name.as_str()).collect();
    let token = match route.relay {
        Relay::None => "none",
        Relay::AccessToken => "access",
    };
    row([
        &route.name,
        &access(route),
        &upstreams.join(", "),
        if headers.is_empty() { "none".to_owned() } else { headers.join(", ") }.as_str(),
        token,
        csrf_name(route.csrf),
        &show_duration(route.limits.response_timeout),
        &show_duration(route.limits.stall_timeout),
        &route.limits.max_body.map_or_else(|| "no limit".to_owned(), show_size),
    ])
}

fn access(route: &Route) -> String {
    let who = match route.access {
        Access::Public => "public",
        Access::Optional => "optional",
        Access::SignedIn => "signed-in",
    };
    let otherwise = match route.conditions.otherwise {
        Otherwise::Deny => "",
        Otherwise::SignInAgain => ", else sign in again",
    };
    match &route.conditions.rule {
        rule if rule.is_empty() => who.to_owned(),
        rule => format!("{who}, {rule}{otherwise}"),
    }
}

fn address(upstream: &UpstreamAddress) -> String {
    format!("{}://{}", upstream.scheme(), upstream.authority)
}

fn csrf_name(mode: CsrfMode) -> &'static str {
    match mode {
        CsrfMode::FetchMetadata => "fetch-metadata",
        CsrfMode::Strict => "strict",
        CsrfMode::Off => "off",
    }
}

fn fixed_row(bound: &Bound) -> Row {
    row([bound.what, &show_duration(bound.span), bound.note])
}

fn limits(settings: &Settings) -> Vec<Row> {
    let Settings { server, session, providers, .. } = settings;
    let (idle, interval) = (session.limits.idle, session.limits.touch_interval());
    let latest = show_duration(idle + interval);
    let mut rows = vec![
        row([
            "silence ends a session after",
            &show_duration(idle),
            &format!("at the latest {latest}, never early"),
        ]),
        row([
            "use of a session is noted every",
            &show_duration(interval),
            "which is how late silence may end it",
        ]),
        row(["a session lives at most", &show_duration(session.limits.lifetime)]),
        row(["a login takes at most", &show_duration(LOGIN_TIMEOUT)]),
    ];
    rows.extend(keys::rows(session));
    if let StoreSettings::Redis(redis) = &session.store {
        // Connecting takes one time-out, answering another; what breaks off is asked once more on a new connection.
        // A script that the server does not know is answered three times: no, loaded, done.
        let times = |count: u32| show_duration(redis.timeout.saturating_mul(count));
        rows.extend([
            row([
                "a command to the store takes at most",
                &times(1),
                &format!("{} with connecting", times(2)),
            ]),
            row(["  and in the worst case", &times(4), "broken off at the last moment and asked again"]),
            row(["  and a script in the worst case", &times(8), "which besides is new to that server"]),
        ]);
    }
    for provider in providers {
        let id = provider.id.as_str();
        rows.push(row([
            &format!("a request to `{id}` takes at most"),
            &show_duration(provider.timeout),
            &format!("its clock may differ by {}", show_duration(provider.clock_skew)),
        ]));
        // Metadata, code and keys, and keys twice more where a token names one that is unknown; the same again for a
        // signed answer of UserInfo.
        let calls = if provider.userinfo { 8 } else { 5 };
        rows.push(row([
            &format!("finishing a login at `{id}` takes at most"),
            &show_duration(provider.timeout.saturating_mul(calls)),
            &format!("{calls} requests, with metadata and keys fetched anew"),
        ]));
        let renewal = RenewalRules::of(provider.refresh_before, provider.timeout);
        rows.extend([
            row([
                &format!("an access token of `{id}` is renewed ahead by"),
                &show_duration(renewal.ahead),
                "at most a quarter of its life; if there is a refresh token",
            ]),
            row(["  and tried again after", &show_duration(RETRY), "where the provider did not answer"]),
            row([
                "  and taken over after",
                &show_duration(renewal.lease()),
                "where a gateway was killed meanwhile; a shutdown waits for it",
            ]),
        ]);
        if let Some(seconds) = provider.requested.max_age {
            let age = show_duration(std::time::Duration::from_secs(seconds.into()));
            rows.push(row([&format!("a sign-in at `{id}` is at most as old as"), &age]));
        }
    }
    rows.extend([
        row(["each request head arrives within", &show_duration(server.header_timeout)]),
        row(["a client may stop sending a body for", &show_duration(server.limits.body_stall_timeout)]),
        row(["a client may stop reading a response for", &show_duration(server.limits.write_stall_timeout)]),
        row(["an idle connection is kept for", &show_duration(server.keep_alive)]),
        row(["a shutdown waits at most", &show_duration(server.drain_timeout)]),
    ]);
    rows
}

fn door(limits: &DoorLimits) -> Vec<Row> {
    let size = |bytes: usize| show_size(bytes as u64);
    let (all, from_one) = (limits.max_connections, limits.max_connections_per_address);
    let head = size(limits.max_header_bytes);
    let rate = limits.login_rate.map_or_else(
        || "any number".to_owned(),
        |rate| format!("{} within {}, from one address", rate.times(), show_duration(rate.within())),
    );
    vec![
        row(["connections", &format!("{all}, of which {from_one} from one address")]),
        row([
            "a request head",
            &format!("{head} in {} lines, its path {}", limits.max_headers, size(limits.max_uri)),
        ]),
        row(["sign-ins", &rate]),
    ]
}

fn warnings(settings: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    if settings.server.dev {
        rows.push(row(["dev = true: plain http, short secrets and readable secret files are let through"]));
    }
    match &settings.session.store {
        StoreSettings::Memory => {
            rows.push(row(["store = \"memory\": a restart signs everybody out, and replicas share nothing"]));
        }
        StoreSettings::Redis(redis) if is_in_clear(redis.url.expose_secret()) => {
            rows.push(row(["the connection to the store is not encrypted: rediss:// would be"]));
        }
        StoreSettings::Redis(_) | StoreSettings::Embedded(_) => {}
    }
    if let Some(admin) = settings.server.admin.as_ref().filter(|admin| !admin.listen.ip().is_loopback()) {
        let address = admin.listen;
        rows.push(vec![format!(
            "admin_listen = \"{address}\": the token and the sessions travel in clear there"
        )]);
    }
    let parents: Vec<&str> = settings.session.reach.parents().iter().map(Origin::as_str).collect();
    if !parents.is_empty() {
        let parents = parents.join(", ");
        rows.push(vec![format!(
            "embed: pages of {parents} may frame the apps, and the cookies go along there"
        )]);
    }
    for route in settings.routes.iter() {
        if route.csrf == CsrfMode::Off && route.access != Access::Public {
            rows.push(vec![format!(
                "{}: csrf = \"off\", so any page may act for whoever visits it",
                route.name
            )]);
        }
        if let Some(cors) = route.cors.as_ref().filter(|_| route.access != Access::Public) {
            let origins: Vec<&str> = cors.origins.iter().map(Origin::as_str).collect();
            rows.push(vec![format!("{}: pages of {} act with the session", route.name, origins.join(", "))]);
        }
        let in_clear = |upstream: &&UpstreamAddress| !upstream.secure && !upstream.loopback;
        if let (Relay::AccessToken, Some(upstream)) = (route.relay, route.upstreams.iter().find(in_clear)) {
            let to = address(upstream);
            rows.push(vec![format!("{}: access tokens go in clear to {to}", route.name)]);
        }
        if let (Some(_), Some(upstream)) = (&route.legacy.basic_auth, route.upstreams.iter().find(in_clear)) {
            let to = address(upstream);
            rows.push(vec![format!("{}: the password of basic_auth goes in clear to {to}", route.name)]);
        }
    }
    rows
}

fn is_in_clear(store: &str) -> bool {
    let loopback = |url: &Url| {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    };
    Url::parse(store).is_ok_and(|url| url.scheme() == "redis" && !loopback(&url))
}
