//! Stopping: what is in flight is finished, nothing new begins, and the wait has an end.
//!
//! I own: end-to-end tests of the drain. Signals are the business of `binary`; here the gateway is told directly. I
//! never wait longer than [`PATIENCE`].

use super::house::gateway::TestGateway;
use super::house::raw::{Answer, Connection};
use super::house::server::After;
use super::house::setting::Setting;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A setting whose upstream begins a download and goes on when told to: with what is sent, and to the end when the
/// sender is dropped.
fn setting(drain_timeout: &str) -> (Setting, Sender<&'static str>) {
    let setting = Setting::with(|plan| plan.server_extra(&format!("drain_timeout = \"{drain_timeout}\"")));
    let (more, pieces) = mpsc::channel::<&str>();
    let pieces = Mutex::new(pieces);
    setting.upstream.script(move |exchange| {
        exchange.body();
        exchange.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n");
        for piece in pieces.lock().unwrap().iter() {
            exchange.write(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
        }
        exchange.write(b"0\r\n\r\n");
        Some(After::Close)
    });
    (setting, more)
}

fn get(setting: &Setting, path: &str) -> Connection {
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", setting.gateway.host()).as_bytes());
    connection
}

/// A download that has begun.
fn download(setting: &Setting) -> (Connection, Answer) {
    let mut connection = get(setting, "/public/download");
    let answer = connection.head().expect("no answer");
    assert_eq!(answer.status, 200);
    assert_eq!(connection.chunk().as_deref(), Some(b"begin".as_slice()));
    (connection, answer)
}

/// Asks until nobody answers any more; whoever is still let in at first gets a whole answer.
fn until_nobody_is_let_in(address: SocketAddr, host: &str) {
    let since = Instant::now();
    while let Some(answer) = Connection::try_open(address).and_then(|mut connection| {
        connection.write(
            format!("GET /bff/signed-out HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        connection.answer(false)
    }) {
        assert_eq!(answer.status, 200);
        assert!(since.elapsed() < PATIENCE, "new connections are still served");
    }
}

fn assert_stops(gateway: TestGateway) {
    assert!(gateway.stops_within(PATIENCE), "still running after {PATIENCE:?}");
}

#[test]
fn a_request_in_flight_is_finished_and_no_other_begins() {
    let (mut setting, more) = setting("10s");
    let (mut connection, _) = download(&setting);
    setting.gateway.tell_to_stop();
    until_nobody_is_let_in(setting.gateway.address, setting.gateway.host());
    more.send("middle").unwrap();
    assert_eq!(connection.chunk().as_deref(), Some(b"middle".as_slice()));
    more.send("end").unwrap();
    drop(more);
    assert_eq!(connection.chunk().as_deref(), Some(b"end".as_slice()));
    assert_eq!(connection.chunk(), None);
    assert!(connection.is_over_within(PATIENCE), "the connection is kept");
    assert_stops(setting.gateway);
}

#[test]
fn a_drain_has_an_end_and_what_is_cut_off_does_not_look_complete() {
    let (mut setting, more) = setting("1s");
    let (mut connection, _) = download(&setting);
    setting.gateway.tell_to_stop();
    let since = Instant::now();
    let rest = connection.rest();
    assert!(since.elapsed() < PATIENCE, "cut after {:?}", since.elapsed());
    assert_eq!(String::from_utf8_lossy(&rest), "", "what was cut off was ended");
    assert_stops(setting.gateway);
    drop(more);
}

#[test]
fn idle_connections_do_not_hold_up_the_stop() {
    let (mut setting, more) = setting("10s");
    let (mut idle, mut silent) =
        (get(&setting, "/bff/signed-out"), Connection::open(setting.gateway.address));
    assert_eq!(idle.answer(false).expect("no answer").status, 200);
    setting.gateway.tell_to_stop();
    assert!(idle.is_over_within(PATIENCE), "after a request");
    assert!(silent.is_over_within(PATIENCE), "before one");
    assert_stops(setting.gateway);
    drop(more);
}

#[test]
fn nothing_in_flight_stops_at_once() {
    let (mut setting, _more) = setting("10s");
    setting.gateway.tell_to_stop();
    assert_stops(setting.gateway);
}
