//! What browsers lose on their way through a sign-in, and what a route asks to keep of it.
//!
//! I own: [`Keep`], [`KeptForm`] and the rules of what can be kept. I may call: `return_to`, `time`, `url`. I never keep
//! what would come back as other bytes than were sent: half a form is worse than none.

use super::return_to::ReturnTo;
use super::time::Timestamp;
use std::time::Duration;
use url::form_urlencoded;

/// How long a form is good for, from the moment when it is kept: about as long as a sign-in may take.
pub const FORM_TIMEOUT: Duration = Duration::from_secs(600);

/// The most that a route may ask to keep, in bytes: all of it is held in memory for a stranger.
pub const MAX_FORM: u64 = 1024 * 1024;

/// The most fields of a form: each of them becomes an element of a page.
const MAX_FIELDS: usize = 1000;

/// The keys `keep_fragment` and `keep_post`. The default keeps nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Whether the fragment of an address is carried through the sign-in.
    pub fragment: bool,
    /// The longest form that is kept, in bytes; `None` for no form.
    pub form: Option<usize>,
}

/// A form that was sent without a session. No `Debug`: what people write is nobody's business.
#[derive(Clone)]
pub struct KeptForm {
    /// The origin that it was sent to, serialised.
    pub origin: String,
    /// The path and query that it was sent to.
    pub target: ReturnTo,
    /// Its bytes, `application/x-www-form-urlencoded`.
    pub body: String,
    /// When it was sent.
    pub kept: Timestamp,
    /// The pseudonym of the person who sent it, where a session said who that was.
    pub who: Option<String>,
}

/// Why a form was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// It is `multipart/form-data`: files could be in it.
    #[error("multipart/form-data is not kept")]
    Multipart,
    /// It is longer than the route keeps, or has too many fields.
    #[error("the form is larger than `route.keep_post`")]
    TooLarge,
    /// A page could not send it again with the same bytes.
    #[error("the form is not one that a page of UTF-8 sends")]
    Inexact,
}

/// The text of a form that a page can send again, byte for byte. What browsers make of hidden fields is judged here:
/// they write line breaks as CR LF, leave out fields without a name, and fill in `_charset_` themselves (HTML Standard,
/// "constructing the entry list").
///
/// # Errors
/// See [`NotKept`].
pub fn judge(body: Vec<u8>) -> Result<String, NotKept> {
    let body = String::from_utf8(body).map_err(|_| NotKept::Inexact)?;
    let fields = fields(&body);
    if fields.len() > MAX_FIELDS {
        return Err(NotKept::TooLarge);
    }
    let stays = |text: &str| !text.contains('\0') && !text.replace("\r\n", "").contains(['\r', '\n']);
    let sound = fields.iter().all(|(name, value)| {
        let filled_in = name.eq_ignore_ascii_case("_charset_") && value != "UTF-8";
        !name.is_empty() && !filled_in && stays(name) && stays(value)
    });
    let again = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    if sound && again == body { Ok(body) } else { Err(NotKept::Inexact) }
}

/// The fields of a form, decoded.
pub fn fields(body: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(body: &str) -> Result<String, NotKept> {
        judge(body.as_bytes().to_vec())
    }

    #[test]
    fn what_a_page_sends_is_kept_as_it_is() {
        for body in [
            "",
            "a=1",
            "a=&b=2&a=3",
            "title=%C3%A4%26%3D&text=one%0D%0Atwo+three*-._",
            "_charset_=UTF-8&x=1",
            "x=%3C%2Fform%3E%22%27",
        ] {
            assert_eq!(judged(body).as_deref(), Ok(body));
        }
    }

    #[test]
    fn what_would_come_back_changed_is_not_kept() {
        for body in [
            "a=%e4",
            "a=%E4",
            "a=%c3%A4",
            "a=b%20c",
            "a=one%0Atwo",
            "a=one%0Dtwo",
            "a%0A=1",
            "a=%00",
            "=1",
            "a",
            "a=1&",
            "a=1&&b=2",
            "_charset_=windows-1252",
            "_Charset_=x",
            "a=~",
        ] {
            assert_eq!(judged(body), Err(NotKept::Inexact), "{body}");
        }
        assert_eq!(judge(vec![0xff]), Err(NotKept::Inexact));
        assert_eq!(judged(&vec!["a=1"; MAX_FIELDS + 1].join("&")), Err(NotKept::TooLarge));
        assert!(judged(&vec!["a=1"; MAX_FIELDS].join("&")).is_ok());
    }
}
