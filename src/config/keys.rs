//! Which keys there are, and which one was probably meant.
//!
//! I own: [`KEYS`]. I may call: `strsim`. I never know what a key means: `config/keycard.example.toml` says that, and
//! a test keeps the two in step.

/// Every section with its keys, in the order of the example file. `""` is the file itself; `secret` and `access` are
/// the inline tables that a value may be.
pub(super) const KEYS: &[(&str, &[&str])] = &[
    ("", &["server", "session", "provider", "identity", "route", "log"]),
    (
        "server",
        &[
            "listen",
            "public_url",
            "prefix",
            "trusted_proxies",
            "dev",
            "workers",
            "header_timeout",
            "keep_alive",
            "drain_timeout",
            "health_listen",
            "admin_listen",
            "admin_token",
        ],
    ),
    (
        "session",
        &["store", "store_prefix", "store_timeout", "store_ca_file", "keys", "idle_timeout", "lifetime"],
    ),
    (
        "provider",
        &[
            "id",
            "issuer",
            "client_id",
            "client_secret",
            "client_auth",
            "scopes",
            "signing_algorithms",
            "endpoint_hosts",
            "userinfo",
            "max_age",
            "acr_values",
            "authorization_params",
            "clock_skew",
            "timeout",
            "ca_file",
            "http_proxy",
            "id_token_hint",
        ],
    ),
    ("identity", &["user_id", "name", "email", "roles", "claims"]),
    (
        "route",
        &[
            "path",
            "origin",
            "upstream",
            "access",
            "identity_headers",
            "token",
            "allow_cleartext_token",
            "csrf",
            "response_timeout",
            "stall_timeout",
            "max_body",
        ],
    ),
    ("log", &["format", "level"]),
    ("secret", &["env", "file"]),
    ("access", &["roles"]),
];

/// The keys whose values are never shown.
pub(super) const SECRET_KEYS: &[&str] = &["client_secret", "keys", "store", "http_proxy", "admin_token"];

/// The keys of one section.
pub(super) fn keys_of(section: &str) -> &'static [&'static str] {
    KEYS.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
}

/// The section, written as in a file, that has exactly this key.
pub(super) fn home_of(key: &str) -> Option<String> {
    let (section, _) = KEYS.iter().skip(1).find(|(_, keys)| keys.contains(&key))?;
    match *section {
        "provider" | "route" => Some(format!("[[{section}]]")),
        "secret" | "access" => None,
        _ => Some(format!("[{section}]")),
    }
}

/// The word that `given` was probably meant to be.
pub(super) fn nearest<'w>(given: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let given = given.to_lowercase().replace('-', "_");
    // About every third letter may be wrong; a longer typo is a guess, and a wrong guess misleads.
    let near = |word: &&str| strsim::osa_distance(&given, word) <= (word.len() / 3).clamp(1, 3);
    words.into_iter().filter(near).min_by_key(|word| strsim::osa_distance(&given, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_their_word_and_nonsense_finds_none() {
        let words = ["idle_timeout", "lifetime", "store", "keys"];
        for (given, expected) in [
            ("idle_timeot", Some("idle_timeout")),
            ("Idle-Timeout", Some("idle_timeout")),
            ("livetime", Some("lifetime")),
            ("key", Some("keys")),
            ("cookie_name", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, words), expected, "{given}");
        }
    }
}
