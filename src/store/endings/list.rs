//! The endings that this process remembers: in order, bounded, and each written or still owed.
//!
//! I own: [`List`], what is in it, for how long, and who goes when it is full. I may call: `domain`. I know neither a lock
//! nor a store: time is passed in, and whoever calls me holds the lock. I never drop what is owed to make room.

use crate::domain::identity::{Issuer, Subject};
use crate::domain::logout::Mark;
use crate::domain::session::{Session, SessionKey};
use crate::domain::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// For how long at least an ending is remembered that the store has taken: longer than any failover that may forget it.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// What the list may hold, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Endings.
    pub(super) endings: usize,
    /// For how long an ending is owed at most: after that the record is gone by itself.
    pub(super) longest: Duration,
}

/// What has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// One session.
    Session(SessionKey),
    /// All sessions under a mark that are not younger than this moment; the mark is kept for so long.
    Marked(OwnMark, Timestamp, Duration),
}

/// A mark that outlives the request which it came with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum OwnMark {
    Person(Issuer, Subject),
    ProviderSession(Issuer, String),
    PersonInProviderSession(Issuer, Subject, String),
}

impl OwnMark {
    /// `None` for what ends nothing: that a logout token was heard.
    pub(super) fn of(mark: Mark<'_>) -> Option<Self> {
        Some(match mark {
            Mark::Person(issuer, subject) => Self::Person(issuer.clone(), subject.clone()),
            Mark::ProviderSession(issuer, sid) => Self::ProviderSession(issuer.clone(), sid.to_owned()),
            Mark::PersonInProviderSession(issuer, subject, sid) => {
                Self::PersonInProviderSession(issuer.clone(), subject.clone(), sid.to_owned())
            }
            Mark::Notice(..) => return None,
        })
    }

    pub(super) fn as_mark(&self) -> Mark<'_> {
        match self {
            Self::Person(issuer, subject) => Mark::Person(issuer, subject),
            Self::ProviderSession(issuer, sid) => Mark::ProviderSession(issuer, sid),
            Self::PersonInProviderSession(issuer, subject, sid) => {
                Mark::PersonInProviderSession(issuer, subject, sid)
            }
        }
    }
}

/// How far an ending has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The store is being asked by whoever ends it.
    Asked,
    /// The store did not take it.
    Owed,
    /// The store has taken it.
    Written,
    /// The store has taken it, and may have forgotten it since.
    Doubted,
}

struct Kept {
    over: Over,
    state: State,
    since: Duration,
}

/// That the store is being asked to take an ending. If it is doubted meanwhile, it may be another store that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) number: u64,
    /// How often the store had been doubted by then.
    doubts: u64,
}

/// An ending that is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) ask: Ask,
    pub(super) over: Over,
    /// The store had taken it, and may have forgotten it since.
    pub(super) was_taken: bool,
}

/// What became of a note.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// It is in the list, and the store has to be asked.
    Here(Ask),
    /// It is owed already.
    Owed,
    /// There is no room.
    Full,
}

/// The endings, the oldest first.
pub(super) struct List {
    bounds: Bounds,
    kept: BTreeMap<u64, Kept>,
    sessions: HashMap<SessionKey, u64>,
    marks: HashMap<OwnMark, u64>,
    last: u64,
    /// How often the store has been doubted.
    doubts: u64,
}

impl List {
    pub(super) fn new(bounds: Bounds) -> Self {
        let (sessions, marks) = (HashMap::new(), HashMap::new());
        Self { bounds, kept: BTreeMap::new(), sessions, marks, last: 0, doubts: 0 }
    }

    /// An ending is about to be written.
    pub(super) fn note(&mut self, over: Over, now: Duration) -> Noted {
        self.expire(now);
        if let Some(number) = self.number_of(&over) {
            let Some(kept) = self.kept.get_mut(&number) else { return Noted::Full };
            match (kept.state, &over) {
                (State::Owed, Over::Session(_)) => return Noted::Owed,
                (_, Over::Session(_)) => return Noted::Here(self.ask(number)),
                // A later moment covers an earlier one, and is another ending.
                (_, Over::Marked(..)) => {
                    let newer = later(&kept.over, over);
                    self.remove(number);
                    return self.put(newer, now);
                }
            }
        }
        self.put(over, now)
    }

    /// Somebody else has ended it, and the store took it.
    pub(super) fn learn(&mut self, key: SessionKey, now: Duration) {
        if let Noted::Here(ask) = self.note(Over::Session(key), now) {
            self.settle(ask);
        }
    }

    /// The store has taken it; whether it is the store of now that has. One that was doubted since it was asked may have
    /// forgotten it before its answer came.
    pub(super) fn settle(&mut self, ask: Ask) -> bool {
        let is_sure = ask.doubts == self.doubts;
        if let Some(kept) = self.kept.get_mut(&ask.number) {
            kept.state = if is_sure { State::Written } else { State::Doubted };
        }
        is_sure
    }

    /// The store did not take it.
    pub(super) fn owe(&mut self, number: u64) {
        if let Some(kept) = self.kept.get_mut(&number) {
            kept.state = State::Owed;
        }
    }

    /// It did not come about.
    pub(super) fn withdraw(&mut self, number: u64) {
        self.remove(number);
    }

    /// The store may have forgotten what it took in the last ten minutes: all of that is to be written again.
    pub(super) fn doubt(&mut self, now: Duration) {
        self.doubts += 1;
        self.expire(now);
        for kept in self.kept.values_mut() {
            if kept.state == State::Written {
                kept.state = State::Doubted;
            }
        }
    }

    /// What is to be written now, at most so much of it: in order, but marks first, for they keep others out.
    pub(super) fn owed(&mut self, most: usize, now: Duration) -> Vec<Due> {
        self.expire(now);
        let is_due = |kept: &Kept| matches!(kept.state, State::Owed | State::Doubted);
        let marks = self.marks.values().filter_map(|number| Some((*number, self.kept.get(number)?)));
        let mut first: Vec<_> = marks.filter(|(_, kept)| is_due(kept)).collect();
        first.sort_unstable_by_key(|(number, _)| *number);
        let sessions = self.kept.iter().map(|(number, kept)| (*number, kept));
        let sessions = sessions.filter(|(_, kept)| is_due(kept) && matches!(kept.over, Over::Session(_)));
        let due = first.into_iter().chain(sessions).take(most);
        due.map(|(number, kept)| Due {
            ask: self.ask(number),
            over: kept.over.clone(),
            was_taken: kept.state == State::Doubted,
        })
        .collect()
    }

    /// How many endings the store has not taken.
    pub(super) fn count_owed(&self) -> usize {
        self.kept.values().filter(|kept| matches!(kept.state, State::Owed)).count()
    }

    /// How many endings are remembered.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether this session was ended by itself.
    pub(super) fn has(&self, key: &SessionKey) -> bool {
        self.sessions.contains_key(key)
    }

    /// Whether this session was ended, by itself or with others.
    pub(super) fn refuses(&self, key: &SessionKey, session: &Session) -> bool {
        self.has(key) || (!self.marks.is_empty() && self.is_marked(session))
    }

    fn is_marked(&self, session: &Session) -> bool {
        let who = &session.identity;
        let marks = Mark::not_before(&who.issuer, &who.subject, session.provider_sid.as_deref());
        self.moments(&marks).any(|(moment, _)| session.started <= moment)
    }

    /// The latest moment under any of these marks that lives at `now`.
    pub(super) fn latest(&self, marks: &[Mark<'_>], now: Timestamp) -> Option<Timestamp> {
        self.moments(marks).filter(|(moment, keep)| now < moment.plus(*keep)).map(|(moment, _)| moment).max()
    }

    fn moments(&self, marks: &[Mark<'_>]) -> impl Iterator<Item = (Timestamp, Duration)> {
        marks.iter().filter_map(|mark| {
            let number = self.marks.get(&OwnMark::of(*mark)?)?;
            match self.kept.get(number)?.over {
                Over::Marked(_, moment, keep) => Some((moment, keep)),
                Over::Session(_) => None,
            }
        })
    }

    fn put(&mut self, over: Over, now: Duration) -> Noted {
        if self.kept.len() >= self.bounds.endings && !self.make_room() {
            return Noted::Full;
        }
        self.last += 1;
        match &over {
            Over::Session(key) => self.sessions.insert(*key, self.last),
            Over::Marked(mark, ..) => self.marks.insert(mark.clone(), self.last),
        };
        self.kept.insert(self.last, Kept { over, state: State::Asked, since: now });
        Noted::Here(self.ask(self.last))
    }

    fn ask(&self, number: u64) -> Ask {
        Ask { number, doubts: self.doubts }
    }

    fn number_of(&self, over: &Over) -> Option<u64> {
        match over {
            Over::Session(key) => self.sessions.get(key).copied(),
            Over::Marked(mark, ..) => self.marks.get(mark).copied(),
        }
    }

    /// The oldest one that the store has taken goes.
    fn make_room(&mut self) -> bool {
        let is_done = |kept: &Kept| matches!(kept.state, State::Written | State::Doubted);
        let oldest = self.kept.iter().find(|(_, kept)| is_done(kept)).map(|(number, _)| *number);
        oldest.is_some_and(|number| self.remove(number))
    }

    fn expire(&mut self, now: Duration) {
        while let Some((number, kept)) = self.kept.first_key_value() {
            let keep = match kept.state {
                State::Written => REMEMBERED_FOR,
                State::Asked | State::Owed | State::Doubted => self.bounds.longest.max(REMEMBERED_FOR),
            };
            if now < kept.since.saturating_add(keep) {
                return;
            }
            let number = *number;
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u64) -> bool {
        let Some(kept) = self.kept.remove(&number) else { return false };
        match kept.over {
            Over::Session(key) => drop(self.sessions.remove(&key)),
            Over::Marked(mark, ..) => drop(self.marks.remove(&mark)),
        }
        true
    }
}

/// Of two endings under one mark: the later moment and the longer life.
fn later(before: &Over, over: Over) -> Over {
    match (before, over) {
        (Over::Marked(_, moment, keep), Over::Marked(mark, now, life)) => {
            Over::Marked(mark, now.max(*moment), life.max(*keep))
        }
        (_, over) => over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::tests::session;

    const BOUNDS: Bounds = Bounds { endings: 3, longest: Duration::from_secs(36_000) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn over(byte: u8) -> Over {
        Over::Session(SessionKey::from_digest([byte; 32]))
    }

    fn has(list: &List, byte: u8) -> bool {
        list.has(&SessionKey::from_digest([byte; 32]))
    }

    fn note(list: &mut List, byte: u8, now: u64) -> Ask {
        match list.note(over(byte), at(now)) {
            Noted::Here(ask) => ask,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_owed_stays_and_is_written_in_order() {
        let mut list = List::new(BOUNDS);
        let asks: Vec<Ask> = (1..=3).map(|byte| note(&mut list, byte, 0)).collect();
        assert!(list.owed(9, at(0)).is_empty(), "whoever ends them is at it");
        asks.iter().for_each(|ask| list.owe(ask.number));
        assert_eq!(list.note(over(2), at(1)), Noted::Owed);
        let due = |number: usize| Due {
            ask: asks[number],
            over: over(u8::try_from(number).unwrap() + 1),
            was_taken: false,
        };
        assert_eq!(list.owed(9, at(20_000)), [due(0), due(1), due(2)]);
        assert_eq!(list.owed(2, at(20_000)).len(), 2);
        list.settle(asks[0]);
        assert_eq!(list.owed(9, at(20_000)).len(), 2);
        // After the longest life of a session its record is gone by itself.
        assert!(list.owed(9, at(36_000)).is_empty());
        assert_eq!(list.len(), 0);
    }

    #[test]
    fn what_was_written_is_remembered_for_ten_minutes_and_doubted_as_often_as_need_be() {
        let mut list = List::new(BOUNDS);
        let first = note(&mut list, 1, 0);
        list.settle(first);
        let mut ask = first;
        for now in [1, 300, 599] {
            assert!(list.owed(9, at(now)).is_empty());
            list.doubt(at(now));
            ask = Ask { doubts: ask.doubts + 1, ..ask };
            assert_eq!(list.owed(9, at(now)), [Due { ask, over: over(1), was_taken: true }]);
            assert!(list.settle(ask));
        }
        // An outage that lasts longer does not make the store surer.
        list.doubt(at(599));
        let [Due { ask, .. }] = list.owed(9, at(5000)).try_into().unwrap();
        list.settle(ask);
        list.doubt(at(5000));
        assert!(list.owed(9, at(5000)).is_empty());
        assert!(!has(&list, 1));
    }

    #[test]
    fn a34_what_a_store_took_that_was_doubted_before_it_answered_is_written_again() {
        let mut list = List::new(BOUNDS);
        let (asked, owed) = (note(&mut list, 1, 0), note(&mut list, 2, 0));
        list.owe(owed.number);
        let writing = list.owed(9, at(1)).remove(0).ask;
        // A failover, between the writing and its answer.
        list.doubt(at(2));
        assert!(!list.settle(asked) && !list.settle(writing));
        let again: Vec<Due> = list.owed(9, at(3));
        assert_eq!(again.iter().map(|due| due.was_taken).collect::<Vec<_>>(), [true, true]);
        assert!(again.into_iter().all(|due| list.settle(due.ask)));
        assert!(list.owed(9, at(4)).is_empty());
    }

    #[test]
    fn what_is_owed_never_makes_room() {
        let mut list = List::new(BOUNDS);
        let asks: Vec<Ask> = (1..=3).map(|byte| note(&mut list, byte, 0)).collect();
        list.owe(asks[0].number);
        list.settle(asks[1]);
        list.owe(asks[2].number);
        let fourth = note(&mut list, 4, 1);
        assert!(has(&list, 1) && !has(&list, 2) && has(&list, 3) && has(&list, 4));
        list.owe(fourth.number);
        assert_eq!(list.note(over(5), at(1)), Noted::Full);
        assert!(!has(&list, 5));
        // One that turns out not to be gives its place back.
        list.withdraw(fourth.number);
        note(&mut list, 5, 2);
    }

    #[test]
    fn a_mark_refuses_who_is_meant_and_not_younger() {
        let mut list = List::new(BOUNDS);
        let mut session = session();
        let key = SessionKey::from_digest([9; 32]);
        let mark = OwnMark::of(Mark::Person(&session.identity.issuer, &session.identity.subject)).unwrap();
        let moment = session.started;
        let keep = at(600);
        list.note(Over::Marked(mark.clone(), moment, keep), at(0));
        assert!(list.refuses(&key, &session));
        session.started = moment.plus(Duration::from_millis(1));
        assert!(!list.refuses(&key, &session));
        // The later moment counts, in whatever order they come.
        let after = moment.plus(at(5));
        let Noted::Here(ask) = list.note(Over::Marked(mark.clone(), after, keep), at(1)) else { panic!() };
        assert!(list.refuses(&key, &session));
        list.owe(ask.number);
        list.note(Over::Marked(mark.clone(), moment, keep), at(2));
        assert_eq!((list.latest(&[mark.as_mark()], after), list.len()), (Some(after), 1));
        // Another person's session is nobody's business here.
        session.started = moment;
        session.identity.subject = Subject::parse("somebody-else").unwrap();
        assert!(!list.refuses(&key, &session));
    }

    #[test]
    fn marks_are_written_first() {
        let mut list = List::new(BOUNDS);
        let first = note(&mut list, 1, 0);
        list.owe(first.number);
        let mark = OwnMark::ProviderSession(Issuer::new("https://idp.example.com"), "one".into());
        let marked = Over::Marked(mark, Timestamp::from_unix_seconds(5), at(600));
        let Noted::Here(second) = list.note(marked, at(1)) else { panic!() };
        list.owe(second.number);
        let asks: Vec<Ask> = list.owed(9, at(1)).into_iter().map(|due| due.ask).collect();
        assert_eq!(asks, [second, first]);
    }
}
