//! May this request act with the session that it carries? (R61, R62, A23)
//!
//! I own: [`CsrfMode`] and [`judge`]. I may call: `cors`, `request`. I never let an absent header pass for a good one.

use super::cors::Cors;
use super::request::{FetchSite, OriginHeader, RequestFacts, RequestKind};
use http::Method;

/// How strictly a route defends itself: the key `csrf`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CsrfMode {
    /// `fetch-metadata`: the table of R62.
    #[default]
    FetchMetadata,
    /// `strict`: that, and `X-CSRF: 1` on everything that is not a navigation.
    Strict,
    /// `off`.
    Off,
}

/// Why a request was taken for a forgery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrfRefusal {
    /// It came from another site or from a sibling host.
    #[error("the request came from another origin")]
    ForeignOrigin,
    /// Nothing in it says where it came from.
    #[error("the request does not say where it came from: Sec-Fetch-Site, Origin and Referer are all absent")]
    NoEvidence,
    /// `strict` asks for a header that is missing.
    #[error("the header `X-CSRF: 1` is missing")]
    NoHeader,
}

/// Judges a request that carries a session, where only pages of our own may act.
///
/// # Errors
/// When the request may have been sent by a page of another origin.
pub fn judge(facts: &RequestFacts, mode: CsrfMode) -> Result<(), CsrfRefusal> {
    judge_across(facts, mode, None)
}

/// Judges a request that carries a session, on a route that is not public. A script of an origin that the route lists
/// under `cors` is as good as one of our own pages (R64): its browser has asked, or the method needs no asking.
///
/// # Errors
/// When the request may have been sent by a page that may not act.
pub fn judge_across(facts: &RequestFacts, mode: CsrfMode, cors: Option<&Cors>) -> Result<(), CsrfRefusal> {
    if mode == CsrfMode::Off {
        return Ok(());
    }
    let invited = !facts.websocket && cors.is_some_and(|cors| cors.allows(&facts.cors, &facts.method));
    if !invited {
        judge_source(facts)?;
    }
    // Neither a WebSocket handshake nor an EventSource can carry a header of the page's choosing. The Origin of the
    // first was compared exactly above. The second is a GET that many things could be; where no fetch metadata says
    // that it is ours, its Origin must (design, "CSRF").
    let source = facts.event_stream
        && (invited || facts.site == FetchSite::SameOrigin || facts.origin_header == OriginHeader::Own);
    let exempt = facts.kind == RequestKind::Navigation || facts.websocket || source;
    if mode == CsrfMode::Strict && !exempt && !facts.csrf_header {
        return Err(CsrfRefusal::NoHeader);
    }
    Ok(())
}

fn judge_source(facts: &RequestFacts) -> Result<(), CsrfRefusal> {
    if facts.websocket {
        // Cross-site WebSocket hijacking: exact Origin, whatever else is said (R65).
        return match facts.origin_header {
            OriginHeader::Own => Ok(()),
            OriginHeader::Foreign => Err(CsrfRefusal::ForeignOrigin),
            OriginHeader::Absent => Err(CsrfRefusal::NoEvidence),
        };
    }
    let safe = matches!(facts.method, Method::GET | Method::HEAD);
    let landing = safe && facts.kind == RequestKind::Navigation;
    match facts.site {
        FetchSite::SameOrigin if facts.origin_header != OriginHeader::Foreign => Ok(()),
        // Typed or from a bookmark; a page's Origin contradicts that.
        FetchSite::None if facts.origin_header == OriginHeader::Own => Ok(()),
        FetchSite::None if safe && facts.origin_header == OriginHeader::Absent => Ok(()),
        // A link from elsewhere may open a page, never act (R62): a document at top level, by GET.
        FetchSite::CrossSite | FetchSite::SameSite if landing && facts.to_document => Ok(()),
        FetchSite::SameOrigin | FetchSite::None | FetchSite::CrossSite | FetchSite::SameSite => {
            Err(CsrfRefusal::ForeignOrigin)
        }
        FetchSite::Absent => match (&facts.origin_header, &facts.referer) {
            (OriginHeader::Own, _) | (OriginHeader::Absent, OriginHeader::Own) => Ok(()),
            (OriginHeader::Foreign, _) => Err(CsrfRefusal::ForeignOrigin),
            (OriginHeader::Absent, OriginHeader::Foreign) if landing => Ok(()),
            (OriginHeader::Absent, OriginHeader::Foreign) => Err(CsrfRefusal::ForeignOrigin),
            (OriginHeader::Absent, OriginHeader::Absent) if landing || facts.csrf_header => Ok(()),
            (OriginHeader::Absent, OriginHeader::Absent) => Err(CsrfRefusal::NoEvidence),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cors::CorsRequest;
    use crate::domain::cors::tests::cors;
    use crate::domain::origin::Origin;
    use crate::domain::request;
    use std::sync::Arc;

    fn facts() -> RequestFacts {
        RequestFacts { method: Method::POST, site: FetchSite::Absent, ..request::tests::facts() }
    }

    /// R62, row by row: what the request says, and the answer in both modes.
    #[test]
    fn r62_table() {
        use CsrfRefusal::*;
        use FetchSite::*;
        use OriginHeader::{Absent as NoOrigin, Foreign, Own};
        use RequestKind::{Navigation, Script};
        type Row =
            (&'static str, FetchSite, RequestKind, bool, OriginHeader, OriginHeader, Result<(), CsrfRefusal>);
        let rows: Vec<(Method, Row)> = vec![
            (Method::POST, ("own fetch", SameOrigin, Script, false, Own, Own, Ok(()))),
            (Method::GET, ("own fetch without Origin", SameOrigin, Script, false, NoOrigin, Own, Ok(()))),
            (
                Method::POST,
                (
                    "same-origin but foreign Origin",
                    SameOrigin,
                    Script,
                    false,
                    Foreign,
                    Own,
                    Err(ForeignOrigin),
                ),
            ),
            (Method::GET, ("typed", None, Navigation, true, NoOrigin, NoOrigin, Ok(()))),
            (
                Method::POST,
                ("POST with site none", None, Script, false, NoOrigin, NoOrigin, Err(ForeignOrigin)),
            ),
            (Method::GET, ("link from elsewhere", CrossSite, Navigation, true, NoOrigin, Foreign, Ok(()))),
            (
                Method::GET,
                (
                    "framed from elsewhere",
                    CrossSite,
                    Navigation,
                    false,
                    NoOrigin,
                    Foreign,
                    Err(ForeignOrigin),
                ),
            ),
            (
                Method::GET,
                ("img from elsewhere", CrossSite, Script, false, NoOrigin, Foreign, Err(ForeignOrigin)),
            ),
            (
                Method::POST,
                ("form from elsewhere", CrossSite, Script, true, Foreign, Foreign, Err(ForeignOrigin)),
            ),
            (Method::GET, ("sibling link", SameSite, Navigation, true, NoOrigin, Foreign, Ok(()))),
            (Method::POST, ("sibling fetch", SameSite, Script, false, Foreign, Foreign, Err(ForeignOrigin))),
            (
                Method::GET,
                ("sibling fetch GET", SameSite, Script, false, NoOrigin, Foreign, Err(ForeignOrigin)),
            ),
            (Method::POST, ("old browser, own Origin", Absent, Script, false, Own, NoOrigin, Ok(()))),
            (
                Method::POST,
                ("old browser, null Origin", Absent, Script, false, Foreign, Own, Err(ForeignOrigin)),
            ),
            (Method::POST, ("old browser, own Referer", Absent, Script, false, NoOrigin, Own, Ok(()))),
            (
                Method::POST,
                (
                    "old browser, foreign Referer",
                    Absent,
                    Script,
                    false,
                    NoOrigin,
                    Foreign,
                    Err(ForeignOrigin),
                ),
            ),
            (Method::POST, ("nothing at all", Absent, Script, false, NoOrigin, NoOrigin, Err(NoEvidence))),
            (Method::GET, ("old browser opens a page", Absent, Navigation, true, NoOrigin, Foreign, Ok(()))),
            (
                Method::GET,
                ("old browser opens a bookmark", Absent, Navigation, true, NoOrigin, NoOrigin, Ok(())),
            ),
        ];
        for (method, (name, site, kind, to_document, origin_header, referer, expected)) in rows {
            let facts = RequestFacts { method, site, kind, to_document, origin_header, referer, ..facts() };
            assert_eq!(judge(&facts, CsrfMode::FetchMetadata), expected, "{name}");
            assert_eq!(judge(&facts, CsrfMode::Off), Ok(()), "{name}, off");
            let with_header = RequestFacts { csrf_header: true, ..facts.clone() };
            let strict = judge(&facts, CsrfMode::Strict);
            match expected {
                Ok(()) if kind == Script => assert_eq!(strict, Err(NoHeader), "{name}, strict"),
                same => assert_eq!(strict, same, "{name}, strict"),
            }
            if expected.is_ok() {
                assert_eq!(judge(&with_header, CsrfMode::Strict), Ok(()), "{name}, strict with the header");
            }
        }
    }

    #[test]
    fn r62_a_header_alone_counts_only_where_nothing_else_is_said() {
        let bare = RequestFacts { csrf_header: true, ..facts() };
        assert_eq!(judge(&bare, CsrfMode::FetchMetadata), Ok(()));
        let foreign = RequestFacts { site: FetchSite::CrossSite, ..bare };
        assert_eq!(judge(&foreign, CsrfMode::FetchMetadata), Err(CsrfRefusal::ForeignOrigin));
    }

    #[test]
    fn r61_websockets_need_the_exact_origin() {
        let socket =
            RequestFacts { method: Method::GET, websocket: true, site: FetchSite::SameOrigin, ..facts() };
        assert_eq!(judge(&socket, CsrfMode::FetchMetadata), Err(CsrfRefusal::NoEvidence));
        let own = RequestFacts { origin_header: OriginHeader::Own, ..socket.clone() };
        assert_eq!(judge(&own, CsrfMode::Strict), Ok(()));
        let foreign = RequestFacts { origin_header: OriginHeader::Foreign, ..socket };
        assert_eq!(judge(&foreign, CsrfMode::FetchMetadata), Err(CsrfRefusal::ForeignOrigin));
    }

    #[test]
    fn r61_strict_lets_an_event_source_of_ours_pass_without_the_header() {
        let source = RequestFacts { method: Method::GET, event_stream: true, ..facts() };
        for (site, origin_header, expected) in [
            (FetchSite::SameOrigin, OriginHeader::Absent, Ok(())),
            (FetchSite::Absent, OriginHeader::Own, Ok(())),
            (FetchSite::SameOrigin, OriginHeader::Foreign, Err(CsrfRefusal::ForeignOrigin)),
            (FetchSite::CrossSite, OriginHeader::Absent, Err(CsrfRefusal::ForeignOrigin)),
            (FetchSite::Absent, OriginHeader::Absent, Err(CsrfRefusal::NoEvidence)),
        ] {
            let facts = RequestFacts { site, origin_header, ..source.clone() };
            assert_eq!(judge(&facts, CsrfMode::Strict), expected, "{facts:?}");
        }
        // A Referer is enough to be believed, not to be excused.
        let told = RequestFacts { referer: OriginHeader::Own, ..source };
        assert_eq!(judge(&told, CsrfMode::Strict), Err(CsrfRefusal::NoHeader));
    }

    #[test]
    fn r64_a_listed_origin_is_as_good_as_our_own_and_no_better() {
        let request = |origin: &str, may_be_read| CorsRequest {
            origin: Origin::parse(origin).map(Arc::new),
            may_be_read,
            preflight: None,
        };
        let fetch = RequestFacts {
            method: Method::PUT,
            site: FetchSite::SameSite,
            origin_header: OriginHeader::Foreign,
            cors: request("https://app.example.com", true),
            ..facts()
        };
        let list = cors();
        let judged = |facts: &RequestFacts, mode| judge_across(facts, mode, Some(&list));
        assert_eq!(judged(&fetch, CsrfMode::FetchMetadata), Ok(()));
        assert_eq!(judged(&fetch, CsrfMode::Strict), Err(CsrfRefusal::NoHeader));
        let with_header = RequestFacts { csrf_header: true, ..fetch.clone() };
        assert_eq!(judged(&with_header, CsrfMode::Strict), Ok(()));
        for wrong in [
            RequestFacts { method: Method::DELETE, ..with_header.clone() },
            RequestFacts { cors: request("https://app.example.com", false), ..with_header.clone() },
            RequestFacts { cors: request("https://evil.com", true), ..with_header.clone() },
            RequestFacts { websocket: true, method: Method::GET, ..with_header.clone() },
        ] {
            assert_eq!(judged(&wrong, CsrfMode::Strict), Err(CsrfRefusal::ForeignOrigin), "{wrong:?}");
        }
        assert_eq!(judge(&with_header, CsrfMode::Strict), Err(CsrfRefusal::ForeignOrigin), "no list");
    }
}
