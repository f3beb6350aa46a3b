//! May this request act with the session that it carries? (R61, R62, A23)
//!
//! I own: [`CsrfMode`] and [`judge`]. I may call: `request`. I never let an absent header pass for a good one.

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

/// Judges a request that carries a session, on a route that is not public.
///
/// # Errors
/// When the request may have been sent by a page of another origin.
pub fn judge(facts: &RequestFacts, mode: CsrfMode) -> Result<(), CsrfRefusal> {
    if mode == CsrfMode::Off {
        return Ok(());
    }
    judge_source(facts)?;
    // A WebSocket handshake cannot carry a header of the page's choosing; its Origin was compared exactly above.
    let exempt = facts.kind == RequestKind::Navigation || facts.websocket;
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
        FetchSite::None if safe || facts.origin_header == OriginHeader::Own => Ok(()),
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
    use crate::domain::{origin::Origin, path::CanonicalPath};
    use std::sync::Arc;

    fn facts() -> RequestFacts {
        RequestFacts {
            origin: Arc::new(Origin::parse("https://apps.example.com").unwrap()),
            method: Method::POST,
            path: CanonicalPath::root(),
            query: None,
            site: FetchSite::Absent,
            kind: RequestKind::Script,
            to_document: false,
            origin_header: OriginHeader::Absent,
            referer: OriginHeader::Absent,
            csrf_header: false,
            websocket: false,
            client: [127, 0, 0, 1].into(),
        }
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
}
