//! How mistakes look in a terminal: as rustc shows them.
//!
//! I own: the layout and the colours. I may call: `problem`. I never decide what may be shown: it was decided before.

use crate::config::problem::{Excerpt, Place, Problem, Problems};
use std::fmt;

/// ANSI codes, or nothing.
#[derive(Clone, Copy)]
struct Paint {
    on: bool,
}

impl Paint {
    const BOLD: &str = "1";
    const RED: &str = "1;31";
    const BLUE: &str = "1;34";

    fn with(self, code: &'static str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The same in colour, for a terminal.
struct Painted<'p>(&'p Problems);

impl Problems {
    /// As `Display`, in colour.
    pub fn painted(&self) -> impl fmt::Display + '_ {
        Painted(self)
    }

    /// Each mistake as `Display` shows it, for a log.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.list.iter().map(|problem| {
            let mut text = String::new();
            // Writing into a string does not fail.
            let _ = self.write_one(problem, Paint { on: false }, &mut text);
            text.trim_end().to_owned()
        })
    }

    fn write(&self, paint: Paint, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            self.write_one(problem, paint, f)?;
            writeln!(f)?;
        }
        write!(f, "{}", paint.with(Paint::BOLD, &self.summary()))
    }

    fn write_one(&self, problem: &Problem, paint: Paint, f: &mut dyn fmt::Write) -> fmt::Result {
        let Problem { message, remedy, place, variable, excerpt, .. } = problem;
        let number = place.map(|place| place.line.to_string()).unwrap_or_default();
        let gutter = " ".repeat(number.len().max(1));
        let (arrow, bar) = (paint.with(Paint::BLUE, "-->"), paint.with(Paint::BLUE, "|"));
        writeln!(
            f,
            "{}{}",
            paint.with(Paint::RED, "error"),
            paint.with(Paint::BOLD, &format!(": {message}"))
        )?;
        match (place, variable) {
            (Some(Place { line, column }), _) => {
                writeln!(f, "{gutter}{arrow} {}:{line}:{column}", self.file)?;
            }
            (None, Some(name)) => writeln!(f, "{gutter}{arrow} environment variable {name}")?,
            (None, None) => writeln!(f, "{gutter}{arrow} {}", self.file)?,
        }
        if let Some(Excerpt { line, carets }) = excerpt {
            let number = paint.with(Paint::BLUE, &number);
            let carets = " ".repeat(carets.start) + &paint.with(Paint::RED, &"^".repeat(carets.len().max(1)));
            writeln!(f, "{gutter} {bar}\n{number} {bar} {line}\n{gutter} {bar} {carets}")?;
        }
        let (sign, help) = (paint.with(Paint::BLUE, "="), paint.with(Paint::BOLD, "help"));
        writeln!(f, "{gutter} {bar}\n{gutter} {sign} {help}: {remedy}")
    }

    /// How many mistakes there are, and where to look for them.
    pub fn summary(&self) -> String {
        let outside = self.list.iter().filter(|problem| problem.variable.is_some()).count();
        let count = |place: &str, count: usize| match count {
            0 => None,
            1 => Some(format!("{place}: 1 mistake")),
            count => Some(format!("{place}: {count} mistakes")),
        };
        let (file, environment) =
            (count(&self.file, self.list.len() - outside), count("environment", outside));
        file.into_iter().chain(environment).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(Paint { on: false }, f)
    }
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(Paint { on: true }, f)
    }
}
