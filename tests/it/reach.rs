//! How far the session cookie goes: Lax, Strict, or into frames (R51, R58, R68).
//!
//! I own: the landing page, and the frames of `embed`. Real browsers are in `tests/browser`; here every cookie that is
//! in the jar goes along, so what stays at home is taken out by hand.

use super::house::browser::{Browser, EVIL};
use super::house::setting::Setting;
use super::house::upstream::Upstream;

fn strict() -> Setting {
    Setting::with(|plan| plan.session_extra("same_site = \"strict\""))
}

fn framed() -> Setting {
    Setting::with(|plan| plan.session_extra("embed = { parents = [\"https://portal.test\"] }"))
}

fn lines<'a>(answer: &'a super::house::raw::Answer, name: &str) -> Vec<&'a str> {
    let begins = format!("{name}=");
    answer.all("set-cookie").into_iter().filter(|line| line.starts_with(&begins)).collect()
}

/// Signs in up to the page that the callback shows instead of a redirect, and on from there.
fn sign_in(setting: &Setting) -> Browser {
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/inside?x=1");
    let page = browser.open(callback.as_str());
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(page.header("refresh"), Some("0; url=/inside?x=1"));
    browser
}

#[test]
fn r51_strict_lands_on_a_page_of_our_own_after_the_sign_in() {
    let setting = strict();
    let (session, binding) = setting.gateway.cookie_names();
    let mut browser = setting.browser();
    let login = browser.open("/bff/login?return_to=/inside");
    let line = lines(&login, binding);
    assert!(line.len() == 1 && line[0].contains("SameSite=Lax"), "{line:?}");
    let callback = browser.up_to_callback("/bff/login?return_to=/inside");
    let page = browser.open(callback.as_str());
    assert_eq!((page.status, page.header("location")), (200, None));
    assert_eq!(page.header("refresh"), Some("0; url=/inside"));
    assert!(page.header("cache-control").is_some_and(|value| value == "no-store"));
    assert!(page.header("content-security-policy").is_some_and(|policy| !policy.contains("script-src")));
    assert!(page.text().contains("inside\">Go on</a>") && !page.text().contains("<script"));
    let line = lines(&page, session);
    assert!(line.len() == 1 && line[0].contains("SameSite=Strict"), "{line:?}");
    assert!(line[0].contains("HttpOnly") && line[0].contains("Secure") && line[0].contains("Path=/"));
    assert_eq!(browser.open("/inside").status, 200);
    let out = browser.post_form("/bff/logout", "");
    let line = lines(&out, session);
    assert!(
        line.len() == 1 && line[0].contains("SameSite=Strict") && line[0].contains("Max-Age=0"),
        "{line:?}"
    );
}

#[test]
fn r51_strict_a_link_from_elsewhere_leads_through_the_landing_page() {
    let setting = strict();
    let mut browser = sign_in(&setting);
    // Without its session cookie, as a browser sends it from another site.
    let mut bare = setting.browser();
    for path in ["/inside?a=1&b=%20", "/optional/x", "/editor/x"] {
        let first = bare.foreign(EVIL, "GET", path, "navigate", "document");
        assert_eq!(first.status, 302, "{path}");
        let landing = first.header("location").unwrap().to_owned();
        assert!(landing.starts_with("/bff/landing?return_to="), "{landing}");
        let page = bare.foreign(EVIL, "GET", &landing, "navigate", "document");
        assert_eq!((page.status, page.header("refresh")), (200, Some(format!("0; url={path}").as_str())));
        let url = browser.url(path);
        let own = [
            ("Accept", "text/html"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
        ];
        assert_eq!(browser.request("GET", &url, &own, b"").status, 200, "{path}");
        // Whoever has no session goes on to the login from there, and not round and round.
        let answer = bare.request("GET", &url, &own, b"");
        let location = answer.header("location").unwrap_or_default();
        assert!(answer.status == 200 || location.starts_with("/bff/login?"), "{path}: {location}");
    }
    for (method, mode, dest) in
        [("GET", "cors", "empty"), ("POST", "navigate", "document"), ("GET", "navigate", "iframe")]
    {
        let answer = bare.foreign(EVIL, method, "/inside", mode, dest);
        let landed = answer.header("location").is_some_and(|to| to.starts_with("/bff/landing"));
        assert!(!landed, "{method} {mode} {dest}");
    }
    let public = bare.foreign(EVIL, "GET", "/public/x", "navigate", "document");
    assert_eq!(public.status, 200, "nobody's session counts there");
}

#[test]
fn r12_r51_the_landing_page_leads_nowhere_else() {
    let setting = strict();
    let mut browser = setting.browser();
    for bad in
        ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "%09//evil.test", "x"]
    {
        let page = browser.open(&format!("/bff/landing?return_to={bad}"));
        assert_eq!((page.status, page.header("refresh")), (200, Some("0; url=/")), "{bad}");
        assert!(!page.text().contains("evil") && !page.text().contains("alert"), "{bad}");
    }
    assert_eq!(browser.fetch("POST", "/bff/landing", &[], b"").status, 405);
}

/// One more route, for an app with a sign-out of its own.
fn with_wiki(session: &'static str) -> (Setting, Upstream) {
    let app = Upstream::start();
    let url = app.url();
    let setting = Setting::with(move |plan| {
        plan.session_extra(session);
        plan.route(&format!(
            "path = \"/wiki/\"\nupstream = \"{url}\"\naccess = \"signed-in\"\napp_cookies = [\"PHPSESSID\"]\n\
             clear_site_data = [\"storage\"]\nlogout_paths = [\"/wiki/logout\", \"/wiki/x?do=logout\"]\n"
        ));
    });
    (setting, app)
}

/// Where a landing page leads, whichever way it does.
fn leads(page: &super::house::raw::Answer) -> String {
    let refresh = page.header("refresh").and_then(|value| value.strip_prefix("0; url="));
    refresh.or_else(|| page.header("location")).unwrap_or_default().to_owned()
}

#[test]
fn a25_r69_the_landing_page_lends_its_name_to_nothing_that_acts() {
    let (setting, _app) = with_wiki("same_site = \"strict\"");
    let mut bare = setting.browser();
    for (target, expected) in [
        ("/wiki/logout", "/bff/logout"),
        ("/wiki/logout?a=b", "/bff/logout"),
        ("/wiki/x?a=b%26do=logout", "/bff/logout"),
        ("/wiki/x?a=b", "/wiki/x?a=b"),
        ("/bff/login?login_hint=mallory", "/"),
        ("/bff/callback?code=x%26state=y", "/"),
        ("/bff/replay?form=AAAAAAAAAAAAAAAAAAAAAA%26pass=AAAAAAAAAAAAAAAAAAAAAA", "/"),
        ("/bff/landing?return_to=/wiki/logout", "/"),
        ("/bff/logout?sid=abc", "/bff/logout"),
        ("/bff/logout", "/bff/logout"),
        ("/bff", "/"),
    ] {
        let page =
            bare.foreign(EVIL, "GET", &format!("/bff/landing?return_to={target}"), "navigate", "document");
        assert_eq!((page.status, &*leads(&page)), (200, expected), "{target}");
    }
    // The page after a sign-in, too.
    for (target, expected) in
        [("/wiki/logout", "/bff/logout"), ("/bff/login?login_hint=mallory", "/"), ("/wiki/x", "/wiki/x")]
    {
        let mut browser = setting.browser();
        let callback = browser.up_to_callback(&format!("/bff/login?return_to={target}"));
        let page = browser.open(callback.as_str());
        assert_eq!((page.status, &*leads(&page)), (200, expected), "{target}");
    }
}

#[test]
fn a25_r69_without_strict_a_link_over_the_landing_page_stays_a_foreign_link() {
    let (setting, app) = with_wiki("");
    let mut browser = setting.signed_in();
    for target in ["/wiki/logout", "/bff/login?login_hint=mallory", "/inside?x=1"] {
        let landing = format!("/bff/landing?return_to={target}");
        let answer = browser.foreign(EVIL, "GET", &landing, "navigate", "document");
        assert_eq!((answer.status, answer.header("location")), (303, Some(target)));
        assert_eq!(answer.header("refresh"), None, "what a page asks for is its own");
    }
    let page = browser.follow_link(EVIL.origin, "/bff/landing?return_to=/wiki/logout");
    assert_eq!((page.url.path(), page.answer.status), ("/bff/logout", 200), "{}", page.way());
    assert!(setting.has_session(&browser));
    assert_eq!(browser.fetch("GET", "/bff/user", &[], b"").status, 200);
    assert_eq!(app.count(), 0);
    for bad in ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"] {
        let answer = browser.open(&format!("/bff/landing?return_to={bad}"));
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{bad}");
    }
}

#[test]
fn r51_lax_stays_as_it_was() {
    let setting = Setting::new();
    let mut browser = setting.browser();
    let callback = browser.up_to_callback("/inside");
    let answer = browser.open(callback.as_str());
    assert_eq!((answer.status, answer.header("refresh")), (303, None));
    assert!(lines(&answer, setting.gateway.cookie_names().0)[0].contains("SameSite=Lax"));
    let mut bare = setting.browser();
    let link = bare.foreign(EVIL, "GET", "/inside", "navigate", "document");
    assert!(link.header("location").unwrap().starts_with("/bff/login?"));
}

#[test]
fn r51_r68_embed_has_cookies_for_frames_and_pages_for_the_named_parents() {
    let setting = framed();
    let (session, binding) = setting.gateway.cookie_names();
    let mut browser = setting.browser();
    let login = browser.foreign(PORTAL, "GET", "/bff/login?return_to=/inside", "navigate", "iframe");
    assert_eq!(login.status, 302);
    assert!(
        lines(&login, binding)[0].ends_with("SameSite=None; Secure; Partitioned"),
        "{:?}",
        lines(&login, binding)
    );
    let callback = browser.up_to_callback("/bff/login?return_to=/inside");
    let answer = browser.open(callback.as_str());
    let line = lines(&answer, session);
    assert!(line.len() == 1 && line[0].contains("SameSite=None") && line[0].contains("Secure"), "{line:?}");
    assert!(line[0].ends_with("; Partitioned") && line[0].starts_with("__Host-"), "{line:?}");
    // The app in its frame, and what is said about who may frame it.
    let app = browser.foreign(PORTAL, "GET", "/inside", "navigate", "iframe");
    assert_eq!(app.status, 200);
    let ancestors = "frame-ancestors 'self' https://portal.test";
    assert_eq!(app.all("content-security-policy"), [ancestors]);
    let ours = browser.foreign(PORTAL, "GET", "/admin/x", "navigate", "iframe");
    assert_eq!(ours.status, 403);
    assert!(ours.header("content-security-policy").unwrap().contains(ancestors));
    assert_eq!(ours.header("x-frame-options"), None);
    let out = browser.post_form("/bff/logout", "");
    assert!(lines(&out, session)[0].ends_with("; Partitioned"), "{:?}", lines(&out, session));
}

const PORTAL: super::house::browser::Foreign =
    super::house::browser::Foreign { origin: "https://portal.test", site: "cross-site" };

#[test]
fn r61_r62_embed_changes_nothing_about_forged_requests() {
    let setting = framed();
    let mut browser = setting.signed_in();
    setting.upstream.forget();
    for from in [EVIL, PORTAL] {
        for (method, mode, dest) in [
            ("POST", "navigate", "iframe"),
            ("POST", "navigate", "document"),
            ("POST", "cors", "empty"),
            ("POST", "no-cors", "empty"),
            ("GET", "cors", "empty"),
            ("GET", "no-cors", "image"),
            ("GET", "navigate", "object"),
            ("GET", "navigate", "embed"),
        ] {
            let answer = browser.foreign(from, method, "/inside", mode, dest);
            assert_eq!(answer.status, 403, "{} {method} {mode} {dest}", from.origin);
        }
    }
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn r68_without_embed_nobody_frames_a_page_of_ours() {
    let setting = Setting::new();
    let mut browser = setting.signed_in();
    assert_eq!(browser.foreign(PORTAL, "GET", "/inside", "navigate", "iframe").status, 403);
    let page = browser.open("/admin/x");
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(browser.open("/inside").header("content-security-policy"), None);
}
