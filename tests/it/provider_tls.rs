//! The line to the provider: TLS with an authority of one's own, and a proxy on the way.
//!
//! I own: end-to-end tests of `ca_file` and `http_proxy`. The provider has two doors: the gateway comes through the one
//! with TLS, the browser, which speaks none, through the other. I never touch the transport itself.

use super::house::browser::{Browser, Page};
use super::house::clock::ManualClock;
use super::house::evidence;
use super::house::forward_proxy::ForwardProxy;
use super::house::provider::script::Place;
use super::house::provider::{CLIENT_SECRET, Provider};
use super::house::setting::{Setting, usual_plan};
use super::house::tls::Authority;
use super::house::upstream::Upstream;

/// Whom the gateway trusts: a line of its configuration.
fn trust(authority: &Authority) -> String {
    format!("ca_file = {:?}", authority.ca_file())
}

/// The usual setting with a provider at `https://localhost` that proves to be `name`.
fn setting(authority: &Authority, name: &str, extra: &str) -> Setting {
    let clock = ManualClock::new();
    let provider = Provider::start_tls(&clock, authority.server(name));
    let upstream = Upstream::start();
    let mut plan = usual_plan(&upstream);
    plan.provider("corp", &provider, "userinfo = true");
    plan.provider_extra(extra);
    let gateway = plan.start(&clock);
    Setting { clock, provider, upstream, gateway }
}

fn browser(setting: &Setting) -> Browser {
    let mut browser = setting.browser();
    browser.detour(&setting.provider.issuer(), setting.provider.plain_address());
    browser
}

/// A login that never got to the provider: a page that says nothing of why, and a log line that does.
fn assert_unavailable(setting: &Setting, browser: &Browser, page: &Page, cause: &str) {
    assert_eq!(page.answer.status, 503, "{}", page.way());
    setting.refused(browser, page).unwrap();
    for place in [Place::Discovery, Place::Jwks, Place::Token, Place::UserInfo] {
        assert_eq!(setting.provider.count(place), 0, "{place:?} was called");
    }
    let text = page.answer.text();
    for told in ["localhost", "certificate", "proxy", "connect", CLIENT_SECRET] {
        assert!(!text.to_lowercase().contains(told), "{told:?} in {text}");
    }
    assert!(page.answer.header("retry-after").is_some());
    let line = evidence::access_line(&page.answer);
    let told = line["fields"]["cause"].as_str().unwrap_or_default().to_owned();
    assert!(told.to_lowercase().contains(cause), "no {cause:?} in the cause: {told}");
    assert!(!told.contains(CLIENT_SECRET), "{told}");
}

#[test]
fn r21_a_provider_of_ones_own_authority_signs_people_in() {
    let authority = Authority::new();
    let setting = setting(&authority, "DNS:localhost", &trust(&authority));
    let mut browser = browser(&setting);
    let page = browser.navigate("/page");
    setting.assert_signed_in(&browser, &page);
    for place in [Place::Discovery, Place::Jwks, Place::Token, Place::UserInfo] {
        let calls = setting.provider.calls(place);
        assert!(!calls.is_empty(), "{place:?} was not called");
        let host = setting.provider.issuer().replace("https://", "");
        assert!(calls.iter().all(|call| call.head.header("host") == Some(&host)), "{place:?}");
    }
}

#[test]
fn r21_r43_an_authority_that_nobody_named_is_not_trusted() {
    let authority = Authority::new();
    let setting = setting(&authority, "DNS:localhost", "");
    let mut browser = browser(&setting);
    let page = browser.navigate("/page");
    assert_unavailable(&setting, &browser, &page, "certificate");
}

#[test]
fn r21_r43_another_authority_is_not_trusted() {
    let (theirs, ours) = (Authority::new(), Authority::new());
    let setting = setting(&theirs, "DNS:localhost", &trust(&ours));
    let mut browser = browser(&setting);
    let page = browser.navigate("/page");
    assert_unavailable(&setting, &browser, &page, "certificate");
}

#[test]
fn r21_r43_a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    for name in ["DNS:idp.example.test", "DNS:localhost.example.test", "IP:127.0.0.1"] {
        let setting = setting(&authority, name, &trust(&authority));
        let mut browser = browser(&setting);
        let page = browser.navigate("/page");
        assert_unavailable(&setting, &browser, &page, "certificate");
    }
}

#[test]
fn r21_a_proxy_leads_to_the_provider_and_sees_nothing() {
    let authority = Authority::new();
    let proxy = ForwardProxy::start();
    let extra = format!("{}\nhttp_proxy = \"{}\"", trust(&authority), proxy.url());
    let setting = setting(&authority, "DNS:localhost", &extra);
    let mut browser = browser(&setting);
    let page = browser.navigate("/page");
    setting.assert_signed_in(&browser, &page);
    let connect = format!("CONNECT {}", setting.provider.issuer().replace("https://", ""));
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == connect), "{asked:?}");
}

#[test]
fn r21_r43_behind_a_proxy_the_certificate_counts_all_the_same() {
    let authority = Authority::new();
    let proxy = ForwardProxy::start();
    let setting = setting(&authority, "DNS:localhost", &format!("http_proxy = \"{}\"", proxy.url()));
    let mut browser = browser(&setting);
    let page = browser.navigate("/page");
    assert_unavailable(&setting, &browser, &page, "certificate");
    assert!(!proxy.asked().is_empty());
}

#[test]
fn r21_r43_without_its_proxy_the_provider_is_not_called_directly() {
    let authority = Authority::new();
    let password = "proxy-passw0rd-of-the-company";
    // Nobody listens on tcpmux.
    let extra = format!("{}\nhttp_proxy = \"http://desk:{password}@127.0.0.1:1\"", trust(&authority));
    let setting = setting(&authority, "DNS:localhost", &extra);
    let mut browser = browser(&setting);
    let page = browser.navigate("/page");
    assert_unavailable(&setting, &browser, &page, "connect");
    assert!(!page.answer.text().contains(password));
    let line = evidence::access_line(&page.answer).to_string();
    assert!(!line.contains(password), "{line}");
}

#[test]
fn r21_a_provider_in_the_clear_is_asked_through_the_proxy_too() {
    let proxy = ForwardProxy::start();
    let setting = Setting::with(|plan| plan.provider_extra(&format!("http_proxy = \"{}\"", proxy.url())));
    setting.signed_in();
    let issuer = setting.provider.issuer();
    let asked = proxy.asked();
    for expected in ["GET {}/.well-known/openid-configuration", "GET {}/jwks", "POST {}/token"] {
        let expected = expected.replace("{}", &issuer);
        assert!(asked.contains(&expected), "no {expected} in {asked:?}");
    }
}
