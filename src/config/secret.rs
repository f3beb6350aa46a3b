//! Secrets, wherever they lie.
//!
//! I own: the three forms of a secret: a literal, `{ env = "NAME" }`, `{ file = "path" }`. I may call: `cursor`, and
//! through it the environment. I never put a secret, or what stands where one should be, into a message.

use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::Path;
use zeroize::Zeroizing;

/// The keys of a secret that lies elsewhere.
pub(super) const KEYS: &[Key] = &[
    Key::optional("env", Kind::Text, "The environment variable that holds the secret."),
    Key::optional(
        "file",
        Kind::Text,
        "The file that holds the secret and nothing else; readable by its owner alone.",
    ),
];

/// Reads a secret. With `dev`, a file that others may read will do (A45).
pub(super) fn secret(entry: &Entry<'_>, dev: bool) -> Result<SecretString, Reported> {
    let Some(table) = entry.table("secret") else {
        let kind = entry.kind();
        if kind != "a string" {
            return Err(entry.wrong(
                format_args!("must be a secret, not {kind}"),
                "write a string, `{ env = \"NAME\" }` or `{ file = \"path\" }`",
            ));
        }
        return sound(entry, entry.text()?);
    };
    from_table(entry, table, dev)
}

fn from_table(entry: &Entry<'_>, mut table: Section<'_>, dev: bool) -> Result<SecretString, Reported> {
    let variable = table.may("env", |name| from_variable(name));
    let file = table.may("file", |path| from_file(path, dev));
    table.finish();
    match (variable?, file?) {
        (Some(secret), None) | (None, Some(secret)) => Ok(secret),
        (Some(_), Some(_)) => Err(entry.wrong("has both `env` and `file`", "keep one of them")),
        (None, None) => Err(entry.wrong(
            "says nowhere where the secret is",
            "write `{ env = \"NAME\" }` or `{ file = \"path\" }`",
        )),
    }
}

fn from_variable(entry: &Entry<'_>) -> Result<SecretString, Reported> {
    // Only what looks like a name is repeated: somebody may have put the secret itself here.
    let is_name = |text: &str| {
        !text.starts_with(|c: char| c.is_ascii_digit())
            && (text.len() < 16 || text.contains('_'))
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    let name = entry.text()?;
    match entry.environment().var(name).map(Zeroizing::new) {
        Some(value) => sound(entry, &value),
        None if is_name(name) => Err(entry.wrong(
            format_args!("names the environment variable {name}, which is not set"),
            format!("set {name} for this process"),
        )),
        None => Err(entry.wrong(
            "names an environment variable that is not set",
            "write the name of the variable here, not its value",
        )),
    }
}

fn from_file(entry: &Entry<'_>, dev: bool) -> Result<SecretString, Reported> {
    let path = Path::new(entry.text()?);
    let content = entry.environment().read_file(path).map(Zeroizing::new);
    let content = content.map_err(|error| {
        entry.wrong(
            format_args!("names the file {path:?}, which cannot be read: {error}"),
            "check the path, and that this user may read the file",
        )
    })?;
    // systemd (by an access control list) and Kubernetes (by `fsGroup`) let a service read root's file as its group: there
    // a mode of 0440 is the strictest that can be had. PostgreSQL draws the same line for its key.
    let others = if entry.environment().is_of_root(path) { 0o037 } else { 0o077 };
    if let Some(mode) = entry.environment().file_mode(path).filter(|mode| mode & others != 0 && !dev) {
        return Err(entry.wrong(
            format_args!("names the file {path:?}, which others may read (mode {:04o})", mode & 0o7777),
            format!("chmod 600 {path:?}, or mount it with mode 0400 for the user of this process"),
        ));
    }
    let text = std::str::from_utf8(&content)
        .map_err(|_| entry.wrong(format_args!("names the file {path:?}, which is not UTF-8 text"), BARE))?;
    sound(entry, text)
}

const BARE: &str = "the file must hold the secret and nothing else; a newline at its end does no harm";

fn sound(entry: &Entry<'_>, text: &str) -> Result<SecretString, Reported> {
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(entry.wrong("leads to an empty secret", BARE)),
        bare => Ok(SecretString::from(bare)),
    }
}

/// Reads a secret of at least `shortest` bytes; with `dev` any will do (A45).
pub(super) fn long_secret(entry: &Entry<'_>, shortest: usize, dev: bool) -> Result<SecretString, Reported> {
    let secret = secret(entry, dev)?;
    if secret.expose_secret().len() < shortest && !dev {
        return Err(entry.wrong(
            format_args!("is shorter than {shortest} characters"),
            "let the provider issue a longer one, or make one with `keycard keys new`",
        ));
    }
    Ok(secret)
}
