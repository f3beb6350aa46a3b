//! What a connection does with the answers of the application, over a pipe in memory.

use super::*;
use crate::inbound::sentry::gate::Gate;
use crate::inbound::sentry::head::HeadLimits;
use crate::ports::Ledger;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

struct NoLedger;

impl Ledger for NoLedger {
    fn enter(&self, _: Entry<'_>) {}

    fn read(&self) -> String {
        String::new()
    }
}

const ASKS: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn connection() -> (Guarded<DuplexStream>, DuplexStream) {
    let long = Duration::from_secs(60);
    let post = Post {
        head: HeadLimits { bytes: 1000, fields: 10, uri: 100 },
        header_timeout: long,
        keep_alive: long,
        body_stall: long,
        write_stall: long,
        ledger: Arc::new(NoLedger),
    };
    let (ours, theirs) = duplex(100_000);
    let pass = Arc::new(Gate::new(9, 9)).enter(None).ok().unwrap();
    (Guarded::new(ours, Arc::new(post), pass), theirs)
}

/// What the framework would read now; `None` where it would wait.
async fn read(guarded: &mut Guarded<DuplexStream>) -> Option<String> {
    let mut buffer = vec![0; 10_000];
    let read = std::pin::pin!(guarded.read(&mut buffer));
    let count = match futures_util::poll!(read) {
        Poll::Ready(count) => count.unwrap(),
        Poll::Pending => return None,
    };
    Some(String::from_utf8(buffer[..count].to_vec()).unwrap())
}

async fn answer(guarded: &mut Guarded<DuplexStream>, bytes: &str) {
    guarded.write_all(bytes.as_bytes()).await.unwrap();
    drop(guarded.turn().answering());
    guarded.flush().await.unwrap();
}

#[tokio::test]
async fn r78_after_a_101_both_sides_speak_freely_and_not_before() {
    let (mut guarded, mut client) = connection();
    client.write_all(format!("{ASKS}frame\nGET /canary").as_bytes()).await.unwrap();
    assert!(read(&mut guarded).await.unwrap().ends_with("Upgrade\r\n\r\n"));
    assert_eq!(read(&mut guarded).await, None, "frames before the 101");
    guarded.write_all(b"HTTP/1.1 101 Switching Protocols\r\n").await.unwrap();
    assert_eq!(read(&mut guarded).await, None, "frames before the whole 101");
    guarded.write_all(b"upgrade: websocket\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut guarded).await.as_deref(), Some("frame\nGET /canary"));
    client.write_all(b"\0\x01\r").await.unwrap();
    assert_eq!(read(&mut guarded).await.as_deref(), Some("\0\x01\r"));
    drop(client);
    assert_eq!(read(&mut guarded).await.as_deref(), Some(""));
}

#[tokio::test]
async fn r78_any_other_answer_to_a_websocket_is_the_last_one() {
    let (mut guarded, mut client) = connection();
    client.write_all(format!("{ASKS}GET /canary HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
    read(&mut guarded).await;
    answer(&mut guarded, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(read(&mut guarded).await, None);
    client.write_all(b"GET /canary HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut guarded).await, None);
}

#[tokio::test]
async fn r74_the_next_request_comes_with_the_last_byte_of_the_answer() {
    let (mut guarded, mut client) = connection();
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(get.repeat(2).as_bytes()).await.unwrap();
    assert_eq!(read(&mut guarded).await.as_deref(), Some(get));
    guarded.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await.unwrap();
    guarded.flush().await.unwrap();
    assert_eq!(read(&mut guarded).await, None);
    answer(&mut guarded, "k").await;
    assert_eq!(read(&mut guarded).await.as_deref(), Some(get));
}
