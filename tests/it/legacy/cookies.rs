//! Two people, one browser, one app with sessions of its own (R54, R55, R63, A22, A25).
//!
//! I own: an app that gives every visitor a session and shows what it was given, and the ways in which ours ends.

use super::{SIGNED_IN, with_app};
use crate::it::house::browser::{Browser, EVIL, SIBLING};
use crate::it::house::raw::Answer;
use crate::it::house::setting::Setting;
use crate::it::house::upstream::Upstream;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const COOKIES: &str = "access = \"signed-in\"\napp_cookies = [\"PHPSESSID\", \"DW*\"]\n\
                       logout_paths = [\"/wiki/logout\", \"/wiki/doku.php?do=logout\"]\n";

/// An app like those in PHP: whoever comes without a session gets one.
fn app(lines: &str) -> (Setting, Upstream) {
    let (setting, app) = with_app(lines);
    let count = AtomicUsize::new(0);
    app.script(move |exchange| {
        exchange.body();
        let has_one = exchange.head.all("cookie").iter().any(|cookies| cookies.contains("PHPSESSID="));
        if has_one {
            return Some(exchange.reply(200, &[("Content-Type", "text/html")], b"known"));
        }
        let id = count.fetch_add(1, Ordering::SeqCst);
        let php = format!("PHPSESSID=app{id}; Path=/; HttpOnly; Domain=apps.example.test");
        let wiki = format!("DW68700=\"auth{id}\"; Path=/wiki/; HttpOnly");
        let theme = "theme=dark; Path=/";
        let headers = [("Set-Cookie", &*php), ("Set-Cookie", &wiki), ("Set-Cookie", theme)];
        Some(exchange.reply(200, &headers, b"new"))
    });
    (setting, app)
}

fn bob(setting: &Setting) {
    setting.provider.person(json!({ "sub": "bob-0002", "email": "bob@example.test", "name": "Bob" }));
}

/// The cookies that the app got with the last request.
fn got(app: &Upstream) -> String {
    app.last().head.all("cookie").join("; ")
}

fn is_at_home(app: &Upstream, browser: &mut Browser) {
    assert_eq!(browser.navigate("/wiki/start").answer.status, 200);
    assert_eq!(browser.navigate("/wiki/start").answer.text(), "known");
    assert!(got(app).contains("PHPSESSID=app") && got(app).contains("DW68700=\"auth"), "{}", got(app));
    assert!(got(app).contains("theme=dark") && !got(app).contains("~kc."), "{}", got(app));
}

fn end_all(setting: &Setting) {
    assert_eq!(setting.gateway.operate("DELETE", "/admin/sessions?all=true").status, 200);
}

#[test]
fn a_persons_app_session_never_meets_the_next_person_however_it_ended() {
    for how in ["sign-out", "operator", "idle", "cookie lost", "signed in over it"] {
        let (setting, app) = app(COOKIES);
        let mut browser = setting.browser();
        is_at_home(&app, &mut browser);
        let of_alice = got(&app);
        match how {
            "sign-out" => drop(browser.post_form("/bff/logout", "")),
            "operator" => {
                end_all(&setting);
                // Whoever signs in at the moment of it is one of all.
                setting.clock.advance(Duration::from_secs(1));
            }
            "idle" => setting.clock.advance(Duration::from_secs(3600)),
            "cookie lost" => browser.jar.remove("__Host-keycard"),
            _ => {}
        }
        bob(&setting);
        app.forget();
        match how {
            "signed in over it" => drop(browser.navigate("/bff/login?return_to=/wiki/start&prompt=login")),
            _ => drop(browser.navigate("/wiki/start")),
        }
        let cookies: Vec<String> = app
            .arrived()
            .iter()
            .flat_map(|one| {
                one.head.all("cookie").join(";").split(';').map(|c| c.trim().to_owned()).collect::<Vec<_>>()
            })
            .collect();
        assert!(app.count() > 0, "{how}: the app was not reached");
        for own in of_alice.split("; ").filter(|pair| !pair.starts_with("theme")) {
            assert!(!cookies.iter().any(|cookie| cookie == own), "{how}: bob came with alice's {own}");
        }
        is_at_home(&app, &mut browser);
        assert_ne!(got(&app), of_alice, "{how}");
    }
}

#[test]
fn an_ending_that_shows_at_the_next_request_expires_the_apps_cookies() {
    let (setting, app) = app(COOKIES);
    let mut browser = setting.browser();
    is_at_home(&app, &mut browser);
    end_all(&setting);
    // What a foreign page fetches says nothing about who is there.
    let answer = browser.foreign(EVIL, "GET", "/wiki/x", "no-cors", "image");
    assert!(answer.all("set-cookie").is_empty() && answer.status == 401, "{:?}", answer.headers);
    let answer = browser.fetch("GET", "/wiki/lib/x", &[], b"");
    assert_eq!(answer.status, 401);
    for name in ["PHPSESSID", "DW68700"] {
        assert!(browser.jar.get(name).is_none(), "{name}: {:?}", answer.all("set-cookie"));
    }
    assert!(browser.jar.get("theme").is_some());
}

#[test]
fn r54_cookies_that_were_planted_reach_no_app() {
    let (setting, app) = app(COOKIES);
    let mut browser = setting.browser();
    is_at_home(&app, &mut browser);
    let (sealed, session) =
        (browser.jar.get("PHPSESSID").unwrap().value.clone(), setting.session_cookie(&browser));
    for planted in [
        "PHPSESSID=evil".to_owned(),
        "PHPSESSID=evil~kc.AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        sealed.replacen("app", "PHPSESSID=evil", 1),
        "phpsessid=evil".to_owned(),
        "PHPSESS%49D=evil".to_owned(),
        "PHPSESSID[]=evil".to_owned(),
        "=PHPSESSID=evil".to_owned(),
        format!("DWx={sealed}"),
        "DWevil=evil".to_owned(),
    ] {
        let answer =
            super::get(&setting, &session, "/wiki/x", &format!("Cookie: PHPSESSID={sealed}; {planted}\r\n"));
        assert_eq!(answer.status, 200, "{planted}");
        assert_eq!(got(&app), "PHPSESSID=app0", "{planted}");
    }
    let other = super::get(
        &setting,
        &session,
        "/inside",
        &format!("Cookie: PHPSESSID={sealed}; PHPSESSID=other\r\n"),
    );
    assert_eq!((other.status, &*got(&setting.upstream)), (200, "PHPSESSID=other"), "another app's route");
}

#[test]
fn the_apps_own_sign_out_is_ours() {
    for target in ["/wiki/logout", "/wiki/doku.php?id=start&do=logout&sectok=1"] {
        let (setting, app) = app(COOKIES);
        let mut browser = setting.browser();
        is_at_home(&app, &mut browser);
        app.forget();
        let page = browser.follow_link(&setting.gateway.origin, target);
        assert!(!setting.has_session(&browser), "{}", page.way());
        assert!(page.way().contains("/end_session"), "{}", page.way());
        assert_eq!(app.count(), 1, "the app is told");
        assert!(got(&app).contains("PHPSESSID=app0"), "as the person who goes");
        for name in ["PHPSESSID", "DW68700"] {
            assert!(browser.jar.get(name).is_none(), "{name} stays");
        }
        let again = browser.open(target);
        assert_eq!(
            (again.status, again.header("location")),
            (303, Some("/bff/signed-out")),
            "nobody signs in for it"
        );
        assert_eq!(app.count(), 1);
    }
    let (setting, app) = app(COOKIES);
    let mut browser = setting.browser();
    is_at_home(&app, &mut browser);
    let answer = browser.fetch("POST", "/wiki/logout", &[], b"token=1");
    assert_eq!((answer.status, &*answer.text()), (200, "known"), "a script gets the app's answer");
    assert_eq!(app.last().head.target, "/wiki/logout");
    assert!(!setting.has_session(&browser));
}

#[test]
fn r63_a25_nobody_else_signs_a_person_out_by_the_apps_address() {
    let (setting, app) = app(&format!("{COOKIES}csrf = \"off\""));
    let mut browser = setting.browser();
    is_at_home(&app, &mut browser);
    for from in [EVIL, SIBLING] {
        for (method, mode, dest) in [
            ("GET", "no-cors", "image"),
            ("GET", "navigate", "document"),
            ("GET", "navigate", "iframe"),
            ("POST", "navigate", "document"),
            ("POST", "no-cors", "empty"),
        ] {
            let answer = browser.foreign(from, method, "/wiki/logout", mode, dest);
            if (method, mode) == ("GET", "navigate") {
                assert_eq!(
                    (answer.status, answer.header("location")),
                    (303, Some("/bff/logout")),
                    "{from:?}"
                );
            }
            assert!(setting.has_session(&browser), "{method} {mode} {dest} {from:?}");
            assert_eq!(
                browser.fetch("GET", "/bff/user", &[], b"").status,
                200,
                "{method} {mode} {dest} {from:?}"
            );
        }
    }
    app.forget();
    let ahead = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Purpose", "prefetch"),
    ];
    let url = browser.url("/wiki/logout");
    assert_eq!(browser.request("GET", &url, &ahead, b"").header("location"), Some("/bff/logout"));
    assert_eq!(browser.fetch("GET", "/bff/user", &[], b"").status, 200, "fetched ahead of a click");
    assert_eq!(app.count(), 0);
}

/// What an answer makes the browser forget.
fn forgotten(answer: &Answer) -> Vec<String> {
    let all = ["set-cookie", "clear-site-data"].map(|name| answer.all(name));
    all.concat().into_iter().map(str::to_owned).collect()
}

#[test]
fn r63_a25_a_request_that_our_cookie_did_not_come_with_makes_nobody_forget() {
    const FORGETS: &str = "clear_site_data = [\"storage\"]";
    for reach in ["", "same_site = \"strict\"", "embed = { parents = [\"https://portal.test\"] }"] {
        let app = Upstream::start();
        let url = app.url();
        let setting = Setting::with(move |plan| {
            plan.session_extra(reach);
            plan.route(&format!("path = \"/wiki/\"\nupstream = \"{url}\"\n{COOKIES}{FORGETS}"));
        });
        // As its browser is where our cookie stays at home, and an app's `SameSite=None` cookie does not.
        let app_cookie = ("Cookie", "PHPSESSID=app0~kc.AAAAAAAAAAAAAAAAAAAAAA");
        let mut bare = setting.browser();
        for target in ["/bff/logout", "/bff/logout?sid=abc", "/wiki/logout", "/wiki/start"] {
            let url = bare.url(target);
            let mut ask = |lines: &[(&str, &str)]| {
                let lines: Vec<(&str, &str)> = lines.iter().copied().chain([app_cookie]).collect();
                bare.request("GET", &url, &lines, b"")
            };
            for site in ["cross-site", "same-site"] {
                for (mode, dest) in
                    [("no-cors", "image"), ("no-cors", "script"), ("navigate", "iframe"), ("cors", "empty")]
                {
                    let answer = ask(&[
                        ("Accept", "text/html"),
                        ("Sec-Fetch-Site", site),
                        ("Sec-Fetch-Mode", mode),
                        ("Sec-Fetch-Dest", dest),
                        ("Referer", "https://evil.test/"),
                    ]);
                    let said = forgotten(&answer);
                    assert_eq!(said, [""; 0], "{reach} {site} {mode} {dest} {target}");
                }
            }
            for accept in ["image/*", "text/html"] {
                let answer = ask(&[("Accept", accept), ("Referer", "https://evil.test/")]);
                assert_eq!(forgotten(&answer), [""; 0], "{reach} an old browser, {accept} {target}");
            }
            let link = ask(&[
                ("Accept", "text/html"),
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", "document"),
            ]);
            let to = link.header("location").unwrap_or_default();
            assert_eq!(to.starts_with("/bff/landing?"), reach.contains("strict"), "{reach} {target}: {to}");
            assert_eq!(forgotten(&link).is_empty(), !reach.is_empty(), "{reach} a link to {target}");
            let own = ask(&[
                ("Accept", "text/html"),
                ("Sec-Fetch-Site", "same-origin"),
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", "document"),
            ]);
            assert!(!forgotten(&own).is_empty(), "{reach} our own page, {target}");
        }
    }
}

#[test]
fn r63_strict_a_link_to_the_sign_out_asks_whoever_is_here() {
    let setting = Setting::with(|plan| plan.session_extra("same_site = \"strict\""));
    let mut browser = setting.browser();
    let page = browser.follow_link(EVIL.origin, "/bff/logout?sid=abc");
    let to = page.answer.header("refresh").unwrap_or_default();
    assert_eq!((page.url.path(), to), ("/bff/landing", "0; url=/bff/logout"), "{}", page.way());
}

#[test]
fn r56_a_sign_out_tells_the_browser_what_to_forget() {
    let (setting, _app) = app(&format!("{SIGNED_IN}clear_site_data = [\"storage\", \"cookies\"]"));
    let mut browser = setting.browser();
    browser.navigate("/wiki/start");
    let answer = browser.fetch("POST", "/bff/logout", &[], b"");
    assert_eq!(answer.header("clear-site-data"), Some("\"cookies\", \"storage\""));
    let mut other = setting.signed_in();
    assert_eq!(other.fetch("GET", "/wiki/x", &[], b"").header("clear-site-data"), None);
    end_all(&setting);
    let answer = other.fetch("GET", "/wiki/x", &[], b"");
    assert_eq!(answer.header("clear-site-data"), Some("\"cookies\", \"storage\""));
}
