//! A walk over the file that remembers every mistake.
//!
//! I own: [`Reader`], [`Section`], [`Entry`]; keys are taken by name and by type, each mistake is kept with its place,
//! and what nobody took is unknown. I may call: `toml` (the tree with spans), `keys`, `amount`. I never judge what a
//! value means, and I never put a value into a message: the file shows it, unless it is hidden.

use crate::config::amount::parse_duration;
use crate::config::environment::Environment;
use crate::config::keys::{home_of, keys_of, nearest};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Says that a mistake was recorded: the only way to fail in this room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported(());

/// One mistake, with its place as bytes of the file.
pub(super) struct Fault {
    pub(super) key: String,
    pub(super) message: String,
    pub(super) remedy: String,
    pub(super) span: Option<Range<usize>>,
}

/// One reading of one file: the environment to look into, and the mistakes so far.
pub(super) struct Reader<'r> {
    environment: &'r dyn Environment,
    faults: RefCell<Vec<Fault>>,
}

impl<'r> Reader<'r> {
    /// Begins with the mistakes that were found before.
    pub(super) fn new(environment: &'r dyn Environment, faults: Vec<Fault>) -> Self {
        Self { environment, faults: RefCell::new(faults) }
    }

    /// The mistakes, in the order of the file, then of the variables; those without a place come last.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| fault.span.as_ref().map_or(usize::MAX, |span| span.start));
        faults
    }

    fn report(&self, fault: Fault) -> Reported {
        self.faults.borrow_mut().push(fault);
        Reported(())
    }
}

/// A table whose keys are known: a section, or an inline table.
pub(super) struct Section<'r> {
    reader: &'r Reader<'r>,
    /// The row of `KEYS`.
    kind: &'static str,
    path: String,
    header: Option<Range<usize>>,
    table: Option<&'r DeTable<'r>>,
    /// Something else stands where the section should be; that was said, and its keys are not missed.
    broken: Option<Reported>,
    taken: Vec<&'static str>,
}

impl<'r> Section<'r> {
    /// The file itself.
    pub(super) fn root(reader: &'r Reader<'r>, table: &'r DeTable<'r>) -> Self {
        let (path, taken) = (String::new(), Vec::new());
        Self { reader, kind: "", path, header: None, table: Some(table), broken: None, taken }
    }

    fn of(entry: Entry<'r>, kind: &'static str) -> Self {
        let (reader, header, taken) = (entry.reader, Some(entry.span.clone()), Vec::new());
        match entry.value {
            DeValue::Table(table) => {
                Self { reader, kind, path: entry.path, header, table: Some(table), broken: None, taken }
            }
            _ => {
                let remedy = format!("write `[{}]` on a line of its own, and its keys below", entry.path);
                let broken =
                    Some(entry.wrong(format_args!("must be a section, not {}", entry.kind()), remedy));
                Self { reader, kind, path: entry.path, header, table: None, broken, taken }
            }
        }
    }

    /// The section with this name; an absent one has no keys.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'r> {
        match self.take(key) {
            Some(entry) => Section::of(entry, key),
            None => Section {
                reader: self.reader,
                kind: key,
                path: self.path_of(key),
                header: None,
                table: None,
                broken: None,
                taken: Vec::new(),
            },
        }
    }

    /// The sections `[[key]]`, of which there must be at least one.
    pub(super) fn sections(&mut self, key: &'static str, remedy: &str) -> Result<Vec<Section<'r>>, Reported> {
        let Some(entry) = self.take(key) else {
            return Err(self.reader.report(Fault {
                key: key.to_owned(),
                message: format!("there is no `[[{key}]]`"),
                remedy: remedy.to_owned(),
                span: None,
            }));
        };
        match entry.value {
            DeValue::Array(items) if !items.is_empty() => {
                Ok(entry.items(items).into_iter().map(|item| Section::of(item, key)).collect())
            }
            DeValue::Array(_) => Err(entry.wrong("is empty", remedy)),
            _ => {
                let reported = entry.wrong("must be a list of sections", format!("write `[[{key}]]`"));
                // What is in it is looked at all the same.
                if entry.value.is_table() { Ok(vec![Section::of(entry, key)]) } else { Err(reported) }
            }
        }
    }

    /// The entry with this key, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Entry<'r>> {
        debug_assert!(
            keys_of(self.kind).any(|known| known == key),
            "`{key}` is not among the keys of `{}`",
            self.kind
        );
        self.taken.push(key);
        let value = self.table?.get(key)?;
        Some(Entry::new(self.reader, self.path_of(key), value))
    }

    /// A key that may be left out.
    pub(super) fn may<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Entry<'r>) -> Result<T, Reported>,
    ) -> Result<Option<T>, Reported> {
        self.take(key).map(|entry| read(&entry)).transpose()
    }

    /// A key with a default.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Entry<'r>) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        Ok(self.may(key, read)?.unwrap_or(default))
    }

    /// A key that must be there; `remedy` says what to write.
    pub(super) fn must<T>(
        &mut self,
        key: &'static str,
        remedy: &str,
        read: impl FnOnce(&Entry<'r>) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        match (self.take(key), self.broken) {
            (Some(entry), _) => read(&entry),
            (None, Some(reported)) => Err(reported),
            // Told once, at the key that is misspelt: `finish` does.
            (None, None) if self.is_misspelt(key) => Err(Reported(())),
            (None, None) => Err(self.wrong(key, "is missing", remedy)),
        }
    }

    /// Records a mistake about a key; at its place if it is there, else at the section's.
    pub(super) fn wrong(&self, key: &'static str, what: impl Display, remedy: impl Into<String>) -> Reported {
        let own = self.table.and_then(|table| table.get(key)).map(|value| value.span());
        let (path, span) = (self.path_of(key), own.or_else(|| self.header.clone()));
        let message = format!("`{path}` {what}");
        self.reader.report(Fault { key: path, message, remedy: remedy.into(), span })
    }

    /// Every key was taken: what is left is unknown.
    pub(super) fn finish(&self) {
        let known = keys_of(self.kind);
        debug_assert!(known.clone().all(|key| self.taken.contains(&key)), "keys of `{}` not read", self.kind);
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if !known.clone().any(|key| key == name) {
                self.reader.report(Fault {
                    key: self.path_of(name),
                    message: format!("unknown key `{}`", name.escape_debug()),
                    remedy: self.meant(name),
                    span: Some(key.span()),
                });
            }
        }
    }

    fn is_misspelt(&self, key: &str) -> bool {
        let known = keys_of(self.kind);
        let given = self.table.into_iter().flatten().map(|(name, _)| name.get_ref());
        given
            .filter(|name| !known.clone().any(|one| one == name.as_ref()))
            .any(|name| nearest(name, known.clone()) == Some(key))
    }

    fn meant(&self, unknown: &str) -> String {
        let known = keys_of(self.kind);
        if let Some(near) = nearest(unknown, known.clone()) {
            return format!("did you mean `{near}`?");
        }
        match home_of(unknown) {
            Some(home) => format!("it belongs into `{home}`"),
            None => format!("the keys here are {}", listed(known)),
        }
    }

    fn path_of(&self, key: &str) -> String {
        let key = key.escape_debug();
        if self.path.is_empty() { key.to_string() } else { format!("{}.{key}", self.path) }
    }
}

/// A value with its key and its place.
pub(super) struct Entry<'r> {
    reader: &'r Reader<'r>,
    path: String,
    span: Range<usize>,
    value: &'r DeValue<'r>,
}

impl<'r> Entry<'r> {
    fn new(reader: &'r Reader<'r>, path: String, value: &'r Spanned<DeValue<'r>>) -> Self {
        Self { reader, path, span: value.span(), value: value.get_ref() }
    }

    /// Records a mistake about this value; `what` goes on after the key.
    pub(super) fn wrong(&self, what: impl Display, remedy: impl Into<String>) -> Reported {
        self.reader.report(Fault {
            key: self.path.clone(),
            message: format!("`{}` {what}", self.path),
            remedy: remedy.into(),
            span: Some(self.span.clone()),
        })
    }

    /// The same about some bytes of a text, where its place can be told: a text without escapes stands in the file as
    /// it is, behind one quote, or three and perhaps a line break.
    pub(super) fn wrong_within(
        &self,
        part: Range<usize>,
        what: impl Display,
        remedy: impl Into<String>,
    ) -> Reported {
        let quotes = match self.value {
            DeValue::String(Cow::Borrowed(text)) => self.span.len().checked_sub(text.len()),
            _ => None,
        };
        let before = match quotes {
            Some(2) => Some(1),
            Some(6) => Some(3),
            Some(7) => Some(4),
            _ => None,
        };
        let span = before.map_or(self.span.clone(), |before| {
            let start = self.span.start + before;
            start + part.start..start + part.end
        });
        Entry { span, ..self.same() }.wrong(what, remedy)
    }

    /// Where variables and files are looked up.
    pub(super) fn environment(&self) -> &'r dyn Environment {
        self.reader.environment
    }

    /// A string that says something.
    pub(super) fn text(&self) -> Result<&'r str, Reported> {
        match self.value {
            DeValue::String(text) if text.trim().is_empty() => {
                Err(self.wrong("is empty", "give it a value, or leave the key out"))
            }
            DeValue::String(text) => Ok(text),
            _ => Err(self.wrong(format_args!("must be a string, not {}", self.kind()), "write it in quotes")),
        }
    }

    /// A string, whatever it says; `None` for anything else.
    pub(super) fn raw_text(&self) -> Option<&'r str> {
        self.value.as_str()
    }

    /// A string that `parse` understands.
    pub(super) fn parsed<T>(
        &self,
        parse: impl FnOnce(&str) -> Option<T>,
        what: &str,
        remedy: &str,
    ) -> Result<T, Reported> {
        parse(self.text()?).ok_or_else(|| self.wrong(what, remedy))
    }

    /// One of a few words.
    pub(super) fn choice<T: Clone>(&self, words: &[(&str, T)]) -> Result<T, Reported> {
        let given = self.text()?;
        let all = || words.iter().map(|(word, _)| *word);
        match words.iter().find(|(word, _)| *word == given) {
            Some((_, meaning)) => Ok(meaning.clone()),
            None => Err(self.wrong(
                format_args!("must be one of {}", listed(all())),
                nearest(given, all()).map_or_else(
                    || "choose one of these".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                ),
            )),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool, Reported> {
        self.value.as_bool().ok_or_else(|| {
            self.wrong(format_args!("must be true or false, not {}", self.kind()), "write it without quotes")
        })
    }

    /// A whole number that is not negative, if that is what this is.
    pub(super) fn number(&self) -> Option<u64> {
        let integer = self.value.as_integer()?;
        u64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// A span of time, with its unit.
    pub(super) fn duration(&self) -> Result<Duration, Reported> {
        if let DeValue::Integer(number) = self.value {
            let remedy = format!("write the unit: \"{}s\" if these are seconds", number.as_str());
            return Err(self.wrong("must be a string with a unit, not an integer", remedy));
        }
        self.parsed(
            parse_duration,
            "is not a span of time of at most ten years",
            "write it like \"500ms\", \"30s\", \"5m\", \"1h30m\" or \"7d\"",
        )
    }

    /// A span of time that is not zero.
    pub(super) fn time_limit(&self) -> Result<Duration, Reported> {
        match self.duration()? {
            Duration::ZERO => {
                Err(self.wrong("must be longer than zero", "leave the key out for the default"))
            }
            span => Ok(span),
        }
    }

    /// The items of a list, each read by `read`; every mistake in them is recorded.
    pub(super) fn each<T>(
        &self,
        read: impl Fn(&Entry<'r>) -> Result<T, Reported>,
    ) -> Result<Vec<T>, Reported> {
        match self.value {
            DeValue::Array(items) => all_of(self.items(items).iter().map(read)),
            _ => Err(self.wrong(
                format_args!("must be a list, not {}", self.kind()),
                "write it in brackets, items separated by commas",
            )),
        }
    }

    /// The same, for a list or a single value; never empty.
    pub(super) fn one_or_more<T>(
        &self,
        read: impl Fn(&Entry<'r>) -> Result<T, Reported>,
    ) -> Result<Vec<T>, Reported> {
        match self.value {
            DeValue::Array(items) if items.is_empty() => Err(self.wrong("is empty", "name at least one")),
            DeValue::Array(_) => self.each(read),
            _ => Ok(vec![read(self)?]),
        }
    }

    /// The members of a table whose keys are free; `None` for anything else.
    pub(super) fn members(&self) -> Option<Vec<(&'r str, Entry<'r>)>> {
        let table = self.value.as_table()?;
        let member = |(key, value): (&'r Spanned<_>, &'r Spanned<DeValue<'r>>)| {
            let name: &'r std::borrow::Cow<'r, str> = key.get_ref();
            let path = format!("{}.{}", self.path, name.escape_debug());
            (name.as_ref(), Entry { span: key.span(), ..Entry::new(self.reader, path, value) })
        };
        Some(table.iter().map(member).collect())
    }

    /// This value as a table with the keys of `kind`; `None` for anything else.
    pub(super) fn table(&self, kind: &'static str) -> Option<Section<'r>> {
        self.value.is_table().then(|| Section::of(self.same(), kind))
    }

    /// What this is, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    fn items(&self, items: &'r [Spanned<DeValue<'r>>]) -> Vec<Entry<'r>> {
        let item = |(at, value)| Entry::new(self.reader, format!("{}[{at}]", self.path), value);
        items.iter().enumerate().map(item).collect()
    }

    fn same(&self) -> Self {
        Self { reader: self.reader, path: self.path.clone(), span: self.span.clone(), value: self.value }
    }
}

/// All values, or [`Reported`] once all were tried.
pub(super) fn all_of<T>(results: impl Iterator<Item = Result<T, Reported>>) -> Result<Vec<T>, Reported> {
    // First to the end, then judge: `collect` alone would stop at the first mistake.
    let results: Vec<_> = results.collect();
    results.into_iter().collect()
}

fn listed<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
