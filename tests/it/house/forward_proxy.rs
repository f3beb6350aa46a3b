//! The proxy on the way out of a company: CONNECT for https, whole URLs for http.
//!
//! I own: [`ForwardProxy`] and the list of what it was asked for. I may call: `server`, `raw`. I never look into a
//! tunnel, and never lead anywhere but to this machine.

use super::raw::Connection;
use super::server::{After, Exchange, Server};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex};
use url::Url;

/// A proxy that records; it stops when dropped.
pub struct ForwardProxy {
    server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    pub fn start() -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let server = Server::start(move |exchange| {
            let (method, target) = (exchange.head.method.clone(), exchange.head.target.clone());
            seen.lock().unwrap().push(format!("{method} {target}"));
            if method == "CONNECT" { connect(exchange, &target) } else { forward(exchange, &target) }
        });
        Self { server, asked }
    }

    /// For `http_proxy`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Method and target of every request, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn connect(exchange: &mut Exchange, target: &str) -> After {
    let other = target.to_socket_addrs().ok().and_then(|mut addresses| addresses.find(is_here));
    let Some(other) = other.and_then(|address| TcpStream::connect(address).ok()) else {
        return exchange.reply(502, &[], b"");
    };
    let _ = other.set_nodelay(true);
    exchange.write(b"HTTP/1.1 200 Connected\r\n\r\n");
    exchange.tunnel(&other)
}

fn forward(exchange: &mut Exchange, target: &str) -> After {
    let url = Url::parse(target).ok();
    let address = url.as_ref().and_then(|url| url.socket_addrs(|| None).ok()?.into_iter().find(is_here));
    let (Some(url), Some(address)) = (url, address) else { return exchange.reply(400, &[], b"") };
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut request = format!("{} {path} HTTP/1.1\r\n", exchange.head.method);
    for (name, value) in &exchange.head.headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = exchange.body();
    let mut connection = Connection::to_stranger(address);
    connection.write(&[request.as_bytes(), b"\r\n", &body].concat());
    let Some(answer) = connection.answer(exchange.head.method == "HEAD") else { return After::Close };
    let framing = |name: &str| name.eq_ignore_ascii_case("content-length");
    let headers: Vec<(&str, &str)> = answer
        .headers
        .iter()
        .filter(|(name, _)| !framing(name))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    exchange.reply(answer.status, &headers, &answer.body)
}

fn is_here(address: &SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V4(ip) if ip.is_loopback())
}
