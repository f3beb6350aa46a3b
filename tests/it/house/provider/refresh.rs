//! Refresh tokens of the scripted provider: rotated at each use, and worth a whole family when one is used twice.
//!
//! I own: [`RefreshTokens`], and [`Gate`], at which an answer can be held. I never forgive a second use (RFC 9700 section
//! 4.14.2): whoever of the two was the thief, the family is gone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What a refresh token stands for.
#[derive(Clone)]
pub struct Family {
    pub name: String,
    /// `nonce` and `auth_time` of the sign-in.
    pub nonce: String,
    pub auth_time: i64,
}

#[derive(Default)]
pub struct RefreshTokens {
    tokens: HashMap<String, (Family, bool)>,
    over: HashSet<String>,
}

impl RefreshTokens {
    pub fn give(&mut self, token: &str, family: Family) {
        self.tokens.insert(token.to_owned(), (family, false));
    }

    /// Takes a token in: once, or any number of times where they are not rotated.
    pub fn redeem(&mut self, token: &str, rotates: bool) -> Result<Family, &'static str> {
        let Some((family, used)) = self.tokens.get_mut(token) else { return Err("unknown refresh token") };
        if self.over.contains(&family.name) {
            return Err("the family of the refresh token is over");
        }
        if std::mem::replace(used, rotates) {
            self.over.insert(family.name.clone());
            return Err("the refresh token was used before");
        }
        Ok(family.clone())
    }

    /// Ends the family of a token; whether that was in force.
    pub fn revoke(&mut self, token: &str) -> bool {
        let family = self.tokens.get(token).map(|(family, _)| family.name.clone());
        family.is_some_and(|name| self.over.insert(name))
    }

    /// Ends every family: somebody has signed out at the provider.
    pub fn revoke_all(&mut self) {
        self.over.extend(self.tokens.values().map(|(family, _)| family.name.clone()));
    }
}

/// Holds answers back until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<(bool, usize)>, Condvar)>);

impl Gate {
    /// Stands here until the gate is open.
    pub fn pass(&self) {
        let (state, news) = &*self.0;
        let mut state = state.lock().unwrap();
        state.1 += 1;
        news.notify_all();
        drop(news.wait_while(state, |(open, _)| !*open).unwrap());
    }

    /// Waits until so many answers have come here.
    pub fn wait_for(&self, count: usize) {
        let (state, news) = &*self.0;
        let waiting = news
            .wait_timeout_while(state.lock().unwrap(), Duration::from_secs(20), |(_, here)| *here < count);
        assert!(!waiting.unwrap().1.timed_out(), "nobody came to the gate");
    }

    pub fn open(&self) {
        self.0.0.lock().unwrap().0 = true;
        self.0.1.notify_all();
    }
}
