//! A scripted OpenID provider: exact where a provider has to be, hostile where a test tells it to be.
//!
//! I own: [`Provider`] with its endpoints, its counts and the record of what it was asked. What is honest about it is the
//! core of the demo's provider (`keycard::demo::idp`), and a script bends what that says. I may call: `keys`, `forge`,
//! `script`, `server`, `evidence` (for every secret that passes through me). My time is the test's clock. I never forgive: a token request that breaks a rule gets an error, and the rule is kept in [`Provider::complaints`].

mod endpoints;
pub mod forge;
pub mod keys;
pub mod refresh;
pub mod script;
pub mod weak;

use self::forge::Forge;
use self::refresh::{Gate, RefreshTokens};
use self::script::{Canned, Place, Script};
use super::clock::ManualClock;
use super::server::{Head, Server};
use keycard::demo::idp::back_channel;
use keycard::demo::idp::client::Client;
use keycard::demo::idp::codes::Codes;
use keycard::demo::idp::form::Form;
use rustls::ServerConfig;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// The client that is registered here. Both parts need form-encoding inside HTTP Basic (RFC 6749 section 2.3.1, R25).
pub const CLIENT_ID: &str = "keycard+rp:1%x";
pub const CLIENT_SECRET: &str = "s3cret %+/:& of the relying party, 4ever!";

/// One call, as it was seen.
#[derive(Clone, Debug)]
pub struct Call {
    pub place: Place,
    pub head: Head,
    pub body: String,
}

impl Call {
    /// A parameter of the form body.
    pub fn form(&self, name: &str) -> Option<String> {
        Form::parse(&self.body).get(name).map(str::to_owned)
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Option<String> {
        self.head.query().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

struct State {
    clock: ManualClock,
    issuer: String,
    script: Script,
    calls: Vec<Call>,
    codes: Codes<()>,
    refresh_tokens: RefreshTokens,
    /// Access tokens and the `sub` that they speak for.
    tokens: HashMap<String, Value>,
    complaints: Vec<String>,
    previous: Option<String>,
}

/// The provider. It stops when dropped.
pub struct Provider {
    server: Server,
    /// A second door to the same provider, if it has one.
    tls: Option<Server>,
    state: Arc<Mutex<State>>,
}

impl Provider {
    /// In the clear; the issuer is that very address.
    pub fn start(clock: &ManualClock) -> Self {
        let state = Arc::new(Mutex::new(State {
            clock: clock.clone(),
            issuer: String::new(),
            script: Script::default(),
            calls: Vec::new(),
            // Tests move the clock as they like: how long a code is good for is not their topic.
            codes: Codes::lasting(i64::MAX),
            refresh_tokens: RefreshTokens::default(),
            tokens: HashMap::new(),
            complaints: Vec::new(),
            previous: None,
        }));
        super::evidence::secret("client_secret", CLIENT_SECRET);
        let inside = Arc::clone(&state);
        let server = Server::start(move |exchange| endpoints::answer(&inside, exchange));
        state.lock().unwrap().issuer = format!("http://{}", server.address());
        Self { server, tls: None, state }
    }

    /// With a second door, over TLS. The issuer is `https://localhost` at that door, and so are all endpoints; the
    /// first door stays open for browsers that speak no TLS (see [`Self::plain_address`]).
    pub fn start_tls(clock: &ManualClock, config: Arc<ServerConfig>) -> Self {
        let mut provider = Self::start(clock);
        let inside = Arc::clone(&provider.state);
        let server = Server::start_tls(config, move |exchange| endpoints::answer(&inside, exchange));
        provider.state.lock().unwrap().issuer = format!("https://localhost:{}", server.address().port());
        provider.tls = Some(server);
        provider
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> String {
        self.state.lock().unwrap().issuer.clone()
    }

    /// The door without TLS.
    pub fn plain_address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Changes the script.
    pub fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.state.lock().unwrap().script);
    }

    /// Forgets the script.
    pub fn behave(&self) {
        self.script(|script| *script = Script::default());
    }

    /// Makes every ID token like this.
    pub fn make_id_token(&self, make: impl Fn(&mut Forge) -> String + Send + Sync + 'static) {
        self.script(|script| script.id_token = Some(Arc::new(make)));
    }

    /// Signs people in as somebody with these claims over the usual ones.
    pub fn person(&self, claims: Value) {
        self.script(|script| script.person = Some(claims));
    }

    /// Gives one endpoint a fixed answer.
    pub fn can(&self, place: Place, canned: Canned) {
        self.script(|script| drop(script.canned.insert(place, canned)));
    }

    /// Bends the metadata.
    pub fn bend_discovery(&self, bend: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.script(|script| script.discovery = Some(Arc::new(bend)));
    }

    /// Bends the key set.
    pub fn bend_jwks(&self, bend: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.script(|script| script.jwks = Some(Arc::new(bend)));
    }

    /// Bends the answers of the token endpoint.
    pub fn bend_token(&self, bend: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.script(|script| script.token = Some(Arc::new(bend)));
    }

    /// Bends the answers to a refresh.
    pub fn bend_refreshed(&self, bend: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.script(|script| script.refreshed = Some(Arc::new(bend)));
    }

    /// Holds the answers of an endpoint, which has done its part by then, until the gate is opened.
    pub fn hold(&self, place: Place) -> Gate {
        let gate = Gate::default();
        self.script(|script| drop(script.gates.insert(place, gate.clone())));
        gate
    }

    /// Signs everybody out: no refresh token is good any more.
    pub fn forget_everybody(&self) {
        self.state.lock().unwrap().refresh_tokens.revoke_all();
    }

    /// Bends UserInfo.
    pub fn bend_userinfo(&self, bend: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.script(|script| script.userinfo = Some(Arc::new(bend)));
    }

    /// Bends the parameters that the browser carries to the callback.
    pub fn bend_callback(&self, bend: impl Fn(&mut Vec<(String, String)>) + Send + Sync + 'static) {
        self.script(|script| script.callback = Some(Arc::new(bend)));
    }

    /// How often an endpoint was called.
    pub fn count(&self, place: Place) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|call| call.place == place).count()
    }

    /// Every call of an endpoint.
    pub fn calls(&self, place: Place) -> Vec<Call> {
        self.state.lock().unwrap().calls.iter().filter(|call| call.place == place).cloned().collect()
    }

    /// The last call of an endpoint.
    pub fn last(&self, place: Place) -> Call {
        self.calls(place).pop().unwrap_or_else(|| panic!("nobody called {place:?}"))
    }

    /// The rules that requests have broken, in order.
    pub fn complaints(&self) -> Vec<String> {
        self.state.lock().unwrap().complaints.clone()
    }

    /// A logout token about to be made, for whoever signs in here unless a test says otherwise. Each has a `jti` of its
    /// own.
    pub fn logout_forge(&self) -> Forge {
        let state = self.state.lock().unwrap();
        let (now, jti) = (state.clock.unix(), keycard::keyring::new_text::<16>().unwrap());
        let subject = person(&state.script)["sub"].as_str().unwrap().to_owned();
        let claims = back_channel::claims(&state.issuer, CLIENT_ID, &subject, endpoints::SID, &jti, now);
        Forge {
            header: json!({"alg": "RS256", "kid": "rs256", "typ": "logout+jwt"}),
            claims,
            keys: keys::keys(),
            now,
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            access_token: String::new(),
            canary: format!("{}/canary", state.issuer),
            previous: state.previous.clone(),
        }
    }

    /// The ID token that was issued last, byte for byte.
    pub fn last_id_token(&self) -> String {
        self.state.lock().unwrap().previous.clone().expect("no ID token was issued")
    }
}

/// The registration of the gateway.
fn client() -> Client {
    Client { id: CLIENT_ID.to_owned(), secret: CLIENT_SECRET.to_owned(), logout_path: None }
}

/// The claims of whoever signs in here.
fn person(script: &Script) -> Value {
    let mut claims = json!({
        "sub": "alice-0001",
        "name": "Alice Example",
        "email": "alice@example.test",
        "email_verified": true,
        "groups": ["editor", "staff"],
        "department": "ward 7",
        "salary": "not for the browser",
    });
    let over = script.person.as_ref().and_then(Value::as_object);
    for (name, value) in over.into_iter().flatten() {
        claims[name] = value.clone();
    }
    claims
}
