//! `keep_fragment` and `keep_post` of `[[route]]`.
//!
//! I own: these two keys, and how they fit the others of a route. I may call: `cursor`, `domain`. I never keep anything
//! of a request on a route that does not ask.

use crate::config::cursor::{Reported, Section};
use crate::config::keys::{Key, Kind};
use crate::domain::keep::{Keep, MAX_FORM};

pub(super) const KEEP_FRAGMENT: Key = Key::with_default(
    "keep_fragment",
    Kind::Boolean,
    "false",
    "Whether a sign-in leads back to the part of an address behind `#`, too, as apps with routes there need it. Whoever has to sign in gets a small page with a script first; without scripts it leads on without that part.",
);

pub(super) const KEEP_POST: Key = Key::optional(
    "keep_post",
    Kind::Size,
    "The largest form that is kept while somebody has to sign in, at most 1MiB: sealed, in the browser, for ten minutes. Afterwards a page asks whether to send it. Only plain forms of our own pages, never uploads. Without it, a form that is sent without a session is lost.",
);

/// What the other keys of the route say, as far as it matters here.
pub(super) struct Around {
    /// Nobody ever signs in for this route.
    pub(super) public: bool,
    /// `csrf = "strict"`.
    pub(super) strict: bool,
    /// The route serves a folder.
    pub(super) folder: bool,
    /// `max_body`.
    pub(super) max_body: Option<u64>,
}

pub(super) fn read(section: &mut Section<'_>) -> (Result<bool, Reported>, Result<Option<u64>, Reported>) {
    let fragment = section.or("keep_fragment", false, |entry| entry.boolean());
    let form = section.may("keep_post", |entry| match super::size(entry)? {
        bytes if bytes > MAX_FORM => Err(entry.wrong(
            "is more than 1MiB: whole forms are held in memory, for people who are not signed in",
            "write less, such as \"64KiB\"",
        )),
        bytes => Ok(bytes),
    });
    (fragment, form)
}

pub(super) fn judge(
    section: &Section<'_>,
    (fragment, form): (Result<bool, Reported>, Result<Option<u64>, Reported>),
    around: &Around,
) -> Result<Keep, Reported> {
    let nobody = "has no effect on a public route: nobody is sent to the sign-in";
    let fragment = match fragment {
        Ok(true) if around.public => {
            Err(section.wrong("keep_fragment", nobody, "remove it, or change `access`"))
        }
        other => other,
    };
    let form = match form {
        Ok(Some(_)) if around.public => {
            Err(section.wrong("keep_post", nobody, "remove it, or change `access`"))
        }
        Ok(Some(_)) if around.strict => Err(section.wrong(
            "keep_post",
            "has no effect beside csrf = \"strict\": a form cannot carry the header `X-CSRF: 1`",
            "remove one of the two",
        )),
        Ok(Some(_)) if around.folder => {
            Err(section.wrong("keep_post", "has no effect on a folder: its files are only read", "remove it"))
        }
        Ok(Some(bytes)) if around.max_body.is_some_and(|most| bytes > most) => Err(section.wrong(
            "keep_post",
            "is more than `max_body`: the form could be kept and would then be refused",
            "write at most what `max_body` says",
        )),
        other => other,
    };
    let form = form?.and_then(|bytes| usize::try_from(bytes).ok());
    Ok(Keep { fragment: fragment?, form })
}
