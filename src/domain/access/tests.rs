//! Every kind of rule: holds, misses, and stays open while nobody is signed in.

use super::*;
use crate::domain::request::{self, Client};
use crate::domain::session::tests::session;

fn facts(method: Method, client: &str) -> RequestFacts {
    let client = client.parse::<std::net::IpAddr>().unwrap().into();
    RequestFacts { method, client, ..request::tests::facts() }
}

/// Alice: an editor, of the staff, at example.com, in ward 7.
fn alice() -> Session {
    let mut session = session();
    let text = |text: &str| ClaimValue::Text(text.into());
    session.identity.claims = [
        ("ward", ClaimValue::Integer(7)),
        ("units", ClaimValue::List(vec![text("a"), text("b")])),
        (
            "org",
            ClaimValue::Map(
                [("on".into(), ClaimValue::Bool(true)), ("off".into(), ClaimValue::Bool(false))].into(),
            ),
        ),
        ("trained", ClaimValue::Bool(true)),
        ("word", text("true")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    session
}

fn judged(rule: &Rule, session: Option<&Session>) -> &'static str {
    let facts = facts(Method::GET, "10.1.2.3");
    match rule.judge(&Question { facts: &facts, session, now: Timestamp::from_unix_seconds(1060) }) {
        Judgement::Holds => "holds",
        Judgement::NeedsPerson => "open",
        Judgement::Misses(denial) => denial.missing.code(),
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn roles(wanted: &[&str]) -> Rule {
    Rule::Roles(texts(wanted))
}

fn groups(wanted: &[&str]) -> Rule {
    Rule::Groups(texts(wanted))
}

fn claim(path: &str, wanted: ClaimValue) -> Rule {
    Rule::Claim(ClaimPath::parse(path).unwrap(), vec![ClaimValue::Text("other".into()), wanted])
}

fn text(text: &str) -> ClaimValue {
    ClaimValue::Text(text.into())
}

fn domain(domain: &str) -> Rule {
    Rule::EmailDomains(vec![
        EmailDomain::parse("other.example").unwrap(),
        EmailDomain::parse(domain).unwrap(),
    ])
}

fn network(network: &str) -> Rule {
    Rule::Networks(vec!["192.0.2.0/24".parse().unwrap(), network.parse().unwrap()])
}

/// An expression with a fixed answer.
#[derive(Debug)]
struct Says(Result<bool, &'static str>, bool);

impl Expression for Says {
    fn text(&self) -> &str {
        "says"
    }

    fn asks_for_person(&self) -> bool {
        self.1
    }

    fn claims(&self) -> &[ClaimPath] {
        &[]
    }

    fn holds(&self, _question: &Question<'_>) -> Result<bool, &'static str> {
        self.0
    }
}

fn says(answer: Result<bool, &'static str>, of_person: bool) -> Rule {
    Rule::Expression(Arc::new(Says(answer, of_person)))
}

#[test]
fn every_kind_of_rule_holds_misses_or_stays_open() {
    for (rule, nobody, somebody) in [
        (Rule::default(), "holds", "holds"),
        (roles(&["admin", "editor"]), "open", "holds"),
        (roles(&["admin", "Editor"]), "open", "role"),
        (roles(&["staff"]), "open", "role"),
        (groups(&["admins", "staff"]), "open", "holds"),
        (groups(&["editor"]), "open", "group"),
        (claim("ward", ClaimValue::Integer(7)), "open", "holds"),
        (claim("ward", text("7")), "open", "claim"),
        (claim("units", text("b")), "open", "holds"),
        (claim("units", text("c")), "open", "claim"),
        (claim("org", text("on")), "open", "holds"),
        (claim("org", text("off")), "open", "claim"),
        (claim("org.on", ClaimValue::Bool(true)), "open", "holds"),
        (claim("trained", ClaimValue::Bool(true)), "open", "holds"),
        (claim("word", ClaimValue::Bool(true)), "open", "claim"),
        (claim("nothing", ClaimValue::Null), "open", "claim"),
        (domain("example.com"), "open", "holds"),
        (domain("EXAMPLE.com"), "open", "holds"),
        (domain("example.org"), "open", "email-domain"),
        (domain("sub.example.com"), "open", "email-domain"),
        (network("10.0.0.0/8"), "holds", "holds"),
        (network("10.2.0.0/16"), "network", "network"),
        (network("::/0"), "network", "network"),
        (Rule::methods(vec![Method::GET]), "holds", "holds"),
        (Rule::methods(vec![Method::POST]), "method", "method"),
        (says(Ok(true), true), "open", "holds"),
        (says(Ok(false), true), "open", "rule"),
        (says(Err("why"), true), "open", "rule"),
        (says(Ok(true), false), "holds", "holds"),
        (says(Err("why"), false), "rule", "rule"),
    ] {
        assert_eq!(judged(&rule, None), nobody, "{rule}");
        assert_eq!(judged(&rule, Some(&alice())), somebody, "{rule}");
    }
}

#[test]
fn all_of_them_and_one_of_them() {
    let away = || network("10.2.0.0/16");
    let here = || network("10.0.0.0/8");
    let post = || Rule::methods(vec![Method::POST]);
    let (good, bad) = (|| roles(&["editor"]), || roles(&["admin"]));
    for (rule, nobody, somebody) in [
        (Rule::All(vec![good(), here()]), "open", "holds"),
        (Rule::All(vec![bad(), groups(&["x"])]), "open", "role"),
        (Rule::All(vec![groups(&["x"]), bad()]), "open", "group"),
        // An outsider learns of nothing but the network.
        (Rule::All(vec![bad(), post(), away()]), "network", "network"),
        (Rule::All(vec![bad(), post()]), "method", "method"),
        (Rule::Any(vec![away(), good()]), "open", "holds"),
        (Rule::Any(vec![here(), bad()]), "holds", "holds"),
        // Another account would help; another method or network would too, but that is not for everybody.
        (Rule::Any(vec![post(), bad()]), "open", "role"),
        (Rule::Any(vec![away(), post()]), "network", "network"),
        (Rule::Any(vec![away(), away()]), "network", "network"),
        (Rule::Any(vec![bad(), groups(&["x"])]), "open", "rule"),
        (Rule::Any(vec![bad(), bad()]), "open", "role"),
        (Rule::Any(vec![says(Err("why"), true), good()]), "open", "holds"),
        (Rule::Any(vec![Rule::All(vec![good(), bad()]), Rule::All(vec![here(), good()])]), "open", "holds"),
    ] {
        assert_eq!(judged(&rule, None), nobody, "{rule}");
        assert_eq!(judged(&rule, Some(&alice())), somebody, "{rule}");
    }
}

#[test]
fn a_rule_without_an_answer_says_so_to_the_log() {
    let facts = facts(Method::GET, "10.1.2.3");
    let question = Question { facts: &facts, session: None, now: Timestamp::from_unix_seconds(1) };
    let failed = |rule: Rule| match rule.judge(&question) {
        Judgement::Misses(denial) => denial.failed,
        _ => None,
    };
    assert_eq!(failed(says(Err("why"), false)), Some("why"));
    assert_eq!(failed(Rule::Any(vec![network("10.2.0.0/16"), says(Err("why"), false)])), Some("why"));
    assert_eq!(failed(says(Ok(false), false)), None);
}

#[test]
fn who_may_get_may_head_and_the_methods_are_named() {
    let missed = |rule: &Rule, method| {
        let facts = facts(method, "10.1.2.3");
        match rule.judge(&Question { facts: &facts, session: None, now: Timestamp::from_unix_seconds(1) }) {
            Judgement::Misses(Denial { missing: Missing::Method(allowed), .. }) => {
                Some(allowed.iter().map(Method::to_string).collect::<Vec<_>>())
            }
            _ => None,
        }
    };
    let reading = Rule::methods(vec![Method::GET]);
    assert_eq!(missed(&reading, Method::HEAD), None);
    assert_eq!(missed(&reading, Method::POST), Some(texts(&["GET", "HEAD"])));
    assert_eq!(missed(&Rule::methods(vec![Method::POST]), Method::HEAD), Some(texts(&["POST"])));
    let either = Rule::Any(vec![reading, Rule::methods(vec![Method::GET, Method::PUT])]);
    assert_eq!(missed(&either, Method::POST), Some(texts(&["GET", "HEAD", "PUT"])));
}

#[test]
fn r18_only_an_address_that_the_provider_has_verified_counts() {
    let with = |email: Option<&str>, email_verified| {
        let mut session = alice();
        (session.identity.email, session.identity.email_verified) =
            (email.map(str::to_owned), email_verified);
        judged(&domain("example.com"), Some(&session))
    };
    assert_eq!(with(Some("alice@example.com"), true), "holds");
    assert_eq!(with(Some("alice@Example.COM"), true), "holds");
    assert_eq!(with(Some("alice@example.com"), false), "email-domain");
    assert_eq!(with(None, true), "email-domain");
    for other in [
        "alice@evil.com@example.com",
        "alice@example.com@evil.com",
        "\"alice@x\"@example.com",
        "@example.com",
        "example.com",
        "alice@sub.example.com",
        "alice@notexample.com",
        "alice@example.com.evil.com",
        "alice@example.com.",
        "alice@example.com ",
        "alice@examp\u{fb01}e.com",
        "alice@",
        "",
    ] {
        assert_eq!(with(Some(other), true), "email-domain", "{other:?}");
    }
}

#[test]
fn domains_are_names_of_hosts() {
    for bad in [
        "",
        "com",
        ".example.com",
        "*.example.com",
        "@example.com",
        "a@example.com",
        "example.com.",
        "ex ample.com",
        "b\u{fc}cher.example",
    ] {
        assert!(EmailDomain::parse(bad).is_none(), "{bad}");
    }
    assert!(EmailDomain::parse("xn--bcher-kva.example").is_some());
}

#[test]
fn rules_are_readable() {
    let rule = Rule::All(vec![
        roles(&["a", "b"]),
        claim("ward", ClaimValue::Integer(7)),
        Rule::Any(vec![network("10.0.0.0/8"), domain("example.com"), groups(&["g"])]),
        Rule::methods(vec![Method::GET]),
        says(Ok(true), true),
    ]);
    assert_eq!(
        rule.to_string(),
        "role a or b and claim ward = other or 7 and (from 192.0.2.0/24 or 10.0.0.0/8 or verified e-mail at \
         other.example or example.com or group g) and method GET or HEAD and cel `says`"
    );
    assert!(rule.asks_for_person() && !Rule::default().asks_for_person());
    assert_eq!(rule.claims().len(), 1);
}

#[test]
fn r73_a_client_that_nobody_can_name_is_in_no_network() {
    let behind = Client::Behind("10.1.2.3".parse().unwrap());
    for net in ["10.0.0.0/8", "0.0.0.0/0", "::/0"] {
        let rule = Rule::Networks(vec![net.parse().unwrap()]);
        for (client, holds) in [(behind, false), (Client::Known(behind.sender()), net != "::/0")] {
            let facts = RequestFacts { client, ..facts(Method::GET, "10.1.2.3") };
            let question = Question { facts: &facts, session: None, now: Timestamp::from_unix_seconds(1060) };
            assert_eq!(matches!(rule.judge(&question), Judgement::Holds), holds, "{net} {client:?}");
        }
    }
}
