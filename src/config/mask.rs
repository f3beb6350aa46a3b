//! Which parts of a file are never shown.
//!
//! I own: the search for what may be a secret, in a file that parses and in one that does not. I may call: `keys`,
//! `toml`. I never trust a key's spelling: a misspelt `client_secret` holds a secret all the same.

use crate::config::keys::{SECRET_KEYS, all_names, nearest};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is shown instead.
pub(super) const HIDDEN: &str = "<hidden>";

/// The places of all values that may be secrets.
pub(super) fn hidden_spans(tree: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    search_table(tree, &mut spans);
    spans.sort_by_key(|span| span.start);
    spans
}

fn search_table(table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let name: &str = key.get_ref();
        // Header names are free, their values are words of ours.
        if may_hold_secret(name) {
            hide(value, spans);
        } else {
            search(value, name == "identity_headers", spans);
        }
    }
}

fn search(value: &Spanned<DeValue<'_>>, free_keys: bool, spans: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) if free_keys => table.values().for_each(|inner| search(inner, true, spans)),
        DeValue::Table(table) => search_table(table, spans),
        DeValue::Array(items) => items.iter().for_each(|item| search(item, free_keys, spans)),
        // A URL with a user and a password, wherever it stands.
        DeValue::String(text) if text.contains("://") && text.contains('@') => spans.push(value.span()),
        _ => {}
    }
}

fn hide(value: &Spanned<DeValue<'_>>, spans: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|inner| hide(inner, spans)),
        DeValue::Array(items) => items.iter().for_each(|item| hide(item, spans)),
        _ => spans.push(value.span()),
    }
}

fn may_hold_secret(key: &str) -> bool {
    if SECRET_KEYS.contains(&key) {
        return true;
    }
    if all_names().any(|known| known == key) {
        return false;
    }
    // An unknown key: harmless only if it is a harmless one misspelt.
    nearest(key, SECRET_KEYS.iter().copied()).is_some() || nearest(key, all_names()).is_none()
}

/// A line of a file that does not parse, with everything hidden that is not certainly harmless: only the line of a
/// known, harmless key is shown, as any other may go on with a list of keys from the line above.
pub(super) fn harmless(line: &str) -> String {
    let is_known = |key: &str| all_names().any(|known| known == key);
    let Some((key, value)) = line.split_once('=') else {
        let section = line.trim().trim_matches(['[', ']', ' ']);
        return if is_known(section) && !may_hold_secret(section) { line } else { HIDDEN }.to_owned();
    };
    let name = key.trim();
    let is_shown = !may_hold_secret(name) && is_plain(value.trim());
    match is_known(name) {
        true if is_shown => line.to_owned(),
        true => format!("{key}= {HIDDEN}"),
        false => HIDDEN.to_owned(),
    }
}

/// A short word, or one string, perhaps not closed, with nothing after it.
fn is_plain(value: &str) -> bool {
    let (quoted, rest) = match value.strip_prefix(['"', '\'']) {
        Some(inner) => inner.split_once(['"', '\'']).unwrap_or((inner, "")),
        None => (value, ""),
    };
    let long_word = quoted.len() == value.len() && value.len() > 16;
    !long_word && rest.is_empty() && !quoted.contains(['@', '=', '{', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let tree = DeTable::parse(text).unwrap();
        let mut shown = text.to_owned();
        for span in hidden_spans(tree.get_ref()).into_iter().rev() {
            shown.replace_range(span, HIDDEN);
        }
        shown
    }

    #[test]
    fn secrets_are_found_under_any_spelling() {
        for text in [
            "client_secret = 's3cret'",
            "client_secrt = 's3cret'",
            "session.keys = ['s3cret', { file = 's3cret' }]",
            "provider = [{ id = 'x', client_secret = 's3cret' }]",
            "store = '''s3cret\ns3cret'''",
            "redis_password = 's3cret'",
            "route = [{ upstream = ['http://user:s3cret@wiki'] }]",
            "[provider.client_secret]\nenv = 's3cret'",
        ] {
            assert!(!shown(text).contains("s3cret"), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn what_is_harmless_is_shown() {
        for text in [
            "idle_timeot = '30m'",
            "issuer = 'https://idp.example.com'",
            "identity_headers = { X-User = 'usr_id' }",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn a_line_that_does_not_parse_shows_only_known_harmless_keys() {
        for line in [
            "client_secret = \"s3cret",
            "  \"s3cret",
            "s3cret=",
            "s3cret =\"",
            "keys = [s3cret",
            "id = x, client_secret = s3cret",
            "store = redis://:s3cret@r",
            "issuer = https://u:s3cret@r",
            "[s3cret",
            "id = \"corp\"s3cret",
            "id = s3cret-s3cret-s3cret",
        ] {
            assert!(!harmless(line).contains("s3cret"), "{line}");
        }
        assert_eq!(harmless("idle_timeout = 30m"), "idle_timeout = 30m");
        assert_eq!(harmless("[[provider]"), "[[provider]");
        assert_eq!(harmless("client_secret = \"x"), "client_secret = <hidden>");
    }
}
