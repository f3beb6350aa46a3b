//! `same_site` and `embed` of `[session]`.
//!
//! I own: both keys, and that they do not contradict each other. I may call: `cursor`, `server` (its premises). I never
//! let a page of anybody be framed by everybody.

use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::config::server::Premises;
use crate::domain::cookie_reach::CookieReach;
use crate::domain::origin::Origin;

pub(super) const SAME_SITE: Key = Key::with_default(
    "same_site",
    Kind::Choice(&["lax", "strict"]),
    r#""lax""#,
    r#"Which requests carry the session cookie: "lax" (our own, and links from elsewhere) or "strict" (our own alone; a link from elsewhere leads through a page of Keycard's that goes on by itself)."#,
);

pub(super) const EMBED: Key = Key::optional(
    "embed",
    Kind::Either(&[Kind::Table("embed")]),
    "Origins whose pages may show the apps in a frame. The cookies become SameSite=None and Partitioned, so a sign-in within a frame counts there alone; browsers without Partitioned send them everywhere, and then only the check of `csrf` stands between a foreign page and the apps: leave no route at \"off\". The provider has to allow frames too, or the person signs in by a link to a tab. Without it, nobody frames anything of ours.",
);

/// The keys of `embed`.
pub(in crate::config) const EMBED_KEYS: &[Key] = &[Key::required(
    "parents",
    Kind::OneOrMore(&Kind::Text),
    "The origins of the framing pages, each in full.",
)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum SameSite {
    Lax,
    Strict,
}

pub(super) fn read(section: &mut Section<'_>, premises: &Premises) -> Result<CookieReach, Reported> {
    let same_site = section.or("same_site", SameSite::Lax, |entry| {
        entry.choice(&[("lax", SameSite::Lax), ("strict", SameSite::Strict)])
    });
    let parents = section.may("embed", parents);
    let insecure = premises.origins.as_ref().is_some_and(|own| own.iter().any(|origin| !origin.is_secure()));
    match (same_site?, parents?) {
        (SameSite::Lax, None) => Ok(CookieReach::Lax),
        (SameSite::Strict, None) => Ok(CookieReach::Strict),
        (SameSite::Strict, Some(_)) => Err(section.wrong(
            "same_site",
            "contradicts `embed`: a Strict cookie is never sent within a frame of another site",
            "remove one of the two",
        )),
        (SameSite::Lax, Some(_)) if insecure => Err(section.wrong(
            "embed",
            "needs https: browsers take such cookies with Secure only",
            "make every `server.public_url` https",
        )),
        (SameSite::Lax, Some(parents)) => Ok(CookieReach::Framed(parents)),
    }
}

fn parents(entry: &Entry<'_>) -> Result<Vec<Origin>, Reported> {
    let remedy = "write { parents = [\"https://portal.example.com\"] }";
    let Some(mut table) = entry.table("embed") else {
        return Err(entry.wrong(format_args!("must be a table, not {}", entry.kind()), remedy));
    };
    let parents = table.must("parents", remedy, |parents| parents.one_or_more(parent));
    table.finish();
    parents
}

/// An origin in full: it will stand in `frame-ancestors`, where a pattern would be one.
fn parent(entry: &Entry<'_>) -> Result<Origin, Reported> {
    let secure = |text: &str| Origin::parse(text).filter(|origin| origin.is_secure() && !text.contains('*'));
    let remedy = "write scheme and host of one page: \"https://portal.example.com\"; there are no patterns";
    entry.parsed(secure, "is not an https origin", remedy)
}
