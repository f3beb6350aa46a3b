//! `[pages]`.
//!
//! I own: the keys of that section, the names of the templates, and the check that they can be read. I may call:
//! `cursor`, and minijinja for the grammar. I never render a page: that is for `inbound`, which tries them all at the
//! start.

use crate::config::PageSettings;
use crate::config::cursor::{Entry, Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::domain::path::CanonicalPath;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The keys of `[pages]`, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    Key::optional(
        "folder",
        Kind::Text,
        "A folder with templates of your own in place of the built-in ones: page.html, style.css, or one kind of page alone, such as forbidden.html; without it, none.",
    ),
    Key::optional("name", Kind::Text, "The name above every page; without it, none."),
    Key::optional(
        "logo",
        Kind::Text,
        "The path of an image beside the name, on a route that is public; without it, none.",
    ),
    Key::optional(
        "accent",
        Kind::Text,
        "The colour of buttons and links, as #rrggbb; links get darker or lighter where it could not be read. Without it, blue.",
    ),
    Key::optional("footer", Kind::Text, "A line of plain text below every page; without it, none."),
];

/// The templates that a folder may hold.
const TEMPLATES: [&str; 12] = [
    "page.html",
    "style.css",
    "error.html",
    "unavailable.html",
    "forbidden.html",
    "loop.html",
    "sign-out.html",
    "signed-out.html",
    "landing.html",
    "keep.html",
    "replay.html",
    "sessions.html",
];

const LONGEST_NAME: usize = 80;
const LONGEST_FOOTER: usize = 500;

pub(super) fn read(mut section: Section<'_>) -> Result<PageSettings, Reported> {
    let folder = section.may("folder", folder);
    let name = section.may("name", |entry| line(entry, LONGEST_NAME));
    let logo = section.may("logo", logo);
    let accent = section.may("accent", |entry| {
        entry.parsed(colour, "is not a colour in hexadecimal", "write it like \"#1a56b0\" or \"#15b\"")
    });
    let footer = section.may("footer", |entry| line(entry, LONGEST_FOOTER));
    section.finish();
    let (folder, templates) = folder?.map_or_else(Default::default, |(path, texts)| (Some(path), texts));
    Ok(PageSettings { folder, templates, name: name?, logo: logo?, accent: accent?, footer: footer? })
}

type Templates = Vec<(String, String)>;

/// The folder, and what it holds; every template in it that cannot be read is a mistake of its own.
fn folder(entry: &Entry<'_>) -> Result<(PathBuf, Templates), Reported> {
    let path = Path::new(entry.text()?);
    let (mut templates, mut broken) = (Templates::new(), None);
    for name in TEMPLATES {
        let file = path.join(name);
        let wrong =
            |what: String, remedy: &str| entry.wrong(format_args!("has {file:?}, which {what}"), remedy);
        let read = match entry.environment().read_file(&file) {
            Ok(bytes) => String::from_utf8(bytes)
                .map_err(|_| wrong("is not UTF-8 text".to_owned(), "save it as UTF-8"))
                .and_then(|text| match flaw(name, &text) {
                    None => Ok(text),
                    Some(flaw) => Err(wrong(flaw, "mend the template, or remove it for the built-in one")),
                }),
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                Err(wrong(format!("cannot be read: {error}"), "let this user read it, or remove it"))
            }
        };
        match read {
            Ok(text) => templates.push((name.to_owned(), text)),
            Err(reported) => broken = Some(reported),
        }
    }
    match broken {
        Some(reported) => Err(reported),
        None if templates.is_empty() => Err(entry.wrong(
            format_args!("names the folder {path:?}, which holds none of our templates"),
            format!("put one of these there: {}", TEMPLATES.join(", ")),
        )),
        None => Ok((path.to_owned(), templates)),
    }
}

/// What is wrong with a template, and in which line.
fn flaw(name: &str, text: &str) -> Option<String> {
    if name == "style.css" {
        // It stands within the element, as it is.
        let end = text.to_ascii_lowercase().find("</style")?;
        let line = text.as_bytes().iter().take(end).filter(|byte| **byte == b'\n').count() + 1;
        return Some(format!("holds `</style` in line {line}"));
    }
    let error = minijinja::Environment::new().add_template_owned(name.to_owned(), text.to_owned()).err()?;
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    Some(format!("is broken{line}: {}", error.detail().unwrap_or("it is no template")))
}

/// One line of plain text.
fn line(entry: &Entry<'_>, longest: usize) -> Result<String, Reported> {
    let sound = |text: &str| {
        let text = text.trim();
        (text.chars().count() <= longest && !text.chars().any(char::is_control)).then(|| text.to_owned())
    };
    let what = format!("is not one line of at most {longest} characters");
    entry.parsed(sound, &what, "shorten it, and leave out line breaks")
}

/// A path of our own origin: the pages' policy lets no image in from elsewhere.
fn logo(entry: &Entry<'_>) -> Result<String, Reported> {
    let path = |text: &str| CanonicalPath::parse(text).ok().map(|path| path.as_str().to_owned());
    let remedy = "write the path of an image on one of the routes: \"/static/logo.svg\"";
    entry.parsed(path, "is not a path of this origin", remedy)
}

/// `#rrggbb` or `#rgb`.
fn colour(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#')?.as_bytes();
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    let channel = |high: usize, low: usize| u8::try_from(digit(high)? * 16 + digit(low)?).ok();
    match digits.len() {
        3 => Some([channel(0, 0)?, channel(1, 1)?, channel(2, 2)?]),
        6 => Some([channel(0, 1)?, channel(2, 3)?, channel(4, 5)?]),
        _ => None,
    }
}
