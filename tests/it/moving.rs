//! Moving sessions to another store, through the operators' door (issue 5, item 4): a shop that outgrows one machine
//! signs nobody out.
//!
//! I own: the way from the embedded store to Redis, as `docs/operating.md` tells it. What a store does with a file is in
//! its contract suite.

use super::house::clock::ManualClock;
use super::house::gateway::{ADMIN_TOKEN, Plan, TestGateway};
use super::house::provider::Provider;
use super::house::raw::{Answer, send};
use super::house::setting::{Setting, usual_plan};
use super::stores::Redis;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

fn ask(admin: Option<SocketAddr>, method: &str, target: &str, token: &str, body: &[u8]) -> Answer {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    send(admin.unwrap(), &[head.as_bytes(), body].concat()).expect("no answer")
}

fn run(gateway: &TestGateway, arguments: &[&str]) -> Output {
    let url = format!("http://{}", gateway.admin.unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_keycard"));
    command.arg("sessions").args(arguments).args(["--url", &url]).env("KEYCARD_ADMIN_TOKEN", ADMIN_TOKEN);
    command.output().unwrap()
}

/// What a command said, which has to have worked.
fn said(output: &Output) -> String {
    let (said, complaint) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(said.clone()).unwrap().trim().to_owned()
}

/// A gateway over Redis, with the key that lies beside an embedded store.
fn over_redis(redis: &Redis, key: &Path, setting: &Setting) -> (Plan, TestGateway) {
    let mut plan = usual_plan(&setting.upstream);
    plan.operating = true;
    plan.provider("corp", &setting.provider, "userinfo = true");
    plan.store_redis(&redis.url());
    plan.key_file(key);
    let gateway = plan.start(&setting.clock);
    (plan, gateway)
}

#[test]
fn from_one_machine_to_redis_nobody_is_signed_out() {
    let folder = TempDir::new().unwrap();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_embedded(folder.path());
    });
    let (alice, mut ended) = (setting.signed_in(), setting.signed_in());
    assert!(ended.fetch("POST", "/bff/logout", &[], b"").status < 400);
    setting.clock.advance(Duration::from_secs(20 * 60));
    let file = folder.path().join("sessions.keycard");
    let name = file.to_str().unwrap();
    let output = said(&run(&setting.gateway, &["export", name]));
    assert!(output.starts_with("1 sessions written, "), "{output}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"keycard sessions 1 "));
    for word in ["alice", "Alice", "example.test", "127.0.0.1", "corp"] {
        assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "the file says {word}");
    }
    // It is never written over, and what is piped is the same kind of file.
    let twice = run(&setting.gateway, &["export", name]);
    assert_eq!(twice.status.code(), Some(2), "{}", String::from_utf8_lossy(&twice.stderr));
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert!(run(&setting.gateway, &["export", "-"]).stdout.starts_with(b"keycard sessions 1 "));

    let redis = Redis::start();
    let key = folder.path().join("session.key");
    let (_plan, new) = over_redis(&redis, &key, &setting);
    let mut there = new.browser();
    there.jar = alice.jar.clone();
    assert_eq!(there.clone().fetch("GET", "/", &[], b"").status, 401, "not yet");
    let imported = said(&run(&new, &["import", name]));
    let expected = "1 sessions imported, 0 there already, 0 expired, 0 ended here since, 0 refused";
    assert_eq!(imported, expected);
    there.jar = alice.jar.clone();
    let user = there.fetch("GET", "/bff/user?slide=false", &[], b"");
    assert_eq!((user.status, &user.json()["user"]["id"]), (200, &"alice-0001".into()));
    assert_eq!(user.json()["session"]["started"], "2026-01-01T00:00:00Z");
    // Silence goes on where it was: 20 of 30 minutes are over.
    assert_eq!(user.json()["session"]["idle_until"], "2026-01-01T00:31:30Z");
    // What leads to the session came along, and ends it.
    let page = there.fetch("GET", "/bff/sessions?slide=false", &[], b"").json();
    assert_eq!(page["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(there.fetch("GET", "/", &[], b"").status, 200);
    let issuer = setting.provider.issuer();
    let one = said(&run(&new, &["list", "--user", "alice-0001", "--issuer", &issuer, "--json-lines"]));
    assert_eq!(one.lines().count(), 1, "{one}");
    assert_eq!(said(&run(&new, &["end", "--user", "alice-0001", "--issuer", &issuer])), "1 session ended");
    assert_eq!(there.fetch("GET", "/", &[], b"").status, 401);
    // The same file does not bring her back by mistake.
    let again = run(&new, &["import", name]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("taken in before"));
    // Nor on purpose, as long as the mark of that ending is remembered.
    let forced = said(&run(&new, &["import", name, "--again"]));
    assert!(forced.contains(" 1 ended here since"), "{forced}");
    assert_eq!(there.fetch("GET", "/", &[], b"").status, 401);
}

#[test]
fn a_file_for_other_keys_is_refused_by_name_and_nothing_happens() {
    let folder = TempDir::new().unwrap();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_embedded(folder.path());
    });
    setting.signed_in();
    let file = ask(setting.gateway.admin, "GET", "/admin/sessions/export", ADMIN_TOKEN, b"").body;
    let needed =
        String::from_utf8_lossy(&file).lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let other = Setting::with(|plan| plan.operating = true);
    let refused = ask(other.gateway.admin, "POST", "/admin/sessions/import", ADMIN_TOKEN, &file);
    assert_eq!((refused.status, &refused.json()["key"]), (409, &needed.clone().into()));
    let path = folder.path().join("file");
    fs::write(&path, &file).unwrap();
    let output = run(&other.gateway, &["import", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&needed));
    let list = ask(other.gateway.admin, "GET", "/admin/sessions", ADMIN_TOKEN, b"").json();
    assert!(list["sessions"].as_array().unwrap().is_empty() && list["unreadable"] == 0, "{list}");
}

#[test]
fn files_need_the_token_and_have_one_method_each() {
    let setting = Setting::with(|plan| plan.operating = true);
    setting.signed_in();
    let admin = setting.gateway.admin;
    for (method, target) in [("GET", "/admin/sessions/export"), ("POST", "/admin/sessions/import")] {
        for token in ["", "another", &ADMIN_TOKEN[1..]] {
            let answer = ask(admin, method, target, token, b"");
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (401, Some("application/problem+json"))
            );
        }
        assert_eq!(ask(admin, method, &format!("{target}?all=true"), ADMIN_TOKEN, b"").status, 400);
        for other in ["GET", "POST", "PUT", "DELETE"].into_iter().filter(|other| *other != method) {
            let answer = ask(admin, other, target, ADMIN_TOKEN, b"");
            assert_eq!((answer.status, answer.header("allow")), (405, Some(method)), "{other}");
        }
        assert_eq!(
            setting.browser().fetch(method, target, &[], b"").status,
            401,
            "an app's path at the public door"
        );
    }
    let large = vec![b'x'; 4 << 20];
    let refused = ask(admin, "POST", "/admin/sessions/import", ADMIN_TOKEN, &large);
    assert_eq!((refused.status, &refused.json()["type"]), (400, &"urn:keycard:problem:bad-transfer".into()));
    let export = ask(admin, "GET", "/admin/sessions/export", ADMIN_TOKEN, b"");
    assert_eq!((export.status, export.header("cache-control")), (200, Some("no-store")));
    let cut = &export.body[..export.body.len() - 1];
    let refused = ask(admin, "POST", "/admin/sessions/import", ADMIN_TOKEN, cut);
    assert_eq!(
        (refused.status, &refused.json()["type"]),
        (400, &"urn:keycard:problem:transfer-cut-off".into())
    );
    let again = ask(admin, "POST", "/admin/sessions/import", ADMIN_TOKEN, &export.body);
    assert_eq!((again.status, &again.json()["already_there"]), (200, &1.into()));
}

#[test]
fn r82_a_store_that_fails_halfway_leaves_no_file_that_looks_whole() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis_asked(&url);
    });
    setting.signed_in();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    drop(redis);
    let output = run(&setting.gateway, &["export", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!path.exists(), "a file was left behind");
}

#[test]
fn a_long_list_comes_page_by_page_each_session_once() {
    let clock = ManualClock::new();
    let provider = Provider::start(&clock);
    let upstream = super::house::upstream::Upstream::start();
    let mut plan = usual_plan(&upstream);
    plan.operating = true;
    plan.provider("corp", &provider, "");
    let gateway = plan.start(&clock);
    for _ in 0..30 {
        gateway.browser().navigate("/");
    }
    for arguments in [&["list", "--json-lines"][..], &["list", "--user", "alice-0001", "--json-lines"]] {
        let lines = said(&run(&gateway, arguments));
        let handles: std::collections::BTreeSet<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["handle"].to_string())
            .collect();
        assert_eq!((lines.lines().count(), handles.len()), (30, 30));
    }
    let table = said(&run(&gateway, &["list"]));
    assert_eq!(table.lines().count(), 31);
    let handle = table.lines().nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(said(&run(&gateway, &["list", "--id", handle])).lines().count(), 2);
    assert_eq!(said(&run(&gateway, &["end", "--id", handle])), "1 session ended");
    assert_eq!(said(&run(&gateway, &["list"])).lines().count(), 30);
}
