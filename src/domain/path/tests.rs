//! Spellings of paths: which are one, and which are refused.

use super::*;

fn canonical(raw: &str) -> Result<String, PathRefusal> {
    CanonicalPath::parse(raw).map(|path| path.0)
}

#[test]
fn a29_ambiguous_paths_are_refused() {
    use PathRefusal::*;
    for (raw, refusal) in [
        ("/public/..%2fadmin", EncodedDelimiter),
        ("/public/..%2Fadmin", EncodedDelimiter),
        ("/a%5cb", EncodedDelimiter),
        ("/%2e%2e/admin", EncodedDelimiter),
        ("/%2e/admin", EncodedDelimiter),
        ("/admin%00", EncodedDelimiter),
        ("/admin%0a", EncodedDelimiter),
        ("/a%252e%252e/b", EncodedDelimiter),
        ("/a%25252fb", EncodedDelimiter),
        ("/public/%25%32%65%25%32%65/admin", EncodedDelimiter),
        ("/a%25%32%66b", EncodedDelimiter),
        ("/%2525252525252525252525252541", EncodedDelimiter),
        ("//admin", EmptySegment),
        ("/a//b", EmptySegment),
        ("/a/../b", DotSegment),
        ("/a/.", DotSegment),
        ("/public/..%3b/admin", DotSegment),
        ("/public/..%3Bx=y/admin", DotSegment),
        ("/public/.%3b/admin", DotSegment),
        ("/public/..%253b/admin", EncodedDelimiter),
        ("/admin;/x", Delimiter),
        ("/a\\b", Delimiter),
        ("/a b", Delimiter),
        ("/a#b", Delimiter),
        ("*", NotAbsolute),
        ("", NotAbsolute),
        ("http://evil/", NotAbsolute),
        ("/%", BadEncoding),
        ("/%4", BadEncoding),
        ("/%zz", BadEncoding),
        ("/%+1", BadEncoding),
        ("/%c0%af", NotUtf8),
        ("/%e0%80%af", NotUtf8),
        ("/%ff", NotUtf8),
    ] {
        assert_eq!(canonical(raw), Err(refusal), "{raw}");
    }
}

#[test]
fn r70_one_spelling_for_one_path() {
    for (raw, expected) in [
        ("/", "/"),
        ("/%61dmin", "/admin"),
        ("/%7euser", "/~user"),
        ("/a%3ab", "/a%3Ab"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/50%25", "/50%25"),
        ("/x%2541", "/x%2541"),
        ("/a/", "/a/"),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/a..%3bb", "/a..%3Bb"),
        ("/..a%3b", "/..a%3B"),
        ("/{id}", "/%7Bid%7D"),
    ] {
        assert_eq!(canonical(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn r70_plain_or_encoded_a_path_is_judged_in_one_form() {
    for byte in 0x21..0x7f_u8 {
        // A slash is not one of two spellings: plain it parts segments, encoded it is refused.
        let Ok(plain) = CanonicalPath::parse(&format!("/a{}b", char::from(byte))) else { continue };
        if matches!(byte, b'/' | b'.' | b'%') {
            continue;
        }
        let encoded = CanonicalPath::parse(&format!("/a%{byte:02x}b")).unwrap();
        assert_eq!(encoded.judged(), plain.judged(), "{:?}", char::from(byte));
    }
    for (raw, expected) in [
        ("/mw/Special%3aUserRights", "/mw/Special:UserRights"),
        ("/od/%24batch", "/od/$batch"),
        ("/%7E%5Bx%5d%2c%2B", "/~[x],+"),
        ("/a%253Ab", "/a%253Ab"),
        ("/a%3Bb%20c", "/a%3Bb%20c"),
        ("/%C3%A9%3A", "/%C3%A9:"),
    ] {
        assert_eq!(CanonicalPath::parse(raw).unwrap().judged().as_str(), expected, "{raw}");
    }
    let slashes = CanonicalPath::parse_with_encoded_slashes("/od/admin%2Fx%3ay").unwrap();
    assert_eq!(slashes.judged().as_str(), "/od/admin/x:y");
}

#[test]
fn prefixes_match_whole_segments() {
    let path = |raw: &str| CanonicalPath::parse(raw).unwrap();
    for (raw, prefix, expected) in [
        ("/api", "/api", true),
        ("/api/x", "/api", true),
        ("/apix", "/api", false),
        ("/wiki", "/wiki/", true),
        ("/wiki/", "/wiki/", true),
        ("/", "/", true),
        ("/x", "/", true),
        ("/API", "/api", false),
    ] {
        assert_eq!(path(raw).is_under(prefix), expected, "{raw} {prefix}");
    }
}

#[test]
fn r70_a_prefix_is_stripped_and_replaced_by_whole_segments() {
    for (path, from, to, expected) in [
        ("/app/x", "/app/", "/", "/x"),
        ("/app/", "/app/", "/", "/"),
        ("/app", "/app/", "/", "/"),
        ("/app/x/", "/app", "/", "/x/"),
        ("/apple", "/app", "/", "/apple"),
        ("/app/x", "/app/", "/base/", "/base/x"),
        ("/app", "/app", "/base/", "/base/"),
        ("/app", "/app", "/base", "/base"),
        ("/app/x", "/app", "/base", "/base/x"),
        ("/x", "/", "/base", "/base/x"),
        ("/", "/", "/base/", "/base/"),
        ("/app/app/x", "/app/", "/", "/app/x"),
        ("/app/a%20b%C3%A9", "/app/", "/", "/a%20b%C3%A9"),
    ] {
        let parse = |text: &str| CanonicalPath::parse(text).unwrap();
        let moved = parse(path).moved(&parse(from), &parse(to));
        assert_eq!(moved.as_str(), expected, "{path}: {from} -> {to}");
        assert_eq!(CanonicalPath::parse(moved.as_str()), Ok(moved), "{path} stays canonical");
    }
}

#[test]
fn a29_an_encoded_slash_never_traverses() {
    use PathRefusal::*;
    let lenient = |raw: &str| CanonicalPath::parse_with_encoded_slashes(raw).map(|path| path.0);
    for (raw, refusal) in [
        ("/app/..%2fadmin", DotSegment),
        ("/app/x%2f..%2fadmin", DotSegment),
        ("/app/x%2F..", DotSegment),
        ("/app/x%2F.%2Fy", DotSegment),
        ("/app/%2e%2e%2fadmin", EncodedDelimiter),
        ("/app/x%2f%2e%2e", EncodedDelimiter),
        ("/app/x%252fy", EncodedDelimiter),
        ("/app/x%25252fy", EncodedDelimiter),
        ("/app/x%2fy%5cz", EncodedDelimiter),
        ("/app/x%2fy%00", EncodedDelimiter),
        ("/app/%2fevil.test", EmptySegment),
        ("/app/x%2f/y", EmptySegment),
        ("/app/x%2f", EmptySegment),
        ("/%2fevil.test", EmptySegment),
        ("/app/x%2fy;z", Delimiter),
        ("%2fapp", NotAbsolute),
    ] {
        assert_eq!(lenient(raw), Err(refusal), "{raw}");
    }
    for (raw, expected, plain) in [
        ("/api/group%2fproject", "/api/group%2Fproject", "/api/group/project"),
        ("/get/https%3a%2f%2Fx.test%2fy", "/get/https%3A%2F%2Fx%2Etest%2Fy", ""),
        ("/a/x%2F%2Fy", "/a/x%2F%2Fy", "/a/x/y"),
    ] {
        let expected = expected.replace("%2E", ".");
        assert_eq!(lenient(raw).as_ref(), Ok(&expected), "{raw}");
        let path = CanonicalPath(expected);
        assert!(plain.is_empty() || path.with_plain_slashes().as_str() == plain, "{raw}");
    }
    assert_eq!(canonical("/api/group%2fproject"), Err(EncodedDelimiter), "and only where it is asked for");
}

proptest::proptest! {
    #[test]
    fn r70_what_is_moved_is_canonical_and_what_lenient_readers_see_too(
        raw in "/(a|b|%2F|%2f|/|\\.|%25){0,12}",
        from in "/(a|b)?/?", to in "/(c|d)?/?",
    ) {
        let parse = |text: &str| CanonicalPath::parse(text);
        if let (Ok(path), Ok(from), Ok(to)) =
            (CanonicalPath::parse_with_encoded_slashes(&raw), parse(&from), parse(&to))
        {
            let moved = path.moved(&from, &to);
            proptest::prop_assert_eq!(
                CanonicalPath::parse_with_encoded_slashes(moved.as_str()), Ok(moved.clone()));
            let plain = path.with_plain_slashes();
            proptest::prop_assert_eq!(parse(plain.as_str()), Ok(plain.clone()));
        }
    }

    #[test]
    fn r70_canonical_paths_are_fixed_points(raw in "/([ -~]|%25|%32|%65|%66|2|e|f){0,30}") {
        if let Ok(once) = CanonicalPath::parse(&raw) {
            proptest::prop_assert_eq!(CanonicalPath::parse(once.as_str()), Ok(once.clone()));
        }
    }
}
