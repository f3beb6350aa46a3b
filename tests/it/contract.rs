//! The gateway answers as `docs/openapi.yaml` describes, with every status that is described there (issue 3, item 6).
//!
//! I own: the scenes that lead to each answer. I never look into a body: the description does.

use super::backchannel::{self, FORM};
use super::frontchannel;
use super::house::browser::{Browser, EVIL};
use super::house::clock::ManualClock;
use super::house::contract::Contract;
use super::house::gateway::{ADMIN_TOKEN, TestGateway};
use super::house::provider::Provider;
use super::house::provider::script::{Canned, Place};
use super::house::raw::{Answer, Connection, send};
use super::house::setting::{Setting, usual_plan};
use super::house::upstream::Upstream;
use super::keeping::{keep, routes, sign_in};
use super::stores::Redis;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// The description, and which of its statuses were met.
struct Inspector {
    contract: Contract,
    met: BTreeSet<(String, String, u16)>,
}

impl Inspector {
    fn new() -> Self {
        Self { contract: Contract::read(), met: BTreeSet::new() }
    }

    /// Holds an answer against the description.
    fn hold(&mut self, method: &str, path: &str, status: u16, answer: &Answer) {
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        self.contract.judge(method, path, answer).unwrap();
        self.met.insert((method.to_owned(), path.to_owned(), status));
    }
}

/// At a door without cookies.
fn ask(door: Option<SocketAddr>, method: &str, target: &str, token: &str) -> Answer {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    send(door.unwrap(), head.as_bytes()).expect("no answer")
}

/// Every end that a callback can come to, but for a store that fails.
fn callbacks(seen: &mut Inspector, path: &str, gateway: &TestGateway, provider: &Provider) {
    let callback = |browser: &mut Browser| browser.up_to_callback("/");
    let mut browser = gateway.browser();
    let url = callback(&mut browser);
    // Somebody else's browser: redeems nothing, begins anew.
    seen.hold("GET", path, 302, &gateway.browser().open(url.as_str()));
    let mut browser = gateway.browser();
    let url = callback(&mut browser);
    seen.hold("GET", path, 303, &browser.open(url.as_str()));
    let nonsense = format!("{}?code=x&state=nonsense", url.path());
    seen.hold("GET", path, 400, &gateway.browser().open(&nonsense));
    seen.hold("GET", path, 400, &gateway.browser().fetch("GET", &nonsense, &[], b""));
    provider.bend_callback(|pairs| {
        pairs.retain(|(name, _)| name != "code");
        pairs.push(("error".into(), "access_denied".into()));
    });
    let mut browser = gateway.browser();
    let url = callback(&mut browser);
    seen.hold("GET", path, 403, &browser.open(url.as_str()));
    provider.behave();
    let refusal = br#"{"error":"invalid_grant"}"#.to_vec();
    provider
        .can(Place::Token, Canned::Reply(400, vec![("Content-Type", "application/json".into())], refusal));
    let mut browser = gateway.browser();
    let url = callback(&mut browser);
    seen.hold("GET", path, 502, &browser.open(url.as_str()));
    provider.can(Place::Token, Canned::HangUp);
    let mut browser = gateway.browser();
    let url = callback(&mut browser);
    seen.hold("GET", path, 503, &browser.open(url.as_str()));
    provider.behave();
}

/// Tells the gateway of a setting that its person is gone.
fn tell(setting: &Setting, target: &str, token: &str) -> Answer {
    let gateway = &setting.gateway;
    backchannel::post(gateway.address, gateway.host(), target, FORM, backchannel::form(token).as_bytes())
}

/// The paths for notices, and what they are in a setting.
const NOTICES: [(&str, &str); 2] = [
    ("/bff/backchannel-logout", "/bff/backchannel-logout"),
    ("/bff/backchannel-logout/{provider}", "/bff/backchannel-logout/corp"),
];

/// Every end that a kept form can come to, but for a store that fails: its browser, and what that would post then.
fn kept_forms(seen: &mut Inspector, setting: &Setting) -> (Browser, String) {
    let path = "/bff/replay";
    let off = Setting::new();
    seen.hold("GET", path, 404, &off.browser().open(path));
    seen.hold("POST", path, 404, &off.browser().post_form(path, ""));
    let mut browser = setting.browser();
    seen.hold("GET", path, 400, &browser.open(path));
    seen.hold("POST", path, 400, &browser.post_form(path, "form=x&pass=x"));
    seen.hold("POST", path, 400, &browser.fetch("POST", path, &[], b""));
    seen.hold("POST", path, 403, &browser.foreign(EVIL, "POST", path, "navigate", "document"));
    let take = || {
        let mut browser = setting.browser();
        let kept = keep(&mut browser, "/keep/x", "a=1");
        let pass = sign_in(&mut browser, &kept);
        (browser, format!("form={}&pass={pass}", kept.sealed))
    };
    let (mut browser, brought) = take();
    let pass = brought.rsplit('=').next().unwrap();
    seen.hold("GET", path, 200, &browser.open(&format!("{path}?form={pass}&pass={pass}")));
    seen.hold("POST", path, 200, &browser.post_form(path, &brought));
    take()
}

/// The same for the provider's sign-out page.
const FRAMES: [(&str, &str); 2] = [
    ("/bff/frontchannel-logout", "/bff/frontchannel-logout"),
    ("/bff/frontchannel-logout/{provider}", "/bff/frontchannel-logout/corp"),
];

fn frame(setting: &Setting) -> String {
    frontchannel::query(&[("iss", &setting.provider.issuer()), ("sid", "idp-session")])
}

#[test]
fn every_described_answer_is_given_as_described() {
    let mut seen = Inspector::new();
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| {
        plan.operating = true;
        plan.store_redis_asked(&url);
        routes(plan);
    });
    let fetch = |browser: &mut Browser, method: &str, target: &str| browser.fetch(method, target, &[], b"");

    seen.hold("GET", "/bff/login", 302, &setting.browser().open("/bff/login?return_to=/x"));
    seen.hold("GET", "/bff/login", 400, &setting.browser().open("/bff/login?prompt=none&prompt=login"));
    seen.hold("GET", "/bff/login", 400, &fetch(&mut setting.browser(), "GET", "/bff/login"));
    callbacks(&mut seen, "/bff/callback", &setting.gateway, &setting.provider);

    let mut browser = setting.signed_in();
    seen.hold("GET", "/bff/user", 200, &fetch(&mut browser, "GET", "/bff/user?slide=false"));
    seen.hold("GET", "/bff/user", 401, &fetch(&mut setting.browser(), "GET", "/bff/user"));
    seen.hold("GET", "/bff/user", 403, &browser.foreign(EVIL, "GET", "/bff/user", "cors", "empty"));
    // The 401 of an app's path is the very same.
    seen.hold("GET", "/bff/user", 401, &fetch(&mut setting.browser(), "GET", "/api/x"));

    let mut tab = Connection::open(setting.gateway.address);
    let listening =
        [("Accept", "text/event-stream"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")];
    tab.write(&browser.write("GET", &browser.url("/bff/events"), &listening, b"", true));
    // Its body goes on; the head is what is described.
    seen.hold("GET", "/bff/events", 200, &tab.head().unwrap());
    seen.hold("GET", "/bff/events", 401, &fetch(&mut setting.browser(), "GET", "/bff/events"));
    seen.hold("GET", "/bff/events", 403, &browser.foreign(EVIL, "GET", "/bff/events", "cors", "empty"));

    let own = "/bff/sessions";
    let mine = fetch(&mut browser, "GET", own);
    seen.hold("GET", own, 200, &mine);
    seen.hold("GET", own, 200, &browser.open(own));
    seen.hold("GET", own, 302, &setting.browser().open(own));
    seen.hold("GET", own, 401, &fetch(&mut setting.browser(), "GET", own));
    seen.hold("GET", own, 403, &browser.foreign(EVIL, "GET", own, "cors", "empty"));
    let (one, nobodys) = ("/bff/sessions/{handle}", "/bff/sessions/nobodys");
    for method in ["DELETE", "POST"] {
        seen.hold(method, one, 401, &fetch(&mut setting.browser(), method, nobodys));
        seen.hold(method, one, 403, &browser.foreign(EVIL, method, nobodys, "cors", "empty"));
        seen.hold(method, one, 404, &fetch(&mut browser, method, nobodys));
        let mut leaving = setting.signed_in();
        let leave =
            fetch(&mut leaving, "GET", own).json()["sessions"][0]["handle"].as_str().unwrap().to_owned();
        seen.hold(method, one, 200, &fetch(&mut leaving, method, &format!("{own}/{leave}")));
    }
    seen.hold("POST", one, 404, &browser.post_form(nobodys, ""));
    seen.hold("POST", one, 303, &setting.browser().post_form(nobodys, ""));

    let logout_url = |browser: &mut Browser| {
        browser.fetch("GET", "/bff/user", &[], b"").json()["logout_url"].as_str().unwrap().to_owned()
    };
    seen.hold("GET", "/bff/logout", 200, &browser.open("/bff/logout"));
    seen.hold("POST", "/bff/logout", 403, &browser.foreign(EVIL, "POST", "/bff/logout", "cors", "empty"));
    seen.hold("POST", "/bff/logout", 303, &browser.post_form("/bff/logout", ""));
    seen.hold("POST", "/bff/logout", 200, &fetch(&mut setting.signed_in(), "POST", "/bff/logout"));
    seen.hold("POST", "/bff/logout", 200, &fetch(&mut setting.browser(), "POST", "/bff/logout"));
    let mut browser = setting.signed_in();
    let link = logout_url(&mut browser);
    seen.hold("GET", "/bff/logout", 303, &browser.open(&link));
    let mut browser = setting.signed_in();
    let link = logout_url(&mut browser);
    seen.hold("GET", "/bff/logout", 200, &fetch(&mut browser, "GET", &link));
    seen.hold("GET", "/bff/landing", 303, &setting.browser().open("/bff/landing?return_to=/inside"));
    let strict = Setting::with(|plan| plan.session_extra("same_site = \"strict\""));
    seen.hold("GET", "/bff/landing", 200, &strict.browser().open("/bff/landing?return_to=/inside"));
    seen.hold("GET", "/bff/signed-out", 200, &setting.browser().open("/bff/signed-out"));

    for (path, target) in NOTICES {
        let token = setting.provider.logout_forge().sign();
        seen.hold("POST", path, 200, &tell(&setting, target, &token));
        seen.hold("POST", path, 400, &tell(&setting, target, &token));
        seen.hold("POST", path, 400, &tell(&setting, target, "nonsense"));
    }
    for (path, target) in FRAMES {
        seen.hold("GET", path, 200, &setting.browser().open(&format!("{target}?{}", frame(&setting))));
    }
    // Who signs in at the very moment of a notice is meant by it.
    setting.clock.advance(Duration::from_secs(1));

    let (health, admin) = (setting.gateway.health, setting.gateway.admin);
    for path in ["/livez", "/readyz", "/metrics"] {
        seen.hold("GET", path, 200, &ask(health, "GET", path, ""));
    }
    let mut browser = setting.signed_in();
    let sessions = "/admin/sessions";
    let list = ask(admin, "GET", sessions, ADMIN_TOKEN);
    seen.hold("GET", sessions, 200, &list);
    assert!(
        !list.json()["sessions"].as_array().unwrap().is_empty(),
        "nothing was held against the description"
    );
    for method in ["GET", "DELETE"] {
        seen.hold(method, sessions, 400, &ask(admin, method, "/admin/sessions?user=a&all=true", ADMIN_TOKEN));
        seen.hold(method, sessions, 401, &ask(admin, method, sessions, "another"));
    }
    let (export, import) = ("/admin/sessions/export", "/admin/sessions/import");
    let send_file = |file: &[u8], token: &str| {
        let head = format!(
            "POST {import} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            file.len()
        );
        send(admin.unwrap(), &[head.as_bytes(), file].concat()).expect("no answer")
    };
    let file = ask(admin, "GET", export, ADMIN_TOKEN);
    seen.hold("GET", export, 200, &file);
    seen.hold("GET", export, 400, &ask(admin, "GET", "/admin/sessions/export?x=y", ADMIN_TOKEN));
    seen.hold("GET", export, 401, &ask(admin, "GET", export, "another"));
    seen.hold("POST", import, 400, &send_file(&file.body[..file.body.len() - 1], ADMIN_TOKEN));
    seen.hold("POST", import, 400, &send_file(b"nonsense", ADMIN_TOKEN));
    seen.hold("POST", import, 401, &send_file(b"", "another"));
    seen.hold("POST", import, 200, &send_file(&file.body, ADMIN_TOKEN));
    seen.hold("POST", import, 409, &send_file(&file.body, ADMIN_TOKEN));
    let foreign = String::from_utf8_lossy(&file.body).lines().next().unwrap().to_owned();
    let foreign = format!("{} 00000000\n", foreign.rsplit_once(' ').unwrap().0);
    seen.hold("POST", import, 409, &send_file(foreign.as_bytes(), ADMIN_TOKEN));
    seen.hold("DELETE", sessions, 200, &ask(admin, "DELETE", "/admin/sessions?user=nobody", ADMIN_TOKEN));

    let keys = "/admin/keys";
    seen.hold("GET", keys, 200, &ask(admin, "GET", keys, ADMIN_TOKEN));
    seen.hold("GET", keys, 400, &ask(admin, "GET", "/admin/keys?user=a", ADMIN_TOKEN));
    seen.hold("GET", keys, 401, &ask(admin, "GET", keys, "another"));

    let (mut sender, brought) = kept_forms(&mut seen, &setting);
    let mut late = setting.browser();
    let callback = late.up_to_callback("/");
    drop(redis);
    setting.clock.advance(Duration::from_secs(1));
    seen.hold("POST", "/bff/replay", 503, &sender.post_form("/bff/replay", &brought));
    seen.hold("GET", "/bff/user", 503, &fetch(&mut browser, "GET", "/bff/user"));
    seen.hold("GET", own, 503, &fetch(&mut browser, "GET", own));
    for method in ["DELETE", "POST"] {
        seen.hold(method, one, 503, &fetch(&mut browser, method, nobodys));
    }
    seen.hold("GET", "/bff/events", 503, &fetch(&mut browser, "GET", "/bff/events"));
    seen.hold("GET", "/bff/logout", 503, &browser.open("/bff/logout"));
    // Remembered here, and written when the store is back.
    seen.hold("POST", "/bff/logout", 200, &fetch(&mut browser, "POST", "/bff/logout"));
    seen.hold("GET", "/bff/callback", 503, &late.open(callback.as_str()));
    seen.hold("GET", "/readyz", 503, &ask(health, "GET", "/readyz", ""));
    seen.hold("POST", import, 503, &send_file(&file.body, ADMIN_TOKEN));
    for method in ["GET", "DELETE"] {
        seen.hold(method, sessions, 503, &ask(admin, method, "/admin/sessions?all=true", ADMIN_TOKEN));
    }

    seen.hold("GET", keys, 503, &ask(admin, "GET", keys, ADMIN_TOKEN));

    for (path, target) in NOTICES {
        let token = setting.provider.logout_forge().sign();
        seen.hold("POST", path, 503, &tell(&setting, target, &token));
    }
    for (path, target) in FRAMES {
        seen.hold("GET", path, 503, &setting.browser().open(&format!("{target}?{}", frame(&setting))));
    }

    let rare = Setting::with(|plan| plan.server_extra("login_rate = \"1/1m\""));
    assert_eq!(rare.browser().open("/bff/login").status, 302);
    seen.hold("GET", "/bff/login", 429, &rare.browser().open("/bff/login"));
    assert_eq!(rare.browser().open("/bff/callback?state=x").status, 400);
    seen.hold("GET", "/bff/callback", 429, &rare.browser().open("/bff/callback?state=x"));
    let of_provider = rare.browser().open("/bff/callback/corp?state=x");
    seen.hold("GET", "/bff/callback/{provider}", 429, &of_provider);

    let deaf = Setting::bent(|provider| provider.can(Place::Discovery, Canned::HangUp), |_| {});
    seen.hold("GET", "/bff/login", 503, &deaf.browser().open("/bff/login"));
    seen.hold("GET", "/bff/login", 503, &deaf.browser().open("/bff/login?login_hint=alice"));

    let clock = ManualClock::new();
    let (corp, other, upstream) = (Provider::start(&clock), Provider::start(&clock), Upstream::start());
    let mut plan = usual_plan(&upstream);
    plan.provider("corp", &corp, "");
    plan.provider("other", &other, "");
    plan.guarded_routes_extra("providers = [\"corp\"]");
    callbacks(&mut seen, "/bff/callback/{provider}", &plan.start(&clock), &corp);

    let described = described(&seen.contract);
    let unmet: Vec<_> = described.difference(&seen.met).collect();
    assert!(unmet.is_empty(), "described, and never given: {unmet:?}");
}

fn described(contract: &Contract) -> BTreeSet<(String, String, u16)> {
    let mut all = BTreeSet::new();
    for (path, methods) in contract.endpoints() {
        for method in methods {
            let escaped = path.replace('/', "~1");
            let pointer = format!("#/paths/{escaped}/{}/responses", method.to_lowercase());
            for status in contract.find(&pointer).unwrap().as_object().unwrap().keys() {
                all.insert((method.clone(), path.to_owned(), status.parse().unwrap()));
            }
        }
    }
    all
}

/// The paths that a dispatcher's source compares with.
fn paths_in(source: &str, from: &str, to: &str) -> BTreeSet<String> {
    let code = source.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let literals = code.split('"').skip(1).step_by(2);
    literals.filter(|text| text.starts_with('/')).map(str::to_owned).collect()
}

#[test]
fn every_endpoint_is_described_and_no_other() {
    let contract = Contract::read();
    let public = paths_in(include_str!("../../src/inbound.rs"), "fn endpoint(", "\n}\n");
    let probes = paths_in(include_str!("../../src/inbound/health.rs"), "match request.path() {", "\n    }\n");
    let admin = paths_in(include_str!("../../src/inbound/admin.rs"), "async fn dispatch", "\n}\n");
    let named: BTreeSet<String> = public
        .into_iter()
        // Behind the last slash stands the name of a provider.
        .map(|path| {
            match path.as_str() {
                // Behind this one stands a handle.
                "/sessions/" => "/bff/sessions/{handle}".to_owned(),
                _ if path.ends_with('/') => format!("/bff{path}{{provider}}"),
                _ => format!("/bff{path}"),
            }
        })
        .chain(probes)
        .chain(admin)
        .collect();
    assert!(named.len() >= 10, "{named:?}");
    let described: BTreeSet<String> =
        contract.endpoints().into_iter().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(named, described);
    for reference in contract.references() {
        assert!(contract.find(reference).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn a_method_that_is_not_described_is_refused_with_those_that_are() {
    let setting = Setting::with(|plan| plan.operating = true);
    let contract = Contract::read();
    for (path, methods) in contract.endpoints() {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            if methods.iter().any(|described| described == method) {
                continue;
            }
            let target = path.replace("{provider}", "corp").replace("{handle}", "x");
            let answer = match path {
                "/livez" | "/readyz" | "/metrics" => ask(setting.gateway.health, method, path, ""),
                "/admin/sessions" | "/admin/sessions/export" | "/admin/sessions/import" | "/admin/keys" => {
                    ask(setting.gateway.admin, method, path, ADMIN_TOKEN)
                }
                _ => setting.signed_in().fetch(method, &target, &[], b""),
            };
            assert_eq!(answer.status, 405, "{method} {path}");
            let mut allowed: Vec<&str> = answer.header("allow").unwrap_or_default().split(", ").collect();
            allowed.retain(|method| *method != "HEAD");
            allowed.sort_unstable();
            assert_eq!(allowed, sorted(&methods), "{method} {path}");
        }
    }
    let strange = setting.browser().fetch("GET", "/bff/nowhere", &[], b"");
    assert_eq!(strange.status, 404);
    let problem: Value = json!({ "$ref": "#/components/schemas/Problem" });
    contract.fits(&problem, &strange.json()).unwrap();
}

fn sorted(methods: &[String]) -> Vec<&str> {
    let mut methods: Vec<&str> = methods.iter().map(String::as_str).collect();
    methods.sort_unstable();
    methods
}

#[test]
fn the_judge_notices_what_differs() {
    let contract = Contract::read();
    let user = json!({ "$ref": "#/components/schemas/User" });
    let right = json!({
        "user": { "id": "a", "name": null, "email": null, "roles": ["x"], "claims": { "y": 1 } },
        "session": {
            "started": "2026-01-01T00:00:00Z", "idle_until": "2026-01-01T00:30:00Z",
            "ends": "2026-01-01T10:00:00Z", "provider": "corp", "acr": null
        },
        "logout_url": "/bff/logout?sid=x"
    });
    contract.fits(&user, &right).unwrap();
    for (pointer, wrong) in [
        ("/user/id", json!("")),
        ("/user/name", json!(7)),
        ("/user/roles", json!("x")),
        ("/user/roles/0", json!(null)),
        ("/session/ends", json!("tomorrow")),
        ("/session", json!({})),
        ("/user", json!({ "id": "a", "name": null, "email": null, "roles": [], "claims": {}, "token": "x" })),
    ] {
        let mut bent = right.clone();
        *bent.pointer_mut(pointer).unwrap() = wrong;
        assert!(contract.fits(&user, &bent).is_err(), "{pointer}");
    }
    let strange = json!({ "type": "string", "pattern": "^a" });
    assert!(contract.fits(&strange, &json!("b")).unwrap_err().contains("nobody applies"));
    assert!(contract.fits(&json!({ "$ref": "#/nowhere" }), &json!(1)).is_err());
}
