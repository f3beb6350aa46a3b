//! Who may redeem codes here.
//!
//! I own: [`Client`] and how it proves itself at the token endpoint (RFC 6749 section 2.3). I may call: `form`. I never
//! take two proofs at once, nor one that is half right.

use super::Refusal;
use super::form::Form;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

/// A registered client.
#[derive(Clone)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// Where it wants to be told that somebody is gone (`backchannel_logout_uri`), below its origin.
    pub logout_path: Option<String>,
}

impl Client {
    /// Whether a token request comes from this client; `authorization` is the header of that name.
    ///
    /// # Errors
    /// When it does not.
    pub fn authenticate(&self, authorization: Option<&str>, form: &Form) -> Result<(), Refusal> {
        let known = presented(authorization, form).is_some_and(|(id, secret)| {
            id == self.id && bool::from(secret.as_bytes().ct_eq(self.secret.as_bytes()))
        });
        let why = "client authentication failed";
        if known { Ok(()) } else { Err(Refusal { status: 401, error: "invalid_client", why }) }
    }
}

/// The id and the secret of a request: by exactly one method.
fn presented(authorization: Option<&str>, form: &Form) -> Option<(String, String)> {
    let posted = form.get("client_id").zip(form.get("client_secret"));
    let Some(header) = authorization else {
        return posted.map(|(id, secret)| (id.to_owned(), secret.to_owned()));
    };
    let pair = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    if form.get("client_secret").is_some() {
        return None;
    }
    // application/x-www-form-urlencoded, each part by itself.
    let decoded = |text: &str| Form::parse(format!("v={text}")).get("v").map(str::to_owned);
    decoded(id).zip(decoded(secret))
}
