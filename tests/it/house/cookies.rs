//! The browser's cookie jar.
//!
//! I own: [`Jar`], [`Cookie`]. I keep what RFC 6265bis lets a browser keep: `Secure` from secure origins only,
//! `__Host-` only with `Secure`, `Path=/` and no `Domain`. I never mind SameSite: whether a cookie travels cross-site
//! is for the test to say, so that a gateway never gets to lean on it.

use url::Url;

/// A cookie, with its attributes as they were received.
#[derive(Clone, Debug)]
pub struct Cookie {
    pub host: String,
    pub name: String,
    pub value: String,
    pub path: String,
    pub secure: bool,
    /// Everything after the first `; `, byte for byte.
    pub attributes: String,
}

#[derive(Clone, Default, Debug)]
pub struct Jar(Vec<Cookie>);

impl Jar {
    /// Takes in one `Set-Cookie` line that `url` answered with.
    pub fn receive(&mut self, url: &Url, line: &str) {
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let attribute = |wanted: &str| {
            attributes.split(';').map(str::trim).find_map(|one| {
                let (name, value) = one.split_once('=').unwrap_or((one, ""));
                name.eq_ignore_ascii_case(wanted).then(|| value.to_owned())
            })
        };
        let cookie = Cookie {
            host: url.host_str().unwrap_or_default().to_owned(),
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            path: attribute("path").filter(|path| path.starts_with('/')).unwrap_or_else(|| "/".into()),
            secure: attribute("secure").is_some(),
            attributes: attributes.trim_start().to_owned(),
        };
        let prefixed = cookie.name.to_ascii_lowercase().starts_with("__host-");
        let sound = cookie.secure && cookie.path == "/" && attribute("domain").is_none();
        if (cookie.secure && url.scheme() != "https") || (prefixed && !sound) {
            return;
        }
        let same =
            |old: &Cookie| old.host == cookie.host && old.name == cookie.name && old.path == cookie.path;
        self.0.retain(|old| !same(old));
        let dead = attribute("max-age").and_then(|age| age.parse::<i64>().ok()).is_some_and(|age| age <= 0);
        if !dead {
            self.0.push(cookie);
        }
    }

    /// The value of a `Cookie` header for `url`, if there is anything to send.
    pub fn header(&self, url: &Url) -> Option<String> {
        let fits = |cookie: &&Cookie| {
            let stem = cookie.path.trim_end_matches('/');
            let under = url.path().strip_prefix(stem).is_some_and(|r| r.is_empty() || r.starts_with('/'));
            url.host_str() == Some(&cookie.host) && under && (!cookie.secure || url.scheme() == "https")
        };
        let pairs: Vec<String> =
            self.0.iter().filter(fits).map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    pub fn get(&self, name: &str) -> Option<&Cookie> {
        self.0.iter().find(|cookie| cookie.name == name)
    }

    /// Puts a cookie there, as an attacker on a sibling host or a thief would.
    pub fn plant(&mut self, host: &str, name: &str, value: &str) {
        self.remove(name);
        self.0.push(Cookie {
            host: host.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
            path: "/".to_owned(),
            secure: false,
            attributes: String::new(),
        });
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|cookie| cookie.name != name);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}
