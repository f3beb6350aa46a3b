//! Forms that wait in the browser while somebody signs in.
//!
//! I own: the sealed form, the pass that lets one session send it, and the order of the checks. I may call: `domain`,
//! `keyring`, `ports`. I never write anything for a visitor who is not signed in, and never hand a form to anybody but
//! the browser that sent it and the session that came out of the sign-in that it waited for.

use super::login::Held;
use super::{Gateway, GatewayError, Outcome, Verdict};
use crate::domain::keep::{FORM_TIMEOUT, KeptForm};
use crate::domain::login::LoginId;
use crate::domain::request::RequestFacts;
use crate::domain::return_to::ReturnTo;
use crate::domain::route::Route;
use crate::domain::secret::Binding;
use crate::domain::session::{Session, Ticket};
use crate::domain::time::Timestamp;
use crate::keyring::{Purpose, new_binding, new_login_id, session_key};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// The length of [`Kept::id`] and of a pass, in characters.
pub const NAME_LENGTH: usize = 22;

/// A form on its way into the browser.
pub struct Kept {
    /// Its name, for the sign-in to come back to. Drawn like that of a login: the store takes both once.
    pub id: String,
    /// Its name and all of it, sealed, in base64url.
    pub sealed: String,
    /// The binding cookie to set, when the browser had none.
    pub new_binding: Option<Binding>,
}

/// Why a kept form is not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// There is no form, or what there is was changed, or was sealed for another browser.
    #[error("the form does not open for this browser")]
    NotOurs,
    /// The sign-in that it waited for made another session than the one that asks.
    #[error("the form waited for another sign-in")]
    OtherSession,
    /// It was sent by somebody else than who is signed in.
    #[error("the form was sent by another person")]
    OtherPerson,
    /// It is older than [`FORM_TIMEOUT`].
    #[error("the form has waited too long")]
    Expired,
    /// It was handed out before.
    #[error("the form was handed out before")]
    Used,
}

/// What becomes of a kept form.
pub enum Replay {
    /// The person may send it: ask them. The route is where it goes.
    Ask(KeptForm, Arc<Route>),
    /// It is not handed out.
    Lost(Lost),
    /// It is handed out to nobody here: they are not signed in, or may not go there.
    Stopped(Box<Verdict>),
}

impl Gateway {
    /// Seals a form for the browser that has sent it. Nothing is written anywhere.
    ///
    /// # Errors
    /// Without random numbers.
    pub fn keep_form(
        &self,
        facts: &RequestFacts,
        target: ReturnTo,
        body: String,
        session: Option<&Session>,
        binding: Option<&Binding>,
    ) -> Result<Kept, GatewayError> {
        let (binding, new_binding) = match binding {
            Some(binding) => (binding.clone(), None),
            None => {
                let fresh = new_binding()?;
                (fresh.clone(), Some(fresh))
            }
        };
        let id = new_login_id()?;
        let origin = facts.origin.as_str().to_owned();
        let who = session.map(|session| self.pseudonym(session));
        let form = KeptForm { origin, target, body, kept: self.clock.now(), who };
        let plain = write(&form);
        let sealed = self.keys.seal(Purpose::KeptForm, &salt(&binding, id), b"", plain.as_bytes())?;
        let sealed = URL_SAFE_NO_PAD.encode([id.0.as_slice(), &sealed].concat());
        Ok(Kept { id: URL_SAFE_NO_PAD.encode(id.0), sealed, new_binding })
    }

    /// The pass for a form that waited for the sign-in which made this session: it is of use to this session only.
    pub fn form_pass(&self, id: &str, ticket: &Ticket) -> String {
        let name = self.keys.name(Purpose::FormPass, &[id.as_bytes(), session_key(ticket).as_bytes()]);
        to_pass(&name)
    }

    fn is_pass(&self, pass: &str, id: &str, ticket: &Ticket) -> bool {
        let names = self.keys.names(Purpose::FormPass, &[id.as_bytes(), session_key(ticket).as_bytes()]);
        names.iter().any(|name| bool::from(to_pass(name).as_bytes().ct_eq(pass.as_bytes())))
    }

    /// Takes a form back out of its seal, once, for whoever may send it. `facts` are those of the request that brings it,
    /// which has been judged to come from a page of ours.
    ///
    /// # Errors
    /// [`GatewayError::Store`]; then the form is not used up.
    pub async fn replay(
        self: &Arc<Self>,
        facts: &RequestFacts,
        sealed: &str,
        pass: &str,
        held: &Held,
    ) -> Result<Replay, GatewayError> {
        let now = self.clock.now();
        let opened = held.binding.as_ref().and_then(|binding| self.open_form(sealed, binding));
        let Some((id, form)) = opened.filter(|(_, form)| form.origin == facts.origin.as_str()) else {
            return Ok(Replay::Lost(Lost::NotOurs));
        };
        let name = URL_SAFE_NO_PAD.encode(id.0);
        let Some(ticket) = held.ticket.as_ref().filter(|ticket| self.is_pass(pass, &name, ticket)) else {
            return Ok(Replay::Lost(Lost::OtherSession));
        };
        if now >= form.kept.plus(FORM_TIMEOUT) {
            return Ok(Replay::Lost(Lost::Expired));
        }
        // Asked as if the form were sent now: what policy would refuse then is not shown first.
        let asked = RequestFacts {
            path: form.target.path().clone(),
            query: form.target.query().map(str::to_owned),
            ..facts.clone()
        };
        let verdict = self.admit(&asked, Some(ticket)).await?;
        let (Outcome::Forward(permit), Some(session)) = (&verdict.outcome, &verdict.session) else {
            return Ok(Replay::Stopped(Box::new(verdict)));
        };
        if form.who.as_ref().is_some_and(|who| !self.is_pseudonym(who, session)) {
            return Ok(Replay::Lost(Lost::OtherPerson));
        }
        let route = Arc::clone(permit.route());
        if !self.store.take_once(id, now, FORM_TIMEOUT).await? {
            return Ok(Replay::Lost(Lost::Used));
        }
        Ok(Replay::Ask(form, route))
    }

    fn open_form(&self, sealed: &str, binding: &Binding) -> Option<(LoginId, KeptForm)> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (id, sealed) = bytes.split_first_chunk::<16>()?;
        let id = LoginId(*id);
        let (_, plain) = self.keys.open(Purpose::KeptForm, &salt(binding, id), b"", sealed).ok()?;
        Some((id, read(std::str::from_utf8(&plain).ok()?)?))
    }

    fn pseudonym(&self, session: &Session) -> String {
        let identity = &session.identity;
        self.keys.log_name(identity.issuer.as_str(), identity.subject.as_str())
    }

    /// Also one from before a change of keys.
    fn is_pseudonym(&self, name: &str, session: &Session) -> bool {
        let identity = &session.identity;
        self.keys.is_log_name(name, identity.issuer.as_str(), identity.subject.as_str())
    }
}

/// A key of its own for each form, and for each browser.
fn salt(binding: &Binding, id: LoginId) -> Vec<u8> {
    [id.0.as_slice(), binding.expose().as_bytes()].concat()
}

fn to_pass(name: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(&name[..16])
}

/// The plain form of what is sealed: four lines and the body. None of the four can hold a line break.
fn write(form: &KeptForm) -> String {
    let who = form.who.as_deref().unwrap_or_default();
    let (origin, target) = (&form.origin, form.target.to_location());
    format!("{origin}\n{}\n{who}\n{target}\n{}", form.kept.unix_millis(), form.body)
}

fn read(plain: &str) -> Option<KeptForm> {
    let mut lines = plain.splitn(5, '\n');
    let (origin, kept, who) = (lines.next()?, lines.next()?.parse().ok()?, lines.next()?);
    let (target, body) = (ReturnTo::parse(lines.next()?)?, lines.next()?);
    Some(KeptForm {
        origin: origin.to_owned(),
        target,
        body: body.to_owned(),
        kept: Timestamp::from_unix_millis(kept),
        who: (!who.is_empty()).then(|| who.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (who, location, body) in
            [(None, "/", ""), (Some("1f"), "/a?b=c", "a=1&b=%0D%0A"), (None, "/x", "a=b\nc")]
        {
            let form = KeptForm {
                origin: "https://apps.example.com".into(),
                target: ReturnTo::parse(location).unwrap(),
                body: body.into(),
                kept: Timestamp::from_unix_millis(5),
                who: who.map(str::to_owned),
            };
            let back = read(&write(&form)).unwrap();
            assert_eq!((back.origin, back.target), (form.origin, form.target));
            assert_eq!((back.body, back.kept, back.who), (form.body, form.kept, form.who));
        }
        assert!(read("https://a\n5\n\n//evil.com\nx").is_none());
        assert!(read("a\nb").is_none());
    }
}
