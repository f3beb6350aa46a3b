//! A legacy app: it records what reaches it, and answers as it is told.
//!
//! I own: [`Upstream`], [`Arrived`]. I never see a token unless a gateway sends me one, which is what I am here to
//! find out.

use super::server::{After, Exchange, Head, Server};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub head: Head,
    pub body: Vec<u8>,
}

type Script = Arc<dyn Fn(&mut Exchange) -> Option<After> + Send + Sync>;

#[derive(Default)]
struct State {
    arrived: Vec<Arrived>,
    script: Option<Script>,
}

/// The app. Unscripted it answers 200 with a small page.
pub struct Upstream {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Upstream {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let seen = Arc::clone(&state);
        let server = Server::start(move |exchange| {
            let script = seen.lock().unwrap().script.clone();
            if let Some(script) = script {
                let head = exchange.head.clone();
                seen.lock().unwrap().arrived.push(Arrived { head, body: Vec::new() });
                if let Some(after) = script(exchange) {
                    return after;
                }
                return exchange.reply(200, &[("Content-Type", "text/plain")], b"scripted");
            }
            let arrived = Arrived { body: exchange.body(), head: exchange.head.clone() };
            let page = format!("<p>app {}</p>", arrived.head.path());
            seen.lock().unwrap().arrived.push(arrived);
            exchange.reply(200, &[("Content-Type", "text/html")], page.as_bytes())
        });
        Self { server, state }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Answers like this from now on; `None` falls back to a plain 200. The body of the request is the script's.
    pub fn script(&self, script: impl Fn(&mut Exchange) -> Option<After> + Send + Sync + 'static) {
        self.state.lock().unwrap().script = Some(Arc::new(script));
    }

    /// Answers with these very bytes from now on, and closes.
    pub fn answer_raw(&self, bytes: &'static [u8]) {
        self.script(move |exchange| {
            exchange.body();
            exchange.write(bytes);
            Some(After::Close)
        });
    }

    /// Answers as in the beginning.
    pub fn behave(&self) {
        self.state.lock().unwrap().script = None;
    }

    /// Everything that has arrived.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.state.lock().unwrap().arrived.clone()
    }

    pub fn count(&self) -> usize {
        self.state.lock().unwrap().arrived.len()
    }

    /// The request that arrived last.
    pub fn last(&self) -> Arrived {
        self.arrived().pop().expect("nothing reached the upstream")
    }

    /// Waits until this many requests have arrived.
    pub fn wait_for(&self, count: usize) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.count() < count {
            assert!(Instant::now() < end, "only {} requests have arrived", self.count());
            thread::yield_now();
        }
    }

    pub fn forget(&self) {
        self.state.lock().unwrap().arrived.clear();
    }
}
