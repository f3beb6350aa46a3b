//! Keys of the binary, changed by files: what the log says, and what `keycard keys status` prints.
//!
//! I own: `keycard serve` with keys in files. I never reach inside; I wait for its log.

use super::{NEW, OLD};
use crate::it::binary::{Run, file, keycard, sound};
use crate::it::house::setting::Setting;
use crate::it::stores::Redis;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use tempfile::TempDir;

const TOKEN: &str = "Qm7xT2vK9pLw4RzN8sYd6HcJ3bFgUe5a";
const CHANGED: &str = "the keys of sessions were changed; the first seals from now on";

/// A free port, most likely.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn fresh_key() -> String {
    keycard(&["keys", "new"], &[]).stdout.trim().to_owned()
}

#[test]
fn r44_a_key_file_that_changes_is_in_force_at_once_and_a_bad_one_is_told() {
    let (folder, address, admin) = (TempDir::new().unwrap(), free(), free());
    let (old, new) = (fresh_key(), fresh_key());
    let first = file(&folder, "first.key", &old);
    let second = file(&folder, "second.key", &new);
    let text = sound(&address.to_string())
        .replace(
            "workers = 1",
            &format!(
                "workers = 1\nreload = \"watch\"\nadmin_listen = \"{admin}\"\nadmin_token = \"{TOKEN}\""
            ),
        )
        .replace(
            "store = \"memory\"",
            &format!("store = \"memory\"\nkeys = [{{ file = {first:?} }}, {{ file = {second:?} }}]"),
        );
    let path = file(&folder, "keycard.toml", &text);
    let check = keycard(&["check", "--config", path.to_str().unwrap()], &[]);
    assert!(check.stdout.contains("opened by ") && check.stdout.contains("an old key"), "{}", check.stdout);
    let mut run = Run::start(&["serve", "--config", path.to_str().unwrap()], &[]);
    run.wait_for("keycard is serving");
    let status = || {
        let url = format!("http://{admin}");
        let variables = [("KEYCARD_ADMIN_TOKEN", TOKEN)];
        let table = keycard(&["keys", "status", "--url", &url], &variables);
        assert_eq!(table.code, Some(0), "{}", table.stderr);
        let machine = keycard(&["keys", "status", "--json", "--url", &url], &variables);
        let machine: serde_json::Value = serde_json::from_str(&machine.stdout).unwrap();
        let ids: Vec<String> = machine["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["id"].as_str().unwrap().into())
            .collect();
        (ids, table.stdout)
    };
    let (before, table) = status();
    assert!(table.contains("seals") && table.contains("can be removed now"), "{table}");
    // A watch sees it. The other key is behind it now: both files change, one after the other.
    fs::write(&second, "AAAA").unwrap();
    run.wait_for("`session.keys[1]` is not base64 of exactly 32 bytes");
    run.wait_for("keycard keys new");
    run.wait_for("is refused; the old one stays in force");
    fs::write(&second, &new).unwrap();
    run.wait_for("is in force");
    let swapped =
        text.replace("first.key", "x.key").replace("second.key", "first.key").replace("x.key", "second.key");
    fs::write(&path, &swapped).unwrap();
    run.wait_for(CHANGED);
    let (after, _) = status();
    assert_eq!((after.len(), &after[0], &after[1]), (2, &before[1], &before[0]));
    let alone = swapped.replace(&format!(", {{ file = {first:?} }}"), "");
    fs::write(&path, &alone).unwrap();
    run.wait_for(CHANGED);
    run.wait_for(
        "a key was removed: what it has sealed cannot be read until it is put back, behind the first",
    );
    assert_eq!(status().0, [before[1].clone()]);
    run.signal("TERM");
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(&old[..20]) && !ended.stderr.contains(&new[..20]), "{}", ended.stderr);
}

#[test]
fn r44_a_check_finds_sessions_that_need_a_key_that_is_missing() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| plan.store_redis_asked(&url));
    setting.signed_in();
    let folder = TempDir::new().unwrap();
    let said = |name: &str, keys: &str| {
        let before = format!("keys = [\"{OLD}\"]");
        let text = setting.gateway.config_text().replace(&before, &format!("keys = [{keys}]"));
        let path = file(&folder, name, &text);
        keycard(&["check", "--connect", "--config", path.to_str().unwrap()], &[]).stdout
    };
    let both = said("both.toml", &format!("\"{NEW}\", \"{OLD}\""));
    assert!(both.contains("was written, read and removed") && !both.contains("put it back"), "{both}");
    let alone = said("alone.toml", &format!("\"{NEW}\""));
    assert!(alone.contains("but 1 sessions, at first sight, are sealed with key"), "{alone}");
}
