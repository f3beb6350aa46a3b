//! Which keys there are, of what type, and which one was probably meant.
//!
//! I own: [`KEYS`], put together from the tables of the sections; [`Key`] and [`Kind`]. I may call: the sections (their
//! tables), `strsim`. I never read a value.
//!
//! There is one table. The cursor takes its keys from it, the overlay the names of its variables, and `keycard schema`
//! all of it; tests hold `config/keycard.example.toml` and the readers of the sections against it.

use crate::config::{identity, log, pages, provider, route, secret, server, session};

/// One key.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
    /// What it is for: the comment of the example file.
    pub(super) about: &'static str,
}

/// Whether a key has to be there.
pub(super) enum Presence {
    Required,
    Optional,
    /// Optional, and this is its value without it, as TOML.
    Default(&'static str),
}

/// What a value may look like. What it means is for the reader of the section.
pub(super) enum Kind {
    /// A string.
    Text,
    /// A string such as `1h30m`.
    Duration,
    /// A whole number of bytes, or a string such as `10MB`.
    Size,
    /// `true` or `false`.
    Boolean,
    /// A whole number within these bounds.
    Number { least: u64, most: u64 },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list.
    List(&'static Kind),
    /// A list that is not empty, or a single item without its brackets.
    OneOrMore(&'static Kind),
    /// Any of these.
    Either(&'static [Kind]),
    /// A table with keys of one's own.
    Free(&'static Kind),
    /// A table of [`KEYS`]: a section, or written inline.
    Table(&'static str),
    /// A list of such sections, at least one.
    Tables(&'static Kind),
}

impl Kind {
    /// A secret: a literal, or where it lies.
    pub(super) const SECRET: Self = Self::Either(&[Self::Text, Self::Table("secret")]);

    /// Whether a value of any of the kinds that this one leaves open passes `test`.
    pub(super) fn any(&self, test: &dyn Fn(&Kind) -> bool) -> bool {
        match self {
            Self::Either(kinds) => kinds.iter().any(|kind| kind.any(test)),
            kind => test(kind),
        }
    }

    /// The table of [`KEYS`] that this is, or may be.
    pub(super) fn table(&self) -> Option<&'static str> {
        match self {
            Self::Table(name) => Some(name),
            Self::Either(kinds) => kinds.iter().find_map(Self::table),
            _ => None,
        }
    }

    /// What the items are, if this is a list, or may be one.
    pub(super) fn item(&self) -> Option<&'static Kind> {
        match self {
            Self::List(kind) | Self::OneOrMore(kind) | Self::Tables(kind) => Some(kind),
            _ => None,
        }
    }
}

impl Key {
    pub(super) const fn required(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, presence: Presence::Required, about }
    }

    pub(super) const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, presence: Presence::Optional, about }
    }

    pub(super) const fn with_default(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, kind, presence: Presence::Default(default), about }
    }
}

/// Every table with its keys, in the order of the example file. `""` is the file itself; those of [`INLINE`] are
/// values of keys.
pub(super) const KEYS: &[(&str, &[Key])] = &[
    ("", SECTIONS),
    ("server", server::KEYS),
    ("session", session::KEYS),
    ("provider", provider::KEYS),
    ("identity", identity::KEYS),
    ("route", route::KEYS),
    ("pages", pages::KEYS),
    ("log", log::KEYS),
    ("secret", secret::KEYS),
    ("access", route::access::KEYS),
    ("rule", route::access::RULE_KEYS),
    ("cors", route::CORS_KEYS),
    ("embed", session::EMBED_KEYS),
    ("basic_auth", route::BASIC_AUTH_KEYS),
];

/// The tables of [`KEYS`] that are written inline, as values.
pub(super) const INLINE: &[&str] = &["secret", "access", "rule", "cors", "embed", "basic_auth"];

const SECTIONS: &[Key] = &[
    Key::optional("server", Kind::Table("server"), "The public door."),
    Key::optional("session", Kind::Table("session"), "Where sessions live and for how long."),
    Key::optional(
        "provider",
        Kind::Tables(&Kind::Table("provider")),
        "One section for each identity provider; the first is the default one.",
    ),
    Key::optional(
        "identity",
        Kind::Table("identity"),
        "What a session knows about its person; values are names of claims, with dots into objects.",
    ),
    Key::optional(
        "route",
        Kind::Tables(&Kind::Table("route")),
        "One section for each app; the longest path that matches wins.",
    ),
    Key::optional("pages", Kind::Table("pages"), "The look of Keycard's own pages."),
    Key::optional("log", Kind::Table("log"), "What is logged."),
];

/// The keys whose values are never shown.
pub(super) const SECRET_KEYS: &[&str] =
    &["client_secret", "keys", "store", "store_sentinel_password", "http_proxy", "admin_token", "password"];

/// The keys of one table.
pub(super) fn table(name: &str) -> &'static [Key] {
    KEYS.iter().find(|(table, _)| *table == name).map_or(&[], |(_, keys)| keys)
}

/// The names of the keys of one table.
pub(super) fn keys_of(name: &str) -> impl Iterator<Item = &'static str> + Clone {
    table(name).iter().map(|key| key.name)
}

/// The names of all keys.
pub(super) fn all_names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().flat_map(|(_, keys)| keys.iter().map(|key| key.name))
}

/// The section, written as in a file, that has exactly this key.
pub(super) fn home_of(key: &str) -> Option<String> {
    let (section, _) = KEYS.iter().skip(1).find(|(_, keys)| keys.iter().any(|one| one.name == key))?;
    match *section {
        "provider" | "route" => Some(format!("[[{section}]]")),
        inline if INLINE.contains(&inline) => None,
        _ => Some(format!("[{section}]")),
    }
}

/// The word that `given` was probably meant to be.
pub(super) fn nearest<'w>(given: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let given = given.to_lowercase().replace('-', "_");
    // About every third letter may be wrong; a longer typo is a guess, and a wrong guess misleads.
    let near = |word: &&str| strsim::osa_distance(&given, word) <= (word.len() / 3).clamp(1, 3);
    words.into_iter().filter(near).min_by_key(|word| strsim::osa_distance(&given, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_their_word_and_nonsense_finds_none() {
        let words = ["idle_timeout", "lifetime", "store", "keys"];
        for (given, expected) in [
            ("idle_timeot", Some("idle_timeout")),
            ("Idle-Timeout", Some("idle_timeout")),
            ("livetime", Some("lifetime")),
            ("key", Some("keys")),
            ("cookie_name", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, words), expected, "{given}");
        }
    }
}
