//! Many tabs at once (R6): each ends on its own page.
//!
//! I own: tabs of one browser that share a jar and take their steps in turn.

use crate::it::house::browser::Browser;
use crate::it::house::provider::script::Place;
use crate::it::house::setting::Setting;
use url::Url;

/// Walks all tabs hop by hop. In each round every tab sends its request with the cookies that the browser had when
/// the round began: as restored tabs do, all of which start before the first answer is there.
fn walk(browser: &mut Browser, targets: &[String]) -> Vec<(Url, u16)> {
    let mut tabs: Vec<(Url, Option<u16>)> =
        targets.iter().map(|target| (browser.url(target), None)).collect();
    for _ in 0..40 {
        let jar = browser.jar.clone();
        let mut received = Vec::new();
        for (url, done) in tabs.iter_mut().filter(|tab| tab.1.is_none()) {
            let mut tab = browser.clone();
            tab.jar = jar.clone();
            let answer = tab.open(url.as_str());
            let lines: Vec<String> = answer.all("set-cookie").into_iter().map(str::to_owned).collect();
            received.push((url.clone(), lines));
            match answer.header("location").filter(|_| (300..400).contains(&answer.status)) {
                Some(next) => *url = url.join(next).unwrap(),
                None => *done = Some(answer.status),
            }
        }
        for (url, lines) in received {
            for line in lines {
                browser.jar.receive(&url, &line);
            }
        }
        if tabs.iter().all(|tab| tab.1.is_some()) {
            return tabs.into_iter().map(|(url, status)| (url, status.unwrap())).collect();
        }
    }
    panic!("tabs that never end: {:?}", tabs.iter().map(|tab| tab.0.path()).collect::<Vec<_>>());
}

fn all_end_on_their_page(count: usize, mut browser: Browser) {
    let targets: Vec<String> = (0..count).map(|tab| format!("/tab/{tab}?n={tab}")).collect();
    let ends = walk(&mut browser, &targets);
    for (target, (url, status)) in targets.iter().zip(ends) {
        let ended = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        assert_eq!((ended.as_str(), status), (target.as_str(), 200));
    }
    assert_eq!(browser.fetch("GET", "/", &[], b"").status, 200);
}

#[test]
fn r6_two_tabs_from_an_empty_jar() {
    let setting = Setting::new();
    all_end_on_their_page(2, setting.browser());
}

#[test]
fn r6_ten_tabs_from_an_empty_jar() {
    let setting = Setting::new();
    all_end_on_their_page(10, setting.browser());
}

#[test]
fn r6_ten_tabs_of_a_browser_that_was_here_before() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    browser.up_to_callback("/");
    all_end_on_their_page(10, browser);
}

#[test]
fn r6_one_binding_cookie_serves_every_login() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let first = browser.open("/bff/login");
    assert!(first.all("set-cookie").iter().any(|line| line.starts_with("__Host-keycard-login=")));
    for login in 0..3 {
        let answer = browser.open("/bff/login");
        assert!(answer.all("set-cookie").is_empty(), "login {login} set another cookie");
    }
}

#[test]
fn r6_nothing_piles_up_in_a_browser_that_never_finishes() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    for tab in 0..30 {
        browser.up_to_callback(&format!("/tab/{tab}"));
    }
    let url = browser.url("/");
    let cookies = browser.jar.header(&url).unwrap();
    assert_eq!(cookies.split("; ").count(), 1, "{cookies}");
    assert!(cookies.len() < 256, "{} bytes", cookies.len());
    assert_eq!(setting.provider.count(Place::Token), 0);
}
