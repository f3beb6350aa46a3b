//! More claims, from the UserInfo endpoint (OpenID Connect Core section 5.3).
//!
//! I own: the reading of UserInfo answers and [`merge`]. I may call: `transport` (answers), `json`, `jwt`, `id_token`
//! (whose rules for issuer and audience hold here too), `domain`, `ports` (the error). I never let an answer about
//! somebody else pass, and never let it change what the ID token vouches for (R19, A15).

use crate::domain::claim::{ClaimValue, Claims};
use crate::domain::identity::Subject;
use crate::oidc::json::parse_object;
use crate::oidc::transport::Answer;
use crate::ports::ProviderError;
use reqwest::StatusCode;

/// Claims about the token rather than the person: UserInfo neither adds nor changes them.
const OF_THE_ID_TOKEN: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "azp",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "auth_time",
    "acr",
    "amr",
    "sid",
    "at_hash",
    "c_hash",
    "events",
];

/// Claims that say whether another one was verified; each pair comes from one source or the other, never mixed.
const VERIFIED: [(&str, &str); 2] = [("email", "email_verified"), ("phone_number", "phone_number_verified")];

/// The form of an answer.
#[derive(Debug)]
pub(crate) enum Form<'a> {
    /// `application/json`.
    Plain(Claims),
    /// `application/jwt`: a token that is still to be verified.
    Signed(&'a str),
}

/// Looks at status and type of an answer.
///
/// # Errors
/// [`ProviderError::Rejected`].
pub(crate) fn read(answer: &Answer) -> Result<Form<'_>, ProviderError> {
    if answer.status != StatusCode::OK {
        return Err(rejected(&format!("status {}", answer.status.as_u16())));
    }
    if answer.media_type.as_deref() == Some("application/jwt") {
        let token = std::str::from_utf8(&answer.body).map_err(|_| rejected("it is not text"))?;
        return Ok(Form::Signed(token.trim_ascii_end()));
    }
    if !answer.is_json() {
        return Err(rejected("it is neither JSON nor a signed token"));
    }
    parse_object(&answer.body).map(Form::Plain).map_err(|error| rejected(&error.to_string()))
}

/// Joins the claims of ID token and UserInfo: UserInfo adds, and where both speak the ID token's word stands (A15).
///
/// # Errors
/// [`ProviderError::Rejected`] when UserInfo does not say that it is about `subject`.
pub(crate) fn merge(
    mut claims: Claims,
    subject: &Subject,
    mut userinfo: Claims,
) -> Result<Claims, ProviderError> {
    if userinfo.get("sub").and_then(ClaimValue::as_text) != Some(subject.as_str()) {
        return Err(rejected("it is about somebody else"));
    }
    for (value, verified) in VERIFIED {
        match (claims.get(value), userinfo.get(value)) {
            // UserInfo's word is about another value than the one that stays.
            (Some(own), theirs) if theirs != Some(own) => drop(userinfo.remove(verified)),
            // The ID token's word would be about a value that it does not name.
            (None, Some(_)) => drop(claims.remove(verified)),
            (None, None) => drop(userinfo.remove(verified)),
            (Some(_), _) => {}
        }
    }
    for (name, value) in userinfo {
        // A path such as `a.b` finds a claim of that very name before the member `b` of `a`: a dotted name must not
        // speak over a claim of the ID token.
        let shadows = name.match_indices('.').any(|(dot, _)| claims.contains_key(&name[..dot]));
        if !OF_THE_ID_TOKEN.contains(&name.as_str()) && !shadows {
            claims.entry(name).or_insert(value);
        }
    }
    Ok(claims)
}

fn rejected(what: &str) -> ProviderError {
    ProviderError::Rejected(format!("UserInfo: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Claims {
        parse_object(text.as_bytes()).unwrap()
    }

    fn join(id_token: &str, userinfo: &str) -> Result<Claims, ProviderError> {
        merge(claims(id_token), &Subject::parse("alice").unwrap(), claims(userinfo))
    }

    #[test]
    fn r19_a15_an_answer_about_somebody_else_is_rejected() {
        for other in [
            r#"{"sub":"bob"}"#,
            r#"{"sub":"Alice"}"#,
            r#"{"sub":"alice "}"#,
            r#"{"sub":["alice"]}"#,
            r#"{"sub":7}"#,
            r#"{"sub":null}"#,
            r#"{"email":"alice@example.com"}"#,
        ] {
            assert!(matches!(join("{}", other), Err(ProviderError::Rejected(_))), "{other}");
        }
    }

    #[test]
    fn r19_userinfo_adds_but_never_changes_what_the_id_token_vouches_for() {
        let own = r#"{"sub":"alice","acr":"gold","sid":"s","nonce":"n","name":"Old"}"#;
        let theirs = r#"{"sub":"alice","acr":"x","sid":"x","nonce":"x","iss":"x","aud":"x","auth_time":1,
            "name":"New","groups":["a"]}"#;
        let expected = r#"{"sub":"alice","acr":"gold","sid":"s","nonce":"n","name":"Old","groups":["a"]}"#;
        assert_eq!(join(own, theirs).unwrap(), claims(expected));
    }

    #[test]
    fn a15_a_dotted_name_does_not_speak_over_the_id_token() {
        let own = r#"{"sub":"alice","realm_access":{"roles":["user"]}}"#;
        let theirs = r#"{"sub":"alice","realm_access.roles":["admin"],"other.name":1}"#;
        let expected = r#"{"sub":"alice","realm_access":{"roles":["user"]},"other.name":1}"#;
        assert_eq!(join(own, theirs).unwrap(), claims(expected));
    }

    #[test]
    fn r18_an_address_and_its_verification_come_from_one_source() {
        for (name, own, theirs, expected) in [
            (
                "another address, no word",
                r#"{"sub":"alice","email":"a@x","email_verified":true}"#,
                r#"{"sub":"alice","email":"b@x"}"#,
                r#"{"sub":"alice","email":"a@x","email_verified":true}"#,
            ),
            (
                "the same address",
                r#"{"sub":"alice","email":"a@x","email_verified":true}"#,
                r#"{"sub":"alice","email":"a@x"}"#,
                r#"{"sub":"alice","email":"a@x","email_verified":true}"#,
            ),
            (
                "a word without an address",
                r#"{"sub":"alice","email":"a@x"}"#,
                r#"{"sub":"alice","email_verified":true}"#,
                r#"{"sub":"alice","email":"a@x"}"#,
            ),
            (
                "a word about another address",
                r#"{"sub":"alice","email":"a@x"}"#,
                r#"{"sub":"alice","email":"b@x","email_verified":true}"#,
                r#"{"sub":"alice","email":"a@x"}"#,
            ),
            (
                "both from UserInfo",
                r#"{"sub":"alice","email_verified":true}"#,
                r#"{"sub":"alice","email":"b@x","email_verified":false}"#,
                r#"{"sub":"alice","email":"b@x","email_verified":false}"#,
            ),
        ] {
            assert_eq!(join(own, theirs).unwrap(), claims(expected), "{name}");
        }
    }

    #[test]
    fn a15_only_json_and_signed_answers_are_read() {
        let answer = |status: u16, media_type: Option<&str>, body: &str| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            media_type: media_type.map(str::to_owned),
            max_age: None,
            body: body.as_bytes().to_vec(),
        };
        let good = r#"{"sub":"alice"}"#;
        assert!(matches!(read(&answer(200, Some("application/json"), good)), Ok(Form::Plain(_))));
        let signed = answer(200, Some("application/jwt"), "a.b.c\n");
        assert!(matches!(read(&signed), Ok(Form::Signed("a.b.c"))));
        for (status, media_type, body) in [
            (200, Some("text/html"), good),
            (200, None, good),
            (200, Some("application/json"), r#"{"sub":"alice","sub":"bob"}"#),
            (200, Some("application/json"), "[]"),
            (401, Some("application/json"), good),
            (204, Some("application/json"), ""),
        ] {
            assert!(read(&answer(status, media_type, body)).is_err(), "{status} {media_type:?} {body}");
        }
    }
}
