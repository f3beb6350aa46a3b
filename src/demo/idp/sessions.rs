//! Who is signed in at the provider itself: its own sessions behind its own cookie.
//!
//! I own: [`Sessions`] and the cookie. I may call: `people`, `keyring` for random names. I never share anything with
//! the gateway: to it, this provider is a stranger on another host.

use super::people::Person;
use crate::keyring::{self, NoRandomness};
use std::collections::{HashMap, HashSet};

/// The provider lives on 127.0.0.1 and the gateway on localhost: cookies know hosts, but no ports.
const COOKIE: &str = "demo-id";

/// How long a person stays signed in at the provider, in seconds.
const LIFETIME: i64 = 8 * 3600;

/// A person who is signed in here.
#[derive(Clone)]
pub(super) struct SignedIn {
    pub(super) person: &'static Person,
    /// The name of this session that clients learn.
    pub(super) sid: String,
    pub(super) auth_time: i64,
}

/// All of them, and who has agreed to be known to the client.
#[derive(Default)]
pub(super) struct Sessions {
    by_cookie: HashMap<String, SignedIn>,
    consents: HashSet<&'static str>,
}

impl Sessions {
    /// Begins a session in place of the one that the browser had; the `Set-Cookie` line.
    pub(super) fn begin(
        &mut self,
        cookies: Option<&str>,
        person: &'static Person,
        now: i64,
    ) -> Result<String, NoRandomness> {
        self.end(cookies);
        self.by_cookie.retain(|_, other| now - other.auth_time < LIFETIME);
        let value = keyring::new_text::<32>()?.to_string();
        let sid = keyring::new_text::<16>()?.to_string();
        let line = format!("{COOKIE}={value}; HttpOnly; SameSite=Lax; Path=/");
        self.by_cookie.insert(value, SignedIn { person, sid, auth_time: now });
        Ok(line)
    }

    /// Who is there.
    pub(super) fn find(&self, cookies: Option<&str>, now: i64) -> Option<SignedIn> {
        let found = self.by_cookie.get(value_of(cookies?)?)?;
        (now - found.auth_time < LIFETIME).then(|| found.clone())
    }

    /// Ends the session, if there is one.
    pub(super) fn end(&mut self, cookies: Option<&str>) -> Option<SignedIn> {
        self.by_cookie.remove(value_of(cookies?)?)
    }

    pub(super) fn consents(&mut self, person: &Person) -> bool {
        self.consents.contains(person.login)
    }

    pub(super) fn consent(&mut self, person: &Person) {
        self.consents.insert(person.login);
    }
}

/// The `Set-Cookie` line that removes the cookie.
pub(super) fn removal() -> String {
    format!("{COOKIE}=; Max-Age=0; HttpOnly; SameSite=Lax; Path=/")
}

fn value_of(cookies: &str) -> Option<&str> {
    let pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value).next()
}
