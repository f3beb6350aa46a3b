//! How many sessions one person may have.
//!
//! I own: [`Cap`] and what it decides. I may call: `session`, `time`. I never end anything: who calls me does.
//!
//! Sessions are put into one order, by when they began and then by name, and the order is the same whoever looks. So two
//! gateways at which a person signs in at the same moment come to the same end, whichever of them sees more.

use super::session::SessionKey;
use super::time::Timestamp;
use std::num::NonZeroUsize;

/// `session.max_per_user` and `session.at_limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// The most sessions of one person.
    pub most: NonZeroUsize,
    /// What becomes of one more.
    pub at_limit: AtLimit,
}

/// What becomes of a sign-in that is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLimit {
    /// The oldest session ends.
    EndOldest,
    /// It is refused.
    Refuse,
}

/// What a login has to do that has written its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surplus {
    /// Whether it may stay.
    pub stays: bool,
    /// Whom it has to end.
    pub end: Vec<SessionKey>,
}

impl Cap {
    /// Judges a login, whose own session is among `sessions`: all of the person's that are in force.
    ///
    /// With [`AtLimit::Refuse`] whoever came first stays. Of two that came at the same moment the later one in the order
    /// takes itself back when it sees the other; where it looked too early for that, the other one ends it. Sessions that
    /// were there before are left alone, also where there are more of them than the limit allows by now.
    pub fn judge(&self, mut sessions: Vec<(Timestamp, SessionKey)>, own: &SessionKey) -> Surplus {
        sessions.sort_unstable_by_key(|(began, key)| (*began, *key.as_bytes()));
        let mut keys: Vec<SessionKey> = sessions.into_iter().map(|(_, key)| key).collect();
        keys.dedup();
        let most = self.most.get();
        let over = match self.at_limit {
            AtLimit::EndOldest => {
                let surplus = keys.len().saturating_sub(most);
                keys.truncate(surplus);
                keys
            }
            AtLimit::Refuse => keys.split_off(most.min(keys.len())),
        };
        let stays = !over.contains(own);
        // Whoever is one too many here touches nobody else.
        let end = if stays || self.at_limit == AtLimit::EndOldest { over } else { Vec::new() };
        Surplus { stays, end: end.into_iter().filter(|key| key != own).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> SessionKey {
        SessionKey::from_digest([number; 32])
    }

    fn judged(at_limit: AtLimit, sessions: &[(u64, u8)], own: u8) -> (bool, Vec<SessionKey>) {
        let cap = Cap { most: NonZeroUsize::new(2).unwrap(), at_limit };
        let sessions = sessions.iter().map(|(at, number)| (Timestamp::from_unix_millis(*at), key(*number)));
        let Surplus { stays, end } = cap.judge(sessions.collect(), &key(own));
        (stays, end)
    }

    #[test]
    fn the_oldest_end_and_nobody_within_the_limit() {
        use AtLimit::EndOldest;
        assert_eq!(judged(EndOldest, &[(2, 2), (1, 1)], 2), (true, vec![]));
        assert_eq!(judged(EndOldest, &[(3, 3), (2, 2), (1, 1)], 3), (true, vec![key(1)]));
        assert_eq!(judged(EndOldest, &[(3, 3), (2, 2), (1, 1), (4, 4)], 4), (true, vec![key(1), key(2)]));
        // Seen twice in an index, a session counts once.
        assert_eq!(judged(EndOldest, &[(2, 2), (1, 1), (2, 2)], 2), (true, vec![]));
    }

    #[test]
    fn two_at_once_agree_on_who_ends() {
        use AtLimit::EndOldest;
        let all = [(1, 1), (5, 3), (5, 2)];
        assert_eq!(judged(EndOldest, &all, 2), (true, vec![key(1)]));
        assert_eq!(judged(EndOldest, &all, 3), (true, vec![key(1)]));
        // Three at once: the first of the order goes, whoever looks, itself included.
        let all = [(5, 1), (5, 3), (5, 2)];
        assert_eq!(judged(EndOldest, &all, 1), (false, vec![]));
        assert_eq!(judged(EndOldest, &all, 3), (true, vec![key(1)]));
    }

    #[test]
    fn one_too_many_is_refused_and_ends_nobody() {
        use AtLimit::Refuse;
        assert_eq!(judged(Refuse, &[(1, 1), (2, 2)], 2), (true, vec![]));
        assert_eq!(judged(Refuse, &[(1, 1), (2, 2), (3, 3)], 3), (false, vec![]));
        // A limit that was lowered ends nobody who is in.
        assert_eq!(judged(Refuse, &[(1, 1), (2, 2), (3, 3), (4, 4)], 4), (false, vec![]));
    }

    #[test]
    fn of_two_at_once_for_one_place_one_stays_whoever_looks_first() {
        use AtLimit::Refuse;
        let all = [(1, 1), (5, 3), (5, 2)];
        assert_eq!(judged(Refuse, &all, 3), (false, vec![]));
        // The other one had looked before it was there, and stays; the first in the order ends it.
        assert_eq!(judged(Refuse, &all, 2), (true, vec![key(3)]));
    }
}
