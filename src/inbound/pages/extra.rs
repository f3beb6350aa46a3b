//! What a few pages hold beside their words: a step with a script, a form to send again, a list of sessions, or one way
//! more.
//!
//! I own: [`Extra`], the one script, and what must be in a page that holds either. I may call: `words`, `language`. I
//! never let another script run than the one in this folder: the policy of the page names its hash.

use crate::domain::keep;
use crate::domain::time::Timestamp;
use crate::inbound::language::Language;
use crate::inbound::moment::rfc3339;
use crate::inbound::pages::Link;
use crate::inbound::words;
use crate::keyring::sha256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Value, context};

const SCRIPT: &str = include_str!("keep.js");

/// The most names of fields that are shown, and the most characters of each.
const MOST_NAMES: usize = 12;
const LONGEST_NAME: usize = 40;

/// What a page holds beside its words.
pub enum Extra<'p> {
    /// A script leads on.
    Step(Step<'p>),
    /// A form waits to be sent again, by a button.
    Form(Form<'p>),
    /// A person's sessions, each with a button.
    Sessions {
        /// The sessions.
        rows: &'p [Row],
        /// Whether there are others.
        more: bool,
    },
    /// One way more, below the others.
    Also(Link<'p>),
}

/// One session of a list.
pub struct Row {
    /// Where its button posts to.
    pub action: String,
    /// The browser; empty where it says nothing of itself.
    pub browser: String,
    /// Whether it is the one that looks at the list.
    pub current: bool,
    /// When it began.
    pub started: Timestamp,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// Where it came from.
    pub address: String,
    /// The provider.
    pub provider: String,
}

/// What the script does; each has its arm in `keep.js`.
pub enum Step<'p> {
    /// To the sign-in at this address, with the fragment in its `return_to`.
    Fragment(&'p str),
    /// To this page, with the fragment.
    Land(&'p str),
    /// Keeps a sealed form under this name, then goes to the sign-in.
    Put {
        /// The name.
        id: &'p str,
        /// The form.
        sealed: &'p str,
        /// The sign-in.
        to: &'p str,
    },
    /// Posts the form of this name, with its pass, and forgets it.
    Take {
        /// The name.
        id: &'p str,
        /// The pass.
        pass: &'p str,
        /// Where to.
        to: &'p str,
    },
}

/// A form to send again.
pub struct Form<'p> {
    /// Where it goes: path and query.
    pub action: &'p str,
    /// What of it is shown: the path.
    pub path: &'p str,
    /// Its body.
    pub body: &'p str,
}

impl Extra<'_> {
    /// What a page that shows this allows beyond the policy of all pages. Such a page posts to ourselves only. The page
    /// with a form has no `form-action`: browsers apply it to redirects, and the app may answer with one to anywhere.
    pub fn policy(&self) -> Option<String> {
        match self {
            Self::Step(_) => {
                let hash = STANDARD.encode(sha256(SCRIPT.as_bytes()));
                Some(format!("; script-src 'sha256-{hash}'; form-action 'self'"))
            }
            Self::Form(_) | Self::Sessions { .. } | Self::Also(_) => None,
        }
    }

    /// Whether a template has put it into its page: those that were written before there was any, or for another kind
    /// of page, leave it out.
    pub fn is_in(&self, html: &str) -> bool {
        match self {
            Self::Step(_) => html.contains(SCRIPT) && html.contains("id=\"keep\""),
            Self::Form(form) => {
                let fields = keep::fields(form.body).len();
                html.matches("type=\"hidden\"").count() >= fields && html.contains("method=\"post\"")
            }
            Self::Sessions { rows, .. } => {
                html.matches("method=\"post\"").count() >= rows.len()
                    // What stands behind the last slash: slashes are escaped.
                    && rows.iter().all(|row| row.action.rsplit('/').next().is_some_and(|end| html.contains(end)))
            }
            // A page does without it.
            Self::Also(_) => true,
        }
    }

    /// What templates get as `extra`.
    pub fn to_context(&self, language: Language) -> Value {
        match self {
            Self::Step(step) => {
                let (name, id, to, sealed, pass) = match step {
                    Step::Fragment(to) => ("fragment", "", *to, "", ""),
                    Step::Land(to) => ("land", "", *to, "", ""),
                    Step::Put { id, sealed, to } => ("put", *id, *to, *sealed, ""),
                    Step::Take { id, pass, to } => ("take", *id, *to, "", *pass),
                };
                context! { step => context! { name, id, to, sealed, pass }, script => SCRIPT }
            }
            Self::Form(form) => {
                let fields = keep::fields(form.body);
                let named = |label: &'static words::Label, value: String| {
                    context! { label => *label.spoken(language), value => value }
                };
                context! { form => context! {
                    action => form.action,
                    to => named(words::FORM_GOES_TO, form.path.to_owned()),
                    names => named(words::FORM_FIELDS, names(&fields)),
                    send => *words::SEND_FORM.spoken(language),
                    fields => fields,
                } }
            }
            Self::Sessions { rows, more } => {
                let rows: Vec<Value> = rows.iter().map(|row| row.to_context(language)).collect();
                context! { sessions => rows, more => more.then(|| *words::MORE_SESSIONS.spoken(language)) }
            }
            Self::Also(link) => {
                context! { also => context! { href => link.href, label => *link.label.spoken(language) } }
            }
        }
    }
}

impl Row {
    fn to_context(&self, language: Language) -> Value {
        let said = |label: &'static words::Label| *label.spoken(language);
        let fact = |label, value: &str| context! { label => said(label), value => value };
        let time = |label, moment: Timestamp| {
            let exact = rfc3339(moment);
            context! { label => said(label), value => to_the_minute(&exact), exact => exact }
        };
        let browser = if self.browser.is_empty() { said(words::UNKNOWN_BROWSER) } else { &self.browser };
        context! {
            action => self.action.as_str(),
            browser => browser,
            current => self.current.then(|| said(words::THIS_BROWSER)),
            end => said(words::SIGN_OUT),
            facts => [
                time(words::SIGNED_IN_AT, self.started),
                time(words::LAST_USED, self.last_seen),
                fact(words::FROM_ADDRESS, &self.address),
                fact(words::SIGNED_IN_BY, &self.provider),
            ],
        }
    }

    /// For trying templates.
    pub fn example(current: bool) -> Self {
        let moment = Timestamp::from_unix_seconds(0);
        Self {
            action: "/".into(),
            browser: String::new(),
            current,
            started: moment,
            last_seen: moment,
            address: "192.0.2.1".into(),
            provider: "corp".into(),
        }
    }
}

/// `2026-01-01T00:00:00Z` as people write it, in any language.
fn to_the_minute(exact: &str) -> String {
    let minute = exact.get(..16).unwrap_or(exact).replacen('T', " ", 1);
    format!("{minute} UTC")
}

/// The names of fields, each once; never a value.
fn names(fields: &[(String, String)]) -> String {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in fields {
        let mut short: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        if name.chars().count() > LONGEST_NAME {
            short.push('…');
        }
        if !names.contains(&short) {
            names.push(short);
        }
        if names.len() > MOST_NAMES {
            names.pop();
            names.push("…".to_owned());
            break;
        }
    }
    if names.is_empty() { "–".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_few_short_and_without_values() {
        let field = |name: &str| (name.to_owned(), "v4lue".to_owned());
        assert_eq!(names(&[field("a"), field("b"), field("a")]), "a, b");
        assert_eq!(names(&[]), "–");
        assert_eq!(names(&[field(&"n".repeat(100))]).chars().count(), LONGEST_NAME + 1);
        let many: Vec<_> = (0..100).map(|at| field(&at.to_string())).collect();
        assert!(names(&many).ends_with("11, …"), "{}", names(&many));
        assert!(!names(&many).contains("v4lue"));
    }
}
