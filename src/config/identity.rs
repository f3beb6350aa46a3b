//! `[identity]`.
//!
//! I own: the keys of that section. I may call: `cursor`. I never see a claim, only paths to claims.

use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::domain::claim::ClaimPath;
use crate::domain::identity::IdentityRule;

/// The keys of `[identity]`, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    Key::with_default("user_id", Kind::Text, r#""sub""#, "The id that apps see."),
    Key::with_default("name", Kind::Text, r#""name""#, "The display name."),
    Key::with_default("email", Kind::Text, r#""email""#, "The e-mail address."),
    Key::with_default(
        "trust_unverified_email",
        Kind::Boolean,
        "false",
        "Whether an e-mail address counts that the provider does not call verified. Without it, such an address is left out (when `email_verified` is false), and never becomes a user id.",
    ),
    Key::with_default(
        "roles",
        Kind::List(&Kind::Text),
        r#"["roles", "groups", "realm_access.roles"]"#,
        "Where roles are found; all that are there are joined.",
    ),
    Key::with_default(
        "groups",
        Kind::List(&Kind::Text),
        r#"["groups"]"#,
        "Where groups are found, for rules of access that ask for them; all that are there are joined.",
    ),
    Key::with_default(
        "claims",
        Kind::List(&Kind::Text),
        "[]",
        "Top-level claims that the `user` endpoint shows to the browser.",
    ),
];

/// Where roles are looked for unless configured: plain, as groups, and where Keycloak keeps them.
const ROLE_PATHS: [&str; 3] = ["roles", "groups", "realm_access.roles"];

/// Where groups are looked for unless configured.
const GROUP_PATHS: [&str; 1] = ["groups"];

/// Reads the section. What identity headers and rules of access read is known only with the routes, and filled in there.
pub(super) fn read(mut section: Section<'_>) -> Result<IdentityRule, Reported> {
    let user_id = path_or(&mut section, "user_id", "sub");
    let name = path_or(&mut section, "name", "name");
    let email = path_or(&mut section, "email", "email");
    let trusting = section.or("trust_unverified_email", false, |entry| entry.boolean());
    let roles = section.may("roles", |entry| entry.each(claim_path));
    let groups = section.may("groups", |entry| entry.each(claim_path));
    let shown = section.or("claims", Vec::new(), |entry| entry.each(claim_name));
    section.finish();
    let roles = roles?.unwrap_or_else(|| ROLE_PATHS.into_iter().filter_map(ClaimPath::parse).collect());
    let groups = groups?.unwrap_or_else(|| GROUP_PATHS.into_iter().filter_map(ClaimPath::parse).collect());
    let (user_id, name, email, shown) = (user_id?, name?, email?, shown?);
    let trust_unverified_email = trusting?;
    Ok(IdentityRule {
        user_id,
        name,
        email,
        trust_unverified_email,
        roles,
        groups,
        shown,
        read_by_headers: Vec::new(),
        keeps_all: false,
        read_by_rules: Vec::new(),
    })
}

fn path_or(
    section: &mut Section<'_>,
    key: &'static str,
    default: &'static str,
) -> Result<ClaimPath, Reported> {
    match section.may(key, claim_path)?.or_else(|| ClaimPath::parse(default)) {
        Some(path) => Ok(path),
        None => Err(section.wrong(key, "is no path to a claim", "name a claim")),
    }
}

fn claim_path(entry: &Entry<'_>) -> Result<ClaimPath, Reported> {
    let remedy = "write the name of a claim; members of an object follow after a dot: \"realm_access.roles\"";
    entry.parsed(ClaimPath::parse, "is no path to a claim", remedy)
}

fn claim_name(entry: &Entry<'_>) -> Result<String, Reported> {
    let name = |text: &str| ClaimPath::parse(text).map(|path| path.as_str().to_owned());
    entry.parsed(name, "is no name of a claim", "write the name of a top-level claim, such as \"department\"")
}
