//! What every measurement needs: a gateway without a listener, sessions in its store, requests with them.
//!
//! I own: [`House`] and the sizes of what a provider issues. I may call: `config::parse`, `app::App`, and the doors of the
//! crate that are made for benches. I never start Redis: `benches/run` does, and says where it is.

use actix_web::test::TestRequest;
use keycard::app::App;
use keycard::config::environment::{Environment, Variable};
use keycard::config::{self, Settings};
use keycard::domain::claim::ClaimValue;
use keycard::domain::identity::{Identity, Issuer, ProviderId, Subject};
use keycard::domain::renewal::Renewal;
use keycard::domain::secret::{AccessToken, RawIdToken, RefreshToken};
use keycard::domain::session::{Session, Sid, SignInPlace, Ticket, TokenSet};
use keycard::domain::time::Timestamp;
use keycard::inbound::Current;
use keycard::keyring::{MasterKey, new_text, new_ticket};
use keycard::ports::{Clock, FeedState};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// The public origin: https, so that the cookie is the real one.
const HOST: &str = "apps.example.com";

/// Characters of an opaque access token and of a refresh token, of an ID token signed by RS256 with a dozen claims,
/// and by how much a JWT as an access token is longer than an opaque one: as much as the two figures for
/// mod_auth_openidc differ.
const OPAQUE: usize = 43;
const ID_TOKEN: usize = 900;
const JWT_MORE: usize = 768;

/// What the access tokens are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A random text.
    Opaque,
    /// A signed token.
    Jwt,
}

/// A gateway over the Redis at a port; its connections live on a runtime of their own.
pub struct House {
    _runtime: Runtime,
    _app: App,
    pub current: actix_web::web::Data<Current>,
    pub clock: Arc<dyn Clock>,
}

impl House {
    /// Puts it together and waits until its feed is heard.
    pub fn open(redis: u16, key: &str, clock: Arc<dyn Clock>) -> Self {
        Self::open_as("", redis, key, clock)
    }

    /// As a user of Redis: `name:password@`.
    pub fn open_as(user: &str, redis: u16, key: &str, clock: Arc<dyn Clock>) -> Self {
        // Its own threads: what is measured runs on the caller's, as it would on a worker's.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let app = runtime.block_on(App::build(settings_as(user, redis, key), Arc::clone(&clock))).unwrap();
        let current = app.current();
        let store = Arc::clone(&current.desk().gateway.store);
        for _ in 0..1000 {
            if matches!(store.feed(), FeedState::Up(_)) {
                return Self { _runtime: runtime, _app: app, current, clock };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("there is no feed from the Redis at port {redis}");
    }

    /// A new session in the store, and the cookie that leads to it.
    pub async fn sign_in(current: &Current, number: usize, access: Access, now: Timestamp) -> String {
        let desk = current.desk();
        let ticket: Ticket = new_ticket().unwrap();
        desk.gateway.store.create(&ticket, &session(number, access, now), now).await.unwrap();
        desk.envelope.pair(&desk.cookies, &ticket).unwrap()
    }
}

/// As a browser sends it; with a session where there is a cookie, beside two cookies of others.
pub fn request(path: &str, cookie: Option<&str>) -> actix_http::Request {
    let others = "theme=dark; _ga=GA1.2.1234567890.1700000000";
    let cookies = cookie
        .map_or(others.to_owned(), |cookie| format!("theme=dark; {cookie}; _ga=GA1.2.1234567890.1700000000"));
    TestRequest::get()
        .uri(path)
        .peer_addr("192.0.2.7:50000".parse().unwrap())
        .insert_header(("host", HOST))
        .insert_header(("user-agent", USER_AGENT))
        .insert_header(("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"))
        .insert_header(("accept-language", "en-GB,en;q=0.7"))
        .insert_header(("accept-encoding", "gzip, deflate, br, zstd"))
        .insert_header(("sec-fetch-site", "same-origin"))
        .insert_header(("sec-fetch-mode", "navigate"))
        .insert_header(("sec-fetch-dest", "document"))
        .insert_header(("cookie", cookies))
        .to_request()
}

const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Two routes: one for everybody, one for whoever is signed in.
pub fn settings(redis: u16, key: &str) -> Settings {
    settings_as("", redis, key)
}

fn settings_as(user: &str, redis: u16, key: &str) -> Settings {
    let text = format!(
        r#"
[server]
public_url = "https://{HOST}"
listen = "127.0.0.1:0"

[session]
store = "redis://{user}127.0.0.1:{redis}/0"
keys = ["{key}"]
cache_sessions = 2000000
cache_bytes = "12GiB"
store_timeout = "5s"

[[provider]]
id = "corp"
issuer = "https://idp.example.com/realms/corp"
client_id = "keycard"
client_secret = "of no use here, nobody signs in"

[[route]]
path = "/public/"
upstream = "http://127.0.0.1:1"
access = "public"

[[route]]
path = "/"
upstream = "http://127.0.0.1:1"
access = "signed-in"
identity_headers = "remote-user"
"#
    );
    match config::parse("bench.toml", &text, &Nothing) {
        Ok(settings) => settings,
        Err(problems) => panic!("{problems}"),
    }
}

/// A key for one run.
pub fn fresh_key() -> String {
    MasterKey::generate().unwrap().to_text().to_string()
}

/// Somebody of a large organisation.
pub fn session(number: usize, access: Access, now: Timestamp) -> Session {
    let text = |length: usize| random_text(length);
    let access = match access {
        Access::Opaque => text(OPAQUE),
        Access::Jwt => jwt_of(OPAQUE + JWT_MORE),
    };
    let subject = format!("8d1f4c1e-3b52-4f6a-9a57-{number:012x}");
    let name = |text: &str| Some(text.to_owned());
    Session {
        sid: Sid::new(text(22)),
        identity: Identity {
            issuer: Issuer::new("https://idp.example.com/realms/corp"),
            user_id: subject.clone(),
            subject: Subject::parse(&subject).unwrap(),
            name: Some(format!("Person Number {number}")),
            email: Some(format!("person.{number}@example.com")),
            email_verified: true,
            roles: vec!["editor".into(), "reader".into(), "offline_access".into()],
            groups: vec!["/staff".into(), "/staff/berlin".into()],
            claims: [("department", "Engineering"), ("locale", "en"), ("preferred_username", "person")]
                .map(|(claim, value)| (claim.to_owned(), ClaimValue::Text(value.to_owned())))
                .into(),
        },
        provider: ProviderId::parse("corp").unwrap(),
        started: now,
        ends: now.plus(Duration::from_secs(10 * 3600)),
        authenticated: Some(now),
        acr: name("1"),
        provider_sid: Some(format!("2f6b7a10-9c0d-4e3b-8f21-{number:012x}")),
        tokens: TokenSet {
            access: AccessToken::new(access),
            access_expires: Some(now.plus(Duration::from_secs(300))),
            refresh: Some(RefreshToken::new(text(OPAQUE))),
            id_token: RawIdToken::new(jwt_of(ID_TOKEN)),
        },
        renewal: Renewal::begun(now),
        place: SignInPlace { address: "192.0.2.7".to_owned(), user_agent: USER_AGENT.to_owned() },
        supersedes: None,
    }
}

/// Random characters of base64url.
fn random_text(length: usize) -> String {
    let mut text = String::new();
    while text.len() < length {
        text.push_str(&new_text::<48>().unwrap());
    }
    text.truncate(length);
    text
}

/// Three parts of base64url of the length of a token signed by RS256; nobody could pack it any tighter than its bytes.
fn jwt_of(length: usize) -> String {
    let (header, signature) = (96, 342);
    let payload = length - header - signature - 2;
    // Strict base64url has no stray bits at the end of a part: an `A` has none.
    let part = |length: usize| {
        let length = if length % 4 == 1 { length - 1 } else { length };
        format!("{}A", random_text(length - 1))
    };
    format!("{}.{}.{}", part(header), part(payload), part(signature))
}

/// The machine has no part in this.
struct Nothing;

impl Environment for Nothing {
    fn var(&self, _name: &str) -> Option<String> {
        None
    }

    fn variables(&self, _prefix: &str) -> Vec<Variable> {
        Vec::new()
    }

    fn read_file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn file_mode(&self, _path: &Path) -> Option<u32> {
        Some(0o600)
    }
}
