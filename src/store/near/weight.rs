//! About how many bytes a session takes in memory.
//!
//! I own: [`weight`]. I may call: `domain`. I never count exactly: what is missed is in the fixed part, and the bound
//! that this serves has no other purpose than that memory does not grow without one.

use crate::domain::claim::ClaimValue;
use crate::domain::session::Session;
use std::collections::BTreeMap;

/// The structures themselves, their place in the map and in the order, and what the allocator adds: so much that the sum is
/// what the resident set grows by (`benches/run million`).
const FIXED: usize = 1900;

/// One entry of a tree of claims, without its texts.
const ENTRY: usize = 80;

pub(super) fn weight(session: &Session) -> usize {
    let (identity, tokens) = (&session.identity, &session.tokens);
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let list = |texts: &[String]| texts.iter().map(|text| text.len() + size_of::<String>()).sum::<usize>();
    FIXED
        + tokens.access.expose().len()
        + tokens.refresh.as_ref().map_or(0, |token| token.expose().len())
        + tokens.id_token.expose().len()
        + identity.issuer.as_str().len()
        + identity.subject.as_str().len()
        + identity.user_id.len()
        + optional(&identity.name)
        + optional(&identity.email)
        + list(&identity.roles)
        + list(&identity.groups)
        + map(&identity.claims)
        + session.sid.as_str().len()
        + optional(&session.acr)
        + optional(&session.provider_sid)
        + session.place.address.len()
        + session.place.user_agent.len()
}

fn map(claims: &BTreeMap<String, ClaimValue>) -> usize {
    claims.iter().map(|(name, value)| ENTRY + name.len() + claim(value)).sum()
}

fn claim(value: &ClaimValue) -> usize {
    match value {
        ClaimValue::Null | ClaimValue::Bool(_) | ClaimValue::Integer(_) | ClaimValue::Float(_) => 0,
        ClaimValue::Text(text) => text.len(),
        ClaimValue::List(items) => {
            items.iter().map(|item| size_of::<ClaimValue>() + claim(item)).sum::<usize>()
        }
        ClaimValue::Map(claims) => map(claims),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::AccessToken;
    use crate::domain::session::tests::session;

    #[test]
    fn what_a_provider_makes_large_counts() {
        let small = session();
        let mut large = session();
        large.tokens.access = AccessToken::new("a".repeat(10_000));
        large.identity.groups = vec!["g".repeat(10); 1000];
        let texts = vec![ClaimValue::Text("c".repeat(100)); 100];
        large.identity.claims.insert("list".into(), ClaimValue::List(texts));
        let difference = weight(&large) - weight(&small);
        assert!(difference > 10_000 + 30_000 + 10_000, "{difference}");
    }
}
