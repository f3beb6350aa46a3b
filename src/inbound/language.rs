//! Which language a page speaks.
//!
//! I own: [`Language`] and its choice by `Accept-Language` (RFC 9110 section 12.5.4). I may call: nobody. I never hold a
//! text: those are in `words`.

use actix_web::http::header::{self, HeaderMap};

/// A language that every page can speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English: what everybody gets who asks for nothing that we speak.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// The language tag (BCP 47), for `lang` and `Content-Language`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The one that the sender likes best of those that we speak.
    pub fn of(headers: &HeaderMap) -> Self {
        let ranges: Vec<(&str, u16)> = headers
            .get_all(header::ACCEPT_LANGUAGE)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(range)
            .collect();
        let mut best = (0, Self::default());
        // Who names no order means the order of naming, so the first of equals wins; `*` counts for the default.
        for (primary, quality) in &ranges {
            let language = match *primary {
                "*" => Some(Self::default()),
                named => Self::ALL.into_iter().find(|language| named.eq_ignore_ascii_case(language.tag())),
            };
            if let Some(language) = language
                && *quality > best.0
            {
                best = (*quality, language);
            }
        }
        best.1
    }
}

/// A language range as its first subtag and its quality in thousandths: the country is no matter to us (RFC 4647
/// section 3.4). `None` for what cannot be read.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let primary = parts.next()?.split('-').next().filter(|primary| !primary.is_empty())?;
    let quality = match parts.next() {
        None => 1000,
        Some(weight) => thousandths(weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?)?,
    };
    Some((primary, quality))
}

/// A quality value, RFC 9110 section 12.4.2.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let sound =
        matches!(whole, "0" | "1") && fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    let value: u16 = format!("{whole}{fraction:0<3}").parse().ok()?;
    (sound && value <= 1000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn the_language_that_is_liked_best_is_spoken() {
        for (header, expected) in [
            ("", "en"),
            ("de", "de"),
            ("DE", "de"),
            ("de-AT", "de"),
            ("de-CH-1996, en;q=0.9", "de"),
            ("en-GB, de;q=0.9", "en"),
            ("en;q=0.8, de;q=0.9", "de"),
            ("en;q=0.8 , de ; q=0.801", "de"),
            ("de, en", "de"),
            ("en, de", "en"),
            ("fr, de;q=0.5, en;q=0.4", "de"),
            ("fr, it;q=0.5", "en"),
            ("*", "en"),
            ("*, de;q=0.5", "en"),
            ("de;q=0", "en"),
            ("de;q=0, *;q=0.1", "en"),
            ("den, dede, d", "en"),
            ("de;q=2, en;q=0.1", "en"),
            ("de;q=0.1234", "en"),
            ("de;q=-1", "en"),
            ("de;q=", "en"),
            ("de;level=1", "en"),
            (";;,,;q=1,-", "en"),
        ] {
            let request = TestRequest::get().insert_header(("accept-language", header)).to_http_request();
            assert_eq!(Language::of(request.headers()).tag(), expected, "{header:?}");
        }
        let several = TestRequest::get()
            .append_header(("accept-language", "fr"))
            .append_header(("accept-language", "de;q=0.3"))
            .to_http_request();
        assert_eq!(Language::of(several.headers()), Language::German);
        assert_eq!(Language::of(TestRequest::get().to_http_request().headers()), Language::English);
    }
}
