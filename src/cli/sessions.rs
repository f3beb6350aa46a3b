//! `keycard sessions`: who is signed in, and that they no longer be.
//!
//! I own: the arguments, the requests to `/admin/sessions` and the table. I may call: `config` (for variables and files).
//! I never follow a redirect or use a proxy of the environment, since the token goes along; and I never print a
//! character that a stranger chose and a terminal would obey.

use crate::config::environment::Environment;
use clap::{Args, Subcommand};
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// The variable that may hold the token.
const TOKEN_VARIABLE: &str = "KEYCARD_ADMIN_TOKEN";

/// Reading through a large store takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// What can be asked.
#[derive(Subcommand)]
pub enum Command {
    /// Show who is signed in.
    List {
        /// Only this person: user id, subject or e-mail address, exactly.
        #[arg(long)]
        user: Option<String>,
        /// How to reach the gateway.
        #[command(flatten)]
        reach: Reach,
    },
    /// End sessions; their browsers are signed out at their next request.
    End {
        /// Whose sessions.
        #[command(flatten)]
        whose: Whose,
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
}

/// Carries out a command; what to print.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: &Command, environment: &dyn Environment) -> Result<String, Failure> {
    match command {
        Command::List { user, reach } => {
            let list = Door::open(reach, environment)?.list(user.as_deref()).await?;
            if reach.json { to_json(&list) } else { Ok(table(&list)) }
        }
        Command::End { whose, reach } => {
            let ended = Door::open(reach, environment)?.end(whose).await?;
            if reach.json { to_json(&ended) } else { Ok(sentence(&ended)) }
        }
    }
}

/// A page of the list, as the gateway sends it; also the whole list, as `--json` shows it.
#[derive(Default, Deserialize, Serialize)]
struct List {
    sessions: Vec<Line>,
    unreadable: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Line {
    handle: String,
    user: Person,
    provider: String,
    started: String,
    ends: String,
    last_seen: String,
    address: String,
    user_agent: String,
}

#[derive(Deserialize, Serialize)]
struct Person {
    id: String,
    subject: String,
    issuer: String,
    name: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Ended {
    ended: usize,
}

/// The operators' door, and the token for it.
pub(super) struct Door {
    client: Client,
    sessions: Url,
    token: Zeroizing<String>,
}

impl Door {
    pub(super) fn open(reach: &Reach, environment: &dyn Environment) -> Result<Self, Failure> {
        let sessions = Url::parse(&reach.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .and_then(|url| url.join("/admin/sessions").ok())
            .ok_or_else(|| Failure::Usage("--url is no address such as http://127.0.0.1:9091".into()))?;
        let client = Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE).build();
        let client =
            client.map_err(|error| Failure::Failed(format!("no connection can be made: {error}")))?;
        Ok(Self { client, sessions, token: token(reach, environment)? })
    }

    /// The same door, for something else than sessions.
    pub(super) fn at(mut self, path: &str) -> Self {
        self.sessions.set_path(path);
        self
    }

    /// All pages, each session once.
    async fn list(&self, user: Option<&str>) -> Result<List, Failure> {
        let mut all = List::default();
        loop {
            let mut query = vec![("limit", "1000")];
            query.extend(user.map(|user| ("user", user)));
            let cursor = all.next.take();
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: List = self.ask(Method::GET, &query).await?;
            for line in page.sessions {
                if all.sessions.iter().all(|known| known.handle != line.handle) {
                    all.sessions.push(line);
                }
            }
            all.unreadable += page.unreadable;
            all.next = page.next;
            if all.next.is_none() {
                all.sessions.sort_by(|one, other| one.started.cmp(&other.started));
                return Ok(all);
            }
        }
    }

    async fn end(&self, whose: &Whose) -> Result<Ended, Failure> {
        let pair = match (&whose.user, &whose.id) {
            (Some(user), _) => ("user", user.as_str()),
            (None, Some(handle)) => ("handle", handle.as_str()),
            (None, None) => ("all", "true"),
        };
        self.ask(Method::DELETE, &[pair]).await
    }

    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let mut url = self.sessions.clone();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let failed = |what: String| Failure::Failed(what);
        let address = self.sessions.origin().ascii_serialization();
        let answer = self
            .client
            .request(method, url)
            .header(AUTHORIZATION, format!("Bearer {}", self.token.as_str()))
            .send()
            .await
            // Without its URL, which may name a person.
            .map_err(|error| {
                let error = error.without_url();
                failed(format!("nobody answers at {address}: {error}; is `server.admin_listen` set there?"))
            })?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                return Err(failed("the gateway refuses this token: compare `server.admin_token`".into()));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                return Err(failed("the gateway cannot reach its session store; try again later".into()));
            }
            other => return Err(failed(format!("the gateway answers {other}"))),
        }
        let body = answer.bytes().await.map_err(|error| failed(error.without_url().to_string()))?;
        serde_json::from_slice(&body).map_err(|_| failed(format!("at {address} there is no Keycard")))
    }
}

fn token(reach: &Reach, environment: &dyn Environment) -> Result<Zeroizing<String>, Failure> {
    let text = match &reach.token_file {
        Some(path) => {
            let content = environment.read_file(path).map(Zeroizing::new).map_err(|error| {
                Failure::Usage(format!("--token-file {} cannot be read: {error}", path.display()))
            })?;
            String::from_utf8_lossy(&content).trim_end().to_owned()
        }
        None => environment.var(TOKEN_VARIABLE).ok_or_else(|| {
            let text = format!("no token: name a file with --token-file, or set {TOKEN_VARIABLE}");
            Failure::Usage(text)
        })?,
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::Usage("the token is empty, or has characters that no header carries".into()));
    }
    Ok(Zeroizing::new(text))
}

pub(super) fn to_json(answer: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(answer).map_err(|error| Failure::Failed(error.to_string()))
}

fn sentence(ended: &Ended) -> String {
    match ended.ended {
        1 => "1 session ended".to_owned(),
        count => format!("{count} sessions ended"),
    }
}

/// Columns below each other, the widest cell of each giving its width; the last one is as long as it is.
fn table(list: &List) -> String {
    let head = ["HANDLE", "USER", "E-MAIL", "PROVIDER", "STARTED", "LAST SEEN", "ENDS", "ADDRESS", "BROWSER"];
    let mut rows = vec![head.map(str::to_owned)];
    for line in &list.sessions {
        let email = line.user.email.as_deref().unwrap_or("-");
        let cells = [
            &line.handle,
            &line.user.id,
            email,
            &line.provider,
            &line.started,
            &line.last_seen,
            &line.ends,
            &line.address,
            &line.user_agent,
        ];
        rows.push(cells.map(harmless));
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 9] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    if list.unreadable > 0 {
        text.push_str(&format!("and {} that do not open with the gateway's keys\n", list.unreadable));
    }
    text.trim_end().to_owned()
}

/// Names, addresses and browsers are what strangers say they are.
fn harmless(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests;
