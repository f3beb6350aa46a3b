//! Who an app is told that somebody is (R15, R18, R72): people whose claims name somebody else.
//!
//! I own: claims that would make one person another, looked at where they would do it, in the headers of the upstream.

use super::house::setting::Setting;
use serde_json::{Value, json};

/// What the upstream was told about who came with a page load, or `None` when nobody was let in.
fn told(setting: &Setting, person: Value, names: &[&str]) -> Option<Vec<Option<String>>> {
    setting.provider.person(person);
    setting.upstream.forget();
    let mut browser = setting.browser();
    let page = browser.navigate("/");
    if !setting.is_signed_in(&browser, &page) {
        assert_eq!(setting.refused(&browser, &page), Ok(()));
        return None;
    }
    let head = setting.upstream.last().head;
    Some(names.iter().map(|name| head.header(name).map(str::to_owned)).collect())
}

fn by_email(trusting: bool) -> Setting {
    Setting::with(|plan| {
        plan.identity_extra("user_id = \"email\"");
        if trusting {
            plan.identity_extra("trust_unverified_email = true");
        }
    })
}

/// The e-mail address of somebody else, and what the provider says about it; `null` says nothing.
fn ceo(verified: Value) -> Value {
    json!({"sub": "mallory", "email": "ceo@corp.example", "email_verified": verified})
}

#[test]
fn r18_an_address_that_nobody_vouches_for_signs_nobody_in() {
    let setting = by_email(false);
    for verified in [json!(false), Value::Null, json!("true"), json!(1), json!([true])] {
        assert_eq!(told(&setting, ceo(verified.clone()), &["remote-user"]), None, "{verified}");
    }
    let absent = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("email_verified"));
    setting.provider.make_id_token(|f| f.without("email_verified"));
    setting.provider.bend_userinfo(absent);
    assert_eq!(told(&setting, ceo(json!(true)), &["remote-user"]), None, "absent");
    setting.provider.behave();
    let user = told(&setting, ceo(json!(true)), &["remote-user"]);
    assert_eq!(user, Some(vec![Some("ceo@corp.example".into())]), "vouched for");
}

#[test]
fn r18_an_operator_may_trust_addresses_that_nobody_vouches_for() {
    let setting = by_email(true);
    for verified in [json!(false), Value::Null, json!(true)] {
        let user = told(&setting, ceo(verified.clone()), &["remote-user", "remote-email"]);
        let expected = Some("ceo@corp.example".to_owned());
        assert_eq!(user, Some(vec![expected.clone(), expected]), "{verified}");
    }
}

#[test]
fn r18_an_address_that_is_known_to_be_unverified_is_left_out() {
    let setting = Setting::new();
    for (verified, email) in [(json!(false), None), (json!(true), Some("ceo@corp.example".to_owned()))] {
        let user = told(&setting, ceo(verified.clone()), &["remote-user", "remote-email"]);
        assert_eq!(user, Some(vec![Some("mallory".into()), email]), "{verified}");
    }
}

#[test]
fn r18_r72_a_user_id_with_white_space_at_an_end_is_nobodys() {
    let setting = Setting::with(|plan| plan.identity_extra("user_id = \"preferred_username\""));
    for name in [" root", "root ", "\u{a0}root", "root\u{3000}", "\troot", "root\n", " ", "", "root\u{2028}"]
    {
        assert_eq!(told(&setting, json!({"preferred_username": name}), &["remote-user"]), None, "{name:?}");
    }
    let user = told(&setting, json!({"preferred_username": "ro ot"}), &["remote-user"]);
    assert_eq!(user, Some(vec![Some("ro ot".into())]));
}

#[test]
fn r72_a_group_with_the_separator_in_its_name_is_not_two_groups() {
    let setting = Setting::new();
    for (groups, expected) in [
        (json!(["dept,admin"]), None),
        (json!(["dept,admin", "editor"]), Some("editor")),
        (json!("dept,admin"), None),
        (json!(["editor", "dept, admin"]), Some("editor")),
        (json!(["editor", "staff"]), Some("editor,staff")),
    ] {
        let groups_told = told(&setting, json!({"groups": groups}), &["remote-groups"]).expect("a login");
        assert_eq!(groups_told, [expected.map(str::to_owned)], "{groups}");
        let mut browser = setting.browser();
        let page = browser.navigate("/admin/x");
        assert_eq!(page.answer.status, 403, "{groups}: {}", page.way());
    }
}

#[test]
fn r15_a_map_of_roles_grants_what_it_affirms_and_nothing_else() {
    let setting = Setting::new();
    for denied in [
        json!(false),
        Value::Null,
        json!(0),
        json!(1),
        json!(""),
        json!("true"),
        json!([]),
        json!({}),
        json!(["x"]),
    ] {
        setting.provider.person(json!({"groups": {"admin": denied, "editor": true}}));
        setting.upstream.forget();
        let mut browser = setting.browser();
        let page = browser.navigate("/admin/x");
        assert_eq!((page.answer.status, setting.upstream.count()), (403, 0), "{denied}: {}", page.way());
        assert_eq!(browser.open("/editor/x").status, 200, "{denied}");
        assert_eq!(setting.upstream.last().head.header("remote-groups"), Some("editor"), "{denied}");
    }
    for granted in [json!(true), json!({"123": "corp.example"})] {
        setting.provider.person(json!({"groups": {"admin": granted}}));
        let page = setting.browser().navigate("/admin/x");
        assert_eq!(page.answer.status, 200, "{granted}: {}", page.way());
    }
}
