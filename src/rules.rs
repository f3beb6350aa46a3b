//! Expressions in the rules of access: CEL, the Common Expression Language, as Kubernetes and Envoy have it.
//!
//! I own: [`parse`], which makes a `domain::access::Expression` of an operator's text. I may call: `domain`. I never
//! take an expression from a stranger, never let a name pass that would be unknown when it counts, and never put a
//! value into an error.
//!
//! Two things make an expression safe to keep: it is parsed within bounds that the parser itself does not have, on a
//! stack of its own, and `check` walks over the result, so that what is left to go wrong later is the people's data.

mod check;
mod values;

use crate::domain::access::{Expression, Question};
use crate::domain::claim::ClaimPath;
use cel::{Context, Env, ExecutionError, Program, Value};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

/// The longest expression, in bytes.
pub const LONGEST: usize = 2000;

/// The most brackets and question marks, wherever they stand: what the parser recurses over. It overflows the usual
/// stack at about a hundred levels (cel-rust#212).
pub const MOST_BRACKETS: usize = 48;

/// For parsing, once at the start: room for whatever [`LONGEST`] and [`MOST_BRACKETS`] let through, four times over.
const STACK: usize = 64 * 1024 * 1024;

/// What is wrong with an expression.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong; goes on after the name of the key.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// Where, in bytes of the text; `None` for all of it.
    pub part: Option<Range<usize>>,
}

/// Makes an expression of a text.
///
/// # Errors
/// The first mistake.
pub fn parse(text: &str) -> Result<Arc<dyn Expression>, Mistake> {
    let whole = |what: String, remedy: &str| Mistake { what, remedy: remedy.to_owned(), part: None };
    let split = "say part of it with lists: roles, groups, claims, networks, all, any";
    if text.len() > LONGEST {
        return Err(whole(format!("is longer than {LONGEST} bytes"), split));
    }
    let brackets = text.bytes().filter(|byte| matches!(byte, b'(' | b'[' | b'{' | b'?')).count();
    if brackets > MOST_BRACKETS {
        return Err(whole(format!("has more than {MOST_BRACKETS} brackets and question marks"), split));
    }
    // What is too deep has to be dropped on that stack too.
    let parsed = thread::scope(|scope| {
        let parser = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || compile(text));
        parser.ok().and_then(|parser| parser.join().ok())
    });
    let lost = || whole("cannot be read at all".to_owned(), "write it in another way");
    let (env, program, found) = parsed.unwrap_or_else(|| Err(lost()))?;
    // A claim that cannot be named to the session would be missing for everybody.
    let claims: Option<Vec<ClaimPath>> = found.claims.iter().map(|name| ClaimPath::parse(name)).collect();
    let Some(claims) = claims else {
        return Err(whole("reads a claim by a name that none has".to_owned(), "write the name of a claim"));
    };
    Ok(Arc::new(Rule { text: text.to_owned(), env: Arc::new(env), program, found, claims }))
}

fn compile(text: &str) -> Result<(Env, Program, check::Found), Mistake> {
    let env = Env::stdlib().with_optional_support(false);
    let program = env.compile(text).map_err(|errors| check::syntax(text, &errors))?;
    let found = check::judge(&program, text)?;
    Ok((env, program, found))
}

/// An expression that has passed.
struct Rule {
    text: String,
    env: Arc<Env>,
    program: Program,
    found: check::Found,
    claims: Vec<ClaimPath>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.text).finish()
    }
}

impl Expression for Rule {
    fn text(&self) -> &str {
        &self.text
    }

    fn asks_for_person(&self) -> bool {
        self.found.asks_for_person()
    }

    fn claims(&self) -> &[ClaimPath] {
        &self.claims
    }

    fn holds(&self, question: &Question<'_>) -> Result<bool, &'static str> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        for (name, value) in values::of(&self.found, question)? {
            context.add_variable_from_value(name, value);
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(_) => Err("its result is neither true nor false"),
            Err(error) => Err(why(&error)),
        }
    }
}

/// The errors' own texts quote values: what people are called, and what they may.
fn why(error: &ExecutionError) -> &'static str {
    match error {
        ExecutionError::NoSuchKey(_) => "a claim or member that it reads is not there",
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedTargetType { .. }
        | ExecutionError::NotSupportedAsMethod { .. }
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedIndex(..)
        | ExecutionError::ValuesNotComparable(..) => "a value that it reads is of another type",
        ExecutionError::IndexOutOfBounds(_) => "a list that it reads is shorter",
        ExecutionError::Overflow(..)
        | ExecutionError::DivisionByZero(_)
        | ExecutionError::RemainderByZero(_) => "a number has no result",
        _ => "it could not be evaluated",
    }
}

#[cfg(test)]
mod tests;
