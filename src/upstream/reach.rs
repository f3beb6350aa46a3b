//! Whether an upstream can be reached, without asking it for anything.
//!
//! I own: [`Reach`]. I may call: `domain`, `client` (trust, and the reading of errors). I never send a request: a TCP
//! connection, a TLS handshake where the address is https, and the end.

use crate::domain::route::UpstreamAddress;
use crate::upstream::client::{trust, why_unconnected};
use crate::upstream::{TrustError, UpstreamError};
use http::uri::Authority;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection};
use std::io;
use std::sync::Arc;
use tokio::net::{TcpStream, lookup_host};

const NO_ADDRESS: UpstreamError = UpstreamError::Unreachable("its address is not one");

/// The trust with which upstreams are called.
pub struct Reach {
    trust: Arc<ClientConfig>,
}

impl Reach {
    /// Reads the root certificates of this machine.
    ///
    /// # Errors
    /// When the cryptography offers no version of TLS.
    pub fn new() -> Result<Self, TrustError> {
        Ok(Self { trust: Arc::new(trust()?) })
    }

    /// Connects, and shakes hands where that is called for. Takes as long as it takes: the caller has the time-out.
    ///
    /// # Errors
    /// [`UpstreamError::Unreachable`].
    pub async fn connect(&self, address: &UpstreamAddress) -> Result<(), UpstreamError> {
        let authority: Authority = address.authority.parse().map_err(|_| NO_ADDRESS)?;
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(if address.secure { 443 } else { 80 });
        let found = lookup_host((host, port)).await;
        let addresses: Vec<_> =
            found.map_err(|_| UpstreamError::Unreachable("its name cannot be resolved"))?.collect();
        let stream = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| UpstreamError::Unreachable(why_unconnected(&error)))?;
        if !address.secure {
            return Ok(());
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| NO_ADDRESS)?;
        let connection = ClientConnection::new(Arc::clone(&self.trust), name)
            .map_err(|error| UpstreamError::Unreachable(why_unsafe(&error)))?;
        shake_hands(&stream, connection).await
    }
}

/// To the end of the handshake, by hand: nothing in the house needs TLS over a bare stream otherwise.
async fn shake_hands(stream: &TcpStream, mut tls: ClientConnection) -> Result<(), UpstreamError> {
    let broken = |error: io::Error| UpstreamError::Unreachable(why_unconnected(&error));
    let mut socket = Socket(stream);
    while tls.is_handshaking() || tls.wants_write() {
        if tls.wants_write() {
            stream.writable().await.map_err(broken)?;
            skip_wait(tls.write_tls(&mut socket)).map_err(broken)?;
            continue;
        }
        stream.readable().await.map_err(broken)?;
        if skip_wait(tls.read_tls(&mut socket)).map_err(broken)? == Some(0) {
            return Err(UpstreamError::Unreachable("it closed the connection during the TLS handshake"));
        }
        tls.process_new_packets().map_err(|error| UpstreamError::Unreachable(why_unsafe(&error)))?;
    }
    Ok(())
}

/// `None` where the socket was not ready after all.
fn skip_wait(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        done => done.map(Some),
    }
}

/// A stream as rustls wants it: it says when it would have to wait.
struct Socket<'s>(&'s TcpStream);

impl io::Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl io::Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn why_unsafe(error: &rustls::Error) -> &'static str {
    let rustls::Error::InvalidCertificate(error) = error else { return "the TLS handshake failed" };
    match error {
        CertificateError::UnknownIssuer => "its certificate is signed by nobody whom this machine trusts",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        _ => "its certificate is not acceptable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    async fn listening() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    async fn reach(address: &str) -> Result<(), UpstreamError> {
        Reach::new().unwrap().connect(&UpstreamAddress::parse(address).unwrap()).await
    }

    #[tokio::test]
    async fn a_listener_is_reached_and_is_sent_nothing() {
        let (listener, port) = listening().await;
        reach(&format!("http://127.0.0.1:{port}")).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
        drop(listener);
        let refused = reach(&format!("http://127.0.0.1:{port}")).await;
        assert_eq!(refused, Err(UpstreamError::Unreachable("it refused the connection")));
    }

    #[tokio::test]
    async fn https_takes_more_than_a_listener() {
        let (listener, port) = listening().await;
        let address = format!("https://127.0.0.1:{port}");
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Something of the ClientHello has come before the line is cut.
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        };
        let (reached, ()) = tokio::join!(reach(&address), answer);
        assert_eq!(reached, Err(UpstreamError::Unreachable("the TLS handshake failed")));
    }

    #[tokio::test]
    async fn a_name_that_is_nobodys_is_named_as_such() {
        let reached = reach("http://nobody.invalid:80").await;
        assert_eq!(reached, Err(UpstreamError::Unreachable("its name cannot be resolved")));
    }
}
