//! Two providers, one of them hostile (R9, A5, A9).
//!
//! I own: the crossing of their answers. Both are scripted providers; "corp" is the honest one and the default.

use crate::it::house::clock::ManualClock;
use crate::it::house::provider::Provider;
use crate::it::house::provider::script::Place;
use crate::it::house::setting::{Two, usual_plan};
use crate::it::house::upstream::Upstream;
use serde_json::json;

fn two() -> Two {
    let two = Two::start();
    two.other.person(json!({"sub": "otto-0002", "name": "Otto Other"}));
    two
}

impl Two {
    fn token_calls(&self) -> (usize, usize) {
        (self.corp.count(Place::Token), self.other.count(Place::Token))
    }
}

#[test]
fn r18_a_route_knows_only_the_people_of_its_providers() {
    let clock = ManualClock::new();
    let (corp, other, upstream) = (Provider::start(&clock), Provider::start(&clock), Upstream::start());
    other.person(json!({"sub": "otto-0002", "name": "Otto Other"}));
    let mut plan = usual_plan(&upstream);
    plan.provider("corp", &corp, "");
    plan.provider("other", &other, "");
    let missing = plan.try_start(&clock).err().expect("it must be said whose people a route knows");
    assert!(missing.contains("providers"), "{missing}");
    plan.guarded_routes_extra("providers = [\"corp\"]");
    let gateway = plan.start(&clock);
    // The other provider names its own person like one of corp's.
    let mut browser = gateway.browser();
    let page = browser.navigate("/bff/login?provider=other&return_to=/");
    // Sent on to the provider that counts, and there is whoever that one says.
    assert!(page.way().contains(corp.issuer().as_str()), "{}", page.way());
    assert_eq!(page.answer.status, 200, "{}", page.way());
    let seen: Vec<_> = upstream
        .arrived()
        .iter()
        .filter_map(|one| one.head.header("remote-user").map(str::to_owned))
        .collect();
    assert_eq!(seen, ["alice-0001"]);
}

#[test]
fn r9_each_provider_has_a_callback_of_its_own() {
    let two = two();
    two.gateway.browser().up_to_callback("/");
    two.gateway.browser().up_to_callback("/bff/login?provider=other&return_to=/");
    let callback = |provider: &Provider| provider.last(Place::Authorize).query("redirect_uri").unwrap();
    assert_eq!(callback(&two.corp), "https://apps.example.test/bff/callback/corp");
    assert_eq!(callback(&two.other), "https://apps.example.test/bff/callback/other");
}

#[test]
fn r8_r9_a5_an_answer_that_names_another_issuer_is_refused() {
    let two = two();
    let honest = two.corp.issuer();
    for iss in [honest.clone(), format!("{honest}/"), String::new()] {
        let said = iss.clone();
        two.other.bend_callback(move |pairs| {
            for pair in pairs.iter_mut().filter(|pair| pair.0 == "iss") {
                pair.1.clone_from(&said);
            }
        });
        let mut browser = two.gateway.browser();
        let callback = browser.up_to_callback("/bff/login?provider=other&return_to=/");
        let answer = browser.open(callback.as_str());
        assert!((400..500).contains(&answer.status), "{iss:?}: {}", answer.status);
        assert!(browser.jar.get("__Host-keycard").is_none());
    }
    assert_eq!(two.token_calls(), (0, 0));
}

#[test]
fn r9_a5_an_answer_at_the_other_ones_callback_is_refused() {
    let two = two();
    for (start, there) in [("corp", "other"), ("other", "corp")] {
        let mut browser = two.gateway.browser();
        let mut callback = browser.up_to_callback(&format!("/bff/login?provider={start}&return_to=/"));
        callback.set_path(&format!("/bff/callback/{there}"));
        let answer = browser.open(callback.as_str());
        assert!((400..500).contains(&answer.status), "{start} at {there}: {}", answer.status);
        assert!(browser.jar.get("__Host-keycard").is_none());
        let mut nobody = browser.clone();
        callback.set_path("/bff/callback/nobody");
        assert!((400..500).contains(&nobody.open(callback.as_str()).status));
    }
    assert_eq!(two.token_calls(), (0, 0));
}

#[test]
fn a5_a_code_of_the_honest_provider_never_goes_to_the_hostile_one() {
    let two = two();
    // The victim chose the hostile provider, which relays them to the honest one and gets the code sent back to
    // its own login.
    let mut victim = two.gateway.browser();
    let own = victim.up_to_callback("/bff/login?provider=other&return_to=/");
    let honest = two.gateway.browser().up_to_callback("/bff/login?provider=corp&return_to=/");
    let pick = |url: &url::Url, name: &str| {
        url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned()).unwrap()
    };
    let code = pick(&honest, "code");
    let mut mixed = own.clone();
    mixed
        .query_pairs_mut()
        .clear()
        .append_pair("code", &code)
        .append_pair("state", &pick(&own, "state"))
        .append_pair("iss", &pick(&honest, "iss"));
    let answer = victim.open(mixed.as_str());
    assert!((400..500).contains(&answer.status));
    assert!(two.other.calls(Place::Token).iter().all(|call| call.form("code").as_ref() != Some(&code)));
    assert_eq!(two.token_calls(), (0, 0));
}

#[test]
fn a9_each_callback_finishes_its_own_login_only() {
    let two = two();
    let mut browser = two.gateway.browser();
    let first = browser.up_to_callback("/bff/login?provider=corp&return_to=/a");
    let second = browser.up_to_callback("/bff/login?provider=other&return_to=/b");
    let page = browser.navigate(first.as_str());
    assert_eq!((page.url.path(), two.token_calls()), ("/a", (1, 0)), "{}", page.way());
    assert_eq!(two.upstream.last().head.header("remote-user"), Some("alice-0001"));
    let page = browser.navigate(second.as_str());
    assert_eq!((page.url.path(), two.token_calls()), ("/b", (1, 1)), "{}", page.way());
    assert_eq!(two.upstream.last().head.header("remote-user"), Some("otto-0002"));
}
