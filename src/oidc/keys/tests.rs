//! Rotations and floods, on a clock that only moves by hand (R23, A16, A17).

use super::*;
use crate::domain::algorithm::SigningAlgorithm;
use crate::oidc::forge::{ManualClock, NOW, Signer, jwks};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const RS256: [SigningAlgorithm; 1] = [SigningAlgorithm::Rs256];

struct Scene {
    clock: Arc<ManualClock>,
    cache: KeyCache,
    published: Mutex<Result<String, ()>>,
    fetches: AtomicUsize,
}

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let cache = KeyCache::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let scene = Self { clock, cache, published: Mutex::new(Err(())), fetches: AtomicUsize::new(0) };
        scene.publish(0, "first");
        scene
    }

    fn publish(&self, key: usize, kid: &str) {
        *self.published.lock().unwrap() = Ok(jwks(&[Signer::rsa(key).jwk(&format!(r#""kid":"{kid}""#))]));
    }

    fn break_down(&self) {
        *self.published.lock().unwrap() = Err(());
    }

    fn fetched(&self) -> usize {
        self.fetches.load(SeqCst)
    }

    async fn fetch(&self) -> Result<Fetched<KeySet>, ProviderError> {
        self.fetches.fetch_add(1, SeqCst);
        let published = self.published.lock().unwrap().clone();
        tokio::task::yield_now().await;
        let text = published.map_err(|()| ProviderError::Unavailable("down".into()))?;
        Ok(Fetched { document: KeySet::parse(text.as_bytes()).unwrap(), keep: KEEP })
    }

    /// Verifies a token by RSA key `key`, under `kid` (or none).
    async fn verify(&self, key: usize, kid: Option<&str>) -> Result<Result<(), JwtError>, ProviderError> {
        let kid = kid.map(|kid| format!(r#","kid":"{kid}""#)).unwrap_or_default();
        let token = Signer::rsa(key).token(&format!(r#"{{"alg":"RS256"{kid}}}"#), "{}");
        let token = Unverified::parse(&token, &RS256).unwrap();
        Ok(self.cache.verify(&token, || self.fetch()).await?.map(drop))
    }
}

#[tokio::test]
async fn a16_two_rotations_within_one_second() {
    let scene = Scene::new();
    assert_eq!(scene.verify(0, Some("first")).await.unwrap(), Ok(()));
    scene.publish(1, "second");
    assert_eq!(scene.verify(1, Some("second")).await.unwrap(), Ok(()));
    scene.publish(0, "third");
    assert_eq!(scene.verify(0, Some("third")).await.unwrap(), Ok(()));
    assert_eq!(scene.fetched(), 3);
    assert_eq!(scene.verify(0, Some("first")).await.unwrap(), Err(JwtError::NoKey), "the old key is gone");
}

#[tokio::test]
async fn a16_rotation_of_keys_without_names() {
    let scene = Scene::new();
    assert_eq!(scene.verify(0, None).await.unwrap(), Ok(()));
    scene.publish(1, "x");
    assert_eq!(scene.verify(1, None).await.unwrap(), Ok(()));
    scene.publish(0, "y");
    assert_eq!(scene.verify(0, None).await.unwrap(), Ok(()));
    assert_eq!(scene.fetched(), 3);
}

#[tokio::test]
async fn a17_a_thousand_unknown_kids_at_one_instant() {
    let scene = Scene::new();
    let kids: Vec<String> = (0..1000).map(|number| format!("random-{number}")).collect();
    for kid in &kids {
        assert_eq!(scene.verify(1, Some(kid)).await.unwrap(), Err(JwtError::NoKey));
    }
    assert_eq!(scene.fetched(), 1 + 2, "the first load and two refetches");
    assert_eq!(scene.verify(0, Some("first")).await.unwrap(), Ok(()), "others are not disturbed");
    scene.clock.set(NOW + 15);
    for kid in &kids {
        assert_eq!(scene.verify(1, Some(kid)).await.unwrap(), Err(JwtError::NoKey));
    }
    assert_eq!(scene.fetched(), 1 + 3, "one more after fifteen seconds");
}

#[tokio::test]
async fn a17_floods_in_parallel_fly_once() {
    let scene = Scene::new();
    let kids: Vec<String> = (0..100).map(|number| format!("random-{number}")).collect();
    let all = kids.iter().map(|kid| scene.verify(1, Some(kid)));
    for got in futures_util::future::join_all(all).await {
        assert_eq!(got.unwrap(), Err(JwtError::NoKey));
    }
    assert!(scene.fetched() <= 1 + 2, "{}", scene.fetched());
}

#[tokio::test]
async fn r23_a_missing_kid_is_remembered_until_the_next_permitted_refetch() {
    let scene = Scene::new();
    assert_eq!(scene.verify(1, Some("late")).await.unwrap(), Err(JwtError::NoKey));
    scene.publish(1, "late");
    assert_eq!(scene.verify(1, Some("late")).await.unwrap(), Err(JwtError::NoKey));
    assert_eq!(scene.fetched(), 2, "the second allowance is kept for another kid");
    scene.clock.set(NOW + 15);
    assert_eq!(scene.verify(1, Some("late")).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn r23_a_bad_signature_under_a_known_kid_asks_nobody() {
    let scene = Scene::new();
    for _ in 0..10 {
        assert_eq!(scene.verify(1, Some("first")).await.unwrap(), Err(JwtError::Signature));
    }
    assert_eq!(scene.fetched(), 1);
}

#[tokio::test]
async fn a18_old_keys_go_on_while_new_ones_cannot_be_had() {
    let scene = Scene::new();
    assert_eq!(scene.verify(0, Some("first")).await.unwrap(), Ok(()));
    scene.break_down();
    scene.clock.set(NOW + 3600);
    assert_eq!(scene.verify(0, Some("first")).await.unwrap(), Ok(()));
    assert_eq!(scene.fetched(), 2);
    let unknown = scene.verify(1, Some("second")).await;
    assert!(matches!(unknown, Err(ProviderError::Unavailable(_))));
    scene.publish(1, "second");
    scene.clock.set(NOW + 3660);
    assert_eq!(
        scene.verify(0, Some("first")).await.unwrap(),
        Err(JwtError::NoKey),
        "renewed: the key is gone"
    );
}

#[test]
fn r23_max_age_counts_between_a_minute_and_a_day() {
    for (age, expected) in [(None, 3600), (Some(0), 60), (Some(300), 300), (Some(u64::MAX), 86_400)] {
        assert_eq!(keep_for(age.map(Duration::from_secs)).as_secs(), expected);
    }
}

#[test]
fn the_bucket_refills_to_two_and_no_further() {
    let at = Timestamp::from_unix_seconds;
    let mut throttle = Throttle { allowed: BURST, counted: at(0), asked: BTreeMap::new() };
    let mut allowed = |second| throttle.allow(None, at(second));
    assert_eq!([allowed(1000), allowed(1000), allowed(1000)], [true, true, false]);
    assert_eq!([allowed(1014), allowed(1015), allowed(1016)], [false, true, false]);
    assert_eq!([allowed(900), allowed(914), allowed(915)], [false, false, true], "a clock that was set back");
    assert_eq!([allowed(9000), allowed(9000), allowed(9000)], [true, true, false]);
}
