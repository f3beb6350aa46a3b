//! The headers that tell an app who is there.
//!
//! I own: [`IdentityHeader`], [`IdentitySource`] and [`Template`], from an identity to a text. I may call: `claim`,
//! `identity`. I never make half a text: what is missing makes the whole header absent (R72). How a text becomes the
//! bytes of a header is for `upstream`.

use super::claim::ClaimPath;
use super::identity::Identity;
use http::HeaderName;

/// One header that tells an upstream who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeader {
    /// The header's name.
    pub name: HeaderName,
    /// Where its value comes from.
    pub source: IdentitySource,
    /// How it is made into bytes.
    pub style: HeaderStyle,
}

/// How the identity headers of a route are written: the keys `header_encoding` and `header_separator`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderStyle {
    /// How characters become bytes.
    pub encoding: Encoding,
    /// What stands between the items of a list; never empty, printable ASCII.
    pub separator: String,
}

impl Default for HeaderStyle {
    fn default() -> Self {
        Self { encoding: Encoding::Utf8, separator: ",".to_owned() }
    }
}

/// How the characters of a value become the bytes of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    #[default]
    Utf8,
    /// What is not printable ASCII, and `%` itself, as percent triplets of its UTF-8 bytes (RFC 3986 section 2.1).
    Percent,
    /// Encoded words (RFC 2047) where something is not ASCII.
    Rfc2047,
    /// Always in base64 of its UTF-8 bytes, with padding (RFC 4648 section 4).
    Base64,
}

/// A part of an [`Identity`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// [`Identity::user_id`].
    UserId,
    /// [`Identity::name`].
    Name,
    /// [`Identity::email`].
    Email,
    /// [`Identity::roles`], joined.
    Roles,
    /// A kept claim; a list is joined.
    Claim(ClaimPath),
    /// Several of these, and text around them.
    Template(Template),
}

impl IdentitySource {
    /// Reads the word of a configuration: `user_id`, `name`, `email`, `roles` or `claim:path`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "user_id" => Self::UserId,
            "name" => Self::Name,
            "email" => Self::Email,
            "roles" => Self::Roles,
            other => Self::Claim(ClaimPath::parse(other.strip_prefix("claim:")?)?),
        })
    }

    /// The text for the header; `None` when the person has no such thing, or when it holds a control character or
    /// white space at an end, which would arrive as another text; then the header is absent (R72).
    pub fn value(&self, identity: &Identity, separator: &str) -> Option<String> {
        let text = match self {
            Self::UserId => Some(identity.user_id.clone()),
            Self::Name => identity.name.clone(),
            Self::Email => identity.email.clone(),
            Self::Roles => Some(joined(identity.roles.iter().cloned(), separator)),
            Self::Claim(path) => path.find(&identity.claims).map(|value| joined(value.to_texts(), separator)),
            Self::Template(template) => template.value(identity, separator),
        };
        text.filter(|text| is_sound(text))
    }

    /// The claims that it reads.
    pub fn claims(&self) -> Vec<&ClaimPath> {
        match self {
            Self::UserId | Self::Name | Self::Email | Self::Roles => Vec::new(),
            Self::Claim(path) => vec![path],
            Self::Template(template) => template.claims(),
        }
    }
}

/// Whether a text arrives as it was sent: not empty, no control character, no white space that a reader trims away.
pub fn is_sound(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control)
}

/// A list in one header. An item that holds the separator would reach the app as two, the second of anybody's
/// choosing; it is left out.
pub fn joined(items: impl IntoIterator<Item = String>, separator: &str) -> String {
    let mark = if separator.trim().is_empty() { separator } else { separator.trim() };
    let is_whole = |item: &String| !item.is_empty() && !item.contains(mark);
    items.into_iter().filter(is_whole).collect::<Vec<_>>().join(separator)
}

/// Text with places for values, such as `CORP\{claim:samaccountname}`. `{{` and `}}` stand for the braces themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(IdentitySource),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// A brace without its partner.
    #[error("has a brace without its partner")]
    Unbalanced,
    /// What stands in the braces is no source.
    #[error("has `{{{0}}}`, which is no source that Keycard knows")]
    NoSource(String),
    /// A control character, or white space at an end.
    #[error("has a control character, or white space at an end")]
    Unsound,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// See [`BadTemplate`].
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        if !is_sound(text) {
            return Err(BadTemplate::Unsound);
        }
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut rest = text.chars().peekable();
        while let Some(next) = rest.next() {
            match next {
                '{' | '}' if rest.next_if_eq(&next).is_some() => plain.push(next),
                '}' => return Err(BadTemplate::Unbalanced),
                '{' => {
                    let mut word = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(BadTemplate::Unbalanced),
                            Some(inner) => word.push(inner),
                        }
                    }
                    let Some(source) = IdentitySource::parse(&word) else {
                        return Err(BadTemplate::NoSource(word));
                    };
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Value(source));
                }
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// The text for a person; `None` when one of its values is missing.
    pub fn value(&self, identity: &Identity, separator: &str) -> Option<String> {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Value(source) => source.value(identity, separator),
        };
        self.0.iter().map(piece).collect::<Option<String>>().filter(|text| is_sound(text))
    }

    /// The claims that it reads.
    pub fn claims(&self) -> Vec<&ClaimPath> {
        self.0
            .iter()
            .flat_map(|piece| match piece {
                Piece::Value(source) => source.claims(),
                Piece::Text(_) => Vec::new(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::claim::ClaimValue;
    use crate::domain::session::tests::session;

    fn person() -> Identity {
        let mut person = session().identity;
        let list = ClaimValue::List(["a", "b,c", "d"].map(|item| ClaimValue::Text(item.into())).to_vec());
        person.claims.insert("groups".into(), list);
        person.claims.insert("samaccountname".into(), ClaimValue::Text("alice.l".into()));
        person
    }

    #[test]
    fn r72_an_item_with_the_separator_does_not_become_two() {
        let items = || ["staff".to_owned(), "dept,admin".into(), String::new(), "x".into()];
        assert_eq!(joined(items(), ","), "staff,x");
        assert_eq!(joined(items(), ", "), "staff, x");
        assert_eq!(joined(items(), ";"), "staff;dept,admin;x");
        assert_eq!(joined(["a b".to_owned(), "c".into()], " "), "c");
    }

    #[test]
    fn templates_are_filled_or_absent_as_a_whole() {
        let value = |text: &str| Template::parse(text).unwrap().value(&person(), ";");
        for (template, expected) in [
            ("{email}", Some("alice@example.com")),
            ("{user_id}", Some("alice")),
            ("CORP\\{claim:samaccountname}", Some("CORP\\alice.l")),
            ("{{{user_id}}}", Some("{alice}")),
            ("cn={user_id},groups={claim:groups}", Some("cn=alice,groups=a;b,c;d")),
            ("constant", Some("constant")),
            ("{email} {claim:nobody}", None),
            ("{claim:nobody}", None),
        ] {
            assert_eq!(value(template).as_deref(), expected, "{template}");
        }
        let mut eve = person();
        eve.name = Some("Eve\r\nX-Admin: 1".into());
        assert_eq!(Template::parse("x {name}").unwrap().value(&eve, ","), None);
    }

    #[test]
    fn templates_that_cannot_be_meant_are_refused() {
        for (text, why) in [
            ("{email", BadTemplate::Unbalanced),
            ("email}", BadTemplate::Unbalanced),
            ("{em{ail}", BadTemplate::Unbalanced),
            ("{mail}", BadTemplate::NoSource("mail".into())),
            ("{}", BadTemplate::NoSource(String::new())),
            ("{claim:}", BadTemplate::NoSource("claim:".into())),
            (" {email}", BadTemplate::Unsound),
            ("{email}\r\nX: y", BadTemplate::Unsound),
            ("", BadTemplate::Unsound),
        ] {
            assert_eq!(Template::parse(text), Err(why), "{text}");
        }
        let template = Template::parse("{claim:a.b} {user_id} {claim:c}").unwrap();
        let read: Vec<&str> = template.claims().iter().map(|path| path.as_str()).collect();
        assert_eq!(read, ["a.b", "c"]);
    }
}
