//! `redis+cluster://…` in `store`: the servers through which a cluster is found.
//!
//! I own: the form of that URL. I may call: nobody. I never quote it in a mistake: it may hold a password (R43).

use crate::config::RedisSettings;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// What is wrong with the URL of a cluster, and what to write instead.
pub(super) type Mistake = (&'static str, &'static str);

/// What the schemes of a cluster are turned into, for one server of it.
const SCHEMES: [(&str, &str); 2] = [("redis+cluster", "redis"), ("rediss+cluster", "rediss")];

const FORM: &str = "write redis+cluster://user:password@host-1:6379,host-2:6379; encode `@`, `/`, `,` and `#` in the \
                    password as %40, %2F, %2C and %23";

/// Whether this is the URL of a cluster, whatever else may be wrong with it.
pub fn is_cluster_url(url: &str) -> bool {
    SCHEMES.iter().any(|(scheme, _)| url.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")))
}

impl RedisSettings {
    /// Whether they lead to a cluster.
    pub fn is_cluster(&self) -> bool {
        is_cluster_url(self.url.expose_secret())
    }
}

/// The servers that the URL of a cluster names, each with a URL of its own. Empty for anything that is not such a URL.
pub fn cluster_seeds(url: &str) -> Vec<SecretString> {
    read(url).unwrap_or_default()
}

/// As [`cluster_seeds`], for `redis+cluster://[user:password@]host[:port][,host[:port]]…` and `rediss+cluster://…`.
///
/// # Errors
/// All mistakes.
pub(super) fn read(url: &str) -> Result<Vec<SecretString>, Vec<Mistake>> {
    let found =
        SCHEMES.iter().find_map(|(scheme, one)| Some((one, url.strip_prefix(scheme)?.strip_prefix("://")?)));
    let Some((scheme, rest)) = found else { return Err(vec![("is not the URL of a Redis cluster", FORM)]) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let mut mistakes: Vec<Mistake> = Vec::new();
    if tail.trim_start_matches('/').starts_with(|first: char| first.is_ascii_digit()) {
        mistakes.push((
            "names a database, and a Redis cluster has only one",
            "leave out what follows the hosts; several users of one cluster are told apart by `store_prefix`",
        ));
    } else if !matches!(tail, "" | "/") {
        mistakes.push(("has something behind its hosts that means nothing to a Redis cluster", FORM));
    }
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let mut seeds = Vec::new();
    let mut named = Vec::new();
    for host in hosts.split(',') {
        let at = if user.is_empty() { "" } else { "@" };
        let one = format!("{scheme}://{user}{at}{host}");
        let sound = Url::parse(&one).is_ok_and(|url| url.has_host() && url.path().is_empty());
        match sound {
            false if host.is_empty() => mistakes.push(("has a place for a host and no host", FORM)),
            false => mistakes.push(("has a host, a port, a user or a password that cannot be read", FORM)),
            true if named.contains(&host) => {
                mistakes
                    .push(("names a host twice", "name each server once; those that are left out are found"));
            }
            true => seeds.push(SecretString::from(one)),
        }
        named.push(host);
    }
    if mistakes.is_empty() { Ok(seeds) } else { Err(mistakes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_a_server_with_the_user_of_all() {
        for (url, expected) in [
            ("redis+cluster://a", &["redis://a"][..]),
            ("redis+cluster://a:1,b:2/", &["redis://a:1", "redis://b:2"]),
            ("rediss+cluster://u:p%40@a:1,[::1]:2", &["rediss://u:p%40@a:1", "rediss://u:p%40@[::1]:2"]),
        ] {
            let seeds = cluster_seeds(url);
            let seeds: Vec<&str> = seeds.iter().map(|seed| seed.expose_secret()).collect();
            assert_eq!(seeds, expected);
            assert!(is_cluster_url(url));
        }
    }

    #[test]
    fn all_mistakes_are_told() {
        let told =
            |url: &str| read(url).err().unwrap_or_default().iter().map(|(what, _)| *what).collect::<Vec<_>>();
        for (url, expected) in [
            ("redis://a", &["not the URL of a Redis cluster"][..]),
            ("redis+cluster://a/1", &["only one"]),
            ("redis+cluster://a/0", &["only one"]),
            ("redis+cluster://a:x,,b,b/3", &["only one", "cannot be read", "no host", "twice"]),
            ("redis+cluster://", &["no host"]),
            ("rediss+cluster://a#insecure", &["means nothing"]),
            ("rediss+cluster://a?protocol=resp3", &["means nothing"]),
        ] {
            let told = told(url);
            assert_eq!(told.len(), expected.len(), "{url}: {told:?}");
            for (told, expected) in told.iter().zip(expected) {
                assert!(told.contains(expected), "{url}: {told}");
            }
            assert!(cluster_seeds(url).is_empty());
        }
        assert!(!is_cluster_url("redis://a") && !is_cluster_url("redis+clusters://a"));
    }
}
