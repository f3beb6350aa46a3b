//! What an operator asks: who is signed in, and that they no longer be.
//!
//! I own: [`Gateway::sessions`] and [`Gateway::end_sessions`]. I may call: `domain`, `ports`, `keyring`, and
//! `gateway::ending` for every end. I never show a ticket, a token or a key of the store: a session's name here is its
//! handle.

use super::{Gateway, GatewayError};
use crate::domain::ending::Ending;
use crate::domain::identity::{Issuer, Subject};
use crate::domain::logout::{MARK_KEPT, Mark};
use crate::domain::session::{Summary, WhyOver};
use crate::domain::time::Timestamp;
use crate::ports::{Cursor, Listed, News as _, StoreError};
use std::time::Duration;

/// By how much longer than any session the moment is remembered at which all ended.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// How many records are asked for at once.
const PAGE: usize = 200;

/// How many such pages are read for one answer: some ten thousand records, which takes a second or so.
const MOST_PAGES: usize = 50;

/// Which sessions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection<'s> {
    /// All of them.
    All,
    /// Those of a person: exactly this user id, subject or e-mail address.
    User(&'s str),
    /// The one with this handle.
    Handle(&'s str),
    /// Those of this subject at this issuer: the one selection that an index answers.
    Person(&'s str, &'s str),
}

impl Selection<'_> {
    /// The word for logs: what was meant by it stays out of them (R60).
    pub fn code(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::User(_) => "user",
            Self::Handle(_) => "handle",
            Self::Person(..) => "person",
        }
    }
}

/// A session as an operator sees it.
pub struct SessionView {
    /// Its name for operators.
    pub handle: String,
    /// Its last use.
    pub last_seen: Timestamp,
    /// Who, since when, from where.
    pub summary: Summary,
}

/// Some of the sessions that were asked for.
pub struct SessionViews {
    /// The sessions; all of them are in force.
    pub sessions: Vec<SessionView>,
    /// How many records were come by that do not open: damaged, or sealed with a key that is gone.
    pub unreadable: usize,
    /// Where to go on; `None` when these were the last.
    pub next: Option<Cursor>,
}

impl Gateway {
    /// About `limit` sessions of a selection from `cursor` on; fewer, or none, where so many records were read in vain that
    /// whoever asks should know that it goes on. Reads through all records: what an operator looks for is sealed. Only
    /// those of a subject at an issuer are in an index.
    ///
    /// # Errors
    /// [`GatewayError::Store`].
    pub async fn sessions(
        &self,
        selection: Selection<'_>,
        cursor: Option<Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<SessionViews, GatewayError> {
        if let Selection::Person(issuer, subject) = selection {
            return self.person_views(issuer, subject, now).await;
        }
        let cleared = self.cleared(now).await?;
        let mut views = SessionViews { sessions: Vec::new(), unreadable: 0, next: cursor };
        // A page is shown whole, or what is cut off would be lost; a few out of many are looked for in big steps.
        let step = if selection == Selection::All { PAGE.min(limit) } else { PAGE };
        // One session has one handle on one page.
        let keys = self.keys.held();
        for pages in 1.. {
            let page = self.store.list(views.next.as_ref(), step, now).await?;
            for listed in page.entries.into_iter().filter(|listed| self.is_meant(selection, listed)) {
                match listed.summary {
                    None => views.unreadable += 1,
                    Some(summary) => {
                        let handle = keys.handle(&listed.key);
                        // A store may show one session on two pages.
                        if let Some(last_seen) = self.in_force(&summary, listed.last_seen, cleared, now)
                            && views.sessions.iter().all(|view| view.handle != handle)
                        {
                            views.sessions.push(SessionView { handle, last_seen, summary });
                        }
                    }
                }
            }
            views.next = page.next;
            // There is one session of a handle, and it is known where it is.
            if matches!(selection, Selection::Handle(_)) && !views.sessions.is_empty() {
                views.next = None;
            }
            if views.next.is_none() || views.sessions.len() >= limit || pages >= MOST_PAGES {
                break;
            }
        }
        Ok(views)
    }

    /// For how long the moment at which everybody was sent home matters to anybody.
    pub(super) fn remembered(&self) -> Duration {
        self.limits.lifetime + REMEMBERED
    }

    /// Ends the sessions of a selection; how many there were. Those that do not open are ended with all, or by handle.
    /// All of them is one write, which is in force here at once and elsewhere as soon as its news are there, and from which
    /// no login escapes that has begun; their records go afterwards, and the tokens with them. Where only some are meant, a
    /// login that is completed meanwhile may escape.
    ///
    /// # Errors
    /// [`GatewayError::Store`]: some of them may have ended by then, or in this gateway only; of all of them, none or all.
    pub async fn end_sessions(
        &self,
        selection: Selection<'_>,
        now: Timestamp,
    ) -> Result<usize, GatewayError> {
        if let Selection::Person(issuer, subject) = selection {
            return self.end_person(issuer, subject, now).await;
        }
        if selection == Selection::All {
            self.endings.clearing.clear(now, self.remembered()).await?;
            self.live.anything_changed();
        }
        let (mut ended, mut cursor) = (0, None);
        loop {
            let page = self.store.list(cursor.as_ref(), PAGE, now).await?;
            // Whoever has come in since then is in.
            let came_later = |listed: &Listed| {
                selection == Selection::All && listed.summary.as_ref().is_some_and(|came| came.started > now)
            };
            let meant = |listed: &&Listed| self.is_meant(selection, listed) && !came_later(listed);
            for listed in page.entries.iter().filter(meant) {
                ended += usize::from(self.end_listed(listed, Ending::ByOperator, now).await?);
            }
            match page.next {
                // There is one session of a handle.
                Some(_) if ended > 0 && matches!(selection, Selection::Handle(_)) => break,
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        Ok(self.settled(ended)?)
    }

    /// `done`, unless something is in force in this process alone: that is not done, and whoever asked would not come back.
    pub(super) fn settled<T>(&self, done: T) -> Result<T, StoreError> {
        match self.store.owed() {
            0 => Ok(done),
            owed => {
                let text = format!("{owed} endings are in force in this gateway, and not in the store yet");
                Err(StoreError::Unavailable(text))
            }
        }
    }

    /// Those of a person, by the index.
    async fn person_views(
        &self,
        issuer: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<SessionViews, GatewayError> {
        let mut views = SessionViews { sessions: Vec::new(), unreadable: 0, next: None };
        let Some(subject) = Subject::parse(subject) else { return Ok(views) };
        let cleared = self.cleared(now).await?;
        for key in self.store.of_subject(&Issuer::new(issuer), &subject, now).await? {
            let Some(listed) = self.store.glance(&key, now).await? else { continue };
            let Some(summary) = listed.summary else {
                views.unreadable += 1;
                continue;
            };
            if let Some(last_seen) = self.in_force(&summary, listed.last_seen, cleared, now) {
                views.sessions.push(SessionView { handle: self.keys.handle(&key), last_seen, summary });
            }
        }
        Ok(views)
    }

    /// Ends those of a person, and whatever sign-in of theirs is under way: the mark comes first, as for a logout that a
    /// provider announces.
    async fn end_person(&self, issuer: &str, subject: &str, now: Timestamp) -> Result<usize, GatewayError> {
        let Some(subject) = Subject::parse(subject) else { return Ok(0) };
        let issuer = Issuer::new(issuer);
        self.store.mark(Mark::Person(&issuer, &subject), now, MARK_KEPT).await?;
        let mut ended = 0;
        for key in self.store.of_subject(&issuer, &subject, now).await? {
            if let Some(listed) = self.store.glance(&key, now).await? {
                ended += usize::from(self.end_listed(&listed, Ending::ByOperator, now).await?);
            }
        }
        Ok(self.settled(ended)?)
    }

    /// When a session was last used that is in force by what its operator part says; `None` for one that is over, by its
    /// limits or because everybody was sent home at `cleared`: then only its record is still there.
    pub(super) fn in_force(
        &self,
        summary: &Summary,
        last_seen: Option<Timestamp>,
        cleared: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let last_seen = last_seen.unwrap_or(summary.started);
        let is_in = summary.started > cleared && self.judge(summary, last_seen, now).is_ok();
        is_in.then_some(last_seen)
    }

    pub(super) fn judge(
        &self,
        summary: &Summary,
        last_seen: Timestamp,
        now: Timestamp,
    ) -> Result<(), WhyOver> {
        self.limits.judge(summary.started, summary.ends, last_seen, now)
    }

    fn is_meant(&self, selection: Selection<'_>, listed: &Listed) -> bool {
        match selection {
            Selection::All => true,
            // Found by the index, not one by one.
            Selection::Person(..) => false,
            Selection::Handle(handle) => self.keys.is_handle_of(handle, &listed.key),
            Selection::User(user) => listed.summary.as_ref().is_some_and(|summary| {
                let names = [summary.user_id.as_str(), summary.subject.as_str()];
                names.contains(&user) || summary.email.as_deref() == Some(user)
            }),
        }
    }
}
