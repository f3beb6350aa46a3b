//! The fragment of an address comes through a sign-in, and leads nowhere else (R12, A19).
//!
//! I own: what is kept of an address. What is kept of a form is with the room above me.

use super::{routes, setting, step};
use crate::it::house::browser::Browser;
use crate::it::house::setting::Setting;
use url::Url;

/// Where a sign-in that began at `login` leads.
fn comes_back(browser: &mut Browser, login: &str) -> String {
    let page = browser.navigate(login);
    let mut locations = page.trail.iter().rev().filter_map(|(_, answer)| answer.header("location"));
    locations.next().unwrap_or_default().to_owned()
}

#[test]
fn r12_a_fragment_comes_through_the_sign_in() {
    let setting = setting();
    let mut browser = setting.browser();
    let answer = browser.open("/keep/app?x=1");
    let (name, login) = step(&answer).unwrap();
    assert_eq!(name, "fragment");
    let mut login = Url::parse(&format!("https://apps.example.test{login}")).unwrap();
    let back: Vec<_> = login.query_pairs().into_owned().filter(|(name, _)| name == "return_to").collect();
    assert_eq!(back, [("return_to".into(), "/keep/app?x=1".into())]);
    login.query_pairs_mut().clear().append_pair("return_to", "/keep/app?x=1#/people/7?tab=a&b");
    let target = login[url::Position::BeforePath..].to_owned();
    assert_eq!(comes_back(&mut browser, &target), "/keep/app?x=1#/people/7?tab=a&b");
    // A link for browsers without scripts.
    assert!(
        answer.text().contains("class=\"button\" href=\"&#x2f;bff&#x2f;login")
            || answer.text().contains("class=\"button\" href=\"/bff/login"),
        "{}",
        answer.text()
    );
    // Whoever is signed in sees no page in between.
    setting.upstream.forget();
    assert_eq!(browser.open("/keep/app?x=1").status, 200);
    assert_eq!(setting.upstream.count(), 1);
    // Nor does what has no fragment.
    let mut stranger = setting.browser();
    let url = stranger.url("/keep/app");
    let frame = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "iframe"),
    ];
    assert_eq!(stranger.request("GET", &url, &frame, b"").status, 302);
    assert_eq!(stranger.fetch("GET", "/keep/app", &[], b"").status, 401);
}

#[test]
fn r12_a19_a_hostile_fragment_stays_a_fragment_of_our_own_page() {
    let setting = Setting::with(|plan| {
        routes(plan);
        plan.server_extra("login_rate = \"10000/1m\"");
    });
    let mut browser = setting.browser();
    let home = Url::parse(&setting.gateway.origin).unwrap();
    let provider = Url::parse(&setting.provider.issuer()).unwrap();
    for payload in include_str!("../data/open_redirects.txt").lines() {
        let value: String =
            url::form_urlencoded::byte_serialize(format!("/keep/#{payload}").as_bytes()).collect();
        let answer = browser.open(&format!("/bff/login?return_to={value}"));
        let to = home.join(answer.header("location").unwrap_or("/")).unwrap();
        assert!(to.origin() == provider.origin() || answer.status == 400, "{payload}: {to}");
    }
    for (fragment, expected) in [
        ("//evil.test", "/keep/#//evil.test"),
        ("\\\\evil.test", "/keep/#%5C%5Cevil.test"),
        ("javascript:alert(1)", "/keep/#javascript:alert(1)"),
        ("\"><script>", "/keep/#%22%3E%3Cscript%3E"),
        ("@evil.test/#x", "/keep/#@evil.test/#x"),
        ("é", "/keep/#%C3%A9"),
        ("", "/keep/"),
    ] {
        let value: String =
            url::form_urlencoded::byte_serialize(format!("/keep/#{fragment}").as_bytes()).collect();
        let back = comes_back(&mut browser, &format!("/bff/login?return_to={value}"));
        assert_eq!(back, expected);
        let there = home.join(&back).unwrap();
        assert_eq!((there.origin(), there.path()), (home.origin(), "/keep/"));
    }
    // Line breaks cost the whole request, as anywhere in a parameter.
    assert_eq!(browser.open("/bff/login?return_to=/keep/%23a%0d%0aSet-Cookie:x").status, 400);
    // What is too long is left out, and the sign-in goes on.
    let long = format!("/bff/login?return_to=/keep/%23{}", "x".repeat(1025));
    assert_eq!(comes_back(&mut browser, &long), "/keep/");
}

#[test]
fn r51_with_a_strict_cookie_the_landing_page_takes_the_fragment_along() {
    let setting = Setting::with(|plan| {
        routes(plan);
        plan.session_extra("same_site = \"strict\"");
    });
    let mut browser = setting.browser();
    let page = browser.follow_link("https://evil.test", "/keep/app?x=1");
    assert_eq!(page.url.path(), "/bff/landing");
    assert_eq!(step(&page.answer).unwrap(), ("land".into(), "/keep/app?x=1".into()));
    assert_eq!(page.answer.header("refresh"), None, "the script would race with it");
    let plain = browser.follow_link("https://evil.test", "/x");
    assert!(plain.answer.header("refresh").is_some() && step(&plain.answer).is_none());
}
