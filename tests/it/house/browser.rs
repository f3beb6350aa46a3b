//! A browser: cookies of its own, redirects across gateway and provider, and fetch metadata that tell the truth.
//!
//! I own: [`Browser`], [`Page`], [`Foreign`]. I may call: `raw` for the wire, `cookies` for the jar. I never send a
//! header that a browser would not send, unless a test hands it to me; `raw` is for the rest. Cookies go along with
//! cross-site requests too: the worst case, a browser that knows no SameSite.

use super::cookies::Jar;
use super::evidence;
use super::raw::{Answer, Connection};
use std::net::SocketAddr;
use url::Url;

const MANY: usize = 20;

/// Where a journey ended, and how it got there.
pub struct Page {
    pub url: Url,
    pub answer: Answer,
    /// Every answer on the way with the address that gave it, the last one included.
    pub trail: Vec<(Url, Answer)>,
}

impl Page {
    /// The addresses on the way, for messages.
    pub fn way(&self) -> String {
        let hop =
            |(url, answer): &(Url, Answer)| format!("{} {}", answer.status, &url[..url::Position::AfterPath]);
        self.trail.iter().map(hop).collect::<Vec<_>>().join(" -> ")
    }
}

/// Who sends a request that is not the gateway's own page.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    pub origin: &'static str,
    /// `Sec-Fetch-Site`.
    pub site: &'static str,
}

/// A page of another site.
pub const EVIL: Foreign = Foreign { origin: "https://evil.test", site: "cross-site" };
/// A page on a sibling host of the same registrable domain.
pub const SIBLING: Foreign = Foreign { origin: "https://other.example.test", site: "same-site" };
/// A sandboxed frame.
pub const SANDBOX: Foreign = Foreign { origin: "null", site: "cross-site" };

#[derive(Clone)]
pub struct Browser {
    pub jar: Jar,
    /// Sent with every request to the gateway: what a test adds.
    pub extra: Vec<(String, String)>,
    /// Whether it throws every cookie away at once.
    pub forgetful: bool,
    origin: Url,
    door: SocketAddr,
    /// An origin, and where it is reached without TLS.
    detour: Option<(Url, SocketAddr)>,
}

impl Browser {
    /// A browser without cookies, that finds the gateway's public `origin` behind `door`.
    pub fn new(origin: &str, door: SocketAddr) -> Self {
        Self {
            jar: Jar::default(),
            extra: Vec::new(),
            forgetful: false,
            origin: Url::parse(origin).unwrap(),
            door,
            detour: None,
        }
    }

    /// Reaches `origin` at `address` in the clear: this browser speaks no TLS.
    pub fn detour(&mut self, origin: &str, address: SocketAddr) {
        self.detour = Some((Url::parse(origin).unwrap(), address));
    }

    /// The gateway's address of a path, or any absolute URL.
    pub fn url(&self, target: &str) -> Url {
        self.origin.join(target).unwrap()
    }

    /// Types an address and follows every redirect.
    pub fn navigate(&mut self, target: &str) -> Page {
        self.travel(self.url(target), None, MANY)
    }

    /// Types an address and stays at the first answer.
    pub fn open(&mut self, target: &str) -> Answer {
        self.travel(self.url(target), None, 0).answer
    }

    /// Types an address and follows redirects until one leads to the gateway's callback; that URL is returned, unvisited.
    pub fn up_to_callback(&mut self, target: &str) -> Url {
        let mut url = self.url(target);
        for _ in 0..MANY {
            let page = self.travel(url.clone(), None, 0);
            let location =
                page.answer.header("location").unwrap_or_else(|| panic!("no redirect: {}", page.way()));
            url = url.join(location).unwrap();
            if url.origin() == self.origin.origin() && url.path().starts_with("/bff/callback") {
                return url;
            }
        }
        panic!("too many redirects, the last to {url}");
    }

    /// Follows a link on a page of `from`, and every redirect after it.
    pub fn follow_link(&mut self, from: &str, target: &str) -> Page {
        self.travel(self.url(target), Some(from), MANY)
    }

    /// What a script of the gateway's own origin does; redirects are not followed.
    pub fn fetch(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let origin = self.origin.origin().ascii_serialization();
        let mut all = vec![
            ("Accept", "*/*"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Dest", "empty"),
        ];
        if !matches!(method, "GET" | "HEAD") {
            all.push(("Origin", origin.as_str()));
        }
        all.extend_from_slice(headers);
        self.request(method, &self.url(target), &all, body)
    }

    /// A form of the gateway's own page, without following where the answer leads.
    pub fn post_form(&mut self, target: &str, body: &str) -> Answer {
        let origin = self.origin.origin().ascii_serialization();
        let headers = [
            ("Accept", "text/html,*/*;q=0.8"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
            ("Sec-Fetch-User", "?1"),
            ("Origin", origin.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        self.request("POST", &self.url(target), &headers, body.as_bytes())
    }

    /// A form of the gateway's own page, and wherever the answer leads.
    pub fn submit(&mut self, target: &str, body: &str) -> Page {
        let origin = self.origin.origin().ascii_serialization();
        let url = self.url(target);
        let answer = self.post_form(target, body);
        let next = answer.header("location").filter(|_| answer.status < 400).and_then(|to| url.join(to).ok());
        match next {
            Some(next) => self.travel(next, Some(&origin), MANY),
            None => Page { url: url.clone(), answer: answer.clone(), trail: vec![(url, answer)] },
        }
    }

    /// A request that a page of somebody else causes. `mode` and `dest` are its fetch metadata; `Origin` goes along
    /// where a browser sends it.
    pub fn foreign(&mut self, from: Foreign, method: &str, target: &str, mode: &str, dest: &str) -> Answer {
        let mut headers = vec![
            ("Accept", if mode == "navigate" { "text/html,*/*;q=0.8" } else { "*/*" }),
            ("Sec-Fetch-Site", from.site),
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest),
        ];
        if !matches!(method, "GET" | "HEAD") || mode == "cors" {
            headers.push(("Origin", from.origin));
        }
        if method == "POST" {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        self.request(method, &self.url(target), &headers, if method == "POST" { b"a=1" } else { b"" })
    }

    /// Exactly these headers, beside `Host`, cookies and framing.
    pub fn request(&mut self, method: &str, url: &Url, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let ours = url.origin() == self.origin.origin();
        let bytes = self.write(method, url, headers, body, ours);
        let mut connection =
            if ours { Connection::open(self.door) } else { Connection::to_stranger(self.address(url)) };
        connection.write(&bytes);
        let answer = connection.answer(method == "HEAD");
        let answer = answer.unwrap_or_else(|| panic!("no answer to {method} {url}"));
        for line in answer.all("set-cookie") {
            self.jar.receive(url, line);
            let (name, value) =
                line.split(';').next().and_then(|pair| pair.split_once('=')).unwrap_or_default();
            if ours && name.contains("keycard") {
                evidence::secret("cookie", value);
            }
        }
        if self.forgetful {
            self.jar.clear();
        }
        answer
    }

    /// The bytes of a request as this browser would send it.
    pub fn write(
        &self,
        method: &str,
        url: &Url,
        headers: &[(&str, &str)],
        body: &[u8],
        ours: bool,
    ) -> Vec<u8> {
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        head.push_str("User-Agent: Keycard-Test-Browser/1\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(cookies) = self.jar.header(url) {
            head.push_str(&format!("Cookie: {cookies}\r\n"));
        }
        for (name, value) in self.extra.iter().filter(|_| ours) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }

    fn address(&self, url: &Url) -> SocketAddr {
        let known = self.detour.as_ref().filter(|(origin, _)| origin.origin() == url.origin());
        known.map_or_else(|| resolve(url), |(_, address)| *address)
    }

    fn travel(&mut self, mut url: Url, from: Option<&str>, mut hops: usize) -> Page {
        let mut been = vec![url.clone()];
        let mut trail = Vec::new();
        loop {
            let mut headers = vec![
                ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
                ("Upgrade-Insecure-Requests", "1"),
                ("Sec-Fetch-Site", site(from, &been)),
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", "document"),
                ("Sec-Fetch-User", "?1"),
            ];
            let referer = from.map(|origin| format!("{origin}/"));
            headers.extend(referer.as_deref().map(|referer| ("Referer", referer)));
            let answer = self.request("GET", &url, &headers, b"");
            trail.push((url.clone(), answer.clone()));
            let next = matches!(answer.status, 301 | 302 | 303 | 307 | 308)
                .then(|| answer.header("location").and_then(|to| url.join(to).ok()))
                .flatten();
            match next {
                Some(next) if hops > 0 => {
                    hops -= 1;
                    been.push(next.clone());
                    url = next;
                }
                _ => return Page { url, answer, trail },
            }
        }
    }
}

/// `Sec-Fetch-Site` for a navigation through `been` (Fetch Metadata section 2.4): each address on the way counts.
fn site(from: Option<&str>, been: &[Url]) -> &'static str {
    let Some(from) = from.and_then(|origin| Url::parse(origin).ok()) else { return "none" };
    let domain = |url: &Url| {
        let host = url.host_str().unwrap_or_default().to_owned();
        let labels: Vec<&str> = host.rsplit('.').take(2).collect();
        (url.scheme().to_owned(), labels.join("."))
    };
    if been.iter().all(|url| url.origin() == from.origin()) {
        "same-origin"
    } else if been.iter().all(|url| domain(url) == domain(&from)) {
        "same-site"
    } else {
        "cross-site"
    }
}

fn resolve(url: &Url) -> SocketAddr {
    *url.socket_addrs(|| None).unwrap().first().unwrap_or_else(|| panic!("{url} leads nowhere"))
}
