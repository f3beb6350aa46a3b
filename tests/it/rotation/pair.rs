//! Two gateways over one store, whose keys are changed one after the other (R44, R82).
//!
//! I own: the order of steps in which nobody notices, and what is noticed in any other.

use super::{NEW, OLD, change, get, status, with_keys};
use crate::it::house::browser::Browser;
use crate::it::house::gateway::TestGateway;
use crate::it::house::setting::{Setting, usual_plan};
use crate::it::stores::Redis;
use keycard::app::reload::Outcome;
use serde_json::json;
use std::time::Duration;

/// Two gateways over one Redis, which is asked for each request.
struct Pair {
    setting: Setting,
    other: TestGateway,
}

impl Pair {
    fn over(redis: &Redis) -> Self {
        let url = redis.url();
        let setting = Setting::with(|plan| {
            plan.operating = true;
            plan.store_redis_asked(&url);
        });
        let mut plan = usual_plan(&setting.upstream);
        plan.provider("corp", &setting.provider, "userinfo = true");
        plan.store_redis_asked(&url);
        let other = plan.start(&setting.clock);
        Self { setting, other }
    }

    /// The same browser at the other gateway.
    fn there(&self, here: &Browser) -> Browser {
        let mut there = self.other.browser();
        there.jar = here.jar.clone();
        there
    }

    /// Somebody who signs in at the other gateway, seen from the first.
    fn signed_in_there(&self) -> Browser {
        let mut there = self.other.browser();
        let page = there.navigate("/");
        assert_eq!(page.answer.status, 200, "{}", page.way());
        let mut here = self.setting.browser();
        here.jar = there.jar.clone();
        here
    }
}

#[test]
fn r44_in_two_steps_nobody_is_signed_out_at_any_moment() {
    let redis = Redis::start();
    let pair = Pair::over(&redis);
    let mut everybody: Vec<Browser> = Vec::new();
    let (first, second) = (&pair.setting.gateway, &pair.other);
    let steps: [Option<(&TestGateway, &[&str])>; 7] = [
        None,
        // One after the other: the new key is known everywhere before anything is sealed with it.
        Some((first, &[OLD, NEW])),
        Some((second, &[OLD, NEW])),
        Some((first, &[NEW, OLD])),
        Some((second, &[NEW, OLD])),
        None,
        Some((second, &[NEW, OLD])),
    ];
    for (at, step) in steps.into_iter().enumerate() {
        let mut begun_here = pair.setting.browser();
        let callback = begun_here.up_to_callback("/");
        if let Some((gateway, keys)) = step {
            let outcome = gateway.reload(&with_keys(gateway, keys));
            assert!(matches!(outcome, Outcome::Applied { .. } | Outcome::Unchanged), "{at}: {outcome:?}");
        }
        // Begun at one, finished at the other.
        let mut there = pair.there(&begun_here);
        assert_eq!(there.navigate(callback.as_str()).answer.status, 200, "step {at}");
        begun_here.jar = there.jar.clone();
        everybody.extend([begun_here, pair.setting.signed_in(), pair.signed_in_there()]);
        for (who, browser) in everybody.iter_mut().enumerate() {
            let answers = (get(browser), get(&mut pair.there(browser)));
            assert_eq!(answers, (200, 200), "step {at}, browser {who}");
        }
    }
    // What the old key is still needed for is told, and when all of that is over it can go.
    let keys = status(first);
    assert_eq!((&keys[0]["role"], &keys[1]["role"]), (&json!("seals"), &json!("opens")));
    assert_eq!(keys[1]["can_be_removed"], false);
    let ended = first.operate("DELETE", "/admin/sessions?all=true");
    assert_eq!(ended.json()["ended"], everybody.len());
    assert_eq!(status(first)[1]["can_be_removed"], true);
    // Whoever signs in at the very moment of that ending is out as well.
    pair.setting.clock.advance(Duration::from_secs(1));
    let (mut here, mut there) = (pair.setting.signed_in(), pair.signed_in_there());
    change(first, &[NEW]);
    change(second, &[NEW]);
    assert_eq!((get(&mut here), get(&mut there)), (200, 200));
}

#[test]
fn r44_r82_in_one_step_the_other_gateway_says_503_and_takes_no_session_away() {
    let redis = Redis::start();
    let pair = Pair::over(&redis);
    let mut before = pair.setting.signed_in();
    change(&pair.setting.gateway, &[NEW, OLD]);
    let mut here = pair.setting.signed_in();
    let mut there = pair.there(&here);
    for path in ["/", "/optional/x", "/bff/user", "/bff/events"] {
        let answer = there.fetch("GET", path, &[], b"");
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.all("set-cookie").is_empty() && answer.header("retry-after").is_some(), "{path}");
    }
    for path in ["/", "/bff/login", "/bff/logout"] {
        let answer = there.open(path);
        assert_eq!((answer.status, answer.all("set-cookie").len()), (503, 0), "{path}");
    }
    assert_eq!(
        there.fetch("POST", "/bff/logout", &[], b"").status,
        503,
        "nobody is told they are signed out"
    );
    for path in ["/public/x", "/bff/signed-out"] {
        assert_eq!(there.open(path).status, 200, "{path} needs no session");
    }
    assert_eq!(get(&mut here), 200, "nothing was lost");
    assert_eq!((get(&mut before), get(&mut pair.there(&before))), (200, 200));
    change(&pair.other, &[OLD, NEW]);
    assert_eq!((get(&mut here), get(&mut there)), (200, 200));
}

#[test]
fn r53_a_made_up_cookie_is_still_nobodys() {
    let redis = Redis::start();
    let pair = Pair::over(&redis);
    let own = pair.setting.session_cookie(&pair.setting.signed_in());
    let (name, _) = pair.setting.gateway.cookie_names();
    let ticket = &own[own.len() - 43..];
    // A ticket that there is under a signature that is none, and one that there is not.
    let forged = [
        format!("{}{ticket}", &own[..own.len() - 43].chars().rev().collect::<String>()),
        format!("{}={ticket}", "A".repeat(43)),
        format!("{}={}", "A".repeat(43), "B".repeat(43)),
        ticket.to_owned(),
    ];
    for value in forged {
        let mut thief = pair.setting.browser();
        thief.jar.plant("apps.example.test", name, &value);
        assert_eq!(get(&mut thief), 401, "{value}");
        assert_eq!(thief.open("/").status, 302);
        assert_eq!(thief.fetch("GET", "/optional/x", &[], b"").status, 200);
    }
}
