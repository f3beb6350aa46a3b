//! The house tests itself: a provider that lies by accident would prove nothing.
//!
//! I own: a walk through the scripted provider by hand, without any gateway. I never test `keycard`.

use super::house::clock::ManualClock;
use super::house::cookies::Jar;
use super::house::provider::keys::{b64, keys, modulus, padded_hash, rs256};
use super::house::provider::script::Place;
use super::house::provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use super::house::raw::{Answer, Connection};
use super::house::upstream::Upstream;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::net::SocketAddr;

fn ask(address: SocketAddr, request: &str) -> Answer {
    let mut connection = Connection::to_stranger(address);
    connection.write(request.as_bytes());
    connection.answer(false).unwrap()
}

fn address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// A login at the provider by hand; the token endpoint's answer.
fn login(provider: &Provider, verifier: &str, redirect_uri: &str) -> Answer {
    let at = address(&provider.issuer());
    let challenge = b64(digest::digest(&digest::SHA256, b"v".repeat(43).as_slice()));
    let query = encoded(&[
        ("client_id", CLIENT_ID),
        ("response_type", "code"),
        ("redirect_uri", "https://apps.example.test/bff/callback"),
        ("state", "the state"),
        ("nonce", "the nonce"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let sent = ask(at, &format!("GET /authorize?{query} HTTP/1.1\r\nHost: idp\r\n\r\n"));
    assert_eq!(sent.status, 302);
    let back = url::Url::parse(sent.header("location").unwrap()).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    assert!(back.query_pairs().any(|(name, value)| name == "state" && value == "the state"));
    let form = encoded(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
    ]);
    let part = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = STANDARD.encode(format!("{}:{}", part(CLIENT_ID), part(CLIENT_SECRET)));
    ask(
        at,
        &format!(
            "POST /token HTTP/1.1\r\nHost: idp\r\nAuthorization: Basic {basic}\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ),
    )
}

#[test]
fn an_honest_client_gets_tokens_that_verify() {
    let provider = Provider::start(&ManualClock::new());
    let answer = login(&provider, &"v".repeat(43), "https://apps.example.test/bff/callback");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["id_token"].as_str().unwrap().to_owned();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let set = ask(address(&provider.issuer()), "GET /jwks HTTP/1.1\r\nHost: idp\r\n\r\n").json();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(set["keys"][2][name].as_str().unwrap()).unwrap();
    let key = RsaPublicKeyComponents { n: part("n"), e: part("e") };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(&RSA_PKCS1_2048_8192_SHA256, input.as_bytes(), &signature).unwrap();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(input.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!(claims["nonce"], json!("the nonce"));
    assert_eq!(provider.complaints(), Vec::<String>::new());
    assert_eq!((provider.count(Place::Token), provider.count(Place::Jwks)), (1, 1));
}

#[test]
fn the_provider_refuses_what_a_provider_has_to_refuse() {
    let provider = Provider::start(&ManualClock::new());
    let home = "https://apps.example.test/bff/callback";
    for (verifier, redirect_uri, complaint) in [
        ("w".repeat(43), home, "PKCE verification failed"),
        (String::new(), home, "PKCE verification failed"),
        ("v".repeat(43), "https://apps.example.test/bff/callback/", "another redirect_uri"),
    ] {
        let answer = login(&provider, &verifier, redirect_uri);
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_grant")));
        assert_eq!(provider.complaints().last().map(String::as_str), Some(complaint));
    }
    provider.script(|script| script.ignore_pkce = true);
    assert_eq!(login(&provider, "", home).status, 200);
}

#[test]
fn the_upstream_keeps_names_and_order_and_answers_as_told() {
    let upstream = Upstream::start();
    let at = address(&upstream.url());
    let answer = ask(at, "POST /a//b HTTP/1.1\r\nhOST: x\r\nX-b: 1\r\nx_B: 2\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((answer.status, answer.text().as_str()), (200, "<p>app /a//b</p>"));
    let arrived = upstream.last();
    assert_eq!(arrived.body, b"hi");
    let names: Vec<&str> = arrived.head.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hOST", "X-b", "x_B", "Content-Length"]);
    upstream.answer_raw(b"HTTP/1.1 299 Odd\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(ask(at, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").text(), "abc");
}

#[test]
fn the_jar_keeps_what_a_browser_keeps() {
    let (https, http) = ("https://apps.example.test/x", "http://apps.example.test/x");
    for (url, line, kept) in [
        (https, "__Host-a=1; Secure; Path=/", true),
        (https, "__Host-a=1; Secure", true),
        (https, "__Host-a=1; Path=/", false),
        (https, "__Host-a=1; Secure; Path=/; Domain=example.test", false),
        (https, "__host-a=1; Path=/", false),
        (http, "__Host-a=1; Secure; Path=/", false),
        (http, "a=1", true),
        (https, "a=1; Max-Age=0", false),
    ] {
        let mut jar = Jar::default();
        let url = url::Url::parse(url).unwrap();
        jar.receive(&url, line);
        assert_eq!(jar.header(&url).is_some(), kept, "{line}");
    }
}

#[test]
fn a_padded_hash_is_a_signature_for_exponent_one() {
    let rsa = &keys().rsa;
    // What a real signature opens to, raised to the public exponent, is exactly the padded hash: same length, same
    // first and last bytes.
    let padded = padded_hash(b"input", modulus(rsa).len());
    assert_eq!((padded.len(), &padded[..3]), (rs256(rsa, b"input").len(), [0, 1, 0xff].as_slice()));
    assert!(padded.ends_with(digest::digest(&digest::SHA256, b"input").as_ref()));
}
