//! `[pages]`, what is safe to show; and `[log]`.

use super::{accepted, base_with, read, refused};

#[test]
fn pages_are_branded_with_what_is_safe_to_show() {
    let pages = |line: &str| accepted(&[("pages", line)]).pages;
    assert_eq!(pages("accent = '#1a56B0'").accent, Some([0x1a, 0x56, 0xb0]));
    assert_eq!(pages("accent = '#15b'").accent, Some([0x11, 0x55, 0xbb]));
    assert_eq!(pages("logo = '/static/logo.svg'").logo.as_deref(), Some("/static/logo.svg"));
    assert_eq!(pages("name = ' Häuschen '").name.as_deref(), Some("Häuschen"));
    let own = pages("folder = '/etc/keycard/pages'");
    assert_eq!(own.templates.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["forbidden.html"]);
    for bad in ["1a56b0", "#1a56b", "#gggggg", "red", "#1a56b0;}", "#é1"] {
        refused(&[("pages", &format!("accent = '{bad}'"))], "pages.accent", "not a colour");
    }
    for bad in
        ["https://evil.test/x.png", "//evil.test/x.png", "logo.svg", "data:image/png;base64,AAAA", "/a/../b"]
    {
        refused(&[("pages", &format!("logo = '{bad}'"))], "pages.logo", "not a path of this origin");
    }
    refused(&[("pages", "name = \"a\\nb\"")], "pages.name", "not one line");
    refused(&[("pages", &format!("footer = '{}'", "x".repeat(501)))], "pages.footer", "not one line");
    refused(&[("pages", "folder = '/nowhere'")], "pages.folder", "holds none of our templates");
}

#[test]
fn a_broken_template_is_a_mistake_with_file_and_line() {
    let Err(problems) = read(&base_with(&[("pages", "folder = '/broken'")])) else { panic!("accepted") };
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("\"/broken/page.html\", which is broken in line 2: "), "{messages:?}");
    assert!(messages[1].contains("\"/broken/style.css\", which holds `</style` in line 2"), "{messages:?}");
}

#[test]
fn log_lines_have_a_known_form_and_level() {
    refused(&[("log", "level = 'verbose'")], "log.level", "must be one of");
    refused(&[("log", "format = 'jsn'")], "log.format", "must be one of");
}
