//! Logout tokens that come at a bad moment (R84, R85).
//!
//! I own: a login that is being completed, a browser on its way to the provider's sign-out, a store that is away.

use super::{accepts, is_in, say, tell, two};
use crate::it::house::browser::Browser;
use crate::it::house::patience::until;
use crate::it::house::provider::script::{Canned, Place};
use crate::it::house::raw::Answer;
use crate::it::house::setting::Setting;
use crate::it::stores::Redis;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// While the code of a login is being redeemed, a notice arrives that means whoever signs in by it.
fn a_notice_during_a_login(setting: &Setting, meant: &'static [&'static str]) {
    // Keys and metadata are there: the provider, which is busy, is asked for nothing when the notice arrives.
    drop(setting.signed_in());
    setting.clock.advance(Duration::from_secs(1));
    let (address, host) = (setting.gateway.address, setting.gateway.host().to_owned());
    let (told, heard) = mpsc::channel::<Answer>();
    let mut notice = setting.provider.logout_forge();
    for name in ["sub", "sid"].iter().filter(|name| !meant.contains(name)) {
        notice.claims.as_object_mut().unwrap().remove(*name);
    }
    let notice = notice.sign();
    setting.provider.make_id_token(move |f| {
        let body = super::form(&notice);
        let answer = super::post(address, &host, super::PATH, super::FORM, body.as_bytes());
        told.send(answer).unwrap();
        f.sign()
    });
    let mut browser = setting.browser();
    let page = browser.navigate("/");
    accepts(&heard.try_recv().unwrap()).unwrap();
    assert_eq!((page.url.path(), page.answer.status), ("/bff/callback", 400), "{}", page.way());
    assert!(page.answer.text().contains("signed out meanwhile"), "{}", page.answer.text());
    assert!(!setting.has_session(&browser));
    setting.provider.behave();
    setting.clock.advance(Duration::from_millis(1));
    drop(setting.signed_in());
}

#[test]
fn r85_a_login_that_was_under_way_does_not_outlive_the_notice() {
    let redis = Redis::start();
    let directory = TempDir::new().unwrap();
    for meant in [["sub"].as_slice(), &["sid"], &["sub", "sid"]] {
        a_notice_during_a_login(&Setting::new(), meant);
    }
    let url = redis.url();
    a_notice_during_a_login(&Setting::with(|plan| plan.store_redis_asked(&url)), &["sub"]);
    a_notice_during_a_login(&Setting::with(|plan| plan.store_embedded(directory.path())), &["sid"]);
}

#[test]
fn r84_the_notice_comes_while_the_browser_is_at_the_providers_sign_out() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    let mut second = setting.signed_in();
    // The provider delivers before it answers the browser.
    let out = browser.post_form("/bff/logout", "");
    assert_eq!(out.status, 303);
    assert!(out.header("location").unwrap().starts_with(&setting.provider.issuer()));
    accepts(&say(&setting, |f| f.sign())).unwrap();
    assert!(!is_in(&mut second), "the other browser stood on the same session");
    let back = browser.navigate("/bff/signed-out?state=x");
    assert_eq!(back.answer.status, 200);
    assert!(!is_in(&mut browser));
}

#[test]
fn r84_many_notices_and_requests_at_once() {
    let setting = Setting::new();
    let browsers: Vec<Browser> = (0..8).map(|_| setting.signed_in()).collect();
    let tokens: Vec<String> = (0..8).map(|_| setting.provider.logout_forge().sign()).collect();
    std::thread::scope(|scope| {
        for token in &tokens {
            scope.spawn(|| accepts(&tell(&setting, token)).unwrap());
        }
        for mut browser in browsers.clone() {
            scope.spawn(move || (0..5).filter(|_| is_in(&mut browser)).count());
        }
    });
    assert!(browsers.into_iter().all(|mut browser| !is_in(&mut browser)));
}

#[test]
fn r84_another_gateway_on_the_same_store_knows_at_once() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| plan.store_redis_asked(&url));
    let mut browser = setting.signed_in();
    let mut plan = crate::it::house::setting::usual_plan(&setting.upstream);
    plan.provider("corp", &setting.provider, "userinfo = true");
    plan.store_redis_asked(&url);
    let other = plan.start(&setting.clock);
    let token = setting.provider.logout_forge().sign();
    let body = super::form(&token);
    accepts(&super::post(other.address, other.host(), super::PATH, super::FORM, body.as_bytes())).unwrap();
    assert!(!is_in(&mut browser));
    super::refuses(&tell(&setting, &token)).expect("used up for all gateways");
}

/// Each step in turn finds a store that refuses it, and each time the same token is good for another try. Who is meant is
/// out at this gateway all the same.
#[test]
fn r84_a_store_that_fails_is_a_503_and_the_token_stays_good() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| plan.store_redis_asked(&url));
    for step in ["get", "set", "zrangebyscore", "hmget", "del"] {
        let mut browsers = two(&setting);
        // A session that begins with the very moment of the notice is meant as well.
        setting.clock.advance(Duration::from_millis(1));
        let token = setting.provider.logout_forge().sign();
        redis.right(&format!("-{step}"));
        let answer = tell(&setting, &token);
        redis.right(&format!("+{step}"));
        assert_eq!((answer.status, answer.header("cache-control")), (503, Some("no-store")), "{step}");
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.json()["error"], "temporarily_unavailable");
        assert_eq!(browsers.each_mut().map(is_in), [false; 2], "{step}");
        // Until what the store did not take is written.
        let begun = Instant::now();
        while let again = tell(&setting, &token)
            && again.status != 200
        {
            // By then it may have been carried out without being told again.
            if again.status == 400 {
                break;
            }
            assert!(begun.elapsed() < LONG, "{step}, once more: {}", again.status);
        }
        super::refuses(&tell(&setting, &token)).expect("and then never again");
        assert_eq!(redis.records(), ":0", "{step}");
        setting.clock.advance(Duration::from_millis(1));
    }
}

/// Most providers do not come back when they are told to.
#[test]
fn r84_a34_a_notice_that_finds_no_store_is_carried_out_when_there_is_one() {
    let redis = Redis::start();
    let url = redis.url();
    let setting = Setting::with(|plan| plan.store_redis_asked(&url));
    let mut browsers = two(&setting);
    let token = setting.provider.logout_forge().sign();
    redis.right("-zrangebyscore");
    setting.clock.advance(Duration::from_millis(1));
    assert_eq!(tell(&setting, &token).status, 503);
    assert_eq!(browsers.each_mut().map(is_in), [false; 2]);
    assert_eq!(redis.records(), ":2");
    // Whoever comes in after the notice is not meant by it, however late it is carried out.
    setting.clock.advance(Duration::from_millis(1));
    let mut later = setting.signed_in();
    assert!(is_in(&mut later));
    redis.right("+zrangebyscore");
    until("only who came later has a record", || redis.records() == ":1");
    assert!(is_in(&mut later));
}

#[test]
fn r84_a_provider_whose_keys_cannot_be_had_is_asked_to_come_back() {
    let setting = Setting::new();
    let token = setting.provider.logout_forge().sign();
    setting.provider.can(Place::Jwks, Canned::Reply(500, Vec::new(), Vec::new()));
    assert_eq!(tell(&setting, &token).status, 503);
    setting.provider.behave();
    setting.clock.advance(Duration::from_secs(61));
    accepts(&tell(&setting, &token)).unwrap();
}
