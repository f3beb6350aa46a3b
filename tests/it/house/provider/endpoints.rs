//! The endpoints of the scripted provider.
//!
//! I own: what each endpoint answers, and the checks of an authorization server (RFC 6749 section 4.1.3, RFC 7636
//! section 4.6). I may call: `super`. I never let a script reach further than its own endpoint.

use super::forge::Forge;
use super::keys::{b64, keys};
use super::script::{Canned, Place};
use super::{CLIENT_ID, CLIENT_SECRET, Call, Grant, State, person};
use crate::it::house::evidence;
use crate::it::house::server::{After, Exchange};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Mutex;

pub(super) fn answer(state: &Mutex<State>, exchange: &mut Exchange) -> After {
    let place = match exchange.head.path() {
        "/.well-known/openid-configuration" => Place::Discovery,
        "/jwks" => Place::Jwks,
        "/authorize" => Place::Authorize,
        "/token" => Place::Token,
        "/userinfo" => Place::UserInfo,
        "/end_session" => Place::EndSession,
        path if path.starts_with("/canary") => Place::Canary,
        _ => Place::Nowhere,
    };
    let body = String::from_utf8_lossy(&exchange.body()).into_owned();
    let call = Call { place, head: exchange.head.clone(), body };
    let (canned, reply) = {
        let mut state = state.lock().unwrap();
        state.calls.push(call.clone());
        let canned = state.script.canned.get(&place).cloned();
        // The secrets that a request shows are secrets even when its answer is a canned one.
        note_secrets(&call);
        let reply = if canned.is_none() { Some(state.reply(&call)) } else { None };
        (canned, reply)
    };
    match (canned, reply) {
        (Some(Canned::HangUp), _) => After::Close,
        (Some(Canned::Reply(status, headers, body)), _) => {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            exchange.reply(status, &headers, &body)
        }
        (None, Some(Reply::Json(status, value))) => {
            let headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")];
            exchange.reply(status, &headers, value.to_string().as_bytes())
        }
        (None, Some(Reply::Redirect(location))) => {
            exchange.reply(302, &[("Location", &location), ("Cache-Control", "no-store")], b"")
        }
        (None, Some(Reply::Page(text))) => {
            exchange.reply(200, &[("Content-Type", "text/html")], text.as_bytes())
        }
        (None, None) => After::Close,
    }
}

enum Reply {
    Json(u16, Value),
    Redirect(String),
    Page(&'static str),
}

impl State {
    fn reply(&mut self, call: &Call) -> Reply {
        match call.place {
            Place::Discovery => Reply::Json(200, self.discovery()),
            Place::Jwks => {
                let mut set = keys().published();
                if let Some(bend) = &self.script.jwks {
                    bend(&mut set);
                }
                Reply::Json(200, set)
            }
            Place::Authorize => self.authorize(call),
            Place::Token => match self.token(call) {
                Ok(value) => Reply::Json(200, value),
                Err((status, error, why)) => {
                    self.complaints.push(why.to_owned());
                    Reply::Json(status, json!({"error": error, "error_description": why}))
                }
            },
            Place::UserInfo => self.userinfo(call),
            Place::EndSession => Reply::Page("<p>signed out at the provider</p>"),
            Place::Canary | Place::Nowhere => Reply::Json(404, json!({})),
        }
    }

    fn discovery(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let mut metadata = json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/jwks"),
            "end_session_endpoint": at("/end_session"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [
                "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256"
            ],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        if let Some(bend) = &self.script.discovery {
            bend(&mut metadata);
        }
        metadata
    }

    // Whoever comes is signed in at once.
    fn authorize(&mut self, call: &Call) -> Reply {
        let asked = |name: &str| call.query(name).unwrap_or_default();
        for (name, expected) in [("client_id", CLIENT_ID), ("response_type", "code")] {
            if asked(name) != expected {
                self.complaints.push(format!("authorize: {name} is {:?}", asked(name)));
            }
        }
        if asked("code_challenge_method") != "S256" || asked("code_challenge").len() != 43 {
            self.complaints.push("authorize: no S256 challenge".to_owned());
        }
        let code = self.draw("code");
        self.grants.insert(
            code.clone(),
            Grant {
                redirect_uri: asked("redirect_uri"),
                challenge: asked("code_challenge"),
                nonce: asked("nonce"),
                used: false,
            },
        );
        let mut pairs = vec![("code".to_owned(), code)];
        pairs.extend(call.query("state").map(|state| ("state".to_owned(), state)));
        pairs.push(("iss".to_owned(), self.issuer.clone()));
        if let Some(bend) = &self.script.callback {
            bend(&mut pairs);
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        let target = asked("redirect_uri");
        let joint = if target.contains('?') { '&' } else { '?' };
        Reply::Redirect(format!("{target}{joint}{}", query.finish()))
    }

    fn token(&mut self, call: &Call) -> Result<Value, (u16, &'static str, &'static str)> {
        if client_of(call) != Some((CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned())) {
            return Err((401, "invalid_client", "client authentication failed"));
        }
        if call.form("grant_type").as_deref() != Some("authorization_code") {
            return Err((400, "unsupported_grant_type", "not an authorization code"));
        }
        let ignore_pkce = self.script.ignore_pkce;
        let code = call.form("code").unwrap_or_default();
        let Some(grant) = self.grants.get_mut(&code) else {
            return Err((400, "invalid_grant", "unknown code"));
        };
        if std::mem::replace(&mut grant.used, true) {
            return Err((400, "invalid_grant", "the code was used before"));
        }
        if call.form("redirect_uri").as_ref() != Some(&grant.redirect_uri) {
            return Err((400, "invalid_grant", "another redirect_uri"));
        }
        let verifier = call.form("code_verifier").unwrap_or_default();
        let challenge = b64(digest::digest(&digest::SHA256, verifier.as_bytes()));
        if !ignore_pkce && (verifier.len() < 43 || challenge != grant.challenge) {
            return Err((400, "invalid_grant", "PKCE verification failed"));
        }
        let nonce = grant.nonce.clone();
        Ok(self.issue(&nonce))
    }

    fn issue(&mut self, nonce: &str) -> Value {
        let access = self.draw("access");
        let refresh = self.draw("refresh");
        let now = self.clock.unix();
        let mut claims = person(&self.script);
        self.tokens.insert(access.clone(), claims.clone());
        for (name, value) in [
            ("iss", json!(self.issuer)),
            ("aud", json!(CLIENT_ID)),
            ("exp", json!(now + 300)),
            ("iat", json!(now)),
            ("auth_time", json!(now)),
            ("nonce", json!(nonce)),
            ("sid", json!("provider-session-1")),
        ] {
            claims[name] = value;
        }
        let mut forge = Forge {
            header: json!({"alg": "RS256", "kid": "rs256", "typ": "JWT"}),
            claims,
            keys: keys(),
            now,
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            access_token: access.clone(),
            canary: format!("{}/canary", self.issuer),
            previous: self.previous.clone(),
        };
        let id_token = match self.script.id_token.clone() {
            Some(make) => make(&mut forge),
            None => forge.sign(),
        };
        evidence::secret("id_token", &id_token);
        self.previous = Some(id_token.clone());
        let mut answer = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": refresh,
            "id_token": id_token,
            "scope": "openid profile email",
        });
        if let Some(bend) = &self.script.token {
            bend(&mut answer);
        }
        answer
    }

    fn userinfo(&mut self, call: &Call) -> Reply {
        let bearer = call.head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let Some(mut claims) = bearer.and_then(|token| self.tokens.get(token)).cloned() else {
            self.complaints.push("userinfo: no access token of ours in the header".to_owned());
            return Reply::Json(401, json!({"error": "invalid_token"}));
        };
        if let Some(bend) = &self.script.userinfo {
            bend(&mut claims);
        }
        Reply::Json(200, claims)
    }

    // Not predictable by anything that could end up in a page by itself, so that a hit of the sweep is a leak.
    fn draw(&mut self, kind: &str) -> String {
        self.issued += 1;
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).unwrap();
        let value = b64(bytes);
        evidence::secret(kind, &value);
        value
    }
}

/// Id and secret by which a client authenticates: exactly one method (RFC 6749 section 2.3).
fn client_of(call: &Call) -> Option<(String, String)> {
    let posted = call.form("client_id").zip(call.form("client_secret"));
    let Some(header) = call.head.header("authorization") else { return posted };
    let pair = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    // application/x-www-form-urlencoded, each part by itself.
    let decode = |text: &str| {
        let pair = format!("v={text}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    if call.form("client_secret").is_some() {
        return None;
    }
    decode(id).zip(decode(secret))
}

fn note_secrets(call: &Call) {
    if let Some(verifier) = call.form("code_verifier") {
        evidence::secret("verifier", &verifier);
    }
    if let Some(basic) = call.head.header("authorization").and_then(|value| value.strip_prefix("Basic ")) {
        evidence::secret("client_secret", basic);
    }
}
