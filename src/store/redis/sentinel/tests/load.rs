//! The master is killed while many sign in, come back and sign out: what is lost, and for how long nobody is served.

use super::*;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// Gateways, each with a store of its own.
const DESKS: usize = 8;

/// What one gateway has been told about its sessions.
#[derive(Default)]
struct Book {
    /// Signed in, and whether a replica has it.
    live: Vec<(Ticket, bool)>,
    /// Signed out, and whether a replica knows.
    ended: Vec<(Ticket, bool)>,
    /// Answered with an error: whether it was done, nobody knows.
    unsure: usize,
    errors: usize,
}

/// What was found afterwards.
#[derive(Default, Debug)]
#[expect(dead_code, reason = "some of it is only shown")]
struct Findings {
    answered: u64,
    errors: usize,
    unsure: usize,
    confirmed: usize,
    short: usize,
    lost_though_confirmed: usize,
    revived_though_confirmed: usize,
    lost: usize,
    revived: usize,
    without_service: Duration,
    master_is_known_after: Duration,
}

/// What goes on, for all to see.
#[derive(Default)]
struct Course {
    stop: AtomicBool,
    killed: AtomicBool,
    answered: AtomicU64,
    /// When somebody was last answered before the kill, and first after it.
    times: Mutex<(Option<Instant>, Option<Instant>)>,
}

impl Course {
    /// Something that was asked before or after the kill was answered.
    fn answered(&self, was_killed: bool) {
        self.answered.fetch_add(1, Ordering::SeqCst);
        let mut times = self.times.lock().unwrap();
        if !was_killed {
            times.0 = Some(Instant::now());
        } else if times.1.is_none() {
            times.1 = Some(Instant::now());
        }
    }
}

async fn work(desk: &Desk, course: &Course) -> Book {
    let mut book = Book::default();
    let mut turn = 0;
    while !course.stop.load(Ordering::SeqCst) {
        turn += 1;
        let was_killed = course.killed.load(Ordering::SeqCst);
        if book.act(desk, turn).await {
            course.answered(was_killed);
        } else {
            book.errors += 1;
        }
    }
    book
}

impl Book {
    /// Somebody signs in, comes back or signs out; whether there was an answer.
    async fn act(&mut self, desk: &Desk, turn: usize) -> bool {
        let before = desk.counts().0;
        let any = turn % self.live.len().max(1);
        match turn % 4 {
            3 if !self.live.is_empty() => {
                let (ticket, _) = self.live.swap_remove(any);
                let Ok(_) = desk.store.remove(&session_key(&ticket)).await else {
                    self.unsure += 1;
                    return false;
                };
                self.ended.push((ticket, desk.counts().0 > before));
            }
            2 if !self.live.is_empty() => return desk.store.load(&self.live[any].0, NOW).await.is_ok(),
            _ => {
                let Ok(ticket) = desk.create().await else {
                    self.unsure += 1;
                    return false;
                };
                self.live.push((ticket, desk.counts().0 > before));
            }
        }
        true
    }
}

#[expect(clippy::print_stderr, reason = "the figures are for the documentation")]
/// Several gateways, and one master that is killed in the middle of it all.
async fn killed_under_load(replicas: Option<u8>) -> Findings {
    let watched = Arc::new(Watched::start(Plan::default()));
    let course = Arc::new(Course::default());
    let (mut desks, mut workers) = (Vec::new(), Vec::new());
    for _ in 0..DESKS {
        let settings = watched.settings("keycard:");
        let wait = WaitSettings { replicas, ..WaitSettings::default() };
        let settings = RedisSettings { wait, timeout: Duration::from_millis(500), ..settings };
        let desk = Arc::new(Desk::of(settings).await);
        let (worker, course) = (desk.clone(), course.clone());
        workers.push(tokio::spawn(async move { work(&worker, &course).await }));
        desks.push(desk);
    }
    let conductor = tokio::task::spawn_blocking({
        let (course, desks) = (course.clone(), desks.clone());
        move || {
            let goes_on = |many: u64| {
                let from = course.answered.load(Ordering::SeqCst);
                until("it goes on", || course.answered.load(Ordering::SeqCst) >= from + many);
            };
            goes_on(2000);
            // On a busy machine a replica is late, and then nobody waits for a second.
            let confirmed = || desks.iter().map(|desk| desk.counts().0).sum::<u64>();
            until("replicas confirm", || replicas == Some(0) || confirmed() >= 2000);
            watched.servers[0].kill();
            let killed = Instant::now();
            course.killed.store(true, Ordering::SeqCst);
            until("another one is the master", || watched.master().port() != watched.servers[0].port());
            let known = killed.elapsed();
            goes_on(1000);
            course.stop.store(true, Ordering::SeqCst);
            (watched, known)
        }
    });
    let (_watched, known) = conductor.await.unwrap();
    let mut found = Findings { master_is_known_after: known, ..Findings::default() };
    found.answered = course.answered.load(Ordering::SeqCst);
    if let (Some(last), Some(first)) = *course.times.lock().unwrap() {
        found.without_service = first - last;
    }
    for (desk, worker) in desks.iter().zip(workers) {
        let book = worker.await.unwrap();
        found.errors += book.errors;
        found.unsure += book.unsure;
        for (tickets, should_be_there) in [(book.live, true), (book.ended, false)] {
            for (ticket, was_confirmed) in tickets {
                let is_wrong = desk.has(&ticket).await != should_be_there;
                let count = match (is_wrong, should_be_there, was_confirmed) {
                    (true, true, true) => &mut found.lost_though_confirmed,
                    (true, true, false) => &mut found.lost,
                    (true, false, true) => &mut found.revived_though_confirmed,
                    (true, false, false) => &mut found.revived,
                    (false, _, true) => &mut found.confirmed,
                    (false, _, false) => &mut found.short,
                };
                *count += 1;
            }
        }
    }
    // For the documentation: `cargo test killed_under_load -- --nocapture`.
    eprintln!("store_wait = {replicas:?}: {found:?}");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a34_killed_under_load_nothing_is_lost_that_a_replica_has_confirmed() {
    let found = killed_under_load(None).await;
    assert_eq!((found.lost_though_confirmed, found.revived_though_confirmed), (0, 0), "{found:?}");
    assert!(found.confirmed > 500, "{found:?}");
    // Half a second until it counts as down, an election, a new master that the others follow: with room for a busy
    // machine.
    assert!(found.without_service < Duration::from_secs(15), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a34_killed_under_load_without_waiting_service_resumes_as_well() {
    let found = killed_under_load(Some(0)).await;
    assert_eq!(found.confirmed, 0, "{found:?}");
    assert!(found.without_service < Duration::from_secs(15), "{found:?}");
}

#[tokio::test]
async fn a34_what_no_replica_has_is_lost_and_was_counted() {
    let (master, replica) = pair();
    let (sentinel, named) = someone_who_names(master.port()).await;
    let desk = Desk::of(behind(&master, vec![sentinel])).await;
    let (kept, ended) = (desk.create().await.unwrap(), desk.create().await.unwrap());
    assert_eq!(desk.counts(), (2, 0));
    // From here on, nothing reaches the replica, which takes over afterwards.
    replica.tell::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"));
    master.until_replicated(0);
    let forgotten = desk.create().await.unwrap();
    assert!(desk.store.remove(&session_key(&ended)).await.unwrap());
    assert_eq!(desk.counts(), (2, 2));
    master.kill();
    named.store(replica.port(), Ordering::SeqCst);
    desk.until_served().await;
    assert!(desk.has(&kept).await, "confirmed, and there");
    assert!(!desk.has(&forgotten).await, "a sign-in that was counted as not confirmed");
    assert!(desk.has(&ended).await, "an ending that was counted as not confirmed");
}
