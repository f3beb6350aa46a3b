//! The sweep for leaks (A37, R43, R60): no secret of the whole end-to-end run is in anything that a gateway sent to a
//! browser, nor in any log line.
//!
//! I own: [`Sieve`], which knows every secret in every spelling that a leak may take. I read what the test binary `it`
//! wrote (cargo runs it before me) and fail when there is nothing to read. I never print a secret.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "evidence that cannot be read has to fail the test at once, and clippy spares only #[test] functions; \
              what was swept is printed"
)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

/// A piece of this many bytes of a secret is a leak; a shorter secret leaks only as a whole.
const PIECE: usize = 16;

/// Fewer secrets than this mean that the run did not happen.
const FEWEST: usize = 500;

/// Secrets are filed under their aligned blocks of this many bytes. Any piece of [`PIECE`] bytes contains a whole one,
/// so each place of the evidence needs one look, and only a candidate is compared in full.
const BLOCK: usize = PIECE / 2;

/// Every secret in every spelling.
struct Sieve {
    spellings: HashSet<Vec<u8>>,
    short: HashSet<Vec<u8>>,
}

/// The spellings, filed.
struct Filed<'s> {
    /// By block: the spelling and the offset of the block in it.
    blocks: HashMap<u64, Vec<(&'s [u8], usize)>>,
    /// A bit per hash of a block: most places are done with after one look.
    quick: Vec<bool>,
}

impl Sieve {
    fn new() -> Self {
        Self { spellings: HashSet::new(), short: HashSet::new() }
    }

    fn add(&mut self, kind: &str, secret: &str) {
        // Header and payload of a token repeat in every token and on many a page; the signature is its own.
        let part = match kind {
            "id_token" => secret.rsplit('.').next().filter(|sign| sign.len() > PIECE),
            _ => Some(secret),
        };
        for spelling in part.into_iter().flat_map(|part| spellings(part.as_bytes())) {
            let place = if spelling.len() < PIECE { &mut self.short } else { &mut self.spellings };
            place.insert(spelling);
        }
    }

    fn file(&self) -> Filed<'_> {
        let mut filed = Filed { blocks: HashMap::new(), quick: vec![false; 1 << 24] };
        for spelling in &self.spellings {
            for (index, block) in spelling.chunks_exact(BLOCK).enumerate() {
                let block = u64::from_be_bytes(block.try_into().unwrap());
                filed.blocks.entry(block).or_default().push((spelling, index * BLOCK));
                filed.quick[quick(block)] = true;
            }
        }
        filed
    }

    /// The offsets at which a leak was noticed.
    fn hits(&self, evidence: &[u8]) -> Vec<usize> {
        let filed = self.file();
        let mut hits = Vec::new();
        let mut window = 0_u64;
        for (at, byte) in evidence.iter().enumerate() {
            window = (window << 8) | u64::from(*byte);
            if at + 1 >= BLOCK
                && filed.quick[quick(window)]
                && filed.is_leak(window, evidence, at + 1 - BLOCK)
            {
                hits.push(at + 1 - BLOCK);
            }
        }
        for short in self.short.iter().filter(|short| short.len() >= BLOCK) {
            hits.extend(
                evidence.windows(short.len()).enumerate().filter(|(_, w)| w == short).map(|(at, _)| at),
            );
        }
        hits
    }
}

impl Filed<'_> {
    /// Whether around a block at `at` a whole piece of a secret stands.
    fn is_leak(&self, block: u64, evidence: &[u8], at: usize) -> bool {
        self.blocks.get(&block).into_iter().flatten().any(|(spelling, offset)| {
            let same = |(one, two): &(&u8, &u8)| one == two;
            let before =
                evidence[..at].iter().rev().zip(spelling[..*offset].iter().rev()).take_while(same).count();
            let after = evidence[at..].iter().zip(&spelling[*offset..]).take_while(same).count();
            // What anybody could have written by chance, such as a signature of zeros, gives nothing away.
            let distinct = spelling[offset - before..offset + after].iter().collect::<HashSet<_>>().len();
            before + after >= PIECE && distinct > 4
        })
    }
}

fn quick(block: u64) -> usize {
    (block.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

/// A secret as it is, in base64 of both alphabets at each of the three alignments, percent-encoded, and in hexadecimal.
/// At the edges of base64 only the characters that the secret alone decides are kept.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![secret.to_vec()];
    for before in 0..3 {
        let padded = [vec![0; before], secret.to_vec()].concat();
        let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            all.push(text.as_bytes()[first..last].to_vec());
        }
    }
    let encode = |hex: fn(u8) -> String, plain: fn(u8) -> bool| {
        let one = |byte: &u8| if plain(*byte) { vec![*byte] } else { hex(*byte).into_bytes() };
        secret.iter().flat_map(one).collect::<Vec<u8>>()
    };
    let unreserved: fn(u8) -> bool = |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    all.push(encode(|byte| format!("%{byte:02X}"), unreserved));
    all.push(encode(|byte| format!("%{byte:02x}"), unreserved));
    all.push(encode(|byte| format!("%{byte:02X}"), |_| false));
    all.push(encode(|byte| format!("{byte:02x}"), |_| false));
    all.push(encode(|byte| format!("{byte:02X}"), |_| false));
    all.push(url::form_urlencoded::byte_serialize(secret).collect::<String>().into_bytes());
    all
}

/// The one named exception: `id_token_hint` in a `Location` (R43). Its value is blanked out.
fn without_hints(evidence: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"id_token_hint=";
    let mut out = Vec::with_capacity(evidence.len());
    for line in evidence.split_inclusive(|byte| *byte == b'\n') {
        let is_location = line.len() > 9 && line[..9].eq_ignore_ascii_case(b"location:");
        let at = line.windows(MARK.len()).position(|window| window == MARK).filter(|_| is_location);
        let Some(at) = at else {
            out.extend_from_slice(line);
            continue;
        };
        let value = at + MARK.len();
        let end =
            line[value..].iter().position(|byte| b"&\r\n".contains(byte)).map_or(line.len(), |n| value + n);
        out.extend_from_slice(&line[..value]);
        out.extend_from_slice(&line[end..]);
    }
    out
}

struct Evidence {
    browser: Vec<u8>,
    log: Vec<u8>,
    secrets: Vec<(String, String)>,
}

fn evidence() -> Evidence {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("evidence");
    let read = |kind: &str| {
        let path = folder.join(format!("it.{kind}"));
        fs::read(&path)
            .unwrap_or_else(|e| panic!("no evidence at {} ({e}): run the test `it` first", path.display()))
    };
    let secrets = String::from_utf8_lossy(&read("secrets")).into_owned();
    let pair = |line: &str| line.split_once('\t').map(|(kind, value)| (kind.to_owned(), value.to_owned()));
    Evidence {
        browser: without_hints(&read("browser")),
        log: read("log"),
        secrets: secrets.lines().filter_map(pair).collect(),
    }
}

/// What stands around a hit, without the hit itself.
fn place(evidence: &[u8], at: usize) -> String {
    let before = &evidence[at.saturating_sub(80)..at];
    format!("offset {at}, after {:?}", String::from_utf8_lossy(before))
}

fn sweep(name: &str, evidence: &[u8], secrets: &[(String, String)], kinds: &[&str]) {
    let wanted: BTreeSet<_> = secrets.iter().filter(|(kind, _)| kinds.contains(&kind.as_str())).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut sieve = Sieve::new();
    for (kind, value) in wanted {
        *counts.entry(kind).or_default() += 1;
        sieve.add(kind, value);
    }
    println!("{name}: {} bytes, {counts:?}, {} spellings", evidence.len(), sieve.spellings.len());
    let total: usize = counts.values().sum();
    assert!(total >= FEWEST, "only {total} secrets: run the whole test `it` first");
    assert!(evidence.len() > 100_000, "only {} bytes of evidence", evidence.len());
    assert_eq!(counts.len(), kinds.len(), "a kind of secret is missing");
    let hits = sieve.hits(evidence);
    let first: Vec<String> = hits.iter().take(5).map(|at| place(evidence, *at)).collect();
    assert!(hits.is_empty(), "{} leaks in {name}:\n{}", hits.len(), first.join("\n"));
}

const TOKENS: [&str; 6] = ["code", "access", "refresh", "id_token", "verifier", "client_secret"];

#[test]
fn r43_a37_no_secret_reached_a_browser() {
    let evidence = evidence();
    sweep("browser", &evidence.browser, &evidence.secrets, &TOKENS);
}

#[test]
fn r60_a37_no_secret_and_no_cookie_reached_the_log() {
    let evidence = evidence();
    let kinds = [TOKENS.as_slice(), &["cookie"]].concat();
    sweep("log", &evidence.log, &evidence.secrets, &kinds);
}

#[test]
fn a_planted_leak_is_found_in_every_spelling() {
    let secret = "kR7vYq2Lx9ZtB4mNcW8sHdPfJ1aGuE6o";
    let mut sieve = Sieve::new();
    sieve.add("access", secret);
    sieve.add("client_secret", "s3cret %+/:& of the relying party, 4ever!");
    let mut plants: Vec<Vec<u8>> = vec![
        secret.into(),
        secret[5..21].into(),
        b"s3cret%20%25%2B%2F%3A%26%20of%20the%20relying%20party".to_vec(),
        b"s3cret+%25%2B%2F%3A%26+of+the+relying+party".to_vec(),
    ];
    for before in ["", "x", "xy"] {
        let inside = format!("{before}{secret}{before}tail");
        plants.push(STANDARD_NO_PAD.encode(&inside).into_bytes());
        plants.push(URL_SAFE_NO_PAD.encode(&inside).into_bytes());
    }
    plants.push(secret.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>().into_bytes());
    plants.push(secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
    for plant in plants {
        let page = [b"HTTP/1.1 200 OK\r\nX-Leak: ".as_slice(), &plant, b"\r\n\r\nrest of the page"].concat();
        assert!(!sieve.hits(&page).is_empty(), "{}", String::from_utf8_lossy(&plant));
    }
    assert!(sieve.hits(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nnothing to see").is_empty());
    assert!(sieve.hits(&secret.as_bytes()[..15]).is_empty(), "fifteen bytes are no piece");
}

#[test]
fn of_a_token_the_signature_counts_and_the_hint_is_spared() {
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";
    let mut sieve = Sieve::new();
    sieve.add("id_token", token);
    assert!(sieve.hits(b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9").is_empty());
    assert!(!sieve.hits(b"a page with c2lnbmF0dXJlLW9mLXRoZS10b2tlbg").is_empty());
    let hint = format!("Location: https://idp/end?id_token_hint={token}&state=x\r\n");
    assert!(sieve.hits(&without_hints(hint.as_bytes())).is_empty());
    let elsewhere = format!("Location: https://idp/end?token={token}&id_token_hint=x\r\n");
    assert!(!sieve.hits(&without_hints(elsewhere.as_bytes())).is_empty());
    let in_a_body = format!("<a href='?id_token_hint={token}'>\n");
    assert!(!sieve.hits(&without_hints(in_a_body.as_bytes())).is_empty());
}
