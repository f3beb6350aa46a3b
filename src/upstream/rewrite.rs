//! What an app says about its own address, made into what browsers know it by.
//!
//! I own: the rewriting of `Location`, `Content-Location`, `Refresh`, and of `Domain` and `Path` in `Set-Cookie`; pure
//! functions from a value to a value. I may call: `domain`. I never change what does not point at the upstream itself,
//! and never make an address of another place: what was no redirect to elsewhere does not become one.

use crate::domain::legacy::HostPolicy;
use crate::domain::origin::Origin;
use crate::domain::route::Route;

/// The two names of one app: the route knows the inner one, the origin is the outer one.
pub(super) struct Rewriter<'r> {
    route: &'r Route,
    public: &'r Origin,
}

/// Host and port of an address; no port where it is the scheme's own.
#[derive(PartialEq, Eq)]
struct Name {
    host: String,
    port: Option<u16>,
}

/// An address with a host.
struct Pointer<'t> {
    /// `None` for `//host/…`.
    secure: Option<bool>,
    name: Name,
    path: &'t str,
    /// From `?` or `#` on.
    tail: &'t str,
}

impl<'r> Rewriter<'r> {
    pub(super) fn new(route: &'r Route, public: &'r Origin) -> Self {
        Self { route, public }
    }

    /// The address for browsers; `None` where there is nothing to change.
    pub(super) fn location(&self, text: &str) -> Option<String> {
        // What parsers read in several ways is left as it is: browsers drop tabs and take `\` for `/`.
        if text.chars().any(|c| c == '\\' || c.is_control() || c.is_whitespace()) {
            return None;
        }
        let rewritten = match pointer(text) {
            Some(pointer) => self.pointed(&pointer)?,
            None if text.starts_with('/') && !text.starts_with("//") => {
                self.route.legacy.base.as_ref()?;
                let (path, tail) = split_tail(text);
                // `/base//evil.test` would become `//evil.test`, which is another host.
                self.outer_path(path).filter(|path| !path.starts_with("//"))? + tail
            }
            None => return None,
        };
        (rewritten != text).then_some(rewritten)
    }

    /// `5; url=…`, with or without quotes (HTML section 7.5, "shared declarative refresh steps").
    pub(super) fn refresh(&self, text: &str) -> Option<String> {
        let at = text.find([';', ','])?;
        let (delay, rest) = text.split_at(at + 1);
        let blank = |c: char| c.is_ascii_whitespace();
        let lead = rest.len() - rest.trim_start_matches(blank).len();
        let named = &rest[lead..];
        let value = named.get(..3).filter(|word| word.eq_ignore_ascii_case("url")).and_then(|_| {
            named[3..]
                .trim_start_matches(blank)
                .strip_prefix('=')
                .map(|value| value.trim_start_matches(blank))
        });
        let address = value.unwrap_or(named).trim_end_matches(blank);
        let quote = address.chars().next().filter(|c| matches!(c, '"' | '\''));
        let bare = match quote {
            Some(quote) => address.strip_prefix(quote)?.strip_suffix(quote)?,
            None => address,
        };
        if bare.contains(['"', '\'']) {
            return None;
        }
        let quote = quote.map(String::from).unwrap_or_default();
        self.location(bare).map(|new| format!("{delay} url={quote}{new}{quote}"))
    }

    /// A cookie line without a `Domain` that names the upstream, and with the `Path` that browsers see.
    pub(super) fn set_cookie(&self, line: &str) -> Option<String> {
        let mut parts = line.split(';');
        let pair = parts.next()?;
        // RFC 6265bis section 4.1.3.2: such a cookie is for the whole host, or for nobody.
        let whole_host = pair.trim_start().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("__host-"));
        let (mut out, mut changed) = (pair.to_owned(), false);
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("domain")
                && self.is_own_host(value.strip_prefix('.').unwrap_or(value))
            {
                changed = true;
                continue;
            }
            let path = Some(value)
                .filter(|_| name.eq_ignore_ascii_case("path") && !whole_host)
                .and_then(|path| self.cookie_path(path));
            match path {
                Some(path) => {
                    changed |= path != value;
                    out.push_str("; Path=");
                    out.push_str(&path);
                }
                None => {
                    out.push(';');
                    out.push_str(part);
                }
            }
        }
        changed.then_some(out)
    }

    fn pointed(&self, pointer: &Pointer<'_>) -> Option<String> {
        let Pointer { secure, name, path, tail } = pointer;
        let policy = &self.route.legacy.host;
        let is_public =
            *policy == HostPolicy::Public && Some(name) == split_authority(self.public.authority()).as_ref();
        // Whoever says https on an http origin knows something that we do not.
        let is_downgrade = *secure == Some(true) && !self.public.is_secure();
        if !(self.is_own_name(name) || self.is_own_port(name) || (is_public && !is_downgrade)) {
            return None;
        }
        let path = self.outer_path(if path.is_empty() { "/" } else { path })?;
        Some(format!("{}{path}{tail}", self.public.as_str()))
    }

    fn is_own_name(&self, name: &Name) -> bool {
        let literal = match &self.route.legacy.host {
            HostPolicy::Literal(literal) => split_authority(literal),
            HostPolicy::Public | HostPolicy::Upstream => None,
        };
        let mut addresses = self.route.upstreams.iter();
        literal.as_ref() == Some(name)
            || addresses.any(|address| split_authority(&address.authority).as_ref() == Some(name))
    }

    /// The host that the app was told and the port that it listens on: what nginx and others make of the two.
    fn is_own_port(&self, name: &Name) -> bool {
        let told = match &self.route.legacy.host {
            HostPolicy::Public => split_authority(self.public.authority()),
            HostPolicy::Literal(literal) => split_authority(literal),
            HostPolicy::Upstream => None,
        };
        let mut own = self.route.upstreams.iter().filter_map(|address| split_authority(&address.authority));
        told.is_some_and(|told| told.host == name.host)
            && own.any(|own| own.port.is_some() && own.port == name.port)
    }

    fn is_own_host(&self, host: &str) -> bool {
        let is = |authority: &str| {
            split_authority(authority).is_some_and(|name| name.host.eq_ignore_ascii_case(host))
        };
        let literal = match &self.route.legacy.host {
            HostPolicy::Literal(literal) => is(literal),
            HostPolicy::Public | HostPolicy::Upstream => false,
        };
        // The public host may have the upstream's name; then the cookie is right as it is.
        let public =
            split_authority(self.public.authority()).is_some_and(|name| name.host.eq_ignore_ascii_case(host));
        !public && (literal || self.route.upstreams.iter().any(|address| is(&address.authority)))
    }

    /// The path that leads browsers to a path of the app; `None` when the app has it outside of its base. What begins
    /// with the route's prefix already was made by an app that knows it (`X-Forwarded-Prefix`).
    fn outer_path(&self, path: &str) -> Option<String> {
        let Some(base) = &self.route.legacy.base else { return Some(path.to_owned()) };
        let (outer, inner) = (self.route.prefix.stem(), base.stem());
        if outer.len() >= inner.len() && beyond(path, outer).is_some() {
            return Some(path.to_owned());
        }
        Some(match beyond(path, inner)? {
            "" => self.route.prefix.as_str().to_owned(),
            rest => format!("{outer}{rest}"),
        })
    }

    /// Without the slash at the end that would exclude the prefix itself (RFC 6265 section 5.1.4).
    fn cookie_path(&self, path: &str) -> Option<String> {
        let base = self.route.legacy.base.as_ref()?;
        if path.strip_suffix('/').unwrap_or(path) == base.stem() && path.starts_with('/') {
            let stem = self.route.prefix.stem();
            return Some(if stem.is_empty() { "/".to_owned() } else { stem.to_owned() });
        }
        let is_plain = path.starts_with('/') && !path.chars().any(char::is_control);
        self.outer_path(path).filter(|_| is_plain)
    }
}

/// What follows a prefix of whole segments.
fn beyond<'p>(path: &'p str, stem: &str) -> Option<&'p str> {
    path.strip_prefix(stem).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn pointer(text: &str) -> Option<Pointer<'_>> {
    let after = |scheme: &str| {
        let begins = text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
        begins.then(|| &text[scheme.len()..])
    };
    let (secure, rest) = match (after("https://"), after("http://"), after("//")) {
        (Some(rest), _, _) => (Some(true), rest),
        (_, Some(rest), _) => (Some(false), rest),
        (_, _, Some(rest)) => (None, rest),
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let mut name = split_authority(authority)?;
    let default = match secure {
        Some(true) => Some(443),
        Some(false) => Some(80),
        None => None,
    };
    name.port = name.port.filter(|port| Some(*port) != default);
    let (path, tail) = split_tail(rest);
    Some(Pointer { secure, name, path, tail })
}

/// Host and port; `None` for what has a user, or is no authority.
fn split_authority(authority: &str) -> Option<Name> {
    if authority.is_empty() || authority.contains('@') || !authority.is_ascii() {
        return None;
    }
    let colon = authority.rfind(':').filter(|colon| authority.rfind(']').is_none_or(|end| end < *colon));
    let (host, port) = match colon {
        Some(at) => (&authority[..at], Some(authority[at + 1..].parse().ok()?)),
        None => (authority, None),
    };
    Some(Name { host: host.to_ascii_lowercase(), port })
}

fn split_tail(text: &str) -> (&str, &str) {
    text.split_at(text.find(['?', '#']).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests;
