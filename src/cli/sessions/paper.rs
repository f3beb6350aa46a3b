//! A list of sessions, written as it comes.
//!
//! I own: [`Paper`] and its three forms. I may call: nothing. I never hold a line that was written, and never print a
//! character that a terminal would obey.

use super::door::Line;
use std::io::{self, Write};

const HEAD: [&str; 9] =
    ["HANDLE", "USER", "E-MAIL", "PROVIDER", "STARTED", "LAST SEEN", "ENDS", "ADDRESS", "BROWSER"];

/// What a list looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people. Columns are as wide as the widest cell so far: a page that has a wider one is shifted by it.
    Table,
    /// One JSON document, with one session on a line.
    Document,
    /// One JSON document for each session.
    Lines,
}

/// Where a list is written.
pub(super) struct Paper<'p> {
    form: Form,
    out: &'p mut dyn Write,
    widths: [usize; 9],
    begun: bool,
}

impl<'p> Paper<'p> {
    pub(super) fn new(form: Form, out: &'p mut dyn Write) -> Self {
        Self { form, out, widths: HEAD.map(str::len), begun: false }
    }

    /// Adds lines.
    pub(super) fn lines(&mut self, lines: &[Line]) -> io::Result<()> {
        match self.form {
            Form::Table => {
                let rows: Vec<[String; 9]> = lines.iter().map(row).collect();
                for cells in &rows {
                    for (width, cell) in self.widths.iter_mut().zip(cells) {
                        *width = (*width).max(cell.chars().count());
                    }
                }
                self.head()?;
                rows.iter().try_for_each(|cells| write_row(self.out, cells, &self.widths))?;
            }
            Form::Document | Form::Lines => {
                for line in lines {
                    let separator = match (self.form, self.begun) {
                        (Form::Lines, _) => "",
                        (_, false) => "{\"sessions\":[\n",
                        (_, true) => ",\n",
                    };
                    self.begun = true;
                    self.out.write_all(separator.as_bytes())?;
                    serde_json::to_writer(&mut *self.out, line)?;
                    if self.form == Form::Lines {
                        writeln!(self.out)?;
                    }
                }
            }
        }
        self.out.flush()
    }

    /// The end of the list.
    pub(super) fn end(mut self, unreadable: usize) -> io::Result<()> {
        match self.form {
            Form::Table => {
                self.head()?;
                if unreadable > 0 {
                    writeln!(self.out, "and {unreadable} that do not open with the gateway's keys")?;
                }
            }
            Form::Document => {
                let opening = if self.begun { "" } else { "{\"sessions\":[" };
                writeln!(self.out, "{opening}\n],\"unreadable\":{unreadable}}}")?;
            }
            Form::Lines => {}
        }
        self.out.flush()
    }

    fn head(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        write_row(self.out, &HEAD.map(str::to_owned), &self.widths)
    }
}

fn row(line: &Line) -> [String; 9] {
    let cells = [
        &line.handle,
        &line.user.id,
        line.user.email.as_deref().unwrap_or("-"),
        &line.provider,
        &line.started,
        &line.last_seen,
        &line.ends,
        &line.address,
        &line.user_agent,
    ];
    cells.map(harmless)
}

fn write_row(out: &mut dyn Write, cells: &[String; 9], widths: &[usize; 9]) -> io::Result<()> {
    let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())
}

/// Names, addresses and browsers are what strangers say they are.
fn harmless(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { '?' } else { c }).collect()
}
