//! `keycard health`: whether the gateway beside me is alive, as an exit code.
//!
//! I own: one request to `/livez`, for images that have neither a shell nor curl. I may call: `config` (for a variable).
//! I never wait long, never ask for readiness unless told to, and need nothing but a socket.

use crate::config::environment::Environment;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;
use url::Url;

/// What sets `server.health_listen` from the environment, as the container image does.
const VARIABLE: &str = "KEYCARD__SERVER__HEALTH_LISTEN";

/// What the example file suggests for `server.health_listen`.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// Below the three seconds that the image's health check is given.
const PATIENCE: Duration = Duration::from_secs(2);

/// A status line up to its code: `HTTP/1.1 200`.
const LENGTH: usize = 12;

/// Why a gateway does not count as well.
#[derive(Debug, thiserror::Error)]
pub enum Ill {
    /// The address cannot be asked.
    #[error("{0:?} is no address to ask: write http://host:port/livez")]
    Address(String),
    /// Nobody answers there.
    #[error("{0} does not answer: {1}")]
    Silent(Url, std::io::Error),
    /// Whoever answers says no.
    #[error("{0} answers {1:?}")]
    Refusing(Url, String),
}

/// Asks once, at `url` or where the environment says that the gateway listens.
///
/// # Errors
/// When the answer is anything but 200.
pub fn run(url: Option<&str>, environment: &dyn Environment) -> Result<(), Ill> {
    let wanted = match (url, environment.var(VARIABLE)) {
        (Some(url), _) => url.to_owned(),
        (None, Some(listen)) => match listen.parse() {
            Ok(address) => format!("http://{}/livez", own(address)),
            Err(_) => return Err(Ill::Address(listen)),
        },
        (None, None) => format!("http://{ADDRESS}/livez"),
    };
    let url = match Url::parse(&wanted) {
        Ok(url) if url.scheme() == "http" && url.has_host() => url,
        _ => return Err(Ill::Address(wanted)),
    };
    match ask(&url) {
        Ok(line) if line == "HTTP/1.1 200" => Ok(()),
        Ok(line) => Err(Ill::Refusing(url, line)),
        Err(error) => Err(Ill::Silent(url, error)),
    }
}

/// Who listens on every address is asked on the loopback one.
fn own(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, listen.port())
}

fn ask(url: &Url) -> std::io::Result<String> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    // The brackets of an IPv6 address belong to the URL, not to the address.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let mut tried = Err(std::io::ErrorKind::NotFound.into());
    for address in (name, port).to_socket_addrs()? {
        tried = TcpStream::connect_timeout(&address, PATIENCE);
        if tried.is_ok() {
            break;
        }
    }
    let mut connection = tried?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    write!(connection, "GET {} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n", url.path())?;
    let mut line = [0; LENGTH];
    connection.read_exact(&mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Variable;
    use std::io::{self, BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::path::Path;
    use std::thread;

    struct Says(Option<String>);

    impl Environment for Says {
        fn var(&self, name: &str) -> Option<String> {
            self.0.clone().filter(|_| name == VARIABLE)
        }
        fn variables(&self, _: &str) -> Vec<Variable> {
            Vec::new()
        }
        fn read_file(&self, _: &Path) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
        fn file_mode(&self, _: &Path) -> Option<u32> {
            None
        }
    }

    /// Answers one request with `status`, and tells its first line.
    fn answering(status: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = door.local_addr().unwrap();
        let served = thread::spawn(move || {
            let (mut connection, _) = door.accept().unwrap();
            let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map(Result::unwrap);
            let first = lines.next().unwrap();
            assert!(lines.any(|line| line.is_empty()));
            write!(connection, "HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nok\n").unwrap();
            first
        });
        (address, served)
    }

    #[test]
    fn a_gateway_that_answers_200_is_well() {
        let (address, served) = answering("200 OK");
        assert!(run(None, &Says(Some(address.to_string()))).is_ok());
        assert_eq!(served.join().unwrap(), "GET /livez HTTP/1.1");
    }

    #[test]
    fn a_url_beats_the_environment_and_may_ask_for_more() {
        let (address, served) = answering("503 Service Unavailable");
        let ill =
            run(Some(&format!("http://{address}/readyz")), &Says(Some("127.0.0.1:1".into()))).unwrap_err();
        assert_eq!(ill.to_string(), format!("http://{address}/readyz answers \"HTTP/1.1 503\""));
        assert_eq!(served.join().unwrap(), "GET /readyz HTTP/1.1");
    }

    #[test]
    fn nobody_there_is_ill() {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        assert!(matches!(run(None, &Says(Some(address.to_string()))), Err(Ill::Silent(..))));
    }

    #[test]
    fn what_is_no_address_is_said() {
        for wrong in ["https://127.0.0.1:9090/livez", "127.0.0.1:9090", "http://", ""] {
            assert!(matches!(run(Some(wrong), &Says(None)), Err(Ill::Address(_))), "{wrong}");
        }
        assert!(matches!(run(None, &Says(Some("9090".into()))), Err(Ill::Address(_))));
    }

    #[test]
    fn who_listens_everywhere_is_asked_here() {
        let own = |text: &str| own(text.parse().unwrap()).to_string();
        assert_eq!(own("0.0.0.0:9090"), "127.0.0.1:9090");
        assert_eq!(own("[::]:9090"), "[::1]:9090");
        assert_eq!(own("10.0.0.7:9090"), "10.0.0.7:9090");
    }
}
