//! What a reload cannot change.
//!
//! I own: [`Fixed`], the list of keys that are read once, at the start. I may call: `keyring` (digests). I never keep a
//! value: a digest tells that a key has changed, and not from what to what.
//!
//! Every setting of `[server]`, `[session]` and `[log]` is taken apart by name here. Whoever adds one has to say in this
//! file whether a reload applies it; until then nothing compiles.

use crate::config::{
    AdminSettings, EmbeddedSettings, KeySource, LogSettings, RedisSettings, ServerSettings, SessionSettings,
    Settings, StoreSettings,
};
use crate::domain::cookie_reach::CookieReach;
use crate::domain::door::DoorLimits;
use crate::keyring::sha256;
use secrecy::ExposeSecret as _;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// The keys that need a restart, each with the digest of its value.
#[derive(Clone)]
pub struct Fixed(BTreeMap<&'static str, [u8; 32]>);

impl Fixed {
    /// Those of these settings.
    pub fn of(settings: &Settings) -> Self {
        // `[[provider]]`, `[identity]`, `[[route]]` and `[pages]` are reloaded whole.
        let Settings {
            server,
            session,
            log,
            providers: _,
            identity: _,
            routes: _,
            pages: _,
            from_environment: _,
        } = settings;
        let mut fixed = Self(BTreeMap::new());
        fixed.server(server);
        fixed.session(session);
        let LogSettings { format, level } = log;
        fixed.note("log.format", format);
        fixed.note("log.level", level);
        fixed
    }

    /// The keys whose values differ, by name.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let differs =
            |key: &&&'static str| other.0.get(**key).is_some_and(|digest| self.0.get(**key) != Some(digest));
        self.0.keys().filter(differs).copied().collect()
    }

    fn server(&mut self, server: &ServerSettings) {
        let ServerSettings {
            listen,
            origins,
            prefix,
            trusted_proxies,
            dev,
            workers,
            header_timeout,
            keep_alive,
            limits,
            drain_timeout,
            health_listen,
            admin,
            reload,
        } = server;
        self.note("server.listen", listen);
        self.note("server.public_url", origins);
        self.note("server.prefix", prefix);
        // The door that counts connections keeps its own list.
        self.note("server.trusted_proxies", trusted_proxies);
        self.note("server.dev", dev);
        self.note("server.workers", workers);
        self.note("server.header_timeout", header_timeout);
        self.note("server.keep_alive", keep_alive);
        self.note("server.drain_timeout", drain_timeout);
        self.note("server.health_listen", health_listen);
        self.door(limits);
        // The token is reloaded, as long as there is a door.
        let admin_listen = admin.as_ref().map(|AdminSettings { listen, token: _ }| listen);
        self.note("server.admin_listen", &admin_listen);
        self.note("server.reload", reload);
    }

    fn door(&mut self, limits: &DoorLimits) {
        let DoorLimits {
            max_connections,
            max_connections_per_address,
            max_header_bytes,
            max_headers,
            max_uri,
            body_stall_timeout,
            write_stall_timeout,
            login_rate,
        } = limits;
        self.note("server.max_connections", max_connections);
        self.note("server.max_connections_per_address", max_connections_per_address);
        self.note("server.max_header_bytes", max_header_bytes);
        self.note("server.max_headers", max_headers);
        self.note("server.max_uri", max_uri);
        self.note("server.body_stall_timeout", body_stall_timeout);
        self.note("server.write_stall_timeout", write_stall_timeout);
        self.note("server.login_rate", login_rate);
    }

    fn session(&mut self, session: &SessionSettings) {
        let SessionSettings { store, keys, limits, endings, near, reach } = session;
        match store {
            StoreSettings::Memory => self.note("session.store", &"memory"),
            StoreSettings::Embedded(EmbeddedSettings { path, dev: _ }) => {
                self.note("session.store", &"embedded");
                self.note("session.store_path", path);
            }
            StoreSettings::Redis(RedisSettings { url, prefix, timeout, ca_pem }) => {
                self.note("session.store", &url.expose_secret());
                self.note("session.store_prefix", prefix);
                self.note("session.store_timeout", timeout);
                self.note("session.store_ca_file", ca_pem);
            }
        }
        // The keys themselves are reloaded, from wherever they come; one that is made up lasts as long as the process.
        self.note("session.keys", &matches!(keys, KeySource::MadeUp(_)));
        self.note("session.idle_timeout", &limits.idle);
        self.note("session.lifetime", &limits.lifetime);
        self.note("session.revocable", &endings.revocable);
        self.note("session.max_per_user", &endings.cap.map(|cap| cap.most));
        self.note("session.at_limit", &endings.cap.map(|cap| cap.at_limit));
        self.note("session.cache_sessions", &near.sessions);
        self.note("session.cache_bytes", &near.bytes);
        self.note("session.outage_grace", &near.outage_grace);
        self.note("session.same_site", &matches!(reach, CookieReach::Strict));
        self.note("session.embed", &reach.parents());
    }

    fn note(&mut self, key: &'static str, value: &dyn Debug) {
        let text = zeroize::Zeroizing::new(format!("{value:?}"));
        self.0.insert(key, sha256(text.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::{Environment, Variable};
    use crate::config::parse;
    use std::io;
    use std::path::Path;

    struct Nothing;

    impl Environment for Nothing {
        fn var(&self, _: &str) -> Option<String> {
            None
        }

        fn variables(&self, _: &str) -> Vec<Variable> {
            Vec::new()
        }

        fn read_file(&self, _: &Path) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn file_mode(&self, _: &Path) -> Option<u32> {
            None
        }
    }

    const KEY: &str = "a2V5Y2FyZC10ZXN0LXNlYWxpbmcta2V5LTMyLWJ5dGU=";
    const OTHER_KEY: &str = "b2V5Y2FyZC10ZXN0LXNlYWxpbmcta2V5LTMyLWJ5dGU=";

    fn fixed(server: &str, session: &str, rest: &str) -> Fixed {
        let text = format!(
            "[server]\npublic_url = \"https://apps.example.com\"\n{server}\n[session]\n{session}\n\
             [[provider]]\nid = \"corp\"\nissuer = \"https://idp.example.com\"\nclient_id = \"keycard\"\n\
             client_secret = \"a-secret-of-the-relying-party\"\n\
             [[route]]\npath = \"/\"\nupstream = \"http://127.0.0.1:1\"\naccess = \"signed-in\"\n{rest}"
        );
        let settings = parse("keycard.toml", &text, &Nothing);
        Fixed::of(&settings.unwrap_or_else(|problems| panic!("{text}\n{problems}")))
    }

    #[test]
    fn every_key_that_is_read_once_is_told_by_its_name() {
        let admin = "admin_token = \"0123456789012345678901234567890123\"\nadmin_listen = ";
        let redis = format!("store = \"redis://a:1\"\nkeys = [\"{KEY}\"]");
        for (one, other, expected) in [
            (("", ""), ("", ""), vec![]),
            (("", ""), ("listen = \"127.0.0.1:8080\"", ""), vec![]),
            (("", ""), ("listen = \"127.0.0.1:8081\"", ""), vec!["server.listen"]),
            (("", ""), ("prefix = \"/auth\"\nworkers = 3", ""), vec!["server.prefix", "server.workers"]),
            (("", ""), ("trusted_proxies = [\"10.0.0.0/8\"]", ""), vec!["server.trusted_proxies"]),
            (
                ("", ""),
                ("login_rate = \"off\"", "same_site = \"strict\""),
                vec!["server.login_rate", "session.same_site"],
            ),
            (("", ""), ("dev = true\nreload = \"watch\"", ""), vec!["server.dev", "server.reload"]),
            (("", ""), (&format!("{admin}\"127.0.0.1:9091\""), ""), vec!["server.admin_listen"]),
            (("", "store = \"memory\""), ("", "store = \"memory\""), vec![]),
            (("", "store = \"memory\""), ("", ""), vec!["session.keys", "session.store"]),
            (("", ""), ("", "store_path = \"elsewhere\""), vec!["session.store_path"]),
            (("", ""), ("", "idle_timeout = \"5m\""), vec!["session.idle_timeout"]),
            (("", ""), ("", "outage_grace = \"5m\""), vec!["session.outage_grace"]),
            (("", ""), ("", "revocable = false"), vec!["session.revocable"]),
            (("", "max_per_user = 2"), ("", "max_per_user = 3"), vec!["session.max_per_user"]),
            (("", &redis), ("", &redis.replace("a:1", "b:1")), vec!["session.store"]),
            (("", &redis), ("", &redis.replace(KEY, OTHER_KEY)), vec![]),
            (("", ""), ("", &format!("keys = [\"{KEY}\"]")), vec![]),
            (
                ("", "store = \"memory\""),
                ("", &format!("store = \"memory\"\nkeys = [\"{KEY}\"]")),
                vec!["session.keys"],
            ),
        ] {
            let (before, after) =
                (fixed(one.0, one.1, ""), fixed(other.0, other.1, "[log]\nformat = \"json\""));
            let mut differences = before.differences(&after);
            differences.retain(|key| *key != "log.format");
            assert_eq!(differences, expected, "{other:?}");
        }
    }
}
