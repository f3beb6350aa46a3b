//! The configuration, read again while people are at work (issue 4, hot reload).
//!
//! I own: what a reload changes, what it leaves alone, and that nobody notices it otherwise; `process` does the same to
//! the binary, by signals and files.

mod process;

use super::house::browser::Browser;
use super::house::gateway::ADMIN_TOKEN;
use super::house::provider::CLIENT_SECRET;
use super::house::provider::script::Place;
use super::house::raw::{Answer, Connection};
use super::house::server::After;
use super::house::setting::Setting;
use keycard::app::reload::Outcome;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(10);

fn applied() -> Outcome {
    Outcome::Applied { needs_restart: vec![] }
}

/// The running configuration, with one more piece at its end.
fn and(setting: &Setting, more: &str) -> String {
    format!("{}\n{more}\n", setting.gateway.config_text())
}

/// The running configuration, with one piece in another's place.
fn but(setting: &Setting, old: &str, new: &str) -> String {
    let text = setting.gateway.config_text();
    assert!(text.contains(old), "no {old} in:\n{text}");
    text.replace(old, new)
}

fn get(browser: &mut Browser, path: &str) -> u16 {
    browser.fetch("GET", path, &[], b"").status
}

#[test]
fn a_route_comes_and_goes_and_a_session_stays() {
    let setting = Setting::new();
    let (mut browser, mut stranger) = (setting.signed_in(), setting.browser());
    assert_eq!(get(&mut stranger, "/new/page"), 401);
    let route = format!(
        "[[route]]\npath = \"/new/\"\nupstream = \"{}\"\naccess = \"public\"",
        setting.upstream.url()
    );
    assert_eq!(setting.gateway.reload(&and(&setting, &route)), applied());
    assert_eq!((get(&mut stranger, "/new/page"), get(&mut browser, "/")), (200, 200));
    assert_eq!(setting.gateway.reload(setting.gateway.config_text()), applied());
    assert_eq!((get(&mut stranger, "/new/page"), get(&mut browser, "/")), (401, 200));
    assert_eq!(setting.gateway.reload(setting.gateway.config_text()), Outcome::Unchanged);
    assert_eq!(setting.provider.count(Place::Token), 1, "somebody had to sign in again");
}

#[test]
fn access_is_narrowed_for_the_next_request_and_widened_again() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let narrow =
        but(&setting, "path = \"/api/\"\nupstream", "path = \"/api/\"\nproviders = \"corp\"\nupstream")
            .replace(
                "access = \"signed-in\"\ntoken = \"access\"",
                "access = { roles = [\"nobody\"] }\ntoken = \"access\"",
            );
    assert_eq!(get(&mut browser, "/api/x"), 200);
    assert_eq!(setting.gateway.reload(&narrow), applied());
    assert_eq!((get(&mut browser, "/api/x"), get(&mut browser, "/")), (403, 200));
    assert_eq!(setting.gateway.reload(setting.gateway.config_text()), applied());
    assert_eq!(get(&mut browser, "/api/x"), 200);
}

#[test]
fn r72_a_new_identity_header_is_ours_from_the_same_moment() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let own = [("X-Who", "somebody-else")];
    assert_eq!(browser.fetch("GET", "/api/x", &own, b"").status, 200);
    assert_eq!(setting.upstream.last().head.all("x-who"), ["somebody-else"]);
    let more =
        but(&setting, "token = \"access\"", "token = \"access\"\nidentity_headers = { X-Who = \"user_id\" }");
    assert_eq!(setting.gateway.reload(&more), applied());
    assert_eq!(browser.fetch("GET", "/api/x", &own, b"").status, 200);
    let named = setting.upstream.last();
    assert_eq!(named.head.all("x-who").len(), 1);
    assert_ne!(named.head.all("x-who"), ["somebody-else"]);
    // Also on the routes that do not send it.
    assert_eq!(browser.fetch("GET", "/off/x", &own, b"").status, 200);
    assert!(setting.upstream.last().head.all("x-who").is_empty());
}

#[test]
fn a_template_is_changed_and_a_broken_one_is_not_taken() {
    let setting = Setting::new();
    let folder = TempDir::new().unwrap();
    let template = folder.path().join("signed-out.html");
    let config = and(&setting, &format!("[pages]\nfolder = {:?}", folder.path()));
    let shown = || setting.browser().navigate("/bff/signed-out").answer.text();
    for words in ["first words", "second words"] {
        fs::write(&template, format!("<p>{words}</p>")).unwrap();
        // The file of the configuration is the same the second time: what it points at counts as well.
        assert_eq!(setting.gateway.reload(&config), applied());
        assert!(shown().contains(words), "{}", shown());
    }
    for broken in ["{{ unclosed", "{% include 'nothing.html' %}"] {
        fs::write(&template, broken).unwrap();
        assert_eq!(setting.gateway.reload(&config), Outcome::Refused, "{broken}");
        assert!(shown().contains("second words"), "{broken}");
    }
}

#[test]
fn a_client_secret_is_rotated_at_the_provider_and_in_its_file() {
    let setting = Setting::new();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("oidc");
    fs::write(&file, "the secret before the provider was given another").unwrap();
    let toml = format!("client_secret = {{ file = {file:?} }}");
    let config = but(&setting, &format!("client_secret = \"{CLIENT_SECRET}\""), &toml);
    assert_eq!(setting.gateway.reload(&config), applied());
    let mut browser = setting.browser();
    // One login begins under the old secret and ends under the new one.
    let mut early = setting.browser();
    let callback = early.up_to_callback("/");
    assert!(!setting.is_signed_in(&browser.clone(), &browser.navigate("/")));
    fs::write(&file, CLIENT_SECRET).unwrap();
    let asked = setting.provider.count(Place::Discovery);
    assert_eq!(setting.gateway.reload(&config), applied());
    let page = early.navigate(callback.as_str());
    setting.assert_signed_in(&early, &page);
    setting.signed_in();
    assert_eq!(
        setting.provider.count(Place::Discovery),
        asked,
        "what was known of the provider was forgotten"
    );
}

#[test]
fn a_bad_file_changes_nothing_and_is_counted() {
    let setting = Setting::with(|plan| plan.operating = true);
    let mut browser = setting.signed_in();
    let footer = "[pages]\nfooter = \"a line that must not be seen\"";
    for bad in [
        and(&setting, &format!("{footer}\n[[route]]\npath = \"/x/\"\nupstream = \"http://a\"")),
        but(&setting, "access = \"public\"", "access = \"pubic\"") + footer,
        and(&setting, "not toml"),
        String::new(),
    ] {
        assert_eq!(setting.gateway.reload(&bad), Outcome::Refused);
        // Told again when somebody asks again.
        assert_eq!(setting.gateway.reload(&bad), Outcome::Refused);
        assert_eq!(get(&mut browser, "/"), 200);
        let page = setting.browser().navigate("/bff/signed-out").answer.text();
        assert!(!page.contains("must not be seen"), "{page}");
    }
    setting.clock.advance(Duration::from_secs(60));
    assert_eq!(setting.gateway.reload(setting.gateway.config_text()), applied());
    let metrics = setting.gateway.probe("/metrics").text();
    for line in [
        "keycard_config_reloads_total{result=\"refused\"} 8",
        "keycard_config_reloads_total{result=\"applied\"} 1",
        "keycard_config_success_timestamp_seconds 1767225660.0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_is_applied() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let changed = but(&setting, "workers = 1", "workers = 2\nprefix = \"/auth\"")
        .replace("store = \"memory\"", "store = \"memory\"\nidle_timeout = \"1m\"")
        + "[pages]\nfooter = \"a line that is new\"";
    let needs_restart = vec!["server.prefix", "server.workers", "session.idle_timeout"];
    assert_eq!(setting.gateway.reload(&changed), Outcome::Applied { needs_restart: needs_restart.clone() });
    let page = browser.navigate("/bff/signed-out");
    assert_eq!(page.answer.status, 200);
    assert!(page.answer.text().contains("a line that is new"));
    setting.clock.advance(Duration::from_secs(120));
    assert_eq!(get(&mut browser, "/"), 200);
    // They are compared with what runs, not with what was read last.
    let more = changed.replace("that is new", "that is newer");
    assert_eq!(setting.gateway.reload(&more), Outcome::Applied { needs_restart });
}

#[test]
fn an_operators_token_is_replaced_and_the_old_one_is_worth_nothing() {
    let setting = Setting::with(|plan| plan.operating = true);
    let other = ADMIN_TOKEN.chars().rev().collect::<String>();
    let status = |token: &str| setting.gateway.operate_with(token, "GET", "/admin/sessions").status;
    assert_eq!((status(ADMIN_TOKEN), status(&other)), (200, 401));
    assert_eq!(setting.gateway.reload(&but(&setting, ADMIN_TOKEN, &other)), applied());
    assert_eq!((status(ADMIN_TOKEN), status(&other)), (401, 200));
}

#[test]
fn what_is_under_way_goes_on_with_what_it_began_with() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    setting.upstream.script(move |exchange| {
        exchange.body();
        if wait.lock().unwrap().recv_timeout(PATIENCE).is_err() {
            return Some(After::Close);
        }
        exchange.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            exchange.write(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
            if wait.lock().unwrap().recv_timeout(PATIENCE).is_err() {
                return Some(After::Close);
            }
        }
        exchange.write(b"0\r\n\r\n");
        Some(After::Keep)
    });
    let mut stream = Connection::open(setting.gateway.address);
    let url = browser.url("/api/x");
    stream.write(&browser.write("GET", &url, &[("Sec-Fetch-Site", "same-origin")], b"", false));
    setting.upstream.wait_for(2);
    // Its route is gone before it is answered, and there again before it is over.
    let text = setting.gateway.config_text();
    let at = text.find("[[route]]\npath = \"/api/\"").unwrap();
    let end = at + 9 + text[at + 9..].find("[[route]]").unwrap();
    let without = format!("{}{}", &text[..at], &text[end..]).replace("path = \"/\"", "path = \"/else/\"");
    assert_eq!(setting.gateway.reload(&without), applied());
    go.send(()).unwrap();
    assert_eq!(stream.head().unwrap().status, 200);
    assert_eq!(stream.chunk().as_deref(), Some(b"data: 1\n\n".as_slice()));
    assert_eq!(get(&mut browser, "/api/x"), 404);
    assert_eq!(setting.gateway.reload(text), applied());
    go.send(()).unwrap();
    assert_eq!(stream.chunk().as_deref(), Some(b"data: 2\n\n".as_slice()));
    go.send(()).unwrap();
    assert_eq!(stream.chunk(), None);
}

#[test]
fn under_load_no_request_fails_and_no_session_is_lost() {
    const RELOADS: usize = 50;
    let setting = Setting::new();
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let browsers: Vec<Browser> = (0..4).map(|_| setting.signed_in()).collect();
    let signed_in = setting.provider.count(Place::Token);
    let both = [
        and(&setting, "[pages]\nfooter = \"one\""),
        and(&setting, "[pages]\nfooter = \"two\"")
            + &format!(
                "[[route]]\npath = \"/two/\"\nupstream = \"{}\"\naccess = \"public\"",
                setting.upstream.url()
            ),
    ];
    let keep_asking = |browser: &Browser| {
        let mut connection = Connection::open(setting.gateway.address);
        let mut failed = Vec::new();
        while !over.load(Ordering::SeqCst) {
            for path in ["/x", "/public/x", "/bff/user"] {
                let headers = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")];
                let request = browser.write("GET", &browser.url(path), &headers, b"", false);
                let request = String::from_utf8(request).unwrap();
                connection.write(request.replace("Connection: close", "Connection: keep-alive").as_bytes());
                let answer: Option<Answer> = connection.answer(false);
                match answer.map(|answer| answer.status) {
                    Some(200) => answered.fetch_add(1, Ordering::SeqCst),
                    other => {
                        failed.push((path, other));
                        return failed;
                    }
                };
            }
        }
        failed
    };
    let failed: Vec<_> = thread::scope(|scope| {
        let asking: Vec<_> = browsers.iter().map(|browser| scope.spawn(|| keep_asking(browser))).collect();
        for turn in 0..RELOADS {
            let before = answered.load(Ordering::SeqCst);
            assert_eq!(setting.gateway.reload(&both[turn % 2]), applied());
            // At least one answer of each between two reloads, unless they have given up.
            while answered.load(Ordering::SeqCst) < before + 8 && !asking.iter().any(|one| one.is_finished())
            {
                thread::yield_now();
            }
        }
        over.store(true, Ordering::SeqCst);
        asking.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(failed, [], "of {}", answered.load(Ordering::SeqCst));
    assert_eq!(setting.provider.count(Place::Token), signed_in);
}
