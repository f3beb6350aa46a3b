//! Names and values as browsers and clients send them, in a query or in a body.
//!
//! I own: [`Form`]. I may call: nothing. I never judge a value.

use url::form_urlencoded;

/// The pairs of an `application/x-www-form-urlencoded` text, decoded and in order.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a query or a body.
    pub fn parse(text: impl AsRef<[u8]>) -> Self {
        Self(form_urlencoded::parse(text.as_ref()).into_owned().collect())
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The first value of this name, or nothing in its place.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Whether a list of words, such as `prompt` or `scope`, has this one.
    pub fn has_word(&self, name: &str, word: &str) -> bool {
        self.text(name).split(' ').any(|other| other == word)
    }

    /// The text again, without the pairs of one name.
    pub fn text_without(&self, name: &str) -> String {
        let rest = self.0.iter().filter(|(n, _)| n != name);
        form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish()
    }
}
