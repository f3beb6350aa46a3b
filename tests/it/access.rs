//! Rules of access (issue 4 item 4, R18) from the browser's side: what a refusal says, to whom, and when nobody has to
//! sign in to hear it.
//!
//! I own: one route for each kind of rule, and people who have what it asks for or lack it.

use super::house::browser::Browser;
use super::house::clock::ManualClock;
use super::house::gateway::Plan;
use super::house::provider::Provider;
use super::house::provider::script::Place;
use super::house::raw::Answer;
use super::house::setting::{Setting, usual_plan};
use super::house::upstream::Upstream;
use serde_json::{Value, json};
use std::time::Duration;

/// Each route, and the kind of what it asks for that [`stranger`] lacks; `forbidden-value` stands in rules and must never
/// be heard of.
const ROUTES: &[(&str, &str, &str)] = &[
    ("/role/", "{ roles = [\"forbidden-value\", \"clerk\"] }", "role"),
    ("/group/", "{ groups = [\"forbidden-value\", \"/ward7\"] }", "group"),
    ("/claim/", "{ claims = { \"org.unit\" = [\"forbidden-value\", \"a\"] } }", "claim"),
    ("/mail/", "{ email_domains = [\"forbidden-value.example\", \"hospital.example\"] }", "email-domain"),
    ("/cel/", "{ cel = \"claims.level > 2 && user.id != 'forbidden-value'\" }", "rule"),
    (
        "/any/",
        "{ any = [{ roles = \"clerk\" }, { groups = \"/ward7\", networks = \"127.0.0.0/8\" }] }",
        "rule",
    ),
    (
        "/all/",
        "{ groups = \"/ward7\", all = [{ any = [{ roles = \"clerk\" }, { roles = \"x\" }] }] }",
        "group",
    ),
];

fn insider() -> Value {
    json!({
        "sub": "ida", "name": "Ida", "email": "ida@hospital.example", "email_verified": true,
        "groups": ["clerk", "/ward7"], "org": { "unit": "a" }, "level": 3,
    })
}

fn stranger() -> Value {
    json!({
        "sub": "stan", "name": "Stan", "email": "stan@elsewhere.example", "email_verified": true,
        "groups": ["nurse"], "org": { "unit": "b" }, "level": 1,
    })
}

fn with(change: impl FnOnce(&mut Plan, &str)) -> Setting {
    let clock = ManualClock::new();
    let provider = Provider::start(&clock);
    let upstream = Upstream::start();
    let mut plan = usual_plan(&upstream);
    plan.provider("corp", &provider, "userinfo = true");
    let url = upstream.url();
    for (path, access, _) in ROUTES {
        plan.route(&format!("path = \"{path}\"\nupstream = \"{url}\"\naccess = {access}"));
    }
    change(&mut plan, &url);
    let gateway = plan.start(&clock);
    Setting { clock, provider, upstream, gateway }
}

fn route(plan: &mut Plan, url: &str, path: &str, access: &str) {
    plan.route(&format!(
        "path = \"{path}\"\nupstream = \"{url}\"\naccess = {access}\nidentity_headers = \"remote-user\""
    ));
}

fn open_route(plan: &mut Plan, url: &str, path: &str, access: &str) {
    plan.route(&format!("path = \"{path}\"\nupstream = \"{url}\"\naccess = {access}"));
}

fn signed_in(setting: &Setting, person: Value) -> Browser {
    setting.provider.person(person);
    let mut browser = setting.signed_in();
    browser.extra.clear();
    setting.upstream.forget();
    browser
}

fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
    answer.json()
}

#[test]
fn whoever_has_what_a_route_asks_for_passes() {
    let setting = with(|_, _| {});
    let mut ida = signed_in(&setting, insider());
    for (path, _, _) in ROUTES {
        assert_eq!(ida.open(&format!("{path}x")).status, 200, "{path}");
        assert_eq!(ida.fetch("POST", &format!("{path}x"), &[], b"x").status, 200, "{path}");
    }
}

#[test]
fn a_refusal_names_the_kind_of_what_is_missing_and_no_policy() {
    let setting = with(|_, _| {});
    let mut stan = signed_in(&setting, stranger());
    for (path, _, missing) in ROUTES {
        let english = ["role", "group", "details", "e-mail address", "not allowed to open"];
        let german = ["Rolle", "Gruppe", "Angaben", "E-Mail-Adresse", "darf diese Seite nicht"];
        let word = match *missing {
            "role" => 0,
            "group" => 1,
            "claim" => 2,
            "email-domain" => 3,
            _ => 4,
        };
        for (language, title, words) in
            [("en", "Not allowed", english[word]), ("de", "Kein Zugang", german[word])]
        {
            stan.extra = vec![("Accept-Language".into(), language.into())];
            let page = stan.open(&format!("{path}x"));
            assert_eq!(page.status, 403, "{path}");
            let text = page.text();
            assert!(text.contains(title) && text.contains(words), "{path} {language}: {text}");
            assert!(text.contains("stan@elsewhere.example"), "{path}: which account it is\n{text}");
            assert!(text.contains("bff&#x2f;logout"), "{path}: how to take another\n{text}");
        }
        stan.extra.clear();
        let answer = stan.fetch("GET", &format!("{path}x"), &[], b"");
        let problem = json_of(&answer);
        assert_eq!((answer.status, &problem["missing"]), (403, &json!(missing)), "{path}");
        assert_eq!(problem["type"], "urn:keycard:problem:forbidden");
        assert_eq!(problem["title"], "Not allowed");
        assert!(problem["detail"].as_str().unwrap().contains(english[word]), "{problem}");
        for told in [answer.text(), stan.open(&format!("{path}x")).text()] {
            for secret in ["forbidden-value", "clerk", "ward7", "hospital", "unit", "level", "127.0.0"] {
                assert!(!told.contains(secret), "{path} tells of {secret}: {told}");
            }
        }
        assert!(answer.all("set-cookie").is_empty(), "{path}: nobody is signed out");
    }
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn r18_an_address_counts_when_the_provider_has_verified_it() {
    let setting = with(|_, _| {});
    let mut person = insider();
    for (email, verified, status) in [
        ("ida@hospital.example", json!(true), 200),
        ("ida@hospital.example", json!(false), 403),
        ("ida@hospital.example", Value::Null, 403),
        ("ida@hospital.example", json!("true"), 403),
        ("ida@evil.example@hospital.example", json!(true), 403),
        ("ida@hospital.example@evil.example", json!(true), 403),
        ("ida@sub.hospital.example", json!(true), 403),
        ("ida@HOSPITAL.example", json!(true), 200),
    ] {
        person["email"] = json!(email);
        person["email_verified"] = verified.clone();
        let mut browser = signed_in(&setting, person.clone());
        assert_eq!(browser.open("/mail/x").status, status, "{email} {verified}");
    }
}

#[test]
fn a_claim_that_a_rule_reads_is_kept_and_shown_to_nobody() {
    let setting = with(|_, _| {});
    let mut ida = signed_in(&setting, insider());
    assert_eq!(ida.open("/claim/x").status, 200);
    let user = ida.fetch("GET", "/bff/user", &[], b"").json();
    assert_eq!(user["user"]["claims"].get("org"), None, "{user}");
    // A claim that is not there is no reason to let anybody in, and not an error of ours either.
    let mut person = insider();
    person.as_object_mut().unwrap().remove("level");
    let mut browser = signed_in(&setting, person);
    let answer = browser.fetch("GET", "/cel/x", &[], b"");
    assert_eq!((answer.status, &json_of(&answer)["missing"]), (403, &json!("rule")));
}

#[test]
fn whoever_is_in_another_network_is_not_sent_to_sign_in() {
    let setting = with(|plan, url| {
        plan.server_extra("trusted_proxies = [\"127.0.0.1\"]");
        open_route(plan, url, "/lan/", "{ networks = [\"10.0.0.0/8\", \"fd00::/8\"] }");
        open_route(plan, url, "/pub/", "{ who = \"public\", networks = \"10.0.0.0/8\" }");
    });
    let from = |address: &str| vec![("X-Forwarded-For".to_owned(), address.to_owned())];
    let mut browser = setting.browser();
    for outside in ["192.0.2.1", "10.0.0.1, 192.0.2.1", "2001:db8::1"] {
        browser.extra = from(outside);
        for path in ["/lan/x", "/pub/x"] {
            let page = browser.open(path);
            assert_eq!((page.status, page.header("location")), (403, None), "{outside} {path}");
            assert!(page.text().contains("from the network that you are in"), "{}", page.text());
            assert!(!page.text().contains("10.0.0.0"), "{}", page.text());
            let answer = browser.fetch("GET", path, &[], b"");
            assert_eq!((answer.status, &json_of(&answer)["missing"]), (403, &json!("network")), "{path}");
        }
        browser.extra.push(("Accept-Language".into(), "de".into()));
        assert!(browser.open("/lan/x").text().contains("Aus dem Netz"));
    }
    assert_eq!((setting.upstream.count(), setting.provider.count(Place::Authorize)), (0, 0));
    for inside in ["10.0.0.1", "6.6.6.6, 10.0.0.1"] {
        browser.extra = from(inside);
        assert_eq!(browser.open("/pub/x").status, 200, "{inside}");
        assert_eq!(browser.open("/lan/x").status, 302, "{inside}");
    }
    browser.extra = from("::ffff:10.0.0.1");
    assert_eq!(browser.open("/pub/x").status, 200);
    // Signed in, and on the way home: the account is not at fault, so no other one is offered.
    let mut ida = setting.signed_in();
    ida.extra = from("192.0.2.1");
    let page = ida.open("/lan/x");
    assert!(page.status == 403 && !page.text().contains("logout"), "{}", page.text());
}

#[test]
fn r73_a_client_that_the_proxy_does_not_name_is_in_no_network() {
    let setting = with(|plan, url| {
        plan.server_extra("trusted_proxies = [\"127.0.0.1\"]");
        open_route(plan, url, "/lan/", "{ who = \"public\", networks = [\"127.0.0.0/8\", \"10.0.0.0/8\"] }");
        open_route(plan, url, "/all/net/", "{ who = \"public\", networks = [\"0.0.0.0/0\", \"::/0\"] }");
        open_route(plan, url, "/not/", "{ who = \"public\", cel = \"request.client != '192.0.2.1'\" }");
    });
    let mut browser = setting.browser();
    for hop in ["unknown", "192.0.2.1:x", "10.0.0.1, rubbish", "rubbish, 127.0.0.1", ""] {
        browser.extra = vec![("X-Forwarded-For".to_owned(), hop.to_owned())];
        for path in ["/lan/x", "/all/net/x", "/not/x"] {
            assert_eq!(browser.open(path).status, 403, "{hop:?} {path}");
        }
    }
    assert_eq!(setting.upstream.count(), 0);
    for (hop, lan) in [("10.0.0.1:4711", 200), ("192.0.2.2:4711", 403), ("[2001:db8::1]:4711", 403)] {
        browser.extra = vec![("X-Forwarded-For".to_owned(), hop.to_owned())];
        assert_eq!(browser.open("/lan/x").status, lan, "{hop}");
        assert_eq!(browser.open("/all/net/x").status, 200, "{hop}");
    }
}

#[test]
fn a_method_that_a_route_does_not_take_is_405_with_those_that_it_does() {
    let setting = with(|plan, url| {
        open_route(plan, url, "/read/", "{ methods = \"GET\" }");
        open_route(plan, url, "/drop/", "{ methods = [\"POST\", \"PUT\"] }");
        open_route(plan, url, "/pub/", "{ who = \"public\", methods = [\"GET\"] }");
        route(plan, url, "/wiki/", "{ any = [{ methods = \"GET\" }, { roles = \"clerk\" }] }");
    });
    let mut nobody = setting.browser();
    let mut stan = signed_in(&setting, stranger());
    for (path, method, allow) in [
        ("/read/x", "POST", "GET, HEAD"),
        ("/read/x", "DELETE", "GET, HEAD"),
        ("/drop/x", "GET", "POST, PUT"),
        ("/pub/x", "POST", "GET, HEAD"),
        ("/pub/x", "OPTIONS", "GET, HEAD"),
    ] {
        for browser in [&mut nobody, &mut stan] {
            let answer = browser.fetch(method, path, &[], b"");
            assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
        }
    }
    let page = nobody.open("/drop/x");
    assert_eq!((page.status, page.header("location")), (405, None), "nobody signs in for nothing");
    assert_eq!(stan.fetch("HEAD", "/read/x", &[], b"").status, 200);
    assert_eq!(setting.upstream.count(), 1);
    // Everybody reads, clerks write: who is no clerk lacks a role, not a method.
    assert_eq!(stan.open("/wiki/x").status, 200);
    let answer = stan.fetch("POST", "/wiki/x", &[], b"");
    assert_eq!((answer.status, &json_of(&answer)["missing"]), (403, &json!("role")));
    let mut ida = signed_in(&setting, insider());
    assert_eq!(ida.fetch("POST", "/wiki/x", &[], b"").status, 200);
}

#[test]
fn r12_a_sign_in_leads_back_to_what_a_page_load_may_find() {
    let setting = with(|plan, url| {
        open_route(plan, url, "/drop/", "{ methods = \"POST\" }");
        open_route(plan, url, "/lan/", "{ networks = \"10.0.0.0/8\" }");
    });
    for (target, end) in [("/drop/x", "/"), ("/lan/x", "/"), ("/role/x", "/role/x")] {
        setting.provider.person(insider());
        let page = setting.browser().navigate(&format!("/bff/login?return_to={target}"));
        assert_eq!((page.url.path(), page.answer.status), (end, 200), "{}", page.way());
    }
}

#[test]
fn people_are_optional_as_far_as_the_rule_holds_without_them() {
    let setting = with(|plan, url| {
        plan.server_extra("trusted_proxies = [\"127.0.0.1\"]");
        let access = "{ who = \"optional\", any = [{ networks = \"10.0.0.0/8\" }, { roles = \"clerk\" }] }";
        route(plan, url, "/door/", access);
    });
    let from = |address: &str| vec![("X-Forwarded-For".to_owned(), address.to_owned())];
    let mut nobody = setting.browser();
    nobody.extra = from("10.1.1.1");
    assert_eq!(nobody.open("/door/x").status, 200);
    assert_eq!(setting.upstream.last().head.header("remote-user"), None);
    nobody.extra = from("192.0.2.1");
    assert_eq!(nobody.open("/door/x").status, 302, "somebody may pass");
    for (person, outside) in [(insider(), 200), (stranger(), 403)] {
        let name = person["sub"].as_str().unwrap().to_owned();
        let mut browser = signed_in(&setting, person);
        browser.extra = from("10.1.1.1");
        assert_eq!(browser.open("/door/x").status, 200, "{name}");
        assert_eq!(setting.upstream.last().head.header("remote-user"), Some(name.as_str()));
        browser.extra = from("192.0.2.1");
        assert_eq!(browser.open("/door/x").status, outside, "{name}");
    }
}

#[test]
fn r10_another_sign_in_is_offered_once_and_never_in_a_loop() {
    let setting = with(|plan, url| {
        route(plan, url, "/again/", "{ roles = \"clerk\", otherwise = \"sign-in-again\" }");
    });
    let mut stan = signed_in(&setting, stranger());
    let page = stan.open("/again/x");
    assert_eq!(page.status, 403, "he has just signed in: it would be the same again");
    setting.clock.advance(Duration::from_secs(30));
    let answer = stan.fetch("GET", "/again/x", &[], b"");
    assert_eq!(
        (answer.status, &json_of(&answer)["missing"]),
        (403, &json!("role")),
        "a script never starts one"
    );
    let sent = stan.open("/again/x");
    let location = sent.header("location").unwrap_or_default().to_owned();
    assert!(sent.status == 302 && location.contains("prompt=select_account"), "{location}");
    // He takes the same account, or the provider does not ask: one round, then a page that says no.
    let asked = setting.provider.count(Place::Authorize);
    let page = stan.navigate("/again/x");
    assert_eq!((page.answer.status, page.url.path()), (403, "/again/x"), "{}", page.way());
    assert_eq!(setting.provider.count(Place::Authorize), asked + 1, "{}", page.way());
    // He takes another account: there he is, and the session before is over.
    setting.clock.advance(Duration::from_secs(30));
    setting.provider.person(insider());
    let page = stan.navigate("/again/x");
    assert_eq!((page.answer.status, page.url.path()), (200, "/again/x"), "{}", page.way());
    assert_eq!(setting.upstream.last().head.header("remote-user"), Some("ida"));
}
