//! What is wrong with a configuration, and how to mend it.
//!
//! I own: [`Problem`] and [`Problems`]; `shown` has how they look in a terminal. I may call: `cursor` (the mistakes),
//! `mask`. I never show a value that may be a secret, and no control character reaches the terminal.

mod shown;

use crate::config::cursor::Fault;
use crate::config::keys::{KEYS, Key, Kind};
use crate::config::mask::{HIDDEN, harmless};
use crate::config::overlay::PREFIX;
use std::ops::Range;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, as a path: `provider[0].issuer`; empty when it is the file as a whole.
    pub key: String,
    /// What is wrong; names the key.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// Where in the file it is; `None` when it is something that is nowhere, such as a missing section.
    pub place: Option<Place>,
    /// The environment variable that it is in, if it is in none of the file's lines.
    pub variable: Option<String>,
    excerpt: Option<Excerpt>,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// The line in question as it may be shown, and what the carets stand below.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    line: String,
    carets: Range<usize>,
}

/// Everything that is wrong with one configuration; never empty. `Display` is for a terminal, in the manner of rustc.
#[derive(Clone, Debug)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
}

impl Problems {
    /// The mistakes, in the order of the file, then of the variables.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// `variable` knows the variable that a place beyond the end of the text belongs to.
    pub(super) fn new(
        file: &str,
        text: &str,
        hidden: &[Range<usize>],
        variable: &dyn Fn(&Range<usize>) -> Option<String>,
        faults: Vec<Fault>,
    ) -> Self {
        let problem = |Fault { key, message, remedy, span }| {
            let variable = span.as_ref().and_then(variable).map(|name| printable(&name));
            let (place, excerpt) = match span.filter(|_| variable.is_none()) {
                Some(span) => {
                    let line = Line::around(text, span.start);
                    (Some(line.place(span.start)), Some(line.excerpt(&span, hidden)))
                }
                None => (None, None),
            };
            Problem { key, message, remedy, place, variable, excerpt }
        };
        Self { file: file.to_owned(), list: faults.into_iter().map(problem).collect() }
    }

    /// The file is no TOML. Nothing is known about its keys, so only a line that is certainly harmless is shown.
    pub(super) fn syntax(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let (mut place, mut excerpt) = (None, None);
        let mut remedy = "mend this first: the rest of the file was not looked at";
        if let Some(span) = error.span() {
            let line = Line::around(text, span.start);
            let shown = harmless(line.text);
            place = Some(line.place(span.start));
            if lacks_quotes(line.text) {
                remedy = "a string goes in quotes; the rest of the file was not looked at";
            }
            let carets = if shown == line.text { line.columns(&span) } else { 0..shown.chars().count() };
            excerpt = Some(Excerpt { line: printable(&shown), carets });
        }
        Self::one(
            file,
            Problem {
                key: String::new(),
                message: format!("this is not TOML: {}", printable(error.message())),
                remedy: remedy.to_owned(),
                place,
                variable: None,
                excerpt,
            },
        )
    }

    /// The file cannot be read.
    pub(super) fn unreadable(file: &str, why: &str) -> Self {
        let message = format!("the configuration cannot be read: {why}");
        Self::nowhere(file, message, "name the right file with `--config`, and let this user read it")
    }

    /// There is neither the default file nor a variable that is a key.
    pub(super) fn nothing(file: &str) -> Self {
        let message = format!("there is no configuration: no file {file} here, and no variable {PREFIX}…");
        let remedy = "name a file with `--config`; config/keycard.example.toml is one to begin with";
        Self::nowhere(file, message, remedy)
    }

    fn nowhere(file: &str, message: String, remedy: &str) -> Self {
        let (key, remedy) = (String::new(), remedy.to_owned());
        Self::one(file, Problem { key, message, remedy, place: None, variable: None, excerpt: None })
    }

    fn one(file: &str, problem: Problem) -> Self {
        Self { file: file.to_owned(), list: vec![problem] }
    }
}

impl std::error::Error for Problems {}

/// One line of the file.
struct Line<'t> {
    number: usize,
    start: usize,
    text: &'t str,
}

impl<'t> Line<'t> {
    fn around(text: &'t str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        Self { number: before.matches('\n').count() + 1, start, text: line }
    }

    fn place(&self, at: usize) -> Place {
        Place { line: self.number, column: self.column(at) + 1 }
    }

    /// Characters before the byte `at`; no more than the line has.
    fn column(&self, at: usize) -> usize {
        let bytes = at.saturating_sub(self.start).min(self.text.len());
        self.text.get(..bytes).unwrap_or(self.text).chars().count()
    }

    fn columns(&self, span: &Range<usize>) -> Range<usize> {
        self.column(span.start)..self.column(span.end)
    }

    fn excerpt(&self, span: &Range<usize>, hidden: &[Range<usize>]) -> Excerpt {
        let end = self.start + self.text.len();
        let (mut shown, mut from) = (String::new(), self.start);
        // Where the carets begin and end, once for each part of the line that was copied or hidden.
        let (mut first, mut last) = (None, 0);
        let mut part = |shown: &mut String, range: Range<usize>, text: &str, whole: bool| {
            let (begin, before) = (span.start.max(range.start), shown.chars().count());
            if begin < range.end.min(span.end.max(span.start + 1)) {
                let inner = |at: usize| if whole { 0 } else { self.column(at) - self.column(range.start) };
                let until =
                    if whole { text.chars().count() } else { inner(span.end.clamp(range.start, range.end)) };
                first.get_or_insert(before + inner(begin));
                last = before + until;
            }
            shown.push_str(text);
        };
        for mask in hidden.iter().filter(|mask| mask.start < end && mask.end > self.start) {
            let mask = mask.start.max(from)..mask.end.min(end).max(from);
            let clear = self.text.get(from - self.start..mask.start - self.start).unwrap_or_default();
            part(&mut shown, from..mask.start, clear, false);
            from = mask.end;
            part(&mut shown, mask, HIDDEN, true);
        }
        let rest = self.text.get(from - self.start..).unwrap_or_default();
        // A comment beside a secret is as likely as not about the secret.
        let rest = if from > self.start { rest.split('#').next().unwrap_or_default() } else { rest };
        part(&mut shown, from..end, rest, false);
        let start = first.unwrap_or_else(|| shown.chars().count());
        Excerpt { line: printable(shown.trim_end()), carets: start..last.max(start) }
    }
}

/// Whether the line sets a key that wants a string, and the value does not begin as one.
fn lacks_quotes(line: &str) -> bool {
    let Some((key, value)) = line.split_once('=') else { return false };
    let wants_text =
        |key: &Key| key.kind.any(&|kind| matches!(kind, Kind::Text | Kind::Duration | Kind::Choice(_)));
    let bare =
        value.trim_start().starts_with(|c: char| c.is_alphanumeric() || c == '/' || c == '.' || c == ':');
    bare && KEYS.iter().flat_map(|(_, keys)| *keys).any(|one| one.name == key.trim() && wants_text(one))
}

/// The text with every control character replaced, one for one.
fn printable(text: &str) -> String {
    let safe = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(safe).collect()
}
