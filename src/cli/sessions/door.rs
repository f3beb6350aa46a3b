//! The operators' door of a gateway, from outside.
//!
//! I own: [`Door`], the token, and what the door answers. I may call: `config` (for variables and files).
//! I never follow a redirect or use a proxy of the environment, since the token goes along, and never put a person's name
//! into an error.

use super::{Failure, Reach};
use crate::config::environment::Environment;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zeroize::Zeroizing;

/// The variable that may hold the token.
pub(super) const TOKEN_VARIABLE: &str = "KEYCARD_ADMIN_TOKEN";

/// Ending a million sessions takes its time.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often the operating system looks whether the other side is still there, where an answer may take for ever.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// A page of the list, as the gateway sends it.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) sessions: Vec<Line>,
    pub(super) unreadable: usize,
    pub(super) next: Option<String>,
}

/// One session of it.
#[derive(Deserialize, Serialize)]
pub(super) struct Line {
    pub(super) handle: String,
    pub(super) user: Person,
    pub(super) provider: String,
    pub(super) started: String,
    pub(super) ends: String,
    pub(super) last_seen: String,
    pub(super) address: String,
    pub(super) user_agent: String,
}

/// Whose it is.
#[derive(Deserialize, Serialize)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
}

/// What the gateway says when it says no.
#[derive(Deserialize)]
struct Problem {
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    key: Option<String>,
}

/// The door, and the token for it.
pub(in crate::cli) struct Door {
    client: Client,
    base: Url,
    token: Zeroizing<String>,
}

impl Door {
    pub(in crate::cli) fn open(reach: &Reach, environment: &dyn Environment) -> Result<Self, Failure> {
        let base = Url::parse(&reach.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| Failure::Usage("--url is no address such as http://127.0.0.1:9091".into()))?;
        let client = Client::builder().redirect(Policy::none()).no_proxy().tcp_keepalive(LOOK_AGAIN).build();
        let client =
            client.map_err(|error| Failure::Failed(format!("no connection can be made: {error}")))?;
        Ok(Self { client, base, token: token(reach, environment)? })
    }

    /// Asks, and reads the answer.
    pub(in crate::cli) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let request = self.request(method, path, query)?.timeout(PATIENCE);
        self.read(self.send(request).await?).await
    }

    /// Asks for something that goes on for as long as it does.
    pub(super) async fn fetch(&self, path: &str) -> Result<Response, Failure> {
        let request = self.request(Method::GET, path, &[])?;
        self.send(request).await
    }

    /// Sends something that goes on for as long as it does.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: Body,
    ) -> Result<T, Failure> {
        let request = self.request(Method::POST, path, query)?.body(body);
        self.read(self.send(request).await?).await
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<RequestBuilder, Failure> {
        let mut url = self.base.join(path).map_err(|error| Failure::Usage(error.to_string()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let token = Zeroizing::new(format!("Bearer {}", self.token.as_str()));
        Ok(self.client.request(method, url).header(AUTHORIZATION, token.as_str()))
    }

    /// The answer, if it is the one that was hoped for.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let failed = Failure::Failed;
        let address = self.base.origin().ascii_serialization();
        let answer = request.send().await.map_err(|error| {
            // Without its URL, which may name a person.
            let error = error.without_url();
            failed(format!("nobody answers at {address}: {error}; is `server.admin_listen` set there?"))
        })?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::UNAUTHORIZED => {
                Err(failed("the gateway refuses this token: compare `server.admin_token`".into()))
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                Err(failed("the gateway cannot reach its session store; try again later".into()))
            }
            other => Err(match serde_json::from_slice(&answer.bytes().await.unwrap_or_default()) {
                Ok(Problem { title, detail, key }) => {
                    let key = key.map(|key| format!(" (key {key})")).unwrap_or_default();
                    failed(format!("{title}{key}. {detail}").trim_end().to_owned())
                }
                Err(_) => failed(format!("the gateway answers {other}")),
            }),
        }
    }

    async fn read<T: DeserializeOwned>(&self, answer: Response) -> Result<T, Failure> {
        let failed = Failure::Failed;
        let address = self.base.origin().ascii_serialization();
        let body = answer.bytes().await.map_err(|error| failed(error.without_url().to_string()))?;
        serde_json::from_slice(&body).map_err(|_| failed(format!("at {address} there is no Keycard")))
    }
}

pub(super) fn token(reach: &Reach, environment: &dyn Environment) -> Result<Zeroizing<String>, Failure> {
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
