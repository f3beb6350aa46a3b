//! Claims, and how a configured path finds one.
//!
//! I own: [`ClaimValue`], [`Claims`], [`ClaimPath`]. I may call: `std`. I never know JSON: the rooms at the edge
//! translate.

use std::collections::BTreeMap;

/// The claims of one token or UserInfo answer, by name.
pub type Claims = BTreeMap<String, ClaimValue>;

/// The value of one claim.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimValue {
    /// JSON `null`.
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<ClaimValue>),
    /// An object.
    Map(BTreeMap<String, ClaimValue>),
}

impl ClaimValue {
    /// The text of a string claim.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value of a boolean claim.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A single value as text: strings, numbers and booleans have one; lists, maps and null do not.
    pub fn to_scalar(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Float(number) => Some(number.to_string()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    fn grants(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            Self::Map(map) => !map.is_empty(),
            Self::Null | Self::Integer(_) | Self::Float(_) | Self::Text(_) | Self::List(_) => false,
        }
    }

    /// All values as texts: a list gives one for each scalar in it, a scalar gives itself, and a map gives the keys
    /// whose value is `true` or an object with something in it (Zitadel keeps roles that way). A key with `false` or
    /// nothing is no grant.
    pub fn to_texts(&self) -> Vec<String> {
        match self {
            Self::List(items) => items.iter().filter_map(Self::to_scalar).collect(),
            Self::Map(map) => {
                map.iter().filter(|(_, value)| value.grants()).map(|(key, _)| key.clone()).collect()
            }
            scalar => scalar.to_scalar().into_iter().collect(),
        }
    }
}

/// A dotted path to a claim, such as `realm_access.roles`. At each level the longest name that exists wins, so
/// that claims with dots in their own name (`https://example.com/roles`) are reached without quoting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// Accepts any non-empty path without empty segments and control characters.
    pub fn parse(text: &str) -> Option<Self> {
        let sound = !text.is_empty()
            && text.split('.').all(|segment| !segment.is_empty())
            && !text.chars().any(char::is_control);
        sound.then(|| Self(text.to_owned()))
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this path begins at the top-level claim `name`.
    pub fn leads_into(&self, name: &str) -> bool {
        self.0.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The value at this path, if there is one.
    pub fn find<'c>(&self, claims: &'c Claims) -> Option<&'c ClaimValue> {
        find(claims, &self.0)
    }
}

fn find<'c>(map: &'c BTreeMap<String, ClaimValue>, path: &str) -> Option<&'c ClaimValue> {
    if let Some(value) = map.get(path) {
        return Some(value);
    }
    // Longest name first: `a.b.c` tries the member `a.b`, then `a`.
    path.rmatch_indices('.').find_map(|(dot, _)| match map.get(&path[..dot]) {
        Some(ClaimValue::Map(inner)) => find(inner, &path[dot + 1..]),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let roles = ClaimValue::List(vec![ClaimValue::Text("editor".into()), ClaimValue::Integer(7)]);
        let realm = ClaimValue::Map(BTreeMap::from([("roles".into(), roles)]));
        Claims::from([
            ("sub".into(), ClaimValue::Text("alice".into())),
            ("realm_access".into(), realm.clone()),
            ("https://example.com/x".into(), realm),
        ])
    }

    #[test]
    fn paths_reach_nested_and_dotted_names() {
        for path in ["realm_access.roles", "https://example.com/x.roles"] {
            let found = ClaimPath::parse(path).unwrap().find(&claims()).unwrap().to_texts();
            assert_eq!(found, ["editor", "7"], "{path}");
        }
    }

    #[test]
    fn paths_that_lead_nowhere_find_nothing() {
        for path in ["realm_access.groups", "sub.x", "nobody", "realm_access.roles.0"] {
            assert!(ClaimPath::parse(path).unwrap().find(&claims()).is_none(), "{path}");
        }
    }

    #[test]
    fn r15_a_map_grants_only_what_it_affirms() {
        let entry = |key: &str, value| (key.to_owned(), value);
        let org = ClaimValue::Map(BTreeMap::from([entry("123", ClaimValue::Text("example.com".into()))]));
        let map = ClaimValue::Map(BTreeMap::from([
            entry("admin", ClaimValue::Bool(false)),
            entry("empty", ClaimValue::Map(BTreeMap::new())),
            entry("null", ClaimValue::Null),
            entry("editor", org),
            entry("viewer", ClaimValue::Bool(true)),
        ]));
        assert_eq!(map.to_texts(), ["editor", "viewer"]);
    }

    #[test]
    fn malformed_paths_are_refused() {
        for path in ["", ".", "a.", ".a", "a..b", "a\nb"] {
            assert!(ClaimPath::parse(path).is_none(), "{path:?}");
        }
    }
}
