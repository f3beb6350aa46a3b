//! The keys of `[[route]]` for apps that were not written for a gateway.
//!
//! I own: those keys, and how they fit the rest of the route. I may call: `cursor`, `secret`. I never accept what would
//! have no effect: a key that does nothing is taken for protection.

use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::config::secret;
use crate::config::server::Premises;
use crate::domain::identity_header::{Encoding, HeaderStyle, Template};
use crate::domain::legacy::{
    AppCookies, BasicAuth, ClientAuthorization, ForwardedHeaders, HostPolicy, Legacy, LogoutPath, SiteData,
};
use crate::domain::origin::Origin;
use crate::domain::path::CanonicalPath;
use crate::domain::secret::AppPassword;
use secrecy::ExposeSecret as _;

pub(super) const HOST: Key = Key::with_default(
    "host",
    Kind::Text,
    r#""public""#,
    r#"The `Host` that the app sees: "public" (the browser's), "upstream" (the app's own address) or a name."#,
);
pub(super) const FORWARDED: Key = Key::with_default(
    "forwarded",
    Kind::List(&Kind::Choice(&["x-forwarded", "forwarded", "x-script-name"])),
    r#"["x-forwarded"]"#,
    r#"How the app hears where a request came from: "x-forwarded" (X-Forwarded-For, -Host, -Proto, and -Prefix where the path changes), "forwarded" (RFC 7239), "x-script-name" (the prefix where the path changes, for apps on WSGI), several or none."#,
);
pub(super) const STRIP_PREFIX: Key = Key::with_default(
    "strip_prefix",
    Kind::Boolean,
    "false",
    "Whether `path` is taken off before a request is forwarded; `Location` and cookie paths get it back.",
);
pub(super) const REPLACE_PREFIX: Key = Key::optional(
    "replace_prefix",
    Kind::Text,
    "What the app has in place of `path`, likewise; without it, the path is forwarded as it is.",
);
pub(super) const HEADER_ENCODING: Key = Key::with_default(
    "header_encoding",
    Kind::Choice(&["utf8", "percent", "rfc2047", "base64"]),
    r#""utf8""#,
    r#"How identity headers carry what is not ASCII: "utf8" (as it is), "percent", "rfc2047" or "base64" (always)."#,
);
pub(super) const HEADER_SEPARATOR: Key = Key::with_default(
    "header_separator",
    Kind::Text,
    r#"",""#,
    "What stands between the items of a list in identity headers; an item that holds it is left out.",
);
pub(super) const BASIC_AUTH: Key = Key::optional(
    "basic_auth",
    Kind::Either(&[Kind::Table("basic_auth")]),
    "The name, a template as in `identity_headers`, and the password that the app asks for; without it, none.",
);
pub(super) const CLIENT_AUTHORIZATION: Key = Key::optional(
    "client_authorization",
    Kind::Choice(&["strip", "pass"]),
    r#"What becomes of the client's own `Authorization`: "strip" or "pass"; without it, it passes on public routes alone."#,
);
pub(super) const APP_COOKIES: Key = Key::with_default(
    "app_cookies",
    Kind::List(&Kind::Text),
    "[]",
    "The app's session cookies, by name or as `name*`: sealed for the person who is signed in, never sent to the app for anybody else, and expired when the session ends. Scripts in the browser cannot set them.",
);
pub(super) const CLEAR_SITE_DATA: Key = Key::with_default(
    "clear_site_data",
    Kind::List(&Kind::Choice(&["cache", "cookies", "storage"])),
    "[]",
    r#"What browsers forget of the whole origin when a session ends: "cache", "cookies", "storage"."#,
);
pub(super) const LOGOUT_PATHS: Key = Key::with_default(
    "logout_paths",
    Kind::List(&Kind::Text),
    "[]",
    r#"The app's own addresses for signing out, such as "/wiki/logout" or "/wiki/doku.php?do=logout": they end the session here too."#,
);
pub(super) const ALLOW_ENCODED_SLASH: Key = Key::with_default(
    "allow_encoded_slash",
    Kind::Boolean,
    "false",
    "Whether `%2F` may stand in paths, beyond `path`; dot segments behind it are refused all the same.",
);

/// The keys of `basic_auth`.
pub(in crate::config) const BASIC_AUTH_KEYS: &[Key] = &[
    Key::required("user", Kind::Text, "The name, such as \"{user_id}\"."),
    Key::required("password", Kind::SECRET, "The password."),
];

/// What the rest of the route says.
pub(super) struct Around<'r> {
    /// Its path, if that is right.
    pub(super) prefix: Option<&'r CanonicalPath>,
    /// Whether the session is not looked at.
    pub(super) public: bool,
    /// Whether a token of ours is relayed.
    pub(super) relays: bool,
    /// Whether credentials would go to another machine in clear, and nobody has allowed it.
    pub(super) in_clear: bool,
}

/// The keys as they were read, before they are held against the rest.
pub(super) struct Raw {
    host: Result<HostPolicy, Reported>,
    forwarded: Result<ForwardedHeaders, Reported>,
    strip: Result<bool, Reported>,
    replace: Result<Option<CanonicalPath>, Reported>,
    basic_auth: Result<Option<BasicAuth>, Reported>,
    client_authorization: Result<Option<ClientAuthorization>, Reported>,
    app_cookies: Result<Vec<String>, Reported>,
    clear_site_data: Result<Vec<SiteData>, Reported>,
    logout_paths: Result<Vec<LogoutPath>, Reported>,
    allow_encoded_slash: Result<bool, Reported>,
    style: Result<HeaderStyle, Reported>,
}

/// Takes the keys from a section.
pub(super) fn take(section: &mut Section<'_>, premises: &Premises) -> Raw {
    let encoding = section.or(HEADER_ENCODING.name, Encoding::Utf8, |entry| {
        entry.choice(&[
            ("utf8", Encoding::Utf8),
            ("percent", Encoding::Percent),
            ("rfc2047", Encoding::Rfc2047),
            ("base64", Encoding::Base64),
        ])
    });
    let separator = section.or(HEADER_SEPARATOR.name, ",".to_owned(), separator);
    Raw {
        host: section.or(HOST.name, HostPolicy::Public, host),
        forwarded: section.or(FORWARDED.name, ForwardedHeaders::default(), forwarded),
        strip: section.or(STRIP_PREFIX.name, false, |entry| entry.boolean()),
        replace: section.may(REPLACE_PREFIX.name, replacement),
        basic_auth: section.may(BASIC_AUTH.name, |entry| basic_auth(entry, premises.dev)),
        client_authorization: section.may(CLIENT_AUTHORIZATION.name, |entry| {
            entry.choice(&[("strip", ClientAuthorization::Strip), ("pass", ClientAuthorization::Pass)])
        }),
        app_cookies: section.or(APP_COOKIES.name, Vec::new(), |entry| entry.each(app_cookie)),
        clear_site_data: section.or(CLEAR_SITE_DATA.name, Vec::new(), |entry| {
            entry.each(|one| {
                one.choice(&[
                    ("cache", SiteData::Cache),
                    ("cookies", SiteData::Cookies),
                    ("storage", SiteData::Storage),
                ])
            })
        }),
        logout_paths: section.or(LOGOUT_PATHS.name, Vec::new(), |entry| entry.each(logout_path)),
        allow_encoded_slash: section.or(ALLOW_ENCODED_SLASH.name, false, |entry| entry.boolean()),
        style: encoding.and_then(|encoding| Ok(HeaderStyle { encoding, separator: separator? })),
    }
}

/// Holds the keys against the rest of the route; with the style of its identity headers.
pub(super) fn judge(
    section: &Section<'_>,
    raw: Raw,
    around: &Around<'_>,
    claim_headers: bool,
) -> Result<(Legacy, HeaderStyle), Reported> {
    let wrong = |key: &Key, what: &str, remedy: &str| section.wrong(key.name, what, remedy);
    let mut faults = Vec::new();
    if let (Ok(true), Ok(Some(_))) = (&raw.strip, &raw.replace) {
        faults.push(wrong(
            &REPLACE_PREFIX,
            "and `strip_prefix` both say what becomes of the path",
            "keep one",
        ));
    }
    let nobody = "has no effect on a public route: the session is not looked at, so nobody is known";
    let optional = "remove it, or make access = \"optional\"";
    for (key, is_set) in [
        (&BASIC_AUTH, matches!(raw.basic_auth, Ok(Some(_)))),
        (&APP_COOKIES, raw.app_cookies.as_ref().is_ok_and(|names| !names.is_empty())),
        (&CLEAR_SITE_DATA, raw.clear_site_data.as_ref().is_ok_and(|data| !data.is_empty())),
        (&LOGOUT_PATHS, raw.logout_paths.as_ref().is_ok_and(|paths| !paths.is_empty())),
    ] {
        if is_set && around.public {
            faults.push(wrong(key, nobody, optional));
        }
    }
    if let (Ok(Some(_)), true) = (&raw.basic_auth, around.relays) {
        faults.push(wrong(&BASIC_AUTH, "and `token` both fill `Authorization`", "keep one of them"));
    }
    if let (Ok(Some(_)), true) = (&raw.basic_auth, around.in_clear) {
        faults.push(wrong(
            &BASIC_AUTH,
            "would send a password over plain http to another machine",
            "make the upstream https; or, if that network is yours alone, set allow_cleartext_token = true",
        ));
    }
    let fills = around.relays || matches!(raw.basic_auth, Ok(Some(_)));
    if let (Ok(Some(ClientAuthorization::Pass)), true) = (&raw.client_authorization, fills) {
        faults.push(wrong(
            &CLIENT_AUTHORIZATION,
            "cannot be \"pass\" where `token` or `basic_auth` fills `Authorization`",
            "remove one of them",
        ));
    }
    if let (Ok(paths), Some(prefix)) = (&raw.logout_paths, around.prefix)
        && paths.iter().any(|one| !one.path().is_under(prefix.as_str()))
    {
        faults.push(wrong(
            &LOGOUT_PATHS,
            "names an address that is not under `path`",
            "write it as browsers see it, with the route's `path` at its beginning",
        ));
    }
    let base = match (raw.strip, raw.replace) {
        (Ok(true), Ok(None)) => Ok(Some(CanonicalPath::root())),
        (Ok(_), Ok(replace)) => Ok(replace),
        (Err(reported), _) | (_, Err(reported)) => Err(reported),
    };
    // Nothing changes when a prefix is replaced by itself.
    let base = base.map(|base| base.filter(|base| around.prefix.is_none_or(|own| own.stem() != base.stem())));
    let legacy = Legacy {
        host: raw.host?,
        forwarded: raw.forwarded?,
        base: base?,
        claim_headers,
        basic_auth: raw.basic_auth?,
        client_authorization: raw.client_authorization?,
        app_cookies: AppCookies::new(raw.app_cookies?),
        clear_site_data: raw.clear_site_data?,
        logout_paths: raw.logout_paths?,
        allow_encoded_slash: raw.allow_encoded_slash?,
    };
    match faults.pop() {
        Some(reported) => Err(reported),
        None => Ok((legacy, raw.style?)),
    }
}

fn host(entry: &Entry<'_>) -> Result<HostPolicy, Reported> {
    match entry.text()? {
        "public" => Ok(HostPolicy::Public),
        "upstream" => Ok(HostPolicy::Upstream),
        name => Origin::parse(&format!("http://{name}"))
            .filter(|_| !name.contains('/'))
            .map(|origin| HostPolicy::Literal(origin.authority().to_owned()))
            .ok_or_else(|| {
                let remedy = "write \"public\", \"upstream\" or a name such as \"wiki.internal:8080\"";
                entry.wrong("is no host", remedy)
            }),
    }
}

fn forwarded(entry: &Entry<'_>) -> Result<ForwardedHeaders, Reported> {
    let words = entry.each(|one| {
        one.choice(&[
            ("x-forwarded", "x-forwarded"),
            ("forwarded", "forwarded"),
            ("x-script-name", "x-script-name"),
        ])
    })?;
    Ok(ForwardedHeaders {
        x_forwarded: words.contains(&"x-forwarded"),
        forwarded: words.contains(&"forwarded"),
        script_name: words.contains(&"x-script-name"),
    })
}

fn replacement(entry: &Entry<'_>) -> Result<CanonicalPath, Reported> {
    CanonicalPath::parse(entry.text()?).map_err(|refusal| {
        entry.wrong(format_args!("is no canonical path: {refusal}"), "write a plain path, such as \"/app/\"")
    })
}

fn separator(entry: &Entry<'_>) -> Result<String, Reported> {
    // A separator may be white space, which `text` would call empty.
    let short = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b));
    match entry.raw_text() {
        Some(text) if short(text) => Ok(text.to_owned()),
        _ => Err(entry.wrong("is no separator", "write one to three printable characters, such as \";\"")),
    }
}

fn basic_auth(entry: &Entry<'_>, dev: bool) -> Result<BasicAuth, Reported> {
    let form = "write { user = \"{user_id}\", password = { file = \"/run/secrets/app\" } }";
    let Some(mut table) = entry.table("basic_auth") else {
        return Err(entry.wrong(format_args!("must be a table, not {}", entry.kind()), form));
    };
    let user = table.must("user", form, |user| {
        let text = user.text()?;
        // RFC 7617 section 2: the first colon ends the name.
        if text.replace("{claim:", "").contains(':') {
            return Err(user.wrong("has a colon, which would end the name", "leave it out"));
        }
        Template::parse(text).map_err(|bad| user.wrong(bad, "write a template such as \"{user_id}\""))
    });
    let password = table.must("password", form, |password| secret::secret(password, dev));
    table.finish();
    Ok(BasicAuth { user: user?, password: AppPassword::new(password?.expose_secret()) })
}

fn app_cookie(entry: &Entry<'_>) -> Result<String, Reported> {
    let remedy = "write the cookie's exact name, or its beginning and `*`: \"PHPSESSID\", \"wordpress_*\"";
    let name = entry.parsed(AppCookies::parse_name, "is no name of a cookie", remedy)?;
    let ours = ["keycard", "keycard-login", "__Host-keycard", "__Host-keycard-login"];
    let cookies = AppCookies::new(vec![name.clone()]);
    if ours.iter().any(|own| cookies.may_be_read_from(own.as_bytes())) {
        return Err(entry.wrong("is a cookie of Keycard's own", "name the app's cookies"));
    }
    Ok(name)
}

fn logout_path(entry: &Entry<'_>) -> Result<LogoutPath, Reported> {
    let remedy = "write a path, perhaps with parameters: \"/wiki/logout\", \"/wiki/doku.php?do=logout\"";
    entry.parsed(LogoutPath::parse, "is no canonical path", remedy)
}
