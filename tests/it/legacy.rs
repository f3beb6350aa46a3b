//! Apps that nobody here wrote (R55, R63, R70 to R73, A20, A22, A25, A31): what they are told, and what becomes of
//! what they say.
//!
//! I own: an app under a prefix of its own, seen from the browser. Its cookies and its sign-out are in `legacy/cookies.rs`,
//! its WebSockets in `legacy/tunnels.rs`.

mod cookies;
mod tunnels;

use super::house::setting::Setting;
use super::house::upstream::Upstream;
use super::proxying::get;
use serde_json::json;

/// The usual setting, and one more route for an app of its own.
fn with_app(lines: &str) -> (Setting, Upstream) {
    let app = Upstream::start();
    let (url, lines) = (app.url(), lines.to_owned());
    let setting = Setting::with(move |plan| {
        plan.operating = true;
        plan.route(&format!("path = \"/wiki/\"\nupstream = \"{url}\"\n{lines}"));
    });
    (setting, app)
}

const SIGNED_IN: &str = "access = \"signed-in\"\n";

#[test]
fn r70_the_judged_path_is_what_the_app_gets_in_place_of_its_prefix() {
    for (line, rows) in [
        (
            "strip_prefix = true",
            [("/wiki/a%20b/%63?x=%2e%2e/", "/a%20b/c?x=%2e%2e/"), ("/wiki", "/"), ("/wiki/", "/")],
        ),
        (
            "replace_prefix = \"/base/\"",
            [("/wiki/x?y", "/base/x?y"), ("/wiki", "/base/"), ("/wiki/wiki/", "/base/wiki/")],
        ),
        ("", [("/wiki/x", "/wiki/x"), ("/wiki", "/wiki"), ("/wiki/", "/wiki/")]),
    ] {
        let (setting, app) = with_app(&format!("{SIGNED_IN}{line}"));
        let mut browser = setting.signed_in();
        for (asked, got) in rows {
            assert_eq!(browser.fetch("GET", asked, &[], b"").status, 200);
            assert_eq!(app.last().head.target, got, "{line}: {asked}");
            let prefix = app.last().head.header("x-forwarded-prefix").map(str::to_owned);
            assert_eq!(prefix.as_deref(), (!line.is_empty()).then_some("/wiki"), "{line}");
            assert_eq!(app.last().head.header("x-script-name"), None, "{line}");
        }
        app.forget();
        for hostile in ["/wiki/../editor/x", "/wiki/..%2f..%2fx", "/wiki//x", "/wiki/%2e%2e/x", "/wiki/;x"] {
            assert_eq!(
                get(&setting, &setting.session_cookie(&browser), hostile, "").status,
                400,
                "{hostile}"
            );
        }
        assert_eq!(app.count(), 0);
    }
}

#[test]
fn a29_an_encoded_slash_reaches_an_app_that_asks_for_it_and_no_other_route() {
    let (setting, app) = with_app(&format!("{SIGNED_IN}allow_encoded_slash = true\nstrip_prefix = true"));
    let cookie = setting.session_cookie(&setting.signed_in());
    assert_eq!(get(&setting, &cookie, "/wiki/group%2fproject", "").status, 200);
    assert_eq!(app.last().head.target, "/group%2Fproject");
    app.forget();
    setting.upstream.forget();
    for hostile in
        ["/wiki/..%2feditor/x", "/wiki/x%2f..%2f..%2feditor", "/wiki/x%252fy", "/wiki/%2fx", "/inside%2fx"]
    {
        assert_eq!(get(&setting, &cookie, hostile, "").status, 400, "{hostile}");
    }
    assert_eq!((app.count(), setting.upstream.count()), (0, 0));
}

#[test]
fn r70_no_spelling_of_a_mark_leads_around_a_route_or_a_rule() {
    let app = Upstream::start();
    let url = app.url();
    let setting = Setting::with(move |plan| {
        let route = |path: &str, access: &str| {
            format!("path = \"{path}\"\nupstream = \"{url}\"\naccess = {access}\nallow_encoded_slash = true")
        };
        plan.route(&route("/mw/", "\"signed-in\""));
        plan.route(&route("/mw/Special:UserRights", "{ roles = \"admin\" }"));
        let rule = "!request.path.startsWith('/od/$batch') && !request.path.startsWith('/od/admin/')";
        plan.route(&route("/od/", &format!("{{ cel = \"{rule}\" }}")));
    });
    let cookie = setting.session_cookie(&setting.signed_in());
    for (hostile, status) in [
        ("/mw/Special:UserRights", 403),
        ("/mw/Special%3AUserRights", 400),
        ("/mw/Special%3aUserRights/x", 400),
        ("/mw/Special%3AUserRights%2Fx", 400),
        ("/od/$batch", 403),
        ("/od/%24batch", 403),
        ("/od/admin/x", 403),
        ("/od/admin%2Fx", 403),
    ] {
        assert_eq!(get(&setting, &cookie, hostile, "").status, status, "{hostile}");
    }
    assert_eq!(app.count(), 0);
    for honest in ["/mw/Talk%3AMain", "/mw/Talk:Main", "/od/Items(%2712%27)", "/od/group%2Fx%3Ay"] {
        assert_eq!(get(&setting, &cookie, honest, "").status, 200, "{honest}");
        assert_eq!(app.last().head.target, honest, "forwarded as it came");
    }
}

#[test]
fn r70_what_an_app_says_about_itself_is_said_of_the_public_origin() {
    let (setting, app) = with_app(&format!("{SIGNED_IN}strip_prefix = true\nhost = \"upstream\""));
    let mut browser = setting.signed_in();
    let own = app.url();
    for (said, heard) in [
        (format!("{own}/login?a=b"), "https://apps.example.test/wiki/login?a=b"),
        ("/login".to_owned(), "/wiki/login"),
        ("https://elsewhere.test/".to_owned(), "https://elsewhere.test/"),
        ("//elsewhere.test/".to_owned(), "//elsewhere.test/"),
        (format!("{}@elsewhere.test/", own), &*format!("{own}@elsewhere.test/")),
    ]
    .map(|(said, heard)| (said, heard.to_owned()))
    {
        let refresh = format!("0; url={said}");
        let location = said.clone();
        app.script(move |exchange| {
            let cookies = "theme=dark; Domain=127.0.0.1; Path=/; HttpOnly";
            let headers = [
                ("Location", &*location),
                ("Content-Location", &location),
                ("Refresh", &refresh),
                ("Set-Cookie", cookies),
            ];
            Some(exchange.reply(302, &headers, b""))
        });
        let answer = browser.fetch("GET", "/wiki/x", &[], b"");
        assert_eq!(answer.header("location"), Some(&*heard), "{said}");
        assert_eq!(answer.header("content-location"), Some(&*heard), "{said}");
        assert_eq!(answer.header("refresh"), Some(&*format!("0; url={heard}")), "{said}");
        assert_eq!(answer.header("set-cookie"), Some("theme=dark; Path=/wiki; HttpOnly"));
        assert_eq!(app.last().head.header("host"), own.strip_prefix("http://"));
        assert_eq!(app.last().head.header("x-forwarded-host"), Some("apps.example.test"));
    }
}

/// nginx does so for a folder without its slash.
#[test]
fn r70_the_public_host_with_the_apps_own_port_is_the_app_and_with_another_is_not() {
    let (setting, app) = with_app(SIGNED_IN);
    let mut browser = setting.signed_in();
    let port = app.url().rsplit(':').next().unwrap().to_owned();
    for (said, heard) in [
        (
            format!("http://apps.example.test:{port}/wiki/lib/"),
            "https://apps.example.test/wiki/lib/".to_owned(),
        ),
        (
            "http://apps.example.test:1/wiki/lib/".to_owned(),
            "http://apps.example.test:1/wiki/lib/".to_owned(),
        ),
        (format!("http://evil.test:{port}/wiki/"), format!("http://evil.test:{port}/wiki/")),
    ] {
        app.script(move |exchange| Some(exchange.reply(301, &[("Location", &*said)], b"")));
        let answer = browser.fetch("GET", "/wiki/lib", &[], b"");
        assert_eq!(answer.header("location"), Some(&*heard));
    }
}

#[test]
fn r73_a31_an_app_hears_where_a_request_came_from_as_configured_and_from_nobody_else() {
    let lies = "Forwarded: for=6.6.6.6;host=evil.test\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Prefix: /evil\r\n\
                X-Forwarded-Host: evil.test\r\nX-Script-Name: /evil\r\nX_Script_Name: /evil\r\n";
    for (line, x, standard, host) in [
        ("forwarded = [\"forwarded\"]", false, true, "apps.example.test"),
        (
            "forwarded = [\"forwarded\", \"x-forwarded\"]\nhost = \"wiki.internal:81\"",
            true,
            true,
            "wiki.internal:81",
        ),
        ("forwarded = []", false, false, "apps.example.test"),
        ("forwarded = [\"x-script-name\"]\nstrip_prefix = true", false, false, "apps.example.test"),
    ] {
        let (setting, app) = with_app(&format!("{SIGNED_IN}{line}"));
        let cookie = setting.session_cookie(&setting.signed_in());
        assert_eq!(get(&setting, &cookie, "/wiki/x", lies).status, 200);
        let head = app.last().head;
        let forwarded = "for=127.0.0.1;host=apps.example.test;proto=https";
        assert_eq!(head.all("forwarded"), if standard { vec![forwarded] } else { vec![] }, "{line}");
        assert_eq!(head.all("x-forwarded-for"), if x { vec!["127.0.0.1"] } else { vec![] }, "{line}");
        assert_eq!(head.header("x-forwarded-prefix"), None);
        let script = line.contains("x-script-name").then_some("/wiki");
        assert_eq!(head.all("x-script-name"), script.into_iter().collect::<Vec<_>>(), "{line}");
        assert_eq!(head.header("host"), Some(host));
        assert!(!head.headers.iter().any(|(_, value)| value.contains("evil") || value.contains("6.6.6.6")));
    }
}

/// A20 for every name that a preset or a table fills.
#[test]
fn r72_a20_no_spelling_of_a_presets_name_speaks_for_the_gateway() {
    let (setting, app) = with_app(&format!(
        "{SIGNED_IN}identity_headers = [\"x-forwarded\", \"x-auth-request\", \"oidc-claim\"]"
    ));
    let cookie = setting.session_cookie(&setting.signed_in());
    let names = [
        ("X-Forwarded-User", Some("alice-0001")),
        ("X-Forwarded-Email", Some("alice@example.test")),
        ("X-Forwarded-Groups", Some("editor,staff")),
        ("X-Forwarded-Preferred-Username", None),
        ("X-Auth-Request-User", Some("alice-0001")),
        ("X-Auth-Request-Email", Some("alice@example.test")),
        ("X-Auth-Request-Groups", Some("editor,staff")),
        ("X-Auth-Request-Preferred-Username", None),
        ("OIDC_CLAIM_sub", Some("alice-0001")),
        ("OIDC_CLAIM_email_verified", Some("1")),
        ("OIDC_CLAIM_groups", Some("editor,staff")),
        ("OIDC_CLAIM_nonce", None),
    ];
    let folded = |name: &str| {
        let fold = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        name.chars().map(fold).collect::<String>()
    };
    for (name, value) in names {
        let dashed = name.replace('_', "-");
        for spelling in [
            name.to_owned(),
            name.to_lowercase(),
            name.to_uppercase(),
            dashed.clone(),
            dashed.replace('-', "_"),
            dashed.replace('-', "."),
            dashed.replace('-', "~"),
        ] {
            let lines = format!("{spelling}: mallory\r\n{spelling}: mallory2\r\n");
            for (path, upstream) in
                [("/wiki/x", &app), ("/public/x", &setting.upstream), ("/inside", &setting.upstream)]
            {
                upstream.forget();
                assert_eq!(get(&setting, &cookie, path, &lines).status, 200, "{spelling}");
                let head = upstream.last().head;
                let told = head.headers.iter().filter(|(n, _)| folded(n) == folded(name));
                let told: Vec<&str> = told.map(|(_, value)| value.as_str()).collect();
                let expected: Vec<&str> = value.into_iter().filter(|_| path == "/wiki/x").collect();
                assert_eq!(told, expected, "{spelling} on {path}");
            }
        }
    }
}

#[test]
fn r72_templates_encodings_and_basic_authentication() {
    let (setting, app) = with_app(&format!(
        "{SIGNED_IN}identity_headers = {{ X-Account = 'CORP\\{{claim:account}}', X-Name = 'name', X-Groups = 'roles' }}\n\
         header_encoding = \"percent\"\nheader_separator = \";\"\n\
         basic_auth = {{ user = \"{{user_id}}\", password = \"open-sesame-open\" }}"
    ));
    setting.provider.person(json!({ "account": "alice.l", "name": "Zo\u{eb} 100%", "groups": ["a,b", "c"] }));
    let cookie = setting.session_cookie(&setting.signed_in());
    let answer =
        get(&setting, &cookie, "/wiki/x", "Authorization: Basic bWFsbG9yeTp4\r\nX_Account: mallory\r\n");
    assert_eq!(answer.status, 200);
    let head = app.last().head;
    assert_eq!(head.all("x-account"), ["CORP\\alice.l"]);
    assert_eq!(head.header("x-name"), Some("Zo%C3%AB 100%25"));
    assert_eq!(head.header("x-groups"), Some("a,b;c"));
    // alice-0001:open-sesame-open
    assert_eq!(head.all("authorization"), ["Basic YWxpY2UtMDAwMTpvcGVuLXNlc2FtZS1vcGVu"]);
    setting.provider.person(json!({ "name": "Bob" }));
    let cookie = setting.session_cookie(&setting.signed_in());
    get(&setting, &cookie, "/wiki/x", "X-Account: mallory\r\n");
    assert_eq!(app.last().head.header("x-account"), None, "half a name is no name");
}

#[test]
fn r81_the_clients_authorization_passes_where_it_is_asked_for() {
    for (line, expected) in [
        ("client_authorization = \"pass\"", vec!["Basic bWluZTp4"]),
        ("client_authorization = \"strip\"", vec![]),
        ("", vec![]),
    ] {
        let (setting, app) = with_app(&format!("{SIGNED_IN}{line}"));
        let cookie = setting.session_cookie(&setting.signed_in());
        get(&setting, &cookie, "/wiki/x", "Authorization: Basic bWluZTp4\r\n");
        assert_eq!(app.last().head.all("authorization"), expected, "{line}");
    }
}
