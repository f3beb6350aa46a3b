//! Keys of sessions, changed while people are at work (issue 5, key rotation; R44, R82).
//!
//! I own: what a change of keys leaves alone, what it must not do by halves, and what operators are told. `pair` has two
//! gateways over one store, and `process` does the same to the binary, by files and signals.

mod pair;
mod process;

use super::house::browser::Browser;
use super::house::gateway::{ADMIN_TOKEN, TestGateway};
use super::house::setting::{Setting, usual_plan};
use super::keeping::{keep, routes, sign_in};
use keycard::app::reload::Outcome;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The key of every gateway under test at its start, and others to come after it.
const OLD: &str = "a2V5Y2FyZC10ZXN0LXNlYWxpbmcta2V5LTMyLWJ5dGU=";
const NEW: &str = "b2V5Y2FyZC10ZXN0LXNlYWxpbmcta2V5LTMyLWJ5dGU=";
const NEWEST: &str = "c2V5Y2FyZC10ZXN0LXNlYWxpbmcta2V5LTMyLWJ5dGU=";

/// The configuration of a gateway, with these keys in place of the one that it began with.
fn with_keys(gateway: &TestGateway, keys: &[&str]) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    let before = format!("keys = [\"{OLD}\"]");
    assert!(gateway.config_text().contains(&before));
    gateway.config_text().replace(&before, &format!("keys = [{}]", quoted.join(", ")))
}

fn change(gateway: &TestGateway, keys: &[&str]) {
    let outcome = gateway.reload(&with_keys(gateway, keys));
    assert_eq!(outcome, Outcome::Applied { needs_restart: vec![] }, "{keys:?}");
}

fn get(browser: &mut Browser) -> u16 {
    browser.fetch("GET", "/", &[], b"").status
}

fn status(gateway: &TestGateway) -> Vec<Value> {
    let answer = gateway.operate("GET", "/admin/keys");
    assert_eq!(answer.status, 200, "{}", answer.text());
    for key in [OLD, NEW, NEWEST] {
        assert!(!answer.text().contains(&key[..12]), "a key is shown");
    }
    answer.json()["keys"].as_array().unwrap().clone()
}

fn operating() -> Setting {
    Setting::with(|plan| plan.operating = true)
}

#[test]
fn r44_keys_are_changed_and_nobody_is_signed_out() {
    let setting = operating();
    let gateway = &setting.gateway;
    let mut early = setting.signed_in();
    let cookie = setting.session_cookie(&early);
    let mut pending = setting.browser();
    let callback = pending.up_to_callback("/");
    change(gateway, &[NEW, OLD]);
    assert_eq!(get(&mut early), 200);
    // A login that began before the change ends after it: state, binding, nonce and verifier are the old key's.
    let page = pending.navigate(callback.as_str());
    setting.assert_signed_in(&pending, &page);
    let mut late = setting.signed_in();
    assert_eq!(setting.session_cookie(&early), cookie, "no cookie was set anew");
    // Whoever came after the change needs nothing of the old key.
    change(gateway, &[NEW]);
    assert_eq!((get(&mut late), get(&mut pending)), (200, 200));
    // Whoever came before it does, and is told so: not signed out.
    let answer = early.fetch("GET", "/", &[], b"");
    assert_eq!((answer.status, answer.all("set-cookie").len()), (503, 0));
    change(gateway, &[NEW, OLD]);
    assert_eq!((get(&mut early), get(&mut late)), (200, 200));
    // Once more, over both.
    change(gateway, &[NEWEST, NEW, OLD]);
    let mut last = setting.signed_in();
    for browser in [&mut early, &mut late, &mut pending, &mut last] {
        assert_eq!(get(browser), 200);
        assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
        assert_eq!(get(browser), 401);
    }
}

#[test]
fn r44_a_handle_and_a_person_are_found_after_a_change() {
    let setting = operating();
    let gateway = &setting.gateway;
    let (mut first, mut second) = (setting.signed_in(), setting.signed_in());
    let list = gateway.operate("GET", "/admin/sessions").json();
    let handle = list["sessions"][0]["handle"].as_str().unwrap().to_owned();
    change(gateway, &[NEW, OLD]);
    let ended = gateway.operate("DELETE", &format!("/admin/sessions?handle={handle}"));
    assert_eq!((ended.status, ended.json()), (200, json!({ "ended": 1 })));
    assert_eq!(get(&mut first) + get(&mut second), 200 + 401);
    // The provider's logout finds index entries of either key.
    let mut third = setting.signed_in();
    let token = setting.provider.logout_forge().sign();
    setting.clock.advance(Duration::from_secs(1));
    let told = super::backchannel::post(
        gateway.address,
        gateway.host(),
        "/bff/backchannel-logout",
        super::backchannel::FORM,
        super::backchannel::form(&token).as_bytes(),
    );
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!((get(&mut first), get(&mut second), get(&mut third)), (401, 401, 401));
}

#[test]
fn r44_what_the_browser_holds_outlives_a_change() {
    let setting = Setting::with(|plan| {
        routes(plan);
        let url = plan.upstream_url();
        plan.route(&format!(
            "path = \"/wiki/\"\nupstream = \"{url}\"\naccess = \"signed-in\"\napp_cookies = [\"PHPSESSID\"]"
        ));
    });
    // An app's own session.
    let mut owner = setting.signed_in();
    setting.upstream.answer_raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: PHPSESSID=app1; Path=/wiki/\r\nContent-Length: 2\r\n\r\nhi",
    );
    assert_eq!(owner.navigate("/wiki/").answer.status, 200);
    setting.upstream.behave();
    let got = |owner: &mut Browser| {
        assert_eq!(owner.navigate("/wiki/").answer.status, 200);
        setting.upstream.last().head.all("cookie").join("; ")
    };
    assert!(got(&mut owner).contains("PHPSESSID=app1"));
    // A form that waits for a sign-in.
    let mut sender = setting.browser();
    let kept = keep(&mut sender, "/keep/x", "a=1");
    change(&setting.gateway, &[NEW, OLD]);
    assert!(got(&mut owner).contains("PHPSESSID=app1"));
    let pass = sign_in(&mut sender, &kept);
    change(&setting.gateway, &[NEWEST, NEW, OLD]);
    let answer = sender.post_form("/bff/replay", &format!("form={}&pass={pass}", kept.sealed));
    assert_eq!(answer.status, 200, "{}", answer.text());
    // What was sealed for the app under a key that is gone goes to nobody; the app asks anew.
    let mut late = setting.signed_in();
    change(&setting.gateway, &[NEWEST]);
    let value = owner.jar.get("PHPSESSID").unwrap().value.clone();
    late.jar.plant("apps.example.test", "PHPSESSID", &value);
    assert!(!got(&mut late).contains("PHPSESSID"));
}

#[test]
fn r60_a_form_of_somebody_who_was_known_is_still_theirs_after_a_change() {
    let setting = Setting::bent(
        |provider| {
            provider.bend_token(|answer| drop(answer.as_object_mut().unwrap().remove("refresh_token")))
        },
        routes,
    );
    let mut browser = setting.signed_in();
    setting.clock.advance(Duration::from_secs(600));
    let kept = keep(&mut browser, "/keep-relay/x", "a=1");
    change(&setting.gateway, &[NEW, OLD]);
    let pass = sign_in(&mut browser, &kept);
    let answer = browser.post_form("/bff/replay", &format!("form={}&pass={pass}", kept.sealed));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn key_file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    std::io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
    path
}

fn with_files(gateway: &TestGateway, files: &[&Path]) -> String {
    let files: Vec<String> = files.iter().map(|path| format!("{{ file = {path:?} }}")).collect();
    let keys = format!("keys = [{}]", files.join(", "));
    gateway.config_text().replace(&format!("keys = [\"{OLD}\"]"), &keys)
}

#[test]
fn a45_a_bad_key_changes_nothing() {
    let setting = Setting::new();
    let (gateway, folder) = (&setting.gateway, TempDir::new().unwrap());
    let (old, new) = (key_file(&folder, "old", OLD), key_file(&folder, "new", NEW));
    let config = with_files(gateway, &[&new, &old]);
    assert_eq!(gateway.reload(&config), Outcome::Applied { needs_restart: vec![] });
    let mut browser = setting.signed_in();
    let zeros = format!("{}=", "A".repeat(43));
    for bad in ["", "\n", "c2hvcnQ=", "not base64", &zeros, &format!("{NEWEST}{NEWEST}")] {
        key_file(&folder, "new", bad);
        assert_eq!(gateway.reload(&config), Outcome::Refused, "{bad:?}");
        assert_eq!(get(&mut browser), 200);
        // What is sealed meanwhile is sealed with the key of before.
        let mut late = setting.signed_in();
        key_file(&folder, "new", NEW);
        assert_eq!(gateway.reload(&config), Outcome::Applied { needs_restart: vec![] });
        change(gateway, &[NEW]);
        assert_eq!(get(&mut late), 200, "{bad:?}");
        assert_eq!(gateway.reload(&config), Outcome::Applied { needs_restart: vec![] });
    }
    fs::remove_file(&new).unwrap();
    assert_eq!(gateway.reload(&config), Outcome::Refused);
    assert_eq!(get(&mut browser), 200);
    let half = config.replace("access = \"public\"", "access = \"everybody\"");
    key_file(&folder, "new", NEWEST);
    assert_eq!(gateway.reload(&half), Outcome::Refused, "good keys beside another mistake");
    let mut late = setting.signed_in();
    key_file(&folder, "new", NEW);
    assert_eq!(gateway.reload(&config), Outcome::Applied { needs_restart: vec![] });
    change(gateway, &[NEW]);
    assert_eq!((get(&mut browser), get(&mut late)), (200, 200));
}

#[test]
fn r44_the_key_beside_an_embedded_store_is_changed_without_a_sign_out() {
    let (folder, secrets) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let setting = Setting::with(|plan| plan.store_embedded(folder.path()));
    let mut browser = setting.signed_in();
    let (beside, new) = (folder.path().join("session.key"), key_file(&secrets, "new", NEW));
    let text = setting.gateway.config_text();
    let with = |keys: &str| text.replace("[identity]", &format!("keys = [{keys}]\n[identity]"));
    let file = |path: &Path| format!("{{ file = {path:?} }}");
    // Without the key of what is in the file, it could not be opened again.
    assert_eq!(setting.gateway.reload(&with(&file(&new))), Outcome::Refused);
    assert_eq!(get(&mut browser), 200);
    let both = with(&format!("{}, {}", file(&new), file(&beside)));
    assert_eq!(setting.gateway.reload(&both), Outcome::Applied { needs_restart: vec![] });
    assert_eq!(get(&mut browser), 200);
    let mut late = setting.signed_in();
    // Back to the key beside it alone: that would not open what was sealed since.
    assert_eq!(setting.gateway.reload(text), Outcome::Refused);
    assert_eq!(setting.gateway.reload(&both), Outcome::Applied { needs_restart: vec![] });
    assert_eq!((get(&mut browser), get(&mut late)), (200, 200));
    // A restart finds both; and refuses to begin with the old one alone.
    let Setting { clock, provider, upstream, gateway } = setting;
    gateway.stop();
    let restarted = |keys: &str| {
        let mut plan = usual_plan(&upstream);
        plan.provider("corp", &provider, "userinfo = true");
        plan.store_embedded(folder.path());
        plan.session_extra(keys);
        plan.try_start(&clock)
    };
    assert!(restarted("").is_err(), "the file was marked with the new key");
    let gateway = restarted(&format!("keys = [{}, {}]", file(&new), file(&beside)))
        .unwrap_or_else(|why| panic!("{why}"));
    for before in [&browser, &late] {
        let mut back = gateway.browser();
        back.jar = before.jar.clone();
        assert_eq!(get(&mut back), 200);
    }
}

#[test]
fn keys_of_another_store_wait_for_its_restart() {
    let (setting, folder) = (Setting::new(), TempDir::new().unwrap());
    let mut browser = setting.signed_in();
    let elsewhere = with_keys(&setting.gateway, &[NEW])
        .replace("store = \"memory\"", &format!("store = \"embedded\"\nstore_path = {:?}", folder.path()));
    let Outcome::Applied { needs_restart } = setting.gateway.reload(&elsewhere) else { panic!("refused") };
    assert!(needs_restart.contains(&"session.store"), "{needs_restart:?}");
    assert_eq!(get(&mut browser), 200);
}

#[test]
fn r60_operators_are_told_which_key_is_needed_and_by_when_and_strangers_nothing() {
    let setting = operating();
    let gateway = &setting.gateway;
    let mut browser = setting.signed_in();
    setting.signed_in();
    let only = status(gateway);
    assert_eq!(only.len(), 1);
    for (name, value) in [("records", 2), ("sessions", 2), ("index_entries", 4)] {
        assert_eq!(only[0][name], value, "{name}: {}", only[0]);
    }
    assert_eq!((&only[0]["role"], &only[0]["can_be_removed"]), (&json!("seals"), &json!(false)));
    change(gateway, &[NEW, OLD]);
    let until = status(gateway)[1]["needed_until"].clone();
    let user = browser.fetch("GET", "/bff/user", &[], b"").json();
    assert_eq!(until, user["session"]["ends"], "the last session under it ends then");
    let both = status(gateway);
    assert_eq!((both[0]["records"].as_u64(), both[1]["records"].as_u64()), (Some(0), Some(2)));
    assert_eq!(both[1]["id"], only[0]["id"]);
    // A key that is gone is told as missing, with what it has sealed.
    change(gateway, &[NEW]);
    let gone = status(gateway);
    assert_eq!((&gone[1]["role"], &gone[1]["records"]), (&json!("missing"), &json!(2)));
    change(gateway, &[NEW, OLD]);
    setting.clock.advance(Duration::from_secs(11 * 3600));
    let free = status(gateway);
    assert_eq!((&free[1]["can_be_removed"], &free[1]["sessions"]), (&json!(true), &json!(0)));
    for (method, target, token, expected) in [
        ("GET", "/admin/keys", "another", 401),
        ("POST", "/admin/keys", "another", 401),
        ("POST", "/admin/keys", ADMIN_TOKEN, 405),
        ("GET", "/admin/keys?all=true", ADMIN_TOKEN, 400),
    ] {
        assert_eq!(gateway.operate_with(token, method, target).status, expected, "{method} {target}");
    }
}
