//! An identity provider for the model: it rotates refresh tokens, ends a whole family when one comes twice, and keeps
//! book of who has presented what.
//!
//! I own: [`Idp`], which all replicas share, and [`Door`], by which one of them comes to it. I may call: `domain`,
//! `ports`. I never forgive a second use: that is what this is for.
//!
//! The book: each time a refresh token is presented is an attempt. It may be presented again only if somebody could not
//! know how an earlier attempt ended: it was cut off, its answer was lost, its holder crashed or could not write down what
//! came, the store has forgotten that it was written down, or its holder has been away for longer than the lease.

use crate::domain::identity::{Identity, Issuer, ProviderId, Subject};
use crate::domain::login::{ProvenCallback, Requested, ResponseRules};
use crate::domain::logout::{Departed, LogoutNotice};
use crate::domain::renewal::RenewalRules;
use crate::domain::secret::{AccessToken, RawIdToken, RefreshToken};
use crate::domain::session::tests::session;
use crate::domain::session::{Session, TokenSet};
use crate::domain::time::Timestamp;
use crate::ports::{
    AuthorizationRequest, Clock, IdentityProvider, ProviderError, RenewalError, Renewed, SignedIn,
};
use futures_util::future::BoxFuture;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use url::Url;

/// How long an access token lives.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// Ten seconds for a call, 35 for a lease.
pub(super) fn rules() -> RenewalRules {
    RenewalRules::of(Duration::from_secs(60), Duration::from_secs(5))
}

/// How an attempt ended, as far as its holder can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Not yet.
    Pending,
    /// It has the answer, and has not written it down yet.
    Heard,
    /// It is settled.
    Settled,
    /// It was refused: nothing came of it.
    Refused,
    /// Nobody knows.
    Unknown,
}

struct Attempt {
    token: String,
    side: usize,
    began: Timestamp,
    end: End,
    /// When it was settled.
    settled: Timestamp,
}

/// The tokens of one sign-in.
#[derive(Default)]
struct Family {
    /// Nothing is issued for it any more.
    is_over: bool,
    /// The provider has ended it of its own will.
    ended_here: bool,
    /// The store has forgotten what came of some attempt.
    is_forgotten: bool,
    /// It has refused somebody.
    told: bool,
    /// Some attempt ended in a way that nobody knows: its tokens may be lost.
    is_tainted: bool,
}

#[derive(Default)]
struct Book {
    families: Vec<Family>,
    /// Refresh token: its family, and whether it was used.
    refresh: HashMap<String, (usize, bool)>,
    /// Access token: its family, and when it expires.
    access: HashMap<String, (usize, Timestamp)>,
    attempts: Vec<Attempt>,
    wrongs: Vec<String>,
    /// Whether answers wait for [`Idp::answer`].
    holds_answers: bool,
    /// Whether connections wait for [`Idp::connect`].
    holds_connections: bool,
    /// Whether codes wait for [`Idp::redeem_next`].
    holds_codes: bool,
    answers: VecDeque<oneshot::Sender<bool>>,
    connections: VecDeque<oneshot::Sender<bool>>,
    codes: VecDeque<oneshot::Sender<bool>>,
    /// When the redemption of a code began, and the family that it brought.
    redeemed: HashMap<String, (Timestamp, usize)>,
    names: u64,
}

/// The provider.
pub(super) struct Idp {
    clock: Arc<dyn Clock>,
    issuer: Issuer,
    requested: Requested,
    book: Mutex<Book>,
}

/// What is held back at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Answers,
    Connections,
    Codes,
}

impl Idp {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let issuer = Issuer::new("https://idp.example.com");
        Arc::new(Self { clock, issuer, requested: Requested::default(), book: Mutex::default() })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done that must never be.
    pub(super) fn wrongs(&self) -> Vec<String> {
        self.book().wrongs.clone()
    }

    pub(super) fn hold(&self, what: Hold, held: bool) {
        let mut book = self.book();
        match what {
            Hold::Answers => book.holds_answers = held,
            Hold::Connections => book.holds_connections = held,
            Hold::Codes => book.holds_codes = held,
        }
    }

    /// Lets go what has been held for longest; `well` is whether it arrives. Whether there was anything.
    pub(super) fn let_go(&self, what: Hold, well: bool) -> bool {
        let mut book = self.book();
        let queue = match what {
            Hold::Answers => &mut book.answers,
            Hold::Connections => &mut book.connections,
            Hold::Codes => &mut book.codes,
        };
        while let Some(sender) = queue.pop_front() {
            if sender.send(well).is_ok() {
                return true;
            }
        }
        false
    }

    /// Somebody has signed out at the provider: the tokens of this family are worth nothing.
    pub(super) fn end_family(&self, family: usize) {
        let mut book = self.book();
        let family = &mut book.families[family];
        (family.is_over, family.ended_here) = (true, true);
    }

    /// Whether a session of this family may have lost its tokens, and nothing else.
    pub(super) fn may_have_lost_tokens(&self, family: usize) -> bool {
        let book = self.book();
        book.families[family].is_tainted || book.families[family].is_over
    }

    /// Whether the provider has refused this family of its own will, which ends the session; or after a failover that has
    /// lost new tokens together with every trace of the attempt, which looks the same.
    pub(super) fn has_refused(&self, family: usize) -> bool {
        let family = &self.book().families[family];
        (family.ended_here || family.is_forgotten) && family.told
    }

    /// The family of an access token that is still good, if it is.
    pub(super) fn good(&self, access: &str) -> Option<usize> {
        let now = self.clock.now();
        self.book().access.get(access).filter(|(_, expires)| now < *expires).map(|(family, _)| *family)
    }

    /// When the redemption of a code began, and the family that it brought.
    pub(super) fn redeemed(&self, code: &str) -> (Timestamp, usize) {
        self.book().redeemed[code]
    }

    /// No renewal is under way at this replica, and none of its writings has failed.
    pub(super) fn settled(&self, side: usize) {
        let now = self.clock.now();
        for attempt in self.book().attempts.iter_mut().filter(|attempt| attempt.side == side) {
            if attempt.end == End::Heard {
                (attempt.end, attempt.settled) = (End::Settled, now);
            }
        }
    }

    /// This replica has lost what it was told, if it has not written it down.
    pub(super) fn lost(&self, side: usize) {
        self.unknown(|attempt| attempt.side == side && matches!(attempt.end, End::Pending | End::Heard));
    }

    /// The store has forgotten what was written down since; while renewals are `under_way`, perhaps their marks.
    pub(super) fn forgotten(&self, since: Timestamp, under_way: bool) {
        let is_lost = |attempt: &Attempt| match attempt.end {
            End::Settled => since <= attempt.settled,
            End::Pending | End::Heard | End::Refused | End::Unknown => true,
        };
        let mut book = self.book();
        let Book { attempts, families, refresh, .. } = &mut *book;
        for attempt in attempts.iter().filter(|attempt| is_lost(attempt)) {
            families[refresh[&attempt.token].0].is_forgotten = true;
        }
        for family in families.iter_mut().filter(|_| under_way) {
            (family.is_forgotten, family.is_tainted) = (true, true);
        }
        drop(book);
        self.unknown(is_lost);
    }

    fn unknown(&self, which: impl Fn(&Attempt) -> bool) {
        let mut book = self.book();
        let Book { attempts, families, refresh, .. } = &mut *book;
        for attempt in attempts.iter_mut().filter(|attempt| which(attempt)) {
            attempt.end = End::Unknown;
            families[refresh[&attempt.token].0].is_tainted = true;
        }
    }

    fn issue(&self, book: &mut Book, family: usize) -> TokenSet {
        book.names += 1;
        let (access, refresh) = (format!("access-{}", book.names), format!("refresh-{}", book.names));
        let expires = self.clock.now().plus(TOKEN_LIFE);
        book.access.insert(access.clone(), (family, expires));
        book.refresh.insert(refresh.clone(), (family, false));
        TokenSet {
            access: AccessToken::new(access),
            access_expires: Some(expires),
            refresh: Some(RefreshToken::new(refresh)),
            id_token: RawIdToken::new("e30.e30.e30"),
        }
    }

    /// A refresh token has arrived; the attempt, and what it brings.
    fn present(&self, token: &str, side: usize) -> (usize, Option<TokenSet>) {
        let now = self.clock.now();
        let mut book = self.book();
        let book = &mut *book;
        let (family, was_used) = book.refresh[token];
        for before in book.attempts.iter().filter(|attempt| attempt.token == token) {
            let is_excused = match before.end {
                End::Refused | End::Unknown => true,
                End::Pending | End::Heard => before.began.plus(rules().lease()) <= now,
                End::Settled => false,
            };
            if !is_excused && !book.families[family].is_forgotten {
                let (one, end) = (before.side, before.end);
                let wrong = format!("{token} is presented by {side}, and was by {one} ({end:?})");
                book.wrongs.push(wrong);
            }
        }
        let at = book.attempts.len();
        let (token, end) = (token.to_owned(), End::Pending);
        book.attempts.push(Attempt { token: token.clone(), side, began: now, end, settled: now });
        if was_used {
            let family = &mut book.families[family];
            (family.is_over, family.is_tainted) = (true, true);
        }
        if book.families[family].is_over {
            book.families[family].told = true;
            return (at, None);
        }
        book.refresh.insert(token, (family, true));
        (at, Some(self.issue(book, family)))
    }

    async fn held(
        &self,
        queue: impl FnOnce(&mut Book) -> Option<&mut VecDeque<oneshot::Sender<bool>>>,
    ) -> bool {
        let receiver = queue(&mut self.book()).map(|queue| {
            let (sender, receiver) = oneshot::channel();
            queue.push_back(sender);
            receiver
        });
        match receiver {
            Some(receiver) => receiver.await.unwrap_or(false),
            None => true,
        }
    }
}

/// Ends an attempt as unknown if whoever waits for its answer goes away.
struct Waiting<'i> {
    idp: &'i Idp,
    attempt: usize,
    end: End,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut book = self.idp.book();
        let Book { attempts, families, refresh, .. } = &mut *book;
        let attempt = &mut attempts[self.attempt];
        if attempt.end == End::Pending {
            attempt.end = self.end;
        }
        if attempt.end == End::Unknown {
            families[refresh[&attempt.token].0].is_tainted = true;
        }
    }
}

/// The provider, as one replica sees it.
pub(super) struct Door {
    pub(super) idp: Arc<Idp>,
    pub(super) side: usize,
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

/// The id by which sessions name it.
pub(super) fn id() -> ProviderId {
    session().provider
}
