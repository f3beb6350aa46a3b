//! A sign-in: how it begins and how it is completed.
//!
//! I own: [`Gateway::begin_login`] and [`Gateway::complete_login`], and the order of their steps. I may call: `domain`,
//! `ports`, `keyring`, and `gateway::{state, ending}`. I never write anything for a visitor who is not signed in but
//! the name of a login that has just been finished (design: login without server state).

use super::ending::Tokens;
use super::{Gateway, GatewayError, state};
use crate::domain::ending::Ending;
use crate::domain::identity::ProviderId;
use crate::domain::login::{
    CallbackParams, LOGIN_TIMEOUT, LoginRefusal, MAX_ATTEMPTS, PendingLogin, ProvenCallback, Requested,
};
use crate::domain::logout::Mark;
use crate::domain::origin::Origin;
use crate::domain::renewal::Renewal;
use crate::domain::return_to::ReturnTo;
use crate::domain::secret::Binding;
use crate::domain::session::{Session, SessionKey, SignInPlace, Standing, Ticket};
use crate::domain::time::Timestamp;
use crate::keyring::{new_binding, new_login_id, new_sid, new_ticket, session_key};
use crate::ports::{AuthorizationRequest, Entry, IdentityProvider, SignedIn};
use std::sync::Arc;
use url::Url;

/// A wish to sign in.
pub struct LoginWish {
    /// The origin that the browser is on.
    pub origin: Arc<Origin>,
    /// The provider, or the default one.
    pub provider: Option<String>,
    /// Where to go afterwards.
    pub return_to: ReturnTo,
    /// `prompt`.
    pub prompt: Option<String>,
    /// `login_hint`.
    pub login_hint: Option<String>,
    /// `max_age` and `acr_values`.
    pub requested: Requested,
}

/// What the browser holds when it asks.
#[derive(Clone, Default)]
pub struct Held {
    /// The binding cookie, if it has one that is well formed.
    pub binding: Option<Binding>,
    /// The ticket, if it has one.
    pub ticket: Option<Ticket>,
}

/// A login that has begun.
pub struct LoginBegun {
    /// Where the browser goes: the provider's authorization endpoint.
    pub url: Url,
    /// The binding cookie to set, when the browser had none.
    pub new_binding: Option<Binding>,
}

/// A callback as it arrived.
pub struct Callback {
    /// The origin that it arrived on.
    pub origin: Arc<Origin>,
    /// The provider in its path, where there are several.
    pub provider: Option<ProviderId>,
    /// Its parameters.
    pub params: CallbackParams,
    /// What the browser holds.
    pub held: Held,
    /// Where it came from.
    pub place: SignInPlace,
}

/// How a callback ends.
pub enum LoginEnd {
    /// Somebody is signed in: set the cookie, then go there.
    SignedIn(Ticket, ReturnTo),
    /// This login was over, but somebody is signed in: just go there.
    Already(ReturnTo),
    /// This login was lost on the way: here is another one for the same page.
    Again(LoginBegun),
    /// An error page, and where the person wanted to go, if that is known.
    Failed(LoginRefusal, Option<ReturnTo>),
}

impl Gateway {
    /// Begins a login. Nothing is written anywhere.
    ///
    /// # Errors
    /// [`GatewayError::NoSuchProvider`], or [`GatewayError::Provider`] when there are no metadata to be had.
    pub async fn begin_login(&self, wish: LoginWish, held: &Held) -> Result<LoginBegun, GatewayError> {
        // Only the ids of configured providers reach the ledger, whatever a request names.
        let found = self.providers.find(wish.provider.as_deref());
        let provider = found.map_or("none", |(id, _)| id.as_str());
        let begun = self.begin(wish, held, 0).await;
        let result = begun.as_ref().map_or_else(GatewayError::code, |_| "begun");
        self.ledger.enter(Entry::Login { provider, result });
        begun
    }

    async fn begin(&self, wish: LoginWish, held: &Held, attempt: u8) -> Result<LoginBegun, GatewayError> {
        let found = self.providers.find(wish.provider.as_deref());
        let (provider_id, provider) = found.ok_or(GatewayError::NoSuchProvider)?;
        let (binding, new_binding) = match &held.binding {
            Some(binding) => (binding.clone(), None),
            None => {
                let fresh = new_binding()?;
                (fresh.clone(), Some(fresh))
            }
        };
        let id = new_login_id()?;
        // State, nonce and verifier are made under one key, which the state names: also when keys change meanwhile.
        let keys = self.keys.held();
        let key = keys.sealing_key();
        let login = PendingLogin {
            id,
            provider: provider_id.clone(),
            origin: wish.origin.as_str().to_owned(),
            return_to: wish.return_to,
            started: self.clock.now(),
            binding: keys.binding_mark(key, &binding, id)?,
            started_from: held.ticket.as_ref().map(session_key),
            attempt,
            requested: provider.requested().joined(wish.requested),
        };
        let (nonce, verifier) = keys.login_secrets(key, &binding, id)?;
        let request = AuthorizationRequest {
            login: &login,
            state: &state::seal(&keys, &login)?,
            nonce: &nonce,
            verifier: &verifier,
            redirect_uri: &self.redirect_uri(&wish.origin, provider_id)?,
            prompt: wish.prompt.as_deref(),
            login_hint: wish.login_hint.as_deref(),
        };
        Ok(LoginBegun { url: provider.authorization_url(request).await?, new_binding })
    }

    /// Completes a login: every step consumes the one before, and only the last can redeem a code.
    ///
    /// # Errors
    /// [`GatewayError`] when the store or the provider failed; refusals of the callback itself are
    /// [`LoginEnd::Failed`].
    pub async fn complete_login(self: &Arc<Self>, callback: Callback) -> Result<LoginEnd, GatewayError> {
        let found = match &callback.provider {
            None if self.providers.are_several() => None,
            named => self.providers.find(named.as_ref().map(ProviderId::as_str)),
        };
        let provider = found.map_or("none", |(id, _)| id.as_str());
        let end = self.complete(callback).await;
        let result = match &end {
            Ok(LoginEnd::SignedIn(..)) => "signed-in",
            Ok(LoginEnd::Already(_)) => "already-signed-in",
            Ok(LoginEnd::Again(_)) => "begun-again",
            Ok(LoginEnd::Failed(refusal, _)) => refusal.code(),
            Err(error) => error.code(),
        };
        self.ledger.enter(Entry::Login { provider, result });
        end
    }

    async fn complete(self: &Arc<Self>, callback: Callback) -> Result<LoginEnd, GatewayError> {
        let now = self.clock.now();
        let Callback { origin, provider, params, held, place } = callback;
        // The key that opens the state is needed again below.
        let keys = self.keys.held();
        let opened = params.state().and_then(|state| state::open(&keys, state));
        let Some((key, login)) = opened else {
            return Ok(LoginEnd::Failed(LoginRefusal::NotOurs, None));
        };
        let back = login.return_to.clone();
        let failed = |refusal| Ok(LoginEnd::Failed(refusal, Some(back.clone())));
        // R9: with several providers the path names one, and it must be the one that the login went to.
        let named = if self.providers.are_several() {
            provider.as_ref() == Some(&login.provider)
        } else {
            provider.is_none()
        };
        if !named || login.origin != origin.as_str() {
            return failed(LoginRefusal::Elsewhere);
        }
        let mark = match &held.binding {
            Some(binding) => Some(keys.binding_mark(key, binding, login.id)?),
            None => None,
        };
        let bound = match login.clone().bind(mark, now) {
            Ok(bound) => bound,
            Err(LoginRefusal::Unbound) => {
                return self.recover(login, origin, &held, LoginRefusal::Unbound).await;
            }
            Err(refusal) => return failed(refusal),
        };
        let Some((provider_id, provider)) = self.providers.find(Some(login.provider.as_str())) else {
            return Err(GatewayError::NoSuchProvider);
        };
        let rules = provider.response_rules().await?;
        // From here on this login is used up, whatever comes of it (R4).
        let first = self.store.take_once(bound.id(), now, LOGIN_TIMEOUT).await?;
        let claimed = match bound.claim(first) {
            Ok(claimed) => claimed,
            Err(refusal) => return self.recover(login, origin, &held, refusal).await,
        };
        let Some(binding) = &held.binding else {
            return failed(LoginRefusal::Unbound);
        };
        let (nonce, verifier) = keys.login_secrets(key, binding, login.id)?;
        let proven = match claimed.prove(params, &rules, nonce, verifier) {
            Ok(proven) => proven,
            Err(refusal) => return failed(refusal),
        };
        let redirect_uri = self.redirect_uri(&origin, provider_id)?;
        let finish = Arc::clone(self).finish(Arc::clone(provider), proven, redirect_uri, held.ticket, place);
        // A browser that hangs up now must not lose a code that is already being redeemed.
        tokio::spawn(finish).await.map_err(|_| GatewayError::TaskLost)?
    }

    /// Redeems the code, writes the new session, then ends the old one (order at completion).
    async fn finish(
        self: Arc<Self>,
        provider: Arc<dyn IdentityProvider>,
        proven: ProvenCallback,
        redirect_uri: Url,
        old: Option<Ticket>,
        place: SignInPlace,
    ) -> Result<LoginEnd, GatewayError> {
        let login = proven.login().clone();
        // What the provider says from here on may be older than a logout that it announces meanwhile.
        let began = self.clock.now();
        let signed_in = provider.redeem(proven, &redirect_uri, began).await?;
        let now = self.clock.now();
        let session = self.new_session(signed_in, &login, place, old.as_ref().map(session_key), now)?;
        // R50: a new ticket at every login; whatever ticket was presented is never adopted.
        let ticket = new_ticket()?;
        self.store.create(&ticket, &session, now).await?;
        match self.is_over_already(&session, began, now).await {
            Ok(false) => {}
            over => {
                self.take_back(&ticket, &session).await?;
                return over.map(|_| LoginEnd::Failed(LoginRefusal::SignedOut, Some(login.return_to)));
            }
        }
        let replaced = [session.supersedes, login.started_from];
        let own = session_key(&ticket);
        let minded = match self.mind_the_cap(&own, &session, &replaced, now).await {
            Ok(minded) if minded.stays => minded,
            over => {
                self.take_back(&ticket, &session).await?;
                over?;
                return Ok(LoginEnd::Failed(LoginRefusal::TooMany, Some(login.return_to)));
            }
        };
        let ended = match self.end_predecessors(&login, old.as_ref(), &session, now).await {
            Ok(()) => self.end_surplus(&minded, now).await.map_err(GatewayError::from),
            error => error,
        };
        if let Err(error) = ended {
            // Two people must not share a browser: better no sign-in than a ticket of somebody else left alive.
            self.take_back(&ticket, &session).await?;
            return Err(error);
        }
        let identity = &session.identity;
        tracing::info!(
            target: "keycard::audit",
            event = "session-started",
            user = self.keys.log_name(identity.issuer.as_str(), identity.subject.as_str()),
            provider = session.provider.as_str(),
            "session started"
        );
        Ok(LoginEnd::SignedIn(ticket, login.return_to))
    }

    /// Whether the provider has announced the end of this session while it was being made. The notice looked for it
    /// before it was there, or will find it now: the mark decides.
    async fn is_over_already(
        &self,
        session: &Session,
        began: Timestamp,
        now: Timestamp,
    ) -> Result<bool, GatewayError> {
        let who = &session.identity;
        let marks = Mark::not_before(&who.issuer, &who.subject, session.provider_sid.as_deref());
        let ended = self.store.marked(&marks, now).await?;
        // Asked of the store, whatever memory knows: the news may still be under way.
        let cleared = self.endings.clearing.ask(now, self.remembered()).await?;
        Ok(ended.is_some_and(|moment| began <= moment) || began <= cleared)
    }

    /// Removes what this login has just written: nobody was given its ticket.
    async fn take_back(&self, ticket: &Ticket, session: &Session) -> Result<(), GatewayError> {
        self.remove_and_owe(&session_key(ticket), Tokens::Revoke(Some(session))).await?;
        Ok(())
    }

    fn new_session(
        &self,
        signed_in: SignedIn,
        login: &PendingLogin,
        place: SignInPlace,
        supersedes: Option<SessionKey>,
        now: Timestamp,
    ) -> Result<Session, GatewayError> {
        Ok(Session {
            sid: new_sid()?,
            identity: signed_in.identity,
            provider: login.provider.clone(),
            started: now,
            ends: now.plus(self.limits.lifetime),
            authenticated: signed_in.authenticated,
            acr: signed_in.acr,
            provider_sid: signed_in.provider_sid,
            tokens: signed_in.tokens,
            renewal: Renewal::begun(now),
            place,
            supersedes,
        })
    }

    /// The session that the browser presents, and the one that the login started from if it is another by now.
    async fn end_predecessors(
        &self,
        login: &PendingLogin,
        presented: Option<&Ticket>,
        new: &Session,
        now: Timestamp,
    ) -> Result<(), GatewayError> {
        if let Some(old) = presented {
            self.end_replaced(old, new, now).await?;
        }
        match login.started_from {
            Some(key) if presented.map(session_key) != Some(key) => {
                self.end_record(&key, None, Ending::Replaced.code(), Tokens::Replaced(None)).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// An authentic login whose cookie is lost or that is already finished (ten tabs restored from an empty jar, a
    /// double click, the back button): it redeems nothing, and it costs nobody an error page at first.
    async fn recover(
        &self,
        login: PendingLogin,
        origin: Arc<Origin>,
        held: &Held,
        refusal: LoginRefusal,
    ) -> Result<LoginEnd, GatewayError> {
        let now = self.clock.now();
        if let Standing::Live(_) = self.standing(held.ticket.as_ref(), now).await? {
            return Ok(LoginEnd::Already(login.return_to));
        }
        let attempt = login.attempt.saturating_add(1);
        if attempt >= MAX_ATTEMPTS {
            return Ok(LoginEnd::Failed(refusal, Some(login.return_to)));
        }
        let wish = LoginWish {
            origin,
            provider: Some(login.provider.as_str().to_owned()),
            return_to: login.return_to,
            prompt: None,
            login_hint: None,
            requested: login.requested,
        };
        Ok(LoginEnd::Again(self.begin(wish, held, attempt).await?))
    }

    /// Our callback on an origin: from the configuration, never from a request (R73, A30).
    fn redirect_uri(&self, origin: &Origin, provider: &ProviderId) -> Result<Url, GatewayError> {
        let base = format!("{}{}/callback", origin.as_str(), self.prefix.as_str());
        let text = if self.providers.are_several() { format!("{base}/{}", provider.as_str()) } else { base };
        Url::parse(&text).map_err(|_| GatewayError::NoSuchProvider)
    }
}
