//! One line for each request, that says enough to an operator and nothing to a thief.
//!
//! I own: end-to-end tests of the access log. Its lines are read back by the `X-Request-Id` of the answer. That no
//! secret is in any other line either is the business of `leak_sweep`.

use super::house::browser::{Browser, EVIL, Page};
use super::house::evidence;
use super::house::raw::{self, Answer, Connection, send};
use super::house::server::After;
use super::house::setting::Setting;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is nobody's business: it stands in paths, queries and claims of every request below.
const PRIVATE: &[&str] = &[
    "hidden-path",
    "hidden%2dpath",
    "hidden-query",
    "hidden-word",
    "alice",
    "bob",
    "example.test",
    "Example",
];

/// What a line must say of an answer.
struct Expected {
    route: &'static str,
    status: u16,
    outcome: &'static str,
    cause: bool,
    user: bool,
}

fn expect(route: &'static str, status: u16, outcome: &'static str) -> Expected {
    Expected { route, status, outcome, cause: false, user: false }
}

impl Expected {
    fn with_cause(self) -> Self {
        Self { cause: true, ..self }
    }

    fn with_user(self) -> Self {
        Self { user: true, ..self }
    }
}

/// The setting with an app that is down, and people with names of their own.
fn setting() -> Setting {
    Setting::with(|plan| {
        plan.route("path = \"/dead/\"\nupstream = \"http://127.0.0.1:1\"\naccess = \"signed-in\"");
    })
}

/// The answers of the gateway on the way.
fn ours(setting: &Setting, page: &Page) -> Vec<Answer> {
    let home = |url: &url::Url| url.origin().ascii_serialization() == setting.gateway.origin;
    page.trail.iter().filter(|(url, _)| home(url)).map(|(_, answer)| answer.clone()).collect()
}

/// The pseudonym on the line of an answer, if there is one.
fn user(answer: &Answer) -> Option<String> {
    evidence::access_line(answer)["fields"]["user"].as_str().map(str::to_owned)
}

fn assert_line(answer: &Answer, method: &str, expected: &Expected) {
    let line = evidence::access_line(answer);
    let fields = line["fields"].as_object().unwrap();
    let mut names = BTreeSet::from(["id", "message", "method", "ms", "outcome", "route", "status"]);
    names.extend(expected.cause.then_some("cause"));
    names.extend(expected.user.then_some("user"));
    assert_eq!(fields.keys().map(String::as_str).collect::<BTreeSet<_>>(), names, "{line}");
    assert_eq!(answer.status, expected.status, "{line}");
    let told = [&fields["method"], &fields["route"], &fields["status"], &fields["outcome"]];
    let wanted = [json!(method), json!(expected.route), json!(expected.status), json!(expected.outcome)];
    assert_eq!(told, wanted.each_ref(), "{line}");
    assert!(fields["ms"].is_u64() && fields["message"] == "request", "{line}");
    assert_says_nothing(&line);
}

fn assert_says_nothing(line: &Value) {
    let text = line.to_string();
    for word in PRIVATE {
        assert!(!text.to_lowercase().contains(&word.to_lowercase()), "{word:?} in {text}");
    }
}

/// Everything that this browser holds is nowhere in these lines.
fn assert_cookies_are_not_in(setting: &Setting, browser: &Browser, answers: &[Answer]) {
    let (session, binding) = setting.gateway.cookie_names();
    for name in [session, binding] {
        let Some(cookie) = browser.jar.get(name) else { continue };
        for line in answers.iter().map(evidence::access_line) {
            assert!(!line.to_string().contains(&cookie.value), "{name} in {line}");
        }
    }
}

const SECRET_PAGE: &str = "/hidden-path/a?q=hidden-query";

#[test]
fn r60_r43_a_sign_in_and_a_sign_out_line_by_line() {
    let setting = setting();
    let mut browser = setting.browser();
    let page = browser.navigate(SECRET_PAGE);
    setting.assert_signed_in(&browser, &page);
    let answers = ours(&setting, &page);
    let expected = [
        expect("/", 302, "to-login").with_cause(),
        expect("login", 302, "begun"),
        expect("callback", 303, "signed-in"),
        expect("/", 200, "forwarded").with_user(),
    ];
    assert_eq!(answers.len(), expected.len(), "{}", page.way());
    for (answer, expected) in answers.iter().zip(&expected) {
        assert_line(answer, "GET", expected);
    }
    assert_cookies_are_not_in(&setting, &browser, &answers);
    let (url, callback) = page.trail.iter().find(|(url, _)| url.path() == "/bff/callback").unwrap();
    let line = evidence::access_line(callback).to_string();
    for (name, value) in url.query_pairs() {
        assert!(!line.contains(&*value), "{name} in {line}");
    }

    let shown = browser.fetch("GET", "/bff/user?slide=false&x=hidden-query", &[], b"");
    assert_line(&shown, "GET", &expect("user", 200, "shown").with_user());
    let held = browser.clone();
    let farewell = browser.post_form("/bff/logout?x=hidden-query", "y=hidden-word");
    assert_line(&farewell, "POST", &expect("logout", 303, "signed-out"));
    assert_cookies_are_not_in(&setting, &held, &[farewell]);
}

#[test]
fn r60_r43_refusals_line_by_line() {
    let setting = setting();
    let mut alice = setting.signed_in();
    let mut nobody = setting.browser();
    let host = setting.gateway.host();
    let raw = |request: &str| {
        send(setting.gateway.address, format!("{request}Connection: close\r\n\r\n").as_bytes()).unwrap()
    };
    let rows = [
        (
            "GET",
            nobody.fetch("GET", "/api/hidden-path?hidden-query", &[], b""),
            expect("/api/", 401, "sign-in-required").with_cause(),
        ),
        (
            "GET",
            alice.fetch("GET", "/admin/hidden-path?hidden-query", &[], b""),
            expect("/admin/", 403, "forbidden").with_cause().with_user(),
        ),
        (
            "POST",
            alice.foreign(EVIL, "POST", "/hidden-path?hidden-query", "navigate", "document"),
            expect("/", 403, "csrf").with_cause().with_user(),
        ),
        (
            "GET",
            alice.fetch("GET", "/dead/hidden-path?hidden-query", &[], b""),
            expect("/dead/", 502, "upstream-unreachable").with_cause().with_user(),
        ),
        (
            "GET",
            alice.fetch("GET", "/bff/hidden-path?hidden-query", &[], b""),
            expect("endpoint", 404, "not-found"),
        ),
        (
            "DELETE",
            alice.fetch("DELETE", "/bff/user?hidden-query", &[], b""),
            expect("endpoint", 405, "method"),
        ),
        (
            "GET",
            raw(&format!("GET /public/hidden%2fhidden-path?hidden-query HTTP/1.1\r\nHost: {host}\r\n")),
            expect("threshold", 400, "bad-request").with_cause(),
        ),
        (
            "GET",
            raw(&format!(
                "GET /hidden-path HTTP/1.1\r\nHost: {host}\r\nCookie: __Host-keycard=hidden-word; \
                 __Host-keycard=hidden-word2\r\n"
            )),
            expect("threshold", 400, "duplicate-cookie"),
        ),
        (
            "GET",
            raw("GET /hidden-path HTTP/1.1\r\nHost: hidden-word.example.test\r\n"),
            expect("threshold", 421, "misdirected").with_cause(),
        ),
        (
            "GET",
            nobody.open("/bff/callback?code=hidden-word&state=hidden-word"),
            expect("callback", 400, "bad-callback").with_cause(),
        ),
        (
            "GET",
            nobody.open("/bff/login?return_to=/hidden-path&return_to=hidden-word"),
            expect("login", 400, "bad-login-request"),
        ),
    ];
    for (method, answer, expected) in &rows {
        assert_line(answer, method, expected);
    }
    let answers: Vec<Answer> = rows.into_iter().map(|(_, answer, _)| answer).collect();
    assert_cookies_are_not_in(&setting, &alice, &answers);
}

#[test]
fn r60_what_a_provider_says_of_somebody_stays_out_of_the_line() {
    let setting = setting();
    setting.provider.bend_callback(|pairs| {
        pairs.retain(|(name, _)| name != "code");
        pairs.push(("error".to_owned(), "access_denied".to_owned()));
        pairs.push(("error_description".to_owned(), "alice@example.test hidden-word".to_owned()));
    });
    let page = setting.browser().navigate(SECRET_PAGE);
    assert_line(&page.answer, "GET", &expect("callback", 403, "access-denied").with_cause());
    setting.provider.behave();
    setting.provider.bend_token(|answer| {
        *answer = json!({"error": "invalid_grant", "error_description": "alice@example.test hidden-word"});
    });
    let page = setting.browser().navigate(SECRET_PAGE);
    assert_eq!(page.answer.status, 502, "{}", page.way());
    assert_says_nothing(&evidence::access_line(&page.answer));
}

#[test]
fn r60_a_person_has_one_pseudonym_and_nobody_shares_it() {
    let setting = setting();
    let (mut one, mut two) = (setting.signed_in(), setting.signed_in());
    setting.provider.person(json!({"sub": "bob-0002", "name": "Bob", "email": "bob@example.test"}));
    let mut other = setting.signed_in();
    let of = |browser: &mut Browser, target: &str| {
        let name =
            user(&browser.fetch("GET", target, &[], b"")).unwrap_or_else(|| panic!("nobody at {target}"));
        assert!(name.len() >= 16 && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        name
    };
    let alice = of(&mut one, SECRET_PAGE);
    for target in [SECRET_PAGE, "/api/x", "/admin/x", "/optional/x", "/bff/user"] {
        assert_eq!(of(&mut one, target), alice, "{target}");
        assert_eq!(of(&mut two, target), alice, "{target}, in another browser");
        assert_ne!(of(&mut other, target), alice, "{target}, by somebody else");
    }
    // Where nobody asks who is there, nobody is named.
    assert_eq!(user(&one.fetch("GET", "/public/x", &[], b"")), None);
    assert_eq!(user(&setting.browser().fetch("GET", "/optional/x", &[], b"")), None);
}

#[test]
fn r60_who_does_not_wait_for_an_answer_has_a_line_too() {
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.server_extra("trusted_proxies = [\"127.0.0.1\"]");
    });
    let (arrived, has_arrived) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (arrived, released) = (Mutex::new(arrived), Mutex::new(released));
    setting.upstream.script(move |exchange| {
        exchange.body();
        arrived.lock().unwrap().send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        Some(After::Close)
    });
    let host = setting.gateway.host();
    let id = "impatient-client-0001";
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(format!("GET /bff/signed-out HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    let second = format!(
        "GET /public/hidden-path?hidden-query HTTP/1.1\r\nHost: {host}\r\nX-Request-Id: {id}\r\n\r\n"
    );
    connection.write(second.as_bytes());
    has_arrived.recv_timeout(PATIENCE).expect("the request never arrived");
    // The first answer is still unread, so that the connection is reset and not merely ended.
    drop(connection);
    let line = evidence::wait_for_access_line(id, PATIENCE);
    drop(release);
    let fields = &line["fields"];
    assert_eq!((&fields["method"], &fields["outcome"]), (&json!("GET"), &json!("client-gone")), "{line}");
    assert!(fields.get("status").is_none() && fields["ms"].is_u64(), "{line}");
    assert_says_nothing(&line);
    // The ledger has it as well, and does not count it as open for ever.
    let metrics = [
        "keycard_requests_total{route=\"none\",outcome=\"client-gone\",status_class=\"none\"} 1",
        "keycard_open_requests 0",
    ];
    let head = "GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    let counted = (0..20_000).any(|_| {
        let text = raw::send(setting.gateway.health.unwrap(), head.as_bytes()).expect("no answer").text();
        metrics.iter().all(|line| text.lines().any(|found| found == *line))
    });
    assert!(counted, "the metrics never say so");
}
