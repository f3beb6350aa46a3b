//! Rules of access: what a route asks of a request and of its sender, beyond somebody being signed in.
//!
//! I own: [`Rule`], a tree that is judged from values alone, [`Conditions`], and [`Denial`], which names the kind of
//! what was missing. I may call: `claim`, `identity`, `request`, `session`, `time`. I never say which role, group or
//! value would have done, and I never hold where something could not be found out.

use super::claim::{ClaimPath, ClaimValue};
use super::identity::Identity;
use super::request::RequestFacts;
use super::session::Session;
use super::time::Timestamp;
use http::Method;
use ipnet::IpNet;
use std::fmt;
use std::sync::Arc;

/// What a route asks for besides its [`super::route::Access`], and what happens to those who do not have it: the table
/// form of the key `access`. The default asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// What has to hold.
    pub rule: Rule,
    /// What happens to a signed-in person for whom it does not.
    pub otherwise: Otherwise,
}

/// The key `access.otherwise`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// A page that says no.
    #[default]
    Deny,
    /// A page load goes to the sign-in once more: as another account, or with roles that were given meanwhile.
    SignInAgain,
}

/// A tree of requirements. A list within a requirement means that one item is enough; lists are never empty but for
/// those of `All`.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Every one of these.
    All(Vec<Rule>),
    /// At least one of these.
    Any(Vec<Rule>),
    /// One of these roles.
    Roles(Vec<String>),
    /// One of these groups.
    Groups(Vec<String>),
    /// One of these values in a claim.
    Claim(ClaimPath, Vec<ClaimValue>),
    /// An e-mail address at one of these domains, that the provider has verified (R18).
    EmailDomains(Vec<EmailDomain>),
    /// One of these methods.
    Methods(Vec<Method>),
    /// A client in one of these networks.
    Networks(Vec<IpNet>),
    /// An expression in a language of its own.
    Expression(Arc<dyn Expression>),
}

impl Default for Rule {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

/// An expression that an operator wrote, ready to be asked.
pub trait Expression: fmt::Debug + Send + Sync {
    /// The expression as it was written.
    fn text(&self) -> &str;

    /// Whether it looks at the person or the session. If not, it is judged before anybody signs in.
    fn asks_for_person(&self) -> bool;

    /// The claims that it reads.
    fn claims(&self) -> &[ClaimPath];

    /// Whether it is true.
    ///
    /// # Errors
    /// When it has no answer: why, for logs, without any value.
    fn holds(&self, question: &Question<'_>) -> Result<bool, &'static str>;
}

/// Everything that a rule may look at.
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// The request.
    pub facts: &'q RequestFacts,
    /// The session of its sender, if there is one that the route knows.
    pub session: Option<&'q Session>,
    /// The time.
    pub now: Timestamp,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It holds.
    Holds,
    /// Nobody is signed in, and it depends on who it would be.
    NeedsPerson,
    /// It does not hold, whoever signs in; or it does not hold for this person.
    Misses(Denial),
}

/// Why a rule does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The kind of what is missing.
    pub missing: Missing,
    /// Why an expression had no answer, for logs: such a rule never holds.
    pub failed: Option<&'static str>,
}

/// The kind of what is missing: what a stranger may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The client is in none of the networks.
    Network,
    /// The method is none of these.
    Method(Vec<Method>),
    /// The person has none of the roles.
    Role,
    /// The person is in none of the groups.
    Group,
    /// The person has no such claim, or another value in it.
    Claim,
    /// The person has no verified e-mail address at one of the domains.
    EmailDomain,
    /// An expression, or several requirements of which one would have been enough.
    Rule,
}

impl Missing {
    /// The word for logs and problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Method(_) => "method",
            Self::Role => "role",
            Self::Group => "group",
            Self::Claim => "claim",
            Self::EmailDomain => "email-domain",
            Self::Rule => "rule",
        }
    }

    /// Whether another person could have it. If not, it is of no use to sign in.
    pub fn is_personal(&self) -> bool {
        !matches!(self, Self::Network | Self::Method(_))
    }
}

impl From<Missing> for Denial {
    fn from(missing: Missing) -> Self {
        Self { missing, failed: None }
    }
}

impl Rule {
    /// One of these methods. Who may GET may HEAD, as everywhere (RFC 9110 section 9.3.2).
    pub fn methods(mut methods: Vec<Method>) -> Self {
        if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
            methods.push(Method::HEAD);
        }
        Self::Methods(methods)
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::All(rules) if rules.is_empty())
    }

    /// Whether any of it depends on a person; on a public route nothing may.
    pub fn asks_for_person(&self) -> bool {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::asks_for_person),
            Self::Roles(_) | Self::Groups(_) | Self::Claim(..) | Self::EmailDomains(_) => true,
            Self::Methods(_) | Self::Networks(_) => false,
            Self::Expression(expression) => expression.asks_for_person(),
        }
    }

    /// Whether any of it depends on a verified e-mail address.
    pub fn asks_for_email(&self) -> bool {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::asks_for_email),
            rule => matches!(rule, Self::EmailDomains(_)),
        }
    }

    /// The claims that it reads: the session has to keep them.
    pub fn claims(&self) -> Vec<&ClaimPath> {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().flat_map(Self::claims).collect(),
            Self::Claim(path, _) => vec![path],
            Self::Expression(expression) => expression.claims().iter().collect(),
            Self::Roles(_)
            | Self::Groups(_)
            | Self::EmailDomains(_)
            | Self::Methods(_)
            | Self::Networks(_) => vec![],
        }
    }

    /// Judges one request. Without a session a requirement on a person is open, not missed.
    pub fn judge(&self, question: &Question<'_>) -> Judgement {
        let of_person = |missing: Missing, holds: &dyn Fn(&Identity) -> bool| match question.session {
            None => Judgement::NeedsPerson,
            Some(session) if holds(&session.identity) => Judgement::Holds,
            Some(_) => Judgement::Misses(missing.into()),
        };
        match self {
            Self::All(rules) => all(rules.iter().map(|rule| rule.judge(question))),
            Self::Any(rules) => any(rules.iter().map(|rule| rule.judge(question))),
            Self::Roles(wanted) => {
                of_person(Missing::Role, &|identity| wanted.iter().any(|role| identity.roles.contains(role)))
            }
            Self::Groups(wanted) => of_person(Missing::Group, &|identity| {
                wanted.iter().any(|group| identity.groups.contains(group))
            }),
            Self::Claim(path, wanted) => of_person(Missing::Claim, &|identity| {
                path.find(&identity.claims).is_some_and(|found| wanted.iter().any(|one| has(found, one)))
            }),
            Self::EmailDomains(wanted) => of_person(Missing::EmailDomain, &|identity| {
                let verified = identity.email.as_deref().filter(|_| identity.email_verified);
                verified.is_some_and(|email| wanted.iter().any(|domain| domain.has(email)))
            }),
            Self::Methods(wanted) if wanted.contains(&question.facts.method) => Judgement::Holds,
            Self::Methods(wanted) => Judgement::Misses(Missing::Method(wanted.clone()).into()),
            Self::Networks(wanted) => match question.facts.client.address() {
                Some(address) if wanted.iter().any(|net| net.contains(&address)) => Judgement::Holds,
                // Also when nobody can say where the client is: not even `0.0.0.0/0` holds then (R73).
                _ => Judgement::Misses(Missing::Network.into()),
            },
            Self::Expression(expression) if expression.asks_for_person() && question.session.is_none() => {
                Judgement::NeedsPerson
            }
            Self::Expression(expression) => match expression.holds(question) {
                Ok(true) => Judgement::Holds,
                Ok(false) => Judgement::Misses(Missing::Rule.into()),
                Err(why) => Judgement::Misses(Denial { missing: Missing::Rule, failed: Some(why) }),
            },
        }
    }
}

/// A single value is itself, a list is any of its items, and an object is any of the keys that it affirms.
fn has(found: &ClaimValue, wanted: &ClaimValue) -> bool {
    match found {
        ClaimValue::List(items) => items.contains(wanted),
        ClaimValue::Map(_) => {
            wanted.as_text().is_some_and(|key| found.to_texts().iter().any(|one| one == key))
        }
        scalar => scalar == wanted,
    }
}

/// A miss is told before an open question: nobody is sent to sign in for nothing. Of several misses the network comes
/// first, so that outsiders learn nothing else, then the method.
fn all(judgements: impl Iterator<Item = Judgement>) -> Judgement {
    let rank = |denial: &Denial| match denial.missing {
        Missing::Network => 0,
        Missing::Method(_) => 1,
        _ => 2,
    };
    let (mut open, mut missed) = (false, None::<Denial>);
    for judgement in judgements {
        match judgement {
            Judgement::Holds => {}
            Judgement::NeedsPerson => open = true,
            Judgement::Misses(denial) => {
                if missed.as_ref().is_none_or(|first| rank(&denial) < rank(first)) {
                    missed = Some(denial);
                }
            }
        }
    }
    match missed {
        Some(denial) => Judgement::Misses(denial),
        None if open => Judgement::NeedsPerson,
        None => Judgement::Holds,
    }
}

fn any(judgements: impl Iterator<Item = Judgement>) -> Judgement {
    let (mut open, mut missed) = (false, Vec::new());
    for judgement in judgements {
        match judgement {
            Judgement::Holds => return Judgement::Holds,
            Judgement::NeedsPerson => open = true,
            Judgement::Misses(denial) => missed.push(denial),
        }
    }
    if open { Judgement::NeedsPerson } else { Judgement::Misses(common(missed)) }
}

/// What to say when none of several ways was open. Where a person could have helped, that is what was missing: "use
/// another method" would be wrong where another role would do.
fn common(missed: Vec<Denial>) -> Denial {
    let failed = missed.iter().find_map(|denial| denial.failed);
    let personal = missed.iter().any(|denial| denial.missing.is_personal());
    let mut kinds =
        missed.into_iter().map(|denial| denial.missing).filter(|missing| missing.is_personal() == personal);
    let mut common = kinds.next().unwrap_or(Missing::Rule);
    for other in kinds {
        common = match (common, other) {
            (Missing::Method(mut one), Missing::Method(other)) => {
                one.extend(other.into_iter().filter(|method| !one.contains(method)).collect::<Vec<_>>());
                Missing::Method(one)
            }
            (one, other) if one == other => one,
            _ if !personal => Missing::Network,
            _ => Missing::Rule,
        };
    }
    Denial { missing: common, failed }
}

/// The domain of an e-mail address, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailDomain(String);

impl EmailDomain {
    /// Takes a domain in ASCII, of at least two labels; names in other scripts as `xn--…`.
    pub fn parse(text: &str) -> Option<Self> {
        let label = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let sound = text.len() <= 253 && text.contains('.') && text.split('.').all(label);
        sound.then(|| Self(text.to_ascii_lowercase()))
    }

    /// Whether an address is at this very domain. An address with two `@` is at none: readers would differ about which
    /// one counts (GHSA-c5c4-8r6x-56w3).
    pub fn has(&self, email: &str) -> bool {
        match email.split_once('@') {
            Some((local, domain)) => !local.is_empty() && domain.eq_ignore_ascii_case(&self.0),
            None => false,
        }
    }
}

impl fmt::Display for Rule {
    /// For operators, never for strangers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_of = |f: &mut fmt::Formatter<'_>, what: &str, items: Vec<String>| {
            write!(f, "{what} {}", items.join(" or "))
        };
        match self {
            Self::All(rules) => write!(f, "{}", joined(rules, " and ")),
            Self::Any(rules) => write!(f, "({})", joined(rules, " or ")),
            Self::Roles(roles) => one_of(f, "role", roles.clone()),
            Self::Groups(groups) => one_of(f, "group", groups.clone()),
            Self::Claim(path, values) => {
                let values = values.iter().filter_map(ClaimValue::to_scalar).collect();
                one_of(f, &format!("claim {} =", path.as_str()), values)
            }
            Self::EmailDomains(domains) => {
                one_of(f, "verified e-mail at", domains.iter().map(|domain| domain.0.clone()).collect())
            }
            Self::Methods(methods) => one_of(f, "method", methods.iter().map(Method::to_string).collect()),
            Self::Networks(networks) => one_of(f, "from", networks.iter().map(IpNet::to_string).collect()),
            Self::Expression(expression) => {
                let words: Vec<&str> = expression.text().split_whitespace().collect();
                write!(f, "cel `{}`", words.join(" "))
            }
        }
    }
}

fn joined(rules: &[Rule], word: &str) -> String {
    rules.iter().map(Rule::to_string).collect::<Vec<_>>().join(word)
}

#[cfg(test)]
mod tests;
