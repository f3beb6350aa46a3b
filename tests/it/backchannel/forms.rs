//! How a logout token arrives: the form, and nothing beside it (R83, A26).
//!
//! I own: requests that are wrong whatever token they carry, and right ones that look like an attack.

use super::{FORM, PATH, accepts, form, is_in, post, refuses, say, tell, two};
use crate::it::house::raw::{Connection, send};
use crate::it::house::setting::Setting;
use serde_json::json;

#[test]
fn r83_a26_only_a_form_with_exactly_one_token_is_read() {
    let setting = Setting::new();
    let mut browsers = two(&setting);
    let (address, host) = (setting.gateway.address, setting.gateway.host());
    let token = setting.provider.logout_forge().sign();
    let right = form(&token);
    let twice = format!("{right}&logout_token={token}");
    let json = json!({"logout_token": token}).to_string();
    let parts =
        format!("--x\r\nContent-Disposition: form-data; name=\"logout_token\"\r\n\r\n{token}\r\n--x--");
    let huge = format!("{right}&filler={}", "x".repeat(10 * 1024 * 1024));
    let large = format!("{right}&filler={}", "x".repeat(40 * 1024));
    let rows: [(&str, &str, &str); 13] = [
        ("a26 duplicate logout_token", FORM, &twice),
        ("a26 JSON body", "application/json", &json),
        ("a26 a form that says it is JSON", "application/json", &right),
        ("a26 JSON that says it is a form", FORM, &json),
        ("a26 multipart", "multipart/form-data; boundary=x", &parts),
        ("a26 text", "text/plain", &right),
        ("a26 no kind", "", &right),
        ("a26 a kind that begins alike", "application/x-www-form-urlencodedx", &right),
        ("a26 10 MiB", FORM, &huge),
        ("a26 40 KiB", FORM, &large),
        ("a26 empty", FORM, ""),
        ("a26 no token", FORM, "token=x"),
        ("a26 its name in capitals", FORM, &right.replace("logout_token", "Logout_Token")),
    ];
    for (name, kind, body) in rows {
        refuses(&post(address, host, PATH, kind, body.as_bytes()))
            .unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    refuses(&post(address, host, &format!("{PATH}?logout_token={token}"), FORM, b"")).expect("in the query");
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = format!(
            "{method} {PATH}?logout_token={token} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{right}",
            right.len()
        );
        let answer = send(address, request.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    let elsewhere = post(address, "evil.test", PATH, FORM, right.as_bytes());
    assert_eq!(elsewhere.status, 421);
    for path in ["/bff/backchannel-logout/", "/bff/backchannel-logout/corp/x", "/backchannel-logout"] {
        let status = post(address, host, path, FORM, right.as_bytes()).status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    refuses(&post(address, host, "/bff/backchannel-logout/nobody", FORM, right.as_bytes())).unwrap();
    assert_eq!(browsers.each_mut().map(is_in), [true; 2]);
    // None of that has used the token up.
    let kind = "application/x-www-form-urlencoded; charset=UTF-8";
    accepts(&post(address, host, PATH, kind, right.as_bytes())).unwrap();
    assert_eq!(browsers.each_mut().map(is_in), [false; 2]);
}

#[test]
fn r83_a_form_in_pieces_is_read_to_its_end() {
    let setting = Setting::new();
    let mut browsers = two(&setting);
    let body = form(&setting.provider.logout_forge().sign());
    let mut connection = Connection::open(setting.gateway.address);
    let host = setting.gateway.host();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    connection.write(head.as_bytes());
    for piece in body.as_bytes().chunks(100) {
        connection.write(format!("{:x}\r\n", piece.len()).as_bytes());
        connection.write(piece);
        connection.write(b"\r\n");
    }
    connection.write(b"0\r\n\r\n");
    accepts(&connection.answer(false).unwrap()).unwrap();
    assert_eq!(browsers.each_mut().map(is_in), [false; 2]);
}

#[test]
fn r83_neither_cookies_nor_where_it_comes_from_make_a_difference() {
    let setting = Setting::new();
    let mut alice = setting.signed_in();
    setting.provider.person(json!({"sub": "bob-0002"}));
    setting.provider.make_id_token(|f| f.with("sid", json!("bobs")));
    let mut bob = setting.signed_in();
    setting.provider.behave();
    let token = setting.provider.logout_forge().sign();
    let headers = [
        ("Content-Type", FORM),
        ("Origin", "https://evil.test"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Sec-Fetch-Dest", "empty"),
    ];
    let url = bob.url(PATH);
    let answer = bob.request("POST", &url, &headers, form(&token).as_bytes());
    accepts(&answer).unwrap();
    assert!(!is_in(&mut alice) && is_in(&mut bob), "whom it means, not who brings it");
}

#[test]
fn a26_nobody_is_signed_out_by_guessing() {
    let setting = Setting::new();
    let mut browsers = two(&setting);
    let body = "sid=provider-session-1&iss=x&sub=alice-0001&logout_token=";
    refuses(&post(setting.gateway.address, setting.gateway.host(), PATH, FORM, body.as_bytes())).unwrap();
    assert_eq!(browsers.each_mut().map(is_in), [true; 2]);
}

#[test]
fn r83_a26_a_token_is_heard_once() {
    let setting = Setting::new();
    let mut browsers = two(&setting);
    let mut forge = setting.provider.logout_forge();
    let token = forge.sign();
    accepts(&tell(&setting, &token)).unwrap();
    assert_eq!(browsers.each_mut().map(is_in), [false; 2]);
    let mut browsers = two(&setting);
    for _ in 0..3 {
        refuses(&tell(&setting, &token)).expect("jti replay");
    }
    // The name of the token counts, not its bytes; and it counts to the end of what its age allows.
    forge.claims["exp"] = json!(forge.now + 3600);
    refuses(&tell(&setting, &forge.sign())).expect("the same jti");
    setting.clock.advance(std::time::Duration::from_secs(299));
    refuses(&tell(&setting, &forge.sign())).expect("the same jti, five minutes later");
    assert_eq!(browsers.each_mut().map(is_in), [true; 2]);
    accepts(&say(&setting, |f| f.sign())).expect("another jti");
    assert_eq!(browsers.each_mut().map(is_in), [false; 2]);
}
