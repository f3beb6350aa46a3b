//! What expressions may say, what they must not, and what they answer.

use super::*;
use crate::domain::claim::ClaimValue;
use crate::domain::path::CanonicalPath;
use crate::domain::request::{self, Client, RequestFacts};
use crate::domain::route::{Access, RouteTable};
use crate::domain::session::Session;
use crate::domain::session::tests::session;
use crate::domain::time::Timestamp;
use proptest::prelude::*;

fn facts() -> RequestFacts {
    let path = CanonicalPath::parse("/wiki/start").unwrap();
    RequestFacts { path, client: [10, 1, 2, 3].into(), ..request::tests::facts() }
}

/// Alice, an editor of the staff, in ward 7, signed in a minute ago.
fn alice() -> Session {
    let mut session = session();
    let text = |text: &str| ClaimValue::Text(text.into());
    session.identity.claims = [
        ("ward", ClaimValue::Integer(7)),
        ("share", ClaimValue::Float(0.5)),
        ("units", ClaimValue::List(vec![text("a"), text("b")])),
        ("org", ClaimValue::Map([("level".into(), ClaimValue::Integer(3))].into())),
        ("https://example.com/x", text("y")),
        ("nothing", ClaimValue::Null),
        ("secret", text("unseen")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    session
}

fn asked(text: &str, session: Option<&Session>) -> Result<bool, &'static str> {
    let expression = parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
    expression.holds(&Question { facts: &facts(), session, now: Timestamp::from_unix_seconds(1060) })
}

fn refused(text: &str) -> Mistake {
    parse(text).err().unwrap_or_else(|| panic!("{text} was accepted"))
}

#[test]
fn expressions_see_the_request_its_sender_and_their_session() {
    for text in [
        "user.id == 'alice' && user.name == 'Alice'",
        "user.email_verified && user.email.endsWith('@example.com')",
        "'editor' in user.roles",
        "user.roles.exists(role, role.startsWith('edit'))",
        "user.groups.all(group, group in ['staff', 'guests']) && size(user.groups) == 1",
        "claims.ward == 7 && claims.org.level > 2 && claims.share < 1.0",
        "claims['https://example.com/x'] == 'y'",
        "'ward' in claims && !('absent' in claims)",
        "has(claims.ward) && !has(claims.absent)",
        "has(claims.absent) ? claims.absent == 1 : true",
        "'b' in claims.units && claims.units[0] == 'a'",
        "claims.units.filter(unit, unit != 'a') == ['b']",
        "claims.nothing == null",
        "request.method == 'GET' && request.path.startsWith('/wiki/') && request.host == 'apps.example.com'",
        "request.client == '10.1.2.3'",
        "request.path.matches('^/[a-z]+/start$')",
        "session.provider == 'corp' && session.age == 60 && session.acr == null",
        "user.roles.exists(role, ['admin', 'editor'].exists(one, one == role))",
        "true",
    ] {
        assert_eq!(asked(text, Some(&alice())), Ok(true), "{text}");
    }
    for text in
        ["'admin' in user.roles", "claims.ward == '7'", "session.age < 60", "request.method == 'POST'"]
    {
        assert_eq!(asked(text, Some(&alice())), Ok(false), "{text}");
    }
}

#[test]
fn r70_no_spelling_of_a_path_gets_around_an_expression() {
    let mut route = crate::domain::route::tests::route("/od/", Access::Public);
    route.legacy.allow_encoded_slash = true;
    let table = RouteTable::new(vec![route]).unwrap();
    for (path, rule) in [
        ("/od/$batch", "!request.path.startsWith('/od/$batch')"),
        ("/od/%24batch", "!request.path.startsWith('/od/$batch')"),
        ("/od/admin%2Fx", "!request.path.startsWith('/od/admin/')"),
        ("/od/admin%2F%2Fx%3A", "request.path != '/od/admin/x:'"),
    ] {
        let path = table.canonical(&facts().origin, path).unwrap();
        let facts = RequestFacts { path, ..facts() };
        let question = Question { facts: &facts, session: None, now: Timestamp::from_unix_seconds(1060) };
        assert_eq!(parse(rule).unwrap().holds(&question), Ok(false), "{facts:?} {rule}");
    }
}

#[test]
fn r73_a_client_that_nobody_can_name_passes_no_expression_about_it() {
    let facts = RequestFacts { client: Client::Behind([10, 1, 2, 3].into()), ..facts() };
    let holds = |text: &str| {
        let question = Question { facts: &facts, session: None, now: Timestamp::from_unix_seconds(1060) };
        parse(text).unwrap().holds(&question)
    };
    for text in [
        "request.client == '10.1.2.3'",
        "request.client != '192.0.2.1'",
        "!request.client.startsWith('192.')",
    ] {
        assert!(holds(text).is_err(), "{text}");
    }
    assert_eq!(holds("has(request.client)"), Ok(false));
}

#[test]
fn what_has_no_answer_is_an_error_and_names_no_value() {
    for text in [
        "claims.absent == 1",
        "claims.ward.endsWith('7')",
        "claims.units[9] == 'a'",
        "claims.ward / 0 == 1",
        "claims.ward && true",
        "claims.ward",
        "user.name",
        "user.name > 3",
        "int(user.id) == 7",
        "session.acr.startsWith('gold')",
    ] {
        let why = asked(text, Some(&alice())).expect_err(text);
        assert!(!why.contains("alice") && !why.contains('7'), "{why}");
    }
    let parsed = parse("'a' in user.groups || claims.secret == 'x'").unwrap();
    assert!(!format!("{parsed:?}").contains("unseen"));
}

#[test]
fn it_says_beforehand_what_it_asks_for() {
    let claims = |text: &str| {
        parse(text).unwrap().claims().iter().map(|path| path.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        claims("claims.b == 1 || claims['a.c'] == 2 || 'd' in claims || has(claims.e.f)"),
        ["a.c", "b", "d", "e"]
    );
    assert_eq!(claims("user.groups.exists(claims, claims == 'x')"), [""; 0], "a variable of that name");
    for (text, person) in [
        ("request.method == 'GET'", false),
        ("true", false),
        ("user.id == 'x'", true),
        ("session.age < 9", true),
        ("'x' in claims", true),
    ] {
        assert_eq!(parse(text).unwrap().asks_for_person(), person, "{text}");
    }
    assert_eq!(asked("request.path != '/'", None), Ok(true));
}

#[test]
fn slips_are_found_when_the_configuration_is_read() {
    for (text, words, at) in [
        ("", "not an expression", None),
        ("user.id ==", "not an expression", None),
        ("user.id == 'x", "not an expression", None),
        ("user.id = 'x'", "not an expression", Some("=")),
        ("'x' in user.role", "`user` has no `role`", Some("user.role")),
        ("roles.exists(r, r == 'x')", "unknown name, `roles`", Some("roles")),
        ("editor in user.roles", "unknown name, `editor`", Some("editor")),
        ("user == 'x'", "`user` as a whole", Some("user")),
        ("claims.exists(c, c == 'x')", "`claims` as a whole", Some("claims")),
        ("claims[user.id] == 'x'", "`claims` as a whole", Some("claims")),
        ("claims['a..b'] == 'x'", "by a name that none has", None),
        ("user.id.like('x')", "unknown function, `like`", None),
        ("optional.none().hasValue()", "unknown function", None),
        ("user.id.matches(user.name)", "not a fixed text", None),
        ("user.id.matches('(')", "a pattern that is none", Some("'('")),
        ("matches(user.id, '(')", "a pattern that is none", Some("'('")),
        ("1 + 1", "never true or false", None),
        ("'x'", "never true or false", Some("'x'")),
        ("[true]", "never true or false", None),
        ("size(user.roles)", "never true or false", None),
        ("user.email == 'a@b'", "whether it is verified", None),
        ("user.email.endsWith('@example.com')", "whether it is verified", None),
        ("Person{name: 'x'} == user.name", "an object of a type", None),
    ] {
        let mistake = refused(text);
        assert!(mistake.what.contains(words) && !mistake.remedy.is_empty(), "{text}: {mistake:?}");
        if let Some(at) = at {
            assert_eq!(mistake.part.map(|part| &text[part]), Some(at), "{text}");
        }
    }
}

#[test]
fn a_bomb_is_refused_before_it_is_parsed() {
    for bomb in [
        "(".repeat(1000) + &")".repeat(900),
        "[".repeat(MOST_BRACKETS + 1) + &"]".repeat(MOST_BRACKETS + 1),
        "true ? ".repeat(200) + "true",
        "a".repeat(LONGEST + 1),
        "{1:".repeat(300),
    ] {
        let mistake = refused(&bomb);
        assert!(mistake.what.contains("more than") || mistake.what.contains("longer than"), "{mistake:?}");
    }
}

#[test]
fn what_is_let_through_to_the_parser_does_not_overflow_it() {
    let fill = |unit: &str, end: &str| unit.repeat((LONGEST - end.len()) / unit.len()) + end;
    for text in [
        "(".repeat(MOST_BRACKETS) + "true" + &")".repeat(MOST_BRACKETS),
        "[".repeat(MOST_BRACKETS) + &"]".repeat(MOST_BRACKETS),
        "(".repeat(MOST_BRACKETS),
        "true?".repeat(MOST_BRACKETS) + "true" + &":true".repeat(MOST_BRACKETS),
        "true?true:".repeat(MOST_BRACKETS) + "true",
        fill("!", "true"),
        fill("-", "1"),
        fill("- ", "1"),
        fill("1+", "1"),
        fill("true&&", "true"),
        fill("1==", "1"),
        fill("claims.", "a"),
        fill("a.", "a"),
        fill("'a'", ""),
        fill("a ", "a"),
        fill(")", ""),
        fill("\"", ""),
        "user.id.map(".repeat(MOST_BRACKETS),
        "user.roles.exists(r,".repeat(MOST_BRACKETS) + "true" + &")".repeat(MOST_BRACKETS),
    ] {
        // Whether it is right is of no matter: it comes back, and what is deep is refused.
        if let Ok(rule) = parse(&text) {
            let question = Question {
                facts: &facts(),
                session: Some(&alice()),
                now: Timestamp::from_unix_seconds(1060),
            };
            let _ = rule.holds(&question);
        }
    }
    assert!(refused(&fill("1+", "1")).what.contains("deep"));
}

#[test]
fn what_is_as_deep_as_may_be_is_evaluated_on_the_stack_of_a_worker() {
    let sum = "1+".repeat(38) + "1 == 39";
    let choice = "user.id != 'alice' ? false : ".repeat(19) + "true";
    let list = "[".repeat(19) + &"]".repeat(19);
    for text in [sum, choice, format!("{list} == {list}"), "!".repeat(900) + "true"] {
        assert_eq!(asked(&text, Some(&alice())), Ok(true), "{text}");
    }
}

#[test]
fn what_could_take_long_is_refused() {
    let mistake = refused("user.groups.exists(a, user.roles.exists(b, a == b))");
    assert!(mistake.what.contains("steps"), "{mistake:?}");
    assert!(
        refused("(user.groups + user.roles).exists(a, user.roles.exists(b, a == b))").what.contains("steps")
    );
    let mut many = alice();
    many.identity.groups = (0..values::MOST_VALUES).map(|number| number.to_string()).collect();
    assert!(asked("'x' in user.groups", Some(&many)).is_err(), "with the role one too many");
    many.identity.groups.truncate(values::MOST_VALUES - 1);
    assert_eq!(asked("user.groups.exists(g, g == '9')", Some(&many)), Ok(true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\\n\u{e9}\u{1f600}]{0,80}") {
        if let Err(mistake) = parse(&text) {
            prop_assert!(!mistake.what.is_empty());
            prop_assert!(mistake.part.is_none_or(|part| text.get(part).is_some()));
        }
    }

    #[test]
    fn any_words_of_the_language_are_read_or_refused(words in prop::collection::vec(
        prop::sample::select(vec![
            "user", ".", "roles", "claims", "[", "]", "(", ")", "'x'", "in", "==", "&&", "||", "!", "exists", ",", "r",
            "?", ":", "1", "-", "has", "matches", "{", "}", "request.path", "null", "\"", "'''", "b'a'", "1u", "1e9",
        ]), 0..24)) {
        let text = words.join(" ");
        if let Ok(rule) = parse(&text) {
            let facts = facts();
            let alice = alice();
            let question = Question { facts: &facts, session: Some(&alice), now: Timestamp::from_unix_seconds(1) };
            let _ = rule.holds(&question);
        }
    }
}
