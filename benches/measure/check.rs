//! A session check beside the verification of a JWT: the same core, the same run, turn by turn.
//!
//! I own: the rounds. I may call: `house`, `figures`. I never compare figures of two runs.
//!
//! A session check is what a request with a session costs more than one without, through every layer that `keycard serve`
//! has: the sentry's turn, the access line, host, path and cookies read raw, the envelope of actix-session, the route, the
//! ticket's hash, the near cache with its deadline, both limits, the policy. The request without a session is for a public
//! route and carries the cookies of others, as both do. What is left out is the same for both: the socket and the app.

use super::figures::{Samples, figure, note};
use super::house::{Access, House, fresh_key, request, session};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256,
};
use http::Method;
use keycard::app::SystemClock;
use keycard::demo::idp::keys::{SigningKey, b64, from_b64};
use keycard::demo::idp::token;
use keycard::domain::cors::CorsRequest;
use keycard::domain::path::CanonicalPath;
use keycard::domain::request::{FetchSite, OriginHeader, RequestFacts, RequestKind};
use keycard::domain::session::Ticket;
use keycard::domain::time::Timestamp;
use keycard::gateway::{Gateway, Outcome};
use keycard::inbound::measured;
use keycard::keyring::new_ticket;
use keycard::oidc::measured::Published;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::hint::black_box;
use std::sync::Arc;

/// How many requests one sample is made of: so few that a busy machine seldom takes the core away in between.
const BATCH: u32 = 25;

/// How many signatures.
const SIGNATURES: u32 = 4;

/// Measures everything and writes the table.
pub fn run(redis: u16, rounds: usize) {
    let house = House::open(redis, &fresh_key(), Arc::new(SystemClock));
    let tokens = Tokens::new(house.clock.now());
    actix_web::rt::System::new().block_on(async {
        let bench = bench(&house).await;
        let mut all: [Vec<f64>; 8] = Default::default();
        // The first rounds warm everything up.
        for round in 0..rounds + 100 {
            let now = house.clock.now();
            let samples = [
                bench.through(None).await,
                bench.through(Some(bench.cookie.as_str())).await,
                bench.admitting().await,
                bench.loading().await,
                per(SIGNATURES, || assert!(tokens.provider.accepts(black_box(&tokens.rs256), now))),
                per(SIGNATURES, || assert!(tokens.rs256_holds())),
                per(SIGNATURES, || assert!(tokens.provider.accepts(black_box(&tokens.es256), now))),
                per(SIGNATURES, || assert!(tokens.es256_holds())),
            ];
            if round >= 100 {
                all.iter_mut().zip(samples).for_each(|(all, sample)| all.push(sample));
            }
        }
        tell(&all);
    });
}

/// Runs one thing so many times, after a few for warmth: what a counter of allocations says of two runs differs by the rest.
pub fn count(redis: u16, what: &str, times: u32) {
    let house = House::open(redis, &fresh_key(), Arc::new(SystemClock));
    let tokens = Tokens::new(house.clock.now());
    actix_web::rt::System::new().block_on(async {
        let bench = bench(&house).await;
        let now = house.clock.now();
        for _ in 0..times / BATCH {
            match what {
                "anonymous" => bench.through(None).await,
                "session" => bench.through(Some(bench.cookie.as_str())).await,
                "admit" => bench.admitting().await,
                "load" => bench.loading().await,
                "rs256" => per(BATCH, || assert!(tokens.provider.accepts(&tokens.rs256, now))),
                "es256" => per(BATCH, || assert!(tokens.provider.accepts(&tokens.es256, now))),
                other => panic!("nobody knows {other}"),
            };
        }
    });
}

fn tell(all: &[Vec<f64>; 8]) {
    let samples = |of: usize| Samples::new(all[of].clone());
    let pairs = |of: &dyn Fn(usize) -> f64| Samples::new((0..all[0].len()).map(of).collect());
    // Of medians: a round in which one half was disturbed says nothing about the other.
    let check = samples(1).median() - samples(0).median();
    let to = |of: usize| samples(of).median() / check;
    println!("\nMedian of {} rounds in microseconds, and where eight of ten lie:", all[0].len());
    for (name, samples) in [
        ("request without a session, all layers", samples(0)),
        ("request with a session, all layers", samples(1)),
        ("  session check: the difference", pairs(&|round| all[1][round] - all[0][round])),
        ("  of it Gateway::admit", samples(2)),
        ("  of it the near cache, with the ticket's hash", samples(3)),
        ("RS256 JWT, verified and judged", samples(4)),
        ("  of it the signature alone", samples(5)),
        ("ES256 JWT, verified and judged", samples(6)),
        ("  of it the signature alone", samples(7)),
    ] {
        println!("  {name:<48} {}", samples.with_spread(2));
    }
    figure("session check, all in", format!("{check:.2} µs"), "at most 3 µs", check <= 3.0);
    for (name, of, wanted) in [("RS256", 4, 8.0), ("ES256", 6, 15.0)] {
        let ratio = to(of);
        let wanted_text = format!("at most 1/{wanted}");
        figure(
            &format!("  of verifying an {name} JWT"),
            format!("1/{ratio:.1}"),
            &wanted_text,
            ratio >= wanted,
        );
        note(&format!("  of the {name} signature alone"), format!("1/{:.1}", to(of + 1)));
    }
}

/// Microseconds of one of `times`.
fn per(times: u32, mut one: impl FnMut()) -> f64 {
    let began = busy();
    (0..times).for_each(|_| one());
    (busy() - began) / f64::from(times)
}

/// Microseconds for which this thread has been running: what others do on the machine meanwhile does not count.
fn busy() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// A gateway with one session that is in memory.
struct Bench<S> {
    gateway: Arc<Gateway>,
    service: S,
    cookie: String,
    ticket: Ticket,
    facts: RequestFacts,
}

async fn bench(
    house: &House,
) -> Bench<impl Service<actix_http::Request, Response = ServiceResponse, Error = actix_web::Error>> {
    let service = test::init_service(measured::application(house.current.clone())).await;
    let desk = house.current.desk();
    let now = house.clock.now();
    let ticket = new_ticket().unwrap();
    desk.gateway.store.create(&ticket, &session(1, Access::Opaque, now), now).await.unwrap();
    let facts = RequestFacts {
        origin: Arc::new(desk.origins.iter().next().unwrap().clone()),
        method: Method::GET,
        path: CanonicalPath::root(),
        query: None,
        site: FetchSite::SameOrigin,
        kind: RequestKind::Navigation,
        to_document: true,
        origin_header: OriginHeader::Absent,
        referer: OriginHeader::Absent,
        csrf_header: false,
        websocket: false,
        event_stream: false,
        cors: CorsRequest::default(),
        client: [192, 0, 2, 7].into(),
    };
    let cookie = desk.envelope.pair(&desk.cookies, &ticket).unwrap();
    Bench { gateway: Arc::clone(&desk.gateway), service, cookie, ticket, facts }
}

impl<S: Service<actix_http::Request, Response = ServiceResponse, Error = actix_web::Error>> Bench<S> {
    /// Requests through all layers, with a session or for the public route.
    async fn through(&self, cookie: Option<&str>) -> f64 {
        let path = if cookie.is_some() { "/page" } else { "/public/page" };
        let requests: Vec<_> = (0..BATCH).map(|_| request(path, cookie)).collect();
        let began = busy();
        for request in requests {
            let response = self.service.call(request).await.unwrap();
            assert_eq!(response.status().as_u16(), 204);
        }
        (busy() - began) / f64::from(BATCH)
    }

    async fn admitting(&self) -> f64 {
        let began = busy();
        for _ in 0..BATCH {
            let verdict =
                self.gateway.admit(black_box(&self.facts), Some(black_box(&self.ticket))).await.unwrap();
            assert!(matches!(verdict.outcome, Outcome::Forward(_)));
        }
        (busy() - began) / f64::from(BATCH)
    }

    async fn loading(&self) -> f64 {
        let now = self.gateway.clock.now();
        let began = busy();
        for _ in 0..BATCH {
            assert!(self.gateway.store.load(black_box(&self.ticket), now).await.unwrap().is_some());
        }
        (busy() - began) / f64::from(BATCH)
    }
}

const ISSUER: &str = "https://idp.example.com/realms/corp";
const CLIENT: &str = "keycard";

/// A token of either algorithm, about one kilobyte as providers issue them, and the provider that signed them.
struct Tokens {
    provider: Published,
    rs256: String,
    es256: String,
    rsa: ParsedPublicKey,
    ec: ParsedPublicKey,
}

impl Tokens {
    fn new(now: Timestamp) -> Self {
        let rsa = SigningKey::generate().unwrap();
        let der =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).unwrap();
        let point = ec.public_key().as_ref();
        let jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "ec",
            "x": b64(&point[1..33]), "y": b64(&point[33..])});
        let mut jwks = rsa.jwks();
        jwks["keys"].as_array_mut().unwrap().push(jwk);
        let claims = claims(now);
        let input = token::signing_input(
            &json!({"alg": "ES256", "typ": "JWT", "kid": "ec"}).to_string(),
            &claims.to_string(),
        );
        let signature = ec.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        let public = from_b64(jwks["keys"][0]["n"].as_str().unwrap()).unwrap();
        Self {
            provider: Published::new(&jwks.to_string(), ISSUER, CLIENT).unwrap(),
            rs256: token::sign(&rsa, "JWT", &claims).unwrap(),
            es256: token::compact(&input, signature.as_ref()),
            rsa: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa_der(&public)).unwrap(),
            ec: ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).unwrap(),
        }
    }

    fn rs256_holds(&self) -> bool {
        holds(&self.rsa, black_box(&self.rs256))
    }

    fn es256_holds(&self) -> bool {
        holds(&self.ec, black_box(&self.es256))
    }
}

fn holds(key: &ParsedPublicKey, token: &str) -> bool {
    let (input, signature) = token.rsplit_once('.').unwrap();
    key.verify_sig(input.as_bytes(), &from_b64(signature).unwrap()).is_ok()
}

/// The `RSAPublicKey` of RFC 8017 appendix A.1.1 with the exponent 65537.
fn rsa_der(modulus: &[u8]) -> Vec<u8> {
    let long = |tag: u8, bytes: Vec<u8>| {
        [&[tag, 0x82], &u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
    };
    let modulus = long(0x02, [&[0], modulus].concat());
    long(0x30, [modulus, vec![0x02, 0x03, 0x01, 0x00, 0x01]].concat())
}

fn claims(now: Timestamp) -> Value {
    let seconds = now.unix_millis() / 1000;
    json!({
        "iss": ISSUER, "aud": CLIENT, "azp": CLIENT, "sub": "8d1f4c1e-3b52-4f6a-9a57-000000000001",
        "iat": seconds, "exp": seconds + 3600, "auth_time": seconds, "jti": "onrtac:2f6b7a10-9c0d-4e3b-8f21-000000000001",
        "sid": "2f6b7a10-9c0d-4e3b-8f21-000000000001", "acr": "1", "scope": "openid profile email",
        "name": "Person Number 1", "preferred_username": "person", "email": "person.1@example.com", "email_verified": true,
        "realm_access": {"roles": ["editor", "reader", "offline_access"]}, "groups": ["/staff", "/staff/berlin"],
    })
}
