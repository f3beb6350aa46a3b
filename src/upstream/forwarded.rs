//! Where a request came from, as an app hears it (R73).
//!
//! I own: `X-Forwarded-*`, `Forwarded` (RFC 7239) and `X-Script-Name`. I may call: `domain`, `headers` for the facts. I never repeat what
//! a stranger said about itself.

use crate::domain::policy::Permit;
use crate::upstream::headers::{ForwardedFacts, PeerTrust, set};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::net::IpAddr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_SCRIPT_NAME: HeaderName = HeaderName::from_static("x-script-name");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Adds what the route asks for.
pub(super) fn add(headers: &mut HeaderMap, facts: &ForwardedFacts, permit: &Permit) {
    let (route, origin) = (permit.route(), &permit.facts().origin);
    let peer = facts.peer.to_string();
    let chain = match &facts.trust {
        PeerTrust::Proxy { chain: Some(chain) } if HeaderValue::from_str(chain).is_ok() => {
            format!("{chain}, {peer}")
        }
        PeerTrust::Proxy { .. } | PeerTrust::Stranger => peer,
    };
    if route.legacy.forwarded.forwarded {
        set(headers, FORWARDED, &elements(&chain, origin.authority(), origin.scheme()));
    }
    if route.legacy.forwarded.x_forwarded {
        set(headers, X_FORWARDED_HOST, origin.authority());
        set(headers, X_FORWARDED_PROTO, origin.scheme());
        set(headers, X_FORWARDED_FOR, &chain);
        if route.legacy.base.is_some() {
            set(headers, X_FORWARDED_PREFIX, route.prefix.stem());
        }
    }
    if route.legacy.forwarded.script_name && route.legacy.base.is_some() {
        set(headers, X_SCRIPT_NAME, route.prefix.stem());
    }
}

/// One element for each hop; host and scheme are of the first, where the browser came in (RFC 7239 sections 4 and 7.4).
fn elements(chain: &str, host: &str, scheme: &str) -> String {
    let host = if host.contains([':', '[']) { format!("\"{host}\"") } else { host.to_owned() };
    let hops = chain.split(',').map(|hop| node(hop.trim())).enumerate();
    let element = |(at, node): (usize, String)| match at {
        0 => format!("for={node};host={host};proto={scheme}"),
        _ => format!("for={node}"),
    };
    hops.map(element).collect::<Vec<_>>().join(", ")
}

fn node(hop: &str) -> String {
    match hop.parse() {
        Ok(IpAddr::V4(address)) => address.to_string(),
        Ok(IpAddr::V6(address)) => format!("\"[{address}]\""),
        // RFC 7239 section 6.2: whoever wrote something else is not known.
        Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r73_forwarded_is_written_as_rfc_7239_has_it() {
        for (chain, host, expected) in [
            ("192.0.2.7", "a.test", "for=192.0.2.7;host=a.test;proto=https"),
            ("2001:db8::1", "a.test:8443", "for=\"[2001:db8::1]\";host=\"a.test:8443\";proto=https"),
            ("192.0.2.7, 10.0.0.1", "a.test", "for=192.0.2.7;host=a.test;proto=https, for=10.0.0.1"),
            ("x;host=evil.test, 10.0.0.1", "a.test", "for=unknown;host=a.test;proto=https, for=10.0.0.1"),
            (
                "\"_hidden\",,10.0.0.1",
                "a.test",
                "for=unknown;host=a.test;proto=https, for=unknown, for=10.0.0.1",
            ),
        ] {
            assert_eq!(elements(chain, host, "https"), expected);
        }
    }
}
