//! The provider as one replica sees it.
//!
//! I own: [`Door`]. I may call: `domain`, `ports`, and the book. I never decide what is right: the book does.

use super::{End, Family, Idp, Waiting, rules};
use crate::domain::identity::{Identity, Issuer, Subject};
use crate::domain::login::{ProvenCallback, Requested, ResponseRules};
use crate::domain::logout::{Departed, LogoutNotice};
use crate::domain::renewal::RenewalRules;
use crate::domain::secret::{RawIdToken, RefreshToken};
use crate::domain::session::Session;
use crate::domain::session::tests::session;
use crate::domain::time::Timestamp;
use crate::ports::{AuthorizationRequest, IdentityProvider, ProviderError, RenewalError, Renewed, SignedIn};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The provider, as one replica sees it.
pub(in super::super) struct Door {
    pub(in super::super) idp: Arc<Idp>,
    pub(in super::super) side: usize,
}

fn unavailable() -> ProviderError {
    ProviderError::Unavailable("the connection was lost".into())
}

impl IdentityProvider for Door {
    fn is_known(&self) -> bool {
        true
    }

    fn issuer(&self) -> &Issuer {
        &self.idp.issuer
    }

    fn requested(&self) -> &Requested {
        &self.idp.requested
    }

    fn authorization_url<'a>(
        &'a self,
        request: AuthorizationRequest<'a>,
    ) -> BoxFuture<'a, Result<Url, ProviderError>> {
        let url = Url::parse_with_params("https://idp.example.com/authorize", [("state", request.state)]);
        Box::pin(std::future::ready(url.map_err(|_| unavailable())))
    }

    fn response_rules(&self) -> BoxFuture<'_, Result<ResponseRules, ProviderError>> {
        let rules = ResponseRules { issuer: self.idp.issuer.clone(), iss_required: false };
        Box::pin(std::future::ready(Ok(rules)))
    }

    /// The code is the person, the name of the session here, and a number.
    fn redeem<'a>(
        &'a self,
        proven: ProvenCallback,
        _redirect_uri: &'a Url,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<SignedIn, ProviderError>> {
        Box::pin(async move {
            let code = proven.code().expose().to_owned();
            let words: Vec<&str> = code.split(' ').collect();
            let (person, sid) = (words[0], words[1]);
            if !self.idp.held(|book| book.holds_codes.then_some(&mut book.codes)).await {
                return Err(unavailable());
            }
            let mut book = self.idp.book();
            let family = book.families.len();
            book.families.push(Family::default());
            book.redeemed.insert(code.clone(), (now, family));
            let tokens = self.idp.issue(&mut book, family);
            Ok(SignedIn {
                identity: Identity {
                    issuer: self.idp.issuer.clone(),
                    subject: Subject::parse(person).unwrap(),
                    user_id: person.to_owned(),
                    ..session().identity
                },
                tokens,
                authenticated: Some(now),
                acr: None,
                provider_sid: Some(sid.to_owned()),
            })
        })
    }

    fn renewal_rules(&self) -> RenewalRules {
        rules()
    }

    fn renew<'a>(
        &'a self,
        session: &'a Session,
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Renewed, RenewalError>> {
        Box::pin(async move {
            let token = session.tokens.refresh.as_ref().unwrap().expose();
            if !self.idp.held(|book| book.holds_connections.then_some(&mut book.connections)).await {
                return Err(unavailable().into());
            }
            let (attempt, issued) = self.idp.present(token, self.side);
            let mut waiting = Waiting { idp: &self.idp, attempt, end: End::Unknown };
            if !self.idp.held(|book| book.holds_answers.then_some(&mut book.answers)).await {
                return Err(unavailable().into());
            }
            waiting.end = if issued.is_some() { End::Heard } else { End::Refused };
            match issued {
                Some(tokens) => Ok(Renewed { tokens, identity: None }),
                None => Err(RenewalError::Refused),
            }
        })
    }

    fn revoke<'a>(&'a self, token: &'a RefreshToken) -> BoxFuture<'a, Result<bool, ProviderError>> {
        let mut book = self.idp.book();
        let known = book.refresh.get(token.expose()).map(|(family, _)| *family);
        if let Some(family) = known {
            book.families[family].is_over = true;
        }
        Box::pin(std::future::ready(Ok(true)))
    }

    /// The token is whom it is about: `sub alice 1`, `sid one 2`, `both alice one 3`.
    fn verify_logout<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<LogoutNotice, ProviderError>> {
        let words: Vec<&str> = token.split(' ').collect();
        let person = |name: &str| Subject::parse(name).unwrap();
        let departed = match words.as_slice() {
            ["sub", name, _] => Departed::Person(person(name)),
            ["sid", sid, _] => Departed::ProviderSession((*sid).to_owned()),
            ["both", name, sid, _] => Departed::PersonInProviderSession(person(name), (*sid).to_owned()),
            _ => unreachable!("{token}"),
        };
        let good_until = self.idp.clock.now().plus(Duration::from_secs(120));
        let notice = LogoutNotice { issuer: self.idp.issuer.clone(), departed, id: token.into(), good_until };
        Box::pin(std::future::ready(Ok(notice)))
    }

    fn end_session_url<'a>(
        &'a self,
        _id_token: Option<&'a RawIdToken>,
        _back: &'a Url,
        _state: &'a str,
    ) -> BoxFuture<'a, Result<Option<Url>, ProviderError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}
