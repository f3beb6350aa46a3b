//! `upstream`, `fallback` and `cache_control` of a route.
//!
//! I own: the two kinds of upstream, and what belongs to a folder. I may call: `cursor`. I never look whether a folder
//! is there: that is for `keycard check --connect`.

use crate::config::cursor::{Entry, Reported, Section, all_of};
use crate::config::keys::{Key, Kind};
use crate::domain::files::{CacheRule, FileSite, Wanted};
use crate::domain::route::UpstreamAddress;
use std::path::PathBuf;
use url::Url;

pub(super) const UPSTREAM: Key = Key::required(
    "upstream",
    Kind::OneOrMore(&Kind::Text),
    "Scheme, host and port of the app, or a list of them to take in turn; or one folder of files, such as \"file:///srv/app/dist\", which holds what lies below `path`. Required.",
);

pub(super) const FALLBACK: Key = Key::optional(
    "fallback",
    Kind::Text,
    "Of a folder: the file that a navigation gets where there is none, as single-page apps need it; scripts, styles and images that are missing stay missing. Without it, 404.",
);

pub(super) const CACHE_CONTROL: Key = Key::optional(
    "cache_control",
    Kind::Free(&Kind::Text),
    "Of a folder: `Cache-Control` by name, `*` for any characters; a pattern without a slash is for the last part of a name. On a route that is not public, `private` is added. Without it, a year for names with a hash in them, and \"no-cache\" (ask each time) for all others.",
);

/// What a route leads to.
pub(super) struct Upstream {
    pub(super) addresses: Vec<UpstreamAddress>,
    pub(super) files: Option<FileSite>,
}

enum One {
    App(UpstreamAddress),
    Folder(PathBuf),
}

pub(super) fn read(section: &mut Section<'_>) -> Result<Upstream, Reported> {
    let remedy = "write where the app listens: upstream = \"http://wiki:80\"";
    let upstream = section.must("upstream", remedy, |entry| entry.one_or_more(one));
    let fallback = section.may("fallback", fallback);
    let cache = section.may("cache_control", cache_control);
    let (mut addresses, mut folders) = (Vec::new(), Vec::new());
    for one in upstream? {
        match one {
            One::App(address) => addresses.push(address),
            One::Folder(folder) => folders.push(folder),
        }
    }
    if folders.len() > 1 || (!folders.is_empty() && !addresses.is_empty()) {
        return Err(section.wrong(
            "upstream",
            "mixes a folder with something else: only apps are taken in turn",
            "write one folder alone, and another [[route]] for the rest",
        ));
    }
    let (fallback, cache) = (fallback?, cache?.unwrap_or_default());
    Ok(Upstream { addresses, files: folders.pop().map(|root| FileSite { root, fallback, cache }) })
}

/// What a folder cannot do, and what must not be said of one on this route.
pub(super) fn judge(
    section: &Section<'_>,
    upstream: &Result<Upstream, Reported>,
    public: bool,
    strict: bool,
    tells_who: bool,
    relays: bool,
) -> Result<(), Reported> {
    let Ok(Upstream { files: Some(site), .. }) = upstream else { return Ok(()) };
    let mut judged = Ok(());
    let mut wrong = |key, what: &str, remedy: &str| judged = Err(section.wrong(key, what, remedy));
    if strict {
        let what = "would keep the browser from the app's own scripts and images: they carry no `X-CSRF`";
        wrong("csrf", what, "leave it out here, and set it on the route of the API");
    }
    if tells_who {
        wrong("identity_headers", "has no effect on a folder: nobody reads them", "remove it");
    }
    if relays {
        wrong("token", "has no effect on a folder: nobody reads it", "remove it");
    }
    if !public && site.cache.iter().any(CacheRule::is_shared) {
        let what = "lets shared caches keep what not everybody may see";
        wrong("cache_control", what, "remove `public` and `s-maxage`, or make the route public");
    }
    judged
}

fn one(entry: &Entry<'_>) -> Result<One, Reported> {
    if entry.text()?.starts_with("file:") {
        let remedy = "write an absolute path: \"file:///srv/app/dist\"";
        return entry.parsed(folder, "is not the folder of an app", remedy).map(One::Folder);
    }
    // Scheme and authority, and nothing else: what is judged is the path that is forwarded (R70).
    let remedy = "write scheme, host and port alone: \"http://wiki:8080\"; paths are forwarded as they are";
    entry.parsed(UpstreamAddress::parse, "is not the address of an upstream", remedy).map(One::App)
}

/// An absolute path, as it will be used: no host, no dots to resolve, and not the whole machine.
fn folder(text: &str) -> Option<PathBuf> {
    let url = Url::parse(text).ok()?;
    let plain = url.query().is_none() && url.fragment().is_none() && text.starts_with("file:///");
    let dotted = text.split('/').any(|part| matches!(part, "." | ".."));
    let path = url.to_file_path().ok().filter(|_| plain && !dotted)?;
    path.parent().is_some().then_some(path)
}

fn fallback(entry: &Entry<'_>) -> Result<Wanted, Reported> {
    let file = |text: &str| {
        let plain = !text.starts_with('/') && !text.contains('%');
        Wanted::parse(text).filter(|wanted| plain && !wanted.directory)
    };
    entry.parsed(file, "is no name of a file in the folder", "write it as it lies there: \"index.html\"")
}

/// The longer a pattern, the more it says; of equals the order of the alphabet.
fn cache_control(entry: &Entry<'_>) -> Result<Vec<CacheRule>, Reported> {
    let Some(members) = entry.members() else {
        let remedy = "write a table of names: { \"*.pdf\" = \"max-age=3600\", \"assets/*\" = \"no-store\" }";
        return Err(entry.wrong(format_args!("must be a table, not {}", entry.kind()), remedy));
    };
    let mut rules = all_of(members.into_iter().map(|(pattern, value)| {
        let sound = |text: &str| {
            let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            printable.then(|| text.trim().to_owned())
        };
        let remedy = "write the header's value: \"max-age=3600\", \"no-cache\" or \"no-store\"";
        let value = value.parsed(sound, "is no value of a header", remedy)?;
        Ok(CacheRule { pattern: pattern.trim_start_matches('/').to_owned(), value })
    }))?;
    rules.sort_by(|one, two| {
        two.pattern.len().cmp(&one.pattern.len()).then_with(|| one.pattern.cmp(&two.pattern))
    });
    Ok(rules)
}
