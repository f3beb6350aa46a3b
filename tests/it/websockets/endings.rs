//! How a tunnel ends: with the session, with the gateway, by silence, and always between two frames (R65, A40).
//!
//! I own: what either side sees of the end. How a tunnel begins is with the room above me.

use super::{accept, assert_closed, echo, masked, own, setting, tunnel};
use crate::it::house::raw::Connection;
use crate::it::house::server::After;
use crate::it::house::setting::Setting;
use keycard::upstream::tunnel::walker::Walker;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn r65_r78_what_is_left_of_a_tunnel_ends_with_the_session() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let (sender, heard) = mpsc::channel();
    let sender = Mutex::new(sender);
    setting.upstream.script(move |exchange| {
        accept(exchange);
        exchange.finish();
        while exchange.raw().is_some() {}
        sender.lock().unwrap().send(()).unwrap();
        Some(After::Close)
    });
    let mut connection = tunnel(&setting, &browser);
    assert_eq!(connection.rest(), b"");
    assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
    heard.recv_timeout(Duration::from_secs(10)).expect("the app still hears this browser");
}

#[test]
fn a40_r65_a_sign_out_closes_the_tunnel_with_4401() {
    let setting = setting();
    let mut browser = setting.signed_in();
    echo(&setting);
    let mut connection = tunnel(&setting, &browser);
    let hello = masked(0x81, b"hello");
    connection.write(&hello);
    connection.bytes(hello.len());
    assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
    let frame = connection.bytes(2 + 2 + "session ended".len());
    assert_closed(&frame, 4401);
    // The browser answers, and the connection is closed.
    connection.write(&masked(0x88, &4401_u16.to_be_bytes()));
    assert!(connection.is_over());
}

#[test]
fn a40_r47_silence_and_age_close_the_tunnel_and_talk_keeps_it_open() {
    let setting = setting();
    let browser = setting.signed_in();
    echo(&setting);
    let mut connection = tunnel(&setting, &browser);
    let hello = masked(0x82, b"typing");
    for _ in 0..28 {
        setting.clock.advance(Duration::from_secs(20 * 60));
        connection.write(&hello);
        assert_eq!(connection.bytes(hello.len()), hello, "who types is not idle");
        // The note of that is written beside the tunnel: it is there when a question that reads it is answered.
        let mut asking = browser.clone();
        assert_eq!(asking.fetch("GET", "/bff/user?slide=false", &[], b"").status, 200);
    }
    // A ping is a machine's word.
    setting.clock.advance(Duration::from_secs(20 * 60));
    let ping = masked(0x89, b"");
    connection.write(&ping);
    assert_eq!(connection.bytes(ping.len()), ping);
    setting.clock.advance(Duration::from_secs(15 * 60));
    assert_closed(&connection.rest_after_answering_close(), 4401);
}

#[test]
fn r65_an_ending_within_a_frame_cuts_and_never_breaks_the_frame() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let (more, go_on) = mpsc::channel::<Vec<u8>>();
    let go_on = Arc::new(Mutex::new(go_on));
    setting.upstream.script(move |exchange| {
        accept(exchange);
        // Half a frame: ten bytes are announced, three come.
        exchange.write(&[0x82, 10, 1, 2, 3]);
        while let Ok(bytes) = go_on.lock().unwrap().recv() {
            exchange.write(&bytes);
        }
        Some(After::Close)
    });
    // Nothing more comes: the connection is cut, without a Close frame inside of theirs.
    let mut connection = tunnel(&setting, &browser);
    assert_eq!(connection.bytes(5), [0x82, 10, 1, 2, 3]);
    assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
    assert_eq!(connection.rest(), b"");
    drop(more);
}

#[test]
fn r65_whatever_flows_the_end_comes_between_two_frames() {
    let setting = setting();
    for round in 0_usize..12 {
        let mut browser = setting.signed_in();
        setting.upstream.script(move |exchange| {
            accept(exchange);
            // Frames of all sizes, written in pieces that have nothing to do with them.
            let mut stream = Vec::new();
            for number in round.. {
                let size = [0, 7, 125, 126, 4000, 70_000][number % 6];
                stream.push(0x82);
                match size {
                    0..126 => stream.push(u8::try_from(size).unwrap()),
                    126..65_536 => {
                        stream.push(126);
                        stream.extend_from_slice(&u16::try_from(size).unwrap().to_be_bytes());
                    }
                    _ => {
                        stream.push(127);
                        stream.extend_from_slice(&(size as u64).to_be_bytes());
                    }
                }
                stream.resize(stream.len() + size, 0x88);
                let piece = (number * 37) % 5000 + 1;
                while stream.len() > piece {
                    let rest = stream.split_off(piece);
                    if !exchange.write(&stream) {
                        return Some(After::Close);
                    }
                    stream = rest;
                }
            }
            Some(After::Close)
        });
        let mut connection = tunnel(&setting, &browser);
        let mut received = connection.bytes(1000 * (round + 1));
        assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
        received.extend(connection.rest_after_answering_close());
        let close = received.split_off(received.len() - 17);
        assert_closed(&close, 4401);
        let mut walker = Walker::default();
        walker.walk(&received);
        assert!(walker.is_between_frames() && !walker.has_closed(), "round {round}");
        setting.upstream.behave();
    }
}

#[test]
fn a_stop_closes_tunnels_with_1012() {
    let mut setting = setting();
    let browser = setting.signed_in();
    echo(&setting);
    let mut connection = tunnel(&setting, &browser);
    setting.gateway.tell_to_stop();
    assert_closed(&connection.rest_after_answering_close(), 1012);
}

#[test]
fn r78_a_tunnel_in_which_nobody_speaks_is_closed() {
    let setting = Setting::with(|plan| {
        plan.guarded_routes_extra("websocket = true\nwebsocket_idle_timeout = \"1s\"");
    });
    let browser = setting.signed_in();
    echo(&setting);
    let mut connection = tunnel(&setting, &browser);
    assert_closed(&connection.rest_after_answering_close(), 1001);
}

#[test]
fn r65_a_handshake_that_the_app_declines_is_watched_like_any_other_answer() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let (more, go_on) = mpsc::channel::<Vec<u8>>();
    let go_on = Mutex::new(go_on);
    setting.upstream.script(move |exchange| {
        exchange
            .write(b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 100000\r\n\r\nhalf");
        while let Ok(bytes) = go_on.lock().unwrap().recv() {
            exchange.write(&bytes);
        }
        Some(After::Close)
    });
    let mut connection = Connection::open(setting.gateway.address);
    connection.write(&own(&setting, &browser));
    assert_eq!(connection.head().unwrap().status, 200);
    assert_eq!(connection.bytes(4), b"half");
    assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
    assert_eq!(connection.rest(), b"");
    drop(more);
}

#[test]
fn r65_a_browser_that_does_not_read_says_nothing_more_to_the_app() {
    let setting = setting();
    let mut browser = setting.signed_in();
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    setting.upstream.script(move |exchange| {
        accept(exchange);
        // More than all buffers on the way hold; whoever reads none of it is not written to any more.
        let mut frame = vec![0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0];
        frame.resize(frame.len() + 0x10_0000, 0x20);
        for _ in 0..24 {
            if !exchange.write_for(&frame, Duration::from_millis(300)) {
                break;
            }
        }
        let mut all = Vec::new();
        while let Some(bytes) = exchange.raw() {
            all.extend(bytes);
        }
        told.lock().unwrap().send(all).unwrap();
        Some(After::Close)
    });
    let mut connection = tunnel(&setting, &browser);
    let before = masked(0x81, b"before");
    connection.write(&before);
    assert_eq!(browser.fetch("POST", "/bff/logout", &[], b"").status, 200);
    for _ in 0..20 {
        connection.write(&masked(0x81, b"after"));
    }
    // The app's end of the tunnel closes although nobody has read a byte here.
    let all = heard.recv_timeout(Duration::from_secs(20)).expect("the tunnel to the app stays open");
    assert!(all.starts_with(&before) && all.len() < before.len() + 20 * 11, "{}", all.len());
}
