//! Token requests as they leave, and answers of every kind as they are read.

use super::*;
use crate::oidc::forge::{proven, settings};
use base64::Engine as _;

fn answer(status: u16, media_type: &str, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        media_type: (!media_type.is_empty()).then(|| media_type.to_owned()),
        max_age: None,
        body: body.as_bytes().to_vec(),
    }
}

fn read_json(body: &str) -> Result<Issued, ProviderError> {
    read(&answer(200, "application/json", body), Timestamp::from_unix_seconds(1000))
}

fn pairs(request: &HttpRequest) -> std::collections::BTreeMap<String, String> {
    url::form_urlencoded::parse(request.body()).into_owned().collect()
}

fn request(auth: ClientAuth) -> HttpRequest {
    let mut settings = settings("https://idp.example.com");
    settings.client_id = "key card".into();
    settings.client_secret = crate::domain::secret::ClientSecret::new("s:e/c+r&t");
    settings.client_auth = auth;
    let endpoint = Url::parse("https://idp.example.com/token?tenant=a").unwrap();
    let back = Url::parse("https://apps.example.com/bff/callback").unwrap();
    prepare(&settings, &endpoint, &proven("code&x", "nonce"), &back).unwrap()
}

#[test]
fn r25_client_secret_basic_encodes_both_parts() {
    let request = request(ClientAuth::SecretBasic);
    let expected = base64::engine::general_purpose::STANDARD.encode("key+card:s%3Ae%2Fc%2Br%26t");
    assert_eq!(request.headers()[AUTHORIZATION].to_str().unwrap(), format!("Basic {expected}"));
    assert!(!pairs(&request).contains_key("client_secret"));
}

#[test]
fn r3_r25_the_request_carries_code_verifier_and_redirect_uri() {
    let request = request(ClientAuth::SecretPost);
    assert!(!request.headers().contains_key(AUTHORIZATION));
    assert_eq!(request.method(), "POST");
    let pairs = pairs(&request);
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "code&x"),
        ("code_verifier", &"v".repeat(43)),
        ("redirect_uri", "https://apps.example.com/bff/callback"),
        ("client_id", "key card"),
        ("client_secret", "s:e/c+r&t"),
    ] {
        assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(pairs.len(), 6);
}

#[test]
fn r48_the_id_token_stays_as_it_was_issued() {
    let tokens = read_json(
        r#"{"access_token":"a","token_type":"bEARER","id_token":"e30.e30.e30","refresh_token":"r"}"#,
    )
    .unwrap();
    assert_eq!(tokens.id_token.unwrap().expose(), "e30.e30.e30");
    assert!(tokens.access_expires.is_none());
}

#[test]
fn r32_a38_answers_that_sign_nobody_in() {
    for (name, body) in [
        ("token_type missing", r#"{"access_token":"secret","id_token":"secret"}"#),
        ("DPoP", r#"{"access_token":"secret","id_token":"secret","token_type":"DPoP"}"#),
        ("mac", r#"{"access_token":"secret","id_token":"secret","token_type":"mac"}"#),
        ("no access_token", r#"{"id_token":"secret","token_type":"Bearer"}"#),
        ("id_token is an object", r#"{"access_token":"secret","id_token":{},"token_type":"Bearer"}"#),
        (
            "two access tokens",
            r#"{"access_token":"secret","access_token":"b","id_token":"c","token_type":"Bearer"}"#,
        ),
        ("line break", r#"{"access_token":"secret\r\nX: y","id_token":"c","token_type":"Bearer"}"#),
        ("error of another type", r#"{"error":7,"access_token":"secret"}"#),
        ("HTML", "<html>secret</html>"),
        ("nothing", ""),
    ] {
        match read_json(body) {
            Err(ProviderError::Rejected(text)) => assert!(!text.contains("secret"), "{name}: {text}"),
            Err(other) => panic!("{name}: {other}"),
            Ok(_) => panic!("{name} was accepted"),
        }
    }
    assert!(matches!(
        read(&answer(200, "text/html", "{}"), Timestamp::from_unix_seconds(0)),
        Err(ProviderError::Rejected(_))
    ));
    assert!(matches!(
        read(&answer(404, "", "{}"), Timestamp::from_unix_seconds(0)),
        Err(ProviderError::Rejected(_))
    ));
}

#[test]
fn r32_a_sign_in_brings_an_id_token_and_a_renewal_may_do_without() {
    for body in [
        r#"{"access_token":"secret","token_type":"Bearer"}"#,
        r#"{"access_token":"secret","id_token":"","token_type":"Bearer"}"#,
    ] {
        let issued = read_json(body).unwrap();
        assert!(issued.id_token.is_none() && issued.refresh.is_none());
        assert!(matches!(of_a_sign_in(issued), Err(ProviderError::Rejected(_))), "{body}");
    }
}

fn forms(auth: ClientAuth) -> [(HttpRequest, std::collections::BTreeMap<String, String>); 2] {
    let mut settings = settings("https://idp.example.com");
    settings.client_secret = crate::domain::secret::ClientSecret::new("s:e/c+r&t");
    settings.client_auth = auth;
    let endpoint = Url::parse("https://idp.example.com/x").unwrap();
    let token = RefreshToken::new("re&fresh");
    [
        prepare_renewal(&settings, &endpoint, &token).unwrap(),
        prepare_revocation(&settings, &endpoint, &token).unwrap(),
    ]
    .map(|request| {
        let pairs = pairs(&request);
        (request, pairs)
    })
}

#[test]
fn r25_r36_renewals_and_revocations_carry_the_token_and_the_proof_of_the_client() {
    let names = |pairs: &std::collections::BTreeMap<String, String>| {
        pairs.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    let [(renewal, renewed), (revocation, revoked)] = forms(ClientAuth::SecretBasic);
    assert_eq!(names(&renewed), "grant_type refresh_token");
    assert_eq!(names(&revoked), "token token_type_hint");
    assert_eq!(
        (renewed["grant_type"].as_str(), renewed["refresh_token"].as_str()),
        ("refresh_token", "re&fresh")
    );
    assert_eq!(
        (revoked["token"].as_str(), revoked["token_type_hint"].as_str()),
        ("re&fresh", "refresh_token")
    );
    assert!([renewal, revocation].iter().all(|request| request.headers().contains_key(AUTHORIZATION)));
    let [(_, renewed), (_, revoked)] = forms(ClientAuth::SecretPost);
    assert_eq!(names(&renewed), "client_id client_secret grant_type refresh_token");
    assert_eq!(names(&revoked), "client_id client_secret token token_type_hint");
    assert_eq!(revoked["client_secret"], "s:e/c+r&t");
}

#[test]
fn r10_refusals_keep_only_the_registered_code() {
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant","error_description":"<script>"}"#, "invalid_grant"),
        (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
        (400, r#"{"error":"<script>"}"#, "other"),
        (200, r#"{"error":"invalid_grant","access_token":"a"}"#, "invalid_grant"),
    ] {
        match read(&answer(status, "application/json", body), Timestamp::from_unix_seconds(0)) {
            Err(ProviderError::Refused(text)) => assert_eq!(text, expected),
            _ => panic!("{body}"),
        }
    }
}

#[test]
fn a38_expires_in_never_breaks_a_login() {
    for (value, expected) in [
        ("300", Some(1300)),
        ("\"300\"", Some(1300)),
        ("300.9", Some(1300)),
        ("0", Some(1000)),
        ("-1", None),
        ("\"-1\"", None),
        ("\"\"", None),
        ("9223372036854775807", None),
        ("\"99999999999999999999999\"", None),
        ("null", None),
        ("[]", None),
    ] {
        let body =
            format!(r#"{{"access_token":"a","token_type":"Bearer","id_token":"i","expires_in":{value}}}"#);
        let expires = read_json(&body).unwrap().access_expires.map(Timestamp::unix_seconds);
        assert_eq!(expires, expected, "{value}");
    }
}
