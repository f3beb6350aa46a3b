//! What those who run a gateway see and do: probes, metrics, sessions (issue 3, operating basics).
//!
//! I own: requests to the doors for probes and operators; their answers are evidence for the leak sweep as all others.

use super::house::gateway::ADMIN_TOKEN;
use super::house::raw::{Answer, send};
use super::house::setting::Setting;
use super::stores::Redis;
use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

fn setting() -> Setting {
    Setting::with(|plan| plan.operating = true)
}

fn ask(address: Option<std::net::SocketAddr>, method: &str, target: &str, authorization: &str) -> Answer {
    let header =
        if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    let bytes = format!("{method} {target} HTTP/1.1\r\nHost: here\r\n{header}Connection: close\r\n\r\n");
    send(address.unwrap(), bytes.as_bytes()).expect("no answer")
}

/// Asks until an answer fits; what is waited for has been set going already.
fn until(setting: &Setting, target: &str, fits: impl Fn(&Answer) -> bool) -> Answer {
    for _ in 0..20_000 {
        let answer = setting.gateway.probe(target);
        if fits(&answer) {
            return answer;
        }
        std::thread::yield_now();
    }
    panic!("{target} never changes: {}", setting.gateway.probe(target).text());
}

/// The value of a metric; 0 when there is no such line.
fn metric(text: &str, line: &str) -> f64 {
    let found = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    found.map_or(0.0, |value| value.parse().unwrap())
}

#[test]
fn r22_readiness_tells_of_the_store_and_of_providers_that_were_never_met() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis_asked(&url);
    });
    let ready = setting.gateway.probe("/readyz");
    assert_eq!((ready.status, ready.header("content-type")), (200, Some("application/json")));
    let expected = serde_json::json!({
        "ready": true, "draining": false, "store": "ok", "breaker": "closed", "feed": "not-used",
        "providers": { "corp": "not-yet" }
    });
    assert_eq!(ready.json(), expected);
    setting.signed_in();
    assert_eq!(setting.gateway.probe("/readyz").json()["providers"]["corp"], "known");
    drop(redis);
    assert_eq!(setting.gateway.probe("/readyz").status, 200, "the answer of this second stands");
    setting.clock.advance(Duration::from_secs(1));
    let unready = setting.gateway.probe("/readyz");
    assert_eq!((unready.status, &unready.json()["store"]), (503, &"unavailable".into()));
    assert_eq!(setting.gateway.probe("/livez").status, 200);
    let metrics = setting.gateway.probe("/metrics").text();
    assert!(metric(&metrics, "keycard_store_errors_total{command=\"ping\"}") >= 1.0, "{metrics}");
    let sessions = setting.gateway.operate("GET", "/admin/sessions");
    assert_eq!(sessions.status, 503);
    assert!(sessions.header("retry-after").is_some());
}

#[test]
fn probes_are_answered_on_their_own_door_only_and_to_get_and_head_only() {
    let setting = setting();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(ask(setting.gateway.health, "HEAD", path, "").status, 200, "{path}");
        let post = ask(setting.gateway.health, "POST", path, "");
        assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")), "{path}");
        let there = setting.browser().fetch("GET", path, &[], b"");
        assert_eq!(there.status, 401, "{path} belongs to an app at the public door");
    }
    assert_eq!(setting.gateway.probe("/admin/sessions").status, 404);
    assert_eq!(setting.browser().fetch("GET", "/admin/sessions", &[], b"").status, 401);
}

#[test]
fn r60_metrics_count_what_happens_and_name_nobody() {
    let setting = setting();
    let mut browser = setting.signed_in();
    assert_eq!(setting.browser().fetch("GET", "/?user=alice", &[], b"").status, 401);
    setting.upstream.answer_raw(b"nonsense\r\n\r\n");
    assert_eq!(browser.fetch("GET", "/editor/alice", &[], b"").status, 502);
    setting.upstream.behave();
    assert!(browser.fetch("POST", "/bff/logout", &[], b"").status < 400);
    let answer = until(&setting, "/metrics", |answer| metric(&answer.text(), "keycard_open_requests") == 0.0);
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(media)));
    let text = answer.text();
    for (line, count) in [
        ("keycard_requests_total{route=\"callback\",outcome=\"signed-in\",status_class=\"3xx\"}", 1.0),
        ("keycard_requests_total{route=\"/\",outcome=\"sign-in-required\",status_class=\"4xx\"}", 1.0),
        (
            "keycard_requests_total{route=\"/editor/\",outcome=\"upstream-bad-response\",status_class=\"5xx\"}",
            1.0,
        ),
        ("keycard_logins_total{provider=\"corp\",result=\"begun\"}", 1.0),
        ("keycard_logins_total{provider=\"corp\",result=\"signed-in\"}", 1.0),
        ("keycard_sessions_ended_total{reason=\"by-user\"}", 1.0),
        ("keycard_upstream_seconds_count{route=\"/\"}", 1.0),
        ("keycard_upstream_seconds_count{route=\"/editor/\"}", 0.0),
        ("keycard_store_seconds_count{command=\"create\"}", 1.0),
        ("keycard_store_seconds_count{command=\"remove\"}", 1.0),
        ("keycard_store_errors_total{command=\"load\"}", 0.0),
    ] {
        assert_eq!(metric(&text, line), count, "{line}\n{text}");
    }
    assert!(metric(&text, "keycard_session_check_seconds_count") >= 2.0, "{text}");
    assert!(text.contains("keycard_build_info{version=") && text.ends_with("# EOF\n"), "{text}");
    for word in ["alice", "Alice", "example.test", "provider-session", &setting.provider.issuer()] {
        assert!(!text.contains(word), "the metrics name {word}");
    }
}

#[test]
fn a_login_that_fails_is_counted_by_its_cause() {
    let setting = setting();
    assert_eq!(setting.browser().open("/bff/callback?code=x&state=nonsense").status, 400);
    assert_eq!(setting.browser().open("/bff/login?provider=elsewhere").status, 400);
    let text = setting.gateway.probe("/metrics").text();
    assert_eq!(metric(&text, "keycard_logins_total{provider=\"corp\",result=\"not-ours\"}"), 1.0, "{text}");
    let unknown = "keycard_logins_total{provider=\"none\",result=\"no-such-provider\"}";
    assert_eq!(metric(&text, unknown), 1.0, "{text}");
    assert!(!text.contains("elsewhere"), "{text}");
}

#[test]
fn nobody_is_an_operator_without_the_token() {
    let setting = setting();
    let browser = setting.signed_in();
    let near = format!("{}x", &ADMIN_TOKEN[..ADMIN_TOKEN.len() - 1]);
    let refused: Vec<Answer> = [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Bearer {near}"),
        format!("Bearer {ADMIN_TOKEN}x"),
        format!("Bearer {}", &ADMIN_TOKEN[1..]),
        format!("Basic {ADMIN_TOKEN}"),
        ADMIN_TOKEN.to_owned(),
        format!("Bearer {ADMIN_TOKEN}\r\nAuthorization: Bearer {ADMIN_TOKEN}"),
    ]
    .iter()
    .flat_map(|authorization| {
        ["/admin/sessions?all=true", "/", "/nothing"].map(|target| (authorization.clone(), target))
    })
    .map(|(authorization, target)| ask(setting.gateway.admin, "DELETE", target, &authorization))
    .collect();
    for answer in &refused {
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"keycard\""));
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("correlation_id");
        let expected = serde_json::json!({
            "type": "urn:keycard:problem:unauthorized", "title": "Not authorised", "status": 401
        });
        assert_eq!(body, expected, "one answer for all, without a hint");
    }
    assert!(setting.has_session(&browser));
    assert_eq!(browser.clone().fetch("GET", "/", &[], b"").status, 200);
    assert_eq!(setting.gateway.operate("GET", "/nothing").status, 404);
    let post = setting.gateway.operate("POST", "/admin/sessions");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, DELETE")));
}

#[test]
fn r44_operators_see_who_is_signed_in_and_nothing_that_opens_a_session() {
    let setting = setting();
    let browser = setting.signed_in();
    let bob = setting.bob();
    let list = setting.gateway.operate("GET", "/admin/sessions");
    assert_eq!((list.status, list.header("cache-control")), (200, Some("no-store")));
    let text = list.text();
    let sessions = list.json()["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2, "{text}");
    let alice = sessions.iter().find(|session| session["user"]["id"] == "alice-0001").unwrap();
    assert_eq!(alice["provider"], "corp");
    assert_eq!(alice["address"], "127.0.0.1");
    assert_eq!(alice["user_agent"], "Keycard-Test-Browser/1");
    assert_eq!(alice["started"], "2026-01-01T00:00:00Z");
    assert_eq!(alice["last_seen"], "2026-01-01T00:00:00Z");
    assert_eq!(alice["ends"], "2026-01-01T10:00:00Z");
    assert_eq!(alice["handle"].as_str().unwrap().len(), 22);
    for browser in [&browser, &bob] {
        // The cookie is a signature before the ticket; the ticket's digest is the store's key.
        let cookie = setting.session_cookie(browser);
        assert!(!text.contains(&cookie[cookie.len() - 20..]), "{text}");
    }
    let email = alice["user"]["email"].as_str().unwrap().replace('@', "%40");
    for (query, count) in [
        ("user=alice-0001".to_owned(), 1),
        (format!("user={email}"), 1),
        ("user=bob-0002".to_owned(), 1),
        ("user=alice".to_owned(), 0),
        ("user=ALICE-0001".to_owned(), 0),
        (format!("handle={}", alice["handle"].as_str().unwrap()), 1),
        ("handle=nonsense".to_owned(), 0),
    ] {
        let found = setting.gateway.operate("GET", &format!("/admin/sessions?{query}")).json();
        assert_eq!(found["sessions"].as_array().unwrap().len(), count, "{query}: {found}");
    }
    let first = setting.gateway.operate("GET", "/admin/sessions?limit=1").json();
    let next = format!("/admin/sessions?limit=1&cursor={}", first["next"].as_str().unwrap());
    let second = setting.gateway.operate("GET", &next).json();
    assert_ne!(first["sessions"][0]["handle"], second["sessions"][0]["handle"]);
    assert!(second["next"].is_null(), "{second}");
    setting.clock.advance(Duration::from_secs(2 * 60 * 60));
    assert!(
        setting.gateway.operate("GET", "/admin/sessions").json()["sessions"].as_array().unwrap().is_empty()
    );
}

#[test]
fn r56_an_operator_ends_one_persons_sessions_and_nobody_elses() {
    for store in [None, Some(Redis::start())] {
        let setting = Setting::with(|plan| {
            plan.operating = true;
            if let Some(redis) = &store {
                plan.store_redis(&redis.url());
            }
        });
        let (mut one, mut two) = (setting.signed_in(), setting.signed_in());
        let mut bob = setting.bob();
        for nothing in [
            "",
            "?limit=5",
            "?user=",
            "?user=alice&all=true",
            "?users=alice",
            "?all=yes",
            "?user=x&cursor=AA",
        ] {
            let answer = setting.gateway.operate("DELETE", &format!("/admin/sessions{nothing}"));
            assert_eq!(answer.status, 400, "{nothing}");
        }
        let mut status = |which: usize| match which {
            0 => one.fetch("GET", "/", &[], b"").status,
            1 => two.fetch("GET", "/", &[], b"").status,
            _ => bob.fetch("GET", "/", &[], b"").status,
        };
        assert_eq!([status(0), status(1), status(2)], [200, 200, 200]);
        let ended = setting.gateway.operate("DELETE", "/admin/sessions?user=alice-0001");
        assert_eq!((ended.status, ended.json()), (200, serde_json::json!({ "ended": 2 })));
        assert_eq!([status(0), status(1), status(2)], [401, 401, 200]);
        assert_eq!(setting.gateway.operate("DELETE", "/admin/sessions?user=alice-0001").json()["ended"], 0);
        let rest = setting.gateway.operate("GET", "/admin/sessions").json();
        let handle = rest["sessions"][0]["handle"].as_str().unwrap();
        let ended = setting.gateway.operate("DELETE", &format!("/admin/sessions?handle={handle}"));
        assert_eq!(ended.json()["ended"], 1);
        assert_eq!(status(2), 401);
        let metrics = setting.gateway.probe("/metrics").text();
        assert_eq!(metric(&metrics, "keycard_sessions_ended_total{reason=\"by-operator\"}"), 3.0);
    }
}

#[test]
fn the_command_lists_and_ends_sessions() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let url = format!("http://{}", setting.gateway.admin.unwrap());
    let run = |arguments: &[&str], token: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keycard"));
        command.arg("sessions").args(arguments).args(["--url", &url]).env_remove("KEYCARD_ADMIN_TOKEN");
        if let Some(token) = token {
            command.env("KEYCARD_ADMIN_TOKEN", token);
        }
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(!said.concat().contains(ADMIN_TOKEN));
        (output.status.code().unwrap(), said[0].clone(), said[1].clone())
    };
    let right = Some(ADMIN_TOKEN);
    let (code, table, _) = run(&["list"], right);
    assert!(code == 0 && table.lines().count() == 2 && table.contains("alice"), "{table}");
    let (code, json, _) = run(&["list", "--json", "--user", "alice-0001"], right);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["sessions"][0]["user"]["id"]), (0, &"alice-0001".into()));
    assert_eq!(run(&["list"], None).0, 2);
    assert_eq!(run(&["end"], right).0, 2);
    let (code, _, complaint) = run(&["list"], Some("another-token-another-token-another"));
    assert!(code == 1 && complaint.contains("refuses this token"), "{complaint}");
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200);
    let (code, said, _) = run(&["end", "--all"], right);
    assert_eq!((code, said.trim()), (0, "1 session ended"));
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 401);
}

#[test]
fn readiness_ends_with_the_stop_signal_while_requests_in_flight_go_on() {
    let mut setting = setting();
    let mut browser = setting.signed_in();
    let (arrive, arrived) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    setting.upstream.script(move |_| {
        arrive.send(()).unwrap();
        let _ = released.lock().unwrap().recv_timeout(Duration::from_secs(20));
        None
    });
    let waiting = std::thread::spawn(move || browser.fetch("GET", "/", &[], b"").status);
    arrived.recv_timeout(Duration::from_secs(20)).unwrap();
    let ready = setting.gateway.probe("/readyz");
    assert_eq!((ready.status, &ready.json()["draining"]), (200, &false.into()));
    assert_eq!(metric(&setting.gateway.probe("/metrics").text(), "keycard_open_requests"), 1.0);
    setting.gateway.tell_to_stop();
    let draining = until(&setting, "/readyz", |answer| answer.status == 503);
    assert_eq!((&draining.json()["draining"], &draining.json()["store"]), (&true.into(), &"ok".into()));
    assert_eq!(setting.gateway.probe("/livez").status, 200);
    release.send(()).unwrap();
    assert_eq!(waiting.join().unwrap(), 200);
    setting.gateway.stop();
}
