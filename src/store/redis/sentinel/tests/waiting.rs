//! What replicas confirm, and what it costs when they do not.

use super::*;
use futures_util::future::join_all;

fn waiting(settings: RedisSettings, replicas: Option<u8>, millis: u64) -> RedisSettings {
    let wait = WaitSettings { replicas, at_most: Duration::from_millis(millis) };
    RedisSettings { wait, ..settings }
}

/// How often `WAIT` was carried out.
fn waits_at(server: &Server) -> u64 {
    let text: String = server.tell(cmd("INFO").arg("commandstats"));
    let line = text.lines().find(|line| line.starts_with("cmdstat_wait:"));
    line.map_or(0, |line| line.split(['=', ',']).nth(1).unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_server_alone_is_not_waited_for_and_nothing_is_counted() {
    let server = Server::start(None);
    let desk = Desk::of(server.settings("keycard:")).await;
    let ticket = desk.create().await.unwrap();
    assert!(desk.store.remove(&session_key(&ticket)).await.unwrap());
    assert_eq!((desk.counts(), desk.waits.last()), ((0, 0), Confirmation::Alone));
    assert_eq!(waits_at(&server), 0);
    let clients: String = server.tell(cmd("CLIENT").arg("LIST"));
    assert_eq!(clients.lines().count(), 2, "ours and the one that looks");
}

#[tokio::test]
async fn what_must_not_be_forgotten_is_confirmed_and_nothing_else_is_waited_for() {
    let (master, _replica) = pair();
    let desk = Desk::of(waiting(master.settings("keycard:"), None, 5000)).await;
    let ticket = desk.create().await.unwrap();
    let key = session_key(&ticket);
    assert_eq!(desk.counts(), (1, 0), "a sign-in");
    assert!(desk.has(&ticket).await);
    desk.store.touch(&key, NOW, Duration::from_secs(60)).await.unwrap();
    assert_eq!(desk.counts(), (1, 0), "a read and a touch");
    let holder = crate::keyring::new_lease_id().unwrap();
    assert!(desk.store.lease(&key, holder, NOW, Duration::from_secs(60)).await.unwrap());
    assert_eq!(desk.counts(), (2, 0), "a lease");
    desk.store.update(&ticket, &session(), 1, NOW).await.unwrap();
    assert_eq!(desk.counts(), (3, 0), "renewed tokens");
    let who = session().identity;
    let mark = crate::domain::logout::Mark::Person(&who.issuer, &who.subject);
    desk.store.mark(mark, NOW, Duration::from_secs(60)).await.unwrap();
    assert_eq!(desk.counts(), (4, 0), "a mark");
    assert!(desk.store.remove(&key).await.unwrap());
    assert_eq!(desk.counts(), (5, 0), "an ending");
    assert_eq!(waits_at(&master), 5);
}

#[tokio::test]
async fn many_at_once_share_their_waits() {
    let (master, _replica) = pair();
    let desk = Desk::of(waiting(master.settings("keycard:"), None, 5000)).await;
    desk.create().await.unwrap();
    let made = join_all((0..200).map(|_| desk.create())).await;
    assert!(made.iter().all(Result::is_ok));
    assert_eq!(desk.counts(), (201, 0), "each of them is confirmed");
    assert!(waits_at(&master) < 100, "{} for 201 writes", waits_at(&master));
}

#[tokio::test]
async fn replicas_that_do_not_keep_up_cost_one_wait_in_a_second_and_no_request() {
    let (master, replica) = pair();
    let desk = Desk::of(waiting(master.settings("keycard:"), None, 500)).await;
    // On a busy machine a replica may be late at first.
    while desk.waits.last() != Confirmation::Confirmed {
        desk.create().await.unwrap();
    }
    let (confirmed, short) = desk.counts();
    replica.freeze();
    let begun = Instant::now();
    let ticket = desk.create().await.unwrap();
    // Redis counts in milliseconds that have begun.
    assert!(begun.elapsed() >= Duration::from_millis(450), "it waits as long as it may");
    assert_eq!((desk.counts(), desk.waits.last()), ((confirmed, short + 1), Confirmation::Short));
    let before = waits_at(&master);
    for _ in 0..20 {
        desk.create().await.unwrap();
    }
    // Those who come within a second are counted, and go on at once.
    assert!(waits_at(&master) - before <= 1 + begun.elapsed().as_secs());
    assert_eq!(desk.counts(), (confirmed, short + 21));
    assert!(desk.has(&ticket).await);
    replica.thaw();
    let begun = Instant::now();
    while desk.waits.last() != Confirmation::Confirmed {
        desk.create().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "never waited for again");
    }
}

#[tokio::test]
async fn reads_do_not_queue_behind_a_wait() {
    let (master, replica) = pair();
    let desk = Arc::new(Desk::of(waiting(master.settings("keycard:"), None, 5000)).await);
    let ticket = desk.create().await.unwrap();
    replica.freeze();
    let waiting = tokio::spawn({
        let desk = desk.clone();
        async move { desk.create().await.unwrap() }
    });
    // The replica never confirms this one; while it is waited for, everybody else is served.
    while !master.tell::<String>(cmd("CLIENT").arg("LIST")).contains("cmd=wait") {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert!(desk.has(&ticket).await);
    }
    assert!(!waiting.is_finished());
    replica.thaw();
    let second = waiting.await.unwrap();
    assert!(desk.has(&second).await);
}

#[tokio::test]
async fn a_number_of_ones_own_and_none() {
    let (master, _replica) = pair();
    let off = Desk::of(waiting(master.settings("off:"), Some(0), 100)).await;
    off.create().await.unwrap();
    assert_eq!((off.counts(), waits_at(&master)), ((0, 0), 0));
    // Two are asked for, and there is one: that is known, and counted without waiting.
    let two = Desk::of(waiting(master.settings("two:"), Some(2), 5000)).await;
    let begun = Instant::now();
    two.create().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((two.counts(), waits_at(&master)), ((0, 1), 0));
}

#[tokio::test]
async fn a_replica_that_comes_later_is_waited_for() {
    let (master, replica) = (Server::start(None), Server::start(None));
    master.tell::<()>(cmd("CONFIG").arg("SET").arg("repl-diskless-sync-delay").arg(0));
    let desk = Desk::of(master.settings("keycard:")).await;
    desk.create().await.unwrap();
    assert_eq!(desk.waits.last(), Confirmation::Alone);
    replica.tell::<()>(cmd("REPLICAOF").arg("127.0.0.1").arg(master.port()));
    master.until_replicated(1);
    let begun = Instant::now();
    while desk.waits.last() != Confirmation::Confirmed {
        desk.create().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "never waited for");
    }
    // And missed when it is gone: it was there.
    replica.kill();
    while desk.waits.last() != Confirmation::Short {
        desk.create().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "never missed");
    }
}

#[tokio::test]
async fn a_user_who_may_not_wait_is_told_apart() {
    let (master, _replica) = pair();
    let user = |rights: &str| {
        let mut command = cmd("ACL");
        command.arg("SETUSER").arg("desk").arg("reset").arg("on").arg(">pw").arg("~keycard:*");
        format!("{RIGHTS} {rights}").split_whitespace().for_each(|right| {
            command.arg(right);
        });
        command
    };
    let url = format!("redis://desk:pw@127.0.0.1:{}/0", master.port());
    master.tell::<()>(&user("-wait"));
    let desk = Desk::of(master.settings_at(&url, "keycard:")).await;
    desk.create().await.unwrap();
    assert_eq!((desk.counts(), desk.waits.last()), ((0, 1), Confirmation::Refused));
    // Who may not even ask whether there are any is not waited for; that costs one refusal per connection.
    master.tell::<()>(&user("-role -wait"));
    let blind = Desk::of(master.settings_at(&url, "keycard:")).await;
    for _ in 0..3 {
        blind.create().await.unwrap();
    }
    assert_eq!((blind.counts(), blind.waits.last()), ((0, 0), Confirmation::Alone));
}
