//! Ports that the system may give to outgoing connections.
//!
//! If it does so before a server starts, the server's port is in use. This happens rarely, and so is hard to find out.

use std::fs;
use std::net::{IpAddr, TcpListener};

/// The first and the last port that the system gives to outgoing connections.
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The ports and ranges of ports that it never gives to them.
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Whether the address is one of this machine, whose settings are the ones that count.
pub(super) fn is_own(address: IpAddr) -> bool {
    TcpListener::bind((address, 0)).is_ok()
}

/// The range that the port is in, if this machine may give it to an outgoing connection.
pub(super) fn outgoing(port: u16) -> Option<(u16, u16)> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    range_around(port, &read(RANGE), &read(RESERVED))
}

fn range_around(port: u16, range: &str, reserved: &str) -> Option<(u16, u16)> {
    let mut bounds = range.split_whitespace().map(str::parse);
    let (Some(Ok(first)), Some(Ok(last))) = (bounds.next(), bounds.next()) else { return None };
    let is_reserved = reserved.trim().split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let bounds = (first.parse::<u16>(), last.parse::<u16>());
        matches!(bounds, (Ok(first), Ok(last)) if (first..=last).contains(&port))
    });
    ((first..=last).contains(&port) && !is_reserved).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_safe_outside_the_range_or_if_it_is_reserved() {
        let range = "32768\t60999\n";
        for (port, reserved, is_safe) in [
            (9001, "\n", true),
            (32767, "", true),
            (32768, "", false),
            (60999, "\n", false),
            (61000, "", true),
            (40000, "40000\n", true),
            (40000, "8080,39999-40001\n", true),
            (40000, "8080,40001-40002\n", false),
        ] {
            assert_eq!(range_around(port, range, reserved).is_none(), is_safe, "{port} {reserved}");
        }
        for unreadable in ["", "32768", "a b"] {
            assert_eq!(range_around(40000, unreadable, ""), None, "{unreadable}");
        }
    }
}
