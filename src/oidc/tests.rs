//! The whole provider over real HTTP, against a small scripted one on loopback.

use super::*;
use crate::domain::claim::ClaimPath;
use crate::domain::secret::{Nonce, PkceVerifier};
use crate::oidc::forge::{ManualClock, NOW, Signer, jwks, pending, proven, settings};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A provider that answers from a table: path to raw response. What was asked is written down.
#[derive(Clone, Default)]
struct Desk {
    answers: Arc<Mutex<BTreeMap<&'static str, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    fn answer(&self, path: &'static str, status: &str, media_type: &str, body: &[u8]) {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        self.answers.lock().unwrap().insert(path, [head.as_bytes(), body].concat());
    }

    fn json(&self, path: &'static str, body: &str) {
        self.answer(path, "200 OK", "application/json", body.as_bytes());
    }

    fn asked(&self, path: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|request| request.split(' ').nth(1) == Some(path)).count()
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().speak(stream));
        }
    }

    async fn speak(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
            request.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&request);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.to_ascii_lowercase().split_once("content-length: ").map_or(0, |(_, rest)| {
                rest.lines().next().and_then(|length| length.parse().ok()).unwrap_or(0)
            });
            if body.len() >= length {
                break;
            }
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        self.asked.lock().unwrap().push(text);
        let answer = self.answers.lock().unwrap().get(path.as_str()).cloned();
        match answer {
            Some(answer) => drop(stream.write_all(&answer).await),
            // Silence: the connection stays open until the client gives up.
            None => drop(stream.read(&mut buffer).await),
        }
    }
}

struct Scene {
    desk: Desk,
    issuer: String,
    clock: Arc<ManualClock>,
    provider: OidcProvider,
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

async fn scene(change: impl FnOnce(&mut ProviderSettings)) -> Scene {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let desk = Desk::default();
    tokio::spawn(desk.clone().serve(listener));
    let metadata = serde_json::json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "end_session_endpoint": format!("{issuer}/logout"),
        "authorization_response_iss_parameter_supported": true,
    });
    desk.json(DISCOVERY, &metadata.to_string());
    desk.json("/keys", &jwks(&[Signer::rsa(0).jwk(r#""kid":"k""#)]));
    desk.json("/token", &token_answer(&issuer, "nonce"));
    let mut settings = settings(&issuer);
    settings.timeout = Duration::from_millis(500);
    change(&mut settings);
    let clock = Arc::new(ManualClock::at(NOW));
    let provider = OidcProvider::new(settings, rule(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    Scene { desk, issuer, clock, provider }
}

fn rule() -> IdentityRule {
    let path = |text: &str| ClaimPath::parse(text).unwrap();
    IdentityRule {
        trust_unverified_email: false,
        user_id: path("sub"),
        name: path("name"),
        email: path("email"),
        roles: vec![path("groups")],
        groups: vec![path("groups")],
        shown: Vec::new(),
        read_by_headers: Vec::new(),
        keeps_all: false,
        read_by_rules: Vec::new(),
    }
}

fn id_token(issuer: &str, nonce: &str) -> String {
    let claims = serde_json::json!({
        "iss": issuer, "aud": "keycard", "sub": "alice", "nonce": nonce, "iat": NOW, "exp": NOW + 300,
        "sid": "idp-session", "groups": ["editor"],
    });
    Signer::rsa(0).token(r#"{"alg":"RS256","kid":"k"}"#, &claims.to_string())
}

fn token_answer(issuer: &str, nonce: &str) -> String {
    let id_token = id_token(issuer, nonce);
    format!(
        r#"{{"access_token":"an-access-token","token_type":"Bearer","expires_in":60,"id_token":"{id_token}"}}"#
    )
}

impl Scene {
    async fn redeem(&self) -> Result<SignedIn, ProviderError> {
        let back = Url::parse("https://apps.example.com/bff/callback").unwrap();
        let now = self.clock.now();
        self.provider.redeem(proven("a-code", "nonce"), &back, now).await
    }

    async fn refusal(&self) -> String {
        match self.redeem().await {
            Err(error) => {
                let text = error.to_string();
                for secret in ["a-code", "an-access-token", "a client secret", "vvvvv", "eyJ"] {
                    assert!(!text.contains(secret), "{text}");
                }
                text
            }
            Ok(_) => panic!("somebody was signed in"),
        }
    }
}

#[tokio::test]
async fn a_code_becomes_a_person() {
    let scene = scene(|settings| settings.userinfo = true).await;
    scene.desk.json("/userinfo", r#"{"sub":"alice","name":"Alice","sid":"forged"}"#);
    let signed_in = scene.redeem().await.unwrap();
    assert_eq!(signed_in.identity.subject.as_str(), "alice");
    assert_eq!(signed_in.identity.issuer.as_str(), scene.issuer);
    assert_eq!(
        (signed_in.identity.name.as_deref(), &signed_in.identity.roles[..]),
        (Some("Alice"), &["editor".into()][..])
    );
    assert_eq!(signed_in.provider_sid.as_deref(), Some("idp-session"));
    assert_eq!(signed_in.tokens.id_token.expose(), id_token(&scene.issuer, "nonce"));
    assert_eq!(signed_in.tokens.access_expires.map(Timestamp::unix_seconds), Some(NOW + 60));
    let asked = scene.desk.asked.lock().unwrap().clone();
    let userinfo = asked.iter().find(|request| request.starts_with("GET /userinfo ")).unwrap();
    assert!(userinfo.contains("authorization: Bearer an-access-token\r\n"), "{userinfo}");
    for _ in 0..3 {
        assert!(scene.redeem().await.is_ok());
    }
    assert_eq!((scene.desk.asked(DISCOVERY), scene.desk.asked("/keys")), (1, 1));
}

#[tokio::test]
async fn a4_a_token_of_another_login_signs_nobody_in() {
    let scene = scene(|_| {}).await;
    scene.desk.json("/token", &token_answer(&scene.issuer, "another"));
    assert!(scene.refusal().await.contains("belongs to another login"));
}

#[tokio::test]
async fn a9_a_code_of_another_provider_goes_nowhere() {
    let scene =
        scene(|settings| settings.id = crate::domain::identity::ProviderId::parse("other").unwrap()).await;
    assert!(scene.refusal().await.contains("another provider"));
    assert!(scene.desk.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a15_userinfo_about_somebody_else_fails_the_login() {
    let scene = scene(|settings| settings.userinfo = true).await;
    scene.desk.json("/userinfo", r#"{"sub":"bob"}"#);
    assert!(scene.refusal().await.contains("somebody else"));
    scene.desk.answer("/userinfo", "200 OK", "application/json", &vec![b' '; transport::ANSWER_CAP + 1]);
    assert!(scene.refusal().await.contains("256 KiB"));
    scene.desk.answer("/userinfo", "503 Service Unavailable", "text/html", b"");
    assert!(matches!(scene.redeem().await, Err(ProviderError::Unavailable(_))));
}

#[tokio::test]
async fn r19_signed_userinfo_is_verified() {
    let scene = scene(|settings| settings.userinfo = true).await;
    let signed = |key: usize, audience: &str| {
        let claims =
            serde_json::json!({"iss": scene.issuer, "aud": audience, "sub": "alice", "name": "Alice"});
        Signer::rsa(key).token(r#"{"alg":"RS256","kid":"k"}"#, &claims.to_string())
    };
    let answer =
        |token: String| scene.desk.answer("/userinfo", "200 OK", "application/jwt", token.as_bytes());
    answer(signed(0, "keycard"));
    assert_eq!(scene.redeem().await.unwrap().identity.name.as_deref(), Some("Alice"));
    answer(signed(0, "evil"));
    assert!(scene.refusal().await.contains("another client"));
    answer(signed(1, "keycard"));
    assert!(scene.refusal().await.contains("signature"));
}

#[tokio::test]
async fn r22_a_provider_that_is_down_is_unavailable_and_comes_back() {
    let scene = scene(|_| {}).await;
    let metadata = scene.desk.answers.lock().unwrap().remove(DISCOVERY).unwrap();
    assert!(matches!(scene.provider.response_rules().await, Err(ProviderError::Unavailable(_))));
    scene.desk.answers.lock().unwrap().insert(DISCOVERY, metadata);
    scene.clock.set(NOW + 1);
    let rules = scene.provider.response_rules().await.unwrap();
    assert!(rules.iss_required && rules.issuer.as_str() == scene.issuer);
}

#[tokio::test]
async fn a8_a18_documents_that_are_not_taken() {
    for (status, media_type, body, expected) in [
        ("302 Found\r\nLocation: /other", "application/json", &b"{}"[..], "redirect"),
        ("200 OK", "text/html", b"{}", "JSON"),
        ("200 OK", "application/json", b"{\"issuer\":1,\"issuer\":2}", "twice"),
        ("200 OK", "application/json", &[b' '; transport::DOCUMENT_CAP + 1], "1024 KiB"),
        ("404 Not Found", "application/json", b"{}", "404"),
        ("500 Oops", "application/json", b"{}", "500"),
    ] {
        let scene = scene(|_| {}).await;
        scene.desk.answer(DISCOVERY, status, media_type, body);
        let text = scene.provider.response_rules().await.unwrap_err().to_string();
        assert!(text.contains(expected), "{status}: {text}");
        assert_eq!(scene.desk.asked("/other"), 0);
    }
}

#[tokio::test]
async fn a38_answers_of_the_token_endpoint() {
    let scene = scene(|_| {}).await;
    let refused = br#"{"error":"invalid_grant","error_description":"a-code is bad"}"#;
    scene.desk.answer("/token", "400 Bad Request", "application/json", refused);
    assert!(matches!(scene.redeem().await, Err(ProviderError::Refused(code)) if code == "invalid_grant"));
    scene.desk.answer("/token", "502 Bad Gateway", "text/html", b"<html>");
    assert!(matches!(scene.redeem().await, Err(ProviderError::Unavailable(_))));
    scene.desk.answer("/token", "200 OK", "text/html", b"<html>an-access-token");
    assert!(scene.refusal().await.contains("not JSON"));
    scene.desk.answer("/token", "307 Temporary Redirect\r\nLocation: /evil", "text/plain", b"");
    assert!(scene.refusal().await.contains("redirect"));
    scene.desk.answers.lock().unwrap().remove("/token");
    assert!(matches!(scene.redeem().await, Err(ProviderError::Unavailable(_))), "silence");
    assert_eq!(scene.desk.asked("/token"), 5, "nothing is sent twice");
}

#[tokio::test]
async fn r13_shared_secret_tokens_only_where_configured_and_then_alone() {
    use crate::domain::algorithm::SigningAlgorithm::{Hs256, Rs256};
    use aws_lc_rs::hmac;
    use base64::Engine as _;
    let scene = scene(|settings| settings.algorithms = vec![Hs256]).await;
    assert!(scene.refusal().await.contains("signing_algorithms"), "RS256 is no longer allowed");
    let rsa = id_token(&scene.issuer, "nonce");
    let claims = jwt::decode(rsa.split('.').nth(1).unwrap()).unwrap();
    let signed = forge::signed_part(r#"{"alg":"HS256"}"#, std::str::from_utf8(&claims).unwrap());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"a client secret"), signed.as_bytes());
    let token = format!("{signed}.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tag));
    scene.desk.json("/token", &token_answer(&scene.issuer, "nonce").replace(&rsa, &token));
    assert!(scene.redeem().await.is_ok());
    assert_eq!(scene.desk.asked("/keys"), 0);
    for algorithms in [vec![], vec![Hs256, Rs256]] {
        let mut settings = settings(&scene.issuer);
        settings.algorithms = algorithms;
        let clock = Arc::clone(&scene.clock) as Arc<dyn Clock>;
        assert!(OidcProvider::new(settings, rule(), clock).is_err());
    }
}

#[tokio::test]
async fn browsers_are_sent_to_the_published_endpoints() {
    let scene = scene(|_| {}).await;
    let back = Url::parse("https://apps.example.com/bff/callback").unwrap();
    let request = AuthorizationRequest {
        login: &pending(),
        state: "s",
        nonce: &Nonce::new("n"),
        verifier: &PkceVerifier::new("v".repeat(43)),
        redirect_uri: &back,
        prompt: None,
        login_hint: Some("alice"),
    };
    let url = scene.provider.authorization_url(request).await.unwrap();
    assert!(url.as_str().starts_with(&format!("{}/authorize?response_type=code&", scene.issuer)), "{url}");
    let url = scene.provider.end_session_url(None, &back, "s").await.unwrap().unwrap();
    assert!(url.as_str().starts_with(&format!("{}/logout?client_id=keycard&", scene.issuer)), "{url}");
}
