//! The usual setting: one provider, one upstream, one gateway with a route of each kind.
//!
//! I own: [`Setting`], [`Two`], and the assertions about a sign-in that every topic needs. I never hide a step that a test is
//! about.

use super::browser::{Browser, Page};
use super::clock::ManualClock;
use super::gateway::{Plan, TestGateway};
use super::provider::Provider;
use super::provider::script::Place;
use super::upstream::Upstream;
use serde_json::json;

pub struct Setting {
    pub clock: ManualClock,
    pub provider: Provider,
    pub upstream: Upstream,
    pub gateway: TestGateway,
}

impl Setting {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The usual setting, its plan changed before the start. The provider is the last one of the plan.
    pub fn with(change: impl FnOnce(&mut Plan)) -> Self {
        Self::bent(|_| {}, change)
    }

    /// The same, with a provider that is told how to behave before the gateway first hears of it.
    pub fn bent(script: impl FnOnce(&Provider), change: impl FnOnce(&mut Plan)) -> Self {
        let clock = ManualClock::new();
        let provider = Provider::start(&clock);
        let upstream = Upstream::start();
        script(&provider);
        let mut plan = usual_plan(&upstream);
        plan.provider("corp", &provider, "userinfo = true");
        change(&mut plan);
        let gateway = plan.start(&clock);
        Self { clock, provider, upstream, gateway }
    }

    pub fn browser(&self) -> Browser {
        self.gateway.browser()
    }

    /// A browser that has signed in and sits on `/`.
    pub fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let page = browser.navigate("/");
        self.assert_signed_in(&browser, &page);
        browser
    }

    /// Bob, signed in beside alice. Whoever signs in from here on is him.
    pub fn bob(&self) -> Browser {
        self.provider.person(json!({ "sub": "bob-0002", "email": "bob@example.test", "name": "Bob" }));
        self.signed_in()
    }

    /// Whether a browser holds a session cookie.
    pub fn has_session(&self, browser: &Browser) -> bool {
        browser.jar.get(self.gateway.cookie_names().0).is_some()
    }

    /// The value of the session cookie.
    pub fn session_cookie(&self, browser: &Browser) -> String {
        let cookie = browser.jar.get(self.gateway.cookie_names().0);
        cookie.expect("no session cookie").value.clone()
    }

    /// Whether a journey ended signed in, on a page of an upstream.
    pub fn is_signed_in(&self, browser: &Browser, page: &Page) -> bool {
        let home = page.url.origin().ascii_serialization() == self.gateway.origin;
        home && page.answer.status == 200 && page.answer.text().contains("app /") && self.has_session(browser)
    }

    pub fn assert_signed_in(&self, browser: &Browser, page: &Page) {
        let complaints = self.provider.complaints();
        assert!(
            self.is_signed_in(browser, page),
            "not signed in: {}; the provider says {complaints:?}; {}",
            page.way(),
            page.answer.text()
        );
    }

    /// Whether a login was refused as it should be: an error page of the gateway, no session, nobody at the upstream.
    pub fn refused(&self, browser: &Browser, page: &Page) -> Result<(), String> {
        let home = page.url.origin().ascii_serialization() == self.gateway.origin;
        if !home || !(400..600).contains(&page.answer.status) {
            return Err(format!("no error page: {}", page.way()));
        }
        if self.has_session(browser) {
            return Err("a session cookie was set".to_owned());
        }
        if self.upstream.count() > 0 {
            return Err("the upstream was reached".to_owned());
        }
        if self.provider.count(Place::Canary) > 0 {
            return Err("the canary was called".to_owned());
        }
        Ok(())
    }
}

/// Two providers, each of whose people may go where the other's may; "corp" is the default.
pub struct Two {
    pub corp: Provider,
    pub other: Provider,
    pub upstream: Upstream,
    pub gateway: TestGateway,
}

impl Two {
    pub fn start() -> Self {
        let clock = ManualClock::new();
        let (corp, other, upstream) = (Provider::start(&clock), Provider::start(&clock), Upstream::start());
        let mut plan = usual_plan(&upstream);
        plan.provider("corp", &corp, "");
        plan.provider("other", &other, "");
        plan.guarded_routes_extra("providers = [\"corp\", \"other\"]");
        let gateway = plan.start(&clock);
        Self { corp, other, upstream, gateway }
    }
}

/// One route of each kind, all to one upstream.
pub fn usual_plan(upstream: &Upstream) -> Plan {
    let mut plan = Plan::default();
    plan.identity_extra("roles = [\"groups\"]\nclaims = [\"department\"]");
    for (path, access, more) in [
        ("/", "\"signed-in\"", "identity_headers = \"remote-user\""),
        ("/public/", "\"public\"", ""),
        ("/optional/", "\"optional\"", "identity_headers = \"remote-user\""),
        ("/editor/", "{ roles = [\"editor\"] }", "identity_headers = \"remote-user\""),
        ("/admin/", "{ roles = [\"admin\"] }", "identity_headers = \"remote-user\""),
        ("/api/", "\"signed-in\"", "token = \"access\""),
        ("/strict/", "\"signed-in\"", "csrf = \"strict\""),
        ("/off/", "\"signed-in\"", "csrf = \"off\""),
    ] {
        let url = upstream.url();
        plan.route(&format!("path = \"{path}\"\nupstream = \"{url}\"\naccess = {access}\n{more}"));
    }
    plan
}
