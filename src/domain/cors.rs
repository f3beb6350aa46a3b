//! Which pages of other origins may call a route (R64, A24).
//!
//! I own: [`Cors`], what a request says about it ([`CorsRequest`]), and the two judgements on that. I may call:
//! `origin`, `http`. I never match an origin by anything but its whole text: no pattern, no suffix, no `null`.

use super::origin::Origin;
use http::{HeaderName, Method};
use std::sync::Arc;
use std::time::Duration;

/// The exact list of a route: the key `cors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// The origins whose pages may call; never empty.
    pub origins: Vec<Origin>,
    /// The methods that they may use; never empty.
    pub methods: Vec<Method>,
    /// The headers that they may send besides those that every page may (Fetch section 2.2.2).
    pub headers: Vec<HeaderName>,
    /// The headers of an answer that they may read besides those that every page may.
    pub expose: Vec<HeaderName>,
    /// How long a browser may remember the answer to a preflight.
    pub max_age: Duration,
}

/// What a request says about the page that caused it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsRequest {
    /// `Origin`, if there is exactly one and it is an origin in serialised form; `null` is none.
    pub origin: Option<Arc<Origin>>,
    /// Whether the page may read the answer: `Sec-Fetch-Mode: cors`, or no such header. A form and an image cannot, and
    /// are no use of this list.
    pub may_be_read: bool,
    /// What a preflight asks for.
    pub preflight: Option<Box<Preflight>>,
}

/// A CORS preflight (Fetch section 4.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// `Access-Control-Request-Method`.
    pub method: String,
    /// The names in `Access-Control-Request-Headers`; `None` where one of them is no name.
    pub headers: Option<Vec<HeaderName>>,
}

impl Cors {
    /// The origin of the page, if it is listed.
    pub fn listed<'r>(&self, request: &'r CorsRequest) -> Option<&'r Origin> {
        request.origin.as_deref().filter(|origin| self.origins.contains(origin))
    }

    /// Whether a request comes from a script of a listed origin, by a listed method.
    pub fn allows(&self, request: &CorsRequest, method: &Method) -> bool {
        request.may_be_read && self.listed(request).is_some() && self.methods.contains(method)
    }

    /// Whether a preflight may be answered with yes. Our own `X-CSRF` is always among the headers: a list that forgot
    /// it would shut out everybody whom `csrf = "strict"` asks for it.
    pub fn permits(&self, request: &CorsRequest) -> bool {
        let Some(preflight) = &request.preflight else { return false };
        let known = |name: &HeaderName| name == "x-csrf" || self.headers.contains(name);
        self.listed(request).is_some()
            // Methods are compared as they are: only the common ones are ever upper-cased by a browser.
            && self.methods.iter().any(|method| method.as_str() == preflight.method)
            && preflight.headers.as_ref().is_some_and(|headers| headers.iter().all(known))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One origin, two methods, one header.
    pub(crate) fn cors() -> Cors {
        Cors {
            origins: vec![Origin::parse("https://app.example.com").unwrap()],
            methods: vec![Method::GET, Method::PUT],
            headers: vec![HeaderName::from_static("content-type")],
            expose: vec![],
            max_age: Duration::from_secs(600),
        }
    }

    fn from(origin: &str) -> CorsRequest {
        CorsRequest { origin: Origin::parse(origin).map(Arc::new), may_be_read: true, preflight: None }
    }

    #[test]
    fn r64_a24_origins_are_compared_whole() {
        assert!(cors().listed(&from("https://app.example.com")).is_some());
        for other in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.com",
            "https://evilapp.example.com",
            "https://x.app.example.com",
            "https://example.com",
            "null",
            "",
        ] {
            assert!(cors().listed(&from(other)).is_none(), "{other}");
        }
    }

    #[test]
    fn r64_a_preflight_is_permitted_as_a_whole_or_not_at_all() {
        let asks = |method: &str, headers: Option<&[&'static str]>| CorsRequest {
            preflight: Some(Box::new(Preflight {
                method: method.to_owned(),
                headers: headers.map(|names| names.iter().map(|n| HeaderName::from_static(n)).collect()),
            })),
            ..from("https://app.example.com")
        };
        for (method, headers, expected) in [
            ("PUT", Some(&[][..]), true),
            ("PUT", Some(&["content-type", "x-csrf"]), true),
            ("PUT", Some(&["content-type", "x-other"]), false),
            ("PUT", None, false),
            ("DELETE", Some(&[]), false),
            ("put", Some(&[]), false),
        ] {
            assert_eq!(cors().permits(&asks(method, headers)), expected, "{method} {headers:?}");
        }
        assert!(!cors().permits(&from("https://app.example.com")), "no preflight at all");
    }

    #[test]
    fn r61_what_a_page_cannot_read_is_no_use_of_the_list() {
        let listed = from("https://app.example.com");
        assert!(cors().allows(&listed, &Method::PUT));
        assert!(!cors().allows(&listed, &Method::DELETE));
        assert!(!cors().allows(&CorsRequest { may_be_read: false, ..listed }, &Method::PUT));
        assert!(!cors().allows(&from("https://evil.com"), &Method::PUT));
    }
}
