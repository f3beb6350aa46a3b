//! Which compressed form of a file a client takes.
//!
//! I own: [`Coding`] and the reading of `Accept-Encoding` (RFC 9110 section 12.5.3). I may call: `http`. I never
//! compress anything: what is not there beforehand is sent as it is.

use http::header::{self, HeaderMap};

/// A content coding, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// As in `Content-Encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What the sibling's name ends with.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }
}

/// The codings that a client takes, in its order, and in ours where it has none. Those that it likes less than the
/// plain file are not among them.
pub(super) fn accepted(headers: &HeaderMap) -> Vec<Coding> {
    let texts = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let wishes: Vec<(String, u16)> = texts.flat_map(|text| text.split(',')).filter_map(wish).collect();
    let named = |name: &str| wishes.iter().find(|(wished, _)| wished == name).map(|(_, weight)| *weight);
    let anything = named("*");
    let plain = named("identity").unwrap_or(0);
    let mut codings: Vec<(Coding, u16)> = Coding::ALL
        .into_iter()
        .filter_map(|coding| Some((coding, named(coding.name()).or(anything)?)))
        .filter(|(_, weight)| *weight > 0 && *weight >= plain)
        .collect();
    // Stable: equals stay in our order.
    codings.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    codings.into_iter().map(|(coding, _)| coding).collect()
}

/// One item with its weight in thousandths; a malformed weight makes the item void.
fn wish(item: &str) -> Option<(String, u16)> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let name = if name == "x-gzip" { "gzip".to_owned() } else { name };
    match (parts.next(), parts.next()) {
        (None, _) => Some((name, 1000)),
        (Some(parameter), None) => {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then_some(())?;
            Some((name, weight(value.trim())?))
        }
        _ => None,
    }
}

/// `0`, `0.5`, `1.000` (RFC 9110 section 12.4.2).
fn weight(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u16 = if digits { format!("{part:0<3}").parse().ok()? } else { return None };
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn weights_decide_then_our_own_order() {
        for (text, expected) in [
            ("", ""),
            ("gzip, deflate, br, zstd", "br zstd gzip"),
            ("gzip;q=1.0, br;q=0.5", "gzip br"),
            ("br;q=0, gzip", "gzip"),
            ("*", "br zstd gzip"),
            ("*;q=0.1, gzip", "gzip br zstd"),
            ("*;q=0", ""),
            ("gzip, *;q=0", "gzip"),
            ("identity, gzip;q=0.5", ""),
            ("identity;q=0.5, gzip", "gzip"),
            ("BR ; Q=0.001", "br"),
            ("br;q=2, gzip;q=x, zstd;q=0.5555", ""),
            ("br;q=0.5;x=1, x-gzip", "gzip"),
            (",, br", "br"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(text));
            let names: Vec<&str> = accepted(&headers).into_iter().map(Coding::name).collect();
            assert_eq!(names.join(" "), expected, "{text}");
        }
        assert!(accepted(&HeaderMap::new()).is_empty());
    }
}
