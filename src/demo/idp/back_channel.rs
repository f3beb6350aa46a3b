//! Back-channel logout: the provider tells the client that somebody is gone (OpenID Connect Back-Channel Logout).
//!
//! I own: the logout token, and its delivery. I may call: `client`, `token`, `server`. I never wait for the client: the
//! person has left already.

use super::keys::SigningKey;
use super::server::Idp;
use super::sessions::SignedIn;
use super::token;
use crate::keyring;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::form_urlencoded;

/// How long the client may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The claims of a logout token (section 2.4).
pub fn claims(issuer: &str, client_id: &str, subject: &str, sid: &str, jti: &str, now: i64) -> Value {
    json!({
        "iss": issuer, "aud": client_id, "sub": subject, "sid": sid, "jti": jti,
        "iat": now, "exp": now + 120,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    })
}

/// A signed logout token. `None` when the key cannot sign.
pub fn logout_token(key: &SigningKey, claims: &Value) -> Option<String> {
    token::sign(key, "logout+jwt", claims).ok()
}

/// Tells the client that this session is over, if it wants to know.
pub(super) fn tell(idp: &Idp, ended: &SignedIn) {
    let Some(path) = idp.client.logout_path.clone() else { return };
    let Ok(jti) = keyring::new_text::<16>() else { return };
    let subject = ended.person.subject();
    let claims = claims(&idp.issuer, &idp.client.id, &subject, &ended.sid, &jti, idp.now());
    let Some(token) = logout_token(&idp.key, &claims) else { return };
    let origin = idp.home.clone();
    actix_web::rt::spawn(async move {
        let sent = tokio::time::timeout(PATIENCE, deliver(&origin, &path, &token)).await;
        if !matches!(sent, Ok(Ok(200..=299))) {
            tracing::warn!("the gateway did not take a back-channel logout");
        }
    });
}

/// Posts a logout token to a client on plain http, and returns the status of its answer (section 2.5).
///
/// # Errors
/// When the client cannot be reached, or does not speak HTTP.
pub async fn deliver(origin: &str, path: &str, token: &str) -> std::io::Result<u16> {
    let body = form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
    let host = origin.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    let status = std::str::from_utf8(&start[9..]).ok().and_then(|text| text.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no status line"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn a_logout_token_arrives_as_the_standard_wants_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let client = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut got = String::new();
            let mut piece = [0; 1024];
            while !got.contains("\r\n\r\nlogout_token=e30.e30.e30") {
                let read = stream.read(&mut piece).unwrap();
                assert!(read > 0, "the body never came: {got}");
                got.push_str(std::str::from_utf8(&piece[..read]).unwrap());
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            got
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(deliver(&origin, "/bff/x", "e30.e30.e30")).unwrap(), 204);
        let got = client.join().unwrap();
        assert!(got.starts_with("POST /bff/x HTTP/1.1\r\nHost: 127.0.0.1:"), "{got}");
        let claims = claims("i", "c", "s", "sid", "j", 1);
        assert!(claims["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object());
        assert!(claims.get("nonce").is_none(), "a nonce would make it an ID token");
    }
}
