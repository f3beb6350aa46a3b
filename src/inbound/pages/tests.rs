//! Pages as they leave the house: escaped, branded, overridden, readable.

use super::*;
use crate::inbound::colour::READABLE;
use std::collections::BTreeMap;

fn page() -> Page<'static> {
    Page {
        kind: Kind::Forbidden,
        wording: words::FORBIDDEN,
        button: Some(Link { href: "/bff/logout", label: words::OTHER_ACCOUNT }),
        link: Some(Link { href: "/", label: words::FRONT_PAGE }),
        account: Some("Anna <script>x</script> & Co"),
        correlation_id: Some("id-1"),
    }
}

fn shown(pages: &Pages, page: &Page<'_>, language: Language) -> (HttpResponse, String) {
    let response = pages.page(StatusCode::FORBIDDEN, page, language);
    let (response, body) = response.into_parts();
    let body = actix_web::body::MessageBody::try_into_bytes(body).unwrap();
    (response.set_body(actix_web::body::BoxBody::new(())), String::from_utf8(body.to_vec()).unwrap())
}

fn text_of(branding: Branding) -> String {
    shown(&Pages::new(branding).unwrap(), &page(), Language::English).1
}

fn template(name: &str, text: &str) -> Branding {
    Branding { templates: vec![(name.to_owned(), text.to_owned())], ..Branding::default() }
}

#[test]
fn r10_pages_escape_whatever_they_are_given() {
    let (response, text) = shown(&Pages::new(Branding::default()).unwrap(), &page(), Language::English);
    let header = |name| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
    let policy = header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    assert_eq!(header(header::CACHE_CONTROL), "no-store");
    assert!(text.contains("Anna &lt;script&gt;") && !text.contains("<script"), "{text}");
    let brand =
        Branding { name: Some("<b>A</b>".into()), footer: Some("<i>f</i>".into()), ..Branding::default() };
    let text = text_of(brand);
    assert!(text.contains("&lt;b&gt;A") && text.contains("&lt;i&gt;f") && !text.contains("<i>"), "{text}");
}

#[test]
fn a_page_says_its_language_in_three_places() {
    let pages = Pages::new(Branding::default()).unwrap();
    for (language, lang, title) in
        [(Language::English, "en", "Not allowed"), (Language::German, "de", "Kein Zugang")]
    {
        let (response, text) = shown(&pages, &page(), language);
        assert_eq!(response.headers().get(header::CONTENT_LANGUAGE).unwrap(), lang);
        let vary: Vec<_> = response.headers().get_all(header::VARY).map(|v| v.to_str().unwrap()).collect();
        assert!(vary.contains(&"Accept-Language") && vary.join(",").contains("Cookie"), "{vary:?}");
        assert!(text.contains(&format!("<html lang=\"{lang}\">")), "{text}");
        assert_eq!(text.matches("<h1").count(), 1);
        assert!(text.contains(title));
    }
}

#[test]
fn the_policy_names_the_very_style_that_the_page_has() {
    for branding in [
        Branding::default(),
        Branding { accent: Some([0xff, 0x88, 0]), ..Branding::default() },
        template(STYLE, "h1{color:red}\r\np{margin:0}\r\n"),
    ] {
        let (response, text) = shown(&Pages::new(branding).unwrap(), &page(), Language::English);
        let style = text.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        let hash = STANDARD.encode(sha256(style.as_bytes()));
        let policy = response.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
        assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
    }
}

#[test]
fn templates_of_the_operator_take_the_place_of_ours() {
    let all = text_of(template(SHEET, "<h1>{{ page.title }}</h1>{{ brand.name }}"));
    assert!(all.starts_with("<h1>Not allowed</h1>"), "{all}");
    let own = text_of(template("forbidden.html", "<p>{{ page.account.value }}"));
    assert!(own.starts_with("<p>Anna &lt;"), "{own}");
    let other = text_of(template("signed-out.html", "<p>bye"));
    assert!(other.starts_with("<!doctype html>"), "{other}");
    let wrapped = text_of(template("forbidden.html", "{% include 'page.html' %}<!-- mine -->"));
    assert!(wrapped.starts_with("<!doctype") && wrapped.ends_with("<!-- mine -->"), "{wrapped}");
}

#[test]
fn a_broken_template_is_found_at_the_start_with_its_line() {
    for (name, text, place) in [
        (SHEET, "<p>\n{% if %}", "page.html:2"),
        ("error.html", "a\nb\n{{ page.title|no_such_filter }}", "error.html:3"),
        ("loop.html", "{% include 'nowhere.html' %}", "loop.html:1"),
        ("signed-out.html", "\n\n\n{{ page.link.href.a.b }}", "signed-out.html:4"),
    ] {
        let refused = Pages::new(template(name, text)).err().map(|error| error.to_string());
        assert!(refused.as_ref().is_some_and(|error| error.contains(place)), "{name}: {refused:?}");
    }
}

#[test]
fn a_template_that_fails_later_is_not_shown_and_the_page_is() {
    let odd = "{% if page.account and page.account.value != 'somebody' %}{{ 1 / 0 }}{% endif %}mine";
    let text = text_of(template("forbidden.html", odd));
    assert!(text.starts_with("<!doctype html>") && text.contains("Not allowed"), "{text}");
}

#[test]
fn r10_a_list_of_sessions_escapes_what_browsers_say_and_is_never_without_its_buttons() {
    let hostile = "<b>x</b>\"><script>";
    let rows = [
        Row { action: "/bff/sessions/one".into(), browser: hostile.into(), ..Row::example(true) },
        Row { action: "/bff/sessions/two".into(), address: hostile.into(), ..Row::example(false) },
    ];
    let list = Extra::Sessions { rows: &rows, more: true };
    let page = Page { kind: Kind::Sessions, wording: words::SESSIONS, button: None, account: None, ..page() };
    let text = |branding: Branding| {
        let pages = Pages::new(branding).unwrap();
        let response = pages.page_with(StatusCode::OK, &page, Some(&list), Language::English);
        let body = actix_web::body::MessageBody::try_into_bytes(response.into_body()).unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    };
    let built_in = text(Branding::default());
    assert!(!built_in.contains("<b>") && !built_in.contains("<script"), "{built_in}");
    assert_eq!(built_in.matches("<form method=\"post\"").count(), 2);
    assert!(
        built_in.contains("A browser without a name") && built_in.contains("There are more"),
        "{built_in}"
    );
    // Written before there were lists, or without the buttons.
    for own in ["<h1>{{ page.title }}</h1>", "{% for one in extra.sessions %}<p>{{ one.action }}{% endfor %}"]
    {
        assert_eq!(text(template(SHEET, own)), built_in);
    }
    let own = "{% for one in extra.sessions %}<form method=\"post\" action=\"{{ one.action }}\">{% endfor %}";
    assert!(text(template("sessions.html", own)).starts_with("<form"));
}

/// The custom properties of one of the two blocks at the head of the style.
fn colours(block: &str) -> BTreeMap<&str, Colour> {
    let declarations = block.split(['{', ';', '}']).filter_map(|piece| piece.trim().split_once(':'));
    let colour = |text: &str| {
        let hex = text.strip_prefix('#')?;
        let hex = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
        let channel = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        Some(Colour([channel(0), channel(2), channel(4)]))
    };
    declarations.filter_map(|(name, value)| Some((name.strip_prefix("--")?, colour(value)?))).collect()
}

#[test]
fn every_pair_of_colours_can_be_read_light_and_dark() {
    let accents = [[0, 0, 0], [255, 255, 255], [255, 200, 0], [0x1a, 0x56, 0xb0], [127, 127, 127]];
    let mut lines = BUILT_IN_STYLE.lines();
    for (card, rules) in CARDS.into_iter().zip([lines.next().unwrap(), lines.next().unwrap()]) {
        let own = colours(rules);
        assert_eq!(own["card"], card, "the style and `CARDS`");
        for (ink, ground) in [
            ("ink", "paper"),
            ("ink", "card"),
            ("soft", "card"),
            ("soft", "paper"),
            ("accent", "card"),
            ("on", "fill"),
        ] {
            let contrast = own[ink].contrast(own[ground]);
            assert!(contrast >= READABLE, "{ink} on {ground}: {contrast:.2}");
        }
    }
    for accent in accents {
        let style = accented(Colour(accent));
        for (card, rules) in CARDS.into_iter().zip(style.lines()) {
            let own = colours(rules);
            assert!(own["accent"].contrast(card) >= READABLE, "{accent:?}");
            assert!(own["on"].contrast(own["fill"]) >= READABLE, "{accent:?}");
        }
    }
}
