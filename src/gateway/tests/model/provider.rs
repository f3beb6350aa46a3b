//! An identity provider for the model: it rotates refresh tokens, ends a whole family when one comes twice, and keeps
//! book of who has presented what.
//!
//! I own: [`Idp`], which all replicas share, and its book; `door` is the way of one of them to it. I may call: `domain`,
//! `ports`. I never forgive a second use: that is what this is for.
//!
//! The book: each time a refresh token is presented is an attempt. It may be presented again only if somebody could not
//! know how an earlier attempt ended: it was cut off, its answer was lost, its holder crashed or could not write down what
//! came, the store has forgotten that it was written down, or its holder has been away for longer than the lease.

mod door;

pub(super) use self::door::Door;

use crate::domain::identity::{Issuer, ProviderId};
use crate::domain::login::Requested;
use crate::domain::renewal::RenewalRules;
use crate::domain::secret::{AccessToken, RawIdToken, RefreshToken};
use crate::domain::session::TokenSet;
use crate::domain::session::tests::session;
use crate::domain::time::Timestamp;
use crate::ports::Clock;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long an access token lives.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// How long whoever has presented a token may take until others may: a call, and the writing. Not asked of the rules, which
/// may be wrong.
const LEASE: Duration = Duration::from_secs(35);

/// Ten seconds for a call.
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
    /// It was settled, and the store has forgotten what it was told of it.
    is_lost: bool,
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
    /// `is_forgotten` and `is_tainted` as they were before the store forgot, if it did.
    before: Option<(bool, bool)>,
    /// What the store has forgotten cannot be put back any more.
    is_beyond: bool,
    /// The number of the last tokens.
    newest: u64,
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
        for family in families.iter_mut() {
            family.before.get_or_insert((family.is_forgotten, family.is_tainted));
        }
        for attempt in attempts.iter_mut().filter(|attempt| is_lost(attempt)) {
            let family = &mut families[refresh[&attempt.token].0];
            (family.is_forgotten, family.is_tainted) = (true, true);
            attempt.is_lost |= attempt.end == End::Settled;
            family.is_beyond |= matches!(attempt.end, End::Pending | End::Heard);
            attempt.end = End::Unknown;
        }
        for family in families.iter_mut().filter(|_| under_way) {
            (family.is_forgotten, family.is_tainted, family.is_beyond) = (true, true, true);
        }
    }

    /// Whoever has the newest tokens of a family has given them back to the store that had forgotten them.
    pub(super) fn put_back(&self, family: usize) {
        let now = self.clock.now();
        let mut book = self.book();
        let Book { attempts, families, refresh, .. } = &mut *book;
        let kept = &mut families[family];
        if kept.is_beyond {
            return;
        }
        let Some(before) = kept.before.take() else { return };
        (kept.is_forgotten, kept.is_tainted) = before;
        for attempt in attempts.iter_mut().filter(|attempt| refresh[&attempt.token].0 == family) {
            if std::mem::take(&mut attempt.is_lost) {
                // What is written now may be forgotten again.
                (attempt.end, attempt.settled) = (End::Settled, now);
            }
        }
    }

    /// The number of the last tokens of a family.
    pub(super) fn newest(&self, family: usize) -> u64 {
        self.book().families[family].newest
    }

    /// Whether this is the last access token of a family, and none is on its way.
    pub(super) fn is_newest(&self, family: usize, access: &str) -> bool {
        let book = self.book();
        let is_open = |attempt: &Attempt| matches!(attempt.end, End::Pending | End::Heard);
        let own = |attempt: &&Attempt| book.refresh[&attempt.token].0 == family;
        access == access_name(book.families[family].newest) && !book.attempts.iter().filter(own).any(is_open)
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
        let (access, refresh) = (access_name(book.names), format!("refresh-{}", book.names));
        book.families[family].newest = book.names;
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
                End::Pending | End::Heard => before.began.plus(LEASE) <= now,
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
        book.attempts.push(Attempt {
            token: token.clone(),
            side,
            began: now,
            end,
            settled: now,
            is_lost: false,
        });
        if was_used {
            let family = &mut book.families[family];
            (family.is_over, family.is_tainted, family.is_beyond) = (true, true, true);
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

fn access_name(number: u64) -> String {
    format!("access-{number}")
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

/// The id by which sessions name it.
pub(super) fn id() -> ProviderId {
    session().provider
}
