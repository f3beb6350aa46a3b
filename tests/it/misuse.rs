//! Misuse that must not compile (style rule 36): each case is handed to the compiler, and must be refused for the
//! reason that is written beside it. The first case is a control that must pass, so that a broken set-up cannot make
//! the others pass by accident.

use std::path::PathBuf;
use std::process::Command;

/// What the compiler says about a crate that uses the library like this.
fn compile(name: &str, code: &str) -> Result<(), String> {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let library = newest_library(&deps);
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("misuse");
    std::fs::create_dir_all(&dir).unwrap();
    let source = dir.join(format!("{name}.rs"));
    std::fs::write(&source, code).unwrap();
    let output = Command::new("rustc")
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--crate-name", name])
        .arg("--out-dir")
        .arg(&dir)
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg("--extern")
        .arg(format!("keycard={}", library.display()))
        .arg(&source)
        .output()
        .expect("rustc is there");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn newest_library(deps: &std::path::Path) -> PathBuf {
    let mut found: Vec<(std::time::SystemTime, PathBuf)> = std::fs::read_dir(deps)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?;
            let fits = name.starts_with("libkeycard-") && name.ends_with(".rlib");
            fits.then(|| (path.metadata().unwrap().modified().unwrap(), path.clone()))
        })
        .collect();
    found.sort();
    found.pop().expect("the library was built").1
}

fn refused(name: &str, code: &str, reason: &str) {
    let control =
        "use keycard::domain::login::PendingLogin; pub fn f(login: PendingLogin) -> PendingLogin { login }";
    compile(&format!("{name}_control"), control).expect("the control compiles");
    let words = compile(name, code).expect_err("this must not compile");
    assert!(words.contains(reason), "refused, but not because `{reason}`:\n{words}");
}

#[test]
fn r4_a_code_is_redeemed_only_from_a_proven_callback() {
    refused(
        "redeem_pending",
        "use keycard::{domain::{login::PendingLogin, time::Timestamp}, ports::IdentityProvider};
         pub fn f(provider: &dyn IdentityProvider, login: PendingLogin, url: &url::Url, now: Timestamp) {
             drop(provider.redeem(login, url, now));
         }"
        .replace("&url::Url", "&str")
        .as_str(),
        "expected `ProvenCallback`, found `PendingLogin`",
    );
}

#[test]
fn r8_a_proven_callback_cannot_be_made_up() {
    refused(
        "forge_proof",
        "use keycard::domain::{login::{PendingLogin, ProvenCallback}, secret::{AuthorizationCode, Nonce, PkceVerifier}};
         pub fn f(login: PendingLogin, code: AuthorizationCode, nonce: Nonce, verifier: PkceVerifier) -> ProvenCallback {
             ProvenCallback { login, code, nonce, verifier }
         }",
        "private",
    );
}

#[test]
fn r4_a_login_cannot_be_claimed_before_it_is_bound() {
    refused(
        "claim_unbound",
        "use keycard::domain::login::{ClaimedLogin, PendingLogin};
         pub fn f(login: PendingLogin) -> ClaimedLogin { login.claim(true).unwrap() }",
        "no method named `claim` found",
    );
}

#[test]
fn a3_a_login_cannot_be_used_twice() {
    refused(
        "claim_twice",
        "use keycard::domain::login::BoundLogin;
         pub fn f(login: BoundLogin) { drop(login.claim(true)); drop(login.claim(true)); }",
        "use of moved value",
    );
}

#[test]
fn r70_a_permit_cannot_be_made_up() {
    refused(
        "forge_permit",
        "use keycard::domain::{policy::Permit, request::RequestFacts, route::Route};
         pub fn f(route: std::sync::Arc<Route>, facts: RequestFacts) -> Permit { Permit { route, facts, live: None } }",
        "private",
    );
}

#[test]
fn r60_secrets_cannot_be_printed_or_compared() {
    for (name, code, reason) in [
        (
            "print_token",
            "pub fn f(t: keycard::domain::secret::AccessToken) -> String { format!(\"{t:?}\") }",
            "doesn't implement `Debug`",
        ),
        (
            "print_ticket",
            "pub fn f(t: keycard::domain::session::Ticket) -> String { format!(\"{t:?}\") }",
            "doesn't implement `Debug`",
        ),
        (
            "compare_nonces",
            "pub fn f(a: keycard::domain::secret::Nonce, b: keycard::domain::secret::Nonce) -> bool { a == b }",
            "binary operation `==` cannot be applied",
        ),
    ] {
        refused(name, code, reason);
    }
}
