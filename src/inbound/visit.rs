//! One request at the desk: what the door has read of it.
//!
//! I own: [`Visit`] and the [`Note`] that a response carries back for the access line. I may call: `domain`,
//! `language`. I never hold the session's ticket, which stays in the envelope; one that nobody has signed is no session's.

use super::language::Language;
use crate::domain::request::RequestFacts;
use crate::domain::secret::Binding;
use crate::domain::session::{SignInPlace, Ticket};
use std::sync::Arc;

/// A request as the door has read it.
#[derive(Clone)]
pub struct Visit {
    /// What policy may ask.
    pub facts: RequestFacts,
    /// The binding cookie.
    pub binding: Option<Binding>,
    /// A ticket under a signature that is none of ours. It is never anybody's session here.
    pub unproved: Option<Ticket>,
    /// The cookies of others, byte for byte.
    pub foreign_cookies: Vec<u8>,
    /// Form of errors, and the id to name in them.
    pub voice: Voice,
    /// The browser's description of itself.
    pub user_agent: String,
}

impl Visit {
    /// Where a sign-in of this visitor would come from.
    pub fn place(&self) -> SignInPlace {
        SignInPlace { address: self.facts.client.to_string(), user_agent: self.user_agent.clone() }
    }
}

/// How to speak to the sender of a request.
#[derive(Clone)]
pub struct Voice {
    /// A page rather than JSON.
    pub wants_page: bool,
    /// The language of pages.
    pub language: Language,
    /// The correlation id: in the log line, in the error, and in `X-Request-Id` for the upstream.
    pub request_id: Arc<str>,
}

/// What a response says to the access log.
#[derive(Clone, Default)]
pub struct Note {
    /// The route or endpoint that answered.
    pub route: String,
    /// What became of the request, in one word.
    pub outcome: &'static str,
    /// Why, if there is more to say; never a secret.
    pub cause: String,
    /// The pseudonym of the person, if one was identified.
    pub user: Option<String>,
}
