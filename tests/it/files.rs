//! An app that is nothing but files (issue 4 item 5; R58, R70, A29, A39).
//!
//! I own: a folder with an app, with what must not be seen beside and in it, and how a browser meets it.

use super::house::browser::Browser;
use super::house::raw::Answer;
use super::house::setting::Setting;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

const HASHED: &str = "assets/index-DiwrgT2a.js";

/// `dist` with an app, and a secret beside it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    for directory in ["dist/assets", "dist/docs", "dist/empty", "dist/.git"] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    for (file, text) in [
        ("dist/index.html", "<title>the app</title>"),
        ("dist/docs/index.html", "<title>docs</title>"),
        ("dist/assets/index-DiwrgT2a.js", "console.log('plain')"),
        ("dist/assets/index-DiwrgT2a.js.br", "brotli"),
        ("dist/assets/index-DiwrgT2a.js.gz", "gzip"),
        ("dist/report.pdf", "0123456789"),
        ("dist/no-ending", "<script>alert(1)</script>"),
        ("dist/caf\u{e9}.txt", "coffee"),
        ("dist/.env", "SECRET"),
        ("dist/.git/config", "SECRET"),
        ("secret", "SECRET"),
    ] {
        fs::write(at(file), text).unwrap();
    }
    symlink(at("secret"), at("dist/link.txt")).unwrap();
    symlink(folder.path(), at("dist/up")).unwrap();
    folder
}

fn setting(folder: &Path) -> Setting {
    Setting::with(|plan| {
        let dist = folder.join("dist").display().to_string();
        for (path, access, more) in [
            (
                "/app/",
                "signed-in",
                "fallback = \"index.html\"\ncache_control = { \"*.pdf\" = \"max-age=60\" }",
            ),
            ("/site/", "public", ""),
        ] {
            plan.route(&format!(
                "path = \"{path}\"\nupstream = \"file://{dist}\"\naccess = \"{access}\"\n{more}"
            ));
        }
    })
}

fn get(browser: &mut Browser, path: &str, headers: &[(&str, &str)]) -> Answer {
    browser.fetch("GET", path, headers, b"")
}

#[test]
fn a_page_and_what_belongs_to_it_are_served_to_whoever_is_signed_in() {
    let folder = folder();
    let setting = setting(folder.path());
    let mut nobody = setting.browser();
    assert_eq!(nobody.open("/app/").status, 302, "a permit is needed for files too");
    assert_eq!(get(&mut nobody, &format!("/app/{HASHED}"), &[]).status, 401);
    let mut browser = setting.signed_in();
    setting.upstream.forget();
    for (path, kind, cache, text) in [
        ("/app/", "text/html; charset=utf-8", "private, no-cache", "<title>the app</title>"),
        ("/app/docs/", "text/html; charset=utf-8", "private, no-cache", "<title>docs</title>"),
        (
            "/app/assets/index-DiwrgT2a.js",
            "text/javascript; charset=utf-8",
            "private, max-age=31536000, immutable",
            "console.log('plain')",
        ),
        ("/app/report.pdf", "application/pdf", "private, max-age=60", "0123456789"),
        ("/app/no-ending", "application/octet-stream", "private, no-cache", "<script>alert(1)</script>"),
        ("/app/caf%c3%a9.txt", "text/plain; charset=utf-8", "private, no-cache", "coffee"),
        ("/site/report.pdf", "application/pdf", "public, no-cache", "0123456789"),
        (
            "/site/assets/index-DiwrgT2a.js",
            "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable",
            "console.log('plain')",
        ),
    ] {
        let answer = get(&mut browser, path, &[]);
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(answer.header("cache-control"), Some(cache), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("content-length"), Some(text.len().to_string().as_str()), "{path}");
        assert!(answer.header("etag").is_some() && answer.header("last-modified").is_some(), "{path}");
        let vary = answer.all("vary").join(", ");
        assert!(vary.contains("Accept-Encoding"), "{path}: {vary}");
        assert_eq!(vary.contains("Cookie"), path.starts_with("/app/"), "{path}: {vary}");
    }
    assert_eq!(setting.upstream.count(), 0);
}

#[test]
fn a39_r58_nothing_on_a_guarded_route_is_for_shared_caches() {
    let folder = folder();
    let setting = setting(folder.path());
    let mut browser = setting.signed_in();
    for path in ["/app/", "/app/people/7", "/app/report.pdf", &format!("/app/{HASHED}"), "/app/gone.js"] {
        for headers in
            [&[][..], &[("Range", "bytes=0-1")], &[("Range", "bytes=999-")], &[("If-None-Match", "*")]]
        {
            let answer = get(&mut browser, path, headers);
            let cache = answer.header("cache-control").unwrap_or_default();
            assert!(cache.contains("private") || cache.contains("no-store"), "{path} {headers:?}: {cache}");
            assert!(!cache.contains("public") && !cache.contains("s-maxage"), "{path}: {cache}");
        }
    }
}

#[test]
fn the_fallback_is_for_navigations_and_never_for_what_a_page_needs() {
    let folder = folder();
    let setting = setting(folder.path());
    let mut browser = setting.signed_in();
    for path in ["/app/people/7", "/app/people/", "/app/assets/gone-DiwrgT2a.js", "/app/empty/"] {
        let page = browser.open(path);
        assert_eq!((page.status, page.text().as_str()), (200, "<title>the app</title>"), "{path}");
        assert_eq!(page.header("cache-control"), Some("private, no-cache"), "{path}");
        assert!(page.all("vary").join(", ").contains("Sec-Fetch-Mode"), "{path}");
        for dest in ["script", "style", "image", "empty", "serviceworker"] {
            let answer = get(&mut browser, path, &[("Sec-Fetch-Dest", dest)]);
            assert_eq!(answer.status, 404, "{path} as {dest}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
    // Without `fallback` a page that is not there is not there, and folders are never listed.
    for path in ["/site/people/7", "/site/empty/", "/site/assets/", "/site/assets"] {
        assert_eq!(browser.open(path).status, 404, "{path}");
    }
    // Relative links of an index lead beside the folder without the slash.
    for (path, location) in
        [("/app", "/app/"), ("/app/docs?x=1", "/app/docs/?x=1"), ("/site/docs", "/site/docs/")]
    {
        let answer = browser.open(path);
        assert_eq!((answer.status, answer.header("location")), (307, Some(location)), "{path}");
    }
}

#[test]
fn a29_r70_no_way_leads_out_of_the_folder_or_to_what_is_hidden() {
    let folder = folder();
    let setting = setting(folder.path());
    let mut browser = setting.signed_in();
    for path in [
        "/site/.env",
        "/site/.git/config",
        "/site/%2eenv",
        "/site/link.txt",
        "/site/up/secret",
        "/site/up/dist/report.pdf",
        "/site/../secret",
        "/site/..%2fsecret",
        "/site/%2e%2e/secret",
        "/site/%252e%252e/secret",
        "/site/docs/..%5c..%5csecret",
        "/site//etc/passwd",
        "/site/%2fetc%2fpasswd",
        "/site/etc/passwd",
        "/site/report.pdf%00.html",
        "/site/report.pdf/",
        "/site/report.pdf;x",
        "/site/REPORT.PDF",
        "/site/%c0%ae%c0%ae/secret",
    ] {
        let bytes =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", setting.gateway.host());
        let mut connection = super::house::raw::Connection::open(setting.gateway.address);
        connection.write(bytes.as_bytes());
        let answer = connection.answer(false).unwrap();
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(!answer.text().contains("SECRET") && !answer.text().contains("root:"), "{path}");
    }
    assert_eq!(get(&mut browser, "/site/report.pdf", &[]).status, 200);
}

#[test]
fn files_are_read_and_nothing_else() {
    let folder = folder();
    let setting = setting(folder.path());
    let mut browser = setting.signed_in();
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
        let answer = browser.fetch(method, "/app/index.html", &[], b"x=1");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let head = browser.fetch("HEAD", "/app/report.pdf", &[], b"");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("10"), 0));
    assert_eq!(fs::read_to_string(folder.path().join("dist/index.html")).unwrap(), "<title>the app</title>");
}

#[test]
fn what_a_browser_has_is_not_sent_again_and_parts_are_exact() {
    let folder = folder();
    let setting = setting(folder.path());
    let mut browser = setting.signed_in();
    let first = get(&mut browser, "/app/report.pdf", &[]);
    let (tag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    assert!(tag.starts_with('"'), "a strong tag: {tag}");
    for headers in [&[("If-None-Match", tag)][..], &[("If-Modified-Since", date)]] {
        let answer = get(&mut browser, "/app/report.pdf", headers);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{headers:?}");
        assert_eq!(answer.header("etag"), Some(tag));
        assert_eq!(answer.header("cache-control"), Some("private, max-age=60"));
    }
    for (headers, status, range, text) in [
        (&[("Range", "bytes=2-4")][..], 206, Some("bytes 2-4/10"), "234"),
        (&[("Range", "bytes=-2")], 206, Some("bytes 8-9/10"), "89"),
        (&[("Range", "bytes=2-4"), ("If-Range", tag)], 206, Some("bytes 2-4/10"), "234"),
        (&[("Range", "bytes=2-4"), ("If-Range", "\"other\"")], 200, None, "0123456789"),
        (&[("Range", "bytes=0-1,4-5")], 200, None, "0123456789"),
        (&[("Range", "bytes=10-")], 416, Some("bytes */10"), ""),
        (&[("If-Match", "\"other\"")], 412, None, ""),
    ] {
        let answer = get(&mut browser, "/app/report.pdf", headers);
        assert_eq!((answer.status, answer.text().as_str()), (status, text), "{headers:?}");
        assert_eq!(answer.header("content-range"), range, "{headers:?}");
    }
    // Another version, even one of the same length and date, is another version.
    let file = folder.path().join("dist/report.pdf");
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(&file, "abcdefghij").unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    let answer = get(&mut browser, "/app/report.pdf", &[("If-None-Match", tag)]);
    assert_eq!((answer.status, answer.text().as_str()), (200, "abcdefghij"));
}

#[test]
fn what_was_compressed_beforehand_is_sent_to_whoever_takes_it() {
    let folder = folder();
    let setting = setting(folder.path());
    let mut browser = setting.signed_in();
    let path = format!("/app/{HASHED}");
    let mut tags = Vec::new();
    for (accepted, coding, text) in [
        ("gzip, deflate, br, zstd", Some("br"), "brotli"),
        ("gzip;q=1, br;q=0.1", Some("gzip"), "gzip"),
        ("br;q=0, gzip;q=0", None, "console.log('plain')"),
        ("identity", None, "console.log('plain')"),
    ] {
        let answer = get(&mut browser, &path, &[("Accept-Encoding", accepted)]);
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{accepted}");
        assert_eq!(answer.header("content-encoding"), coding, "{accepted}");
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"), "{accepted}");
        tags.push(answer.header("etag").unwrap().to_owned());
    }
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[2] == tags[3], "{tags:?}");
}

/// Larger than any buffer on the way, and whole.
#[test]
fn r79_a_large_file_arrives_whole() {
    let folder = folder();
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(folder.path().join("dist/large.bin"), &large).unwrap();
    let setting = setting(folder.path());
    let mut browser = setting.signed_in();
    assert!(get(&mut browser, "/app/large.bin", &[]).body == large);
    let part = get(&mut browser, "/app/large.bin", &[("Range", "bytes=1000001-9000000")]);
    assert!(part.status == 206 && part.body == large[1_000_001..=9_000_000]);
}

#[test]
fn r82_a_folder_that_is_gone_is_an_error_and_no_missing_page() {
    let folder = folder();
    let setting = setting(folder.path());
    let mut browser = setting.signed_in();
    fs::rename(folder.path().join("dist"), folder.path().join("elsewhere")).unwrap();
    assert_eq!(get(&mut browser, "/app/", &[]).status, 502);
    assert_eq!(browser.open("/app/people/7").status, 502);
}
