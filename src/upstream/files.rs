//! A folder of files as an upstream: an app that is nothing but files.
//!
//! I own: the answers for such a route, and [`reach`] for `keycard check`. I may call: `domain`, `headers`, `reply`.
//! I never answer without a permit, never list a folder, never hold a file whole, and never wait for a disk on a
//! worker's thread: every call that could is made on a thread of its own.
//!
//! `find` finds and opens, `coding` and `condition` read the request, `media` names content types, `body` streams.

pub(super) mod body;
mod coding;
mod condition;
mod find;
mod media;

use crate::domain::files::{FileSite, Wanted};
use crate::domain::policy::Permit;
use crate::domain::request::RequestKind;
use crate::domain::route::Access;
use crate::upstream::UpstreamError;
use crate::upstream::files::body::FileBody;
use crate::upstream::files::coding::Coding;
use crate::upstream::files::condition::{Validators, Verdict};
use crate::upstream::files::find::{Found, Served};
use crate::upstream::headers::{self, UpstreamHead};
use crate::upstream::reply::{ReplyBody, UpstreamReply};
use crate::upstream::rules::HeaderRules;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use std::sync::Arc;

const UNREADABLE: UpstreamError = UpstreamError::Unreachable("its folder or a file in it cannot be read");

/// Answers a permitted request from the folder of its route.
///
/// # Errors
/// [`UpstreamError::OnlyRead`] for anything but GET and HEAD, [`UpstreamError::NoSuchFile`], and
/// [`UpstreamError::Unreachable`] where the folder itself or a file that is there cannot be read.
pub(super) async fn serve(
    site: &FileSite,
    head: &UpstreamHead,
    permit: &Permit,
    rules: &HeaderRules,
) -> Result<UpstreamReply, UpstreamError> {
    let facts = permit.facts();
    if !matches!(facts.method, Method::GET | Method::HEAD) {
        return Err(UpstreamError::OnlyRead);
    }
    let wanted = Wanted::below(&permit.route().prefix, &facts.path);
    // Somebody who looks at a page of a single-page app is shown the app; a script that is gone is not a page.
    let fallback = site.fallback.clone().filter(|_| facts.kind == RequestKind::Navigation);
    let (root, codings) = (site.root.clone(), coding::accepted(&head.headers));
    let served = tokio::task::spawn_blocking(move || find::serve(&root, wanted, fallback, &codings))
        .await
        .map_err(|_| UNREADABLE)?
        .map_err(|error| {
            tracing::warn!(route = permit.route().name, %error, "a file or its folder cannot be read");
            UNREADABLE
        })?;
    let reply = match served {
        Served::Nothing => return Err(UpstreamError::NoSuchFile),
        Served::MissingSlash => to_folder(permit),
        Served::File(found) => answer(site, *found, &head.headers, permit),
    };
    let headers = headers::response_headers(&reply.headers, permit, rules);
    Ok(UpstreamReply { headers, ..reply })
}

/// Without its slash, relative links of an index would lead beside the folder. For now only: what is a folder today
/// may be a page tomorrow.
fn to_folder(permit: &Permit) -> UpstreamReply {
    let facts = permit.facts();
    // The judged path begins with exactly one slash, so this stays here.
    let mut location = format!("{}/", facts.path.as_str());
    if let Some(query) = &facts.query {
        location.push_str(&format!("?{query}"));
    }
    let mut headers = HeaderMap::new();
    set(&mut headers, header::LOCATION, &location);
    set(&mut headers, header::CACHE_CONTROL, "no-store");
    UpstreamReply {
        status: StatusCode::TEMPORARY_REDIRECT,
        headers,
        body: ReplyBody::of_file(None, 0, false),
    }
}

fn answer(site: &FileSite, found: Found, asked: &HeaderMap, permit: &Permit) -> UpstreamReply {
    let method = &permit.facts().method;
    let validators = Validators { tag: found.tag(), modified: found.modified, size: found.size };
    let mut headers = described(site, &found, &validators, permit);
    let verdict = condition::judge(asked, method, &validators);
    let (status, from, length) = match verdict {
        Verdict::Whole => (StatusCode::OK, 0, found.size),
        Verdict::Part { from, length } => {
            let range = format!("bytes {from}-{}/{}", from + length - 1, found.size);
            set(&mut headers, header::CONTENT_RANGE, &range);
            (StatusCode::PARTIAL_CONTENT, from, length)
        }
        Verdict::NotModified => {
            let body = ReplyBody::of_file(None, 0, true);
            // RFC 9110 section 15.4.5: nothing about a content that does not follow.
            for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::ACCEPT_RANGES] {
                headers.remove(name);
            }
            return UpstreamReply { status: StatusCode::NOT_MODIFIED, headers, body };
        }
        Verdict::Failed => return without_content(StatusCode::PRECONDITION_FAILED, HeaderMap::new()),
        Verdict::OutOfRange => {
            let mut headers = HeaderMap::new();
            set(&mut headers, header::CONTENT_RANGE, &format!("bytes */{}", found.size));
            return without_content(StatusCode::RANGE_NOT_SATISFIABLE, headers);
        }
    };
    let to_head = *method == Method::HEAD;
    let body = (!to_head).then(|| FileBody::new(Arc::new(found.file), from, length));
    UpstreamReply { status, headers, body: ReplyBody::of_file(body, length, to_head) }
}

fn without_content(status: StatusCode, mut headers: HeaderMap) -> UpstreamReply {
    set(&mut headers, header::CACHE_CONTROL, "no-store");
    UpstreamReply { status, headers, body: ReplyBody::of_file(None, 0, false) }
}

fn described(site: &FileSite, found: &Found, validators: &Validators, permit: &Permit) -> HeaderMap {
    let guarded = permit.route().access != Access::Public;
    let kind = media::of(&found.name);
    let cache = site.cache_control(&found.name, kind.starts_with("text/html"), guarded);
    let mut headers = HeaderMap::with_capacity(12);
    set(&mut headers, header::CONTENT_TYPE, kind);
    set(&mut headers, header::CACHE_CONTROL, &cache);
    set(&mut headers, header::ETAG, &validators.tag);
    set(&mut headers, header::LAST_MODIFIED, &condition::date(found.modified));
    set(&mut headers, header::ACCEPT_RANGES, "bytes");
    set(&mut headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // The fallback stands at addresses where a script would get a 404.
    let vary = if found.is_fallback { "Accept-Encoding, Sec-Fetch-Mode, Accept" } else { "Accept-Encoding" };
    set(&mut headers, header::VARY, vary);
    if let Some(coding) = found.coding.map(Coding::name) {
        set(&mut headers, header::CONTENT_ENCODING, coding);
    }
    headers
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// Whether the folder is there, and the fallback in it. Blocks: for `keycard check --connect`.
///
/// # Errors
/// What is wrong, without the path, which the caller has.
pub fn reach(site: &FileSite) -> Result<&'static str, &'static str> {
    let is_folder = std::fs::metadata(&site.root).map(|found| found.is_dir());
    match is_folder {
        Err(_) => return Err("there is no such folder, or this user may not look into it"),
        Ok(false) => return Err("this is no folder"),
        Ok(true) => {}
    }
    let Some(fallback) = &site.fallback else { return Ok("a folder") };
    match find::serve(&site.root, Some(fallback.clone()), None, &[]) {
        Ok(Served::File(_)) => Ok("a folder with its fallback"),
        Ok(Served::Nothing | Served::MissingSlash) => Err("its `fallback` is not there"),
        Err(_) => Err("its `fallback` cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_tells_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let site = FileSite { root: root.clone(), fallback: Wanted::parse("index.html"), cache: vec![] };
        assert_eq!(reach(&site), Err("its `fallback` is not there"));
        std::fs::write(root.join("index.html"), "x").unwrap();
        assert_eq!(reach(&site), Ok("a folder with its fallback"));
        assert_eq!(
            reach(&FileSite { root: root.join("index.html"), ..site.clone() }),
            Err("this is no folder")
        );
        assert!(reach(&FileSite { root: root.join("gone"), ..site }).is_err());
    }
}
