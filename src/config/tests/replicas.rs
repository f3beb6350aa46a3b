//! A Redis with replicas: the URL of a master that sentinels know, their login, and what has to be confirmed.

use super::{accepted, base_with, read, refused};
use crate::config::{StoreSettings, WaitSettings, describe};
use secrecy::ExposeSecret as _;
use std::time::Duration;

#[test]
fn a_master_that_sentinels_know_is_named_in_the_url() {
    let keys = ("session", "keys = [{ env = 'K' }]");
    let read_as = |url: &str, more: &[(&str, &str)]| {
        let line = format!("store = '{url}'");
        let edits = [&[keys, ("session", line.as_str())], more].concat();
        let settings = accepted(&edits);
        let shown = describe(&settings, &[]);
        let StoreSettings::Redis(redis) = settings.session.store else { panic!("{url}") };
        (redis, shown)
    };
    let (redis, shown) =
        read_as("redis+sentinel://desk:s3cret%2Fpw@a:1,[::1],c.example.com/my-master.1/3", &[]);
    assert_eq!(redis.url.expose_secret(), "redis://desk:s3cret%2Fpw@master.invalid/3");
    let sentinel = redis.sentinel.unwrap();
    let addresses = [("a", 1), ("::1", 26379), ("c.example.com", 26379)];
    assert_eq!(sentinel.addresses, addresses.map(|(host, port)| (host.to_owned(), port)));
    assert_eq!((sentinel.master.as_str(), sentinel.user), ("my-master.1", None));
    assert_eq!(redis.wait, WaitSettings { replicas: None, at_most: Duration::from_millis(100) });
    let place = "redis+sentinel://a:1,[::1]:26379,c.example.com:26379/my-master.1 under keycard:";
    assert!(shown.contains(place) && !shown.contains("s3cret"), "{shown}");
    for words in ["is not encrypted", "finding the master at most", "a replica confirms"] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    let here = read_as("redis+sentinel://localhost,127.0.0.1:1/m", &[]).1;
    assert!(!here.contains("is not encrypted"), "{here}");

    let login = [
        ("session", "store_sentinel_user = 'watch'"),
        ("session", "store_sentinel_password = { env = 'K' }"),
        ("session", "store_wait = 0"),
    ];
    let (redis, shown) = read_as("rediss+sentinel://a/m", &login);
    assert_eq!(redis.url.expose_secret(), "rediss://master.invalid/0");
    assert_eq!(redis.sentinel.unwrap().user.as_deref(), Some("watch"));
    assert_eq!(redis.wait.replicas, Some(0));
    assert!(shown.contains("rediss+sentinel://a:26379/m") && shown.contains("may forget"), "{shown}");
    let two =
        read_as("redis://a", &[("session", "store_wait = 2"), ("session", "store_wait_timeout = '50ms'")]);
    assert!(two.1.contains("2 replicas confirm") && two.1.contains("50ms"), "{}", two.1);
}

#[test]
fn every_mistake_about_sentinels_is_told_and_no_password_with_it() {
    for (url, words) in [
        ("redis+sentinel://s3cret@a:1", "does not name the master"),
        ("redis+sentinel://:s3cret@a:1/", "does not name the master"),
        ("redis+sentinel:///m", "names no sentinel"),
        ("redis+sentinel://:s3cret@/m", "names no sentinel"),
        ("redis+sentinel://a:1,,b:2/m", "without a host"),
        ("redis+sentinel://a:0/m", "whose port is none"),
        ("redis+sentinel://a:65536/m", "whose port is none"),
        ("redis+sentinel://a:x/m", "whose port is none"),
        ("redis+sentinel://a b:1/m", "without a host"),
        ("redis+sentinel://a:1,a:1/m", "a sentinel twice"),
        ("redis+sentinel://a/m y", "no sentinel accepts"),
        ("redis+sentinel://a/m/x", "no number"),
        ("redis+sentinel://a/m/0/1", "no number"),
        ("redis+sentinel://a/m#insecure", "means nothing here"),
        ("rediss+sentinel://a/m?db=1", "means nothing here"),
    ] {
        let line = format!("store = '{url}'");
        let shown = refused(&[("session", &line)], "session.store", words);
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let line = ("session", "store = 'redis+sentinel://:s3cret@a:x,b:y/m y/z'");
    let Err(problems) = read(&base_with(&[line])) else { panic!("accepted") };
    let told = problems.iter().filter(|problem| problem.key == "session.store").count();
    assert_eq!(told, 4, "two ports, the name and the number: {problems}");

    let watched = ("session", "store = 'redis+sentinel://a/m'");
    let keys = ("session", "keys = [{ env = 'K' }]");
    refused(
        &[watched, keys, ("session", "store_sentinel_user = 'watch'")],
        "session.store_sentinel_user",
        "no password",
    );
    let password = ("session", "store_sentinel_password = { env = 'K' }");
    let plain = ("session", "store = 'redis://a'");
    refused(&[plain, keys, password], "session.store_sentinel_password", "never used");
    for (line, key, words) in [
        ("store_wait = -1", "store_wait", "from 0 to 16"),
        ("store_wait = 17", "store_wait", "from 0 to 16"),
        ("store_wait = 'auto'", "store_wait", "from 0 to 16"),
        ("store_wait_timeout = '6s'", "store_wait_timeout", "longer than 5 s"),
        ("store_wait_timeout = '0s'", "store_wait_timeout", "longer than zero"),
    ] {
        refused(&[watched, keys, ("session", line)], &format!("session.{key}"), words);
    }
}
