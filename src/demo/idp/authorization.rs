//! The authorization request, and the way back with its answer.
//!
//! I own: what a request must have (RFC 6749 section 4.1.1, RFC 7636 section 4.3), and the address that carries the
//! answer. I may call: `form`, `codes` for the shape of a grant. I never decide whether the person may go on.

use super::codes::Grant;
use super::form::Form;
use url::form_urlencoded;

/// The rules that a request breaks, in words; none if it is right.
pub fn complaints(asked: &Form, client_id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, expected) in [("client_id", client_id), ("response_type", "code")] {
        if asked.text(name) != expected {
            found.push(format!("authorize: {name} is {:?}", asked.text(name)));
        }
    }
    if asked.text("code_challenge_method") != "S256" || asked.text("code_challenge").len() != 43 {
        found.push("authorize: no S256 challenge".to_owned());
    }
    found
}

/// What a code stands for that is given out for this request.
pub fn grant<P>(asked: &Form, issued: i64, holder: P) -> Grant<P> {
    Grant {
        redirect_uri: asked.text("redirect_uri").to_owned(),
        challenge: asked.text("code_challenge").to_owned(),
        nonce: asked.text("nonce").to_owned(),
        issued,
        holder,
    }
}

/// The parameters of an answer: its own, then `state` as it came, then who answers (RFC 9207).
pub fn answer(asked: &Form, issuer: &str, own: &[(&str, &str)]) -> Vec<(String, String)> {
    let state = asked.get("state").map(|state| ("state", state));
    let pairs = own.iter().copied().chain(state).chain([("iss", issuer)]);
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The address that the browser is sent to.
pub fn way_back(redirect_uri: &str, pairs: &[(String, String)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    let joint = if redirect_uri.contains('?') { '&' } else { '?' };
    format!("{redirect_uri}{joint}{}", query.finish())
}
