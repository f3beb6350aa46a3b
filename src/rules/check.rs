//! What is in an expression, before it is ever asked.
//!
//! I own: the names that there are, [`judge`], and the bounds of depth and cost. I may call: `cel` (its syntax tree).
//! I never evaluate an expression, but for the patterns in it.

use super::Mistake;
use super::values::MOST_VALUES;
use cel::common::ast::{CallExpr, ComprehensionExpr, SelectExpr};
use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, ParseErrors, Program, Value};
use std::collections::BTreeSet;
use std::ops::Range;

/// The names, each with its members; `claims` has those of the provider.
const NAMES: &[(&str, &[&str])] = &[
    ("user", &["id", "name", "email", "email_verified", "roles", "groups"]),
    ("claims", &[]),
    ("request", &["method", "path", "host", "client"]),
    ("session", &["acr", "provider", "age"]),
];

/// The functions, besides operators and the loops.
const FUNCTIONS: &[&str] =
    &["size", "contains", "startsWith", "endsWith", "matches", "string", "int", "uint", "double", "bool"];

const OPERATORS: &[&str] = &[
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::NOT_STRICTLY_FALSE,
    operators::IN,
];

/// What a result comes from that is never true or false.
const NEVER_TRUE: &[&str] = &[
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
    "size",
    "string",
    "int",
    "uint",
    "double",
];

/// The deepest tree: evaluation goes down as far, on a worker's stack.
const DEEPEST: usize = 40;

/// What looking for a pattern counts for: it is read anew each time.
const MATCHING: u64 = 50;

/// The most steps that evaluating may take, loops multiplied: some tens of milliseconds.
const MOST_STEPS: u64 = 200_000;

/// What an expression asks for.
#[derive(Debug, Default)]
pub(super) struct Found {
    names: BTreeSet<&'static str>,
    members: BTreeSet<&'static str>,
    /// The top-level claims that it names.
    pub(super) claims: BTreeSet<String>,
}

impl Found {
    /// Whether this name is in it.
    pub(super) fn names(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether it depends on who asks.
    pub(super) fn asks_for_person(&self) -> bool {
        self.names.iter().any(|name| *name != "request")
    }
}

/// What the parser says, without its drawing.
pub(super) fn syntax(text: &str, errors: &ParseErrors) -> Mistake {
    let first = errors.errors.first();
    let part = first.and_then(|error| {
        let line = usize::try_from(error.pos.0).ok()?.checked_sub(1)?;
        let column = usize::try_from(error.pos.1).ok()?.saturating_sub(1);
        let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        Some(before + column..before + column + 1)
    });
    // The parser's own words name its grammar, and a wrong character as often as not.
    let said = first.and_then(|error| error.msg.lines().next()).unwrap_or_default();
    let said: String = said.chars().filter(|c| !c.is_control()).take(120).collect();
    Mistake {
        what: format!("is not an expression: {}", said.trim_start_matches("Syntax error: ")),
        remedy: "write it in CEL, such as \"'editor' in user.roles && claims.ward == 7\"".to_owned(),
        part: part.and_then(|part| within(text, part)),
    }
}

/// Places are counted in characters by some and in bytes by others: told only where both are the same.
fn within(text: &str, part: Range<usize>) -> Option<Range<usize>> {
    (text.is_ascii() && part.start < part.end && part.end <= text.len()).then_some(part)
}

/// Judges what was parsed.
///
/// # Errors
/// The first mistake.
pub(super) fn judge(program: &Program, text: &str) -> Result<Found, Mistake> {
    let mut judge = Judge { program, text, found: Found::default(), bound: Vec::new() };
    let root = program.expression();
    let steps = judge.walk(root, 0)?;
    if steps > MOST_STEPS {
        return Err(judge.mistake(
            root,
            format!("could take up to {steps} steps, and {MOST_STEPS} are allowed"),
            "do not loop within a loop, other than over a short list of your own",
        ));
    }
    if !may_be_true(root) {
        return Err(judge.mistake(root, "is never true or false".into(), "compare it with something"));
    }
    let found = judge.found;
    if found.members.contains("email") && !found.members.contains("email_verified") {
        // R18: whoever may type an address into their profile must not pass for its owner.
        return Err(Mistake {
            what: "reads `user.email` without asking whether it is verified".to_owned(),
            remedy: "write `user.email_verified && …`; or use the key email_domains".to_owned(),
            part: None,
        });
    }
    Ok(found)
}

struct Judge<'p> {
    program: &'p Program,
    text: &'p str,
    found: Found,
    /// The variables of the loops around.
    bound: Vec<String>,
}

impl Judge<'_> {
    fn mistake(&self, at: &IdedExpr, what: String, remedy: &str) -> Mistake {
        let place = self.program.source_info().offset_for(at.id);
        let part = place.and_then(|(start, stop)| {
            let (start, stop) = (usize::try_from(start).ok()?, usize::try_from(stop).ok()?);
            within(self.text, start..stop.saturating_add(1).min(self.text.len()))
        });
        Mistake { what, remedy: remedy.to_owned(), part }
    }

    /// How many steps it takes at most; what it names goes to `found`.
    fn walk(&mut self, expr: &IdedExpr, depth: usize) -> Result<u64, Mistake> {
        if depth > DEEPEST {
            let remedy = "say part of it with lists: roles, groups, claims, networks, all, any";
            return Err(self.mistake(expr, format!("is nested more than {DEEPEST} deep"), remedy));
        }
        let below = depth + 1;
        let steps = match &expr.expr {
            Expr::Unspecified => 0,
            Expr::Literal(_) => 0,
            Expr::Ident(name) => self.name(expr, name)?,
            Expr::Select(select) => self.select(select, below)?,
            Expr::Call(call) => self.call(expr, call, below)?,
            Expr::Comprehension(looping) => self.looping(looping, below)?,
            Expr::List(list) => self.sum(list.elements.iter(), below)?,
            Expr::Map(map) => {
                let mut steps = 0_u64;
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        let pair = [&entry.key, &entry.value];
                        steps = steps.saturating_add(self.sum(pair.into_iter(), below)?);
                    }
                }
                steps
            }
            Expr::Struct(_) => {
                return Err(self.mistake(
                    expr,
                    "makes an object of a type".into(),
                    "there are no types here",
                ));
            }
        };
        Ok(steps.saturating_add(1))
    }

    fn sum<'e>(&mut self, all: impl Iterator<Item = &'e IdedExpr>, depth: usize) -> Result<u64, Mistake> {
        all.map(|one| self.walk(one, depth)).try_fold(0_u64, |sum, steps| Ok(sum.saturating_add(steps?)))
    }

    fn is_bound(&self, name: &str) -> bool {
        name.starts_with('@') || self.bound.iter().any(|one| one == name)
    }

    fn name(&self, expr: &IdedExpr, name: &str) -> Result<u64, Mistake> {
        if self.is_bound(name) {
            return Ok(0);
        }
        Err(match NAMES.iter().find(|(known, _)| *known == name) {
            // Which claims the session has to keep must be known beforehand.
            Some(("claims", _)) => {
                let remedy =
                    "name one: claims.department, claims[\"https://example.com/x\"] or \"ward\" in claims";
                self.mistake(expr, "takes `claims` as a whole".into(), remedy)
            }
            Some((name, members)) => self.mistake(
                expr,
                format!("takes `{name}` as a whole"),
                &format!("name a member: {}", listed(name, members)),
            ),
            None => {
                let remedy = "the names are `user`, `claims`, `request` and `session`; text goes in quotes";
                self.mistake(expr, format!("has an unknown name, `{}`", name.escape_debug()), remedy)
            }
        })
    }

    fn select(&mut self, select: &SelectExpr, depth: usize) -> Result<u64, Mistake> {
        let Expr::Ident(name) = &select.operand.expr else { return self.walk(&select.operand, depth) };
        let Some((name, members)) = NAMES.iter().find(|(known, _)| *known == name && !self.is_bound(name))
        else {
            return self.walk(&select.operand, depth);
        };
        if *name == "claims" {
            self.claim(&select.field);
            return Ok(0);
        }
        let Some(member) = members.iter().find(|member| **member == select.field) else {
            let what = format!("has an unknown name: `{name}` has no `{}`", select.field.escape_debug());
            // The place of a selection is its dot.
            let mistake = self.mistake(&select.operand, what, &listed(name, members));
            let written = format!("{name}.{}", select.field);
            let part = mistake.part.map(|part| match self.text.get(part.start..) {
                Some(rest) if rest.starts_with(&written) => part.start..part.start + written.len(),
                _ => part,
            });
            return Err(Mistake { part, ..mistake });
        };
        self.found.names.insert(name);
        if *name == "user" {
            self.found.members.insert(member);
        }
        Ok(0)
    }

    fn claim(&mut self, name: &str) {
        self.found.names.insert("claims");
        self.found.claims.insert(name.to_owned());
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr, depth: usize) -> Result<u64, Mistake> {
        let name = call.func_name.as_str();
        if !OPERATORS.contains(&name) && !FUNCTIONS.contains(&name) {
            let remedy = format!(
                "the functions are {}; the loops all, exists, exists_one, filter and map; has(claims.x) asks for presence",
                FUNCTIONS.join(", ")
            );
            let what = format!("calls an unknown function, `{}`", name.escape_debug());
            return Err(self.mistake(expr, what, &remedy));
        }
        // `claims["x"]` and `"x" in claims` name a claim too.
        let named = match (name, call.args.as_slice()) {
            (operators::INDEX, [whole, key]) => self.is_claims(whole).then_some(key),
            (operators::IN, [key, whole]) => self.is_claims(whole).then_some(key),
            _ => None,
        };
        if let Some(Expr::Literal(LiteralValue::String(key))) = named.map(|key| &key.expr) {
            let key = key.inner().to_owned();
            self.claim(&key);
            return Ok(0);
        }
        let mut own = 0;
        if name == "matches" {
            self.pattern(expr, call)?;
            own = MATCHING;
        }
        let target = call.target.as_deref().into_iter();
        Ok(self.sum(target.chain(&call.args), depth)?.saturating_add(own))
    }

    fn is_claims(&self, expr: &IdedExpr) -> bool {
        matches!(&expr.expr, Expr::Ident(name) if name == "claims") && !self.is_bound("claims")
    }

    /// A pattern is the operator's, never a person's: it is looked at now, and its cost is known.
    fn pattern(&self, expr: &IdedExpr, call: &CallExpr) -> Result<(), Mistake> {
        let remedy = "write it as a text in quotes, in the syntax of the crate `regex`";
        let Some(pattern) = call.args.last().filter(|last| matches!(&last.expr, Expr::Literal(_))) else {
            return Err(self.mistake(expr, "has a pattern that is not a fixed text".into(), remedy));
        };
        let probe =
            CallExpr { target: Some(Box::new(pattern.clone())), args: vec![pattern.clone()], ..call.clone() };
        let probe = IdedExpr { id: 0, expr: Expr::Call(probe) };
        match Value::resolve(&probe, &Context::default()) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.mistake(pattern, "has a pattern that is none".into(), remedy)),
        }
    }

    fn looping(&mut self, looping: &ComprehensionExpr, depth: usize) -> Result<u64, Mistake> {
        let mut steps = self.walk(&looping.iter_range, depth)?;
        let rounds = rounds(&looping.iter_range);
        let before = self.bound.len();
        self.bound.extend([looping.iter_var.clone(), looping.accu_var.clone()]);
        self.bound.extend(looping.iter_var2.clone());
        let once = self.sum([&looping.loop_cond, &looping.loop_step].into_iter(), depth)?;
        steps = steps.saturating_add(self.sum([&looping.accu_init, &looping.result].into_iter(), depth)?);
        self.bound.truncate(before);
        Ok(steps.saturating_add(rounds.saturating_mul(once)))
    }
}

/// How often a loop over this goes round at most.
fn rounds(range: &IdedExpr) -> u64 {
    let known = match &range.expr {
        Expr::List(list) => list.elements.len(),
        Expr::Map(map) => map.entries.len(),
        // Lists can be joined: each `+` may add as much again.
        _ => MOST_VALUES.saturating_mul(1 + joints(range)),
    };
    known as u64
}

fn joints(expr: &IdedExpr) -> usize {
    match &expr.expr {
        Expr::Call(call) => {
            let inner = call.target.as_deref().into_iter().chain(&call.args).map(joints).sum::<usize>();
            inner + usize::from(call.func_name == operators::ADD)
        }
        Expr::Comprehension(looping) => joints(&looping.iter_range),
        Expr::Select(select) => joints(&select.operand),
        _ => 0,
    }
}

fn may_be_true(expr: &IdedExpr) -> bool {
    match &expr.expr {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => false,
        Expr::Call(call) => !NEVER_TRUE.contains(&call.func_name.as_str()),
        Expr::Ident(_) | Expr::Select(_) | Expr::Comprehension(_) => true,
    }
}

fn listed(name: &str, members: &[&str]) -> String {
    members.iter().map(|member| format!("`{name}.{member}`")).collect::<Vec<_>>().join(", ")
}
