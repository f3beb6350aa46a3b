//! `keycard sessions`: who is signed in, that they no longer be, and moving them to another store.
//!
//! I own: the arguments, and which request each command makes. I may call: `config` (for variables and files), and the
//! room's own parts: `door` for requests, `paper` for lists, `transfer` for files. I never print a character that a
//! stranger chose and a terminal would obey, and never hold more of a list than one page.

pub(super) use self::door::Door;

use self::door::Page;
use self::paper::{Form, Paper};
use crate::config::environment::Environment;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::io::{self, Write};
use std::path::PathBuf;

mod door;
mod paper;
mod transfer;

/// How many handles are remembered of a list, so that a session is not shown twice. Redis shows one again only from a part
/// of its table that it was just in, when that part has shrunk meanwhile: the last few thousand are more than enough.
const REMEMBERED: usize = 20_000;

/// What can be asked.
#[derive(Subcommand)]
pub enum Command {
    /// Show who is signed in.
    List {
        /// Only this person: user id, subject or e-mail address, exactly.
        #[arg(long, conflicts_with = "id")]
        user: Option<String>,
        /// With --user, which is the subject then: the provider's `issuer`. Found by an index, in no time.
        #[arg(long, requires = "user")]
        issuer: Option<String>,
        /// Only the one with this handle.
        #[arg(long, value_name = "HANDLE")]
        id: Option<String>,
        /// As JSON, one session on a line and nothing else; --json gives one document.
        #[arg(long, conflicts_with = "json")]
        json_lines: bool,
        /// How to reach the gateway.
        #[command(flatten)]
        reach: Reach,
    },
    /// End sessions; their browsers are signed out at their next request.
    End {
        /// Whose sessions.
        #[command(flatten)]
        whose: Whose,
        /// With --user, which is the subject then: the provider's `issuer`. Found by an index, in no time.
        #[arg(long, requires = "user", conflicts_with_all = ["id", "all"])]
        issuer: Option<String>,
        /// How to reach the gateway.
        #[command(flatten)]
        reach: Reach,
    },
    /// Write all sessions into a file, sealed with the gateway's keys, for another store.
    Export {
        /// The file, which must not be there yet; `-` is standard output.
        file: PathBuf,
        /// How to reach the gateway.
        #[command(flatten)]
        reach: Reach,
    },
    /// Take in a file that `export` has written. The gateway needs the keys of the one that it came from.
    Import {
        /// The file; `-` is standard input.
        file: PathBuf,
        /// Also a file that was taken in before: sessions that were ended since come back.
        #[arg(long)]
        again: bool,
        /// How to reach the gateway.
        #[command(flatten)]
        reach: Reach,
    },
}

/// Exactly one of these.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// Those of this person: user id, subject or e-mail address, exactly.
    #[arg(long)]
    user: Option<String>,
    /// The one with this handle, as `keycard sessions list` shows it.
    #[arg(long, value_name = "HANDLE")]
    id: Option<String>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

/// How to reach the operators' door of a gateway.
#[derive(Args)]
pub struct Reach {
    /// Its address: `server.admin_listen`.
    #[arg(long, default_value = "http://127.0.0.1:9091")]
    url: String,
    /// A file with `server.admin_token`; without it, the variable KEYCARD_ADMIN_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Answer as JSON, for programs.
    #[arg(long)]
    pub(super) json: bool,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It was asked for in a way that cannot work.
    #[error("{0}")]
    Usage(String),
    /// It was tried.
    #[error("{0}")]
    Failed(String),
    /// What was said could not be written, or nobody reads it any more.
    #[error("{0}")]
    Unread(#[from] io::Error),
}

/// Carries out a command, and says on `out` what comes of it, as it comes.
///
/// # Errors
/// See [`Failure`]. Whoever stops reading (`keycard sessions list | head`) has read enough, which is none.
pub async fn run(
    command: &Command,
    environment: &dyn Environment,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match carry_out(command, environment, out).await {
        Err(Failure::Unread(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        ended => ended,
    }
}

async fn carry_out(
    command: &Command,
    environment: &dyn Environment,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        Command::List { user, issuer, id, json_lines, reach } => {
            let form = match (reach.json, json_lines) {
                (true, _) => Form::Document,
                (_, true) => Form::Lines,
                _ => Form::Table,
            };
            let mut which = Vec::new();
            which.extend(user.as_deref().map(|user| ("user", user)));
            which.extend(issuer.as_deref().map(|issuer| ("issuer", issuer)));
            which.extend(id.as_deref().map(|id| ("handle", id)));
            list(&Door::open(reach, environment)?, &which, Paper::new(form, out)).await
        }
        Command::End { whose, issuer, reach } => {
            let mut which = vec![match (&whose.user, &whose.id) {
                (Some(user), _) => ("user", user.as_str()),
                (None, Some(handle)) => ("handle", handle.as_str()),
                (None, None) => ("all", "true"),
            }];
            which.extend(issuer.as_deref().map(|issuer| ("issuer", issuer)));
            let door = Door::open(reach, environment)?;
            let ended: Ended = door.ask(Method::DELETE, "/admin/sessions", &which).await?;
            say(out, reach.json, &ended, &sentence(&ended))
        }
        Command::Export { file, reach } => {
            transfer::export(&Door::open(reach, environment)?, file, reach.json, out).await
        }
        Command::Import { file, again, reach } => {
            transfer::import(&Door::open(reach, environment)?, file, *again, reach.json, out).await
        }
    }
}

#[derive(Deserialize, Serialize)]
struct Ended {
    ended: usize,
}

/// All pages, each as it comes.
async fn list(door: &Door, which: &[(&str, &str)], mut paper: Paper<'_>) -> Result<(), Failure> {
    let (mut cursor, mut unreadable, mut shown) = (None, 0, Shown::default());
    loop {
        let mut query = vec![("limit", "1000")];
        query.extend(which);
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page: Page = door.ask(Method::GET, "/admin/sessions", &query).await?;
        page.sessions.retain(|line| shown.is_new(&line.handle));
        page.sessions.sort_by(|one, other| one.started.cmp(&other.started));
        paper.lines(&page.sessions)?;
        unreadable += page.unreadable;
        cursor = page.next;
        if cursor.is_none() {
            return Ok(paper.end(unreadable)?);
        }
    }
}

/// The handles that were shown last.
#[derive(Default)]
struct Shown {
    handles: HashSet<String>,
    order: VecDeque<String>,
}

impl Shown {
    fn is_new(&mut self, handle: &str) -> bool {
        if !self.handles.insert(handle.to_owned()) {
            return false;
        }
        self.order.push_back(handle.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.handles.remove(&oldest);
        }
        true
    }
}

fn sentence(ended: &Ended) -> String {
    match ended.ended {
        1 => "1 session ended".to_owned(),
        count => format!("{count} sessions ended"),
    }
}

/// One answer, for a program or for a person.
pub(super) fn say(
    out: &mut dyn Write,
    json: bool,
    answer: &impl Serialize,
    sentence: &str,
) -> Result<(), Failure> {
    if json {
        serde_json::to_writer_pretty(&mut *out, answer).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{sentence}")?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests;
