//! `access` of a route.
//!
//! I own: both forms of that key, a word and a table of requirements. I may call: `cursor`, `rules` (to parse
//! expressions). I never let a requirement through that could not be met by anybody, or that would be looked at by
//! nobody.

use crate::config::cursor::{Entry, Reported, Section, all_of};
use crate::config::keys::{Key, Kind};
use crate::domain::access::{Conditions, EmailDomain, Otherwise, Rule};
use crate::domain::claim::{ClaimPath, ClaimValue};
use crate::domain::route::Access;
use crate::rules;
use http::Method;
use ipnet::IpNet;
use std::net::IpAddr;

/// The key itself.
pub(in crate::config) const ACCESS: Key = Key::required(
    "access",
    Kind::Either(&[Kind::Choice(WHO), Kind::Table("access")]),
    r#"Who may pass: "public", "optional", "signed-in" or a table such as { roles = ["editor"] }, see above. Required."#,
);

const WHO: &[&str] = &["public", "optional", "signed-in"];

const MEANINGS: &[(&str, Access)] =
    &[("public", Access::Public), ("optional", Access::Optional), ("signed-in", Access::SignedIn)];

/// The keys of `access`, where it is a table.
pub(in crate::config) const KEYS: &[Key] = &[
    Key::with_default(
        "who",
        Kind::Choice(WHO),
        r#""signed-in""#,
        "Who is asked for: nobody, whoever is signed in if somebody is, or somebody.",
    ),
    ROLES,
    GROUPS,
    CLAIMS,
    EMAIL_DOMAINS,
    METHODS,
    NETWORKS,
    ALL,
    ANY,
    CEL,
    Key::with_default(
        "otherwise",
        Kind::Choice(&["deny", "sign-in-again"]),
        r#""deny""#,
        "What becomes of a page load by somebody signed in who may not pass.",
    ),
];

/// The keys of the tables in `all` and `any`.
pub(in crate::config) const RULE_KEYS: &[Key] =
    &[ROLES, GROUPS, CLAIMS, EMAIL_DOMAINS, METHODS, NETWORKS, ALL, ANY, CEL];

const LIST: Kind = Kind::OneOrMore(&Kind::Text);
const RULES: Kind = Kind::OneOrMore(&Kind::Table("rule"));
const SCALAR: Kind =
    Kind::Either(&[Kind::Text, Kind::Boolean, Kind::Number { least: 0, most: i64::MAX as u64 }]);

const ROLES: Key = Key::optional("roles", LIST, "Roles of which one is enough.");
const GROUPS: Key = Key::optional("groups", LIST, "Groups of which one is enough.");
const CLAIMS: Key = Key::optional(
    "claims",
    Kind::Free(&Kind::OneOrMore(&SCALAR)),
    "Claims, by their path in quotes, each with the values of which one is enough.",
);
const EMAIL_DOMAINS: Key =
    Key::optional("email_domains", LIST, "Domains of verified e-mail addresses of which one is enough.");
const METHODS: Key = Key::optional("methods", LIST, "Methods of which one is enough; GET has HEAD with it.");
const NETWORKS: Key = Key::optional("networks", LIST, "Networks of the client of which one is enough.");
const ALL: Key = Key::optional("all", RULES, "Tables of these keys that must all hold.");
const ANY: Key = Key::optional("any", RULES, "Tables of these keys of which one is enough.");
const CEL: Key = Key::optional("cel", Kind::Text, "An expression in CEL that must be true.");

/// Tables within tables: more is a slip, and nobody could read it.
const DEEPEST: usize = 8;

/// What to write where the key is missing.
pub(in crate::config) const REMEDY: &str =
    "write \"public\", \"optional\", \"signed-in\" or { roles = [\"editor\"] }; there is no default";

/// Reads the key.
pub(in crate::config) fn read(entry: &Entry<'_>) -> Result<(Access, Conditions), Reported> {
    let Some(mut table) = entry.table("access") else {
        return Ok((entry.choice(MEANINGS)?, Conditions::default()));
    };
    let who = table.may("who", |entry| entry.choice(MEANINGS));
    let otherwise = table.may("otherwise", |entry| {
        entry.choice(&[("deny", Otherwise::Deny), ("sign-in-again", Otherwise::SignInAgain)])
    });
    let rule = demands(&mut table, 0);
    table.finish();
    let (who, otherwise, rule) = (who?, otherwise?, rule?);
    if who.is_none() && rule.is_empty() && has_only(entry, KEYS) {
        return Err(entry.wrong("asks for nothing", "write { roles = [\"editor\"] }, or one of the words"));
    }
    let access = who.unwrap_or(Access::SignedIn);
    if access == Access::Public && rule.asks_for_person() {
        return Err(entry.wrong(
            "asks for a person on a public route, where nobody is known",
            "leave out who = \"public\", or make it \"optional\"",
        ));
    }
    if otherwise == Some(Otherwise::SignInAgain) && !rule.asks_for_person() {
        return Err(table.wrong(
            "otherwise",
            "has no effect: no requirement here depends on who is signed in",
            "leave it out",
        ));
    }
    Ok((access, Conditions { rule, otherwise: otherwise.unwrap_or_default() }))
}

/// The requirements of one table, all of which must hold.
fn demands(table: &mut Section<'_>, depth: usize) -> Result<Rule, Reported> {
    let roles = table.may("roles", |entry| entry.one_or_more(owned).map(Rule::Roles));
    let groups = table.may("groups", |entry| entry.one_or_more(owned).map(Rule::Groups));
    let claims = table.may("claims", claims);
    let domains = table.may("email_domains", |entry| entry.one_or_more(domain).map(Rule::EmailDomains));
    let methods = table.may("methods", |entry| entry.one_or_more(method).map(Rule::methods));
    let networks = table.may("networks", |entry| entry.one_or_more(network).map(Rule::Networks));
    let all = table.may("all", |entry| entry.one_or_more(|one| nested(one, depth)).map(Rule::All));
    let any = table.may("any", |entry| entry.one_or_more(|one| nested(one, depth)).map(Rule::Any));
    let cel = table.may("cel", expression);
    // First read, then judge: every mistake counts.
    let singles = [networks, methods, roles, groups, domains, all, any, cel];
    let mut rules = claims?.unwrap_or_default();
    for single in singles {
        rules.extend(single?);
    }
    Ok(Rule::All(rules))
}

fn nested(entry: &Entry<'_>, depth: usize) -> Result<Rule, Reported> {
    if depth >= DEEPEST {
        return Err(entry.wrong(format_args!("is nested more than {DEEPEST} deep"), "say it in another way"));
    }
    let Some(mut table) = entry.table("rule") else {
        let remedy = "write tables in brackets: [{ roles = [\"editor\"] }, { groups = [\"staff\"] }]";
        return Err(entry.wrong(format_args!("must be a table, not {}", entry.kind()), remedy));
    };
    let rule = demands(&mut table, depth + 1);
    table.finish();
    match rule? {
        rule if rule.is_empty() && has_only(entry, RULE_KEYS) => {
            // In `any` it would let everybody in.
            Err(entry.wrong("asks for nothing", "write a requirement, such as { roles = [\"editor\"] }"))
        }
        Rule::All(mut rules) if rules.len() == 1 => Ok(rules.remove(0)),
        rule => Ok(rule),
    }
}

/// Whether no key is misspelt: that was said already.
fn has_only(entry: &Entry<'_>, keys: &[Key]) -> bool {
    entry.members().into_iter().flatten().all(|(name, _)| keys.iter().any(|key| key.name == name))
}

fn owned(entry: &Entry<'_>) -> Result<String, Reported> {
    Ok(entry.text()?.to_owned())
}

fn claims(entry: &Entry<'_>) -> Result<Vec<Rule>, Reported> {
    let form = "write { department = \"ward 7\", \"realm_access.level\" = [2, 3] }";
    let Some(members) = entry.members() else {
        return Err(entry.wrong(format_args!("must be a table, not {}", entry.kind()), form));
    };
    if members.is_empty() {
        return Err(entry.wrong("is empty", form));
    }
    all_of(members.into_iter().map(|(name, values)| {
        let Some(path) = ClaimPath::parse(name) else {
            return Err(values.wrong("is no path to a claim", form));
        };
        if values.kind() == "a table" {
            let remedy = "write the path in quotes: \"realm_access.level\" = 3";
            return Err(values.wrong("is a table", remedy));
        }
        Ok(Rule::Claim(path, values.one_or_more(scalar)?))
    }))
}

/// Compared as what it is: `true` is not `"true"`.
fn scalar(entry: &Entry<'_>) -> Result<ClaimValue, Reported> {
    if let Some(number) = entry.number().and_then(|number| i64::try_from(number).ok()) {
        return Ok(ClaimValue::Integer(number));
    }
    match entry.kind() {
        "a boolean" => entry.boolean().map(ClaimValue::Bool),
        "a string" => entry.text().map(|text| ClaimValue::Text(text.to_owned())),
        other => Err(entry.wrong(
            format_args!("must be a string, true, false or a whole number, not {other}"),
            "compare anything else with `cel`",
        )),
    }
}

fn domain(entry: &Entry<'_>) -> Result<EmailDomain, Reported> {
    let remedy = "write what stands behind the @, such as \"example.com\"; each subdomain by itself, and names in other scripts as xn--…";
    entry.parsed(EmailDomain::parse, "is not the domain of e-mail addresses", remedy)
}

fn method(entry: &Entry<'_>) -> Result<Method, Reported> {
    let parse = |text: &str| {
        let sound = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        Method::from_bytes(text.as_bytes()).ok().filter(|_| sound)
    };
    let method = entry.parsed(parse, "is no method", "write it in capitals, such as \"GET\" or \"POST\"")?;
    if method == Method::TRACE || method == Method::CONNECT {
        return Err(entry.wrong("is never forwarded", "leave it out"));
    }
    Ok(method)
}

fn network(entry: &Entry<'_>) -> Result<IpNet, Reported> {
    let parse = |text: &str| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let remedy = "write a network such as \"10.0.0.0/8\", or an address";
    let network: IpNet = entry.parsed(parse, "is not a network in CIDR form", remedy)?;
    if network != network.trunc() {
        let remedy = format!("write \"{}\", or the whole address without `/`", network.trunc());
        return Err(entry.wrong("has bits set behind its prefix", remedy));
    }
    // The client's address is taken out of that form before it is compared.
    if matches!(network, IpNet::V6(six) if six.addr().to_ipv4_mapped().is_some()) {
        return Err(entry.wrong("is an IPv4 network in the form of IPv6", "write it as IPv4: \"10.0.0.0/8\""));
    }
    Ok(network)
}

fn expression(entry: &Entry<'_>) -> Result<Rule, Reported> {
    let text = entry.text()?;
    match rules::parse(text) {
        Ok(expression) => Ok(Rule::Expression(expression)),
        Err(rules::Mistake { what, remedy, part: Some(part) }) => Err(entry.wrong_within(part, what, remedy)),
        Err(rules::Mistake { what, remedy, part: None }) => Err(entry.wrong(what, remedy)),
    }
}
