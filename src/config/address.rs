//! The address of one server: its syntax, and which addresses are refused.
//!
//! The module knows nothing of the other servers, and does not resolve names.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};

use super::{number, quote};

/// The maximum length of a host name in bytes, as in DNS.
const HOST_BYTES_MAX: usize = 253;

/// The address at which a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A host name, an IPv4 address, or an IPv6 address without brackets in its shortest form.
    pub host: String,
    /// The TCP port, never 0.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = anyhow::Error;

    /// Parses `host:port`, with an IPv6 address in brackets. The error is one line.
    fn from_str(text: &str) -> anyhow::Result<Address> {
        let (host, port) = match text.rsplit_once(':') {
            // The last colon of `[::1]` belongs to the host.
            Some((host, port)) if !port.ends_with(']') => (host.trim_end(), port.trim_start()),
            _ => bail!("the port is missing in {}; expected host:port", quote(text)),
        };
        let port = number(port)
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0)
            .with_context(|| {
                format!("the port is {}; expected a number from 1 to 65535", quote(port))
            })?;
        Ok(Address { host: parse_host(host)?, port })
    }
}

impl Address {
    /// Whether the host is this machine, under one of the names that all machines have.
    pub fn is_loopback(&self) -> bool {
        ["localhost", "127.0.0.1", "::1"].iter().any(|name| self.host.eq_ignore_ascii_case(name))
    }

    /// Whether both have the same host and port. Host names are compared case-insensitively.
    pub fn is_same(&self, other: &Address) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }
}

/// Parses the host of an address. It refuses an invalid host, because the host is sent unchanged to callers and peers.
fn parse_host(text: &str) -> anyhow::Result<String> {
    ensure!(!text.is_empty(), "the host is missing; expected host:port");
    if let Some(literal) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let address: Ipv6Addr = literal.parse().ok().with_context(|| {
            format!("{} is not an IPv6 address; expected one in brackets", quote(text))
        })?;
        // One spelling for each address, so that duplicates are found.
        return Ok(address.to_string());
    }
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    ensure!(
        is_name && text.len() <= HOST_BYTES_MAX,
        "the host is {}; expected a host name, an IPv4 address, or an IPv6 address in brackets",
        quote(text)
    );
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_shown() {
        for text in
            ["localhost:9001", "192.0.2.1:1", "my_host.example.org:65535", "[2001:db8::1]:80"]
        {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
            assert_eq!(address.to_string().parse::<Address>().expect(text), address);
        }
    }

    #[test]
    fn an_ipv6_address_has_one_spelling() {
        let address: Address = "[2001:DB8:0:0::1]:9001".parse().expect("an address in brackets");
        assert_eq!(address, Address { host: "2001:db8::1".to_owned(), port: 9001 });
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_was_expected() {
        let long = format!("{}:80", "a".repeat(HOST_BYTES_MAX + 1));
        for (text, reason) in [
            ("", "the port is missing"),
            ("localhost", "the port is missing"),
            ("[::1]", "the port is missing"),
            ("localhost:", "the port is \"\""),
            ("localhost:0", "the port is \"0\""),
            ("localhost:+1", "the port is \"+1\""),
            ("localhost:65536", "expected a number from 1 to 65535"),
            (":9001", "the host is missing"),
            ("[localhost]:9001", "is not an IPv6 address"),
            ("2001:db8::1:9001", "an IPv6 address in brackets"),
            ("two words:9001", "expected a host name"),
            (&long, "expected a host name"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
