//! The environment laid over the file: `KEYCARD__SESSION__IDLE_TIMEOUT=30m` is `idle_timeout` of `[session]`.
//!
//! I own: how variables name keys, and what their text means. I may call: `environment` (its variables), `keys`,
//! `cursor` (the form of a mistake), `toml`. I never judge a value: it goes into the tree of the file, and the readers
//! of the sections judge both alike. I never put the text of a variable into a message.
//!
//! A name is `KEYCARD__`, then the path of the key in capitals, joined by two underscores. Items of a list, sections
//! among them, are counted from 0: an index names an item that is there, or the next one. A text is taken as TOML where
//! it is a list, a table, a number or a boolean and the key may be one; else it is the string itself, without quotes.
//! The environment wins over the file, and the longer name over the shorter.

use crate::config::cursor::Fault;
use crate::config::environment::{Environment, Variable};
use crate::config::keys::{Key, Kind, nearest, table};
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// What the names of all variables begin with that are keys.
pub(super) const PREFIX: &str = "KEYCARD__";

/// The variables that are keys, the shorter names before the longer, indexes in the order of their numbers.
pub(super) fn variables(environment: &dyn Environment) -> Vec<Variable> {
    let mut variables = environment.variables(PREFIX);
    let order = |name: &str| -> Vec<(usize, String)> {
        let digits = |part: &str| if is_index(part) { part.len() } else { 0 };
        name.split("__").map(|part| (digits(part), part.to_owned())).collect()
    };
    variables.sort_by_cached_key(|variable| order(&variable.name));
    variables
}

/// Which variable a place belongs to: beyond the end of the file, each variable has one byte.
pub(super) fn variable_at<'v>(
    variables: &'v [Variable],
    text: &str,
    span: &Range<usize>,
) -> Option<&'v Variable> {
    variables.get(span.start.checked_sub(text.len() + 1)?)
}

/// Puts every variable into the tree; what cannot be put there is a mistake.
pub(super) fn lay_over<'v>(tree: &mut DeTable<'v>, text: &str, variables: &'v [Variable]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, variable) in variables.iter().enumerate() {
        let start = text.len() + 1 + at;
        let layer = Layer { span: start..start + 1, end_of_file: text.len() };
        if let Err(Mistake { message, remedy }) = layer.apply(tree, variable) {
            let key = variable.name.clone();
            faults.push(Fault { key, message, remedy, span: Some(layer.span) });
        }
    }
    faults
}

/// Why a variable is no key; both texts follow its name.
struct Mistake {
    message: String,
    remedy: String,
}

fn mistake<T>(message: impl Into<String>, remedy: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { message: message.into(), remedy: remedy.into() })
}

/// One step from a value to a value in it.
enum Step {
    /// Into a table. An inline one of the file is replaced as a whole: half a secret from each side is none.
    Key { name: &'static str, inline: bool },
    /// Into a list; `alone` where a single item may stand without its brackets.
    Index { number: usize, alone: bool },
}

/// One variable's place in the tree.
struct Layer {
    span: Range<usize>,
    end_of_file: usize,
}

impl Layer {
    fn apply<'v>(&self, tree: &mut DeTable<'v>, variable: &'v Variable) -> Result<(), Mistake> {
        let name = &variable.name;
        let (steps, kind) = resolve(name)?;
        let Some(text) = &variable.value else {
            return mistake(format!("`{name}` is not Unicode text"), "write it in UTF-8");
        };
        let value = self.value(name, kind, text)?;
        match steps.split_first() {
            Some((Step::Key { name: section, .. }, rest)) => {
                self.put_into(tree, section, rest, value).map_err(|why| why.about(name))
            }
            _ => Ok(()),
        }
    }

    /// What the text means to a key of this kind.
    fn value<'v>(&self, name: &str, kind: &Kind, text: &'v str) -> Result<DeValue<'v>, Mistake> {
        if let Ok(parsed) = DeValue::parse(text.trim()) {
            let value = parsed.into_inner();
            if kind.any(&|kind| takes(kind, &value)) {
                return Ok(self.moved(value));
            }
        }
        let wanted = |what: &str, remedy: &str| mistake(format!("`{name}` must be {what}"), remedy);
        match kind {
            Kind::Boolean => wanted("true or false", "write `true` or `false`"),
            Kind::Number { least, most } => {
                wanted(&format!("an integer from {least} to {most}"), "write digits, without quotes")
            }
            Kind::List(_) => wanted(
                "a list in TOML",
                &format!("write it like [\"one\", \"two\"], or each item as {name}__0, {name}__1"),
            ),
            Kind::Free(_) => wanted("a table in TOML", "write it like { name = \"value\" }"),
            Kind::Table(_) => wanted("a table in TOML", &format!("or name a key in it: {name}__…")),
            Kind::Tables(_) => {
                wanted("a list of tables", &format!("or name a key of one of them: {name}__0__…"))
            }
            _ => Ok(DeValue::String(Cow::Borrowed(text))),
        }
    }

    /// A value of the variable, with every place in it leading to the variable.
    fn moved<'v>(&self, value: DeValue<'v>) -> DeValue<'v> {
        let here = |value: Spanned<DeValue<'v>>| self.spanned(self.moved(value.into_inner()));
        match value {
            DeValue::Array(items) => DeValue::Array(items.into_iter().map(here).collect()),
            DeValue::Table(table) => {
                let members = table.into_iter();
                let members = members.map(|(key, value)| (self.spanned(key.into_inner()), here(value)));
                DeValue::Table(members.collect())
            }
            other => other,
        }
    }

    fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(self.span.clone(), value)
    }

    fn put_into<'v>(
        &self,
        table: &mut DeTable<'v>,
        name: &'static str,
        rest: &[Step],
        value: DeValue<'v>,
    ) -> Result<(), Clash> {
        if let Some(slot) = table.get_mut(name) {
            return self.put(slot, rest, value);
        }
        let mut fresh = self.vacant(rest);
        self.put(&mut fresh, rest, value)?;
        table.insert(self.spanned(Cow::Borrowed(name)), fresh);
        Ok(())
    }

    fn put<'v>(
        &self,
        slot: &mut Spanned<DeValue<'v>>,
        steps: &[Step],
        value: DeValue<'v>,
    ) -> Result<(), Clash> {
        let Some((step, rest)) = steps.split_first() else {
            *slot = self.spanned(value);
            return Ok(());
        };
        let from_file = slot.span().start <= self.end_of_file;
        match step {
            Step::Key { name, inline } => {
                if from_file && *inline {
                    *slot = self.vacant(steps);
                }
                match slot.get_mut() {
                    DeValue::Table(table) => self.put_into(table, name, rest, value),
                    // The reader of the file says what is wrong there.
                    _ if from_file => Ok(()),
                    _ => Err(Clash::Shorter),
                }
            }
            Step::Index { number, alone } => {
                if from_file && *alone && !slot.get_ref().is_array() {
                    let single = std::mem::replace(slot, self.vacant(steps));
                    if let DeValue::Array(items) = slot.get_mut() {
                        items.push(single);
                    }
                }
                match slot.get_mut() {
                    DeValue::Array(items) => self.put_at(items, *number, rest, value),
                    _ if from_file => Ok(()),
                    _ => Err(Clash::Shorter),
                }
            }
        }
    }

    fn put_at<'v>(
        &self,
        items: &mut DeArray<'v>,
        number: usize,
        rest: &[Step],
        value: DeValue<'v>,
    ) -> Result<(), Clash> {
        let length = items.len();
        if let Some(slot) = items.get_mut(number) {
            return self.put(slot, rest, value);
        }
        if number > length {
            return Err(Clash::Gap { next: length });
        }
        let mut fresh = self.vacant(rest);
        self.put(&mut fresh, rest, value)?;
        items.push(fresh);
        Ok(())
    }

    /// Something to walk on in.
    fn vacant<'v>(&self, steps: &[Step]) -> Spanned<DeValue<'v>> {
        self.spanned(match steps.first() {
            Some(Step::Index { .. }) => DeValue::Array(DeArray::new()),
            _ => DeValue::Table(DeTable::new()),
        })
    }
}

/// Why a value has no place.
enum Clash {
    /// A shorter variable has put something there already.
    Shorter,
    /// The items before it are missing.
    Gap { next: usize },
}

impl Clash {
    fn about(self, name: &str) -> Mistake {
        match self {
            Self::Shorter => Mistake {
                message: format!("`{name}` goes into a value that a variable with a shorter name sets"),
                remedy: "keep one of the two".to_owned(),
            },
            Self::Gap { next } => Mistake {
                message: format!("`{name}` leaves a gap in a list"),
                remedy: format!("items are counted from 0; the next one here is {next}"),
            },
        }
    }
}

/// Whether TOML of this type is meant as TOML by a key of this kind, and not as a string that looks like it.
fn takes(kind: &Kind, value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Array(_) => kind.item().is_some(),
        DeValue::Table(_) => matches!(kind, Kind::Free(_) | Kind::Table(_)),
        DeValue::Integer(_) => matches!(kind, Kind::Number { .. } | Kind::Size),
        DeValue::Boolean(_) => matches!(kind, Kind::Boolean),
        DeValue::String(_) | DeValue::Float(_) | DeValue::Datetime(_) => false,
    }
}

/// The way to the key that a variable names, and what may stand there.
fn resolve(name: &str) -> Result<(Vec<Step>, &'static Kind), Mistake> {
    let mut kind: &'static Kind = &Kind::Table("");
    let mut steps = Vec::new();
    for part in name.strip_prefix(PREFIX).unwrap_or_default().split("__") {
        kind = match (kind.item(), kind.table()) {
            (Some(item), _) if is_index(part) => {
                // No list is that long, so such an index leaves a gap.
                let number = part.parse().unwrap_or(usize::MAX);
                steps.push(Step::Index { number, alone: matches!(kind, Kind::OneOrMore(_)) });
                item
            }
            (_, Some(table)) => {
                let Some(key) = key_called(table, part) else { return unknown(name) };
                steps.push(Step::Key { name: key.name, inline: !matches!(kind, Kind::Table(_)) });
                &key.kind
            }
            _ => return unknown(name),
        };
    }
    Ok((steps, kind))
}

fn key_called(name: &str, part: &str) -> Option<&'static Key> {
    table(name).iter().find(|key| key.name.to_ascii_uppercase() == part)
}

fn is_index(part: &str) -> bool {
    let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits && (part == "0" || !part.starts_with('0'))
}

fn unknown<T>(name: &str) -> Result<T, Mistake> {
    let remedy = match nearest_variable(name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "write the path of a key in capitals, joined by two underscores: {PREFIX}SESSION__IDLE_TIMEOUT, \
             {PREFIX}PROVIDER__0__CLIENT_SECRET"
        ),
    };
    mistake(format!("the variable `{}` names no key", name.escape_debug()), remedy)
}

/// The variable that was probably meant: the nearest of all, however its underscores were set; or the one that ends in
/// the same key.
fn nearest_variable(name: &str) -> Option<String> {
    let number = name.split("__").find(|part| is_index(part)).unwrap_or("0");
    let all: Vec<String> = every_variable(number).collect();
    let bare = |name: &str| name.replace("__", "_").to_lowercase();
    let words: Vec<String> = all.iter().map(|name| bare(name)).collect();
    let near = nearest(&bare(name), words.iter().map(String::as_str));
    let last = name.rsplit("__").next().unwrap_or_default();
    let at = match near {
        Some(near) => words.iter().position(|word| word == near),
        None => all.iter().position(|one| one.rsplit("__").next() == Some(last)),
    };
    all.into_iter().nth(at?)
}

/// The names of all variables; lists have one item, of this number.
fn every_variable(number: &str) -> impl Iterator<Item = String> {
    table("").iter().flat_map(move |section| {
        let (kind, index) = match section.kind.item() {
            Some(item) => (item, format!("{number}__")),
            None => (&section.kind, String::new()),
        };
        let start = format!("{PREFIX}{}__{index}", section.name.to_ascii_uppercase());
        kind.table().map(table).unwrap_or_default().iter().flat_map(move |key| {
            let name = format!("{start}{}", key.name.to_ascii_uppercase());
            let inner = key.kind.table().map(table).unwrap_or_default().iter();
            let inner: Vec<String> =
                inner.map(|inner| format!("{name}__{}", inner.name.to_ascii_uppercase())).collect();
            std::iter::once(name).chain(inner)
        })
    })
}
