//! The sockets of a demo.
//!
//! I own: which port each part gets. I may call: nothing. I never listen anywhere but on this machine.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

/// How many ports after the wanted one are tried.
const TRIES: u16 = 50;

/// The four sockets, open.
pub(super) struct Doors {
    pub(super) gateway: TcpListener,
    pub(super) idp: TcpListener,
    pub(super) apps: TcpListener,
    /// Of the gateway, for operators.
    pub(super) admin: TcpListener,
}

/// Which ports they got.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) gateway: u16,
    pub(super) idp: u16,
    pub(super) apps: u16,
    pub(super) admin: u16,
}

impl Doors {
    /// The gateway on `wanted` or the next free port after it, the provider on the one after that; 0 is any port.
    pub(super) fn open(wanted: u16) -> io::Result<(Self, Ports)> {
        let gateway = first_free(wanted)?;
        let idp = first_free(if wanted == 0 { 0 } else { port(&gateway)?.saturating_add(1) })?;
        let (apps, admin) = (first_free(0)?, first_free(0)?);
        let ports =
            Ports { gateway: port(&gateway)?, idp: port(&idp)?, apps: port(&apps)?, admin: port(&admin)? };
        Ok((Self { gateway, idp, apps, admin }, ports))
    }
}

fn first_free(wanted: u16) -> io::Result<TcpListener> {
    let last = if wanted == 0 { 0 } else { wanted.saturating_add(TRIES) };
    for port in wanted..last {
        match listen(port) {
            Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {}
            other => return other,
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

fn listen(port: u16) -> io::Result<TcpListener> {
    // Browsers try `localhost` as ::1 first: whoever listens there would answer in our place.
    if let Err(error) = TcpListener::bind((Ipv6Addr::LOCALHOST, port))
        && error.kind() == ErrorKind::AddrInUse
    {
        return Err(error);
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn port(listener: &TcpListener) -> io::Result<u16> {
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let (first, ports) = Doors::open(0).unwrap();
        let (second, others) = Doors::open(ports.gateway).unwrap();
        assert_ne!(others.gateway, ports.gateway);
        assert_ne!(others.gateway, others.idp);
        drop((first, second));
    }
}
