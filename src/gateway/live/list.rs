//! The list of those who wait for the end of a session here.
//!
//! I own: [`Live`] and [`Subscription`], a place in it. I may call: `domain`, `ports`. I never keep a place that nobody
//! holds, and I never judge what was told.
//!
//! Every request with a session takes a place and gives it back, on all workers at once: so the list is in parts, each
//! under its own lock, and a place is one small allocation.

use crate::domain::session::SessionKey;
use crate::ports;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// How many parts the list has: far more than there are workers.
const PARTS: usize = 64;

/// What has become of a session, as far as those who wait need to know.
#[derive(Clone, Copy)]
enum News {
    /// Nothing.
    Nothing,
    /// Its record was changed: look again.
    Changed,
    /// It is about to be ended here, and why: whoever finds it gone knows the reason.
    Ending(&'static str),
    /// It is over, and why.
    Ended(&'static str),
}

/// Everybody who waits for the end of a session, by session. One for the whole process.
pub struct Live {
    parts: [Mutex<Part>; PARTS],
    closing: watch::Sender<bool>,
}

type Part = HashMap<SessionKey, Held>;

/// A place, and by how many it is held: counted under the lock of the list.
struct Held {
    place: Arc<Place>,
    by: usize,
}

/// Where all hear who wait for one session.
#[derive(Default)]
struct Place {
    told: Mutex<Told>,
    more: Notify,
}

/// What was told last, and how many times there was something to see.
#[derive(Clone, Copy)]
struct Told {
    news: News,
    times: u64,
}

impl Default for Told {
    fn default() -> Self {
        Self { news: News::Nothing, times: 0 }
    }
}

impl Default for Live {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()), closing: watch::Sender::default() }
    }
}

impl Live {
    /// Takes a place in the list; dropping it gives the place back.
    pub(super) fn subscribe(self: &Arc<Self>, key: SessionKey) -> Subscription {
        let place = match self.part(&key).entry(key) {
            Entry::Occupied(mut held) => {
                held.get_mut().by += 1;
                Arc::clone(&held.get().place)
            }
            Entry::Vacant(vacant) => {
                let place = Arc::<Place>::default();
                vacant.insert(Held { place: Arc::clone(&place), by: 1 });
                place
            }
        };
        let seen = place.told().times;
        Subscription { live: Arc::clone(self), key, place, seen }
    }

    /// The gateway stops: what would stay open for ever has to end.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Completes when the gateway stops.
    pub async fn closing(&self) {
        if self.closing.subscribe().wait_for(|closing| *closing).await.is_err() {
            // Cannot be: the sender is here.
            std::future::pending().await
        }
    }

    /// A session is about to be removed: the news of that may come in before [`Self::ended`] is called.
    pub(in crate::gateway) fn ending(&self, key: &SessionKey, reason: &'static str) {
        self.tell(key, News::Ending(reason));
    }

    /// Tells everybody that a session is over.
    pub(in crate::gateway) fn ended(&self, key: &SessionKey, reason: &'static str) {
        self.tell(key, News::Ended(reason));
    }

    fn tell(&self, key: &SessionKey, news: News) {
        if let Some(held) = self.part(key).get(key) {
            held.place.tell(news);
        }
    }

    fn part(&self, key: &SessionKey) -> MutexGuard<'_, Part> {
        // A digest: any of its bytes spreads the sessions evenly.
        lock(&self.parts[usize::from(key.as_bytes()[0]) % PARTS])
    }
}

impl ports::News for Live {
    fn changed(&self, key: &SessionKey) {
        self.tell(key, News::Changed);
    }

    fn anything_changed(&self) {
        for part in &self.parts {
            lock(part).values().for_each(|held| held.place.tell(News::Changed));
        }
    }
}

impl Place {
    /// Wakes everybody, unless there is nothing to see yet; a reason that was told is not forgotten over news that say less.
    fn tell(&self, news: News) {
        let mut told = lock(&self.told);
        if matches!(news, News::Ended(_)) || !matches!(told.news, News::Ending(_) | News::Ended(_)) {
            told.news = news;
        }
        if !matches!(news, News::Ending(_)) {
            told.times += 1;
            self.more.notify_waiters();
        }
    }

    fn told(&self) -> Told {
        *lock(&self.told)
    }
}

/// A place in the list.
pub struct Subscription {
    live: Arc<Live>,
    key: SessionKey,
    place: Arc<Place>,
    seen: u64,
}

impl Subscription {
    /// Why the session is over, if it was told.
    pub fn ended(&self) -> Option<&'static str> {
        match self.place.told().news {
            News::Ended(reason) => Some(reason),
            News::Nothing | News::Changed | News::Ending(_) => None,
        }
    }

    /// Why it is over, if it is.
    pub(super) fn reason(&self) -> Option<&'static str> {
        match self.place.told().news {
            News::Ending(reason) | News::Ended(reason) => Some(reason),
            News::Nothing | News::Changed => None,
        }
    }

    /// Completes when something was told since this was last called, or since the place was taken. May be dropped and
    /// called again.
    pub(super) async fn changed(&mut self) {
        loop {
            // Before the look, so that nothing is told between the two unheard.
            let mut more = std::pin::pin!(self.place.more.notified());
            more.as_mut().enable();
            let times = self.place.told().times;
            if times != self.seen {
                self.seen = times;
                return;
            }
            more.await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut part = self.live.part(&self.key);
        if let Entry::Occupied(mut held) = part.entry(self.key) {
            held.get_mut().by -= 1;
            if held.get().by == 0 {
                held.remove();
            }
        }
    }
}

/// Nothing that is locked here is ever left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::News as _;
    use futures_util::future::join;
    use futures_util::poll;

    const KEY: SessionKey = SessionKey::from_digest([7; 32]);

    #[tokio::test]
    async fn everybody_who_waits_is_told_and_nobody_else() {
        let live = Arc::new(Live::default());
        let (mut one, two) = (live.subscribe(KEY), live.subscribe(KEY));
        let other = live.subscribe(SessionKey::from_digest([8; 32]));
        live.changed(&KEY);
        one.changed().await;
        assert_eq!(one.ended(), None);
        live.ended(&KEY, "by-user");
        one.changed().await;
        assert_eq!((one.ended(), two.ended(), other.ended()), (Some("by-user"), Some("by-user"), None));
    }

    #[tokio::test]
    async fn news_from_the_store_wake_those_who_wait_and_hide_no_reason() {
        let live = Arc::new(Live::default());
        let mut one = live.subscribe(KEY);
        live.anything_changed();
        one.changed().await;
        assert_eq!((one.ended(), one.reason()), (None, None));
        live.ending(&KEY, "by-user");
        live.changed(&KEY);
        one.changed().await;
        assert_eq!((one.ended(), one.reason()), (None, Some("by-user")));
        live.ended(&KEY, "by-user");
        live.changed(&KEY);
        live.anything_changed();
        assert_eq!(one.ended(), Some("by-user"));
    }

    fn held(live: &Live) -> usize {
        live.parts.iter().map(|part| lock(part).len()).sum()
    }

    #[tokio::test]
    async fn what_was_told_before_the_wait_is_not_waited_for() {
        let live = Arc::new(Live::default());
        let mut one = live.subscribe(KEY);
        live.changed(&KEY);
        one.changed().await;
        // Whoever comes later, and whoever has heard it, waits for the next.
        let mut late = live.subscribe(KEY);
        let mut next = std::pin::pin!(join(one.changed(), late.changed()));
        assert!(poll!(next.as_mut()).is_pending());
        live.changed(&KEY);
        assert!(poll!(next.as_mut()).is_ready());
    }

    #[test]
    fn the_list_forgets_who_has_gone() {
        let live = Arc::new(Live::default());
        let (one, two) = (live.subscribe(KEY), live.subscribe(KEY));
        drop(one);
        assert_eq!(held(&live), 1);
        drop(two);
        assert_eq!(held(&live), 0);
        // Nobody is told, and nothing is kept.
        live.ended(&KEY, "by-user");
        assert_eq!(live.subscribe(KEY).ended(), None);
    }
}
