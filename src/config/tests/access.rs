//! The table of `access`: what it may say, and what it must not.

use super::{accepted, base_with, read, refused};
use crate::config::describe;
use crate::domain::access::Otherwise;
use crate::domain::route::{Access, Route};
use proptest::prelude::*;

fn route(access: &str) -> Route {
    let settings = accepted(&[("route", &format!("access = {access}"))]);
    settings.routes.iter().next().unwrap().as_ref().clone()
}

#[test]
fn the_table_says_what_the_words_say_and_more() {
    for (table, access, words) in [
        ("'signed-in'", Access::SignedIn, ""),
        ("{ who = 'public' }", Access::Public, ""),
        ("{ who = 'optional' }", Access::Optional, ""),
        ("{ who = 'signed-in' }", Access::SignedIn, ""),
        ("{ roles = 'a' }", Access::SignedIn, "role a"),
        ("{ roles = ['a', 'b'], groups = ['g'] }", Access::SignedIn, "role a or b and group g"),
        ("{ who = 'optional', roles = ['a'] }", Access::Optional, "role a"),
        (
            "{ who = 'public', methods = 'GET', networks = '10.0.0.0/8' }",
            Access::Public,
            "from 10.0.0.0/8 and method GET or HEAD",
        ),
        ("{ networks = ['192.0.2.7', 'fd00::/8'] }", Access::SignedIn, "from 192.0.2.7/32 or fd00::/8"),
        (
            "{ claims = { ward = [7, 8], 'a.b' = true, c = 'x' } }",
            Access::SignedIn,
            "claim a.b = true and claim c = x and claim ward = 7 or 8",
        ),
        ("{ email_domains = 'Example.com' }", Access::SignedIn, "verified e-mail at example.com"),
        (
            "{ any = [{ roles = 'a' }, { groups = 'g', methods = ['POST'] }] }",
            Access::SignedIn,
            "(role a or method POST and group g)",
        ),
        (
            "{ all = [{ any = [{ roles = 'a' }, { roles = 'b' }] }, { groups = 'g' }] }",
            Access::SignedIn,
            "(role a or role b) and group g",
        ),
        ("{ cel = 'user.id == \"x\"' }", Access::SignedIn, "cel `user.id == \"x\"`"),
        (
            "{ who = 'public', cel = 'request.path != \"/x\"' }",
            Access::Public,
            "cel `request.path != \"/x\"`",
        ),
    ] {
        let route = route(table);
        assert_eq!((route.access, route.conditions.rule.to_string().as_str()), (access, words), "{table}");
        assert_eq!(route.conditions.otherwise, Otherwise::Deny);
    }
    let again = route("{ roles = 'a', otherwise = 'sign-in-again' }");
    assert_eq!(again.conditions.otherwise, Otherwise::SignInAgain);
    let settings = accepted(&[("route", "access = { roles = 'a', otherwise = 'sign-in-again' }")]);
    assert!(describe(&settings, &[]).contains("signed-in, role a, else sign in again"));
}

#[test]
fn slips_in_the_table() {
    for (table, key, words) in [
        ("{ who = 'nobody' }", ".who", "must be one of"),
        ("{ who = 'public', roles = 'a' }", "", "asks for a person on a public route"),
        (
            "{ who = 'public', any = [{ networks = '10.0.0.0/8' }, { groups = 'a' }] }",
            "",
            "asks for a person",
        ),
        ("{ who = 'public', cel = 'user.id == \"x\"' }", "", "asks for a person"),
        ("{ otherwise = 'deny' }", "", "asks for nothing"),
        ("{ networks = '10.0.0.0/8', otherwise = 'sign-in-again' }", ".otherwise", "has no effect"),
        ("{ roles = 'a', otherwise = 'never' }", ".otherwise", "must be one of"),
        ("{ role = 'a' }", ".role", "unknown key"),
        ("{ groups = [] }", ".groups", "is empty"),
        ("{ groups = [7] }", ".groups[0]", "must be a string"),
        ("{ claims = {} }", ".claims", "is empty"),
        ("{ claims = 'ward' }", ".claims", "must be a table"),
        ("{ claims = { ward = [] } }", ".claims.ward", "is empty"),
        ("{ claims = { ward = 1.5 } }", ".claims.ward", "whole number"),
        ("{ claims = { ward = -1 } }", ".claims.ward", "whole number"),
        ("{ claims = { a.b = 'x' } }", ".claims.a", "is a table"),
        ("{ claims = { 'a..b' = 'x' } }", ".claims.a..b", "no path"),
        ("{ email_domains = '@example.com' }", ".email_domains", "not the domain"),
        ("{ email_domains = ['*.example.com'] }", ".email_domains[0]", "not the domain"),
        ("{ methods = 'get' }", ".methods", "no method"),
        ("{ methods = ['GET', 'TRACE'] }", ".methods[1]", "never forwarded"),
        ("{ methods = ['GET POST'] }", ".methods[0]", "no method"),
        ("{ networks = 'intranet' }", ".networks", "CIDR"),
        ("{ networks = '10.1.0.0/8' }", ".networks", "bits set"),
        ("{ networks = '::ffff:10.0.0.0/104' }", ".networks", "in the form of IPv6"),
        ("{ any = [] }", ".any", "is empty"),
        ("{ any = ['a'] }", ".any[0]", "must be a table"),
        ("{ any = [{ roles = 'a' }, {}] }", ".any[1]", "asks for nothing"),
        ("{ any = [{ who = 'public' }] }", ".any[0].who", "unknown key"),
        ("{ all = [{ any = [{ rolls = 'a' }] }] }", ".all[0].any[0].rolls", "unknown key"),
        ("{ cel = 7 }", ".cel", "must be a string"),
        ("{ cel = 'user.id ==' }", ".cel", "not an expression"),
        ("{ cel = '\"x\" in user.role' }", ".cel", "has no `role`"),
    ] {
        let bad = format!("access = {table}");
        let key = format!("route[0].access{key}");
        refused(&[("route", &bad)], &key, words);
    }
    let deep = (0..12).fold("{ roles = 'a' }".to_owned(), |inner, _| format!("{{ all = [{inner}] }}"));
    let shown = read(&base_with(&[("route", &format!("access = {deep}"))])).err().unwrap().to_string();
    assert!(shown.contains("nested more than 8 deep"), "{shown}");
}

#[test]
fn the_caret_stands_below_the_word_in_the_expression() {
    for (value, line, caret) in [
        ("'\"x\" in user.role'", 14, "user.role"),
        ("\"'x' in user.role\"", 14, "user.role"),
        ("'''\n  'x' in user.roles\n  && 'y' in user.role'''", 16, "user.role"),
    ] {
        let text = base_with(&[("route", &format!("access = {{ cel = {value} }}"))]);
        let problems = read(&text).err().unwrap();
        let problem = problems.iter().next().unwrap();
        let place = problem.place.unwrap();
        assert_eq!(place.line, line, "{problems}");
        let rest = &text.lines().nth(line - 1).unwrap()[place.column - 1..];
        assert!(rest.starts_with(caret), "{rest}\n{problems}");
        assert!(problems.to_string().contains(&"^".repeat(caret.len())), "{problems}");
    }
    // With escapes nobody can tell, so the whole value is meant.
    let text = base_with(&[("route", "access = { cel = \"\\\"x\\\" in user.role\" }")]);
    let problems = read(&text).err().unwrap();
    assert_eq!(problems.iter().next().unwrap().place.unwrap().column, 18, "{problems}");
}

#[test]
fn r18_claims_that_rules_read_are_kept_and_addresses_must_be_verifiable() {
    let settings = accepted(&[(
        "route",
        "access = { claims = { 'org.unit' = 'a' }, any = [{ cel = 'claims.ward == 7' }, { roles = 'x' }] }",
    )]);
    let kept: Vec<&str> = settings.identity.read_by_rules.iter().map(|path| path.as_str()).collect();
    assert_eq!(kept, ["org.unit", "ward"]);
    let text =
        base_with(&[("identity", "email = 'mail'"), ("route", "access = { email_domains = 'a.example' }")]);
    let shown = read(&text).err().unwrap().to_string();
    assert!(shown.contains("nobody's counts as verified"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a34_any_access_is_read_or_refused(words in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", "=", "who", "roles", "groups", "claims", "email_domains", "methods", "networks", "all",
        "any", "cel", "otherwise", "'a'", "'GET'", "'10.0.0.0/8'", "'user.id'", "'public'", "7", "true", "'a.b'", ".", "-1",
        "'request.path == \"/\"'", "'('", "''", "1979-05-27", "nan", "\"\\u0000\"",
    ]), 0..24)) {
        let _ = read(&base_with(&[("route", &format!("access = {}", words.join(" ")))]));
    }

    #[test]
    fn a34_any_value_of_any_requirement_is_read_or_refused(
        key in prop::sample::select(vec!["roles", "claims", "email_domains", "methods", "networks", "any", "cel", "who"]),
        text in "[^']{0,40}",
        nested in 0..3usize,
    ) {
        let value = (0..nested).fold(format!("'{text}'"), |inner, _| format!("[{inner}]"));
        let _ = read(&base_with(&[("route", &format!("access = {{ {key} = {value} }}"))]));
        let _ = read(&base_with(&[("route", &format!("access = {{ any = [{{ {key} = {{ x = {value} }} }}] }}"))]));
    }
}
