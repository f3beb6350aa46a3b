//! The endpoints of the scripted provider.
//!
//! I own: what each endpoint answers. I may call: `super`, and the core of the demo's provider for the honest answer and
//! for the checks of an authorization server. I never let a script reach further than its own endpoint.

use super::forge::Forge;
use super::keys::keys;
use super::refresh::Family;
use super::script::{Canned, Place};
use super::{CLIENT_ID, CLIENT_SECRET, Call, State, client, person};
use crate::it::house::evidence;
use crate::it::house::server::{After, Exchange};
use keycard::demo::idp::codes::Pkce;
use keycard::demo::idp::form::Form;
use keycard::demo::idp::token::Issue;
use keycard::demo::idp::{Refusal, authorization, metadata, token};
use serde_json::{Value, json};
use std::sync::Mutex;

pub(super) fn answer(state: &Mutex<State>, exchange: &mut Exchange) -> After {
    let place = match exchange.head.path() {
        metadata::DISCOVERY => Place::Discovery,
        metadata::JWKS => Place::Jwks,
        metadata::AUTHORIZE => Place::Authorize,
        metadata::TOKEN => Place::Token,
        REVOKE => Place::Revoke,
        metadata::USERINFO => Place::UserInfo,
        metadata::END_SESSION => Place::EndSession,
        path if path.starts_with("/canary") => Place::Canary,
        _ => Place::Nowhere,
    };
    let body = String::from_utf8_lossy(&exchange.body()).into_owned();
    let refreshes = place == Place::Token && Form::parse(&body).get("grant_type") == Some("refresh_token");
    let place = if refreshes { Place::Refresh } else { place };
    let call = Call { place, head: exchange.head.clone(), body };
    let (canned, reply, gate) = {
        let mut state = state.lock().unwrap();
        state.calls.push(call.clone());
        let canned = state.script.canned.get(&place).cloned();
        // The secrets that a request shows are secrets even when its answer is a canned one.
        note_secrets(&call);
        let reply = if canned.is_none() { Some(state.reply(&call)) } else { None };
        (canned, reply, state.script.gates.get(&place).cloned())
    };
    if let Some(gate) = gate {
        gate.pass();
    }
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

/// Where tokens are revoked (RFC 7009).
const REVOKE: &str = "/revoke";

/// The one session that everybody has here, unless a script says otherwise.
pub(super) const SID: &str = "provider-session-1";

/// What ID tokens are signed by here, when a script asks for it.
const ALGORITHMS: &[&str] =
    &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256"];

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
            Place::Token => {
                let outcome = self.token(call);
                self.told(outcome)
            }
            Place::Refresh => {
                let outcome = self.refresh(call);
                self.told(outcome)
            }
            Place::Revoke => {
                let outcome = self.revoke(call);
                self.told(outcome)
            }
            Place::UserInfo => self.userinfo(call),
            Place::EndSession => Reply::Page("<p>signed out at the provider</p>"),
            Place::Canary | Place::Nowhere => Reply::Json(404, json!({})),
        }
    }

    fn told(&mut self, outcome: Result<Value, Refusal>) -> Reply {
        match outcome {
            Ok(value) => Reply::Json(200, value),
            Err(Refusal { status, error, why }) => {
                self.complaints.push(why.to_owned());
                Reply::Json(status, json!({"error": error, "error_description": why}))
            }
        }
    }

    fn discovery(&self) -> Value {
        let mut metadata = metadata::document(&self.issuer, ALGORITHMS);
        metadata["revocation_endpoint"] = json!(format!("{}{REVOKE}", self.issuer));
        metadata["grant_types_supported"] = json!(["authorization_code", "refresh_token"]);
        if let Some(bend) = &self.script.discovery {
            bend(&mut metadata);
        }
        metadata
    }

    // Whoever comes is signed in at once.
    fn authorize(&mut self, call: &Call) -> Reply {
        let asked = Form::parse(call.head.target.split_once('?').map_or("", |(_, query)| query));
        self.complaints.extend(authorization::complaints(&asked, CLIENT_ID));
        let code = self.draw("code");
        self.codes.give(code.clone(), authorization::grant(&asked, self.clock.unix(), ()));
        let mut pairs = authorization::answer(&asked, &self.issuer, &[("code", &code)]);
        if let Some(bend) = &self.script.callback {
            bend(&mut pairs);
        }
        Reply::Redirect(authorization::way_back(asked.text("redirect_uri"), &pairs))
    }

    fn token(&mut self, call: &Call) -> Result<Value, Refusal> {
        let form = Form::parse(&call.body);
        client().authenticate(call.head.header("authorization"), &form)?;
        let pkce = if self.script.ignore_pkce { Pkce::Ignored } else { Pkce::Required };
        let grant = self.codes.redeem(&form, pkce, self.clock.unix())?;
        let family = Family {
            name: Form::parse(&call.body).text("code").to_owned(),
            nonce: grant.nonce,
            auth_time: self.clock.unix(),
        };
        Ok(self.issue(&family, Place::Token))
    }

    fn refresh(&mut self, call: &Call) -> Result<Value, Refusal> {
        let form = Form::parse(&call.body);
        client().authenticate(call.head.header("authorization"), &form)?;
        let rotates = !self.script.keeps_refresh_tokens;
        match self.refresh_tokens.redeem(form.text("refresh_token"), rotates) {
            Ok(family) => Ok(self.issue(&family, Place::Refresh)),
            Err(why) => Err(Refusal { status: 400, error: "invalid_grant", why }),
        }
    }

    fn revoke(&mut self, call: &Call) -> Result<Value, Refusal> {
        let form = Form::parse(&call.body);
        client().authenticate(call.head.header("authorization"), &form)?;
        if form.get("token_type_hint") != Some("refresh_token")
            || !self.refresh_tokens.revoke(form.text("token"))
        {
            self.complaints.push("revoke: nothing to revoke".to_owned());
        }
        Ok(json!({}))
    }

    fn issue(&mut self, family: &Family, place: Place) -> Value {
        let access = self.draw("access");
        let refresh = self.draw("refresh");
        let now = self.clock.unix();
        let nonce = family.nonce.as_str();
        let person = person(&self.script);
        self.tokens.insert(access.clone(), person.clone());
        let issue =
            Issue { issuer: &self.issuer, audience: CLIENT_ID, now, auth_time: family.auth_time, sid: SID };
        let claims = issue.id_claims(&person, nonce);
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
        let mut answer = token::answer(&access, &id_token, token::LIFETIME);
        if place == Place::Token || !self.script.keeps_refresh_tokens {
            answer["refresh_token"] = json!(refresh);
            self.refresh_tokens.give(&refresh, family.clone());
        }
        if let Some(bend) = &self.script.token {
            bend(&mut answer);
        }
        if let (Some(bend), Place::Refresh) = (&self.script.refreshed, place) {
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
        let value = keycard::keyring::new_text::<32>().unwrap().to_string();
        evidence::secret(kind, &value);
        value
    }
}

fn note_secrets(call: &Call) {
    if let Some(verifier) = call.form("code_verifier") {
        evidence::secret("verifier", &verifier);
    }
    if let Some(basic) = call.head.header("authorization").and_then(|value| value.strip_prefix("Basic ")) {
        evidence::secret("client_secret", basic);
    }
}
