//! What the house was told, already true.
//!
//! I own: everything that turns a file and an environment into [`Settings`]; the process environment is read here and
//! nowhere else. I may call: `domain`, `keyring` (for the form of a key), `rules` (to parse expressions). I never open a
//! socket, and I never stop at the first mistake.
//!
//! Two tiers: the file as the TOML parser left it, with the environment laid over it by `overlay` and walked by
//! `cursor`; and [`Settings`], which cannot be wrong. Each section has a file that takes one to the other, and says in
//! a table which keys it has.

pub mod environment;
pub mod fixed;
pub mod problem;
pub mod sources;

mod amount;
mod certificate;
mod cursor;
mod description;
mod identity;
mod identity_header;
mod keys;
mod log;
mod mask;
mod overlay;
mod pages;
mod provider;
mod reference;
mod route;
mod schema;
mod secret;
mod server;
mod session;
mod settings;
#[cfg(test)]
mod tests;

pub use self::session::{cluster_seeds, is_cluster_url};
pub use self::settings::*;

use crate::config::cursor::{Reader, Reported, Section};
use crate::config::environment::Environment;
use crate::config::problem::Problems;
use crate::domain::claim::ClaimPath;
use crate::domain::identity::IdentityRule;
use crate::domain::route::RouteTable;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;
use toml::de::DeTable;

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "keycard.toml";

/// Reads the file at `path`, or [`DEFAULT_FILE`], what it points at, and the environment over it.
///
/// A container may have no file at all: where none was named and the default one does not exist, the environment
/// alone will do, if it has any key. A file that was named must be there.
///
/// # Errors
/// Every mistake; or one, when the file cannot be read or is no TOML.
pub fn load(path: Option<&Path>, environment: &dyn Environment) -> Result<Settings, Problems> {
    let file = path.unwrap_or(Path::new(DEFAULT_FILE));
    let name = file.display().to_string();
    let bytes = match environment.read_file(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_none() => {
            if overlay::variables(environment).is_empty() {
                return Err(Problems::nothing(&name));
            }
            return parse(&format!("{name} (not there)"), "", environment);
        }
        Err(error) => return Err(Problems::unreadable(&name, &error.to_string())),
    };
    let text = String::from_utf8(bytes).map_err(|_| Problems::unreadable(&name, "it is not UTF-8 text"))?;
    parse(&name, &text, environment)
}

/// Reads `text` as if it were a file called `name`, what it points at, and the environment over it.
///
/// # Errors
/// Every mistake; or one, when the text is no TOML.
pub fn parse(name: &str, text: &str, environment: &dyn Environment) -> Result<Settings, Problems> {
    let variables = overlay::variables(environment);
    let tree = DeTable::parse(text).map_err(|error| Problems::syntax(name, text, &error))?;
    let mut tree = tree.into_inner();
    let hidden = mask::hidden_spans(&tree);
    let misfits = overlay::lay_over(&mut tree, text, &variables);
    let reader = Reader::new(environment, misfits);
    let settings = resolve(Section::root(&reader, &tree));
    match (settings, reader.into_faults()) {
        (Ok(settings), faults) if faults.is_empty() => {
            let from_environment = variables.iter().map(|variable| variable.name.clone()).collect();
            Ok(Settings { from_environment, ..settings })
        }
        (_, faults) => {
            let variable = |span: &Range<usize>| {
                overlay::variable_at(&variables, text, span).map(|variable| variable.name.clone())
            };
            Err(Problems::new(name, text, &hidden, &variable, faults))
        }
    }
}

/// A time limit that is fixed in another room, for `keycard check` to print.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// What is limited.
    pub what: &'static str,
    /// How long.
    pub span: Duration,
    /// What else there is to say.
    pub note: &'static str,
}

/// What `keycard check` says of a configuration without mistakes: what is served where and to whom, every bound as a
/// number, the `fixed` ones too, and what deserves a second look. Holds no secret.
pub fn describe(settings: &Settings, fixed: &[Bound]) -> String {
    description::write(settings, fixed)
}

/// The JSON Schema of the file (draft 2020-12), for editors: what `keycard schema` prints.
pub fn schema() -> String {
    format!("{:#}\n", schema::document())
}

/// Every key explained, as Markdown: what `keycard schema --markdown` prints, and `docs/configuration.md` is.
pub fn reference() -> String {
    reference::document()
}

fn resolve(mut file: Section<'_>) -> Result<Settings, Reported> {
    let (server, premises) = server::read(file.section("server"));
    let session = session::read(file.section("session"), &premises);
    let providers = provider::read_all(&mut file, &premises);
    let identity = identity::read(file.section("identity"));
    let ids = providers.as_ref().ok().map(|all| all.iter().map(|one| one.id.clone()).collect());
    let routes = route::read_all(&mut file, &premises, ids);
    let pages = pages::read(file.section("pages"));
    let log = log::read(file.section("log"));
    file.finish();
    let routes = routes?;
    let identity = identity?;
    if identity.email.as_str() != "email" && routes.iter().any(|route| route.conditions.rule.asks_for_email())
    {
        return Err(file.wrong(
            "identity",
            "takes e-mail addresses from another claim than `email`, so nobody's counts as verified, and `email_domains` lets nobody in",
            "leave out `identity.email`, or ask for something else than email_domains",
        ));
    }
    let keeps_all = routes.iter().any(|route| route.legacy.claim_headers);
    let identity = IdentityRule {
        read_by_headers: claims_in_headers(&routes),
        read_by_rules: claims_in_rules(&routes),
        keeps_all,
        ..identity
    };
    Ok(Settings {
        server: server?,
        session: session?,
        providers: providers?,
        identity,
        routes,
        pages: pages?,
        log: log?,
        from_environment: Vec::new(),
    })
}

fn claims_in_headers(routes: &RouteTable) -> Vec<ClaimPath> {
    let mut paths: Vec<ClaimPath> = Vec::new();
    for route in routes.iter() {
        let user = route.legacy.basic_auth.as_ref().map(|auth| auth.user.claims()).unwrap_or_default();
        let named = route.identity_headers.iter().flat_map(|header| header.source.claims());
        for path in named.chain(user) {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
    }
    paths
}

fn claims_in_rules(routes: &RouteTable) -> Vec<ClaimPath> {
    let mut paths: Vec<ClaimPath> = Vec::new();
    for path in routes.iter().flat_map(|route| route.conditions.rule.claims()) {
        if !paths.contains(path) {
            paths.push(path.clone());
        }
    }
    paths
}
