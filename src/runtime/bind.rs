//! The sockets that a server listens on.
//!
//! The configuration names servers as the others reach them. A server listens on the address that the name stands for,
//! or on all interfaces if that cannot be known: a machine's own name is often mapped to a loopback address, and a
//! cloud machine does not have its public address on an interface.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::thread;

use anyhow::Context;
use rustix::io::Errno;
use rustix::net::sockopt::ipv6_v6only;

use crate::config::Address;

/// The sockets for a configured address, and a description of where they listen.
///
/// # Errors
///
/// One sentence with the port and the system's error, such as that the port is in use.
pub(super) fn bind(address: &Address) -> anyhow::Result<(Vec<TcpListener>, String)> {
    let Address { host, port } = address;
    let refused = || format!("cannot listen on port {port} for {address}");
    let (sockets, why) = if host.eq_ignore_ascii_case("localhost") {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        (bind_each(&loopback, *port).with_context(refused)?, String::new())
    } else if let Some(socket) = bind_literal(host, *port).with_context(refused)? {
        (vec![socket], String::new())
    } else {
        let why = format!(" (all interfaces, because {host} may resolve to any of them)");
        (bind_all(*port).with_context(refused)?, why)
    };
    let places: Vec<_> =
        sockets.iter().flat_map(TcpListener::local_addr).map(|place| place.to_string()).collect();
    Ok((sockets, format!("{}{why}", places.join(" and "))))
}

/// Warns if the server's own name does not resolve: its peers and clients may not find it either.
///
/// A lookup may take long, so it is made on a thread of its own while the server starts.
pub(super) fn check_own_name(address: &Address) {
    let Address { host, port } = address.clone();
    thread::spawn(move || {
        if let Err(error) = (host.as_str(), port).to_socket_addrs() {
            log::warn!(
                "{host}, the name of this server in the configuration, does not resolve here: {error}"
            );
        }
    });
}

/// Binds a literal IP address, if `host` is one and this machine has it.
fn bind_literal(host: &str, port: u16) -> io::Result<Option<TcpListener>> {
    let Ok(address) = host.parse::<IpAddr>() else { return Ok(None) };
    match TcpListener::bind(SocketAddr::new(address, port)) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Binds those of the addresses that this machine has. There must be at least one.
fn bind_each(addresses: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
    let mut sockets = Vec::new();
    let mut missing = None;
    for address in addresses {
        match TcpListener::bind(SocketAddr::new(*address, port)) {
            Ok(socket) => sockets.push(socket),
            Err(error) if is_missing(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

/// Binds all interfaces in each address family that the machine has.
fn bind_all(port: u16) -> io::Result<Vec<TcpListener>> {
    let all = [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()];
    let [v6, v4] = all.map(|address| TcpListener::bind(SocketAddr::new(address, port)));
    match (v6, v4) {
        (Ok(v6), Ok(v4)) => Ok(vec![v6, v4]),
        // By default the first socket accepts IPv4 as well, which leaves nothing for the second.
        (Ok(v6), Err(error)) if error.kind() == ErrorKind::AddrInUse && !ipv6_v6only(&v6)? => {
            Ok(vec![v6])
        }
        (Err(error), Ok(v4)) if is_missing(&error) => Ok(vec![v4]),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// Whether the machine lacks the address or its address family.
fn is_missing(error: &io::Error) -> bool {
    let no_such_family = Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT);
    error.kind() == ErrorKind::AddrNotAvailable || no_such_family
}
