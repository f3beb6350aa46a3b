//! A document of the provider: fetched when first asked for, kept, and fetched again when it is old.
//!
//! I own: [`Cached`]. I may call: `domain`, `ports` (clock and error). I never let two callers fetch at once, and never give
//! up a good document because a newer one does not come (R21, A18). Where it comes from is the caller's affair.

use crate::domain::time::Timestamp;
use crate::ports::{Clock, ProviderError};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// How soon after a failed first fetch the next one may start. Until then its error is the answer.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// How soon after a failed renewal the next one may start. The old document goes on meanwhile.
pub(crate) const RENEWAL_RETRY: Duration = Duration::from_secs(60);

/// A document and how long it may be kept.
pub(crate) struct Fetched<T> {
    /// The document.
    pub(crate) document: T,
    /// How long until it is fetched again.
    pub(crate) keep: Duration,
}

struct Kept<T> {
    document: Arc<T>,
    renew_at: Timestamp,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { document: Arc::clone(&self.document), renew_at: self.renew_at }
    }
}

/// The last failure to fetch a document that was never there.
struct Failure {
    at: Timestamp,
    error: ProviderError,
}

/// One document, and the gate that one fetch at a time goes through.
pub(crate) struct Cached<T> {
    kept: RwLock<Option<Kept<T>>>,
    gate: Mutex<Option<Failure>>,
}

impl<T> Cached<T> {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { kept: RwLock::new(None), gate: Mutex::new(None) }
    }

    /// The document, fetched if there is none or it is old. While one caller renews it, all others take the old one.
    ///
    /// # Errors
    /// Those of `fetch`, when there is no document at all.
    pub(crate) async fn get<F, Answer>(&self, clock: &dyn Clock, fetch: F) -> Result<Arc<T>, ProviderError>
    where
        F: FnOnce() -> Answer,
        Answer: Future<Output = Result<Fetched<T>, ProviderError>>,
    {
        if let Some(kept) = self.kept() {
            return Ok(self.renewed(kept, clock, fetch).await);
        }
        let mut failure = self.gate.lock().await;
        // Whoever held the gate before may have brought it.
        if let Some(kept) = self.kept() {
            return Ok(kept.document);
        }
        if let Some(last) = failure.as_ref()
            && (last.at..last.at.plus(FIRST_RETRY)).contains(&clock.now())
        {
            return Err(again(&last.error));
        }
        match fetch().await {
            Ok(fetched) => {
                *failure = None;
                Ok(self.keep(fetched, clock.now()))
            }
            Err(error) => {
                *failure = Some(Failure { at: clock.now(), error: again(&error) });
                Err(error)
            }
        }
    }

    async fn renewed<F, Answer>(&self, kept: Kept<T>, clock: &dyn Clock, fetch: F) -> Arc<T>
    where
        F: FnOnce() -> Answer,
        Answer: Future<Output = Result<Fetched<T>, ProviderError>>,
    {
        if clock.now() < kept.renew_at {
            return kept.document;
        }
        let Ok(_gate) = self.gate.try_lock() else { return kept.document };
        // Somebody may have finished between the look and the lock.
        if let Some(newer) = self.kept().filter(|newer| clock.now() < newer.renew_at) {
            return newer.document;
        }
        match fetch().await {
            Ok(fetched) => self.keep(fetched, clock.now()),
            Err(error) => {
                tracing::warn!(%error, "a document of the identity provider cannot be renewed; the last one is used");
                self.put(Kept {
                    document: Arc::clone(&kept.document),
                    renew_at: clock.now().plus(RENEWAL_RETRY),
                });
                kept.document
            }
        }
    }

    /// A document other than `seen`: the one that somebody else just fetched, or one fetched now, if `may_fetch`
    /// says so when it is our turn. `None` when it does not.
    ///
    /// # Errors
    /// Those of `fetch`.
    pub(crate) async fn other_than<F, Answer>(
        &self,
        seen: &Arc<T>,
        clock: &dyn Clock,
        may_fetch: impl FnOnce(Timestamp) -> bool,
        fetch: F,
    ) -> Result<Option<Arc<T>>, ProviderError>
    where
        F: FnOnce() -> Answer,
        Answer: Future<Output = Result<Fetched<T>, ProviderError>>,
    {
        let _gate = self.gate.lock().await;
        if let Some(kept) = self.kept().filter(|kept| !Arc::ptr_eq(&kept.document, seen)) {
            return Ok(Some(kept.document));
        }
        if !may_fetch(clock.now()) {
            return Ok(None);
        }
        Ok(Some(self.keep(fetch().await?, clock.now())))
    }

    /// Whether there is a document, old or new.
    pub(crate) fn is_there(&self) -> bool {
        self.kept().is_some()
    }

    fn kept(&self) -> Option<Kept<T>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, fetched: Fetched<T>, now: Timestamp) -> Arc<T> {
        let document = Arc::new(fetched.document);
        self.put(Kept { document: Arc::clone(&document), renew_at: now.plus(fetched.keep) });
        document
    }

    fn put(&self, kept: Kept<T>) {
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}

/// The same error once more: the port's error is not `Clone`, and needs to be nowhere else.
fn again(error: &ProviderError) -> ProviderError {
    match error {
        ProviderError::Unavailable(text) => ProviderError::Unavailable(text.clone()),
        ProviderError::Misconfigured(text) => ProviderError::Misconfigured(text.clone()),
        ProviderError::Refused(text) => ProviderError::Refused(text.clone()),
        ProviderError::Rejected(text) => ProviderError::Rejected(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::forge::ManualClock;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    struct Scene {
        clock: ManualClock,
        fetches: AtomicUsize,
        cached: Cached<usize>,
    }

    impl Scene {
        fn new() -> Self {
            Self { clock: ManualClock::at(1000), fetches: AtomicUsize::new(0), cached: Cached::new() }
        }

        async fn get(&self, works: bool) -> Result<usize, ProviderError> {
            let fetch = || async {
                let count = self.fetches.fetch_add(1, SeqCst) + 1;
                tokio::task::yield_now().await;
                let kept = Fetched { document: count, keep: Duration::from_secs(3600) };
                works.then_some(kept).ok_or_else(|| ProviderError::Unavailable("down".into()))
            };
            self.cached.get(&self.clock, fetch).await.map(|document| *document)
        }
    }

    #[tokio::test]
    async fn fifty_callers_fetch_once() {
        let scene = Scene::new();
        let all = futures_util::future::join_all((0..50).map(|_| scene.get(true))).await;
        assert!(all.into_iter().all(|got| got.unwrap() == 1));
        assert_eq!(scene.fetches.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn r22_a_failed_first_fetch_is_tried_again_at_most_once_a_second() {
        let scene = Scene::new();
        for _ in 0..5 {
            assert!(matches!(scene.get(false).await, Err(ProviderError::Unavailable(_))));
        }
        assert_eq!(scene.fetches.load(SeqCst), 1);
        scene.clock.set(1001);
        assert_eq!(scene.get(true).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn r21_a18_the_last_good_document_is_kept() {
        let scene = Scene::new();
        assert_eq!(scene.get(true).await.unwrap(), 1);
        scene.clock.set(1000 + 3600);
        assert_eq!(scene.get(false).await.unwrap(), 1, "renewal fails");
        assert_eq!(scene.get(true).await.unwrap(), 1, "not tried again at once");
        assert_eq!(scene.fetches.load(SeqCst), 2);
        scene.clock.set(1000 + 3660);
        assert_eq!(scene.get(true).await.unwrap(), 3);
    }
}
